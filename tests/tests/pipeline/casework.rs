//! Goal: events go in over HTTP in every format, the alarm becomes a case, and what people decide comes back to the detector.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tocsin_model::{Event, Sharing, Timestamp, Verdict};
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::values;
use tocsin_tests::site::{Site, Time};
use tocsin_tests::traffic::{share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::{encode_batch, to_json};
use tocsin_wire::topics;

use crate::retries::now;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_becomes_an_alert_a_case_and_a_decision() {
    on_each_log(async |ground| check(ground).await).await;
}

async fn check(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Live, 4).await?;
    let deployment = Deployment::start(&site).await?;
    let (api, keys) = (&deployment.api, &site.keys);
    let content = url(1);
    let events = |from: u128| -> Vec<Event> {
        let event = |id| Event {
            sharing: if id % 3 == 0 {
                Sharing::Coordinators
            } else {
                Sharing::All
            },
            ..share(from + id, "alpha-video", &content, now())
        };
        (1..=12).map(event).collect()
    };

    let array: Vec<String> = events(0).iter().map(to_json).collect();
    let lines: Vec<String> = events(100).iter().map(to_json).collect();
    let bodies = [
        ("application/json", format!("[{}]", array.join(",")).into_bytes()),
        ("application/x-ndjson", lines.join("\n").into_bytes()),
        ("application/avro", encode_batch(&events(200))),
    ];
    for (media_type, body) in bodies {
        let (status, answer) = api.post(&keys.alpha, "/v1/events", media_type, body).await?;
        ensure!(
            (status, &answer["accepted"]) == (202, &json!(12)),
            "{media_type}: {status} {answer}"
        );
    }

    let case = until("the alert is a case", async || {
        let queue = api.read(&keys.coordinators, "/v1/queue", &[]).await?;
        Ok(queue["cases"].as_array().and_then(|cases| cases.first().cloned()))
    })
    .await?;
    assert_eq!(case["hash"], json!({"algorithm": "url", "value": content}));
    let found = values(&deployment.log, topics::ALERTS)?;
    let alerted = found
        .iter()
        .map(|value| tocsin_wire::alert::decode(value).map(|record| record.alert));
    let alerted = alerted.collect::<Result<Vec<_>, _>>()?;
    assert!(
        alerted
            .iter()
            .any(|alert| case["alert"]["id"] == format!("{:032x}", alert.id.0)),
        "{case}"
    );

    let claimed = api.act(&keys.coordinators, "/v1/queue/claim", &json!({})).await?;
    assert_eq!(claimed["case"]["id"], case["id"]);
    let path = format!(
        "/v1/cases/{}/decision",
        case["id"].as_str().context("a case has an id")?
    );
    let decision = json!({"fencing": claimed["case"]["fencing"], "verdict": "benign", "rationale": "a test"});
    let decided = api.act(&keys.coordinators, &path, &decision).await?;
    assert_eq!(decided["state"], "decided");

    let decision = until("the decision is on the log", async || {
        Ok(values(&deployment.log, topics::DECISIONS)?.into_iter().next())
    })
    .await?;
    let decision = tocsin_wire::decision::decode(&decision)?;
    assert_eq!(decision.verdict, Verdict::Benign);

    // Benign: the coordinators are told again at once, with a lower priority.
    let before = case["priority"].as_f64().context("a priority is a number")?;
    let lowered = until("the coordinators hear of a changed priority", async || {
        let alerts = api.alerts(&keys.coordinators).await?;
        let lower = |alert: &serde_json::Value| {
            alert["priority"]
                .as_f64()
                .is_some_and(|priority| priority < before / 2.0)
        };
        Ok(alerts
            .into_iter()
            .find(|alert| alert["scope"] == "coordinators" && lower(alert)))
    })
    .await?;
    assert_eq!(lowered["family"], case["family"]);
    assert!(decision.at > Timestamp(0));
    deployment.stop().await
}
