//! The dispatcher under test, and people who ask it again until they are answered.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgConnection, Row as _};
use tocsin::serve::Role;
use tocsin_failpoint::{FailPoint, VARIABLE};
use tocsin_tests::api::Api;
use tocsin_tests::site::Site;

use crate::process::{Plan, Process};
use crate::wait::{LONG, pass, until_within};
use crate::world::Place;

/// How long a case is held whose claim was not answered.
const LEASE_S: u64 = 3;
/// Before the next try of what was not answered, or where there is nothing to do.
const PAUSE: Duration = Duration::from_millis(100);

/// A decision that somebody was told stands.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Its case.
    pub case: String,
    /// Its id.
    pub decision: String,
    /// What tells it from all others that were sent.
    pub rationale: String,
}

/// The dispatcher: it ends at its point, and is started again for good.
pub struct Desk<'a> {
    place: Place<'a>,
    site: &'a Site,
    point: FailPoint,
    process: Process,
    api: Option<Api>,
    /// Whether it ended where it should.
    pub has_ended: bool,
    /// Requests that were sent again.
    pub unanswered: u64,
    /// What was acknowledged.
    pub decided: Vec<Decided>,
    sent: u64,
}

impl<'a> Desk<'a> {
    /// Starts a dispatcher that ends at a point.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn open(place: Place<'a>, site: &'a Site, (point, times): (FailPoint, u32)) -> Result<Desk<'a>> {
        let mut plan = plan();
        let end = (VARIABLE.to_owned(), format!("{}:{times}", point.name()));
        plan.environment.push(end);
        Ok(Desk {
            process: Process::spawn(place.program, site, plan, place.evidence.join("1-dispatcher.log"))?,
            place,
            site,
            point,
            api: None,
            has_ended: false,
            unanswered: 0,
            decided: Vec::new(),
            sent: 0,
        })
    }

    /// Starts it again where it has ended at its point.
    ///
    /// # Errors
    /// It ended elsewhere.
    pub fn supervise(&mut self) -> Result<()> {
        let Some(status) = self.process.ended()? else {
            return Ok(());
        };
        let at_point = format!("the process ends at {}", self.point.name());
        ensure!(
            !self.has_ended && self.process.said().contains(&at_point),
            "the dispatcher ended elsewhere, {status}: {}",
            self.process.last_words()
        );
        println!("  it ended there, and starts again");
        self.has_ended = true;
        self.api = None;
        let said = self.place.evidence.join("2-dispatcher.log");
        self.process = Process::spawn(self.place.program, self.site, plan(), said)?;
        Ok(())
    }

    /// The API of the one that runs.
    async fn api(&mut self) -> Result<Api> {
        if let Some(api) = &self.api {
            return Ok(api.clone());
        }
        let api = until_within(LONG, "a dispatcher is ready", async || {
            self.supervise()?;
            let Some(api) = self.process.address() else {
                return Ok(None);
            };
            // One that ends meanwhile does not answer.
            Ok(api.ready().await.is_ok().then_some(api))
        })
        .await?;
        self.api = Some(api.clone());
        Ok(api)
    }

    /// Sends a request until it is answered, whatever became of the one before.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn post(&mut self, key: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let bytes = body.to_string().into_bytes();
        until_within(LONG, "a request is answered", async || {
            let api = self.api().await?;
            match api.post(key, path, "application/json", bytes.clone()).await {
                Ok(answer) => Ok(Some(answer)),
                Err(_) => {
                    self.unanswered += 1;
                    self.api = None;
                    Ok(None)
                }
            }
        })
        .await
    }

    /// Waits for what the store says, with the dispatcher kept running.
    ///
    /// # Errors
    /// It does not come to be.
    pub async fn until(&mut self, what: &str, mut holds: impl AsyncFnMut(&Desk<'_>) -> Result<bool>) -> Result<()> {
        until_within(LONG, what, async || {
            self.supervise()?;
            Ok(holds(self).await?.then_some(()))
        })
        .await
    }

    /// Claims and decides until the team has no case without a decision.
    ///
    /// # Errors
    /// It is answered otherwise than it should be.
    pub async fn clear_queue(&mut self, key: &str, team: i64) -> Result<()> {
        loop {
            let claim = json!({"lease_s": LEASE_S});
            let (status, answer) = self.post(key, "/v1/queue/claim", &claim).await?;
            ensure!(status == 200, "a claim is answered by {status}: {answer}");
            let case = &answer["case"];
            let Some(id) = case["id"].as_str() else {
                if self.count(OPEN_CASES, team).await? == 0 {
                    return Ok(());
                }
                // Somebody's lease, or what was claimed and not answered, ends by itself.
                pass(PAUSE).await;
                continue;
            };
            self.decide(key, (id, &case["fencing"])).await?;
        }
    }

    async fn decide(&mut self, key: &str, (case, fencing): (&str, &Value)) -> Result<()> {
        self.sent += 1;
        let rationale = format!("decision {}", self.sent);
        let body = json!({
            "fencing": fencing, "verdict": "violating", "recommended_action": "remove", "rationale": rationale,
        });
        let (status, answer) = self.post(key, &format!("/v1/cases/{case}/decision"), &body).await?;
        match status {
            200 => {
                let decision = answer["decision"]["id"].as_str().context("a decision has an id")?;
                self.decided.push(Decided {
                    case: case.to_owned(),
                    decision: decision.to_owned(),
                    rationale,
                });
                Ok(())
            }
            // The lease ended before the dispatcher was back: nothing was taken.
            409 => Ok(()),
            _ => anyhow::bail!("a decision is answered by {status}: {answer}"),
        }
    }

    /// Asks the store.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn rows(&self, sql: &str) -> Result<Vec<PgRow>> {
        let mut connection = PgConnection::connect(self.place.store)
            .await
            .context("reach the store")?;
        let rows = sqlx::query(sql).fetch_all(&mut connection).await;
        connection.close().await.context("leave the store")?;
        rows.with_context(|| format!("ask the store: {sql}"))
    }

    /// A number that the store tells of a team.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn count(&self, sql: &str, team: i64) -> Result<i64> {
        let rows = self.rows(&sql.replace("$1", &team.to_string())).await?;
        let row = rows.first().context("a count is a row")?;
        row.try_get(0).context("a count is a number")
    }

    /// Changes the store behind its back.
    ///
    /// # Errors
    /// It cannot be changed.
    pub async fn change(&self, sql: &str) -> Result<()> {
        self.rows(sql).await.map(drop)
    }

    /// Asks it to stop, and waits until it has, with success.
    ///
    /// # Errors
    /// It does not stop.
    pub async fn close(mut self) -> Result<()> {
        self.process.terminate().await
    }
}

/// Cases of a team that nobody decided and that are no part of another.
const OPEN_CASES: &str = "SELECT count(*) FROM cases WHERE team = $1 AND merged_into IS NULL AND resting = 1";

fn plan() -> Plan {
    Plan::new(Role::Dispatcher, "dispatcher-1")
}
