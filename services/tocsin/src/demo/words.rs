//! Figures in words. Everything here is a function of what is shown.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::Verdict;
use tocsin_wire::document::{AccountsRange, HashText, TermAnswer};

use super::answers::Case;
use super::player::Player;
use super::scene::{Alarm, Scene};
use crate::explain::answer::Alert;

/// Bars of one eighth to eight eighths.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// How many seconds, or bins, a line of bars shows.
const BARS_MAX: usize = 20;
/// How many families and cases are shown.
const ROWS_MAX: usize = 3;

pub fn opening(url: &str, player: &Player) -> String {
    format!(
        "Tocsin is up on {url}, with everything it knows in a temporary directory.\n\
         Two parties with {} platforms publish for {:.0} s. Somewhere in it, a violent video begins to spread.",
        player.platforms().len(),
        player.lasts.as_secs_f64()
    )
}

pub fn look_further(url: &str, header: &Path) -> String {
    let curl = format!("curl -s -H @{} {url}", header.display());
    format!(
        "While it plays you can look yourself, as the coordinators:\n  {curl}/v1/trending?window=5m\n  {curl}/v1/queue\n  \
         {curl}/v1/alerts\n  {curl}/v1/stream -N\nThe API is described at {url}/v1/openapi.json, metrics are at {url}/metrics."
    )
}

pub fn first_figures(after: Duration) -> String {
    format!("First figures after {:.1} s.", after.as_secs_f64())
}

/// One line of figures, for those without a screen.
pub fn status(scene: &Scene) -> String {
    let at = scene.player.elapsed().as_secs();
    let tally = scene.player.tally();
    let rates: Vec<String> = tally
        .by_second
        .iter()
        .map(|(platform, counts)| format!("{platform} {}", last_full(counts, at)))
        .collect();
    let first = scene.trending.families.first();
    let spreading = first.map_or("nothing is counted exactly yet".to_owned(), |family| {
        format!(
            "most copies in 5 min: {} of {}",
            range(family.spread.low, family.spread.high),
            family.hash.as_ref().map_or("one content".to_owned(), short)
        )
    });
    let open = scene.cases.iter().filter(|case| case.state == "open").count();
    format!(
        "[{at:>3} s] events/s: {}; {spreading}; cases open: {open}",
        rates.join(", ")
    )
}

pub fn alarm(alarm: &Alarm) -> String {
    let alert = &alarm.alert;
    format!(
        "\nALARM raised {:.1} s and {} re-uploads after the first copy was published.\n{}\n",
        alarm.after.as_secs_f64(),
        alarm.copies,
        reasons(alert)
    )
}

/// A number of accounts as it is shown; an answer of a version before shows none.
fn accounts(accounts: &AccountsRange) -> String {
    match accounts.estimate {
        Some(estimate) => format!("{estimate:.0}"),
        None => accounts.shown.clone(),
    }
}

/// What rang and why, in sentences.
fn reasons(alert: &Alert) -> String {
    let trigger = &alert.trigger;
    let platforms: Vec<String> = alert
        .platforms
        .iter()
        .map(|platform| format!("{} {}", platform.platform, platform.spread_1h))
        .collect();
    format!(
        "  What      {}, {}\n  \
         Why       {} copies in {}, where {} would be ordinary: score {:.0}, and it rings from {:.0}\n  \
         Who       {} accounts (a sum over platforms): {}\n  \
         Priority  {:.0} = {:.0} % likely to be violating x {:.0} exposures in the next hour x severity {:.1}\n  \
         Exposure  {:.0} more copies in the next hour{}, {:.0} % of them posted, {:.0} viewers a copy\n  \
         Likely    {}",
        short(&alert.hash),
        members(alert.members),
        trigger.observed,
        span(trigger.window_ms),
        expected(trigger.expected),
        trigger.score,
        trigger.threshold,
        accounts(&trigger.accounts_sum_over_platforms),
        platforms.join(", "),
        alert.priority,
        100.0 * term(alert, "probability"),
        term(alert, "exposure_counted"),
        term(alert, "severity"),
        alert.forecast_1h,
        likely_range(alert),
        100.0 * term(alert, "posted_share"),
        term(alert, "audience_per_copy"),
        log_odds(&alert.priority_terms)
    )
}

pub fn other_alarm(alert: &Alert) -> String {
    format!(
        "Another content rang too: {}, {} copies in {}. It spreads, and nothing says that it is violent: {:.0} % likely, priority {:.0}.",
        short(&alert.hash),
        alert.trigger.observed,
        span(alert.trigger.window_ms),
        100.0 * term(alert, "probability"),
        alert.priority
    )
}

pub fn later_alert(alert: &Alert) -> String {
    format!(
        "The alarm is {} (scope {}): {}, {} copies in {}, priority {:.0}.",
        alert.level,
        alert.scope,
        short(&alert.hash),
        alert.trigger.observed,
        span(alert.trigger.window_ms),
        alert.priority
    )
}

pub fn claimed(case: &Case, cases: &[Case]) -> String {
    let waiting = cases.iter().filter(|case| case.state == "open").count();
    format!(
        "The moderator claims the best of {waiting} open case(s): {}, priority {:.0}, and looks at it.",
        short(&case.hash),
        case.priority
    )
}

pub fn decided(case: &Case) -> String {
    let verdict = case.decision.as_ref().map_or("nothing", |decision| &decision.verdict);
    format!(
        "The moderator decides: {verdict}. The case is {}; the decision goes out in a few seconds, unless it is taken back.",
        case.state
    )
}

pub fn came_back(alert: &Alert, before: f64, after: Duration) -> String {
    format!(
        "The decision came back {:.1} s later: the alarm is {} with the decision in its priority, {before:.0} before and {:.0} now ({}).",
        after.as_secs_f64(),
        alert.level,
        alert.priority,
        log_odds(&alert.priority_terms)
    )
}

pub fn stands(state: &str) -> String {
    format!("The decision stands: the case is {state}.")
}

pub fn found_another(case: &Case) -> String {
    format!("That is not the crisis: {} was put above it.", short(&case.hash))
}

pub fn played(player: &Player) -> String {
    let tally = player.tally();
    let refused = match &tally.first_refusal {
        Some(reason) => format!(", {} refused; the first: {reason}", tally.refused),
        None => String::new(),
    };
    format!(
        "All is published: {} events{refused}, {} of them copies of the violent video.",
        tally.taken, tally.crisis_copies
    )
}

pub fn verdict(verdict: &Verdict, scene: &Scene) -> String {
    let cases: Vec<String> = scene
        .cases
        .iter()
        .take(ROWS_MAX)
        .map(|case| case_row(case, scene))
        .collect();
    let judgement = match (verdict, &scene.alarm) {
        (Verdict::TheCrisisRang { others }, Some(alarm)) => format!(
            "The alarm for the violent video was raised {:.1} s and {} re-uploads after its first copy, and stood at the head of the queue. {}",
            alarm.after.as_secs_f64(),
            alarm.copies,
            match others {
                0 => "Nothing else rang.".to_owned(),
                1 => "One other content rang, an organic burst, and stood below it.".to_owned(),
                others => format!("{others} other contents rang, organic bursts, and stood below it."),
            }
        ),
        (Verdict::NotFirst, _) => "The alarm rang, but the violent video was not the first in the queue.".to_owned(),
        _ => "No alarm rang for the violent video.".to_owned(),
    };
    format!(
        "\nThe queue at the end [and what the plan says]:\n{}\n{judgement}",
        cases.join("\n")
    )
}

/// The figures of the screen.
pub fn panel(scene: &Scene) -> Vec<String> {
    let at = scene.player.elapsed().as_secs();
    let lag = match scene.trending.lag_ms {
        Some(lag_ms) => format!("figures {:.1} s old", lag_ms as f64 / 1_000.0),
        None => "no figures yet".to_owned(),
    };
    let rang = scene.alarm.is_some();
    let mut lines = vec![
        String::new(),
        format!(
            "── {at} of {:.0} s ── {lag} {}",
            scene.player.lasts.as_secs_f64(),
            "─".repeat(40)
        ),
        format!(
            "{:<16} {:<BARS_MAX$}       {}",
            "platform",
            "events a second",
            if rang { "copies of what rang, by 5 s" } else { "" }
        ),
    ];
    let courses = courses(scene);
    let tally = scene.player.tally();
    for platform in scene.player.platforms() {
        let counts = tally.by_second.get(&platform).map_or(&[][..], Vec::as_slice);
        let full = &counts[..counts.len().min(usize::try_from(at).unwrap_or(usize::MAX))];
        let mut line = format!("{platform:<16} {:<BARS_MAX$} {:>4}", bars(full), last_full(counts, at));
        if rang {
            let course = courses.get(&platform).map_or(&[][..], Vec::as_slice);
            line += &format!("  {:<BARS_MAX$} {:>5}", bars(course), course.iter().sum::<u64>());
        }
        lines.push(line);
    }
    lines.push("spreading most, copies in 5 min".to_owned());
    lines.extend((0..ROWS_MAX).map(|row| spreading_row(scene, row)));
    lines.push("the coordinators' queue, by priority [and what the plan says]".to_owned());
    lines.extend((0..ROWS_MAX).map(|row| scene.cases.get(row).map_or(String::new(), |case| case_row(case, scene))));
    lines
}

fn spreading_row(scene: &Scene, row: usize) -> String {
    let Some(family) = scene.trending.families.get(row) else {
        return String::new();
    };
    let platforms: Vec<String> = family
        .platforms
        .iter()
        .map(|platform| format!("{} {}", platform.platform, platform.spread))
        .collect();
    format!(
        "  {:>6}  {}  {}",
        range(family.spread.low, family.spread.high),
        family.hash.as_ref().map_or(String::new(), short),
        platforms.join(", ")
    )
}

fn case_row(case: &Case, scene: &Scene) -> String {
    let decision = case.decision.as_ref().map_or("", |decision| &decision.verdict);
    let truth = match scene.player.is_crisis(&case.hash) {
        true => "the crisis",
        false => "harmless",
    };
    format!(
        "  {:>8.0}  {:<8} {}  {decision:<9}  [{truth}]",
        case.priority,
        case.state,
        short(&case.hash)
    )
}

/// Copies of the crisis' family by platform and bin of five seconds, from its first bin to its last.
fn courses(scene: &Scene) -> BTreeMap<String, Vec<u64>> {
    let spread = ["upload", "blocked_upload", "share"];
    let lines = || {
        scene
            .series
            .lines
            .iter()
            .filter(|line| spread.contains(&line.kind.as_str()))
    };
    let mut starts: Vec<&str> = lines().flat_map(|line| &line.bins).map(|bin| bin.at.as_str()).collect();
    // Times of one form and zone are in the order of their text.
    starts.sort_unstable();
    starts.dedup();
    let mut courses: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in lines() {
        let course = courses
            .entry(line.platform.clone())
            .or_insert_with(|| vec![0; starts.len()]);
        for bin in &line.bins {
            if let Ok(place) = starts.binary_search(&bin.at.as_str()) {
                course[place] += bin.count;
            }
        }
    }
    courses
}

/// The last full second before `at`.
fn last_full(counts: &[u64], at: u64) -> u64 {
    let second = usize::try_from(at).unwrap_or(usize::MAX).checked_sub(1);
    second.and_then(|second| counts.get(second)).copied().unwrap_or(0)
}

/// The last counts as bars, the highest of them full.
fn bars(counts: &[u64]) -> String {
    let shown = &counts[counts.len().saturating_sub(BARS_MAX)..];
    let most = shown.iter().copied().max().unwrap_or(0).max(1);
    shown
        .iter()
        .map(|&count| match count {
            0 => ' ',
            count => BARS[usize::try_from((count * 8).div_ceil(most)).unwrap_or(8).clamp(1, 8) - 1],
        })
        .collect()
}

fn short(hash: &HashText) -> String {
    let start: String = hash.value.chars().take(12).collect();
    format!("{} {start}…", hash.algorithm)
}

fn range(low: u64, high: u64) -> String {
    if low == high {
        low.to_string()
    } else {
        format!("{low}-{high}")
    }
}

fn span(milliseconds: u64) -> String {
    match milliseconds {
        60_000 => "1 minute".to_owned(),
        3_600_000 => "1 hour".to_owned(),
        _ if milliseconds.is_multiple_of(60_000) => format!("{} minutes", milliseconds / 60_000),
        _ => format!("{:.0} s", milliseconds as f64 / 1_000.0),
    }
}

fn expected(count: f64) -> String {
    if count < 0.01 {
        "less than 0.01".to_owned()
    } else {
        format!("{count:.2}")
    }
}

fn members(count: u32) -> String {
    match count {
        1 => "a content without known variants".to_owned(),
        count => format!("a family of {count} contents"),
    }
}

/// The interval of the forecast, in brackets.
fn likely_range(alert: &Alert) -> String {
    alert.forecast.as_ref().map_or_else(String::new, |forecast| {
        format!(" ({:.0} to {:.0})", forecast.spread.low, forecast.spread.high)
    })
}

fn term(alert: &Alert, name: &str) -> f64 {
    let found = alert.priority_terms.iter().find(|term| term.name == name);
    found.map_or(0.0, |term| term.value)
}

/// The log-odds that make the probability, each with what it stands for.
fn log_odds(terms: &[TermAnswer]) -> String {
    let meaning = |name: &str| match name {
        "prior" => Some("before anything is known"),
        "labels" => Some("the platforms' own classifiers"),
        "reports" => Some("reports of users"),
        "spread_after_removal" => Some("copies after a removal"),
        "watch" => Some("on a watch list"),
        "labels_overturned" => Some("classifiers were overturned before"),
        "watch_overturned" => Some("watch lists were overturned before"),
        "synchrony" => Some("on several platforms at once"),
        "decision" => Some("a moderator's decision"),
        _ => None,
    };
    let said: Vec<String> = terms
        .iter()
        .filter(|term| term.value != 0.0)
        .filter_map(|term| Some(format!("{:+.1} {}", term.value, meaning(&term.name)?)))
        .collect();
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_put_in_words() {
        assert_eq!(bars(&[0, 1, 4, 8]), " ▁▄█");
        assert_eq!(bars(&[]), "");
        assert_eq!(bars(&[1; 100]).chars().count(), BARS_MAX);
        assert_eq!(span(60_000), "1 minute");
        assert_eq!(span(900_000), "15 minutes");
        assert_eq!(expected(0.0003), "less than 0.01");
        assert_eq!(range(2, 2), "2");
        assert_eq!(range(2, 5), "2-5");
        assert_eq!(last_full(&[4, 5, 6], 2), 5);
        assert_eq!(last_full(&[], 7), 0);
        let terms = [("prior", -2.0), ("reports", 0.0), ("labels", 3.2), ("probability", 0.8)].map(|(name, value)| {
            TermAnswer {
                name: name.to_owned(),
                value,
            }
        });
        assert_eq!(
            log_odds(&terms),
            "-2.0 before anything is known, +3.2 the platforms' own classifiers"
        );
    }
}
