//! What the routes of evidence take and answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tocsin_evidence::{Basis, BasisKind, Preservation, PreservationCommand, SignedEntry};
use tocsin_model::Timestamp;
use tocsin_runtime::{Problem, problem};
use tocsin_wire::document::{instant, parse_instant};
use utoipa::{IntoParams, ToSchema};

/// By what right data is preserved or handed out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BasisRequest {
    /// `removal_order`, `complaint`, `review` (administrative or judicial), `investigation` (of terrorist offences) or `other_law`.
    pub basis: String,
    /// In words, in 1 to 2,048 bytes: what is asked for, by whom, under which law.
    pub text: String,
    /// The number of the order, the request or the file, in 1 to 256 bytes.
    pub reference: String,
}

/// A preservation holds longer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtendRequest {
    /// Until when, RFC 3339: later than its end, at most 24 months from now. By default six months longer.
    pub until: Option<String>,
    /// Why, in 1 to 2,048 bytes.
    pub reason: String,
}

/// A preservation ends now.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleasePreservationRequest {
    /// Why, in 1 to 2,048 bytes.
    pub reason: String,
}

/// Which preservations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PreservationParameters {
    /// Only those that have come so far: `waiting` (for their copy), `sealed`, `ended` (the copy is still to be deleted) or `deleted`.
    pub state: Option<String>,
    /// Only those of this case.
    pub case: Option<String>,
    /// How many at most: 1 to 200, by default 50.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// Preservations of the key's party.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreservationsDocument {
    /// The party's name.
    pub team: String,
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// The preservations, the latest first.
    pub preservations: Vec<PreservationDocument>,
    /// Pass it as `after` for the next page; null at the end.
    pub next: Option<String>,
}

/// Data about a case that is kept whatever happens to the original.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreservationDocument {
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// The case, 32 hexadecimal digits.
    pub case: String,
    /// `waiting` for its copy, `sealed`, `ended` (the copy is still to be deleted) or `deleted`.
    pub state: &'static str,
    /// By what right: `removal_order`, `complaint`, `review`, `investigation` or `other_law`.
    pub basis: &'static str,
    /// The same in words.
    pub text: String,
    /// The number of the order, the request or the file.
    pub reference: String,
    /// What placed it: a `person`, a `notice` (a removal order) or an `appeal`.
    pub origin: &'static str,
    /// The id of the person's key, of the notice or the appeal.
    pub origin_id: String,
    /// When, by the store's clock, RFC 3339.
    pub placed_at: Option<String>,
    /// The first moment at which it no longer holds.
    pub until: Option<String>,
    /// The first moment at which it may be released; null where that is at any time.
    pub required_until: Option<String>,
    /// How often it was extended.
    pub extensions: u32,
    /// How often its copy was handed out.
    pub exports: u32,
    /// What was copied; null until it is.
    pub copy: Option<SealedCopyDocument>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// The id of the key with which it was released; null where its time was over.
    pub released_by: Option<String>,
    /// When its copy was deleted.
    pub deleted_at: Option<String>,
}

/// What was copied.
#[derive(Debug, Serialize, ToSchema)]
pub struct SealedCopyDocument {
    /// When it was sealed, by the store's clock, RFC 3339.
    pub sealed_at: Option<String>,
    /// The SHA-256 of its manifest, 64 hexadecimal digits.
    pub manifest_sha256: String,
    /// How many of your events are in it.
    pub events: u64,
    /// How many bytes its files have.
    pub bytes: u64,
    /// Whether it ends at a limit: the manifest says at which.
    pub cut: bool,
}

/// A preservation with all that was done with it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreservationWithCustodyDocument {
    /// The preservation.
    #[serde(flatten)]
    pub preservation: PreservationDocument,
    /// What was done with it, from the first on.
    pub custody: Vec<CustodyDocument>,
    /// The key that signs entries, manifests and exports: Ed25519, 64 hexadecimal digits. Keep it: archives are checked with it.
    pub public_key: String,
}

/// One thing that was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustodyDocument {
    /// Its place in the chain, from 0.
    pub sequence: u64,
    /// When, by the store's clock, RFC 3339.
    pub at: Option<String>,
    /// `placed`, `sealed`, `extended`, `stood_for` (another order or appeal), `exported`, `released`, `expired` or `deleted`.
    pub act: Value,
    /// The id of the key that asked for it; `tocsin` where nobody did.
    pub by: String,
    /// What else is known of it.
    #[schema(value_type = Object)]
    pub detail: Map<String, Value>,
    /// The hash of the entry, SHA-256, 64 hexadecimal digits: the next one carries it.
    pub hash: String,
}

impl BasisRequest {
    pub(super) fn basis(self) -> Result<Basis, Problem> {
        let kind = BasisKind::from_name(&self.basis)
            .ok_or_else(|| invalid("basis: removal_order, complaint, review, investigation or other_law"))?;
        Ok(Basis {
            kind,
            text: self.text,
            reference: self.reference,
        })
    }
}

impl ExtendRequest {
    pub(super) fn command(self) -> Result<PreservationCommand, Problem> {
        let until = self.until.map(|text| parse_instant(&text));
        let until = until
            .map(|at| at.ok_or_else(|| invalid("until: RFC 3339")))
            .transpose()?;
        Ok(PreservationCommand::Extend {
            until,
            reason: self.reason,
        })
    }
}

impl ReleasePreservationRequest {
    pub(super) fn command(self) -> Result<PreservationCommand, Problem> {
        Ok(PreservationCommand::Release { reason: self.reason })
    }
}

impl From<&Preservation> for PreservationDocument {
    fn from(of: &Preservation) -> PreservationDocument {
        PreservationDocument {
            id: of.id.to_string(),
            case: of.case.to_string(),
            state: of.state().name(),
            basis: of.basis.kind.name(),
            text: of.basis.text.clone(),
            reference: of.basis.reference.clone(),
            origin: of.origin.name(),
            origin_id: of.origin.id(),
            placed_at: instant(of.placed_at),
            until: instant(of.until),
            required_until: of.required_until.and_then(instant),
            extensions: of.extensions,
            exports: of.exports,
            copy: of.copy.map(|copy| SealedCopyDocument {
                sealed_at: instant(copy.at),
                manifest_sha256: hex::encode(copy.manifest),
                events: copy.events,
                bytes: copy.bytes,
                cut: copy.is_cut,
            }),
            ended_at: of.ended.and_then(|end| instant(end.at)),
            released_by: of.ended.and_then(|end| end.by).map(|by| by.to_string()),
            deleted_at: of.deleted_at.and_then(instant),
        }
    }
}

impl From<&SignedEntry> for CustodyDocument {
    fn from(signed: &SignedEntry) -> CustodyDocument {
        let entry = &signed.entry;
        let detail = entry.detail.iter();
        CustodyDocument {
            sequence: entry.sequence,
            at: instant(Timestamp(entry.at_ms)),
            act: serde_json::to_value(entry.act).unwrap_or_default(),
            by: entry.by.clone(),
            detail: detail
                .map(|(name, text)| (name.clone(), text.as_str().into()))
                .collect(),
            hash: hex::encode(entry.hash()),
        }
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::new(problem::INVALID_BODY).with_detail(detail)
}
