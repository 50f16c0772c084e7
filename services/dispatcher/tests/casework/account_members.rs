//! Goal: the accounts of a case are those of its family's members: also while its case waits to go into another, and of none that left and went cold since.

use reqwest::StatusCode;
use serde_json::json;
use tocsin_model::{Class, FamilyId, Scope};
use tocsin_store::Belonging;

use crate::accounts::{accounts_of, hex, id, ordered, path_of, upload};
use crate::bench::{Bench, WAIT_MAX};
use crate::carrying::case_until;

fn pseudonyms(told: &serde_json::Value) -> Vec<String> {
    let accounts = told["accounts"].as_array().unwrap();
    accounts
        .iter()
        .map(|of| of["account"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_a_notice_holds_back_answers_for_the_family_that_it_joined() {
    let bench = Bench::new().await;
    let [one, two] = ordered([61, 62]);
    bench.upload("alpha", &upload(1, "alpha-video", one, Some(1)));
    bench.upload("alpha", &upload(2, "alpha-video", two, Some(2)));
    bench.rings(&[one], Scope::All);
    let running = bench.start().await;
    let of_one = path_of(&running, &bench.alpha, one).await;
    let notice = json!({
        "kind": "removal_order", "authority": "an authority", "reference": "one", "received_at": "2026-01-01T00:00:00Z",
        "content": {"algorithm": "sha256", "value": hex(&[two; 32])},
    });
    running.post("/v1/notices", &bench.alpha, notice).await;
    let of_two = path_of(&running, &bench.alpha, two).await;
    let alone = accounts_of(&running, &bench.alpha, &of_two, 1).await;
    assert_eq!(pseudonyms(&alone), [hex(&[2; 16])]);

    bench.says((two, one), Class::All, 1);
    for path in [&of_one, &of_two] {
        let told = accounts_of(&running, &bench.alpha, path, 2).await;
        assert_eq!(pseudonyms(&told), [hex(&[1; 16]), hex(&[2; 16])]);
        assert_eq!(told["case"].as_str(), path.rsplit('/').next(), "it is not carried yet");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_the_family_and_went_cold_is_not_looked_for() {
    let bench = Bench::new().await;
    let [one, stays, leaves] = [63, 64, 65];
    for (number, content) in [one, stays, leaves].into_iter().enumerate() {
        bench.upload(
            "alpha",
            &upload(1 + number as u128, "alpha-video", content, Some(content)),
        );
    }
    for content in [stays, leaves] {
        bench.says((content, one), Class::All, 1);
    }
    bench.rings(&[one], Scope::All);
    let running = bench.start().await;
    let path = path_of(&running, &bench.alpha, one).await;
    let held = running.post(&format!("{path}/claim"), &bench.alpha, json!({})).await;
    let decision = json!({"fencing": held["fencing"], "verdict": "violating", "rationale": "why"});
    running.post(&format!("{path}/decision"), &bench.alpha, decision).await;
    case_until(&running, &path, &bench.alpha, |case| case["members_told"] == 3).await;
    accounts_of(&running, &bench.alpha, &path, 3).await;

    // One leaves, and nobody has a case of it; then both go cold.
    bench.says((leaves, leaves), Class::All, 2);
    accounts_of(&running, &bench.alpha, &path, 2).await;
    let began = std::time::Instant::now();
    let left = Some(FamilyId(id(leaves)));
    let is_left = |of: &Belonging| of.belongs_to == left;
    while !bench.store.belongings(&[id(leaves)]).await.unwrap().iter().all(is_left) {
        assert!(began.elapsed() < WAIT_MAX, "it is noted");
    }
    for content in [stays, leaves] {
        bench.withdraw(id(content).0, Class::All);
    }
    running
        .metric("tocsin_dispatcher_carrying_contents", |count| count == 0.0)
        .await;
    let route = format!("{path}/accounts");
    let (status, cold) = running.send(reqwest::Method::GET, &route, &bench.alpha, None).await;
    assert_eq!((status, &cold["members"]), (StatusCode::OK, &json!(2)), "{cold}");
    assert_eq!(pseudonyms(&cold), [one, stays].map(|content| hex(&[content; 16])));
    running.stop().await;
}
