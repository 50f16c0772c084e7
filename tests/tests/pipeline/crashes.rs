//! Goal: a process that is killed at any point of a replay, or stopped, goes on as if nothing had happened.

use std::path::Path;

use anyhow::{Result, ensure};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tocsin_tests::child::{Tocsin, command};
use tocsin_tests::findings::{AlertIds, Answers};
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, singles, values};
use tocsin_tests::site::{ALPHA, Site, Time};
use tocsin_tests::traffic::{end, recorded};
use tocsin_tests::wait::until;
use tocsin_wire::topics;

const SEED: u64 = 4_711;
const EVENTS: usize = 6_000;
/// Read at least this much before it ends.
const FIRST_EVENTS: f64 = 200.0;

/// How a process is ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Kill,
    Terminate,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_it_finds_the_same() {
    on_each_log(async |ground| check(ground, End::Kill).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_in_the_middle_it_finds_the_same() {
    on_each_log(async |ground| check(ground, End::Terminate).await).await;
}

async fn check(ground: &Ground, way: End) -> Result<()> {
    let undisturbed = Box::pin(run(ground, way, &[])).await?;
    ensure!(
        undisturbed.1.0.len() > 10,
        "a recording that rings: {:?}",
        undisturbed.1
    );
    let seed: u64 = rand::random();
    println!("{way:?} on {ground:?}: seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let points: Vec<f64> = (0..3)
        .map(|_| random.random_range(FIRST_EVENTS..EVENTS as f64 * 0.8).round())
        .collect();
    let disturbed = Box::pin(run(ground, way, &points)).await?;
    assert_eq!(disturbed.1, undisturbed.1, "ended at {points:?}");
    assert_eq!(disturbed.0, undisturbed.0, "ended at {points:?}");
    Ok(())
}

/// Replays the recording, ending the process each time it has read so many events since it was started.
async fn run(ground: &Ground, way: End, points: &[f64]) -> Result<(Answers, AlertIds)> {
    let site = Site::new(ground, Time::Supplied, 4).await?;
    let mut events = recorded(SEED, EVENTS);
    events.push(end().0);
    let log = site.log()?;
    append(&log, singles(ALPHA, &events)).await?;
    drop(log);
    let program = Path::new(env!("CARGO_BIN_EXE_tocsin-under-test"));
    for point in points {
        let tocsin = Tocsin::start(program, &site).await?;
        let read = until("it has read so far", async || {
            let read = tocsin.api.metric("tocsin_intake_events_total").await?.unwrap_or(0.0);
            // Less than that may be left since the last end.
            let nothing_left = tocsin.api.metric("tocsin_intake_lag_offsets").await? == Some(0.0);
            Ok((read >= *point || nothing_left).then_some(read))
        })
        .await?;
        println!("{way:?} after {read} events");
        match way {
            End::Kill => tocsin.kill().await?,
            End::Terminate => ensure!(tocsin.terminate().await?.success(), "it drains and ends with success"),
        }
    }
    let tocsin = Tocsin::start(program, &site).await?;
    tocsin.api.ready().await?;
    let answers = Answers::at_end(&tocsin.api, &site).await?;
    ensure!(tocsin.terminate().await?.success(), "it drains and ends with success");
    let log = site.log()?;
    ensure!(values(&log, topics::REJECTS)?.is_empty(), "nothing was refused");
    Ok((answers, AlertIds::of(&log)?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_one_data_directory_is_refused() {
    let program = Path::new(env!("CARGO_BIN_EXE_tocsin-under-test"));
    let site = Site::new(&Ground::Embedded, Time::Live, 4).await.unwrap();
    let first = Tocsin::start(program, &site).await.unwrap();
    let second = command(program, &site, &["up"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success(), "{said}");
    assert!(said.contains("is in use by another process"), "{said}");
    first.api.ready().await.unwrap();
    assert!(first.terminate().await.unwrap().success());
}
