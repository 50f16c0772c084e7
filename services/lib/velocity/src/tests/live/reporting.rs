//! When a live stream rings while it runs, and when it does not.

use tocsin_model::{AlertLevel, AlertReason, FamilyId, Kind, PartyId, Scope, Sharing, Timestamp, Verdict};

use super::*;

#[test]
fn an_episode_goes_on_while_the_stream_runs_and_subsides_at_its_own_time() {
    let run = |ticks: &[i64]| {
        let mut deployment = Deployment::new(config());
        deployment.watch(1, 1, 1);
        for event in broadcast(1, 0, 40, |_| 50) {
            deployment.see(event);
        }
        ticks.iter().for_each(|at| deployment.tick(*at));
        deployment.alerts
    };
    let alerts = run(&[3 * HOUR]);
    assert_eq!(alerts, run(&[41 * MINUTE, 44 * MINUTE + 7, 50 * MINUTE, 3 * HOUR]));
    let levels: Vec<AlertLevel> = alerts.iter().map(|alert| alert.level).collect();
    assert_eq!(levels[0], AlertLevel::Raised);
    let silent_at = Timestamp(START + 39 * MINUTE + MINUTE / 2 + 5 * MINUTE);
    for alert in &alerts[1..] {
        let live = alert.live.unwrap();
        assert!(
            alert.level == AlertLevel::Sustained || alert.level == AlertLevel::Subsided,
            "{levels:?}"
        );
        assert_eq!(live.running == 1, alert.at < silent_at, "{alert:?}");
        assert!(alert.level != AlertLevel::Subsided || alert.at >= silent_at);
    }
    assert_eq!(levels.last(), Some(&AlertLevel::Subsided));
}

#[test]
fn an_audience_that_is_passed_on_rings_once_while_the_stream_runs() {
    let mut deployment = Deployment::new(config());
    for event in broadcast(1, 0, 17, doubling) {
        deployment.see(event);
    }
    assert_eq!(
        said(&deployment.alerts),
        [(AlertLevel::Raised, AlertReason::LiveAudience, 1)]
    );
    let alert = &deployment.alerts[0];
    let live = alert.live.unwrap();
    assert!(live.score >= live.threshold && live.viewers >= 20, "{live:?}");
    assert!(alert.at <= Timestamp(START + 16 * MINUTE), "{:?}", alert.at);
    let term = |name| {
        alert
            .priority_terms
            .iter()
            .find(|term| term.name == name)
            .unwrap()
            .value
    };
    assert_eq!(term("live_exposure"), 3.0 * live.viewers as f64);
    assert_eq!(
        term("exposure"),
        term("live_exposure"),
        "there is no copy to expect anything of"
    );
    let platforms: Vec<_> = alert
        .platforms
        .iter()
        .map(|figures| (figures.platform.0, figures.spread_24h))
        .collect();
    assert_eq!(platforms, [(1, 0)], "the platform's party is told");
    deployment.tick(2 * HOUR);
    assert_eq!(deployment.alerts.last().unwrap().level, AlertLevel::Subsided);
    // Copies of what it showed go on with the episode.
    for copy in 0..60 {
        deployment.see(seen(1, copy, 2 * HOUR + copy as i64 * 2_000));
    }
    let last = deployment.alerts.last().unwrap();
    assert_eq!((last.level, last.episode), (AlertLevel::Escalated, 1));
    assert_eq!(last.live.unwrap().running, 0, "the family still shows its live part");
}

#[test]
fn a_popular_stream_rings_nothing() {
    let mut deployment = Deployment::new(config());
    for event in broadcast(1, 0, 120, |minute| 20_000 * (minute as u32).min(10) + 1) {
        deployment.see(event);
    }
    deployment.tick(4 * HOUR);
    assert_eq!(deployment.alerts, []);
}

#[test]
fn copies_in_other_groups_join_the_family_of_the_stream_whichever_was_first() {
    let [low, high] = two_groups();
    for (stream, copy) in [(low, high), (high, low)] {
        let mut deployment = Deployment::new(config());
        deployment.see(live(stream, Kind::LiveStart, 0, 0));
        deployment.see(live(stream, Kind::LiveHeartbeat, MINUTE, 60));
        let link = link(high, low, MINUTE);
        deployment.apply(link.content.group(), Input::Link(&link));
        for number in 0..60 {
            deployment.see(seen(copy, number, MINUTE + number as i64 * 1_000));
            deployment.tick(MINUTE + number as i64 * 1_000 + 500);
        }
        deployment.tick(2 * MINUTE + 1_000);
        let first = &deployment.alerts[0];
        assert_eq!((first.level, first.reason), (AlertLevel::Raised, AlertReason::Spread));
        assert_eq!((first.family, first.members), (FamilyId(id(low)), 2));
        let live = first.live.unwrap();
        assert_eq!((live.running, live.viewers), (1, 60));
        assert!(first.spread_1h.low < 60, "heartbeats are no copies");
        assert_eq!(deployment.alerts.len(), 1, "{:?}", said(&deployment.alerts));
    }
}

#[test]
fn a_stream_of_a_family_that_people_found_to_violate_rings_at_its_start() {
    let [family, stream] = two_groups();
    for (verdict, rings) in [
        (Verdict::Violating, true),
        (Verdict::Benign, false),
        (Verdict::Newsworthy, false),
        (Verdict::Disputed, false),
    ] {
        let mut deployment = Deployment::new(config());
        decide(&mut deployment, family, verdict, 0);
        let link = link(stream, family, 0);
        deployment.apply(link.content.group(), Input::Link(&link));
        deployment.see(live(stream, Kind::LiveStart, HOUR, 0));
        deployment.tick(HOUR + 300);
        deployment.tick(HOUR + 600);
        let expected = [(AlertLevel::Raised, AlertReason::LiveMatch, 1)];
        assert_eq!(said(&deployment.alerts), expected[..usize::from(rings)], "{verdict:?}");
    }
}

#[test]
fn a_stream_that_joins_a_family_that_rings_is_reported_at_once_and_once() {
    let [family, stream] = two_groups();
    let mut deployment = Deployment::new(config());
    for copy in 0..40 {
        deployment.see(seen(family, copy, copy as i64 * 1_000));
    }
    assert_eq!(said(&deployment.alerts), [(AlertLevel::Raised, AlertReason::Spread, 0)]);
    // The stream runs before anybody says that it shows the same.
    for event in broadcast(stream, MINUTE, 8, |_| 25) {
        if event.at > 4 * MINUTE {
            let link = link(stream, family, event.at);
            deployment.apply(link.content.group(), Input::Link(&link));
        }
        deployment.see(event);
        deployment.tick(event.at + 300);
        deployment.tick(event.at + 600);
    }
    let escalated = (AlertLevel::Escalated, AlertReason::LiveMatch, 1);
    assert_eq!(said(&deployment.alerts)[1..], [escalated]);
    assert!(deployment.alerts[1].at < Timestamp(START + 5 * MINUTE + 1_000));
    // Another one is told of too, however many join: once a minute at most.
    let streams: Vec<u8> = (0..=255)
        .filter(|content| ![family, stream].contains(content))
        .take(50)
        .collect();
    for (number, content) in streams.iter().enumerate() {
        let at = 12 * MINUTE + number as i64 * 1_000;
        let link = link(*content, family, at);
        let [content, family] = [link.content, link.family.0];
        if content > family {
            deployment.apply(content.group(), Input::Link(&link));
        }
        deployment.see(live(streams[number], Kind::LiveStart, at, 0));
        deployment.tick(at + 300);
        deployment.tick(at + 600);
    }
    let escalations = said(&deployment.alerts)
        .iter()
        .filter(|said| said.0 == AlertLevel::Escalated)
        .count();
    assert!((2..=3).contains(&escalations), "{:?}", said(&deployment.alerts));
}

#[test]
fn a_watched_stream_rings_at_its_start_and_says_that_it_runs() {
    let mut deployment = Deployment::new(config());
    deployment.watch(1, 1, 3);
    deployment.see(live(1, Kind::LiveStart, 0, 0));
    assert_eq!(
        said(&deployment.alerts),
        [(AlertLevel::Raised, AlertReason::WatchList, 1)]
    );
}

#[test]
fn a_stream_for_coordinators_rings_for_them_by_what_is_known_to_all() {
    let mut deployment = Deployment::new(config());
    decide(&mut deployment, 1, Verdict::Violating, 0);
    deployment.see(Seen {
        sharing: Sharing::Coordinators,
        ..live(1, Kind::LiveStart, MINUTE, 0)
    });
    deployment.tick(MINUTE + 300);
    let expected = [(AlertLevel::Raised, AlertReason::LiveMatch, 1)];
    assert_eq!(said(&deployment.alerts_of(Scope::Coordinators)), expected);
    assert_eq!(
        said(&deployment.alerts_of(Scope::Party(PartyId(1)))),
        expected,
        "its own party sees it too"
    );
    assert_eq!(deployment.alerts_of(Scope::All), []);
    assert_eq!(deployment.alerts_of(Scope::Party(PartyId(2))), []);
}

#[test]
fn a_stream_that_rang_and_joins_the_family_of_a_copy_goes_on_ringing_there() {
    let [copy, stream] = two_groups();
    for (verdict, reported) in [
        (None, true),
        (Some(Verdict::Violating), true),
        (Some(Verdict::Benign), false),
    ] {
        let mut deployment = Deployment::new(config());
        let mut events = broadcast(stream, 0, 17, doubling);
        events.push(seen(copy, 1, 17 * MINUTE));
        for event in events {
            deployment.see(event);
        }
        assert_eq!(
            said(&deployment.alerts),
            [(AlertLevel::Raised, AlertReason::LiveAudience, 1)]
        );
        if let Some(verdict) = verdict {
            decide(&mut deployment, stream, verdict, 17 * MINUTE);
        }
        let told = deployment.alerts.len();
        let link = link(stream, copy, 17 * MINUTE);
        deployment.apply(link.content.group(), Input::Link(&link));
        deployment.see(live(stream, Kind::LiveHeartbeat, 17 * MINUTE + 1_000, 5));
        deployment.tick(17 * MINUTE + 1_500);
        deployment.tick(17 * MINUTE + 2_000);
        let of_family = |alert: &&Alert| alert.family == FamilyId(id(copy));
        let goes_on: Vec<Alert> = deployment.alerts[told..].iter().filter(of_family).cloned().collect();
        let expected = [(AlertLevel::Sustained, AlertReason::LiveAudience, 1)];
        assert_eq!(said(&goes_on), expected[..usize::from(reported)], "{verdict:?}");
    }
}
