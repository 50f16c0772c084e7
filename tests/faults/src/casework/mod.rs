//! A dispatcher ends at a named point while alerts come in, people claim and decide, and endpoints are told; then another goes on in its place.
//!
//! The deployment is a dispatcher, a detector and an intake on real Kafka and PostgreSQL. What happens is the same in every round: contents spread and
//! families join, all queues are cleared, an order is overdue, an appeal overturns, somebody decides in an Ozone, and webhooks and a party's topic are
//! told of all of it.

mod desk;
mod outside;
mod verdict;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use rand::Rng as _;
use rand::rngs::SmallRng;
use serde_json::json;
use tocsin::serve::{Role, open_store};
use tocsin_casework::Team;
use tocsin_dispatcher::{check_endpoint, new_signing_secret};
use tocsin_failpoint::FailPoint;
use tocsin_log::SharedLog;
use tocsin_model::{ContentId, Event, Kind, Milliseconds};
use tocsin_store::{EndpointKind, KeySubject, NewEndpoint, Role as KeyRole, Roles};
use tocsin_tests::api::Api;
use tocsin_tests::ground::Ground;
use tocsin_tests::records::{append, ingest};
use tocsin_tests::site::{ALPHA, BETA, BETA_PLATFORM, Site, Time, deployment_key};
use tocsin_tests::traffic::{content, share, url};
use tocsin_wire::document::instant;
use tocsin_wire::event::encode_single_object;
use tocsin_wire::topics;

use crate::brokers::Brokers;
use crate::load::{PARTITIONS, now};
use crate::process::{Plan, Process};
use crate::wait::{LONG, until_within};
use crate::world::{Outcome, Place, parties};

use desk::Desk;
use outside::{ANNA, COLLECTION, Outside, STANDS};

/// Families of several contents, and contents that stay alone.
const FAMILIES: usize = 2;
const MEMBERS: usize = 6;
const ALONE: usize = 2;
/// Which of them is taken out of the family.
const TAKEN_OUT: usize = 1;
/// Contents of a family that are there when it is decided.
const FIRST_MEMBERS: usize = 3;
/// Copies that make a content ring.
const COPIES: usize = 40;
/// And copies that make none ring.
const FEW: usize = 4;
/// Where endpoints may be.
const NETWORKS: &str = "127.0.0.0/8";
const ALPHA_PLATFORM: &str = "alpha-video";
/// Whoever is not told of a removal for so long is reminded twice.
const LONG_AGO: Milliseconds = Milliseconds::from_minutes(31);

/// The keys of those who work, and the teams.
struct Desks {
    coordinators: String,
    alpha: String,
    beta: String,
    /// Of another moderator of alpha, who answers appeals.
    reviewer: String,
    teams: BTreeMap<&'static str, Team>,
}

/// What spreads.
struct Contents {
    /// Of each family: its founder first, the one that gives it another id last.
    families: Vec<Vec<String>>,
    alone: Vec<String>,
    events: u128,
}

fn id(url: &str) -> ContentId {
    deployment_key().content_id(&content(url))
}

impl Contents {
    /// What comes last has the lowest id: it gives the family its own.
    fn new(seed: u64) -> Contents {
        let number = |place: usize| url(usize::try_from(seed % 1_000_000).unwrap_or(0) * 100 + place);
        let family = |first: usize| {
            let mut urls: Vec<String> = (first * MEMBERS..(first + 1) * MEMBERS).map(number).collect();
            urls.sort_by_key(|url| id(url));
            let newcomer = urls.remove(0);
            urls.push(newcomer);
            urls
        };
        Contents {
            families: (0..FAMILIES).map(family).collect(),
            alone: (0..ALONE).map(|place| number(FAMILIES * MEMBERS + place)).collect(),
            events: 0,
        }
    }

    /// Those that ring by themselves: each is a family at first.
    fn ringing(&self) -> Vec<&String> {
        let of_families = self.families.iter().flat_map(|urls| [&urls[0], &urls[MEMBERS - 1]]);
        of_families.chain(&self.alone).collect()
    }

    /// So many copies of a content, of both parties' accounts in turn.
    async fn come(&mut self, log: &SharedLog, url: &str, (copies, same_as): (usize, Option<&str>)) -> Result<()> {
        let mut records = Vec::with_capacity(copies);
        for copy in 0..copies {
            self.events += 1;
            let (party, platform) = [(ALPHA, ALPHA_PLATFORM), (BETA, BETA_PLATFORM)][copy % 2];
            let mut event: Event = share(self.events, platform, url, now());
            event.kind = Kind::Upload;
            event.same_as = same_as.map(content).into_iter().collect();
            records.push(ingest(party, Some(encode_single_object(&event)), None));
        }
        append(log, records).await.map(drop)
    }

    /// These places of each family come, and are said to be what founded it.
    async fn join(&mut self, log: &SharedLog, places: std::ops::Range<usize>) -> Result<()> {
        for family in self.families.clone() {
            for url in &family[places.clone()] {
                self.come(log, url, (4, Some(&family[0]))).await?;
            }
        }
        Ok(())
    }
}

/// How often the point is reached before the process ends there: what happens often is met after a while.
fn times(point: FailPoint, random: &mut SmallRng) -> u32 {
    match point {
        FailPoint::CaseClaimed
        | FailPoint::CommandStored
        | FailPoint::DeliveriesTaken
        | FailPoint::DeliveriesSent
        | FailPoint::DeliveriesSettled => random.random_range(1..=8),
        FailPoint::AlertsApplied
        | FailPoint::AlertPositionsCommitted
        | FailPoint::OutboxTaken
        | FailPoint::DecisionsAppended
        | FailPoint::DecisionsAcknowledged
        | FailPoint::MembersTold
        | FailPoint::MembersHeard => random.random_range(1..=2),
        // The claim is the first, the answer the second.
        FailPoint::AppealStored => 2,
        _ => 1,
    }
}

/// Plays a round in which the dispatcher ends at this point.
///
/// # Errors
/// It does not come to its end. What is wrong in the end is no error.
pub async fn play(brokers: &Brokers, place: Place<'_>, random: &mut SmallRng, point: FailPoint) -> Result<Outcome> {
    let times = times(point, random);
    println!("  end at {}, time {times}", point.name());
    let ground = Ground::Kafka {
        bootstrap: brokers.bootstrap.clone(),
    };
    let sealed = place.evidence.join("sealed").display().to_string();
    let settings = [
        ("dispatcher.sealed_store", sealed.as_str()),
        ("store.url", place.store),
        ("topics.replication_factor", "1"),
        ("dispatcher.undo_s", "1"),
        ("dispatcher.endpoint_networks", NETWORKS),
    ];
    let site = Site::with(&ground, Time::Live, PARTITIONS, &settings).await?;
    let log = tokio::task::block_in_place(|| site.log()).context("make the topics")?;
    brokers.whole().await?;
    let outside = Outside::start().await?;
    let desks = desks(&site, &outside).await?;
    let mut desk = Desk::open(place, &site, (point, times))?;
    let mut others = Vec::new();
    for (role, name) in [(Role::Detector, "detector-1"), (Role::Intake, "intake-1")] {
        let said = place.evidence.join(format!("{name}.log"));
        others.push(Process::spawn(place.program, &site, Plan::new(role, name), said)?);
    }
    for other in &mut others {
        until_within(LONG, "the others are ready", async || {
            desk.supervise()?;
            match other.address() {
                Some(api) => Ok(api.ready().await.is_ok().then_some(())),
                None => other.ended()?.map_or(Ok(None), |_| anyhow::bail!(other.last_words())),
            }
        })
        .await?;
    }
    let mut contents = Contents::new(place.seed);
    let intake = others.last().and_then(Process::address).context("intake listens")?;
    begin(&mut desk, &intake, &mut contents, &log).await?;
    work(&mut desk, (&desks, &outside), &mut contents, &log).await?;
    // What it looks at once a minute may be still to come.
    let ends = desk.until("the dispatcher comes to its point", async |desk| Ok(desk.has_ended));
    ends.await.with_context(|| point.name())?;
    let outcome = verdict::judge(&mut desk, (&desks, &outside), &contents, &log).await?;
    desk.close().await?;
    for mut other in others {
        other.terminate().await?;
    }
    tokio::task::block_in_place(|| drop(log));
    Ok(outcome)
}

/// Keys, and who is told.
async fn desks(site: &Site, outside: &Outside) -> Result<Desks> {
    let of = parties(site).await?;
    let (alpha, beta) = (of[ALPHA], of[BETA]);
    let store = open_store(&site.config()?).await?;
    let moderator = async |party| {
        store
            .issue_key(KeySubject::Party(party), Roles::of(&[KeyRole::Moderator]))
            .await
    };
    let (_, reviewer) = moderator(alpha).await?;
    let (decides, _) = moderator(beta).await?;
    let endpoint = |name: &str, team, kind, target: String| -> Result<NewEndpoint> {
        Ok(NewEndpoint {
            name: name.parse()?,
            team,
            kind,
            target,
            settings: BTreeMap::new(),
            secret: new_signing_secret(),
        })
    };
    let webhook = |name: &str, team| endpoint(name, team, EndpointKind::Webhook, format!("{}/{name}", outside.url));
    let topic = topics::deliveries_name(&ALPHA.parse()?);
    let mut ozone = endpoint(
        "beta-ozone",
        Team::Party(beta),
        EndpointKind::Ozone,
        outside.url.clone(),
    )?;
    ozone.secret = "pass".to_owned();
    ozone.settings = [
        ("subject", STANDS.to_owned()),
        ("created_by", "did:plc:tocsin".to_owned()),
        ("collection", COLLECTION.to_owned()),
        ("decide_as", decides.to_string()),
        ("moderators", ANNA.to_owned()),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into();
    let mut kafka = endpoint("alpha-topic", Team::Party(alpha), EndpointKind::Kafka, topic)?;
    kafka.secret = String::new();
    for endpoint in [
        webhook("coordinators", Team::Coordinators)?,
        webhook("alpha", Team::Party(alpha))?,
        kafka,
        ozone,
    ] {
        check_endpoint(&endpoint, &[NETWORKS.to_owned()])?;
        store.add_endpoint(&endpoint).await?;
    }
    store.close().await;
    Ok(Desks {
        coordinators: site.keys.coordinators.clone(),
        alpha: site.keys.alpha.clone(),
        beta: site.keys.beta.clone(),
        reviewer: reviewer.expose().to_owned(),
        teams: [
            ("coordinators", Team::Coordinators),
            (ALPHA, Team::Party(alpha)),
            (BETA, Team::Party(beta)),
        ]
        .into(),
    })
}

impl Desks {
    fn number(&self, team: &str) -> i64 {
        self.teams[team].to_number()
    }
}

/// Contents begin to spread, and ring. Both parties are known to have some before: each has a case from the first alert on.
async fn begin(desk: &mut Desk<'_>, intake: &Api, contents: &mut Contents, log: &SharedLog) -> Result<()> {
    for copies in [FEW, COPIES] {
        for url in contents.ringing().into_iter().cloned().collect::<Vec<_>>() {
            contents.come(log, &url, (copies, None)).await?;
        }
        let events = contents.events as f64;
        desk.until("intake has read all of it", async |_| {
            let read = intake.metric("tocsin_intake_events_total").await?;
            Ok(read.is_some_and(|read| read >= events))
        })
        .await?;
    }
    contents.join(log, 1..FIRST_MEMBERS).await
}

/// Everything that people, platforms and tools do in a round.
async fn work(
    desk: &mut Desk<'_>,
    (desks, outside): (&Desks, &Outside),
    contents: &mut Contents,
    log: &SharedLog,
) -> Result<()> {
    let rung: Vec<String> = contents.ringing().iter().map(|url| format!("'{}'", id(url))).collect();
    let sql = format!("SELECT count(*) FROM cases WHERE family IN ({})", rung.join(", "));
    let wanted = (rung.len() * desks.teams.len()) as i64;
    desk.until("every team has a case of each family", async |desk| {
        Ok(desk.count(&sql, 0).await? >= wanted)
    })
    .await?;

    order(desk, desks, &contents.alone[0]).await?;
    decided_elsewhere(desk, (desks, outside), contents).await?;
    clear_queues(desk, desks).await?;
    // Members come to decided families, and in the end one that gives the family its own id.
    contents.join(log, FIRST_MEMBERS..MEMBERS - 1).await?;
    taken_out(desk, desks, contents).await?;
    unconfirmed(desk).await?;
    appeal(desk, desks, &contents.alone[1]).await?;
    contents.join(log, MEMBERS - 1..MEMBERS).await?;
    desk.until("families go along", async |desk| {
        let sql = "SELECT count(*) FROM cases WHERE merged_into IS NOT NULL";
        Ok(desk.count(sql, 0).await? >= (FAMILIES * desks.teams.len()) as i64)
    })
    .await?;
    // What was decided otherwise in both is disputed, and what spreads on comes back.
    clear_queues(desk, desks).await?;
    Ok(())
}

/// Everybody decides what waits for them.
async fn clear_queues(desk: &mut Desk<'_>, desks: &Desks) -> Result<()> {
    for (key, team) in [
        (&desks.coordinators, "coordinators"),
        (&desks.alpha, ALPHA),
        (&desks.beta, BETA),
    ] {
        desk.clear_queue(key, desks.number(team)).await?;
    }
    Ok(())
}

/// An authority's order that was received two hours ago: its hour is over.
async fn order(desk: &mut Desk<'_>, desks: &Desks, url: &str) -> Result<()> {
    let order = json!({
        "kind": "removal_order", "authority": "an authority", "reference": "O-1", "platform": ALPHA_PLATFORM,
        "content": {"algorithm": "url", "value": url},
        "received_at": instant(now() - Milliseconds::from_hours(2)),
    });
    let (status, answer) = desk.post(&desks.alpha, "/v1/notices", &order).await?;
    ensure!(status == 200, "a notice is answered by {status}: {answer}");
    desk.until("the order is escalated", async |desk| {
        let sql = "SELECT count(*) FROM notices WHERE overdue_at IS NOT NULL";
        Ok(desk.count(sql, 0).await? == 1)
    })
    .await?;
    preserved(desk, desks, answer["case"].as_str().unwrap_or_default()).await
}

/// What the order is about is sealed; what is preserved beside it is released, and its copy goes.
async fn preserved(desk: &mut Desk<'_>, desks: &Desks, case: &str) -> Result<()> {
    desk.until("what an order is about is sealed", async |desk| {
        let sql = "SELECT count(*) FROM preservations WHERE origin = 2 AND sealed_at IS NOT NULL";
        Ok(desk.count(sql, 0).await? == 1)
    })
    .await?;
    let basis = json!({"basis": "investigation", "text": "an investigation", "reference": "one"});
    let path = format!("/v1/cases/{case}/preservations");
    let (status, answer) = desk.post(&desks.alpha, &path, &basis).await?;
    ensure!(status == 200, "a preservation is answered by {status}: {answer}");
    let path = format!(
        "/v1/preservations/{}/release",
        answer["id"].as_str().unwrap_or_default()
    );
    let (status, answer) = desk.post(&desks.alpha, &path, &json!({"reason": "it is over"})).await?;
    // What was not answered may have been done.
    ensure!(
        status == 200 || answer["code"] == "preservation_ended",
        "a release is answered by {status}: {answer}"
    );
    desk.until("what was released is deleted", async |desk| {
        let sql = "SELECT count(*) FROM preservations WHERE ended_at IS NOT NULL AND deleted_at IS NOT NULL";
        Ok(desk.count(sql, 0).await? > 0)
    })
    .await
}

/// Two families are taken down in the Ozone.
async fn decided_elsewhere(
    desk: &mut Desk<'_>,
    (desks, outside): (&Desks, &Outside),
    contents: &Contents,
) -> Result<()> {
    let families = contents.families.iter().map(|urls| id(&urls[0]).to_string());
    for family in families.collect::<Vec<_>>() {
        desk.until("a family is reported to the Ozone", async |_| {
            Ok(outside.is_reported(&family))
        })
        .await?;
        outside.take_down(&family, &format!("taken down: {family}"));
    }
    let sql = "SELECT count(*) FROM decisions d JOIN cases c ON c.case_id = d.case_id WHERE d.rationale LIKE 'taken down: %' AND c.team = $1";
    desk.until("what was decided in the Ozone is decided", async |desk| {
        Ok(desk.count(sql, desks.number(BETA)).await? >= FAMILIES as i64)
    })
    .await
}

/// Coordinators take a member out of each family: where it belongs now is noted for those who were told of it.
async fn taken_out(desk: &mut Desk<'_>, desks: &Desks, contents: &Contents) -> Result<()> {
    for urls in &contents.families {
        let taken_out = &urls[TAKEN_OUT];
        let link = json!({"content": {"algorithm": "url", "value": taken_out}});
        let (status, answer) = desk.post(&desks.coordinators, "/v1/links", &link).await?;
        ensure!(status == 200, "a link is answered by {status}: {answer}");
        let sql = format!(
            "SELECT count(*) FROM member_decisions WHERE content = '{0}' AND belongs_to = '{0}'",
            id(taken_out)
        );
        desk.until("it is noted that a member belongs to itself", async |desk| {
            Ok(desk.count(&sql, 0).await? > 0)
        })
        .await?;
    }
    Ok(())
}

/// Nobody removes anything, and whoever decided is reminded.
async fn unconfirmed(desk: &mut Desk<'_>) -> Result<()> {
    desk.until("a removal is waited for", async |desk| {
        let sql = "SELECT count(*) FROM awaited_decisions WHERE due_at IS NOT NULL";
        Ok(desk.count(sql, 0).await? > 0)
    })
    .await?;
    let long_ago = LONG_AGO.0;
    desk.change(&format!(
        "UPDATE awaited_decisions SET since = since - {long_ago}, due_at = due_at - {long_ago} WHERE due_at IS NOT NULL"
    ))
    .await?;
    desk.until("somebody is reminded", async |desk| {
        let sql = "SELECT count(*) FROM awaited_decisions WHERE told > 0";
        Ok(desk.count(sql, 0).await? > 0)
    })
    .await
}

/// A platform appeals against what its party decided, and another moderator overturns it for the whole family.
async fn appeal(desk: &mut Desk<'_>, desks: &Desks, url: &str) -> Result<()> {
    let sql = format!(
        "SELECT decision_id FROM cases WHERE family = '{}' AND team = {}",
        id(url),
        desks.number(ALPHA)
    );
    let rows = desk.rows(&sql).await?;
    let row = rows.first().context("alpha has a case of it")?;
    let decision: String = sqlx::Row::try_get(row, 0).context("it is decided")?;
    let filing = json!({
        "reference": "A-1", "platform": ALPHA_PLATFORM, "content": {"algorithm": "url", "value": url},
        "decision": decision, "reason": "it is a news report",
    });
    let (status, filed) = desk.post(&desks.alpha, "/v1/appeals", &filing).await?;
    ensure!(status == 200, "an appeal is answered by {status}: {filed}");
    let path = format!("/v1/appeals/{}", filed["id"].as_str().context("an appeal has an id")?);
    // A claim that was not answered holds it under the number before: whoever claimed may claim again.
    until_within(LONG, "the appeal is answered", async || {
        let (status, claimed) = desk
            .post(&desks.reviewer, &format!("{path}/claim"), &json!({"lease_s": 3}))
            .await?;
        if status != 200 {
            return Ok(None);
        }
        let answer = json!({
            "fencing": claimed["fencing"], "outcome": "overturned", "concerns": "family", "cause": "label", "note": "news",
        });
        let (status, _) = desk.post(&desks.reviewer, &format!("{path}/answer"), &answer).await?;
        Ok((status == 200).then_some(()))
    })
    .await
}
