//! Goal: a decision stops a live stream where there is one, and nowhere else; what is told of its copies leads back to it.

use std::collections::BTreeMap;
use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_casework::Team;
use tocsin_log::TopicPartition;
use tocsin_model::{Class, FamilyAnnouncement, FamilyId, Kind, LiveFigures, Milliseconds};
use tocsin_store::{Clock, EndpointKind, NewEndpoint};
use tocsin_wire::{family, topics};

use crate::acknowledgements::{ALPHA, Spreading, until};
use crate::bench::{Bench, WAIT_MAX, name};
use crate::example::START;

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_stops_a_stream_and_its_copies_lead_back_to_it() {
    let clock = Clock::standing_at(START + Milliseconds::from_hours(1));
    let (mut stream, copy) = (Spreading::new(9), Spreading::new(8));
    stream.hear(ALPHA, Kind::Upload, 5);
    let bench = Bench::with_clock(clock).await;
    let endpoint = NewEndpoint {
        name: name("alpha"),
        team: Team::Party(ALPHA.0),
        kind: EndpointKind::Kafka,
        target: "tocsin.deliveries.alpha".to_owned(),
        settings: BTreeMap::new(),
        secret: String::new(),
    };
    bench.store.add_endpoint(&endpoint).await.unwrap();
    let running = bench.start().await;
    let alpha = bench.alpha.as_str();
    let mut rings = stream.rings();
    rings.live = None;
    bench.ring(&[rings.clone()]);
    let queue = running.queue_of(1, alpha).await;
    let path = format!("/v1/cases/{}", queue[0]["id"].as_str().unwrap());
    let held = running.post(&format!("{path}/claim"), alpha, json!({})).await;
    let stop = json!({"fencing": held["fencing"], "verdict": "violating", "recommended_action": "stop_stream", "rationale": "why"});
    let decision = format!("{path}/decision");
    let refused = (422, "not_live");
    running
        .refused(Method::POST, &decision, alpha, Some(stop.clone()), refused)
        .await;

    // It goes live, and is told of so.
    stream.hear(ALPHA, Kind::LiveStart, 1);
    stream.tell(&bench);
    rings.live = Some(LiveFigures {
        streams: 1,
        running: 1,
        started_at: START,
        ended_at: None,
        viewers: 900,
        peak_viewers: 900,
        viewer_minutes: 900,
        score: 0.0,
        threshold: 1.0,
    });
    rings.id = tocsin_model::AlertId(99);
    rings.at = START + Milliseconds::from_minutes(2);
    bench.ring(&[rings]);
    let live = until(&running, &path, alpha, |case| {
        case["alert"]["live"].is_object() && case["streams"].is_array()
    })
    .await;
    let streams = json!([{"content": stream.content.to_string(), "platform": "alpha-video"}]);
    assert_eq!(live["streams"], streams);
    // A copy of it is known before the decision.
    let announcement = FamilyAnnouncement {
        content: copy.content,
        hash: copy.rings().hash,
        family: FamilyId(stream.content),
        class: Class::All,
        at: START,
    };
    let key = family::key(announcement.content, announcement.class);
    bench.append_under(topics::FAMILIES, &[(Some(key), family::encode(&announcement))]);
    let decided = running.post(&decision, alpha, stop).await;
    assert_eq!(decided["decision"]["recommended_action"], "stop_stream");
    let told = until(&running, &path, alpha, |case| case["members_told"] == 2).await;
    assert_eq!(told["acknowledgement"]["awaits"], "removal");

    let partition = TopicPartition::new("tocsin.deliveries.alpha", 0);
    let began = Instant::now();
    let members = loop {
        let records = match bench.log.bounds(&partition) {
            Ok(_) => bench.records("tocsin.deliveries.alpha"),
            Err(_) => Vec::new(),
        };
        let events = records
            .iter()
            .map(|record| serde_json::from_slice::<Value>(record.value.as_ref().unwrap()).unwrap());
        let members: Vec<Value> = events.filter(|event| event["members"].is_array()).collect();
        let told: usize = members
            .iter()
            .map(|event| event["members"].as_array().unwrap().len())
            .sum();
        if told == 2 {
            break members;
        }
        assert!(began.elapsed() < WAIT_MAX, "{members:?}");
        tokio::task::yield_now().await;
    };
    for event in &members {
        assert_eq!(
            (&event["streams"], &event["decision"]["recommended_action"]),
            (&streams, &json!("stop_stream"))
        );
    }
    // The log says so too.
    let records = bench.records(topics::DECISIONS);
    let on_log = tocsin_wire::decision::decode_told(records[0].value.as_ref().unwrap()).unwrap();
    assert_eq!(on_log.grounds.action, Some(tocsin_model::RecommendedAction::StopStream));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_live_while_the_state_says_so_and_no_longer() {
    let clock = Clock::standing_at(START + Milliseconds::from_hours(1));
    let mut stream = Spreading::new(9);
    stream.hear(ALPHA, Kind::Upload, 5);
    let bench = Bench::with_clock(clock).await;
    let running = bench.start().await;
    let alpha = bench.alpha.as_str();
    bench.ring(&[stream.rings()]);
    let queue = running.queue_of(1, alpha).await;
    let path = format!("/v1/cases/{}", queue[0]["id"].as_str().unwrap());
    assert_eq!(
        (&queue[0]["lane"], &queue[0]["live"]),
        (&json!("general"), &Value::Null)
    );

    // It goes live, and is watched. No alert says so.
    stream.hear(ALPHA, Kind::LiveStart, 1);
    stream.hear(ALPHA, Kind::LiveHeartbeat, 1);
    stream.tell(&bench);
    let live = until(&running, &path, alpha, |case| case["lane"] == "live").await;
    assert_eq!(
        (&live["live"]["state"], &live["live"]["viewers"], &live["alert"]["live"]),
        (&json!("running"), &json!(1_000), &Value::Null)
    );
    let claimed = running.post("/v1/queue/claim", alpha, json!({"lane": "live"})).await;
    assert_eq!(claimed["case"]["id"], live["id"], "{claimed}");
    let release = json!({"fencing": claimed["case"]["fencing"]});
    running.post(&format!("{path}/release"), alpha, release).await;

    stream.hear(ALPHA, Kind::LiveEnd, 1);
    stream.tell(&bench);
    let ended = until(&running, &path, alpha, |case| case["lane"] != "live").await;
    assert_eq!(
        (&ended["lane"], &ended["live"]["state"], &ended["live"]["viewers"]),
        (&json!("general"), &json!("ended"), &json!(0))
    );
    let queue = running.get("/v1/queue?lane=live", alpha).await;
    assert_eq!(queue["cases"], json!([]));
    running.stop().await;
}
