//! A decision goes to every member of its family, those that it has and those that come: told once each, and held as the party's opinion.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::{Case, FamilyMember, Team};
use tocsin_model::{ContentHash, ContentId, DecisionId, FamilyId, Name, Opinion, Timestamp, ToldDecision, Verdict};

use super::merge::{end_of, lock, of_family};
use super::row::{SELECT_CASES, case, decision_id, team};
use super::shared::{forget_shared, note_shared};
use super::streams::streams_told;
use crate::database::{Row, Transaction, Value};
use crate::delivery::{MEMBERS_PER_EVENT_MAX, ToldMembers};
use crate::outbox::told_of;
use crate::readers::Readers;
use crate::watch::hold_opinions;
use crate::{Store, StoreError};

/// How many members one transaction tells at most.
pub const FAN_OUT_MAX: usize = 1_000;
/// How many rows one statement has.
const ROWS_PER_STATEMENT: usize = 200;

/// No appeal took the member (`member_decisions m`) out of what the team decided up to its decision (`decisions d`).
const IS_NOT_EXCEPTED: &str = "NOT EXISTS (SELECT 1 FROM appeal_exceptions x WHERE x.team = m.team AND x.content = m.content AND x.excepted_at >= d.decided_at)";

/// A decision whose family's members are to be told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueFan {
    /// Which decision.
    pub decision: DecisionId,
    /// Whose.
    pub team: Team,
    /// The family of the case that was decided.
    pub family: FamilyId,
}

/// What became of telling members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FannedOut {
    /// So many were not told of this decision before; none, where no decision stands that is out and undisputed.
    Told(usize),
    /// Somebody is at the case: again a little later.
    Later,
}

impl Store {
    /// Decisions that are out and of which members are still to be told one by one, the oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn due_fans(&self, limit: u32) -> Result<Vec<DueFan>, StoreError> {
        let failed = StoreError::database("find decisions to tell members of");
        let now = self.now().await.map_err(&failed)?;
        let sql = "SELECT f.decision_id, c.team, c.family FROM decision_fans f JOIN decisions d ON d.decision_id = f.decision_id \
                   JOIN cases c ON c.case_id = d.case_id WHERE f.due_at <= $1 ORDER BY f.due_at, f.decision_id LIMIT $2";
        let rows = self.database().fetch(sql, &[now.into(), i64::from(limit).into()]).await;
        let rows = rows.map_err(&failed)?;
        let due = rows.iter().map(|row| {
            Ok(DueFan {
                decision: decision_id(&row.text("decision_id").map_err(&failed)?)?,
                team: team(row)?,
                family: family(row)?,
            })
        });
        due.collect()
    }

    /// All members that are known were told of it.
    ///
    /// # Errors
    /// The database failed; it may be said again.
    pub async fn fan_done(&self, decision: DecisionId) -> Result<(), StoreError> {
        let failed = StoreError::database("note that members were told");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let id = format!("{:032x}", decision.0);
        let deleted = transaction
            .execute("DELETE FROM decision_fans WHERE decision_id = $1", &[id.into()])
            .await;
        deleted.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// The teams whose cases of these families are decided, or went into others that may be; of at most [`super::FAMILIES_MAX`] families.
    ///
    /// # Errors
    /// The database failed.
    pub async fn decided_families(&self, families: &[FamilyId]) -> Result<Vec<(Team, FamilyId)>, StoreError> {
        let failed = StoreError::database("find the decided cases of families");
        if families.is_empty() {
            return Ok(Vec::new());
        }
        let asked = families.iter().take(super::FAMILIES_MAX);
        let values: Vec<Value> = asked.map(|family| family.to_string().into()).collect();
        let names: Vec<String> = (1..=values.len()).map(|number| format!("${number}")).collect();
        let sql = format!(
            "SELECT team, family FROM cases WHERE family IN ({}) AND (decision_id IS NOT NULL OR merged_into IS NOT NULL) ORDER BY family, team",
            names.join(", ")
        );
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        rows.iter().map(|row| Ok((team(row)?, family(row)?))).collect()
    }

    /// Tells these members of a family of the decision that stands in the team's case of it, those that were not told of it and are not excepted: for
    /// each endpoint of the team that takes decisions they become deliveries, [`MEMBERS_PER_EVENT_MAX`] in one, and where the team is a party's they
    /// become its opinion of what everybody may see, in its own bank. What was said of a member later goes before what was said earlier. At most
    /// [`FAN_OUT_MAX`] members.
    ///
    /// # Errors
    /// The database failed; it may be said again, and is told once.
    pub async fn fan_out(
        &self,
        (team, family): (Team, FamilyId),
        members: &[FamilyMember],
    ) -> Result<FannedOut, StoreError> {
        let failed = StoreError::database("tell members of a decision");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let fanned = fan_out(self, &mut transaction, (team, family), members).await?;
        match fanned {
            FannedOut::Told(count) if count > 0 => transaction.commit().await,
            FannedOut::Told(_) | FannedOut::Later => transaction.rollback().await,
        }
        .map_err(&failed)?;
        Ok(fanned)
    }

    /// The content that founded a family, where the team's case of it shows an alert of it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn founder(&self, team: Team, family: FamilyId) -> Result<Option<FamilyMember>, StoreError> {
        let sql = format!("{SELECT_CASES} WHERE c.family = $1 AND c.team = $2");
        let values = [family.to_string().into(), team.to_number().into()];
        let rows = self.database().fetch(&sql, &values).await;
        let rows = rows.map_err(StoreError::database("find the founder of a family"))?;
        let found = rows.first().map(case).transpose()?;
        // The case may show an alert of a family that joined this one.
        let found = found.filter(|case| case.alert.as_ref().is_some_and(|alert| alert.family == family));
        Ok(found.map(|case| FamilyMember {
            content: family.0,
            hash: case.hash,
            said_at: Timestamp(i64::MIN),
            is_for_all: case.all_episode.number > 0,
        }))
    }

    /// Of which decision of the team each of these contents was told last; those that were told of any, and that no appeal took out of it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn member_decisions(
        &self,
        team: Team,
        contents: &[ContentId],
    ) -> Result<BTreeMap<ContentId, DecisionId>, StoreError> {
        let failed = StoreError::database("read what members were told of");
        let mut told = BTreeMap::new();
        for contents in contents.chunks(FAN_OUT_MAX) {
            let mut values: Vec<Value> = vec![team.to_number().into()];
            values.extend(contents.iter().map(|content| Value::from(content.to_string())));
            let names: Vec<String> = (2..=values.len()).map(|number| format!("${number}")).collect();
            let sql = format!(
                "SELECT m.content, m.decision_id FROM member_decisions m JOIN decisions d ON d.decision_id = m.decision_id \
                 WHERE m.team = $1 AND m.content IN ({}) AND {IS_NOT_EXCEPTED}",
                names.join(", ")
            );
            for row in &self.database().fetch(&sql, &values).await.map_err(&failed)? {
                told.insert(content(row)?, decision_id(&row.text("decision_id").map_err(&failed)?)?);
            }
        }
        Ok(told)
    }

    /// How many members were told of a decision and of none since, and were not taken out of it by an appeal.
    ///
    /// # Errors
    /// The database failed.
    pub async fn members_told(&self, decision: DecisionId) -> Result<u64, StoreError> {
        let failed = StoreError::database("count the members that were told");
        let sql = format!(
            "SELECT count(*) AS members FROM member_decisions m JOIN decisions d ON d.decision_id = m.decision_id \
             WHERE m.decision_id = $1 AND {IS_NOT_EXCEPTED}"
        );
        let id = format!("{:032x}", decision.0);
        let rows = self.database().fetch(&sql, &[id.into()]).await.map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "members" })?;
        Ok(row.integer("members").map_err(&failed)? as u64)
    }
}

async fn fan_out(
    store: &Store,
    transaction: &mut Transaction,
    (team, family): (Team, FamilyId),
    members: &[FamilyMember],
) -> Result<FannedOut, StoreError> {
    let failed = StoreError::database("tell members of a decision");
    let Some(case) = of_family(transaction, team, family).await? else {
        return Ok(FannedOut::Told(0));
    };
    let Some(end) = end_of(transaction, case, None).await? else {
        return Ok(FannedOut::Later);
    };
    // Held until all is written: whoever decides anew waits, and what members are told of last is what stands.
    let Some([case]) = lock(transaction, [&end]).await? else {
        return Ok(FannedOut::Later);
    };
    let now = store.inner.clock.now(transaction).await.map_err(&failed)?;
    let Some(told) = standing(&case, now) else {
        return Ok(FannedOut::Told(0));
    };
    let excepted: BTreeSet<ContentId> = told.grounds.exceptions.iter().copied().collect();
    let contents: Vec<ContentId> = members.iter().take(FAN_OUT_MAX).map(|member| member.content).collect();
    let by_appeal = crate::appeals::excepted(transaction, (team, told.decision.at), &contents).await?;
    let meant = members
        .iter()
        .take(FAN_OUT_MAX)
        .filter(|member| !excepted.contains(&member.content) && !by_appeal.contains(&member.content));
    let meant: BTreeMap<ContentId, &FamilyMember> = meant.map(|member| (member.content, member)).collect();
    let all: Vec<&FamilyMember> = meant.values().copied().collect();
    let mut new: Vec<(ContentId, ContentHash)> = Vec::new();
    for members in all.chunks(ROWS_PER_STATEMENT) {
        let written = write(transaction, (team, family), (&told, now), members).await?;
        new.extend(
            written
                .iter()
                .filter_map(|content| meant.get(content))
                .map(|member| (member.content, member.hash.clone())),
        );
    }
    new.sort_unstable();
    let streams = match new.is_empty() {
        true => Vec::new(),
        false => streams_told(transaction, case.id, &told).await?,
    };
    let readers = Readers::find(transaction).await?;
    for members in new.chunks(MEMBERS_PER_EVENT_MAX) {
        let event = ToldMembers {
            id: rand::random(),
            told: told.clone(),
            members: members.to_vec(),
            automated: false,
            streams: streams.clone(),
        };
        readers.tell_members(transaction, &event, now).await?;
    }
    if let Some(party) = party_name(transaction, team).await? {
        let seen_by_all = new
            .iter()
            .filter(|(content, _)| meant.get(content).is_some_and(|member| member.is_for_all));
        let hashes: Vec<&ContentHash> = seen_by_all.map(|(_, hash)| hash).collect();
        let held = opinion(told.decision.verdict);
        hold_opinions(transaction, (&party, held), &hashes, (told.decision.at, now)).await?;
        // Whoever reads the bank knows of it now. That something is harmless calls nobody to look for it.
        let is_shared = matches!(held, Some(Opinion::Positive | Opinion::InvestigationSeed));
        match is_shared {
            _ if hashes.is_empty() => {}
            true => note_shared(transaction, team, &BTreeSet::from([case.family]), now).await?,
            false => forget_shared(transaction, team, &case).await?,
        }
    }
    Ok(FannedOut::Told(new.len()))
}

/// The decision of a case as members are told of it: out, and undisputed.
pub(super) fn standing(case: &Case, now: Timestamp) -> Option<ToldDecision> {
    let decision = case.decision_out(now).filter(|_| !case.is_disputed())?;
    Some(told_of(case, decision))
}

/// What a decision says in a bank: what is news, or disputed, is neither harmless nor what a bank is for.
fn opinion(verdict: Verdict) -> Option<Opinion> {
    match verdict {
        Verdict::Violating => Some(Opinion::Positive),
        Verdict::Benign => Some(Opinion::Negative),
        Verdict::NeedsExpert => Some(Opinion::InvestigationSeed),
        Verdict::Newsworthy | Verdict::Disputed => None,
    }
}

/// Writes which decision these members are told of; those that were told of another one, or of none. Where the founder belongs the case itself says.
async fn write(
    transaction: &mut Transaction,
    (team, family): (Team, FamilyId),
    (told, now): (&ToldDecision, Timestamp),
    members: &[&FamilyMember],
) -> Result<Vec<ContentId>, StoreError> {
    let failed = StoreError::database("write what members are told of");
    let mut values: Vec<Value> = vec![
        team.to_number().into(),
        format!("{:032x}", told.decision.id.0).into(),
        now.into(),
        family.to_string().into(),
    ];
    let mut rows = Vec::with_capacity(members.len());
    for member in members {
        let first = values.len() + 1;
        rows.push(format!("($1, ${first}, $2, ${}, $3, $4)", first + 1));
        values.extend([member.content.to_string().into(), member.said_at.into()]);
    }
    let sql = format!(
        "INSERT INTO member_decisions (team, content, decision_id, said_at, told_at, belongs_to) VALUES {} ON CONFLICT (team, content) DO UPDATE \
         SET decision_id = excluded.decision_id, told_at = excluded.told_at, belongs_to = excluded.belongs_to, \
         said_at = CASE WHEN member_decisions.said_at > excluded.said_at THEN member_decisions.said_at ELSE excluded.said_at END \
         WHERE member_decisions.decision_id <> excluded.decision_id \
         AND (member_decisions.said_at <= excluded.said_at OR member_decisions.content = $4) RETURNING content",
        rows.join(", ")
    );
    let written = transaction.fetch(&sql, &values).await.map_err(&failed)?;
    written.iter().map(content).collect()
}

pub(crate) async fn party_name(transaction: &mut Transaction, team: Team) -> Result<Option<Name>, StoreError> {
    let failed = StoreError::database("find a party's name");
    let Team::Party(party) = team else {
        return Ok(None);
    };
    let sql = "SELECT name FROM parties WHERE party_id = $1 AND revoked_at IS NULL";
    let rows = transaction
        .fetch(sql, &[i64::from(party.0).into()])
        .await
        .map_err(&failed)?;
    let name = rows.first().map(|row| row.text("name")).transpose().map_err(&failed)?;
    name.map(|name| name.parse().map_err(|_| StoreError::Malformed { field: "name" }))
        .transpose()
}

pub(super) fn family(row: &Row) -> Result<FamilyId, StoreError> {
    let text = row.text("family").map_err(StoreError::database("read a family"))?;
    ContentId::parse(&text)
        .map(FamilyId)
        .ok_or(StoreError::Malformed { field: "family" })
}

pub(super) fn content(row: &Row) -> Result<ContentId, StoreError> {
    let text = row.text("content").map_err(StoreError::database("read a member"))?;
    ContentId::parse(&text).ok_or(StoreError::Malformed { field: "content" })
}
