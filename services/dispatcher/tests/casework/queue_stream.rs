//! Goal: whoever watches a queue is told what changes in it, whichever dispatcher did it, of their own team alone, also after they were away; and a
//! stream is bounded, recorded, and over when its key is.

use std::time::Duration;

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};
use tocsin_casework::UNREVIEWED_BELOW;
use tocsin_dispatcher::DispatcherConfig;
use tocsin_model::{Alert, AlertId, AlertLevel, Milliseconds, Scope};
use tocsin_runtime::streams::StreamTimes;
use tocsin_store::{Clock, KeySubject, Role, Roles};

use crate::bench::{Bench, Running, alert};
use crate::database::on_empty;
use crate::example::START;
use crate::sse::Reading;

impl Reading {
    async fn ask(running: &Running, key: &str, last: Option<&str>) -> Result<Reading, (StatusCode, Value)> {
        Reading::open_of(&running.router, key, "/v1/queue/updates", last).await
    }

    /// A stream, and where it begins.
    async fn open(running: &Running, key: &str) -> (Reading, String) {
        let mut reading = Reading::ask(running, key, None).await.unwrap();
        let position = reading.next().await.unwrap();
        assert_eq!((position.name.as_str(), &position.data), ("position", &json!({})));
        (reading, position.id.unwrap())
    }

    /// The next change of a case.
    async fn change(&mut self) -> Value {
        let event = self.next().await.unwrap();
        assert_eq!(event.name, "case", "{event:?}");
        event.data
    }

    /// The next change that is not about the order alone.
    async fn step(&mut self) -> Value {
        loop {
            let change = self.change().await;
            if change["change"] != "moved" {
                return change;
            }
        }
    }
}

fn id(case: &Value) -> String {
    case["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_told_as_it_moves_also_by_another_dispatcher_and_to_its_team_alone() {
    on_empty(async |url| {
        let bench = Bench::on(tempfile::tempdir().unwrap(), &url, Clock::Database).await;
        let beside = bench.beside();
        let (one, other) = (bench.start().await, beside.start().await);
        let (mut reading, began) = Reading::open(&one, &bench.coordinators).await;
        let (mut of_reader, _) = Reading::open(&one, &bench.reader).await;
        let (mut of_beta, _) = Reading::open(&one, &bench.beta).await;

        bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 9.0)]);
        let opened = reading.step().await;
        assert_eq!(
            (&opened["change"], &opened["state"]),
            (&json!("opened"), &json!("open"))
        );
        assert_eq!((&opened["lease"], &opened["was_yours"]), (&Value::Null, &json!(false)));
        let case = id(&one.queue_of(1, &bench.coordinators).await[0]);
        assert_eq!(opened["case"], json!(case));
        let path = format!("/v1/cases/{case}");

        let held = other
            .post(&format!("{path}/claim"), &bench.coordinators, json!({}))
            .await;
        let claimed = reading.step().await;
        assert_eq!(
            (&claimed["change"], &claimed["lease"]["is_yours"]),
            (&json!("claimed"), &json!(true))
        );
        assert_eq!(claimed["fencing"], held["fencing"]);
        assert_eq!(of_reader.step().await["change"], "opened");
        let seen = of_reader.step().await;
        assert_eq!(
            (&seen["change"], &seen["lease"]["is_yours"]),
            (&json!("claimed"), &json!(false))
        );

        // Its figures are told to whoever holds it, and to nobody else.
        let louder = Alert {
            id: AlertId(77),
            priority: 90.0,
            ..alert(1, Scope::Coordinators, AlertLevel::Escalated, 90.0)
        };
        bench.ring(&[louder]);
        let figures = reading.next().await.unwrap();
        assert_eq!((figures.name.as_str(), &figures.data["id"]), ("figures", &json!(case)));
        assert_eq!(figures.data["alert"]["level"], "escalated");

        other
            .post(
                &format!("{path}/escalate"),
                &bench.coordinators,
                json!({"fencing": held["fencing"], "to": "legal", "note": "a court"}),
            )
            .await;
        let moved = reading.change().await;
        assert_eq!(
            (&moved["change"], &moved["desk"]),
            (&json!("returned"), &json!("legal"))
        );
        assert_eq!(moved["was_yours"], true);
        let held = one.post(&format!("{path}/claim"), &bench.coordinators, json!({})).await;
        assert_eq!(reading.step().await["change"], "claimed");
        let ruling = json!({"fencing": held["fencing"], "verdict": "violating", "rationale": "the attack"});
        one.post(&format!("{path}/decision"), &bench.coordinators, ruling).await;
        let decided = reading.step().await;
        assert_eq!(
            (&decided["change"], &decided["verdict"]),
            (&json!("decided"), &json!("violating"))
        );
        drop(reading);
        // Whoever is to decide the same once more does not hear what it came to.
        let told = loop {
            let told = of_reader.step().await;
            if told["change"] == "decided" {
                break told;
            }
        };
        assert_eq!(told["verdict"], Value::Null);

        // Whoever was away is told at any dispatcher what is new since.
        bench.ring(&[alert(2, Scope::Coordinators, AlertLevel::Raised, 9.0)]);
        other.queue_of(1, &bench.coordinators).await;
        let mut again = Reading::ask(&other, &bench.coordinators, Some(&began)).await.unwrap();
        assert_eq!(again.next().await.unwrap().name, "position");
        let told = [again.step().await, again.step().await];
        let told: Vec<(&str, &str)> = told
            .iter()
            .map(|told| (told["change"].as_str().unwrap(), told["state"].as_str().unwrap()))
            .collect();
        assert_eq!(told, [("decided", "decided"), ("opened", "open")]);

        // Of all this another team heard nothing.
        bench.ring(&[alert(
            3,
            Scope::Party(tocsin_model::PartyId(2)),
            AlertLevel::Raised,
            9.0,
        )]);
        let own = of_beta.step().await;
        assert_eq!(own["change"], "opened");
        assert_eq!(
            one.get(&format!("/v1/cases/{}", own["case"].as_str().unwrap()), &bench.beta)
                .await["team"],
            "beta"
        );
        one.stop().await;
        let end = of_beta.next().await.unwrap();
        assert_eq!(
            (end.name.as_str(), &end.data),
            ("end", &json!({"code": "shutting_down"}))
        );
        assert_eq!(of_beta.next().await, None);
        other.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ends_is_told_before_and_after() {
    let clock = Clock::standing_at(START + Milliseconds::from_hours(1));
    let bench = Bench::with_clock(clock.clone()).await;
    let running = bench.start().await;
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 9.0)]);
    let case = id(&running.queue_of(1, &bench.coordinators).await[0]);
    let (mut reading, began) = Reading::open(&running, &bench.coordinators).await;
    let claim = json!({"lease_s": 60});
    running
        .post(&format!("/v1/cases/{case}/claim"), &bench.coordinators, claim)
        .await;
    assert_eq!(reading.step().await["change"], "claimed");
    clock.advance(Milliseconds::from_seconds(31));
    let lease = reading.next().await.unwrap();
    assert_eq!((lease.name.as_str(), &lease.data["left_ms"]), ("lease", &json!(29_000)));
    assert_eq!((&lease.data["case"], &lease.data["fencing"]), (&json!(case), &json!(1)));
    clock.advance(Milliseconds::from_seconds(29));
    let over = reading.step().await;
    assert_eq!((&over["change"], &over["state"]), (&json!("returned"), &json!("open")));
    assert_eq!(over["was_yours"], true);
    drop(reading);

    // Also to whoever was away when it ended.
    clock.advance(Milliseconds::from_minutes(10));
    let claim = json!({"lease_s": 300});
    running
        .post(&format!("/v1/cases/{case}/claim"), &bench.coordinators, claim)
        .await;
    let (_, away) = Reading::open(&running, &bench.coordinators).await;
    clock.advance(Milliseconds::from_minutes(6));
    let mut again = Reading::ask(&running, &bench.coordinators, Some(&away)).await.unwrap();
    assert_eq!(again.next().await.unwrap().name, "position");
    let over = again.step().await;
    assert_eq!((&over["change"], &over["case"]), (&json!("returned"), &json!(case)));

    drop(again);

    // And what is too far back is not told at all.
    clock.advance(Milliseconds::from_hours(1));
    let mut late = Reading::ask(&running, &bench.coordinators, Some(&began)).await.unwrap();
    assert_eq!(late.next().await.unwrap().name, "gap");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded_and_bad_input_is_refused() {
    let bench = Bench::new().await;
    let running = bench
        .start_with(DispatcherConfig {
            queue_streams_max: 3,
            queue_streams_per_team_max: 2,
            queue_streams_per_key_max: 1,
            ..DispatcherConfig::default()
        })
        .await;
    let refused = async |key: &str, last: Option<&str>| {
        let (status, problem) = Reading::ask(&running, key, last).await.err().unwrap();
        (status.as_u16(), problem["code"].as_str().unwrap().to_owned())
    };
    let (first, _) = Reading::open(&running, &bench.coordinators).await;
    assert_eq!(
        refused(&bench.coordinators, None).await,
        (429, "too_many_streams".to_owned())
    );
    let (_second, _) = Reading::open(&running, &bench.reader).await;
    let (_of_alpha, _) = Reading::open(&running, &bench.alpha).await;
    assert_eq!(refused(&bench.beta, None).await, (429, "too_many_streams".to_owned()));
    drop(first);
    let (_again, _) = Reading::open(&running, &bench.coordinators).await;
    for wrong in ["x", "-1", "99999999999999999999"] {
        let answer = refused(&bench.beta, Some(wrong)).await;
        assert_eq!(answer, (400, "invalid_parameter".to_owned()), "{wrong}");
    }
    assert_eq!(refused(&bench.operator, None).await, (403, "no_queue".to_owned()));
    assert_eq!(refused("tocsin_x", None).await, (401, "unauthenticated".to_owned()));
    running
        .metric("tocsin_dispatcher_queue_streams ", |open| open == 3.0)
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_beyond_what_is_kept_ends_no_stream_and_loses_nothing() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let (mut reading, _) = Reading::open(&running, &bench.coordinators).await;
    // More than are kept.
    let alerts: Vec<Alert> = (1..=4_500)
        .map(|family| alert(family, Scope::Coordinators, AlertLevel::Raised, 9.0))
        .collect();
    for part in alerts.chunks(500) {
        bench.store.apply_alerts(part, UNREVIEWED_BELOW).await.unwrap();
    }
    let told = "tocsin_dispatcher_queue_updates_total{change=\"opened\"}";
    // A case that the board has forgotten is told again when it is written anew.
    running.metric(told, |opened| opened >= 4_500.0).await;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < alerts.len() {
        let told = reading.step().await;
        assert_eq!(told["change"], "opened");
        seen.insert(told["case"].as_str().unwrap().to_owned());
    }
    running
        .metric("tocsin_dispatcher_queue_streams_evicted_total", |evicted| {
            evicted == 0.0
        })
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_that_wait_for_too_long_end_a_stream() {
    let bench = Bench::new().await;
    let times = StreamTimes {
        stall_max: Duration::ZERO,
        ..StreamTimes::default()
    };
    let running = bench.start_timed(DispatcherConfig::default(), times).await;
    let (mut reading, _) = Reading::open(&running, &bench.coordinators).await;
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 9.0)]);
    let told = "tocsin_dispatcher_queue_updates_total{change=\"opened\"}";
    running.metric(told, |opened| opened == 1.0).await;
    let end = reading.next().await.unwrap();
    assert_eq!(end.data, json!({"code": "slow_reader"}));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_recorded_and_over_with_its_key() {
    let bench = Bench::new().await;
    let times = StreamTimes {
        record_interval: Duration::ZERO,
        ..StreamTimes::default()
    };
    let running = bench.start_timed(DispatcherConfig::default(), times).await;
    let issued = bench
        .store
        .issue_key(KeySubject::Coordinators, Roles::of(&[Role::Moderator]))
        .await;
    let (id, key) = issued.unwrap();
    let (mut reading, _) = Reading::open(&running, key.expose()).await;
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 9.0)]);
    assert_eq!(reading.change().await["change"], "opened");
    let auditor = bench
        .store
        .issue_key(KeySubject::Coordinators, Roles::of(&[Role::Auditor]))
        .await;
    let records = running.get("/v1/audit?limit=500", auditor.unwrap().1.expose()).await;
    let actions: Vec<&str> = records["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["object"] == "GET /v1/queue/updates")
        .map(|record| record["action"].as_str().unwrap())
        .collect();
    assert_eq!(&actions[..2], ["read", "stream_went_on"]);
    assert!(actions[1..].iter().all(|action| *action == "stream_went_on"));

    bench.store.revoke_key(id).await.unwrap();
    loop {
        let event = reading.next().await.unwrap();
        if event.name == "end" {
            assert_eq!(event.data, json!({"code": "unauthenticated"}));
            break;
        }
        assert_eq!(event.data["change"], "moved");
    }
    running
        .refused(
            Method::GET,
            "/v1/queue/updates",
            key.expose(),
            None,
            (401, "unauthenticated"),
        )
        .await;
    running.stop().await;
}
