//! Goal: who works without a pause is told so, of their own work alone, and a case leads to the tool of the platform whose it is.

use reqwest::Method;
use serde_json::json;
use tocsin_dispatcher::DispatcherConfig;
use tocsin_model::{Alert, AlertLevel, PlatformFigures, PlatformId, Scope};

use crate::bench::{Bench, alert, name, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_shift_is_told_to_whom_it_belongs_and_a_pause_with_each_claim() {
    let bench = Bench::new().await;
    let config = DispatcherConfig {
        pause_after_cases: 2,
        ..DispatcherConfig::default()
    };
    let running = bench.start_with(config).await;
    bench.ring(&[1, 2].map(|family| alert(family, Scope::Coordinators, AlertLevel::Raised, 1.0)));
    running.queue_of(2, &bench.coordinators).await;
    for due in [false, true] {
        let claimed = running.post("/v1/queue/claim", &bench.coordinators, json!({})).await;
        assert_eq!(claimed["pause"]["due"], due, "{claimed}");
        let case = &claimed["case"];
        let path = format!("/v1/cases/{}/decision", case["id"].as_str().unwrap());
        let decision = json!({"fencing": case["fencing"], "verdict": "benign"});
        running.post(&path, &bench.coordinators, decision).await;
    }
    let shift = running.get("/v1/shift?hours=1", &bench.coordinators).await;
    assert_eq!(
        (
            &shift["cases_seen"],
            &shift["decided"]["benign"],
            &shift["pause"]["due"]
        ),
        (&json!(2), &json!(2), &json!(true))
    );
    let of_alpha = running.get("/v1/shift", &bench.alpha).await;
    assert_eq!((&of_alpha["cases_seen"], &of_alpha["hours"]), (&json!(0), &json!(12)));
    for hours in ["0", "25", "x"] {
        let path = format!("/v1/shift?hours={hours}");
        let key = &bench.alpha;
        running
            .refused(Method::GET, &path, key, None, (400, "invalid_parameter"))
            .await;
    }
    let nobody_else = "/v1/shift?key=1";
    running
        .refused(Method::GET, nobody_else, &bench.alpha, None, (400, "invalid_parameter"))
        .await;
    running
        .refused(Method::GET, "/v1/shift", &bench.reader, None, (403, "forbidden"))
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_leads_to_the_tool_of_the_teams_own_platform() {
    let bench = Bench::new().await;
    for platform in ["alpha-video", "beta-chat"] {
        let address = format!("https://{platform}.example/{{algorithm}}/{{hash}}")
            .parse()
            .unwrap();
        bench.store.set_tool(&name(platform), Some(&address)).await.unwrap();
    }
    let running = bench.start().await;
    until("parties announced", || {
        running.readiness.parts().values().all(Option::is_none)
    })
    .await;
    let ringing = alert(1, Scope::All, AlertLevel::Raised, 1.0);
    let on_beta = PlatformFigures {
        platform: PlatformId(2),
        ..ringing.platforms[0]
    };
    let platforms = vec![ringing.platforms[0], on_beta];
    bench.ring(&[Alert { platforms, ..ringing }]);
    for (key, platform) in [(&bench.alpha, "alpha-video"), (&bench.beta, "beta-chat")] {
        let case = &running.queue_of(1, key).await[0];
        let url = format!("https://{platform}.example/sha256/{}", "01".repeat(32));
        assert_eq!(case["tools"], json!([{"platform": platform, "url": url}]));
    }
    let of_coordinators = running.queue_of(1, &bench.coordinators).await;
    assert!(of_coordinators[0]["tools"].is_null(), "tools are their parties'");
    running.stop().await;
}
