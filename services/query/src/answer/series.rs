use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tocsin_model::{ContentId, FamilyId, Kind, Milliseconds, PlatformId, Scope, Timestamp};
use tocsin_velocity::Resolution;
use tocsin_wire::document::{HashText, instant};
use utoipa::ToSchema;

use super::family::founding_hash;
use super::{AnswerError, Freshness, scope_name};
use crate::replica::{Held, ReplicaState};

/// What is asked of a series.
#[derive(Clone, Copy, Debug)]
pub struct SeriesQuestion {
    /// The width of a bin.
    pub resolution: Resolution,
    /// From when on; `None`: from the oldest bin held.
    pub from: Option<Timestamp>,
    /// Up to when, excluded; `None`: with the open bin.
    pub to: Option<Timestamp>,
}

/// The bins of a hot family, by platform and kind. Exact since promotion; earlier bins are not known.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SeriesAnswer {
    /// The family, 32 hexadecimal digits.
    pub family: String,
    /// The reader's scope: `all`, `coordinators` or `party`.
    pub scope: &'static str,
    /// The founding content's strongest hash, where the reader may see that content.
    pub hash: Option<HashText>,
    /// The time up to which everything is counted, RFC 3339.
    pub as_of: Option<String>,
    /// How far that is behind, in milliseconds.
    pub lag_ms: u64,
    /// From when on every bin is exact.
    pub exact_since: Option<String>,
    /// `5s`, `1m` or `15m`.
    pub resolution: &'static str,
    /// How long a bin is, in milliseconds. Bins begin at its multiples since 1970, UTC.
    pub bin_ms: u64,
    /// The start of the oldest bin that is kept at this resolution.
    pub held_from: Option<String>,
    /// The start of the first bin told.
    pub from: Option<String>,
    /// The end of the last: of the open bin, where no end was asked for.
    pub to: Option<String>,
    /// One line per platform and kind, ascending.
    pub lines: Vec<SeriesLine>,
}

/// One platform and kind.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SeriesLine {
    /// The platform.
    pub platform: String,
    /// The kind, as in the schema of events.
    pub kind: &'static str,
    /// The bins that hold something, ascending.
    pub bins: Vec<SeriesBin>,
}

/// One bin.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SeriesBin {
    /// Its start, RFC 3339.
    pub at: Option<String>,
    /// How many events.
    pub count: u64,
}

/// The name of a resolution in the API.
pub fn resolution_name(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Seconds5 => "5s",
        Resolution::Minute1 => "1m",
        Resolution::Minutes15 => "15m",
    }
}

/// The bins of the family a content belongs to.
///
/// # Errors
/// See [`AnswerError`].
pub fn series_answer(
    replica: &ReplicaState,
    scope: Scope,
    content: ContentId,
    question: SeriesQuestion,
    now_ms: i64,
) -> Result<SeriesAnswer, AnswerError> {
    let hot = HotSeries::of(replica, scope, content, now_ms)?;
    let stretch = Stretch::of(question, hot.freshness.as_of)?;
    let mut sums: BTreeMap<(PlatformId, Kind), BTreeMap<Timestamp, u64>> = BTreeMap::new();
    for (platform, kind, at, count) in hot.bins(question.resolution, &stretch) {
        *sums.entry((platform, kind)).or_default().entry(at).or_insert(0) += count;
    }
    Ok(SeriesAnswer {
        family: hot.family.to_string(),
        scope: scope_name(scope),
        hash: founding_hash(hot.family, &hot.records),
        as_of: instant(hot.freshness.as_of),
        lag_ms: hot.freshness.lag_ms,
        exact_since: instant(hot.exact_since),
        resolution: resolution_name(question.resolution),
        bin_ms: question.resolution.width().0.unsigned_abs(),
        held_from: instant(stretch.held_from),
        from: instant(stretch.from),
        to: instant(stretch.to),
        lines: sums
            .into_iter()
            .map(|((platform, kind), bins)| SeriesLine {
                platform: replica.names.platform(platform),
                kind: kind.name(),
                bins: bins
                    .into_iter()
                    .map(|(at, count)| SeriesBin { at: instant(at), count })
                    .collect(),
            })
            .collect(),
    })
}

/// A family of which bins are held.
pub(super) struct HotSeries {
    pub(super) family: FamilyId,
    pub(super) records: Vec<Arc<Held>>,
    pub(super) freshness: Freshness,
    /// From when on every bin is exact.
    pub(super) exact_since: Timestamp,
}

impl HotSeries {
    pub(super) fn of(
        replica: &ReplicaState,
        scope: Scope,
        content: ContentId,
        now_ms: i64,
    ) -> Result<HotSeries, AnswerError> {
        let Some(family) = replica.hot.family_of(content, scope) else {
            // A cold content is told from an unseen one by what the reader may see of it, and by nothing else.
            let cold = super::family_answer(replica, scope, content, None, now_ms);
            return Err(cold.map_or_else(|error| error, |_| AnswerError::NotHot));
        };
        let records = replica.hot.records_of(family, scope);
        let freshness = Freshness::of_family(replica, family, &records, now_ms)?;
        let counted = records.iter().filter(|record| record.flood().is_none());
        let exact_since = counted.map(|record| record.exact_since()).max();
        Ok(HotSeries {
            family,
            freshness,
            exact_since: exact_since.ok_or(AnswerError::NotHot)?,
            records,
        })
    }

    /// What the bins of a stretch hold, by platform, kind and start.
    pub(super) fn bins(
        &self,
        resolution: Resolution,
        stretch: &Stretch,
    ) -> impl Iterator<Item = (PlatformId, Kind, Timestamp, u64)> {
        let (from, to) = (stretch.from, stretch.to);
        let bins = self.records.iter().flat_map(move |record| record.series(resolution));
        bins.filter(move |(_, _, at, _)| from <= *at && *at < to)
            .map(|(platform, kind, at, count)| (platform, kind, at, u64::from(count)))
    }
}

/// Which bins are told, on their edges.
pub(super) struct Stretch {
    pub(super) held_from: Timestamp,
    pub(super) from: Timestamp,
    /// Excluded.
    pub(super) to: Timestamp,
}

impl Stretch {
    /// The stretch in so far as it is held.
    ///
    /// # Errors
    /// Nothing of it is held any more: no bin does not say that there was nothing.
    pub(super) fn of(question: SeriesQuestion, as_of: Timestamp) -> Result<Stretch, AnswerError> {
        let width = question.resolution.width();
        let held_to = as_of.floor_to(width) + width;
        let held_from = held_to - Milliseconds(width.0 * question.resolution.bins_kept());
        let rounded_up = |to: Timestamp| (to + width - Milliseconds(1)).floor_to(width);
        let to = question.to.map_or(held_to, |to| rounded_up(to).min(held_to));
        if to <= held_from {
            return Err(AnswerError::NotHeld);
        }
        let from = question
            .from
            .map_or(held_from, |from| from.max(held_from).floor_to(width));
        Ok(Stretch {
            held_from,
            from: from.min(to),
            to,
        })
    }
}
