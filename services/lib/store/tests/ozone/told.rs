//! Goal: what was reported is told of the latest decision about what it shows, in whatever order deliveries end, and goes where its family goes.

use std::collections::BTreeSet;

use tocsin_casework::{Command, Ruling, Team};
use tocsin_model::{ContentId, DecisionId, FamilyId, Milliseconds, Verdict};
use tocsin_store::{Carried, Delivery, DeliveryEvent, FamilySaid, REPORTED_CASES_MAX, Replay, ReportTaken};

use crate::fixture::{self, Fixture, LEASE, n, on_both};
use crate::{all_arrive, all_fail, decide, delivered, endpoint, opened, ozone, posts, report, report_of, shown, told};

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_decision_never_lands_behind_the_one_that_overturned_it() {
    on_both(async |f| {
        let (alpha, key, _) = f.party("alpha").await;
        let team = Team::Party(alpha.id);
        let settings = [("reports", "open"), ("collection", "org.example.family")];
        endpoint(f, team, ("ozone", &settings)).await;
        let case = (team, opened(f, team, (1, 7)).await, key);
        let ruling = |verdict| Ruling::of(verdict, "");
        let ids = |told: &[Delivery]| -> Vec<u128> {
            let of = |delivery: &Delivery| match &delivery.event {
                DeliveryEvent::Reported(event) => event.told.decision.id.0,
                DeliveryEvent::Decision(told) => told.decision.id.0,
                other => panic!("{other:?}"),
            };
            told.iter().map(of).collect()
        };
        decide(f, case, 71, ruling(Verdict::Violating), false).await;
        let first = told(f).await;
        assert_eq!(ids(&first), [71, 71], "the record of the family and the post");
        all_fail(f, &first).await;

        // One that is taken back leaves what was told before as it was.
        let by = decide(f, case, 72, ruling(Verdict::Benign), true).await;
        f.clock.advance(Milliseconds::from_hours(1));
        let withdraw = Command::Withdraw {
            decision: DecisionId(72),
            length: LEASE,
        };
        assert!(f.store.command(team, case.1, by, &withdraw).await.is_err(), "it is out");
        let overturned = told(f).await;
        assert_eq!(ids(&overturned), [72, 72]);
        all_fail(f, &first).await;
        all_arrive(f, &overturned).await;
        f.clock.advance(Milliseconds::from_hours(24));
        assert_eq!(told(f).await, [], "what it overturned does not land behind it");
        let replay = async |which| f.store.replay_deliveries(&n("ozone"), &which).await.unwrap();
        assert_eq!(replay(Replay::Dead).await, 0);
        assert_eq!(replay(Replay::One(first[0].id.clone())).await, 0);
        assert_eq!(replay(Replay::Since(fixture::START)).await, 2);
        let again = told(f).await;
        assert_eq!(ids(&again), [72, 72]);
        all_fail(f, &again).await;

        let by = decide(f, case, 73, ruling(Verdict::Violating), true).await;
        let withdraw = Command::Withdraw {
            decision: DecisionId(73),
            length: LEASE,
        };
        f.store.command(team, case.1, by, &withdraw).await.unwrap();
        assert_eq!(ids(&told(f).await), [72, 72], "it stands");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_excepted_is_not_told_and_what_violates_elsewhere_is_not_undone() {
    on_both(async |f| {
        let (alpha, key, _) = f.party("alpha").await;
        let team = Team::Party(alpha.id);
        ozone(f, team).await;
        let seven = opened(f, team, (1, 7)).await;
        let both = vec![shown(7, 7), shown(7, 17)];
        report_of(f, team, 2, (2, both)).await;
        let mut ruling = Ruling::of(Verdict::Violating, "");
        ruling.grounds.exceptions = vec![ContentId(7)];
        decide(f, (team, seven, key), 71, ruling, false).await;
        let first = delivered(f).await;
        assert_eq!(posts(&first), BTreeSet::from([(71, 2)]), "the first shows nothing else");
        let DeliveryEvent::Reported(event) = &first[0].event else {
            panic!("{first:?}");
        };
        assert_eq!(event.subject.blobs, ["bafkrei17"]);
        assert!(!event.violates_elsewhere);

        // The second post shows another family, too.
        let ReportTaken::Opened(cases) = report_of(f, team, 3, (2, vec![shown(8, 8)])).await else {
            panic!("no case was opened");
        };
        let eight = cases[0].0.id;
        let decide_as = async |case, id, verdict| {
            decide(f, (team, case, key), id, Ruling::of(verdict, ""), false).await;
            let told = delivered(f).await;
            let of = |delivery: &Delivery| match &delivery.event {
                DeliveryEvent::Reported(event) if event.subject.uri.ends_with("/2") => Some(event.violates_elsewhere),
                _ => None,
            };
            told.iter().filter_map(of).collect::<Vec<bool>>()
        };
        assert_eq!(decide_as(eight, 81, Verdict::Benign).await, [true]);
        assert_eq!(decide_as(seven, 72, Verdict::Benign).await, [false]);
        assert_eq!(decide_as(eight, 82, Verdict::Violating).await, [false]);
        assert_eq!(decide_as(seven, 73, Verdict::Newsworthy).await, [true]);
    })
    .await;
}

async fn carry(f: &Fixture, team: Team, (family, joined): (u128, u128), at: i64) -> Carried {
    let said = FamilySaid {
        team,
        family: FamilyId(ContentId(family)),
        joined: FamilyId(ContentId(joined)),
        at: fixture::START + Milliseconds(at),
    };
    f.store.carry(&said).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_reported_goes_where_its_family_goes() {
    on_both(async |f| {
        let (alpha, key, _) = f.party("alpha").await;
        let team = Team::Party(alpha.id);
        ozone(f, team).await;
        let seven = opened(f, team, (1, 7)).await;
        opened(f, team, (2, 8)).await;
        let decide_as = async |case, id, verdict| {
            decide(f, (team, case, key), id, Ruling::of(verdict, ""), false).await;
            posts(&delivered(f).await)
        };
        assert_eq!(
            decide_as(seven, 71, Verdict::Violating).await,
            BTreeSet::from([(71, 1)])
        );
        // It joins a family of which there is no case: what was decided is carried there.
        let carried = carry(f, team, (7, 9), 1).await;
        let Carried::Merged { cases, effects } = carried else {
            panic!("{carried:?}");
        };
        assert!(effects.carried.is_some());
        let (nine, copy) = (cases[1].id, cases[1].decision.as_ref().unwrap().id.0);
        assert_eq!(delivered(f).await, [], "it was told before");
        report(f, team, (3, 9)).await;
        report(f, team, (4, 7)).await;
        assert_eq!(
            posts(&delivered(f).await),
            BTreeSet::from([3, 4].map(|post| (copy, post)))
        );
        let all = [1, 3, 4].map(|post| (92, post));
        assert_eq!(decide_as(nine, 92, Verdict::Benign).await, BTreeSet::from(all));
        assert!(matches!(carry(f, team, (8, 9), 2).await, Carried::Merged { .. }));
        assert_eq!(
            posts(&delivered(f).await),
            BTreeSet::from([(92, 2)]),
            "of it nothing was decided"
        );

        assert!(matches!(carry(f, team, (7, 7), 3).await, Carried::Split(_)));
        let left = [2, 3].map(|post| (93, post));
        assert_eq!(decide_as(nine, 93, Verdict::Violating).await, BTreeSet::from(left));
        let parted = [1, 4].map(|post| (74, post));
        assert_eq!(decide_as(seven, 74, Verdict::Newsworthy).await, BTreeSet::from(parted));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_longer_waits_makes_room_for_reports() {
    // Of one database: a thousand cases take their time.
    fixture::on_sqlite(async |f| {
        let (alpha, key, _) = f.party("alpha").await;
        let team = Team::Party(alpha.id);
        ozone(f, team).await;
        let first = opened(f, team, (1, 1)).await;
        for number in 2..=REPORTED_CASES_MAX {
            opened(f, team, (number, number as u128)).await;
        }
        let mut next = REPORTED_CASES_MAX + 1;
        let mut is_full = async || {
            next += 1;
            matches!(report(f, team, (next, next as u128)).await, ReportTaken::TooMany)
        };
        assert!(is_full().await);
        assert!(matches!(carry(f, team, (2, 3), 1).await, Carried::Merged { .. }));
        assert!(!is_full().await, "what went into another case waits no more");
        assert!(is_full().await);
        decide(f, (team, first, key), 71, Ruling::of(Verdict::Benign, ""), false).await;
        assert!(!is_full().await);
        assert!(is_full().await);
    })
    .await;
}
