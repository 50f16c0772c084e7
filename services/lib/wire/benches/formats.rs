//! What the hot formats cost, an event each: decoding (schema-fixed and by `apache-avro`), blocks in and out. Figures: `RECORD.md`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tocsin_model::*;
use tocsin_wire::block::{BlockReader, BlockWriter, SIGHTINGS_MAX, SightingNames};
use tocsin_wire::event::{decode, encode_batch, encode_single_object, from_json, to_json};
use tocsin_wire::osprey::{self, Mapping, NewAction, encode_coordinator, encode_worker};
use tocsin_wire::{SchemaName, Schemas};

/// An ordinary event: sha256 and pdq, an account, a region, no labels.
fn event(number: u64) -> Event {
    let spread = |salt: u64| (number ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    let bytes = |length: usize| (0..4).flat_map(spread).take(length).collect::<Vec<u8>>();
    Event {
        event_id: EventId(bytes(16).try_into().unwrap()),
        platform: "example-video".parse().unwrap(),
        kind: Kind::Upload,
        occurred_at: Timestamp(1_770_000_000_000 + number as i64),
        content: vec![ContentHash::from_bytes(Algorithm::Sha256, bytes(32), None).unwrap()],
        same_as: Vec::new(),
        frames: Vec::new(),
        account: Some(AccountPseudonym(bytes(16).try_into().unwrap())),
        account_epoch: 1,
        region: Some(*b"NZ"),
        language: None,
        audience: None,
        surface: Surface::Feed,
        labels: Vec::new(),
        sharing: Sharing::All,
    }
}

fn sightings(events: &[Event]) -> Vec<Sighting<'_>> {
    let key = DeploymentKey::from_bytes([7; 32]);
    events
        .iter()
        .enumerate()
        .map(|(index, event)| Sighting {
            source: SourceCoordinate {
                source: SourceId(0x1234_5678_9abc_def0),
                offset: 1_000_000 + index as u64 / 100,
                index: index as u32 % 100,
            },
            event_token: u64::from_le_bytes(event.event_id.0[..8].try_into().unwrap()),
            party: PartyId(3),
            platform: PlatformId(7),
            kind: event.kind,
            sharing: event.sharing,
            surface: event.surface,
            clock: ClockFlag::Plausible,
            occurred_at: event.occurred_at,
            received_at: event.occurred_at,
            content: key.content_id(&event.content[0]),
            hash: HashRef {
                algorithm: Algorithm::Sha256,
                value: event.content[0].value(),
            },
            account: event
                .account
                .map(|account| AccountToken(u64::from_le_bytes(account.0[..8].try_into().unwrap()))),
            account_epoch: 1,
            audience: 0,
            region: *b"NZ",
            language: [0; 2],
            tvec_confidence: Sighting::NO_LABEL,
        })
        .collect()
}

fn events(c: &mut Criterion) {
    let schemas = Schemas::builtin();
    let single = encode_single_object(&event(1));
    println!("a single event has {} bytes", single.len());
    let mut group = c.benchmark_group("event");
    group.bench_function("schema_fixed_borrowed", |b| {
        b.iter(|| {
            decode(black_box(&single), schemas)
                .unwrap()
                .events()
                .next()
                .unwrap()
                .unwrap()
                .strongest
                .value
                .len()
        })
    });
    group.bench_function("schema_fixed_owned", |b| {
        b.iter(|| {
            decode(black_box(&single), schemas)
                .unwrap()
                .events()
                .next()
                .unwrap()
                .unwrap()
                .to_event()
        })
    });
    group.bench_function("apache_avro_value", |b| {
        b.iter(|| {
            apache_avro::from_avro_datum(SchemaName::Event.newest(), &mut &black_box(&single)[10..], None).unwrap()
        })
    });
    let json = to_json(&event(1));
    group.bench_function("json", |b| b.iter(|| from_json(black_box(json.as_bytes())).unwrap()));
    group.finish();

    let batch: Vec<Event> = (0..1_000).map(event).collect();
    let batch = encode_batch(&batch);
    let mut group = c.benchmark_group("batch_of_1000");
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("schema_fixed_borrowed", |b| {
        b.iter(|| {
            decode(black_box(&batch), schemas)
                .unwrap()
                .events()
                .map(|event| event.unwrap().occurred_at.0)
                .sum::<i64>()
        })
    });
    group.finish();
}

/// Actions of Osprey with the hash, the account and the time of an event each, as intake takes them: read, mapped, written as an event.
fn actions(c: &mut Criterion) {
    let mapping = "sharing = \"all\"\naccount_key_file = \"key\"\n[[action]]\nname = \"media_uploaded\"\nkind = \"upload\"\n\
         platform = \"example-video\"\ntime_at = \"/created_at\"\naccount_at = \"/user/id\"\n[[action.hash]]\n\
         algorithm = \"sha256\"\nat = \"/media/sha256\"\n";
    let mapping = Mapping::parse(mapping, |_| Ok(vec![7; 32])).unwrap();
    let action = |name| NewAction {
        id: 1 << 62,
        name,
        at: Timestamp(1_770_000_000_000),
        data: serde_json::json!({
            "created_at": "2026-02-02T02:40:00Z",
            "user": {"id": 1_u64 << 60, "name": "example"},
            "media": {"sha256": "ab".repeat(32), "width": 1_920, "height": 1_080},
        }),
    };
    let mut group = c.benchmark_group("action");
    for (form, value) in [
        ("worker", encode_worker(action("media_uploaded"))),
        ("coordinator", encode_coordinator(action("media_uploaded"))),
        ("ignored", encode_worker(action("user_logged_in"))),
    ] {
        println!("an action ({form}) has {} bytes", value.len());
        group.bench_function(form, |b| {
            b.iter(|| {
                let action = osprey::decode(black_box(&value), None).unwrap();
                let mapped = mapping.event(&action, Timestamp(0), "place").unwrap();
                mapped.map(|mapped| encode_single_object(&mapped.event))
            })
        });
    }
    group.finish();
}

fn blocks(c: &mut Criterion) {
    let events: Vec<Event> = (0..SIGHTINGS_MAX as u64).map(event).collect();
    let sightings = sightings(&events);
    let (party, platform) = ("example".parse().unwrap(), "example-video".parse().unwrap());
    let names = SightingNames {
        party: &party,
        platform: &platform,
    };
    let mut writer = BlockWriter::new(KeyEpoch(1));
    let mut block = Vec::new();
    let mut write = |block: &mut Vec<u8>| {
        sightings
            .iter()
            .for_each(|sighting| writer.push(sighting, names).unwrap());
        block.clear();
        writer.finish(block);
    };
    write(&mut block);
    println!("a block of {SIGHTINGS_MAX} sightings has {} bytes", block.len());
    let stored = block.clone();
    let mut group = c.benchmark_group("block_of_512");
    group.throughput(Throughput::Elements(SIGHTINGS_MAX as u64));
    group.bench_function("write", |b| b.iter(|| write(black_box(&mut block))));
    let mut scratch = Vec::new();
    group.bench_function("read", |b| {
        b.iter(|| {
            let block = BlockReader::new(black_box(&stored), &mut scratch).unwrap();
            block
                .sightings()
                .map(|sighting| sighting.event_token ^ sighting.content.0 as u64)
                .fold(0, |a, b| a ^ b)
        })
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    targets = events, actions, blocks
}
criterion_main!(benches);
