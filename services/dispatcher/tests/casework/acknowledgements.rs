//! Goal: over the real log and HTTP, from alarm to decision to confirmed removal: what the state says of a platform confirms the decision of its party, what it
//! does not confirm is listed and reminded of, and a copy that comes again brings the case back; nobody else sees any of it.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};
use tocsin_casework::{ESCALATE_AFTER, REMIND_AFTER};
use tocsin_model::{
    AccountToken, Alert, AlertLevel, Algorithm, Class, ClockFlag, ContentHash, ContentId, DeploymentKey, FamilyId,
    Kind, Milliseconds, PartyId, PlatformId, Scope, Sharing, Sighting, SourceCoordinate, SourceId, Surface, Timestamp,
};
use tocsin_sketch::ColdConfig;
use tocsin_sketch::codec::Encoder;
use tocsin_store::{Clock, DeliveryEvent, EndpointKind, NewEndpoint};
use tocsin_velocity::{Group, GroupConfig, HotKey, Input};
use tocsin_wire::state::StateKey;
use tocsin_wire::topics;

use crate::bench::{Bench, Running, WAIT_MAX, alert, name};
use crate::example::START;
use crate::ranking::state;

/// The platforms of the parties of a bench.
pub const ALPHA: (PartyId, PlatformId) = (PartyId(1), PlatformId(1));
pub const BETA: (PartyId, PlatformId) = (PartyId(2), PlatformId(2));

/// A content and what came of it, as its group knows it.
pub struct Spreading {
    group: Group,
    pub content: ContentId,
    hash: ContentHash,
    events: u64,
    now: Timestamp,
}

impl Spreading {
    pub fn new(byte: u8) -> Spreading {
        let key = DeploymentKey::from_bytes([7; 32]);
        let hash = ContentHash::from_bytes(Algorithm::Sha256, vec![byte; 32], None).unwrap();
        let content = key.content_id(&hash);
        let config = GroupConfig {
            key,
            cold: ColdConfig {
                width: 64,
                seed: 11,
                lateness: Milliseconds::from_hours(2),
            },
            hot_max: 16,
            promote_at: 3,
            retry_horizon: Milliseconds::from_minutes(130),
            shadow: None,
            retry_tokens_max: 10_000,
        };
        Spreading {
            group: Group::new(content.group(), config),
            content,
            hash,
            events: 0,
            now: START,
        }
    }

    /// So many events, a second apart, ten seconds after those before.
    pub fn hear(&mut self, of: (PartyId, PlatformId), kind: Kind, count: u64) {
        self.hear_shared(of, kind, (Sharing::All, count));
    }

    /// The same, shared no further than this.
    pub fn hear_shared(
        &mut self,
        (party, platform): (PartyId, PlatformId),
        kind: Kind,
        (sharing, count): (Sharing, u64),
    ) {
        self.now = self.now + Milliseconds::from_seconds(10);
        for _ in 0..count {
            self.events += 1;
            self.now = self.now + Milliseconds::from_seconds(1);
            let token = self.events.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let sighting = Sighting {
                source: SourceCoordinate {
                    source: SourceId(1),
                    offset: self.events,
                    index: 0,
                },
                event_token: token,
                party,
                platform,
                kind,
                sharing,
                surface: Surface::Feed,
                clock: ClockFlag::Plausible,
                occurred_at: self.now,
                received_at: self.now,
                content: self.content,
                hash: self.hash.view(),
                account: Some(AccountToken(token)),
                account_epoch: 0,
                audience: 1_000,
                region: [0; 2],
                language: [0; 2],
                tvec_confidence: Sighting::NO_LABEL,
            };
            self.group.apply(Input::Sighting(&sighting), &mut Vec::new());
        }
    }

    /// Puts its record on the state topic.
    pub fn tell(&self, bench: &Bench) {
        self.tell_of(bench, Class::All);
    }

    /// The record of a class.
    pub fn tell_of(&self, bench: &Bench, class: Class) {
        let content = self.content;
        let mut body = Encoder::new();
        self.group.kept(HotKey { content, class }).unwrap().encode(&mut body);
        let group = content.group();
        let key = StateKey::Hot { group, content, class };
        let value = state(self.now, body.finish());
        bench.append_under(topics::STATE, &[(Some(key.to_bytes()), value)]);
    }

    pub fn rings(&self) -> Alert {
        let mut rings = alert(1, Scope::All, AlertLevel::Raised, 20.0);
        rings.family = FamilyId(self.content);
        rings.hash = self.hash.clone();
        let figures = rings.platforms[0];
        rings.platforms = [ALPHA.1, BETA.1]
            .map(|platform| tocsin_model::PlatformFigures { platform, ..figures })
            .to_vec();
        rings
    }
}

pub async fn until(running: &Running, path: &str, key: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let found = running.get(path, key).await;
        if wanted(&found) {
            return found;
        }
        assert!(began.elapsed() < WAIT_MAX, "{found}");
    }
}

pub async fn decide(running: &Running, path: &str, key: &str, (verdict, action): (&str, &str)) -> String {
    let held = running.post(&format!("{path}/claim"), key, json!({})).await;
    let decision =
        json!({"fencing": held["fencing"], "verdict": verdict, "recommended_action": action, "rationale": "why"});
    let decided = running.post(&format!("{path}/decision"), key, decision).await;
    decided["decision"]["id"].as_str().unwrap().to_owned()
}

/// A bench whose store is timed by this clock, with an endpoint of alpha's that is asked for by the test alone, and alpha's case.
pub async fn deciding(clock: &Clock, crisis: &Spreading) -> (Bench, Running, String) {
    let bench = Bench::with_clock(clock.clone()).await;
    let running = bench.start().await;
    bench.ring(&[crisis.rings()]);
    let queue = running.queue_of(1, &bench.alpha).await;
    let path = format!("/v1/cases/{}", queue[0]["id"].as_str().unwrap());
    (bench, running, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_confirmed_by_the_removals_of_its_partys_platform() {
    let clock = Clock::standing_at(START + Milliseconds::from_hours(1));
    let mut crisis = Spreading::new(9);
    crisis.hear(ALPHA, Kind::Upload, 40);
    crisis.hear(BETA, Kind::Upload, 10);
    let (bench, running, path) = deciding(&clock, &crisis).await;
    crisis.tell(&bench);
    let alpha = bench.alpha.as_str();
    let acknowledgements = format!("{path}/acknowledgements");
    let none = running.get(&acknowledgements, alpha).await;
    assert_eq!((&none["acknowledgement"], &none["members"]), (&Value::Null, &json!([])));

    let decision = decide(&running, &path, alpha, ("violating", "remove")).await;
    let waiting = until(&running, &acknowledgements, alpha, |told| {
        told["acknowledgement"]["members"] == 1
    })
    .await;
    assert_eq!(
        (
            &waiting["acknowledgement"]["decision"],
            &waiting["acknowledgement"]["awaits"]
        ),
        (&json!(decision), &json!("removal"))
    );
    let member = &waiting["members"][0];
    assert_eq!(
        (&member["platform"], &member["confirmed"], &member["answered"]),
        (&json!("alpha-video"), &json!(false), &json!(0)),
        "beta's platform is beta's"
    );
    let case = running.get(&path, alpha).await;
    assert_eq!(case["acknowledgement"]["unconfirmed"], 1);
    assert!(case["acknowledgement"]["next_reminder_at"].is_string());

    let listed = running.get("/v1/unconfirmed", alpha).await;
    assert_eq!(listed["decisions"].as_array().unwrap().len(), 1);
    assert_eq!(
        (
            &listed["decisions"][0]["case"],
            &listed["decisions"][0]["acknowledgement"]
        ),
        (&case["id"], &case["acknowledgement"])
    );
    for other in [&bench.beta, &bench.coordinators] {
        let listed = running.get("/v1/unconfirmed", other).await;
        assert_eq!(listed["decisions"], json!([]), "it is alpha's");
    }

    // Beta removes; that says nothing of alpha's platform. Then alpha does.
    crisis.hear(BETA, Kind::Removal, 10);
    crisis.tell(&bench);
    crisis.hear(ALPHA, Kind::Removal, 7);
    crisis.tell(&bench);
    let confirmed = until(&running, &acknowledgements, alpha, |told| {
        told["acknowledgement"]["unconfirmed"] == 0
    })
    .await;
    let listed = running.get("/v1/unconfirmed", alpha).await;
    assert_eq!(listed["decisions"], json!([]));
    let member = &confirmed["members"][0];
    assert_eq!((&member["confirmed"], &member["answered"]), (&json!(true), &json!(7)));
    assert_eq!(confirmed["acknowledgement"]["copies"], 7);
    let clocks = running.get(&format!("{path}/clocks"), alpha).await;
    let on = clocks["platforms"].as_array().unwrap();
    let on = on.iter().find(|on| on["platform"] == "alpha-video").unwrap();
    assert!(on["removed"].is_string() && on["confirmed"].is_string(), "{clocks}");
    let summary = running.get("/v1/clocks", alpha).await;
    let on = summary["platforms"].as_array().unwrap();
    let on = on.iter().find(|on| on["platform"] == "alpha-video").unwrap();
    assert!(on["to_confirmation"]["median_s"].is_number(), "{summary}");
    let history = running.get(&format!("{path}/history"), alpha).await;
    let step = &history["steps"][0];
    assert_eq!(
        (&step["kind"], &step["about"], &step["note"], &step["who"]),
        (
            &json!("removal_confirmed"),
            &json!("alpha-video"),
            &json!("7 removals"),
            &Value::Null
        )
    );
    running
        .metric("tocsin_dispatcher_confirmed_members_total", |count| count == 1.0)
        .await;
    for other in [&bench.beta, &bench.coordinators] {
        let asked = reqwest::Method::GET;
        running
            .refused(asked, &acknowledgements, other, None, (404, "case_unknown"))
            .await;
    }

    // Another process follows the decision from the store, and finds the copy that came meanwhile: a person is asked.
    running.stop().await;
    crisis.hear(ALPHA, Kind::BlockedUpload, 5);
    crisis.hear(ALPHA, Kind::Upload, 2);
    crisis.tell(&bench);
    let running = bench.start().await;
    let back = until(&running, &path, alpha, |case| case["state"] == "open").await;
    assert_eq!(back["acknowledgement"]["unconfirmed"], 1);
    let told = running.get(&acknowledgements, alpha).await;
    assert_eq!(told["members"][0]["returned"], 2, "what was blocked did not come");
    let claimed = running.post("/v1/queue/claim", alpha, json!({})).await;
    assert_eq!(claimed["case"]["id"], back["id"], "it is handed out");

    // Overturned: what was removed is to be restored.
    let release = json!({"fencing": claimed["case"]["fencing"]});
    running.post(&format!("{path}/release"), alpha, release).await;
    decide(&running, &path, alpha, ("newsworthy", "keep")).await;
    let waiting = until(&running, &acknowledgements, alpha, |told| {
        told["acknowledgement"]["awaits"] == "restore" && told["acknowledgement"]["members"] == 1
    })
    .await;
    assert_eq!(waiting["members"][0]["asked"], 7);
    crisis.hear(ALPHA, Kind::Restore, 7);
    crisis.tell(&bench);
    until(&running, &acknowledgements, alpha, |told| {
        told["acknowledgement"]["unconfirmed"] == 0
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_confirmed_is_told_to_the_partys_endpoints_and_what_came_again_is_recommended_again() {
    let clock = Clock::standing_at(START + Milliseconds::from_hours(1));
    let mut crisis = Spreading::new(8);
    crisis.hear(ALPHA, Kind::Upload, 40);
    let (bench, running, path) = deciding(&clock, &crisis).await;
    let alpha = bench.alpha.as_str();
    let endpoint = |endpoint: &str, team| NewEndpoint {
        name: name(endpoint),
        team,
        kind: EndpointKind::Kafka,
        target: format!("tocsin.deliveries.{endpoint}"),
        settings: BTreeMap::new(),
        secret: String::new(),
    };
    for (name, party) in [("alpha", ALPHA.0), ("beta", BETA.0)] {
        let team = tocsin_casework::Team::Party(party);
        bench.store.add_endpoint(&endpoint(name, team)).await.unwrap();
    }
    bench
        .store
        .set_on_reupload(ALPHA.0, tocsin_casework::OnReupload::Recommend)
        .await
        .unwrap();
    crisis.tell(&bench);
    decide(&running, &path, alpha, ("violating", "remove")).await;
    until(&running, &path, alpha, |case| {
        case["acknowledgement"]["unconfirmed"] == 1
    })
    .await;
    clock.advance(REMIND_AFTER[0]);
    running
        .metric("tocsin_dispatcher_unconfirmed_told_total{kind=\"reminded\"}", |count| {
            count == 1.0
        })
        .await;
    clock.advance(ESCALATE_AFTER);
    running
        .metric(
            "tocsin_dispatcher_unconfirmed_told_total{kind=\"escalated\"}",
            |count| count == 1.0,
        )
        .await;
    let case = running.get(&path, alpha).await;
    assert_eq!(
        (
            &case["acknowledgement"]["escalated"],
            &case["acknowledgement"]["next_reminder_at"]
        ),
        (&json!(true), &Value::Null)
    );

    crisis.hear(ALPHA, Kind::Removal, 1);
    crisis.tell(&bench);
    until(&running, &path, alpha, |case| {
        case["acknowledgement"]["unconfirmed"] == 0
    })
    .await;
    crisis.hear(ALPHA, Kind::Upload, 3);
    crisis.tell(&bench);
    running
        .metric(
            "tocsin_dispatcher_reuploaded_members_total{answer=\"recommended\"}",
            |count| count == 1.0,
        )
        .await;
    let case = running.get(&path, alpha).await;
    assert_eq!(
        (&case["state"], &case["acknowledgement"]["escalated"]),
        (&json!("decided"), &json!(false)),
        "the founder itself came again: no person is asked"
    );

    let sent = |topic: &str| -> Vec<(String, Value)> {
        // The topic is made for its first record.
        let partition = tocsin_log::TopicPartition::new(topic, 0);
        let records = match bench.log.bounds(&partition) {
            Ok(_) => bench.records(topic),
            Err(_) => Vec::new(),
        };
        let records = records.into_iter().map(|record| {
            let header = |wanted: &str| {
                let found = record.headers.iter().find(|header| header.name == wanted);
                String::from_utf8_lossy(&found.unwrap().value).into_owned()
            };
            let data = serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
            (header("ce_type"), data)
        });
        records.collect()
    };
    let began = Instant::now();
    let told = loop {
        let told = sent("tocsin.deliveries.alpha");
        if told.iter().any(|(_, data)| data["automated"] == true) {
            break told;
        }
        assert!(began.elapsed() < WAIT_MAX, "{told:?}");
        tokio::task::yield_now().await;
    };
    let of = |kind: &str| -> Vec<&Value> {
        let told = told.iter().filter(|(told, _)| told == kind);
        told.map(|(_, data)| data).collect()
    };
    let unconfirmed = of("tocsin.decision.unconfirmed");
    assert_eq!(unconfirmed.len(), 2, "{told:?}");
    assert_eq!(
        (&unconfirmed[0]["reminder"], &unconfirmed[0]["members"][0]["platform"]),
        (&json!(1), &json!("alpha-video"))
    );
    assert_eq!(
        (&unconfirmed[1]["escalated"], &unconfirmed[1]["reminder"]),
        (&json!(true), &Value::Null)
    );
    let members = of("tocsin.decision.members");
    let automated = members.iter().filter(|data| data["automated"] == true);
    let automated: Vec<&Value> = automated.copied().collect();
    assert_eq!(
        (automated.len(), &automated[0]["decision"]["recommended_action"]),
        (1, &json!("remove"))
    );
    assert_eq!(
        automated[0]["members"][0]["content"],
        crisis.content.to_string().as_str()
    );
    let about_decisions = |delivery: &tocsin_store::Delivery| !matches!(delivery.event, DeliveryEvent::Alert(_));
    let beta = bench
        .store
        .take_deliveries(&name("beta"), 50, Milliseconds(1))
        .await
        .unwrap();
    assert!(!beta.iter().any(about_decisions), "nobody else is told: {beta:?}");
    running.stop().await;
}
