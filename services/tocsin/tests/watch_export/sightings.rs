//! Goal: an entry is told of by what was seen of its own content, and by what was decided of the family that it belongs to now.

use std::collections::BTreeMap;
use std::process;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tocsin_casework::Ruling;
use tocsin_model::{Alert, AlertId, BankEntry, BankName, ContentHash, ContentId, FamilyId, ListUpdate, Scope, Verdict};
use tocsin_store::{Clock, KeySubject, Role, Roles, Store};

use super::{check, decide, example, export, md5};

/// What the query API says of a bank, page by page, to whoever shows the key.
type Pages = Arc<Mutex<Vec<Value>>>;

async fn page(
    State(pages): State<Pages>,
    Query(asked): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let shown = headers["authorization"].to_str().unwrap();
    let is_known = shown.starts_with("Bearer tocsin_") && asked["bank"] == "NORTH";
    let place: usize = asked.get("after").map_or(0, |after| after.parse().unwrap());
    let found = pages.lock().unwrap().get(place).cloned();
    found.filter(|_| is_known).map(Json).ok_or(StatusCode::FORBIDDEN)
}

async fn serve(pages: Pages) -> String {
    let router = Router::new().route("/v1/bank-sightings", get(page)).with_state(pages);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// An entry with so many sightings, of a content that belongs to a family now.
fn seen(hash: &ContentHash, content: u128, family: u128, count: u64) -> Value {
    json!({
        "hash": {"algorithm": hash.algorithm().name(), "value": hash.value_text()},
        "first_seen": "2026-01-02T00:00:00Z", "last_seen": "2026-01-03T00:00:00.500Z",
        "sightings": {"low": count, "high": count + u64::from(count == 4)},
        "platforms": [{"platform": "alpha-app", "sightings": count}, {"platform": "beta-app", "sightings": 0}],
        "contents": [{"content": ContentId(content).to_string(), "family": ContentId(family).to_string()}],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_joined_another_family_is_told_of_by_its_own_sightings() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let url = format!("sqlite:{}", at.join("store.db").display());
    let store = Store::open_with_clock(&url, Clock::standing_at(example::START))
        .await
        .unwrap();
    let source = "north".parse().unwrap();
    let bank: BankName = "NORTH".parse().unwrap();
    store
        .watch(&md5(1), &source, tocsin_model::Severity::MAX)
        .await
        .unwrap();
    let entry = |number: u8| {
        ListUpdate::Listed(BankEntry {
            source_id: Some(number.to_string()),
            ..BankEntry::new(md5(number))
        })
    };
    let all: Vec<ListUpdate> = (1..=6).map(entry).collect();
    store.update_list(&bank, &all, None).await.unwrap();
    // 1 founded a family that violates, with 2 and 3 in it, of which 3 is excepted; 4 founded one that is benign, and 6 one of which nothing was decided.
    let alert = |number: u8| Alert {
        id: AlertId(u128::from(number)),
        scope: Scope::Coordinators,
        family: FamilyId(ContentId(10 + u128::from(number))),
        hash: md5(number),
        ..example::alert()
    };
    let unreviewed = tocsin_casework::UNREVIEWED_BELOW;
    store.apply_alerts(&[1, 4, 6].map(alert), unreviewed).await.unwrap();
    let (key, shown) = store.issue_key(KeySubject::Coordinators, Roles::all()).await.unwrap();
    let mut excepting = Ruling::of(Verdict::Violating, "");
    excepting.grounds.exceptions = vec![ContentId(13)];
    decide(&store, key, 11, excepting).await;
    decide(&store, key, 14, Ruling::of(Verdict::Benign, "")).await;

    let page =
        |sightings: Value, next: Option<&str>| json!({"scope": "coordinators", "sightings": sightings, "next": next});
    let joined = |family: u128| {
        vec![
            page(
                json!([seen(&md5(1), 11, 11, 40), seen(&md5(2), 12, family, 7)]),
                Some("1"),
            ),
            page(json!([seen(&md5(3), 13, 11, 9), seen(&md5(4), 14, 14, 4)]), None),
        ]
    };
    let pages = Pages::new(Mutex::new(joined(11)));
    let api = serve(Arc::clone(&pages)).await;
    let key_file = at.join("north.key");
    std::fs::write(&key_file, format!("{}\n", shown.expose())).unwrap();
    let with_key = ["--key-file", key_file.to_str().unwrap(), "--url", &api];
    let reactions = |more: &[&str]| {
        let text = export(at, "threatexchange-reactions", more);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let line = |id: u8, reaction: &str| format!(r#"{{"id":"{id}","reactions":"{reaction}"}}"#);
    let others = [
        line(4, "NOT_HELPFUL"),
        line(4, "SAW_THIS_TOO"),
        // It is counted no more: its case tells.
        line(6, "SAW_THIS_TOO"),
    ];
    let of_first = [line(1, "HELPFUL"), line(1, "SAW_THIS_TOO")];
    let expected = |second: &[String]| [&of_first[..], second, &others[..]].concat();
    assert_eq!(reactions(&[]), expected(&[]), "without a key the cases alone tell");
    let helpful = [line(2, "HELPFUL"), line(2, "SAW_THIS_TOO")];
    assert_eq!(reactions(&with_key), expected(&helpful), "2 joined, 3 is excepted");
    *pages.lock().unwrap() = joined(12);
    assert_eq!(reactions(&with_key), expected(&helpful[1..]), "2 was taken out again");
    *pages.lock().unwrap() = joined(14);
    let harmless = [line(2, "NOT_HELPFUL"), line(2, "SAW_THIS_TOO")];
    assert_eq!(reactions(&with_key), expected(&harmless), "and joined another");

    let bundle = export(at, "stix", &[&with_key[..], &["--name", "North"]].concat());
    let pattern = |number: u8| format!("[file:hashes.MD5 = '{}']", md5(number).value_text());
    let spread = example::alert().spread_24h.low;
    let counts = [(1, 40), (2, 7), (4, 4), (6, spread)];
    check(
        at,
        "stix",
        &bundle,
        &counts.map(|(number, count)| format!("{} {count}", pattern(number))),
    );
    let read: Value = serde_json::from_str(&bundle).unwrap();
    let objects = read["objects"].as_array().unwrap().iter();
    let sightings: Vec<&Value> = objects.filter(|object| object["type"] == "sighting").collect();
    let told: Vec<u64> = sightings
        .iter()
        .map(|object| object["count"].as_u64().unwrap())
        .collect();
    assert_eq!(told, counts.map(|(_, count)| count));
    let of_second = sightings[1];
    assert_eq!(
        (&of_second["first_seen"], &of_second["last_seen"], &of_second["summary"]),
        (
            &json!("2026-01-02T00:00:00.000Z"),
            &json!("2026-01-03T00:00:00.500Z"),
            &json!(true)
        )
    );
    assert_eq!(
        of_second["where_sighted_refs"].as_array().unwrap().len(),
        1,
        "one platform"
    );
    let about = |place: usize| {
        sightings[place]["description"]
            .as_str()
            .unwrap()
            .starts_with("at least")
    };
    assert_eq!(
        [0, 2, 3].map(about),
        [false, true, true],
        "exact, not exact, of a family"
    );

    // 3 has a further content, of which its family's decision is not silent.
    let mut of_two = seen(&md5(3), 13, 11, 9);
    let further = json!({"content": ContentId(12).to_string(), "family": ContentId(11).to_string()});
    of_two["contents"].as_array_mut().unwrap().push(further);
    *pages.lock().unwrap() = vec![page(json!([of_two]), None)];
    let told = reactions(&with_key);
    assert!(
        told.contains(&line(3, "HELPFUL")) && told.contains(&line(3, "SAW_THIS_TOO")),
        "one of two is excepted: {told:?}"
    );

    // Every party's scope has the same name.
    *pages.lock().unwrap() = vec![json!({"scope": "party", "sightings": [], "next": null})];
    let refused = |team: &str| {
        let refused = process::Command::new(env!("CARGO_BIN_EXE_tocsin"))
            .args(["watch", "export", "--bank", "NORTH", "--format", "stix", "--team", team])
            .args(with_key)
            .env("TOCSIN_STORE__URL", &url)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success(), "{said}");
        assert!(refused.stdout.is_empty(), "no half of a bundle");
        said
    };
    let said = refused("coordinators");
    assert!(said.contains("scope party"), "{said}");
    let mut alpha = None;
    for name in ["alpha", "beta"] {
        let platform = format!("{name}-app").parse().unwrap();
        let party = store.add_party(&name.parse().unwrap(), &[platform]).await.unwrap();
        alpha = alpha.or(Some(party.id));
    }
    let said = refused("alpha");
    assert!(
        said.contains("scope coordinators") && said.contains("those of alpha"),
        "{said}"
    );
    let alpha = KeySubject::Party(alpha.unwrap());
    let (_, shown) = store.issue_key(alpha, Roles::of(&[Role::Reader])).await.unwrap();
    std::fs::write(&key_file, shown.expose()).unwrap();
    let said = refused("beta");
    assert!(
        said.contains("scope party alpha") && said.contains("those of beta"),
        "{said}"
    );
    export(at, "stix", &[&with_key[..], &["--team", "alpha"]].concat());
    std::fs::write(&key_file, "of-nobody").unwrap();
    let said = refused("alpha");
    assert!(said.contains("unknown"), "{said}");
    store.close().await;
}
