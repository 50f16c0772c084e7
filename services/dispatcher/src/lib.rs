//! The dispatcher: from alerts to people and back. It turns alerts into cases, hands them out over HTTP, puts decisions on the log, and
//! keeps the log's registry of parties and the groups' watch list in step with the store's. From what the alerts said it sets the score from
//! which an episode interrupts a person, and from what the key groups have seen what is ordinary on each platform.
//!
//! It delivers alerts and decisions to the endpoints of those who may see them. It keeps incidents: whoever takes part reads the same page, where
//! each criterion of the protocol stands with its evidence, in the reader's own scope.
//!
//! What this crate does not do: the rules of a case are `tocsin_casework`, pure; this crate carries them between the log, the
//! store and HTTP. A decision goes to `tocsin.decisions` alone: intake relays it to the family's key group. Nothing here removes
//! anything by itself.
//!
//! Invariants:
//! * An alert's position is committed only after the store has the alert; the store applies each alert once. So none is lost and none
//!   counts twice.
//! * A decision is published at least once, and leaves the outbox only when it is on disk in the log.
//! * One dispatcher at a time calibrates; the record goes to every partition and holds from a tick in the future.
//! * A delivery is made at least once, under one id; one endpoint that hangs delays no other; no address of a private network is called that
//!   an operator did not name.
//! * A party is announced before its ingest topic exists: whoever finds the topic knows whose it is.
//! * A case goes where its family goes: what is said of families is read again from the beginning at each start, and the store carries nothing twice.
//! * The order in which cases are tried rests on nothing that must not be lost; the store alone says who gets one.
//! * Whoever watches a queue is told within a second or two what changes in it, whichever dispatcher did it; nothing rests on what is kept for them.
//! * A notice whose time is over is escalated within a second or two by the store's clock, once, by whichever dispatcher looks first.
//! * Who decided is handed no appeal against it, whatever lane or id they ask for.
//! * What platforms confirm of decisions is followed for a week, of the latest decisions; whoever decided is reminded of what they do not confirm.
//! * Pseudonyms of accounts are told to the party whose platforms they are on alone, from its own events, and are kept in sealed copies alone, as long
//!   as those are.
//! * What is preserved is copied from the party's own data, is handed out to that party alone, and leaves the sealed store when it ends.
//! * Researchers are told of days that were published, in the same bytes each time, and of nothing else; of a drill no day is published or told.
//! * Whoever signs in is the person whose account at the provider was bound to them; nobody is anybody by an address of e-mail. A provider that hangs, or
//!   says too much, holds up sign-ins alone.
//! * What is decided in another tool is decided by people alone, in the name of a moderator's key of the team, and once.
//! * A team is whoever the key speaks for; another team's case is answered as one that does not exist.
//! * Criteria activate nothing: people do, and what criteria said when they did is kept.
//! * Alerts that cannot be read or applied are counted and left out; none stops those behind it. A store that does not answer stops
//!   all of them, and is asked again.
//!
//! Start reading at [`spawn`], then [`router`].

mod accounts;
mod acknowledging;
mod alert_reader;
mod alerts;
mod appealing;
mod carrying;
mod config;
mod control;
mod deliveries;
mod elsewhere;
mod evidence;
mod follow;
mod housekeeping;
mod incidents;
mod ingest;
mod overdue;
mod ozone;
pub mod problems;
mod publisher;
mod queue_updates;
mod ranking;
mod registry;
mod reporting;
mod researching;
mod routes;
mod sign_in;
mod telemetry;
mod watch_list;
mod weighing;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use prometheus::Registry;
use tocsin_log::{AppenderOptions, Durability, GroupOptions, LogError, SharedLog};
use tocsin_model::{DeploymentKey, PartitionCount};
use tocsin_runtime::roles::RolesError;
use tocsin_runtime::streams::StreamTimes;
use tocsin_runtime::{ReadinessFlag, Roles};
use tocsin_store::Store;
use tocsin_wire::Names;

pub use config::DispatcherConfig;
pub use deliveries::{EndpointRefused, MailConfig, MailError, MailTls, check_endpoint, new_signing_secret};
pub use evidence::SealedStoreError;
pub use follow::{FollowConfig, FollowError, FollowKind};
pub use ingest::IngestForm;
pub use ranking::platform_clocks;
pub use registry::topic_spec;
pub use routes::{description, router};
pub use sign_in::SignInConfig;

use telemetry::Metrics;

/// The consumer group of the alerts.
pub const GROUP: &str = "tocsin-dispatcher";

/// What the dispatcher stands on.
pub struct DispatcherParts {
    /// What an operator chose.
    pub config: DispatcherConfig,
    /// The name of this process: who holds the lease of the calibrator.
    pub instance: String,
    /// The log; its fixed topics exist.
    pub log: SharedLog,
    /// The casework store.
    pub store: Store,
    /// The permanent key: contents on the watch list are routed by it.
    pub key: DeploymentKey,
    /// How many partitions the sightings topic has.
    pub partitions: PartitionCount,
    /// How many copies make a content hot: `detector.promote_at`, the same everywhere.
    pub promote_at: u32,
    /// How events stand in ingest topics, as intake reads them.
    pub ingest_form: IngestForm,
    /// How long streams wait for their readers, and how often they are recorded.
    pub stream_times: StreamTimes,
    /// Where metrics go.
    pub registry: Registry,
    /// Set once the registry of parties is on the log.
    pub readiness: ReadinessFlag,
}

/// The dispatcher could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DispatcherError {
    /// The log does not answer.
    #[error("open the log for the dispatcher")]
    Log(#[from] LogError),
    /// A metric of this name is registered already.
    #[error("register the metrics of the dispatcher")]
    Metrics(#[from] prometheus::Error),
    /// The HTTP client of deliveries or sign-ins could not be made.
    #[error("make the HTTP client of deliveries or sign-ins")]
    Client(#[source] reqwest::Error),
    /// Mail cannot be sent at all.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// Lists elsewhere cannot be followed.
    #[error("follow lists")]
    Follow(#[from] FollowError),
    /// The sealed store cannot be used.
    #[error("open the sealed store")]
    SealedStore(#[from] SealedStoreError),
    /// The thread could not be started.
    #[error("start the thread that reads alerts")]
    Thread(#[from] RolesError),
}

/// What the routes answer from.
pub struct Dispatcher {
    config: DispatcherConfig,
    store: Store,
    metrics: Metrics,
    /// Names of parties and platforms, as the registry last read them. Bounded by the numbers there are.
    names: RwLock<Arc<Names>>,
    /// Where platforms look at contents, likewise.
    tools: RwLock<Arc<registry::Tools>>,
    /// Wakes the publisher after a decision.
    decided: tokio::sync::Notify,
    links: routes::Links,
    recorded: routes::RecordedMetrics,
    /// Wakes deliveries after alerts and decisions.
    told: tokio::sync::Notify,
    /// In which order claims try the cases.
    ranking: ranking::Ranking,
    /// Which families joined which.
    carrying: carrying::Carrying,
    /// Whose accounts uploaded what.
    accounts: Arc<accounts::Accounts>,
    /// What is preserved.
    evidence: evidence::Evidence,
    incidents: incidents::Incidents,
    /// What is read for reports just now.
    reports: Arc<reporting::Reporting>,
    /// The permanent key.
    key: DeploymentKey,
    sign_in: sign_in::SignIn,
    /// What moved in the queues that somebody watches.
    queue_updates: Arc<queue_updates::QueueUpdates>,
}

impl Dispatcher {
    /// The names as they are known now.
    fn names(&self) -> Arc<Names> {
        let names = self.names.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(&names)
    }

    /// The tools of platforms as they are known now.
    fn tools(&self) -> Arc<registry::Tools> {
        let tools = self.tools.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(&tools)
    }
}

/// Starts the dispatcher's thread and tasks among `roles`, and returns what [`router`] serves. Inside a tokio runtime.
///
/// # Errors
/// See [`DispatcherError`].
pub fn spawn(parts: DispatcherParts, roles: &mut Roles) -> Result<Arc<Dispatcher>, DispatcherError> {
    let shutdown = roles.shutdown().clone();
    parts
        .store
        .keep_custody(tocsin_evidence::Signer::from_seed(&parts.key.evidence_seed()));
    let appender = parts.log.appender(AppenderOptions {
        name: "dispatcher".to_owned(),
        durability: Durability::Synced,
        gapless: false,
    })?;
    let appender: Arc<dyn tocsin_log::Appender> = Arc::from(appender);
    let dispatcher = Arc::new(Dispatcher {
        ranking: ranking::Ranking::new(&parts.config),
        carrying: carrying::Carrying::new(parts.config.member_contents_max as usize),
        incidents: incidents::Incidents::new(parts.partitions, parts.promote_at),
        accounts: Arc::new(accounts::Accounts::new(
            parts.log.clone(),
            parts.key.clone(),
            parts.ingest_form.clone(),
            &parts.registry,
        )?),
        evidence: evidence::Evidence::new(
            &parts.config.sealed_store,
            (parts.log.clone(), parts.ingest_form),
            &parts.key,
            evidence::Evidence::metrics(&parts.registry)?,
        )?,
        reports: Arc::default(),
        key: parts.key.clone(),
        sign_in: sign_in::SignIn::new(&parts.config.sign_in, &parts.key).map_err(DispatcherError::Client)?,
        queue_updates: queue_updates::QueueUpdates::new(
            &parts.config,
            parts.stream_times,
            &parts.registry,
            shutdown.clone(),
        )?,
        config: parts.config,
        store: parts.store,
        metrics: Metrics::register(&parts.registry)?,
        recorded: routes::RecordedMetrics::register(&parts.registry)?,
        names: RwLock::default(),
        tools: RwLock::default(),
        decided: tokio::sync::Notify::new(),
        links: routes::Links {
            appender: appender.clone(),
            key: parts.key.clone(),
            partitions: parts.partitions,
        },
        told: tokio::sync::Notify::new(),
    });
    let networks = deliveries::Networks::parse(&dispatcher.config.endpoint_networks).unwrap_or_default();
    let reading = deliveries::HttpClient::new(networks.clone()).map_err(DispatcherError::Client)?;
    let client = deliveries::HttpClient::new(networks).map_err(DispatcherError::Client)?;
    let public_url = &dispatcher.config.sign_in.public_url;
    let relay = deliveries::Relay::new(&dispatcher.config.mail, public_url)?;
    let delivery_metrics = deliveries::DeliveryMetrics::register(&parts.registry)?;
    let reader = parts.log.group_reader(membership())?;

    let (handed_over, batches) = tokio::sync::mpsc::channel(1);
    let (applied, positions) = std::sync::mpsc::sync_channel(1);
    let reader = alert_reader::AlertReader::new(reader, handed_over, positions, dispatcher.metrics.clone());
    let (log, stop) = (parts.log.clone(), shutdown.clone());
    roles.spawn_thread("alert-reader", move || Ok(reader.run(&log, &stop)?))?;
    roles.spawn_task(
        "apply alerts",
        alerts::run(dispatcher.clone(), batches, applied, shutdown.clone()),
    );
    roles.spawn_task(
        "publish decisions",
        publisher::run(dispatcher.clone(), appender.clone(), shutdown.clone()),
    );
    let ranking_metrics = ranking::RankingMetrics::register(&parts.registry)?;
    let figures = ranking::FigureReader {
        dispatcher: dispatcher.clone(),
        log: parts.log.clone(),
        partitions: parts.partitions,
        metrics: ranking_metrics.clone(),
    };
    let stop = shutdown.clone();
    roles.spawn_thread("queue-figures", move || {
        figures.run(&stop);
        Ok(())
    })?;
    roles.spawn_task(
        "rank cases",
        ranking::follow_cases(dispatcher.clone(), ranking_metrics, shutdown.clone()),
    );
    roles.spawn_task("tell queues", queue_updates::run(dispatcher.clone(), shutdown.clone()));
    let carrying_metrics = carrying::CarryingMetrics::register(&parts.registry)?;
    let memberships = carrying::MembershipReader {
        dispatcher: dispatcher.clone(),
        log: parts.log.clone(),
        metrics: carrying_metrics.clone(),
    };
    let stop = shutdown.clone();
    roles.spawn_thread("memberships", move || {
        memberships.run(&stop);
        Ok(())
    })?;
    roles.spawn_task(
        "carry cases",
        carrying::run(dispatcher.clone(), carrying_metrics, shutdown.clone()),
    );
    let acknowledging_metrics = acknowledging::AcknowledgingMetrics::register(&parts.registry)?;
    roles.spawn_task(
        "confirm decisions",
        acknowledging::run(dispatcher.clone(), acknowledging_metrics, shutdown.clone()),
    );
    let incident_metrics = incidents::IncidentMetrics::register(&parts.registry)?;
    roles.spawn_task(
        "follow incidents",
        incidents::follow(dispatcher.clone(), incident_metrics, shutdown.clone()),
    );
    let following = follow::Following::new(
        &dispatcher.config.follow,
        dispatcher.store.clone(),
        parts.instance.clone(),
        &parts.registry,
    )?;
    roles.spawn_task("follow lists", following.run(shutdown.clone()));
    let ozone = ozone::OzoneReader {
        dispatcher: dispatcher.clone(),
        client: reading,
        instance: parts.instance.clone(),
        metrics: ozone::OzoneMetrics::register(&parts.registry)?,
    };
    roles.spawn_task("take decisions of Ozone", ozone.run(shutdown.clone()));
    let control = control::Control {
        dispatcher: dispatcher.clone(),
        log: parts.log.clone(),
        appender: appender.clone(),
        partitions: parts.partitions,
        key: parts.key,
        weighed: weighing::WeighingMetrics::register(&parts.registry)?,
        instance: parts.instance,
    };
    roles.spawn_task("control key groups", control.run(shutdown.clone()));
    let deliveries = deliveries::Deliveries {
        dispatcher: dispatcher.clone(),
        log: parts.log.clone(),
        appender: appender.clone(),
        client,
        relay,
        metrics: delivery_metrics,
        partitions: parts.partitions,
        topics: std::sync::Mutex::default(),
    };
    roles.spawn_task("deliver", deliveries.run(shutdown.clone()));
    let sync = registry::Sync {
        dispatcher: dispatcher.clone(),
        log: parts.log,
        appender,
        partitions: parts.partitions,
        readiness: parts.readiness,
    };
    roles.spawn_task("announce parties", sync.run(shutdown.clone()));
    let notice_metrics = overdue::NoticeMetrics::register(&parts.registry)?;
    roles.spawn_task(
        "escalate notices",
        overdue::run(dispatcher.clone(), notice_metrics, shutdown.clone()),
    );
    let appeal_metrics = appealing::AppealMetrics::register(&parts.registry)?;
    roles.spawn_task(
        "count appeals",
        appealing::run(dispatcher.clone(), appeal_metrics, shutdown.clone()),
    );
    let research_metrics = researching::ResearchMetrics::register(&parts.registry)?;
    roles.spawn_task(
        "publish days for researchers",
        researching::run(dispatcher.clone(), research_metrics, shutdown.clone()),
    );
    roles.spawn_task("preserve", evidence::run(dispatcher.clone(), shutdown.clone()));
    roles.spawn_task("end preservations", evidence::end(dispatcher.clone(), shutdown.clone()));
    roles.spawn_task("keep house", housekeeping::run(dispatcher.clone(), shutdown));
    Ok(dispatcher)
}

/// How the alerts are read.
fn membership() -> GroupOptions {
    GroupOptions {
        group: GROUP.to_owned(),
        // A member without a name of its own. The copies of this role have names that never come back, and a named member that is gone
        // keeps the one partition of alerts until its session ends.
        instance: String::new(),
        topics: vec![tocsin_wire::topics::ALERTS.to_owned()],
    }
}

/// Waits, at most until the shutdown is requested.
async fn pause(length: Duration, shutdown: &tocsin_runtime::Shutdown) {
    tokio::select! {
        () = tokio::time::sleep(length) => {}
        () = shutdown.requested() => {}
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a copy of the dispatcher that ends lets go of the alerts at once.

    #[test]
    fn the_group_has_no_member_of_a_lasting_name() {
        assert_eq!(super::membership().instance, "");
    }
}
