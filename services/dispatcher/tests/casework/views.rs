//! Goal: over the real log and HTTP, the report of a party says how often its platform's view samples say that something was seen before its removal, whoever
//! looks and however often; of a platform that sends none it says that nobody knows.

use serde_json::{Value, json};
use tocsin_model::{Kind, Milliseconds};
use tocsin_report::Day;
use tocsin_store::Clock;

use crate::acknowledgements::{ALPHA, BETA, Spreading, decide, deciding, until};
use crate::bench::Running;
use crate::example::START;
use crate::reports::figure;

async fn report(running: &Running, key: &str) -> Value {
    let day = |hours| Day::of(START + Milliseconds::from_hours(hours));
    let path = format!("/v1/reports?from={}&to={}", day(-24), day(24));
    running.get(&path, key).await
}

fn amount(figure: &Value) -> (&Value, &Value) {
    (&figure["low"], &figure["high"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_how_often_was_seen_what_was_removed() {
    let clock = Clock::standing_at(START + Milliseconds::from_hours(1));
    let mut crisis = Spreading::new(12);
    crisis.hear(ALPHA, Kind::Upload, 40);
    crisis.hear(BETA, Kind::Upload, 10);
    // Each sample tells of 1,000 views.
    crisis.hear(ALPHA, Kind::ViewSample, 3);
    let (bench, running, path) = deciding(&clock, &crisis).await;
    let (alpha, beta) = (bench.alpha.as_str(), bench.beta.as_str());
    let queue = running.queue_of(1, beta).await;
    let betas = format!("/v1/cases/{}", queue[0]["id"].as_str().unwrap());
    crisis.tell(&bench);
    let waits = |told: &Value| told["acknowledgement"]["unconfirmed"] == 1;
    let is_confirmed = |told: &Value| told["acknowledgement"]["unconfirmed"] == 0;
    for (path, key) in [(&path, alpha), (&betas, beta)] {
        decide(&running, path, key, ("violating", "remove")).await;
        until(&running, &format!("{path}/acknowledgements"), key, waits).await;
    }
    let waiting = report(&running, alpha).await;
    assert_eq!(
        figure(&waiting, "views_before_removal_in_all", ""),
        None,
        "nothing is removed"
    );
    assert_eq!(figure(&waiting, "views_not_told", "alpha-video").unwrap()["low"], 0);

    crisis.hear(ALPHA, Kind::ViewSample, 2);
    crisis.hear(ALPHA, Kind::Removal, 7);
    crisis.hear(BETA, Kind::Removal, 4);
    crisis.tell(&bench);
    for (path, key) in [(&path, alpha), (&betas, beta)] {
        until(&running, &format!("{path}/acknowledgements"), key, is_confirmed).await;
    }
    let told = report(&running, alpha).await;
    let in_all = figure(&told, "views_before_removal_in_all", "alpha-video").unwrap();
    assert_eq!(amount(in_all), (&json!(5_000), &json!(5_000)));
    for (size, count) in [("1000 to 9999", 1), ("0 to 9", 0), ("1000000 and more", 0)] {
        let of = figure(&told, "views_before_removal", size).unwrap();
        assert_eq!(amount(of), (&json!(count), &json!(count)), "{size}");
    }
    let median = figure(&told, "views_before_removal_at_rank", "median").unwrap();
    // The step of 5,000.
    assert_eq!(amount(median), (&json!(4_992), &json!(5_023)));
    assert_eq!(figure(&told, "views_not_told", "alpha-video").unwrap()["low"], 0);

    // Beta's platform sends no samples: alpha's say nothing of it, and nothing is not 0.
    let betas = report(&running, beta).await;
    assert_eq!(figure(&betas, "views_not_told", "").unwrap()["low"], 1);
    let unknown = figure(&betas, "views_before_removal", "").unwrap();
    assert_eq!(unknown["is"], "unknown");
    for name in ["views_before_removal_in_all", "views_before_removal_at_rank"] {
        assert_eq!(figure(&betas, name, ""), None, "{name}");
    }

    // What is told afterwards is not of before, also by another process that finds it.
    running.stop().await;
    crisis.hear(ALPHA, Kind::ViewSample, 4);
    crisis.hear(BETA, Kind::ViewSample, 4);
    crisis.tell(&bench);
    let running = bench.start().await;
    running
        .metric("tocsin_dispatcher_followed_decisions", |count| count == 2.0)
        .await;
    crisis.hear(ALPHA, Kind::Removal, 1);
    crisis.tell(&bench);
    let acknowledgements = format!("{path}/acknowledgements");
    until(&running, &acknowledgements, alpha, |told| {
        told["members"][0]["answered"] == 8
    })
    .await;
    let later = report(&running, alpha).await;
    let in_all = figure(&later, "views_before_removal_in_all", "alpha-video").unwrap();
    assert_eq!(amount(in_all), (&json!(5_000), &json!(5_000)));
    // Nor is a removal that comes when it is confirmed.
    assert_eq!(figure(&later, "removals", "alpha-video").unwrap()["low"], 7);
    let later = report(&running, beta).await;
    for name in ["views_not_told", "views_before_removal", "views_before_removal_in_all"] {
        assert_eq!(figure(&later, name, ""), figure(&betas, name, ""), "{name}");
    }
    running.stop().await;
}
