#!/usr/bin/env python3
"""Checks the figures of `tocsin evaluate elections` on the two logs against the bars of the project, and against each other."""

import json
import sys

from rows import read_figures, tell

# Figures that must be 0, and figures of how much was compared.
ZERO = (
    "platform_count_mismatches",
    "window_undercounts",
    "reach_exact_mismatches_up_to_64",
    "query_mismatches",
    "running_mismatches",
)
COMPARED = ("events_accepted", "alerts", "answers_while_running", "hot_answers", "windows_compared", "reach_compared")
# With so few hot contents the sketches must carry most.
FEW = 1_024
# So many numbers of partitions, sizes of batches and intervals of commits must be among the runs.
DIFFERENT_MIN = 3


def problems(figures: dict[str, dict], scopes: bool) -> list[str]:
    """Every bar that is missed, as one line each. With `scopes`, one of the runs must have compared them, and they must be dealt out
    differently."""
    found = []
    for log, values in figures.items():
        for name in ZERO + (("scope_leaks",) if "scope_leaks" in values else ()):
            if values.get(name) != 0:
                found.append(f"{log}: {name} is {values.get(name)}, not 0")
        # A bar over nothing is no bar.
        for name in COMPARED:
            if not values.get(name, 0) > 0:
                found.append(f"{log}: {name} is {values.get(name)}: nothing was compared")
        cold = values["answers"] - values["answers_unseen"] - values["hot_answers"]
        if values["hot_limit"] <= FEW and cold <= values["hot_answers"]:
            found.append(f"{log}: {cold} cold answers beside {values['hot_answers']} hot ones: the sketches do not carry most")
        if values["window_error_p999"] > 2:
            found.append(f"{log}: window_error_p999 is {values['window_error_p999']}, above 2")
        if values["events_read"] != values["events_accepted"] + values["events_rejected"]:
            found.append(f"{log}: events read are not events accepted and rejected")
    if scopes and not any("scope_leaks" in values for values in figures.values()):
        found.append("no run compared the scopes")
    # That the alerts are the same says something where the runs are not.
    if scopes:
        for name in ("partitions", "batch", "commit_interval_ms"):
            if len({values.get(name) for values in figures.values()}) < DIFFERENT_MIN:
                found.append(f"{name} has fewer than {DIFFERENT_MIN} values: {[values.get(name) for values in figures.values()]}")
    logs = list(figures)
    for name in ("events_accepted", "contents", "alerts", "alert_ids_digest"):
        if len({json.dumps(figures[log].get(name)) for log in logs}) > 1:
            found.append(f"{name} differs: {[(log, figures[log].get(name)) for log in logs]}")
    return found


def main() -> int:
    """Reads the files named on the command line, behind `--without-scopes` or not; 1 when a bar is missed."""
    paths = [path for path in sys.argv[1:] if path != "--without-scopes"]
    figures = {path: read_figures(path) for path in paths}
    found = problems(figures, "--without-scopes" not in sys.argv)
    return tell(found, f"{len(figures)} evaluations agree with the exact counts and with each other")


if __name__ == "__main__":
    sys.exit(main())
