use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tocsin_casework::Team;
use tocsin_model::{KeyId, Name};

use crate::form;

/// The Traffic Light Protocol, version 2.0 (FIRST, August 2022): how far what is marked may go. From the widest to the narrowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tlp {
    /// Without limit.
    Clear,
    /// To the community: every party of the deployment.
    Green,
    /// To the recipients' organisations and their clients.
    Amber,
    /// To the recipients' organisations alone. Tocsin has no clients, so inside it this reaches as far as [`Tlp::Amber`]; the difference binds
    /// whoever reads it.
    AmberStrict,
    /// To the recipients themselves: keys by their ids.
    Red,
}

/// How far something may go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marking {
    /// Its colour.
    pub tlp: Tlp,
    /// Of amber: the sharing group it goes to. `None`: those who take part in the incident.
    #[serde(with = "form::option")]
    pub group: Option<Name>,
    /// Of red: who may read it.
    #[serde(with = "form::list")]
    pub recipients: BTreeSet<KeyId>,
}

/// Who wrote something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author {
    /// With which key.
    pub key: KeyId,
    /// For whom.
    pub team: Team,
}

/// Who wants to read something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// With which key.
    pub key: KeyId,
    /// For whom; `None` of those who run the deployment.
    pub team: Option<Team>,
    /// The sharing groups of the team.
    pub groups: BTreeSet<Name>,
}

/// The most recipients that something red has.
pub const RECIPIENTS_MAX: usize = 64;

impl Tlp {
    /// All colours, the widest first.
    pub const ALL: [Tlp; 5] = [Tlp::Clear, Tlp::Green, Tlp::Amber, Tlp::AmberStrict, Tlp::Red];

    /// Its label, as the standard writes it behind `TLP:`.
    pub fn label(self) -> &'static str {
        match self {
            Tlp::Clear => "CLEAR",
            Tlp::Green => "GREEN",
            Tlp::Amber => "AMBER",
            Tlp::AmberStrict => "AMBER+STRICT",
            Tlp::Red => "RED",
        }
    }

    /// The colour of this label.
    pub fn from_label(label: &str) -> Option<Tlp> {
        Tlp::ALL.into_iter().find(|tlp| tlp.label() == label)
    }
}

impl Marking {
    /// This colour, for those who take part.
    pub fn of(tlp: Tlp) -> Marking {
        Marking {
            tlp,
            group: None,
            recipients: BTreeSet::new(),
        }
    }

    /// Whether its parts fit each other: a group goes with amber, recipients with red, which has some.
    pub fn is_well_formed(&self) -> bool {
        let is_amber = matches!(self.tlp, Tlp::Amber | Tlp::AmberStrict);
        let of_red = (1..=RECIPIENTS_MAX).contains(&self.recipients.len());
        (is_amber || self.group.is_none())
            && (self.tlp == Tlp::Red) == of_red
            && self.recipients.len() <= RECIPIENTS_MAX
    }
}

/// Whether somebody may read something that is marked so: `author` wrote it, and `takes_part` says whether the reader's team takes part in the
/// incident it belongs to. Whoever wrote a thing may read it.
pub fn may_read(marking: &Marking, author: Author, reader: &Reader, takes_part: bool) -> bool {
    if reader.key == author.key {
        return true;
    }
    match (marking.tlp, reader.team) {
        (Tlp::Clear, _) => true,
        (Tlp::Red, _) => marking.recipients.contains(&reader.key),
        (_, None) => false,
        (Tlp::Green, Some(_)) => true,
        (Tlp::Amber | Tlp::AmberStrict, Some(team)) => match &marking.group {
            _ if team == author.team => true,
            Some(group) => reader.groups.contains(group),
            None => takes_part,
        },
    }
}

#[cfg(test)]
mod tests {
    //! Goal: every colour reaches those whom the standard names, and nobody else.
    #![allow(clippy::unwrap_used)]

    use tocsin_model::PartyId;

    use super::*;

    /// Who reads: the author's key, a colleague, another party that takes part, one that does not, one of the group, a recipient, an operator.
    #[test]
    fn a_colour_reaches_whom_the_standard_names() {
        let group: Name = "gifct".parse().unwrap();
        let reader = |key: u128, team: Option<u16>, groups: &[&Name]| Reader {
            key: KeyId(key),
            team: team.map(|party| Team::Party(PartyId(party))),
            groups: groups.iter().copied().cloned().collect(),
        };
        let author = Author {
            key: KeyId(1),
            team: Team::Party(PartyId(1)),
        };
        let readers = [
            (reader(1, Some(1), &[]), true),
            (reader(2, Some(1), &[]), true),
            (reader(3, Some(2), &[]), true),
            (reader(4, Some(3), &[]), false),
            (reader(5, Some(4), &[&group]), false),
            (reader(9, Some(5), &[]), false),
            (reader(7, None, &[]), false),
        ];
        let marked = |tlp, group: Option<&Name>| Marking {
            tlp,
            group: group.cloned(),
            recipients: (tlp == Tlp::Red).then_some(KeyId(9)).into_iter().collect(),
        };
        for (marking, expected) in [
            (marked(Tlp::Clear, None), [true, true, true, true, true, true, true]),
            (marked(Tlp::Green, None), [true, true, true, true, true, true, false]),
            (marked(Tlp::Amber, None), [true, true, true, false, false, false, false]),
            (
                marked(Tlp::AmberStrict, None),
                [true, true, true, false, false, false, false],
            ),
            (
                marked(Tlp::Amber, Some(&group)),
                [true, true, false, false, true, false, false],
            ),
            (
                marked(Tlp::AmberStrict, Some(&group)),
                [true, true, false, false, true, false, false],
            ),
            (marked(Tlp::Red, None), [true, false, false, false, false, true, false]),
        ] {
            assert!(marking.is_well_formed());
            let read = readers
                .each_ref()
                .map(|(reader, part)| may_read(&marking, author, reader, *part));
            assert_eq!(read, expected, "{marking:?}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_no_marking() {
        let group: Name = "gifct".parse().unwrap();
        for (tlp, group, recipients, expected) in [
            (Tlp::Green, Some(&group), 0, false),
            (Tlp::Amber, None, 1, false),
            (Tlp::Red, None, 0, false),
            (Tlp::Red, Some(&group), 1, false),
            (Tlp::Red, None, RECIPIENTS_MAX + 1, false),
            (Tlp::Red, None, RECIPIENTS_MAX, true),
            (Tlp::Clear, None, 0, true),
        ] {
            let marking = Marking {
                tlp,
                group: group.cloned(),
                recipients: (0..recipients as u128).map(KeyId).collect(),
            };
            assert_eq!(marking.is_well_formed(), expected, "{marking:?}");
        }
    }
}
