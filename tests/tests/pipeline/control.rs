//! Goal: what is watch-listed rings at its first sighting, whoever lists it and as long as it is listed; and a calibration changes what pages from
//! its stated tick on.

use anyhow::{Context as _, Result};
use serde_json::Value;
use tocsin::serve::open_store;
use tocsin_log::{Append, TopicPartition};
use tocsin_model::{BankEntry, BankName, Calibration, Milliseconds, Sampled, Severity, Timestamp};
use tocsin_store::{BankSettings, Store};
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, ingest};
use tocsin_tests::site::{ALPHA, Site, Time};
use tocsin_tests::traffic::{content, share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::encode_single_object;
use tocsin_wire::{SightingsRecord, topics};

const PARTITIONS: u16 = 4;
/// When the first event is received.
const BEGIN: Timestamp = Timestamp(1_770_000_000_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_content_rings_at_its_first_sighting() {
    on_each_log(async |ground| check_watch(ground).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_in_the_place_of_another_rings_alone() {
    on_each_log(async |ground| check_bank(ground).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_calibration_changes_what_pages_from_its_tick_on() {
    on_each_log(async |ground| check_calibration(ground).await).await;
}

/// So many copies of a content, one a second from `from` on.
async fn publish(deployment: &Deployment, url: &str, from: Timestamp, copies: u8) -> Result<()> {
    let record = |copy: u8| {
        let at = from + Milliseconds::from_seconds(i64::from(copy));
        let id = (from.0 as u128) << 8 | u128::from(copy);
        let event = share(id, "alpha-video", url, at);
        ingest(ALPHA, Some(encode_single_object(&event)), Some(at))
    };
    append(&deployment.log, (0..copies).map(record).collect()).await?;
    Ok(())
}

/// The first alert about a content.
async fn first_alert(deployment: &Deployment, key: &str, url: &str) -> Result<Value> {
    until("the content rings", async || {
        let alerts = deployment.api.alerts(key).await?;
        Ok(alerts.into_iter().find(|alert| alert["hash"]["value"] == url))
    })
    .await
}

async fn check_watch(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Supplied, PARTITIONS).await?;
    let deployment = Deployment::start(&site).await?;
    let (watched, other) = (url(1), url(2));
    let store = open_store(&site.config()?).await?;
    let severity = Severity::new(3).context("3 is a severity")?;
    ensure_changed(store.watch(&content(&watched), &"example".parse()?, severity).await?)?;
    until("the watch list is published", async || {
        let published = deployment
            .api
            .metric("tocsin_dispatcher_watch_changes_published_total")
            .await?;
        Ok((published == Some(1.0)).then_some(()))
    })
    .await?;
    publish(&deployment, &other, BEGIN, 1).await?;
    publish(&deployment, &watched, BEGIN + Milliseconds::from_minutes(1), 1).await?;
    let alert = first_alert(&deployment, &site.keys.beta, &watched).await?;
    assert_eq!(
        (&alert["level"], &alert["reason"], &alert["episode"]),
        (&"raised".into(), &"watch_list".into(), &1.into()),
        "{alert}"
    );
    let terms = alert["priority_terms"].as_array().context("terms are a list")?;
    let term = |name: &str| {
        terms
            .iter()
            .find(|term| term["name"] == name)
            .map(|term| &term["value"])
    };
    assert_eq!(term("severity"), Some(&3.0.into()), "{alert}");
    assert!(term("watch").and_then(Value::as_f64).is_some_and(|value| value > 0.0));

    // Taken off again, its next sighting a day later is one like any other.
    ensure_changed(store.unwatch(&content(&watched), &"example".parse()?).await?)?;
    store.close().await;
    until("the watch list is published", async || {
        let published = deployment
            .api
            .metric("tocsin_dispatcher_watch_changes_published_total")
            .await?;
        Ok((published == Some(2.0)).then_some(()))
    })
    .await?;
    let later = BEGIN + Milliseconds::from_hours(30);
    publish(&deployment, &watched, later, 1).await?;
    publish(&deployment, &url(3), later + Milliseconds::from_minutes(1), 35).await?;
    first_alert(&deployment, &site.keys.beta, &url(3)).await?;
    let alerts = deployment.api.alerts(&site.keys.beta).await?;
    let raised = alerts.iter().filter(|alert| alert["level"] == "raised");
    let raised: Vec<&Value> = raised.map(|alert| &alert["hash"]["value"]).collect();
    assert_eq!(raised, [&watched, &url(3)]);
    deployment.stop().await
}

/// Puts a list of one URL in the place of a bank's.
async fn replace(store: &Store, bank: &BankName, url: &str) -> Result<()> {
    let mut staged = store.begin_list(bank).await?;
    store.stage(&mut staged, &[BankEntry::new(content(url))]).await?;
    store.switch_list(staged).await?;
    Ok(())
}

async fn check_bank(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Supplied, PARTITIONS).await?;
    let deployment = Deployment::start(&site).await?;
    let published = async |count: f64| {
        until("the watch list is published", async || {
            let metric = "tocsin_dispatcher_watch_changes_published_total";
            Ok((deployment.api.metric(metric).await? == Some(count)).then_some(()))
        })
        .await
    };
    let store = open_store(&site.config()?).await?;
    let bank: BankName = "EXAMPLE".parse()?;
    let settings = BankSettings {
        source: "example".parse()?,
        severity: Severity::MAX,
        enabled: true,
        sampled: Sampled::ALL,
    };
    store.set_bank(&bank, &settings).await?;
    replace(&store, &bank, &url(1)).await?;
    published(1.0).await?;
    replace(&store, &bank, &url(2)).await?;
    store.close().await;
    published(3.0).await?;
    publish(&deployment, &url(1), BEGIN, 1).await?;
    publish(&deployment, &url(2), BEGIN + Milliseconds::from_minutes(1), 1).await?;
    let alert = first_alert(&deployment, &site.keys.beta, &url(2)).await?;
    let terms = alert["priority_terms"].as_array().context("terms are a list")?;
    let severity = terms.iter().find(|term| term["name"] == "severity");
    assert_eq!(
        severity.map(|term| &term["value"]),
        Some(&4.0.into()),
        "the bank's: {alert}"
    );
    let alerts = deployment.api.alerts(&site.keys.beta).await?;
    assert!(
        alerts.iter().all(|alert| alert["hash"]["value"] == url(2)),
        "{alerts:?}"
    );
    deployment.stop().await
}

async fn check_calibration(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Supplied, PARTITIONS).await?;
    let deployment = Deployment::start(&site).await?;
    let calibration = Calibration {
        number: 7,
        effective_from: BEGIN + Milliseconds::from_minutes(10),
        page_threshold: 0.001,
        pages_per_day: 40.0,
        episodes: 0,
        at: BEGIN,
        platforms: Vec::new(),
    };
    // The older one comes last and says nothing.
    let older = Calibration {
        number: 6,
        page_threshold: 1e12,
        ..calibration.clone()
    };
    let told = [calibration, older].into_iter().flat_map(|calibration| {
        let value = SightingsRecord::Calibration(calibration).encode();
        (0..u32::from(PARTITIONS)).map(move |partition| Append {
            to: TopicPartition::new(topics::SIGHTINGS, partition),
            key: None,
            value: Some(value.clone().into()),
            headers: Vec::new(),
        })
    });
    append(&deployment.log, told.collect()).await?;
    publish(&deployment, &url(1), BEGIN, 35).await?;
    publish(&deployment, &url(2), BEGIN + Milliseconds::from_minutes(20), 35).await?;
    let before = first_alert(&deployment, &site.keys.beta, &url(1)).await?;
    let after = first_alert(&deployment, &site.keys.beta, &url(2)).await?;
    assert_eq!(
        (&before["paged"], &before["pages_per_day"]),
        (&false.into(), &15.0.into()),
        "{before}"
    );
    assert_eq!(
        (&after["paged"], &after["page_threshold"], &after["pages_per_day"]),
        (&true.into(), &0.001.into(), &40.0.into()),
        "{after}"
    );
    deployment.stop().await
}

fn ensure_changed(changed: bool) -> Result<()> {
    anyhow::ensure!(changed, "the watch list did not change");
    Ok(())
}
