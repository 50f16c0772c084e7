use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use reqwest::{Client, StatusCode, Url, redirect};
use tocsin_exchange::write;
use tocsin_model::{Algorithm, BankName, ContentHash};
use tocsin_runtime::http::retry_after;
use tocsin_store::{Store, WatchCursor};

use super::PAGE;
use super::export::held;

/// Pushes the entries of a bank into a bank of the open matcher HMA, one request for each.
///
/// HMA knows no request that it had before: what is pushed twice stands there twice. What a push that failed got through is said by it.
#[derive(Debug, Args)]
pub struct PushCommand {
    /// Of which bank.
    #[arg(long)]
    bank: BankName,
    /// Where HMA is: https://hma.example
    #[arg(long)]
    url: Url,
    /// Into which of its banks, which must be there.
    #[arg(long)]
    to: BankName,
    /// Go on behind this entry, the last that a push before got through, whatever became of the list meanwhile: ALGORITHM:VALUE.
    #[arg(long, value_parser = entry)]
    after: Option<ContentHash>,
}

const TIMEOUT: Duration = Duration::from_secs(30);
/// So often one entry is tried.
const ATTEMPTS: u32 = 5;
/// So long a server that says nothing of it is left alone, and then twice as long, and so on.
const WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(300);

#[derive(Default)]
struct Pushed {
    done: u64,
    left_out: u64,
    /// Disputed, called harmless, or only to be looked at.
    not_held: u64,
    refused: u64,
}

/// A hash as `--after` names it.
fn entry(text: &str) -> Result<ContentHash, String> {
    let (algorithm, value) = text.split_once(':').ok_or("ALGORITHM:VALUE is wanted")?;
    let algorithm = Algorithm::from_name(algorithm).ok_or("there is no such algorithm: sha256, md5, pdq, vpdq, url")?;
    ContentHash::parse(algorithm, value, None).map_err(|error| error.to_string())
}

/// What to say to go on behind an entry.
fn go_on(last: Option<&ContentHash>) -> String {
    match last {
        Some(last) => format!(
            "stopped: go on with --after {}:{}",
            last.algorithm().name(),
            last.value_text()
        ),
        None => "stopped before the first entry".to_owned(),
    }
}

impl PushCommand {
    pub async fn run(&self, store: &Store) -> Result<()> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()?;
        let base = self.url.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}/c/bank/{}/signal", self.to))?;
        let mut pushed = Pushed::default();
        let mut last = self.after.clone();
        let mut after = last.as_ref().map(|last| WatchCursor::behind(&self.bank, last));
        loop {
            let (listings, next) = store.watch_listings(Some(&self.bank), after.as_ref(), PAGE).await?;
            let held = held(store, listings).await?;
            pushed.not_held += held.left_out;
            for listing in held.listings {
                match write::bank_signal(&listing.hash) {
                    Some(body) => match push(&client, &url, &body.to_string())
                        .await
                        .with_context(|| go_on(last.as_ref()))?
                    {
                        true => pushed.done += 1,
                        false => pushed.refused += 1,
                    },
                    None => pushed.left_out += 1,
                }
                last = Some(listing.hash);
            }
            let Some(next) = next else { break };
            after = Some(next);
        }
        let Pushed {
            done,
            left_out,
            not_held,
            refused,
        } = pushed;
        println!(
            "pushed {done}, refused {refused}, without a name for their kind of hash {left_out}, not held by all {not_held}"
        );
        Ok(())
    }
}

/// Whether it was taken: it may be of a kind that this HMA does not match.
async fn push(client: &Client, url: &Url, body: &str) -> Result<bool> {
    for attempt in 0..ATTEMPTS {
        let request = client.post(url.clone()).header("content-type", "application/json");
        let wait = match request.body(body.to_owned()).send().await {
            Ok(response) => match response.status() {
                status if status.is_success() => return Ok(true),
                StatusCode::BAD_REQUEST => return Ok(false),
                StatusCode::NOT_FOUND => bail!("there is no such bank"),
                status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                    retry_after(response.headers(), SystemTime::now())
                }
                status => bail!("HMA answers {status}"),
            },
            Err(error) if attempt + 1 == ATTEMPTS => return Err(error.into()),
            Err(_) => None,
        };
        if attempt + 1 < ATTEMPTS {
            let wait = wait.unwrap_or(WAIT * (1 << attempt)).min(WAIT_MAX);
            tokio::time::sleep(wait).await;
        }
    }
    bail!("HMA failed {ATTEMPTS} times")
}

#[cfg(test)]
mod tests {
    //! Goal: every entry is pushed once, in HMA's own form, and a server that fails is asked again.
    #![allow(clippy::unwrap_used)]

    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use axum::extract::{Request, State};
    use tocsin_model::Severity;

    use super::*;

    type Told = Arc<Mutex<(VecDeque<u16>, Vec<(String, String)>)>>;

    async fn hma(State(told): State<Told>, request: Request) -> axum::response::Response {
        let path = request.uri().path().to_owned();
        let body = axum::body::to_bytes(request.into_body(), 1_000).await.unwrap();
        let mut told = told.lock().unwrap();
        let status = told.0.pop_front().unwrap_or(200);
        if status == 200 {
            told.1.push((path, String::from_utf8(body.to_vec()).unwrap()));
        }
        let response = axum::response::Response::builder()
            .status(status)
            .header("retry-after", "0");
        response.body(axum::body::Body::empty()).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_bank_is_pushed() {
        let told = Told::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(hma).with_state(told.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", directory.path().join("s.db").display()))
            .await
            .unwrap();
        let hash = |algorithm, byte: u8| {
            let length = if algorithm == Algorithm::Md5 { 16 } else { 32 };
            ContentHash::from_bytes(algorithm, vec![byte; length], None).unwrap()
        };
        for hash in [
            hash(Algorithm::Md5, 1),
            hash(Algorithm::Pdq, 2),
            hash(Algorithm::Vpdq, 3),
            hash(Algorithm::Sha256, 4),
        ] {
            store
                .watch(&hash, &"north".parse().unwrap(), Severity::MIN)
                .await
                .unwrap();
        }
        let command = |after: Option<&str>| PushCommand {
            bank: "NORTH".parse().unwrap(),
            url: url.parse().unwrap(),
            to: "THEIRS".parse().unwrap(),
            after: after.map(|text| entry(text).unwrap()),
        };
        // The file's SHA-256 stands before the others, MD5 behind it.
        told.lock().unwrap().0.extend([429, 503, 200, 200, 400]);
        command(None).run(&store).await.unwrap();
        let path = "/c/bank/THEIRS/signal".to_owned();
        let md5 = format!(r#"{{"video_md5":"{}"}}"#, "01".repeat(16));
        let sha256 = (path.clone(), format!(r#"{{"video_sha256":"{}"}}"#, "04".repeat(32)));
        let md5 = (path.clone(), md5);
        assert_eq!(
            told.lock().unwrap().1,
            [sha256.clone(), md5.clone()],
            "the third was refused"
        );
        // The entry behind which it goes on is not there any more.
        let first = format!("md5:{}", "01".repeat(16));
        let gone = hash(Algorithm::Md5, 1);
        store.unwatch(&gone, &"north".parse().unwrap()).await.unwrap();
        command(Some(&first)).run(&store).await.unwrap();
        store
            .watch(&gone, &"north".parse().unwrap(), Severity::MIN)
            .await
            .unwrap();
        let pdq = format!(r#"{{"pdq":"{}"}}"#, "02".repeat(32));
        assert_eq!(told.lock().unwrap().1, [sha256, md5, (path, pdq)]);
        told.lock().unwrap().0.extend([200, 200, 404]);
        let error = command(None).run(&store).await.unwrap_err();
        assert_eq!(error.to_string(), format!("stopped: go on with --after {first}"));
        told.lock().unwrap().0.extend([404]);
        let error = command(None).run(&store).await.unwrap_err();
        assert_eq!(error.to_string(), "stopped before the first entry");
        assert!(entry("md5:01").is_err() && entry("01").is_err() && entry("crc:01").is_err());
        store.close().await;
    }
}
