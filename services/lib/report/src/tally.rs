//! The rows of a report, counted. Each kind of row has its own counts, and a section in a report tells them.

mod appeals;
mod cases;
mod decisions;
mod notices;
mod participation;
mod removals;
mod times;

use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::Team;
use tocsin_model::{Name, PartyId, PlatformId, Timestamp};

use crate::day::Period;
use crate::row::{AppealRow, CaseRow, DecisionRow, NoticeRow, ParticipationRow, RemovalRow};

pub(crate) use appeals::{Appeals, against_name};
pub(crate) use cases::{Cases, Found};
pub(crate) use decisions::Decisions;
pub(crate) use notices::{Notices, ground_name, kind_name, outcome_name};
pub(crate) use participation::Participation;
pub(crate) use removals::{COPIES_FROM, OnPlatform, Removals, VIEWS_FROM, Views};
pub(crate) use times::Times;

/// Whose report it is, and what it may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The team.
    pub team: Team,
    /// Its name.
    pub name: String,
    /// The platforms that count: a party's own; of the coordinators all.
    pub platforms: BTreeMap<PlatformId, Name>,
    /// Those whose clocks count: a party's own; of the coordinators those of the parties that agreed.
    pub named: BTreeSet<PlatformId>,
    /// The parties whose part in incidents may be told: the party itself; of the coordinators those that agreed.
    pub parties: BTreeMap<PartyId, Name>,
}

/// The counts of a report. Rows come in any order; those of other days count nowhere, but for what they say of these.
#[derive(Clone, Debug)]
pub struct Tally {
    pub(crate) owner: Owner,
    pub(crate) period: Period,
    pub(crate) is_over: bool,
    pub(crate) cases: Cases,
    pub(crate) times: Times,
    pub(crate) decisions: Decisions,
    pub(crate) removals: Removals,
    pub(crate) notices: Notices,
    pub(crate) appeals: Appeals,
    pub(crate) participation: Participation,
}

impl Tally {
    /// Nothing yet. `now` says only whether the last day is over.
    pub fn new(owner: Owner, period: Period, now: Timestamp) -> Tally {
        Tally {
            cases: Cases::default(),
            times: Times::default(),
            decisions: Decisions::new(),
            removals: Removals::default(),
            notices: Notices::new(),
            appeals: Appeals::default(),
            participation: Participation::default(),
            is_over: period.ends() <= now,
            owner,
            period,
        }
    }

    /// The days that it is about.
    pub fn period(&self) -> &Period {
        &self.period
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// A case.
    pub fn case(&mut self, row: &CaseRow) {
        let is_counted = self.cases.take(row, &self.period, &self.owner.named);
        if is_counted {
            self.times.take(row, &self.period, &self.owner.named);
        }
    }

    /// A decision.
    pub fn decision(&mut self, row: &DecisionRow) {
        self.decisions.take(row, &self.period);
    }

    /// What a platform said of a member.
    pub fn removal(&mut self, row: &RemovalRow) {
        if self.owner.platforms.contains_key(&row.platform) {
            self.removals.take(row, &self.period);
        }
    }

    /// A notice.
    pub fn notice(&mut self, row: &NoticeRow) {
        self.notices.take(row, &self.period);
    }

    /// An appeal.
    pub fn appeal(&mut self, row: &AppealRow) {
        self.appeals.take(row, &self.period);
    }

    /// A team's part in an incident. Whoever did not agree counts nowhere.
    pub fn participation(&mut self, row: &ParticipationRow) {
        let Team::Party(party) = row.team else {
            return;
        };
        if self.owner.parties.contains_key(&party) {
            self.participation.take(party, row, &self.period);
        }
    }

    /// The name of a platform that is told of.
    pub(crate) fn platform(&self, platform: PlatformId) -> String {
        self.owner
            .platforms
            .get(&platform)
            .map(Name::to_string)
            .unwrap_or_default()
    }
}
