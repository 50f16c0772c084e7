"""The program makes the pseudonyms of the shared vectors and the bytes of the golden event: python3 -m unittest."""

import json
import unittest
from pathlib import Path

from upload import SCHEMA, pseudonym, single_object

SCHEMAS = Path(__file__).resolve().parents[3] / "schemas"


class Upload(unittest.TestCase):
    def test_pseudonyms_are_those_of_the_vectors(self):
        vectors = json.loads((SCHEMAS / "vectors/identifiers.json").read_text())["account_pseudonyms"]
        self.assertGreater(len(vectors), 0)
        for vector in vectors:
            made = pseudonym(bytes.fromhex(vector["epoch_key"]), vector["account_id"])
            self.assertEqual(made.hex(), vector["pseudonym"], vector)

    def test_an_event_has_the_golden_bytes(self):
        event = json.loads(SCHEMA.with_suffix(".json").read_text())
        for field in ("event_id", "account"):
            event[field] = bytes.fromhex(event[field])
        for content in event["content"] + event["same_as"]:
            content["value"] = bytes.fromhex(content["value"])
        made = single_object(json.loads(SCHEMA.read_text()), event)
        self.assertEqual(made.hex(), SCHEMA.with_suffix(".golden").read_text().strip())


if __name__ == "__main__":
    unittest.main()
