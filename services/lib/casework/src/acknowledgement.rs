//! From decision to confirmed removal: what is waited for after a decision, whether what platforms say confirms it, and when somebody is reminded.

use tocsin_model::{ContentId, Evidence, FamilyId, Joined, Milliseconds, RecommendedAction, Timestamp, Verdict};

use crate::case::{Case, Resting};
use crate::ruling::Ruling;

/// Whoever decided is reminded of what is not confirmed so long after the decision was out, or after what was confirmed was undone.
pub const REMIND_AFTER: [Milliseconds; 2] = [Milliseconds::from_minutes(10), Milliseconds::from_minutes(30)];
/// And so long after it, it is escalated.
pub const ESCALATE_AFTER: Milliseconds = Milliseconds::from_minutes(60);
/// A member is recommended anew without a person at most so often on a platform.
pub const RECOMMEND_AGAIN_AFTER: Milliseconds = Milliseconds::from_minutes(10);
/// So many bits of two pictures may differ where a recommendation goes out again without a person.
pub const CLOSE_BITS_MAX: u16 = 31;

/// What the platforms of those who decided confirm by events. The numbers are those of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Awaits {
    /// That the copies were removed.
    Removal = 1,
    /// That what was removed was restored: the decision was overturned.
    Restore = 2,
}

/// What a party wants done when a copy comes after its removal was confirmed. The numbers are those of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OnReupload {
    /// The case comes back, and a person decides.
    #[default]
    Reopen = 1,
    /// The same recommendation goes out again without a person, for members that came exactly or by at most [`CLOSE_BITS_MAX`] bits; of others a
    /// person is asked.
    Recommend = 2,
}

/// When something happened, as exactly as it is known: from here on, and before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Not earlier.
    pub from: Timestamp,
    /// Earlier than this.
    pub to: Timestamp,
}

/// How often something was heard of a member on a platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occurrences {
    /// How often, since it is counted.
    pub events: u64,
    /// The earliest.
    pub first_at: Option<Timestamp>,
    /// The latest. `None`: it never happened, or so long ago that it is not known when.
    pub latest: Option<Span>,
}

/// What view samples told of how often the copies of a member on a platform were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewed {
    /// The views that they told of, since they are counted.
    pub views: u64,
    /// When the latest sample was taken. `None`: so long ago that it is not known when.
    pub latest: Option<Span>,
}

/// What was heard of a member on a platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Copies that were uploaded or broadcast, and not blocked.
    pub copies: Occurrences,
    /// Removals.
    pub removals: Occurrences,
    /// Restored copies.
    pub restores: Occurrences,
    /// Whether the platform's own events label a copy `tvec`, since it is counted.
    pub is_labelled: bool,
    /// How often the copies were seen. `None`: no view sample told of any views.
    pub viewed: Option<Viewed>,
    /// At most so many copies came, on any platform, before it was counted exactly.
    pub uncounted: u64,
    /// The time up to which it counts: of two tallies the later one says more.
    pub as_of: Timestamp,
}

/// Whether a platform confirmed what was decided about one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledgement {
    /// What is to be answered, as last heard: copies, or removals.
    pub asked: u64,
    /// What answers it, as last heard: removals, or restored copies.
    pub answered: u64,
    /// When the answer came that confirms it. `None`: it is not confirmed.
    pub confirmed_at: Option<Timestamp>,
    /// Both counts when it was last heard to be confirmed, or 0 of each since it was counted anew: what further copies are held to.
    pub settled: Option<(u64, u64)>,
    /// Both counts at the confirmation that stands, or stood last. What answers once more while nothing is asked anew does not change them.
    pub confirmed: Option<(u64, u64)>,
    /// Whether a copy was labelled `tvec` by then, or was heard to be since. `None`: nothing was heard of it, or it was counted anew before it was confirmed.
    pub labelled: Option<bool>,
    /// How much came after it was confirmed that was to be answered again.
    pub returned: u64,
    /// The views that view samples told of until the removal that confirms it, between two numbers; while it is not confirmed, those that were last heard
    /// of. `None`: no sample told of any, or nothing is to be removed.
    pub views: Option<(u64, u64)>,
    /// The time up to which the latest tally counted.
    pub as_of: Timestamp,
}

/// What a tally did to an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing is new.
    Nothing,
    /// Counts changed, and what is confirmed stays so.
    Counted,
    /// It is confirmed.
    Confirmed,
    /// It was confirmed and is no more: so many copies came since.
    Returned {
        /// How many.
        copies: u64,
    },
}

/// How a decision waits for what confirms it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaiting {
    /// For what.
    pub awaits: Awaits,
    /// Since when something of it is not confirmed, as far as is known. `None`: nothing is waited for.
    pub since: Option<Timestamp>,
    /// How many of the times at which somebody is told are over.
    pub told: u8,
}

/// Who decided is told that something is not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reminder {
    /// A reminder, the first or the second.
    Reminded(u8),
    /// Nobody is reminded again: it is escalated.
    Escalated,
}

/// The times at which somebody is told.
const TOLD_AFTER: [Milliseconds; 3] = [REMIND_AFTER[0], REMIND_AFTER[1], ESCALATE_AFTER];

impl Awaits {
    /// What a ruling waits for; `None` of one that asks no platform to remove or to restore anything. A ruling that leaves the copies where they are
    /// waits for what an earlier one of the same case had removed.
    pub fn of(ruling: &Ruling, removal_was_asked: bool) -> Option<Awaits> {
        match (ruling.grounds.action, ruling.verdict) {
            (Some(RecommendedAction::Remove | RecommendedAction::StopStream), _) => Some(Awaits::Removal),
            (Some(RecommendedAction::Keep), _) | (None, Verdict::Benign) if removal_was_asked => Some(Awaits::Restore),
            _ => None,
        }
    }

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Awaits::Removal => "removal",
            Awaits::Restore => "restore",
        }
    }

    /// The one with this number of the store.
    pub fn from_number(number: i64) -> Option<Awaits> {
        [Awaits::Removal, Awaits::Restore]
            .into_iter()
            .find(|awaits| *awaits as i64 == number)
    }

    /// What is to be answered, and what answers it. What a platform itself restores, as after an appeal, is no copy that came again.
    fn sides(self, tally: &Tally) -> (Occurrences, Occurrences) {
        match self {
            Awaits::Removal => (tally.copies, tally.removals),
            Awaits::Restore => (tally.removals, tally.restores),
        }
    }
}

impl OnReupload {
    /// Both.
    pub const ALL: [OnReupload; 2] = [OnReupload::Reopen, OnReupload::Recommend];

    /// Its name in commands.
    pub fn name(self) -> &'static str {
        match self {
            OnReupload::Reopen => "reopen",
            OnReupload::Recommend => "recommend",
        }
    }

    /// The one with this number of the store.
    pub fn from_number(number: i64) -> Option<OnReupload> {
        OnReupload::ALL.into_iter().find(|setting| *setting as i64 == number)
    }
}

/// Whether a member came into its family so that what was decided about the family holds for it without a person's look: it founded the family; or
/// one of its hashes is one of the family's, or its picture is near enough, and `all_came_closely`: no member came by anything else, by way of which this
/// one may have come. Where it is not known how it came, it did not.
pub fn came_closely((content, family): (ContentId, FamilyId), joined: Option<&Joined>, all_came_closely: bool) -> bool {
    content == family.0 || (all_came_closely && joined.is_some_and(|joined| is_close(joined.evidence)))
}

/// Whether contents are the same by this evidence, or nearly.
pub fn is_close(evidence: Evidence) -> bool {
    match evidence {
        Evidence::EqualHash => true,
        Evidence::PdqDistance(bits) => bits <= CLOSE_BITS_MAX,
        Evidence::PartyLink
        | Evidence::FounderLinked
        | Evidence::Moderator
        | Evidence::FamilyParted
        | Evidence::FrameShare(_) => false,
    }
}

impl Occurrences {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Occurrences) -> Occurrences {
        Occurrences {
            events: self.events + other.events,
            first_at: self.first_at.into_iter().chain(other.first_at).min(),
            latest: self.latest.max(other.latest),
        }
    }

    /// Whether the latest of these is later than the latest of others for certain.
    fn is_later_than(&self, other: &Occurrences) -> bool {
        match (self.latest, other.latest) {
            (Some(mine), Some(theirs)) => mine.from >= theirs.to,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

impl Acknowledgement {
    /// Of a member on a platform of which this is the first that is heard. `None` where nothing is to be answered: no copy was there, or none was
    /// removed.
    pub fn begin(awaits: Awaits, tally: &Tally) -> Option<Acknowledgement> {
        (awaits.sides(tally).0.events > 0).then(Acknowledgement::default)
    }

    /// Takes a tally in. What answers confirms what is asked if the latest of it is later than the latest that is asked. Times are those of bins, so of
    /// two in one bin it is not known which was later; then it is confirmed if the answers rose while nothing more was asked, or if there are as
    /// many of them as of what was asked, since it was confirmed last or ever. What is confirmed stays so until more is asked.
    pub fn hear(&mut self, awaits: Awaits, tally: &Tally) -> Heard {
        let (asked, answered) = awaits.sides(tally);
        if (asked.events, answered.events) == (self.asked, self.answered) {
            return self.hear_views_alone(awaits, tally);
        }
        // Counts fall where a content is counted anew, since it was not hot for a while. Of whoever is behind the others they are older, and say nothing.
        let is_recount = asked.events < self.asked || answered.events < self.answered;
        if tally.as_of < self.as_of || (tally.as_of == self.as_of && is_recount) {
            return Heard::Nothing;
        }
        let heard_as_of = std::mem::replace(&mut self.as_of, tally.as_of);
        let more = match is_recount {
            true => asked.events,
            false => asked.events - self.asked,
        };
        if is_recount {
            self.settled = self.confirmed_at.map(|_| (0, 0));
        }
        let is_answered = self.is_answered(awaits, (asked, answered), (tally.uncounted, is_recount));
        (self.asked, self.answered) = (asked.events, answered.events);
        let was_confirmed = self.confirmed_at.is_some();
        // What is counted anew begins at none, and since it was confirmed it may have been. A removal that is told late was before some of what was heard.
        let is_told_late = tally.removals.latest.is_none_or(|removed| removed.from < heard_as_of);
        let heard_before = self.views.filter(|_| !is_recount && !was_confirmed && !is_told_late);
        let heard_before = heard_before.map_or(0, |(low, _)| low);
        let is_labelled = tally.is_labelled || (!was_confirmed && self.labelled == Some(true));
        if !was_confirmed && !is_answered {
            self.views = heard_views(awaits, tally);
            self.labelled = self.labelled.or(is_labelled.then_some(true));
            return Heard::Counted;
        }
        if was_confirmed {
            self.returned += more;
            if more > 0 && !is_answered {
                self.confirmed_at = None;
                self.views = heard_views(awaits, tally);
                self.labelled = is_labelled.then_some(true).or(self.labelled);
                return Heard::Returned { copies: more };
            }
        }
        self.settled = Some((asked.events, answered.events));
        // As it was heard when it was removed: neither what is told later counts, nor is what was heard lost when it is counted anew.
        let was_heard_whole = !is_recount || self.labelled.is_some();
        if more > 0 || !was_confirmed {
            self.labelled = match is_labelled {
                true => Some(true),
                false => was_heard_whole.then(|| self.labelled.unwrap_or(false)),
            };
            let latest = answered.latest.map(|span| span.from).max(answered.first_at);
            self.confirmed_at = latest.or(self.confirmed_at);
            self.confirmed = self.settled;
            self.views = views_until(awaits, tally, heard_before);
        }
        match was_confirmed {
            true => Heard::Counted,
            false => Heard::Confirmed,
        }
    }

    /// Hears of views where nothing else moved: what is told of them after the removal is not of before it.
    fn hear_views_alone(&mut self, awaits: Awaits, tally: &Tally) -> Heard {
        let views = heard_views(awaits, tally);
        // Of two tallies as of one time the one that says more is the later one.
        let is_later = (tally.as_of, views) > (self.as_of, self.views);
        self.as_of = self.as_of.max(tally.as_of);
        if self.confirmed_at.is_some() || !is_later || views == self.views {
            return Heard::Nothing;
        }
        self.views = views;
        Heard::Counted
    }

    fn is_answered(
        &self,
        awaits: Awaits,
        (asked, answered): (Occurrences, Occurrences),
        (uncounted, is_recount): (u64, bool),
    ) -> bool {
        if answered.events == 0 || answered.first_at.is_none() {
            return false;
        }
        let was_heard = !is_recount && self.asked > 0;
        let rose_alone = was_heard && asked.events == self.asked && answered.events > self.answered;
        let uncounted = match awaits {
            Awaits::Removal => uncounted,
            Awaits::Restore => 0,
        };
        let is_as_many = match self.settled {
            Some((settled, by)) => {
                answered.events - by.min(answered.events) >= asked.events - settled.min(asked.events)
            }
            None => answered.events >= asked.events + uncounted,
        };
        answered.is_later_than(&asked) || rose_alone || is_as_many
    }
}

/// The views that a tally tells of, where something is to be removed.
fn heard_views(awaits: Awaits, tally: &Tally) -> Option<(u64, u64)> {
    let viewed = tally.viewed.filter(|_| awaits == Awaits::Removal)?;
    Some((viewed.views, viewed.views))
}

/// The views that were told of until the latest removal of this tally. If the latest sample is not for certain from before it, they are no fewer than those
/// that were heard of before.
fn views_until(awaits: Awaits, tally: &Tally, heard_before: u64) -> Option<(u64, u64)> {
    let (_, high) = heard_views(awaits, tally)?;
    let sampled = tally.viewed.and_then(|viewed| viewed.latest);
    let is_before = match (sampled, tally.removals.latest) {
        (Some(sampled), Some(removed)) => sampled.to <= removed.from,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    let low = if is_before { high } else { heard_before.min(high) };
    Some((low, high))
}

impl Awaiting {
    /// For what a decision waits that is out at `out_at`.
    pub fn new(awaits: Awaits, out_at: Timestamp) -> Awaiting {
        Awaiting {
            awaits,
            since: Some(out_at),
            told: 0,
        }
    }

    /// When somebody is told next; `None` while nothing is waited for, and once it was escalated.
    pub fn due_at(&self) -> Option<Timestamp> {
        let after = TOLD_AFTER.get(usize::from(self.told))?;
        Some(self.since? + *after)
    }

    /// Whether it was escalated, and something is not confirmed still.
    pub fn is_escalated(&self) -> bool {
        self.since.is_some() && usize::from(self.told) >= TOLD_AFTER.len()
    }

    /// So many acknowledgements are not confirmed now: the time begins with the first and ends with the last of them.
    pub fn heard(&mut self, unconfirmed: u64, now: Timestamp) {
        match (unconfirmed, self.since) {
            (0, _) => self.rest(),
            (_, None) => (self.since, self.told) = (Some(now), 0),
            (_, Some(_)) => {}
        }
    }

    /// Nothing is waited for.
    pub fn rest(&mut self) {
        (self.since, self.told) = (None, 0);
    }

    /// Whether somebody is told at `now` of so many that are not confirmed. Of several times that passed the last is told of.
    pub fn look(&mut self, unconfirmed: u64, now: Timestamp) -> Option<Reminder> {
        let before = self.told;
        while self.due_at().is_some_and(|due| due <= now) {
            self.told += 1;
        }
        if self.told == before {
            return None;
        }
        if unconfirmed == 0 {
            self.rest();
            return None;
        }
        Some(match self.is_escalated() {
            true => Reminder::Escalated,
            false => Reminder::Reminded(self.told),
        })
    }
}

impl Reminder {
    /// How the history of a case calls it.
    pub fn name(self) -> &'static str {
        match self {
            Reminder::Reminded(_) => "unconfirmed_reminded",
            Reminder::Escalated => "unconfirmed_escalated",
        }
    }
}

impl Case {
    /// A copy came after its removal was confirmed, and a person is to decide: the case comes back to the queue, unless it is there, somebody holds
    /// it, or it went into another. Whether it came back.
    pub fn ask_again(&mut self, now: Timestamp) -> bool {
        if self.resting != Resting::Decided || self.merged.is_some() || self.live_lease(now).is_some() {
            return false;
        }
        self.resting = Resting::Open;
        self.waiting_since = now;
        self.version += 1;
        true
    }
}
