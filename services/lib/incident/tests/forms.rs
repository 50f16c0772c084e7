//! Goal: what was stored by this version reads back for ever. Never edit these lines: a changed form is a new name of an event.
#![allow(clippy::unwrap_used)]

use tocsin_incident::{Event, Incident, IncidentId};
use tocsin_model::{KeyId, Timestamp};

/// One event of every kind, as it is stored.
const EVENTS: &str = include_str!("golden/events-1.jsonl");
/// The incident that they make.
const INCIDENT: &str = include_str!("golden/incident-1.json");

#[test]
fn every_event_reads_back_and_is_written_alike() {
    let mut names = std::collections::BTreeSet::new();
    let mut incident: Option<Incident> = None;
    for (at, line) in EVENTS.lines().enumerate() {
        let event: Event = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), line);
        names.insert(event.name());
        let (at, team) = (
            Timestamp(1_800_000_000_000 + at as i64),
            tocsin_casework::Team::Coordinators,
        );
        match &mut incident {
            None => incident = Incident::declared(IncidentId(0xabc), KeyId(1), &event, at),
            Some(incident) => {
                let team = match event.name() {
                    "acknowledged" | "left" | "part_done" => tocsin_casework::Team::Party(tocsin_model::PartyId(7)),
                    _ => team,
                };
                incident.take(&event, Some((KeyId(1), team)), at);
            }
        }
    }
    assert_eq!(names.len(), 21, "{names:?}");
    let incident = incident.unwrap();
    assert_eq!(serde_json::from_str::<Incident>(INCIDENT).unwrap(), incident);
    assert_eq!(serde_json::to_string(&incident).unwrap(), INCIDENT.trim_end());
}
