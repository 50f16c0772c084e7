//! Intake in memory, on one thread, with a long list of announced pictures and without: what of its rate it keeps, and how late links are.

use std::time::{Duration, Instant};

use anyhow::ensure;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tocsin_intake::{Intake, IntakeConfig};
use tocsin_loadtest::picture::flipped;
use tocsin_loadtest::scenario::{PartyPlan, Scenario};
use tocsin_log::{Headers, RecordRef, StampedBy};
use tocsin_model::{
    AccountPseudonym, Algorithm, Class, ContentHash, Event, EventId, FamilyAnnouncement, FamilyId, Kind, Milliseconds,
    Sharing, Surface,
};
use tocsin_wire::{Schemas, event};

use super::core::START;
use super::corpus::{self, Framing, Run};
use super::process;

const SEED: u64 = 20_190_316;
/// Events of ordinary traffic, with each list and without.
const ORDINARY: usize = 200_000;
/// Events with a picture that was not seen before; one in ten is a copy of a listed one.
const PICTURES: usize = 4_000;
const COPY_EVERY: usize = 10;
/// Events of either kind are taken in turns of so many by the two, so that what else the machine does meets both.
const TURN: usize = 500;
/// A new picture comes so often: two thousand in a second.
const DUE_EVERY: Duration = Duration::from_micros(500);

/// What the list holds.
#[derive(Clone, Copy, Debug)]
enum Holds {
    /// Pictures that have nothing to do with one another.
    Random,
    /// A thousand copies each of as many pictures.
    Clustered,
    /// Copies of one picture.
    Skewed,
}

/// What was measured with one list. Times are of the thread's processor, lags of the clock on the wall.
pub(super) struct Listed {
    pub(super) name: &'static str,
    /// For each event of ordinary traffic, without the list and with it.
    pub(super) ordinary: [Duration; 2],
    /// For each event with a new picture.
    pub(super) picture: [Duration; 2],
    /// How long after its event a link was made, at two thousand new pictures a second: 99 of 100, and the longest.
    pub(super) link_lag_p99: Duration,
    pub(super) link_lag_max: Duration,
    pub(super) links: u64,
}

impl Listed {
    /// What is left of the rate of one thread, all events together, where two thousand in a second bring a new picture and the rest is ordinary.
    pub(super) fn rate_kept_mixed(&self) -> f64 {
        let pictures = 1.0 / DUE_EVERY.as_secs_f64();
        let rate = |side: usize| {
            let left = 1.0 - pictures * self.picture[side].as_secs_f64();
            // Where the pictures alone take more than there is, the others wait for ever.
            pictures.min(1.0 / self.picture[side].as_secs_f64().max(1e-9))
                + left.max(0.0) / self.ordinary[side].as_secs_f64().max(1e-9)
        };
        rate(1) / rate(0)
    }
}

/// Measures lists of so many hashes.
pub(super) fn measure(hashes: usize) -> anyhow::Result<Vec<Listed>> {
    measure_with(hashes, ORDINARY)
}

fn measure_with(hashes: usize, ordinary: usize) -> anyhow::Result<Vec<Listed>> {
    let lists = [
        ("random", Holds::Random),
        ("clustered", Holds::Clustered),
        ("skewed", Holds::Skewed),
    ];
    let of_list = |(name, kind)| measure_list(name, kind, (hashes, ordinary));
    lists.into_iter().map(of_list).collect()
}

fn measure_list(name: &'static str, kind: Holds, (count, ordinary): (usize, usize)) -> anyhow::Result<Listed> {
    let mut random = SmallRng::seed_from_u64(SEED);
    let list = pictures(kind, count, &mut random);
    let config = IntakeConfig {
        // A picture counts twice, and nothing of the list is to be forgotten.
        announced_hashes_max: (2 * count + 10_000).min(16_000_000) as u32,
        ..IntakeConfig::default()
    };
    let scenario = corpus::ordinary(
        Framing::Single,
        Run::Throughput,
        ordinary as u64,
        START,
        Milliseconds::from_minutes(5),
    );
    let mut sides = [
        Side::new(&config, &scenario.parties),
        Side::new(&config, &scenario.parties),
    ];
    for hash in &list {
        sides[1].announce(hash);
    }
    let ordinary: Vec<(usize, Vec<u8>)> = Scenario::new(&scenario)
        .take(ordinary)
        .map(|generated| {
            let mut parties = scenario.parties.iter();
            let party = parties.position(|party| party.name == generated.party).unwrap_or(0);
            (party, event::encode_single_object(&generated.event))
        })
        .collect();
    let new: Vec<(usize, Vec<u8>)> = (0..PICTURES)
        .map(|number| {
            let picture = match number % COPY_EVERY {
                0 => flipped(list[random.random_range(0..list.len())], 10, &mut random),
                _ => random.random(),
            };
            (
                0,
                event::encode_single_object(&upload(&scenario.parties[0], picture, &mut random)),
            )
        })
        .collect();

    let of_ordinary = in_turns(&mut sides, &ordinary, false);
    let of_pictures = in_turns(&mut sides, &new, true);
    let counted = sides.each_mut().map(|side| side.intake.take_counted());
    for counted in &counted {
        ensure!(
            counted.rejected.is_empty(),
            "events were rejected: {:?}",
            counted.rejected
        );
        ensure!(
            counted.forgotten_early == 0,
            "{} were forgotten early",
            counted.forgotten_early
        );
    }
    ensure!(counted[0].links == 0, "{} links without a list", counted[0].links);
    let lags = lags(&of_pictures[1].each);
    let mean = |took: [Took; 2], events: usize| took.map(|took| took.whole / events.max(1) as u32);
    Ok(Listed {
        name,
        ordinary: mean(of_ordinary, ordinary.len()),
        picture: mean(of_pictures, new.len()),
        link_lag_p99: lags[lags.len() * 99 / 100],
        link_lag_max: lags.last().copied().unwrap_or_default(),
        links: counted[1].links,
    })
}

/// An intake, and where it is in its topics.
struct Side {
    intake: Intake,
    topics: Vec<String>,
    offset: u64,
}

impl Side {
    fn new(config: &IntakeConfig, parties: &[PartyPlan]) -> Side {
        let mut intake = Intake::new(config, corpus::setup(), Schemas::builtin().clone());
        let mut topics = Vec::new();
        for record in corpus::party_records(Framing::Single, parties) {
            topics.push(tocsin_wire::topics::ingest_name(&record.name));
            intake.registry_mut().put(record);
        }
        Side {
            intake,
            topics,
            offset: 0,
        }
    }

    fn announce(&mut self, picture: &[u8; 32]) {
        let hash = pdq(*picture);
        let content = corpus::setup().key.content_id(&hash);
        self.intake.announced(&FamilyAnnouncement {
            content,
            hash,
            family: FamilyId(content),
            class: Class::All,
            at: START,
        });
        self.intake.take();
    }

    fn record(&mut self, (party, value): &(usize, Vec<u8>)) {
        let source = self.intake.source_id(*party as u64, 0);
        self.intake.record(
            source,
            RecordRef {
                topic: &self.topics[*party],
                partition: 0,
                offset: self.offset,
                appended_at_ms: START.0,
                stamped_by: StampedBy::Log,
                key: None,
                value: Some(value),
                headers: Headers::Slice(&[]),
            },
        );
        self.offset += 1;
    }
}

/// What events took on one side.
#[derive(Clone, Debug, Default)]
struct Took {
    /// Of the thread's processor, all events together. To ask for it takes long beside an ordinary event: so it is asked for turns.
    whole: Duration,
    /// Of each event, by the clock on the wall.
    each: Vec<Duration>,
}

/// What events took on both sides; of each by itself if it is wanted.
fn in_turns(sides: &mut [Side; 2], events: &[(usize, Vec<u8>)], of_each: bool) -> [Took; 2] {
    let mut took = [Took::default(), Took::default()];
    for (number, turn) in events.chunks(TURN).enumerate() {
        // Whoever comes second finds the events in the cache: each does every other time.
        for which in [number % 2, 1 - number % 2] {
            let (side, took) = (&mut sides[which], &mut took[which]);
            let before = process::thread_time();
            if of_each {
                for event in turn {
                    let begun = Instant::now();
                    side.record(event);
                    took.each.push(begun.elapsed());
                }
            } else {
                turn.iter().for_each(|event| side.record(event));
            }
            took.whole += process::thread_time() - before;
            std::hint::black_box(side.intake.take());
        }
    }
    took
}

/// How late each event is done that is due every [`DUE_EVERY`] and waits for those before it, ascending.
fn lags(times: &[Duration]) -> Vec<Duration> {
    let mut lags = Vec::with_capacity(times.len());
    let mut lag = Duration::ZERO;
    for time in times {
        lag = lag.saturating_sub(DUE_EVERY) + *time;
        lags.push(lag);
    }
    lags.sort_unstable();
    lags
}

fn pictures(kind: Holds, count: usize, random: &mut SmallRng) -> Vec<[u8; 32]> {
    let mut picture: [u8; 32] = random.random();
    (0..count)
        .map(|number| {
            if matches!(kind, Holds::Random) || (matches!(kind, Holds::Clustered) && number % 1_000 == 0) {
                picture = random.random();
            }
            match kind {
                Holds::Random => picture,
                Holds::Clustered | Holds::Skewed => flipped(picture, random.random_range(0..=20), random),
            }
        })
        .collect()
}

fn pdq(value: [u8; 32]) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Pdq, value.to_vec(), Some(100)).expect("a PDQ hash has 32 bytes")
}

fn upload(party: &PartyPlan, picture: [u8; 32], random: &mut SmallRng) -> Event {
    let id: [u8; 16] = random.random();
    let file: [u8; 32] = random.random();
    Event {
        event_id: EventId(id),
        platform: party.platforms[0].name.clone(),
        kind: Kind::Upload,
        occurred_at: START,
        content: vec![
            ContentHash::from_bytes(Algorithm::Sha256, file.to_vec(), None).expect("a SHA-256 has 32 bytes"),
            pdq(picture),
        ],
        same_as: Vec::new(),
        frames: Vec::new(),
        account: Some(AccountPseudonym(id)),
        account_epoch: 1,
        region: None,
        language: None,
        audience: None,
        surface: Surface::Feed,
        labels: Vec::new(),
        sharing: Sharing::All,
    }
}

#[cfg(test)]
mod tests {
    //! Goal: who waits for those before is as late as they make it, and a short list is measured whole.

    use super::*;

    #[test]
    fn an_event_waits_for_those_before_it() {
        let micros = |micros: &[u64]| -> Vec<Duration> { micros.iter().map(|of| Duration::from_micros(*of)).collect() };
        assert_eq!(lags(&micros(&[100, 100, 100])), micros(&[100, 100, 100]));
        assert_eq!(lags(&micros(&[1_100, 100, 600, 100])), micros(&[400, 700, 800, 1_100]));
    }

    #[test]
    fn a_short_list_is_measured() {
        let measured = measure_with(2_000, 2_000).expect("it is measured");
        for list in measured {
            assert!(
                list.links >= (PICTURES / COPY_EVERY) as u64 / 2,
                "{}: {}",
                list.name,
                list.links
            );
            assert!(list.link_lag_max >= list.link_lag_p99);
        }
    }
}
