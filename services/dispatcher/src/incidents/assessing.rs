//! Holds the families of open incidents to their protocols while time goes by, in the scope of everyone who takes part.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tocsin_casework::Team;
use tocsin_incident::{Incident, IncidentId};
use tocsin_model::{FamilyId, Timestamp};
use tocsin_protocol::{Answers, Assessment, Assessor, Figures, Protocol, Truth};

use super::figures::{FamilyReading, nothing_hot};

/// The most families that are held to protocols at once, each counted once for every team it is held to one for. For those beyond, what must hold for
/// a time stays unknown.
pub(crate) const ASSESSED_MAX: usize = 8_192;

/// A family of an incident, for one team; `None`: an incident without families.
pub(crate) type Held = (IncidentId, Team, Option<FamilyId>);

/// Attached families, as a team sees them now.
#[derive(Clone, Debug)]
pub(crate) struct FamilyNow {
    /// The family that they are, or that they joined; `None`: the incident has no family.
    pub family: Option<FamilyId>,
    /// The families as they were attached. What is known is of them and of what they joined: a content may have joined in one class alone.
    pub attached: Vec<FamilyId>,
    /// What is known of it; `None`: nothing of it is hot in the team's scope.
    pub reading: Option<FamilyReading>,
}

/// What is remembered of open incidents.
#[derive(Debug, Default)]
pub(crate) struct Assessing {
    assessors: BTreeMap<Held, Assessor<Arc<Protocol>>>,
    /// How many found no room in the last round.
    pub left_out: usize,
}

/// A family of an incident, as it stands for one team.
#[derive(Clone, Debug)]
pub(crate) struct FamilyStanding {
    /// Which; of an incident without families only answers count.
    pub now: FamilyNow,
    /// What criteria say.
    pub assessment: Assessment,
}

impl FamilyStanding {
    /// What criteria were evaluated on.
    pub(crate) fn figures(&self) -> Figures {
        let reading = self.now.reading.as_ref();
        reading.map_or_else(nothing_hot, |reading| reading.figures.clone())
    }
}

/// An incident, as it stands for one team.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// Each family.
    pub families: Vec<FamilyStanding>,
    /// Whether what each level takes is met: by at least one family.
    pub levels: Vec<Truth>,
    /// Whether what it takes to conclude is met: by every family.
    pub conclusion: Truth,
}

impl Assessing {
    /// Takes in what is known of an incident for a team. `now` is the time that a family without figures is looked at; of others their figures tell
    /// it.
    pub(crate) fn observe(
        &mut self,
        (incident, team): (&Incident, Team),
        protocol: &Arc<Protocol>,
        now: Timestamp,
        families: &[FamilyNow],
    ) {
        for of in families {
            let held = (incident.id, team, of.family);
            if !self.assessors.contains_key(&held) && self.assessors.len() >= ASSESSED_MAX {
                self.left_out += 1;
                continue;
            }
            let assessor = self.assessors.entry(held);
            let assessor = assessor.or_insert_with(|| Assessor::new(Arc::clone(protocol)));
            let (at, figures) = known(of.reading.as_ref(), now);
            // Another reading that is further behind says what is known already.
            let _ = assessor.observe(at, &figures, &answers(incident));
        }
    }

    /// Forgets what is not followed any more.
    pub(crate) fn retain(&mut self, followed: &BTreeSet<Held>) {
        self.assessors.retain(|held, _| followed.contains(held));
    }

    /// How an incident stands for a team. Reading changes nothing.
    pub(crate) fn standing(
        &self,
        (incident, team): (&Incident, Team),
        protocol: &Arc<Protocol>,
        now: Timestamp,
        families: Vec<FamilyNow>,
    ) -> Standing {
        let answers = answers(incident);
        let mut families_now = Vec::with_capacity(families.len());
        for of in families {
            let fresh = || Assessor::new(Arc::clone(protocol));
            let mut assessor = self.assessors.get(&(incident.id, team, of.family)).cloned();
            let (at, figures) = known(of.reading.as_ref(), now);
            let assessment = assessor.get_or_insert_with(fresh).observe(at, &figures, &answers);
            // Older than what was taken in: what was remembered of it is of no use for this answer.
            let assessment = assessment.or_else(|_| fresh().observe(at, &figures, &answers));
            families_now.push(FamilyStanding {
                now: of,
                assessment: assessment.expect("nothing was seen before"),
            });
        }
        let levels = 0..protocol.levels.len();
        let over = |of: fn(&Assessment, usize) -> Truth, level: usize| {
            families_now.iter().map(move |family| of(&family.assessment, level))
        };
        Standing {
            levels: levels
                .map(|level| over(|of, level| of.levels[level].truth, level).fold(Truth::NotMet, Truth::or))
                .collect(),
            conclusion: over(|of, _| of.conclusion.truth, 0).fold(Truth::Met, Truth::and),
            families: families_now,
        }
    }
}

/// The families of an incident by what they joined: those that became one stand once.
pub(crate) fn families_now(
    incident: &Incident,
    joined: impl Fn(FamilyId) -> FamilyId,
    read: impl Fn(&BTreeSet<FamilyId>) -> Option<FamilyReading>,
) -> Vec<FamilyNow> {
    if incident.families.is_empty() {
        return vec![FamilyNow {
            family: None,
            attached: Vec::new(),
            reading: None,
        }];
    }
    let mut families: Vec<FamilyNow> = Vec::new();
    for attached in incident.families.iter().map(|attached| attached.family) {
        let family = joined(attached);
        match families.iter_mut().find(|known| known.family == Some(family)) {
            Some(known) => known.attached.push(attached),
            None => families.push(FamilyNow {
                family: Some(family),
                attached: vec![attached],
                reading: None,
            }),
        }
    }
    for of in &mut families {
        of.reading = read(&of.family.into_iter().chain(of.attached.iter().copied()).collect());
    }
    families
}

fn known(reading: Option<&FamilyReading>, now: Timestamp) -> (Timestamp, Figures) {
    match reading {
        Some(reading) => (reading.as_of, reading.figures.clone()),
        None => (now, nothing_hot()),
    }
}

fn answers(incident: &Incident) -> Answers {
    let answers = incident.answers.iter();
    answers.map(|answer| (answer.question.clone(), answer.yes)).collect()
}

#[cfg(test)]
mod tests {
    //! Goal: one family suffices for a level, all are needed to conclude, what must hold for a time is known to those who were followed, and room is
    //! bounded.
    #![allow(clippy::unwrap_used)]

    use tocsin_incident::{By, Command, Declaration, Marking, Origin, ProtocolVersion, Tlp};
    use tocsin_model::{ContentId, KeyId};
    use tocsin_protocol::{Figure, Measured, Reading, shipped};

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn incident(protocol: &Protocol, families: u128) -> Incident {
        let by = By {
            who: KeyId(1),
            team: Team::Coordinators,
            groups: std::collections::BTreeSet::new(),
            version: None,
        };
        let declaration = Declaration {
            title: "An attack".to_owned(),
            origin: Origin::Hand,
            protocol: ProtocolVersion {
                name: "crisis".to_owned(),
                version: 1,
            },
            marking: Marking::of(Tlp::Amber),
        };
        let (mut incident, _) = Incident::declare(IncidentId(1), &by, &declaration, NOW).unwrap();
        let answer = |question: &str, yes| Command::Answer {
            question: question.to_owned(),
            answer: Some(yes),
            reason: "seen".to_owned(),
        };
        let attach = (1..=families).map(|id| Command::Attach {
            family: FamilyId(ContentId(id)),
        });
        let answers = [
            answer("depicts_the_violence", true),
            answer("is_reporting", false),
            answer("platforms_confirm", true),
        ];
        for command in attach.chain(answers) {
            let event = incident.decide(protocol, &by, &command, NOW).unwrap();
            incident.take(&event, Some((by.who, by.team)), NOW);
        }
        incident
    }

    fn reading(copies: f64, at: Timestamp) -> FamilyReading {
        let mut figures = Figures::default();
        let number = |value: f64| {
            Reading::Number(Measured {
                low: value,
                high: value,
                as_of: Some(at),
            })
        };
        for (figure, value) in [
            (Figure::Spread1h, copies),
            (Figure::Spread5m, copies),
            (Figure::Accounts, copies),
            (Figure::Platforms1h, 2.0),
        ] {
            figures.set(figure, number(value));
        }
        figures.set(Figure::Live, Reading::Flag(false, Some(at)));
        FamilyReading {
            as_of: at,
            figures,
            platforms: BTreeMap::new(),
        }
    }

    #[test]
    fn one_family_raises_a_level_and_all_of_them_conclude() {
        let protocol = Arc::new(shipped("crisis").unwrap().unwrap());
        let incident = incident(&protocol, 2);
        let of = (&incident, Team::Coordinators);
        let (rare, much) = (FamilyId(ContentId(1)), FamilyId(ContentId(2)));
        let read = |at: Timestamp, second: f64| {
            move |of: &BTreeSet<FamilyId>| Some(reading(if of.contains(&much) { second } else { 3.0 }, at))
        };
        let now = |at, second| families_now(&incident, |family| family, read(at, second));
        let mut assessing = Assessing::default();
        let standing = assessing.standing(of, &protocol, NOW, now(NOW, 500.0));
        assert_eq!(standing.levels[..2], [Truth::Met, Truth::Met]);
        assert_eq!(standing.conclusion, Truth::NotMet);
        assert_eq!(standing.families[0].now.family, Some(rare));

        // Six hours of looking on: both are rare all the time.
        let mut at = NOW;
        for _ in 0..=360 {
            assessing.observe(of, &protocol, at, &now(at, 3.0));
            at = Timestamp(at.0 + 60_000);
        }
        let standing = assessing.standing(of, &protocol, at, now(at, 3.0));
        assert_eq!(standing.conclusion, Truth::Met);
        assert_eq!(
            assessing.standing(of, &protocol, at, now(at, 500.0)).conclusion,
            Truth::NotMet
        );
        // Nobody looked on for another team, and of a family that is not hot nothing is known.
        let party = (&incident, Team::Party(tocsin_model::PartyId(1)));
        assert_eq!(
            assessing.standing(party, &protocol, at, now(at, 3.0)).conclusion,
            Truth::Unknown
        );
        assert_eq!(
            assessing
                .standing(of, &protocol, at, families_now(&incident, |family| family, |_| None))
                .conclusion,
            Truth::Unknown
        );

        assessing.retain(&[(incident.id, Team::Coordinators, Some(much))].into());
        assert_eq!(assessing.assessors.len(), 1);
    }

    #[test]
    fn an_incident_without_families_is_held_to_its_answers() {
        let protocol = Arc::new(shipped("crisis").unwrap().unwrap());
        let incident = incident(&protocol, 0);
        let families = families_now(&incident, |family| family, |_| None);
        let standing = Assessing::default().standing((&incident, Team::Coordinators), &protocol, NOW, families);
        assert_eq!(standing.families.len(), 1);
        assert_eq!(standing.levels[0], Truth::Unknown);
    }

    #[test]
    fn families_that_became_one_stand_once_by_what_they_joined() {
        let protocol = Arc::new(shipped("crisis").unwrap().unwrap());
        let incident = incident(&protocol, 3);
        let id = |id| FamilyId(ContentId(id));
        // The second joined the first, the third one that nobody attached.
        let joined = |family| match family {
            family if family == id(2) => id(1),
            family if family == id(3) => id(9),
            family => family,
        };
        let read = |of: &BTreeSet<FamilyId>| (*of == [id(3), id(9)].into()).then(|| reading(500.0, NOW));
        let families = families_now(&incident, joined, read);
        let told: Vec<_> = families
            .iter()
            .map(|of| (of.family.unwrap(), of.attached.clone()))
            .collect();
        assert_eq!(told, [(id(1), vec![id(1), id(2)]), (id(9), vec![id(3)])]);
        let standing = Assessing::default().standing((&incident, Team::Coordinators), &protocol, NOW, families);
        assert_eq!(
            standing.levels[0],
            Truth::Met,
            "by the figures of the third and of what it joined"
        );
    }
}
