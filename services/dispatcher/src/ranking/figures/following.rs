//! What hot records say of the members of decided families: what came of them on the platforms of those who decided.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tocsin_casework::{Occurrences, Span, Tally, Team, came_closely, is_close};
use tocsin_model::{ContentHash, ContentId, FamilyId, Joined, Kind, PlatformId};
use tocsin_store::{FollowedDecision, MemberTally};
use tocsin_velocity::HotRecord;
use tocsin_velocity::record::HeardOf;

use super::Figures;

/// A member as the records that a team may see tell of it.
struct Member<'a> {
    hash: &'a ContentHash,
    joined: Option<&'a Joined>,
    uncounted: u64,
    platforms: BTreeMap<PlatformId, Tally>,
}

impl Figures {
    /// Keeps the records of these decided families from now on, beside the others. Whether one of them has none and was not followed before: it may
    /// have been left out, and the state must be read again to find it.
    pub(crate) fn follow(&mut self, families: BTreeSet<FamilyId>, at: Instant) -> bool {
        let former = std::mem::replace(&mut self.followed, families);
        let new: Vec<FamilyId> = self.followed.difference(&former).copied().collect();
        for family in &new {
            self.take_back(*family);
            self.moved.insert(*family);
        }
        for family in former.difference(&self.followed).copied().collect::<Vec<_>>() {
            self.moved.remove(&family);
            self.let_go(family, at);
        }
        new.iter().any(|family| !self.members.contains_key(family))
    }

    /// The followed families of which a record changed since this was last asked.
    pub(crate) fn take_moved(&mut self) -> BTreeSet<FamilyId> {
        std::mem::take(&mut self.moved)
    }

    /// What came of the members of a decided family on the platforms of those who decided, inside their scope; ascending by member, then by platform.
    /// Nothing of members that the decision excepts.
    pub(crate) fn tallies(&self, of: &FollowedDecision) -> Vec<MemberTally> {
        let members = self.tallied(of.family, of.team);
        let is_founder = |content: &ContentId| of.family.0 == *content;
        let all_came_closely = members.iter().all(|(content, member)| {
            is_founder(content) || member.joined.is_some_and(|joined| is_close(joined.evidence))
        });
        let mut tallies = Vec::new();
        for (content, member) in members {
            if of.exceptions.contains(&content) {
                continue;
            }
            let on = member
                .platforms
                .iter()
                .filter(|(platform, _)| of.platforms.contains(platform));
            tallies.extend(on.map(|(platform, tally)| MemberTally {
                content,
                hash: member.hash.clone(),
                platform: *platform,
                came_closely: came_closely((content, of.family), member.joined, all_came_closely),
                tally: Tally {
                    uncounted: member.uncounted,
                    ..*tally
                },
            }));
        }
        tallies
    }

    fn tallied(&self, family: FamilyId, team: Team) -> BTreeMap<ContentId, Member<'_>> {
        let mut members: BTreeMap<ContentId, Member<'_>> = BTreeMap::new();
        for (record, _) in self.seen_by(family, team) {
            let member = members.entry(record.content()).or_insert_with(|| Member {
                hash: record.hash(),
                joined: None,
                uncounted: 0,
                platforms: BTreeMap::new(),
            });
            member.add(record);
        }
        members
    }
}

impl<'a> Member<'a> {
    fn add(&mut self, record: &'a HotRecord) {
        self.joined = self.joined.or(record.joined());
        self.uncounted += record.spread_uncounted();
        for heard in record.heard_of_each() {
            let tally = self.platforms.entry(heard.platform).or_default();
            let counted = match heard.kind {
                Kind::Upload | Kind::LiveStart => &mut tally.copies,
                Kind::Removal => &mut tally.removals,
                Kind::Restore => &mut tally.restores,
                _ => continue,
            };
            *counted = counted.and(occurrences(&heard));
        }
    }
}

fn occurrences(heard: &HeardOf) -> Occurrences {
    Occurrences {
        events: heard.events,
        first_at: Some(heard.first_at),
        latest: heard.latest.map(|(from, to)| Span { from, to }),
    }
}
