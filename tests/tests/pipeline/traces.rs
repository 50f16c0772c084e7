//! Goal: who looks at an alert finds the request that rang it, by its trace.

use anyhow::{Result, ensure};
use tocsin_runtime::Traceparent;
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::records;
use tocsin_tests::site::{Site, Time};
use tocsin_tests::traffic::{share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::to_json;
use tocsin_wire::topics;

use crate::retries::now;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_carries_the_trace_of_the_request_that_rang_it() {
    on_each_log(async |ground| check(ground).await).await;
}

/// The traces of the records of a topic, in order.
fn traces(deployment: &Deployment, topic: &str) -> Result<Vec<Option<Traceparent>>> {
    let of_record = |record: tocsin_log::Record| {
        let header = record
            .headers
            .iter()
            .find(|header| header.name == Traceparent::HEADER)?;
        Traceparent::parse(std::str::from_utf8(&header.value).ok()?)
    };
    Ok(records(&deployment.log, topic)?.into_iter().map(of_record).collect())
}

async fn check(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Live, 4).await?;
    let deployment = Deployment::start(&site).await?;
    // Two requests: each alert must name its own.
    for burst in 1..=2 {
        let sent = Traceparent::generate();
        let events =
            (1..=35).map(|copy| to_json(&share(burst * 1_000 + copy, "alpha-video", &url(burst as usize), now())));
        let body = format!("[{}]", events.collect::<Vec<_>>().join(",")).into_bytes();
        let headers = [
            ("content-type", "application/json"),
            (Traceparent::HEADER, &*sent.to_string()),
        ];
        let (status, answer) = deployment
            .api
            .post_with(&site.keys.alpha, "/v1/events", &headers, body)
            .await?;
        ensure!(status == 202, "{status} {answer}");
        let alerts = until("it rings", async || {
            let alerts = traces(&deployment, topics::ALERTS)?;
            Ok((alerts.len() >= burst as usize).then_some(alerts))
        })
        .await?;
        let rung = alerts.last().copied().flatten();
        assert_eq!(rung.map(Traceparent::trace_id), Some(sent.trace_id()), "{alerts:?}");
        assert_ne!(rung, Some(sent), "a step further");
    }
    deployment.stop().await
}
