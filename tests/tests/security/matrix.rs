//! Every kind of key, asking every route about everything.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde::Deserialize;
use tocsin::serve::open_store;
use tocsin_store::{KeySubject, Role, Roles};
use tocsin_tests::api::Api;
use tocsin_tests::site::{ALPHA, BETA, Site};

use crate::table::{Row, Table};

/// For whom a key speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Operator,
    Coordinators,
    Alpha,
    Beta,
}

/// Whose a thing is: with whom its events were shared, or whose case it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    All,
    Coordinators,
    Alpha,
    Beta,
}

/// What happened, by kind and by whose it is; the first text of each is its id, a second one its hash.
pub type Things = BTreeMap<&'static str, BTreeMap<Whose, Vec<String>>>;

/// The keys: one of each subject in each role alone, and texts that are no good key.
pub struct Matrix {
    keys: Vec<(Subject, Role, String)>,
    outsiders: Vec<(&'static str, Option<String>)>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub answers: u64,
    pub wrong_grants: Vec<String>,
    pub wrong_refusals: Vec<String>,
    pub tested: BTreeSet<String>,
}

/// What a key is answered, as far as access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answered {
    Unauthenticated,
    Forbidden,
    Unseen,
    /// Whatever else came of it: the route did its work, or found a fault in what was asked.
    Granted,
}

impl Subject {
    const ALL: [Subject; 4] = [Subject::Operator, Subject::Coordinators, Subject::Alpha, Subject::Beta];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Operator => "operator",
            Subject::Coordinators => "coordinators",
            Subject::Alpha => ALPHA,
            Subject::Beta => BETA,
        }
    }
}

impl Found {
    pub fn add(&mut self, other: Found) {
        self.answers += other.answers;
        self.wrong_grants.extend(other.wrong_grants);
        self.wrong_refusals.extend(other.wrong_refusals);
        self.tested.extend(other.tested);
    }
}

impl Matrix {
    pub async fn issue(site: &Site) -> Result<Matrix> {
        let store = open_store(&site.config()?).await?;
        let alpha = store.party_named(&ALPHA.parse()?).await?.id;
        let beta = store.party_named(&BETA.parse()?).await?.id;
        let mut keys = Vec::new();
        for subject in Subject::ALL {
            let of = match subject {
                Subject::Operator => KeySubject::Operator,
                Subject::Coordinators => KeySubject::Coordinators,
                Subject::Alpha => KeySubject::Party(alpha),
                Subject::Beta => KeySubject::Party(beta),
            };
            for role in Role::ALL {
                let (_, key) = store.issue_key(of, Roles::of(&[role])).await?;
                keys.push((subject, role, key.expose().to_owned()));
            }
        }
        let (revoked, revoked_key) = store.issue_key(KeySubject::Coordinators, Roles::all()).await?;
        store.revoke_key(revoked).await?;
        let gamma = store.add_party(&"gamma".parse()?, &["gamma".parse()?]).await?.id;
        let (_, of_gamma) = store.issue_key(KeySubject::Party(gamma), Roles::all()).await?;
        store.revoke_party(gamma).await?;
        store.close().await;
        // Another secret under the id of a good key.
        let mut forged = keys[0].2.clone();
        let last = if forged.ends_with('0') { '1' } else { '0' };
        forged.pop();
        forged.push(last);
        let outsiders = vec![
            ("no key", None),
            ("no form of a key", Some("tocsin_00".to_owned())),
            ("a wrong secret", Some(forged)),
            ("a revoked key", Some(revoked_key.expose().to_owned())),
            ("a revoked party's key", Some(of_gamma.expose().to_owned())),
        ];
        Ok(Matrix { keys, outsiders })
    }

    /// What coordinators alone do with an incident is refused to those who take part in it, whoever is named in the body.
    pub async fn play_participant(&self, api: &Api, table: &Table, incident: &str) -> Result<Found> {
        let client = reqwest::Client::new();
        let mut found = Found::default();
        let of_alpha =
            |(subject, role, _): &&(Subject, Role, String)| (*subject, *role) == (Subject::Alpha, Role::Moderator);
        let (_, _, key) = self.keys.iter().find(of_alpha).context("alpha has a moderator")?;
        for row in table.routes.iter().filter(|row| row.object == "incident") {
            for party in ["nobody", BETA] {
                let body = row.body.as_ref().map(|body| body.replace("nobody", party));
                let mut row = row.clone();
                row.body = body;
                let asked = format!("{} as a participant, about {party}", row.route);
                let (answered, _) = ask(&client, api, &row, &[incident.to_owned()], Some(key)).await?;
                found.hold(asked, Answered::Forbidden, answered);
            }
        }
        Ok(found)
    }

    pub async fn play(&self, api: &Api, table: &Table, things: &Things) -> Result<Found> {
        let client = reqwest::Client::new();
        let mut found = Found::default();
        for row in &table.routes {
            let objects: Vec<(Whose, &[String])> = match row.object.as_str() {
                "none" => vec![(Whose::All, &[])],
                kind => {
                    let of_kind = things
                        .get(kind)
                        .with_context(|| format!("{kind} is no kind of thing"))?;
                    of_kind
                        .iter()
                        .map(|(whose, texts)| (*whose, texts.as_slice()))
                        .collect()
                }
            };
            found.tested.insert(row.route.clone());
            for (whose, texts) in objects {
                for (subject, role, key) in &self.keys {
                    let wanted = match (row.is_public() || row.lets(*subject, role.name()), row.object.as_str()) {
                        (false, _) => Answered::Forbidden,
                        (true, "none") => Answered::Granted,
                        (true, kind) if table.sees(*subject, kind, whose) => Answered::Granted,
                        (true, _) => Answered::Unseen,
                    };
                    let asked = format!("{} as {} {} of {whose:?}", row.route, subject.name(), role.name());
                    let (answered, body) = ask(&client, api, row, texts, Some(key)).await.context(asked.clone())?;
                    found.hold(asked.clone(), wanted, answered);
                    for told in hidden(table, things, *subject).filter(|text| body.contains(text.as_str())) {
                        // What was asked for by name is named in a refusal too.
                        if !texts.contains(told) {
                            found.wrong_grants.push(format!("{asked}: the answer names {told}"));
                        }
                    }
                }
                for (what, key) in &self.outsiders {
                    let asked = format!("{} with {what} of {whose:?}", row.route);
                    let (answered, _) = ask(&client, api, row, texts, key.as_deref())
                        .await
                        .context(asked.clone())?;
                    let wanted = if row.is_public() {
                        Answered::Granted
                    } else {
                        Answered::Unauthenticated
                    };
                    found.hold(asked, wanted, answered);
                }
            }
        }
        Ok(found)
    }
}

impl Found {
    fn hold(&mut self, asked: String, wanted: Answered, answered: Answered) {
        self.answers += 1;
        let told = format!("{asked}: {answered:?}, not {wanted:?}");
        match answered.cmp(&wanted) {
            std::cmp::Ordering::Equal => {}
            // More was said than should be: that a thing is not there says more than that one may not ask.
            std::cmp::Ordering::Greater => self.wrong_grants.push(told),
            std::cmp::Ordering::Less => self.wrong_refusals.push(told),
        }
    }
}

/// The ids and hashes of what somebody may not see. A case's id is its team's alone, as is an alert's.
fn hidden<'a>(table: &'a Table, things: &'a Things, subject: Subject) -> impl Iterator<Item = &'a String> {
    let of_kinds = things
        .iter()
        .flat_map(|(kind, of_kind)| of_kind.iter().map(move |(whose, texts)| (*kind, *whose, texts)));
    of_kinds
        .filter(move |(kind, whose, _)| !table.sees(subject, kind, *whose))
        .flat_map(|(_, _, texts)| texts)
}

async fn ask(
    client: &reqwest::Client,
    api: &Api,
    row: &Row,
    texts: &[String],
    key: Option<&str>,
) -> Result<(Answered, String)> {
    let (method, path) = row.route.split_once(' ').context("a route is a method and a path")?;
    let id = texts.first().map_or("", String::as_str);
    let path = path.replace("{id}", id).replace("{bank}", "HOT_FAMILIES");
    let path = path.replace("{number}", "1").replace("{day}", "no-day");
    ensure!(
        !path.contains('{'),
        "say what {path} is asked about, in tests/tests/security/matrix.rs"
    );
    let hash = texts.get(1).map_or("", String::as_str);
    let query = row.query.replace("URL", hash).replace("ID", id);
    let mut request = client.request(
        Method::from_bytes(method.as_bytes())?,
        format!("{}{path}?{query}", api.base),
    );
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    if let Some(body) = &row.body {
        request = request
            .header("content-type", "application/json")
            .body(body.replace("ID", id));
    }
    let response = request.send().await?;
    let status = response.status().as_u16();
    let is_stream = response
        .headers()
        .get("content-type")
        .is_some_and(|kind| kind == "text/event-stream");
    // A stream has no end; what it tells is held to its reader's scope by tests of its own.
    let body = if is_stream {
        String::new()
    } else {
        response.text().await?
    };
    let answered = match status {
        401 => Answered::Unauthenticated,
        403 => Answered::Forbidden,
        404 => Answered::Unseen,
        // A service that is not there says nothing of who may ask it.
        500 | 502..=599 => anyhow::bail!("it is answered {status}: {body}"),
        _ => Answered::Granted,
    };
    Ok((answered, body))
}
