use std::collections::BTreeMap;

use tocsin_casework::{Case, Team};
use tocsin_incident::Incident;
use tocsin_model::{ContentId, FamilyId, Name, Timestamp};

use crate::cases::{SELECT_CASES, case as read_case, team};
use crate::database::Row;
use crate::incidents::{self, SELECT_EVENTS, TimelineEntry};
use crate::party::name;
use crate::{Store, StoreError};

/// The most cases, entries of timelines, or endpoints told of families, of which reactions are read.
pub const REACTIONS_MAX: u32 = 20_000;

/// What everyone who took part in a drill did, as its store has it.
#[derive(Clone, Debug, Default)]
pub struct Reactions {
    /// The cases of all teams, the earliest first.
    pub cases: Vec<ReactedCase>,
    /// Who was told of which family first when.
    pub told: Vec<ToldOfFamily>,
    /// The incidents, the earliest first, each with its timeline.
    pub incidents: Vec<(Incident, Vec<TimelineEntry>)>,
    /// Whether one of them was cut at [`REACTIONS_MAX`].
    pub is_cut: bool,
}

/// A case, and what its platforms confirmed of its decisions.
#[derive(Clone, Debug)]
pub struct ReactedCase {
    /// The case as it stands.
    pub case: Case,
    /// How many members on how many platforms are to be confirmed as removed: pairs of both.
    pub awaited: u64,
    /// How many of those are.
    pub confirmed: u64,
    /// When the latest of them was.
    pub confirmed_last_at: Option<Timestamp>,
}

/// That an endpoint took an alert about a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldOfFamily {
    /// Which endpoint.
    pub endpoint: Name,
    /// Whose it is.
    pub team: Team,
    /// The family.
    pub family: FamilyId,
    /// When it took the first one, by the store's clock.
    pub at: Timestamp,
}

impl Store {
    /// What everyone who took part in a drill did, at one moment. Of a store that is of no drill nothing.
    ///
    /// # Errors
    /// The database failed, or a row is of a later version.
    pub async fn reactions(&self) -> Result<Reactions, StoreError> {
        if self.drill().is_none() {
            return Ok(Reactions::default());
        }
        let failed = StoreError::database("read the reactions to a drill");
        let mut transaction = self.database().begin_reading().await.map_err(&failed)?;
        let limit = i64::from(REACTIONS_MAX);

        let confirmed = "SELECT w.case_id, count(*) AS awaited, count(k.confirmed_at) AS confirmed, max(k.confirmed_at) AS last_at \
             FROM awaited_decisions w JOIN acknowledgements k ON k.decision_id = w.decision_id WHERE w.awaits = 1 GROUP BY w.case_id";
        let mut confirmations = BTreeMap::new();
        for row in transaction.fetch(confirmed, &[]).await.map_err(&failed)? {
            let counts = (
                row.integer("awaited").map_err(&failed)?.unsigned_abs(),
                row.integer("confirmed").map_err(&failed)?.unsigned_abs(),
                row.integer_if_any("last_at").map_err(&failed)?.map(Timestamp),
            );
            confirmations.insert(row.text("case_id").map_err(&failed)?, counts);
        }
        let sql = format!("{SELECT_CASES} ORDER BY c.opened_at, c.case_id LIMIT $1");
        let rows = transaction.fetch(&sql, &[limit.into()]).await.map_err(&failed)?;
        let mut cut = rows.len() == REACTIONS_MAX as usize;
        let mut cases = Vec::with_capacity(rows.len());
        for row in &rows {
            let case = read_case(row)?;
            let (awaited, confirmed, confirmed_last_at) =
                confirmations.get(&case.id.to_string()).copied().unwrap_or_default();
            cases.push(ReactedCase {
                case,
                awaited,
                confirmed,
                confirmed_last_at,
            });
        }

        let told = "SELECT d.endpoint, e.team, a.family, min(d.settled_at) AS told_at FROM deliveries d \
             JOIN endpoints e ON e.endpoint = d.endpoint JOIN applied_alerts a ON a.alert_id = d.event_id \
             WHERE d.state = 2 AND d.settled_at IS NOT NULL AND a.family IS NOT NULL \
             GROUP BY d.endpoint, e.team, a.family ORDER BY told_at, d.endpoint, a.family LIMIT $1";
        let rows = transaction.fetch(told, &[limit.into()]).await.map_err(&failed)?;
        cut |= rows.len() == REACTIONS_MAX as usize;
        let told = |row: &Row| {
            Ok::<_, StoreError>(ToldOfFamily {
                endpoint: name(row, "endpoint")?,
                team: team(row)?,
                family: family(row)?,
                at: Timestamp(row.integer("told_at").map_err(&failed)?),
            })
        };
        let told = rows.iter().map(told).collect::<Result<_, _>>()?;

        let sql = "SELECT i.incident_id, i.format, i.document FROM incidents i ORDER BY i.declared_at, i.incident_id LIMIT $1";
        let rows = transaction.fetch(sql, &[limit.into()]).await.map_err(&failed)?;
        let mut timelines: BTreeMap<String, Vec<TimelineEntry>> = BTreeMap::new();
        let sql = SELECT_EVENTS.replace("SELECT e.sequence", "SELECT e.incident_id, e.sequence");
        let sql = format!("{sql} ORDER BY e.sequence LIMIT $1");
        let entries = transaction.fetch(&sql, &[limit.into()]).await.map_err(&failed)?;
        cut |= entries.len() == REACTIONS_MAX as usize;
        for row in &entries {
            let incident = row.text("incident_id").map_err(&failed)?;
            timelines.entry(incident).or_default().push(incidents::entry(row)?);
        }
        let mut told_incidents = Vec::with_capacity(rows.len());
        for row in &rows {
            let id = row.text("incident_id").map_err(&failed)?;
            told_incidents.push((incidents::incident(row)?, timelines.remove(&id).unwrap_or_default()));
        }
        transaction.rollback().await.map_err(&failed)?;
        Ok(Reactions {
            cases,
            told,
            incidents: told_incidents,
            is_cut: cut,
        })
    }
}

fn family(row: &Row) -> Result<FamilyId, StoreError> {
    let text = row.text("family").map_err(StoreError::database("read a family"))?;
    let family = ContentId::parse(&text).map(FamilyId);
    family.ok_or(StoreError::Malformed { field: "family" })
}
