use tocsin_casework::Team;
use tocsin_incident::{By, Command, Declaration, Event, Incident, IncidentId, Origin, Refusal};
use tocsin_model::{Class, ContentId, FamilyId, KeyId, Timestamp};

use super::message::{IncidentMessage, told_teams};
use super::shared::tell_of_families;
use super::{Asking, FORMAT, PackedHash, packs, phase_number, protocols, read};
use crate::database::{Locked, Transaction};
use crate::party::is_revoked;
use crate::readers::Readers;
use crate::sharing_group::groups_of;
use crate::{Store, StoreError};

/// How many incidents may be open at once: each is followed by every dispatcher.
pub const OPEN_INCIDENTS_MAX: usize = 64;

/// An incident to declare.
#[derive(Clone, Debug)]
pub struct NewIncident {
    /// What it is declared with.
    pub declaration: Declaration,
    /// Families that belong to it from the start, beside that of its alert or case.
    pub families: Vec<FamilyId>,
}

/// An incident after a command.
#[derive(Clone, Debug)]
pub struct IncidentChanged {
    /// The incident.
    pub incident: Incident,
    /// What happened.
    pub event: Event,
    /// The identity of that, in the timeline.
    pub event_id: u128,
    /// The store's time.
    pub now: Timestamp,
}

impl Store {
    /// Declares an incident under a protocol that is kept with it. The family of its alert or case belongs to it, and so do those named.
    ///
    /// # Errors
    /// A [`Refusal`], [`StoreError::KeyRevoked`], or the database failed.
    pub async fn declare_incident(
        &self,
        asking: Asking,
        id: IncidentId,
        new: &NewIncident,
    ) -> Result<IncidentChanged, StoreError> {
        let failed = StoreError::database("declare an incident");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, asking.key).await?;
        let by = by(&mut transaction, asking, None).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let (mut incident, declared) = Incident::declare(id, &by, &new.declaration, now)?;
        let protocol = protocols::find(&mut transaction, &incident.protocol).await?;
        let protocol = protocol.ok_or(Refusal::NoSuchProtocol)?;
        protocols::keep(&mut transaction, &protocol, now).await?;
        refuse_one_too_many(&mut transaction).await?;
        let mut families: Vec<FamilyId> = family_of(&mut transaction, &incident.origin)
            .await?
            .into_iter()
            .collect();
        families.extend(
            new.families
                .iter()
                .filter(|family| !families.contains(family))
                .collect::<Vec<_>>(),
        );
        insert(&mut transaction, &incident).await?;
        let person = Some((asking.key, by.team));
        let event_id = write_event(&mut transaction, id, (&declared, person), now).await?;
        for family in families {
            let attached = incident.decide(&protocol.protocol, &by, &Command::Attach { family }, now)?;
            incident.take(&attached, person, now);
            write_event(&mut transaction, id, (&attached, person), now).await?;
        }
        update(&mut transaction, &incident).await?;
        tell_of_families(&mut transaction, (&incident, &declared), &[], now).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(IncidentChanged {
            incident,
            event: declared,
            event_id,
            now,
        })
    }

    /// Carries out what somebody does with an incident, and all that follows from it, or nothing: an invitation is written with its deliveries. Which
    /// sharing groups a team is in that is invited is filled in here.
    ///
    /// # Errors
    /// A [`Refusal`]; [`Refusal::NoSuchIncident`] also for one that is not shared with whoever asks; [`StoreError::NoSuchParty`] and
    /// [`StoreError::PartyRevoked`] of a party that is invited; [`StoreError::KeyRevoked`]; or the database failed.
    pub async fn command_incident(
        &self,
        asking: Asking,
        about: (IncidentId, Option<u64>),
        command: &Command,
    ) -> Result<IncidentChanged, StoreError> {
        self.change_incident(asking, about, (command, &[])).await
    }

    /// As [`Store::command_incident`]; the hashes of a pack that is made are kept with it.
    pub(super) async fn change_incident(
        &self,
        asking: Asking,
        (id, version): (IncidentId, Option<u64>),
        (command, hashes): (&Command, &[PackedHash]),
    ) -> Result<IncidentChanged, StoreError> {
        let failed = StoreError::database("change an incident");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        // The key first, then the incident, as with cases.
        crate::key::check_not_revoked(&mut transaction, asking.key).await?;
        let by = by(&mut transaction, asking, version).await?;
        let locked = transaction.for_update(Locked::Incidents);
        let mut incident = read(&mut transaction, id, locked).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let protocol = protocols::find(&mut transaction, &incident.protocol).await?;
        let protocol = protocol.ok_or(StoreError::Malformed { field: "protocol" })?.protocol;
        let mut command = command.clone();
        let mut is_there = Ok(());
        if let Command::Invite { team, groups, .. } = &mut command {
            *groups = groups_of(&mut transaction, *team).await?;
            is_there = check_party(&mut transaction, *team).await;
        }
        // Who may not invite learns nothing of which parties there are.
        let event = incident.decide(&protocol, &by, &command, now)?;
        is_there?;
        if matches!(event, Event::Reopened { .. }) {
            refuse_one_too_many(&mut transaction).await?;
        }
        let person = (asking.key, by.team);
        incident.take(&event, Some(person), now);
        let event_id = write_event(&mut transaction, id, (&event, Some(person)), now).await?;
        update(&mut transaction, &incident).await?;
        if let Event::PackMade { number, .. } = &event {
            packs::keep(&mut transaction, (id, *number), hashes).await?;
        }
        tell_of_families(&mut transaction, (&incident, &event), hashes, now).await?;
        let level = incident.level.and_then(|level| protocol.levels.get(level as usize));
        let level = level.map(|level| level.name.as_str());
        if let Some(message) = IncidentMessage::of(&incident, level, (event_id, &event, now)) {
            let teams = told_teams(&mut transaction, &incident, &event).await?;
            let readers = Readers::find(&mut transaction).await?;
            let told = (format!("{event_id:032x}"), message);
            readers
                .tell_incident(&mut transaction, (&told.0, &told.1), &teams, now)
                .await?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(IncidentChanged {
            incident,
            event,
            event_id,
            now,
        })
    }
}

async fn by(transaction: &mut Transaction, asking: Asking, version: Option<u64>) -> Result<By, StoreError> {
    // Those who run the deployment read what is clear, and take part in nothing.
    let team = asking.team.ok_or(Refusal::CoordinatorsOnly)?;
    Ok(By {
        who: asking.key,
        team,
        groups: groups_of(transaction, team).await?,
        version,
    })
}

async fn check_party(transaction: &mut Transaction, team: Team) -> Result<(), StoreError> {
    let Team::Party(party) = team else { return Ok(()) };
    match is_revoked(transaction, party, StoreError::database("find a party")).await? {
        true => Err(StoreError::PartyRevoked { party }),
        false => Ok(()),
    }
}

async fn refuse_one_too_many(transaction: &mut Transaction) -> Result<(), StoreError> {
    let failed = StoreError::database("count the incidents");
    let sql = "SELECT count(*) AS incidents FROM incidents WHERE phase < 3";
    let rows = transaction.fetch(sql, &[]).await.map_err(&failed)?;
    let row = rows.first().ok_or(StoreError::Malformed { field: "incidents" })?;
    match row.integer("incidents").map_err(&failed)? < OPEN_INCIDENTS_MAX as i64 {
        true => Ok(()),
        false => Err(Refusal::TooManyIncidents.into()),
    }
}

/// The family that an alert or a case is about. Of alerts those count that coordinators may see.
async fn family_of(transaction: &mut Transaction, origin: &Origin) -> Result<Option<FamilyId>, StoreError> {
    let (sql, id, team) = match origin {
        Origin::Hand | Origin::Notice { .. } => return Ok(None),
        Origin::Alert { alert } => (
            "SELECT family FROM applied_alerts WHERE alert_id = $1 AND class <= $2",
            alert.to_string(),
            i64::from(Class::Coordinators.number()),
        ),
        Origin::Case { case } => (
            "SELECT family FROM cases WHERE case_id = $1 AND team = $2",
            case.to_string(),
            Team::Coordinators.to_number(),
        ),
    };
    let failed = StoreError::database("find what an incident is declared from");
    let rows = transaction
        .fetch(sql, &[id.into(), team.into()])
        .await
        .map_err(&failed)?;
    let text = rows
        .first()
        .ok_or(Refusal::NoSuchOrigin)?
        .text("family")
        .map_err(&failed)?;
    let family = ContentId::parse(&text).ok_or(StoreError::Malformed { field: "family" })?;
    Ok(Some(FamilyId(family)))
}

async fn insert(transaction: &mut Transaction, incident: &Incident) -> Result<(), StoreError> {
    transaction
        .execute(
            "INSERT INTO incidents (incident_id, declared_at, phase, rules, format, document) VALUES ($1, $2, 1, 0, $3, '')",
            &[incident.id.to_string().into(), incident.declared_at.into(), FORMAT.into()],
        )
        .await
        .map(drop)
        .map_err(StoreError::database("declare an incident"))
}

pub(super) async fn update(transaction: &mut Transaction, incident: &Incident) -> Result<(), StoreError> {
    let document = serde_json::to_string(incident).expect("numbers, text and lists are always JSON");
    transaction
        .execute(
            "UPDATE incidents SET phase = $2, rules = $3, format = $4, document = $5 WHERE incident_id = $1",
            &[
                incident.id.to_string().into(),
                phase_number(incident.phase()).into(),
                (incident.rules.len() as i64).into(),
                FORMAT.into(),
                document.into(),
            ],
        )
        .await
        .map(drop)
        .map_err(StoreError::database("change an incident"))
}

/// Writes down what happened; its identity.
pub(super) async fn write_event(
    transaction: &mut Transaction,
    incident: IncidentId,
    (event, by): (&Event, Option<(KeyId, Team)>),
    now: Timestamp,
) -> Result<u128, StoreError> {
    let id: u128 = rand::random();
    let document = serde_json::to_string(event).expect("numbers, text and lists are always JSON");
    transaction
        .execute(
            "INSERT INTO incident_events (event_id, incident_id, at, key_id, team, format, document) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                format!("{id:032x}").into(),
                incident.to_string().into(),
                now.into(),
                by.map(|(key, _)| key.to_string()).into(),
                by.map(|(_, team)| team.to_number()).into(),
                FORMAT.into(),
                document.into(),
            ],
        )
        .await
        .map_err(StoreError::database("write down what happened to an incident"))?;
    Ok(id)
}
