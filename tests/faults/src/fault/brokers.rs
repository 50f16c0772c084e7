//! Faults of the brokers.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rand::Rng as _;
use rand::rngs::SmallRng;
use tocsin_wire::topics;

use crate::signal::Signal;
use crate::wait::pass;
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
