//! Drafts of statements of reasons (Regulation (EU) 2022/2065, Art. 17 and 24(5)), in the fields of the API of the European Commission's DSA
//! Transparency Database, version 2 (<https://transparency.dsa.ec.europa.eu/page/api-documentation>).
//!
//! There is a draft for each content whose removal a platform's events confirmed. The platform makes as many statements of it as it restricted uploads: only
//! it knows them. What a draft cannot say is not made up: then there is none, and [`LeftOut`] says why.

use serde::Serialize;
use tocsin_model::{ContentId, PlatformId, RecommendedAction, Timestamp, Verdict};

use crate::day::Day;
use crate::row::ContentKind;

/// So many statements are taken in one request.
pub const STATEMENTS_MAX: usize = 100;
/// The longest reference to a contractual ground, in characters.
pub const GROUND_CHARACTERS_MAX: usize = 500;
/// So many digits in a row may be a number of a person.
const DIGITS_MAX: usize = 6;

/// The countries of the European Union, as the database writes them.
const EU: [&str; 27] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];
/// Those of the European Economic Area beside them.
const EEA: [&str; 3] = ["IS", "LI", "NO"];

/// Where a restriction holds: countries of the European Economic Area. Only the platform knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Territory(Vec<&'static str>);

/// The text names no territory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a territory is EU, EEA, or countries of the EEA by their two letters, with commas between")]
pub struct TerritoryError;

/// A content whose removal a platform confirmed after a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestrictionRow {
    /// The content. A keyed hash: it says nothing outside the deployment.
    pub content: ContentId,
    /// What it is.
    pub kind: ContentKind,
    /// Where.
    pub platform: PlatformId,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// What was decided.
    pub verdict: Verdict,
    /// What was recommended.
    pub action: Option<RecommendedAction>,
    /// The rule that the decision names.
    pub policy: String,
    /// When the family was first seen on the platform.
    pub posted_at: Option<Timestamp>,
    /// When the removal was confirmed.
    pub removed_at: Timestamp,
    /// How many removals were counted.
    pub removals: u64,
    /// Whether it rang before it was decided.
    pub rang: bool,
    /// Whether the decision was about this content itself: to other members it went automatically.
    pub is_founder: bool,
    /// Whether the removal was recommended again without a person.
    pub recommended_again: bool,
    /// Which notices about the case were received by the decision, orders by the removal.
    pub noticed: Noticed,
}

/// Kinds of notices, and reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// A removal order about this content, or the whole case, that was carried out or not answered yet.
    pub order: bool,
    /// One that names a content by another kind of hash: perhaps this one.
    pub perhaps_order: bool,
    /// A trusted flagger's.
    pub trusted_flagger: bool,
    /// A referral.
    pub referral: bool,
    /// Somebody reported it on this platform.
    pub report: bool,
}

/// A draft, in the fields of the database. Fields that it does not have are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// What was done with the content.
    pub decision_visibility: Vec<&'static str>,
    /// Whether it is against the law or against the terms.
    pub decision_ground: &'static str,
    /// The term.
    pub incompatible_content_ground: String,
    /// Why it is against it.
    pub incompatible_content_explanation: &'static str,
    /// What the content is.
    pub content_type: Vec<&'static str>,
    /// The same in words, where the list has no word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type_other: Option<&'static str>,
    /// What kind of violation it is.
    pub category: &'static str,
    /// More exactly.
    pub category_specification: Vec<&'static str>,
    /// Where the restriction holds.
    pub territorial_scope: Vec<&'static str>,
    /// When the content was posted.
    pub content_date: String,
    /// From when on it is restricted.
    pub application_date: String,
    /// What the decision rests on.
    pub decision_facts: String,
    /// Who pointed it out.
    pub source_type: &'static str,
    /// Whether it was detected automatically.
    pub automated_detection: &'static str,
    /// Whether it was decided automatically.
    pub automated_decision: &'static str,
    /// Unique on the platform.
    pub puid: String,
}

/// Why there is no draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// A removal order was received before: statements are not made of orders (Art. 17(5)).
    Ordered,
    /// A removal order was received before that names a content of the case by another kind of hash: perhaps this one.
    PerhapsOrdered,
    /// It was not found violating.
    NotViolating,
    /// The decision names no policy, and a statement must say the ground.
    NoPolicy,
    /// The policy may name a person: it has an `@` or a long number in it.
    PolicyPersonal,
    /// It is not known when it was posted.
    NoContentDate,
}

/// The draft of a restriction. `unique` is its alone, the same each time, and says nothing of the content to whoever has no key.
///
/// # Errors
/// See [`LeftOut`].
pub fn draft(row: &RestrictionRow, territory: &Territory, unique: u128) -> Result<Statement, LeftOut> {
    if row.noticed.order {
        return Err(LeftOut::Ordered);
    }
    if row.noticed.perhaps_order {
        return Err(LeftOut::PerhapsOrdered);
    }
    if row.verdict != Verdict::Violating {
        return Err(LeftOut::NotViolating);
    }
    if row.policy.trim().is_empty() {
        return Err(LeftOut::NoPolicy);
    }
    if may_name_somebody(&row.policy) {
        return Err(LeftOut::PolicyPersonal);
    }
    // What was posted later than it was removed was not seen when it was posted.
    let posted_at = row.posted_at.filter(|posted| *posted <= row.removed_at);
    let content_date = Day::of(posted_at.ok_or(LeftOut::NoContentDate)?);
    let (content_type, content_type_other) = content_type(row.kind);
    let noticed = match row.noticed {
        Noticed {
            trusted_flagger: true, ..
        } => "SOURCE_TRUSTED_FLAGGER",
        Noticed { report: true, .. } => "SOURCE_ARTICLE_16",
        Noticed { referral: true, .. } => "SOURCE_TYPE_OTHER_NOTIFICATION",
        _ => "SOURCE_VOLUNTARY",
    };
    // A person decided about the family; that another content belongs to it, or came again, was found by a machine.
    let automated_decision = match row.is_founder && !row.recommended_again {
        true => "AUTOMATED_DECISION_NOT_AUTOMATED",
        false => "AUTOMATED_DECISION_PARTIALLY",
    };
    Ok(Statement {
        decision_visibility: vec!["DECISION_VISIBILITY_CONTENT_REMOVED"],
        decision_ground: "DECISION_GROUND_INCOMPATIBLE_CONTENT",
        incompatible_content_ground: row.policy.trim().chars().take(GROUND_CHARACTERS_MAX).collect(),
        incompatible_content_explanation: "A person reviewed the case of the family of copies that the content belongs to, and found that it violates this ground.",
        content_type: vec![content_type],
        content_type_other,
        category: "STATEMENT_CATEGORY_RISK_FOR_PUBLIC_SECURITY",
        category_specification: vec!["KEYWORD_TERRORIST_CONTENT"],
        territorial_scope: territory.0.clone(),
        content_date: content_date.to_string(),
        application_date: Day::of(row.removed_at).to_string(),
        decision_facts: facts(row),
        source_type: noticed,
        automated_detection: if row.rang { "Yes" } else { "No" },
        automated_decision,
        puid: format!("tocsin-{unique:032x}"),
    })
}

fn facts(row: &RestrictionRow) -> String {
    let is_noticed = row.noticed.trusted_flagger || row.noticed.referral;
    let found = match (row.rang, is_noticed, row.noticed.report) {
        (true, ..) => {
            "Copies of it spread as ordinary content does not, or were listed before, which was detected by counts of uploads and by hashes. "
        }
        (false, true, _) => "It was pointed out by a notice. ",
        (false, false, true) => "It was reported on the platform. ",
        // How it was found is not kept.
        (false, false, false) => "",
    };
    let belongs = match row.is_founder {
        true => "It is the content that the decision was made about.",
        false => {
            "It belongs to a family of variants by its hashes or by the word of a party or a person, and the decision was made about the family."
        }
    };
    let removed = match row.action {
        Some(RecommendedAction::StopStream) => "The live stream was to be stopped and its copies removed",
        _ => "The copies were to be removed",
    };
    let count = match row.removals {
        1 => "1 removal was counted".to_owned(),
        removals => format!("{removals} removals were counted"),
    };
    format!(
        "{found}{belongs} It was decided on {}. {removed}; {count} by {}.",
        Day::of(row.decided_at),
        Day::of(row.removed_at)
    )
}

fn content_type(kind: ContentKind) -> (&'static str, Option<&'static str>) {
    match kind {
        ContentKind::Picture => ("CONTENT_TYPE_IMAGE", None),
        ContentKind::Video | ContentKind::LiveStream => ("CONTENT_TYPE_VIDEO", None),
        ContentKind::Address => ("CONTENT_TYPE_OTHER", Some("address of a web page")),
        ContentKind::File => ("CONTENT_TYPE_OTHER", Some("file that is known by its hash")),
    }
}

/// Rules are named by words and numbers of paragraphs. An address of a person, or a number that may be one's, is none.
fn may_name_somebody(policy: &str) -> bool {
    let mut digits = 0;
    policy.chars().any(|character| {
        digits = match character {
            digit if digit.is_numeric() => digits + 1,
            ' ' | '(' | ')' => digits,
            _ => 0,
        };
        character == '@' || digits > DIGITS_MAX
    })
}

impl LeftOut {
    /// All of them.
    pub const ALL: [LeftOut; 6] = [
        LeftOut::Ordered,
        LeftOut::PerhapsOrdered,
        LeftOut::NotViolating,
        LeftOut::NoPolicy,
        LeftOut::PolicyPersonal,
        LeftOut::NoContentDate,
    ];

    /// A stable name.
    pub fn name(self) -> &'static str {
        match self {
            LeftOut::Ordered => "ordered",
            LeftOut::PerhapsOrdered => "perhaps_ordered",
            LeftOut::NotViolating => "not_violating",
            LeftOut::NoPolicy => "no_policy",
            LeftOut::PolicyPersonal => "policy_personal",
            LeftOut::NoContentDate => "no_content_date",
        }
    }
}

impl std::str::FromStr for Territory {
    type Err = TerritoryError;
    fn from_str(text: &str) -> Result<Territory, TerritoryError> {
        let all = EU.iter().chain(&EEA);
        let mut countries: Vec<&'static str> = match text {
            "EU" => EU.to_vec(),
            "EEA" => all.copied().collect(),
            _ => {
                let named = text
                    .split(',')
                    .map(|name| all.clone().find(|country| **country == name).copied());
                // Each once: a text that names more is no list of them.
                let named: Option<Vec<&'static str>> = named.take(EU.len() + EEA.len() + 1).collect();
                named.ok_or(TerritoryError)?
            }
        };
        let count = countries.len();
        countries.sort_unstable();
        countries.dedup();
        (countries.len() == count)
            .then_some(Territory(countries))
            .ok_or(TerritoryError)
    }
}
