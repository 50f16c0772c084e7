//! Incidents: reading them here, declaring and changing them in `command`, what alerts attach in `ring`, those that look-ups answer from in `live`,
//! protocols in `protocols`, what endpoints are told in `message`.

mod command;
mod live;
mod message;
mod packs;
mod protocols;
mod ring;
mod shared;

use tocsin_casework::Team;
use tocsin_incident::{Event, Incident, IncidentId, Phase, Reader, Refusal};
use tocsin_model::{KeyId, Timestamp, parse_hex_id};

pub use command::{IncidentChanged, NewIncident, OPEN_INCIDENTS_MAX};
pub use live::LiveIncidents;
pub use message::IncidentMessage;
pub use packs::{IncidentPack, PackedHash};
pub use protocols::StoredProtocol;
pub(crate) use ring::{ring, with_rules};

use crate::database::{Row, Transaction, Value};
use crate::sharing_group::groups_of;
use crate::{Store, StoreError};

/// The version of the stored documents.
const FORMAT: i64 = 1;
/// How many rows are looked at in one go while a page is filled.
const LOOKED_AT: i64 = 200;
/// The longest page of a timeline.
pub const TIMELINE_MAX: u32 = 200;

/// Who asks: a key, and for whom it speaks. `None`: those who run the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The key.
    pub key: KeyId,
    /// For whom.
    pub team: Option<Team>,
}

/// An incident as it is read.
#[derive(Clone, Debug)]
pub struct IncidentTold {
    /// The incident.
    pub incident: Incident,
    /// Who reads it, with what that team may read.
    pub reader: Reader,
    /// The store's time of the answer.
    pub now: Timestamp,
}

/// Which incidents, and how many.
#[derive(Clone, Copy, Debug, Default)]
pub struct IncidentQuery {
    /// Only those in this phase.
    pub phase: Option<Phase>,
    /// At most so many, at most [`IncidentQuery::LIMIT_MAX`].
    pub limit: u32,
    /// After this one, the last of the page before.
    pub after: Option<IncidentId>,
}

impl IncidentQuery {
    /// The longest page.
    pub const LIMIT_MAX: u32 = 100;
}

/// Incidents, the latest first.
#[derive(Clone, Debug)]
pub struct IncidentPage {
    /// The incidents.
    pub incidents: Vec<Incident>,
    /// Where to go on, if there is more.
    pub next: Option<IncidentId>,
}

/// Something that happened to an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineEntry {
    /// Its identity; random, so that it tells nothing of how many others there are.
    pub id: u128,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// Who; `None`: a rule.
    pub by: Option<(KeyId, Team)>,
    /// The name of that key's person.
    pub person: Option<String>,
    /// What.
    pub event: Event,
}

/// A part of a timeline, the earliest first.
#[derive(Clone, Debug)]
pub struct TimelinePage {
    /// The entries that the reader may read.
    pub entries: Vec<TimelineEntry>,
    /// Where to go on: the id of the last entry, if there is more.
    pub next: Option<u128>,
}

impl Store {
    /// An incident.
    ///
    /// # Errors
    /// [`Refusal::NoSuchIncident`] also for one that is not shared with whoever asks; or the database failed.
    pub async fn incident(&self, asking: Asking, id: IncidentId) -> Result<IncidentTold, StoreError> {
        let mut transaction = self.begin_reading_incidents().await?;
        let reader = reader(&mut transaction, asking).await?;
        let incident = read(&mut transaction, id, "").await?;
        if !incident.is_read_by(&reader) {
            return Err(Refusal::NoSuchIncident.into());
        }
        let now = self.inner.clock.now(&mut transaction).await;
        let now = now.map_err(StoreError::database("ask the clock"))?;
        Ok(IncidentTold { incident, reader, now })
    }

    /// The incidents that are shared with whoever asks. `None`: `after` is none of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn incidents(&self, asking: Asking, query: &IncidentQuery) -> Result<Option<IncidentPage>, StoreError> {
        let failed = StoreError::database("read incidents");
        let mut transaction = self.begin_reading_incidents().await?;
        let reader = reader(&mut transaction, asking).await?;
        let limit = query.limit.clamp(1, IncidentQuery::LIMIT_MAX) as usize;
        let mut after = match query.after {
            None => (i64::MAX, String::new()),
            Some(id) => match read(&mut transaction, id, "").await {
                Ok(incident) if incident.is_read_by(&reader) => (incident.declared_at.0, id.to_string()),
                Ok(_) | Err(StoreError::IncidentRefused(_)) => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        let phase = query.phase.map_or(0, phase_number);
        let mut incidents: Vec<Incident> = Vec::new();
        loop {
            let rows = transaction
                .fetch(
                    "SELECT i.incident_id, i.declared_at, i.format, i.document FROM incidents i \
                     WHERE (i.declared_at, i.incident_id) < ($1, $2) AND ($3 = 0 OR i.phase = $3) \
                     ORDER BY i.declared_at DESC, i.incident_id DESC LIMIT $4",
                    &[after.0.into(), after.1.as_str().into(), phase.into(), LOOKED_AT.into()],
                )
                .await
                .map_err(&failed)?;
            for row in &rows {
                let incident = incident(row)?;
                after = (incident.declared_at.0, incident.id.to_string());
                if incident.is_read_by(&reader) {
                    incidents.push(incident);
                    if incidents.len() > limit {
                        incidents.pop();
                        let next = incidents.last().map(|last| last.id);
                        return Ok(Some(IncidentPage { incidents, next }));
                    }
                }
            }
            if rows.len() < LOOKED_AT as usize {
                return Ok(Some(IncidentPage { incidents, next: None }));
            }
        }
    }

    /// What happened to an incident after the entry `after`, as far as whoever asks may read it. `None`: `after` is no such entry.
    ///
    /// # Errors
    /// As [`Store::incident`].
    pub async fn timeline(
        &self,
        asking: Asking,
        id: IncidentId,
        (after, limit): (Option<u128>, u32),
    ) -> Result<Option<TimelinePage>, StoreError> {
        let failed = StoreError::database("read a timeline");
        let told = self.incident(asking, id).await?;
        let is_read = |entry: &TimelineEntry| told.incident.event_is_read_by(&entry.event, entry.by, &told.reader);
        let limit = limit.clamp(1, TIMELINE_MAX) as usize;
        let mut from = 0;
        if let Some(after) = after {
            let values = [id.to_string().into(), format!("{after:032x}").into()];
            let sql = format!("{SELECT_EVENTS} WHERE e.incident_id = $1 AND e.event_id = $2");
            let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
            match rows
                .first()
                .map(|row| Ok::<_, StoreError>((sequence(row)?, entry(row)?)))
            {
                Some(found) => match found? {
                    (sequence, entry) if is_read(&entry) => from = sequence,
                    _ => return Ok(None),
                },
                None => return Ok(None),
            }
        }
        let mut entries: Vec<TimelineEntry> = Vec::new();
        loop {
            let values: [Value; 3] = [id.to_string().into(), from.into(), LOOKED_AT.into()];
            let sql =
                format!("{SELECT_EVENTS} WHERE e.incident_id = $1 AND e.sequence > $2 ORDER BY e.sequence LIMIT $3");
            let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
            for row in &rows {
                from = sequence(row)?;
                let entry = entry(row)?;
                if is_read(&entry) {
                    entries.push(entry);
                    if entries.len() > limit {
                        entries.pop();
                        let next = entries.last().map(|last| last.id);
                        return Ok(Some(TimelinePage { entries, next }));
                    }
                }
            }
            if rows.len() < LOOKED_AT as usize {
                return Ok(Some(TimelinePage { entries, next: None }));
            }
        }
    }

    /// All incidents that are not concluded, for those who follow them on behalf of everyone: what each reader is told is decided elsewhere.
    ///
    /// # Errors
    /// The database failed.
    pub async fn open_incidents(&self) -> Result<Vec<Incident>, StoreError> {
        let sql =
            "SELECT i.format, i.document FROM incidents i WHERE i.phase < 3 ORDER BY i.declared_at, i.incident_id";
        let rows = self.database().fetch(sql, &[]).await;
        let rows = rows.map_err(StoreError::database("read the open incidents"))?;
        rows.iter().map(incident).collect()
    }

    async fn begin_reading_incidents(&self) -> Result<Transaction, StoreError> {
        let begun = self.database().begin_reading().await;
        begun.map_err(StoreError::database("read incidents"))
    }
}

pub(crate) const SELECT_EVENTS: &str = "SELECT e.sequence, e.event_id, e.at, e.key_id, e.team, e.format, e.document, k.person \
     FROM incident_events e LEFT JOIN api_keys k ON k.key_id = e.key_id";

async fn reader(transaction: &mut Transaction, asking: Asking) -> Result<Reader, StoreError> {
    let groups = match asking.team {
        Some(team) => groups_of(transaction, team).await?,
        None => std::collections::BTreeSet::new(),
    };
    Ok(Reader {
        key: asking.key,
        team: asking.team,
        groups,
    })
}

/// An incident whoever asks; `locked` is what the statement ends in.
pub(crate) async fn read(transaction: &mut Transaction, id: IncidentId, locked: &str) -> Result<Incident, StoreError> {
    let sql = format!("SELECT i.format, i.document FROM incidents i WHERE i.incident_id = $1{locked}");
    let rows = transaction.fetch(&sql, &[id.to_string().into()]).await;
    let rows = rows.map_err(StoreError::database("read an incident"))?;
    incident(rows.first().ok_or(Refusal::NoSuchIncident)?)
}

pub(crate) fn incident(row: &Row) -> Result<Incident, StoreError> {
    document(row, "incident")
}

fn document<T: serde::de::DeserializeOwned>(row: &Row, field: &'static str) -> Result<T, StoreError> {
    let failed = StoreError::database("read an incident");
    if row.integer("format").map_err(&failed)? != FORMAT {
        return Err(StoreError::Malformed { field });
    }
    let text = row.text("document").map_err(&failed)?;
    serde_json::from_str(&text).map_err(|_| StoreError::Malformed { field })
}

fn sequence(row: &Row) -> Result<i64, StoreError> {
    row.integer("sequence").map_err(StoreError::database("read a timeline"))
}

pub(crate) fn entry(row: &Row) -> Result<TimelineEntry, StoreError> {
    let failed = StoreError::database("read a timeline");
    let malformed = |field| StoreError::Malformed { field };
    let by = match row.text_if_any("key_id").map_err(&failed)? {
        Some(key) => Some((key.parse().map_err(|_| malformed("key_id"))?, crate::cases::team(row)?)),
        None => None,
    };
    let id = row.text("event_id").map_err(&failed)?;
    Ok(TimelineEntry {
        id: parse_hex_id(&id).map_err(|_| malformed("event_id"))?,
        at: Timestamp(row.integer("at").map_err(&failed)?),
        by,
        person: row.text_if_any("person").map_err(&failed)?,
        event: document(row, "incident_event")?,
    })
}

fn phase_number(phase: Phase) -> i64 {
    match phase {
        Phase::Declared => 1,
        Phase::Active => 2,
        Phase::Concluded => 3,
    }
}
