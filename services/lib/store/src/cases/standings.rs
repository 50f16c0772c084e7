use tocsin_casework::{CaseId, Desk, Lane, Resting, Standing, Traits};
use tocsin_model::{ContentId, FamilyId, Milliseconds, Timestamp, Verdict};

use super::claim::CANDIDATES_MAX;
use super::row::{codes, platforms, team, verdict};
use crate::database::{Row, Value};
use crate::{Store, StoreError};

/// How many standings are read at a time.
pub const STANDINGS_MAX: u32 = 1_000;
/// A change is seen when its transaction ends, which is later than the time it is written with: so far back is read again. What ends later than
/// that, or is written by a clock that was set back, [`Store::open_standings`] tells.
const OVERLAP: Milliseconds = Milliseconds::from_seconds(2);

const SELECT_STANDINGS: &str = "SELECT c.case_id, c.team, c.family, c.priority, c.resting, c.lease_expires_at, c.held_until, c.undo_until, c.lane, c.desk, \
     c.severity, c.platforms, c.regions, c.languages, c.due_at, c.touched_at, c.dispute_fencing, d.fencing AS decision_fencing, d.verdict \
     FROM cases c LEFT JOIN decisions d ON d.decision_id = c.decision_id";

/// How far somebody has followed the standings of cases.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// After which case to go on, in the order of times, then ids. `None`: from the beginning, where only open cases matter.
    after: Option<(Timestamp, String)>,
    /// When the first walk began: what changed since is read after it.
    began_at: Option<Timestamp>,
    /// Whether the first walk over all open cases is over.
    caught_up: bool,
}

impl Followed {
    /// Whether every case that was open at the beginning was told.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up
    }
}

impl Store {
    /// The standings of cases of all teams that changed, at most [`STANDINGS_MAX`] at a time: at first of all open ones, then of what changed
    /// since, some of it more than once. An empty answer says that nothing is left for now. With them the store's time. A change that is written
    /// with a time seconds before that of one already told is not heard of.
    ///
    /// # Errors
    /// The database failed; `followed` is as it was.
    pub async fn follow_standings(&self, followed: &mut Followed) -> Result<(Vec<Standing>, Timestamp), StoreError> {
        let failed = StoreError::database("follow the cases");
        let now = self.now().await.map_err(&failed)?;
        let began_at = *followed.began_at.get_or_insert(now);
        let mut values: Vec<Value> = Vec::new();
        let mut condition = "1 = 1".to_owned();
        if !followed.caught_up {
            condition.push_str(" AND c.resting = 1");
        }
        if let Some((at, id)) = &followed.after {
            values.extend([(*at).into(), id.as_str().into()]);
            condition.push_str(" AND (c.touched_at, c.case_id) > ($1, $2)");
        }
        let sql =
            format!("{SELECT_STANDINGS} WHERE {condition} ORDER BY c.touched_at, c.case_id LIMIT {STANDINGS_MAX}");
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let standings: Vec<Standing> = rows.iter().map(standing).collect::<Result<_, _>>()?;
        match rows.last() {
            Some(last) => {
                let at = Timestamp(last.integer("touched_at").map_err(&failed)?);
                followed.after = Some((at, last.text("case_id").map_err(&failed)?));
            }
            None => {
                let after = match (followed.caught_up, &followed.after) {
                    (true, Some((at, _))) => *at,
                    _ => began_at,
                };
                followed.caught_up = true;
                // Nothing sorts before the empty text.
                followed.after = Some((after - OVERLAP, String::new()));
            }
        }
        Ok((standings, now))
    }

    /// The standings of open cases of all teams behind `after`, in the order of their ids: at most [`STANDINGS_MAX`], and fewer only if they are
    /// the last.
    ///
    /// # Errors
    /// The database failed.
    pub async fn open_standings(&self, after: Option<CaseId>) -> Result<Vec<Standing>, StoreError> {
        let after = after.map_or_else(String::new, |id| id.to_string());
        let sql = format!(
            "{SELECT_STANDINGS} WHERE c.resting = 1 AND c.case_id > $1 ORDER BY c.case_id LIMIT {STANDINGS_MAX}"
        );
        let rows = self.database().fetch(&sql, &[after.into()]).await;
        let rows = rows.map_err(StoreError::database("read the open cases"))?;
        rows.iter().map(standing).collect()
    }

    /// The standings of these cases, those that there are, in no order; at most [`CANDIDATES_MAX`] are looked at. With them the store's time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn standings_of(&self, ids: &[CaseId]) -> Result<(Vec<Standing>, Timestamp), StoreError> {
        let failed = StoreError::database("read the standings of cases");
        let now = self.now().await.map_err(&failed)?;
        if ids.is_empty() {
            return Ok((Vec::new(), now));
        }
        let ids: Vec<Value> = ids
            .iter()
            .take(CANDIDATES_MAX)
            .map(|id| id.to_string().into())
            .collect();
        let names: Vec<String> = (1..=ids.len()).map(|number| format!("${number}")).collect();
        let sql = format!("{SELECT_STANDINGS} WHERE c.case_id IN ({})", names.join(", "));
        let rows = self.database().fetch(&sql, &ids).await.map_err(&failed)?;
        let standings: Result<_, _> = rows.iter().map(standing).collect();
        Ok((standings?, now))
    }
}

fn standing(row: &Row) -> Result<Standing, StoreError> {
    let failed = StoreError::database("read the standing of a case");
    let malformed = |field| StoreError::Malformed { field };
    let time = |field| {
        let time = row.integer_if_any(field);
        time.map(|time| time.map(Timestamp))
            .map_err(StoreError::database("read the standing of a case"))
    };
    let id: CaseId = row
        .text("case_id")
        .map_err(&failed)?
        .parse()
        .map_err(|_| malformed("case_id"))?;
    let family = ContentId::parse(&row.text("family").map_err(&failed)?).ok_or(malformed("family"))?;
    let resting = Resting::from_number(row.integer("resting").map_err(&failed)?).ok_or(malformed("resting"))?;
    let ends = [time("lease_expires_at")?, time("held_until")?, time("undo_until")?];
    let decided = row.integer_if_any("verdict").map_err(&failed)?.is_some();
    let dispute = row.integer_if_any("dispute_fencing").map_err(&failed)?;
    let decided_under = row.integer_if_any("decision_fencing").map_err(&failed)?;
    let disputed = dispute
        .zip(decided_under)
        .is_some_and(|(dispute, fencing)| fencing <= dispute);
    Ok(Standing {
        id,
        team: team(row)?,
        family: FamilyId(family),
        priority: row.real("priority").map_err(&failed)?,
        due_at: time("due_at")?,
        traits: Traits {
            lane: Lane::from_number(row.integer("lane").map_err(&failed)?).ok_or(malformed("lane"))?,
            desk: Desk::from_number(row.integer("desk").map_err(&failed)?).ok_or(malformed("desk"))?,
            severity: row.real("severity").map_err(&failed)?,
            platforms: platforms(row, "platforms")?,
            regions: codes(row, "regions")?,
            languages: codes(row, "languages")?,
        },
        verdict: match disputed {
            true => Some(Verdict::Disputed),
            false => decided.then(|| verdict(row)).transpose()?,
        },
        waits_from: resting.waits_from(ends),
    })
}
