//! Goal: no text harms whoever reads it, and no result is decided that some possible value contradicts.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tocsin_model::Timestamp;
use tocsin_protocol::{Answers, Assessor, FAULTS_MAX, Figure, Figures, Measured, Protocol, Reading, SHIPPED, Truth};

const FIGURES: [Figure; 3] = [Figure::Spread5m, Figure::Spread1h, Figure::Spread24h];
const QUESTIONS: [&str; 2] = ["one", "two"];

fn number(depth: u32) -> BoxedStrategy<String> {
    let figure = prop::sample::select(FIGURES.to_vec()).prop_map(|figure| figure.name().to_owned());
    let leaf = prop_oneof![3 => figure, 1 => (0_u32..40).prop_map(|count| format!("{count} copies"))];
    leaf.prop_recursive(depth, 8, 2, |inner| {
        let factor = (1_u32..4).prop_map(|factor| factor.to_string());
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["+", "-"]), inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} * {b} / {c})")),
            (factor, number(0)).prop_map(|(factor, of)| format!("{factor} * {of}")),
        ]
    })
    .boxed()
}

fn logic() -> impl Strategy<Value = String> {
    let comparator = prop::sample::select(vec![">=", ">", "<=", "<", "="]);
    let question = prop::sample::select(QUESTIONS.to_vec()).prop_map(str::to_owned);
    let comparison = (number(2), comparator, number(2)).prop_map(|(a, op, b)| format!("{a} {op} {b}"));
    prop_oneof![3 => comparison, 1 => question].prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| format!("not ({part})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) or ({b})")),
            (1..=3, inner.clone(), inner.clone(), inner)
                .prop_map(|(n, a, b, c)| format!("at least {n} of ({a}, {b}, {c})")),
        ]
    })
}

fn protocol(when: &str) -> Option<Protocol> {
    let text = format!(
        r#"name = "p"
version = 1
title = "t"
summary = "s"
sources = [{{ title = "t", publisher = "p", date = "d", paraphrase = "all" }}]
roles = [{{ name = "lead", says = "leads" }}]
classes = [{{ name = "all", says = "all" }}]
questions = [{{ name = "one", says = "?" }}, {{ name = "two", says = "?" }}]
levels = [{{ name = "l", says = "l", when = '{when}' }}]
conclusion = {{ says = "c", when = "not one" }}
"#
    );
    Protocol::parse(&text).ok()
}

fn truth(protocol: &Protocol, bounds: &[(u32, u32)], answers: &[Option<bool>]) -> Truth {
    let mut figures = Figures::default();
    for (figure, (low, high)) in FIGURES.iter().zip(bounds) {
        let measured = Measured {
            low: f64::from(*low),
            high: f64::from(*high),
            as_of: None,
        };
        figures.set(*figure, Reading::Number(measured));
    }
    let answered = QUESTIONS
        .iter()
        .zip(answers)
        .filter_map(|(name, answer)| Some(((*name).to_owned(), (*answer)?)));
    let assessment = Assessor::new(protocol).observe(Timestamp(0), &figures, &answered.collect::<Answers>());
    assessment.unwrap().levels[0].truth
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_decided_holds_for_every_possible_value(
        when in logic(),
        bounds in prop::array::uniform3((0_u32..30, 0_u32..6)),
        answers in prop::array::uniform2(prop::option::of(any::<bool>())),
        picks in prop::collection::vec((prop::array::uniform3(0_u32..6), prop::array::uniform2(any::<bool>())), 8),
    ) {
        let Some(protocol) = protocol(&when) else { return Ok(()) };
        let ranges = bounds.map(|(low, width)| (low, low + width));
        let said = truth(&protocol, &ranges, &answers);
        for (offsets, filled) in picks {
            let mut points = ranges;
            for (point, offset) in points.iter_mut().zip(offsets) {
                let value = point.1.min(point.0 + offset);
                *point = (value, value);
            }
            let filled = [answers[0].or(Some(filled[0])), answers[1].or(Some(filled[1]))];
            let at_point = truth(&protocol, &points, &filled);
            // At a point only a division by zero leaves it open, and then the interval held that zero.
            prop_assert!(said == Truth::Unknown || at_point == said, "{when}: {said:?}, but {at_point:?} at {points:?}");
        }
    }

    #[test]
    fn no_text_harms_its_reader(text in any::<String>()) {
        refuses_or_reads(&text);
    }

    #[test]
    fn no_criterion_harms_its_reader(when in "[a-z0-9_ ()<>=+*/%,.-]{0,120}") {
        protocol(&when);
    }

    /// What is shipped, with something changed in it.
    #[test]
    fn no_change_of_a_protocol_harms_its_reader(
        which in 0..SHIPPED.len(), at in any::<prop::sample::Index>(), length in 0_usize..40, put in "[a-z0-9\"'\\[\\]{}()=<>/ \\n]{0,12}",
    ) {
        let mut letters: Vec<char> = SHIPPED[which].1.chars().collect();
        let from = at.index(letters.len());
        letters.splice(from..letters.len().min(from + length), put.chars());
        refuses_or_reads(&letters.into_iter().collect::<String>());
    }
}

fn refuses_or_reads(text: &str) {
    match Protocol::parse(text) {
        Ok(protocol) => {
            let assessment = Assessor::new(&protocol).observe(Timestamp(0), &Figures::default(), &Answers::new());
            assert_eq!(assessment.unwrap().levels.len(), protocol.levels.len());
        }
        Err(refused) => {
            assert!((1..=FAULTS_MAX).contains(&refused.faults.len()));
            assert!(refused.faults.iter().all(|fault| fault.line >= 1 && fault.column >= 1));
        }
    }
}
