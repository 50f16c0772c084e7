//! What one reader sees, and by how much two views of it differ.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_wire::document::instant;

use super::history::Side;
use super::replay::{Replay, spreading};
use crate::bench::Running;
use crate::receiver::Receiver;
use crate::sse::Reading;

/// What a leak is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    Queue,
    Ids,
    Cases,
    Clocks,
    Stream,
    Deliveries,
}

/// An answer: status, entity tag and body.
pub struct Taken {
    pub status: u16,
    pub etag: String,
    pub body: String,
}

impl Area {
    pub const ALL: [Area; 6] = [
        Area::Queue,
        Area::Ids,
        Area::Cases,
        Area::Clocks,
        Area::Stream,
        Area::Deliveries,
    ];
}

/// Texts by what they were seen of.
pub type Seen = BTreeMap<(Area, String), String>;

/// Everything that was seen, in the order in which it was asked.
#[derive(Default)]
pub struct View(Vec<(Area, String, String)>);

/// The headers of a delivery that say when it was tried, by the machine's clock, and where to: a port that the system chose.
const OF_THE_TRY: [&str; 3] = ["webhook-timestamp", "webhook-signature", "host"];

/// What is asked whoever it is.
const PAGES: [(Area, &str); 31] = [
    (Area::Queue, "/v1/queue?limit=200"),
    (Area::Queue, "/v1/queue?limit=2"),
    (Area::Queue, "/v1/queue?state=claimed&limit=200"),
    (Area::Queue, "/v1/queue?state=decided&limit=200"),
    (Area::Queue, "/v1/queue?state=closed&limit=200"),
    (Area::Queue, "/v1/queue?state=merged&limit=200"),
    (Area::Queue, "/v1/queue?lane=live"),
    (Area::Queue, "/v1/queue?lane=watch_listed"),
    (Area::Queue, "/v1/queue?lane=notices"),
    (Area::Queue, "/v1/queue?lane=appeals"),
    (Area::Queue, "/v1/queue?lane=general"),
    (Area::Queue, "/v1/queue?desk=legal"),
    (Area::Queue, "/v1/queue?platform=beta-chat"),
    (Area::Queue, "/v1/queue?platform=alpha-video"),
    (Area::Queue, "/v1/queue?severity_min=1"),
    (Area::Queue, "/v1/queue?region=NZ"),
    (Area::Cases, "/v1/notices"),
    (Area::Cases, "/v1/preservations"),
    (Area::Cases, "/v1/appeals"),
    (Area::Cases, "/v1/appeals/figures?hours=24"),
    (Area::Cases, "/v1/unconfirmed"),
    (Area::Cases, "/v1/quality?hours=24"),
    (Area::Cases, "/v1/shift"),
    (Area::Cases, "/v1/moderators"),
    (Area::Cases, "/v1/incidents"),
    (Area::Cases, "/v1/coop/items"),
    (Area::Cases, "/v1/reports?from=DAY&to=DAY"),
    (Area::Cases, "/v1/reports/terrorist-content?from=DAY&to=DAY"),
    (Area::Cases, "/v1/reports/statements?from=DAY&to=DAY&territory=NZ"),
    (Area::Clocks, "/v1/clocks"),
    (Area::Clocks, "/v1/clocks?hours=1"),
];

impl Taken {
    pub async fn ask(running: &Running, (method, path): (Method, &str), key: &str, body: Option<&Value>) -> Taken {
        let request = running
            .client
            .request(method, format!("{}{path}", running.address))
            .bearer_auth(key);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.unwrap();
        let etag = response.headers().get("etag");
        Taken {
            status: response.status().as_u16(),
            etag: etag.map_or_else(String::new, |tag| tag.to_str().unwrap().to_owned()),
            body: response.text().await.unwrap(),
        }
    }

    pub fn text(&self) -> String {
        format!("{} {} {}", self.status, self.etag, self.body)
    }

    /// Whether it is the answer to a claim that nothing is to be had.
    pub fn is_nothing(&self) -> bool {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let is_none = |what: &str| body[what].is_null();
        self.status == 200 && body.get("pause").is_some() && is_none("case") && is_none("appeal") && is_none("review")
    }

    /// Without the live priority, which follows what was done within a second: it is compared where all that was done has settled.
    pub fn without_figures(&self) -> String {
        let mut body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        strip(&mut body, "live_priority");
        format!("{} {} {body}", self.status, self.etag)
    }
}

impl View {
    pub fn add(&mut self, area: Area, label: String, text: String) {
        self.0.push((area, label, text));
    }

    /// All pages of a key, and of each case in them.
    pub async fn of_key(&mut self, replay: &Replay, (who, key): (&str, &str)) {
        let now = instant(replay.now()).unwrap();
        let mut cases: Vec<String> = Vec::new();
        for (area, path) in PAGES {
            let path = path.replace("DAY", &now[..10]);
            let page = Taken::ask(&replay.running, (Method::GET, &path), key, None).await;
            let body: Value = serde_json::from_str(&page.body).unwrap_or_default();
            for case in body["cases"].as_array().into_iter().flatten() {
                let id = case["id"].as_str().map(str::to_owned);
                cases.extend(id.filter(|id| !cases.contains(id)));
            }
            if let Some(next) = body["next"].as_str() {
                let (path_asked, path) = (&path, format!("{path}&after={next}"));
                let next = Taken::ask(&replay.running, (Method::GET, &path), key, None).await;
                self.add(area, format!("{who}: behind {path_asked}"), next.text());
            }
            self.add(area, format!("{who}: {path}"), page.text());
        }
        for (number, case) in cases.iter().enumerate() {
            for (area, of) in [
                (Area::Cases, ""),
                (Area::Cases, "/history"),
                (Area::Cases, "/acknowledgements"),
                (Area::Cases, "/accounts"),
                (Area::Clocks, "/clocks"),
            ] {
                let path = format!("/v1/cases/{case}{of}");
                let page = Taken::ask(&replay.running, (Method::GET, &path), key, None).await;
                self.add(area, format!("{who}: case {number}{of}"), page.text());
            }
        }
    }

    /// What a stream tells that begins again where one began.
    pub async fn of_stream(&mut self, replay: &Replay, (key, began): (&str, &str), cases: usize) {
        let reading = Reading::open_of(&replay.running.router, key, "/v1/queue/updates", Some(began)).await;
        let mut reading = reading.unwrap();
        for number in 0..=cases {
            let frame = reading.next().await.unwrap();
            let mut data = frame.data;
            strip(&mut data, "live_priority");
            let text = format!("{} {:?} {data}", frame.name, frame.id);
            self.add(Area::Stream, format!("resumed, frame {number}"), text);
        }
    }

    /// What the reader's stream told as it happened, but for `moved` and `figures`: in which tick a rank and a live priority become known is chance. The order, all
    /// priorities and the figures of each case are compared where the queue and the cases are read.
    pub fn of_live(&mut self, replay: &Replay) {
        for (number, frame) in replay.stream.frames.iter().enumerate() {
            let mut frame = frame.clone();
            strip(&mut frame, "live_priority");
            strip(&mut frame, "rank");
            self.add(Area::Stream, format!("live, frame {number}"), frame.to_string());
        }
    }

    pub fn of_deliveries(&mut self, replay: &Replay, receiver: &Receiver, topic: &str) {
        let mut told: Vec<(String, String)> = Vec::new();
        for came in receiver.came() {
            let body = String::from_utf8(came.body.to_vec()).unwrap();
            let mut headers: Vec<String> = Vec::new();
            for (name, value) in &came.headers {
                if !OF_THE_TRY.contains(&name.as_str()) {
                    headers.push(format!("{name}: {}", value.to_str().unwrap()));
                }
            }
            headers.sort();
            // An Ozone is told without them.
            let of = |name: &str| {
                let value = came.headers.get(name);
                value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
            };
            let sorted_by = format!("webhook {} {}", of("ce-time"), of("ce-type"));
            told.push((sorted_by, format!("{} {headers:?} {body}", came.path)));
        }
        let known = |topic: &str| replay.bench.log.topics().unwrap().iter().any(|spec| spec.name == topic);
        let records = if known(topic) {
            replay.bench.records(topic)
        } else {
            Vec::new()
        };
        for record in records {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers: Vec<(String, String)> = record
                .headers
                .iter()
                .map(|header| (header.name.clone(), text(&header.value)))
                .collect();
            let of = |name: &str| {
                let header = headers.iter().find(|(header, _)| header == name);
                header.map_or_else(String::new, |(_, value)| value.clone())
            };
            let sorted_by = format!("topic {} {}", of("ce_time"), of("ce_type"));
            let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
            told.push((sorted_by, format!("{headers:?} {} {}", text(&key), text(&value))));
        }
        told.sort_by(|one, other| one.0.cmp(&other.0));
        for (number, (_, text)) in told.into_iter().enumerate() {
            self.add(Area::Deliveries, format!("delivery {number}"), text);
        }
    }

    /// By label. Ids that are drawn at random are numbered in the order in which they are seen first: what is the same run to run are those of contents, families
    /// and alerts, which are kept.
    pub fn numbered(&self) -> Seen {
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        let known = spreading().content.to_string();
        let mut seen = BTreeMap::new();
        for (area, label, text) in &self.0 {
            let mut out = String::new();
            let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            let mut rest = text.as_str();
            while let Some(start) = rest.find(is_hex) {
                out.push_str(&rest[..start]);
                let run = &rest[start..];
                let end = run.find(|c| !is_hex(c)).unwrap_or(run.len());
                // Where a page ends stands a priority, of 16 digits, before the id.
                let of_page = if end == 48 { 16 } else { 0 };
                out.push_str(&run[..of_page]);
                let word = &run[of_page..end];
                // Those of families and alerts here begin with zeros, but for that which the state knows.
                if word.len() == 32 && word != known && !word.starts_with("00000000") {
                    let next = numbers.len();
                    let number = numbers.entry(word.to_owned()).or_insert(next);
                    out.push_str(&format!("id-{number}"));
                } else {
                    out.push_str(word);
                }
                rest = &run[end..];
            }
            out.push_str(rest);
            let label = (*area, label.clone());
            assert!(
                seen.insert(label, out).is_none(),
                "nothing is seen under one name twice"
            );
        }
        seen
    }
}

/// Differences of two views of one reader, one for each thing that reads otherwise or is there in one of them alone.
pub fn leaks(one: &Seen, other: &Seen) -> Seen {
    let mut leaks = BTreeMap::new();
    for label in one.keys().chain(other.keys()) {
        let (here, there) = (one.get(label), other.get(label));
        if here != there {
            leaks.insert(label.clone(), first_difference(here, there));
        }
    }
    leaks
}

fn first_difference(one: Option<&String>, other: Option<&String>) -> String {
    let (Some(one), Some(other)) = (one, other) else {
        return format!("only in one: {:?}", one.or(other));
    };
    let at = one
        .bytes()
        .zip(other.bytes())
        .take_while(|(one, other)| one == other)
        .count();
    let around = |text: &str| text.chars().skip(at.saturating_sub(80)).take(200).collect::<String>();
    format!("{}\n    {}", around(one), around(other))
}

fn strip(value: &mut Value, field: &str) {
    match value {
        Value::Object(fields) => {
            fields.remove(field);
            fields.values_mut().for_each(|value| strip(value, field));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| strip(value, field)),
        _ => {}
    }
}

/// What a key is answered that asks about ids of others, held against what it is answered about ids that nobody has: how many answers differ.
pub async fn told_of_ids(replay: &Replay, (who, key): (&str, &str), leaks: &mut Seen) {
    let unknown = "f0e1d2c3b4a5968778695a4b3c2d1e0f";
    for (of, id) in &replay.hidden_ids {
        let routes: &[(Method, &str, Value)] = match *of {
            "cases" => &[
                (Method::GET, "", Value::Null),
                (Method::GET, "/history", Value::Null),
                (Method::GET, "/clocks", Value::Null),
                (Method::GET, "/acknowledgements", Value::Null),
                (Method::GET, "/accounts", Value::Null),
                (Method::POST, "/claim", json!({})),
                (Method::POST, "/renew", json!({"fencing": 1})),
                (Method::POST, "/decision", json!({"fencing": 1, "verdict": "benign"})),
                (Method::POST, "/threat", json!({"authority": "a", "statement": "b"})),
            ],
            "notices" => &[
                (Method::GET, "", Value::Null),
                (Method::POST, "/answer", json!({"outcome": "removed"})),
            ],
            "incidents" => &[(Method::GET, "", Value::Null), (Method::GET, "/timeline", Value::Null)],
            "preservations" => &[
                (Method::GET, "", Value::Null),
                (Method::POST, "/extend", json!({"reason": "why"})),
                (Method::POST, "/release", json!({"reason": "why"})),
                (
                    Method::POST,
                    "/export",
                    json!({"basis": "review", "text": "why", "reference": "one"}),
                ),
            ],
            _ => &[
                (Method::GET, "", Value::Null),
                (Method::POST, "/renew", json!({"fencing": 1})),
            ],
        };
        for (method, route, body) in routes {
            let mut answers = Vec::new();
            for asked in [id.as_str(), unknown] {
                let path = format!("/v1/{of}/{asked}{route}");
                let body = Some(body).filter(|body| !body.is_null());
                let taken = Taken::ask(&replay.running, (method.clone(), &path), key, body).await;
                answers.push(taken.text().replace(asked, "ID"));
            }
            if answers[0] != answers[1] {
                let label = format!("{who}: {method} /v1/{of}/{id}{route}");
                leaks.insert((Area::Ids, label), answers.join("\n    "));
            }
        }
    }
}

/// The keys that read for the reader's party, and one that has nothing to do with any of it.
pub fn readers(replay: &Replay) -> Vec<(&'static str, &str)> {
    let beta = &replay.keys[&Side::Beta];
    vec![
        ("a moderator", &beta.moderators[0]),
        ("another", &beta.moderators[1]),
        ("a machine", &beta.machine),
        ("an outsider", &replay.outsider),
    ]
}
