//! Which contents are looked for: those that groups announce, and those that the casework knows of.

use std::collections::{BTreeSet, HashSet};

use tocsin_casework::Team;
use tocsin_model::{ContentId, FamilyId};
use tocsin_store::CaseContents;

use crate::carrying::Carrying;

/// The members of a case's family as its team sees them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Members {
    pub contents: HashSet<ContentId>,
    /// Whether there are more than were asked for.
    pub has_more: bool,
}

impl Members {
    /// At most `most`: the contents that founded the case's family and, while its case is still to be carried there, the one that it joined; those that are
    /// announced in these; then those that the cases know and of which nobody says, or said last, that they belong elsewhere. Never what the decision is not
    /// about.
    pub(crate) fn of(carrying: &Carrying, team: Team, known: &CaseContents, most: usize) -> Members {
        let founder = known.family.0;
        let joined = carrying.family_of(team, founder).unwrap_or(known.family);
        let ours = BTreeSet::from([known.family, joined]);
        // What is said now goes before what the cases know.
        let belongs = |family: FamilyId| {
            ours.contains(&family)
                || match carrying.family_of(team, family.0) {
                    Some(said) => ours.contains(&said),
                    None => known.families.contains(&family),
                }
        };
        let is_ours = |content: ContentId, said_last: Option<FamilyId>| {
            let said = carrying.family_of(team, content).or(said_last);
            said.is_none_or(belongs)
        };
        let beyond = most + 1 + known.excepted.len();
        let announced = ours
            .iter()
            .flat_map(|family| carrying.members_of(team, *family, beyond));
        let founders = known
            .families
            .iter()
            .map(|family| family.0)
            .filter(|content| is_ours(*content, None));
        let told = known
            .told
            .iter()
            .filter(|(content, said_last)| is_ours(**content, **said_last))
            .map(|(content, _)| *content);
        let mut members = Members {
            contents: HashSet::new(),
            has_more: known.has_more,
        };
        let of_joined = Some(joined.0).filter(|content| is_ours(*content, None));
        let first = [founder].into_iter().chain(of_joined);
        for content in first.chain(announced).chain(founders).chain(told) {
            if known.excepted.contains(&content) || members.contents.contains(&content) {
                continue;
            }
            if members.contents.len() >= most {
                members.has_more = true;
                break;
            }
            members.contents.insert(content);
        }
        members
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what belongs to the case's family is looked for, hot or cold, what does not is not, and whoever is told of a part knows that it is one.
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use tocsin_casework::CaseId;
    use tocsin_model::{Algorithm, Class, ContentHash, FamilyAnnouncement, Timestamp};

    use super::*;

    const TEAM: Team = Team::Coordinators;

    fn family(number: u128) -> FamilyId {
        FamilyId(ContentId(number))
    }

    fn says(carrying: &Carrying, content: u128, joined: u128) {
        carrying.announced(FamilyAnnouncement {
            content: ContentId(content),
            hash: ContentHash::from_bytes(Algorithm::Md5, vec![1; 16], None).unwrap(),
            family: family(joined),
            class: Class::All,
            at: Timestamp(1),
        });
    }

    fn known(of: u128, families: &[u128], told: &[(u128, Option<u128>)]) -> CaseContents {
        let told = told
            .iter()
            .map(|(content, last)| (ContentId(*content), last.map(family)));
        CaseContents {
            case: CaseId(1),
            family: family(of),
            families: families.iter().copied().map(family).collect(),
            told: told.collect(),
            has_more: false,
            excepted: BTreeSet::new(),
            since: None,
            now: Timestamp(2),
        }
    }

    fn members(carrying: &Carrying, known: &CaseContents, most: usize) -> (Vec<u128>, bool) {
        let members = Members::of(carrying, TEAM, known, most);
        let contents: BTreeSet<u128> = members.contents.iter().map(|content| content.0).collect();
        (contents.into_iter().collect(), members.has_more)
    }

    #[test]
    fn a_case_whose_family_joined_another_and_that_is_not_carried_answers_for_both() {
        let carrying = Carrying::new(100);
        for content in [2, 3, 4] {
            says(&carrying, content, 1);
        }
        assert_eq!(members(&carrying, &known(2, &[2], &[]), 9), (vec![1, 2, 3, 4], false));
        // Its founder is one whatever is said; what was told and is cold belongs to it.
        let told = [(7, Some(2)), (8, None), (9, Some(5))];
        assert_eq!(
            members(&carrying, &known(2, &[2], &told), 9),
            (vec![1, 2, 3, 4, 7, 8], false)
        );
        // So does what another family brought that joined; what founded the one that was joined is announced by nobody.
        assert_eq!(
            members(&carrying, &known(1, &[1, 2], &told), 9),
            (vec![1, 2, 3, 4, 7, 8], false)
        );
    }

    #[test]
    fn what_was_said_last_holds_when_nobody_says_anything() {
        let carrying = Carrying::new(100);
        let told = [(5, Some(5)), (6, Some(1)), (7, Some(2))];
        assert_eq!(
            members(&carrying, &known(1, &[1, 2], &told), 9),
            (vec![1, 2, 6, 7], false)
        );
        // The family parted, and its case is still to be carried.
        says(&carrying, 2, 2);
        says(&carrying, 6, 2);
        assert_eq!(members(&carrying, &known(1, &[1, 2], &told), 9), (vec![1], false));
    }

    #[test]
    fn one_rule_holds_for_what_is_hot_and_what_is_cold() {
        let carrying = Carrying::new(100);
        says(&carrying, 2, 1);
        says(&carrying, 3, 1);
        let excepted = BTreeSet::from([3, 5].map(ContentId));
        let known = CaseContents {
            excepted,
            ..known(1, &[1], &[(4, Some(1)), (5, Some(1))])
        };
        assert_eq!(members(&carrying, &known, 3), (vec![1, 2, 4], false));
    }

    #[test]
    fn those_that_are_announced_come_first_and_more_is_told() {
        let carrying = Carrying::new(100);
        says(&carrying, 8, 1);
        says(&carrying, 9, 1);
        let all = known(1, &[1], &[(2, Some(1)), (3, Some(1))]);
        for (most, wanted, has_more) in [
            (1, vec![1], true),
            (3, vec![1, 8, 9], true),
            (4, vec![1, 2, 8, 9], true),
            (5, vec![1, 2, 3, 8, 9], false),
        ] {
            assert_eq!(members(&carrying, &all, most), (wanted, has_more));
        }
        let of_many = CaseContents {
            has_more: true,
            told: BTreeMap::new(),
            ..all
        };
        assert_eq!(members(&carrying, &of_many, 9), (vec![1, 8, 9], true));
    }
}
