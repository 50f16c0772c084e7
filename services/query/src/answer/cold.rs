use serde::Serialize;
use tocsin_model::{ContentHash, ContentId, Estimate, FamilyId, Scope};
use tocsin_suppression::Shown;
use tocsin_velocity::HotRecord;
use tocsin_velocity::figures::{WindowLength, window};
use tocsin_wire::document::{AccountsRange, HashText, Range, instant};
use utoipa::ToSchema;

use super::{AnswerError, Freshness, scope_name, window_name};
use crate::replica::{ReplicaState, cold_sum};

/// A content that is counted approximately.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ColdAnswer {
    /// The content, 32 hexadecimal digits: a family of its own.
    pub family: String,
    /// The reader's scope: `all`, `coordinators` or `party`.
    pub scope: &'static str,
    /// The hash that was looked up.
    pub hash: Option<HashText>,
    /// The time up to which everything is counted, RFC 3339: at most a minute old.
    pub as_of: Option<String>,
    /// How far that is behind, in milliseconds.
    pub lag_ms: u64,
    /// The last 5 minutes, hour and 24 hours.
    pub windows: Vec<ColdWindow>,
    /// Why it is not counted exactly although it comes so often: one account, or a few, repeat it. Null when it is no flood.
    pub quarantined: Option<QuarantineAnswer>,
}

/// A flood: one account, or a few, that repeat themselves thousands of times. It rings nothing until others join in.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct QuarantineAnswer {
    /// Since when.
    pub since: Option<String>,
    /// How many accounts it came from then. An event without an account counts as one of its own.
    pub accounts: AccountsRange,
    /// How often it had been passed on until then, since its promotion.
    pub copies: u64,
}

/// One window of a content that is counted approximately, at least in part.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ColdWindow {
    /// `5m`, `1h` or `24h`.
    pub window: &'static str,
    /// Its start, included.
    pub from: Option<String>,
    /// Its end, excluded.
    pub to: Option<String>,
    /// Uploads, blocked uploads and shares.
    pub spread: Range,
    /// With probability `confidence`, `spread.high` exceeds the truth of the stretch counted by at most this.
    pub expected_error: f64,
    /// See `expected_error`.
    pub confidence: f64,
    /// The stretch counted: the window rounded outward.
    pub covered_from: Option<String>,
    /// Its end.
    pub covered_to: Option<String>,
}

/// Why a record is not counted exactly, where it is a flood. Its accounts are the reader's own where all platforms on which it came are.
pub(super) fn quarantine_answer(replica: &ReplicaState, scope: Scope, record: &HotRecord) -> Option<QuarantineAnswer> {
    let flood = record.flood()?;
    let accounts = Estimate::exactly(flood.accounts as f64);
    let mut platforms = record.reach().iter();
    let is_own = !record.reach().is_empty() && platforms.all(|entry| replica.names.is_own(scope, entry.platform));
    let shown = match is_own {
        true => Shown::full(accounts),
        false => Shown::to_others(accounts),
    };
    Some(QuarantineAnswer {
        since: instant(flood.since),
        accounts: shown.into(),
        copies: flood.copies,
    })
}

pub(super) fn cold_answer(
    replica: &ReplicaState,
    scope: Scope,
    content: ContentId,
    hash: Option<&ContentHash>,
    now_ms: i64,
) -> Result<ColdAnswer, AnswerError> {
    let states = replica.cold.visible(content, scope);
    let as_of = replica.cold_as_of(content, scope).ok_or(AnswerError::NotFound)?;
    let group = Freshness::of_group(replica, content.group(), now_ms)?;
    let mut windows = Vec::with_capacity(WindowLength::ALL.len());
    for length in WindowLength::ALL {
        let window = window(length, as_of);
        let states = states.iter().map(|(_, state)| (content, state.as_ref()));
        let sum = cold_sum(states, window.from, window.to).ok_or(AnswerError::NotFound)?;
        windows.push(ColdWindow {
            window: window_name(length),
            from: instant(window.from),
            to: instant(window.to),
            spread: sum.spread.into(),
            expected_error: sum.expected_error,
            confidence: sum.confidence,
            covered_from: instant(sum.covered_from),
            covered_to: instant(sum.covered_to),
        });
    }
    // The counts never fall below the truth: nothing in the longest window is nothing seen.
    if windows.iter().all(|window| window.spread.high == 0) {
        return Err(AnswerError::NotFound);
    }
    let behind_group = u64::try_from((group.as_of - as_of).0).unwrap_or(0);
    Ok(ColdAnswer {
        family: FamilyId(content).to_string(),
        scope: scope_name(scope),
        hash: hash.map(HashText::from),
        as_of: instant(as_of),
        lag_ms: group.lag_ms.saturating_add(behind_group),
        windows,
        quarantined: None,
    })
}
