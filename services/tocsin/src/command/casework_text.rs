//! The queue and its cases in words. What comes from outside is shown without control characters.

use std::fmt::Write as _;

use serde_json::Value;

/// The queue as a table.
pub fn queue_text(queue: &Value) -> String {
    let cases = queue["cases"].as_array().map_or(&[][..], Vec::as_slice);
    let mut out = format!(
        "{} cases of {}, as of {}.\n",
        cases.len(),
        text(&queue["team"]),
        text(&queue["as_of"])
    );
    for case in cases {
        let priority = case["live_priority"]
            .as_f64()
            .or(case["priority"].as_f64())
            .unwrap_or(0.0);
        let _ = writeln!(
            out,
            "{}  {priority:>12.0}  {:<12}  {:<10}  {:>8} copies in 1 h  {}",
            text(&case["id"]),
            text(&case["lane"]),
            text(&case["state"]),
            text(&case["alert"]["spread_1h"]["high"]),
            hash(case)
        );
    }
    if queue["next"].is_string() {
        out.push_str("There are more.\n");
    }
    out
}

/// A case: what it is, who holds it, what was decided.
pub fn case_text(case: &Value) -> String {
    let alert = &case["alert"];
    let mut out = format!(
        "Case {} of {}: {}, lane {}, desk {}.\n",
        text(&case["id"]),
        text(&case["team"]),
        text(&case["state"]),
        text(&case["lane"]),
        text(&case["desk"])
    );
    let members = alert["members"].as_u64().unwrap_or(1);
    let _ = writeln!(
        out,
        "  family    {} ({} contents), {}",
        text(&case["family"]),
        members,
        hash(case)
    );
    if case["open_notices"].as_u64().is_some_and(|open| open > 0) {
        let due = match case["notice_due_at"].as_str() {
            Some(_) => format!(", the first due {}", text(&case["notice_due_at"])),
            None => String::new(),
        };
        let _ = writeln!(
            out,
            "  notices   {} wait for an answer{due}",
            text(&case["open_notices"])
        );
    }
    if alert.is_null() {
        out.push_str("  spread    it never rang\n");
    } else {
        out.push_str(&spread_text(case));
    }
    let priority = case["live_priority"]
        .as_f64()
        .or(case["priority"].as_f64())
        .unwrap_or(0.0);
    let _ = writeln!(out, "  priority  {priority:.0}, severity {}", text(&case["severity"]));
    if let Some(left) = case["clocks"]["golden_left_s"].as_i64().filter(|left| *left > 0) {
        let _ = writeln!(
            out,
            "  golden    {} min of the hour from its first sighting are left",
            left / 60
        );
    }
    if case["live"].is_object() {
        let live = &case["live"];
        let _ = writeln!(
            out,
            "  live      {}, {} viewers, {} at the most",
            text(&live["state"]),
            text(&live["viewers"]),
            text(&live["peak_viewers"])
        );
    }
    for stream in case["streams"].as_array().map_or(&[][..], Vec::as_slice) {
        let _ = writeln!(
            out,
            "  stream    {} on {}",
            text(&stream["content"]),
            text(&stream["platform"])
        );
    }
    for opinion in case["opinions"].as_array().map_or(&[][..], Vec::as_slice) {
        let whose = text(&opinion["party"]);
        let since = opinion["held_at"].as_str().map(|at| format!(" since {at}"));
        let _ = writeln!(
            out,
            "  opinion   {} of {whose}{} about {}",
            text(&opinion["opinion"]),
            since.unwrap_or_default(),
            text(&opinion["hash"]["value"])
        );
    }
    if case["merged_into"].is_string() {
        let _ = writeln!(out, "  merged    into {}: go on there", text(&case["merged_into"]));
    }
    if case["disputed"] == true {
        out.push_str("  disputed  two decisions differ: decide which holds for all\n");
    }
    for merged in case["merged_cases"].as_array().map_or(&[][..], Vec::as_slice) {
        let decided = match merged["decision"].is_object() {
            true => decision_text(&merged["decision"]),
            false => "undecided".to_owned(),
        };
        let _ = writeln!(out, "  with      {}: {decided}", text(&merged["id"]));
    }
    if case["held_until"].is_string() {
        let _ = writeln!(out, "  aside     until {}", text(&case["held_until"]));
    }
    if case["lease"].is_object() {
        let whose = if case["lease"]["is_yours"] == true {
            "you"
        } else {
            "another key"
        };
        let _ = writeln!(out, "  lease     {whose}, until {}", text(&case["lease"]["expires_at"]));
    }
    for (name, decision) in [("draft", &case["draft"]), ("decision", &case["decision"])] {
        if decision.is_object() {
            let _ = writeln!(out, "  {name:<9} {}", decision_text(decision));
        }
    }
    for tool in case["tools"].as_array().map_or(&[][..], Vec::as_slice) {
        let _ = writeln!(out, "  look at   {} on {}", text(&tool["url"]), text(&tool["platform"]));
    }
    if let Some(members) = case["members_told"].as_u64() {
        let _ = writeln!(out, "  told      {members} members of the family");
    }
    if case["acknowledgement"].is_object() {
        let _ = writeln!(
            out,
            "  {:<9} {}",
            text(&case["acknowledgement"]["awaits"]),
            acknowledged_text(&case["acknowledgement"])
        );
    }
    if case["decision"]["goes_out_at"].is_string() {
        let _ = writeln!(
            out,
            "  undo      until {}: tocsin case withdraw {}",
            text(&case["decision"]["goes_out_at"]),
            text(&case["id"])
        );
    }
    out
}

/// What somebody's own work came to.
pub fn shift_text(shift: &Value) -> String {
    let mut out = format!(
        "Your last {} hours, as of {}.\n",
        text(&shift["hours"]),
        text(&shift["as_of"])
    );
    let _ = writeln!(
        out,
        "  looked at {} cases, {} of them grave; {} within the last hour",
        text(&shift["cases_seen"]),
        text(&shift["grave_seen"]),
        text(&shift["cases_seen_1h"])
    );
    let verdicts = ["violating", "benign", "newsworthy", "disputed", "needs_expert"];
    let decided = verdicts.map(|verdict| format!("{} {verdict}", text(&shift["decided"][verdict])));
    let _ = writeln!(out, "  decided   {}", decided.join(", "));
    let _ = writeln!(
        out,
        "  else      {} given back, {} handed on, {} put aside; {} pauses",
        text(&shift["given_back"]),
        text(&shift["handed_on"]),
        text(&shift["held"]),
        text(&shift["pauses"])
    );
    let pause = &shift["pause"];
    if pause["due"] == true {
        let _ = writeln!(out, "{}", pause_text(pause));
    } else if pause["working_since"].is_null() {
        out.push_str("You are pausing.\n");
    }
    out
}

/// That it is time for a pause.
pub fn pause_text(pause: &Value) -> String {
    format!(
        "Time for a pause: at work since {}, {} cases.",
        text(&pause["working_since"]),
        text(&pause["cases_seen"])
    )
}

/// Of a case that rang.
fn spread_text(case: &Value) -> String {
    let alert = &case["alert"];
    let mut out = String::new();
    let _ = writeln!(
        out,
        "  spread    {} to {} in 1 h, {} to {} in 24 h; {} since {}",
        text(&alert["spread_1h"]["low"]),
        text(&alert["spread_1h"]["high"]),
        text(&alert["spread_24h"]["low"]),
        text(&alert["spread_24h"]["high"]),
        text(&alert["level"]),
        text(&case["first_alert_at"])
    );
    let names = alert["platforms"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|on| text(&on["platform"]));
    let _ = writeln!(out, "  platforms {}", names.collect::<Vec<_>>().join(", "));
    out
}

/// When what happened first: of the case, then on each platform.
pub fn clocks_text(clocks: &Value) -> String {
    let mut out = format!(
        "Clocks of case {}, as of {}.\n",
        text(&clocks["case"]),
        text(&clocks["as_of"])
    );
    let of_case = &clocks["clocks"];
    let names = [
        "first_seen",
        "alert_at",
        "opened_at",
        "claimed_at",
        "decided_at",
        "golden_until",
    ];
    out.push_str(&times_text(of_case, &names));
    for on in clocks["platforms"].as_array().map_or(&[][..], Vec::as_slice) {
        let _ = writeln!(out, "On {}:", text(&on["platform"]));
        let names = [
            "first_seen",
            "first_report",
            "notice",
            "shared",
            "removed",
            "confirmed",
            "leaked",
        ];
        out.push_str(&times_text(on, &names));
    }
    out
}

fn times_text(times: &Value, names: &[&str]) -> String {
    let mut out = String::new();
    for name in names {
        if times[*name].is_string() {
            let _ = writeln!(out, "  {name:<13} {}", text(&times[*name]));
        }
    }
    out
}

/// What platforms confirm of a decision: as a whole, then member by member, those first that are not confirmed.
pub fn acknowledgements_text(told: &Value) -> String {
    let mut out = format!("Case {}, as of {}: ", text(&told["case"]), text(&told["as_of"]));
    let whole = &told["acknowledgement"];
    if !whole.is_object() {
        out.push_str("no decision is out that waits for your platforms.\n");
        return out;
    }
    let _ = writeln!(out, "{}: {}", text(&whole["awaits"]), acknowledged_text(whole));
    for of in told["members"].as_array().map_or(&[][..], Vec::as_slice) {
        let state = match of["confirmed"] == true {
            true => format!("confirmed {}", text(&of["confirmed_at"])),
            false => "not confirmed".to_owned(),
        };
        let asked = match whole["awaits"] == "restore" {
            true => "removed",
            false => "posted",
        };
        let answered = match whole["awaits"] == "restore" {
            true => "restored",
            false => "removed",
        };
        let _ = write!(
            out,
            "  {:<34} on {}, {}: {} {asked}, {} {answered}",
            state,
            text(&of["platform"]),
            hash(of),
            text(&of["asked"]),
            text(&of["answered"]),
        );
        if of["returned"].as_u64().is_some_and(|returned| returned > 0) {
            let _ = write!(out, "; {} came again", text(&of["returned"]));
        }
        if of["recommended_again_at"].is_string() {
            let _ = write!(out, "; recommended again {}", text(&of["recommended_again_at"]));
        }
        out.push('\n');
    }
    if told["members_left_out"].as_u64().is_some_and(|left_out| left_out > 0) {
        let _ = writeln!(out, "  and {} more", text(&told["members_left_out"]));
    }
    out
}

/// The decisions that are not confirmed, those first that are so for longest.
pub fn unconfirmed_text(told: &Value) -> String {
    let decisions = told["decisions"].as_array().map_or(&[][..], Vec::as_slice);
    let mut out = format!(
        "{} decisions of {} are not confirmed, as of {}.\n",
        decisions.len(),
        text(&told["team"]),
        text(&told["as_of"])
    );
    for of in decisions {
        let whole = &of["acknowledgement"];
        let awaits = text(&whole["awaits"]);
        let _ = writeln!(out, "{}  {awaits:<7}  {}", text(&of["case"]), acknowledged_text(whole));
    }
    out
}

fn acknowledged_text(whole: &Value) -> String {
    let members = whole["members"].as_u64().unwrap_or(0);
    let unconfirmed = whole["unconfirmed"].as_u64().unwrap_or(0);
    let mut out = match (members, unconfirmed) {
        (0, _) => "nothing to confirm is known yet".to_owned(),
        (_, 0) => format!("confirmed, all {members}; {} copies", text(&whole["copies"])),
        _ => format!(
            "{unconfirmed} of {members} not confirmed since {}",
            text(&whole["unconfirmed_since"])
        ),
    };
    if whole["escalated"] == true {
        out.push_str("; escalated");
    } else if whole["next_reminder_at"].is_string() {
        let _ = write!(out, "; next reminder {}", text(&whole["next_reminder_at"]));
    }
    out
}

/// What people did, the latest first.
pub fn history_text(history: &Value) -> String {
    let mut out = String::new();
    for step in history["steps"].as_array().map_or(&[][..], Vec::as_slice) {
        let parts = [&step["at"], &step["who"], &step["kind"], &step["about"], &step["note"]];
        let parts = parts.map(text).into_iter().filter(|part| !part.is_empty());
        let _ = writeln!(out, "{}", parts.collect::<Vec<_>>().join("  "));
    }
    out
}

fn decision_text(decision: &Value) -> String {
    let mut out = text(&decision["verdict"]);
    for (name, value) in [
        ("policy", &decision["policy"]),
        ("recommends", &decision["recommended_action"]),
        ("percent sure", &decision["confidence_percent"]),
        ("because", &decision["rationale"]),
    ] {
        let value = text(value);
        if !value.is_empty() {
            let _ = write!(out, "; {name}: {value}");
        }
    }
    let excepted = decision["exceptions"].as_array().map_or(0, Vec::len);
    if excepted > 0 {
        let _ = write!(out, "; {excepted} members excepted");
    }
    out
}

fn hash(case: &Value) -> String {
    let (algorithm, value) = (text(&case["hash"]["algorithm"]), text(&case["hash"]["value"]));
    format!("{algorithm} {}", value.chars().take(32).collect::<String>())
}

/// Text and numbers as they are; nothing for null.
pub(super) fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
