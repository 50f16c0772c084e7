// The program makes the pseudonyms of the shared vectors and the bytes of the golden event.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import avro from 'avsc';
import { pseudonym, singleObject } from './upload.js';

const read = (name) => readFileSync(new URL(`../../../schemas/${name}`, import.meta.url), 'utf8');
const raw = (text) => Buffer.from(text, 'hex');

test('pseudonyms are those of the vectors', () => {
  const vectors = JSON.parse(read('vectors/identifiers.json')).account_pseudonyms;
  assert.ok(vectors.length > 0);
  for (const { epoch_key, account_id, pseudonym: expected } of vectors) {
    assert.equal(pseudonym(raw(epoch_key), account_id).toString('hex'), expected);
  }
});

test('an event has the golden bytes', () => {
  const golden = JSON.parse(read('avro/event/1.json'));
  const hashes = (list) => list.map((hash) => ({ ...hash, value: raw(hash.value) }));
  const event = {
    ...golden,
    event_id: raw(golden.event_id),
    account: raw(golden.account),
    content: hashes(golden.content),
    same_as: hashes(golden.same_as),
  };
  const made = singleObject(avro.Type.forSchema(JSON.parse(read('avro/event/1.avsc'))), event);
  assert.equal(made.toString('hex'), read('avro/event/1.golden').trim());
});
