//! Answers as tables over HTTP: which format is asked for, how much one answer may hold, and the columns of each table.

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE, LINK, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::{IntoResponse as _, Response};
use tocsin_runtime::{Problem, ProblemKind};

use super::conditional::{AS_OF, LAG_MS};
use super::parameters::refused;
use crate::answer::{MemberAnswer, SeriesAnswer, TrendingEntry};
use crate::export::{Column, ColumnType, Row, Table, TableFormat, Value};

/// The most rows of a table that is read in pages.
pub const EXPORT_ROWS_MAX: usize = 10_000;
/// The most rows of a series.
pub const EXPORT_BINS_MAX: usize = 100_000;

/// How many families spread too and are in no page.
const LEFT_OUT: HeaderName = HeaderName::from_static("tocsin-left-out");

/// The table would have more rows than one answer may.
pub const EXPORT_TOO_LARGE: ProblemKind = ProblemKind {
    status: 400,
    code: "export_too_large",
    title: "The table would have more rows than one answer may: ask for less, or page by page",
};

/// The table that is asked for; `None` of JSON, which is no table. `format` goes before `Accept`.
pub(super) fn format(name: Option<&str>, headers: &HeaderMap) -> Result<Option<TableFormat>, Problem> {
    match name {
        Some("json") => Ok(None),
        Some("csv") => Ok(Some(TableFormat::Csv)),
        Some("parquet") => Ok(Some(TableFormat::Parquet)),
        Some(_) => Err(refused("format: json, csv or parquet")),
        None => Ok(negotiated(headers)),
    }
}

/// The format that `Accept` (RFC 9110, section 12.5.1) weighs most. A range with a `*` and what nobody knows is JSON's, which is also what is answered
/// where nothing fits.
fn negotiated(headers: &HeaderMap) -> Option<TableFormat> {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let mut best = (0.0, None);
    for range in lines.flat_map(|line| line.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "text/csv" => Some(TableFormat::Csv),
            "application/vnd.apache.parquet" => Some(TableFormat::Parquet),
            _ => None,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let weight: f64 = weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        if weight > best.0 || (weight == best.0 && best.1.is_some() && format.is_none()) {
            best = (weight, format);
        }
    }
    best.1
}

/// How many rows: as many as one answer may hold when nothing is said.
pub(super) fn rows(limit: Option<&str>) -> Result<usize, Problem> {
    let Some(text) = limit else {
        return Ok(EXPORT_ROWS_MAX);
    };
    if !is_number(text) {
        return Err(refused(&format!("limit: 1 to {EXPORT_ROWS_MAX}")));
    }
    match text.parse() {
        Ok(limit) if limit <= EXPORT_ROWS_MAX => Ok(limit),
        _ => Err(too_large(&format!(
            "limit: {EXPORT_ROWS_MAX} rows at most in one answer; its header Link names the next"
        ))),
    }
}

/// A number above 0, however large.
fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.bytes().any(|byte| byte != b'0')
}

/// A refusal of a table of too many rows.
pub(super) fn too_large(detail: &str) -> Problem {
    Problem::new(EXPORT_TOO_LARGE).with_detail(detail)
}

/// What is told of a table beside it.
pub(super) struct About {
    /// The name of the file, without its end.
    pub(super) name: String,
    pub(super) as_of: Option<String>,
    pub(super) lag_ms: Option<u64>,
    /// Where the next page is.
    pub(super) next: Option<String>,
    /// How many rows are in no page, where the list is cut.
    pub(super) left_out: Option<u64>,
}

/// A table as an answer, written as the reader takes it: each piece on a thread where it holds up nobody, and none while the reader takes nothing.
pub(super) fn answered(format: TableFormat, table: Table, about: About) -> Response {
    let pieces = futures::stream::unfold(Some(format.pieces(table)), |pieces| async {
        let mut pieces = pieces?;
        match tokio::task::spawn_blocking(move || (pieces.next(), pieces)).await {
            Ok((piece, pieces)) => Some((Ok(piece?), Some(pieces))),
            // The connection is broken off, so that nobody takes what was sent for the whole.
            Err(error) => Some((Err(error), None)),
        }
    });
    let mut response = Body::from_stream(pieces).into_response();
    let text = |text: String| HeaderValue::from_str(&text).expect("names, times and sealed cursors are visible ASCII");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    let file = format!("attachment; filename=\"{}.{}\"", about.name, format.name());
    headers.insert(CONTENT_DISPOSITION, text(file));
    headers.insert(VARY, HeaderValue::from_static("authorization, accept"));
    if let Some(as_of) = about.as_of {
        headers.insert(AS_OF, text(as_of));
    }
    if let Some(lag_ms) = about.lag_ms {
        headers.insert(LAG_MS, HeaderValue::from(lag_ms));
    }
    if let Some(left_out) = about.left_out {
        headers.insert(LEFT_OUT, HeaderValue::from(left_out));
    }
    if let Some(next) = about.next {
        headers.insert(LINK, text(format!("<{next}>; rel=\"next\"")));
    }
    response
}

/// The same question behind a cursor (a relative reference, as RFC 8288 allows).
pub(super) fn next_page(asked: &Uri, cursor: &str) -> String {
    let others = asked.query().unwrap_or_default().split('&');
    let others = others.filter(|pair| !pair.is_empty() && !pair.starts_with("after="));
    let query: Vec<&str> = others.collect();
    let after = format!("after={cursor}");
    format!("{}?{}", asked.path(), [query, vec![&after]].concat().join("&"))
}

const fn column(name: &'static str, holds: ColumnType) -> Column {
    Column { name, holds }
}

/// A ranked family.
pub(super) const TRENDING: &[Column] = &[
    column("family", ColumnType::Text),
    column("algorithm", ColumnType::Text),
    column("hash", ColumnType::Text),
    column("as_of", ColumnType::Time),
    column("from", ColumnType::Time),
    column("to", ColumnType::Time),
    column("spread_low", ColumnType::Whole),
    column("spread_high", ColumnType::Whole),
    column("members", ColumnType::Whole),
    column("first_seen", ColumnType::Time),
    column("last_seen", ColumnType::Time),
    column("exact_since", ColumnType::Time),
];

pub(super) fn trending_row(entry: TrendingEntry) -> Row {
    let hash = entry.hash.as_ref();
    vec![
        Value::Text(entry.family),
        Value::text(hash.map(|hash| &*hash.algorithm)),
        Value::text(hash.map(|hash| &*hash.value)),
        Value::time(entry.as_of.as_deref()),
        Value::time(entry.from.as_deref()),
        Value::time(entry.to.as_deref()),
        Value::whole(entry.spread.low),
        Value::whole(entry.spread.high),
        Value::whole(u64::from(entry.members)),
        Value::time(entry.first_seen.as_deref()),
        Value::time(entry.last_seen.as_deref()),
        Value::time(entry.exact_since.as_deref()),
    ]
}

/// A member of a family.
pub(super) const MEMBERS: &[Column] = &[
    column("content", ColumnType::Text),
    column("algorithm", ColumnType::Text),
    column("hash", ColumnType::Text),
    column("as_of", ColumnType::Time),
    column("spread_1h_low", ColumnType::Whole),
    column("spread_1h_high", ColumnType::Whole),
    column("spread_24h_low", ColumnType::Whole),
    column("spread_24h_high", ColumnType::Whole),
    column("first_seen", ColumnType::Time),
    column("last_seen", ColumnType::Time),
    column("evidence", ColumnType::Text),
    column("distance", ColumnType::Whole),
    column("share_percent", ColumnType::Whole),
    column("evidence_party", ColumnType::Text),
    column("joined_at", ColumnType::Time),
    column("severity", ColumnType::Whole),
    column("listed_at", ColumnType::Time),
    column("escaped", ColumnType::Flag),
];

pub(super) fn member_row(member: MemberAnswer, as_of: Option<&str>) -> Row {
    let joined = member.joined.as_ref();
    let number = |number: Option<u16>| number.map_or(Value::Absent, |number| Value::whole(u64::from(number)));
    vec![
        Value::Text(member.content),
        Value::Text(member.hash.algorithm),
        Value::Text(member.hash.value),
        Value::time(as_of),
        Value::whole(member.spread_1h.low),
        Value::whole(member.spread_1h.high),
        Value::whole(member.spread_24h.low),
        Value::whole(member.spread_24h.high),
        Value::time(member.first_seen.as_deref()),
        Value::time(member.last_seen.as_deref()),
        Value::text(joined.map(|joined| joined.evidence)),
        number(joined.and_then(|joined| joined.distance)),
        number(joined.and_then(|joined| joined.share_percent)),
        Value::text(joined.and_then(|joined| joined.party.as_deref())),
        Value::time(joined.and_then(|joined| joined.at.as_deref())),
        number(member.severity.map(u16::from)),
        Value::time(member.listed_at.as_deref()),
        Value::Flag(member.escaped),
    ]
}

/// A bin of a series.
const SERIES: &[Column] = &[
    column("family", ColumnType::Text),
    column("platform", ColumnType::Text),
    column("kind", ColumnType::Text),
    column("at", ColumnType::Time),
    column("count", ColumnType::Whole),
    column("as_of", ColumnType::Time),
    column("exact_since", ColumnType::Time),
];

/// The bins of a series that hold something. A series is made as a whole, since its bins are sums over members: its rows are bounded.
pub(super) fn series_table(series: SeriesAnswer) -> Result<Table, Problem> {
    let rows: usize = series.lines.iter().map(|line| line.bins.len()).sum();
    if rows > EXPORT_BINS_MAX {
        return Err(too_large(&format!(
            "{rows} bins hold something, and {EXPORT_BINS_MAX} are told in one answer: ask for a shorter stretch or a coarser resolution"
        )));
    }
    let rows = series.lines.into_iter().flat_map(move |line| {
        let (family, as_of, exact_since) = (series.family.clone(), series.as_of.clone(), series.exact_since.clone());
        let (platform, kind) = (line.platform, line.kind);
        line.bins.into_iter().map(move |bin| {
            vec![
                Value::Text(family.clone()),
                Value::Text(platform.clone()),
                Value::Text(kind.to_owned()),
                Value::time(bin.at.as_deref()),
                Value::whole(bin.count),
                Value::time(as_of.as_deref()),
                Value::time(exact_since.as_deref()),
            ]
        })
    });
    Ok(Table {
        columns: SERIES,
        rows: Box::new(rows),
    })
}

#[cfg(test)]
mod tests {
    //! Goal: the format that a client names or prefers is taken, and more rows than may be are told apart from what is no number.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn rows_are_made_where_they_hold_up_nobody() {
        use std::sync::{Arc, Mutex};

        let threads = Arc::new(Mutex::new(Vec::new()));
        let made_on = Arc::clone(&threads);
        let rows = (0..1_000).map(move |row| {
            made_on.lock().unwrap().push(std::thread::current().id());
            vec![Value::Whole(row)]
        });
        let table = Table {
            columns: const { &[column("row", ColumnType::Whole)] },
            rows: Box::new(rows),
        };
        let about = About {
            name: "rows".to_owned(),
            as_of: None,
            lag_ms: None,
            next: None,
            left_out: Some(7),
        };
        let response = answered(TableFormat::Csv, table, about);
        assert_eq!(response.headers()[LEFT_OUT], "7");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(body.split(|byte| *byte == b'\n').count(), 1_002);
        let threads = threads.lock().unwrap();
        assert_eq!(threads.len(), 1_000);
        assert!(!threads.contains(&std::thread::current().id()));
    }

    #[test]
    fn what_a_client_prefers_is_taken() {
        let asked = |accept: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            format(None, &headers).unwrap()
        };
        for json in [
            None,
            Some("*/*"),
            Some("application/json"),
            Some("text/html, */*;q=0.8"),
            Some("text/csv;q=0"),
            Some("text/csv, application/json"),
            Some("text/csv;q=high"),
            Some(""),
        ] {
            assert_eq!(asked(json), None, "{json:?}");
        }
        for csv in [
            "text/csv",
            "TEXT/CSV; header=present",
            "application/json;q=0.5, text/csv",
            "text/csv;q=0.9, */*;q=0.1",
        ] {
            assert_eq!(asked(Some(csv)), Some(TableFormat::Csv), "{csv}");
        }
        let parquet = "text/csv;q=0.5, application/vnd.apache.parquet;q=0.6";
        assert_eq!(asked(Some(parquet)), Some(TableFormat::Parquet));
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/csv"));
        assert_eq!(format(Some("json"), &headers).unwrap(), None);
        assert!(format(Some("xml"), &headers).is_err());
    }

    #[test]
    fn too_many_rows_are_told_apart_from_no_number() {
        let code = |limit| rows(limit).map_err(|problem: Problem| problem.code().to_owned());
        assert_eq!(code(None), Ok(EXPORT_ROWS_MAX));
        assert_eq!(code(Some("1")), Ok(1));
        assert_eq!(code(Some("10000")), Ok(EXPORT_ROWS_MAX));
        for large in ["10001", "10000000", "99999999999999999999999999"] {
            assert_eq!(code(Some(large)), Err("export_too_large".to_owned()), "{large}");
        }
        for wrong in ["0", "-1", "", "many", "1.5"] {
            assert_eq!(code(Some(wrong)), Err("invalid_parameter".to_owned()), "{wrong}");
        }
    }

    #[test]
    fn the_next_page_asks_the_same_behind_its_cursor() {
        let next = |asked: &str| next_page(&asked.parse().unwrap(), "C");
        assert_eq!(next("/v1/trending"), "/v1/trending?after=C");
        assert_eq!(
            next("/v1/trending?format=csv&after=B&limit=2"),
            "/v1/trending?format=csv&limit=2&after=C"
        );
    }
}
