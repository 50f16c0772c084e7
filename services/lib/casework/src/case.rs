use std::fmt;
use std::str::FromStr;

use tocsin_model::{
    Alert, ContentHash, FamilyId, Grounds, IdError, KeyId, PartyId, PlatformId, Scope, Timestamp, Verdict, parse_hex_id,
};

use crate::lane::{Code, Traits};
use crate::notice::NoticeLoad;
use crate::ruling::CaseDecision;
use crate::seen::Seen;

/// The identity of a case. Random: it tells nothing of other teams' cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseId(pub u128);

/// Whose queue a case is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Team {
    /// The coordinators.
    Coordinators,
    /// The moderators of a party.
    Party(PartyId),
}

/// One family in one team's queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its identity.
    pub id: CaseId,
    /// Whose it is.
    pub team: Team,
    /// What it is about.
    pub family: FamilyId,
    /// The strongest hash of the family's founder, by the alert that is shown; before any, of the content that it was opened about.
    pub hash: ContentHash,
    /// When it was opened, by the store's clock.
    pub opened_at: Timestamp,
    /// When its family was first seen, by what the team's alerts say: the earliest.
    pub first_seen: Option<Timestamp>,
    /// When somebody first took it.
    pub first_claimed_at: Option<Timestamp>,
    /// When somebody first decided, and did not take it back.
    pub first_decided_at: Option<Timestamp>,
    /// The time of its first alert. `None`: it never rang.
    pub first_alert_at: Option<Timestamp>,
    /// The time of its last alert.
    pub last_alert_at: Option<Timestamp>,
    /// The episode in the team's own scope.
    pub own_episode: Episode,
    /// The episode in scope `all`.
    pub all_episode: Episode,
    /// The alert whose figures the case shows. `None`: it was opened by a notice, and never rang.
    pub alert: Option<Alert>,
    /// The regions in which the family spread within the last day, ascending, as far as the state was heard of.
    pub regions: Vec<Code>,
    /// The languages in which it did, ascending.
    pub languages: Vec<Code>,
    /// What the state told last of the family. `None`: nothing, or nothing of it is counted any more.
    pub seen: Option<Seen>,
    /// The platforms that its notices name, answered ones too, ascending.
    pub noticed_platforms: Vec<PlatformId>,
    /// What authorities and flaggers wait for.
    pub notices: NoticeLoad,
    /// Orders the queue, highest first. Finite; 0 of what never rang.
    pub priority: f64,
    /// Rises with every change of what people decide on: not with figures, nor with a longer lease.
    pub version: u64,
    /// Since when it is in the queue: since it was opened, or came back.
    pub waiting_since: Timestamp,
    /// Where it waits.
    pub desk: Desk,
    /// Put aside until then.
    pub held_until: Option<Timestamp>,
    /// What it is when nobody holds it.
    pub resting: Resting,
    /// The number of the last lease. Every write by a holder carries it.
    pub fencing: u64,
    /// The last lease, if it was not given back.
    pub lease: Option<Lease>,
    /// An unfinished decision.
    pub draft: Option<Draft>,
    /// The decision that stands.
    pub decision: Option<CaseDecision>,
    /// How it is taken back. Over from its time on.
    pub undo: Option<Undo>,
    /// Where it went: its family joined another. What it rests in meanwhile is what it is again when the family leaves.
    pub merged: Option<Merged>,
    /// When a group said what its family belongs to, of what was heard last: what is older is over.
    pub said_at: Option<Timestamp>,
    /// That a case with another decision was merged into it. Over once somebody decides.
    pub dispute: Option<Dispute>,
}

/// Which case another one went into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The case of the family that it joined.
    pub into: CaseId,
    /// When, by the store's clock.
    pub at: Timestamp,
}

/// Two decisions that differ, of cases that became one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// A decision under a lease of a higher number ends it.
    pub fencing: u64,
}

/// A short account of a case: what decides whether and when it is handed out.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Which case.
    pub id: CaseId,
    /// Whose.
    pub team: Team,
    /// What it is about.
    pub family: FamilyId,
    /// By the alert that is shown.
    pub priority: f64,
    /// When the first of its notices is due. What is near goes before every priority.
    pub due_at: Option<Timestamp>,
    /// What filters look at.
    pub traits: Traits,
    /// What was decided before, if anything.
    pub verdict: Option<Verdict>,
    /// From when on it waits: in the past, or when its lease or hold ends, or its decision can no longer be taken back. `None` when it is decided or closed.
    pub waits_from: Option<Timestamp>,
}

/// How far the episodes of one scope have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Episode {
    /// The number of the last episode; 0 before the first.
    pub number: u32,
    /// Whether it goes on.
    pub going_on: bool,
    /// The time of its latest alert.
    pub told_at: Timestamp,
}

/// What a case is when nobody holds it. The numbers are those of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Resting {
    /// It waits in the queue.
    Open = 1,
    /// A decision stands.
    Decided = 2,
    /// The spread subsided before anybody decided.
    Closed = 3,
}

/// What a case is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CaseState {
    /// It waits in the queue.
    Open,
    /// Somebody holds it.
    Claimed,
    /// A decision stands.
    Decided,
    /// The spread subsided before anybody decided.
    Closed,
    /// It went into the case of the family that its family joined.
    Merged,
}

/// Who holds a case, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The key that claimed it.
    pub holder: KeyId,
    /// From then on it is over.
    pub expires_at: Timestamp,
}

/// Where a case waits. The numbers are those of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Desk {
    /// With the moderators.
    #[default]
    Moderators = 1,
    /// With those who know the subject.
    Expert = 2,
    /// With those who know the law.
    Legal = 3,
}

/// An unfinished decision, kept for whoever holds the case next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// What it may become.
    pub verdict: Option<Verdict>,
    /// What is known of the grounds.
    pub grounds: Grounds,
    /// What is written so far.
    pub rationale: String,
}

/// What a decision that can still be taken back leads back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// From then on it is out.
    pub until: Timestamp,
    /// What the case was.
    pub resting: Resting,
    /// Where it waited.
    pub desk: Desk,
    /// The decision that stood.
    pub decision: Option<CaseDecision>,
}

impl Team {
    /// The scope the team reads in.
    pub fn scope(self) -> Scope {
        match self {
            Team::Coordinators => Scope::Coordinators,
            Team::Party(party) => Scope::Party(party),
        }
    }

    /// The team of those who read in this scope; scope `all` has none.
    pub fn of_scope(scope: Scope) -> Option<Team> {
        match scope {
            Scope::All => None,
            Scope::Coordinators => Some(Team::Coordinators),
            Scope::Party(party) => Some(Team::Party(party)),
        }
    }

    /// The party whose team it is; `None` of the coordinators.
    pub fn party(self) -> Option<PartyId> {
        match self {
            Team::Coordinators => None,
            Team::Party(party) => Some(party),
        }
    }

    /// The number of the store: 1 coordinators, 2 + party number.
    pub fn to_number(self) -> i64 {
        i64::from(self.scope().own_class().number())
    }

    /// The team with this number of the store.
    pub fn from_number(number: i64) -> Option<Team> {
        let class = tocsin_model::Class::from_number(u32::try_from(number).ok()?)?;
        Team::of_scope(class.scope())
    }
}

impl Resting {
    /// From when on a case that rests so waits to be handed out: when the last of what keeps it ends, its lease, its hold and the time in which its
    /// decision can be taken back, in the past where nothing does. `None` if it is decided or closed.
    pub fn waits_from(self, ends: [Option<Timestamp>; 3]) -> Option<Timestamp> {
        let last = ends.into_iter().flatten().max().unwrap_or(Timestamp::MIN);
        (self == Resting::Open).then_some(last)
    }

    /// The state with this number of the store.
    pub fn from_number(number: i64) -> Option<Resting> {
        [Resting::Open, Resting::Decided, Resting::Closed]
            .into_iter()
            .find(|resting| *resting as i64 == number)
    }
}

impl Desk {
    /// All desks.
    pub const ALL: [Desk; 3] = [Desk::Moderators, Desk::Expert, Desk::Legal];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Desk::Moderators => "moderators",
            Desk::Expert => "expert",
            Desk::Legal => "legal",
        }
    }

    /// The desk of this name.
    pub fn from_name(name: &str) -> Option<Desk> {
        Desk::ALL.into_iter().find(|desk| desk.name() == name)
    }

    /// The desk with this number of the store.
    pub fn from_number(number: i64) -> Option<Desk> {
        Desk::ALL.into_iter().find(|desk| *desk as i64 == number)
    }
}

impl CaseState {
    /// All states.
    pub const ALL: [CaseState; 5] = [
        CaseState::Open,
        CaseState::Claimed,
        CaseState::Decided,
        CaseState::Closed,
        CaseState::Merged,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            CaseState::Open => "open",
            CaseState::Claimed => "claimed",
            CaseState::Decided => "decided",
            CaseState::Closed => "closed",
            CaseState::Merged => "merged",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<CaseState> {
        CaseState::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl Case {
    /// What the case is at `now`.
    pub fn state(&self, now: Timestamp) -> CaseState {
        if self.merged.is_some() {
            return CaseState::Merged;
        }
        if self.live_lease(now).is_some() {
            return CaseState::Claimed;
        }
        match self.resting {
            Resting::Open => CaseState::Open,
            Resting::Decided => CaseState::Decided,
            Resting::Closed => CaseState::Closed,
        }
    }

    /// Whether a member of its family is a live stream, as far as the alert that it shows or the state tells; it may have ended.
    pub fn is_live(&self) -> bool {
        let alert = self.alert.as_ref().and_then(|alert| alert.live);
        alert.or(self.live()).is_some()
    }

    /// Whether it is to be handed out at `now`.
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        self.state(now) == CaseState::Open
            && self.held_until.is_none_or(|until| until <= now)
            && self.undo_until(now).is_none()
    }

    /// What ranks need to know of it.
    pub fn standing(&self) -> Standing {
        let ends = [
            self.lease.map(|lease| lease.expires_at),
            self.held_until,
            self.undo.as_ref().map(|undo| undo.until),
        ];
        Standing {
            id: self.id,
            team: self.team,
            family: self.family,
            priority: self.priority,
            due_at: self.notices.due_at,
            traits: self.traits(),
            verdict: self.verdict(),
            waits_from: self.resting.waits_from(ends).filter(|_| self.merged.is_none()),
        }
    }

    /// The decision that others are told of: one that can still be taken back is not yet.
    pub fn decision_out(&self, now: Timestamp) -> Option<&CaseDecision> {
        match &self.undo {
            Some(undo) if now < undo.until => undo.decision.as_ref(),
            _ => self.decision.as_ref(),
        }
    }

    /// Until when the decision can be taken back, if it can be at `now`.
    pub fn undo_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.undo.as_ref().map(|undo| undo.until).filter(|until| now < *until)
    }

    /// The lease, if it is not over at `now`.
    pub fn live_lease(&self, now: Timestamp) -> Option<Lease> {
        self.lease.filter(|lease| now < lease.expires_at)
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for CaseId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<CaseId, IdError> {
        parse_hex_id(text).map(CaseId)
    }
}
