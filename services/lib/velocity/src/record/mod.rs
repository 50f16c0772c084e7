//! The exact record of one hot content in one visibility class, as it stands in the state topic and in query replicas.

mod before;
mod codec;
mod heard;
mod listing;
mod repeats;
#[cfg(test)]
mod tests;

use tocsin_model::{
    AccountToken, Class, ContentHash, ContentId, Estimate, FamilyId, Interval, Joined, Kind, Milliseconds, PartyId,
    PlatformId, Severity, Sighting, SightingKeys, Surface, Timestamp,
};
use tocsin_sketch::Reach;

pub(crate) use self::before::Before;
pub use crate::bins::OPEN_ABOVE;
pub use crate::bins::Resolution;
use crate::bins::{Bin, Place, Series};
pub use crate::breakdown::Code;
use crate::breakdown::{Breakdown, UNSTATED};
use crate::flood::Flood;
use crate::live::Live;
use crate::voice::Voice;
pub use heard::HeardOf;
pub use listing::{Listing, SinceListing};
pub(crate) use repeats::Repeats;

/// One content in one visibility class, counted exactly since it became hot.
#[derive(Clone, Debug, PartialEq)]
pub struct HotRecord {
    content: ContentId,
    class: Class,
    family: FamilyId,
    hash: ContentHash,
    first_seen: Timestamp,
    last_seen: Timestamp,
    exact_since: Timestamp,
    pub(crate) before: Before,
    spread: Series,
    cells: Vec<Cell>,
    surfaces: Breakdown<Surface>,
    regions: Breakdown<Code>,
    languages: Breakdown<Code>,
    reach: Vec<PlatformReach>,
    pub(crate) signals: Signals,
    /// What does not speak for a spread. Not part of the record's own bytes: only the trigger of its own group asks.
    pub(crate) repeats: Repeats,
    /// In quarantine nothing else is counted here than accounts.
    flood: Option<Flood>,
    watched: Option<Severity>,
    /// Since when it is watched, and what came since. Few contents are.
    listing: Option<Box<Listing>>,
    /// How it came into its family, unless it founded it.
    joined: Option<Joined>,
    /// Its live streams. Few contents have any.
    live: Option<Box<Live>>,
}

/// One platform and kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) platform: PlatformId,
    pub(crate) kind: Kind,
    /// The platform's party.
    pub(crate) party: PartyId,
    pub(crate) series: Series,
    pub(crate) voice: Voice,
}

/// Distinct accounts on one platform.
#[derive(Clone, Debug, PartialEq)]
pub struct PlatformReach {
    /// The platform.
    pub platform: PlatformId,
    /// The accounts seen since promotion.
    pub accounts: Reach,
    /// Epoch of the platform's pseudonym key at the first account.
    first_epoch: u32,
    /// Whether accounts of another epoch were counted too: the estimate is then an upper bound.
    pub epochs_mixed: bool,
}

/// How a count divides by a code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The count of each code, ascending by code.
    pub codes: Vec<(Code, u64)>,
    /// The count of the codes that have none of their own.
    pub others: u64,
}

/// What concerns all platforms and kinds together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signals {
    /// Spread events without an account.
    pub(crate) without_account: u64,
    /// How often a platform removed a copy.
    pub(crate) removals: u64,
}

impl HotRecord {
    /// The most pairs of platform and kind with counts of their own. What comes beyond is in the totals alone.
    pub const CELLS_MAX: usize = 256;
    /// The most platforms with a reach of their own. Beyond, an event counts as one without an account.
    pub const PLATFORMS_MAX: usize = 64;

    pub(crate) fn new(content: ContentId, class: Class, family: FamilyId, hash: ContentHash, now: Timestamp) -> Self {
        HotRecord {
            content,
            class,
            family,
            hash,
            first_seen: now,
            last_seen: now,
            exact_since: now,
            before: Before::NOTHING,
            spread: Series::default(),
            cells: Vec::new(),
            surfaces: Breakdown::default(),
            regions: Breakdown::default(),
            languages: Breakdown::default(),
            reach: Vec::new(),
            signals: Signals::default(),
            repeats: Repeats::default(),
            flood: None,
            watched: None,
            listing: None,
            joined: None,
            live: None,
        }
    }

    /// The content.
    pub fn content(&self) -> ContentId {
        self.content
    }

    /// The visibility class counted here.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The family the content belongs to for readers of this class's scope.
    pub fn family(&self) -> FamilyId {
        self.family
    }

    /// The content's strongest hash.
    pub fn hash(&self) -> &ContentHash {
        &self.hash
    }

    /// The earliest event counted here, or the promotion when nothing earlier is known.
    pub fn first_seen(&self) -> Timestamp {
        self.first_seen
    }

    /// The latest event counted here.
    pub fn last_seen(&self) -> Timestamp {
        self.last_seen
    }

    /// When the content became hot: counts are exact from here on.
    pub fn exact_since(&self) -> Timestamp {
        self.exact_since
    }

    /// Why the content is in quarantine, if it is: then it is counted in the cold counts alone.
    pub fn flood(&self) -> Option<&Flood> {
        self.flood.as_ref()
    }

    /// The bins of one resolution that hold something: (platform, kind, start of the bin, count), ascending.
    pub fn series(&self, resolution: Resolution) -> impl Iterator<Item = (PlatformId, Kind, Timestamp, u32)> + '_ {
        self.cells.iter().flat_map(move |cell| {
            cell.series
                .bins(resolution)
                .map(move |(start, count)| (cell.platform, cell.kind, start, count))
        })
    }

    /// Exact counts since promotion by platform and kind, in bins that start in `from..to`.
    pub fn counts(
        &self,
        resolution: Resolution,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = (PlatformId, Kind, u64)> + '_ {
        self.cells
            .iter()
            .map(move |cell| (cell.platform, cell.kind, cell.series.sum(resolution, from, to)))
    }

    /// Spread in bins that start in `from..to`: exact since promotion, bounded from above before. A bin in which there was no more room to count bounds
    /// nothing: then the upper end is [`OPEN_ABOVE`].
    pub fn spread(&self, resolution: Resolution, from: Timestamp, to: Timestamp) -> Interval {
        let exact = self.spread.interval(resolution, from, to);
        Interval {
            low: exact.low,
            high: exact.high.saturating_add(self.before.high(from, to)).min(OPEN_ABOVE),
        }
    }

    /// Distinct accounts per platform since promotion, ascending by platform.
    pub fn reach(&self) -> &[PlatformReach] {
        &self.reach
    }

    /// Spread per surface in fifteen-minute bins that start in `from..to`.
    pub fn surfaces(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (Surface, u64)> + '_ {
        self.surfaces.sums(from, to)
    }

    /// Spread per region in fifteen-minute bins that start in `from..to`.
    pub fn regions(&self, from: Timestamp, to: Timestamp) -> Parts {
        Parts::of(&self.regions, from, to)
    }

    /// Spread per language in fifteen-minute bins that start in `from..to`.
    pub fn languages(&self, from: Timestamp, to: Timestamp) -> Parts {
        Parts::of(&self.languages, from, to)
    }

    /// What is counted apart, ascending by platform and kind.
    pub(crate) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Exact spread in the last `bins` bins that end with the open one.
    pub(crate) fn recent_spread(&self, resolution: Resolution, bins: i64, now: Timestamp) -> u64 {
        self.spread.recent(resolution, bins, now)
    }

    /// So much spread of the day before `now` was probably counted before promotion, but for the last hour before it, which belongs to what made
    /// it hot. Not at most so much: whoever fills the cold counts with other contents would make everything that begins to spread look as if it
    /// had been busy all day.
    pub(crate) fn spread_before_promotion(&self, now: Timestamp) -> u64 {
        let hour_before = self.exact_since - Milliseconds::from_hours(1);
        let day = self.before.probable(now - Milliseconds::from_hours(24));
        day.saturating_sub(self.before.probable(hour_before))
    }

    /// Calls `visit` with the bins of exact spread of the last day, latest first, without what an account repeated. Not an iterator: whoever
    /// walks through it by steps asks at each one in which of the resolutions it is.
    pub(crate) fn each_spread_latest_first(&self, now: Timestamp, visit: impl FnMut(Bin)) {
        let spread = self.spread.latest_first(now);
        match self.repeats.is_none() {
            true => spread.for_each(visit),
            false => self.repeats.taken_from(spread, now).for_each(visit),
        }
    }

    /// How grave the content is, where it is on the watch list.
    pub fn watched(&self) -> Option<Severity> {
        self.watched
    }

    /// The content's live streams, where a live event was counted.
    pub(crate) fn live(&self) -> Option<&Live> {
        self.live.as_deref()
    }

    /// Whether a stream of it runs, of which it is noted when an alert told so.
    pub(crate) fn set_live_told(&mut self, told_at: Timestamp, now: Timestamp) -> bool {
        let running = self.live.as_mut().filter(|live| live.is_running(now));
        running.map(|live| live.told_at = told_at).is_some()
    }

    /// What came since the content is on the watch list, where it is.
    pub fn listing(&self) -> Option<&Listing> {
        self.listing.as_deref()
    }

    /// How the content came into its family; `None` of a founder, and where a program that did not keep it made the link.
    pub fn joined(&self) -> Option<&Joined> {
        self.joined.as_ref()
    }

    /// When the earliest event of each platform and kind occurred since promotion, ascending by platform and kind.
    pub fn first_of_each(&self) -> impl Iterator<Item = (PlatformId, Kind, Timestamp)> + '_ {
        self.cells
            .iter()
            .map(|cell| (cell.platform, cell.kind, cell.voice.first_at))
    }

    /// Takes note that the content is watched, since when; or not any more.
    pub(crate) fn set_watched(&mut self, watched: Option<(Severity, Timestamp)>) {
        self.watched = watched.map(|(severity, _)| severity);
        match watched {
            None => self.listing = None,
            Some((_, at)) => {
                self.listing.get_or_insert_with(|| Box::new(Listing::begun(at)));
            }
        }
    }

    /// Reads where [`HotRecord::touch`] looks first.
    #[inline]
    pub(crate) fn touch_first(&self) -> u8 {
        let cell = self.cells.get(self.cells.len() / 2).map_or(0, |cell| cell.kind as u8);
        let reach = self.reach.first().map_or(0, |entry| entry.first_epoch as u8);
        cell ^ self.surfaces.touch() ^ reach
    }

    /// Reads what most of its counters stand in: the first cell of the platform, the surfaces, and where the account is counted.
    #[inline]
    pub(crate) fn touch(&self, keys: SightingKeys) -> u8 {
        let cell = self.cells.partition_point(|cell| cell.platform < keys.platform);
        let cell = self.cells.get(cell).map_or(0, |cell| cell.voice.events as u8);
        let surface = self.surfaces.touch();
        let reach = self.reach.iter().find(|entry| entry.platform == keys.platform);
        cell ^ surface ^ reach.map_or(0, |entry| entry.accounts.touch(keys.account))
    }

    pub(crate) fn set_family(&mut self, family: FamilyId, joined: Option<Joined>) {
        self.family = family;
        self.joined = joined;
    }

    /// What may have come before promotion may have come in the same millisecond: counts are exact from the next one on.
    pub(crate) fn set_before(&mut self, before: Before) {
        if before != Before::NOTHING {
            self.exact_since = self.exact_since + Milliseconds(1);
        }
        self.before = before;
    }

    /// Drops all counts: what stays is who it is and the few accounts that it came from.
    pub(crate) fn begin_quarantine(&mut self, flood: Flood) {
        let mut emptied = HotRecord::new(
            self.content,
            self.class,
            self.family,
            self.hash.clone(),
            self.first_seen,
        );
        emptied.last_seen = self.last_seen;
        emptied.exact_since = self.exact_since;
        emptied.reach = std::mem::take(&mut self.reach);
        emptied.signals = self.signals;
        emptied.joined = self.joined;
        emptied.flood = Some(flood);
        *self = emptied;
    }

    /// Takes the account of an upload, blocked upload or share, a removal, and nothing else.
    pub(crate) fn see_in_quarantine(&mut self, sighting: &Sighting<'_>, at: Timestamp) {
        self.last_seen = self.last_seen.max(at);
        match sighting.kind {
            kind if kind.is_spread() => self.count_spreader(sighting),
            Kind::Removal => self.signals.removals += 1,
            _ => {}
        }
    }

    pub(crate) fn count(&mut self, sighting: &Sighting<'_>, at: Timestamp, now: Timestamp) {
        self.first_seen = self.first_seen.min(at);
        self.last_seen = self.last_seen.max(at);
        let bins = Place::of(at, now);
        let removals = self.signals.removals;
        if let Some(cell) = self.cell(sighting) {
            cell.series.add(&bins);
            cell.voice.hear(sighting, at, removals);
        }
        if let Some(listing) = &mut self.listing {
            listing.hear(sighting.platform, sighting.kind, at);
        }
        match sighting.kind {
            kind if kind.is_spread() => {
                if let Some(account) = sighting.account {
                    self.repeats.note(account, at, &bins);
                }
                self.count_spread(sighting, &bins);
            }
            Kind::Removal => self.signals.removals += 1,
            kind if kind.is_live() => {
                let live = self.live.get_or_insert_default();
                if let Some(stream) = live.stream(sighting.platform, sighting.party) {
                    stream.hear(sighting, at, now);
                }
            }
            _ => {}
        }
    }

    fn count_spread(&mut self, sighting: &Sighting<'_>, bins: &Place) {
        self.spread.add(bins);
        self.surfaces.add(sighting.surface, bins);
        if sighting.region != UNSTATED {
            self.regions.add(sighting.region, bins);
        }
        if sighting.language != UNSTATED {
            self.languages.add(sighting.language, bins);
        }
        self.count_spreader(sighting);
    }

    fn count_spreader(&mut self, sighting: &Sighting<'_>) {
        match sighting.account {
            Some(account) => self.count_account(sighting.platform, account, sighting.account_epoch),
            None => self.signals.without_account += 1,
        }
    }

    fn count_account(&mut self, platform: PlatformId, account: AccountToken, epoch: u32) {
        let place = match self.reach.binary_search_by_key(&platform, |entry| entry.platform) {
            Ok(place) => place,
            Err(_) if self.reach.len() >= HotRecord::PLATFORMS_MAX => {
                self.signals.without_account += 1;
                return;
            }
            Err(place) => {
                let accounts = Reach::new(REACH_PRECISION);
                let entry = PlatformReach {
                    platform,
                    accounts,
                    first_epoch: epoch,
                    epochs_mixed: false,
                };
                self.reach.insert(place, entry);
                place
            }
        };
        let entry = &mut self.reach[place];
        entry.accounts.insert(account);
        entry.epochs_mixed |= entry.first_epoch != epoch;
    }

    /// What is counted of a platform and kind; `None` beyond [`HotRecord::CELLS_MAX`].
    fn cell(&mut self, sighting: &Sighting<'_>) -> Option<&mut Cell> {
        let key = (sighting.platform, sighting.kind);
        let place = match self.cells.binary_search_by_key(&key, |cell| (cell.platform, cell.kind)) {
            Ok(place) => place,
            Err(_) if self.cells.len() >= HotRecord::CELLS_MAX => return None,
            Err(place) => {
                let cell = Cell {
                    platform: sighting.platform,
                    kind: sighting.kind,
                    party: sighting.party,
                    series: Series::default(),
                    voice: Voice::SILENT,
                };
                self.cells.insert(place, cell);
                place
            }
        };
        Some(&mut self.cells[place])
    }
}

impl Parts {
    fn of(breakdown: &Breakdown<Code>, from: Timestamp, to: Timestamp) -> Self {
        let counted = breakdown.sums(from, to).filter(|(_, count)| *count > 0);
        Parts {
            codes: counted.collect(),
            others: breakdown.others(from, to),
        }
    }
}

/// 2^12 registers: a standard error of 1.6 %.
const REACH_PRECISION: u8 = 12;

impl PlatformReach {
    /// The estimate with its 95 % interval.
    pub fn estimate(&self) -> Estimate {
        self.accounts.estimate()
    }
}
