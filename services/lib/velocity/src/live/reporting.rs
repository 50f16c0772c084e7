//! When a live stream rings while it runs: its audience is passed on, or its family is known.

use tocsin_model::{Class, FamilyId, Timestamp, Verdict};

use super::growth::{LIVE_THRESHOLD, score_of};
use super::{Stream, has_live, streams};
use crate::episode::{ONE_EPISODE, Rings};
use crate::group::Group;
use crate::input::HotKey;
use crate::record::HotRecord;

impl Group {
    /// Whether a family rings whose episode is not open because one of its streams runs, and why.
    pub(crate) fn rings_by_live(&self, family: FamilyId, class: Class, records: &[&HotRecord]) -> Option<Rings> {
        if !has_live(records) {
            return None;
        }
        if self.matches_by_live(family, class, records) {
            return Some(Rings::ByLiveMatch);
        }
        let streams = streams(records);
        let running = streams.iter().filter(|stream| stream.is_running(self.now));
        (score_of(running, self.now) >= LIVE_THRESHOLD).then_some(Rings::ByLiveAudience)
    }

    /// Whether a stream runs in a family that is known, and no alert of it said so yet.
    pub(crate) fn matches_by_live(&self, family: FamilyId, class: Class, records: &[&HotRecord]) -> bool {
        let Some(began_at) = latest_began_at(records, self.now) else {
            return false;
        };
        let own = self.families.state(family, class);
        own.is_none_or(|state| state.episode.owes_live(began_at, self.now)) && self.is_known(family, class, records)
    }

    /// A family is known when people found that it violates, or when it rang within the day, itself or as what a stream in it was before it
    /// joined. Not when they found it harmless or news. A scope beyond `all` sees what is known to all as well.
    fn is_known(&self, family: FamilyId, class: Class, records: &[&HotRecord]) -> bool {
        let states = [class, Class::All].map(|class| self.families.state(family, class));
        let mut states = states.into_iter().flatten();
        let undecided = |verdict: &Verdict| matches!(verdict, Verdict::Disputed | Verdict::NeedsExpert);
        let verdicts = states.clone().filter_map(|state| state.verdict);
        match verdicts.into_iter().find(|verdict| !undecided(verdict)) {
            Some(verdict) => verdict == Verdict::Violating,
            None => {
                let mut live = records.iter().filter_map(|record| record.live());
                states.any(|state| state.episode.is_known(self.now))
                    || live.any(|live| self.now - live.told_at < ONE_EPISODE)
            }
        }
    }

    /// An alert of the scope told at `told_at` that streams of a family run. Only what counts for that scope alone says so.
    pub(crate) fn set_live_told(&mut self, family: FamilyId, class: Class, told_at: Timestamp) {
        let now = self.now;
        for content in self.families.local_members(family, class) {
            let counts = self.classes.get_mut(class);
            if counts.is_some_and(|counts| counts.set_live_told(content, told_at, now)) {
                self.changed.insert(HotKey { content, class });
            }
        }
    }
}

/// When the latest of the streams began that run; `None` when none does.
pub(crate) fn latest_began_at(records: &[&HotRecord], now: Timestamp) -> Option<Timestamp> {
    let streams = streams(records);
    let running = streams.iter().filter(|stream| stream.is_running(now));
    running.map(Stream::began_at).max()
}
