//! Goal: over the real log and HTTP a party gets back the pseudonyms of its own accounts that uploaded members of a case's family, page by page and whole;
//! nobody else gets any, and nothing that another party does shows in it.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tocsin_log::{Append, Cleanup, TopicPartition, TopicSpec};
use tocsin_model::{
    AccountPseudonym, Algorithm, Class, ContentHash, ContentId, DeploymentKey, Event, EventId, FamilyAnnouncement,
    FamilyId, Kind, Milliseconds, PartyId, PlatformFigures, PlatformId, Scope, Sharing, Surface, Timestamp,
};
use tocsin_model::{Alert, AlertLevel};
use tocsin_store::{KeySubject, Role, Roles};
use tocsin_wire::event::{encode_batch, encode_single_object};
use tocsin_wire::{family, topics};

use crate::bench::{Bench, Running, alert, name};
use crate::carrying::case_until;
use crate::example::START;

pub const ALPHA: PartyId = PartyId(1);

pub fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Sha256, vec![byte; 32], None).unwrap()
}

pub fn id(byte: u8) -> ContentId {
    DeploymentKey::from_bytes([7; 32]).content_id(&hash(byte))
}

/// Two contents, of which the first gives their family its id.
pub fn ordered(bytes: [u8; 2]) -> [u8; 2] {
    let [one, other] = bytes;
    if id(one) < id(other) {
        [one, other]
    } else {
        [other, one]
    }
}

pub fn upload(number: u128, platform: &str, content: u8, account: Option<u8>) -> Event {
    Event {
        event_id: EventId(number.to_be_bytes()),
        platform: name(platform),
        kind: Kind::Upload,
        occurred_at: START + Milliseconds::from_seconds(number as i64),
        content: vec![hash(content)],
        same_as: Vec::new(),
        frames: Vec::new(),
        account: account.map(|byte| AccountPseudonym([byte; 16])),
        account_epoch: 3,
        region: None,
        language: None,
        audience: None,
        surface: Surface::Feed,
        labels: Vec::new(),
        sharing: Sharing::All,
    }
}

impl Bench {
    fn ingest(&self, party: &str, partition: u32, value: Vec<u8>) {
        let spec = TopicSpec {
            name: format!("{}{party}", topics::INGEST_PREFIX),
            partitions: 4,
            cleanup: Cleanup::Delete,
            retention_ms: Some(7 * 24 * 3_600_000),
            record_bytes_max: 1 << 20,
            may_grow: true,
            compaction: None,
        };
        self.log.ensure_topics(&[spec]).unwrap();
        self.append_all(vec![Append {
            to: TopicPartition::new(format!("{}{party}", topics::INGEST_PREFIX), partition),
            key: None,
            value: Some(value.into()),
            headers: Vec::new(),
        }]);
    }

    pub fn upload(&self, party: &str, event: &Event) {
        self.ingest(party, event.event_id.0[15] as u32 % 4, encode_single_object(event));
    }

    pub fn says(&self, (content, joined): (u8, u8), class: Class, after_ms: i64) {
        let announcement = FamilyAnnouncement {
            content: id(content),
            hash: hash(content),
            family: FamilyId(id(joined)),
            class,
            at: Timestamp(START.0 + after_ms),
        };
        let key = family::key(announcement.content, announcement.class);
        self.append_under(topics::FAMILIES, &[(Some(key), family::encode(&announcement))]);
    }

    pub fn rings(&self, contents: &[u8], scope: Scope) {
        let alerts: Vec<Alert> = contents
            .iter()
            .map(|content| Alert {
                family: FamilyId(id(*content)),
                hash: hash(*content),
                first_seen: START,
                platforms: [1, 2]
                    .map(|platform| PlatformFigures {
                        platform: PlatformId(platform),
                        ..crate::example::alert().platforms[0]
                    })
                    .to_vec(),
                ..alert(u128::from(*content), scope, AlertLevel::Raised, 20.0)
            })
            .collect();
        self.ring(&alerts);
    }
}

pub async fn path_of(running: &Running, key: &str, content: u8) -> String {
    let family = FamilyId(id(content)).to_string();
    let began = std::time::Instant::now();
    loop {
        for state in ["open", "merged"] {
            let queue = running.get(&format!("/v1/queue?state={state}"), key).await;
            let cases = queue["cases"].as_array().unwrap();
            if let Some(case) = cases.iter().find(|case| case["family"] == family.as_str()) {
                return format!("/v1/cases/{}", case["id"].as_str().unwrap());
            }
        }
        assert!(began.elapsed() < crate::bench::WAIT_MAX, "no case of {content}");
    }
}

/// Waits for the members, for the topic of families is read beside.
pub async fn accounts_of(running: &Running, key: &str, path: &str, members: u64) -> Value {
    let began = std::time::Instant::now();
    loop {
        let (status, told) = running.send(Method::GET, &format!("{path}/accounts"), key, None).await;
        if status == StatusCode::OK && told["members"] == members {
            return told;
        }
        assert!(
            [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&status)
                && began.elapsed() < crate::bench::WAIT_MAX,
            "{status} {told}"
        );
    }
}

async fn records_of_accounts(bench: &Bench) -> usize {
    let asked = tocsin_store::PageOf {
        team: None,
        after: BTreeMap::new(),
        limit: 500,
    };
    let page = bench.store.audit_page(&asked).await.unwrap();
    let of_accounts = |object: &str| object == "GET /v1/cases/{id}/accounts";
    page.records
        .iter()
        .filter(|of| of_accounts(of.record.object.as_str()))
        .count()
}

/// What is told, but for the time at which it is.
fn without_time(told: &Value) -> String {
    let mut told = told.clone();
    told["as_of"] = Value::Null;
    told.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_gets_back_its_own_accounts_and_nobody_elses() {
    let bench = Bench::new().await;
    let [one, two] = ordered([11, 12]);
    let of_no_member = 13;
    for event in [
        upload(1, "alpha-video", one, Some(0xa1)),
        upload(2, "alpha-video", two, Some(0xa2)),
        upload(3, "alpha-video", two, Some(0xa1)),
        // Sent again.
        upload(3, "alpha-video", two, Some(0xa1)),
        upload(4, "alpha-video", one, None),
        upload(5, "alpha-video", of_no_member, Some(0xa3)),
        // Another party's platform: intake refuses it.
        upload(6, "beta-chat", one, Some(0xa4)),
        Event {
            kind: Kind::Share,
            ..upload(7, "alpha-video", one, Some(0xa5))
        },
        Event {
            kind: Kind::BlockedUpload,
            ..upload(8, "alpha-video", one, Some(0xa2))
        },
        Event {
            kind: Kind::LiveStart,
            account_epoch: 4,
            sharing: Sharing::Party,
            ..upload(9, "alpha-video", one, Some(0xa2))
        },
    ] {
        bench.upload("alpha", &event);
    }
    bench.ingest("alpha", 2, vec![1, 2, 3]);
    bench.says((two, one), Class::All, 1);
    bench.rings(&[one], Scope::All);
    let running = bench.start().await;
    let path = path_of(&running, &bench.alpha, one).await;
    let told = accounts_of(&running, &bench.alpha, &path, 2).await;

    let account = |byte: u8, epoch: u32, counts: [u64; 3], seconds: [i64; 2], members: &[u8]| {
        let at = |seconds: i64| tocsin_wire::document::instant(START + Milliseconds::from_seconds(seconds)).unwrap();
        let mut members: Vec<String> = members.iter().map(|byte| id(*byte).to_string()).collect();
        members.sort();
        json!({
            "account": hex(&[byte; 16]), "account_epoch": epoch, "platform": "alpha-video", "uploads": counts[0],
            "blocked_uploads": counts[1], "live_starts": counts[2], "first_at": at(seconds[0]), "last_at": at(seconds[1]),
            "members": members, "has_more_members": false,
        })
    };
    let wanted = [
        account(0xa1, 3, [2, 0, 0], [1, 3], &[one, two]),
        account(0xa2, 3, [1, 1, 0], [2, 8], &[one, two]),
        account(0xa2, 4, [0, 0, 1], [9, 9], &[one]),
    ];
    assert_eq!(told["accounts"], json!(wanted), "{told}");
    let without = json!([{"platform": "alpha-video", "uploads": 1, "blocked_uploads": 0, "live_starts": 0}]);
    assert_eq!(told["without_account"], without);
    assert_eq!(
        (
            &told["read"]["records"],
            &told["read"]["unread"],
            &told["more"],
            &told["cut"]
        ),
        (&json!(11), &json!(1), &json!(false), &Value::Null)
    );
    assert_eq!(told["case"].as_str(), path.rsplit('/').next());

    // What another party does, publishes and joins in its own view shows nowhere in it.
    for number in 20..40 {
        let event = upload(number, "beta-chat", one, Some(number as u8));
        bench.upload("beta", &event);
    }
    bench.says((of_no_member, one), Class::Party(PartyId(2)), 2);
    let of_beta = path_of(&running, &bench.beta, one).await;
    let theirs = accounts_of(&running, &bench.beta, &of_beta, 3).await;
    assert_eq!(theirs["accounts"].as_array().unwrap().len(), 20, "{theirs}");
    assert!(!theirs.to_string().contains(&hex(&[0xa1; 16])));
    let again = running.get(&format!("{path}/accounts"), &bench.alpha).await;
    assert_eq!(without_time(&again), without_time(&told));

    let route = format!("{path}/accounts");
    for (key, refusal) in [
        (&bench.beta, (404, "case_unknown")),
        (&bench.coordinators, (403, "parties_only")),
        (&bench.reader, (403, "forbidden")),
        (&bench.operator, (403, "no_queue")),
    ] {
        running.refused(Method::GET, &route, key, None, refusal).await;
    }
    let reader = bench
        .store
        .issue_key(KeySubject::Party(ALPHA), Roles::of(&[Role::Reader]))
        .await
        .unwrap();
    let reader = reader.1.expose().to_owned();
    running
        .refused(Method::GET, &route, &reader, None, (403, "forbidden"))
        .await;
    let nowhere = format!("/v1/cases/{}/accounts", "0".repeat(32));
    running
        .refused(Method::GET, &nowhere, &bench.alpha, None, (404, "case_unknown"))
        .await;

    for wrong in [
        "platform=beta-chat",
        "platform=nobody",
        "order=random",
        "since=yesterday",
        "after=x",
        "after=1-",
        "limit=0",
        "limit=5001",
        "since=2026-01-01T00:00:00Z&after=1",
        "colour=red",
    ] {
        let asked = format!("{route}?{wrong}");
        running
            .refused(Method::GET, &asked, &bench.alpha, None, (400, "invalid_parameter"))
            .await;
    }
    let later = "since=2100-01-01T00:00:00Z";
    let none = running.get(&format!("{route}?{later}"), &bench.alpha).await;
    assert_eq!((&none["accounts"], &none["read"]["records"]), (&json!([]), &json!(0)));
    running
        .metric("tocsin_dispatcher_account_readings_total{outcome=\"whole\"}", |count| {
            count >= 4.0
        })
        .await;

    // Each reading is in the audit chain.
    let before = records_of_accounts(&bench).await;
    running.get(&format!("{path}/accounts"), &bench.alpha).await;
    assert_eq!(records_of_accounts(&bench).await, before + 1);

    // A key that is revoked is told nothing more.
    let second = bench
        .store
        .issue_key(KeySubject::Party(ALPHA), Roles::of(&[Role::Moderator]))
        .await
        .unwrap();
    running.get(&format!("{path}/accounts"), second.1.expose()).await;
    bench.store.revoke_key(second.0).await.unwrap();
    let asked = format!("{path}/accounts");
    running
        .refused(Method::GET, &asked, second.1.expose(), None, (401, "unauthenticated"))
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_put_together_are_the_whole() {
    let bench = Bench::new().await;
    let content = 21;
    // Batches of which each event is another account's, in all partitions, and some that come back.
    let mut truth: BTreeMap<String, u64> = BTreeMap::new();
    let mut number = 0;
    for batch in 0..8_u32 {
        let events: Vec<Event> = (0..9_u8)
            .map(|place| {
                number += 1;
                let byte = place * 7 + (batch % 3) as u8;
                *truth.entry(hex(&[byte; 16])).or_default() += 1;
                upload(number, "alpha-video", content, Some(byte))
            })
            .collect();
        bench.ingest("alpha", batch % 4, encode_batch(&events));
    }
    bench.rings(&[content], Scope::All);
    let running = bench.start().await;
    let path = path_of(&running, &bench.alpha, content).await;
    let whole = accounts_of(&running, &bench.alpha, &path, 1).await;
    let sums = |told: &Value, sums: &mut BTreeMap<String, u64>| {
        for account in told["accounts"].as_array().unwrap() {
            let key = account["account"].as_str().unwrap().to_owned();
            *sums.entry(key).or_default() += account["uploads"].as_u64().unwrap();
        }
    };
    let mut found = BTreeMap::new();
    sums(&whole, &mut found);
    assert_eq!(found, truth);
    for limit in [1, 4, 7, 26] {
        let (mut found, mut after, mut pages) = (BTreeMap::new(), String::new(), 0);
        loop {
            let page = running
                .get(&format!("{path}/accounts?limit={limit}{after}"), &bench.alpha)
                .await;
            assert!(page["accounts"].as_array().unwrap().len() <= limit, "{page}");
            sums(&page, &mut found);
            pages += 1;
            after = format!("&after={}", page["next"].as_str().unwrap());
            if page["more"] == false {
                assert_eq!(page["cut"], Value::Null);
                break;
            }
            assert_eq!(page["cut"], "accounts");
        }
        assert_eq!(found, truth, "pages of {limit}");
        // There are 27 accounts, and a page that is cut has so many uploads at least.
        let expected = 27_usize.div_ceil(limit)..=72 / limit + 1;
        assert!(expected.contains(&pages), "{pages} pages of {limit}");
    }
    let most = running
        .get(
            &format!("{path}/accounts?order=count&platform=alpha-video"),
            &bench.alpha,
        )
        .await;
    let counts: Vec<u64> = most["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["uploads"].as_u64().unwrap())
        .collect();
    assert!(
        counts.is_sorted_by(|one, next| one >= next) && counts[0] > counts[counts.len() - 1],
        "{counts:?}"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_went_into_another_answers_for_all_of_it_and_what_went_cold_still_counts() {
    let bench = Bench::new().await;
    let [one, two] = ordered([31, 32]);
    bench.upload("alpha", &upload(1, "alpha-video", one, Some(1)));
    bench.upload("alpha", &upload(2, "alpha-video", two, Some(2)));
    bench.rings(&[one, two], Scope::All);
    let running = bench.start().await;
    let [of_one, of_two] = [
        path_of(&running, &bench.alpha, one).await,
        path_of(&running, &bench.alpha, two).await,
    ];
    for (path, byte) in [(&of_one, 1), (&of_two, 2)] {
        let told = accounts_of(&running, &bench.alpha, path, 1).await;
        assert_eq!(told["accounts"][0]["account"], hex(&[byte; 16]), "each for itself");
    }
    bench.says((two, one), Class::All, 1);
    case_until(&running, &of_two, &bench.alpha, |case| case["state"] == "merged").await;
    let whole = accounts_of(&running, &bench.alpha, &of_one, 2).await;
    let by_old_id = accounts_of(&running, &bench.alpha, &of_two, 2).await;
    assert_eq!(without_time(&whole), without_time(&by_old_id));
    assert_eq!(whole["case"].as_str(), of_one.rsplit('/').next());
    assert_eq!(whole["accounts"].as_array().unwrap().len(), 2);

    // Nobody announces it any more: the cases know it.
    let withdrawal = Append {
        to: TopicPartition::new(topics::FAMILIES, 0),
        key: Some(family::key(id(two), Class::All).into()),
        value: None,
        headers: Vec::new(),
    };
    bench.append_all(vec![withdrawal]);
    running
        .metric("tocsin_dispatcher_carrying_contents", |count| count == 0.0)
        .await;
    let cold = accounts_of(&running, &bench.alpha, &of_one, 2).await;
    assert_eq!(without_time(&cold), without_time(&whole));

    // It leaves: each case answers for its own again.
    bench.says((two, two), Class::All, 2);
    case_until(&running, &of_two, &bench.alpha, |case| case["state"] == "open").await;
    let apart = accounts_of(&running, &bench.alpha, &of_two, 1).await;
    assert_eq!(apart["accounts"][0]["account"], hex(&[2; 16]));
    running.stop().await;
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_case_that_nobody_saw_all_that_is_kept_is_read() {
    let bench = Bench::new().await;
    bench.upload("alpha", &upload(1, "alpha-video", 41, Some(9)));
    let running = bench.start().await;
    let notice = json!({
        "kind": "removal_order", "authority": "an authority", "reference": "one", "received_at": "2026-01-01T00:00:00Z",
        "content": {"algorithm": "sha256", "value": hex(&[41; 32])},
    });
    running.post("/v1/notices", &bench.alpha, notice).await;
    let path = path_of(&running, &bench.alpha, 41).await;
    let told = accounts_of(&running, &bench.alpha, &path, 1).await;
    assert_eq!(
        (&told["read"]["since"], &told["read"]["deleted"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(told["accounts"][0]["account"], hex(&[9; 16]), "{told}");
    running.stop().await;
}
