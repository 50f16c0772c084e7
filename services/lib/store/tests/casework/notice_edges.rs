//! Goal: what a notice names is found by it, and its hour is its own whichever way the clock runs.
use crate::fixture::{COORDINATORS, alert, on_both};
use crate::notices::{SOON, TEAM, about, answer, command, file, of, order};
use tocsin_casework::{CaseId, CaseState, Filing, Filter, NoticeEvent, NoticeOutcome, ORDER_DUE_IN};
use tocsin_model::{AlertLevel, Milliseconds, PlatformId, Scope};
use tocsin_store::{Followed, QueueQuery};

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_that_notices_name_are_platforms_of_the_case() {
    on_both(async |f| {
        let platform = |number, reference| Filing {
            platform: Some(PlatformId(number)),
            ..order(reference)
        };
        let filed = file(&f.store, TEAM, &about(7), &platform(41, "A-1")).await.unwrap();
        file(&f.store, TEAM, &about(7), &platform(42, "A-2")).await.unwrap();
        file(&f.store, TEAM, &about(8), &order("A-3")).await.unwrap();
        let found = async |number| -> Vec<CaseId> {
            let filter = Filter {
                platform: Some(PlatformId(number)),
                ..Filter::default()
            };
            let query = QueueQuery {
                team: COORDINATORS,
                state: CaseState::Open,
                filter: filter.clone(),
                urgent_within: SOON,
                limit: 10,
                after: None,
            };
            let page = f.store.queue(&query).await.unwrap().cases;
            let mut followed = Followed::default();
            let (standings, _) = f.store.follow_standings(&mut followed).await.unwrap();
            let admitted = standings.iter().filter(|standing| filter.admits(&standing.traits));
            let ids: Vec<CaseId> = page.iter().map(|case| case.id).collect();
            assert_eq!(admitted.map(|standing| standing.id).collect::<Vec<_>>(), ids);
            ids
        };
        for number in [41, 42] {
            assert_eq!(found(number).await, [filed.case.id]);
        }
        assert_eq!(found(43).await, []);
        // Answered, and rung for since: the notice still named it.
        command(&f.store, TEAM, filed.notice.id, &answer(NoticeOutcome::Removed))
            .await
            .unwrap();
        let raised = alert(7, Scope::Coordinators, AlertLevel::Raised, 1);
        f.store.apply_alert(&raised).await.unwrap();
        assert_eq!(found(41).await, [filed.case.id]);
        assert_eq!(found(raised.platforms[0].platform.0).await, [filed.case.id]);
        let (case, _) = f.store.case(COORDINATORS, filed.case.id).await.unwrap();
        assert_eq!(case.noticed_platforms, [PlatformId(41), PlatformId(42)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hour_of_an_order_is_its_own_whichever_way_the_clock_runs() {
    on_both(async |f| {
        let filed = file(&f.store, TEAM, &about(7), &of(7, order("A-1"))).await.unwrap();
        let due = filed.notice.due_at.unwrap();
        let set_back = Milliseconds::from_minutes(45);
        f.clock.advance(Milliseconds(-set_back.0));
        assert!(f.store.escalate_overdue().await.unwrap().is_empty());
        let again = file(&f.store, TEAM, &about(7), &of(7, order("A-1"))).await.unwrap();
        assert_eq!((again.event, again.notice.due_at), (NoticeEvent::SaidBefore, Some(due)));
        // Once it is over it is escalated once, though the clock is set back again behind it.
        f.clock.advance(set_back + ORDER_DUE_IN);
        let escalated = f.store.escalate_overdue().await.unwrap();
        assert_eq!(escalated.len(), 1);
        assert_eq!(escalated[0].notice.overdue_at, Some(due));
        f.clock.advance(Milliseconds(-set_back.0));
        assert!(f.store.escalate_overdue().await.unwrap().is_empty());
        f.clock.advance(set_back + set_back);
        assert!(
            f.store.escalate_overdue().await.unwrap().is_empty(),
            "once for a deadline"
        );
        let (case, _) = f.store.case(COORDINATORS, filed.case.id).await.unwrap();
        assert_eq!(case.notices.due_at, Some(due), "it waits for its answer still");
    })
    .await;
}
