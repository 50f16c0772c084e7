use serde::{Deserialize, Serialize};
use tocsin_casework::Team;
use tocsin_incident::{Event, Incident, IncidentId, Reader, Tlp};
use tocsin_model::{KeyId, Timestamp};

use crate::StoreError;
use crate::database::Transaction;
use crate::sharing_group::groups_of;

/// What a party is told about an incident in which it takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentMessage {
    /// The identity of what happened, in the timeline.
    pub event: u128,
    /// The incident.
    pub incident: IncidentId,
    /// What it is called.
    pub title: String,
    /// The name and version of its protocol.
    pub protocol: (String, u32),
    /// How far this may go.
    pub tlp: Tlp,
    /// `invited`, `reminded`, `activated`, `level_changed`, `concluded` or `reopened`.
    pub kind: String,
    /// The level that holds, or is activated.
    pub level: Option<String>,
    /// What whoever did it says.
    pub says: String,
    /// When.
    pub at: Timestamp,
}

/// Its stored form.
#[derive(Serialize, Deserialize)]
struct Stored {
    event: String,
    incident: String,
    title: String,
    protocol: (String, u32),
    tlp: Tlp,
    kind: String,
    level: Option<String>,
    says: String,
    at: i64,
}

impl IncidentMessage {
    /// What is told of an event, if it is one that is told. `level` is the name of the level that holds.
    pub(super) fn of(
        incident: &Incident,
        level: Option<&str>,
        (id, event, at): (u128, &Event, Timestamp),
    ) -> Option<IncidentMessage> {
        let says = match event {
            Event::Invited { message, .. } | Event::Reminded { message, .. } => message,
            Event::Activated { reason, .. }
            | Event::LevelChanged { reason, .. }
            | Event::Concluded { reason, .. }
            | Event::Reopened { reason } => reason,
            _ => return None,
        };
        Some(IncidentMessage {
            event: id,
            incident: incident.id,
            title: incident.title.clone(),
            protocol: (incident.protocol.name.clone(), incident.protocol.version),
            tlp: incident.marking.tlp,
            kind: event.name().to_owned(),
            level: level.map(str::to_owned),
            says: says.clone(),
            at,
        })
    }

    pub(crate) fn to_json(&self) -> String {
        let stored = Stored {
            event: format!("{:032x}", self.event),
            incident: self.incident.to_string(),
            title: self.title.clone(),
            protocol: self.protocol.clone(),
            tlp: self.tlp,
            kind: self.kind.clone(),
            level: self.level.clone(),
            says: self.says.clone(),
            at: self.at.0,
        };
        serde_json::to_string(&stored).expect("numbers and text are always JSON")
    }

    pub(crate) fn from_json(text: &str) -> Result<IncidentMessage, StoreError> {
        let malformed = || StoreError::Malformed {
            field: "incident_message",
        };
        let stored: Stored = serde_json::from_str(text).map_err(|_| malformed())?;
        Ok(IncidentMessage {
            event: tocsin_model::parse_hex_id(&stored.event).map_err(|_| malformed())?,
            incident: stored.incident.parse().map_err(|_| malformed())?,
            title: stored.title,
            protocol: stored.protocol,
            tlp: stored.tlp,
            kind: stored.kind,
            level: stored.level,
            says: stored.says,
            at: Timestamp(stored.at),
        })
    }
}

/// The teams that are told of an event: whom it is about, or everyone who takes part; and of them those who may read the incident.
pub(super) async fn told_teams(
    transaction: &mut Transaction,
    incident: &Incident,
    event: &Event,
) -> Result<Vec<Team>, StoreError> {
    let teams: Vec<Team> = match event {
        Event::Invited { team, .. } | Event::Reminded { team, .. } => vec![*team],
        _ => {
            let parties = incident
                .participants
                .iter()
                .filter(|participant| participant.takes_part());
            parties.map(|participant| participant.team).collect()
        }
    };
    let mut told = Vec::with_capacity(teams.len());
    for team in teams {
        let reader = Reader {
            // No key of that team: what goes to an endpoint goes to the team.
            key: KeyId(!incident.declared_by.0),
            team: Some(team),
            groups: groups_of(transaction, team).await?,
        };
        if incident.is_read_by(&reader) {
            told.push(team);
        }
    }
    Ok(told)
}
