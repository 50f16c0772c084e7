//! What people decide about a case in another tool: Coop calls back, Ozone is asked.

use tocsin_casework::{By, Case, CaseId, CaseState, Command, Event, NOTE_BYTES_MAX, Refusal, Ruling, Team};
use tocsin_failpoint::{FailPoint, reach};
use tocsin_model::{DecisionId, KeyId, Milliseconds, RecommendedAction, Timestamp};
use tocsin_store::{Commanded, StoreError};

use crate::Dispatcher;
use crate::telemetry::StoreFailed;

/// How long the case is held while it is decided.
pub(crate) const LEASE: Milliseconds = Milliseconds::from_minutes(1);

/// Why a case did not take it.
#[derive(Debug)]
pub(crate) enum Refused {
    /// By the rules of casework.
    Rules(Refusal),
    /// The store did not answer, or the key is no good.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        match error {
            StoreError::Refused(refusal) => Refused::Rules(refusal),
            error => Refused::Store(error),
        }
    }
}

impl From<Refused> for StoreError {
    fn from(refused: Refused) -> StoreError {
        match refused {
            Refused::Rules(refusal) => StoreError::Refused(refusal),
            Refused::Store(error) => error,
        }
    }
}

impl Dispatcher {
    /// Claims a case and decides it. The ruling was checked, so that what is refused is refused before anything changes.
    /// `case` is as it was read last.
    pub(crate) async fn decide_at_once(
        &self,
        by: (Team, KeyId),
        case: &Case,
        (id, ruling): (DecisionId, &Ruling),
    ) -> Result<(Case, Timestamp), Refused> {
        if ruling.grounds.action == Some(RecommendedAction::StopStream) && !case.is_live() {
            return Err(Refused::Rules(Refusal::NotLive));
        }
        let decide = Command::Decide {
            id,
            ruling: ruling.clone(),
            undo_for: self.config.undo(),
        };
        self.claim_and(by, case.id, &decide).await
    }

    /// Claims a case and does something with it that gives it back; refused, it is given back all the same.
    pub(crate) async fn claim_and(
        &self,
        (team, who): (Team, KeyId),
        case: CaseId,
        command: &Command,
    ) -> Result<(Case, Timestamp), Refused> {
        let by = |fencing| By {
            who,
            fencing,
            version: None,
        };
        let claim = Command::Claim { length: LEASE };
        let claimed = self.done(self.store.command(team, case, by(0), &claim).await?);
        reach(FailPoint::ClaimedElsewhere);
        let by = by(claimed.case.fencing);
        match self.store.command(team, case, by, command).await {
            Ok(done) => {
                let done = self.done(done);
                Ok((done.case, done.now))
            }
            Err(error) => {
                // Where this fails too, the lease ends by itself.
                let release = Command::Release { note: String::new() };
                if let Ok(released) = self.store.command(team, case, by, &release).await {
                    self.done(released);
                }
                Err(error.into())
            }
        }
    }

    /// Keeps in the history what a person wanted and the case did not take, for whoever has it in hand: the kind of step, the code of the refusal, and what
    /// they said.
    pub(crate) async fn note_refused(
        &self,
        (team, who): (Team, KeyId),
        case: CaseId,
        (kind, code, said): (&'static str, &str, &str),
    ) {
        let said = cut(said.trim(), NOTE_BYTES_MAX);
        if let Err(error) = self.store.note_step((team, case), who, (kind, code, said)).await {
            StoreFailed { error: &error }.emit(&self.metrics);
        }
    }

    /// Tells the ranks, the log and the endpoints what was done.
    pub(crate) fn done(&self, done: Commanded) -> Commanded {
        reach(FailPoint::CommandStored);
        self.ranking.changed(&done.case, done.now);
        if let Event::Decided(_) = done.event {
            self.decided.notify_one();
            self.told.notify_one();
        }
        done
    }
}

/// Whether this is what stands already, by this key: a case that came back is decided anew.
pub(crate) fn stands(case: &Case, now: Timestamp, (key, ruling): (KeyId, &Ruling)) -> bool {
    let decision = case.decision.as_ref();
    let is_same = decision.is_some_and(|decision| decision.decided_by == key && decision.ruling == *ruling);
    is_same && case.state(now) == CaseState::Decided && !case.is_disputed()
}

/// A ruling in words.
pub(crate) fn words(ruling: &Ruling) -> String {
    let action = ruling.grounds.action.map_or("", |action| action.name());
    format!("{} {action} {}", ruling.verdict.name(), ruling.rationale)
}

/// As much of a text as fits.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}
