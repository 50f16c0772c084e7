//! Goal: an alert tells each team the accounts of its own platforms in full and others' by round numbers, under 10 as "<10": in its case and by its
//! endpoints.

use serde_json::{Value, json};
use tocsin_casework::Team;
use tocsin_model::{Alert, AlertLevel, Estimate, PlatformFigures, PlatformId, Scope};

use crate::bench::{Bench, alert, until};
use crate::deliveries::{loopback, webhook};
use crate::receiver::Receiver;

/// On the platforms of both parties, by so many accounts.
fn rung(family: u128, accounts: [f64; 2]) -> Alert {
    let mut alert = alert(family, Scope::All, AlertLevel::Raised, 1.0);
    let figures = [1, 2]
        .into_iter()
        .zip(accounts)
        .map(|(platform, count)| PlatformFigures {
            platform: PlatformId(platform),
            reach: Estimate::exactly(count),
            ..alert.platforms[0]
        });
    alert.platforms = figures.collect();
    alert.trigger.accounts = Estimate::exactly(accounts.iter().sum());
    alert
}

/// What is told of both platforms, of their sum, and of the accounts to come.
fn told(platforms: &Value, sum: &Value, forecast: &Value) -> Value {
    json!([
        platforms[0]["accounts"]["shown"],
        platforms[1]["accounts"]["shown"],
        sum["shown"],
        forecast["accounts"]["median"]
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_team_is_told_its_own_accounts_in_full_and_round_numbers_of_others() {
    let bench = Bench::new().await;
    let teams = [
        (
            Team::Coordinators,
            &bench.coordinators,
            json!(["10", "<10", "10 to 21", null]),
        ),
        (
            bench.team("alpha").await,
            &bench.alpha,
            json!(["12", "<10", "12 to 21", null]),
        ),
        // Others' accounts are part of the forecast.
        (bench.team("beta").await, &bench.beta, json!(["10", "4", "14", null])),
    ];
    let mut receivers = Vec::new();
    for (place, (team, ..)) in teams.iter().enumerate() {
        let receiver = Receiver::start().await;
        bench
            .add(&webhook(&format!("hook-{place}"), *team, &receiver.url))
            .await;
        receivers.push(receiver);
    }
    let running = bench.start_with(loopback()).await;
    until("parties announced", || {
        running.readiness.parts().values().all(Option::is_none)
    })
    .await;
    bench.ring(&[rung(1, [12.0, 4.0])]);
    for ((team, key, wanted), receiver) in teams.iter().zip(&receivers) {
        let case = &running.queue_of(1, key).await[0];
        let case = running
            .get(&format!("/v1/cases/{}", case["id"].as_str().unwrap()), key)
            .await;
        let alert = &case["alert"];
        let shown = told(
            &alert["platforms"],
            &alert["accounts_sum_over_platforms"],
            &alert["forecast"],
        );
        assert_eq!(shown, *wanted, "{team:?}");
        until("the alert at the endpoint", || receiver.count() == 1).await;
        let came = receiver.came()[0].json();
        let sum = &came["trigger"]["accounts_sum_over_platforms"];
        assert_eq!(told(&came["platforms"], sum, &came["forecast"]), *wanted, "{team:?}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_a_delivery_tells_small_numbers_of_accounts_apart() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.add(&webhook("hook", Team::Coordinators, &receiver.url)).await;
    let running = bench.start_with(loopback()).await;
    let mut bodies = Vec::new();
    for (place, accounts) in [1.0, 9.0, 10.0].into_iter().enumerate() {
        let family = place as u128 + 1;
        bench.ring(&[rung(family, [12.0, accounts])]);
        until("the alert at the endpoint", || receiver.count() == place + 1).await;
        let mut body = receiver.came()[place].json();
        for own in ["id", "family", "hash"] {
            body[own] = Value::Null;
        }
        bodies.push(body);
    }
    assert_eq!(bodies[0], bodies[1]);
    assert_ne!(bodies[1], bodies[2], "ten are no small number");
    running.stop().await;
}
