"""Every producer of deploy/producers, on real Kafka and the roles as processes: what it sends is counted, once however often it is sent, with
the account's pseudonym that the shared vectors say; what cannot be sent ends it with an error.

    tests/checks/producers.py BINARY BUILT WORK

BUILT is what tests/tools/producers made, whose Python runs this. TOCSIN_TEST_KAFKA (what deploy/kafka/start made for the user north),
_POSTGRES and _REGISTRY say where these are. What goes without the registry goes by TLS and SASL, as a user who may do no more than write to
the party's topic.
"""

import io
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import fastavro
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType, ResourceType
from PIL import Image

BINARY, BUILT, WORK = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
BROKER, POSTGRES, REGISTRY = (os.environ[f"TOCSIN_TEST_{name}"] for name in ("KAFKA", "POSTGRES", "REGISTRY"))
KAFKA, SECURE = (Path(BROKER) / "bootstrap").read_text().strip(), Path(BROKER) / "secure"
SCHEMAS, PRODUCERS = BUILT / "schemas", BUILT / "deploy/producers"
PARTY, PLATFORM, TOPIC, EPOCH = "north", "north-video", "tocsin.ingest.north", 7
OTHER_PARTY, OTHER_TOPIC = "south", "tocsin.ingest.south"
ROLES = ("dispatcher", "query", "detector", "intake", "gateway")
DEADLINE_S = 90
# A port that is taken, and on which nothing listens.
SILENT = socket.socket()
SILENT.bind(("127.0.0.1", 0))
NOWHERE = f"127.0.0.1:{SILENT.getsockname()[1]}"
COMMANDS = {
    "python": [BUILT / "python/bin/python", PRODUCERS / "python/upload.py"],
    "java": ["java", "-cp", f"{PRODUCERS}/java/target/classes:{PRODUCERS}/java/target/libs/*", "tocsin.producer.Upload"],
    "node": ["node", PRODUCERS / "node/upload.js"],
    "go": [PRODUCERS / "go/upload"],
    "curl": [PRODUCERS / "curl/upload"],
}


def wait_for(what: str, look):
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        time.sleep(0.1)
    raise TimeoutError(f"not within {DEADLINE_S} s: {what}")


def request(url: str, key: str | None = None, body: dict | None = None) -> tuple[int, str]:
    """Status and text of an answer."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if body is not None:
        headers["Content-Type"] = "application/vnd.schemaregistry.v1+json"
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


class Deployment:
    """The roles, each a process of its own on this Kafka."""

    def __init__(self, schema_id: int):
        self.config = WORK / "tocsin.toml"
        self.config.write_text(f"""
            http.listen = "127.0.0.1:0"
            log = {{ kind = "kafka", bootstrap = "{KAFKA}" }}
            store.url = "{POSTGRES}"
            keys.deployment_key = "{"5" * 64}"
            topics.sightings_partitions = 4
            detector = {{ promote_at = 1, commit_interval_ms = 50, state_interval_ms = 200 }}
            intake.confluent_schema_ids.{schema_id} = "event/1"
        """)
        self.processes = {}
        self.urls = {}
        self.run("topics", "apply")
        self.key = self.run("party", "add", PARTY, "--platform", PLATFORM).strip()
        self.run("party", "add", OTHER_PARTY, "--platform", "south-video")

    def run(self, *arguments: str) -> str:
        return subprocess.run([BINARY, "--config", self.config, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout

    def start(self) -> None:
        for role in ROLES:
            command = [BINARY, "--config", self.config, "--set", f"log.instance={role}-1", role]
            with open(WORK / f"{role}.log", "w") as said:
                self.processes[role] = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
        for role in ROLES:
            self.urls[role] = "http://" + wait_for(f"{role} listens", lambda: self.address(role))
            wait_for(f"{role} is ready", lambda: request(self.urls[role] + "/readyz")[0] == 200 or None)

    def address(self, role: str) -> str | None:
        said = (WORK / f"{role}.log").read_text()
        if self.processes[role].poll() is not None:
            raise RuntimeError(f"{role} ended: {said[-2000:]}")
        found = re.search(r"listening.*address=([0-9.:]+)", said)
        return found and found[1]

    def counted(self, content: bytes) -> dict | None:
        """What the query API knows of a content, or None."""
        url = f"{self.urls['query']}/v1/lookup?algorithm=sha256&value={sha256(content).hexdigest()}"
        status, text = request(url, self.key)
        if status not in (200, 404):
            raise RuntimeError(f"GET /v1/lookup answers {status}: {text}")
        return json.loads(text) if status == 200 else None

    def accepted(self) -> int:
        """How many events intake took from the ingest topics."""
        text = request(self.urls["intake"] + "/metrics")[1]
        return int(sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("tocsin_intake_events_total")))

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for role, process in self.processes.items():
            try:
                if (code := process.wait(60)) not in (0, 143):
                    print(f"{role} ends with {code}")
            except subprocess.TimeoutExpired:
                process.kill()


@dataclass
class Trial:
    """One language with one framing, its own file, and a vector's account and key."""

    language: str
    registry: bool
    vector: dict
    content: bytes
    event_ids: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.language}, {'with the registry' if self.registry else 'registry-less' if self.language != 'curl' else 'by HTTP'}"

    def path(self, suffix: str) -> Path:
        return WORK / f"{self.language}-{'registry' if self.registry else 'plain'}.{suffix}"

    def prepare(self, deployment: Deployment) -> None:
        """Writes the files that the program reads."""
        self.path("key").write_text(self.vector["epoch_key"] + "\n")
        self.path("short").write_text("00" * 31)
        self.path("file").write_bytes(self.content)
        self.path("api").write_text(deployment.key + "\n")

    def environment(self, deployment: Deployment, **further: str) -> dict[str, str]:
        settings = {
            "TOCSIN_BROKERS": KAFKA,
            "TOCSIN_PARTY": PARTY,
            "TOCSIN_PLATFORM": PLATFORM,
            "TOCSIN_ACCOUNT_KEY_FILE": str(self.path("key")),
            "TOCSIN_ACCOUNT_EPOCH": str(EPOCH),
            "TOCSIN_SCHEMA": str(SCHEMAS / "avro/event/1.avsc"),
            "TOCSIN_SHARING": "coordinators",
            "TOCSIN_URL": deployment.urls["gateway"],
            "TOCSIN_API_KEY_FILE": str(self.path("api")),
        }
        if self.registry:
            settings["TOCSIN_REGISTRY"] = REGISTRY
        else:
            settings["TOCSIN_BROKERS"] = (SECURE / "bootstrap").read_text().strip()
            settings["TOCSIN_KAFKA_USER"] = PARTY
            settings["TOCSIN_KAFKA_PASSWORD_FILE"] = str(SECURE / "password")
            settings["TOCSIN_KAFKA_CA_FILE"] = str(SECURE / "ca.pem")
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **settings, **further}

    def run(self, deployment: Deployment, surface: str = "feed", account: str = "", **further: str) -> subprocess.CompletedProcess:
        command = [*COMMANDS[self.language], self.path("file"), account or self.vector["account_id"], surface]
        environment = self.environment(deployment, **further)
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, cwd=WORK, check=False)

    def send(self, deployment: Deployment, surface: str, event_id: str | None = None) -> None:
        """Sends an event, which has to go well."""
        further = {"TOCSIN_EVENT_ID": event_id} if event_id else {}
        ran = self.run(deployment, surface, **further)
        assert ran.returncode == 0, f"ends with {ran.returncode}: {ran.stderr[-1500:]}"
        said = str(uuid.UUID(ran.stdout.strip()))
        assert event_id in (None, said), f"sends {said}, not {event_id}"
        self.event_ids.append(said)

    def expect(self, deployment: Deployment, surfaces: dict[str, int]) -> None:
        """Waits until the newest surface is counted; then nothing may be counted beside `surfaces`."""
        newest = list(surfaces)[-1]

        def look():
            answer = deployment.counted(self.content) or {}
            found = {count["surface"]: count["count"] for count in answer.get("surfaces_24h", [])}
            return answer if newest in found else None

        answer = wait_for(f"the upload by {newest} is counted", look)
        assert {count["surface"]: count["count"] for count in answer["surfaces_24h"]} == surfaces, answer
        day = next(window for window in answer["windows"] if window["window"] == "24h")
        total = sum(surfaces.values())
        assert day["spread"] == {"low": total, "high": total}, day
        kinds = {platform["platform"]: platform["kinds"] for platform in day["platforms"]}
        assert kinds == {PLATFORM: [{"kind": "upload", "count": total}]}, day
        assert round(answer["reach"]["sum_over_platforms"]["estimate"]) == 1, answer["reach"]

    def refuse(self, deployment: Deployment, what: str, reason: str, further: dict[str, str]) -> None:
        """Sends what cannot arrive: the program has to end with an error, and say why."""
        ran = self.run(deployment, **further)
        assert ran.returncode == 1, f"{what}: ends with {ran.returncode}"
        assert ran.stdout == "" and re.search(reason, ran.stderr), f"{what}: says {ran.stdout!r}, {ran.stderr[-1500:]!r}"


def records() -> list[bytes]:
    """Every record of the ingest topic, in no order."""
    consumer = Consumer({"bootstrap.servers": KAFKA, "group.id": "check", "enable.auto.commit": False})
    found = []
    for number in consumer.list_topics(TOPIC).topics[TOPIC].partitions:
        partition = TopicPartition(TOPIC, number)
        low, high = consumer.get_watermark_offsets(partition)
        partition.offset = low
        consumer.assign([partition])
        while low < high:
            for message in consumer.consume(high - low, 10):
                assert message.error() is None, message.error()
                found.append(message.value())
                low = message.offset() + 1
    consumer.close()
    return found


def sent_events(schema_id: int) -> dict[str, tuple[str, dict]]:
    """Framing and content of every event of the ingest topic, by the event's id; read with the schemas and fastavro alone."""
    schemas = {name: json.loads((SCHEMAS / f"avro/{name}/1.avsc").read_text()) for name in ("event", "event_batch")}
    headers = {}
    for name, schema in schemas.items():
        canonical = fastavro.schema.to_parsing_canonical_form(schema)
        headers[b"\xc3\x01" + bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))] = name
    registered = b"\0" + schema_id.to_bytes(4, "big")
    events = {}
    for record in records():
        framing, name, datum = "registry-less", headers.get(record[:10]), record[10:]
        if name is None:
            assert record[:5] == registered, f"a record begins with {record[:10].hex()}"
            framing, name, datum = "with the registry", "event", record[5:]
        stream = io.BytesIO(datum)
        read = fastavro.schemaless_reader(stream, fastavro.parse_schema(schemas[name]), None)
        assert not stream.read(), "bytes follow the datum"
        for event in read["events"] if name == "event_batch" else [read]:
            events.setdefault(str(uuid.UUID(bytes=event["event_id"])), (framing, event))
    return events


def check_event(trial: Trial, framing: str, event: dict) -> None:
    """Holds what stands in the topic to what was to be sent."""
    # The gateway writes records of its own.
    assert trial.language == "curl" or framing == str(trial).split(", ")[1], framing
    assert event["account"].hex() == trial.vector["pseudonym"], f"the account is {event['account'].hex()}, not {trial.vector}"
    wanted = {"account_epoch": EPOCH, "platform": PLATFORM, "kind": "upload", "surface": "feed", "sharing": "coordinators"}
    assert {name: event[name] for name in wanted} == wanted, event
    assert abs(event["occurred_at"].timestamp() - time.time()) < 600, event["occurred_at"]
    hashes = {content["algorithm"]: content for content in event["content"]}
    assert hashes["sha256"]["value"] == sha256(trial.content).digest(), hashes
    if trial.language == "python":
        assert len(hashes["pdq"]["value"]) == 32 and 50 <= hashes["pdq"]["quality"] <= 100, hashes


def picture(seed: int) -> bytes:
    """A picture of its own, with enough to see for PDQ, and far from the others."""
    noise = Image.frombytes("RGB", (8, 8), random.Random(seed).randbytes(192)).resize((256, 256), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    noise.save(out, "PNG")
    return out.getvalue()


def trials() -> list[Trial]:
    vectors = json.loads((SCHEMAS / "vectors/identifiers.json").read_text())["account_pseudonyms"]
    # With a shorter key, which the programs refuse, the vectors are for their own tests.
    vectors = [vector for vector in vectors if len(vector["epoch_key"]) >= 64]
    framings = [(language, registry) for language in COMMANDS for registry in (False, True) if not (registry and language == "curl")]
    # Enough vectors for each to meet several languages, and each language several of them.
    return [
        Trial(language, registry, vectors[number % len(vectors)], picture(number)) for number, (language, registry) in enumerate(framings)
    ]


def main() -> int:
    schema = (SCHEMAS / "avro/event/1.avsc").read_text()
    status, answer = request(f"{REGISTRY}/subjects/{TOPIC}-value/versions", body={"schema": schema})
    assert status == 200, f"the registry answers {status}: {answer}"
    schema_id = json.loads(answer)["id"]
    deployment = Deployment(schema_id)
    failed: dict[str, str] = {}
    pool = ThreadPoolExecutor(2)
    waiting = ThreadPoolExecutor(16)

    def attempt(trial: Trial, step) -> None:
        """A step of a trial that has not failed yet; whatever goes wrong is the trial's."""
        if str(trial) not in failed:
            try:
                step(trial)
            except Exception as error:
                failed[str(trial)] = f"{type(error).__name__}: {error}"

    def each(step) -> None:
        list(pool.map(lambda trial: attempt(trial, step), tried))

    def sent() -> int:
        return sum(len(trial.event_ids) for trial in tried)

    tried = trials()
    try:
        deployment.start()
        admin = AdminClient({"bootstrap.servers": KAFKA})
        wait_for("the parties' topics", lambda: {TOPIC, OTHER_TOPIC} <= set(admin.list_topics().topics) or None)
        may = (ResourceType.TOPIC, TOPIC, ResourcePatternType.LITERAL, f"User:{PARTY}", "*", AclOperation.WRITE, AclPermissionType.ALLOW)
        for result in admin.create_acls([AclBinding(*may)]).values():
            result.result(30)

        for trial in tried:
            trial.prepare(deployment)
        # What cannot arrive takes up to 30 s to be given up, mostly waiting: beside everything else.
        refusals = [
            waiting.submit(attempt, trial, lambda trial, wrong=wrong: trial.refuse(deployment, *wrong))
            for trial in tried
            for wrong in refusable(trial)
        ]

        each(lambda trial: trial.send(deployment, "feed"))
        each(lambda trial: trial.expect(deployment, {"feed": 1}))
        # The same again. What follows on another surface is counted after it, since intake has read the first by then.
        each(lambda trial: trial.send(deployment, "feed", trial.event_ids[0]))
        wait_for("intake reads what was sent again", lambda: deployment.accepted() >= sent() or None)
        each(lambda trial: trial.send(deployment, "direct"))
        each(lambda trial: trial.expect(deployment, {"feed": 1, "direct": 1}))

        events = sent_events(schema_id)
        each(lambda trial: check_event(trial, *events[trial.event_ids[0]]))
        for refusal in refusals:
            refusal.result()
    finally:
        deployment.stop()
    for trial in tried:
        print(f"{trial}: {failed.get(str(trial), 'counted once, with the account of the vector; what cannot arrive is an error')}")
    return 1 if failed else 0


def refusable(trial: Trial) -> list[tuple[str, str, dict[str, str]]]:
    """What a program cannot send: what is wrong, what it has to say of that (a pattern), and the settings."""
    short = ("a short key", "32 bytes", {"TOCSIN_ACCOUNT_KEY_FILE": str(trial.path("short"))})
    # With it the event can be sent again.
    event = "event [0-9a-f]{8}-[0-9a-f-]{27}: "
    if trial.language == "curl":
        return [
            short,
            ("a wrong API key", "unauthenticated", {"TOCSIN_API_KEY_FILE": str(trial.path("short"))}),
            ("a platform of nobody", "platform_not_of_party", {"TOCSIN_PLATFORM": "nowhere"}),
            ("no gateway", f"(?is)(failed to connect|refused).*{event}", {"TOCSIN_URL": f"http://{NOWHERE}"}),
        ]
    if trial.registry:
        return [
            ("a subject that is not registered", "404|No artifact", {"TOCSIN_PARTY": "nobody"}),
            ("no registry", "(?i)refused|connectexception", {"TOCSIN_REGISTRY": f"http://{NOWHERE}"}),
            ("a party without a topic", "[Tt]opic", {"TOCSIN_PARTY": "nobody", "TOCSIN_REGISTRY": ""}),
        ]
    wrong = [
        short,
        ("the topic of another party", "(?i)authoriz", {"TOCSIN_PARTY": OTHER_PARTY}),
        ("no brokers", f"(?s)(?=.*{NOWHERE}).*{event}", {"TOCSIN_BROKERS": NOWHERE}),
    ]
    if trial.language == "java":
        wrong.append(("a locale that does not read the account", "locale", {"LC_ALL": "C", "account": "käthe"}))
    return wrong


if __name__ == "__main__":
    sys.exit(main())
