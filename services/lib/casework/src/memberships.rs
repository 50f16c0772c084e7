use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use tocsin_model::{Class, ContentId, FamilyId, PartyId, Timestamp};

use crate::case::Team;

/// What groups said of families, of those of which a case may have to be carried along: which joined which, and of which it is to be asked whether
/// a case of them is where it belongs.
///
/// Who reads all that groups said from its beginning, tells it here, asks of what is due and says what became of it, carries every case along,
/// whenever it was opened and however often this is begun anew.
///
/// Memory: at most as many joined contents as it was made for, some 200 bytes each; of what is due, as much as whoever tells it lets wait; and as many
/// families as there are cases that wait for another.
#[derive(Debug)]
pub struct Memberships {
    joined_max: usize,
    /// The family that a content joined in a class, and when that was said.
    joined: BTreeMap<(ContentId, Class), (FamilyId, Timestamp)>,
    /// The same of contents that are due, also of those that are on their own or found no room.
    news: BTreeMap<(ContentId, Class), (FamilyId, Timestamp)>,
    due: BTreeSet<FamilyId>,
    /// Families whose case waits for a case of the family that they joined.
    alone: BTreeMap<FamilyId, BTreeSet<FamilyId>>,
    /// How many joined contents found no room.
    pub left_out: u64,
}

impl Memberships {
    /// None yet, and never more than `joined_max`.
    pub fn new(joined_max: usize) -> Memberships {
        Memberships {
            joined_max,
            joined: BTreeMap::new(),
            news: BTreeMap::new(),
            due: BTreeSet::new(),
            alone: BTreeMap::new(),
            left_out: 0,
        }
    }

    /// A group said to which family a content belongs in a class.
    pub fn announced(&mut self, (content, class): (ContentId, Class), family: FamilyId, at: Timestamp) {
        let key = (content, class);
        self.due.insert(FamilyId(content));
        self.news.insert(key, (family, at));
        if family == FamilyId(content) {
            self.joined.remove(&key);
        } else if self.joined.len() < self.joined_max || self.joined.contains_key(&key) {
            self.joined.insert(key, (family, at));
        } else {
            self.left_out += 1;
        }
    }

    /// A content is hot no more: nothing is said of it any longer. Its case stays where it is.
    pub fn withdrawn(&mut self, content: ContentId, class: Class) {
        self.joined.remove(&(content, class));
        self.news.remove(&(content, class));
    }

    /// A team's case of the family is new, or changed.
    pub fn case_changed(&mut self, family: FamilyId) {
        if self.joined.range(keys_of(family)).next().is_some() {
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
        let own = team.scope().own_class();
        let keys = [own, Class::All].map(|class| (family.0, class));
        let said = keys
            .iter()
            .filter_map(|key| self.news.get(key).or_else(|| self.joined.get(key)));
        let latest = said.clone().map(|(_, at)| *at).max()?;
        let joined = said.map(|(joined, _)| *joined).find(|joined| *joined != family);
        Some((joined.unwrap_or(family), latest))
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

    /// How many joined contents are known.
    pub fn len(&self) -> usize {
        self.joined.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.joined.is_empty()
    }
}

/// In whichever class something is said of it.
fn keys_of(family: FamilyId) -> RangeInclusive<(ContentId, Class)> {
    (family.0, Class::All)..=(family.0, Class::Party(PartyId(u16::MAX)))
}

#[cfg(test)]
mod tests {
    //! Goal: whatever comes first, the case or what is said of its family, the case is asked for when it is to move, and no longer than that.
    use super::*;

    const ONE: FamilyId = FamilyId(ContentId(1));
    const TWO: FamilyId = FamilyId(ContentId(2));
    const ALPHA: PartyId = PartyId(1);

    fn said(memberships: &mut Memberships, class: Class, family: FamilyId, joined: FamilyId, at: i64) {
        memberships.announced((family.0, class), joined, Timestamp(at));
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
    fn a_parting_is_known_until_it_is_done_and_not_longer() {
        let mut memberships = known();
        said(&mut memberships, Class::All, TWO, TWO, 9);
        assert_eq!(memberships.take_due(9), [TWO]);
        for _ in 0..2 {
            assert_eq!(memberships.said_of(Team::Coordinators, TWO), Some((TWO, Timestamp(9))));
            memberships.again(TWO);
            memberships.settled(TWO);
        }
        memberships.take_due(9);
        memberships.settled(TWO);
        assert_eq!(memberships.said_of(Team::Coordinators, TWO), None);
        assert!(memberships.is_empty() && memberships.news.is_empty());
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
