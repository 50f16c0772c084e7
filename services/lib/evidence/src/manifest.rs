use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::form::hex_digest;
use crate::{Basis, Digest, PreservationId};

/// What a sealed copy consists of. A change of its shape is another `format`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`Manifest::FORMAT`].
    pub format: String,
    /// The preservation.
    pub preservation: PreservationId,
    /// Whose data it is: the name of the party.
    pub party: String,
    /// The case, 32 hexadecimal digits.
    pub case: String,
    /// Its family when it was copied, 32 hexadecimal digits.
    pub family: String,
    /// By what right.
    pub basis: Basis,
    /// When copying began, by the store's clock, in milliseconds since 1970.
    pub began_at_ms: i64,
    /// When it was sealed.
    pub sealed_at_ms: i64,
    /// From which time on events were read, by when the log received them; null: all that it kept.
    pub events_from_ms: Option<i64>,
    /// Whether some of that time were deleted before they were read.
    pub events_deleted: bool,
    /// Records of the party's ingest topic, and events in them, that cannot be read: intake refused them too.
    pub events_unread: u64,
    /// At which limits it ends before everything was copied; empty where it is whole.
    pub cut: Vec<Cut>,
    /// The files, in the order in which they stand in an archive, each once.
    pub files: Vec<FileEntry>,
}

/// A file of a sealed copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name, without a directory.
    pub name: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// How many records: of JSON lines the lines, else 1.
    pub records: u64,
    /// The SHA-256 of its bytes.
    #[serde(with = "hex_digest")]
    pub sha256: Digest,
}

/// A limit at which something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// Members of the family that were looked for.
    Members,
    /// Events that were copied.
    Events,
    /// Bytes of events.
    Bytes,
    /// Records of the ingest topic that were read.
    Records,
    /// Rows of one kind about the case.
    Rows,
    /// Hot records are known of some members alone.
    Figures,
}

/// What an archive says of itself: which copy it holds, who asked for it, and by what right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// [`Export::FORMAT`].
    pub format: String,
    /// The preservation.
    pub preservation: PreservationId,
    /// Whose data it is: the name of the party.
    pub party: String,
    /// When it was made, by the store's clock, in milliseconds since 1970.
    pub exported_at_ms: i64,
    /// The id of the key that asked for it.
    pub by: String,
    /// By what right.
    pub basis: Basis,
    /// The SHA-256 of `manifest.json`.
    #[serde(with = "hex_digest")]
    pub manifest_sha256: Digest,
    /// How many entries `custody.jsonl` has: this export is the last.
    pub custody_entries: u64,
    /// The SHA-256 of `custody.jsonl`.
    #[serde(with = "hex_digest")]
    pub custody_sha256: Digest,
}

impl Manifest {
    /// The format that is written, and the only one that is read.
    pub const FORMAT: &str = "tocsin-sealed-copy/1";
    /// How long one is at most, in bytes.
    pub const BYTES_MAX: u64 = 1 << 20;
    /// The name of its file.
    pub const FILE: &str = "manifest.json";
    /// The name of the file of its signature.
    pub const SIGNATURE_FILE: &str = "manifest.sig";

    /// Its one spelling: JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        spelled(self)
    }

    /// What [`Manifest::to_bytes`] wrote, and no other spelling.
    pub fn from_bytes(bytes: &[u8]) -> Option<Manifest> {
        let manifest: Manifest = read(bytes)?;
        (manifest.format == Manifest::FORMAT).then_some(manifest)
    }
}

impl Export {
    /// The format that is written, and the only one that is read.
    pub const FORMAT: &str = "tocsin-evidence/1";
    /// How long one is at most, in bytes.
    pub const BYTES_MAX: u64 = 64 << 10;
    /// The name of its file.
    pub const FILE: &str = "export.json";
    /// The name of the file of its signature.
    pub const SIGNATURE_FILE: &str = "export.sig";
    /// The name of the file of the chain of custody.
    pub const CUSTODY_FILE: &str = "custody.jsonl";
    /// How long that is at most, in bytes.
    pub const CUSTODY_BYTES_MAX: u64 = 64 << 20;

    /// Its one spelling: JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        spelled(self)
    }

    /// What [`Export::to_bytes`] wrote, and no other spelling.
    pub fn from_bytes(bytes: &[u8]) -> Option<Export> {
        let export: Export = read(bytes)?;
        (export.format == Export::FORMAT).then_some(export)
    }
}

fn spelled<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("text, numbers and lists are always JSON")
}

fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(bytes).ok()?;
    (spelled(&value) == bytes).then_some(value)
}
