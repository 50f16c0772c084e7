//! What truly happened on a day: the exact, offline oracle to which alarms are held.
//!
//! It takes the records of a day in any order, drops duplicates by their number, puts everything into the order in which it happened, and
//! then says of each family where it spiked. It shares nothing with a detector or with the generator but the record, and of the record it does
//! not look at the times of receipt and of the platform's clock.
//!
//! # Definitions
//! * A **copy** is an upload, a blocked upload or a share. The **original** of a family is its first copy, unless a live stream of it came
//!   before. Every other copy is a **re-upload**.
//! * The **onset** is the first re-upload at which ten accounts have re-uploaded.
//! * An **hour** is any sixty minutes that begin with a copy, that copy included, the copy sixty minutes later not. Hours that end before the
//!   judged part begins are not looked at.
//! * A **spike** is an hour with at least 30 re-uploads by at least 20 accounts, and at least ten times the family's mean hourly rate over the
//!   24 h before the hour. Where the records do not go back so far, the mean is over the time they do go back, an hour at least: a family that
//!   was not seen yet has a past of zero, but a content that was popular all along does not spike because the records begin.
//! * **Near** is an hour with at least 20 re-uploads by at least 15 accounts.
//! * An alarm is **right** if a spike contains it or begins within 15 minutes after it; it is near, if not right, by the same rule.
//!
//! Memory: 40 bytes a record until it is judged, 24 bytes a re-upload after.
//!
//! Start reading at [`Records`], then [`Truth`]; what makes a spike is in `hours`.

mod hours;
mod row;
#[cfg(test)]
mod tests;

pub use row::{DayRow, TruthRow};

use std::collections::HashSet;

use tocsin_model::{Kind, Milliseconds, Timestamp};

use crate::day::{Account, Family, FamilyKind, Occurrence};

/// What an onset takes.
pub const ONSET_ACCOUNTS: usize = 10;
/// What a spike takes: re-uploads in an hour, accounts, and how many times the mean of the day before.
pub const SPIKE: (usize, usize, u64) = (30, 20, 10);
/// What is near: re-uploads in an hour, and accounts.
pub const NEAR: (usize, usize) = (20, 15);
/// An alarm may come so long before the hour that it is about.
pub const EARLY: Milliseconds = Milliseconds::from_minutes(15);
/// Families with fewer re-uploads in their best hour are in no list, though they can be asked about.
pub const LISTED_PEAK_MIN: u32 = 10;

/// The part of a stream that is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The first moment of which the records tell.
    pub stream_begins_at: Timestamp,
    /// From when on contents and alarms count.
    pub from: Timestamp,
    /// Until when they do: the first moment after.
    pub to: Timestamp,
}

/// A stretch of time: from its first millisecond up to, not including, its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first millisecond.
    pub from: Timestamp,
    /// The millisecond after its last.
    pub to: Timestamp,
}

/// The records of a day, before anything is said about them.
#[derive(Clone, Debug)]
pub struct Records {
    judged: Judged,
    records: Vec<Record>,
}

/// What is kept of a record.
#[derive(Clone, Copy, Debug)]
struct Record {
    family: Family,
    happened_at: Timestamp,
    number: u64,
    account: Account,
    audience: u32,
    variant: u16,
    kind: Kind,
}

/// A re-upload.
#[derive(Clone, Copy, Debug)]
struct Reupload {
    at: Timestamp,
    account: Account,
    audience: u32,
}

/// What truly happened.
#[derive(Clone, Debug)]
pub struct Truth {
    judged: Judged,
    counts: Counts,
    /// All families with a re-upload, ascending, each with the end of its re-uploads; they begin where those of the family before end.
    ends: Vec<(Family, usize)>,
    /// By family and time.
    reuploads: Vec<Reupload>,
    /// Ascending.
    listed: Vec<FamilyTruth>,
}

/// What is said of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyTruth {
    /// Which.
    pub family: Family,
    /// Its first event.
    pub first_at: Timestamp,
    /// Its onset.
    pub onset_at: Option<Timestamp>,
    /// Its copies, the original included.
    pub copies: u32,
    /// The accounts that re-uploaded it.
    pub accounts: u32,
    /// Re-uploads in its best hour: the first of the best.
    pub peak_copies: u32,
    /// Accounts that re-uploaded it in that hour.
    pub peak_accounts: u32,
    /// When that hour begins.
    pub peak_from: Timestamp,
    /// When its first spike begins.
    pub spike_from: Option<Timestamp>,
    /// Where an alarm is right, ascending and apart.
    pub right: Vec<Span>,
    /// Where an alarm is near unless it is right, ascending and apart.
    pub near: Vec<Span>,
}

/// What a day is like. Events, contents and what is seen once: of the judged part only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events, duplicates not counted.
    pub events: u64,
    /// Contents: families and variants. Content-days, if the judged part is a day.
    pub contents: u64,
    /// Contents with one event.
    pub seen_once: u64,
    /// Records dropped because their number had been seen, in all of the stream.
    pub duplicates: u64,
    /// Families by the re-uploads of their best hour, and how many spike; in the order of [`FamilyKind::ALL`].
    pub reaching: [Reaching; FamilyKind::ALL.len()],
}

/// How many families of a kind reach so many re-uploads in an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reaching {
    /// At least 10.
    pub ten: u64,
    /// At least 30.
    pub thirty: u64,
    /// At least 100.
    pub hundred: u64,
    /// That spike.
    pub spikes: u64,
}

/// What is still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remaining {
    /// Re-uploads.
    pub reuploads: u64,
    /// The sum of the audiences of those that were visible.
    pub exposure: u64,
}

/// From how many accounts the re-uploads of a stretch of time came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Distinct accounts.
    pub distinct: u64,
    /// Of these, those that had re-uploaded nothing of it before.
    pub new: u64,
    /// Distinct accounts from the first re-upload to the end of the stretch.
    pub all: u64,
}

impl Records {
    /// None yet.
    pub fn new(judged: Judged) -> Self {
        Records {
            judged,
            records: Vec::new(),
        }
    }

    /// Adds one, in any order.
    pub fn add(&mut self, occurrence: &Occurrence) {
        self.records.push(Record {
            family: occurrence.family,
            happened_at: occurrence.happened_at,
            number: occurrence.number,
            account: occurrence.account,
            audience: occurrence.audience,
            variant: occurrence.variant,
            kind: occurrence.kind,
        });
    }

    /// Says what happened.
    pub fn judge(self) -> Truth {
        let mut records = self.records;
        records.sort_unstable_by_key(|record| (record.family, record.happened_at, record.number));
        let mut truth = Truth {
            judged: self.judged,
            counts: Counts::default(),
            ends: Vec::new(),
            reuploads: Vec::new(),
            listed: Vec::new(),
        };
        for family in records.chunk_by_mut(|one, other| one.family == other.family) {
            truth.add_family(family);
        }
        truth
    }
}

impl Truth {
    /// All records of a family, in order; a duplicate stands beside its first.
    fn add_family(&mut self, records: &mut [Record]) {
        let mut kept = 0;
        for place in 0..records.len() {
            if kept > 0 && records[kept - 1].number == records[place].number {
                self.counts.duplicates += 1;
            } else {
                records[kept] = records[place];
                kept += 1;
            }
        }
        let records = &records[..kept];
        let begins = self.reuploads.len();
        let is_live = records
            .iter()
            .find(|record| record.kind.is_spread() || record.kind == Kind::LiveStart)
            .is_some_and(|record| record.kind == Kind::LiveStart);
        let mut copies = records.iter().filter(|record| record.kind.is_spread());
        let original = if is_live { None } else { copies.next() };
        self.reuploads.extend(copies.map(|record| Reupload {
            at: record.happened_at,
            account: record.account,
            audience: record.audience,
        }));
        self.count(records);
        let reuploads = &self.reuploads[begins..];
        if !reuploads.is_empty() {
            self.ends.push((records[0].family, self.reuploads.len()));
        }
        let listed = hours::family_truth(&records[0], original, reuploads, self.judged);
        if listed.peak_copies >= LISTED_PEAK_MIN || listed.family.kind() == FamilyKind::Crisis {
            let reaching = &mut self.counts.reaching[listed.family.kind() as usize];
            reaching.ten += u64::from(listed.peak_copies >= 10);
            reaching.thirty += u64::from(listed.peak_copies >= 30);
            reaching.hundred += u64::from(listed.peak_copies >= 100);
            reaching.spikes += u64::from(listed.spike_from.is_some());
            self.listed.push(listed);
        }
    }

    fn count(&mut self, records: &[Record]) {
        let judged = self.judged;
        let inside = || {
            records
                .iter()
                .filter(move |record| (judged.from..judged.to).contains(&record.happened_at))
        };
        let events = inside().count() as u64;
        self.counts.events += events;
        // Nearly all families have one variant only.
        if records.iter().all(|record| record.variant == 0) {
            self.counts.contents += u64::from(events > 0);
            self.counts.seen_once += u64::from(events == 1);
            return;
        }
        let mut variants: Vec<u16> = inside().map(|record| record.variant).collect();
        variants.sort_unstable();
        for variant in variants.chunk_by(|one, other| one == other) {
            self.counts.contents += 1;
            self.counts.seen_once += u64::from(variant.len() == 1);
        }
    }

    /// The part of the stream that is judged.
    pub fn judged(&self) -> Judged {
        self.judged
    }

    /// What the day is like.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Families that reach [`LISTED_PEAK_MIN`] in an hour, and every crisis; ascending.
    pub fn families(&self) -> &[FamilyTruth] {
        &self.listed
    }

    /// What is said of a listed family.
    pub fn family(&self, family: Family) -> Option<&FamilyTruth> {
        let place = self.listed.binary_search_by_key(&family, |listed| listed.family);
        Some(&self.listed[place.ok()?])
    }

    /// Whether an alarm at this time is right.
    pub fn is_right(&self, family: Family, at: Timestamp) -> bool {
        self.family(family)
            .is_some_and(|listed| hours::holds(&listed.right, at))
    }

    /// Whether an alarm at this time is near or right.
    pub fn is_near(&self, family: Family, at: Timestamp) -> bool {
        self.family(family)
            .is_some_and(|listed| hours::holds(&listed.near, at) || hours::holds(&listed.right, at))
    }

    /// Re-uploads that happened up to and including this moment.
    pub fn reuploads_before(&self, family: Family, at: Timestamp) -> u64 {
        self.up_to(family, at).len() as u64
    }

    /// Accounts that re-uploaded it up to and including this moment.
    pub fn accounts_before(&self, family: Family, at: Timestamp) -> u64 {
        let accounts: HashSet<Account> = self.up_to(family, at).iter().map(|reupload| reupload.account).collect();
        accounts.len() as u64
    }

    /// What happened after a moment and up to and including another.
    pub fn between(&self, family: Family, after: Timestamp, to: Timestamp) -> Remaining {
        let (before, all) = (self.up_to(family, after).len(), self.up_to(family, to));
        Remaining::of(all.get(before..).unwrap_or(&[]))
    }

    /// The accounts of what happened after a moment and up to and including another.
    pub fn accounts_between(&self, family: Family, after: Timestamp, to: Timestamp) -> Accounts {
        let (before, all) = (self.up_to(family, after), self.up_to(family, to));
        let distinct = |reuploads: &[Reupload]| -> HashSet<Account> {
            reuploads.iter().map(|reupload| reupload.account).collect()
        };
        let known = distinct(before);
        let came = distinct(all.get(before.len()..).unwrap_or(&[]));
        let new = came.difference(&known).count() as u64;
        Accounts {
            distinct: came.len() as u64,
            new,
            all: known.len() as u64 + new,
        }
    }

    /// What was still to come after a moment.
    pub fn after(&self, family: Family, at: Timestamp) -> Remaining {
        let before = self.up_to(family, at).len();
        Remaining::of(&self.reuploads_of(family)[before..])
    }

    fn up_to(&self, family: Family, at: Timestamp) -> &[Reupload] {
        let reuploads = self.reuploads_of(family);
        &reuploads[..reuploads.partition_point(|reupload| reupload.at <= at)]
    }

    fn reuploads_of(&self, family: Family) -> &[Reupload] {
        let Ok(place) = self.ends.binary_search_by_key(&family, |(family, _)| *family) else {
            return &[];
        };
        let begins = place.checked_sub(1).map_or(0, |before| self.ends[before].1);
        &self.reuploads[begins..self.ends[place].1]
    }
}

impl Remaining {
    fn of(reuploads: &[Reupload]) -> Self {
        Remaining {
            reuploads: reuploads.len() as u64,
            exposure: reuploads.iter().map(|reupload| u64::from(reupload.audience)).sum(),
        }
    }
}

impl Counts {
    /// The share of contents with one event.
    pub fn seen_once_share(&self) -> f64 {
        self.seen_once as f64 / self.contents.max(1) as f64
    }

    /// Families of a kind by their best hour.
    pub fn reaching(&self, kind: FamilyKind) -> Reaching {
        self.reaching[kind as usize]
    }
}
