//! Open incidents while time goes by: which families are kept, what their criteria say for everyone who takes part.
//!
//! It is rebuilt whenever the process starts and decides nothing. Incidents themselves are in the store.

mod assessing;
mod figures;
mod packs;
mod telemetry;
mod told_accounts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tocsin_casework::Team;
use tocsin_incident::{Incident, PACK_HASHES_MAX, Phase, ProtocolVersion};
use tocsin_model::{ContentId, FamilyId, PartitionCount, Timestamp};
use tocsin_protocol::Protocol;
use tocsin_runtime::Shutdown;
use tocsin_store::{PackedHash, StoreError};

use crate::Dispatcher;
use crate::telemetry::StoreFailed;

use assessing::{ASSESSED_MAX, Assessing, FamilyNow, families_now};
pub(crate) use assessing::{FamilyStanding, Standing};
pub(crate) use figures::{FamilyReading, PlatformReading, reading};
pub(crate) use packs::{PackForm, Packed, Signed, Signer};
pub(crate) use telemetry::IncidentMetrics;

/// How often open incidents are looked at: well within what a stretch without a look may last.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// The most protocols that are remembered; beyond, they are read from the store each time.
const PROTOCOLS_MAX: usize = 64;

/// What the dispatcher knows of incidents beside the store.
pub(crate) struct Incidents {
    assessing: Mutex<Assessing>,
    protocols: Mutex<BTreeMap<(String, u32), Arc<Protocol>>>,
    /// What attached families of open incidents joined, as it was said last.
    joined: Mutex<BTreeMap<(Team, FamilyId), FamilyId>>,
    /// Wakes whoever looks at open incidents.
    pub changed: tokio::sync::Notify,
    partitions: PartitionCount,
    /// How many copies make a content hot: see `detector.promote_at`.
    promote_at: u32,
}

impl Incidents {
    pub(crate) fn new(partitions: PartitionCount, promote_at: u32) -> Incidents {
        Incidents {
            assessing: Mutex::default(),
            protocols: Mutex::default(),
            joined: Mutex::default(),
            changed: tokio::sync::Notify::new(),
            partitions,
            promote_at,
        }
    }

    fn joined(&self) -> MutexGuard<'_, BTreeMap<(Team, FamilyId), FamilyId>> {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assessing(&self) -> MutexGuard<'_, Assessing> {
        self.assessing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dispatcher {
    /// The protocol of an incident. One that is stored never changes, so it is read once.
    pub(crate) async fn protocol(&self, version: &ProtocolVersion) -> Result<Arc<Protocol>, StoreError> {
        let key = (version.name.clone(), version.version);
        let remembered = || self.incidents.protocols.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(protocol) = remembered().get(&key) {
            return Ok(Arc::clone(protocol));
        }
        let protocol = Arc::new(self.store.protocol(version).await?.protocol);
        let mut protocols = remembered();
        if protocols.len() < PROTOCOLS_MAX {
            protocols.insert(key, Arc::clone(&protocol));
        }
        Ok(protocol)
    }

    /// How an incident stands for a team, by the latest figures in its scope.
    pub(crate) fn standing(
        &self,
        (incident, team): (&Incident, Team),
        protocol: &Arc<Protocol>,
        now: Timestamp,
    ) -> Standing {
        let now = self.counted_time(now);
        // Read before anything is locked: it takes its time.
        let families = self.families_now(incident, team);
        self.incidents
            .assessing()
            .standing((incident, team), protocol, now, families)
    }

    /// The families of an incident as a team sees them now: a family that joined another is counted with it.
    fn families_now(&self, incident: &Incident, team: Team) -> Vec<FamilyNow> {
        let joined = |family| self.joined(team, family);
        families_now(incident, joined, |families| self.reading(families, team))
    }

    /// The family that one is counted with now, as a team sees it: itself, or what it joined. Of one that is not hot any more nothing is said; what was said last
    /// holds while its incident is open, until the process ends.
    fn joined(&self, team: Team, family: FamilyId) -> FamilyId {
        let mut remembered = self.incidents.joined();
        match self.carrying.family_of(team, family.0) {
            None => return remembered.get(&(team, family)).copied().unwrap_or(family),
            Some(said) if said == family => remembered.remove(&(team, family)),
            Some(said) if remembered.len() < ASSESSED_MAX => remembered.insert((team, family), said),
            Some(said) => return said,
        };
        remembered.get(&(team, family)).copied().unwrap_or(family)
    }

    /// The time that families without figures are looked at: that of the latest counts, so that it goes before none that come later.
    fn counted_time(&self, otherwise: Timestamp) -> Timestamp {
        self.ranking.figures().latest().unwrap_or(otherwise)
    }

    fn reading(&self, families: &BTreeSet<FamilyId>, team: Team) -> Option<FamilyReading> {
        let Incidents {
            partitions, promote_at, ..
        } = self.incidents;
        let figures = self.ranking.figures();
        // Before the state was read through a family may have more records than are known.
        let is_read = self.ranking.is_read();
        let names = self.names();
        let is_own = |platform| names.is_own(team.party(), platform);
        is_read
            .then(|| figures.reading(families, team, (partitions, promote_at), is_own))
            .flatten()
    }

    /// The hashes of the contents of an incident's families that are hot in the coordinators' scope, by family and content; one more than fits into
    /// a pack where there are more. None before it is known who belongs to which family.
    ///
    /// Everyone is told of those of attached families, and of what these joined for everyone. What only coordinators know to belong to them is theirs.
    pub(crate) fn hashes_of(&self, incident: &Incident) -> Vec<PackedHash> {
        if !(self.ranking.is_read() && self.carrying.is_read()) {
            return Vec::new();
        }
        let attached: BTreeSet<FamilyId> = incident.families.iter().map(|attached| attached.family).collect();
        let joined = attached
            .iter()
            .filter_map(|family| self.carrying.family_for_all(family.0));
        let for_all: BTreeSet<FamilyId> = attached.iter().copied().chain(joined).collect();
        let coordinators = attached.iter().map(|family| self.joined(Team::Coordinators, *family));
        let theirs: BTreeSet<FamilyId> = coordinators.filter(|family| !for_all.contains(family)).collect();
        let figures = self.ranking.figures();
        let mut hashes: BTreeMap<ContentId, PackedHash> = BTreeMap::new();
        let families = for_all.iter().map(|family| (*family, true));
        for (family, may_be_told) in families.chain(theirs.iter().map(|family| (*family, false))) {
            let room = (PACK_HASHES_MAX as usize + 1).saturating_sub(hashes.len());
            for (content, (hash, is_for_all)) in figures.hashes(family, Team::Coordinators, room) {
                let packed = hashes.entry(content).or_insert(PackedHash {
                    hash,
                    family,
                    for_all: false,
                });
                packed.for_all |= is_for_all && may_be_told;
            }
        }
        let mut hashes: Vec<PackedHash> = hashes.into_values().collect();
        hashes.sort_by_key(|packed| packed.family);
        hashes
    }

    /// Looks at all open incidents once.
    async fn look(&self, metrics: &IncidentMetrics) -> Result<(), StoreError> {
        let incidents = self.store.open_incidents().await?;
        let now = self.counted_time(self.store.time().await?);
        let asked: Vec<(&Incident, Team)> = incidents
            .iter()
            .flat_map(|incident| teams(incident).map(move |team| (incident, team)))
            .collect();
        let attached = |(incident, team): &(&Incident, Team)| -> Vec<FamilyId> {
            let attached = incident.families.iter().map(|attached| attached.family);
            attached
                .flat_map(|family| [family, self.joined(*team, family)])
                .collect()
        };
        self.ranking.keep(asked.iter().flat_map(attached).collect());
        let is_asked = |(team, family): &(Team, FamilyId)| {
            let mut of_team = asked.iter().filter(|(_, of)| of == team);
            of_team.any(|(incident, _)| incident.has_family(*family))
        };
        self.incidents.joined().retain(|joined, _| is_asked(joined));
        let mut protocols = BTreeMap::new();
        for incident in &incidents {
            protocols.insert(incident.id, self.protocol(&incident.protocol).await?);
        }
        self.incidents.assessing().left_out = 0;
        let mut followed = BTreeSet::new();
        for (incident, team) in asked {
            debug_assert!(incident.phase() != Phase::Concluded, "only open ones were asked for");
            let families = self.families_now(incident, team);
            followed.extend(families.iter().map(|of| (incident.id, team, of.family)));
            let mut assessing = self.incidents.assessing();
            assessing.observe((incident, team), &protocols[&incident.id], now, &families);
        }
        let mut assessing = self.incidents.assessing();
        assessing.retain(&followed);
        metrics.open.set(incidents.len() as i64);
        metrics.left_out.set(assessing.left_out as i64);
        Ok(())
    }
}

/// For whom an incident is held to its protocol: coordinators, and the parties that take part.
fn teams(incident: &Incident) -> impl Iterator<Item = Team> + '_ {
    let parties = incident
        .participants
        .iter()
        .filter(|participant| participant.takes_part());
    std::iter::once(Team::Coordinators).chain(parties.map(|participant| participant.team))
}

/// Looks at open incidents until the process ends.
pub(crate) async fn follow(
    dispatcher: Arc<Dispatcher>,
    metrics: IncidentMetrics,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    while !shutdown.is_requested() {
        if let Err(error) = dispatcher.look(&metrics).await {
            StoreFailed { error: &error }.emit(&dispatcher.metrics);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = dispatcher.incidents.changed.notified() => {}
            () = shutdown.requested() => {}
        }
    }
    Ok(())
}
