use proptest::prelude::*;
use tocsin_model::{Algorithm, ContentHash};

use super::*;

fn hash(bytes: [u8; 32], quality: u8) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Pdq, bytes.to_vec(), Some(quality)).expect("32 bytes are a PDQ hash")
}

/// A picture's hash: half of its bits are set.
fn picture(seed: u64) -> Pdq {
    let mut state = seed;
    let mut words = [0; 4];
    for word in &mut words {
        // SplitMix64 (Steele, Lea, Flood, 2014).
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        *word = mixed ^ (mixed >> 31);
    }
    Pdq(words)
}

fn flipped(mut pdq: Pdq, bits: &[u8]) -> Pdq {
    for bit in bits {
        pdq.0[usize::from(bit / 64)] ^= 1 << (bit % 64);
    }
    pdq
}

#[test]
fn what_no_picture_has_is_refused() {
    let mut half = [0x0f; 32];
    assert!(Pdq::of(&hash(half, 50)).is_ok());
    assert_eq!(Pdq::of(&hash(half, 49)), Err(Unmatchable::LowQuality));
    assert_eq!(Pdq::of(&hash([0; 32], 100)), Err(Unmatchable::Degenerate));
    assert_eq!(Pdq::of(&hash([0xff; 32], 100)), Err(Unmatchable::Degenerate));
    half[8..].fill(0);
    assert!(Pdq::of(&hash(half, 100)).is_ok(), "32 bits");
    half[0] = 0x0e;
    assert_eq!(Pdq::of(&hash(half, 100)), Err(Unmatchable::Degenerate), "31 bits");
    let file = ContentHash::from_bytes(Algorithm::Sha256, vec![0x0f; 32], None).expect("32 bytes are a SHA-256");
    assert_eq!(Pdq::of(&file), Err(Unmatchable::NotPdq));
}

#[test]
fn chunks_are_the_hash_in_the_order_of_its_text() {
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = place as u8;
    }
    let pdq = Pdq::from_bytes(bytes);
    let chunks: Vec<u8> = (0..16).flat_map(|chunk| pdq.chunk(chunk).to_be_bytes()).collect();
    assert_eq!(chunks, bytes);
}

/// Two flips in each chunk but one, which has one: 31 bits, and the least that any chunk can have.
#[test]
fn the_worst_pattern_of_flips_is_found() {
    for spared in 0..16_u8 {
        let bits = |chunk: u8| [chunk * 16, chunk * 16 + 7];
        let flips: Vec<u8> = (0..16).flat_map(bits).filter(|bit| *bit != spared * 16).collect();
        let mut index = PdqIndex::default();
        // Enough others, so that it is found by its buckets and not by a pass.
        for other in 0..5_000 {
            index.insert(picture(other), other).expect("it has room");
        }
        let wanted = picture(1 << 40);
        index.insert(flipped(wanted, &flips), 1 << 40).expect("it has room");
        index
            .insert(flipped(wanted, &[flips.as_slice(), &[spared * 16]].concat()), 2 << 40)
            .expect("it has room");
        assert_eq!(near(&index, &wanted, 8), [(31, 1 << 40)]);
    }
}

fn near(index: &PdqIndex<u64>, query: &Pdq, most: usize) -> Vec<(u32, u64)> {
    let mut found = Vec::new();
    index.near(query, most, |_| true, &mut Lookup::default(), &mut found);
    found.iter().map(|found| (found.distance, found.value)).collect()
}

/// What a pass over a plain list finds.
fn plain(kept: &[(Pdq, u64)], query: &Pdq, most: usize) -> Vec<(u32, u64)> {
    let distances = kept.iter().map(|(hash, value)| (hash.distance(query), *value));
    let mut found: Vec<(u32, u64)> = distances
        .filter(|(distance, _)| *distance <= Pdq::DISTANCE_MAX)
        .collect();
    found.sort_unstable();
    found.truncate(most);
    found
}

#[derive(Clone, Debug)]
enum Step {
    Insert { picture: u64, flips: Vec<u8> },
    Remove { place: usize },
    Look { picture: u64, flips: Vec<u8>, most: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let flips = || proptest::collection::vec(0_u8..=255, 0..40);
    let step = prop_oneof![
        4 => (0_u64..6, flips()).prop_map(|(picture, flips)| Step::Insert { picture, flips }),
        3 => (0_usize..64).prop_map(|place| Step::Remove { place }),
        3 => (0_u64..6, flips(), 1_usize..5).prop_map(|(picture, flips, most)| Step::Look { picture, flips, most }),
    ];
    proptest::collection::vec(step, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Near and equal hashes, inserted and removed in any order, beside others that are far or none: the index finds what a plain list
    /// finds, by its buckets and by the pass.
    #[test]
    fn the_index_finds_what_a_plain_list_finds(steps in steps(), others in prop_oneof![Just(0_u64), Just(3_000)]) {
        let mut index = PdqIndex::default();
        let mut kept: Vec<(Slot, Pdq, u64)> = Vec::new();
        for other in 1_000..1_000 + others {
            index.insert(picture(other), other).expect("it has room");
        }
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert { picture: seed, flips } => {
                    let (hash, value) = (flipped(picture(seed), &flips), number as u64);
                    kept.push((index.insert(hash, value).expect("it has room"), hash, value));
                }
                Step::Remove { place } if !kept.is_empty() => {
                    let (slot, _, value) = kept.swap_remove(place % kept.len());
                    prop_assert_eq!(index.remove(slot), Some(value));
                    prop_assert_eq!(index.remove(slot), None, "removed once");
                }
                Step::Remove { .. } => {}
                Step::Look { picture: seed, flips, most } => {
                    let query = flipped(picture(seed), &flips);
                    let plainly: Vec<(Pdq, u64)> = kept.iter().map(|(_, hash, value)| (*hash, *value)).collect();
                    prop_assert_eq!(near(&index, &query, most), plain(&plainly, &query, most));
                }
            }
            prop_assert_eq!(index.len(), kept.len() + others as usize);
        }
    }
}

/// A list that comes and goes for ever: places are given again, and nothing that was removed is found.
#[test]
fn memory_stays_where_hashes_come_and_go() {
    let mut index = PdqIndex::default();
    let mut there = std::collections::VecDeque::new();
    let mut bytes = 0;
    for seed in 0..120_000 {
        there.push_back((index.insert(picture(seed), seed).expect("it has room"), seed));
        if there.len() > 2_000 {
            let (slot, gone) = there.pop_front().expect("it holds 2,001");
            assert_eq!(index.remove(slot), Some(gone));
        }
        if seed == 60_000 {
            bytes = index.bytes();
        }
    }
    assert!(index.bytes() <= bytes + bytes / 8, "{} after {bytes}", index.bytes());
    for seed in (0..120_000).step_by(997) {
        let expected = if seed < 118_000 { vec![] } else { vec![(0, seed)] };
        assert_eq!(near(&index, &picture(seed), 8), expected, "{seed}");
    }
}

/// A bank of near copies: all hashes in the same buckets, and a lookup costs a pass, and tells no more than was asked for.
#[test]
fn a_bank_of_near_copies_is_looked_through_once() {
    let mut index = PdqIndex::default();
    let base = picture(7);
    let copies: Vec<(Pdq, u64)> = (0..4_000_u64)
        .map(|copy| (flipped(base, &[(copy % 256) as u8, (copy / 16) as u8]), copy))
        .collect();
    let slots: Vec<Slot> = copies
        .iter()
        .map(|(hash, copy)| index.insert(*hash, *copy).expect("it has room"))
        .collect();
    assert_eq!(near(&index, &base, 20), plain(&copies, &base, 20));
    for slot in &slots[..3_990] {
        index.remove(*slot);
    }
    assert_eq!(near(&index, &base, 20), plain(&copies[3_990..], &base, 20));
}

/// Among copies of one picture nearly all are near: whether one is wanted is asked of few, however many there are, and the nearest are told all
/// the same.
#[test]
fn of_many_copies_few_are_asked_about() {
    let mut index = PdqIndex::default();
    let original = picture(7);
    let mut nearest = Vec::new();
    for number in 0..20_000_u64 {
        let bits: Vec<u8> = (0..number % 21).map(|bit| ((number + 12 * bit) % 256) as u8).collect();
        let copy = flipped(original, &bits);
        index.insert(copy, number).expect("there is room");
        nearest.push((original.distance(&copy), number));
    }
    nearest.sort_unstable();
    for most in [1, 3, 40] {
        let asked = std::cell::Cell::new(0);
        let is_wanted = |number: &u64| {
            asked.set(asked.get() + 1);
            number % 2 == 1
        };
        let (mut lookup, mut found) = (Lookup::default(), Vec::new());
        index.near(&original, most, is_wanted, &mut lookup, &mut found);
        let wanted = nearest.iter().filter(|(_, number)| number % 2 == 1).take(most);
        let told: Vec<(u32, u64)> = found.iter().map(|found| (found.distance, found.value)).collect();
        assert_eq!(told, wanted.copied().collect::<Vec<_>>());
        assert!(asked.get() < 5_000, "{most}: asked about {}", asked.get());
    }
}

/// Copies of a few pictures, in every mixture with others: a picture's copies have most of their chunks alike, so they crowd into the same buckets.
fn crowd(seed: u64, pictures: u64, flips: u64, others_percent: u64) -> impl Iterator<Item = (Pdq, u64)> {
    (0..CROWD).map(move |number| {
        let random = picture(seed ^ (number << 20));
        if random.0[0] % 100 < others_percent {
            return (random, number);
        }
        let bits: Vec<u8> = (0..random.0[1] % (flips + 1))
            .map(|flip| (random.0[2].rotate_left(7 * flip as u32) ^ (flip * 89)) as u8)
            .collect();
        (
            flipped(picture(seed.wrapping_add(random.0[3] % pictures)), &bits),
            number,
        )
    })
}

const CROWD: u64 = 50_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    /// Whatever a bank of near copies looks like, a lookup costs a pass over it at most, counted in what it looks at, and finds what the pass would; also when
    /// nearly all of it was taken away again, and for a query that was made to hit every full bucket.
    #[test]
    fn no_bank_makes_a_lookup_dearer_than_a_pass(
        seed in any::<u64>(), pictures in prop_oneof![Just(1_u64), 2_u64..40], flips in 0_u64..33, others in prop_oneof![Just(0_u64), 1_u64..100],
    ) {
        let mut index = PdqIndex::default();
        let mut kept: Vec<(Pdq, u64)> = crowd(seed, pictures, flips, others).collect();
        let slots: Vec<Slot> = kept.iter().map(|(hash, value)| index.insert(*hash, *value).expect("it has room")).collect();
        let queries: Vec<Pdq> = (0..12_u64)
            .map(|number| match number % 3 {
                0 => picture(seed.wrapping_add(number % pictures)),
                1 => kept[(number * 3_571) as usize].0,
                _ => picture(!seed ^ number),
            })
            .collect();
        let places = kept.len().next_multiple_of(1 << 10);
        for round in 0..2 {
            for query in &queries {
                let (mut lookup, mut found) = (Lookup::default(), Vec::new());
                index.near(query, 5, |_| true, &mut lookup, &mut found);
                let told: Vec<(u32, u64)> = found.iter().map(|found| (found.distance, found.value)).collect();
                prop_assert_eq!(told, plain(&kept, query, 5));
                prop_assert!(lookup.looked_at() <= places, "round {}: {} looked at of {} places", round, lookup.looked_at(), places);
            }
            // All but the last thousand.
            for slot in &slots[..slots.len() - 1_000] {
                index.remove(*slot);
            }
            kept.drain(..kept.len().saturating_sub(1_000));
        }
    }

    /// Many queries together are answered as each by itself, in their order, whatever the bank looks like and whatever of it was taken away: by buckets and by
    /// the pass, beside one another in one batch.
    #[test]
    fn a_batch_is_answered_as_its_queries_one_by_one(
        seed in any::<u64>(), pictures in 1_u64..40, flips in 0_u64..40, others in 0_u64..101, count in 0_usize..40, most in 1_usize..20, removed in 0_usize..60_000,
    ) {
        let mut index = PdqIndex::default();
        let slots: Vec<Slot> = crowd(seed, pictures, flips, others)
            .map(|(hash, value)| index.insert(hash, value).expect("it has room"))
            .collect();
        for slot in slots.iter().take(removed) {
            index.remove(*slot);
        }
        let queries: Vec<Pdq> = (0..count as u64)
            .map(|number| match number % 3 {
                0 => picture(!seed ^ number),
                1 => flipped(picture(seed.wrapping_add(number % pictures)), &[number as u8, (7 * number) as u8]),
                _ => picture(seed ^ ((number * 1_009) << 20)),
            })
            .collect();
        let is_wanted = |number: &u64| !number.is_multiple_of(5);
        let (mut lookup, mut found, mut told) = (Lookup::default(), Vec::new(), Vec::new());
        index.near_each(&queries, most, is_wanted, (&mut lookup, &mut found), |place, found| told.push((place, found.to_vec())));
        let looked_at = lookup.looked_at();
        let mut expected = Vec::new();
        let mut looked_at_each = 0;
        for (place, query) in queries.iter().enumerate() {
            index.near(query, most, is_wanted, &mut lookup, &mut found);
            expected.push((place, found.clone()));
            looked_at_each += lookup.looked_at();
        }
        prop_assert_eq!(told, expected);
        prop_assert_eq!(looked_at, looked_at_each);
    }

    /// Among hashes that have nothing to do with one another a lookup looks at a small part of them.
    #[test]
    fn a_lookup_among_others_looks_at_few(seed in any::<u64>()) {
        let mut index = PdqIndex::default();
        for (hash, value) in crowd(seed, 1, 0, 100) {
            index.insert(hash, value).expect("it has room");
        }
        for number in 0..20_u64 {
            let (mut lookup, mut found) = (Lookup::default(), Vec::new());
            index.near(&picture(!seed ^ number), 5, |_| true, &mut lookup, &mut found);
            // 272 of 2^20 buckets, of 16 entries for each hash: one in 241.
            prop_assert!(lookup.looked_at() < CROWD as usize / 120, "{}", lookup.looked_at());
        }
    }
}
