//! Goal: a machine that has a certificate and no API key exports a list with what was seen of its entries, and tables, as its key would; and no other team's.

use reqwest::Client;
use serde_json::{Value, json};
use tocsin_model::{Algorithm, BankEntry, BankName, ContentHash, ListUpdate, Sampled, Severity};
use tocsin_store::{BankSettings, Store};

use crate::authority::{Of, Pair};
use crate::commands::{tocsin, told};
use crate::place::{Place, until};

const COPIES: u64 = 3;

fn entry(number: u8) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Sha256, vec![number; 32], None).unwrap()
}

/// A bank of two entries.
async fn list(store: &Store) {
    let bank: BankName = "NORTH".parse().unwrap();
    let settings = BankSettings {
        source: "north".parse().unwrap(),
        severity: Severity::MAX,
        enabled: true,
        sampled: Sampled::ALL,
    };
    store.set_bank(&bank, &settings).await.unwrap();
    let listed = |number: u8| {
        ListUpdate::Listed(BankEntry {
            source_id: Some(number.to_string()),
            ..BankEntry::new(entry(number))
        })
    };
    store.update_list(&bank, &[listed(1), listed(2)], None).await.unwrap();
}

/// Publishes copies of the first entry.
async fn publish(place: &Place, client: &Client) {
    let now = place.store.time().await.unwrap();
    for number in 1..=COPIES {
        let event = json!({
            "event_id": format!("00000000-0000-4000-8000-{number:012}"), "platform": "north-video", "kind": "upload",
            "occurred_at": tocsin_wire::document::instant(now), "content": [{"algorithm": "sha256", "value": entry(1).value_text()}],
            "account": format!("{number:032x}"), "account_epoch": 1,
        });
        // Until the party's topic is made, the gateway answers that it is not.
        until("it is taken", async || {
            let sent = client.post(place.url("/v1/events")).json(&event).send().await.unwrap();
            let status = sent.status().as_u16();
            assert!([202, 503].contains(&status), "{}", sent.text().await.unwrap());
            status == 202
        })
        .await;
    }
}

fn exported(place: &Place, pair: &Pair, format: &str, team: &str) -> std::process::Output {
    let path = place.directory.path();
    pair.write(path, "machine");
    std::fs::write(path.join("servers.pem"), place.servers.pem()).unwrap();
    let file = |name: &str| path.join(name).to_str().unwrap().to_owned();
    let (ca, certificate, key) = (file("servers.pem"), file("machine.pem"), file("machine.key"));
    let url = place.url("");
    tocsin(
        path,
        &[
            "watch",
            "export",
            "--bank",
            "NORTH",
            "--format",
            format,
            "--team",
            team,
            "--url",
            &url,
            "--ca",
            &ca,
            "--client-certificate",
            &certificate,
            "--client-key",
            &key,
        ],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_exports_by_its_certificate_alone() {
    let place = Place::open().await;
    let pair = place.machines.issue(Of::client());
    place.bind(place.key.0, &pair).await;
    let (with, without) = (place.client(Some(&pair)), place.client(None));
    list(&place.store).await;
    publish(&place, &with).await;

    let reactions = || exported(&place, &pair, "threatexchange-reactions", "north");
    until("the export tells what was seen", async || {
        let output = reactions();
        assert!(output.status.success(), "{}", told(&output));
        String::from_utf8_lossy(&output.stdout).trim() == r#"{"id":"1","reactions":"SAW_THIS_TOO"}"#
    })
    .await;
    let output = exported(&place, &pair, "stix", "north");
    assert!(output.status.success(), "{}", told(&output));
    let bundle: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of_kind = |kind: &str| {
        let objects = bundle["objects"].as_array().unwrap().iter();
        objects
            .filter(|object| object["type"] == kind)
            .cloned()
            .collect::<Vec<Value>>()
    };
    let sightings = of_kind("sighting");
    assert_eq!(sightings.len(), 1, "{bundle}");
    let count = sightings[0]["count"].as_u64().unwrap();
    assert!((1..=COPIES).contains(&count), "{bundle}");
    let named: Vec<Value> = of_kind("identity").iter().map(|of| of["name"].clone()).collect();
    assert!(named.contains(&json!("north-video")), "{named:?}");
    let lines = exported(&place, &pair, "local-file", "north");
    assert_eq!(
        String::from_utf8_lossy(&lines.stdout).lines().count(),
        2,
        "{}",
        told(&lines)
    );

    // Another team's cases go with no party's certificate, and a certificate that nobody bound is nobody's; neither leaves half of a file behind.
    let stranger = place.machines.issue(Of::client());
    for (shown, team, said) in [
        (&pair, "coordinators", "the key sees what is in the scope party"),
        (&stranger, "north", "certificate_unbound"),
        (&stranger, "coordinators", "certificate_unbound"),
    ] {
        let refused = exported(&place, shown, "stix", team);
        assert!(
            !refused.status.success() && refused.stdout.is_empty(),
            "{}",
            told(&refused)
        );
        assert!(told(&refused).contains(said), "{}", told(&refused));
    }

    // Tables over HTTP: of the same kinds as by the key, a list of the same columns.
    let key = place.key.1.expose();
    for (format, kind) in [("csv", "text/csv"), ("parquet", "application/vnd.apache.parquet")] {
        let path = format!("/v1/trending?format={format}");
        let by_certificate = with.get(place.url(&path)).send().await.unwrap();
        let by_key = without.get(place.url(&path)).bearer_auth(key).send().await.unwrap();
        for answer in [&by_certificate, &by_key] {
            assert_eq!(answer.status(), 200, "{path}");
            let told = answer.headers()["content-type"].to_str().unwrap();
            assert!(told.starts_with(kind), "{path}: {told}");
        }
        assert_eq!(by_certificate.headers()["cache-control"], "private, no-store", "{path}");
        // The columns, or what files of the format begin with; counts may have moved.
        let begins = async |answer: reqwest::Response| {
            let bytes = answer.bytes().await.unwrap();
            match format {
                "csv" => bytes.split(|byte| *byte == b'\n').next().unwrap().to_vec(),
                _ => bytes[..4].to_vec(),
            }
        };
        assert_eq!(begins(by_certificate).await, begins(by_key).await, "{path}");
        let nobody = without.get(place.url(&path)).send().await.unwrap();
        assert_eq!(nobody.status(), 401, "{path}");
    }
    place.close().await;
}
