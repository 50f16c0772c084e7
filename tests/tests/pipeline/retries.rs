//! Goal: an event that its producer sends again counts once, whichever way it comes.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tocsin_model::{Event, Timestamp};
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, ingest};
use tocsin_tests::site::{ALPHA, Site, Time};
use tocsin_tests::traffic::{share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::{encode_batch, encode_single_object, to_json};

/// The host's time: what a live platform stamps its events with.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

/// Every window counted so many, exactly.
pub fn exactly(answer: &Value, count: u64) {
    for window in 0..3 {
        let window = &answer["windows"][window];
        assert_eq!(
            (&window["exact"], &window["spread"]),
            (&json!(count), &json!({"low": count, "high": count})),
            "{answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_sent_again_counts_once() {
    on_each_log(async |ground| check(ground).await).await;
}

async fn check(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Live, 4).await?;
    let deployment = Deployment::start(&site).await?;
    let (api, keys, content) = (&deployment.api, &site.keys, url(1));
    let event = |id| share(id, "alpha-video", &content, now());
    let events: Vec<Event> = (1..=4).map(event).collect();

    let twice: Vec<String> = [&events[0], &events[0], &events[1]].map(to_json).to_vec();
    let body = format!("[{}]", twice.join(",")).into_bytes();
    for _ in 0..2 {
        let (status, answer) = api
            .post(&keys.alpha, "/v1/events", "application/json", body.clone())
            .await?;
        ensure!(status == 202, "{status} {answer}");
        assert_eq!(
            (&answer["accepted"], &answer["duplicates"]),
            (&json!(2), &json!(1)),
            "{answer}"
        );
    }
    let single = |event| ingest(ALPHA, Some(encode_single_object(event)), None);
    let batch = |events: &[Event]| ingest(ALPHA, Some(encode_batch(events)), None);
    let both = [events[2].clone(), events[2].clone(), events[3].clone()];
    let last = event(99);
    let records = vec![
        batch(&both),
        batch(&both),
        single(&events[0]),
        single(&events[3]),
        single(&last),
    ];
    append(&deployment.log, records).await?;

    let answer = until("the last event is counted", async || {
        let answer = api.look_up(&keys.beta, &content).await?;
        Ok(answer.filter(|answer| answer["windows"][0]["exact"].as_u64() >= Some(5)))
    })
    .await?;
    exactly(&answer, 5);
    deployment.stop().await
}
