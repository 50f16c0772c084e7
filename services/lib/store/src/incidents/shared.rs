//! Whoever may read an incident is told of its families: for the coordinators' clocks.

use std::collections::BTreeSet;

use tocsin_casework::Team;
use tocsin_incident::{Event, Incident, Reader};
use tocsin_model::{FamilyId, KeyId, PartyId, Timestamp};

use super::PackedHash;
use crate::StoreError;
use crate::cases::note_shared;
use crate::database::Transaction;
use crate::sharing_group::groups_of;

/// Notes of which families others are told by what happened to an incident, or is packed: one that is attached, all when somebody comes to it, those of a pack.
pub(super) async fn tell_of_families(
    transaction: &mut Transaction,
    (incident, event): (&Incident, &Event),
    packed: &[PackedHash],
    now: Timestamp,
) -> Result<(), StoreError> {
    let of_incident = incident.families.iter().map(|attached| attached.family);
    let families: BTreeSet<FamilyId> = match event {
        Event::Declared { .. } | Event::Invited { .. } => of_incident.collect(),
        Event::Attached { family, .. } => BTreeSet::from([*family]),
        // What not everybody may see stays with the coordinators.
        Event::PackMade { .. } => packed
            .iter()
            .filter(|packed| packed.for_all)
            .map(|packed| packed.family)
            .collect(),
        _ => return Ok(()),
    };
    if families.is_empty() || !is_read_by_others(transaction, incident).await? {
        return Ok(());
    }
    note_shared(transaction, Team::Coordinators, &families, now).await
}

/// Whether a party may read it.
async fn is_read_by_others(transaction: &mut Transaction, incident: &Incident) -> Result<bool, StoreError> {
    let failed = StoreError::database("find who reads an incident");
    let parties = "SELECT party_id FROM parties WHERE revoked_at IS NULL";
    for row in &transaction.fetch(parties, &[]).await.map_err(&failed)? {
        let party = u16::try_from(row.integer("party_id").map_err(&failed)?);
        let team = Team::Party(PartyId(party.map_err(|_| StoreError::Malformed { field: "party_id" })?));
        let reader = Reader {
            // No key of that team.
            key: KeyId(!incident.declared_by.0),
            team: Some(team),
            groups: groups_of(transaction, team).await?,
        };
        if incident.is_read_by(&reader) {
            return Ok(true);
        }
    }
    Ok(false)
}
