#!/usr/bin/env node
// Publishes one upload to Tocsin by Kafka.
//
//     upload.js FILE|SHA256 ACCOUNT [SURFACE]
//
// ACCOUNT is the platform's own id of the account; it is not sent. The settings stand in the environment, as ../README.md says.
// Prints the event's id once the brokers have the event. Anything else is said on standard error, with status 1.

import { createHash, createHmac, randomUUID } from 'node:crypto';
import { createReadStream, readFileSync, realpathSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import avro from 'avsc';
import { Kafka, logLevel } from 'kafkajs';

const SCHEMA = new URL('../../../schemas/avro/event/1.avsc', import.meta.url);
const DELIVERY_MS_MAX = 30_000;

/** The 16 bytes that Tocsin may know of an account: HMAC-SHA-256 (RFC 2104) of its id as UTF-8 under the epoch's key, truncated. */
export function pseudonym(key, account) {
  return createHmac('sha256', key).update(account, 'utf8').digest().subarray(0, 16);
}

/** The SHA-256 of a file. One in hexadecimal stands for a file that is elsewhere. */
export async function fileHash(given) {
  if (/^[0-9a-f]{64}$/.test(given)) return { algorithm: 'sha256', value: Buffer.from(given, 'hex') };
  const hash = createHash('sha256');
  await pipeline(createReadStream(given), hash);
  return { algorithm: 'sha256', value: hash.digest() };
}

/** CRC-64-AVRO of a schema's canonical form (Avro 1.12, "Schema Fingerprints"), which the library does not compute: 8 bytes, little-endian. */
export function fingerprint(type) {
  const empty = 0xc15d213aa4d7a795n;
  let crc = empty;
  for (const byte of Buffer.from(JSON.stringify(type.schema()))) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1n) ^ (crc & 1n ? empty : 0n);
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(crc);
  return bytes;
}

/** Avro single-object encoding: a mark, the schema's fingerprint, the datum. */
export function singleObject(type, event) {
  return Buffer.concat([Buffer.of(0xc3, 0x01), fingerprint(type), type.toBuffer(event)]);
}

/** Confluent's framing with the id that the registry gave the schema. Registers nothing: intake must know the id beforehand. */
export async function registered(url, topic, schema, type, event) {
  const answer = await fetch(`${url}/subjects/${topic}-value`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema }),
    signal: AbortSignal.timeout(DELIVERY_MS_MAX),
  });
  if (!answer.ok) throw new Error(`the registry answers ${answer.status}: ${await answer.text()}`);
  const framing = Buffer.alloc(5);
  framing.writeUInt32BE((await answer.json()).id, 1);
  return Buffer.concat([framing, type.toBuffer(event)]);
}

/** The client's settings for TLS and SASL, where there is a user; plain text is for a broker on the same machine. */
function security() {
  const username = setting('TOCSIN_KAFKA_USER', '');
  if (!username) return {};
  const authority = setting('TOCSIN_KAFKA_CA_FILE', '');
  const password = readFileSync(setting('TOCSIN_KAFKA_PASSWORD_FILE'), 'utf8').trim();
  return { ssl: authority ? { ca: readFileSync(authority) } : true, sasl: { mechanism: 'scram-sha-512', username, password } };
}

/** Appends a record once, however often it has to be sent, and waits until it is on all in-sync replicas. */
export async function publish(brokers, topic, value) {
  const kafka = new Kafka({ brokers: brokers.split(','), clientId: 'tocsin-producer', logLevel: logLevel.NOTHING, ...security() });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  const late = new Promise((_, reject) => {
    const error = new Error('the brokers did not say whether they have the event; send it again with the same id');
    setTimeout(reject, DELIVERY_MS_MAX, error).unref();
  });
  const send = async () => {
    await producer.connect();
    await producer.send({ topic, acks: -1, messages: [{ value }] });
    await producer.disconnect();
  };
  await Promise.race([send(), late]);
}

function setting(name, otherwise) {
  const value = process.env[name] || otherwise;
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

async function main([given, account, surface = 'unknown', ...more]) {
  if (account === undefined || more.length > 0) throw new Error('usage: upload.js FILE|SHA256 ACCOUNT [SURFACE]');
  const keyFile = setting('TOCSIN_ACCOUNT_KEY_FILE');
  const keyText = readFileSync(keyFile, 'utf8').trim();
  if (!/^([0-9a-f]{2}){32,}$/i.test(keyText)) throw new Error(`${keyFile} does not hold 32 bytes or more in hexadecimal`);
  const eventId = setting('TOCSIN_EVENT_ID', randomUUID());
  const event = {
    event_id: Buffer.from(eventId.replaceAll('-', ''), 'hex'),
    platform: setting('TOCSIN_PLATFORM'),
    kind: 'upload',
    occurred_at: Date.now(),
    content: [await fileHash(given)],
    account: pseudonym(Buffer.from(keyText, 'hex'), account),
    account_epoch: Number(setting('TOCSIN_ACCOUNT_EPOCH')),
    surface,
    sharing: setting('TOCSIN_SHARING', 'party'),
  };
  const topic = `tocsin.ingest.${setting('TOCSIN_PARTY')}`;
  const schema = readFileSync(process.env.TOCSIN_SCHEMA || SCHEMA, 'utf8');
  const type = avro.Type.forSchema(JSON.parse(schema));
  const registry = process.env.TOCSIN_REGISTRY;
  const value = registry ? await registered(registry, topic, schema, type, event) : singleObject(type, event);
  await publish(setting('TOCSIN_BROKERS'), topic, value).catch((error) => {
    throw new Error(`event ${eventId}: ${error.message}`);
  });
  console.log(eventId);
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).then(
    () => process.exit(0),
    (error) => {
      console.error(`upload.js: ${error.message}${error.cause ? `: ${error.cause.message}` : ''}`);
      process.exit(1);
    },
  );
}
