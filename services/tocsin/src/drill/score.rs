//! The scorecard: what truly happened beside what people did, and when. A pure function.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tocsin_casework::Team;
use tocsin_incident::{Event, Incident, Phase};
use tocsin_model::{FamilyId, Name, PartyId, Timestamp};
use tocsin_store::{ReactedCase, Reactions, TimelineEntry};
use tocsin_wire::document::{HashText, instant};

use super::after;
use super::cast::COORDINATORS;
use super::home::Record;
use super::truth::{Copies, CrisisTruth, Progress, Truth};

/// How a drill went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scorecard {
    /// Always `DRILL`: whatever becomes of this document, it says what it is about.
    pub mark: String,
    /// Which.
    pub drill: String,
    /// The scenario.
    pub scenario: String,
    /// What was drawn from.
    pub seed: u64,
    /// Seconds of the scenario that passed in a second. All times here are those of people, not of the scenario.
    pub speed: f64,
    /// When the first event was published, RFC 3339.
    pub began_at: Option<String>,
    /// When it ended; absent while it goes on.
    pub ended_at: Option<String>,
    /// What was published.
    pub progress: Progress,
    /// Every crisis of which something was published.
    pub crises: Vec<CrisisScore>,
    /// Families of no crisis that rang for somebody.
    pub false_alarms: u64,
    /// Of them those that somebody decided to be violating.
    pub false_decisions: u64,
    /// The incidents that were declared.
    pub incidents: Vec<IncidentScore>,
    /// Whether so much happened that a part of it was left out.
    pub is_cut: bool,
}

/// A crisis, and how it was met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrisisScore {
    /// Its number in the scenario.
    pub number: u32,
    /// When its first copy was published.
    pub began: Moment,
    /// When it was a spread: its tenth copy by another account.
    pub onset: Option<Moment>,
    /// Copies that were posted.
    pub posted: u64,
    /// Copies that platforms blocked at upload.
    pub blocked: u64,
    /// Copies that were posted, by platform.
    pub posted_by_platform: BTreeMap<String, u64>,
    /// When it first rang for anybody.
    pub rang: Option<Moment>,
    /// How each team that takes part met it.
    pub teams: Vec<TeamScore>,
}

/// A team, and a crisis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamScore {
    /// `coordinators`, or the party's name.
    pub team: String,
    /// When it rang for it.
    pub rang: Option<Moment>,
    /// When an endpoint of it took the alert.
    pub told: Option<Moment>,
    /// When somebody first took the case.
    pub claimed: Option<Moment>,
    /// When somebody first decided, and did not take it back.
    pub decided: Option<Moment>,
    /// What was decided, as it stands.
    pub verdict: Option<String>,
    /// How many removals are awaited: members, on each platform of the team.
    pub removals_awaited: u64,
    /// How many of them were confirmed.
    pub removals_confirmed: u64,
    /// When the last of those was.
    pub removals_confirmed_last: Option<Moment>,
}

/// An incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentScore {
    /// Its id.
    pub incident: String,
    /// What it is called.
    pub title: String,
    /// The crises of which it holds a family.
    pub crises: Vec<u32>,
    /// `declared`, `active` or `concluded`.
    pub phase: String,
    /// When it was declared.
    pub declared: Moment,
    /// The levels that held, in their order.
    pub levels: Vec<(String, Moment)>,
    /// When the first pack of hashes was given out.
    pub shared: Option<Moment>,
    /// When it was concluded last.
    pub concluded: Option<Moment>,
    /// Who was invited.
    pub participants: Vec<ParticipantScore>,
}

/// Who was invited into an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParticipantScore {
    /// `coordinators`, or the party's name.
    pub team: String,
    /// When it was first invited.
    pub invited: Moment,
    /// When it first said that it takes part.
    pub acknowledged: Option<Moment>,
    /// How long that took, in milliseconds.
    pub took_ms: Option<i64>,
}

/// When something happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// RFC 3339.
    pub at: Option<String>,
    /// Milliseconds after the first copy of the crisis; of an incident that is about none, after the drill began.
    pub after_ms: i64,
    /// Copies of the crisis that had been posted by then, to the second; of an incident, of all its crises.
    pub posted_before: u64,
}

/// The scorecard of a drill, from what is known of it, what was published, what people did, and how the parties are called in it.
pub fn scorecard(record: &Record, truth: &Truth, reactions: &Reactions, names: &BTreeMap<PartyId, Name>) -> Scorecard {
    let families: BTreeMap<u32, BTreeSet<FamilyId>> = truth
        .crises
        .iter()
        .map(|(number, crisis)| (*number, families_of(crisis, reactions)))
        .collect();
    let crises = truth.crises.iter().map(|(number, crisis)| {
        let told = Told {
            record,
            truth,
            crisis,
            families: &families[number],
        };
        told.score(*number, reactions, names)
    });
    let of_no_crisis = |case: &&ReactedCase| !families.values().any(|families| families.contains(&case.case.family));
    let others: Vec<&ReactedCase> = reactions.cases.iter().filter(of_no_crisis).collect();
    let rang = others.iter().filter(|reacted| reacted.case.first_alert_at.is_some());
    let rang: BTreeSet<FamilyId> = rang.map(|reacted| reacted.case.family).collect();
    let violating = others.iter().filter(|reacted| {
        let decision = reacted.case.decision.as_ref();
        decision.is_some_and(|decision| decision.ruling.verdict == tocsin_model::Verdict::Violating)
    });
    let violating: BTreeSet<FamilyId> = violating.map(|reacted| reacted.case.family).collect();
    Scorecard {
        mark: "DRILL".to_owned(),
        drill: record.id.clone(),
        scenario: record.scenario.clone(),
        seed: record.seed,
        speed: record.speed,
        began_at: instant(Timestamp(truth.began_at_ms)),
        ended_at: record.ended_at_ms.and_then(|at| instant(Timestamp(at))),
        progress: truth.progress.clone(),
        crises: crises.collect(),
        false_alarms: rang.len() as u64,
        false_decisions: violating.len() as u64,
        incidents: reactions
            .incidents
            .iter()
            .map(|told| incident(told, truth, &families, names))
            .collect(),
        is_cut: reactions.is_cut,
    }
}

/// The families that copies of a crisis founded.
fn families_of(crisis: &CrisisTruth, reactions: &Reactions) -> BTreeSet<FamilyId> {
    let of_crisis = reactions.cases.iter().map(|reacted| &reacted.case);
    let of_crisis = of_crisis.filter(|case| crisis.contents.contains(&HashText::from(&case.hash)));
    of_crisis.map(|case| case.family).collect()
}

/// A crisis with all that is known of it.
struct Told<'a> {
    record: &'a Record,
    truth: &'a Truth,
    crisis: &'a CrisisTruth,
    families: &'a BTreeSet<FamilyId>,
}

impl Told<'_> {
    fn score(&self, number: u32, reactions: &Reactions, names: &BTreeMap<PartyId, Name>) -> CrisisScore {
        let Copies { posted, blocked } = self.crisis.total();
        let by_platform = self.crisis.copies.iter().map(|(platform, seconds)| {
            let posted = seconds.values().map(|copies| copies.posted).sum();
            (platform.clone(), posted)
        });
        let teams = self.record.teams.iter().filter_map(|name| {
            let team = team_named(name, names)?;
            Some(self.team(name, team, reactions))
        });
        let rang = reactions.cases.iter().filter(|reacted| self.is_of(reacted));
        let rang = rang.filter_map(|reacted| reacted.case.first_alert_at).min();
        CrisisScore {
            number,
            began: self.moment(Timestamp(self.crisis.began_at_ms)),
            onset: self.crisis.onset_at_ms.map(|at| self.moment(Timestamp(at))),
            posted,
            blocked,
            posted_by_platform: by_platform.collect(),
            rang: self.moment_if_any(rang),
            teams: teams.collect(),
        }
    }

    fn team(&self, name: &str, team: Team, reactions: &Reactions) -> TeamScore {
        let cases = reactions.cases.iter().filter(|reacted| reacted.case.team == team);
        let cases: Vec<&ReactedCase> = cases.filter(|reacted| self.is_of(reacted)).collect();
        let first = |at: fn(&ReactedCase) -> Option<Timestamp>| {
            let earliest = cases.iter().filter_map(|reacted| at(reacted)).min();
            self.moment_if_any(earliest)
        };
        let told = reactions
            .told
            .iter()
            .filter(|told| told.team == team && self.families.contains(&told.family));
        let told = told.map(|told| told.at).min();
        // What stands in the case that was decided last.
        let decided = cases.iter().filter_map(|reacted| reacted.case.decision.as_ref());
        let decision = decided.max_by_key(|decision| decision.decided_at);
        TeamScore {
            team: name.to_owned(),
            rang: first(|reacted| reacted.case.first_alert_at),
            told: self.moment_if_any(told),
            claimed: first(|reacted| reacted.case.first_claimed_at),
            decided: first(|reacted| reacted.case.first_decided_at),
            verdict: decision.map(|decision| decision.ruling.verdict.name().to_owned()),
            removals_awaited: cases.iter().map(|reacted| reacted.awaited).sum(),
            removals_confirmed: cases.iter().map(|reacted| reacted.confirmed).sum(),
            removals_confirmed_last: self
                .moment_if_any(cases.iter().filter_map(|reacted| reacted.confirmed_last_at).max()),
        }
    }

    fn is_of(&self, reacted: &ReactedCase) -> bool {
        self.families.contains(&reacted.case.family)
    }

    fn moment(&self, at: Timestamp) -> Moment {
        Moment {
            at: instant(at),
            after_ms: after(self.crisis.began_at_ms, at),
            posted_before: self.truth.copies_until(self.crisis, at).posted,
        }
    }

    fn moment_if_any(&self, at: Option<Timestamp>) -> Option<Moment> {
        at.map(|at| self.moment(at))
    }
}

fn incident(
    (incident, timeline): &(Incident, Vec<TimelineEntry>),
    truth: &Truth,
    families: &BTreeMap<u32, BTreeSet<FamilyId>>,
    names: &BTreeMap<PartyId, Name>,
) -> IncidentScore {
    let held: BTreeSet<FamilyId> = incident.families.iter().map(|attached| attached.family).collect();
    let about = families.iter().filter(|(_, families)| !families.is_disjoint(&held));
    let crises: Vec<u32> = about.map(|(number, _)| *number).collect();
    let of_crises: Vec<&CrisisTruth> = crises.iter().filter_map(|number| truth.crises.get(number)).collect();
    let from_ms = of_crises
        .iter()
        .map(|crisis| crisis.began_at_ms)
        .min()
        .unwrap_or(truth.began_at_ms);
    let moment = |at: Timestamp| Moment {
        at: instant(at),
        after_ms: after(from_ms, at),
        posted_before: of_crises
            .iter()
            .map(|crisis| truth.copies_until(crisis, at).posted)
            .sum(),
    };
    let first = |is: &dyn Fn(&TimelineEntry) -> bool| timeline.iter().find(|entry| is(entry)).map(|entry| entry.at);
    let last = |is: &dyn Fn(&TimelineEntry) -> bool| timeline.iter().rfind(|entry| is(entry)).map(|entry| entry.at);
    let levels = timeline.iter().filter_map(|entry| match &entry.event {
        Event::Activated { name, .. } | Event::LevelChanged { name, .. } => Some((name.clone(), moment(entry.at))),
        _ => None,
    });
    let concluded = match incident.phase() {
        Phase::Concluded => last(&|entry| matches!(entry.event, Event::Concluded { .. })),
        Phase::Declared | Phase::Active => None,
    };
    let mut participants: Vec<ParticipantScore> = Vec::new();
    for entry in timeline {
        let Event::Invited { team, .. } = &entry.event else {
            continue;
        };
        let name = team_name(*team, names);
        if participants.iter().any(|participant| participant.team == name) {
            continue;
        }
        let acknowledged =
            first(&|other| matches!(other.event, Event::Acknowledged) && other.by.is_some_and(|(_, by)| by == *team));
        participants.push(ParticipantScore {
            team: name,
            invited: moment(entry.at),
            acknowledged: acknowledged.map(moment),
            took_ms: acknowledged.map(|at| after(entry.at.0, at)),
        });
    }
    IncidentScore {
        incident: incident.id.to_string(),
        title: incident.title.clone(),
        phase: incident.phase().name().to_owned(),
        declared: moment(incident.declared_at),
        levels: levels.collect(),
        shared: first(&|entry| matches!(entry.event, Event::PackMade { .. })).map(moment),
        concluded: concluded.map(moment),
        participants,
        crises,
    }
}

fn team_name(team: Team, names: &BTreeMap<PartyId, Name>) -> String {
    match team {
        Team::Coordinators => COORDINATORS.to_owned(),
        Team::Party(id) => names
            .get(&id)
            .map_or_else(|| format!("party-{}", id.0), Name::to_string),
    }
}

fn team_named(name: &str, names: &BTreeMap<PartyId, Name>) -> Option<Team> {
    if name == COORDINATORS {
        return Some(Team::Coordinators);
    }
    let found = names.iter().find(|(_, party)| party.as_str() == name);
    found.map(|(id, _)| Team::Party(*id))
}

#[cfg(test)]
mod tests {
    //! Goal: a drill to which nobody reacted is told as that, and every line of a scorecard says what it is about.
    #![allow(clippy::unwrap_used)]

    use super::super::home::State;
    use super::super::text;
    use super::*;

    #[test]
    fn what_nobody_did_is_never() {
        let record = Record {
            id: "000000ab".to_owned(),
            scenario: "demo".to_owned(),
            seed: 1,
            speed: 1.0,
            state: State::Ended,
            url: "http://127.0.0.1:1".to_owned(),
            started_at_ms: 0,
            ended_at_ms: Some(90_000),
            teams: vec![COORDINATORS.to_owned(), "north".to_owned()],
            progress: Progress::default(),
        };
        let crisis = CrisisTruth {
            began_at_ms: 15_000,
            onset_at_ms: Some(20_000),
            copies: BTreeMap::from([(
                "video".to_owned(),
                BTreeMap::from([(16, Copies { posted: 7, blocked: 3 })]),
            )]),
            ..CrisisTruth::default()
        };
        let truth = Truth {
            began_at_ms: 0,
            crises: BTreeMap::from([(0, crisis)]),
            ..Truth::default()
        };
        let names = BTreeMap::from([(PartyId(3), "north".parse().unwrap())]);
        let card = scorecard(&record, &truth, &Reactions::default(), &names);
        let crisis = &card.crises[0];
        assert_eq!((crisis.posted, crisis.blocked, &crisis.rang), (7, 3, &None));
        let onset = crisis.onset.as_ref().unwrap();
        assert_eq!((onset.after_ms, onset.posted_before), (5_000, 7));
        let teams: Vec<&str> = crisis.teams.iter().map(|team| team.team.as_str()).collect();
        assert_eq!(teams, [COORDINATORS, "north"]);
        assert!(
            crisis
                .teams
                .iter()
                .all(|team| team.rang.is_none() && team.told.is_none() && team.decided.is_none())
        );

        let shown = text::scorecard(&card);
        assert!(
            shown.lines().all(|line| line.starts_with("DRILL 000000ab: ")),
            "{shown}"
        );
        assert!(
            shown.contains("  rang: never") && shown.contains("no incident was declared"),
            "{shown}"
        );
        // What is kept as JSON reads back as it was.
        let kept: Scorecard = serde_json::from_str(&serde_json::to_string(&card).unwrap()).unwrap();
        assert_eq!(kept, card);
    }
}
