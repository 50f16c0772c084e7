//! The transparency report: which figures there are, what they mean, and what bounds them.

use tocsin_casework::{AppealCause, Team};
use tocsin_model::{RecommendedAction, Verdict};

use crate::figure::{Amount, Definition, Figure, Report, Section};
use crate::quantities::Quantities;
use crate::row::ContentKind;
use crate::tally::{COPIES_FROM, Found, Tally, against_name, ground_name, kind_name, outcome_name};

/// The version of the figures of both reports, and of what they mean.
pub(crate) const VERSION: u32 = 1;

/// How every report is made.
pub(crate) const HOW: [&str; 7] = [
    "The days are whole days, UTC, the first and the last included. Times are those of the store, and those of sightings of the platforms' events, corrected for wrong \
     clocks.",
    "What happened after the last day is not in it: a case that was decided later is one without a decision. So the report of days that are over changes only where \
     something is told afterwards about these days: by events that come late, or by people.",
    "Every figure says what it counts, from what, and what bounds it. `exact` is so much of what it counts; `between` are two numbers, and the truth is one of those from \
     the one to the other; `unknown` is what nobody here knows, and is not 0. A figure that is told apart by something and is absent for it is 0 of it.",
    "Quantiles are nearest ranks: half of all took at most the median, nine of ten at most the ninth decile. They are kept in steps of less than 1 %, so the exact \
     one lies between the two numbers, which are rounded down and up to whole seconds.",
    "A case that went into another, because their families became one, counts with that one and nowhere else.",
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

const CASES: [Definition; 7] = [
    Definition {
        name: "opened",
        counts: "cases that were opened on these days, by what the content is; cases that went into others are left out",
        from: "the team's cases; the content by the family's strongest hash (pdq: picture, vpdq: video, url: address, sha256 and md5: file), and whether a member is a live stream",
        bound: "exact as the store says; a picture or video of which only file hashes were sent is a file",
        unit: "cases",
    },
    Definition {
        name: "merged",
        counts: "cases that were opened on these days and went into another one by their end",
        from: "the team's cases",
        bound: "those that parted from the other one since are not among them",
        unit: "cases",
    },
    Definition {
        name: "decided",
        counts: "cases of `opened` that had a decision at the end of the days, by the verdict that was made last; decisions that were taken back before they went out are none",
        from: "the team's cases and decisions",
        bound: "exact as the store says",
        unit: "cases",
    },
    Definition {
        name: "undecided",
        counts: "cases of `opened` without a decision at the end of the days",
        from: "the team's cases and decisions",
        bound: "exact as the store says",
        unit: "cases",
    },
    Definition {
        name: "closed_unreviewed",
        counts: "cases of `undecided` that were closed at the end because the spread had subsided with little left to prevent",
        from: "the team's cases, and the time of their last alert",
        bound: "the upper number has those in it that came back since, of which it is not kept whether they were closed",
        unit: "cases",
    },
    Definition {
        name: "false_alarms",
        counts: "cases of `opened` that rang and that people found benign by the end of the days",
        from: "the team's cases and decisions",
        bound: "the upper number has those in it that were not decided, disputed or given to an expert: some of them may be benign. Newsworthy is no false alarm",
        unit: "cases",
    },
    Definition {
        name: "alarms",
        counts: "cases of `opened` that rang by the end of the days",
        from: "the team's cases",
        bound: "exact as the store says",
        unit: "cases",
    },
];

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
        let policy = match policy {
            Some("") => "none named",
            Some(policy) => policy,
            None => "others",
        };
        let by = [("label", policy), ("content", kind.name()), ("verdict", verdict.name())];
        figures.push(Figure::count("labelled", &by, count));
    }
    let why = "labels that platforms send with events are on the log, and are not kept with cases";
    figures.push(Figure::new("platform_labels", &[], Amount::Unknown { why }));
    Section::new(
        ("decisions", "Decisions by kind and label"),
        DECISIONS.to_vec(),
        figures,
    )
}

const DECISIONS: [Definition; 3] = [
    Definition {
        name: "decisions",
        counts: "decisions that were made on these days, by verdict and recommended action; a case that is decided again has several",
        from: "the team's decisions that were not taken back before they went out",
        bound: "decisions about cases that went into another by the end are not among them, but for those that were carried into it",
        unit: "decisions",
    },
    Definition {
        name: "labelled",
        counts: "the same decisions, by the rule that the decision names as its policy, what the content is, and the verdict",
        from: "the team's decisions that were not taken back before they went out",
        bound: "the first 200 policies by their bytes are told one by one, what names others as `others`",
        unit: "decisions",
    },
    Definition {
        name: "platform_labels",
        counts: "contents by the label that the platform's own classification gives them",
        from: "nothing that is kept",
        bound: "not known",
        unit: "contents",
    },
];

fn removals(tally: &Tally) -> Section {
    let mut figures = Vec::new();
    for (platform, on) in &tally.removals.on {
        let platform = tally.platform(*platform);
        let by = [("platform", platform.as_str())];
        figures.push(Figure::new("members_removed", &by, Amount::of(on.removed(|_, _| true))));
        figures.push(Figure::count("removals", &by, on.removals));
        for ((_, size), count) in COPIES_FROM.iter().zip(on.sizes) {
            let by = [("platform", platform.as_str()), ("copies", *size)];
            figures.push(Figure::count("copies_before_removal", &by, count));
        }
        quantiles(&mut figures, "copies_before_removal_at_rank", &by, &on.copies, 1);
        let why = "view samples are counted as events, and how often a copy was seen is not kept with cases";
        figures.push(Figure::new("views_before_removal", &by, Amount::Unknown { why }));
        figures.push(Figure::count("returned", &by, on.returned));
        figures.push(Figure::count("recommended_again", &by, on.recommended_again));
        figures.push(Figure::count("never_confirmed", &by, on.never_confirmed));
        figures.push(Figure::count("members_restored", &by, on.restored));
    }
    Section::new(
        ("removals", "Removals that platforms confirmed"),
        REMOVALS.to_vec(),
        figures,
    )
}

const FROM_EVENTS: &str = "the platforms' events about members of decided families within a week after the decision, as the detector counts them";

/// Also what the report on terrorist content says.
pub(crate) const MEMBERS_REMOVED: Definition = Definition {
    name: "members_removed",
    counts: "contents, each on each platform, of which the platform's events say that it removed all known copies after a decision that recommends so",
    from: FROM_EVENTS,
    bound: "by the time of the last confirmation, which alone is kept: the upper number has what was confirmed again later, or is no more because copies came. What an appeal took \
            out of a decision is not among them, nor what was neither hot nor among the latest 4,096 decisions that are followed",
    unit: "contents on a platform",
};

/// Also what the report on terrorist content says.
pub(crate) const RETURNED: Definition = Definition {
    name: "returned",
    counts: "copies that were posted after the removal of their content was confirmed, of the contents of the lower number of `members_removed`",
    from: FROM_EVENTS,
    bound: "all that are known by now, also of after the last day; blocked uploads are none",
    unit: "copies",
};

/// Also what the report on terrorist content says.
pub(crate) const RECOMMENDED_AGAIN: Definition = Definition {
    name: "recommended_again",
    counts: "contents, each on each platform, that came again and whose removal was recommended again without a person, as the party chose",
    from: "the deliveries that were made for it",
    bound: "by the last time; at most once in 10 minutes",
    unit: "contents on a platform",
};

const REMOVALS: [Definition; 9] = [
    MEMBERS_REMOVED,
    Definition {
        name: "removals",
        counts: "removals that the platform's events tell of the contents of the lower number of `members_removed`, up to the confirmation",
        from: FROM_EVENTS,
        bound: "since the content was counted exactly; one event may stand for all copies",
        unit: "removals",
    },
    Definition {
        name: "copies_before_removal",
        counts: "contents of the lower number of `members_removed`, by how many copies of them were posted on the platform before",
        from: FROM_EVENTS,
        bound: "copies since the content was counted exactly; 0 is what was counted anew since",
        unit: "contents on a platform",
    },
    Definition {
        name: "copies_before_removal_at_rank",
        counts: "how many copies were posted before the removal was confirmed: median and ninth decile of the same contents",
        from: FROM_EVENTS,
        bound: "the exact quantile lies between the two numbers",
        unit: "copies",
    },
    Definition {
        name: "views_before_removal",
        counts: "how often copies were seen before they were removed",
        from: "nothing that is kept",
        bound: "not known; `copies_before_removal` says how many copies there were",
        unit: "views",
    },
    RETURNED,
    RECOMMENDED_AGAIN,
    Definition {
        name: "never_confirmed",
        counts: "contents, each on each platform, of decisions that went out on these days and recommend removal, whose removal was never confirmed",
        from: FROM_EVENTS,
        bound: "as is known by now: it may be confirmed yet",
        unit: "contents on a platform",
    },
    Definition {
        name: "members_restored",
        counts: "contents, each on each platform, of which the platform's events say that what was removed was restored after a decision was reversed",
        from: FROM_EVENTS,
        bound: "by the time of the last confirmation",
        unit: "contents on a platform",
    },
];

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
    for platform in tally.platforms() {
        let name = tally.platform(platform);
        let by = [("platform", name.as_str())];
        let removed = times.in_golden_hour.get(&Some(platform)).copied().unwrap_or(0);
        figures.push(Figure::count("removed_in_golden_hour", &by, removed));
        let leaked = times.leaked.get(&platform).copied().unwrap_or(0);
        figures.push(Figure::count("leaked", &by, leaked));
    }
    Section::new(("times", "Times by step"), TIMES.to_vec(), figures)
}

const TIMES: [Definition; 5] = [
    Definition {
        name: "measured",
        counts: "cases of `opened` of which it is known, by the end of the days, when the family was first seen and when the step was: on a platform, or without one anywhere that the team sees",
        from: "the clocks of the cases",
        bound: "exact as the store says",
        unit: "cases",
    },
    Definition {
        name: "took",
        counts: "from the first sighting to the step, of the cases of `measured`: median and ninth decile. What would have taken less than nothing took nothing",
        from: "the clocks of the cases: of a case that came back the first time counts",
        bound: "the exact quantile lies between the two numbers; what platforms tell of is known to 5 seconds, and what is older than an hour when it is told to a minute or 15",
        unit: "seconds",
    },
    Definition {
        name: "decided_in_golden_hour",
        counts: "cases of `opened` that were decided within 60 minutes of the first sighting",
        from: "the clocks of the cases",
        bound: "exact as the store says",
        unit: "cases",
    },
    Definition {
        name: "removed_in_golden_hour",
        counts: "cases of `opened` of which a copy was removed on the platform within 60 minutes of the first sighting there",
        from: "the clocks of the cases",
        bound: "to 5 seconds",
        unit: "cases",
    },
    Definition {
        name: "leaked",
        counts: "cases of `opened` of which a copy was posted on the platform after others were told of it",
        from: "the clocks of the cases, as people and other systems told them",
        bound: "what nobody told is not among them",
        unit: "cases",
    },
];

pub(crate) fn notices(tally: &Tally) -> Section {
    let notices = &tally.notices;
    let mut figures = Vec::new();
    for ((kind, outcome), count) in &notices.by_outcome {
        let by = [("kind", kind_name(*kind)), ("outcome", outcome_name(*outcome))];
        figures.push(Figure::count("notices", &by, *count));
    }
    for (authority, (kind, outcome), count) in notices.by_authority.iter() {
        let by = [
            ("authority", authority.unwrap_or("others")),
            ("kind", kind_name(kind)),
            ("outcome", outcome_name(outcome)),
        ];
        figures.push(Figure::count("notices_by_authority", &by, count));
    }
    for ((kind, in_time), count) in &notices.in_time {
        let was = if *in_time { "in_time" } else { "late" };
        let by = [("kind", kind_name(*kind)), ("was", was)];
        figures.push(Figure::count("due", &by, *count));
    }
    for (ground, count) in &notices.not_carried_out {
        let by = [("ground", ground_name(*ground))];
        figures.push(Figure::count("orders_not_carried_out", &by, *count));
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

const NOTICES: [Definition; 5] = [
    Definition {
        name: "notices",
        counts: "notices that were received on these days, by kind and by what was answered by their end; each content that a notice names is one. A threat to life is what the team told an authority of",
        from: "the notices that were filed for the team",
        bound: "by the time of receipt that was filed; what nobody filed is not among them",
        unit: "notices",
    },
    Definition {
        name: "notices_by_authority",
        counts: "the same, by who sent them, as it was filed",
        from: "the notices that were filed for the team",
        bound: "the first 200 names by their bytes are told one by one, the others as `others`; two spellings are two names",
        unit: "notices",
    },
    Definition {
        name: "due",
        counts: "the same, of those whose time ran: `in_time` if answered until they were due, `late` if later, or not by the end of the days",
        from: "the notices that were filed for the team; an order is due an hour after its receipt",
        bound: "those whose time was suspended at the end, as far as it still is, and those not due yet, are not among them. A time that ran anew counts by its last end",
        unit: "notices",
    },
    Definition {
        name: "orders_not_carried_out",
        counts: "removal orders received on these days that were neither carried out nor withdrawn by their end while their time was suspended, by the ground: impossible (Regulation (EU) 2021/784, Art. 3(7)), \
                 manifest errors or insufficient information (Art. 3(8))",
        from: "the notices that were filed for the team",
        bound: "by the last suspension: one that ended before is not kept",
        unit: "notices",
    },
    Definition {
        name: "took_to_answer",
        counts: "from the receipt to the answer, of those that were answered: median and ninth decile",
        from: "the notices that were filed for the team",
        bound: "the exact quantile lies between the two numbers; suspended time counts too",
        unit: "seconds",
    },
];

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

const FILED_APPEALS: &str = "the appeals that were filed with the team";

const APPEALS: [Definition; 6] = [
    Definition {
        name: "filed",
        counts: "appeals that were filed on these days, by whether they are against a decision or a refused upload",
        from: FILED_APPEALS,
        bound: "what platforms did not pass on is not among them",
        unit: "appeals",
    },
    Definition {
        name: "answered",
        counts: "appeals that were answered on these days, whenever they were filed, by outcome and by how far that goes",
        from: FILED_APPEALS,
        bound: "exact as the store says; appeals about a family that is overturned are answered with it, each of them",
        unit: "appeals",
    },
    Definition {
        name: "overturned",
        counts: "those of `answered` that were right: what was decided or refused was wrong",
        from: FILED_APPEALS,
        bound: "exact as the store says",
        unit: "appeals",
    },
    Definition {
        name: "causes",
        counts: "the same, by the evidence by which it was caught, as the reviewer says",
        from: FILED_APPEALS,
        bound: "exact as the store says",
        unit: "appeals",
    },
    Definition {
        name: "open",
        counts: "appeals that were filed by the end of the days and not answered by then",
        from: FILED_APPEALS,
        bound: "exact as the store says",
        unit: "appeals",
    },
    Definition {
        name: "took_to_answer",
        counts: "from the filing to the answer, of `answered`: median and ninth decile",
        from: FILED_APPEALS,
        bound: "the exact quantile lies between the two numbers",
        unit: "seconds",
    },
];

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
        figures.push(Figure::count("invited", &by, of.invited));
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

const INCIDENTS: &str = "the incidents that coordinators declared on these days";

const PARTICIPATION: [Definition; 4] = [
    Definition {
        name: "invited",
        counts: "incidents to which the party was invited. In the coordinators' report only parties are named that agreed to be, and nothing is told of others",
        from: INCIDENTS,
        bound: "exact as the store says",
        unit: "incidents",
    },
    Definition {
        name: "acknowledged",
        counts: "those of `invited` of which the party said by the end of the days that it takes part",
        from: INCIDENTS,
        bound: "exact as the store says",
        unit: "incidents",
    },
    Definition {
        name: "took_to_acknowledge",
        counts: "from the invitation to that: median and ninth decile",
        from: INCIDENTS,
        bound: "the exact quantile lies between the two numbers; of a party that was invited again after it left, from the last invitation, which may be nothing",
        unit: "seconds",
    },
    Definition {
        name: "parts",
        counts: "parts in tasks that were given to it, by whether they were done until they were due, later, not by the end of the days, or were not due by then",
        from: INCIDENTS,
        bound: "as the party itself said that they were done",
        unit: "parts",
    },
];

/// Median and ninth decile, in units of so many of what was measured.
fn quantiles(figures: &mut Vec<Figure>, name: &'static str, by: &[(&'static str, &str)], of: &Quantities, unit: u64) {
    for (rank, per_cent) in [("median", 50), ("ninth_decile", 90)] {
        let Some((low, high)) = of.at_rank(per_cent) else {
            continue;
        };
        let by: Vec<(&'static str, &str)> = by.iter().copied().chain([("rank", rank)]).collect();
        figures.push(Figure::new(name, &by, Amount::of((low / unit, high.div_ceil(unit)))));
    }
}
