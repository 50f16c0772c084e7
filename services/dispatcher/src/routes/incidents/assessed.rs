//! Where an incident stands by its protocol, criterion by criterion, with the evidence.

use serde::Serialize;
use tocsin_protocol::{Assessed, Because, Figure, Figures, Finding, Held, Protocol, Reading, Rule, Truth};
use tocsin_wire::Names;
use tocsin_wire::document::{AccountsRange, instant};
use utoipa::ToSchema;

use super::documents::platform_name;
use crate::incidents::{FamilyStanding, PlatformReading};

/// Where an incident stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct StandingDocument {
    /// `all`, `coordinators` or `party`: the scope of the reader, inside which every figure is.
    pub scope: &'static str,
    /// Each level from the first on: whether what it takes is met by at least one family. People activate it.
    pub levels: Vec<ResultDocument>,
    /// The highest level of which that is met; null: none.
    pub proposed_level: Option<String>,
    /// Whether what it takes to conclude is met, by every family: `met`, `not_met` or `unknown`. People conclude.
    pub conclusion: &'static str,
    /// Family by family.
    pub families: Vec<FamilyStandingDocument>,
}

/// A level and whether it is reached.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultDocument {
    /// Its name.
    pub name: String,
    /// What it takes, in words.
    pub says: String,
    /// `met`, `not_met` or `unknown`.
    pub result: &'static str,
}

/// A family, as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct FamilyStandingDocument {
    /// The family; null: the incident has none, and only answers count.
    pub family: Option<String>,
    /// The families that were attached and are this one now: it alone, or those that joined it.
    pub attached: Vec<String>,
    /// Whether it is counted exactly in the reader's scope. If not, no figure of it is known here; ask `/v1/families/{id}`.
    pub hot: bool,
    /// The time up to which it is counted.
    pub as_of: Option<String>,
    /// Every figure that criteria may name. A class of a content that is not hot has fewer copies than make it hot, unless the table of hot contents
    /// was full: bounds allow for them.
    pub figures: Vec<FigureDocument>,
    /// By platform.
    pub platforms: Vec<PlatformDocument>,
    /// The clocks of your own team's case of it; null: there is none.
    pub clocks: Option<FamilyClocksDocument>,
    /// What each level takes.
    pub levels: Vec<AssessedDocument>,
    /// What it takes to conclude.
    pub conclusion: AssessedDocument,
    /// The criteria of the protocol.
    pub criteria: Vec<AssessedDocument>,
    /// Its matrices.
    pub matrices: Vec<MatrixDocument>,
}

/// A figure and what is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FigureDocument {
    /// Its name in criteria.
    pub name: &'static str,
    /// Its unit; times are in seconds.
    pub unit: String,
    /// The truth is at least this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The truth is at most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Yes or no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<bool>,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// A family on one platform, exact since each of its contents became hot.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlatformDocument {
    /// The platform.
    pub platform: String,
    /// Uploads, blocked uploads and shares of the last 5 minutes.
    pub spread_5m: u64,
    /// Of the last hour.
    pub spread_1h: u64,
    /// Of the last 24 hours.
    pub spread_24h: u64,
    /// Distinct accounts.
    pub accounts: Option<AccountsRange>,
    /// Whether that is an upper bound: the platform's pseudonym key changed meanwhile.
    pub accounts_upper_bound: bool,
    /// The earliest event.
    pub first_seen: Option<String>,
    /// The earliest copy that was posted.
    pub first_posted: Option<String>,
    /// The earliest upload that was blocked.
    pub first_blocked: Option<String>,
    /// The earliest removal.
    pub first_removed: Option<String>,
    /// Copies of listed contents that were posted since the listing of each.
    pub posted_since_listed: u64,
    /// Uploads of them that were blocked.
    pub blocked_since_listed: u64,
    /// The part of these attempts that was posted, 0 to 1; null without an attempt.
    pub leak_through: Option<f64>,
    /// From the listing to the first blocked upload, in seconds: the shortest of all listed contents.
    pub first_block_after_s: Option<f64>,
    /// From the listing to the first removal, in seconds: the shortest of all listed contents.
    pub first_removal_after_s: Option<f64>,
}

/// When something first happened to a case.
#[derive(Debug, Serialize, ToSchema)]
pub struct FamilyClocksDocument {
    /// The case.
    pub case: String,
    /// When its family was first seen.
    pub seen_at: Option<String>,
    /// When it rang.
    pub rang_at: Option<String>,
    /// When the case was opened.
    pub opened_at: Option<String>,
    /// When somebody first took it.
    pub claimed_at: Option<String>,
    /// When somebody first decided.
    pub decided_at: Option<String>,
}

/// A criterion, a level or the conclusion, as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct AssessedDocument {
    /// Its name; `conclusion` of that.
    pub name: String,
    /// What it takes, in words.
    pub says: String,
    /// In the language of criteria.
    pub when: String,
    /// `met`, `not_met` or `unknown`.
    pub result: &'static str,
    /// How long it has held, where it must hold for a time.
    pub held: Option<HeldDocument>,
    /// Part by part, what it rests on.
    pub findings: Vec<FindingDocument>,
}

/// How long a criterion has held.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldDocument {
    /// How long it must hold, in milliseconds.
    pub wanted_ms: i64,
    /// Its result at this time alone.
    pub now: &'static str,
    /// For how long it is known to have been met without interruption; null when it is not met now.
    pub known_ms: Option<i64>,
}

/// One part of a criterion.
#[derive(Debug, Serialize, ToSchema)]
pub struct FindingDocument {
    /// The part, as it is written.
    pub text: String,
    /// `met`, `not_met` or `unknown`.
    pub result: &'static str,
    /// What it rests on: `compared`, `flag`, `missing`, `divides_by_zero`, `too_large`, `answered`, `not_answered`, `criterion` or `outcome`.
    pub because: &'static str,
    /// In words.
    pub why: String,
    /// The figures it names, with what is known of them.
    pub figures: Vec<FigureDocument>,
}

/// A matrix, as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct MatrixDocument {
    /// Its name.
    pub name: String,
    /// What its rows measure, and the bands that are possible.
    pub rows: AxisDocument,
    /// What its columns measure, and the bands that are possible.
    pub columns: AxisDocument,
    /// The lowest outcome that these leave.
    pub lowest: String,
    /// The highest.
    pub highest: String,
    /// What the bands rest on.
    pub findings: Vec<FindingDocument>,
}

/// What one side of a matrix measures.
#[derive(Debug, Serialize, ToSchema)]
pub struct AxisDocument {
    /// Its name.
    pub name: String,
    /// The bands that are possible.
    pub possible: Vec<String>,
}

impl FamilyStandingDocument {
    pub(super) fn of(
        standing: &FamilyStanding,
        protocol: &Protocol,
        clocks: Option<FamilyClocksDocument>,
        names: &Names,
    ) -> FamilyStandingDocument {
        let (figures, assessment) = (standing.figures(), &standing.assessment);
        let levels = protocol.levels.iter().zip(&assessment.levels);
        let criteria = protocol.criteria.iter().zip(&assessment.criteria);
        let matrices = assessment.matrices.iter().map(|matrix| MatrixDocument {
            name: matrix.name.clone(),
            rows: axis(&matrix.rows),
            columns: axis(&matrix.columns),
            lowest: matrix.outcome.0.clone(),
            highest: matrix.outcome.1.clone(),
            findings: findings(&matrix.findings, &figures),
        });
        let platforms = standing.now.reading.iter().flat_map(|reading| &reading.platforms);
        FamilyStandingDocument {
            family: standing.now.family.map(|family| family.to_string()),
            attached: standing.now.attached.iter().map(ToString::to_string).collect(),
            hot: standing.now.reading.is_some(),
            as_of: standing.now.reading.as_ref().and_then(|reading| instant(reading.as_of)),
            figures: Figure::ALL.iter().map(|of| figure(*of, &figures)).collect(),
            platforms: platforms
                .map(|(platform, reading)| PlatformDocument::of(platform_name(*platform, names), reading))
                .collect(),
            clocks,
            levels: levels
                .map(|(level, assessed)| document(assessed, &level.rule, &figures))
                .collect(),
            conclusion: document(&assessment.conclusion, &protocol.conclusion.rule, &figures),
            criteria: criteria
                .map(|(criterion, assessed)| document(assessed, &criterion.rule, &figures))
                .collect(),
            matrices: matrices.collect(),
        }
    }
}

impl PlatformDocument {
    pub(super) fn of(platform: String, reading: &PlatformReading) -> PlatformDocument {
        let [spread_5m, spread_1h, spread_24h] = reading.spread;
        let seconds = |milliseconds: i64| milliseconds as f64 / 1_000.0;
        let accounts = reading.reach.map(|(shown, _)| shown.into());
        PlatformDocument {
            platform,
            spread_5m,
            spread_1h,
            spread_24h,
            accounts,
            accounts_upper_bound: reading.reach.is_some_and(|(_, upper_bound)| upper_bound),
            first_seen: reading.first_seen.and_then(instant),
            first_posted: reading.first_posted.and_then(instant),
            first_blocked: reading.first_blocked.and_then(instant),
            first_removed: reading.first_removed.and_then(instant),
            posted_since_listed: reading.since.posted,
            blocked_since_listed: reading.since.blocked,
            leak_through: reading.since.leak_through(),
            first_block_after_s: reading.since.first_block_after_ms.map(seconds),
            first_removal_after_s: reading.since.first_removal_after_ms.map(seconds),
        }
    }
}

/// Its name in answers.
pub(super) fn result(truth: Truth) -> &'static str {
    match truth {
        Truth::Met => "met",
        Truth::NotMet => "not_met",
        Truth::Unknown => "unknown",
    }
}

fn axis((name, possible): &(String, Vec<String>)) -> AxisDocument {
    AxisDocument {
        name: name.clone(),
        possible: possible.clone(),
    }
}

fn document(assessed: &Assessed, rule: &Rule, figures: &Figures) -> AssessedDocument {
    let held = |held: Held| HeldDocument {
        wanted_ms: held.wanted_ms,
        now: result(held.now),
        known_ms: held.known_ms,
    };
    AssessedDocument {
        name: assessed.name.clone(),
        says: rule.says.clone(),
        when: rule.when.clone(),
        result: result(assessed.truth),
        held: assessed.held.map(held),
        findings: findings(&assessed.findings, figures),
    }
}

fn findings(all: &[Finding], figures: &Figures) -> Vec<FindingDocument> {
    let finding = |finding: &Finding| {
        let (because, why) = because(&finding.because);
        FindingDocument {
            text: finding.text.clone(),
            result: result(finding.truth),
            because,
            why,
            figures: finding.figures.iter().map(|of| figure(*of, figures)).collect(),
        }
    };
    all.iter().map(finding).collect()
}

fn because(because: &Because) -> (&'static str, String) {
    let bounds = |(low, high): (f64, f64)| match low == high {
        true => format!("{low}"),
        false => format!("{low} to {high}"),
    };
    let yes_or_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    match because {
        Because::Compared { left, right } => ("compared", format!("{} against {}", bounds(*left), bounds(*right))),
        Because::Flag(yes) => ("flag", yes_or_no(*yes)),
        Because::Missing(figure, why) => ("missing", format!("{}: {}", figure.name(), why.why())),
        Because::DividesByZero => ("divides_by_zero", "what is divided by may be zero".to_owned()),
        Because::TooLarge => ("too_large", "a number is too large".to_owned()),
        Because::Answered(yes) => ("answered", yes_or_no(*yes)),
        Because::NotAnswered => ("not_answered", "nobody answered yet".to_owned()),
        Because::Criterion => ("criterion", "the criterion of this name".to_owned()),
        Because::Outcome { lowest, highest } => ("outcome", format!("{lowest} to {highest}")),
    }
}

fn figure(figure: Figure, figures: &Figures) -> FigureDocument {
    let mut document = FigureDocument {
        name: figure.name(),
        unit: figure.unit(),
        low: None,
        high: None,
        is: None,
        missing: None,
    };
    match figures.get(figure) {
        Reading::Number(measured) => (document.low, document.high) = (Some(measured.low), Some(measured.high)),
        Reading::Flag(yes, _) => document.is = Some(yes),
        Reading::Missing(why) => document.missing = Some(why.why().to_owned()),
    }
    document
}
