//! Contents that come once, faster than the cold counts can tell them apart: they move nothing that spreads.
//!
//! Sixteen cells a row and 64 hot places, so that 100 contents a second are to this group what 10^6 a second are to a deployment: the filter of first
//! sightings is full within ten seconds and the rows within one more.

use tocsin_model::{AlertLevel, Class, ContentId, FamilyId, Kind, Timestamp};

use super::harness::*;
use crate::figures::{WindowFigures, family_figures};
use crate::{GroupConfig, HotRecord, SnapshotLayout};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// One content that comes once, every so often.
const EVERY: i64 = 10;

struct Crowd {
    deployment: Deployment,
    /// From when to when contents that come once do so.
    flood: std::ops::Range<i64>,
    /// So far everything came.
    at: i64,
    once: u64,
}

impl Crowd {
    fn new(flood: std::ops::Range<i64>) -> Self {
        let mut config = GroupConfig {
            hot_max: 64,
            ..config()
        };
        config.cold.width = 16;
        Crowd {
            deployment: Deployment::new(config),
            flood,
            at: 0,
            once: 0,
        }
    }

    /// Lets the flood go on until then.
    fn pass(&mut self, at: i64) {
        while self.at + EVERY <= at {
            self.at += EVERY;
            if self.flood.contains(&self.at) {
                self.once += 1;
                let group = id(1).0 >> 120 << 120;
                let other = u128::from(self.once).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) >> 8;
                self.deployment
                    .see_as(ContentId(group | other), seen(0, 1_000_000 + self.once, self.at));
            }
        }
    }

    /// A copy of a content of the same group as content 1, by a new account.
    fn copy(&mut self, content: u8, account: u64, at: i64) {
        self.pass(at);
        let in_group = id(1).0 >> 120 << 120 | id(content).0 << 8 >> 8;
        self.deployment.see_as(ContentId(in_group), seen(content, account, at));
    }

    fn rang(&self) -> bool {
        let of_it = |family: FamilyId| family == FamilyId(id(1));
        self.deployment
            .alerts
            .iter()
            .any(|alert| alert.level == AlertLevel::Raised && of_it(alert.family))
    }

    /// Copies of content 1 from then on, one every so often, until it rings: how many that takes.
    fn copies_to_ring(&mut self, from: i64, every: i64) -> i64 {
        for copy in 0..1_000 {
            self.copy(1, 10_000 + copy as u64, from + copy * every);
            if self.rang() {
                return copy + 1;
            }
        }
        panic!("it does not ring");
    }

    fn record(&self) -> Option<&HotRecord> {
        self.deployment.record(1, Class::All)
    }
}

fn windows(record: &HotRecord, at: i64) -> [WindowFigures; 3] {
    family_figures(&[record], Timestamp(START + at)).unwrap().windows
}

/// Eight copies an hour from the first minute on, for three hours; then one every 20 seconds until it rings.
fn goes_on_and_breaks_out(flood: std::ops::Range<i64>) -> (i64, Timestamp, [WindowFigures; 3]) {
    let mut crowd = Crowd::new(flood);
    for copy in 0..24 {
        crowd.copy(1, copy, MINUTE + copy as i64 * (HOUR / 8));
        assert!(copy < 2 || crowd.record().is_some(), "copy {copy}: it lost its place");
    }
    let copies = crowd.copies_to_ring(3 * HOUR + 10 * MINUTE, 20 * SECOND);
    let record = crowd.record().unwrap();
    (copies, record.exact_since(), windows(record, crowd.at))
}

#[test]
fn what_spreads_keeps_its_place_and_its_bins_and_rings_when_it_should() {
    let without = goes_on_and_breaks_out(0..0);
    let with = goes_on_and_breaks_out(HOUR..4 * HOUR);
    assert_eq!(with, without, "an hour and more of contents that come once");
}

/// What begins to spread among them: as many copies as without them, but for those that come before two of them are within what is remembered of
/// candidates (512 contents here, five seconds of the flood; 131,072 of a deployment with the shipped limits).
#[test]
fn what_begins_among_them_rings_a_few_copies_later() {
    let mut alone = Crowd::new(0..0);
    let without = alone.copies_to_ring(HOUR, 4 * SECOND);
    let mut crowd = Crowd::new(0..3 * HOUR);
    let with = crowd.copies_to_ring(HOUR, 4 * SECOND);
    assert!(with <= without + 3, "{with} copies among them, {without} without");
}

/// The filter stays full for a day, and so do the panes in which they stand: neither makes the alarm deaf for what begins later.
#[test]
fn what_begins_after_them_rings_with_as_many_copies() {
    for (begins, every) in [(2 * HOUR, 20 * SECOND), (4 * HOUR, 20 * SECOND), (12 * HOUR, MINUTE)] {
        let mut alone = Crowd::new(0..0);
        let without = alone.copies_to_ring(begins, every);
        let mut crowd = Crowd::new(0..30 * MINUTE);
        let with = crowd.copies_to_ring(begins, every);
        assert!(with <= without + 3, "{with} copies after them, {without} without");
        let [.., day] = windows(crowd.record().unwrap(), crowd.at);
        assert!(day.spread.contains(with as u64), "{with} not in {:?}", day.spread);
        assert!(day.spread.low + 3 >= with as u64);
    }
}

/// Restoring in the middle changes nothing: candidates are part of the state.
#[test]
fn a_restore_among_them_changes_nothing() {
    let run = |restore_at: i64| {
        let mut crowd = Crowd::new(0..HOUR);
        for copy in 0..40 {
            crowd.copy((1 + copy % 5) as u8, copy, MINUTE + copy as i64 * 3 * SECOND);
            if copy as i64 == restore_at {
                crowd.deployment.restore();
            }
        }
        let group = &crowd.deployment.groups[&id(1).group()];
        group.encode_core()
    };
    let never = run(-1);
    assert!((0..40).step_by(13).all(|at| run(at) == never));
}

#[test]
fn what_was_removed_while_it_was_not_hot_is_posted_after_a_removal() {
    let mut deployment = Deployment::new(config());
    let copy = |kind, account, at| Seen {
        kind,
        ..seen(1, account, at)
    };
    deployment.see(copy(Kind::Upload, 1, 0));
    deployment.see(copy(Kind::Removal, 1, 5 * SECOND));
    assert!(deployment.record(1, Class::All).is_none());
    deployment.restore();
    for account in 2..6 {
        deployment.see(copy(Kind::Upload, account, HOUR + account as i64 * SECOND));
    }
    assert_eq!(after_removal(&deployment), 3, "those since it is hot");
}

#[test]
fn what_made_room_after_it_was_removed_is_posted_after_a_removal() {
    let mut deployment = Deployment::new(GroupConfig { hot_max: 1, ..config() });
    for account in 0..3 {
        deployment.see(seen(1, account, account as i64 * SECOND));
    }
    deployment.see(Seen {
        kind: Kind::Removal,
        ..seen(1, 1, 5 * SECOND)
    });
    let other = ContentId(id(1).0 ^ 1);
    for account in 0..8 {
        deployment.see_as(other, seen(2, account, 2 * HOUR + account as i64 * SECOND));
    }
    assert!(deployment.record(1, Class::All).is_none(), "it made room");
    deployment.restore();
    for account in 10..20 {
        deployment.see(seen(1, account, 4 * HOUR + account as i64 * SECOND));
    }
    assert!(after_removal(&deployment) > 0);
}

/// Whoever removes contents that come once moves no removals of what was removed twice.
#[test]
fn removals_of_what_comes_once_push_out_no_others() {
    let mut crowd = Crowd::new(0..0);
    for at in [0, SECOND] {
        crowd.deployment.see(Seen {
            kind: Kind::Removal,
            ..seen(1, 1, at)
        });
    }
    for once in 0..20_000u64 {
        let other = ContentId(id(1).0 ^ u128::from(once + 1));
        crowd.deployment.see_as(
            other,
            Seen {
                kind: Kind::Removal,
                ..seen(2, once, 2 * SECOND + once as i64)
            },
        );
    }
    for account in 0..3 {
        crowd.deployment.see(seen(1, account, HOUR + account as i64));
    }
    assert_eq!(after_removal(&crowd.deployment), 1);
    let group = &crowd.deployment.groups[&id(1).group()];
    let [with, without] =
        [SnapshotLayout::Current, SnapshotLayout::Before].map(|layout| group.encode_core_in(layout).len());
    assert!(with - without < 512 * 36, "{} bytes are remembered", with - without);
}

fn after_removal(deployment: &Deployment) -> u64 {
    let record = deployment.record(1, Class::All).unwrap();
    record.cells().iter().map(|cell| cell.voice.after_removal).sum()
}
