//! What people report in an Ozone: each report opens a case or joins one, once, and what was reported is told of every decision.

use std::collections::BTreeMap;

use tocsin_casework::{Case, Team};
use tocsin_model::{ContentHash, FamilyId, Name, Timestamp};

use crate::cases::{Step, update, write_step};
use crate::database::Transaction;
use crate::notices::{case_of_family, unmerged};
use crate::ozone::{is_target, note};
use crate::ozone_subjects::{Kept, OzoneRecord, ReportedBlob, keep_subject, tell_standing};
use crate::{About, Store, StoreError};

/// How many cases that an Ozone's reports are about may wait for a decision: beyond it a report opens none.
pub const REPORTED_CASES_MAX: i64 = 1_000;

/// A report of an Ozone.
#[derive(Clone, Debug)]
pub struct OzoneReport<'a> {
    /// Whose case it concerns.
    pub team: Team,
    /// The endpoint it was read through, and its target.
    pub endpoint: (&'a Name, &'a str),
    /// Its number there, and when it was created, by Ozone's clock.
    pub event: (i64, Option<Timestamp>),
    /// The families that it is about.
    pub families: Vec<ReportedFamily>,
    /// What was reported; `None`: the record that stands for a family.
    pub subject: Option<OzoneRecord>,
    /// Why, in the words of whoever reported it.
    pub note: &'a str,
}

/// A family that a report is about.
#[derive(Clone, Debug)]
pub struct ReportedFamily {
    /// Which.
    pub family: FamilyId,
    /// A hash of it, where there may be no case yet.
    pub hash: Option<ContentHash>,
    /// What shows it of what was reported.
    pub blobs: Vec<ReportedBlob>,
}

/// What became of a report.
#[derive(Clone, Debug)]
pub enum ReportTaken {
    /// It was taken before, or the endpoint has another target since.
    Known,
    /// There is no case of the family, and nothing that one could be opened about.
    NoCase,
    /// [`REPORTED_CASES_MAX`] cases wait, or [`SUBJECTS_PER_CASE_MAX`](crate::SUBJECTS_PER_CASE_MAX) records are kept of each that there is: it was left
    /// alone.
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
        if !is_target(transaction, report.endpoint).await? {
            return Ok(ReportTaken::Known);
        }
        let (mut cases, mut opened) = (Vec::new(), 0);
        let mut is_full = false;
        for of in by_family(&report.families) {
            let known = case_of_family(transaction, report.team, of.family).await?;
            let own = match (known, of.hash) {
                (Some(own), _) => own,
                (None, None) => continue,
                (None, Some(_)) if waiting(transaction, report.endpoint.0).await? >= REPORTED_CASES_MAX => {
                    is_full = true;
                    continue;
                }
                (None, Some(hash)) => {
                    opened += 1;
                    let about = About::Family(of.family, hash);
                    self.case_about(transaction, report.team, &about).await?
                }
            };
            let kept = match &report.subject {
                Some(record) => {
                    let of_case = (own.id, report.endpoint.0);
                    Some(keep_subject(transaction, of_case, (record, &of.blobs)).await?)
                }
                None => None,
            };
            if matches!(kept, Some(Kept::Full)) {
                is_full = true;
                continue;
            }
            let mut case = unmerged(transaction, own).await?;
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
            if let Some(Kept::New(subject)) = kept {
                tell_standing(transaction, &case, &[*subject], now).await?;
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
        let event = (event, created_at.unwrap_or(now));
        let is_new = note(transaction, report.endpoint.0, event, taken.name()).await?;
        // Another dispatcher was first: nothing of this stays.
        Ok(if is_new { taken } else { ReportTaken::Known })
    }
}

/// Each family once, with all that shows it.
fn by_family(families: &[ReportedFamily]) -> Vec<ReportedFamily> {
    let mut found: BTreeMap<FamilyId, ReportedFamily> = BTreeMap::new();
    for of in families {
        match found.get_mut(&of.family) {
            Some(known) => {
                known.hash = known.hash.take().or_else(|| of.hash.clone());
                known.blobs.extend(of.blobs.iter().cloned());
            }
            None => {
                found.insert(of.family, of.clone());
            }
        }
    }
    found.into_values().collect()
}

/// How many cases with a report of this endpoint wait for a first decision.
async fn waiting(transaction: &mut Transaction, endpoint: &Name) -> Result<i64, StoreError> {
    let failed = StoreError::database("count reported cases");
    let sql = "SELECT count(DISTINCT s.case_id) AS cases FROM ozone_subjects s JOIN cases c ON c.case_id = s.case_id \
               WHERE s.endpoint = $1 AND c.resting = 1 AND c.decision_id IS NULL AND c.merged_into IS NULL";
    let rows = transaction
        .fetch(sql, &[endpoint.as_str().into()])
        .await
        .map_err(&failed)?;
    let row = rows.first().ok_or(StoreError::Malformed { field: "cases" })?;
    row.integer("cases").map_err(&failed)
}
