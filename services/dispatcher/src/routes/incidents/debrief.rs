//! The debrief of an incident: what is learned from it, as far as the reader may read.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use tocsin_casework::Team;
use tocsin_incident::debrief::{Debrief, Delay, Entry, Open, Overturned, Step, Turn};
use tocsin_incident::{Event, Shown, ShownFigure};
use tocsin_runtime::{Problem, problem};
use tocsin_store::{Asking, TIMELINE_MAX, TimelineEntry};
use tocsin_wire::Names;
use tocsin_wire::document::instant;
use utoipa::ToSchema;

use super::super::html::page;
use super::super::refused::Refused;
use super::assessed::{StandingDocument, result};
use super::debrief_page::html;
use super::documents::{IncidentDocument, team_name};
use super::requests::DebriefParameters;
use super::{AskedCase, NotShared, answered_plainly, incident_id};
use crate::{Dispatcher, problems};

/// The most entries of a timeline that a debrief rests on: the first.
const ENTRIES_MAX: usize = 20_000;

/// How the parts of a debrief were obtained.
const HOW: [&str; 6] = [
    "course and overturned: from the entries of the timeline that you may read, each named by its id; an answer is overturned when it is \
     given otherwise or opened again.",
    "delays: the difference of the times of two entries, which are of the store's clock; a part that is due begins with the task, or with the \
     invitation if that came later. Without `took_s` it was not done.",
    "what criteria said, and figures of the course: in the coordinators' scope when people acted; the truth lies between `low` and `high`, \
     reach with 95 %. Only coordinators are shown them.",
    "standing: figures inside your own scope as of now, with bounds as on the page of the incident; platforms are counted exactly since each \
     content became hot.",
    "open: what was neither answered, done nor acknowledged by now, and acts at which criteria were not met or unknown.",
    "Accounts are platforms' pseudonyms: one person on two platforms is two accounts.",
];

/// What is learned from an incident.
#[derive(Debug, Serialize, ToSchema)]
pub struct DebriefDocument {
    /// The drill that it is of; absent: it is of what is real.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<String>,
    /// The incident.
    pub incident: IncidentDocument,
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// How the parts of this were obtained.
    pub how: Vec<&'static str>,
    /// Whether all entries of the timeline that you may read are in it; it rests on 20,000 at most.
    pub is_complete: bool,
    /// How far it came when.
    pub course: Vec<TurnDocument>,
    /// How long each step took each of those it concerned.
    pub delays: Vec<DelayDocument>,
    /// What was taken back or reversed.
    pub overturned: Vec<OverturnedDocument>,
    /// What stayed open.
    pub open: Vec<OpenDocument>,
    /// Where it stands now.
    pub standing: Option<StandingDocument>,
}

/// A turn in the course.
#[derive(Debug, Serialize, ToSchema)]
pub struct TurnDocument {
    /// The entry of the timeline.
    pub entry: String,
    /// When.
    pub at: Option<String>,
    /// `declared`, `activated`, `level_changed`, `concluded` or `reopened`.
    pub kind: &'static str,
    /// The level that held from then on.
    pub level: Option<String>,
    /// Why; of `declared` the title.
    pub reason: String,
    /// What criteria said: `met`, `not_met` or `unknown`; null: they were not asked, or you are no coordinator.
    pub criteria: Option<&'static str>,
    /// The criteria that were met.
    pub met: Vec<String>,
    /// Up to when the figures were counted.
    pub figures_as_of: Option<String>,
    /// The figures.
    pub figures: Vec<TurnFigureDocument>,
}

/// A figure of a family when people acted.
#[derive(Debug, Serialize, ToSchema)]
pub struct TurnFigureDocument {
    /// The family.
    pub family: String,
    /// The figure, as criteria name it.
    pub name: String,
    /// The truth was at least this.
    pub low: u64,
    /// The truth was at most this.
    pub high: u64,
}

/// How long something took.
#[derive(Debug, Serialize, ToSchema)]
pub struct DelayDocument {
    /// `activation`, `acknowledgement`, `task` or `part`.
    pub step: &'static str,
    /// The number of the task.
    pub number: Option<u32>,
    /// What was to be done.
    pub does: Option<String>,
    /// `coordinators`, or the party.
    pub team: String,
    /// The entry from which it is counted.
    pub from_entry: String,
    /// When that was.
    pub from: Option<String>,
    /// The entry up to which it is counted; null: it was not done.
    pub to_entry: Option<String>,
    /// How long it took, in seconds; null: it was not done.
    pub took_s: Option<f64>,
    /// Within which time it was due, in seconds; null: no time was set.
    pub due_s: Option<f64>,
    /// Whether it took longer than that; null: no time was set, or it was not done.
    pub was_late: Option<bool>,
}

/// Something that was taken back or reversed.
#[derive(Debug, Serialize, ToSchema)]
pub struct OverturnedDocument {
    /// The entry that did it.
    pub entry: String,
    /// When.
    pub at: Option<String>,
    /// `detached`, `answered`, `level_changed`, `reopened` or `pack_withdrawn`.
    pub kind: &'static str,
    /// The family, the question, the level before or the pack.
    pub about: String,
    /// Why.
    pub reason: String,
}

/// Something that stayed open.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenDocument {
    /// `question`, `task`, `part`, `invitation` or `against_criteria`.
    pub kind: &'static str,
    /// In words.
    pub says: String,
    /// Who is to do it.
    pub team: Option<String>,
    /// The entry it is about.
    pub entry: Option<String>,
}

/// What is learned from an incident: its course, figures with their bounds, delays by platform and step, what was overturned, and what stayed open,
/// as far as you may read it. As JSON, or as one page that can be printed.
#[utoipa::path(
    get,
    path = "/v1/incidents/{id}/debrief",
    tag = "incidents",
    operation_id = "read_debrief",
    params(("id" = String, Path, description = "The incident"), DebriefParameters),
    responses(
        (status = 200, description = "The debrief", content((DebriefDocument = "application/json"), (String = "text/html"))),
        (status = 400, description = "There is no such form", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotShared
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_debrief(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    parameters: Result<Query<DebriefParameters>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let asking = dispatcher.incident_reader(&headers).await?;
        let invalid = |detail: &str| Problem::new(problem::INVALID_PARAMETER).with_detail(detail.to_owned());
        let Query(asked) = parameters.map_err(|error| invalid(&error.body_text()))?;
        let reader = match asked.form.as_deref() {
            None | Some("json") => None,
            Some("html") => Some(dispatcher.page_reader(&headers).await?),
            Some(_) => return Err(invalid("form: json or html")),
        };
        Ok((dispatcher.debrief(asking, incident_id(id)?).await?, reader))
    };
    let read = read.await;
    let shown = match &read {
        Ok((debrief, Some(reader))) => Some(html(debrief, reader)),
        _ => None,
    };
    let read = read.map(|(debrief, _)| debrief);
    let response = answered_plainly(&dispatcher, "read_debrief", read);
    match shown {
        Some(html) => page(html),
        None => response,
    }
}

impl Dispatcher {
    async fn debrief(&self, asking: Asking, id: tocsin_incident::IncidentId) -> Result<DebriefDocument, Problem> {
        let told = self.store.incident(asking, id).await;
        let told = told.map_err(|error| problems::of_store(&error))?;
        let protocol = self.protocol(&told.incident.protocol).await;
        let protocol = protocol.map_err(|error| problems::of_store(&error))?;
        let is_coordinator = asking.team == Some(Team::Coordinators);
        let (mut entries, mut after) = (Vec::new(), None);
        let is_complete = loop {
            let page = self.store.timeline(asking, id, (after, TIMELINE_MAX)).await;
            // An entry that may not be read any more since the page before ends it.
            let Some(page) = page.map_err(|error| problems::of_store(&error))? else {
                break false;
            };
            entries.extend(page.entries.into_iter().map(|of| entry(of, is_coordinator)));
            match page.next {
                None => break true,
                Some(_) if entries.len() >= ENTRIES_MAX => break false,
                next => after = next,
            }
        };
        let names = self.names();
        let debrief = Debrief::of(&told.incident, &protocol, &entries);
        Ok(DebriefDocument {
            drill: self.store.drill().map(|drill| drill.to_string()),
            as_of: instant(told.now),
            how: HOW.to_vec(),
            is_complete,
            course: debrief.course.iter().map(TurnDocument::of).collect(),
            delays: debrief
                .delays
                .iter()
                .map(|delay| DelayDocument::of(delay, &names))
                .collect(),
            overturned: debrief.overturned.iter().map(OverturnedDocument::of).collect(),
            open: debrief.open.iter().map(|open| OpenDocument::of(open, &names)).collect(),
            standing: match asking.team {
                None => None,
                Some(team) => Some(self.standing_document(&told, team).await?),
            },
            incident: self.incident_document(&told.incident, asking.team).await?,
        })
    }
}

/// What criteria said when people acted is of the coordinators' scope, and stays there.
fn entry(entry: TimelineEntry, is_coordinator: bool) -> Entry {
    let mut event = entry.event;
    if let Event::Activated { shown, .. } | Event::LevelChanged { shown, .. } | Event::Concluded { shown, .. } =
        &mut event
        && !is_coordinator
    {
        *shown = None;
    }
    Entry {
        id: entry.id,
        at: entry.at,
        team: entry.by.map(|(_, team)| team),
        event,
    }
}

fn id(entry: u128) -> String {
    format!("{entry:032x}")
}

impl TurnDocument {
    fn of(turn: &Turn) -> TurnDocument {
        let shown: Option<&Shown> = turn.shown.as_ref();
        let figures = shown.map_or(&[][..], |shown| &shown.figures);
        let figure = |figure: &ShownFigure| TurnFigureDocument {
            family: figure.family.to_string(),
            name: figure.name.clone(),
            low: figure.low,
            high: figure.high,
        };
        TurnDocument {
            entry: id(turn.entry),
            at: instant(turn.at),
            kind: turn.kind,
            level: turn.level.clone(),
            reason: turn.reason.clone(),
            criteria: shown.map(|shown| result(shown.result)),
            met: shown.map(|shown| shown.met.clone()).unwrap_or_default(),
            figures_as_of: shown.and_then(|shown| shown.as_of).and_then(instant),
            figures: figures.iter().map(figure).collect(),
        }
    }
}

impl DelayDocument {
    fn of(delay: &Delay, names: &Names) -> DelayDocument {
        let (step, number, does) = match &delay.step {
            Step::Activation => ("activation", None, None),
            Step::Acknowledgement => ("acknowledgement", None, None),
            Step::Task { number, does } => ("task", Some(*number), Some(does.clone())),
            Step::Part { number, does } => ("part", Some(*number), Some(does.clone())),
        };
        let seconds = |length: tocsin_model::Milliseconds| length.0 as f64 / 1_000.0;
        let late = delay.took.zip(delay.due).map(|((_, took), due)| took > due);
        DelayDocument {
            step,
            number,
            does,
            team: team_name(delay.team, names),
            from_entry: id(delay.from),
            from: instant(delay.begun_at),
            to_entry: delay.took.map(|(entry, _)| id(entry)),
            took_s: delay.took.map(|(_, took)| seconds(took)),
            due_s: delay.due.map(seconds),
            was_late: late,
        }
    }
}

impl OverturnedDocument {
    fn of(overturned: &Overturned) -> OverturnedDocument {
        OverturnedDocument {
            entry: id(overturned.entry),
            at: instant(overturned.at),
            kind: overturned.kind,
            about: overturned.about.clone(),
            reason: overturned.reason.clone(),
        }
    }
}

impl OpenDocument {
    fn of(open: &Open, names: &Names) -> OpenDocument {
        let (kind, says, team, entry) = match open {
            Open::Question { says, .. } => ("question", says.clone(), None, None),
            Open::Task { number, does, owner } => ("task", format!("{number}: {does}"), Some(*owner), None),
            Open::Part { number, does, team } => ("part", format!("{number}: {does}"), Some(*team), None),
            Open::Invitation { team } => (
                "invitation",
                "The invitation was not acknowledged.".to_owned(),
                Some(*team),
                None,
            ),
            Open::AgainstCriteria {
                entry,
                kind,
                result: said,
            } => {
                let says = format!("{kind}, while criteria said {}", result(*said));
                ("against_criteria", says, None, Some(id(*entry)))
            }
        };
        OpenDocument {
            kind,
            says,
            team: team.map(|team| team_name(team, names)),
            entry,
        }
    }
}
