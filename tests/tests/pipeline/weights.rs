//! Goal: what a team overturns goes through the log to the key groups, lowers in its own scope what the evidence says that was to blame, and nowhere else.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tocsin::serve::open_store;
use tocsin_model::{Event, Milliseconds, Severity, Sharing, Timestamp};
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, ingest};
use tocsin_tests::site::{ALPHA, Site, Time};
use tocsin_tests::traffic::{content, share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::encode_single_object;

const PARTITIONS: u16 = 4;
const BEGIN: Timestamp = Timestamp(1_770_000_000_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_team_overturned_lowers_what_a_list_says_in_its_scope_alone() {
    on_each_log(async |ground| check(ground).await).await;
}

/// One upload of a content, and one of another a minute later: time goes on with events.
async fn publish(deployment: &Deployment, number: usize, sharing: Sharing) -> Result<()> {
    let record = |number: usize, minutes: usize, sharing: Sharing| {
        let at = BEGIN + Milliseconds::from_minutes(minutes as i64);
        let event = Event {
            sharing,
            ..share(number as u128, "alpha-video", &url(number), at)
        };
        ingest(ALPHA, Some(encode_single_object(&event)), Some(at))
    };
    let records = vec![
        record(number, 2 * number, sharing),
        record(100 + number, 2 * number + 1, Sharing::All),
    ];
    append(&deployment.log, records).await?;
    Ok(())
}

/// By how much the first alert about a content counts the watch list for less, and what it says of it.
async fn lowered(deployment: &Deployment, key: &str, number: usize) -> Result<Option<f64>> {
    let url = url(number);
    let alert = until(&format!("content {number} rings"), async || {
        let alerts = deployment.api.alerts(key).await?;
        Ok(alerts.into_iter().find(|alert| alert["hash"]["value"] == url.as_str()))
    })
    .await?;
    let terms = alert["priority_terms"].as_array().context("terms are a list")?;
    let term = |name: &str| {
        let found = terms.iter().find(|term| term["name"] == name);
        found.and_then(|term| term["value"].as_f64())
    };
    ensure!(term("watch") == Some(8.0), "{alert}");
    Ok(term("watch_overturned"))
}

async fn check(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Supplied, PARTITIONS).await?;
    let deployment = Deployment::start(&site).await?;
    let store = open_store(&site.config()?).await?;
    let severity = Severity::new(3).context("3 is a severity")?;
    for number in 1..=3 {
        store
            .watch(&content(&url(number)), &"example".parse()?, severity)
            .await?;
    }
    store.close().await;
    let metric = async |name: &str, wanted: f64| {
        until(name, async || {
            Ok((deployment.api.metric(name).await? == Some(wanted)).then_some(()))
        })
        .await
    };
    metric("tocsin_dispatcher_watch_changes_published_total", 3.0).await?;
    publish(&deployment, 0, Sharing::All).await?;
    publish(&deployment, 1, Sharing::Party).await?;
    let key = site.keys.alpha.as_str();
    ensure!(lowered(&deployment, key, 1).await?.is_none());

    let appeal = json!({
        "reference": "A-1", "platform": "alpha-video", "content": {"algorithm": "url", "value": url(1)},
        "reason": "it is a news report",
    });
    let filed = deployment.api.act(key, "/v1/appeals", &appeal).await?;
    let path = format!("/v1/appeals/{}", filed["id"].as_str().context("an appeal has an id")?);
    let claimed = deployment.api.act(key, &format!("{path}/claim"), &json!({})).await?;
    let answer = json!({
        "fencing": claimed["fencing"], "outcome": "overturned", "concerns": "family", "cause": "listing", "note": "news",
    });
    let answered: Value = deployment.api.act(key, &format!("{path}/answer"), &answer).await?;
    ensure!(answered["state"] == "answered", "{answered}");
    metric("tocsin_dispatcher_weighings_published_total", 1.0).await?;

    publish(&deployment, 2, Sharing::Party).await?;
    let own = lowered(&deployment, key, 2).await?.context("it is lowered")?;
    // One of one, beside the ten that are taken to have stood: 10/11 of the 8 that the list says.
    ensure!((own + 8.0 / 11.0).abs() < 1e-9, "{own}");
    publish(&deployment, 3, Sharing::All).await?;
    ensure!(lowered(&deployment, &site.keys.beta, 3).await?.is_none());
    deployment.stop().await
}
