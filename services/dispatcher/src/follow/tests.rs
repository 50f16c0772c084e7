//! Goal: a followed list ends up in its bank whatever its server does: it is read page by page, what fails is counted with a code and taken up
//! where it was, and a server that lies leads nowhere. The server here replays recorded shapes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use futures::stream;
use tocsin_model::{Algorithm, ContentHash};

use super::*;

mod servers;

/// What the server answers next: a status, headers, a body; or nothing ever.
enum Reply {
    Answer(u16, Vec<(&'static str, String)>, String),
    Cut(String),
    Never,
    /// A page of a server whose clock says this.
    Dated(&'static str, String),
}

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    /// The paths and queries, with the headers, that were asked for.
    asked: Vec<(String, axum::http::HeaderMap)>,
}

struct Stage {
    _directory: tempfile::TempDir,
    script: Arc<Mutex<Script>>,
    following: Following,
    base: String,
}

const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
/// The same in seconds since 1970.
const SERVER_TIME: i64 = 1_767_225_600;

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response<Body> {
    let reply = {
        let mut script = script.lock().unwrap();
        let uri = request.uri().path_and_query().unwrap().to_string();
        script.asked.push((uri, request.headers().clone()));
        script.replies.pop_front()
    };
    let response = |status: u16| Response::builder().status(status).header("date", DATE);
    match reply {
        None => response(500).body(Body::empty()).unwrap(),
        Some(Reply::Never) => std::future::pending().await,
        Some(Reply::Dated(date, body)) => {
            let dated = Response::builder().status(200).header("date", date);
            dated.body(Body::from(body)).unwrap()
        }
        Some(Reply::Cut(half)) => {
            let parts = [Ok(Bytes::from(half)), Err(std::io::Error::other("cut"))];
            response(200).body(Body::from_stream(stream::iter(parts))).unwrap()
        }
        Some(Reply::Answer(status, headers, body)) => {
            let mut builder = response(status);
            for (name, value) in headers {
                builder = builder.header(name, value);
            }
            builder.body(Body::from(body)).unwrap()
        }
    }
}

impl Stage {
    async fn new(kind: FollowKind, credentials: &str) -> Stage {
        let directory = tempfile::tempdir().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let router = axum::Router::new().fallback(answer).with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let secrets = directory.path().join("credentials");
        std::fs::write(&secrets, format!("{credentials}\n")).unwrap();
        let config = FollowConfig {
            kind,
            url: format!("{base}/v1/7"),
            bank: "LIST".to_owned(),
            credentials_file: secrets,
            credentials_env: String::new(),
            plain_http: false,
            interval_s: 900,
        };
        let store = Store::open(&format!("sqlite:{}", directory.path().join("store.db").display()))
            .await
            .unwrap();
        let mut following = Following::new(&[config], store, "a".to_owned(), &Registry::new()).unwrap();
        // A server that hangs is waited for no longer than a test may take.
        following.client = fetch::client(Duration::from_millis(300)).unwrap();
        Stage {
            _directory: directory,
            script,
            following,
            base,
        }
    }

    fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.script.lock().unwrap().replies.extend(replies);
    }

    /// A round, and what was asked for in it.
    async fn round(&mut self) -> (Result<(), &'static str>, Vec<String>) {
        let round = self.following.round(&self.following.lists[0]).await.unwrap();
        let ended = match round {
            Round::Read => Ok(()),
            Round::NotNow => Err("not now"),
            Round::Stopped(none) => Err(none.problem.code()),
        };
        self.following.rest(0, Ok(round));
        let asked = std::mem::take(&mut self.script.lock().unwrap().asked);
        (ended, asked.into_iter().map(|(uri, _)| uri).collect())
    }

    fn wait(&self) -> Duration {
        self.following.lists[0].due_at.saturating_duration_since(Instant::now())
    }

    async fn entries(&self) -> Vec<String> {
        let (listings, _) = self.following.store.watch_listings(None, None, 100).await.unwrap();
        listings
            .iter()
            .map(|listing| listing.hash.value_text()[..4].to_owned())
            .collect()
    }

    async fn problem(&self) -> Option<String> {
        self.following.store.follow_states().await.unwrap()[0].problem.clone()
    }

    fn next(&self, after: &str) -> String {
        format!("{}/v1/7/threat_updates?access_token=secret&after={after}", self.base)
    }
}

fn ok(body: impl Into<String>) -> Reply {
    Reply::Answer(200, Vec::new(), body.into())
}

fn md5(number: u8) -> String {
    ContentHash::from_bytes(Algorithm::Md5, vec![number; 16], None)
        .unwrap()
        .value_text()
}

/// A page of `threat_updates`: hashes that are listed at a time, hashes that are deleted, where the next is.
fn threat_updates(listed: &[(u8, i64)], deleted: &[u8], next: Option<&str>) -> String {
    let listed = listed.iter().map(|(number, at)| {
        serde_json::json!({"id": number.to_string(), "indicator": md5(*number), "type": "HASH_MD5", "last_updated": at, "should_delete": false,
            "status": "MALICIOUS", "tags": ["media_priority_s0"],
            "descriptors": {"data": [{"id": "1", "owner": {"id": "7"}, "status": "MALICIOUS"}]}})
    });
    let deleted = deleted.iter().map(|number| {
        serde_json::json!({"id": number.to_string(), "indicator": md5(*number), "type": "HASH_MD5", "last_updated": 5, "should_delete": true})
    });
    let data: Vec<serde_json::Value> = listed.chain(deleted).collect();
    let paging = next.map(|next| serde_json::json!({"cursors": {}, "next": next}));
    serde_json::json!({"data": data, "paging": paging}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_updates_are_read_page_by_page_and_go_on_from_the_newest() {
    let mut stage = Stage::new(FollowKind::ThreatExchange, "secret").await;
    let far = SERVER_TIME + 1_000_000;
    stage.reply([
        ok(threat_updates(&[(1, 100), (2, 200)], &[], Some(&stage.next("b")))),
        ok(threat_updates(&[(3, 900)], &[1], None)),
        ok(threat_updates(&[(4, far)], &[9], None)),
        ok(threat_updates(&[], &[], None)),
    ]);
    let (ended, asked) = stage.round().await;
    assert_eq!(ended, Ok(()));
    assert_eq!(stage.entries().await, ["0202", "0303"]);
    assert!(
        asked[0].starts_with("/v1/7/threat_updates?fields=id%2Cindicator"),
        "{asked:?}"
    );
    assert!(
        asked[0].ends_with("&limit=500&access_token=secret") && !asked[0].contains("start_time"),
        "{asked:?}"
    );
    assert_eq!(asked[1], "/v1/7/threat_updates?after=b&access_token=secret");
    let (listings, _) = stage.following.store.watch_listings(None, None, 9).await.unwrap();
    assert_eq!(
        (listings[0].source_id.as_deref(), listings[0].severity),
        (Some("2"), Severity::MAX)
    );

    assert!(stage.round().await.1[0].contains("&start_time=900&"), "from the newest");
    // What comes from the server's future is taken; what comes until then is asked for all the same.
    let expected = format!("&start_time={SERVER_TIME}&");
    assert!(stage.round().await.1[0].contains(&expected));
    assert_eq!(stage.entries().await, ["0202", "0303", "0404"]);
    let states = stage.following.store.follow_states().await.unwrap();
    assert!(!states[0].checkpoint.as_ref().unwrap().contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_the_next_round_goes_on_where_it_was() {
    let mut stage = Stage::new(FollowKind::ThreatExchange, "secret").await;
    let page = threat_updates(&[(2, 200)], &[], None);
    let limited = vec![("retry-after", "77".to_owned())];
    let elsewhere = vec![("location", "http://127.0.0.1:1/".to_owned())];
    let other = "http://127.0.0.1:1/v1/7/threat_updates?after=z";
    let failures = [
        (Reply::Answer(429, limited, String::new()), "rate_limited"),
        (Reply::Answer(503, Vec::new(), String::new()), "server_failed"),
        (Reply::Answer(403, Vec::new(), String::new()), "credentials_refused"),
        (Reply::Answer(302, elsewhere, String::new()), "redirected"),
        (Reply::Never, "timed_out"),
        (Reply::Cut(page[..page.len() / 2].to_owned()), "answer_cut"),
        (ok(&page[..page.len() / 2]), "page_not_json"),
        (ok("<!DOCTYPE html><html>Log in</html>"), "page_not_json"),
        (ok(r#"{"error": {"message": "no"}}"#), "page_malformed"),
        (ok("x".repeat(17 << 20)), "page_too_long"),
    ];
    stage.reply([ok(threat_updates(&[(1, 100)], &[], Some(&stage.next("b"))))]);
    for (reply, code) in failures {
        let is_limited = code == "rate_limited";
        stage.reply([reply]);
        let (ended, asked) = stage.round().await;
        assert_eq!(ended, Err(code));
        assert_eq!(
            asked.last().unwrap(),
            "/v1/7/threat_updates?after=b&access_token=secret",
            "{code}"
        );
        assert_eq!(stage.problem().await.as_deref(), Some(code));
        assert_eq!(stage.entries().await, ["0101"], "{code}");
        let wait = stage.wait().as_secs();
        let expected = if is_limited { 70..=77 } else { 30..=900 };
        assert!(expected.contains(&wait), "{code}: {wait}");
    }
    stage.reply([ok(page)]);
    assert_eq!(stage.round().await.0, Ok(()));
    assert_eq!(stage.entries().await, ["0101", "0202"]);
    assert_eq!(stage.problem().await, None);

    // A next page that is another server's, or this one: what the page says counts, what it says about the next does not.
    stage.reply([ok(threat_updates(&[(3, 300)], &[], Some(other)))]);
    assert_eq!(stage.round().await.0, Err("next_elsewhere"));
    let next = stage.next("c");
    stage.reply([
        ok(threat_updates(&[(4, 400)], &[], Some(&next))),
        ok(threat_updates(&[(5, 500)], &[], Some(&next))),
    ]);
    assert_eq!(stage.round().await.0, Err("paging_stuck"));
    assert_eq!(stage.entries().await, ["0101", "0202", "0303", "0404", "0505"]);
    // A place that is not known any more: the round begins anew.
    stage.reply([
        ok(threat_updates(&[], &[], Some(&next))),
        Reply::Answer(400, Vec::new(), String::new()),
    ]);
    assert_eq!(stage.round().await.0, Err("request_refused"));
    stage.reply([ok(threat_updates(&[(6, 600)], &[], None))]);
    let (ended, asked) = stage.round().await;
    assert_eq!(
        (ended, asked[0].contains("start_time=200")),
        (Ok(()), true),
        "{asked:?}"
    );
    std::fs::write(&stage.following.lists[0].config.credentials_file, "").unwrap();
    assert_eq!(stage.round().await.0, Err("credentials_missing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hash_list_of_tech_against_terrorism_is_read_from_checkpoint_to_checkpoint() {
    let mut stage = Stage::new(FollowKind::TechAgainstTerrorism, "user:pass:word").await;
    let page = |number: u8, deleted: bool, next: Option<&str>, checkpoint: &str| {
        let entry = serde_json::json!({"id": number, "hash_digest": md5(number), "algorithm": "MD5", "ideology": "far-right", "file_type": "mp4",
            "deleted": deleted, "updated_on": 1704085200.5, "created_on": "2024-01-01T05:00:00Z"});
        let broken = serde_json::json!({"id": 0, "hash_digest": "zz", "algorithm": "PDQ", "deleted": false});
        ok(serde_json::json!({"count": 2, "next": next, "previous": null, "checkpoint": checkpoint, "results": [entry, broken]}).to_string())
    };
    let token = || ok(r#"{"user": {}, "token": "jwt"}"#);
    stage.reply([
        token(),
        page(1, false, Some("limit=1&offset=1"), "100,1"),
        page(2, false, None, "200,2"),
    ]);
    let (ended, asked) = stage.round().await;
    let list = |after: &str| format!("/v1/7/api/hash-list/v2/all?order=asc&after={after}");
    assert_eq!(ended, Ok(()));
    assert_eq!(asked, ["/v1/7/token-auth/tcap/".to_owned(), list(""), list("100%2C1")]);
    stage.reply([token(), page(1, true, None, "300,1")]);
    assert_eq!(stage.round().await.1[1], list("200%2C2"));
    assert_eq!(stage.entries().await, ["0202"], "a tombstone");
    // A list that claims to go on and does not.
    stage.reply([token(), page(3, false, Some("limit=1&offset=1"), "300,1")]);
    assert_eq!(stage.round().await.0, Err("paging_stuck"));
    stage.reply([ok(r#"{"error": "no such user"}"#)]);
    assert_eq!(stage.round().await.0, Err("credentials_refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopncii_is_read_by_its_tokens() {
    let mut stage = Stage::new(FollowKind::StopNcii, "function,subscription").await;
    let page = |number: u8, status: &str, token: Option<&str>, at: i64| {
        let record = serde_json::json!({"lastModtimestamp": at, "signalType": "VideoMD5", "hashValue": md5(number), "hashStatus": status,
            "caseNumbers": [], "CSPFeedbacks": [{"source": "Example", "feedbackValue": "Blocked", "tags": []}]});
        ok(serde_json::json!({"count": 1, "nextPageToken": token, "nextSetTimestamp": at, "hasMoreRecords": token.is_some(),
            "hashRecords": [record]}).to_string())
    };
    stage.reply([
        page(1, "Active", Some("t1"), 50),
        page(2, "Active", None, 60),
        page(1, "Withdrawn", None, 70),
    ]);
    let (ended, asked) = stage.round().await;
    assert_eq!(ended, Ok(()));
    assert_eq!(asked[0], "/v1/7/FetchHashes?startTimestamp=10&pageSize=800");
    assert_eq!(
        asked[1],
        "/v1/7/FetchHashes?startTimestamp=10&pageSize=800&nextPageToken=t1"
    );
    assert_eq!(
        stage.round().await.1,
        ["/v1/7/FetchHashes?startTimestamp=60&pageSize=800"]
    );
    assert_eq!(stage.entries().await, ["0202"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_dispatcher_follows_and_a_list_left_alone_for_too_long_is_not_gone_on_with() {
    let mut stage = Stage::new(FollowKind::ThreatExchange, "secret").await;
    let store = stage.following.store.clone();
    assert!(store.hold_calibrator("b", LEASE).await.unwrap());
    assert_eq!(stage.round().await, (Err("not now"), vec![]));
    assert!(store.hold_calibrator("b", Milliseconds(-1)).await.unwrap());
    stage.reply([ok(threat_updates(&[(1, 100)], &[], None))]);
    assert_eq!(stage.round().await.0, Ok(()));

    // The same store, long after.
    let clock = tocsin_store::Clock::standing_at(now() - Milliseconds::from_hours(86 * 24));
    let url = format!("sqlite:{}", stage._directory.path().join("store.db").display());
    let before = Store::open_with_clock(&url, clock).await.unwrap();
    before
        .update_list(&"LIST".parse().unwrap(), &[], Some(("LIST", "{}")))
        .await
        .unwrap();
    assert_eq!(stage.round().await, (Err("checkpoint_stale"), vec![]));
    assert!(store.forget_follow("LIST").await.unwrap());
    stage.reply([ok(threat_updates(&[(1, 100)], &[], None))]);
    assert_eq!(stage.round().await.0, Ok(()), "from the beginning");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_nothing_runs_on_until_it_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("store.db").display());
    let store = Store::open(&url).await.unwrap();
    let following = Following::new(&[], store, "a".to_owned(), &Registry::new()).unwrap();
    let shutdown = Shutdown::new();
    // A role that ends by itself ends the process.
    let mut running = Box::pin(following.run(shutdown.clone()));
    assert!(futures::poll!(&mut running).is_pending());
    shutdown.request();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_whose_server_hangs_keeps_no_other_waiting() {
    let [hanging, good] = [(); 2].map(|()| Stage::new(FollowKind::ThreatExchange, "secret"));
    let (mut hanging, mut good) = futures::join!(hanging, good);
    hanging.reply([Reply::Never]);
    good.reply([ok(threat_updates(&[(1, 100)], &[], None))]);
    // One dispatcher reads both; nothing ends the wait for the one that hangs.
    let mut second = good.following.lists.remove(0);
    second.bank = "GOOD".parse().unwrap();
    let following = &mut hanging.following;
    following.lists.push(second);
    following.client = fetch::client(Duration::from_secs(3_600)).unwrap();
    let store = following.store.clone();
    let (shutdown, following) = (Shutdown::new(), hanging.following);
    let running = tokio::spawn(following.run(shutdown.clone()));
    let taken = async {
        // Whichever is asked first.
        while store.watch_listings(None, None, 1).await.unwrap().0.is_empty()
            || hanging.script.lock().unwrap().asked.is_empty()
        {
            tokio::task::yield_now().await;
        }
    };
    let taken = tokio::time::timeout(Duration::from_secs(20), taken).await;
    assert!(taken.is_ok(), "the good list waits for the one that hangs");
    assert_eq!(hanging.script.lock().unwrap().asked.len(), 1, "the one still hangs");
    shutdown.request();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_no_pause_gets_one() {
    let mut stage = Stage::new(FollowKind::ThreatExchange, "secret").await;
    for asked in ["0", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        stage.reply([Reply::Answer(
            429,
            vec![("retry-after", asked.to_owned())],
            String::new(),
        )]);
        assert!(stage.round().await.0.is_err());
        assert!(stage.wait() > RETRY_AFTER / 2, "{asked}: {:?}", stage.wait());
    }
}
