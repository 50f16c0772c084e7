//! A history drawn from a seed: what the reader's party and everybody do, with what others do for themselves strewn between.

use tocsin_model::{AlertLevel, Scope};

/// So many families everybody is told of.
pub const SHARED_FAMILIES: u64 = 6;
/// The first family that only alpha knows of, and the first that only coordinators do.
pub const ALPHA_FAMILIES: u64 = 0x100;
pub const COORDINATOR_FAMILIES: u64 = 0x200;
const HIDDEN_FAMILIES: u64 = 4;
const VISIBLE_STEPS: usize = 16;
/// Before each visible step.
const HIDDEN_STEPS: u64 = 4;

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The reader's party.
    Beta,
    /// The other party.
    Alpha,
    Coordinators,
}

/// What becomes of a case that was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Handling {
    Violating,
    Benign,
    Draft,
    Skip,
    Hold,
    Escalate,
    HandOver,
    /// Its lease ends by itself.
    Abandon,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    Ring {
        family: u64,
        scope: Scope,
        level: AlertLevel,
        priority: f64,
    },
    Work(Side, Handling),
    /// An order of which both parties get one under each number, about different contents.
    Order(Side, u64),
    /// An appeal under a reference that both parties use.
    Appeal(Side, u64),
    Review(Side),
    /// A removal on its own platform, told of the case that it has of a shared family.
    TellClock(Side, u64),
    /// A content joins a shared family.
    Join {
        content: u64,
        family: u64,
        to: Scope,
    },
    /// Two shared families are one, for alpha alone.
    Merge {
        from: u64,
        into: u64,
    },
    /// What the state says of the content that spreads: for everybody, or for alpha.
    Spread(Scope),
    /// A threat to life, told of a case of alpha.
    Threat(u64),
    /// The coordinators declare an incident.
    Incident(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub is_hidden: bool,
    pub act: Act,
}

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

const HANDLINGS: [Handling; 9] = [
    Handling::Violating,
    Handling::Violating,
    Handling::Benign,
    Handling::Draft,
    Handling::Skip,
    Handling::Hold,
    Handling::Escalate,
    Handling::HandOver,
    Handling::Abandon,
];

/// The steps of a seed; without those that are hidden it is what the reader may know of.
pub fn history(seed: u64, (alpha, beta): (Scope, Scope)) -> Vec<Step> {
    let mut draw = Draw(seed);
    let mut steps = Vec::new();
    let mut visible = |act| steps.push(Step { is_hidden: false, act });
    visible(Act::Spread(Scope::All));
    for family in 1..=SHARED_FAMILIES {
        visible(ring(family, Scope::All, AlertLevel::Raised, 10.0 + family as f64));
    }
    for number in 0..VISIBLE_STEPS as u64 {
        let is_last = number + 1 == VISIBLE_STEPS as u64;
        for _ in 0..HIDDEN_STEPS {
            let act = hidden(&mut draw, (number, alpha));
            steps.push(Step { is_hidden: true, act });
        }
        let act = match number {
            // Each of these once, whatever is drawn; the rest is drawn.
            1 | 9 => Act::Work(Side::Beta, Handling::Violating),
            3 => Act::Order(Side::Beta, 0),
            5 => Act::Appeal(Side::Beta, 0),
            7 => Act::Review(Side::Beta),
            _ if is_last => ring(1 + SHARED_FAMILIES, Scope::All, AlertLevel::Raised, 5.0),
            _ => shared(&mut draw, (number, beta)),
        };
        steps.push(Step { is_hidden: false, act });
    }
    steps
}

fn ring(family: u64, scope: Scope, level: AlertLevel, priority: f64) -> Act {
    Act::Ring {
        family,
        scope,
        level,
        priority,
    }
}

fn shared(draw: &mut Draw, (number, beta): (u64, Scope)) -> Act {
    let family = 1 + draw.below(SHARED_FAMILIES);
    // No two are alike, so that no order rests on a drawn id.
    let priority = 20.0 + number as f64;
    match draw.below(10) {
        0..=4 => Act::Work(Side::Beta, draw.of(&HANDLINGS)),
        5 => ring(
            family,
            draw.of(&[Scope::All, beta]),
            draw.of(&[AlertLevel::Escalated, AlertLevel::Sustained]),
            priority,
        ),
        6 => Act::Order(Side::Beta, 1 + number),
        7 => Act::Appeal(Side::Beta, 1 + number),
        8 => Act::TellClock(Side::Beta, family),
        _ => Act::Join {
            content: 0x300 + number,
            family,
            to: Scope::All,
        },
    }
}

fn hidden(draw: &mut Draw, (number, alpha): (u64, Scope)) -> Act {
    let (scope, first) = draw.of(&[(alpha, ALPHA_FAMILIES), (Scope::Coordinators, COORDINATOR_FAMILIES)]);
    let side = if scope == alpha {
        Side::Alpha
    } else {
        Side::Coordinators
    };
    let shared = 1 + draw.below(SHARED_FAMILIES);
    let own = first + draw.below(HIDDEN_FAMILIES);
    let family = draw.of(&[shared, own]);
    match draw.below(24) {
        0..=4 => {
            let level = draw.of(&[AlertLevel::Raised, AlertLevel::Escalated]);
            ring(family, scope, level, 1_000.0 + draw.below(1_000) as f64)
        }
        5..=13 => Act::Work(side, draw.of(&HANDLINGS)),
        14 | 15 => Act::Order(Side::Alpha, draw.below(2) * (1 + number)),
        16 => Act::Appeal(Side::Alpha, draw.below(2) * (1 + number)),
        17 => Act::Review(Side::Alpha),
        18 => Act::TellClock(Side::Alpha, shared),
        19 => Act::Join {
            content: 0x400 + draw.below(0x100),
            family: shared,
            to: scope,
        },
        20 => Act::Merge {
            from: shared,
            into: 1 + shared % SHARED_FAMILIES,
        },
        21 => Act::Spread(alpha),
        22 => Act::Threat(shared),
        _ => Act::Incident(shared),
    }
}
