//! Goal: a table holds what the JSON answer does, others' libraries read it, it is written piece by piece, and too large a one is refused.

use std::path::Path;
use std::process::Command;

use crate::announced::*;
use crate::api::*;
use crate::world::*;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tocsin_model::{Class, Evidence, Kind, Sharing};
use tocsin_wire::document::parse_instant;
use tower::ServiceExt as _;

const SECOND: i64 = 1_000;

/// A family of three, one of them listed and one with copies in every bin of half an hour, and others beside.
fn fed() -> Fed {
    let mut world = World::default();
    let mut contents = [1, 2, 3];
    contents.sort_by_key(|content| id(*content));
    let [founder, picture, steady] = contents;
    for content in contents {
        world.see_many(seen(content, 1, Sharing::All, 0), 5);
    }
    world.link_by(picture, founder, Class::All, Evidence::PdqDistance(9));
    world.link_by(steady, founder, Class::All, Evidence::EqualHash);
    world.watch_at(1, picture, Some(2), 20 * SECOND);
    for bin in 0..350 {
        let copy = seen(steady, 1, Sharing::All, (20 + bin * 5) * SECOND);
        world.see(copy);
        world.see(Seen {
            kind: Kind::Share,
            ..copy
        });
        world.see(Seen { party: 2, ..copy });
    }
    for content in 10..30 {
        world.see_many(seen(content, 2, Sharing::All, 0), 4 + i64::from(content) % 5);
    }
    let mut fed = Fed::default();
    fed.feed_all(&[party(1, "one"), party(2, "two")]);
    fed.feed_all(&world.records(1_780 * SECOND));
    fed
}

struct Told {
    status: StatusCode,
    headers: HeaderMap,
    pieces: Vec<Vec<u8>>,
}

async fn ask(bare: &Bare, path: &str, accept: Option<&str>) -> Told {
    let mut request = request(Some(&bare.keys.party_2), path);
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    let request = request.body(Body::empty()).unwrap();
    let (head, mut body) = bare.router.clone().oneshot(request).await.unwrap().into_parts();
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        pieces.push(frame.unwrap().into_data().unwrap().to_vec());
    }
    Told {
        status: head.status,
        headers: head.headers,
        pieces,
    }
}

/// The names and the lines of a table.
async fn csv(bare: &Bare, path: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let told = ask(bare, path, Some("text/csv")).await;
    assert_eq!(told.status, StatusCode::OK);
    assert_eq!(told.headers["content-type"], "text/csv; charset=utf-8; header=present");
    assert!(
        told.headers["content-disposition"]
            .to_str()
            .unwrap()
            .ends_with(".csv\"")
    );
    assert!(told.headers.contains_key("tocsin-as-of") && told.headers.contains_key("tocsin-lag-ms"));
    let text = String::from_utf8(told.pieces.concat()).unwrap();
    let mut lines = text
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    (lines.next().unwrap(), lines.collect())
}

fn members() -> String {
    format!("/v1/families/{}/members", id(1))
}

fn series(resolution: &str) -> String {
    format!("/v1/families/{}/series?resolution={resolution}", id(1))
}

/// What stands in a cell of CSV, as another library reads it from Parquet: by the type it is told to have.
fn typed(cell: &str, kind: &str) -> Value {
    match (cell, kind) {
        ("", _) => Value::Null,
        (_, "VARCHAR") => cell.into(),
        (_, "BIGINT") => cell.parse::<i64>().unwrap().into(),
        (_, "BOOLEAN") => cell.parse::<bool>().unwrap().into(),
        (_, "TIMESTAMP WITH TIME ZONE") => parse_instant(cell).unwrap().0.into(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_holds_what_the_answer_does() {
    let bare = ready(fed()).await;
    let json = async |path: &str| get(&bare.router, Some(&bare.keys.party_2), path).await.1;
    let (names, lines) = csv(&bare, "/v1/trending?window=1h").await;
    let told = ask(&bare, "/v1/trending?window=1h", Some("text/csv")).await;
    assert_eq!(told.headers["tocsin-left-out"], "0");
    let answer = json("/v1/trending?window=1h&limit=100").await;
    let families = answer["families"].as_array().unwrap();
    assert_eq!((lines.len(), families.len()), (21, 21));
    let place = |name: &str| names.iter().position(|one| one == name).unwrap();
    for (line, family) in lines.iter().zip(families) {
        assert_eq!(line[place("family")], family["family"].as_str().unwrap());
        assert_eq!(line[place("hash")], family["hash"]["value"].as_str().unwrap());
        assert_eq!(line[place("spread_low")], family["spread"]["low"].to_string());
        assert_eq!(line[place("spread_high")], family["spread"]["high"].to_string());
        assert_eq!(line[place("first_seen")], family["first_seen"].as_str().unwrap());
    }
    let (names, lines) = csv(&bare, &members()).await;
    let answer = json(&members()).await;
    let place = |name: &str| names.iter().position(|one| one == name).unwrap();
    assert_eq!(lines.len(), 3);
    for (line, member) in lines.iter().zip(answer["members"].as_array().unwrap()) {
        assert_eq!(line[place("content")], member["content"].as_str().unwrap());
        assert_eq!(
            line[place("evidence")],
            member["joined"]["evidence"].as_str().unwrap_or("")
        );
        assert_eq!(line[place("escaped")], member["escaped"].to_string());
        assert_eq!(line[place("listed_at")], member["listed_at"].as_str().unwrap_or(""));
        assert_eq!(line[place("as_of")], answer["as_of"].as_str().unwrap());
    }
    let (_, lines) = csv(&bare, &series("5s")).await;
    let answer = json(&series("5s")).await;
    let mut wanted = Vec::new();
    for line in answer["lines"].as_array().unwrap() {
        for bin in line["bins"].as_array().unwrap() {
            let cells =
                [&answer["family"], &line["platform"], &line["kind"], &bin["at"]].map(|cell| cell.as_str().unwrap());
            wanted.push([cells.map(str::to_owned).to_vec(), vec![bin["count"].to_string()]].concat());
        }
    }
    assert!(wanted.len() > 1_000, "{}", wanted.len());
    let told: Vec<Vec<String>> = lines.iter().map(|line| line[..5].to_vec()).collect();
    assert_eq!(told, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parquet_is_read_by_others_as_it_was_written() {
    let bare = ready(fed()).await;
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/checks/parquet.py");
    let directory = tempfile::tempdir().unwrap();
    let closed = format!("{}&from=2100-01-01T00:00:00Z", series("1m"));
    for path in [
        "/v1/trending?window=1h".to_owned(),
        members(),
        series("5s"),
        series("15m"),
        closed,
    ] {
        let separator = if path.contains('?') { '&' } else { '?' };
        let told = ask(&bare, &format!("{path}{separator}format=parquet"), None).await;
        assert_eq!(told.status, StatusCode::OK, "{path}");
        assert_eq!(told.headers["content-type"], "application/vnd.apache.parquet");
        // No more than so many rows at a time are in memory: a series of half an hour comes in several row groups.
        assert_eq!(told.pieces.len() > 4, path.contains("5s"), "{path}");
        let file = directory.path().join("table.parquet");
        std::fs::write(&file, told.pieces.concat()).unwrap();
        let (names, lines) = csv(&bare, &path).await;
        let read = Command::new("python3").arg(&check).arg(&file).output().unwrap();
        if read.status.code() == Some(77) {
            eprintln!("skipped: DuckDB is not installed");
            return;
        }
        let errors = String::from_utf8_lossy(&read.stderr);
        assert!(read.status.success(), "{path}: {errors}");
        let mut read = read.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let columns: Vec<(String, String)> = serde_json::from_slice(read.next().unwrap()).unwrap();
        let told: Vec<&String> = columns.iter().map(|(name, _)| name).collect();
        assert_eq!(told, names.iter().collect::<Vec<_>>());
        let rows: Vec<Value> = read.map(|line| serde_json::from_slice(line).unwrap()).collect();
        let wanted: Vec<Value> = lines
            .iter()
            .map(|line| {
                line.iter()
                    .zip(&columns)
                    .map(|(cell, (_, kind))| typed(cell, kind))
                    .collect()
            })
            .collect();
        assert_eq!(rows, wanted, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_a_table_follow_each_other() {
    let bare = ready(fed()).await;
    for (path, rows) in [
        ("/v1/trending?window=1h&format=csv".to_owned(), 21),
        (members() + "?format=csv", 3),
    ] {
        let whole = ask(&bare, &path, None).await;
        assert!(!whole.headers.contains_key("link"));
        let whole = String::from_utf8(whole.pieces.concat()).unwrap();
        let (mut next, mut lines, mut pages) = (format!("{path}&limit=2"), Vec::new(), 0);
        loop {
            let page = ask(&bare, &next, None).await;
            assert_eq!(page.status, StatusCode::OK, "{next}");
            let text = String::from_utf8(page.pieces.concat()).unwrap();
            lines.extend(text.lines().skip(1).map(str::to_owned));
            pages += 1;
            let Some(link) = page.headers.get("link") else { break };
            let link = link.to_str().unwrap();
            next = link
                .strip_prefix('<')
                .unwrap()
                .strip_suffix(">; rel=\"next\"")
                .unwrap()
                .to_owned();
        }
        assert_eq!((lines.len(), pages), (rows, usize::div_ceil(rows, 2)));
        assert_eq!(lines, whole.lines().skip(1).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_an_export_is_told_with_a_code() {
    let bare = ready(fed()).await;
    let trending = |query: &str| format!("/v1/trending?{query}");
    for (path, status, code) in [
        (trending("format=csv&limit=10000000"), 400, "export_too_large"),
        (trending("format=parquet&limit=10001"), 400, "export_too_large"),
        (
            members() + "?format=csv&limit=99999999999999999999",
            400,
            "export_too_large",
        ),
        (trending("format=csv&limit=0"), 400, "invalid_parameter"),
        (trending("format=xlsx"), 400, "invalid_parameter"),
        (members() + "?format=", 400, "invalid_parameter"),
        (series("5s") + "&format=xml", 400, "invalid_parameter"),
        (trending("limit=101"), 400, "invalid_parameter"),
        (trending("format=csv&after=AAAA"), 400, "invalid_cursor"),
        (format!("/v1/families/{}/series?format=csv", id(99)), 404, "not_found"),
    ] {
        let told = ask(&bare, &path, None).await;
        assert_eq!(told.headers["content-type"], "application/problem+json", "{path}");
        let problem: Value = serde_json::from_slice(&told.pieces.concat()).unwrap();
        assert_eq!(
            (told.status.as_u16(), &problem["code"]),
            (status, &json!(code)),
            "{path}"
        );
    }
    let before = counted(&bare.registry, "tocsin_query_reads_recorded_total", Some("written"));
    ask(&bare, &trending("format=csv"), None).await;
    let after = counted(&bare.registry, "tocsin_query_reads_recorded_total", Some("written"));
    assert_eq!(after, before + 1.0, "an export is a read");
}
