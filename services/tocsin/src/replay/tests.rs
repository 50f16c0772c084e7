//! Goal: a replay is counted at its recorded times where the log takes it, and every way in which it cannot run says what to do.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::time::{Duration, Instant};

use tocsin_intake::TimeSource;
use tocsin_model::{Name, Timestamp};
use tocsin_runtime::Shutdown;
use tocsin_store::{KeySubject, Role as KeyRole, Roles};

use super::*;
use crate::client::Source;
use crate::config::Config;
use crate::recorded::tests::share;
use crate::recorded::{ELECTION_PLATFORMS, Recorded};
use crate::serve::{Process, Role, deployment_key};

const PACE: Pace = Pace { speed: Speed::Max };

fn config(directory: &std::path::Path) -> Config {
    let mut config = Config::default();
    config.log.data_dir = directory.join("data");
    config.http.listen = "127.0.0.1:0".to_owned();
    config.intake.time_source = TimeSource::Supplied;
    config
}

fn recording(events: usize) -> Vec<Recorded> {
    let at = |number: usize| Timestamp(1_629_064_892_000 + number as i64 * 1_000);
    (0..events).map(|number| share(number, at(number))).collect()
}

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

async fn replay(config: &Config, platforms: &[&str], recorded: &[Recorded]) -> Result<Replayed> {
    let party = "posts".parse().unwrap();
    into_log(config, (&party, &names(platforms)), recorded, PACE).await
}

async fn up(config: &Config) -> (Process, String) {
    let (key, _) = deployment_key(config).unwrap();
    let mut process = Process::start(config.clone(), key, &Role::ALL, Shutdown::new())
        .await
        .unwrap();
    let address = process.listen().await.unwrap();
    (process, format!("http://{address}"))
}

async fn until(process: &Process, what: &str, holds: impl Fn(&Process) -> bool) {
    let began = Instant::now();
    while !holds(process) {
        assert!(began.elapsed() < Duration::from_secs(60), "gave up waiting: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await; // poll: until the condition above holds
    }
}

fn total(process: &Process, name: &str) -> f64 {
    let families = process.registry.gather();
    let metrics = families.iter().filter(|family| family.name() == name);
    metrics
        .flat_map(|family| family.get_metric())
        .map(|metric| metric.get_counter().get_value())
        .sum()
}

async fn stop(process: Process) {
    process.roles.shutdown().request();
    process.join().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_appended_is_counted_at_its_recorded_time() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let recorded = recording(40);
    let replayed = replay(&config, &ELECTION_PLATFORMS, &recorded[..30]).await.unwrap();
    assert_eq!((replayed.taken, replayed.refused), (30, 0));
    // The party is there by now, with its topic.
    replay(&config, &ELECTION_PLATFORMS, &recorded[30..]).await.unwrap();

    let (process, url) = up(&config).await;
    let store = process.store.clone().unwrap();
    let reader = Roles::of(&[KeyRole::Reader]);
    let (_, key) = store.issue_key(KeySubject::Coordinators, reader).await.unwrap();
    until(&process, "all are counted", |process| {
        total(process, "tocsin_intake_events_total") == 40.0
    })
    .await;
    assert_eq!(total(&process, "tocsin_intake_rejects_total"), 0.0);
    let client = reqwest::Client::new();
    let began = Instant::now();
    loop {
        let request = client
            .get(format!("{url}/v1/trending?window=5m"))
            .bearer_auth(key.expose());
        let trending: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
        let spread = &trending["families"][0]["spread"];
        if spread["low"].as_u64().is_some_and(|low| low <= 40) && spread["high"].as_u64() >= Some(40) {
            assert!(
                trending["as_of"].as_str().unwrap().starts_with("2021-08-15"),
                "{trending}"
            );
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{trending}");
        tokio::time::sleep(Duration::from_millis(20)).await; // poll: until the condition above holds
    }

    // Meanwhile the log is the process's alone, and the way around it is named.
    let error = replay(&config, &ELECTION_PLATFORMS, &recorded).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("--url") && text.contains("in use by another process"),
        "{text}"
    );
    stop(process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_takes_a_replay_as_of_now() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.intake.time_source = TimeSource::Log;
    let (process, url) = up(&config).await;
    let store = process.store.clone().unwrap();
    let key = async |name: &str, platforms: &[&str]| {
        let party = store
            .add_party(&name.parse().unwrap(), &names(platforms))
            .await
            .unwrap();
        let publisher = Roles::of(&[KeyRole::Publisher]);
        let (_, key) = store.issue_key(KeySubject::Party(party.id), publisher).await.unwrap();
        key.expose().to_owned()
    };
    let (owner, other) = (
        key("owner", &ELECTION_PLATFORMS).await,
        key("other", &["elsewhere"]).await,
    );
    let recorded = recording(10);

    let replayed = into_gateway(&Source::with_key(&url, &format!("{owner}\n")), &recorded, PACE)
        .await
        .unwrap();
    assert_eq!((replayed.taken, replayed.refused), (10, 0), "{replayed:?}");
    until(&process, "all are counted", |process| {
        total(process, "tocsin_intake_events_total") == 10.0
    })
    .await;

    let refused = into_gateway(&Source::with_key(&url, &other), &recorded, PACE)
        .await
        .unwrap();
    assert_eq!((refused.taken, refused.refused), (0, 10));
    assert!(refused.to_string().contains("10 refused; the first: "), "{refused}");
    let error = into_gateway(&Source::with_key(&url, "tocsin_no_key"), &recorded, PACE)
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("401 unauthenticated"), "{error:#}");
    stop(process).await;
    let error = into_gateway(&Source::with_key(&url, &owner), &recorded, PACE)
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("does not answer"), "{error:#}");
    let error = into_gateway(&Source::with_key("nowhere", &owner), &recorded, PACE)
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("no URL of a gateway"), "{error:#}");
}

#[tokio::test]
async fn a_party_with_other_platforms_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    replay(&config, &ELECTION_PLATFORMS[..1], &recording(1)).await.unwrap();
    let error = replay(&config, &ELECTION_PLATFORMS, &recording(1)).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("without the recorded platform twitter"),
        "{error:#}"
    );
}

#[tokio::test]
async fn a_command_that_cannot_run_says_why() {
    use clap::Parser as _;
    let directory = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(directory.path().join("posts.csv")).unwrap();
    file.write_all(crate::recorded::tests::POSTS.as_bytes()).unwrap();
    let run = async |arguments: &[&str]| {
        let data = directory.path().join("data");
        let all = ["tocsin", "--data-dir", data.to_str().unwrap(), "replay"];
        let parsed = crate::command::Arguments::try_parse_from(all.iter().chain(arguments));
        let result = match parsed {
            Ok(arguments) => crate::command::run(arguments).await,
            Err(error) => Err(error.into()),
        };
        result.map_err(|error| format!("{error:#}"))
    };
    let posts = directory.path().join("posts.csv");
    let posts = posts.to_str().unwrap();
    let absent = format!("{posts}.absent");
    let cases: [(&[&str], &str); 6] = [
        (&["--format", "election-posts", &absent], "No such file"),
        (&["--format", "tea-leaves", posts], "possible values: election-posts"),
        (&["--format", "election-posts", posts, "--limit", "0"], "holds no event"),
        (
            &["--format", "election-posts", posts, "--speed", "0"],
            "a factor above 0",
        ),
        (
            &["--format", "election-posts", posts, "--url", "http://127.0.0.1:1"],
            "--key-file",
        ),
        (
            &[
                "--format",
                "election-posts",
                posts,
                "--url",
                "http://127.0.0.1:1",
                "--key-file",
                posts,
            ],
            "does not answer",
        ),
    ];
    for (arguments, reason) in cases {
        let error = run(arguments).await.unwrap_err();
        assert!(error.contains(reason), "{arguments:?}: {error}");
    }
    run(&["--format", "election-posts", posts, "--content", "url,phash"])
        .await
        .unwrap();
}
