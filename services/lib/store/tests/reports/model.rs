//! What truly happened, kept as plainly as can be: lists, and every figure by going through them.

use std::collections::BTreeMap;

use tocsin_casework::{
    AppealOutcome, CaseId, ClockKind, NoticeId, NoticeKind, NoticeOutcome, PlatformClocks, SuspensionGround,
};
use tocsin_model::{DecisionId, Milliseconds, PlatformId, RecommendedAction, Timestamp, Verdict, nearest_rank};
use tocsin_report::{Amount, Period};

use crate::viewed::Views;

#[derive(Default)]
pub struct Model {
    pub cases: BTreeMap<u128, Noted>,
    pub decisions: Vec<Decided>,
    pub removed: BTreeMap<u128, Removed>,
    pub notices: Vec<Filed>,
    pub appeals: Vec<(Timestamp, Option<(AppealOutcome, Timestamp)>)>,
}

pub struct Noted {
    pub id: CaseId,
    pub kind: &'static str,
    pub opened_at: Timestamp,
    pub first_seen: Option<Timestamp>,
    pub rang_at: Option<Timestamp>,
    pub claimed_at: Option<Timestamp>,
    pub noticed_at: Option<Timestamp>,
    pub clocks: PlatformClocks,
    /// When it became closed, or was closed no more.
    pub closed: Vec<(Timestamp, bool)>,
}

pub struct Decided {
    pub id: DecisionId,
    pub family: u128,
    pub at: Timestamp,
    pub out_at: Timestamp,
    pub verdict: Verdict,
    pub action: Option<RecommendedAction>,
    pub policy: String,
    pub kind: &'static str,
}

#[derive(Clone)]
pub struct Removed {
    pub family: u128,
    pub out_at: Timestamp,
    pub is_told: bool,
    pub copies: u64,
    pub removals: u64,
    pub last_copy: Option<Timestamp>,
    pub last_removal: Option<Timestamp>,
    pub is_confirmed: bool,
    /// What an earlier decision had removed was all that it first heard of.
    pub was_removed_before: bool,
    pub returned: u64,
    pub views: Views,
    /// When, with how many copies and removals.
    pub confirmations: Vec<(Timestamp, u64, u64)>,
}

pub struct Filed {
    pub id: NoticeId,
    pub family: u128,
    pub kind: NoticeKind,
    pub authority: String,
    pub at: Timestamp,
    pub answered: Option<(NoticeOutcome, Timestamp)>,
    /// Since when its time did not run, by which ground, or ran again; and until when it was due then.
    pub times: Vec<(Timestamp, Option<SuspensionGround>, Option<Timestamp>)>,
}

/// Whether the platform labels one of the first so many copies of a family's content: never, or from the third on.
pub fn is_labelled(family: u128, copies: u64) -> bool {
    family % 2 == 1 && copies >= 3
}

/// What a figure must say.
#[derive(Clone, Copy, Debug)]
pub enum Truth {
    /// This.
    Exact(u64),
    /// An interval that holds it.
    Within(u64),
    /// That nobody knows.
    Unknown,
    /// Between these, by which of its confirmations a content is counted, and an interval that meets them.
    Among(u64, u64),
    /// An interval that holds it, of numbers rounded to whole thousands and narrow.
    Rounded(u64),
}

impl Noted {
    pub fn new(id: CaseId, kind: &'static str) -> Noted {
        Noted {
            id,
            kind,
            opened_at: Timestamp(0),
            first_seen: None,
            rang_at: None,
            claimed_at: None,
            noticed_at: None,
            clocks: PlatformClocks::default(),
            closed: Vec::new(),
        }
    }

    fn is_closed_at(&self, at: Timestamp) -> bool {
        let before = self.closed.iter().rev().find(|(since, _)| *since < at);
        before.is_some_and(|(_, is_closed)| *is_closed)
    }
}

impl Removed {
    pub fn new(family: u128, out_at: Timestamp) -> Removed {
        Removed {
            family,
            out_at,
            is_told: false,
            copies: 0,
            removals: 0,
            last_copy: None,
            last_removal: None,
            views: Views::default(),
            is_confirmed: false,
            was_removed_before: false,
            returned: 0,
            confirmations: Vec::new(),
        }
    }

    /// As a later decision begins to hear of the same copies.
    pub fn heard_again(&self, out_at: Timestamp) -> Removed {
        Removed {
            out_at,
            is_told: false,
            is_confirmed: false,
            was_removed_before: false,
            returned: 0,
            views: self.views.heard_again(),
            confirmations: Vec::new(),
            ..self.clone()
        }
    }

    pub fn is_confirmed_in(&self, period: &Period) -> bool {
        self.confirmations.iter().any(|(at, ..)| period.holds(*at))
    }
}

/// Figures of which the model has no opinion: what reports tell of nothing that happens here; all alarms, of which those that were decided are compared; and ranks of
/// copies and views, of which the sizes are compared, and the sum of the views.
const OTHERS: [&str; 10] = [
    "merged",
    "other_labels",
    "views_before_removal_at_rank",
    "recommended_again",
    "members_restored",
    "proceedings",
    "reinstated_after_proceedings",
    "copies_before_removal_at_rank",
    "invited",
    "alarms",
];

/// What figures must say, and how wide intervals of these names may be.
pub struct Truths(pub BTreeMap<String, Truth>, BTreeMap<String, u64>);

impl Truths {
    pub fn count(&mut self, name: String) {
        self.add(name, 1);
    }

    pub fn add(&mut self, name: String, more: u64) {
        match self.0.entry(name).or_insert(Truth::Exact(0)) {
            Truth::Exact(count) | Truth::Within(count) | Truth::Rounded(count) => *count += more,
            Truth::Among(..) | Truth::Unknown => panic!("it is added otherwise"),
        }
    }

    pub fn widen(&mut self, name: &str, more: u64) {
        *self.1.entry(name.to_owned()).or_default() += more;
    }

    pub fn within(&mut self, name: String, more: u64) {
        let truth = self.0.entry(name).or_insert(Truth::Within(0));
        if let Truth::Within(count) = truth {
            *count += more;
        }
    }
}

impl Model {
    /// Holds figures to what happened: how many, and what is wrong.
    pub fn compare(&self, figures: &[(String, Amount)], period: &Period, platform: PlatformId) -> (usize, Vec<String>) {
        let mut truths = Truths(BTreeMap::new(), BTreeMap::new());
        self.of_cases(&mut truths, period, platform);
        self.of_decisions(&mut truths, period);
        self.of_removals(&mut truths, period);
        self.of_notices(&mut truths, period);
        self.of_appeals(&mut truths, period);
        let mut wrong = Vec::new();
        let mut compared = 0;
        for (name, amount) in figures {
            if OTHERS.iter().any(|other| name.starts_with(&format!("{other}["))) {
                continue;
            }
            compared += 1;
            // What the model did not count is none.
            let truth = truths.0.get(name).copied().unwrap_or(Truth::Within(0));
            let is_right = match (truth, *amount) {
                (Truth::Exact(truth), Amount::Exact { amount }) => truth == amount,
                (Truth::Within(truth), Amount::Exact { amount }) => truth == amount,
                (Truth::Within(truth), Amount::Between { low, high }) => {
                    let width = truths.1.get(name).copied().unwrap_or(0);
                    (low..=high).contains(&truth) && high - low <= width
                }
                (Truth::Among(least, most), amount) => {
                    let (low, high) = match amount {
                        Amount::Exact { amount } => (amount, amount),
                        Amount::Between { low, high } => (low, high),
                        Amount::Unknown { .. } => (u64::MAX, 0),
                    };
                    let width = truths.1.get(name).copied().unwrap_or(0);
                    low <= most && high >= least && high - low <= width
                }
                (Truth::Unknown, Amount::Unknown { .. }) => true,
                (Truth::Rounded(truth), Amount::Exact { amount }) => truth == amount * 1_000,
                (Truth::Rounded(truth), Amount::Between { low, high }) => {
                    (low * 1_000..=high * 1_000).contains(&truth) && high - low <= low / 100 + 2
                }
                _ => false,
            };
            if !is_right {
                wrong.push(format!("{name}: {amount:?}, and it is {truth:?}"));
            }
        }
        for (name, truth) in &truths.0 {
            let is_told = figures.iter().any(|(of, _)| of == name);
            if !is_told && !matches!(truth, Truth::Exact(0) | Truth::Within(0)) {
                wrong.push(format!("{name}: not told, and it is {truth:?}"));
            }
        }
        (compared, wrong)
    }

    fn of_cases(&self, truths: &mut Truths, period: &Period, platform: PlatformId) {
        let end = period.ends();
        let known = |at: Option<Timestamp>| at.filter(|at| *at < end);
        let mut took: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (family, case) in self.cases.iter().filter(|(_, case)| period.holds(case.opened_at)) {
            truths.count(format!("opened[content={}]", case.kind));
            let is_of_case = |decided: &&Decided| decided.family == *family && decided.at < end;
            let first = self.decisions.iter().find(is_of_case);
            let last = self.decisions.iter().rfind(is_of_case);
            let rang = known(case.rang_at);
            match last {
                Some(decided) => truths.count(format!("decided[verdict={}]", decided.verdict.name())),
                None => {
                    truths.count("undecided[]".to_owned());
                    truths.widen("closed_unreviewed[]", 1);
                }
            }
            if last.is_none() && case.is_closed_at(end) {
                truths.within("closed_unreviewed[]".to_owned(), 1);
            }
            let is_open = |decided: &Decided| matches!(decided.verdict, Verdict::Disputed | Verdict::NeedsExpert);
            if rang.is_some() && last.is_none_or(is_open) {
                truths.widen("false_alarms[]", 1);
            }
            // Those that are not decided may be benign, or not: the least that there are.
            if rang.is_some() && last.is_some_and(|decided| decided.verdict == Verdict::Benign) {
                truths.within("false_alarms[]".to_owned(), 1);
            }
            if rang.is_some() && last.is_some() {
                truths.count("alarms_decided[]".to_owned());
            }
            let on = |kind| known(case.clocks.at(platform, kind));
            let told = [
                on(ClockKind::FirstReport),
                on(ClockKind::Notice),
                known(case.noticed_at),
            ];
            let found = match (rang, told.into_iter().flatten().min()) {
                (None, _) => "by_notice",
                (Some(_), None) => "never_reported",
                (Some(rang), Some(told)) if rang < told => "before_report",
                _ => "after_report",
            };
            truths.count(format!("found[found={found}]"));
            let first = first.map(|decided| decided.at);
            let steps = [("alert", rang), ("claim", known(case.claimed_at)), ("decision", first)];
            let mut step = |name: &str, on: &str, from: Option<Timestamp>, to: Option<Timestamp>| {
                if let (Some(from), Some(to)) = (from, to) {
                    let took_ms = (to.0 - from.0).max(0) as u64;
                    took.entry(format!("step={name}{on}")).or_default().push(took_ms);
                }
            };
            let on_platform = [
                ("report", on(ClockKind::FirstReport)),
                ("notice", on(ClockKind::Notice)),
                ("share", on(ClockKind::Shared)),
                ("removal", on(ClockKind::Removed)),
                ("confirmation", on(ClockKind::Confirmed)),
            ];
            let seen = case.clocks.at(platform, ClockKind::FirstSeen);
            for (name, at) in steps {
                step(name, "", case.first_seen, at);
                step(name, ",platform=alpha-app", seen, at);
            }
            for (name, at) in on_platform {
                step(name, ",platform=alpha-app", seen, at);
            }
            let hour = Milliseconds::from_minutes(60);
            let is_golden = |from: Option<Timestamp>, to: Option<Timestamp>| {
                from.zip(to).is_some_and(|(from, to)| to < from + hour)
            };
            if is_golden(case.first_seen, first) {
                truths.count("decided_in_golden_hour[]".to_owned());
            }
            if is_golden(seen, on(ClockKind::Removed)) {
                truths.count("removed_in_golden_hour[platform=alpha-app]".to_owned());
            }
            if on(ClockKind::Leaked).is_some() {
                truths.count("leaked[platform=alpha-app]".to_owned());
            }
        }
        for (by, mut all) in took {
            all.sort_unstable();
            truths.add(format!("measured[{by}]"), all.len() as u64);
            quantiles(truths, "took", &by, &all);
        }
    }

    fn of_decisions(&self, truths: &mut Truths, period: &Period) {
        for decided in self.decisions.iter().filter(|decided| period.holds(decided.at)) {
            let verdict = decided.verdict.name();
            let action = decided.action.map_or("none", RecommendedAction::name);
            truths.count(format!("decisions[verdict={verdict},action={action}]"));
            let policy = if decided.policy.is_empty() {
                "labels=none named".to_owned()
            } else {
                format!("label={}", decided.policy)
            };
            truths.count(format!("labelled[{policy},content={},verdict={verdict}]", decided.kind));
            if decided.verdict == Verdict::Violating {
                truths.count("found_violating[]".to_owned());
            }
        }
    }

    fn of_notices(&self, truths: &mut Truths, period: &Period) {
        let end = period.ends();
        let mut took: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for filed in self.notices.iter().filter(|filed| period.holds(filed.at)) {
            let kind = filed.kind.name();
            let answered = filed.answered.filter(|(_, at)| *at < end);
            let outcome = answered.map_or("not_answered", |(outcome, _)| outcome.name());
            truths.count(format!("notices[kind={kind},outcome={outcome}]"));
            truths.count(format!(
                "notices_by_authority[authority={},kind={kind},outcome={outcome}]",
                filed.authority
            ));
            if let Some((_, at)) = answered {
                took.entry(kind).or_default().push((at.0 - filed.at.0) as u64);
            }
            // As its time stood at the end.
            let state = filed.times.iter().rfind(|(at, ..)| *at < end);
            let (since, ground, due) = state.copied().unwrap_or((filed.at, None, None));
            let was = match (due, ground, answered) {
                (Some(due), Some(_), _) if since > due => Some("late"),
                (None, ..) | (_, Some(_), _) => None,
                (Some(due), None, Some((_, at))) => Some(if at <= due { "in_time" } else { "late" }),
                (Some(due), None, None) => (due < end).then_some("late"),
            };
            if let Some(was) = was {
                truths.within(format!("due[kind={kind},was={was}]"), 1);
            }
            if filed.times.iter().any(|(at, ground, _)| *at >= end && ground.is_none()) {
                truths.widen(&format!("due[kind={kind},was=late]"), 1);
                for ground in SuspensionGround::ALL {
                    truths.widen(&format!("orders_not_carried_out[ground={}]", ground.name()), 1);
                }
            }
            if filed.kind == NoticeKind::RemovalOrder {
                truths.count(format!("orders[outcome={outcome}]"));
                truths.count(format!(
                    "orders_by_authority[authority={},outcome={outcome}]",
                    filed.authority
                ));
                if outcome == "removed" {
                    truths.count("items_after_orders[]".to_owned());
                }
                if let (Some(ground), "not_answered" | "kept") = (ground, outcome) {
                    // Both reports tell it.
                    truths.within(format!("orders_not_carried_out[ground={}]", ground.name()), 1);
                }
            }
        }
        for (kind, mut all) in took {
            all.sort_unstable();
            quantiles(truths, "took_to_answer", &format!("kind={kind}"), &all);
        }
    }

    fn of_appeals(&self, truths: &mut Truths, period: &Period) {
        let end = period.ends();
        let mut took = Vec::new();
        for (filed, answered) in &self.appeals {
            if period.holds(*filed) {
                truths.count("filed[against=block]".to_owned());
                truths.count("complaints[]".to_owned());
            }
            match answered.filter(|(_, at)| *at < end) {
                None => truths.add("open[]".to_owned(), u64::from(*filed < end)),
                Some((outcome, at)) if period.holds(at) => {
                    let by = format!("[against=block,outcome={},concerns=upload]", outcome.name());
                    truths.count(format!("answered{by}"));
                    truths.count(format!("complaints_answered{by}"));
                    if outcome == AppealOutcome::Overturned {
                        truths.count("overturned[]".to_owned());
                        truths.count("causes[cause=frames]".to_owned());
                    }
                    took.push((at.0 - filed.0) as u64);
                }
                Some(_) => {}
            }
        }
        took.sort_unstable();
        quantiles(truths, "took_to_answer", "", &took);
    }
}

fn quantiles(truths: &mut Truths, name: &str, by: &str, all: &[u64]) {
    for (rank, per_cent) in [("median", 50), ("ninth_decile", 90)] {
        let by = if by.is_empty() { String::new() } else { format!("{by},") };
        if let Some(exact) = nearest_rank(all, per_cent) {
            truths
                .0
                .insert(format!("{name}[{by}rank={rank}]"), Truth::Rounded(*exact));
        }
    }
}
