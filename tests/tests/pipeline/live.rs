//! Goal: a live stream that shows what has rung is reported while it runs, from its events over HTTP to the alert, the case and the family.

use anyhow::Result;
use serde_json::json;
use tocsin_model::{Event, Kind};
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::site::{BETA_PLATFORM, Site, Time};
use tocsin_tests::traffic::{content, share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::encode_batch;

use crate::retries::now;

const PARTITIONS: u16 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_stream_of_what_has_rung_is_reported_while_it_runs() {
    on_each_log(async |ground| check(ground).await).await;
}

async fn publish(deployment: &Deployment, key: &str, events: &[Event]) -> Result<()> {
    let media_type = "application/avro";
    let (status, answer) = deployment
        .api
        .post(key, "/v1/events", media_type, encode_batch(events))
        .await?;
    assert_eq!((status, &answer["accepted"]), (202, &json!(events.len())), "{answer}");
    Ok(())
}

async fn check(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Live, PARTITIONS).await?;
    let deployment = Deployment::start(&site).await?;
    let (api, keys) = (&deployment.api, &site.keys);
    let (clip, stream) = (url(1), url(2));
    let copies: Vec<Event> = (1..=40).map(|copy| share(copy, "alpha-video", &clip, now())).collect();
    publish(&deployment, &keys.alpha, &copies).await?;
    until("the clip rings", async || {
        Ok(api.alerts(&keys.beta).await?.into_iter().next())
    })
    .await?;

    // Beta's stream shows the same, and says so at its start.
    let event = |id: u128, kind, audience| Event {
        kind,
        audience,
        account: None,
        ..share(1_000 + id, BETA_PLATFORM, &stream, now())
    };
    let start = Event {
        same_as: vec![content(&clip)],
        ..event(0, Kind::LiveStart, None)
    };
    let heartbeats = [12, 150, 90].map(|viewers| event(u128::from(viewers), Kind::LiveHeartbeat, Some(viewers)));
    publish(&deployment, &keys.beta, &[&[start][..], &heartbeats].concat()).await?;
    let alert = until("the stream is reported", async || {
        let alerts = api.alerts(&keys.alpha).await?;
        Ok(alerts.into_iter().find(|alert| alert["reason"] == "live_match"))
    })
    .await?;
    assert_eq!(
        (&alert["level"], &alert["live"]["state"], &alert["members"]),
        (&json!("escalated"), &json!("running"), &json!(2)),
        "{alert}"
    );
    let case = until("the case says that it is live", async || {
        let queue = api.read(&keys.coordinators, "/v1/queue", &[]).await?;
        let case = queue["cases"].as_array().and_then(|cases| cases.first().cloned());
        Ok(case.filter(|case| case["alert"]["live"]["state"] == "running"))
    })
    .await?;
    assert_eq!(
        (&case["alert"]["reason"], &case["lane"]),
        (&json!("live_match"), &json!("live"))
    );

    // By either address the family has its live part; its heartbeats are no copies.
    for asked in [&clip, &stream] {
        until("the viewers are counted", async || {
            let answer = api.look_up(&keys.coordinators, asked).await?;
            Ok(answer.filter(|answer| answer["live"]["peak_viewers"] == 150 && answer["live"]["running"] == 1))
        })
        .await?;
    }
    publish(&deployment, &keys.beta, &[event(500, Kind::LiveEnd, None)]).await?;
    let answer = until("it is over", async || {
        let answer = api.look_up(&keys.beta, &stream).await?;
        Ok(answer.filter(|answer| answer["live"]["state"] == "ended"))
    })
    .await?;
    assert_eq!(
        (&answer["live"]["viewers"], &answer["live"]["peak_viewers"]),
        (&json!(0), &json!(150))
    );
    assert_eq!(answer["windows"][1]["spread"]["high"], 40, "{answer}");
    // The case follows the state: no alert says that a stream ended.
    let path = format!("/v1/cases/{}", case["id"].as_str().unwrap_or_default());
    let ended = until("the case is no longer live", async || {
        let case = api.read(&keys.coordinators, &path, &[]).await?;
        Ok(Some(case).filter(|case| case["lane"] != "live"))
    })
    .await?;
    assert_eq!(
        (
            &ended["live"]["state"],
            &ended["live"]["viewers"],
            &ended["live"]["running"]
        ),
        (&json!("ended"), &json!(0), &json!(0)),
        "{ended}"
    );
    let live = api.read(&keys.coordinators, "/v1/queue", &[("lane", "live")]).await?;
    assert_eq!(live["cases"], json!([]));
    deployment.stop().await
}
