//! The rules of casework.
/// Why a command on a case is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such case in the team's queue.
    #[error("there is no such case")]
    NoSuchCase,
}

impl Refusal {
    /// A stable name.
    pub fn code(self) -> &'static str {
        match self {
            Refusal::NoSuchCase => "case_unknown",
        }
    }
}
