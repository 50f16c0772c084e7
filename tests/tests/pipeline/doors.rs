//! Goal: uploads come in as Osprey's actions and go out as CloudEvents and actions, on both logs: each party's topic holds what that party may
//! see, in the words of the API, and nothing else.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use serde_json::{Value, json};
use tocsin::serve::open_store;
use tocsin_casework::Team;
use tocsin_log::{Append, Cleanup, Record, SharedLog, TopicPartition, TopicSpec};
use tocsin_model::{Event, Sharing};
use tocsin_store::{EndpointKind, NewEndpoint};
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, records};
use tocsin_tests::site::{ALPHA, BETA, BETA_PLATFORM, Site, Time, ingest_topic};
use tocsin_tests::traffic::{share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::encode_batch;
use tocsin_wire::osprey::{self, NewAction};

use crate::osprey::write_mapping;
use crate::retries::now;

const MAPPING: &str = r#"
sharing = "all"
account_key_file = "KEY"

[[action]]
name = "media_uploaded"
kind = "upload"
platform = "alpha-video"
account_at = "/user/id"

[[action.hash]]
algorithm = "url"
at = "/media/url"
"#;

/// Osprey's input topic on the same brokers.
const OSPREY: &str = "osprey.actions_input";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_come_in_and_alerts_go_out_to_those_who_may_see_them() {
    on_each_log(async |ground| check(ground).await).await;
}

async fn check(ground: &Ground) -> Result<()> {
    let files = tempfile::tempdir()?;
    let mapping = write_mapping(files.path(), MAPPING);
    let site = Site::with(ground, Time::Live, 4, &[("intake.osprey_mappings.alpha", &mapping)]).await?;
    add_endpoints(&site).await?;
    let deployment = Deployment::start(&site).await?;
    let (api, keys, log) = (&deployment.api, &site.keys, &deployment.log);
    make_input_topic_of_osprey(log)?;

    let sent = (1..=40).map(|number| upload(number, &url(1))).collect();
    append(log, sent).await?;
    let told = until("both parties are told", async || {
        let (alpha, beta) = (told(log, ALPHA)?, told(log, BETA)?);
        Ok((!alpha.is_empty() && !beta.is_empty()).then(|| (alpha[0].clone(), beta[0].clone())))
    })
    .await?;
    assert_eq!(header(&told.0, "ce_id"), header(&told.1, "ce_id"));
    assert_eq!(header(&told.0, "ce_type"), "tocsin.alert.raised");
    let shown_to = async |key: &str| {
        let shown = until("the API shows the alert", async || {
            let alerts = api.alerts(key).await?;
            Ok(alerts.into_iter().find(|alert| alert["id"] == header(&told.0, "ce_id")))
        });
        shown.await
    };
    let (shown, shown_to_beta) = (shown_to(&keys.alpha).await?, shown_to(&keys.beta).await?);
    let document: Value = serde_json::from_slice(told.0.value.as_deref().context("a value")?)?;
    assert_eq!(document, shown);
    let told_to_beta: Value = serde_json::from_slice(told.1.value.as_deref().context("a value")?)?;
    assert_eq!(told_to_beta, shown_to_beta);
    // The accounts are alpha's: beta is told them rounded, and everything else alike.
    let accounts = |alert: &Value| alert["platforms"][0]["accounts"]["disclosure"].clone();
    assert_eq!(
        (accounts(&shown), accounts(&shown_to_beta)),
        (json!("full"), json!("rounded"))
    );
    let [of_alpha, of_beta] = [&shown, &shown_to_beta].map(|alert| {
        let mut alert = alert.clone();
        alert["platforms"][0]["accounts"] = Value::Null;
        alert["trigger"]["accounts_sum_over_platforms"] = Value::Null;
        alert["forecast"]["accounts"] = Value::Null;
        alert
    });
    assert_eq!(of_alpha, of_beta);
    assert_eq!(document["hash"], json!({"algorithm": "url", "value": url(1)}));

    let action = until("Osprey is told", async || {
        let found = records(log, OSPREY)?;
        let read = found
            .iter()
            .filter_map(|record| osprey::decode(record.value.as_deref()?, None).ok());
        Ok(read.into_iter().find(|action| action.data["id"] == shown["id"]))
    })
    .await?;
    let shown_to_coordinators = shown_to(&keys.coordinators).await?;
    assert_eq!(
        (action.name.as_str(), &action.data),
        ("virality_alert", &shown_to_coordinators)
    );

    // What beta keeps to itself rings for beta alone.
    let own: Vec<Event> = (1..=40)
        .map(|number| Event {
            sharing: Sharing::Party,
            ..share(number, BETA_PLATFORM, &url(2), now())
        })
        .collect();
    let (status, answer) = api
        .post(&keys.beta, "/v1/events", "application/avro", encode_batch(&own))
        .await?;
    assert_eq!(status, 202, "{answer}");
    until("beta is told of its own", async || {
        let own = told_of(log, BETA, "party")?;
        Ok((own > 0).then_some(()))
    })
    .await?;
    assert_eq!(told_of(log, ALPHA, "party")?, 0);
    deployment.stop().await
}

async fn add_endpoints(site: &Site) -> Result<()> {
    let store = open_store(&site.config()?).await?;
    for party in [ALPHA, BETA] {
        let id = store.party_named(&party.parse()?).await?.id;
        let endpoint = endpoint(
            party,
            Team::Party(id),
            EndpointKind::Kafka,
            format!("tocsin.deliveries.{party}"),
        )?;
        store.add_endpoint(&endpoint).await?;
    }
    let rules = endpoint("rules", Team::Coordinators, EndpointKind::Osprey, OSPREY.to_owned())?;
    store.add_endpoint(&rules).await?;
    store.close().await;
    Ok(())
}

fn endpoint(name: &str, team: Team, kind: EndpointKind, target: String) -> Result<NewEndpoint> {
    let endpoint = NewEndpoint {
        name: name.parse()?,
        team,
        kind,
        target,
        settings: Default::default(),
        secret: String::new(),
    };
    tocsin_dispatcher::check_endpoint(&endpoint, &[])?;
    Ok(endpoint)
}

fn make_input_topic_of_osprey(log: &SharedLog) -> Result<()> {
    let spec = TopicSpec {
        name: OSPREY.to_owned(),
        partitions: 1,
        cleanup: Cleanup::Delete,
        retention_ms: None,
        record_bytes_max: 1 << 20,
        may_grow: false,
        compaction: None,
    };
    Ok(tokio::task::block_in_place(|| log.ensure_topics(&[spec]))?)
}

/// Every other one in the form of Osprey's coordinator.
fn upload(number: u64, url: &str) -> Append {
    let action = NewAction {
        id: number,
        name: "media_uploaded",
        at: now(),
        data: json!({"user": {"id": number}, "media": {"url": url}}),
    };
    let value = match number % 2 {
        0 => osprey::encode_worker(action),
        _ => osprey::encode_coordinator(action),
    };
    Append {
        to: TopicPartition::new(ingest_topic(ALPHA).to_string(), 0),
        key: None,
        value: Some(Bytes::from(value)),
        headers: Vec::new(),
    }
}

fn told(log: &SharedLog, party: &str) -> Result<Vec<Record>> {
    let topic = format!("tocsin.deliveries.{party}");
    let exists = tokio::task::block_in_place(|| log.topics())?
        .iter()
        .any(|found| found.name == topic);
    match exists {
        true => records(log, &topic),
        false => Ok(Vec::new()),
    }
}

/// How many alerts of this scope a party was told of.
fn told_of(log: &SharedLog, party: &str, scope: &str) -> Result<usize> {
    let found = told(log, party)?;
    let documents = found.iter().filter_map(|record| record.value.as_deref());
    let documents = documents.filter_map(|value| serde_json::from_slice::<Value>(value).ok());
    Ok(documents.filter(|document| document["scope"] == scope).count())
}

fn header(record: &Record, name: &str) -> String {
    let found = record.headers.iter().find(|header| header.name == name);
    found.map_or_else(String::new, |header| {
        String::from_utf8_lossy(&header.value).into_owned()
    })
}
