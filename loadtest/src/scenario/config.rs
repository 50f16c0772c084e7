use tocsin_model::{Milliseconds, Name, Timestamp};

/// A scenario: who publishes, what is ordinary, what bursts, what is the crisis. Times are relative to `start`.
#[derive(Clone, Debug)]
pub struct ScenarioConfig {
    /// Everything that is drawn depends on it.
    pub seed: u64,
    /// When it begins.
    pub start: Timestamp,
    /// How long events happen. Those still on their way then are not received any more.
    pub duration: Milliseconds,
    /// Who publishes. At least one party with a platform.
    pub parties: Vec<PartyPlan>,
    /// Ordinary events a second over all platforms, at a constant rate: there is no daily rhythm.
    pub background_per_second: f64,
    /// Which contents ordinary events are about.
    pub popularity: Popularity,
    /// Benign contents that spread fast.
    pub bursts: Vec<BurstConfig>,
    /// What the detector is for.
    pub crises: Vec<CrisisConfig>,
    /// What goes wrong on the way.
    pub disorder: Disorder,
}

/// A party and its platforms.
#[derive(Clone, Debug)]
pub struct PartyPlan {
    /// Its name.
    pub name: Name,
    /// Its platforms.
    pub platforms: Vec<PlatformPlan>,
}

/// A platform.
#[derive(Clone, Debug)]
pub struct PlatformPlan {
    /// Its name, of one party only.
    pub name: Name,
    /// Its size, in any unit: events fall on platforms in proportion.
    pub size: f64,
}

/// The contents of ordinary events. An ordinary event is about a content of its own, or, with `repeated_share`, about one of `contents`
/// by Zipf's law.
#[derive(Clone, Copy, Debug)]
pub struct Popularity {
    /// The share of events that are about contents which are seen again: 0 to 1.
    pub repeated_share: f64,
    /// How many of those contents there are: 1 to 10^7.
    pub contents: u32,
    /// Zipf's exponent.
    pub exponent: f64,
}

/// A benign content that spreads fast and calms down: sport, music, a meme.
#[derive(Clone, Copy, Debug)]
pub struct BurstConfig {
    /// When it begins.
    pub at: Milliseconds,
    /// How many copies are expected in all.
    pub copies: f64,
    /// The mean age of a copy.
    pub mean_age: Milliseconds,
}

/// A violent content that spreads.
#[derive(Clone, Copy, Debug)]
pub struct CrisisConfig {
    /// When re-uploads begin.
    pub at: Milliseconds,
    /// How long they go on.
    pub lasts: Milliseconds,
    /// Copies a second at the beginning.
    pub first_per_second: f64,
    /// How long the rate takes to double. Must be positive.
    pub doubling: Milliseconds,
    /// Copies a second at most.
    pub per_second_max: f64,
    /// The share of uploads that are refused by the platform.
    pub blocked_share: f64,
    /// The share of copies that carry the label `tvec`.
    pub labelled_share: f64,
    /// The share of copies by accounts that posted one before.
    pub repeated_account_share: f64,
    /// How many variants of it there are, 1 or more, popular by Zipf's law of exponent 1.5. Copies of all but the first assert, one in two,
    /// that they are the same as the first.
    pub variants: u32,
    /// When users begin to report it, after it began.
    pub reports_after: Milliseconds,
    /// Reports a second from then on.
    pub reports_per_second: f64,
}

/// What happens to events between platform and log.
#[derive(Clone, Copy, Debug)]
pub struct Disorder {
    /// The longest ordinary delay; ordinary delays are uniform from 0.
    pub delay_max: Milliseconds,
    /// The share of events that come late.
    pub late_share: f64,
    /// Between this and twice this late.
    pub late_by: Milliseconds,
    /// The share of events that are received a second time.
    pub duplicate_share: f64,
}

impl ScenarioConfig {
    /// Ordinary traffic of five platforms of three parties: nine contents in ten are seen once, one event in a hundred comes 5 to 10 min
    /// late and one in a hundred twice. No burst, no crisis.
    pub fn ordinary(seed: u64, start: Timestamp, duration: Milliseconds, background_per_second: f64) -> Self {
        let events = background_per_second * duration.0 as f64 / 1_000.0;
        ScenarioConfig {
            seed,
            start,
            duration,
            parties: vec![
                PartyPlan::new("example-video", &[("example-video", 10.0), ("example-shorts", 4.0)]),
                PartyPlan::new("example-social", &[("example-social", 6.0), ("example-messenger", 2.0)]),
                PartyPlan::new("example-forum", &[("example-forum", 1.0)]),
            ],
            background_per_second,
            popularity: Popularity {
                repeated_share: 0.5,
                // At most 5 % of the contents, so that at least 90 % are seen once whatever is drawn.
                contents: (events * 0.025).clamp(16.0, 1e6) as u32,
                exponent: 1.05,
            },
            bursts: Vec::new(),
            crises: Vec::new(),
            disorder: Disorder {
                delay_max: Milliseconds(400),
                late_share: 0.01,
                late_by: Milliseconds::from_minutes(5),
                duplicate_share: 0.01,
            },
        }
    }
}

impl PartyPlan {
    /// A party and its platforms with their sizes. The names must be [`Name`]s: they stand in the source.
    pub(crate) fn new(name: &str, platforms: &[(&str, f64)]) -> Self {
        let parse = |text: &str| text.parse().expect("the names in this crate's source are names");
        PartyPlan {
            name: parse(name),
            platforms: platforms
                .iter()
                .map(|(name, size)| PlatformPlan {
                    name: parse(name),
                    size: *size,
                })
                .collect(),
        }
    }
}
