//! Figures as people read them.

use std::fmt::Display;

pub(crate) fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

pub(crate) fn span(milliseconds: u64) -> String {
    let seconds = milliseconds.div_ceil(1_000);
    let (count, unit) = match seconds {
        0..60 => (seconds as f64, "second"),
        60..7_200 => (seconds as f64 / 60.0, "minute"),
        _ => (seconds as f64 / 3_600.0, "hour"),
    };
    if count == 1.0 {
        unit.to_owned()
    } else {
        format!("{} {unit}s", number(count))
    }
}

/// Up to two digits behind the point while they say something, and groups of three before it.
pub(crate) fn number(value: f64) -> String {
    let text = match value.abs() {
        size if !size.is_finite() => return value.to_string(),
        size if size > 0.0 && size < 0.005 => return "less than 0.01".to_owned(),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => return grouped(format!("{value:.0}")),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn grouped(digits: impl Display) -> String {
    let digits = digits.to_string();
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut text = String::from(sign);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_put_so_that_they_can_be_read() {
        for (value, text) in [
            (0.0, "0"),
            (0.001, "less than 0.01"),
            (1.25, "1.25"),
            (9.5, "9.5"),
            (10.0, "10"),
            (98.54, "98.5"),
            (120.0, "120"),
            (1_234_567.8, "1,234,568"),
            (-1_000.0, "-1,000"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(span(60_000), "minute");
        assert_eq!(span(5_000), "5 seconds");
        assert_eq!(span(10_800_000), "3 hours");
    }
}
