//! What hot records say of the members of decided families: what came of them on the platforms of those who decided.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tocsin_casework::{Occurrences, Span, Tally, Team, Viewed, came_closely, is_close};
use tocsin_model::{ContentHash, ContentId, FamilyId, Joined, Kind, PlatformId, Timestamp};
use tocsin_store::{FollowedDecision, MemberTally};
use tocsin_velocity::HotRecord;
use tocsin_velocity::record::HeardOf;

use super::Figures;

/// A member as the records that a team may see tell of it.
struct Member<'a> {
    hash: &'a ContentHash,
    joined: Option<&'a Joined>,
    uncounted: u64,
    as_of: Timestamp,
    platforms: BTreeMap<PlatformId, Tally>,
}

impl Figures {
    /// Keeps the records of these decided families from now on, beside the others. Whether records of one that was not followed before may have been
    /// dropped or left out: then the state must be read again to find them.
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
        new.iter().any(|family| self.is_lost(family))
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
        // Of what is not held it is not known how it came.
        let is_whole = !self.is_lost(&of.family);
        let all_came_closely = is_whole
            && members.iter().all(|(content, member)| {
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
                    as_of: member.as_of,
                    ..*tally
                },
            }));
        }
        tallies
    }

    fn tallied(&self, family: FamilyId, team: Team) -> BTreeMap<ContentId, Member<'_>> {
        let mut members: BTreeMap<ContentId, Member<'_>> = BTreeMap::new();
        for (record, as_of) in self.seen_by(family, team) {
            let member = members.entry(record.content()).or_insert_with(|| Member {
                hash: record.hash(),
                joined: None,
                uncounted: 0,
                as_of: *as_of,
                platforms: BTreeMap::new(),
            });
            // All records of a content are of one partition: the latest tells how far it was read.
            member.as_of = member.as_of.max(*as_of);
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
                Kind::Upload | Kind::LiveStart => {
                    tally.is_labelled |= heard.is_labelled;
                    &mut tally.copies
                }
                Kind::Removal => &mut tally.removals,
                Kind::Restore => &mut tally.restores,
                Kind::ViewSample => {
                    tally.viewed = viewed(tally.viewed, &heard);
                    continue;
                }
                _ => continue,
            };
            *counted = counted.and(occurrences(&heard));
        }
    }
}

/// The views that samples of a platform told of, with those of another record. A platform that told of none has no figure, not 0.
fn viewed(others: Option<Viewed>, heard: &HeardOf) -> Option<Viewed> {
    let views = match (others.map(|others| others.views), heard.audience) {
        (None, None) => return None,
        (others, views) => others.unwrap_or(0).saturating_add(views.unwrap_or(0)),
    };
    let latest = heard.latest.map(|(from, to)| Span { from, to });
    Some(Viewed {
        views,
        latest: others.and_then(|others| others.latest).max(latest),
    })
}

fn occurrences(heard: &HeardOf) -> Occurrences {
    Occurrences {
        events: heard.events,
        first_at: Some(heard.first_at),
        latest: heard.latest.map(|(from, to)| Span { from, to }),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the records of a followed family are kept without an open case and told where they move, for the platforms of those who decided alone.
    #![allow(clippy::unwrap_used)]

    use std::sync::Mutex;

    use tocsin_casework::Ranks;
    use tocsin_model::{DecisionId, PartyId, Sighting};

    use super::super::tests::{hot, hot_of, take};
    use super::*;

    fn followed(family: FamilyId, platform: u16, exceptions: &[ContentId]) -> FollowedDecision {
        FollowedDecision {
            decision: DecisionId(1),
            team: Team::Party(PartyId(1)),
            family,
            platforms: BTreeSet::from([PlatformId(platform)]),
            exceptions: exceptions.iter().copied().collect(),
        }
    }

    #[test]
    fn a_label_is_told_of_the_platform_that_gave_it_to_a_copy() {
        const NONE: u8 = Sighting::NO_LABEL;
        let start = Instant::now();
        // Two copies before it is counted exactly, of which the first has this label, and then one without.
        let is_labelled = |first: u8, then: &[(Kind, u8)]| {
            let on = |platform| move |(kind, label)| (PlatformId(platform), kind, label);
            let before = [(Kind::Upload, first), (Kind::Upload, NONE), (Kind::Upload, NONE)];
            let events = before.into_iter().chain(then.iter().copied()).map(on(1));
            let events = events.chain([(Kind::Upload, NONE)].map(on(2)));
            let record = hot_of(
                1,
                (1..)
                    .zip(events)
                    .map(|(after, (platform, kind, label))| (after, platform, kind, label)),
            );
            let mut figures = Figures::new(2);
            figures.follow(BTreeSet::from([record.0]), start);
            take(&mut figures, &record, start, false);
            [1, 2].map(|platform| {
                let tallies = figures.tallies(&followed(record.0, platform, &[]));
                assert_eq!(tallies.len(), 1, "on platform {platform}");
                tallies[0].tally.is_labelled
            })
        };
        for (first, then, expected) in [
            (NONE, &[][..], false),
            (NONE, &[(Kind::Upload, 90)], true),
            (
                NONE,
                &[(Kind::Upload, 1), (Kind::Upload, NONE), (Kind::Removal, NONE)],
                true,
            ),
            (NONE, &[(Kind::LiveStart, 60)], true),
            // A confidence of nothing, copies that were not posted or only passed on, and what is no copy.
            (NONE, &[(Kind::Upload, 0)], false),
            (
                NONE,
                &[(Kind::BlockedUpload, 90), (Kind::Share, 90), (Kind::Removal, 90)],
                false,
            ),
            // What was labelled before it is counted exactly alone.
            (90, &[], false),
        ] {
            assert_eq!(is_labelled(first, then), [expected, false], "{first} {then:?}");
        }
    }

    #[test]
    fn what_is_followed_is_kept_and_told_to_those_who_decided() {
        let (mut figures, start) = (Figures::new(2), Instant::now());
        let records: Vec<_> = (1..=3).map(hot).collect();
        let family = records[0].0;
        assert!(
            !figures.follow(BTreeSet::from([family]), start),
            "nothing was dropped yet"
        );
        assert_eq!(figures.take_moved(), BTreeSet::from([family]), "it is looked at once");
        take(&mut figures, &records[0], start, false);
        assert_eq!(figures.take_moved(), BTreeSet::from([family]));
        // It has no open case, and stays while others go.
        figures.rank(&Mutex::new(Ranks::new(10)), start);
        for record in &records[1..] {
            take(&mut figures, record, start, false);
        }
        assert_eq!(figures.take_moved(), BTreeSet::new());
        let tallies = figures.tallies(&followed(family, 1, &[]));
        assert_eq!(tallies.len(), 1);
        let told = &tallies[0];
        assert_eq!(
            (told.content, told.came_closely),
            (family.0, true),
            "it founded its family"
        );
        let copies = told.tally.copies;
        assert_eq!(
            copies.events + told.tally.uncounted,
            9,
            "those before it was hot are bounded"
        );
        let latest = copies.latest.unwrap();
        assert!(latest.from < latest.to && copies.first_at.unwrap() < latest.to);
        assert_eq!(figures.tallies(&followed(family, 2, &[])), [], "another's platform");
        assert_eq!(figures.tallies(&followed(family, 1, &[family.0])), [], "it is excepted");

        figures.clear();
        take(&mut figures, &records[0], start, false);
        assert_eq!(
            figures.tallies(&followed(family, 1, &[])).len(),
            1,
            "read again it is still wanted"
        );
        assert!(!figures.follow(BTreeSet::new(), start));
        take(&mut figures, &records[0], start, false);
        assert_eq!(figures.take_moved(), BTreeSet::new(), "nobody follows it");
        assert!(figures.spare.contains_key(&family));
    }
}
