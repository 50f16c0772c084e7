//! Goal: a case that the days cut in the middle counts with what had happened by their end; a team with nothing has a report of nothing; and nothing of another
//! team shows in any byte.

use tocsin_casework::{By, CaseId, CaseState, Command, Filter, Ruling, Team};
use tocsin_model::{AlertLevel, DecisionId, KeyId, Milliseconds, Scope, Verdict};
use tocsin_report::Amount;
use tocsin_store::{QueueQuery, Store, StoreError};

use crate::fixture::{COORDINATORS, Commands as _, Fixture, LEASE, alert, on_both};
use crate::{amount, days, exact};

/// The first case that waits.
pub async fn waiting(store: &Store, team: Team) -> CaseId {
    let query = QueueQuery {
        team,
        state: CaseState::Open,
        filter: Filter::default(),
        urgent_within: Milliseconds(0),
        limit: 1,
        after: None,
    };
    store.queue(&query).await.unwrap().cases[0].id
}

async fn decide(store: &Store, team: Team, who: KeyId, verdict: Verdict) {
    let case = waiting(store, team).await;
    let (held, _) = store.claim(team, case, who, LEASE).await.unwrap();
    let by = By {
        who,
        fencing: held.fencing,
        version: None,
    };
    let decide = Command::Decide {
        id: DecisionId(rand::random()),
        ruling: Ruling::of(verdict, "why"),
        undo_for: Milliseconds(0),
    };
    store.command(team, case, by, &decide).await.unwrap();
}

async fn ring(f: &Fixture, family: u128, scope: Scope) {
    f.store
        .apply_alert(&alert(family, scope, AlertLevel::Raised, 1))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_the_days_cut_counts_with_what_was_known_at_their_end() {
    on_both(async |f| {
        let (alpha, who, _) = f.party("alpha").await;
        let team = Team::Party(alpha.id);
        ring(f, 1, Scope::Party(alpha.id)).await;
        f.clock.advance(Milliseconds::from_hours(48));
        decide(&f.store, team, who, Verdict::Benign).await;

        let report = async |first, count| {
            let tally = f.store.tally(team, days(first, count)).await.unwrap();
            tocsin_report::transparency(&tally)
        };
        let before = report(0, 2).await;
        assert_eq!(amount(&before, "undecided[]"), exact(1));
        assert_eq!(amount(&before, "decided[verdict=benign]"), None);
        assert_eq!(amount(&before, "decisions[verdict=benign,action=none]"), None);
        assert_eq!(
            amount(&before, "false_alarms[]"),
            Some(Amount::Between { low: 0, high: 1 })
        );
        assert_eq!(amount(&before, "measured[step=claim]"), None);
        assert!(before.is_over);

        let whole = report(0, 3).await;
        assert_eq!(amount(&whole, "undecided[]"), exact(0));
        assert_eq!(amount(&whole, "false_alarms[]"), exact(1));
        assert_eq!(amount(&whole, "measured[step=decision]"), exact(1));
        assert!(!whole.is_over, "the third day goes on");

        let after = report(2, 2).await;
        assert_eq!(amount(&after, "opened[content=picture]"), None, "it was opened before");
        assert_eq!(amount(&after, "decisions[verdict=benign,action=none]"), exact(1));
        // What is told later changes nothing of days that are over.
        f.clock.advance(Milliseconds::from_hours(100));
        ring(f, 2, Scope::Party(alpha.id)).await;
        decide(&f.store, team, who, Verdict::Violating).await;
        assert_eq!(report(0, 2).await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_without_anything_has_a_report_of_nothing_whatever_others_do() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        let (beta, other, _) = f.party("beta").await;
        let told = async || {
            let mut text = String::new();
            for team in [Team::Party(alpha.id), COORDINATORS] {
                let tally = f.store.tally(team, days(0, 5)).await.unwrap();
                text.push_str(&format!("{:?}", tocsin_report::transparency(&tally)));
                text.push_str(&format!("{:?}", tocsin_report::terrorist_content(&tally)));
            }
            text
        };
        let nothing = told().await;
        assert!(!nothing.contains("beta"), "{nothing}");
        ring(f, 1, Scope::Party(beta.id)).await;
        decide(&f.store, Team::Party(beta.id), other, Verdict::Violating).await;
        assert_eq!(told().await, nothing);
        let tally = f.store.tally(Team::Party(beta.id), days(0, 1)).await.unwrap();
        let report = tocsin_report::transparency(&tally);
        assert_eq!(amount(&report, "decided[verdict=violating]"), exact(1));
        let tally = f.store.tally(Team::Party(alpha.id), days(0, 1)).await.unwrap();
        let report = tocsin_report::transparency(&tally);
        assert_eq!(amount(&report, "undecided[]"), exact(0));
        assert!(
            matches!(amount(&report, "other_labels[]"), Some(Amount::Unknown { .. })),
            "not known is not 0"
        );
        let nobody = f.store.tally(Team::Party(tocsin_model::PartyId(99)), days(0, 1)).await;
        assert!(matches!(nobody, Err(StoreError::NoSuchParty { .. })), "{nobody:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_leave_nothing_out_and_tell_nothing_twice() {
    on_both(async |f| {
        f.coordinators_cases(1_203).await;
        let tally = f.store.tally(COORDINATORS, days(0, 1)).await.unwrap();
        let report = tocsin_report::transparency(&tally);
        assert_eq!(amount(&report, "opened[content=picture]"), exact(1_203));
        assert_eq!(amount(&report, "measured[step=alert]"), exact(1_203));
    })
    .await;
}
