//! How each role starts. One function a role: what it needs from the process, its routes, its threads.

use std::sync::Arc;

use anyhow::Context as _;
use tocsin_detector::{DetectorConfig, DetectorSetup};
use tocsin_gateway::Gateway;
use tocsin_intake::{IntakeConfig, IntakeSetup};
use tocsin_store::Store;
use tocsin_wire::Schemas;
use utoipa::openapi::OpenApi;

use super::{Process, Role};

/// Starts a role inside a process.
pub async fn start(process: &mut Process, role: Role) -> anyhow::Result<()> {
    match role {
        Role::Gateway => gateway(process),
        Role::Intake => intake(process),
        Role::Detector => detector(process),
        Role::Dispatcher | Role::Query => absent(role),
    }
}

/// The descriptions of the routes of all roles.
pub fn descriptions() -> Vec<OpenApi> {
    vec![tocsin_gateway::description()]
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
    let config = IntakeConfig {
        instance: process.config.log.instance.clone(),
        ..process.config.intake.clone()
    };
    let setup = IntakeSetup {
        key: process.deployment_key.clone(),
        epoch: process.config.epoch(),
        partitions: process.config.sightings_partitions(),
    };
    let (log, registry) = (Arc::clone(&process.log), process.registry.clone());
    let ready = process.readiness.flag("intake", "starting");
    let shutdown = process.roles.shutdown().clone();
    process.roles.spawn_thread("intake", move || {
        let schemas = Schemas::builtin().clone();
        Ok(tocsin_intake::run(
            &config, setup, schemas, &log, &registry, &ready, &shutdown,
        )?)
    })?;
    Ok(())
}

fn detector(process: &mut Process) -> anyhow::Result<()> {
    let config = DetectorConfig {
        instance: process.config.log.instance.clone(),
        ..process.config.detector.clone()
    };
    let setup = DetectorSetup {
        key: process.deployment_key.clone(),
        epoch: process.config.epoch(),
        partitions: process.config.sightings_partitions(),
        lateness: process.config.intake.lateness(),
    };
    let (log, registry) = (Arc::clone(&process.log), process.registry.clone());
    let ready = process.readiness.flag("detector", "starting");
    let shutdown = process.roles.shutdown().clone();
    process.roles.spawn_thread("detector", move || {
        Ok(tocsin_detector::run(
            &config, &setup, &log, &registry, &ready, &shutdown,
        )?)
    })?;
    Ok(())
}

fn absent(role: Role) -> anyhow::Result<()> {
    tracing::warn!(role = ?role, "this build does not have the role");
    Ok(())
}

fn store(process: &Process) -> anyhow::Result<Store> {
    process
        .store
        .clone()
        .context("a role that needs the store is started with one")
}
