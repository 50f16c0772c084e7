//! Goal: good events arrive in every form, and every bad one gets its documented code and takes nothing good down with it.

use serde_json::json;
use tocsin_gateway::EventsAnswer;
use tocsin_model::Event;
use tocsin_runtime::Traceparent;
use tocsin_wire::event;

use crate::bench::{Bench, event_of, good, gzip, limits, with};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_arrives_and_is_answered_event_by_event() {
    let bench = Bench::start(limits()).await;
    let forms: Vec<(&str, Vec<u8>)> = vec![
        ("application/json", good(1).to_string().into()),
        (
            "application/json; charset=utf-8",
            json!([good(2), good(3)]).to_string().into(),
        ),
        ("application/x-ndjson", format!("{}\n\n{}\r\n", good(4), good(5)).into()),
        ("application/avro", event::encode_single_object(&event_of(&good(6)))),
        (
            "avro/binary",
            event::encode_batch(&[event_of(&good(7)), event_of(&good(8))]),
        ),
    ];
    for (media_type, body) in forms {
        for packed in [false, true] {
            let request = match packed {
                true => bench.post(media_type, gzip(&body)).header("content-encoding", "gzip"),
                false => bench.post(media_type, body.clone()),
            };
            let answer = bench.accepted(request).await;
            assert_eq!(answer.rejected, 0, "{media_type}: {answer:?}");
            assert!(
                answer
                    .results
                    .iter()
                    .enumerate()
                    .all(|(place, result)| result.index == place)
            );
        }
    }
    // Each was sent twice, accepted twice, and is for the detector to count once.
    let mut events = bench.events();
    events.sort_by_key(|event| event.event_id);
    let expected: Vec<Event> = (1..=8)
        .flat_map(|number| [event_of(&good(number)), event_of(&good(number))])
        .collect();
    assert_eq!(events, expected);
    bench
        .counted("tocsin_gateway_events_total{party=\"acme\",status=\"accepted\"} ")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_goes_on_in_the_record() {
    let bench = Bench::start(limits()).await;
    let request = bench.post("application/json", good(1).to_string());
    bench.accepted(request.header("traceparent", TRACEPARENT)).await;
    let mut traces = Vec::new();
    bench.for_each_record(|record| traces.push(Traceparent::from_header(record.headers.get(Traceparent::HEADER))));
    assert_eq!(traces.len(), 1);
    assert_eq!(traces[0].trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_ne!(traces[0].to_string(), TRACEPARENT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_event_is_refused_alone() {
    let bench = Bench::start(limits()).await;
    let hash = |algorithm: &str, value: &str| json!([{"algorithm": algorithm, "value": value}]);
    let hashes = |count| json!(vec![json!({"algorithm": "md5", "value": "0".repeat(32)}); count]);
    let mut no_platform = good(9);
    no_platform.as_object_mut().unwrap().remove("platform");
    let cases = [
        (with("platform", json!("forum")), "platform_not_of_party"),
        (with("platform", json!("No Name")), "platform_malformed"),
        (no_platform, "missing_field"),
        (
            with("occurred_at", json!("1970-01-01T00:00:00Z")),
            "timestamp_out_of_range",
        ),
        (with("occurred_at", json!(0)), "timestamp_out_of_range"),
        (
            with("occurred_at", json!("2100-01-01T00:00:00Z")),
            "timestamp_out_of_range",
        ),
        (with("occurred_at", json!("yesterday")), "invalid_field"),
        (with("event_id", json!("")), "invalid_field"),
        (
            with("event_id", json!("00000000-0000-0000-0000-000000000000")),
            "event_id_nil",
        ),
        (with("content", json!([])), "no_routing_hash"),
        (with("content", hashes(17)), "list_too_long"),
        (with("content", hash("sha256", "abc")), "hash_malformed"),
        (with("content", hash("crc32", "00")), "algorithm_unknown"),
        (with("content", hash("url", &"u".repeat(2_049))), "hash_malformed"),
        (
            with("labels", json!([{"name": "x".repeat(65), "confidence": 1}])),
            "label_malformed",
        ),
        (with("sharing", json!("everyone")), "invalid_field"),
        (with("colour", json!("red")), "unknown_field"),
        (json!("not an event"), "malformed_json"),
    ];
    for (bad, code) in cases {
        bench.refused_alone(bad, code).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_that_stand_twice_in_a_request_are_told_apart() {
    let bench = Bench::start(limits()).await;
    let mut other = good(1);
    other["kind"] = json!("share");
    let answer: EventsAnswer = bench
        .post_json(&json!([good(1), good(1), other]))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!((answer.accepted, answer.duplicates, answer.rejected), (1, 1, 1));
    assert_eq!(answer.results[2].code.as_deref(), Some("event_id_reused"));
    assert_eq!(bench.events(), [event_of(&good(1))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_line_or_a_torn_batch_keeps_what_can_be_read() {
    let bench = Bench::start(limits()).await;
    let lines = format!("{}\n{{\"event_id\":\n{}\n", good(1), good(2));
    let answer = bench.accepted(bench.post("application/x-ndjson", lines)).await;
    assert_eq!((answer.accepted, answer.rejected), (2, 1));
    assert_eq!(answer.results[1].code.as_deref(), Some("malformed_json"));

    let mut torn = event::encode_batch(&[event_of(&good(3)), event_of(&good(4))]);
    torn.truncate(torn.len() - 20);
    let answer = bench.accepted(bench.post("application/avro", torn)).await;
    assert_eq!((answer.accepted, answer.rejected), (1, 1));
    assert_eq!(answer.results[1].code.as_deref(), Some("malformed_avro"));
    assert_eq!(bench.events().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_cannot_be_read_are_refused_whole() {
    let bench = Bench::start(limits()).await;
    let json = "application/json";
    let avro = "application/avro";
    let mut unknown_schema = event::encode_single_object(&event_of(&good(1)));
    unknown_schema[5] ^= 1;
    let too_many = format!("[{}1]", "1,".repeat(10_000));
    let million = format!("[{}1]", "1,".repeat(500_000 - 2));
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        (avro, vec![0xff, 0xfe, 0xfd], 400, "unknown_framing"),
        (avro, Vec::new(), 400, "unknown_framing"),
        (avro, vec![0, 0, 0, 0, 7, 1, 2], 400, "unknown_schema_id"),
        (avro, unknown_schema, 400, "unknown_schema"),
        (json, b"[{\"event_id\": ".to_vec(), 400, "malformed_json"),
        (json, b"[]".to_vec(), 422, "no_events"),
        (json, b"\xff\xfe\x00".to_vec(), 422, "all_rejected"),
        (json, vec![b'['; 100_000], 400, "malformed_json"),
        ("application/x-ndjson", b"\n\n".to_vec(), 422, "no_events"),
        (json, too_many.into_bytes(), 413, "too_many_events"),
        (json, million.into_bytes(), 413, "too_many_events"),
        (json, vec![b' '; (1 << 20) + 1], 413, "body_too_large"),
        ("text/plain", b"{}".to_vec(), 415, "unsupported_media_type"),
    ];
    for (media_type, body, status, code) in cases {
        bench.refused(bench.post(media_type, body), status, code).await;
    }
    assert_eq!(bench.events(), []);
    bench.accepted(bench.post(json, good(1).to_string())).await;
}
