//! Goal: every member of a decided family is told of the decision that stands, once, also if it comes later or goes elsewhere; what is excepted, held
//! or disputed is told to nobody; a party's decision is its opinion.

use std::collections::BTreeMap;

use tocsin_casework::{CaseId, CaseState, Command, FamilyMember, Ruling, Team};
use tocsin_model::{
    Aggregate, AlertLevel, Algorithm, ContentHash, ContentId, DecisionId, FamilyId, Grounds, Milliseconds, Timestamp,
    Verdict,
};
use tocsin_store::{
    Carried, DeliveryEvent, EndpointKind, FamilySaid, FannedOut, MEMBERS_PER_EVENT_MAX, NewEndpoint, Store,
};

use crate::fixture::{COORDINATORS, Commands as _, Fixture, LEASE, alert, n, on_both};
use crate::{ANNA, queue, refusal};

const ONE: FamilyId = FamilyId(ContentId(1));

fn hash(number: u128) -> ContentHash {
    let mut value = vec![3; 32];
    value[..16].copy_from_slice(&number.to_be_bytes());
    ContentHash::from_bytes(Algorithm::Sha256, value, None).unwrap()
}

fn member(number: u128, said_at: i64) -> FamilyMember {
    FamilyMember {
        content: ContentId(number),
        hash: hash(number),
        said_at: Timestamp(said_at),
        is_for_all: !number.is_multiple_of(2),
    }
}

fn members(numbers: std::ops::Range<u128>) -> Vec<FamilyMember> {
    numbers.map(|number| member(number, 5)).collect()
}

async fn case_of(f: &Fixture, team: Team, family: u128) -> CaseId {
    let scope = team.scope();
    f.store
        .apply_alert(&alert(family, scope, AlertLevel::Raised, 1))
        .await
        .unwrap();
    let open = queue(&f.store, team, CaseState::Open).await;
    open.iter().find(|case| case.family.0.0 == family).unwrap().id
}

async fn decide(f: &Fixture, (team, case): (Team, CaseId), ruling: Ruling, undo_ms: i64) -> DecisionId {
    let (held, _) = f.store.claim(team, case, ANNA, LEASE).await.unwrap();
    let id = DecisionId(rand::random());
    let command = Command::Decide {
        id,
        ruling,
        undo_for: Milliseconds(undo_ms),
    };
    let by = tocsin_casework::By {
        who: ANNA,
        fencing: held.fencing,
        version: None,
    };
    f.store.command(team, case, by, &command).await.unwrap();
    id
}

async fn told(store: &Store, team: Team, numbers: std::ops::Range<u128>) -> BTreeMap<u128, DecisionId> {
    let contents: Vec<ContentId> = numbers.map(ContentId).collect();
    let told = store.member_decisions(team, &contents).await.unwrap();
    told.into_iter()
        .map(|(content, decision)| (content.0, decision))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_told_once_and_those_that_come_later_too() {
    on_both(async |f| {
        let endpoint = NewEndpoint {
            name: n("desk"),
            team: COORDINATORS,
            kind: EndpointKind::Webhook,
            target: "https://example.org/hook".to_owned(),
            settings: BTreeMap::default(),
            secret: "whsec_x".to_owned(),
        };
        f.store.add_endpoint(&endpoint).await.unwrap();
        let case = case_of(f, COORDINATORS, 1).await;
        let all = members(2..602);
        assert_eq!(
            f.store.fan_out((COORDINATORS, ONE), &all).await.unwrap(),
            FannedOut::Told(0)
        );
        let ruling = Ruling {
            grounds: Grounds {
                exceptions: vec![ContentId(7)],
                ..Grounds::default()
            },
            ..Ruling::of(Verdict::Violating, "why")
        };
        let decision = decide(f, (COORDINATORS, case), ruling, 0).await;
        let due = f.store.due_fans(10).await.unwrap();
        assert_eq!(
            due.iter()
                .map(|due| (due.decision, due.team, due.family))
                .collect::<Vec<_>>(),
            [(decision, COORDINATORS, ONE)]
        );
        assert_eq!(
            f.store.fan_out((COORDINATORS, ONE), &all).await.unwrap(),
            FannedOut::Told(599)
        );
        assert_eq!(
            f.store.fan_out((COORDINATORS, ONE), &all).await.unwrap(),
            FannedOut::Told(0),
            "once"
        );
        f.store.fan_done(decision).await.unwrap();
        assert_eq!(f.store.due_fans(10).await.unwrap(), []);
        let later = members(600..605);
        assert_eq!(
            f.store.fan_out((COORDINATORS, ONE), &later).await.unwrap(),
            FannedOut::Told(3)
        );
        let known = told(&f.store, COORDINATORS, 1..700).await;
        assert_eq!(known.len(), 602);
        assert!(!known.contains_key(&7) && known.values().all(|of| *of == decision));
        assert_eq!(f.store.members_told(decision).await.unwrap(), 602);
        let contents = f.store.case_contents(COORDINATORS, case, 1_000).await.unwrap();
        assert_eq!((contents.told.len(), contents.excepted), (602, [ContentId(7)].into()));

        // The decision itself, then three events of members and one of those that came later.
        let taken = f.store.take_deliveries(&n("desk"), 10, LEASE).await.unwrap();
        let mut events = Vec::new();
        for delivery in &taken {
            match &delivery.event {
                DeliveryEvent::Members(event) => {
                    assert_eq!(event.told.decision.id, decision);
                    assert!(event.members.iter().all(|(content, told)| *told == hash(content.0)));
                    events.push(event.members.len());
                }
                DeliveryEvent::Decision(told) => assert_eq!(told.decision.id, decision),
                DeliveryEvent::Alert(_)
                | DeliveryEvent::Appeal(_)
                | DeliveryEvent::Incident(_)
                | DeliveryEvent::Unconfirmed(_)
                | DeliveryEvent::Reported(_)
                | DeliveryEvent::Notice(_) => {}
            }
        }
        events.sort_unstable();
        assert_eq!(
            events,
            [
                3,
                599 - 2 * MEMBERS_PER_EVENT_MAX,
                MEMBERS_PER_EVENT_MAX,
                MEMBERS_PER_EVENT_MAX
            ]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_decision_reaches_all_again_and_what_is_held_nobody() {
    on_both(async |f| {
        let case = case_of(f, COORDINATORS, 1).await;
        let key = (COORDINATORS, case);
        let all = members(2..6);
        let first = decide(f, key, Ruling::of(Verdict::Violating, ""), 0).await;
        f.store.fan_out((COORDINATORS, ONE), &all).await.unwrap();
        f.store.fan_done(first).await.unwrap();
        // Held: the one before stands, for those that come too.
        let second = decide(f, key, Ruling::of(Verdict::Benign, ""), 5_000).await;
        assert_eq!(f.store.due_fans(10).await.unwrap(), []);
        assert_eq!(
            f.store.fan_out((COORDINATORS, ONE), &[member(9, 6)]).await.unwrap(),
            FannedOut::Told(1)
        );
        assert_eq!(told(&f.store, COORDINATORS, 9..10).await[&9], first);
        f.clock.advance(Milliseconds(5_000));
        assert_eq!(f.store.due_fans(10).await.unwrap().len(), 1);
        assert_eq!(
            f.store.fan_out((COORDINATORS, ONE), &all).await.unwrap(),
            FannedOut::Told(4)
        );
        assert!(
            told(&f.store, COORDINATORS, 2..6)
                .await
                .values()
                .all(|of| *of == second)
        );

        // Taken back: never told.
        let third = decide(f, key, Ruling::of(Verdict::Violating, ""), 5_000).await;
        let withdraw = Command::Withdraw {
            decision: third,
            length: LEASE,
        };
        f.store.command_as(case, (ANNA, 0), withdraw).await.unwrap();
        f.clock.advance(Milliseconds(5_000));
        f.store.fan_done(second).await.unwrap();
        assert_eq!(f.store.due_fans(10).await.unwrap(), []);
        assert_eq!(
            f.store.fan_out((COORDINATORS, ONE), &all).await.unwrap(),
            FannedOut::Told(0)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_goes_by_the_family_that_it_was_said_to_belong_to_last() {
    on_both(async |f| {
        let cases = [case_of(f, COORDINATORS, 1).await, case_of(f, COORDINATORS, 2).await];
        let two = FamilyId(ContentId(2));
        let first = decide(f, (COORDINATORS, cases[0]), Ruling::of(Verdict::Violating, ""), 0).await;
        let second = decide(f, (COORDINATORS, cases[1]), Ruling::of(Verdict::Benign, ""), 0).await;
        let tell = async |family, at| match f.store.fan_out((COORDINATORS, family), &[member(9, at)]).await.unwrap() {
            FannedOut::Told(count) => count,
            FannedOut::Later => panic!("nobody is at it"),
        };
        let last = async || told(&f.store, COORDINATORS, 9..10).await[&9];
        assert_eq!((tell(ONE, 5).await, last().await), (1, first));
        assert_eq!((tell(two, 6).await, last().await), (1, second));
        assert_eq!(
            (tell(ONE, 5).await, last().await),
            (0, second),
            "a dispatcher that is behind changes nothing"
        );
        assert_eq!((tell(ONE, 7).await, last().await), (1, first));

        // Merged and disputed: nobody is told anything until a person decides, and then all are.
        let said = FamilySaid {
            team: COORDINATORS,
            family: two,
            joined: ONE,
            at: Timestamp(8),
        };
        assert!(matches!(f.store.carry(&said).await.unwrap().0, Carried::Merged { .. }));
        assert_eq!(tell(ONE, 8).await, 0);
        let founder = f.store.founder(COORDINATORS, two).await.unwrap().unwrap();
        let third = decide(f, (COORDINATORS, cases[0]), Ruling::of(Verdict::Violating, "again"), 0).await;
        // By way of the family that joined, too.
        let fanned = f
            .store
            .fan_out((COORDINATORS, two), &[member(9, 9), founder])
            .await
            .unwrap();
        assert_eq!(fanned, FannedOut::Told(2));
        assert_eq!(
            (last().await, told(&f.store, COORDINATORS, 2..3).await[&2]),
            (third, third)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partys_decision_is_its_opinion_of_what_everybody_may_see_and_another_changes_it() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        let team = Team::Party(alpha.id);
        let case = case_of(f, team, 1).await;
        let all = members(2..6);
        let opinions = async |numbers: std::ops::Range<u128>| {
            let hashes: Vec<ContentHash> = numbers.map(hash).collect();
            f.store.opinions_of(&hashes).await.unwrap()
        };
        decide(f, (team, case), Ruling::of(Verdict::Violating, ""), 0).await;
        f.store.fan_out((team, ONE), &all).await.unwrap();
        let (positive, negative) = (Some(Aggregate::Positive), Some(Aggregate::Negative));
        assert_eq!(
            opinions(2..6).await,
            [None, positive, None, positive],
            "even ones are for the party alone"
        );
        decide(f, (team, case), Ruling::of(Verdict::Benign, ""), 0).await;
        f.store.fan_out((team, ONE), &all).await.unwrap();
        assert_eq!(opinions(3..4).await, [negative]);
        decide(f, (team, case), Ruling::of(Verdict::Newsworthy, ""), 0).await;
        f.store.fan_out((team, ONE), &all).await.unwrap();
        assert_eq!(opinions(3..4).await, [None], "taken back");
        let other = f.store.claim(COORDINATORS, case, ANNA, LEASE).await;
        assert_eq!(refusal(other), tocsin_casework::Refusal::NoSuchCase);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_dispatchers_tell_each_member_once() {
    on_both(async |f| {
        let case = case_of(f, COORDINATORS, 1).await;
        decide(f, (COORDINATORS, case), Ruling::of(Verdict::Violating, ""), 0).await;
        let another = f.another().await;
        let tasks = [f.store.clone(), another.clone(), f.store.clone()].map(|store| {
            tokio::spawn(async move {
                let mut count = 0;
                for chunk in members(2..302).chunks(50) {
                    loop {
                        match store.fan_out((COORDINATORS, ONE), chunk).await.unwrap() {
                            FannedOut::Told(told) => break count += told,
                            FannedOut::Later => tokio::task::yield_now().await,
                        }
                    }
                }
                count
            })
        });
        let mut count = 0;
        for task in tasks {
            count += task.await.unwrap();
        }
        assert_eq!(count, 300);
        another.close().await;
    })
    .await;
}
