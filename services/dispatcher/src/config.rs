use serde::{Deserialize, Serialize};
use tocsin_casework::PauseRules;
use tocsin_model::Milliseconds;
use tocsin_runtime::{MemoryPart, Refusal};

use crate::accounts::{READING_BYTES, READINGS_MAX};
use crate::deliveries::{MailConfig, Networks};
use crate::follow::FollowConfig;
use crate::queue_updates;
use crate::sign_in::SignInConfig;

/// How the dispatcher hands out cases, and how often it may interrupt. Section `[dispatcher]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DispatcherConfig {
    /// How long a moderator holds a case when the claim does not say, in seconds. 1 to 3,600; default 300.
    pub lease_s: u32,
    /// For how long a decision can be taken back before it goes out, in seconds. 0 to 60; default 5.
    pub undo_s: u32,
    /// Every so many claims of a team take the case that waits longest, so that nothing starves. 0 (never) to 1,000; default 10. Counted in the
    /// store, over all dispatchers.
    pub longest_every: u32,
    /// A case of which a notice is due within so many minutes goes before every priority, and before what waits longest. 0 (once it is due) to
    /// 60 (an order from its receipt on); default 30.
    pub notice_urgent_min: u32,
    /// Whoever worked on cases for so many minutes without a pause is told that it is time for one: they alone, with what they claim. 0 (never) to
    /// 480; default 50.
    pub pause_after_min: u32,
    /// Or who looked at so many cases without a pause. 0 (never) to 1,000; default 40.
    pub pause_after_cases: u32,
    /// How many minutes without a case are a pause: 1 to 60; default 10.
    pub pause_min: u32,
    /// The priority below which an open case closes unreviewed when its spread subsides; above it, it waits for a person all the same. 0 to
    /// 1,000,000,000; default 100. Must be the same for every dispatcher.
    pub unreviewed_below: u32,
    /// How many episodes a day are to interrupt a person, over the whole deployment: the threshold follows from it. 1 to 1,000; default 15.
    /// Must be the same for every dispatcher.
    pub pages_per_day: u32,
    /// The most open cases that are ranked, some 400 bytes each. A further one is handed out only when none of the ranked ones is to be had, or as
    /// the one that waits longest. 1 to 100,000,000; default 1,000,000.
    pub ranked_cases_max: u32,
    /// The most hot records that cases are ranked by, some KiB each, with those of families that have no open case yet. Where there are more, the
    /// cases of the others are ranked by their latest alert. 1 to 10,000,000; default 50,000.
    pub ranked_records_max: u32,
    /// The most announced contents of which it is kept to which family they belong, some 400 bytes each: cases go along with their families, and
    /// members are told of decisions. Of contents beyond, a case that opens later is carried along at the next start, and a decision that is made later
    /// is told then. 1 to 100,000,000; default 200,000.
    pub member_contents_max: u32,
    /// The most streams of queues that are open at a time. 1 to 100,000; default 512.
    pub queue_streams_max: u32,
    /// The most of them that those of one team hold open. 1 to `queue_streams_max`; default 128.
    pub queue_streams_per_team_max: u32,
    /// The most of them that are open with one key. 1 to `queue_streams_per_team_max`; default 8.
    pub queue_streams_per_key_max: u32,
    /// Networks that endpoints may be in beside the public internet, such as `10.1.2.0/24`. Nothing else inside is called, whatever the name
    /// of a host resolves to; plain `http` goes to these alone. Default: none.
    pub endpoint_networks: Vec<String>,
    /// The relay that mail is handed to. Default: none, and no mail is sent.
    pub mail: MailConfig,
    /// Lists elsewhere that are followed into banks, each in a section `[[dispatcher.follow]]`. Default: none.
    pub follow: Vec<FollowConfig>,
    /// The directory of the sealed store, where copies of what is preserved lie; the same one for every dispatcher. Empty: none here, and nobody but orders
    /// and appeals places a preservation, which wait for their copies. Default: empty; `tocsin up` has `sealed` in its data directory.
    pub sealed_store: String,
    /// The most events that one copy holds. 1 to 10,000,000; default 200,000.
    pub sealed_events_max: u32,
    /// The most MiB of events that one copy holds. 1 to 4,096; default 256.
    pub sealed_mib_max: u32,
    /// Whom researchers ask about the daily aggregates, as the data sheet says: at most 256 bytes on one line. Default: empty, whoever gave them the key.
    pub research_contact: String,
    /// How people sign in. Default: by one-time links alone.
    pub sign_in: SignInConfig,
}

impl Default for DispatcherConfig {
    fn default() -> Self {
        DispatcherConfig {
            lease_s: 300,
            undo_s: 5,
            longest_every: 10,
            notice_urgent_min: 30,
            pause_after_min: 50,
            pause_after_cases: 40,
            pause_min: 10,
            unreviewed_below: 100,
            pages_per_day: 15,
            ranked_cases_max: 1_000_000,
            ranked_records_max: 50_000,
            member_contents_max: 200_000,
            queue_streams_max: 512,
            queue_streams_per_team_max: 128,
            queue_streams_per_key_max: 8,
            endpoint_networks: Vec::new(),
            mail: MailConfig::default(),
            follow: Vec::new(),
            sealed_store: String::new(),
            sealed_events_max: 200_000,
            sealed_mib_max: 256,
            research_contact: String::new(),
            sign_in: SignInConfig::default(),
        }
    }
}

/// An open case in the ranks.
const RANKED_CASE_BYTES: u64 = 400;
/// A content of a family, with what is due of it.
const MEMBER_CONTENT_BYTES: u64 = 400;
/// A hot record: a content on some platforms, with the accounts of one of them counted by a sketch.
const HOT_RECORD_BYTES: u64 = 4 << 10;

impl DispatcherConfig {
    /// What the ranks and what is known of families may come to hold; of the store there are pages and no more.
    pub fn memory_parts(&self) -> Vec<MemoryPart> {
        vec![
            MemoryPart {
                of: "dispatcher.ranked_cases_max",
                bytes: u64::from(self.ranked_cases_max) * RANKED_CASE_BYTES,
            },
            MemoryPart {
                of: "dispatcher.ranked_records_max",
                bytes: u64::from(self.ranked_records_max) * HOT_RECORD_BYTES,
            },
            MemoryPart {
                of: "dispatcher.member_contents_max",
                bytes: u64::from(self.member_contents_max) * MEMBER_CONTENT_BYTES,
            },
            MemoryPart {
                of: "readings of accounts",
                bytes: READINGS_MAX as u64 * READING_BYTES,
            },
            MemoryPart {
                of: "a sealed copy",
                bytes: READING_BYTES,
            },
            MemoryPart {
                of: "dispatcher.queue_streams_max",
                bytes: u64::from(self.queue_streams_max).min(queue_updates::TEAMS_MAX as u64)
                    * queue_updates::TEAM_BYTES
                    + u64::from(self.queue_streams_max) * queue_updates::STREAM_BYTES,
            },
        ]
    }

    /// What is wrong with it.
    pub fn refusals(&self) -> Vec<Refusal> {
        let refusals = [
            Refusal::outside("dispatcher.lease_s", self.lease_s, 1..=3_600),
            Refusal::outside("dispatcher.undo_s", self.undo_s, 0..=60),
            Refusal::outside("dispatcher.longest_every", self.longest_every, 0..=1_000),
            Refusal::outside("dispatcher.notice_urgent_min", self.notice_urgent_min, 0..=60),
            Refusal::outside("dispatcher.pause_after_min", self.pause_after_min, 0..=480),
            Refusal::outside("dispatcher.pause_after_cases", self.pause_after_cases, 0..=1_000),
            Refusal::outside("dispatcher.pause_min", self.pause_min, 1..=60),
            Refusal::outside("dispatcher.unreviewed_below", self.unreviewed_below, 0..=1_000_000_000),
            Refusal::outside("dispatcher.pages_per_day", self.pages_per_day, 1..=1_000),
            Refusal::outside("dispatcher.ranked_cases_max", self.ranked_cases_max, 1..=100_000_000),
            Refusal::outside("dispatcher.ranked_records_max", self.ranked_records_max, 1..=10_000_000),
            Refusal::outside(
                "dispatcher.member_contents_max",
                self.member_contents_max,
                1..=100_000_000,
            ),
            Refusal::outside("dispatcher.queue_streams_max", self.queue_streams_max, 1..=100_000),
            Refusal::outside(
                "dispatcher.queue_streams_per_team_max",
                self.queue_streams_per_team_max,
                1..=self.queue_streams_max,
            ),
            Refusal::outside(
                "dispatcher.queue_streams_per_key_max",
                self.queue_streams_per_key_max,
                1..=self.queue_streams_per_team_max,
            ),
            Refusal::outside("dispatcher.sealed_events_max", self.sealed_events_max, 1..=10_000_000),
            Refusal::outside("dispatcher.sealed_mib_max", self.sealed_mib_max, 1..=4_096),
        ];
        let is_contact = self.research_contact.len() <= 256 && !self.research_contact.contains(char::is_control);
        let contact = (!is_contact).then(|| {
            let reason = "at most 256 bytes without control characters".to_owned();
            Refusal::new("dispatcher.research_contact", reason)
        });
        let networks = Networks::parse(&self.endpoint_networks).err();
        let networks = networks.map(|reason| Refusal::new("dispatcher.endpoint_networks", reason));
        let follow = FollowConfig::refusals(&self.follow);
        let sign_in = self.sign_in.refusals();
        let of_sections = networks.into_iter().chain(follow).chain(sign_in);
        let of_sections = of_sections.chain(self.mail.refusals()).chain(contact);
        refusals.into_iter().flatten().chain(of_sections).collect()
    }

    pub(crate) fn lease(&self) -> Milliseconds {
        Milliseconds::from_seconds(i64::from(self.lease_s))
    }

    pub(crate) fn urgent_within(&self) -> Milliseconds {
        Milliseconds::from_minutes(i64::from(self.notice_urgent_min))
    }

    pub(crate) fn pause_rules(&self) -> PauseRules {
        PauseRules {
            after: (self.pause_after_min > 0).then(|| Milliseconds::from_minutes(i64::from(self.pause_after_min))),
            after_cases: (self.pause_after_cases > 0).then_some(self.pause_after_cases),
            length: Milliseconds::from_minutes(i64::from(self.pause_min)),
        }
    }

    pub(crate) fn undo(&self) -> Milliseconds {
        Milliseconds::from_seconds(i64::from(self.undo_s))
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
            undo_s: 61,
            longest_every: 1_001,
            notice_urgent_min: 61,
            pause_after_min: 481,
            pause_after_cases: 1_001,
            pause_min: 0,
            unreviewed_below: u32::MAX,
            pages_per_day: 0,
            ranked_cases_max: 0,
            ranked_records_max: 0,
            member_contents_max: 0,
            queue_streams_max: 0,
            queue_streams_per_team_max: 2,
            queue_streams_per_key_max: 3,
            endpoint_networks: vec!["everywhere".to_owned()],
            sealed_events_max: 0,
            sealed_mib_max: 4_097,
            research_contact: "two\nlines".to_owned(),
            ..DispatcherConfig::default()
        };
        assert_eq!(wrong.refusals().len(), 19);
    }
}
