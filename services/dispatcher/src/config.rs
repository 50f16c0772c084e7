use serde::{Deserialize, Serialize};
use tocsin_model::Milliseconds;
use tocsin_runtime::Refusal;

use crate::deliveries::Networks;
use crate::follow::FollowConfig;

/// How the dispatcher hands out cases, and how often it may interrupt. Section `[dispatcher]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DispatcherConfig {
    /// How long a moderator holds a case when the claim does not say, in seconds. 1 to 3,600; default 300.
    pub lease_s: u32,
    /// How many episodes a day are to interrupt a person, over the whole deployment: the threshold follows from it. 1 to 1,000; default 15.
    /// Must be the same for every dispatcher.
    pub pages_per_day: u32,
    /// Networks that endpoints may be in beside the public internet, such as `10.1.2.0/24`. Nothing else inside is called, whatever the name
    /// of a host resolves to; plain `http` goes to these alone. Default: none.
    pub endpoint_networks: Vec<String>,
    /// Lists elsewhere that are followed into banks, each in a section `[[dispatcher.follow]]`. Default: none.
    pub follow: Vec<FollowConfig>,
}

impl Default for DispatcherConfig {
    fn default() -> Self {
        DispatcherConfig {
            lease_s: 300,
            pages_per_day: 15,
            endpoint_networks: Vec::new(),
            follow: Vec::new(),
        }
    }
}

impl DispatcherConfig {
    /// What is wrong with it.
    pub fn refusals(&self) -> Vec<Refusal> {
        let refusals = [
            Refusal::outside("dispatcher.lease_s", self.lease_s, 1..=3_600),
            Refusal::outside("dispatcher.pages_per_day", self.pages_per_day, 1..=1_000),
        ];
        let networks = Networks::parse(&self.endpoint_networks).err();
        let networks = networks.map(|reason| Refusal::new("dispatcher.endpoint_networks", reason));
        let follow = FollowConfig::refusals(&self.follow);
        refusals.into_iter().flatten().chain(networks).chain(follow).collect()
    }

    pub(crate) fn lease(&self) -> Milliseconds {
        Milliseconds::from_seconds(i64::from(self.lease_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_every_field_is_checked() {
        assert_eq!(DispatcherConfig::default().refusals(), []);
        let wrong = DispatcherConfig {
            lease_s: 0,
            pages_per_day: 0,
            endpoint_networks: vec!["everywhere".to_owned()],
            ..DispatcherConfig::default()
        };
        assert_eq!(wrong.refusals().len(), 3);
    }
}
