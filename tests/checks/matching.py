#!/usr/bin/env python3
"""Compares the look-ups of `tocsin up` with what the PyPI package `threatexchange` finds in its own indices of the same hashes.

    matching.py BINARY DIRECTORY     DIRECTORY holds haystack.txt.gz and needles.txt.gz, a PDQ hash in each line

The package has no client for an HMA: neither its exchanges nor its command line ask one. So its signal types check the signals, its indices give
the truth, and the requests are those of HMA's own clients. Every hash of the haystack is made hot by events, a few files with them. A bank that is
exported as a `local_file` is read by the package's own exchange, each line of a type that its command line knows.
"""

import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

from exchange import local_file  # noqa: E402
from threatexchange.signal_type.md5 import VideoMD5Signal  # noqa: E402
from threatexchange.signal_type.pdq.signal import PdqSignal  # noqa: E402
from threatexchange.signal_type.sha256 import VideoSHA256Signal  # noqa: E402

COPIES = 4
FILES = 20
MATCHES_MAX = 64
WAIT_S = 180


class Server:
    """A `tocsin up` of its own, with a party that publishes and reads."""

    def __init__(self, binary: str, directory: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{address}"
        self.environment = os.environ | {"TOCSIN_HTTP__LISTEN": address, "TOCSIN_LOG__DATA_DIR": f"{directory}/data"}
        self.binary = binary
        self.said = open(f"{directory}/up.log", "wb")
        self.process = subprocess.Popen([binary, "up"], env=self.environment, stdout=self.said, stderr=self.said)
        self.wait(lambda: self.ask("/readyz")[0] == 200, "ready")
        self.publisher = self.run("party", "add", "north", "--platform", "north-video")
        self.reader = self.run("key", "add", "--coordinators", "--role", "reader")

    def run(self, *arguments: str) -> str:
        """What a command says."""
        return subprocess.run([self.binary, *arguments], env=self.environment, check=True, capture_output=True, text=True).stdout.strip()

    def ask(self, path: str, key: str = "", body: bytes | None = None, media_type: str = "application/json") -> tuple[int, object]:
        """Status and JSON of an answer; 0 without one."""
        request = urllib.request.Request(self.url + path, data=body, headers={"Authorization": f"Bearer {key}", "Content-Type": media_type})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except (urllib.error.URLError, ConnectionError):
            return 0, None

    def wait(self, condition, what: str) -> None:
        """Waits until the condition holds."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"tocsin up is not {what}:\n{Path(self.said.name).read_text()[-4000:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        """Ends it in order."""
        self.process.terminate()
        self.process.wait(60)
        self.said.close()


def publish(server: Server, contents: list[dict]) -> None:
    """Uploads each content some times, for all to see."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    lines = []
    for content in contents:
        for _ in range(COPIES):
            event = {"event_id": str(uuid.uuid4()), "platform": "north-video", "kind": "upload", "occurred_at": now, "content": [content]}
            lines.append(json.dumps(event | {"account": uuid.uuid4().hex, "account_epoch": 1, "surface": "feed", "sharing": "all"}))
    for start in range(0, len(lines), 1_000):
        body = "\n".join(lines[start : start + 1_000]).encode()
        # The topic of a new party is made a moment later, and a gateway may have its hands full.
        deadline = time.monotonic() + WAIT_S
        while (told := server.ask("/v1/events", server.publisher, body, "application/x-ndjson"))[0] == 503 and time.monotonic() < deadline:
            time.sleep(0.5)
        status, answer = told
        if status != 202 or any(result["status"] != "accepted" for result in answer["results"]):
            raise SystemExit(f"events were not accepted: {status} {str(answer)[:400]}")


def is_counted(count: dict) -> bool:
    """Whether all copies of a hash are."""
    return count["state"] == "hot" and all(window["spread"]["low"] <= COPIES <= window["spread"]["high"] for window in count["windows"])


def numbers(server: Server, algorithm: str, values: list[str]) -> dict[str, int]:
    """The `bank_content_id` of each hash, once all of them are counted."""
    found = {}
    for start in range(0, len(values), 64):
        query = [("algorithm", algorithm)] + [("value", value) for value in values[start : start + 64]]
        deadline = time.monotonic() + WAIT_S
        while True:
            status, answer = server.ask("/v1/counts?" + urllib.parse.urlencode(query), server.reader)
            if status != 200:
                raise SystemExit(f"counts: {status} {answer}")
            missed = [count for count in answer["counts"] if not is_counted(count)]
            if not missed:
                break
            # What was accepted is counted a moment later.
            if time.monotonic() > deadline:
                raise SystemExit(f"{COPIES} copies were sent, told is {missed[0]}")
            time.sleep(0.5)
        for count in answer["counts"]:
            found[count["hash"]["value"]] = int(count["content"], 16) >> 75
    return found


def compare(server: Server, signal_type, entries: dict[str, int], queries: list[str]) -> list[str]:
    """What differs between the package's index of the entries and the look-ups of these queries."""
    name = signal_type.get_name()
    index = signal_type.get_index_cls().build(list(entries.items()))
    differing, matched = [], 0
    for query in queries:
        theirs = sorted((found.similarity_info.pretty_str(), found.metadata) for found in index.query(signal_type.validate_signal_str(query)))
        signal = urllib.parse.urlencode({"signal_type": name, "signal": query})
        status, raw = server.ask(f"/m/raw_lookup?{signal}&include_distance=True", server.reader)
        _, banks = server.ask(f"/m/lookup?{signal}", server.reader)
        if status != 200:
            differing.append(f"{name} {query}: {status} {raw}")
            continue
        ours = sorted((found["distance"], found["bank_content_id"]) for found in raw["matches"])
        in_bank = sorted((found["distance"], found["bank_content_id"]) for found in banks.get("HOT_FAMILIES", []))
        matched += len(ours)
        if len(theirs) > MATCHES_MAX:
            # Told are the nearest; which of equally near ones is anybody's choice.
            theirs = sorted(int(distance) for distance, _ in theirs)[:MATCHES_MAX]
            ours, in_bank = ([int(distance) for distance, _ in found] for found in (ours, in_bank))
            ours, in_bank = sorted(ours), sorted(in_bank)
        if not ours == in_bank == theirs:
            differing.append(f"{name} {query}: {ours} and {in_bank} here, {theirs} there")
    print(f"{name}: {len(queries)} look-ups among {len(entries)} hashes, {matched} matches, {len(differing)} differ")
    if not matched:
        differing.append(f"{name}: nothing matched")
    return differing


def comparisons(server: Server, hashes: list[str]) -> list[str]:
    """What differs between the package's and our comparison of pairs."""
    differing = []
    for left, right in zip(hashes, hashes[1:]):
        match, info = PdqSignal.compare_hash(left, right)
        body = json.dumps({"pdq": [left, right]}).encode()
        answer = server.ask("/m/compare", server.reader, body)
        if answer != (200, {"pdq": [match, {"distance": info.distance}]}):
            differing.append(f"{left} {right}: {answer} here, {match} {info} there")
    return differing


def exported(server: Server, directory: str, picture: str) -> list[str]:
    """What the package reads otherwise than it was imported of a bank that is exported, and of the signal types that it shares with the look-ups."""
    sha256 = hashlib.sha256(b"a file").hexdigest()
    theirs = [f"pdq {picture}", f"video_md5 {'0f' * 16}", f"{VideoSHA256Signal.get_name()} {sha256}", "url https://example.org/a"]
    listed, told = f"{directory}/list", f"{directory}/exported"
    Path(listed).write_text("\n".join(theirs[:2] + [f"sha256 {sha256}"] + theirs[3:]) + "\n")
    server.run("watch", "bank", "FILES", "--source", "files", "--severity", "3")
    server.run("watch", "import", "--format", "local-file", "--bank", "FILES", listed)
    Path(told).write_text(server.run("watch", "export", "--bank", "FILES", "--format", "local-file") + "\n")
    read = local_file(told)
    print(f"local_file: {len(read)} lines read by the package")
    differing = [] if sorted(read) == sorted(theirs) else [f"local_file: {sorted(read)} read, {sorted(theirs)} expected"]
    status, types = server.ask("/c/signal_type", server.reader)
    names = [entry["name"] for entry in types] if status == 200 else []
    return differing + [f"/c/signal_type has no {line.split()[0]}" for line in theirs if line.split()[0] not in names]


def main() -> int:
    """Runs the comparison; prints what differs; 1 when anything does."""
    binary, directory = sys.argv[1:]
    haystack, needles = ([line.strip() for line in gzip.open(f"{directory}/{name}.txt.gz", "rt")] for name in ("haystack", "needles"))
    files = [hashlib.md5(str(number).encode()).hexdigest() for number in range(2 * FILES)]
    with tempfile.TemporaryDirectory() as work:
        server = Server(binary, work)
        try:
            publish(server, [{"algorithm": "pdq", "value": value, "quality": 100} for value in haystack])
            publish(server, [{"algorithm": "md5", "value": value} for value in files[:FILES]])

            def announced() -> bool:
                status, index = server.ask("/m/index/status", server.reader)
                return status == 200 and (index["pdq"]["size"], index["video_md5"]["size"]) == (len(haystack), FILES)

            server.wait(announced, f"aware of {len(haystack)} pictures and {FILES} files")
            pictures = numbers(server, "pdq", haystack)
            differing = compare(server, PdqSignal, pictures, needles + haystack)
            differing += compare(server, VideoMD5Signal, numbers(server, "md5", files[:FILES]), files)
            differing += comparisons(server, haystack[:50])
            differing += exported(server, work, haystack[0])
        finally:
            server.stop()
    print("\n".join(differing[:20]) or "the same matches at the same distances")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
