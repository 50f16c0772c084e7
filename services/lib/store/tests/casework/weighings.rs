//! Goal: each family that is overturned because of evidence is told once, as it was written down, with what that evidence came to for this team alone.

use tocsin_casework::{Against, AppealCause, AppealFiling, AppealOutcome, AppealRuling, CaseState, Concerns, Team};
use tocsin_model::{
    Alert, AlertLevel, ContentId, EvidenceCount, EvidenceKind, FamilyId, Milliseconds, PlatformId, PriorityTerm,
    Timestamp, Verdict, Weighing,
};
use tocsin_store::Carried;

use crate::appeals::{OVERTURNED, filing, ruling};
use crate::fixture::filings::answer;
use crate::fixture::{COORDINATORS, Commands as _, Fixture, LEASE, alert, on_both};
use crate::merges::carry;
use crate::{ANNA, BEN, queue};

const TICK: Timestamp = Timestamp(77);
const NEAR: EvidenceKind = EvidenceKind::NearPicture;

/// The party's case of this family, decided to be violating: one of two members that labels speak for, and no list.
async fn decide(f: &Fixture, team: Team, family: u128) {
    let term = |name: &'static str, value| PriorityTerm {
        name: name.into(),
        value,
    };
    let raised = Alert {
        members: 2,
        priority_terms: vec![term("labels", 2.0), term("watch", 0.0)],
        ..alert(family, team.scope(), AlertLevel::Raised, 1)
    };
    f.store.apply_alert(&raised).await.unwrap();
    let open = queue(&f.store, team, CaseState::Open).await;
    let case = open.iter().find(|case| case.family == family_of(family)).unwrap();
    let (held, _) = Box::pin(f.store.claim(team, case.id, ANNA, LEASE)).await.unwrap();
    let violating = (Verdict::Violating, "footage");
    Box::pin(f.store.decide(team, case.id, (ANNA, held.fencing), violating))
        .await
        .unwrap();
}

fn family_of(number: u128) -> FamilyId {
    FamilyId(ContentId(number))
}

async fn appealed(f: &Fixture, (team, platform): (Team, PlatformId), family: u128, ruling: AppealRuling) {
    let content = (ContentId(family), family_of(family));
    let filing = AppealFiling {
        platform,
        ..filing(&format!("A-{family}"), family, Against::Block)
    };
    let filed = Box::pin(f.store.file_appeal((team, ANNA), content, &filing)).await;
    answer(&f.store, (team, BEN), filed.unwrap().appeal.id, ruling).await;
}

async fn overturn(f: &Fixture, team: (Team, PlatformId), family: u128, cause: AppealCause) {
    let because = AppealRuling {
        cause: Some(cause),
        ..ruling(OVERTURNED, Concerns::Family)
    };
    appealed(f, team, family, because).await;
}

fn count(kind: EvidenceKind, stood: u32, overturned: u32) -> EvidenceCount {
    EvidenceCount {
        kind,
        stood,
        overturned,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overturned_family_is_told_once_as_it_was_written_down() {
    on_both(async |f| {
        let alpha = f.party("alpha").await.0;
        let team = Team::Party(alpha.id);
        let own = (team, alpha.platforms[0].0);
        for family in 1..=6 {
            decide(f, team, family).await;
        }
        assert!(!f.store.weighing_is_pending().await.unwrap());
        // What people judged wrongly, and what does not go for a family, lowers nothing; nor does what stands.
        overturn(f, own, 1, AppealCause::Judgement).await;
        appealed(f, own, 2, ruling(OVERTURNED, Concerns::Member)).await;
        appealed(f, own, 3, ruling(AppealOutcome::Upheld, Concerns::Family)).await;
        assert!(!f.store.weighing_is_pending().await.unwrap());

        f.clock.advance(Milliseconds(10));
        overturn(f, own, 4, AppealCause::NearPicture).await;
        assert!(f.store.weighing_is_pending().await.unwrap());
        assert_eq!(f.store.unpublished_weighings().await.unwrap(), [], "not numbered yet");
        let length = Milliseconds::from_minutes(1);
        assert!(f.store.hold_calibrator("one", length).await.unwrap());
        assert_eq!(f.store.weigh_overturned("another", TICK).await.unwrap(), 0);
        assert_eq!(f.store.weigh_overturned("one", TICK).await.unwrap(), 1);
        // Decided since, it stood: but what was written down is what is said, after a crash too.
        decide(f, team, 7).await;
        let first = Weighing {
            number: 1,
            scope: team.scope(),
            at: TICK,
            // Of the six four stand as violating.
            counts: vec![count(NEAR, 4, 1)],
        };
        for _ in 0..2 {
            assert_eq!(
                f.store.weigh_overturned("one", TICK + Milliseconds(9)).await.unwrap(),
                0
            );
            assert_eq!(
                f.store.unpublished_weighings().await.unwrap(),
                std::slice::from_ref(&first)
            );
        }
        f.store.weighings_published(1).await.unwrap();
        assert!(!f.store.weighing_is_pending().await.unwrap());
        assert_eq!(f.store.latest_weighings().await.unwrap(), [first]);

        // Of another kind, and of another team, which moves nothing here.
        let beta = f.party("beta").await.0;
        let other = Team::Party(beta.id);
        decide(f, other, 4).await;
        overturn(f, (other, beta.platforms[0].0), 40, AppealCause::Listing).await;
        overturn(f, own, 5, AppealCause::Label).await;
        overturn(f, own, 6, AppealCause::NearPicture).await;
        assert_eq!(f.store.weigh_overturned("one", TICK).await.unwrap(), 3);
        let told = f.store.unpublished_weighings().await.unwrap();
        let told: Vec<_> = told
            .into_iter()
            .map(|told| (told.number, told.scope, told.counts))
            .collect();
        let (own_scope, others) = (team.scope(), other.scope());
        let label = EvidenceKind::Label;
        assert_eq!(
            told,
            [
                (2, others, vec![count(EvidenceKind::Listing, 0, 1)]),
                (4, own_scope, vec![count(NEAR, 3, 2), count(label, 3, 1)]),
            ]
        );
        f.store.weighings_published(4).await.unwrap();

        // Three months later all of that is over.
        f.clock.advance(Weighing::HOLDS_FOR);
        overturn(f, own, 8, AppealCause::Frames).await;
        assert!(f.store.hold_calibrator("one", length).await.unwrap());
        assert_eq!(f.store.weigh_overturned("one", TICK).await.unwrap(), 1);
        let told = f.store.latest_weighings().await.unwrap();
        assert_eq!(
            told.iter().map(|told| told.number).collect::<Vec<_>>(),
            [2, 5],
            "the latest of each team"
        );
        assert_eq!(told[1].counts, [count(EvidenceKind::Frames, 0, 1)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn families_that_became_one_stand_once_by_what_spoke_when_they_were_decided() {
    on_both(async |f| {
        let platform = f.party("alpha").await.0.platforms[0].0;
        for family in [1, 2, 3] {
            decide(f, COORDINATORS, family).await;
        }
        assert!(matches!(carry(&f.store, (2, 1, 5)).await, Carried::Merged { .. }));
        // This one closed without a decision, and its alert names no evidence: it takes the decision of what joins it.
        for level in [AlertLevel::Raised, AlertLevel::Subsided] {
            let alert = alert(4, COORDINATORS.scope(), level, 1);
            f.store.apply_alert(&alert).await.unwrap();
        }
        decide(f, COORDINATORS, 5).await;
        assert!(matches!(carry(&f.store, (5, 4, 6)).await, Carried::Merged { .. }));
        overturn(f, (COORDINATORS, platform), 3, AppealCause::Label).await;
        assert!(
            f.store
                .hold_calibrator("one", Milliseconds::from_minutes(1))
                .await
                .unwrap()
        );
        f.store.weigh_overturned("one", TICK).await.unwrap();
        let told = f.store.unpublished_weighings().await.unwrap();
        // One of the first two, and the fourth by the decision of the fifth.
        assert_eq!(told[0].counts, [count(EvidenceKind::Label, 2, 1)]);
    })
    .await;
}
