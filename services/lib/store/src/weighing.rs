//! Families that appeals overturned, and what the key groups are told of the evidence that had caught them.
//!
//! A row is written when an appeal is answered. One dispatcher at a time numbers the rows, in the order in which they became visible, and writes
//! beside the number what is said: so whoever says it again, after a crash, says the same.

use std::collections::BTreeMap;

use tocsin_casework::{Appeal, Case, Team};
use tocsin_model::{EvidenceCount, EvidenceKind, Timestamp, Verdict, Weighing};

use crate::cases::team;
use crate::database::{Row, Transaction, Value};
use crate::{Store, StoreError};

/// How many are numbered, and how many are told, at a time.
const WEIGHINGS_MAX: u32 = 64;
/// So many families that stood are counted at most: what evidence is worth differs no more from there on.
const STOOD_MAX: u32 = 10_000;

/// What spoke for a family, as the bits that stand beside a decision.
const LABELS: i64 = 1;
const LISTING: i64 = 2;
const LINKS: i64 = 4;

impl Store {
    /// Numbers the families that were overturned since this was last asked and writes down what is to be said of each team with the last one of its own,
    /// `at` the time of the log's latest tick; how many were numbered. None when `holder` is not the one dispatcher that does so: see [`Store::hold_calibrator`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn weigh_overturned(&self, holder: &str, at: Timestamp) -> Result<usize, StoreError> {
        let what = "weigh what was overturned";
        let Some((mut transaction, now)) = self.begin_as_calibrator(holder, what).await? else {
            return Ok(0);
        };
        let failed = StoreError::database(what);
        let sql = "SELECT sequence, team FROM overturned_families WHERE published = 0 AND number IS NULL ORDER BY sequence LIMIT $1";
        let limit = [i64::from(WEIGHINGS_MAX).into()];
        let rows = transaction.fetch(sql, &limit).await.map_err(&failed)?;
        let mut last = BTreeMap::new();
        for row in &rows {
            let sequence = row.integer("sequence").map_err(&failed)?;
            let sql = "UPDATE overturned_families SET said_at = $2, \
                       number = (SELECT COALESCE(max(number), 0) + 1 FROM overturned_families) WHERE sequence = $1";
            let values = [sequence.into(), at.into()];
            transaction.execute(sql, &values).await.map_err(&failed)?;
            if let Some(before) = last.insert(team(row)?, sequence) {
                // The groups go by the highest number of a team: one record says it of all.
                let sql = "UPDATE overturned_families SET published = 1 WHERE sequence = $1";
                transaction.execute(sql, &[before.into()]).await.map_err(&failed)?;
            }
        }
        for (team, sequence) in last {
            let counts = counts(&mut transaction, team, now - Weighing::HOLDS_FOR).await?;
            let sql = "UPDATE overturned_families SET counts = $2 WHERE sequence = $1";
            let values = [sequence.into(), to_text(&counts).into()];
            transaction.execute(sql, &values).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(rows.len())
    }

    /// Whether a family was overturned of which the key groups are not told yet.
    ///
    /// # Errors
    /// The database failed.
    pub async fn weighing_is_pending(&self) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM overturned_families WHERE published = 0 LIMIT 1";
        let rows = self.database().fetch(sql, &[]).await;
        Ok(!rows
            .map_err(StoreError::database("ask what was overturned"))?
            .is_empty())
    }

    /// What the key groups are not told yet, ascending by its number; so many at a time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn unpublished_weighings(&self) -> Result<Vec<Weighing>, StoreError> {
        let sql = "SELECT number, team, said_at, counts FROM overturned_families WHERE published = 0 AND number IS NOT NULL \
                   ORDER BY number LIMIT $1";
        self.weighings(sql, &[i64::from(WEIGHINGS_MAX).into()]).await
    }

    /// Says that these, up to this number, are on the log.
    ///
    /// # Errors
    /// The database failed.
    pub async fn weighings_published(&self, through: u64) -> Result<(), StoreError> {
        let failed = StoreError::database("note what was weighed");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let sql = "UPDATE overturned_families SET published = 1 WHERE published = 0 AND number <= $1";
        let through = i64::try_from(through).unwrap_or(i64::MAX);
        transaction.execute(sql, &[through.into()]).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// The latest weighing of each team of which a family was overturned.
    ///
    /// # Errors
    /// The database failed.
    pub async fn latest_weighings(&self) -> Result<Vec<Weighing>, StoreError> {
        let sql = "SELECT number, team, said_at, counts FROM overturned_families \
                   WHERE number IN (SELECT max(number) FROM overturned_families GROUP BY team) ORDER BY number";
        self.weighings(sql, &[]).await
    }

    async fn weighings(&self, sql: &str, values: &[Value]) -> Result<Vec<Weighing>, StoreError> {
        let rows = self.database().fetch(sql, values).await;
        let rows = rows.map_err(StoreError::database("read what was weighed"))?;
        rows.iter().map(weighing).collect()
    }
}

/// Notes that an appeal overturned a family, if evidence is to blame.
pub(crate) async fn note_overturned(
    transaction: &mut Transaction,
    appeal: &Appeal,
    now: Timestamp,
) -> Result<(), StoreError> {
    let cause = appeal.answer.as_ref().and_then(|answer| answer.ruling.cause);
    let Some(kind) = cause.and_then(|cause| cause.evidence()) else {
        return Ok(());
    };
    let sql = "INSERT INTO overturned_families (appeal_id, team, cause, overturned_at) VALUES ($1, $2, $3, $4)";
    let values = [
        appeal.id.to_string().into(),
        appeal.team.to_number().into(),
        i64::from(kind as u8).into(),
        now.into(),
    ];
    let noted = transaction.execute(sql, &values).await;
    noted
        .map(drop)
        .map_err(StoreError::database("note what was overturned"))
}

/// What speaks for a family, by the alert that its case shows.
pub(crate) fn evidence_of(case: &Case) -> i64 {
    let Some(alert) = &case.alert else { return 0 };
    let speaks = |name: &str| {
        let mut terms = alert.priority_terms.iter();
        terms.any(|term| term.name == name && term.value > 0.0)
    };
    let bit = |speaks: bool, bit: i64| if speaks { bit } else { 0 };
    bit(speaks("labels"), LABELS) | bit(speaks("watch"), LISTING) | bit(alert.members > 1, LINKS)
}

fn bit_of(kind: EvidenceKind) -> i64 {
    match kind {
        EvidenceKind::Label => LABELS,
        EvidenceKind::Listing => LISTING,
        EvidenceKind::EqualHash | EvidenceKind::NearPicture | EvidenceKind::Frames | EvidenceKind::SaidSo => LINKS,
    }
}

/// Of each kind that was overturned since, with those that are numbered.
async fn counts(transaction: &mut Transaction, team: Team, since: Timestamp) -> Result<Vec<EvidenceCount>, StoreError> {
    let failed = StoreError::database("count what was overturned");
    let sql = "SELECT cause, count(*) AS families FROM overturned_families \
               WHERE team = $1 AND overturned_at > $2 AND number IS NOT NULL GROUP BY cause ORDER BY cause";
    let overturned = transaction.fetch(sql, &[team.to_number().into(), since.into()]).await;
    let overturned = overturned.map_err(&failed)?;
    let stood = stood(transaction, team, since).await?;
    let of_row = |row: &Row| {
        let kind = u8::try_from(row.integer("cause").map_err(&failed)?).ok();
        let kind = kind.and_then(EvidenceKind::from_number);
        let kind = kind.ok_or(StoreError::Malformed { field: "cause" })?;
        Ok(EvidenceCount {
            kind,
            stood: stood[bit_of(kind).trailing_zeros() as usize],
            overturned: count(row, "families")?,
        })
    };
    overturned.iter().map(of_row).collect()
}

/// How many families that each kind spoke for, by the place of its bit, stand as violating: by the decision that a case has now, and of cases that
/// became one, once.
async fn stood(transaction: &mut Transaction, team: Team, since: Timestamp) -> Result<[u32; 3], StoreError> {
    let failed = StoreError::database("count what stood");
    let sql = format!(
        "SELECT sum(CASE WHEN evidence & {LABELS} <> 0 THEN 1 ELSE 0 END) AS labels, \
                sum(CASE WHEN evidence & {LISTING} <> 0 THEN 1 ELSE 0 END) AS listing, \
                sum(CASE WHEN evidence & {LINKS} <> 0 THEN 1 ELSE 0 END) AS links \
         FROM (SELECT d.evidence FROM decisions d JOIN cases c ON c.case_id = d.case_id AND c.decision_id = d.decision_id \
               WHERE c.team = $1 AND d.decided_at > $2 AND d.verdict = $3 AND d.evidence <> 0 AND c.merged_into IS NULL \
               ORDER BY d.decided_at DESC LIMIT $4) stood"
    );
    let values = [
        team.to_number().into(),
        since.into(),
        (Verdict::Violating as i64).into(),
        i64::from(STOOD_MAX).into(),
    ];
    let rows = transaction.fetch(&sql, &values).await.map_err(&failed)?;
    let Some(row) = rows.first() else { return Ok([0; 3]) };
    Ok([count(row, "labels")?, count(row, "listing")?, count(row, "links")?])
}

/// A count; none where nothing was there to add up.
fn count(row: &Row, name: &str) -> Result<u32, StoreError> {
    let families = row.integer_if_any(name);
    let families = families.map_err(StoreError::database("count families"))?;
    Ok(u32::try_from(families.unwrap_or(0)).unwrap_or(u32::MAX))
}

fn to_text(counts: &[EvidenceCount]) -> String {
    let count = |count: &EvidenceCount| format!("{} {} {}", count.kind as u8, count.stood, count.overturned);
    counts.iter().map(count).collect::<Vec<_>>().join(" ")
}

fn from_text(text: &str) -> Option<Vec<EvidenceCount>> {
    let numbers: Vec<u32> = text
        .split(' ')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let (counts, rest) = numbers.as_chunks::<3>();
    let count = |&[kind, stood, overturned]: &[u32; 3]| {
        Some(EvidenceCount {
            kind: EvidenceKind::from_number(u8::try_from(kind).ok()?)?,
            stood,
            overturned,
        })
    };
    counts
        .iter()
        .map(count)
        .collect::<Option<_>>()
        .filter(|_| rest.is_empty())
}

fn weighing(row: &Row) -> Result<Weighing, StoreError> {
    let failed = StoreError::database("read what was weighed");
    let weighing = Weighing {
        number: row.integer("number").map_err(&failed)? as u64,
        scope: team(row)?.scope(),
        at: Timestamp(row.integer("said_at").map_err(&failed)?),
        counts: from_text(&row.text("counts").map_err(&failed)?).ok_or(StoreError::Malformed { field: "counts" })?,
    };
    Some(weighing)
        .filter(Weighing::is_usable)
        .ok_or(StoreError::Malformed { field: "counts" })
}
