use tocsin_casework::{By, Case, CaseId, Code, Command, Filter, Team};
use tocsin_model::{KeyId, Milliseconds, Timestamp};

use super::command::{Commanded, refuse};
use super::history::write_history;
use super::locked;
use super::row::{case, update};
use crate::database::{Locked, Row, Transaction, Value};
use crate::{Store, StoreError};

/// For so long whoever skipped a case is not handed it again.
pub const SKIPPED_FOR: Milliseconds = Milliseconds::from_hours(1);
/// The most candidates of a claim.
pub const CANDIDATES_MAX: usize = 64;

/// Which case is the best. What is due soon goes before everything else, the first due before the others.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Only such cases.
    pub filter: Filter,
    /// The best cases in their order, by whoever ranks them. If none of them is to be had, the best is the one of the highest priority of the
    /// store. At most [`CANDIDATES_MAX`] are looked at.
    pub candidates: Vec<CaseId>,
    /// Every so many claims of the team take the case that waits longest, so that nothing starves. 0: none does.
    pub longest_every: u32,
    /// Cases of which a notice is due within this time are due soon.
    pub urgent_within: Milliseconds,
}

/// So often a claim begins anew because the case that it waited for was another's.
const TRIES_MAX: usize = 16;

/// What there is for a claimer.
enum Found {
    /// A case that is locked now.
    Free(Row),
    /// Only cases that other transactions hold, this one first.
    Held(CaseId),
    Nothing,
}

#[derive(Clone, Copy)]
enum Order {
    Due,
    Priority,
    Waiting,
}

impl Store {
    /// Claims the best waiting case; `None` when none waits. Two claimers never get the same case.
    ///
    /// # Errors
    /// The length of the lease is out of range, the key is revoked, or the database failed.
    pub async fn claim_best(
        &self,
        team: Team,
        (who, length): (KeyId, Milliseconds),
        choice: &Choice,
    ) -> Result<Option<Commanded>, StoreError> {
        let failed = StoreError::database("claim the best case");
        let counts = choice.longest_every > 0;
        let mut claims = match counts && !self.database().has_one_writer() {
            true => Some(self.count_claim_apart(team).await?),
            false => None,
        };
        for _ in 0..TRIES_MAX {
            let mut transaction = self.database().begin().await.map_err(&failed)?;
            crate::key::check_not_revoked(&mut transaction, who).await?;
            let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
            if counts && claims.is_none() {
                claims = Some(count_claim(&mut transaction, team).await?);
            }
            let longest = claims.is_some_and(|claims| claims % u64::from(choice.longest_every) == 0);
            let wanted = Wanted {
                team,
                who,
                now,
                filter: &choice.filter,
                urgent: now + choice.urgent_within,
            };
            let row = match wanted.best(&mut transaction, longest, &choice.candidates).await? {
                Found::Free(row) => row,
                Found::Nothing => return Ok(None),
                Found::Held(case) => {
                    // Whoever waits holds no case meanwhile: of two that wait for each other's the database would end one.
                    transaction.rollback().await.map_err(&failed)?;
                    self.wait_for(case).await?;
                    continue;
                }
            };
            let mut claimed: Case = case(&row)?;
            let by = By {
                who,
                fencing: claimed.fencing,
                version: None,
            };
            let event = match claimed.apply(by, &Command::Claim { length }, now) {
                Ok(event) => event,
                Err(refusal) => return refuse(transaction, refusal).await,
            };
            update(&mut transaction, &claimed, now).await.map_err(&failed)?;
            write_history(&mut transaction, (&claimed, who), &event, now).await?;
            transaction.commit().await.map_err(&failed)?;
            return Ok(Some(Commanded {
                case: claimed,
                event,
                now,
            }));
        }
        Ok(None)
    }

    /// Until no other transaction holds a case.
    async fn wait_for(&self, case: CaseId) -> Result<(), StoreError> {
        let failed = StoreError::database("wait for a case");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let clause = "WHERE c.case_id = $1";
        let held = locked(&mut transaction, clause, &[case.to_string().into()], Locked::Cases).await;
        held.map_err(&failed)?;
        transaction.rollback().await.map_err(&failed)
    }

    /// Lets PostgreSQL count anew what the tables of cases hold, by which it plans how a claim is found. It does so by itself within minutes of a change,
    /// but not at once where a database was restored or filled: until then a claim was found to read the whole queue (45 ms with 20,000 cases, where it
    /// takes 0.05). SQLite plans without. A role that does not own the tables changes nothing.
    ///
    /// # Errors
    /// The database failed.
    pub async fn refresh_case_statistics(&self) -> Result<(), StoreError> {
        if self.database().has_one_writer() {
            return Ok(());
        }
        let failed = StoreError::database("count what the tables of cases hold");
        self.database()
            .fetch("ANALYZE cases, case_history", &[])
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// In a transaction of its own, so that claimers do not queue behind each other's claims; a claim that finds nothing counts too. It is one statement: all claimers of a
    /// team change one row, and between two statements of a transaction they would wait for whoever has it to be woken and to ask again. What a crash of the database
    /// takes back of the count costs nothing, so its end waits for no disk.
    async fn count_claim_apart(&self, team: Team) -> Result<u64, StoreError> {
        let counted = self
            .database()
            .fetch(COUNT_CLAIM_APART, &[team.to_number().into()])
            .await;
        claims(&counted.map_err(StoreError::database("count a claim"))?)
    }
}

/// PostgreSQL's: the setting holds until the end of the transaction, which is the statement.
const COUNT_CLAIM_APART: &str = "INSERT INTO claim_counts (team, claims) \
     SELECT CAST($1 AS BIGINT), 1 WHERE set_config('synchronous_commit', 'off', true) = 'off' \
     ON CONFLICT (team) DO UPDATE SET claims = claim_counts.claims + 1 RETURNING claims";

/// How many claims the team made, with this one.
async fn count_claim(transaction: &mut Transaction, team: Team) -> Result<u64, StoreError> {
    let counted = transaction
        .fetch(
            "INSERT INTO claim_counts (team, claims) VALUES ($1, 1) \
             ON CONFLICT (team) DO UPDATE SET claims = claim_counts.claims + 1 RETURNING claims",
            &[team.to_number().into()],
        )
        .await;
    claims(&counted.map_err(StoreError::database("count a claim"))?)
}

fn claims(counted: &[Row]) -> Result<u64, StoreError> {
    let row = counted.first().ok_or(StoreError::Malformed { field: "claims" })?;
    let claims = row.integer("claims");
    Ok(claims.map_err(StoreError::database("count a claim"))? as u64)
}

/// What a claimer may be handed.
struct Wanted<'a> {
    team: Team,
    who: KeyId,
    now: Timestamp,
    filter: &'a Filter,
    /// What is due by then goes first.
    urgent: Timestamp,
}

impl Wanted<'_> {
    /// Whether a case of the team is due, whatever the filter: mostly none is, and this is known from one look into an index.
    async fn is_any_due(&self, transaction: &mut Transaction) -> Result<bool, StoreError> {
        let rows = transaction
            .fetch(
                "SELECT c.due_at FROM cases c WHERE c.team = $1 AND c.due_at <= $2 AND c.resting = 1 ORDER BY c.due_at LIMIT 1",
                &[self.team.to_number().into(), self.urgent.into()],
            )
            .await
            .map_err(StoreError::database("look for a case that is due"))?;
        Ok(!rows.is_empty())
    }

    /// The best that is to be had, locked.
    async fn best(
        &self,
        transaction: &mut Transaction,
        longest: bool,
        candidates: &[CaseId],
    ) -> Result<Found, StoreError> {
        if self.is_any_due(transaction).await? {
            match self.first(transaction, Order::Due).await? {
                Found::Nothing => {}
                found => return Ok(found),
            }
        }
        if longest {
            return self.first(transaction, Order::Waiting).await;
        }
        match self.candidate(transaction, candidates).await? {
            Some(row) => Ok(Found::Free(row)),
            None => self.first(transaction, Order::Priority).await,
        }
    }

    /// The first by an order. Cases that another transaction holds are passed over, so claimers do not queue behind each other. If only such are left they are
    /// to be waited for: an alert that is being applied must not make the queue look empty.
    async fn first(&self, transaction: &mut Transaction, order: Order) -> Result<Found, StoreError> {
        let failed = StoreError::database("find the best case");
        let (mut condition, mut values) = self.condition();
        let order = match order {
            Order::Due => {
                values.push(self.urgent.into());
                condition.push_str(&format!(" AND c.due_at <= ${}", values.len()));
                "c.due_at"
            }
            Order::Priority => "c.priority DESC",
            Order::Waiting => "c.waiting_since",
        };
        let clause = format!("WHERE {condition} ORDER BY {order}, c.case_id LIMIT 1");
        let mut rows = locked(transaction, &clause, &values, Locked::CasesNobodyHolds)
            .await
            .map_err(&failed)?;
        if let Some(row) = rows.pop() {
            return Ok(Found::Free(row));
        }
        let held = format!("SELECT c.case_id FROM cases c {clause}");
        let rows = transaction.fetch(&held, &values).await.map_err(&failed)?;
        match rows.first() {
            Some(row) => {
                let id = row.text("case_id").map_err(&failed)?;
                let id = id.parse().map_err(|_| StoreError::Malformed { field: "case_id" })?;
                Ok(Found::Held(id))
            }
            None => Ok(Found::Nothing),
        }
    }

    /// The first of these that is to be had, locked. One by one: whoever locked all of them would hide them from the others.
    async fn candidate(&self, transaction: &mut Transaction, ids: &[CaseId]) -> Result<Option<Row>, StoreError> {
        let (condition, values) = self.condition();
        for id in ids.iter().take(CANDIDATES_MAX) {
            let mut values = values.clone();
            values.push(id.to_string().into());
            let clause = format!("WHERE {condition} AND c.case_id = ${}", values.len());
            let mut rows = locked(transaction, &clause, &values, Locked::CasesNobodyHolds)
                .await
                .map_err(StoreError::database("find a candidate"))?;
            if let Some(row) = rows.pop() {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn condition(&self) -> (String, Vec<Value>) {
        let mut values: Vec<Value> = vec![
            self.team.to_number().into(),
            self.now.into(),
            self.who.to_string().into(),
            (self.now - SKIPPED_FOR).into(),
        ];
        let mut condition =
            "c.team = $1 AND c.resting = 1 AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= $2) \
             AND (c.held_until IS NULL OR c.held_until <= $2) AND (c.undo_until IS NULL OR c.undo_until <= $2) \
             AND NOT EXISTS (SELECT 1 FROM case_history h \
             WHERE h.key_id = $3 AND h.kind = 'skipped' AND h.at > $4 AND h.case_id = c.case_id)"
                .to_owned();
        condition.push_str(&filtered(self.filter, &mut values));
        (condition, values)
    }
}

/// The filter as a condition on `cases c`, its values behind those there are.
pub(super) fn filtered(filter: &Filter, values: &mut Vec<Value>) -> String {
    let code = |code: Code| Value::from(format!("%,{},%", String::from_utf8_lossy(&code)));
    let parts: [(&str, Option<Value>); 6] = [
        ("c.lane =", filter.lane.map(|lane| (lane as i64).into())),
        ("c.desk =", filter.desk.map(|desk| (desk as i64).into())),
        ("c.severity >=", filter.severity_min.map(Value::from)),
        (
            "c.platforms LIKE",
            filter.platform.map(|platform| format!("%,{},%", platform.0).into()),
        ),
        ("c.regions LIKE", filter.region.map(code)),
        ("c.languages LIKE", filter.language.map(code)),
    ];
    let mut condition = String::new();
    for (test, value) in parts {
        if let Some(value) = value {
            values.push(value);
            condition.push_str(&format!(" AND {test} ${}", values.len()));
        }
    }
    condition
}
