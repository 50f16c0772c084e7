#!/usr/bin/env python3
"""Checks every crate in Cargo.lock against deny.toml: licences, banned crates, wildcard versions, sources.

Reads the part of cargo-deny's configuration that this project uses and refuses the rest, so that the two cannot drift apart unseen.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KNOWN = {
    "graph": {"all-features"},
    "licenses": {"confidence-threshold", "allow"},
    "bans": {"wildcards", "allow-wildcard-paths", "multiple-versions", "deny"},
    "sources": {"unknown-registry", "unknown-git"},
}


def allowed_expression(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be met with the allowed licences. `/` is the old way to write OR."""
    tokens = re.findall(r"[()]|[^\s()/]+|/", expression)
    position = 0

    def peek() -> str | None:
        return tokens[position] if position < len(tokens) else None

    def take() -> str:
        nonlocal position
        position += 1
        return tokens[position - 1]

    def term() -> bool:
        token = take()
        if token == "(":
            inner = any_of()
            take()
            return inner
        if peek() == "WITH":
            take()
            return f"{token} WITH {take()}" in allowed
        return token in allowed

    def all_of() -> bool:
        result = term()
        while peek() == "AND":
            take()
            result = term() and result
        return result

    def any_of() -> bool:
        result = all_of()
        while peek() in ("OR", "/"):
            take()
            result = all_of() or result
        return result

    return any_of() and position == len(tokens)


def problems(metadata: dict, rules: dict) -> list[str]:
    """Every breach of the rules, as one line each."""
    allowed = set(rules["licenses"]["allow"])
    banned = {entry["name"]: entry["reason"] for entry in rules["bans"]["deny"]}
    local = {member for member in metadata["workspace_members"]}
    registries = {package["source"] for package in metadata["packages"] if (package["source"] or "").startswith("registry+")}
    found = []
    if len(registries) > 1:
        found.append(f"crates come from {len(registries)} registries: {sorted(registries)}")
    for package in metadata["packages"]:
        name = f"{package['name']} {package['version']}"
        source = package["source"]
        if package["id"] in local:
            if package["license"] != "Apache-2.0":
                found.append(f"{name}: a crate of this workspace is Apache-2.0, not {package['license']}")
            for dependency in package["dependencies"]:
                if dependency["req"] == "*" and not dependency.get("path"):
                    found.append(f"{name}: the version of {dependency['name']} is a wildcard")
            continue
        if source is None or not source.startswith("registry+"):
            found.append(f"{name}: comes from {source or 'a path outside the workspace'}")
        if package["name"] in banned:
            found.append(f"{name}: banned ({banned[package['name']]})")
        if not package["license"]:
            found.append(f"{name}: names no licence")
        elif not allowed_expression(package["license"], allowed):
            found.append(f"{name}: licence {package['license']} is not allowed")
    return found


def main() -> int:
    """Runs the check; prints each problem; 1 when there is one."""
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    for section, entries in rules.items():
        for key in entries:
            if key not in KNOWN.get(section, set()):
                print(f"deny.toml: [{section}] {key} is not checked here; teach tests/checks/dependencies.py")
                return 1
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    metadata = json.loads(subprocess.check_output(command, cwd=ROOT))
    resolved = {node["id"] for node in metadata["resolve"]["nodes"]}
    metadata["packages"] = [package for package in metadata["packages"] if package["id"] in resolved]
    found = problems(metadata, rules)
    for problem in found:
        print(problem)
    print(f"{len(metadata['packages'])} crates checked, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
