//! Faults of what lies between a process and the broker.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;

use crate::proxy::{Act, Cut, Network, Proxy, Rule, call};
use crate::wait::pass;
use crate::world::World;

/// How long a member's silence is taken for its end; see the settings of the Kafka clients.
const SESSION: Duration = Duration::from_secs(6);
/// What a process that has to end takes to do so.
const SHORTLY: Duration = Duration::from_secs(2);
/// The calls of a transaction.
const TRANSACTION: [i16; 4] = [
    call::ADD_PARTITIONS,
    call::ADD_OFFSETS,
    call::COMMIT_OFFSETS,
    call::END_TRANSACTION,
];

/// Who has a network of its own here.
const ON_THE_WAY: [&str; 4] = ["detector-1", "detector-2", "intake-1", "intake-2"];

fn proxy<'a>(world: &'a World<'_>) -> Result<&'a Proxy> {
    world.proxy.as_ref().context("a proxy stands before the broker")
}

/// Calls of both detectors' transactions arrive late, twice, or when their connection is gone: past the next transaction too.
pub async fn transaction_calls(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    let acts = [
        Act::Twice,
        Act::Delay(Duration::from_millis(random.random_range(200..1_500))),
        Act::Orphan(Duration::from_millis(random.random_range(1..200))),
        Act::Orphan(Duration::from_millis(random.random_range(1_000..8_000))),
    ];
    for act in acts {
        let calls = match random.random_bool(0.5) {
            true => TRANSACTION.to_vec(),
            false => vec![*TRANSACTION.choose(random).context("there are calls")?],
        };
        let every = match act {
            Act::Twice => 1,
            Act::Delay(_) | Act::Hold => random.random_range(2..5),
            Act::Orphan(_) => random.random_range(10..40),
        };
        println!("  {act:?} of calls {calls:?}, each {every}.");
        let rule = |client: &str| Rule {
            client: client.to_owned(),
            calls: calls.clone(),
            act,
            every,
        };
        let before = proxy(world)?.touched();
        proxy(world)?.rule(vec![rule("detector-1"), rule("detector-2")]);
        pass(Duration::from_secs(5)).await;
        proxy(world)?.mend();
        *world.figures.entry("calls_touched").or_insert(0.0) += (proxy(world)?.touched() - before) as f64;
        // What has lost its connection arrives yet.
        let arrives_in = if let Act::Orphan(time) = act {
            time
        } else {
            Duration::ZERO
        };
        pass(arrives_in + SHORTLY).await;
        world.heals().await?;
    }
    Ok(())
}

/// Records of a transaction are kept on their way while the group takes the member for dead, and arrive when another has restored its partitions.
pub async fn late_records(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    let name = *["detector-1", "detector-2"].choose(random).context("there are two")?;
    let rule = |calls: &[i16]| Rule {
        client: name.to_owned(),
        calls: calls.to_vec(),
        act: Act::Hold,
        every: 1,
    };
    println!("  keep the heartbeats of {name}, then its records");
    proxy(world)?.rule(vec![rule(&[call::HEARTBEAT])]);
    // The last transaction before the session's end: its positions are taken, for the member is one still.
    pass(SESSION - Duration::from_millis(random.random_range(600..1_400))).await;
    proxy(world)?.rule(vec![rule(&[call::HEARTBEAT]), rule(&[call::PRODUCE])]);
    // Another restores the partitions meanwhile, within the transaction's time-out of six seconds.
    pass(Duration::from_millis(random.random_range(3_500..4_500))).await;
    proxy(world)?.rule(vec![rule(&[call::HEARTBEAT])]);
    pass(Duration::from_secs(1)).await;
    proxy(world)?.mend();
    // Until the member has heard that it is out, and joined again or ended.
    pass(SESSION * 3).await;
    world.heals().await?;
    Ok(())
}

/// The network of one process does not carry one way, the other, or both, with all connections open: for less or more than a session.
pub async fn cut(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    for cut in [Cut::Requests, Cut::Answers, Cut::Both] {
        let name = *ON_THE_WAY.choose(random).context("there are some")?;
        let lasts = Duration::from_millis(random.random_range(2_000..20_000));
        let breaks = random.random_bool(0.5);
        println!(
            "  {name}: {cut:?} cut for {} ms, broken afterwards: {breaks}",
            lasts.as_millis()
        );
        let network = Network {
            cut: Some(cut),
            ..Network::default()
        };
        let cut_at = Instant::now();
        proxy(world)?.network(name, network);
        pass(lasts).await;
        if breaks {
            // What was under way is lost.
            proxy(world)?.break_all();
        }
        proxy(world)?.mend();
        pass(SHORTLY).await;
        world.heals().await?;
        world.note_longest("cut_seconds", world.longest_since(cut_at));
    }
    Ok(())
}

/// The network of some processes is slow: late by up to two seconds, or as wide as a telephone line.
pub async fn slow(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    let late = |random: &mut SmallRng| Network {
        latency: Duration::from_millis(random.random_range(50..500)),
        jitter: Duration::from_millis(random.random_range(0..1_500)),
        ..Network::default()
    };
    let narrow = Network {
        bytes_per_second: 64_000 / 8,
        ..Network::default()
    };
    for network in [late(random), narrow] {
        let name = *ON_THE_WAY.choose(random).context("there are some")?;
        println!("  {name}: {network:?}");
        proxy(world)?.network(name, network);
        pass(Duration::from_secs(12)).await;
        proxy(world)?.mend();
        pass(SHORTLY).await;
        world.heals().await?;
    }
    Ok(())
}
