//! What is decided once more: how much, what is drawn by a keyed hash of the case, cases whose answer is known, and whether what was drawn is what should
//! have been.

use rand::RngCore as _;
use sha2::{Digest as _, Sha256};
use tocsin_casework::{Case, CaseDecision, CaseId, Part, Review, ReviewId, ReviewKind, Team, is_drawn};
use tocsin_model::{ContentHash, DecisionId, FamilyId, Timestamp, Verdict};

use super::row::Golden;
use super::{row, shown};
use crate::cases::deciders::{Asked, Deciders, Reviewer};
use crate::database::{Row, Transaction, Value};
use crate::{Store, StoreError};

/// The most golden cases of a team that are listed.
const GOLDEN_MAX: i64 = 1_000;
/// Among so many a golden case is looked for: the first that somebody did not have.
const GOLDEN_LOOKED_AT: u32 = 100;
/// The length of the key by which a team's cases are drawn, in bytes.
const DRAW_KEY_BYTES: usize = 32;

/// How much of what a team decides is decided once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReviewSettings {
    /// Which part of the cases, in parts per million.
    pub share_ppm: u32,
    /// How often a golden case is handed out instead, in parts per million.
    pub golden_ppm: u32,
}

/// A case of which the answer is known.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenCase {
    /// Its identity, 32 hexadecimal digits.
    pub id: String,
    /// The case that it was made of.
    pub case: CaseId,
    /// The family.
    pub family: FamilyId,
    /// The strongest hash of its founder.
    pub hash: ContentHash,
    /// The answer.
    pub verdict: Verdict,
    /// When it was added.
    pub added_at: Timestamp,
    /// Since when it is mixed in no more.
    pub retired_at: Option<Timestamp>,
}

/// Whether what was drawn is what the keyed hash says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleCheck {
    /// How many decisions of people there are that went out.
    pub decisions: u64,
    /// How many of them the hash draws.
    pub drawn: u64,
    /// How many of these are not in the sample.
    pub missing: u64,
    /// How many are in it that the hash does not draw.
    pub extra: u64,
}

/// Settings as they are stored.
struct Drawing {
    settings: ReviewSettings,
    key: Vec<u8>,
    since: Timestamp,
}

impl Drawing {
    /// The first 8 bytes of the SHA-256 of the key and what is drawn.
    fn draw(&self, what: &str) -> u64 {
        let digest = Sha256::new().chain_update(&self.key).chain_update(what).finalize();
        digest[..8]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Whether a case is decided twice.
    fn draws(&self, case: &str) -> bool {
        is_drawn(self.draw(&format!("case {case}")), self.settings.share_ppm)
    }
}

/// Draws a decision that was made: if it is to be decided once more, that is asked when it is out.
pub(crate) async fn draw_for_review(
    transaction: &mut Transaction,
    (case, decision): (&Case, &CaseDecision),
    goes_out_at: Timestamp,
) -> Result<(), StoreError> {
    let drawings = drawings(transaction, case.team).await?;
    let drawn = drawings
        .last()
        .is_some_and(|drawing| drawing.draws(&case.id.to_string()));
    if !drawn {
        return Ok(());
    }
    let review = Review {
        id: ReviewId(rand::random()),
        team: case.team,
        kind: ReviewKind::Second,
        case: case.id,
        decision: Some(decision.id),
        first: decision.ruling.verdict,
        family: case.family,
        hash: case.hash.clone(),
        alert: case.alert.clone(),
        asked_at: goes_out_at,
        fencing: 0,
        lease: None,
        answer: None,
    };
    let written = row::insert(transaction, (&review, None)).await;
    written.map_err(StoreError::database("ask for a second review"))
}

/// A decision was taken back: nobody decides it once more.
pub(crate) async fn undraw(transaction: &mut Transaction, decision: DecisionId) -> Result<(), StoreError> {
    let id = format!("{:032x}", decision.0);
    let sql = "DELETE FROM reviews WHERE decision_id = $1 AND verdict IS NULL";
    let deleted = transaction.execute(sql, &[id.into()]).await;
    deleted
        .map(drop)
        .map_err(StoreError::database("take a second review back"))
}

/// To whom a golden case is handed once: the person, or the key where it is nobody's alone.
fn given_to(who: &Reviewer) -> String {
    who.person.clone().unwrap_or_else(|| who.key.to_string())
}

/// The golden case that this person was handed and did not answer, if nothing holds it: it comes back as any other review does, under its own id.
pub(super) async fn golden_again(
    transaction: &mut Transaction,
    (team, who): (Team, &Reviewer),
    now: Timestamp,
) -> Result<Option<ReviewId>, StoreError> {
    let failed = StoreError::database("find a golden case");
    let values = [team.to_number().into(), given_to(who).into(), now.into()];
    let sql = "SELECT review_id FROM reviews WHERE team = $1 AND kind = 3 AND given_to = $2 AND verdict IS NULL \
               AND (lease_expires_at IS NULL OR lease_expires_at <= $3) ORDER BY sequence LIMIT 1";
    let rows = transaction.fetch(sql, &values).await.map_err(&failed)?;
    let Some(row) = rows.first() else { return Ok(None) };
    let id = row.text("review_id").map_err(&failed)?;
    id.parse()
        .map(Some)
        .map_err(|_| StoreError::Malformed { field: "review_id" })
}

/// A golden case to hand out in place of this review, with its name, if it is its turn: the first that this person neither had nor decided nor reviewed.
pub(super) async fn golden_instead(
    transaction: &mut Transaction,
    (team, instead): (Team, ReviewId),
    who: &Reviewer,
    now: Timestamp,
) -> Result<Option<(Review, Golden)>, StoreError> {
    let failed = StoreError::database("find a golden case");
    let drawings = drawings(transaction, team).await?;
    let Some(drawing) = drawings.last().filter(|drawing| drawing.settings.golden_ppm > 0) else {
        return Ok(None);
    };
    let given_to = given_to(who);
    let had = "SELECT golden_id FROM reviews WHERE team = $1 AND kind = 3 AND given_to = $2";
    let values = [team.to_number().into(), given_to.as_str().into()];
    let count = transaction.fetch(had, &values).await.map_err(&failed)?.len();
    let turn = drawing.draw(&format!(
        "golden {instead} {} {count}",
        who.person.as_deref().unwrap_or_default()
    ));
    if !is_drawn(turn, drawing.settings.golden_ppm) {
        return Ok(None);
    }
    let sql = format!(
        "SELECT a.golden_id, a.case_id, a.family, a.hash, a.alert, a.verdict FROM golden_cases a \
         WHERE a.team = $1 AND a.retired_at IS NULL AND a.golden_id NOT IN ({had}) AND NOT EXISTS (SELECT 1 FROM reviews s \
         LEFT JOIN api_keys v ON v.key_id = s.answered_by WHERE s.case_id = a.case_id AND s.kind <> 3 \
         AND (s.answered_by = $3 OR s.lease_holder = $3 OR (v.subject = a.team AND v.person = $2))) \
         ORDER BY a.added_at, a.golden_id LIMIT {GOLDEN_LOOKED_AT}"
    );
    let values: Vec<Value> = vec![
        team.to_number().into(),
        given_to.as_str().into(),
        who.key.to_string().into(),
    ];
    let rows = transaction.fetch(&sql, &values).await.map_err(&failed)?;
    let asked = rows.iter().map(asked).collect::<Result<Vec<_>, _>>()?;
    let deciders = Box::pin(Deciders::of(transaction, team, asked.iter().copied(), None)).await?;
    let free = |(_, asked): &(&Row, &Asked)| deciders.part(**asked, who) == Part::None;
    let Some((row, _)) = rows.iter().zip(&asked).find(free) else {
        return Ok(None);
    };
    let (family, hash, alert) = shown(row)?;
    let case = row.text("case_id").map_err(&failed)?;
    let verdict = row::verdict(row.integer("verdict").map_err(&failed)?);
    let golden = Review {
        id: ReviewId(rand::random()),
        team,
        kind: ReviewKind::Golden,
        case: case.parse().map_err(|_| StoreError::Malformed { field: "case_id" })?,
        decision: None,
        first: verdict.ok_or(StoreError::Malformed { field: "verdict" })?,
        family,
        hash,
        alert,
        asked_at: now,
        fencing: 0,
        lease: None,
        answer: None,
    };
    let name = row.text("golden_id").map_err(&failed)?;
    Ok(Some((golden, Golden { name, given_to })))
}

/// What is asked about a golden case: who decided about the case that it was made of.
fn asked(row: &Row) -> Result<Asked, StoreError> {
    let case = row
        .text("case_id")
        .map_err(StoreError::database("find a golden case"))?;
    Ok(Asked {
        case: Some(case.parse().map_err(|_| StoreError::Malformed { field: "case_id" })?),
        family: shown(row)?.0,
        content: None,
        decision: None,
    })
}

/// All settings of a team, the latest last. There are as many as an operator made.
async fn drawings(transaction: &mut Transaction, team: Team) -> Result<Vec<Drawing>, StoreError> {
    let failed = StoreError::database("read how much is reviewed");
    let sql = "SELECT since, share_ppm, golden_ppm, draw_key FROM review_settings WHERE team = $1 ORDER BY sequence";
    let rows = transaction.fetch(sql, &[team.to_number().into()]).await;
    let rows = rows.map_err(&failed)?;
    let drawings = rows.iter().map(|row| {
        let part = |field: &'static str| {
            let number = row
                .integer(field)
                .map_err(StoreError::database("read how much is reviewed"))?;
            u32::try_from(number).map_err(|_| StoreError::Malformed { field })
        };
        let key = row.text("draw_key").map_err(&failed)?;
        Ok(Drawing {
            settings: ReviewSettings {
                share_ppm: part("share_ppm")?,
                golden_ppm: part("golden_ppm")?,
            },
            key: hex::decode(key).map_err(|_| StoreError::Malformed { field: "draw_key" })?,
            since: Timestamp(row.integer("since").map_err(&failed)?),
        })
    });
    drawings.collect()
}

impl Store {
    /// How much of what a team decides is decided once more from now on. Parts above a million are taken for all. The key by which cases are drawn is made
    /// once, and told to nobody.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_review_settings(&self, team: Team, settings: ReviewSettings) -> Result<(), StoreError> {
        let failed = StoreError::database("set how much is reviewed");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let known = drawings(&mut transaction, team).await?;
        let key = known.last().map_or_else(
            || {
                let mut key = vec![0; DRAW_KEY_BYTES];
                rand::rng().fill_bytes(&mut key);
                key
            },
            |drawing| drawing.key.clone(),
        );
        let sql =
            "INSERT INTO review_settings (team, since, share_ppm, golden_ppm, draw_key) VALUES ($1, $2, $3, $4, $5)";
        let values = [
            team.to_number().into(),
            now.into(),
            i64::from(settings.share_ppm.min(1_000_000)).into(),
            i64::from(settings.golden_ppm.min(1_000_000)).into(),
            hex::encode(key).into(),
        ];
        transaction.execute(sql, &values).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// How much of what a team decides is decided once more now.
    ///
    /// # Errors
    /// The database failed.
    pub async fn review_settings(&self, team: Team) -> Result<ReviewSettings, StoreError> {
        let failed = StoreError::database("read how much is reviewed");
        let mut transaction = self.database().begin_reading().await.map_err(&failed)?;
        let known = drawings(&mut transaction, team).await?;
        transaction.rollback().await.map_err(&failed)?;
        Ok(known
            .last()
            .map_or_else(ReviewSettings::default, |drawing| drawing.settings))
    }

    /// Draws all decisions of a team's people anew, each by the settings that held when it was made, and holds that against the sample.
    ///
    /// # Errors
    /// The database failed.
    pub async fn check_sample(&self, team: Team) -> Result<SampleCheck, StoreError> {
        let failed = StoreError::database("check what was drawn");
        let mut reading = self.database().begin_reading().await.map_err(&failed)?;
        let known = drawings(&mut reading, team).await?;
        let sql = "SELECT h.at, h.case_id, r.review_id FROM case_history h JOIN cases c ON c.case_id = h.case_id \
                   JOIN decisions d ON d.decision_id = h.about LEFT JOIN reviews r ON r.decision_id = h.about AND r.kind = 1 \
                   WHERE c.team = $1 AND h.kind = 'decided' AND d.withdrawn_at IS NULL";
        let rows = reading.fetch(sql, &[team.to_number().into()]).await.map_err(&failed)?;
        reading.rollback().await.map_err(&failed)?;
        let mut check = SampleCheck::default();
        for row in &rows {
            let at = Timestamp(row.integer("at").map_err(&failed)?);
            let case = row.text("case_id").map_err(&failed)?;
            let held = known.iter().rev().find(|drawing| drawing.since <= at);
            let is_drawn = held.is_some_and(|drawing| drawing.draws(&case));
            let is_in = row.text_if_any("review_id").map_err(&failed)?.is_some();
            check.decisions += 1;
            check.drawn += u64::from(is_drawn);
            check.missing += u64::from(is_drawn && !is_in);
            check.extra += u64::from(!is_drawn && is_in);
        }
        Ok(check)
    }

    /// Makes a golden case of a case of the team, as its figures are now: its answer is this. Once more: the answer is another, and it is mixed in again.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCase`](tocsin_casework::Refusal::NoSuchCase), also for another team's; or the database failed.
    pub async fn add_golden_case(&self, team: Team, id: CaseId, verdict: Verdict) -> Result<(), StoreError> {
        let failed = StoreError::database("add a golden case");
        let (case, now) = self.case(team, id).await?;
        let alert = case.alert.as_ref().map(crate::alert_json::to_json).unwrap_or_default();
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let sql = "INSERT INTO golden_cases (golden_id, team, case_id, family, hash, alert, verdict, added_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                   ON CONFLICT (team, case_id) DO UPDATE SET verdict = excluded.verdict, retired_at = NULL";
        let values = [
            format!("{:032x}", rand::random::<u128>()).into(),
            team.to_number().into(),
            case.id.to_string().into(),
            case.family.to_string().into(),
            crate::alert_json::hash_to_json(&case.hash).into(),
            alert.into(),
            (verdict as i64).into(),
            now.into(),
        ];
        transaction.execute(sql, &values).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Mixes the golden case that was made of this one in no more; whether there was one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn retire_golden_case(&self, team: Team, id: CaseId) -> Result<bool, StoreError> {
        let failed = StoreError::database("retire a golden case");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let sql = "UPDATE golden_cases SET retired_at = coalesce(retired_at, $3) WHERE team = $1 AND case_id = $2";
        let values = [team.to_number().into(), id.to_string().into(), now.into()];
        let retired = transaction.execute(sql, &values).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(retired > 0)
    }

    /// The golden cases of a team, the first added first, at most 1,000.
    ///
    /// # Errors
    /// The database failed.
    pub async fn golden_cases(&self, team: Team) -> Result<Vec<GoldenCase>, StoreError> {
        let failed = StoreError::database("read the golden cases");
        let sql = "SELECT golden_id, case_id, family, hash, alert, verdict, added_at, retired_at FROM golden_cases WHERE team = $1 \
                   ORDER BY added_at, golden_id LIMIT $2";
        let values = [team.to_number().into(), GOLDEN_MAX.into()];
        let rows = self.database().fetch(sql, &values).await.map_err(&failed)?;
        let cases = rows.iter().map(|row| {
            let (family, hash, _) = shown(row)?;
            let verdict = row::verdict(row.integer("verdict").map_err(&failed)?);
            let case = row.text("case_id").map_err(&failed)?;
            Ok(GoldenCase {
                id: row.text("golden_id").map_err(&failed)?,
                case: case.parse().map_err(|_| StoreError::Malformed { field: "case_id" })?,
                family,
                hash,
                verdict: verdict.ok_or(StoreError::Malformed { field: "verdict" })?,
                added_at: Timestamp(row.integer("added_at").map_err(&failed)?),
                retired_at: row.integer_if_any("retired_at").map_err(&failed)?.map(Timestamp),
            })
        });
        cases.collect()
    }
}
