//! Goal: over the real log and HTTP, a case says when its team told others, and which copies came in spite of it; who holds what of its contents is told as far as the reader may know. Nobody
//! is told by their clocks of what others told.

use serde_json::{Value, json};
use tocsin_model::{Kind, Milliseconds};
use tocsin_store::Clock;
use tocsin_wire::document::instant;

use crate::acknowledgements::{ALPHA, BETA, Spreading, until};
use crate::bench::Bench;
use crate::example::START;

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_shared_as_an_opinion_and_what_leaks_after_it_is_seen() {
    let shared_at = START + Milliseconds::from_seconds(120);
    let bench = Bench::with_clock(Clock::standing_at(shared_at)).await;
    let running = bench.start().await;
    let mut crisis = Spreading::new(9);
    crisis.hear(ALPHA, Kind::Upload, 20);
    crisis.hear(BETA, Kind::Upload, 20);
    bench.ring(&[crisis.rings()]);
    let (alpha, beta, coordinators) = (&bench.alpha, &bench.beta, &bench.coordinators);
    let mut paths = Vec::new();
    for key in [alpha, beta, coordinators] {
        let queue = running.queue_of(1, key).await;
        paths.push(format!("/v1/cases/{}", queue[0]["id"].as_str().unwrap()));
    }
    let [of_alpha, of_beta, of_coordinators] = &paths[..] else {
        unreachable!()
    };
    crisis.tell(&bench);
    let on = |clocks: &Value, platform: &str| -> Value {
        let platforms = clocks["platforms"].as_array().unwrap();
        let on = platforms.iter().find(|on| on["platform"] == platform);
        on.cloned().unwrap_or_default()
    };
    until(&running, &format!("{of_alpha}/clocks"), alpha, |clocks| {
        on(clocks, "alpha-video")["first_seen"].is_string() && on(clocks, "beta-chat")["first_seen"].is_string()
    })
    .await;
    assert!(running.get(of_alpha, alpha).await["opinions"].is_null());

    let held = running.post(&format!("{of_alpha}/claim"), alpha, json!({})).await;
    let decision = json!({"fencing": held["fencing"], "verdict": "violating", "rationale": "why"});
    running.post(&format!("{of_alpha}/decision"), alpha, decision).await;
    let told = until(&running, &format!("{of_alpha}/clocks"), alpha, |clocks| {
        on(clocks, "alpha-video")["shared"].is_string()
    })
    .await;
    assert_eq!(on(&told, "alpha-video")["shared"], json!(instant(shared_at)));
    assert!(on(&told, "beta-chat")["shared"].is_null(), "it is another's platform");
    assert!(on(&told, "alpha-video")["leaked"].is_null(), "nothing came since");

    // What is blocked is no leak, nor what comes elsewhere.
    crisis.hear(BETA, Kind::Upload, 40);
    crisis.hear(ALPHA, Kind::BlockedUpload, 10);
    crisis.hear(ALPHA, Kind::Upload, 3);
    crisis.tell(&bench);
    let leaked = until(&running, &format!("{of_alpha}/clocks"), alpha, |clocks| {
        on(clocks, "alpha-video")["leaked"].is_string()
    })
    .await;
    // 20, 20, 40, 10 and 3 events a second apart, ten seconds between: the last three began after 141 s.
    let expected = START + Milliseconds::from_seconds(140);
    assert_eq!(on(&leaked, "alpha-video")["leaked"], json!(instant(expected)));
    let summary = running.get("/v1/clocks", alpha).await;
    assert_eq!(on(&summary, "alpha-video")["leaked"], 1, "{summary}");
    for (path, key) in [(of_beta, beta), (of_coordinators, coordinators)] {
        let clocks = running.get(&format!("{path}/clocks"), key).await;
        for platform in ["alpha-video", "beta-chat"] {
            let on = on(&clocks, platform);
            assert!(on["shared"].is_null() && on["leaked"].is_null(), "{clocks}");
        }
    }

    // Who holds what.
    let of_another = running.get(of_beta, beta).await;
    assert!(of_another["opinions"].is_null(), "what alpha decided is alpha's");
    for (path, key) in [(of_alpha, alpha), (of_coordinators, coordinators)] {
        let case = until(&running, path, key, |case| case["opinions"].is_array()).await;
        let opinions = case["opinions"].as_array().unwrap();
        assert_eq!(opinions.len(), 1, "{opinions:?}");
        assert_eq!(
            (&opinions[0]["opinion"], &opinions[0]["party"], &opinions[0]["held_at"]),
            (&json!("positive"), &json!("alpha"), &json!(instant(shared_at)))
        );
        assert_eq!(opinions[0]["hash"], case["hash"]);
    }
    running.stop().await;
}
