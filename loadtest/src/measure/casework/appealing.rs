//! How soon a party's topic has the answer to an appeal: filed by the one who decided, answered by somebody else.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tocsin_model::Timestamp;
use tocsin_wire::document::parse_instant;

use super::fanning::{Made, Party, RATE, content};
use crate::measure::process::Played;

/// An appeal that was answered, and when.
pub(super) type Answered = (String, Timestamp);

impl Party {
    /// Files appeals against these decisions, each when it is due whatever the ones before take, and answers each: every second one is upheld, the others are right
    /// about their upload. What was decided stands.
    pub(super) async fn appeal(
        &self,
        dispatchers: &[(Played, String)],
        decisions: &[Made],
    ) -> anyhow::Result<Vec<Answered>> {
        let began = tokio::time::Instant::now();
        let answers = decisions.iter().enumerate().map(async |(place, made)| {
            tokio::time::sleep_until(began + Duration::from_secs_f64(place as f64 / RATE)).await;
            let (_, address) = &dispatchers[place % dispatchers.len()];
            self.appeal_one(address, made, place % 2 == 0).await
        });
        futures::future::try_join_all(answers).await
    }

    async fn appeal_one(&self, address: &str, made: &Made, is_upheld: bool) -> anyhow::Result<Answered> {
        let (_, hash) = content(self.first, made.family, 0);
        let filing = json!({
            "reference": made.decision,
            "platform": self.platform,
            "content": {"algorithm": hash.algorithm().name(), "value": hash.value_text()},
            "decision": made.decision,
            "reason": "a load test",
        });
        let filed = self.post(&self.key, &format!("{address}/v1/appeals"), &filing).await?;
        let id = filed["id"].as_str().context("an appeal has an id")?.to_owned();
        let path = format!("{address}/v1/appeals/{id}");
        let claimed = self.post(&self.reviewer, &format!("{path}/claim"), &json!({})).await?;
        let answer = match is_upheld {
            true => {
                json!({"fencing": claimed["fencing"], "outcome": "upheld", "concerns": "upload", "note": "a load test"})
            }
            false => json!({
                "fencing": claimed["fencing"], "outcome": "overturned", "concerns": "upload", "cause": "judgement", "note": "a load test",
            }),
        };
        let answered = self.post(&self.reviewer, &format!("{path}/answer"), &answer).await?;
        let at = answered["answer"]["at"].as_str().and_then(parse_instant);
        Ok((id, at.context("an answer has its time")?))
    }
}
