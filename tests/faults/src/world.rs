//! One round: a new deployment of real processes on the brokers, its load, those who look on, and what it has come to in the end.

mod ending;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tocsin::serve::{Role, open_store};
use tocsin_model::ContentHash;
use tocsin_tests::api::Api;
use tocsin_tests::ground::Ground;
use tocsin_tests::site::{ALPHA, BETA, Site, Time};

use crate::brokers::Brokers;
use crate::load::{Load, Order, PARTITIONS};
use crate::process::{Plan, Process};
use crate::proxy::Proxy;
use crate::wait::{LONG, until_within};
use crate::watch::Watch;

/// Where a round takes place.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The program under test.
    pub program: &'a Path,
    /// The casework store.
    pub store: &'a str,
    /// What gives a process a wrong clock, if it could be built.
    pub shim: Option<&'a Path>,
    /// How long a soak lasts.
    pub soak: Duration,
    /// What is kept of a round that fails.
    pub evidence: &'a Path,
    /// What decides everything that is not up to the machine.
    pub seed: u64,
}

/// What a round shows.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is wrong.
    pub violations: Vec<String>,
    /// By name.
    pub figures: BTreeMap<&'static str, f64>,
}

impl Outcome {
    /// Adds what was found besides.
    pub fn add(&mut self, violations: Vec<String>) {
        self.violations.extend(violations);
        self.figures.insert("violations", self.violations.len() as f64);
    }
}

/// A round at work.
pub struct World<'a> {
    /// The brokers it runs on.
    pub brokers: &'a mut Brokers,
    /// Where it takes place.
    pub place: Place<'a>,
    /// Settings, parties and keys.
    pub site: Site,
    /// The processes that were started, by name.
    pub members: BTreeMap<String, Process>,
    /// What is published.
    pub load: Load,
    /// Who looks on.
    pub watch: Watch,
    /// What stands before the broker, if anything does.
    pub proxy: Option<Proxy>,
    /// Figures of the fault itself.
    pub figures: BTreeMap<&'static str, f64>,
    /// What the fault itself found wrong.
    pub violations: Vec<String>,
    starts: usize,
    /// When members were started again that had ended by themselves.
    restarted: BTreeMap<String, Instant>,
}

/// What was published so long before a fault may not have rung before it.
const SHORTLY: Duration = Duration::from_millis(500);

/// Between two starts of a process that ends by itself.
const RESTART_PAUSE: Duration = Duration::from_secs(2);

/// The processes of a deployment, in the order in which they start.
pub const MEMBERS: [(Role, &str); 6] = [
    (Role::Dispatcher, "dispatcher-1"),
    (Role::Query, "query-1"),
    (Role::Detector, "detector-1"),
    (Role::Detector, "detector-2"),
    (Role::Intake, "intake-1"),
    (Role::Intake, "intake-2"),
];

/// The role of the members of this name.
pub fn role_of(name: &str) -> Role {
    let known = MEMBERS
        .iter()
        .find(|(_, member)| member.split('-').next() == name.split('-').next());
    known.map_or(Role::Detector, |(role, _)| *role)
}

impl<'a> World<'a> {
    /// A new deployment with these members and further settings, ready and under load.
    ///
    /// # Errors
    /// It does not come to work.
    pub async fn begin(
        brokers: &'a mut Brokers,
        place: Place<'a>,
        order: Order,
        settings: &[(&str, &str)],
    ) -> Result<World<'a>> {
        let bootstrap = brokers.bootstrap.clone();
        let ground = Ground::Kafka {
            bootstrap: bootstrap.clone(),
        };
        let replicas = brokers.count().to_string();
        let mut all = vec![("store.url", place.store), ("topics.replication_factor", &replicas)];
        all.extend(settings);
        let site = Site::with(&ground, Time::Live, PARTITIONS, &all).await?;
        let log = tokio::task::block_in_place(|| site.log()).context("make the topics")?;
        tokio::task::block_in_place(|| drop(log));
        brokers.whole().await?;
        let config = site.config()?;
        let watch = Watch::start(&config, &site.keys.coordinators)?;
        let load = Load::start(&bootstrap, place.seed, order)?;
        let proxy = match brokers.fronted {
            Some(fronted) => Some(Proxy::start(fronted).await?),
            None => None,
        };
        let mut world = World {
            brokers,
            proxy,
            place,
            site,
            members: BTreeMap::new(),
            load,
            watch,
            figures: BTreeMap::new(),
            violations: Vec::new(),
            starts: 0,
            restarted: BTreeMap::new(),
        };
        for (role, instance) in MEMBERS {
            world.spawn(world.plan(role, instance))?;
        }
        for (_, instance) in MEMBERS {
            world.ready(instance).await?;
        }
        world.heals().await.context("the path works before anything happens")?;
        Ok(world)
    }

    /// How a process of this deployment is started: where a proxy stands before the broker, by way of it.
    pub fn plan(&self, role: Role, instance: &str) -> Plan {
        let plan = Plan::new(role, instance);
        match self.brokers.fronted {
            Some(fronted) => plan.with(&format!("log.bootstrap=127.0.0.1:{}", fronted.front)),
            None => plan,
        }
    }

    /// Starts a process and waits for nothing.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&mut self, plan: Plan) -> Result<()> {
        let name = plan.instance.clone();
        let process = self.twin(plan)?;
        self.members.insert(name, process);
        Ok(())
    }

    /// Starts a process that takes no other's place among the members, and waits for nothing.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn twin(&mut self, plan: Plan) -> Result<Process> {
        self.starts += 1;
        let said = self
            .place
            .evidence
            .join(format!("{:02}-{}.log", self.starts, plan.instance));
        Process::spawn(self.place.program, &self.site, plan, said)
    }

    /// Starts a process in the place of one of this name.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn start(&mut self, plan: Plan) -> Result<Api> {
        let name = plan.instance.clone();
        self.spawn(plan)?;
        self.ready(&name).await
    }

    /// Waits until a member is ready; the query node is asked from then on.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn ready(&mut self, name: &str) -> Result<Api> {
        let api = self.member(name)?.ready().await?;
        if role_of(name) == Role::Query {
            self.watch.ask(Some(api.clone()));
        }
        Ok(api)
    }

    /// A member.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn member(&mut self, name: &str) -> Result<&mut Process> {
        self.members
            .get_mut(name)
            .with_context(|| format!("there is no {name}"))
    }

    /// Waits until what is published from now on rings in every partition, and tells how long that took.
    ///
    /// # Errors
    /// It does not.
    pub async fn heals(&mut self) -> Result<Duration> {
        let began = Instant::now();
        until_within(LONG, "what is published now rings in every partition", async || {
            let markers = self.load.markers();
            let mut later = markers
                .iter()
                .filter(|(_, due_at)| **due_at > began)
                .collect::<Vec<_>>();
            later.sort_by_key(|(_, due_at)| **due_at);
            later.truncate(usize::from(PARTITIONS));
            let rang = self.watch.look(|seen| {
                let mut hashes = later.iter().map(|(hash, _)| *hash);
                hashes.all(|hash| seen.alerts.iter().any(|alert| alert.hash.as_ref() == Some(hash)))
            });
            self.supervise()?;
            Ok((later.len() == usize::from(PARTITIONS) && rang).then_some(()))
        })
        .await?;
        Ok(began.elapsed())
    }

    /// Waits until the newest header of every partition says that all of the state is in this version.
    ///
    /// # Errors
    /// It does not come to be.
    pub async fn state_is_written_in(&mut self, version: u16) -> Result<()> {
        until_within(LONG, "every partition's state is in one version", async || {
            let versions = self.watch.look(|seen| {
                let headers = seen.headers.iter();
                headers
                    .map(|header| (header.partition, header.state_version))
                    .collect::<BTreeMap<_, _>>()
            });
            self.supervise()?;
            let all = versions.len() == usize::from(PARTITIONS) && versions.values().all(|written| *written == version);
            Ok(all.then_some(()))
        })
        .await
    }

    /// The longest that an alert has taken of what was published since shortly before `begin`.
    pub fn longest_since(&self, begin: Instant) -> Duration {
        let markers = self.load.markers();
        self.watch.look(|seen| {
            let took = |(hash, due_at): (&ContentHash, &Instant)| {
                let shown = seen.alerts.iter().find(|alert| alert.hash.as_ref() == Some(hash))?;
                Some(shown.at.saturating_duration_since(*due_at))
            };
            let since = markers.iter().filter(|(_, due_at)| **due_at + SHORTLY >= begin);
            since.filter_map(took).max().unwrap_or_default()
        })
    }

    /// Adds a figure of which the round's largest counts.
    pub fn note_longest(&mut self, figure: &'static str, took: Duration) {
        let longest = self.figures.entry(figure).or_insert(0.0);
        *longest = longest.max(took.as_secs_f64());
    }

    /// Starts members again that have ended by themselves, as a supervisor would do it: that they end is right where the fate of a commit is
    /// not known, or the brokers are gone. It is counted, and a violation only in rounds that give no reason for it: that is for the end to say.
    fn supervise(&mut self) -> Result<()> {
        let mut ended = Vec::new();
        for (name, process) in &mut self.members {
            if process.ended()?.is_some() {
                ended.push((name.clone(), process.plan.clone(), process.last_words()));
            } else if role_of(name) == Role::Query
                && let Some(api) = process.address()
            {
                self.watch.ask(Some(api));
            }
        }
        for (name, plan, said) in ended {
            if self.restarted.get(&name).is_some_and(|at| at.elapsed() < RESTART_PAUSE) {
                continue;
            }
            let reason = said.lines().last().unwrap_or_default();
            println!(
                "  {name} ended and is started again: {}",
                reason.chars().take(200).collect::<String>()
            );
            *self.figures.entry("ended_by_themselves").or_insert(0.0) += 1.0;
            // On a machine that gives it no time a detector is put out of its group.
            let is_put_out = said.contains(ending::GAVE_UP);
            *self.figures.entry("put_out").or_insert(0.0) += f64::from(u8::from(is_put_out));
            self.restarted.insert(name, Instant::now());
            self.spawn(plan)?;
        }
        Ok(())
    }
}

/// The numbers of the parties, by name.
///
/// # Errors
/// The store does not know them.
pub async fn parties(site: &Site) -> Result<BTreeMap<&'static str, tocsin_model::PartyId>> {
    let store = open_store(&site.config()?).await?;
    let mut parties = BTreeMap::new();
    for name in [ALPHA, BETA] {
        parties.insert(name, store.party_named(&name.parse()?).await?.id);
    }
    store.close().await;
    Ok(parties)
}
