#!/usr/bin/env python3
"""Scores the rows of an alarm evaluation again, from the files alone, and holds the figures to what every build must keep."""

import csv
import json
import math
import sys
from pathlib import Path

# Every build keeps to this; the bars of the full run are stricter: loadtest/RECORD.md.
REUPLOADS_MAX = 30


def rows(directory: Path, name: str) -> list[dict[str, str]]:
    """The rows of a file."""
    with (directory / "rows" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def spans(text: str) -> list[tuple[int, int]]:
    """Stretches of time, in milliseconds."""
    return [tuple(int(end) for end in span.split("-")) for span in text.split(";") if span]


def main() -> int:
    """Runs the check; prints each problem; 1 when there is one."""
    directory = Path(sys.argv[1])
    figures = json.loads((directory / "figures.json").read_text())["figures"]
    truths = {(row["day"], row["family"]): row for row in rows(directory, "truth.csv")}
    alarms = [row for row in rows(directory, "alarms.csv") if row["detector"] == "tocsin"]
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
    if figures["false_alarms"] != false:
        found.append(f"{figures['false_alarms']} false alarms in the figures, {false} in the rows")
    if reuploads and reuploads[-1] > REUPLOADS_MAX:
        found.append(f"an alarm came after {reuploads[-1]} re-uploads, {REUPLOADS_MAX} at most are let pass")
    page = (directory / "report" / "index.html").read_text()
    if page.count("<svg") < 3:
        found.append("the page lacks its plots")
    print("\n".join(found) or f"all {len(crises)} crises alarmed after {reuploads} re-uploads; {false} false alarms")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
