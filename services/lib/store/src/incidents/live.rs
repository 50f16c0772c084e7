//! The incidents that a level holds of, as those who answer look-ups hold them on behalf of everyone.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::Team;
use tocsin_incident::{Incident, IncidentId, Phase, Reader};
use tocsin_model::Name;

use super::{Asking, PackedHash, incident, packs, phase_number};
use crate::sharing_group::all_members;
use crate::{Store, StoreError};

/// All live incidents, and which teams are in which sharing groups, as of one moment. Whoever holds it tells each reader of those alone that
/// [`LiveIncidents::is_read_by`] lets through.
#[derive(Clone, Debug, Default)]
pub struct LiveIncidents {
    /// The incidents: activated and not concluded, by when they were declared.
    pub incidents: Vec<Incident>,
    groups: BTreeMap<Team, BTreeSet<Name>>,
}

impl LiveIncidents {
    /// Whether an incident is one that whoever asks may read, by the rule of [`Store::incident`].
    pub fn is_read_by(&self, incident: &Incident, asking: Asking) -> bool {
        let groups = asking.team.and_then(|team| self.groups.get(&team));
        incident.is_read_by(&Reader {
            key: asking.key,
            team: asking.team,
            groups: groups.cloned().unwrap_or_default(),
        })
    }
}

impl Store {
    /// The live incidents, for those who hold them on behalf of everyone. There are [`super::OPEN_INCIDENTS_MAX`] at most.
    ///
    /// # Errors
    /// The database failed.
    pub async fn live_incidents(&self) -> Result<LiveIncidents, StoreError> {
        let mut transaction = self.begin_reading_incidents().await?;
        let sql =
            "SELECT i.format, i.document FROM incidents i WHERE i.phase = $1 ORDER BY i.declared_at, i.incident_id";
        let rows = transaction.fetch(sql, &[phase_number(Phase::Active).into()]).await;
        let rows = rows.map_err(StoreError::database("read the live incidents"))?;
        let groups = match rows.is_empty() {
            true => BTreeMap::new(),
            false => all_members(&mut transaction).await?,
        };
        Ok(LiveIncidents {
            incidents: rows.iter().map(incident).collect::<Result<_, _>>()?,
            groups,
        })
    }

    /// The hashes of a pack, for those who hold them on behalf of everyone: what each reader is told is decided by them, by the incident and by
    /// [`PackedHash::for_all`]. `None`: there is no such pack. A pack never changes.
    ///
    /// # Errors
    /// The database failed.
    pub async fn packed_hashes(&self, id: IncidentId, number: u32) -> Result<Option<Vec<PackedHash>>, StoreError> {
        packs::hashes(self.database(), id, number).await
    }
}
