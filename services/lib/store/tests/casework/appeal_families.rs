//! Goal: who decided is known wherever cases went since, an answer goes to the case that the content belongs to now, and all that belongs to it is
//! answered with it; what is malformed, foreign or too much is refused.

use std::collections::BTreeMap;

use sqlx::{Connection as _, PgConnection, Row as _, SqliteConnection};
use tocsin_audit::Action;
use tocsin_casework::{
    Against, AppealCommand, AppealId, AppealRefusal, CaseId, CaseState, Command, Concerns, OPEN_APPEALS_OF_TEAM_MAX,
    PauseRules, Ruling, Team,
};
use tocsin_model::{AlertLevel, ContentId, DecisionId, FamilyId, KeyId, Milliseconds, Scope, Timestamp, Verdict};
use tocsin_store::{
    AppealState, Appealed, Carried, FamilySaid, FannedOut, KeySubject, PageOf, Role, Roles, Store, StoreError,
};

use crate::appeals::{
    CLAIM, ONE, OVERTURNED, by, command, decided, fan, file, filing, member, opinion, page, refused, ruling,
};
use crate::fixture::filings::answer;
use crate::fixture::{COORDINATORS, Commands as _, Fixture, LEASE, START, alert, n, on_both};
use crate::{ANNA, BEN, queue};

const CARL: KeyId = KeyId(0xc);
const DORA: KeyId = KeyId(0xd);
const TWO: FamilyId = FamilyId(ContentId(2));

/// As the dispatcher says it: of a content of this family.
async fn file_of(store: &Store, team: Team, (content, family): (u128, FamilyId), reference: &str) -> Appealed {
    let filing = filing(reference, content, Against::Block);
    let filed = Box::pin(store.file_appeal((team, KeyId(0x99)), (ContentId(content), family), &filing)).await;
    filed.unwrap()
}

/// Claims and answers it, where the content is known to be of this family now.
async fn answer_of(
    f: &Fixture,
    (team, who): (Team, KeyId),
    (id, family): (AppealId, FamilyId),
    concerns: Concerns,
) -> Result<Appealed, StoreError> {
    let claim = Box::pin(f.store.command_appeal((team, by(who, 0)), (id, None), &CLAIM)).await?;
    let said = AppealCommand::Answer(ruling(OVERTURNED, concerns));
    let by = (team, by(who, claim.appeal.fencing));
    Box::pin(f.store.command_appeal(by, (id, Some(family)), &said)).await
}

async fn decide(f: &Fixture, (team, case): (Team, CaseId), who: KeyId, verdict: Verdict) -> DecisionId {
    let (held, _) = f.store.claim(team, case, who, LEASE).await.unwrap();
    let by = (who, held.fencing);
    let (case, _) = f.store.decide(team, case, by, (verdict, "why")).await.unwrap();
    case.decision.unwrap().id
}

async fn carry(f: &Fixture, family: u128, joined: u128, at: i64) -> Carried {
    let said = FamilySaid {
        team: COORDINATORS,
        family: FamilyId(ContentId(family)),
        joined: FamilyId(ContentId(joined)),
        at: Timestamp(START.0 + 3_600_000 + at),
    };
    f.store.carry(&said).await.unwrap().0
}

/// The coordinators' cases of families 1 to `count`.
async fn cases(f: &Fixture, count: u128) -> Vec<CaseId> {
    f.coordinators_cases(count).await;
    let mut cases = queue(&f.store, COORDINATORS, CaseState::Open).await;
    cases.sort_by_key(|case| case.family);
    cases.iter().map(|case| case.id).collect()
}

async fn verdict(f: &Fixture, team: Team, case: CaseId) -> Option<Verdict> {
    let (case, _) = f.store.case(team, case).await.unwrap();
    case.decision.map(|decision| decision.ruling.verdict)
}

async fn own(f: &Fixture, (team, who): (Team, KeyId), id: AppealId) {
    let claimed = command(&f.store, (team, by(who, 0)), id, &CLAIM).await;
    assert_eq!(refused(claimed), AppealRefusal::OwnDecision);
    let best = Box::pin(f.store.claim_appeal(team, (who, LEASE), None)).await;
    assert!(best.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_decided_after_an_appeal_without_a_case_was_filed_does_not_answer_it() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        let team = Team::Party(alpha.id);
        let id = file_of(&f.store, team, (2, ONE), "A-1").await.appeal.id;
        // They take it before they decide.
        let early = command(&f.store, (team, by(ANNA, 0)), id, &CLAIM).await.unwrap();
        let raised = alert(1, Scope::Party(alpha.id), AlertLevel::Raised, 1);
        f.store.apply_alert(&raised).await.unwrap();
        let case = queue(&f.store, team, CaseState::Open).await[0].id;
        decide(f, (team, case), ANNA, Verdict::Violating).await;
        for concerns in [Concerns::Upload, Concerns::Member, Concerns::Family] {
            let said = AppealCommand::Answer(ruling(OVERTURNED, concerns));
            let late = command(&f.store, (team, by(ANNA, early.appeal.fencing)), id, &said).await;
            assert_eq!(refused(late), AppealRefusal::OwnDecision, "{concerns:?}");
        }
        f.clock.advance(LEASE);
        own(f, (team, ANNA), id).await;
        let best = Box::pin(f.store.claim_appeal(team, (BEN, LEASE), None)).await;
        assert_eq!(best.unwrap().unwrap().appeal.id, id);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_had_no_case_is_answered_about_the_family_that_the_content_joined() {
    on_both(async |f| {
        let (team, case, _) = decided(f, ANNA).await;
        let unseen = FamilyId(ContentId(50));
        let id = file_of(&f.store, team, (50, unseen), "A-1").await.appeal.id;
        // It joined the family since, as the dispatcher knows.
        let by_decider = answer_of(f, (team, ANNA), (id, ONE), Concerns::Family).await;
        assert_eq!(refused(by_decider), AppealRefusal::OwnDecision);
        f.clock.advance(LEASE);
        let answered = answer_of(f, (team, BEN), (id, ONE), Concerns::Family).await.unwrap();
        assert_eq!(answered.appeal.case, Some(case));
        assert_eq!(verdict(f, team, case).await, Some(Verdict::Benign));
        let all = queue(&f.store, team, CaseState::Decided).await;
        assert_eq!(all.len(), 1, "no case of a family that is none");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appeal_goes_with_its_family_when_that_leaves_again() {
    on_both(async |f| {
        let ids = cases(f, 2).await;
        decide(f, (COORDINATORS, ids[0]), ANNA, Verdict::Violating).await;
        decide(f, (COORDINATORS, ids[1]), BEN, Verdict::Violating).await;
        assert!(matches!(carry(f, 2, 1, 1).await, Carried::Merged { .. }));
        // Told of the decision of the case that its own went into.
        let told = f.store.fan_out((COORDINATORS, TWO), &[member(6)]).await.unwrap();
        assert_eq!(told, FannedOut::Told(1));
        let founder = file_of(&f.store, COORDINATORS, (2, ONE), "A-1").await.appeal;
        assert_eq!((founder.case, founder.family), (Some(ids[1]), TWO));
        let other = file_of(&f.store, COORDINATORS, (6, ONE), "A-2").await.appeal;
        let stays = file_of(&f.store, COORDINATORS, (3, ONE), "A-3").await.appeal;
        f.clock.advance(Milliseconds(1));
        assert!(matches!(carry(f, 2, 2, 2).await, Carried::Split(_)));
        let moved = tocsin_casework::FamilyMember {
            said_at: Timestamp(9),
            ..member(6)
        };
        let told = f.store.fan_out((COORDINATORS, TWO), &[moved]).await.unwrap();
        assert_eq!(told, FannedOut::Told(1), "of its own family's decision");

        // The family that it left is overturned: it is not answered with it.
        let left = answer(
            &f.store,
            (COORDINATORS, CARL),
            stays.id,
            ruling(OVERTURNED, Concerns::Family),
        )
        .await;
        assert_eq!(left.answered_with, 0);
        assert_eq!(verdict(f, COORDINATORS, ids[0]).await, Some(Verdict::Benign));
        assert_eq!(verdict(f, COORDINATORS, ids[1]).await, Some(Verdict::Violating));
        own(f, (COORDINATORS, BEN), other.id).await;
        let asked = (other.id, TWO);
        let answered = answer_of(f, (COORDINATORS, DORA), asked, Concerns::Family)
            .await
            .unwrap();
        assert_eq!((answered.case.unwrap().id, answered.answered_with), (ids[1], 1));
        assert_eq!(verdict(f, COORDINATORS, ids[1]).await, Some(Verdict::Benign));
        let (with, _) = f.store.appeal(COORDINATORS, founder.id).await.unwrap();
        assert_eq!(with.appeal.answer.unwrap().with, Some(other.id));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deciders_are_known_however_far_cases_went_up_and_down() {
    on_both(async |f| {
        let ids = cases(f, 4).await;
        let decision = decide(f, (COORDINATORS, ids[3]), CARL, Verdict::Violating).await;
        let of_last = file_of(&f.store, COORDINATORS, (4, FamilyId(ContentId(4))), "A-1").await;
        assert_eq!(of_last.appeal.decision, Some(decision));
        assert!(matches!(carry(f, 4, 3, 1).await, Carried::Merged { .. }));
        assert!(matches!(carry(f, 3, 2, 2).await, Carried::Merged { .. }));
        assert!(matches!(carry(f, 2, 1, 3).await, Carried::Merged { .. }));
        decide(f, (COORDINATORS, ids[0]), ANNA, Verdict::Violating).await;
        let of_first = file_of(&f.store, COORDINATORS, (1, ONE), "A-2").await;
        assert_eq!(of_first.appeal.case, Some(ids[0]));
        for id in [of_last.appeal.id, of_first.appeal.id] {
            for who in [ANNA, CARL] {
                own(f, (COORDINATORS, who), id).await;
            }
        }
        let key = f
            .store
            .issue_key(KeySubject::Coordinators, Roles::of(&[Role::Moderator]));
        let (third, _) = key.await.unwrap();
        assert_eq!(page(f, COORDINATORS, Some(AppealState::WithoutReviewer)).await, []);
        decide(f, (COORDINATORS, ids[0]), third, Verdict::Violating).await;
        assert_eq!(page(f, COORDINATORS, Some(AppealState::WithoutReviewer)).await.len(), 2);
        let counts = f.store.count_appeals().await.unwrap();
        assert_eq!((counts.waiting, counts.without_reviewer), (2, 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_that_is_overturned_answers_all_that_was_filed_about_what_went_into_it() {
    on_both(async |f| {
        let ids = cases(f, 2).await;
        for (case, who) in ids.iter().zip([ANNA, BEN]) {
            decide(f, (COORDINATORS, *case), who, Verdict::Violating).await;
        }
        for number in 0..230 {
            file_of(&f.store, COORDINATORS, (2, TWO), &format!("B-{number}")).await;
        }
        let first = file_of(&f.store, COORDINATORS, (1, ONE), "A-1").await.appeal;
        assert!(matches!(carry(f, 2, 1, 1).await, Carried::Merged { .. }));
        let overturned = ruling(OVERTURNED, Concerns::Family);
        let answered = answer(&f.store, (COORDINATORS, CARL), first.id, overturned).await;
        assert_eq!(answered.answered_with, 230);
        assert_eq!(page(f, COORDINATORS, Some(AppealState::Open)).await, []);
        // One record for each answer, and one for the decision.
        let whole = PageOf {
            team: None,
            after: BTreeMap::new(),
            limit: 500,
        };
        let told = f.store.audit_page(&whole).await.unwrap();
        assert!(!told.more);
        let told: Vec<_> = told.records.into_iter().map(|one| one.record).collect();
        let answers = told.iter().filter(|record| record.action == Action::Answered);
        let answers = answers.filter(|record| record.detail == "overturned family");
        assert_eq!(answers.count(), 231);
        assert!(f.store.verify_audit(&[]).await.unwrap().holds());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_appealed_against_for_what_it_is_about_and_once_it_is_out() {
    on_both(async |f| {
        let (team, case, decision) = decided(f, ANNA).await;
        let against = Against::Decision(decision);
        let of = async |content: u128, family: FamilyId| {
            let filing = filing(&format!("A-{content}"), content, against);
            Box::pin(f.store.file_appeal((team, BEN), (ContentId(content), family), &filing)).await
        };
        let alone = |content| FamilyId(ContentId(content));
        assert_eq!(refused(of(70, alone(70)).await), AppealRefusal::OtherContent);
        for (content, family) in [(3, alone(3)), (1, alone(1)), (71, ONE)] {
            let filed = of(content, family).await.unwrap().appeal;
            assert_eq!((filed.case, filed.decision), (Some(case), Some(decision)));
        }
        // One that can still be taken back is none yet.
        let (held, _) = f.store.claim(team, case, BEN, LEASE).await.unwrap();
        let again = DecisionId(77);
        let decide = Command::Decide {
            id: again,
            ruling: Ruling::of(Verdict::Benign, "news"),
            undo_for: Milliseconds::from_seconds(5),
        };
        let by_ben = by(BEN, held.fencing);
        f.store.command(team, case, by_ben, &decide).await.unwrap();
        let early = filing("B-1", 3, Against::Decision(again));
        let early = file(&f.store, team, 3, &early).await;
        assert_eq!(refused(early), AppealRefusal::NoSuchDecision);
        let block = file_of(&f.store, team, (80, ONE), "B-2").await.appeal;
        assert_eq!(block.decision, Some(decision), "what is out");
        f.clock.advance(Milliseconds::from_seconds(5));
        let late = filing("B-1", 3, Against::Decision(again));
        let late = file(&f.store, team, 3, &late).await.unwrap().appeal;
        assert_eq!(late.decision, Some(again));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_decided_what_the_content_was_told_of_since_does_not_answer() {
    on_both(async |f| {
        let ids = cases(f, 2).await;
        decide(f, (COORDINATORS, ids[0]), ANNA, Verdict::Violating).await;
        decide(f, (COORDINATORS, ids[1]), BEN, Verdict::Violating).await;
        let told = f.store.fan_out((COORDINATORS, ONE), &[member(6)]).await.unwrap();
        assert_eq!(told, FannedOut::Told(1));
        let id = file_of(&f.store, COORDINATORS, (6, ONE), "A-1").await.appeal.id;
        let moved = tocsin_casework::FamilyMember {
            said_at: Timestamp(9),
            ..member(6)
        };
        let told = f.store.fan_out((COORDINATORS, TWO), &[moved]).await.unwrap();
        assert_eq!(told, FannedOut::Told(1));
        for who in [ANNA, BEN] {
            own(f, (COORDINATORS, who), id).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_is_not_lost_to_whoever_tells_members_at_the_same_time() {
    on_both(async |f| {
        let (team, ..) = decided(f, ANNA).await;
        let other = f.another().await;
        for content in 20..32 {
            let unseen = FamilyId(ContentId(content));
            let id = file_of(&f.store, team, (content, unseen), &format!("A-{content}")).await;
            let id = id.appeal.id;
            let members = [member(content)];
            f.clock.advance(Milliseconds(1));
            let (told, answered) = tokio::join!(
                Box::pin(other.fan_out((team, ONE), &members)),
                answer_of(f, (team, BEN), (id, ONE), Concerns::Member)
            );
            told.unwrap();
            answered.unwrap();
            // Again, as whoever was told to come later does.
            f.store.fan_out((team, ONE), &members).await.unwrap();
            assert_eq!(opinion(f, content).await, None, "{content}");
            let told = f.store.member_decisions(team, &[ContentId(content)]).await;
            assert!(told.unwrap().is_empty());
        }
        other.close().await;
    })
    .await;
}

/// Runs a statement on the database behind the store's back.
async fn write(f: &Fixture, sql: &str) {
    match f.url.strip_prefix("sqlite:") {
        Some(_) => {
            let mut connection = SqliteConnection::connect(&f.url).await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap();
        }
        None => {
            let mut connection = PgConnection::connect(&f.url).await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_has_so_many_appeals_that_wait_and_all_of_them_are_counted_and_handed_out() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        let team = Team::Party(alpha.id);
        file_of(&f.store, team, (2, TWO), "first").await;
        // Each about a content that nobody knows, as from made-up hashes.
        let id = |letter: &str| {
            format!("'{letter}' || substr('{}', 1, 31 - length(CAST(x AS TEXT))) || CAST(x AS TEXT)", "0".repeat(31))
        };
        let rest = OPEN_APPEALS_OF_TEAM_MAX - 2;
        let many = format!(
            "INSERT INTO appeals (appeal_id, team, reference, platform_id, content, content_id, against, reason, family, filed_by, filed_at, fencing) \
             SELECT {}, a.team, 'A-' || CAST(n.x AS TEXT), a.platform_id, a.content, {}, a.against, a.reason, {}, a.filed_by, a.filed_at, 0 FROM appeals a, \
             (WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t WHERE x < {rest}) SELECT x FROM t) n",
            id("a"),
            id("c"),
            id("c")
        );
        write(f, &many).await;
        let last = file_of(&f.store, team, (3, FamilyId(ContentId(3))), "last").await.appeal;
        let more = filing("more", 4, Against::Block);
        let more = file(&f.store, team, 4, &more).await;
        assert_eq!(refused(more), AppealRefusal::TooMany);
        let counts = f.store.count_appeals().await.unwrap();
        assert_eq!(counts.waiting, OPEN_APPEALS_OF_TEAM_MAX as u64);
        // All but the last are held by somebody.
        let held = format!("UPDATE appeals SET lease_holder = '{ANNA}', lease_expires_at = 9000000000000000 WHERE reference <> 'last'");
        write(f, &held).await;
        let best = Box::pin(f.store.claim_appeal(team, (BEN, LEASE), None)).await;
        assert_eq!(best.unwrap().unwrap().appeal.id, last.id);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_claims_while_a_family_is_overturned_waits_in_no_circle() {
    on_both(async |f| {
        let (team, case, _) = decided(f, ANNA).await;
        let other = f.another().await;
        for round in 0..12u32 {
            let mut ids = Vec::new();
            for number in 0..8 {
                let filed = file_of(&f.store, team, (3, ONE), &format!("{round}-{number}")).await;
                ids.push(filed.appeal.id);
            }
            let claim = async |id: AppealId, who: u128| {
                let claimed = command(&other, (team, by(KeyId(who), 0)), id, &CLAIM).await;
                // It may have been answered with the other.
                let is_answered = matches!(&claimed, Err(StoreError::AppealRefused(AppealRefusal::Answered)));
                assert!(claimed.is_ok() || is_answered, "{claimed:?}");
            };
            let best = async |who: u128| {
                let claimed = Box::pin(other.claim_appeal(team, (KeyId(who), LEASE), None)).await;
                claimed.unwrap();
            };
            let reviewer = KeyId(0x500 + u128::from(round));
            let held = command(&f.store, (team, by(reviewer, 0)), ids[0], &CLAIM)
                .await
                .unwrap();
            let said = AppealCommand::Answer(ruling(OVERTURNED, Concerns::Family));
            let overturn = command(&f.store, (team, by(reviewer, held.appeal.fencing)), ids[0], &said);
            let (done, ..) = tokio::join!(overturn, claim(ids[7], 0x900), claim(ids[6], 0x901), best(0x902));
            assert_eq!(done.unwrap().answered_with, 7);
            decide(f, (team, case), KeyId(0x700 + u128::from(round)), Verdict::Violating).await;
        }
        other.close().await;
    })
    .await;
}

/// How many rows a count on the database behind the store's back finds.
async fn count(f: &Fixture, sql: &str) -> i64 {
    match f.url.strip_prefix("sqlite:") {
        Some(_) => {
            let mut connection = SqliteConnection::connect(&f.url).await.unwrap();
            sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0)
        }
        None => {
            let mut connection = PgConnection::connect(&f.url).await.unwrap();
            sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_excepted_member_was_told_of_stays_written_for_dispatchers_that_know_no_exceptions() {
    on_both(async |f| {
        let (team, case, decision) = decided(f, ANNA).await;
        let id = file_of(&f.store, team, (3, ONE), "A-1").await.appeal.id;
        answer(&f.store, (team, BEN), id, ruling(OVERTURNED, Concerns::Member)).await;
        let known = f.store.case_contents(team, case, 100).await.unwrap();
        assert_eq!((known.told.len(), known.excepted), (4, [ContentId(3)].into()));
        assert_eq!(count(f, "SELECT count(*) FROM member_decisions").await, 4);
        assert_eq!(f.store.members_told(decision).await.unwrap(), 3);
        fan(f, team, 0).await;
        assert_eq!(opinion(f, 3).await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machines_key_reviews_nothing_where_keys_were_issued_to_people() {
    on_both(async |f| {
        let (team, case, _) = decided(f, ANNA).await;
        let Team::Party(party) = team else { unreachable!() };
        file_of(&f.store, team, (3, ONE), "A-1").await;
        let waits = async || page(f, team, Some(AppealState::WithoutReviewer)).await.len();
        assert_eq!(waits().await, 0, "the party's key, whosever it is");
        let moderator = Roles::of(&[Role::Moderator]);
        let name = n("eva");
        let person = f.store.issue_key_to(KeySubject::Party(party), moderator, &name);
        let (eva, _) = person.await.unwrap();
        assert_eq!(waits().await, 0);
        decide(f, (team, case), eva, Verdict::Violating).await;
        assert_eq!(waits().await, 1, "the adapter's key is nobody who answers");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_claims_an_appeal_looks_at_its_case_and_many_appeals_hide_no_decision() {
    on_both(async |f| {
        let (team, case, _) = decided(f, ANNA).await;
        for number in 0..250 {
            file_of(&f.store, team, (3, ONE), &format!("A-{number}")).await;
        }
        let steps = f.store.case_history(team, case).await.unwrap();
        let kinds = |kind: &str| steps.iter().filter(|step| step.kind == kind).count();
        assert_eq!((kinds("decided"), kinds("appeal_filed")), (1, 200));
        assert!(
            steps
                .iter()
                .all(|step| step.kind != "appeal_filed" || step.note.is_empty())
        );
        let rules = PauseRules {
            after: None,
            after_cases: Some(2),
            length: LEASE,
        };
        Box::pin(f.store.claim_appeal(team, (BEN, LEASE), None)).await.unwrap();
        let (shift, _) = f.store.shift(BEN, LEASE, &rules).await.unwrap();
        assert_eq!((shift.cases_seen, shift.pause_due), (1, false));
        Box::pin(f.store.claim_appeal(team, (BEN, LEASE), None)).await.unwrap();
        let (shift, _) = f.store.shift(BEN, LEASE, &rules).await.unwrap();
        assert_eq!((shift.cases_seen, shift.pause_due), (2, true));
    })
    .await;
}
