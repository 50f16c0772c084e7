use std::sync::Arc;

use tocsin_casework::{AppealRefusal, NoticeRefusal, Refusal, ReviewRefusal};
use tocsin_model::{BankName, DrillId, KeyId, Name, PartyId};

use crate::{CertificateRefusal, EndpointKind, SignInRefusal};

/// What goes wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no database this store knows.
    #[error("the store's URL begins with sqlite: or postgres://")]
    UnknownUrl,
    /// The store is of a drill, and was opened as one of real things.
    #[error("the store is of the drill {drill}: nothing real is kept in it")]
    OfDrill {
        /// Which.
        drill: DrillId,
    },
    /// The store is not of this drill.
    #[error("the store is not of the drill {drill}")]
    NotOfDrill {
        /// Which was asked for.
        drill: DrillId,
    },
    /// The schema is not there, or something between here and the database leads elsewhere.
    #[error("the schema {schema} is not the one that connections get")]
    SchemaUnreached {
        /// Its name.
        schema: String,
    },
    /// Where the store of a drill was to be made something stands already.
    #[error("where the store of the drill {drill} was to be made, something stands already")]
    DrillTaken {
        /// Which.
        drill: DrillId,
    },
    /// An endpoint of this kind is not told of drills.
    #[error("an endpoint of kind {} cannot be registered for drills: webhook and kafka can", kind.name())]
    KindNotForDrills {
        /// The kind.
        kind: EndpointKind,
    },
    /// The tables could not be brought up to this version.
    #[error("bring the tables up to this version")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database failed.
    #[error("{operation} in the database")]
    Database {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: sqlx::Error,
    },
    /// A row holds what this version cannot have written.
    #[error("a row of the database is malformed: {field}")]
    Malformed {
        /// The column.
        field: &'static str,
    },
    /// The name belongs, or once belonged, to a party or platform; or to a person of the same team.
    #[error("the name {name} is taken")]
    NameTaken {
        /// The name.
        name: Name,
    },
    /// A party has 1 to [`crate::PLATFORMS_PER_PARTY_MAX`] platforms.
    #[error("a party has 1 to {} platforms, not {count}", crate::PLATFORMS_PER_PARTY_MAX)]
    PlatformCount {
        /// How many were given.
        count: usize,
    },
    /// No number is left.
    #[error("all numbers of parties or platforms are given")]
    NumbersExhausted,
    /// A report would rest on more rows than are read for one.
    #[error("a report of these days rests on more than {} rows", crate::REPORT_ROWS_MAX)]
    ReportTooLarge,
    /// A party that does research has no platforms, and is told of nothing but aggregates.
    #[error("party {} does research: its keys have the roles researcher and auditor, and it has no platforms, endpoints or settings", party.0)]
    ResearchParty {
        /// Its number.
        party: PartyId,
    },
    /// As many parties take part in the aggregates for researchers as may.
    #[error(
        "{} parties take part in the aggregates for researchers, and no more may",
        crate::RESEARCH_PARTIES_MAX
    )]
    ResearchPartyCount,
    /// There is no such party.
    #[error("there is no party {party}")]
    NoSuchParty {
        /// Its name or number.
        party: String,
    },
    /// There is no such platform.
    #[error("there is no platform {platform}")]
    NoSuchPlatform {
        /// Its name.
        platform: Name,
    },
    /// The party was revoked: it gets no keys.
    #[error("party {} was revoked", party.0)]
    PartyRevoked {
        /// Its number.
        party: PartyId,
    },
    /// There is no such key.
    #[error("there is no key {key}")]
    NoSuchKey {
        /// Its id.
        key: KeyId,
    },
    /// There is no such endpoint.
    #[error("there is no endpoint {endpoint}")]
    NoSuchEndpoint {
        /// Its name.
        endpoint: Name,
    },
    /// The endpoint is disabled.
    #[error("endpoint {endpoint} is disabled: enable it first")]
    EndpointDisabled {
        /// Its name.
        endpoint: Name,
    },
    /// There are as many endpoints as there may be.
    #[error("a deployment has at most {} endpoints", crate::ENDPOINTS_MAX)]
    EndpointCount,
    /// Another team is told in this topic.
    #[error(
        "the topic {topic} is that of endpoint {endpoint}, which is another team's: what is delivered there would be read by it"
    )]
    TopicTaken {
        /// Its name.
        topic: String,
        /// Whose it is.
        endpoint: Name,
    },
    /// A key has at least one role.
    #[error("a key has at least one role")]
    NoRoles,
    /// There is no such bank.
    #[error("there is no bank {bank}")]
    NoSuchBank {
        /// Its name.
        bank: BankName,
    },
    /// There are as many banks as there may be.
    #[error("there are {} banks, and no more may be made", crate::BANKS_MAX)]
    BanksExhausted,
    /// Entries of a list come ascending, each once, and only so many at a time.
    #[error("the entries of a list are too many at a time, or not ascending")]
    ListOutOfOrder,
    /// A list was left alone for so long that it was taken for abandoned.
    #[error("the list that was being written was taken for abandoned; begin again")]
    ListForgotten,
    /// The key of whoever commands was revoked.
    #[error("the key was revoked")]
    KeyRevoked,
    /// As many records wait for the audit chain as may.
    #[error("{} records wait for the audit chain", crate::RECORDS_WAITING_MAX)]
    AuditFull,
    /// A record was not in the audit chain in time.
    #[error("a record was not in the audit chain within {:?}", crate::AUDIT_TIME_MAX)]
    AuditTimedOut,
    /// The batch that a record was written with failed.
    #[error("write a batch of the audit chain")]
    AuditFailed(#[source] Arc<StoreError>),
    /// The rules of casework forbid it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The rules of incidents forbid it.
    #[error(transparent)]
    IncidentRefused(#[from] tocsin_incident::Refusal),
    /// There is no such sharing group.
    #[error("there is no sharing group {group}")]
    NoSuchSharingGroup {
        /// Its name.
        group: Name,
    },
    /// The text is no protocol.
    #[error("the file is no protocol")]
    ProtocolRefused(#[source] tocsin_protocol::Refused),
    /// Another protocol has this name and version, and a published one never changes.
    #[error("version {version} of the protocol {name} exists already and is another")]
    ProtocolTaken {
        /// Its name.
        name: String,
        /// Its version.
        version: u32,
    },
    /// The rules of notices forbid it.
    #[error(transparent)]
    NoticeRefused(#[from] NoticeRefusal),
    /// The rules of appeals forbid it.
    #[error(transparent)]
    AppealRefused(#[from] AppealRefusal),
    /// The rules of reviews forbid it.
    #[error(transparent)]
    ReviewRefused(#[from] ReviewRefusal),
    /// The rules of preservations forbid it.
    #[error(transparent)]
    PreservationRefused(#[from] tocsin_evidence::PreservationRefusal),
    /// This process was given no key that signs custody.
    #[error("this process signs no custody")]
    NoCustodyKey,
    /// Somebody is not signed in, or an account not bound.
    #[error(transparent)]
    SignInRefused(#[from] SignInRefusal),
    /// A client certificate is not bound to a key.
    #[error(transparent)]
    CertificateRefused(#[from] CertificateRefusal),
}

impl StoreError {
    /// A stable name for problem documents and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::UnknownUrl => "store_url_unknown",
            StoreError::OfDrill { .. } | StoreError::NotOfDrill { .. } => "store_of_drill",
            StoreError::DrillTaken { .. } => "drill_taken",
            StoreError::SchemaUnreached { .. } => "store_schema_unreached",
            StoreError::KindNotForDrills { .. } => "endpoint_kind_not_for_drills",
            StoreError::Migrate(_) => "store_migration_failed",
            StoreError::Database { .. } => "store_unavailable",
            StoreError::Malformed { .. } => "store_row_malformed",
            StoreError::NameTaken { .. } => "name_taken",
            StoreError::PlatformCount { .. } => "platform_count",
            StoreError::NumbersExhausted => "numbers_exhausted",
            StoreError::ReportTooLarge => "report_too_large",
            StoreError::ResearchParty { .. } => "party_does_research",
            StoreError::ResearchPartyCount => "research_party_count",
            StoreError::NoSuchParty { .. } => "party_unknown",
            StoreError::NoSuchPlatform { .. } => "platform_unknown",
            StoreError::PartyRevoked { .. } => "party_revoked",
            StoreError::NoSuchKey { .. } => "key_unknown",
            StoreError::NoSuchEndpoint { .. } => "endpoint_unknown",
            StoreError::EndpointDisabled { .. } => "endpoint_disabled",
            StoreError::EndpointCount => "endpoint_count",
            StoreError::TopicTaken { .. } => "topic_taken",
            StoreError::NoRoles => "roles_missing",
            StoreError::NoSuchBank { .. } => "bank_unknown",
            StoreError::BanksExhausted => "banks_exhausted",
            StoreError::ListOutOfOrder => "list_out_of_order",
            StoreError::ListForgotten => "list_forgotten",
            StoreError::KeyRevoked => "key_revoked",
            StoreError::AuditFull | StoreError::AuditTimedOut | StoreError::AuditFailed(_) => "audit_unavailable",
            StoreError::Refused(refusal) => refusal.code(),
            StoreError::IncidentRefused(refusal) => refusal.code(),
            StoreError::NoSuchSharingGroup { .. } => "sharing_group_unknown",
            StoreError::ProtocolRefused(_) => "protocol_refused",
            StoreError::ProtocolTaken { .. } => "protocol_taken",
            StoreError::NoticeRefused(refusal) => refusal.code(),
            StoreError::AppealRefused(refusal) => refusal.code(),
            StoreError::ReviewRefused(refusal) => refusal.code(),
            StoreError::PreservationRefused(refusal) => refusal.code(),
            StoreError::NoCustodyKey => "custody_key_missing",
            StoreError::SignInRefused(refusal) => refusal.code(),
            StoreError::CertificateRefused(refusal) => refusal.code(),
        }
    }

    /// Names what was tried when the database fails.
    pub(crate) fn database(operation: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
        move |source| StoreError::Database { operation, source }
    }

    /// Whether the database refused a row because another has the same unique value.
    pub(crate) fn is_unique_violation(error: &sqlx::Error) -> bool {
        matches!(error, sqlx::Error::Database(error) if error.is_unique_violation())
    }
}
