//! Goal: a drill beside real things goes the whole way, from an event to a case, an incident and those who are told, and nothing of it is seen in any
//! real topic, table or answer.

mod searched;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};
use tocsin::config::Config;
use tocsin::drill::{self, Drill, DrillOptions, Home, Scorecard, Then};
use tocsin::serve::open_store;
use tocsin_casework::Team;
use tocsin_loadtest::scenario::{DrillScenario, Scenario};
use tocsin_log::TopicPartition;
use tocsin_log::{Header, SharedLog, read_through};
use tocsin_model::{DrillId, Timestamp};
use tocsin_runtime::Shutdown;
use tocsin_store::{EndpointKind, NewEndpoint, Store};
use tocsin_tests::api::Api;
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_servers};
use tocsin_tests::records::records;
use tocsin_tests::site::{ALPHA, BETA, Site, Time};
use tocsin_tests::traffic::{share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::encode_batch;

use self::searched::{answers, needles, singles, statuses, tables, topics};
use crate::retries::now;

const DELIVERIES: &str = "tocsin.deliveries.alpha";
/// How long is listened to a stream: longer than it takes to say what moves.
const STREAMED_FOR: Duration = Duration::from_millis(2_500);
/// What is played: 90 seconds in 18.
const SPEED: f64 = 5.0;
const SEED: u64 = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_is_seen_in_nothing_real_on_one_machine() {
    if let Err(error) = check(&Ground::Embedded, &[]).await {
        panic!("on the embedded log and SQLite: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_is_seen_in_nothing_real_on_servers() {
    on_servers(async |ground, url| check(ground, &[("store.url", url)]).await).await;
}

async fn check(ground: &Ground, store: &[(&str, &str)]) -> Result<()> {
    let site = Site::with(ground, Time::Live, 4, store).await?;
    let config = site.config()?;
    register(&config).await?;
    let deployment = Deployment::start(&site).await?;
    let (api, keys, log) = (&deployment.api, &site.keys, &deployment.log);
    ring_for_real(api, &keys.alpha, 1).await?;
    until("the real endpoint is told", async || Ok((told(log)? > 0).then_some(()))).await?;

    let options = DrillOptions {
        scenario: DrillScenario::Demo,
        seed: SEED,
        speed: SPEED,
        listen: "127.0.0.1:0".to_owned(),
        goes_on: Duration::ZERO,
        then: Then::Keep,
    };
    let mut drill = Box::pin(Drill::start(&config, drill_id(), &options)).await?;
    let again = Box::pin(Drill::start(&config, drill_id(), &options)).await.err();
    let again = again.context("a second drill is refused")?.to_string();
    ensure!(again.contains("a drill is at work already"), "{again}");

    // Real things go on meanwhile.
    let (drill_api, drill_keys, drill_log) = (api_of(&drill), drill.keys.clone(), drill.log.clone());
    let alpha = drill_keys.party.get(ALPHA).context("alpha takes part")?.key.clone();
    let coordinators = drill_keys.coordinators.key.clone();
    ensure!(!drill_keys.party.contains_key(BETA), "beta did not register");
    let acted = async {
        let acted = act(&drill_api, &coordinators, &alpha, &drill_log).await?;
        ring_for_real(api, &keys.alpha, 2).await?;
        Ok::<_, anyhow::Error>(acted)
    };
    let (played, acted) = tokio::join!(drill.play(), acted);
    played?;
    let objects = acted?;

    // On the same brokers the drill's topics stand under its prefix; the embedded log has none of them.
    let standing = tokio::task::block_in_place(|| log.topics())?;
    let prefix = format!("drill.{}.tocsin.", drill.id);
    let of_drill = standing.iter().filter(|topic| topic.name.starts_with(&prefix)).count();
    match ground {
        Ground::Embedded => assert_eq!(of_drill, 0),
        Ground::Kafka { .. } => assert!(of_drill >= 10, "{standing:?}"),
    }
    // A key is good where it was issued.
    for (api, key) in [(api, &alpha), (&drill_api, &keys.alpha)] {
        ensure!(
            api.get(key, "/v1/queue", &[]).await?.0 == 401,
            "a key of the other side is taken"
        );
    }
    let marked = reqwest::get(format!("{}/v1/queue", drill_api.base)).await?;
    assert_eq!(marked.headers()["tocsin-drill"], drill.id.to_string());
    let real = reqwest::get(format!("{}/v1/queue", api.base)).await?;
    assert!(!real.headers().contains_key("tocsin-drill"));

    // What is looked for is found where it belongs: so a search that finds nothing elsewhere says something.
    let needles = needles(&objects, &drill.id.to_string())?;
    let drill_keys = [coordinators.as_str(), alpha.as_str()];
    let in_drill = [
        needles.found_in(topics(&drill_log, "tocsin.")?).len(),
        needles
            .found_in(tables(&config, drill.home().data().as_path(), Some(&drill.id.to_string())).await?)
            .len(),
        needles.found_in(answers(&drill_api, &drill_keys).await?).len(),
    ];
    assert!(in_drill.iter().all(|found| *found >= 3), "{in_drill:?}");

    // Each object of the drill by its own address is there, and to no real key.
    for path in singles(&objects) {
        let statuses = statuses(&drill_api, &drill_keys, &path).await?;
        ensure!(statuses.contains(&200), "{path} of the drill answers {statuses:?}");
    }
    let real_keys = [&keys.alpha, &keys.beta, &keys.coordinators].map(String::as_str);
    let mut found = needles.found_in(topics(log, "tocsin.")?);
    found.extend(needles.found_in(tables(&config, &config.log.data_dir, None).await?));
    found.extend(needles.found_in(answers(api, &real_keys).await?));
    for hash in &objects.hashes {
        let asked = [("algorithm", "sha256"), ("value", hash.as_str())];
        if api.get(&keys.coordinators, "/v1/lookup", &asked).await?.0 != 404 {
            found.push(format!("{hash} is known"));
        }
    }
    for path in singles(&objects) {
        let statuses = statuses(api, &real_keys, &path).await?;
        // 403 is said before anything is looked for.
        if !statuses.contains(&404) || !statuses.iter().all(|status| [403, 404].contains(status)) {
            found.push(format!("GET {path} answers {statuses:?}"));
        }
    }
    println!("drill_objects_in_real_views = {}", found.len());
    if let Ok(directory) = std::env::var("TOCSIN_FIGURES") {
        note_figure(Path::new(&directory), ground, found.len())?;
    }
    assert!(found.is_empty(), "{found:#?}");

    let home = drill.home().clone();
    let card = drill.stop().await?;
    check_scorecard(&card, &home.id.to_string());
    // Whoever asks later gets the same.
    assert_eq!(drill::score(&config, &home).await?, card);

    drill::delete(&config, &home).await?;
    let left = tokio::task::block_in_place(|| log.topics())?;
    let of_drill = format!("drill.{}.", home.id);
    assert!(left.iter().all(|topic| !topic.name.starts_with(&of_drill)), "{left:?}");
    assert_eq!(drill::score(&config, &home).await?, card);
    let gone = drill::config_of(&config, &home, "127.0.0.1:0").store_url();
    let opened = Store::open_drill(&gone, home.id, "up".parse()?).await;
    assert!(opened.is_err(), "the store of a drill that was deleted opens");
    check_ends(&config, &options).await?;
    // The real ones are as they were.
    let rang = api.alerts(&keys.coordinators).await?;
    for number in [1, 2] {
        let of = json!({"algorithm": "url", "value": url(number)});
        assert!(rang.iter().any(|alert| alert["hash"] == of), "{number}");
    }
    deployment.stop().await
}

/// What is found of both grounds together.
fn note_figure(directory: &Path, ground: &Ground, found: usize) -> Result<()> {
    let name = match ground {
        Ground::Embedded => "embedded",
        Ground::Kafka { .. } => "servers",
    };
    std::fs::write(directory.join(format!("drill_{name}.count")), found.to_string())?;
    let mut all = 0;
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "count") {
            all += std::fs::read_to_string(path)?.trim().parse::<usize>()?;
        }
    }
    let figures = json!({ "drill_objects_in_real_views": all });
    Ok(std::fs::write(directory.join("drills.json"), figures.to_string())?)
}

/// One that no run before had, on servers that stay.
fn drill_id() -> DrillId {
    DrillId(now().0 as u32)
}

/// A drill that ended leaves nothing of its own, unless it is to be looked at; and of those a few at most.
async fn check_ends(config: &Config, options: &DrillOptions) -> Result<()> {
    for then in [Then::Keep, Then::Remove] {
        let id = drill_id();
        // Asked to end as soon as it goes.
        let shutdown = Shutdown::new();
        shutdown.request();
        let options = DrillOptions {
            then,
            ..options.clone()
        };
        let told = Mutex::new(Vec::new());
        let say = |line: &str| told.lock().unwrap().push(line.to_owned());
        let card = Box::pin(drill::run(config, (id, &options), shutdown, say)).await?;
        let home = drill::find(config, Some(id))?;
        assert_eq!(home.is_deleted(), then == Then::Remove, "{then:?}");
        assert_eq!(drill::score(config, &home).await?, card);
        let told = told.into_inner().unwrap();
        assert!(
            told.iter().all(|line| line.starts_with(&format!("DRILL {id}"))),
            "{told:?}"
        );
        let left = config_opens(config, &home, id).await;
        assert_eq!(left, then == Then::Keep, "{then:?}");
        let stopped = drill::stop(config, &home, Then::Remove).await;
        if then == Then::Keep {
            assert_eq!(stopped?, card);
            drill::delete(config, &home).await?;
            assert!(home.is_deleted() && !config_opens(config, &home, id).await);
        }
    }
    Ok(())
}

/// Whether the store of a drill is there.
async fn config_opens(config: &Config, home: &Home, id: DrillId) -> bool {
    let url = drill::config_of(config, home, "127.0.0.1:0").store_url();
    match Store::open_drill(&url, id, "up".parse().unwrap()).await {
        Ok(store) => {
            store.close().await;
            true
        }
        Err(_) => false,
    }
}

/// An endpoint of alpha for real things, and one for drills; both of kind kafka, so that only the namespace keeps their topics apart. One of the
/// coordinators for drills.
async fn register(config: &Config) -> Result<()> {
    let store = open_store(config).await?;
    let alpha = store.party_named(&ALPHA.parse()?).await?.id;
    let endpoint = |name: &str| {
        Ok::<_, anyhow::Error>(NewEndpoint {
            name: name.parse()?,
            team: Team::Party(alpha),
            kind: EndpointKind::Kafka,
            target: DELIVERIES.to_owned(),
            settings: Default::default(),
            secret: String::new(),
        })
    };
    store.add_endpoint(&endpoint("real")?).await?;
    store.add_endpoint_for_drills(&endpoint("for-drills")?).await?;
    store.close().await;
    Ok(())
}

/// Forty shares of a content ring in the real deployment.
async fn ring_for_real(api: &Api, key: &str, number: usize) -> Result<()> {
    let content = url(number);
    let shares: Vec<_> = (1..=40)
        .map(|id| share(number as u128 * 1_000 + id, "alpha-video", &content, now()))
        .collect();
    let body = encode_batch(&shares);
    let (status, answer) = api.post(key, "/v1/events", "application/avro", body).await?;
    ensure!(status == 202, "{status} {answer}");
    until("it rings for real", async || {
        let alerts = api.alerts(key).await?;
        let of = json!({"algorithm": "url", "value": content});
        Ok(alerts.iter().any(|alert| alert["hash"] == of).then_some(()))
    })
    .await
}

/// What came of a drill, by what may be looked for.
struct Objects {
    case: String,
    family: String,
    alert: String,
    incident: String,
    hashes: Vec<String>,
}

/// People do in the drill what they would do: alpha decides, the coordinators declare an incident, invite alpha and share the hashes.
async fn act(api: &Api, coordinators: &str, alpha: &str, log: &SharedLog) -> Result<Objects> {
    let of_crisis = crisis_hashes();
    until("alpha's endpoint for drills is told", async || {
        Ok((told(log)? > 0).then_some(()))
    })
    .await?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
    let decided = json!({"verdict": "violating", "rationale": "it is the attack"});
    let case = until("alpha decides its case of the crisis", async || {
        let queue = api.read(alpha, "/v1/queue", &[]).await?;
        let is_of_crisis = |case: &&Value| {
            case["hash"]["value"]
                .as_str()
                .is_some_and(|hash| of_crisis.contains(hash))
        };
        let Some(case) = queue["cases"]
            .as_array()
            .and_then(|cases| cases.iter().find(is_of_crisis))
        else {
            return Ok(None);
        };
        let id = text(&case["id"])?;
        let decide = async || {
            let claimed = api.act(alpha, &format!("/v1/cases/{id}/claim"), &json!({})).await?;
            let mut decision = decided.clone();
            decision["fencing"] = claimed["fencing"].clone();
            api.act(alpha, &format!("/v1/cases/{id}/decision"), &decision).await
        };
        match decide().await {
            Ok(_) => Ok(Some(case.clone())),
            // Its family has joined another since the queue was read: the case is that one's.
            Err(error) if format!("{error:#}").contains("case_merged") => Ok(None),
            Err(error) => Err(error),
        }
    })
    .await?;
    let (id, family) = (text(&case["id"])?, text(&case["family"])?);

    let declaration = json!({"title": "An attack", "protocol": "crisis", "protocol_version": 1, "families": [family]});
    let declared = api.act(coordinators, "/v1/incidents", &declaration).await?;
    ensure!(declared["title"] == "DRILL: An attack", "{declared}");
    let incident = text(&declared["id"])?;
    let at = |step: &str| format!("/v1/incidents/{incident}/{step}");
    let invitation = json!({"party": ALPHA, "class": "platforms", "message": "Please look."});
    api.act(coordinators, &at("participants"), &invitation).await?;
    until("the invitation arrives", async || {
        let messages = records(log, DELIVERIES)?;
        let invited = |headers: &[Header]| headers.iter().any(|header| header.value == "tocsin.incident.invited");
        Ok(messages.iter().any(|record| invited(&record.headers)).then_some(()))
    })
    .await?;
    api.act(alpha, &at("acknowledge"), &json!({})).await?;
    api.act(coordinators, &at("packs"), &json!({})).await?;
    let pack = api.read(coordinators, &at("packs/1"), &[("form", "stix")]).await?;
    let speaker = pack["objects"][0]["name"].as_str().unwrap_or_default();
    ensure!(speaker.starts_with("Tocsin, DRILL "), "{pack}");
    let refused = api.get(coordinators, &at("packs/1"), &[("form", "local_file")]).await?;
    ensure!(refused.0 == 400, "{refused:?}");

    // Every message of a drill says that it is of one: in its headers and in its document.
    for record in records(log, DELIVERIES)? {
        let header = |name: &str| record.headers.iter().find(|header| header.name == name);
        let drill = header("ce_drill").context("the attribute drill")?;
        let document: Value = serde_json::from_slice(record.value.as_deref().context("a document")?)?;
        ensure!(
            document["drill"] == *String::from_utf8_lossy(&drill.value),
            "{document}"
        );
        let source = header("ce_source").context("a source")?;
        ensure!(source.value.starts_with(b"urn:tocsin:drill:"), "{source:?}");
    }
    // What is written of it is, too.
    for (key, path) in [
        (coordinators, at("debrief")),
        (alpha, "/v1/reports?from=2026-01-01&to=2026-12-31".to_owned()),
        (
            alpha,
            "/v1/reports/terrorist-content?from=2026-01-01&to=2026-12-31".to_owned(),
        ),
    ] {
        let document = api.read(key, &path, &[]).await?;
        ensure!(
            document["drill"].as_str().is_some_and(|drill| drill.len() == 8),
            "{path}: {document}"
        );
    }
    let page = reqwest::Client::new()
        .get(format!("{}{}?form=html", api.base, at("debrief")))
        .bearer_auth(coordinators)
        .send()
        .await?;
    let page = page.text().await?;
    ensure!(
        page.contains("<strong>DRILL ") && page.contains("nothing on this page is real"),
        "{page}"
    );
    Ok(Objects {
        alert: text(&case["alert"]["id"])?,
        hashes: vec![text(&case["hash"]["value"])?],
        case: id,
        family,
        incident,
    })
}

/// The hashes of all variants of the crisis that is played.
fn crisis_hashes() -> BTreeSet<String> {
    let scenario = Scenario::new(&DrillScenario::Demo.config(SEED, Timestamp(0)));
    let of_crisis = scenario.filter(|generated| generated.truth.is_some());
    let hashes = of_crisis.flat_map(|generated| generated.event.content);
    hashes.map(|hash| hash.value_text()).collect()
}

/// How many records the topic of alpha's deliveries has; 0 before it is made.
fn told(log: &SharedLog) -> Result<usize> {
    let topics = tokio::task::block_in_place(|| log.topics())?;
    match topics.iter().any(|topic| topic.name == DELIVERIES) {
        true => Ok(records(log, DELIVERIES)?.len()),
        false => Ok(0),
    }
}

fn api_of(drill: &Drill) -> Api {
    Api::new(drill.url.trim_start_matches("http://"))
}

fn check_scorecard(card: &Scorecard, drill: &str) {
    assert_eq!(
        (card.mark.as_str(), card.drill.as_str(), card.is_cut),
        ("DRILL", drill, false)
    );
    assert!(
        card.progress.published > 2_500 && card.progress.refused == 0,
        "{:?}",
        card.progress
    );
    assert!(card.ended_at.is_some());
    let [crisis] = card.crises.as_slice() else {
        panic!("{:?}", card.crises);
    };
    assert!(crisis.posted > 100 && crisis.blocked > 100, "{crisis:?}");
    assert_eq!(crisis.posted_by_platform.values().sum::<u64>(), crisis.posted);
    let onset = crisis.onset.as_ref().unwrap();
    assert!(onset.after_ms > 0 && onset.posted_before <= 10, "{onset:?}");
    let rang = crisis.rang.as_ref().unwrap();
    assert!(rang.posted_before < crisis.posted / 2, "{rang:?}");
    let team = |name: &str| crisis.teams.iter().find(|team| team.team == name).unwrap();
    assert_eq!(crisis.teams.len(), 2);
    // In their order: it rings, the endpoint is told, somebody takes the case, somebody decides.
    let alpha = team(ALPHA);
    let [rang, told, claimed, decided] = [&alpha.rang, &alpha.told, &alpha.claimed, &alpha.decided].map(|moment| {
        let moment = moment.as_ref().unwrap_or_else(|| panic!("{alpha:?}"));
        assert!(moment.posted_before <= crisis.posted, "{alpha:?}");
        moment.after_ms
    });
    assert!(
        rang <= told && told <= decided && rang <= claimed && claimed <= decided,
        "{alpha:?}"
    );
    assert_eq!(alpha.verdict.as_deref(), Some("violating"));
    let coordinators = team("coordinators");
    assert!(
        coordinators.rang.is_some() && coordinators.claimed.is_none(),
        "{coordinators:?}"
    );
    let [incident] = card.incidents.as_slice() else {
        panic!("{:?}", card.incidents);
    };
    assert_eq!(
        (incident.crises.as_slice(), incident.title.as_str()),
        (&[0][..], "DRILL: An attack")
    );
    assert!(
        incident.shared.is_some() && incident.concluded.is_none(),
        "{incident:?}"
    );
    let [participant] = incident.participants.as_slice() else {
        panic!("{:?}", incident.participants);
    };
    assert_eq!(participant.team, ALPHA);
    assert!(participant.took_ms.is_some_and(|took| took >= 0), "{participant:?}");
}
