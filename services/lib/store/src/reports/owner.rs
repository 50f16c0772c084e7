use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::Team;
use tocsin_model::{Name, PartyId, PlatformId};
use tocsin_report::Owner;

use crate::database::Transaction;
use crate::party::{name, number};
use crate::{InReports, StoreError};

/// Whose report it is: a party's own platforms and itself; of the coordinators all platforms, and the parties that agreed to be named, with theirs.
pub(super) async fn read(transaction: &mut Transaction, team: Team) -> Result<Owner, StoreError> {
    let failed = StoreError::database("read whose report it is");
    let sql = "SELECT party_id, name, in_reports, revoked_at FROM parties ORDER BY party_id";
    let mut parties: BTreeMap<PartyId, Name> = BTreeMap::new();
    for row in &transaction.fetch(sql, &[]).await.map_err(&failed)? {
        let id = PartyId(number(row, "party_id")?);
        // A party that is revoked could not take it back any more.
        let is_revoked = row.integer_if_any("revoked_at").map_err(&failed)?.is_some();
        let setting = InReports::from_number(row.integer("in_reports").map_err(&failed)?);
        let agreed = setting == Some(InReports::Named) && !is_revoked;
        let is_told = match team {
            Team::Party(own) => id == own,
            Team::Coordinators => agreed,
        };
        if is_told {
            parties.insert(id, name(row, "name")?);
        }
    }
    let sql = "SELECT platform_id, party_id, name FROM platforms ORDER BY platform_id";
    let (mut platforms, mut named) = (BTreeMap::new(), BTreeSet::new());
    for row in &transaction.fetch(sql, &[]).await.map_err(&failed)? {
        let (platform, party) = (
            PlatformId(number(row, "platform_id")?),
            PartyId(number(row, "party_id")?),
        );
        if parties.contains_key(&party) {
            named.insert(platform);
        }
        if team == Team::Party(party) || team == Team::Coordinators {
            platforms.insert(platform, name(row, "name")?);
        }
    }
    let name = match team {
        Team::Coordinators => "coordinators".to_owned(),
        Team::Party(id) => match parties.get(&id) {
            Some(name) => name.to_string(),
            None => {
                let party = id.0.to_string();
                return Err(StoreError::NoSuchParty { party });
            }
        },
    };
    Ok(Owner {
        team,
        name,
        platforms,
        named,
        parties,
    })
}
