//! Goal: how far an Ozone was read never goes back, an event counts once, and what was reported is told of every decision once it is out.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod fixture;

use std::collections::BTreeSet;

use fixture::{Commands as _, Fixture, LEASE, n, on_both};
use tocsin_casework::{Command, Team};
use tocsin_model::{Algorithm, ContentHash, ContentId, DecisionId, FamilyId, KeyId, Milliseconds, Timestamp, Verdict};
use tocsin_store::{
    Delivery, DeliveryEvent, EndpointKind, KeySubject, NewEndpoint, OzoneReport, OzoneSubject, ReportTaken, Role,
    Roles, SUBJECTS_PER_CASE_MAX,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_is_known_until_it_is_not_read_again() {
    on_both(async |f| {
        let (store, ozone, other) = (&f.store, n("ozone"), n("other"));
        let since = Timestamp(7);
        assert_eq!(store.ozone_position(&ozone, since).await.unwrap(), since);
        for (told, stands) in [(100, 100), (90, 100), (120, 120)] {
            store.note_ozone_position(&ozone, Timestamp(told)).await.unwrap();
            assert_eq!(store.ozone_position(&ozone, since).await.unwrap(), Timestamp(stands));
        }
        assert_eq!(store.ozone_position(&other, since).await.unwrap(), since);

        for outcome in ["decided", "refused"] {
            store
                .note_ozone_event(&ozone, (5, Some(Timestamp(110))), outcome)
                .await
                .unwrap();
        }
        let known = |endpoint, events: &'static [i64]| store.ozone_events_known(endpoint, events);
        assert_eq!(known(&ozone, &[4, 5, 6]).await.unwrap(), BTreeSet::from([5]));
        assert_eq!(known(&other, &[5]).await.unwrap(), BTreeSet::new());
        assert_eq!(known(&ozone, &[]).await.unwrap(), BTreeSet::new());
        store
            .note_ozone_event(&ozone, (6, Some(Timestamp(120))), "stands")
            .await
            .unwrap();
        store.note_ozone_event(&ozone, (7, None), "malformed").await.unwrap();
        // Of an Ozone in which nothing happens the last events are read again for as long as that lasts.
        let overlap = Milliseconds(10);
        f.clock.advance(Milliseconds::from_hours(31 * 24 + 1));
        assert_eq!(store.forget_ozone_events(overlap).await.unwrap(), 0);
        assert_eq!(known(&ozone, &[5, 6, 7]).await.unwrap(), BTreeSet::from([5, 6, 7]));
        store.note_ozone_position(&ozone, Timestamp(121)).await.unwrap();
        store
            .note_ozone_event(&other, (5, Some(Timestamp(0))), "decided")
            .await
            .unwrap();
        assert_eq!(store.forget_ozone_events(overlap).await.unwrap(), 1);
        assert_eq!(known(&ozone, &[5, 6, 7]).await.unwrap(), BTreeSet::from([6, 7]));
        assert_eq!(
            known(&other, &[5]).await.unwrap(),
            BTreeSet::from([5]),
            "it was not read yet"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_moderator_of_the_team_may_decide_for_it() {
    on_both(async |f| {
        let (alpha, all, _) = f.party("alpha").await;
        let (beta, ..) = f.party("beta").await;
        let reads = Roles::of(&[Role::Reader]);
        let (reader, _) = f.store.issue_key(KeySubject::Party(alpha.id), reads).await.unwrap();
        let may = |key, party| f.store.is_moderator(key, Team::Party(party));
        assert!(may(all, alpha.id).await.unwrap());
        assert!(!may(all, beta.id).await.unwrap());
        assert!(!may(reader, alpha.id).await.unwrap());
        assert!(!may(KeyId(1), alpha.id).await.unwrap());
        f.store.revoke_key(all).await.unwrap();
        assert!(!may(all, alpha.id).await.unwrap());
    })
    .await;
}

async fn ozone(f: &Fixture, team: Team) {
    let endpoint = NewEndpoint {
        name: n("ozone"),
        team,
        kind: EndpointKind::Ozone,
        target: "https://ozone.example".to_owned(),
        settings: [
            ("subject", "did:plc:a"),
            ("created_by", "did:plc:b"),
            ("reports", "open"),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into(),
        secret: "pass".to_owned(),
    };
    f.store.add_endpoint(&endpoint).await.unwrap();
}

fn subject(number: u32) -> OzoneSubject {
    OzoneSubject {
        uri: format!("at://did:plc:author/app.bsky.feed.post/{number}"),
        cid: "bafyreia".to_owned(),
        blobs: vec!["bafkreia".to_owned()],
    }
}

async fn report(f: &Fixture, team: Team, (event, family): (i64, u128)) -> ReportTaken {
    let hash = ContentHash::from_bytes(Algorithm::Sha256, vec![family as u8; 32], None).unwrap();
    let report = OzoneReport {
        team,
        endpoint: &n("ozone"),
        event: (event, None),
        families: vec![(FamilyId(ContentId(family)), Some(hash))],
        subject: Some(subject(event as u32)),
        note: "reasonViolation",
    };
    f.store.take_ozone_report(&report).await.unwrap()
}

async fn told(f: &Fixture) -> Vec<Delivery> {
    f.store.take_deliveries(&n("ozone"), 1_000, LEASE).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_taken_once_and_what_was_reported_is_told_of_decisions_that_are_out() {
    on_both(async |f| {
        let (alpha, key, _) = f.party("alpha").await;
        let team = Team::Party(alpha.id);
        ozone(f, team).await;
        let ReportTaken::Opened(cases) = report(f, team, (1, 7)).await else {
            panic!("no case was opened");
        };
        let case = cases[0].0.id;
        assert!(matches!(report(f, team, (1, 7)).await, ReportTaken::Known));
        assert!(matches!(report(f, team, (2, 7)).await, ReportTaken::Joined(_)));
        assert!(matches!(report(f, team, (3, 8)).await, ReportTaken::Opened(_)));
        let none = OzoneReport {
            team,
            endpoint: &n("ozone"),
            event: (4, None),
            families: vec![(FamilyId(ContentId(9)), None)],
            subject: None,
            note: "",
        };
        assert!(matches!(
            f.store.take_ozone_report(&none).await.unwrap(),
            ReportTaken::NoCase
        ));

        // A decision that is taken back was told to nobody; of one that can be, nobody is told before it is out.
        let decide = async |id: u128| {
            let (claimed, _) = f.store.claim(team, case, key, LEASE).await.unwrap();
            let command = Command::Decide {
                id: DecisionId(id),
                ruling: tocsin_casework::Ruling::of(Verdict::Violating, ""),
                undo_for: Milliseconds::from_seconds(5),
            };
            let by = tocsin_casework::By {
                who: key,
                fencing: claimed.fencing,
                version: None,
            };
            f.store.command(team, case, by, &command).await.unwrap();
            by
        };
        let by = decide(70).await;
        let withdraw = Command::Withdraw {
            decision: DecisionId(70),
            length: LEASE,
        };
        f.store.command(team, case, by, &withdraw).await.unwrap();
        f.clock.advance(Milliseconds::from_seconds(6));
        assert_eq!(told(f).await, []);
        f.clock.advance(LEASE);
        decide(71).await;
        assert!(
            matches!(report(f, team, (5, 7)).await, ReportTaken::Joined(_)),
            "it is told with the others"
        );
        assert_eq!(told(f).await, []);
        f.clock.advance(Milliseconds::from_seconds(6));
        let of = |delivery: &Delivery| match &delivery.event {
            DeliveryEvent::Reported(event) => (event.told.decision.id, event.subject.clone()),
            other => panic!("{other:?}"),
        };
        let first: Vec<_> = told(f).await.iter().map(of).collect();
        let expected = [1, 2, 5].map(|number| (DecisionId(71), subject(number)));
        assert_eq!(BTreeSet::from_iter(first), BTreeSet::from(expected));
        assert!(matches!(report(f, team, (6, 7)).await, ReportTaken::Joined(_)));
        let later: Vec<_> = told(f).await.iter().map(of).collect();
        assert_eq!(later, [(DecisionId(71), subject(6))]);

        for event in 10..(10 + SUBJECTS_PER_CASE_MAX as i64) {
            report(f, team, (event, 8)).await;
        }
        let other = f.store.best(team, key, LEASE).await.unwrap().unwrap().0;
        assert_ne!(other.id, case);
        f.store
            .decide(team, other.id, (key, other.fencing), (Verdict::Benign, ""))
            .await
            .unwrap();
        assert_eq!(told(f).await.len(), SUBJECTS_PER_CASE_MAX, "no more than are kept");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_changed_and_keeps_its_secret() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        ozone(f, Team::Party(alpha.id)).await;
        let name = n("ozone");
        let find = async || f.store.endpoints().await.unwrap().remove(0);
        let before = find().await;
        f.store.note_ozone_position(&name, Timestamp(7)).await.unwrap();
        f.store.note_ozone_event(&name, (1, None), "decided").await.unwrap();
        let mut settings = before.settings.clone();
        settings.insert("tell_benign".to_owned(), "nothing".to_owned());
        f.store
            .change_endpoint(&name, (&before.target, &settings))
            .await
            .unwrap();
        let changed = find().await;
        assert_eq!((&changed.settings, &changed.secrets), (&settings, &before.secrets));
        assert_eq!(f.store.ozone_position(&name, Timestamp(0)).await.unwrap(), Timestamp(7));

        // Another Ozone has other events under the same numbers.
        f.store
            .change_endpoint(&name, ("https://other.example", &settings))
            .await
            .unwrap();
        assert_eq!(find().await.target, "https://other.example");
        assert!(f.store.ozone_events_known(&name, &[1]).await.unwrap().is_empty());
        assert_eq!(
            f.store.ozone_position(&name, Timestamp(0)).await.unwrap(),
            fixture::START
        );
        let unknown = f.store.change_endpoint(&n("other"), ("x", &settings)).await;
        assert!(
            matches!(unknown, Err(tocsin_store::StoreError::NoSuchEndpoint { .. })),
            "{unknown:?}"
        );
    })
    .await;
}
