//! A log of every kind of record, and what somebody does to it who can write to the database.

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use sha2::{Digest as _, Sha256};
use tocsin_audit::{
    Action, ChainHead, Checkpoint, Digest, Entry, Expected, Fault, Field, Head, Kept, Personal, Record, Verifier,
};
use tocsin_model::{Name, PartyId, Scope, Timestamp};

/// A record as a row of the database.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub sequence: u64,
    pub bytes: Vec<u8>,
    pub hash: Digest,
}

/// A chain, what lies beside it, and the checkpoint that a party holds of it.
pub struct Log {
    pub rows: Vec<Row>,
    pub kept: Vec<Vec<Kept>>,
    pub checkpoint: Checkpoint,
}

pub fn node() -> Name {
    "dispatcher".parse().unwrap()
}

pub fn rng(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

pub fn entry(rng: &mut TestRng) -> Entry {
    let teams = [
        None,
        Some(Scope::All),
        Some(Scope::Coordinators),
        Some(Scope::Party(PartyId(rng.next_u32() as u16))),
    ];
    let mut personal = vec![Personal::new(Field::Key, format!("{:032x}", rng.next_u64() % 16))];
    if rng.next_u32().is_multiple_of(2) {
        personal.push(Personal::new(Field::About, format!("value={:x}", rng.next_u64())));
    }
    Entry {
        action: Action::ALL[rng.next_u32() as usize % Action::ALL.len()],
        team: teams[rng.next_u32() as usize % teams.len()],
        object: format!("/v1/families/{:032x}", rng.next_u64()),
        detail: format!("{}", rng.next_u32() % 3),
        personal,
    }
}

impl Log {
    /// So many records, and a checkpoint of all of them.
    pub fn new(records: usize, seed: u64) -> Log {
        let mut rng = rng(seed);
        let mut head = Head::EMPTY;
        let (mut rows, mut kept) = (Vec::new(), Vec::new());
        for second in 0..records as i64 {
            let entry = entry(&mut rng);
            let mut salts = crate::log::rng(rng.next_u64());
            let sealed = head.append(&node(), Timestamp(1_700_000_000_000 + second), &entry, || {
                salt(&mut salts)
            });
            rows.push(Row {
                sequence: sealed.record.sequence,
                bytes: sealed.bytes,
                hash: sealed.hash,
            });
            kept.push(sealed.kept);
        }
        let checkpoint = Checkpoint {
            at: Timestamp(1_700_000_000_000 + records as i64),
            chains: vec![ChainHead { node: node(), head }],
        };
        Log { rows, kept, checkpoint }
    }

    pub fn verifier(&self) -> Verifier {
        let mut expected = Expected::default();
        expected.add(&self.checkpoint, &node());
        Verifier::new(node(), expected)
    }
}

pub fn salt(rng: &mut TestRng) -> [u8; 16] {
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    salt
}

/// Reads rows behind what `verifier` has read, to the end.
pub fn verify<'a>(mut verifier: Verifier, rows: impl IntoIterator<Item = &'a Row>) -> Result<Head, Fault> {
    for row in rows {
        verifier.read(row.sequence, &row.bytes, &row.hash)?;
    }
    verifier.finish()
}

/// What whoever can write to the database does at the end: number the rows anew behind `from`, places inside the bytes too, and compute every hash
/// again. Written from the docs, not with the code under test.
pub fn cover_up(rows: &mut [Row], from: Head) {
    let (mut next, mut previous) = (from.records, from.hash);
    for row in rows {
        if row.sequence != next {
            row.sequence = next;
            if let Ok(mut record) = Record::from_bytes(&row.bytes) {
                record.sequence = next;
                row.bytes = record.to_bytes();
            }
        }
        let mut sha = Sha256::new();
        sha.update(b"tocsin audit record 1\0");
        sha.update(previous);
        sha.update(&row.bytes);
        row.hash = sha.finalize().into();
        (next, previous) = (next + 1, row.hash);
    }
}
