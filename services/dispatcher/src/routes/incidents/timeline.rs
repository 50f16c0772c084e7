//! What happened to an incident, as it was written down.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use tocsin_casework::Team;
use tocsin_incident::{Event, Shown};
use tocsin_runtime::{Problem, problem};
use tocsin_store::{Asking, TIMELINE_MAX, TimelineEntry};
use tocsin_wire::Names;
use tocsin_wire::document::instant;
use utoipa::ToSchema;

use super::super::refused::Refused;
use super::assessed::result;
use super::documents::{MarkingDocument, RuleDocument, TaskDocument, team_name};
use super::requests::TimelineParameters;
use super::{AskedCase, NotShared, answered_plainly, incident_id};
use crate::{Dispatcher, problems};

const LIMIT_DEFAULT: u32 = 100;

/// A part of a timeline, the earliest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineDocument {
    /// What you may read of it.
    pub entries: Vec<EntryDocument>,
    /// Pass it as `after` to read on; absent at the end. There the id of the last entry is where to go on later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Something that happened. Beside the first four fields only those of its kind are there.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct EntryDocument {
    /// Its identity, 32 hexadecimal digits.
    pub id: String,
    /// When, by the store's clock, RFC 3339.
    pub at: Option<String>,
    /// `declared`, `attached`, `detached`, `rule_added`, `rule_removed`, `answered`, `activated`, `level_changed`, `concluded`, `reopened`,
    /// `invited`,
    /// `reminded`, `acknowledged`, `left`, `task_added`, `task_done`, `part_done`, `pack_made`,
    /// `pack_withdrawn`, `noted` or `marked`.
    pub kind: &'static str,
    /// `coordinators`, or the party, that did it; null: a rule.
    pub team: Option<String>,
    /// The key that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The name of its person, of your own team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Why; of invitations and reminders what the party was told; of tasks what was done; of notes what was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// Of `declared`: what it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Of `attached` and `detached`: the family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The number of the rule, of the task or of the pack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Of `rule_added`: the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleDocument>,
    /// Of `answered`: the question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Of `answered`: `yes`, `no`, or `open` where it is open again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<&'static str>,
    /// Of `activated` and `level_changed`: the level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// What criteria said then, in the coordinators' scope: shown to them alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown: Option<ShownDocument>,
    /// The tasks that were given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskDocument>,
    /// Of `invited` and `reminded`: the party.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party: Option<String>,
    /// Of `invited`: as what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Of `declared`, `noted` and `marked`: how far it may go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marking: Option<MarkingDocument>,
}

/// What criteria said when people acted.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShownDocument {
    /// Of the level, or of the conclusion: `met`, `not_met` or `unknown`.
    pub result: &'static str,
    /// Up to when the figures behind it were counted; null: nothing was counted.
    pub as_of: Option<String>,
    /// The criteria that were met.
    pub met: Vec<String>,
}

/// What happened to an incident, the earliest first, as far as you may read it. It writes itself.
#[utoipa::path(
    get,
    path = "/v1/incidents/{id}/timeline",
    tag = "incidents",
    operation_id = "read_timeline",
    params(("id" = String, Path, description = "The incident"), TimelineParameters),
    responses(
        (status = 200, description = "A part of it", body = TimelineDocument),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotShared
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_timeline(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    parameters: Result<Query<TimelineParameters>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let asking = dispatcher.incident_reader(&headers).await?;
        let invalid = |detail: &str| Problem::new(problem::INVALID_PARAMETER).with_detail(detail.to_owned());
        let Query(asked) = parameters.map_err(|error| invalid(&error.body_text()))?;
        let not_of_here = || invalid("after: the id of an entry of this timeline");
        let after = asked.after.as_deref().map(tocsin_model::parse_hex_id).transpose();
        let after = after.map_err(|_| not_of_here())?;
        let limit = asked.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=TIMELINE_MAX).contains(&limit) {
            return Err(invalid("limit: 1 to 200"));
        }
        let page = dispatcher
            .store
            .timeline(asking, incident_id(id)?, (after, limit))
            .await;
        let page = page
            .map_err(|error| problems::of_store(&error))?
            .ok_or_else(not_of_here)?;
        let names = dispatcher.names();
        let entries = page.entries.iter();
        Ok(TimelineDocument {
            entries: entries.map(|entry| EntryDocument::of(entry, &asking, &names)).collect(),
            next: page.next.map(|id| format!("{id:032x}")),
        })
    };
    answered_plainly(&dispatcher, "read_timeline", read.await)
}

impl EntryDocument {
    pub(super) fn of(entry: &TimelineEntry, asking: &Asking, names: &Names) -> EntryDocument {
        let is_own = entry.by.is_some_and(|(_, team)| Some(team) == asking.team);
        // Criteria were evaluated in the coordinators' scope.
        let seen = |shown: &Option<Shown>| {
            let is_theirs = asking.team == Some(Team::Coordinators);
            shown.as_ref().filter(|_| is_theirs).map(ShownDocument::of)
        };
        let common = EntryDocument {
            id: format!("{:032x}", entry.id),
            at: instant(entry.at),
            kind: entry.event.name(),
            team: entry.by.map(|(_, team)| team_name(team, names)),
            key: entry.by.map(|(key, _)| key.to_string()),
            person: entry.person.clone().filter(|_| is_own),
            ..EntryDocument::default()
        };
        let said = |text: &String| (!text.is_empty()).then(|| text.clone());
        let tasks = |tasks: &[tocsin_incident::Task]| tasks.iter().map(|task| TaskDocument::of(task, names)).collect();
        match &entry.event {
            Event::Declared { title, marking, .. } => EntryDocument {
                title: Some(title.clone()),
                marking: Some(MarkingDocument::of(marking)),
                ..common
            },
            Event::Attached { family, rule } => EntryDocument {
                family: Some(family.to_string()),
                number: *rule,
                ..common
            },
            Event::Detached { family, reason } => EntryDocument {
                family: Some(family.to_string()),
                says: said(reason),
                ..common
            },
            Event::RuleAdded(rule) => EntryDocument {
                number: Some(rule.number),
                rule: Some(RuleDocument::of(rule, names)),
                ..common
            },
            Event::RuleRemoved { number, reason } => EntryDocument {
                number: Some(*number),
                says: said(reason),
                ..common
            },
            Event::Answered {
                question,
                answer,
                reason,
            } => EntryDocument {
                question: Some(question.clone()),
                answer: Some(answer.map_or("open", |yes| if yes { "yes" } else { "no" })),
                says: said(reason),
                ..common
            },
            Event::Activated {
                name,
                reason,
                shown,
                tasks: given,
                ..
            }
            | Event::LevelChanged {
                name,
                reason,
                shown,
                tasks: given,
                ..
            } => EntryDocument {
                level: Some(name.clone()),
                says: said(reason),
                shown: seen(shown),
                tasks: tasks(given),
                ..common
            },
            Event::Concluded {
                reason,
                shown,
                tasks: given,
            } => EntryDocument {
                says: said(reason),
                shown: seen(shown),
                tasks: tasks(given),
                ..common
            },
            Event::Reopened { reason } | Event::Left { reason } => EntryDocument {
                says: said(reason),
                ..common
            },
            Event::Invited { team, class, message } => EntryDocument {
                party: Some(team_name(*team, names)),
                class: Some(class.clone()),
                says: said(message),
                ..common
            },
            Event::Reminded { team, message } => EntryDocument {
                party: Some(team_name(*team, names)),
                says: said(message),
                ..common
            },
            Event::Acknowledged => common,
            Event::TaskAdded(task) => EntryDocument {
                number: Some(task.number),
                tasks: tasks(std::slice::from_ref(task)),
                ..common
            },
            Event::TaskDone { number, note } | Event::PartDone { number, note } => EntryDocument {
                number: Some(*number),
                says: said(note),
                ..common
            },
            Event::PackMade { number, .. } => EntryDocument {
                number: Some(*number),
                ..common
            },
            Event::PackWithdrawn { number, reason } => EntryDocument {
                number: Some(*number),
                says: said(reason),
                ..common
            },
            Event::Noted { text, marking } => EntryDocument {
                says: said(text),
                marking: Some(MarkingDocument::of(marking)),
                ..common
            },
            Event::Marked { marking, reason } => EntryDocument {
                marking: Some(MarkingDocument::of(marking)),
                says: said(reason),
                ..common
            },
        }
    }
}

impl ShownDocument {
    fn of(shown: &Shown) -> ShownDocument {
        ShownDocument {
            result: result(shown.result),
            as_of: shown.as_of.and_then(instant),
            met: shown.met.clone(),
        }
    }
}
