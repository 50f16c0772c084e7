//! Goal: one recorded order gives the same alerts and the same answers, however many partitions carry it and on either log.

use anyhow::Result;
use tocsin_tests::deployment::Deployment;
use tocsin_tests::findings::{AlertIds, Answers};
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, singles};
use tocsin_tests::site::{ALPHA, Site, Time};
use tocsin_tests::traffic::{end, recorded};

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
