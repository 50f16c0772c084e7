//! Faults of the brokers.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use tocsin_wire::topics;

use crate::brokers::Coordinated;
use crate::signal::Signal;
use crate::wait::{LONG, pass, until_within};
use crate::world::World;

/// The broker that leads the alerts is killed, or another, and comes back.
pub async fn one(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    pass(Duration::from_millis(random.random_range(0..1_500))).await;
    let number = match random.random_bool(0.5) {
        true => world.brokers.leader(topics::ALERTS, 0)?,
        false => random.random_range(0..world.brokers.count()),
    };
    println!("  kill broker {}", number + 1);
    let killed_at = Instant::now();
    world.brokers.end(number, Signal::Kill).await?;
    world.heals().await.context("with two brokers of three")?;
    world.note_longest("broker_killed_seconds", world.longest_since(killed_at));
    world.brokers.begin(number)?;
    world.brokers.whole().await?;
    world.heals().await.context("with three brokers again")?;
    Ok(())
}

/// Two brokers are killed one shortly after the other: what is acknowledged stands, and the path goes on once they are back.
pub async fn two(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    let first = random.random_range(0..world.brokers.count());
    let second = (first + random.random_range(1..world.brokers.count())) % world.brokers.count();
    println!("  kill brokers {} and {}", first + 1, second + 1);
    world.brokers.end(first, Signal::Kill).await?;
    pass(Duration::from_millis(random.random_range(0..4_000))).await;
    world.brokers.end(second, Signal::Kill).await?;
    pass(Duration::from_secs(random.random_range(2..8))).await;
    for number in [first, second] {
        world.brokers.begin(number)?;
    }
    world.brokers.whole().await?;
    world.heals().await.context("with three brokers again")?;
    Ok(())
}

/// The coordinator of the detectors' group moves while they work, and that of a detector's transactions, in any order: its broker is killed, or is
/// asked to stop and hands over first. Each comes back before the next moves.
pub async fn coordinator(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    let detector = *["detector-1", "detector-2"].choose(random).context("there are two")?;
    let mut moves = [
        Coordinated::Group(topics::SIGHTINGS_GROUP.to_owned()),
        Coordinated::Transactions(format!("{detector}-detector")),
    ];
    moves.shuffle(random);
    for of in moves {
        pass(Duration::from_millis(random.random_range(0..1_500))).await;
        let by = match random.random_bool(0.5) {
            true => Signal::Kill,
            false => Signal::Terminate,
        };
        let before = world.brokers.coordinator(&of)?;
        println!("  {by:?} broker {}, the coordinator of {of:?}", before + 1);
        let moved_at = Instant::now();
        world.brokers.end(before, by).await?;
        until_within(LONG, "another broker is the coordinator", async || {
            // Until there is one nobody can tell.
            let now = world.brokers.coordinator(&of).ok();
            Ok(now.filter(|now| *now != before))
        })
        .await?;
        world.note_longest("coordinator_elected_seconds", moved_at.elapsed());
        *world.figures.entry("coordinators_moved").or_insert(0.0) += 1.0;
        world.heals().await.context("with another coordinator")?;
        world.note_longest("coordinator_moved_seconds", world.longest_since(moved_at));
        world.brokers.begin(before)?;
        world.brokers.whole().await?;
        world.heals().await.context("with three brokers again")?;
    }
    Ok(())
}
