//! Goal: whatever a reader is told is in the audit chain before they are told it, once for each request; where it cannot be, they are told nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::*;
use crate::world::*;
use axum::http::StatusCode;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tocsin_audit::{Action, Field};
use tocsin_model::{PartyId, Scope};
use tocsin_store::{AuditRecord, PageOf, Store};

/// The records of reads.
async fn reads(store: &Store) -> Vec<AuditRecord> {
    let whole = PageOf {
        team: None,
        after: BTreeMap::new(),
        limit: 500,
    };
    let records = store.audit_page(&whole).await.unwrap().records.into_iter();
    let reads = records.filter(|one| matches!(one.record.action, Action::Read | Action::StreamWentOn));
    reads.collect()
}

/// Takes the chain away behind the store's back, or puts it back.
async fn rename(bare: &Bare, from: &str, to: &str) {
    let mut connection = SqliteConnection::connect(&bare.store_url()).await.unwrap();
    connection
        .execute(&*format!("ALTER TABLE {from} RENAME TO {to}"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answered_request_is_one_record_and_a_refused_one_is_none() {
    let bare = Bare::start(empty_replica(), WAIT_MAX).await;
    bare.state.set_ready();
    let unseen = format!("/v1/families/{}", id(1));
    for (key, path, status) in [
        (&bare.keys.party_1, "/v1/alerts?limit=5", StatusCode::OK),
        (&bare.keys.coordinators, "/v1/trending", StatusCode::OK),
        (&bare.keys.coordinators, unseen.as_str(), StatusCode::NOT_FOUND),
        (&bare.keys.party_2, "/v1/alerts/00", StatusCode::NOT_FOUND),
        (&bare.keys.party_1, "/v1/alerts?limit=0", StatusCode::BAD_REQUEST),
        (&bare.keys.publisher, "/v1/alerts", StatusCode::FORBIDDEN),
        (&"tocsin_00".to_owned(), "/v1/alerts", StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(get(&bare.router, Some(key), path).await.0, status, "{path}");
    }
    let reads = reads(&bare.store).await;
    let told: Vec<(&str, Option<Scope>)> = reads.iter().map(|one| (&*one.record.object, one.record.team)).collect();
    assert_eq!(
        told,
        [
            ("GET /v1/alerts", Some(Scope::Party(PartyId(1)))),
            ("GET /v1/trending", Some(Scope::Coordinators)),
            ("GET /v1/families/{id}", Some(Scope::Coordinators)),
            ("GET /v1/alerts/{id}", Some(Scope::Party(PartyId(2)))),
        ]
    );
    let fields: Vec<Field> = reads[0].personal.iter().map(|one| one.field).collect();
    assert_eq!(fields, [Field::Key, Field::About]);
    assert_eq!(reads[0].personal[1].clear.as_deref(), Some("/v1/alerts?limit=5"));
    assert!(
        bare.keys
            .party_1
            .contains(reads[0].personal[0].clear.as_deref().unwrap())
    );
    assert_eq!(
        counted(&bare.registry, "tocsin_query_reads_recorded_total", Some("written")),
        4.0
    );
    assert!(bare.store.verify_audit(&[]).await.unwrap().holds());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_chain_nothing_is_told_and_with_it_everything_again() {
    let bare = Bare::start(empty_replica(), WAIT_MAX).await;
    bare.state.set_ready();
    let secret = alert(77, Scope::Party(PartyId(1)));
    bare.state.replica().alerts.push(0, 1, START, secret.clone());
    let key = Some(&*bare.keys.party_1);
    rename(&bare, "audit_records", "elsewhere").await;
    for path in [
        "/v1/alerts",
        "/v1/trending",
        &format!("/v1/alerts/{:032x}", 77),
        "/v1/stream",
    ] {
        let (status, problem) = get(&bare.router, key, path).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"audit_unavailable".into()),
            "{path}"
        );
        assert!(!problem.to_string().contains(&secret.family.to_string()));
    }
    // A refusal tells nothing and stays what it is.
    let (status, _) = get(&bare.router, key, "/v1/alerts?limit=0").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        counted(&bare.registry, "tocsin_query_reads_recorded_total", Some("refused")),
        4.0
    );
    rename(&bare, "elsewhere", "audit_records").await;
    let (status, page) = get(&bare.router, key, "/v1/alerts").await;
    assert_eq!((status, page["alerts"].as_array().unwrap().len()), (StatusCode::OK, 1));
    assert_eq!(reads(&bare.store).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_recorded_as_it_opens_and_as_it_goes_on_and_ends_where_it_cannot_be() {
    // Every event is a minute after the one before.
    let bare = Bare::recording(empty_replica(), Duration::ZERO).await;
    bare.state.set_ready();
    let push = |number: u128| {
        let alert = alert(number, Scope::All);
        bare.state.replica().alerts.push(0, number as u64, START, alert);
        bare.state.alerts_arrived();
    };
    let mut reading = Reading::open(&bare.router, &bare.keys.party_1, None).await.unwrap();
    assert_eq!(reading.next().await.unwrap().name, "position");
    assert_eq!(reads(&bare.store).await.len(), 1);
    push(1);
    assert_eq!(reading.alerts(1).await.0, [1]);
    let went_on = reads(&bare.store).await.split_off(1);
    assert!(!went_on.is_empty());
    for one in &went_on {
        assert_eq!(
            (one.record.action, &*one.record.object),
            (Action::StreamWentOn, "GET /v1/stream")
        );
    }
    rename(&bare, "audit_records", "elsewhere").await;
    push(2);
    let end = reading.next().await.unwrap();
    assert_eq!(
        (end.name.as_str(), &end.data["code"]),
        ("end", &"audit_unavailable".into())
    );
    assert_eq!(reading.next().await, None);
}
