//! Second reviews: handing them out and answering them here, what is drawn and golden cases in `sample`, what they come to in `figures`, their columns
//! in `row`. Locks are taken in the order key, case, review.

mod figures;
mod row;
mod sample;

use tocsin_casework::{
    By, Case, CaseDecision, Part, Review, ReviewCommand, ReviewEffect, ReviewEvent, ReviewId, ReviewKind,
    ReviewRefusal, Team,
};
use tocsin_model::{ContentId, DecisionId, FamilyId, KeyId, Milliseconds, Timestamp};

pub use figures::ReviewFigures;
use row::{SELECT_REVIEWS, review};
pub use sample::{GoldenCase, ReviewSettings, SampleCheck};
pub(crate) use sample::{draw_for_review, undraw};

use crate::appeals::{audited, decided_step};
use crate::cases::deciders::{Asked, Deciders, Reviewer, holder};
use crate::cases::{Apart, decision_id, update, write_step, write_step_apart};
use crate::database::{Locked, Row, Transaction, Value};
use crate::outbox::write_decision;
use crate::{About, Store, StoreError, alert_json};

/// A review after something happened to it.
#[derive(Clone, Debug)]
pub struct Reviewed {
    /// The review.
    pub review: Review,
    /// What happened.
    pub event: ReviewEvent,
    /// The decision that came of it, and the case that was decided so.
    pub decided: Option<(Case, CaseDecision)>,
    /// The store's time.
    pub now: Timestamp,
}

/// So many reviews are asked about at a time.
const REVIEWS_PER_LOOK: usize = 500;

/// A review that waits, as far as it is needed to see whether somebody may have it.
struct Waiting {
    id: ReviewId,
    sequence: i64,
    asked: Asked,
}

/// That the holder of a key, or whoever else it was issued to, reviewed the decision of review `a` before.
fn reviewed_by(key: &str, person: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM reviews s LEFT JOIN api_keys v ON v.key_id = s.answered_by WHERE s.decision_id = a.decision_id \
         AND s.review_id <> a.review_id AND s.verdict IS NOT NULL AND (s.answered_by = {key} OR (v.subject = a.team AND v.person = {person})))"
    )
}

impl Store {
    /// Hands out what waits longest for a second or third person, of what this one neither decided nor reviewed; or, as often as the team's settings
    /// say, a golden case in its place. `None` when nothing waits for them.
    ///
    /// # Errors
    /// The length of the lease is out of range, the key is revoked, or the database failed.
    pub async fn claim_review(
        &self,
        team: Team,
        (who, length): (KeyId, Milliseconds),
    ) -> Result<Option<Reviewed>, StoreError> {
        let failed = StoreError::database("claim a review");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, who).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let who = holder(&mut transaction, team, who).await?;
        let mut after = None;
        loop {
            let found = waiting(&mut transaction, team, (&who, now), after).await?;
            let asked = found.iter().map(|waits| waits.asked);
            let deciders = Box::pin(Deciders::of(&mut transaction, team, asked, None)).await?;
            for waits in &found {
                if deciders.part(waits.asked, &who) == Part::Decided {
                    continue;
                }
                let Some(held) = take(&mut transaction, (team, waits.id), (&who, length), now).await? else {
                    continue;
                };
                write_step_apart(&mut transaction, who.key, (Apart::Claimed, severity(&held)), now).await?;
                transaction.commit().await.map_err(&failed)?;
                return Ok(Some(happened(held, ReviewEvent::Claimed, now)));
            }
            after = found.last().map(|waits| waits.sequence);
            if found.len() < REVIEWS_PER_LOOK {
                transaction.rollback().await.map_err(&failed)?;
                return Ok(None);
            }
        }
    }

    /// A review that this key holds or answered, and the store's time.
    ///
    /// # Errors
    /// [`ReviewRefusal::NoSuchReview`] also for what another holds; or the database failed.
    pub async fn review(&self, (team, who): (Team, KeyId), id: ReviewId) -> Result<(Review, Timestamp), StoreError> {
        let failed = StoreError::database("read a review");
        let now = self.now().await.map_err(&failed)?;
        let sql = format!("{SELECT_REVIEWS} WHERE a.review_id = $1 AND a.team = $2");
        let values = [id.to_string().into(), team.to_number().into()];
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let read = review(rows.first().ok_or(ReviewRefusal::NoSuchReview)?)?;
        match is_theirs(&read, who) {
            true => Ok((read, now)),
            false => Err(ReviewRefusal::NoSuchReview.into()),
        }
    }

    /// Carries out what the holder of a review does with it, and what follows: where a second says otherwise than the first a third is asked, and what a third
    /// says otherwise is the decision, unless the case was decided anew since.
    ///
    /// # Errors
    /// As [`Review::apply`] and [`Case::overturn`]; [`ReviewRefusal::NoSuchReview`] also for what another holds; [`StoreError::KeyRevoked`]; or the
    /// database failed.
    pub async fn command_review(
        &self,
        (team, by): (Team, By),
        id: ReviewId,
        command: &ReviewCommand,
    ) -> Result<Reviewed, StoreError> {
        let failed = StoreError::database("change a review");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, by.who).await?;
        let sql = format!("{SELECT_REVIEWS} WHERE a.review_id = $1 AND a.team = $2");
        let known = found(&mut transaction, &sql, team, id).await?;
        // The case before the review, as whoever decides about it does.
        let case = match (command, known.kind) {
            (ReviewCommand::Answer { .. }, ReviewKind::Third) => Some(
                self.case_about(&mut transaction, team, &About::Case(known.case))
                    .await?,
            ),
            _ => None,
        };
        let mut changed = locked(&mut transaction, team, id).await?;
        if !is_theirs(&changed, by.who) {
            return give_up(transaction, ReviewRefusal::NoSuchReview).await;
        }
        let part = part_of(&mut transaction, &changed, by.who).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let event = match changed.apply((by, part), command, now) {
            Ok(event) => event,
            Err(refusal) => return give_up(transaction, refusal).await,
        };
        let mut reviewed = happened(changed, event, now);
        row::update(&mut transaction, &reviewed.review).await.map_err(&failed)?;
        match event {
            ReviewEvent::Answered(ReviewEffect::ThirdAsked) => {
                if let Some(third) = reviewed.review.third(ReviewId(rand::random())) {
                    row::insert(&mut transaction, (&third, None)).await.map_err(&failed)?;
                }
            }
            ReviewEvent::Answered(ReviewEffect::Decided) => {
                if let Err(error) = self.decide_by_third(&mut transaction, &mut reviewed, case).await {
                    return give_up(transaction, error).await;
                }
            }
            _ => {}
        }
        let apart = match event {
            ReviewEvent::Released => Some(Apart::Released),
            ReviewEvent::Answered(_) => Some(Apart::Answered),
            ReviewEvent::Claimed | ReviewEvent::Renewed | ReviewEvent::SaidBefore => None,
        };
        if let Some(apart) = apart {
            let step = (apart, severity(&reviewed.review));
            write_step_apart(&mut transaction, by.who, step, now).await?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(reviewed)
    }

    async fn decide_by_third(
        &self,
        transaction: &mut Transaction,
        reviewed: &mut Reviewed,
        case: Option<Case>,
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("decide by a third review");
        let (Some(mut case), Some(answer)) = (case, reviewed.review.answer.clone()) else {
            return Ok(());
        };
        if !stands(transaction, &case, reviewed.review.decision).await? {
            return Ok(());
        }
        let id = DecisionId(rand::random());
        let decided = case.overturn((answer.by, id), (answer.verdict, &answer.note), reviewed.now)?;
        let Some(decision) = decided else {
            return Ok(());
        };
        write_decision(transaction, &case, &decision, reviewed.now).await?;
        update(transaction, &case, reviewed.now).await.map_err(&failed)?;
        let name = format!("{:032x}", decision.id.0);
        write_step(transaction, &decided_step(&case, &decision, &name), reviewed.now).await?;
        let sql = "UPDATE reviews SET changed = 1 WHERE review_id = $1";
        let noted = transaction.execute(sql, &[reviewed.review.id.to_string().into()]).await;
        noted.map_err(&failed)?;
        self.append_audit(transaction, reviewed.now, &[audited(&case, &decision)])
            .await?;
        reviewed.decided = Some((case, decision));
        Ok(())
    }
}

fn happened(review: Review, event: ReviewEvent, now: Timestamp) -> Reviewed {
    Reviewed {
        review,
        event,
        decided: None,
        now,
    }
}

/// How grave what is reviewed is, by the alert that its reviewer is shown.
fn severity(review: &Review) -> f64 {
    let mut terms = review.alert.iter().flat_map(|alert| &alert.priority_terms);
    let severity = terms.find(|term| term.name == "severity").map(|term| term.value);
    severity.filter(|severity| severity.is_finite()).unwrap_or(1.0)
}

/// Whether this key holds it, though the lease may be over, or answered it.
fn is_theirs(review: &Review, who: KeyId) -> bool {
    let held = review.lease.is_some_and(|lease| lease.holder == who);
    held || review.answer.as_ref().is_some_and(|answer| answer.by == who)
}

/// The reviews of a team that wait for whoever did not review them before, in the order in which they were asked for, after this place; at most [`REVIEWS_PER_LOOK`].
async fn waiting(
    transaction: &mut Transaction,
    team: Team,
    (who, now): (&Reviewer, Timestamp),
    after: Option<i64>,
) -> Result<Vec<Waiting>, StoreError> {
    let failed = StoreError::database("read the reviews that wait");
    let values: Vec<Value> = vec![
        team.to_number().into(),
        now.into(),
        who.key.to_string().into(),
        who.person.clone().into(),
        after.unwrap_or(0).into(),
    ];
    let sql = format!(
        "SELECT a.review_id, a.sequence, a.case_id, a.family, a.decision_id FROM reviews a WHERE a.team = $1 AND a.verdict IS NULL AND a.kind <> 3 \
         AND a.asked_at <= $2 AND (a.lease_expires_at IS NULL OR a.lease_expires_at <= $2) AND a.sequence > $5 AND NOT {} \
         ORDER BY a.sequence LIMIT {REVIEWS_PER_LOOK}",
        reviewed_by("$3", "$4")
    );
    let rows = transaction.fetch(&sql, &values).await.map_err(&failed)?;
    let read = |row: &Row| {
        let malformed = |field| StoreError::Malformed { field };
        let text = |field| {
            row.text(field)
                .map_err(StoreError::database("read the reviews that wait"))
        };
        let decision = row.text_if_any("decision_id").map_err(&failed)?;
        Ok(Waiting {
            id: text("review_id")?.parse().map_err(|_| malformed("review_id"))?,
            sequence: row.integer("sequence").map_err(&failed)?,
            asked: Asked {
                case: Some(text("case_id")?.parse().map_err(|_| malformed("case_id"))?),
                family: FamilyId(ContentId::parse(&text("family")?).ok_or(malformed("family"))?),
                content: None,
                decision: decision.as_deref().map(decision_id).transpose()?,
            },
        })
    };
    rows.iter().map(read).collect()
}

/// Hands out a review that waits, or a golden case in its place; `None` where another took it, whom claimers do not wait for.
async fn take(
    transaction: &mut Transaction,
    (team, id): (Team, ReviewId),
    (who, length): (&Reviewer, Milliseconds),
    now: Timestamp,
) -> Result<Option<Review>, StoreError> {
    let failed = StoreError::database("claim a review");
    let sql = format!(
        "{SELECT_REVIEWS} WHERE a.review_id = $1 AND a.team = $2{}",
        transaction.for_update(Locked::AppealsNobodyHolds)
    );
    let values = [id.to_string().into(), team.to_number().into()];
    let rows = transaction.fetch(&sql, &values).await.map_err(&failed)?;
    let Some(mut held) = rows.first().map(review).transpose()? else {
        return Ok(None);
    };
    let mut golden = None;
    if let Some(again) = sample::golden_again(transaction, (team, who), now).await? {
        held = locked(transaction, team, again).await?;
    } else if let Some((given, name)) = sample::golden_instead(transaction, (team, id), who, now).await? {
        (held, golden) = (given, Some(name));
    }
    match held.claim((who.key, Part::None), length, now) {
        Ok(_) => {}
        // Since the look another took it, or answered it.
        Err(ReviewRefusal::NoSuchReview | ReviewRefusal::Answered) => return Ok(None),
        Err(refusal) => return Err(refusal.into()),
    }
    match golden {
        Some(golden) => row::insert(transaction, (&held, Some(&golden))).await,
        None => row::update(transaction, &held).await,
    }
    .map_err(&failed)?;
    Ok(Some(held))
}

/// Whether what was reviewed is what stands in a case: the decision itself, or the same one that a merge carried into it.
async fn stands(transaction: &mut Transaction, case: &Case, reviewed: Option<DecisionId>) -> Result<bool, StoreError> {
    let (Some(stands), Some(reviewed)) = (&case.decision, reviewed) else {
        return Ok(false);
    };
    if stands.id == reviewed {
        return Ok(true);
    }
    let failed = StoreError::database("ask whether what was reviewed stands");
    let sql = "SELECT 1 AS carried FROM decisions WHERE decision_id = $1 AND decided_by = $2 AND decided_at = $3 AND withdrawn_at IS NULL";
    let values = [
        format!("{:032x}", reviewed.0).into(),
        stands.decided_by.to_string().into(),
        stands.decided_at.into(),
    ];
    Ok(!transaction.fetch(sql, &values).await.map_err(&failed)?.is_empty())
}

/// What part this key's holder had in what is reviewed: they decided about the case, or reviewed it before.
async fn part_of(transaction: &mut Transaction, held: &Review, who: KeyId) -> Result<Part, StoreError> {
    // What they said of a golden case is no decision, and what it was made of was decided long ago.
    if held.kind == ReviewKind::Golden || held.answer.is_some() {
        return Ok(Part::None);
    }
    let who = holder(transaction, held.team, who).await?;
    let asked = Asked::from(held);
    let deciders = Box::pin(Deciders::of(transaction, held.team, std::iter::once(asked), None)).await?;
    if deciders.part(asked, &who) == Part::Decided {
        return Ok(Part::Decided);
    }
    let sql = format!(
        "SELECT 1 AS reviewed FROM reviews a WHERE a.review_id = $1 AND {}",
        reviewed_by("$2", "$3")
    );
    let values = [
        held.id.to_string().into(),
        who.key.to_string().into(),
        who.person.into(),
    ];
    let rows = transaction.fetch(&sql, &values).await;
    let rows = rows.map_err(StoreError::database("ask who reviewed"))?;
    Ok(match rows.is_empty() {
        true => Part::None,
        false => Part::Decided,
    })
}

async fn locked(transaction: &mut Transaction, team: Team, id: ReviewId) -> Result<Review, StoreError> {
    let sql = format!(
        "{SELECT_REVIEWS} WHERE a.review_id = $1 AND a.team = $2{}",
        transaction.for_update(Locked::Appeals)
    );
    found(transaction, &sql, team, id).await
}

async fn found(transaction: &mut Transaction, sql: &str, team: Team, id: ReviewId) -> Result<Review, StoreError> {
    let rows = transaction
        .fetch(sql, &[id.to_string().into(), team.to_number().into()])
        .await
        .map_err(StoreError::database("find a review"))?;
    review(rows.first().ok_or(ReviewRefusal::NoSuchReview)?)
}

/// Ends the transaction at once, so that nothing that it holds is passed over by those who claim.
async fn give_up<T>(transaction: Transaction, error: impl Into<StoreError>) -> Result<T, StoreError> {
    transaction
        .rollback()
        .await
        .map_err(StoreError::database("give up a review"))?;
    Err(error.into())
}

/// What a row of a case as it was shown holds: family, hash and alert.
fn shown(row: &Row) -> Result<(FamilyId, tocsin_model::ContentHash, Option<tocsin_model::Alert>), StoreError> {
    let text = |field| row.text(field).map_err(StoreError::database("read what was shown"));
    let family = ContentId::parse(&text("family")?).ok_or(StoreError::Malformed { field: "family" })?;
    let alert = match text("alert")?.as_str() {
        "" => None,
        stored => Some(alert_json::from_json(stored)?),
    };
    Ok((FamilyId(family), alert_json::hash_from_json(&text("hash")?)?, alert))
}
