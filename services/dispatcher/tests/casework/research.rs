//! Goal: over HTTP researchers read the days that were published, in the same bytes each time, and the data sheet; nobody else does, researchers read nothing
//! else, every read is in the audit chain, and of a drill nothing is published or told.

use reqwest::Method;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, SqliteConnection};
use tocsin_casework::UNREVIEWED_BELOW;
use tocsin_dispatcher::DispatcherConfig;
use tocsin_model::{Alert, AlertLevel, DrillId, Milliseconds, Scope};
use tocsin_store::{Clock, InResearch, KeySubject, Role, Roles, Store};

use crate::bench::{Bench, Running, alert, name};
use crate::example::START;

const DAY: &str = "2027-01-16";

async fn researcher(store: &Store) -> String {
    let institute = store.add_research_party(&name("institute")).await.unwrap();
    let roles = Roles::of(&[Role::Researcher]);
    let (_, key) = store.issue_key(KeySubject::Party(institute.id), roles).await.unwrap();
    key.expose().to_owned()
}

/// Alpha takes part; on the day 12 families ring for it, 13 for the coordinators, and the day is due.
async fn published() -> (Bench, String) {
    let clock = Clock::standing_at(START);
    let bench = Bench::with_clock(clock.clone()).await;
    let alpha = bench.store.party_named(&name("alpha")).await.unwrap().id;
    bench.store.set_in_research(alpha, InResearch::Named).await.unwrap();
    clock.advance(Milliseconds::from_hours(24));
    let at = START + Milliseconds::from_hours(24);
    let of = |family, scope| Alert {
        at,
        ..alert(family, scope, AlertLevel::Raised, 5.0)
    };
    let own = (1..=12).map(|family| of(family, Scope::Party(alpha)));
    let others = (101..=113).map(|family| of(family, Scope::Coordinators));
    let alerts: Vec<Alert> = own.chain(others).collect();
    bench.store.apply_alerts(&alerts, UNREVIEWED_BELOW).await.unwrap();
    clock.advance(Milliseconds::from_hours(40));
    let key = researcher(&bench.store).await;
    (bench, key)
}

async fn text(running: &Running, path: &str, key: &str) -> (String, Option<String>, String) {
    let url = format!("{}{path}", running.address);
    let response = running.client.get(url).bearer_auth(key).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let header = |name: &str| {
        let value = response.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let (kind, tag) = (header("content-type").unwrap(), header("etag"));
    (kind, tag, response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_researcher_reads_what_was_published_in_the_same_bytes() {
    let (bench, key) = published().await;
    let running = bench.start().await;
    running
        .metric("tocsin_dispatcher_research_days_total", |days| days == 1.0)
        .await;

    let days = running.get("/v1/research/days", &key).await;
    assert_eq!(
        (&days["days"][0]["day"], &days["next"]),
        (&Value::from(DAY), &Value::Null)
    );
    assert_eq!(days["days"].as_array().unwrap().len(), 1);
    let digest = days["days"][0]["digest"].as_str().unwrap();
    let path = format!("/v1/research/days/{DAY}");
    let (kind, tag, once) = text(&running, &path, &key).await;
    assert_eq!(
        (kind.as_str(), tag),
        ("application/json", Some(format!("\"{digest}\"")))
    );
    assert_eq!(hex::encode(Sha256::digest(once.as_bytes())), digest);
    let (.., twice) = text(&running, &format!("{path}?form=json"), &key).await;
    assert_eq!(once, twice);

    let day: Value = serde_json::from_str(&once).unwrap();
    let populations = day["populations"].as_array().unwrap();
    assert_eq!(
        (populations.len(), &populations[0]["party"]),
        (1, &Value::from("alpha"))
    );
    let rang = &populations[0]["tables"][0];
    let told = |shown: &str| {
        let cells = rang["cells"].as_array().unwrap().iter();
        cells.filter(|cell| cell["families"]["shown"] == shown).count()
    };
    assert_eq!((&rang["table"], told("10"), told("<10")), (&Value::from("rang"), 1, 19));

    let (kind, _, csv) = text(&running, &format!("{path}?form=csv"), &key).await;
    assert_eq!(kind, "text/csv; charset=utf-8");
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "version,day,party,table,row,content,outcome,took,copies,notice,answer,estimate,low,high,disclosure"
    );
    assert!(
        lines.contains(&"1,2027-01-16,alpha,rang,cell,other,,unknown,,,,10,10,12,rounded"),
        "{csv}"
    );
    assert!(
        lines.contains(&"1,2027-01-16,alpha,rang,total,,,,,,,,10,183,suppressed"),
        "{csv}"
    );

    let sheet = running.get("/v1/research/data-sheet", &key).await;
    for part in ["sections", "tables", "dimensions", "columns"] {
        assert!(!sheet[part].as_array().unwrap().is_empty(), "{part}");
    }
    assert!(sheet["contact"].as_str().unwrap().contains("runs this deployment"));
    assert!(sheet["retention"].as_str().unwrap().starts_with("Never"));

    assert!(bench.recorded("/v1/research").await >= 5, "every read is recorded");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_researcher_reads_nothing_else_and_nobody_else_reads_it() {
    let (bench, key) = published().await;
    let running = bench
        .start_with(DispatcherConfig {
            research_contact: "data@example.org".to_owned(),
            ..DispatcherConfig::default()
        })
        .await;
    running
        .metric("tocsin_dispatcher_research_days_total", |days| days == 1.0)
        .await;
    let sheet = running.get("/v1/research/data-sheet", &key).await;
    assert_eq!(sheet["contact"], "data@example.org");
    let day = format!("/v1/research/days/{DAY}");
    for path in ["/v1/research/days", &day, "/v1/research/data-sheet"] {
        for other in [&bench.alpha, &bench.coordinators, &bench.reader] {
            running
                .refused(Method::GET, path, other, None, (403, "forbidden"))
                .await;
        }
        running
            .refused(Method::GET, path, "tocsin_00", None, (401, "unauthenticated"))
            .await;
    }
    let days = "from=2027-01-15&to=2027-01-16";
    for path in [
        "/v1/queue",
        "/v1/clocks",
        "/v1/incidents",
        "/v1/audit",
        &format!("/v1/reports?{days}"),
        "/v1/cases/00000000000000000000000000000000",
    ] {
        running.refused(Method::GET, path, &key, None, (403, "forbidden")).await;
    }
    for (path, refusal) in [
        // Not over, not there, not due.
        ("/v1/research/days/2027-01-17", (404, "research_day_unknown")),
        ("/v1/research/days/2027-01-15", (404, "research_day_unknown")),
        ("/v1/research/days/2999-01-01", (404, "research_day_unknown")),
        ("/v1/research/days/yesterday", (400, "invalid_parameter")),
        ("/v1/research/days/2027-02-30", (400, "invalid_parameter")),
        ("/v1/research/days/%ff", (400, "invalid_parameter")),
        (&format!("{day}?form=xml"), (400, "invalid_parameter")),
        (&format!("{day}?party=alpha"), (400, "invalid_parameter")),
        ("/v1/research/days?limit=0", (400, "invalid_parameter")),
        ("/v1/research/days?limit=501", (400, "invalid_parameter")),
        ("/v1/research/days?after=x", (400, "invalid_parameter")),
        ("/v1/research/days?party=alpha", (400, "invalid_parameter")),
    ] {
        running.refused(Method::GET, path, &key, None, refusal).await;
    }
    let behind = running
        .get(&format!("/v1/research/days?after={DAY}&limit=1"), &key)
        .await;
    assert_eq!(behind["days"], serde_json::json!([]));
    running.stop().await;
}

/// As if the parties of a store in a file had taken part for days.
async fn take_part(url: &str) {
    let mut connection = SqliteConnection::connect(url).await.unwrap();
    let sql =
        "UPDATE parties SET in_research = 1, in_research_since = CAST(unixepoch('now', '-5 days') AS INTEGER) * 1000";
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_drill_nothing_is_published_or_told() {
    let mut bench = Bench::new().await;
    let url = |file: &str| format!("sqlite:{}", bench.directory.path().join(file).display());
    let (real, of_drill) = (url("store.sqlite"), url("drill.sqlite"));
    take_part(&real).await;
    assert!(
        bench.store.publish_research_day().await.unwrap().is_some(),
        "a real one is due"
    );

    let drill = Store::make_drill(&of_drill, DrillId(0xab), "flood").await.unwrap();
    drill.add_party(&name("alpha"), &[name("alpha-video")]).await.unwrap();
    take_part(&of_drill).await;
    assert_eq!(drill.publish_research_day().await.unwrap(), None);
    let key = researcher(&drill).await;
    bench.store = drill;
    let running = bench.start().await;
    for path in [
        "/v1/research/days",
        "/v1/research/days/2027-01-16",
        "/v1/research/data-sheet",
    ] {
        running
            .refused(Method::GET, path, &key, None, (409, "no_research_in_drills"))
            .await;
    }
    running.stop().await;
}
