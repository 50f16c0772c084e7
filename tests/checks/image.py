#!/usr/bin/env python3
"""Checks the container file and the compose file without a container engine: what they must say, and that the assembled root file system
runs the binary as a user without rights (chroot needs root; without it only the assembly is checked).

    tests/checks/image.py BINARY
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("gateway", "intake", "detector", "dispatcher", "query")


def check(condition: bool, message: str) -> None:
    """Fails the run with a message."""
    if not condition:
        raise SystemExit(f"image: {message}")


def check_containerfile() -> None:
    """No base image, no root, the binary as entry point."""
    text = (ROOT / "deploy/image/Containerfile").read_text().replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    steps = [(keyword, rest) for keyword, rest in lines]
    check(steps[0] == ("FROM", "scratch") and sum(keyword == "FROM" for keyword, _ in steps) == 1, "rests on a base image")
    check(("USER", "65532:65532") in steps, "runs as root")
    check(("ENTRYPOINT", '["/tocsin"]') in steps, "does not start the binary itself")
    check(("STOPSIGNAL", "SIGTERM") in steps, "is not stopped by SIGTERM")
    check(all(keyword in {"FROM", "COPY", "USER", "WORKDIR", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD", "LABEL"} for keyword, _ in steps),
          "does more than copy")


def check_compose() -> None:
    """Every role is there, reads only, has no capabilities, waits for what it needs; only loopback ports; no secret in the open."""
    folder = ROOT / "deploy/compose"
    compose = yaml.safe_load((folder / "compose.yml").read_text())
    services = compose["services"]
    for role in ROLES:
        service = services[role]
        check(service["command"] == [role], f"{role} starts {service['command']}")
        check(service["read_only"] is True and service["cap_drop"] == ["ALL"], f"{role} may write or keeps capabilities")
        check(service["environment"]["TOCSIN_LOG__INSTANCE"] == f"{role}-0", f"{role} has no stable name")
    for name, service in services.items():
        image, _, tag = service["image"].partition(":")
        check(bool(image) and tag not in ("", "latest"), f"{name}: the image has no version")
        for dependency, condition in service.get("depends_on", {}).items():
            check(dependency in services, f"{name} waits for {dependency}, which is not there")
            if condition["condition"] == "service_healthy":
                check("healthcheck" in services[dependency], f"{name} waits for the health of {dependency}, which tells none")
        for port in service.get("ports", []):
            check(port.startswith("127.0.0.1:"), f"{name} opens {port} to everyone")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = (folder / source).exists() if source.startswith(".") else source in compose["volumes"]
            check(known, f"{name} mounts {source}, which is not there")
        for variable, value in service.get("environment", {}).items():
            secret = re.search(r"PASSWORD|_KEY$|URL$", variable)
            check(not secret or "${" in str(value), f"{name} holds {variable} in the open")
    tomllib.loads((folder / "tocsin.toml").read_text())


def check_root(binary: Path) -> None:
    """The assembled root file system holds what the binary needs."""
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        root = Path(work) / "root"
        subprocess.run([ROOT / "deploy/image/assemble", binary, root], check=True)
        files = [path for path in root.rglob("*") if path.is_file()]
        allowed = re.compile(r"^/(tocsin|etc/(passwd|group|nsswitch\.conf|ssl/certs/ca-certificates\.crt)|(usr/)?lib(64)?/.*\.so[.0-9]*)$")
        for path in files:
            name = "/" + str(path.relative_to(root))
            check(bool(allowed.match(name)), f"holds {name}")
        size = sum(path.stat().st_size for path in files)
        print(f"{len(files)} files, {size / 1e6:.0f} MB")
        if os.geteuid() != 0:
            print("not root: the binary was not run inside the assembled root file system")
            return
        command = [shutil.which("chroot") or "/usr/sbin/chroot", "--userspec=65532:65532", str(root), "/tocsin", "--version"]
        told = subprocess.run(command, capture_output=True, text=True, env={}, check=False)
        check(told.returncode == 0 and told.stdout.startswith("tocsin "), f"does not start: {told.stdout}{told.stderr}")
        print(f"{told.stdout.strip()} runs inside")


def main() -> int:
    """Runs the checks; stops at the first breach."""
    check_containerfile()
    check_compose()
    check_root(Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
