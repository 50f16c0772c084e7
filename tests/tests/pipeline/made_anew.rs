//! Goal: topics that were deleted and made anew, and records that retention took, never make counts too low in silence, on either log.

use anyhow::{Context as _, Result};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tocsin::serve::{deployment_key, detector_setup};
use tocsin_detector::Salvaged;
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, ingest};
use tocsin_tests::site::{ALPHA, Site, Time, ingest_topic};
use tocsin_tests::traffic::{share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::encode_single_object;
use tocsin_wire::topics;

use crate::retries::now;

/// Shares with ids of their own, until so many are counted.
async fn count_up_to(deployment: &Deployment, site: &Site, from: u64, to: u64) -> Result<()> {
    let event = |id: u64| encode_single_object(&share(u128::from(id), "alpha-video", &url(1), now()));
    let records = (from..to).map(|id| ingest(ALPHA, Some(event(id + 1)), None)).collect();
    append(&deployment.log, records).await?;
    let answer = until("all are counted", async || {
        let answer = deployment.api.look_up(&site.keys.beta, &url(1)).await?;
        Ok(answer.filter(|answer| answer["windows"][0]["exact"].as_u64() >= Some(to)))
    })
    .await?;
    crate::retries::exactly(&answer, to);
    Ok(())
}

/// Deletes a topic while nothing runs; it is made again as it is declared.
fn make_anew(site: &Site, topic: &str) -> Result<()> {
    tokio::task::block_in_place(|| {
        site.log()?.delete_topics(&[topic])?;
        site.log().map(drop)
    })
}

/// The code of what a restore of the only partition refuses.
fn refusal(site: &Site) -> Result<Option<&'static str>> {
    let config = site.config()?;
    let setup = detector_setup(&config, &deployment_key(&config)?.0);
    let group = setup.group_config(&config.detector);
    tokio::task::block_in_place(|| {
        let log = site.log()?;
        let restored = tocsin_detector::restore(log.as_ref(), 0, setup.partitions, &group, setup.epoch, &|| false);
        Ok(restored.err().and_then(|error| error.code()))
    })
}

fn salvaged(site: &Site) -> Result<Salvaged> {
    let config = site.config()?;
    let mut salvaged = None;
    tokio::task::block_in_place(|| tocsin::topics::salvage(&config, &[0], &mut |_, one| salvaged = Some(one)))?;
    salvaged.context("one partition was salvaged")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_made_anew_lose_no_count_that_is_held_elsewhere() {
    on_each_log(async |ground| check(ground).await).await;
}

async fn check(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Live, 1).await?;
    let deployment = Deployment::start(&site).await?;
    count_up_to(&deployment, &site, 0, 4).await?;
    deployment.stop().await?;
    assert_eq!(refusal(&site)?, None);

    make_anew(&site, topics::STATE)?;
    assert_eq!(refusal(&site)?, Some("state_lost"));
    let (offset, kept, anew) = (0, 0, 256);
    assert_eq!(salvaged(&site)?, Salvaged::GoesOn { offset, kept, anew });
    let deployment = Deployment::start(&site).await?;
    count_up_to(&deployment, &site, 4, 6).await?;
    let left = deployment.api.metric("tocsin_query_restore_seconds_left").await?;
    assert_eq!(left, Some(0.0), "a node that answers has read everything");
    deployment.stop().await?;

    make_anew(&site, topics::SIGHTINGS)?;
    assert_eq!(refusal(&site)?, Some("input_replaced"));
    let (kept, anew) = (256, 0);
    assert_eq!(salvaged(&site)?, Salvaged::GoesOn { offset, kept, anew });
    assert_eq!(salvaged(&site)?, Salvaged::AsItWas);
    let deployment = Deployment::start(&site).await?;
    count_up_to(&deployment, &site, 6, 8).await?;
    deployment.stop().await?;

    // Offsets of the party's topic begin at 0 again: they are another source's.
    make_anew(&site, &ingest_topic(ALPHA))?;
    make_anew(&site, topics::ALERTS)?;
    let deployment = Deployment::start(&site).await?;
    count_up_to(&deployment, &site, 8, 10).await?;
    if let Ground::Kafka { .. } = ground {
        let topic = ingest_topic(ALPHA);
        tokio::task::block_in_place(|| {
            deployment.log.delete_topics(&[&topic])?;
            deployment.log.ensure_topics(&[tocsin::topics::topic_spec(
                &topics::ingest(&ALPHA.parse()?),
                site.config()?.sightings_partitions(),
            )])?;
            anyhow::Ok(())
        })?;
        count_up_to(&deployment, &site, 10, 12).await?;
    }
    deployment.stop().await?;
    let Ground::Kafka { bootstrap } = ground else {
        return Ok(());
    };
    taken_by_retention(&site, bootstrap).await
}

/// Three records of which nobody reads anything are deleted, as retention does.
async fn taken_by_retention(site: &Site, bootstrap: &str) -> Result<()> {
    let place = (ingest_topic(ALPHA), 0);
    let log = tokio::task::block_in_place(|| site.log())?;
    let lost = vec![ingest(ALPHA, Some(b"no event".to_vec()), None); 3];
    let offsets = append(&log, lost).await?;
    tokio::task::block_in_place(|| drop(log));
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let mut up_to = TopicPartitionList::new();
    let end = offsets.last().context("they have offsets")? + 1;
    up_to.add_partition_offset(&place.0, place.1, Offset::Offset(end.cast_signed()))?;
    admin.delete_records(&up_to, &AdminOptions::new()).await?;
    let deployment = Deployment::start(site).await?;
    let skipped = until("it is counted", async || {
        let skipped = deployment.api.metric("tocsin_intake_skipped_records_total").await?;
        Ok(skipped.filter(|skipped| *skipped > 0.0))
    })
    .await?;
    assert_eq!(skipped, 3.0);
    deployment.stop().await
}
