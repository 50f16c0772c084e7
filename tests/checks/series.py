#!/usr/bin/env python3
"""Makes a folder of labelled series, and scores the detection files of `tocsin evaluate series` again by the rules of the Numenta Anomaly Benchmark.

Usage: series.py make DIR
       series.py check DIR ROWS PAGE FIGURES
"""

import json
import math
import random
import sys
from datetime import datetime, timedelta
from pathlib import Path

from rows import differs, page_problems, read_figures, read_rows, tell

ROWS = 4_000
# Each series: how it is usually (place, random numbers), and the rows and the height of its anomalies.
SERIES = {
    "counts/burst.csv": (lambda place, draw: draw.randint(0, 9), [(2_000, 60, 40)]),
    "counts/calm.csv": (lambda place, draw: draw.randint(0, 9), []),
    "load/level.csv": (lambda place, draw: 40 + draw.gauss(0, 2), [(1_500, 300, 25)]),
    "load/daily.csv": (lambda place, draw: 50 + 20 * math.sin(place / 288 * math.tau) + draw.gauss(0, 3), [(2_700, 10, 60)]),
}
# What every build must reach: any of its windows missed would cost 33 points.
SCORE_MIN = 80.0


def make(directory: Path) -> None:
    """Writes the folder."""
    labels = {}
    for name, (usual, anomalies) in SERIES.items():
        draw = random.Random(name)
        times = [str(datetime(2015, 3, 1) + timedelta(minutes=5 * place)) for place in range(ROWS)]
        values = [usual(place, draw) for place in range(ROWS)]
        for first, length, height in anomalies:
            for place in range(first, first + length):
                values[place] += height
        # Windows begin before their anomaly, as those of the benchmark do.
        labels[name] = [[times[first - 50], times[first + 150]] for first, _, _ in anomalies]
        file = directory / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("timestamp,value\n" + "".join(f"{time},{value}\n" for time, value in zip(times, values)))
    (directory / "labels").mkdir(exist_ok=True)
    (directory / "labels/combined_windows.json").write_text(json.dumps(labels))


def scaled_sigmoid(position: float) -> float:
    """What a detection is worth, by its place relative to the right edge of a window, in widths."""
    return -1.0 if position >= 3 else 2 / (1 + math.exp(5 * position)) - 1


def score(rows: list[dict], windows: list[list[str]], threshold: float) -> float:
    """The sum of the standard profile over one series."""
    times = [row["timestamp"] for row in rows]
    edges = [(times.index(first), times.index(last)) for first, last in windows]
    best, false = {edge: -1.0 for edge in edges}, 0.0
    for place, row in enumerate(rows):
        if place < min(math.floor(0.15 * len(rows)), 750) or float(row["anomaly_score"]) < threshold:
            continue
        inside = [edge for edge in edges if edge[0] <= place <= edge[1]]
        before = [edge for edge in edges if edge[1] < place]
        if inside:
            first, last = inside[0]
            worth = scaled_sigmoid(-(last - place + 1) / (last - first + 1)) / scaled_sigmoid(-1)
            best[inside[0]] = max(best[inside[0]], worth)
        else:
            position = (place - before[-1][1]) / (before[-1][1] - before[-1][0]) if before else 3.0
            false += 0.11 * scaled_sigmoid(position)
    return sum(best.values()) + false


def check(directory: Path, rows: Path, page: Path, out: Path) -> int:
    """Prints each problem; 1 when there is one."""
    figures = read_figures(out)
    labels = json.loads((directory / "labels/combined_windows.json").read_text())
    found, raw = [], 0.0
    for name, windows in labels.items():
        file = rows / name
        detections = read_rows(file.with_name(f"tocsin_{file.name}"))
        values = [(row["timestamp"], float(row["value"])) for row in read_rows(directory / "data" / name)]
        if [(row["timestamp"], float(row["value"])) for row in detections] != values:
            found.append(f"the detection file of {name} tells other values than the series")
        raw += score(detections, windows, figures["threshold"])
    count = sum(len(windows) for windows in labels.values())
    expected = 100 * (raw + count) / (2 * count)
    found += differs(figures, "nab_standard", expected, 1e-6)
    if figures["windows"] != count or expected < SCORE_MIN:
        found.append(f"a score of {expected} for {figures['windows']} of {count} windows, below {SCORE_MIN}")
    found += page_problems(page, len(labels), figures)
    windows_found, outside = figures["windows_found"], figures["detections_outside"]
    return tell(found, f"series: {windows_found} of {count} windows found, {outside} detections outside, score {expected:.1f}")


def main() -> int:
    """Makes or checks; 1 when there is a problem."""
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
        return 0
    return check(*map(Path, sys.argv[2:6]))


if __name__ == "__main__":
    sys.exit(main())
