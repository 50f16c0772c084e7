//! Goal: whatever a platform does in whatever order, and whenever somebody looks, a removal counts as confirmed only if it came after the last upload, if
//! no copy is left, or if as much was removed as came since it was confirmed before; one that came later for certain always counts; and each time at
//! which somebody is reminded is told of once. The views that samples told of until the removal lie between the two numbers that are kept.
//!
//! A small model plays the platform with exact times; it knows nothing of how the rules work. `TOCSIN_SEQUENCES` sets how many sequences are played
//! (default 2,000).
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tocsin_casework::{
    Acknowledgement, Awaiting, Awaits, ESCALATE_AFTER, Heard, Occurrences, REMIND_AFTER, Reminder, Ruling, Span, Tally,
    Viewed, came_closely,
};
use tocsin_model::{
    ContentId, Evidence, FamilyId, Grounds, Joined, Milliseconds, RecommendedAction, Timestamp, Verdict,
};

const BIN: i64 = 5_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A copy is posted.
    Upload,
    /// A copy that is there is removed.
    RemoveOne,
    /// All that are there are removed, and one event says so.
    RemoveAll,
    /// A copy that was removed is restored: no copy that came again.
    Restore,
    /// A sample tells of so many views.
    Sample(u64),
    Wait(i64),
    /// Somebody looks.
    Look,
    /// The content is counted anew, and somebody looks, who looked just before: what comes in between is not seen.
    Recount,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Upload),
        3 => Just(Step::RemoveOne),
        2 => Just(Step::RemoveAll),
        1 => Just(Step::Restore),
        2 => (1..1_000u64).prop_map(Step::Sample),
        2 => (0..3_000i64).prop_map(Step::Wait),
        2 => (0..60_000i64).prop_map(Step::Wait),
        4 => Just(Step::Look),
        1 => Just(Step::Recount),
    ];
    proptest::collection::vec(step, 0..60)
}

/// A platform, with exact times.
#[derive(Default)]
struct Platform {
    copies: Vec<i64>,
    removals: Vec<i64>,
    restores: Vec<i64>,
    /// When samples were taken, and of how many views they told.
    samples: Vec<(i64, u64)>,
    /// Copies that are there.
    present: u64,
    uncounted: u64,
    /// How often it was counted.
    counted: i64,
    /// What somebody was told before, who is behind the others.
    older: Option<Tally>,
    /// Whether the last event put a copy there, and when it was.
    put_at: Option<i64>,
    removed_at: Option<i64>,
    removed_last: bool,
    /// How much was put there and removed since it was found to be confirmed.
    since: Option<(u64, u64)>,
}

fn occurrences(times: &[i64]) -> Occurrences {
    let bin = |at: &i64| Span {
        from: Timestamp(at.div_euclid(BIN) * BIN),
        to: Timestamp((at.div_euclid(BIN) + 1) * BIN),
    };
    Occurrences {
        events: times.len() as u64,
        first_at: times.first().copied().map(Timestamp),
        latest: times.last().map(bin),
    }
}

impl Platform {
    fn tally(&self) -> Tally {
        Tally {
            copies: occurrences(&self.copies),
            removals: occurrences(&self.removals),
            restores: occurrences(&self.restores),
            is_labelled: false,
            viewed: self.viewed(),
            uncounted: self.uncounted,
            as_of: Timestamp(self.counted),
        }
    }

    fn viewed(&self) -> Option<Viewed> {
        let times: Vec<i64> = self.samples.iter().map(|(at, _)| *at).collect();
        (!times.is_empty()).then(|| Viewed {
            views: self.samples.iter().map(|(_, views)| views).sum(),
            latest: occurrences(&times).latest,
        })
    }

    /// Holds the views that are kept to those that samples told of until the last removal.
    fn holds(&self, views: Option<(u64, u64)>) -> Result<(), TestCaseError> {
        let removed = self.removals.last().copied().unwrap();
        let until = self.samples.iter().filter(|(at, _)| *at < removed);
        let truth: u64 = until.map(|(_, views)| views).sum();
        let is_certain = self
            .samples
            .last()
            .is_some_and(|(at, _)| at.div_euclid(BIN) < removed.div_euclid(BIN));
        match views {
            None => prop_assert!(self.samples.is_empty(), "a sample is not heard of"),
            Some((low, high)) => {
                prop_assert!(low <= truth && truth <= high, "{low} <= {truth} <= {high}");
                prop_assert!(!is_certain || low == high, "{low} is {high} for certain");
            }
        }
        Ok(())
    }

    fn put(&mut self, now: i64) {
        self.present += 1;
        (self.put_at, self.removed_last) = (Some(now), false);
        self.since = self.since.map(|(put, taken)| (put + 1, taken));
    }

    fn take(&mut self, count: u64, now: i64) {
        self.present -= count;
        self.removals.push(now);
        (self.removed_at, self.removed_last) = (Some(now), true);
        self.since = self.since.map(|(put, taken)| (put, taken + 1));
    }
}

fn play(steps: &[Step]) -> Result<(), TestCaseError> {
    let (mut platform, mut now) = (Platform::default(), 1_000_000i64);
    let mut known: Option<Acknowledgement> = None;
    let mut restorable = 0u64;
    for step in steps {
        // Two events never have one time.
        now += 1;
        match *step {
            Step::Wait(length) => now += length,
            Step::Upload => {
                platform.copies.push(now);
                platform.put(now);
            }
            Step::RemoveOne if platform.present > 0 => {
                restorable += 1;
                platform.take(1, now);
            }
            Step::RemoveAll if platform.present > 0 => {
                restorable += platform.present;
                platform.take(platform.present, now);
            }
            Step::Restore if restorable > 0 => {
                restorable -= 1;
                platform.restores.push(now);
            }
            Step::RemoveOne | Step::RemoveAll | Step::Restore => {}
            Step::Sample(views) => platform.samples.push((now, views)),
            Step::Recount => {
                look(&mut known, &mut platform)?;
                platform.uncounted = platform.present;
                platform.copies.clear();
                platform.removals.clear();
                platform.restores.clear();
                platform.samples.clear();
                (platform.put_at, platform.removed_at) = (None, None);
                look(&mut known, &mut platform)?;
            }
            Step::Look => look(&mut known, &mut platform)?,
        }
    }
    Ok(())
}

fn look(known: &mut Option<Acknowledgement>, platform: &mut Platform) -> Result<(), TestCaseError> {
    platform.counted += 1;
    let tally = platform.tally();
    if known.is_none() {
        *known = Acknowledgement::begin(Awaits::Removal, &tally);
        prop_assert_eq!(known.is_some(), !platform.copies.is_empty());
    }
    let Some(acknowledgement) = known else {
        return Ok(());
    };
    let before = *acknowledgement;
    let heard = acknowledgement.hear(Awaits::Removal, &tally);
    let after = *acknowledgement;
    let is_confirmed = after.confirmed_at.is_some();
    prop_assert!(
        !is_confirmed
            || platform.removed_last
            || platform.present == 0
            || platform.since.is_some_and(|(put, taken)| taken >= put),
        "a copy is there that came after the last removal: {:?} {:?}",
        after,
        tally
    );
    let is_later = platform
        .removed_at
        .zip(platform.put_at)
        .is_some_and(|(removed, put)| removed.div_euclid(BIN) > put.div_euclid(BIN));
    prop_assert!(
        is_confirmed || !is_later,
        "it was removed later for certain: {:?} {:?}",
        after,
        tally
    );
    prop_assert_eq!(heard == Heard::Confirmed, is_confirmed && before.confirmed_at.is_none());
    prop_assert_eq!(
        matches!(heard, Heard::Returned { .. }),
        !is_confirmed && before.confirmed_at.is_some()
    );
    prop_assert!(after.returned >= before.returned);
    if heard == Heard::Confirmed || (is_confirmed && after.returned > before.returned) {
        platform.holds(after.views)?;
    } else if is_confirmed {
        prop_assert_eq!(after.views, before.views, "what comes later is not of before");
    }
    if is_confirmed {
        platform.since = Some((0, 0));
    }
    // Whoever looks twice hears nothing, and neither does whoever is behind.
    for again in [Some(tally), platform.older.replace(tally)].into_iter().flatten() {
        prop_assert_eq!(acknowledgement.hear(Awaits::Removal, &again), Heard::Nothing);
        prop_assert_eq!(*acknowledgement, after);
    }
    Ok(())
}

fn runner() -> TestRunner {
    TestRunner::new(Config {
        cases: std::env::var("TOCSIN_SEQUENCES").map_or(2_000, |text| text.parse().unwrap()),
        failure_persistence: None,
        ..Config::default()
    })
}

#[test]
fn what_is_confirmed_is_removed() {
    let mut runner = runner();
    runner
        .run(&steps(), |told| play(&told))
        .unwrap_or_else(|error| panic!("{error}\n{runner}"));
}

/// How many are not confirmed, and how long passes.
fn looks() -> impl Strategy<Value = Vec<(u64, i64, bool)>> {
    let length = prop_oneof![0..60_000i64, 0..ESCALATE_AFTER.0 * 2, -600_000..0i64];
    proptest::collection::vec((0..3u64, length, any::<bool>()), 0..40)
}

#[test]
fn each_time_is_told_of_once() {
    let mut runner = runner();
    runner
        .run(&looks(), |told| {
            let begin = Timestamp(1_000_000_000);
            let (mut now, mut awaiting) = (begin, Awaiting::new(Awaits::Removal, begin));
            let (mut since, mut last) = (Some(begin), 0u8);
            for (unconfirmed, length, is_news) in told {
                now = now + Milliseconds(length);
                if is_news {
                    awaiting.heard(unconfirmed, now);
                    match (unconfirmed, since) {
                        (0, _) => (since, last) = (None, 0),
                        (_, None) => (since, last) = (Some(now), 0),
                        _ => {}
                    }
                }
                let times = [REMIND_AFTER[0], REMIND_AFTER[1], ESCALATE_AFTER];
                let passed = since.map_or(0, |since| {
                    times.iter().filter(|after| since + **after <= now).count() as u8
                });
                let expected = match passed > last {
                    true if unconfirmed == 0 => {
                        (since, last) = (None, 0);
                        None
                    }
                    true => {
                        last = passed;
                        Some(if passed == 3 {
                            Reminder::Escalated
                        } else {
                            Reminder::Reminded(passed)
                        })
                    }
                    false => None,
                };
                prop_assert_eq!(awaiting.look(unconfirmed, now), expected);
                prop_assert_eq!(awaiting.since, since);
                prop_assert_eq!(awaiting.is_escalated(), since.is_some() && last == 3);
                prop_assert_eq!(awaiting.look(unconfirmed, now), None, "once");
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}\n{runner}"));
}

#[test]
fn a_ruling_waits_for_what_it_asks_of_platforms() {
    use RecommendedAction::{Keep, Label, Reduce, Remove, StopStream};
    let of = |verdict, action: Option<RecommendedAction>, asked_before| {
        let ruling = Ruling {
            grounds: Grounds {
                action,
                ..Grounds::default()
            },
            ..Ruling::of(verdict, "")
        };
        Awaits::of(&ruling, asked_before)
    };
    for (verdict, action, asked_before, expected) in [
        (Verdict::Violating, Some(Remove), false, Some(Awaits::Removal)),
        (Verdict::Newsworthy, Some(Remove), true, Some(Awaits::Removal)),
        (Verdict::Violating, Some(StopStream), false, Some(Awaits::Removal)),
        (Verdict::Violating, None, false, None),
        (Verdict::Violating, None, true, None),
        (Verdict::Benign, Some(Keep), true, Some(Awaits::Restore)),
        (Verdict::Newsworthy, Some(Keep), true, Some(Awaits::Restore)),
        (Verdict::Benign, None, true, Some(Awaits::Restore)),
        (Verdict::Benign, Some(Keep), false, None),
        (Verdict::Violating, Some(Label), true, None),
        (Verdict::Violating, Some(Reduce), false, None),
    ] {
        assert_eq!(
            of(verdict, action, asked_before),
            expected,
            "{verdict:?} {action:?} {asked_before}"
        );
    }
}

#[test]
fn an_overturned_decision_is_confirmed_by_what_was_restored() {
    let tally = |removals: &[i64], restores: &[i64]| Tally {
        copies: occurrences(&[1]),
        removals: occurrences(removals),
        restores: occurrences(restores),
        is_labelled: false,
        viewed: Some(Viewed { views: 9, latest: None }),
        uncounted: 9,
        as_of: Timestamp((removals.len() + restores.len()) as i64),
    };
    assert_eq!(Acknowledgement::begin(Awaits::Restore, &tally(&[], &[])), None);
    let mut acknowledgement = Acknowledgement::begin(Awaits::Restore, &tally(&[10, 20], &[])).unwrap();
    for (removals, restores, expected) in [
        (&[10, 20][..], &[][..], Heard::Counted),
        (&[10, 20], &[6_000], Heard::Confirmed),
        (&[10, 20, 7_000], &[6_000], Heard::Returned { copies: 1 }),
        (&[10, 20, 7_000], &[6_000, 7_001], Heard::Confirmed),
        (&[10, 20, 7_000], &[6_000, 7_001], Heard::Nothing),
    ] {
        assert_eq!(
            acknowledgement.hear(Awaits::Restore, &tally(removals, restores)),
            expected
        );
        assert_eq!(acknowledgement.views, None, "nothing is to be removed");
    }
}

#[test]
fn counts_of_a_confirmation_stand_while_removals_go_on() {
    let mut acknowledgement = Acknowledgement::default();
    for (as_of, (copies, removals, confirmed)) in (1..).zip([
        (&[1, 2][..], &[][..], None),
        (&[1, 2], &[10_000, 10_001], Some((2, 2))),
        (&[1, 2], &[10_000, 10_001, 20_000], Some((2, 2))),
        // A copy came again, and was removed; then the content is counted anew.
        (&[1, 2, 30_000], &[10_000, 10_001, 20_000], Some((2, 2))),
        (&[1, 2, 30_000], &[10_000, 10_001, 20_000, 40_000], Some((3, 4))),
        (&[], &[50_000], Some((3, 4))),
    ]) {
        let tally = Tally {
            copies: occurrences(copies),
            removals: occurrences(removals),
            as_of: Timestamp(as_of),
            ..Tally::default()
        };
        acknowledgement.hear(Awaits::Removal, &tally);
        assert_eq!(acknowledgement.confirmed, confirmed, "{tally:?}");
    }
}

#[test]
fn what_the_platform_labelled_counts_up_to_the_confirmation_and_is_not_known_of_what_was_counted_anew() {
    let tally = |copies: &[i64], removals: &[i64], is_labelled, as_of| Tally {
        copies: occurrences(copies),
        removals: occurrences(removals),
        is_labelled,
        as_of: Timestamp(as_of),
        ..Tally::default()
    };
    let heard = |all: &[Tally]| {
        let mut acknowledgement = Acknowledgement::default();
        let labelled = |tally: &Tally| {
            acknowledgement.hear(Awaits::Removal, tally);
            acknowledgement.labelled
        };
        all.iter().map(labelled).collect::<Vec<_>>()
    };
    let (posted, removed) = (tally(&[1], &[], true, 1), tally(&[1], &[10_000], true, 2));
    assert_eq!(heard(&[posted, removed]), [Some(true), Some(true)]);
    let (posted, removed) = (tally(&[1], &[], false, 1), tally(&[1], &[10_000], false, 2));
    // A copy that came since is none of those that were removed.
    let again = tally(&[1, 20_000], &[10_000], true, 3);
    let gone = tally(&[1, 20_000], &[10_000, 30_000], true, 4);
    assert_eq!(
        heard(&[posted, removed, again, gone]),
        [None, Some(false), Some(true), Some(true)]
    );
    // Counted anew it is what it was when it was removed, or labelled now; or not known.
    let (posted, removed) = (tally(&[1, 2], &[], true, 1), tally(&[1, 2], &[10_000, 10_001], true, 2));
    let anew = tally(&[50_000], &[60_000], false, 3);
    assert_eq!(heard(&[posted, removed, anew]), [Some(true), Some(true), Some(true)]);
    let (unlabelled, further) = (
        tally(&[1, 2], &[], false, 1),
        tally(&[50_000], &[60_000, 70_000], true, 4),
    );
    assert_eq!(heard(&[unlabelled, anew]), [None, None]);
    assert_eq!(
        heard(&[unlabelled, anew, further]),
        [None, None, None],
        "what comes later is not of before"
    );
    let begun_anew = tally(&[50_000], &[], false, 3);
    let gone_anew = tally(&[50_000], &[60_000], false, 4);
    assert_eq!(
        heard(&[posted, begun_anew, gone_anew]),
        [Some(true), Some(true), Some(true)],
        "what was heard is not lost"
    );
    let labelled_anew = tally(&[50_000], &[60_000], true, 3);
    assert_eq!(heard(&[posted, labelled_anew]), [Some(true), Some(true)]);
}

#[test]
fn views_that_were_told_before_a_removal_that_is_told_late_may_be_of_after_it() {
    let tally = |removals: &[i64], as_of| Tally {
        copies: occurrences(&[1]),
        removals: occurrences(removals),
        viewed: Some(Viewed {
            views: 1_000,
            latest: occurrences(&[40_000]).latest,
        }),
        as_of: Timestamp(as_of),
        ..Tally::default()
    };
    for (removed, views) in [(10_000, (0, 1_000)), (40_001, (0, 1_000)), (60_000, (1_000, 1_000))] {
        let mut acknowledgement = Acknowledgement::default();
        acknowledgement.hear(Awaits::Removal, &tally(&[], 45_000));
        acknowledgement.hear(Awaits::Removal, &tally(&[removed], 61_000));
        assert_eq!(acknowledgement.views, Some(views), "removed at {removed}");
    }
}

#[test]
fn a_member_came_closely_if_nothing_stands_between() {
    let (founder, other) = (ContentId(1), ContentId(2));
    let family = FamilyId(founder);
    let joined = |evidence| Joined {
        evidence,
        party: None,
        at: Timestamp(0),
    };
    for (content, evidence, all, expected) in [
        (founder, None, false, true),
        (other, None, true, false),
        (other, Some(Evidence::EqualHash), true, true),
        (other, Some(Evidence::EqualHash), false, false),
        (other, Some(Evidence::PdqDistance(31)), true, true),
        (other, Some(Evidence::PdqDistance(32)), true, false),
        (other, Some(Evidence::FrameShare(100)), true, false),
        (other, Some(Evidence::PartyLink), true, false),
        (other, Some(Evidence::Moderator), true, false),
        (other, Some(Evidence::FounderLinked), true, false),
    ] {
        let joined = evidence.map(joined);
        assert_eq!(
            came_closely((content, family), joined.as_ref(), all),
            expected,
            "{content} {joined:?} {all}"
        );
    }
}
