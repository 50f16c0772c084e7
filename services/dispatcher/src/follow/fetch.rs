//! One page over HTTP, within stated limits.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{DATE, HeaderMap};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tocsin_exchange::{Page, PageError, fetch_hashes, hash_list, threat_updates};
use tocsin_runtime::http::retry_after;

use super::config::FollowKind;
use super::position::Position;
use super::problem::Problem;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a whole answer may take. Shorter than the lease under which it is asked for.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A server is not waited for longer than this, whatever it says.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(6 * 3_600);

/// Why there is no page, and how long the server wants to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoPage {
    pub problem: Problem,
    pub retry_after: Option<Duration>,
}

/// A page and its server's clock.
pub(super) struct Fetched {
    pub page: Page,
    pub server_time: i64,
}

/// Asks one server in the name of one set of credentials.
pub(super) struct Session<'a> {
    pub client: &'a Client,
    pub kind: FollowKind,
    pub base: &'a Url,
    pub credentials: &'a str,
    /// What Tech Against Terrorism gave for them.
    token: Option<String>,
}

/// No redirects: credentials go where an operator said, and nowhere else.
pub(super) fn client(answer_timeout: Duration) -> reqwest::Result<Client> {
    Client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(answer_timeout)
        .user_agent(concat!("tocsin/", env!("CARGO_PKG_VERSION")))
        .build()
}

impl<'a> Session<'a> {
    pub(super) fn new(client: &'a Client, kind: FollowKind, base: &'a Url, credentials: &'a str) -> Session<'a> {
        Session {
            client,
            kind,
            base,
            credentials,
            token: None,
        }
    }

    /// The page at a position.
    pub(super) async fn page(&mut self, position: &Position) -> Result<Fetched, NoPage> {
        let request = match self.kind {
            FollowKind::ThreatExchange => self.threat_updates(position)?,
            FollowKind::TechAgainstTerrorism => self.hash_list(position).await?,
            FollowKind::StopNcii => self.fetch_hashes(position)?,
        };
        let (bytes, server_time) = answer(request).await?;
        let page = match self.kind {
            FollowKind::ThreatExchange => threat_updates(&bytes),
            FollowKind::TechAgainstTerrorism => hash_list(&bytes),
            FollowKind::StopNcii => fetch_hashes(&bytes),
        };
        let page = page.map_err(|error| match error {
            PageError::NotJson(_) => no_page(Problem::PageNotJson),
            PageError::Malformed(_) => no_page(Problem::PageMalformed),
        })?;
        Ok(Fetched { page, server_time })
    }

    fn threat_updates(&self, position: &Position) -> Result<RequestBuilder, NoPage> {
        let url = match &position.next {
            Some(next) => Url::parse(next).map_err(|_| no_page(Problem::PageMalformed))?,
            None => {
                let mut url = self.at("threat_updates")?;
                url.query_pairs_mut()
                    .append_pair("fields", FIELDS)
                    .append_pair("limit", "500");
                if !position.since.is_empty() {
                    url.query_pairs_mut().append_pair("start_time", &position.since);
                }
                url
            }
        };
        Ok(self.client.get(url).query(&[("access_token", self.credentials)]))
    }

    async fn hash_list(&mut self, position: &Position) -> Result<RequestBuilder, NoPage> {
        let token = match &self.token {
            Some(token) => token.clone(),
            None => self.log_in().await?,
        };
        let after = position.next.as_ref().unwrap_or(&position.since);
        let url = self.at("api/hash-list/v2/all")?;
        let query = [("order", "asc"), ("after", after.as_str())];
        self.token = Some(token.clone());
        Ok(self.client.get(url).query(&query).bearer_auth(token))
    }

    async fn log_in(&self) -> Result<String, NoPage> {
        #[derive(Deserialize)]
        struct Given {
            token: String,
        }
        let pair = self.credentials.split_once(':');
        let (user, password) = pair.ok_or(no_page(Problem::CredentialsMissing))?;
        // As the `threatexchange` library writes it.
        let form = [("username", user), ("password", password), ("resend", "False")];
        let request = self.client.post(self.at("token-auth/tcap/")?).form(&form);
        let (bytes, _) = answer(request).await?;
        let given: Given = serde_json::from_slice(&bytes).map_err(|error| match error.is_data() {
            true => no_page(Problem::CredentialsRefused),
            false => no_page(Problem::PageNotJson),
        })?;
        Ok(given.token)
    }

    fn fetch_hashes(&self, position: &Position) -> Result<RequestBuilder, NoPage> {
        let pair = self.credentials.split_once(',');
        let (function, subscription) = pair.ok_or(no_page(Problem::CredentialsMissing))?;
        // The library's own beginning.
        let since = if position.since.is_empty() {
            "10"
        } else {
            &position.since
        };
        let mut query = vec![("startTimestamp", since), ("pageSize", "800")];
        query.extend(position.next.as_deref().map(|next| ("nextPageToken", next)));
        let request = self.client.get(self.at("FetchHashes")?).query(&query);
        Ok(request
            .header("x-functions-key", function)
            .header("Ocp-Apim-Subscription-Key", subscription))
    }

    fn at(&self, path: &str) -> Result<Url, NoPage> {
        let base = self.base.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/{path}")).map_err(|_| no_page(Problem::RequestRefused))
    }
}

const FIELDS: &str =
    "id,indicator,type,creation_time,last_updated,should_delete,tags,status,applications_with_opinions,descriptors";

fn no_page(problem: Problem) -> NoPage {
    NoPage {
        problem,
        retry_after: None,
    }
}

async fn answer(request: RequestBuilder) -> Result<(Vec<u8>, i64), NoPage> {
    let response = request.send().await.map_err(|error| no_page(of_error(&error)))?;
    let server_time = server_time(response.headers(), now());
    if let Some(problem) = of_status(response.status()) {
        return Err(NoPage {
            problem,
            retry_after: retry_after(response.headers(), SystemTime::now()).map(|wait| wait.min(RETRY_AFTER_MAX)),
        });
    }
    Ok((body(response).await.map_err(no_page)?, server_time))
}

async fn body(mut response: Response) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| match error.is_timeout() {
            true => Problem::TimedOut,
            false => Problem::AnswerCut,
        })?;
        let Some(chunk) = chunk else { return Ok(bytes) };
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Problem::PageTooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
}

fn of_error(error: &reqwest::Error) -> Problem {
    match error {
        error if error.is_timeout() => Problem::TimedOut,
        error if error.is_connect() => Problem::Unreachable,
        _ => Problem::AnswerCut,
    }
}

fn of_status(status: StatusCode) -> Option<Problem> {
    match status {
        StatusCode::OK => None,
        StatusCode::TOO_MANY_REQUESTS => Some(Problem::RateLimited),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Problem::CredentialsRefused),
        status if status.is_redirection() => Some(Problem::Redirected),
        status if status.is_server_error() => Some(Problem::ServerFailed),
        _ => Some(Problem::RequestRefused),
    }
}

/// What the server's clock says, or this host's where it says nothing that is a time, or a later one: what a list is read from again costs a few pages, what is
/// passed over is lost.
fn server_time(headers: &HeaderMap, now: i64) -> i64 {
    let text = headers.get(DATE).and_then(|date| date.to_str().ok());
    let at = text.and_then(|text| OffsetDateTime::parse(text, &Rfc2822).ok());
    at.map_or(now, |at| at.unix_timestamp().min(now))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    //! Goal: whatever a server says of its clock, no list is followed from a time that this host has not reached.

    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_clock_that_is_wrong_or_absent_is_not_gone_by() {
        let now = 1_790_000_000;
        for (date, expected) in [
            (Some("Thu, 01 Jan 2026 00:00:00 GMT"), 1_767_225_600),
            (Some("Thu, 01 Jan 1970 00:00:05 GMT"), 5),
            (Some("Fri, 01 Jan 2100 00:00:00 GMT"), now),
            (Some("yesterday"), now),
            (Some("1767225600"), now),
            (Some("\u{e4}"), now),
            (Some(""), now),
            (None, now),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(date) = date.and_then(|date| HeaderValue::from_bytes(date.as_bytes()).ok()) {
                headers.insert(DATE, date);
            }
            assert_eq!(server_time(&headers, now), expected, "{date:?}");
        }
    }
}
