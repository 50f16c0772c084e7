//! The recorded input: what parties publish, byte for byte and in the order of its receipt, and what people and the dispatcher say in between.

use tocsin_loadtest::day::{Day, DayPlan, FamilyKind, Grouping, Identity, Scale};
use tocsin_model::{
    Calibration, ContentHash, Decision, DecisionId, DeploymentKey, FamilyId, Milliseconds, PartyId, PlatformId, Scope,
    Severity, Sharing, Timestamp, Verdict, Watch,
};
use tocsin_wire::{Names, PartyRecord, PlatformRecord, SightingsRecord, event};

/// Everything that a deployment is told. Held in memory, some 300 bytes a record.
pub(super) struct Recording {
    pub(super) key: DeploymentKey,
    pub(super) parties: Vec<PartyRecord>,
    pub(super) records: Vec<Record>,
    /// Ascending by their places.
    pub(super) controls: Vec<Control>,
    pub(super) ends_at: Timestamp,
}

/// A record of an ingest topic.
pub(super) struct Record {
    pub(super) received_at: Timestamp,
    /// The place of its party.
    pub(super) party: u8,
    pub(super) value: Vec<u8>,
}

/// What comes before the record at this place from elsewhere than an ingest topic.
pub(super) struct Control {
    pub(super) before: usize,
    pub(super) said: SightingsRecord<'static>,
}

/// Ordinary traffic at scale 1, as a share of a whole day's.
const BACKGROUND: f64 = 0.002;
/// One crisis begins with the day, another in its third hour.
const CRISES: usize = 2;
const LASTS: Milliseconds = Milliseconds::from_hours(4);
const WARM_UP: Milliseconds = Milliseconds::from_hours(1);

/// A part of a headline day: two crises, each cut so long after its onset.
pub(super) fn plan(scale: f64, seed: u64, cut: Milliseconds) -> DayPlan {
    let mut plan = DayPlan::headline(Scale(BACKGROUND * scale), seed, 0);
    plan.crises.truncate(CRISES);
    for crisis in &mut plan.crises {
        crisis.cut_after_onset = Some(cut);
    }
    (plan.warm_up, plan.lasts) = (WARM_UP, LASTS);
    plan
}

impl Recording {
    /// Of each content three events in four are for all, the others for coordinators or for their own party alone. Every variant of a crisis
    /// is a content, and every second event of one says that it is the same as the first: so families grow across key groups.
    pub(super) fn of(plan: &DayPlan) -> Recording {
        let key = DeploymentKey::from_bytes([7; 32]);
        let identity = Identity::new(plan, Grouping::Asserted);
        let mut records = Vec::new();
        let mut crisis = None;
        for occurrence in Day::new(plan) {
            if crisis.is_none() && occurrence.family.kind() == FamilyKind::Crisis {
                crisis = Some((records.len(), identity.content(occurrence.family, 0)));
            }
            let mut event = identity.event(&occurrence);
            event.sharing = match occurrence.number % 8 {
                0 => Sharing::Coordinators,
                1 => Sharing::Party,
                _ => Sharing::All,
            };
            records.push(Record {
                received_at: occurrence.received_at,
                party: occurrence.party,
                value: event::encode_single_object(&event),
            });
        }
        let controls = crisis.map_or_else(Vec::new, |crisis| controls(&key, &records, crisis));
        Recording {
            key,
            parties: parties(plan),
            records,
            controls,
            ends_at: plan.ends_at(),
        }
    }

    /// The names that outputs are written down with.
    pub(super) fn names(&self) -> Names {
        let mut names = Names::default();
        for party in &self.parties {
            names.parties.insert(party.id, party.name.clone());
            for platform in &party.platforms {
                names.platforms.insert(platform.id, platform.name.clone());
                names.owners.insert(platform.id, party.id);
            }
        }
        names
    }
}

fn parties(plan: &DayPlan) -> Vec<PartyRecord> {
    let platforms = |party: usize| {
        let all = plan.platforms.iter().enumerate();
        let own = all.filter(move |(_, platform)| usize::from(platform.party) == party);
        own.map(|(place, platform)| PlatformRecord {
            id: PlatformId(place as u16 + 1),
            name: platform.name.clone(),
        })
    };
    let all = plan.parties.iter().enumerate();
    all.map(|(place, name)| PartyRecord {
        id: PartyId(place as u16 + 1),
        name: name.clone(),
        platforms: platforms(place).collect(),
        revoked: false,
    })
    .collect()
}

/// A calibration before the crisis that begins at this place; the crisis is put on the watch list when a quarter of what follows was read, and
/// decided about when half was.
fn controls(key: &DeploymentKey, records: &[Record], (begins, hash): (usize, ContentHash)) -> Vec<Control> {
    let content = key.content_id(&hash);
    let left = records.len() - begins;
    let at = |place: usize| records[place].received_at;
    let [calibrated, watched, decided] = [begins / 2, begins + left / 4, begins + left / 2];
    let calibration = Calibration {
        number: 1,
        effective_from: at(begins),
        page_threshold: -3.0,
        pages_per_day: 15.0,
        episodes: 0,
        at: at(calibrated),
        platforms: Vec::new(),
    };
    let watch = Watch {
        number: 1,
        content,
        hash,
        listed: Some(Severity::MAX),
        source: "example".parse().expect("it is a name"),
        at: at(watched),
    };
    let decision = Decision {
        id: DecisionId(1),
        family: FamilyId(content),
        scope: Scope::Party(PartyId(1)),
        verdict: Verdict::Violating,
        at: at(decided),
    };
    let control = |before, said| Control { before, said };
    vec![
        control(calibrated, SightingsRecord::Calibration(calibration)),
        control(watched, SightingsRecord::Watch(watch)),
        control(decided, SightingsRecord::Decision(decision)),
    ]
}
