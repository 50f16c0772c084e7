//! The kinds of problem that only the gateway answers with. `PROBLEMS.md` lists all of them, and the codes of single events.

use tocsin_runtime::ProblemKind;
use tocsin_wire::EventError;

/// The request holds no event.
pub const NO_EVENTS: ProblemKind = ProblemKind {
    status: 422,
    code: "no_events",
    title: "The request holds no event",
};

/// None of the events was accepted; `results` says why.
pub const ALL_REJECTED: ProblemKind = ProblemKind {
    status: 422,
    code: "all_rejected",
    title: "None of the events was accepted",
};

/// The kind of problem of a body that cannot be read as a whole, under the code of its error.
pub fn of_body(error: &EventError) -> ProblemKind {
    let (status, title) = match error {
        EventError::TooManyEvents { .. } | EventError::TooLarge { .. } => (413, "The body holds more than the limit"),
        _ => (400, "The body cannot be read as events"),
    };
    ProblemKind {
        status,
        code: error.code(),
        title,
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the table that clients program against names every code there is.

    const TABLE: &str = include_str!("../PROBLEMS.md");

    #[test]
    fn every_code_is_documented() {
        let shared = tocsin_runtime::problem::SHARED.iter().map(|kind| kind.code);
        let own = ["no_events", "all_rejected", crate::judge::EVENT_ID_REUSED];
        let of_events = tocsin_wire::EventError::CODES.iter().map(|(code, _)| *code);
        for code in shared.chain(own).chain(of_events) {
            assert!(TABLE.contains(&format!("| `{code}` |")), "{code} is not in PROBLEMS.md");
        }
    }
}
