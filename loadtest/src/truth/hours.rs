//! Where a family spikes: every hour that begins with a copy is looked at, with two pointers and no sum taken twice.

use std::collections::{HashMap, HashSet};

use tocsin_model::{Milliseconds, Timestamp};

use super::{EARLY, FamilyTruth, Judged, NEAR, ONSET_ACCOUNTS, Record, Reupload, SPIKE, Span};
use crate::day::Account;

const HOUR: Milliseconds = Milliseconds::from_hours(1);
const PAST: Milliseconds = Milliseconds::from_hours(24);

/// Says everything of a family: of its first record, its original where it has one, and its re-uploads in order.
pub(super) fn family_truth(
    first: &Record,
    original: Option<&Record>,
    reuploads: &[Reupload],
    judged: Judged,
) -> FamilyTruth {
    let mut truth = FamilyTruth {
        family: first.family,
        first_at: first.happened_at,
        onset_at: None,
        copies: reuploads.len() as u32 + u32::from(original.is_some()),
        accounts: 0,
        peak_copies: 0,
        peak_accounts: 0,
        peak_from: first.happened_at,
        spike_from: None,
        right: Vec::new(),
        near: Vec::new(),
    };
    if reuploads.is_empty() {
        return truth;
    }
    let starts = original.map(|original| (original.happened_at, 0)).into_iter().chain(
        reuploads
            .iter()
            .enumerate()
            .map(|(place, reupload)| (reupload.at, place)),
    );
    let mut hour = Hour::new(reuploads);
    for (from, place) in starts {
        hour.slide(from, place);
        if from + HOUR <= judged.from {
            continue;
        }
        let (copies, accounts) = (hour.copies(), hour.accounts());
        if copies as u32 > truth.peak_copies {
            truth.peak_copies = copies as u32;
            truth.peak_accounts = accounts as u32;
            truth.peak_from = from;
        }
        let around = Span {
            from: from - EARLY,
            to: from + HOUR,
        };
        if copies >= SPIKE.0 && accounts >= SPIKE.1 && hour.stands_out(from, judged.stream_begins_at) {
            truth.spike_from.get_or_insert(from);
            add(&mut truth.right, around);
        }
        if copies >= NEAR.0 && accounts >= NEAR.1 {
            add(&mut truth.near, around);
        }
    }
    let mut accounts = HashSet::new();
    for reupload in reuploads {
        accounts.insert(reupload.account);
        if truth.onset_at.is_none() && accounts.len() == ONSET_ACCOUNTS {
            truth.onset_at = Some(reupload.at);
        }
    }
    truth.accounts = accounts.len() as u32;
    truth
}

/// Whether one of the spans holds a moment. They are ascending and apart.
pub(super) fn holds(spans: &[Span], at: Timestamp) -> bool {
    let after = spans.partition_point(|span| span.from <= at);
    after > 0 && at < spans[after - 1].to
}

/// Adds a span that begins no earlier than those before.
fn add(spans: &mut Vec<Span>, span: Span) {
    match spans.last_mut() {
        Some(last) if span.from <= last.to => last.to = span.to,
        _ => spans.push(span),
    }
}

/// The hour that is looked at, and the day before it.
struct Hour<'a> {
    reuploads: &'a [Reupload],
    /// The first re-upload inside, the first after, and the first of the day before.
    begin: usize,
    end: usize,
    past: usize,
    accounts: HashMap<Account, u32>,
}

impl<'a> Hour<'a> {
    fn new(reuploads: &'a [Reupload]) -> Self {
        Hour {
            reuploads,
            begin: 0,
            end: 0,
            past: 0,
            accounts: HashMap::new(),
        }
    }

    /// Moves on to the hour that begins at this time; the first re-upload inside is `begin`.
    fn slide(&mut self, from: Timestamp, begin: usize) {
        while self.end < self.reuploads.len() && self.reuploads[self.end].at < from + HOUR {
            *self.accounts.entry(self.reuploads[self.end].account).or_insert(0) += 1;
            self.end += 1;
        }
        while self.begin < begin {
            let account = self.reuploads[self.begin].account;
            if let Some(copies) = self.accounts.get_mut(&account) {
                *copies -= 1;
                if *copies == 0 {
                    self.accounts.remove(&account);
                }
            }
            self.begin += 1;
        }
        while self.past < self.begin && self.reuploads[self.past].at < from - PAST {
            self.past += 1;
        }
    }

    fn copies(&self) -> usize {
        self.end - self.begin
    }

    fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// Whether the hour has ten times the mean of what is known of the 24 h before it.
    fn stands_out(&self, from: Timestamp, stream_begins_at: Timestamp) -> bool {
        // Copies of the very moment at which the hour begins are not before it.
        let past = &self.reuploads[self.past..self.begin];
        let same = past.iter().rev().take_while(|reupload| reupload.at >= from).count();
        let before = past.len() - same;
        let known = (from - stream_begins_at).clamp(HOUR, PAST);
        self.copies() as u128 * known.0 as u128 >= u128::from(SPIKE.2) * before as u128 * HOUR.0 as u128
    }
}
