//! The accounts of a party's own platforms that uploaded members of a case's family, for that party alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tocsin_casework::{UploadCounts, Uploader, UploaderOrder};
use tocsin_log::PARTITIONS_MAX;
use tocsin_model::{Milliseconds, PlatformId, Timestamp};
use tocsin_runtime::{Problem, problem};
use tocsin_store::{CaseContents, Subject};
use tocsin_wire::document::{instant, parse_instant};
use tocsin_wire::topics;
use utoipa::{IntoParams, ToSchema};

use super::answered;
use super::cases::{AskedCase, case_id};
use super::refused::{NoSuchCase, Refused};
use crate::accounts::{ACCOUNTS_MAX, Accounts, Asked, Cut, Members, NotRead, Page};
use crate::ingest::{Begin, Positions};
use crate::{Dispatcher, problems};

/// How many accounts a page has unless more or fewer are asked for.
const LIMIT_DEFAULT: usize = 1_000;
/// How many members are looked for.
const MEMBERS_MAX: usize = 50_000;
/// So long before the first sighting that the case knows of reading begins: the first copies of a content, before it is counted exactly, and clocks of
/// sources that are behind.
const BEFORE_FIRST: Milliseconds = Milliseconds::from_minutes(60);
/// Which accounts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AccountParameters {
    /// Only those of this platform, by its name: one of your own.
    pub platform: Option<String>,
    /// `first` (the default): whoever uploaded first; `count`: whoever tried most often. Within the page.
    pub order: Option<String>,
    /// From which time on events are read, by when they were received, RFC 3339: by default from an hour before the family was first seen on,
    /// and all that is kept where nobody knows that it was.
    pub since: Option<String>,
    /// `next` of the page before; not with `since`.
    pub after: Option<String>,
    /// How many accounts at most: 1 to 5,000, by default 1,000.
    pub limit: Option<usize>,
}

/// The accounts of your platforms that uploaded members of the family: those in a part of your events, in the order in which you sent them.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountsDocument {
    /// The case that answers, 32 hexadecimal digits: the one asked for, or that which it went into.
    pub case: String,
    /// Its family, 32 hexadecimal digits.
    pub family: String,
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// How many members were looked for: those that you may see now, but for what your decision is not about, by itself or after an appeal. Of a case that is
    /// not decided, variants that went cold are not looked for; of one that is, those that went cold before your decision was told of them are not.
    pub members: usize,
    /// Whether there are more than 50,000: those were not looked for.
    pub has_more_members: bool,
    /// The accounts.
    pub accounts: Vec<AccountDocument>,
    /// Uploads of members of which you name no account, by platform.
    pub without_account: Vec<WithoutAccountDocument>,
    /// What was read for it.
    pub read: ReadDocument,
    /// Pass it as `after` to read on, now or when there is more. An account that uploads again further on stands there again, with what it did there;
    /// so does an event that you sent again further on.
    pub next: String,
    /// Whether more stands there now.
    pub more: bool,
    /// At which limit the page ends before your latest event: `accounts` (or 250,000 uploads), `records` (2,000,000) or `time` (8 s). Null where it
    /// goes to the end.
    pub cut: Option<&'static str>,
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountDocument {
    /// Your pseudonym of it, 32 hexadecimal digits.
    pub account: String,
    /// The epoch of the key that you made it with. Another epoch's pseudonym of the same account is another account here.
    pub account_epoch: u32,
    /// The platform, by its name.
    pub platform: String,
    /// How often it uploaded a member. An event that was sent again counts once within a page.
    pub uploads: u64,
    /// How often you refused it one.
    pub blocked_uploads: u64,
    /// How often it began a live stream that is one.
    pub live_starts: u64,
    /// The first time, by your clock, RFC 3339.
    pub first_at: Option<String>,
    /// The last time.
    pub last_at: Option<String>,
    /// Which members, 32 hexadecimal digits each: the first 16 that were read.
    pub members: Vec<String>,
    /// Whether there are more.
    pub has_more_members: bool,
}

/// Uploads without an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct WithoutAccountDocument {
    /// The platform, by its name.
    pub platform: String,
    /// Uploads of members.
    pub uploads: u64,
    /// Uploads that you refused.
    pub blocked_uploads: u64,
    /// Live streams that began.
    pub live_starts: u64,
}

/// What was read.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReadDocument {
    /// From when on, by when events were received, RFC 3339; null where it began with the oldest that is kept, and of a page that goes on after another.
    pub since: Option<String>,
    /// When the latest record that was read was received; null where none was.
    pub until: Option<String>,
    /// Records of your ingest topic.
    pub records: u64,
    /// Records, and events in them, that were refused when you sent them, or cannot be read here.
    pub unread: u64,
    /// Whether events from the beginning on may be deleted already: ingest topics are kept for seven days.
    pub deleted: bool,
}

/// The accounts of your own platforms that uploaded members of the case's family
///
/// For the party whose platforms they are, and nobody else: nothing but its own events is read, and nothing of what is found is kept. A page ends at its limits
/// and says at which; read on with `next`. A dispatcher reads one page of a party at a time.
#[utoipa::path(
    get,
    path = "/v1/cases/{id}/accounts",
    tag = "casework",
    operation_id = "read_accounts",
    params(("id" = String, Path, description = "The case"), AccountParameters),
    responses(
        (status = 200, description = "A page", body = AccountsDocument),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The key may not moderate, or is not a party's", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`accounts_busy`: another page is being read", body = Problem, content_type = "application/problem+json"),
        Refused,
        NoSuchCase,
        (status = 503, description = "The store does not answer, the log cannot be read, who belongs to which family is still being read, or the request could not be recorded", body = Problem, content_type = "application/problem+json")
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_accounts(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    headers: HeaderMap,
    parameters: Result<Query<AccountParameters>, QueryRejection>,
) -> Response {
    let read = async {
        let access = dispatcher.moderator(&headers).await?;
        let Subject::Party(party, party_name) = &access.principal.subject else {
            return Err(problems::PARTIES_ONLY.into());
        };
        // Before what costs anything: whoever asks more often than there are turns waits for nothing.
        let turn = dispatcher.accounts.turn(*party).map_err(not_read)?;
        let id = case_id(id)?;
        let Query(parameters) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        if !dispatcher.carrying.is_read() {
            let detail = "who belongs to which family is read just now";
            return Err(Problem::new(problem::UNAVAILABLE)
                .with_detail(detail)
                .with_retry_after_s(1));
        }
        let contents = dispatcher.store.case_contents(access.team, id, MEMBERS_MAX).await;
        let contents = contents.map_err(|error| problems::of_store(&error))?;
        let record = dispatcher.store.party_named(party_name).await;
        let record = record.map_err(|error| problems::of_store(&error))?;
        let names: BTreeMap<PlatformId, String> = record
            .platforms
            .iter()
            .map(|(id, name)| (*id, name.to_string()))
            .collect();
        // What was never seen as far as the case knows may have been uploaded at any time.
        let since = contents.since.map_or(Timestamp(0), |first| first - BEFORE_FIRST);
        let Wanted {
            platform,
            order,
            begin,
            limit,
        } = Wanted::read(&parameters, &names, since)?;
        let members = Members::of(&dispatcher.carrying, access.team, &contents, MEMBERS_MAX);
        let since = match &begin {
            Begin::Since(since) => instant(*since).filter(|_| *since > Timestamp(0)),
            Begin::After(_) => None,
        };
        let asked = names
            .iter()
            .filter(|(id, _)| platform.is_none_or(|platform| platform == **id));
        let kept = topics::ingest(party_name).retention_ms();
        let asked = Asked {
            party: *party,
            party_name: party_name.to_string(),
            platforms: asked.map(|(id, name)| (name.clone(), *id)).collect(),
            begin,
            kept_from: kept.map_or(Timestamp(0), |kept| contents.now - Milliseconds(kept as i64)),
            order,
            members: members.contents,
        };
        let count = asked.members.len();
        let page = Accounts::read(turn, asked, limit).await;
        let page = page.map_err(not_read)?;
        // Reading takes a while: a key that was revoked meanwhile is told nothing.
        dispatcher.moderator(&headers).await?;
        Ok(AccountsDocument {
            members: count,
            has_more_members: members.has_more,
            ..document(&contents, page, &names, since)
        })
    };
    answered(&dispatcher, "read_accounts", read.await)
}

/// What is asked for, once it was checked.
struct Wanted {
    platform: Option<PlatformId>,
    order: UploaderOrder,
    begin: Begin,
    limit: usize,
}

impl Wanted {
    fn read(
        parameters: &AccountParameters,
        names: &BTreeMap<PlatformId, String>,
        since: Timestamp,
    ) -> Result<Wanted, Problem> {
        let of_name = |asked: &String| names.iter().find(|(_, name)| *name == asked).map(|(id, _)| *id);
        let platform = parameters.platform.as_ref();
        let platform = platform.map(|name| of_name(name).ok_or_else(|| invalid("platform: one of your own")));
        let order = parameters
            .order
            .as_deref()
            .map_or(Some(UploaderOrder::First), UploaderOrder::from_name);
        let begin = match (&parameters.since, &parameters.after) {
            (Some(_), Some(_)) => return Err(invalid("since or after, not both")),
            (None, None) => Begin::Since(since),
            (Some(since), None) => {
                let since = parse_instant(since).ok_or_else(|| invalid("since: a time as in RFC 3339"));
                Begin::Since(since?)
            }
            (None, Some(after)) => {
                let after = Positions::parse(after, PARTITIONS_MAX as usize);
                Begin::After(after.ok_or_else(|| invalid("after: not the `next` of a page"))?)
            }
        };
        let limit = parameters.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=ACCOUNTS_MAX).contains(&limit) {
            return Err(invalid("limit: 1 to 5000"));
        }
        Ok(Wanted {
            platform: platform.transpose()?,
            order: order.ok_or_else(|| invalid("order: first or count"))?,
            begin,
            limit,
        })
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::new(problem::INVALID_PARAMETER).with_detail(detail)
}

fn not_read(why: NotRead) -> Problem {
    match why {
        NotRead::Busy => Problem::new(problems::ACCOUNTS_BUSY).with_retry_after_s(1),
        NotRead::Failed => Problem::new(problem::UNAVAILABLE)
            .with_detail("your events cannot be read just now")
            .with_retry_after_s(1),
    }
}

fn document(
    of: &CaseContents,
    page: Page,
    names: &BTreeMap<PlatformId, String>,
    since: Option<String>,
) -> AccountsDocument {
    let name = |platform: PlatformId| names.get(&platform).cloned().unwrap_or_default();
    let account = |of: &Uploader| AccountDocument {
        account: hex::encode(of.pseudonym.0),
        account_epoch: of.epoch,
        platform: name(of.platform),
        uploads: of.counts.uploads,
        blocked_uploads: of.counts.blocked_uploads,
        live_starts: of.counts.live_starts,
        first_at: instant(of.first_at),
        last_at: instant(of.last_at),
        members: of.members.iter().map(ToString::to_string).collect(),
        has_more_members: of.has_more_members,
    };
    let without = |(platform, counts): (&PlatformId, &UploadCounts)| WithoutAccountDocument {
        platform: name(*platform),
        uploads: counts.uploads,
        blocked_uploads: counts.blocked_uploads,
        live_starts: counts.live_starts,
    };
    AccountsDocument {
        case: of.case.to_string(),
        family: of.family.to_string(),
        as_of: instant(of.now),
        members: 0,
        has_more_members: false,
        accounts: page.accounts.iter().map(account).collect(),
        without_account: page.without_account.iter().map(without).collect(),
        read: ReadDocument {
            since,
            until: page.until.and_then(instant),
            records: page.records,
            unread: page.unread,
            deleted: page.deleted,
        },
        next: page.next.to_text(),
        more: page.more,
        cut: page.cut.map(Cut::name),
    }
}
