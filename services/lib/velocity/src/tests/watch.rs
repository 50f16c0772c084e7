//! What is watch-listed rings at its first sighting, and nothing else changes by it.

use tocsin_model::{
    AlertLevel, AlertReason, Class, ContentId, FamilyId, Kind, Link, PartyId, Scope, Sharing, Timestamp,
};

use super::harness::*;
use crate::input::WATCHED_MAX;
use crate::{GroupConfig, Input};

const HOUR: i64 = 3_600_000;

fn levels(deployment: &Deployment, scope: Scope) -> Vec<AlertLevel> {
    let alerts = deployment.alerts_of(scope);
    alerts.iter().map(|alert| alert.level).collect()
}

fn raised(deployment: &Deployment, scope: Scope) -> usize {
    let levels = levels(deployment, scope);
    levels.iter().filter(|level| **level == AlertLevel::Raised).count()
}

#[test]
fn the_first_sighting_rings_in_its_scope_whatever_its_kind() {
    for kind in [
        Kind::Upload,
        Kind::BlockedUpload,
        Kind::Share,
        Kind::Report,
        Kind::ViewSample,
    ] {
        let mut deployment = Deployment::new(config());
        deployment.watch(1, 7, 3);
        assert_eq!(deployment.alerts, [], "listed is not seen");
        deployment.see(Seen {
            kind,
            ..seen(7, 1, 1_000)
        });
        assert_eq!(levels(&deployment, Scope::All), [AlertLevel::Raised], "{kind:?}");
        let alert = &deployment.alerts[0];
        assert_eq!((alert.family, alert.reason), (FamilyId(id(7)), AlertReason::WatchList));
        let term = |name| {
            alert
                .priority_terms
                .iter()
                .find(|term| term.name == name)
                .unwrap()
                .value
        };
        assert!(
            term("watch") > 0.0 && term("severity") == 3.0,
            "{:?}",
            alert.priority_terms
        );
        let record = deployment.record(7, Class::All).unwrap();
        assert_eq!(record.watched().map(|severity| severity.get()), Some(3));
        deployment.see(Seen {
            kind,
            ..seen(7, 2, 2_000)
        });
        deployment.tick(60_000);
        assert_eq!(raised(&deployment, Scope::All), 1, "{kind:?}: one episode");
        assert_ne!(
            levels(&deployment, Scope::All).last(),
            Some(&AlertLevel::Subsided),
            "{kind:?}"
        );
    }
}

#[test]
fn a_sighting_for_one_party_rings_for_that_party_alone() {
    let mut deployment = Deployment::new(config());
    deployment.watch(1, 7, 1);
    deployment.see(Seen {
        sharing: Sharing::Party,
        ..seen(7, 1, 0)
    });
    deployment.tick(1_000);
    assert_eq!(raised(&deployment, Scope::Party(PartyId(1))), 1);
    assert_eq!(deployment.alerts.len(), 1, "{:?}", deployment.alerts);
}

#[test]
fn it_subsides_rests_a_day_and_then_rings_anew() {
    let mut deployment = Deployment::new(config());
    deployment.watch(1, 7, 1);
    deployment.see(seen(7, 1, 0));
    deployment.tick(2 * HOUR);
    assert_eq!(levels(&deployment, Scope::All).last(), Some(&AlertLevel::Subsided));
    deployment.see(seen(7, 2, 3 * HOUR));
    assert_eq!(raised(&deployment, Scope::All), 1, "it was said lately");
    deployment.see(seen(7, 3, 26 * HOUR));
    assert_eq!(raised(&deployment, Scope::All), 2);
}

#[test]
fn it_escalates_when_it_spreads() {
    let mut deployment = Deployment::new(config());
    deployment.watch(1, 7, 1);
    for copy in 0..12 {
        deployment.see(seen(7, copy, copy as i64 * 1_000));
    }
    assert_eq!(
        levels(&deployment, Scope::All),
        [AlertLevel::Raised, AlertLevel::Escalated]
    );
}

#[test]
fn what_is_hot_already_rings_at_its_next_sighting() {
    let mut deployment = Deployment::new(config());
    for copy in 0..5 {
        deployment.see(seen(7, copy, copy as i64 * 1_000));
    }
    for number in 1..4 {
        deployment.watch(number, 7, 1);
    }
    assert_eq!(deployment.alerts, []);
    deployment.see(seen(7, 5, 5_000));
    deployment.see(seen(7, 6, 6_000));
    assert_eq!(levels(&deployment, Scope::All), [AlertLevel::Raised]);
}

#[test]
fn what_is_taken_off_counts_as_anything_else() {
    let mut deployment = Deployment::new(config());
    deployment.watch(1, 7, 1);
    deployment.watch(2, 7, 0);
    deployment.watch(1, 7, 1);
    deployment.see(seen(7, 1, 0));
    assert_eq!(deployment.alerts, []);
    assert!(deployment.record(7, Class::All).is_none(), "one copy is not hot");
}

#[test]
fn a_member_in_another_group_makes_the_family_ring() {
    let contents: Vec<u8> = (0..=255).collect();
    let family = *contents.iter().min_by_key(|content| id(**content)).unwrap();
    let member = (0..=255)
        .find(|content| id(*content).group() != id(family).group())
        .unwrap();
    let mut deployment = Deployment::new(config());
    let link = Link {
        content: id(member),
        hash: hash(member),
        family: FamilyId(id(family)),
        evidence: tocsin_model::Evidence::EqualHash,
        party: None,
        class: Class::All,
        at: Timestamp(START),
    };
    deployment.apply(link.content.group(), Input::Link(&link));
    deployment.watch(1, member, 2);
    deployment.see(seen(member, 1, 1_000));
    deployment.tick(1_500);
    deployment.tick(2_000);
    let raised: Vec<_> = deployment
        .alerts
        .iter()
        .map(|alert| (alert.level, alert.family))
        .collect();
    assert_eq!(raised, [(AlertLevel::Raised, FamilyId(id(family)))]);
}

#[test]
fn a_full_table_makes_room_for_what_is_watched() {
    let mut deployment = Deployment::new(GroupConfig { hot_max: 1, ..config() });
    let crowded = (0..=255).find(|content| *content != 7 && id(*content).group() == id(7).group());
    let crowded = crowded.expect("256 contents in 256 groups share some");
    for copy in 0..5 {
        deployment.see(seen(crowded, copy, copy as i64));
    }
    assert!(deployment.record(crowded, Class::All).is_some());
    deployment.watch(1, 7, 1);
    deployment.see(seen(7, 1, 2_000));
    assert_eq!(levels(&deployment, Scope::All), [AlertLevel::Raised]);
}

#[test]
fn what_is_watched_stays_announced_until_it_is_neither_listed_nor_hot() {
    let mut deployment = Deployment::new(GroupConfig {
        promote_at: 1,
        hot_max: 1,
        ..config()
    });
    let other = ContentId(id(7).0 ^ 1);
    let is_announced = |deployment: &Deployment, content| deployment.announced.contains(&(content, Class::All));
    deployment.watch(1, 7, 2);
    assert!(is_announced(&deployment, id(7)), "listed and never seen");
    deployment.see(seen(7, 1, 0));
    // Its episode keeps it in the table for as long as it is open.
    let later = 25 * HOUR;
    deployment.tick(later);
    for copy in 0..5 {
        deployment.see_as(other, seen(8, copy, later));
    }
    assert!(deployment.record(7, Class::All).is_none(), "it made room");
    assert!(is_announced(&deployment, id(7)) && is_announced(&deployment, other));
    deployment.watch_at(later, 2, 7, 0);
    assert!(!is_announced(&deployment, id(7)), "neither listed nor hot");

    let again = later + 25 * HOUR;
    deployment.tick(again);
    deployment.watch_at(again, 3, 7, 2);
    deployment.see(seen(7, 2, again));
    assert!(deployment.record(7, Class::All).is_some() && !is_announced(&deployment, other));
    deployment.watch_at(again, 4, 7, 0);
    assert!(is_announced(&deployment, id(7)), "hot, and listed no more");
}

#[test]
fn the_list_is_bounded_and_refusals_are_counted() {
    let mut deployment = Deployment::new(config());
    let group = id(7).group();
    for number in 0..=WATCHED_MAX as u64 {
        let watch = tocsin_model::Watch {
            number: number + 1,
            content: tocsin_model::ContentId((u128::from(group.0) << 120) | u128::from(number)),
            hash: hash(7),
            listed: tocsin_model::Severity::new(1),
            source: "example".parse().unwrap(),
            at: Timestamp(START),
        };
        deployment.apply(group, Input::Watch(&watch));
    }
    assert_eq!(deployment.group(group).watched_contents(), WATCHED_MAX);
    assert_eq!(deployment.group(group).take_counters().watches_refused, 1);
}

#[test]
fn what_comes_after_the_listing_is_counted_apart() {
    let mut deployment = Deployment::new(config());
    let copy = |kind, party, at| Seen {
        kind,
        party,
        ..seen(1, at as u64, at)
    };
    let of = |deployment: &Deployment| {
        let listing = deployment.record(1, Class::All).unwrap().listing().cloned();
        listing.map(|listing| {
            let since = listing.since.iter();
            let since = since.map(|of| (of.platform.0, of.kind, of.events, of.first_at.0 - START));
            (listing.at.0 - START, since.collect::<Vec<_>>())
        })
    };
    for at in [1_000, 2_000, 3_000, 4_000] {
        deployment.see(copy(Kind::Upload, 1, at));
    }
    assert_eq!(of(&deployment), None);
    deployment.watch_at(10_000, 1, 1, 2);
    // One that comes late is of before.
    deployment.see(Seen {
        late_by: 5_000,
        ..copy(Kind::Upload, 1, 12_000)
    });
    for (kind, party, at) in [
        (Kind::Upload, 2, 15_000),
        (Kind::BlockedUpload, 1, 20_000),
        (Kind::BlockedUpload, 1, 21_000),
        (Kind::Removal, 2, 22_000),
    ] {
        deployment.see(copy(kind, party, at));
    }
    let since = vec![
        (1, Kind::BlockedUpload, 2, 20_000),
        (2, Kind::Upload, 1, 15_000),
        (2, Kind::Removal, 1, 22_000),
    ];
    assert_eq!(of(&deployment), Some((10_000, since.clone())));
    // Graver now, listed since the same time; nothing is lost by a restore.
    deployment.watch_at(30_000, 2, 1, 4);
    deployment.restore();
    assert_eq!(of(&deployment), Some((10_000, since)));
    deployment.watch_at(40_000, 3, 1, 0);
    assert_eq!(of(&deployment), None);
}

#[test]
fn a_content_that_is_first_seen_when_it_is_listed_already_is_counted_since_the_listing() {
    let mut deployment = Deployment::new(config());
    deployment.watch_at(10_000, 1, 1, 2);
    deployment.restore();
    deployment.see(seen(1, 7, 50_000));
    let listing = deployment.record(1, Class::All).unwrap().listing().unwrap();
    assert_eq!((listing.at.0 - START, listing.since[0].events), (10_000, 1));
}
