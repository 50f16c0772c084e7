//! Any list of sightings comes back from its block, and no damaged block is taken for a whole one.
#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use tocsin_model::*;

use super::*;

#[derive(Clone, Debug)]
struct Owned {
    sighting: Sighting<'static>,
    hash: ContentHash,
}

impl Owned {
    fn borrow(&self) -> Sighting<'_> {
        Sighting {
            hash: HashRef {
                algorithm: self.hash.algorithm(),
                value: self.hash.value(),
            },
            ..self.sighting
        }
    }
}

fn any_sighting() -> impl Strategy<Value = Owned> {
    (
        (any::<u64>(), any::<u64>(), any::<u32>(), any::<u64>()),
        (0u16..40, 0u16..40, 0u8..13, 0u8..3, 0u8..7, 0u8..3),
        (
            any::<i64>(),
            any::<i64>(),
            any::<u128>(),
            crate::event::tests::any_hash(),
        ),
        (
            proptest::option::of(any::<u64>()),
            any::<u32>(),
            any::<u32>(),
            any::<[u8; 2]>(),
            any::<[u8; 2]>(),
            any::<u8>(),
        ),
    )
        .prop_map(
            |((source, offset, index, event_token), small, (occurred, received, content, hash), last)| Owned {
                sighting: Sighting {
                    source: SourceCoordinate {
                        source: SourceId(source),
                        offset,
                        index,
                    },
                    event_token,
                    party: PartyId(small.0),
                    platform: PlatformId(small.1),
                    kind: Kind::from_number(small.2),
                    sharing: Sharing::from_number(small.3).unwrap(),
                    surface: Surface::from_number(small.4),
                    clock: ClockFlag::from_number(small.5).unwrap(),
                    occurred_at: Timestamp(occurred),
                    received_at: Timestamp(received),
                    content: ContentId(content),
                    hash: HashRef {
                        algorithm: Algorithm::Url,
                        value: b"",
                    },
                    account: last.0.map(AccountToken),
                    account_epoch: last.1,
                    audience: last.2,
                    region: last.3,
                    language: last.4,
                    tvec_confidence: last.5,
                },
                hash,
            },
        )
}

fn pack(sightings: &[Owned]) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    let mut writer = BlockWriter::new(KeyEpoch(3));
    for sighting in sightings {
        let party: Name = format!("party-{}", sighting.sighting.party.0).parse().unwrap();
        let platform: Name = format!("platform-{}", sighting.sighting.platform.0).parse().unwrap();
        let names = SightingNames {
            party: &party,
            platform: &platform,
        };
        if writer.push(&sighting.borrow(), names).is_err() {
            blocks.push(finished(&mut writer));
            writer.push(&sighting.borrow(), names).unwrap();
        }
    }
    let block = finished(&mut writer);
    if !block.is_empty() {
        blocks.push(block);
    }
    assert!(writer.is_empty());
    blocks
}

fn finished(writer: &mut BlockWriter) -> Vec<u8> {
    let mut block = Vec::with_capacity(writer.bytes_max());
    let room = block.capacity();
    writer.finish(&mut block);
    assert_eq!(block.capacity(), room, "it was said how much room a block needs");
    block
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn sightings_round_trip(sightings in proptest::collection::vec(any_sighting(), 0..700)) {
        let mut expected = sightings.iter();
        let mut scratch = Vec::new();
        for block in pack(&sightings) {
            prop_assert!(block.len() <= BLOCK_BYTES_MAX);
            let reader = BlockReader::new(&block, &mut scratch).unwrap();
            prop_assert_eq!(reader.key_epoch(), KeyEpoch(3));
            prop_assert_eq!(reader.len(), reader.sightings().count());
            let names = reader.names();
            for sighting in reader.sightings() {
                prop_assert_eq!(sighting, expected.next().unwrap().borrow());
                prop_assert_eq!(names.parties[&sighting.party].as_str(), format!("party-{}", sighting.party.0));
                prop_assert_eq!(names.platforms[&sighting.platform].as_str(), format!("platform-{}", sighting.platform.0));
            }
        }
        prop_assert!(expected.next().is_none());
    }

    #[test]
    fn any_bit_flip_is_detected(sightings in proptest::collection::vec(any_sighting(), 1..8)) {
        let block = pack(&sightings).remove(0);
        let mut scratch = Vec::new();
        for bit in 0..block.len() * 8 {
            let mut damaged = block.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(BlockReader::new(&damaged, &mut scratch).is_err(), "bit {}", bit);
        }
        for length in 0..block.len() {
            prop_assert!(BlockReader::new(&block[..length], &mut scratch).is_err());
        }
    }

    #[test]
    fn bytes_with_a_right_checksum_never_panic(
        sightings in proptest::collection::vec(any_sighting(), 1..8),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut block = pack(&sightings).remove(0);
        let body = block.len() - 8;
        let at = at.index(body);
        block[at] = to;
        let checksum = checksum(&block[..body]);
        block[body..].copy_from_slice(&checksum.to_le_bytes());
        let mut scratch = Vec::new();
        if let Ok(reader) = BlockReader::new(&block, &mut scratch) {
            prop_assert_eq!(reader.sightings().count(), reader.len());
        }
    }
}

#[test]
fn the_longest_hashes_fit_a_writer_that_is_empty() {
    let url = ContentHash::parse(Algorithm::Url, &"u".repeat(ContentHash::URL_LENGTH_MAX), None).unwrap();
    let base = any_sighting()
        .new_tree(&mut proptest::test_runner::TestRunner::deterministic())
        .unwrap()
        .current();
    let sightings: Vec<Owned> = (0..SIGHTINGS_MAX)
        .map(|_| Owned {
            hash: url.clone(),
            ..base.clone()
        })
        .collect();
    let blocks = pack(&sightings);
    let mut scratch = Vec::new();
    let counts: Vec<usize> = blocks
        .iter()
        .map(|block| BlockReader::new(block, &mut scratch).unwrap().len())
        .collect();
    assert_eq!(counts, [64; 8]);
}
