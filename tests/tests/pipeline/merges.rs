//! Goal: families of several partitions become one, in whatever order, and are parted again by a person, while roles end between the steps and
//! the number of partitions changes; every id goes on answering, and totals are those of an exact count.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::json;
use tocsin_detector::Repartitioned;
use tocsin_model::Event;
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, ingest};
use tocsin_tests::site::{ALPHA, BETA, BETA_PLATFORM, Site, Time, deployment_key};
use tocsin_tests::traffic::{content, share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::encode_single_object;

use crate::retries::now;

/// Three families each, of three contents each; which joins which, first and then: by the places of their founders, ascending by id.
const ORDERS: [[(usize, usize); 2]; 3] = [[(1, 0), (2, 0)], [(2, 1), (1, 0)], [(2, 0), (2, 1)]];
const FAMILIES: usize = 3;
const MEMBERS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn families_become_one_in_any_order_and_are_parted_across_restarts_and_other_partitions() {
    on_each_log(async |ground| check(ground).await).await;
}

/// What is true: which content belongs to whom, and how often each was shared.
struct Truth {
    /// Of each order three families; of each its contents by URL, the founder first.
    urls: Vec<[Vec<String>; FAMILIES]>,
    /// The family of each content, by the founder's URL.
    family: BTreeMap<String, String>,
    copies: BTreeMap<String, u64>,
    events: u128,
}

fn id(url: &str) -> String {
    format!("{:032x}", deployment_key().content_id(&content(url)).0)
}

impl Truth {
    fn new() -> Truth {
        let mut number = 0;
        let mut one_family = || {
            number += MEMBERS;
            let mut urls: Vec<String> = (number - MEMBERS..number).map(url).collect();
            urls.sort_by_key(|url| id(url));
            urls
        };
        let one_order = |_: &[(usize, usize); 2]| {
            let mut families: [Vec<String>; FAMILIES] = std::array::from_fn(|_| one_family());
            families.sort_by_key(|family| id(&family[0]));
            families
        };
        let urls: Vec<[Vec<String>; FAMILIES]> = ORDERS.iter().map(one_order).collect();
        let of = urls.iter().flatten();
        let family = of.flat_map(|family| family.iter().map(|url| (url.clone(), family[0].clone())));
        Truth {
            family: family.collect(),
            urls,
            copies: BTreeMap::new(),
            events: 0,
        }
    }

    /// Shares every content so often, by two parties; the first time a member says that it is the same as its founder.
    async fn publish(&mut self, deployment: &Deployment, times: usize) -> Result<()> {
        let mut records = Vec::new();
        for (url, founder) in &self.family {
            for time in 0..times {
                self.events += 1;
                let (party, platform) = [(ALPHA, "alpha-video"), (BETA, BETA_PLATFORM)][time % 2];
                let mut event = share(self.events, platform, url, now());
                if !self.copies.contains_key(url) && url != founder {
                    event = Event {
                        same_as: vec![content(founder)],
                        ..event
                    };
                }
                records.push(ingest(party, Some(encode_single_object(&event)), None));
                *self.copies.entry(url.clone()).or_default() += 1;
            }
        }
        append(&deployment.log, records).await?;
        Ok(())
    }

    /// A coordinator says that two contents are the same: their families become one.
    async fn merge(&mut self, deployment: &Deployment, site: &Site, (one, other): (&str, &str)) -> Result<()> {
        let mut founders = [one, other].map(|url| self.family[url].clone());
        founders.sort_by_key(|url| id(url));
        let [into, joins] = founders;
        let hash = |url: &str| json!({ "algorithm": "url", "value": url });
        let body = json!({ "content": hash(&joins), "with": hash(&into) });
        let answer = deployment.api.act(&site.keys.coordinators, "/v1/links", &body).await?;
        ensure!(answer["family"] == id(&into), "{answer}");
        for family in self.family.values_mut().filter(|family| **family == joins) {
            family.clone_from(&into);
        }
        Ok(())
    }

    /// A coordinator says that a content is none of its family.
    async fn part(&mut self, deployment: &Deployment, site: &Site, url: &str) -> Result<()> {
        let body = json!({ "content": { "algorithm": "url", "value": url } });
        deployment.api.act(&site.keys.coordinators, "/v1/links", &body).await?;
        self.family.insert(url.to_owned(), url.to_owned());
        Ok(())
    }

    /// A coordinator says that the family of the highest id is none of the one it is in: of its members all but the one that a person put there go
    /// back with its founder.
    async fn part_family(&mut self, deployment: &Deployment, site: &Site, place: usize) -> Result<()> {
        let [founder, by_person, others @ ..] = &self.urls[place][2][..] else {
            return Ok(());
        };
        let body = json!({ "content": { "algorithm": "url", "value": founder }, "out": "family" });
        deployment.api.act(&site.keys.coordinators, "/v1/links", &body).await?;
        ensure!(self.family[by_person] != *founder);
        for url in [founder].into_iter().chain(others) {
            self.family.insert(url.clone(), founder.clone());
        }
        Ok(())
    }

    /// Every content's id answers for the family it belongs to now, with exact totals.
    async fn hold(&self, deployment: &Deployment, site: &Site, when: &str) -> Result<()> {
        for (url, founder) in &self.family {
            let members = self.family.iter().filter(|(_, of)| *of == founder);
            let (count, copies) = members.fold((0, 0), |(count, copies), (member, _)| {
                (count + 1, copies + self.copies[member])
            });
            let path = format!("/v1/families/{}", id(url));
            until(
                &format!("{when}: {url} has {count} members and {copies} copies"),
                async || {
                    let (status, answer) = deployment.api.get(&site.keys.coordinators, &path, &[]).await?;
                    let day = &answer["windows"][2];
                    let spread = (&day["spread"]["low"], &day["spread"]["high"]);
                    let is_exact = day["exact"] == copies && spread == (&json!(copies), &json!(copies));
                    let is_family = answer["family"] == id(founder) && answer["members"] == count;
                    Ok((status == 200 && is_exact && is_family).then_some(()))
                },
            )
            .await?;
        }
        Ok(())
    }
}

async fn check(ground: &Ground) -> Result<()> {
    let mut truth = Truth::new();
    let mut site = Site::new(ground, Time::Live, 4).await?;
    let mut deployment = Deployment::start(&site).await?;
    truth.publish(&deployment, 4).await?;
    truth.hold(&deployment, &site, "at first").await?;
    for (step, partitions) in [(0, None), (1, Some(8))] {
        for (place, order) in ORDERS.iter().enumerate() {
            let (one, other) = order[step];
            let [one, other] = [one, other].map(|family| truth.urls[place][family][0].clone());
            truth.merge(&deployment, &site, (&one, &other)).await?;
        }
        // What they say to one another may be under way.
        deployment = restart(deployment, &mut site, partitions).await?;
        truth.publish(&deployment, 3).await?;
        truth.hold(&deployment, &site, "families became one").await?;
    }
    let families: std::collections::BTreeSet<&String> = truth.family.values().collect();
    ensure!(
        families.len() == ORDERS.len(),
        "each order leads to one family: {families:?}"
    );

    // A member of the family that joined last, and the founder of another one.
    let parted: Vec<String> = truth
        .urls
        .iter()
        .flat_map(|families| [families[2][1].clone(), families[1][0].clone()])
        .collect();
    for url in &parted {
        truth.part(&deployment, &site, url).await?;
    }
    truth.hold(&deployment, &site, "parted").await?;
    deployment = restart(deployment, &mut site, Some(2)).await?;
    // What is found goes after what a person said.
    truth.publish(&deployment, 2).await?;
    truth.hold(&deployment, &site, "parted and started again").await?;
    for url in &parted {
        let back = truth
            .urls
            .iter()
            .find(|families| families.iter().flatten().any(|of| of == url));
        let into = back.map(|families| families[0][0].clone()).unwrap_or_default();
        truth.merge(&deployment, &site, (url, &into)).await?;
    }
    truth.publish(&deployment, 1).await?;
    truth.hold(&deployment, &site, "put back").await?;

    // The last family of each order is none of it after all: those that came by its founder go back.
    for place in 0..ORDERS.len() {
        truth.part_family(&deployment, &site, place).await?;
    }
    deployment = restart(deployment, &mut site, Some(4)).await?;
    truth.publish(&deployment, 1).await?;
    truth.hold(&deployment, &site, "families parted").await?;
    deployment.stop().await
}

/// Ends all roles, changes the number of partitions where one is given, and starts them from their state.
async fn restart(deployment: Deployment, site: &mut Site, partitions: Option<u16>) -> Result<Deployment> {
    deployment.stop().await?;
    if let Some(partitions) = partitions {
        let moved = tokio::task::block_in_place(|| site.repartition(partitions))?;
        ensure!(
            matches!(moved, Repartitioned::Moved { records, .. } if records > 0),
            "{moved:?}"
        );
    }
    Deployment::start(site).await
}
