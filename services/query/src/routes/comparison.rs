use axum::Json;
use axum::extract::State;
use tocsin_model::{ContentId, Milliseconds};
use tocsin_runtime::Problem;

use super::parameters::{self, Parameters, refused};
use super::reader::Reader;
use crate::answer::{Alignment, COMPARED_MAX, ComparisonAnswer, comparison_answer};
use crate::state::QueryState;
use crate::tail::now_ms;

/// The longest time after a first sight that can be asked about: ten days, longer than any bin is kept.
const OFFSET_S_MAX: i64 = 10 * 24 * 3_600;

/// The spread of families beside each other
///
/// Up to 20 families: `?family=ID&family=ID`. By the clock (`align=time`, with `from` and `to` as RFC 3339), or each from its own first sight on
/// (`align=first_seen`, with `from_s` and `to_s` as seconds after it). What the reader may not see of one is told by its `code`, and the others are
/// answered.
#[utoipa::path(get, path = "/v1/compare", tag = "query", security(("api_key" = [])),
    params(
        ("family" = String, Query, description = "A family or a content, 32 hexadecimal digits; up to 20 times"),
        ("resolution" = Option<String>, Query, description = "`5s` (held for half an hour), `1m` (3 hours, the default) or `15m` (25 hours)"),
        ("align" = Option<String>, Query, description = "`time` (the default) or `first_seen`"),
        ("from" = Option<String>, Query, description = "Of `time`: the start, RFC 3339, rounded down to a bin; the oldest bin held when absent or earlier"),
        ("to" = Option<String>, Query, description = "Of `time`: the end, excluded, rounded up to a bin; the open bin when absent or later"),
        ("from_s" = Option<u32>, Query, description = "Of `first_seen`: how many seconds after the bin of the first sight; 0 when absent"),
        ("to_s" = Option<u32>, Query, description = "Of `first_seen`: up to how many seconds after it, excluded; the open bin when absent or later"),
    ),
    responses(
        (status = 200, body = ComparisonAnswer),
        (status = 400, description = "`invalid_parameter`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn compare(
    State(state): State<QueryState>,
    reader: Reader,
    Parameters(pairs): Parameters<Vec<(String, String)>>,
) -> Result<Json<ComparisonAnswer>, Problem> {
    let asked = Asked::of(pairs)?;
    let resolution = parameters::resolution(asked.resolution.as_deref())?;
    let alignment = asked.alignment()?;
    let worker = state.clone();
    let made = tokio::task::spawn_blocking(move || {
        let replica = worker.replica();
        comparison_answer(replica, reader.scope, &asked.families, resolution, alignment, now_ms())
    });
    made.await.map(Json).map_err(|error| Problem::internal(&error))
}

/// The parameters as they were given.
#[derive(Default)]
struct Asked {
    /// An id that is none names nothing.
    families: Vec<(String, Option<ContentId>)>,
    resolution: Option<String>,
    align: Option<String>,
    from: Option<String>,
    to: Option<String>,
    from_s: Option<String>,
    to_s: Option<String>,
}

impl Asked {
    fn of(pairs: Vec<(String, String)>) -> Result<Asked, Problem> {
        let mut asked = Asked::default();
        for (name, text) in pairs {
            let place = match name.as_str() {
                "family" if asked.families.len() == COMPARED_MAX => {
                    return Err(refused(&format!("family: {COMPARED_MAX} at most")));
                }
                "family" => {
                    // An id is told back as it was asked, so one that cannot be an id is not taken in.
                    let id = ContentId::parse(&text);
                    asked.families.push((text.chars().take(32).collect(), id));
                    continue;
                }
                "resolution" => &mut asked.resolution,
                "align" => &mut asked.align,
                "from" => &mut asked.from,
                "to" => &mut asked.to,
                "from_s" => &mut asked.from_s,
                "to_s" => &mut asked.to_s,
                other => return Err(refused(&format!("{other}: unknown"))),
            };
            if place.replace(text).is_some() {
                return Err(refused(&format!("{name}: once")));
            }
        }
        match asked.families.is_empty() {
            true => Err(refused("family: absent")),
            false => Ok(asked),
        }
    }

    fn alignment(&self) -> Result<Alignment, Problem> {
        let (others, alignment) = match self.align.as_deref().unwrap_or("time") {
            "time" => {
                let from = parameters::instant("from", self.from.as_deref())?;
                let to = parameters::instant("to", self.to.as_deref())?;
                check_order("from", from, to)?;
                (
                    [("from_s", &self.from_s), ("to_s", &self.to_s)],
                    Alignment::Time { from, to },
                )
            }
            "first_seen" => {
                let from = Some(offset("from_s", self.from_s.as_deref())?.unwrap_or(Milliseconds(0)));
                let to = offset("to_s", self.to_s.as_deref())?;
                check_order("from_s", from, to)?;
                let others = [("from", &self.from), ("to", &self.to)];
                (others, Alignment::FirstSeen { from, to })
            }
            _ => return Err(refused("align: time or first_seen")),
        };
        match others.into_iter().find(|(_, text)| text.is_some()) {
            Some((name, _)) => Err(refused(&format!("{name}: of the other alignment"))),
            None => Ok(alignment),
        }
    }
}

fn check_order<T: PartialOrd>(name: &str, from: Option<T>, to: Option<T>) -> Result<(), Problem> {
    match (from, to) {
        (Some(from), Some(to)) if from >= to => Err(refused(&format!("{name}: must lie before the end"))),
        _ => Ok(()),
    }
}

fn offset(name: &str, text: Option<&str>) -> Result<Option<Milliseconds>, Problem> {
    let seconds = |text: &str| match text.parse::<i64>() {
        Ok(seconds) if (0..=OFFSET_S_MAX).contains(&seconds) => Ok(Milliseconds::from_seconds(seconds)),
        _ => Err(refused(&format!("{name}: 0 to {OFFSET_S_MAX} seconds"))),
    };
    text.map(seconds).transpose()
}
