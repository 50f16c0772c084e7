use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use tocsin_loadtest::day::{Day, DayPlan, DisorderPlan, Family, Occurrence, PlatformPlan, Scale};
use tocsin_loadtest::rival::{self, Rival};
use tocsin_model::{Alert, AlertLevel, Milliseconds, Name, Timestamp};
use tocsin_velocity::TriggerParameters;

use super::super::alarm::core::{Core, Sizes};
use super::set::{FIRST_PLATFORM, PARTY, RealSet, is_real, number};

/// The longest set: time is told to every key group each minute, and traffic is made for all of it.
pub(super) const DAYS_MAX: i64 = 400;

/// The traffic around a set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Background {
    pub(super) seed: u64,
    /// In units of 10^4 contents a day.
    pub(super) scale: f64,
}

/// Ten thousand contents a day, in the generator's unit.
const UNIT: f64 = 1e-4;
/// The key groups count as large as for so many contents a day at least, whatever the background.
const CONTENTS_MIN: f64 = 1e4;

/// Whether the rule is also asked with exact counts of every content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exact {
    /// It is.
    Too,
    /// It is not.
    LeftOut,
}

/// The names of detectors in rows.
pub(super) const TOCSIN: &str = "tocsin";
pub(super) const EXACT: &str = "exact";

/// What became of a set.
#[derive(Clone, Debug)]
pub(super) struct Played {
    /// Those of the set in the order of their first event, then those of the background about which the rule had anything to say, by number.
    pub(super) contents: Vec<Content>,
    /// Tocsin first.
    pub(super) detectors: Vec<Detector>,
    /// What the rule was asked with beside its threshold; the shipped ones first.
    pub(super) candidates: Vec<TriggerParameters>,
    pub(super) events: u64,
    pub(super) background_events: u64,
    pub(super) background_contents: u64,
}

/// A content and what came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Content {
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) half: Half,
    /// Uploads and shares.
    pub(super) shares: u32,
    /// When they were made, in order.
    pub(super) shared_at: Vec<Timestamp>,
    /// The most within 24 hours.
    pub(super) busiest_day: u32,
    /// Each time that the rule would ring at a higher threshold than ever before.
    pub(super) steps: Vec<Step>,
}

impl Content {
    /// When the rule first rings with the parameters at this place, but with this threshold.
    pub(super) fn rings_at(&self, candidate: usize, threshold: f64) -> Option<Alarm> {
        let mut steps = self.steps_of(candidate);
        let step = steps.find(|step| step.threshold >= threshold)?;
        Some(Alarm {
            at: step.at,
            shares: step.shares,
        })
    }

    pub(super) fn steps_of(&self, candidate: usize) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(move |step| usize::from(step.candidate) == candidate)
    }
}

/// The shipped parameters, then all others that are tried: fewer copies, and without growth, synchrony or the reward of a crisis's pace. How
/// copies came says nothing in a set that holds shares alone, so re-uploads stay as they are.
fn candidates() -> Vec<TriggerParameters> {
    let shipped = TriggerParameters::SHIPPED;
    let mut candidates = vec![shipped];
    for copies_min in [shipped.copies_min, 4.0, 3.0] {
        for growth_max in [shipped.growth_max, 0.0] {
            for synchrony_max in [shipped.synchrony_max, 0.0] {
                for pace_max in [shipped.pace_max, 0.0] {
                    let candidate = TriggerParameters {
                        copies_min,
                        growth_max,
                        synchrony_max,
                        pace_max,
                        ..shipped
                    };
                    if candidate != shipped {
                        candidates.push(candidate);
                    }
                }
            }
        }
    }
    candidates
}

/// Where a content comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Origin {
    #[default]
    Real,
    Background,
}

/// Parameters are chosen on the first half and reported on the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Half {
    #[default]
    First,
    Second,
}

/// From here on the rule rings at this threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    /// With the parameters at this place.
    pub(super) candidate: u8,
    pub(super) at: Timestamp,
    /// Shares of the content by then, the one that is being counted included.
    pub(super) shares: u32,
    pub(super) threshold: f64,
}

/// A detector, and its first alarm about each content.
#[derive(Clone, Debug)]
pub(super) struct Detector {
    pub(super) name: &'static str,
    /// By the content's place.
    pub(super) alarms: HashMap<usize, Alarm>,
}

/// A first alarm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Alarm {
    pub(super) at: Timestamp,
    /// Shares of the content by then.
    pub(super) shares: u32,
}

/// What is kept of a content while it is played.
#[derive(Default)]
struct Spreading {
    shared_at: Vec<Timestamp>,
    steps: Vec<Step>,
    /// The highest threshold of each candidate so far; empty before it is first asked about.
    highest: Vec<f64>,
}

impl Spreading {
    /// What the rule says of it now.
    fn score(&mut self, core: &Core, record: &Occurrence, candidates: &[TriggerParameters]) {
        self.highest.resize(candidates.len(), f64::NEG_INFINITY);
        for ((candidate, parameters), highest) in (0_u8..).zip(candidates).zip(&mut self.highest) {
            // A spike rings at every threshold, and is nothing new.
            if *highest == f64::INFINITY {
                continue;
            }
            let Some(threshold) = core.rings_up_to(record.family, parameters) else {
                continue;
            };
            if threshold > *highest {
                *highest = threshold;
                self.steps.push(Step {
                    candidate,
                    at: record.received_at,
                    shares: self.shared_at.len() as u32,
                    threshold,
                });
            }
        }
    }
}

/// A detector at work.
struct Listening {
    name: &'static str,
    alarms: HashMap<Family, Alarm>,
}

impl Half {
    /// By the content's hash.
    fn of(name: &str) -> Self {
        let digest = Sha256::digest(name.as_bytes());
        if digest[0] & 1 == 0 { Half::First } else { Half::Second }
    }
}

impl Listening {
    fn new(name: &'static str) -> Self {
        Listening {
            name,
            alarms: HashMap::new(),
        }
    }

    fn rang(&mut self, family: Family, at: Timestamp, contents: &HashMap<Family, Spreading>) {
        let shares = contents
            .get(&family)
            .map_or(0, |content| content.shared_at.len() as u32);
        self.alarms.entry(family).or_insert(Alarm { at, shares });
    }
}

/// Plays a set to all detectors.
pub(super) fn play(set: &RealSet, background: Option<Background>, exact: Exact) -> Played {
    let plan = plan(set, background);
    let contents_per_day = (background.map_or(0.0, |background| background.scale) * 1e4).max(CONTENTS_MIN);
    let mut cores = vec![(
        Listening::new(TOCSIN),
        Core::new(Sizes::for_contents(contents_per_day), &plan),
    )];
    if exact == Exact::Too {
        cores.push((Listening::new(EXACT), Core::new(Sizes::EXACT, &plan)));
    }
    let mut rivals: Vec<(Listening, Box<dyn Rival>)> = rival::all()
        .into_iter()
        .map(|rival| (Listening::new(rival.name()), rival))
        .collect();
    let mut contents: HashMap<Family, Spreading> = HashMap::new();
    let candidates = candidates();
    let mut alerts: Vec<Alert> = Vec::new();
    let mut events = 0;
    for record in mixed(set, background.is_some().then(|| Day::new(&plan))) {
        events += 1;
        if record.kind.is_spread() {
            let content = contents.entry(record.family).or_default();
            content.shared_at.push(record.happened_at);
        }
        for (listening, core) in &mut cores {
            core.take(&record, &mut alerts);
            hear(listening, &mut alerts, &contents);
        }
        for (listening, rival) in &mut rivals {
            if let Some(alarm) = rival.observe(&record) {
                listening.rang(alarm.family, alarm.at, &contents);
            }
        }
        if let Some(content) = contents.get_mut(&record.family) {
            content.score(&cores[0].1, &record, &candidates);
        }
    }
    let cores = cores.into_iter().map(|(listening, _)| listening);
    let listening: Vec<Listening> = cores
        .chain(rivals.into_iter().map(|(listening, _)| listening))
        .collect();
    told(set, contents, listening, candidates, events)
}

/// Episodes that were raised.
fn hear(listening: &mut Listening, alerts: &mut Vec<Alert>, contents: &HashMap<Family, Spreading>) {
    for alert in alerts.drain(..) {
        if alert.level == AlertLevel::Raised {
            listening.rang(Core::family_of(&alert), alert.at, contents);
        }
    }
}

fn told(
    set: &RealSet,
    mut contents: HashMap<Family, Spreading>,
    listening: Vec<Listening>,
    candidates: Vec<TriggerParameters>,
    events: u64,
) -> Played {
    let background_contents = contents.keys().filter(|family| !is_real(**family)).count() as u64;
    contents.retain(|family, content| {
        let rang = || listening.iter().any(|listening| listening.alarms.contains_key(family));
        is_real(*family) || !content.steps.is_empty() || rang()
    });
    let mut families: Vec<Family> = contents.keys().copied().collect();
    families.sort_unstable_by_key(|family| (!is_real(*family), *family));
    let places: HashMap<Family, usize> = families
        .iter()
        .enumerate()
        .map(|(place, family)| (*family, place))
        .collect();
    let detectors = listening.into_iter().map(|listening| Detector {
        name: listening.name,
        alarms: listening
            .alarms
            .into_iter()
            .filter_map(|(family, alarm)| Some((*places.get(&family)?, alarm)))
            .collect(),
    });
    let detectors = detectors.collect();
    let contents = families
        .iter()
        .map(|family| content(set, *family, contents.remove(family).unwrap_or_default()));
    Played {
        contents: contents.collect(),
        detectors,
        candidates,
        events,
        background_events: events - set.records.len() as u64,
        background_contents,
    }
}

fn content(set: &RealSet, family: Family, mut spreading: Spreading) -> Content {
    spreading.shared_at.sort_unstable();
    let (name, origin) = if is_real(family) {
        (set.names[number(family)].clone(), Origin::Real)
    } else {
        (format!("background {}", family.0), Origin::Background)
    };
    Content {
        half: Half::of(&name),
        name,
        origin,
        shares: spreading.shared_at.len() as u32,
        busiest_day: busiest_day(&spreading.shared_at),
        shared_at: spreading.shared_at,
        steps: spreading.steps,
    }
}

/// The most of these times, which are in order, within 24 hours.
fn busiest_day(times: &[Timestamp]) -> u32 {
    let within = |(last, time): (usize, &Timestamp)| {
        let first = times.partition_point(|earlier| *earlier <= *time - Milliseconds::from_hours(24));
        (last + 1 - first) as u32
    };
    times.iter().enumerate().map(within).max().unwrap_or(0)
}

/// Ordinary traffic for as long as the set lasts, and the platforms of both. Nothing is sent twice, so that shares can be counted.
fn plan(set: &RealSet, background: Option<Background>) -> DayPlan {
    let Background { seed, scale } = background.unwrap_or(Background { seed: 0, scale: 0.0 });
    let ordinary = DayPlan::ordinary(Scale(UNIT * scale), seed, 0);
    debug_assert_eq!(
        (ordinary.platforms.len(), ordinary.parties.len()),
        (usize::from(FIRST_PLATFORM), usize::from(PARTY)),
        "real platforms come after those of the generator"
    );
    let name = |text: &str| -> Name { text.parse().expect("the names in this crate's source are names") };
    let mut plan = DayPlan {
        begins_at: set.span().map_or(ordinary.begins_at, |(from, _)| from),
        lasts: set.lasts(),
        disorder: DisorderPlan {
            duplicate_share: 0.0,
            ..ordinary.disorder
        },
        ..ordinary
    };
    plan.parties.push(name("real-posts"));
    // Nothing of the background falls on a platform without a size.
    plan.platforms.extend(set.platforms.iter().map(|platform| PlatformPlan {
        name: name(platform),
        party: PARTY,
        size: 0.0,
        clock_ahead: Milliseconds(0),
    }));
    plan
}

/// Both streams in the order of their receipt.
fn mixed(set: &RealSet, background: Option<Day>) -> impl Iterator<Item = Occurrence> + '_ {
    let mut real = set.records.iter().copied().peekable();
    let mut background = background.into_iter().flatten().peekable();
    std::iter::from_fn(move || match (real.peek(), background.peek()) {
        (Some(one), Some(other)) if other.received_at < one.received_at => background.next(),
        (None, Some(_)) => background.next(),
        _ => real.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_day_is_any_24_hours() {
        let hours = |hours: &[i64]| {
            let times: Vec<Timestamp> = hours.iter().map(|hour| Timestamp(hour * 3_600_000)).collect();
            busiest_day(&times)
        };
        assert_eq!(hours(&[]), 0);
        assert_eq!(hours(&[7, 7, 30]), 3, "across midnight");
        assert_eq!(hours(&[0, 24, 47, 48]), 2, "24 hours later is another day");
    }
}
