//! Who belongs to a family: what is kept of it, what moves a member, and what a person says of it.

use std::collections::BTreeSet;

use tocsin_model::{AlertLevel, Class, Evidence, FamilyId, Joined, Link, PartyId, Sharing, Timestamp};

use super::families::{by_id, link};
use super::harness::*;
use crate::Input;

#[test]
fn it_is_kept_how_a_content_joined_also_where_its_founder_joined_another_later() {
    let members = by_id(3);
    let mut deployment = Deployment::new(config());
    for copy in 0..9u64 {
        deployment.see(seen(members[copy as usize % 3], copy, copy as i64 * 1_000));
    }
    let joins = |content: u8, family: u8, evidence, at| Link {
        evidence,
        at: Timestamp(START + at),
        ..link(content, family, Class::All)
    };
    let near = joins(members[2], members[1], Evidence::PdqDistance(12), 20_000);
    deployment.apply(near.content.group(), Input::Link(&near));
    // The founder's home hears of the member with its figures.
    deployment.tick(20_300);
    deployment.tick(21_000);
    let joined = |deployment: &Deployment, member: usize| {
        let record = deployment.record(members[member], Class::All).unwrap();
        (record.family(), record.joined().copied())
    };
    let expected = Joined {
        evidence: Evidence::PdqDistance(12),
        party: Some(PartyId(1)),
        at: Timestamp(START + 20_000),
    };
    assert_eq!(joined(&deployment, 2), (FamilyId(id(members[1])), Some(expected)));
    let founder = joins(members[1], members[0], Evidence::EqualHash, 40_000);
    deployment.apply(founder.content.group(), Input::Link(&founder));
    assert_eq!(joined(&deployment, 2), (FamilyId(id(members[0])), Some(expected)));
    assert_eq!(joined(&deployment, 1).1.unwrap().evidence, Evidence::EqualHash);
    assert_eq!(joined(&deployment, 0), (FamilyId(id(members[0])), None));
    deployment.restore();
    assert_eq!(joined(&deployment, 2).1, Some(expected));
}

#[test]
fn a_member_that_a_better_link_moves_takes_its_figures_along() {
    let members = by_id(3);
    for sharing in [Sharing::All, Sharing::Coordinators] {
        let mut deployment = Deployment::new(config());
        for copy in 0..12u64 {
            deployment.see(Seen {
                sharing,
                ..seen(members[copy as usize % 3], copy, copy as i64 * 1_000)
            });
        }
        let scope = Class::Coordinators;
        let mut joins = |family: u8, at| {
            for class in [Class::All, scope] {
                let link = Link {
                    at: Timestamp(START + at),
                    ..link(members[2], family, class)
                };
                deployment.apply(link.content.group(), Input::Link(&link));
                deployment.tick(at + 300);
                deployment.tick(at + 900);
            }
            [0, 1].map(|founder| {
                let family = FamilyId(id(members[founder]));
                let home = deployment.group(family.home());
                home.records(family, scope)
                    .iter()
                    .map(|record| record.content())
                    .collect::<BTreeSet<_>>()
                    .len()
            })
        };
        assert_eq!(joins(members[1], 20_000), [1, 2], "{sharing:?}");
        assert_eq!(joins(members[0], 40_000), [2, 1], "{sharing:?}");
        let in_homes = deployment
            .groups
            .values()
            .map(|group| group.families.remote_members(scope))
            .sum::<usize>();
        assert!(in_homes <= 2, "what is left says that it is gone: {in_homes}");
    }
}

/// Three families become one in two steps, each in other groups; then one of them is parted with all that came by it.
#[test]
fn a_family_is_parted_from_the_one_it_joined_with_all_that_came_by_it() {
    let members = by_id(6);
    for (parted, expected) in [
        (2, [0, 0, 2, 2, 2, 0]),
        (1, [0, 1, 1, 1, 1, 0]),
        // What never founded a family has nobody to take along.
        (5, [0, 0, 0, 0, 0, 5]),
    ] {
        let mut deployment = Deployment::new(config());
        let mut at = 0;
        let mut see = |deployment: &mut Deployment| {
            for member in &members {
                for copy in 0..3 {
                    at += 100;
                    deployment.see(seen(*member, (at + copy) as u64, at));
                }
                deployment.tick(at + 50);
            }
            at += 1_000;
            deployment.tick(at);
            deployment.restore();
        };
        let say = |deployment: &mut Deployment, content: usize, family: usize, evidence| {
            let link = Link {
                evidence,
                ..link(members[content], members[family], Class::All)
            };
            // Said twice is said once.
            for _ in 0..2 {
                deployment.apply(link.content.group(), Input::Link(&link));
            }
        };
        let families = |deployment: &mut Deployment| {
            let of = std::array::from_fn::<usize, 6, _>(|member| {
                let family = deployment.record(members[member], Class::All).unwrap().family();
                members.iter().position(|member| id(*member) == family.0).unwrap()
            });
            for (founder, content) in members.iter().enumerate() {
                let family = FamilyId(id(*content));
                let counted = deployment.group(family.home()).records(family, Class::All).len();
                let truly = of.iter().filter(|of| **of == founder).count();
                assert_eq!(counted, truly, "what the home of {founder} counts, of {of:?}");
            }
            of
        };
        see(&mut deployment);
        for (content, family) in [(3, 2), (4, 2), (2, 1), (5, 0), (1, 0)] {
            say(&mut deployment, content, family, Evidence::EqualHash);
            see(&mut deployment);
        }
        assert_eq!(families(&mut deployment), [0; 6]);
        say(&mut deployment, parted, parted, Evidence::FamilyParted);
        see(&mut deployment);
        assert_eq!(families(&mut deployment), expected, "{parted} is parted");
        say(&mut deployment, parted, 0, Evidence::EqualHash);
        say(&mut deployment, parted, 0, Evidence::FounderLinked);
        see(&mut deployment);
        assert_eq!(families(&mut deployment), expected, "a person's word stays");
        say(&mut deployment, parted, 0, Evidence::Moderator);
        see(&mut deployment);
        assert_eq!(families(&mut deployment), [0; 6], "until a person puts it back");
        say(&mut deployment, parted, parted, Evidence::FamilyParted);
        see(&mut deployment);
        assert_eq!(families(&mut deployment), expected, "and parts it again");
    }
}

#[test]
fn of_two_families_that_were_raised_at_once_each_brings_its_own_episode() {
    const MINUTE: i64 = 60_000;
    let members = by_id(3);
    let own = FamilyId(id(members[0]));
    let mut deployment = Deployment::new(config());
    let mut account = 0;
    let mut copies = |deployment: &mut Deployment, of: &[u8], at: i64| {
        for content in of {
            account += 1;
            deployment.see(seen(*content, account, at));
        }
    };
    for copy in 0..40 {
        copies(&mut deployment, &members[1..], copy * 1_000);
    }
    copies(&mut deployment, &members[..1], 40_000);
    deployment.tick(41_000);
    let raised: Vec<_> = deployment.alerts.iter().map(|alert| (alert.level, alert.at)).collect();
    assert_eq!(raised.len(), 2);
    assert_eq!(raised[0], raised[1], "at once");
    let join = |deployment: &mut Deployment, content: u8| {
        let link = link(content, members[0], Class::All);
        deployment.apply(link.content.group(), Input::Link(&link));
    };
    join(&mut deployment, members[1]);
    // The other one goes on.
    for minute in 1..90 {
        for copy in 0..4 {
            copies(&mut deployment, &members[2..], minute * MINUTE + copy * 100);
        }
        deployment.tick(minute * MINUTE + 30_000);
    }
    join(&mut deployment, members[2]);
    let alerts = deployment.alerts.iter().filter(|alert| alert.family == own);
    let mut levels: Vec<AlertLevel> = alerts.map(|alert| alert.level).collect();
    levels.dedup();
    use AlertLevel::*;
    assert_eq!(levels, [Sustained, Subsided, Sustained]);
}

#[test]
fn a_person_takes_a_content_out_of_its_family_and_puts_it_back() {
    let members = by_id(3);
    let mut deployment = Deployment::new(config());
    for copy in 0..12u64 {
        deployment.see(seen(members[copy as usize % 3], copy, copy as i64 * 1_000));
    }
    let mut at = 20_000;
    let mut say = |deployment: &mut Deployment, content: usize, family: usize, evidence| {
        at += 10_000;
        let link = Link {
            evidence,
            at: Timestamp(START + at),
            ..link(members[content], members[family], Class::All)
        };
        // Said twice is said once.
        for _ in 0..2 {
            deployment.apply(link.content.group(), Input::Link(&link));
        }
        deployment.tick(at + 300);
        deployment.tick(at + 900);
        deployment.restore();
    };
    let families = |deployment: &mut Deployment| {
        let of = [0, 1, 2].map(|member| deployment.record(members[member], Class::All).unwrap().family());
        let counted = [0, 1].map(|founder| {
            let family = FamilyId(id(members[founder]));
            deployment.group(family.home()).records(family, Class::All).len()
        });
        let founder_of = |family: FamilyId| members.iter().position(|member| id(*member) == family.0).unwrap();
        (of.map(founder_of), counted)
    };
    say(&mut deployment, 2, 1, Evidence::EqualHash);
    assert_eq!(families(&mut deployment), ([0, 1, 1], [1, 2]));
    say(&mut deployment, 2, 2, Evidence::Moderator);
    assert_eq!(families(&mut deployment), ([0, 1, 2], [1, 1]));
    for evidence in [
        Evidence::EqualHash,
        Evidence::PartyLink,
        Evidence::PdqDistance(1),
        Evidence::FounderLinked,
    ] {
        say(&mut deployment, 2, 1, evidence);
        assert_eq!(families(&mut deployment), ([0, 1, 2], [1, 1]), "{evidence:?}");
    }
    say(&mut deployment, 2, 1, Evidence::Moderator);
    assert_eq!(families(&mut deployment), ([0, 1, 1], [1, 2]), "taken back");
    // Where a person put it, it stays, and follows the family.
    say(&mut deployment, 2, 0, Evidence::EqualHash);
    assert_eq!(families(&mut deployment), ([0, 1, 1], [1, 2]));
    say(&mut deployment, 1, 0, Evidence::EqualHash);
    assert_eq!(families(&mut deployment), ([0, 0, 0], [3, 0]));
    say(&mut deployment, 2, 1, Evidence::Moderator);
    assert_eq!(families(&mut deployment), ([0, 0, 0], [3, 0]), "it is in a lower one");
    // A founder that is alone may be told to stay so.
    say(&mut deployment, 0, 0, Evidence::Moderator);
    assert_eq!(families(&mut deployment), ([0, 0, 0], [3, 0]));
}
