//! Goal: on both logs a party gets back its own accounts that uploaded members of a family, of whichever key groups and partitions these are: an exact
//! count of its own events, the same bytes whatever another party sends; also across a merge and a restart.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tocsin_log::{Append, TopicPartition};
use tocsin_model::{AccountPseudonym, Event, Kind, Sharing};
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, ingest};
use tocsin_tests::site::{ALPHA, ALPHA_PLATFORMS, BETA, BETA_PLATFORM, Site, Time, deployment_key};
use tocsin_tests::traffic::{content, share, url};
use tocsin_tests::wait::until;
use tocsin_wire::event::{encode_batch, encode_single_object};

use crate::retries::now;

/// Two families of so many contents each, and one content that is of none for everybody.
const MEMBERS: usize = 4;
const FAMILIES: usize = 2;
const ALONE: usize = 100;
/// So often beta uploads the first content of each family.
const BETA_COPIES: usize = 600;
/// Ingest topics have so many partitions.
const PARTITIONS: u32 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_gets_back_its_own_accounts_whatever_another_sends() {
    on_each_log(async |ground| check(ground).await).await;
}

/// Of a family, by platform and pseudonym: uploads and blocked uploads.
type Accounts = BTreeMap<(String, String), [u64; 2]>;

struct Play {
    /// The founder of each first.
    families: [Vec<String>; FAMILIES],
    truth: [Accounts; FAMILIES],
    events: u128,
}

fn id(url: &str) -> String {
    deployment_key().content_id(&content(url)).to_string()
}

impl Play {
    fn new() -> Play {
        let mut families: [Vec<String>; FAMILIES] = std::array::from_fn(|number| {
            let mut urls: Vec<String> = (number * MEMBERS..(number + 1) * MEMBERS).map(url).collect();
            urls.sort_by_key(|url| id(url));
            urls
        });
        families.sort_by_key(|family| id(&family[0]));
        Play {
            families,
            truth: Default::default(),
            events: 0,
        }
    }

    fn event(&mut self, platform: &str, url: &str, kind: Kind, account: u8) -> Event {
        self.events += 1;
        Event {
            kind,
            account: Some(AccountPseudonym([account; 16])),
            ..share(self.events, platform, url, now())
        }
    }

    /// Each content of each family comes on both of alpha's platforms, the first by many accounts, so that it rings, the others by some of them again.
    async fn alpha_uploads(&mut self, deployment: &Deployment) -> Result<()> {
        let mut records = Vec::new();
        for number in 0..FAMILIES {
            for (place, url) in self.families[number].clone().iter().enumerate() {
                let mut batch = Vec::new();
                for copy in 0..if place == 0 { 60 } else { 10 } {
                    let kind = [Kind::Upload, Kind::BlockedUpload, Kind::Share][copy % 3];
                    let (platform, account) = (ALPHA_PLATFORMS[copy % 2], (number * 80 + copy + 1) as u8);
                    let mut event = self.event(platform, url, kind, account);
                    if place > 0 {
                        event.same_as = vec![content(&self.families[number][0])];
                    }
                    if kind != Kind::Share {
                        let key = (platform.to_owned(), format!("{:02x}", account).repeat(16));
                        self.truth[number].entry(key).or_default()[copy % 3] += 1;
                    }
                    batch.push(event);
                }
                let (single, rest) = batch.split_first().context("there are some")?;
                let values = [encode_single_object(single), encode_batch(rest), encode_batch(rest)];
                // The second batch is the first sent again.
                records.extend(values.into_iter().map(|value| in_partition(ALPHA, value, place)));
            }
        }
        let alone = self.event(ALPHA_PLATFORMS[0], &url(ALONE), Kind::Upload, 0xaa);
        records.push(in_partition(ALPHA, encode_single_object(&alone), 0));
        append(&deployment.log, records).await?;
        Ok(())
    }

    /// Another party sends the same contents by accounts of its own, and says in its own view that a further one is the same.
    async fn beta_uploads(&mut self, deployment: &Deployment) -> Result<()> {
        let mut records = Vec::new();
        for number in 0..FAMILIES {
            for (place, url) in self.families[number].clone().iter().enumerate() {
                // So many of the first that the alarm is raised once more, now also with what beta sees.
                for _ in 0..if place == 0 { BETA_COPIES } else { 1 } {
                    let event = self.event(BETA_PLATFORM, url, Kind::Upload, 0);
                    let event = Event {
                        account: Some(AccountPseudonym(self.events.to_be_bytes())),
                        ..event
                    };
                    records.push(in_partition(BETA, encode_single_object(&event), place));
                }
            }
            // One that is not its own: refused.
            let stolen = self.event(
                ALPHA_PLATFORMS[0],
                &self.families[number][0].clone(),
                Kind::Upload,
                0xbb,
            );
            records.push(in_partition(BETA, encode_single_object(&stolen), 0));
        }
        for _ in 0..5 {
            let event = self.event(BETA_PLATFORM, &url(ALONE), Kind::Upload, 0xb0);
            let event = Event {
                sharing: Sharing::Party,
                same_as: vec![content(&self.families[0][0])],
                ..event
            };
            records.push(in_partition(BETA, encode_single_object(&event), 0));
        }
        append(&deployment.log, records).await?;
        Ok(())
    }
}

fn in_partition(party: &str, value: Vec<u8>, number: usize) -> Append {
    let record = ingest(party, Some(value), None);
    Append {
        to: TopicPartition::new(record.to.topic.clone(), number as u32 % PARTITIONS),
        ..record
    }
}

/// The case of a family, wherever it went.
async fn case_of(deployment: &Deployment, key: &str, founder: &str) -> Result<Value> {
    until("the family has a case", async || {
        for state in ["open", "claimed", "decided", "merged"] {
            let queue = deployment.api.read(key, "/v1/queue", &[("state", state)]).await?;
            let cases = queue["cases"].as_array().cloned().unwrap_or_default();
            if let Some(case) = cases.into_iter().find(|case| case["family"] == id(founder).as_str()) {
                return Ok(Some(case));
            }
        }
        Ok(None)
    })
    .await
}

/// Page after page, put together; and the pages without the times at which they were told.
async fn accounts(deployment: &Deployment, key: &str, case: &Value, limit: &str) -> Result<(Accounts, u64, String)> {
    let path = format!(
        "/v1/cases/{}/accounts",
        case["id"].as_str().context("a case has an id")?
    );
    let (mut found, mut said, mut after) = (Accounts::new(), String::new(), None::<String>);
    loop {
        let mut query = vec![("limit", limit)];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let mut page = deployment.api.read(key, &path, &query).await?;
        for account in page["accounts"].as_array().context("a list")? {
            let text = |name: &str| account[name].as_str().unwrap_or_default().to_owned();
            let counts = found.entry((text("platform"), text("account"))).or_default();
            for (count, name) in counts.iter_mut().zip(["uploads", "blocked_uploads"]) {
                *count += account[name].as_u64().context("a count")?;
            }
        }
        page["as_of"] = Value::Null;
        said.push_str(&page.to_string());
        after = Some(page["next"].as_str().context("where it goes on")?.to_owned());
        if page["more"] == false {
            return Ok((found, page["members"].as_u64().context("a count")?, said));
        }
    }
}

/// What is told of a family's case once all its members are known.
async fn whole(deployment: &Deployment, key: &str, case: &Value, members: u64) -> Result<(Accounts, String)> {
    until(&format!("{members} members are known"), async || {
        let (found, known, said) = accounts(deployment, key, case, "1000").await?;
        Ok((known == members).then_some((found, said)))
    })
    .await
}

async fn check(ground: &Ground) -> Result<()> {
    let mut play = Play::new();
    let site = Site::new(ground, Time::Live, 4).await?;
    let deployment = Deployment::start(&site).await?;
    let (alpha, beta) = (&site.keys.alpha, &site.keys.beta);
    play.alpha_uploads(&deployment).await?;
    let mut cases = Vec::new();
    let mut told = Vec::new();
    for number in 0..FAMILIES {
        let case = case_of(&deployment, alpha, &play.families[number][0]).await?;
        let (found, said) = whole(&deployment, alpha, &case, MEMBERS as u64).await?;
        ensure!(found == play.truth[number], "{found:?} is not {:?}", play.truth[number]);
        ensure!(!said.contains(&"aa".repeat(16)), "what is no member is not looked for");
        cases.push(case);
        told.push(said);
    }
    let (paged, ..) = accounts(&deployment, alpha, &cases[0], "2").await?;
    // What was sent again counts in each page that it stands in.
    ensure!(paged.keys().eq(play.truth[0].keys()), "{paged:?}");

    play.beta_uploads(&deployment).await?;
    for number in 0..FAMILIES {
        let case = case_of(&deployment, beta, &play.families[number][0]).await?;
        let members = MEMBERS as u64 + u64::from(number == 0);
        let (theirs, said) = whole(&deployment, beta, &case, members).await?;
        ensure!(theirs.keys().all(|(platform, _)| platform == BETA_PLATFORM), "{said}");
        let accounts = BETA_COPIES + (MEMBERS - 1) + usize::from(number == 0);
        ensure!(theirs.len() == accounts, "{} accounts, not {accounts}", theirs.len());
        let (_, again) = whole(&deployment, alpha, &cases[number], MEMBERS as u64).await?;
        ensure!(again == told[number], "{again} is not {}", told[number]);
    }

    // The two families become one: both ids answer for all of it, also after a restart.
    let hash = |url: &str| json!({ "algorithm": "url", "value": url });
    let body = json!({ "content": hash(&play.families[1][0]), "with": hash(&play.families[0][0]) });
    deployment.api.act(&site.keys.coordinators, "/v1/links", &body).await?;
    let mut both = play.truth[0].clone();
    both.extend(play.truth[1].clone());
    let (found, said) = whole(&deployment, alpha, &cases[0], 2 * MEMBERS as u64).await?;
    ensure!(found == both, "{found:?} is not {both:?}");
    until("the other case went into it", async || {
        let (_, by_old_id) = whole(&deployment, alpha, &cases[1], 2 * MEMBERS as u64).await?;
        Ok((by_old_id == said).then_some(()))
    })
    .await?;
    deployment.stop().await?;
    let deployment = Deployment::start(&site).await?;
    for case in &cases {
        let (found, _) = until("who belongs to whom is read again", async || {
            let path = format!("/v1/cases/{}/accounts", case["id"].as_str().unwrap_or_default());
            let (status, _) = deployment.api.get(alpha, &path, &[]).await?;
            match status {
                503 => Ok(None),
                _ => whole(&deployment, alpha, case, 2 * MEMBERS as u64).await.map(Some),
            }
        })
        .await?;
        ensure!(found == both, "{found:?} is not {both:?}");
    }
    deployment.stop().await
}
