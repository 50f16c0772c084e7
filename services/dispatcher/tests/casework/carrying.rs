//! Goal: cases go along with their families, whichever is heard of first, and also what a process did not see; commands say where to go on.

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_log::{Append, TopicPartition};
use tocsin_model::{
    AlertLevel, Algorithm, Class, ContentHash, ContentId, FamilyAnnouncement, FamilyId, Scope, Timestamp,
};
use tocsin_wire::{family, topics};

use crate::bench::{Bench, Running, WAIT_MAX, alert};
use crate::example::START;

impl Bench {
    /// A group says to which family a content belongs.
    pub fn announce(&self, (content, joined): (u128, u128), class: Class, after_ms: i64) {
        let announcement = FamilyAnnouncement {
            content: ContentId(content),
            hash: ContentHash::from_bytes(Algorithm::Sha256, vec![content as u8; 32], None).unwrap(),
            family: FamilyId(ContentId(joined)),
            class,
            at: Timestamp(START.0 + after_ms),
        };
        let key = family::key(announcement.content, announcement.class);
        self.append_under(topics::FAMILIES, &[(Some(key), family::encode(&announcement))]);
    }

    /// A group says no more to which family a content belongs: it is hot no more.
    pub fn withdraw(&self, content: u128, class: Class) {
        self.append_all(vec![Append {
            to: TopicPartition::new(topics::FAMILIES, 0),
            key: Some(family::key(ContentId(content), class).into()),
            value: None,
            headers: Vec::new(),
        }]);
    }
}

pub async fn case_until(running: &Running, path: &str, key: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = std::time::Instant::now();
    loop {
        let case = running.get(path, key).await;
        if wanted(&case) {
            return case;
        }
        assert!(began.elapsed() < WAIT_MAX, "{case}");
    }
}

fn path(family: u128, queue: &[Value]) -> String {
    let family = FamilyId(ContentId(family)).to_string();
    let case = queue.iter().find(|case| case["family"] == family.as_str()).unwrap();
    format!("/v1/cases/{}", case["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_go_along_with_their_families_and_come_back() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let key = bench.coordinators.as_str();
    // It is said before there is a case.
    bench.announce((2, 1), Class::All, 1);
    bench.ring(&[1, 2].map(|family| alert(family, Scope::Coordinators, AlertLevel::Raised, 5.0)));
    let began = std::time::Instant::now();
    let merged = loop {
        let queue = running.get("/v1/queue?state=merged", key).await;
        let found = queue["cases"].as_array().unwrap().clone();
        if !found.is_empty() {
            break found;
        }
        assert!(began.elapsed() < WAIT_MAX, "{queue}");
    };
    let open = running.queue_of(1, key).await;
    let (one, two) = (path(1, &open), path(2, &merged));
    assert_eq!(merged[0]["merged_into"], open[0]["id"]);
    let whole = running.get(&one, key).await;
    assert_eq!(whole["merged_cases"][0]["id"], merged[0]["id"]);
    let claim = (Method::POST, format!("{two}/claim"));
    let (status, problem) = running.send(claim.0, &claim.1, key, Some(json!({}))).await;
    assert_eq!(
        (status.as_u16(), &problem["code"], &problem["detail"]),
        (409, &json!("case_merged"), &open[0]["id"])
    );

    bench.announce((2, 2), Class::All, 2);
    case_until(&running, &two, key, |case| case["state"] == "open").await;
    running.queue_of(2, key).await;

    // Both are decided, not alike, and become one while no dispatcher runs.
    for (path, verdict) in [(&one, "benign"), (&two, "violating")] {
        let held = running.post(&format!("{path}/claim"), key, json!({})).await;
        let decision = json!({"fencing": held["fencing"], "verdict": verdict, "rationale": "why"});
        running.post(&format!("{path}/decision"), key, decision).await;
    }
    running.stop().await;
    bench.announce((2, 1), Class::All, 3);
    let running = bench.start().await;
    let disputed = case_until(&running, &one, key, |case| case["disputed"] == true).await;
    assert_eq!(
        (&disputed["state"], &disputed["decision"]["verdict"]),
        (&json!("open"), &json!("benign"))
    );
    assert_eq!(disputed["merged_cases"][0]["decision"]["verdict"], "violating");
    let claimed = running.post("/v1/queue/claim", key, json!({})).await;
    assert_eq!(claimed["case"]["id"], disputed["id"], "it is handed out");
    let decision = json!({"fencing": claimed["case"]["fencing"], "verdict": "violating", "rationale": "looked again"});
    let decided = running.post(&format!("{one}/decision"), key, decision).await;
    assert_eq!(
        (&decided["state"], &decided["disputed"]),
        (&json!("decided"), &json!(false))
    );
    // All members that are known are told of what stands now, and one that comes.
    case_until(&running, &one, key, |case| case["members_told"] == 2).await;
    bench.announce((3, 1), Class::All, 4);
    case_until(&running, &one, key, |case| case["members_told"] == 3).await;
    running
        .metric("tocsin_dispatcher_cases_carried_total{outcome=\"disputed\"}", |count| {
            count == 1.0
        })
        .await;
    running.stop().await;

    // Started again it reads all of it again, and nothing moves.
    let running = bench.start().await;
    running
        .metric("tocsin_dispatcher_carrying_contents", |count| count == 2.0)
        .await;
    running
        .metric("tocsin_dispatcher_carrying_due", |count| count == 0.0)
        .await;
    let steps = running.get(&format!("{one}/history"), key).await;
    let steps = steps["steps"].as_array().unwrap();
    let kinds = |kind: &str| steps.iter().filter(|step| step["kind"] == kind).count();
    assert_eq!((kinds("merged_from"), kinds("split_off")), (2, 1), "{steps:?}");
    running.stop().await;
}
