use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tocsin_casework::Team;
use tocsin_model::{ContentHash, Scope};
use tocsin_runtime::{Problem, problem};
use tocsin_store::Asking;
use utoipa::{IntoParams, ToSchema};

use super::signal::{sought, turn_down};
use super::{HASHING_NOT_OFFERED, LOOK_UP_TIMED_OUT, UNKNOWN_BANK};
use crate::answer::{
    FoundContent, Listed, MatchAnswer, MatchesByBank, Sought, find, matches_by_bank, matches_in_any_bank,
};
use crate::banks::BankRatios;
use crate::incidents::{VisibleIncidents, visible_to};
use crate::metrics::LookUp;
use crate::routes::meter::MeteredReader;
use crate::routes::parameters::{Parameters, refused};
use crate::routes::reader::Reader;
use crate::routes::unanswered;
use crate::state::QueryState;
use crate::tail::now_ms;

/// How long a look-up may take, with its turn and the store's answer.
pub const LOOK_UP_TIME_MAX: Duration = Duration::from_secs(2);

/// What a look-up found, and who lists it.
type Found = Vec<(FoundContent, Arc<Listed>)>;

/// The most banks that one look-up names.
pub const BANKS_ASKED_MAX: usize = 64;

/// Which signal. Parameters of HMA that stand for nothing here (`seed`, `bypass_coinflip`, `content_type`, `types`) are passed over.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LookupParameters {
    /// `pdq`, `vpdq`, `sha256`, `video_sha256`, `md5`, `photo_md5`, `video_md5` or `url`.
    #[param(required = true)]
    signal_type: Option<String>,
    /// Hexadecimal, 64 digits of pdq and sha256, 32 of md5; a URL; or of vpdq a JSON array of `"<64 hexadecimal digits>,<quality>,<seconds>"`, one for each
    /// frame. Of more than 64 frames of quality 50 or more so many are taken at even distances.
    #[param(required = true)]
    signal: Option<String>,
    /// Of a pdq signal, as its hasher told it, 0 to 100: one below 50 is not matched. Not a parameter of HMA.
    #[param(value_type = Option<u8>)]
    quality: Option<String>,
    /// Banks to look in, separated by commas; all when absent.
    banks: Option<String>,
    /// Not offered: media is hashed elsewhere.
    url: Option<String>,
}

/// Which signal, and how it is answered.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RawLookupParameters {
    /// `pdq`, `vpdq`, `sha256`, `video_sha256`, `md5`, `photo_md5`, `video_md5` or `url`.
    #[param(required = true)]
    signal_type: Option<String>,
    /// Hexadecimal, 64 digits of pdq and sha256, 32 of md5; a URL; or of vpdq a JSON array of `"<64 hexadecimal digits>,<quality>,<seconds>"`, one for each
    /// frame. Of more than 64 frames of quality 50 or more so many are taken at even distances.
    #[param(required = true)]
    signal: Option<String>,
    /// Of a pdq signal, as its hasher told it, 0 to 100: one below 50 is not matched. Not a parameter of HMA.
    #[param(value_type = Option<u8>)]
    quality: Option<String>,
    /// Banks to look in, separated by commas; all when absent.
    banks: Option<String>,
    /// Whether each match is told with its distance, velocity and provenance, or as its number alone, which is the default.
    #[param(value_type = Option<bool>)]
    include_distance: Option<String>,
}

/// The contents found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RawLookupAnswer {
    /// The nearest first, 64 at most.
    matches: Vec<RawMatch>,
}

/// A content found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum RawMatch {
    /// Its `bank_content_id`.
    Number(u64),
    /// With its distance, velocity and provenance.
    Match(Box<MatchAnswer>),
}

/// Which banks have a signal, as HMA answers, with velocity and provenance
///
/// `pdq` signals are matched within 31 of 256 bits, `vpdq` signals where at least half of the frames of both videos agree within 64, the others by equality, against what is announced inside the reader's scope: families that
/// are hot there (bank `HOT_FAMILIES`) and the watch list's banks; and against the live incidents that the reader may read, each a bank `INCIDENT_` and its
/// id in capitals, which has what belongs to a family of the incident and what a pack of it lists. At most 64 contents, the nearest. Banks without a match are
/// not named. A look-up never changes a count: send an event to `/v1/events` for what is uploaded.
#[utoipa::path(get, path = "/m/lookup", tag = "hma", security(("api_key" = [])), params(LookupParameters),
    responses(
        (status = 200, description = "Matches by bank", body = std::collections::BTreeMap<String, Vec<MatchAnswer>>),
        (status = 400, description = "`invalid_parameter`, `unknown_signal_type`, `malformed_signal`, `unmatchable_signal`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_bank`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "`hashing_not_offered`: a `url` was given", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`, `look_up_timed_out`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn lookup(
    State(state): State<QueryState>,
    metered: MeteredReader,
    Parameters(parameters): Parameters<LookupParameters>,
) -> Result<Json<MatchesByBank>, Problem> {
    if parameters.url.is_some() {
        return Err(Problem::new(HASHING_NOT_OFFERED));
    }
    let sought = sought(
        &state,
        parameters.signal_type.as_deref(),
        parameters.signal.as_deref(),
        parameters.quality.as_deref(),
    )?;
    let (banks, found) = look_up(&state, &metered.reader, parameters.banks.as_deref(), sought).await?;
    let answer = matches_by_bank(&found, |bank| banks.has(bank));
    tell(&state, !answer.is_empty());
    Ok(Json(answer))
}

/// Which contents have a signal, as HMA answers, with velocity and provenance
///
/// As `/m/lookup`, each content once, whatever banks it is in.
#[utoipa::path(get, path = "/m/raw_lookup", tag = "hma", security(("api_key" = [])), params(RawLookupParameters),
    responses(
        (status = 200, body = RawLookupAnswer),
        (status = 400, description = "`invalid_parameter`, `unknown_signal_type`, `malformed_signal`, `unmatchable_signal`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_bank`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`, `look_up_timed_out`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn raw_lookup(
    State(state): State<QueryState>,
    metered: MeteredReader,
    Parameters(parameters): Parameters<RawLookupParameters>,
) -> Result<Json<RawLookupAnswer>, Problem> {
    let with_distance = is_true("include_distance", parameters.include_distance.as_deref())?;
    let sought = sought(
        &state,
        parameters.signal_type.as_deref(),
        parameters.signal.as_deref(),
        parameters.quality.as_deref(),
    )?;
    let (banks, found) = look_up(&state, &metered.reader, parameters.banks.as_deref(), sought).await?;
    let matches = matches_in_any_bank(&found, |bank| banks.has(bank)).into_iter();
    let matches: Vec<RawMatch> = match with_distance {
        true => matches.map(|found| RawMatch::Match(Box::new(found))).collect(),
        false => matches.map(|found| RawMatch::Number(found.bank_content_id)).collect(),
    };
    tell(&state, !matches.is_empty());
    Ok(Json(RawLookupAnswer { matches }))
}

/// The banks that were asked for, what is known of a signal, and who lists it; a problem where that takes too long.
async fn look_up(
    state: &QueryState,
    reader: &Reader,
    banks: Option<&str>,
    sought: Sought,
) -> Result<(Banks, Found), Problem> {
    let look = async {
        let incidents = visible_incidents(state, reader).await?;
        let banks = Banks::parse(state, &incidents, banks).await?;
        let found = made(state, (reader.scope, incidents), sought).await?;
        Ok((banks, found))
    };
    // Who waits longer is told so instead: whoever asks mostly holds an upload back meanwhile.
    let looked = tokio::time::timeout(state.look_up_time_max(), look).await;
    looked.unwrap_or_else(|_| {
        state.metrics().look_up(LookUp::TimedOut);
        Err(Problem::new(LOOK_UP_TIMED_OUT).with_retry_after_s(1))
    })
}

/// A look-up among alike hashes may take milliseconds, so few are made at a time, on threads of their own. One that nobody waits for any more
/// keeps its turn until it ends.
async fn made(
    state: &QueryState,
    (scope, incidents): (Scope, VisibleIncidents),
    sought: Sought,
) -> Result<Found, Problem> {
    let turn = Arc::clone(state.look_up_turns()).acquire_owned().await;
    let turn = turn.map_err(|error| Problem::internal(&error))?;
    let worker = state.clone();
    let made = tokio::task::spawn_blocking(move || {
        let found = find(worker.replica(), scope, &incidents, sought, now_ms());
        drop(turn);
        found
    });
    let contents = made.await.map_err(|error| Problem::internal(&error))?;
    let contents = contents.map_err(unanswered)?;
    let may_be_listed = contents.iter().filter(|content| content.may_be_listed);
    let hashes: Vec<ContentHash> = may_be_listed.map(|content| content.announced.hash.clone()).collect();
    let listed = state.listings().of(state.store(), state.metrics(), &hashes).await;
    let mut listed = listed.map_err(|error| unavailable(&error))?.into_iter();
    let with_listings = contents.into_iter().map(|content| {
        let listed = content.may_be_listed.then(|| listed.next()).flatten();
        (content, listed.unwrap_or_default())
    });
    Ok(with_listings.collect())
}

/// The banks that a look-up asks for.
enum Banks {
    All,
    These(BTreeSet<String>),
}

impl Banks {
    async fn parse(state: &QueryState, incidents: &VisibleIncidents, text: Option<&str>) -> Result<Banks, Problem> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(Banks::All);
        };
        let names: BTreeSet<String> = text.split(',').map(str::to_owned).take(BANKS_ASKED_MAX + 1).collect();
        if names.len() > BANKS_ASKED_MAX {
            return Err(refused(&format!("banks: {BANKS_ASKED_MAX} at most")));
        }
        let known = all_banks(state, incidents).await?;
        match names.iter().find(|name| !known.contains_key(*name)) {
            None => Ok(Banks::These(names)),
            Some(name) => Err(unknown_bank(state, name)),
        }
    }

    fn has(&self, bank: &str) -> bool {
        match self {
            Banks::All => true,
            Banks::These(names) => names.contains(bank),
        }
    }
}

/// The live incidents that a reader may read.
pub(super) async fn visible_incidents(state: &QueryState, reader: &Reader) -> Result<VisibleIncidents, Problem> {
    let asking = Asking {
        key: reader.key_id,
        team: Team::of_scope(reader.scope),
    };
    visible_to(state, asking).await.map_err(|error| unavailable(&error))
}

/// All banks of a reader: those that are everybody's, and the live incidents.
pub(super) async fn all_banks(state: &QueryState, incidents: &VisibleIncidents) -> Result<BankRatios, Problem> {
    let of_all = state.banks().all(state.store()).await;
    let of_all = of_all.map_err(|error| unavailable(&error))?;
    let incidents = incidents.banks().into_iter().map(|bank| (bank, 1.0));
    Ok(incidents
        .chain(of_all.iter().map(|(bank, part)| (bank.clone(), *part)))
        .collect())
}

/// A refusal, counted.
pub(super) fn unknown_bank(state: &QueryState, name: &str) -> Problem {
    let name: String = name.chars().take(64).collect();
    turn_down(state, UNKNOWN_BANK, &format!("bank: {name}"))
}

/// The store failed.
pub(in crate::routes) fn unavailable(error: &tocsin_store::StoreError) -> Problem {
    tracing::error!(
        error = tocsin_runtime::roles::chain(error),
        "the store could not be asked of banks"
    );
    Problem::new(problem::UNAVAILABLE).with_retry_after_s(1)
}

fn tell(state: &QueryState, is_matched: bool) {
    state.metrics().look_up(match is_matched {
        true => LookUp::Matched,
        false => LookUp::Unmatched,
    });
}

/// Yes and no as HMA takes them, `True` of Python's clients among them.
fn is_true(name: &str, text: Option<&str>) -> Result<bool, Problem> {
    match text.unwrap_or("false").to_ascii_lowercase().as_str() {
        "true" | "1" | "t" | "yes" | "y" | "on" => Ok(true),
        "false" | "0" | "f" | "no" | "n" | "off" => Ok(false),
        _ => Err(refused(&format!("{name}: true or false"))),
    }
}
