//! Goal: what is decided here is told in Ozone once, by two dispatchers, across restarts and whatever becomes of answers; what comes back of it decides
//! nothing; and what people report in Ozone opens a case here and is told what it came to.

use serde_json::{Value, json};
use tocsin_model::{AlertLevel, Milliseconds, Scope, Timestamp};
use tocsin_store::Clock;
use tocsin_wire::topics;

use crate::bench::{Bench, Running, alert, name, until};
use crate::carrying::case_until;
use crate::database::on_empty;
use crate::ozone::{config, endpoint_with, path_of};
use crate::ozone_server::{ANNA, Fault, Ozone, record};

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.unwrap().as_millis() as i64)
}

async fn decide(running: &Running, path: &str, key: &str, verdict: &str) -> Value {
    let claimed = running.post(&format!("{path}/claim"), key, json!({})).await;
    let decision = json!({
        "fencing": claimed["fencing"],
        "verdict": verdict,
        "recommended_action": "remove",
        "policy": "terrorism",
        "rationale": "footage of the attack",
    });
    running.post(&format!("{path}/decision"), key, decision).await
}

/// Lets the clock of the store go on until it is so: what is due again is sent again.
async fn advance_until(clock: &Clock, what: &str, condition: impl Fn() -> bool) {
    let ends_at = std::time::Instant::now() + crate::bench::WAIT_MAX;
    while !condition() {
        assert!(std::time::Instant::now() < ends_at, "not in time: {what}");
        clock.advance(Milliseconds::from_seconds(61));
        a_round().await;
    }
}

/// What the dispatchers began may end before the clock goes on.
async fn a_round() {
    let round = std::time::Instant::now();
    while round.elapsed() < std::time::Duration::from_millis(200) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_made_here_is_told_there_once_and_nothing_comes_back_of_it() {
    on_empty(async |url| {
        let clock = Clock::standing_at(now());
        let bench = Bench::on(tempfile::tempdir().unwrap(), &url, clock.clone()).await;
        let (ozone, address) = Ozone::start().await;
        let acknowledged = ("on_acknowledge", "benign/keep");
        endpoint_with(&bench, ("alpha-ozone", &address), None, &[acknowledged]).await;
        let beside = bench.beside();
        let (running, second) = (bench.start_with(config()).await, beside.start_with(config()).await);
        bench.ring(&[alert(1, Scope::All, AlertLevel::Raised, 1.0)]);
        running.queue_of(1, &bench.alpha).await;
        let family = json!(alert(1, Scope::All, AlertLevel::Raised, 1.0).family.to_string());
        let uri = record(&family)["uri"].clone();
        until("the report of the alert", || ozone.told(&uri) == ["modEventReport"]).await;

        // It is too busy, then takes the tag and its answer is lost, then takes the other one and its answer breaks off.
        ozone.fail(&[Fault::TooMany, Fault::Lost, Fault::Half, Fault::Half]);
        let path = path_of(&running, &bench.alpha, &family).await;
        decide(&running, &path, &bench.alpha, "violating").await;
        let all = ["modEventReport", "modEventTag", "modEventAcknowledge"];
        advance_until(&clock, "the decision is told", || {
            ozone.told(&uri) == all && ozone.faults_left() < 2
        })
        .await;
        let told = ozone.of(&uri);
        assert_eq!(
            (&told[1]["event"]["add"], &told[2]["subject"]),
            (&json!(["tocsin-violating"]), &record_with_cid(&told[0]))
        );
        let comment = told[2]["event"]["comment"].as_str().unwrap();
        assert!(
            comment.starts_with("Decided in Tocsin: violating; recommended: remove; policy: terrorism."),
            "{comment}"
        );

        // What Tocsin acknowledged was read as well, and decided nothing.
        ozone.is_read().await;
        let case = running.get(&path, &bench.alpha).await;
        assert_eq!(
            (&case["state"], &case["decision"]["verdict"]),
            (&json!("decided"), &json!("violating"))
        );
        running.stop().await;
        second.stop().await;
        let running = bench.start_with(config()).await;
        settled(&bench, &clock).await;
        ozone.is_read().await;
        assert_eq!(ozone.told(&uri).len(), 3, "it was told before");

        ozone.emit("modEventAcknowledge", ANNA, record(&family), |_| {});
        let benign = case_until(&running, &path, &bench.alpha, |case| {
            case["decision"]["verdict"] == "benign"
        })
        .await;
        assert_eq!(benign["state"], "decided");
        settled(&bench, &clock).await;
        assert_eq!(ozone.told(&uri).len(), 3, "Ozone knows what was decided in it");
        running.stop().await;
    })
    .await;
}

/// Waits until no delivery waits.
async fn settled(bench: &Bench, clock: &Clock) {
    let began = std::time::Instant::now();
    while bench.store.delivery_counts().await.unwrap().waiting > 0 {
        assert!(began.elapsed() < crate::bench::WAIT_MAX, "deliveries wait");
        clock.advance(Milliseconds::from_seconds(61));
        a_round().await;
    }
}

/// The subject of an event, as it was told first.
fn record_with_cid(event: &Value) -> Value {
    event["subject"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_was_taken_and_not_noted_is_not_taken_again() {
    let clock = Clock::standing_at(now());
    let bench = Bench::with_clock(clock.clone()).await;
    let (ozone, address) = Ozone::start().await;
    let key = endpoint_with(&bench, ("alpha-ozone", &address), None, &[]).await;
    let running = bench.start_with(config()).await;
    let rung = alert(1, Scope::All, AlertLevel::Raised, 1.0);
    bench.ring(std::slice::from_ref(&rung));
    running.queue_of(1, &bench.alpha).await;
    let family = json!(rung.family.to_string());
    let path = path_of(&running, &bench.alpha, &family).await;
    ozone.emit("modEventTakedown", ANNA, record(&family), |_| {});
    case_until(&running, &path, &bench.alpha, |case| case["state"] == "decided").await;
    // Of another endpoint of the same Ozone nothing is noted, as where the process ended before it could be: the decision is there.
    endpoint_with(&bench, ("alpha-ozone-again", &address), Some(key), &[]).await;
    // Of two endpoints: one round counts as two reads.
    ozone.is_read().await;
    ozone.is_read().await;
    let history = running.get(&format!("{path}/history"), &bench.alpha).await;
    let steps = history["steps"].as_array().unwrap();
    let decided = steps.iter().filter(|step| step["kind"] == "decided").count();
    assert_eq!(decided, 1, "{steps:?}");
    assert_eq!(bench.records(topics::DECISIONS).len(), 1);
    running.stop().await;
}

/// The CID of a blob of this SHA-256, as the AT Protocol writes it.
fn blob(digest: [u8; 32]) -> String {
    let bytes: Vec<u8> = [0x01, 0x55, 0x12, 0x20].into_iter().chain(digest).collect();
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let letters = bits.as_bytes().chunks(5).map(|chunk| {
        let text = format!("{:0<5}", std::str::from_utf8(chunk).unwrap());
        let value = usize::from_str_radix(&text, 2).unwrap();
        char::from(b"abcdefghijklmnopqrstuvwxyz234567"[value])
    });
    std::iter::once('b').chain(letters).collect()
}

fn post(number: u8) -> Value {
    let uri = format!("at://did:plc:author/app.bsky.feed.post/{number}");
    json!({"$type": "com.atproto.repo.strongRef", "uri": uri, "cid": "bafyreia"})
}

/// What a user reports, as Ozone's `createReport` writes it: of no blobs.
fn report(ozone: &Ozone, number: u8, digest: [u8; 32]) {
    ozone.show(&post(number), &[blob(digest)]);
    ozone.emit(
        "modEventReport",
        &format!("did:plc:user{number}"),
        post(number),
        |event| {
            event["event"]["reportType"] = json!("com.atproto.moderation.defs#reasonViolation");
        },
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reported_there_opens_a_case_here_and_is_told_what_it_came_to() {
    on_empty(async |url| {
        let clock = Clock::standing_at(now());
        let bench = Bench::on(tempfile::tempdir().unwrap(), &url, clock.clone()).await;
        let (ozone, address) = Ozone::start().await;
        let further = [
            ("reports", "open"),
            ("tell_violating", "tag,takedown"),
            ("tell_benign", "tag,reverse_takedown"),
        ];
        endpoint_with(&bench, ("alpha-ozone", &address), None, &further).await;
        let beside = bench.beside();
        let (running, second) = (bench.start_with(config()).await, beside.start_with(config()).await);
        let seen = [200; 32];
        report(&ozone, 1, seen);
        report(&ozone, 2, seen);
        // What a moderator reports names blobs; one record is in no state to be kept, and holds up nothing.
        let broken = json!({"uri": "at://did:plc:author/app.bsky.feed.post/\0", "cid": "bafyreia"});
        ozone.emit("modEventReport", "did:plc:user3", broken, |event| {
            event["subjectBlobCids"] = json!([blob(seen)]);
        });
        // A text, and an account: nothing that could be found again.
        ozone.emit("modEventReport", "did:plc:user3", post(3), |_| {});
        ozone.emit(
            "modEventReport",
            "did:plc:user4",
            json!({"did": "did:plc:author"}),
            |_| {},
        );
        let queue = running.queue_of(1, &bench.alpha).await;
        assert_eq!(
            (&queue[0]["hash"]["value"], &queue[0]["alert"], &queue[0]["lane"]),
            (&json!("c8".repeat(32)), &Value::Null, &json!("general"))
        );
        let path = format!("/v1/cases/{}", queue[0]["id"].as_str().unwrap());
        ozone.is_read().await;
        let reported = async |running: &Running| {
            let history = running.get(&format!("{path}/history"), &bench.alpha).await;
            let steps = history["steps"].as_array().unwrap();
            let reported = steps.iter().filter(|step| step["kind"] == "ozone_reported");
            reported
                .map(|step| step["note"].as_str().unwrap().to_owned())
                .collect::<Vec<String>>()
        };
        assert_eq!(reported(&running).await, ["reasonViolation footage of the attack"; 2]);
        for other in [&bench.beta, &bench.coordinators] {
            assert!(
                running.get("/v1/queue", other).await["cases"]
                    .as_array()
                    .unwrap()
                    .is_empty()
            );
        }

        assert_eq!(ozone.refused(), 1, "it was asked again what the records show");
        let uris = [1, 2, 5].map(|number| post(number)["uri"].clone());
        ozone.fail(&[Fault::Lost, Fault::TooMany]);
        decide(&running, &path, &bench.alpha, "violating").await;
        let is_told = |uri: &Value| ozone.told(uri) == ["modEventTag", "modEventTakedown"];
        advance_until(&clock, "both are told", || uris[..2].iter().all(is_told)).await;
        let taken_down = &ozone.of(&uris[0])[2];
        assert_eq!(taken_down["subjectBlobCids"], json!([blob(seen)]), "with its picture");

        // What is reported later is told of what stands, and brings nothing back.
        running.stop().await;
        second.stop().await;
        let running = bench.start_with(config()).await;
        ozone.fail(&[Fault::Half, Fault::Lost]);
        report(&ozone, 5, seen);
        advance_until(&clock, "the third is told", || {
            is_told(&uris[2]) && ozone.faults_left() == 0
        })
        .await;
        let case = running.get(&path, &bench.alpha).await;
        assert_eq!(case["state"], "decided");
        assert_eq!(reported(&running).await.len(), 3, "each once");

        // Somebody was wrong: what was taken down is put back, and not what somebody put back before.
        ozone.emit("modEventReverseTakedown", ANNA, post(2), |_| {});
        decide(&running, &path, &bench.alpha, "benign").await;
        advance_until(&clock, "all are told of it", || {
            let count = |uri: &Value| ozone.told(uri).iter().filter(|kind| *kind == "modEventTag").count();
            uris.iter().all(|uri| count(uri) == 2)
        })
        .await;
        advance_until(&clock, "those are back", || {
            ozone.told(&uris[0]).contains(&"modEventReverseTakedown".to_owned())
        })
        .await;
        let dead = bench.store.dead_letters(&name("alpha-ozone"), 10).await.unwrap();
        assert!(dead.is_empty(), "{dead:?}");
        assert!(!ozone.told(&uris[1]).contains(&"modEventReverseTakedown".to_owned()));
        running.stop().await;
    })
    .await;
}
