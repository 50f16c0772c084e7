use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tocsin_model::Timestamp;

use crate::form::{hex_digest, hex_signature};
use crate::{Digest, PreservationId, PublicKey, Signer};

/// What was done with what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// The preservation was placed.
    Placed,
    /// Its copy was sealed; the detail names the SHA-256 of the manifest.
    Sealed,
    /// It holds longer.
    Extended,
    /// A further order or appeal stands on it.
    StoodFor,
    /// Its copy was handed out as an archive.
    Exported,
    /// A person ended it.
    Released,
    /// Its time was over.
    Expired,
    /// Its copy was deleted.
    Deleted,
}

/// One thing that was done with what is held, behind the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustodyEntry {
    /// Its place: 0, 1, 2 ...
    pub sequence: u64,
    /// The preservation.
    pub preservation: PreservationId,
    /// When, by the store's clock, in milliseconds since 1970. Clocks may go back; places do not.
    pub at_ms: i64,
    /// What.
    pub act: Act,
    /// Who: the id of the key that asked for it; `tocsin` where nobody did.
    pub by: String,
    /// What else is to be known of it, by name.
    pub detail: BTreeMap<String, String>,
    /// The hash of the entry before; of the first 32 zeros.
    #[serde(with = "hex_digest")]
    pub previous: Digest,
}

/// An entry and who answers for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedEntry {
    /// The entry.
    pub entry: CustodyEntry,
    /// Ed25519 over its hash, behind the label of [`CustodyEntry::hash`].
    #[serde(with = "hex_signature")]
    pub signature: [u8; 64],
}

/// Where a chain of custody ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The preservation.
    pub preservation: PreservationId,
    /// How many entries it has.
    pub entries: u64,
    /// The hash of the last; 32 zeros of none.
    pub head: Digest,
}

/// Why a chain of custody is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustodyFault {
    /// A line is no entry, or not as one is spelled.
    #[error("line {0} of the chain of custody is no entry")]
    Line(u64),
    /// An entry is missing, doubled, moved or of another preservation.
    #[error("entry {0} of the chain of custody does not follow the one before")]
    Order(u64),
    /// The signature is none of this entry.
    #[error("the signature of entry {0} of the chain of custody does not hold")]
    Signature(u64),
}

const LABEL: &[u8] = b"tocsin custody entry 1\0";

impl CustodyEntry {
    /// SHA-256 of a label and the entry as it is spelled.
    pub fn hash(&self) -> Digest {
        let spelled = serde_json::to_vec(self).expect("text and numbers are always JSON");
        Sha256::new()
            .chain_update(LABEL)
            .chain_update(spelled)
            .finalize()
            .into()
    }
}

impl SignedEntry {
    /// As it stands in `custody.jsonl`, with the end of its line.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("text and numbers are always JSON");
        line.push('\n');
        line
    }

    /// What [`SignedEntry::to_line`] wrote, without the end of the line, and no other spelling of it.
    pub fn parse(line: &str) -> Option<SignedEntry> {
        let entry: SignedEntry = serde_json::from_str(line).ok()?;
        (entry.to_line().strip_suffix('\n') == Some(line)).then_some(entry)
    }
}

impl Chain {
    /// The chain of a preservation that nothing was done with.
    pub fn of(preservation: PreservationId) -> Chain {
        Chain {
            preservation,
            entries: 0,
            head: [0; 32],
        }
    }

    /// Adds what was done by whom.
    pub fn append(
        &mut self,
        signer: &Signer,
        (at, by): (Timestamp, &str),
        (act, detail): (Act, BTreeMap<String, String>),
    ) -> SignedEntry {
        let entry = CustodyEntry {
            sequence: self.entries,
            preservation: self.preservation,
            at_ms: at.0,
            act,
            by: by.to_owned(),
            detail,
            previous: self.head,
        };
        let hash = entry.hash();
        (self.entries, self.head) = (self.entries + 1, hash);
        SignedEntry {
            signature: signer.sign(&[LABEL, &hash[..]].concat()),
            entry,
        }
    }

    /// Takes an entry that is said to come next.
    ///
    /// # Errors
    /// [`CustodyFault::Order`] and [`CustodyFault::Signature`]; the chain is as it was then.
    pub fn take(&mut self, signed: &SignedEntry, key: &PublicKey) -> Result<(), CustodyFault> {
        let entry = &signed.entry;
        let is_first = entry.act == Act::Placed;
        let follows =
            (entry.sequence, entry.preservation, entry.previous) == (self.entries, self.preservation, self.head);
        if !follows || is_first != (self.entries == 0) {
            return Err(CustodyFault::Order(self.entries));
        }
        let hash = entry.hash();
        if !key.is_signed(&[LABEL, &hash[..]].concat(), &signed.signature) {
            return Err(CustodyFault::Signature(self.entries));
        }
        (self.entries, self.head) = (self.entries + 1, hash);
        Ok(())
    }
}

/// The entries of `custody.jsonl`, each of which follows the one before and is signed with `key`. That the last ones are there is for the caller to know: an
/// archive says how many there are.
///
/// # Errors
/// See [`CustodyFault`].
pub fn custody_of(
    preservation: PreservationId,
    file: &[u8],
    key: &PublicKey,
) -> Result<Vec<CustodyEntry>, CustodyFault> {
    let mut chain = Chain::of(preservation);
    let text = std::str::from_utf8(file).map_err(|_| CustodyFault::Line(0))?;
    let mut entries = Vec::new();
    for line in text.split_inclusive('\n') {
        let number = chain.entries;
        let line = line.strip_suffix('\n').ok_or(CustodyFault::Line(number))?;
        let signed = SignedEntry::parse(line).ok_or(CustodyFault::Line(number))?;
        chain.take(&signed, key)?;
        entries.push(signed.entry);
    }
    Ok(entries)
}
