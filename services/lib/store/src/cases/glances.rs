//! What whoever watches queues is told of: cases as they changed, in the order of times.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::{CaseId, Desk, Glance, LEASE_MAX, Lane, Lease, Merged, Resting, Team};
use tocsin_model::{AlertId, ContentId, FamilyId, Milliseconds, Timestamp, parse_hex_id};

use super::claim::CANDIDATES_MAX;
use super::row::{decision_id, team, verdict};
use crate::database::{Row, Value};
use crate::{Store, StoreError};

/// How many are read at a time.
pub const GLANCES_MAX: u32 = 1_000;
/// A change is seen when its transaction ends, which is later than the time it is written with: so far back is read again.
pub const OVERLAP: Milliseconds = Milliseconds::from_seconds(2);

/// Of so many cases it is kept how they were told; of more, some are told again.
const TOLD_MAX: usize = 16_384;

const SELECT_GLANCES: &str = "SELECT c.case_id, c.team, c.family, c.opened_at, c.waiting_since, c.version, c.lane, c.desk, c.severity, c.priority, c.alert_id, \
     c.due_at, c.resting, c.fencing, c.lease_holder, c.lease_expires_at, c.held_until, c.undo_until, c.merged_into, c.merged_at, c.touched_at, \
     d.decision_id, d.verdict, d.decided_by FROM cases c LEFT JOIN decisions d ON d.decision_id = c.decision_id";

/// So many are read at a time for somebody who was away: they are kept until they are taken.
const RESUMED_MAX: u32 = 50;

/// How far somebody has followed what changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Of this team; `None`: of all.
    team: Option<Team>,
    /// Behind which case, in the order of times, then ids.
    after: (Timestamp, String),
    /// How the cases of the last seconds were told: what is read again as it was is not told again. `None` for whoever reads on once and no further.
    told: Option<BTreeMap<CaseId, Look>>,
    page_max: u32,
}

/// By what it is known that a case was written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    team: Team,
    written_at: Timestamp,
    version: u64,
    fencing: u64,
    alert: Option<AlertId>,
    lease: Option<Lease>,
}

impl Watched {
    /// From `since` on, and a few seconds of what was before, some of which was not yet to be seen then.
    pub fn from(since: Timestamp) -> Watched {
        Watched {
            team: None,
            // Nothing sorts before the empty text.
            after: (since - OVERLAP, String::new()),
            told: Some(BTreeMap::new()),
            page_max: GLANCES_MAX,
        }
    }

    /// The same of one team and in small pages, for somebody who was away: nothing is kept of what was told.
    pub fn resumed(team: Team, since: Timestamp) -> Watched {
        Watched {
            team: Some(team),
            told: None,
            page_max: RESUMED_MAX,
            ..Watched::from(since)
        }
    }

    /// Reads a team's cases again from `since` on: what was read of it before nobody was told.
    pub fn add_team(&mut self, team: Team, since: Timestamp) {
        let from = since - OVERLAP;
        if from <= self.after.0 {
            self.after = (from, String::new());
        }
        if let Some(told) = &mut self.told {
            told.retain(|_, look| look.team != team);
        }
    }

    /// Whether a case was not told as it is.
    fn is_news(&mut self, glance: &Glance, written_at: Timestamp) -> bool {
        let Some(told) = &mut self.told else {
            return true;
        };
        let look = Look {
            team: glance.team,
            written_at,
            version: glance.version,
            fencing: glance.fencing,
            alert: glance.alert,
            lease: glance.lease,
        };
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        told.insert(glance.id, look.clone()) != Some(look)
    }
}

impl Store {
    /// Cases that changed, at most [`GLANCES_MAX`] at a time, each as it is now and with when it changed. An empty answer says that nothing is left for
    /// now; then the last seconds are read again, and tell what was not told of them. With them the store's time, asked for before.
    ///
    /// # Errors
    /// The database failed; `watched` is as it was.
    pub async fn watch_cases(
        &self,
        watched: &mut Watched,
    ) -> Result<(Vec<(Glance, Timestamp)>, Timestamp), StoreError> {
        let failed = StoreError::database("watch the cases");
        let now = self.now().await.map_err(&failed)?;
        loop {
            let (glances, is_end) = self.watch_page(watched).await?;
            if is_end || !glances.is_empty() {
                return Ok((glances, now));
            }
        }
    }

    /// The next page, without what was told as it is; whether nothing is behind it.
    async fn watch_page(&self, watched: &mut Watched) -> Result<(Vec<(Glance, Timestamp)>, bool), StoreError> {
        let failed = StoreError::database("watch the cases");
        let (at, id) = watched.after.clone();
        let mut values: Vec<Value> = vec![at.into(), id.as_str().into()];
        let of_team = match watched.team {
            Some(team) => {
                values.push(team.to_number().into());
                " AND c.team = $3"
            }
            None => "",
        };
        let sql = format!(
            "{SELECT_GLANCES} WHERE (c.touched_at, c.case_id) > ($1, $2){of_team} \
             ORDER BY c.touched_at, c.case_id LIMIT {}",
            watched.page_max
        );
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let touched_at = |row: &Row| row.integer("touched_at").map(Timestamp).map_err(&failed);
        let mut glances: Vec<(Glance, Timestamp)> = rows
            .iter()
            .map(|row| Ok((glance(row)?, touched_at(row)?)))
            .collect::<Result<_, StoreError>>()?;
        match rows.last() {
            Some(last) => watched.after = (touched_at(last)?, last.text("case_id").map_err(&failed)?),
            // From the last that was told, not from now: what comes is written with the time at which its transaction had its locks.
            None if id.is_empty() => {}
            None => {
                let from = at - OVERLAP;
                watched.after = (from, String::new());
                if let Some(told) = &mut watched.told {
                    told.retain(|_, look| look.written_at >= from);
                }
            }
        }
        glances.retain(|(glance, written_at)| watched.is_news(glance, *written_at));
        Ok((glances, rows.is_empty()))
    }

    /// What somebody who begins to watch a team's queue has to know: the first of its open cases, at most `limit`, the highest priority last, and behind them
    /// what is held, of any state, at most `limit` too.
    /// With them the store's time, asked for before.
    ///
    /// # Errors
    /// The database failed.
    pub async fn standing_cases(&self, team: Team, limit: u32) -> Result<(Vec<Glance>, Timestamp), StoreError> {
        let failed = StoreError::database("read a queue that is watched");
        let now = self.now().await.map_err(&failed)?;
        let limit = i64::from(limit);
        let open = format!("{SELECT_GLANCES} WHERE c.team = $1 AND c.resting = 1 ORDER BY c.priority DESC LIMIT $2");
        let mut rows = self
            .database()
            .fetch(&open, &[team.to_number().into(), limit.into()])
            .await
            .map_err(&failed)?;
        rows.reverse();
        // A lease that lasts was written since.
        let held =
            format!("{SELECT_GLANCES} WHERE c.touched_at > $2 AND c.team = $1 AND c.lease_expires_at > $3 LIMIT $4");
        let since = now - LEASE_MAX - OVERLAP;
        let values = [team.to_number().into(), since.into(), now.into(), limit.into()];
        let held = self.database().fetch(&held, &values).await.map_err(&failed)?;
        let read = |rows: &[Row]| rows.iter().map(glance).collect::<Result<Vec<Glance>, StoreError>>();
        let (mut glances, held) = (read(&rows)?, read(&held)?);
        let ids: BTreeSet<CaseId> = held.iter().map(|glance| glance.id).collect();
        glances.retain(|glance| !ids.contains(&glance.id));
        glances.extend(held);
        Ok((glances, now))
    }

    /// Cases of a team of which a lease ended behind `since` and by now, without anybody's doing, as they are now and with when they were written: a page of
    /// them, behind a case in the order of times. With them the store's time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ended_leases(
        &self,
        team: Team,
        since: Timestamp,
        after: Option<(Timestamp, CaseId)>,
    ) -> Result<(Vec<(Glance, Timestamp)>, Timestamp), StoreError> {
        let failed = StoreError::database("read the leases that ended");
        let now = self.now().await.map_err(&failed)?;
        let sql = format!(
            "{SELECT_GLANCES} WHERE (c.touched_at, c.case_id) > ($2, $5) AND c.team = $1 \
             AND c.lease_expires_at > $3 AND c.lease_expires_at <= $4 ORDER BY c.touched_at, c.case_id LIMIT {RESUMED_MAX}"
        );
        let (written_at, id) = match after {
            Some((at, id)) => (at, id.to_string()),
            None => (since - LEASE_MAX - OVERLAP, String::new()),
        };
        let values: [Value; 5] = [
            team.to_number().into(),
            written_at.into(),
            since.into(),
            now.into(),
            id.as_str().into(),
        ];
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let touched_at = |row: &Row| row.integer("touched_at").map(Timestamp).map_err(&failed);
        let ended = rows.iter().map(|row| Ok((glance(row)?, touched_at(row)?)));
        Ok((ended.collect::<Result<_, StoreError>>()?, now))
    }

    /// These cases, those of the team that there are, in no order; at most [`CANDIDATES_MAX`] are looked at.
    ///
    /// # Errors
    /// The database failed.
    pub async fn glances_of(&self, team: Team, ids: &[CaseId]) -> Result<Vec<(Glance, Timestamp)>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids = ids.iter().take(CANDIDATES_MAX).map(|id| id.to_string().into());
        let values: Vec<Value> = std::iter::once(team.to_number().into()).chain(ids).collect();
        let names: Vec<String> = (2..=values.len()).map(|number| format!("${number}")).collect();
        let sql = format!(
            "{SELECT_GLANCES} WHERE c.team = $1 AND c.case_id IN ({})",
            names.join(", ")
        );
        let rows = self.database().fetch(&sql, &values).await;
        let rows = rows.map_err(StoreError::database("read cases of a queue that is watched"))?;
        let failed = StoreError::database("read cases of a queue that is watched");
        rows.iter()
            .map(|row| Ok((glance(row)?, Timestamp(row.integer("touched_at").map_err(&failed)?))))
            .collect()
    }
}

fn glance(row: &Row) -> Result<Glance, StoreError> {
    let failed = StoreError::database("read what is told of a case");
    let malformed = |field| StoreError::Malformed { field };
    let number = |field| {
        row.integer(field)
            .map_err(StoreError::database("read what is told of a case"))
    };
    let time_if_any = |field| {
        let time = row.integer_if_any(field);
        time.map(|time| time.map(Timestamp))
            .map_err(StoreError::database("read what is told of a case"))
    };
    let text = |field| {
        row.text(field)
            .map_err(StoreError::database("read what is told of a case"))
    };
    let lease = match (
        row.text_if_any("lease_holder").map_err(&failed)?,
        time_if_any("lease_expires_at")?,
    ) {
        (Some(holder), Some(expires_at)) => Some(Lease {
            holder: holder.parse().map_err(|_| malformed("lease_holder"))?,
            expires_at,
        }),
        _ => None,
    };
    let merged = match (
        row.text_if_any("merged_into").map_err(&failed)?,
        time_if_any("merged_at")?,
    ) {
        (Some(into), Some(at)) => Some(Merged {
            into: into.parse().map_err(|_| malformed("merged_into"))?,
            at,
        }),
        _ => None,
    };
    let decision = match row.text_if_any("decision_id").map_err(&failed)? {
        Some(id) => Some((decision_id(&id)?, verdict(row)?)),
        None => None,
    };
    let decided_by = row.text_if_any("decided_by").map_err(&failed)?;
    let decided_by = decided_by.map(|key| key.parse().map_err(|_| malformed("decided_by")));
    let decided_by = decided_by.transpose()?;
    let alert = match text("alert_id")?.as_str() {
        "" => None,
        id => Some(AlertId(parse_hex_id(id).map_err(|_| malformed("alert_id"))?)),
    };
    Ok(Glance {
        id: text("case_id")?.parse().map_err(|_| malformed("case_id"))?,
        team: team(row)?,
        family: FamilyId(ContentId::parse(&text("family")?).ok_or(malformed("family"))?),
        opened_at: Timestamp(number("opened_at")?),
        waiting_since: Timestamp(number("waiting_since")?),
        version: number("version")? as u64,
        lane: Lane::from_number(number("lane")?).ok_or(malformed("lane"))?,
        desk: Desk::from_number(number("desk")?).ok_or(malformed("desk"))?,
        severity: row.real("severity").map_err(&failed)?,
        priority: row.real("priority").map_err(&failed)?,
        alert,
        due_at: time_if_any("due_at")?,
        resting: Resting::from_number(number("resting")?).ok_or(malformed("resting"))?,
        fencing: number("fencing")? as u64,
        lease,
        held_until: time_if_any("held_until")?,
        undo_until: time_if_any("undo_until")?,
        merged,
        decision,
        decided_by,
    })
}
