//! Goal: what is told of a day is what truly happened on it, in every table, of the own platforms' clocks.

use tocsin_casework::{AppealOutcome, ClockKind, NoticeKind};
use tocsin_model::{Milliseconds, PlatformId, Verdict};
use tocsin_store::InResearch;

use crate::desk::Desk;
use crate::fixture::on_both;
use crate::{day, go_to, go_to_publication, publication, shown, told};

const MINUTES: fn(i64) -> Milliseconds = Milliseconds::from_minutes;
const HOURS: fn(i64) -> Milliseconds = Milliseconds::from_hours;

#[tokio::test(flavor = "multi_thread")]
async fn each_table_counts_what_happened_on_the_day() {
    on_both(async |f| {
        let alpha = Desk::new(f, "alpha").await;
        let elsewhere = PlatformId(alpha.platform.0 + 1);
        Desk::new(f, "beta").await;
        alpha.take_part(InResearch::Named).await;
        // The day before: nothing of it is told.
        alpha.ring(1..=3).await;
        for family in 1..=3 {
            alpha
                .observe(family, (alpha.platform, ClockKind::Shared), MINUTES(0))
                .await;
            alpha
                .observe(family, (alpha.platform, ClockKind::FirstSeen), MINUTES(1))
                .await;
        }
        alpha.notice(2, NoticeKind::Referral).await;

        go_to(f, day(1), HOURS(10)).await;
        alpha.ring(101..=137).await;
        // 12 seen three minutes before on the own platform, and an hour earlier elsewhere, which counts for nothing; 13 two hours before; 12 never there.
        for family in 101..=112 {
            alpha
                .observe(family, (alpha.platform, ClockKind::FirstSeen), MINUTES(3))
                .await;
            alpha.observe(family, (elsewhere, ClockKind::FirstSeen), HOURS(1)).await;
        }
        for family in 113..=125 {
            alpha
                .observe(family, (alpha.platform, ClockKind::FirstSeen), HOURS(2))
                .await;
        }
        // A family that was decided the day before is decided today for the first time, and one whose decision was taken back is not.
        f.clock.advance(MINUTES(30));
        let mut decisions = Vec::new();
        for family in (101..=112).chain(113..=115) {
            decisions.push((family, alpha.decide(family, Verdict::Violating).await));
        }
        for family in 116..=125 {
            alpha.decide(family, Verdict::Benign).await;
        }
        alpha.decide(126, Verdict::Newsworthy).await;
        alpha.decide_and_withdraw(127).await;
        f.clock.advance(MINUTES(10));
        for (family, decision) in &decisions {
            // Two members of each: 30 copies in all, or 3.
            let copies = if *family <= 111 { 15 } else { 1 };
            alpha.remove(*decision, *family, copies).await;
            alpha.remove(*decision, *family + 1_000, copies).await;
        }
        for family in 1..=3 {
            alpha
                .observe(family, (alpha.platform, ClockKind::Leaked), MINUTES(0))
                .await;
        }
        for family in 101..=110 {
            alpha
                .observe(family, (alpha.platform, ClockKind::Shared), HOURS(2))
                .await;
            alpha
                .observe(family, (alpha.platform, ClockKind::Leaked), HOURS(1))
                .await;
            alpha.notice(family, NoticeKind::RemovalOrder).await;
            // A second notice about it counts no more, nor does one of a family that had one before.
            alpha.notice(family, NoticeKind::Referral).await;
        }
        alpha.notice(2, NoticeKind::RemovalOrder).await;
        for family in 111..=130 {
            alpha.notice(family, NoticeKind::ThreatToLife).await;
        }
        for family in 201..=211 {
            alpha
                .appeal(family, &format!("a-{family}"), AppealOutcome::Upheld)
                .await;
        }
        // Two answers about one family: it counts once.
        for family in 201..=210 {
            alpha
                .appeal(family, &format!("b-{family}"), AppealOutcome::Overturned)
                .await;
        }

        go_to_publication(f, day(1)).await;
        assert_eq!(f.store.publish_research_day().await.unwrap(), Some(day(1)));
        let publication = publication(f, day(1)).await;
        let shown = |table, cell| shown(&publication, "alpha", table, cell);
        for (table, cell, wanted) in [
            ("rang", "picture up_to_5_min", "10"),
            ("rang", "picture up_to_1_h", "<10"),
            ("rang", "picture up_to_24_h", "15"),
            ("rang", "picture unknown", "10"),
            ("rang", "video up_to_5_min", "<10"),
            // 12 after 33 minutes, 3 after two and a half hours.
            ("decided", "violating up_to_1_h", "10"),
            ("decided", "violating up_to_24_h", "<10"),
            ("decided", "false_alarm", "10"),
            ("decided", "benign", "<10"),
            ("decided", "newsworthy", "<10"),
            // 11 with 30 copies each after 43 minutes; one with 2, and three after hours.
            ("removed", "up_to_1_h 10_to_99", "10"),
            ("removed", "up_to_1_h 0_to_9", "<10"),
            ("removed", "up_to_24_h 0_to_9", "<10"),
            ("leaked", "up_to_1_h", "10"),
            ("leaked", "up_to_24_h", "<10"),
            ("noticed", "removal_order", "10"),
            ("noticed", "referral", "<10"),
            ("appealed", "overturned", "10"),
            ("appealed", "upheld", "<10"),
        ] {
            assert_eq!(shown(table, cell), wanted, "{table} {cell}");
        }
        let total = told(&publication, "alpha", "rang", "total");
        assert_eq!(
            (total.estimate, total.low),
            (None, 10 + 13 + 10),
            "made of what is told"
        );
        assert!(!format!("{publication:?}").contains("beta"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_has_its_first_moment_and_not_its_last_and_no_page_loses_a_row() {
    on_both(async |f| {
        let alpha = Desk::new(f, "alpha").await;
        alpha.take_part(InResearch::Named).await;
        go_to(f, day(1), Milliseconds(0)).await;
        alpha.ring(1_001..=1_012).await;
        go_to(f, day(1), Milliseconds(HOURS(24).0 - 1)).await;
        alpha.ring(2_001..=2_502).await;
        go_to(f, day(2), Milliseconds(0)).await;
        alpha.ring(3_001..=3_020).await;
        go_to_publication(f, day(2)).await;
        for (day, wanted) in [(day(1), "510"), (day(2), "20")] {
            assert_eq!(f.store.publish_research_day().await.unwrap(), Some(day));
            let publication = publication(f, day).await;
            assert_eq!(shown(&publication, "alpha", "rang", "picture unknown"), wanted, "{day}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_that_went_into_another_counts_with_that_one() {
    on_both(async |f| {
        let alpha = Desk::new(f, "alpha").await;
        alpha.take_part(InResearch::Named).await;
        go_to(f, day(1), HOURS(1)).await;
        alpha.ring(1..=16).await;
        for family in 1..=10 {
            alpha.notice_answered(family, NoticeKind::Referral).await;
        }
        f.clock.advance(HOURS(1));
        for family in 2..=5 {
            alpha.merge(family, 1).await;
        }
        go_to_publication(f, day(1)).await;
        f.store.publish_research_day().await.unwrap();
        let publication = publication(f, day(1)).await;
        assert_eq!(
            shown(&publication, "alpha", "rang", "picture unknown"),
            "10",
            "12 and not 16"
        );
        assert_eq!(
            shown(&publication, "alpha", "noticed", "referral"),
            "10",
            "a notice stays with the family that it was filed about"
        );
    })
    .await;
}
