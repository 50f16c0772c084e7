use tocsin_model::{DecisionId, KeyId, Milliseconds, Timestamp, Verdict};

use crate::case::{Case, CaseDecision, Lease, Resting};

/// The shortest lease.
pub const LEASE_MIN: Milliseconds = Milliseconds::from_seconds(1);
/// The longest lease.
pub const LEASE_MAX: Milliseconds = Milliseconds::from_hours(1);
/// The longest rationale, in bytes of UTF-8.
pub const RATIONALE_BYTES_MAX: usize = 8_192;

/// Why a command on a case is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// There is no such case in the team's queue: it never was, or it is another team's.
    #[error("there is no such case")]
    NoSuchCase,
    /// Somebody holds it.
    #[error("the case is claimed")]
    Claimed,
    /// The spread subsided before anybody decided; a new alert opens it again.
    #[error("the case is closed")]
    Closed,
    /// The fencing number is not that of the last lease, or the lease was given back, or it is another key's.
    #[error("the lease with this fencing number does not hold the case")]
    LeaseStale,
    /// The lease is over. The case can be claimed again.
    #[error("the lease is over")]
    LeaseExpired,
    /// The length of the lease is outside [`LEASE_MIN`] to [`LEASE_MAX`].
    #[error("a lease lasts 1 second to 1 hour")]
    LeaseLength,
    /// The rationale is longer than [`RATIONALE_BYTES_MAX`].
    #[error("a rationale has at most 8192 bytes")]
    RationaleLength,
    /// The rationale holds a NUL character, which PostgreSQL cannot store.
    #[error("a rationale holds no NUL character")]
    RationaleMalformed,
}

/// How a decision was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It is new.
    Made(CaseDecision),
    /// The same holder said the same under the same lease before (its answer was lost): the first decision stands.
    MadeBefore(CaseDecision),
}

impl Refusal {
    /// All refusals.
    pub const ALL: [Refusal; 8] = [
        Refusal::NoSuchCase,
        Refusal::Claimed,
        Refusal::Closed,
        Refusal::LeaseStale,
        Refusal::LeaseExpired,
        Refusal::LeaseLength,
        Refusal::RationaleLength,
        Refusal::RationaleMalformed,
    ];

    /// A stable name for problem documents and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Refusal::NoSuchCase => "case_unknown",
            Refusal::Claimed => "case_claimed",
            Refusal::Closed => "case_closed",
            Refusal::LeaseStale => "lease_stale",
            Refusal::LeaseExpired => "lease_expired",
            Refusal::LeaseLength => "lease_length",
            Refusal::RationaleLength => "rationale_too_long",
            Refusal::RationaleMalformed => "rationale_malformed",
        }
    }
}

impl Ruling {
    /// The decision that stands.
    pub fn decision(&self) -> &CaseDecision {
        match self {
            Ruling::Made(decision) | Ruling::MadeBefore(decision) => decision,
        }
    }
}

impl Case {
    /// Gives the case to `who` for `length` under a new fencing number. A decided case may be claimed too, to decide again.
    ///
    /// # Errors
    /// Somebody holds it, it is closed, or the length is out of range.
    pub fn claim(&mut self, who: KeyId, length: Milliseconds, now: Timestamp) -> Result<Lease, Refusal> {
        check_length(length)?;
        if self.live_lease(now).is_some() {
            return Err(Refusal::Claimed);
        }
        if self.resting == Resting::Closed {
            return Err(Refusal::Closed);
        }
        let lease = Lease {
            holder: who,
            expires_at: now + length,
        };
        self.fencing += 1;
        self.lease = Some(lease);
        Ok(lease)
    }

    /// Lets the lease end `length` from now.
    ///
    /// # Errors
    /// The lease does not hold, or the length is out of range.
    pub fn renew(&mut self, who: KeyId, fencing: u64, length: Milliseconds, now: Timestamp) -> Result<Lease, Refusal> {
        check_length(length)?;
        let lease = Lease {
            expires_at: now + length,
            ..self.held(who, fencing, now)?
        };
        self.lease = Some(lease);
        Ok(lease)
    }

    /// Gives the case back.
    ///
    /// # Errors
    /// The lease does not hold.
    pub fn release(&mut self, who: KeyId, fencing: u64, now: Timestamp) -> Result<(), Refusal> {
        self.held(who, fencing, now)?;
        self.lease = None;
        Ok(())
    }

    /// Decides the case and gives it back. `id` is the identity of the decision, if it is new. An earlier decision is replaced.
    ///
    /// # Errors
    /// The lease does not hold, or the rationale is too long or malformed.
    pub fn decide(
        &mut self,
        id: DecisionId,
        (who, fencing): (KeyId, u64),
        (verdict, rationale): (Verdict, &str),
        now: Timestamp,
    ) -> Result<Ruling, Refusal> {
        if rationale.len() > RATIONALE_BYTES_MAX {
            return Err(Refusal::RationaleLength);
        }
        if rationale.contains('\0') {
            return Err(Refusal::RationaleMalformed);
        }
        if let Some(before) = &self.decision {
            let same = before.fencing == fencing && before.decided_by == who && before.verdict == verdict;
            if same && before.rationale == rationale {
                return Ok(Ruling::MadeBefore(before.clone()));
            }
        }
        self.held(who, fencing, now)?;
        let decision = CaseDecision {
            id,
            verdict,
            rationale: rationale.to_owned(),
            decided_by: who,
            decided_at: now,
            fencing,
        };
        self.lease = None;
        self.resting = Resting::Decided;
        self.decision = Some(decision.clone());
        Ok(Ruling::Made(decision))
    }

    /// The lease, if it is this holder's, has this number and is not over.
    fn held(&self, who: KeyId, fencing: u64, now: Timestamp) -> Result<Lease, Refusal> {
        let lease = self
            .lease
            .filter(|lease| lease.holder == who && self.fencing == fencing);
        let lease = lease.ok_or(Refusal::LeaseStale)?;
        if now < lease.expires_at {
            Ok(lease)
        } else {
            Err(Refusal::LeaseExpired)
        }
    }
}

fn check_length(length: Milliseconds) -> Result<(), Refusal> {
    match (LEASE_MIN..=LEASE_MAX).contains(&length) {
        true => Ok(()),
        false => Err(Refusal::LeaseLength),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: whatever is tried in whatever order, a case has one holder at most, and who does not hold it changes nothing.
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use tocsin_model::{AlertLevel, Scope};

    use super::*;
    use crate::alert_rules::tests::{alert, open};

    #[derive(Clone, Debug)]
    enum Command {
        Claim(u128),
        Renew(u128, u64),
        Release(u128, u64),
        Decide(u128, u64, u8),
        Alert(u8, u32),
        Wait(i64),
    }

    fn command() -> impl Strategy<Value = Command> {
        let who = 0..3u128;
        let fencing = 0..6u64;
        prop_oneof![
            who.clone().prop_map(Command::Claim),
            (who.clone(), fencing.clone()).prop_map(|(who, fencing)| Command::Renew(who, fencing)),
            (who.clone(), fencing.clone()).prop_map(|(who, fencing)| Command::Release(who, fencing)),
            (who, fencing, 1..=5u8).prop_map(|(who, fencing, verdict)| Command::Decide(who, fencing, verdict)),
            (1..=4u8, 1..4u32).prop_map(|(level, episode)| Command::Alert(level, episode)),
            (1..8_000i64).prop_map(Command::Wait),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn one_holder_at_most_and_nobody_else_writes(commands in proptest::collection::vec(command(), 0..60)) {
            let length = Milliseconds::from_seconds(5);
            let mut case = open();
            let mut now = Timestamp(1_000);
            // The small model: who got the last lease, and until when it lasts.
            let mut held: Option<(KeyId, u64, Timestamp)> = None;
            for (step, command) in commands.into_iter().enumerate() {
                let before = case.clone();
                let holds = |who: u128, fencing: u64| {
                    held.is_some_and(|(key, number, until)| key == KeyId(who) && number == fencing && now < until)
                };
                match command {
                    Command::Claim(who) => {
                        let is_free = held.is_none_or(|(_, _, until)| now >= until) && before.resting != Resting::Closed;
                        prop_assert_eq!(case.claim(KeyId(who), length, now).is_ok(), is_free);
                        if is_free {
                            prop_assert_eq!(case.fencing, before.fencing + 1);
                            held = Some((KeyId(who), case.fencing, now + length));
                        }
                    }
                    Command::Renew(who, fencing) => {
                        let allowed = holds(who, fencing);
                        prop_assert_eq!(case.renew(KeyId(who), fencing, length, now).is_ok(), allowed);
                        if allowed {
                            held = Some((KeyId(who), fencing, now + length));
                        }
                    }
                    Command::Release(who, fencing) => {
                        let allowed = holds(who, fencing);
                        prop_assert_eq!(case.release(KeyId(who), fencing, now).is_ok(), allowed);
                        if allowed {
                            held = None;
                        }
                    }
                    Command::Decide(who, fencing, verdict) => {
                        let allowed = holds(who, fencing);
                        let verdict = Verdict::from_number(verdict).unwrap();
                        let ruling = case.decide(DecisionId(step as u128), (KeyId(who), fencing), (verdict, "why"), now);
                        prop_assert_eq!(matches!(ruling, Ok(Ruling::Made(_))), allowed);
                        if allowed {
                            prop_assert_eq!(case.resting, Resting::Decided);
                            held = None;
                        } else {
                            prop_assert_eq!(&case, &before);
                        }
                    }
                    Command::Alert(level, episode) => {
                        let level = AlertLevel::from_number(level).unwrap();
                        case.apply_alert(&alert(Scope::All, level, episode, 20 + step as i64));
                        prop_assert_eq!((case.lease, case.fencing, &case.decision), (before.lease, before.fencing, &before.decision));
                    }
                    Command::Wait(length) => now = now + Milliseconds(length),
                }
                let is_held = held.is_some_and(|(_, _, until)| now < until);
                prop_assert_eq!(case.live_lease(now).is_some(), is_held);
            }
        }
    }

    #[test]
    fn codes_are_unique() {
        let codes: std::collections::BTreeSet<_> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
    }
}
