//! Goal: what is exported is what others' own libraries read, and says no more than the cases of one team.
#![allow(clippy::unwrap_used, dead_code)]

use std::path::Path;
use std::process;

use serde_json::Value;
use tocsin_casework::{
    Against, AppealCause, AppealCommand, AppealFiling, AppealOutcome, AppealRuling, By, Concerns, Filing, NoticeKind,
    Ruling, Team,
};
use tocsin_model::{
    Alert, AlertId, Algorithm, BankEntry, BankName, ContentHash, ContentId, FamilyId, Interval, ListUpdate,
    Milliseconds, Opinion, PlatformFigures, Scope, Verdict,
};
use tocsin_store::{About, BankSettings, Clock, KeySubject, Roles, Store};

#[path = "../../lib/model/tests/example/mod.rs"]
mod example;
#[path = "watch_export/sightings.rs"]
mod sightings;

/// What a check in Python ends with where its library is not installed.
const SKIPPED: i32 = 77;

fn md5(number: u8) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Md5, vec![number; 16], None).unwrap()
}

fn export(directory: &Path, format: &str, more: &[&str]) -> String {
    let url = format!("sqlite:{}", directory.join("store.db").display());
    let output = process::Command::new(env!("CARGO_BIN_EXE_tocsin"))
        .args(["watch", "export", "--bank", "NORTH", "--format", format])
        .args(more)
        .env("TOCSIN_STORE__URL", url)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Has the libraries of those who read it read a text.
fn check(directory: &Path, kind: &str, text: &str, expected: &[String]) {
    let file = directory.join(kind);
    std::fs::write(&file, text).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/checks/exchange.py");
    let output = process::Command::new("python3")
        .arg(script)
        .arg(kind)
        .arg(&file)
        .args(expected)
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(SKIPPED) => eprintln!("{kind}: {said}"),
        code => assert_eq!(code, Some(0), "{kind}: {said}\n{text}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_and_how_it_fared_is_read_by_others() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let clock = Clock::standing_at(example::START);
    let url = format!("sqlite:{}", at.join("store.db").display());
    let store = Store::open_with_clock(&url, clock).await.unwrap();
    let name = |text: &str| text.parse().unwrap();
    let party = store.add_party(&name("alpha"), &[name("alpha-app")]).await.unwrap();
    let bank: BankName = "NORTH".parse().unwrap();
    let settings = BankSettings {
        source: name("north"),
        severity: tocsin_model::Severity::MAX,
        enabled: true,
        sampled: tocsin_model::Sampled::ALL,
    };
    store.set_bank(&bank, &settings).await.unwrap();
    let pdq = ContentHash::from_bytes(Algorithm::Pdq, [1, 2, 3, 4].repeat(8), None).unwrap();
    let listed = |hash: ContentHash, id: &str| {
        ListUpdate::Listed(BankEntry {
            source_id: Some(id.to_owned()),
            tags: vec![format!("descriptor:9{id}")],
            ..BankEntry::new(hash)
        })
    };
    let link = ContentHash::parse(Algorithm::Url, "https://example.org/it's", None).unwrap();
    let file = ContentHash::from_bytes(Algorithm::Sha256, vec![8; 32], None).unwrap();
    let all = [
        listed(md5(1), "1"),
        listed(md5(2), "2"),
        listed(pdq.clone(), "3"),
        listed(link.clone(), "4"),
        listed(md5(5), "5"),
        listed(md5(6), "6"),
        listed(file.clone(), "8"),
    ];
    store.update_list(&bank, &all, None).await.unwrap();

    // 1 violates, pdq is benign, the link waits, 2 was not seen, 5 is excepted from what was decided of its family; 7 is in no bank, and one was seen
    // by a party alone. Of 6 an authority wrote, and nobody saw it.
    let alert = |family: u128, hash: &ContentHash, scope| Alert {
        id: AlertId(family),
        scope,
        family: FamilyId(ContentId(family)),
        hash: hash.clone(),
        spread_24h: Interval {
            low: family as u64,
            high: 99,
        },
        platforms: vec![PlatformFigures {
            platform: party.platforms[0].0,
            spread_24h: family as u64,
            ..example::alert().platforms[0]
        }],
        ..example::alert()
    };
    let coordinators = Scope::Coordinators;
    let alerts = [
        alert(11, &md5(1), coordinators),
        alert(13, &pdq, coordinators),
        alert(14, &link, coordinators),
        alert(15, &md5(5), coordinators),
        alert(17, &md5(7), coordinators),
        alert(12, &md5(2), Scope::Party(party.id)),
    ];
    store
        .apply_alerts(&alerts, tocsin_casework::UNREVIEWED_BELOW)
        .await
        .unwrap();
    let (key, _) = store.issue_key(KeySubject::Coordinators, Roles::all()).await.unwrap();
    let referral = Filing {
        kind: NoticeKind::Referral,
        authority: "an authority".to_owned(),
        reference: "6".to_owned(),
        part: 0,
        content: Some(md5(6)),
        platform: None,
        received_at: example::START,
        due_at: None,
        urls: Vec::new(),
        statement: String::new(),
    };
    let about = About::Family(FamilyId(ContentId(16)), md5(6));
    store
        .file_notice((Team::Coordinators, key), &about, &referral)
        .await
        .unwrap();
    let mut excepting = Ruling::of(Verdict::Violating, "");
    excepting.grounds.exceptions = vec![ContentId(15)];
    for (family, ruling) in [
        (11, Ruling::of(Verdict::Violating, "")),
        (13, Ruling::of(Verdict::Benign, "")),
        (15, excepting),
        (16, Ruling::of(Verdict::Violating, "")),
    ] {
        decide(&store, key, family, ruling).await;
    }

    let lines = export(at, "local-file", &[]);
    let texts = [&md5(1), &md5(2), &md5(5), &md5(6), &pdq, &link, &file].map(|hash| {
        let kind = match hash.algorithm() {
            Algorithm::Sha256 => "video_sha256",
            Algorithm::Md5 => "video_md5",
            algorithm => algorithm.name(),
        };
        format!("{kind} {}", hash.value_text())
    });
    let mut sorted: Vec<&str> = lines.lines().collect();
    sorted.sort_unstable();
    let mut expected = texts.clone();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    check(at, "local-file", &lines, &texts);

    let bundle = export(at, "stix", &["--name", "North"]);
    let expected = [
        format!("[file:hashes.MD5 = '{}'] 11", md5(1).value_text()),
        format!("[file:hashes.PDQ = '{}'] 13", pdq.value_text()),
        "[url:value = 'https://example.org/it\\'s'] 14".to_owned(),
    ];
    check(at, "stix", &bundle, &expected);
    let read: Value = serde_json::from_str(&bundle).unwrap();
    let of = |kind: &str| {
        read["objects"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|object| object["type"] == kind)
            .count()
    };
    assert_eq!(
        (of("indicator"), of("sighting"), of("identity")),
        (3, 3, 2),
        "the speaker and a platform"
    );

    let reactions = export(at, "threatexchange-reactions", &[]);
    let mut lines: Vec<&str> = reactions.lines().collect();
    lines.sort_unstable();
    let expected = [
        r#"{"id":"91","reactions":"HELPFUL"}"#,
        r#"{"id":"91","reactions":"SAW_THIS_TOO"}"#,
        r#"{"id":"93","reactions":"NOT_HELPFUL"}"#,
        r#"{"id":"93","reactions":"SAW_THIS_TOO"}"#,
        r#"{"id":"94","reactions":"SAW_THIS_TOO"}"#,
        r#"{"id":"96","reactions":"HELPFUL"}"#,
    ];
    assert_eq!(lines, expected);
    // An appeal takes the first out of what was decided of its family, and all of the last is harmless.
    for (number, hash, concerns) in [(1, md5(1), Concerns::Member), (6, md5(6), Concerns::Family)] {
        overturn(&store, (number, &hash), concerns).await;
    }
    let reactions = export(at, "threatexchange-reactions", &[]);
    let mut lines: Vec<&str> = reactions.lines().collect();
    lines.sort_unstable();
    let expected = [
        r#"{"id":"93","reactions":"NOT_HELPFUL"}"#,
        r#"{"id":"93","reactions":"SAW_THIS_TOO"}"#,
        r#"{"id":"94","reactions":"SAW_THIS_TOO"}"#,
        r#"{"id":"96","reactions":"NOT_HELPFUL"}"#,
    ];
    assert_eq!(lines, expected);
    let own = export(at, "threatexchange-reactions", &["--team", "alpha"]);
    assert_eq!(
        own.trim(),
        r#"{"id":"92","reactions":"SAW_THIS_TOO"}"#,
        "a party's own cases"
    );
    store.close().await;
}

async fn decide(store: &Store, key: tocsin_model::KeyId, family: u128, ruling: Ruling) {
    let team = Team::Coordinators;
    let query = tocsin_store::QueueQuery {
        team,
        state: tocsin_casework::CaseState::Open,
        filter: tocsin_casework::Filter::default(),
        urgent_within: tocsin_model::Milliseconds(0),
        limit: 100,
        after: None,
    };
    let page = store.queue(&query).await.unwrap();
    let case = page.cases.iter().find(|case| case.family.0.0 == family).unwrap();
    let length = Milliseconds::from_minutes(5);
    let by = By {
        who: key,
        fencing: 0,
        version: None,
    };
    let held = store
        .command(team, case.id, by, &tocsin_casework::Command::Claim { length })
        .await
        .unwrap();
    let by = By {
        fencing: held.case.fencing,
        ..by
    };
    let decide = tocsin_casework::Command::Decide {
        id: tocsin_model::DecisionId(family),
        ruling,
        undo_for: Milliseconds(0),
    };
    store.command(team, case.id, by, &decide).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_parties_dispute_or_call_harmless_is_not_handed_on() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("store.db").display());
    let store = Store::open(&url).await.unwrap();
    let (bank, source): (BankName, _) = ("NORTH".parse().unwrap(), "north".parse().unwrap());
    let settings = BankSettings {
        source,
        severity: tocsin_model::Severity::MAX,
        enabled: true,
        sampled: tocsin_model::Sampled::ALL,
    };
    store.set_bank(&bank, &settings).await.unwrap();
    let opinions = [
        None,
        Some(Opinion::Positive),
        Some(Opinion::InvestigationSeed),
        Some(Opinion::Negative),
    ];
    let entry = |(number, opinion): (u8, Option<Opinion>)| {
        ListUpdate::Listed(BankEntry {
            opinions: opinion
                .map(|opinion| ("north".parse().unwrap(), opinion))
                .into_iter()
                .collect(),
            ..BankEntry::new(md5(number))
        })
    };
    let all: Vec<ListUpdate> = (1..).zip(opinions).map(entry).collect();
    store.update_list(&bank, &all, None).await.unwrap();
    let text = export(directory.path(), "local-file", &[]);
    let expected = [1, 2].map(|number| format!("video_md5 {}", md5(number).value_text()));
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    let south = "south".parse().unwrap();
    store
        .hold_opinion(&md5(2), &south, Some(Opinion::Negative))
        .await
        .unwrap();
    let text = export(directory.path(), "local-file", &[]);
    assert_eq!(text.lines().collect::<Vec<_>>(), expected[..1], "disputed now");
}

/// An appeal of the coordinators about family 10 + `number`, overturned by somebody who decided nothing.
async fn overturn(store: &Store, (number, hash): (u128, &ContentHash), concerns: Concerns) {
    let (key, _) = store.issue_key(KeySubject::Coordinators, Roles::all()).await.unwrap();
    let filing = AppealFiling {
        reference: number.to_string(),
        platform: tocsin_model::PlatformId(1),
        content: hash.clone(),
        against: Against::Block,
        reason: "it is news".to_owned(),
    };
    let content = ContentId(10 + number);
    let team = Team::Coordinators;
    let filed = store
        .file_appeal((team, key), (content, FamilyId(content)), &filing)
        .await;
    let id = filed.unwrap().appeal.id;
    let by = |fencing| By {
        who: key,
        fencing,
        version: None,
    };
    let length = tocsin_casework::LEASE_MAX;
    let claim = AppealCommand::Claim { length };
    store.command_appeal((team, by(0)), (id, None), &claim).await.unwrap();
    let answer = AppealCommand::Answer(AppealRuling {
        outcome: AppealOutcome::Overturned,
        concerns,
        cause: Some(AppealCause::Listing),
        verdict: (concerns == Concerns::Family).then_some(Verdict::Benign),
        note: "it is".to_owned(),
    });
    store.command_appeal((team, by(1)), (id, None), &answer).await.unwrap();
}
