//! The HTTP client of deliveries. It calls public addresses, and those of networks that an operator named; it judges the very address that
//! it connects to, follows no redirect, uses no proxy, and bounds time and bytes.

use std::borrow::Cow;
use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use reqwest::{Client, Response, StatusCode, Url, redirect};
use tocsin_model::Milliseconds;
use tocsin_runtime::http::retry_after;

use super::address::{Networks, is_public};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the first byte that is sent to the last that is read.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How much of an answer is read, so that its connection can be used again. Of a longer one the connection is dropped.
const BODY_BYTES_MAX: usize = 16 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
const IDLE_PER_HOST_MAX: usize = 4;

/// A request to an endpoint.
pub(crate) struct Request {
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A status, and for how long the endpoint wants to be left alone; of one that says that the request is bad, why: as much as fits, if it came in time.
    Status {
        code: u16,
        retry_after: Option<Milliseconds>,
        refusal: Vec<u8>,
    },
    /// None: a stable name of why.
    None(&'static str),
}

/// See the module.
pub(crate) struct HttpClient {
    public: Client,
    /// Where an operator named networks: without TLS, for addresses of these alone.
    named: Client,
    networks: Arc<Networks>,
}

/// An address that must not be called.
#[derive(Debug, thiserror::Error)]
#[error("the address {0} is neither public nor in a network that the operator named")]
struct AddressRefused(IpAddr);

/// Resolves names to addresses that may be called; of a name with any other address, none.
struct Guard {
    networks: Arc<Networks>,
    takes_public: bool,
}

impl HttpClient {
    pub(crate) fn new(networks: Networks) -> Result<HttpClient, reqwest::Error> {
        let networks = Arc::new(networks);
        let client = |takes_public: bool| {
            Client::builder()
                .user_agent(concat!("tocsin/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .no_proxy()
                .https_only(takes_public)
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(ANSWER_TIMEOUT)
                .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
                .dns_resolver(Arc::new(Guard {
                    networks: Arc::clone(&networks),
                    takes_public,
                }))
                .build()
        };
        Ok(HttpClient {
            public: client(true)?,
            named: client(false)?,
            networks,
        })
    }

    pub(crate) async fn post(&self, request: Request) -> Answer {
        let is_plain = request.url.scheme() == "http";
        // A host that is an address is never resolved.
        let guard = Guard {
            networks: Arc::clone(&self.networks),
            takes_public: !is_plain,
        };
        if literal(&request.url).is_some_and(|address| !guard.may_call(address)) {
            return Answer::None("address_refused");
        }
        let client = if is_plain { &self.named } else { &self.public };
        let sent = client
            .post(request.url)
            .headers(request.headers)
            .body(request.body)
            .send();
        match sent.await {
            Ok(response) => {
                let code = response.status().as_u16();
                let retry_after = retry_after(response.headers(), SystemTime::now()).map(milliseconds);
                // The status says it all; whether the body ends well changes nothing.
                let body = tokio::time::timeout(BODY_TIMEOUT, read_off(response)).await;
                Answer::Status {
                    code,
                    retry_after,
                    refusal: body.unwrap_or_default(),
                }
            }
            Err(error) => {
                // The reason is a name for many causes: what a certificate lacks stands here alone.
                let error = error.without_url();
                tracing::info!(error = %tocsin_runtime::roles::chain(&error), "an endpoint was not reached");
                Answer::None(reason(&error))
            }
        }
    }

    /// The body of an answer that is a success, of at most so many bytes.
    ///
    /// # Errors
    /// A stable name of what went wrong.
    pub(crate) async fn get(
        &self,
        (url, headers): (Url, HeaderMap),
        bytes_max: usize,
    ) -> Result<Vec<u8>, Cow<'static, str>> {
        let is_plain = url.scheme() == "http";
        let guard = Guard {
            networks: Arc::clone(&self.networks),
            takes_public: !is_plain,
        };
        if literal(&url).is_some_and(|address| !guard.may_call(address)) {
            return Err("address_refused".into());
        }
        let client = if is_plain { &self.named } else { &self.public };
        let broken = |error: reqwest::Error| Cow::from(reason(&error.without_url()));
        let mut response = client.get(url).headers(headers).send().await.map_err(broken)?;
        if !response.status().is_success() {
            return Err(format!("status_{}", response.status().as_u16()).into());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > bytes_max {
                return Err("too_large".into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

impl Guard {
    fn may_call(&self, address: IpAddr) -> bool {
        self.networks.holds(address) || (self.takes_public && is_public(address))
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Guard {
            networks: Arc::clone(&self.networks),
            takes_public: self.takes_public,
        };
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            match found.iter().find(|address| !guard.may_call(address.ip())) {
                Some(address) => Err(AddressRefused(address.ip()).into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

/// The address that stands in a URL in a host's place.
pub(crate) fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// The body of a 400; of any other nothing is kept.
async fn read_off(mut response: Response) -> Vec<u8> {
    let is_kept = response.status() == StatusCode::BAD_REQUEST;
    let (mut read, mut kept) = (0, Vec::new());
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > BODY_BYTES_MAX {
            break;
        }
        if is_kept {
            kept.extend_from_slice(&chunk);
        }
    }
    kept
}

fn milliseconds(wait: Duration) -> Milliseconds {
    Milliseconds(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

fn reason(error: &reqwest::Error) -> &'static str {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<AddressRefused>() {
            return "address_refused";
        }
        cause = inner.source();
    }
    match error {
        error if error.is_timeout() => "timeout",
        error if error.is_connect() => "connect",
        _ => "broken_off",
    }
}

#[cfg(test)]
mod tests {
    //! Goal: names and addresses that must not be called are not.
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn request(url: &str) -> Request {
        Request {
            url: url.parse().unwrap(),
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
    }

    #[tokio::test]
    async fn only_named_networks_are_called_inside_a_machine() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = HttpClient::new(Networks::default()).unwrap();
        for host in [
            "127.0.0.1",
            "localhost",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0x7f.1",
            "2130706433",
            "169.254.169.254",
        ] {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://{host}:{port}/");
                assert_eq!(
                    client.post(request(&url)).await,
                    Answer::None("address_refused"),
                    "{url}"
                );
            }
        }
        // Plain HTTP goes to named networks alone, whatever else is public.
        assert_eq!(
            client.post(request("http://8.8.8.8/")).await,
            Answer::None("address_refused")
        );
        drop(listener);
        let named = HttpClient::new(Networks::parse(&["127.0.0.0/8".to_owned()]).unwrap()).unwrap();
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(named.post(request(&url)).await, Answer::None("connect"));
    }
}
