//! Goal: an appeal is filed once, goes to somebody who did not decide whoever asks, and its answer goes exactly as far as it says, in one step.

use std::collections::BTreeMap;

use tocsin_casework::{
    Against, AppealCause, AppealCommand, AppealEvent, AppealFiling, AppealId, AppealOutcome, AppealRefusal,
    AppealRuling, By, CaseId, CaseState, Concerns, FamilyMember, Refusal, Team,
};
use tocsin_model::{
    Aggregate, AlertLevel, Algorithm, ContentHash, ContentId, DecisionId, FamilyId, KeyId, Milliseconds, PlatformId,
    Scope, Timestamp, Verdict,
};
use tocsin_store::{
    AppealQuery, AppealState, Appealed, Carried, DeliveryEvent, EndpointKind, FamilySaid, FannedOut, KeySubject,
    NewEndpoint, Role, Roles, Store, StoreError,
};

use crate::fixture::{COORDINATORS, Commands as _, Fixture, LEASE, START, alert, n, on_both};
use crate::{ANNA, BEN, queue, refusal};

pub const ONE: FamilyId = FamilyId(ContentId(1));
pub const CLAIM: AppealCommand = AppealCommand::Claim { length: LEASE };

pub fn hash(number: u128) -> ContentHash {
    let mut value = vec![3; 32];
    value[..16].copy_from_slice(&number.to_be_bytes());
    ContentHash::from_bytes(Algorithm::Sha256, value, None).unwrap()
}

pub fn member(number: u128) -> FamilyMember {
    FamilyMember {
        content: ContentId(number),
        hash: hash(number),
        said_at: Timestamp(5),
        is_for_all: true,
    }
}

pub fn filing(reference: &str, content: u128, against: Against) -> AppealFiling {
    AppealFiling {
        reference: reference.to_owned(),
        platform: PlatformId(1),
        content: hash(content),
        against,
        reason: "it is a news report".to_owned(),
    }
}

pub fn ruling(outcome: AppealOutcome, concerns: Concerns) -> AppealRuling {
    let is_overturned = outcome == AppealOutcome::Overturned;
    AppealRuling {
        outcome,
        concerns,
        cause: is_overturned.then_some(AppealCause::NearPicture),
        verdict: (is_overturned && concerns == Concerns::Family).then_some(Verdict::Benign),
        note: "another picture".to_owned(),
    }
}

const POSITIVE: Option<Aggregate> = Some(Aggregate::Positive);
const NEGATIVE: Option<Aggregate> = Some(Aggregate::Negative);
pub const OVERTURNED: AppealOutcome = AppealOutcome::Overturned;

pub fn by(who: KeyId, fencing: u64) -> By {
    By {
        who,
        fencing,
        version: None,
    }
}

pub fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>) -> AppealRefusal {
    match result {
        Err(StoreError::AppealRefused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// On the heap: a test holds many of them.
pub async fn file(store: &Store, team: Team, content: u128, filing: &AppealFiling) -> Result<Appealed, StoreError> {
    Box::pin(store.file_appeal((team, ANNA), (ContentId(content), ONE), filing)).await
}

pub async fn command(
    store: &Store,
    by: (Team, By),
    id: AppealId,
    command: &AppealCommand,
) -> Result<Appealed, StoreError> {
    Box::pin(store.command_appeal(by, (id, None), command)).await
}

/// Claims and answers it.
pub async fn answer(store: &Store, (team, who): (Team, KeyId), id: AppealId, ruling: AppealRuling) -> Appealed {
    let held = command(store, (team, by(who, 0)), id, &CLAIM).await.unwrap();
    let answer = AppealCommand::Answer(ruling);
    command(store, (team, by(who, held.appeal.fencing)), id, &answer)
        .await
        .unwrap()
}

/// A party with a case of family 1 that this key decided to be violating; its members 2 to 5 were told.
pub async fn decided(f: &Fixture, who: KeyId) -> (Team, CaseId, DecisionId) {
    Box::pin(decided_by(f, who)).await
}

async fn decided_by(f: &Fixture, who: KeyId) -> (Team, CaseId, DecisionId) {
    let (alpha, ..) = f.party("alpha").await;
    let team = Team::Party(alpha.id);
    let endpoint = NewEndpoint {
        name: n("hook"),
        team,
        kind: EndpointKind::Webhook,
        target: "https://example.org/hook".to_owned(),
        settings: BTreeMap::default(),
        secret: "whsec_x".to_owned(),
    };
    f.store.add_endpoint(&endpoint).await.unwrap();
    let raised = alert(1, Scope::Party(alpha.id), AlertLevel::Raised, 1);
    f.store.apply_alert(&raised).await.unwrap();
    let [case] = &queue(&f.store, team, CaseState::Open).await[..] else {
        panic!("one case");
    };
    let (held, _) = f.store.claim(team, case.id, who, LEASE).await.unwrap();
    let violating = (Verdict::Violating, "footage");
    let (case, _) = f
        .store
        .decide(team, held.id, (who, held.fencing), violating)
        .await
        .unwrap();
    fan(f, team, 4).await;
    (team, case.id, case.decision.unwrap().id)
}

pub async fn fan(f: &Fixture, team: Team, told: usize) {
    let members: Vec<FamilyMember> = (2..6).map(member).collect();
    assert_eq!(
        Box::pin(f.store.fan_out((team, ONE), &members)).await.unwrap(),
        FannedOut::Told(told)
    );
}

pub async fn opinion(f: &Fixture, number: u128) -> Option<Aggregate> {
    f.store.opinions_of(&[hash(number)]).await.unwrap()[0]
}

/// What the endpoint is told and was not told before.
async fn events(f: &Fixture) -> Vec<DeliveryEvent> {
    let taken = Box::pin(f.store.take_deliveries(&n("hook"), 100, LEASE)).await.unwrap();
    taken.into_iter().map(|delivery| delivery.event).collect()
}

pub async fn page(f: &Fixture, team: Team, state: Option<AppealState>) -> Vec<(String, bool)> {
    let query = AppealQuery {
        team,
        state,
        case: None,
        platform: None,
        limit: 100,
        after: None,
    };
    let page = f.store.appeals(&query).await.unwrap();
    let listed = page.appeals.into_iter();
    listed
        .map(|listed| (listed.appeal.filing.reference, listed.is_without_reviewer))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appeal_is_filed_once_against_what_was_decided_and_is_its_teams_alone() {
    on_both(async |f| {
        let (team, case, decision) = decided(f, ANNA).await;
        let against = Against::Decision(decision);
        let filed = file(&f.store, team, 2, &filing("A-1", 2, against)).await.unwrap();
        assert_eq!(filed.event, AppealEvent::Filed);
        assert_eq!((filed.appeal.case, filed.appeal.decision), (Some(case), Some(decision)));
        let (read, _) = f.store.appeal(team, filed.appeal.id).await.unwrap();
        assert_eq!(read.appeal, filed.appeal, "what is written is what was said");
        let other = f.another().await;
        let again = file(&other, team, 2, &filing("A-1", 2, against)).await.unwrap();
        assert_eq!((again.event, &again.appeal), (AppealEvent::SaidBefore, &filed.appeal));
        let differs = file(&other, team, 3, &filing("A-1", 3, against)).await;
        assert_eq!(refused(differs), AppealRefusal::Differs);
        // A refused upload is found by what its content was told of, whatever family it is said to be of now.
        let block = filing("A-2", 3, Against::Block);
        let moved = (ContentId(3), FamilyId(ContentId(77)));
        let blocked = Box::pin(other.file_appeal((team, BEN), moved, &block)).await.unwrap();
        assert_eq!(
            (blocked.appeal.case, blocked.appeal.decision, blocked.appeal.family),
            (Some(case), Some(decision), ONE)
        );
        // By a listing alone: no case is opened for it.
        let unknown = (ContentId(50), FamilyId(ContentId(50)));
        let listed = Box::pin(
            f.store
                .file_appeal((team, BEN), unknown, &filing("A-3", 50, Against::Block)),
        )
        .await
        .unwrap();
        assert_eq!((listed.appeal.case, listed.appeal.decision), (None, None));
        assert_eq!(queue(&f.store, team, CaseState::Open).await, []);
        let steps = f.store.case_history(team, case).await.unwrap();
        assert_eq!(steps.iter().filter(|step| step.kind == "appeal_filed").count(), 2);

        let (beta, ..) = f.party("beta").await;
        let theirs = Team::Party(beta.id);
        let foreign = |platform, against| AppealFiling {
            platform: PlatformId(platform),
            ..filing("B-1", 2, against)
        };
        let refusals = [
            (foreign(2, against), AppealRefusal::NoSuchDecision),
            (foreign(1, Against::Block), AppealRefusal::ForeignPlatform),
        ];
        for (filing, refusal) in refusals {
            assert_eq!(refused(file(&f.store, theirs, 2, &filing).await), refusal);
        }
        let known = filed.appeal.id;
        assert_eq!(
            refused(f.store.appeal(theirs, known).await),
            AppealRefusal::NoSuchAppeal
        );
        let foreign = command(&f.store, (theirs, by(BEN, 0)), known, &CLAIM).await;
        assert_eq!(refused(foreign), AppealRefusal::NoSuchAppeal);
        assert_eq!(page(f, theirs, None).await, []);
        assert!(
            f.store
                .claim_appeal(theirs, (BEN, LEASE), None)
                .await
                .unwrap()
                .is_none()
        );
        other.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_decided_is_handed_no_appeal_under_any_of_their_keys_and_a_team_of_one_waits_flagged() {
    on_both(async |f| {
        let (team, case, decision) = decided(f, ANNA).await;
        let Team::Party(party) = team else { unreachable!() };
        let moderator = Roles::of(&[Role::Moderator]);
        // The party's key of every role goes; two keys of one person, one after the other.
        for key in f.store.list_keys(KeySubject::Party(party)).await.unwrap() {
            f.store.revoke_key(key.id).await.unwrap();
        }
        let issue = async |person: &str| {
            let issued = f
                .store
                .issue_key_to(KeySubject::Party(party), moderator, &n(person))
                .await;
            issued.unwrap().0
        };
        let old = issue("carla").await;
        let (held, _) = f.store.claim(team, case, old, LEASE).await.unwrap();
        f.store
            .decide(team, case, (old, held.fencing), (Verdict::Violating, "again"))
            .await
            .unwrap();
        f.store.revoke_key(old).await.unwrap();
        let new = issue("carla").await;
        let filed = file(&f.store, team, 2, &filing("A-1", 2, Against::Decision(decision)))
            .await
            .unwrap();
        let id = filed.appeal.id;
        assert_eq!(page(f, team, Some(AppealState::Open)).await, [("A-1".to_owned(), true)]);
        assert_eq!(page(f, team, Some(AppealState::WithoutReviewer)).await.len(), 1);
        let counts = f.store.count_appeals().await.unwrap();
        assert_eq!((counts.waiting, counts.without_reviewer), (1, 1));
        for who in [ANNA, new] {
            let own = command(&f.store, (team, by(who, 0)), id, &CLAIM).await;
            assert_eq!(refused(own), AppealRefusal::OwnDecision);
            assert!(f.store.claim_appeal(team, (who, LEASE), None).await.unwrap().is_none());
        }
        let dan = issue("dan").await;
        assert_eq!(
            page(f, team, Some(AppealState::Open)).await,
            [("A-1".to_owned(), false)]
        );
        assert_eq!(page(f, team, Some(AppealState::WithoutReviewer)).await, []);
        let elsewhere = f
            .store
            .claim_appeal(team, (dan, LEASE), Some(PlatformId(9)))
            .await
            .unwrap();
        assert!(elsewhere.is_none(), "of another platform");
        let claimed = f
            .store
            .claim_appeal(team, (dan, LEASE), Some(PlatformId(1)))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(claimed.appeal.id, id);
        assert!(
            f.store.claim_appeal(team, (BEN, LEASE), None).await.unwrap().is_none(),
            "somebody holds it"
        );
        // They decide about the case while they hold the appeal: now it is not theirs to answer.
        let (held, _) = f.store.claim(team, case, dan, LEASE).await.unwrap();
        f.store
            .decide(team, case, (dan, held.fencing), (Verdict::Violating, "too"))
            .await
            .unwrap();
        let said = AppealCommand::Answer(ruling(AppealOutcome::Upheld, Concerns::Upload));
        let own = command(&f.store, (team, by(dan, 1)), id, &said).await;
        assert_eq!(refused(own), AppealRefusal::OwnDecision);
        // A revoked key holds nothing.
        f.store.revoke_key(dan).await.unwrap();
        let (read, _) = f.store.appeal(team, id).await.unwrap();
        assert_eq!((read.appeal.lease, read.is_without_reviewer), (None, true));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_reviewers_never_hold_one_appeal_and_the_longest_waiting_goes_first() {
    on_both(async |f| {
        let (team, _, decision) = decided(f, ANNA).await;
        let mut ids = Vec::new();
        for number in 0..4 {
            let filed = file(
                &f.store,
                team,
                2,
                &filing(&format!("A-{number}"), 2, Against::Decision(decision)),
            )
            .await;
            ids.push(filed.unwrap().appeal.id);
            f.clock.advance(Milliseconds(1));
        }
        let other = f.another().await;
        let (one, two) = tokio::join!(
            Box::pin(f.store.claim_appeal(team, (BEN, LEASE), None)),
            Box::pin(other.claim_appeal(team, (KeyId(0xc), LEASE), None))
        );
        let mut both = [one.unwrap().unwrap().appeal.id, two.unwrap().unwrap().appeal.id];
        both.sort_by_key(|id| ids.iter().position(|known| known == id));
        assert_eq!(both, ids[..2], "the two that wait longest, one each");
        f.clock.advance(LEASE);
        let again = f
            .store
            .claim_appeal(team, (KeyId(0xd), LEASE), None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (again.appeal.id, again.appeal.fencing),
            (ids[0], 2),
            "a lease that is over holds nothing"
        );
        let late = AppealCommand::Answer(ruling(AppealOutcome::Upheld, Concerns::Upload));
        let stale = command(&f.store, (team, by(BEN, 1)), ids[0], &late).await;
        assert_eq!(refused(stale), AppealRefusal::LeaseStale);
        other.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_one_upload_or_one_member_leaves_the_family_alone() {
    on_both(async |f| {
        let (team, case, decision) = decided(f, ANNA).await;
        events(f).await;
        assert_eq!(opinion(f, 2).await, POSITIVE);
        let filed = file(&f.store, team, 2, &filing("A-1", 2, Against::Block))
            .await
            .unwrap();
        let answered = answer(
            &f.store,
            (team, BEN),
            filed.appeal.id,
            ruling(OVERTURNED, Concerns::Upload),
        )
        .await;
        assert_eq!(
            (answered.event, answered.decision, answered.answered_with),
            (AppealEvent::Answered, None, 0)
        );
        assert_eq!(opinion(f, 2).await, POSITIVE);
        let [DeliveryEvent::Appeal(told)] = &events(f).await[..] else {
            panic!("the answer alone");
        };
        assert_eq!(
            (told.reference.as_str(), told.outcome, told.concerns),
            ("A-1", OVERTURNED, Concerns::Upload)
        );
        assert_eq!((&told.hash, told.verdict), (&hash(2), None));

        let filed = file(&f.store, team, 3, &filing("A-2", 3, Against::Block))
            .await
            .unwrap();
        f.clock.advance(Milliseconds(1));
        let id = filed.appeal.id;
        answer(&f.store, (team, BEN), id, ruling(OVERTURNED, Concerns::Member)).await;
        assert_eq!(
            opinion(f, 3).await,
            None,
            "the party's opinion of the member is withdrawn"
        );
        assert_eq!(opinion(f, 2).await, POSITIVE, "and of no other");
        let told = f
            .store
            .member_decisions(team, &[ContentId(2), ContentId(3)])
            .await
            .unwrap();
        assert_eq!(told.into_keys().collect::<Vec<_>>(), [ContentId(2)]);
        // Read again from the beginning, as at each start: it stays out of it.
        fan(f, team, 0).await;
        let (stands, now) = f.store.case(team, case).await.unwrap();
        assert_eq!(
            (stands.state(now), stands.decision.unwrap().id),
            (CaseState::Decided, decision)
        );
        // The answer was lost.
        let said = AppealCommand::Answer(ruling(OVERTURNED, Concerns::Member));
        let again = command(&f.store, (team, by(BEN, 1)), id, &said).await.unwrap();
        assert_eq!(again.event, AppealEvent::SaidBefore);
        let [DeliveryEvent::Appeal(_)] = &events(f).await[..] else {
            panic!("told once");
        };
        // What a person decides later is about all that they do not except.
        f.clock.advance(Milliseconds(1));
        let (held, _) = f.store.claim(team, case, BEN, LEASE).await.unwrap();
        f.store
            .decide(team, case, (BEN, held.fencing), (Verdict::Violating, "all of it"))
            .await
            .unwrap();
        fan(f, team, 4).await;
        let (answers, counts, _) = f.store.answered_appeals(team, LEASE).await.unwrap();
        assert_eq!((answers.len(), counts.waiting), (2, 0));
        assert_eq!(
            (answers[0].concerns, answers[0].cause),
            (Concerns::Member, Some(AppealCause::NearPicture))
        );
        assert_eq!(answers[0].answered_at - answers[0].filed_at, Milliseconds(1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_that_is_overturned_is_decided_anew_for_all_and_answers_the_others() {
    on_both(async |f| {
        let (team, case, decision) = decided(f, ANNA).await;
        f.store
            .outbox_acknowledge(&outbox(f).await.iter().map(|entry| entry.0).collect::<Vec<_>>())
            .await
            .unwrap();
        events(f).await;
        let mut ids = Vec::new();
        for (reference, content) in [("A-1", 2), ("A-2", 3), ("A-3", 4)] {
            let filed = file(&f.store, team, content, &filing(reference, content, Against::Block)).await;
            ids.push(filed.unwrap().appeal.id);
        }
        // Another one holds the second; and somebody is at the case.
        command(&f.store, (team, by(KeyId(0xc), 0)), ids[1], &CLAIM)
            .await
            .unwrap();
        let held = command(&f.store, (team, by(BEN, 0)), ids[0], &CLAIM).await.unwrap();
        let said = AppealCommand::Answer(ruling(OVERTURNED, Concerns::Family));
        let me = (team, by(BEN, held.appeal.fencing));
        let (at_it, _) = f.store.claim(team, case, ANNA, LEASE).await.unwrap();
        assert_eq!(refusal(command(&f.store, me, ids[0], &said).await), Refusal::Claimed);
        let (read, _) = f.store.appeal(team, ids[0]).await.unwrap();
        assert_eq!(read.appeal, held.appeal, "nothing of it was done");
        f.store.release(team, case, (ANNA, at_it.fencing)).await.unwrap();

        f.clock.advance(Milliseconds(10));
        let answered = command(&f.store, me, ids[0], &said).await.unwrap();
        let new = answered.decision.unwrap();
        assert_eq!(
            (new.decided_by, new.ruling.verdict, answered.answered_with),
            (BEN, Verdict::Benign, 2)
        );
        let (now_benign, now) = f.store.case(team, case).await.unwrap();
        assert_eq!(now_benign.decision.as_ref(), Some(&new));
        assert_eq!(now_benign.decision_out(now).unwrap().id, new.id);
        assert_eq!(
            outbox(f).await.iter().map(|entry| entry.1).collect::<Vec<_>>(),
            [new.id],
            "to the key groups"
        );
        let due = f.store.due_fans(10).await.unwrap();
        assert!(
            due.iter().any(|due| due.decision == new.id),
            "members are told one by one"
        );
        fan(f, team, 4).await;
        assert_eq!(opinion(f, 2).await, NEGATIVE, "the list hears that it is harmless");
        let told = events(f).await;
        let answers = told
            .iter()
            .filter(|event| matches!(event, DeliveryEvent::Appeal(_)))
            .count();
        let decisions = told.iter().filter_map(|event| match event {
            DeliveryEvent::Decision(told) => Some(told.decision.id),
            _ => None,
        });
        assert_eq!((answers, decisions.collect::<Vec<_>>()), (3, vec![new.id]));
        assert!(
            told.iter().any(|event| matches!(event, DeliveryEvent::Members(_))),
            "restored one by one"
        );
        for id in &ids[1..] {
            let (other, _) = f.store.appeal(team, *id).await.unwrap();
            let answer = other.appeal.answer.unwrap();
            assert_eq!((answer.with, other.appeal.lease), (Some(ids[0]), None));
        }
        let late = (team, by(KeyId(0xc), 1));
        assert_eq!(
            refused(command(&f.store, late, ids[1], &said).await),
            AppealRefusal::Answered
        );
        assert_eq!(page(f, team, Some(AppealState::Open)).await, []);
        // Whoever overturned is no reviewer of the next appeal.
        let next = file(&f.store, team, 5, &filing("A-4", 5, Against::Decision(decision)))
            .await
            .unwrap();
        let own = command(&f.store, (team, by(BEN, 0)), next.appeal.id, &CLAIM).await;
        assert_eq!(refused(own), AppealRefusal::OwnDecision);
        let steps = f.store.case_history(team, case).await.unwrap();
        let kinds: Vec<&str> = steps.iter().take(2).map(|step| step.kind.as_str()).collect();
        assert_eq!(kinds, ["appeal_filed", "appeal_answered"]);
    })
    .await;
}

async fn outbox(f: &Fixture) -> Vec<(i64, DecisionId)> {
    let entries = f.store.outbox_take(10, Milliseconds(1)).await.unwrap();
    entries
        .iter()
        .map(|entry| (entry.sequence, entry.told.decision.id))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_that_a_listing_alone_blocked_is_decided_when_it_is_overturned() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        let team = Team::Party(alpha.id);
        let unseen = (ContentId(50), FamilyId(ContentId(50)));
        let listed = filing("A-1", 50, Against::Block);
        let filed = Box::pin(f.store.file_appeal((team, ANNA), unseen, &listed))
            .await
            .unwrap();
        f.clock.advance(Milliseconds(1));
        let answered = answer(
            &f.store,
            (team, ANNA),
            filed.appeal.id,
            ruling(OVERTURNED, Concerns::Family),
        )
        .await;
        let case = answered.case.unwrap();
        assert_eq!((case.family, case.opened_at), (unseen.1, START + Milliseconds(1)));
        assert_eq!(case.decision.unwrap().ruling.verdict, Verdict::Benign);
        let (read, _) = f.store.appeal(team, filed.appeal.id).await.unwrap();
        assert_eq!(read.appeal.case, Some(case.id));
        assert_eq!(
            queue(&f.store, team, CaseState::Open).await,
            [],
            "nobody is asked to look at it"
        );
        assert_eq!(queue(&f.store, team, CaseState::Decided).await.len(), 1);
        let bounded = async {
            for number in 0..1_000 {
                let filing = filing(&format!("B-{number}"), 60, Against::Block);
                let unseen = (ContentId(60), FamilyId(ContentId(60)));
                Box::pin(f.store.file_appeal((team, ANNA), unseen, &filing))
                    .await
                    .unwrap();
            }
            let one_more = filing("C-1", 60, Against::Block);
            let unseen = (ContentId(60), FamilyId(ContentId(60)));
            Box::pin(f.store.file_appeal((team, ANNA), unseen, &one_more)).await
        };
        assert_eq!(refused(bounded.await), AppealRefusal::TooMany);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_reviewers_who_overturn_one_family_at_once_decide_it_once() {
    on_both(async |f| {
        let (team, case, decision) = decided(f, ANNA).await;
        let other = f.another().await;
        for round in 0..4u32 {
            // Each time somebody else decided it to be violating again.
            let decider = KeyId(0x100 + u128::from(round));
            let (held, _) = f.store.claim(team, case, decider, LEASE).await.unwrap();
            let again = (Verdict::Violating, "again");
            f.store
                .decide(team, case, (decider, held.fencing), again)
                .await
                .unwrap();
            let reviewers = [KeyId(0x200 + u128::from(round)), KeyId(0x300 + u128::from(round))];
            let mut held = Vec::new();
            for (number, who) in reviewers.into_iter().enumerate() {
                let against = Against::Decision(decision);
                let filing = filing(&format!("{round}-{number}"), 2, against);
                let filed = file(&f.store, team, 2, &filing).await.unwrap();
                let claimed = command(&f.store, (team, by(who, 0)), filed.appeal.id, &CLAIM).await;
                held.push((filed.appeal.id, claimed.unwrap().appeal.fencing));
            }
            let said = AppealCommand::Answer(ruling(OVERTURNED, Concerns::Family));
            let (one, two) = tokio::join!(
                command(&f.store, (team, by(reviewers[0], held[0].1)), held[0].0, &said),
                command(&other, (team, by(reviewers[1], held[1].1)), held[1].0, &said)
            );
            let (done, late): (Vec<_>, Vec<_>) = [one, two].into_iter().partition(Result::is_ok);
            assert_eq!((done.len(), late.len()), (1, 1), "round {round}: {late:?}");
            let late = late.into_iter().next().unwrap();
            assert_eq!(refused(late), AppealRefusal::Answered, "it was answered with the other");
            assert_eq!(done[0].as_ref().unwrap().answered_with, 1);
        }
        other.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appeal_follows_its_case_into_another_and_its_deciders_too() {
    on_both(async |f| {
        f.coordinators_cases(2).await;
        let mut cases = queue(&f.store, COORDINATORS, CaseState::Open).await;
        cases.sort_by_key(|case| case.family);
        for (case, who) in cases.iter().zip([BEN, ANNA]) {
            let (held, _) = f.store.claim(COORDINATORS, case.id, who, LEASE).await.unwrap();
            let violating = (Verdict::Violating, "why");
            f.store
                .decide(COORDINATORS, case.id, (who, held.fencing), violating)
                .await
                .unwrap();
        }
        let of_second = (ContentId(2), FamilyId(ContentId(2)));
        let block = filing("A-1", 2, Against::Block);
        let filed = Box::pin(f.store.file_appeal((COORDINATORS, ANNA), of_second, &block))
            .await
            .unwrap();
        assert_eq!(filed.appeal.case, Some(cases[1].id));
        let said = FamilySaid {
            team: COORDINATORS,
            family: of_second.1,
            joined: ONE,
            at: Timestamp(START.0 + 3_600_000),
        };
        let carried = f.store.carry(&said).await.unwrap().0;
        assert!(matches!(carried, Carried::Merged { .. }));
        let id = filed.appeal.id;
        for who in [ANNA, BEN] {
            let own = command(&f.store, (COORDINATORS, by(who, 0)), id, &CLAIM).await;
            assert_eq!(
                refused(own),
                AppealRefusal::OwnDecision,
                "of the case, or of the one that it went into"
            );
        }
        let answered = answer(
            &f.store,
            (COORDINATORS, KeyId(0xc)),
            id,
            ruling(OVERTURNED, Concerns::Family),
        )
        .await;
        assert_eq!(answered.case.unwrap().id, cases[0].id, "what people see is decided");
        assert_eq!(answered.appeal.case, Some(cases[0].id));
    })
    .await;
}
