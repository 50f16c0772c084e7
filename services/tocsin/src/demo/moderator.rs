use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::answers::{Case, Claimed};
use super::reader::Reader;
use super::scene::Scene;
use super::words;

/// How long after the alarm the moderator has looked at what rang, in the time of the plan.
pub const LOOKS_FOR: Duration = Duration::from_secs(12);

/// The person at the queue: takes its best case, decides, and waits until the decision came back.
#[derive(Debug)]
pub struct Moderator {
    looks_for: Duration,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Waits,
    /// Another case than the crisis was the best.
    FoundAnother,
    Decided {
        case: Case,
        at: Instant,
        alerts_before: usize,
    },
    Done,
}

/// A decision that raises no alert within this time is seen in the case alone. Of it, it can be taken back for five seconds.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(10);

impl Moderator {
    pub fn new(looks_for: Duration) -> Moderator {
        Moderator {
            looks_for,
            step: Step::Waits,
        }
    }

    /// Whether there is nothing more to do.
    pub fn has_finished(&self) -> bool {
        matches!(self.step, Step::FoundAnother | Step::Done)
    }

    /// Whether the best case was the crisis, and the decision stands.
    pub fn decided_the_crisis(&self) -> bool {
        matches!(self.step, Step::Decided { .. } | Step::Done)
    }

    /// Does what is to be done now.
    pub async fn act(&mut self, scene: &mut Scene, reader: &Reader, played_at: Option<Instant>) -> Result<()> {
        match &self.step {
            Step::Waits => {
                let Some(alarm) = &scene.alarm else { return Ok(()) };
                let has_looked = alarm.at.elapsed() >= self.looks_for || played_at.is_some();
                if has_looked && scene.crisis_case().is_some() {
                    self.step = decide(scene, reader).await?;
                }
            }
            Step::Decided {
                case,
                at,
                alerts_before,
            } => {
                let answered = scene.later[*alerts_before..].iter().find(|alert| {
                    let decision = alert.priority_terms.iter().find(|term| term.name == "decision");
                    decision.is_some_and(|term| term.value != 0.0)
                });
                if let Some(alert) = answered {
                    let text = words::came_back(alert, case.priority, at.elapsed());
                    scene.say(text);
                    self.step = Step::Done;
                } else if at.elapsed() > COMES_BACK_WITHIN {
                    let stands = scene.crisis_case().map(|case| case.state.clone());
                    scene.say(words::stands(&stands.unwrap_or_default()));
                    self.step = Step::Done;
                }
            }
            Step::FoundAnother | Step::Done => {}
        }
        Ok(())
    }
}

async fn decide(scene: &mut Scene, reader: &Reader) -> Result<Step> {
    let claimed: Option<Claimed> = reader.post("/v1/queue/claim", &json!({ "lease_s": 300 })).await?;
    let Some(case) = claimed.and_then(|claimed| claimed.case) else {
        return Ok(Step::Waits);
    };
    scene.say(words::claimed(&case, &scene.cases));
    if !scene.player.is_crisis(&case.hash) {
        scene.say(words::found_another(&case));
        return Ok(Step::FoundAnother);
    }
    let alerts_before = scene.later.len();
    let decision = json!({
        "fencing": case.fencing,
        "verdict": "violating",
        "rationale": "The demo's moderator has seen it.",
    });
    let path = format!("/v1/cases/{}/decision", case.id);
    let decided: Case = reader.post(&path, &decision).await?.context("the case is there")?;
    scene.say(words::decided(&decided));
    Ok(Step::Decided {
        case,
        at: Instant::now(),
        alerts_before,
    })
}
