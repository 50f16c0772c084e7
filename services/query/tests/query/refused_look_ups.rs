//! Goal: what is wrong with a look-up is told by a code and counted, and a key that looked up enough waits.

use std::time::Duration;

use crate::announced::*;
use crate::api::*;
use crate::world::*;
use axum::body::Body;
use axum::http::StatusCode;
use serde_json::json;
use tower::ServiceExt as _;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_signal_is_told_by_a_code_and_counted() {
    let (_, fed) = announced();
    let bare = ready(fed).await;
    let key = Some(&*bare.keys.coordinators);
    let good = hash(OF_ALL).value_text();
    let pdq = |signal: &str| format!("signal_type=pdq&signal={signal}");
    let cases = [
        ("/m/lookup".to_owned(), 400, "invalid_parameter"),
        ("/m/lookup?signal_type=pdq".to_owned(), 400, "invalid_parameter"),
        (
            format!("/m/lookup?{}&quality=101", pdq(&good)),
            400,
            "invalid_parameter",
        ),
        (format!("/m/lookup?{}&quality=-1", pdq(&good)), 400, "invalid_parameter"),
        (
            format!("/m/lookup?{}&quality=high", pdq(&good)),
            400,
            "invalid_parameter",
        ),
        (
            format!("/m/lookup?{}&quality=49", pdq(&good)),
            400,
            "unmatchable_signal",
        ),
        (format!("/m/lookup?{}", pdq(&"0".repeat(64))), 400, "unmatchable_signal"),
        (format!("/m/lookup?{}", pdq(&"f".repeat(64))), 400, "unmatchable_signal"),
        (format!("/m/lookup?{}", pdq("")), 400, "malformed_signal"),
        (format!("/m/lookup?{}", pdq(&good[1..])), 400, "malformed_signal"),
        (
            format!("/m/lookup?{}", pdq(&format!("{good}00"))),
            400,
            "malformed_signal",
        ),
        (format!("/m/lookup?{}", pdq(&"g".repeat(64))), 400, "malformed_signal"),
        (
            format!("/m/lookup?{}", pdq(&"%F0%9F%98%80".repeat(16))),
            400,
            "malformed_signal",
        ),
        (
            format!("/m/lookup?signal_type=video_md5&signal={good}"),
            400,
            "malformed_signal",
        ),
        (
            format!("/m/raw_lookup?signal_type=crc32&signal={good}"),
            400,
            "unknown_signal_type",
        ),
        (
            "/m/lookup?signal_type=vpdq&signal=[]".to_owned(),
            400,
            "unmatchable_signal",
        ),
        (
            format!("/m/lookup?signal_type=vpdq&signal=[%22{good},90,0%22]"),
            400,
            "unmatchable_signal",
        ),
        (
            format!("/m/lookup?signal_type=vpdq&signal=[%22{good},90%22]"),
            400,
            "malformed_signal",
        ),
        (
            format!("/m/raw_lookup?signal_type=vpdq&signal={good}"),
            400,
            "malformed_signal",
        ),
        (
            format!("/m/raw_lookup?{}&include_distance=maybe", pdq(&good)),
            400,
            "invalid_parameter",
        ),
        (
            format!("/m/lookup?{}&banks=HOT_FAMILIES,NO_BANK", pdq(&good)),
            404,
            "unknown_bank",
        ),
        (
            format!(
                "/m/lookup?{}&banks={}",
                pdq(&good),
                (0..65).map(|bank| format!("B{bank},")).collect::<String>()
            ),
            400,
            "invalid_parameter",
        ),
        ("/c/bank/NO_BANK".to_owned(), 404, "unknown_bank"),
        ("/c/bank/hot_families".to_owned(), 404, "unknown_bank"),
        (
            "/m/index/status?signal_type=crc32".to_owned(),
            400,
            "unknown_signal_type",
        ),
        (format!("/m/compare?pdq={good}"), 400, "malformed_signal"),
        (format!("/m/compare?pdq={good},{good},{good}"), 400, "malformed_signal"),
        ("/m/compare?crc32=00,00".to_owned(), 400, "unknown_signal_type"),
        (
            "/m/lookup?url=https://video.example/1".to_owned(),
            501,
            "hashing_not_offered",
        ),
        (
            "/h/hash?url=https://video.example/1".to_owned(),
            501,
            "hashing_not_offered",
        ),
        ("/v1/counts".to_owned(), 400, "invalid_parameter"),
        ("/v1/counts?algorithm=pdq".to_owned(), 400, "invalid_parameter"),
        ("/v1/counts?value=00".to_owned(), 400, "invalid_parameter"),
        ("/v1/counts?algorithm=md5&value=00".to_owned(), 400, "invalid_parameter"),
        (
            format!("/v1/counts?algorithm=pdq&value={good}&colour=red"),
            400,
            "invalid_parameter",
        ),
        (
            format!("/v1/counts?algorithm=pdq{}", format!("&value={good}").repeat(65)),
            400,
            "invalid_parameter",
        ),
    ];
    for (path, status, code) in &cases {
        let (told, problem) = get(&bare.router, key, path).await;
        assert_eq!(
            (told.as_u16(), problem["code"].as_str().unwrap()),
            (*status, *code),
            "{path}"
        );
    }
    for (path, body, status, code) in [
        ("/m/compare", "not json".to_owned(), 400, "invalid_body"),
        ("/m/compare", json!({"pdq": "not two"}).to_string(), 400, "invalid_body"),
        (
            "/m/compare",
            format!("\"{}\"", "x".repeat(1 << 20)),
            413,
            "body_too_large",
        ),
        ("/m/lookup", "a picture".to_owned(), 501, "hashing_not_offered"),
        ("/h/hash", "a picture".to_owned(), 501, "hashing_not_offered"),
    ] {
        let (told, problem) = post(&bare, path, body).await;
        assert_eq!(
            (told.as_u16(), problem["code"].as_str().unwrap()),
            (status, code),
            "{path}"
        );
    }
    let counted = |outcome: &str| counted(&bare.registry, "tocsin_query_look_ups_total", Some(outcome));
    for outcome in [
        "unknown_signal_type",
        "malformed_signal",
        "unmatchable_signal",
        "unknown_bank",
    ] {
        let told = cases.iter().filter(|(_, _, code)| *code == outcome).count();
        assert_eq!(counted(outcome), told as f64, "{outcome}");
    }
    get(&bare.router, key, &format!("/m/lookup?{}", pdq(&good))).await;
    get(&bare.router, key, &format!("/m/lookup?{}", signal(FAR))).await;
    assert_eq!((counted("matched"), counted("unmatched")), (1.0, 1.0));
    for path in [
        "/m/lookup",
        "/m/raw_lookup",
        "/m/compare",
        "/m/index/status",
        "/c/banks",
        "/c/signal_type",
        "/h/hash",
        "/v1/counts",
    ] {
        let (status, problem) = get(&bare.router, None, path).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::UNAUTHORIZED, &"unauthenticated".into()),
            "{path}"
        );
        let (status, _) = get(&bare.router, Some(&bare.keys.publisher), path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_looked_up_enough_waits_and_no_other_does() {
    let (_, fed) = announced();
    let bare = Bare::metered(fed.replica, STALL, 3).await;
    bare.state.set_ready();
    let ask = async |key: &str, path: &str| {
        let request = request(Some(key), path).body(Body::empty()).unwrap();
        let response = bare.router.clone().oneshot(request).await.unwrap();
        let header = |name| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let headers = ["ratelimit-limit", "ratelimit-remaining", "retry-after"].map(header);
        // Both versions of the headers say the same.
        let field = |name, of: &str| {
            let text = header(name).unwrap();
            let part = text
                .split(';')
                .find_map(|part| part.strip_prefix(of))
                .map(str::to_owned);
            (
                text.starts_with(if path.starts_with("/v1/counts") || !path.starts_with("/v1") {
                    "\"look-ups\""
                } else {
                    "\"reads\""
                }),
                part,
            )
        };
        assert_eq!(field("ratelimit-policy", "q="), (true, header("ratelimit-limit")));
        assert_eq!(field("ratelimit-policy", "w="), (true, Some("60".to_owned())));
        assert_eq!(field("ratelimit", "r="), (true, header("ratelimit-remaining")));
        assert_eq!(field("ratelimit", "t="), (true, header("ratelimit-reset")));
        let reset: u32 = header("ratelimit-reset").unwrap_or("0".to_owned()).parse().unwrap();
        assert!(reset <= 60);
        (response.status().as_u16(), headers)
    };
    let told = |remaining: &str| [Some("3".to_owned()), Some(remaining.to_owned()), None];
    let counts = format!(
        "/v1/counts?algorithm=pdq&value={0}&value={0}",
        hash(OF_ALL).value_text()
    );
    assert_eq!(ask(&bare.keys.party_1, "/m/lookup").await, (400, told("2")));
    assert_eq!(ask(&bare.keys.party_1, &counts).await, (200, told("0")));
    let (status, [_, remaining, retry_after]) = ask(&bare.keys.party_1, &counts).await;
    assert_eq!((status, remaining.as_deref()), (429, Some("0")));
    assert!((1..=60).contains(&retry_after.unwrap().parse::<u32>().unwrap()));
    assert_eq!(ask(&bare.keys.party_2, "/c/banks").await, (200, told("2")));
    // What is no look-up has a quota of its own.
    let told = |remaining: &str| [Some("6".to_owned()), Some(remaining.to_owned()), None];
    for left in (0..6).rev() {
        let asked = ask(&bare.keys.party_1, "/v1/trending").await;
        assert_eq!(asked, (200, told(&left.to_string())));
    }
    let (status, [_, remaining, retry_after]) = ask(&bare.keys.party_1, "/v1/alerts").await;
    assert_eq!((status, remaining.as_deref()), (429, Some("0")));
    assert!((1..=60).contains(&retry_after.unwrap().parse::<u32>().unwrap()));
    assert_eq!(counted(&bare.registry, "tocsin_query_reads_limited_total", None), 1.0);
    assert_eq!(ask(&bare.keys.party_2, "/v1/alerts").await, (200, told("5")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_would_wait_too_long_is_told_so() {
    let (_, fed) = announced();
    let bare = Bare::hurried(fed.replica, Duration::ZERO).await;
    bare.state.set_ready();
    let key = Some(&*bare.keys.party_1);
    let mut timed_out = 0;
    // A look-up may be done before it is looked at the first time; on a busy machine nearly each is.
    for _ in 0..20_000 {
        if timed_out >= 3 {
            break;
        }
        let (status, answer) = get(&bare.router, key, &format!("/m/lookup?{}", signal(OF_ALL))).await;
        match status {
            StatusCode::OK => assert!(answer["HOT_FAMILIES"].is_array()),
            _ => {
                assert_eq!((status.as_u16(), &answer["code"]), (503, &"look_up_timed_out".into()));
                timed_out += 1;
            }
        }
    }
    assert!(timed_out > 0);
    let told = counted(&bare.registry, "tocsin_query_look_ups_total", Some("look_up_timed_out"));
    assert_eq!(told, f64::from(timed_out));
}
