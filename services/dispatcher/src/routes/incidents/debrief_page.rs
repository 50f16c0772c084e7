//! The debrief as one page of HTML that can be printed: nothing is loaded, and all text is escaped.

use std::fmt::Write as _;

use super::assessed::FamilyStandingDocument;
use super::debrief::{DebriefDocument, DelayDocument};

const STYLE: &str = "body{font:11pt/1.4 sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#111}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}th,td{border:1px solid #999;padding:.25rem .5rem;text-align:left;vertical-align:top}\
th{background:#eee}h1{margin-bottom:0}h2{margin-top:2rem}.tlp{font-weight:bold}.late{font-weight:bold}code{font-size:9pt}\
@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr{break-inside:avoid}}";

/// The page.
pub(super) fn html(debrief: &DebriefDocument) -> String {
    let incident = &debrief.incident;
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head><body>\n\
         <h1>{title}</h1>\n<p class=\"tlp\">TLP:{}</p>\n<p>Incident <code>{}</code>, {}, under {} version {}; as of {}.</p>\n",
        text(incident.marking.tlp),
        text(&incident.id),
        incident.phase,
        text(&incident.protocol.title),
        incident.protocol.version,
        or_none(debrief.as_of.as_deref()),
        title = text(&incident.title),
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
    out.push_str("</ul>\n</body></html>\n");
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

fn table(out: &mut String, (title, heads): (&str, &[&str]), rows: impl Iterator<Item = Vec<String>>) {
    let _ = writeln!(out, "<h2>{title}</h2>");
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        out.push_str("<p>Nothing.</p>\n");
        return;
    }
    let heads: String = heads.iter().map(|head| format!("<th>{head}</th>")).collect();
    let _ = writeln!(out, "<table><thead><tr>{heads}</tr></thead><tbody>");
    for row in rows {
        let cells: String = row.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        let _ = writeln!(out, "<tr>{cells}</tr>");
    }
    out.push_str("</tbody></table>\n");
}

fn or_none(value: Option<&str>) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

fn code(value: &str) -> String {
    format!("<code>{}</code>", text(value))
}

/// Text in which nothing means anything to HTML, inside an element as inside an attribute.
fn text(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // A browser may show what follows these in another direction, or not at all.
            control if control.is_control() || ('\u{202a}'..='\u{202e}').contains(&control) => out.push(' '),
            plain => out.push(plain),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_that_somebody_wrote_means_anything_to_html() {
        let written = "<script>alert('1')</script> & \"x\"\u{202e}\0";
        let shown = super::text(written);
        assert_eq!(
            shown,
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot;  "
        );
    }
}
