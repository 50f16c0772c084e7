#!/usr/bin/env python3
"""Scores the rows of an alarm evaluation again, from the files alone, and holds the figures to what every build must keep."""

import math
import sys
from pathlib import Path

from rows import differs, lower_median, page_problems, read_figures, read_rows, tell

# Every build keeps to this; the bars of the full run are stricter: loadtest/RECORD.md.
REUPLOADS_MAX = 30
PAGES_PER_DAY_MAX = 15
PAGE_DELAY_SECONDS_MAX = 1_800
FALSE_MAX = 3
PRECISION_AT_20_MIN = 0.95
CAPTURED_MIN = 0.8


def spans(text: str) -> list[tuple[int, int]]:
    """Stretches of time, in milliseconds."""
    return [tuple(int(end) for end in span.split("-")) for span in text.split(";") if span]


def runs(figures: dict[str, float], poisoning: dict[str, float]) -> list[str]:
    """What is wrong with the figures of pages, of the queue and of poisoning."""
    kept = {
        "all crises page": figures["crises_paged"] == figures["paging_crises"] > 0,
        f"at most {PAGES_PER_DAY_MAX} pages a day": figures["pages_per_day_max"] <= PAGES_PER_DAY_MAX,
        f"half of the pages within {PAGE_DELAY_SECONDS_MAX} s of the onset": figures["page_delay_seconds_p50"] <= PAGE_DELAY_SECONDS_MAX,
        "the first 20 are those of exact numbers": figures["queue_minutes_at_20"] > 0
        and figures["queue_precision_at_20"] >= PRECISION_AT_20_MIN,
        "the first 20 prevent what can be prevented": figures["preventable_exposure_captured_20"] >= CAPTURED_MIN,
        "and more than first in, first out": figures["preventable_exposure_captured_20"]
        > figures["preventable_exposure_captured_20_fifo"],
        "what alerts tell of accounts was held to the truth": figures["accounts_forecasts"] > 0,
        "counts lie in their intervals": figures["counts_outside_interval"] == 0 < figures["counts_compared"],
        "no party moves a priority beyond its cap": poisoning["influence_cap_violations"] == 0,
        "a party tried to": poisoning["influence_families"] > 1 and poisoning["influence_share_of_cap_max"] > 0.01,
        "the crisis beside it is alarmed": poisoning["crises_alarmed"] == poisoning["crises"] > 0,
    }
    return [f"not so: {claim}" for claim, holds in kept.items() if not holds]


def casework(directory: Path) -> list[str]:
    """What is wrong with the order of the queue at work, pooled again from the rows."""
    figures = read_figures(directory / "casework.json")
    rows = read_rows(directory / "casework-rows/casework.csv")
    prevented = {}
    for row in rows:
        prevented[row["order"]] = prevented.get(row["order"], 0) + int(row["prevented"])
    found = []
    for rival in ("fifo", "report_count", "clairvoyant"):
        expected = prevented["priority"] / prevented[rival] if prevented[rival] else None
        found += differs(figures, f"exposure_prevented_vs_{rival}", expected)
    kept = {
        "all crises become a case": figures["crises_raised"] == figures["crises"] > 0,
        "decisions prevent what can be prevented": figures["exposure_prevented_vs_clairvoyant"] >= CAPTURED_MIN,
        "more than first in, first out": prevented["priority"] > prevented["fifo"],
        "more than by the number of reports": prevented["priority"] > prevented["report_count"],
        "no case waits for more than ten times those ahead": figures["waits_beyond_limit"] == 0 < figures["wait_share_of_limit_max"],
    }
    found += [f"casework, not so: {claim}" for claim, holds in kept.items() if not holds]
    return found + page_problems(directory / "casework", 2, figures)


def unlinked(directory: Path, figures: dict[str, float]) -> list[str]:
    """What is wrong where nobody has grouped the variants: the rows scored again, and the figures."""
    rows = read_rows(directory / "unlinked-rows/unlinked.csv")
    leading = sorted(int(row["leading"]) if row["leading"] else math.inf for row in rows)
    kept = {
        "all crises without known families are alarmed": len(rows) == figures["unlinked_crises_alarmed"] > 0,
        "each rings once for what shares a signal": all(int(row["alarms"]) == 1 for row in rows),
        f"after {REUPLOADS_MAX} re-uploads of the leading variant at most": not leading or leading[-1] <= REUPLOADS_MAX,
        "totals of families hold the truth": figures["merge_mismatches"] == 0 < figures["merge_totals_compared"],
        "and are exact from promotion on": figures["merge_inexact"] == 0,
        "families are large": figures["merge_members_max"] > 100,
        "what shares a signal is in one family": figures["unlinked_copies_in_family"] > 0.9,
    }
    found = [f"not so: {claim}" for claim, holds in kept.items() if not holds]
    found += differs(figures, "unlinked_reuploads_at_alarm_p50_leading", lower_median(leading))
    found += differs(figures, "unlinked_alarms", sum(int(row["alarms_without_signal"]) for row in rows))
    return found + page_problems(directory / "unlinked", 1, figures)


def invariance(figures: dict[str, float]) -> list[str]:
    """What is wrong where one recording was dealt out in several ways."""
    kept = {
        "all numbers of partitions, sizes of blocks and restores are played": figures["partitions"] == [1, 4, 16, 64]
        and len(figures["batches"]) == 3
        and figures["configurations"] == 24,
        "groups were restored": figures["groups_restored"] == 256 * figures["restores"] > 0,
        "something was said, between groups too": figures["alerts"] > 10 and figures["outputs_between_groups"] > 100,
    }
    found = [f"invariance, not so: {claim}" for claim, holds in kept.items() if not holds]
    for name in ("alert_ids", "outputs", "orders", "states"):
        if figures[f"{name}_digests_differing"] != 0:
            found.append(f"invariance: {figures[f'{name}_digests_differing']} runs have another {name}_digest")
    return found


def main() -> int:
    """Runs the check; prints each problem; 1 when there is one."""
    directory = Path(sys.argv[1])
    figures, poisoning = (read_figures(directory / name) for name in ("figures.json", "poisoning.json"))
    truths = {(row["day"], row["family"]): row for row in read_rows(directory / "rows/truth.csv")}
    alarms = [row for row in read_rows(directory / "rows/alarms.csv") if row["detector"] == "tocsin"]
    found = []

    raised, first_right, false = {}, {}, 0
    for alarm in sorted(alarms, key=lambda row: int(row["at_ms"])):
        key, at = (alarm["day"], alarm["family"]), int(alarm["at_ms"])
        truth = truths.get(key, {"right_spans_ms": "", "near_spans_ms": ""})
        held = {name: any(begin <= at < end for begin, end in spans(truth[f"{name}_spans_ms"])) for name in ("right", "near")}
        repeated = key in raised and at - raised[key] < 24 * 3_600_000
        raised[key] = at
        verdict = "repeat" if repeated else "right" if held["right"] else "near" if held["near"] else "false"
        if verdict != alarm["verdict"]:
            found.append(f"family {alarm['family']}: the rows say {alarm['verdict']}, scored again it is {verdict}")
        false += verdict in ("false", "repeat")
        if verdict == "right":
            first_right.setdefault(key, int(alarm["reuploads"]))
    crises = [key for key, truth in truths.items() if truth["kind"] == "crisis"]
    reuploads = sorted(first_right.get(key, math.inf) for key in crises)

    if not crises:
        found.append("there is no crisis: nothing was tested")
    if figures["crises_alarmed"] != len(crises) or math.inf in reuploads:
        found.append(f"{figures['crises_alarmed']} of {len(crises)} crises were alarmed")
    found += differs(figures, "false_alarms", false)
    if false > FALSE_MAX:
        found.append(f"{false} false alarms, {FALSE_MAX} at most are let pass")
    if reuploads and reuploads[-1] > REUPLOADS_MAX:
        found.append(f"an alarm came after {reuploads[-1]} re-uploads, {REUPLOADS_MAX} at most are let pass")
    found += runs(figures, poisoning)
    found += casework(directory)
    found += unlinked(directory, read_figures(directory / "unlinked.json"))
    found += invariance(read_figures(directory / "invariance.json"))
    found += page_problems(directory / "report", 8, figures)
    found += page_problems(directory / "poisoning", 5, poisoning)
    return tell(found, f"all {len(crises)} crises alarmed after {reuploads} re-uploads; {false} false alarms")


if __name__ == "__main__":
    sys.exit(main())
