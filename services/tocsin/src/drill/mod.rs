//! A drill: a scenario of the generator, played through the real roles in a deployment of its own, with the teams that registered for drills.
//!
//! What it does not do: of real things it reads from the store who takes part, which brings an older store up to date as any command does, and nothing else;
//! it puts no mark on any real record, and decides nothing for anybody.
//!
//! Invariants:
//! * All that a drill writes lies in its namespace: topics, groups and instances under `drill.<id>.`, a schema `drill_<id>` or a file of its own, a directory
//!   of its own, a deployment key and API keys of its own. The log's namespace and the store's mark enforce it, not the care of those above.
//! * Nobody is told of a drill but at endpoints that are registered for drills.
//! * Everything that leaves it says that it is of a drill.
//! * One drill at a time of a data directory; it publishes at most [`play::EVENTS_PER_SECOND_MAX`] events a second.
//! * What is scored is what was truly published, and what the drill's store says that people did: [`score::scorecard`] is a pure function of both.
//!
//! Start reading at [`run`], then [`Drill`].

mod cast;
mod home;
mod page;
mod play;
mod score;
mod text;
mod truth;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tocsin_loadtest::scenario::{DrillScenario, ScenarioConfig};
use tocsin_model::{DrillId, Timestamp};
use tocsin_runtime::Shutdown;
use tocsin_store::Store;

use crate::config::{Config, LogKind};
use crate::replay::now;
use crate::serve::{Process, Role, deployment_key, open_log, open_store};

pub use cast::{Cast, Keys};
pub use home::{Home, Record, Standing, State};
pub use play::EVENTS_PER_SECOND_MAX;
pub use score::{CrisisScore, IncidentScore, Moment, ParticipantScore, Scorecard, TeamScore};
pub use text::{scorecard as scorecard_text, status as status_text};
pub use truth::{CrisisTruth, Truth};

use home::Held;
use play::Player;

/// What to play, and how.
#[derive(Clone, Debug)]
pub struct DrillOptions {
    /// What.
    pub scenario: DrillScenario,
    /// Which crisis and which traffic.
    pub seed: u64,
    /// Seconds of the scenario that pass in a second.
    pub speed: f64,
    /// Where the drill's API listens.
    pub listen: String,
    /// How long the drill goes on after the last event, for people to finish.
    pub goes_on: Duration,
    /// What becomes of its namespace when it was scored.
    pub then: Then,
}

/// What becomes of the namespace of a drill that ended: its topics, its schema, its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is removed.
    Remove,
    /// It stays to be looked at, until somebody removes it.
    Keep,
}

/// The speeds at which a scenario may be played.
pub const SPEEDS: std::ops::RangeInclusive<f64> = 0.1..=60.0;
/// A drill is ready within this time.
const READY_MAX: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often it is written down how far a drill is, and looked whether it is to end.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// Partitions of a drill's sightings and state, whatever the deployment has: it is small.
const PARTITIONS: u16 = 4;

/// A drill at work.
pub struct Drill {
    /// Which.
    pub id: DrillId,
    /// Where its API answers.
    pub url: String,
    /// The keys that are good in it.
    pub keys: Keys,
    /// What its log holds; nothing of any other.
    pub log: tocsin_log::SharedLog,
    home: Home,
    config: Config,
    process: Option<Process>,
    player: Arc<Player>,
    record: Record,
    goes_on: Duration,
    /// Lets nobody else begin one, or remove this one, meanwhile.
    held: Option<Held>,
}

/// Plays a drill from its beginning to its end: until it was asked to stop, or its time is over. Says what happens, a line each, to `say`.
///
/// # Errors
/// It cannot start, or a role of it failed.
pub async fn run(
    real: &Config,
    (id, options): (DrillId, &DrillOptions),
    shutdown: Shutdown,
    say: impl Fn(&str),
) -> Result<Scorecard> {
    let mut drill = Box::pin(Drill::start(real, id, options)).await?;
    for line in text::opening(&drill.record, &drill.keys, &drill.home) {
        say(&line);
    }
    let played = Box::pin(drill.play_through(&shutdown, &say)).await;
    let home = drill.home.clone();
    let (scored, held) = Box::pin(drill.end()).await;
    let is_removed = options.then == Then::Remove && !home.is_asked_to_keep();
    // What went wrong is to be looked at.
    let removed = match (&played, &scored) {
        (Ok(()), Ok(_)) if is_removed => remove(real, &home).await.map(|()| true),
        _ => Ok(false),
    };
    drop(held);
    match &removed {
        Ok(true) => say(&text::removed(home.id)),
        Ok(false) => say(&text::kept(home.id)),
        Err(_) => {}
    }
    played?;
    let scored = scored?;
    removed.with_context(|| format!("the drill is scored, and not removed: {}", text::kept(home.id)))?;
    Ok(scored)
}

impl Drill {
    /// Makes the namespace, copies into it who takes part, and starts all roles in this process.
    ///
    /// # Errors
    /// Another drill is at work, or something of it cannot start. What was made until then is removed again, or the error says which drill it is of.
    pub async fn start(real: &Config, id: DrillId, options: &DrillOptions) -> Result<Drill> {
        anyhow::ensure!(real.drill.is_none(), "a drill has no drills");
        anyhow::ensure!(
            SPEEDS.contains(&options.speed),
            "--speed is {} to {}",
            SPEEDS.start(),
            SPEEDS.end()
        );
        let held = home::hold(real)?;
        let home = Home::make(real, id)?;
        let started = Box::pin(Drill::start_at(real, options, &home, held)).await;
        let Err(error) = started else { return started };
        // What cannot be removed now is found again by its directory.
        match remove_namespace(real, home.id).await {
            Ok(()) => home.remove_all().map(|()| Err(error))?,
            Err(left) => Err(error.context(format!(
                "what was made of it is left ({left:#}): tocsin drill stop {} removes it",
                home.id
            ))),
        }
    }

    async fn start_at(real: &Config, options: &DrillOptions, home: &Home, held: Held) -> Result<Drill> {
        let running = home.hold()?;
        let scenario = options.scenario.config(options.seed, now());
        let config = config_of(real, home, &options.listen);
        let invited = {
            let store = open_store(real).await.context("open the store of the deployment")?;
            let invited = cast::invited(&store).await;
            store.close().await;
            invited?
        };
        let url = crate::serve::prepared_store_url(&config)?;
        let store = Store::make_drill(&url, home.id, options.scenario.name()).await?;
        let cast = cast::copy(&store, &invited, &scenario).await;
        store.close().await;
        let cast = cast?;

        let (key, _) = deployment_key(&config)?;
        let shutdown = Shutdown::new();
        let started = Box::pin(Process::start(config.clone(), key, &Role::ALL, shutdown.clone())).await;
        // Roles that run already when a later one does not start end too.
        let mut process = started.inspect_err(|_| shutdown.request())?;
        let begun = async {
            let address = process.listen().await?;
            let url = format!("http://{address}");
            until_ready(&url).await?;
            let keys = cast.keys(home.id, &url);
            home.write_private(home::KEYS_FILE, &keys.to_toml()?)?;
            let record = Record {
                id: home.id.to_string(),
                scenario: options.scenario.name().to_owned(),
                seed: options.seed,
                speed: options.speed,
                state: State::Ready,
                url: url.clone(),
                started_at_ms: now().0,
                ended_at_ms: None,
                teams: cast.teams(),
                progress: truth::Progress::default(),
            };
            home.write_record(&record)?;
            let player = Player::new(scenario, options.speed, (&url, &cast))?;
            Ok::<_, anyhow::Error>((player, keys, record))
        };
        let (player, keys, record) = match begun.await {
            Ok(begun) => begun,
            Err(error) => {
                process.roles.shutdown().request();
                process.join().await.ok();
                return Err(error);
            }
        };
        Ok(Drill {
            id: home.id,
            url: record.url.clone(),
            keys,
            log: process.log.clone(),
            home: home.clone(),
            config,
            process: Some(process),
            player: Arc::new(player),
            record,
            goes_on: options.goes_on,
            held: Some(held.with(running)),
        })
    }

    /// Publishes the whole scenario.
    ///
    /// # Errors
    /// The drill's gateway does not take it.
    pub async fn play(&mut self) -> Result<()> {
        self.note(State::Playing)?;
        Arc::clone(&self.player).play().await?;
        self.note(State::Played)
    }

    async fn play_through(&mut self, shutdown: &Shutdown, say: &impl Fn(&str)) -> Result<()> {
        self.note(State::Playing)?;
        let player = Arc::clone(&self.player);
        let mut playing = tokio::spawn(async move { player.play().await });
        let mut played_at: Option<Instant> = None;
        let roles = self.process.as_ref().context("a drill runs until it is stopped")?;
        let roles = roles.roles.shutdown().clone();
        let mut notes = tokio::time::interval(NOTE_EVERY);
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => break,
                () = roles.requested() => break,
                played = &mut playing, if played_at.is_none() => {
                    played.context("the player ends by itself")??;
                    played_at = Some(Instant::now());
                    self.note(State::Played)?;
                    say(&text::played(&self.record, self.goes_on));
                }
                _ = notes.tick() => {
                    let state = if played_at.is_some() { State::Played } else { State::Playing };
                    self.note(state)?;
                    if self.home.is_asked_to_stop() || played_at.is_some_and(|at| at.elapsed() >= self.goes_on) {
                        break;
                    }
                }
            }
        }
        playing.abort();
        Ok(())
    }

    /// Ends all roles, and scores what happened. The namespace stays until it is deleted.
    ///
    /// # Errors
    /// A role failed, or what happened cannot be read.
    pub async fn stop(self) -> Result<Scorecard> {
        self.end().await.0
    }

    /// The same; nobody else takes the drill for one that has ended as long as what comes with the scorecard is held.
    async fn end(mut self) -> (Result<Scorecard>, Option<Held>) {
        let scored = async {
            let process = self.process.take().context("a drill is stopped once")?;
            process.roles.shutdown().request();
            let joined = process.join().await;
            self.record.ended_at_ms = Some(now().0);
            self.note(State::Ended)?;
            let scored = score_now(&self.config, &self.home).await;
            joined?;
            scored
        };
        let scored = scored.await;
        (scored, self.held.take())
    }

    /// Where its files are.
    pub fn home(&self) -> &Home {
        &self.home
    }

    fn note(&mut self, state: State) -> Result<()> {
        self.record.state = state;
        let truth = self.player.truth();
        self.record.progress = truth.progress.clone();
        self.home.write_truth(&truth)?;
        self.home.write_record(&self.record)
    }
}

impl Drop for Drill {
    /// Whoever drops a drill does not wait for it, but its roles end.
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            process.roles.shutdown().request();
        }
    }
}

/// Scores a drill as it stands, whether it goes on or has ended, and keeps the scorecard beside it.
///
/// # Errors
/// Its store cannot be read.
pub async fn score(real: &Config, home: &Home) -> Result<Scorecard> {
    match home.scorecard()? {
        // Once the namespace is deleted the scorecard is what is left.
        Some(kept) if home.is_deleted() => Ok(kept),
        _ => score_now(&config_of(real, home, "127.0.0.1:0"), home).await,
    }
}

async fn score_now(config: &Config, home: &Home) -> Result<Scorecard> {
    let record = home.record()?;
    let truth = home.truth()?;
    let store = open_store(config).await.context("open the store of the drill")?;
    let read = async {
        let reactions = store.reactions().await?;
        let parties = store.list_parties().await?;
        Ok::<_, tocsin_store::StoreError>((reactions, parties))
    };
    let read = read.await;
    store.close().await;
    let (reactions, parties) = read?;
    let names: BTreeMap<_, _> = parties.into_iter().map(|party| (party.id, party.name)).collect();
    let scorecard = score::scorecard(&record, &truth, &reactions, &names);
    home.write_scorecard(&scorecard)?;
    Ok(scorecard)
}

/// Asks a drill to end, waits until it has, and says how it was scored. One whose process died is scored as it stands.
///
/// # Errors
/// It does not end in time, or cannot be scored.
pub async fn stop(real: &Config, home: &Home, then: Then) -> Result<Scorecard> {
    home.ask_to_stop(then)?;
    let began = Instant::now();
    while home.is_running()? {
        if began.elapsed() > crate::serve::DRAIN_MAX + READY_MAX {
            bail!("the drill {} does not end", home.id);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let mut record = home.record()?;
    if record.state != State::Ended {
        record.state = State::Ended;
        record.ended_at_ms = Some(now().0);
        home.write_record(&record)?;
    }
    score(real, home).await
}

/// Removes the namespace of a drill that has ended: its topics, its schema, its files but for record, truth and scorecard.
///
/// # Errors
/// It goes on, or something cannot be removed; then this may be asked again.
pub async fn delete(real: &Config, home: &Home) -> Result<()> {
    anyhow::ensure!(!home.is_running()?, "the drill {} goes on: stop it first", home.id);
    remove(real, home).await
}

async fn remove(real: &Config, home: &Home) -> Result<()> {
    remove_namespace(real, home.id).await?;
    home.remove_data()
}

async fn remove_namespace(real: &Config, id: DrillId) -> Result<()> {
    let home = Home::of(real, id);
    let config = config_of(real, &home, "127.0.0.1:0");
    // The embedded log is in the drill's own directory, and goes with it.
    if config.log.kind == LogKind::Kafka {
        let log = open_log(&config).context("open the log")?;
        let removed = tokio::task::spawn_blocking(move || {
            let topics = log.topics()?;
            let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
            log.delete_topics(&names)
        });
        removed.await?.context("delete the topics of the drill")?;
    }
    Store::remove_drill(&config.store_url(), id)
        .await
        .context("remove the schema of the drill")
}

/// The configuration of a drill: that of the deployment, moved into a namespace, with nothing that leads out of it.
pub fn config_of(real: &Config, home: &Home, listen: &str) -> Config {
    let mut config = real.clone();
    config.drill = Some(home.id);
    config.log.data_dir = home.data();
    // It stands in the names of groups, which begin with what the namespace begins with.
    config.log.instance = format!("drill.{}", home.id);
    if !real.store.url.starts_with("postgres") {
        config.store.url = String::new();
    }
    // One of its own is made in its directory: ids of contents are others than the real ones.
    config.keys.deployment_key = String::new();
    config.topics.sightings_partitions = Some(PARTITIONS);
    config.http.listen = listen.to_owned();
    config.intake.osprey_mappings.clear();
    config.intake.time_source = tocsin_intake::TimeSource::Log;
    config.dispatcher.follow.clear();
    // The provider knows the real address alone: in a drill people have keys.
    config.dispatcher.sign_in = tocsin_dispatcher::SignInConfig::default();
    config.dispatcher.mail = tocsin_dispatcher::MailConfig::default();
    // In the real one copies would be taken for what came back from a backup, and removed.
    config.dispatcher.sealed_store = home.data().join("sealed").display().to_string();
    // The certificates are of the real address, and of real machines.
    config.http.tls = tocsin_runtime::tls::TlsConfig::default();
    config.detector.cache_directory = PathBuf::new();
    config
}

async fn until_ready(url: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let answer = reqwest::get(format!("{url}/readyz"))
            .await
            .context("ask whether it is ready")?;
        if answer.status().as_u16() == 200 {
            return Ok(());
        }
        if began.elapsed() > READY_MAX {
            bail!("the drill is not ready: {}", answer.text().await.unwrap_or_default());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How long a scenario takes at a speed.
fn lasts(scenario: &ScenarioConfig, speed: f64) -> Duration {
    Duration::from_millis(scenario.duration.0.unsigned_abs()).div_f64(speed)
}

/// What is asked by a name alone: the latest drill of a deployment, or the one that is named.
///
/// # Errors
/// There is none.
pub fn find(real: &Config, id: Option<DrillId>) -> Result<Home> {
    let homes = Home::all(real)?;
    match id {
        Some(id) => homes
            .into_iter()
            .find(|home| home.id == id)
            .with_context(|| format!("there is no drill {id}")),
        None => {
            let started = |home: &Home| home.record().map_or(0, |record| record.started_at_ms);
            homes.into_iter().max_by_key(started).context("there is no drill")
        }
    }
}

/// A time of the drill.
fn after(from_ms: i64, to: Timestamp) -> i64 {
    to.0 - from_ms
}
