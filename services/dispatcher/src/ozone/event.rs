//! What an event of Ozone stands for here: `tools.ozone.moderation.defs#modEventView`, by a party's settings. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use tocsin_casework::{Desk, POLICY_BYTES_MAX, RATIONALE_BYTES_MAX, Ruling};
use tocsin_model::{ContentId, FamilyId, Grounds, KeyId, RecommendedAction, Timestamp, Verdict};
use tocsin_wire::document::parse_instant;

use super::report::Report;
use crate::deliveries::ozone_record;
use crate::elsewhere::cut;

/// The kinds of events that may stand for something, by the name of their setting, and what they stand for where nothing is set. What a label, a closed
/// report or a resolved appeal means depends on how a team works with Ozone: nothing, until it is said.
const KINDS: [(&str, &str, &str); 6] = [
    ("on_takedown", "modEventTakedown", "violating/remove"),
    ("on_reverse_takedown", "modEventReverseTakedown", "benign/keep"),
    ("on_label", "modEventLabel", NOTHING),
    ("on_acknowledge", "modEventAcknowledge", NOTHING),
    ("on_escalate", "modEventEscalate", "desk:expert"),
    ("on_resolve_appeal", "modEventResolveAppeal", NOTHING),
];
const NOTHING: &str = "nothing";
const LEXICON: &str = "tools.ozone.moderation.defs#";

/// What becomes of a report of nothing that has a hash.
pub(super) const NO_CONTENT: &str = "no_content";
/// The kind of a report, by which people say that something is wrong.
const REPORT: &str = "modEventReport";

/// Whose decisions are taken, and what they stand for; and whether reports are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taking {
    /// The key that decides here; `None` where reports alone are taken.
    pub key: Option<KeyId>,
    /// The DID that Tocsin acts as: what it said itself is nobody's report.
    own: String,
    /// Whether reports open cases.
    takes_reports: bool,
    /// The DIDs of the people whose events count.
    moderators: BTreeSet<String>,
    /// Which labels count; empty: all.
    labels: BTreeSet<String>,
    steps: BTreeMap<&'static str, Step>,
}

/// What an event asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Decide(Verdict, Option<RecommendedAction>),
    Escalate(Desk),
    Nothing,
}

/// An event, as far as it matters here. What is not named is ignored.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OzoneEvent {
    /// Its number: they rise.
    pub id: i64,
    pub event: Body,
    pub subject: Subject,
    #[serde(default)]
    pub subject_blob_cids: Vec<String>,
    created_by: String,
    created_at: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body {
    #[serde(rename = "$type")]
    kind: String,
    pub comment: Option<String>,
    #[serde(default)]
    policies: Vec<String>,
    #[serde(default)]
    create_label_vals: Vec<String>,
    pub report_type: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Subject {
    pub uri: Option<String>,
    pub cid: Option<String>,
}

/// What an event comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Meaning {
    /// A person decided about a family.
    Decide(FamilyId, Box<Ruling>),
    /// A person sent it to a desk, with these words.
    Escalate(FamilyId, Desk, String),
    /// Somebody reported something.
    Report(Report),
    /// Nothing: why.
    Nothing(&'static str),
}

impl Meaning {
    /// Which family it is about.
    pub(super) fn family(&self) -> Option<FamilyId> {
        match self {
            Meaning::Decide(family, _) | Meaning::Escalate(family, ..) => Some(*family),
            // A report waits for nothing.
            Meaning::Report(_) | Meaning::Nothing(_) => None,
        }
    }
}

impl Taking {
    /// The settings of this kind that are there, taken out of them; `None` where nothing is taken.
    ///
    /// # Errors
    /// The name of a setting that is missing, or means nothing.
    pub(crate) fn take(settings: &mut BTreeMap<String, String>, created_by: &str) -> Result<Option<Taking>, String> {
        let mut take = |name: &str| settings.remove(name).filter(|text| !text.is_empty());
        let key = take("decide_as");
        let takes_reports = match take("reports").as_deref() {
            None | Some(NOTHING) => false,
            Some("open") => true,
            Some(_) => return Err("reports".to_owned()),
        };
        let moderators = list(take("moderators"));
        let labels = list(take("labels"));
        let mut steps = BTreeMap::new();
        let mut is_set = false;
        for (name, kind, default) in KINDS {
            let text = take(name);
            is_set |= text.is_some();
            let step = Step::parse(text.as_deref().unwrap_or(default)).ok_or_else(|| name.to_owned())?;
            steps.insert(kind, step);
        }
        let Some(key) = key else {
            // What would never be used was meant otherwise.
            if is_set || !moderators.is_empty() || !labels.is_empty() {
                return Err("decide_as".to_owned());
            }
            return Ok(takes_reports.then(|| Taking {
                key: None,
                own: created_by.to_owned(),
                takes_reports,
                moderators,
                labels,
                steps: BTreeMap::new(),
            }));
        };
        // What Tocsin said itself is nobody's decision.
        let is_people = |did: &String| did.starts_with("did:") && did != created_by;
        if moderators.is_empty() || !moderators.iter().all(is_people) {
            return Err("moderators".to_owned());
        }
        Ok(Some(Taking {
            key: Some(key.parse().map_err(|_| "decide_as".to_owned())?),
            own: created_by.to_owned(),
            takes_reports,
            moderators,
            labels,
            steps,
        }))
    }

    /// The types of events that are asked for.
    pub(super) fn types(&self) -> impl Iterator<Item = String> + '_ {
        let wanted = self.steps.iter().filter(|(_, step)| **step != Step::Nothing);
        let kinds = wanted.map(|(kind, _)| *kind);
        let kinds = kinds.chain(self.takes_reports.then_some(REPORT));
        kinds.map(|kind| format!("{LEXICON}{kind}"))
    }

    /// Whether decisions are taken.
    pub(crate) fn takes_decisions(&self) -> bool {
        self.key.is_some()
    }

    /// Whether reports are taken, of whatever is reported.
    pub(crate) fn takes_reports(&self) -> bool {
        self.takes_reports
    }

    /// What an event comes to, of the families that stand as records below `prefix`, if any do.
    pub(super) fn meaning(&self, event: &OzoneEvent, prefix: Option<&str>) -> Meaning {
        let kind = event.event.kind.strip_prefix(LEXICON).unwrap_or_default();
        let uri = event.subject.uri.as_deref().unwrap_or_default();
        let family = prefix.and_then(|prefix| uri.strip_prefix(prefix));
        let family = family.and_then(ContentId::parse).map(FamilyId);
        if kind == REPORT {
            return self.report(event, family);
        }
        if !self.moderators.contains(&event.created_by) {
            return Meaning::Nothing("not_a_person");
        }
        let step = self.steps.get(kind).copied().unwrap_or(Step::Nothing);
        let Some(family) = family.filter(|_| step != Step::Nothing) else {
            return Meaning::Nothing("not_meant");
        };
        let labels = &event.event.create_label_vals;
        let is_labelled = labels
            .iter()
            .any(|label| self.labels.is_empty() || self.labels.contains(label));
        if kind == "modEventLabel" && !is_labelled {
            return Meaning::Nothing("not_meant");
        }
        let said = event.event.comment.as_deref().unwrap_or_default().replace('\0', " ");
        match step {
            Step::Decide(verdict, action) => {
                let policy = event.event.policies.join(", ").replace('\0', " ");
                let ruling = Ruling {
                    verdict,
                    grounds: Grounds {
                        policy: cut(&policy, POLICY_BYTES_MAX).to_owned(),
                        action,
                        confidence: None,
                        exceptions: Vec::new(),
                    },
                    rationale: cut(&said, RATIONALE_BYTES_MAX).to_owned(),
                };
                Meaning::Decide(family, Box::new(ruling))
            }
            Step::Escalate(desk) => {
                let said = if said.trim().is_empty() {
                    "escalated in Ozone".to_owned()
                } else {
                    said
                };
                Meaning::Escalate(family, desk, cut(&said, tocsin_casework::NOTE_BYTES_MAX).to_owned())
            }
            Step::Nothing => Meaning::Nothing("not_meant"),
        }
    }

    fn report(&self, event: &OzoneEvent, family: Option<FamilyId>) -> Meaning {
        if !self.takes_reports || event.created_by == self.own {
            return Meaning::Nothing("not_a_person");
        }
        Report::of(event, family).map_or(Meaning::Nothing(NO_CONTENT), Meaning::Report)
    }
}

impl OzoneEvent {
    /// An event of a page.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn read(value: &Value) -> Result<OzoneEvent, serde_json::Error> {
        OzoneEvent::deserialize(value)
    }

    /// When it was created, by Ozone's clock.
    pub(super) fn created_at(&self) -> Option<Timestamp> {
        parse_instant(&self.created_at)
    }
}

impl Step {
    /// `nothing`, `desk:` and a desk, or a verdict, with `/` and an action if one is recommended.
    fn parse(text: &str) -> Option<Step> {
        if text == NOTHING {
            return Some(Step::Nothing);
        }
        if let Some(desk) = text.strip_prefix("desk:") {
            return Desk::from_name(desk).map(Step::Escalate);
        }
        let (verdict, action) = match text.split_once('/') {
            Some((verdict, action)) => (verdict, Some(RecommendedAction::from_name(action)?)),
            None => (text, None),
        };
        Some(Step::Decide(Verdict::from_name(verdict)?, action))
    }
}

/// Where the records of families stand: before the family in their URI.
pub(super) fn prefix(subject: &str, collection: &str) -> String {
    ozone_record(subject, collection, "")
}

fn list(text: Option<String>) -> BTreeSet<String> {
    let text = text.unwrap_or_default();
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    //! Goal: what a person decided in Ozone is read as its lexicon writes it, and nothing else decides.
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    const OWN: &str = "did:plc:tocsin";
    const ANNA: &str = "did:plc:anna";
    const FAMILY: &str = "0123456789abcdef0123456789abcdef";

    fn taking(settings: &[(&str, &str)]) -> Result<Option<Taking>, String> {
        let mut settings = settings
            .iter()
            .map(|(name, text)| (name.to_string(), text.to_string()))
            .collect();
        let taking = Taking::take(&mut settings, OWN)?;
        assert!(settings.is_empty(), "{settings:?}");
        Ok(taking)
    }

    fn some(further: &[(&str, &str)]) -> Taking {
        let key = "0".repeat(31) + "7";
        let mut settings = vec![("decide_as", key.as_str()), ("moderators", "did:plc:anna, did:plc:ben")];
        settings.extend(further);
        taking(&settings).unwrap().unwrap()
    }

    fn event(kind: &str, change: impl FnOnce(&mut Value)) -> OzoneEvent {
        let mut event = json!({
            "id": 7,
            "event": {"$type": format!("{LEXICON}{kind}"), "comment": "the attack", "policies": ["terror", "gore"]},
            "subject": {"$type": "com.atproto.repo.strongRef", "uri": format!("at://did:plc:stand/org.tocsin.family/{FAMILY}"), "cid": "bafy"},
            "subjectBlobCids": [],
            "createdBy": ANNA,
            "createdAt": "2026-11-26T15:00:00.123Z",
            "creatorHandle": "anna.example"
        });
        change(&mut event);
        OzoneEvent::read(&event).unwrap()
    }

    fn meaning(taking: &Taking, event: &OzoneEvent) -> Meaning {
        taking.meaning(event, Some(&prefix("did:plc:stand", "org.tocsin.family")))
    }

    #[test]
    fn settings_say_whose_decisions_are_taken_and_what_they_stand_for() {
        assert_eq!(taking(&[]), Ok(None));
        assert_eq!(some(&[]).types().count(), 3);
        assert_eq!(
            some(&[("on_label", "violating/label"), ("on_escalate", "nothing")])
                .types()
                .count(),
            3
        );
        let key = "0".repeat(32);
        for (settings, wrong) in [
            (vec![("moderators", ANNA)], "decide_as"),
            (vec![("on_label", "benign")], "decide_as"),
            (vec![("decide_as", "x"), ("moderators", ANNA)], "decide_as"),
            (vec![("decide_as", key.as_str())], "moderators"),
            (vec![("decide_as", key.as_str()), ("moderators", OWN)], "moderators"),
            (vec![("decide_as", key.as_str()), ("moderators", "anna")], "moderators"),
            (
                vec![
                    ("decide_as", key.as_str()),
                    ("moderators", ANNA),
                    ("on_takedown", "delete"),
                ],
                "on_takedown",
            ),
            (
                vec![
                    ("decide_as", key.as_str()),
                    ("moderators", ANNA),
                    ("on_escalate", "desk:jail"),
                ],
                "on_escalate",
            ),
        ] {
            assert_eq!(taking(&settings), Err(wrong.to_owned()));
        }
    }

    #[test]
    fn what_a_person_did_stands_for_what_is_set() {
        let taking = some(&[("on_label", "violating/label"), ("labels", "terror")]);
        let family = FamilyId(ContentId::parse(FAMILY).unwrap());
        let decided = |kind: &str| match meaning(&taking, &event(kind, |_| {})) {
            Meaning::Decide(of, ruling) => {
                assert_eq!((of, ruling.rationale.as_str()), (family, "the attack"));
                assert_eq!(ruling.grounds.policy, "terror, gore");
                (ruling.verdict, ruling.grounds.action)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(
            decided("modEventTakedown"),
            (Verdict::Violating, Some(RecommendedAction::Remove))
        );
        assert_eq!(
            decided("modEventReverseTakedown"),
            (Verdict::Benign, Some(RecommendedAction::Keep))
        );
        let escalated = event("modEventEscalate", |event| event["event"]["comment"] = Value::Null);
        let words = "escalated in Ozone".to_owned();
        assert_eq!(
            meaning(&taking, &escalated),
            Meaning::Escalate(family, Desk::Expert, words)
        );
        let labelled = |labels: &[&str]| {
            let labelled = event("modEventLabel", |event| {
                event["event"]["createLabelVals"] = json!(labels);
                event["event"]["negateLabelVals"] = json!(["terror"]);
            });
            matches!(meaning(&taking, &labelled), Meaning::Decide(..))
        };
        assert_eq!(
            [labelled(&["terror"]), labelled(&["spam"]), labelled(&[])],
            [true, false, false]
        );
        assert_eq!(
            event("modEventTakedown", |_| {}).created_at().map(|at| at.0 % 1_000),
            Some(123)
        );
    }

    #[test]
    fn a_report_is_taken_where_it_is_set_and_never_from_tocsin_itself() {
        let hello = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
        let reported = |change: fn(&mut Value)| {
            event(REPORT, |event| {
                event["createdBy"] = json!("did:plc:somebody");
                event["event"]["reportType"] = json!("com.atproto.moderation.defs#reasonViolation");
                event["subject"]["uri"] = json!("at://did:plc:author/app.bsky.feed.post/3k");
                event["subjectBlobCids"] = json!([hello]);
                change(event);
            })
        };
        let reports = taking(&[("reports", "open")]).unwrap().unwrap();
        assert_eq!((reports.key, reports.types().count()), (None, 1));
        assert_eq!(some(&[("reports", "open")]).types().count(), 4);
        assert_eq!(taking(&[("reports", "all")]), Err("reports".to_owned()));
        assert_eq!(taking(&[("reports", "nothing")]), Ok(None));
        let Meaning::Report(report) = meaning(&reports, &reported(|_| {})) else {
            panic!("no report");
        };
        assert_eq!(
            (report.contents.len(), report.note.as_str()),
            (1, "reasonViolation the attack")
        );
        assert_eq!(report.subject.unwrap().cid, "bafy");
        let of_family = reported(|event| {
            event["subject"]["uri"] = json!(format!("at://did:plc:stand/org.tocsin.family/{FAMILY}"));
        });
        let family = ContentId::parse(FAMILY).map(FamilyId);
        assert!(matches!(meaning(&reports, &of_family), Meaning::Report(report) if report.family == family));
        for (event, why) in [
            (reported(|event| event["createdBy"] = OWN.into()), "not_a_person"),
            (reported(|event| event["subjectBlobCids"] = json!([])), "no_content"),
            (
                reported(|event| event["subject"] = json!({"$type": "com.atproto.admin.defs#repoRef", "did": ANNA})),
                "no_content",
            ),
        ] {
            assert_eq!(meaning(&reports, &event), Meaning::Nothing(why));
        }
        assert_eq!(meaning(&some(&[]), &reported(|_| {})), Meaning::Nothing("not_a_person"));
        let takedown = event("modEventTakedown", |_| {});
        assert_eq!(
            meaning(&reports, &takedown),
            Meaning::Nothing("not_a_person"),
            "no key decides"
        );
    }

    #[test]
    fn what_no_person_did_or_is_not_about_a_family_decides_nothing() {
        type Edit = fn(&mut Value);
        let edits: [(&str, Edit, &str); 6] = [
            (
                "modEventTakedown",
                |event| event["createdBy"] = OWN.into(),
                "not_a_person",
            ),
            (
                "modEventTakedown",
                |event| event["createdBy"] = "did:plc:automod".into(),
                "not_a_person",
            ),
            ("modEventAcknowledge", |_| {}, "not_meant"),
            ("modEventEmail", |_| {}, "not_meant"),
            (
                "modEventTakedown",
                |event| event["subject"] = json!({"$type": "com.atproto.admin.defs#repoRef", "did": "did:plc:stand"}),
                "not_meant",
            ),
            (
                "modEventTakedown",
                |event| event["subject"]["uri"] = json!(format!("at://did:plc:other/org.tocsin.family/{FAMILY}")),
                "not_meant",
            ),
        ];
        for (kind, edit, why) in edits {
            assert_eq!(meaning(&some(&[]), &event(kind, edit)), Meaning::Nothing(why), "{kind}");
        }
    }
}
