//! The key groups of a whole deployment on one thread, fed with the records of a day.

use tocsin_detector::{DetectorConfig, DetectorSetup};
use tocsin_intake::SourceClock;
use tocsin_loadtest::day::{DayPlan, Family, Grouping, Identity, Occurrence};
use tocsin_model::{
    AccountToken, Alert, Algorithm, Calibration, Class, ContentHash, ContentId, DeploymentKey, EpochKey, FamilyId,
    GroupId, HashRef, KEY_GROUPS, KeyEpoch, Milliseconds, PartitionCount, PartyId, PlatformId, Populations, Sharing,
    Sighting, SourceCoordinate, SourceId, Timestamp,
};
use tocsin_velocity::{Group, GroupConfig, HotKey, HotRecord, Input, Output, Standing, TriggerParameters};

use super::bounds::{Bound, Sample};

/// What intake and detector make of records, without topics between them: clocks are corrected as intake does, keys are keyed as they are
/// there, and the groups are those of the detector. All variants of a family have its hash: somebody has grouped them, without a mistake.
pub(in crate::evaluate) struct Core {
    groups: Vec<Group>,
    /// Of each platform; intake keeps them per platform too.
    clocks: Vec<SourceClock>,
    /// Records of each party so far: the offsets of its source.
    offsets: Vec<u64>,
    key: DeploymentKey,
    epoch_key: EpochKey,
    /// Pseudonyms of accounts, crafted ones among them.
    identity: Identity,
    ticked: Timestamp,
    outputs: Vec<Output>,
    config: GroupConfig,
    /// Exact counts of some contents, where anybody asks.
    sample: Option<Sample>,
}

/// How much memory the groups may take, and when a content is counted exactly.
#[derive(Clone, Copy, Debug)]
pub(in crate::evaluate) struct Sizes {
    pub(super) hot_limit: u32,
    pub(super) sketch_width: u32,
    pub(super) promote_at: u32,
}

/// Time is told to all groups this often. What becomes due acts at its own time, so this changes nothing but when it is heard of.
const TICK_EVERY: Milliseconds = Milliseconds::from_minutes(1);
/// The default of `intake.lateness`.
const LATENESS: Milliseconds = Milliseconds::from_hours(2);

impl Sizes {
    /// Those of a deployment for so many contents a day.
    pub(in crate::evaluate) fn for_contents(contents: f64) -> Self {
        let defaults = DetectorConfig::default();
        // The default width is for 2.5 million contents.
        let width = (contents / 2.5e6 * f64::from(defaults.sketch_width)).max(16.0) as u32;
        Sizes {
            hot_limit: defaults.hot_limit,
            sketch_width: width.next_power_of_two(),
            promote_at: defaults.promote_at,
        }
    }

    /// Those of a deployment for what the plan has of ordinary contents.
    pub(in crate::evaluate) fn for_day(plan: &DayPlan) -> Self {
        Sizes::for_contents(plan.ordinary.once_per_day + f64::from(plan.ordinary.popular))
    }

    /// Every content is counted exactly from its first event on.
    pub(in crate::evaluate) const EXACT: Sizes = Sizes {
        hot_limit: u32::MAX / 2,
        sketch_width: 16,
        promote_at: 1,
    };
}

impl Core {
    /// Groups that have seen nothing of this day.
    pub(in crate::evaluate) fn new(sizes: Sizes, plan: &DayPlan) -> Self {
        let config = DetectorConfig {
            hot_limit: sizes.hot_limit,
            sketch_width: sizes.sketch_width,
            promote_at: sizes.promote_at,
            ..DetectorConfig::default()
        };
        let key = DeploymentKey::from_bytes([7; 32]);
        let setup = DetectorSetup {
            instance: String::new(),
            key: key.clone(),
            epoch: KeyEpoch(0),
            partitions: PartitionCount::new(1).expect("one partition is allowed"),
            lateness: LATENESS,
        };
        let config = setup.group_config(&config);
        let groups = (0..KEY_GROUPS).map(|id| Group::new(GroupId(id), config.clone()));
        Core {
            groups: groups.collect(),
            clocks: vec![SourceClock::default(); plan.platforms.len()],
            offsets: vec![0; plan.parties.len()],
            epoch_key: key.epoch_key(KeyEpoch(0)),
            key,
            identity: Identity::new(plan, Grouping::Known),
            ticked: Timestamp::MIN,
            outputs: Vec::new(),
            config,
            sample: None,
        }
    }

    /// The same, with exact counts of a sample beside it.
    pub(super) fn sampled(self) -> Self {
        Core {
            sample: Some(Sample::default()),
            ..self
        }
    }

    /// Counts of the sample at the latest tick, for every window.
    pub(super) fn bounds(&self) -> Vec<Bound> {
        self.sample
            .as_ref()
            .map(|sample| sample.bounds(&self.groups))
            .unwrap_or_default()
    }

    /// Reads one record; what follows from it goes to `alerts`.
    pub(in crate::evaluate) fn take(&mut self, occurrence: &Occurrence, alerts: &mut Vec<Alert>) {
        if occurrence.received_at - self.ticked >= TICK_EVERY {
            self.tick(occurrence.received_at, alerts);
        }
        let value = value_of(occurrence.family);
        let sighting = self.sighting(occurrence, &value);
        if let Some(sample) = &mut self.sample
            && Sample::holds(occurrence.family, scattered(occurrence.family.0))
        {
            sample.add(&sighting, occurrence.number);
        }
        let group = &mut self.groups[usize::from(sighting.content.group().0)];
        group.apply(Input::Sighting(&sighting), &mut self.outputs);
        self.hand_over(alerts);
    }

    /// Tells all groups the time.
    pub(in crate::evaluate) fn tick(&mut self, now: Timestamp, alerts: &mut Vec<Alert>) {
        self.ticked = now.floor_to(TICK_EVERY);
        for group in &mut self.groups {
            group.apply(Input::Tick(now), &mut self.outputs);
            // What the state topic would be told.
            group.take_changed();
        }
        self.hand_over(alerts);
    }

    /// Tells all groups from which page score on an episode interrupts a person, and what is ordinary on each platform.
    pub(super) fn calibrate(&mut self, calibration: &Calibration) {
        for group in &mut self.groups {
            group.apply(Input::Calibration(calibration), &mut self.outputs);
        }
    }

    /// What the groups have seen of ordinary contents, of those in which an hour ended since this was last asked.
    pub(super) fn take_populations(&mut self) -> Vec<Populations> {
        self.groups.iter_mut().filter_map(Group::take_populations).collect()
    }

    /// The families with an open episode and what each is worth, as of the latest tick, in the order of their groups.
    pub(in crate::evaluate) fn standings(&self) -> Vec<(Family, f64)> {
        let standings = |group: &Group| {
            let standings = group.standings(Class::All).into_iter();
            let family = |standing: Standing| Some((self.family(group, standing.family)?, standing.priority));
            standings.filter_map(family).collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(standings).collect()
    }

    /// What it is worth to act on a family as of the latest tick; `None` when it is not counted exactly.
    pub(super) fn priority_of(&self, family: Family) -> Option<f64> {
        let (group, id) = self.home_of(family);
        group.priority_of(id, Class::All)
    }

    /// The most that a party (by its place in the plan) adds to the priority of a family, by what the others say as of the latest tick.
    pub(super) fn influence_cap_of(&self, family: Family, party: u8) -> f64 {
        let (group, id) = self.home_of(family);
        group.influence_cap_of(id, Class::All, party_id(party))
    }

    /// What the group knows of a family whose content is hot, for everybody.
    pub(in crate::evaluate) fn hot_of(&self, family: Family) -> Option<&HotRecord> {
        let (group, id) = self.home_of(family);
        group.hot(HotKey {
            content: id.0,
            class: Class::All,
        })
    }

    fn home_of(&self, family: Family) -> (&Group, FamilyId) {
        let content = self.content(hash_of(&value_of(family)));
        (&self.groups[usize::from(content.group().0)], FamilyId(content))
    }

    /// The family that the generator knows by the id that its home does.
    fn family(&self, home: &Group, id: FamilyId) -> Option<Family> {
        let founder = home.hot(HotKey {
            content: id.0,
            class: Class::All,
        })?;
        Some(numbered(founder.hash()))
    }

    /// See [`Group::rings_up_to`]: asked about a family.
    pub(in crate::evaluate) fn rings_up_to(&self, family: Family, parameters: &TriggerParameters) -> Option<f64> {
        let (group, id) = self.home_of(family);
        group.rings_up_to(id.0, parameters)
    }

    /// The family of an alert: its hash is the family's number.
    pub(in crate::evaluate) fn family_of(alert: &Alert) -> Family {
        numbered(&alert.hash)
    }

    fn hand_over(&mut self, alerts: &mut Vec<Alert>) {
        alerts.extend(self.outputs.drain(..).filter_map(|output| match output {
            Output::Alert(alert) => Some(*alert),
            _ => None,
        }));
    }

    fn sighting<'a>(&mut self, occurrence: &Occurrence, value: &'a [u8; 16]) -> Sighting<'a> {
        let hash = hash_of(value);
        self.sighting_of(occurrence, self.content(hash), hash)
    }

    /// What intake makes of a record, if its content has this id and this hash.
    pub(super) fn sighting_of<'a>(
        &mut self,
        occurrence: &Occurrence,
        content: ContentId,
        hash: HashRef<'a>,
    ) -> Sighting<'a> {
        let (party, platform) = (usize::from(occurrence.party), usize::from(occurrence.platform));
        let time = self.clocks[platform].correct(occurrence.occurred_at, occurrence.received_at, LATENESS);
        self.offsets[party] += 1;
        Sighting {
            source: SourceCoordinate {
                source: SourceId(u64::from(occurrence.party)),
                offset: self.offsets[party],
                index: 0,
            },
            event_token: scattered(occurrence.number),
            party: party_id(occurrence.party),
            platform: PlatformId(u16::from(occurrence.platform) + 1),
            kind: occurrence.kind,
            sharing: Sharing::All,
            surface: occurrence.surface,
            clock: time.flag,
            occurred_at: time.occurred_at,
            received_at: occurrence.received_at,
            content,
            hash,
            account: Some(self.account(occurrence)),
            account_epoch: 1,
            audience: occurrence.audience,
            region: [0; 2],
            language: [0; 2],
            tvec_confidence: occurrence.tvec_confidence.unwrap_or(Sighting::NO_LABEL),
        }
    }

    /// Tells a group; what follows waits for [`Core::take_outputs`].
    pub(super) fn apply(&mut self, group: GroupId, input: Input<'_>) {
        self.groups[usize::from(group.0)].apply(input, &mut self.outputs);
    }

    /// What groups have said since this was last asked.
    pub(super) fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// All groups, by their ids.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub(super) fn groups_mut(&mut self) -> &mut [Group] {
        &mut self.groups
    }

    pub(super) fn config(&self) -> &GroupConfig {
        &self.config
    }

    pub(super) fn key(&self) -> &DeploymentKey {
        &self.key
    }

    fn content(&self, hash: HashRef<'_>) -> ContentId {
        self.key.content_id_of(hash)
    }

    fn account(&self, occurrence: &Occurrence) -> AccountToken {
        let platform = PlatformId(u16::from(occurrence.platform) + 1);
        self.epoch_key
            .account_token(platform, self.identity.account(occurrence.account))
    }
}

pub(super) fn party_id(party: u8) -> PartyId {
    PartyId(u16::from(party) + 1)
}

/// The hash of a family is its number.
fn value_of(family: Family) -> [u8; 16] {
    u128::from(family.0).to_le_bytes()
}

fn hash_of(value: &[u8; 16]) -> HashRef<'_> {
    HashRef {
        algorithm: Algorithm::Md5,
        value,
    }
}

fn numbered(hash: &ContentHash) -> Family {
    let bytes = hash.value().first_chunk::<8>().copied().unwrap_or_default();
    Family(u64::from_le_bytes(bytes))
}

/// A bijection that scatters (the finaliser of SplitMix64): intake's tokens are keyed hashes.
fn scattered(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
