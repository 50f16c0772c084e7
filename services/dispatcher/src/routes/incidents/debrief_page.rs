//! The debrief as one page of HTML that can be printed: nothing is loaded, and all text is escaped.

use std::fmt::Write as _;

use super::super::html::{ENDING, PageReader, code, opening, or_none, table, text};
use super::assessed::FamilyStandingDocument;
use super::debrief::{DebriefDocument, DelayDocument};

/// The page.
pub(super) fn html(debrief: &DebriefDocument, reader: &PageReader) -> String {
    let incident = &debrief.incident;
    let mut out = opening(&incident.title, reader);
    let _ = writeln!(
        out,
        "<p class=\"tlp\">TLP:{}</p>\n<p>Incident <code>{}</code>, {}, under {} version {}; as of {}.</p>",
        text(incident.marking.tlp),
        text(&incident.id),
        incident.phase,
        text(&incident.protocol.title),
        incident.protocol.version,
        or_none(debrief.as_of.as_deref()),
    );
    if !debrief.is_complete {
        out.push_str("<p>Only the first entries of the timeline are in it.</p>\n");
    }
    let course = debrief.course.iter().map(|turn| {
        let figures = turn.figures.iter().map(|figure| {
            let family = figure.family.get(..8).unwrap_or_default();
            format!("{} of {family}: {} to {}", figure.name, figure.low, figure.high)
        });
        let figures: Vec<String> = figures.collect();
        vec![
            or_none(turn.at.as_deref()),
            turn.kind.to_owned(),
            or_none(turn.level.as_deref()),
            text(&turn.reason),
            format!(
                "{} {}",
                turn.criteria.unwrap_or("not asked"),
                text(&turn.met.join(", "))
            ),
            text(&figures.join("; ")),
            code(&turn.entry),
        ]
    });
    let heads = ["When", "What", "Level", "Why", "Criteria said", "Figures then", "Entry"];
    table(&mut out, ("Course", &heads), course);
    let heads = ["Step", "Who", "From", "Took", "Due within", "Entries"];
    table(&mut out, ("Delays", &heads), debrief.delays.iter().map(delay));
    let overturned = debrief.overturned.iter().map(|of| {
        vec![
            or_none(of.at.as_deref()),
            of.kind.to_owned(),
            text(&of.about),
            text(&of.reason),
            code(&of.entry),
        ]
    });
    let heads = ["When", "What", "About", "Why", "Entry"];
    table(&mut out, ("Overturned", &heads), overturned);
    let open = debrief.open.iter().map(|of| {
        vec![
            of.kind.to_owned(),
            text(&of.says),
            or_none(of.team.as_deref()),
            of.entry.as_deref().map_or_else(String::new, code),
        ]
    });
    table(&mut out, ("Open", &["What", "In words", "Who", "Entry"]), open);
    for family in debrief.standing.iter().flat_map(|standing| &standing.families) {
        figures(&mut out, family);
    }
    out.push_str("<h2>How this was obtained</h2>\n<ul>\n");
    for how in &debrief.how {
        let _ = writeln!(out, "<li>{}</li>", text(how));
    }
    out.push_str("</ul>\n");
    out.push_str(ENDING);
    out
}

fn delay(delay: &DelayDocument) -> Vec<String> {
    let step = match (delay.number, &delay.does) {
        (Some(number), Some(does)) => format!("{} {number}: {}", delay.step, text(does)),
        _ => delay.step.to_owned(),
    };
    let seconds = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.0} s"));
    let took = match delay.was_late {
        Some(true) => format!("<span class=\"late\">{} (late)</span>", seconds(delay.took_s)),
        _ => delay
            .took_s
            .map_or_else(|| "not done".to_owned(), |took| seconds(Some(took))),
    };
    let entries = [Some(&delay.from_entry), delay.to_entry.as_ref()];
    let entries: Vec<String> = entries.into_iter().flatten().map(|entry| code(entry)).collect();
    vec![
        step,
        text(&delay.team),
        or_none(delay.from.as_deref()),
        took,
        seconds(delay.due_s),
        entries.join(" "),
    ]
}

fn figures(out: &mut String, family: &FamilyStandingDocument) {
    let name = family.family.as_deref().map_or_else(|| "none".to_owned(), text);
    let now = format!("Figures of family {name}, as of {}", or_none(family.as_of.as_deref()));
    let rows = family.figures.iter().map(|figure| {
        let value = match (figure.low, figure.high, figure.is, &figure.missing) {
            (Some(low), Some(high), ..) if low == high => format!("{low}"),
            (Some(low), Some(high), ..) => format!("{low} to {high}"),
            (_, _, Some(yes), _) => if yes { "yes" } else { "no" }.to_owned(),
            (.., missing) => format!("not known: {}", missing.as_deref().map_or_else(String::new, text)),
        };
        vec![figure.name.to_owned(), value, text(&figure.unit)]
    });
    table(out, (&now, &["Figure", "Between", "Unit"]), rows);
    let platforms = family.platforms.iter().map(|platform| {
        let leak = platform
            .leak_through
            .map_or_else(|| "-".to_owned(), |part| format!("{:.1} %", part * 100.0));
        vec![
            text(&platform.platform),
            platform.spread_24h.to_string(),
            or_none(platform.first_seen.as_deref()),
            or_none(platform.first_removed.as_deref()),
            platform
                .first_removal_after_s
                .map_or_else(|| "-".to_owned(), |after| format!("{after:.0} s")),
            leak,
        ]
    });
    let heads = [
        "Platform",
        "Spread in 24 h",
        "First seen",
        "First removed",
        "Listing to first removal",
        "Leak-through",
    ];
    table(out, ("By platform", &heads), platforms);
}
