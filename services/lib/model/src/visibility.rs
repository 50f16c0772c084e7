use crate::PartyId;

/// How far the publishing party shares an event. The numbers are part of the wire formats and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Sharing {
    /// Only the party itself.
    Party = 0,
    /// The party and the coordinators.
    Coordinators = 1,
    /// Every reader.
    All = 2,
}

impl Sharing {
    /// The value with this number.
    pub fn from_number(number: u8) -> Option<Sharing> {
        [Sharing::Party, Sharing::Coordinators, Sharing::All]
            .get(usize::from(number))
            .copied()
    }

    /// The value with this name of the schema.
    pub fn from_name(name: &str) -> Option<Sharing> {
        [Sharing::Party, Sharing::Coordinators, Sharing::All]
            .into_iter()
            .find(|sharing| sharing.name() == name)
    }

    /// The name in the schema and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Sharing::Party => "party",
            Sharing::Coordinators => "coordinators",
            Sharing::All => "all",
        }
    }

    /// The visibility classes an event of `party` with this sharing counts under.
    ///
    /// `all` counts once; `coordinators` counts under the coordinators' class and the party's own; `party` under its own.
    pub fn classes(self, party: PartyId) -> impl Iterator<Item = Class> {
        // Asked twice for each event: a chain of two iterators took three times as many instructions.
        let own = Class::Party(party);
        let (classes, count) = match self {
            Sharing::All => ([Class::All, own], 1),
            Sharing::Coordinators => ([Class::Coordinators, own], 2),
            Sharing::Party => ([own, own], 1),
        };
        classes.into_iter().take(count)
    }
}

/// The key, beside the content, under which events are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Events every reader may see.
    All,
    /// Events for coordinators, of all parties.
    Coordinators,
    /// Events one party keeps to itself, and its events for coordinators.
    Party(PartyId),
}

/// What a reader may see: a sum of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Class `all` alone.
    All,
    /// Classes `coordinators` and `all`.
    Coordinators,
    /// Classes of this party and `all`.
    Party(PartyId),
}

impl Scope {
    /// Whether events of `class` are inside this scope.
    pub fn contains(self, class: Class) -> bool {
        class == Class::All || class == self.own_class()
    }

    /// The class this scope adds to `all` (for [`Scope::All`], `all` itself).
    pub fn own_class(self) -> Class {
        match self {
            Scope::All => Class::All,
            Scope::Coordinators => Class::Coordinators,
            Scope::Party(party) => Class::Party(party),
        }
    }
}

impl Class {
    /// The scope whose own class this is.
    pub fn scope(self) -> Scope {
        match self {
            Class::All => Scope::All,
            Class::Coordinators => Scope::Coordinators,
            Class::Party(party) => Scope::Party(party),
        }
    }

    /// A number for wire formats: 0 all, 1 coordinators, 2 + party id for a party.
    pub fn number(self) -> u32 {
        match self {
            Class::All => 0,
            Class::Coordinators => 1,
            Class::Party(party) => 2 + u32::from(party.0),
        }
    }

    /// The inverse of [`Class::number`]; `None` beyond the range of party ids.
    pub fn from_number(number: u32) -> Option<Class> {
        match number {
            0 => Some(Class::All),
            1 => Some(Class::Coordinators),
            n => u16::try_from(n - 2).ok().map(|id| Class::Party(PartyId(id))),
        }
    }
}
