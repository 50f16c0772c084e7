//! The detectors that evaluations compare, in words.

use tocsin_loadtest::rival;
use tocsin_velocity::TriggerParameters;

/// What a detector is called on a page, by its name in rows and figures.
pub(super) fn title(detector: &str) -> &str {
    match detector {
        "tocsin" => "Tocsin",
        "exact" => "Tocsin's rule on exact counts",
        "ten_in_5_min" => "10 in 5 minutes",
        "thirty_in_60_min" => "30 in 60 minutes",
        "poisson_scan" => "Poisson scan",
        other => other,
    }
}

/// When it rings, with its threshold, in words; `None` of one that is not known here.
pub(super) fn rule(detector: &str) -> Option<String> {
    let shipped = TriggerParameters::SHIPPED;
    match detector {
        "tocsin" => Some(format!(
            "{} or more copies by distinct accounts, and a score of {} or more: how rare so many copies are for an ordinary content, then what their \
             pace, their growth, the platforms and the share of re-uploads say",
            shipped.copies_min, shipped.threshold
        )),
        "exact" => Some(
            "the same rule at the same threshold, with every copy of every content counted exactly from its first on"
                .to_owned(),
        ),
        _ => rival::all()
            .iter()
            .find(|rival| rival.name() == detector)
            .map(|rival| rival.rule()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rival_has_a_title_and_a_rule() {
        for rival in rival::all() {
            assert_ne!(title(rival.name()), rival.name());
            assert_eq!(rule(rival.name()), Some(rival.rule()));
        }
        let ours = rule("tocsin").expect("it is known");
        assert!(
            ours.starts_with("6 or more copies") && ours.contains("a score of 5.2 or more"),
            "{ours}"
        );
        assert_eq!(rule("another"), None);
    }
}
