use std::collections::VecDeque;

use tocsin_model::{Kind, Milliseconds, PartyId, PlatformId, Sighting, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

/// A stream of which nothing was heard for so long is taken to be over.
pub(crate) const SILENCE: Milliseconds = Milliseconds::from_minutes(5);
/// So many minutes of viewers are kept, the open one included. Longer than an event may be late.
const MINUTES_KEPT: i64 = 180;
/// The most minutes kept, those that lie ahead included.
const MINUTES_MAX: usize = 192;
/// The viewers of a heartbeat stay until the next one, but no longer than this many minutes.
const MINUTES_HELD_MAX: i64 = SILENCE.0 / MINUTE.0;
pub(crate) const MINUTE: Milliseconds = Milliseconds::from_minutes(1);

/// One broadcast of one content on one platform.
///
/// Everything here but `earlier_viewer_minutes`, a sum of what is over, is a smallest or a largest of what was said, so that events which come twice,
/// or in another order, lead to the same state. The exception is a further broadcast of the same content: it begins with a `live_start` after the end
/// of the one before, or after its silence, and from then on nothing counts that happened earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    platform: PlatformId,
    party: PartyId,
    /// What happened before belongs to an earlier broadcast.
    begins: Timestamp,
    /// The earliest `live_start`.
    started_at: Option<Timestamp>,
    /// The earliest event of any kind.
    first_at: Timestamp,
    /// The latest `live_start` or heartbeat; [`Timestamp::MIN`] before the first.
    heard_at: Timestamp,
    /// The latest `live_end`; [`Timestamp::MIN`] before the first.
    ended_at: Timestamp,
    /// The latest heartbeat and its viewers.
    latest: (Timestamp, u32),
    peak: u32,
    /// (number of a minute since 1970, the most viewers in it), ascending.
    minutes: VecDeque<(i64, u32)>,
    /// Viewer-minutes of the minutes that are no longer kept.
    earlier_viewer_minutes: u64,
}

impl Stream {
    pub(crate) fn new(platform: PlatformId, party: PartyId) -> Self {
        Stream {
            platform,
            party,
            begins: Timestamp::MIN,
            started_at: None,
            first_at: Timestamp(i64::MAX),
            heard_at: Timestamp::MIN,
            ended_at: Timestamp::MIN,
            latest: (Timestamp::MIN, 0),
            peak: 0,
            minutes: VecDeque::new(),
            earlier_viewer_minutes: 0,
        }
    }

    /// Takes a live event in that happened at `at`.
    pub(crate) fn hear(&mut self, sighting: &Sighting<'_>, at: Timestamp, now: Timestamp) {
        if sighting.kind == Kind::LiveStart && self.is_over_before(at) {
            *self = Stream {
                begins: at,
                ..Stream::new(self.platform, self.party)
            };
        }
        if at < self.begins {
            return;
        }
        self.first_at = self.first_at.min(at);
        match sighting.kind {
            Kind::LiveStart => {
                self.started_at = Some(self.started_at.map_or(at, |started| started.min(at)));
                self.heard_at = self.heard_at.max(at);
            }
            Kind::LiveHeartbeat => {
                self.heard_at = self.heard_at.max(at);
                self.latest = self.latest.max((at, sighting.audience));
                self.peak = self.peak.max(sighting.audience);
                self.watch(minute(at), sighting.audience);
                self.forget(minute(now) - MINUTES_KEPT + 1);
            }
            Kind::LiveEnd => self.ended_at = self.ended_at.max(at),
            _ => {}
        }
    }

    /// Whether what is known is over before a start at `at`: it ended, or was silent for too long.
    fn is_over_before(&self, at: Timestamp) -> bool {
        let was_heard = self.heard_at > Timestamp::MIN;
        let ended = self.ended_at >= self.heard_at && self.ended_at > Timestamp::MIN && at > self.ended_at;
        ended || (was_heard && at - self.heard_at >= SILENCE)
    }

    fn watch(&mut self, minute: i64, viewers: u32) {
        match self.minutes.binary_search_by_key(&minute, |entry| entry.0) {
            Ok(place) => self.minutes[place].1 = self.minutes[place].1.max(viewers),
            Err(place) => self.minutes.insert(place, (minute, viewers)),
        }
    }

    fn forget(&mut self, kept_from: i64) {
        while let Some(&(first, viewers)) = self.minutes.front()
            && (first < kept_from || self.minutes.len() > MINUTES_MAX)
        {
            self.minutes.pop_front();
            let next = self.minutes.front().map_or(first + 1, |entry| entry.0);
            let watched = viewer_minutes(viewers, next - first);
            self.earlier_viewer_minutes = self.earlier_viewer_minutes.saturating_add(watched);
        }
    }

    pub(crate) fn platform(&self) -> PlatformId {
        self.platform
    }

    pub(crate) fn party(&self) -> PartyId {
        self.party
    }

    /// Whether it goes on: nothing says that it ended since it was last heard, and that is not long ago.
    pub(crate) fn is_running(&self, now: Timestamp) -> bool {
        self.heard_at > self.ended_at && now - self.heard_at < SILENCE
    }

    /// When it began: at the start that was reported, and where none was at the earliest sign of life.
    pub(crate) fn began_at(&self) -> Timestamp {
        self.started_at.unwrap_or(self.first_at).min(self.first_at)
    }

    /// When it ended, or was last heard.
    pub(crate) fn last_at(&self) -> Timestamp {
        self.heard_at.max(self.ended_at)
    }

    /// Concurrent viewers by the latest heartbeat; nobody watches what is over.
    pub(crate) fn viewers(&self, now: Timestamp) -> u64 {
        if self.is_running(now) {
            u64::from(self.latest.1)
        } else {
            0
        }
    }

    pub(crate) fn peak(&self) -> u32 {
        self.peak
    }

    /// How long all viewers watched together, in minutes, as far as heartbeats tell.
    pub(crate) fn viewer_minutes(&self, now: Timestamp) -> u64 {
        let until = if self.is_running(now) { now } else { self.last_at() };
        let nexts = self.minutes.iter().skip(1).map(|entry| entry.0);
        let ends = nexts.chain([minute(until).saturating_add(1)]);
        let watched = self.minutes.iter().zip(ends);
        watched.fold(self.earlier_viewer_minutes, |sum, (&(start, viewers), end)| {
            sum.saturating_add(viewer_minutes(viewers, end.saturating_sub(start)))
        })
    }

    /// The most viewers in the minutes `from..to`; `None` where no heartbeat was.
    pub(crate) fn most_viewers(&self, from: i64, to: i64) -> Option<u32> {
        let latest = self.minutes.iter().rev();
        let within = latest
            .skip_while(|entry| entry.0 >= to)
            .take_while(|entry| entry.0 >= from);
        within.map(|entry| entry.1).max()
    }

    /// Takes over what another class knows of the same stream. Of two broadcasts the later one counts.
    pub(crate) fn merge(&mut self, other: &Stream) {
        if self.begins != other.begins {
            let (earlier, later) = if self.begins < other.begins {
                (&*self, other)
            } else {
                (other, &*self)
            };
            if earlier.last_at() < later.begins {
                *self = later.clone();
                return;
            }
        }
        self.begins = self.begins.max(other.begins);
        self.started_at = match (self.started_at, other.started_at) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        self.first_at = self.first_at.min(other.first_at);
        self.heard_at = self.heard_at.max(other.heard_at);
        self.ended_at = self.ended_at.max(other.ended_at);
        self.latest = self.latest.max(other.latest);
        self.peak = self.peak.max(other.peak);
        for (minute, viewers) in &other.minutes {
            self.watch(*minute, *viewers);
        }
        self.earlier_viewer_minutes = self.earlier_viewer_minutes.max(other.earlier_viewer_minutes);
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.number(u64::from(self.platform.0));
        out.number(u64::from(self.party.0));
        out.signed(self.begins.0);
        out.byte(u8::from(self.started_at.is_some()));
        if let Some(started_at) = self.started_at {
            out.signed(started_at.0);
        }
        for at in [self.first_at, self.heard_at, self.ended_at, self.latest.0] {
            out.signed(at.0);
        }
        out.number(u64::from(self.latest.1));
        out.number(u64::from(self.peak));
        out.number(self.minutes.len() as u64);
        for (minute, viewers) in &self.minutes {
            out.signed(*minute);
            out.number(u64::from(*viewers));
        }
        out.number(self.earlier_viewer_minutes);
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let platform = PlatformId(input.narrow("platform")?);
        let mut stream = Stream::new(platform, PartyId(input.narrow("party")?));
        stream.begins = Timestamp(input.signed()?);
        if input.byte()? != 0 {
            stream.started_at = Some(Timestamp(input.signed()?));
        }
        stream.first_at = Timestamp(input.signed()?);
        stream.heard_at = Timestamp(input.signed()?);
        stream.ended_at = Timestamp(input.signed()?);
        stream.latest.0 = Timestamp(input.signed()?);
        stream.latest.1 = input.narrow("count of viewers")?;
        stream.peak = input.narrow("count of viewers")?;
        let length = input.length(2)?;
        if length > MINUTES_MAX {
            return Err(DecodeError::Invalid("number of minutes"));
        }
        for _ in 0..length {
            let minute = input.signed()?;
            let in_order = stream.minutes.back().is_none_or(|last| last.0 < minute);
            if !in_order || minute.checked_mul(MINUTE.0).is_none() {
                return Err(DecodeError::Invalid("minute"));
            }
            stream.minutes.push_back((minute, input.narrow("count of viewers")?));
        }
        stream.earlier_viewer_minutes = input.number()?;
        Ok(stream)
    }
}

fn viewer_minutes(viewers: u32, minutes: i64) -> u64 {
    u64::from(viewers) * minutes.clamp(0, MINUTES_HELD_MAX) as u64
}

/// The number of the minute that holds a time.
pub(crate) fn minute(at: Timestamp) -> i64 {
    at.0.div_euclid(MINUTE.0)
}
