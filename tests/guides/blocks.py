#!/usr/bin/env python3
"""Prints the commands of the README and the guides as one script, in reading order.

A fenced block marked `sh` runs. One marked `sh no-run REASON` does not, and is told with its reason on standard error. Blocks of any other
language are not commands. A block without a language is refused: nobody could tell whether it should run. So is a command that pipes into one
that may end before it has read everything: with `pipefail` the writer then fails, now and then.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENDS_EARLY = re.compile(r"\|\s*(head\b|grep\s.*(-q|-m|--quiet|--silent|--max-count)\b)")
PAGES = ["README.md"] + [f"deploy/guides/{name}.md" for name in ("operators", "platforms", "moderators", "coordinators", "researchers")]


def blocks(page: str) -> list[tuple[int, str, str]]:
    """Line, mark and text of every fenced block of a page."""
    found, mark, start, lines = [], None, 0, []
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        fence = re.match(r"^```(.*)$", line)
        if not fence:
            lines.append(line)
        elif mark is None:
            mark, start, lines = fence.group(1).strip(), number, []
        else:
            found.append((start, mark, "\n".join(lines)))
            mark = None
    if mark is not None:
        raise SystemExit(f"{page}:{start}: the block does not end")
    return found


def main() -> int:
    """Writes the script; 1 when a block is marked wrongly."""
    wrong, run = 0, 0
    for page in PAGES:
        for line, mark, text in blocks(page):
            where = f"{page}:{line}"
            if ENDS_EARLY.search(text):
                print(f"{where}: a pipe into a command that may end early", file=sys.stderr)
                wrong += 1
            language, _, rest = mark.partition(" ")
            if not language:
                print(f"{where}: the block names no language", file=sys.stderr)
                wrong += 1
            elif language == "sh" and not rest:
                print(f"echo '--- {where}'\n{text}")
                run += 1
            elif language in ("sh", "bash", "console"):
                reason = rest.removeprefix("no-run").strip() if rest.startswith("no-run") else ""
                if language != "sh" or not reason:
                    print(f"{where}: commands are marked `sh`, or `sh no-run` with the reason", file=sys.stderr)
                    wrong += 1
                else:
                    print(f"{where} does not run: {reason}", file=sys.stderr)
    print(f"echo '{run} blocks ran'")
    return 1 if wrong or run == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
