//! What a person who never saw the project is told of these days.

mod assumed;
mod goals;
mod headline;
mod rung;
mod runs;
#[cfg(test)]
mod tests;
mod unlinked;

use tocsin_loadtest::day::Scenario;
use tocsin_loadtest::report::{Bar, Report, Section, short, verdicts};

use self::rung::Rung;
use super::super::SuiteArguments;
use super::Results;
use super::play::{Played, TOCSIN};
use crate::evaluate::output::number;
use crate::rehearsal::Figures;

/// The report on these days.
pub(super) fn of(scenario: Scenario, suite: &SuiteArguments, figures: &Figures, results: &Results) -> Report {
    let played = &results.headline[..];
    let bars = [
        goals::bars(scenario, figures, played),
        runs::bars(figures, results),
        unlinked::bars(figures, results.unlinked.as_ref()),
    ]
    .concat();
    Report {
        title: format!("How good is the alarm? Scenario {}", scenario.name()),
        summary: summary(scenario, suite, figures, results, &bars),
        introduction: introduction(played, results),
        bars,
        sections: sections(played, results),
        origin: vec![format!(
            "Made by: tocsin evaluate {} --seed {} --scale {} --report DIR, and --run, --days and --exact-days where given; the same arguments give \
             the same page, but for its date and the processor time of a record (core_ns_per_record). Rows to score again: --rows DIR; days are numbered from 0 there and from 1 here.",
            scenario.name(),
            suite.seed,
            suite.scale
        )],
        ..Report::default()
    }
}

/// What was run, and what came of it.
fn summary(scenario: Scenario, suite: &SuiteArguments, figures: &Figures, results: &Results, bars: &[Bar]) -> String {
    let played = &results.headline[..];
    let mut runs = Vec::new();
    if !played.is_empty() {
        let sum = |of: fn(&Played) -> u64| short(played.iter().map(of).sum::<u64>() as f64);
        runs.push(format!(
            "{} simulated {} with {} events about {} contents",
            played.len(),
            if scenario == Scenario::Christchurch {
                plural(played.len(), "headline day", "headline days")
            } else {
                plural(played.len(), "day", "days")
            },
            sum(|day| day.day.events),
            sum(|day| day.day.contents)
        ));
    }
    if let Some(paging) = &results.paging {
        let days = paging.days.len().saturating_sub(1);
        runs.push(format!(
            "{days} {} of pages after one to learn on",
            plural(days, "day", "days")
        ));
    }
    if let Some(queue) = &results.queue {
        runs.push(format!(
            "a day of the queue with {} cascades",
            short(queue.cascades as f64)
        ));
    }
    if let Some(crises) = number(figures, "unlinked_crises") {
        runs.push(format!("{} crises whose variants nobody has grouped", short(crises)));
    }
    let mut said = vec![format!(
        "Scenario {}, seed {}, scale {}: {}.",
        scenario.name(),
        suite.seed,
        suite.scale,
        runs.join("; ")
    )];
    if !played.is_empty() {
        said.push(outcome(figures, &Rung::of(played, TOCSIN)));
    }
    said.push(verdicts(bars));
    said.join("\n")
}

/// What the alarms of the headline were.
fn outcome(figures: &Figures, rung: &Rung) -> String {
    let figure = |name: &str| number(figures, name);
    let crises = figure("crises").unwrap_or(0.0);
    let mut said = String::new();
    if crises > 0.0 {
        said = format!(
            "{} of {} crises were alarmed",
            short(figure("crises_alarmed").unwrap_or(0.0)),
            short(crises)
        );
        if let Some(reuploads) = figure("reuploads_at_alarm_p50") {
            said += &format!(", in the median by re-upload {}", short(reuploads));
        }
        said += "; ";
    }
    format!(
        "{said}of {} alarms {} were about crises, {} about other contents that truly spiked, {} near and {} false.",
        short(rung.all() as f64),
        short(rung.crises as f64),
        short(rung.others() as f64),
        short(rung.near as f64),
        short(rung.false_alarms as f64)
    )
}

fn introduction(played: &[Played], results: &Results) -> Vec<String> {
    let mut told = vec![
        "Tocsin is told of uploads and shares on several platforms, as hashes, times and pseudonyms of accounts, and rings when copies of one content \
         begin to spread as a violent video does. It is told of no content itself. Here it was played generated days; what truly happened on them is \
         known, so each alarm can be judged."
            .to_owned(),
        "An alarm is right if the content has a spike: an hour with at least 30 re-uploads by 20 accounts and ten times its rate of the \
         day before, which contains the alarm or begins within 15 minutes after it. With 20 re-uploads by 15 accounts it is near; \
         otherwise false. A second alarm for one content within a day is false too. A re-upload is any copy after the first, blocked ones included; \
         the onset of a crisis is the re-upload by its 10th account."
            .to_owned(),
    ];
    if !played.is_empty() {
        told.push(right_is_not_harmful(played));
    }
    told.push(assumed::told(played, results));
    told.push(
        "Verdicts: counts are those of this run. Where a goal is about a rate or a percentile, the run allows the truth to lie within bounds (each holds \
         with 95 % confidence by itself). Such a goal is met only where even the bound is within it, missed where even the bound on the other \
         side is beyond it, and otherwise not decided: a longer run decides it."
            .to_owned(),
    );
    told
}

/// Most right alarms are about what spreads and harms nobody.
fn right_is_not_harmful(played: &[Played]) -> String {
    let rung = Rung::of(played, TOCSIN);
    let kinds: Vec<String> = rung
        .others
        .iter()
        .map(|(kind, count)| format!("{} {}", short(*count as f64), rung::words(*kind)))
        .collect();
    let kinds = match kinds.is_empty() {
        true => String::new(),
        false => format!(" ({})", kinds.join(", ")),
    };
    format!(
        "Right does not mean harmful. Of {} right alarms {} were about crises; {} were about other contents that truly spiked{kinds}: rightly told as \
         spreading, though no crisis. Tocsin sees how something spreads and not what it shows. Which is which people decide; who is \
         interrupted, and what stands first in the queue, is to see to it that the harmful is looked at first.{}",
        short(rung.right() as f64),
        short(rung.crises as f64),
        short(rung.others() as f64),
        sizes(played)
    )
}

/// How large the crises are beside what is harmless.
fn sizes(played: &[Played]) -> String {
    use tocsin_loadtest::day::FamilyKind::{Attack, Crisis};
    let copies = |is: fn(tocsin_loadtest::day::FamilyKind) -> bool| {
        let truths = played.iter().flat_map(|day| &day.truths);
        // The rows also hold what any detector rang about.
        let told = truths.filter(move |truth| is(truth.kind) && (truth.spike_from.is_some() || !truth.near.is_empty()));
        told.map(|truth| truth.copies)
    };
    let harmless = copies(|kind| !matches!(kind, Crisis | Attack)).max();
    match (
        harmless,
        copies(|kind| kind == Crisis).min(),
        copies(|kind| kind == Crisis).max(),
    ) {
        (Some(harmless), Some(least), Some(most)) => {
            let crises = match least == most {
                true => format!("the crisis {}", short(f64::from(most))),
                false => format!("the crises {} to {}", short(f64::from(least)), short(f64::from(most))),
            };
            format!(
                " The largest harmless content that spiked or came near had {} copies on its day, {crises}.",
                short(f64::from(harmless))
            )
        }
        _ => String::new(),
    }
}

fn sections(played: &[Played], results: &Results) -> Vec<Section> {
    let mut sections = headline::sections(played);
    sections.extend(results.paging.iter().map(runs::pages));
    sections.extend(results.queue.iter().map(runs::order));
    sections.extend(results.poisoning.iter().map(runs::influence));
    sections.extend(results.unlinked.iter().map(unlinked::families));
    sections.retain(|section| !section.heading.is_empty());
    sections
}

fn plural<'a>(count: usize, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}
