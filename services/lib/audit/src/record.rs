use sha2::{Digest as _, Sha256};
use tocsin_model::{Class, Name, Scope, Timestamp};

use crate::{Digest, Field, Personal};

/// The longest object, in bytes. A longer one is cut.
pub const OBJECT_BYTES_MAX: usize = 512;
/// The longest detail, in bytes. A longer one is cut.
pub const DETAIL_BYTES_MAX: usize = 512;

/// What happened. The numbers are those of the chain and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Action {
    /// Restricted or account-derived data was read; the object is the route.
    Read = 1,
    /// A stream goes on; the object is the route. Once a minute.
    StreamWentOn = 2,
    /// Something was asked to be done; the object is the route.
    Commanded = 3,
    /// A case was decided; the detail is the verdict.
    Decided = 4,
    /// A decision was taken back before it went out.
    Withdrawn = 5,
    /// A key was issued; the object is whose it is.
    KeyIssued = 6,
    /// A key was revoked.
    KeyRevoked = 7,
    /// A party was added; the object is its name.
    PartyAdded = 8,
    /// A party was revoked; the object is its name.
    PartyRevoked = 9,
    /// An endpoint was added; the object is its name.
    EndpointAdded = 10,
    /// An endpoint got another secret, was disabled or enabled; the object is its name, the detail says which.
    EndpointChanged = 11,
    /// Clear text beside the chain was erased; the detail says of how many fields.
    Erased = 12,
    /// A sharing group was added or its members changed; the detail says which.
    GroupChanged = 13,
    /// A setting of a party was changed; the object is its name, the detail says which.
    PartyChanged = 14,
    /// An appeal was answered; the detail is the outcome and how far it goes.
    Answered = 15,
    /// Something was done with a preservation of a party's data; the detail says what, and which entry of its custody says so: place and hash.
    Preserved = 16,
    /// Evidence was handed out; the detail is the kind of its legal basis and, as above, the entry of the custody.
    Exported = 17,
    /// A person signed in; the detail says how.
    SignedIn = 32,
    /// A person signed out.
    SignedOut = 33,
    /// An account of an OpenID provider was bound to a person; the detail says by what.
    AccountBound = 34,
    /// Accounts were taken from a person, and their sessions ended; the detail says how many.
    AccountUnbound = 35,
    /// A link was made for a person that is good once; the detail says for what.
    LinkIssued = 36,
    /// A client certificate was bound to a key; the detail is the digest of its public key.
    CertificateBound = 37,
    /// A client certificate was taken from a key; the detail is the digest of its public key.
    CertificateUnbound = 38,
}

/// What is to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What happened.
    pub action: Action,
    /// For whom the key speaks with which it was done; `None`: it was done from the command line, on the store itself.
    pub team: Option<Scope>,
    /// What it was done to. Nothing of whose existence only some may know.
    pub object: String,
    /// What else is to be known of it, as little restricted.
    pub detail: String,
    /// What names or may name a person, each field once.
    pub personal: Vec<Personal>,
}

/// An entry in its place in a chain. Its hash also covers the hash before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The chain: the kind of node that wrote it.
    pub node: Name,
    /// Its place: 0, 1, 2 ...
    pub sequence: u64,
    /// When, by the store's clock. Within a chain clocks may go back; places do not.
    pub at: Timestamp,
    /// What happened.
    pub action: Action,
    /// For whom the key speaks with which it was done.
    pub team: Option<Scope>,
    /// What it was done to.
    pub object: String,
    /// What else is to be known of it.
    pub detail: String,
    /// The digests of the personal fields, ascending by field, each once.
    pub personal: Vec<(Field, Digest)>,
}

/// Bytes that no [`Record::to_bytes`] made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are none of an audit record")]
pub struct RecordError;

const VERSION: u8 = 1;
/// The number of the command line, where others have that of their class.
const NOBODY: u32 = u32::MAX;

impl Action {
    /// All actions.
    pub const ALL: [Action; 24] = [
        Action::Read,
        Action::StreamWentOn,
        Action::Commanded,
        Action::Decided,
        Action::Withdrawn,
        Action::KeyIssued,
        Action::KeyRevoked,
        Action::PartyAdded,
        Action::PartyRevoked,
        Action::EndpointAdded,
        Action::EndpointChanged,
        Action::Erased,
        Action::GroupChanged,
        Action::PartyChanged,
        Action::Answered,
        Action::Preserved,
        Action::Exported,
        Action::SignedIn,
        Action::SignedOut,
        Action::AccountBound,
        Action::AccountUnbound,
        Action::LinkIssued,
        Action::CertificateBound,
        Action::CertificateUnbound,
    ];

    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Action::Read => "read",
            Action::StreamWentOn => "stream_went_on",
            Action::Commanded => "commanded",
            Action::Decided => "decided",
            Action::Withdrawn => "withdrawn",
            Action::KeyIssued => "key_issued",
            Action::KeyRevoked => "key_revoked",
            Action::PartyAdded => "party_added",
            Action::PartyRevoked => "party_revoked",
            Action::EndpointAdded => "endpoint_added",
            Action::EndpointChanged => "endpoint_changed",
            Action::Erased => "erased",
            Action::GroupChanged => "group_changed",
            Action::PartyChanged => "party_changed",
            Action::Answered => "answered",
            Action::Preserved => "preserved",
            Action::Exported => "exported",
            Action::SignedIn => "signed_in",
            Action::SignedOut => "signed_out",
            Action::AccountBound => "account_bound",
            Action::AccountUnbound => "account_unbound",
            Action::LinkIssued => "link_issued",
            Action::CertificateBound => "certificate_bound",
            Action::CertificateUnbound => "certificate_unbound",
        }
    }

    /// The action of this number.
    pub fn from_number(number: u16) -> Option<Action> {
        Action::ALL.into_iter().find(|action| *action as u16 == number)
    }
}

impl Record {
    /// The one way to write it: a version, then every field in order, numbers big-endian, text and lists behind their lengths.
    pub fn to_bytes(&self) -> Vec<u8> {
        let team = self.team.map_or(NOBODY, |team| team.own_class().number());
        let mut bytes = Vec::with_capacity(64 + self.object.len() + self.detail.len() + 33 * self.personal.len());
        bytes.push(VERSION);
        put_text(&mut bytes, self.node.as_str());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.at.0.to_be_bytes());
        bytes.extend((self.action as u16).to_be_bytes());
        bytes.extend(team.to_be_bytes());
        put_text(&mut bytes, &self.object);
        put_text(&mut bytes, &self.detail);
        bytes.push(self.personal.len() as u8);
        for (field, digest) in &self.personal {
            bytes.push(*field as u8);
            bytes.extend(digest);
        }
        bytes
    }

    /// The record of these bytes.
    ///
    /// # Errors
    /// [`RecordError`]: [`Record::to_bytes`] makes no such bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Record, RecordError> {
        let mut rest = bytes;
        if take::<1>(&mut rest)? != [VERSION] {
            return Err(RecordError);
        }
        let node = take_text(&mut rest, Name::LENGTH_MAX)?
            .parse()
            .map_err(|_| RecordError)?;
        let sequence = u64::from_be_bytes(take(&mut rest)?);
        let at = Timestamp(i64::from_be_bytes(take(&mut rest)?));
        let action = Action::from_number(u16::from_be_bytes(take(&mut rest)?)).ok_or(RecordError)?;
        let team = match u32::from_be_bytes(take(&mut rest)?) {
            NOBODY => None,
            number => Some(Class::from_number(number).ok_or(RecordError)?.scope()),
        };
        let object = take_text(&mut rest, OBJECT_BYTES_MAX)?.to_owned();
        let detail = take_text(&mut rest, DETAIL_BYTES_MAX)?.to_owned();
        let [count] = take(&mut rest)?;
        let mut personal: Vec<(Field, Digest)> = Vec::with_capacity(usize::from(count).min(Field::ALL.len()));
        for _ in 0..count {
            let [number] = take(&mut rest)?;
            let field = Field::from_number(number).ok_or(RecordError)?;
            if personal.last().is_some_and(|(before, _)| *before >= field) {
                return Err(RecordError);
            }
            personal.push((field, take(&mut rest)?));
        }
        match rest {
            [] => Ok(Record {
                node,
                sequence,
                at,
                action,
                team,
                object,
                detail,
                personal,
            }),
            _ => Err(RecordError),
        }
    }

    /// Whether a clear text that lies beside the chain is the one this record was made with.
    pub fn is_of(&self, field: Field, salt: &crate::Salt, clear: &str) -> bool {
        let digest = field.digest(salt, clear);
        self.personal.iter().any(|(of, held)| *of == field && *held == digest)
    }
}

/// The hash of a record of these bytes behind `previous`: SHA-256 of a label, the hash before, and the bytes.
pub(crate) fn hash(previous: &Digest, bytes: &[u8]) -> Digest {
    Sha256::new()
        .chain_update(b"tocsin audit record 1\0")
        .chain_update(previous)
        .chain_update(bytes)
        .finalize()
        .into()
}

/// The text, cut where it is longer than `bytes_max`.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u16).to_be_bytes());
    bytes.extend(text.as_bytes());
}

fn take<const COUNT: usize>(rest: &mut &[u8]) -> Result<[u8; COUNT], RecordError> {
    let (taken, behind) = rest.split_first_chunk::<COUNT>().ok_or(RecordError)?;
    *rest = behind;
    Ok(*taken)
}

fn take_text<'a>(rest: &mut &'a [u8], bytes_max: usize) -> Result<&'a str, RecordError> {
    let length = usize::from(u16::from_be_bytes(take(rest)?));
    if length > bytes_max {
        return Err(RecordError);
    }
    let (taken, behind) = rest.split_at_checked(length).ok_or(RecordError)?;
    *rest = behind;
    std::str::from_utf8(taken).map_err(|_| RecordError)
}
