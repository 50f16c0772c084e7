//! The data of Tocsin: what an event, a sighting, a link, an alert are, and the keyed identifiers that stand for contents and accounts.
//!
//! What this crate does not do: no clock, no I/O, no thread, no randomness, no encoding of bytes on the wire (that is `tocsin-wire`).
//!
//! Invariants:
//! * A [`ContentId`] depends on the permanent [`DeploymentKey`] and the content hash alone, so routing never changes.
//! * Identifiers that could be swapped by mistake are different types.
//!
//! Start reading at [`Event`] (what a platform tells us), then [`Sighting`] (what the detector is told), then [`Alert`].

mod alert;
mod bank;
mod calibration;
mod content;
mod decision;
mod event;
mod id;
mod interval;
mod key;
mod kind;
mod link;
mod live;
mod null;
mod party;
mod population;
mod public_key;
mod rank;
mod sighting;
mod time;
mod url;
mod visibility;
mod watch;
mod weighing;

pub use alert::{
    Alert, AlertId, AlertLevel, AlertReason, Estimate, NextHour, PartyInfluence, PlatformFigures, PriorityTerm,
    Quantiles, ScoreTerms, TriggerEvidence,
};
pub use bank::{Aggregate, BankEntry, BankName, BankNameError, ListUpdate, Opinion, Sampled};
pub use calibration::Calibration;
pub use content::{Algorithm, ContentHash, ContentHashError, ContentId, FamilyId, GroupId, KEY_GROUPS, PartitionCount};
pub use decision::{Decision, DecisionId, Grounds, RecommendedAction, ToldDecision, Verdict};
pub use event::{Event, EventId, Frame, Label};
pub use id::{DrillId, DrillIdError, IdError, KeyId, parse_hex_id};
pub use interval::Interval;
pub use key::{AccountPseudonym, AccountToken, DeploymentKey, EpochKey, KeyEpoch};
pub use kind::{Kind, Surface};
pub use link::{Delta, Evidence, FamilyAnnouncement, FurtherHash, Joined, Link, ToldBy};
pub use live::LiveFigures;
pub use null::{BetaLaw, GammaLaw, PlatformNull};
pub use party::{Name, NameError, PartyId, PlatformId};
pub use population::{CountSums, PartSums, Population, Populations};
pub use public_key::{PublicKeyDigest, PublicKeyDigestError};
pub use rank::nearest_rank;
pub use sighting::{ClockFlag, HashRef, Sighting, SightingKeys, SourceCoordinate, SourceId};
pub use time::{Milliseconds, Timestamp};
pub use url::{TRACKING_PARAMETERS, normal_url};
pub use visibility::{Class, Scope, Sharing};
pub use watch::{Severity, Watch};
pub use weighing::{EvidenceCount, EvidenceKind, Weighing};
