#!/usr/bin/env python3
"""Every relative link of every Markdown page leads to a file, and every anchor to a heading."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def main() -> int:
    """Runs the check; prints each problem; 1 when there is one."""
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, text=True)
    found, count = [], 0
    for name in listed.splitlines():
        page = ROOT / name
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        text = re.sub(r"`[^`\n]*`", "", text)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            count += 1
            path, _, anchor = target.partition("#")
            goal = (page.parent / path).resolve() if path else page
            if not goal.exists():
                found.append(f"{name}: {target} does not exist")
            elif anchor and goal.suffix == ".md" and anchor not in anchors(goal):
                found.append(f"{name}: {target} has no such heading")
    print("\n".join(found) or f"{count} links lead somewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
