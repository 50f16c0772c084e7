//! Verdicts and figures are those a person would find by hand.
