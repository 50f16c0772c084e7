use tocsin_incident::{Incident, IncidentId};
use tocsin_model::{Alert, Timestamp};

use super::command::{update, write_event};
use super::shared::tell_of_families;
use super::{incident, read};
use crate::StoreError;
use crate::database::{Locked, Transaction};

/// The open incidents that attach families by rules, as they are before a batch of alerts; not locked.
pub(crate) async fn with_rules(transaction: &mut Transaction) -> Result<Vec<Incident>, StoreError> {
    let sql = "SELECT i.format, i.document FROM incidents i WHERE i.phase < 3 AND i.rules > 0 ORDER BY i.incident_id";
    let rows = transaction.fetch(sql, &[]).await;
    let rows = rows.map_err(StoreError::database("read the rules of incidents"))?;
    rows.iter().map(incident).collect()
}

/// Attaches the family of an alert to the incidents whose rules take it, in the order of their ids, so that two dispatchers never wait for each other.
pub(crate) async fn ring(
    transaction: &mut Transaction,
    with_rules: &[Incident],
    alert: &Alert,
    now: Timestamp,
) -> Result<(), StoreError> {
    let takes = with_rules.iter().filter(|incident| incident.ring(alert).is_some());
    for id in takes.map(|incident| incident.id).collect::<Vec<IncidentId>>() {
        let locked = transaction.for_update(Locked::Incidents);
        let mut incident = read(transaction, id, locked).await?;
        // As it is now: it may have been concluded meanwhile, or have the family.
        let Some(event) = incident.ring(alert) else { continue };
        incident.take(&event, None, now);
        write_event(transaction, id, (&event, None), now).await?;
        tell_of_families(transaction, (&incident, &event), &[], now).await?;
        update(transaction, &incident).await?;
    }
    Ok(())
}
