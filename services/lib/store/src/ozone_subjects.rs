//! The records that were reported in an Ozone, and what they are told of decisions: of each the latest, and never an earlier one behind it.
//!
//! A record is kept at the case of the family that it shows, also where that case went into another one: so it goes where its family goes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tocsin_casework::{Case, CaseId, Resting, Team};
use tocsin_model::{ContentId, DecisionId, Milliseconds, Name, Timestamp, ToldDecision, Verdict};

use crate::cases::lineage::Lineage;
use crate::cases::{NOBODY, SELECT_CASES, case, end_of};
use crate::database::{Row, Transaction, Value, values_from};
use crate::outbox::told_of;
use crate::ozone_told::{OzoneSubject, ToldSubject, subject_event};
use crate::readers::Readers;
use crate::{EndpointKind, StoreError};

/// The most records that are kept of a family's case: the first that were reported.
pub const SUBJECTS_PER_CASE_MAX: usize = 64;
/// The reason of a delivery that a later decision took the place of: it did not go out, and does not.
pub(crate) const SUPERSEDED: &str = "superseded";
/// The same of one that was delivered before.
pub(crate) const SUPERSEDED_LATER: &str = "superseded_later";
/// A try that began is over after this.
const TRY_MAX: Milliseconds = Milliseconds::from_seconds(120);
const IDS_PER_STATEMENT: usize = 500;

/// A record that was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OzoneRecord {
    /// Its `at:` URI.
    pub uri: String,
    /// The CID of the version that was reported.
    pub cid: String,
}

/// A blob of a record that was reported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReportedBlob {
    /// Its CID.
    pub cid: String,
    /// Which content it is.
    pub content: ContentId,
}

/// What became of a record.
pub(crate) enum Kept {
    New(Box<Subject>),
    Stands,
    /// [`SUBJECTS_PER_CASE_MAX`] are kept.
    Full,
}

/// A record that is kept.
pub(crate) struct Subject {
    case: CaseId,
    endpoint: Name,
    record: OzoneRecord,
    blobs: Vec<ReportedBlob>,
    /// The decision that it was told of last.
    told: Option<DecisionId>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    cid: String,
    /// The CID and the content of each.
    blobs: Vec<(String, String)>,
}

/// Keeps a record of the case of a family, with those of its blobs that are of this family. Of one that is reported again the first version stands.
pub(crate) async fn keep_subject(
    transaction: &mut Transaction,
    (case, endpoint): (CaseId, &Name),
    (record, blobs): (&OzoneRecord, &[ReportedBlob]),
) -> Result<Kept, StoreError> {
    let failed = StoreError::database("keep what was reported");
    let known = "SELECT 1 FROM ozone_subjects WHERE case_id = $1 AND endpoint = $2 AND uri = $3";
    let values: [Value; 3] = [
        case.to_string().into(),
        endpoint.as_str().into(),
        record.uri.as_str().into(),
    ];
    if !transaction.fetch(known, &values).await.map_err(&failed)?.is_empty() {
        return Ok(Kept::Stands);
    }
    let count = "SELECT count(*) AS subjects FROM ozone_subjects WHERE case_id = $1";
    let rows = transaction.fetch(count, &values[..1]).await.map_err(&failed)?;
    let row = rows.first().ok_or(StoreError::Malformed { field: "subjects" })?;
    if row.integer("subjects").map_err(&failed)? >= SUBJECTS_PER_CASE_MAX as i64 {
        return Ok(Kept::Full);
    }
    let of = |blob: &ReportedBlob| (blob.cid.clone(), blob.content.to_string());
    let stored = Stored {
        cid: record.cid.clone(),
        blobs: blobs.iter().map(of).collect(),
    };
    let document = serde_json::to_string(&stored).expect("text is always JSON");
    let values: [Value; 4] = [
        case.to_string().into(),
        endpoint.as_str().into(),
        record.uri.as_str().into(),
        document.into(),
    ];
    let sql = "INSERT INTO ozone_subjects (case_id, endpoint, uri, subject) VALUES ($1, $2, $3, $4) ON CONFLICT (case_id, endpoint, uri) DO NOTHING";
    match transaction.execute(sql, &values).await.map_err(&failed)? {
        0 => Ok(Kept::Stands),
        _ => Ok(Kept::New(Box::new(Subject {
            case,
            endpoint: endpoint.clone(),
            record: record.clone(),
            blobs: blobs.to_vec(),
            told: None,
        }))),
    }
}

/// Tells the records of a case, and of those that went into it, of a decision that was just made.
pub(crate) async fn tell_subjects(
    transaction: &mut Transaction,
    readers: &Readers,
    (case, told): (&Case, &ToldDecision),
    times: (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    let cases = BTreeSet::from([case.id]);
    let lineage = Lineage::of(transaction, case.team, (&cases, &BTreeSet::new())).await?;
    let subjects = subjects_of(transaction, lineage.together(case.id)).await?;
    tell(transaction, readers, (case.team, told), &subjects, times).await
}

/// Tells a record of the decision that stands in the case where it belongs now, if one does.
pub(crate) async fn tell_standing(
    transaction: &mut Transaction,
    case: &Case,
    subjects: &[Subject],
    now: Timestamp,
) -> Result<(), StoreError> {
    let standing = case.decision.as_ref();
    let Some(decision) = standing.filter(|_| case.resting == Resting::Decided && !case.is_disputed()) else {
        return Ok(());
    };
    let due_at = case.undo_until(now).unwrap_or(now);
    let readers = Readers::find(transaction).await?;
    let told = told_of(case, decision);
    tell(transaction, &readers, (case.team, &told), subjects, (now, due_at)).await
}

/// Tells the records of a case that went into another of what stands there, where nothing was decided of them before. What was decided was told of.
pub(crate) async fn tell_joined(
    transaction: &mut Transaction,
    own: &Case,
    (to, now): (&Case, Timestamp),
) -> Result<(), StoreError> {
    if own.decision.is_some() {
        return Ok(());
    }
    let subjects = subjects_of(transaction, BTreeSet::from([own.id])).await?;
    match subjects.is_empty() {
        true => Ok(()),
        false => tell_standing(transaction, to, &subjects, now).await,
    }
}

async fn tell(
    transaction: &mut Transaction,
    readers: &Readers,
    (team, told): (Team, &ToldDecision),
    subjects: &[Subject],
    (now, due_at): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    let failed = StoreError::database("tell what was reported");
    let decision = told.decision.id;
    let blobs = || subjects.iter().flat_map(|subject| &subject.blobs);
    let contents: BTreeSet<ContentId> = blobs().map(|blob| blob.content).collect();
    let contents: Vec<ContentId> = contents.into_iter().collect();
    let mut excepted: BTreeSet<ContentId> = told.grounds.exceptions.iter().copied().collect();
    excepted.extend(crate::appeals::excepted(transaction, (team, told.decision.at), &contents).await?);
    // A record may show several families of a case: it is told once.
    let mut records: BTreeMap<(&Name, &str), Vec<&Subject>> = BTreeMap::new();
    for subject in subjects.iter().filter(|subject| subject.told != Some(decision)) {
        let of = (&subject.endpoint, subject.record.uri.as_str());
        records.entry(of).or_default().push(subject);
    }
    for ((endpoint, uri), kept) in records {
        let mut due_at = due_at;
        for subject in &kept {
            if let Some(former) = subject.told {
                let event = format!("{:032x}", subject_event(former, endpoint, uri));
                due_at = due_at.max(supersede(transaction, &event, now).await?);
            }
            let sql = "UPDATE ozone_subjects SET told_before = told_decision, told_decision = $4 WHERE case_id = $1 AND endpoint = $2 AND uri = $3";
            let values: [Value; 4] = [
                subject.case.to_string().into(),
                endpoint.as_str().into(),
                uri.into(),
                format!("{:032x}", decision.0).into(),
            ];
            transaction.execute(sql, &values).await.map_err(&failed)?;
        }
        let meant = kept.iter().flat_map(|subject| &subject.blobs);
        let meant = meant.filter(|blob| !excepted.contains(&blob.content));
        let blobs: BTreeSet<String> = meant.map(|blob| blob.cid.clone()).collect();
        // All that it shows is excepted: the decision is not about it.
        let (Some(first), false) = (kept.first(), blobs.is_empty()) else {
            continue;
        };
        let subject = OzoneSubject {
            uri: uri.to_owned(),
            cid: first.record.cid.clone(),
            blobs: blobs.into_iter().collect(),
        };
        let event = ToldSubject::of(told, endpoint, subject);
        readers
            .tell_subject(transaction, (endpoint, &event), (now, due_at))
            .await?;
    }
    Ok(())
}

/// Takes back what records were to be told of a decision; whether nothing of it went out. What they were told of before goes out again.
pub(crate) async fn withdraw_subjects(
    transaction: &mut Transaction,
    decision: DecisionId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let failed = StoreError::database("take back what was reported");
    let id = format!("{:032x}", decision.0);
    let sql = "SELECT DISTINCT endpoint, uri, told_before FROM ozone_subjects WHERE told_decision = $1";
    let rows = transaction.fetch(sql, &[id.as_str().into()]).await.map_err(&failed)?;
    for row in &rows {
        let uri = row.text("uri").map_err(&failed)?;
        let endpoint = endpoint(row)?;
        let event: [Value; 1] = [format!("{:032x}", subject_event(decision, &endpoint, &uri)).into()];
        let untried = "DELETE FROM deliveries WHERE event_id = $1 AND state = 1 AND attempts = 0";
        transaction.execute(untried, &event).await.map_err(&failed)?;
        let tried = "SELECT 1 FROM deliveries WHERE event_id = $1";
        if !transaction.fetch(tried, &event).await.map_err(&failed)?.is_empty() {
            return Ok(false);
        }
        let event_row = "DELETE FROM delivery_events WHERE event_id = $1";
        transaction.execute(event_row, &event).await.map_err(&failed)?;
        if let Some(before) = decision_if_any(&row.text("told_before").map_err(&failed)?)? {
            restore(
                transaction,
                &format!("{:032x}", subject_event(before, &endpoint, &uri)),
                now,
            )
            .await?;
        }
    }
    let sql = "UPDATE ozone_subjects SET told_decision = told_before, told_before = '' WHERE told_decision = $1";
    let back = transaction.execute(sql, &[id.into()]).await;
    back.map(|_| true).map_err(&failed)
}

/// The record that stands for a family is told of this decision, and of no earlier one of its case any more; from when on.
pub(crate) async fn supersede_earlier(
    transaction: &mut Transaction,
    (case, decision): (CaseId, DecisionId),
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    match decision_before(transaction, case, decision).await? {
        Some(former) => supersede(transaction, &former, now).await,
        None => Ok(now),
    }
}

/// The decision was taken back: what the record that stands for its family was told before goes out again.
pub(crate) async fn restore_earlier(
    transaction: &mut Transaction,
    decision: DecisionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let failed = StoreError::database("take a decision back");
    let sql = "SELECT case_id FROM decisions WHERE decision_id = $1";
    let id = format!("{:032x}", decision.0);
    let rows = transaction.fetch(sql, &[id.into()]).await.map_err(&failed)?;
    let Some(row) = rows.first() else {
        return Ok(());
    };
    let malformed = || StoreError::Malformed { field: "case_id" };
    let case = row.text("case_id").map_err(&failed)?.parse().map_err(|_| malformed())?;
    match decision_before(transaction, case, decision).await? {
        Some(former) => restore(transaction, &former, now).await,
        None => Ok(()),
    }
}

/// Nothing that was reported in the Ozone that an endpoint leaves is told in the one that it goes to.
pub(crate) async fn forget_subjects(
    transaction: &mut Transaction,
    endpoint: &Name,
    now: Timestamp,
) -> Result<(), StoreError> {
    let failed = StoreError::database("forget what was reported");
    let sql = "SELECT uri, told_decision FROM ozone_subjects WHERE endpoint = $1";
    let name: [Value; 1] = [endpoint.as_str().into()];
    for row in transaction.fetch(sql, &name).await.map_err(&failed)? {
        let uri = row.text("uri").map_err(&failed)?;
        if let Some(told) = decision_if_any(&row.text("told_decision").map_err(&failed)?)? {
            supersede(
                transaction,
                &format!("{:032x}", subject_event(told, endpoint, &uri)),
                now,
            )
            .await?;
        }
    }
    let sql = "DELETE FROM ozone_subjects WHERE endpoint = $1";
    transaction.execute(sql, &name).await.map(drop).map_err(&failed)
}

/// Whether another case than that of this decision says of a record that it violates.
pub(crate) async fn violates_elsewhere(
    transaction: &mut Transaction,
    (endpoint, event): (&Name, &ToldSubject),
    now: Timestamp,
) -> Result<bool, StoreError> {
    let failed = StoreError::database("ask what else is said of what was reported");
    let sql = format!("{SELECT_SUBJECTS} WHERE endpoint = $1 AND uri = $2 AND told_decision <> $3");
    let values: [Value; 3] = [
        endpoint.as_str().into(),
        event.subject.uri.as_str().into(),
        format!("{:032x}", event.told.decision.id.0).into(),
    ];
    let rows = transaction.fetch(&sql, &values).await.map_err(&failed)?;
    for row in &rows {
        let subject = subject(row)?;
        let sql = format!("{SELECT_CASES} WHERE c.case_id = $1");
        let id: [Value; 1] = [subject.case.to_string().into()];
        let rows = transaction.fetch(&sql, &id).await.map_err(&failed)?;
        let Some(own) = rows.first().map(case).transpose()? else {
            continue;
        };
        let Some(end) = end_of(transaction, own, None).await? else {
            continue;
        };
        let Some(decision) = end.decision_out(now) else {
            continue;
        };
        if decision.id == event.told.decision.id || decision.ruling.verdict != Verdict::Violating {
            continue;
        }
        let contents: Vec<ContentId> = subject.blobs.iter().map(|blob| blob.content).collect();
        let by_appeal = crate::appeals::excepted(transaction, (end.team, decision.decided_at), &contents).await?;
        let exceptions = &decision.ruling.grounds.exceptions;
        let is_meant = |content: &ContentId| !exceptions.contains(content) && !by_appeal.contains(content);
        if contents.iter().any(is_meant) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Lets no delivery of an event to an Ozone go out any more, nor again; from when on its place may be taken: a try may have begun.
async fn supersede(transaction: &mut Transaction, event: &str, now: Timestamp) -> Result<Timestamp, StoreError> {
    let failed = StoreError::database("take the place of deliveries");
    let sql = "UPDATE deliveries SET reason = CASE WHEN state = 2 THEN $4 ELSE $3 END, state = 2, settled_at = COALESCE(settled_at, $2) \
               WHERE event_id = $1 AND (reason IS NULL OR reason NOT IN ($3, $4)) AND endpoint IN (SELECT endpoint FROM endpoints WHERE kind = $5)";
    let values: [Value; 5] = [
        event.into(),
        now.into(),
        SUPERSEDED.into(),
        SUPERSEDED_LATER.into(),
        (EndpointKind::Ozone as i64).into(),
    ];
    transaction.execute(sql, &values).await.map_err(&failed)?;
    let sql = "SELECT max(due_at) AS due_at FROM deliveries WHERE event_id = $1 AND reason = $2 AND attempts > 0";
    let values: [Value; 2] = [event.into(), SUPERSEDED.into()];
    let rows = transaction.fetch(sql, &values).await.map_err(&failed)?;
    let row = rows.first().ok_or(StoreError::Malformed { field: "due_at" })?;
    let over_at = row.integer_if_any("due_at").map_err(&failed)?.map(Timestamp);
    Ok(over_at.map_or(now, |over_at| over_at.clamp(now, now + TRY_MAX)))
}

/// Lets what a decision took the place of go out after all.
async fn restore(transaction: &mut Transaction, event: &str, now: Timestamp) -> Result<(), StoreError> {
    let failed = StoreError::database("let deliveries go out after all");
    let sql = "UPDATE deliveries SET state = CASE WHEN reason = $3 THEN 1 ELSE state END, due_at = CASE WHEN reason = $3 THEN $2 ELSE due_at END, \
               settled_at = CASE WHEN reason = $3 THEN NULL ELSE settled_at END, reason = NULL WHERE event_id = $1 AND reason IN ($3, $4)";
    let values: [Value; 4] = [event.into(), now.into(), SUPERSEDED.into(), SUPERSEDED_LATER.into()];
    transaction.execute(sql, &values).await.map(drop).map_err(&failed)
}

/// The decision that people made of a case before this one.
async fn decision_before(
    transaction: &mut Transaction,
    case: CaseId,
    decision: DecisionId,
) -> Result<Option<String>, StoreError> {
    let failed = StoreError::database("find the decision before");
    let sql = "SELECT decision_id FROM decisions WHERE case_id = $1 AND decision_id <> $2 AND withdrawn_at IS NULL AND decided_by <> $3 \
               ORDER BY decided_at DESC, fencing DESC LIMIT 1";
    let values: [Value; 3] = [
        case.to_string().into(),
        format!("{:032x}", decision.0).into(),
        NOBODY.to_string().into(),
    ];
    let rows = transaction.fetch(sql, &values).await.map_err(&failed)?;
    rows.first()
        .map(|row| row.text("decision_id").map_err(&failed))
        .transpose()
}

const SELECT_SUBJECTS: &str = "SELECT case_id, endpoint, uri, subject, told_decision FROM ozone_subjects";

async fn subjects_of(transaction: &mut Transaction, cases: BTreeSet<CaseId>) -> Result<Vec<Subject>, StoreError> {
    let failed = StoreError::database("read what was reported");
    let cases: Vec<CaseId> = cases.into_iter().collect();
    let mut found = Vec::new();
    for cases in cases.chunks(IDS_PER_STATEMENT) {
        let values: Vec<Value> = cases.iter().map(|case| Value::from(case.to_string())).collect();
        let sql = format!(
            "{SELECT_SUBJECTS} WHERE case_id IN ({}) ORDER BY endpoint, uri, case_id",
            values_from(1, values.len())
        );
        for row in &transaction.fetch(&sql, &values).await.map_err(&failed)? {
            found.push(subject(row)?);
        }
    }
    Ok(found)
}

fn subject(row: &Row) -> Result<Subject, StoreError> {
    let failed = StoreError::database("read what was reported");
    let malformed = || StoreError::Malformed { field: "subject" };
    let text = |name: &str| row.text(name).map_err(&failed);
    let stored: Stored = serde_json::from_str(&text("subject")?).map_err(|_| malformed())?;
    let blob = |(cid, content): (String, String)| {
        let content = ContentId::parse(&content)?;
        Some(ReportedBlob { cid, content })
    };
    let blobs: Option<Vec<ReportedBlob>> = stored.blobs.into_iter().map(blob).collect();
    Ok(Subject {
        case: text("case_id")?.parse().map_err(|_| malformed())?,
        endpoint: endpoint(row)?,
        record: OzoneRecord {
            uri: text("uri")?,
            cid: stored.cid,
        },
        blobs: blobs.ok_or_else(malformed)?,
        told: decision_if_any(&text("told_decision")?)?,
    })
}

fn endpoint(row: &Row) -> Result<Name, StoreError> {
    let name = row.text("endpoint");
    let name = name.map_err(StoreError::database("read what was reported"))?;
    name.parse().map_err(|_| StoreError::Malformed { field: "endpoint" })
}

fn decision_if_any(text: &str) -> Result<Option<DecisionId>, StoreError> {
    match text {
        "" => Ok(None),
        id => crate::cases::decision_id(id).map(Some),
    }
}
