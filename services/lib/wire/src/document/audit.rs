use serde::{Deserialize, Serialize};
use tocsin_audit::{ChainHead, Checkpoint, Head, PublicKey, Signed};
use utoipa::ToSchema;

use super::{instant, parse_instant};

/// A signed checkpoint of the audit chains, to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointDocument {
    /// When it was made, RFC 3339.
    pub at: String,
    /// Where each chain ended, ascending by node.
    pub chains: Vec<ChainDocument>,
    /// The key it was signed with: Ed25519, 64 hexadecimal digits.
    pub public_key: String,
    /// The signature, 128 hexadecimal digits.
    pub signature: String,
}

/// Where a chain ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChainDocument {
    /// The kind of node that writes it.
    pub node: String,
    /// How many records it has.
    pub records: u64,
    /// The hash of the last: SHA-256, 64 hexadecimal digits.
    pub hash: String,
}

/// The document is none of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the field {field} is none of a checkpoint")]
pub struct CheckpointMalformed {
    /// Where.
    pub field: &'static str,
}

impl From<&Signed> for CheckpointDocument {
    fn from(signed: &Signed) -> Self {
        let chains = signed.checkpoint.chains.iter().map(|chain| ChainDocument {
            node: chain.node.to_string(),
            records: chain.head.records,
            hash: hex::encode(chain.head.hash),
        });
        CheckpointDocument {
            at: instant(signed.checkpoint.at).unwrap_or_default(),
            chains: chains.collect(),
            public_key: hex::encode(signed.public_key.0),
            signature: hex::encode(signed.signature),
        }
    }
}

impl CheckpointDocument {
    /// What it says. Whether it was signed so is [`Signed::verify`]'s to say.
    ///
    /// # Errors
    /// A field has not its form.
    pub fn read(&self) -> Result<Signed, CheckpointMalformed> {
        let malformed = |field| CheckpointMalformed { field };
        let chains = self.chains.iter().map(|chain| {
            Ok(ChainHead {
                node: chain.node.parse().map_err(|_| malformed("node"))?,
                head: Head {
                    records: chain.records,
                    hash: bytes(&chain.hash).ok_or(malformed("hash"))?,
                },
            })
        });
        Ok(Signed {
            checkpoint: Checkpoint {
                at: parse_instant(&self.at).ok_or(malformed("at"))?,
                chains: chains.collect::<Result<_, _>>()?,
            },
            public_key: PublicKey(bytes(&self.public_key).ok_or(malformed("public_key"))?),
            signature: bytes(&self.signature).ok_or(malformed("signature"))?,
        })
    }
}

fn bytes<const COUNT: usize>(text: &str) -> Option<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    //! Goal: a checkpoint that was written reads back and is believed, and one with another digit is not.
    #![allow(clippy::unwrap_used)]

    use tocsin_audit::SigningKey;
    use tocsin_model::Timestamp;

    use super::*;

    type Change = fn(&mut CheckpointDocument);

    #[test]
    fn a_checkpoint_reads_back_and_is_believed() {
        let head = Head {
            records: 12,
            hash: [0xab; 32],
        };
        let chains = ["command", "query"].map(|node| ChainHead {
            node: node.parse().unwrap(),
            head,
        });
        let key = SigningKey::from_seed(&[1; 32]);
        let signed = key.sign(Checkpoint {
            at: Timestamp(1_700_000_000_123),
            chains: chains.to_vec(),
        });
        let document = CheckpointDocument::from(&signed);
        let text = serde_json::to_string(&document).unwrap();
        let read: CheckpointDocument = serde_json::from_str(&text).unwrap();
        assert_eq!(read.read(), Ok(signed.clone()));
        assert_eq!(read.read().unwrap().verify(&key.public()), Ok(()));
        let other = CheckpointDocument {
            at: "2023-11-14T22:13:20.124Z".to_owned(),
            ..document.clone()
        };
        assert!(other.read().unwrap().verify(&key.public()).is_err());
        let wrong: [(Change, &str); 5] = [
            (|one| one.at.clear(), "at"),
            (|one| one.public_key.truncate(62), "public_key"),
            (|one| one.signature.push_str("00"), "signature"),
            (|one| one.chains[0].hash = "z".repeat(64), "hash"),
            (|one| one.chains[1].node = "Query!".to_owned(), "node"),
        ];
        for (change, field) in wrong {
            let mut changed = document.clone();
            change(&mut changed);
            assert_eq!(changed.read(), Err(CheckpointMalformed { field }));
        }
    }
}
