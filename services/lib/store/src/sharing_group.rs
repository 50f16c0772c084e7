use std::collections::{BTreeMap, BTreeSet};

use tocsin_audit::{Action, Entry, Field, Personal};
use tocsin_casework::Team;
use tocsin_model::{Name, Timestamp};

use crate::audit::changed;
use crate::cases::team;
use crate::database::Transaction;
use crate::party::name;
use crate::{Store, StoreError};

/// How many sharing groups a deployment has at most.
pub const GROUPS_MAX: usize = 256;

/// Teams that share with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharingGroup {
    /// Its name. Never given to another.
    pub name: Name,
    /// Who is in it, by number of the team.
    pub members: Vec<Team>,
    /// When it was added, by the store's clock.
    pub added_at: Timestamp,
}

impl Store {
    /// Adds a sharing group without members.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`], also when there are [`GROUPS_MAX`] already under other names; or the database failed.
    pub async fn add_sharing_group(&self, group: &Name) -> Result<(), StoreError> {
        let failed = StoreError::database("add a sharing group");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let sql = "INSERT INTO sharing_groups (group_name, added_at) \
             SELECT $1, $2 WHERE (SELECT count(*) FROM sharing_groups) < $3 ON CONFLICT (group_name) DO NOTHING";
        let values = [group.as_str().into(), now.into(), (GROUPS_MAX as i64).into()];
        match transaction.execute(sql, &values).await.map_err(&failed)? {
            0 => Err(StoreError::NameTaken { name: group.clone() }),
            _ => {
                let added = about_group("added", group, None);
                self.append_audit(&mut transaction, now, &[added]).await?;
                transaction.commit().await.map_err(&failed)
            }
        }
    }

    /// Says whether a team is in a sharing group from now on. What was shared with the group before follows: who is taken out reads it no more.
    ///
    /// # Errors
    /// [`StoreError::NoSuchSharingGroup`], or the database failed.
    pub async fn set_sharing_group_member(&self, group: &Name, member: Team, is_in: bool) -> Result<(), StoreError> {
        let failed = StoreError::database("change a sharing group");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let known = "SELECT 1 FROM sharing_groups WHERE group_name = $1";
        let known = transaction
            .fetch(known, &[group.as_str().into()])
            .await
            .map_err(&failed)?;
        if known.is_empty() {
            return Err(StoreError::NoSuchSharingGroup { group: group.clone() });
        }
        let sql = match is_in {
            true => "INSERT INTO sharing_group_members (group_name, team) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            false => "DELETE FROM sharing_group_members WHERE group_name = $1 AND team = $2",
        };
        let values = [group.as_str().into(), member.to_number().into()];
        if transaction.execute(sql, &values).await.map_err(&failed)? > 0 {
            let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
            let change = if is_in { "member added" } else { "member taken out" };
            let changed = about_group(change, group, Some(member));
            self.append_audit(&mut transaction, now, &[changed]).await?;
        }
        transaction.commit().await.map_err(&failed)
    }

    /// All sharing groups, by name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sharing_groups(&self) -> Result<Vec<SharingGroup>, StoreError> {
        let failed = StoreError::database("read the sharing groups");
        let sql = "SELECT g.group_name, g.added_at, m.team FROM sharing_groups g \
             LEFT JOIN sharing_group_members m ON m.group_name = g.group_name ORDER BY g.group_name, m.team";
        let rows = self.database().fetch(sql, &[]).await.map_err(&failed)?;
        let mut groups: Vec<SharingGroup> = Vec::new();
        for row in &rows {
            let name = name(row, "group_name")?;
            if groups.last().is_none_or(|group| group.name != name) {
                groups.push(SharingGroup {
                    name,
                    members: Vec::new(),
                    added_at: Timestamp(row.integer("added_at").map_err(&failed)?),
                });
            }
            if let (Some(group), Some(_)) = (groups.last_mut(), row.integer_if_any("team").map_err(&failed)?) {
                group.members.push(team(row)?);
            }
        }
        Ok(groups)
    }
}

/// What the audit chain says of a group. That it exists, and who is in it, is for some alone: it stands in clear beside the chain.
fn about_group(change: &str, group: &Name, member: Option<Team>) -> Entry {
    let about = match member {
        None => group.to_string(),
        Some(Team::Coordinators) => format!("{group}: coordinators"),
        Some(Team::Party(party)) => format!("{group}: party {}", party.0),
    };
    Entry {
        personal: vec![Personal::new(Field::About, about)],
        ..changed(Action::GroupChanged, "a sharing group", change)
    }
}

/// The groups that a team is in.
pub(crate) async fn groups_of(transaction: &mut Transaction, team: Team) -> Result<BTreeSet<Name>, StoreError> {
    let sql = "SELECT group_name FROM sharing_group_members WHERE team = $1";
    let rows = transaction.fetch(sql, &[team.to_number().into()]).await;
    let rows = rows.map_err(StoreError::database("read the groups of a team"))?;
    rows.iter().map(|row| name(row, "group_name")).collect()
}

/// The groups that each team is in.
pub(crate) async fn all_members(transaction: &mut Transaction) -> Result<BTreeMap<Team, BTreeSet<Name>>, StoreError> {
    let rows = transaction
        .fetch("SELECT group_name, team FROM sharing_group_members", &[])
        .await;
    let rows = rows.map_err(StoreError::database("read the groups of all teams"))?;
    let mut groups: BTreeMap<Team, BTreeSet<Name>> = BTreeMap::new();
    for row in &rows {
        groups.entry(team(row)?).or_default().insert(name(row, "group_name")?);
    }
    Ok(groups)
}
