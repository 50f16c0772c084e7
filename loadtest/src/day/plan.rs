use tocsin_model::{Milliseconds, Name, Timestamp};

use crate::truth::Judged;

/// What happens on a day and what goes wrong with it. Times of the day count from [`DayPlan::begins_at`] unless they say otherwise.
#[derive(Clone, Debug)]
pub struct DayPlan {
    /// Everything that is drawn depends on it.
    pub seed: u64,
    /// Which day: days of one seed are independent.
    pub number: u32,
    /// When the day begins that is scored. The daily rhythm follows UTC.
    pub begins_at: Timestamp,
    /// How long events happen before that, so that popular contents have a past. Not scored.
    pub warm_up: Milliseconds,
    /// How long the day lasts.
    pub lasts: Milliseconds,
    /// Who reports. At least one.
    pub parties: Vec<Name>,
    /// Where things happen, 1 to 200.
    pub platforms: Vec<PlatformPlan>,
    /// How traffic follows the clock.
    pub rhythm: RhythmPlan,
    /// What is seen once, and what is popular.
    pub ordinary: OrdinaryPlan,
    /// Benign bursts of every size.
    pub bursts: SpreadPlan,
    /// Benign cascades, all of them large.
    pub cascades: SpreadPlan,
    /// Excerpts in the news.
    pub news: Vec<NewsPlan>,
    /// Product launches.
    pub launches: Vec<LaunchPlan>,
    /// Petitions.
    pub petitions: Vec<PetitionPlan>,
    /// What the alarm is for.
    pub crises: Vec<CrisisPlan>,
    /// Who works against it.
    pub attacks: Vec<AttackPlan>,
    /// What goes wrong between platform and log.
    pub disorder: DisorderPlan,
}

/// A platform.
#[derive(Clone, Debug)]
pub struct PlatformPlan {
    /// Its name.
    pub name: Name,
    /// The place of its party in [`DayPlan::parties`].
    pub party: u8,
    /// Its size, in any unit: events and accounts fall on platforms in proportion.
    pub size: f64,
    /// How far its clock is ahead; negative when it is behind.
    pub clock_ahead: Milliseconds,
}

/// A rate that goes up and down once a day: 1 + `swing` x cos(time since the peak). Its mean over a day is 1.
#[derive(Clone, Copy, Debug)]
pub struct RhythmPlan {
    /// 0 to 1: 0 is a flat day.
    pub swing: f64,
    /// When traffic is highest, since midnight UTC.
    pub peak: Milliseconds,
}

/// Ordinary contents. A share of them is seen once; the others are popular by Zipf's law.
///
/// A popular content is no Poisson process: each of its events is followed, with `echo_share`, by another after an exponential delay. The Fano
/// factor of its counts in windows much longer than the delay is (1 + e) / (1 - e); at 0.3 and a minute that is about 1.6 in five minutes, what
/// real ordinary posts have.
#[derive(Clone, Copy, Debug)]
pub struct OrdinaryPlan {
    /// Contents seen once a day.
    pub once_per_day: f64,
    /// Popular contents, 1 to 2^27.
    pub popular: u32,
    /// Events about them a day, echoes included.
    pub popular_events_per_day: f64,
    /// Zipf's exponent.
    pub exponent: f64,
    /// See above, 0 to below 1.
    pub echo_share: f64,
    /// The mean delay of an echo.
    pub echo_after: Milliseconds,
    /// Accounts over all platforms. Some post far more than others: the n-th most active in proportion to 1 / sqrt(n).
    pub accounts: u64,
    /// The share of events that carry the label `tvec`: classifiers err.
    pub labelled_share: f64,
}

/// Families that spread by self-excitation: each copy brings further ones after delays of SEISMIC's kernel (constant for 5 minutes, then a
/// power law of exponent 1.242; Zhao et al. 2015, arXiv 1506.02594), in numbers that depend on the audience of its account.
///
/// How large they are is a truncated power law: of those of size x, 3^-`index` reach 3x. Most begin with what a large account posts and fade
/// from the first hour on; a `growing_share` begins small, catches on and grows until those whom it could interest have seen it.
#[derive(Clone, Copy, Debug)]
pub struct SpreadPlan {
    /// How many begin, per day.
    pub per_day: f64,
    /// The smallest size aimed at, in copies. Small ones scatter widely around what is aimed at.
    pub size_min: f64,
    /// The largest.
    pub size_max: f64,
    /// The index of the power law.
    pub index: f64,
    /// The share that grows.
    pub growing_share: f64,
    /// The share that is on several platforms; all others stay on one.
    pub several_platforms_share: f64,
    /// The share in haste: copies that others take an hour for come within a minute or two.
    pub hasty_share: f64,
    /// The share that comes from one to five accounts that repeat themselves.
    pub few_accounts_share: f64,
    /// The share of visible copies that a user reports, some minutes later.
    pub reported_share: f64,
    /// The share of copies that carry the label `tvec`.
    pub labelled_share: f64,
}

/// Excerpts in the news: several families at about the same time, each posted by large accounts and on several platforms.
#[derive(Clone, Copy, Debug)]
pub struct NewsPlan {
    /// From when on.
    pub from: Milliseconds,
    /// They begin within this time after it.
    pub within: Milliseconds,
    /// How many families.
    pub families: u32,
    /// Their sizes and the rest; `per_day` is not looked at.
    pub spread: SpreadPlan,
}

/// A product launch: everybody posts the same at one minute, on all platforms.
#[derive(Clone, Copy, Debug)]
pub struct LaunchPlan {
    /// The minute.
    pub at: Milliseconds,
    /// How many copies are expected in all.
    pub copies: f64,
    /// The mean age of a copy.
    pub mean_age: Milliseconds,
}

/// A petition: shared for hours, never fast.
#[derive(Clone, Copy, Debug)]
pub struct PetitionPlan {
    /// When it begins.
    pub at: Milliseconds,
    /// Copies an hour, once it is known.
    pub per_hour: f64,
    /// How long it takes until then, in a straight line.
    pub known_after: Milliseconds,
}

/// A crisis: a source, then re-uploads whose rate doubles until it peaks, then falls.
#[derive(Clone, Debug)]
pub struct CrisisPlan {
    /// When the source appears: T. All its other times count from here.
    pub at: Milliseconds,
    /// The source.
    pub source: SourcePlan,
    /// When the first re-upload comes.
    pub first_copy_after: Milliseconds,
    /// Re-uploads per minute right after it.
    pub first_per_minute: f64,
    /// How long the rate takes to double.
    pub doubling: Milliseconds,
    /// The peak of the rate, over all platforms.
    pub peak_per_second: f64,
    /// Re-uploads expected in the 24 h after T: how fast the rate falls after its peak follows from it.
    pub copies: f64,
    /// Re-uploads end this long after the 10th by an account of its own. `None`: they go on.
    pub cut_after_onset: Option<Milliseconds>,
    /// And they end here in any case.
    pub ends_after: Milliseconds,
    /// How re-uploads fall on platforms, in any unit; one number for each platform.
    pub platforms: Vec<f64>,
    /// A platform that lets no more than so many through; the rest goes to the others.
    pub capped: Option<CappedPlatform>,
    /// How many variants there are, 1 or more.
    pub variants: u16,
    /// How popular they are: Zipf's exponent.
    pub variant_exponent: f64,
    /// When a hash is shared, so that platforms can block uploads.
    pub hash_shared_after: Milliseconds,
    /// The share of re-uploads that are blocked from then on.
    pub blocked_share: f64,
    /// The share of re-uploads that are links to a copy (shares), not uploads.
    pub link_share: f64,
    /// When users begin to report it.
    pub first_report_after: Milliseconds,
    /// The share of visible copies that are reported, from then on.
    pub reported_share: f64,
    /// The share of visible copies that are removed, from then on.
    pub removed_share: f64,
    /// The share of re-uploads by accounts that posted one before.
    pub repeated_account_share: f64,
    /// The share of re-uploads that carry the label `tvec`.
    pub labelled_share: f64,
    /// The smallest audience of a visible copy; audiences are Pareto of index 1.
    pub audience_min: u32,
    /// The audience of the one copy that is seen most: the 50th re-upload.
    pub audience_max: u32,
}

/// The source clip of a crisis.
#[derive(Clone, Copy, Debug)]
pub struct SourcePlan {
    /// The platform it is on.
    pub platform: u8,
    /// How long it is live. `None`: it is uploaded, not live.
    pub live: Option<Milliseconds>,
    /// Viewers while it is live; audience of an upload.
    pub viewers: u32,
    /// Views before it is removed.
    pub views: u32,
    /// When it is removed, after T.
    pub removed_after: Milliseconds,
}

/// A limit of one platform within a crisis.
#[derive(Clone, Copy, Debug)]
pub struct CappedPlatform {
    /// The platform.
    pub platform: u8,
    /// Re-uploads a second that it takes at most.
    pub per_second: f64,
}

/// Work against the alarm.
#[derive(Clone, Copy, Debug)]
pub struct AttackPlan {
    /// When it begins.
    pub at: Milliseconds,
    /// How long it goes on, at a constant rate.
    pub lasts: Milliseconds,
    /// Events a second.
    pub per_second: f64,
    /// The platform they come from.
    pub platform: u8,
    /// What is done.
    pub attacked: Attacked,
}

/// What an attack aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attacked {
    /// Reach: a few copies of one hash, by accounts whose pseudonyms were crafted against an unkeyed HyperLogLog.
    Reach,
    /// Sketches and filters: every event has a hash of its own.
    Sketches,
    /// Priority: one party inflates one harmless hash with many accounts, and labels all of it `tvec`.
    Priority,
}

/// What goes wrong between platform and log.
#[derive(Clone, Copy, Debug)]
pub struct DisorderPlan {
    /// The longest ordinary delay; ordinary delays are uniform from 0. At least 1 ms.
    pub delay_max: Milliseconds,
    /// The share of events that come more than 5 min late: all but those of the next field between 5 min and 1 h.
    pub late_share: f64,
    /// The share of events that come more than 1 h late: between 1 h and 2 h 30.
    pub very_late_share: f64,
    /// The share of events that are received a second time, within 30 s after the first.
    pub duplicate_share: f64,
    /// A party that is not heard for a while, and then everything at once.
    pub silence: Option<Silence>,
}

/// A party that is not heard for a while.
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    /// The party.
    pub party: u8,
    /// From when on.
    pub from: Milliseconds,
    /// How long. What happened meanwhile is received within five seconds after its end.
    pub lasts: Milliseconds,
}

impl DayPlan {
    /// The first moment at which something may happen.
    pub fn stream_begins_at(&self) -> Timestamp {
        self.begins_at - self.warm_up
    }

    /// The end of the day: nothing happens any more, though some of it is yet to be received.
    pub fn ends_at(&self) -> Timestamp {
        self.begins_at + self.lasts
    }

    /// The part of the stream that is judged: the day, without what is before it.
    pub fn judged(&self) -> Judged {
        Judged {
            stream_begins_at: self.stream_begins_at(),
            from: self.begins_at,
            to: self.ends_at(),
        }
    }
}
