//! Goal: no party alone makes one family of two that others tell of, however much it says; with a second party, another signal or a person it is one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use tocsin_model::{Class, Evidence, FamilyId, GroupId, Link, PartyId, Sharing, Timestamp};

use super::families::{by_id, link};
use super::harness::*;
use crate::{Input, Output};

/// Copies of contents by these parties in turn, sixty of each: the first two are counted before it is hot.
fn spread(contents: &[(u8, &[u16])]) -> Deployment {
    spread_by(60, contents)
}

fn spread_by(copies: usize, contents: &[(u8, &[u16])]) -> Deployment {
    let mut deployment = Deployment::new(config());
    for copy in 0..copies {
        for (content, parties) in contents {
            let party = parties[copy % parties.len()];
            let at = copy as i64 * 1_000;
            deployment.see(Seen {
                party,
                ..seen(*content, copy as u64, at)
            });
        }
        deployment.tick(copy as i64 * 1_000 + 500);
    }
    deployment
}

fn said(content: u8, family: u8, party: u16) -> Link {
    Link {
        party: Some(PartyId(party)),
        ..link(content, family, Class::All)
    }
}

fn say(deployment: &mut Deployment, link: &Link) {
    deployment.apply(link.content.group(), Input::Link(link));
}

fn family(deployment: &Deployment, content: u8) -> FamilyId {
    deployment.record(content, Class::All).unwrap().family()
}

#[test]
fn one_party_joins_what_others_do_not_tell_of() {
    let two = by_id(2);
    let founder = FamilyId(id(two[0]));
    for (of_founder, of_other, joins) in [
        (&[1][..], &[1][..], true),
        (&[2], &[1], true),
        (&[1], &[2], true),
        (&[1, 2], &[1], true),
        (&[1], &[1, 2], true),
        (&[2], &[2], false),
        (&[2], &[3], false),
        (&[1, 2], &[1, 3], false),
    ] {
        let mut deployment = spread(&[(two[0], of_founder), (two[1], of_other)]);
        say(&mut deployment, &said(two[1], two[0], 1));
        let now = family(&deployment, two[1]);
        assert_eq!(now == founder, joins, "{of_founder:?} {of_other:?}");
    }
    // Of the one or the other too few copies are told.
    for (copies, joins) in [(21, true), (22, false)] {
        let mut deployment = spread_by(copies, &[(two[0], &[2, 3]), (two[1], &[2, 3])]);
        say(&mut deployment, &said(two[1], two[0], 1));
        assert_eq!(family(&deployment, two[1]) == founder, joins, "{copies}");
    }
    // What nobody counts exactly has nothing to lose.
    let mut deployment = spread(&[(two[1], &[1, 2])]);
    say(&mut deployment, &said(two[1], two[0], 1));
    assert_eq!(family(&deployment, two[1]), founder);
}

#[test]
fn a_bomb_of_links_by_one_party_joins_nothing_and_a_second_party_joins_what_it_names() {
    let contents = by_id(6);
    let spoken_of: Vec<(u8, &[u16])> = contents.iter().map(|content| (*content, &[2, 3][..])).collect();
    let mut deployment = spread(&spoken_of);
    let alone: Vec<FamilyId> = contents.iter().map(|content| FamilyId(id(*content))).collect();
    let families = |deployment: &Deployment| -> Vec<FamilyId> {
        contents.iter().map(|content| family(deployment, *content)).collect()
    };
    let refused = |deployment: &mut Deployment| -> u64 {
        let groups = deployment.groups.values_mut();
        groups.map(|group| group.take_counters().links_uncorroborated).sum()
    };
    for _ in 0..3 {
        for (place, content) in contents.iter().enumerate() {
            for other in &contents[..place] {
                say(&mut deployment, &said(*content, *other, 1));
            }
        }
        assert_eq!(refused(&mut deployment), 15);
        deployment.restore();
    }
    assert_eq!(families(&deployment), alone);
    // A second party speaks of other two: that is no second word.
    say(&mut deployment, &said(contents[5], contents[4], 2));
    let mut expected = alone.clone();
    expected[5] = alone[4];
    assert_eq!(families(&deployment), expected);
    // Of what only one of them tells the scope of the other hears nothing.
    let own = Link {
        class: Class::Party(PartyId(2)),
        ..said(contents[3], contents[2], 2)
    };
    say(&mut deployment, &own);
    assert_eq!(families(&deployment), expected);
    assert_eq!(refused(&mut deployment), 1, "party 3 tells of both");
}

#[test]
fn another_signal_and_a_person_are_believed_at_once() {
    let two = by_id(2);
    for evidence in [Evidence::EqualHash, Evidence::PdqDistance(3), Evidence::Moderator] {
        let mut deployment = spread(&[(two[0], &[2, 3]), (two[1], &[2, 3])]);
        say(&mut deployment, &said(two[1], two[0], 1));
        assert_eq!(family(&deployment, two[1]), FamilyId(id(two[1])));
        let party = (evidence != Evidence::Moderator).then_some(PartyId(1));
        let further = Link {
            evidence,
            party,
            ..said(two[1], two[0], 1)
        };
        say(&mut deployment, &further);
        assert_eq!(family(&deployment, two[1]), FamilyId(id(two[0])), "{evidence:?}");
    }
}

#[test]
fn a_word_is_remembered_as_long_as_an_event_and_across_restarts() {
    let two = by_id(2);
    for (minutes, joins) in [(0, true), (120, true), (160, false)] {
        let mut deployment = spread(&[(two[0], &[2, 3]), (two[1], &[2, 3])]);
        say(&mut deployment, &said(two[1], two[0], 1));
        deployment.tick(minutes * 60_000 + 70_000);
        deployment.restore();
        let second = Link {
            at: Timestamp(START + minutes * 60_000 + 70_000),
            ..said(two[1], two[0], 2)
        };
        say(&mut deployment, &second);
        let now = family(&deployment, two[1]);
        assert_eq!(now == FamilyId(id(two[0])), joins, "{minutes}");
    }
}

#[test]
fn a_member_is_not_taken_out_of_its_family_by_one_party_and_the_question_follows_a_merge() {
    let three = by_id(3);
    let told: Vec<(u8, &[u16])> = three.iter().map(|content| (*content, &[2, 3][..])).collect();
    let mut deployment = spread(&told);
    let shared = Link {
        evidence: Evidence::EqualHash,
        ..said(three[2], three[1], 2)
    };
    say(&mut deployment, &shared);
    assert_eq!(family(&deployment, three[2]), FamilyId(id(three[1])));
    say(&mut deployment, &said(three[2], three[0], 1));
    assert_eq!(family(&deployment, three[2]), FamilyId(id(three[1])));
    // Nobody but party 1 tells of the founder, but others do of the family that it joined.
    let mut deployment = spread(&[(three[0], &[2, 3]), (three[1], &[1]), (three[2], &[2, 3])]);
    say(&mut deployment, &said(three[1], three[0], 1));
    assert_eq!(family(&deployment, three[1]), FamilyId(id(three[0])));
    say(&mut deployment, &said(three[2], three[1], 1));
    assert_eq!(family(&deployment, three[2]), FamilyId(id(three[2])));
}

#[test]
fn what_a_party_says_of_what_it_alone_sees_waits_for_nobody() {
    let two = by_id(2);
    let mut deployment = Deployment::new(config());
    for copy in 0..60 {
        for content in &two {
            deployment.see(Seen {
                sharing: Sharing::Party,
                ..seen(*content, copy, copy as i64 * 1_000)
            });
        }
    }
    let own = Link {
        class: Class::Party(PartyId(1)),
        ..said(two[1], two[0], 1)
    };
    say(&mut deployment, &own);
    let record = deployment.record(two[1], Class::Party(PartyId(1))).unwrap();
    assert_eq!(record.family(), FamilyId(id(two[0])));
}

/// Says all of it in one unit, and delivers what follows later: of each group in its order, of the groups in any.
fn say_in_one_unit(deployment: &mut Deployment, links: &[Link], random: &mut SmallRng) {
    let mut on_their_way: BTreeMap<GroupId, VecDeque<Output>> = BTreeMap::new();
    let mut apply = |from: GroupId, input: Input<'_>, on_their_way: &mut BTreeMap<GroupId, VecDeque<Output>>| {
        let mut out = Vec::new();
        deployment.group(from).apply(input, &mut out);
        on_their_way.entry(from).or_default().extend(out);
    };
    for link in links {
        apply(link.content.group(), Input::Link(link), &mut on_their_way);
    }
    while !on_their_way.is_empty() {
        let groups: Vec<GroupId> = on_their_way.keys().copied().collect();
        let from = groups.choose(random).copied().unwrap();
        match on_their_way.get_mut(&from).and_then(VecDeque::pop_front) {
            None => drop(on_their_way.remove(&from)),
            Some(Output::Delta(delta)) => apply(delta.family.home(), Input::Delta(&delta), &mut on_their_way),
            Some(Output::Link(link)) => apply(link.content.group(), Input::Link(&link), &mut on_their_way),
            Some(_) => {}
        }
    }
}

#[test]
fn a_hub_of_its_own_lets_a_party_join_no_two_families_of_others_in_one_unit_nor_over_several() {
    for seed in 0..24 {
        let mut random = SmallRng::seed_from_u64(seed);
        let contents = by_id(20);
        // Four hubs that the party alone tells of, or nobody; those of lowest ids, or any.
        let mut places: Vec<usize> = (0..contents.len()).collect();
        if seed % 2 == 1 {
            places.shuffle(&mut random);
        }
        let hubs: BTreeSet<u8> = places[..4].iter().map(|place| contents[*place]).collect();
        let told: Vec<(u8, &[u16])> = contents
            .iter()
            .filter(|content| !hubs.contains(content) || seed % 3 > 0)
            .map(|content| (*content, if hubs.contains(content) { &[1][..] } else { &[2, 3] }))
            .collect();
        let mut deployment = spread(&told);
        for unit in 0..4_i64 {
            let links = contents.iter().enumerate().flat_map(|(place, content)| {
                let families = contents[..place]
                    .iter()
                    .filter(|_| seed % 4 < 2 || random.random_bool(0.5));
                let families = families.filter(|family| hubs.contains(family) || hubs.contains(content));
                families.map(|family| said(*content, *family, 1)).collect::<Vec<_>>()
            });
            let mut links: Vec<Link> = links.collect();
            links.shuffle(&mut random);
            // The last one comes when no word of before is remembered.
            let at = if unit == 3 { 160 * 60_000 } else { 61_000 + unit * 1_000 };
            links.iter_mut().for_each(|link| link.at = Timestamp(START + at));
            say_in_one_unit(&mut deployment, &links, &mut random);
            deployment.restore();
            deployment.tick(at + 500);
            let families = told.iter().filter(|(content, _)| !hubs.contains(content));
            let families: Vec<FamilyId> = families.map(|(content, _)| family(&deployment, *content)).collect();
            let different: BTreeSet<&FamilyId> = families.iter().collect();
            assert_eq!(
                different.len(),
                families.len(),
                "seed {seed}, unit {unit}: {families:?}"
            );
        }
    }
}

#[test]
fn a_party_alone_takes_no_member_out_of_its_family_for_a_hub_of_its_own() {
    let three = by_id(3);
    let told: [(u8, &[u16]); 3] = [(three[0], &[1]), (three[1], &[2, 3]), (three[2], &[2, 3])];
    let mut deployment = spread(&told);
    let shared = Link {
        evidence: Evidence::EqualHash,
        ..said(three[2], three[1], 2)
    };
    let mut random = SmallRng::seed_from_u64(1);
    // It joins the family of a neighbour while the hub is asked.
    say_in_one_unit(&mut deployment, &[said(three[2], three[0], 1), shared], &mut random);
    assert_eq!(family(&deployment, three[2]), FamilyId(id(three[1])));
    say(&mut deployment, &said(three[2], three[0], 4));
    assert_eq!(
        family(&deployment, three[2]),
        FamilyId(id(three[0])),
        "a second party says so"
    );
}

#[test]
fn frames_that_one_party_tells_wait_as_its_word_does_and_stay_the_evidence() {
    let two = by_id(2);
    let by_frames = |party| Link {
        evidence: Evidence::FrameShare(80),
        ..said(two[1], two[0], party)
    };
    let evidence = |deployment: &Deployment| {
        let record = deployment.record(two[1], Class::All).unwrap();
        record.joined().map(|joined| (joined.evidence, joined.party))
    };
    // Others tell of both: party 1 that tells frames of the one may tell what it likes.
    let mut deployment = spread(&[(two[0], &[2, 3]), (two[1], &[2, 3])]);
    say(&mut deployment, &by_frames(1));
    say(&mut deployment, &by_frames(1));
    assert_eq!(evidence(&deployment), None);
    deployment.restore();
    say(&mut deployment, &by_frames(2));
    assert_eq!(
        evidence(&deployment),
        Some((Evidence::FrameShare(80), Some(PartyId(2))))
    );
    // Of the one it alone tells: it is let in, and why is known.
    for (of_founder, of_other) in [(&[1][..], &[2, 3][..]), (&[2, 3], &[1])] {
        let mut deployment = spread(&[(two[0], of_founder), (two[1], of_other)]);
        say(&mut deployment, &by_frames(1));
        assert_eq!(
            evidence(&deployment),
            Some((Evidence::FrameShare(80), Some(PartyId(1))))
        );
    }
}
