//! Goal: nobody finds a number under 10 from what is published, whatever is added, subtracted and compared: over all cells and totals of a day, of several
//! parties and of days beside one another.
#![allow(clippy::unwrap_used)]

mod attacker;

use proptest::prelude::*;
use tocsin_model::Timestamp;
use tocsin_report::Day;
use tocsin_research::{Counted, Counts, Publication, TABLES};

use attacker::{Fact, narrowed};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const PARTIES: [&str; 3] = ["alpha", "beta", "gamma"];

/// What truly happened: of each day and party, how many families are in each cell.
type World = Vec<Vec<Vec<u64>>>;

fn all_cells() -> Vec<Counted> {
    TABLES.into_iter().flat_map(Counted::all).collect()
}

fn published(world: &World) -> Vec<Publication> {
    let cells = all_cells();
    let days = world.iter().enumerate().map(|(day, parties)| {
        let parties = parties.iter().zip(PARTIES).map(|(numbers, party)| {
            let mut counts = Counts::default();
            for (cell, number) in cells.iter().zip(numbers) {
                counts.add_many(*cell, *number);
            }
            (party.parse().unwrap(), vec![party.parse().unwrap()], counts)
        });
        Publication::of(Day::of(Timestamp(day as i64 * DAY_MS)), parties)
    });
    days.collect()
}

fn bytes(world: &World) -> String {
    serde_json::to_string(&published(world)).unwrap()
}

/// Everything that the publications say: bounds of each number, and bounds of sums of numbers. Numbers are called by their place.
fn facts(publications: &[Publication]) -> (usize, Vec<Fact>) {
    let (mut facts, mut numbers) = (Vec::new(), 0);
    for population in publications.iter().flat_map(|day| &day.populations) {
        for table in &population.tables {
            let first = numbers;
            for cell in &table.cells {
                facts.push(Fact::bounds(vec![numbers], cell.families.low, cell.families.high));
                numbers += 1;
            }
            facts.push(Fact::bounds(
                (first..numbers).collect(),
                table.total.low,
                table.total.high,
            ));
        }
    }
    (numbers, facts)
}

/// Numbers as they come: mostly small, around where they are told, and some large ones.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..10_u64, 2 => 8..16_u64, 1 => 10..2_000_u64, 1 => Just(0_u64)]
}

fn world() -> impl Strategy<Value = World> {
    let cells = all_cells().len();
    let party = prop::collection::vec(number(), cells);
    prop::collection::vec(prop::collection::vec(party, 1..=PARTIES.len()), 1..=3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_small_number_may_still_be_any_of_nought_to_nine(world in world()) {
        let truth: Vec<u64> = world.iter().flatten().flatten().copied().collect();
        let (numbers, facts) = facts(&published(&world));
        prop_assert_eq!(numbers, truth.len());
        let found = narrowed(numbers, &facts);
        for (number, (low, high)) in truth.iter().zip(found) {
            prop_assert!(low <= *number && *number <= high, "{number} is not in {low} to {high}");
            if *number < 10 {
                prop_assert_eq!((low, high), (0, 9));
            }
        }
    }

    /// Stronger than any attack on single numbers: all small ones at once may be any others, and the bytes are the same.
    #[test]
    fn the_bytes_do_not_say_which_small_number_it_is(world in world(), others in prop::collection::vec(0..10_u64, 1..40)) {
        let mut other = world.clone();
        let small = other.iter_mut().flatten().flatten().filter(|number| **number < 10);
        for (number, instead) in small.zip(others.iter().cycle()) {
            *number = *instead;
        }
        prop_assert_eq!(bytes(&world), bytes(&other));
    }
}

/// The attacker is worth its name: of a publication with true totals it finds small numbers, within a day and between two that share numbers.
#[test]
fn the_attacker_finds_small_numbers_beside_true_totals() {
    // A suppressed number beside two that are told, with their true sum.
    let told = [(0, 9), (10, 12), (13, 17)];
    let mut facts: Vec<Fact> = (0..3)
        .map(|number| Fact::bounds(vec![number], told[number].0, told[number].1))
        .collect();
    facts.push(Fact::bounds(vec![0, 1, 2], 24, 24));
    let (low, high) = narrowed(3, &facts)[0];
    assert!((low, high) == (0, 1), "{low} to {high}");
    // A number that is in a sum over two days, and not in that of the later one.
    let facts = [
        Fact::bounds(vec![0], 0, 9),
        Fact::bounds(vec![0, 1, 2], 103, 103),
        Fact::bounds(vec![1, 2], 98, 98),
    ];
    assert_eq!(narrowed(3, &facts)[0], (5, 5));
}

/// The same families told apart in two ways: why every family counts in one table alone.
#[test]
fn the_attacker_finds_a_small_number_where_two_tables_count_the_same() {
    // By kind: <10 and 100 (98 to 104). By time: 100 alone. They sum up to the same.
    let mut facts = Vec::new();
    for (number, (low, high)) in [(0, 9), (98, 104), (98, 104)].into_iter().enumerate() {
        facts.push(Fact::bounds(vec![number], low, high));
    }
    facts.push(Fact::equal(vec![0, 1], vec![2]));
    let (low, high) = narrowed(3, &facts)[0];
    assert!(high < 9, "{low} to {high}");
}
