use crate::{GroupId, PlatformId, Timestamp};

/// What one key group has seen of ordinary contents, as of the end of an hour: what the nulls of platforms are made of. Only events for all
/// readers are in it. Everything is of the last days, faded by an eighth a day, and counted in units of [`Population::ONE`] so that little of
/// what is small is lost to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Populations {
    /// The group.
    pub group: GroupId,
    /// The end of the hour.
    pub at: Timestamp,
    /// One of each platform with events, ascending by platform; at most [`Populations::PLATFORMS_MAX`].
    pub platforms: Vec<Population>,
}

/// What was seen of one platform's contents. All are whole numbers, so that a sum does not depend on the order in which it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Population {
    /// The platform.
    pub platform: PlatformId,
    /// By the hour of the day (UTC): the spread of contents that were not hot.
    pub spread: [u64; 24],
    /// By the hour of the day: how often it was watched as a whole.
    pub watched: [u64; 24],
    /// Of the part of copies that were uploaded anew: one entry for each content and day with enough copies.
    pub reuploads: PartSums,
    /// Of the copies of a day outside its busiest hour: one entry for each content and day.
    pub rates: CountSums,
}

/// Sums over parts between 0 and 1, of so many copies each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartSums {
    /// How many entries.
    pub entries: u64,
    /// The sum of the parts.
    pub parts: u64,
    /// The sum of their squares.
    pub squares: u64,
    /// The sum of one over the number of copies.
    pub inverse_copies: u64,
}

/// Sums over counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountSums {
    /// How many entries.
    pub entries: u64,
    /// The sum of the counts.
    pub counts: u64,
    /// The sum of their squares.
    pub squares: u64,
}

impl Populations {
    /// The most platforms of one group. Events of further ones are in none.
    pub const PLATFORMS_MAX: usize = 256;
}

impl Population {
    /// One event, hour or entry.
    pub const ONE: u64 = 65_536;

    /// Of a platform of which nothing is known.
    pub fn new(platform: PlatformId) -> Self {
        Population {
            platform,
            spread: [0; 24],
            watched: [0; 24],
            reuploads: PartSums::default(),
            rates: CountSums::default(),
        }
    }

    /// Adds what another group has seen of the same platform.
    pub fn add(&mut self, other: &Population) {
        let add = |sum: &mut u64, more: &u64| *sum = sum.saturating_add(*more);
        self.spread
            .iter_mut()
            .zip(&other.spread)
            .for_each(|(sum, more)| add(sum, more));
        self.watched
            .iter_mut()
            .zip(&other.watched)
            .for_each(|(sum, more)| add(sum, more));
        let more = other.numbers();
        self.numbers_mut()
            .into_iter()
            .zip(&more)
            .for_each(|(sum, more)| add(sum, more));
    }

    /// The sums over entries, in the order in which bytes have them.
    pub fn numbers(&self) -> [u64; 7] {
        let (parts, counts) = (&self.reuploads, &self.rates);
        [
            parts.entries,
            parts.parts,
            parts.squares,
            parts.inverse_copies,
            counts.entries,
            counts.counts,
            counts.squares,
        ]
    }

    /// See [`Population::numbers`].
    pub fn numbers_mut(&mut self) -> [&mut u64; 7] {
        let (parts, counts) = (&mut self.reuploads, &mut self.rates);
        [
            &mut parts.entries,
            &mut parts.parts,
            &mut parts.squares,
            &mut parts.inverse_copies,
            &mut counts.entries,
            &mut counts.counts,
            &mut counts.squares,
        ]
    }
}

impl PartSums {
    /// More copies than this say nothing further of a part.
    const COPIES_MAX: u64 = 60;

    /// Adds an entry: so many of `copies`, which must not be zero.
    pub fn add(&mut self, inside: u64, copies: u64) {
        let one = u128::from(Population::ONE);
        // A part is at most one.
        let part = (u128::from(inside.min(copies)) * one / u128::from(copies.max(1))) as u64;
        self.entries = self.entries.saturating_add(Population::ONE);
        self.parts = self.parts.saturating_add(part);
        self.squares = self.squares.saturating_add(part * part / Population::ONE);
        let inverse = Population::ONE / copies.clamp(1, PartSums::COPIES_MAX);
        self.inverse_copies = self.inverse_copies.saturating_add(inverse);
    }
}

impl CountSums {
    /// A count above this is taken for it, so that one content weighs no more than many.
    pub const COUNT_MAX: u64 = 10_000;

    /// Adds an entry.
    pub fn add(&mut self, count: u64) {
        let count = count.min(CountSums::COUNT_MAX);
        self.entries = self.entries.saturating_add(Population::ONE);
        self.counts = self.counts.saturating_add(count * Population::ONE);
        self.squares = self.squares.saturating_add(count * count * Population::ONE);
    }
}
