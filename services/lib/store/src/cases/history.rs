use tocsin_casework::{Case, CaseId, Event, Team};
use tocsin_model::{KeyId, Timestamp};

use crate::database::Transaction;
use crate::{Store, StoreError};

/// The longest history that is told: the latest steps of a case, and of the appeals that were filed and claimed, which others may send in any number, as
/// many more.
pub const HISTORY_MAX: u32 = 200;

/// Steps that many make: those of appeals that are filed and claimed.
const FILED: [&str; 2] = ["appeal_filed", "appeal_claimed"];
/// Steps that follow what platforms send.
const HEARD: [&str; 3] = ["reuploaded", "removal_confirmed", "restore_confirmed"];

/// One thing that somebody did with a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When, by the store's clock.
    pub at: Timestamp,
    /// Who; `None`: nobody did it, a time was over, or a group said it of families.
    pub who: Option<KeyId>,
    /// The name of that key's person.
    pub person: Option<String>,
    /// What: the name of an [`Event`], of a [`NoticeEvent`](tocsin_casework::NoticeEvent) or of an [`AppealEvent`](tocsin_casework::AppealEvent); or
    /// `overturned`, `merged_into`, `merged_from`, `split_from`, `split_off`, `coop_refused`, `ozone_refused`, `reuploaded`, `removal_confirmed`, `restore_confirmed`,
    /// `unconfirmed_reminded` or `unconfirmed_escalated`.
    pub kind: String,
    /// The other key, the desk, the decision, the notice or the case it was about; empty where there is none.
    pub about: String,
    /// The words that came with it.
    pub note: String,
}

impl Store {
    /// What people did with a case of the team, the latest first, at most [`HISTORY_MAX`] entries, as many of appeals that were filed and claimed, and as many
    /// of what platforms confirmed and what came again.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCase`](tocsin_casework::Refusal::NoSuchCase) also for another team's case; or the database failed.
    pub async fn case_history(&self, team: Team, id: CaseId) -> Result<Vec<HistoryEntry>, StoreError> {
        let failed = StoreError::database("read the history of a case");
        self.case(team, id).await?;
        // Each part has room of its own: what many file, or what platforms send, hides no step of people.
        let window = |part: &str| {
            format!(
                "SELECT sequence FROM (SELECT s.sequence FROM case_history s WHERE s.case_id = $1 AND s.kind {part} ORDER BY s.sequence DESC LIMIT $2) w"
            )
        };
        let (filed, heard) = (FILED.join("', '"), HEARD.join("', '"));
        let sql = format!(
            "SELECT h.at, h.key_id, h.kind, h.about, h.note, k.person FROM case_history h LEFT JOIN api_keys k ON k.key_id = h.key_id \
             WHERE h.sequence IN ({} UNION ALL {} UNION ALL {}) ORDER BY h.sequence DESC",
            window(&format!("NOT IN ('{filed}', '{heard}')")),
            window(&format!("IN ('{filed}')")),
            window(&format!("IN ('{heard}')")),
        );
        let values = [id.to_string().into(), i64::from(HISTORY_MAX).into()];
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        rows.iter()
            .map(|row| {
                let who = row.text("key_id").map_err(&failed)?;
                Ok(HistoryEntry {
                    at: Timestamp(row.integer("at").map_err(&failed)?),
                    who: match who.as_str() {
                        "" => None,
                        key => Some(key.parse().map_err(|_| StoreError::Malformed { field: "key_id" })?),
                    },
                    person: row.text_if_any("person").map_err(&failed)?,
                    kind: row.text("kind").map_err(&failed)?,
                    about: row.text("about").map_err(&failed)?,
                    note: row.text("note").map_err(&failed)?,
                })
            })
            .collect()
    }
}

impl Store {
    /// Adds a step to the history of a case that changes nothing of it: its kind, what it is about, and its words.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCase`](tocsin_casework::Refusal::NoSuchCase) also for another team's case; or the database failed.
    pub async fn note_step(
        &self,
        (team, case): (Team, CaseId),
        who: KeyId,
        (kind, about, note): (&'static str, &str, &str),
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("add to the history of a case");
        let (_, now) = self.case(team, case).await?;
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let step = Step {
            case,
            who: Some(who),
            kind,
            about,
            note,
        };
        write_step(&mut transaction, &step, now).await?;
        transaction.commit().await.map_err(&failed)
    }
}

/// Writes down what somebody did, if it is told at all.
pub(super) async fn write_history(
    transaction: &mut Transaction,
    (case, who): (&Case, KeyId),
    event: &Event,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(kind) = event.name() else {
        return Ok(());
    };
    let about = match event {
        Event::HandedOver { to, .. } => to.to_string(),
        Event::Escalated { to, .. } => to.name().to_owned(),
        Event::Decided(decision) => format!("{:032x}", decision.id.0),
        Event::Withdrawn(decision) => format!("{:032x}", decision.0),
        _ => String::new(),
    };
    let step = Step {
        case: case.id,
        who: Some(who),
        kind,
        about: &about,
        note: event.note(),
    };
    write_step(transaction, &step, now).await
}

/// One step of a history.
pub(crate) struct Step<'a> {
    pub case: CaseId,
    pub who: Option<KeyId>,
    pub kind: &'static str,
    pub about: &'a str,
    pub note: &'a str,
}

pub(crate) async fn write_step(
    transaction: &mut Transaction,
    step: &Step<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let values = [
        step.case.to_string().into(),
        now.into(),
        step.who.map(|who| who.to_string()).unwrap_or_default().into(),
        step.kind.into(),
        step.about.into(),
        step.note.into(),
    ];
    transaction
        .execute(
            "INSERT INTO case_history (case_id, at, key_id, kind, about, note) VALUES ($1, $2, $3, $4, $5, $6)",
            &values,
        )
        .await
        .map(drop)
        .map_err(StoreError::database("write the history of a case"))
}
