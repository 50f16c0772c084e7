#!/usr/bin/env python3
"""Checks what Tocsin delivers with the libraries that its receivers use: standardwebhooks for signatures, cloudevents for the events.

    tests/checks/deliveries.py FILE

FILE holds JSON: {"secrets": [new, old], "stranger": secret, "requests": [{headers, body}], "records": [{headers, key, value}]}.
Exits with 77 where a library is absent.
"""

import json
import sys

try:
    from cloudevents.core.bindings import http, kafka
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError
except ImportError as absent:
    print(absent)
    sys.exit(77)


def check_event(event: object, document: dict) -> None:
    """An event as the library read it, beside the document that was sent."""
    assert event.get_specversion() == "1.0", event
    assert event.get_source() == "urn:tocsin", event
    assert event.get_type().startswith("tocsin."), event
    assert event.get_id() == document["id"], event
    assert event.get_subject() == document["family"], event
    assert event.get_time().utcoffset().total_seconds() == 0, event
    assert event.get_datacontenttype() == "application/json", event
    assert event.get_data() == document, event


def main() -> int:
    """Runs the check; an assertion or an error of a library ends it."""
    with open(sys.argv[1], encoding="utf-8") as file:
        sent = json.load(file)
    for request in sent["requests"]:
        headers, body = request["headers"], request["body"].encode()
        for secret in sent["secrets"]:
            assert Webhook(secret).verify(body, headers) == json.loads(body)
        for secret, said in ((sent["stranger"], body), (sent["secrets"][0], body + b" ")):
            try:
                Webhook(secret).verify(said, headers, json_parse=False)
            except WebhookVerificationError:
                continue
            raise AssertionError("a signature of another secret or body is taken")
        message = http.HTTPMessage(headers=headers, body=body)
        check_event(http.from_binary_event(message), json.loads(body))
    for record in sent["records"]:
        headers = {name: value.encode() for name, value in record["headers"].items()}
        value = record["value"].encode()
        message = kafka.KafkaMessage(headers=headers, key=record["key"].encode(), value=value)
        check_event(kafka.from_binary_event(message), json.loads(value))
    print(f"{len(sent['requests'])} requests and {len(sent['records'])} records verified")
    return 0


if __name__ == "__main__":
    sys.exit(main())
