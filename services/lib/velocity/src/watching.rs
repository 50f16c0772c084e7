//! Watch-listed contents: they ring at their first sighting, however little they spread.

use tocsin_model::{Class, ContentId, FamilyAnnouncement, FamilyId, Milliseconds, Severity, Timestamp, Watch};

use crate::class::Quiet;
use crate::group::Group;
use crate::input::{HotKey, Output, WATCHED_MAX};
use crate::live::is_running;
use crate::record::HotRecord;
use crate::watched::Listed;

/// After an episode a watched family rings anew at its first sighting once it was quiet for so long. Before, only its spread does.
pub(crate) const WATCH_REST: Milliseconds = Milliseconds::from_hours(24);
/// A watched family was seen when a member was within this time.
const SEEN_WITHIN: Milliseconds = Milliseconds::from_hours(1);

impl Group {
    /// The watch list changed. Nothing rings by that alone, also not what is hot: a record that carries no event must not say anything at a
    /// time that depends on how many ticks came before it.
    pub(crate) fn watch(&mut self, watch: &Watch, out: &mut Vec<Output>) {
        let content = watch.content;
        if content.group() != self.id {
            self.counters.watches_refused += 1;
            return;
        }
        self.pass(watch.at, out);
        match self.watch_list.take(watch, WATCHED_MAX) {
            Listed::Refused => self.counters.watches_refused += 1,
            Listed::Unchanged => {}
            Listed::Changed => {
                let listing = HotKey {
                    content,
                    class: Class::All,
                };
                if watch.listed.is_some() {
                    out.push(Output::Announcement(self.watch_announcement(watch)));
                } else if self.kept(listing).is_none() {
                    out.push(Output::Withdrawal(listing));
                }
                self.mark_hot(content);
            }
        }
    }

    /// How many contents of this group are on the watch list.
    pub fn watched_contents(&self) -> usize {
        self.watch_list.len()
    }

    /// Intake indexes what is watched as it does what is hot: contents with an equal or near hash join its family.
    fn watch_announcement(&self, watch: &Watch) -> FamilyAnnouncement {
        FamilyAnnouncement {
            content: watch.content,
            hash: watch.hash.clone(),
            family: self.families.of(watch.content, Class::All),
            class: Class::All,
            at: watch.at,
        }
    }

    /// What is hot already rings at its next sighting.
    fn mark_hot(&mut self, content: ContentId) {
        let watched = self.watch_list.watched(content);
        for (class, counts) in self.classes.iter_mut() {
            if counts.set_watched(content, watched) {
                counts.set_quiet(content, Quiet::default());
                self.changed.insert(HotKey { content, class });
            }
        }
    }

    /// Whether a family rings because one of its members is on the watch list and was seen, and this was not said lately.
    pub(crate) fn rings_by_watch(&self, family: FamilyId, class: Class, records: &[&HotRecord]) -> bool {
        was_seen(records, self.now, WATCH_REST)
            && self
                .families
                .state(family, class)
                .is_none_or(|state| state.episode.rested(WATCH_REST, self.now))
    }
}

/// The spread that keeps an episode open: one sighting of what is watched counts as one, of whatever kind it was, and so does a live stream
/// that runs.
pub(crate) fn at_least_seen(hour: u64, records: &[&HotRecord], now: Timestamp) -> u64 {
    match hour {
        0 => u64::from(was_seen(records, now, SEEN_WITHIN) || is_running(records, now)),
        more => more,
    }
}

/// How grave the gravest of these is that is watched.
pub(crate) fn watched(records: &[&HotRecord]) -> Option<Severity> {
    records.iter().filter_map(|record| record.watched()).max()
}

fn was_seen(records: &[&HotRecord], now: Timestamp, within: Milliseconds) -> bool {
    records
        .iter()
        .any(|record| record.watched().is_some() && now - record.last_seen() < within)
}
