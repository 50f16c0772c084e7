//! Goal: every decision reaches every member of its family, those that it has and those that come, while roles end between the steps; so does one
//! that overturns it, and what is excepted is left out.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tocsin::serve::open_store;
use tocsin_casework::Team;
use tocsin_model::{ContentId, Event};
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, ingest};
use tocsin_tests::site::{ALPHA, BETA, BETA_PLATFORM, Site, Time, deployment_key};
use tocsin_tests::traffic::{content, share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::encode_single_object;

use crate::retries::now;

/// So many contents each family has in the end.
const MEMBERS: usize = 9;
const FAMILIES: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_decision_reaches_all_members_present_and_future_across_restarts() {
    on_each_log(async |ground| check(ground).await).await;
}

/// A family whose contents come one after the other, and what was decided about it last.
struct Family {
    urls: Vec<String>,
    came: usize,
    decision: Option<String>,
    excepted: BTreeSet<ContentId>,
}

fn id(url: &str) -> ContentId {
    deployment_key().content_id(&content(url))
}

struct Play {
    families: Vec<Family>,
    events: u128,
}

impl Play {
    /// The order of the ids is that in which contents came, but for one that comes late: it gives the family its id.
    fn new() -> Play {
        let family = |number: usize| {
            let mut urls: Vec<String> = (number * MEMBERS..(number + 1) * MEMBERS).map(url).collect();
            urls.sort_by_key(|url| id(url));
            let newcomer = urls.remove(0);
            urls.insert(MEMBERS - 2, newcomer);
            Family {
                urls,
                came: 0,
                decision: None,
                excepted: BTreeSet::new(),
            }
        };
        Play {
            families: (0..FAMILIES).map(family).collect(),
            events: 0,
        }
    }

    /// So many contents of each family come; the first spreads, and the others are said to be the same.
    async fn come(&mut self, deployment: &Deployment, count: usize) -> Result<()> {
        let mut records = Vec::new();
        for family in &mut self.families {
            for place in family.came..family.came + count {
                let copies = if place == 0 { 40 } else { 2 };
                for copy in 0..copies {
                    self.events += 1;
                    let (party, platform) = [(ALPHA, "alpha-video"), (BETA, BETA_PLATFORM)][copy % 2];
                    let mut event: Event = share(self.events, platform, &family.urls[place], now());
                    if place > 0 {
                        event.same_as = vec![content(&family.urls[0])];
                    }
                    records.push(ingest(party, Some(encode_single_object(&event)), None));
                }
            }
            family.came += count;
        }
        append(&deployment.log, records).await?;
        Ok(())
    }

    /// Decides about each family as one does who finds it by a content of it.
    async fn decide(&mut self, deployment: &Deployment, key: &str, verdict: &str, except: Option<usize>) -> Result<()> {
        for family in &mut self.families {
            let case = case_of(deployment, key, family).await?;
            let path = format!("/v1/cases/{}", case["id"].as_str().context("a case has an id")?);
            let claimed = deployment.api.act(key, &format!("{path}/claim"), &json!({})).await?;
            let excepted: Vec<String> = except
                .iter()
                .map(|place| id(&family.urls[*place]).to_string())
                .collect();
            let decision = json!({
                "fencing": claimed["fencing"], "verdict": verdict, "rationale": "a test", "exceptions": excepted,
            });
            let decided = deployment.api.act(key, &format!("{path}/decision"), &decision).await?;
            ensure!(decided["state"] == "decided", "{decided}");
            family.decision = decided["decision"]["id"].as_str().map(str::to_owned);
            family.excepted = except.iter().map(|place| id(&family.urls[*place])).collect();
        }
        Ok(())
    }

    /// All that came and are not excepted were told of what stands, and nobody of anything else.
    async fn all_are_told(
        &self,
        site: &Site,
        team: Team,
        verdict: &str,
        deployment: &Deployment,
        key: &str,
    ) -> Result<()> {
        let store = open_store(&site.config()?).await?;
        for (number, family) in self.families.iter().enumerate() {
            let wanted: BTreeSet<ContentId> = family.urls[..family.came].iter().map(|url| id(url)).collect();
            let wanted: Vec<ContentId> = wanted.difference(&family.excepted).copied().collect();
            until(&format!("{verdict}: all of family {number} are told"), async || {
                let standing = case_of(deployment, key, family).await?["decision"]["id"].clone();
                let told = store.member_decisions(team, &wanted).await?;
                let told: BTreeMap<ContentId, String> = told
                    .into_iter()
                    .map(|(content, decision)| (content, format!("{:032x}", decision.0)))
                    .collect();
                let unfanned = wanted
                    .iter()
                    .filter(|content| told.get(content).is_none_or(|told| standing != told.as_str()));
                Ok((unfanned.count() == 0).then_some(()))
            })
            .await?;
            let excepted: Vec<ContentId> = family.excepted.iter().copied().collect();
            let told = store.member_decisions(team, &excepted).await?;
            let told_this = told
                .values()
                .any(|told| Some(format!("{:032x}", told.0)) == family.decision);
            ensure!(!told_this, "what is excepted is not told");
        }
        store.close().await;
        Ok(())
    }
}

/// The case of the family, wherever it went.
async fn case_of(deployment: &Deployment, key: &str, family: &Family) -> Result<Value> {
    until("the family has a case", async || {
        for state in ["open", "claimed", "decided"] {
            let queue = deployment.api.read(key, "/v1/queue", &[("state", state)]).await?;
            let cases = queue["cases"].as_array().cloned().unwrap_or_default();
            let of_family = |case: &Value| family.urls.iter().any(|url| case["family"] == id(url).to_string());
            if let Some(case) = cases.into_iter().find(of_family) {
                return Ok(Some(case));
            }
        }
        Ok(None)
    })
    .await
}

async fn restart(deployment: Deployment, site: &Site) -> Result<Deployment> {
    deployment.stop().await?;
    Deployment::start(site).await
}

async fn check(ground: &Ground) -> Result<()> {
    let mut play = Play::new();
    let site = Site::with(ground, Time::Live, 4, &[("dispatcher.undo_s", "0")]).await?;
    let key = site.keys.coordinators.clone();
    let mut deployment = Deployment::start(&site).await?;
    play.come(&deployment, 3).await?;
    play.decide(&deployment, &key, "violating", Some(2)).await?;
    // The decision may not be out yet, and what comes may not be known yet.
    play.come(&deployment, 2).await?;
    deployment = restart(deployment, &site).await?;
    play.all_are_told(&site, Team::Coordinators, "violating", &deployment, &key)
        .await?;
    play.come(&deployment, 2).await?;
    play.all_are_told(&site, Team::Coordinators, "later ones", &deployment, &key)
        .await?;

    // Overturned, and one comes that gives the family another id.
    play.decide(&deployment, &key, "benign", None).await?;
    deployment = restart(deployment, &site).await?;
    play.come(&deployment, MEMBERS - 7).await?;
    deployment = restart(deployment, &site).await?;
    play.all_are_told(&site, Team::Coordinators, "overturned", &deployment, &key)
        .await?;
    for family in &play.families {
        let case = case_of(&deployment, &key, family).await?;
        ensure!(case["family"] == id(&family.urls[MEMBERS - 2]).to_string(), "{case}");
        ensure!(
            case["state"] == "decided" && case["decision"]["verdict"] == "benign",
            "{case}"
        );
    }
    deployment.stop().await
}
