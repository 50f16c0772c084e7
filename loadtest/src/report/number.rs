//! Numbers as people write them.

/// So many digits of a small number are written.
const DIGITS: i32 = 3;
/// And so many places behind the point at most.
const PLACES_MAX: i32 = 12;

/// A number as people write it: rounded to a whole one from 100 on, with thousands set apart, and with a few digits below. What is smaller and not whole
/// is never written as if it were, and what is not zero never as zero (below 10^-12 as a power of ten).
pub fn short(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "without end".to_owned(),
        0.0 => "0".to_owned(),
        size if size >= 1e6 => format!("{} million", apart(&trimmed(value / 1e6, 3))),
        size if size >= 100.0 || value.fract() == 0.0 => apart(&format!("{value:.0}")),
        size if size >= 1.0 => trimmed(value, 2),
        size if size >= 0.01 => trimmed(value, 4),
        size => {
            let places = DIGITS - 1 - libm::floor(libm::log10(size)) as i32;
            match places > PLACES_MAX {
                true => format!("{value:e}"),
                false => trimmed(value, places as usize),
            }
        }
    }
}

/// With so many places at most: zeros at the end say nothing, unless they say that it is nearly whole.
fn trimmed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    let short = text.trim_end_matches('0');
    match short.strip_suffix('.') {
        Some(whole) if value.fract() == 0.0 => whole.to_owned(),
        Some(_) => text,
        None => short.to_owned(),
    }
}

/// The digits before the point in groups of three.
fn apart(text: &str) -> String {
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut written = String::new();
    let digits = whole.trim_start_matches('-').len();
    for (place, digit) in whole.chars().enumerate() {
        let from_the_end = whole.len() - place;
        if from_the_end < digits && from_the_end % 3 == 0 {
            written.push(',');
        }
        written.push(digit);
    }
    written + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for (value, text) in [
            (12_345_678.0, "12.346 million"),
            (1e6, "1 million"),
            (1_500_000.0, "1.5 million"),
            (1.234_567_89e10, "12,345.679 million"),
            (107_718.0, "107,718"),
            (-107_718.4, "-107,718"),
            (1_000.0, "1,000"),
            (-999.0, "-999"),
            (0.012_34, "0.0123"),
            (0.8, "0.8"),
            (2.5, "2.5"),
            (2.0, "2"),
            (0.0, "0"),
            (-0.0, "0"),
            (0.000_1, "0.0001"),
            (0.001_234_5, "0.00123"),
            (f64::INFINITY, "without end"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn nothing_is_rounded_to_what_it_is_not() {
        assert_eq!(short(0.999_96), "1.0000");
        assert_eq!(short(2.999), "3.00");
        assert_eq!(short(4e-8), "0.00000004");
        assert_eq!(short(1e-20), "1e-20");
    }
}
