//! Which decisions wait for what their platforms confirm, and whom to remind of it.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::{Awaiting, Awaits, Case, CaseDecision, CaseId, REMIND_AFTER, Reminder, Resting, Team};
use tocsin_model::{ContentId, DecisionId, FamilyId, Milliseconds, PartyId, PlatformId, Timestamp, ToldDecision};

use super::acknowledgement::MemberAcknowledgement;
use super::acknowledgement_rows::{count_in, unconfirmed_in};
use super::fan_out::{family, standing};
use super::history::{Step, write_step};
use super::locked;
use super::row::{case, decision_id, team};
use crate::database::{Locked, Row, Transaction, Value};
use crate::decision_json::grounds_from_json;
use crate::readers::Readers;
use crate::{Store, StoreError};

/// For so long after a decision was out its members are followed.
pub const FOLLOWED_FOR: Milliseconds = Milliseconds::from_hours(7 * 24);
/// How many decisions are followed at most: the latest.
pub const FOLLOWED_DECISIONS_MAX: u32 = 4_096;
/// How many are reminded of at a time.
pub const REMINDED_MAX: u32 = 100;
/// How many members and platforms a reminder names.
pub const UNCONFIRMED_TOLD_MAX: usize = 100;

/// A decision of which it is followed what the party's own platforms do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowedDecision {
    /// Which.
    pub decision: DecisionId,
    /// Whose.
    pub team: Team,
    /// The family of its case.
    pub family: FamilyId,
    /// The party's platforms.
    pub platforms: BTreeSet<PlatformId>,
    /// Members that it is not about.
    pub exceptions: BTreeSet<ContentId>,
}

/// A decision of a team that is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnconfirmedDecision {
    /// Which.
    pub decision: DecisionId,
    /// Its case.
    pub case: CaseId,
    /// The family of its case.
    pub family: FamilyId,
    /// How it waits.
    pub awaiting: Awaiting,
}

/// What an endpoint is told of a decision that is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// The event's identity.
    pub id: u128,
    /// The decision.
    pub told: ToldDecision,
    /// The case.
    pub case: CaseId,
    /// What is waited for.
    pub awaits: Awaits,
    /// The number of the reminder; `None`: it is escalated, and nobody is reminded again.
    pub reminder: Option<u8>,
    /// How many members and platforms did not confirm.
    pub unconfirmed: u64,
    /// Of how many.
    pub of: u64,
    /// The first [`UNCONFIRMED_TOLD_MAX`] of those that did not.
    pub members: Vec<UnconfirmedMember>,
    /// When, by the store's clock.
    pub at: Timestamp,
}

/// A member that a platform did not confirm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnconfirmedMember {
    /// Which.
    pub content: ContentId,
    /// The strongest hash that is known of it.
    pub hash: tocsin_model::ContentHash,
    /// On which platform.
    pub platform: PlatformId,
    /// How much is to be answered.
    pub asked: u64,
    /// How much answers it.
    pub answered: u64,
}

/// Somebody was told that a decision is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminded {
    /// The case.
    pub case: CaseId,
    /// A reminder, or the escalation.
    pub reminder: Reminder,
    /// How many members and platforms did not confirm.
    pub unconfirmed: u64,
}

/// A decision that stands and waits for something, with its case locked.
pub(super) struct Waiting {
    pub case: Case,
    pub decision: DecisionId,
    pub awaiting: Awaiting,
}

impl Store {
    /// The latest decisions that stand, are out and wait for what their platforms do, within [`FOLLOWED_FOR`], at most [`FOLLOWED_DECISIONS_MAX`];
    /// and how many more there are.
    ///
    /// # Errors
    /// The database failed.
    pub async fn followed_decisions(&self) -> Result<(Vec<FollowedDecision>, u64), StoreError> {
        let failed = StoreError::database("find decisions to follow");
        let now = self.now().await.map_err(&failed)?;
        let from = "FROM awaited_decisions a JOIN cases c ON c.case_id = a.case_id AND c.decision_id = a.decision_id JOIN decisions d ON d.decision_id = a.decision_id \
                    WHERE a.out_at <= $1 AND a.out_at > $2 AND c.merged_into IS NULL AND (c.undo_until IS NULL OR c.undo_until <= $1) \
                    AND (c.dispute_fencing IS NULL OR d.fencing > c.dispute_fencing)";
        let values: [Value; 2] = [now.into(), (now - FOLLOWED_FOR).into()];
        let sql = format!(
            "SELECT a.decision_id, c.team, c.family, d.grounds {from} ORDER BY a.out_at DESC, a.decision_id LIMIT {FOLLOWED_DECISIONS_MAX}"
        );
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let mut left_out = 0;
        if rows.len() >= FOLLOWED_DECISIONS_MAX as usize {
            let sql = format!("SELECT count(*) AS decisions {from}");
            let counted = self.database().fetch(&sql, &values).await.map_err(&failed)?;
            let row = counted.first().ok_or(StoreError::Malformed { field: "decisions" })?;
            left_out = (row.integer("decisions").map_err(&failed)? as u64).saturating_sub(rows.len() as u64);
        }
        let platforms = match rows.is_empty() {
            true => BTreeMap::new(),
            false => self.platforms_of_parties().await?,
        };
        let followed = rows.iter().map(|row| {
            let team = team(row)?;
            let platforms = match team {
                Team::Party(party) => platforms.get(&party).cloned().unwrap_or_default(),
                Team::Coordinators => BTreeSet::new(),
            };
            Ok(FollowedDecision {
                decision: decision_id(&row.text("decision_id").map_err(&failed)?)?,
                team,
                family: family(row)?,
                platforms,
                exceptions: grounds_from_json(&row.text("grounds").map_err(&failed)?)?
                    .exceptions
                    .into_iter()
                    .collect(),
            })
        });
        Ok((followed.collect::<Result<_, StoreError>>()?, left_out))
    }

    async fn platforms_of_parties(&self) -> Result<BTreeMap<PartyId, BTreeSet<PlatformId>>, StoreError> {
        let sql = "SELECT l.party_id, l.platform_id FROM platforms l JOIN parties a ON a.party_id = l.party_id WHERE a.revoked_at IS NULL";
        let rows = self.database().fetch(sql, &[]).await;
        let rows = rows.map_err(StoreError::database("find the platforms of parties"))?;
        let mut platforms: BTreeMap<PartyId, BTreeSet<PlatformId>> = BTreeMap::new();
        for row in &rows {
            let party = PartyId(crate::party::number(row, "party_id")?);
            let platform = PlatformId(crate::party::number(row, "platform_id")?);
            platforms.entry(party).or_default().insert(platform);
        }
        Ok(platforms)
    }

    /// How a decision waits for what its platforms do; `None` of one that waits for nothing.
    ///
    /// # Errors
    /// The database failed.
    pub async fn awaiting(&self, decision: DecisionId) -> Result<Option<Awaiting>, StoreError> {
        let id = format!("{:032x}", decision.0);
        let rows = self.database().fetch(SELECT_AWAITING, &[id.into()]).await;
        let rows = rows.map_err(StoreError::database("read for what a decision waits"))?;
        rows.first().map(awaiting).transpose()
    }

    /// Tells those who decided, at the times that [`Awaiting`] names, of what is not confirmed: of at most [`REMINDED_MAX`] decisions, the first due
    /// before the others. Each time is told of once, however many dispatchers ask. What does not stand is not waited for, and while a
    /// person is asked about the case nobody is told.
    ///
    /// # Errors
    /// The database failed; what was told before stays so.
    pub async fn remind_unconfirmed(&self) -> Result<Vec<Reminded>, StoreError> {
        let failed = StoreError::database("find what is not confirmed");
        let now = self.now().await.map_err(&failed)?;
        let sql = format!(
            "SELECT decision_id, case_id FROM awaited_decisions WHERE due_at <= $1 ORDER BY due_at, decision_id LIMIT {REMINDED_MAX}"
        );
        let rows = self.database().fetch(&sql, &[now.into()]).await.map_err(&failed)?;
        let (mut reminded, mut failure) = (Vec::new(), None);
        for row in &rows {
            let decision = decision_id(&row.text("decision_id").map_err(&failed)?)?;
            let case = row.text("case_id").map_err(&failed)?;
            // One that cannot be read does not hold up those behind it. It is told of when nothing else is.
            match self.remind(decision, &case).await {
                Ok(told) => reminded.extend(told),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if reminded.is_empty() => Err(error),
            _ => Ok(reminded),
        }
    }

    async fn remind(&self, decision: DecisionId, case_id: &str) -> Result<Option<Reminded>, StoreError> {
        let failed = StoreError::database("remind of what is not confirmed");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let rows = locked(
            &mut transaction,
            "WHERE c.case_id = $1",
            &[case_id.into()],
            Locked::Cases,
        )
        .await;
        let rows = rows.map_err(&failed)?;
        let found = rows.first().map(case).transpose()?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let stands = match found {
            Some(case) => Waiting::read(&mut transaction, case, decision, now).await?,
            None => None,
        };
        let id = Value::from(format!("{:032x}", decision.0));
        let (sql, values) = match &stands {
            Some(waiting) if waiting.case.resting == Resting::Decided => ("", Vec::new()),
            // A person is asked just now: looked at again a little later.
            Some(_) => (
                "UPDATE awaited_decisions SET due_at = $2 WHERE decision_id = $1",
                vec![id, (now + REMIND_AFTER[0]).into()],
            ),
            None => (
                "UPDATE awaited_decisions SET since = NULL, told = 0, due_at = NULL WHERE decision_id = $1",
                vec![id],
            ),
        };
        let Some(mut waiting) = stands.filter(|_| sql.is_empty()) else {
            transaction.execute(sql, &values).await.map_err(&failed)?;
            transaction.commit().await.map_err(&failed)?;
            return Ok(None);
        };
        let counts = count_in(&mut transaction, &waiting.id()).await?;
        let reminder = waiting.awaiting.look(counts.unconfirmed, now);
        waiting.write(&mut transaction).await?;
        if let Some(reminder) = reminder {
            let members = unconfirmed_in(&mut transaction, &waiting.id(), UNCONFIRMED_TOLD_MAX).await?;
            waiting
                .tell(
                    &mut transaction,
                    (reminder, members),
                    (counts.unconfirmed, counts.all),
                    now,
                )
                .await?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(reminder.map(|reminder| Reminded {
            case: waiting.case.id,
            reminder,
            unconfirmed: counts.unconfirmed,
        }))
    }

    /// The team's decisions of the last [`FOLLOWED_FOR`] that stand and are not confirmed, those first that are so for longest; at most `limit`. With them the
    /// store's time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn unconfirmed_decisions(
        &self,
        team: Team,
        limit: u32,
    ) -> Result<(Vec<UnconfirmedDecision>, Timestamp), StoreError> {
        let failed = StoreError::database("find what is not confirmed");
        let now = self.now().await.map_err(&failed)?;
        let sql = "SELECT a.decision_id, a.awaits, a.since, a.told, c.case_id, c.family FROM awaited_decisions a \
                   JOIN cases c ON c.case_id = a.case_id AND c.decision_id = a.decision_id WHERE a.since IS NOT NULL AND a.out_at <= $2 AND a.out_at > $4 AND c.team = $1 \
                   AND c.merged_into IS NULL AND EXISTS (SELECT 1 FROM acknowledgements k WHERE k.decision_id = a.decision_id \
                   AND k.confirmed_at IS NULL) ORDER BY a.since, a.decision_id LIMIT $3";
        let values = [
            team.to_number().into(),
            now.into(),
            i64::from(limit).into(),
            (now - FOLLOWED_FOR).into(),
        ];
        let rows = self.database().fetch(sql, &values).await.map_err(&failed)?;
        let decisions = rows.iter().map(|row| {
            let case = row.text("case_id").map_err(&failed)?;
            Ok(UnconfirmedDecision {
                decision: decision_id(&row.text("decision_id").map_err(&failed)?)?,
                case: case.parse().map_err(|_| StoreError::Malformed { field: "case_id" })?,
                family: family(row)?,
                awaiting: awaiting(row)?,
            })
        });
        Ok((decisions.collect::<Result<_, StoreError>>()?, now))
    }

    /// How many members and platforms of decisions of the last [`FOLLOWED_FOR`] that are waited for did not confirm.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_unconfirmed(&self) -> Result<u64, StoreError> {
        let failed = StoreError::database("count what is not confirmed");
        let sql = "SELECT count(*) AS members FROM awaited_decisions a JOIN acknowledgements k ON k.decision_id = a.decision_id \
                   JOIN cases c ON c.case_id = a.case_id AND c.decision_id = a.decision_id WHERE a.since IS NOT NULL AND a.out_at > $1 AND c.merged_into IS NULL \
                   AND k.confirmed_at IS NULL";
        let since = self.now().await.map_err(&failed)? - FOLLOWED_FOR;
        let rows = self.database().fetch(sql, &[since.into()]).await.map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "members" })?;
        Ok(row.integer("members").map_err(&failed)? as u64)
    }
}

const SELECT_AWAITING: &str = "SELECT awaits, since, told FROM awaited_decisions WHERE decision_id = $1";

/// Keeps that a decision of a party waits for what its platforms do, if it does.
pub(crate) async fn begin_awaiting(
    transaction: &mut Transaction,
    case: &Case,
    decision: &CaseDecision,
    out_at: Timestamp,
) -> Result<(), StoreError> {
    let failed = StoreError::database("wait for what platforms do");
    // Coordinators have no platforms.
    if case.team == Team::Coordinators {
        return Ok(());
    }
    let case_id = case.id.to_string();
    let before = "SELECT 1 FROM awaited_decisions WHERE case_id = $1 AND awaits = $2 LIMIT 1";
    let asked = [case_id.as_str().into(), (Awaits::Removal as i64).into()];
    let before = transaction.fetch(before, &asked).await.map_err(&failed)?;
    let Some(awaits) = Awaits::of(&decision.ruling, !before.is_empty()) else {
        return Ok(());
    };
    let awaiting = Awaiting::new(awaits, out_at);
    let values = [
        format!("{:032x}", decision.id.0).into(),
        case_id.into(),
        (awaits as i64).into(),
        out_at.into(),
        Value::Integer(awaiting.since.map(|since| since.0)),
        i64::from(awaiting.told).into(),
        Value::Integer(awaiting.due_at().map(|due| due.0)),
    ];
    let sql = "INSERT INTO awaited_decisions (decision_id, case_id, awaits, out_at, since, told, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    transaction.execute(sql, &values).await.map(drop).map_err(failed)
}

/// A decision that was taken back waits for nothing.
pub(crate) async fn end_awaiting(transaction: &mut Transaction, decision: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM awaited_decisions WHERE decision_id = $1";
    let deleted = transaction.execute(sql, &[decision.into()]).await;
    deleted
        .map(drop)
        .map_err(StoreError::database("wait no more for what platforms do"))
}

/// The case of a decision that waits for something.
pub(super) async fn case_of(transaction: &mut Transaction, decision: DecisionId) -> Result<Option<String>, StoreError> {
    let failed = StoreError::database("find the case of a decision");
    let sql = "SELECT case_id FROM awaited_decisions WHERE decision_id = $1";
    let rows = transaction.fetch(sql, &[format!("{:032x}", decision.0).into()]).await;
    let rows = rows.map_err(&failed)?;
    rows.first().map(|row| row.text("case_id")).transpose().map_err(failed)
}

impl Waiting {
    /// `None` if the decision does not stand in its case, is not out or disputed, or waits for nothing.
    pub(super) async fn read(
        transaction: &mut Transaction,
        case: Case,
        decision: DecisionId,
        now: Timestamp,
    ) -> Result<Option<Waiting>, StoreError> {
        let stands = standing(&case, now).is_some_and(|told| told.decision.id == decision) && case.merged.is_none();
        if !stands {
            return Ok(None);
        }
        let id = format!("{:032x}", decision.0);
        let rows = transaction.fetch(SELECT_AWAITING, &[id.into()]).await;
        let rows = rows.map_err(StoreError::database("read for what a decision waits"))?;
        let awaiting = rows.first().map(awaiting).transpose()?;
        Ok(awaiting.map(|awaiting| Waiting {
            case,
            decision,
            awaiting,
        }))
    }

    pub(super) fn id(&self) -> String {
        format!("{:032x}", self.decision.0)
    }

    pub(super) async fn write(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let values = [
            self.id().into(),
            Value::Integer(self.awaiting.since.map(|since| since.0)),
            i64::from(self.awaiting.told).into(),
            Value::Integer(self.awaiting.due_at().map(|due| due.0)),
        ];
        let sql = "UPDATE awaited_decisions SET since = $2, told = $3, due_at = $4 WHERE decision_id = $1";
        let written = transaction.execute(sql, &values).await;
        written
            .map(drop)
            .map_err(StoreError::database("write for what a decision waits"))
    }

    async fn tell(
        &self,
        transaction: &mut Transaction,
        (reminder, members): (Reminder, Vec<MemberAcknowledgement>),
        (unconfirmed, of): (u64, u64),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let step = Step {
            case: self.case.id,
            who: None,
            kind: reminder.name(),
            about: self.awaiting.awaits.name(),
            note: &format!("{unconfirmed} of {of} members and platforms"),
        };
        write_step(transaction, &step, now).await?;
        let Some(told) = standing(&self.case, now) else {
            return Ok(());
        };
        let event = Unconfirmed {
            id: rand::random(),
            told,
            case: self.case.id,
            awaits: self.awaiting.awaits,
            reminder: match reminder {
                Reminder::Reminded(number) => Some(number),
                Reminder::Escalated => None,
            },
            unconfirmed,
            of,
            members: members.into_iter().map(UnconfirmedMember::of).collect(),
            at: now,
        };
        let readers = Readers::find(transaction).await?;
        readers.tell_unconfirmed(transaction, &event, now).await
    }
}

impl UnconfirmedMember {
    fn of(of: MemberAcknowledgement) -> UnconfirmedMember {
        UnconfirmedMember {
            content: of.content,
            hash: of.hash,
            platform: of.platform,
            asked: of.acknowledgement.asked,
            answered: of.acknowledgement.answered,
        }
    }
}

fn awaiting(row: &Row) -> Result<Awaiting, StoreError> {
    let failed = StoreError::database("read for what a decision waits");
    let awaits = Awaits::from_number(row.integer("awaits").map_err(&failed)?);
    let told = u8::try_from(row.integer("told").map_err(&failed)?);
    Ok(Awaiting {
        awaits: awaits.ok_or(StoreError::Malformed { field: "awaits" })?,
        since: row.integer_if_any("since").map_err(&failed)?.map(Timestamp),
        told: told.map_err(|_| StoreError::Malformed { field: "told" })?,
    })
}
