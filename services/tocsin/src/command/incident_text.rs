//! Incidents in words. What comes from outside is shown without control characters.

use std::fmt::Write as _;

use serde_json::Value;

use super::casework_text::text;

/// Incidents as a table.
pub fn incidents_text(list: &Value) -> String {
    let mut out = String::new();
    for incident in all(&list["incidents"]) {
        let _ = writeln!(
            out,
            "{}  {:<9}  {:<12}  TLP:{:<12}  {}",
            text(&incident["id"]),
            text(&incident["phase"]),
            text(&incident["level"]),
            text(&incident["marking"]["tlp"]),
            text(&incident["title"])
        );
    }
    match (out.is_empty(), list["next"].is_string()) {
        (true, _) => "No incident is shared with you.\n".to_owned(),
        (false, true) => out + "There are more.\n",
        (false, false) => out,
    }
}

/// An incident: what it is, who takes part, what is to be done, and, where the answer tells it, where it stands.
pub fn incident_text(incident: &Value) -> String {
    let mut out = format!(
        "Incident {}: {} (TLP:{})\n  {} under {} version {}, level {}\n",
        text(&incident["id"]),
        text(&incident["title"]),
        text(&incident["marking"]["tlp"]),
        text(&incident["phase"]),
        text(&incident["protocol"]["name"]),
        text(&incident["protocol"]["version"]),
        text(&incident["level"])
    );
    for question in all(&incident["questions"]) {
        let answer = match question["answer"].as_bool() {
            Some(true) => "yes",
            Some(false) => "no",
            None => "open",
        };
        let _ = writeln!(
            out,
            "  {answer:<7}  {} ({})",
            text(&question["says"]),
            text(&question["name"])
        );
    }
    for participant in all(&incident["participants"]) {
        let state = match (
            participant["left_at"].is_string(),
            participant["acknowledged_at"].is_string(),
        ) {
            (true, _) => "left",
            (false, true) => "takes part",
            (false, false) => "invited",
        };
        let _ = writeln!(
            out,
            "  {state:<10}  {} as {}",
            text(&participant["party"]),
            text(&participant["class"])
        );
    }
    for task in all(&incident["tasks"]) {
        let state = match task["done"].is_null() {
            true => format!("due {}", text(&task["due"])),
            false => format!("done {}", text(&task["done"]["at"])),
        };
        let parts = all(&task["parts"]).len();
        let _ = writeln!(
            out,
            "  task {}: {} ({}, {state}, {parts} parts done)",
            text(&task["number"]),
            text(&task["does"]),
            text(&task["owner"])
        );
    }
    if incident["standing"].is_object() {
        standing(&incident["standing"], &mut out);
    }
    out
}

fn standing(standing: &Value, out: &mut String) {
    for level in all(&standing["levels"]) {
        let _ = writeln!(out, "  {:<8}  level {}", text(&level["result"]), text(&level["name"]));
    }
    let _ = writeln!(out, "  {:<8}  to conclude", text(&standing["conclusion"]));
    for family in all(&standing["families"]) {
        let _ = writeln!(
            out,
            "Family {}, as of {}",
            text(&family["family"]),
            text(&family["as_of"])
        );
        for criterion in all(&family["criteria"]) {
            let _ = writeln!(out, "  {:<8}  {}", text(&criterion["result"]), text(&criterion["says"]));
            for finding in all(&criterion["findings"]) {
                let _ = writeln!(out, "            {}: {}", text(&finding["text"]), text(&finding["why"]));
            }
        }
        for platform in all(&family["platforms"]) {
            let _ = writeln!(
                out,
                "  {}: {} copies in 1 h, {} in 24 h, first seen {}, first removed {}",
                text(&platform["platform"]),
                text(&platform["spread_1h"]),
                text(&platform["spread_24h"]),
                text(&platform["first_seen"]),
                text(&platform["first_removed"])
            );
        }
    }
}

/// A timeline, a line for each entry.
pub fn timeline_text(timeline: &Value) -> String {
    let mut out = String::new();
    for entry in all(&timeline["entries"]) {
        let who = match (entry["person"].as_str(), entry["team"].as_str()) {
            (Some(person), Some(team)) => format!("{person} of {team}"),
            (None, Some(team)) => team.to_owned(),
            _ => "a rule".to_owned(),
        };
        let _ = write!(out, "{}  {who}: {}", text(&entry["at"]), text(&entry["kind"]));
        for part in [
            "level", "family", "question", "answer", "party", "class", "number", "title",
        ] {
            if !entry[part].is_null() {
                let _ = write!(out, " {}", text(&entry[part]));
            }
        }
        if entry["shown"].is_object() {
            let _ = write!(out, ", criteria said {}", text(&entry["shown"]["result"]));
        }
        if entry["says"].is_string() {
            let _ = write!(out, ": {}", text(&entry["says"]));
        }
        out.push('\n');
    }
    out
}

fn all(list: &Value) -> &[Value] {
    list.as_array().map_or(&[][..], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    //! Goal: what decides is in the text, and nothing that came from outside steers the terminal.
    use serde_json::json;

    use super::*;

    #[test]
    fn an_incident_is_told_with_what_is_open() {
        let incident = json!({
            "id": "ab", "title": "An attack\u{1b}[31m", "phase": "active", "level": "response", "marking": {"tlp": "AMBER"},
            "protocol": {"name": "crisis", "version": 1},
            "questions": [{"name": "is_reporting", "says": "Do they report?", "answer": null}],
            "participants": [{"party": "north", "class": "platforms", "acknowledged_at": null, "left_at": null}],
            "tasks": [{"number": 1, "does": "Tell.", "owner": "coordinators", "due": "soon", "done": null, "parts": [{}]}],
            "standing": {
                "levels": [{"name": "awareness", "result": "met"}], "conclusion": "unknown",
                "families": [{"family": "cd", "as_of": "now", "criteria": [
                    {"says": "It spreads.", "result": "met", "findings": [{"text": "spread_1h >= 30 copies", "why": "200 against 30"}]}
                ], "platforms": [{"platform": "north-video", "spread_1h": 9, "spread_24h": 10, "first_seen": "then", "first_removed": null}]}]
            }
        });
        let told = incident_text(&incident);
        for part in [
            "active under crisis version 1, level response",
            "open     Do they report? (is_reporting)",
            "invited     north as platforms",
            "task 1: Tell. (coordinators, due soon, 1 parts done)",
            "met       level awareness",
            "unknown   to conclude",
            "spread_1h >= 30 copies: 200 against 30",
            "north-video: 9 copies in 1 h",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert!(!told.contains('\u{1b}'));
        assert!(incidents_text(&json!({"incidents": [incident]})).contains("TLP:AMBER"));
        assert!(incidents_text(&json!({"incidents": []})).starts_with("No incident"));
    }

    #[test]
    fn a_timeline_is_a_line_for_each_entry() {
        let timeline = json!({"entries": [
            {"at": "now", "team": "coordinators", "person": "anna", "kind": "activated", "level": "response",
                "shown": {"result": "met"}, "says": "it\nspreads"},
            {"at": "later", "team": null, "kind": "attached", "family": "cd", "number": 1},
        ]});
        assert_eq!(
            timeline_text(&timeline),
            "now  anna of coordinators: activated response, criteria said met: it spreads\nlater  a rule: attached cd 1\n"
        );
    }
}
