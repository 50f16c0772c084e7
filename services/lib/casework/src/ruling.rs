use tocsin_model::{DecisionId, Grounds, KeyId, Timestamp, Verdict};

use crate::command::Refusal;

/// The longest rationale, in bytes of UTF-8.
pub const RATIONALE_BYTES_MAX: usize = 8_192;
/// The longest name of a policy, in bytes of UTF-8.
pub const POLICY_BYTES_MAX: usize = 256;
/// The most members that a decision excepts.
pub const EXCEPTIONS_MAX: usize = 256;

/// What a person decides about a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What it is.
    pub verdict: Verdict,
    /// Policy, recommended action, confidence, and the members it is not about.
    pub grounds: Grounds,
    /// Why, in the words of those who decide. It stays with the team.
    pub rationale: String,
}

/// A decision about a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseDecision {
    /// Its identity.
    pub id: DecisionId,
    /// What was decided.
    pub ruling: Ruling,
    /// The key that decided.
    pub decided_by: KeyId,
    /// When, by the store's clock.
    pub decided_at: Timestamp,
    /// The number of the lease under which it was decided.
    pub fencing: u64,
}

impl Ruling {
    /// A verdict that names no policy and recommends nothing.
    pub fn of(verdict: Verdict, rationale: &str) -> Ruling {
        Ruling {
            verdict,
            grounds: Grounds::default(),
            rationale: rationale.to_owned(),
        }
    }

    /// The same with its exceptions in order, each once.
    ///
    /// # Errors
    /// A part of it is too long, out of range or malformed.
    pub fn checked(&self) -> Result<Ruling, Refusal> {
        check_text(&self.rationale, &self.grounds)?;
        let mut ruling = self.clone();
        ruling.grounds.exceptions.sort_unstable();
        ruling.grounds.exceptions.dedup();
        Ok(ruling)
    }
}

pub(crate) fn check_text(rationale: &str, grounds: &Grounds) -> Result<(), Refusal> {
    let refusals = [
        (rationale.len() > RATIONALE_BYTES_MAX, Refusal::RationaleLength),
        (rationale.contains('\0'), Refusal::RationaleMalformed),
        (
            grounds.policy.len() > POLICY_BYTES_MAX || grounds.policy.contains('\0'),
            Refusal::PolicyMalformed,
        ),
        (
            grounds.confidence.is_some_and(|percent| percent > 100),
            Refusal::Confidence,
        ),
        (grounds.exceptions.len() > EXCEPTIONS_MAX, Refusal::ExceptionCount),
    ];
    match refusals.into_iter().find(|(is_so, _)| *is_so) {
        Some((_, refusal)) => Err(refusal),
        None => Ok(()),
    }
}
