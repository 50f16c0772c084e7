//! What a drill says in a terminal. Every line of it begins with what it is.

use std::time::Duration;

use tocsin_model::DrillId;

use super::cast::{Keys, deliveries_topic};
use super::home::{Home, Record, Standing, State};
use super::score::{CrisisScore, IncidentScore, Moment, Scorecard, TeamScore};

/// What is said when it begins.
pub(super) fn opening(record: &Record, keys: &Keys, home: &Home) -> Vec<String> {
    let id = &record.id;
    let mut lines = vec![
        format!(
            "DRILL {id}: {} begins at {}. Nothing of it is real.",
            record.scenario, record.url
        ),
        format!("DRILL {id}: takes part: {}", record.teams.join(", ")),
        format!(
            "DRILL {id}: the keys of those who take part are in {}",
            home.keys_file().display()
        ),
    ];
    for (party, team) in &keys.party {
        let topic = deliveries_topic(home.id, party).unwrap_or_default();
        let platforms = team.platforms.join(", ");
        lines.push(format!(
            "DRILL {id}: {party} plays {platforms}; an endpoint of kind kafka is told in {topic}"
        ));
    }
    lines
}

/// What is said when everything was published.
pub(super) fn played(record: &Record, goes_on: Duration) -> String {
    format!(
        "DRILL {}: everything is published ({} events); it goes on for {} minutes at most: `tocsin drill stop {}` ends it.",
        record.id,
        record.progress.published,
        goes_on.as_secs() / 60,
        record.id
    )
}

/// What is said when its namespace is removed.
pub(super) fn removed(id: DrillId) -> String {
    format!("DRILL {id}: its topics, tables and keys are removed; record and scorecard stay.")
}

/// What is said when its namespace stays.
pub(super) fn kept(id: DrillId) -> String {
    format!("DRILL {id}: its topics, tables and keys stay until `tocsin drill stop {id}` removes them.")
}

/// One line about a drill.
pub fn status(record: &Record, standing: Standing) -> String {
    let state = match (record.state, standing) {
        (_, Standing::Removed) => "ended and removed",
        (State::Ended, _) => "ended",
        (_, Standing::Kept) => "ended before it was stopped",
        (State::Ready, Standing::Plays) => "ready",
        (State::Playing, Standing::Plays) => "playing",
        (State::Played, Standing::Plays) => "played, goes on",
    };
    let progress = &record.progress;
    format!(
        "DRILL {}: {} {state}; {} events published, {} refused, {} ms behind at most; {}; takes part: {}",
        record.id,
        record.scenario,
        progress.published,
        progress.refused,
        progress.behind_ms_max,
        record.url,
        record.teams.join(", ")
    )
}

/// The scorecard for people.
pub fn scorecard(card: &Scorecard) -> String {
    let progress = &card.progress;
    let mut lines = vec![
        format!(
            "scenario {}, seed {}, speed {}; began {}, {}",
            card.scenario,
            card.seed,
            card.speed,
            or_dash(card.began_at.as_deref()),
            card.ended_at
                .as_ref()
                .map_or_else(|| "goes on".to_owned(), |at| format!("ended {at}")),
        ),
        format!(
            "{} events published, {} refused, {} ms behind at most",
            progress.published, progress.refused, progress.behind_ms_max
        ),
    ];
    if let Some(refusal) = &progress.first_refusal {
        lines.push(format!("the first refusal: {refusal}"));
    }
    if card.crises.is_empty() {
        lines.push("no crisis was published".to_owned());
    }
    for crisis in &card.crises {
        lines.extend(of_crisis(crisis));
    }
    lines.push(format!(
        "{} families of no crisis rang; {} were decided to be violating",
        card.false_alarms, card.false_decisions
    ));
    if card.incidents.is_empty() {
        lines.push("no incident was declared".to_owned());
    }
    for incident in &card.incidents {
        lines.extend(of_incident(incident));
    }
    if card.is_cut {
        lines.push("more happened than is read: a part of it is left out".to_owned());
    }
    lines
        .iter()
        .map(|line| format!("DRILL {}: {line}\n", card.drill))
        .collect()
}

fn of_crisis(crisis: &CrisisScore) -> Vec<String> {
    let mut lines = vec![format!(
        "crisis {}: {} copies posted, {} blocked; first copy {}",
        crisis.number,
        crisis.posted,
        crisis.blocked,
        or_dash(crisis.began.at.as_deref())
    )];
    let moments = [("a spread", &crisis.onset), ("rang", &crisis.rang)];
    lines.extend(moments.map(|(what, moment)| format!("  {what}: {}", when(moment.as_ref()))));
    lines.extend(crisis.teams.iter().flat_map(of_team));
    lines
}

fn of_team(team: &TeamScore) -> Vec<String> {
    let moments = [
        ("rang", &team.rang),
        ("told", &team.told),
        ("claimed", &team.claimed),
        ("decided", &team.decided),
    ];
    let mut lines = vec![format!("  {}", team.team)];
    lines.extend(moments.map(|(what, moment)| format!("    {what}: {}", when(moment.as_ref()))));
    if let Some(verdict) = &team.verdict {
        lines.push(format!("    verdict: {verdict}"));
    }
    if team.removals_awaited > 0 {
        lines.push(format!(
            "    removals confirmed: {} of {}, the last {}",
            team.removals_confirmed,
            team.removals_awaited,
            when(team.removals_confirmed_last.as_ref())
        ));
    }
    lines
}

fn of_incident(incident: &IncidentScore) -> Vec<String> {
    let mut lines = vec![format!(
        "incident {} ({}): {}, about {}",
        incident.incident,
        incident.title,
        incident.phase,
        match incident.crises.is_empty() {
            true => "no crisis".to_owned(),
            false => incident
                .crises
                .iter()
                .map(|number| format!("crisis {number}"))
                .collect::<Vec<_>>()
                .join(", "),
        }
    )];
    lines.push(format!("  declared: {}", when(Some(&incident.declared))));
    for (level, moment) in &incident.levels {
        lines.push(format!("  level {level}: {}", when(Some(moment))));
    }
    lines.push(format!("  hashes shared: {}", when(incident.shared.as_ref())));
    lines.push(format!("  concluded: {}", when(incident.concluded.as_ref())));
    for participant in &incident.participants {
        let took = participant.took_ms.map_or_else(
            || "not acknowledged".to_owned(),
            |ms| format!("acknowledged after {}", seconds(ms)),
        );
        lines.push(format!(
            "  {} invited {}; {took}",
            participant.team,
            when(Some(&participant.invited))
        ));
    }
    lines
}

fn when(moment: Option<&Moment>) -> String {
    moment.map_or_else(
        || "never".to_owned(),
        |moment| {
            format!(
                "after {}, {} copies posted by then",
                seconds(moment.after_ms),
                moment.posted_before
            )
        },
    )
}

fn seconds(ms: i64) -> String {
    format!("{:.1} s", ms as f64 / 1_000.0)
}

fn or_dash(text: Option<&str>) -> &str {
    text.unwrap_or("-")
}
