#!/usr/bin/env python3
"""Every metric that the rules or the operators' guide name is one that the code emits, and every rule has an entry in the runbook."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Runs the check; prints each problem; 1 when there is one."""
    rules = (ROOT / "deploy/monitoring/rules.yml").read_text()
    sources = "\n".join(path.read_text() for path in (ROOT / "services").rglob("*.rs"))
    runbook = (ROOT / "deploy/guides/operators.md").read_text()
    found = []
    metrics = set()
    for name, text in (("rules.yml", rules), ("operators.md", runbook)):
        # A name that ends in an underscore is the beginning of many, as in a pattern for grep.
        named = set(re.findall(r"\btocsin_[a-z_]*[a-z]\b", text))
        if not named:
            found.append(f"{name} names no metric: the pattern is out of date")
        found += [f"{metric} is in {name} and in no source" for metric in sorted(named) if f'"{metric}"' not in sources]
        metrics |= named
    alerts = re.findall(r"alert: (\w+)", rules)
    for alert in alerts:
        if not re.search(rf"^#+ {alert}$", runbook, re.MULTILINE):
            found.append(f"{alert} has no entry in the runbook")
    print("\n".join(found) or f"{len(metrics)} metrics exist, {len(alerts)} rules have a runbook entry")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
