//! Goal: whoever signed in finds on every page who they are and a button that signs them out, which no page elsewhere can press; a key has none.

use serde_json::json;

use crate::browser::{Browser, SESSION};
use crate::incidents::declare;
use crate::reports::days;
use crate::sign_in::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn every_page_has_a_button_that_signs_out() {
    let stage = Stage::new().await;
    stage.bind_ada().await;
    let (running, coordinators) = (&stage.running, &stage.bench.coordinators);
    let (_, incident) = declare(&stage.bench, running, "An attack", &[]).await;
    let debrief = format!("{incident}/debrief?form=html");
    let report = format!("/v1/reports?{}&form=html", days());
    let mut browser = Browser::new(running);
    for path in ["/v1/session?form=html", &debrief, &report] {
        let came = stage.sign_in(&mut browser, "").await;
        assert_eq!(
            (came.status.as_u16(), came.location.as_str()),
            (303, "/v1/session?form=html")
        );
        let page = browser.get(path).await.body;
        assert!(page.contains("Signed in as ada of coordinators."), "{path}: {page}");
        let (_, action) = page
            .split_once("<form class=\"session\" method=\"post\" action=\"")
            .unwrap();
        let (action, _) = action.split_once('"').unwrap();
        browser
            .post(action, Some("cross-site"))
            .await
            .refused(403, "cross_site");
        browser.post(action, None).await.refused(403, "cross_site");
        browser
            .post("/v1/sign-out?form=pdf", Some("same-origin"))
            .await
            .refused(400, "invalid_parameter");

        let came = browser.post(action, Some("same-origin")).await;
        assert!(
            came.status == 200 && came.body.contains("You are signed out"),
            "{}",
            came.body
        );
        assert!(!came.body.contains("<form") && !browser.cookies.contains_key(SESSION));
        browser.get(path).await.refused(401, "unauthenticated");
        browser
            .post(action, Some("same-origin"))
            .await
            .refused(401, "unauthenticated");

        let by_key = running.client.get(format!("{}{path}", running.address));
        let by_key = by_key.bearer_auth(coordinators).send().await.unwrap();
        assert_eq!(by_key.status(), 200, "{path}");
        let policy = by_key.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(
            !by_key.text().await.unwrap().contains("<form"),
            "{path}: a key has nothing to sign out of"
        );
    }
    running
        .refused(
            reqwest::Method::GET,
            "/v1/session?form=pdf",
            coordinators,
            None,
            (400, "invalid_parameter"),
        )
        .await;
    assert_eq!(
        running.get("/v1/session?form=json", coordinators).await["person"],
        json!(null)
    );
    stage.running.stop().await;
}
