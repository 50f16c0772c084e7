//! What lasts: readers that are slow and many, clocks that are wrong, and time itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rand::Rng as _;
use rand::rngs::SmallRng;
use tocsin_tests::traffic::url;
use tokio::task::JoinSet;

use crate::load::CONTENTS;
use crate::wait::pass;
use crate::world::{MEMBERS, World};

/// Readers of each kind.
const READERS: usize = 60;
const READ_FOR: Duration = Duration::from_secs(10);
/// Between two looks at the processes in a soak.
const SAMPLED_EVERY: Duration = Duration::from_secs(5);
/// Descriptors a process may have more at the end of a soak than in its middle: connections come and go.
const DESCRIPTORS_MORE_MAX: f64 = 16.0;

/// Many readers open the stream of alerts and never read, as many ask without a pause. Alarms and the others' answers go on.
pub async fn readers(world: &mut World<'_>) -> Result<()> {
    let api = world.member("query-1")?.api().await?;
    let key = world.site.keys.beta.clone();
    let began = Instant::now();
    let mut streams = Vec::new();
    for _ in 0..READERS {
        // A server may refuse one too many; it must not wait for any.
        streams.extend(api.stream(&key, None).await.ok());
    }
    let mut asking = JoinSet::new();
    for reader in 0..READERS {
        let (api, key) = (api.clone(), key.clone());
        asking.spawn(async move {
            let mut longest = Duration::ZERO;
            let mut answers = 0_u32;
            while began.elapsed() < READ_FOR {
                let asked = Instant::now();
                let answered = api
                    .look_up(&key, &url((reader + answers as usize) % CONTENTS))
                    .await
                    .is_ok();
                answers += u32::from(answered);
                longest = longest.max(asked.elapsed());
            }
            (answers, longest)
        });
    }
    let all = asking.join_all().await;
    let answers: u32 = all.iter().map(|(answers, _)| answers).sum();
    let longest = all.iter().map(|(_, longest)| *longest).max().unwrap_or_default();
    if answers == 0 {
        world.violations.push("readers: nobody was answered".to_owned());
    }
    world.figures.insert("streams_held_level", streams.len() as f64);
    world.figures.insert("answers_to_readers", f64::from(answers));
    world.figures.insert("answer_seconds", longest.as_secs_f64());
    let bytes = world.member("query-1")?.resident_bytes()? as f64;
    world.figures.insert("query_resident_bytes", bytes);
    world.heals().await.context("with slow readers")?;
    world.note_longest("alerts_beside_readers_seconds", world.longest_since(began));
    drop(streams);
    Ok(())
}

/// Every process is restarted with a clock that is wrong by up to an hour; two of them by an hour exactly, in both directions.
pub async fn clocks(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    let shim = world
        .place
        .shim
        .context("the shim for wrong clocks was not built: there is no C compiler")?;
    for (place, (role, name)) in MEMBERS.into_iter().enumerate() {
        let seconds = match place {
            2 => 3_600,
            3 => -3_600,
            _ => random.random_range(-3_600..=3_600),
        };
        println!("  {name} is {seconds} s ahead");
        world.member(name)?.terminate().await?;
        let mut plan = world.plan(role, name);
        plan.environment
            .push(("LD_PRELOAD".to_owned(), shim.display().to_string()));
        plan.environment
            .push(("TOCSIN_FAULTS_CLOCK_SECONDS".to_owned(), seconds.to_string()));
        world.start(plan).await?;
    }
    world.heals().await?;
    let name = if random.random_bool(0.5) {
        "detector-1"
    } else {
        "detector-2"
    };
    world.member(name)?.kill().await?;
    let plan = world.members.remove(name).context("it was there")?.plan;
    world.start(plan).await?;
    world.heals().await?;
    Ok(())
}

/// One process at one time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    minutes: f64,
    bytes: f64,
    descriptors: f64,
}

/// Nothing happens for a long time, and nothing must grow: memory, descriptors, lag. The slopes are those of the second half.
pub async fn soak(world: &mut World<'_>) -> Result<()> {
    let lasts = world.place.soak;
    let began = Instant::now();
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); MEMBERS.len()];
    let mut lags = Vec::new();
    let mut apis = Vec::new();
    for name in ["intake-1", "intake-2", "detector-1", "detector-2"] {
        apis.push(world.member(name)?.api().await?);
    }
    while began.elapsed() < lasts {
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        for (samples, (_, name)) in samples.iter_mut().zip(MEMBERS) {
            let process = world.member(name)?;
            samples.push(Sample {
                minutes,
                bytes: process.resident_bytes()? as f64,
                descriptors: process.descriptors()? as f64,
            });
        }
        let mut lag = 0.0;
        for api in &apis {
            for metric in ["tocsin_intake_lag_offsets", "tocsin_detector_lag_offsets"] {
                lag += api.metric(metric).await?.unwrap_or(0.0);
            }
        }
        lags.push((minutes, lag));
        pass(SAMPLED_EVERY.min(lasts / 8)).await;
    }
    let (mut bytes, mut descriptors, mut bytes_max) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (samples, (_, name)) in samples.iter().zip(MEMBERS) {
        let half = &samples[samples.len() / 2..];
        let of = |value: fn(&Sample) -> f64| -> Vec<(f64, f64)> {
            half.iter().map(|sample| (sample.minutes, value(sample))).collect()
        };
        bytes = bytes.max(slope(&of(|sample| sample.bytes)));
        descriptors = descriptors.max(slope(&of(|sample| sample.descriptors)));
        bytes_max = half.iter().map(|sample| sample.bytes).fold(bytes_max, f64::max);
        let more =
            half.last().map_or(0.0, |last| last.descriptors) - half.first().map_or(0.0, |first| first.descriptors);
        if more > DESCRIPTORS_MORE_MAX {
            world
                .violations
                .push(format!("soak: {name} has {more} descriptors more than in the middle"));
        }
    }
    world.figures.insert("memory_bytes_per_minute", bytes);
    world.figures.insert("descriptors_per_minute", descriptors);
    world
        .figures
        .insert("lag_offsets_per_minute", slope(&lags[lags.len() / 2..]));
    world.figures.insert("resident_bytes", bytes_max);
    world.figures.insert("soak_seconds", lasts.as_secs_f64());
    world.heals().await?;
    Ok(())
}

/// Of the line that fits best by least squares; 0 of fewer than two points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / count;
    let (middle, level) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|(at, _)| (at - middle).powi(2)).sum();
    let together: f64 = points.iter().map(|(at, value)| (at - middle) * (value - level)).sum();
    if spread > 0.0 { together / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    //! Goal: a slope is that of the line.
    use super::slope;

    #[test]
    fn a_line_has_its_slope() {
        assert_eq!(slope(&[(0.0, 5.0), (1.0, 8.0), (2.0, 11.0)]), 3.0);
        assert_eq!(slope(&[(0.0, 5.0), (1.0, 5.0)]), 0.0);
        assert_eq!(slope(&[(1.0, 5.0)]), 0.0);
        assert_eq!(slope(&[]), 0.0);
    }
}
