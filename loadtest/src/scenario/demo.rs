use tocsin_model::{Milliseconds, Timestamp};

use super::config::{BurstConfig, CrisisConfig, Disorder, PartyPlan, Popularity, ScenarioConfig};
use super::stream::Scenario;

/// What `tocsin demo` plays, in real time: about 90 seconds.
///
/// A violent video is uploaded again and again from the 15th second on, its rate doubling every 8 seconds from one in two seconds to 20 a
/// second, on four platforms of two parties, inside 30 ordinary events a second; from the 30th second on a harmless clip spreads beside it.
///
/// A real crisis takes minutes to double, and ordinary contents have a past. Here nothing has a past, so the ordinary contents are kept flat
/// (none is expected more than seven times): anything that is seen ten times in a minute out of nothing rings, and rightly so.
#[derive(Clone, Debug)]
pub struct DemoPlan {
    /// The scenario.
    pub scenario: ScenarioConfig,
}

impl DemoPlan {
    /// The plan, to be played from `start` on: each event is to be sent at its `received_at`.
    pub fn new(seed: u64, start: Timestamp) -> Self {
        DemoPlan {
            scenario: ScenarioConfig {
                seed,
                start,
                duration: Milliseconds::from_seconds(90),
                parties: vec![
                    PartyPlan::new("example-video", &[("example-video", 10.0), ("example-shorts", 4.0)]),
                    PartyPlan::new("example-social", &[("example-social", 6.0), ("example-forum", 1.0)]),
                ],
                background_per_second: 30.0,
                popularity: Popularity {
                    repeated_share: 0.06,
                    contents: 400,
                    exponent: 0.6,
                },
                bursts: vec![BurstConfig {
                    at: Milliseconds::from_seconds(30),
                    copies: 40.0,
                    mean_age: Milliseconds::from_seconds(15),
                }],
                crises: vec![CrisisConfig {
                    at: Milliseconds::from_seconds(15),
                    lasts: Milliseconds::from_seconds(60),
                    first_per_second: 0.5,
                    doubling: Milliseconds::from_seconds(8),
                    per_second_max: 20.0,
                    blocked_share: 0.4,
                    labelled_share: 0.3,
                    repeated_account_share: 0.1,
                    variants: 3,
                    reports_after: Milliseconds::from_seconds(40),
                    reports_per_second: 0.2,
                }],
                disorder: Disorder {
                    delay_max: Milliseconds(300),
                    late_share: 0.01,
                    late_by: Milliseconds::from_seconds(5),
                    duplicate_share: 0.01,
                },
            },
        }
    }

    /// The events, in the order and at the times of their receipt.
    pub fn events(&self) -> Scenario {
        Scenario::new(&self.scenario)
    }
}
