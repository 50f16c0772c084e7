//! The rule that rings: what speaks for a spike, from the spread of every window, from its pace, growth, platforms and re-uploads.

mod beta;
mod growth;
mod null;
mod ordinary;
mod pace;
mod reuploads;
mod scan;
mod synchrony;

use tocsin_model::{Estimate, Kind, Milliseconds, PlatformId, PlatformNull, ScoreTerms, Timestamp, TriggerEvidence};

use self::null::Null;
use self::ordinary::{Ordinary, Scale};
use self::scan::Window;
use crate::bins::{Bin, resolution_at};
use crate::episode::Rings;
use crate::record::{HotRecord, Resolution};

/// The version of the rule below. Part of every alert's id: a changed rule makes new alerts.
pub const RULE_VERSION: u16 = 6;

/// What the rule leaves open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TriggerParameters {
    /// The score, in nats, from which an episode is raised.
    pub threshold: f64,
    /// Fewer copies by distinct accounts than this are never a spread.
    pub copies_min: f64,
    /// The most that growth adds and decay takes, in nats.
    pub growth_max: f64,
    /// The most that synchrony adds and its absence takes, in nats.
    pub synchrony_max: f64,
    /// The most that re-uploads add, in nats.
    pub reuploads_max: f64,
    /// The most that the pace of a crisis adds, in nats.
    pub pace_max: f64,
}

impl TriggerParameters {
    /// What this version rings by.
    pub const SHIPPED: TriggerParameters = TriggerParameters {
        threshold: 5.2,
        copies_min: 6.0,
        growth_max: 3.0,
        synchrony_max: 4.0,
        reuploads_max: 5.0,
        pace_max: 2.0,
    };

    /// The most that all of them add.
    fn extras_max(&self) -> f64 {
        self.growth_max + self.synchrony_max + self.reuploads_max + self.pace_max
    }
}

/// What is sure is not surer than this.
const SURE: f64 = 16.0;

/// What the rule says of a family in a scope.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    /// Without the accounts' interval, which only an alert needs.
    pub(crate) evidence: TriggerEvidence,
    /// What its score is the sum of.
    pub(crate) terms: ScoreTerms,
    pub(crate) rings: Rings,
    /// It would ring at any threshold up to this; `None`: at none, for want of copies. Exact where the rest of the evidence was looked at:
    /// from the threshold that was asked about on.
    pub(crate) rings_up_to: Option<f64>,
    /// Before so many more copies it cannot ring, as long as the quarter of an hour lasts.
    pub(crate) copies_missing: u64,
}

/// What the rule must know beside the records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Past<'a> {
    /// Since when anything is counted at all: what was before is not known to have been nothing.
    pub(crate) watched_since: Timestamp,
    /// When the latest episode was over: its copies are ordinary now.
    pub(crate) settled_until: Timestamp,
    /// What is ordinary on the platforms that were calibrated.
    pub(crate) platforms: &'a [PlatformNull],
    /// Spread of the last day from before promotion, but for the hour before it.
    uncounted: u64,
}

impl<'a> Past<'a> {
    pub(crate) fn new(watched_since: Timestamp, settled_until: Timestamp, platforms: &'a [PlatformNull]) -> Self {
        Past {
            watched_since,
            settled_until,
            platforms,
            uncounted: 0,
        }
    }

    fn with(self, records: &[&HotRecord], now: Timestamp) -> Self {
        let uncounted = records.iter().map(|record| record.spread_before_promotion(now)).sum();
        Past { uncounted, ..self }
    }
}

/// So many copies before the window halve what pace, growth, platforms and re-uploads say: what has been on several platforms all along is no news there.
const NOVEL_COPIES: f64 = 10.0;

fn novelty(before: u64) -> f64 {
    NOVEL_COPIES / (NOVEL_COPIES + before as f64)
}

/// Judges the records of one family in one scope.
///
/// The score is a sum of log-odds for the beginning of a spike: first from the most telling of all windows that end now, as the chance that an
/// ordinary content ([`Ordinary`], by the nulls of its platforms) which has come so far becomes a spike; then what the pace, the growth, the
/// platforms and the re-uploads of that window say, as far as it holds more than expected. Of the copies by one account within an hour only one
/// counts. Only counts since promotion are looked at, so that a count which is merely possible never rings.
///
/// What is in `room` is of no account: whoever asks often keeps it.
pub(crate) fn judge(
    records: &[&HotRecord],
    past: Past<'_>,
    now: Timestamp,
    parameters: &TriggerParameters,
    room: &mut Room,
) -> Judgement {
    let Room { bins, platforms } = room;
    scan::put_bins(records, now, bins);
    let bins: &[Bin] = bins;
    let Spreaders {
        accounts: spreaders,
        with_next_copy,
    } = spreaders(records);
    let counted = |window: &Window| (window.spread as f64).min(spreaders);
    let mut best: Option<(f64, Window)> = None;
    let mut copies_missing = f64::INFINITY;
    let needed = Needed::to_ring(parameters);
    let null = Null::of(records, past.platforms, now);
    for window in scan::windows(bins, past.with(records, now), &null, now) {
        let copies = counted(&window);
        let scale = window.ordinary.scale(window.length);
        let rarity = scale.rarity(copies);
        if best.is_none_or(|(highest, _)| rarity > highest) {
            best = Some((rarity, window));
        }
        copies_missing = copies_missing.min(needed.copies_to_ring(&scale) - copies);
    }
    let Some((rarity, window)) = best else {
        return Judgement {
            evidence: evidence(Milliseconds(0), 0, 0.0, -SURE, spreaders, parameters),
            terms: ScoreTerms {
                rarity: -SURE,
                ..ScoreTerms::default()
            },
            rings: Rings::No,
            rings_up_to: None,
            copies_missing: 1,
        };
    };
    let copies = counted(&window);
    let expected = window.ordinary.expected(window.length);
    let chance = Ordinary::chance_of_spike(rarity);
    let mut terms = ScoreTerms {
        rarity: log_odds(chance),
        ..ScoreTerms::default()
    };
    let excess = (1.0 - expected / copies).max(0.0) * novelty(window.before);
    if terms.rarity + excess * parameters.extras_max() >= parameters.threshold {
        let resolution = resolution_at(window.from, now);
        let ways = Ways::since(records, resolution, window.from, copies, platforms);
        terms.pace = excess * pace::pace(window.length, parameters.pace_max);
        terms.growth = excess * growth::growth(bins, &window, copies, now, parameters.growth_max);
        let law = reuploads::ordinary_law(platforms, past.platforms);
        terms.synchrony = excess * synchrony::synchrony(platforms, parameters.synchrony_max);
        terms.reuploads = excess * reuploads::reuploads(ways.anew, ways.passed_on, law, parameters.reuploads_max);
    }
    let score = terms.sum();
    // What is a spike already rings whatever else it shows.
    let highest = if chance == 1.0 { f64::INFINITY } else { score };
    let rings_up_to = (copies >= parameters.copies_min).then_some(highest);
    let rings = rings_up_to.is_some_and(|highest| highest >= parameters.threshold);
    Judgement {
        evidence: evidence(window.length, window.spread, expected, score, spreaders, parameters),
        terms,
        rings: if rings { Rings::Yes } else { Rings::No },
        rings_up_to,
        copies_missing: libm::ceil(copies_missing / with_next_copy).max(1.0) as u64,
    }
}

/// Room for the lists of a judgement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    bins: Vec<Bin>,
    platforms: Vec<(PlatformId, u64)>,
}

/// How the copies of a window came: those that count, in the shares of all.
#[derive(Default)]
struct Ways {
    /// Uploads, blocked ones too.
    anew: u64,
    /// Shares.
    passed_on: u64,
}

impl Ways {
    /// Puts how many each platform had into `platforms`, ascending by platform.
    fn since(
        records: &[&HotRecord],
        resolution: Resolution,
        from: Timestamp,
        copies: f64,
        platforms: &mut Vec<(PlatformId, u64)>,
    ) -> Self {
        let mut ways = Ways::default();
        platforms.clear();
        let counts = records
            .iter()
            .flat_map(|record| record.counts(resolution, from, Timestamp(i64::MAX)));
        for (platform, kind, count) in counts.filter(|(_, kind, _)| kind.is_spread()) {
            let way = match kind {
                Kind::Share => &mut ways.passed_on,
                _ => &mut ways.anew,
            };
            *way = way.saturating_add(count);
            match platforms.binary_search_by_key(&platform, |entry| entry.0) {
                Ok(place) => platforms[place].1 = platforms[place].1.saturating_add(count),
                Err(place) => platforms.insert(place, (platform, count)),
            }
        }
        let all = ways.anew as f64 + ways.passed_on as f64;
        let counted = |count: u64| libm::round(count as f64 * (copies / all)) as u64;
        platforms.iter_mut().for_each(|entry| entry.1 = counted(entry.1));
        Ways {
            anew: counted(ways.anew),
            passed_on: counted(ways.passed_on),
        }
    }
}

/// How rare a window must be to ring. The same for all windows: powers are dear, and a judgement looks at hundreds of windows.
struct Needed {
    /// With half of what the rest of the evidence may say.
    with_half: f64,
    /// With all of it.
    with_all: f64,
    /// And so many copies at least.
    copies_min: f64,
}

impl Needed {
    fn to_ring(parameters: &TriggerParameters) -> Self {
        let rarity = |evidence: f64| Ordinary::rarity_at(probability(parameters.threshold - evidence));
        Needed {
            with_half: rarity(parameters.extras_max() / 2.0),
            with_all: rarity(parameters.extras_max()),
            copies_min: parameters.copies_min,
        }
    }

    /// With fewer copies than this the window cannot ring, whatever else it shows; nor can one that begins later, for it
    /// holds no more than what is still to come.
    fn copies_to_ring(&self, scale: &Scale) -> f64 {
        // Up to twice the expected copies only half of the evidence counts.
        let twice = 2.0 * scale.expected;
        let with_all = scale.copies_at(self.with_all).max(twice);
        let copies = scale.copies_at(self.with_half).min(with_all);
        copies.max(self.copies_min)
    }
}

fn log_odds(chance: f64) -> f64 {
    libm::log(chance / (1.0 - chance)).clamp(-SURE, SURE)
}

fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-log_odds))
}

fn evidence(
    window: Milliseconds,
    observed: u64,
    expected: f64,
    score: f64,
    accounts: f64,
    parameters: &TriggerParameters,
) -> TriggerEvidence {
    TriggerEvidence {
        window,
        observed,
        expected,
        score,
        threshold: parameters.threshold,
        accounts: Estimate {
            estimate: accounts,
            low: accounts,
            high: accounts,
        },
    }
}

/// Events without an account are taken for no more accounts than this for each party that spreads the content: half of what the gate takes. Of
/// those, nobody knows whether one account repeats itself, so that no sender passes the gate by naming none.
const WITHOUT_ACCOUNT_PER_PARTY: u64 = 3;

/// From how many accounts the copies came.
struct Spreaders {
    /// Distinct accounts, and what events without one count as.
    accounts: f64,
    /// So many more there may be with the next copy: of another party it lets more of the events without an account count.
    with_next_copy: f64,
}

fn spreaders(records: &[&HotRecord]) -> Spreaders {
    let accounts = crate::accounts::accounts(records);
    let without = accounts.without_account;
    if without == 0 {
        return Spreaders {
            accounts: accounts.estimate.estimate,
            with_next_copy: 1.0,
        };
    }
    let cells = records.iter().flat_map(|record| record.cells());
    let spreading = cells.filter(|cell| cell.kind.is_spread()).map(|cell| cell.party);
    let mut parties: Vec<_> = spreading.collect();
    parties.sort_unstable();
    parties.dedup();
    let at_most = WITHOUT_ACCOUNT_PER_PARTY * parties.len() as u64;
    let further = if without > at_most {
        WITHOUT_ACCOUNT_PER_PARTY
    } else {
        0
    };
    Spreaders {
        accounts: accounts.estimate.estimate + without.min(at_most) as f64,
        with_next_copy: 1.0 + further as f64,
    }
}

/// Spread in the last `bins` bins.
pub(crate) fn total(records: &[&HotRecord], resolution: Resolution, bins: i64, now: Timestamp) -> u64 {
    records
        .iter()
        .map(|record| record.recent_spread(resolution, bins, now))
        .sum()
}
