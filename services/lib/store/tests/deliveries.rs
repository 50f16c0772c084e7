//! Goal: an alert or a decision becomes one delivery for each endpoint of those who may see it; one dispatcher at a time tries it, only the
//! latest try is believed, and what is given up can be replayed.
#![allow(clippy::unwrap_used, dead_code)]

mod fixture;

use std::collections::{BTreeMap, BTreeSet};

use fixture::{COORDINATORS, Commands as _, Fixture, LEASE, START, alert, n, on_both};
use tocsin_casework::Team;
use tocsin_model::{AlertLevel, Milliseconds, Scope, Timestamp, Verdict};
use tocsin_store::{
    Delivery, DeliveryCounts, DeliveryEvent, DeliveryOutcome, ENDPOINTS_MAX, EndpointKind, KeySubject, NewEndpoint,
    Replay, Roles, Store, StoreError,
};

const TRY: Milliseconds = Milliseconds::from_seconds(60);

fn endpoint(name: &str, team: Team, kind: EndpointKind) -> NewEndpoint {
    NewEndpoint {
        name: n(name),
        team,
        kind,
        target: format!("https://{name}.example/hook"),
        settings: BTreeMap::from([("policy".to_owned(), "7".to_owned())]),
        secret: format!("secret of {name}"),
    }
}

impl Fixture {
    async fn add(&self, name: &str, team: Team, kind: EndpointKind) {
        self.store.add_endpoint(&endpoint(name, team, kind)).await.unwrap();
    }

    async fn due(&self) -> Vec<String> {
        let due = self.store.endpoints_due().await.unwrap();
        due.iter().map(|endpoint| endpoint.name.to_string()).collect()
    }
}

async fn take(store: &Store, name: &str) -> Vec<Delivery> {
    store.take_deliveries(&n(name), 10, TRY).await.unwrap()
}

async fn settle(store: &Store, delivery: &Delivery, outcome: DeliveryOutcome) {
    store.settle_deliveries(&[(delivery, outcome)]).await.unwrap();
}

fn retry(after: Milliseconds) -> DeliveryOutcome {
    let reason = "status_500".to_owned();
    DeliveryOutcome::Retry { after, reason }
}

fn dead() -> DeliveryOutcome {
    let reason = "status_500".to_owned();
    DeliveryOutcome::Dead { reason }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_delivered_once_to_those_who_may_see_it() {
    on_both(async |f| {
        let (north, ..) = f.party("north").await;
        let (south, ..) = f.party("south").await;
        f.add("of-north", Team::Party(north.id), EndpointKind::Webhook).await;
        f.add("of-south", Team::Party(south.id), EndpointKind::Kafka).await;
        f.add("of-coordinators", COORDINATORS, EndpointKind::Coop).await;
        let to_all = alert(1, Scope::All, AlertLevel::Raised, 1);
        let to_north = alert(2, Scope::Party(north.id), AlertLevel::Raised, 1);
        let to_coordinators = alert(3, Scope::Coordinators, AlertLevel::Raised, 1);
        let alerts = [
            to_all.clone(),
            to_north.clone(),
            to_coordinators.clone(),
            to_all.clone(),
        ];
        f.store
            .apply_alerts(&alerts, tocsin_casework::UNREVIEWED_BELOW)
            .await
            .unwrap();
        f.another()
            .await
            .apply_alerts(&alerts, tocsin_casework::UNREVIEWED_BELOW)
            .await
            .unwrap();
        assert_eq!(f.due().await, ["of-coordinators", "of-north", "of-south"]);
        for (name, expected) in [
            ("of-north", vec![&to_all, &to_north]),
            ("of-south", vec![&to_all]),
            ("of-coordinators", vec![&to_all, &to_coordinators]),
        ] {
            let taken = take(&f.store, name).await;
            let expected = expected
                .into_iter()
                .map(|alert| DeliveryEvent::Alert(Box::new(alert.clone())));
            let expected: Vec<DeliveryEvent> = expected.collect();
            let events: Vec<DeliveryEvent> = taken.into_iter().map(|delivery| delivery.event).collect();
            assert_eq!(events, expected, "{name}");
        }
        assert_eq!(f.due().await, Vec::<String>::new());
        let counts = f.store.delivery_counts().await.unwrap();
        assert_eq!((counts.waiting, counts.oldest_waiting), (5, Some(Milliseconds(0))));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_delivered_to_the_team_that_decided() {
    on_both(async |f| {
        let (north, ..) = f.party("north").await;
        f.add("of-north", Team::Party(north.id), EndpointKind::Webhook).await;
        f.add("of-coordinators", COORDINATORS, EndpointKind::Kafka).await;
        f.add("reviews", COORDINATORS, EndpointKind::Ozone).await;
        f.coordinators_cases(1).await;
        for name in ["of-coordinators", "reviews"] {
            for delivery in take(&f.store, name).await {
                settle(&f.store, &delivery, DeliveryOutcome::Delivered).await;
            }
        }
        let (key, _) = f.store.issue_key(KeySubject::Coordinators, Roles::all()).await.unwrap();
        let claimed = f.store.best(COORDINATORS, key, LEASE).await.unwrap().unwrap().0;
        let ruling = (Verdict::Violating, "");
        f.store
            .decide(COORDINATORS, claimed.id, (key, claimed.fencing), ruling)
            .await
            .unwrap();
        assert_eq!(f.due().await, ["of-coordinators"]);
        let taken = take(&f.store, "of-coordinators").await;
        let DeliveryEvent::Decision(told) = &taken[0].event else {
            panic!("{taken:?}");
        };
        assert_eq!(
            (told.decision.family, told.decision.scope, told.decision.verdict),
            (claimed.family, Scope::Coordinators, Verdict::Violating)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_dispatcher_tries_it_and_only_the_latest_try_is_believed() {
    on_both(async |f| {
        f.add("hook", COORDINATORS, EndpointKind::Webhook).await;
        f.store
            .apply_alert(&alert(1, Scope::All, AlertLevel::Raised, 1))
            .await
            .unwrap();
        let other = f.another().await;
        let first = take(&f.store, "hook").await.pop().unwrap();
        assert_eq!((first.attempt, first.id.len()), (1, 32));
        assert_eq!(take(&other, "hook").await, []);
        f.clock.advance(TRY);
        let second = take(&other, "hook").await.pop().unwrap();
        assert_eq!((second.attempt, &second.id), (2, &first.id));
        settle(&f.store, &first, dead()).await;
        assert_eq!(f.store.delivery_counts().await.unwrap().dead, 0, "it lasted too long");
        settle(&other, &second, retry(Milliseconds::from_seconds(5))).await;
        assert_eq!(take(&other, "hook").await, []);
        f.clock.advance(Milliseconds::from_seconds(5));
        let third = take(&f.store, "hook").await.pop().unwrap();
        settle(&f.store, &third, DeliveryOutcome::Delivered).await;
        settle(&f.store, &third, dead()).await;
        assert_eq!(f.store.delivery_counts().await.unwrap(), DeliveryCounts::default());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_listed_and_replayed() {
    on_both(async |f| {
        f.add("hook", COORDINATORS, EndpointKind::Webhook).await;
        for number in 1..=3 {
            let next = alert(number, Scope::All, AlertLevel::Raised, 1);
            f.store.apply_alert(&next).await.unwrap();
            f.clock.advance(Milliseconds::from_seconds(10));
        }
        let taken = take(&f.store, "hook").await;
        settle(&f.store, &taken[0], dead()).await;
        settle(&f.store, &taken[1], DeliveryOutcome::Delivered).await;
        settle(&f.store, &taken[2], dead()).await;
        let letters = f.store.dead_letters(&n("hook"), 10).await.unwrap();
        let listed: Vec<_> = letters
            .iter()
            .map(|letter| (&letter.id, letter.reason.as_str()))
            .collect();
        assert_eq!(listed, [(&taken[2].id, "status_500"), (&taken[0].id, "status_500")]);
        let replay = async |which| f.store.replay_deliveries(&n("hook"), &which).await.unwrap();
        assert_eq!(replay(Replay::One("0".repeat(32))).await, 0);
        assert_eq!(replay(Replay::Dead).await, 2);
        assert_eq!(replay(Replay::One(taken[1].id.clone())).await, 1);
        let again = take(&f.store, "hook").await;
        assert!(again.iter().all(|delivery| delivery.attempt == 1), "{again:?}");
        for delivery in &again {
            settle(&f.store, delivery, DeliveryOutcome::Delivered).await;
        }
        assert_eq!(replay(Replay::Since(Timestamp(START.0 + 10_000))).await, 2);
        f.clock.advance(Milliseconds::from_hours(1));
        assert_eq!(
            f.store.forget_deliveries(Milliseconds::from_minutes(30)).await.unwrap(),
            1
        );
        assert_eq!(take(&f.store, "hook").await.len(), 2, "what waits is not forgotten");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_endpoint_and_a_revoked_party_get_nothing() {
    on_both(async |f| {
        let (north, ..) = f.party("north").await;
        f.add("hook", COORDINATORS, EndpointKind::Webhook).await;
        f.add("of-north", Team::Party(north.id), EndpointKind::Webhook).await;
        f.store
            .apply_alert(&alert(1, Scope::All, AlertLevel::Raised, 1))
            .await
            .unwrap();
        f.store.disable_endpoint(&n("hook"), "gone").await.unwrap();
        f.store.disable_endpoint(&n("hook"), "operator").await.unwrap();
        f.store.revoke_party(north.id).await.unwrap();
        assert_eq!(f.due().await, Vec::<String>::new());
        f.store
            .apply_alert(&alert(2, Scope::All, AlertLevel::Raised, 1))
            .await
            .unwrap();
        let letters = f.store.dead_letters(&n("hook"), 10).await.unwrap();
        assert_eq!(letters.len(), 1, "only what waited");
        assert_eq!(letters[0].reason, "endpoint_disabled");
        let listed = f.store.endpoints().await.unwrap();
        assert_eq!(listed[0].disabled, Some((START, "gone".to_owned())));
        assert_eq!(listed[0].settings["policy"], "7");
        let refused = f.store.replay_deliveries(&n("hook"), &Replay::Dead).await;
        assert!(matches!(refused, Err(StoreError::EndpointDisabled { .. })));
        let counts = f.store.delivery_counts().await.unwrap();
        assert_eq!(
            (counts.waiting, counts.dead),
            (0, 1),
            "nobody waits for what north will not get"
        );
        f.store.enable_endpoint(&n("hook")).await.unwrap();
        f.store.replay_deliveries(&n("hook"), &Replay::Dead).await.unwrap();
        assert_eq!(f.due().await, ["hook"]);
        f.clock.advance(Milliseconds::from_hours(1));
        let age = Milliseconds::from_minutes(30);
        assert_eq!(f.store.forget_deliveries(age).await.unwrap(), 1, "north's");
        assert_eq!(f.due().await, ["hook"]);
        let later = endpoint("later", Team::Party(north.id), EndpointKind::Kafka);
        let refused = f.store.add_endpoint(&later).await;
        assert!(matches!(refused, Err(StoreError::PartyRevoked { .. })));
        let nobody = f.store.disable_endpoint(&n("nobody"), "operator").await;
        assert!(matches!(nobody, Err(StoreError::NoSuchEndpoint { .. })));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_team_is_told_in_the_osprey_of_another() {
    on_both(async |f| {
        let (north, ..) = f.party("north").await;
        let (south, ..) = f.party("south").await;
        let (north, south) = (Team::Party(north.id), Team::Party(south.id));
        let osprey = |name: &str, team, topic: &str| NewEndpoint {
            target: topic.to_owned(),
            settings: BTreeMap::new(),
            ..endpoint(name, team, EndpointKind::Osprey)
        };
        let add = async |name: &str, team, topic: &str| f.store.add_endpoint(&osprey(name, team, topic)).await;
        let is_taken = |told: Result<(), StoreError>, of: &str| matches!(told, Err(StoreError::TopicTaken { endpoint, .. }) if endpoint == n(of));
        add("north-osprey", north, "north.actions").await.unwrap();
        add("north-osprey-2", north, "north.actions").await.unwrap();
        assert!(is_taken(add("south-osprey", south, "north.actions").await, "north-osprey"));
        assert!(is_taken(add("all", COORDINATORS, "north.actions").await, "north-osprey"));
        // What was refused is not there.
        add("south-osprey", south, "south.actions").await.unwrap();
        let none = BTreeMap::new();
        let set = async |topic: &str| f.store.change_endpoint(&n("south-osprey"), (topic, &none)).await;
        assert!(is_taken(set("north.actions").await, "north-osprey"));
        set("osprey.actions_input").await.unwrap();
        // A topic that nobody is told in any more may be another's, and then the former owner does not come back to it.
        for name in ["north-osprey", "north-osprey-2"] {
            f.store.disable_endpoint(&n(name), "operator").await.unwrap();
        }
        set("north.actions").await.unwrap();
        let enabled = f.store.enable_endpoint(&n("north-osprey")).await;
        assert!(is_taken(enabled, "south-osprey"));
        let endpoints = f.store.endpoints().await.unwrap();
        let told = |name: &str| endpoints.iter().find(|of| of.name == n(name)).unwrap();
        assert!(told("north-osprey").disabled.is_some());
        assert_eq!(told("south-osprey").target, "north.actions");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_secrets_are_good_while_one_rotates() {
    on_both(async |f| {
        f.add("hook", COORDINATORS, EndpointKind::Webhook).await;
        let taken = f
            .store
            .add_endpoint(&endpoint("hook", COORDINATORS, EndpointKind::Kafka))
            .await;
        assert!(matches!(taken, Err(StoreError::NameTaken { .. })));
        f.store.rotate_endpoint_secret(&n("hook"), "new", TRY).await.unwrap();
        let secrets = async || f.store.endpoints().await.unwrap()[0].secrets.clone();
        assert_eq!(secrets().await, ["new", "secret of hook"]);
        f.clock.advance(TRY);
        assert_eq!(secrets().await, ["new"]);
        assert!(!format!("{:?}", f.store.endpoints().await.unwrap()).contains("new"));
        for number in 1..ENDPOINTS_MAX {
            f.add(&format!("hook-{number}"), COORDINATORS, EndpointKind::Webhook)
                .await;
        }
        let full = f
            .store
            .add_endpoint(&endpoint("too-many", COORDINATORS, EndpointKind::Webhook))
            .await;
        assert!(matches!(full, Err(StoreError::EndpointCount)));
        let raised = alert(1, Scope::All, AlertLevel::Raised, 1);
        f.store.apply_alert(&raised).await.unwrap();
        assert_eq!(f.due().await.len(), ENDPOINTS_MAX, "one statement takes them all");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_later_version_knows_holds_up_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("store.db").display());
    let store = Store::open(&url).await.unwrap();
    store
        .add_endpoint(&endpoint("hook", COORDINATORS, EndpointKind::Webhook))
        .await
        .unwrap();
    store
        .add_endpoint(&endpoint("later", COORDINATORS, EndpointKind::Ozone))
        .await
        .unwrap();
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let change = async |sql: &'static str| sqlx::query(sql).execute(&pool).await.unwrap().rows_affected();
    assert_eq!(
        change("UPDATE endpoints SET kind = 99 WHERE endpoint = 'later'").await,
        1
    );
    let alerts = [1, 2].map(|family| alert(family, Scope::All, AlertLevel::Raised, 1));
    store
        .apply_alerts(&alerts, tocsin_casework::UNREVIEWED_BELOW)
        .await
        .unwrap();
    let first = "UPDATE delivery_events SET document = '{}' WHERE event_id = \
         (SELECT event_id FROM deliveries ORDER BY sequence LIMIT 1)";
    assert_eq!(change(first).await, 1);
    let due = store.endpoints_due().await.unwrap();
    assert_eq!(
        due.iter().map(|endpoint| endpoint.name.as_str()).collect::<Vec<_>>(),
        ["hook"]
    );
    let taken = take(&store, "hook").await;
    assert_eq!(taken.len(), 1);
    let letters = store.dead_letters(&n("hook"), 10).await.unwrap();
    assert_eq!(
        letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(),
        ["malformed_alert"]
    );
    pool.close().await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_take_at_once_one_gets_each() {
    on_both(async |f| {
        f.add("hook", COORDINATORS, EndpointKind::Webhook).await;
        let alerts: Vec<_> = (1..=60)
            .map(|family| alert(family, Scope::All, AlertLevel::Raised, 1))
            .collect();
        f.store
            .apply_alerts(&alerts, tocsin_casework::UNREVIEWED_BELOW)
            .await
            .unwrap();
        let take_all = async |store: Store| {
            let mut ids = Vec::new();
            loop {
                let taken = store.take_deliveries(&n("hook"), 4, TRY).await.unwrap();
                if taken.is_empty() {
                    return ids;
                }
                ids.extend(taken.into_iter().map(|delivery| delivery.id));
            }
        };
        let other = f.another().await;
        let takers = [&f.store, &other, &f.store, &other].map(|store| tokio::spawn(take_all(store.clone())));
        let mut ids = Vec::new();
        for taker in takers {
            ids.extend(taker.await.unwrap());
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((count, ids.len()), (60, 60));
        other.close().await;
    })
    .await;
}

/// Two dispatchers hold deliveries of one endpoint at once.
#[tokio::test(flavor = "multi_thread")]
async fn two_who_hold_at_once_hold_different_ones_and_settle_their_own() {
    on_both(async |f| {
        f.add("hook", COORDINATORS, EndpointKind::Webhook).await;
        let alerts: Vec<_> = (1..=10)
            .map(|family| alert(family, Scope::All, AlertLevel::Raised, 1))
            .collect();
        let applied = f.store.apply_alerts(&alerts, tocsin_casework::UNREVIEWED_BELOW).await;
        applied.unwrap();
        let other = f.another().await;
        let name = n("hook");
        let (mine, theirs) = tokio::join!(
            f.store.take_deliveries(&name, 4, TRY),
            other.take_deliveries(&name, 4, TRY)
        );
        // Who came while the rows were locked was handed others, or fewer; nobody waited for them.
        let (mine, mut theirs) = (mine.unwrap(), theirs.unwrap());
        theirs.extend(other.take_deliveries(&name, 10, TRY).await.unwrap());
        let ids = |of: &[Delivery]| of.iter().map(|one| one.id.clone()).collect::<BTreeSet<_>>();
        assert_eq!(
            (
                mine.len() + theirs.len(),
                ids(&mine).intersection(&ids(&theirs)).count()
            ),
            (10, 0)
        );
        assert!(mine.iter().chain(&theirs).all(|one| one.attempt == 1));
        assert_eq!(take(&f.store, "hook").await, [], "all are held");
        // The second settles in time, the first is late: what it held is the second's then, under other numbers.
        let settled: Vec<_> = theirs.iter().map(|one| (one, DeliveryOutcome::Delivered)).collect();
        other.settle_deliveries(&settled).await.unwrap();
        f.clock.advance(TRY);
        let again = take(&other, "hook").await;
        assert_eq!(ids(&again), ids(&mine));
        let (late, in_time) = (dead(), DeliveryOutcome::Delivered);
        let late: Vec<_> = mine.iter().map(|one| (one, late.clone())).collect();
        let in_time: Vec<_> = again.iter().map(|one| (one, in_time.clone())).collect();
        let (one, two) = tokio::join!(f.store.settle_deliveries(&late), other.settle_deliveries(&in_time));
        one.and(two).unwrap();
        assert_eq!(
            f.store.delivery_counts().await.unwrap(),
            DeliveryCounts::default(),
            "none is dead"
        );
        other.close().await;
    })
    .await;
}

/// Whoever changes what endpoints may not be beside one another does so one after the other: of two at once, on two stores, the later one is refused.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_take_a_topic_at_once_one_gets_it() {
    on_both(async |f| {
        let (north, south) = (f.party("north").await.0.id, f.party("south").await.0.id);
        let other = f.another().await;
        let osprey = |team, name: String, topic: &str| NewEndpoint {
            target: topic.to_owned(),
            settings: BTreeMap::new(),
            ..endpoint(&name, Team::Party(team), EndpointKind::Osprey)
        };
        let one_of = |one: Result<(), StoreError>, two: Result<(), StoreError>| match (one, two) {
            (Ok(()), Err(StoreError::TopicTaken { .. })) | (Err(StoreError::TopicTaken { .. }), Ok(())) => {}
            both => panic!("{both:?}"),
        };
        let none = BTreeMap::new();
        for round in 0..8 {
            let (first, second) = (format!("north-{round}"), format!("south-{round}"));
            let (added, moved) = (format!("added.{round}"), format!("moved.{round}"));
            let [one, two] = [(north, &first), (south, &second)].map(|(team, name)| osprey(team, name.clone(), &added));
            let (one, two) = tokio::join!(f.store.add_endpoint(&one), other.add_endpoint(&two));
            one_of(one, two);
            // Both are there from here on, each with a topic of its own, and move to one topic.
            for (team, name) in [(north, &first), (south, &second)] {
                let _ = f
                    .store
                    .add_endpoint(&osprey(team, name.clone(), &format!("own.{name}")))
                    .await;
            }
            let (first, second) = (n(&first), n(&second));
            let (one, two) = tokio::join!(
                f.store.change_endpoint(&first, (&moved, &none)),
                other.change_endpoint(&second, (&moved, &none))
            );
            one_of(one, two);
            // One is enabled while it is changed: neither waits for the other for ever.
            f.store.disable_endpoint(&first, "operator").await.unwrap();
            let own = format!("own.{first}");
            let (one, two) = tokio::join!(
                f.store.enable_endpoint(&first),
                other.change_endpoint(&first, (&own, &none))
            );
            assert!(matches!(one, Ok(()) | Err(StoreError::TopicTaken { .. })), "{one:?}");
            two.unwrap();
        }
        other.close().await;
    })
    .await;
}
