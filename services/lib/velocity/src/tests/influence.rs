//! What one party says moves a priority by at most its cap, and what alerts say of it adds up.

use proptest::prelude::*;
use tocsin_model::{AlertLevel, Class, FamilyId, Kind, PartyId, Sighting, Timestamp};

use super::harness::*;
use crate::evidence::evidence;
use crate::forecast::{Calibration, Model};
use crate::priority::{Setting, influence_cap, priority};
use crate::record::HotRecord;
use crate::weight::Weights;

/// One event with what the priority takes from it.
#[derive(Clone, Copy, Debug)]
struct Said {
    seen: Seen,
    platform: u16,
    audience: u32,
    label: u8,
}

/// The record of these events, each received at once.
fn record(said: &[Said]) -> HotRecord {
    let mut record = HotRecord::new(id(1), Class::All, FamilyId(id(1)), hash(1), Timestamp(START));
    for (number, said) in said.iter().enumerate() {
        let event = Sighting {
            platform: tocsin_model::PlatformId(said.seen.party * 10 + said.platform),
            audience: said.audience,
            tvec_confidence: said.label,
            ..sighting(id(1), &[1; 32], said.seen, number as u64)
        };
        record.count(&event, event.occurred_at, event.received_at);
    }
    record
}

fn said_by(parties: std::ops::Range<u16>) -> impl Strategy<Value = Said> {
    let kind = prop_oneof![
        Just(Kind::Upload),
        Just(Kind::Share),
        Just(Kind::BlockedUpload),
        Just(Kind::Report),
        Just(Kind::Removal),
        Just(Kind::LiveStart),
        Just(Kind::LiveHeartbeat)
    ];
    let audience = prop_oneof![Just(0), Just(u32::MAX), 0..1_000_u32];
    let label = prop_oneof![Just(Sighting::NO_LABEL), 0..=100_u8];
    (parties, kind, 0..7_200_000_i64, 0..50_u64, 0..4_u16, (audience, label)).prop_map(
        |(party, kind, at, account, platform, (audience, label))| Said {
            seen: Seen {
                party,
                kind,
                ..seen(1, account, at)
            },
            platform,
            audience,
            label,
        },
    )
}

proptest! {
    #[test]
    fn a_party_that_inflates_a_content_raises_its_priority_by_at_most_its_cap(
        others in prop::collection::vec(said_by(1..4), 0..60),
        inflating in prop::collection::vec(said_by(9..10), 1..200),
        later in prop_oneof![Just(0), 0..3_600_000_i64],
    ) {
        let now = Timestamp(START + 7_200_000 + later);
        let calibration = Calibration::new(&Model::SHIPPED);
        let setting = Setting { verdict: None, watched: None, weights: Weights::FULL, calibration: &calibration, now };
        let in_order = |mut said: Vec<Said>| {
            said.sort_by_key(|said| said.seen.at);
            evidence(&[&record(&said)], &Weights::FULL, now)
        };
        let without = in_order(others.clone());
        let with = in_order([others, inflating].concat());
        let (with, alone) = (priority(&with, setting).priority, priority(&without, setting).priority);
        let cap = influence_cap(&without, setting);
        prop_assert!(with - alone <= cap + 1e-9 * (1.0 + with), "{with} from {alone} with a cap of {cap}");
    }
}

#[test]
fn an_alert_says_who_reported_how_much() {
    let mut deployment = Deployment::new(config());
    for copy in 0..60u64 {
        deployment.see(Seen {
            party: if copy % 4 == 0 { 2 } else { 1 },
            ..seen(1, copy, copy as i64 * 5_000)
        });
    }
    let alert = deployment.alerts.last().unwrap();
    let [first, second] = alert.influence[..] else {
        panic!("{:?}", alert.influence)
    };
    assert_eq!((first.party, second.party), (PartyId(1), PartyId(2)));
    assert!((first.share - 0.75).abs() < 0.1 && (first.share + second.share - 1.0).abs() < 1e-9);
    assert!(!first.capped && first.counted_share == first.share);
}

#[test]
fn an_alert_forecasts_with_quantiles_and_the_outcomes_move_them() {
    let mut deployment = Deployment::new(config());
    let mut raised = Vec::new();
    // Every four hours forty copies in six minutes, and then nothing: less comes than any forecast says.
    for burst in 0..40 {
        for copy in 0..40u64 {
            deployment.see(seen(
                1,
                100 * burst + copy,
                burst as i64 * 30 * 3_600_000 + copy as i64 * 9_000,
            ));
        }
        deployment.tick(burst as i64 * 30 * 3_600_000 + 5 * 3_600_000);
    }
    for alert in &deployment.alerts {
        let forecast = alert.forecast.unwrap();
        for quantiles in [forecast.spread, forecast.accounts] {
            assert!(0.0 <= quantiles.low && quantiles.low <= quantiles.median && quantiles.median <= quantiles.high);
        }
        assert!(forecast.accounts.median <= forecast.spread.median);
        assert_eq!(alert.forecast_1h, forecast.spread.median);
        if alert.level == AlertLevel::Raised {
            raised.push(forecast.spread);
        }
    }
    let (first, last) = (raised[0], raised[raised.len() - 1]);
    assert!(raised.len() > 30, "{}", raised.len());
    assert!(last.median < 0.8 * first.median, "{first:?} then {last:?}");
}

#[test]
fn an_episode_pages_once_and_every_later_alert_says_so() {
    let mut deployment = Deployment::new(config());
    deployment.calibrate(1, 0, 300.0);
    for copy in 0..9_000u64 {
        deployment.see(Seen {
            party: 1 + (copy % 3) as u16,
            ..seen(1, copy, copy as i64 * 25)
        });
    }
    deployment.tick(6 * 3_600_000);
    let paged: Vec<bool> = deployment.alerts.iter().map(|alert| alert.paged).collect();
    let first = deployment.alerts.iter().position(|alert| alert.paged).unwrap();
    assert!(first > 0 && paged[first..].iter().all(|paged| *paged), "{paged:?}");
    let at = &deployment.alerts[first];
    assert!(at.page_score >= at.page_threshold && at.page_score == at.priority);
    assert!(
        deployment.alerts[..first]
            .iter()
            .all(|alert| alert.page_score < alert.page_threshold)
    );
}

#[test]
fn what_is_posted_after_a_removal_is_told_apart_on_every_platform() {
    let said = |kind, party, at| Said {
        seen: Seen {
            kind,
            party,
            ..seen(1, at as u64, at)
        },
        platform: 0,
        audience: 50,
        label: Sighting::NO_LABEL,
    };
    let record = record(&[
        said(Kind::Upload, 1, 0),
        said(Kind::Removal, 1, 1_000),
        said(Kind::Upload, 2, 2_000),
        said(Kind::BlockedUpload, 1, 3_000),
        said(Kind::Share, 1, 4_000),
    ]);
    let [first, second] = evidence(&[&record], &Weights::FULL, Timestamp(START + 5_000))[..] else {
        panic!("two parties")
    };
    assert_eq!((first.after_removal, second.after_removal), (1, 1));
    assert_eq!((first.copies, first.last_1h, first.posted_1h), (3, 3, 2));
    assert_eq!(
        (first.audience_sum, first.audience_count),
        (100, 2),
        "a blocked upload is seen by nobody"
    );
    assert_eq!(first.since, Some(Timestamp(START)));
    assert_eq!((first.platforms, second.platforms), (1, 1));
}

#[test]
fn view_samples_add_up_to_views_and_nobodys_priority_moves() {
    let said = |kind, at, audience| Said {
        seen: Seen {
            kind,
            ..seen(1, at as u64, at)
        },
        platform: 0,
        audience,
        label: Sighting::NO_LABEL,
    };
    let spread = [said(Kind::Upload, 0, 50), said(Kind::Share, 1_000, 7)];
    let sampled = [
        said(Kind::ViewSample, 2_000, 300),
        said(Kind::ViewSample, 3_000, 0),
        said(Kind::ViewSample, 9_000, u32::MAX),
        said(Kind::LiveHeartbeat, 9_000, 4),
    ];
    let told = record(&[spread.as_slice(), &sampled].concat());
    let of = |record: &HotRecord, kind| record.heard_of_each().find(|heard| heard.kind == kind).unwrap();
    let samples = of(&told, Kind::ViewSample);
    assert_eq!((samples.events, samples.audience), (3, Some(300 + u64::from(u32::MAX))));
    assert_eq!(
        of(&told, Kind::LiveHeartbeat).audience,
        None,
        "who watches now is no sum"
    );
    let unstated = record(&[said(Kind::ViewSample, 0, 0)]);
    assert_eq!(of(&unstated, Kind::ViewSample).audience, None, "not said is not 0");

    let alerts = |views| {
        let mut deployment = Deployment::new(config());
        for copy in 0..2_000u64 {
            let kind = if copy % 5 == 4 { Kind::ViewSample } else { Kind::Upload };
            deployment.see(Seen {
                kind,
                audience: if kind == Kind::ViewSample { views } else { 9 },
                ..seen(1, copy, copy as i64 * 100)
            });
        }
        deployment.alerts
    };
    let (silent, telling) = (alerts(0), alerts(1_000_000));
    assert!(!silent.is_empty());
    assert_eq!(silent, telling, "views are no evidence");
}
