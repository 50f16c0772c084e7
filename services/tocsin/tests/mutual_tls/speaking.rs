//! Goal: a bound certificate speaks as its key, on the routes of every role, and nothing else speaks as anybody.

use reqwest::Method;
use tocsin_model::KeyId;
use tocsin_runtime::tls::ClientCertificate;
use tocsin_store::{KeySubject, Roles};

use crate::authority::Of;
use crate::place::{Place, answer, refusal, whoami};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_certificate_is_its_key_and_no_other_is_anybody() {
    let place = Place::open().await;
    let pair = place.machines.issue(Of::client());
    place.bind(place.key.0, &pair).await;
    let key = place.key.1.expose();
    let (with, without) = (place.client(Some(&pair)), place.client(None));

    // On the routes of every role, exactly as the key.
    let by_certificate = whoami(&place, &with, None).await.unwrap();
    assert_eq!(by_certificate["team"], "north");
    assert_eq!(by_certificate, whoami(&place, &without, Some(key)).await.unwrap());
    assert_eq!(by_certificate, whoami(&place, &with, Some(key)).await.unwrap());
    let older = place.older_client(Some(&pair));
    assert_eq!(by_certificate, whoami(&place, &older, None).await.unwrap());
    for path in ["/v1/trending", "/v1/queue"] {
        let found = with.get(place.url(path)).send().await.unwrap();
        assert_eq!(found.status(), 200, "{path}");
        // A cache that sees no key in the request learns that the answer is not for others.
        assert_eq!(found.headers()["cache-control"], "private, no-store", "{path}");
    }
    let published = with
        .post(place.url("/v1/events"))
        .header("content-type", "application/json");
    let published = published.body(r#"{"events":[]}"#).send().await.unwrap();
    let by_key = without
        .post(place.url("/v1/events"))
        .header("content-type", "application/json");
    let by_key = by_key.bearer_auth(key).body(r#"{"events":[]}"#).send().await.unwrap();
    assert_eq!(answer(published).await, answer(by_key).await);
    // And no further: the certificate of a machine is no auditor.
    let audit = with.get(place.url("/v1/audit")).send().await.unwrap();
    assert_eq!(answer(audit).await, (403, "forbidden".to_owned()));

    // Without either nobody is anybody; health and metrics ask nobody.
    assert_eq!(whoami(&place, &without, None).await, refusal("unauthenticated"));
    for path in ["/healthz", "/readyz", "/metrics", "/v1/openapi.json"] {
        let found = without.get(place.url(path)).send().await.unwrap();
        assert_eq!(found.status(), 200, "{path}");
    }

    // Another key beside the certificate, one that is none, and a session of somebody.
    let (_, other) = place
        .store
        .issue_key(KeySubject::Coordinators, Roles::all())
        .await
        .unwrap();
    assert_eq!(
        whoami(&place, &with, Some(other.expose())).await,
        refusal("certificate_mismatch")
    );
    assert_eq!(
        whoami(&place, &with, Some("tocsin_none")).await,
        refusal("unauthenticated")
    );
    assert_eq!(
        place
            .metric(r#"tocsin_certificates_refused_total{code="certificate_mismatch"}"#)
            .await,
        1
    );

    // A certificate of the authority that nobody bound, also beside a good key; health and metrics ask nobody.
    let unbound = place.machines.issue(Of::client());
    let unbound = place.client(Some(&unbound));
    assert_eq!(whoami(&place, &unbound, None).await, refusal("certificate_unbound"));
    assert_eq!(
        whoami(&place, &unbound, Some(key)).await,
        refusal("certificate_unbound")
    );
    assert_eq!(
        place
            .metric(r#"tocsin_certificates_refused_total{code="certificate_unbound"}"#)
            .await,
        2
    );
    let health = unbound.get(place.url("/healthz")).send().await.unwrap();
    assert_eq!(health.status(), 200);

    // What names a certificate in a header is nothing: neither what proxies send nor the token that another process made for it.
    let public_key = ClientCertificate::from_pem(pair.certificate.as_bytes())
        .unwrap()
        .public_key;
    let token = place.store.certificate_token(&public_key, KeyId(1));
    assert_eq!(
        whoami(&place, &without, Some(token.expose())).await,
        refusal("unauthenticated")
    );
    for name in [
        "client-cert",
        "x-client-cert",
        "x-forwarded-client-cert",
        "x-ssl-client-cert",
    ] {
        let der = format!(":{}:", pair.base64());
        let asked = without
            .get(place.url("/v1/session"))
            .header(name, der)
            .send()
            .await
            .unwrap();
        assert_eq!(answer(asked).await, (401, "unauthenticated".to_owned()), "{name}");
    }
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_does_nothing_with_a_machines_certificate() {
    let place = Place::open().await;
    let pair = place.machines.issue(Of::client());
    place.bind(place.key.0, &pair).await;
    let with = place.client(Some(&pair));
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "none"),
        ("origin", "https://evil.example"),
    ] {
        for method in [Method::GET, Method::POST] {
            let path = if method == Method::GET {
                "/v1/session"
            } else {
                "/v1/sign-out"
            };
            let asked = with
                .request(method, place.url(path))
                .header(name, value)
                .send()
                .await
                .unwrap();
            assert_eq!(
                answer(asked).await,
                (401, "unauthenticated".to_owned()),
                "{name}: {value}"
            );
        }
    }
    place.close().await;
}
