//! Goal: a process that is killed at any point of a replay, or stopped, goes on as if nothing had happened, and an audit proves it afterwards.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tocsin_intake::SourceState;
use tocsin_log::{TopicPartition, read_through};
use tocsin_tests::child::{Tocsin, command};
use tocsin_tests::findings::{AlertIds, Answers};
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, singles, values};
use tocsin_tests::site::{ALPHA, Site, Time};
use tocsin_tests::traffic::{end, recorded};
use tocsin_tests::wait::until;
use tocsin_wire::state::{StateHeader, StateKey, StateRecord};
use tocsin_wire::topics;

const SEED: u64 = 4_711;
const EVENTS: usize = 6_000;
const PARTITIONS: u16 = 4;
/// What a process has read of its part of the recording before it is killed, or counted before it is stopped, at least.
const FIRST_EVENTS: usize = 200;
/// A process that will be killed commits seldom, so that the kill finds it behind.
const SELDOM: &str = "detector.commit_interval_ms=1000";

/// How a process is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Kill,
    Terminate,
}

/// The first leaves a checkpoint of what was counted, so that whoever is killed after it had something to begin from.
const ENDS: [End; 5] = [End::Terminate, End::Kill, End::Kill, End::Terminate, End::Kill];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_in_the_middle_it_finds_the_same() {
    let undisturbed = Box::pin(run(&Ground::Embedded, &[], 0)).await.unwrap();
    assert!(
        undisturbed.1.0.len() > 10,
        "a recording that rings: {:?}",
        undisturbed.1
    );
    on_each_log(async |ground| {
        let seed: u64 = rand::random();
        println!("ended on {ground:?}: seed {seed}");
        let disturbed = Box::pin(run(ground, &ENDS, seed)).await?;
        disturbed
            .1
            .must_equal(&undisturbed.1)
            .with_context(|| format!("seed {seed}"))?;
        assert_eq!(disturbed.0, undisturbed.0, "seed {seed}");
        Ok(())
    })
    .await;
}

/// Replays the recording in parts, each by a process that is ended in the middle of it. The last part is behind the last end.
async fn run(ground: &Ground, ends: &[End], seed: u64) -> Result<(Answers, AlertIds)> {
    let site = Site::new(ground, Time::Supplied, PARTITIONS).await?;
    let mut random = SmallRng::seed_from_u64(seed);
    let mut events = recorded(SEED, EVENTS);
    events.push(end().0);
    let part = events.len().div_ceil(ends.len() + 1);
    let mut parts = events.chunks(part);
    let program = Path::new(env!("CARGO_BIN_EXE_tocsin-under-test"));
    let mut kills_behind = 0;
    for way in ends {
        append(
            &site.log()?,
            singles(ALPHA, parts.next().context("a part for each end")?),
        )
        .await?;
        let (settings, counter): (&[&str], _) = match way {
            End::Kill => (&[SELDOM], "tocsin_intake_events_total"),
            End::Terminate => (&[], "tocsin_detector_sightings_total"),
        };
        let tocsin = Tocsin::start_with(program, &site, settings).await?;
        let point = random.random_range(FIRST_EVENTS..part * 4 / 5) as f64;
        let read = until("it has read so far", async || {
            let read = tocsin.api.metric(counter).await?;
            Ok(read.filter(|read| *read >= point))
        })
        .await
        .with_context(|| std::fs::read_to_string(site.directory().join("stderr")).unwrap_or_default())?;
        println!("{way:?} after {read} events");
        match way {
            End::Kill => {
                tocsin.kill().await?;
                // On Kafka an open transaction hides what stands there until it times out.
                if *ground == Ground::Embedded {
                    kills_behind += usize::from(Standing::of(&site)?.is_behind()?);
                }
            }
            End::Terminate => ensure!(tocsin.terminate().await?.success(), "it drains and ends with success"),
        }
    }
    ensure!(
        ends.is_empty() || *ground != Ground::Embedded || kills_behind > 0,
        "no kill found the detector behind"
    );
    append(&site.log()?, singles(ALPHA, parts.next().context("a last part")?)).await?;
    let tocsin = Tocsin::start(program, &site).await?;
    tocsin.api.ready().await?;
    let answers = Answers::at_end(&tocsin.api, &site).await?;
    ensure!(tocsin.terminate().await?.success(), "it drains and ends with success");
    let log = site.log()?;
    ensure!(values(&log, topics::REJECTS)?.is_empty(), "nothing was refused");
    let alerts = AlertIds::of(&log)?;
    drop(log);
    audited(program, &site, alerts.0.len(), !ends.is_empty()).await?;
    Ok((answers, alerts))
}

/// Audits the whole recording, and its last hour.
async fn audited(program: &Path, site: &Site, alerts: usize, ended_before: bool) -> Result<()> {
    let ends_at = "2026-03-15T16:00:00Z";
    for from in ["2026-03-15T11:00:00Z", "2026-03-15T14:30:00Z"] {
        let arguments = ["audit", "replay", "--json", "--from", from, "--to", ends_at];
        let output = command(program, site, &arguments).output().await?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the audit from {from} fails: {told} {said}");
        let found: serde_json::Value = serde_json::from_str(&told).context("it prints JSON")?;
        let partitions = found["partitions"].as_array().context("it tells of each partition")?;
        let began_at = partitions
            .iter()
            .filter_map(|partition| partition["began_at_offset"].as_u64());
        let copies = partitions
            .iter()
            .filter_map(|partition| partition["copies_compared"].as_u64());
        let audited = found["alerts"].as_array().map_or(0, Vec::len);
        let (whole, began_late) = (from < "2026-03-15T12", began_at.min() > Some(0));
        ensure!(
            found["holds"] == true && (!whole || audited == alerts),
            "{audited} of {alerts}: {found}"
        );
        // The first process was stopped in order long before, and left a copy of every group.
        ensure!(
            whole || !ended_before || began_late,
            "from {from} it begins with the log: {found}"
        );
        ensure!(copies.sum::<u64>() > 0, "it compared no counts: {found}");
    }
    Ok(())
}

/// What a process that was killed had written.
#[derive(Debug)]
struct Standing {
    /// How far intake had come, by its own state.
    intake: u64,
    /// Of each partition of the sightings: its header, and its end.
    partitions: Vec<(StateHeader, u64)>,
}

impl Standing {
    fn of(site: &Site) -> Result<Standing> {
        let log = site.log()?;
        let mut intake = 0;
        let place = TopicPartition::new(topics::INTAKE, 0);
        read_through(log.as_ref(), &place, .., &|| false, &mut |record| {
            let state = record.value.and_then(|value| SourceState::decode(value).ok());
            intake = state.map_or(intake, |state| intake.max(state.next_offset));
        })?;
        let mut partitions = Vec::new();
        for number in 0..u32::from(PARTITIONS) {
            let mut header = None;
            read_through(
                log.as_ref(),
                &TopicPartition::new(topics::STATE, number),
                ..,
                &|| false,
                &mut |record| {
                    if let Some(StateKey::Header { .. }) = record.key.and_then(StateKey::from_bytes) {
                        let state = record.value.and_then(|value| StateRecord::decode(value).ok());
                        header = state.and_then(|state| StateHeader::decode(&state.body).ok());
                    }
                },
            )?;
            let (_, end) = log.bounds(&TopicPartition::new(topics::SIGHTINGS, number))?;
            partitions.push((header.context("a header stands in each partition")?, end));
        }
        Ok(Standing { intake, partitions })
    }

    /// Whether the detector had sightings left to count. Something to begin from must have been there in any case.
    fn is_behind(&self) -> Result<bool> {
        println!("{self:?}");
        ensure!(self.intake > 0, "intake has a position: {self:?}");
        let mut headers = self.partitions.iter().map(|(header, _)| header);
        ensure!(
            headers.any(|header| header.checkpoint_offset > 0),
            "there is a checkpoint: {self:?}"
        );
        Ok(self.partitions.iter().any(|(header, end)| header.next_offset < *end))
    }
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
