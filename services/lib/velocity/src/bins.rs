use std::collections::VecDeque;

use tocsin_model::{Milliseconds, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

/// The three widths of an exact bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Five seconds, kept for half an hour.
    Seconds5,
    /// One minute, kept for three hours.
    Minute1,
    /// Fifteen minutes, kept for 25 hours.
    Minutes15,
}

/// A bin that holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bin {
    pub(crate) start: Timestamp,
    pub(crate) count: u64,
}

/// How often something happened, per bin of one resolution. Bins without an event take no space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bins {
    /// (number of the bin since 1970, count above 0), ascending.
    counts: VecDeque<(i64, u32)>,
}

/// The same happenings at all three resolutions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Series {
    bins: [Bins; 3],
}

/// A day in bins of fifteen minutes, and the open one.
const DAY_BINS: i64 = 97;

impl Resolution {
    /// All resolutions, finest first.
    pub const ALL: [Resolution; 3] = [Resolution::Seconds5, Resolution::Minute1, Resolution::Minutes15];

    /// The width of a bin.
    pub fn width(self) -> Milliseconds {
        match self {
            Resolution::Seconds5 => Milliseconds::from_seconds(5),
            Resolution::Minute1 => Milliseconds::from_minutes(1),
            Resolution::Minutes15 => Milliseconds::from_minutes(15),
        }
    }

    /// How many bins are kept, the open one included.
    pub fn bins_kept(self) -> i64 {
        match self {
            Resolution::Seconds5 => 360,
            Resolution::Minute1 => 180,
            Resolution::Minutes15 => 100,
        }
    }

    /// The number of the bin that holds `at`.
    pub(crate) fn bin_of(self, at: Timestamp) -> i64 {
        at.0.div_euclid(self.width().0)
    }
}

impl Bins {
    fn add(&mut self, bin: i64, count: u32) {
        match self.counts.back_mut() {
            Some((last, total)) if *last == bin => *total = total.saturating_add(count),
            Some((last, _)) if *last < bin => self.counts.push_back((bin, count)),
            None => self.counts.push_back((bin, count)),
            Some(_) => match self.counts.binary_search_by_key(&bin, |entry| entry.0) {
                Ok(place) => self.counts[place].1 = self.counts[place].1.saturating_add(count),
                Err(place) => self.counts.insert(place, (bin, count)),
            },
        }
    }

    fn drop_before(&mut self, bin: i64) {
        while self.counts.front().is_some_and(|entry| entry.0 < bin) {
            self.counts.pop_front();
        }
    }

    fn sum_from(&self, first: i64) -> u64 {
        self.counts
            .iter()
            .rev()
            .take_while(|entry| entry.0 >= first)
            .map(|entry| u64::from(entry.1))
            .sum()
    }
}

impl Series {
    /// Counts one happening at `at`; `now` decides which bins are still kept.
    pub(crate) fn add(&mut self, at: Timestamp, now: Timestamp) {
        for (bins, resolution) in self.bins.iter_mut().zip(Resolution::ALL) {
            let oldest = resolution.bin_of(now) - resolution.bins_kept() + 1;
            let bin = resolution.bin_of(at);
            if bin >= oldest {
                bins.add(bin, 1);
            }
            bins.drop_before(oldest);
        }
    }

    /// The bins of one resolution that hold something, ascending: (start of the bin, count).
    pub(crate) fn bins(&self, resolution: Resolution) -> impl DoubleEndedIterator<Item = (Timestamp, u32)> + '_ {
        let width = resolution.width().0;
        self.bins[resolution as usize]
            .counts
            .iter()
            .map(move |&(bin, count)| (Timestamp(bin * width), count))
    }

    /// The bins of the last day that hold something, latest first and without overlap: each time in the finest bin that is kept of it.
    pub(crate) fn latest_first(&self, now: Timestamp) -> impl Iterator<Item = Bin> + '_ {
        let [minutes_to, quarters_to, from] = edges(now);
        let between = move |resolution, from: Timestamp, to: Timestamp| {
            let latest = self.bins(resolution).rev();
            latest
                .skip_while(move |(start, _)| *start >= to)
                .take_while(move |(start, _)| *start >= from)
                .map(|(start, count)| Bin {
                    start,
                    count: u64::from(count),
                })
        };
        between(Resolution::Seconds5, minutes_to, Timestamp(i64::MAX))
            .chain(between(Resolution::Minute1, quarters_to, minutes_to))
            .chain(between(Resolution::Minutes15, from, quarters_to))
    }

    /// How many happened in bins that start in `from..to`.
    pub(crate) fn sum(&self, resolution: Resolution, from: Timestamp, to: Timestamp) -> u64 {
        self.bins(resolution)
            .skip_while(|(start, _)| *start < from)
            .take_while(|(start, _)| *start < to)
            .map(|(_, count)| u64::from(count))
            .sum()
    }

    /// How many happened in the last `count` bins that end with the open one at `now`, and after it.
    pub(crate) fn recent(&self, resolution: Resolution, count: i64, now: Timestamp) -> u64 {
        self.bins[resolution as usize].sum_from(resolution.bin_of(now) - count + 1)
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        for bins in &self.bins {
            out.number(bins.counts.len() as u64);
            let mut previous = 0i64;
            for &(bin, count) in &bins.counts {
                out.signed(bin - previous);
                out.number(u64::from(count));
                previous = bin;
            }
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut series = Series::default();
        for bins in &mut series.bins {
            let length = input.length(2)?;
            let mut bin = 0i64;
            for place in 0..length {
                let step = input.signed()?;
                if place > 0 && step <= 0 {
                    return Err(DecodeError::Invalid("order of bins"));
                }
                bin = bin
                    .checked_add(step)
                    .filter(|bin| in_range(*bin))
                    .ok_or(DecodeError::Invalid("bin"))?;
                bins.counts.push_back((bin, input.narrow("count of a bin")?));
            }
        }
        Ok(series)
    }
}

/// Where the minutes end among [`Series::latest_first`], where the quarters end, and where they begin.
fn edges(now: Timestamp) -> [Timestamp; 3] {
    let oldest = |resolution: Resolution, kept: i64| {
        Timestamp((resolution.bin_of(now).saturating_sub(kept - 1)).saturating_mul(resolution.width().0))
    };
    let rounded_up = |at: Timestamp, width: Milliseconds| (at + width - Milliseconds(1)).floor_to(width);
    let finest = oldest(Resolution::Seconds5, Resolution::Seconds5.bins_kept());
    let middle = oldest(Resolution::Minute1, Resolution::Minute1.bins_kept());
    [
        rounded_up(finest, Resolution::Minute1.width()),
        rounded_up(middle, Resolution::Minutes15.width()),
        oldest(Resolution::Minutes15, DAY_BINS),
    ]
}

/// The finest resolution of which all bins from this time on are kept.
pub(crate) fn resolution_at(from: Timestamp, now: Timestamp) -> Resolution {
    let [minutes_to, quarters_to, _] = edges(now);
    match from {
        from if from >= minutes_to => Resolution::Seconds5,
        from if from >= quarters_to => Resolution::Minute1,
        _ => Resolution::Minutes15,
    }
}

/// Whether a bin of any resolution has a start that fits a [`Timestamp`].
fn in_range(bin: i64) -> bool {
    bin.checked_mul(Resolution::Minutes15.width().0).is_some()
}
