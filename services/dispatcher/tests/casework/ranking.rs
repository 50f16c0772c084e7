//! Goal: claims go by the latest figures of `tocsin.state`, and by the alerts where it says nothing; what it tells of clocks, regions and languages
//! stands with the case.

use serde_json::json;
use tocsin_log::TopicPartition;
use tocsin_model::{
    AccountToken, Alert, AlertLevel, Algorithm, Class, ClockFlag, ContentHash, ContentId, DeploymentKey, FamilyId,
    KEY_GROUPS, Kind, Milliseconds, PartyId, PlatformId, Scope, Sharing, Sighting, SourceCoordinate, SourceId, Surface,
    Timestamp,
};
use tocsin_sketch::ColdConfig;
use tocsin_sketch::codec::{Decoder, Encoder};
use tocsin_store::Clock;
use tocsin_velocity::{Group, GroupConfig, HotKey, HotRecord, Input};
use tocsin_wire::document::instant;
use tocsin_wire::state::{StateKey, StateRecord};
use tocsin_wire::topics;

use crate::bench::{Bench, Running, alert};
use crate::example::START;

fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Sha256, vec![byte; 32], None).unwrap()
}

/// A content that so many accounts uploaded, one a second: its hot record as it stands in `tocsin.state`.
pub fn spreading(byte: u8, copies: u64) -> (ContentId, StateKey, Vec<u8>, Timestamp) {
    spreading_labelled(byte, copies, Sighting::NO_LABEL)
}

/// The same, each copy labelled with this confidence.
pub fn spreading_labelled(byte: u8, copies: u64, label: u8) -> (ContentId, StateKey, Vec<u8>, Timestamp) {
    let (key, hash) = (&DeploymentKey::from_bytes([7; 32]), hash(byte));
    let content = key.content_id(&hash);
    let mut group = Group::new(
        content.group(),
        GroupConfig {
            key: key.clone(),
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
        },
    );
    let mut outputs = Vec::new();
    for copy in 0..copies {
        let at = START + Milliseconds::from_seconds(copy as i64);
        let sighting = Sighting {
            source: SourceCoordinate {
                source: SourceId(1),
                offset: copy + 1,
                index: 0,
            },
            event_token: (copy + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            party: PartyId(1),
            platform: PlatformId(1),
            kind: Kind::Upload,
            sharing: Sharing::All,
            surface: Surface::Feed,
            clock: ClockFlag::Plausible,
            occurred_at: at,
            received_at: at,
            content,
            hash: hash.view(),
            account: Some(AccountToken((copy + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))),
            account_epoch: 0,
            audience: 1_000,
            region: *b"NZ",
            language: *b"en",
            tvec_confidence: label,
        };
        group.apply(Input::Sighting(&sighting), &mut outputs);
    }
    let now = START + Milliseconds::from_seconds(copies as i64);
    group.apply(Input::Tick(now), &mut outputs);
    let class = Class::All;
    let mut body = Encoder::new();
    group.kept(HotKey { content, class }).unwrap().encode(&mut body);
    let state_key = StateKey::Hot {
        group: content.group(),
        content,
        class,
    };
    (content, state_key, state(now, body.finish()), now)
}

pub fn state(as_of: Timestamp, body: Vec<u8>) -> Vec<u8> {
    StateRecord {
        applied_through: 1,
        as_of,
        format: 1,
        chunk: 0,
        chunks: 1,
        body,
    }
    .encode()
}

pub async fn live_priority(running: &Running, path: &str, key: &str, wanted: impl Fn(f64) -> bool) {
    let began = std::time::Instant::now();
    loop {
        let case = running.get(path, key).await;
        if case["live_priority"].as_f64().is_some_and(&wanted) {
            return;
        }
        assert!(began.elapsed() < crate::bench::WAIT_MAX, "{}", case["live_priority"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_go_by_the_latest_figures_and_by_alerts_where_there_are_none() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let (content, key, value, now) = spreading(9, 200);
    assert!(content.group().0 < KEY_GROUPS);
    let crisis = Alert {
        family: FamilyId(content),
        ..alert(1, Scope::All, AlertLevel::Raised, 1.0)
    };
    bench.ring(&[crisis, alert(2, Scope::All, AlertLevel::Raised, 20.0)]);
    let queue = running.queue_of(2, &bench.coordinators).await;
    let id_of = |family: &str| {
        let case = queue.iter().find(|case| case["family"] == family).unwrap();
        case["id"].as_str().unwrap().to_owned()
    };
    let family = content.to_string();
    let path = format!("/v1/cases/{}", id_of(&family));
    let coordinators = bench.coordinators.as_str();
    live_priority(&running, &path, coordinators, |priority| priority == 1.0).await;

    // The record is of a partition of its own choosing here: the reader looks at all of them.
    let partition = TopicPartition::new(topics::STATE, 0);
    assert_eq!(bench.records_of(partition).len(), 0);
    bench.append_under(topics::STATE, &[(Some(key.to_bytes()), value)]);
    live_priority(&running, &path, coordinators, |priority| priority > 20.0).await;
    let claimed = running.post("/v1/queue/claim", coordinators, json!({})).await;
    assert_eq!(claimed["case"]["family"], family.as_str(), "its alert said less");
    let released = json!({"fencing": claimed["case"]["fencing"]});
    running.post(&format!("{path}/release"), coordinators, released).await;

    // A day of silence later the figures say that little is left, though nothing was said of them.
    let header = StateKey::Header { partition: 0 }.to_bytes();
    let later = state(now + Milliseconds::from_hours(24), Vec::new());
    bench.append_under(topics::STATE, &[(Some(header), later)]);
    live_priority(&running, &path, coordinators, |priority| priority < 20.0).await;
    let claimed = running.post("/v1/queue/claim", coordinators, json!({})).await;
    assert_eq!(claimed["case"]["family"], FamilyId(ContentId(2)).to_string());

    // Gone from the state: the alert's priority holds again.
    let gone = tocsin_log::Append {
        to: TopicPartition::new(topics::STATE, 0),
        key: Some(key.to_bytes().into()),
        value: None,
        headers: Vec::new(),
    };
    bench.append_all(vec![gone]);
    live_priority(&running, &path, coordinators, |priority| priority == 1.0).await;
    running.stop().await;
}

fn crisis(number: u128, content: ContentId) -> Alert {
    Alert {
        family: FamilyId(content),
        ..alert(number, Scope::All, AlertLevel::Raised, 1.0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_that_came_before_the_case_are_not_lost() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let coordinators = bench.coordinators.as_str();
    let (known, known_key, known_value, _) = spreading(9, 200);
    let (new, new_key, new_value, _) = spreading(8, 200);
    bench.ring(&[crisis(1, known)]);
    let queue = running.queue_of(1, coordinators).await;
    let path = format!("/v1/cases/{}", queue[0]["id"].as_str().unwrap());
    live_priority(&running, &path, coordinators, |priority| priority == 1.0).await;

    // Read in their order: with the second, the first was read too, and has no case yet.
    bench.append_under(topics::STATE, &[(Some(new_key.to_bytes()), new_value)]);
    bench.append_under(topics::STATE, &[(Some(known_key.to_bytes()), known_value)]);
    live_priority(&running, &path, coordinators, |priority| priority > 20.0).await;
    bench.ring(&[crisis(2, new)]);
    let queue = running.queue_of(2, coordinators).await;
    let family = new.to_string();
    let case = queue.iter().find(|case| case["family"] == family.as_str()).unwrap();
    let path = format!("/v1/cases/{}", case["id"].as_str().unwrap());
    live_priority(&running, &path, coordinators, |priority| priority > 20.0).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_is_gone_is_forgotten_when_the_store_refuses_it() {
    let clock = tocsin_store::Clock::standing_at(START);
    let bench = Bench::with_clock(clock.clone()).await;
    let running = bench.start().await;
    let coordinators = bench.coordinators.as_str();
    bench.ring(&[
        alert(1, Scope::All, AlertLevel::Raised, 9.0),
        alert(2, Scope::All, AlertLevel::Raised, 1.0),
    ]);
    let queue = running.queue_of(2, coordinators).await;
    let path = |case: usize| format!("/v1/cases/{}", queue[case]["id"].as_str().unwrap());
    for (case, wanted) in [(0, 9.0), (1, 1.0)] {
        live_priority(&running, &path(case), coordinators, |priority| priority == wanted).await;
    }
    // Another dispatcher closes the first, by a clock that was set back: nobody who follows hears of it.
    clock.advance(Milliseconds::from_hours(-1));
    let over = alert(1, Scope::All, AlertLevel::Subsided, 9.0);
    let over = Alert {
        id: tocsin_model::AlertId(99),
        ..over
    };
    bench.store.apply_alerts(&[over], f64::MAX).await.unwrap();
    let closed = running.get(&path(0), coordinators).await;
    assert_eq!(
        (&closed["state"], &closed["live_priority"]),
        (&json!("closed"), &json!(9.0))
    );
    let claimed = running.post("/v1/queue/claim", coordinators, json!({})).await;
    assert_eq!(claimed["case"]["id"], queue[1]["id"]);
    let closed = running.get(&path(0), coordinators).await;
    assert!(closed["live_priority"].is_null(), "{closed}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_state_tells_of_clocks_and_places_stands_with_the_case() {
    let clock = Clock::standing_at(START + Milliseconds::from_hours(1));
    let bench = Bench::with_clock(clock).await;
    let running = bench.start().await;
    let (content, key, value, _) = spreading(9, 200);
    let crisis = Alert {
        family: FamilyId(content),
        ..alert(1, Scope::All, AlertLevel::Raised, 1.0)
    };
    bench.ring(&[crisis, alert(2, Scope::All, AlertLevel::Raised, 20.0)]);
    running.queue_of(2, &bench.coordinators).await;
    let record = StateRecord::decode(&value).unwrap();
    let hot = HotRecord::decode(&mut Decoder::new(&record.body)).unwrap();
    let (_, _, first_seen) = hot.first_of_each().next().unwrap();
    bench.append_under(topics::STATE, &[(Some(key.to_bytes()), value.clone())]);
    let began = std::time::Instant::now();
    let case = loop {
        let page = running
            .get("/v1/queue?region=NZ&language=en", &bench.coordinators)
            .await;
        if let [case] = &page["cases"].as_array().unwrap()[..] {
            break case.clone();
        }
        assert!(began.elapsed() < crate::bench::WAIT_MAX, "{page}");
    };
    assert_eq!(case["family"], content.to_string().as_str());
    assert_eq!((&case["regions"], &case["languages"]), (&json!(["NZ"]), &json!(["en"])));
    let elsewhere = running.get("/v1/queue?region=DE", &bench.coordinators).await;
    assert_eq!(elsewhere["cases"], json!([]));
    let path = format!("/v1/cases/{}/clocks", case["id"].as_str().unwrap());
    let clocks = running.get(&path, &bench.coordinators).await;
    let on = &clocks["platforms"][0];
    assert_eq!(
        (&on["platform"], on["first_seen"].as_str().map(str::to_owned)),
        (&json!("alpha-video"), instant(first_seen))
    );

    let removed = first_seen + Milliseconds::from_minutes(30);
    let told = json!({"platform": "alpha-video", "clock": "removed", "at": instant(removed)});
    let clocks = running.post(&path, &bench.coordinators, told).await;
    assert_eq!(
        clocks["platforms"][0]["removed"].as_str().map(str::to_owned),
        instant(removed)
    );
    let summary = running.get("/v1/clocks", &bench.coordinators).await;
    let on = &summary["platforms"][0];
    assert_eq!(
        (&on["platform"], &on["to_removal"]["median_s"]),
        (&json!("alpha-video"), &json!(1_800.0))
    );
    assert_eq!(on["removed_in_golden_hour"], 1);

    let claimed = running
        .post("/v1/queue/claim", &bench.coordinators, json!({"language": "en"}))
        .await;
    assert_eq!(claimed["case"]["id"], case["id"], "the other ranks higher");
    for body in [
        json!({"platform": "alpha-video", "clock": "first_seen", "at": instant(removed)}),
        json!({"platform": "nowhere", "clock": "removed", "at": instant(removed)}),
        json!({"platform": "alpha-video", "clock": "removed", "at": "2999-01-01T00:00:00Z"}),
    ] {
        running
            .refused(
                reqwest::Method::POST,
                &path,
                &bench.coordinators,
                Some(body),
                (400, "invalid_body"),
            )
            .await;
    }
    running
        .refused(reqwest::Method::GET, &path, &bench.alpha, None, (404, "case_unknown"))
        .await;
    let wrong = "/v1/queue?region=nz";
    running
        .refused(
            reqwest::Method::GET,
            wrong,
            &bench.coordinators,
            None,
            (400, "invalid_parameter"),
        )
        .await;
    running.stop().await;
}
