//! Goal: what coordinators say of families goes to the content's key group, and nobody else may say it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tocsin_model::{Algorithm, Class, ContentHash, DeploymentKey, Evidence, FamilyId, Link, PartitionCount};
use tocsin_wire::SightingsRecord;

use crate::bench::Bench;

fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Sha256, vec![byte; 32], None).unwrap()
}

fn text(byte: u8) -> Value {
    json!({"algorithm": "sha256", "value": hash(byte).value_text()})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_joins_contents_and_takes_one_out() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let key = DeploymentKey::from_bytes([7; 32]);
    let mut contents = [1, 2];
    contents.sort_by_key(|byte| key.content_id(&hash(*byte)));
    let [lower, higher] = contents;
    let (founder, member) = (key.content_id(&hash(lower)), key.content_id(&hash(higher)));
    // The higher id joins, whichever of the two is named first.
    for (content, with) in [(lower, higher), (higher, lower)] {
        let body = json!({"content": text(content), "with": text(with)});
        let answer = running.post("/v1/links", &bench.coordinators, body).await;
        assert_eq!(
            answer,
            json!({"content": member.to_string(), "family": founder.to_string()})
        );
    }
    let alone = running
        .post("/v1/links", &bench.coordinators, json!({"content": text(higher)}))
        .await;
    assert_eq!(alone["family"], alone["content"]);
    let out = |out: &str| json!({"content": text(higher), "out": out});
    for taken in ["content", "family"] {
        let answer = running.post("/v1/links", &bench.coordinators, out(taken)).await;
        assert_eq!(answer, alone, "{taken}");
    }
    let told = bench.controls();
    let partition = PartitionCount::new(4).unwrap().partition_of(member.group());
    let links: Vec<&Link> = told
        .iter()
        .filter_map(|(number, record)| match record {
            SightingsRecord::Link(link) if *number == partition => Some(link),
            _ => None,
        })
        .collect();
    let families: Vec<FamilyId> = links.iter().map(|link| link.family).collect();
    assert_eq!(families, [founder, founder, member, member, member].map(FamilyId));
    let (parted, others) = links.split_last().unwrap();
    assert_eq!(parted.evidence, Evidence::FamilyParted);
    assert!(others.iter().all(|link| link.evidence == Evidence::Moderator));
    assert!(
        links
            .iter()
            .all(|link| (link.content, link.class) == (member, Class::All))
    );
    assert_eq!(links[0].hash, hash(higher));
}

#[tokio::test(flavor = "multi_thread")]
async fn others_and_nonsense_are_refused() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let good = json!({"content": text(1), "with": text(2)});
    let short = json!({"content": {"algorithm": "sha256", "value": "00"}});
    let unknown = json!({"content": {"algorithm": "sha1", "value": "00"}});
    let both = json!({"content": text(1), "with": text(2), "out": "family"});
    let neither = json!({"content": text(1), "out": "all"});
    let itself = json!({"content": text(1), "with": text(1)});
    for (key, body, status, code) in [
        (&bench.alpha, &good, 403, "coordinators_only"),
        (&bench.reader, &good, 403, "forbidden"),
        (&bench.coordinators, &short, 400, "invalid_body"),
        (&bench.coordinators, &unknown, 400, "invalid_body"),
        (&bench.coordinators, &itself, 400, "invalid_body"),
        (&bench.coordinators, &both, 400, "invalid_body"),
        (&bench.coordinators, &neither, 400, "invalid_body"),
        (&bench.coordinators, &json!({}), 400, "invalid_body"),
    ] {
        let (answered, problem) = running.send(Method::POST, "/v1/links", key, Some(body.clone())).await;
        assert_eq!(
            (answered, &problem["code"]),
            (StatusCode::from_u16(status).unwrap(), &json!(code)),
            "{body}"
        );
    }
    assert!(
        !bench
            .controls()
            .iter()
            .any(|(_, record)| matches!(record, SightingsRecord::Link(_)))
    );
}
