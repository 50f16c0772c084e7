//! Protocols, as whole files and as one criterion in a file that is well formed: nothing panics, what is refused says where, and what is decided while
//! figures are intervals is decided the same at a value within them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin_model::Timestamp;
use tocsin_protocol::{Answers, Assessment, Assessor, FAULTS_MAX, Figure, Figures, Measured, Protocol, Reading, Truth};

const HEAD: &str = r#"name = "p"
version = 1
title = "t"
summary = "s"
sources = [{ title = "t", publisher = "p", date = "d", paraphrase = "all" }]
roles = [{ name = "lead", says = "leads" }]
classes = [{ name = "all", says = "all" }]
questions = [{ name = "one", says = "?" }, { name = "two", says = "?" }]
conclusion = { says = "c", when = "not one" }
"#;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    play(text);
    if !text.contains("'''") {
        play(&format!(
            "{HEAD}[[levels]]\nname = \"l\"\nsays = \"l\"\nwhen = '''{text}'''\n"
        ));
    }
});

fn play(text: &str) {
    let protocol = match Protocol::parse(text) {
        Ok(protocol) => protocol,
        Err(refused) => {
            let lines = text.split('\n').count();
            assert!((1..=FAULTS_MAX).contains(&refused.faults.len()));
            assert!(
                refused
                    .faults
                    .iter()
                    .all(|fault| (1..=lines).contains(&fault.line) && fault.column >= 1)
            );
            assert!(!refused.to_string().is_empty());
            return;
        }
    };
    let open = assess(
        &protocol,
        |place| (f64::from(place), f64::from(place * 3)),
        &Answers::new(),
    );
    for question in 0..2 {
        let names = protocol.questions.iter().map(|question| question.name.clone());
        let answers: Answers = names.map(|name| (name, question == 1)).collect();
        let point = assess(
            &protocol,
            |place| (f64::from(place * 2), f64::from(place * 2)),
            &answers,
        );
        let pairs = open
            .levels
            .iter()
            .chain([&open.conclusion])
            .zip(point.levels.iter().chain([&point.conclusion]));
        for (open, point) in pairs {
            assert!(
                open.truth == Truth::Unknown || open.truth == point.truth,
                "{}",
                open.name
            );
        }
    }
}

fn assess(protocol: &Protocol, bounds: impl Fn(u16) -> (f64, f64), answers: &Answers) -> Assessment {
    let mut figures = Figures::default();
    for (place, figure) in (0_u16..).zip(Figure::ALL) {
        let (low, high) = bounds(place);
        figures.set(*figure, Reading::Number(Measured { low, high, as_of: None }));
    }
    Assessor::new(protocol)
        .observe(Timestamp(0), &figures, answers)
        .expect("the first time is in order")
}
