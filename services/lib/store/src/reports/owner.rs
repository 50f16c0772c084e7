use std::collections::BTreeMap;

use tocsin_casework::Team;
use tocsin_model::{Name, PartyId, PlatformId};
use tocsin_report::Owner;

use crate::StoreError;
use crate::database::Transaction;
use crate::party::{name, number};

/// Whose report it is: a party's own platforms and itself; of the coordinators all platforms, and the parties that agreed to be named.
pub(super) async fn read(transaction: &mut Transaction, team: Team) -> Result<Owner, StoreError> {
    let failed = StoreError::database("read whose report it is");
    let sql = "SELECT platform_id, party_id, name FROM platforms ORDER BY platform_id";
    let mut platforms = BTreeMap::new();
    for row in &transaction.fetch(sql, &[]).await.map_err(&failed)? {
        let of = Team::Party(PartyId(number(row, "party_id")?));
        if team == of || team == Team::Coordinators {
            platforms.insert(PlatformId(number(row, "platform_id")?), name(row, "name")?);
        }
    }
    let sql = "SELECT party_id, name, in_reports FROM parties ORDER BY party_id";
    let mut parties: BTreeMap<PartyId, Name> = BTreeMap::new();
    for row in &transaction.fetch(sql, &[]).await.map_err(&failed)? {
        let id = PartyId(number(row, "party_id")?);
        let agreed = row.integer("in_reports").map_err(&failed)? == 1;
        let is_told = match team {
            Team::Party(own) => id == own,
            Team::Coordinators => agreed,
        };
        if is_told {
            parties.insert(id, name(row, "name")?);
        }
    }
    let named = match team {
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
        name: named,
        platforms,
        parties,
    })
}
