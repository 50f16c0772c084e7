//! The figures that a hosting service provider publishes each year: Regulation (EU) 2021/784 on terrorist content online, Art. 7(3), by its points.

use tocsin_casework::{AppealOutcome, NoticeKind, NoticeOutcome};

use crate::figure::{Amount, Definition, Figure, Report, Section};
use crate::tally::{Tally, against_name, ground_name, outcome_name};
use crate::transparency::{MEMBERS_REMOVED, NOT_CARRIED_OUT_BOUND, RECOMMENDED_AGAIN, RETURNED, by_authority, report};

const HOW: [&str; 3] = [
    "By the points of Regulation (EU) 2021/784, Art. 7(3). The report on a calendar year is made available before 1 March of the next one: Art. 7(2).",
    "Whether what was found to violate is terrorist content within Art. 2(7) is for the provider to say: what is counted here is all that the team found to violate its rules and had \
     removed, and all removal orders that were filed. A provider that removes other things through Tocsin takes these off.",
    "What the provider did beside Tocsin is not in it: measures of its own, orders and complaints that nobody filed here.",
];

/// The report.
pub fn terrorist_content(tally: &Tally) -> Report {
    let sections = vec![
        measures(tally),
        reappearance(tally),
        items(tally),
        complaints(tally),
        proceedings(),
    ];
    report(tally, "terrorist_content", sections, &HOW)
}

fn measures(tally: &Tally) -> Section {
    let cases = &tally.cases;
    let rang = |(_, rang): &(_, bool)| *rang;
    let decided: u64 = cases
        .decided
        .iter()
        .filter(|(key, _)| rang(key))
        .map(|(_, count)| count)
        .sum();
    let open = cases.undecided.get(&true).copied().unwrap_or(0);
    let violating = tally
        .decisions
        .by_ruling
        .iter()
        .filter(|((verdict, _), _)| *verdict == tocsin_model::Verdict::Violating);
    let figures = vec![
        Figure::count("alarms", &[], decided + open),
        Figure::count("alarms_decided", &[], decided),
        Figure::count("found_violating", &[], violating.map(|(_, count)| count).sum()),
    ];
    Section::new(
        ("measures", "(a) Measures to identify and remove"),
        MEASURES.to_vec(),
        figures,
    )
}

const MEASURES: [Definition; 3] = [
    Definition {
        name: "alarms",
        counts: "families of copies that rang on these days because they spread as ordinary content does not, or are listed: counts and hashes are compared, no media is looked at, and nothing is removed by the machine",
        from: "the team's cases",
        bound: "cases that went into others count with these",
        unit: "cases",
    },
    Definition {
        name: "alarms_decided",
        counts: "those that a person had decided by the end of the days",
        from: "the team's cases and decisions",
        bound: "exact as the store says",
        unit: "cases",
    },
    Definition {
        name: "found_violating",
        counts: "decisions of these days by which a person found that a family violates; each holds for all copies, present and future",
        from: "the team's decisions that were not taken back before they went out",
        bound: "decisions about cases that went into another by the end are not among them, but for those that were carried into it",
        unit: "decisions",
    },
];

fn reappearance(tally: &Tally) -> Section {
    let sum = |of: &dyn Fn(&crate::tally::OnPlatform) -> (u64, u64)| {
        let of_all = tally.removals.on.values().map(of);
        Amount::of(of_all.fold((0, 0), |sum, (low, high)| (sum.0 + low, sum.1 + high)))
    };
    let figures = vec![
        Figure::new("returned", &[], sum(&|on| on.returned)),
        Figure::new("recommended_again", &[], sum(&|on| on.recommended_again)),
    ];
    let definitions = vec![RETURNED, RECOMMENDED_AGAIN];
    Section::new(
        ("reappearance", "(b) Measures against content that comes again"),
        definitions,
        figures,
    )
}

fn items(tally: &Tally) -> Section {
    let mut figures = Vec::new();
    let notices = &tally.notices;
    let order = NoticeKind::RemovalOrder as i64;
    let orders = |outcomes: &[i64]| {
        let answered = outcomes
            .iter()
            .filter_map(|outcome| notices.by_outcome.get(&(order, *outcome)));
        answered.sum::<u64>()
    };
    let carried_out = [NoticeOutcome::Removed as i64, NoticeOutcome::Disabled as i64];
    figures.push(Figure::count("items_after_orders", &[], orders(&carried_out)));
    let ended = tally
        .removals
        .on
        .values()
        .map(crate::tally::OnPlatform::removed_after_measures);
    let removed = ended.fold((0, 0), |sum: (u64, u64), (low, high)| (sum.0 + low, sum.1 + high));
    figures.push(Figure::new("items_after_measures", &[], Amount::of(removed)));
    for ((_, outcome), count) in notices.by_outcome.iter().filter(|((kind, _), _)| *kind == order) {
        let by = [("outcome", outcome_name(*outcome))];
        figures.push(Figure::count("orders", &by, *count));
    }
    for (authority, (kind, outcome), count) in notices.by_authority.iter() {
        if kind == order {
            let by = [by_authority(authority), ("outcome", outcome_name(outcome))];
            figures.push(Figure::count("orders_by_authority", &by, count));
        }
    }
    for (ground, between) in notices.orders_not_carried_out() {
        let by = [("ground", ground_name(ground))];
        figures.push(Figure::new("orders_not_carried_out", &by, Amount::of(between)));
    }
    Section::new(
        ("items", "(c) Items removed or disabled, and orders not carried out"),
        ITEMS.to_vec(),
        figures,
    )
}

const ORDERS: &str = "the removal orders that were filed for the team";

const ITEMS: [Definition; 5] = [
    Definition {
        name: "items_after_orders",
        counts: "contents that were removed, or access to which was disabled, following a removal order received on these days: each content that an order names is one",
        from: ORDERS,
        bound: "as the team answered by the end of the days",
        unit: "contents",
    },
    Definition {
        name: "items_after_measures",
        counts: "contents, each on each platform, whose removal was confirmed after the team found them violating, but for those about which an order was received before that and answered as removed or disabled by the end of the days: one that names the content, \
                 or none of its case",
        from: MEMBERS_REMOVED.from,
        bound: "as `members_removed` of the transparency report. The upper number also has contents of whose case an order names one by another kind of hash: it is not known whether that is this one",
        unit: MEMBERS_REMOVED.unit,
    },
    Definition {
        name: "orders",
        counts: "removal orders received on these days, each content that one names, by what was answered by their end",
        from: ORDERS,
        bound: "by the time of receipt that was filed",
        unit: "notices",
    },
    Definition {
        name: "orders_by_authority",
        counts: "the same, by the authority that issued them",
        from: ORDERS,
        bound: "the first 200 names by their bytes are told one by one, the others as `authorities` `others`; two spellings are two names",
        unit: "notices",
    },
    Definition {
        name: "orders_not_carried_out",
        counts: "orders that were neither carried out nor withdrawn by the end while their time was suspended, by the ground: impossible (Art. 3(7)), manifest errors or insufficient information (Art. 3(8))",
        from: ORDERS,
        bound: NOT_CARRIED_OUT_BOUND,
        unit: "notices",
    },
];

fn complaints(tally: &Tally) -> Section {
    let appeals = &tally.appeals;
    let mut figures = vec![Figure::count("complaints", &[], appeals.filed.values().sum())];
    for ((against, outcome, concerns), count) in &appeals.answered {
        let by = [
            ("against", against_name(*against)),
            ("outcome", outcome.name()),
            ("concerns", concerns.name()),
        ];
        figures.push(Figure::count("complaints_answered", &by, *count));
    }
    let reinstated = appeals
        .answered
        .iter()
        .filter(|((against_decision, outcome, _), _)| *against_decision && *outcome == AppealOutcome::Overturned);
    let reinstated = reinstated.map(|(_, count)| count).sum();
    figures.push(Figure::count("reinstated_after_complaint", &[], reinstated));
    Section::new(
        ("complaints", "(d) Complaints, and (g) what was reinstated after them"),
        COMPLAINTS.to_vec(),
        figures,
    )
}

const COMPLAINTS: [Definition; 3] = [
    Definition {
        name: "complaints",
        counts: "appeals of those who posted that were filed on these days (Art. 10)",
        from: "the appeals that were filed with the team",
        bound: "what platforms did not pass on is not among them",
        unit: "appeals",
    },
    Definition {
        name: "complaints_answered",
        counts: "appeals that were answered on these days, whenever they were filed, by outcome and by how far that goes",
        from: "the appeals that were filed with the team",
        bound: "exact as the store says",
        unit: "appeals",
    },
    Definition {
        name: "reinstated_after_complaint",
        counts: "those against a decision that were right, so that the upload, the content or the family is reinstated",
        from: "the appeals that were filed with the team",
        bound: "as was answered: whether the platform did is told by `members_restored` of the transparency report, of families alone",
        unit: "appeals",
    },
];

fn proceedings() -> Section {
    let unknown = Amount::Unknown {
        why: "proceedings before courts and authorities are not kept in Tocsin",
    };
    let figures = vec![
        Figure::new("proceedings", &[], unknown),
        Figure::new("reinstated_after_proceedings", &[], unknown),
    ];
    let definition = |name, counts| Definition {
        name,
        counts,
        from: "nothing that is kept",
        bound: "not known: the provider's lawyers know it",
        unit: "proceedings",
    };
    let definitions = vec![
        definition(
            "proceedings",
            "administrative or judicial review proceedings that the provider brought (Art. 9), and their outcome",
        ),
        definition(
            "reinstated_after_proceedings",
            "cases in which the provider had to reinstate content or access to it as a result of such proceedings",
        ),
    ];
    Section::new(
        (
            "proceedings",
            "(e) Review proceedings, and (f) what was reinstated after them",
        ),
        definitions,
        figures,
    )
}
