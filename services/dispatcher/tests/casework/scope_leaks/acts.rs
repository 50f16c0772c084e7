//! What is done in a step, by whoever does it.

use std::time::Instant;

use reqwest::Method;
use serde_json::json;
use tocsin_model::{
    Alert, AlertId, AlertLevel, Algorithm, Class, ContentHash, FamilyId, Milliseconds, PlatformFigures, Scope,
};
use tocsin_wire::document::instant;

use super::history::{Act, Handling, Side};
use super::replay::{RANKED_MAX, Replay};
use crate::acknowledgements::{ALPHA, BETA};
use crate::bench::alert;
use crate::example::START;

impl Replay {
    pub async fn step(&mut self, number: usize, act: Act) {
        match act {
            Act::Ring {
                family,
                scope,
                level,
                priority,
            } => self.ring(number, self.family(family), (scope, level, priority)).await,
            Act::Work(side, handling) => self.work(number, side, handling).await,
            Act::Order(side, order) => self.order(number, side, order).await,
            Act::Appeal(side, reference) => self.appeal(number, side, reference).await,
            Act::Review(side) => self.review(number, side).await,
            Act::TellClock(side, family) => {
                if let Some(case) = self.case_of(side, family).await {
                    let platform = self.keys[&side].platform;
                    let at = instant(START + Milliseconds::from_minutes(59));
                    let told = json!({"platform": platform, "clock": "removed", "at": at});
                    let path = format!("/v1/cases/{case}/clocks");
                    self.say(number, (side, 0), (Method::POST, &path), told).await;
                }
            }
            Act::Join { content, family, to } => {
                let into = self.family(family).0.0;
                self.bench
                    .announce((u128::from(content), into), to.own_class(), number as i64 + 1);
            }
            Act::Merge { from, into } => {
                let class = ALPHA.0;
                let (from, into) = (self.family(from).0.0, self.family(into).0.0);
                self.bench
                    .announce((from, into), Class::Party(class), number as i64 + 1);
                self.done.insert("merge".to_owned());
            }
            Act::Spread(scope) => self.spread(scope).await,
            Act::Threat(family) => {
                if let Some(case) = self.case_of(Side::Alpha, family).await {
                    let threat =
                        json!({"authority": "Europol", "statement": "names a place", "reference": number.to_string()});
                    let path = format!("/v1/cases/{case}/threat");
                    self.say(number, (Side::Alpha, 0), (Method::POST, &path), threat).await;
                }
            }
            Act::Incident(family) => {
                let mut asked = crate::incidents::declaration("An attack");
                if let Some(case) = self.case_of(Side::Coordinators, family).await {
                    asked["case"] = json!(case);
                }
                let said = self
                    .say(number, (Side::Coordinators, 0), (Method::POST, "/v1/incidents"), asked)
                    .await;
                self.hide(Side::Coordinators, "incidents", &said["id"]);
            }
        }
    }

    async fn ring(&mut self, number: usize, family: FamilyId, (scope, level, priority): (Scope, AlertLevel, f64)) {
        let drawn = alert(1, scope, level, priority);
        let platforms: &[_] = match scope {
            Scope::Party(party) if party == BETA.0 => &[BETA.1],
            Scope::Party(_) => &[ALPHA.1],
            Scope::All | Scope::Coordinators => &[ALPHA.1, BETA.1],
        };
        let figures = drawn.platforms[0];
        let rings = Alert {
            id: AlertId(0xa1e7 << 64 | number as u128),
            family,
            hash: ContentHash::from_bytes(Algorithm::Sha256, vec![family.0.0 as u8; 32], None).unwrap(),
            at: START + Milliseconds::from_seconds(number as i64),
            platforms: platforms
                .iter()
                .map(|platform| PlatformFigures {
                    platform: *platform,
                    ..figures
                })
                .collect(),
            ..drawn
        };
        self.bench.ring(&[rings]);
        self.effects += if scope == Scope::All { 3.0 } else { 1.0 };
        if scope != Scope::All && scope != Scope::Party(BETA.0) {
            self.done.insert("ring".to_owned());
        }
    }

    async fn work(&mut self, number: usize, side: Side, handling: Handling) {
        let lease_s = if handling == Handling::Abandon { 60 } else { 600 };
        let best = json!({"lease_s": lease_s});
        let claimed = self
            .say(number, (side, 0), (Method::POST, "/v1/queue/claim"), best)
            .await;
        let Some(case) = claimed["case"]["id"].as_str().map(str::to_owned) else {
            return;
        };
        self.hide(side, "cases", &claimed["case"]["id"]);
        if side == Side::Beta {
            self.follow().await;
        }
        let fencing = &claimed["case"]["fencing"];
        let excepted = format!("{:032x}", 0x300);
        let decision = |verdict: &str, action: &str| {
            json!({
                "fencing": fencing, "verdict": verdict, "recommended_action": action, "policy": "tvec",
                "rationale": format!("step {number}"), "exceptions": [excepted],
            })
        };
        let (step, body) = match handling {
            Handling::Violating => ("decision", decision("violating", "remove")),
            Handling::Benign => ("decision", decision("benign", "keep")),
            Handling::Draft => {
                let draft = json!({"fencing": fencing, "verdict": "newsworthy", "rationale": "half a"});
                let path = format!("/v1/cases/{case}/draft");
                self.say(number, (side, 0), (Method::PUT, &path), draft).await;
                ("release", json!({"fencing": fencing, "note": "somebody else"}))
            }
            Handling::Skip => ("skip", json!({"fencing": fencing, "reason": "not my language"})),
            Handling::Hold => (
                "hold",
                json!({"fencing": fencing, "hold_s": 7_200, "reason": "the police"}),
            ),
            Handling::Escalate => (
                "escalate",
                json!({"fencing": fencing, "to": "legal", "note": "an order"}),
            ),
            Handling::HandOver => {
                let to = self.keys[&side].second_id.clone();
                let body = json!({"fencing": fencing, "to": to, "lease_s": 3_600, "note": "my shift ends"});
                ("hand-over", body)
            }
            Handling::Abandon => {
                if side == Side::Beta {
                    self.clock.advance(Milliseconds::from_seconds(61));
                }
                self.done.insert("abandon".to_owned());
                return;
            }
        };
        let path = format!("/v1/cases/{case}/{step}");
        self.say(number, (side, 0), (Method::POST, &path), body).await;
    }

    async fn order(&mut self, number: usize, side: Side, order: u64) {
        // Whoever is hidden is late: its order is overdue before the history ends. The reader's are due soon, each at another time.
        let ago = match side {
            Side::Beta => Milliseconds::from_minutes(40 + order as i64),
            Side::Alpha | Side::Coordinators => Milliseconds::from_minutes(58),
        };
        let received = START + Milliseconds::from_hours(1) - ago;
        let filing = json!({
            "kind": "removal_order", "authority": "Bundeskriminalamt", "reference": format!("A-{order}"),
            "content": {"algorithm": "sha256", "value": format!("{:02x}", 0x40 + order).repeat(32)},
            "platform": self.keys[&side].platform, "received_at": instant(received),
            "urls": ["https://example.org/v/1"], "statement": "incites",
        });
        let filed = self.say(number, (side, 0), (Method::POST, "/v1/notices"), filing).await;
        self.hide(side, "notices", &filed["id"]);
        self.hide(side, "cases", &filed["case"]);
        if let Some(id) = filed["id"].as_str().filter(|_| order == 0) {
            if side == Side::Beta {
                // In one tick or in two: what is told between is chance.
                self.follow().await;
            }
            let suspend = json!({"ground": "insufficient_information", "note": "the address is cut off"});
            let path = format!("/v1/notices/{id}/suspend");
            self.say(number, (side, 1), (Method::POST, &path), suspend).await;
        }
        // What the order is preserved by; the coordinators preserve nothing.
        if side != Side::Coordinators {
            let key = self.keys[&side].moderators[0].clone();
            let page = self.running.get("/v1/preservations?limit=1", &key).await;
            self.hide(side, "preservations", &page["preservations"][0]["id"]);
        }
    }

    async fn appeal(&mut self, number: usize, side: Side, reference: u64) {
        let decided = self.cases(side, "decided").await;
        let decided = decided.iter().find(|case| case["decision"].is_object());
        let about = decided.map_or(0x77, |case| case["hash"]["value"].as_str().map_or(0x77, byte_of));
        let appeal = json!({
            "reference": format!("B-{reference}"), "platform": self.keys[&side].platform,
            "content": {"algorithm": "sha256", "value": format!("{about:02x}").repeat(32)},
            "decision": decided.map(|case| &case["decision"]["id"]), "reason": "a news report",
        });
        let filed = self.say(number, (side, 2), (Method::POST, "/v1/appeals"), appeal).await;
        self.hide(side, "appeals", &filed["id"]);
        let held = self.claim(number, side, "appeals").await;
        if let Some(id) = held["appeal"]["id"].as_str() {
            let answer = json!({
                "fencing": held["appeal"]["fencing"], "outcome": "upheld", "concerns": "upload", "note": "it is not",
            });
            let path = format!("/v1/appeals/{id}/answer");
            self.say(number, (side, 1), (Method::POST, &path), answer).await;
        }
    }

    async fn review(&mut self, number: usize, side: Side) {
        let held = self.claim(number, side, "second_review").await;
        self.hide(side, "reviews", &held["review"]["id"]);
        if let Some(id) = held["review"]["id"].as_str() {
            let body = json!({"fencing": held["review"]["fencing"], "verdict": "violating", "note": "as shown"});
            let path = format!("/v1/reviews/{id}/answer");
            self.say(number, (side, 1), (Method::POST, &path), body).await;
        }
    }

    /// Tells what the state knows. The whole content is known to both runs: it differs whether alpha's own part of it is told.
    async fn spread(&mut self, scope: Scope) {
        self.spreading.tell_of(&self.bench, scope.own_class());
        if scope == Scope::All {
            return;
        }
        // Alpha's own figures hear of it: so whoever else does has.
        let (of, began) = (self.family(1).to_string(), Instant::now());
        while began.elapsed() < RANKED_MAX {
            let open = self.cases(Side::Alpha, "open").await;
            let case = open.iter().find(|case| case["family"] == of.as_str());
            match case.map(|case| (case["live_priority"].as_f64(), case["priority"].as_f64())) {
                None => return,
                Some((live, told)) if live != told && live.is_some() => break,
                Some(_) => {}
            }
        }
        self.done.insert("spread".to_owned());
    }
}

fn byte_of(hash: &str) -> u8 {
    u8::from_str_radix(&hash[..2], 16).unwrap()
}
