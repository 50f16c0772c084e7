//! Who took part in incidents.

use tocsin_incident::{Incident, Participant, Task};
use tocsin_report::{PartRow, ParticipationRow};

use super::Reading;
use crate::StoreError;
use crate::database::Row;
use crate::incidents::incident;

/// So many incidents are read at a time: each is a whole document.
const INCIDENTS_PAGE: usize = 20;

impl Reading {
    pub(super) async fn participations(&mut self) -> Result<(), StoreError> {
        let period = *self.tally.period();
        let sql = "SELECT i.incident_id, i.declared_at, i.format, i.document FROM incidents i WHERE i.declared_at >= $1 AND i.declared_at < $2 \
             AND (i.declared_at, i.incident_id) > ($3, $4) ORDER BY i.declared_at, i.incident_id";
        let fixed = [period.begins().into(), period.ends().into()];
        let after = vec![i64::MIN.into(), "".into()];
        let next = |row: &Row| {
            Ok(vec![
                row.integer("declared_at")?.into(),
                row.text("incident_id")?.into(),
            ])
        };
        self.pages_of(INCIDENTS_PAGE, sql, (&fixed, after), next, async |_, tally, rows| {
            for row in rows {
                let incident = incident(row)?;
                for participant in &incident.participants {
                    tally.participation(&participation(&incident, participant));
                }
            }
            Ok(())
        })
        .await
    }
}

fn participation(incident: &Incident, participant: &Participant) -> ParticipationRow {
    // What was given after it left was not for it to do.
    let is_left = |task: &Task| participant.left_at.is_some_and(|left| left <= task.given_at);
    let has_part = |task: &&Task| task.with.contains(&participant.class) && !is_left(task);
    let part = |task: &Task| PartRow {
        since: task.given_at.max(participant.invited_at),
        due: task.due,
        done_at: task
            .parts
            .iter()
            .find(|done| done.team == participant.team)
            .map(|done| done.at),
    };
    ParticipationRow {
        team: participant.team,
        declared_at: incident.declared_at,
        invited_at: participant.invited_at,
        acknowledged_at: participant.acknowledged_at,
        parts: incident.tasks.iter().filter(has_part).map(part).collect(),
    }
}
