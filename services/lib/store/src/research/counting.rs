//! What happened to a party's families on a day, a page of rows at a time: of each page nothing is kept but numbers.

use tocsin_casework::{ClockKind, NoticeKind, Team};
use tocsin_model::Timestamp;
use tocsin_report::Day;
use tocsin_research::{Appealed, Content, Copies, Counted, Counts, FirstNotice, Outcome, Took};

use crate::StoreError;
use crate::cases::{NOBODY, time_if_any, verdict};
use crate::database::{Row, Transaction, Value};
use crate::reports::{ABOUT, kind};

/// So many rows are read at a time.
const PAGE: usize = 500;

/// The time of a clock of a case (`cases c`) on the platforms of its own party.
fn own_clock(clock: ClockKind) -> String {
    format!(
        "(SELECT min(o.at) FROM case_clocks o JOIN platforms q ON q.platform_id = o.platform_id \
         WHERE o.case_id = c.case_id AND o.clock = {} AND q.party_id = c.team - 2)",
        clock as i64
    )
}

/// How many copies had been posted of a case's family on its party's platforms when their removal was confirmed: of each member once, whatever decisions were
/// followed.
const COPIES: &str = "(SELECT CAST(sum(m.copies) AS BIGINT) FROM (SELECT max(COALESCE(a.confirmed_asked, a.settled_asked)) AS copies FROM acknowledgements a \
     JOIN awaited_decisions w ON w.decision_id = a.decision_id JOIN platforms q ON q.platform_id = a.platform_id \
     WHERE w.case_id = c.case_id AND w.awaits = 1 AND q.party_id = c.team - 2 AND a.confirmed_at IS NOT NULL GROUP BY a.content, a.platform_id) m)";

/// What is counted of a party on a day, of cases that stand on their own.
pub(super) async fn counts(transaction: &mut Transaction, team: Team, day: Day) -> Result<Counts, StoreError> {
    let mut counting = Counting {
        transaction,
        fixed: vec![team.to_number().into(), day.begins().into(), day.next().begins().into()],
        counts: Counts::default(),
    };
    counting.rang().await?;
    counting.decided().await?;
    counting.removed().await?;
    counting.leaked().await?;
    counting.noticed().await?;
    counting.appealed().await?;
    Ok(counting.counts)
}

struct Counting<'a> {
    transaction: &'a mut Transaction,
    /// The team, and when the day begins and ends: `$1` to `$3` of every statement.
    fixed: Vec<Value>,
    counts: Counts,
}

impl Counting<'_> {
    async fn rang(&mut self) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT c.case_id AS place, c.first_alert_at, {ABOUT}, {} AS seen FROM cases c \
             WHERE c.team = $1 AND c.first_alert_at >= $2 AND c.first_alert_at < $3 AND c.merged_into IS NULL AND c.case_id > $4 ORDER BY c.case_id",
            own_clock(ClockKind::FirstSeen)
        );
        self.pages(&sql, |row| {
            let (at, seen) = (at(row, "first_alert_at")?, at_if_any(row, "seen")?);
            Ok(Some(Counted::Rang(Content::of(kind(row)?), Took::between(seen, at))))
        })
        .await
    }

    async fn decided(&mut self) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT c.case_id AS place, c.first_decided_at, c.first_alert_at, {} AS seen, \
             (SELECT d.verdict FROM decisions d WHERE d.case_id = c.case_id AND d.withdrawn_at IS NULL AND d.decided_by <> '{NOBODY}' \
             ORDER BY d.decided_at, d.fencing, d.decision_id LIMIT 1) AS verdict FROM cases c \
             WHERE c.team = $1 AND c.first_decided_at >= $2 AND c.first_decided_at < $3 AND c.merged_into IS NULL AND c.case_id > $4 ORDER BY c.case_id",
            own_clock(ClockKind::FirstSeen)
        );
        self.pages(&sql, |row| {
            let failed = StoreError::database("count what was decided");
            if row.integer_if_any("verdict").map_err(failed)?.is_none() {
                return Ok(None);
            }
            let at = at(row, "first_decided_at")?;
            let (seen, rang) = (at_if_any(row, "seen")?, time_if_any(row, "first_alert_at")?);
            Ok(Some(Counted::Decided(Outcome::of(verdict(row)?, at, seen, rang))))
        })
        .await
    }

    async fn removed(&mut self) -> Result<(), StoreError> {
        let sql = format!(
            "{} AS seen, {COPIES} AS copies {}",
            select_clock(ClockKind::Confirmed, ClockKind::FirstSeen),
            from_clock(ClockKind::Confirmed)
        );
        self.pages(&sql, |row| {
            let failed = StoreError::database("count what was removed");
            let copies = row.integer_if_any("copies").map_err(failed)?;
            let took = Took::between(at_if_any(row, "seen")?, at(row, "at")?);
            let copies = Copies::of(copies.map(|copies| copies as u64));
            Ok(Some(Counted::Removed(took, copies)))
        })
        .await
    }

    async fn leaked(&mut self) -> Result<(), StoreError> {
        let sql = format!(
            "{} AS told {}",
            select_clock(ClockKind::Leaked, ClockKind::Shared),
            from_clock(ClockKind::Leaked)
        );
        self.pages(&sql, |row| {
            let took = Took::between(at_if_any(row, "told")?, at(row, "at")?);
            Ok(Some(Counted::Leaked(took)))
        })
        .await
    }

    async fn noticed(&mut self) -> Result<(), StoreError> {
        let own = NoticeKind::ThreatToLife as i64;
        let sql = format!(
            "SELECT n.case_id AS place, n.kind FROM notices n \
             WHERE n.team = $1 AND n.received_at >= $2 AND n.received_at < $3 AND n.kind <> {own} \
             AND NOT EXISTS (SELECT 1 FROM notices e WHERE e.case_id = n.case_id AND e.kind <> {own} \
             AND (e.received_at, e.sequence) < (n.received_at, n.sequence)) AND n.case_id > $4 ORDER BY n.case_id"
        );
        self.pages(&sql, |row| {
            let failed = StoreError::database("count what was noticed");
            let kind = NoticeKind::from_number(row.integer("kind").map_err(failed)?);
            let kind = kind.ok_or(StoreError::Malformed { field: "kind" })?;
            Ok(FirstNotice::of(kind).map(Counted::Noticed))
        })
        .await
    }

    async fn appealed(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT a.family AS place, max(a.outcome) AS outcome FROM appeals a \
             WHERE a.team = $1 AND a.outcome IS NOT NULL AND a.answered_at >= $2 AND a.answered_at < $3 AND a.family > $4 GROUP BY a.family ORDER BY a.family";
        self.pages(sql, |row| {
            let failed = StoreError::database("count what was appealed");
            // 1 upheld, 2 overturned.
            let appealed = match row.integer("outcome").map_err(failed)? {
                1 => Appealed::Upheld,
                2 => Appealed::Overturned,
                _ => return Err(StoreError::Malformed { field: "outcome" }),
            };
            Ok(Some(Counted::Appealed(appealed)))
        })
        .await
    }

    /// Counts all rows of a statement that goes on after the `place` of the last row of the page before, `$4`.
    async fn pages(
        &mut self,
        sql: &str,
        counted: impl Fn(&Row) -> Result<Option<Counted>, StoreError>,
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("count a day for researchers");
        let sql = format!("{sql} LIMIT {PAGE}");
        let mut after = String::new();
        loop {
            let mut values = self.fixed.clone();
            values.push(after.into());
            let rows = self.transaction.fetch(&sql, &values).await.map_err(&failed)?;
            for row in &rows {
                if let Some(counted) = counted(row)? {
                    self.counts.add(counted);
                }
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE => after = last.text("place").map_err(&failed)?,
                _ => return Ok(()),
            }
        }
    }
}

/// Of cases, the first time of one clock on the own platforms, and of another one, which is to be named.
fn select_clock(of: ClockKind, from: ClockKind) -> String {
    format!(
        "SELECT c.case_id AS place, {} AS at, {}",
        own_clock(of),
        own_clock(from)
    )
}

/// The cases of which a clock of an own platform first says something on the day.
fn from_clock(of: ClockKind) -> String {
    let clock = of as i64;
    format!(
        "FROM cases c WHERE c.team = $1 AND c.merged_into IS NULL AND c.case_id > $4 AND c.case_id IN (SELECT k.case_id FROM case_clocks k \
         JOIN platforms p ON p.platform_id = k.platform_id WHERE k.clock = {clock} AND k.at >= $2 AND k.at < $3 AND p.party_id = $1 - 2) \
         AND NOT EXISTS (SELECT 1 FROM case_clocks e JOIN platforms q ON q.platform_id = e.platform_id WHERE e.case_id = c.case_id AND e.clock = {clock} \
         AND e.at < $2 AND q.party_id = $1 - 2) ORDER BY c.case_id"
    )
}

fn at(row: &Row, column: &'static str) -> Result<Timestamp, StoreError> {
    row.integer(column)
        .map(Timestamp)
        .map_err(StoreError::database("count a day for researchers"))
}

fn at_if_any(row: &Row, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
    let at = row.integer_if_any(column);
    Ok(at
        .map_err(StoreError::database("count a day for researchers"))?
        .map(Timestamp))
}
