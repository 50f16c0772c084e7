#!/usr/bin/env python3
"""Scores the rows of `tocsin evaluate posts` or `cascades` again, tells the truth of the set from the set itself, and compares with the figures.

Usage: real.py posts|cascades INPUT ROWS PAGE FIGURES
"""

import csv
import gzip
import math
import sys
from collections import defaultdict
from pathlib import Path

from rows import differs, lower_median, page_problems, read_figures, read_rows, tell

DAY_MS = 24 * 3_600_000
# When the days begin that cascades count their times from.
MIDNIGHT_MS = 1_767_571_200_000
RIVALS = ("ten_in_5_min", "thirty_in_60_min", "poisson_scan")
# Below this many false alarms of a rival there is no ratio.
FALSE_ALARMS_MIN = 10
# What every build must keep: recall at the shipped threshold, and never more false alarms than a rival at what it reaches. What was measured, and
# the bars of the project, stand in loadtest/RECORD.md.
RECALL_MIN = {"posts": 0.02, "cascades": 0.98}
RATIO_MAX = 1.0
# Three contents and their alarms, how early, and what another threshold would give.
PLOTS_MIN = 5


def busiest_days(suite: str, path: str) -> list[int]:
    """The most shares within 24 hours of each content of the set."""
    times = defaultdict(list)
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            if suite == "cascades":
                root_ms = MIDNIGHT_MS + float(row["root_time_of_day_fraction"]) * DAY_MS
                times[row["cascade"]].append(int(root_ms + float(row["delay_s"]) * 1000))
                continue
            for kind in ("phash_id", "url_id", "hashtag_id"):
                if row[kind]:
                    times[kind, row[kind]].append(int(row["timestamp"]) * 1000)
    found = []
    for shared in times.values():
        shared.sort()
        first, most = 0, 0
        for last, time in enumerate(shared):
            while time - shared[first] >= DAY_MS:
                first += 1
            most = max(most, last - first + 1)
        found.append(most)
    return found


def measured(contents: list[dict], alarms: dict[int, int], positive: int) -> dict[str, float | None]:
    """The figures of one detector: `alarms` are the shares at the first alarm about each content."""
    shares, positives, false = [], 0, {"real": 0, "background": 0}
    for content in contents:
        place, rang = int(content["content"]), int(content["content"]) in alarms
        if int(content["busiest_day"]) < positive:
            false[content["origin"]] += rang
        elif content["origin"] == "real":
            positives += 1
            shares += [alarms[place]] if rang else []
    shares.sort()
    return {
        "recall": len(shares) / positives if positives else None,
        "false_alarms": false["real"],
        "background_false_alarms": false["background"],
        "shares_at_alarm_p50": lower_median(shares),
    }


def main() -> int:
    """Runs the check; prints each problem; 1 when there is one."""
    suite, path, rows, page, out = sys.argv[1:6]
    figures = read_figures(out)
    read = lambda name: read_rows(Path(rows) / name)
    contents, positive, found = read("contents.csv"), figures["positive"], []

    def same(name: str, expected: float | None) -> None:
        found.extend(differs(figures, name, expected))

    truth = busiest_days(suite, path)
    same("contents", len(truth))
    same("positives", sum(most >= positive for most in truth))
    told = sorted(int(content["busiest_day"]) for content in contents if content["origin"] == "real")
    if told != sorted(truth):
        found.append("the rows tell other busiest days than the set")

    alarms, scores = defaultdict(dict), defaultdict(lambda: defaultdict(list))
    for row in read("alarms.csv"):
        alarms[row["detector"]][int(row["content"])] = int(row["shares"])
    for row in read("scores.csv"):
        highest = math.inf if row["rings_up_to"] == "inf" else float(row["rings_up_to"])
        scores[row["parameters"]][int(row["content"])].append((highest, int(row["shares"])))
    for detector in ("tocsin", *RIVALS):
        prefix = "" if detector == "tocsin" else f"{detector}_"
        for name, value in measured(contents, alarms[detector], positive).items():
            same(prefix + name, value)

    def rung(parameters: str, threshold: float) -> dict[int, int]:
        told = scores[parameters].items()
        first = {place: next((shares for highest, shares in steps if highest >= threshold), None) for place, steps in told}
        return {place: shares for place, shares in first.items() if shares is not None}

    if rung("shipped", figures["threshold"]) != alarms["tocsin"]:
        found.append("the alarms do not follow from the scores")
    same("raised_otherwise_than_scored", 0)
    halves = {half: [content for content in contents if content["half"] == half] for half in "12"}
    for rival, aim in ((rival, aim) for rival in RIVALS for aim in ("", "same_recall_")):
        threshold = figures[f"{aim}threshold_vs_{rival}"]
        if threshold is None:
            continue
        ours, theirs = (measured(halves["1"], alarmed, positive) for alarmed in (rung(aim + rival, threshold), alarms[rival]))
        late = not aim and (ours["shares_at_alarm_p50"] or 0) > (theirs["shares_at_alarm_p50"] or math.inf)
        if ours["recall"] < theirs["recall"] or late:
            found.append(f"{aim}threshold_vs_{rival} does not match it on the first half")
        ours, theirs = (measured(halves["2"], alarmed, positive) for alarmed in (rung(aim + rival, threshold), alarms[rival]))
        for name, value in ours.items():
            same(f"{aim}second_half_vs_{rival}_{name}", value)
        for prefix in ("", "background_"):
            name = f"{prefix}false_alarms"
            if figures[f"{rival}_{name}"] >= FALSE_ALARMS_MIN:
                same(f"{aim}{prefix}false_alarm_ratio_vs_{rival}", ours[name] / theirs[name] if theirs[name] else None)

    if not figures["background_events"] > 0:
        found.append("there is no background")
    if not (figures["recall"] or 0) >= RECALL_MIN[suite]:
        found.append(f"recall is {figures['recall']}, below {RECALL_MIN[suite]}")
    ratios = {name: value for name, value in figures.items() if "false_alarm_ratio_vs_" in name and "background" not in name}
    found += [f"{name} is {value}, above {RATIO_MAX}" for name, value in ratios.items() if value is not None and value > RATIO_MAX]
    found += page_problems(Path(page), PLOTS_MIN, figures)
    told = f"{suite}: recall {figures['recall']}, {figures['false_alarms']} false alarms of {len(truth)} contents; ratios {ratios}"
    return tell(found, told)


if __name__ == "__main__":
    sys.exit(main())
