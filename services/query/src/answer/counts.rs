//! How often contents were seen: approximately of any hash, exactly since promotion of what is hot.

use serde::Serialize;
use tocsin_model::{ContentHash, ContentId, FamilyId, Interval, Scope};
use tocsin_velocity::HotRecord;
use tocsin_velocity::figures::family_figures;
use tocsin_wire::document::{HashText, Range, instant};
use utoipa::ToSchema;

use super::cold::{ColdWindow, cold_answer, quarantine_answer};
use super::family::NotHotClasses;
use super::{AnswerError, Freshness, QuarantineAnswer, scope_name, window_name};
use crate::replica::ReplicaState;

/// The most hashes that are asked about at once.
pub const COUNTS_MAX: usize = 64;

/// How often contents were seen inside the reader's scope.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CountsAnswer {
    /// The reader's scope: `all`, `coordinators` or `party`.
    pub scope: &'static str,
    /// One for each hash, in the order asked.
    pub counts: Vec<CountAnswer>,
}

/// How often one content was seen.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CountAnswer {
    /// The hash that was asked about; of a content asked about by its id its strongest one, where it is hot, and null where it is not.
    pub hash: Option<HashText>,
    /// `hot`: exact since promotion; `cold`: approximate; `unseen`: nothing inside the reader's scope in the 24 hours before
    /// `as_of`.
    pub state: &'static str,
    /// The content that was counted, 32 hexadecimal digits: that of this hash, or an announced one that has it as a further hash.
    pub content: String,
    /// The family it belongs to in the reader's scope: what is told here is of the content alone.
    pub family: String,
    /// The time up to which everything is counted, RFC 3339: of what is not hot at most a minute old. Null while that is not told yet.
    pub as_of: Option<String>,
    /// How far that is behind, in milliseconds.
    pub lag_ms: Option<u64>,
    /// The last 5 minutes, hour and 24 hours. Empty when it is unseen.
    pub windows: Vec<ColdWindow>,
    /// The content is a flood: one account, or a few, repeat it. Null when it is none.
    pub quarantined: Option<QuarantineAnswer>,
}

/// How often a content was seen: that of a hash whose id is `id`, or the one of this id itself.
///
/// # Errors
/// A partition has not told its time yet.
pub fn count_answer(
    replica: &ReplicaState,
    scope: Scope,
    hash: Option<&ContentHash>,
    id: ContentId,
    now_ms: i64,
) -> Result<CountAnswer, AnswerError> {
    let of = |content| count_of(replica, scope, content, hash, now_ms);
    if let Some(answer) = of(id)? {
        return Ok(answer);
    }
    // Events count for their strongest hash. What has this one beside it is known once it is announced.
    let announced = hash.map(|_| replica.announced.equal(id, scope, 1));
    for announced in announced.into_iter().flatten() {
        if let Some(answer) = of(announced.content)? {
            return Ok(answer);
        }
    }
    let group = Freshness::of_group(replica, id.group(), now_ms)?;
    // What is cold is told by checkpoints: what came since the latest one may be of this content.
    let checkpointed = replica.partitions.checkpointed(id.group());
    let as_of = checkpointed.map(|at| {
        replica
            .cold_as_of(id, scope)
            .map_or(at, |of_classes| of_classes.min(at))
    });
    let lag_ms = as_of.map(|as_of| {
        let behind_group = u64::try_from((group.as_of - as_of).0).unwrap_or(0);
        group.lag_ms.saturating_add(behind_group)
    });
    Ok(CountAnswer {
        hash: hash.map(HashText::from),
        state: "unseen",
        content: id.to_string(),
        family: FamilyId(id).to_string(),
        as_of: as_of.and_then(instant),
        lag_ms,
        windows: Vec::new(),
        quarantined: None,
    })
}

/// The answer to several questions.
pub fn counts_answer(scope: Scope, counts: Vec<CountAnswer>) -> CountsAnswer {
    CountsAnswer {
        scope: scope_name(scope),
        counts,
    }
}

/// `None`: nothing was seen of the content.
fn count_of(
    replica: &ReplicaState,
    scope: Scope,
    content: ContentId,
    hash: Option<&ContentHash>,
    now_ms: i64,
) -> Result<Option<CountAnswer>, AnswerError> {
    let records = replica.hot.visible(content, scope);
    let told = hash.or(records.first().map(|record| record.hash())).map(HashText::from);
    let counted: Vec<&HotRecord> = records
        .iter()
        .map(|held| &***held)
        .filter(|record| record.flood().is_none())
        .collect();
    let family = replica.hot.family_of(content, scope).unwrap_or(FamilyId(content));
    let quarantined = records
        .iter()
        .find_map(|record| quarantine_answer(replica, scope, record));
    if counted.is_empty() {
        let cold = match cold_answer(replica, scope, content, hash, now_ms) {
            Err(AnswerError::NotFound) => return Ok(None),
            answer => answer?,
        };
        return Ok(Some(CountAnswer {
            hash: told,
            state: "cold",
            content: content.to_string(),
            family: family.to_string(),
            as_of: cold.as_of,
            lag_ms: Some(cold.lag_ms),
            windows: cold.windows,
            quarantined,
        }));
    }
    let freshness = Freshness::of_family(replica, FamilyId(content), &records, now_ms)?;
    let figures = family_figures(&counted, freshness.as_of).ok_or(AnswerError::NotFound)?;
    let not_hot = NotHotClasses::new(replica, scope, &records);
    let windows = figures.windows.iter().map(|figures| {
        let (from, to) = (figures.window.from, figures.window.to);
        let cold = not_hot.sum(from, to).map(|(_, sum)| sum);
        let approximate = cold.map_or(Interval::default(), |sum| sum.spread);
        ColdWindow {
            window: window_name(figures.length),
            from: instant(from),
            to: instant(to),
            spread: Range::from(figures.spread.plus(approximate)),
            expected_error: cold.map_or(0.0, |sum| sum.expected_error),
            confidence: cold.map_or(1.0, |sum| sum.confidence),
            covered_from: instant(cold.map_or(from, |sum| sum.covered_from.min(from))),
            covered_to: instant(cold.map_or(to, |sum| sum.covered_to.max(to))),
        }
    });
    Ok(Some(CountAnswer {
        hash: told,
        state: "hot",
        content: content.to_string(),
        family: family.to_string(),
        as_of: instant(freshness.as_of),
        lag_ms: Some(freshness.lag_ms),
        windows: windows.collect(),
        quarantined,
    }))
}
