//! What the ordinary contents of each platform look like: kept hour by hour, and handed out at the end of each.

use std::ops::Range;

use tocsin_model::{
    Class, ContentId, FamilyId, GroupId, Kind, Milliseconds, PlatformId, Population, Populations, Timestamp,
};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use crate::group::Group;
use crate::live::is_running;
use crate::record::{HotRecord, Resolution};

const HOUR: Milliseconds = Milliseconds::from_hours(1);
const DAY: Milliseconds = Milliseconds::from_hours(24);
const HOURS: i64 = 24;

/// Of what is remembered so many eighths stay from day to day: half of it is gone after five days.
const KEPT_EIGHTHS: u64 = 7;

/// Of fewer copies a part is mostly chance.
const COPIES_MIN: u64 = 6;

/// After so many days without an event everything has faded to nothing: whatever was counted, however far time goes on at once.
const FADED_AFTER_DAYS: i64 = 512;

/// So many hours after the latest event no content has a copy in the day that is looked at.
const SILENT_HOURS: i64 = 30;

/// The populations of one key group, of class `all` alone: what they lead to changes the figures of every scope.
#[derive(Clone, Debug)]
pub(crate) struct GroupPopulations {
    /// The end of the open hour; [`Timestamp::MIN`] before the first time that was told.
    closes_at: Timestamp,
    /// Ascending: apart from what is counted of them, so that to find one reads one line of memory.
    platforms: Vec<PlatformId>,
    /// In the order of the platforms.
    counted: Vec<Counted>,
    /// What is to be handed out. Not part of the state: whoever was restored says it at the end of the next hour.
    told: Option<Populations>,
}

/// One platform.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counted {
    population: Population,
    /// It is counted from here on: hours that were not watched as a whole say nothing.
    since: Timestamp,
}

impl Default for GroupPopulations {
    fn default() -> Self {
        GroupPopulations {
            closes_at: Timestamp::MIN,
            platforms: Vec::new(),
            counted: Vec::new(),
            told: None,
        }
    }
}

impl GroupPopulations {
    /// Whether an hour ends at or before `now`. The last one of all time never does.
    #[inline]
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.closes_at <= now && self.closes_at < Timestamp(i64::MAX)
    }

    /// A content that is not hot was spread.
    #[inline]
    pub(crate) fn count(&mut self, platform: PlatformId, at: Timestamp) {
        let closes_at = self.closes_at;
        if let Some(counted) = self.of(platform, closes_at)
            && at >= counted.since
        {
            let count = &mut counted.population.spread[hour_of(at)];
            *count = count.saturating_add(Population::ONE);
        }
    }

    /// What is counted of a platform; `None` beyond [`Populations::PLATFORMS_MAX`].
    fn of(&mut self, platform: PlatformId, since: Timestamp) -> Option<&mut Counted> {
        let place = match self.platforms.binary_search(&platform) {
            Ok(place) => place,
            Err(_) if self.platforms.len() >= Populations::PLATFORMS_MAX => return None,
            Err(place) => {
                let population = Population::new(platform);
                self.platforms.insert(place, platform);
                self.counted.insert(place, Counted { population, since });
                place
            }
        };
        Some(&mut self.counted[place])
    }

    /// The day of which contents are looked at when the hour ends: that before the hour, for what began in it may ring yet.
    fn day(&self) -> Range<Timestamp> {
        let to = self.closes_at - HOUR;
        to - DAY..to
    }

    /// Adds a content's copies of the day.
    fn add(&mut self, record: &HotRecord) {
        for copies in Copies::of(record, &self.day()) {
            let closes_at = self.closes_at;
            let Some(Counted { population, .. }) = self.of(copies.platform, closes_at) else {
                continue;
            };
            if copies.all() >= COPIES_MIN {
                population.reuploads.add(copies.anew, copies.all());
            }
            population.rates.add(copies.all() - copies.busiest_hour());
        }
    }

    /// Closes the hour, and begins the next.
    fn close(&mut self) {
        let (closed, opened) = (hour_of(self.closes_at - HOUR), hour_of(self.closes_at));
        for Counted { population, since } in &mut self.counted {
            if *since <= self.closes_at - HOUR {
                population.watched[closed] = population.watched[closed].saturating_add(Population::ONE);
            }
            fade(&mut population.spread[opened]);
            fade(&mut population.watched[opened]);
            if opened == 0 {
                population.numbers_mut().into_iter().for_each(fade);
            }
        }
        self.closes_at = self.closes_at + HOUR;
    }

    /// Everything has faded: days that change nothing are passed over.
    fn pass_days(&mut self, now: Timestamp) {
        let days = (now - self.closes_at).0.max(0) / DAY.0;
        self.closes_at = self.closes_at + Milliseconds(days.saturating_mul(DAY.0));
    }

    fn tell(&mut self, group: GroupId) {
        if self.counted.is_empty() {
            return;
        }
        self.told = Some(Populations {
            group,
            at: self.closes_at - HOUR,
            platforms: self.counted.iter().map(|counted| counted.population).collect(),
        });
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.signed(self.closes_at.0);
        out.number(self.counted.len() as u64);
        for Counted { population, since } in &self.counted {
            out.number(u64::from(population.platform.0));
            out.signed(since.0);
            let hours = population.spread.into_iter().chain(population.watched);
            hours.chain(population.numbers()).for_each(|number| out.number(number));
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut populations = GroupPopulations {
            closes_at: Timestamp(input.signed()?),
            ..GroupPopulations::default()
        };
        for _ in 0..input.length(57)? {
            let platform = PlatformId(input.narrow("platform")?);
            if populations.platforms.last().is_some_and(|last| *last >= platform) {
                return Err(DecodeError::Invalid("order of platforms"));
            }
            let since = Timestamp(input.signed()?);
            let mut population = Population::new(platform);
            for hour in population.spread.iter_mut().chain(&mut population.watched) {
                *hour = input.number()?;
            }
            for number in population.numbers_mut() {
                *number = input.number()?;
            }
            populations.platforms.push(platform);
            populations.counted.push(Counted { population, since });
        }
        Ok(populations)
    }
}

impl Group {
    /// Ends every hour that is over. What was due before the end of an hour has been done.
    pub(crate) fn close_hours(&mut self, now: Timestamp, out: &mut Vec<crate::Output>) {
        if self.populations.closes_at == Timestamp::MIN {
            self.populations.closes_at = now.floor_to(HOUR) + HOUR;
        }
        let mut hours = 0;
        while self.populations.is_due(now) {
            self.do_what_is_due(self.populations.closes_at, out);
            if hours < SILENT_HOURS {
                self.add_ordinary_contents();
            }
            self.populations.close();
            hours += 1;
            if hours >= FADED_AFTER_DAYS * HOURS {
                self.populations.pass_days(now);
            }
        }
        self.populations.tell(self.id);
    }

    /// What was seen of the platforms up to the end of the latest hour, unless it was taken before.
    pub fn take_populations(&mut self) -> Option<Populations> {
        self.populations.told.take()
    }

    /// Each content has an hour of the day at whose end it is looked at: so it makes one entry a day at most, without a note of who did. A
    /// content whose episode lasted into that day makes none, nor one that is watched, is live or has variants: however much a crisis
    /// spreads, it is no part of what is ordinary.
    fn add_ordinary_contents(&mut self) {
        let (ends_at, day) = (self.populations.closes_at, self.populations.day());
        let Some(counts) = self.classes.get(Class::All) else {
            return;
        };
        let hour = hour_of(ends_at);
        let looked_at = counts
            .hot_contents()
            .into_iter()
            .filter(|content| slot(*content) == hour);
        for content in looked_at {
            let Some(record) = counts.hot(content) else { continue };
            let family = FamilyId(content);
            let rang = self
                .families
                .state(family, Class::All)
                .is_some_and(|state| state.episode.open || state.episode.settled_until() >= day.start);
            let is_ordinary = !rang
                && record.family() == family
                && self.families.is_plain(family, Class::All)
                && record.watched().is_none()
                && !is_running(&[record], ends_at);
            if is_ordinary {
                self.populations.add(record);
            }
        }
    }
}

/// The copies of a content on one platform by the hours of a day.
struct Copies {
    platform: PlatformId,
    anew: u64,
    hours: [u64; 24],
}

impl Copies {
    fn of(record: &HotRecord, day: &Range<Timestamp>) -> Vec<Copies> {
        let mut of_platforms: Vec<Copies> = Vec::new();
        let inside = record
            .series(Resolution::Minutes15)
            .filter(|(_, kind, start, _)| kind.is_spread() && day.contains(start));
        for (platform, kind, start, count) in inside {
            // The series come by platform.
            if of_platforms.last().is_none_or(|last| last.platform != platform) {
                of_platforms.push(Copies {
                    platform,
                    anew: 0,
                    hours: [0; 24],
                });
            }
            let Some(copies) = of_platforms.last_mut() else {
                continue;
            };
            copies.hours[hour_of(start)] += u64::from(count);
            copies.anew += if kind == Kind::Share { 0 } else { u64::from(count) };
        }
        of_platforms
    }

    fn all(&self) -> u64 {
        self.hours.iter().sum()
    }

    fn busiest_hour(&self) -> u64 {
        self.hours.iter().copied().max().unwrap_or(0)
    }
}

/// The hour of the day, UTC.
pub(crate) fn hour_of(at: Timestamp) -> usize {
    at.0.div_euclid(HOUR.0).rem_euclid(HOURS) as usize
}

/// Content ids are keyed hashes: nobody who uploads chooses the hour.
fn slot(content: ContentId) -> usize {
    ((content.0 as u64 >> 32) % HOURS as u64) as usize
}

fn fade(count: &mut u64) {
    *count = (u128::from(*count) * u128::from(KEPT_EIGHTHS) / 8) as u64;
}
