use tocsin_model::{AlertLevel, AlertReason, ContentId, FamilyId, Milliseconds, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

/// How often an open episode is looked at.
pub(crate) const REVIEW_EVERY: Milliseconds = Milliseconds::from_minutes(1);
/// How often an open episode is said again, so that a lost alert heals.
const REASSERT_EVERY: Milliseconds = Milliseconds::from_minutes(15);
/// The hourly spread, as a multiple of the one at the last raise or escalation, that escalates.
const ESCALATE_AT: u64 = 10;
/// An episode is over when the last hour holds at most this part of its busiest hour.
const SUBSIDED_PART: u64 = 10;

/// A family that spreads again within this time after its episode was raised goes on with it.
pub(crate) const ONE_EPISODE: Milliseconds = Milliseconds::from_hours(24);

/// The episodes of one family in one scope: at most one is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Episode {
    /// The number of the latest episode, from 1; 0 before the first.
    pub(crate) number: u32,
    pub(crate) open: bool,
    /// How many alerts the latest episode has made.
    pub(crate) alerts: u32,
    /// Whether the latest episode has interrupted a person.
    pub(crate) paged: bool,
    /// Why the latest episode was raised.
    pub(crate) reason: AlertReason,
    raised_at: Timestamp,
    /// The family in which it was raised, where that is another one, which joined.
    raised_in: Option<FamilyId>,
    last_alert_at: Timestamp,
    hour_at_level: u64,
    hour_max: u64,
    /// When the latest live stream began that an alert told of.
    live_told: Timestamp,
}

impl Default for Episode {
    fn default() -> Self {
        Episode {
            number: 0,
            open: false,
            alerts: 0,
            paged: false,
            reason: AlertReason::default(),
            raised_at: Timestamp(0),
            raised_in: None,
            last_alert_at: Timestamp(0),
            hour_at_level: 0,
            hour_max: 0,
            live_told: Timestamp::MIN,
        }
    }
}

impl Episode {
    /// No episode yet; the next gets the number after this.
    pub(crate) fn after(number: u32) -> Self {
        Episode {
            number,
            ..Episode::default()
        }
    }

    /// The rule was asked. `hour` is the spread of the last hour.
    pub(crate) fn judged(&mut self, rings: Rings, hour: u64, now: Timestamp) -> Option<AlertLevel> {
        self.hour_max = self.hour_max.max(hour);
        let level = match (self.open, rings) {
            (_, Rings::No) if !self.open => return None,
            (false, _) if self.rang_within_the_day(now) => {
                self.open = true;
                self.hour_max = hour;
                self.reason = rings.live_reason().unwrap_or(self.reason);
                AlertLevel::Escalated
            }
            (false, _) => {
                *self = Episode {
                    number: self.number + 1,
                    open: true,
                    raised_at: now,
                    hour_max: hour,
                    reason: match rings {
                        Rings::ByWatch => AlertReason::WatchList,
                        _ => rings.live_reason().unwrap_or_default(),
                    },
                    ..Episode::default()
                };
                AlertLevel::Raised
            }
            // How much it spreads is another matter: the level for that stays.
            (true, Rings::ByLiveMatch | Rings::ByLiveAudience) => {
                self.reason = rings.live_reason().unwrap_or(self.reason);
                return Some(self.alerted(AlertLevel::Escalated, now));
            }
            (true, _) if hour >= self.hour_at_level.saturating_mul(ESCALATE_AT) => AlertLevel::Escalated,
            _ => return None,
        };
        self.hour_at_level = hour;
        Some(self.alerted(level, now))
    }

    fn rang_within_the_day(&self, now: Timestamp) -> bool {
        self.alerts > 0 && now - self.raised_at < ONE_EPISODE
    }

    /// Whether it rings, or did within the day.
    pub(crate) fn is_known(&self, now: Timestamp) -> bool {
        self.open || self.rang_within_the_day(now)
    }

    /// Whether an alert must tell of a live stream that began at `began_at`: none did of it or a later one. After the first, those that
    /// follow are told of once a minute at most.
    pub(crate) fn owes_live(&self, began_at: Timestamp, now: Timestamp) -> bool {
        let was_told = self.live_told > Timestamp::MIN;
        began_at > self.live_told && (!was_told || now - self.last_alert_at >= REVIEW_EVERY)
    }

    /// An alert told of the live streams that began up to this time.
    pub(crate) fn told_live(&mut self, began_at: Timestamp) {
        self.live_told = self.live_told.max(began_at);
    }

    /// So much spread in the last hour keeps it open.
    pub(crate) fn hour_that_keeps_open(&self) -> u64 {
        self.hour_max / SUBSIDED_PART + 1
    }

    /// So many more copies than the `hour` holds are needed before an open episode escalates.
    pub(crate) fn copies_to_escalate(&self, hour: u64) -> u64 {
        self.hour_at_level.saturating_mul(ESCALATE_AT).saturating_sub(hour)
    }

    /// A minute has passed. `hour` is the spread of the last hour.
    pub(crate) fn reviewed(&mut self, hour: u64, now: Timestamp) -> Option<AlertLevel> {
        if !self.open {
            return None;
        }
        self.hour_max = self.hour_max.max(hour);
        if hour.saturating_mul(SUBSIDED_PART) <= self.hour_max {
            return self.closed(now);
        }
        (now - self.last_alert_at >= REASSERT_EVERY).then(|| self.alerted(AlertLevel::Sustained, now))
    }

    /// It grew until it has to interrupt a person: an open episode escalates at once, whatever its spread.
    pub(crate) fn called(&mut self, hour: u64, now: Timestamp) -> Option<AlertLevel> {
        if !self.open {
            return None;
        }
        self.hour_at_level = hour;
        Some(self.alerted(AlertLevel::Escalated, now))
    }

    /// Something else than spread changed (a decision): says an open episode again at once.
    pub(crate) fn reasserted(&mut self, now: Timestamp) -> Option<AlertLevel> {
        self.open.then(|| self.alerted(AlertLevel::Sustained, now))
    }

    /// When it was over: what came before is ordinary by now. [`Timestamp::MIN`] while one is open, and before the first.
    pub(crate) fn settled_until(&self) -> Timestamp {
        if self.open || self.alerts == 0 {
            Timestamp::MIN
        } else {
            self.last_alert_at
        }
    }

    /// Whether nothing was said of it for so long.
    pub(crate) fn rested(&self, rest: Milliseconds, now: Timestamp) -> bool {
        self.alerts == 0 || (!self.open && now - self.last_alert_at >= rest)
    }

    /// Ends an open episode.
    pub(crate) fn closed(&mut self, now: Timestamp) -> Option<AlertLevel> {
        if !self.open {
            return None;
        }
        self.open = false;
        Some(self.alerted(AlertLevel::Subsided, now))
    }

    /// The episode of this family as the one that it joins is told of it.
    pub(crate) fn brought_by(&self, family: FamilyId) -> Self {
        Episode {
            raised_in: self.raised_in.or(Some(family)),
            ..self.clone()
        }
    }

    /// A family that rings, or rang within the day, joined this one: its episode goes on here, under this family's next number, unless one rings
    /// here already. To be told so again changes nothing: what was taken over is known by when it was raised, and where.
    pub(crate) fn taken_over(&mut self, joined: &Episode, now: Timestamp) -> Option<AlertLevel> {
        let is_taken = self.alerts > 0 && (self.raised_at, self.raised_in) == (joined.raised_at, joined.raised_in);
        if is_taken || (self.is_known(now) && (self.open || !joined.open)) {
            return None;
        }
        let number = match self.is_known(now) {
            true => self.number,
            false => self.number + 1,
        };
        let alerts = self.alerts.max(joined.alerts);
        *self = Episode {
            number,
            alerts,
            ..joined.clone()
        };
        self.reasserted(now)
    }

    fn alerted(&mut self, level: AlertLevel, now: Timestamp) -> AlertLevel {
        self.alerts += 1;
        self.last_alert_at = now;
        level
    }

    /// Its bytes.
    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.number(u64::from(self.number));
        out.byte(u8::from(self.open));
        out.number(u64::from(self.alerts));
        out.byte(u8::from(self.paged));
        out.byte(self.reason as u8);
        out.signed(self.raised_at.0);
        out.signed(self.last_alert_at.0);
        out.number(self.hour_at_level);
        out.number(self.hour_max);
        out.signed(self.live_told.0);
        out.byte(u8::from(self.raised_in.is_some()));
        if let Some(family) = self.raised_in {
            out.fixed128(family.0.0);
        }
    }

    /// The inverse of [`Episode::encode`].
    pub(crate) fn decode(has_raised_in: bool, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut episode = Episode {
            number: input.narrow("number of an episode")?,
            open: input.byte()? != 0,
            alerts: input.narrow("count of alerts")?,
            paged: input.byte()? != 0,
            reason: AlertReason::from_number(input.byte()?).ok_or(DecodeError::Invalid("reason"))?,
            raised_at: Timestamp(input.signed()?),
            raised_in: None,
            last_alert_at: Timestamp(input.signed()?),
            hour_at_level: input.number()?,
            hour_max: input.number()?,
            live_told: Timestamp(input.signed()?),
        };
        if has_raised_in && input.byte()? != 0 {
            episode.raised_in = Some(FamilyId(ContentId(input.fixed128()?)));
        }
        Ok(episode)
    }
}

/// Whether the rule rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rings {
    /// The spread is not ordinary.
    Yes,
    /// A member is on the watch list.
    ByWatch,
    /// A live stream runs in a family that is known.
    ByLiveMatch,
    /// The audience of a live stream is not ordinary.
    ByLiveAudience,
    /// It is.
    No,
}

impl Rings {
    /// What an alert gives as reason where a live stream is it.
    fn live_reason(self) -> Option<AlertReason> {
        match self {
            Rings::ByLiveMatch => Some(AlertReason::LiveMatch),
            Rings::ByLiveAudience => Some(AlertReason::LiveAudience),
            Rings::Yes | Rings::ByWatch | Rings::No => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(n: i64) -> Timestamp {
        Timestamp(n * 60_000)
    }

    #[test]
    fn an_episode_is_raised_escalated_sustained_and_subsides() {
        let mut episode = Episode::default();
        assert_eq!(episode.judged(Rings::No, 5, minute(0)), None);
        assert_eq!(episode.judged(Rings::Yes, 10, minute(1)), Some(AlertLevel::Raised));
        assert_eq!(episode.judged(Rings::Yes, 11, minute(2)), None, "one raise per episode");
        assert_eq!(episode.judged(Rings::Yes, 100, minute(3)), Some(AlertLevel::Escalated));
        assert_eq!(episode.judged(Rings::Yes, 101, minute(4)), None);
        assert_eq!(episode.reviewed(100, minute(17)), None);
        assert_eq!(episode.reviewed(100, minute(18)), Some(AlertLevel::Sustained));
        assert_eq!(episode.reviewed(11, minute(19)), None);
        assert_eq!(episode.reviewed(10, minute(20)), Some(AlertLevel::Subsided));
        assert_eq!(episode.reviewed(0, minute(21)), None, "it is over once");
        assert_eq!(episode.settled_until(), minute(20));
        assert_eq!(
            episode.judged(Rings::Yes, 10, minute(30)),
            Some(AlertLevel::Escalated),
            "it is the same story"
        );
        assert_eq!((episode.number, episode.settled_until()), (1, Timestamp::MIN));
        assert_eq!(episode.reviewed(1, minute(31)), Some(AlertLevel::Subsided));
        assert_eq!(episode.called(1, minute(31)), None, "nobody is called for what is over");
        let next_day = minute(1 + 24 * 60);
        assert_eq!(episode.judged(Rings::Yes, 10, next_day), Some(AlertLevel::Raised));
        assert_eq!(episode.number, 2);
    }

    #[test]
    fn an_episode_goes_on_in_the_family_that_its_own_joins_unless_one_rings_there() {
        let mut joined = Episode::default();
        joined.judged(Rings::Yes, 40, minute(1));
        let mut quiet = Episode::after(4);
        assert_eq!(quiet.taken_over(&joined, minute(5)), Some(AlertLevel::Sustained));
        assert_eq!((quiet.number, quiet.alerts, quiet.open), (5, 2, true));
        assert_eq!(quiet.judged(Rings::Yes, 41, minute(6)), None, "it is raised already");
        assert_eq!(
            quiet.reviewed(3, minute(7)),
            Some(AlertLevel::Subsided),
            "its busiest hour came along"
        );
        assert_eq!(quiet.taken_over(&joined, minute(8)), None, "told again when it is over");
        assert_eq!(
            quiet.judged(Rings::Yes, 40, minute(9)),
            Some(AlertLevel::Escalated),
            "the same story"
        );

        let mut rings = Episode::default();
        rings.judged(Rings::Yes, 10, minute(2));
        assert_eq!(rings.taken_over(&joined, minute(5)), None);
        rings.closed(minute(6));
        assert_eq!(rings.taken_over(&joined, minute(7)), Some(AlertLevel::Sustained));
        assert_eq!(rings.number, 1, "it rang within the day");

        joined.closed(minute(10));
        let mut quiet = Episode::default();
        assert_eq!(quiet.taken_over(&joined, minute(11)), None);
        assert_eq!(quiet.judged(Rings::Yes, 40, minute(12)), Some(AlertLevel::Escalated));
        assert_eq!(quiet.judged(Rings::No, 40, minute(12)), None);
    }

    #[test]
    fn two_episodes_that_were_raised_at_once_are_two() {
        let [mut over, mut rings] = [3, 4].map(|family| {
            let mut episode = Episode::default();
            episode.judged(Rings::Yes, 40, minute(1));
            episode.brought_by(FamilyId(ContentId(family)))
        });
        let mut own = Episode::default();
        own.judged(Rings::Yes, 40, minute(1));
        own.closed(minute(2));
        assert_eq!(own.taken_over(&over, minute(3)), Some(AlertLevel::Sustained));
        own.closed(minute(4));
        let mut out = Encoder::new();
        own.encode(&mut out);
        let mut own = Episode::decode(true, &mut Decoder::new(out.written())).unwrap();
        assert_eq!(own.taken_over(&over, minute(5)), None, "told again");
        assert_eq!(own.taken_over(&rings, minute(6)), Some(AlertLevel::Sustained));
        over.closed(minute(7));
        rings = own.brought_by(FamilyId(ContentId(2)));
        assert_eq!(rings.raised_in, Some(FamilyId(ContentId(4))), "wherever it goes on");
    }

    #[test]
    fn an_episode_that_grew_until_it_calls_somebody_escalates_and_is_escalated_from_there() {
        let mut episode = Episode::default();
        episode.judged(Rings::Yes, 10, minute(1));
        assert_eq!(episode.called(40, minute(2)), Some(AlertLevel::Escalated));
        assert_eq!((episode.alerts, episode.copies_to_escalate(100)), (2, 300));
        assert_eq!(episode.judged(Rings::Yes, 100, minute(3)), None, "ten times the 40");
    }
}
