"""The program makes the pseudonyms of the shared vectors, the bytes of the golden event, and the hashes of files: python3 -m unittest."""

import json
import random
import tempfile
import unittest
from contextlib import redirect_stderr
from hashlib import sha256
from io import StringIO
from pathlib import Path

from PIL import Image

from upload import SCHEMA, content, pseudonym, single_object

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

    def test_a_picture_has_a_pdq_hash_that_its_small_copy_is_near(self):
        picture = Image.frombytes("RGB", (8, 8), random.Random(1).randbytes(192)).resize((400, 300), Image.Resampling.BICUBIC)
        pdq = []
        with tempfile.TemporaryDirectory() as work:
            for size in ((400, 300), (200, 150)):
                picture.resize(size).save(f"{work}/picture.png")
                hashes = {found["algorithm"]: found for found in content(f"{work}/picture.png")}
                self.assertEqual(hashes["sha256"]["value"], sha256(Path(work, "picture.png").read_bytes()).digest())
                self.assertGreaterEqual(hashes["pdq"]["quality"], 50)
                pdq.append(int.from_bytes(hashes["pdq"]["value"], "big"))
        self.assertLessEqual((pdq[0] ^ pdq[1]).bit_count(), 31)

    def test_what_is_no_picture_or_a_broken_one_has_its_sha256_alone(self):
        with tempfile.TemporaryDirectory() as work:
            file = Path(work, "file")
            Image.frombytes("RGB", (64, 64), random.Random(2).randbytes(12288)).save(file, "PNG")
            for whole in (b"no picture", file.read_bytes()[:4000]):
                file.write_bytes(whole)
                with redirect_stderr(StringIO()):
                    self.assertEqual(content(str(file)), [{"algorithm": "sha256", "value": sha256(whole).digest()}])


if __name__ == "__main__":
    unittest.main()
