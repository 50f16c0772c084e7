//! Goal: with a local copy of the state, whatever became of it, a restore gives what the topic alone gives.

use std::collections::BTreeMap;

use tocsin_log::Log as _;
use tocsin_model::{DeploymentKey, GroupId, Timestamp};
use tocsin_wire::topics;

use super::bench::{Bench, GroupState, NOON, NUMBER, Part, SECOND, states};
use crate::cache::{Cache, Found};
use crate::partition::Partition;
use crate::restore::{Restore, Stepped};

const EVERYTHING: [Part; 2] = [Part::Changed, Part::Checkpoints];

/// A bench whose restores keep copies here.
fn bench() -> (Bench, tempfile::TempDir) {
    let (mut bench, directory) = (Bench::new(), tempfile::tempdir().unwrap());
    bench.config.cache_directory = directory.path().join("made by whoever writes");
    (bench, directory)
}

fn cache(bench: &Bench) -> Cache {
    bench.config.cache(&bench.setup).unwrap()
}

fn path(bench: &Bench, number: u32) -> std::path::PathBuf {
    bench.config.cache_directory.join(format!("state-{number}.cache"))
}

/// A restore with the copy: what became of that, and how many records of the state it read.
fn restored(bench: &Bench) -> (Found, u64, Partition) {
    let mut restore = Restore::begin(bench.log.as_ref(), bench.restored(NUMBER)).unwrap();
    let reached = restore.reached();
    loop {
        match restore.step(bench.log.as_ref(), &|| false).unwrap() {
            Stepped::Further(further) => restore = *further,
            Stepped::Restored(partition, _) => return (reached.found.unwrap(), reached.to_read, *partition),
        }
    }
}

fn from_the_topic(bench: &Bench) -> BTreeMap<GroupId, GroupState> {
    states(&bench.restore().unwrap())
}

fn write(bench: &mut Bench, partition: &mut Partition, second: i64, contents: &[usize]) {
    bench.shares(NOON + second * SECOND, contents);
    bench.apply(partition);
    bench.write(partition, &EVERYTHING, Timestamp(NOON + second * SECOND));
}

#[test]
fn a_restore_reads_only_what_follows_its_copy() {
    let (mut bench, _directory) = bench();
    let mut partition = bench.fresh();
    write(&mut bench, &mut partition, 0, &[1, 2]);
    let (found, all, first) = restored(&bench);
    assert_eq!(found, Found::Absent);
    assert!(states(&first) == from_the_topic(&bench));
    let (found, read, again) = restored(&bench);
    assert_eq!((found, read), (Found::Used, 0));
    assert!(states(&again) == from_the_topic(&bench));
    write(&mut bench, &mut partition, 1, &[1, 3]);
    let (found, read, third) = restored(&bench);
    assert!(
        found == Found::Used && (1..all).contains(&read),
        "{found:?}, {read} of {all}"
    );
    assert!(states(&third) == from_the_topic(&bench));
}

#[test]
fn a_process_that_ends_leaves_a_copy_of_what_it_wrote_last() {
    let (mut bench, _directory) = bench();
    let running = super::succeeded::start(&bench);
    super::succeeded::burst(&mut bench, 1, NOON);
    super::bench::until("it rings", || super::succeeded::alerts(&bench) == 1);
    running.stop().unwrap();
    let (found, read, partition) = restored(&bench);
    assert_eq!((found, read), (Found::Used, 0));
    assert!(states(&partition) == from_the_topic(&bench));
}

#[test]
fn what_stands_for_a_moment_is_in_no_copy() {
    let (mut bench, _directory) = bench();
    let mut partition = bench.fresh();
    write(&mut bench, &mut partition, 0, &[1]);
    bench.write_saying(&mut partition, &[]);
    let said = tocsin_wire::SightingsRecord::Tick(tocsin_wire::TickTime::AppendStamp).encode();
    bench.write_saying(&mut partition, &[said]);
    let restore = Restore::begin(bench.log.as_ref(), bench.restored(NUMBER)).unwrap();
    let mut stepped = restore.step(bench.log.as_ref(), &|| false);
    while let Ok(Stepped::Further(restore)) = stepped {
        stepped = restore.step(bench.log.as_ref(), &|| false);
    }
    assert!(!path(&bench, NUMBER).exists());
    bench.write_saying(&mut partition, &[]);
    assert_eq!(restored(&bench).0, Found::Absent);
    assert_eq!(restored(&bench).0, Found::Used);
}

#[test]
fn a_copy_that_does_not_fit_is_thrown_away() {
    let (mut bench, _directory) = bench();
    let mut partition = bench.fresh();
    write(&mut bench, &mut partition, 0, &[1, 2]);
    restored(&bench);
    let whole = std::fs::read(path(&bench, NUMBER)).unwrap();
    let topic = bench
        .log
        .topics()
        .unwrap()
        .into_iter()
        .find(|topic| topic.name == topics::STATE);
    let (topic, bounds) = (topic.unwrap().id, (0, 1_000_000));
    let cache = cache(&bench);
    let found = |cache: &Cache, bytes: &[u8], of: (u64, u32), bounds: (u64, u64)| {
        cache.decode(bytes, of, bounds).map(|(through, _)| through)
    };
    let through = found(&cache, &whole, (topic, NUMBER), bounds).unwrap();
    assert_eq!(
        found(&cache, &whole, (topic, NUMBER), (0, through - 1)),
        Err(Found::Newer)
    );
    assert_eq!(
        found(&cache, &whole, (topic, NUMBER), (through + 1, through + 2)),
        Err(Found::Older)
    );
    assert_eq!(found(&cache, &whole, (topic, NUMBER + 1), bounds), Err(Found::Foreign));
    assert_eq!(found(&cache, &whole, (topic + 1, NUMBER), bounds), Err(Found::Foreign));
    bench.setup.key = DeploymentKey::from_bytes([8; 32]);
    assert_eq!(
        found(&self::cache(&bench), &whole, (topic, NUMBER), bounds),
        Err(Found::Foreign)
    );
    bench.setup.key = DeploymentKey::from_bytes([7; 32]);

    for length in 0..whole.len() {
        assert_eq!(
            found(&cache, &whole[..length], (topic, NUMBER), bounds),
            Err(Found::Torn),
            "cut at {length}"
        );
        let mut flipped = whole.clone();
        flipped[length] ^= 1 << (length % 8);
        assert_eq!(
            found(&cache, &flipped, (topic, NUMBER), bounds),
            Err(Found::Torn),
            "flipped at {length}"
        );
    }
    // The same of a whole restore, here and there.
    let wanted = from_the_topic(&bench);
    for length in (0..whole.len()).step_by(whole.len() / 7) {
        let mut flipped = whole.clone();
        flipped[length] ^= 1;
        for bytes in [&whole[..length], &flipped] {
            std::fs::write(path(&bench, NUMBER), bytes).unwrap();
            let (found, _, partition) = restored(&bench);
            assert_eq!(found, Found::Torn, "at {length}");
            assert!(states(&partition) == wanted, "at {length}");
        }
    }
    assert_eq!(restored(&bench).0, Found::Used, "it was written anew");
}
