//! How a client certificate becomes the key it is bound to, before any route sees the request.
//!
//! Behind this a certificate is a token like any other, so routes, streams and the audit chain know nothing of certificates. The token is made here, for a
//! certificate that was proved in the handshake of this connection; this process alone takes it.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use prometheus::{IntCounterVec, Opts, Registry};
use tocsin_runtime::Problem;
use tocsin_runtime::http::bearer_token;
use tocsin_runtime::problem::{CERTIFICATE_MISMATCH, CERTIFICATE_UNBOUND, ProblemKind, UNAVAILABLE};
use tocsin_runtime::tls::ClientCertificate;
use tocsin_store::{Store, StoreError};

/// After how many seconds to try again when the store does not answer.
const RETRY_AFTER_S: u32 = 5;
/// What browsers say of the page that made them ask, or of a session, and no machine does.
const OF_PAGES: [&str; 3] = ["sec-fetch-site", "origin", "cookie"];

/// Who is asked whose a certificate is.
#[derive(Clone)]
pub(super) struct Certificates {
    store: Store,
    refused: IntCounterVec,
}

impl Certificates {
    pub(super) fn new(store: Store, registry: &Registry) -> Result<Self, prometheus::Error> {
        let refused = Opts::new(
            "tocsin_certificates_refused_total",
            "Requests refused for their client certificate, which was valid: certificate_unbound, certificate_mismatch",
        );
        let refused = IntCounterVec::new(refused, &["code"])?;
        registry.register(Box::new(refused.clone()))?;
        for kind in [CERTIFICATE_UNBOUND, CERTIFICATE_MISMATCH] {
            refused.with_label_values(&[kind.code]);
        }
        Ok(Certificates { store, refused })
    }

    fn refuse(&self, kind: ProblemKind) -> Problem {
        self.refused.with_label_values(&[kind.code]).inc();
        kind.into()
    }

    /// What to show the routes: `None` leaves the request as it is.
    async fn shown(
        &self,
        certificate: &ClientCertificate,
        headers: &HeaderMap,
    ) -> Result<Option<HeaderValue>, Problem> {
        let shows_key = headers.contains_key(header::AUTHORIZATION);
        // A browser brings a certificate along with whatever any page made it ask for. People sign in.
        if !shows_key && OF_PAGES.iter().any(|name| headers.contains_key(*name)) {
            return Ok(None);
        }
        let bound_to = self.store.authenticate_certificate(certificate.public_key);
        let bound_to = bound_to.await.map_err(unavailable)?;
        let bound_to = bound_to.ok_or_else(|| self.refuse(CERTIFICATE_UNBOUND))?;
        if !shows_key {
            let token = self.store.certificate_token(&certificate.public_key, bound_to.key_id);
            let bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()));
            let mut bearer = bearer.map_err(|error| Problem::internal(&error))?;
            bearer.set_sensitive(true);
            return Ok(Some(bearer));
        }
        // What is no key of anybody is refused by the route, as it is without a certificate.
        let Some(shown) = bearer_token(headers) else {
            return Ok(None);
        };
        match self.store.authenticate(shown).await.map_err(unavailable)? {
            Some(principal) if principal.key_id != bound_to.key_id => Err(self.refuse(CERTIFICATE_MISMATCH)),
            _ => Ok(None),
        }
    }
}

/// A layer around the routes of all roles.
pub(super) async fn accept_certificate(
    State(certificates): State<Certificates>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(certificate) = request.extensions().get::<ClientCertificate>() else {
        return next.run(request).await;
    };
    match certificates.shown(certificate, request.headers()).await {
        Ok(None) => next.run(request).await,
        Ok(Some(bearer)) => {
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
            let mut response = next.run(request).await;
            // A cache on the way sees no key in the request: nothing else tells it that the answer is this machine's alone.
            let keep_none = HeaderValue::from_static("private, no-store");
            response.headers_mut().entry(header::CACHE_CONTROL).or_insert(keep_none);
            response
        }
        Err(problem) => problem.into_response(),
    }
}

fn unavailable(error: StoreError) -> Problem {
    tracing::error!(
        error = tocsin_runtime::roles::chain(&error),
        "the store did not say whose a certificate is"
    );
    Problem::new(UNAVAILABLE)
        .with_detail("certificates cannot be checked at the moment")
        .with_retry_after_s(RETRY_AFTER_S)
}
