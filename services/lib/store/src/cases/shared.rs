//! When a team first told others of a family, and which copies were posted in spite of it: the clocks *shared* and *leaked*.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::{Case, CaseId, ClockKind, Team};
use tocsin_model::{FamilyId, Milliseconds, PlatformId, Timestamp};

use super::clocks::{Clock, note_clock};
use super::fan_out::family;
use super::locked;
use super::row::{case, team};
use crate::database::{Locked, Row, Transaction};
use crate::{Store, StoreError};

/// For so long after others were told it is asked whether copies were posted in spite of it.
pub const SHARED_FOR: Milliseconds = Milliseconds::from_hours(7 * 24);
/// Of so many families at most: those that others were told of last.
pub const SHARED_FAMILIES_MAX: i64 = 4_096;
/// How many platforms' clocks are set at a time.
const SHARED_CLOCKS_AT_ONCE: i64 = 256;

/// A family that others were told of, in the case that people see of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedFamily {
    /// Who told others.
    pub team: Team,
    /// The team's case of it, or the one that this went into.
    pub case: CaseId,
    /// The family of that case.
    pub family: FamilyId,
    /// When others were first told, by the store's clock.
    pub at: Timestamp,
    /// The team's own platforms; `None`: all, of the coordinators.
    pub platforms: Option<BTreeSet<PlatformId>>,
}

/// The families that others were told of lately, each with the case that people see: `$1` after when, at most `$2`.
const SHARED: &str = "(SELECT s.team, s.at, COALESCE(m.case_id, c.case_id) AS case_id, COALESCE(m.family, c.family) AS family \
     FROM (SELECT team, family, at FROM shared_families WHERE at > $1 ORDER BY at DESC, team, family LIMIT $2) s \
     JOIN cases c ON c.family = s.family AND c.team = s.team LEFT JOIN cases m ON m.case_id = c.merged_into)";

impl Store {
    /// The families that others were told of within [`SHARED_FOR`], the latest [`SHARED_FAMILIES_MAX`], as far as the team has a case of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn shared_families(&self) -> Result<Vec<SharedFamily>, StoreError> {
        let failed = StoreError::database("read what others were told of");
        let mut reading = self.database().begin_reading().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut reading).await.map_err(&failed)?;
        let sql = format!("SELECT s.team, s.at, s.case_id, s.family FROM {SHARED} s ORDER BY s.at, s.case_id");
        let values = [(now - SHARED_FOR).into(), SHARED_FAMILIES_MAX.into()];
        let rows = reading.fetch(&sql, &values).await.map_err(&failed)?;
        let platforms = reading.fetch("SELECT platform_id, party_id FROM platforms", &[]).await;
        let mut of_parties: BTreeMap<i64, BTreeSet<PlatformId>> = BTreeMap::new();
        for row in &platforms.map_err(&failed)? {
            let party = row.integer("party_id").map_err(&failed)?;
            of_parties.entry(party).or_default().insert(platform(row)?);
        }
        reading.rollback().await.map_err(&failed)?;
        let shared = rows.iter().map(|row| {
            let team = team(row)?;
            let of_party =
                |party: tocsin_model::PartyId| of_parties.get(&i64::from(party.0)).cloned().unwrap_or_default();
            Ok(SharedFamily {
                team,
                case: case_id(row)?,
                family: family(row)?,
                at: Timestamp(row.integer("at").map_err(&failed)?),
                platforms: team.party().map(of_party),
            })
        });
        shared.collect()
    }

    /// Sets the clock *shared* of each of the team's platforms that saw a family which others were told of, where it is not set yet; how many were set, at most
    /// some hundreds at a time.
    ///
    /// # Errors
    /// The database failed; what was set before stays.
    pub async fn set_shared_clocks(&self) -> Result<usize, StoreError> {
        let failed = StoreError::database("find what others were told of");
        let now = self.now().await.map_err(&failed)?;
        let [seen, shared] = [ClockKind::FirstSeen as i64, ClockKind::Shared as i64];
        let sql = format!(
            "SELECT s.case_id, k.platform_id, min(s.at) AS at FROM {SHARED} s \
             JOIN case_clocks k ON k.case_id = s.case_id AND k.clock = {seen} \
             LEFT JOIN platforms l ON l.platform_id = k.platform_id \
             LEFT JOIN case_clocks h ON h.case_id = s.case_id AND h.platform_id = k.platform_id AND h.clock = {shared} \
             WHERE (s.team = $3 OR l.party_id = s.team - $4) AND (h.at IS NULL OR h.at > s.at) \
             GROUP BY s.case_id, k.platform_id ORDER BY s.case_id, k.platform_id LIMIT {SHARED_CLOCKS_AT_ONCE}"
        );
        let first_party = Team::Party(tocsin_model::PartyId(0)).to_number();
        let values = [
            (now - SHARED_FOR).into(),
            SHARED_FAMILIES_MAX.into(),
            Team::Coordinators.to_number().into(),
            first_party.into(),
        ];
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let mut missing: BTreeMap<CaseId, Vec<Clock>> = BTreeMap::new();
        for row in &rows {
            let at = Timestamp(row.integer("at").map_err(&failed)?);
            let clock = (platform(row)?, ClockKind::Shared, at);
            missing.entry(case_id(row)?).or_default().push(clock);
        }
        for (case, clocks) in missing {
            self.set_clocks(case, &clocks).await?;
        }
        Ok(rows.len())
    }

    /// Keeps when copies were first posted on platforms after others were told of the family of a case, where nothing was kept yet.
    ///
    /// # Errors
    /// The database failed; it may be told again.
    pub async fn note_leaks(&self, case: CaseId, leaks: &[(PlatformId, Timestamp)]) -> Result<(), StoreError> {
        let clocks: Vec<Clock> = leaks
            .iter()
            .map(|(platform, at)| (*platform, ClockKind::Leaked, *at))
            .collect();
        self.set_clocks(case, &clocks).await
    }

    /// The case first, as whoever carries its clocks along does. Of leaks the first that is told counts: later a coarser time may be known of it.
    async fn set_clocks(&self, id: CaseId, clocks: &[Clock]) -> Result<(), StoreError> {
        let failed = StoreError::database("set clocks of a case");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let values = [id.to_string().into()];
        let rows = locked(&mut transaction, "WHERE c.case_id = $1", &values, Locked::Cases).await;
        if rows.map_err(&failed)?.first().map(case).transpose()?.is_none() {
            return transaction.rollback().await.map_err(&failed);
        }
        for clock in clocks {
            let (platform, kind, _) = *clock;
            if kind == ClockKind::Leaked && is_set(&mut transaction, id, (platform, kind)).await? {
                continue;
            }
            note_clock(&mut transaction, id, *clock).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }
}

/// Others than the team are told of these families; the first time counts.
pub(crate) async fn note_shared(
    transaction: &mut Transaction,
    team: Team,
    families: &BTreeSet<FamilyId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO shared_families (team, family, at) VALUES ($1, $2, $3) ON CONFLICT (team, family) DO NOTHING";
    for family in families {
        let values = [team.to_number().into(), family.to_string().into(), now.into()];
        let noted = transaction.execute(sql, &values).await;
        noted.map_err(StoreError::database("note that others are told of a family"))?;
    }
    Ok(())
}

/// What a team says of the family of a case calls nobody to look for it any more, nor for those whose cases went into this one: no copy is a leak from now on.
/// Clocks that were set stay.
pub(super) async fn forget_shared(transaction: &mut Transaction, team: Team, case: &Case) -> Result<(), StoreError> {
    let sql = "DELETE FROM shared_families WHERE team = $1 AND (family = $2 \
               OR family IN (SELECT family FROM cases WHERE team = $1 AND merged_into = $3))";
    let values = [
        team.to_number().into(),
        case.family.to_string().into(),
        case.id.to_string().into(),
    ];
    let forgotten = transaction.execute(sql, &values).await;
    forgotten
        .map(drop)
        .map_err(StoreError::database("note that others are told of a family no more"))
}

async fn is_set(
    transaction: &mut Transaction,
    case: CaseId,
    (platform, kind): (PlatformId, ClockKind),
) -> Result<bool, StoreError> {
    let sql = "SELECT at FROM case_clocks WHERE case_id = $1 AND platform_id = $2 AND clock = $3";
    let values = [
        case.to_string().into(),
        i64::from(platform.0).into(),
        (kind as i64).into(),
    ];
    let rows = transaction.fetch(sql, &values).await;
    Ok(!rows.map_err(StoreError::database("read a clock of a case"))?.is_empty())
}

fn platform(row: &Row) -> Result<PlatformId, StoreError> {
    let number = row
        .integer("platform_id")
        .map_err(StoreError::database("read a platform"))?;
    let number = u16::try_from(number).map_err(|_| StoreError::Malformed { field: "platform_id" })?;
    Ok(PlatformId(number))
}

fn case_id(row: &Row) -> Result<CaseId, StoreError> {
    let text = row.text("case_id").map_err(StoreError::database("read a case"))?;
    text.parse().map_err(|_| StoreError::Malformed { field: "case_id" })
}
