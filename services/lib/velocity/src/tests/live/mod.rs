//! Live streams: what their events say.

mod limits;
mod reporting;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tocsin_model::{
    Alert, AlertLevel, AlertReason, Class, Decision, DecisionId, Evidence, FamilyId, Kind, Link, LiveFigures, PartyId,
    Scope, Timestamp, Verdict,
};

use super::harness::*;
use crate::Input;
use crate::figures::family_figures;
use crate::record::HotRecord;

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;

pub(super) fn live(content: u8, kind: Kind, at: i64, audience: u32) -> Seen {
    Seen {
        kind,
        audience,
        ..seen(content, 900, at)
    }
}

/// A start and a heartbeat each half minute with these viewers.
pub(super) fn broadcast(content: u8, from: i64, minutes: i64, viewers: impl Fn(i64) -> u32) -> Vec<Seen> {
    let beats = (1..2 * minutes).map(|half| (half, from + half * MINUTE / 2));
    let beats = beats.map(|(half, at)| live(content, Kind::LiveHeartbeat, at, viewers(half / 2)));
    [live(content, Kind::LiveStart, from, 0)]
        .into_iter()
        .chain(beats)
        .collect()
}

pub(super) fn doubling(minute: i64) -> u32 {
    (3.0 * libm::exp2(minute as f64 / 3.0)) as u32
}

pub(super) fn figures(deployment: &Deployment, content: u8, at: i64) -> LiveFigures {
    let record = deployment.record(content, Class::All).unwrap();
    family_figures(&[record], Timestamp(START + at)).unwrap().live.unwrap()
}

pub(super) fn link(content: u8, family: u8, at: i64) -> Link {
    Link {
        content: id(content),
        hash: hash(content),
        family: FamilyId(id(family)),
        evidence: Evidence::PartyLink,
        party: Some(PartyId(1)),
        class: Class::All,
        at: Timestamp(START + at),
    }
}

pub(super) fn decide(deployment: &mut Deployment, content: u8, verdict: Verdict, at: i64) {
    let family = FamilyId(id(content));
    let decision = Decision {
        id: DecisionId(u128::from(content) + 1),
        family,
        scope: Scope::All,
        verdict,
        at: Timestamp(START + at),
    };
    deployment.apply(family.home(), Input::Decision(&decision));
}

/// Level, reason and running streams of every alert.
pub(super) fn said(alerts: &[Alert]) -> Vec<(AlertLevel, AlertReason, u32)> {
    let running = |alert: &Alert| alert.live.map_or(0, |live| live.running);
    alerts
        .iter()
        .map(|alert| (alert.level, alert.reason, running(alert)))
        .collect()
}

/// Two contents of different groups, the one of lower id first.
pub(super) fn two_groups() -> [u8; 2] {
    let first = (0..=255).min_by_key(|content| id(*content)).unwrap();
    let second = (0..=255)
        .find(|content| id(*content).group() != id(first).group())
        .unwrap();
    [first, second]
}

#[test]
fn a_stream_is_a_family_from_its_start_on_and_its_heartbeats_are_no_copies() {
    let mut deployment = Deployment::new(config());
    deployment.see(live(1, Kind::LiveStart, 0, 0));
    let began = figures(&deployment, 1, 0);
    assert_eq!((began.streams, began.running, began.viewers), (1, 1, 0));
    for (minute, viewers) in [(1, 40), (2, 120), (3, 80)] {
        deployment.see(live(1, Kind::LiveHeartbeat, minute * MINUTE, viewers));
    }
    let now = figures(&deployment, 1, 3 * MINUTE);
    assert_eq!((now.running, now.viewers, now.peak_viewers), (1, 80, 120));
    assert_eq!((now.started_at, now.ended_at), (Timestamp(START), None));
    assert_eq!(now.viewer_minutes, 40 + 120 + 80);
    let record = deployment.record(1, Class::All).unwrap();
    let figures_now = family_figures(&[record], Timestamp(START + 3 * MINUTE)).unwrap();
    assert!(figures_now.windows.iter().all(|window| window.spread.high == 0));
    assert!(figures_now.reach.is_empty() && figures_now.surfaces.is_empty());
    deployment.see(live(1, Kind::LiveEnd, 4 * MINUTE, 0));
    let over = figures(&deployment, 1, 4 * MINUTE);
    assert_eq!((over.running, over.viewers, over.peak_viewers), (0, 0, 120));
    assert_eq!(over.ended_at, Some(Timestamp(START + 4 * MINUTE)));
    assert_eq!(deployment.alerts, []);
    // The same channel goes live again: another broadcast, of which only it is told.
    deployment.see(live(1, Kind::LiveStart, 3 * HOUR, 0));
    deployment.see(live(1, Kind::LiveHeartbeat, 3 * HOUR + MINUTE, 7));
    let again = figures(&deployment, 1, 3 * HOUR + MINUTE);
    assert_eq!(
        (again.running, again.peak_viewers, again.started_at),
        (1, 7, Timestamp(START + 3 * HOUR))
    );
}

#[test]
fn the_events_of_a_broadcast_lead_to_the_same_in_any_order_and_number() {
    let mut events = broadcast(1, MINUTE, 12, |minute| 17 * (minute as u32 % 5));
    events.push(live(1, Kind::LiveEnd, 13 * MINUTE, 0));
    let record = |events: &[Seen]| {
        let mut record = HotRecord::new(id(1), Class::All, FamilyId(id(1)), hash(1), Timestamp(START));
        for event in events {
            let event = sighting(id(1), &[1; 32], *event, 1);
            record.count(&event, event.occurred_at, Timestamp(START + 14 * MINUTE));
        }
        record.live().cloned()
    };
    let in_order = record(&events);
    for seed in 0..200 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut shuffled = events.clone();
        let twice: Vec<Seen> = events.iter().copied().filter(|_| random.random_bool(0.2)).collect();
        shuffled.extend(twice);
        shuffled.shuffle(&mut random);
        assert_eq!(record(&shuffled), in_order, "seed {seed}");
    }
}

#[test]
fn without_an_end_a_stream_is_over_after_five_minutes_of_silence() {
    let mut deployment = Deployment::new(config());
    deployment.watch(1, 1, 1);
    deployment.see(live(1, Kind::LiveStart, 0, 0));
    deployment.see(live(1, Kind::LiveHeartbeat, MINUTE, 30));
    assert_eq!(figures(&deployment, 1, 6 * MINUTE - 1).running, 1);
    let silent = figures(&deployment, 1, 6 * MINUTE);
    assert_eq!((silent.running, silent.ended_at), (0, Some(Timestamp(START + MINUTE))));
    // An end that comes before the start it belongs to, and one that nobody announced.
    deployment.see(live(2, Kind::LiveEnd, 2 * MINUTE, 0));
    deployment.see(live(2, Kind::LiveStart, 3 * MINUTE, 0));
    assert_eq!(figures(&deployment, 2, 3 * MINUTE).running, 1);
    deployment.see(live(3, Kind::LiveEnd, 3 * MINUTE, 0));
    assert_eq!(figures(&deployment, 3, 3 * MINUTE).running, 0);
}

#[test]
fn the_label_of_a_start_raises_the_priority_and_heartbeats_do_not_repeat_it() {
    let labelled = |beats: usize| {
        let mut record = HotRecord::new(id(1), Class::All, FamilyId(id(1)), hash(1), Timestamp(START));
        for event in broadcast(1, 0, 5, |_| 9).into_iter().take(1 + beats) {
            let event = tocsin_model::Sighting {
                tvec_confidence: 90,
                ..sighting(id(1), &[1; 32], event, 1)
            };
            record.count(&event, event.occurred_at, event.received_at);
        }
        crate::evidence::evidence(&[&record], &crate::weight::Weights::FULL, Timestamp(START + MINUTE))[0]
    };
    assert_eq!((labelled(0).label_percent, labelled(6).label_percent), (90, 90));
    assert_eq!(
        (labelled(6).copies, labelled(6).audience_sum, labelled(6).live_viewers),
        (0, 0, 9)
    );
}
