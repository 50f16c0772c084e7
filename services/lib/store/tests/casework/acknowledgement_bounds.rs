//! Goal: nothing is waited for where nobody is to remove anything, and what is kept of one decision is bounded.
use tocsin_casework::{CaseState, Team};
use tocsin_model::{RecommendedAction, Verdict};
use tocsin_store::{ACKNOWLEDGEMENTS_MAX, MemberTally};

use crate::acknowledgements::{Desk, UNDO, desk, hear, tally};
use crate::fixture::on_both;
use crate::queue;

#[tokio::test(flavor = "multi_thread")]
async fn what_recommends_nothing_or_is_the_coordinators_waits_for_nothing_and_room_is_bounded() {
    on_both(async |f| {
        let desk = desk(f).await;
        let labelled = desk
            .decide(f, (Verdict::Violating, Some(RecommendedAction::Label)))
            .await;
        f.clock.advance(UNDO);
        assert_eq!(f.store.awaiting(labelled).await.unwrap(), None);
        assert_eq!(f.store.acknowledge(labelled, &[]).await.unwrap(), None);
        f.coordinators_cases(1).await;
        let case = queue(&f.store, Team::Coordinators, CaseState::Open).await[0].id;
        let coordinators = Desk {
            team: Team::Coordinators,
            case,
            ..desk
        };
        let decision = coordinators.remove(f).await;
        assert_eq!(f.store.awaiting(decision).await.unwrap(), None);
        assert_eq!(f.store.followed_decisions().await.unwrap(), (Vec::new(), 0));

        let decision = desk.remove(f).await;
        let many: Vec<MemberTally> = (0..=ACKNOWLEDGEMENTS_MAX as u128)
            .map(|member| desk.told(100 + member, tally(&[0], &[]), true))
            .collect();
        let mut left_out = 0;
        for heard in many.chunks(tocsin_store::HEARD_MAX) {
            left_out += hear(&f.store, decision, heard).await.left_out;
        }
        assert_eq!(left_out, 1);
        let counts = f.store.acknowledgements(decision, 1).await.unwrap().1;
        assert_eq!(counts.all, ACKNOWLEDGEMENTS_MAX as u64);
    })
    .await;
}
