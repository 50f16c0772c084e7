//! Goal: over HTTP a key reads the reports of its own team alone, in the same bytes each time and as a page in which nothing runs; wrong days, territories and places are refused
//! with their codes; and reads are in the audit chain.

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_model::{AlertLevel, Scope};

use crate::bench::{Bench, Running, alert, name};

/// Days that hold every time of the store's own clock within them, and are over.
pub fn days() -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let today = tocsin_report::Day::of(tocsin_model::Timestamp(now.as_millis() as i64));
    let before = tocsin_report::Day::of(tocsin_model::Timestamp(now.as_millis() as i64 - 86_400_000));
    format!("from={before}&to={today}")
}

pub fn figure<'a>(report: &'a Value, name: &str, by: &str) -> Option<&'a Value> {
    let sections = report["sections"].as_array().unwrap().iter();
    let mut figures = sections.flat_map(|section| section["figures"].as_array().unwrap());
    figures.find(|figure| {
        let is_by = |of: &Value| by.is_empty() || of["is"] == by;
        figure["name"] == name && (by.is_empty() || figure["by"].as_array().unwrap().iter().any(is_by))
    })
}

async fn text(running: &Running, path: &str, key: &str) -> (String, String, String) {
    let url = format!("{}{path}", running.address);
    let response = running.client.get(url).bearer_auth(key).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let (kind, policy) = (
        header("content-type").unwrap(),
        header("content-security-policy").unwrap_or_default(),
    );
    (response.text().await.unwrap(), kind, policy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_reads_its_own_reports_and_nobody_elses() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let alpha = bench.store.party_named(&name("alpha")).await.unwrap().id;
    bench.ring(&[alert(1, Scope::Party(alpha), AlertLevel::Raised, 5.0)]);
    running.queue_of(1, &bench.alpha).await;
    let claimed = running.post("/v1/queue/claim", &bench.alpha, json!({})).await;
    let case = format!("/v1/cases/{}", claimed["case"]["id"].as_str().unwrap());
    let ruling =
        json!({"fencing": 1, "verdict": "violating", "policy": "<script>alert(1)</script>", "rationale": "why"});
    running.post(&format!("{case}/decision"), &bench.alpha, ruling).await;

    let path = format!("/v1/reports?{}", days());
    let report = running.get(&path, &bench.alpha).await;
    assert_eq!(
        (&report["report"], &report["team"]),
        (&json!("transparency"), &json!("alpha"))
    );
    assert_eq!(figure(&report, "decided", "violating").unwrap()["low"], 1);
    assert_eq!(figure(&report, "other_labels", "").unwrap()["is"], "unknown");
    let (once, kind, _) = text(&running, &path, &bench.alpha).await;
    let (twice, ..) = text(&running, &path, &bench.alpha).await;
    assert_eq!(once, twice, "the same bytes");
    assert_eq!(kind, "application/json");
    for of in ["definitions", "figures"] {
        let sections = report["sections"].as_array().unwrap();
        assert!(sections.iter().all(|section| section[of].is_array()), "{of}");
    }
    // Every figure has its definition.
    for section in report["sections"].as_array().unwrap() {
        for figure in section["figures"].as_array().unwrap() {
            let defined = section["definitions"]
                .as_array()
                .unwrap()
                .iter()
                .any(|of| of["name"] == figure["name"]);
            assert!(defined, "{figure}");
        }
    }

    let (page, kind, policy) = text(&running, &format!("{path}&form=html"), &bench.alpha).await;
    assert!(
        kind.starts_with("text/html") && policy.contains("default-src 'none'"),
        "{kind} {policy}"
    );
    assert!(
        page.contains("&lt;script&gt;") && !page.contains("<script>"),
        "nothing that somebody wrote runs"
    );
    assert!(page.contains("Transparency report") && page.contains("unknown: "));

    let others = running.get(&path, &bench.beta).await;
    assert_eq!(figure(&others, "decided", "violating"), None);
    let own = running.get(&format!("{path}&party=alpha"), &bench.alpha).await;
    assert_eq!(own, report);
    let coordinators = running.get(&format!("{path}&party=coordinators"), &bench.reader).await;
    assert_eq!(figure(&coordinators, "decided", "violating"), None);
    for (key, party) in [
        (&bench.beta, "alpha"),
        (&bench.coordinators, "alpha"),
        (&bench.alpha, "nobody"),
    ] {
        let asked = format!("{path}&party={party}");
        running
            .refused(Method::GET, &asked, key, None, (404, "report_unknown"))
            .await;
    }
    let yearly = format!("/v1/reports/terrorist-content?{}", days());
    let report = running.get(&yearly, &bench.alpha).await;
    assert_eq!(figure(&report, "found_violating", "").unwrap()["low"], 1);
    assert_eq!(figure(&report, "proceedings", "").unwrap()["is"], "unknown");
    let statements = format!("/v1/reports/statements?{}&territory=EU", days());
    let page = running.get(&statements, &bench.alpha).await;
    assert_eq!((&page["statements"], &page["next"]), (&json!([]), &Value::Null));
    for path in [&yearly, &statements] {
        running
            .refused(Method::GET, path, &bench.coordinators, None, (403, "parties_only"))
            .await;
        running
            .refused(Method::GET, path, &bench.operator, None, (403, "no_queue"))
            .await;
    }
    assert!(
        bench.recorded("/v1/reports").await >= 8,
        "every read of a report is recorded"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_report_is_refused_with_its_code() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let statements = "/v1/reports/statements?from=2026-01-01&to=2026-01-31";
    let long = format!("{statements}&territory={}", "DE,".repeat(2_000));
    for (path, refusal) in [
        ("/v1/reports", (400, "invalid_parameter")),
        ("/v1/reports?from=2026-01-01", (400, "invalid_parameter")),
        ("/v1/reports?from=2026-02-30&to=2026-03-01", (400, "invalid_parameter")),
        ("/v1/reports?from=now&to=2026-03-01", (400, "invalid_parameter")),
        (
            "/v1/reports?from=2026-01-01&to=2026-01-31&form=pdf",
            (400, "invalid_parameter"),
        ),
        (
            "/v1/reports?from=2026-01-01&to=2026-01-31&of=all",
            (400, "invalid_parameter"),
        ),
        ("/v1/reports?from=2026-01-02&to=2026-01-01", (422, "report_days")),
        ("/v1/reports?from=2026-01-01&to=2027-02-05", (422, "report_days")),
        (
            "/v1/reports/terrorist-content?from=1970-01-01&to=9999-12-31",
            (422, "report_days"),
        ),
        (statements, (400, "invalid_parameter")),
        (&format!("{statements}&territory=US"), (400, "invalid_parameter")),
        (&long, (400, "invalid_parameter")),
        (
            &format!("{statements}&territory=EU&limit=0"),
            (400, "invalid_parameter"),
        ),
        (
            &format!("{statements}&territory=EU&limit=101"),
            (400, "invalid_parameter"),
        ),
        (
            &format!("{statements}&territory=EU&after=x"),
            (400, "invalid_parameter"),
        ),
    ] {
        running.refused(Method::GET, path, &bench.alpha, None, refusal).await;
    }
    let longest = "/v1/reports?from=2026-01-01&to=2027-02-04";
    assert_eq!(
        running.get(longest, &bench.alpha).await["to"],
        "2027-02-04",
        "400 days are a report"
    );
    running.stop().await;
}
