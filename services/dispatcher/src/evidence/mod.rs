//! Preservations: their copies are made at once in the sealed store, handed out as archives to the party whose data they are, and deleted when they end. What a
//! copy holds, and why: `decisions/evidence.md`.

mod copying;
mod ending;
mod events;
mod exporting;
mod figures;
mod sealed_store;
mod telemetry;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::Registry;
use tocsin_evidence::Signer;
use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::SharedLog;
use tocsin_model::{DeploymentKey, Milliseconds, PartyId};
use tocsin_runtime::Shutdown;
use tocsin_store::{SealClaim, StoreError};

use crate::ingest::IngestForm;
use crate::telemetry::StoreFailed;
use crate::{Dispatcher, pause};

use copying::{Copying, NotCopied};
pub(crate) use ending::run as end;
pub(crate) use exporting::NotExported;
use sealed_store::SealedStore;
use telemetry::{CopyFailed, CopyGivenUp, CopySealed, EvidenceMetrics};

/// How long a copy belongs to whoever makes it, without a sign of life.
const SEAL_LEASE: Milliseconds = Milliseconds::from_seconds(45);
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What keeps evidence, and what hands it out.
pub(crate) struct Evidence {
    /// Where copies are sealed; `None`: nowhere here.
    store: Option<SealedStore>,
    pub(crate) signer: Signer,
    log: SharedLog,
    form: IngestForm,
    /// Wakes those who seal after something was placed.
    placed: tokio::sync::Notify,
    exporting: exporting::Exporting,
    metrics: EvidenceMetrics,
}

/// The sealed store cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("make the directory of the sealed store")]
pub struct SealedStoreError(#[source] std::io::Error);

impl Evidence {
    pub(crate) fn new(
        directory: &str,
        (log, form): (SharedLog, IngestForm),
        key: &DeploymentKey,
        metrics: EvidenceMetrics,
    ) -> Result<Evidence, SealedStoreError> {
        let store = match directory {
            "" => None,
            directory => Some(SealedStore::open(Path::new(directory)).map_err(SealedStoreError)?),
        };
        Ok(Evidence {
            store,
            signer: Signer::from_seed(&key.evidence_seed()),
            log,
            form,
            placed: tokio::sync::Notify::new(),
            exporting: exporting::Exporting::default(),
            metrics,
        })
    }

    pub(crate) fn metrics(registry: &Registry) -> Result<EvidenceMetrics, prometheus::Error> {
        EvidenceMetrics::register(registry)
    }

    /// Whether copies are sealed here.
    pub(crate) fn is_kept(&self) -> bool {
        self.store.is_some()
    }

    /// Something may have been placed: it is looked for at once.
    pub(crate) fn placed(&self) {
        self.placed.notify_one();
    }
}

/// Seals what was placed.
pub(crate) async fn run(dispatcher: Arc<Dispatcher>, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut last = None;
    while !shutdown.is_requested() {
        match seal_next(&dispatcher, &mut last, &shutdown).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => StoreFailed { error: &error }.emit(&dispatcher.metrics),
        }
        tokio::select! {
            () = dispatcher.evidence.placed.notified() => {}
            () = pause(LOOK_INTERVAL, &shutdown) => {}
        }
    }
    Ok(())
}

/// Makes the copy of one preservation, if one waits; whether there may be another.
async fn seal_next(
    dispatcher: &Arc<Dispatcher>,
    last: &mut Option<PartyId>,
    shutdown: &Shutdown,
) -> Result<bool, StoreError> {
    let Some(store) = dispatcher.evidence.store.clone() else {
        return Ok(false);
    };
    // Members and figures that are read in part would be sealed in part.
    if !dispatcher.carrying.is_read() || !dispatcher.ranking.is_read() {
        return Ok(false);
    }
    let Some(claim) = dispatcher.store.claim_unsealed(*last, SEAL_LEASE).await? else {
        return Ok(false);
    };
    *last = Some(claim.preservation.party);
    seal(dispatcher, store, claim, shutdown).await?;
    Ok(true)
}

async fn seal(
    dispatcher: &Arc<Dispatcher>,
    store: SealedStore,
    claim: SealClaim,
    shutdown: &Shutdown,
) -> Result<(), StoreError> {
    let (id, attempt) = (claim.preservation.id, claim.attempt);
    let (began_at, metrics) = (Instant::now(), &dispatcher.evidence.metrics);
    let copying = Copying {
        dispatcher: Arc::clone(dispatcher),
        store: store.clone(),
        claim,
        shutdown: shutdown.clone(),
        runtime: tokio::runtime::Handle::current(),
        renewed_at: began_at,
    };
    let copied = tokio::task::spawn_blocking(move || copying.run()).await;
    let (manifest, copy) = match copied {
        Ok(Ok(copied)) => copied,
        Ok(Err(NotCopied::GivenUp)) => {
            CopyGivenUp { id }.emit(metrics);
            return Ok(());
        }
        Ok(Err(error)) => {
            CopyFailed { id, error: &error }.emit(metrics);
            return Ok(());
        }
        Err(error) => {
            CopyFailed { id, error: &error }.emit(metrics);
            return Ok(());
        }
    };
    reach(FailPoint::CopySealed);
    if dispatcher.store.sealed((id, attempt), copy).await? {
        let (events, took) = (copy.events, began_at.elapsed());
        CopySealed {
            id,
            manifest: &manifest,
            events,
            took,
        }
        .emit(metrics);
    } else {
        // It ended while it was copied, and is deleted; or another has begun, and takes the copy that it finds.
        CopyGivenUp { id }.emit(metrics);
        ending::remove_deleted(dispatcher, &[id]).await?;
    }
    Ok(())
}
