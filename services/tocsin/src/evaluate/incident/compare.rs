//! The answers beside the truth.

use serde_json::Value;
use tocsin_model::{Milliseconds, Name, Timestamp};

use super::check::Check;
use super::oracle::{Counts, Oracle, WHATS};
use super::script::{Party, Script, Span, instant};

/// What platforms tell of is known to so many seconds.
const SIGHTINGS_S: f64 = 5.0;

/// The hashes that are given out are those of the crisis.
pub(super) fn pack(check: &mut Check, party: &Name, manifest: &Value, oracle: &Oracle) {
    let given = list(&manifest["hashes"]).filter_map(|packed| packed["value"].as_str());
    let given: std::collections::BTreeSet<String> = given.map(str::to_owned).collect();
    check.equal(&format!("pack for {party}: hashes"), given, oracle.counts().contents);
}

/// What is learned from the incident, as one reader is told it.
pub(super) fn debrief(check: &mut Check, party: Option<&Party>, told: &Value, script: &Script) {
    let reader = reader(party);
    let of = |part: &str| format!("debrief for {reader}: {part}");
    let course: Vec<(&str, Option<&str>)> = list(&told["course"])
        .map(|turn| (text(&turn["kind"]), turn["level"].as_str()))
        .collect();
    let awareness = Some("awareness");
    let truth = vec![("declared", None), ("activated", awareness), ("concluded", awareness)];
    check.equal(&of("course"), course, truth);
    if party.is_none() {
        let activated = list(&told["course"]).find(|turn| turn["kind"] == "activated");
        let figures = activated.map(|turn| &turn["figures"]).unwrap_or(&Value::Null);
        let then = &script.acts.true_then;
        for (name, truth) in windows(then) {
            if let Some(figure) = named(figures, name) {
                check.counts(&of(&format!("{name} at the activation")), range(figure), truth);
            }
        }
        let accounts = named(figures, "accounts").and_then(range);
        check.reach(&of("accounts at the activation"), accounts, then.accounts as f64);
    }
    delays(check, told, script, &of);
    check.equal(&of("overturned"), list(&told["overturned"]).count(), 0);
    check.equal(&of("families"), list(&told["standing"]["families"]).count(), 1);
    for family in list(&told["standing"]["families"]) {
        standing(check, family, script, &of);
    }
}

fn delays(check: &mut Check, told: &Value, script: &Script, of: &impl Fn(&str) -> String) {
    let took = |step: &str, team: &str| {
        let delay = list(&told["delays"]).find(|delay| delay["step"] == step && delay["team"] == team);
        delay.and_then(|delay| delay["took_s"].as_f64())
    };
    let acts = &script.acts;
    if let Some(bounds) = between(acts.declared, acts.activated) {
        check.within(&of("activation"), took("activation", "coordinators"), bounds);
    }
    for (party, invited) in &acts.invited {
        let acknowledged = acts.acknowledged.get(party).copied();
        if let Some(bounds) = between(Some(*invited), acknowledged) {
            let what = of(&format!("acknowledgement by {party}"));
            check.within(&what, took("acknowledgement", party.as_str()), bounds);
        }
    }
}

/// A family as it stands at the end.
fn standing(check: &mut Check, family: &Value, script: &Script, of: &impl Fn(&str) -> String) {
    let truth = script.oracle.counts();
    for (name, truth) in windows(&truth) {
        check.counts(&of(name), named(&family["figures"], name).and_then(range), truth);
    }
    let accounts = named(&family["figures"], "accounts").and_then(range);
    check.reach(&of("accounts"), accounts, truth.accounts as f64);
    let variants = named(&family["figures"], "variants").and_then(range);
    check.holds(&of("variants"), variants, truth.contents.len() as f64);
    let as_of = instant(&family["as_of"]);
    if let (Some(as_of), Some(first)) = (as_of, truth.first_at) {
        let since = seconds(first, as_of);
        let told = named(&family["figures"], "since_first_seen").and_then(range);
        check.within(
            &of("since_first_seen"),
            told.map(|(low, _)| low),
            (since - SIGHTINGS_S, since + SIGHTINGS_S),
        );
    }

    let by_platform = script.oracle.by_platform();
    let told: std::collections::BTreeSet<&str> = list(&family["platforms"])
        .map(|platform| text(&platform["platform"]))
        .collect();
    check.equal(&of("platforms"), told, by_platform.keys().map(Name::as_str).collect());
    for platform in list(&family["platforms"]) {
        let name = text(&platform["platform"]);
        let Some((_, truth)) = by_platform.iter().find(|(of, _)| of.as_str() == name) else {
            continue;
        };
        let of = |part: &str| of(&format!("{part} on {name}"));
        for window in ["spread_5m", "spread_1h", "spread_24h"] {
            // Exact since each content became hot: what was before may be on any platform.
            let told = platform[window].as_f64().unwrap_or(f64::MAX);
            let before = cold(&script.oracle.counts());
            check.holds(&of(window), Some((told, told + before)), truth.spread as f64);
        }
        let told = (platform["accounts"]["low"].as_f64()).zip(platform["accounts"]["high"].as_f64());
        // Those of copies from before may be missing.
        let told = told.map(|(low, high)| (low, high + cold(&script.oracle.counts())));
        check.reach(&of("accounts"), told, truth.accounts as f64);
        for (clock, truth) in [
            ("first_seen", truth.first_at),
            ("first_removed", truth.first_removed_at),
        ] {
            if let Some(truth) = truth {
                let told = instant(&platform[clock]).map(|told| seconds(truth, told));
                check.within(&of(clock), told, (-SIGHTINGS_S, SIGHTINGS_S));
            }
        }
    }
}

/// What is posted so long after a decision is surely known as a leak: the decision is told after five seconds, at once but for the dispatcher's pace, and
/// which families were told is asked for every ten.
pub(super) const LEAK_KNOWN: Milliseconds = Milliseconds::from_seconds(20);

/// On how many platforms a copy is a leak, at least and at most, by when copies were posted there and when it was decided. The decision is told once it can be
/// undone no more, and a copy of the same five seconds is not called a leak.
fn leaked<'a>(posted: impl Iterator<Item = &'a [Timestamp]> + Clone, decided: Span) -> (f64, f64) {
    let since = |told: Timestamp| {
        let leaks = posted.clone().filter(|times| times.iter().any(|at| *at >= told));
        leaks.count() as f64
    };
    (since(decided.to + LEAK_KNOWN), since(decided.from))
}

/// A team's report of the days on which the script was played, beside what the script did and the team's own cases.
pub(super) fn report(check: &mut Check, party: Option<&Party>, told: &Value, (script, cases): (&Script, Vec<Value>)) {
    let reader = reader(party);
    let of = |part: &str| format!("report for {reader}: {part}");
    let sum = |name: &str, by: &[(&str, &str)]| figures(told, name, by).iter().map(|(low, _)| low).sum::<f64>();
    let decided = f64::from(u8::from(party.is_some()));
    check.equal(&of("opened"), sum("opened", &[]), cases.len() as f64);
    check.equal(&of("found"), sum("found", &[]), cases.len() as f64);
    check.equal(&of("alarms"), sum("alarms", &[]), cases.len() as f64);
    check.equal(&of("decided"), sum("decided", &[]), decided);
    check.equal(
        &of("decided violating"),
        sum("decided", &[("verdict", "violating")]),
        decided,
    );
    check.equal(&of("undecided"), sum("undecided", &[]), cases.len() as f64 - decided);
    check.equal(&of("decisions"), sum("decisions", &[]), decided);
    let ruling = [("verdict", "violating"), ("action", "remove")];
    check.equal(&of("decisions to remove"), sum("decisions", &ruling), decided);
    for nothing in ["merged", "overturned", "filed", "members_restored", "recommended_again"] {
        check.equal(&of(nothing), sum(nothing, &[]), 0.0);
    }
    let Some(party) = party else {
        check.equal(&of("leaked"), sum("leaked", &[]), 0.0);
        return;
    };
    let posted = script.oracle.posted(&party.platforms);
    if let Some(decided) = script.acts.decided.get(&party.name) {
        let uploads = script.oracle.uploads();
        let on_each = party
            .platforms
            .iter()
            .map(|platform| uploads.get(platform).map_or(&[][..], Vec::as_slice));
        let most = party.platforms.len() as f64;
        check.among(&of("leaked"), sum("leaked", &[]), leaked(on_each, *decided), most);
    }
    check.equal(&of("members removed"), sum("members_removed", &[]), posted.len() as f64);
    check.equal(&of("removals"), sum("removals", &[]), posted.len() as f64);
    check.equal(&of("never confirmed"), sum("never_confirmed", &[]), 0.0);
    check.equal(&of("returned"), sum("returned", &[]), 0.0);
    check.equal(
        &of("decided in the golden hour"),
        sum("decided_in_golden_hour", &[]),
        1.0,
    );
    let mine = script.oracle.by_platform();
    let mine = mine.iter().filter(|(platform, _)| party.platforms.contains(*platform));
    let first = mine.filter_map(|(_, counts)| counts.first_at).min();
    if let (Some(first), Some(decided)) = (first, script.acts.decided.get(&party.name)) {
        let took = figures(told, "took", &[("step", "decision"), ("rank", "median")]);
        let bounds = (
            seconds(first, decided.from) - SIGHTINGS_S,
            seconds(first, decided.to) + SIGHTINGS_S,
        );
        check.within(&of("took to decide"), middle(&took, bounds), bounds);
    }
    removals(check, party, told, script, &of);
    views(check, party, told, script, &of);
    labels(check, party, told, &script.oracle, &of);
    notices(check, party, told, script, &of);
    let by = [("party", party.name.as_str())];
    check.equal(&of("invited"), sum("invited", &by), 1.0);
    check.equal(&of("acknowledged"), sum("acknowledged", &by), 1.0);
    let invited = script.acts.invited.get(&party.name).copied();
    if let Some(bounds) = between(invited, script.acts.acknowledged.get(&party.name).copied()) {
        let took = figures(told, "took_to_acknowledge", &[("rank", "median")]);
        check.within(&of("took to acknowledge"), middle(&took, bounds), bounds);
    }
}

/// How long each platform took until it first removed a copy. Both ends are sightings.
fn removals(check: &mut Check, party: &Party, told: &Value, script: &Script, of: &impl Fn(&str) -> String) {
    let platforms = script.oracle.by_platform();
    for (platform, counts) in platforms.iter().filter(|(of, _)| party.platforms.contains(*of)) {
        let Some((first, removed)) = counts.first_at.zip(counts.first_removed_at) else {
            continue;
        };
        let by = [("step", "removal"), ("platform", platform.as_str()), ("rank", "median")];
        let took = seconds(first, removed);
        let bounds = (took - 2.0 * SIGHTINGS_S, took + 2.0 * SIGHTINGS_S);
        let what = of(&format!("took to remove from {platform}"));
        check.within(&what, middle(&figures(told, "took", &by), bounds), bounds);
    }
}

/// How often what each platform removed was seen before, by its samples. They came seconds before the removals, so the figure may be an interval.
fn views(check: &mut Check, party: &Party, told: &Value, script: &Script, of: &impl Fn(&str) -> String) {
    let posted = script.oracle.posted(&party.platforms);
    for platform in &party.platforms {
        let removed = posted.keys().filter(|(_, on)| on == platform).count();
        let viewed = script.oracle.viewed(platform);
        let by = [("platform", platform.as_str())];
        let untold: f64 = figures(told, "views_not_told", &by).iter().map(|(low, _)| low).sum();
        let what = of(&format!("removed without views on {platform}"));
        check.equal(&what, untold, removed.saturating_sub(viewed.len()) as f64);
        let in_all = figures(told, "views_before_removal_in_all", &by);
        let what = of(&format!("views before removal on {platform}"));
        match viewed.is_empty() {
            true => check.equal(&what, in_all, Vec::new()),
            false => check.holds(&what, in_all.first().copied(), viewed.values().sum::<u64>() as f64),
        }
    }
}

/// What each platform removed, by what it is and by whether the platform labelled it. A label is known of copies that came since the content was counted exactly.
fn labels(check: &mut Check, party: &Party, told: &Value, oracle: &Oracle, of: &impl Fn(&str) -> String) {
    for platform in &party.platforms {
        let posted = oracle.labelled(platform);
        for what in WHATS {
            let sum = |label: (&str, &str)| -> f64 {
                let by = [("platform", platform.as_str()), ("content", what), label];
                figures(told, "platform_labels", &by).iter().map(|(low, _)| low).sum()
            };
            let is_what = posted.values().filter(|posted| posted.what == what);
            let all = is_what.clone().count() as f64;
            let certain = is_what.clone().filter(|posted| posted.is_surely_counted).count() as f64;
            let possible = is_what.filter(|posted| posted.is_labelled).count() as f64;
            let (labelled, others) = (sum(("label", "tvec")), sum(("labels", "none")));
            let what = of(&format!("platform labels of {what} on {platform}"));
            check.equal(&what, labelled + others, all);
            check.equal(&format!("{what} that are not known"), sum(("labels", "not_known")), 0.0);
            check.among(&format!("{what} that are tvec"), labelled, (certain, possible), all);
        }
    }
}

fn notices(check: &mut Check, party: &Party, told: &Value, script: &Script, of: &impl Fn(&str) -> String) {
    let ordered = f64::from(u8::from(
        script.parties.first().is_some_and(|first| first.name == party.name),
    ));
    let sum = |name: &str, by: &[(&str, &str)]| figures(told, name, by).iter().map(|(low, _)| low).sum::<f64>();
    let by = [("kind", "removal_order"), ("outcome", "removed")];
    check.equal(&of("notices"), sum("notices", &[]), ordered);
    check.equal(&of("orders carried out"), sum("notices", &by), ordered);
    check.equal(&of("due in time"), sum("due", &[("was", "in_time")]), ordered);
    check.equal(&of("due late"), sum("due", &[("was", "late")]), 0.0);
    if let (true, Some(at), Some(answered)) = (ordered > 0.0, script.acts.ordered_at, script.acts.answered) {
        let took = figures(told, "took_to_answer", &[("kind", "removal_order"), ("rank", "median")]);
        let bounds = (seconds(at, answered.from), seconds(at, answered.to));
        check.within(&of("took to answer"), middle(&took, bounds), bounds);
    }
}

/// The counts that criteria name, of all windows: everything is younger than five minutes when the level is activated, and younger than an hour at the end.
fn windows(truth: &Counts) -> Vec<(&'static str, f64)> {
    vec![
        ("spread_1h", truth.spread as f64),
        ("spread_24h", truth.spread as f64),
        ("uploads_1h", truth.uploads as f64),
        ("uploads_24h", truth.uploads as f64),
        ("blocked_uploads_1h", truth.blocked as f64),
        ("blocked_uploads_24h", truth.blocked as f64),
        ("platforms_1h", truth.platforms.len() as f64),
        ("platforms_24h", truth.platforms.len() as f64),
    ]
}

/// A content becomes hot at its third copy: so many may have come before.
fn cold(truth: &Counts) -> f64 {
    2.0 * truth.contents.len() as f64
}

/// An interval in whole seconds that meets what is known is told as a time inside it, any other as what it is.
fn middle(told: &[(f64, f64)], (from, to): (f64, f64)) -> Option<f64> {
    let (low, high) = *told.first()?;
    Some(if low <= to && from <= high { from.max(low) } else { low })
}

fn between(from: Option<Span>, to: Option<Span>) -> Option<(f64, f64)> {
    let (from, to) = (from?, to?);
    Some((seconds(from.to, to.from), seconds(from.from, to.to)))
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to - from).0 as f64 / 1_000.0
}

fn reader(party: Option<&Party>) -> String {
    party.map_or_else(|| "coordinators".to_owned(), |party| party.name.to_string())
}

fn list(told: &Value) -> impl Iterator<Item = &Value> {
    told.as_array().into_iter().flatten()
}

fn text(told: &Value) -> &str {
    told.as_str().unwrap_or_default()
}

fn named<'a>(told: &'a Value, name: &str) -> Option<&'a Value> {
    list(told).find(|figure| figure["name"] == name)
}

fn range(figure: &Value) -> Option<(f64, f64)> {
    figure["low"].as_f64().zip(figure["high"].as_f64())
}

/// The figures of a report of this name that are about all of this.
fn figures(report: &Value, name: &str, by: &[(&str, &str)]) -> Vec<(f64, f64)> {
    let all = list(&report["sections"]).flat_map(|section| list(&section["figures"]));
    let meant = all.filter(|figure| {
        let is = |(of, is): &(&str, &str)| list(&figure["by"]).any(|by| by["name"] == *of && by["is"] == *is);
        figure["name"] == name && by.iter().all(is)
    });
    meant.filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_leaks_for_certain_once_the_decision_is_surely_told() {
        let at = |seconds: i64| Timestamp(seconds * 1_000);
        let decided = Span {
            from: at(100),
            to: at(101),
        };
        let of = |posted: &[&[Timestamp]]| leaked(posted.iter().copied(), decided);
        assert_eq!(of(&[&[at(1), at(99)], &[]]), (0.0, 0.0));
        assert_eq!(of(&[&[at(1), at(121)], &[at(140), at(2)]]), (2.0, 2.0));
        assert_eq!(of(&[&[at(100), at(120)], &[at(121)]]), (1.0, 2.0));
    }
}
