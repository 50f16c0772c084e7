//! One crisis: its copies, its alarms, and its families' totals beside exact counts.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tocsin_loadtest::day::{Family, Occurrence};
use tocsin_model::{Alert, AlertLevel, ContentId, FamilyId, Timestamp};

use super::Totals;
use super::files::Signal;
use super::path::{Path, Taken};

/// A crisis while it is played.
#[derive(Clone, Debug)]
pub(super) struct Story {
    day: u32,
    family: Family,
    /// Events seen, so that one that is received twice counts once.
    numbers: HashSet<u64>,
    copies: Vec<Copy>,
    contents: BTreeMap<ContentId, Content>,
    rung: Vec<Rung>,
    /// Families of it that alerts told of, and those whose first alert went on with the episode of one that had joined.
    told: BTreeSet<FamilyId>,
    taken_over: u64,
}

/// A re-upload: the source was live, so every copy is one.
#[derive(Clone, Copy, Debug)]
struct Copy {
    happened_at: Timestamp,
    variant: u16,
    signal: Signal,
    content: ContentId,
}

/// A content, and when each sighting of it counts.
#[derive(Clone, Debug)]
struct Content {
    counted: Vec<Timestamp>,
    /// The first of these that was counted exactly.
    promoted: Option<usize>,
}

/// An alarm.
#[derive(Clone, Debug)]
struct Rung {
    family: FamilyId,
    at: Timestamp,
    /// The contents of the family by then.
    members: BTreeSet<ContentId>,
    /// Whether a family that rang before has joined it.
    after_a_merge: bool,
    variant: u16,
    signal: Signal,
}

/// What became of a crisis.
#[derive(Clone, Debug)]
pub(in super::super) struct CrisisRow {
    day: u32,
    family: Family,
    /// About families whose founder shares a signal with the source.
    pub(super) alarms: u64,
    /// Of these, so many by a family that one which rang before had joined.
    pub(super) alarms_after_a_merge: u64,
    /// Families that went on with the episode of one that had joined.
    pub(super) taken_over: u64,
    /// About variants that share nothing: each may ring once.
    pub(super) alarms_without_signal: u64,
    pub(super) repeated_without_signal: u64,
    /// At the first alarm about a family with a signal.
    pub(in super::super) at_alarm: Option<AtAlarm>,
    /// Re-uploads at the alarm where somebody has grouped the variants without a mistake.
    pub(super) known_at_alarm: Option<u64>,
    pub(super) copies: u64,
    pub(super) copies_with_signal: u64,
    /// Of these, in the largest family at the end of the day.
    pub(super) copies_in_family: u64,
}

/// Re-uploads of a crisis when it is alarmed.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct AtAlarm {
    /// Of the variant of the family that has most.
    pub(in super::super) leading: u64,
    /// Of variants in the family that rings.
    pub(in super::super) in_family: u64,
    /// Of others that share a signal: nothing has linked them so far.
    pub(in super::super) outside: u64,
    pub(in super::super) without_signal: u64,
}

impl Story {
    pub(super) fn new(day: u32, family: Family) -> Self {
        Story {
            day,
            family,
            numbers: HashSet::new(),
            copies: Vec::new(),
            contents: BTreeMap::new(),
            rung: Vec::new(),
            told: BTreeSet::new(),
            taken_over: 0,
        }
    }

    /// A record of it was read.
    pub(super) fn saw(&mut self, occurrence: &Occurrence, signal: Signal, taken: &Taken) {
        let content = self.contents.entry(taken.content).or_insert(Content {
            counted: Vec::new(),
            promoted: None,
        });
        content.promoted = match taken.hot {
            (_, false) => None,
            (false, true) => Some(content.counted.len()),
            (true, true) => content.promoted.or(Some(content.counted.len())),
        };
        if !self.numbers.insert(occurrence.number) {
            return;
        }
        content.counted.extend(taken.counted_at);
        if occurrence.kind.is_spread() {
            self.copies.push(Copy {
                happened_at: occurrence.happened_at,
                variant: occurrence.variant,
                signal,
                content: taken.content,
            });
        }
    }

    /// An alert told of a family of it.
    pub(super) fn heard(&mut self, alert: &Alert, path: &Path) {
        let family = alert.family;
        let is_first = self.told.insert(family);
        if alert.level != AlertLevel::Raised {
            self.taken_over += u64::from(is_first);
            return;
        }
        let members: BTreeSet<ContentId> = self.members(family, path).collect();
        let founder = self.copies.iter().find(|copy| copy.content == family.0);
        let (variant, signal) = founder.map_or((0, Signal::Near), |copy| (copy.variant, copy.signal));
        self.rung.push(Rung {
            after_a_merge: self.rung.iter().any(|rung| members.contains(&rung.family.0)),
            family,
            at: alert.at,
            members,
            variant,
            signal,
        });
    }

    /// Whether there were copies since then.
    pub(super) fn spread_since(&self, since: Timestamp) -> bool {
        self.copies.last().is_some_and(|copy| copy.happened_at >= since)
    }

    fn members<'a>(&'a self, family: FamilyId, path: &'a Path) -> impl Iterator<Item = ContentId> + 'a {
        let contents = self.contents.keys().copied();
        contents.filter(move |content| path.hot(*content).is_some_and(|record| record.family() == family))
    }

    /// Holds the totals of every family of it, in every window, to what was counted. Of a member in another group that made room there the home keeps
    /// the figures.
    pub(super) fn compare(&self, path: &Path, totals: &mut Totals) {
        let mut families: BTreeMap<FamilyId, BTreeSet<ContentId>> = BTreeMap::new();
        for id in self.contents.keys() {
            if let Some(record) = path.hot(*id) {
                families.entry(record.family()).or_default().insert(*id);
            }
        }
        for (family, hot) in families {
            let known = path.members(family);
            totals.members_max = totals.members_max.max(known.len() as u64);
            let is_kept = |id: &&ContentId| path.hot(**id).is_none() && id.group() != family.home();
            let all_are_known = hot.is_subset(&known) && known.difference(&hot).all(|id| is_kept(&id));
            let figures = path.figures(family).filter(|_| all_are_known);
            let members: Option<Vec<&Content>> = known.iter().map(|id| self.contents.get(id)).collect();
            let (Some(figures), Some(members)) = (figures, members) else {
                totals.compared += 1;
                totals.mismatches += 1;
                continue;
            };
            for window in figures.windows {
                let inside = |at: &&Timestamp| (window.window.from..window.window.to).contains(*at);
                let count = |counted: &[Timestamp]| counted.iter().filter(inside).count() as u64;
                let all: u64 = members.iter().map(|content| count(&content.counted)).sum();
                let since: u64 = members.iter().map(|content| count(content.since_promotion())).sum();
                totals.compared += 1;
                totals.mismatches += u64::from(!window.spread.contains(all));
                totals.inexact += u64::from(window.spread.low != since);
            }
        }
    }

    /// What became of it.
    pub(super) fn row(&self, known_at: Option<Timestamp>, path: &Path) -> CrisisRow {
        let (without, with): (Vec<&Rung>, Vec<&Rung>) = self.rung.iter().partition(|rung| rung.signal == Signal::None);
        let variants: BTreeSet<u16> = without.iter().map(|rung| rung.variant).collect();
        let with_signal = || self.copies.iter().filter(|copy| copy.signal != Signal::None);
        let mut by_family: BTreeMap<FamilyId, u64> = BTreeMap::new();
        for copy in with_signal() {
            let family = path.hot(copy.content).map(|record| record.family());
            *by_family.entry(family.unwrap_or(FamilyId(copy.content))).or_default() += 1;
        }
        CrisisRow {
            day: self.day,
            family: self.family,
            alarms: with.len() as u64,
            alarms_after_a_merge: with.iter().filter(|rung| rung.after_a_merge).count() as u64,
            taken_over: self.taken_over,
            alarms_without_signal: without.len() as u64,
            repeated_without_signal: (without.len() - variants.len()) as u64,
            at_alarm: with.first().map(|rung| self.at_alarm(rung)),
            known_at_alarm: known_at.map(|at| self.up_to(at).count() as u64),
            copies: self.copies.len() as u64,
            copies_with_signal: with_signal().count() as u64,
            copies_in_family: by_family.into_values().max().unwrap_or(0),
        }
    }

    fn up_to(&self, at: Timestamp) -> impl Iterator<Item = &Copy> {
        self.copies.iter().filter(move |copy| copy.happened_at <= at)
    }

    fn at_alarm(&self, rung: &Rung) -> AtAlarm {
        let mut at_alarm = AtAlarm::default();
        let mut variants: BTreeMap<u16, u64> = BTreeMap::new();
        for copy in self.up_to(rung.at) {
            match (rung.members.contains(&copy.content), copy.signal) {
                (true, _) => {
                    at_alarm.in_family += 1;
                    *variants.entry(copy.variant).or_default() += 1;
                }
                (false, Signal::None) => at_alarm.without_signal += 1,
                (false, _) => at_alarm.outside += 1,
            }
        }
        at_alarm.leading = variants.into_values().max().unwrap_or(0);
        at_alarm
    }
}

impl Content {
    fn since_promotion(&self) -> &[Timestamp] {
        &self.counted[self.promoted.unwrap_or(self.counted.len())..]
    }
}

impl AtAlarm {
    /// Of all variants.
    pub(in super::super) fn all(&self) -> u64 {
        self.in_family + self.outside + self.without_signal
    }
}

impl CrisisRow {
    /// The first line of the file of rows.
    pub(in super::super) const HEADER: &str = "day,family,alarms,alarms_after_a_merge,taken_over,alarms_without_signal,repeated_without_signal,leading,\
         in_family,outside,without_signal,known,copies,copies_with_signal,copies_in_family";

    pub(super) fn is_alarmed(&self) -> bool {
        self.at_alarm.is_some()
    }

    pub(super) fn reuploads_at_alarm(&self) -> u64 {
        self.at_alarm.map_or(0, |at| at.all())
    }

    /// The line of this row; what is absent is an empty field.
    pub(in super::super) fn to_csv(&self) -> String {
        let told = |of: fn(AtAlarm) -> u64| self.at_alarm.map(|at| of(at).to_string()).unwrap_or_default();
        [
            self.day.to_string(),
            self.family.0.to_string(),
            self.alarms.to_string(),
            self.alarms_after_a_merge.to_string(),
            self.taken_over.to_string(),
            self.alarms_without_signal.to_string(),
            self.repeated_without_signal.to_string(),
            told(|at| at.leading),
            told(|at| at.in_family),
            told(|at| at.outside),
            told(|at| at.without_signal),
            self.known_at_alarm.map(|count| count.to_string()).unwrap_or_default(),
            self.copies.to_string(),
            self.copies_with_signal.to_string(),
            self.copies_in_family.to_string(),
        ]
        .join(",")
    }
}
