"""What the checks of evaluations have in common: reading figures and rows, telling problems, and looking at a page."""

import csv
import json
import math
from pathlib import Path

# What a page fetches is no part of it.
FETCHES = ("<script", "<link", "src=", "href=", "@import", "url(")


def read_figures(path: Path) -> dict:
    """The figures of an evaluation, by name."""
    return json.loads(Path(path).read_text(encoding="utf-8"))["figures"]


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def differs(figures: dict, name: str, expected: float | None, error_max: float = 1e-9) -> list[str]:
    """The problem, if a figure is not what it is when scored again."""
    value = figures.get(name, "absent")
    if value is None or expected is None or value == "absent":
        is_same = name in figures and value is expected
    else:
        is_same = math.isclose(value, expected, rel_tol=0, abs_tol=error_max)
    return [] if is_same else [f"{name} is {value}, scored again it is {expected}"]


def lower_median(ascending: list[int]) -> int | None:
    """Half of them are no larger; of an even number the lower of both."""
    return ascending[(len(ascending) - 1) // 2] if ascending else None


def page_problems(directory: Path, plots_min: int, figures: dict) -> list[str]:
    """What is wrong with the page of an evaluation: it needs something else, or lacks plots or figures."""
    page = (Path(directory) / "index.html").read_text(encoding="utf-8")
    found = [f"{directory} fetches something: {word}" for word in FETCHES if word in page]
    if page.count("<svg") < plots_min:
        found.append(f"{directory} lacks plots: {page.count('<svg')} of {plots_min}")
    return found + [f"{directory} lacks the figure {name}" for name in figures if f"<td>{name}</td>" not in page]


def tell(found: list[str], told: str) -> int:
    """Prints each problem, or what was found without one; the exit code."""
    print("\n".join(found) or told)
    return 1 if found else 0
