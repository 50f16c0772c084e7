//! Goal: an appeal is filed once, goes to somebody who did not decide whoever asks, and its answer goes exactly as far as it says, in one step.

use std::collections::BTreeMap;

use tocsin_casework::{
    Against, AppealCause, AppealCommand, AppealEvent, AppealFiling, AppealId, AppealOutcome, AppealRefusal,
    AppealRuling, By, CaseId, CaseState, Concerns, FamilyMember, Team,
};
use tocsin_model::{
    Aggregate, AlertLevel, Algorithm, ContentHash, ContentId, DecisionId, FamilyId, KeyId, Milliseconds, PlatformId,
    Scope, Timestamp, Verdict,
};
use tocsin_store::{
    AppealQuery, AppealState, Appealed, DeliveryEvent, EndpointKind, FannedOut, KeySubject, NewEndpoint, Role, Roles,
    Store, StoreError,
};

use crate::fixture::filings::{self, answer};
use crate::fixture::{Commands as _, Fixture, LEASE, alert, n, on_both};
use crate::{ANNA, BEN, queue};

pub(super) const ONE: FamilyId = FamilyId(ContentId(1));
pub(super) const CLAIM: AppealCommand = AppealCommand::Claim { length: LEASE };

pub(super) fn hash(number: u128) -> ContentHash {
    let mut value = vec![3; 32];
    value[..16].copy_from_slice(&number.to_be_bytes());
    ContentHash::from_bytes(Algorithm::Sha256, value, None).unwrap()
}

pub(super) fn member(number: u128) -> FamilyMember {
    FamilyMember {
        content: ContentId(number),
        hash: hash(number),
        said_at: Timestamp(5),
        is_for_all: true,
    }
}

pub(super) fn filing(reference: &str, content: u128, against: Against) -> AppealFiling {
    AppealFiling {
        against,
        ..filings::appeal(reference, PlatformId(1), hash(content))
    }
}

pub(super) fn ruling(outcome: AppealOutcome, concerns: Concerns) -> AppealRuling {
    let is_overturned = outcome == AppealOutcome::Overturned;
    AppealRuling {
        outcome,
        concerns,
        cause: is_overturned.then_some(AppealCause::NearPicture),
        verdict: (is_overturned && concerns == Concerns::Family).then_some(Verdict::Benign),
        note: "another picture".to_owned(),
    }
}

pub(super) const POSITIVE: Option<Aggregate> = Some(Aggregate::Positive);
pub(super) const NEGATIVE: Option<Aggregate> = Some(Aggregate::Negative);
pub(super) const OVERTURNED: AppealOutcome = AppealOutcome::Overturned;

pub(super) fn by(who: KeyId, fencing: u64) -> By {
    By {
        who,
        fencing,
        version: None,
    }
}

pub(super) fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>) -> AppealRefusal {
    match result {
        Err(StoreError::AppealRefused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// On the heap: a test holds many of them.
pub(super) async fn file(
    store: &Store,
    team: Team,
    content: u128,
    filing: &AppealFiling,
) -> Result<Appealed, StoreError> {
    Box::pin(store.file_appeal((team, ANNA), (ContentId(content), ONE), filing)).await
}

pub(super) async fn command(
    store: &Store,
    by: (Team, By),
    id: AppealId,
    command: &AppealCommand,
) -> Result<Appealed, StoreError> {
    Box::pin(store.command_appeal(by, (id, None), command)).await
}

/// A party with a case of family 1 that this key decided to be violating; its members 2 to 5 were told.
pub(super) async fn decided(f: &Fixture, who: KeyId) -> (Team, CaseId, DecisionId) {
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
    let (held, _) = Box::pin(f.store.claim(team, case.id, who, LEASE)).await.unwrap();
    let violating = (Verdict::Violating, "footage");
    let (case, _) = Box::pin(f.store.decide(team, held.id, (who, held.fencing), violating))
        .await
        .unwrap();
    Box::pin(fan(f, team, 4)).await;
    (team, case.id, case.decision.unwrap().id)
}

pub(super) async fn fan(f: &Fixture, team: Team, told: usize) {
    let members: Vec<FamilyMember> = (2..6).map(member).collect();
    assert_eq!(
        Box::pin(f.store.fan_out((team, ONE), &members)).await.unwrap(),
        FannedOut::Told(told)
    );
}

pub(super) async fn opinion(f: &Fixture, number: u128) -> Option<Aggregate> {
    f.store.opinions_of(&[hash(number)]).await.unwrap()[0]
}

/// What the endpoint is told and was not told before.
pub(super) async fn events(f: &Fixture) -> Vec<DeliveryEvent> {
    let taken = Box::pin(f.store.take_deliveries(&n("hook"), 100, LEASE)).await.unwrap();
    taken.into_iter().map(|delivery| delivery.event).collect()
}

pub(super) async fn page(f: &Fixture, team: Team, state: Option<AppealState>) -> Vec<(String, bool)> {
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
        let (team, case, decision) = Box::pin(decided(f, ANNA)).await;
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
            Box::pin(f.store.claim_appeal(theirs, (BEN, LEASE), None))
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
        let (team, case, decision) = Box::pin(decided(f, ANNA)).await;
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
        let (held, _) = Box::pin(f.store.claim(team, case, old, LEASE)).await.unwrap();
        Box::pin(
            f.store
                .decide(team, case, (old, held.fencing), (Verdict::Violating, "again")),
        )
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
            assert!(
                Box::pin(f.store.claim_appeal(team, (who, LEASE), None))
                    .await
                    .unwrap()
                    .is_none()
            );
        }
        let dan = issue("dan").await;
        assert_eq!(
            page(f, team, Some(AppealState::Open)).await,
            [("A-1".to_owned(), false)]
        );
        assert_eq!(page(f, team, Some(AppealState::WithoutReviewer)).await, []);
        let elsewhere = Box::pin(f.store.claim_appeal(team, (dan, LEASE), Some(PlatformId(9))))
            .await
            .unwrap();
        assert!(elsewhere.is_none(), "of another platform");
        let claimed = Box::pin(f.store.claim_appeal(team, (dan, LEASE), Some(PlatformId(1))))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(claimed.appeal.id, id);
        assert!(
            Box::pin(f.store.claim_appeal(team, (BEN, LEASE), None))
                .await
                .unwrap()
                .is_none(),
            "somebody holds it"
        );
        // They decide about the case while they hold the appeal: now it is not theirs to answer.
        let (held, _) = Box::pin(f.store.claim(team, case, dan, LEASE)).await.unwrap();
        Box::pin(
            f.store
                .decide(team, case, (dan, held.fencing), (Verdict::Violating, "too")),
        )
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
        let (team, _, decision) = Box::pin(decided(f, ANNA)).await;
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
        let again = Box::pin(f.store.claim_appeal(team, (KeyId(0xd), LEASE), None))
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
        let (team, case, decision) = Box::pin(decided(f, ANNA)).await;
        Box::pin(events(f)).await;
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
        let [DeliveryEvent::Appeal(told)] = &Box::pin(events(f)).await[..] else {
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
        Box::pin(answer(&f.store, (team, BEN), id, ruling(OVERTURNED, Concerns::Member))).await;
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
        Box::pin(fan(f, team, 0)).await;
        let (stands, now) = f.store.case(team, case).await.unwrap();
        assert_eq!(
            (stands.state(now), stands.decision.unwrap().id),
            (CaseState::Decided, decision)
        );
        // The answer was lost.
        let said = AppealCommand::Answer(ruling(OVERTURNED, Concerns::Member));
        let again = command(&f.store, (team, by(BEN, 1)), id, &said).await.unwrap();
        assert_eq!(again.event, AppealEvent::SaidBefore);
        let [DeliveryEvent::Appeal(_)] = &Box::pin(events(f)).await[..] else {
            panic!("told once");
        };
        // What a person decides later is about all that they do not except.
        f.clock.advance(Milliseconds(1));
        let (held, _) = Box::pin(f.store.claim(team, case, BEN, LEASE)).await.unwrap();
        Box::pin(
            f.store
                .decide(team, case, (BEN, held.fencing), (Verdict::Violating, "all of it")),
        )
        .await
        .unwrap();
        Box::pin(fan(f, team, 4)).await;
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
