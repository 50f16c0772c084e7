//! The accounts that uploaded members of a case's family, in a terminal: page after page, put together to one list.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::{Value, json};

use super::casework_text::text;
use crate::client::Source;

/// How many accounts a page has.
const PAGE_ACCOUNTS: usize = 5_000;
/// How many accounts are held at most: what is read beyond them is not shown, and it is said.
const ACCOUNTS_MAX: usize = 200_000;
/// How many members are named with an account, as in a page.
const MEMBERS_MAX: usize = 16;

#[derive(Debug, Args)]
pub(super) struct AccountsArguments {
    /// The case.
    id: String,
    /// Only those of this platform of yours.
    #[arg(long)]
    platform: Option<String>,
    /// first: whoever uploaded first; count: whoever tried most often.
    #[arg(long, default_value = "first")]
    order: String,
    /// From when on events are read, as in RFC 3339: by default from an hour before the family was first seen on.
    #[arg(long)]
    since: Option<String>,
    /// Go on where an earlier list ended, at the `next` that it told.
    #[arg(long, conflicts_with = "since")]
    after: Option<String>,
    /// How many are shown. With --json all are.
    #[arg(long, default_value_t = 100)]
    show: usize,
}

impl AccountsArguments {
    /// Reads to the end of what stands there, and puts it together. Where a page fails that is not the first, what was gathered before, and why.
    pub(super) async fn gathered(&self, source: &Source) -> Result<(Value, Option<anyhow::Error>)> {
        let path = format!("/v1/cases/{}/accounts", self.id);
        let (mut gathered, mut after) = (Gathered::default(), self.after.clone());
        loop {
            let mut parameters = vec![("limit", PAGE_ACCOUNTS.to_string()), ("order", self.order.clone())];
            parameters.extend(self.platform.clone().map(|platform| ("platform", platform)));
            match &after {
                Some(after) => parameters.push(("after", after.clone())),
                None => parameters.extend(self.since.clone().map(|since| ("since", since))),
            }
            let page = source.wait_for::<Value>(&path, &parameters).await;
            let page = page.and_then(|page| {
                let next = page["next"]
                    .as_str()
                    .context("a page says where it goes on")?
                    .to_owned();
                Ok((page, next))
            });
            let (page, next) = match page {
                Ok(page) => page,
                Err(error) if gathered.pages == 0 => return Err(error),
                Err(error) => {
                    let error = error.context("it was not read to the end");
                    return Ok((gathered.document(&self.order), Some(error)));
                }
            };
            let goes_on = gathered.take(&page);
            after = Some(next);
            if !goes_on {
                return Ok((gathered.document(&self.order), None));
            }
            eprintln!(
                "{} accounts in {} records, up to {}",
                gathered.accounts.len(),
                gathered.records,
                text(&page["read"]["until"])
            );
        }
    }

    /// In words.
    pub(super) fn text(&self, gathered: &Value) -> String {
        let accounts = gathered["accounts"].as_array().map_or(&[][..], Vec::as_slice);
        let mut out = format!(
            "{} accounts of yours uploaded members of family {}, as of {}: {} members looked for in {} records from {} on.\n",
            accounts.len(),
            text(&gathered["family"]),
            text(&gathered["as_of"]),
            text(&gathered["members"]),
            text(&gathered["read"]["records"]),
            text(&gathered["read"]["since"]),
        );
        for account in accounts.iter().take(self.show) {
            let _ = writeln!(
                out,
                "{}  epoch {:<4} {:<20} {:>6} uploads {:>6} blocked {:>4} live  {} to {}  {}{} members",
                text(&account["account"]),
                text(&account["account_epoch"]),
                text(&account["platform"]),
                text(&account["uploads"]),
                text(&account["blocked_uploads"]),
                text(&account["live_starts"]),
                text(&account["first_at"]),
                text(&account["last_at"]),
                account["members"].as_array().map_or(0, Vec::len),
                if account["has_more_members"] == true { "+" } else { "" },
            );
        }
        if accounts.len() > self.show {
            let _ = writeln!(
                out,
                "{} more: --show tells how many, --json all.",
                accounts.len() - self.show
            );
        }
        for without in gathered["without_account"].as_array().map_or(&[][..], Vec::as_slice) {
            let _ = writeln!(
                out,
                "Without an account on {}: {} uploads, {} blocked, {} live.",
                text(&without["platform"]),
                text(&without["uploads"]),
                text(&without["blocked_uploads"]),
                text(&without["live_starts"])
            );
        }
        if gathered["read"]["unread"].as_u64().is_some_and(|unread| unread > 0) {
            let _ = writeln!(
                out,
                "{} records or events could not be read.",
                text(&gathered["read"]["unread"])
            );
        }
        if gathered["read"]["deleted"] == true {
            out.push_str("Earlier events may be deleted already.\n");
        }
        if gathered["has_more_members"] == true {
            out.push_str("The family has more members: those were not looked for.\n");
        }
        if gathered["pages"].as_u64().is_some_and(|pages| pages > 1) {
            let _ = writeln!(
                out,
                "Put together from {} pages: an event that was sent again may count once in each.",
                text(&gathered["pages"])
            );
        }
        if gathered["more"] == true {
            let _ = writeln!(
                out,
                "It was not read to the end: go on with --after {}",
                text(&gathered["next"])
            );
        }
        out
    }
}

/// Pages put together.
#[derive(Debug, Default)]
struct Gathered {
    first: Value,
    accounts: BTreeMap<(String, u64, String), Account>,
    without: BTreeMap<String, [u64; 3]>,
    records: u64,
    unread: u64,
    deleted: bool,
    last: Value,
    pages: u64,
}

#[derive(Debug, Default)]
struct Account {
    counts: [u64; 3],
    first_at: Option<String>,
    last_at: Option<String>,
    members: BTreeSet<String>,
    has_more_members: bool,
}

const COUNTS: [&str; 3] = ["uploads", "blocked_uploads", "live_starts"];

fn counts(of: &Value) -> [u64; 3] {
    COUNTS.map(|name| of[name].as_u64().unwrap_or(0))
}

fn add(sum: &mut [u64; 3], counts: [u64; 3]) {
    sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

impl Gathered {
    /// Takes a page; whether to read on. One that came no further is the last.
    fn take(&mut self, page: &Value) -> bool {
        let of = |list: &Value| list.as_array().cloned().unwrap_or_default();
        for account in of(&page["accounts"]) {
            let key = (
                text(&account["platform"]),
                account["account_epoch"].as_u64().unwrap_or(0),
                text(&account["account"]),
            );
            let known = self.accounts.entry(key).or_default();
            add(&mut known.counts, counts(&account));
            // Instants of one form compare as their text does.
            let [first, last] = ["first_at", "last_at"].map(|name| account[name].as_str().map(str::to_owned));
            known.first_at = known.first_at.take().into_iter().chain(first).min();
            known.last_at = known.last_at.take().max(last);
            known.has_more_members |= account["has_more_members"] == true;
            for member in of(&account["members"]) {
                if known.members.len() < MEMBERS_MAX {
                    known.members.insert(text(&member));
                } else {
                    known.has_more_members |= !known.members.contains(&text(&member));
                }
            }
        }
        for without in of(&page["without_account"]) {
            let sum = self.without.entry(text(&without["platform"])).or_default();
            add(sum, counts(&without));
        }
        self.pages += 1;
        let read = page["read"]["records"].as_u64().unwrap_or(0);
        self.records += read;
        self.unread += page["read"]["unread"].as_u64().unwrap_or(0);
        self.deleted |= page["read"]["deleted"] == true;
        let came_further = read > 0 || self.last["next"] != page["next"];
        if self.first.is_null() {
            self.first = page.clone();
        }
        self.last = page.clone();
        page["more"] == true && came_further && self.accounts.len() < ACCOUNTS_MAX
    }

    fn document(self, order: &str) -> Value {
        let mut accounts: Vec<_> = self.accounts.into_iter().collect();
        match order {
            "count" => {
                accounts.sort_by_key(|(_, of)| (std::cmp::Reverse(of.counts.iter().sum::<u64>()), of.first_at.clone()))
            }
            _ => accounts.sort_by_key(|(_, of)| of.first_at.clone()),
        }
        let accounts = accounts.into_iter().map(|((platform, epoch, account), of)| {
            let [uploads, blocked_uploads, live_starts] = of.counts;
            json!({
                "account": account, "account_epoch": epoch, "platform": platform, "uploads": uploads,
                "blocked_uploads": blocked_uploads, "live_starts": live_starts, "first_at": of.first_at, "last_at": of.last_at,
                "members": of.members, "has_more_members": of.has_more_members,
            })
        });
        let without = self.without.into_iter().map(|(platform, [uploads, blocked_uploads, live_starts])| {
            json!({"platform": platform, "uploads": uploads, "blocked_uploads": blocked_uploads, "live_starts": live_starts})
        });
        json!({
            "case": self.last["case"], "family": self.last["family"], "as_of": self.last["as_of"], "members": self.last["members"],
            "has_more_members": self.last["has_more_members"], "accounts": accounts.collect::<Vec<_>>(),
            "without_account": without.collect::<Vec<_>>(),
            "read": {
                "since": self.first["read"]["since"], "until": self.last["read"]["until"], "records": self.records, "unread": self.unread,
                "deleted": self.deleted,
            },
            "next": self.last["next"], "more": self.last["more"], "pages": self.pages,
        })
    }
}

#[cfg(test)]
mod tests {
    //! Goal: pages put together say of each account what it did in all of them, and a page that came no further ends it.
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn page(account: &str, (uploads, first, last): (u64, &str, &str), next: &str) -> Value {
        json!({
            "case": "ab", "family": "cd", "as_of": "noon", "members": 2, "next": next, "more": true,
            "accounts": [{
                "account": account, "account_epoch": 1, "platform": "alpha-video", "uploads": uploads, "blocked_uploads": 1, "live_starts": 0,
                "first_at": first, "last_at": last, "members": [first], "has_more_members": false,
            }],
            "without_account": [{"platform": "alpha-video", "uploads": 1, "blocked_uploads": 0, "live_starts": 0}],
            "read": {"since": "ten", "until": next, "records": 5, "unread": 0, "deleted": false},
        })
    }

    fn arguments(order: &str, show: usize) -> AccountsArguments {
        AccountsArguments {
            id: "ab".to_owned(),
            platform: None,
            order: order.to_owned(),
            since: None,
            after: None,
            show,
        }
    }

    fn gathered(order: &str) -> Value {
        let mut gathered = Gathered::default();
        assert!(gathered.take(&page("ee", (1, "11", "12"), "1")));
        assert!(gathered.take(&page("ff", (9, "13", "14"), "2")));
        assert!(gathered.take(&page("ee", (2, "10", "11"), "3")));
        gathered.document(order)
    }

    #[test]
    fn an_account_of_several_pages_is_one() {
        let told = gathered("first");
        let accounts = told["accounts"].as_array().map_or(0, Vec::len);
        assert_eq!((accounts, &told["read"]["records"]), (2, &json!(15)));
        let first = &told["accounts"][0];
        assert_eq!(
            (
                &first["account"],
                &first["uploads"],
                &first["blocked_uploads"],
                &first["first_at"],
                &first["last_at"]
            ),
            (&json!("ee"), &json!(3), &json!(2), &json!("10"), &json!("12"))
        );
        assert_eq!(first["members"], json!(["10", "11"]));
        assert_eq!(told["without_account"][0]["uploads"], 3);
        assert_eq!(gathered("count")["accounts"][0]["account"], "ff");
        let words = arguments("first", 1).text(&told);
        for part in [
            "2 accounts of yours uploaded members of family cd, as of noon: 2 members looked for in 15 records from ten on.",
            "1 more: --show",
            "Without an account on alpha-video: 3 uploads",
            "Put together from 3 pages: an event that was sent again may count once in each.",
            "It was not read to the end: go on with --after 3",
        ] {
            assert!(words.contains(part), "{part} in {words}");
        }
    }

    /// Answers one request after the other with these, and tells what was asked for.
    fn answering(answers: Vec<(u16, Value)>) -> (Source, std::thread::JoinHandle<Vec<String>>) {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let source = Source::with_key(&format!("http://{}", listener.local_addr().unwrap()), "key");
        let asked = std::thread::spawn(move || {
            let answer = |(status, document): (u16, Value)| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 8_192];
                let length = stream.read(&mut request).unwrap();
                let body = document.to_string();
                let head = format!(
                    "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close",
                    body.len()
                );
                write!(stream, "{head}\r\n\r\n{body}").unwrap();
                let request = String::from_utf8_lossy(&request[..length]);
                request.lines().next().unwrap_or_default().to_owned()
            };
            answers.into_iter().map(answer).collect()
        });
        (source, asked)
    }

    #[tokio::test]
    async fn what_cannot_be_read_just_now_is_waited_for_and_what_fails_in_the_end_takes_nothing_along() {
        let refused = json!({"code": "internal", "title": "no", "status": 500, "type": "x"});
        let (source, asked) = answering(vec![
            (503, refused.clone()),
            (429, refused.clone()),
            (200, page("ee", (1, "11", "12"), "7")),
            (500, refused.clone()),
        ]);
        let of = AccountsArguments {
            after: Some("5".to_owned()),
            ..arguments("first", 9)
        };
        let (told, failed) = of.gathered(&source).await.unwrap();
        assert!(failed.is_some());
        assert_eq!(
            (&told["accounts"][0]["account"], &told["more"], &told["next"]),
            (&json!("ee"), &json!(true), &json!("7"))
        );
        let asked = asked.join().unwrap();
        assert!(asked[..3].iter().all(|asked| asked.contains("after=5")), "{asked:?}");
        assert!(asked[3].contains("after=7"), "{asked:?}");
        let (source, _asked) = answering(vec![(500, refused)]);
        assert!(arguments("first", 9).gathered(&source).await.is_err());
    }

    #[test]
    fn a_page_that_came_no_further_is_the_last() {
        let mut gathered = Gathered::default();
        assert!(gathered.take(&page("ee", (1, "11", "12"), "1")));
        let mut standing = page("ee", (1, "11", "12"), "1");
        standing["read"]["records"] = json!(0);
        assert!(!gathered.take(&standing));
        let mut whole = page("ee", (1, "11", "12"), "2");
        whole["more"] = json!(false);
        assert!(!gathered.take(&whole));
    }
}
