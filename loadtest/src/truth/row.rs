//! The truth as rows of CSV. No field needs quotes; an absent figure is an empty field; times are milliseconds since 1970.

use std::collections::BTreeSet;
use std::fmt::Write;

use tocsin_model::Timestamp;

use super::{FamilyTruth, Span, Truth};
use crate::day::{Family, FamilyKind};

/// One family of one day, in `truth.csv`: everything a verdict on an alarm is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TruthRow {
    /// Which day.
    pub day: u32,
    /// Which family.
    pub family: Family,
    /// What it is.
    pub kind: FamilyKind,
    /// Its first event.
    pub first_at: Timestamp,
    /// Its onset.
    pub onset_at: Option<Timestamp>,
    /// Its copies, the original included.
    pub copies: u32,
    /// The accounts that re-uploaded it.
    pub accounts: u32,
    /// Re-uploads in its best hour.
    pub peak_copies: u32,
    /// The accounts of that hour.
    pub peak_accounts: u32,
    /// When its first spike begins.
    pub spike_from: Option<Timestamp>,
    /// Where an alarm is right.
    pub right: Vec<Span>,
    /// Where an alarm is near, unless it is right.
    pub near: Vec<Span>,
}

/// One day, in `days.csv`: what rates are taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayRow {
    /// Which day.
    pub day: u32,
    /// When it begins and ends; alarms before it are not scored.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
    /// Contents seen.
    pub contents: u64,
    /// Events, duplicates not counted.
    pub events: u64,
    /// Contents with one event.
    pub seen_once: u64,
    /// Families that reach 10, 30 and 100 re-uploads in an hour.
    pub reaching: [u64; 3],
}

impl Truth {
    /// The rows of the families that an alarm could be about: every crisis, every family that spikes or is near, and of
    /// the families given those that are listed. An alarmed family without a row is false: it never reached 10 re-uploads in an hour.
    pub fn rows(&self, day: u32, alarmed: &BTreeSet<Family>) -> Vec<TruthRow> {
        let told = |truth: &&FamilyTruth| {
            truth.family.kind() == FamilyKind::Crisis
                || !truth.right.is_empty()
                || !truth.near.is_empty()
                || alarmed.contains(&truth.family)
        };
        self.listed.iter().filter(told).map(|truth| row(day, truth)).collect()
    }

    /// The row of the day.
    pub fn day_row(&self, day: u32) -> DayRow {
        let sum = |of: fn(&super::Reaching) -> u64| self.counts.reaching.iter().map(of).sum();
        DayRow {
            day,
            from: self.judged.from,
            to: self.judged.to,
            contents: self.counts.contents,
            events: self.counts.events,
            seen_once: self.counts.seen_once,
            reaching: [sum(|of| of.ten), sum(|of| of.thirty), sum(|of| of.hundred)],
        }
    }
}

fn row(day: u32, truth: &FamilyTruth) -> TruthRow {
    TruthRow {
        day,
        family: truth.family,
        kind: truth.family.kind(),
        first_at: truth.first_at,
        onset_at: truth.onset_at,
        copies: truth.copies,
        accounts: truth.accounts,
        peak_copies: truth.peak_copies,
        peak_accounts: truth.peak_accounts,
        spike_from: truth.spike_from,
        right: truth.right.clone(),
        near: truth.near.clone(),
    }
}

impl TruthRow {
    /// The first line of the file. The two last fields are stretches of time, `from-to` with semicolons between them.
    pub const HEADER: &str = "day,family,kind,first_ms,onset_ms,copies,accounts,peak_hour_copies,peak_hour_accounts,spike,spike_from_ms,near,\
                              right_spans_ms,near_spans_ms";

    /// The line of this row, without its end.
    pub fn to_csv(&self) -> String {
        format!(
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            self.day,
            self.family.0,
            self.kind.name(),
            self.first_at.0,
            optional(self.onset_at),
            self.copies,
            self.accounts,
            self.peak_copies,
            self.peak_accounts,
            u8::from(self.spike_from.is_some()),
            optional(self.spike_from),
            u8::from(!self.near.is_empty()),
            spans(&self.right),
            spans(&self.near),
        )
    }
}

impl DayRow {
    /// The first line of the file.
    pub const HEADER: &str = "day,from_ms,to_ms,contents,events,seen_once,reach_10,reach_30,reach_100";

    /// The line of this row, without its end.
    pub fn to_csv(self) -> String {
        let [ten, thirty, hundred] = self.reaching;
        format!(
            "{},{},{},{},{},{},{ten},{thirty},{hundred}",
            self.day, self.from.0, self.to.0, self.contents, self.events, self.seen_once
        )
    }
}

fn optional(at: Option<Timestamp>) -> String {
    at.map(|at| at.0.to_string()).unwrap_or_default()
}

fn spans(spans: &[Span]) -> String {
    let mut text = String::new();
    for span in spans {
        let separator = if text.is_empty() { "" } else { ";" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{}-{}", span.from.0, span.to.0);
    }
    text
}
