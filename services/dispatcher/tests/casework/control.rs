//! Goal: what the dispatcher keeps in step with the store: parties and their topics, calibrations, the watch list.

use tocsin_dispatcher::DispatcherConfig;
use tocsin_log::{Cleanup, TopicSpec};
use tocsin_model::{
    Algorithm, ContentHash, DeploymentKey, GroupId, PartitionCount, PlatformId, Population, Populations, Timestamp,
};
use tocsin_velocity::null::{STEP_PART, shipped};
use tocsin_wire::{SightingsRecord, TickTime, population, topics};

use crate::bench::{Bench, name, until};

#[tokio::test(flavor = "multi_thread")]
async fn parties_are_announced_and_their_topics_made() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let parties = || -> Vec<tocsin_wire::PartyRecord> {
        let records = bench.records(topics::PARTIES);
        records
            .iter()
            .map(|record| tocsin_wire::PartyRecord::decode(record.value.as_ref().unwrap()).unwrap())
            .collect()
    };
    until("two parties", || parties().len() == 2).await;
    let exists = |topic: &str| bench.log.topics().unwrap().iter().any(|info| info.name == topic);
    until("their topics", || {
        exists("tocsin.ingest.alpha") && exists("tocsin.ingest.beta")
    })
    .await;
    let gamma = bench.store.add_party(&name("gamma"), &[name("gamma")]).await.unwrap();
    until("a third party", || parties().iter().any(|party| party.id == gamma.id)).await;
    until("its topic", || exists("tocsin.ingest.gamma")).await;
    bench.store.revoke_party(gamma.id).await.unwrap();
    until("the revocation", || {
        parties().iter().any(|party| party.id == gamma.id && party.revoked)
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_partys_topic_of_another_shape_keeps_no_other_party_waiting() {
    let bench = Bench::new().await;
    let standing = TopicSpec {
        name: "tocsin.ingest.alpha".to_owned(),
        partitions: 4,
        cleanup: Cleanup::Compact,
        retention_ms: None,
        record_bytes_max: 1 << 20,
        may_grow: false,
        compaction: None,
    };
    bench.log.ensure_topics(&[standing]).unwrap();
    let running = bench.start().await;
    let has = |topic: &str| bench.log.topics().unwrap().iter().any(|found| found.name == topic);
    until("parties announced", || {
        running.readiness.parts().values().all(Option::is_none)
    })
    .await;
    assert!(has("tocsin.ingest.beta"));
    bench
        .store
        .add_party(&name("gamma"), &[name("gamma-chat")])
        .await
        .unwrap();
    until("the next party has its topic", || has("tocsin.ingest.gamma")).await;
    let refused = "tocsin_dispatcher_failures_total{operation=\"make_ingest_topic\"}";
    running.metric(refused, |count| count == 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_groups_have_seen_makes_a_calibration_a_step_away_and_not_another_at_once() {
    let bench = Bench::new().await;
    let at = Timestamp(1_770_000_000_000);
    let seen = |group: u16, uploads: u64| {
        let mut population = Population::new(PlatformId(7));
        (0..500).for_each(|_| population.reuploads.add(uploads, 10));
        let seen = Populations {
            group: GroupId(group),
            at,
            platforms: vec![population],
        };
        (Some(population::key(GroupId(group))), population::encode(&seen))
    };
    let elsewhere = (Some(population::key(GroupId(9))), seen(8, 0).1);
    let broken = (Some(population::key(GroupId(10))), b"no population".to_vec());
    // Of a group the newest counts.
    let records = [seen(5, 0), seen(6, 10), elsewhere, broken, seen(5, 10)];
    bench.append_under(topics::POPULATIONS, &records);
    bench.append(topics::SIGHTINGS, &[SightingsRecord::Tick(TickTime::At(at)).encode()]);
    let running = bench.start().await;
    until("every partition is told", || bench.controls().len() == 4).await;
    for (_, told) in bench.controls() {
        let SightingsRecord::Calibration(told) = told else {
            panic!("{told:?}")
        };
        let [null] = told.platforms[..] else { panic!("{told:?}") };
        let before = shipped(PlatformId(7));
        assert_eq!(
            (told.number, null.platform, null.hours),
            (1, PlatformId(7), before.hours)
        );
        let step = null.reuploads.mean() - before.reuploads.mean();
        assert!((step - STEP_PART).abs() < 1e-9, "{null:?}");
        assert!(told.effective_from > at && told.is_usable());
    }
    running
        .metric("tocsin_dispatcher_calibration_number", |number| number == 1.0)
        .await;
    running
        .metric("tocsin_dispatcher_population_groups", |groups| groups == 2.0)
        .await;
    running
        .metric("tocsin_dispatcher_populations_refused", |refused| refused == 2.0)
        .await;
    running
        .metric("tocsin_dispatcher_null_reuploads{platform=\"7\"}", |mean| mean > 0.29)
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_and_the_watch_list_reach_the_key_groups_once() {
    let bench = Bench::new().await;
    let at = Timestamp(1_770_000_000_000);
    bench.append(topics::SIGHTINGS, &[SightingsRecord::Tick(TickTime::At(at)).encode()]);
    let config = DispatcherConfig {
        pages_per_day: 30,
        ..DispatcherConfig::default()
    };
    let threshold = tocsin_velocity::budget::Prior::SHIPPED.threshold(30.0);
    let running = bench.start_with(config.clone()).await;
    until("another budget than the shipped one makes a threshold", || {
        bench.controls().len() == 4
    })
    .await;
    for (place, (partition, told)) in bench.controls().into_iter().enumerate() {
        let SightingsRecord::Calibration(told) = told else {
            panic!("{told:?}")
        };
        assert_eq!((partition, told.number), (place as u32, 1));
        assert_eq!(
            (told.page_threshold, told.pages_per_day, told.episodes),
            (threshold, 30.0, 0)
        );
        assert!(told.effective_from > at, "{told:?}");
    }

    let hash = ContentHash::from_bytes(Algorithm::Sha256, vec![9; 32], None).unwrap();
    let severity = tocsin_model::Severity::new(2).unwrap();
    bench.store.watch(&hash, &name("north"), severity).await.unwrap();
    until("the watch list is published", || bench.controls().len() == 5).await;
    let content = DeploymentKey::from_bytes([7; 32]).content_id(&hash);
    let partition = PartitionCount::new(4).unwrap().partition_of(content.group());
    let controls = bench.controls();
    let told = controls.iter().find_map(|(number, told)| match told {
        SightingsRecord::Watch(told) if *number == partition => Some(told),
        _ => None,
    });
    let told = told.unwrap();
    assert_eq!((told.content, told.listed, told.at), (content, Some(severity), at));
    running.stop().await;

    // Another start finds all of that in the store and says nothing again.
    let running = bench.start_with(config).await;
    running
        .metric("tocsin_dispatcher_pages_per_day_target", |value| value == 30.0)
        .await;
    running
        .metric("tocsin_dispatcher_page_threshold", |value| value == threshold)
        .await;
    assert_eq!(bench.controls().len(), 5);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_list_reaches_the_key_groups_in_batches_and_the_time_is_still_known_behind_it() {
    const ENTRIES: u32 = 9_000;
    let bench = Bench::new().await;
    let at = Timestamp(1_770_000_000_000);
    bench.append(topics::SIGHTINGS, &[SightingsRecord::Tick(TickTime::At(at)).encode()]);
    let md5 = |number: u32| {
        let value = [number.to_be_bytes(); 4].concat();
        ContentHash::from_bytes(Algorithm::Md5, value, None).unwrap()
    };
    let settings = tocsin_store::BankSettings {
        source: name("north"),
        severity: tocsin_model::Severity::MAX,
        enabled: true,
        sampled: tocsin_model::Sampled::ALL,
    };
    let bank = "NORTH".parse().unwrap();
    bench.store.set_bank(&bank, &settings).await.unwrap();
    let mut staged = bench.store.begin_list(&bank).await.unwrap();
    let entries: Vec<_> = (0..ENTRIES)
        .map(|number| tocsin_model::BankEntry::new(md5(number)))
        .collect();
    bench.store.stage(&mut staged, &entries).await.unwrap();
    bench.store.switch_list(staged).await.unwrap();
    let running = bench.start().await;
    let published = "tocsin_dispatcher_watch_changes_published_total";
    running.metric(published, |count| count == f64::from(ENTRIES)).await;
    // A single change behind thousands of records of each partition finds the tick before them.
    bench
        .store
        .watch(&md5(ENTRIES), &name("south"), tocsin_model::Severity::MIN)
        .await
        .unwrap();
    running.metric(published, |count| count == f64::from(ENTRIES + 1)).await;
    let mut contents = std::collections::BTreeSet::new();
    for (_, told) in bench.controls() {
        let SightingsRecord::Watch(told) = told else { continue };
        assert_eq!(told.at, at);
        contents.insert(told.content);
    }
    assert_eq!(contents.len(), ENTRIES as usize + 1);
    running.stop().await;
}
