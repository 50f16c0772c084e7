//! Goal: roles in processes of their own, on Kafka and PostgreSQL, find what one process finds, while members of their groups die and join.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tocsin::serve::{Role, open_log};
use tocsin_log::{Append, Appender, AppenderOptions, Durability, SharedLog};
use tocsin_model::PartitionCount;
use tocsin_tests::api::Api;
use tocsin_tests::child::{Member, Tocsin, command};
use tocsin_tests::deployment::Deployment;
use tocsin_tests::findings::{AlertIds, Answers};
use tocsin_tests::ground::{Ground, on_servers};
use tocsin_tests::records::{Received, singles, values};
use tocsin_tests::site::{ALPHA, BETA, BETA_PLATFORM, Keys, Site, Time, deployment_key};
use tocsin_tests::traffic::{content, end, recorded, share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::to_json;
use tocsin_wire::topics;

use crate::retries::now;

const SEED: u64 = 1_848;
const PARTITIONS: u16 = 4;
/// Partitions of the two ingest topics together: the parts of the recording go to one after the other.
const SOURCES: usize = 8;
const PARTS: usize = 2 * SOURCES;
const EVENTS_PER_PART: usize = 130;
/// How often a record is appended while members come and go.
const PACE: Duration = Duration::from_millis(40);
/// The part during which members are killed, and the one during which others join. Behind that one each source has a part again but one, so
/// whoever joined finds work, whatever it was given.
const KILLED_IN: usize = 5;
const JOINED_IN: usize = SOURCES;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_finds_what_one_process_finds() {
    on_servers(async |ground, store| {
        let alone = Box::pin(run_alone()).await.context("in one process")?;
        ensure!(alone.1.0.len() > 10, "a recording that rings: {:?}", alone.1);
        let together = Box::pin(run_cluster(ground, store)).await?;
        together.1.must_equal(&alone.1)?;
        assert_eq!(together.0, alone.0);
        Ok(())
    })
    .await;
}

/// A recording in parts, each to one ingest partition: what several sources carry has one order only where one waits for the other.
struct Recording {
    parts: Vec<Part>,
}

struct Part {
    records: Vec<Append>,
    /// One content a sightings partition, the last of this part. Who knows them knows the whole part.
    fences: Vec<String>,
}

impl Recording {
    fn new() -> Recording {
        let events = recorded(SEED, PARTS * EVENTS_PER_PART);
        let part = |(number, events): (usize, &[Received])| {
            let mut events = events.to_vec();
            let fences = fences(number);
            let at = events[events.len() - 1].at;
            for (index, fence) in fences.iter().enumerate() {
                let id = u128::MAX - (number * 100 + index) as u128 - 1;
                let event = share(id, "alpha-video", fence, at);
                events.push(Received { at, event });
            }
            if number + 1 == PARTS {
                events.push(end().0);
            }
            let (party, partition) = ([ALPHA, BETA][number % 2], (number % SOURCES / 2) as u32);
            for received in events.iter_mut().filter(|_| party == BETA) {
                received.event.platform = BETA_PLATFORM.parse().unwrap();
            }
            let mut records = singles(party, &events);
            for record in &mut records {
                record.to.partition = partition;
            }
            Part { records, fences }
        };
        Recording {
            parts: events.chunks(EVENTS_PER_PART).enumerate().map(part).collect(),
        }
    }
}

fn fences(part: usize) -> Vec<String> {
    let count = PartitionCount::new(PARTITIONS).unwrap();
    let lies_in = |url: &str| count.partition_of(deployment_key().content_id(&content(url)).group());
    let in_partition = |partition: u32| {
        let urls = (0..).map(|number| format!("https://tests.invalid/fence/{part}/{number}"));
        urls.into_iter().find(|url| lies_in(url) == partition).unwrap()
    };
    (0..u32::from(PARTITIONS)).map(in_partition).collect()
}

/// Appends a recording, the next part when the part before it is counted.
struct Player<'a> {
    appender: Box<dyn Appender>,
    reader: &'a Api,
    keys: &'a Keys,
}

impl Player<'_> {
    fn new<'a>(log: &SharedLog, reader: &'a Api, keys: &'a Keys) -> Result<Player<'a>> {
        let options = AppenderOptions {
            name: "tests".to_owned(),
            durability: Durability::Synced,
            gapless: false,
        };
        let appender = tokio::task::block_in_place(|| log.appender(options))?;
        Ok(Player { appender, reader, keys })
    }

    async fn play(&self, part: Part) -> Result<()> {
        self.appender.append(part.records).await?;
        self.counted(&part.fences).await
    }

    /// Appends one record after the other while something else happens.
    async fn play_during(&self, part: Part, happens: impl Future<Output = Result<()>>) -> Result<()> {
        let trickle = async {
            let mut pace = tokio::time::interval(PACE);
            for record in part.records {
                pace.tick().await;
                self.appender.append(vec![record]).await?;
            }
            Ok(())
        };
        tokio::try_join!(trickle, happens)?;
        self.counted(&part.fences).await
    }

    async fn counted(&self, fences: &[String]) -> Result<()> {
        for fence in fences {
            until("the part is counted", async || {
                self.reader.look_up(&self.keys.alpha, fence).await
            })
            .await?;
        }
        Ok(())
    }
}

async fn run_alone() -> Result<(Answers, AlertIds)> {
    let site = Site::new(&Ground::Embedded, Time::Supplied, PARTITIONS).await?;
    let deployment = Deployment::start(&site).await?;
    let player = Player::new(&deployment.log, &deployment.api, &site.keys)?;
    for part in Recording::new().parts {
        player.play(part).await?;
    }
    tokio::task::block_in_place(|| drop(player));
    let answers = Answers::at_end(&deployment.api, &site).await?;
    deployment.stop().await?;
    Ok((answers, AlertIds::of(&site.log()?)?))
}

/// The members of one group.
struct Crew<'a> {
    site: &'a Site,
    role: Role,
    /// The metric that says of how many partitions a member has charge.
    charge: &'static str,
    members: Vec<Tocsin>,
    /// How many were ever started: each gets a name of its own.
    started: usize,
}

impl Crew<'_> {
    async fn start(&mut self) -> Result<()> {
        self.started += 1;
        let instance = format!("{:?}-{}", self.role, self.started);
        let member = Member {
            role: self.role,
            instance: &instance,
        };
        self.members
            .push(Tocsin::start_role(program(), self.site, member).await?);
        Ok(())
    }

    /// Whether each member has some of the partitions, and all together have `count`.
    async fn shares(&self, count: usize) -> Result<bool> {
        let mut sum = 0;
        for member in &self.members {
            let charge = member.api.metric(self.charge).await?.unwrap_or(0.0) as usize;
            if charge == 0 {
                return Ok(false);
            }
            sum += charge;
        }
        Ok(sum == count)
    }

    /// How much each member has done, by one of its counters.
    async fn done(&self, counter: &str) -> Result<Vec<f64>> {
        let mut done = Vec::new();
        for member in &self.members {
            done.push(member.api.metric(counter).await?.unwrap_or(0.0));
        }
        Ok(done)
    }

    async fn stop(self) -> Result<()> {
        for member in self.members {
            ensure!(member.terminate().await?.success(), "{:?} ends with success", self.role);
        }
        Ok(())
    }
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tocsin-under-test"))
}

/// `tocsin topics ...`: whether it succeeds, and what it says.
async fn topics_command(site: &Site, what: &str) -> Result<(bool, String)> {
    let output = command(program(), site, &["topics", what]).output().await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

async fn run_cluster(ground: &Ground, store: &str) -> Result<(Answers, AlertIds)> {
    let site = &Site::with(ground, Time::Supplied, PARTITIONS, &[("store.url", store)]).await?;
    let (is_well, said) = topics_command(site, "check").await?;
    ensure!(!is_well && said.contains("tocsin.alerts: it is absent"), "{said}");
    let (is_well, said) = topics_command(site, "apply").await?;
    ensure!(is_well, "{said}");
    let (is_well, said) = topics_command(site, "check").await?;
    ensure!(is_well, "{said}");

    let crew = |role, charge| Crew {
        site,
        role,
        charge,
        members: Vec::new(),
        started: 0,
    };
    let mut dispatcher = crew(Role::Dispatcher, "");
    let mut query = crew(Role::Query, "");
    let mut gateway = crew(Role::Gateway, "");
    let mut detectors = crew(Role::Detector, "tocsin_detector_partitions");
    let mut intakes = crew(Role::Intake, "tocsin_intake_sources");
    for crew in [&mut dispatcher, &mut query, &mut gateway] {
        crew.start().await?;
    }
    // The second detector takes partitions over from the first, and so does the second intake.
    for crew in [&mut detectors, &mut intakes] {
        crew.start().await?;
        crew.start().await?;
    }
    let is_shared = async |detectors: &Crew<'_>, intakes: &Crew<'_>| {
        let shared = detectors.shares(PARTITIONS.into()).await? && intakes.shares(SOURCES).await?;
        Ok(shared.then_some(()))
    };
    until("the work is shared", async || is_shared(&detectors, &intakes).await).await?;

    let log = tokio::task::block_in_place(|| site.config().and_then(|config| open_log(&config)))?;
    let player = Player::new(&log, &query.members[0].api, &site.keys)?;
    for (number, part) in Recording::new().parts.into_iter().enumerate() {
        match number {
            KILLED_IN => {
                let happens = async {
                    // Whoever reads this part dies in the middle of it, and a detector with it.
                    let before = intakes.done("tocsin_intake_events_total").await?;
                    let reading = until("an intake reads the part", async || {
                        let after = intakes.done("tocsin_intake_events_total").await?;
                        Ok((0..after.len()).find(|index| after[*index] > before[*index] + 20.0))
                    });
                    let reading = reading.await?;
                    intakes.members.remove(reading).kill().await?;
                    detectors.members.remove(0).kill().await?;
                    until("the others have taken over", async || {
                        is_shared(&detectors, &intakes).await
                    })
                    .await
                };
                player.play_during(part, happens).await?;
            }
            JOINED_IN => {
                let happens = async {
                    detectors.start().await?;
                    intakes.start().await?;
                    until("those who joined have work", async || {
                        is_shared(&detectors, &intakes).await
                    })
                    .await
                };
                player.play_during(part, happens).await?;
            }
            _ => player.play(part).await?,
        }
    }
    let answers = Answers::at_end(&query.members[0].api, site).await?;
    let read = intakes.done("tocsin_intake_events_total").await?;
    let counted = detectors.done("tocsin_detector_sightings_total").await?;
    let all = read.iter().chain(&counted);
    ensure!(
        all.clone().all(|done| *done > 0.0),
        "all have worked: {read:?} {counted:?}"
    );
    let ids = AlertIds::of(&log)?;

    decide(&dispatcher.members[0].api, &site.keys, &log).await?;
    publish(&gateway.members[0].api, &query.members[0].api, &site.keys).await?;
    tokio::task::block_in_place(|| drop(player));
    ensure!(values(&log, topics::REJECTS)?.is_empty(), "nothing was refused");
    for crew in [gateway, intakes, detectors, dispatcher, query] {
        crew.stop().await?;
    }
    Ok((answers, ids))
}

/// A case is claimed and decided at the dispatcher; the decision is on the log.
async fn decide(dispatcher: &Api, keys: &Keys, log: &SharedLog) -> Result<()> {
    let claimed = dispatcher
        .act(&keys.coordinators, "/v1/queue/claim", &json!({}))
        .await?;
    let case = &claimed["case"];
    let path = format!(
        "/v1/cases/{}/decision",
        case["id"].as_str().context("a case has an id")?
    );
    let decision = json!({"fencing": case["fencing"], "verdict": "benign", "rationale": "a test"});
    dispatcher.act(&keys.coordinators, &path, &decision).await?;
    until("the decision is on the log", async || {
        Ok((!values(log, topics::DECISIONS)?.is_empty()).then_some(()))
    })
    .await
}

/// An event goes in at the gateway and is counted by those who answer.
async fn publish(gateway: &Api, query: &Api, keys: &Keys) -> Result<()> {
    let content = url(1_000);
    let event = to_json(&share(1 << 100, "alpha-video", &content, now()));
    let (status, answer) = gateway
        .post(&keys.alpha, "/v1/events", "application/json", event.into_bytes())
        .await?;
    ensure!(status == 202, "{status} {answer}");
    until("the event is counted", async || {
        query.look_up(&keys.beta, &content).await
    })
    .await?;
    Ok(())
}
