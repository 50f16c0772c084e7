//! What HMA does with media and Tocsin does not: it takes hashes alone.

use tocsin_runtime::Problem;

use super::HASHING_NOT_OFFERED;
use crate::routes::meter::MeteredReader;

/// Not offered: hashing what is at an address
#[utoipa::path(get, path = "/h/hash", tag = "hma", security(("api_key" = [])),
    responses(
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "`hashing_not_offered`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn hash_url(_metered: MeteredReader) -> Problem {
    Problem::new(HASHING_NOT_OFFERED)
}

/// Not offered: hashing what is sent
#[utoipa::path(post, path = "/h/hash", tag = "hma", security(("api_key" = [])),
    responses(
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "`hashing_not_offered`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn hash_media(_metered: MeteredReader) -> Problem {
    Problem::new(HASHING_NOT_OFFERED)
}

/// Not offered: looking up what is sent
#[utoipa::path(post, path = "/m/lookup", tag = "hma", security(("api_key" = [])),
    responses(
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "`hashing_not_offered`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn lookup_media(_metered: MeteredReader) -> Problem {
    Problem::new(HASHING_NOT_OFFERED)
}
