use std::collections::BTreeMap;

use tocsin_incident::{IncidentId, Tlp};
use tocsin_model::{Alert, ContentHash, ContentId, Milliseconds, Name, Timestamp, ToldDecision};

use crate::database::{Locked, Row, Transaction};
use crate::endpoint::{DeliveryEventKind, OPEN, read_endpoints};
use crate::ozone_subjects::{SUPERSEDED, SUPERSEDED_LATER, violates_elsewhere};
use crate::{
    Endpoint, IncidentMessage, LiveMember, Store, StoreError, ToldAppeal, ToldNotice, ToldSubject, Unconfirmed,
    alert_json, decision_json, incidents,
};

/// What is delivered.
#[derive(Clone, Debug, PartialEq)]
pub enum DeliveryEvent {
    /// An alert.
    Alert(Box<Alert>),
    /// A decision of the endpoint's team.
    Decision(ToldDecision),
    /// A message about an incident in which the endpoint's team takes part.
    Incident(IncidentMessage),
    /// Members that a decision of the endpoint's team is about.
    Members(ToldMembers),
    /// The answer to an appeal of the endpoint's team.
    Appeal(Box<ToldAppeal>),
    /// A decision of the endpoint's team that its platforms did not confirm.
    Unconfirmed(Box<Unconfirmed>),
    /// A decision of the endpoint's team, for something that was reported in the Ozone of the endpoint.
    Reported(Box<ToldSubject>),
    /// A notice to the endpoint's team of which the time is over.
    Notice(Box<ToldNotice>),
}

/// The most members that one event tells of.
pub const MEMBERS_PER_EVENT_MAX: usize = 256;

/// Members of a family that are told of a decision: those it had, or that came to it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldMembers {
    /// The event's identity.
    pub id: u128,
    /// The decision.
    pub told: ToldDecision,
    /// The members, ascending, each with the strongest hash that is known of it; at most [`MEMBERS_PER_EVENT_MAX`].
    pub members: Vec<(ContentId, ContentHash)>,
    /// Whether they are told again because copies of them came after their removal was confirmed: no person did it.
    pub automated: bool,
    /// The live streams that they are copies of, where the decision says that those are to be stopped: the content on a platform.
    pub streams: Vec<LiveMember>,
}

/// One event on its way to one endpoint, taken to be tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Its identity, 32 hexadecimal digits: the first half of the SHA-256 of the endpoint's name and the event's id. The same at every try
    /// and every replay, so that the other side can tell.
    pub id: String,
    /// The number of this try, from 1. What is said of a try under an older number is not believed.
    pub attempt: u32,
    /// When the event became a delivery, by the store's clock.
    pub added_at: Timestamp,
    /// What is delivered.
    pub event: DeliveryEvent,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The other side has it.
    Delivered,
    /// It did not take it: again after this long.
    Retry {
        /// From now on, by the store's clock.
        after: Milliseconds,
        /// A stable name of what went wrong.
        reason: String,
    },
    /// It is given up until somebody replays it.
    Dead {
        /// A stable name of what went wrong.
        reason: String,
    },
}

/// A delivery that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its identity.
    pub id: String,
    /// The alert, the decision or the message.
    pub event_id: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up, by the store's clock.
    pub settled_at: Timestamp,
    /// What went wrong the last time.
    pub reason: String,
}

/// Which deliveries go out once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Those that were given up.
    Dead,
    /// This one.
    One(String),
    /// All that were settled, of events since then, by the store's clock.
    Since(Timestamp),
}

/// How the deliveries of all endpoints stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// How many wait.
    pub waiting: u64,
    /// How many were given up and not forgotten yet.
    pub dead: u64,
    /// How old the oldest of those that wait is.
    pub oldest_waiting: Option<Milliseconds>,
}

impl Store {
    /// One endpoint, if it gets anything: see [`Store::open_endpoints`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn open_endpoint(&self, endpoint: &Name) -> Result<Option<Endpoint>, StoreError> {
        let now = self.now().await.map_err(StoreError::database("ask the clock"))?;
        let open = format!("WHERE {OPEN} AND e.endpoint = $1");
        let found = read_endpoints(self.database(), (&open, &[endpoint.as_str().into()]), now).await?;
        Ok(found.into_iter().next())
    }

    /// Takes at most `limit` deliveries of an endpoint that are due, oldest first. Nobody else gets them for `length`; those of which
    /// nothing is said by then are given out again, so an event is delivered at least once (its id makes a second time harmless). One whose
    /// event cannot be read becomes a dead letter. A message about an incident has the marking that it had when it was written or the one that the
    /// incident has now, whichever is narrower.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_deliveries(
        &self,
        endpoint: &Name,
        limit: u32,
        length: Milliseconds,
    ) -> Result<Vec<Delivery>, StoreError> {
        let failed = StoreError::database("take deliveries");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let sql = format!(
            "SELECT d.delivery_id, d.attempts, d.added_at, v.kind, v.document FROM deliveries d \
             JOIN delivery_events v ON v.event_id = d.event_id \
             WHERE d.state = 1 AND d.endpoint = $1 AND d.due_at <= $2 ORDER BY d.due_at, d.sequence LIMIT $3{}",
            transaction.for_update(Locked::DeliveriesNobodyHolds)
        );
        let rows = transaction
            .fetch(&sql, &[endpoint.as_str().into(), now.into(), i64::from(limit).into()])
            .await
            .map_err(&failed)?;
        let mut taken = Vec::with_capacity(rows.len());
        for row in &rows {
            match delivery(row) {
                Ok(delivery) => taken.push(delivery),
                // What only a later version knows holds up nothing behind it.
                Err(StoreError::Malformed { field }) => {
                    let id = row.text("delivery_id").map_err(&failed)?;
                    transaction
                        .execute(
                            "UPDATE deliveries SET state = 3, settled_at = $2, reason = $3 WHERE delivery_id = $1",
                            &[id.into(), now.into(), format!("malformed_{field}").into()],
                        )
                        .await
                        .map_err(&failed)?;
                }
                Err(error) => return Err(error),
            }
        }
        let mut markings = BTreeMap::new();
        for delivery in &mut taken {
            if let DeliveryEvent::Incident(message) = &mut delivery.event {
                message.tlp = message
                    .tlp
                    .max(present_marking(&mut transaction, &mut markings, message.incident).await?);
            }
            if let DeliveryEvent::Reported(event) = &mut delivery.event {
                event.violates_elsewhere = violates_elsewhere(&mut transaction, (endpoint, event), now).await?;
            }
            transaction
                .execute(
                    "UPDATE deliveries SET attempts = $2, due_at = $3 WHERE delivery_id = $1",
                    &[
                        delivery.id.as_str().into(),
                        i64::from(delivery.attempt).into(),
                        (now + length).into(),
                    ],
                )
                .await
                .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(taken)
    }

    /// Says what became of tries. A try that lasted longer than it was ours says nothing any more.
    ///
    /// # Errors
    /// The database failed; it may be said again.
    pub async fn settle_deliveries(&self, settled: &[(&Delivery, DeliveryOutcome)]) -> Result<(), StoreError> {
        let failed = StoreError::database("settle deliveries");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        for (delivery, outcome) in settled {
            let (state, due_at, reason) = match outcome {
                DeliveryOutcome::Delivered => (2, now, None),
                DeliveryOutcome::Retry { after, reason } => (1, now + *after, Some(reason.clone())),
                DeliveryOutcome::Dead { reason } => (3, now, Some(reason.clone())),
            };
            transaction
                .execute(
                    "UPDATE deliveries SET state = $3, due_at = $4, settled_at = $5, reason = $6 \
                     WHERE delivery_id = $1 AND attempts = $2 AND state = 1",
                    &[
                        delivery.id.as_str().into(),
                        i64::from(delivery.attempt).into(),
                        state.into(),
                        due_at.into(),
                        now.into(),
                        reason.into(),
                    ],
                )
                .await
                .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }

    /// At most `limit` deliveries of an endpoint that were given up, the latest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn dead_letters(&self, endpoint: &Name, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        let failed = StoreError::database("read dead letters");
        let rows = self
            .database()
            .fetch(
                "SELECT delivery_id, event_id, attempts, settled_at, reason FROM deliveries \
                 WHERE state = 3 AND endpoint = $1 ORDER BY settled_at DESC, sequence DESC LIMIT $2",
                &[endpoint.as_str().into(), i64::from(limit).into()],
            )
            .await
            .map_err(&failed)?;
        let letter = |row: &Row| {
            Ok(DeadLetter {
                id: row.text("delivery_id").map_err(&failed)?,
                event_id: row.text("event_id").map_err(&failed)?,
                attempts: attempts(row)?,
                settled_at: Timestamp(row.integer_if_any("settled_at").map_err(&failed)?.unwrap_or(0)),
                reason: row.text_if_any("reason").map_err(&failed)?.unwrap_or_default(),
            })
        };
        rows.iter().map(letter).collect()
    }

    /// Lets deliveries that were settled go out once more, under their old ids and with all tries before them; how many. Delivered ones are
    /// kept for a while, and so are dead ones: see [`Store::forget_deliveries`]. What an Ozone was told of a later decision since does not go out again.
    ///
    /// # Errors
    /// [`StoreError::EndpointDisabled`], or the database failed.
    pub async fn replay_deliveries(&self, endpoint: &Name, which: &Replay) -> Result<u64, StoreError> {
        let failed = StoreError::database("replay deliveries");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let disabled = "SELECT 1 FROM endpoints WHERE endpoint = $1 AND disabled_at IS NOT NULL";
        let disabled = transaction
            .fetch(disabled, &[endpoint.as_str().into()])
            .await
            .map_err(&failed)?;
        if !disabled.is_empty() {
            return Err(StoreError::EndpointDisabled {
                endpoint: endpoint.clone(),
            });
        }
        let (chosen, value) = match which {
            Replay::Dead => ("state = 3 AND $3 = 0", 0.into()),
            Replay::One(id) => ("state IN (2, 3) AND delivery_id = $3", id.as_str().into()),
            Replay::Since(since) => ("state IN (2, 3) AND added_at >= $3", (*since).into()),
        };
        let sql = format!(
            "UPDATE deliveries SET state = 1, attempts = 0, due_at = $2, settled_at = NULL, reason = NULL WHERE endpoint = $1 AND {chosen} \
             AND (reason IS NULL OR reason NOT IN ('{SUPERSEDED}', '{SUPERSEDED_LATER}'))"
        );
        let replayed = transaction
            .execute(&sql, &[endpoint.as_str().into(), now.into(), value])
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(replayed)
    }

    /// How the deliveries stand. Those of endpoints that get nothing do not wait.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delivery_counts(&self) -> Result<DeliveryCounts, StoreError> {
        let failed = StoreError::database("count deliveries");
        let now = self.now().await.map_err(&failed)?;
        let sql = format!(
            "SELECT d.state, count(*) AS deliveries, min(d.added_at) AS oldest FROM deliveries d \
             JOIN endpoints e ON e.endpoint = d.endpoint WHERE d.state = 3 OR (d.state = 1 AND {OPEN}) GROUP BY d.state"
        );
        let rows = self.database().fetch(&sql, &[]).await.map_err(&failed)?;
        let mut counts = DeliveryCounts::default();
        for row in &rows {
            let count = row.integer("deliveries").map_err(&failed)? as u64;
            match row.integer("state").map_err(&failed)? {
                1 => {
                    counts.waiting = count;
                    let oldest = row.integer_if_any("oldest").map_err(&failed)?;
                    counts.oldest_waiting = oldest.map(|oldest| now - Timestamp(oldest));
                }
                _ => counts.dead = count,
            }
        }
        Ok(counts)
    }

    /// Forgets deliveries that were settled longer than `age` ago, those that are older and whose endpoint gets nothing, and the events that
    /// are of no delivery; how many deliveries. `age` must be longer than the log keeps alerts, or an alert that is read again could be
    /// delivered again.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_deliveries(&self, age: Milliseconds) -> Result<u64, StoreError> {
        let failed = StoreError::database("forget deliveries");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let sql = format!(
            "DELETE FROM deliveries WHERE (state IN (2, 3) AND settled_at < $1) OR (state = 1 AND added_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM endpoints e WHERE e.endpoint = deliveries.endpoint AND {OPEN}))"
        );
        let forgotten = transaction
            .execute(&sql, &[(now - age).into()])
            .await
            .map_err(&failed)?;
        transaction
            .execute(
                "DELETE FROM delivery_events WHERE added_at < $1 AND NOT EXISTS \
                 (SELECT 1 FROM deliveries d WHERE d.event_id = delivery_events.event_id)",
                &[(now - age).into()],
            )
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(forgotten)
    }
}

/// How far an incident may go now, read once for each of those that are told of in one go.
async fn present_marking(
    transaction: &mut Transaction,
    known: &mut BTreeMap<IncidentId, Tlp>,
    id: IncidentId,
) -> Result<Tlp, StoreError> {
    if let Some(tlp) = known.get(&id) {
        return Ok(*tlp);
    }
    let tlp = match incidents::read(transaction, id, "").await {
        Ok(incident) => incident.marking.tlp,
        // It cannot be read here: told is no more than that there is something.
        Err(StoreError::Malformed { .. } | StoreError::IncidentRefused(_)) => Tlp::Red,
        Err(error) => return Err(error),
    };
    known.insert(id, tlp);
    Ok(tlp)
}

fn delivery(row: &Row) -> Result<Delivery, StoreError> {
    let failed = StoreError::database("read a delivery");
    let kind = DeliveryEventKind::from_number(row.integer("kind").map_err(&failed)?);
    let document = row.text("document").map_err(&failed)?;
    Ok(Delivery {
        id: row.text("delivery_id").map_err(&failed)?,
        attempt: attempts(row)?.saturating_add(1),
        added_at: Timestamp(row.integer("added_at").map_err(&failed)?),
        event: match kind.ok_or(StoreError::Malformed { field: "kind" })? {
            DeliveryEventKind::Alert => DeliveryEvent::Alert(Box::new(alert_json::from_json(&document)?)),
            DeliveryEventKind::Incident => DeliveryEvent::Incident(IncidentMessage::from_json(&document)?),
            DeliveryEventKind::Decision => decision_json::event_from_json(&document)?,
            DeliveryEventKind::Appeal => DeliveryEvent::Appeal(Box::new(ToldAppeal::from_json(&document)?)),
            DeliveryEventKind::Notice => DeliveryEvent::Notice(Box::new(ToldNotice::from_json(&document)?)),
        },
    })
}

fn attempts(row: &Row) -> Result<u32, StoreError> {
    let number = row
        .integer("attempts")
        .map_err(StoreError::database("read a delivery"))?;
    u32::try_from(number).map_err(|_| StoreError::Malformed { field: "attempts" })
}
