//! A block written by an earlier build of this layout is read as it was meant. The bytes are not compared with those written now: what
//! lz4 makes of the same columns may change.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use tocsin_model::*;
use tocsin_wire::block::{BlockReader, BlockWriter, SightingNames};
use tocsin_wire::{SightingsRecord, TickTime};

fn sightings(url: &ContentHash) -> Vec<Sighting<'_>> {
    (0..24)
        .map(|number| Sighting {
            source: SourceCoordinate {
                source: SourceId(99),
                offset: 1_000 + number,
                index: number as u32 % 3,
            },
            event_token: number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            party: PartyId(3),
            platform: PlatformId(7 + number as u16 % 2),
            kind: Kind::from_number(1 + number as u8 % 3),
            sharing: Sharing::All,
            surface: Surface::Feed,
            clock: ClockFlag::Plausible,
            occurred_at: Timestamp(1_770_000_000_000 + number as i64 * 7),
            received_at: Timestamp(1_770_000_000_100 + number as i64 * 7),
            content: ContentId(u128::from(number) << 64 | 5),
            hash: HashRef {
                algorithm: url.algorithm(),
                value: url.value(),
            },
            account: (number % 4 != 0).then_some(AccountToken(number)),
            account_epoch: 1,
            audience: 0,
            region: *b"NZ",
            language: [0; 2],
            tvec_confidence: Sighting::NO_LABEL,
        })
        .collect()
}

fn write(sightings: &[Sighting<'_>]) -> Vec<u8> {
    let mut writer = BlockWriter::new(KeyEpoch(2));
    let (party, platform) = ("example".parse().unwrap(), "example-video".parse().unwrap());
    for sighting in sightings {
        let names = SightingNames {
            party: &party,
            platform: &platform,
        };
        writer.push(sighting, names).unwrap();
    }
    let mut block = Vec::new();
    writer.finish(&mut block);
    block
}

#[test]
fn the_golden_block_is_read() {
    let url = ContentHash::parse(Algorithm::Url, "https://example.org/watch?v=1", None).unwrap();
    let expected = sightings(&url);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../schemas/block/1.golden");
    if std::env::var_os("TOCSIN_REGENERATE").is_some() && !path.exists() {
        std::fs::write(&path, hex::encode(write(&expected)) + "\n").unwrap();
    }
    for bytes in [
        hex::decode(std::fs::read_to_string(path).unwrap().trim()).unwrap(),
        write(&expected),
    ] {
        let mut scratch = Vec::new();
        let block = BlockReader::new(&bytes, &mut scratch).unwrap();
        assert_eq!(block.key_epoch(), KeyEpoch(2));
        assert!(block.sightings().eq(expected.iter().copied()));
        assert_eq!(block.names().platforms.len(), 2);
    }
}

#[test]
fn records_of_the_sightings_topic_come_back() {
    let url = ContentHash::parse(Algorithm::Url, "https://example.org/watch?v=1", None).unwrap();
    let content = ContentId(5);
    let at = Timestamp(1_770_000_000_250);
    let block = write(&sightings(&url));
    let null = PlatformNull {
        platform: PlatformId(3),
        hours: [1.25; 24],
        reuploads: BetaLaw::with(0.5, 4.0),
        base_rate: GammaLaw {
            copies: 0.5,
            hours: 3.0,
        },
    };
    let calibration = Calibration {
        number: 1,
        effective_from: at,
        page_threshold: -0.5,
        pages_per_day: 15.0,
        episodes: 0,
        at,
        platforms: vec![null],
    };
    let records = [
        SightingsRecord::Block(block.into()),
        SightingsRecord::Link(Link {
            content,
            hash: url.clone(),
            family: FamilyId(content),
            evidence: Evidence::FounderLinked,
            party: None,
            class: Class::Coordinators,
            at,
        }),
        SightingsRecord::Delta(Delta {
            family: FamilyId(ContentId(6)),
            member: content,
            class: Class::Party(PartyId(u16::MAX)),
            number: 9,
            records: vec![1, 2, 3],
        }),
        SightingsRecord::Tick(TickTime::AppendStamp),
        SightingsRecord::Tick(TickTime::At(at)),
        SightingsRecord::Decision(Decision {
            id: DecisionId(1),
            family: FamilyId(content),
            scope: Scope::All,
            verdict: Verdict::Benign,
            at,
        }),
        SightingsRecord::Calibration(calibration.clone()),
        SightingsRecord::Weighing(Weighing {
            number: 1,
            scope: Scope::Coordinators,
            at,
            counts: vec![EvidenceCount {
                kind: EvidenceKind::Listing,
                stood: 3,
                overturned: 1,
            }],
        }),
        SightingsRecord::Watch(Watch {
            number: 2,
            content,
            hash: url,
            listed: None,
            source: "example".parse().unwrap(),
            at,
        }),
    ];
    for record in records {
        let bytes = record.encode();
        assert_eq!(SightingsRecord::decode(&bytes), Ok(record.clone()));
        // Blocks are checked by their reader; everything else ends where it should.
        if bytes.len() > 1 && bytes[0] != 1 {
            assert!(
                SightingsRecord::decode(&bytes[..bytes.len() - 1]).is_err(),
                "{record:?}"
            );
            assert!(
                SightingsRecord::decode(&[&bytes[..], &[0]].concat()).is_err(),
                "{record:?}"
            );
        }
    }
    assert!(SightingsRecord::decode(&[]).is_err());
    assert!(SightingsRecord::decode(&[9]).is_err());
    let changes: [fn(&mut Calibration); 8] = [
        |lie| lie.number = 0,
        |lie| lie.page_threshold = f64::NAN,
        |lie| lie.pages_per_day = 0.0,
        |lie| lie.platforms.push(lie.platforms[0]),
        |lie| lie.platforms[0].hours[23] = 1e6,
        |lie| lie.platforms[0].reuploads.uploads = f64::NAN,
        |lie| lie.platforms[0].base_rate.hours = -1.0,
        |lie| {
            lie.platforms = (0..300)
                .map(|id| PlatformNull {
                    platform: PlatformId(id),
                    ..lie.platforms[0]
                })
                .collect()
        },
    ];
    for change in changes {
        let mut unusable = calibration.clone();
        change(&mut unusable);
        let bytes = SightingsRecord::Calibration(unusable.clone()).encode();
        assert!(SightingsRecord::decode(&bytes).is_err(), "{unusable:?}");
    }
    let mut begun = Vec::new();
    SightingsRecord::begin_block(&mut begun);
    assert!(matches!(SightingsRecord::decode(&begun), Ok(SightingsRecord::Block(body)) if body.is_empty()));
}
