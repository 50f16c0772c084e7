//! When the alarm rings, and when it does not.

use tocsin_model::{AlertLevel, ContentId, Decision, DecisionId, FamilyId, Kind, Scope, Timestamp, Verdict};

use super::harness::*;
use crate::Input;

fn burst(deployment: &mut Deployment, copies: u64, accounts: u64, every_ms: i64) {
    for copy in 0..copies {
        deployment.see(seen(1, copy % accounts, copy as i64 * every_ms));
    }
}

fn shared(copy: Seen) -> Seen {
    Seen {
        kind: Kind::Share,
        ..copy
    }
}

/// The number of the copy at which the first alert came.
fn rang_at(events: impl Iterator<Item = Seen>) -> (Option<u64>, Deployment) {
    let mut deployment = Deployment::new(config());
    let mut rang_at = None;
    for (number, event) in (1..).zip(events) {
        deployment.see(event);
        rang_at = rang_at.or((!deployment.alerts.is_empty()).then_some(number));
    }
    (rang_at, deployment)
}

#[test]
fn a_spread_that_grows_on_several_platforms_rings_at_about_its_tenth_copy() {
    // Doubling every ten minutes, on four platforms.
    let growing = (0..20u64).map(|copy| Seen {
        party: 1 + (copy % 4) as u16,
        ..seen(1, copy, (600_000.0 * libm::log2(1.0 + copy as f64)) as i64)
    });
    let (rang_at, deployment) = rang_at(growing);
    assert!(matches!(rang_at, Some(7..=14)), "{rang_at:?}");
    assert_eq!(
        deployment.alerts.len(),
        1,
        "one episode, one raise: {:?}",
        deployment.alerts
    );
    let alert = &deployment.alerts[0];
    assert_eq!(
        (alert.level, alert.episode, alert.scope),
        (AlertLevel::Raised, 1, Scope::All)
    );
    assert_eq!(alert.family, FamilyId(id(1)));
    assert!(alert.trigger.score >= alert.trigger.threshold);
    assert!(alert.spread_1h.contains(rang_at.unwrap()), "{:?}", alert.spread_1h);
    assert!(alert.priority > 0.0 && alert.priority_terms.iter().any(|term| term.name == "probability"));
}

#[test]
fn a_steady_burst_on_one_platform_rings_when_it_is_a_spike() {
    let (steady_at, _) = rang_at((0..60).map(|copy| seen(1, copy, copy as i64 * 60_000)));
    assert!(matches!(steady_at, Some(20..=34)), "{steady_at:?}");
    // Twenty in ten minutes, then fewer and fewer.
    let dying = |copy: u64| (600_000.0 * (libm::exp2(copy as f64 / 20.0) - 1.0)) as i64;
    let (dying_at, _) = rang_at((0..26).map(|copy| shared(seen(1, copy, dying(copy)))));
    assert_eq!(dying_at, None);
}

#[test]
fn what_is_uploaded_again_and_again_rings_before_what_is_passed_on() {
    let at = |copy: u64| (480_000.0 * libm::log2(1.0 + copy as f64)) as i64;
    let on_two = |copy: u64| Seen {
        party: 1 + (copy % 2) as u16,
        ..seen(1, copy, at(copy))
    };
    let (uploaded_at, _) = rang_at((0..40).map(on_two));
    let (shared_at, _) = rang_at((0..40).map(|copy| shared(on_two(copy))));
    assert!(uploaded_at < shared_at, "{uploaded_at:?} {shared_at:?}");
    assert!(
        matches!(uploaded_at, Some(7..=16)) && shared_at.is_some(),
        "{uploaded_at:?} {shared_at:?}"
    );
}

#[test]
fn one_account_that_repeats_itself_is_a_flood_and_rings_nothing() {
    let mut deployment = Deployment::new(config());
    burst(&mut deployment, 100, 2, 1_000);
    assert_eq!(deployment.alerts, []);
}

#[test]
fn one_loud_account_among_a_few_speaks_for_itself_alone() {
    // Six accounts post once, and one of them sixty times more, faster and faster: growth and uploads of one.
    let quiet = (0..6).map(|account| seen(1, account, account as i64 * 60_000));
    let loud = (0..60u64).map(|copy| seen(1, 0, 360_000 + (300_000.0 * libm::log2(1.0 + copy as f64)) as i64));
    let (rang_at, _) = rang_at(quiet.chain(loud));
    assert_eq!(rang_at, None);
}

#[test]
fn accounts_of_long_ago_speak_for_nobody_who_repeats_himself_now() {
    // Forty accounts within twenty hours; then two that post sixty times within a quarter of an hour, and then as many of sixty accounts.
    let evening = 20 * 3_600_000;
    let known = || (0..40).map(|account| seen(1, account, account as i64 * 1_800_000));
    let loud = (0..60u64).map(|copy| seen(1, 100 + copy % 2, evening + copy as i64 * 15_000));
    let many = (0..60u64).map(|copy| seen(1, 100 + copy, evening + copy as i64 * 15_000));
    let (loud_at, deployment) = rang_at(known().chain(loud));
    assert_eq!(loud_at, None, "{:?}", deployment.alerts);
    assert!(rang_at(known().chain(many)).0.is_some());
}

#[test]
fn what_spreads_again_just_after_it_subsided_is_not_overheard() {
    let day = 24 * 3_600_000;
    let mut deployment = Deployment::new(config());
    // The group has watched another content for more than a day.
    deployment.see_as(ContentId(id(1).0 ^ 1), seen(2, 0, 0));
    for copy in 0..200u64 {
        let after = (300_000.0 * libm::log2(1.0 + copy as f64)) as i64;
        deployment.see(seen(1, copy, 2 * day + after));
    }
    // It trickles until its episode is over, which a tick tells, minutes after the rule was asked: then it took twice as many copies to escalate.
    let mut at = 2 * day + 2_400_000;
    while deployment
        .alerts
        .last()
        .is_some_and(|alert| alert.level != AlertLevel::Subsided)
    {
        at += 60_000;
        assert!(at < 3 * day, "{:?}", deployment.alerts.last());
        deployment.tick(at);
        if at % 300_000 == 0 {
            deployment.see(seen(1, 1_000 + at as u64, at));
        }
    }
    let told = deployment.alerts.len();
    let again = (1..1_000u64).find(|copy| {
        deployment.see(seen(1, 1_000_000_000 + copy, at + 1_000 * *copy as i64));
        deployment.alerts.len() > told
    });
    // Not only when it is twice of what it was.
    assert!(matches!(again, Some(20..=150)), "{again:?}");
}

#[test]
fn slow_ordinary_spread_rings_nothing() {
    let mut deployment = Deployment::new(config());
    burst(&mut deployment, 100, 100, 20 * 60_000);
    assert_eq!(deployment.alerts, []);
}

#[test]
fn an_episode_is_said_again_and_subsides_in_its_own_time() {
    let mut deployment = Deployment::new(config());
    burst(&mut deployment, 40, 40, 10_000);
    deployment.tick(5 * 3_600_000);
    let levels: Vec<AlertLevel> = deployment.alerts.iter().map(|alert| alert.level).collect();
    let (first, rest) = levels.split_first().unwrap();
    assert_eq!(*first, AlertLevel::Raised);
    assert_eq!(rest.last(), Some(&AlertLevel::Subsided));
    let said_again = &rest[..rest.len() - 1];
    assert!(
        (3..=5).contains(&said_again.len()) && said_again.iter().all(|level| *level == AlertLevel::Sustained),
        "{levels:?}"
    );
    let subsided = deployment.alerts.last().unwrap();
    assert!(
        subsided.at <= Timestamp(START + 2 * 3_600_000),
        "at its own time, not at the tick's: {:?}",
        subsided.at
    );
    let mut ids: Vec<_> = deployment.alerts.iter().map(|alert| alert.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), deployment.alerts.len(), "every alert has its own id");
}

#[test]
fn a_decision_moves_the_priority_in_its_scope_and_in_no_other() {
    for (verdict, higher) in [(Verdict::Violating, true), (Verdict::Benign, false)] {
        let mut deployment = Deployment::new(config());
        burst(&mut deployment, 40, 40, 10_000);
        let before = deployment.alerts_of(Scope::All).last().unwrap().clone();
        let family = FamilyId(id(1));
        let decision = Decision {
            id: DecisionId(9),
            family,
            scope: Scope::Coordinators,
            verdict,
            at: Timestamp(START + 400_000),
        };
        for _ in 0..2 {
            deployment.apply(family.home(), Input::Decision(&decision));
        }
        let after = deployment.alerts_of(Scope::Coordinators);
        assert_eq!(after.len(), 1, "a decision that comes twice acts once");
        assert_eq!(
            after[0].priority > before.priority,
            higher,
            "{} then {}",
            before.priority,
            after[0].priority
        );
        assert_eq!(deployment.alerts_of(Scope::All).last().unwrap(), &before);
    }
}

#[test]
fn the_episode_that_a_decision_opens_escalates_as_the_one_for_all_does() {
    let mut deployment = Deployment::new(config());
    burst(&mut deployment, 20, 20, 1_000);
    let family = FamilyId(id(1));
    let decision = Decision {
        id: DecisionId(9),
        family,
        scope: Scope::Coordinators,
        verdict: Verdict::Violating,
        at: Timestamp(START + 20_000),
    };
    deployment.apply(family.home(), Input::Decision(&decision));
    let levels = |deployment: &Deployment| -> Vec<AlertLevel> {
        let alerts = deployment.alerts_of(Scope::Coordinators);
        alerts.iter().map(|alert| alert.level).collect()
    };
    for copy in 20..150 {
        deployment.see(seen(1, copy, copy as i64 * 1_000));
    }
    assert_eq!(levels(&deployment), [AlertLevel::Raised], "150 is not yet ten times 20");
    for copy in 150..250 {
        deployment.see(seen(1, copy, copy as i64 * 1_000));
    }
    deployment.tick(251_000);
    assert_eq!(levels(&deployment), [AlertLevel::Raised, AlertLevel::Escalated]);
}

/// Uploads of content 1, one every ten seconds, of which some name no account: after how many it rings.
fn rings_after(copies: u64, party: impl Fn(u64) -> u16, names_account: impl Fn(u64) -> bool) -> Option<u64> {
    let mut deployment = Deployment::new(config());
    for copy in 0..copies {
        let event = Seen {
            party: party(copy),
            ..seen(1, copy, copy as i64 * 10_000)
        };
        let value = [1; 32];
        let mut sighting = sighting(id(1), &value, event, copy + 1);
        if !names_account(copy) {
            sighting.account = None;
        }
        deployment.apply(id(1).group(), Input::Sighting(&sighting));
        if !deployment.alerts.is_empty() {
            return Some(copy + 1);
        }
    }
    None
}

#[test]
fn who_names_no_account_does_not_pass_the_gate_alone() {
    assert_eq!(rings_after(1_000, |_| 1, |_| false), None);
    let named = rings_after(60, |_| 1, |_| true);
    assert!(named.is_some());
    // What is on another party's platform too, whose accounts are named, rings by those.
    let with_others = rings_after(400, |copy| 1 + u16::from(copy % 5 == 2), |copy| copy % 5 == 2);
    assert!(with_others > named, "{with_others:?}, {named:?} with accounts");
}

/// A party that names its accounts is not kept from ringing by one that names none.
#[test]
fn events_without_an_account_take_nothing_from_those_with_one() {
    let alone = rings_after(60, |_| 1, |_| true).unwrap();
    let beside = rings_after(120, |copy| 1 + (copy % 2) as u16, |copy| copy % 2 == 0).unwrap();
    assert!(beside <= 2 * alone, "{beside} copies of both, {alone} alone");
}
