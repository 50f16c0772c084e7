//! Goal: every draft keeps the published rules of the fields (`statement_fields.toml`), which are checked here by themselves; what cannot be said gives no draft; and
//! nothing that names a person is in one.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tocsin_model::{ContentId, PlatformId, RecommendedAction, Timestamp, Verdict};
use tocsin_report::statement::{self, LeftOut, Noticed, RestrictionRow, Statement, Territory};
use tocsin_report::{ContentKind, Day};

#[derive(Deserialize)]
struct Rules {
    field: Vec<Field>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    name: String,
    kind: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    required_without: Vec<String>,
    required_if: Option<(String, String)>,
    only_if: Option<(String, String)>,
    #[serde(default)]
    codes: Vec<String>,
    characters: Option<usize>,
    from: Option<String>,
}

fn rules() -> Rules {
    toml::from_str(include_str!("statement_fields.toml")).unwrap()
}

/// What is wrong with a statement.
fn faults(statement: &Value) -> Vec<String> {
    let rules = rules();
    let statement = statement.as_object().unwrap();
    let mut faults: Vec<String> = Vec::new();
    for name in statement.keys() {
        if !rules.field.iter().any(|field| field.name == *name) {
            faults.push(format!("{name}: there is no such field"));
        }
    }
    for field in &rules.field {
        let value = statement.get(&field.name).filter(|value| !value.is_null());
        match value {
            None => {
                let is_alone = !field.required_without.is_empty()
                    && field
                        .required_without
                        .iter()
                        .all(|other| !statement.contains_key(other));
                let is_asked = field
                    .required_if
                    .as_ref()
                    .is_some_and(|condition| holds(statement, condition));
                if field.required || is_alone || is_asked {
                    faults.push(format!("{}: it is missing", field.name));
                }
            }
            Some(value) => {
                let condition = field.required_if.as_ref().or(field.only_if.as_ref());
                if condition.is_some_and(|condition| !holds(statement, condition)) {
                    faults.push(format!("{}: it does not belong here", field.name));
                }
                if !is_formed(field, value) {
                    faults.push(format!("{}: {value}", field.name));
                }
            }
        }
    }
    faults
}

fn holds(statement: &Map<String, Value>, (field, code): &(String, String)) -> bool {
    match statement.get(field) {
        Some(Value::Array(all)) => all.iter().any(|of| of == code),
        Some(one) => one == code,
        None => false,
    }
}

fn is_formed(field: &Field, value: &Value) -> bool {
    let is_code = |value: &Value| {
        value
            .as_str()
            .is_some_and(|code| field.codes.iter().any(|known| known == code))
    };
    let text = value.as_str().unwrap_or_default();
    let is_text = !text.trim().is_empty() && text.chars().count() <= field.characters.unwrap_or(usize::MAX);
    match field.kind.as_str() {
        "code" => is_code(value),
        "codes" => value
            .as_array()
            .is_some_and(|all| !all.is_empty() && all.iter().all(is_code)),
        "text" => is_text,
        "address" => is_text && text.starts_with("https://"),
        "name" => {
            is_text
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        }
        // Days compare as their texts do.
        "date" => text.parse::<Day>().is_ok() && *text >= **field.from.as_ref().unwrap() && *text <= *"2038-01-01",
        other => panic!("{other} is no kind"),
    }
}

fn territory(text: &str) -> Territory {
    text.parse().unwrap()
}

fn draft(row: &RestrictionRow, territory: &Territory) -> Result<Statement, LeftOut> {
    statement::draft(row, territory, 0xdef)
}

fn row() -> RestrictionRow {
    RestrictionRow {
        content: ContentId(0xabc),
        kind: ContentKind::Video,
        platform: PlatformId(3),
        decided_at: Timestamp(1_800_000_000_000),
        verdict: Verdict::Violating,
        action: Some(RecommendedAction::Remove),
        policy: "Regulation (EU) 2021/784, rule 1.2".to_owned(),
        posted_at: Some(Timestamp(1_799_990_000_000)),
        removed_at: Timestamp(1_800_000_600_000),
        removals: 4,
        rang: true,
        is_founder: true,
        recommended_again: false,
        noticed: Noticed::default(),
    }
}

fn any_row() -> impl Strategy<Value = RestrictionRow> {
    let kinds = prop::sample::select(ContentKind::ALL.to_vec());
    let actions = prop::sample::select(vec![RecommendedAction::Remove, RecommendedAction::StopStream]);
    let verdicts = prop::sample::select(Verdict::ALL.to_vec());
    let policy = prop_oneof!["[a-z]{0,9}", "\\PC{0,300}", Just("ü".repeat(600))];
    let times = (
        1_600_000_000_000..2_100_000_000_000_i64,
        -9_000_000_000..9_000_000_000_i64,
        any::<Option<u16>>(),
    );
    let flags = prop::array::uniform8(any::<bool>());
    let who = (any::<u128>(), any::<u16>(), any::<u64>());
    (kinds, actions, verdicts, policy, times, flags, who).prop_map(
        |(kind, action, verdict, policy, (decided, after, posted), flags, (content, platform, removals))| {
            let removed = decided + after;
            let [
                rang,
                is_founder,
                recommended_again,
                order,
                perhaps_order,
                trusted_flagger,
                referral,
                report,
            ] = flags;
            RestrictionRow {
                content: ContentId(content),
                kind,
                platform: PlatformId(platform),
                decided_at: Timestamp(decided),
                verdict,
                action: Some(action),
                policy,
                posted_at: posted.map(|minutes| Timestamp(removed - i64::from(minutes) * 60_000 + 1_000_000)),
                removed_at: Timestamp(removed),
                removals,
                rang,
                is_founder,
                recommended_again,
                noticed: Noticed {
                    order,
                    perhaps_order,
                    trusted_flagger,
                    referral,
                    report,
                },
            }
        },
    )
}

proptest! {
    #[test]
    fn every_draft_keeps_the_published_rules(row in any_row(), place in prop::sample::select(vec!["EU", "EEA", "DE", "FR,DE"])) {
        if let Ok(statement) = draft(&row, &territory(place)) {
            let written = serde_json::to_value(&statement).unwrap();
            prop_assert_eq!(faults(&written), Vec::<String>::new(), "{}", written);
            prop_assert!(!row.noticed.order && row.verdict == Verdict::Violating);
            // No draft of what was removed before it was posted.
            prop_assert!(statement.content_date <= statement.application_date);
        }
    }
}

#[test]
fn a_draft_says_what_is_known() {
    let written = serde_json::to_value(draft(&row(), &territory("DE,AT")).unwrap()).unwrap();
    assert_eq!(faults(&written), Vec::<String>::new());
    for (field, value) in [
        ("decision_visibility", json!(["DECISION_VISIBILITY_CONTENT_REMOVED"])),
        (
            "incompatible_content_ground",
            json!("Regulation (EU) 2021/784, rule 1.2"),
        ),
        ("content_type", json!(["CONTENT_TYPE_VIDEO"])),
        ("territorial_scope", json!(["AT", "DE"])),
        ("content_date", json!("2027-01-15")),
        ("application_date", json!("2027-01-15")),
        ("source_type", json!("SOURCE_VOLUNTARY")),
        ("automated_detection", json!("Yes")),
        ("automated_decision", json!("AUTOMATED_DECISION_NOT_AUTOMATED")),
        ("puid", json!("tocsin-00000000000000000000000000000def")),
    ] {
        assert_eq!(written[field], value, "{field}");
    }
    assert!(written.get("content_type_other").is_none());
    let other = RestrictionRow {
        is_founder: false,
        rang: false,
        kind: ContentKind::File,
        noticed: Noticed {
            trusted_flagger: true,
            ..Noticed::default()
        },
        ..row()
    };
    let reported = RestrictionRow {
        noticed: Noticed {
            report: true,
            ..Noticed::default()
        },
        ..other.clone()
    };
    let told = draft(&reported, &territory("EU")).unwrap();
    assert_eq!(told.source_type, "SOURCE_ARTICLE_16");
    assert!(
        told.decision_facts.starts_with("It was reported on the platform."),
        "{}",
        told.decision_facts
    );
    let unknown = RestrictionRow {
        noticed: Noticed::default(),
        ..other.clone()
    };
    let told = draft(&unknown, &territory("EU")).unwrap();
    assert!(
        told.decision_facts.starts_with("It belongs to a family"),
        "how it was found is not made up: {}",
        told.decision_facts
    );
    let written = serde_json::to_value(draft(&other, &territory("EU")).unwrap()).unwrap();
    assert_eq!(faults(&written), Vec::<String>::new());
    assert_eq!(written["source_type"], "SOURCE_TRUSTED_FLAGGER");
    assert_eq!(
        (&written["automated_detection"], &written["automated_decision"]),
        (&json!("No"), &json!("AUTOMATED_DECISION_PARTIALLY"))
    );
    assert_eq!(written["territorial_scope"].as_array().map(Vec::len), Some(27));
    let wider = serde_json::to_value(draft(&other, &territory("EEA")).unwrap()).unwrap();
    assert_eq!(wider["territorial_scope"].as_array().map(Vec::len), Some(30));
}

#[test]
fn what_cannot_be_said_gives_no_draft() {
    let policy = |policy: &str| RestrictionRow {
        policy: policy.to_owned(),
        ..row()
    };
    let ordered = Noticed {
        order: true,
        ..Noticed::default()
    };
    for (row, why) in [
        (
            RestrictionRow {
                noticed: ordered,
                ..row()
            },
            LeftOut::Ordered,
        ),
        (
            RestrictionRow {
                noticed: Noticed {
                    perhaps_order: true,
                    ..Noticed::default()
                },
                ..row()
            },
            LeftOut::PerhapsOrdered,
        ),
        (
            RestrictionRow {
                verdict: Verdict::Newsworthy,
                ..row()
            },
            LeftOut::NotViolating,
        ),
        (policy(" "), LeftOut::NoPolicy),
        (policy("as jane@example.org wrote"), LeftOut::PolicyPersonal),
        (policy("call +49 (30) 1234567"), LeftOut::PolicyPersonal),
        (policy("account 12345678"), LeftOut::PolicyPersonal),
        (
            RestrictionRow {
                posted_at: None,
                ..row()
            },
            LeftOut::NoContentDate,
        ),
        (
            RestrictionRow {
                posted_at: Some(Timestamp(1_900_000_000_000)),
                ..row()
            },
            LeftOut::NoContentDate,
        ),
    ] {
        assert_eq!(draft(&row, &territory("EU")), Err(why), "{row:?}");
    }
    for fine in [
        "rule 1.2 of 2026-01-01",
        "Directive (EU) 2017/541, Art. 5",
        "§ 129a StGB",
    ] {
        assert!(draft(&policy(fine), &territory("EU")).is_ok(), "{fine}");
    }
    for bad in ["", "eu", "DE,DE", "DE, AT", "US", "DE,", &"DE,".repeat(10_000)] {
        assert!(bad.parse::<Territory>().is_err(), "{bad:.20}");
    }
    let names: Vec<&str> = LeftOut::ALL.into_iter().map(LeftOut::name).collect();
    assert_eq!(
        names,
        [
            "ordered",
            "perhaps_ordered",
            "not_violating",
            "no_policy",
            "policy_personal",
            "no_content_date"
        ]
    );
}

#[test]
fn the_rules_find_what_is_wrong() {
    let right = serde_json::to_value(draft(&row(), &territory("EU")).unwrap()).unwrap();
    for field in right
        .as_object()
        .unwrap()
        .keys()
        .filter(|field| *field != "category_specification")
    {
        let mut wrong = right.clone();
        wrong.as_object_mut().unwrap().remove(field);
        assert!(!faults(&wrong).is_empty(), "without {field}");
    }
    for (field, value) in [
        ("decision_visibility", json!([])),
        ("decision_visibility", json!(["DECISION_VISIBILITY_OTHER"])),
        ("decision_ground", json!("DECISION_GROUND_ILLEGAL_CONTENT")),
        ("incompatible_content_ground", json!("x".repeat(501))),
        ("decision_facts", json!("x".repeat(5_001))),
        ("content_type", json!("CONTENT_TYPE_VIDEO")),
        ("content_type", json!(["CONTENT_TYPE_OTHER"])),
        ("content_type_other", json!("a thing")),
        ("category", json!("STATEMENT_CATEGORY_TERRORISM")),
        ("territorial_scope", json!(["US"])),
        ("content_date", json!("1999-12-31")),
        ("content_date", json!("2026-1-1")),
        ("application_date", json!("2040-01-01")),
        ("automated_decision", json!("No")),
        ("puid", json!("a b")),
        ("account", json!("a field that is none")),
    ] {
        let mut wrong = right.clone();
        wrong[field] = value;
        assert!(!faults(&wrong).is_empty(), "{field}");
    }
}
