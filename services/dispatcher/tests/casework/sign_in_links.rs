//! Goal: links and invitations are good once, say whose they are before anything is done with them, and no page elsewhere uses one for somebody.

use reqwest::Method;
use serde_json::Value;
use tocsin_store::{KeySubject, LinkPurpose, Role, Roles};

use crate::bench::name;
use crate::browser::Browser;
use crate::sign_in::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_link_and_an_invitation_are_good_once() {
    let stage = Stage::new().await;
    let mut browser = Browser::new(&stage.running);
    let link = stage
        .bench
        .store
        .issue_link(stage.ada, LinkPurpose::SignIn)
        .await
        .unwrap();
    let path = format!("/v1/sign-in/link?link={}", link.expose());
    // Looking at it, as mail scanners do, uses nothing up; a page elsewhere signs nobody in.
    for _ in 0..2 {
        let page = browser.get(&path).await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains(link.expose()) && page.cookies.is_empty());
        assert!(page.body.contains("ada of coordinators"), "{}", page.body);
    }
    let (path, form) = ("/v1/sign-in/link", [("link", link.expose())]);
    browser
        .post_form(path, Some("cross-site"), &form)
        .await
        .refused(403, "cross_site");
    let came = browser.post_form(path, Some("same-origin"), &form).await;
    assert_eq!(
        (came.status.as_u16(), came.location.as_str()),
        (303, "/v1/session?form=html"),
        "{}",
        came.body
    );
    let told: Value = serde_json::from_str(&browser.get("/v1/session").await.body).unwrap();
    assert_eq!(told["person"], "ada");
    browser
        .post_form(path, Some("same-origin"), &form)
        .await
        .refused(410, "link_invalid");
    let used = format!("/v1/sign-in/link?link={}", link.expose());
    browser.get(&used).await.refused(410, "link_invalid");
    browser
        .post(&used, Some("same-origin"))
        .await
        .refused(400, "invalid_parameter");
    for wrong in ["", "?link=", "?link=%3Cscript%3E", "?link=a&b=c"] {
        browser
            .get(&format!("/v1/sign-in/link{wrong}"))
            .await
            .refused(400, "invalid_parameter");
    }
    // A person who is revoked is signed out at once.
    let invitation = stage
        .bench
        .store
        .issue_link(stage.ada, LinkPurpose::Invitation)
        .await
        .unwrap();
    let mut other = Browser::new(&stage.running);
    let invitation = invitation.expose();
    assert_eq!(stage.sign_in_invited(&mut other, invitation).await.status, 303);
    let came = stage.sign_in_invited(&mut other, invitation).await;
    came.refused(410, "link_invalid");
    assert_eq!(stage.sign_in(&mut other, "").await.status, 303, "bound for good");
    stage.bench.store.revoke_key(stage.ada).await.unwrap();
    for browser in [&mut browser, &mut other] {
        browser.get("/v1/session").await.refused(401, "unauthenticated");
    }
    stage.sign_in(&mut other, "").await.refused(403, "account_unknown");
    stage.running.stop().await;

    let without = stage.bench.start().await;
    let mut browser = Browser::new(&without);
    browser.get("/v1/sign-in").await.refused(501, "sign_in_not_offered");
    browser.come_back("x").await.refused(501, "sign_in_not_offered");
    without.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_elsewhere_binds_somebodys_account_to_another() {
    let stage = Stage::new().await;
    let roles = Roles::of(&[Role::Moderator]);
    let subject = KeySubject::Coordinators;
    let eve = stage.bench.store.issue_key_to(subject, roles, &name("eve")).await;
    let invitation = stage
        .bench
        .store
        .issue_link(eve.unwrap().0, LinkPurpose::Invitation)
        .await;
    let invitation = invitation.unwrap();
    let invitation = invitation.expose();
    // Ada is made to open eve's invitation: she is asked, and told whose it is, and nothing is begun.
    let mut ada = Browser::new(&stage.running);
    let page = ada
        .get(&format!(
            "/v1/sign-in?invitation={invitation}&return_to=/v1/queue%22%3E"
        ))
        .await;
    assert_eq!((page.status.as_u16(), page.location.as_str()), (200, ""));
    assert!(page.cookies.is_empty(), "nothing is begun");
    assert!(page.body.contains("eve of coordinators"), "{}", page.body);
    assert!(page.body.contains("value=\"/v1/queue&quot;&gt;\""), "{}", page.body);
    let form = [("invitation", invitation)];
    for site in ["cross-site", "same-site", "none"] {
        let came = ada.post_form("/v1/sign-in", Some(site), &form).await;
        came.refused(403, "cross_site");
        assert!(came.cookies.is_empty());
    }
    let elsewhere = ada.request(Method::POST, "/v1/sign-in").form(&form);
    let came = ada.send(elsewhere.header("origin", "https://evil.example")).await;
    came.refused(403, "cross_site");
    // By the page itself.
    let came = stage.sign_in_invited(&mut ada, invitation).await;
    assert_eq!(came.status, 303, "{}", came.body);
    let told: Value = serde_json::from_str(&ada.get("/v1/session").await.body).unwrap();
    assert_eq!(told["person"], "eve");
    for (query, status, code) in [
        ("invitation=none", 410, "link_invalid"),
        ("invitation=%3Cscript%3E", 400, "invalid_parameter"),
        ("invitation=none&return_to=//evil.example", 400, "invalid_parameter"),
    ] {
        ada.get(&format!("/v1/sign-in?{query}")).await.refused(status, code);
    }
    stage.running.stop().await;
}
