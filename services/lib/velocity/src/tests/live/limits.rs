//! Live streams cost no more than is stated, and neither hide nor tell what they must not.

use tocsin_model::{Alert, ContentId, Kind, PartyId, Scope, Timestamp};

use super::*;
use crate::GroupConfig;

#[test]
fn thousands_of_streams_that_nobody_watches_push_out_neither_copies_nor_a_watched_stream() {
    let mut deployment = Deployment::new(GroupConfig { hot_max: 8, ..config() });
    let group = id(1).group();
    let nobody = |number: u128| ContentId((id(1).0 & !0xffff_ffff) | (number + 1));
    for copy in 0..3 {
        deployment.see(seen(1, copy, copy as i64));
    }
    let stream = ContentId(id(1).0 & !0xffff_ffff);
    for number in 0..5_000 {
        let at = 1_000 + number as i64 * 100;
        deployment.see_as(nobody(number), live(2, Kind::LiveStart, at, 0));
        if number % 100 == 0 {
            deployment.see_as(stream, live(3, Kind::LiveHeartbeat, at, u32::MAX));
        }
    }
    let hot: Vec<ContentId> = deployment.groups[&group]
        .hot_keys()
        .iter()
        .map(|key| key.content)
        .collect();
    assert_eq!(hot.len(), 8);
    assert!(hot.contains(&id(1)) && hot.contains(&stream), "{hot:?}");
    let bytes = deployment.group(group).encode_core().len();
    assert!(bytes < 120_000, "{bytes} bytes, most of them the ids of events");
}

#[test]
fn invented_viewers_push_out_nothing_that_spreads() {
    let mut deployment = Deployment::new(GroupConfig { hot_max: 8, ..config() });
    for copy in 0..5 {
        deployment.see(seen(1, copy, copy as i64));
    }
    for number in 0..5_000u128 {
        let stream = ContentId((id(1).0 & !0xffff_ffff) | (number + 1));
        let at = 1_000 + number as i64 * 100;
        deployment.see_as(stream, live(2, Kind::LiveHeartbeat, at, u32::MAX));
    }
    let hot = deployment.groups[&id(1).group()].hot_keys();
    assert!(hot.iter().any(|key| key.content == id(1)), "{hot:?}");
}

#[test]
fn a_stream_is_bounded_whatever_its_events_say() {
    let mut record = HotRecord::new(id(1), Class::All, FamilyId(id(1)), hash(1), Timestamp(START));
    let mut random = SmallRng::seed_from_u64(1);
    for _ in 0..5_000 {
        let kind =
            [Kind::LiveStart, Kind::LiveHeartbeat, Kind::LiveHeartbeat, Kind::LiveEnd][random.random_range(0..4)];
        let event = Seen {
            party: random.random_range(0..300),
            ..live(1, kind, 0, random.random())
        };
        let at = match random.random_range(0..4) {
            0 => random.random(),
            1 => [i64::MIN, i64::MAX, 0][random.random_range(0..3)],
            _ => START + random.random_range(-HOUR..30 * HOUR),
        };
        let now = Timestamp(START + random.random_range(0..30 * HOUR));
        record.count(&sighting(id(1), &[1; 32], event, 1), Timestamp(at), now);
        let live = family_figures(&[&record], now).unwrap().live.unwrap();
        assert!(live.running <= live.streams && live.streams <= 8);
        assert!(live.score.is_finite());
    }
    let mut bytes = tocsin_sketch::codec::Encoder::new();
    record.live().unwrap().encode(&mut bytes);
    let bytes = bytes.finish();
    assert!(bytes.len() < 20_000, "{} bytes", bytes.len());
    let decoded = crate::live::Live::decode(&mut tocsin_sketch::codec::Decoder::new(&bytes));
    assert_eq!(decoded.as_ref(), Ok(record.live().unwrap()));
    for length in 0..bytes.len() {
        let cut = &bytes[..length];
        assert!(crate::live::Live::decode(&mut tocsin_sketch::codec::Decoder::new(cut)).is_err());
    }
}

#[test]
fn a_flood_of_copies_by_one_account_does_not_hide_a_stream() {
    let mut deployment = Deployment::new(config());
    for copy in 0..2_000 {
        deployment.see(seen(1, 1, copy));
    }
    assert!(deployment.record(1, Class::All).is_none(), "it is in quarantine");
    deployment.see(live(1, Kind::LiveStart, 3_000, 0));
    deployment.see(live(1, Kind::LiveHeartbeat, 4_000, 12));
    for copy in 0..2_000 {
        deployment.see(seen(1, 1, 5_000 + copy));
    }
    assert_eq!(figures(&deployment, 1, 8_000).viewers, 12);
    assert_eq!(deployment.alerts, []);
}

/// The ordinary stream of the harness with live events of every sharing in it.
fn mixed(seed: u64) -> Vec<Seen> {
    let mut random = SmallRng::seed_from_u64(seed);
    let events = stream(seed, 1_200);
    let with_live = |mut event: Seen| {
        if random.random_bool(0.3) {
            event.kind =
                [Kind::LiveStart, Kind::LiveHeartbeat, Kind::LiveHeartbeat, Kind::LiveEnd][random.random_range(0..4)];
            event.audience = doubling(event.at / MINUTE % 40);
            event.content %= 8;
        }
        event
    };
    events.into_iter().map(with_live).collect()
}

#[test]
fn with_or_without_hidden_live_events_a_reader_gets_the_same() {
    for seed in 0..4 {
        let events = mixed(seed);
        let end = events.last().unwrap().at + HOUR;
        let read = |scope: Scope, events: &mut dyn Iterator<Item = Seen>| {
            let mut deployment = Deployment::new(config());
            deployment.watch(1, 5, 2);
            events.for_each(|event| deployment.see(event));
            deployment.tick(end);
            let seen_by = |alert: &&Alert| alert.scope == scope || alert.scope == Scope::All;
            let mut alerts: Vec<Alert> = deployment.alerts.iter().filter(seen_by).cloned().collect();
            alerts.sort_by_key(|alert| alert.id);
            let groups = deployment.groups.values();
            let records: Vec<HotRecord> = groups
                .flat_map(|group| group.hot_keys().into_iter().map(move |key| (group, key)))
                .filter(|(_, key)| scope.contains(key.class))
                .map(|(group, key)| group.hot(key).unwrap().clone())
                .collect();
            (alerts, records)
        };
        for scope in [Scope::All, Scope::Coordinators, Scope::Party(PartyId(1))] {
            let visible = |event: &Seen| {
                event
                    .sharing
                    .classes(PartyId(event.party))
                    .any(|class| scope.contains(class))
            };
            let all = read(scope, &mut events.iter().copied());
            assert!(all.0.iter().any(|alert| alert.live.is_some()), "it shows nothing");
            assert_eq!(
                all,
                read(scope, &mut events.iter().copied().filter(visible)),
                "seed {seed}, {scope:?}"
            );
        }
    }
}

#[test]
fn further_ticks_and_restores_change_nothing_of_live_streams() {
    for seed in 0..4 {
        let run = |restored: Option<usize>, ticked: Option<usize>| {
            let mut deployment = Deployment::new(config());
            deployment.watch(1, 5, 2);
            let events = mixed(seed);
            for (place, event) in events.iter().enumerate() {
                if restored.is_some_and(|every| place % every == 0) {
                    deployment.restore();
                }
                if ticked.is_some_and(|every| place % every == 0) {
                    deployment.tick(event.at);
                }
                deployment.see(*event);
            }
            deployment.tick(events.last().unwrap().at + 12 * HOUR);
            deployment.alerts.sort_by_key(|alert| alert.id);
            (
                deployment.alerts,
                deployment
                    .groups
                    .values()
                    .map(crate::Group::encode_core)
                    .collect::<Vec<_>>(),
            )
        };
        let plain = run(None, None);
        let live = plain.0.iter().filter(|alert| alert.live.is_some());
        assert!(live.count() > 0, "seed {seed} has no live alert, so it shows nothing");
        assert_eq!(run(Some(61), None), plain, "seed {seed}");
        assert_eq!(run(None, Some(3)).0, plain.0, "seed {seed}");
    }
}
