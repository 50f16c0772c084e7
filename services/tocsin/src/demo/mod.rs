//! The demo: a whole deployment in a temporary directory, a labelled crisis inside ordinary traffic, and what a moderator sees of it.
//!
//! Everything shown comes through the HTTP API, but for what is published: that the player counts itself. The labels of the crisis are
//! known to the demo alone; they decide at the end whether the right alarm rang.

mod answers;
mod moderator;
mod player;
mod reader;
mod scene;
mod screen;
mod stage;
mod stream;
mod verdict;
mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tocsin_loadtest::scenario::DemoPlan;
use tocsin_runtime::Shutdown;

use moderator::Moderator;
use player::Player;
use scene::Scene;

pub use reader::Reader;
pub use screen::Display;
pub use stage::Stage;
pub use verdict::Verdict;

/// What to play, and how to show it.
#[derive(Clone, Copy, Debug)]
pub struct DemoOptions {
    /// How it is shown.
    pub display: Display,
    /// How long it takes: the plan is played faster or slower to fit. By default as fast as it is written.
    pub lasts: Option<Duration>,
    /// Which crisis.
    pub seed: u64,
}

/// How the demo ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was played to its end.
    Played(Verdict),
    /// It was asked to stop.
    Interrupted,
}

/// The crisis that is played by default.
pub const SEED: u64 = 1;
/// How often figures are asked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long after the last event the alarm, the queue and the decision may take.
const SETTLE_MAX: Duration = Duration::from_secs(15);

/// Plays the demo. Its data is removed, however it ends.
///
/// # Errors
/// Something of the deployment does not start, answer, or stop.
pub async fn run(options: DemoOptions, shutdown: Shutdown) -> Result<Ending> {
    let began = Instant::now();
    let mut stage = Stage::start(options.seed, shutdown.clone()).await?;
    let ending = Box::pin(play(options, &stage, began, &shutdown)).await;
    stage.stop().await?;
    ending
}

async fn play(options: DemoOptions, stage: &Stage, began: Instant, shutdown: &Shutdown) -> Result<Ending> {
    let plan = DemoPlan::new(options.seed, crate::replay::now());
    let player = Arc::new(Player::new(&plan, options.lasts, stage)?);
    let mut scene = Scene::new(Arc::clone(&player), began, options.display);
    scene.say(words::opening(&stage.url, &player));
    scene.say(words::look_further(&stage.url, &stage.coordinators_header));
    let reader = stage.reader()?;
    let mut moderator = Moderator::new(player.scaled(moderator::LOOKS_FOR));
    let mut alerts = stream::follow(reader.clone());
    let playing = Arc::clone(&player);
    let mut playing = tokio::spawn(async move { playing.play().await });
    let mut played_at: Option<Instant> = None;
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);

    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => {
                playing.abort();
                scene.close();
                scene.say("Stopped before its end.".to_owned());
                return Ok(Ending::Interrupted);
            }
            alert = alerts.recv() => scene.ring(alert.context("the server ended the stream of alerts")??),
            result = &mut playing, if played_at.is_none() => {
                result.context("the player ends by itself")??;
                played_at = Some(Instant::now());
                scene.say(words::played(&player));
            }
            _ = looks.tick() => {
                scene.look(&reader).await?;
                moderator.act(&mut scene, &reader, played_at).await?;
                if played_at.is_some_and(|at| moderator.has_finished() || at.elapsed() > SETTLE_MAX) {
                    break;
                }
            }
        }
        scene.draw();
    }
    scene.look(&reader).await?;
    scene.close();
    let verdict = Verdict::of(&scene, &moderator);
    scene.say(words::verdict(&verdict, &scene));
    Ok(Ending::Played(verdict))
}

#[cfg(test)]
mod tests;
