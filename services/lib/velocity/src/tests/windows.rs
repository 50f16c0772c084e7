//! Windows hold the truth: exactly since promotion, within the interval before.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tocsin_model::{Class, ContentId, Kind, Milliseconds, Sharing, Timestamp};

use super::harness::*;
use crate::figures::{WindowLength, family_figures};
use crate::{HotKey, HotRecord};

/// Spread of a content's events in class `all` with times in `from..to`, counted from the stream itself.
fn truth(stream: &[Seen], content: u8, from: Timestamp, to: Timestamp) -> u64 {
    let inside = |event: &&Seen| {
        let at = Timestamp(START + event.at - event.late_by);
        event.content == content && event.sharing == Sharing::All && event.kind.is_spread() && from <= at && at < to
    };
    stream.iter().filter(inside).count() as u64
}

#[test]
fn every_interval_holds_the_truth_while_contents_come_go_and_come_late() {
    for seed in 0..6 {
        let stream = stream(seed, 2_000);
        let mut deployment = Deployment::new(config());
        let mut checked = 0;
        for (place, event) in stream.iter().enumerate() {
            deployment.see(*event);
            if place % 101 != 0 {
                continue;
            }
            for content in 0..60 {
                let Some(record) = deployment.record(content, Class::All) else {
                    continue;
                };
                let now = deployment.groups[&id(content).group()].now();
                let figures = family_figures(&[record], now).unwrap();
                for window in &figures.windows {
                    let truth = truth(&stream[..=place], content, window.window.from, window.window.to);
                    assert!(
                        window.spread.contains(truth),
                        "seed {seed}, event {place}, content {content}, {:?}: {truth} not in {:?}",
                        window.length,
                        window.spread
                    );
                    checked += 1;
                }
            }
        }
        assert!(checked > 100, "seed {seed} had too few hot contents: {checked}");
    }
}

#[test]
fn counts_by_platform_and_kind_are_exact_from_the_first_event_on() {
    let mut deployment = Deployment::new(crate::GroupConfig {
        promote_at: 1,
        ..config()
    });
    let mut expected = BTreeMap::new();
    for (place, kind) in [Kind::Upload, Kind::Upload, Kind::Share, Kind::Report, Kind::Removal]
        .into_iter()
        .enumerate()
    {
        deployment.see(Seen {
            kind,
            ..seen(1, place as u64, place as i64 * 1_000)
        });
        *expected.entry((tocsin_model::PlatformId(1), kind)).or_insert(0) += 1;
    }
    let figures = family_figures(&[deployment.record(1, Class::All).unwrap()], Timestamp(START + 5_000)).unwrap();
    for window in &figures.windows {
        assert_eq!(window.counts, expected, "{:?}", window.length);
        assert_eq!(
            (window.spread.low, window.spread.high),
            (3, 3),
            "reports and removals are no spread"
        );
    }
    assert_eq!(figures.reach[&tocsin_model::PlatformId(1)].accounts.estimate, 3.0);
}

/// Wherever in minutes, quarters of an hour and steps of the filter the first event lies.
#[test]
fn nothing_is_said_to_have_come_before_the_first_event() {
    let mut deployment = Deployment::new(crate::GroupConfig {
        promote_at: 1,
        hot_max: 256,
        ..config()
    });
    for content in 0..200u8 {
        deployment.see(seen(content, 1, i64::from(content) * 37_011));
        let record = deployment.record(content, Class::All).unwrap();
        let figures = family_figures(&[record], record.last_seen()).unwrap();
        for window in &figures.windows {
            assert_eq!(
                (window.spread.low, window.spread.high),
                (1, 1),
                "{content} {:?}",
                window.length
            );
        }
    }
}

proptest! {
    /// What lies at the edge of two bounds is not counted in both.
    #[test]
    fn what_came_before_promotion_is_counted_once(times in prop::collection::vec(0..3_000_000i64, 20), slide in 0..3_600_000i64) {
        let mut times = times;
        times.sort_unstable();
        let mut deployment = Deployment::new(crate::GroupConfig { promote_at: 21, ..config() });
        for (account, at) in times.iter().enumerate() {
            deployment.see(seen(1, account as u64, *at));
        }
        prop_assert!(deployment.record(1, Class::All).is_none());
        deployment.see(seen(1, 99, 3_000_000));
        let record = deployment.record(1, Class::All).unwrap();
        let figures = family_figures(&[record], Timestamp(START + 3_000_000 + slide)).unwrap();
        for window in &figures.windows {
            // The bound may reach back to the next longer age that is kept, and a pane more.
            let reached = window.window.from - Milliseconds(2 * window.length.length().0) - Milliseconds::from_minutes(15);
            let most = times.iter().filter(|at| START + **at >= reached.0).count() as u64 + 1;
            let low = times.iter().filter(|at| START + **at >= window.window.from.0).count() as u64;
            prop_assert!(window.spread.high <= most, "{:?}: {:?} above {most}", window.length, window.spread);
            prop_assert!(window.spread.high >= low, "{:?}: {:?} below {low}", window.length, window.spread);
        }
    }
}

#[test]
fn a_window_ends_with_the_open_bin() {
    for length in WindowLength::ALL {
        let window = crate::figures::window(length, Timestamp(START + 1));
        assert!(
            window.from < Timestamp(START) && Timestamp(START + 1) < window.to,
            "{length:?}"
        );
        assert_eq!(window.to - window.from, length.length());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_record_has_one_encoding_and_broken_bytes_are_refused(seed in 0u64..1_000, cut in 0usize..4_000, flip in 0usize..4_000) {
        let mut deployment = Deployment::new(config());
        for event in stream(seed, 300) {
            deployment.see(event);
        }
        for group in deployment.groups.values() {
            for key in group.hot_keys() {
                let mut out = tocsin_sketch::codec::Encoder::new();
                group.hot(key).unwrap().encode(&mut out);
                let bytes = out.finish();
                let mut input = tocsin_sketch::codec::Decoder::new(&bytes);
                let decoded = crate::HotRecord::decode(&mut input).unwrap();
                let mut without_repeats = group.hot(key).unwrap().clone();
                without_repeats.repeats = Default::default();
                without_repeats.before.others.clear();
                prop_assert_eq!(&decoded, &without_repeats);
                prop_assert!(input.finish().is_ok());
                let mut broken = bytes.clone();
                let place = flip % broken.len();
                broken[place] ^= 1 << (flip % 8);
                let _ = crate::HotRecord::decode(&mut tocsin_sketch::codec::Decoder::new(&broken));
                let short = &bytes[..cut % bytes.len()];
                prop_assert!(crate::HotRecord::decode(&mut tocsin_sketch::codec::Decoder::new(short)).is_err());
            }
        }
    }
}

#[test]
fn a_content_hot_for_the_second_time_says_so_even_within_one_millisecond() {
    let mut deployment = Deployment::new(crate::GroupConfig {
        promote_at: 1,
        hot_max: 1,
        ..config()
    });
    let other = tocsin_model::ContentId(id(1).0 ^ 1);
    deployment.see(seen(1, 1, 0));
    for copy in 0..2 {
        deployment.see_as(other, seen(2, copy, 0));
    }
    assert!(deployment.record(1, Class::All).is_none(), "it made room");
    deployment.tick(1_000);
    for copy in 2..5 {
        deployment.see(seen(1, copy, 1_000));
    }
    let record = deployment.record(1, Class::All).unwrap();
    assert!(record.exact_since() > Timestamp(START + 1_000));
}

/// The topics of state and sightings take records of 4 MiB, and a delta carries two of these.
#[test]
fn the_largest_record_fits_its_topics() {
    let mut record = HotRecord::new(
        id(1),
        Class::All,
        tocsin_model::FamilyId(id(1)),
        hash(1),
        Timestamp(START),
    );
    let mut count = |party, kind, account, at: i64| {
        let event = Seen {
            party,
            kind,
            ..seen(1, account, at)
        };
        record.count(
            &sighting(id(1), &[1; 32], event, 1),
            Timestamp(START + at),
            Timestamp(START + at),
        );
    };
    // Every bin of every resolution, on more platforms and kinds than are kept apart.
    let quarters = (0..100).map(|quarter| quarter * 900_000);
    let minutes = (0..180).map(|minute| 23 * 3_600_000 + minute * 60_000);
    let steps = (0..360).map(|step| 25 * 3_600_000 + 1_800_000 + step * 5_000);
    for at in quarters.chain(minutes).chain(steps) {
        for party in 1..=90 {
            for kind in [Kind::Upload, Kind::Share, Kind::Report, Kind::BlockedUpload] {
                count(party, kind, u64::from(party), at);
            }
        }
    }
    for account in 0..90_000u64 {
        count(
            (account % 90) as u16 + 1,
            Kind::Upload,
            account,
            26 * 3_600_000 + 600_000,
        );
    }
    let mut bytes = tocsin_sketch::codec::Encoder::new();
    record.encode(&mut bytes);
    let bytes = bytes.finish().len();
    assert!((300_000..2 << 20).contains(&bytes), "{bytes} bytes");
    let figures = family_figures(&[&record], record.last_seen()).unwrap();
    let [minutes5, ..] = &figures.windows;
    assert_eq!(minutes5.spread.low, 90_000, "the total misses nothing");
    assert!(minutes5.counts.values().sum::<u64>() < 90_000);
    assert_eq!(record.reach().len(), HotRecord::PLATFORMS_MAX);
}

/// What somebody does who may read counts: sends one content until its copies lie in sealed hours, and asks about others until one has them too.
#[test]
fn an_observed_collision_widens_a_cold_count_and_ends_when_the_content_is_hot() {
    const HOUR: i64 = 3_600_000;
    const LOUD: i64 = 200;
    let loud = id(1);
    let group = loud.group();
    let mut deployment = Deployment::new(config());
    let mut at = 0;
    for copy in 0..LOUD {
        at = copy * 18_000;
        deployment.see_as(loud, seen(1, copy as u64, at));
    }
    at += 6 * HOUR;
    let high_of = |deployment: &Deployment, content: ContentId, length: i64| {
        let (_, cold) = deployment.groups[&group].cold().next().unwrap();
        let now = deployment.groups[&group].now();
        cold.count(content, now - Milliseconds(length), now + Milliseconds(1))
            .count
            .high
    };
    let in_group = |number: u64| {
        let scattered = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        ContentId(loud.0 >> 120 << 120 | scattered >> 8)
    };
    // With the next copy of anything the hours are sealed.
    deployment.see_as(in_group(0), seen(3, 0, at));
    let mut others = (1..1_000_000).map(in_group);
    let quiet = others
        .find(|other| high_of(&deployment, *other, 24 * HOUR) >= LOUD as u64 - 1)
        .unwrap();
    assert_ne!(quiet, loud);

    let key = HotKey {
        content: quiet,
        class: Class::All,
    };
    let mut copies = 0;
    while deployment.groups[&group].hot(key).is_none() {
        (at, copies) = (at + 60_000, copies + 1);
        deployment.see_as(quiet, seen(2, copies, at));
        assert!(high_of(&deployment, quiet, HOUR) >= copies && high_of(&deployment, quiet, 24 * HOUR) >= copies);
    }
    assert_eq!(copies, 3, "no sooner and no later than any other");
    // From here on the loud one says nothing of it, and in a day what it said is over.
    let mut alone = deployment.clone();
    for further in 0..100 {
        at += 1_000;
        deployment.see_as(loud, seen(1, 1_000 + further, at));
        for deployment in [&mut deployment, &mut alone] {
            deployment.see_as(quiet, seen(2, 100 + further, at));
        }
    }
    let record = |deployment: &Deployment| deployment.groups[&group].hot(key).unwrap().clone();
    assert_eq!(record(&deployment), record(&alone));
    let windows = |record: &HotRecord, now: i64| family_figures(&[record], Timestamp(START + now)).unwrap().windows;
    let [five, hour, day] = windows(&record(&deployment), at);
    assert!(five.spread.contains(103) && hour.spread.contains(103) && day.spread.contains(103));
    assert!(
        hour.spread.high < 110 && day.spread.high >= 100 + LOUD as u64,
        "{hour:?} {day:?}"
    );
    let [_, _, day] = windows(&record(&deployment), at + 23 * HOUR);
    assert!(day.spread.contains(103), "{day:?}");
    assert_eq!(windows(&record(&deployment), at + 25 * HOUR)[2].spread.high, 0);
}
