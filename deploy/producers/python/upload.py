#!/usr/bin/env python3
"""Publishes one upload to Tocsin by Kafka.

    upload.py FILE|SHA256 ACCOUNT [SURFACE]

ACCOUNT is the platform's own id of the account; it is not sent. The settings stand in the environment, as ../README.md says.
Prints the event's id once the brokers have the event. Anything else is said on standard error, with status 1.
"""

import hmac
import json
import os
import re
import sys
import uuid
from datetime import datetime, timezone
from hashlib import file_digest
from io import BytesIO
from pathlib import Path

import fastavro
import numpy
import pdqhash
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from PIL import Image, UnidentifiedImageError

SCHEMA = Path(__file__).resolve().parents[3] / "schemas/avro/event/1.avsc"
DELIVERY_S_MAX = 30
# Who can guess the key can try all accounts.
KEY_BYTES_MIN = 32


def pseudonym(key: bytes, account: str) -> bytes:
    """The 16 bytes that Tocsin may know of an account: HMAC-SHA-256 (RFC 2104) of its id as UTF-8 under the epoch's key, truncated."""
    return hmac.digest(key, account.encode(), "sha256")[:16]


def content(given: str) -> list[dict]:
    """The hashes of a file: SHA-256, and PDQ where it is a picture. A SHA-256 in hexadecimal stands for a file that is elsewhere."""
    if re.fullmatch("[0-9a-f]{64}", given):
        return [{"algorithm": "sha256", "value": bytes.fromhex(given)}]
    with open(given, "rb") as file:
        hashes = [{"algorithm": "sha256", "value": file_digest(file, "sha256").digest()}]
        try:
            with Image.open(file) as picture:
                bits, quality = pdqhash.compute(numpy.asarray(picture.convert("RGB")))
            hashes.append({"algorithm": "pdq", "value": numpy.packbits(bits).tobytes(), "quality": int(quality)})
        except UnidentifiedImageError:
            pass
        except Exception as error:
            # Whatever is wrong with a picture, it was uploaded.
            print(f"upload.py: no PDQ of {given}: {error}", file=sys.stderr)
    return hashes


def single_object(schema: dict, event: dict) -> bytes:
    """Avro single-object encoding: a mark, the CRC-64-AVRO fingerprint of the schema's canonical form, the datum."""
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    datum = BytesIO()
    fastavro.schemaless_writer(datum, fastavro.parse_schema(schema), event)
    return b"\xc3\x01" + bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")) + datum.getvalue()


def registered(url: str, topic: str, schema: str, event: dict) -> bytes:
    """Confluent's framing with the id that the registry gave the schema. Registers nothing: intake must know the id beforehand."""
    with SchemaRegistryClient({"url": url}) as registry:
        serializer = AvroSerializer(registry, schema, conf={"auto.register.schemas": False, "normalize.schemas": True})
        return serializer(event, SerializationContext(topic, MessageField.VALUE))


def security() -> dict[str, str]:
    """The client's settings for TLS and SASL, where there is a user; plain text is for a broker on the same machine."""
    user = setting("TOCSIN_KAFKA_USER", "")
    if not user:
        return {}
    settings = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": Path(setting("TOCSIN_KAFKA_PASSWORD_FILE")).read_text().strip(),
    }
    if authority := setting("TOCSIN_KAFKA_CA_FILE", ""):
        settings["ssl.ca.location"] = authority
    return settings


def publish(brokers: str, topic: str, value: bytes) -> None:
    """Appends a record once, however often it has to be sent, and waits until it is on all in-sync replicas."""
    failed, said = [], []
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "acks": "all",
            "enable.idempotence": True,
            **security(),
            "delivery.timeout.ms": DELIVERY_S_MAX * 1000,
            # A party's topic is there before the party has its key: one that is not is a wrong name.
            "topic.metadata.propagation.max.ms": 5000,
            # What the client goes through is told at the end, if it came to nothing.
            "log_level": 2,
            "error_cb": lambda error: said.append(error.str()),
        }
    )
    producer.produce(topic, value, on_delivery=lambda error, _: error and failed.append(error.str()))
    if producer.flush(DELIVERY_S_MAX + 5):
        failed.append("the brokers did not say whether they have the event; send it again with the same id")
    if failed:
        raise RuntimeError("; ".join(failed + said[-1:]))


def setting(name: str, otherwise: str | None = None) -> str:
    """A setting of the environment, or what stands for it where it is absent or empty."""
    value = os.environ.get(name) or otherwise
    if value is None:
        sys.exit(f"upload.py: {name} is not set")
    return value


def main() -> None:
    if not 3 <= len(sys.argv) <= 4:
        sys.exit("usage: upload.py FILE|SHA256 ACCOUNT [SURFACE]")
    key = bytes.fromhex(Path(setting("TOCSIN_ACCOUNT_KEY_FILE")).read_text())
    if len(key) < KEY_BYTES_MIN:
        sys.exit(f"upload.py: the key of pseudonyms has fewer than {KEY_BYTES_MIN} bytes")
    event_id = uuid.UUID(setting("TOCSIN_EVENT_ID", str(uuid.uuid4())))
    event = {
        "event_id": event_id.bytes,
        "platform": setting("TOCSIN_PLATFORM"),
        "kind": "upload",
        "occurred_at": datetime.now(timezone.utc),
        "content": content(sys.argv[1]),
        "account": pseudonym(key, sys.argv[2]),
        "account_epoch": int(setting("TOCSIN_ACCOUNT_EPOCH")),
        "surface": sys.argv[3] if len(sys.argv) == 4 else "unknown",
        "sharing": setting("TOCSIN_SHARING", "party"),
    }
    topic = "tocsin.ingest." + setting("TOCSIN_PARTY")
    schema = Path(setting("TOCSIN_SCHEMA", str(SCHEMA))).read_text()
    if registry := setting("TOCSIN_REGISTRY", ""):
        value = registered(registry, topic, schema, event)
    else:
        value = single_object(json.loads(schema), event)
    try:
        publish(setting("TOCSIN_BROKERS"), topic, value)
    except Exception as error:
        raise RuntimeError(f"event {event_id}: {error}") from error
    print(event_id)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        sys.exit(f"upload.py: {error or type(error).__name__}")
