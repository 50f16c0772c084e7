//! Links, deltas and members in several groups.

use std::collections::BTreeSet;

use tocsin_model::{
    Alert, AlertLevel, Class, ContentId, Decision, DecisionId, Delta, Evidence, FamilyId, Kind, Link, PartyId, Scope,
    Sharing, Timestamp, Verdict,
};

use super::harness::*;
use crate::{GroupConfig, Input, Output};

pub(super) fn link(content: u8, family: u8, class: Class) -> Link {
    Link {
        content: id(content),
        hash: hash(content),
        family: FamilyId(id(family)),
        evidence: Evidence::PartyLink,
        party: Some(PartyId(1)),
        class,
        at: Timestamp(START),
    }
}

/// Contents by ascending id, so that the first may found the family of all; all in different groups.
pub(super) fn by_id(count: usize) -> Vec<u8> {
    let mut contents: Vec<u8> = (0..=255).collect();
    contents.sort_by_key(|content| id(*content));
    let mut groups = std::collections::BTreeSet::new();
    contents.retain(|content| groups.insert(id(*content).group()));
    contents.truncate(count);
    contents
}

#[test]
fn copies_in_different_groups_ring_as_one_family() {
    let members = by_id(4);
    let mut deployment = Deployment::new(config());
    for member in &members[1..] {
        let link = link(*member, members[0], Class::All);
        deployment.apply(link.content.group(), Input::Link(&link));
    }
    for copy in 0..40u64 {
        deployment.see(seen(members[copy as usize % 4], copy, copy as i64 * 5_000));
        deployment.tick(copy as i64 * 5_000 + 300);
        deployment.tick(copy as i64 * 5_000 + 600);
    }
    let alerts: Vec<&Alert> = deployment.alerts.iter().collect();
    assert_eq!(
        alerts.len(),
        1,
        "one family rings once; ten copies each alone would not ring: {alerts:?}"
    );
    assert_eq!(alerts[0].family, FamilyId(id(members[0])));
    assert!(alerts[0].spread_1h.low >= 8, "{:?}", alerts[0].spread_1h);
    assert_eq!(alerts[0].members, 4);
    let record = deployment.record(members[2], Class::All).unwrap();
    assert_eq!(
        record.family(),
        FamilyId(id(members[0])),
        "the record says which family it counts for"
    );
}

#[test]
fn a_link_one_party_alone_may_see_joins_for_that_party_alone() {
    let members = by_id(2);
    let mut deployment = Deployment::new(config());
    let link = link(members[1], members[0], Class::Party(PartyId(1)));
    deployment.apply(link.content.group(), Input::Link(&link));
    for copy in 0..40u64 {
        let sharing = if copy % 2 == 0 { Sharing::All } else { Sharing::Party };
        deployment.see(Seen {
            sharing,
            ..seen(members[1], copy, copy as i64 * 5_000)
        });
        deployment.tick(copy as i64 * 5_000 + 300);
        deployment.tick(copy as i64 * 5_000 + 600);
    }
    let own = deployment.alerts_of(Scope::Party(PartyId(1)));
    assert_eq!(own.first().map(|alert| alert.family), Some(FamilyId(id(members[0]))));
    let public = deployment.record(members[1], Class::All).unwrap();
    assert_eq!(
        public.family(),
        FamilyId(id(members[1])),
        "for everybody else it is a family of its own"
    );
}

#[test]
fn links_in_any_order_lead_to_the_same_family() {
    let members = by_id(3);
    let (a, b, c) = (members[0], members[1], members[2]);
    for order in [[(b, a), (c, b)], [(c, b), (b, a)]] {
        let mut deployment = Deployment::new(config());
        for (joins, family) in order {
            let link = link(joins, family, Class::All);
            deployment.apply(link.content.group(), Input::Link(&link));
        }
        for round in 0..4i64 {
            for content in members.iter() {
                deployment.see(seen(*content, round as u64, round * 1_000));
            }
            deployment.tick(round * 1_000 + 300);
            deployment.tick(round * 1_000 + 600);
        }
        for member in [b, c] {
            let family = deployment.record(member, Class::All).unwrap().family();
            assert_eq!(family, FamilyId(id(a)), "chains lead to the founder with the lowest id");
        }
    }
}

#[test]
fn links_and_deltas_that_come_twice_or_to_the_wrong_place_change_nothing() {
    let members = by_id(2);
    let mut deployment = Deployment::new(config());
    let right = link(members[1], members[0], Class::All);
    deployment.apply(right.content.group(), Input::Link(&right));
    let before = deployment.group(right.content.group()).encode_core();
    deployment.apply(right.content.group(), Input::Link(&right));
    assert_eq!(deployment.group(right.content.group()).encode_core(), before);

    let home = id(members[0]).group();
    deployment.apply(home, Input::Link(&right));
    let broken = tocsin_model::Delta {
        family: FamilyId(ContentId(0)),
        member: id(members[1]),
        class: Class::All,
        number: 1,
        records: vec![1, 2, 3],
    };
    deployment.apply(home, Input::Delta(&broken));
    let counters = deployment.group(home).take_counters();
    assert_eq!((counters.links_refused, counters.deltas_refused), (1, 1));
}

#[test]
fn a_scope_in_which_was_decided_counts_the_members_in_other_groups() {
    let members = by_id(4);
    let family = FamilyId(id(members[0]));
    let mut deployment = Deployment::new(config());
    for member in &members[1..] {
        let link = link(*member, members[0], Class::All);
        deployment.apply(link.content.group(), Input::Link(&link));
    }
    let see = |deployment: &mut Deployment, copies: std::ops::Range<u64>| {
        for copy in copies {
            deployment.see(seen(members[copy as usize % 4], copy, copy as i64 * 1_000));
            deployment.tick(copy as i64 * 1_000 + 500);
        }
    };
    see(&mut deployment, 0..40);
    let decision = Decision {
        id: DecisionId(9),
        family,
        scope: Scope::Coordinators,
        verdict: Verdict::Violating,
        at: Timestamp(START + 40_000),
    };
    deployment.apply(family.home(), Input::Decision(&decision));
    let alerts = deployment.alerts_of(Scope::Coordinators);
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].members, 4);
    assert!(alerts[0].spread_1h.contains(40), "{:?}", alerts[0].spread_1h);
    see(&mut deployment, 40..500);
    let alerts = deployment.alerts_of(Scope::Coordinators);
    let levels: Vec<AlertLevel> = alerts.iter().map(|alert| alert.level).collect();
    assert_eq!(levels, [AlertLevel::Raised, AlertLevel::Escalated]);
}

#[test]
fn a_family_that_joins_another_says_that_its_own_episode_is_over() {
    let members = by_id(2);
    let mut deployment = Deployment::new(config());
    for copy in 0..40u64 {
        deployment.see(seen(members[1], copy, copy as i64 * 5_000));
    }
    let own = FamilyId(id(members[1]));
    assert_eq!(
        deployment.alerts.last().map(|alert| (alert.family, alert.level)),
        Some((own, AlertLevel::Raised))
    );
    let link = link(members[1], members[0], Class::All);
    deployment.apply(link.content.group(), Input::Link(&link));
    let levels: Vec<AlertLevel> = deployment
        .alerts
        .iter()
        .filter(|alert| alert.family == own)
        .map(|alert| alert.level)
        .collect();
    assert_eq!(
        levels,
        [AlertLevel::Raised, AlertLevel::Subsided],
        "the case on it must not stay open"
    );
}

#[test]
fn a_family_that_rings_goes_on_ringing_in_the_one_it_joins_and_is_raised_once() {
    let members = by_id(4);
    for restarts in [false, true] {
        let mut deployment = Deployment::new(config());
        let mut at = 0;
        let mut copies = |deployment: &mut Deployment, members: &[u8], count: usize| {
            for copy in 0..count {
                at += 1_000;
                deployment.see(seen(members[copy % members.len()], at as u64, at));
                deployment.tick(at + 600);
            }
        };
        // All have heard the time.
        copies(&mut deployment, &members, 4);
        copies(&mut deployment, &members[3..], 40);
        // From one family to the next, each of a lower id, the last two at once.
        for joins in [&[(3, 2)][..], &[(2, 1), (1, 0)]] {
            for (content, family) in joins {
                let link = link(members[*content], members[*family], Class::All);
                deployment.apply(link.content.group(), Input::Link(&link));
                if restarts {
                    deployment.restore();
                }
            }
            copies(&mut deployment, &members, 40);
        }
        let of = |place: usize| {
            let own = FamilyId(id(members[place]));
            let alerts = deployment.alerts.iter().filter(|alert| alert.family == own);
            alerts.map(|alert| alert.level).collect::<Vec<AlertLevel>>()
        };
        use AlertLevel::*;
        assert_eq!(of(3), [Raised, Subsided]);
        assert_eq!(of(2), [Sustained, Subsided]);
        assert_eq!(of(1), [Sustained, Subsided], "it passes on what it hears");
        assert_eq!(of(0), [Sustained]);
        let last = deployment.alerts.last().unwrap();
        assert!(last.members >= 2, "its figures came before: {last:?}");
        let families: BTreeSet<_> = deployment.alerts.iter().map(|alert| alert.id).collect();
        assert_eq!(families.len(), deployment.alerts.len(), "no id comes twice");
    }
}

#[test]
fn a_family_that_joins_another_takes_its_members_along_and_its_decisions() {
    let members = by_id(4);
    let (target, founder) = (members[0], members[1]);
    let mut deployment = Deployment::new(config());
    for member in &members[2..] {
        let link = link(*member, founder, Class::All);
        deployment.apply(link.content.group(), Input::Link(&link));
    }
    for copy in 0..8u64 {
        deployment.see(seen(members[1 + copy as usize % 3], copy, copy as i64 * 1_000));
        deployment.tick(copy as i64 * 1_000 + 600);
    }
    // From here on no member is seen again: they follow all the same.
    let joins = link(founder, target, Class::All);
    deployment.apply(joins.content.group(), Input::Link(&joins));
    deployment.tick(10_000);
    deployment.tick(11_000);
    let family = FamilyId(id(target));
    for member in &members[1..] {
        assert_eq!(deployment.record(*member, Class::All).unwrap().family(), family);
    }
    let decision = Decision {
        id: DecisionId(1),
        family: FamilyId(id(founder)),
        scope: Scope::All,
        verdict: Verdict::Violating,
        at: Timestamp(START + 12_000),
    };
    deployment.apply(FamilyId(id(founder)).home(), Input::Decision(&decision));
    for copy in 8..40u64 {
        deployment.see(seen(members[1 + copy as usize % 3], copy, copy as i64 * 1_000));
        deployment.tick(copy as i64 * 1_000 + 600);
    }
    let last = deployment.alerts.last().unwrap();
    assert_eq!((last.family, last.members), (family, 3));
    let decided = last.priority_terms.iter().find(|term| term.name == "decision").unwrap();
    assert!(
        decided.value > 0.0,
        "the decision reached the family: {:?}",
        last.priority_terms
    );
}

#[test]
fn links_of_one_party_neither_push_out_what_spreads_nor_fill_up_what_others_use() {
    let mut deployment = Deployment::new(config());
    let spreading = id(1);
    let group = spreading.group();
    for copy in 0..10u64 {
        deployment.see(seen(1, copy, copy as i64 * 100));
    }
    assert!(deployment.record(1, Class::All).is_some());
    // More links than there is room for, each to another family, all of contents of this group.
    let bomb = |number: u64, class| Link {
        content: ContentId(spreading.0 ^ (u128::from(number) + 1)),
        hash: hash(1),
        family: FamilyId(ContentId(u128::from(number))),
        evidence: Evidence::PartyLink,
        party: Some(PartyId(9)),
        class,
        at: Timestamp(START + 2_000 + number as i64),
    };
    for number in 0..5_000 {
        let link = bomb(number, Class::Party(PartyId(9)));
        assert_eq!(link.content.group(), group, "the low bits do not choose the group");
        deployment.apply(group, Input::Link(&link));
        deployment.apply(group, Input::Link(&bomb(number, Class::All)));
    }
    assert!(
        deployment.record(1, Class::All).is_some(),
        "what spreads keeps its place"
    );
    let bytes = deployment.group(group).encode_core().len();
    assert!(bytes < 400_000, "links have a limit: {bytes} bytes");
    // A link that comes after the flood still holds.
    let founder = (0..=255).find(|content| id(*content) < spreading).unwrap();
    let late = Link {
        at: Timestamp(START + 10_000),
        ..link(1, founder, Class::All)
    };
    deployment.apply(group, Input::Link(&late));
    assert_eq!(
        deployment.record(1, Class::All).unwrap().family(),
        FamilyId(id(founder))
    );
}

#[test]
fn a_full_table_lets_in_many_at_once_when_they_spread_more() {
    let mut deployment = Deployment::new(crate::GroupConfig {
        hot_max: 4,
        promote_at: 3,
        ..config()
    });
    let group = id(1).group();
    let see = |deployment: &mut Deployment, content: u128, copy: u64, at: i64| {
        deployment.see_as(ContentId((id(1).0 & !0xffff) | content), seen(1, copy, at));
    };
    for content in 0..4 {
        for copy in 0..3 {
            see(&mut deployment, content, copy, copy as i64);
        }
    }
    // All within one second.
    for content in 4..8 {
        for copy in 0..6 {
            see(&mut deployment, content, copy, 5_000);
        }
    }
    let hot: Vec<u128> = deployment.groups[&group]
        .hot_keys()
        .iter()
        .map(|key| key.content.0 & 0xffff)
        .collect();
    assert_eq!(hot, [4, 5, 6, 7]);
}

#[test]
fn the_members_in_other_groups_of_all_families_of_a_class_have_one_limit() {
    let contents = by_id(40);
    let (founders, members) = contents.split_at(8);
    let mut deployment = Deployment::new(config());
    for (number, member) in members.iter().enumerate() {
        let link = link(*member, founders[number % founders.len()], Class::All);
        deployment.apply(link.content.group(), Input::Link(&link));
        for account in 0..3 {
            deployment.see(seen(*member, account, number as i64 * 1_000));
        }
    }
    deployment.tick(60_000);
    let group = id(founders[0]).group();
    let home = deployment.group(group);
    let figures = |home: &crate::Group| home.families.remote_members(Class::All);
    assert_eq!(figures(home), 4, "32 members of 8 families in 8 groups");

    // The same figures said for other families of this group, by members that never were here before.
    let mut limited = home.clone();
    let delta = |member: u128| {
        let state = home.families.state(FamilyId(id(founders[0])), Class::All).unwrap();
        let (_, records) = state.remote.values().next().unwrap();
        let mut bytes = tocsin_sketch::codec::Encoder::new();
        crate::family::encode_records(records.iter(), &mut bytes);
        // Two families whose home is this group: the low bits of an id do not name its group.
        let family = FamilyId(ContentId(id(founders[0]).0 ^ (member % 2)));
        Delta {
            family,
            member: ContentId(member),
            class: Class::All,
            number: 1,
            records: bytes.finish(),
        }
    };
    let mut out = Vec::new();
    let limit = config().remote_members_max() as u128;
    for member in 0..limit {
        limited.apply(Input::Delta(&delta(member)), &mut out);
    }
    assert_eq!(figures(&limited) as u128, limit);
    assert_eq!(
        limited.take_counters().deltas_refused,
        4,
        "those for which there was no room"
    );

    // A day and more later none of them counts in any window: one more has room, and so has what a restore makes of it.
    let later = Timestamp(START + 26 * 3_600_000);
    limited.apply(Input::Tick(later), &mut out);
    limited.apply(Input::Delta(&delta(limit)), &mut out);
    assert_eq!(figures(&limited), 1);
    let cold = limited
        .cold()
        .map(|(class, cold)| (class, crate::Group::encode_cold(cold)))
        .collect();
    let restored = crate::Group::decode(config(), &limited.encode_core(), &cold).unwrap();
    assert_eq!(figures(&restored), 1);
}

/// Runs copies of a content that everybody links to a family in another group; `sharing` and `kind` tell of each of them by its number. Gives
/// the deltas that its group sent, and the group.
fn deltas_of_a_linked_content(sharing: fn(u64) -> (Sharing, Kind)) -> (Vec<Delta>, crate::Group) {
    let members = by_id(2);
    let config = GroupConfig {
        promote_at: 1,
        ..config()
    };
    let mut group = crate::Group::new(id(members[1]).group(), config);
    let mut out = Vec::new();
    group.apply(Input::Link(&link(members[1], members[0], Class::All)), &mut out);
    for copy in 0..6 {
        let (sharing, kind) = sharing(copy);
        let seen = Seen {
            sharing,
            kind,
            ..seen(members[1], copy, copy as i64 * 5_000)
        };
        let value = [members[1]; 32];
        group.apply(
            Input::Sighting(&sighting(id(members[1]), &value, seen, copy + 1)),
            &mut out,
        );
        group.apply(Input::Tick(Timestamp(START + copy as i64 * 5_000 + 4_000)), &mut out);
    }
    let deltas = out.into_iter().filter_map(|said| match said {
        Output::Delta(delta) => Some(delta),
        _ => None,
    });
    (deltas.collect(), group)
}

#[test]
fn an_outbox_says_again_what_was_said_in_every_scope() {
    let (said, group) = deltas_of_a_linked_content(|copy| {
        let all = [Sharing::All, Sharing::Coordinators, Sharing::Party];
        (all[copy as usize % 3], Kind::Upload)
    });
    let scopes = |deltas: &[Delta]| -> BTreeSet<Class> { deltas.iter().map(|delta| delta.class).collect() };
    let own = [Class::All, Class::Coordinators, Class::Party(PartyId(1))];
    assert_eq!(scopes(&said), BTreeSet::from(own));
    let again: Vec<Delta> = group
        .outbox()
        .into_iter()
        .map(|said| match said {
            Output::Delta(delta) => delta,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        scopes(&again),
        BTreeSet::from(own),
        "whoever restores the group says as much"
    );
}

#[test]
fn a_report_for_coordinators_makes_no_figures_that_stand_still() {
    let (said, _) = deltas_of_a_linked_content(|copy| match copy {
        1 => (Sharing::Coordinators, Kind::Report),
        _ => (Sharing::All, Kind::Upload),
    });
    assert!(said.iter().all(|delta| delta.class == Class::All), "{said:?}");
    assert!(said.len() > 1, "figures for all go on: {said:?}");
}
