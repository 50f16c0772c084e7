//! A second set of parameters that runs beside the live one, rings nothing, and is compared with it.

use std::collections::BTreeMap;

use tocsin_model::{AlertLevel, Class, ContentId, FamilyId, Milliseconds, Timestamp};

use crate::class::Quiet;
use crate::episode::{Episode, Rings};
use crate::group::Group;
use crate::record::{HotRecord, Resolution};
use crate::trigger::{self, Past, Room, TriggerParameters, total};

/// The most families that one group compares at a time. Beyond, the one asked about longest ago gives way, and its comparison with it.
const FAMILIES_MAX: usize = 4_096;
/// What only one of both raised is so when the other did not follow within this time.
const FOLLOWS_WITHIN: Milliseconds = Milliseconds::from_hours(1);
/// An answer of the rule holds until the next multiple of this, as it does for the live one.
const QUIET_AT_MOST: Milliseconds = Milliseconds::from_minutes(15);

/// How the shadow's raises compare with the live ones. Not part of the state: a restart begins anew, and nothing else knows of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Raised by both within an hour.
    pub both: u64,
    /// Of those: the shadow was so many milliseconds earlier, summed up.
    pub earlier_ms: u64,
    /// Of those: the shadow was so many milliseconds later, summed up.
    pub later_ms: u64,
    /// Raised by the live parameters alone.
    pub live_only: u64,
    /// Raised by the shadow alone.
    pub shadow_only: u64,
    /// Comparisons that were given up for want of room.
    pub given_up: u64,
}

/// The shadow of one group.
#[derive(Clone, Debug)]
pub(crate) struct Shadow {
    parameters: TriggerParameters,
    families: BTreeMap<(FamilyId, Class), Watched>,
    comparison: Comparison,
}

/// What the shadow knows of one family in one scope.
#[derive(Clone, Debug, Default)]
struct Watched {
    episode: Episode,
    quiet: Quiet,
    asked_at: Timestamp,
    /// The raise that the other has not followed yet.
    waiting: Option<(By, Timestamp)>,
}

/// Who raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Live,
    Shadow,
}

impl Comparison {
    /// Adds another count.
    pub fn add(&mut self, other: Comparison) {
        self.both += other.both;
        self.earlier_ms += other.earlier_ms;
        self.later_ms += other.later_ms;
        self.live_only += other.live_only;
        self.shadow_only += other.shadow_only;
        self.given_up += other.given_up;
    }

    fn alone(&mut self, by: By) {
        match by {
            By::Live => self.live_only += 1,
            By::Shadow => self.shadow_only += 1,
        }
    }
}

impl Shadow {
    pub(crate) fn new(parameters: TriggerParameters) -> Self {
        Shadow {
            parameters,
            families: BTreeMap::new(),
            comparison: Comparison::default(),
        }
    }

    /// Takes what was compared, with what is alone by now.
    fn take(&mut self, now: Timestamp) -> Comparison {
        for watched in self.families.values_mut() {
            watched.settle(now, &mut self.comparison);
        }
        std::mem::take(&mut self.comparison)
    }

    fn watched(&mut self, family: FamilyId, class: Class, now: Timestamp) -> &mut Watched {
        if !self.families.contains_key(&(family, class)) && self.families.len() >= FAMILIES_MAX {
            let oldest = self.families.iter().min_by_key(|(_, watched)| watched.asked_at);
            if let Some(oldest) = oldest.map(|(key, _)| *key)
                && let Some(watched) = self.families.remove(&oldest)
            {
                self.comparison.given_up += u64::from(watched.waiting.is_some());
            }
        }
        let watched = self.families.entry((family, class)).or_default();
        watched.asked_at = now;
        watched
    }

    fn raised(&mut self, family: FamilyId, class: Class, by: By, now: Timestamp) {
        let mut comparison = self.comparison;
        let watched = self.watched(family, class, now);
        watched.settle(now, &mut comparison);
        match watched.waiting.take() {
            Some((first, at)) if first != by => {
                let apart = (now - at).0.unsigned_abs();
                comparison.both += 1;
                match by {
                    By::Live => comparison.earlier_ms += apart,
                    By::Shadow => comparison.later_ms += apart,
                }
            }
            // The same one raised a second time before the other did once.
            Some((first, _)) => {
                comparison.alone(first);
                watched.waiting = Some((by, now));
            }
            None => watched.waiting = Some((by, now)),
        }
        let given_up = self.comparison.given_up;
        self.comparison = Comparison { given_up, ..comparison };
    }

    /// Asks the shadow's rule, unless it is known that it cannot ring.
    fn ask(&mut self, family: FamilyId, class: Class, (records, live): (&[&HotRecord], Past<'_>), now: Timestamp) {
        let parameters = self.parameters;
        let watched = self.watched(family, class, now);
        watched.quiet.copies = watched.quiet.copies.saturating_sub(1);
        if watched.quiet.copies > 0 && now < watched.quiet.until {
            return;
        }
        let hour = total(records, Resolution::Minute1, 60, now);
        // The live episode is looked at every minute, this one when something comes: then it is seen that the last one was over.
        watched.episode.reviewed(hour, now);
        if watched.episode.open {
            watched.episode.judged(Rings::No, hour, now);
            return;
        }
        let past = Past::new(live.watched_since, watched.episode.settled_until(), live.platforms);
        let judgement = trigger::judge(records, past, now, &parameters, &mut Room::default());
        if judgement.rings == Rings::Yes {
            if watched.episode.judged(Rings::Yes, hour, now) != Some(AlertLevel::Raised) {
                return;
            }
            self.raised(family, class, By::Shadow, now);
        } else if records.len() == 1 {
            let until = now.floor_to(QUIET_AT_MOST) + QUIET_AT_MOST;
            watched.quiet = Quiet {
                copies: judgement.copies_missing,
                until,
            };
        }
    }
}

impl Watched {
    fn settle(&mut self, now: Timestamp, comparison: &mut Comparison) {
        if let Some((first, at)) = self.waiting
            && now - at >= FOLLOWS_WITHIN
        {
            comparison.alone(first);
            self.waiting = None;
        }
    }
}

impl Group {
    /// The shadow is asked wherever the live rule might be. Whatever it finds, it touches nothing but itself.
    pub(crate) fn ask_shadow(&mut self, family: FamilyId, class: Class) {
        let Some(mut shadow) = self.shadow.take() else { return };
        let records = self.records(family, class);
        if records.iter().any(|record| record.class() == class) {
            shadow.ask(family, class, (&records, self.past(family, class)), self.now);
        }
        self.shadow = Some(shadow);
    }

    /// A sighting for all was counted: the shadow is asked at once about a content that is a family of its own.
    pub(crate) fn ask_shadow_alone(&mut self, content: ContentId) {
        if self.shadow.is_none() {
            return;
        }
        let family = self.families.of(content, Class::All);
        if family.home() == self.id && self.families.is_plain(family, Class::All) {
            self.ask_shadow(family, Class::All);
        }
    }

    /// A live episode was raised by its spread.
    pub(crate) fn tell_shadow(&mut self, family: FamilyId, class: Class) {
        let now = self.now;
        if let Some(shadow) = &mut self.shadow {
            shadow.raised(family, class, By::Live, now);
        }
    }

    /// How the shadow compared since this was last asked; `None` without one.
    pub fn take_comparison(&mut self) -> Option<Comparison> {
        let now = self.now;
        self.shadow.as_mut().map(|shadow| shadow.take(now))
    }
}
