//! Goal: who takes part in an incident is told by mail, once, in the words that its marking lets out; a relay that hangs, refuses or breaks off costs mail
//! alone, and of mail what it must. With a real server where `TOCSIN_TEST_SMTP` names one (`tests/tools/smtp`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tocsin_casework::Team;
use tocsin_dispatcher::{DispatcherConfig, MailConfig, MailTls};
use tocsin_model::{Alert, AlertId, AlertLevel, Milliseconds, Scope, Timestamp};
use tocsin_store::{Clock, ENDPOINTS_MAX, EndpointKind, NewEndpoint, Replay};

use crate::bench::{Bench, Running, alert, name, until};
use crate::deliveries::{loopback, webhook};
use crate::example;
use crate::incidents::declare;
use crate::receiver::Receiver;
use crate::relay::{Doing, Relay};

/// Names a directory that `tests/tools/smtp start` wrote.
const SERVER_VARIABLE: &str = "TOCSIN_TEST_SMTP";
const DUTY: &str = "duty@alpha.example";

fn by(relay: &Relay) -> DispatcherConfig {
    DispatcherConfig {
        mail: MailConfig {
            host: "127.0.0.1".to_owned(),
            port: relay.port,
            tls: MailTls::None,
            from: "bell@bell.example".to_owned(),
            ..MailConfig::default()
        },
        ..loopback()
    }
}

fn mailbox(name: &str, team: Team, settings: &[(&str, &str)]) -> NewEndpoint {
    let settings = settings.iter().map(|(name, text)| (name.to_string(), text.to_string()));
    NewEndpoint {
        kind: EndpointKind::Email,
        target: DUTY.to_owned(),
        settings: settings.collect(),
        secret: String::new(),
        ..webhook(name, team, "")
    }
}

async fn outcome(running: &Running, outcome: &str, count: f64) {
    let series = format!("tocsin_dispatcher_deliveries_total{{kind=\"email\",outcome=\"{outcome}\"}}");
    running.metric(&series, |value| value == count).await;
}

async fn dead(bench: &Bench, endpoint: &str) -> Vec<String> {
    let letters = bench.store.dead_letters(&name(endpoint), 100).await.unwrap();
    letters.into_iter().map(|letter| letter.reason).collect()
}

fn raised(family: u128) -> Alert {
    alert(family, Scope::All, AlertLevel::Raised, 1.0)
}

/// An incident to which alpha is invited; its id.
async fn invited(running: &Running, bench: &Bench, more: &[(&str, Value)]) -> String {
    let (declared, path) = declare(bench, running, "An attack in the north", more).await;
    let invitation = json!({"party": "alpha", "class": "platforms", "message": "Please look.\n.\nNow."});
    let path = format!("{path}/participants");
    running.post(&path, &bench.coordinators, invitation).await;
    declared["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn participants_are_told_by_mail_what_its_marking_lets_out() {
    let bench = Bench::new().await;
    let relay = Relay::start().await;
    let (alpha, beta) = (bench.team("alpha").await, bench.team("beta").await);
    bench.add(&mailbox("of-alpha", alpha, &[])).await;
    bench.add(&mailbox("of-beta", beta, &[])).await;
    let mut config = by(&relay);
    config.sign_in.public_url = "https://bell.example".to_owned();
    let running = bench.start_with(config).await;
    let id = invited(&running, &bench, &[]).await;
    until("the invitation", || relay.mails().len() == 1).await;
    let activate = json!({"level": "awareness", "reason": "it spreads"});
    let path = format!("/v1/incidents/{id}/activate");
    running.post(&path, &bench.coordinators, activate).await;
    until("the activation", || relay.mails().len() == 2).await;
    outcome(&running, "delivered", 2.0).await;

    let mails = relay.mails();
    let invitation = &mails[0];
    assert_eq!((invitation.to.as_str(), invitation.header("To").as_str()), (DUTY, DUTY));
    assert_eq!(
        invitation.header("Subject"),
        "[TLP:AMBER] Tocsin: invited: An attack in the north"
    );
    assert_eq!(invitation.header("Auto-Submitted"), "auto-generated");
    assert_eq!(invitation.header("References"), mails[1].header("References"));
    assert_ne!(invitation.header("Message-ID"), mails[1].header("Message-ID"));
    for words in [
        "Your team is invited to take part in an incident.",
        "> Please look.\r\n> .\r\n> Now.",
        &format!("https://bell.example/v1/incidents/{id}"),
    ] {
        assert!(invitation.text.contains(words), "{words} in {}", invitation.text);
    }
    assert!(mails[1].text.contains("> it spreads"), "{}", mails[1].text);
    // Of alerts it did not ask to be told.
    bench.ring(&[raised(1)]);
    running.queue_of(1, &bench.coordinators).await;

    // What is marked so that it must not lie in mailboxes.
    let strict = invited(&running, &bench, &[("marking", json!({"tlp": "AMBER+STRICT"}))]).await;
    until("that there is something", || relay.mails().len() == 3).await;
    let told = &relay.mails()[2];
    assert!(
        told.text.contains(&strict) && told.text.contains("TLP:AMBER+STRICT"),
        "{}",
        told.text
    );
    assert!(
        !told.text.contains("north") && !told.text.contains("Please look"),
        "{}",
        told.text
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_alerts_a_mailbox_is_told_those_that_it_asks_for() {
    let bench = Bench::new().await;
    let relay = Relay::start().await;
    for (name, asks) in [("none", "none"), ("pages", "pages"), ("raised", "raised")] {
        let endpoint = NewEndpoint {
            target: format!("{name}@alpha.example"),
            ..mailbox(name, Team::Coordinators, &[("alerts", asks)])
        };
        bench.add(&endpoint).await;
    }
    let running = bench.start_with(by(&relay)).await;
    let paging = |family, level, paged| Alert {
        paged,
        page_score: 1_500.0,
        page_threshold: 1_500.0,
        ..alert(family, Scope::All, level, 1.0)
    };
    // `paged` of an alert means now or before: the first of an episode is the one that calls somebody, whatever its level.
    bench.ring(&[
        paging(1, AlertLevel::Raised, true),
        paging(2, AlertLevel::Raised, false),
        paging(3, AlertLevel::Escalated, false),
        paging(2, AlertLevel::Sustained, true),
        paging(2, AlertLevel::Escalated, true),
        paging(1, AlertLevel::Escalated, true),
        paging(1, AlertLevel::Sustained, true),
        paging(1, AlertLevel::Subsided, true),
        // The next episode of the same family.
        Alert {
            id: AlertId(77),
            episode: example::alert().episode + 1,
            ..paging(1, AlertLevel::Raised, true)
        },
    ]);
    outcome(&running, "delivered", 9.0).await;
    let mut told = BTreeMap::<String, usize>::new();
    for mail in relay.mails() {
        *told.entry(mail.to).or_default() += 1;
        assert!(mail.text.contains("copies in"), "{}", mail.text);
    }
    let wanted = [
        ("pages@alpha.example".to_owned(), 3),
        ("raised@alpha.example".to_owned(), 6),
    ];
    assert_eq!(told, BTreeMap::from(wanted));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_marked_narrower_between_two_tries_goes_out_as_it_is_marked_then() {
    let clock = Clock::standing_at(Timestamp(1_770_000_000_000));
    let bench = Bench::with_clock(clock.clone()).await;
    let relay = Relay::start().await;
    bench.add(&mailbox("duty", bench.team("alpha").await, &[])).await;
    let running = bench.start_with(by(&relay)).await;
    relay.does("connect", Doing::Refuse(421));
    let id = invited(&running, &bench, &[]).await;
    outcome(&running, "retried", 1.0).await;
    let marked = json!({"marking": {"tlp": "AMBER+STRICT"}, "reason": "a name in it"});
    let path = format!("/v1/incidents/{id}/marking");
    running.post(&path, &bench.coordinators, marked).await;
    relay.takes();
    clock.advance(Milliseconds::from_hours(24));
    outcome(&running, "delivered", 1.0).await;
    let mail = &relay.mails()[0];
    assert!(
        mail.header("Subject").starts_with("[TLP:AMBER+STRICT]"),
        "{}",
        mail.text
    );
    assert!(
        !mail.text.contains("north") && !mail.text.contains("Please look"),
        "{}",
        mail.text
    );
    // What was written under a narrower marking than the incident has later keeps it.
    relay.does("connect", Doing::Refuse(421));
    let path = format!("/v1/incidents/{id}/participants/remind");
    running
        .post(
            &path,
            &bench.coordinators,
            json!({"party": "alpha", "message": "A secret."}),
        )
        .await;
    outcome(&running, "retried", 2.0).await;
    let marked = json!({"marking": {"tlp": "GREEN"}, "reason": "for all"});
    let path = format!("/v1/incidents/{id}/marking");
    running.post(&path, &bench.coordinators, marked).await;
    relay.takes();
    clock.advance(Milliseconds::from_hours(24));
    outcome(&running, "delivered", 2.0).await;
    assert!(!relay.mails()[1].text.contains("secret"), "{}", relay.mails()[1].text);
    running.stop().await;
}

/// Five mailboxes want more places at the relay than there are; what they leave is the sixth's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mailboxes_behind_which_the_relay_hangs_hold_up_no_other() {
    let bench = Bench::new().await;
    let relay = Relay::start().await;
    for number in 0..5 {
        let stalled = NewEndpoint {
            target: format!("{number}@stalled.example"),
            ..mailbox(
                &format!("stalled-{number}"),
                Team::Coordinators,
                &[("alerts", "raised")],
            )
        };
        bench.add(&stalled).await;
    }
    let good = mailbox("good", bench.team("alpha").await, &[]);
    bench.add(&good).await;
    let running = bench.start_with(by(&relay)).await;
    relay.does_to("RCPT", Doing::Hang, "@stalled.example");
    bench.ring(&(1..=8).map(raised).collect::<Vec<_>>());
    until("all places", || relay.connections() == 16).await;
    invited(&running, &bench, &[]).await;
    until("the good mailbox's", || relay.mails().len() == 1).await;
    outcome(&running, "delivered", 1.0).await;
    let dead = bench.store.dead_letters(&name("good"), 100).await.unwrap();
    assert_eq!((relay.mails()[0].to.as_str(), dead.len()), (DUTY, 0));
    running.stop().await;
}

/// As many mailboxes as there may be, beside a webhook, wait for a relay that says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mailboxes_in_any_number_take_no_more_places_and_hold_up_no_webhook() {
    let bench = Bench::new().await;
    let (relay, receiver) = (Relay::start().await, Receiver::start().await);
    bench.add(&webhook("hook", Team::Coordinators, &receiver.url)).await;
    for number in 1..ENDPOINTS_MAX {
        let one = NewEndpoint {
            target: format!("{number}@many.example"),
            ..mailbox(&format!("box-{number}"), Team::Coordinators, &[("alerts", "raised")])
        };
        bench.add(&one).await;
    }
    let running = bench.start_with(by(&relay)).await;
    relay.does("connect", Doing::Hang);
    let began = Instant::now();
    bench.ring(&[raised(1)]);
    until("all places", || relay.connections() >= 16).await;
    bench.ring(&(2..=5).map(raised).collect::<Vec<_>>());
    // Behind all of the mail it would be two minutes.
    until("the webhook's", || receiver.count() == 5).await;
    let connections = relay.connections();
    // What hangs is given up after eight seconds.
    let times = 1 + began.elapsed().as_secs() / 8;
    assert!(connections as u64 <= 16 * times, "{connections}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_refuses_for_now_is_asked_again_under_the_same_id() {
    let clock = Clock::standing_at(Timestamp(1_770_000_000_000));
    let bench = Bench::with_clock(clock.clone()).await;
    let relay = Relay::start().await;
    bench
        .add(&mailbox("duty", Team::Coordinators, &[("alerts", "raised")]))
        .await;
    let running = bench.start_with(by(&relay)).await;
    // Whatever the step: a greeting, a name, an address, a message.
    relay.does("connect", Doing::Refuse(421));
    bench.ring(&[raised(1)]);
    outcome(&running, "retried", 1.0).await;
    let mut retried = 1.0;
    for (step, doing) in [
        ("EHLO", Doing::Refuse(502)),
        ("RCPT", Doing::Refuse(450)),
        ("DATA", Doing::Refuse(451)),
        ("message", Doing::Refuse(452)),
        ("MAIL", Doing::BreakOff),
        // It has the message, and said nothing: it gets it once more, and can tell.
        ("message", Doing::BreakOff),
    ] {
        relay.does(step, doing);
        clock.advance(Milliseconds::from_hours(24));
        retried += 1.0;
        outcome(&running, "retried", retried).await;
    }
    relay.takes();
    clock.advance(Milliseconds::from_hours(24));
    outcome(&running, "delivered", 1.0).await;
    let ids: BTreeSet<String> = relay.mails().iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!((relay.mails().len(), ids.len()), (2, 1));
    assert_eq!(relay.mails()[0].text, relay.mails()[1].text);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_relay_refuses_for_good_is_given_up_and_can_be_replayed() {
    let bench = Bench::new().await;
    let relay = Relay::start().await;
    bench
        .add(&mailbox("duty", Team::Coordinators, &[("alerts", "raised")]))
        .await;
    let running = bench.start_with(by(&relay)).await;
    let mut given_up = 0.0;
    for (step, code, family) in [
        ("MAIL", 553, 1),
        ("RCPT", 550, 2),
        ("DATA", 554, 3),
        ("message", 552, 4),
    ] {
        relay.does(step, Doing::Refuse(code));
        bench.ring(&[raised(family)]);
        given_up += 1.0;
        outcome(&running, "dead", given_up).await;
    }
    let reasons: BTreeSet<String> = dead(&bench, "duty").await.into_iter().collect();
    let wanted = ["smtp_mail_553", "smtp_rcpt_550", "smtp_data_554", "smtp_message_552"];
    assert_eq!(reasons, wanted.map(str::to_owned).into());
    assert_eq!((relay.mails().len(), relay.connections()), (0, 4));
    relay.takes();
    bench
        .store
        .replay_deliveries(&name("duty"), &Replay::Dead)
        .await
        .unwrap();
    outcome(&running, "delivered", 4.0).await;
    assert_eq!(relay.mails().len(), 4);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_hangs_holds_up_nobody_else() {
    let bench = Bench::new().await;
    let (relay, receiver) = (Relay::start().await, Receiver::start().await);
    bench
        .add(&mailbox("duty", Team::Coordinators, &[("alerts", "raised")]))
        .await;
    let other = NewEndpoint {
        target: "night@alpha.example".to_owned(),
        ..mailbox("night", Team::Coordinators, &[("alerts", "raised")])
    };
    bench.add(&other).await;
    bench.add(&webhook("hook", Team::Coordinators, &receiver.url)).await;
    let running = bench.start_with(by(&relay)).await;
    // One mailbox behind which the relay hangs, in the middle of a message; then the relay as a whole.
    relay.does_to("message", Doing::Hang, DUTY);
    let began = Instant::now();
    bench.ring(&(1..=20).map(raised).collect::<Vec<_>>());
    until("the webhook's", || receiver.count() == 20).await;
    let to_night = || {
        relay
            .mails()
            .iter()
            .filter(|mail| mail.to == "night@alpha.example")
            .count()
    };
    until("the other mailbox's", || to_night() == 20).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    running
        .metric(
            "tocsin_dispatcher_deliveries_total{kind=\"email\",outcome=\"retried\"}",
            |count| count >= 4.0,
        )
        .await;
    relay.does("connect", Doing::Hang);
    bench.ring(&[raised(21)]);
    until("the webhook's, again", || receiver.count() == 21).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_relay_mail_waits() {
    let bench = Bench::new().await;
    let clock_free = mailbox("duty", Team::Coordinators, &[("alerts", "raised")]);
    bench.add(&clock_free).await;
    let running = bench.start_with(loopback()).await;
    bench.ring(&[raised(1)]);
    outcome(&running, "retried", 1.0).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_server_takes_mail_over_tls_and_a_library_reads_it() {
    let Some(directory) = std::env::var_os(SERVER_VARIABLE).map(std::path::PathBuf::from) else {
        println!("skipped: {SERVER_VARIABLE} is not set");
        return;
    };
    let port = |name: &str| -> u16 {
        let text = std::fs::read_to_string(directory.join(name)).unwrap();
        text.trim().parse().unwrap()
    };
    let (starttls, implicit) = (port("starttls-port"), port("implicit-port"));
    let mail = |tls, port| MailConfig {
        host: "localhost".to_owned(),
        port,
        tls,
        authorities: directory.join("authority.pem"),
        user: "tocsin".to_owned(),
        password: "a secret: with + and %".to_owned(),
        from: "bell@bell.example".to_owned(),
    };
    for (config, is_good) in [
        (mail(MailTls::Starttls, starttls), true),
        (mail(MailTls::Implicit, implicit), true),
        // Another password, an authority that is not the server's, a name that is not in its certificate, and no TLS where there is none.
        (
            MailConfig {
                password: "other".to_owned(),
                ..mail(MailTls::Starttls, starttls)
            },
            false,
        ),
        (
            MailConfig {
                authorities: "".into(),
                ..mail(MailTls::Starttls, starttls)
            },
            false,
        ),
        (
            MailConfig {
                host: "127.0.0.1".to_owned(),
                ..mail(MailTls::Implicit, implicit)
            },
            false,
        ),
        (mail(MailTls::Implicit, starttls), false),
    ] {
        let bench = Bench::new().await;
        // Its own address, so that this mail is told from that of others.
        let to = format!("{}@alpha.example", bench.store.time().await.unwrap().0);
        let endpoint = NewEndpoint {
            target: to.clone(),
            ..mailbox("duty", bench.team("alpha").await, &[])
        };
        bench.add(&endpoint).await;
        let how = format!("{:?} {} {}", config.tls, config.host, config.port);
        let running = bench
            .start_with(DispatcherConfig {
                mail: config,
                ..loopback()
            })
            .await;
        let title = "Z\u{fc}rich \u{2014} \u{442}\u{440}\u{435}\u{432}\u{43e}\u{433}\u{430}";
        invited(&running, &bench, &[("title", json!(title))]).await;
        outcome(&running, if is_good { "delivered" } else { "retried" }, 1.0).await;
        running.stop().await;
        let taken = std::fs::read_to_string(directory.join("mail")).unwrap_or_default();
        let taken = taken.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let taken: Vec<Value> = taken.filter(|mail| mail["to"] == json!([to])).collect();
        assert_eq!(taken.len(), usize::from(is_good), "{how}");
        for mail in taken {
            assert_eq!(
                mail["subject"],
                format!("[TLP:AMBER] Tocsin: invited: {title}"),
                "{mail}"
            );
            assert_eq!(
                (&mail["from"], &mail["defects"]),
                (&json!("bell@bell.example"), &json!([]))
            );
            let body = mail["body"].as_str().unwrap().replace("\r\n", "\n");
            assert!(
                body.contains(&format!("Incident: {title}")) && body.contains("> .\n> Now."),
                "{body}"
            );
        }
    }
}
