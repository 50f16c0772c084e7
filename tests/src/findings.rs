//! Everything a deployment found in recorded traffic, to be compared between runs.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tocsin_log::SharedLog;
use tocsin_wire::topics;

use crate::api::Api;
use crate::records::values;
use crate::site::Site;
use crate::traffic;
use crate::wait::until;

/// What readers are told once a recording has ended.
#[derive(Debug, PartialEq)]
pub struct Answers(BTreeMap<(&'static str, String), Value>);

/// The ids of all alerts on the log, ascending, each as often as it stands there.
#[derive(Debug, PartialEq)]
pub struct AlertIds(pub Vec<u128>);

impl Answers {
    /// Waits until the deployment has counted everything before the end of the recording, and asks for every content.
    ///
    /// # Errors
    /// It does not come to the end.
    pub async fn at_end(api: &Api, site: &Site) -> Result<Answers> {
        let (_, as_of) = traffic::end();
        let readers = [
            ("alpha", &site.keys.alpha),
            ("beta", &site.keys.beta),
            ("coordinators", &site.keys.coordinators),
        ];
        let mut answers = BTreeMap::new();
        for url in traffic::urls() {
            for (reader, key) in readers {
                // Accounts of others' platforms stay as they were told first in a minute, so nobody asks for them before.
                let counted = until("everything is counted", async || {
                    let count = api.count(key, &url).await?;
                    Ok(count.filter(|count| count["as_of"] == as_of))
                });
                counted.await.with_context(|| format!("{reader} asks for {url}"))?;
                let answer = until("accounts are told of that time", async || {
                    let answer = api.look_up(key, &url).await?;
                    let told = |name: &str| answer.as_ref().map(|answer| answer[name].clone());
                    let is_of_the_end = told("as_of").is_some_and(|at| at == as_of)
                        && told("reach_as_of").is_some_and(|at| at.is_null() || at == as_of);
                    Ok(answer.filter(|_| is_of_the_end))
                });
                let answer = answer.await.with_context(|| format!("{reader} asks for {url}"))?;
                answers.insert((reader, url.clone()), figures(&answer));
            }
        }
        Ok(Answers(answers))
    }

    /// How many events of the 24 hours are counted exactly, over all contents, for one reader.
    pub fn spread_24h(&self, reader: &str) -> u64 {
        let of_reader = self.0.iter().filter(|((who, _), _)| *who == reader);
        of_reader
            .filter_map(|(_, answer)| answer["windows"][2]["exact"].as_u64())
            .sum()
    }
}

impl AlertIds {
    /// Reads them, once nobody writes any more.
    ///
    /// # Errors
    /// The log holds something else.
    pub fn of(log: &SharedLog) -> Result<AlertIds> {
        let mut ids = Vec::new();
        for value in values(log, topics::ALERTS)? {
            ids.push(tocsin_wire::alert::decode(&value)?.alert.id.0);
        }
        ids.sort_unstable();
        Ok(AlertIds(ids))
    }

    /// Fails, naming what differs, unless these are the ids of `others`, each as often.
    ///
    /// # Errors
    /// They are not.
    pub fn must_equal(&self, others: &AlertIds) -> Result<()> {
        let without = |ids: &AlertIds, taken: &AlertIds| {
            let mut left = ids.0.clone();
            for id in &taken.0 {
                if let Some(index) = left.iter().position(|other| other == id) {
                    left.remove(index);
                }
            }
            left
        };
        let (more, fewer) = (without(self, others), without(others, self));
        let again = more.iter().filter(|id| others.0.contains(id)).count();
        ensure!(
            more.is_empty() && fewer.is_empty(),
            "alerts too many: {more:x?} (of which {again} stand there more than once), too few: {fewer:x?}"
        );
        Ok(())
    }
}

/// What of an answer does not depend on when it was given.
fn figures(answer: &Value) -> Value {
    let fields = [
        "state",
        "family",
        "members",
        "first_seen",
        "last_seen",
        "exact_since",
        "windows",
        "surfaces_24h",
        "reach",
    ];
    let figures = fields.iter().map(|name| ((*name).to_owned(), answer[*name].clone()));
    Value::Object(figures.collect())
}
