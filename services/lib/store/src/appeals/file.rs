//! Filing an appeal: what it comes down to, and how many may wait.

use std::collections::BTreeSet;

use tocsin_casework::{
    Against, Appeal, AppealEvent, AppealFiling, AppealId, AppealRefusal, AppealSubject, Case, CaseId, OPEN_APPEALS_MAX,
    OPEN_APPEALS_OF_TEAM_MAX, Team,
};
use tocsin_evidence::{Basis, Origin};
use tocsin_model::{ContentId, DecisionId, FamilyId, KeyId, PlatformId, Timestamp};

use super::row::{self, SELECT_APPEALS, appeal};
use super::{Appealed, give_up, happened, write_history};
use crate::cases::deciders::{cases_of, told};
use crate::cases::lineage::Lineage;
use crate::cases::{SELECT_CASES, case};
use crate::database::{Transaction, Value};
use crate::{Store, StoreError};

impl Store {
    /// Files an appeal about a content of what is known as this family. The same appeal again, by its reference, is [`AppealEvent::SaidBefore`].
    ///
    /// What it is against is found by the decision that it names; else by the decision that the content was told of last; else by the team's case of the
    /// family. What is refused by a listing alone has no case. A decision that is named has to be about the content: it was told of one of the same
    /// case, or belongs to the family, or founded it.
    ///
    /// # Errors
    /// As [`AppealFiling::file`]; [`AppealRefusal::Differs`], [`AppealRefusal::NoSuchDecision`], [`AppealRefusal::OtherContent`],
    /// [`AppealRefusal::ForeignPlatform`] and [`AppealRefusal::TooMany`]; [`StoreError::KeyRevoked`]; or the database failed.
    pub async fn file_appeal(
        &self,
        (team, by): (Team, KeyId),
        (content, family): (ContentId, FamilyId),
        filing: &AppealFiling,
    ) -> Result<Appealed, StoreError> {
        let failed = StoreError::database("file an appeal");
        filing.check()?;
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, by).await?;
        if let Some(before) = named_so(&mut transaction, team, filing).await? {
            return self.appealed_before(transaction, filing, before).await;
        }
        if !is_own_platform(&mut transaction, team, filing.platform).await? {
            return give_up(transaction, AppealRefusal::ForeignPlatform).await;
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let subject = match Box::pin(subject(&mut transaction, team, (content, family), (filing, now))).await {
            Ok(subject) => subject,
            Err(error) => return give_up(transaction, error).await,
        };
        let filed = match filing.file(AppealId(rand::random()), (team, by), subject, now) {
            Ok(filed) => filed,
            Err(refusal) => return give_up(transaction, refusal).await,
        };
        if is_full(&mut transaction, &filed).await? {
            return give_up(transaction, AppealRefusal::TooMany).await;
        }
        if row::insert(&mut transaction, &filed).await.map_err(&failed)? == 0 {
            // Filed by another dispatcher between our look and our insert.
            let before = named_so(&mut transaction, team, filing).await?;
            let before = before.ok_or(AppealRefusal::Differs)?;
            return self.appealed_before(transaction, filing, before).await;
        }
        // The words stand in the appeal.
        write_history(&mut transaction, (&filed, by), (AppealEvent::Filed, ""), now).await?;
        if let Some(case) = filed.case {
            let of_appeal = (Basis::of_appeal(&filing.reference), Origin::Appeal(filed.id), false);
            Box::pin(self.preserve_for(&mut transaction, (team, case), of_appeal, (Some(by), now))).await?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(happened(filed, AppealEvent::Filed, now))
    }

    /// The answer to an appeal that was filed before; nothing of the transaction is kept.
    async fn appealed_before(
        &self,
        mut transaction: Transaction,
        filing: &AppealFiling,
        before: Appeal,
    ) -> Result<Appealed, StoreError> {
        let failed = StoreError::database("file an appeal");
        if !filing.says(&before) {
            return give_up(transaction, AppealRefusal::Differs).await;
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        transaction.rollback().await.map_err(&failed)?;
        Ok(happened(before, AppealEvent::SaidBefore, now))
    }
}

/// The team's case and decision that an appeal comes down to: the case of the content's own family, also where it went into another, for it may leave
/// that again.
async fn subject(
    transaction: &mut Transaction,
    team: Team,
    (content, family): (ContentId, FamilyId),
    (filing, now): (&AppealFiling, Timestamp),
) -> Result<AppealSubject, StoreError> {
    let told = told(transaction, team, &BTreeSet::from([content])).await?;
    let told = told.get(&content).copied();
    let named = match filing.against {
        Against::Decision(id) => Some(id),
        Against::Block => told,
    };
    let decided = match named {
        None => None,
        Some(id) => decided_case(transaction, (team, id), now).await?,
    };
    if matches!(filing.against, Against::Decision(_)) && decided.is_none() {
        return Err(AppealRefusal::NoSuchDecision.into());
    }
    let of_told = cases_of(transaction, &told.into_iter().collect()).await?;
    let known = BTreeSet::from([FamilyId(content), family]);
    let cases = decided.iter().copied().chain(of_told.values().copied()).collect();
    let lineage = Lineage::of(transaction, team, (&cases, &known)).await?;
    let (of_content, of_family) = (lineage.case_of(FamilyId(content)), lineage.case_of(family));
    let case = match decided {
        // The one that it founded, unless its family is another by now.
        None => of_content
            .filter(|own| of_family.is_none_or(|other| lineage.end(*own) == lineage.end(other)))
            .or(of_family),
        Some(decided) => {
            let is_same = |case: &CaseId| lineage.end(*case) == lineage.end(decided);
            let own = of_content.filter(is_same).or(of_family.filter(is_same));
            let is_about = own.is_some() || of_told.values().any(is_same);
            if !is_about && !is_founder(transaction, decided, filing).await? {
                return Err(AppealRefusal::OtherContent.into());
            }
            Some(own.unwrap_or(decided))
        }
    };
    let decision = match (case, named.filter(|_| decided.is_some())) {
        (Some(case), None) => standing(transaction, lineage.end(case), now).await?,
        (_, named) => named,
    };
    Ok(AppealSubject {
        content,
        family: case.and_then(|case| lineage.family(case)).unwrap_or(family),
        case,
        decision,
    })
}

/// The case of a decision of the team that is out and was not taken back.
async fn decided_case(
    transaction: &mut Transaction,
    (team, decision): (Team, DecisionId),
    now: Timestamp,
) -> Result<Option<CaseId>, StoreError> {
    let sql = format!(
        "{SELECT_CASES} WHERE c.team = $1 AND c.case_id = (SELECT n.case_id FROM decisions n WHERE n.decision_id = $2 AND n.withdrawn_at IS NULL)"
    );
    let values = [team.to_number().into(), format!("{:032x}", decision.0).into()];
    let rows = transaction.fetch(&sql, &values).await;
    let rows = rows.map_err(StoreError::database("find what an appeal is against"))?;
    let case = rows.first().map(case).transpose()?;
    let is_held = |case: &Case| {
        let stands = case.decision.as_ref().is_some_and(|made| made.id == decision);
        stands && case.undo_until(now).is_some()
    };
    Ok(case.filter(|case| !is_held(case)).map(|case| case.id))
}

/// The decision of a case that is out.
async fn standing(transaction: &mut Transaction, id: CaseId, now: Timestamp) -> Result<Option<DecisionId>, StoreError> {
    let case = case_by_id(transaction, id).await?;
    let out = case.as_ref().and_then(|case| case.decision_out(now));
    Ok(out.map(|decision| decision.id))
}

/// Whether a case shows this content as that which founded its family.
async fn is_founder(transaction: &mut Transaction, id: CaseId, filing: &AppealFiling) -> Result<bool, StoreError> {
    let case = case_by_id(transaction, id).await?;
    Ok(case.is_some_and(|case| case.hash == filing.content))
}

async fn case_by_id(transaction: &mut Transaction, id: CaseId) -> Result<Option<Case>, StoreError> {
    let failed = StoreError::database("find the case of an appeal");
    let sql = format!("{SELECT_CASES} WHERE c.case_id = $1");
    let rows = transaction.fetch(&sql, &[id.to_string().into()]).await;
    rows.map_err(&failed)?.first().map(case).transpose()
}

/// Whether a platform is the party's; the coordinators have none of their own, and say what they were told.
async fn is_own_platform(transaction: &mut Transaction, team: Team, platform: PlatformId) -> Result<bool, StoreError> {
    let Team::Party(party) = team else {
        return Ok(true);
    };
    let sql = "SELECT 1 AS own FROM platforms WHERE platform_id = $1 AND party_id = $2";
    let values = [i64::from(platform.0).into(), i64::from(party.0).into()];
    let rows = transaction.fetch(sql, &values).await;
    Ok(!rows
        .map_err(StoreError::database("ask whose a platform is"))?
        .is_empty())
}

/// Whether as many appeals of the team wait as may: about the family, or about anything.
async fn is_full(transaction: &mut Transaction, appeal: &Appeal) -> Result<bool, StoreError> {
    let of_team = "SELECT count(*) AS appeals FROM appeals WHERE team = $1 AND outcome IS NULL";
    let team = appeal.team.to_number();
    if count(transaction, of_team, &[team.into()]).await? >= OPEN_APPEALS_OF_TEAM_MAX {
        return Ok(true);
    }
    let of_family = format!("{of_team} AND family = $2");
    let values = [team.into(), appeal.family.to_string().into()];
    Ok(count(transaction, &of_family, &values).await? >= OPEN_APPEALS_MAX)
}

async fn count(transaction: &mut Transaction, sql: &str, values: &[Value]) -> Result<usize, StoreError> {
    let failed = StoreError::database("count the appeals that wait");
    let rows = transaction.fetch(sql, values).await.map_err(&failed)?;
    let row = rows.first().ok_or(StoreError::Malformed { field: "appeals" })?;
    Ok(row.integer("appeals").map_err(&failed)? as usize)
}

/// The appeal of this reference.
async fn named_so(
    transaction: &mut Transaction,
    team: Team,
    filing: &AppealFiling,
) -> Result<Option<Appeal>, StoreError> {
    let sql = format!("{SELECT_APPEALS} FROM appeals a WHERE a.team = $1 AND a.reference = $2");
    let values = [team.to_number().into(), filing.reference.as_str().into()];
    let rows = transaction.fetch(&sql, &values).await;
    let rows = rows.map_err(StoreError::database("find an appeal by its reference"))?;
    rows.first().map(appeal).transpose()
}
