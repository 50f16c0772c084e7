#!/usr/bin/env python3
"""Holds the figures of scripted incidents, one file for each log, to what every build must keep."""

import sys
from pathlib import Path

from rows import read_figures, tell

# A run that compared less has not come to its end.
COMPARED_MIN = 260
# Of some 18 intervals that hold the truth with 95 % at most so many may miss it: more do once in 3,000 runs.
REACH_MISSED_MAX = 5


def wrong(file: Path) -> list[str]:
    """What is wrong with the figures in a file."""
    figures = read_figures(file)
    kept = {
        "debrief and reports say what is true": figures["report_mismatches"] == 0,
        f"at least {COMPARED_MIN} figures are compared": figures["figures_compared"] >= COMPARED_MIN,
        "every interval that is compared could be missed": figures["intervals_vacuous"] == 0,
        "intervals of accounts are among them": figures["reach_intervals"] > 0,
        f"at most {REACH_MISSED_MAX} of these miss the truth": figures["reach_missed"] <= REACH_MISSED_MAX,
    }
    problems = [f"{file.name}: not so: {claim}" for claim, holds in kept.items() if not holds]
    return problems + [f"{file.name}: {mismatch}" for mismatch in figures["mismatches"]]


if __name__ == "__main__":
    found = [problem for name in sys.argv[1:] for problem in wrong(Path(name))]
    sys.exit(tell(found, "the debriefs and reports say what is true"))
