//! Goal: a picture that spreads, or is watch-listed, is found by its variants as HMA finds them, by those who may see it, until that is over.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tocsin::serve::open_store;
use tocsin_model::{Algorithm, ContentHash, Event, Severity, Sharing};
use tocsin_tests::api::Api;
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, ingest};
use tocsin_tests::site::{ALPHA, Site, Time};
use tocsin_tests::traffic::share;
use tocsin_tests::wait::until;
use tocsin_wire::event::encode_single_object;

use crate::retries::now;

const COPIES: u8 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_found_by_its_variants() {
    on_each_log(async |ground| check(ground).await).await;
}

/// A picture's PDQ hash with so many bits flipped.
fn picture(pattern: u8, flips: u8) -> ContentHash {
    let mut pdq = [pattern; 32];
    (0..flips).for_each(|flip| pdq[usize::from(flip)] ^= 0x10);
    ContentHash::from_bytes(Algorithm::Pdq, pdq.to_vec(), Some(80)).unwrap()
}

/// The matches of a bank at their distances, and no other bank.
async fn distances(api: &Api, key: &str, hash: &ContentHash, bank: &str) -> Result<Vec<Value>> {
    let query = [("signal_type", "pdq"), ("signal", &hash.value_text())];
    let answer = api.read(key, "/m/lookup", &query).await?;
    let banks = answer.as_object().context("an answer is by bank")?;
    ensure!(banks.keys().all(|name| name == bank), "{answer}");
    let matches = banks.get(bank).and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(matches.into_iter().map(|found| found["distance"].clone()).collect())
}

async fn check(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Live, 4).await?;
    let deployment = Deployment::start(&site).await?;
    let (api, keys) = (&deployment.api, &site.keys);
    let (public, private, listed) = (picture(0x1e, 0), picture(0x2d, 0), picture(0x3c, 0));
    let mut records = Vec::new();
    for copy in 0..COPIES {
        for (number, hash, sharing) in [(0, &public, Sharing::All), (1, &private, Sharing::Party)] {
            let id = 4_000 + number * 100 + u128::from(copy);
            let event = Event {
                content: vec![hash.clone()],
                sharing,
                ..share(id, "alpha-video", "https://tests.invalid/", now())
            };
            records.push(ingest(ALPHA, Some(encode_single_object(&event)), None));
        }
    }
    append(&deployment.log, records).await?;
    for (hash, variant, distance) in [(&public, picture(0x1e, 31), "31"), (&private, picture(0x2d, 7), "7")] {
        until("alpha finds its picture", async || {
            let found = distances(api, &keys.alpha, &variant, "HOT_FAMILIES").await?;
            Ok((found == [distance]).then_some(()))
        })
        .await?;
        let query = [("algorithm", "pdq"), ("value", &hash.value_text())];
        until("all its copies are counted", async || {
            let answer = api.read(&keys.alpha, "/v1/counts", &query).await?;
            let spread = &answer["counts"][0]["windows"][1]["spread"];
            let exact = answer["counts"][0]["state"] == "hot" && spread["high"] == COPIES;
            Ok(exact.then_some(()))
        })
        .await?;
    }
    for key in [&keys.beta, &keys.coordinators] {
        assert_eq!(distances(api, key, &public, "HOT_FAMILIES").await?, ["0"]);
        assert_eq!(
            distances(api, key, &picture(0x1e, 32), "HOT_FAMILIES").await?,
            Vec::<Value>::new()
        );
        assert_eq!(
            distances(api, key, &private, "HOT_FAMILIES").await?,
            Vec::<Value>::new()
        );
        let query = [("algorithm", "pdq"), ("value", &private.value_text())];
        let answer = api.read(key, "/v1/counts", &query).await?;
        assert_eq!(answer["counts"][0]["state"], "unseen");
    }

    let store = open_store(&site.config()?).await?;
    let source = "north-list".parse()?;
    let severity = Severity::new(3).context("3 is a severity")?;
    store.watch(&listed, &source, severity).await?;
    until("what is listed is found", async || {
        let found = distances(api, &keys.beta, &picture(0x3c, 3), "NORTH_LIST").await?;
        Ok((found == ["3"]).then_some(()))
    })
    .await?;
    let index = api
        .read(&keys.beta, "/m/index/status", &[("signal_type", "pdq")])
        .await?;
    assert_eq!(
        (&index["pdq"]["present"], &index["pdq"]["size"]),
        (&json!(true), &json!(2))
    );
    store.unwatch(&listed, &source).await?;
    store.close().await;
    until("what is listed no more is withdrawn", async || {
        let index = api
            .read(&keys.beta, "/m/index/status", &[("signal_type", "pdq")])
            .await?;
        Ok((index["pdq"]["size"] == 1).then_some(()))
    })
    .await?;
    deployment.stop().await
}
