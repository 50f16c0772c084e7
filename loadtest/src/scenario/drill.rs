use tocsin_model::{Milliseconds, Timestamp};

use super::config::{BurstConfig, CrisisConfig, Disorder, PartyPlan, Popularity, ScenarioConfig};
use super::demo::DemoPlan;

/// What `tocsin drill` plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrillScenario {
    /// The 90 seconds of [`DemoPlan`]: to try out a drill.
    Demo,
    /// An hour after an attack that was streamed live, at the pace that is known of Christchurch (15 March 2019): the first copy after two minutes, twice as
    /// many every eight minutes up to twenty a second, eight in ten blocked at upload, variants, the first report of a user 29 minutes after the first
    /// copy; five platforms of three parties, two harmless clips beside it.
    ///
    /// The facts: Facebook told of 1.5 million uploads within a day, 1.2 million of them blocked at upload, more than 800 variants, and a first report 29
    /// minutes after the stream began (<https://about.fb.com/news/2019/03/update-on-new-zealand/>,
    /// <https://about.fb.com/news/2019/03/technical-update-on-new-zealand/>). How fast it doubled is not known.
    Christchurch,
}

impl DrillScenario {
    /// All of them.
    pub const ALL: [DrillScenario; 2] = [DrillScenario::Demo, DrillScenario::Christchurch];

    /// Its name in commands and scorecards.
    pub fn name(self) -> &'static str {
        match self {
            DrillScenario::Demo => "demo",
            DrillScenario::Christchurch => "christchurch",
        }
    }

    /// The scenario of this name.
    pub fn from_name(name: &str) -> Option<DrillScenario> {
        DrillScenario::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// What happens, to be played from `start` on: each event is to be sent at its `received_at`.
    pub fn config(self, seed: u64, start: Timestamp) -> ScenarioConfig {
        match self {
            DrillScenario::Demo => DemoPlan::new(seed, start).scenario,
            DrillScenario::Christchurch => christchurch(seed, start),
        }
    }
}

/// As in [`DemoPlan`] nothing has a past, so the ordinary contents are kept flat: none is expected more than six times in the hour.
fn christchurch(seed: u64, start: Timestamp) -> ScenarioConfig {
    ScenarioConfig {
        seed,
        start,
        duration: Milliseconds::from_minutes(60),
        parties: vec![
            PartyPlan::new("example-video", &[("example-video", 10.0), ("example-shorts", 4.0)]),
            PartyPlan::new("example-social", &[("example-social", 6.0), ("example-messenger", 2.0)]),
            PartyPlan::new("example-forum", &[("example-forum", 1.0)]),
        ],
        background_per_second: 50.0,
        popularity: Popularity {
            repeated_share: 0.06,
            contents: 2_000,
            exponent: 0.6,
        },
        bursts: vec![
            BurstConfig {
                at: Milliseconds::from_minutes(10),
                copies: 120.0,
                mean_age: Milliseconds::from_minutes(10),
            },
            BurstConfig {
                at: Milliseconds::from_minutes(25),
                copies: 60.0,
                mean_age: Milliseconds::from_minutes(5),
            },
        ],
        crises: vec![CrisisConfig {
            at: Milliseconds::from_minutes(2),
            lasts: Milliseconds::from_minutes(58),
            first_per_second: 0.15,
            doubling: Milliseconds::from_minutes(8),
            per_second_max: 20.0,
            blocked_share: 0.8,
            labelled_share: 0.3,
            repeated_account_share: 0.1,
            variants: 40,
            reports_after: Milliseconds::from_minutes(29),
            reports_per_second: 0.2,
        }],
        disorder: Disorder {
            delay_max: Milliseconds(400),
            late_share: 0.01,
            late_by: Milliseconds::from_minutes(5),
            duplicate_share: 0.01,
        },
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what a drill plays is what its description says.

    use super::super::stream::Scenario;
    use super::*;

    #[test]
    fn the_hour_of_christchurch_doubles_and_is_mostly_blocked() {
        let config = DrillScenario::Christchurch.config(1, Timestamp(0));
        let of_crisis = |from: i64, to: i64| {
            let events = Scenario::new(&config).filter(|generated| generated.truth.is_some());
            let within = events.filter(|generated| {
                let at = generated.event.occurred_at;
                Timestamp(from * 60_000) <= at && at < Timestamp(to * 60_000)
            });
            within.filter(|generated| generated.event.kind.is_spread()).count() as f64
        };
        assert_eq!(of_crisis(0, 2), 0.0);
        // Six doublings lie between the 6th and the 54th minute.
        let grown = of_crisis(50, 58) / of_crisis(2, 10);
        assert!((40.0..=100.0).contains(&grown), "{grown}");
        for scenario in DrillScenario::ALL {
            assert_eq!(DrillScenario::from_name(scenario.name()), Some(scenario));
        }
        assert_eq!(DrillScenario::from_name("halle"), None);
    }
}
