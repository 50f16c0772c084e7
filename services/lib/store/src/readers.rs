//! Who is told of an event, and the deliveries that it becomes.

use tocsin_casework::{Team, concerns};
use tocsin_model::{Alert, KeyId, Name, Timestamp, ToldDecision};

use crate::database::{Transaction, Value};
use crate::endpoint::{DeliveryEventKind, Reader, open_endpoints};
use crate::ozone_told::OzoneTold;
use crate::paging::EpisodePage;
use crate::{
    EndpointKind, IncidentMessage, StoreError, ToldAppeal, ToldMembers, ToldNotice, ToldSubject, Unconfirmed,
    alert_json, decision_json, digest_id, email_told,
};

/// The endpoints that an event may go to, read once in a transaction.
pub(crate) struct Readers(Vec<Reader>);

impl Readers {
    pub(crate) async fn find(transaction: &mut Transaction) -> Result<Readers, StoreError> {
        open_endpoints(transaction).await.map(Readers)
    }

    /// Makes an alert a delivery for every endpoint of those who may see it.
    pub(crate) async fn tell_alert(
        &self,
        transaction: &mut Transaction,
        (alert, page): (&Alert, EpisodePage),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let document = || alert_json::to_json(alert);
        let event = (DeliveryEventKind::Alert, alert.id.to_string());
        let is_told = |reader: &Reader| {
            let takes = reader.kind.takes_alert(alert.level) && concerns(alert, reader.team);
            takes && (reader.kind != EndpointKind::Email || email_told::is_told(&reader.settings, alert.level, page))
        };
        self.tell(transaction, event, document, (now, now), is_told).await
    }

    /// Makes a decision that this key made a delivery for every endpoint of the team that decided, not to be tried before `due_at`, and in an Ozone
    /// not before `after`. The Ozone in which it was made knows it.
    pub(crate) async fn tell_decision(
        &self,
        transaction: &mut Transaction,
        (told, by): (&ToldDecision, KeyId),
        (now, due_at, after): (Timestamp, Timestamp, Timestamp),
    ) -> Result<(), StoreError> {
        let document = || decision_json::to_json(told);
        let event = || (DeliveryEventKind::Decision, format!("{:032x}", told.decision.id.0));
        let is_of_team = |reader: &Reader| reader.team.scope() == told.decision.scope;
        let is_told = |reader: &Reader| reader.kind.takes_decisions() && is_of_team(reader);
        self.tell(transaction, event(), document, (now, due_at), is_told)
            .await?;
        let is_told = |reader: &Reader| {
            let is_ozone = reader.kind == EndpointKind::Ozone && is_of_team(reader);
            is_ozone && OzoneTold::of(&reader.settings).is_family_told(told.decision.verdict, by)
        };
        self.tell(transaction, event(), document, (now, due_at.max(after)), is_told)
            .await
    }

    /// Makes a message about an incident a delivery for every endpoint of these teams.
    pub(crate) async fn tell_incident(
        &self,
        transaction: &mut Transaction,
        (event_id, message): (&str, &IncidentMessage),
        teams: &[Team],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let document = || message.to_json();
        let event = (DeliveryEventKind::Incident, event_id.to_owned());
        let is_told = |reader: &Reader| reader.kind.takes_incidents() && teams.contains(&reader.team);
        self.tell(transaction, event, document, (now, now), is_told).await
    }

    /// Makes members that a decision is about a delivery for every endpoint of the team that decided.
    pub(crate) async fn tell_members(
        &self,
        transaction: &mut Transaction,
        event: &ToldMembers,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let document = || decision_json::members_to_json(event);
        let id = (DeliveryEventKind::Decision, format!("{:032x}", event.id));
        let scope = event.told.decision.scope;
        let is_told = |reader: &Reader| reader.kind.takes_decisions() && reader.team.scope() == scope;
        self.tell(transaction, id, document, (now, now), is_told).await
    }

    /// Makes the answer to an appeal a delivery for every endpoint of the team that answered.
    pub(crate) async fn tell_appeal(
        &self,
        transaction: &mut Transaction,
        (of, told): (Team, &ToldAppeal),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let id = (DeliveryEventKind::Appeal, told.appeal.to_string());
        let is_told = |reader: &Reader| reader.kind.takes_decisions() && reader.team == of;
        self.tell(transaction, id, || told.to_json(), (now, now), is_told).await
    }

    /// Makes it a delivery for every endpoint of the team that decided that platforms did not confirm what they did.
    pub(crate) async fn tell_unconfirmed(
        &self,
        transaction: &mut Transaction,
        event: &Unconfirmed,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let document = || decision_json::unconfirmed_to_json(event);
        let id = (DeliveryEventKind::Decision, format!("{:032x}", event.id));
        let scope = event.told.decision.scope;
        let is_told = |reader: &Reader| reader.kind.takes_decisions() && reader.team.scope() == scope;
        self.tell(transaction, id, document, (now, now), is_told).await
    }

    /// Makes a decision a delivery for the Ozone in which something was reported that it is about, not to be tried before `due_at`.
    pub(crate) async fn tell_subject(
        &self,
        transaction: &mut Transaction,
        (endpoint, event): (&Name, &ToldSubject),
        (now, due_at): (Timestamp, Timestamp),
    ) -> Result<(), StoreError> {
        let document = || decision_json::subject_to_json(event);
        let id = (DeliveryEventKind::Decision, format!("{:032x}", event.id));
        let is_told = |reader: &Reader| {
            let is_meant = reader.kind == EndpointKind::Ozone && reader.name == *endpoint;
            is_meant && OzoneTold::of(&reader.settings).is_told(event.told.decision.verdict)
        };
        self.tell(transaction, id, document, (now, due_at), is_told).await
    }

    /// Makes it a delivery for every endpoint of the team that the time of a notice to it is over.
    pub(crate) async fn tell_notice(
        &self,
        transaction: &mut Transaction,
        (of, told): (Team, &ToldNotice),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let id = (DeliveryEventKind::Notice, format!("{:032x}", told.id));
        let is_told = |reader: &Reader| reader.kind.takes_notices() && reader.team == of;
        self.tell(transaction, id, || told.to_json(), (now, now), is_told).await
    }

    async fn tell(
        &self,
        transaction: &mut Transaction,
        (kind, event_id): (DeliveryEventKind, String),
        document: impl Fn() -> String,
        (now, due_at): (Timestamp, Timestamp),
        is_told: impl Fn(&Reader) -> bool,
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("make deliveries");
        let told = self.0.iter().filter(|reader| is_told(reader));
        let told: Vec<&Name> = told.map(|reader| &reader.name).collect();
        if told.is_empty() {
            return Ok(());
        }
        transaction
            .execute(
                "INSERT INTO delivery_events (event_id, kind, document, added_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (event_id) DO NOTHING",
                &[
                    event_id.as_str().into(),
                    (kind as i64).into(),
                    document().into(),
                    now.into(),
                ],
            )
            .await
            .map_err(&failed)?;
        // One statement for all of them: alerts wait for it.
        let rows = (0..told.len()).map(|index| format!("(${}, ${}, $1, $2, 1, 0, $3)", 4 + 2 * index, 5 + 2 * index));
        let sql = format!(
            "INSERT INTO deliveries (delivery_id, endpoint, event_id, added_at, state, attempts, due_at) VALUES {} \
             ON CONFLICT (delivery_id) DO NOTHING",
            rows.collect::<Vec<_>>().join(", ")
        );
        let mut values: Vec<Value> = vec![event_id.as_str().into(), now.into(), due_at.into()];
        for endpoint in told {
            values.extend([delivery_id(endpoint, &event_id).into(), endpoint.as_str().into()]);
        }
        transaction.execute(&sql, &values).await.map_err(&failed).map(drop)
    }
}

fn delivery_id(endpoint: &Name, event_id: &str) -> String {
    format!(
        "{:032x}",
        digest_id(&format!("tocsin delivery\0{endpoint}\0{event_id}"))
    )
}
