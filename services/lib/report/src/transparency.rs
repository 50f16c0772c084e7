//! The transparency report: which figures there are, what they mean, and what bounds them.

mod definitions;

use std::collections::BTreeSet;

use tocsin_casework::{AppealCause, Team};
use tocsin_model::{RecommendedAction, Verdict};

use crate::figure::{Amount, Definition, Figure, Report, Section};
use crate::quantities::Quantities;
use crate::row::ContentKind;
use crate::tally::{COPIES_FROM, Found, Tally, VIEWS_FROM, Views, against_name, ground_name, kind_name, outcome_name};

use definitions::{APPEALS, CASES, DECISIONS, NOTICES, PARTICIPATION, REMOVALS, TIMES};
pub(crate) use definitions::{MEMBERS_REMOVED, NOT_CARRIED_OUT_BOUND, RECOMMENDED_AGAIN, RETURNED};

/// The version of the figures of both reports, and of what they mean.
pub(crate) const VERSION: u32 = 1;

/// How every report is made.
pub(crate) const HOW: [&str; 7] = [
    "The days are whole days, UTC, the first and the last included. Times are those of the store, and those of sightings of the platforms' events, corrected for wrong \
     clocks.",
    "What happened after the last day is not in it: a case that was decided later is one without a decision. So the report of days that are over changes only where \
     something is told afterwards about these days, by events that come late or by people; and where the last state of something is kept alone, an exact figure may become an interval \
     that holds it, once there is a later state.",
    "Every figure says what it counts, from what, and what bounds it. `exact` is so much of what it counts; `between` are two numbers, and the truth is one of those from \
     the one to the other; `unknown` is what nobody here knows, and is not 0. A figure that is told apart by something and is absent for it is 0 of it.",
    "Quantiles are nearest ranks: half of all took at most the median, nine of ten at most the ninth decile. They are kept in steps of less than 1 %, so the exact \
     one lies between the two numbers, which are rounded down and up to whole seconds.",
    "A case that went into another, because their families became one, counts with that one and nowhere else. Where that was after the last day, it counts on its own, and first times of the other \
     may be its.",
    "Decisions are recommendations of people: Tocsin removes nothing. What was removed is what the platforms' own events say.",
    "Nothing is told of a person: neither of those who posted nor of those who decided.",
];

/// The report.
pub fn transparency(tally: &Tally) -> Report {
    let mut sections = vec![cases(tally), found(tally), decisions(tally)];
    if tally.owner.team != Team::Coordinators {
        sections.push(removals(tally));
    }
    sections.extend([times(tally), notices(tally), appeals(tally), participation(tally)]);
    report(tally, "transparency", sections, &[])
}

/// A report of these sections, with what is to be said of it beside [`HOW`].
pub(crate) fn report(tally: &Tally, name: &'static str, sections: Vec<Section>, how: &[&'static str]) -> Report {
    Report {
        report: name,
        version: VERSION,
        team: tally.owner.name.clone(),
        from: tally.period.first_day().to_string(),
        to: tally.period.last_day().to_string(),
        is_over: tally.is_over,
        how: HOW.iter().chain(how).copied().collect(),
        sections,
    }
}

fn cases(tally: &Tally) -> Section {
    let cases = &tally.cases;
    let mut figures = Vec::new();
    for kind in ContentKind::ALL {
        let opened = cases.opened.iter().filter(|((of, _), _)| *of == kind);
        let opened: u64 = opened.map(|(_, count)| count).sum();
        if opened > 0 {
            figures.push(Figure::count("opened", &[("content", kind.name())], opened));
        }
    }
    figures.push(Figure::count("merged", &[], cases.merged));
    for verdict in Verdict::ALL {
        let decided: u64 = [true, false]
            .iter()
            .filter_map(|rang| cases.decided.get(&(verdict, *rang)))
            .sum();
        if decided > 0 {
            figures.push(Figure::count("decided", &[("verdict", verdict.name())], decided));
        }
    }
    figures.push(Figure::count("undecided", &[], cases.undecided.values().sum()));
    let closed = (cases.closed, cases.closed + cases.perhaps_closed);
    figures.push(Figure::new("closed_unreviewed", &[], Amount::of(closed)));
    let rang = |verdict| cases.decided.get(&(verdict, true)).copied().unwrap_or(0);
    let benign = rang(Verdict::Benign);
    let open = cases.undecided.get(&true).copied().unwrap_or(0);
    let doubtful = open + rang(Verdict::Disputed) + rang(Verdict::NeedsExpert);
    figures.push(Figure::new(
        "false_alarms",
        &[],
        Amount::of((benign, benign + doubtful)),
    ));
    let all: u64 = cases
        .decided
        .iter()
        .filter(|((_, rang), _)| *rang)
        .map(|(_, count)| count)
        .sum();
    figures.push(Figure::count("alarms", &[], all + open));
    Section::new(("cases", "Cases and false alarms"), CASES.to_vec(), figures)
}

fn found(tally: &Tally) -> Section {
    let figures = Found::ALL.iter().map(|found| {
        let count = tally.cases.opened.iter().filter(|((_, of), _)| of == found);
        Figure::count("found", &[("found", found.name())], count.map(|(_, count)| count).sum())
    });
    let definition = Definition {
        name: "found",
        counts: "cases of `opened`, by whether they rang (`before_report`) before the first report by a user or notice by an authority or flagger, after it or at the same time \
                 (`after_report`), while there was none by the end of the days (`never_reported`), or never rang (`by_notice`)",
        from: "the clocks of the cases: the time of the alert, and the first report and notice on each platform that is told of",
        bound: "a report is known where the platform sends events of kind `report`; where it does not, what was reported counts as never reported. A report before the content \
                was followed is not known",
        unit: "cases",
    };
    Section::new(
        ("found", "Found before the first report"),
        vec![definition],
        figures.collect(),
    )
}

fn decisions(tally: &Tally) -> Section {
    let decisions = &tally.decisions;
    let mut figures: Vec<Figure> = Vec::new();
    for ((verdict, action), count) in &decisions.by_ruling {
        let action = action.map_or("none", RecommendedAction::name);
        let by = [("verdict", verdict.name()), ("action", action)];
        figures.push(Figure::count("decisions", &by, *count));
    }
    for (policy, (verdict, kind), count) in decisions.by_policy.iter() {
        // A policy may have any name: what is no policy stands under another word.
        let label = match policy {
            Some("") => ("labels", "none named"),
            Some(policy) => ("label", policy),
            None => ("labels", "others"),
        };
        let by = [label, ("content", kind.name()), ("verdict", verdict.name())];
        figures.push(Figure::count("labelled", &by, count));
    }
    let why = "platforms send them with events, which the log keeps for days; of all labels `tvec` alone is counted";
    figures.push(Figure::new("other_labels", &[], Amount::Unknown { why }));
    Section::new(
        ("decisions", "Decisions by kind and label"),
        DECISIONS.to_vec(),
        figures,
    )
}

fn removals(tally: &Tally) -> Section {
    let mut figures = Vec::new();
    for (platform, on) in &tally.removals.on {
        let platform = tally.platform(*platform);
        let by = [("platform", platform.as_str())];
        figures.push(Figure::new("members_removed", &by, Amount::of(on.removed())));
        for ((kind, labelled), count) in &on.labelled {
            let label = match labelled {
                Some(true) => ("label", "tvec"),
                Some(false) => ("labels", "none"),
                None => ("labels", "not_known"),
            };
            let by = [("platform", platform.as_str()), ("content", kind.name()), label];
            figures.push(Figure::count("platform_labels", &by, *count));
        }
        figures.push(Figure::count("removals", &by, on.removals));
        for ((_, size), count) in COPIES_FROM.iter().zip(on.sizes) {
            let by = [("platform", platform.as_str()), ("copies", *size)];
            figures.push(Figure::count("copies_before_removal", &by, count));
        }
        quantiles(&mut figures, "copies_before_removal_at_rank", &by, &on.copies, 1);
        views(&mut figures, &by, &on.views);
        figures.push(Figure::new("returned", &by, Amount::of(on.returned)));
        figures.push(Figure::new("recommended_again", &by, Amount::of(on.recommended_again)));
        figures.push(Figure::new("never_confirmed", &by, Amount::of(on.never_confirmed)));
        figures.push(Figure::new("members_restored", &by, Amount::of(on.restored)));
    }
    Section::new(
        ("removals", "Removals that platforms confirmed"),
        REMOVALS.to_vec(),
        figures,
    )
}

fn views(figures: &mut Vec<Figure>, by: &[(&'static str, &str)], views: &Views) {
    figures.push(Figure::count("views_not_told", by, views.untold));
    if views.bounds.0.is_empty() && views.untold == 0 {
        return;
    }
    if views.bounds.0.is_empty() {
        let why = "the platform sent no view samples of what it removed, so it is not known how often it was seen";
        figures.push(Figure::new("views_before_removal", by, Amount::Unknown { why }));
        return;
    }
    for ((_, size), count) in VIEWS_FROM.iter().zip(views.sizes) {
        let by: Vec<(&'static str, &str)> = by.iter().copied().chain([("views", *size)]).collect();
        figures.push(Figure::new("views_before_removal", &by, Amount::of(count)));
    }
    at_ranks(figures, ("views_before_removal_at_rank", by), |per_cent| {
        views.at_rank(per_cent)
    });
    figures.push(Figure::new("views_before_removal_in_all", by, Amount::of(views.sum)));
}

fn times(tally: &Tally) -> Section {
    let times = &tally.times;
    let mut figures = Vec::new();
    for ((on, step), took) in &times.took {
        let platform = on.map(|platform| tally.platform(platform));
        let mut by = vec![("step", step.name())];
        if let Some(platform) = &platform {
            by.push(("platform", platform.as_str()));
        }
        figures.push(Figure::count("measured", &by, took.len()));
        quantiles(&mut figures, "took", &by, took, 1_000);
    }
    let decided = times.in_golden_hour.get(&None).copied().unwrap_or(0);
    figures.push(Figure::count("decided_in_golden_hour", &[], decided));
    for platform in &tally.owner.named {
        let name = tally.platform(*platform);
        let by = [("platform", name.as_str())];
        let removed = times.in_golden_hour.get(&Some(*platform)).copied().unwrap_or(0);
        figures.push(Figure::count("removed_in_golden_hour", &by, removed));
        let leaked = times.leaked.get(platform).copied().unwrap_or(0);
        figures.push(Figure::count("leaked", &by, leaked));
    }
    Section::new(("times", "Times by step"), TIMES.to_vec(), figures)
}

/// What figures are told apart by, of an authority or of the others. An authority may have any name: what is none stands under another word.
pub(crate) fn by_authority(authority: Option<&str>) -> (&'static str, &str) {
    match authority {
        Some(authority) => ("authority", authority),
        None => ("authorities", "others"),
    }
}

pub(crate) fn notices(tally: &Tally) -> Section {
    let notices = &tally.notices;
    let mut figures = Vec::new();
    for ((kind, outcome), count) in &notices.by_outcome {
        let by = [("kind", kind_name(*kind)), ("outcome", outcome_name(*outcome))];
        figures.push(Figure::count("notices", &by, *count));
    }
    for (authority, (kind, outcome), count) in notices.by_authority.iter() {
        let by = [
            by_authority(authority),
            ("kind", kind_name(kind)),
            ("outcome", outcome_name(outcome)),
        ];
        figures.push(Figure::count("notices_by_authority", &by, count));
    }
    let kinds = notices.in_time.keys().map(|(kind, _)| kind);
    let kinds: BTreeSet<i64> = kinds.chain(notices.perhaps_late.keys()).copied().collect();
    for kind in kinds {
        let count = |is_in_time| notices.in_time.get(&(kind, is_in_time)).copied().unwrap_or(0);
        let late = (
            count(false),
            count(false) + notices.perhaps_late.get(&kind).copied().unwrap_or(0),
        );
        for (was, between) in [("late", late), ("in_time", (count(true), count(true)))] {
            if between.1 > 0 {
                let by = [("kind", kind_name(kind)), ("was", was)];
                figures.push(Figure::new("due", &by, Amount::of(between)));
            }
        }
    }
    for (ground, between) in notices.orders_not_carried_out() {
        let by = [("ground", ground_name(ground))];
        figures.push(Figure::new("orders_not_carried_out", &by, Amount::of(between)));
    }
    for (kind, took) in &notices.to_answer {
        let by = [("kind", kind_name(*kind))];
        quantiles(&mut figures, "took_to_answer", &by, took, 1_000);
    }
    Section::new(
        ("notices", "Notices by authority and outcome"),
        NOTICES.to_vec(),
        figures,
    )
}

pub(crate) fn appeals(tally: &Tally) -> Section {
    let appeals = &tally.appeals;
    let mut figures: Vec<Figure> = Vec::new();
    for (against, count) in &appeals.filed {
        figures.push(Figure::count("filed", &[("against", against_name(*against))], *count));
    }
    for ((against, outcome, concerns), count) in &appeals.answered {
        let by = [
            ("against", against_name(*against)),
            ("outcome", outcome.name()),
            ("concerns", concerns.name()),
        ];
        figures.push(Figure::count("answered", &by, *count));
    }
    figures.push(Figure::count("overturned", &[], appeals.overturned()));
    for (cause, count) in &appeals.causes {
        let cause = cause.map_or("not_said", AppealCause::name);
        figures.push(Figure::count("causes", &[("cause", cause)], *count));
    }
    figures.push(Figure::count("open", &[], appeals.open));
    quantiles(&mut figures, "took_to_answer", &[], &appeals.to_answer, 1_000);
    Section::new(("appeals", "Appeals and overturns"), APPEALS.to_vec(), figures)
}

fn participation(tally: &Tally) -> Section {
    let mut figures = Vec::new();
    for (party, of) in &tally.participation.of {
        let name = tally
            .owner
            .parties
            .get(party)
            .map(ToString::to_string)
            .unwrap_or_default();
        let by = [("party", name.as_str())];
        figures.push(Figure::new("invited", &by, Amount::of(of.invited)));
        figures.push(Figure::count("acknowledged", &by, of.acknowledged));
        quantiles(&mut figures, "took_to_acknowledge", &by, &of.to_acknowledge, 1_000);
        for (state, count) in &of.parts {
            let by = [("party", name.as_str()), ("was", state.name())];
            figures.push(Figure::count("parts", &by, *count));
        }
    }
    Section::new(
        ("participation", "Who took part in incidents, and how fast"),
        PARTICIPATION.to_vec(),
        figures,
    )
}

/// Median and ninth decile, in units of so many of what was measured.
fn quantiles(figures: &mut Vec<Figure>, name: &'static str, by: &[(&'static str, &str)], of: &Quantities, unit: u64) {
    at_ranks(figures, (name, by), |per_cent| {
        let (low, high) = of.at_rank(per_cent)?;
        Some((low / unit, high.div_ceil(unit)))
    });
}

/// Median and ninth decile, where there are any.
fn at_ranks(
    figures: &mut Vec<Figure>,
    (name, by): (&'static str, &[(&'static str, &str)]),
    at_rank: impl Fn(u64) -> Option<(u64, u64)>,
) {
    for (rank, per_cent) in [("median", 50), ("ninth_decile", 90)] {
        let Some(between) = at_rank(per_cent) else {
            continue;
        };
        let by: Vec<(&'static str, &str)> = by.iter().copied().chain([("rank", rank)]).collect();
        figures.push(Figure::new(name, &by, Amount::of(between)));
    }
}
