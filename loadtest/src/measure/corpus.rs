//! What is sent: ordinary traffic, and at the end of every ingest partition a burst of marker contents.

use std::collections::BTreeMap;

use tocsin_detector::DetectorSetup;
use tocsin_intake::{IntakeConfig, IntakeSetup};
use tocsin_loadtest::scenario::{PartyPlan, Scenario, ScenarioConfig};
use tocsin_model::{
    AccountPseudonym, Algorithm, ContentHash, DeploymentKey, Event, EventId, KeyEpoch, Kind, Milliseconds, Name,
    PartitionCount, PartyId, PlatformId, Sharing, Surface, Timestamp,
};
use tocsin_wire::{PartyRecord, PlatformRecord};

/// How events stand in Kafka records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// One event a record.
    Single,
    /// [`BATCH_EVENTS`] events a record.
    Batched,
}

/// What the events are sent for: those of another run would be retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// Drained as fast as the path can.
    Throughput,
    /// Sent when they are due.
    Latency,
    /// One party's, all at once.
    Flood,
    /// The other parties', meanwhile.
    Overload,
    /// For long.
    Soak,
    /// Over HTTP, sent when they are due.
    Http,
}

/// Events in a batch record.
pub(super) const BATCH_EVENTS: usize = 200;
/// Copies of each marker content: enough to become hot in a full table and to ring.
const MARKER_COPIES: u64 = 64;
/// Contents that are seen again, at most. In a short stream most of them ring at once, and what rings keeps its place in the hot table (16,384
/// by default): those of both framings leave room for the markers in every key group.
const POPULAR_MAX: u32 = 4_096;
/// Partitions of sightings.
pub(super) const PARTITIONS: u16 = 4;

/// The setup of the deployment that is measured. Its key is no secret: it guards synthetic data.
pub(super) fn setup() -> IntakeSetup {
    IntakeSetup {
        key: DeploymentKey::from_bytes(*b"a key for a load test, no secret"),
        epoch: KeyEpoch(1),
        partitions: PartitionCount::new(PARTITIONS).expect("four is a number of partitions"),
        memory: Default::default(),
    }
}

/// The same for the detector of this name.
pub(super) fn detector_setup(instance: &str) -> DetectorSetup {
    let setup = setup();
    DetectorSetup {
        instance: format!("loadtest-detector-{instance}"),
        key: setup.key,
        epoch: setup.epoch,
        partitions: setup.partitions,
        lateness: IntakeConfig::default().lateness(),
    }
}

/// Ordinary traffic: so many events (nearly) within so long a time.
pub(super) fn ordinary(
    framing: Framing,
    run: Run,
    events: u64,
    start: Timestamp,
    duration: Milliseconds,
) -> ScenarioConfig {
    let per_second = events as f64 * 1_000.0 / duration.0 as f64;
    let seed = 20_190_315 + framing as u64 + 1_000 * run as u64;
    let mut config = ScenarioConfig::ordinary(seed, start, duration, per_second);
    config.popularity.contents = config.popularity.contents.min(POPULAR_MAX);
    // In proportion to the short time.
    config.disorder.late_by = Milliseconds(duration.0 / 6);
    if framing == Framing::Batched {
        // Topics of its own: intake goes on where it stopped in the others.
        for party in &mut config.parties {
            let name = format!("batched-{}", party.name);
            party.name = name.parse().expect("a name with a prefix of letters is a name");
        }
    }
    config
}

/// The ingest topics of a framing.
pub(super) fn topic_names(framing: Framing) -> Vec<String> {
    let scenario = ordinary(framing, Run::Throughput, 0, Timestamp(0), Milliseconds::from_minutes(1));
    let parties = scenario.parties.iter();
    parties
        .map(|party| tocsin_wire::topics::ingest_name(&party.name))
        .collect()
}

/// The parties as intake knows them. Their numbers differ between the framings.
pub(super) fn party_records(framing: Framing, parties: &[PartyPlan]) -> Vec<PartyRecord> {
    let first = 100 * (1 + framing as u16);
    (first..)
        .step_by(10)
        .zip(parties)
        .map(|(id, party)| PartyRecord {
            id: PartyId(id),
            name: party.name.clone(),
            platforms: (id..)
                .zip(&party.platforms)
                .map(|(id, platform)| PlatformRecord {
                    id: PlatformId(id),
                    name: platform.name.clone(),
                })
                .collect(),
            revoked: false,
        })
        .collect()
}

/// The events of a scenario, each with its party, until there are `events`.
pub(super) fn events(config: &ScenarioConfig, events: u64) -> impl Iterator<Item = (Name, Event)> {
    Scenario::new(config)
        .take(events as usize)
        .map(|generated| (generated.party, generated.event))
}

/// Copies of contents that ring, one content for each partition of sightings.
///
/// When every marker that ends an ingest partition has rung in every partition of sightings, everything before it was applied.
pub(super) fn markers(party: &PartyPlan, place: &str, at: Timestamp) -> BTreeMap<ContentHash, Vec<Event>> {
    let setup = setup();
    let mut markers = BTreeMap::new();
    for partition in 0..u32::from(PARTITIONS) {
        let falls_there = |hash: &ContentHash| {
            let content = setup.key.content_id(hash);
            setup.partitions.partition_of(content.group()) == partition
        };
        let digest = |number: u64| {
            let parts = [party.name.as_str().as_bytes(), place.as_bytes(), &number.to_le_bytes()];
            setup.key.digest("marker", &parts).to_le_bytes()
        };
        let hash = (0_u64..)
            .map(|number| {
                let value = [digest(number), digest(number)].concat();
                ContentHash::from_bytes(Algorithm::Sha256, value, None).expect("a SHA-256 has 32 bytes")
            })
            .find(falls_there)
            .expect("one number in four falls there");
        let copies = (0..MARKER_COPIES).map(|copy| {
            let id = digest(1 << 40 | u64::from(partition) << 20 | copy);
            Event {
                event_id: EventId(id),
                platform: party.platforms[0].name.clone(),
                kind: Kind::Upload,
                occurred_at: at,
                content: vec![hash.clone()],
                same_as: Vec::new(),
                frames: Vec::new(),
                account: Some(AccountPseudonym(id)),
                account_epoch: 1,
                region: None,
                language: None,
                audience: Some(100),
                surface: Surface::Feed,
                labels: Vec::new(),
                sharing: Sharing::All,
            }
        });
        markers.insert(hash.clone(), copies.collect());
    }
    markers
}
