//! The casework store: parties and their keys, cases and their decisions, incidents, endpoints and what is on its way to them, the watch list,
//! and what page thresholds rest on, in an SQLite file or in PostgreSQL.
//!
//! What this crate does not do: it holds no events, counts or alerts' history (those are on the log), it publishes nothing itself (a
//! decision is written with an outbox row that the dispatcher publishes), and the rules of a case are not in its SQL: they are the pure
//! functions of `tocsin_casework`, which the store carries out inside a transaction.
//!
//! Invariants:
//! * Numbers and names of parties and platforms are given once and never used again.
//! * Of an API key only the SHA-256 of its secret is stored; a revoked key is refused within [`KEY_CACHE_AGE_MAX`] everywhere.
//! * An alert changes the cases at most once, by its id.
//! * Every write by the holder of a lease carries the lease's fencing number; an old one is refused. A decision, its outbox row and its
//!   deliveries are written together or not at all, and go together when it is taken back: then nothing went out.
//! * A revoked key holds no lease.
//! * A session speaks as its person's key and ends with it. A one-time link is good once, and a sign-in comes to its end once, whatever is sent again.
//! * A client certificate speaks as the key its public key is bound to, and ends with it. Its token is made in this process, for a connection on which the
//!   certificate was proved, and no other process takes it.
//! * Who an account of a provider is follows from its issuer and subject alone.
//! * A member of a decided family is told of a decision of a team once, and last of the one that stands in the family it belongs to.
//! * Of two cases of a team whose families became one, one remains, and no case goes into another in a circle. What is older than what was said of a
//!   family last carries nothing.
//! * An alert becomes a delivery in the transaction that applies it, once for each endpoint of those who may see it. Of a try only the
//!   latest is believed.
//! * A bank stands for one whole list: replacing it is one transaction, whatever its length, and no transaction grows with the list.
//! * Events of incidents are only added. An incident or an event that a reader may not see is answered as one that does not exist.
//! * At most one dispatcher holds the calibrator's lease; a threshold is written under it or not at all.
//! * Whatever changes who may do what, and every decision, is in the audit chain by the transaction that does it, or is not done.
//! * What a platform confirms is kept with its decision, under the lock of the case; each time at which somebody is reminded is told of once.
//! * A notice is filed once, by authority, reference and part, and escalated once for each deadline. What changes it holds its case.
//! * An appeal is filed once, by its reference, and handed to nobody who decided about its case. An answer and all that follows from it are written
//!   together.
//! * What a keyed hash draws of a team's decisions is written with them. Nobody reviews what they decided, and no figure of reviews says who.
//! * A report is read in one transaction that sees one moment, some rows at a time, and rests on a stated number of them at most.
//! * A day that was published for researchers never changes. It holds what is told of numbers, of parties that took part for the whole of it alone; the numbers
//!   are not kept.
//! * A party that does research has no platforms, keys that read aggregates and its own audit chain alone, and no endpoints.
//! * What is preserved is ended by its time or by a person alone, and whatever is done with it is an entry of its custody, in the transaction that does it.
//! * The store of a drill is never opened as one of real things, nor the other way. An endpoint that is registered for drills gets what happens in drills
//!   and nothing else, and nobody else gets that.
//! * Leases are timed by the database's clock, so that several dispatchers agree.
//! * Both databases give the same answers: the same tests run against both.
//!
//! Start reading at [`Store`].

mod alert_json;
mod appeals;
mod applied;
mod audit;
mod cases;
mod certificate;
mod clock;
mod database;
mod decision_json;
mod delivery;
mod digest;
mod drill;
mod email_told;
mod endpoint;
mod endpoint_limit;
mod error;
mod incidents;
mod key;
mod key_cache;
mod look_ups;
mod migrations;
mod notices;
mod nulls;
mod outbox;
mod ozone;
mod ozone_reports;
mod ozone_subjects;
mod ozone_told;
mod paging;
mod party;
mod party_setting;
mod preservations;
mod reactions;
mod readers;
mod reports;
mod research;
mod reviews;
mod role;
mod schema;
mod sharing_group;
mod sign_in;
mod tool;
mod watch;
mod weighing;

use std::sync::{Arc, OnceLock};

pub use appeals::{
    APPEALS_SUMMED_MAX, AppealCounts, AppealCursor, AppealPage, AppealQuery, AppealState, Appealed, ListedAppeal,
    ToldAppeal,
};
pub use applied::AlertEffects;
pub use audit::{
    AUDIT_PAGE_MAX, AUDIT_TIME_MAX, AuditPage, AuditPersonal, AuditRecord, AuditReport, ChainFault, ChainReport,
    PageOf, RECORDS_WAITING_MAX,
};
pub use cases::{
    ACKNOWLEDGEMENTS_MAX, Acknowledged, AcknowledgementCounts, Belonging, CANDIDATES_MAX, CLOCKS_MAX, Carried,
    CaseContents, Choice, Commanded, Cursor, DueFan, FAMILIES_MAX, FAN_OUT_MAX, FOLLOWED_DECISIONS_MAX, FOLLOWED_FOR,
    FamilyCase, FamilySaid, FannedOut, Followed, FollowedDecision, GLANCES_MAX, GLANCES_OVERLAP, HEARD_MAX,
    HISTORY_MAX, HistoryEntry, LiveMember, MemberAcknowledgement, MemberTally, Observed, QueueCounts, QueuePage,
    QueueQuery, Reminded, SHARED_FAMILIES_MAX, SHARED_FOR, SHIFT_STEPS_KEPT, SKIPPED_FOR, STANDINGS_MAX, STREAMS_MAX,
    SharedFamily, UNCONFIRMED_TOLD_MAX, Unconfirmed, UnconfirmedDecision, UnconfirmedMember, Watched,
};
pub use certificate::{
    BoundCertificate, CERTIFICATES_PER_KEY_MAX, CertificateRecord, CertificateRefusal, CertificateToken,
};
pub use clock::Clock;
pub use delivery::{
    DeadLetter, Delivery, DeliveryCounts, DeliveryEvent, DeliveryOutcome, MEMBERS_PER_EVENT_MAX, Replay, ToldMembers,
};
pub use digest::digest_id;
pub use email_told::{EMAIL_ALERTS, EMAIL_ALERTS_SETTING};
pub use endpoint::{ENDPOINTS_MAX, Endpoint, EndpointKind, NewEndpoint};
pub use error::StoreError;
pub use incidents::{
    Asking, IncidentChanged, IncidentMessage, IncidentPack, IncidentPage, IncidentQuery, IncidentTold, LiveIncidents,
    NewIncident, OPEN_INCIDENTS_MAX, PackedHash, StoredProtocol, TIMELINE_MAX, TimelineEntry, TimelinePage,
};
pub use key::{ApiKey, KeyRecord, KeySubject, Principal, Subject};
pub use key_cache::{KEY_CACHE_AGE_MAX, KEY_CACHE_ENTRIES_MAX};
pub use notices::{About, ESCALATED_MAX, NoticeCursor, NoticePage, NoticeQuery, NoticeState, Noticed, ToldNotice};
pub use outbox::OutboxEntry;
pub use ozone::OZONE_EVENTS_MAX;
pub use ozone_reports::{OzoneReport, REPORTED_CASES_MAX, ReportTaken, ReportedFamily};
pub use ozone_subjects::{OzoneRecord, ReportedBlob, SUBJECTS_PER_CASE_MAX};
pub use ozone_told::{OzoneSubject, ToldSubject};
pub use paging::{PageEpisode, Threshold};
pub use party::{PLATFORMS_PER_PARTY_MAX, PartyKind, PartyRecord};
pub use party_setting::{InReports, InResearch};
pub use preservations::{
    CASE_ROWS_PAGE, CaseRows, CaseRowsRead, EARLIER_MAX, EXPIRED_MAX, EarlierOrders, EndedCopy, PreservationCounts,
    PreservationPage, PreservationQuery, Preserved, SealClaim,
};
pub use reactions::{REACTIONS_MAX, ReactedCase, Reactions, ToldOfFamily};
pub use reports::{REPORT_ROWS_MAX, RestrictionCursor, RestrictionPage};
pub use research::{PublishedDay, RESEARCH_AFTER, RESEARCH_DAYS_MAX, RESEARCH_PARTIES_MAX, ResearchDay};
pub use reviews::{GoldenCase, ReviewFigures, ReviewSettings, Reviewed, SampleCheck};
pub use role::{Role, Roles};
pub use sharing_group::{GROUPS_MAX, SharingGroup};
pub use sign_in::{
    ACCOUNTS_PER_PERSON_MAX, Account, AccountSignIn, INVITATION_LIFETIME, LINK_LIFETIME, LinkOf, LinkPurpose,
    OneTimeLink, Opened, SESSIONS_PER_PERSON_MAX, SessionRecord, SessionTerms, SessionToken, SignInRefusal, SignedIn,
};
pub use watch::{
    BANKS_MAX, BankRecord, BankSettings, FollowState, HeldOpinion, ListingsOf, STAGED_MAX, StagedList, Switched,
    UPDATES_MAX, WatchBatch, WatchChange, WatchCursor, WatchListing,
};

use audit::Recorder;
use certificate::CertificateTokens;
use database::Database;
use key_cache::KeyCache;
use look_ups::LookUps;
use tocsin_model::{DrillId, Name};

/// The audit chain of commands that are given on the store itself.
const COMMAND_NODE: &str = "command";

/// The store. Cheap to clone; clones share connections and the cache of keys.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    /// The chain that this process writes.
    node: Name,
    /// The drill that the store is of.
    drill: Option<DrillId>,
    recorder: Recorder,
    clock: Clock,
    keys: KeyCache,
    sessions: KeyCache,
    certificates: KeyCache,
    certificate_tokens: CertificateTokens,
    look_ups: LookUps,
    /// What signs entries of custody, where this process keeps evidence.
    custody: OnceLock<tocsin_evidence::Signer>,
}

impl Store {
    /// Opens the store and brings its tables up to this version.
    ///
    /// `url` is `sqlite:PATH` (the file is created when absent; write-ahead log; one writer at a time) or `postgres://...`.
    ///
    /// # Errors
    /// Another kind of URL, a database that cannot be reached, tables that a newer or an altered version has made, or the store of a drill.
    pub async fn open(url: &str) -> Result<Store, StoreError> {
        Store::open_with_clock(url, Clock::Database).await
    }

    /// As [`Store::open`], for a process that writes another audit chain than that of commands: one for each kind of node.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_as(url: &str, node: Name) -> Result<Store, StoreError> {
        Store::open_all(url, Clock::Database, node).await
    }

    /// As [`Store::open`], timed by `clock`: for drills and tests that advance time instead of waiting.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with_clock(url: &str, clock: Clock) -> Result<Store, StoreError> {
        let node = COMMAND_NODE.parse().expect("it is a name");
        Store::open_all(url, clock, node).await
    }

    async fn open_all(url: &str, clock: Clock, node: Name) -> Result<Store, StoreError> {
        let database = Database::open(url).await?;
        if let Some(drill) = drill::marked(&database).await? {
            database.close().await;
            return Err(StoreError::OfDrill { drill });
        }
        Ok(Store::assemble(database, clock, node, None))
    }

    fn assemble(database: Database, clock: Clock, node: Name, drill: Option<DrillId>) -> Store {
        Store {
            inner: Arc::new(Inner {
                database,
                node,
                drill,
                recorder: Recorder::default(),
                clock,
                keys: KeyCache::default(),
                sessions: KeyCache::default(),
                certificates: KeyCache::default(),
                certificate_tokens: CertificateTokens::new(),
                look_ups: LookUps::default(),
                custody: OnceLock::new(),
            }),
        }
    }

    /// Asks the database for an answer: whether the store is ready.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.database()
            .now()
            .await
            .map(drop)
            .map_err(StoreError::database("ask the clock"))
    }

    /// The store's time: what everything in it is timed by.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn time(&self) -> Result<tocsin_model::Timestamp, StoreError> {
        self.now().await.map_err(StoreError::database("ask the clock"))
    }

    /// Closes the connections once their work is done.
    pub async fn close(&self) {
        self.database().close().await;
    }

    /// The store's time: what leases are timed by.
    async fn now(&self) -> Result<tocsin_model::Timestamp, sqlx::Error> {
        match &self.inner.clock {
            Clock::Database => self.database().now().await,
            Clock::Set(now) => Ok(tocsin_model::Timestamp(now.load(std::sync::atomic::Ordering::SeqCst))),
        }
    }

    fn database(&self) -> &Database {
        &self.inner.database
    }
}
