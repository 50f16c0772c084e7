//! Goal: what somebody did is summed up from what is kept of them alone, and a decision that was taken back is none.
use crate::fixture::{COORDINATORS, Commands as _, LEASE, on_both};
use crate::{ANNA, BEN};
use tocsin_casework::{Command, PauseRules, Ruling};
use tocsin_model::{DecisionId, Milliseconds, Verdict};

const RULES: PauseRules = PauseRules {
    after: Some(Milliseconds::from_minutes(50)),
    after_cases: None,
    length: Milliseconds::from_minutes(10),
};
const DAY: Milliseconds = Milliseconds::from_hours(24);

fn decide(id: u128, verdict: Verdict) -> Command {
    Command::Decide {
        id: DecisionId(id),
        ruling: Ruling::of(verdict, "seen"),
        undo_for: Milliseconds::from_seconds(5),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shift_is_what_one_person_did() {
    on_both(async |f| {
        f.coordinators_cases(3).await;
        let shift = async |key, length| f.store.shift(key, length, &RULES).await.unwrap().0;
        assert_eq!(shift(ANNA, DAY).await.began_at, None);
        for (number, verdict) in [(1_u128, Verdict::Violating), (2, Verdict::Benign)] {
            let (case, _) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
            f.store
                .command_as(case.id, (ANNA, 1), decide(number, verdict))
                .await
                .unwrap();
            if verdict == Verdict::Benign {
                let decision = DecisionId(number);
                let withdraw = Command::Withdraw {
                    decision,
                    length: LEASE,
                };
                f.store.command_as(case.id, (ANNA, 0), withdraw).await.unwrap();
            }
            f.clock.advance(Milliseconds::from_minutes(4));
        }
        let (case, _) = f.store.best(COORDINATORS, BEN, LEASE).await.unwrap().unwrap();
        let skip = Command::Skip {
            reason: "another language".to_owned(),
        };
        f.store.command_as(case.id, (BEN, 1), skip).await.unwrap();

        let of_anna = shift(ANNA, DAY).await;
        assert_eq!((of_anna.cases_seen, of_anna.given_back), (2, 0));
        let decided = [Verdict::Violating, Verdict::Benign].map(|verdict| of_anna.decided_as(verdict));
        assert_eq!(decided, [1, 0], "what was taken back is no decision");
        assert_eq!(
            (of_anna.began_at, of_anna.working_since),
            (Some(crate::fixture::START), of_anna.began_at)
        );
        let of_ben = shift(BEN, DAY).await;
        assert_eq!((of_ben.cases_seen, of_ben.given_back), (1, 1));
        f.clock.advance(Milliseconds::from_minutes(9));
        assert_eq!(shift(ANNA, DAY).await.working_since, None, "a pause");
        let latest = shift(ANNA, Milliseconds::from_minutes(15)).await;
        assert_eq!(latest.cases_seen, 1, "the first case is longer ago");
    })
    .await;
}
