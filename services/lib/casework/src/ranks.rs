use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use tocsin_model::{FamilyId, Timestamp, Verdict};

use crate::case::{CaseId, Standing, Team};
use crate::lane::Filter;

/// How many cases are looked at for those that a filter admits. What is rarer is left to the store.
pub const SCAN_MAX: usize = 20_000;
/// Of what a filter admits rarely so many are enough, once so many cases were looked at: claimers wait for each other meanwhile.
const ENOUGH: usize = 4;
const ENOUGH_AFTER: usize = 2_000;

/// The open cases, by live priority: that of the latest figures, or of the store where none are known. Who is handed which case the
/// store decides; this only says in which order to try.
///
/// Memory: at most as many cases as it was made for, some 400 bytes each.
#[derive(Debug)]
pub struct Ranks {
    cases_max: usize,
    cases: BTreeMap<CaseId, Ranked>,
    order: BTreeMap<Team, BTreeSet<(Reverse<Priority>, CaseId)>>,
    /// Those of which a notice is due, the first before the others.
    due: BTreeMap<Team, BTreeSet<(Timestamp, CaseId)>>,
    of_family: BTreeMap<FamilyId, BTreeSet<CaseId>>,
    /// Families with a case whose live priority was not told since it is known as it is.
    untold: BTreeSet<FamilyId>,
}

/// There is no room for another case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are as many ranked cases as there may be")]
pub struct RanksFull;

#[derive(Clone, Debug)]
struct Ranked {
    standing: Standing,
    waits_from: Timestamp,
    live: Option<f64>,
}

/// A priority as a number in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Priority(u64);

impl Ranks {
    /// No case yet, and never more than `cases_max`.
    pub fn new(cases_max: usize) -> Ranks {
        Ranks {
            cases_max,
            cases: BTreeMap::new(),
            order: BTreeMap::new(),
            due: BTreeMap::new(),
            of_family: BTreeMap::new(),
            untold: BTreeSet::new(),
        }
    }

    /// Takes a case in place of what was known of it; its live priority stays. One that is decided or closed is forgotten.
    ///
    /// # Errors
    /// It is new, and there is no room.
    pub fn put(&mut self, case: &Standing) -> Result<(), RanksFull> {
        let Some(waits_from) = case.waits_from else {
            self.forget(case.id);
            return Ok(());
        };
        let former = self.cases.get(&case.id);
        // Most of what is read again is as it was, and claims wait for whoever puts it.
        if former.is_some_and(|former| former.standing == *case) {
            return Ok(());
        }
        if former.is_none() && self.cases.len() >= self.cases_max {
            return Err(RanksFull);
        }
        let live = former
            .filter(|former| former.standing.family == case.family)
            .and_then(|former| former.live);
        let is_told = former
            .is_some_and(|former| (former.standing.family, former.standing.verdict) == (case.family, case.verdict));
        let is_told = is_told && !self.untold.contains(&case.family);
        self.forget(case.id);
        if !is_told {
            self.untold.insert(case.family);
        }
        let ranked = Ranked {
            standing: case.clone(),
            waits_from,
            live,
        };
        let place = (Reverse(ranked.priority()), case.id);
        self.order.entry(case.team).or_default().insert(place);
        if let Some(due) = case.due_at {
            self.due.entry(case.team).or_default().insert((due, case.id));
        }
        self.of_family.entry(case.family).or_default().insert(case.id);
        self.cases.insert(case.id, ranked);
        Ok(())
    }

    /// Forgets a case.
    pub fn forget(&mut self, id: CaseId) {
        let Some(ranked) = self.cases.remove(&id) else {
            return;
        };
        if let Some(order) = self.order.get_mut(&ranked.standing.team) {
            order.remove(&(Reverse(ranked.priority()), id));
        }
        if let (Some(at), Some(due)) = (ranked.standing.due_at, self.due.get_mut(&ranked.standing.team)) {
            due.remove(&(at, id));
        }
        let family = ranked.standing.family;
        if let Some(cases) = self.of_family.get_mut(&family) {
            cases.remove(&id);
            if cases.is_empty() {
                self.of_family.remove(&family);
                self.untold.remove(&family);
            }
        }
    }

    /// Takes the cases of a stretch of ids, all that are open of those above `after` and up to `through`, in place of what was known of it:
    /// whatever else is known there is forgotten. New ones that find no room are left out.
    pub fn put_stretch(&mut self, (after, through): (Option<CaseId>, Option<CaseId>), open: &[Standing]) {
        let ids: BTreeSet<CaseId> = open.iter().map(|case| case.id).collect();
        let bounds = (
            after.map_or(Bound::Unbounded, Bound::Excluded),
            through.map_or(Bound::Unbounded, Bound::Included),
        );
        let known = self.cases.range(bounds).map(|(id, _)| *id);
        let gone: Vec<CaseId> = known.filter(|id| !ids.contains(id)).collect();
        for id in gone {
            self.forget(id);
        }
        for case in open {
            let _ = self.put(case);
        }
    }

    /// The families with a case that is new, or that moved there or came back after a decision, since this was last asked: their live
    /// priorities are to be told.
    pub fn take_untold(&mut self) -> BTreeSet<FamilyId> {
        std::mem::take(&mut self.untold)
    }

    /// The priority of a family for each team, and what it decided before, by the latest figures; `None` where they say nothing, and then the store's holds.
    pub fn set_live(&mut self, family: FamilyId, mut priority: impl FnMut(Team, Option<Verdict>) -> Option<f64>) {
        let Some(cases) = self.of_family.get(&family) else {
            return;
        };
        for id in cases {
            let Some(ranked) = self.cases.get_mut(id) else {
                continue;
            };
            let standing = &ranked.standing;
            let (team, verdict) = (standing.team, standing.verdict);
            let order = self.order.entry(team).or_default();
            order.remove(&(Reverse(ranked.priority()), *id));
            ranked.live = priority(team, verdict).filter(|priority| priority.is_finite());
            order.insert((Reverse(ranked.priority()), *id));
        }
    }

    /// The first `count` cases of a team that wait at `now` and that the filter admits: those of which a notice is due by `urgent`, the first due
    /// before the others; then highest priority first, of the first [`SCAN_MAX`]. Of what is rare fewer are told.
    pub fn best(&self, team: Team, filter: &Filter, count: usize, times: (Timestamp, Timestamp)) -> Vec<CaseId> {
        let found = Cell::new(0);
        let is_looked_for = |looked_at: usize| found.get() < ENOUGH || looked_at < ENOUGH_AFTER;
        let (due, others) = self.waiting(team, filter, times, is_looked_for);
        let told = due.chain(others).take(count);
        told.inspect(|_| found.set(found.get() + 1)).collect()
    }

    /// The first `due_max` cases of a team that wait at `now` and of which a notice is due by `urgent`, then the first `count` of the others, each with whether
    /// one is due.
    pub fn first(
        &self,
        team: Team,
        (due_max, count): (usize, usize),
        times: (Timestamp, Timestamp),
    ) -> Vec<(CaseId, bool)> {
        let filter = Filter::default();
        let (due, others) = self.waiting(team, &filter, times, |_| true);
        let others = others.take(count).map(|id| (id, false));
        due.take(due_max).map(|id| (id, true)).chain(others).collect()
    }

    /// Those that wait and are due, and the others, while they are looked for behind so many.
    fn waiting<'a>(
        &'a self,
        team: Team,
        filter: &'a Filter,
        (now, urgent): (Timestamp, Timestamp),
        is_looked_for: impl Fn(usize) -> bool + 'a,
    ) -> (impl Iterator<Item = CaseId> + 'a, impl Iterator<Item = CaseId> + 'a) {
        let is_meant = move |ranked: &Ranked| ranked.waits_from <= now && filter.admits(&ranked.standing.traits);
        let is_urgent = move |ranked: &Ranked| ranked.standing.due_at.is_some_and(|due| due <= urgent);
        let due = self.due.get(&team).into_iter().flatten();
        let due = due
            .take_while(move |(due, _)| *due <= urgent)
            .take(SCAN_MAX)
            .map(|(_, id)| *id);
        let due = due.filter(move |id| self.cases.get(id).is_some_and(is_meant));
        let order = self.order.get(&team).into_iter().flatten().take(SCAN_MAX);
        let order = order
            .enumerate()
            .take_while(move |(looked_at, _)| is_looked_for(*looked_at));
        let order = order.map(|(_, (_, id))| *id);
        let order = order.filter(move |id| {
            self.cases
                .get(id)
                .is_some_and(|ranked| is_meant(ranked) && !is_urgent(ranked))
        });
        (due, order)
    }

    /// Whether a case of this family waits.
    pub fn has_family(&self, family: FamilyId) -> bool {
        self.of_family.contains_key(&family)
    }

    /// For whom the priority of a family is wanted: the team of each open case, and what it decided before. None twice, in no order.
    pub fn asked_of(&self, family: FamilyId) -> Vec<(Team, Option<Verdict>)> {
        let mut asked = Vec::new();
        for case in self.of_family.get(&family).into_iter().flatten() {
            if let Some(ranked) = self.cases.get(case) {
                let of = (ranked.standing.team, ranked.standing.verdict);
                if !asked.contains(&of) {
                    asked.push(of);
                }
            }
        }
        asked
    }

    /// The priority by which a case is ranked.
    pub fn priority(&self, id: CaseId) -> Option<f64> {
        self.cases
            .get(&id)
            .map(|ranked| ranked.live.unwrap_or(ranked.standing.priority))
    }

    /// How many cases are ranked.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }
}

impl Ranked {
    fn priority(&self) -> Priority {
        Priority::of(self.live.unwrap_or(self.standing.priority))
    }
}

impl Priority {
    /// The bits of a float in the order of its values: those of negative ones run backwards.
    fn of(value: f64) -> Priority {
        let bits = (value + 0.0).to_bits();
        Priority(if bits >> 63 == 0 { bits | 1 << 63 } else { !bits })
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the order is that of sorting everything anew, whatever changed.
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use tocsin_model::{ContentId, PartyId};

    use super::*;
    use crate::alert_rules::tests::open;

    /// What is due by 9 is urgent.
    const AT: (Timestamp, Timestamp) = (Timestamp(0), Timestamp(9));
    const TEAMS: [Team; 2] = [Team::Coordinators, Team::Party(PartyId(3))];

    fn case(id: u128, priority: f64) -> Standing {
        Standing {
            id: CaseId(id),
            team: TEAMS[(id % 2) as usize],
            family: FamilyId(ContentId(id / 3)),
            priority,
            ..open().standing()
        }
    }

    #[derive(Clone, Debug)]
    enum Change {
        Put(u128, f64, Option<i64>),
        Remove(u128),
        Live(u128, Option<f64>),
    }

    fn change() -> impl Strategy<Value = Change> {
        let priority = prop_oneof![Just(0.0), Just(-0.0), -1e3..1e3f64, Just(f64::MAX)];
        prop_oneof![
            (0..12u128, priority.clone(), proptest::option::of(0..20i64))
                .prop_map(|(id, priority, due)| Change::Put(id, priority, due)),
            (0..12u128).prop_map(Change::Remove),
            (0..4u128, proptest::option::of(priority)).prop_map(|(family, live)| Change::Live(family, live)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn the_order_is_that_of_a_sort(changes in proptest::collection::vec(change(), 0..80)) {
            let mut ranks = Ranks::new(10);
            let mut known: BTreeMap<u128, (f64, Option<f64>, Option<i64>)> = BTreeMap::new();
            for change in changes {
                match change {
                    Change::Put(id, priority, due) => {
                        let fits = known.contains_key(&id) || known.len() < 10;
                        let put = Standing { due_at: due.map(Timestamp), ..case(id, priority) };
                        prop_assert_eq!(ranks.put(&put).is_ok(), fits);
                        if fits {
                            let entry = known.entry(id).or_insert((0.0, None, None));
                            (entry.0, entry.2) = (priority, due);
                        }
                    }
                    Change::Remove(id) => {
                        let decided = Standing { waits_from: None, ..case(id, 0.0) };
                        ranks.put(&decided).unwrap();
                        known.remove(&id);
                    }
                    Change::Live(family, live) => {
                        // The figures of one team say nothing to the other.
                        ranks.set_live(FamilyId(ContentId(family)), |team, _| live.filter(|_| team == TEAMS[0]));
                        for (id, (_, own, _)) in &mut known {
                            if id / 3 == family {
                                *own = live.filter(|_| id % 2 == 0);
                            }
                        }
                    }
                }
                for (index, team) in TEAMS.into_iter().enumerate() {
                    let mut sorted: Vec<(i64, f64, u128)> = known
                        .iter()
                        .filter(|(id, _)| **id % 2 == index as u128)
                        .map(|(id, (stored, live, due))| {
                            let urgent = due.filter(|due| *due <= AT.1.0).unwrap_or(i64::MAX);
                            // Among what is urgent the time alone counts.
                            let priority = if urgent < i64::MAX { 0.0 } else { live.unwrap_or(*stored) };
                            (urgent, priority, *id)
                        })
                        .collect();
                    sorted.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.partial_cmp(&a.1).unwrap()).then(a.2.cmp(&b.2)));
                    let sorted: Vec<CaseId> = sorted.into_iter().map(|(_, _, id)| CaseId(id)).collect();
                    prop_assert_eq!(ranks.best(team, &Filter::default(), 100, AT), sorted);
                }
                prop_assert_eq!(ranks.len(), known.len());
            }
        }
    }

    #[test]
    fn of_what_is_rare_a_few_are_enough() {
        let mut ranks = Ranks::new(10_000);
        let rare = |every: u128| move |id: u128| id.is_multiple_of(every);
        let told = |ranks: &mut Ranks, is_rare: &dyn Fn(u128) -> bool| {
            for id in 0..10_000 {
                let mut put = case(2 * id, -(id as f64));
                put.traits.severity = f64::from(u8::from(is_rare(id)));
                ranks.put(&put).unwrap();
            }
            let filter = Filter {
                severity_min: Some(1.0),
                ..Filter::default()
            };
            ranks.best(TEAMS[0], &filter, 32, AT)
        };
        let ids = |every: u128, count| (0..count).map(|rare| CaseId(2 * rare * every)).collect::<Vec<_>>();
        assert_eq!(told(&mut ranks, &rare(10)), ids(10, 32), "a few hundred hold them all");
        assert_eq!(told(&mut ranks, &rare(100)), ids(100, 20), "what 2,000 hold");
        assert_eq!(
            told(&mut ranks, &rare(1_000)),
            ids(1_000, 4),
            "then until there are four"
        );
        assert_eq!(told(&mut ranks, &rare(4_000)), ids(4_000, 3), "or all was looked at");
    }

    #[test]
    fn what_is_due_takes_no_places_of_the_others() {
        let mut ranks = Ranks::new(100);
        for id in 0..60 {
            let due_at = (id % 3 == 0).then_some(Timestamp(9));
            ranks
                .put(&Standing {
                    due_at,
                    ..case(id, id as f64)
                })
                .unwrap();
        }
        let of = |due_max, count| ranks.first(TEAMS[0], (due_max, count), AT);
        let ids = |ids: &[u128], is_due| ids.iter().map(|id| (CaseId(*id), is_due)).collect::<Vec<_>>();
        let first = ids(&[58, 56, 52], false);
        assert_eq!(
            of(100, 3),
            [ids(&[0, 6, 12, 18, 24, 30, 36, 42, 48, 54], true), first.clone()].concat()
        );
        assert_eq!(of(2, 3), [ids(&[0, 6], true), first].concat());
    }

    #[test]
    fn a_case_that_moves_to_another_family_leaves_its_figures_behind() {
        let mut ranks = Ranks::new(10);
        ranks.put(&case(2, 1.0)).unwrap();
        ranks.set_live(FamilyId(ContentId(0)), |_, _| Some(9.0));
        ranks.put(&case(2, 2.0)).unwrap();
        assert_eq!(ranks.priority(CaseId(2)), Some(9.0));
        let moved = Standing {
            family: FamilyId(ContentId(7)),
            ..case(2, 2.0)
        };
        ranks.put(&moved).unwrap();
        assert_eq!(ranks.priority(CaseId(2)), Some(2.0));
        assert!(!ranks.has_family(FamilyId(ContentId(0))));
    }

    #[test]
    fn families_with_a_new_case_are_told_of_once() {
        let mut ranks = Ranks::new(10);
        let family = FamilyId(ContentId(0));
        ranks.put(&case(0, 1.0)).unwrap();
        // Put again before anybody asked: still new.
        ranks.put(&case(0, 2.0)).unwrap();
        assert_eq!(ranks.take_untold(), BTreeSet::from([family]));
        ranks.put(&case(0, 3.0)).unwrap();
        assert_eq!(ranks.take_untold(), BTreeSet::new());
        // The other team's case of the family.
        ranks.put(&case(1, 1.0)).unwrap();
        assert_eq!(ranks.take_untold(), BTreeSet::from([family]));
        ranks.put(&case(4, 1.0)).unwrap();
        ranks.forget(CaseId(4));
        assert_eq!(ranks.take_untold(), BTreeSet::new());
    }

    #[test]
    fn a_stretch_stands_in_place_of_what_was_known_of_it() {
        let mut ranks = Ranks::new(10);
        for id in [2, 4, 6, 8] {
            ranks.put(&case(id, id as f64)).unwrap();
        }
        let best = |ranks: &Ranks| ranks.best(TEAMS[0], &Filter::default(), 10, AT);
        ranks.put_stretch((Some(CaseId(2)), Some(CaseId(6))), &[case(5, 0.0), case(6, 1.0)]);
        assert_eq!(best(&ranks), [CaseId(8), CaseId(2), CaseId(6)]);
        assert_eq!(ranks.len(), 4);
        ranks.put_stretch((Some(CaseId(6)), None), &[]);
        assert_eq!(best(&ranks), [CaseId(2), CaseId(6)]);
        ranks.put_stretch((None, None), &[]);
        assert!(ranks.is_empty());
    }

    #[test]
    fn what_is_held_is_passed_over_until_its_lease_ends() {
        let mut ranks = Ranks::new(10);
        let held = Standing {
            waits_from: Some(Timestamp(50)),
            ..case(2, 9.0)
        };
        ranks.put(&held).unwrap();
        ranks.put(&case(4, 1.0)).unwrap();
        let best = |at| ranks.best(TEAMS[0], &Filter::default(), 2, (Timestamp(at), Timestamp(at)));
        assert_eq!(best(49), [CaseId(4)]);
        assert_eq!(best(50), [CaseId(2), CaseId(4)]);
    }
}
