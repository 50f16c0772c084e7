//! Goal: a criterion is met, not met or unknown as its figures, answers and history demand, and what is no criterion is refused at its place.
#![allow(clippy::unwrap_used)]

use Truth::{Met, NotMet, Unknown};
use tocsin_model::Timestamp;
use tocsin_protocol::{
    Answers, Assessor, Because, Figure, Figures, Measured, Missing, Problem, Protocol, Reading, Truth,
};

const HEAD: &str = r#"
name = "p"
version = 1
title = "t"
summary = "s"
sources = [{ title = "t", publisher = "p", date = "d", paraphrase = "all" }]
roles = [{ name = "lead", says = "leads" }]
classes = [{ name = "platforms", says = "are many" }]
questions = [{ name = "violent", says = "Is it?" }, { name = "reporting", says = "Do they?" }]
"#;
const TAIL: &str = r#"
[[levels]]
name = "first"
says = "c"
when = "violent"
steps = [{ does = "it", by = "lead", with = ["platforms"], due = "15 min" }]
[conclusion]
says = "over"
when = "not violent"
"#;

fn with_criterion(when: &str) -> String {
    format!("{HEAD}[[criteria]]\nname = \"c\"\nsays = \"c\"\nwhen = '''{when}'''\n{TAIL}")
}

fn figures() -> Figures {
    let mut figures = Figures::default();
    let mut set = |figure, low, high| {
        let as_of = Some(Timestamp(1_000));
        figures.set(figure, Reading::Number(Measured { low, high, as_of }));
    };
    set(Figure::Spread5m, 20.0, 20.0);
    set(Figure::Spread1h, 90.0, 120.0);
    set(Figure::Accounts, 55.5, 60.25);
    set(Figure::Platforms1h, 2.0, 3.0);
    set(Figure::Viewers, 0.0, 0.0);
    set(Figure::SinceFirstSeen, 1_800.0, 1_800.0);
    figures.set(Figure::Live, Reading::Flag(true, None));
    figures.set(Figure::LeakThrough, Reading::Missing(Missing::NotListed));
    figures
}

fn result(when: &str) -> Truth {
    let protocol = Protocol::parse(&with_criterion(when)).unwrap();
    let answers = Answers::from([("violent".to_owned(), true)]);
    let assessment = Assessor::new(&protocol).observe(Timestamp(1_000), &figures(), &answers);
    assessment.unwrap().criteria[0].truth
}

#[test]
fn criteria_have_three_results() {
    for (when, expected) in [
        ("spread_1h >= 90 copies", Met),
        ("spread_1h >= 100 copies", Unknown),
        ("spread_1h > 120 copies", NotMet),
        ("spread_1h < 90 copies", NotMet),
        ("spread_1h <= 120 copies", Met),
        ("spread_1h = 100 copies", Unknown),
        ("spread_1h = 89 copies", NotMet),
        ("spread_5m = 20 copies", Met),
        ("100 copies <= spread_1h", Unknown),
        ("spread_5m / 5 min >= 2 * spread_1h / 1 h", Met),
        ("spread_1h / 1 h >= 1 copy / 30 s", Unknown),
        ("spread_1h - spread_5m > 69 copies", Met),
        ("spread_1h / accounts < 3 copies / 1 account", Met),
        ("accounts / viewers > 1 account / 1 viewer", Unknown),
        ("since_first_seen >= 0.5 h", Met),
        ("leak_through >= 5 %", Unknown),
        ("forecast_1h_p05 >= 1 copy", Unknown),
        ("live", Met),
        ("not live", NotMet),
        ("listed", Unknown),
        ("violent", Met),
        ("reporting", Unknown),
        ("not reporting", Unknown),
        ("reporting and spread_1h > 1_000 copies", NotMet),
        ("reporting or live", Met),
        ("not (reporting and not live)", Met),
        ("at least 2 of (live, violent, reporting)", Met),
        ("at least 3 of (live, violent, reporting)", Unknown),
        ("at least 2 of (not live, not violent, reporting)", NotMet),
        ("live and violent or reporting", Met),
        ("at least 1 of (spread_5m + 1 copy > 20 copies, reporting)", Met),
    ] {
        assert_eq!(result(when), expected, "{when}");
    }
}

#[test]
fn a_result_says_what_it_rests_on() {
    let protocol = Protocol::parse(&with_criterion(
        "spread_1h / viewers > 1 copy / 1 viewer and reporting and leak_through > 1 %",
    ))
    .unwrap();
    let assessment = Assessor::new(&protocol)
        .observe(Timestamp(0), &figures(), &Answers::new())
        .unwrap();
    let findings = &assessment.criteria[0].findings;
    let said: Vec<_> = findings
        .iter()
        .map(|finding| (finding.text.as_str(), finding.because.clone()))
        .collect();
    assert_eq!(
        said,
        [
            ("spread_1h / viewers > 1 copy / 1 viewer", Because::DividesByZero),
            ("reporting", Because::NotAnswered),
            (
                "leak_through > 1 %",
                Because::Missing(Figure::LeakThrough, Missing::NotListed)
            ),
        ]
    );
    assert_eq!(findings[0].figures, [Figure::Spread1h, Figure::Viewers]);
}

#[test]
fn what_is_no_criterion_is_refused_at_its_place() {
    let deep = format!("{}live{}", "(".repeat(17), ")".repeat(17));
    let long = vec!["live"; 201].join(" and ");
    for (when, column, said) in [
        (
            "spread_1h >= 100",
            14,
            "copies and a plain number cannot be compared; write `100 copies`",
        ),
        (
            "spread_1h >= 100 accounts",
            14,
            "copies and accounts cannot be compared",
        ),
        (
            "spread_1h + accounts >= 1 copy",
            13,
            "copies and accounts cannot be added",
        ),
        ("spread_1h >= 100 people", 18, "`people` is no unit"),
        ("spread_1h", 10, "expected a comparison"),
        ("spread_1j >= 1 copy", 1, "is `spread_1h` meant?"),
        ("violents", 1, "is `violent` meant?"),
        ("c", 1, "`c` is no figure"),
        ("live >= 1 copy", 1, "expected a number, found `live`"),
        ("spread_1h / 0 >= 1 copy", 13, "divides by zero"),
        ("spread_1h / (1 copy - 1 copy) >= 1", 13, "divides by zero"),
        ("1 copy < 2 copies", 1, "always or never met"),
        ("at least 3 of (live, violent)", 1, "at least 3 of 2"),
        ("at least 0 of (live, violent)", 1, "at least 0 of 2"),
        ("at most 2 of (live, violent)", 4, "expected `least`, found `most`"),
        ("live and", 9, "found the end"),
        ("live violent", 6, "expected `and`, `or` or the end"),
        ("live\n  and $", 7, "found `$`"),
        ("(live", 6, "expected `)`"),
        ("spread_1h >= 1.2.3 copies", 14, "at most 15 digits"),
        ("spread_1h >= 1234567890123456 copies", 14, "at most 15 digits"),
        ("violent is at least bad", 1, "there is no matrix `violent`"),
        (deep.as_str(), 18, "nested more than 16 deep"),
        (long.as_str(), 1801, "more than 200 parts"),
        (
            "not not not not not not not not not not not not not not not not not live",
            69,
            "nested more than 16 deep",
        ),
    ] {
        let text = with_criterion(when);
        let refused = Protocol::parse(&text).unwrap_err();
        let fault = &refused.faults[0];
        let first = text.lines().position(|line| line.starts_with("when = '''")).unwrap() + 1;
        let (line, begin) = if when.contains('\n') {
            (first + 1, 0)
        } else {
            (first, "when = '''".len())
        };
        assert_eq!((fault.line, fault.column), (line, begin + column), "{when}: {fault}");
        assert!(fault.to_string().contains(said), "{when}: {fault}");
    }
}

#[test]
fn what_is_no_protocol_is_refused_at_its_place() {
    let whole = with_criterion("live");
    for (from, to, line, said) in [
        ("version = 1", "version = 0", 3, "from 1 on"),
        ("version = 1", "version = 1\nextra = 2", 4, "unknown field `extra`"),
        ("name = \"p\"", "name = \"P q\"", 2, "a name is"),
        ("name = \"p\"", "name = ", 2, ""),
        ("says = \"leads\"", "says = \"\"", 7, "is empty"),
        ("name = \"violent\"", "name = \"live\"", 9, "has a meaning already"),
        ("name = \"reporting\"", "name = \"violent\"", 9, "has a meaning already"),
        ("name = \"reporting\"", "name = \"of\"", 9, "has a meaning already"),
        ("by = \"lead\"", "by = \"lad\"", 19, "there is no role `lad`"),
        (
            "with = [\"platforms\"]",
            "with = [\"all\"]",
            19,
            "there is no class `all`",
        ),
        ("due = \"15 min\"", "due = \"15\"", 19, "a length of time"),
        ("due = \"15 min\"", "due = \"31 d\"", 19, "a length of time"),
    ] {
        assert!(whole.contains(from), "{from}");
        let refused = Protocol::parse(&whole.replacen(from, to, 1)).unwrap_err();
        let fault = &refused.faults[0];
        assert_eq!(fault.line, line, "{to}: {fault}");
        assert!(fault.to_string().contains(said), "{to}: {fault}");
    }
    let large = format!("{whole}#{}", "x".repeat(65_536));
    assert!(matches!(
        Protocol::parse(&large).unwrap_err().faults[0].problem,
        Problem::TooLarge { .. }
    ));
    let criterion = |number: usize| format!("[[criteria]]\nname = \"c{number}\"\nsays = \"c\"\nwhen = \"live\"\n");
    let many: String = (0..65).map(criterion).collect();
    let refused = Protocol::parse(&format!("{HEAD}{many}{TAIL}")).unwrap_err();
    assert!(
        refused.to_string().contains("65 criteria, and 64 are allowed"),
        "{refused}"
    );
    let wrong: String = (0..60)
        .map(|number| criterion(number).replace("live", "lives"))
        .collect();
    assert_eq!(
        Protocol::parse(&format!("{HEAD}{wrong}{TAIL}"))
            .unwrap_err()
            .faults
            .len(),
        32
    );
}

#[test]
fn a_matrix_has_every_outcome_that_is_possible() {
    let matrix = r#"
[[matrices]]
name = "risk"
outcomes = ["usual", "watch", "crisis"]
cells = [["usual", "usual"], ["watch", "crisis"]]
rows = { name = "consequence", bands = [{ name = "low" }, { name = "high", when = "violent" }] }
columns = { name = "virality", bands = [{ name = "few" }, { name = "many", when = "spread_1h >= 100 copies" }] }
"#;
    let level = TAIL.replacen("when = \"violent\"", "when = \"risk is at least watch\"", 1);
    let second = "[[levels]]\nname = \"second\"\nsays = \"s\"\nwhen = \"risk is at least crisis\"\n[conclusion]";
    let level = level.replacen("[conclusion]", second, 1);
    let protocol = Protocol::parse(&format!("{HEAD}{matrix}{level}")).unwrap();
    let assess = |answer: Option<bool>, spread: (f64, f64)| {
        let mut figures = Figures::default();
        let (low, high) = spread;
        figures.set(Figure::Spread1h, Reading::Number(Measured { low, high, as_of: None }));
        let answers = answer.into_iter().map(|yes| ("violent".to_owned(), yes)).collect();
        let assessment = Assessor::new(&protocol)
            .observe(Timestamp(0), &figures, &answers)
            .unwrap();
        let (low, high) = assessment.matrices[0].outcome.clone();
        (low, high, assessment.levels[0].truth, assessment.levels[1].truth)
    };
    let row = |low: &str, high: &str, first, second| (low.to_owned(), high.to_owned(), first, second);
    assert_eq!(
        assess(Some(false), (500.0, 500.0)),
        row("usual", "usual", NotMet, NotMet)
    );
    assert_eq!(assess(Some(true), (500.0, 500.0)), row("crisis", "crisis", Met, Met));
    assert_eq!(assess(Some(true), (90.0, 120.0)), row("watch", "crisis", Met, Unknown));
    assert_eq!(assess(None, (10.0, 20.0)), row("usual", "watch", Unknown, NotMet));
    assert_eq!(assess(None, (90.0, 120.0)), row("usual", "crisis", Unknown, Unknown));
    let doubled = format!("{HEAD}{}{level}", matrix.replacen("\"many\"", "\"few\"", 1));
    let refused = Protocol::parse(&doubled).unwrap_err();
    assert!(refused.to_string().contains("`few` has a meaning already"), "{refused}");
    let crooked = format!("{HEAD}{}{level}", matrix.replacen("[\"usual\", \"usual\"], ", "", 1));
    assert!(
        Protocol::parse(&crooked)
            .unwrap_err()
            .to_string()
            .contains("cells are one list")
    );
}

#[test]
fn figures_that_are_older_than_those_before_change_nothing() {
    let text = with_criterion("live").replacen("says = \"c\"\nwhen", "says = \"c\"\nheld_for = \"1 min\"\nwhen", 1);
    let protocol = Protocol::parse(&text).unwrap();
    let mut assessor = Assessor::new(&protocol);
    let mut observe = |seconds: i64| {
        let assessment = assessor.observe(Timestamp(seconds * 1_000), &figures(), &Answers::new())?;
        Ok::<_, tocsin_protocol::OutOfOrder>(assessment.criteria[0].truth)
    };
    assert_eq!(observe(0), Ok(Unknown));
    assert_eq!(observe(59), Ok(Unknown));
    assert!(observe(58).is_err());
    assert_eq!(observe(60), Ok(Met));
}
