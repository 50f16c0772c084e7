//! Goal: on seeded days of alerts, reports, claims, decisions and removals the clocks of cases and platforms, and the sums of a team, are those
//! that an oracle reads off the list of all that happened: it keeps no state, and looks for each first time and each quantile anew.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use tocsin_casework::{
    By, Case, CaseId, ClockKind, ClockSummary, Clocks, Command, Filing, GOLDEN_HOUR, NoticeEvent, NoticeId, NoticeKind,
    NoticeLoad, ORDER_DUE_IN, PlatformClocks, PlatformSummary, Ruling, Team, UNREVIEWED_BELOW, Waits,
};
use tocsin_model::{
    Alert, AlertId, AlertLevel, DecisionId, KeyId, Milliseconds, PlatformId, Scope, Timestamp, Verdict,
};

#[path = "../../model/tests/example/mod.rs"]
mod example;

const ANNA: KeyId = KeyId(1);
const MORNING: Timestamp = Timestamp(1_770_000_000_000);
const DAY: i64 = 24 * 3_600_000;
const FAMILIES: u64 = 40;

/// What happened to one case.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Happened {
    /// An alert that says when the family was first seen.
    Rang {
        first_seen: Timestamp,
    },
    Claimed,
    Decided,
    /// On a platform; told in any order.
    On(PlatformId, ClockKind),
    /// An order was received and filed.
    Ordered,
}

/// What happened to one family, ascending by time.
type Day = [(Timestamp, Happened)];

/// A small generator (Steele and others, "Fast splittable pseudorandom number generators", 2014).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound
    }
}

/// A day of one family, ascending by time; a claim is followed by its decision, or by none.
fn day(draw: &mut Draw) -> Vec<(Timestamp, Happened)> {
    let mut happened = Vec::new();
    let begins = MORNING.0 + draw.below(DAY as u64) as i64;
    // Half of what happens to a family happens within its first hours.
    let at = |draw: &mut Draw| {
        let spread = if draw.below(2) == 0 { 2 * 3_600_000 } else { DAY as u64 };
        Timestamp(begins + draw.below(spread) as i64)
    };
    for _ in 0..draw.below(4) {
        let rang_at = at(draw);
        let first_seen = rang_at - Milliseconds(draw.below(3_600_000) as i64);
        happened.push((rang_at, Happened::Rang { first_seen }));
    }
    if draw.below(3) == 0 {
        happened.push((at(draw), Happened::Ordered));
    }
    for _ in 0..draw.below(3) {
        let claimed = at(draw);
        happened.push((claimed, Happened::Claimed));
        if draw.below(4) > 0 {
            happened.push((claimed + Milliseconds(1), Happened::Decided));
        }
    }
    for _ in 0..draw.below(12) {
        let kind = ClockKind::ALL[draw.below(7) as usize];
        happened.push((at(draw), Happened::On(PlatformId(1 + draw.below(3) as u16), kind)));
    }
    happened.sort_by_key(|(at, _)| *at);
    happened
}

fn alert(at: Timestamp, first_seen: Timestamp, episode: u32) -> Alert {
    Alert {
        id: AlertId(at.0 as u128),
        scope: Scope::Coordinators,
        level: AlertLevel::Raised,
        episode,
        at,
        first_seen,
        ..example::alert()
    }
}

/// The case as the rules leave it, the platforms' clocks, and when each deadline was escalated by a look every second.
fn play(family: u64, day: &Day) -> (Case, PlatformClocks, Vec<Timestamp>) {
    let about = example::alert();
    let mut case = Case::open_silent(
        CaseId(family.into()),
        Team::Coordinators,
        (about.family, &about.hash),
        day[0].0,
    );
    let (mut clocks, mut orders, mut escalated) = (PlatformClocks::default(), Vec::new(), Vec::new());
    for (number, (at, happened)) in day.iter().enumerate() {
        let by = By {
            who: ANNA,
            fencing: case.fencing,
            version: None,
        };
        match happened {
            Happened::Rang { first_seen } => {
                case.apply_alert(&alert(*at, *first_seen, number as u32 + 1), UNREVIEWED_BELOW, *at);
            }
            Happened::Claimed => {
                let length = Milliseconds::from_minutes(1);
                let _ = case.apply(by, &Command::Claim { length }, *at);
            }
            Happened::Decided => {
                let decide = Command::Decide {
                    id: DecisionId(number as u128),
                    ruling: Ruling::of(Verdict::Violating, &number.to_string()),
                    undo_for: Milliseconds(0),
                };
                case.apply(by, &decide, *at).unwrap();
            }
            Happened::On(platform, kind) => {
                clocks.note(*platform, *kind, *at);
            }
            Happened::Ordered => {
                let filing = Filing {
                    kind: NoticeKind::RemovalOrder,
                    authority: "an authority".to_owned(),
                    reference: number.to_string(),
                    part: 0,
                    content: None,
                    platform: None,
                    received_at: *at,
                    due_at: None,
                    urls: Vec::new(),
                    statement: String::new(),
                };
                let order = filing.file(NoticeId(number as u128), case.id, ANNA, *at).unwrap();
                case.take_notice(&order, NoticeEvent::Filed, NoticeLoad::of([&order]), *at);
                orders.push(order);
            }
        }
    }
    // A dispatcher looks every second, a little late.
    for order in &mut orders {
        let mut now = order.filed_at + Milliseconds(ORDER_DUE_IN.0 - 5_500);
        for _ in 0..10 {
            now = now + Milliseconds::from_seconds(1);
            if order.escalate(now) {
                escalated.push(now);
            }
        }
    }
    (case, clocks, escalated)
}

/// Nearest rank, by counting: the least that so many tenths of all do not exceed.
fn quantile(took: &[i64], tenths: usize) -> Option<i64> {
    let least = took.iter().copied().filter(|candidate| {
        let within = took.iter().filter(|other| *other <= candidate).count();
        within * 10 >= took.len() * tenths
    });
    least.min()
}

fn waits(took: &[i64]) -> Option<Waits> {
    Some(Waits {
        median: Milliseconds(quantile(took, 5)?),
        ninth_decile: Milliseconds(quantile(took, 9)?),
    })
}

fn first(day: &Day, is_it: impl Fn(&Happened) -> bool) -> Option<Timestamp> {
    day.iter()
        .filter(|(_, happened)| is_it(happened))
        .map(|(at, _)| *at)
        .min()
}

fn oracle(day: &Day) -> Clocks {
    let seen = day.iter().filter_map(|(_, happened)| match happened {
        Happened::Rang { first_seen } => Some(*first_seen),
        _ => None,
    });
    Clocks {
        first_seen: seen.min(),
        alert_at: first(day, |happened| matches!(happened, Happened::Rang { .. })),
        opened_at: day[0].0,
        claimed_at: first(day, |happened| *happened == Happened::Claimed),
        decided_at: first(day, |happened| *happened == Happened::Decided),
    }
}

#[test]
fn clocks_and_their_sums_are_the_oracles_on_seeded_days() {
    let seeds = std::env::var("TOCSIN_SEEDS").map_or(20, |text| text.parse().unwrap());
    for seed in 0..seeds {
        let mut draw = Draw(seed);
        let days: Vec<Vec<(Timestamp, Happened)>> = (0..FAMILIES)
            .map(|_| day(&mut draw))
            .filter(|day| !day.is_empty())
            .filter(|day| {
                // Two people at the same time would refuse each other; that is another test's.
                let claims: Vec<i64> = day
                    .iter()
                    .filter(|(_, happened)| *happened == Happened::Claimed)
                    .map(|(at, _)| at.0)
                    .collect();
                claims.windows(2).all(|pair| pair[1] - pair[0] > 60_001)
            })
            .collect();
        let mut cases = Vec::new();
        for (family, day) in days.iter().enumerate() {
            let (case, clocks, escalated) = play(family as u64, day);
            assert_eq!(case.clocks(), oracle(day), "seed {seed}, family {family}: {day:?}");
            for platform in (1..=3).map(PlatformId) {
                for kind in ClockKind::ALL {
                    let expected = first(day, |happened| *happened == Happened::On(platform, kind));
                    assert_eq!(clocks.at(platform, kind), expected, "seed {seed}, family {family}");
                }
            }
            let ordered = day.iter().filter(|(_, happened)| *happened == Happened::Ordered);
            let orders = ordered.clone().count();
            let late: Vec<i64> = ordered
                .zip(&escalated)
                .map(|((at, _), told)| (*told - *at).0 - ORDER_DUE_IN.0)
                .collect();
            assert_eq!((escalated.len(), late.len()), (orders, orders), "each order, once");
            assert!(
                late.iter().all(|late| (0..1_000).contains(late)),
                "within a second: {late:?}"
            );
            cases.push((case.clocks(), clocks));
        }
        sums_are_the_oracles(seed, &days, &cases);
    }
}

fn sums_are_the_oracles(seed: u64, days: &[Vec<(Timestamp, Happened)>], cases: &[(Clocks, PlatformClocks)]) {
    let of_cases: Vec<Clocks> = cases.iter().map(|(clocks, _)| *clocks).collect();
    let summary = ClockSummary::of(&of_cases);
    let truth: Vec<Clocks> = days.iter().map(|day| oracle(day)).collect();
    let took = |end: fn(&Clocks) -> Option<Timestamp>| -> Vec<i64> {
        let both = truth
            .iter()
            .filter_map(|clocks| Some((end(clocks)? - clocks.first_seen?).0.max(0)));
        both.collect()
    };
    assert_eq!(summary.cases, truth.len(), "seed {seed}");
    assert_eq!(summary.to_alert, waits(&took(|clocks| clocks.alert_at)), "seed {seed}");
    assert_eq!(
        summary.to_claim,
        waits(&took(|clocks| clocks.claimed_at)),
        "seed {seed}"
    );
    assert_eq!(
        summary.to_decision,
        waits(&took(|clocks| clocks.decided_at)),
        "seed {seed}"
    );

    let by_platform: BTreeMap<PlatformId, PlatformSummary> = PlatformSummary::of(cases);
    for platform in (1..=3).map(PlatformId) {
        let on = |day: &Day, kind| first(day, |happened| *happened == Happened::On(platform, kind));
        let took = |end: &dyn Fn(&Day) -> Option<Timestamp>| -> Vec<i64> {
            let both = days
                .iter()
                .filter_map(|day| Some((end(day)? - on(day, ClockKind::FirstSeen)?).0.max(0)));
            both.collect()
        };
        let to = |kind| waits(&took(&|day| on(day, kind)));
        let known = days.iter().filter(|day| {
            day.iter()
                .any(|(_, happened)| matches!(happened, Happened::On(where_, _) if *where_ == platform))
        });
        let raw = |kind| {
            days.iter()
                .filter_map(move |day| Some((on(day, kind)?, on(day, ClockKind::FirstSeen)?)))
        };
        let expected = PlatformSummary {
            cases: known.count(),
            to_report: to(ClockKind::FirstReport),
            to_notice: to(ClockKind::Notice),
            to_alert: waits(&took(&|day| oracle(day).alert_at)),
            to_share: to(ClockKind::Shared),
            to_claim: waits(&took(&|day| oracle(day).claimed_at)),
            to_decision: waits(&took(&|day| oracle(day).decided_at)),
            to_removal: to(ClockKind::Removed),
            to_confirmation: to(ClockKind::Confirmed),
            leaked: days.iter().filter(|day| on(day, ClockKind::Leaked).is_some()).count(),
            removed_in_golden_hour: raw(ClockKind::Removed)
                .filter(|(removed, seen)| (*removed - *seen).0 < GOLDEN_HOUR.0)
                .count(),
        };
        assert_eq!(
            by_platform.get(&platform).copied().unwrap_or_default(),
            expected,
            "seed {seed}, {platform:?}"
        );
    }
}
