//! Goal: how far an Ozone was read never goes back, an event counts once, and what was reported is told of every decision once it is out.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../fixture/mod.rs"]
mod fixture;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use fixture::{Commands as _, Fixture, LEASE, n, on_both};
use tocsin_casework::{By, CaseId, Command, Ruling, Team};
use tocsin_model::{Algorithm, ContentHash, ContentId, DecisionId, FamilyId, KeyId, Milliseconds, Timestamp, Verdict};
use tocsin_store::{
    Delivery, DeliveryEvent, DeliveryOutcome, EndpointKind, KeySubject, NewEndpoint, OzoneRecord, OzoneReport,
    OzoneSubject, ReportTaken, ReportedBlob, ReportedFamily, Role, Roles, SUBJECTS_PER_CASE_MAX,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_is_known_until_it_is_not_read_again() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        endpoint(f, Team::Party(alpha.id), ("ozone", &[])).await;
        endpoint(f, Team::Party(alpha.id), ("other", &[])).await;
        let (store, ozone, other) = (&f.store, n("ozone"), n("other"));
        let since = Timestamp(7);
        assert_eq!(store.ozone_position(&ozone, since).await.unwrap(), (since, since));
        for (told, stands) in [(100, 100), (90, 100), (120, 120)] {
            store
                .note_ozone_position((&ozone, TARGET), Timestamp(told))
                .await
                .unwrap();
            let position = store.ozone_position(&ozone, since).await.unwrap();
            assert_eq!(position, (Timestamp(stands), since));
        }
        assert_eq!(store.ozone_position(&other, since).await.unwrap(), (since, since));

        for outcome in ["decided", "refused"] {
            store
                .note_ozone_event((&ozone, TARGET), (5, Some(Timestamp(110))), outcome)
                .await
                .unwrap();
        }
        let known = |endpoint, events: &'static [i64]| store.ozone_events_known(endpoint, events);
        assert_eq!(known(&ozone, &[4, 5, 6]).await.unwrap(), BTreeSet::from([5]));
        assert_eq!(known(&other, &[5]).await.unwrap(), BTreeSet::new());
        assert_eq!(known(&ozone, &[]).await.unwrap(), BTreeSet::new());
        store
            .note_ozone_event((&ozone, TARGET), (6, Some(Timestamp(120))), "stands")
            .await
            .unwrap();
        store
            .note_ozone_event((&ozone, TARGET), (7, None), "malformed")
            .await
            .unwrap();
        // Of an Ozone in which nothing happens the last events are read again for as long as that lasts.
        let overlap = Milliseconds(10);
        f.clock.advance(Milliseconds::from_hours(31 * 24 + 1));
        assert_eq!(store.forget_ozone_events(overlap).await.unwrap(), 0);
        assert_eq!(known(&ozone, &[5, 6, 7]).await.unwrap(), BTreeSet::from([5, 6, 7]));
        store
            .note_ozone_position((&ozone, TARGET), Timestamp(121))
            .await
            .unwrap();
        store
            .note_ozone_event((&other, TARGET), (5, Some(Timestamp(0))), "decided")
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

const TARGET: &str = "https://ozone.example";

async fn endpoint(f: &Fixture, team: Team, (name, further): (&str, &[(&str, &str)])) {
    let settings = [("subject", "did:plc:a"), ("created_by", "did:plc:b")];
    let endpoint = NewEndpoint {
        name: n(name),
        team,
        kind: EndpointKind::Ozone,
        target: TARGET.to_owned(),
        settings: settings
            .iter()
            .chain(further)
            .map(|(name, text)| (name.to_string(), text.to_string()))
            .collect(),
        secret: "pass".to_owned(),
    };
    f.store.add_endpoint(&endpoint).await.unwrap();
}

async fn ozone(f: &Fixture, team: Team) {
    endpoint(f, team, ("ozone", &[("reports", "open")])).await;
}

fn subject(number: u32) -> OzoneSubject {
    OzoneSubject {
        uri: format!("at://did:plc:author/app.bsky.feed.post/{number}"),
        cid: "bafyreia".to_owned(),
        blobs: vec!["bafkreia".to_owned()],
    }
}

/// A family and what shows it, by a CID that follows from the content.
fn shown(family: u128, content: u128) -> ReportedFamily {
    ReportedFamily {
        family: FamilyId(ContentId(family)),
        hash: Some(ContentHash::from_bytes(Algorithm::Sha256, [family.to_be_bytes(); 2].concat(), None).unwrap()),
        blobs: vec![ReportedBlob {
            cid: if content == family {
                "bafkreia".to_owned()
            } else {
                format!("bafkrei{content}")
            },
            content: ContentId(content),
        }],
    }
}

async fn report_of(f: &Fixture, team: Team, event: i64, (post, families): (u32, Vec<ReportedFamily>)) -> ReportTaken {
    let OzoneSubject { uri, cid, .. } = subject(post);
    let report = OzoneReport {
        team,
        endpoint: (&n("ozone"), TARGET),
        event: (event, None),
        families,
        subject: Some(OzoneRecord { uri, cid }),
        note: "reasonViolation",
    };
    f.store.take_ozone_report(&report).await.unwrap()
}

async fn report(f: &Fixture, team: Team, (event, family): (i64, u128)) -> ReportTaken {
    report_of(f, team, event, (event as u32, vec![shown(family, family)])).await
}

async fn opened(f: &Fixture, team: Team, (event, family): (i64, u128)) -> CaseId {
    match report(f, team, (event, family)).await {
        ReportTaken::Opened(cases) => cases[0].0.id,
        other => panic!("{other:?}"),
    }
}

/// Decides, to be taken back for five seconds where it is `held`.
async fn decide(f: &Fixture, (team, case, key): (Team, CaseId, KeyId), id: u128, ruling: Ruling, held: bool) -> By {
    let (claimed, _) = f.store.claim(team, case, key, LEASE).await.unwrap();
    let command = Command::Decide {
        id: DecisionId(id),
        ruling,
        undo_for: Milliseconds::from_seconds(if held { 5 } else { 0 }),
    };
    let by = By {
        who: key,
        fencing: claimed.fencing,
        version: None,
    };
    f.store.command(team, case, by, &command).await.unwrap();
    by
}

/// The decision and the number of the post of each, in order.
fn posts(told: &[Delivery]) -> BTreeSet<(u128, u32)> {
    let of = |delivery: &Delivery| match &delivery.event {
        DeliveryEvent::Reported(event) => {
            let number = event.subject.uri.rsplit('/').next().unwrap().parse().unwrap();
            Some((event.told.decision.id.0, number))
        }
        DeliveryEvent::Decision(_) => None,
        other => panic!("{other:?}"),
    };
    told.iter().filter_map(of).collect()
}

async fn all_fail(f: &Fixture, told: &[Delivery]) {
    let retry = || DeliveryOutcome::Retry {
        after: Milliseconds::from_hours(1),
        reason: "status_503".to_owned(),
    };
    let settled: Vec<_> = told.iter().map(|delivery| (delivery, retry())).collect();
    f.store.settle_deliveries(&settled).await.unwrap();
}

/// What goes out now, and arrives.
async fn delivered(f: &Fixture) -> Vec<Delivery> {
    let told = told(f).await;
    all_arrive(f, &told).await;
    told
}

async fn all_arrive(f: &Fixture, told: &[Delivery]) {
    let settled: Vec<_> = told
        .iter()
        .map(|delivery| (delivery, DeliveryOutcome::Delivered))
        .collect();
    f.store.settle_deliveries(&settled).await.unwrap();
}

async fn told(f: &Fixture) -> Vec<Delivery> {
    f.store.take_deliveries(&n("ozone"), 1_000, LEASE).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_taken_once_and_what_was_reported_is_told_of_decisions_that_are_out() {
    // On the heap: it holds many cases.
    on_both(async |f| Box::pin(taken_once(f)).await).await;
}

async fn taken_once(f: &Fixture) {
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
        endpoint: (&n("ozone"), TARGET),
        event: (4, None),
        families: vec![ReportedFamily {
            family: FamilyId(ContentId(9)),
            hash: None,
            blobs: Vec::new(),
        }],
        subject: None,
        note: "",
    };
    assert!(matches!(
        f.store.take_ozone_report(&none).await.unwrap(),
        ReportTaken::NoCase
    ));

    // A decision that is taken back was told to nobody; of one that can be, nobody is told before it is out.
    let decide = async |id| decide(f, (team, case, key), id, Ruling::of(Verdict::Violating, ""), true).await;
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

    for event in 10..(9 + SUBJECTS_PER_CASE_MAX as i64) {
        assert!(matches!(report(f, team, (event, 8)).await, ReportTaken::Joined(_)));
    }
    assert!(matches!(report(f, team, (100, 8)).await, ReportTaken::TooMany));
    let again = report_of(f, team, 101, (10, vec![shown(8, 8)])).await;
    assert!(
        matches!(again, ReportTaken::Joined(_)),
        "it is one of those that are kept"
    );
    let other = f.store.best(team, key, LEASE).await.unwrap().unwrap().0;
    assert_ne!(other.id, case);
    f.store
        .decide(team, other.id, (key, other.fencing), (Verdict::Benign, ""))
        .await
        .unwrap();
    assert_eq!(told(f).await.len(), SUBJECTS_PER_CASE_MAX, "no more than are kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_changed_and_keeps_its_secret() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        ozone(f, Team::Party(alpha.id)).await;
        let name = n("ozone");
        let find = async || f.store.endpoints().await.unwrap().remove(0);
        let before = find().await;
        f.store
            .note_ozone_position((&name, TARGET), Timestamp(7))
            .await
            .unwrap();
        let note = async |target, event| {
            let noted = f.store.note_ozone_event((&name, target), (event, None), "decided");
            noted.await.unwrap();
        };
        note(TARGET, 1).await;
        let mut settings = before.settings.clone();
        settings.insert("tell_benign".to_owned(), "nothing".to_owned());
        f.store
            .change_endpoint(&name, (&before.target, &settings))
            .await
            .unwrap();
        let changed = find().await;
        assert_eq!((&changed.settings, &changed.secrets), (&settings, &before.secrets));
        let position = async || f.store.ozone_position(&name, Timestamp(0)).await.unwrap();
        assert_eq!(position().await, (Timestamp(7), Timestamp(0)));

        // Another Ozone has other events under the same numbers.
        f.store
            .change_endpoint(&name, ("https://other.example", &settings))
            .await
            .unwrap();
        assert_eq!(find().await.target, "https://other.example");
        assert!(f.store.ozone_events_known(&name, &[1]).await.unwrap().is_empty());
        assert_eq!(position().await, (fixture::START, fixture::START));

        // A read of the former one that is under way says nothing of this one.
        note(TARGET, 2).await;
        let later = fixture::START + Milliseconds::from_hours(1);
        f.store.note_ozone_position((&name, TARGET), later).await.unwrap();
        let late = report(f, Team::Party(alpha.id), (3, 7)).await;
        assert!(matches!(late, ReportTaken::Known), "{late:?}");
        assert!(f.store.ozone_events_known(&name, &[2, 3]).await.unwrap().is_empty());
        assert_eq!(position().await, (fixture::START, fixture::START));

        // Where nothing was taken, what happened until then is not taken either.
        let quiet = BTreeMap::from([("reports".to_owned(), "nothing".to_owned())]);
        let changed = f.store.change_endpoint(&name, ("https://other.example", &quiet)).await;
        changed.unwrap();
        f.clock.advance(Milliseconds::from_hours(2));
        let now = fixture::START + Milliseconds::from_hours(2);
        let changed = f.store.change_endpoint(&name, ("https://other.example", &settings));
        changed.await.unwrap();
        assert_eq!(position().await, (now, now));
        let unknown = f.store.change_endpoint(&n("other"), ("x", &settings)).await;
        assert!(
            matches!(unknown, Err(tocsin_store::StoreError::NoSuchEndpoint { .. })),
            "{unknown:?}"
        );
    })
    .await;
}
