//! The exact record of one hot content in one visibility class, as it stands in the state topic and in query replicas.

use tocsin_model::{
    AccountToken, Algorithm, Class, ContentHash, ContentId, Estimate, FamilyId, Interval, Kind, Milliseconds,
    PlatformId, Sighting, Surface, Timestamp,
};
use tocsin_sketch::Reach;
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

pub use crate::bins::Resolution;
use crate::bins::{Bin, Place, Series};
use crate::deadline::decode_class;

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
    before: Before,
    spread: Series,
    cells: Vec<Cell>,
    surfaces: Vec<(Surface, Series)>,
    reach: Vec<PlatformReach>,
    pub(crate) signals: Signals,
}

/// Upper bounds of the spread that was counted before promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    /// No event at or after this time was counted before promotion.
    pub(crate) to: Timestamp,
    /// At most so many events from a time on, latest time first: the times fall and the bounds rise. Nested and not side by side, since
    /// each bound is rounded outward and a sum of them would count what lies at an edge twice.
    pub(crate) since: Vec<(Timestamp, u32)>,
}

impl Before {
    /// Nothing was counted before.
    pub(crate) const NOTHING: Before = Before {
        to: Timestamp::MIN,
        since: Vec::new(),
    };

    /// At most so many events of `from..to` were counted before promotion.
    fn high(&self, from: Timestamp, to: Timestamp) -> u64 {
        if from >= self.to || to <= from {
            return 0;
        }
        let nearest = self.since.iter().find(|(since, _)| *since <= from);
        nearest.or(self.since.last()).map_or(0, |(_, high)| u64::from(*high))
    }

    fn encode(&self, out: &mut Encoder) {
        out.signed(self.to.0);
        out.number(self.since.len() as u64);
        for (since, high) in &self.since {
            out.signed(since.0);
            out.number(u64::from(*high));
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let to = Timestamp(input.signed()?);
        let mut since = Vec::new();
        for _ in 0..input.length(2)? {
            since.push((Timestamp(input.signed()?), input.narrow("count before promotion")?));
        }
        Ok(Before { to, since })
    }
}

/// One platform and kind.
#[derive(Clone, Debug, PartialEq)]
struct Cell {
    platform: PlatformId,
    kind: Kind,
    series: Series,
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

/// What else priority looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signals {
    /// Spread events without an account.
    pub(crate) without_account: u64,
    /// Sum of stated audiences of spread events, and how many stated one.
    pub(crate) audience_sum: u64,
    pub(crate) audience_count: u64,
    /// Sum of `tvec` confidences in percent, and how many events had one.
    pub(crate) tvec_sum: u64,
    pub(crate) tvec_count: u64,
    /// Reports since promotion.
    pub(crate) reports: u64,
    /// Whether a platform removed a copy.
    pub(crate) removals: u64,
    /// Uploads and shares after a removal.
    pub(crate) spread_after_removal: u64,
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
            surfaces: Vec::new(),
            reach: Vec::new(),
            signals: Signals::default(),
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

    /// Spread in bins that start in `from..to`: exact since promotion, bounded from above before.
    pub fn spread(&self, resolution: Resolution, from: Timestamp, to: Timestamp) -> Interval {
        let exact = self.spread.sum(resolution, from, to);
        Interval {
            low: exact,
            high: exact + self.before.high(from, to),
        }
    }

    /// Distinct accounts per platform since promotion, ascending by platform.
    pub fn reach(&self) -> &[PlatformReach] {
        &self.reach
    }

    /// Spread per surface in fifteen-minute bins that start in `from..to`.
    pub fn surfaces(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (Surface, u64)> + '_ {
        self.surfaces
            .iter()
            .map(move |(surface, series)| (*surface, series.sum(Resolution::Minutes15, from, to)))
    }

    /// Exact spread in the last `bins` bins that end with the open one.
    pub(crate) fn recent_spread(&self, resolution: Resolution, bins: i64, now: Timestamp) -> u64 {
        self.spread.recent(resolution, bins, now)
    }

    /// Exact spread of the last day, latest bin first.
    pub(crate) fn spread_latest_first(&self, now: Timestamp) -> impl Iterator<Item = Bin> + '_ {
        self.spread.latest_first(now)
    }

    /// Reads what most of its counters stand in.
    #[inline]
    pub(crate) fn touch(&self) -> u8 {
        let cell = self.cells.first().map_or(0, |cell| cell.kind as u8);
        let surface = self.surfaces.first().map_or(0, |entry| entry.0 as u8);
        let reach = self.reach.first().map_or(0, |entry| u8::from(entry.epochs_mixed));
        cell ^ surface ^ reach
    }

    pub(crate) fn set_family(&mut self, family: FamilyId) {
        self.family = family;
    }

    /// What may have come before promotion may have come in the same millisecond: counts are exact from the next one on.
    pub(crate) fn set_before(&mut self, before: Before) {
        if before != Before::NOTHING {
            self.exact_since = self.exact_since + Milliseconds(1);
        }
        self.before = before;
    }

    pub(crate) fn count(&mut self, sighting: &Sighting<'_>, at: Timestamp, now: Timestamp) {
        self.first_seen = self.first_seen.min(at);
        self.last_seen = self.last_seen.max(at);
        let bins = Place::of(at, now);
        if let Some(series) = self.cell(sighting.platform, sighting.kind) {
            series.add(&bins);
        }
        match sighting.kind {
            kind if kind.is_spread() => self.count_spread(sighting, &bins),
            Kind::Report => self.signals.reports += 1,
            Kind::Removal => self.signals.removals += 1,
            _ => {}
        }
    }

    fn count_spread(&mut self, sighting: &Sighting<'_>, bins: &Place) {
        self.spread.add(bins);
        let place = match self.surfaces.binary_search_by_key(&sighting.surface, |entry| entry.0) {
            Ok(place) => place,
            Err(place) => {
                self.surfaces.insert(place, (sighting.surface, Series::default()));
                place
            }
        };
        self.surfaces[place].1.add(bins);
        match sighting.account {
            Some(account) => self.count_account(sighting.platform, account, sighting.account_epoch),
            None => self.signals.without_account += 1,
        }
        let signals = &mut self.signals;
        if sighting.audience > 0 {
            signals.audience_sum = signals.audience_sum.saturating_add(u64::from(sighting.audience));
            signals.audience_count += 1;
        }
        if sighting.tvec_confidence != Sighting::NO_LABEL {
            signals.tvec_sum += u64::from(sighting.tvec_confidence.min(100));
            signals.tvec_count += 1;
        }
        if signals.removals > 0 && sighting.kind != Kind::BlockedUpload {
            signals.spread_after_removal += 1;
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

    /// The bins of a platform and kind; `None` beyond [`HotRecord::CELLS_MAX`].
    fn cell(&mut self, platform: PlatformId, kind: Kind) -> Option<&mut Series> {
        let place = match self
            .cells
            .binary_search_by_key(&(platform, kind), |cell| (cell.platform, cell.kind))
        {
            Ok(place) => place,
            Err(_) if self.cells.len() >= HotRecord::CELLS_MAX => return None,
            Err(place) => {
                self.cells.insert(
                    place,
                    Cell {
                        platform,
                        kind,
                        series: Series::default(),
                    },
                );
                place
            }
        };
        Some(&mut self.cells[place].series)
    }

    /// The record's bytes: one encoding per record.
    pub fn encode(&self, out: &mut Encoder) {
        out.fixed128(self.content.0);
        out.number(u64::from(self.class.number()));
        out.fixed128(self.family.0.0);
        out.byte(self.hash.algorithm() as u8);
        out.bytes(self.hash.value());
        out.signed(self.first_seen.0);
        out.signed(self.last_seen.0);
        out.signed(self.exact_since.0);
        self.before.encode(out);
        self.spread.encode(out);
        out.number(self.cells.len() as u64);
        for cell in &self.cells {
            out.number(u64::from(cell.platform.0));
            out.byte(cell.kind as u8);
            cell.series.encode(out);
        }
        out.number(self.surfaces.len() as u64);
        for (surface, series) in &self.surfaces {
            out.byte(*surface as u8);
            series.encode(out);
        }
        out.number(self.reach.len() as u64);
        for entry in &self.reach {
            out.number(u64::from(entry.platform.0));
            out.number(u64::from(entry.first_epoch));
            out.byte(u8::from(entry.epochs_mixed));
            entry.accounts.encode(out);
        }
        for number in self.signals.numbers() {
            out.number(number);
        }
    }

    /// The record from its bytes.
    ///
    /// # Errors
    /// The bytes are not a record.
    pub fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let content = ContentId(input.fixed128()?);
        let class = decode_class(input)?;
        let family = FamilyId(ContentId(input.fixed128()?));
        let algorithm = Algorithm::from_number(input.byte()?).ok_or(DecodeError::Invalid("algorithm"))?;
        let hash = ContentHash::from_bytes(algorithm, input.bytes()?.to_vec(), None)
            .map_err(|_| DecodeError::Invalid("content hash"))?;
        let mut record = HotRecord::new(content, class, family, hash, Timestamp(0));
        record.first_seen = Timestamp(input.signed()?);
        record.last_seen = Timestamp(input.signed()?);
        record.exact_since = Timestamp(input.signed()?);
        record.before = Before::decode(input)?;
        record.spread = Series::decode(input)?;
        for _ in 0..input.length(5)? {
            let platform = PlatformId(input.narrow("platform")?);
            let kind = Kind::ALL
                .get(usize::from(input.byte()?))
                .copied()
                .ok_or(DecodeError::Invalid("kind"))?;
            record.cells.push(Cell {
                platform,
                kind,
                series: Series::decode(input)?,
            });
        }
        for _ in 0..input.length(4)? {
            let surface = Surface::ALL.get(usize::from(input.byte()?)).copied();
            let surface = surface.ok_or(DecodeError::Invalid("surface"))?;
            record.surfaces.push((surface, Series::decode(input)?));
        }
        for _ in 0..input.length(4)? {
            record.reach.push(PlatformReach {
                platform: PlatformId(input.narrow("platform")?),
                first_epoch: input.narrow("epoch")?,
                epochs_mixed: input.byte()? != 0,
                accounts: Reach::decode(input)?,
            });
        }
        record.signals = Signals::decode(input)?;
        Ok(record)
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

impl Signals {
    /// The sum over several records.
    pub(crate) fn plus(self, other: Signals) -> Signals {
        let (ours, theirs) = (self.numbers(), other.numbers());
        Signals::from_numbers(std::array::from_fn(|place| ours[place].saturating_add(theirs[place])))
    }

    fn numbers(self) -> [u64; 8] {
        [
            self.without_account,
            self.audience_sum,
            self.audience_count,
            self.tvec_sum,
            self.tvec_count,
            self.reports,
            self.removals,
            self.spread_after_removal,
        ]
    }

    fn from_numbers(numbers: [u64; 8]) -> Signals {
        let [
            without_account,
            audience_sum,
            audience_count,
            tvec_sum,
            tvec_count,
            reports,
            removals,
            spread_after_removal,
        ] = numbers;
        Signals {
            without_account,
            audience_sum,
            audience_count,
            tvec_sum,
            tvec_count,
            reports,
            removals,
            spread_after_removal,
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Signals, DecodeError> {
        let mut numbers = [0; 8];
        for number in &mut numbers {
            *number = input.number()?;
        }
        Ok(Signals::from_numbers(numbers))
    }
}
