//! The bodies of state records: groups, cold counts, hot records, the figures in deltas, and intake's sources. What is read can be written,
//! read again, and worked with.
//!
//! The input changes bytes of real state, since nothing is found behind the first checks of such layouts by chance; the bytes are taken
//! as they are, too.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tocsin_model::{
    AccountToken, Algorithm, Class, ClockFlag, ContentHash, ContentId, Delta, DeploymentKey, Evidence, FamilyId, Kind,
    Link, Milliseconds, PartyId, PlatformId, Sharing, Sighting, SourceCoordinate, SourceId, Surface, Timestamp,
};
use tocsin_sketch::codec::{Decoder, Encoder};
use tocsin_sketch::{ColdConfig, ColdCounts};
use tocsin_velocity::{Group, GroupConfig, HotRecord, Input};

// Two files of the intake: the crate stands on the log, whose libraries take minutes to build with instrumentation.
#[allow(dead_code)]
#[path = "../../../services/intake/src/clock.rs"]
mod clock;
#[allow(dead_code)]
#[path = "../../../services/intake/src/source.rs"]
mod source;

use source::SourceState;

const START: i64 = 1_773_576_000_000;

/// One of each body.
struct Real {
    core: Vec<u8>,
    cold: BTreeMap<Class, Vec<u8>>,
    records: Vec<u8>,
    source: Vec<u8>,
    /// A content of the group.
    content: ContentId,
}

static REAL: LazyLock<Real> = LazyLock::new(real);

fn config() -> GroupConfig {
    GroupConfig {
        key: DeploymentKey::from_bytes([7; 32]),
        cold: ColdConfig {
            width: 16,
            seed: 11,
            lateness: Milliseconds::from_hours(2),
        },
        hot_max: 4,
        promote_at: 2,
        retry_horizon: Milliseconds::from_minutes(130),
        retry_tokens_max: 64,
        shadow: None,
    }
}

fn real() -> Real {
    let of_same_group = |hash: &ContentHash| config().key.content_id(hash).group().0 == 7;
    let hashes = (0u64..).map(|number| {
        let value = [number.to_le_bytes(); 4].concat();
        ContentHash::from_bytes(Algorithm::Sha256, value, None).expect("32 bytes are a digest")
    });
    let hashes: Vec<ContentHash> = hashes.filter(of_same_group).take(6).collect();
    let ids: Vec<ContentId> = hashes.iter().map(|hash| config().key.content_id(hash)).collect();
    let mut group = Group::new(ids[0].group(), config());
    let mut said = Vec::new();
    for number in 0..60u64 {
        // Most of the first content; now and then another.
        let which = if number % 3 == 2 { number as usize % 6 } else { 0 };
        let at = Timestamp(START + number as i64 * 40_000);
        let sharing = [Sharing::All, Sharing::Coordinators, Sharing::Party][number as usize % 7 % 3];
        group.apply(
            Input::Sighting(&sighting(&hashes[which], ids[which], number, at, sharing)),
            &mut said,
        );
    }
    let link = Link {
        content: ids[1],
        hash: hashes[1].clone(),
        family: FamilyId(ids[0]),
        evidence: Evidence::PartyLink,
        party: Some(PartyId(1)),
        class: Class::All,
        at: Timestamp(START + 2_400_000),
    };
    group.apply(Input::Link(&link), &mut said);
    group.apply(Input::Tick(Timestamp(START + 2_500_000)), &mut said);
    let mut records = Encoder::new();
    let hot: Vec<&HotRecord> = group.hot_keys().into_iter().filter_map(|key| group.hot(key)).collect();
    records.number(hot.len() as u64);
    hot.iter().for_each(|record| record.encode(&mut records));
    let mut source = SourceState::default();
    source.next_offset = 60;
    for number in 0..200 {
        let (at, sharing) = (Timestamp(START + number * 60_000), Sharing::All);
        let happened = Timestamp(at.0 - number % 7 * 61_000);
        source.correct((PlatformId(1), sharing), happened, at, Milliseconds::from_hours(24));
    }
    Real {
        core: group.encode_core(),
        cold: group
            .cold()
            .map(|(class, counts)| (class, Group::encode_cold(counts)))
            .collect(),
        records: records.finish(),
        source: source.encode(),
        content: ids[0],
    }
}

fn sighting(hash: &ContentHash, content: ContentId, number: u64, at: Timestamp, sharing: Sharing) -> Sighting<'_> {
    Sighting {
        source: SourceCoordinate {
            source: SourceId(1),
            offset: number,
            index: 0,
        },
        event_token: number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        party: PartyId(1),
        platform: PlatformId(number as u16 % 3),
        kind: Kind::Share,
        sharing,
        surface: Surface::Feed,
        clock: ClockFlag::Plausible,
        occurred_at: at,
        received_at: at,
        content,
        hash: hash.view(),
        account: Some(AccountToken(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
        account_epoch: 0,
        audience: 0,
        region: [0; 2],
        language: [0; 2],
        tvec_confidence: Sighting::NO_LABEL,
    }
}

/// The bytes with some changed: of each four of `edits`, where (two), what to, and whether to put it there or to leave out what is there.
fn edited(real: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = real.to_vec();
    for edit in edits.chunks_exact(4).take(16) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % bytes.len().max(1);
        match edit[3] % 4 {
            _ if bytes.is_empty() => {}
            0 => bytes.insert(at, edit[2]),
            1 => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            _ => bytes[at] = edit[2],
        }
    }
    bytes
}

/// A group that could be read is written and read as the same, and goes on.
fn group(core: &[u8], cold: &BTreeMap<Class, Vec<u8>>) {
    let Ok(mut group) = Group::decode(config(), core, cold) else {
        return;
    };
    let once = group.encode_core();
    let cold = group
        .cold()
        .map(|(class, counts)| (class, Group::encode_cold(counts)))
        .collect();
    let again = Group::decode(config(), &once, &cold).expect("what was written can be read");
    assert_eq!(again.encode_core(), once);
    let mut said = Vec::new();
    group.apply(Input::Tick(Timestamp(START + 2_600_000)), &mut said);
    let hash = ContentHash::from_bytes(Algorithm::Sha256, vec![0; 32], None).expect("32 bytes are a digest");
    let at = Timestamp(START + 2_700_000);
    group.apply(
        Input::Sighting(&sighting(&hash, REAL.content, 1 << 20, at, Sharing::All)),
        &mut said,
    );
}

/// Figures of a member elsewhere.
fn figures(records: Vec<u8>) {
    let mut home = Group::decode(config(), &REAL.core, &REAL.cold).expect("real state can be read");
    let delta = Delta {
        family: FamilyId(REAL.content),
        member: ContentId(REAL.content.0 ^ 1),
        class: Class::All,
        number: 1,
        records,
    };
    let mut said = Vec::new();
    home.apply(Input::Delta(&delta), &mut said);
    home.apply(Input::Tick(Timestamp(START + 2_700_000)), &mut said);
    home.encode_core();
}

fn hot_record(bytes: &[u8]) {
    let mut input = Decoder::new(bytes);
    let Ok(record) = HotRecord::decode(&mut input) else {
        return;
    };
    let mut once = Encoder::new();
    record.encode(&mut once);
    let once = once.finish();
    let read = HotRecord::decode(&mut Decoder::new(&once)).expect("what was written can be read");
    let mut again = Encoder::new();
    read.encode(&mut again);
    assert_eq!(again.finish(), once);
}

fn cold_counts(bytes: &[u8]) {
    let mut input = Decoder::new(bytes);
    if let Ok(counts) = ColdCounts::decode(config().cold, &mut input) {
        let once = Group::encode_cold(&counts);
        let again = ColdCounts::decode(config().cold, &mut Decoder::new(&once)).expect("what was written can be read");
        assert_eq!(Group::encode_cold(&again), once);
    }
}

fn source(bytes: &[u8]) {
    if let Ok(mut state) = SourceState::decode(bytes) {
        let once = state.encode();
        let again = SourceState::decode(&once).expect("what was written can be read");
        assert_eq!(again.encode(), once);
        let at = Timestamp(START + 86_400_000);
        state.correct((PlatformId(1), Sharing::All), at, at, Milliseconds::from_hours(24));
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((what, rest)) = input.split_first() else {
        return;
    };
    let real = &*REAL;
    let cold = real.cold.values().next().expect("something was counted");
    match what % 10 {
        0 => group(&edited(&real.core, rest), &real.cold),
        1 => {
            let mut changed = real.cold.clone();
            changed.insert(Class::All, edited(cold, rest));
            group(&real.core, &changed);
        }
        2 => figures(edited(&real.records, rest)),
        3 => hot_record(edited(&real.records, rest).get(1..).unwrap_or_default()),
        4 => cold_counts(&edited(cold, rest)),
        5 => source(&edited(&real.source, rest)),
        6 => group(rest, &real.cold),
        7 => figures(rest.to_vec()),
        8 => cold_counts(rest),
        _ => {
            hot_record(rest);
            source(rest);
        }
    }
});
