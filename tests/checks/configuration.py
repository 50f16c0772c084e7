#!/usr/bin/env python3
"""Hands the configuration that the chart and the compose file give each role to the binary itself: `tocsin config check` must accept it, and
`tocsin config print` must show that it was read. Secrets are replaced by examples of their form.

    tests/checks/configuration.py BINARY
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import helm_python
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("gateway", "intake", "detector", "dispatcher", "query")


def example(name: str) -> str:
    """A value of the form that the secret in this variable has."""
    if "URL" in name:
        return "postgres://tocsin:example@postgres:5432/tocsin"
    return "0123456789abcdef" * 4 if "KEY" in name else "example"


UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def value_of(entry: dict, container: dict) -> str:
    """What a variable of a container holds: stated, or the container's limit of memory in bytes, or an example of a secret."""
    if "resourceFieldRef" in entry.get("valueFrom", {}):
        limit = container["resources"]["limits"]["memory"]
        return str(int(limit[:-2]) * UNITS[limit[-2:]])
    return entry.get("value") or example(entry["name"])


def check(binary: str, where: str, role: str, config: str, environment: dict[str, str], expected: str) -> None:
    """Asks the binary about one role's configuration."""
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "tocsin.toml"
        file.write_text(config)
        environment = {**environment, "TOCSIN_CONFIG": str(file)}
        for command in (["check", "--role", role], ["print"]):
            told = subprocess.run([binary, "config", *command], capture_output=True, text=True, env=environment, check=False)
            if told.returncode != 0:
                raise SystemExit(f"{where}: config {command[0]} refuses it: {told.stdout}{told.stderr}")
            if command == ["print"] and expected not in told.stdout:
                raise SystemExit(f"{where}: config print does not show {expected!r}: the file or a variable was not read")


def chart_roles() -> list[tuple[str, str, dict[str, str], str]]:
    """Each role of each values file: where, configuration, environment, and what must be read back."""
    found = []
    with helm_python.Chart.load(ROOT / "helm/tocsin") as chart:
        for path in sorted((ROOT / "helm/tocsin/ci").glob("*.yaml")):
            values = yaml.safe_load(path.read_text())
            manifests = chart.render(values, name="bell", namespace="tocsin")
            objects = [item for text in manifests.values() for item in yaml.safe_load_all(text) if isinstance(item, dict)]
            config = next(item["data"]["tocsin.toml"] for item in objects if item.get("kind") == "ConfigMap")
            for item in objects:
                if item.get("kind") not in ("Deployment", "StatefulSet"):
                    continue
                container = item["spec"]["template"]["spec"]["containers"][0]
                environment = {entry["name"]: value_of(entry, container) for entry in container["env"]}
                where = f"{path.name} {container['name']}"
                found.append((where, config, environment, values["config"]["log"]["bootstrap"]))
    return found


def compose_roles() -> list[tuple[str, str, dict[str, str], str]]:
    """The same of the compose file."""
    folder = ROOT / "deploy/compose"
    services = yaml.safe_load((folder / "compose.yml").read_text())["services"]
    config = (folder / "tocsin.toml").read_text()
    found = []
    for role in ROLES:
        entries = services[role]["environment"].items()
        environment = {name: example(name) if "${" in str(value) else str(value) for name, value in entries}
        found.append((f"compose {role}", config, environment, "kafka:9092"))
    return found


def main() -> int:
    """Runs the check; stops at the first refusal."""
    roles = chart_roles() + compose_roles()
    for where, config, environment, expected in roles:
        check(sys.argv[1], where, where.split()[-1], config, environment, expected)
    print(f"{len(roles)} configurations of chart and compose file accepted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
