//! Goal: contents that a party says are the same, or whose pictures look the same, spread as one family, for those who may see that
//! they are.

use anyhow::{Context as _, Result};
use serde_json::Value;
use tocsin_model::{Algorithm, ContentHash, ContentId, Event, PartitionCount, Sharing};
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, ingest};
use tocsin_tests::site::{ALPHA, BETA, BETA_PLATFORM, Site, Time, deployment_key};
use tocsin_tests::traffic::{content, share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::encode_single_object;

use crate::retries::now;

const PARTITIONS: u16 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linked_contents_of_two_parties_ring_as_one_family() {
    on_each_log(async |ground| check(ground).await).await;
}

fn id(url: &str) -> ContentId {
    deployment_key().content_id(&content(url))
}

/// Two contents that live in different partitions.
fn apart(from: usize) -> (String, String) {
    let first = url(from);
    let partitions = PartitionCount::new(PARTITIONS).unwrap();
    let place = |url: &str| partitions.partition_of(id(url).group());
    let other = (from + 1..).map(url).find(|other| place(other) != place(&first));
    (first, other.unwrap())
}

/// Twelve copies of the first by alpha, which says that the second is the same; twelve of the second by beta. Neither alone rings.
async fn publish(deployment: &Deployment, from: u128, contents: &(String, String), link: Sharing) -> Result<()> {
    let mut records = Vec::new();
    for copy in 0..12 {
        let mut event = share(from + copy, "alpha-video", &contents.0, now());
        if copy == 0 {
            event = Event {
                same_as: vec![content(&contents.1)],
                sharing: link,
                ..event
            };
        }
        records.push(ingest(ALPHA, Some(encode_single_object(&event)), None));
        let event = share(from + 50 + copy, BETA_PLATFORM, &contents.1, now());
        records.push(ingest(BETA, Some(encode_single_object(&event)), None));
    }
    append(&deployment.log, records).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_that_look_the_same_ring_as_one_family() {
    on_each_log(async |ground| check_pictures(ground).await).await;
}

/// A picture's file and its PDQ hash with so many bits flipped, all in different chunks.
fn picture(file: u8, flips: u8) -> Vec<ContentHash> {
    let mut pdq = [0x1e; 32];
    (0..flips).for_each(|flip| pdq[usize::from(flip)] ^= 0x10);
    let hash =
        |algorithm, value: [u8; 32], quality| ContentHash::from_bytes(algorithm, value.to_vec(), quality).unwrap();
    let file = hash(Algorithm::Sha256, [file; 32], None);
    vec![file, hash(Algorithm::Pdq, pdq, Some(80))]
}

/// Twelve copies each of three files: two pictures 31 bits apart, and one 32 from both. The first two together ring; the third alone does
/// not.
async fn check_pictures(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Live, PARTITIONS).await?;
    let deployment = Deployment::start(&site).await?;
    let (api, keys) = (&deployment.api, &site.keys);
    let original = picture(1, 0);
    let variant = picture(2, 31);
    let mut other = picture(3, 0);
    other[1] = ContentHash::from_bytes(Algorithm::Pdq, vec![0xe1; 32], Some(80)).unwrap();
    let copies = [
        (ALPHA, "alpha-video", &original),
        (BETA, BETA_PLATFORM, &variant),
        (ALPHA, "alpha-video", &other),
    ];
    let mut records = Vec::new();
    for copy in 0..12 {
        for (number, (party, platform, content)) in (0..).zip(copies) {
            let event = Event {
                content: content.clone(),
                ..share(3_000 + number * 100 + copy, platform, "https://tests.invalid/", now())
            };
            records.push(ingest(party, Some(encode_single_object(&event)), None));
        }
    }
    append(&deployment.log, records).await?;
    let id = |content: &[ContentHash]| format!("{:032x}", deployment_key().content_id(&content[0]).0);
    for key in [&keys.alpha, &keys.beta, &keys.coordinators] {
        for (content, members, copies) in [(&original, 2, 24), (&variant, 2, 24), (&other, 1, 12)] {
            until("all its copies are counted", async || {
                let (status, answer) = api.get(key, &format!("/v1/families/{}", id(content)), &[]).await?;
                let figures = (&answer["members"], &answer["windows"][1]["exact"]);
                Ok((status == 200 && figures == (&Value::from(members), &Value::from(copies))).then_some(()))
            })
            .await?;
        }
    }
    let alert = until("the pictures ring", async || {
        Ok(api.alerts(&keys.coordinators).await?.into_iter().next())
    })
    .await?;
    let families = [id(&original), id(&variant)];
    assert!(families.iter().any(|family| alert["family"] == *family), "{alert}");
    deployment.stop().await
}

async fn check(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Live, PARTITIONS).await?;
    let deployment = Deployment::start(&site).await?;
    let (api, keys) = (&deployment.api, &site.keys);
    let public = apart(1);
    publish(&deployment, 1_000, &public, Sharing::All).await?;
    let alert = until("the family rings", async || {
        Ok(api.alerts(&keys.beta).await?.into_iter().next())
    })
    .await?;
    assert_eq!(alert["members"], 2, "{alert}");
    let family = alert["family"].as_str().context("a family has an id")?;
    let homes = [&public.0, &public.1].map(|url| format!("{:032x}", id(url).0));
    assert!(homes.iter().any(|home| home == family), "{family} of {homes:?}");
    for asked in &homes {
        for key in [&keys.alpha, &keys.beta, &keys.coordinators] {
            let answer = until("both members are counted", async || {
                let (status, answer) = api.get(key, &format!("/v1/families/{asked}"), &[]).await?;
                Ok((status == 200 && answer["windows"][1]["exact"] == 24).then_some(answer))
            })
            .await?;
            assert_eq!(
                (&answer["members"], answer["family"].as_str()),
                (&Value::from(2), Some(family)),
                "{answer}"
            );
        }
    }

    // What alpha alone may know joins for alpha alone.
    let private = apart(100);
    publish(&deployment, 2_000, &private, Sharing::Party).await?;
    let answer = until("alpha's family has both members", async || {
        let answer = api.look_up(&keys.alpha, &private.1).await?;
        Ok(answer.filter(|answer| answer["members"] == 2 && answer["windows"][1]["exact"] == 24))
    })
    .await?;
    for key in [&keys.beta, &keys.coordinators] {
        for (url, copies) in [(&private.0, 11), (&private.1, 12)] {
            let answer = until("the public copies are counted", async || {
                let answer = api.look_up(key, url).await?;
                Ok(answer.filter(|answer| answer["windows"][1]["exact"] == copies))
            })
            .await?;
            assert_eq!(answer["members"], 1, "{answer}");
        }
        let alerts = api.alerts(key).await?;
        assert!(alerts.iter().all(|alert| alert["family"] == family), "{alerts:?}");
    }
    let own = until("alpha is told", async || {
        let alerts = api.alerts(&keys.alpha).await?;
        Ok(alerts
            .into_iter()
            .find(|alert| alert["scope"] == "party" && alert["family"] == answer["family"]))
    })
    .await?;
    assert_eq!(own["members"], 2, "{own}");
    deployment.stop().await
}
