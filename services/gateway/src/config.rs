use serde::{Deserialize, Serialize};
use tocsin_runtime::{MemoryPart, Refusal};

/// The limits of the gateway. Section `[gateway]`.
///
/// Together they bound its memory. A request in hand holds its body, then the records made of it (at most `inflated_bytes_max`) and an
/// answer of 10,000 events (about 1 MiB); four at a time hold an unpacked body and the events read from it too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// The largest body as it comes over the network, in bytes. 1 KiB to 16 MiB; default 1 MiB.
    pub body_bytes_max: usize,
    /// The largest body once it is inflated, in bytes. 1 KiB to 64 MiB; default 4 MiB.
    pub inflated_bytes_max: usize,
    /// How long a body may take to arrive, in milliseconds. 10 to 600,000; default 10,000.
    pub body_timeout_ms: u64,
    /// How long the log may take to write, in milliseconds, before the client is told to send again. 10 to 600,000; default 30,000.
    pub append_timeout_ms: u64,
    /// How many requests may be in hand. 1 to 10,000; default 64.
    pub requests_max: usize,
    /// How many of them may be one party's. 1 to `requests_max`; default 32.
    pub requests_per_party_max: usize,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        GatewayConfig {
            body_bytes_max: 1 << 20,
            inflated_bytes_max: 4 << 20,
            body_timeout_ms: 10_000,
            append_timeout_ms: 30_000,
            requests_max: 64,
            requests_per_party_max: 32,
        }
    }
}

/// The answer to the largest request, and the events read from an unpacked body while that is in hand too.
const ANSWER_BYTES: usize = 1 << 20;
const EVENTS_BYTES: usize = 10 << 20;
/// Bodies that are unpacked at a time.
const UNPACKED_MAX: usize = 4;
/// Records that wait in the client.
const CLIENT_BYTES: u64 = 64 << 20;

impl GatewayConfig {
    /// What the gateway may come to hold, at most.
    pub fn memory_parts(&self) -> Vec<MemoryPart> {
        let in_hand = self.requests_max.saturating_mul(self.inflated_bytes_max + ANSWER_BYTES);
        let unpacked = UNPACKED_MAX * (self.inflated_bytes_max + EVENTS_BYTES);
        vec![
            MemoryPart {
                of: "gateway.requests_max by gateway.inflated_bytes_max",
                bytes: (in_hand + unpacked) as u64,
            },
            MemoryPart {
                of: "what is on its way in the gateway",
                bytes: CLIENT_BYTES,
            },
        ]
    }

    /// What is wrong with it.
    pub fn refusals(&self) -> Vec<Refusal> {
        [
            Refusal::outside("gateway.body_bytes_max", self.body_bytes_max, 1 << 10..=16 << 20),
            Refusal::outside(
                "gateway.inflated_bytes_max",
                self.inflated_bytes_max,
                1 << 10..=64 << 20,
            ),
            Refusal::outside("gateway.body_timeout_ms", self.body_timeout_ms, 10..=600_000),
            Refusal::outside("gateway.append_timeout_ms", self.append_timeout_ms, 10..=600_000),
            Refusal::outside("gateway.requests_max", self.requests_max, 1..=10_000),
            Refusal::outside(
                "gateway.requests_per_party_max",
                self.requests_per_party_max,
                1..=self.requests_max,
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_every_field_is_checked() {
        assert_eq!(GatewayConfig::default().refusals(), []);
        let nothing = GatewayConfig {
            body_bytes_max: 0,
            inflated_bytes_max: 0,
            body_timeout_ms: 0,
            append_timeout_ms: 0,
            requests_max: 0,
            requests_per_party_max: 0,
        };
        assert_eq!(nothing.refusals().len(), 6);
    }
}
