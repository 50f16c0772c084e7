//! Goal: of each kind of list, whatever its server does instead of telling a page: what was read stands, what fails has a code, and the next round asks for
//! the same page again.

use super::*;

const KINDS: [FollowKind; 3] = [
    FollowKind::ThreatExchange,
    FollowKind::TechAgainstTerrorism,
    FollowKind::StopNcii,
];

/// A list of one kind, and what its server says.
struct Server {
    stage: Stage,
    kind: FollowKind,
}

impl Server {
    async fn new(kind: FollowKind) -> Server {
        let credentials = match kind {
            FollowKind::ThreatExchange => "secret",
            FollowKind::TechAgainstTerrorism => "user:password",
            FollowKind::StopNcii => "function,subscription",
        };
        let stage = Stage::new(kind, credentials).await;
        Server { stage, kind }
    }

    /// A page that lists one hash, changed at this time, and names a next page or none.
    fn page(&self, number: u8, at: i64, next: Option<&str>) -> String {
        let page = match self.kind {
            FollowKind::ThreatExchange => {
                let next = next.map(|next| self.stage.next(next));
                return threat_updates(&[(number, at)], &[], next.as_deref());
            }
            FollowKind::TechAgainstTerrorism => {
                let entry = serde_json::json!({"id": number, "hash_digest": md5(number), "algorithm": "MD5", "ideology": "x", "file_type": "mp4",
                    "deleted": false, "updated_on": at, "created_on": "2024-01-01T05:00:00Z"});
                let next_page = next.map(|_| "limit=1");
                let checkpoint = format!("{at},{}", next.unwrap_or("end"));
                serde_json::json!({"count": 1, "next": next_page, "previous": null, "checkpoint": checkpoint, "results": [entry]})
            }
            FollowKind::StopNcii => {
                let record = serde_json::json!({"lastModtimestamp": at, "signalType": "VideoMD5", "hashValue": md5(number), "hashStatus": "Active",
                    "caseNumbers": [], "CSPFeedbacks": [{"source": "Example", "feedbackValue": "Blocked", "tags": []}]});
                serde_json::json!({"count": 1, "nextPageToken": next, "nextSetTimestamp": at, "hasMoreRecords": next.is_some(), "hashRecords": [record]})
            }
        };
        page.to_string()
    }

    /// What comes before the pages of a round: of Tech Against Terrorism its login.
    fn log_in(&self) {
        if self.kind == FollowKind::TechAgainstTerrorism {
            self.stage.reply([ok(r#"{"user": {}, "token": "jwt"}"#)]);
        }
    }

    /// A round with these answers behind the login: how it ended, and what was asked for last.
    async fn round(&mut self, replies: impl IntoIterator<Item = Reply>) -> (Result<(), &'static str>, String) {
        self.log_in();
        self.stage.reply(replies);
        let (ended, mut asked) = self.stage.round().await;
        (ended, asked.pop().unwrap_or_default())
    }
}

/// What a server says instead of a page, and the code of that.
fn failures(page: &str) -> Vec<(Reply, &'static str)> {
    let half = &page[..page.len() / 2];
    vec![
        (
            Reply::Answer(429, vec![("retry-after", "77".to_owned())], String::new()),
            "rate_limited",
        ),
        (
            Reply::Answer(429, Vec::new(), "<html>slow down</html>".to_owned()),
            "rate_limited",
        ),
        (Reply::Answer(503, Vec::new(), String::new()), "server_failed"),
        (Reply::Answer(401, Vec::new(), String::new()), "credentials_refused"),
        (
            Reply::Answer(302, vec![("location", "http://127.0.0.1:1/".to_owned())], String::new()),
            "redirected",
        ),
        (Reply::Cut(half.to_owned()), "answer_cut"),
        (ok(half), "page_not_json"),
        (ok("<!DOCTYPE html><html>Log in</html>"), "page_not_json"),
        (ok(""), "page_not_json"),
        (ok("[]"), "page_malformed"),
        (ok(r#"{"error": {"message": "no"}}"#), "page_malformed"),
        (Reply::Never, "timed_out"),
        (ok("x".repeat(17 << 20)), "page_too_long"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_does_not_come_is_asked_for_again() {
    for kind in KINDS {
        let mut server = Server::new(kind).await;
        let (first, second) = (server.page(1, 100, Some("b")), server.page(2, 200, None));
        let mut replies = vec![ok(first)];
        let mut place = String::new();
        for (reply, code) in failures(&second) {
            let is_limited = matches!(&reply, Reply::Answer(429, headers, _) if !headers.is_empty());
            replies.push(reply);
            let (ended, asked) = server.round(std::mem::take(&mut replies)).await;
            assert_eq!(ended, Err(code), "{kind:?}");
            if place.is_empty() {
                place.clone_from(&asked);
            }
            assert_eq!(asked, place, "{kind:?} {code}");
            assert_eq!(server.stage.problem().await.as_deref(), Some(code));
            assert_eq!(server.stage.entries().await, ["0101"], "{kind:?} {code}");
            let wait = server.stage.wait().as_secs();
            let expected = if is_limited { 70..=77 } else { 29..=900 };
            assert!(expected.contains(&wait), "{kind:?} {code}: {wait}");
        }
        assert_eq!(server.round([ok(second)]).await, (Ok(()), place));
        assert_eq!(server.stage.entries().await, ["0101", "0202"]);
        assert_eq!(server.stage.problem().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_fails_in_any_of_these_ways_leaves_the_list_where_it_was() {
    let mut server = Server::new(FollowKind::TechAgainstTerrorism).await;
    assert_eq!(server.round([ok(server.page(1, 100, None))]).await.0, Ok(()));
    for (reply, code) in failures(r#"{"user": {}, "token": "jwt"}"#) {
        // A login has no form but that of a token: whatever else is JSON gives none.
        let code = if code == "page_malformed" {
            "credentials_refused"
        } else {
            code
        };
        server.stage.reply([reply]);
        let (ended, asked) = server.stage.round().await;
        assert_eq!((ended, asked), (Err(code), vec!["/v1/7/token-auth/tcap/".to_owned()]));
        assert_eq!(server.stage.entries().await, ["0101"], "{code}");
    }
    let (ended, asked) = server.round([ok(server.page(2, 200, None))]).await;
    assert_eq!(ended, Ok(()));
    assert!(asked.ends_with("&after=100%2Cend"), "{asked}");
    assert_eq!(server.stage.entries().await, ["0101", "0202"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_always_has_a_next_page_is_read_to_a_limit() {
    for kind in KINDS {
        let mut server = Server::new(kind).await;
        // As after so many pages, all but two, of a round.
        let place = match kind {
            FollowKind::ThreatExchange => server.stage.next("m"),
            FollowKind::TechAgainstTerrorism | FollowKind::StopNcii => "m".to_owned(),
        };
        let position = Position {
            since: "5".to_owned(),
            next: Some(place),
            newest: Some("9".to_owned()),
            pages: position::PAGES_MAX - 2,
        };
        let store = server.stage.following.store.clone();
        // The bank is made by the first round.
        assert_eq!(server.round([ok("")]).await.0, Err("page_not_json"));
        let bank = server.stage.following.lists[0].bank.clone();
        store
            .update_list(&bank, &[], Some(("LIST", &position.text())))
            .await
            .unwrap();
        let pages = [(1, "n"), (2, "o"), (3, "p")]
            .map(|(number, next)| ok(server.page(number, 100 + i64::from(number), Some(next))));
        let (ended, _) = server.round(pages).await;
        assert_eq!(ended, Err("paging_endless"), "{kind:?}");
        assert_eq!(
            server.stage.entries().await,
            ["0101", "0202"],
            "{kind:?}: what was told stands"
        );
        // The next round begins with what was told last, and no place within a round.
        server.stage.script.lock().unwrap().replies.clear();
        let (ended, asked) = server.round([ok(server.page(4, 300, None))]).await;
        assert_eq!(ended, Ok(()));
        let begins = match kind {
            FollowKind::ThreatExchange => "start_time=102",
            FollowKind::TechAgainstTerrorism => "after=102%2Co",
            FollowKind::StopNcii => "startTimestamp=102",
        };
        assert!(asked.contains(begins) && !asked.contains("=p"), "{kind:?} {asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_clock_of_a_server_makes_a_round_pass_anything_over() {
    for (kind, name) in [
        (FollowKind::ThreatExchange, "start_time"),
        (FollowKind::StopNcii, "startTimestamp"),
    ] {
        let far = 4_000_000_000;
        for (date, expected) in [
            (DATE, Some(SERVER_TIME)),
            ("Thu, 01 Jan 1970 00:00:05 GMT", Some(5)),
            // Its clock is wrong, and so are the times of its list: this host's counts.
            ("Tue, 01 Jan 2097 00:00:00 GMT", None),
            ("no time", None),
        ] {
            let mut server = Server::new(kind).await;
            let before = now().0 / 1_000;
            let page = server.page(1, far, None);
            assert_eq!(server.round([Reply::Dated(date, page)]).await.0, Ok(()));
            let after = now().0 / 1_000;
            let (_, asked) = server.round([ok(server.page(2, 100, None))]).await;
            let query = Url::parse(&format!("http://a{asked}")).unwrap();
            let since = query.query_pairs().find(|(key, _)| key == name).unwrap().1;
            let since: i64 = since.parse().unwrap();
            let expected = expected.map_or(before..=after, |at| at..=at);
            assert!(expected.contains(&since), "{kind:?} {date}: {asked}");
            assert_eq!(server.stage.entries().await, ["0101", "0202"]);
        }
    }
}
