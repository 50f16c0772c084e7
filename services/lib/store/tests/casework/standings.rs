//! Goal: whoever follows the cases hears of every change, and clocks tell when what happened first.
use crate::fixture::{COORDINATORS, Commands as _, LEASE, alert, on_both};
use crate::{ANNA, BEN};
use tocsin_casework::{Command, HOLD_MIN, Ruling, Team};
use tocsin_model::{AlertLevel, DecisionId, Milliseconds, Scope, Verdict};
use tocsin_store::{Followed, STANDINGS_MAX};

const UNDO: Milliseconds = Milliseconds::from_seconds(5);

fn decide(id: u128) -> Command {
    Command::Decide {
        id: DecisionId(id),
        ruling: Ruling::of(Verdict::Violating, "the attack"),
        undo_for: UNDO,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_the_cases_hears_of_every_change() {
    on_both(async |f| {
        let mut followed = tocsin_store::Followed::default();
        let mut known = std::collections::BTreeMap::new();
        let mut follow = async |known: &mut std::collections::BTreeMap<_, _>| {
            loop {
                let (standings, _) = f.store.follow_standings(&mut followed).await.unwrap();
                if standings.is_empty() {
                    return followed.is_caught_up();
                }
                known.extend(standings.into_iter().map(|standing| (standing.id, standing)));
            }
        };
        assert!(follow(&mut known).await);
        f.coordinators_cases(u128::from(tocsin_store::STANDINGS_MAX) + 3).await;
        follow(&mut known).await;
        assert_eq!(known.len(), tocsin_store::STANDINGS_MAX as usize + 3);
        for step in 0..4 {
            let case = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap().0;
            let (after, _) = match step {
                0 => f.store.case(COORDINATORS, case.id).await.unwrap(),
                1 => f
                    .store
                    .release(COORDINATORS, case.id, (ANNA, case.fencing))
                    .await
                    .unwrap(),
                2 => f
                    .store
                    .command_as(case.id, (ANNA, case.fencing), decide(u128::from(step as u32)))
                    .await
                    .unwrap(),
                _ => {
                    let hold = Command::Hold {
                        length: HOLD_MIN,
                        reason: "later".to_owned(),
                    };
                    f.store.command_as(case.id, (ANNA, case.fencing), hold).await.unwrap()
                }
            };
            follow(&mut known).await;
            assert_eq!(known[&case.id], after.standing(), "{step}");
        }
        f.clock.advance(Milliseconds::from_hours(1));
        let over = alert(5, Scope::Coordinators, AlertLevel::Subsided, 1);
        f.store.apply_alert(&over).await.unwrap();
        follow(&mut known).await;
        let closed = known.values().filter(|standing| standing.waits_from.is_none()).count();
        assert_eq!(closed, 2, "the decided one and the one that subsided");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_with_an_old_time_is_told_among_all_that_is_open() {
    on_both(async |f| {
        let count = u128::from(STANDINGS_MAX) + 3;
        f.coordinators_cases(count).await;
        let mut followed = Followed::default();
        loop {
            let (standings, _) = f.store.follow_standings(&mut followed).await.unwrap();
            if standings.is_empty() {
                break;
            }
        }
        // Written by a clock that was set back: one decided, one opened.
        f.clock.advance(Milliseconds::from_hours(-1));
        let case = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap().0;
        f.store
            .command_as(case.id, (ANNA, case.fencing), decide(1))
            .await
            .unwrap();
        let raised = alert(count + 1, Scope::Coordinators, AlertLevel::Raised, 1);
        f.store.apply_alert(&raised).await.unwrap();
        let (told, _) = f.store.follow_standings(&mut followed).await.unwrap();
        assert!(told.iter().all(|standing| standing.id != case.id), "too old to follow");

        let mut open: Vec<tocsin_casework::Standing> = Vec::new();
        loop {
            let page = f.store.open_standings(open.last().map(|last| last.id)).await.unwrap();
            let is_full = page.len() == STANDINGS_MAX as usize;
            open.extend(page);
            if !is_full {
                break;
            }
        }
        assert_eq!(open.len() as u128, count);
        assert!(open.is_sorted_by_key(|standing| standing.id));
        assert!(open.iter().any(|standing| standing.family == raised.family));
        assert!(open.iter().all(|standing| standing.id != case.id));

        let asked = [case.id, open[0].id, tocsin_casework::CaseId(0)];
        let (told, _) = f.store.standings_of(&asked).await.unwrap();
        assert_eq!(told.len(), 2);
        assert!(told.contains(&open[0]));
        let decided = told.iter().find(|standing| standing.id == case.id).unwrap();
        assert_eq!(decided.waits_from, None);
        assert_eq!(f.store.standings_of(&[]).await.unwrap().0, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_tell_when_what_happened_first_and_of_one_team_alone() {
    on_both(async |f| {
        f.coordinators_cases(1).await;
        let case = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap().0;
        f.clock.advance(Milliseconds::from_minutes(2));
        f.store.command_as(case.id, (ANNA, 1), decide(7)).await.unwrap();
        f.clock.advance(UNDO);
        f.store.claim(COORDINATORS, case.id, BEN, LEASE).await.unwrap();
        f.clock.advance(Milliseconds::from_minutes(2));
        let (again, now) = f.store.command_as(case.id, (BEN, 2), decide(8)).await.unwrap();
        let day = Milliseconds::from_hours(24);
        let (clocks, as_of) = f.store.clocks(COORDINATORS, day).await.unwrap();
        let clocks: Vec<_> = clocks.into_iter().map(|(of_case, _)| of_case).collect();
        assert_eq!((clocks.as_slice(), as_of), (&[again.clocks()][..], now));
        assert_eq!(clocks[0].first_seen, again.alert.as_ref().map(|alert| alert.first_seen));
        let claimed_at = clocks[0].claimed_at.unwrap();
        assert_eq!(clocks[0].decided_at, Some(claimed_at + Milliseconds::from_minutes(2)));
        let (alpha, ..) = f.party("alpha").await;
        assert_eq!(f.store.clocks(Team::Party(alpha.id), day).await.unwrap().0, []);
        f.clock.advance(day);
        assert_eq!(f.store.clocks(COORDINATORS, day).await.unwrap().0, []);
    })
    .await;
}
