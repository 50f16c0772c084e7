"""Runs the test binaries that cargo built, several at a time: most of them wait for a server most of the time.

    run_tests.py [--only PACKAGE | --exclude PACKAGE] < what `cargo build --all-targets --message-format=json` says

A package is named by its directory. Benchmarks are no tests. Each binary runs as cargo would run it, in the directory of its
package; its output is printed whole when it ends. What takes longest starts first, as far as the last run in the same build directory tells.
Exits with 1 when a binary fails.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

AT_A_TIME = int(os.environ.get("TOCSIN_TEST_BINARIES", "3"))
# Where nothing was measured yet: these take minutes.
LONG = {"tests/pipeline/main.rs": 240.0, "tests/casework/main.rs": 100.0, "tests/conformance/main.rs": 45.0}


def built(lines):
    """Executable, directory of its package, and name of each test binary."""
    for line in lines:
        if not line.startswith("{"):
            continue
        message = json.loads(line)
        if message["reason"] != "compiler-artifact" or message["target"]["kind"] == ["bench"]:
            continue
        if message["profile"]["test"] and message["executable"]:
            package = Path(message["manifest_path"]).parent
            source = str(Path(message["target"]["src_path"]).relative_to(package))
            yield message["executable"], package, f"{package.name}: {source}", source


def run(executable, package, name):
    # What hangs is named.
    print(f"--- begins: {name}", flush=True)
    started = time.monotonic()
    environment = os.environ | {"CARGO_MANIFEST_DIR": str(package)}
    ended = subprocess.run([executable], cwd=package, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    return ended.returncode, ended.stdout, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only")
    parser.add_argument("--exclude")
    chosen = parser.parse_args()
    binaries = [
        binary
        for binary in built(sys.stdin)
        if chosen.only in (None, binary[1].name) and binary[1].name != chosen.exclude
    ]
    if not binaries:
        sys.exit("run_tests: cargo built no test")
    kept = Path(binaries[0][0]).parent.parent / "tests-took.json"
    took = json.loads(kept.read_text()) if kept.exists() else {}
    binaries.sort(key=lambda binary: -took.get(binary[2], LONG.get(binary[3], 1.0)))
    failed, started = [], time.monotonic()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        running = {pool.submit(run, executable, package, name): name for executable, package, name, _ in binaries}
        for future in as_completed(running):
            code, output, seconds = future.result()
            name = running[future]
            took[name] = round(seconds, 2)
            print(f"\n--- {name}", flush=True)
            sys.stdout.buffer.write(output)
            if code != 0:
                failed.append(name)
                print(f"--- {name}: FAILED with {code}", flush=True)
    kept.write_text(json.dumps(took, indent=1, sort_keys=True))
    print(f"\n{len(binaries)} test binaries in {time.monotonic() - started:.0f} s, {len(failed)} failed")
    for name in failed:
        print(f"FAILED: {name}")
    sys.exit(1 if failed else 0)


main()
