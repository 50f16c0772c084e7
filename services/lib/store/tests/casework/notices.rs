//! Goal: a notice stands in one case, is filed once and escalated once whichever dispatcher looks, and what is due soon goes before everything.
use crate::fixture::{COORDINATORS, Commands as _, Fixture, LEASE, START, alert, filings, n, on_both};
use crate::{ANNA, BEN, queue, refusal};
use tocsin_casework::{
    CaseId, CaseState, Filing, Filter, Lane, NoticeCommand, NoticeEvent, NoticeId, NoticeKind, NoticeOutcome,
    NoticeRefusal, ORDER_DUE_IN, PlatformClocks, Refusal, SuspensionGround, Team,
};
use tocsin_model::{AlertLevel, Algorithm, ContentHash, ContentId, FamilyId, KeyId, Milliseconds, Scope, Verdict};
use tocsin_store::{About, Choice, Followed, NoticeQuery, NoticeState, Noticed, QueueQuery, Store, StoreError};

pub(super) const SOON: Milliseconds = Milliseconds::from_minutes(30);
pub(super) const TEAM: (Team, KeyId) = (COORDINATORS, ANNA);

fn filing(kind: NoticeKind, reference: &str) -> Filing {
    Filing {
        authority: "Bundeskriminalamt".to_owned(),
        urls: vec!["https://example.org/v/1".to_owned()],
        ..filings::notice(kind, reference, START)
    }
}

pub(super) fn order(reference: &str) -> Filing {
    filing(NoticeKind::RemovalOrder, reference)
}

fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Sha256, vec![byte; 32], None).unwrap()
}

pub(super) fn about(family: u128) -> About {
    About::Family(FamilyId(ContentId(family)), hash(family as u8))
}

/// The same, naming the content.
pub(super) fn of(family: u8, filing: Filing) -> Filing {
    Filing {
        content: Some(hash(family)),
        ..filing
    }
}

pub(super) fn answer(outcome: NoticeOutcome) -> NoticeCommand {
    NoticeCommand::Answer {
        outcome,
        note: "done".to_owned(),
    }
}

/// On the heap: a test holds many of them.
pub(super) async fn file(
    store: &Store,
    by: (Team, KeyId),
    about: &About,
    filing: &Filing,
) -> Result<Noticed, StoreError> {
    Box::pin(store.file_notice(by, about, filing)).await
}

pub(super) async fn command(
    store: &Store,
    by: (Team, KeyId),
    id: NoticeId,
    command: &NoticeCommand,
) -> Result<Noticed, StoreError> {
    Box::pin(store.command_notice(by, id, command)).await
}

fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>) -> NoticeRefusal {
    match result {
        Err(StoreError::NoticeRefused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

async fn kinds(store: &Store, case: CaseId) -> Vec<(String, bool)> {
    let history = store.case_history(COORDINATORS, case).await.unwrap();
    let steps = history.into_iter().rev();
    steps.map(|step| (step.kind, step.who.is_some())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_about_what_was_never_seen_opens_a_case_and_a_later_alert_updates_it_once() {
    on_both(async |f| {
        let filed = file(&f.store, TEAM, &about(7), &order("A-1")).await.unwrap();
        assert_eq!(filed.event, NoticeEvent::Filed);
        let (case, now) = f.store.case(COORDINATORS, filed.case.id).await.unwrap();
        assert_eq!(case, filed.case, "what is written is what was said");
        assert_eq!(
            (&case.alert, case.first_seen, case.first_alert_at, case.last_alert_at),
            (&None, None, None, None)
        );
        assert_eq!((case.state(now), case.lane()), (CaseState::Open, Lane::Notices));
        assert_eq!(case.notices.due_at, Some(START + ORDER_DUE_IN));
        let (clocks, _) = f.store.clocks(COORDINATORS, LEASE).await.unwrap();
        assert_eq!(clocks, [(case.clocks(), PlatformClocks::default())]);

        let raised = alert(7, Scope::Coordinators, AlertLevel::Raised, 1);
        let effects = f.store.apply_alert(&raised).await.unwrap();
        assert_eq!((effects.opened, effects.updated), (0, 1));
        let effects = f.store.apply_alert(&raised).await.unwrap();
        assert_eq!((effects.duplicates, effects.updated), (1, 0));
        let (rang, _) = f.store.case(COORDINATORS, case.id).await.unwrap();
        assert_eq!((rang.alert.as_ref(), &rang.hash), (Some(&raised), &raised.hash));
        assert_eq!(
            (rang.first_seen, rang.first_alert_at),
            (Some(raised.first_seen), Some(raised.at))
        );
        assert_eq!(rang.notices, case.notices);
        assert_eq!(queue(&f.store, COORDINATORS, CaseState::Open).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_joins_the_case_there_is_and_is_filed_once() {
    on_both(async |f| {
        f.coordinators_cases(1).await;
        let first = file(&f.store, TEAM, &about(1), &of(1, order("A-1"))).await.unwrap();
        let [case] = &queue(&f.store, COORDINATORS, CaseState::Open).await[..] else {
            panic!("one case");
        };
        assert_eq!((case.id, case.notices.open), (first.case.id, 1));
        // The answer was lost; another dispatcher is asked, a little later.
        let other = f.another().await;
        f.clock.advance(LEASE);
        let again = file(&other, TEAM, &about(1), &of(1, order("A-1"))).await.unwrap();
        assert_eq!(
            (again.event, again.notice),
            (NoticeEvent::SaidBefore, first.notice.clone())
        );
        // Meanwhile the content joined another family: the same notice all the same, where it was filed.
        let moved = About::Family(FamilyId(ContentId(77)), hash(1));
        let again = file(&other, TEAM, &moved, &of(1, order("A-1"))).await.unwrap();
        assert_eq!((again.event, again.case.id), (NoticeEvent::SaidBefore, case.id));
        let differs = [
            (about(1), of(1, filing(NoticeKind::Referral, "A-1"))),
            (about(2), of(2, order("A-1"))),
        ];
        for (about, filing) in differs {
            let differs = file(&other, TEAM, &about, &filing).await;
            assert_eq!(refused(differs), NoticeRefusal::Differs);
        }
        assert_eq!(
            queue(&f.store, COORDINATORS, CaseState::Open).await.len(),
            1,
            "what is refused opens nothing"
        );
        let part = Filing {
            part: 1,
            ..order("A-1")
        };
        file(&other, TEAM, &about(2), &part).await.unwrap();
        assert_eq!(
            queue(&f.store, COORDINATORS, CaseState::Open).await.len(),
            2,
            "an order may name many contents"
        );
        other.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_two_dispatchers_are_told_of_at_once_is_one_and_another_teams_is_unknown() {
    on_both(async |f| {
        f.coordinators_cases(1).await;
        let other = f.another().await;
        let first = file(&f.store, TEAM, &about(1), &order("A-1")).await.unwrap();
        let third = Filing {
            part: 2,
            ..of(3, order("A-1"))
        };
        let family = about(3);
        let (one, two) = tokio::join!(
            file(&f.store, TEAM, &family, &third),
            file(&other, TEAM, &family, &third)
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!((one.notice.id, one.case.id), (two.notice.id, two.case.id));
        let (alpha, ..) = f.party("alpha").await;
        let theirs = (Team::Party(alpha.id), BEN);
        let foreign = file(&other, theirs, &About::Case(first.case.id), &order("B-1")).await;
        assert_eq!(refusal(foreign), Refusal::NoSuchCase);
        let own = file(&other, theirs, &about(1), &order("A-1")).await.unwrap();
        assert_eq!(
            own.event,
            NoticeEvent::Filed,
            "what one team was sent says nothing of what another was"
        );
        let foreign = command(&other, theirs, first.notice.id, &answer(NoticeOutcome::Removed)).await;
        assert_eq!(refused(foreign), NoticeRefusal::NoSuchNotice);
        assert_eq!(
            refused(other.notice(theirs.0, first.notice.id).await),
            NoticeRefusal::NoSuchNotice
        );
        other.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hour_of_an_order_is_escalated_once_by_whichever_dispatcher_looks() {
    on_both(async |f| {
        let other = f.another().await;
        let filed = file(&f.store, TEAM, &about(1), &of(7, order("A-1"))).await.unwrap();
        file(&f.store, TEAM, &about(2), &filing(NoticeKind::Referral, "R-1"))
            .await
            .unwrap();
        let (id, case) = (filed.notice.id, filed.case.id);
        let claimed = f.store.claim(COORDINATORS, case, BEN, LEASE).await.unwrap().0;
        f.store
            .decide(COORDINATORS, case, (BEN, claimed.fencing), (Verdict::Violating, ""))
            .await
            .unwrap();
        f.clock.advance(Milliseconds(ORDER_DUE_IN.0 - 1));
        assert_eq!(f.store.escalate_overdue().await.unwrap().len(), 0);
        f.clock.advance(Milliseconds(1));
        let (one, two) = tokio::join!(Box::pin(f.store.escalate_overdue()), Box::pin(other.escalate_overdue()));
        let both: Vec<_> = one.unwrap().into_iter().chain(two.unwrap()).collect();
        assert_eq!(both.len(), 1, "whoever looks");
        assert_eq!((both[0].event, both[0].notice.id), (NoticeEvent::Overdue, id));
        assert_eq!(both[0].notice.overdue_at, Some(START + ORDER_DUE_IN), "in time");
        assert_eq!(f.store.count_notices().await.unwrap(), (2, 1));
        let (escalated, now) = f.store.case(COORDINATORS, case).await.unwrap();
        assert_eq!(escalated.state(now), CaseState::Open, "somebody owes an answer");

        // The grounds of the law stop it; then it runs anew.
        let suspend = NoticeCommand::Suspend {
            ground: SuspensionGround::InsufficientInformation,
            note: "no address".to_owned(),
        };
        command(&other, TEAM, id, &suspend).await.unwrap();
        assert_eq!(f.store.case(COORDINATORS, case).await.unwrap().0.notices.due_at, None);
        f.clock.advance(ORDER_DUE_IN);
        assert_eq!(other.escalate_overdue().await.unwrap().len(), 0);
        let resume = NoticeCommand::Resume { note: String::new() };
        let resumed = command(&f.store, TEAM, id, &resume).await.unwrap();
        assert_eq!(resumed.notice.due_at, Some(resumed.now + ORDER_DUE_IN));
        f.clock.advance(ORDER_DUE_IN);
        assert_eq!(other.escalate_overdue().await.unwrap().len(), 1);

        let answered = command(&other, TEAM, id, &answer(NoticeOutcome::Removed))
            .await
            .unwrap();
        assert_eq!((answered.case.notices.open, answered.case.notices.due_at), (0, None));
        let again = command(&f.store, TEAM, id, &answer(NoticeOutcome::Removed))
            .await
            .unwrap();
        assert_eq!(
            (again.event, again.case.version),
            (NoticeEvent::SaidBefore, answered.case.version)
        );
        assert_eq!(f.store.notice(COORDINATORS, id).await.unwrap().0, answered.notice);
        let told = kinds(&f.store, case).await;
        let told: Vec<(&str, bool)> = told.iter().map(|(kind, by)| (kind.as_str(), *by)).collect();
        let expected = [
            ("notice_filed", true),
            ("claimed", true),
            ("decided", true),
            ("notice_overdue", false),
            ("notice_suspended", true),
            ("notice_resumed", true),
            ("notice_overdue", false),
            ("notice_answered", true),
        ];
        assert_eq!(told, expected);
        other.close().await;
    })
    .await;
}

/// The families of the queue, a page of two at a time.
async fn walk(f: &Fixture) -> Vec<u128> {
    let mut query = QueueQuery {
        team: COORDINATORS,
        state: CaseState::Open,
        filter: Filter::default(),
        urgent_within: SOON,
        limit: 2,
        after: None,
    };
    let mut families = Vec::new();
    loop {
        let page = f.store.queue(&query).await.unwrap();
        families.extend(page.cases.iter().map(|case| case.family.0.0));
        let Some(next) = page.next else {
            return families;
        };
        query.after = Some(next.to_string().parse().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_soon_goes_before_every_priority_everywhere() {
    on_both(async |f| {
        f.coordinators_cases(5).await;
        let earlier = Filing {
            received_at: START - Milliseconds::from_minutes(10),
            ..order("A-2")
        };
        file(&f.store, TEAM, &about(1), &of(7, order("A-1"))).await.unwrap();
        file(&f.store, TEAM, &about(9), &earlier).await.unwrap();
        file(&f.store, TEAM, &about(2), &filing(NoticeKind::TrustedFlagger, "F-1"))
            .await
            .unwrap();
        assert_eq!(walk(f).await, [5, 4, 3, 2, 1, 9], "an hour is not near");
        f.clock.advance(Milliseconds(ORDER_DUE_IN.0 - SOON.0));
        let expected = [9, 1, 5, 4, 3, 2];
        assert_eq!(walk(f).await, expected);

        // The ranks of a dispatcher say the same.
        let mut ranks = tocsin_casework::Ranks::new(10);
        let mut followed = Followed::default();
        let (standings, now) = f.store.follow_standings(&mut followed).await.unwrap();
        for standing in &standings {
            ranks.put(standing).unwrap();
        }
        let best = ranks.best(COORDINATORS, &Filter::default(), 10, (now, now + SOON));
        let family = |id: &CaseId| standings.iter().find(|standing| standing.id == *id).unwrap().family.0.0;
        assert_eq!(best.iter().map(family).collect::<Vec<_>>(), expected);

        // And so does the store's own claim, though a dispatcher that fell behind offers others, and the longest waiting has its turn.
        let stale = standings.iter().find(|standing| standing.family.0.0 == 4).unwrap().id;
        let choice = Choice {
            candidates: vec![stale],
            longest_every: 1,
            urgent_within: SOON,
            ..Choice::default()
        };
        let mut claimed = Vec::new();
        for _ in 0..2 {
            let done = f
                .store
                .claim_best(COORDINATORS, (BEN, LEASE), &choice)
                .await
                .unwrap()
                .unwrap();
            claimed.push(done.case.family.0.0);
        }
        assert_eq!(claimed, expected[..2]);
        let filter = Filter {
            lane: Some(Lane::Notices),
            ..Filter::default()
        };
        let choice = Choice { filter, ..choice };
        let done = f
            .store
            .claim_best(COORDINATORS, (BEN, LEASE), &choice)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(done.case.family.0.0, 2, "the flagger's: the orders are taken");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_are_listed_by_when_they_are_due_and_a_threat_is_on_record() {
    on_both(async |f| {
        let late = Filing {
            received_at: START - Milliseconds::from_minutes(20),
            platform: Some(tocsin_model::PlatformId(3)),
            ..order("A-2")
        };
        let referral = file(&f.store, TEAM, &about(1), &filing(NoticeKind::Referral, "R-1"))
            .await
            .unwrap();
        file(&f.store, TEAM, &about(1), &of(7, order("A-1"))).await.unwrap();
        file(&f.store, TEAM, &about(2), &late).await.unwrap();
        let threat = Filing {
            authority: "Europol".to_owned(),
            ..filing(NoticeKind::ThreatToLife, "T-1")
        };
        let case = referral.case.id;
        let told = file(&f.store, TEAM, &About::Case(case), &threat).await.unwrap();
        assert_eq!(
            told.case.notices.open, 2,
            "a threat that the team told of is nothing it owes"
        );
        let list = async |state, case, limit| {
            let mut query = NoticeQuery {
                team: COORDINATORS,
                state,
                case,
                limit,
                after: None,
            };
            let mut references = Vec::new();
            loop {
                let page = f.store.notices(&query).await.unwrap();
                references.extend(page.notices.into_iter().map(|notice| notice.filing.reference));
                let Some(next) = page.next else {
                    return references;
                };
                query.after = Some(next.to_string().parse().unwrap());
            }
        };
        for limit in [1, 200] {
            assert_eq!(
                list(Some(NoticeState::Open), None, limit).await,
                ["A-2", "A-1", "T-1", "R-1"]
            );
        }
        assert_eq!(list(None, Some(case), 2).await, ["A-1", "T-1", "R-1"]);
        let reply = NoticeCommand::Answer {
            outcome: NoticeOutcome::Replied,
            note: "the police are on their way".to_owned(),
        };
        let replied = command(&f.store, (COORDINATORS, BEN), told.notice.id, &reply)
            .await
            .unwrap();
        let on_record = f.store.notice(COORDINATORS, told.notice.id).await.unwrap().0;
        assert_eq!(on_record, replied.notice);
        assert_eq!(on_record.answer.unwrap().by, BEN);
        assert_eq!(list(Some(NoticeState::Answered), None, 200).await, ["T-1"]);
        assert_eq!(list(Some(NoticeState::Overdue), None, 200).await, [] as [&str; 0]);
        let party = f.store.add_party(&n("beta"), &[n("beta-app")]).await.unwrap();
        let none = NoticeQuery {
            team: Team::Party(party.id),
            state: None,
            case: Some(case),
            limit: 10,
            after: None,
        };
        assert_eq!(f.store.notices(&none).await.unwrap().notices, []);
    })
    .await;
}
