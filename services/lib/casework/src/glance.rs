use tocsin_model::{AlertId, DecisionId, FamilyId, KeyId, Timestamp, Verdict};

use crate::case::{Case, CaseId, CaseState, Desk, Lease, Merged, Resting, Team};
use crate::lane::Lane;

/// What whoever watches a queue is told of a case: no figures but its priority.
#[derive(Clone, Debug, PartialEq)]
pub struct Glance {
    /// Which case.
    pub id: CaseId,
    /// Whose.
    pub team: Team,
    /// What it is about.
    pub family: FamilyId,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Since when it is in the queue.
    pub waiting_since: Timestamp,
    /// Its version.
    pub version: u64,
    /// In which lane it is.
    pub lane: Lane,
    /// Where it waits.
    pub desk: Desk,
    /// How grave.
    pub severity: f64,
    /// By the alert that is shown.
    pub priority: f64,
    /// That alert; `None` of what never rang.
    pub alert: Option<AlertId>,
    /// When the first of its notices is due.
    pub due_at: Option<Timestamp>,
    /// What it is when nobody holds it.
    pub resting: Resting,
    /// The number of the last lease.
    pub fencing: u64,
    /// The last lease, if it was not given back.
    pub lease: Option<Lease>,
    /// Put aside until then.
    pub held_until: Option<Timestamp>,
    /// Until when its decision can be taken back.
    pub undo_until: Option<Timestamp>,
    /// Where it went.
    pub merged: Option<Merged>,
    /// The decision that stands.
    pub decision: Option<(DecisionId, Verdict)>,
    /// Who made it.
    pub decided_by: Option<KeyId>,
}

/// What happened to a case in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// It is new.
    Opened,
    /// It waits in another lane, at another desk, or in another rank class.
    Moved,
    /// Somebody holds it, or somebody else.
    Claimed,
    /// It waits again: it was given back, its lease or hold is over, its decision was taken back, or there is something new of it.
    Returned,
    /// It was put aside.
    Held,
    /// It was decided.
    Decided,
    /// Its spread subsided before anybody decided.
    Closed,
    /// It went into another case.
    Merged,
    /// It is as it is told, and it is not known as what it was known before.
    Changed,
}

impl Change {
    /// All of them.
    pub const ALL: [Change; 9] = [
        Change::Opened,
        Change::Moved,
        Change::Claimed,
        Change::Returned,
        Change::Held,
        Change::Decided,
        Change::Closed,
        Change::Merged,
        Change::Changed,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Change::Opened => "opened",
            Change::Moved => "moved",
            Change::Claimed => "claimed",
            Change::Returned => "returned",
            Change::Held => "held",
            Change::Decided => "decided",
            Change::Closed => "closed",
            Change::Merged => "merged",
            Change::Changed => "changed",
        }
    }
}

impl Glance {
    /// What the case is at `now`, as [`Case::state`].
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

    /// The lease, if it is not over at `now`.
    pub fn live_lease(&self, now: Timestamp) -> Option<Lease> {
        self.lease.filter(|lease| now < lease.expires_at)
    }

    /// Whether it is put aside at `now`.
    pub fn is_aside(&self, now: Timestamp) -> bool {
        self.held_until.is_some_and(|until| now < until)
    }

    /// Whether it is to be handed out at `now`, as [`Case::is_waiting`].
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        let is_undone = self.undo_until.is_none_or(|until| until <= now);
        self.state(now) == CaseState::Open && !self.is_aside(now) && is_undone
    }

    /// What changed since it was `former`, if that is anything a queue's readers are told of.
    pub fn change_from(&self, former: &Glance, (then, now): (Timestamp, Timestamp)) -> Option<Change> {
        let (was, is) = (former.state(then), self.state(now));
        match is {
            CaseState::Claimed if was != is || self.fencing != former.fencing => Some(Change::Claimed),
            CaseState::Decided if was != is || self.decision != former.decision => Some(Change::Decided),
            CaseState::Closed if was != is => Some(Change::Closed),
            CaseState::Merged if self.merged != former.merged => Some(Change::Merged),
            CaseState::Open if self.is_aside(now) => {
                let is_new = was != is || former.held_until != self.held_until;
                is_new.then_some(Change::Held)
            }
            CaseState::Open if was != is || former.is_aside(then) => Some(Change::Returned),
            CaseState::Open if (self.lane, self.desk) != (former.lane, former.desk) => Some(Change::Moved),
            // It was held and given back since it was looked at last.
            CaseState::Open if self.fencing != former.fencing => Some(Change::Returned),
            _ => None,
        }
    }

    /// What is told of a case of which nothing is known before `since`.
    pub fn change_since(&self, since: Timestamp, now: Timestamp) -> Change {
        match self.state(now) {
            CaseState::Claimed => Change::Claimed,
            CaseState::Decided => Change::Decided,
            CaseState::Closed => Change::Closed,
            CaseState::Merged => Change::Merged,
            CaseState::Open if self.opened_at > since => Change::Opened,
            CaseState::Open if self.is_aside(now) => Change::Held,
            CaseState::Open if self.waiting_since > since || self.was_kept(since) => Change::Returned,
            CaseState::Open => Change::Changed,
        }
    }
}

impl Glance {
    /// Whether somebody held it at `since`, or it was put aside then, as far as what stands of that tells.
    fn was_kept(&self, since: Timestamp) -> bool {
        self.live_lease(since).is_some() || self.is_aside(since)
    }
}

impl Case {
    /// What whoever watches the queue is told of it.
    pub fn glance(&self) -> Glance {
        let traits = self.traits();
        Glance {
            id: self.id,
            team: self.team,
            family: self.family,
            opened_at: self.opened_at,
            waiting_since: self.waiting_since,
            version: self.version,
            lane: traits.lane,
            desk: self.desk,
            severity: traits.severity,
            priority: self.priority,
            alert: self.alert.as_ref().map(|alert| alert.id),
            due_at: self.notices.due_at,
            resting: self.merged.map_or(self.resting, |_| Resting::Closed),
            fencing: self.fencing,
            lease: self.lease,
            held_until: self.held_until,
            undo_until: self.undo.as_ref().map(|undo| undo.until),
            merged: self.merged,
            decision: self
                .decision
                .as_ref()
                .map(|decision| (decision.id, decision.ruling.verdict)),
            decided_by: self.decision.as_ref().map(|decision| decision.decided_by),
        }
    }
}
