//! Goal: cases go where their families go, once, whoever says it and in whatever order; what people did with them is not lost, and old ids answer.

use tocsin_casework::{
    By, Case, CaseId, CaseState, ClockKind, Command, Draft, MergedLease, NoticeCommand, NoticeKind, NoticeOutcome,
    PlatformClocks, Refusal, Resting,
};
use tocsin_model::{AlertLevel, ContentId, FamilyId, KeyId, Milliseconds, PlatformId, Scope, Timestamp, Verdict};
use tocsin_store::{About, Carried, FamilySaid, Store};

use crate::fixture::{COORDINATORS, Commands as _, Fixture, LEASE, START, alert, filings, on_both};
use crate::{ANNA, BEN, queue, refusal};

fn said(family: u128, joined: u128, at: i64) -> FamilySaid {
    let family_of = |number| FamilyId(ContentId(number));
    FamilySaid {
        team: COORDINATORS,
        family: family_of(family),
        joined: family_of(joined),
        // Long after they rang.
        at: Timestamp(START.0 + 3_600_000 + at),
    }
}

pub(crate) async fn carry(store: &Store, (family, joined, at): (u128, u128, i64)) -> Carried {
    store.carry(&said(family, joined, at)).await.unwrap().0
}

pub(crate) async fn cases(f: &Fixture, count: u128) -> Vec<CaseId> {
    f.coordinators_cases(count).await;
    let mut cases = queue(&f.store, COORDINATORS, CaseState::Open).await;
    cases.sort_by_key(|case| case.family);
    cases.iter().map(|case| case.id).collect()
}

async fn read(f: &Fixture, id: CaseId) -> Case {
    f.store.case(COORDINATORS, id).await.unwrap().0
}

pub(crate) async fn decided(f: &Fixture, id: CaseId, verdict: Verdict) {
    let (held, _) = f.store.claim(COORDINATORS, id, ANNA, LEASE).await.unwrap();
    let by = (ANNA, held.fencing);
    f.store.decide(COORDINATORS, id, by, (verdict, "why")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_goes_into_another_and_comes_back_and_its_id_answers_all_the_time() {
    on_both(async |f| {
        let ids = cases(f, 2).await;
        assert_eq!(
            carry(&f.store, (9, 1, 5)).await,
            Carried::Unchanged,
            "nobody has a case of 9"
        );
        assert!(matches!(carry(&f.store, (2, 1, 5)).await, Carried::Merged { .. }));
        for again in [(2, 1, 5), (2, 1, 4), (2, 2, 4)] {
            assert_eq!(carry(&f.store, again).await, Carried::Unchanged, "{again:?}");
        }
        let merged = read(f, ids[1]).await;
        assert_eq!(
            (merged.state(merged.opened_at), merged.merged_into()),
            (CaseState::Merged, Some(ids[0]))
        );
        let open = queue(&f.store, COORDINATORS, CaseState::Open).await;
        assert_eq!(open.iter().map(|case| case.id).collect::<Vec<_>>(), [ids[0]]);
        assert_eq!(open[0].priority, 2.0);
        assert_eq!(queue(&f.store, COORDINATORS, CaseState::Merged).await.len(), 1);
        assert_eq!(queue(&f.store, COORDINATORS, CaseState::Closed).await.len(), 0);
        let listed = f.store.merged_cases(COORDINATORS, ids[0], 10).await.unwrap();
        assert_eq!(listed.iter().map(|case| case.id).collect::<Vec<_>>(), [ids[1]]);
        let refused = f.store.claim(COORDINATORS, ids[1], ANNA, LEASE).await;
        assert_eq!(refusal(refused), Refusal::Merged(ids[0]));
        // Alerts of the family that joined open no second case.
        let effects = f
            .store
            .apply_alert(&alert(2, Scope::Coordinators, AlertLevel::Escalated, 1))
            .await;
        assert_eq!(effects.unwrap().opened, 0);

        assert!(matches!(carry(&f.store, (2, 2, 5)).await, Carried::Split(_)));
        assert_eq!(
            carry(&f.store, (2, 1, 5)).await,
            Carried::Unchanged,
            "what is over is over"
        );
        assert_eq!(queue(&f.store, COORDINATORS, CaseState::Open).await.len(), 2);
        let kinds = |steps: Vec<tocsin_store::HistoryEntry>| -> Vec<(String, Option<KeyId>)> {
            steps.into_iter().map(|step| (step.kind, step.who)).collect()
        };
        let told = |kind: &str| (kind.to_owned(), None);
        let of = async |id| kinds(f.store.case_history(COORDINATORS, id).await.unwrap());
        assert_eq!(of(ids[0]).await, [told("split_off"), told("merged_from")]);
        assert_eq!(of(ids[1]).await, [told("split_from"), told("merged_into")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_that_joins_a_newcomer_keeps_its_case_and_decision_under_another_id() {
    on_both(async |f| {
        let ids = cases(f, 3).await;
        decided(f, ids[1], Verdict::Violating).await;
        let raised = |family| alert(family, Scope::Coordinators, AlertLevel::Raised, 1);
        let subsided = alert(3, Scope::Coordinators, AlertLevel::Subsided, 1);
        f.store.apply_alert(&subsided).await.unwrap();
        let taken = f.store.outbox_take(9, Milliseconds(1)).await.unwrap();
        let sequences: Vec<i64> = taken.iter().map(|entry| entry.sequence).collect();
        f.store.outbox_acknowledge(&sequences).await.unwrap();
        let heir = async |family, joined| match carry(&f.store, (family, joined, 5)).await {
            Carried::Merged { cases, .. } => cases[1].clone(),
            other => panic!("{other:?}"),
        };
        let open = heir(1, 101).await;
        assert_eq!(
            (open.resting, open.family.0.0, open.priority),
            (Resting::Open, 101, 1.0)
        );
        let decided = heir(2, 102).await;
        assert_eq!((decided.resting, decided.family.0.0), (Resting::Decided, 102));
        let closed = carry(&f.store, (3, 103, 5)).await;
        assert_eq!(closed, Carried::Alone, "nobody misses a closed case");
        assert_eq!(read(f, ids[0]).await.merged_into(), Some(open.id));
        // The key groups hear of the decision under the family's new name.
        let told = f.store.outbox_take(9, Milliseconds(1)).await.unwrap();
        let told: Vec<u128> = told.iter().map(|entry| entry.told.decision.family.0.0).collect();
        assert_eq!(told, [102]);
        // What rang goes on there: neither a second case nor back into the queue.
        for family in [101, 102] {
            let effects = f.store.apply_alert(&raised(family)).await.unwrap();
            assert_eq!((effects.opened, effects.reopened, effects.updated), (0, 0, 1));
        }
        // Whichever comes first: the newcomer rang before the case was carried.
        let effects = f.store.apply_alert(&raised(104)).await.unwrap();
        assert_eq!(effects.opened, 1);
        let late = FamilySaid {
            at: raised(104).at,
            ..said(102, 104, 0)
        };
        let (carried, _) = f.store.carry(&late).await.unwrap();
        let Carried::Merged { cases, .. } = carried else {
            panic!("{carried:?}");
        };
        assert_eq!((cases[1].resting, cases[1].family.0.0), (Resting::Decided, 104));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_one_of_two_holds_what_remains_and_another_is_told() {
    on_both(async |f| {
        let ids = cases(f, 3).await;
        let (hers, _) = f.store.claim(COORDINATORS, ids[1], ANNA, LEASE).await.unwrap();
        let draft = Command::SaveDraft(Draft {
            rationale: "hers".to_owned(),
            ..Draft::default()
        });
        f.store.command_as(ids[1], (ANNA, hers.fencing), draft).await.unwrap();
        f.store.claim(COORDINATORS, ids[2], BEN, LEASE).await.unwrap();
        let lease = |carried: Carried| match carried {
            Carried::Merged { effects, .. } => effects.lease,
            other => panic!("{other:?}"),
        };
        assert_eq!(lease(carry(&f.store, (2, 1, 5)).await), MergedLease::Moved(ANNA));
        assert_eq!(lease(carry(&f.store, (3, 1, 6)).await), MergedLease::Ended(BEN));
        let remaining = read(f, ids[0]).await;
        assert_eq!(remaining.draft.as_ref().unwrap().rationale, "hers");
        let renewed = f
            .store
            .renew(COORDINATORS, ids[0], (ANNA, remaining.fencing), LEASE)
            .await;
        renewed.unwrap();
        let his = f.store.renew(COORDINATORS, ids[2], (BEN, 1), LEASE).await;
        assert_eq!(refusal(his), Refusal::Merged(ids[0]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_decisions_that_differ_are_disputed_until_a_person_decides() {
    on_both(async |f| {
        let ids = cases(f, 2).await;
        decided(f, ids[0], Verdict::Benign).await;
        decided(f, ids[1], Verdict::Violating).await;
        let published = async |count: usize| {
            let taken = f.store.outbox_take(10, Milliseconds(1)).await.unwrap();
            assert_eq!(taken.len(), count);
            let sequences: Vec<i64> = taken.iter().map(|entry| entry.sequence).collect();
            f.store.outbox_acknowledge(&sequences).await.unwrap();
            taken
        };
        published(2).await;
        let effects = match carry(&f.store, (2, 1, 5)).await {
            Carried::Merged { effects, .. } => effects,
            other => panic!("{other:?}"),
        };
        assert!(effects.is_disputed);
        let remaining = read(f, ids[0]).await;
        assert!(remaining.is_disputed() && remaining.resting == Resting::Open);
        assert_eq!(remaining.decision.unwrap().ruling.verdict, Verdict::Benign);
        let joined = read(f, ids[1]).await;
        assert_eq!(
            joined.decision.unwrap().ruling.verdict,
            Verdict::Violating,
            "it keeps its own"
        );
        // The key groups hear that neither holds, so that nothing is silenced by one of them.
        let marks = published(1).await;
        let told = &marks[0].told.decision;
        assert_eq!((told.family, told.verdict), (FamilyId(ContentId(1)), Verdict::Disputed));
        let (standings, _) = f.store.standings_of(&[ids[0]]).await.unwrap();
        assert_eq!(standings[0].verdict, Some(Verdict::Disputed));

        decided(f, ids[0], Verdict::Violating).await;
        let remaining = read(f, ids[0]).await;
        assert!(!remaining.is_disputed() && remaining.resting == Resting::Decided);
        published(1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_goes_along_to_a_case_that_closed_without_one_and_is_told_of_its_family() {
    on_both(async |f| {
        let ids = cases(f, 2).await;
        f.store
            .apply_alert(&alert(1, Scope::Coordinators, AlertLevel::Subsided, 1))
            .await
            .unwrap();
        assert_eq!(read(f, ids[0]).await.resting, Resting::Closed);
        decided(f, ids[1], Verdict::Violating).await;
        assert!(matches!(carry(&f.store, (2, 1, 5)).await, Carried::Merged { .. }));
        let remaining = read(f, ids[0]).await;
        assert_eq!(remaining.resting, Resting::Decided);
        let told = f.store.outbox_take(10, Milliseconds(1)).await.unwrap();
        let told: Vec<(u128, bool)> = told
            .iter()
            .map(|entry| &entry.told.decision)
            .map(|told| {
                (
                    told.family.0.0,
                    Some(told.id) == remaining.decision.as_ref().map(|made| made.id),
                )
            })
            .collect();
        assert_eq!(told, [(2, false), (1, true)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_can_be_taken_back_keeps_cases_apart_until_it_is_out() {
    on_both(async |f| {
        let ids = cases(f, 2).await;
        let (held, _) = f.store.claim(COORDINATORS, ids[1], ANNA, LEASE).await.unwrap();
        let decide = Command::Decide {
            id: tocsin_model::DecisionId(7),
            ruling: tocsin_casework::Ruling::of(Verdict::Violating, ""),
            undo_for: Milliseconds(5_000),
        };
        f.store.command_as(ids[1], (ANNA, held.fencing), decide).await.unwrap();
        assert_eq!(carry(&f.store, (2, 1, 5)).await, Carried::Later);
        let withdraw = Command::Withdraw {
            decision: tocsin_model::DecisionId(7),
            length: LEASE,
        };
        f.store
            .command_as(ids[1], (ANNA, held.fencing), withdraw)
            .await
            .unwrap();
        assert!(matches!(carry(&f.store, (2, 1, 5)).await, Carried::Merged { .. }));
        assert_eq!(f.store.outbox_length().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_follow_families_that_join_others_in_turn_and_never_go_in_a_circle() {
    on_both(async |f| {
        let ids = cases(f, 3).await;
        let ends = async |f: &Fixture| {
            let mut into = Vec::new();
            for id in &ids {
                let merged = read(f, *id).await.merged_into();
                into.push(merged.map(|into| 1 + ids.iter().position(|id| *id == into).unwrap()));
            }
            into
        };
        assert!(matches!(carry(&f.store, (3, 2, 5)).await, Carried::Merged { .. }));
        assert!(matches!(carry(&f.store, (2, 1, 6)).await, Carried::Merged { .. }));
        assert_eq!(ends(f).await, [None, Some(1), Some(2)]);
        // The group of 3 says so too: it is there already.
        assert_eq!(carry(&f.store, (3, 1, 6)).await, Carried::Moved);
        assert_eq!(ends(f).await, [None, Some(1), Some(1)]);
        // 2 leaves, and 3 with it: whichever is told first.
        assert_eq!(carry(&f.store, (3, 2, 7)).await, Carried::Moved);
        assert!(matches!(carry(&f.store, (2, 2, 7)).await, Carried::Split(_)));
        assert_eq!(ends(f).await, [None, None, Some(2)]);
        // Now 2 takes 1 in; that it joined 1 is heard of late, and later that it did again.
        assert!(matches!(carry(&f.store, (1, 2, 8)).await, Carried::Merged { .. }));
        assert_eq!(carry(&f.store, (2, 1, 6)).await, Carried::Unchanged);
        assert_eq!(carry(&f.store, (2, 1, 9)).await, Carried::Later, "1 went into it");
        assert!(matches!(carry(&f.store, (1, 1, 9)).await, Carried::Split(_)));
        assert!(matches!(carry(&f.store, (2, 1, 9)).await, Carried::Merged { .. }));
        // From one to another at once.
        assert!(matches!(carry(&f.store, (3, 3, 10)).await, Carried::Split(_)));
        assert_eq!(ends(f).await, [None, Some(1), None]);
        let open = queue(&f.store, COORDINATORS, CaseState::Open).await;
        assert_eq!(open.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_dispatchers_that_say_the_same_at_once_come_to_one() {
    on_both(async |f| {
        const FAMILIES: u128 = 12;
        let ids = cases(f, FAMILIES).await;
        let another = f.another().await;
        let stores = [f.store.clone(), another.clone(), f.store.clone()];
        let tasks = stores.map(|store| {
            tokio::spawn(async move {
                let mut merged = 0;
                for step in 2..=FAMILIES {
                    // What another one is at, or went elsewhere meanwhile, is said again.
                    loop {
                        match carry(&store, (step, step / 2, 5)).await {
                            Carried::Later => tokio::task::yield_now().await,
                            Carried::Merged { .. } => break merged += 1,
                            _ => break,
                        }
                    }
                }
                merged
            })
        });
        let mut merged = 0;
        for task in tasks {
            merged += task.await.unwrap();
        }
        assert_eq!(merged, FAMILIES - 1, "each once");
        let mut steps = 0;
        for id in &ids {
            steps += f.store.case_history(COORDINATORS, *id).await.unwrap().len();
        }
        assert_eq!(steps as u128, 2 * (FAMILIES - 1), "and told once");
        let open = queue(&f.store, COORDINATORS, CaseState::Open).await;
        assert_eq!(open.iter().map(|case| case.id).collect::<Vec<_>>(), [ids[0]]);
        let by = By {
            who: ANNA,
            fencing: 0,
            version: None,
        };
        let claim = Command::Claim { length: LEASE };
        f.store.command(COORDINATORS, ids[0], by, &claim).await.unwrap();
        another.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_an_answer_is_answered_about_the_case_they_named() {
    on_both(async |f| {
        let ids = cases(f, 2).await;
        let by = (COORDINATORS, ANNA);
        let filing = |reference: &str| filings::notice(NoticeKind::Referral, reference, START);
        let file = async |reference: &str| {
            let filed = f.store.file_notice(by, &About::Case(ids[1]), &filing(reference)).await;
            filed.unwrap()
        };
        let first = file("one").await.notice.id;
        let removed = |at| (PlatformId(1), ClockKind::Removed, Timestamp(at));
        f.store.tell_clock(by, ids[0], removed(9)).await.unwrap();
        f.store.tell_clock(by, ids[1], removed(7)).await.unwrap();
        assert_eq!(carry(&f.store, (2, 1, 5)).await, Carried::Later);
        let answer = NoticeCommand::Answer {
            outcome: NoticeOutcome::Kept,
            note: "done".to_owned(),
        };
        f.store.command_notice(by, first, &answer).await.unwrap();
        assert!(matches!(carry(&f.store, (2, 1, 5)).await, Carried::Merged { .. }));
        let (_, clocks, _) = f.store.case_clocks(COORDINATORS, ids[0]).await.unwrap();
        let mut expected = PlatformClocks::default();
        let (platform, kind, at) = removed(7);
        expected.note(platform, kind, at);
        assert_eq!(clocks, expected, "what first happened to one of them");
        let second = file("two").await;
        assert_eq!(
            (second.notice.case, second.case.notices.open),
            (ids[0], 1),
            "it joins the case that people see"
        );
    })
    .await;
}
