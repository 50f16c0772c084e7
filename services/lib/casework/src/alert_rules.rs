use std::cmp::Ordering;

use tocsin_model::{Alert, AlertLevel, ContentHash, FamilyId, PartyId, PlatformId, Scope, Timestamp, Verdict};

use crate::case::{Case, CaseId, Desk, Episode, Resting, Team};
use crate::notice::NoticeLoad;

/// Below this priority an open case closes unreviewed when its spread subsides, unless an operator chose another floor.
pub const UNREVIEWED_BELOW: f64 = 100.0;

/// What an alert did to a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertEffect {
    /// A new case.
    Opened,
    /// A closed or decided case came back into the queue.
    Reopened,
    /// Its figures changed.
    Updated,
    /// The spread subsided, and little was left to prevent: an open case was closed unreviewed, or is decided again if it had come back.
    ClosedUnreviewed,
    /// It says nothing new: it belongs to an episode that is over.
    Stale,
}

/// Whether an alert may be seen by a team: it changes the team's case of the family, if there is one.
pub fn concerns(alert: &Alert, team: Team) -> bool {
    alert.scope == Scope::All || alert.scope == team.scope()
}

/// The teams for which an alert opens a case, ascending.
///
/// The coordinators for scopes `coordinators` and `all`; a party for its own scope, and for scope `all` when one of its platforms saw the
/// family. `party_of` tells the party (not a revoked one) of a platform. An alert that says it is over opens nothing.
pub fn opens_for(alert: &Alert, party_of: impl Fn(PlatformId) -> Option<PartyId>) -> Vec<Team> {
    if alert.level == AlertLevel::Subsided {
        return Vec::new();
    }
    let mut teams: Vec<Team> = Team::of_scope(alert.scope).into_iter().collect();
    if alert.scope == Scope::All {
        teams.push(Team::Coordinators);
        let parties = alert.platforms.iter().filter_map(|figures| party_of(figures.platform));
        teams.extend(parties.map(Team::Party));
        teams.sort_unstable();
        teams.dedup();
    }
    teams
}

impl Case {
    /// The case that an alert opens for a team.
    pub fn open(id: CaseId, team: Team, alert: &Alert, now: Timestamp) -> Case {
        let episode = Episode {
            number: alert.episode,
            going_on: true,
            told_at: alert.at,
        };
        let (own_episode, all_episode) = match alert.scope {
            Scope::All => (Episode::default(), episode),
            Scope::Coordinators | Scope::Party(_) => (episode, Episode::default()),
        };
        let mut case = Case {
            own_episode,
            all_episode,
            ..Case::open_silent(id, team, (alert.family, &alert.hash), now)
        };
        case.show(alert);
        case
    }

    /// A case of a family, or of a content that may never have been seen, that nobody rang for. An alert that comes later updates it.
    pub fn open_silent(id: CaseId, team: Team, (family, hash): (FamilyId, &ContentHash), now: Timestamp) -> Case {
        Case {
            id,
            team,
            family,
            hash: hash.clone(),
            opened_at: now,
            first_seen: None,
            first_claimed_at: None,
            first_decided_at: None,
            first_alert_at: None,
            last_alert_at: None,
            own_episode: Episode::default(),
            all_episode: Episode::default(),
            alert: None,
            regions: Vec::new(),
            languages: Vec::new(),
            seen: None,
            noticed_platforms: Vec::new(),
            notices: NoticeLoad::default(),
            priority: 0.0,
            version: 1,
            waiting_since: now,
            desk: Desk::Moderators,
            held_until: None,
            resting: Resting::Open,
            fencing: 0,
            lease: None,
            draft: None,
            decision: None,
            undo: None,
            merged: None,
            said_at: None,
            dispute: None,
        }
    }

    /// What an alert that concerns the team does to its case.
    ///
    /// A team sees alerts of its own scope and of scope `all`. While an own episode goes on its figures are shown, for they hold those of
    /// `all`. A wave begins when an episode starts while none went on, or when a scope's next episode starts: that brings a closed case
    /// back, and a decided one too unless the decision was that the family is benign. A decided case stays decided as long as its wave lasts, also
    /// when it flares up again under the number of an episode that subsided; a closed one comes back then, and what was said before the episode
    /// subsided stays stale. An open one closes when all its episodes have subsided and its priority is below `floor`; above it, it waits for a
    /// person all the same, and so does what people have in hand. An escalation or a new wave ends the time for which a case was put aside.
    /// One that came back after a decision is decided again where another would close. A merged case goes on in the same way, unseen: it may be on
    /// its own again.
    pub fn apply_alert(&mut self, alert: &Alert, floor: f64, now: Timestamp) -> AlertEffect {
        match (self.take_alert(alert, floor, now), self.merged) {
            (AlertEffect::Reopened | AlertEffect::ClosedUnreviewed, Some(_)) => AlertEffect::Updated,
            (effect, _) => effect,
        }
    }

    fn take_alert(&mut self, alert: &Alert, floor: f64, now: Timestamp) -> AlertEffect {
        let nothing_went_on = !self.own_episode.going_on && !self.all_episode.going_on;
        let episode = match alert.scope {
            Scope::All => &mut self.all_episode,
            Scope::Coordinators | Scope::Party(_) => &mut self.own_episode,
        };
        let subsides = alert.level == AlertLevel::Subsided;
        let is_over = match alert.episode.cmp(&episode.number) {
            Ordering::Less => true,
            Ordering::Equal if episode.going_on => subsides && alert.at < episode.told_at,
            Ordering::Equal => subsides || alert.at <= episode.told_at,
            Ordering::Greater => false,
        };
        if is_over {
            return AlertEffect::Stale;
        }
        let starts = alert.episode > episode.number;
        let wave_begins = starts && (nothing_went_on || episode.number > 0);
        let told_at = match starts {
            true => alert.at,
            false => alert.at.max(episode.told_at),
        };
        *episode = Episode {
            number: alert.episode,
            going_on: !subsides,
            told_at,
        };
        self.show(alert);
        if subsides {
            return self.subside(floor, now);
        }
        if (wave_begins || alert.level == AlertLevel::Escalated) && self.held_until.take().is_some() {
            self.version += 1;
        }
        let stays_decided = self
            .decision
            .as_ref()
            .is_some_and(|decision| decision.ruling.verdict == Verdict::Benign);
        let comes_back = match self.resting {
            Resting::Open => false,
            Resting::Closed => true,
            Resting::Decided => wave_begins && !stays_decided,
        };
        if comes_back {
            self.resting = Resting::Open;
            self.waiting_since = now;
            self.version += 1;
            return AlertEffect::Reopened;
        }
        AlertEffect::Updated
    }

    fn subside(&mut self, floor: f64, now: Timestamp) -> AlertEffect {
        let goes_on = self.own_episode.going_on || self.all_episode.going_on;
        if goes_on || self.resting != Resting::Open || self.priority >= floor || self.is_in_hand(now) {
            return AlertEffect::Updated;
        }
        // What came back after a decision, and subsided with nobody looking, is what was decided. Of two decisions neither holds.
        self.resting = match (&self.decision, self.is_disputed()) {
            (_, true) => return AlertEffect::Updated,
            (Some(_), false) => Resting::Decided,
            (None, false) => Resting::Closed,
        };
        self.version += 1;
        AlertEffect::ClosedUnreviewed
    }

    /// Whether people did something with it that a closing would take from them: they hold it, put it aside, sent it to another desk or began to
    /// write; or somebody waits for the answer to a notice.
    pub(crate) fn is_in_hand(&self, now: Timestamp) -> bool {
        self.desk != Desk::Moderators
            || self.live_lease(now).is_some()
            || self.held_until.is_some_and(|until| now < until)
            || self.draft.is_some()
            || self.notices.open > 0
    }

    /// Takes over the figures of an alert, unless better ones are shown: of the own scope while it rings, or of a later time.
    fn show(&mut self, alert: &Alert) {
        let earliest = |known: Option<Timestamp>, at| Some(known.map_or(at, |known| known.min(at)));
        self.first_seen = earliest(self.first_seen, alert.first_seen);
        self.first_alert_at = earliest(self.first_alert_at, alert.at);
        self.last_alert_at = self.last_alert_at.max(Some(alert.at));
        let own_rings = alert.scope == Scope::All && self.own_episode.going_on;
        let shown = self.alert.as_ref();
        let earlier = shown.is_some_and(|shown| alert.scope == shown.scope && alert.at < shown.at);
        if shown.is_none() || (!own_rings && !earlier) {
            self.hash = alert.hash.clone();
            self.alert = Some(alert.clone());
            self.priority = finite(alert.priority);
        }
    }
}

/// A priority that is no number must not spoil the order of the queue.
fn finite(priority: f64) -> f64 {
    if priority.is_finite() { priority } else { 0.0 }
}

#[cfg(test)]
#[path = "../../model/tests/example/mod.rs"]
mod example;

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use tocsin_model::{AlertId, KeyId, PlatformFigures};

    use super::*;
    use crate::{CaseDecision, Draft, Lease, Ruling};

    pub(crate) fn alert(scope: Scope, level: AlertLevel, episode: u32, at: i64) -> Alert {
        let on_platform = |platform: u16| PlatformFigures {
            platform: PlatformId(platform),
            ..super::example::alert().platforms[0]
        };
        Alert {
            id: AlertId(at as u128),
            scope,
            level,
            episode,
            at: Timestamp(at),
            platforms: [3, 4, 9].map(on_platform).to_vec(),
            priority: at as f64,
            ..super::example::alert()
        }
    }

    pub(crate) fn open() -> Case {
        Case::open(
            CaseId(1),
            Team::Coordinators,
            &alert(Scope::All, AlertLevel::Raised, 1, 10),
            Timestamp(99),
        )
    }

    fn apply(case: &mut Case, alert: &Alert) -> AlertEffect {
        case.apply_alert(alert, UNREVIEWED_BELOW, Timestamp(200))
    }

    fn decided(verdict: Verdict) -> Case {
        Case {
            resting: Resting::Decided,
            decision: Some(CaseDecision {
                id: tocsin_model::DecisionId(1),
                ruling: Ruling::of(verdict, ""),
                decided_by: KeyId(1),
                decided_at: Timestamp(100),
                fencing: 1,
            }),
            ..open()
        }
    }

    #[test]
    fn an_alert_opens_cases_for_those_who_may_see_it_and_are_concerned() {
        let party_of = |platform: PlatformId| (platform.0 < 9).then_some(PartyId(platform.0 / 2));
        let check =
            |scope, level, expected: &[Team]| assert_eq!(opens_for(&alert(scope, level, 1, 1), party_of), expected);
        let (party_1, party_2, party_7) = (
            Team::Party(PartyId(1)),
            Team::Party(PartyId(2)),
            Team::Party(PartyId(7)),
        );
        check(Scope::All, AlertLevel::Raised, &[Team::Coordinators, party_1, party_2]);
        check(Scope::Coordinators, AlertLevel::Sustained, &[Team::Coordinators]);
        check(Scope::Party(PartyId(7)), AlertLevel::Escalated, &[party_7]);
        check(Scope::All, AlertLevel::Subsided, &[]);
    }

    #[test]
    fn a_case_follows_its_wave() {
        use AlertEffect::*;
        use AlertLevel::*;
        let steps = [
            (Scope::All, Escalated, 1, 20, Updated, Resting::Open),
            (Scope::Coordinators, Raised, 1, 30, Updated, Resting::Open),
            (Scope::All, Subsided, 1, 40, Updated, Resting::Open),
            (Scope::All, Sustained, 1, 39, Stale, Resting::Open),
            (Scope::Coordinators, Subsided, 1, 50, ClosedUnreviewed, Resting::Closed),
            (Scope::Coordinators, Sustained, 1, 45, Stale, Resting::Closed),
            (Scope::All, Escalated, 1, 40, Stale, Resting::Closed),
            (Scope::All, Escalated, 1, 51, Reopened, Resting::Open),
            (Scope::All, Subsided, 1, 40, Stale, Resting::Open),
            (Scope::All, Sustained, 1, 52, Updated, Resting::Open),
            (Scope::All, Subsided, 1, 53, ClosedUnreviewed, Resting::Closed),
            (Scope::All, Raised, 2, 60, Reopened, Resting::Open),
        ];
        let mut case = open();
        for (scope, level, episode, at, effect, resting) in steps {
            assert_eq!(apply(&mut case, &alert(scope, level, episode, at)), effect, "at {at}");
            assert_eq!(case.resting, resting, "at {at}");
        }
        assert_eq!(
            (case.first_alert_at, case.last_alert_at),
            (Some(Timestamp(10)), Some(Timestamp(60)))
        );
        assert_eq!(case.priority, 60.0);
    }

    #[test]
    fn what_subsides_with_much_left_to_prevent_waits_for_a_person() {
        for (priority, effect, resting) in [
            (UNREVIEWED_BELOW, AlertEffect::Updated, Resting::Open),
            (UNREVIEWED_BELOW - 0.5, AlertEffect::ClosedUnreviewed, Resting::Closed),
        ] {
            let over = Alert {
                priority,
                ..alert(Scope::All, AlertLevel::Subsided, 1, 20)
            };
            let mut case = open();
            assert_eq!(apply(&mut case, &over), effect);
            assert_eq!(case.resting, resting);
        }
    }

    #[test]
    fn what_people_have_in_hand_stays_open_when_it_subsides() {
        let lease = |expires_at| {
            Some(Lease {
                holder: KeyId(1),
                expires_at: Timestamp(expires_at),
            })
        };
        let untouched = open();
        let with = |change: fn(&mut Case)| {
            let mut case = open();
            change(&mut case);
            case
        };
        let held = |lease| Case { lease, ..open() };
        for (mut case, resting) in [
            (untouched, Resting::Closed),
            (held(lease(201)), Resting::Open),
            (held(lease(200)), Resting::Closed),
            (with(|case| case.desk = Desk::Legal), Resting::Open),
            (with(|case| case.held_until = Some(Timestamp(201))), Resting::Open),
            (with(|case| case.held_until = Some(Timestamp(200))), Resting::Closed),
            (with(|case| case.draft = Some(Draft::default())), Resting::Open),
            (with(|case| case.notices.open = 1), Resting::Open),
            (
                with(|case| case.decision = decided(Verdict::Violating).decision),
                Resting::Decided,
            ),
            (
                with(|case| {
                    case.decision = decided(Verdict::Violating).decision;
                    case.dispute = Some(crate::Dispute { fencing: 1 });
                }),
                Resting::Open,
            ),
        ] {
            apply(&mut case, &alert(Scope::All, AlertLevel::Subsided, 1, 20));
            assert_eq!(case.resting, resting, "{case:?}");
            assert!(!case.all_episode.going_on);
        }
    }

    #[test]
    fn own_figures_are_shown_while_the_own_scope_rings() {
        let mut case = open();
        apply(&mut case, &alert(Scope::Coordinators, AlertLevel::Raised, 1, 20));
        apply(&mut case, &alert(Scope::All, AlertLevel::Sustained, 1, 30));
        assert_eq!(
            (case.alert.as_ref().unwrap().scope, case.priority),
            (Scope::Coordinators, 20.0)
        );
        apply(&mut case, &alert(Scope::Coordinators, AlertLevel::Subsided, 1, 40));
        apply(&mut case, &alert(Scope::All, AlertLevel::Sustained, 1, 50));
        assert_eq!((case.alert.as_ref().unwrap().scope, case.priority), (Scope::All, 50.0));
    }

    #[test]
    fn a_decision_stands_for_its_wave_and_a_benign_one_for_later_waves() {
        use AlertLevel::*;
        for (verdict, effect) in [
            (Verdict::Violating, AlertEffect::Reopened),
            (Verdict::Newsworthy, AlertEffect::Reopened),
            (Verdict::Benign, AlertEffect::Updated),
        ] {
            let mut case = decided(verdict);
            for step in [
                alert(Scope::All, Escalated, 1, 20),
                alert(Scope::Coordinators, Raised, 1, 30),
                alert(Scope::Coordinators, Subsided, 1, 40),
                alert(Scope::All, Subsided, 1, 41),
                alert(Scope::All, Escalated, 1, 42),
                alert(Scope::All, Subsided, 1, 43),
            ] {
                assert_eq!(apply(&mut case, &step), AlertEffect::Updated);
                assert_eq!(case.resting, Resting::Decided);
            }
            assert_eq!(
                apply(&mut case, &alert(Scope::All, Raised, 2, 50)),
                effect,
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn a_priority_that_is_no_number_is_zero() {
        let mut bad = alert(Scope::All, AlertLevel::Raised, 1, 1);
        bad.priority = f64::NAN;
        assert_eq!(
            Case::open(CaseId(1), Team::Coordinators, &bad, Timestamp(0)).priority,
            0.0
        );
    }
}
