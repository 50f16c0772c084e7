//! Goal: every route answers every kind of key, in every role, about what is whose, as a table says that was written by hand; over HTTP, on both
//! stores. The routes come from the description of the API: one that the table does not know fails the test.
#![allow(missing_docs)]

mod certificates;
mod matrix;
mod sign_in;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tocsin_model::{Event, Sharing};
use tocsin_tests::api::Api;
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_store};
use tocsin_tests::site::{BETA_PLATFORM, Keys, Site, Time};
use tocsin_tests::traffic::{share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::encode_batch;

use matrix::{Found, Matrix, Whose};
use table::Table;

#[test]
fn every_route_of_the_description_is_in_the_table_and_no_other() {
    let (described, table) = (table::described(), Table::read());
    let known: BTreeSet<&str> = table.routes.iter().map(|row| row.route.as_str()).collect();
    assert_eq!(known.len(), table.routes.len(), "each route has one row");
    let untested: Vec<&String> = described
        .iter()
        .filter(|route| !known.contains(route.as_str()))
        .collect();
    let gone: Vec<&&str> = known.iter().filter(|route| !described.contains(**route)).collect();
    assert!(
        untested.is_empty(),
        "say who may use these routes, in tests/tests/security/access.toml: {untested:#?}"
    );
    assert!(
        gone.is_empty(),
        "these routes are no more; take them out of tests/tests/security/access.toml: {gone:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_is_answered_as_the_table_says() {
    let found = std::sync::Mutex::new(Found::default());
    on_each_store(async |settings| {
        let of_store = check(settings).await?;
        found
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .add(of_store);
        Ok(())
    })
    .await;
    let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let described = table::described();
    let untested = described.difference(&found.tested).count();
    println!(
        "{} answers: {} wrong grants, {} wrong refusals",
        found.answers,
        found.wrong_grants.len(),
        found.wrong_refusals.len()
    );
    if let Ok(directory) = std::env::var("TOCSIN_FIGURES") {
        let figures = json!({
            "access_answers": found.answers,
            "access_routes": described.len(),
            "wrong_grants": found.wrong_grants.len(),
            "wrong_refusals": found.wrong_refusals.len(),
            "untested_routes": untested,
        });
        std::fs::write(
            std::path::Path::new(&directory).join("access.json"),
            figures.to_string(),
        )
        .expect("figures are written");
    }
    assert_eq!(found.wrong_grants, Vec::<String>::new());
    assert_eq!(found.wrong_refusals, Vec::<String>::new());
    assert_eq!(untested, 0);
}

async fn check(settings: &[(&str, &str)]) -> Result<Found> {
    let site = Site::with(&Ground::Embedded, Time::Live, 4, settings).await?;
    let matrix = Matrix::issue(&site).await?;
    let deployment = Deployment::start(&site).await?;
    let things = happen(&deployment, &site).await?;
    let table = Table::read();
    let shared = &things["shared_incident"][&Whose::Alpha][0];
    // Before alpha leaves it.
    let mut found = matrix.play_participant(&deployment.api, &table, shared).await?;
    found.add(matrix.play(&deployment.api, &table, &things).await?);
    deployment.stop().await?;
    Ok(found)
}

/// One family of each sharing, each of which rings; what came of it, by whose it is.
async fn happen(deployment: &Deployment, site: &Site) -> Result<BTreeMap<&'static str, BTreeMap<Whose, Vec<String>>>> {
    let (api, keys) = (&deployment.api, &site.keys);
    let families = [
        (Whose::All, &keys.alpha, "alpha-video", Sharing::All),
        (Whose::Coordinators, &keys.beta, BETA_PLATFORM, Sharing::Coordinators),
        (Whose::Alpha, &keys.alpha, "alpha-video", Sharing::Party),
        (Whose::Beta, &keys.beta, BETA_PLATFORM, Sharing::Party),
    ];
    let now = now()?;
    for (number, (_, key, platform, sharing)) in families.iter().enumerate() {
        let events: Vec<Event> = (1..=40)
            .map(|event| Event {
                sharing: *sharing,
                ..share(1_000 * number as u128 + event, platform, &url(number), now)
            })
            .collect();
        let (status, answer) = api
            .post(key, "/v1/events", "application/avro", encode_batch(&events))
            .await?;
        anyhow::ensure!(status == 202, "{answer}");
    }
    let mut things: BTreeMap<&str, BTreeMap<Whose, Vec<String>>> = BTreeMap::new();
    for (number, (whose, key, ..)) in families.iter().enumerate() {
        let reader = if *whose == Whose::Coordinators {
            &keys.coordinators
        } else {
            key
        };
        let scope = match whose {
            Whose::All => "all",
            Whose::Coordinators => "coordinators",
            Whose::Alpha | Whose::Beta => "party",
        };
        let hash = url(number);
        let alert = until("it rings", async || {
            let alerts = api.alerts(reader).await?;
            let of_family = |alert: &&Value| alert["hash"]["value"] == hash.as_str() && alert["scope"] == scope;
            Ok(alerts.iter().find(of_family).cloned())
        })
        .await?;
        let (family, id) = (text(&alert, "family")?, text(&alert, "id")?);
        if *whose != Whose::All {
            let case = until("it is a case", async || {
                let queue = api.read(reader, "/v1/queue", &[("limit", "200")]).await?;
                let cases = queue["cases"].as_array().context("cases is a list")?.clone();
                Ok(cases.into_iter().find(|case| case["family"] == family.as_str()))
            })
            .await?;
            things
                .entry("case")
                .or_default()
                .insert(*whose, vec![text(&case, "id")?]);
        }
        until("its figures are there", async || Ok(api.look_up(reader, &hash).await?)).await?;
        things.entry("family").or_default().insert(*whose, vec![family, hash]);
        things.entry("alert").or_default().insert(*whose, vec![id]);
    }
    things.insert("notice", notices(api, keys).await?);
    things.insert("preservation", preservations(api, keys).await?);
    things.insert("appeal", appeals(api, keys).await?);
    things.insert("review", BTreeMap::from([(Whose::All, vec!["5ec0".repeat(8)])]));
    let of_all = things["family"][&Whose::All][0].clone();
    let of_coordinators = until("it is a case of the coordinators", async || {
        let queue = api.read(&keys.coordinators, "/v1/queue", &[("limit", "200")]).await?;
        let cases = queue["cases"].as_array().context("cases is a list")?.clone();
        let case = cases.into_iter().find(|case| case["family"] == of_all.as_str());
        case.map(|case| text(&case, "id")).transpose()
    })
    .await?;
    things.insert(
        "coordinators_case",
        BTreeMap::from([(Whose::All, vec![of_coordinators.clone()])]),
    );
    let incident = declare(api, keys, (&of_all, &of_coordinators)).await?;
    packed(api, keys, &incident).await?;
    things.insert("incident", BTreeMap::from([(Whose::Coordinators, vec![incident])]));
    let shared = shared_incident(api, keys, (&of_all, &of_coordinators)).await?;
    things.insert("shared_incident", BTreeMap::from([(Whose::Alpha, vec![shared])]));
    Ok(things)
}

/// One notice to each team.
async fn notices(api: &Api, keys: &Keys) -> Result<BTreeMap<Whose, Vec<String>>> {
    let mut notices = BTreeMap::new();
    let teams = [
        (Whose::Coordinators, &keys.coordinators),
        (Whose::Alpha, &keys.alpha),
        (Whose::Beta, &keys.beta),
    ];
    for (whose, key) in teams {
        let notice = json!({
            "kind": "removal_order", "authority": "an authority", "reference": "one", "received_at": "2026-01-01T00:00:00Z",
            "content": {"algorithm": "url", "value": format!("https://tests.invalid/notice/{whose:?}")},
        });
        let filed = api.act(key, "/v1/notices", &notice).await?;
        notices.insert(whose, vec![text(&filed, "id")?]);
    }
    Ok(notices)
}

/// What the order to each party is preserved by, once its copy is sealed.
async fn preservations(api: &Api, keys: &Keys) -> Result<BTreeMap<Whose, Vec<String>>> {
    let mut preservations = BTreeMap::new();
    for (whose, key) in [(Whose::Alpha, &keys.alpha), (Whose::Beta, &keys.beta)] {
        let sealed = until("the copy of an order is sealed", async || {
            let page = api.read(key, "/v1/preservations", &[("state", "sealed")]).await?;
            Ok(page["preservations"].as_array().and_then(|all| all.first()).cloned())
        })
        .await?;
        preservations.insert(whose, vec![text(&sealed, "id")?]);
    }
    Ok(preservations)
}

/// One appeal to each team.
async fn appeals(api: &Api, keys: &Keys) -> Result<BTreeMap<Whose, Vec<String>>> {
    let mut appeals = BTreeMap::new();
    let teams = [
        (Whose::Coordinators, &keys.coordinators, "alpha-video"),
        (Whose::Alpha, &keys.alpha, "alpha-video"),
        (Whose::Beta, &keys.beta, BETA_PLATFORM),
    ];
    for (whose, key, platform) in teams {
        let appeal = json!({
            "reference": "one", "platform": platform, "reason": "it is news",
            "content": {"algorithm": "url", "value": format!("https://tests.invalid/appeal/{whose:?}")},
        });
        let filed = api.act(key, "/v1/appeals", &appeal).await?;
        appeals.insert(whose, vec![text(&filed, "id")?]);
    }
    Ok(appeals)
}

/// From a case of the coordinators, which others may not hear of.
async fn declare(api: &Api, keys: &Keys, (family, case): (&str, &str)) -> Result<String> {
    let incident = json!({"title": "an incident", "protocol": "crisis", "protocol_version": 1, "families": [family], "case": case});
    text(&api.act(&keys.coordinators, "/v1/incidents", &incident).await?, "id")
}

/// An incident in which alpha takes part: with a part of a step, a task of its own and a pack of hashes.
async fn shared_incident(api: &Api, keys: &Keys, from: (&str, &str)) -> Result<String> {
    let id = declare(api, keys, from).await?;
    let act = async |what: &str, body: Value| {
        api.act(&keys.coordinators, &format!("/v1/incidents/{id}/{what}"), &body)
            .await
    };
    act("participants", json!({"party": "alpha", "class": "platforms"})).await?;
    act("activate", json!({"level": "awareness", "reason": "why"})).await?;
    let due = tocsin_wire::document::instant(tocsin_model::Timestamp(now()?.0 + 3_600_000));
    act("tasks", json!({"does": "look", "owner": "alpha", "due": due})).await?;
    packed(api, keys, &id).await?;
    Ok(id)
}

/// Makes a pack of an incident's hashes. The dispatcher reads the state again for a family of which the coordinators had no case.
async fn packed(api: &Api, keys: &Keys, incident: &str) -> Result<()> {
    until("its hashes are known", async || {
        let path = format!("/v1/incidents/{incident}/packs");
        let (status, _) = api
            .post(&keys.coordinators, &path, "application/json", b"{}".to_vec())
            .await?;
        Ok((status < 300).then_some(()))
    })
    .await
}

fn now() -> Result<tocsin_model::Timestamp> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(tocsin_model::Timestamp(since.as_millis() as i64))
}

fn text(of: &Value, name: &str) -> Result<String> {
    Ok(of[name].as_str().with_context(|| format!("{name} in {of}"))?.to_owned())
}
