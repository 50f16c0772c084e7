//! Goal: one recorded order gives the same alerts and the same answers, however many partitions carry it and on either log.

use anyhow::{Result, bail};
use tocsin_detector::Repartitioned;
use tocsin_log::{SharedLog, TopicPartition};
use tocsin_tests::deployment::Deployment;
use tocsin_tests::findings::{AlertIds, Answers};
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, singles};
use tocsin_tests::site::{ALPHA, Site, Time};
use tocsin_tests::traffic::{end, recorded};
use tocsin_tests::wait::until;
use tocsin_wire::topics;

const SEED: u64 = 20_260_315;
const EVENTS: usize = 1_200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_for_any_number_of_partitions_on_either_log() {
    let reference = Box::pin(run(&Ground::Embedded, 4)).await.unwrap();
    assert!(reference.1.0.len() > 10, "a recording that rings: {:?}", reference.1);
    assert!(reference.0.spread_24h("alpha") > reference.0.spread_24h("beta"));
    on_each_log(async |ground| {
        let counts: &[u16] = if *ground == Ground::Embedded {
            &[1, 16]
        } else {
            &[1, 4, 16]
        };
        for count in counts {
            let (answers, alerts) = Box::pin(run(ground, *count)).await?;
            assert_eq!(alerts, reference.1, "{count} partitions, {ground:?}");
            assert_eq!(answers, reference.0, "{count} partitions, {ground:?}");
        }
        Ok(())
    })
    .await;
}

/// The number changes twice while episodes are open and events wait in the ingest topics.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_when_the_number_of_partitions_changes() {
    let reference = Box::pin(run(&Ground::Embedded, 4)).await.unwrap();
    on_each_log(async |ground| {
        let (answers, alerts) = Box::pin(run_and_move(ground)).await?;
        alerts.must_equal(&reference.1)?;
        assert_eq!(answers, reference.0, "{ground:?}");
        Ok(())
    })
    .await;
}

async fn run_and_move(ground: &Ground) -> Result<(Answers, AlertIds)> {
    let mut site = Site::new(ground, Time::Supplied, 4).await?;
    let mut events = recorded(SEED, EVENTS);
    events.push(end().0);
    for (number, part) in events.chunks(EVENTS / 3 + 1).enumerate() {
        if number > 0 {
            let (from, to) = [(4, 8), (8, 2)][number - 1];
            let moved = tokio::task::block_in_place(|| site.repartition(to))?;
            let is_right =
                matches!(moved, Repartitioned::Moved { from: Some(before), records } if before == from && records > 0);
            assert!(is_right, "{moved:?}");
            let again = tokio::task::block_in_place(|| site.repartition(to))?;
            assert_eq!(again, Repartitioned::AsItWas);
        }
        let deployment = Deployment::start(&site).await?;
        let rung = alerts(&deployment.log)?;
        append(&deployment.log, singles(ALPHA, part)).await?;
        until("something more rings", async || {
            Ok((alerts(&deployment.log)? > rung).then_some(()))
        })
        .await?;
        if number == 2 {
            let answers = Answers::at_end(&deployment.api, &site).await?;
            deployment.stop().await?;
            return Ok((answers, AlertIds::of(&site.log()?)?));
        }
        deployment.stop().await?;
    }
    bail!("the recording has three parts")
}

fn alerts(log: &SharedLog) -> Result<u64> {
    let place = TopicPartition::new(topics::ALERTS, 0);
    Ok(tokio::task::block_in_place(|| log.bounds(&place))?.1)
}

async fn run(ground: &Ground, partitions: u16) -> Result<(Answers, AlertIds)> {
    let site = Site::new(ground, Time::Supplied, partitions).await?;
    let deployment = Deployment::start(&site).await?;
    let mut events = recorded(SEED, EVENTS);
    events.push(end().0);
    append(&deployment.log, singles(ALPHA, &events)).await?;
    let answers = Answers::at_end(&deployment.api, &site).await?;
    deployment.stop().await?;
    Ok((answers, AlertIds::of(&site.log()?)?))
}
