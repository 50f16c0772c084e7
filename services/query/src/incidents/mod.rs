//! The live incidents that look-ups answer from: each is a bank, `INCIDENT_` and its id in capitals, to those who may read it, and does not exist to
//! anybody else.
//!
//! They are asked of the store for all readers together: which of them one reader may read is decided here, by the rule of [`Store::incident`], each time that
//! it asks. A look-up is answered from what is held while that is younger than [`INCIDENTS_AGE_MAX`]; from half of that age on it is asked
//! beside. So nobody waits for the store but who comes first after a silence. What was begun goes on though nobody waits for it any more: packs may take longer
//! to read than a look-up may. A look-up that would wait for long is answered from what is held while that is younger than [`INCIDENTS_HELD_MAX`].

mod packed;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tocsin_casework::Team;
use tocsin_family::Pdq;
use tocsin_incident::{Incident, IncidentId};
use tocsin_model::{BankName, ContentId, DeploymentKey, FamilyId};
use tocsin_store::{Asking, LiveIncidents, Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::replica::Announced;
use crate::state::QueryState;

pub use packed::{INCIDENT_COORDINATORS_HASHES_MAX, INCIDENT_ENTRIES_MAX, INCIDENT_HASHES_MAX, PackedTable};

/// How old what is known of live incidents may be when a look-up is answered from it.
pub const INCIDENTS_AGE_MAX: Duration = Duration::from_secs(10);

/// How old it may be where it takes longer to ask again than half of what a look-up may take.
pub const INCIDENTS_HELD_MAX: Duration = Duration::from_secs(60);

/// So many hashes of a pack are put into the table before others have their turn: a millisecond or two.
const ADDED_AT_ONCE: usize = 512;

/// The live incidents, asked of the store now and then.
#[derive(Debug)]
pub(crate) struct Incidents {
    age_max: Duration,
    held: Mutex<Option<Held>>,
    asking: Arc<Semaphore>,
}

/// What the store said.
#[derive(Clone, Debug)]
struct Held {
    asked_at: Instant,
    /// Whether look-ups may be answered from it while it is young; what a process asks when it begins is for the packs alone.
    is_for_look_ups: bool,
    live: Arc<Live>,
}

/// The live incidents as of one moment, and the hashes of their packs.
#[derive(Debug, Default)]
struct Live {
    incidents: LiveIncidents,
    packed: Arc<PackedTable>,
}

/// The live incidents that one reader may read. Whatever is asked of it depends on no other.
#[derive(Clone, Debug)]
pub struct VisibleIncidents {
    live: Arc<Live>,
    /// A bit for each place in the list.
    read: u64,
    reads_all_hashes: bool,
}

/// Attached families, each with a bit for each of its incidents.
#[derive(Debug, Default)]
pub(crate) struct AttachedFamilies(HashMap<FamilyId, u64>);

/// That a content stands in an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InIncident {
    /// In which.
    pub incident: IncidentId,
    /// Whether its family is attached to it.
    pub by_family: bool,
    /// Whether a pack that holds lists its hash.
    pub by_pack: bool,
}

/// The name of the bank that an incident is.
pub fn bank_of(incident: IncidentId) -> String {
    format!("{}{incident}", BankName::OF_INCIDENTS).to_ascii_uppercase()
}

impl Incidents {
    pub(crate) fn new(age_max: Duration) -> Self {
        Incidents {
            age_max,
            held: Mutex::default(),
            asking: Arc::new(Semaphore::new(1)),
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is held and how old it is, if that is less than `age_max`.
    fn usable(&self, age_max: Duration) -> Option<(Duration, Arc<Live>)> {
        let held = self.held();
        let held = held.as_ref().filter(|held| held.is_for_look_ups)?;
        let age = held.asked_at.elapsed();
        (age < age_max).then(|| (age, Arc::clone(&held.live)))
    }

    fn packed(&self) -> Arc<PackedTable> {
        let held = self.held();
        held.as_ref()
            .map(|held| Arc::clone(&held.live.packed))
            .unwrap_or_default()
    }
}

/// The live incidents that whoever asks may read.
///
/// # Errors
/// The store fails, or does not answer, and what is held is too old.
pub(crate) async fn visible_to(state: &QueryState, asking: Asking) -> Result<VisibleIncidents, StoreError> {
    let live = live(state).await?;
    let incidents = live.incidents.incidents.iter();
    let read = incidents
        .zip(packed::BITS)
        .filter(|(incident, _)| live.incidents.is_read_by(incident, asking))
        .fold(0, |read, (_, bit)| read | bit);
    Ok(VisibleIncidents {
        read,
        // As of a pack that is fetched: parties get what everyone may see.
        reads_all_hashes: asking.team == Some(Team::Coordinators),
        live,
    })
}

async fn live(state: &QueryState) -> Result<Arc<Live>, StoreError> {
    let incidents = state.incidents();
    if let Some((age, live)) = incidents.usable(incidents.age_max) {
        if age >= incidents.age_max / 2
            && let Ok(turn) = Arc::clone(&incidents.asking).try_acquire_owned()
        {
            ask_beside(state, turn, true);
        }
        return Ok(live);
    }
    let asked = asked(state);
    if incidents.usable(INCIDENTS_HELD_MAX).is_none() {
        return asked.await;
    }
    match tokio::time::timeout(state.look_up_time_max() / 2, asked).await {
        Ok(asked) => asked,
        // It is not too old yet, or was asked meanwhile.
        Err(_) => match incidents.usable(INCIDENTS_HELD_MAX) {
            Some((_, live)) => Ok(live),
            None => self::asked(state).await,
        },
    }
}

/// What the store says now, or said while this waited for its turn. Whoever is gone before lets the others find it.
async fn asked(state: &QueryState) -> Result<Arc<Live>, StoreError> {
    let incidents = state.incidents();
    // Nobody closes it. Whoever waits mostly finds the answer of the one before.
    let Ok(turn) = Arc::clone(&incidents.asking).acquire_owned().await else {
        return ask(state, true).await;
    };
    if let Some((_, live)) = incidents.usable(incidents.age_max) {
        return Ok(live);
    }
    match ask_beside(state, turn, true).await {
        Ok(asked) => asked,
        // It panicked, or the process ends.
        Err(_) => ask(state, true).await,
    }
}

/// Asks the store though nobody may wait for it, and gives the turn back after that.
fn ask_beside(
    state: &QueryState,
    turn: OwnedSemaphorePermit,
    is_for_look_ups: bool,
) -> JoinHandle<Result<Arc<Live>, StoreError>> {
    let state = state.clone();
    tokio::spawn(async move {
        let asked = ask(&state, is_for_look_ups).await;
        drop(turn);
        if let Err(error) = &asked {
            tracing::warn!(
                error = tocsin_runtime::roles::chain(error),
                "the live incidents could not be asked of the store"
            );
        }
        asked
    })
}

/// Reads the packs of live incidents before anybody looks anything up. Which incidents live is asked again then.
pub(crate) fn begin(state: &QueryState) {
    if let Ok(turn) = Arc::clone(&state.incidents().asking).try_acquire_owned() {
        ask_beside(state, turn, false);
    }
}

/// Asks the store, and holds what it says.
async fn ask(state: &QueryState, is_for_look_ups: bool) -> Result<Arc<Live>, StoreError> {
    let mut asked_at = Instant::now();
    let mut incidents = state.store().live_incidents().await?;
    let before = state.incidents().packed();
    let packed = match before.is_of(&incidents.incidents) {
        true => before,
        false => {
            let packed = packed(state.store(), state.key(), &incidents.incidents).await?;
            // That may have taken long.
            let again_at = Instant::now();
            let again = state.store().live_incidents().await?;
            if packed.is_of(&again.incidents) {
                (asked_at, incidents) = (again_at, again);
            }
            Arc::new(packed)
        }
    };
    let metrics = state.metrics();
    metrics.incidents.set(incidents.incidents.len() as i64);
    metrics.incident_hashes.set(packed.len() as i64);
    metrics.incident_hashes_left_out.set(packed.left_out() as i64);
    let live = Arc::new(Live { incidents, packed });
    *state.incidents().held() = Some(Held {
        asked_at,
        is_for_look_ups,
        live: Arc::clone(&live),
    });
    Ok(live)
}

/// Reads the packs of these incidents, one after the other. It is done again only when an incident or a pack comes or goes.
async fn packed(store: &Store, key: &DeploymentKey, incidents: &[Incident]) -> Result<PackedTable, StoreError> {
    let mut table = PackedTable::of(incidents);
    for (incident, number) in table.wanted() {
        let Some(hashes) = store.packed_hashes(incident, number).await? else {
            continue;
        };
        for some in hashes.chunks(ADDED_AT_ONCE) {
            let named = some.iter().map(|packed| (key.content_id(&packed.hash), packed.clone()));
            table.add(incident, named);
            tokio::task::yield_now().await;
        }
    }
    Ok(table)
}

impl VisibleIncidents {
    /// The names of their banks, ascending.
    pub(crate) fn banks(&self) -> Vec<String> {
        let mut banks: Vec<String> = self.incidents().map(|(incident, _)| bank_of(incident.id)).collect();
        banks.sort_unstable();
        banks
    }

    /// What packs list under the hash of this id.
    pub(crate) fn equal(&self, id: ContentId) -> Option<Announced> {
        self.live.packed.equal(id, self.read, self.reads_all_hashes)
    }

    /// What packs list at most [`Pdq::DISTANCE_MAX`] bits from `pdq`: at most `most` contents, the nearest first.
    pub(crate) fn near(&self, pdq: &Pdq, most: usize) -> Vec<Announced> {
        self.live.packed.near(pdq, (self.read, self.reads_all_hashes), most)
    }

    /// The families that are attached, each with the places of its incidents, once for all contents of a look-up. `now` is the family as which one that was
    /// attached is known in the reader's scope now: it counts as both.
    pub(crate) fn attached(&self, now: impl Fn(FamilyId) -> FamilyId) -> AttachedFamilies {
        let mut attached = AttachedFamilies::default();
        for (incident, bit) in self.incidents() {
            for family in incident.families.iter().map(|attached| attached.family) {
                *attached.0.entry(family).or_default() |= bit;
                *attached.0.entry(now(family)).or_default() |= bit;
            }
        }
        attached
    }

    /// The incidents in which a content stands, by its family in the reader's scope or by a pack.
    pub(crate) fn with(&self, content: ContentId, family: FamilyId, attached: &AttachedFamilies) -> Vec<InIncident> {
        if self.read == 0 {
            return Vec::new();
        }
        let listed = self.live.packed.incidents_of(content, self.reads_all_hashes);
        let of_family = attached.0.get(&family).copied().unwrap_or(0);
        let standing = self.incidents().filter_map(|(incident, bit)| {
            let (by_pack, by_family) = (listed & bit != 0, of_family & bit != 0);
            (by_family || by_pack).then_some(InIncident {
                incident: incident.id,
                by_family,
                by_pack,
            })
        });
        standing.collect()
    }

    fn incidents(&self) -> impl Iterator<Item = (&Incident, u64)> {
        let all = self.live.incidents.incidents.iter().zip(packed::BITS);
        all.filter(|(_, bit)| self.read & bit != 0)
    }
}
