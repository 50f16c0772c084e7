//! Decisions as moderation events to Ozone: `tools.ozone.moderation.emitEvent`, by the settings of its endpoint. Pure.
//!
//! Each event carries the delivery's id as its `externalId`, under which Ozone takes an event of one type on one subject once: what was sent and not
//! heard of is sent again, and refused.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tocsin_model::{ToldDecision, Verdict};
use tocsin_store::ToldSubject;

use super::ozone::record_subject;

/// The most events that a decision becomes on one subject.
const EVENTS_MAX: usize = 4;
/// What a decision becomes where nothing is set. Of what somebody is yet to decide the subject stays in Ozone's queue.
const DECIDED: &str = "tag,acknowledge";
const UNDECIDED: &str = "tag";
/// A label has at most so many bytes, by the AT Protocol.
const LABEL_BYTES_MAX: usize = 128;

/// What an Ozone is told of decisions of each verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Telling(BTreeMap<&'static str, Vec<Event>>);

/// A moderation event.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Acknowledge,
    Comment,
    Tag,
    Escalate,
    Label(String),
    Unlabel(String),
    Takedown,
    ReverseTakedown,
}

impl Telling {
    /// The settings of this kind that are there, taken out of them, and whether any was set.
    ///
    /// # Errors
    /// The name of a setting that means nothing.
    pub(crate) fn take(settings: &mut BTreeMap<String, String>) -> Result<(Telling, bool), String> {
        let mut is_set = false;
        let mut telling = BTreeMap::new();
        for verdict in Verdict::ALL {
            let name = format!("tell_{}", verdict.name());
            let text = settings.remove(&name).filter(|text| !text.is_empty());
            is_set |= text.is_some();
            let default = match verdict {
                Verdict::Violating | Verdict::Benign | Verdict::Newsworthy => DECIDED,
                Verdict::Disputed | Verdict::NeedsExpert => UNDECIDED,
            };
            let events = parse(text.as_deref().unwrap_or(default)).ok_or(name)?;
            telling.insert(verdict.name(), events);
        }
        Ok((Telling(telling), is_set))
    }

    /// The bodies of the requests that tell of a decision, in order: of what was reported, or else of the record that stands for the family.
    pub(super) fn bodies(
        &self,
        (told, reported): (&ToldDecision, Option<&ToldSubject>),
        (account, collection): (&str, Option<&str>),
        (created_by, delivery): (&str, &str),
    ) -> Vec<Value> {
        let (subject, blobs) = match (reported, collection) {
            (Some(ToldSubject { subject: reported, .. }), _) => {
                let subject =
                    json!({ "$type": "com.atproto.repo.strongRef", "uri": reported.uri, "cid": reported.cid });
                (subject, reported.blobs.as_slice())
            }
            (None, Some(collection)) => {
                let family = told.decision.family.to_string();
                (record_subject(account, collection, &family), &[][..])
            }
            (None, None) => return Vec::new(),
        };
        let events = self
            .0
            .get(told.decision.verdict.name())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let body = |event: &Event| {
            let mut body = json!({
                "event": event.value(told),
                "subject": subject,
                "createdBy": created_by,
                "externalId": delivery,
            });
            // Of a record that is taken down its pictures are, too.
            if !blobs.is_empty() && *event == Event::Takedown {
                body["subjectBlobCids"] = json!(blobs);
            }
            body
        };
        // What another case says violates stays as it is.
        let is_kept = reported.is_some_and(|reported| reported.violates_elsewhere);
        let told = events.iter().filter(|event| !(is_kept && event.undoes()));
        told.map(body).collect()
    }
}

impl Event {
    fn parse(text: &str) -> Option<Event> {
        let label = |value: &str| {
            let is_label = (1..=LABEL_BYTES_MAX).contains(&value.len())
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'!'));
            is_label.then(|| value.to_owned())
        };
        match text.split_once(':') {
            Some(("label", value)) => label(value).map(Event::Label),
            Some(("unlabel", value)) => label(value).map(Event::Unlabel),
            Some(_) => None,
            None => Some(match text {
                "acknowledge" => Event::Acknowledge,
                "comment" => Event::Comment,
                "tag" => Event::Tag,
                "escalate" => Event::Escalate,
                "takedown" => Event::Takedown,
                "reverse_takedown" => Event::ReverseTakedown,
                _ => return None,
            }),
        }
    }

    /// Whether it takes back what another decision brought about.
    fn undoes(&self) -> bool {
        matches!(self, Event::ReverseTakedown | Event::Unlabel(_))
    }

    fn value(&self, told: &ToldDecision) -> Value {
        let comment = words(told);
        let of = |kind: &str| json!({ "$type": format!("tools.ozone.moderation.defs#{kind}"), "comment": comment });
        let with = |kind: &str, parts: Value| {
            let mut event = of(kind);
            if let (Value::Object(event), Value::Object(parts)) = (&mut event, parts) {
                event.extend(parts);
            }
            event
        };
        match self {
            Event::Acknowledge => of("modEventAcknowledge"),
            Event::Comment => of("modEventComment"),
            Event::Escalate => of("modEventEscalate"),
            Event::Takedown => of("modEventTakedown"),
            Event::ReverseTakedown => of("modEventReverseTakedown"),
            Event::Tag => {
                let verdict = told.decision.verdict;
                let former: Vec<String> = Verdict::ALL.into_iter().filter(|of| *of != verdict).map(tag).collect();
                with("modEventTag", json!({ "add": [tag(verdict)], "remove": former }))
            }
            Event::Label(value) => with(
                "modEventLabel",
                json!({ "createLabelVals": [value], "negateLabelVals": [] }),
            ),
            Event::Unlabel(value) => with(
                "modEventLabel",
                json!({ "createLabelVals": [], "negateLabelVals": [value] }),
            ),
        }
    }
}

/// The tag of a verdict. A subject has one of them.
fn tag(verdict: Verdict) -> String {
    format!("tocsin-{}", verdict.name().replace('_', "-"))
}

/// Events with commas, or `nothing`. Ozone takes one event of each type: two labels of one decision would be one.
fn parse(text: &str) -> Option<Vec<Event>> {
    if text == "nothing" {
        return Some(Vec::new());
    }
    let events: Option<Vec<Event>> = text.split(',').map(|text| Event::parse(text.trim())).collect();
    let events = events.filter(|events| events.len() <= EVENTS_MAX)?;
    let type_of = |event: &Event| match event {
        Event::Label(_) | Event::Unlabel(_) => std::mem::discriminant(&Event::Label(String::new())),
        event => std::mem::discriminant(event),
    };
    let is_twice = |(index, event)| events.iter().take(index).any(|other| type_of(other) == type_of(event));
    (!events.iter().enumerate().any(is_twice)).then_some(events)
}

/// A decision in words.
fn words(told: &ToldDecision) -> String {
    let (decision, grounds) = (&told.decision, &told.grounds);
    let mut words = format!("Decided in Tocsin: {}", decision.verdict.name().replace('_', " "));
    if let Some(action) = grounds.action {
        words.push_str(&format!("; recommended: {}", action.name().replace('_', " ")));
    }
    if !grounds.policy.is_empty() {
        words.push_str(&format!("; policy: {}", grounds.policy));
    }
    if let Some(confidence) = grounds.confidence {
        words.push_str(&format!("; confidence: {confidence} %"));
    }
    if !grounds.exceptions.is_empty() {
        words.push_str(&format!("; not about {} of its contents", grounds.exceptions.len()));
    }
    words.push_str(&format!(
        ". Decision {:032x}, family {}.",
        decision.id.0, decision.family
    ));
    words
}

/// Whether what Ozone refused (an XRPC error, status 400) stands there already: it came before, or somebody did the same.
pub(super) fn stands_already(answer: &[u8]) -> bool {
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else {
        return false;
    };
    let error = answer["error"].as_str().unwrap_or_default();
    let message = answer["message"].as_str().unwrap_or_default();
    // Before it looks whether the event came before, Ozone looks whether there is anything to take down, and has no name for the answer.
    matches!(error, "DuplicateExternalId" | "SubjectHasAction")
        || matches!(message, "Subject is already taken down" | "Subject is not taken down")
}

#[cfg(test)]
mod tests {
    //! Goal: each verdict becomes the events that its setting names, and a takedown only where it is named.
    #![allow(clippy::unwrap_used)]

    use tocsin_model::{
        ContentId, Decision, DecisionId, FamilyId, Grounds, PartyId, RecommendedAction, Scope, Timestamp,
    };

    use tocsin_store::OzoneSubject;

    use super::*;

    fn told(verdict: Verdict) -> ToldDecision {
        ToldDecision {
            decision: Decision {
                id: DecisionId(7),
                family: FamilyId(ContentId(1)),
                scope: Scope::Party(PartyId(1)),
                verdict,
                at: Timestamp(7),
            },
            grounds: Grounds {
                policy: "terrorism".to_owned(),
                action: Some(RecommendedAction::Remove),
                confidence: Some(90),
                exceptions: Vec::new(),
            },
        }
    }

    fn telling(settings: &[(&str, &str)]) -> Result<Telling, String> {
        let mut settings = settings
            .iter()
            .map(|(name, text)| (name.to_string(), text.to_string()))
            .collect();
        let (telling, _) = Telling::take(&mut settings)?;
        assert!(settings.is_empty());
        Ok(telling)
    }

    fn bodies(telling: &Telling, verdict: Verdict, reported: Option<&ToldSubject>) -> Vec<Value> {
        let account = ("did:plc:stand", Some("org.tocsin.family"));
        telling.bodies((&told(verdict), reported), account, ("did:plc:tocsin", "d1"))
    }

    fn reported() -> ToldSubject {
        ToldSubject {
            id: 7,
            told: told(Verdict::Violating),
            subject: OzoneSubject {
                uri: "at://did:plc:a/app.bsky.feed.post/1".to_owned(),
                cid: "bafyreia".to_owned(),
                blobs: vec!["bafkreia".to_owned()],
            },
            violates_elsewhere: false,
        }
    }

    fn kinds(bodies: &[Value]) -> Vec<String> {
        let kind = |body: &Value| body["event"]["$type"].as_str().unwrap().to_owned();
        bodies
            .iter()
            .map(kind)
            .map(|kind| kind.split_once('#').unwrap().1.to_owned())
            .collect()
    }

    #[test]
    fn without_settings_a_decision_tags_and_acknowledges_and_takes_nothing_down() {
        let telling = telling(&[]).unwrap();
        for (verdict, expected) in [
            (Verdict::Violating, &["modEventTag", "modEventAcknowledge"][..]),
            (Verdict::Benign, &["modEventTag", "modEventAcknowledge"]),
            (Verdict::Newsworthy, &["modEventTag", "modEventAcknowledge"]),
            (Verdict::Disputed, &["modEventTag"]),
            (Verdict::NeedsExpert, &["modEventTag"]),
        ] {
            assert_eq!(kinds(&bodies(&telling, verdict, None)), expected, "{verdict:?}");
        }
        let bodies = bodies(&telling, Verdict::NeedsExpert, None);
        assert_eq!(bodies[0]["event"]["add"], json!(["tocsin-needs-expert"]));
        assert_eq!(bodies[0]["event"]["remove"].as_array().unwrap().len(), 4);
        assert_eq!(
            (&bodies[0]["externalId"], &bodies[0]["createdBy"]),
            (&json!("d1"), &json!("did:plc:tocsin"))
        );
        let uri = format!("at://did:plc:stand/org.tocsin.family/{}", FamilyId(ContentId(1)));
        assert_eq!(bodies[0]["subject"]["uri"], json!(uri));
        let comment = bodies[0]["event"]["comment"].as_str().unwrap();
        assert!(
            comment.starts_with(
                "Decided in Tocsin: needs expert; recommended: remove; policy: terrorism; confidence: 90 %."
            ),
            "{comment}"
        );
    }

    #[test]
    fn what_was_reported_is_taken_down_with_its_pictures_where_the_setting_says_so() {
        let telling = telling(&[
            ("tell_violating", "label:terrorism, takedown"),
            ("tell_benign", "nothing"),
        ])
        .unwrap();
        let reported = reported();
        let bodies_of = |verdict| bodies(&telling, verdict, Some(&reported));
        let violating = bodies_of(Verdict::Violating);
        assert_eq!(kinds(&violating), ["modEventLabel", "modEventTakedown"]);
        assert_eq!(
            (&violating[0]["subjectBlobCids"], &violating[1]["subjectBlobCids"]),
            (&Value::Null, &json!(["bafkreia"]))
        );
        assert_eq!(violating[0]["event"]["createLabelVals"], json!(["terrorism"]));
        assert_eq!(violating[1]["subject"]["uri"], json!(reported.subject.uri));
        assert!(bodies_of(Verdict::Benign).is_empty());
        let of_no_family = telling.bodies(
            (&told(Verdict::Violating), None),
            ("did:plc:stand", None),
            ("did:plc:tocsin", "d1"),
        );
        assert!(of_no_family.is_empty());
    }

    #[test]
    fn what_violates_elsewhere_is_not_undone() {
        let telling = telling(&[("tell_benign", "tag, reverse_takedown, unlabel:terrorism")]).unwrap();
        let mut reported = reported();
        let kinds_of = |reported: &ToldSubject| kinds(&bodies(&telling, Verdict::Benign, Some(reported)));
        let all = ["modEventTag", "modEventReverseTakedown", "modEventLabel"];
        assert_eq!(kinds_of(&reported), all);
        reported.violates_elsewhere = true;
        assert_eq!(kinds_of(&reported), ["modEventTag"]);
    }

    #[test]
    fn what_means_nothing_is_refused_by_name() {
        for text in [
            "delete",
            "tag,,comment",
            "label:",
            "label:two words",
            "label:a,label:b",
            "label:a,unlabel:b",
            "tag,tag",
            "nothing,tag",
            "tag,comment,acknowledge,escalate,takedown",
        ] {
            assert_eq!(
                telling(&[("tell_benign", text)]),
                Err("tell_benign".to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_came_before_stands() {
        for (answer, expected) in [
            (r#"{"error": "DuplicateExternalId", "message": "An event ..."}"#, true),
            (r#"{"error": "SubjectHasAction"}"#, true),
            (
                r#"{"error": "InvalidRequest", "message": "Subject is already taken down"}"#,
                true,
            ),
            (
                r#"{"error": "InvalidRequest", "message": "Subject is not taken down"}"#,
                true,
            ),
            (r#"{"error": "InvalidRequest", "message": "Invalid label"}"#, false),
            (r#"{"error": 7}"#, false),
            ("", false),
        ] {
            assert_eq!(stands_already(answer.as_bytes()), expected, "{answer}");
        }
    }
}
