//! A day follows the laws of its plan.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use tocsin_model::{Kind, Milliseconds, Surface, Timestamp};

use super::*;
use crate::truth::Records;

/// A day at a thousandth of the full scale, without a crisis.
fn benign() -> &'static (DayPlan, Vec<Occurrence>) {
    static DAY: OnceLock<(DayPlan, Vec<Occurrence>)> = OnceLock::new();
    DAY.get_or_init(|| {
        let plan = DayPlan::new(Scenario::Benign, Scale(1e-3), 11);
        let records = Day::new(&plan).collect();
        (plan, records)
    })
}

/// A day with hardly anything but what a test adds.
fn quiet(seed: u64) -> DayPlan {
    let mut plan = DayPlan::new(Scenario::Benign, Scale(1e-6), seed);
    plan.launches.clear();
    plan.petitions.clear();
    plan.disorder.silence = None;
    plan
}

/// The only crisis of a scenario at a tiny scale: its plan, and the records of it, in order and each once.
fn crisis_of(scenario: Scenario, seed: u64) -> (CrisisPlan, Timestamp, Vec<Occurrence>) {
    let plan = DayPlan::new(scenario, Scale(1e-6), seed);
    let crisis = plan.crises[0].clone();
    let mut seen = HashSet::new();
    let mut records: Vec<Occurrence> = Day::new(&plan)
        .filter(|record| record.family.kind() == FamilyKind::Crisis && seen.insert(record.number))
        .collect();
    records.sort_by_key(|record| (record.happened_at, record.number));
    let source_at = plan.begins_at + crisis.at;
    (crisis, source_at, records)
}

fn share(records: &[Occurrence], test: impl Fn(&Occurrence) -> bool) -> f64 {
    records.iter().filter(|record| test(record)).count() as f64 / records.len() as f64
}

/// FNV-1a over everything a record says.
fn digest(records: impl Iterator<Item = Occurrence>) -> u64 {
    records.fold(0xcbf2_9ce4_8422_2325, |digest, record| {
        [
            record.number,
            record.happened_at.0 as u64,
            record.occurred_at.0 as u64,
            record.received_at.0 as u64,
            record.family.0,
            record.account.0,
            u64::from(record.audience),
            u64::from(record.variant) << 32 | u64::from(record.platform) << 8 | u64::from(record.party),
            (record.kind as u64) << 8 | record.surface as u64,
            record.tvec_confidence.map_or(1_000, u64::from),
        ]
        .into_iter()
        .fold(digest, |digest, word| (digest ^ word).wrapping_mul(0x0100_0000_01b3))
    })
}

#[test]
fn a_seed_gives_the_same_records_for_ever() {
    let plan = DayPlan::paging(Scale(1e-5), 4, 0);
    let first = digest(Day::new(&plan).take(100_000));
    assert_eq!(first, digest(Day::new(&plan).take(100_000)));
    assert_ne!(
        first,
        digest(
            Day::new(&DayPlan {
                number: 1,
                ..plan.clone()
            })
            .take(100_000)
        )
    );
    // Whoever changes a law changes this number, and every figure that was measured.
    assert_eq!(first, PINNED, "{first:#x}");
}

const PINNED: u64 = 0x37a4_6aeb_6427_71b4;

#[test]
fn records_come_in_order_and_never_before_they_happen() {
    let (plan, records) = benign();
    assert!(records.is_sorted_by_key(|record| record.received_at));
    assert!(records.iter().all(|record| record.received_at >= record.happened_at));
    let happens = plan.stream_begins_at()..plan.ends_at();
    assert!(records.iter().all(|record| happens.contains(&record.happened_at)));
    let mut day = Day::new(plan);
    assert_eq!(day.by_ref().count() as u64, day.received());
}

#[test]
fn a_day_has_the_size_of_its_scale_and_most_contents_are_seen_once() {
    let (plan, records) = benign();
    let mut truth = Records::new(plan.judged());
    records.iter().for_each(|record| truth.add(record));
    let truth = truth.judge();
    let counts = truth.counts();
    assert!((counts.contents as f64 / 1e5 - 1.0).abs() < 0.03, "{counts:?}");
    assert!((counts.events as f64 / 5e5 - 1.0).abs() < 0.1, "{counts:?}");
    assert!(counts.seen_once_share() >= 0.9, "{}", counts.seen_once_share());
    let [ten, thirty] = [FamilyKind::Ordinary, FamilyKind::Burst]
        .map(|kind| counts.reaching(kind))
        .iter()
        .fold([0, 0], |[ten, thirty], reaching| {
            [ten + reaching.ten, thirty + reaching.thirty]
        });
    let share = thirty as f64 / ten as f64;
    assert!(ten > 1_000 && (0.06..0.12).contains(&share), "{ten} {share}");
    // A petition is never a spike, a launch always is.
    assert_eq!(counts.reaching(FamilyKind::Petition).spikes, 0);
    assert_eq!(counts.reaching(FamilyKind::Launch).spikes, plan.launches.len() as u64);
    assert!(counts.reaching(FamilyKind::Petition).ten > 0);
}

#[test]
fn disorder_has_the_shares_that_are_planned() {
    let (plan, records) = benign();
    let silent = plan.disorder.silence.unwrap();
    let late = |minutes| {
        let lateness = Milliseconds::from_minutes(minutes);
        share(records, |record| {
            record.party != silent.party && record.received_at - record.happened_at > lateness
        })
    };
    // One party of the three has six events in eight of all; the others' shares are of all records.
    let others = share(records, |record| record.party != silent.party);
    assert!((late(5) / others - 0.01).abs() < 0.001, "{}", late(5) / others);
    assert!((late(60) / others - 0.001).abs() < 0.0004, "{}", late(60) / others);
    let numbers: HashSet<u64> = records.iter().map(|record| record.number).collect();
    let twice = 1.0 - numbers.len() as f64 / records.len() as f64;
    assert!((twice - 0.01).abs() < 0.001, "{twice}");
    for record in records {
        let ahead = plan.platforms[usize::from(record.platform)].clock_ahead;
        assert_eq!(record.occurred_at - record.happened_at, ahead);
    }
    assert_eq!(
        plan.platforms
            .iter()
            .filter(|platform| platform.clock_ahead.0 != 0)
            .count(),
        1
    );
}

#[test]
fn a_silent_party_says_everything_at_once() {
    let (plan, records) = benign();
    let silence = plan.disorder.silence.unwrap();
    let (from, to) = (
        plan.begins_at + silence.from,
        plan.begins_at + silence.from + silence.lasts,
    );
    let count = |from: Timestamp, to: Timestamp| {
        records
            .iter()
            .filter(|record| record.party == silence.party && (from..to).contains(&record.received_at))
            .count()
    };
    assert_eq!(count(from, to), 0);
    let before = count(from - silence.lasts, from);
    let after = count(to, to + Milliseconds::from_seconds(6));
    assert!(after as f64 > before as f64 * 0.8, "{before} before, {after} at once");
}

#[test]
fn events_fall_on_platforms_by_size_and_on_hours_by_the_rhythm() {
    let (plan, records) = benign();
    let total: f64 = plan.platforms.iter().map(|platform| platform.size).sum();
    for (place, platform) in plan.platforms.iter().enumerate() {
        let share = share(records, |record| {
            usize::from(record.platform) == place && record.variant == 0
        });
        assert!(
            (share - platform.size / total).abs() < 0.03,
            "{}: {share}",
            platform.name
        );
        assert!(
            records
                .iter()
                .all(|record| record.party == plan.platforms[usize::from(record.platform)].party)
        );
    }
    let hour = |hour: i64| {
        let from = plan.begins_at + Milliseconds::from_hours(hour);
        share(records, |record| {
            (from..from + Milliseconds::from_hours(1)).contains(&record.happened_at)
        })
    };
    assert!((2.0..4.0).contains(&(hour(20) / hour(8))), "{} {}", hour(20), hour(8));
}

#[test]
fn popular_contents_are_burstier_than_chance() {
    let (plan, records) = benign();
    let mut counts: HashMap<Family, BTreeMap<i64, f64>> = HashMap::new();
    let numbers = &mut HashSet::new();
    for record in records
        .iter()
        .filter(|record| record.family.kind() == FamilyKind::Ordinary)
    {
        if numbers.insert(record.number) {
            let bin = (record.happened_at - plan.stream_begins_at()).0 / 300_000;
            *counts.entry(record.family).or_default().entry(bin).or_default() += 1.0;
        }
    }
    // Against the mean of the three bins around, so that the rhythm is no burst.
    let (mut squares, mut means) = (0.0, 0.0);
    for bins in counts.values().filter(|bins| bins.values().sum::<f64>() > 150.0) {
        let count = |bin: i64| bins.get(&bin).copied().unwrap_or(0.0);
        for bin in 0..323 {
            let difference = count(bin + 1) - count(bin);
            squares += difference * difference / 2.0;
            means += (count(bin + 1) + count(bin)) / 2.0;
        }
    }
    let fano = squares / means;
    assert!((1.3..1.9).contains(&fano), "{fano}");
}

#[test]
fn bursts_are_of_every_size_and_mostly_on_one_platform() {
    let mut plan = quiet(2);
    plan.bursts.per_day = 8_000.0;
    let mut truth = Records::new(plan.judged());
    let mut platforms: HashMap<Family, HashSet<u8>> = HashMap::new();
    let mut accounts: HashMap<Family, HashSet<Account>> = HashMap::new();
    for record in Day::new(&plan) {
        truth.add(&record);
        platforms.entry(record.family).or_default().insert(record.platform);
        accounts.entry(record.family).or_default().insert(record.account);
    }
    let truth = truth.judge();
    let reaching = truth.counts().reaching(FamilyKind::Burst);
    let share = reaching.thirty as f64 / reaching.ten as f64;
    assert!(reaching.ten > 500 && (0.05..0.12).contains(&share), "{reaching:?}");
    let bursts: Vec<Family> = truth
        .families()
        .iter()
        .filter(|listed| listed.family.kind() == FamilyKind::Burst)
        .map(|listed| listed.family)
        .collect();
    let on_one = bursts.iter().filter(|family| platforms[family].len() == 1).count() as f64 / bursts.len() as f64;
    assert!((0.75..0.88).contains(&on_one), "{on_one}");
    let of_few = bursts.iter().filter(|family| accounts[family].len() <= 5).count();
    assert!(of_few > 0 && of_few < bursts.len() / 10, "{of_few}");
}

#[test]
fn large_cascades_are_as_many_as_planned_and_spike() {
    let mut plan = quiet(3);
    plan.cascades.per_day = 40.0;
    plan.cascades.size_max = 5_000.0;
    plan.lasts = Milliseconds::from_hours(24);
    let mut truth = Records::new(plan.judged());
    let mut families = HashSet::new();
    for record in Day::new(&plan) {
        truth.add(&record);
        if record.family.kind() == FamilyKind::Cascade {
            families.insert(record.family);
        }
    }
    let reaching = truth.judge().counts().reaching(FamilyKind::Cascade);
    assert_eq!(families.len(), 40);
    assert!(reaching.spikes >= 34 && reaching.hundred >= 30, "{reaching:?}");
}

#[test]
fn a_crisis_begins_as_christchurch_did() {
    let (plan, source_at, records) = crisis_of(Scenario::Halle, 5);
    assert_eq!((records[0].kind, records[0].happened_at), (Kind::LiveStart, source_at));
    assert_eq!(records[0].surface, Surface::Live);
    let first = |kind| records.iter().find(|record| record.kind == kind).unwrap().happened_at - source_at;
    assert_eq!(first(Kind::LiveEnd), plan.source.live.unwrap());
    assert_eq!(first(Kind::Report), plan.first_report_after);
    let first_copy = records.iter().find(|record| record.kind.is_spread()).unwrap();
    assert_eq!(first_copy.happened_at - source_at, plan.first_copy_after);

    let christchurch = &DayPlan::new(Scenario::Christchurch, Scale(1e-6), 5).crises[0];
    let minutes = [
        christchurch.source.live.unwrap(),
        christchurch.first_copy_after,
        christchurch.first_report_after,
    ];
    assert_eq!(minutes, [17, 12, 29].map(Milliseconds::from_minutes));
    assert!((5.0..=20.0).contains(&(christchurch.doubling.0 as f64 / 60_000.0)));
    assert!((20.0..=60.0).contains(&christchurch.peak_per_second));
}

#[test]
fn a_crisis_doubles_is_blocked_capped_and_comes_in_variants() {
    let mut plan = quiet(6);
    let crisis = CrisisPlan {
        first_per_minute: 1.0,
        doubling: Milliseconds::from_minutes(10),
        peak_per_second: 20.0,
        copies: 60_000.0,
        platforms: vec![10.0, 4.0, 6.0, 2.0, 1.0],
        ..DayPlan::new(Scenario::Christchurch, Scale(1e-6), 5).crises[0].clone()
    };
    plan.crises.push(crisis.clone());
    let source_at = plan.begins_at + crisis.at;
    let first_at = source_at + crisis.first_copy_after;
    let mut numbers = HashSet::new();
    let copies: Vec<Occurrence> = Day::new(&plan)
        .filter(|record| record.family.kind() == FamilyKind::Crisis && record.kind.is_spread())
        .filter(|record| numbers.insert(record.number))
        .collect();
    assert!(
        (copies.len() as f64 / crisis.copies - 1.0).abs() < 0.03,
        "{}",
        copies.len()
    );

    let mut steps = [0.0; 10];
    for copy in &copies {
        if let Some(step) = steps.get_mut(((copy.happened_at - first_at).0 / 600_000) as usize) {
            *step += 1.0;
        }
    }
    for pair in steps[3..].windows(2) {
        assert!((1.6..2.4).contains(&(pair[1] / pair[0])), "{steps:?}");
    }
    let hour = |platform: u8, hour: i64| {
        let from = first_at + Milliseconds::from_minutes(60 * hour);
        copies
            .iter()
            .filter(|copy| {
                copy.platform == platform && (from..from + Milliseconds::from_hours(1)).contains(&copy.happened_at)
            })
            .count() as f64
            / 3_600.0
    };
    // The busiest hour: nearly half of it would be on the capped platform.
    let busiest = (0..4).map(|place| hour(0, place)).fold(0.0, f64::max);
    assert!(
        (0.7..1.2).contains(&busiest),
        "{busiest} a second on the capped platform"
    );
    assert!((0..4).map(|place| hour(2, place)).fold(0.0, f64::max) > 3.0);

    let blocked_after = |from: Timestamp| {
        let after: Vec<Occurrence> = copies.iter().copied().filter(|copy| copy.happened_at >= from).collect();
        share(&after, |copy| copy.kind == Kind::BlockedUpload)
    };
    let shared_at = source_at + crisis.hash_shared_after;
    assert!((blocked_after(shared_at) - 0.8).abs() < 0.02);
    assert!(
        copies
            .iter()
            .all(|copy| copy.happened_at >= shared_at || copy.kind != Kind::BlockedUpload)
    );

    let variants: HashSet<u16> = copies.iter().map(|copy| copy.variant).collect();
    assert!(
        variants.len() > 700 && variants.iter().all(|variant| *variant < 800),
        "{}",
        variants.len()
    );
    let first = share(&copies, |copy| copy.variant == 0);
    assert!((first - 1.0 / 7.26).abs() < 0.02, "{first}");
    let accounts: HashSet<Account> = copies.iter().map(|copy| copy.account).collect();
    let new = accounts.len() as f64 / copies.len() as f64;
    assert!((0.85..0.95).contains(&new), "{new}");
    assert_eq!(copies.iter().map(|copy| copy.audience).max(), Some(crisis.audience_max));
}

#[test]
fn one_platform_links_and_an_upload_make_the_other_scenarios() {
    let (_, source_at, levittown) = crisis_of(Scenario::Levittown, 7);
    assert_eq!((levittown[0].kind, levittown[0].happened_at), (Kind::Upload, source_at));
    assert_eq!(source_at.0.rem_euclid(86_400_000), Milliseconds::from_hours(22).0);
    assert!(levittown.iter().all(|record| record.platform == 0));
    let (_, _, buffalo) = crisis_of(Scenario::Buffalo, 7);
    let copies: Vec<Occurrence> = buffalo.into_iter().filter(|record| record.kind.is_spread()).collect();
    let links = copies.iter().filter(|copy| copy.kind == Kind::Share).count();
    let uploads = copies.iter().filter(|copy| copy.kind == Kind::Upload).count();
    assert!(links > 2 * uploads, "{links} links, {uploads} uploads");
    assert_eq!(copies.iter().map(|copy| copy.audience).max(), Some(3_000_000));
}

#[test]
fn crises_of_a_headline_day_are_cut_and_do_not_overlap() {
    for number in 0..3 {
        let mut plan = DayPlan::headline(Scale(1e-6), 8, number);
        for crisis in &mut plan.crises {
            // The same course, thinned where it is fast: what is tested are its ends.
            crisis.peak_per_second = 0.2;
        }
        let mut truth = Records::new(plan.judged());
        let mut spans: BTreeMap<Family, (Timestamp, Timestamp)> = BTreeMap::new();
        for record in Day::new(&plan) {
            truth.add(&record);
            if record.family.kind() == FamilyKind::Crisis && record.kind.is_spread() {
                let at = record.happened_at;
                let span = spans.entry(record.family).or_insert((at, at));
                *span = (span.0.min(at), span.1.max(at));
            }
        }
        let truth = truth.judge();
        assert_eq!(spans.len(), 10);
        let spans: Vec<_> = spans.into_iter().collect();
        for pair in spans.windows(2) {
            assert!(pair[0].1.1 <= pair[1].1.0, "day {number}: {pair:?}");
        }
        for (family, (_, last)) in &spans {
            let onset_at = truth.family(*family).unwrap().onset_at.unwrap();
            let lasts = (*last - onset_at).0 as f64 / 3_600_000.0;
            assert!((1.8..=2.0).contains(&lasts), "day {number}: {lasts} h");
            assert!(truth.family(*family).unwrap().spike_from.is_some());
        }
    }
}

#[test]
fn a_crisis_changes_nothing_of_the_others() {
    let records = |plan: &DayPlan| {
        let mut records: Vec<_> = Day::new(plan)
            .filter(|record| record.family.kind() != FamilyKind::Crisis)
            .map(|record| Occurrence { number: 0, ..record })
            .collect();
        records.sort_by_key(|record| (record.received_at, record.family, record.account));
        records
    };
    let mut plan = quiet(9);
    plan.bursts.per_day = 300.0;
    let without = records(&plan);
    plan.crises.push(CrisisPlan {
        copies: 2_000.0,
        peak_per_second: 0.5,
        ..DayPlan::new(Scenario::Christchurch, Scale(1e-6), 1).crises[0].clone()
    });
    assert_eq!(records(&plan), without);
}

#[test]
fn labels_are_only_where_they_are_asked_for() {
    let (_, unlabelled) = benign();
    assert!(unlabelled.iter().all(|record| record.tvec_confidence.is_none()));
    let mut plan = DayPlan::paging(Scale(1e-4), 10, 0);
    plan.crises.truncate(1);
    plan.crises[0].peak_per_second = 1.0;
    let (crisis, organic): (Vec<_>, Vec<_>) = Day::new(&plan)
        .filter(|record| record.kind.is_spread() && record.family.kind() != FamilyKind::News)
        .partition(|record| record.family.kind() == FamilyKind::Crisis);
    let labelled = |records: &[Occurrence]| share(records, |record| record.tvec_confidence.is_some());
    assert!((labelled(&crisis) - 0.3).abs() < 0.05, "{}", labelled(&crisis));
    assert!((labelled(&organic) - 0.001).abs() < 0.0005, "{}", labelled(&organic));
}

#[test]
fn attackers_do_what_they_are_said_to_do() {
    let plan = DayPlan::new(Scenario::Poisoning, Scale(1e-4), 12);
    let mut families: HashMap<Family, Vec<Occurrence>> = HashMap::new();
    let mut numbers = HashSet::new();
    for record in Day::new(&plan) {
        if record.family.kind() == FamilyKind::Attack && numbers.insert(record.number) {
            families.entry(record.family).or_default().push(record);
        }
    }
    let (one, many): (Vec<_>, Vec<_>) = families.values().partition(|records| records.len() == 1);
    // A hundred a second for a minute, each with a hash of its own.
    assert!((one.len() as f64 / 6_000.0 - 1.0).abs() < 0.05, "{}", one.len());
    assert_eq!(many.len(), 2);
    for records in many {
        let crafted = records.iter().filter(|record| record.account.is_crafted()).count();
        assert!(crafted == 0 || crafted == records.len());
        let accounts: HashSet<Account> = records.iter().map(|record| record.account).collect();
        assert_eq!(accounts.len(), records.len());
        assert!(records.iter().all(|record| record.party == records[0].party));
        assert!(records.len() > 500);
    }
    assert_eq!(plan.crises.len(), 1);
}
