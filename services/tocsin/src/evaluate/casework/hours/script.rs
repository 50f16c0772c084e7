//! What people and authorities do about a crisis: drawn from a seed.

use rand::Rng as _;
use rand::rngs::SmallRng;
use tocsin_casework::{NoticeCommand, NoticeKind, NoticeOutcome, SuspensionGround};
use tocsin_model::{Milliseconds, PlatformId, Timestamp};

use super::truth::NoticeTruth;

/// What is done at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Claim,
    Decide,
    /// To the notice of this number.
    Notice(usize, Doing),
}

/// What is done to a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    File,
    Suspend,
    Resume,
    Answer,
}

/// All that is done about one crisis.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) notices: Vec<NoticeTruth>,
    pub(super) acts: Vec<(Timestamp, Act)>,
}

impl Doing {
    /// As the store is told; filing is told otherwise.
    pub(super) fn command(self) -> NoticeCommand {
        match self {
            Doing::Suspend => NoticeCommand::Suspend {
                ground: SuspensionGround::Impossible,
                note: "the site is down".to_owned(),
            },
            Doing::Resume => NoticeCommand::Resume {
                note: "it is up".to_owned(),
            },
            Doing::File | Doing::Answer => NoticeCommand::Answer {
                outcome: NoticeOutcome::Removed,
                note: "done".to_owned(),
            },
        }
    }
}

/// What is done about a crisis that rang at a time, until the day ends: one to four notices, and mostly a claim and a decision.
pub(super) fn planned(random: &mut SmallRng, (rang_at, ends_at): (Timestamp, Timestamp), platforms: usize) -> Planned {
    let mut acts = Vec::new();
    // To the millisecond: deadlines and what people do do not keep to seconds.
    let after = |random: &mut SmallRng, from: Timestamp, minutes: std::ops::Range<i64>| {
        from + Milliseconds(random.random_range(minutes.start * 60_000..minutes.end * 60_000))
    };
    if random.random_bool(0.8) {
        let claimed_at = after(random, rang_at, 1..120);
        let decided_at = after(random, claimed_at, 1..25);
        acts.push((claimed_at, Act::Claim));
        acts.push((decided_at, Act::Decide));
    }
    let mut notices = Vec::new();
    for _ in 0..random.random_range(1..=4) {
        let filed_at = after(random, rang_at, 1..240);
        let kind = match random.random_range(0..6) {
            0 => NoticeKind::TrustedFlagger,
            1 => NoticeKind::Referral,
            _ => NoticeKind::RemovalOrder,
        };
        let received_at = filed_at - Milliseconds(random.random_range(0..10 * 60_000));
        let is_order = kind == NoticeKind::RemovalOrder;
        let asked_due_at = (kind == NoticeKind::TrustedFlagger).then(|| after(random, filed_at, 30..600));
        let platform = random
            .random_bool(0.7)
            .then(|| PlatformId(random.random_range(1..=platforms as u16)));
        let mut done = vec![(filed_at, Doing::File)];
        if is_order && random.random_bool(0.3) {
            // While its first hour runs, whenever it was received.
            let suspended_at = after(random, filed_at, 1..45);
            done.push((suspended_at, Doing::Suspend));
            if random.random_bool(0.7) {
                done.push((after(random, suspended_at, 5..300), Doing::Resume));
            }
        }
        if random.random_bool(0.7) {
            let last = done.last().map_or(filed_at, |(at, _)| *at);
            done.push((after(random, last, 1..130), Doing::Answer));
        }
        done.retain(|(at, _)| *at < ends_at);
        if done.is_empty() {
            continue;
        }
        let number = notices.len();
        acts.extend(done.iter().map(|(at, doing)| (*at, Act::Notice(number, *doing))));
        notices.push(NoticeTruth {
            kind,
            platform,
            received_at,
            asked_due_at,
            done,
        });
    }
    acts.retain(|(at, _)| *at < ends_at);
    acts.sort_by_key(|(at, _)| *at);
    Planned { notices, acts }
}
