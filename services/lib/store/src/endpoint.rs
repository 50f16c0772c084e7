use std::collections::BTreeMap;

use tocsin_audit::Action;
use tocsin_model::{AlertLevel, Milliseconds, Name, Timestamp};

use crate::audit::changed;
use crate::database::{Database, Row, Transaction, Value};
use crate::endpoint_limit::{one_change_at_a_time, refuse_one_too_many, refuse_topic_of_another};
use crate::ozone_told::OzoneTold;
use crate::party::{is_revoked, name, refuse_research};
use crate::{Store, StoreError};
use tocsin_casework::Team;

/// How many endpoints a deployment has at most, without those that are disabled: the dispatcher works on each of them by itself.
pub const ENDPOINTS_MAX: usize = 256;

/// How a party, or the coordinators, are told. The numbers are those of the store and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EndpointKind {
    /// A signed request for each event: CloudEvents over HTTP, Standard Webhooks.
    Webhook = 1,
    /// CloudEvents in the party's own topic.
    Kafka = 2,
    /// Actions in an input topic of Osprey.
    Osprey = 3,
    /// Reports to Coop.
    Coop = 4,
    /// Moderation events to Ozone.
    Ozone = 5,
    /// Messages to a mailbox.
    Email = 6,
}

/// What is told. The numbers are those of the store and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum DeliveryEventKind {
    /// An alert.
    Alert = 1,
    /// A decision of the endpoint's own team.
    Decision = 2,
    /// A message about an incident in which the endpoint's team takes part.
    Incident = 10,
    /// The answer to an appeal of the endpoint's own team.
    Appeal = 20,
    /// A notice to the endpoint's own team of which the time is over.
    Notice = 30,
}

/// An endpoint to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEndpoint {
    /// Its name. Never given to another.
    pub name: Name,
    /// Who is told: nothing outside this team's scope.
    pub team: Team,
    /// How.
    pub kind: EndpointKind,
    /// A URL, or the name of a topic.
    pub target: String,
    /// What its kind needs beside it, by name.
    pub settings: BTreeMap<String, String>,
    /// What it is signed with, or the key that the other side asks for. Kept as it is: a signature cannot be made from a digest.
    pub secret: String,
}

/// What an endpoint is told of. The numbers are those of the store and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ToldOf {
    RealThings = 0,
    Drills = 1,
}

/// Where events are delivered to.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name.
    pub name: Name,
    /// Who is told.
    pub team: Team,
    /// How.
    pub kind: EndpointKind,
    /// A URL, or the name of a topic.
    pub target: String,
    /// What its kind needs beside it, by name.
    pub settings: BTreeMap<String, String>,
    /// The secret; behind it the one before, while that is still good.
    pub secrets: Vec<String>,
    /// Whether it is told of what happens in drills, and of nothing else.
    pub is_for_drills: bool,
    /// When it was added, by the store's clock.
    pub added_at: Timestamp,
    /// Since when it gets nothing, and why.
    pub disabled: Option<(Timestamp, String)>,
}

impl EndpointKind {
    /// All kinds.
    pub const ALL: [EndpointKind; 6] = [
        EndpointKind::Webhook,
        EndpointKind::Kafka,
        EndpointKind::Osprey,
        EndpointKind::Coop,
        EndpointKind::Ozone,
        EndpointKind::Email,
    ];

    /// Its name in commands and metrics.
    pub fn name(self) -> &'static str {
        match self {
            EndpointKind::Webhook => "webhook",
            EndpointKind::Kafka => "kafka",
            EndpointKind::Osprey => "osprey",
            EndpointKind::Coop => "coop",
            EndpointKind::Ozone => "ozone",
            EndpointKind::Email => "email",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<EndpointKind> {
        EndpointKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether an endpoint of this kind is told of an alert of this level. A queue of reviews is not filled with what merely goes on; of what a mailbox is
    /// told its settings say the rest.
    pub fn takes_alert(self, level: AlertLevel) -> bool {
        match self {
            EndpointKind::Webhook | EndpointKind::Kafka | EndpointKind::Osprey => true,
            EndpointKind::Coop => matches!(level, AlertLevel::Raised | AlertLevel::Escalated),
            EndpointKind::Email => level != AlertLevel::Subsided,
            EndpointKind::Ozone => level != AlertLevel::Sustained,
        }
    }

    /// Whether an endpoint of this kind is told of incidents. The tools that review know none.
    pub fn takes_incidents(self) -> bool {
        matches!(self, EndpointKind::Webhook | EndpointKind::Kafka | EndpointKind::Email)
    }

    /// Whether an endpoint of this kind is told of notices whose time is over.
    pub fn takes_notices(self) -> bool {
        matches!(self, EndpointKind::Webhook | EndpointKind::Kafka)
    }

    /// Whether an endpoint of this kind is told of decisions and of all that follows from them. Ozone is told of what its settings say.
    pub fn takes_decisions(self) -> bool {
        matches!(self, EndpointKind::Webhook | EndpointKind::Kafka)
    }

    fn from_number(number: i64) -> Option<EndpointKind> {
        EndpointKind::ALL.into_iter().find(|kind| *kind as i64 == number)
    }
}

impl DeliveryEventKind {
    pub(crate) fn from_number(number: i64) -> Option<DeliveryEventKind> {
        [
            DeliveryEventKind::Alert,
            DeliveryEventKind::Decision,
            DeliveryEventKind::Incident,
            DeliveryEventKind::Appeal,
            DeliveryEventKind::Notice,
        ]
        .into_iter()
        .find(|kind| *kind as i64 == number)
    }
}

/// Shows no secret.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("team", &self.team)
            .field("kind", &self.kind)
            .field("target", &self.target)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Adds an endpoint. It gets what happens from now on.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`], [`StoreError::EndpointCount`], [`StoreError::TopicTaken`], a party that is revoked or is not there, or the database failed.
    pub async fn add_endpoint(&self, endpoint: &NewEndpoint) -> Result<(), StoreError> {
        self.add(endpoint, ToldOf::RealThings).await
    }

    pub(crate) async fn add(&self, endpoint: &NewEndpoint, told_of: ToldOf) -> Result<(), StoreError> {
        let failed = StoreError::database("add an endpoint");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        if let Team::Party(party) = endpoint.team
            && is_revoked(&mut transaction, party, &failed).await?
        {
            return Err(StoreError::PartyRevoked { party });
        }
        if let Team::Party(party) = endpoint.team {
            refuse_research(&mut transaction, party).await?;
        }
        refuse_one_too_many(&mut transaction).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let settings = serde_json::to_string(&endpoint.settings).expect("a map of text is always JSON");
        let added = transaction
            .execute(
                "INSERT INTO endpoints (endpoint, team, kind, target, settings, secret, added_at, drill) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (endpoint) DO NOTHING",
                &[
                    endpoint.name.as_str().into(),
                    endpoint.team.to_number().into(),
                    (endpoint.kind as i64).into(),
                    endpoint.target.as_str().into(),
                    settings.into(),
                    endpoint.secret.as_str().into(),
                    now.into(),
                    (told_of as i64).into(),
                ],
            )
            .await
            .map_err(&failed)?;
        if added == 0 {
            return Err(StoreError::NameTaken {
                name: endpoint.name.clone(),
            });
        }
        refuse_topic_of_another(&mut transaction, &endpoint.name).await?;
        let detail = match told_of {
            ToldOf::RealThings => endpoint.kind.name().to_owned(),
            ToldOf::Drills => format!("{}, for drills", endpoint.kind.name()),
        };
        let entry = changed(Action::EndpointAdded, endpoint.name.as_str(), &detail);
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)
    }

    /// All endpoints, also the disabled ones, by name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        let now = self.now().await.map_err(StoreError::database("ask the clock"))?;
        read_endpoints(self.database(), ("ORDER BY e.endpoint", &[]), now).await
    }

    /// The endpoints of a kind that get anything, by name: those that are not disabled, of the coordinators or of a party that is not revoked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn open_endpoints(&self, kind: EndpointKind) -> Result<Vec<Endpoint>, StoreError> {
        let now = self.now().await.map_err(StoreError::database("ask the clock"))?;
        let open = format!("WHERE {OPEN} AND e.kind = $1 ORDER BY e.endpoint");
        read_endpoints(self.database(), (&open, &[(kind as i64).into()]), now).await
    }

    /// The endpoints for which a delivery is due, by name. Those that are disabled, and those of parties that were revoked, have none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn endpoints_due(&self) -> Result<Vec<Endpoint>, StoreError> {
        let now = self.now().await.map_err(StoreError::database("ask the clock"))?;
        let due = format!(
            "WHERE {OPEN} AND EXISTS (SELECT 1 FROM deliveries d WHERE d.state = 1 AND d.endpoint = e.endpoint AND d.due_at <= $1) \
             ORDER BY e.endpoint"
        );
        read_endpoints(self.database(), (&due, &[now.into()]), now).await
    }

    /// Gives an endpoint another secret. The one before is good for `overlap` more: both sign until then.
    ///
    /// # Errors
    /// [`StoreError::NoSuchEndpoint`], or the database failed.
    pub async fn rotate_endpoint_secret(
        &self,
        endpoint: &Name,
        secret: &str,
        overlap: Milliseconds,
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("rotate the secret of an endpoint");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let rows = transaction
            .execute(
                "UPDATE endpoints SET former_secret = secret, former_until = $3, secret = $2 WHERE endpoint = $1",
                &[endpoint.as_str().into(), secret.into(), (now + overlap).into()],
            )
            .await
            .map_err(&failed)?;
        found(endpoint, rows)?;
        let entry = changed(Action::EndpointChanged, endpoint.as_str(), "another secret");
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)
    }

    /// Gives an endpoint another target and other settings, in place of those it has; its secrets stay. What waits for it goes out by them. Of another
    /// Ozone, and of one from which nothing was taken, what happens from now on is taken. Of two who change it at once the later one stands.
    ///
    /// # Errors
    /// [`StoreError::NoSuchEndpoint`], [`StoreError::TopicTaken`], or the database failed.
    pub async fn change_endpoint(
        &self,
        endpoint: &Name,
        (target, settings): (&str, &BTreeMap<String, String>),
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("change an endpoint");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        // Before the row: whoever enables an endpoint has this lock when it comes to its row.
        one_change_at_a_time(&mut transaction).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let sql = "SELECT target, settings, kind FROM endpoints WHERE endpoint = $1";
        let rows = transaction.fetch(sql, &[endpoint.as_str().into()]).await;
        let rows = rows.map_err(&failed)?;
        let Some(row) = rows.first() else {
            return found(endpoint, 0);
        };
        let text = serde_json::to_string(settings).expect("a map of text is always JSON");
        let is_moved = row.text("target").map_err(&failed)? != target;
        let is_ozone = row.integer("kind").map_err(&failed)? == EndpointKind::Ozone as i64;
        let did_take = OzoneTold::of(&row.text("settings").map_err(&failed)?).takes();
        let begins = is_moved || (!did_take && OzoneTold::of(&text).takes());
        let values = [endpoint.as_str().into(), target.into(), text.into()];
        let sql = "UPDATE endpoints SET target = $2, settings = $3 WHERE endpoint = $1";
        transaction.execute(sql, &values).await.map_err(&failed)?;
        refuse_topic_of_another(&mut transaction, endpoint).await?;
        if is_ozone && is_moved {
            crate::ozone::forget_former(&mut transaction, endpoint, now).await?;
        }
        if is_ozone && begins {
            crate::ozone::begin_anew(&mut transaction, endpoint, now).await?;
        }
        let names: Vec<&str> = settings.keys().map(String::as_str).collect();
        // The settings' names: what they say may be told to fewer people than the audit is.
        let detail = match is_moved {
            true => format!("another target; settings: {}", names.join(", ")),
            false => format!("settings: {}", names.join(", ")),
        };
        let entry = changed(Action::EndpointChanged, endpoint.as_str(), &detail);
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)
    }

    /// Disables an endpoint: it gets nothing more, and what waits for it becomes dead letters. Of one that is disabled the first reason
    /// stands.
    ///
    /// # Errors
    /// [`StoreError::NoSuchEndpoint`], or the database failed.
    pub async fn disable_endpoint(&self, endpoint: &Name, reason: &str) -> Result<(), StoreError> {
        let failed = StoreError::database("disable an endpoint");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let rows = transaction
            .execute(
                "UPDATE endpoints SET disabled_reason = CASE WHEN disabled_at IS NULL THEN $3 ELSE disabled_reason END, \
                 disabled_at = COALESCE(disabled_at, $2) WHERE endpoint = $1",
                &[endpoint.as_str().into(), now.into(), reason.into()],
            )
            .await
            .map_err(&failed)?;
        found(endpoint, rows)?;
        transaction
            .execute(
                "UPDATE deliveries SET state = 3, settled_at = $2, reason = 'endpoint_disabled' WHERE endpoint = $1 AND state = 1",
                &[endpoint.as_str().into(), now.into()],
            )
            .await
            .map_err(&failed)?;
        let entry = changed(Action::EndpointChanged, endpoint.as_str(), "disabled");
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)
    }

    /// Enables an endpoint again. Its dead letters stay dead until they are replayed.
    ///
    /// # Errors
    /// [`StoreError::NoSuchEndpoint`], [`StoreError::EndpointCount`], [`StoreError::TopicTaken`], or the database failed.
    pub async fn enable_endpoint(&self, endpoint: &Name) -> Result<(), StoreError> {
        let failed = StoreError::database("enable an endpoint");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        refuse_one_too_many(&mut transaction).await?;
        let rows = transaction
            .execute(
                "UPDATE endpoints SET disabled_at = NULL, disabled_reason = NULL WHERE endpoint = $1",
                &[endpoint.as_str().into()],
            )
            .await
            .map_err(&failed)?;
        found(endpoint, rows)?;
        refuse_topic_of_another(&mut transaction, endpoint).await?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let entry = changed(Action::EndpointChanged, endpoint.as_str(), "enabled");
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)
    }
}

/// Which endpoints (`endpoints e`) get anything: those of a kind that this version knows, not disabled, of the coordinators or of a party that is
/// not revoked; in the store of a drill those that are registered for drills, in one of real things the others.
pub(crate) const OPEN: &str = "e.kind BETWEEN 1 AND 6 AND e.disabled_at IS NULL AND e.drill = (SELECT count(*) FROM drill_mark) \
     AND (e.team = 1 OR EXISTS (SELECT 1 FROM parties p WHERE p.party_id = e.team - 2 AND p.revoked_at IS NULL))";

const SELECT_ENDPOINTS: &str = "SELECT e.endpoint, e.team, e.kind, e.target, e.settings, e.secret, e.former_secret, e.former_until, \
     e.added_at, e.disabled_at, e.disabled_reason, e.drill FROM endpoints e";

pub(crate) async fn read_endpoints(
    database: &Database,
    (rest, values): (&str, &[Value]),
    now: Timestamp,
) -> Result<Vec<Endpoint>, StoreError> {
    let rows = database
        .fetch(&format!("{SELECT_ENDPOINTS} {rest}"), values)
        .await
        .map_err(StoreError::database("read the endpoints"))?;
    rows.iter().map(|row| endpoint(row, now)).collect()
}

/// An endpoint that gets something, as far as it matters for what.
pub(crate) struct Reader {
    pub name: Name,
    pub team: Team,
    pub kind: EndpointKind,
    /// As they are stored: read where they matter, for alerts wait.
    pub settings: String,
}

/// The endpoints that get anything.
pub(crate) async fn open_endpoints(transaction: &mut Transaction) -> Result<Vec<Reader>, StoreError> {
    let failed = StoreError::database("find the endpoints");
    let rows = transaction
        .fetch(
            &format!("SELECT e.endpoint, e.team, e.kind, e.settings FROM endpoints e WHERE {OPEN} ORDER BY e.endpoint"),
            &[],
        )
        .await
        .map_err(&failed)?;
    let reader = |row: &Row| {
        Ok(Reader {
            name: name(row, "endpoint")?,
            team: team(row)?,
            kind: kind(row)?,
            settings: row.text("settings").map_err(&failed)?,
        })
    };
    rows.iter().map(reader).collect()
}

fn endpoint(row: &Row, now: Timestamp) -> Result<Endpoint, StoreError> {
    let failed = StoreError::database("read an endpoint");
    let settings = row.text("settings").map_err(&failed)?;
    let settings = serde_json::from_str(&settings).map_err(|_| StoreError::Malformed { field: "settings" })?;
    let until = row.integer_if_any("former_until").map_err(&failed)?;
    let former = row.text_if_any("former_secret").map_err(&failed)?;
    let former = former.filter(|_| until.is_some_and(|until| now < Timestamp(until)));
    let disabled_at = row.integer_if_any("disabled_at").map_err(&failed)?;
    let reason = row.text_if_any("disabled_reason").map_err(&failed)?;
    Ok(Endpoint {
        name: name(row, "endpoint")?,
        team: team(row)?,
        kind: kind(row)?,
        target: row.text("target").map_err(&failed)?,
        settings,
        secrets: std::iter::once(row.text("secret").map_err(&failed)?)
            .chain(former)
            .collect(),
        is_for_drills: row.integer("drill").map_err(&failed)? != 0,
        added_at: Timestamp(row.integer("added_at").map_err(&failed)?),
        disabled: disabled_at.map(Timestamp).zip(reason),
    })
}

fn team(row: &Row) -> Result<Team, StoreError> {
    let number = row.integer("team").map_err(StoreError::database("read an endpoint"))?;
    Team::from_number(number).ok_or(StoreError::Malformed { field: "team" })
}

fn kind(row: &Row) -> Result<EndpointKind, StoreError> {
    let number = row.integer("kind").map_err(StoreError::database("read an endpoint"))?;
    EndpointKind::from_number(number).ok_or(StoreError::Malformed { field: "kind" })
}

fn found(endpoint: &Name, rows: u64) -> Result<(), StoreError> {
    match rows {
        0 => Err(StoreError::NoSuchEndpoint {
            endpoint: endpoint.clone(),
        }),
        _ => Ok(()),
    }
}
