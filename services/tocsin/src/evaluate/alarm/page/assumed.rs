//! What is assumed of the days, and which figures rest on it.

use tocsin_loadtest::day::{DayPlan, Scale};

use super::super::Results;
use super::super::play::Played;

/// The paragraph about it.
pub(super) fn told(played: &[Played], results: &Results) -> String {
    let mut told = String::from(
        "Assumed, not measured: all traffic is generated, by laws that follow published figures where there are any, and the settings of the alarm \
         were chosen on days of the same generator.",
    );
    if !played.is_empty() || results.paging.is_some() || results.queue.is_some() {
        told +=
            " All variants of a crisis are known to belong together, as if somebody had grouped them without a mistake";
        told += match results.unlinked.is_some() {
            true => ", but for those crises whose variants nobody has grouped.",
            false => ".",
        };
    }
    let is_labelled = results.paging.is_some() || results.queue.is_some();
    if is_labelled {
        told += &labels(&DayPlan::paging(Scale(1.0), 0, 0));
    }
    if !played.is_empty() {
        told += match played.iter().any(|day| is_put(&day.plan)) {
            true => "",
            false if results.poisoning.is_some() => " On the day itself nobody but the attacker labels anything.",
            false if is_labelled => {
                " No other figure uses a label: when crises are alarmed, and what was right, near and false, is of days without any."
            }
            false => " No label is used: nobody has said what is harmful.",
        };
    }
    told
}

fn is_put(plan: &DayPlan) -> bool {
    plan.crises.iter().any(|crisis| crisis.labelled_share > 0.0) || plan.bursts.labelled_share > 0.0
}

/// Which copies are labelled where there are labels, by the plan of such a day.
fn labels(plan: &DayPlan) -> String {
    let of_crises = plan.crises.first().map_or(0.0, |crisis| crisis.labelled_share);
    let of_news = plan.news.first().map_or(0.0, |news| news.spread.labelled_share);
    format!(
        " Labels: platforms put one (terrorist or violent extremist content, sometimes wrongly) on {} copies of a crisis, {} copies of excerpts in the news, \
         {} copies of bursts, cascades and popular contents, and on no launch or petition. These shares are assumed. They decide who is \
         interrupted and the order of the queue: every figure marked \"labels\" below, and the sections of those names.",
        one_in(of_crises),
        one_in(of_news),
        one_in(plan.bursts.labelled_share)
    )
}

/// A share as people say it, to the nearest tenth, hundredth and so on.
fn one_in(share: f64) -> String {
    if share <= 0.0 {
        return "no".to_owned();
    }
    let mut of = 10.0;
    while share * of < 0.95 && of < 1e9 {
        of *= 10.0;
    }
    let count = tocsin_loadtest::report::short(libm::round(share * of));
    format!("{count} in {}", tocsin_loadtest::report::short(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_as_people_say_them() {
        for (share, text) in [(0.3, "3 in 10"), (0.1, "1 in 10"), (0.001, "1 in 1,000"), (0.0, "no")] {
            assert_eq!(one_in(share), text);
        }
    }

    #[test]
    fn labels_are_those_of_the_plan() {
        let told = labels(&DayPlan::paging(Scale(1.0), 0, 0));
        for part in [
            "3 in 10 copies of a crisis",
            "1 in 10 copies of excerpts",
            "1 in 1,000 copies of bursts",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }
}
