use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tocsin_model::{ContentHash, Event, Milliseconds, Name, Timestamp};

use super::config::{CrisisConfig, Disorder, ScenarioConfig};
use super::copies::{self, Crisis, Ordinary};
use super::draw::{Draw, Weighted};
use super::rate::Rate;

/// The number of a crisis: its place in [`ScenarioConfig::crises`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CrisisId(pub u32);

/// An event as it is received.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// When it is received.
    pub received_at: Timestamp,
    /// The party that publishes it.
    pub party: Name,
    /// The event.
    pub event: Event,
    /// The crisis it belongs to.
    pub truth: Option<CrisisId>,
}

/// The events of a scenario, in the order of their receipt.
#[derive(Clone, Debug)]
pub struct Scenario {
    start: Timestamp,
    duration: Milliseconds,
    platforms: Vec<(Name, Name)>,
    sizes: Weighted,
    disorder: Disorder,
    sources: Vec<Source>,
    on_their_way: BinaryHeap<OnItsWay>,
    generated: u64,
}

/// One process of arrivals.
#[derive(Clone, Debug)]
struct Source {
    draw: Draw,
    rate: Rate,
    /// Seconds from the start of the scenario to the start of this source.
    offset_s: f64,
    /// Seconds from there to its end.
    lasts_s: f64,
    /// The next arrival, in seconds since the source's start.
    next: Option<f64>,
    of: Of,
}

#[derive(Clone, Debug)]
enum Of {
    Ordinary(Ordinary),
    Burst { seed: u64, number: u64 },
    Crisis { id: CrisisId, crisis: Crisis },
    Reports { id: CrisisId, crisis: Crisis },
}

#[derive(Clone, Debug)]
struct OnItsWay {
    number: u64,
    generated: Generated,
}

impl Scenario {
    /// The scenario at its start.
    pub fn new(config: &ScenarioConfig) -> Self {
        let seed = config.seed;
        let seconds = |length: Milliseconds| length.0 as f64 / 1_000.0;
        let duration_s = seconds(config.duration);
        let ordinary = Of::Ordinary(Ordinary::new(seed, config.popularity));
        let mut sources = vec![Source::new(
            Draw::of(seed, "background", 0),
            Rate::Constant(config.background_per_second),
            (0.0, duration_s),
            ordinary,
        )];
        for (number, burst) in (0_u64..).zip(&config.bursts) {
            let rate = Rate::Decaying {
                total: burst.copies,
                mean_age_s: seconds(burst.mean_age),
            };
            let span = (seconds(burst.at), duration_s);
            sources.push(Source::new(
                Draw::of(seed, "bursts", number),
                rate,
                span,
                Of::Burst { seed, number },
            ));
        }
        for (number, crisis) in (0_u32..).zip(&config.crises) {
            sources.extend(crisis_sources(seed, number, crisis));
        }
        let platforms = config.parties.iter().flat_map(|party| {
            party
                .platforms
                .iter()
                .map(|platform| (party.name.clone(), platform.name.clone()))
        });
        let sizes = config
            .parties
            .iter()
            .flat_map(|party| &party.platforms)
            .map(|platform| platform.size);
        Scenario {
            start: config.start,
            duration: config.duration,
            platforms: platforms.collect(),
            sizes: Weighted::new(sizes),
            disorder: config.disorder,
            sources,
            on_their_way: BinaryHeap::new(),
            generated: 0,
        }
    }

    /// The hash of the first variant of a crisis: what its family is expected to be named after.
    pub fn crisis_hash(config: &ScenarioConfig, id: CrisisId) -> Option<ContentHash> {
        let crisis = config.crises.get(id.0 as usize)?;
        Some(Crisis::new(config.seed, u64::from(id.0), *crisis).variant(0))
    }

    /// The source whose next event happens first.
    fn first(&self) -> Option<(usize, f64)> {
        self.sources
            .iter()
            .enumerate()
            .filter_map(|(place, source)| Some((place, source.offset_s + source.next?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn generate(&mut self, place: usize, at_s: f64) {
        let occurred_at = self.start + Milliseconds((at_s * 1_000.0) as i64);
        let source = &mut self.sources[place];
        let draw = &mut source.draw;
        let (party, platform) = self.platforms[self.sizes.draw(draw)].clone();
        let (copy, truth) = match &mut source.of {
            Of::Ordinary(ordinary) => (ordinary.next(platform, draw), None),
            Of::Burst { seed, number } => (copies::burst(*seed, *number, platform, draw), None),
            Of::Crisis { id, crisis } => (crisis.next(platform, draw), Some(*id)),
            Of::Reports { id, crisis } => (crisis.report(platform, draw), Some(*id)),
        };
        let event = copies::event(copy, occurred_at, draw);
        let delay = self.disorder.delay(draw);
        let second_delay = draw
            .happens(self.disorder.duplicate_share)
            .then(|| delay + Milliseconds(1 + draw.below(30_000) as i64));
        source.advance();
        let generated = Generated {
            received_at: occurred_at + delay,
            party,
            event,
            truth,
        };
        if let Some(delay) = second_delay {
            let again = Generated {
                received_at: occurred_at + delay,
                ..generated.clone()
            };
            self.send(again);
        }
        self.send(generated);
    }

    fn send(&mut self, generated: Generated) {
        if generated.received_at - self.start >= self.duration {
            return;
        }
        self.generated += 1;
        self.on_their_way.push(OnItsWay {
            number: self.generated,
            generated,
        });
    }
}

impl Iterator for Scenario {
    type Item = Generated;

    fn next(&mut self) -> Option<Generated> {
        // Nothing is received before it happens, so what is first on its way is first of all once no source is before it.
        while let Some((place, at_s)) = self.first() {
            let happens_at = self.start + Milliseconds((at_s * 1_000.0) as i64);
            if self
                .on_their_way
                .peek()
                .is_some_and(|first| first.generated.received_at < happens_at)
            {
                break;
            }
            self.generate(place, at_s);
        }
        self.on_their_way.pop().map(|first| first.generated)
    }
}

fn crisis_sources(seed: u64, number: u32, config: &CrisisConfig) -> [Source; 2] {
    let seconds = |length: Milliseconds| length.0 as f64 / 1_000.0;
    let id = CrisisId(number);
    let number = u64::from(number);
    let crisis = Crisis::new(seed, number, *config);
    let rate = Rate::Doubling {
        first: config.first_per_second,
        doubling_s: seconds(config.doubling),
        cap: config.per_second_max,
    };
    let copies = Of::Crisis {
        id,
        crisis: crisis.clone(),
    };
    let (at, lasts, reports_after) = (seconds(config.at), seconds(config.lasts), seconds(config.reports_after));
    [
        Source::new(Draw::of(seed, "crises", number), rate, (at, lasts), copies),
        Source::new(
            Draw::of(seed, "reports", number),
            Rate::Constant(config.reports_per_second),
            (at + reports_after, (lasts - reports_after).max(0.0)),
            Of::Reports { id, crisis },
        ),
    ]
}

impl Source {
    fn new(draw: Draw, rate: Rate, (offset_s, lasts_s): (f64, f64), of: Of) -> Self {
        let mut source = Source {
            draw,
            rate,
            offset_s,
            lasts_s,
            next: Some(0.0),
            of,
        };
        source.advance();
        source
    }

    fn advance(&mut self) {
        let next = self.next.and_then(|at| self.rate.next(at, &mut self.draw));
        self.next = next.filter(|at| *at < self.lasts_s);
    }
}

impl Disorder {
    fn delay(&self, draw: &mut Draw) -> Milliseconds {
        if draw.happens(self.late_share) {
            let late_by = self.late_by.0.max(1);
            Milliseconds(late_by + draw.below(late_by as u64) as i64)
        } else {
            Milliseconds(draw.below(self.delay_max.0.max(1) as u64) as i64)
        }
    }
}

/// The heap's greatest is what is received first; at one time, what was made first.
impl Ord for OnItsWay {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |item: &Self| (item.generated.received_at, item.number);
        key(other).cmp(&key(self))
    }
}

impl PartialOrd for OnItsWay {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for OnItsWay {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for OnItsWay {}
