use std::collections::BTreeMap;

use tocsin_model::{Name, Timestamp};

use crate::record::{self, DETAIL_BYTES_MAX, OBJECT_BYTES_MAX};
use crate::{Checkpoint, Digest, Entry, Field, PERSONAL_BYTES_MAX, Record, Salt};

/// Where a chain ends: how many records it has, and the hash of the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many records; the next one has this place.
    pub records: u64,
    /// The hash of the last; zeros while there is none.
    pub hash: Digest,
}

/// A record to be kept, with what lies beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The record.
    pub record: Record,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its hash: where the chain now ends.
    pub hash: Digest,
    /// The personal fields in the clear.
    pub kept: Vec<Kept>,
}

/// A personal field as it lies beside the chain, until it is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it is.
    pub field: Field,
    /// What it was salted with.
    pub salt: Salt,
    /// The text.
    pub clear: String,
}

/// What is wrong with a chain. Places count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Another record stands where this place should come: some were removed, put in, or put in another order.
    #[error("record {expected} is missing: {found} stands in its place")]
    Missing {
        /// The place that should come.
        expected: u64,
        /// The place that came.
        found: u64,
    },
    /// The bytes do not make the hash that stands beside them.
    #[error("record {sequence} was altered")]
    Altered {
        /// Its place.
        sequence: u64,
    },
    /// The bytes are those of another chain, of another place, or of no record.
    #[error("record {sequence} is none of this chain")]
    Foreign {
        /// Its place.
        sequence: u64,
    },
    /// The chain holds together and is another than the one that a checkpoint was made of.
    #[error("the first {records} records are others than a checkpoint says")]
    Rewritten {
        /// How many records the checkpoint is of.
        records: u64,
    },
    /// Records that a checkpoint was made of are gone from the end.
    #[error("{promised} records are promised by a checkpoint, and there are {found}")]
    Truncated {
        /// How many records the checkpoint is of.
        promised: u64,
        /// How many there are.
        found: u64,
    },
}

/// How a chain must stand at some places: what checkpoints say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    heads: BTreeMap<u64, Digest>,
    contradicts: Option<u64>,
}

/// Reads a chain from its first record on and stops at the first fault. What it read stays right whatever comes behind.
#[derive(Clone, Debug)]
pub struct Verifier {
    node: Name,
    head: Head,
    expected: Expected,
}

impl Head {
    /// A chain without a record.
    pub const EMPTY: Head = Head {
        records: 0,
        hash: [0; 32],
    };

    /// Writes an entry behind the last record and moves on. One of `salts` is asked for each personal field. A text that is too long is cut.
    pub fn append(&mut self, node: &Name, at: Timestamp, entry: &Entry, mut salts: impl FnMut() -> Salt) -> Sealed {
        let by_field: BTreeMap<Field, &str> = entry.personal.iter().map(|one| (one.field, &*one.clear)).collect();
        let kept = by_field.into_iter().map(|(field, clear)| Kept {
            field,
            salt: salts(),
            clear: record::cut(clear, PERSONAL_BYTES_MAX).to_owned(),
        });
        let kept: Vec<Kept> = kept.collect();
        let digests = kept
            .iter()
            .map(|kept| (kept.field, kept.field.digest(&kept.salt, &kept.clear)));
        let record = Record {
            node: node.clone(),
            sequence: self.records,
            at,
            action: entry.action,
            team: entry.team,
            object: record::cut(&entry.object, OBJECT_BYTES_MAX).to_owned(),
            detail: record::cut(&entry.detail, DETAIL_BYTES_MAX).to_owned(),
            personal: digests.collect(),
        };
        let bytes = record.to_bytes();
        let hash = record::hash(&self.hash, &bytes);
        *self = Head {
            records: self.records + 1,
            hash,
        };
        Sealed {
            record,
            bytes,
            hash,
            kept,
        }
    }
}

impl Expected {
    /// Adds what a checkpoint says of the chain of `node`. One that does not know the chain says nothing.
    pub fn add(&mut self, checkpoint: &Checkpoint, node: &Name) {
        if let Some(chain) = checkpoint.chains.iter().find(|chain| chain.node == *node) {
            self.add_head(chain.head);
        }
    }

    /// Adds that the chain ended so at some time.
    pub fn add_head(&mut self, Head { records, hash }: Head) {
        // Two checkpoints of one place that differ: no chain is right by both.
        if *self.heads.entry(records).or_insert(hash) != hash {
            self.contradicts = Some(self.contradicts.map_or(records, |earlier| earlier.min(records)));
        }
    }
}

impl Verifier {
    /// A verifier of the chain of `node` that has read nothing yet.
    pub fn new(node: Name, expected: Expected) -> Verifier {
        Verifier {
            node,
            head: Head::EMPTY,
            expected,
        }
    }

    /// Where what was read ends.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Reads the next record: the place it is kept under, its bytes, and the hash that stands beside them.
    ///
    /// # Errors
    /// The first thing that is wrong; nothing may be read behind it.
    pub fn read(&mut self, sequence: u64, bytes: &[u8], beside: &[u8]) -> Result<Record, Fault> {
        let expected = self.head.records;
        if sequence != expected {
            return Err(Fault::Missing {
                expected,
                found: sequence,
            });
        }
        let hash = record::hash(&self.head.hash, bytes);
        if beside != hash {
            return Err(Fault::Altered { sequence });
        }
        let record = Record::from_bytes(bytes).map_err(|_| Fault::Foreign { sequence })?;
        if record.node != self.node || record.sequence != sequence {
            return Err(Fault::Foreign { sequence });
        }
        self.head = Head {
            records: expected + 1,
            hash,
        };
        self.check_head()?;
        Ok(record)
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// [`Fault::Truncated`], or [`Fault::Rewritten`].
    pub fn finish(self) -> Result<Head, Fault> {
        if let Some((&promised, _)) = self.expected.heads.last_key_value()
            && promised > self.head.records
        {
            return Err(Fault::Truncated {
                promised,
                found: self.head.records,
            });
        }
        self.check_head()?;
        match self.expected.contradicts {
            Some(records) => Err(Fault::Rewritten { records }),
            None => Ok(self.head),
        }
    }

    fn check_head(&self) -> Result<(), Fault> {
        match self.expected.heads.get(&self.head.records) {
            Some(hash) if *hash != self.head.hash => Err(Fault::Rewritten {
                records: self.head.records,
            }),
            _ => Ok(()),
        }
    }
}
