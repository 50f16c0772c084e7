use std::collections::HashMap;

use tocsin_model::{Alert, Milliseconds, PartyId, PlatformId, Scope};

use crate::cases::{case, insert, locked, update};
use crate::database::{Locked, Transaction};
use crate::paging::note_page_score;
use crate::party::number;
use crate::readers::Readers;
use crate::{Store, StoreError};
use tocsin_casework::{AlertEffect, Case, CaseId, Team, UNREVIEWED_BELOW, concerns, opens_for};

/// What a batch of alerts did to the cases: how many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertEffects {
    /// New cases.
    pub opened: u64,
    /// Closed or decided cases that came back into the queue.
    pub reopened: u64,
    /// Cases whose figures changed.
    pub updated: u64,
    /// Open cases that were closed because the spread subsided.
    pub closed_unreviewed: u64,
    /// Cases to which an alert of an episode that is over said nothing.
    pub stale: u64,
    /// Alerts that had been applied before.
    pub duplicates: u64,
}

impl AlertEffects {
    /// Both together.
    pub fn plus(self, other: AlertEffects) -> AlertEffects {
        AlertEffects {
            opened: self.opened + other.opened,
            reopened: self.reopened + other.reopened,
            updated: self.updated + other.updated,
            closed_unreviewed: self.closed_unreviewed + other.closed_unreviewed,
            stale: self.stale + other.stale,
            duplicates: self.duplicates + other.duplicates,
        }
    }

    fn count(&mut self, effect: AlertEffect) {
        match effect {
            AlertEffect::Opened => self.opened += 1,
            AlertEffect::Reopened => self.reopened += 1,
            AlertEffect::Updated => self.updated += 1,
            AlertEffect::ClosedUnreviewed => self.closed_unreviewed += 1,
            AlertEffect::Stale => self.stale += 1,
        }
    }
}

impl Store {
    /// Applies one alert, with [`UNREVIEWED_BELOW`] for the floor; see [`Store::apply_alerts`].
    ///
    /// # Errors
    /// As [`Store::apply_alerts`].
    pub async fn apply_alert(&self, alert: &Alert) -> Result<AlertEffects, StoreError> {
        self.apply_alerts(std::slice::from_ref(alert), UNREVIEWED_BELOW).await
    }

    /// Opens, updates and closes the cases that these alerts concern, in their order. An alert that was applied before (by its id) does
    /// nothing. A new one becomes a delivery for the endpoints of those who may see it. All of them are applied or, on an error, none.
    ///
    /// # Errors
    /// The database failed; the same alerts may be tried again.
    pub async fn apply_alerts(&self, alerts: &[Alert], floor: f64) -> Result<AlertEffects, StoreError> {
        let failed = StoreError::database("apply alerts");
        let mut effects = AlertEffects::default();
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let parties = match alerts.iter().any(|alert| alert.scope == Scope::All) {
            true => parties_by_platform(&mut transaction).await?,
            false => HashMap::new(),
        };
        let readers = Readers::find(&mut transaction).await?;
        let ringing = crate::incidents::with_rules(&mut transaction).await?;
        for alert in alerts {
            let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
            let is_new = transaction
                .execute(
                    "INSERT INTO applied_alerts (alert_id, applied_at, family, class) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (alert_id) DO NOTHING",
                    &[
                        alert.id.to_string().into(),
                        now.into(),
                        alert.family.to_string().into(),
                        i64::from(alert.scope.own_class().number()).into(),
                    ],
                )
                .await
                .map_err(&failed)?;
            if is_new == 0 {
                effects.duplicates += 1;
                continue;
            }
            let page = note_page_score(&mut transaction, alert).await.map_err(&failed)?;
            readers.tell_alert(&mut transaction, (alert, page), now).await?;
            crate::incidents::ring(&mut transaction, &ringing, alert, now).await?;
            let mut cases = cases_of_family(&mut transaction, alert).await?;
            let mut to_open = opens_for(alert, |platform| parties.get(&platform).copied());
            to_open.retain(|team| !cases.iter().any(|case| case.team == *team));
            for team in to_open {
                let opened = Case::open(CaseId(rand::random()), team, alert, now);
                match insert(&mut transaction, &opened, now).await.map_err(&failed)? {
                    0 => cases.extend(case_opened_meanwhile(&mut transaction, alert, team).await?),
                    _ => effects.count(AlertEffect::Opened),
                }
            }
            for mut case in cases {
                if concerns(alert, case.team) {
                    let effect = case.apply_alert(alert, floor, now);
                    update(&mut transaction, &case, now).await.map_err(&failed)?;
                    effects.count(effect);
                }
            }
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(effects)
    }

    /// Forgets which alerts were applied longer than `age` ago; how many. `age` must be longer than the log keeps alerts.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_applied_alerts(&self, age: Milliseconds) -> Result<u64, StoreError> {
        let failed = StoreError::database("forget applied alerts");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let forgotten = transaction
            .execute(
                "DELETE FROM applied_alerts WHERE applied_at < $1",
                &[(now - age).into()],
            )
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(forgotten)
    }
}

/// The parties that are not revoked, by platform.
async fn parties_by_platform(transaction: &mut Transaction) -> Result<HashMap<PlatformId, PartyId>, StoreError> {
    let rows = transaction
        .fetch(
            "SELECT l.platform_id, l.party_id FROM platforms l JOIN parties a ON a.party_id = l.party_id WHERE a.revoked_at IS NULL",
            &[],
        )
        .await
        .map_err(StoreError::database("find the parties of platforms"))?;
    rows.iter()
        .map(|row| {
            Ok((
                PlatformId(number(row, "platform_id")?),
                PartyId(number(row, "party_id")?),
            ))
        })
        .collect()
}

/// The cases of the family that an alert may concern, locked in the order of teams, so that two dispatchers never wait for each other. What rings in the
/// scope of one team locks no other team's case: its claims would pass over it, and so be told of what is not theirs.
async fn cases_of_family(transaction: &mut Transaction, alert: &Alert) -> Result<Vec<Case>, StoreError> {
    let mut values = vec![alert.family.to_string().into()];
    let mut clause = "WHERE c.family = $1".to_owned();
    if let Some(team) = Team::of_scope(alert.scope) {
        values.push(team.to_number().into());
        clause.push_str(" AND c.team = $2");
    }
    clause.push_str(" ORDER BY c.team");
    let rows = locked(transaction, &clause, &values, Locked::Cases)
        .await
        .map_err(StoreError::database("find the cases of a family"))?;
    rows.iter().map(case).collect()
}

/// The case that another dispatcher opened between our look and our insert.
async fn case_opened_meanwhile(
    transaction: &mut Transaction,
    alert: &Alert,
    team: Team,
) -> Result<Option<Case>, StoreError> {
    let values = [alert.family.to_string().into(), team.to_number().into()];
    let rows = locked(
        transaction,
        "WHERE c.family = $1 AND c.team = $2",
        &values,
        Locked::Cases,
    )
    .await
    .map_err(StoreError::database("find the case of a family"))?;
    rows.first().map(case).transpose()
}
