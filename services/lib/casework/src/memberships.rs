use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use tocsin_model::{Class, ContentHash, ContentId, FamilyAnnouncement, FamilyId, PartyId, Timestamp};

use crate::case::Team;

/// What groups said of families, of those of which a case may have to be carried along: which joined which, and of which it is to be asked whether
/// a case of them is where it belongs.
///
/// Who reads all that groups said from its beginning, tells it here, asks of what is due and says what became of it, carries every case along,
/// whenever it was opened and however often this is begun anew.
///
/// Memory: at most as many contents as it was made for, some 400 bytes each; of what is due, as much as whoever tells it lets wait; and as
/// many families as there are cases that wait for another.
#[derive(Debug)]
pub struct Memberships {
    contents_max: usize,
    /// What was said of contents, in each class.
    said: BTreeMap<(ContentId, Class), Said>,
    /// The same of contents that are due and found no room.
    news: BTreeMap<(ContentId, Class), Said>,
    /// The contents of a family in some class, its founder among them.
    members: BTreeMap<FamilyId, BTreeSet<(ContentId, Class)>>,
    due: BTreeSet<FamilyId>,
    /// Families whose case waits for a case of the family that they joined.
    alone: BTreeMap<FamilyId, BTreeSet<FamilyId>>,
    /// How many contents found no room.
    pub left_out: u64,
}

/// What a group said of a content in a class.
#[derive(Clone, Debug)]
struct Said {
    family: FamilyId,
    hash: ContentHash,
    at: Timestamp,
}

/// A content of a family, as a team sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyMember {
    /// Which.
    pub content: ContentId,
    /// Its strongest hash, as far as is known.
    pub hash: ContentHash,
    /// When a group said to which family it belongs.
    pub said_at: Timestamp,
    /// Whether everybody may know of it.
    pub is_for_all: bool,
}

impl Memberships {
    /// None yet, and never more than `contents_max` contents.
    pub fn new(contents_max: usize) -> Memberships {
        Memberships {
            contents_max,
            said: BTreeMap::new(),
            news: BTreeMap::new(),
            members: BTreeMap::new(),
            due: BTreeSet::new(),
            alone: BTreeMap::new(),
            left_out: 0,
        }
    }

    /// A group said to which family a content belongs in a class.
    pub fn announced(&mut self, announcement: FamilyAnnouncement) {
        let FamilyAnnouncement {
            content,
            hash,
            family,
            class,
            at,
        } = announcement;
        let (key, said) = ((content, class), Said { family, hash, at });
        self.due.insert(FamilyId(content));
        let is_known = self.forget(key);
        if self.said.len() >= self.contents_max && !is_known {
            self.left_out += 1;
            self.news.insert(key, said);
            return;
        }
        self.said.insert(key, said);
        self.members.entry(family).or_default().insert(key);
    }

    /// A content is hot no more: nothing is said of it any longer. Its case stays where it is.
    pub fn withdrawn(&mut self, content: ContentId, class: Class) {
        self.forget((content, class));
        self.news.remove(&(content, class));
    }

    /// Whether it was known to which family it belongs.
    fn forget(&mut self, key: (ContentId, Class)) -> bool {
        let Some(former) = self.said.remove(&key) else {
            return false;
        };
        if let Some(members) = self.members.get_mut(&former.family) {
            members.remove(&key);
            if members.is_empty() {
                self.members.remove(&former.family);
            }
        }
        true
    }

    /// A team's case of the family is new, or changed.
    pub fn case_changed(&mut self, family: FamilyId) {
        if self.said.range(keys_of(family)).any(|(_, said)| said.family != family) {
            self.due.insert(family);
        }
        if let Some(mut waiting) = self.alone.remove(&family) {
            self.due.append(&mut waiting);
        }
    }

    /// Takes at most `count` families whose cases are to be asked for.
    pub fn take_due(&mut self, count: usize) -> Vec<FamilyId> {
        let taken: Vec<FamilyId> = self.due.iter().take(count).copied().collect();
        for family in &taken {
            self.due.remove(family);
        }
        taken
    }

    /// To which family this one belongs for a team, and when that was said; `None` where nothing is known. A link of the team's own class goes before
    /// one for everybody.
    pub fn said_of(&self, team: Team, family: FamilyId) -> Option<(FamilyId, Timestamp)> {
        let mut said = self.said_to(team, family.0);
        let latest = said.clone().map(|(_, said)| said.at).max()?;
        let joined = said.find(|(_, said)| said.family != family);
        Some((joined.map_or(family, |(_, said)| said.family), latest))
    }

    /// To which family a content belongs for everybody; `None` where nothing is known.
    pub fn family_for_all(&self, content: ContentId) -> Option<FamilyId> {
        let key = (content, Class::All);
        let said = self.news.get(&key).or_else(|| self.said.get(&key));
        said.map(|said| said.family)
    }

    /// A content as a team sees it, if it belongs to this family for it.
    pub fn member(&self, (team, family): (Team, FamilyId), content: ContentId) -> Option<FamilyMember> {
        let (belongs_to, said_at) = self.said_of(team, FamilyId(content))?;
        if belongs_to != family {
            return None;
        }
        let (_, said) = self.said_to(team, content).next()?;
        let is_for_all = self.said_to(team, content).any(|(class, _)| class == Class::All);
        Some(FamilyMember {
            content,
            hash: said.hash.clone(),
            said_at,
            is_for_all,
        })
    }

    /// The members of a family as a team sees it, those that are announced; ascending.
    pub fn members_of(&self, team: Team, family: FamilyId) -> Vec<FamilyMember> {
        let contents = self.contents_of(team, family, usize::MAX);
        contents
            .into_iter()
            .filter_map(|content| self.member((team, family), content))
            .collect()
    }

    /// The same without what is known of each, and at most so many.
    pub fn contents_of(&self, team: Team, family: FamilyId, most: usize) -> Vec<ContentId> {
        let own = team.scope().own_class();
        let keys = self.members.get(&family).into_iter().flatten();
        let seen = keys.filter(|(_, class)| *class == Class::All || *class == own);
        let belong = seen.filter(|(content, _)| {
            self.said_of(team, FamilyId(*content))
                .is_some_and(|(of, _)| of == family)
        });
        let mut contents: Vec<ContentId> = Vec::new();
        for (content, _) in belong {
            // Those of a content in several classes follow each other.
            if contents.last() == Some(content) {
                continue;
            }
            if contents.len() >= most {
                break;
            }
            contents.push(*content);
        }
        contents
    }

    /// The families that a content belongs to in some class.
    pub fn families_of(&self, content: ContentId) -> BTreeSet<FamilyId> {
        let keys = keys_of(FamilyId(content));
        let joined = self.said.range(keys.clone()).map(|(_, said)| said.family);
        joined
            .chain(self.news.range(keys).map(|(_, said)| said.family))
            .collect()
    }

    /// What was said of a content in the class of the team's own, and for everybody.
    fn said_to(&self, team: Team, content: ContentId) -> impl Iterator<Item = (Class, &Said)> + Clone {
        let classes = [team.scope().own_class(), Class::All].into_iter();
        classes.filter_map(move |class| {
            let key = (content, class);
            let said = self.news.get(&key).or_else(|| self.said.get(&key));
            said.map(|said| (class, said))
        })
    }

    /// All that is due of a family is done.
    pub fn settled(&mut self, family: FamilyId) {
        if !self.due.contains(&family) {
            let keys: Vec<_> = self.news.range(keys_of(family)).map(|(key, _)| *key).collect();
            for key in keys {
                self.news.remove(&key);
            }
        }
    }

    /// A case of the family waits for one of the family that it joined: it is due again when there is one.
    pub fn is_alone(&mut self, family: FamilyId, joined: FamilyId) {
        self.alone.entry(joined).or_default().insert(family);
    }

    /// It could not be carried along just now.
    pub fn again(&mut self, family: FamilyId) {
        self.due.insert(family);
    }

    /// How many families are due.
    pub fn due_len(&self) -> usize {
        self.due.len()
    }

    /// Of how many contents it is known to which family they belong.
    pub fn len(&self) -> usize {
        self.said.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }
}

/// In whichever class something is said of it.
fn keys_of(family: FamilyId) -> RangeInclusive<(ContentId, Class)> {
    (family.0, Class::All)..=(family.0, Class::Party(PartyId(u16::MAX)))
}

#[cfg(test)]
mod tests {
    //! Goal: whatever comes first, the case or what is said of its family, the case is asked for when it is to move, and no longer than that.
    #![allow(clippy::unwrap_used)]
    use tocsin_model::Algorithm;

    use super::*;

    const ONE: FamilyId = FamilyId(ContentId(1));
    const TWO: FamilyId = FamilyId(ContentId(2));
    const ALPHA: PartyId = PartyId(1);

    fn said(memberships: &mut Memberships, class: Class, family: FamilyId, joined: FamilyId, at: i64) {
        memberships.announced(FamilyAnnouncement {
            content: family.0,
            hash: hash(family.0),
            family: joined,
            class,
            at: Timestamp(at),
        });
    }

    fn hash(content: ContentId) -> ContentHash {
        ContentHash::from_bytes(Algorithm::Md5, vec![content.0 as u8; 16], None).unwrap()
    }

    fn known() -> Memberships {
        let mut memberships = Memberships::new(10);
        said(&mut memberships, Class::All, TWO, ONE, 5);
        assert_eq!(memberships.take_due(9), [TWO]);
        memberships
    }

    #[test]
    fn a_case_that_comes_after_its_family_joined_is_due() {
        let mut memberships = known();
        memberships.settled(TWO);
        memberships.case_changed(ONE);
        assert_eq!(memberships.take_due(9), []);
        memberships.case_changed(TWO);
        assert_eq!(memberships.take_due(9), [TWO]);
        assert_eq!(memberships.said_of(Team::Coordinators, TWO), Some((ONE, Timestamp(5))));
        assert_eq!(memberships.said_of(Team::Coordinators, ONE), None);
    }

    #[test]
    fn what_waits_for_a_case_of_the_other_family_is_due_when_there_is_one() {
        let mut memberships = known();
        memberships.is_alone(TWO, ONE);
        assert_eq!(memberships.due_len(), 0);
        memberships.case_changed(ONE);
        assert_eq!(memberships.take_due(9), [TWO]);
        memberships.case_changed(ONE);
        assert_eq!(memberships.due_len(), 0, "once");
    }

    #[test]
    fn a_parting_is_known_until_it_is_done() {
        let mut memberships = known();
        said(&mut memberships, Class::All, TWO, TWO, 9);
        assert_eq!(memberships.take_due(9), [TWO]);
        for _ in 0..2 {
            assert_eq!(memberships.said_of(Team::Coordinators, TWO), Some((TWO, Timestamp(9))));
            memberships.again(TWO);
            memberships.settled(TWO);
        }
        memberships.take_due(9);
        memberships.case_changed(TWO);
        assert_eq!(memberships.due_len(), 0, "it is where it belongs");
        memberships.withdrawn(TWO.0, Class::All);
        assert_eq!(memberships.said_of(Team::Coordinators, TWO), None);
        assert!(memberships.is_empty() && memberships.news.is_empty() && memberships.members.is_empty());
    }

    #[test]
    fn a_team_goes_by_its_own_class_and_then_by_what_holds_for_all() {
        let mut memberships = known();
        let three = FamilyId(ContentId(3));
        said(&mut memberships, Class::Party(ALPHA), TWO, three, 7);
        let of = |memberships: &Memberships, team| memberships.said_of(team, TWO);
        assert_eq!(of(&memberships, Team::Party(ALPHA)), Some((three, Timestamp(7))));
        assert_eq!(of(&memberships, Team::Coordinators), Some((ONE, Timestamp(5))));
        // It left in the class: what holds for all holds from then on.
        said(&mut memberships, Class::Party(ALPHA), TWO, TWO, 8);
        assert_eq!(of(&memberships, Team::Party(ALPHA)), Some((ONE, Timestamp(8))));
        memberships.withdrawn(TWO.0, Class::All);
        assert_eq!(of(&memberships, Team::Coordinators), None);
    }

    #[test]
    fn a_team_sees_the_members_that_it_may_see_and_each_where_it_belongs_for_it() {
        let mut memberships = Memberships::new(10);
        let [three, four, five] = [3, 4, 5].map(|number| FamilyId(ContentId(number)));
        said(&mut memberships, Class::All, TWO, ONE, 5);
        said(&mut memberships, Class::All, three, ONE, 6);
        said(&mut memberships, Class::Party(ALPHA), three, four, 7);
        said(&mut memberships, Class::Party(ALPHA), five, ONE, 8);
        let of = |memberships: &Memberships, team, family| -> Vec<(u128, bool)> {
            let members = memberships.members_of(team, family);
            assert!(members.iter().all(|member| member.hash == hash(member.content)));
            let contents: Vec<ContentId> = members.iter().map(|member| member.content).collect();
            for most in [0, 1, 9] {
                let first = &contents[..contents.len().min(most)];
                assert_eq!(memberships.contents_of(team, family, most), first);
            }
            members
                .iter()
                .map(|member| (member.content.0, member.is_for_all))
                .collect()
        };
        let alpha = Team::Party(ALPHA);
        assert_eq!(of(&memberships, Team::Coordinators, ONE), [(2, true), (3, true)]);
        assert_eq!(of(&memberships, alpha, ONE), [(2, true), (5, false)]);
        assert_eq!(of(&memberships, alpha, four), [(3, true)]);
        assert_eq!(memberships.families_of(three.0), BTreeSet::from([ONE, four]));
        said(&mut memberships, Class::All, TWO, TWO, 9);
        memberships.withdrawn(three.0, Class::All);
        assert_eq!(of(&memberships, Team::Coordinators, ONE), []);
        // What is on its own is its own member.
        assert_eq!(memberships.member((alpha, TWO), TWO.0).unwrap().said_at, Timestamp(9));
    }

    #[test]
    fn what_finds_no_room_is_counted_and_still_asked_for() {
        let mut memberships = Memberships::new(1);
        said(&mut memberships, Class::All, TWO, ONE, 5);
        said(&mut memberships, Class::All, FamilyId(ContentId(3)), ONE, 5);
        let three = FamilyId(ContentId(3));
        assert_eq!(
            (memberships.len(), memberships.left_out, memberships.due_len()),
            (1, 1, 2)
        );
        assert_eq!(memberships.take_due(9), [TWO, three]);
        assert_eq!(
            memberships.said_of(Team::Coordinators, three),
            Some((ONE, Timestamp(5)))
        );
        memberships.settled(three);
        assert_eq!(memberships.said_of(Team::Coordinators, three), None);
        said(&mut memberships, Class::All, TWO, FamilyId(ContentId(4)), 6);
        assert_eq!(memberships.left_out, 1, "what is known changes");
    }
}
