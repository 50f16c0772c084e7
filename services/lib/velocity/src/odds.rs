//! The log-odds that a family violates: a sum of documented terms, of which what one party's events add to each is bounded.

use tocsin_model::{EvidenceKind, Verdict};

use crate::evidence::PartyEvidence;
use crate::priority::Setting;

/// Log-odds that a family that rings violates, before anything is known of it: one in 150. With one in eight, which was assumed before, nearly every
/// large spread on several platforms counted as likely, and what labels say could hardly move it.
const PRIOR: f64 = -5.0;

/// Of copies that do not violate, so many are labelled `tvec`, as a sum of confidences. How much more a party labels is the evidence.
const LABELS_ORDINARY: f64 = 0.01;
/// The ordinary rate is worth so many copies, so that one label among few is not taken for a third of them.
const LABELS_PRIOR_COPIES: f64 = 3.0;
/// The most that labels add: those of one party, and of all.
pub(crate) const LABELS_PARTY_MAX: f64 = 2.5;
pub(crate) const LABELS_MAX: f64 = 5.0;

/// What a member on the watch list adds: it was found to violate before, and its hash is the same.
pub(crate) const WATCH: f64 = 8.0;

/// Of posted copies that do not violate, so many bring a report; this rate is worth so many copies. How much more a party's users report is the
/// evidence: what is seen by millions is reported by some, so a number alone says how popular it is. And the most that the reports to one party
/// and to all add.
const REPORTS_ORDINARY: f64 = 0.01;
const REPORTS_PRIOR_COPIES: f64 = 20.0;
const REPORTS_PARTY_MAX: f64 = 1.0;
const REPORTS_MAX: f64 = 3.0;

/// What each doubling of the copies posted after a removal adds, and the most.
const AFTER_REMOVAL: f64 = 0.5;
const AFTER_REMOVAL_MAX: f64 = 1.5;

/// What each platform beyond the first adds that spreads it in the same hour, and the most. Of one party at most two platforms count.
const SYNCHRONY: f64 = 0.5;
const SYNCHRONY_MAX: f64 = 1.5;
const SYNCHRONY_PLATFORMS_PER_PARTY: u32 = 2;

/// What a decision adds. Neither hides anything: the family keeps its place in the queue, further down.
const VIOLATING: f64 = 9.0;
const BENIGN: f64 = -6.0;
const NEWSWORTHY: f64 = -3.0;

/// By how much labels, and the watch list, say less to a team that overturned what they caught: see [`crate::weight`]. Not shown where they do not.
pub(crate) const LABELS_OVERTURNED: &str = "labels_overturned";
pub(crate) const WATCH_OVERTURNED: &str = "watch_overturned";

/// The most that one party's events add to the log-odds.
pub const PARTY_LOG_ODDS_MAX: f64 =
    LABELS_PARTY_MAX + REPORTS_PARTY_MAX + AFTER_REMOVAL_MAX + SYNCHRONY * SYNCHRONY_PLATFORMS_PER_PARTY as f64;

/// The terms of the log-odds in their order.
pub(crate) fn log_odds(evidence: &[PartyEvidence], setting: Setting<'_>) -> [(&'static str, f64); 9] {
    let reports: f64 = evidence.iter().map(reports).sum();
    let after_removal: f64 = evidence.iter().map(|said| said.after_removal as f64).sum();
    let platforms: u32 = evidence
        .iter()
        .map(|said| said.platforms.min(SYNCHRONY_PLATFORMS_PER_PARTY))
        .sum();
    let labels = labels(evidence);
    let watch = setting.watched.map_or(0.0, |_| WATCH);
    let lowered = |kind, term: f64| term * (setting.weights.get(kind) - 1.0);
    [
        ("prior", PRIOR),
        ("labels", labels),
        ("watch", watch),
        ("reports", reports.min(REPORTS_MAX)),
        (
            "spread_after_removal",
            (AFTER_REMOVAL * libm::log2(1.0 + after_removal)).min(AFTER_REMOVAL_MAX),
        ),
        (
            "synchrony",
            (SYNCHRONY * f64::from(platforms.saturating_sub(1))).min(SYNCHRONY_MAX),
        ),
        ("decision", setting.verdict.map_or(0.0, decision)),
        (LABELS_OVERTURNED, lowered(EvidenceKind::Label, labels)),
        (WATCH_OVERTURNED, lowered(EvidenceKind::Listing, watch)),
    ]
}

/// How much more often than usual each party labels the copies; what it does not label says nothing, for many platforms label nothing.
pub(crate) fn labels(evidence: &[PartyEvidence]) -> f64 {
    let of_party = |said: &PartyEvidence| {
        let labelled = said.label_percent as f64 / 100.0 + LABELS_ORDINARY * LABELS_PRIOR_COPIES;
        let rate = labelled / (said.copies as f64 + LABELS_PRIOR_COPIES);
        libm::log(rate / LABELS_ORDINARY).clamp(0.0, LABELS_PARTY_MAX)
    };
    evidence.iter().map(of_party).sum::<f64>().min(LABELS_MAX)
}

fn reports(said: &PartyEvidence) -> f64 {
    let reported = said.reports as f64 + REPORTS_ORDINARY * REPORTS_PRIOR_COPIES;
    let rate = reported / (said.posted as f64 + REPORTS_PRIOR_COPIES);
    libm::log(rate / REPORTS_ORDINARY).clamp(0.0, REPORTS_PARTY_MAX)
}

fn decision(verdict: Verdict) -> f64 {
    match verdict {
        Verdict::Violating => VIOLATING,
        Verdict::Benign => BENIGN,
        Verdict::Newsworthy => NEWSWORTHY,
        Verdict::Disputed | Verdict::NeedsExpert => 0.0,
    }
}

pub(crate) fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-log_odds))
}
