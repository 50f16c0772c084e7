use serde::{Deserialize, Serialize};
use tocsin_model::Milliseconds;
use tocsin_runtime::Refusal;

/// How the dispatcher hands out cases. Section `[dispatcher]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DispatcherConfig {
    /// How long a moderator holds a case when the claim does not say, in seconds. 1 to 3,600; default 300.
    pub lease_s: u32,
}

impl Default for DispatcherConfig {
    fn default() -> Self {
        DispatcherConfig { lease_s: 300 }
    }
}

impl DispatcherConfig {
    /// What is wrong with it.
    pub fn refusals(&self) -> Vec<Refusal> {
        Refusal::outside("dispatcher.lease_s", self.lease_s, 1..=3_600)
            .into_iter()
            .collect()
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
        assert_eq!(DispatcherConfig { lease_s: 0 }.refusals().len(), 1);
    }
}
