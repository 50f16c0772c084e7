//! Goal: over HTTP, the lane of second reviews hands out what was decided without saying how, a third settles what two see otherwise, and the figures are
//! a team's: nothing is asked or told of a person.

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_casework::Team;
use tocsin_model::{AlertLevel, Scope};
use tocsin_store::{KeySubject, ReviewSettings, Role, Roles};
use tocsin_wire::topics;

use crate::bench::{Bench, alert, name, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_is_blind_a_third_settles_it_and_figures_are_the_teams() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let alpha = bench.store.party_named(&name("alpha")).await.unwrap().id;
    let all = ReviewSettings {
        share_ppm: 1_000_000,
        golden_ppm: 0,
    };
    bench.store.set_review_settings(Team::Party(alpha), all).await.unwrap();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let subject = KeySubject::Party(alpha);
        let issued = bench
            .store
            .issue_key(subject, Roles::of(&[Role::Moderator]))
            .await
            .unwrap();
        keys.push(issued.1.expose().to_owned());
    }
    bench.ring(&[alert(1, Scope::All, AlertLevel::Raised, 5.0)]);
    running.queue_of(1, &bench.alpha).await;
    let claimed = running.post("/v1/queue/claim", &bench.alpha, json!({})).await;
    let case = format!("/v1/cases/{}", claimed["case"]["id"].as_str().unwrap());
    let ruling = json!({"fencing": 1, "verdict": "violating", "rationale": "the first says so"});
    running.post(&format!("{case}/decision"), &bench.alpha, ruling).await;

    let lane = json!({"lane": "second_review"});
    for nobody in [&bench.alpha, &bench.beta] {
        let nothing = running.post("/v1/queue/claim", nobody, lane.clone()).await;
        assert_eq!(
            nothing,
            json!({"case": null, "pause": null}),
            "who decided, or another team"
        );
    }
    let claim = running.post("/v1/queue/claim", &keys[0], lane.clone()).await;
    let second = &claim["review"];
    assert_eq!(
        (&second["state"], &second["family"]),
        (&json!("claimed"), &claimed["case"]["family"])
    );
    assert_eq!(second["alert"], claimed["case"]["alert"], "as the first saw it");
    let text = claim.to_string();
    for told in [
        "violating",
        "the first says so",
        claimed["case"]["id"].as_str().unwrap(),
        "kind",
        "decision",
    ] {
        assert!(!text.contains(told), "{told} in {text}");
    }
    let path = format!("/v1/reviews/{}", second["id"].as_str().unwrap());
    for other in [&bench.alpha, &bench.beta, &keys[1]] {
        running
            .refused(Method::GET, &path, other, None, (404, "review_unknown"))
            .await;
    }
    running
        .refused(Method::GET, "/v1/reviews/0", &keys[0], None, (404, "review_unknown"))
        .await;
    let renewed = running
        .post(&format!("{path}/renew"), &keys[0], json!({"fencing": 1}))
        .await;
    assert_eq!(renewed["lease"]["is_yours"], true);
    let said =
        |verdict: &str, fencing: u64| json!({"fencing": fencing, "verdict": verdict, "note": "by what is shown"});
    let answer = format!("{path}/answer");
    for (body, refused) in [
        (said("benign", 9), (409, "review_lease_stale")),
        (said("bad", 1), (400, "invalid_body")),
        (
            json!({"fencing": 1, "verdict": "benign", "note": "a".repeat(2_049)}),
            (422, "review_note"),
        ),
    ] {
        running
            .refused(Method::POST, &answer, &keys[0], Some(body), refused)
            .await;
    }
    running
        .post(&format!("{path}/release"), &keys[0], json!({"fencing": 1}))
        .await;
    let claim = running.post("/v1/queue/claim", &keys[0], lane.clone()).await;
    assert_eq!(claim["review"]["fencing"], 2);
    let answered = running.post(&answer, &keys[0], said("benign", 2)).await;
    assert_eq!(
        (&answered["state"], &answered["verdict"]),
        (&json!("answered"), &json!("benign"))
    );
    assert_eq!(running.get(&path, &keys[0]).await, answered);
    let third = running.post("/v1/queue/claim", &keys[1], lane).await;
    let third = format!("/v1/reviews/{}/answer", third["review"]["id"].as_str().unwrap());
    running.post(&third, &keys[1], said("benign", 1)).await;
    assert_eq!(running.get(&case, &keys[0]).await["decision"]["verdict"], "benign");
    until("what a third decided is on the log", || {
        bench.records(topics::DECISIONS).len() == 2
    })
    .await;

    let quality = running.get("/v1/quality?hours=1", &bench.alpha).await;
    let figures = (
        &quality["reviewed"],
        &quality["agreed"],
        &quality["thirds"],
        &quality["changed"],
        &quality["golden"],
    );
    assert_eq!(figures, (&json!(1), &json!(0), &json!(1), &json!(1), &json!(0)));
    assert_eq!(
        (&quality["kappa"]["value"], &quality["share_percent"]),
        (&json!(0.0), &json!(100.0))
    );
    let of_other = running.get("/v1/quality", &bench.beta).await;
    assert_eq!((&of_other["reviewed"], &of_other["kappa"]), (&json!(0), &Value::Null));
    for path in [
        "/v1/quality?hours=0",
        "/v1/quality?person=anna",
        "/v1/quality?key=1",
        "/v1/queue?lane=second_review",
    ] {
        running
            .refused(Method::GET, path, &bench.alpha, None, (400, "invalid_parameter"))
            .await;
    }
    running.stop().await;
}
