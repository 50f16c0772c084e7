//! Goal: whatever a relay says, does or leaves out, a message comes to an end of which we know the name, and nothing that is said comes from elsewhere.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use tokio::io::DuplexStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;

const STEP: Duration = Duration::from_millis(200);
const OFFERS: &str = "250-relay.example\r\n250-SIZE 1000\r\n250-AUTH LOGIN PLAIN\r\n250 8BITMIME\r\n";

/// Says these lines one after another, each when a line came, and hands back all that came.
async fn relay(mut stream: DuplexStream, says: Vec<String>) -> String {
    let mut came = Vec::new();
    for say in says {
        if stream.write_all(say.as_bytes()).await.is_err() {
            break;
        }
        let is_body = say.starts_with("354");
        let mut line = Vec::new();
        let ends: &[u8] = if is_body { b"\r\n.\r\n" } else { b"\r\n" };
        while !line.ends_with(ends) {
            let mut byte = [0];
            if stream.read_exact(&mut byte).await.is_err() {
                came.extend(line);
                return String::from_utf8(came).unwrap();
            }
            line.push(byte[0]);
        }
        came.extend(line);
    }
    // The connection stays open: who waits for more waits for nothing.
    let mut rest = [0; 64];
    while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    String::from_utf8(came).unwrap()
}

async fn hand(says: &[&str], change: impl FnOnce(&mut Handing<'_>)) -> (Result<(), SmtpError>, String) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let says = says.iter().map(|say| (*say).to_owned()).collect();
    let relay = tokio::spawn(relay(theirs, says));
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let (from, to) = (
        Mailbox::parse("a@b.example").unwrap(),
        Mailbox::parse("c@d.example").unwrap(),
    );
    let mut handing = Handing {
        tls: MailTls::None,
        connector: &connector,
        server: "relay.example".try_into().unwrap(),
        credentials: None,
        from: &from,
        to: &to,
        message: b"Subject: x\r\n\r\n.a\r\n..\r\n.\r\nend\r\n",
        step_timeout: STEP,
    };
    change(&mut handing);
    let handed = hand_over(ours, &handing).await;
    (handed, relay.await.unwrap())
}

const TAKES: [&str; 6] = [
    "220 hi\r\n",
    OFFERS,
    "250 ok\r\n",
    "250 ok\r\n",
    "354 go\r\n",
    "250 taken\r\n",
];

#[tokio::test]
async fn a_message_is_handed_over_line_by_line() {
    let (handed, came) = hand(&TAKES, |_| {}).await;
    assert_eq!(handed, Ok(()));
    assert_eq!(
        came,
        "EHLO b.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n\
         Subject: x\r\n\r\n..a\r\n...\r\n..\r\nend\r\n.\r\nQUIT\r\n"
    );
    let signed = [
        "220 hi\r\n",
        OFFERS,
        "235 ok\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 taken\r\n",
    ];
    let (handed, came) = hand(&signed, |handing| handing.credentials = Some(("me", "pw"))).await;
    assert_eq!(handed, Ok(()));
    assert!(came.contains("AUTH PLAIN AG1lAHB3\r\n"), "{came}");
    let login = [
        "220 hi\r\n",
        "250-x\r\n250 AUTH LOGIN\r\n",
        "334 VX\r\n",
        "334 UG\r\n",
        "235 ok\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 taken\r\n",
    ];
    let (handed, came) = hand(&login, |handing| handing.credentials = Some(("me", "pw"))).await;
    assert_eq!(handed, Ok(()));
    assert!(came.contains("AUTH LOGIN\r\nbWU=\r\ncHc=\r\n"), "{came}");
}

#[tokio::test]
async fn every_refusal_has_its_step_and_its_code() {
    for (place, step) in [
        (0, Step::Greeting),
        (1, Step::Ehlo),
        (2, Step::Mail),
        (3, Step::Rcpt),
        (4, Step::Data),
        (5, Step::Message),
    ] {
        for code in [421, 451, 550] {
            let refusal = format!("{code} no\r\n");
            let mut says = TAKES[..place].to_vec();
            says.push(&refusal);
            let (handed, _) = hand(&says, |_| {}).await;
            let error = handed.unwrap_err();
            assert_eq!(error, SmtpError::Refused(step, code));
            let is_of_message = !matches!(step, Step::Greeting | Step::Ehlo);
            assert_eq!(error.is_final(), is_of_message && code == 550, "{error}");
            assert_eq!(error.to_string(), format!("smtp_{}_{code}", step.name()));
        }
    }
    let refused = ["220 hi\r\n", OFFERS, "535 who\r\n"];
    let (handed, _) = hand(&refused, |handing| handing.credentials = Some(("me", "pw"))).await;
    assert_eq!(handed.unwrap_err().to_string(), "smtp_auth_535");
    for (step, code) in [
        (Step::Auth, 535),
        (Step::Mail, 530),
        (Step::Mail, 503),
        (Step::Rcpt, 552),
    ] {
        assert!(!SmtpError::Refused(step, code).is_final(), "{code}");
    }
    assert!(SmtpError::Refused(Step::Message, 552).is_final());
}

#[tokio::test]
async fn who_hangs_is_left_at_each_step() {
    for (place, step) in [
        Step::Greeting,
        Step::Ehlo,
        Step::Mail,
        Step::Rcpt,
        Step::Data,
        Step::Message,
    ]
    .into_iter()
    .enumerate()
    {
        let (handed, _) = hand(&TAKES[..place], |_| {}).await;
        assert_eq!(handed, Err(SmtpError::Timeout(step)));
    }
}

#[tokio::test]
async fn what_is_no_answer_is_none() {
    let (long, many) = (format!("220 {}", "x".repeat(4_000)), "220-x\r\n".repeat(200));
    for greeting in [
        "hello\r\n",
        "2\r\n",
        "\r\n",
        "22x hi\r\n",
        "220_hi\r\n",
        "999 hi\r\n",
        "220-a\r\n250 b\r\n",
        "+20 a\r\n",
        &long,
        &many,
    ] {
        let (handed, _) = hand(&[greeting], |_| {}).await;
        assert_eq!(handed, Err(SmtpError::Malformed(Step::Greeting)), "{greeting:.40}");
    }
}

#[tokio::test]
async fn a_secret_never_goes_out_in_the_open() {
    let secret = |handing: &mut Handing<'_>| {
        handing.tls = MailTls::Starttls;
        handing.credentials = Some(("me", "pw"));
    };
    let (handed, came) = hand(&["220 hi\r\n", OFFERS], secret).await;
    assert_eq!(handed, Err(SmtpError::NotOffered(Step::Tls)));
    assert!(!came.contains("AUTH") && !came.contains("MAIL"), "{came}");
    // Somebody between says more than was asked, so that it counts behind the handshake.
    let injected = [
        "220 hi\r\n",
        "250-x\r\n250 STARTTLS\r\n",
        "220 go\r\n250-x\r\n250 AUTH PLAIN\r\n",
    ];
    let (handed, came) = hand(&injected, secret).await;
    assert_eq!(handed, Err(SmtpError::Malformed(Step::Tls)));
    assert!(!came.contains("AUTH"), "{came}");
}

#[test]
fn no_line_of_a_message_ends_it() {
    for (message, sent) in [
        (&b""[..], &b"\r\n.\r\n"[..]),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\n.\nb\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r.\rb", b"a . b\r\n.\r\n"),
    ] {
        assert_eq!(dotted(message), sent, "{message:?}");
    }
    let long = vec![b'.'; 2_500];
    let lines: Vec<usize> = dotted(&long).split(|byte| *byte == b'\n').map(<[u8]>::len).collect();
    assert!(lines.iter().all(|length| *length <= 1_000), "{lines:?}");
}
