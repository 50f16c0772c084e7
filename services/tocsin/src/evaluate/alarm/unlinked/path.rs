//! Key groups with finders of links between: what is said on one side is heard on the other a quarter of a second later.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_family::{Limits, LinkFinder, Name, Seen};
use tocsin_loadtest::day::{DayPlan, Occurrence};
use tocsin_model::{
    Alert, Class, ClockFlag, ContentId, DeploymentKey, FamilyId, FurtherHash, KEY_GROUPS, Link, Milliseconds, Sharing,
    Timestamp,
};
use tocsin_velocity::figures::FamilyFigures;
use tocsin_velocity::{Group, HotKey, HotRecord, Input, Output};

use super::super::core::{Core, Sizes, party_id};
use super::files::Named;

/// The key groups of a deployment, one instance of intake for each party, and the topics between them.
pub(super) struct Path {
    core: Core,
    finders: Vec<LinkFinder>,
    /// What was said since the last hand-over, in order.
    said: Vec<Said>,
    handed_over_at: Timestamp,
    /// What found no room before the groups started again last.
    refused: u64,
}

/// What goes from one side to the other.
enum Said {
    ByGroup(Output),
    Link(Link),
    Further(FurtherHash),
}

/// What a record came to.
pub(super) struct Taken {
    pub(super) content: ContentId,
    /// When it happened as the groups see it; `None` where it is no spread, or too late for any window.
    pub(super) counted_at: Option<Timestamp>,
    /// Whether the content is counted exactly, before the record and after it.
    pub(super) hot: (bool, bool),
}

/// About what a commit, a topic and a poll take.
const HAND_OVER_EVERY: Milliseconds = Milliseconds(250);
/// Links that follow links that follow announcements come to an end: of 16,000 contents of all crises each joins a family of lower id.
const SETTLED_WITHIN: usize = 1_000;

impl Path {
    pub(super) fn new(sizes: Sizes, plan: &DayPlan) -> Self {
        let finders = plan.parties.iter().map(|_| LinkFinder::new(Limits::default()));
        Path {
            core: Core::new(sizes, plan),
            finders: finders.collect(),
            said: Vec::new(),
            handed_over_at: plan.stream_begins_at(),
            refused: 0,
        }
    }

    pub(super) fn key(&self) -> DeploymentKey {
        self.core.key().clone()
    }

    /// Reads one record, after all that was said until then was heard.
    pub(super) fn take(&mut self, occurrence: &Occurrence, named: Named, alerts: &mut Vec<Alert>) -> Taken {
        self.pass(occurrence.received_at, alerts);
        let (content, hash) = (named.own.id, named.own.hash.clone());
        let sighting = self.core.sighting_of(occurrence, content, hash.view());
        let counts = sighting.kind.is_spread() && sighting.clock != ClockFlag::Late;
        let counted_at = counts.then_some(sighting.occurred_at);
        let before = self.hot(content).is_some();
        self.core.apply(content.group(), Input::Sighting(&sighting));
        let hot = (before, self.hot(content).is_some());
        let finder = &mut self.finders[usize::from(occurrence.party)];
        let links = finder.seen(Seen {
            own: named.own,
            further: named.further,
            same_as: &named.same_as,
            party: party_id(occurrence.party),
            sharing: Sharing::All,
            at: occurrence.received_at,
        });
        let further = finder.take_further();
        self.said.extend(links.into_iter().map(Said::Link));
        self.said.extend(further.into_iter().map(Said::Further));
        self.hear_groups(alerts);
        Taken {
            content,
            counted_at,
            hot,
        }
    }

    /// Time goes on.
    pub(super) fn pass(&mut self, now: Timestamp, alerts: &mut Vec<Alert>) {
        while self.handed_over_at + HAND_OVER_EVERY <= now {
            self.handed_over_at = self.handed_over_at + HAND_OVER_EVERY;
            self.tick(self.handed_over_at);
            self.hand_over(alerts);
        }
    }

    /// Lets everything arrive that is on its way: time goes on until nobody says anything.
    ///
    /// # Panics
    /// It never comes to an end.
    pub(super) fn settle(&mut self, alerts: &mut Vec<Alert>) {
        let mut quiet = 0;
        for _ in 0..SETTLED_WITHIN {
            self.pass(self.handed_over_at + HAND_OVER_EVERY, alerts);
            quiet = if self.said.is_empty() { quiet + 1 } else { 0 };
            // Figures wait until the next quarter of a second.
            if quiet == 2 {
                return;
            }
        }
        panic!("what groups and finders say to one another comes to no end");
    }

    /// Ends all groups, and starts each from the bytes of its state: what waits there for others is said again.
    pub(super) fn restart(&mut self) {
        self.refused = self.refused();
        let config = self.core.config().clone();
        for group in self.core.groups_mut() {
            let cold = group.cold().map(|(class, cold)| (class, Group::encode_cold(cold)));
            let cold: BTreeMap<Class, Vec<u8>> = cold.collect();
            *group = Group::decode(config.clone(), &group.encode_core(), &cold).expect("a group reads what it wrote");
            self.said.extend(group.outbox().into_iter().map(Said::ByGroup));
        }
    }

    pub(super) fn hot(&self, content: ContentId) -> Option<&HotRecord> {
        let group = &self.core.groups()[usize::from(content.group().0)];
        group.hot(HotKey {
            content,
            class: Class::All,
        })
    }

    /// The members of which the home of a family knows figures.
    pub(super) fn members(&self, family: FamilyId) -> BTreeSet<ContentId> {
        self.core.groups()[usize::from(family.home().0)].members(family, Class::All)
    }

    /// What the home of a family says of it.
    pub(super) fn figures(&self, family: FamilyId) -> Option<FamilyFigures> {
        self.core.groups()[usize::from(family.home().0)].figures(family, Class::All)
    }

    /// Hot records, and what found no room: in the hot tables, among links, among figures of members elsewhere.
    pub(super) fn refused(&mut self) -> u64 {
        let counters = self.core.groups_mut().iter_mut().map(Group::take_counters);
        let refused = counters
            .map(|counters| counters.evicted + counters.hot_refused + counters.links_refused + counters.deltas_refused);
        self.refused + refused.sum::<u64>()
    }

    fn tick(&mut self, now: Timestamp) {
        for group in 0..KEY_GROUPS {
            self.core.apply(tocsin_model::GroupId(group), Input::Tick(now));
        }
    }

    fn hand_over(&mut self, alerts: &mut Vec<Alert>) {
        self.hear_groups(alerts);
        for said in std::mem::take(&mut self.said) {
            match said {
                Said::Link(link) | Said::ByGroup(Output::Link(link)) => {
                    self.core.apply(link.content.group(), Input::Link(&link));
                }
                Said::ByGroup(Output::Delta(delta)) => self.core.apply(delta.family.home(), Input::Delta(&delta)),
                Said::ByGroup(Output::Decision(decision)) => {
                    self.core.apply(decision.family.home(), Input::Decision(&decision));
                }
                Said::ByGroup(Output::Announcement(announcement)) => {
                    for finder in &mut self.finders {
                        self.said
                            .extend(finder.announced(&announcement).into_iter().map(Said::Link));
                        self.said.extend(finder.take_further().into_iter().map(Said::Further));
                    }
                }
                Said::ByGroup(Output::Withdrawal(gone)) => {
                    for finder in &mut self.finders {
                        finder.withdrawn(gone.content, gone.class);
                    }
                }
                Said::ByGroup(Output::Alert(_)) => {}
                Said::Further(further) => {
                    let name = Name::of_further(self.core.key().content_id(&further.hash), &further);
                    for finder in &mut self.finders {
                        let links = finder.further(further.content, further.class, &name, further.at);
                        self.said.extend(links.into_iter().map(Said::Link));
                    }
                }
            }
            self.hear_groups(alerts);
        }
    }

    fn hear_groups(&mut self, alerts: &mut Vec<Alert>) {
        for output in self.core.take_outputs() {
            match output {
                Output::Alert(alert) => alerts.push(*alert),
                said => self.said.push(Said::ByGroup(said)),
            }
        }
    }
}
