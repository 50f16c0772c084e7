//! What people report in an Ozone: each report opens a case or joins one, once, and what was reported is told of every decision.

use tocsin_casework::{Case, CaseId, Resting, Team};
use tocsin_model::{ContentHash, DecisionId, FamilyId, Name, Timestamp, ToldDecision};

use crate::cases::{Step, update, write_step};
use crate::database::{Transaction, Value};
use crate::notices::{case_of_family, unmerged};
use crate::outbox::told_of;
use crate::ozone_told::{OzoneSubject, ToldSubject, subject_event};
use crate::readers::Readers;
use crate::{About, Store, StoreError};

/// How many cases that an Ozone's reports are about may wait for a decision: beyond it a report opens none.
pub const REPORTED_CASES_MAX: i64 = 1_000;
/// The most subjects that are kept of a case: the first that were reported.
pub const SUBJECTS_PER_CASE_MAX: usize = 64;

/// A report of an Ozone.
#[derive(Clone, Debug)]
pub struct OzoneReport<'a> {
    /// Whose case it concerns.
    pub team: Team,
    /// The endpoint it was read through.
    pub endpoint: &'a Name,
    /// Its number there, and when it was created, by Ozone's clock.
    pub event: (i64, Option<Timestamp>),
    /// The families that it is about: each with a hash where there may be no case yet.
    pub families: Vec<(FamilyId, Option<ContentHash>)>,
    /// What was reported; `None`: the record that stands for a family.
    pub subject: Option<OzoneSubject>,
    /// Why, in the words of whoever reported it.
    pub note: &'a str,
}

/// What became of a report.
#[derive(Clone, Debug)]
pub enum ReportTaken {
    /// It was taken before.
    Known,
    /// There is no case of the family, and nothing that one could be opened about.
    NoCase,
    /// [`REPORTED_CASES_MAX`] cases wait: none was opened.
    TooMany,
    /// It opened a case at least.
    Opened(Vec<(Case, Timestamp)>),
    /// It joined cases that were there.
    Joined(Vec<(Case, Timestamp)>),
}

impl ReportTaken {
    /// A stable name.
    pub fn name(&self) -> &'static str {
        match self {
            ReportTaken::Known => "stands",
            ReportTaken::NoCase => "no_case",
            ReportTaken::TooMany => "too_many",
            ReportTaken::Opened(_) => "opened",
            ReportTaken::Joined(_) => "joined",
        }
    }

    /// The cases that it is in, and the store's time.
    pub fn cases(&self) -> &[(Case, Timestamp)] {
        match self {
            ReportTaken::Opened(cases) | ReportTaken::Joined(cases) => cases,
            ReportTaken::Known | ReportTaken::NoCase | ReportTaken::TooMany => &[],
        }
    }
}

impl Store {
    /// Takes a report: it opens the team's case of what it is about or joins it, and brings a case back that was closed unreviewed. What was reported is
    /// told of the decision that stands, and of those that come. All of it, and that it was taken, stands at once or not at all.
    ///
    /// # Errors
    /// The database failed; it may be said again.
    pub async fn take_ozone_report(&self, report: &OzoneReport<'_>) -> Result<ReportTaken, StoreError> {
        let failed = StoreError::database("take a report of Ozone");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let taken = self.take_report(&mut transaction, report).await?;
        match taken {
            ReportTaken::Known => transaction.rollback().await,
            _ => transaction.commit().await,
        }
        .map_err(&failed)?;
        Ok(taken)
    }

    async fn take_report(
        &self,
        transaction: &mut Transaction,
        report: &OzoneReport<'_>,
    ) -> Result<ReportTaken, StoreError> {
        let failed = StoreError::database("take a report of Ozone");
        let now = self.inner.clock.now(transaction).await.map_err(&failed)?;
        let (mut cases, mut opened) = (Vec::new(), 0);
        let mut is_full = false;
        let mut families = report.families.clone();
        families.sort_unstable_by_key(|(family, _)| *family);
        families.dedup_by_key(|(family, _)| *family);
        for (family, hash) in &families {
            let known = case_of_family(transaction, report.team, *family).await?;
            let mut case = match (known, hash) {
                (Some(case), _) => unmerged(transaction, case).await?,
                (None, None) => continue,
                (None, Some(_)) if waiting(transaction, report.endpoint).await? >= REPORTED_CASES_MAX => {
                    is_full = true;
                    continue;
                }
                (None, Some(hash)) => {
                    opened += 1;
                    let about = About::Family(*family, hash.clone());
                    self.case_about(transaction, report.team, &about).await?
                }
            };
            case.take_report(now);
            update(transaction, &case, now).await.map_err(&failed)?;
            let step = Step {
                case: case.id,
                who: None,
                kind: "ozone_reported",
                about: &report.event.0.to_string(),
                note: report.note,
            };
            write_step(transaction, &step, now).await?;
            if let Some(subject) = &report.subject {
                keep_subject(transaction, (case.id, report.endpoint), subject).await?;
                tell_standing(transaction, &case, now).await?;
            }
            cases.push((case, now));
        }
        let taken = match (cases.is_empty(), opened) {
            (true, _) if is_full => ReportTaken::TooMany,
            (true, _) => ReportTaken::NoCase,
            (false, 0) => ReportTaken::Joined(cases),
            (false, _) => ReportTaken::Opened(cases),
        };
        let (event, created_at) = report.event;
        let noted = transaction
            .execute(
                "INSERT INTO ozone_events (endpoint, event, outcome, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (endpoint, event) DO NOTHING",
                &[
                    report.endpoint.as_str().into(),
                    event.into(),
                    taken.name().into(),
                    created_at.unwrap_or(now).into(),
                ],
            )
            .await
            .map_err(&failed)?;
        // Another dispatcher was first: nothing of this stays.
        Ok(if noted == 0 { ReportTaken::Known } else { taken })
    }
}

/// How many cases with a report of this endpoint wait for a decision.
async fn waiting(transaction: &mut Transaction, endpoint: &Name) -> Result<i64, StoreError> {
    let failed = StoreError::database("count reported cases");
    let sql = "SELECT count(DISTINCT s.case_id) AS cases FROM ozone_subjects s JOIN cases c ON c.case_id = s.case_id \
               WHERE s.endpoint = $1 AND c.decision_id IS NULL";
    let rows = transaction
        .fetch(sql, &[endpoint.as_str().into()])
        .await
        .map_err(&failed)?;
    let row = rows.first().ok_or(StoreError::Malformed { field: "cases" })?;
    row.integer("cases").map_err(&failed)
}

async fn keep_subject(
    transaction: &mut Transaction,
    (case, endpoint): (CaseId, &Name),
    subject: &OzoneSubject,
) -> Result<(), StoreError> {
    let failed = StoreError::database("keep what was reported");
    if subjects_of(transaction, case).await?.len() >= SUBJECTS_PER_CASE_MAX {
        return Ok(());
    }
    let document = serde_json::to_string(subject).expect("text is always JSON");
    let values: [Value; 4] = [
        case.to_string().into(),
        endpoint.as_str().into(),
        subject.uri.as_str().into(),
        document.into(),
    ];
    // Of one that is reported again the first version stands.
    let sql = "INSERT INTO ozone_subjects (case_id, endpoint, uri, subject) VALUES ($1, $2, $3, $4) ON CONFLICT (case_id, endpoint, uri) DO NOTHING";
    transaction.execute(sql, &values).await.map(drop).map_err(&failed)
}

/// Tells what was reported of a decision that was just made.
pub(crate) async fn tell_subjects(
    transaction: &mut Transaction,
    readers: &Readers,
    (case, told): (CaseId, &ToldDecision),
    times: (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    for (endpoint, subject) in subjects_of(transaction, case).await? {
        let event = ToldSubject::of(told, subject);
        readers.tell_subject(transaction, (&endpoint, &event), times).await?;
    }
    Ok(())
}

/// Tells what was reported of the decision that stands, if one does. What was told of it is not told again.
async fn tell_standing(transaction: &mut Transaction, case: &Case, now: Timestamp) -> Result<(), StoreError> {
    let Some(decision) = case
        .decision
        .as_ref()
        .filter(|_| case.resting == Resting::Decided && !case.is_disputed())
    else {
        return Ok(());
    };
    let due_at = case.undo_until(now).unwrap_or(now);
    let readers = Readers::find(transaction).await?;
    tell_subjects(
        transaction,
        &readers,
        (case.id, &told_of(case, decision)),
        (now, due_at),
    )
    .await
}

/// Takes back what subjects were to be told of a decision; whether nothing of it went out.
pub(crate) async fn withdraw_subjects(transaction: &mut Transaction, decision: DecisionId) -> Result<bool, StoreError> {
    let failed = StoreError::database("take back what was reported");
    let id = format!("{:032x}", decision.0);
    let rows = transaction
        .fetch(
            "SELECT s.uri FROM ozone_subjects s JOIN decisions d ON d.case_id = s.case_id WHERE d.decision_id = $1",
            &[id.into()],
        )
        .await
        .map_err(&failed)?;
    for row in &rows {
        let uri = row.text("uri").map_err(&failed)?;
        let event: [Value; 1] = [format!("{:032x}", subject_event(decision, &uri)).into()];
        let untried = "DELETE FROM deliveries WHERE event_id = $1 AND state = 1 AND attempts = 0";
        transaction.execute(untried, &event).await.map_err(&failed)?;
        let tried = "SELECT 1 FROM deliveries WHERE event_id = $1";
        if !transaction.fetch(tried, &event).await.map_err(&failed)?.is_empty() {
            return Ok(false);
        }
        let event_row = "DELETE FROM delivery_events WHERE event_id = $1";
        transaction.execute(event_row, &event).await.map_err(&failed)?;
    }
    Ok(true)
}

/// What was reported of one of two cases that became one was reported of both.
pub(crate) async fn carry_subjects(
    transaction: &mut Transaction,
    from: CaseId,
    (to, now): (&Case, Timestamp),
) -> Result<(), StoreError> {
    let subjects = subjects_of(transaction, from).await?;
    if subjects.is_empty() {
        return Ok(());
    }
    for (endpoint, subject) in &subjects {
        keep_subject(transaction, (to.id, endpoint), subject).await?;
    }
    tell_standing(transaction, to, now).await
}

async fn subjects_of(transaction: &mut Transaction, case: CaseId) -> Result<Vec<(Name, OzoneSubject)>, StoreError> {
    let failed = StoreError::database("read what was reported");
    let sql = "SELECT endpoint, subject FROM ozone_subjects WHERE case_id = $1 ORDER BY endpoint, uri";
    let rows = transaction
        .fetch(sql, &[case.to_string().into()])
        .await
        .map_err(&failed)?;
    let subject = |row: &crate::database::Row| {
        let malformed = || StoreError::Malformed { field: "subject" };
        let endpoint = row
            .text("endpoint")
            .map_err(&failed)?
            .parse()
            .map_err(|_| malformed())?;
        let subject = serde_json::from_str(&row.text("subject").map_err(&failed)?).map_err(|_| malformed())?;
        Ok((endpoint, subject))
    };
    rows.iter().map(subject).collect()
}
