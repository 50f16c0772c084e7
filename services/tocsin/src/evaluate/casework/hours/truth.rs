//! What the clocks and notices of a crisis should be, read off what happened and was done.

use std::collections::BTreeMap;

use tocsin_casework::{
    Case, ClockKind, Clocks, Filing, Notice, NoticeKind, NoticeOutcome, ORDER_DUE_IN, PlatformClocks,
};
use tocsin_intake::SourceClock;
use tocsin_loadtest::day::{DayPlan, Family, Occurrence};
use tocsin_model::{Alert, Kind, Milliseconds, PlatformId, Timestamp};

use super::script::Doing;

/// The default of `intake.lateness`.
const LATENESS: Milliseconds = Milliseconds::from_hours(2);
const SECOND: i64 = 1_000;

/// The whole second in which a time is over: a dispatcher looks each second.
pub(super) fn ceil_second(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(SECOND) * SECOND + if at.0.rem_euclid(SECOND) > 0 { SECOND } else { 0 })
}

/// Reads records as intake does, with clocks of sources of its own.
pub(super) struct Reader {
    clocks: Vec<SourceClock>,
}

impl Reader {
    pub(super) fn of(plan: &DayPlan) -> Reader {
        Reader {
            clocks: vec![SourceClock::default(); plan.platforms.len()],
        }
    }

    /// Notes what a record says of the family's platforms.
    pub(super) fn read(&mut self, record: &Occurrence, first: &mut PlatformClocks) {
        let clock = &mut self.clocks[usize::from(record.platform)];
        let at = clock
            .correct(record.occurred_at, record.received_at, LATENESS)
            .occurred_at;
        let kind = match record.kind {
            Kind::Report => ClockKind::FirstReport,
            Kind::Removal => ClockKind::Removed,
            Kind::Upload | Kind::BlockedUpload | Kind::Share | Kind::LiveStart => ClockKind::FirstSeen,
            _ => return,
        };
        first.note(PlatformId(u16::from(record.platform) + 1), kind, at);
    }
}

/// What happened to a case.
#[derive(Clone, Debug)]
pub(super) struct Told {
    clocks: Clocks,
    on_platforms: PlatformClocks,
}

impl Told {
    pub(super) fn opened(at: Timestamp) -> Told {
        Told {
            clocks: Clocks {
                first_seen: None,
                alert_at: None,
                opened_at: at,
                claimed_at: None,
                decided_at: None,
            },
            on_platforms: PlatformClocks::default(),
        }
    }

    pub(super) fn rang(&mut self, alert: &Alert) {
        let earlier = |known: Option<Timestamp>, at: Timestamp| Some(known.map_or(at, |known| known.min(at)));
        self.clocks.first_seen = earlier(self.clocks.first_seen, alert.first_seen);
        self.clocks.alert_at = earlier(self.clocks.alert_at, alert.at);
    }

    pub(super) fn claimed(&mut self, at: Timestamp) {
        self.clocks.claimed_at.get_or_insert(at);
    }

    pub(super) fn is_claimed(&self) -> bool {
        self.clocks.claimed_at.is_some()
    }

    pub(super) fn decided(&mut self, at: Timestamp) {
        self.clocks.decided_at.get_or_insert(at);
    }

    pub(super) fn noticed(&mut self, filing: &Filing) {
        if let Some(platform) = filing.platform {
            self.on_platforms.note(platform, ClockKind::Notice, filing.received_at);
        }
    }

    /// What events told of platforms.
    pub(super) fn seen(&mut self, first: &PlatformClocks) {
        for (platform, kind, at) in first.iter() {
            self.on_platforms.note(platform, kind, at);
        }
    }

    /// How many times there are, on either side, and how many of them differ.
    pub(super) fn compare(&self, case: &Case, on_platforms: &PlatformClocks) -> (u64, u64) {
        let (truth, kept) = (self.clocks, case.clocks());
        let of_case = [
            (truth.first_seen, kept.first_seen),
            (truth.alert_at, kept.alert_at),
            (Some(truth.opened_at), Some(kept.opened_at)),
            (truth.claimed_at, kept.claimed_at),
            (truth.decided_at, kept.decided_at),
        ];
        let mut both: BTreeMap<_, [Option<Timestamp>; 2]> = BTreeMap::new();
        for (side, clocks) in [&self.on_platforms, on_platforms].into_iter().enumerate() {
            for (platform, kind, at) in clocks.iter() {
                both.entry((platform, kind)).or_default()[side] = Some(at);
            }
        }
        let on_platforms = both.values().map(|[truth, kept]| (*truth, *kept));
        let all: Vec<(Option<Timestamp>, Option<Timestamp>)> = of_case.into_iter().chain(on_platforms).collect();
        let differ = all.iter().filter(|(truth, kept)| truth != kept).count();
        (all.len() as u64, differ as u64)
    }
}

/// A notice, and all that is done to it, in the order of time; filed first.
#[derive(Clone, Debug)]
pub(super) struct NoticeTruth {
    pub(super) kind: NoticeKind,
    pub(super) platform: Option<PlatformId>,
    pub(super) received_at: Timestamp,
    pub(super) asked_due_at: Option<Timestamp>,
    pub(super) done: Vec<(Timestamp, Doing)>,
}

impl NoticeTruth {
    pub(super) fn is_order(&self) -> bool {
        self.kind == NoticeKind::RemovalOrder
    }

    pub(super) fn filing(&self, family: Family, number: usize) -> Filing {
        Filing {
            kind: self.kind,
            authority: "an authority".to_owned(),
            reference: format!("{}-{number}", family.0),
            part: 0,
            content: None,
            platform: self.platform,
            received_at: self.received_at,
            due_at: self.asked_due_at,
            urls: Vec::new(),
            statement: String::new(),
        }
    }

    /// When something was done, if it was by a time.
    fn when(&self, doing: Doing, by: Timestamp) -> Option<Timestamp> {
        let done = self.done.iter().find(|(_, done)| *done == doing);
        done.map(|(at, _)| *at).filter(|at| *at <= by)
    }

    /// When it is due at a time: an hour from its receipt, or from its resumption.
    fn due_at(&self, now: Timestamp) -> Option<Timestamp> {
        let first = match self.is_order() {
            true => Some(self.received_at + ORDER_DUE_IN),
            false => self.asked_due_at,
        };
        self.when(Doing::Resume, now).map(|at| at + ORDER_DUE_IN).or(first)
    }

    fn is_suspended(&self, now: Timestamp) -> bool {
        self.when(Doing::Suspend, now).is_some() && self.when(Doing::Resume, now).is_none()
    }

    /// All times at which its time may be over.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Timestamp> {
        let resumed = self.when(Doing::Resume, Timestamp(i64::MAX));
        let first = self.due_at(Timestamp(i64::MIN));
        first.into_iter().chain(resumed.map(|at| at + ORDER_DUE_IN))
    }

    /// Whether it waits for an answer at a time, and when it is due if its time runs; `None` before it is filed.
    pub(super) fn load_at(&self, now: Timestamp) -> Option<(bool, Option<Timestamp>)> {
        self.when(Doing::File, now)?;
        if self.when(Doing::Answer, now).is_some() {
            return Some((false, None));
        }
        let due_at = self.due_at(now).filter(|_| !self.is_suspended(now));
        Some((true, due_at))
    }

    /// The deadline that passed by a time without an answer or a suspension: of two the later, since the first no longer counts once its time runs anew.
    pub(super) fn overdue_by(&self, now: Timestamp) -> Option<Timestamp> {
        self.when(Doing::File, now)?;
        let due = self.due_at(now)?;
        let ended = match self.when(Doing::Resume, now) {
            // Its first time, which a suspension ended, is over for good.
            Some(_) => self.when(Doing::Answer, now),
            None => [self.when(Doing::Suspend, now), self.when(Doing::Answer, now)]
                .into_iter()
                .flatten()
                .min(),
        };
        // Somebody looks in the second in which it is over, and by the end of the day.
        let looked_at = ceil_second(due);
        let is_missed = looked_at <= now && ended.is_none_or(|ended| looked_at < ended);
        is_missed.then_some(due)
    }

    /// Whether the store's notice is this one as of a time.
    pub(super) fn is(&self, notice: &Notice, now: Timestamp) -> bool {
        let answered = self.when(Doing::Answer, now);
        let answer = notice.answer.as_ref().map(|answer| (answer.outcome, answer.at));
        let escalated = notice.overdue_at.is_some() == self.overdue_by(now).is_some();
        notice.filing.received_at == self.received_at
            && notice.due_at == self.due_at(now)
            && notice.suspension.is_some() == self.is_suspended(now)
            && answer == answered.map(|at| (NoticeOutcome::Removed, at))
            && escalated
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the truth itself is right where it can be told by hand.
    use super::*;

    fn minute(minute: i64) -> Timestamp {
        Timestamp(0) + Milliseconds::from_minutes(minute)
    }

    fn order(done: &[(i64, Doing)]) -> NoticeTruth {
        NoticeTruth {
            kind: NoticeKind::RemovalOrder,
            platform: None,
            received_at: minute(0),
            asked_due_at: None,
            done: done.iter().map(|(at, doing)| (minute(*at), *doing)).collect(),
        }
    }

    #[test]
    fn the_hour_of_an_order_runs_from_its_receipt_or_its_resumption() {
        use Doing::{Answer, File, Resume, Suspend};
        let plain = order(&[(5, File)]);
        assert_eq!(plain.load_at(minute(4)), None);
        assert_eq!(plain.load_at(minute(5)), Some((true, Some(minute(60)))));
        assert_eq!(
            (plain.overdue_by(minute(59)), plain.overdue_by(minute(60))),
            (None, Some(minute(60)))
        );
        let answered = order(&[(5, File), (70, Answer)]);
        assert_eq!(answered.overdue_by(minute(90)), Some(minute(60)), "it was late");
        assert_eq!(answered.load_at(minute(70)), Some((false, None)));
        let suspended = order(&[(5, File), (30, Suspend)]);
        assert_eq!(suspended.overdue_by(minute(90)), None);
        assert_eq!(suspended.load_at(minute(90)), Some((true, None)));
        let resumed = order(&[(5, File), (30, Suspend), (100, Resume)]);
        assert_eq!(resumed.load_at(minute(100)), Some((true, Some(minute(160)))));
        assert_eq!(
            (resumed.overdue_by(minute(159)), resumed.overdue_by(minute(160))),
            (None, Some(minute(160)))
        );
        assert_eq!(resumed.deadlines().collect::<Vec<_>>(), [minute(60), minute(160)]);
    }

    #[test]
    fn a_time_is_over_in_the_second_behind_it() {
        for (at, second) in [(0, 0), (1, 1_000), (999, 1_000), (1_000, 1_000)] {
            assert_eq!(ceil_second(Timestamp(at)), Timestamp(second));
        }
    }
}
