#!/usr/bin/env python3
"""Checks the figures of `tocsin evaluate elections` on the two logs against the bars of the project, and against each other."""

import json
import sys


def problems(figures: dict[str, dict]) -> list[str]:
    """Every bar that is missed, as one line each."""
    found = []
    for log, values in figures.items():
        zero = ("platform_count_mismatches", "window_undercounts", "reach_exact_mismatches_up_to_64", "query_mismatches")
        zero += ("scope_leaks",) if "scope_leaks" in values else ()
        for name in zero:
            if values.get(name) != 0:
                found.append(f"{log}: {name} is {values.get(name)}, not 0")
        if values["window_error_p999"] > 2:
            found.append(f"{log}: window_error_p999 is {values['window_error_p999']}, above 2")
        if values["events_read"] != values["events_accepted"] + values["events_rejected"]:
            found.append(f"{log}: events read are not events accepted and rejected")
        if values["events_accepted"] == 0 or values["alerts"] == 0:
            found.append(f"{log}: nothing was accepted or nothing rang")
    logs = list(figures)
    for name in ("events_accepted", "contents", "alerts", "alert_ids_digest"):
        if len({json.dumps(figures[log].get(name)) for log in logs}) > 1:
            found.append(f"{name} differs: {[(log, figures[log].get(name)) for log in logs]}")
    return found


def main() -> int:
    """Reads the files named on the command line; 1 when a bar is missed."""
    figures = {path: json.load(open(path, encoding="utf-8"))["figures"] for path in sys.argv[1:]}
    found = problems(figures)
    print("\n".join(found) or f"{len(figures)} evaluations agree with the exact counts and with each other")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
