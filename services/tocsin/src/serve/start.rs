//! How each role starts. One function a role: what it needs from the process, its routes, its threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use tocsin_detector::{DetectorError, DetectorSetup};
use tocsin_dispatcher::{DispatcherParts, IngestForm};
use tocsin_gateway::Gateway;
use tocsin_intake::{IntakeConfig, IntakeSetup, TimeSource};
use tocsin_model::DeploymentKey;
use tocsin_query::QueryParts;
use tocsin_store::Store;
use utoipa::openapi::OpenApi;

use super::{Process, Role};
use crate::config::Config;

/// Starts a role inside a process.
pub async fn start(process: &mut Process, role: Role) -> anyhow::Result<()> {
    match role {
        Role::Gateway => gateway(process),
        Role::Intake => intake(process),
        Role::Detector => detector(process),
        Role::Dispatcher => dispatcher(process).await,
        Role::Query => query(process),
    }
}

/// The descriptions of the routes of all roles.
pub fn descriptions() -> Vec<OpenApi> {
    vec![
        tocsin_gateway::description(),
        tocsin_dispatcher::description(),
        tocsin_query::description(),
    ]
}

fn gateway(process: &mut Process) -> anyhow::Result<()> {
    let store = store(process)?;
    let log = Arc::clone(&process.log);
    let gateway = Gateway::new(&process.config.gateway, log, store, &process.registry)?;
    let (router, _) = tocsin_gateway::router(Arc::new(gateway));
    process.add_routes(router);
    Ok(())
}

fn intake(process: &mut Process) -> anyhow::Result<()> {
    // Before a port is bound: a mapping that points nowhere would show only when events are missing.
    let mappings = process.config.intake.mappings();
    mappings.context("read the mappings of actions")?;
    let setup = IntakeSetup {
        key: process.deployment_key.clone(),
        epoch: process.config.epoch(),
        partitions: process.config.sightings_partitions(),
        memory: process.memory.clone(),
    };
    let ready = process.readiness.flag("intake", "reading parties and families");
    let (config, log, registry) = (
        process.config.intake.clone(),
        Arc::clone(&process.log),
        process.registry.clone(),
    );
    let shutdown = process.roles.shutdown().clone();
    let run = move || {
        let schemas = config.schemas();
        Ok(tocsin_intake::run(
            &config, setup, schemas, &log, &registry, &ready, &shutdown,
        )?)
    };
    Ok(process.roles.spawn_thread("intake", run)?)
}

fn detector(process: &mut Process) -> anyhow::Result<()> {
    let setup = detector_setup(&process.config, &process.deployment_key);
    let ready = process.readiness.flag("detector", "restoring key groups");
    let (config, log, registry) = (
        process.config.detector.clone(),
        Arc::clone(&process.log),
        process.registry.clone(),
    );
    let shutdown = process.roles.shutdown().clone();
    let run = move || {
        let by = tocsin_detector::OF_ITS_OWN;
        let ran = tocsin_detector::run(by, &config, &setup, &log, &registry, &ready, &shutdown);
        if let Some(code) = ran.as_ref().err().and_then(DetectorError::code) {
            tracing::error!(
                code,
                "the detector refuses what it found: the operators' guide says under this code what can be done"
            );
        }
        Ok(ran?)
    };
    Ok(process.roles.spawn_thread("detector", run)?)
}

async fn dispatcher(process: &mut Process) -> anyhow::Result<()> {
    let mut config = process.config.dispatcher.clone();
    config.sealed_store = process.config.sealed_store();
    let parts = DispatcherParts {
        config,
        instance: process.config.log.instance.clone(),
        log: Arc::clone(&process.log),
        store: store(process)?,
        key: process.deployment_key.clone(),
        partitions: process.config.sightings_partitions(),
        promote_at: process.config.detector.promote_at,
        ingest_form: ingest_form(&process.config.intake),
        stream_times: tocsin_runtime::streams::StreamTimes::default(),
        registry: process.registry.clone(),
        readiness: process.readiness.flag("dispatcher", "announcing the parties"),
    };
    let state = tocsin_dispatcher::spawn(parts, &mut process.roles)?;
    let (router, _) = tocsin_dispatcher::router(state);
    process.add_routes(router);
    Ok(())
}

fn query(process: &mut Process) -> anyhow::Result<()> {
    let parts = QueryParts {
        config: process.config.query.clone(),
        log: Arc::clone(&process.log),
        store: store(process)?,
        key: process.deployment_key.clone(),
        partitions: process.config.sightings_partitions(),
        cold: detector_setup(&process.config, &process.deployment_key)
            .group_config(&process.config.detector)
            .cold,
        registry: process.registry.clone(),
        readiness: process.readiness.flag("query", "reading the state of the key groups"),
    };
    let state = tocsin_query::spawn(parts, &mut process.roles)?;
    let (router, _) = tocsin_query::router_at(state, process.config.dispatcher.sign_in.own_origin());
    process.add_routes(router);
    Ok(())
}

/// How intake reads events, for the dispatcher, which reads a party's own again. A mapping that is not here leaves that party's actions unread there, and
/// its events are read all the same.
fn ingest_form(config: &IntakeConfig) -> IngestForm {
    let mut mappings = BTreeMap::new();
    for (party, file) in &config.osprey_mappings {
        let alone = IntakeConfig {
            osprey_mappings: BTreeMap::from([(party.clone(), file.clone())]),
            ..config.clone()
        };
        match alone.mappings() {
            Ok(read) => mappings.extend(read),
            Err(error) => tracing::warn!(
                error = tocsin_runtime::roles::chain(&error),
                "actions of a party cannot be read again: accounts that only they name are not told"
            ),
        }
    }
    IngestForm {
        schemas: config.schemas(),
        mappings,
        stamped_by_log: config.time_source == TimeSource::Log,
    }
}

/// What all detectors share; the query role reads their bytes.
pub fn detector_setup(config: &Config, key: &DeploymentKey) -> DetectorSetup {
    DetectorSetup {
        instance: config.log.instance.clone(),
        key: key.clone(),
        epoch: config.epoch(),
        partitions: config.sightings_partitions(),
        lateness: config.intake.lateness(),
    }
}

fn store(process: &Process) -> anyhow::Result<Store> {
    process
        .store
        .clone()
        .context("a role that needs the store is started with one")
}
