//! The posts around an election through a whole deployment: what its API answers, beside exact counts, and what no scope may see.

mod page;

use std::collections::BTreeMap;
use std::pin::pin;

use anyhow::{Context as _, Result, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tocsin_model::{ContentHash, Sharing, Timestamp};
use tocsin_velocity::figures::{WindowLength, window};

use super::truth::{ContentTruth, Truth};
use super::{ElectionsArguments, output, real};
use crate::config::{Config, LogKind};
use crate::recorded::{ELECTION_PLATFORMS, Recorded, election_posts};
use crate::rehearsal::{Figures, Reader, Rehearsal};

/// The replica holds all alerts, so that each is compared.
const ALERTS_MAX: usize = 1_000_000;
/// Questions under way at once.
const QUESTIONS_AT_ONCE: usize = 16;
/// While the path works, the content of every so many events is asked for.
const ASKED_EVERY: usize = 7;
/// What the longest window covers, and its open bin.
const DAY_MS: i64 = 24 * 3_600 * 1_000 + 15 * 60 * 1_000;
/// Reach is exact to so many accounts.
const REACH_EXACT_MAX: u64 = 64;
/// The scopes are compared over the last so many events.
const SCOPE_EVENTS_MAX: usize = 12_000;

/// The state of an answer that says there is nothing this reader may see.
const UNSEEN: &str = "unseen";

/// What comparing answers with the truth found.
#[derive(Debug, Default)]
struct Compared {
    answers: u64,
    /// Answers from before everything published was counted.
    answers_while_running: u64,
    /// Those of them that state an interval which did not hold the truth of their time.
    running_mismatches: u64,
    /// Contents that were published and of which the reader is told that there is nothing.
    unseen: u64,
    hot_answers: u64,
    windows: u64,
    window_undercounts: u64,
    window_errors: Vec<u64>,
    /// Of the intervals.
    window_widths: Vec<u64>,
    platform_count_mismatches: u64,
    reach_exact_mismatches: u64,
    reach_compared: u64,
    query_mismatches: u64,
}

/// Replays the posts through a whole deployment and compares what its API answers with exact counts.
pub async fn run(arguments: &ElectionsArguments, config: Config) -> Result<Figures> {
    let mut recorded = election_posts(&arguments.input, &arguments.content)?;
    recorded.truncate(arguments.posts.unwrap_or(usize::MAX));
    ensure!(
        !recorded.is_empty(),
        "{} holds no post with the content asked for",
        arguments.input.display()
    );

    let mut compared = Compared::default();
    let mut truth = Truth::default();
    let directory = tempfile::tempdir().context("make a temporary directory")?;
    let config = evaluation_config(arguments, config, directory.path());
    let mut rehearsal = Rehearsal::start(config.clone(), &ELECTION_PLATFORMS).await?;
    for segment in recorded.chunks(recorded.len().div_ceil(arguments.stops.max(1))) {
        rehearsal.publish(segment, arguments.batch).await?;
        truth.add(segment);
        compared.ask_until_settled(&rehearsal, &truth, segment).await?;
        let now_ms = segment.last().map_or(0, |last| last.received_at.0);
        compared.add_all(&rehearsal, &truth, now_ms).await?;
    }
    let ids = rehearsal.alert_ids(Reader::Observer).await?;
    let accepted = rehearsal.gauge_sum("tocsin_intake_events_total");
    let rejected = rehearsal.gauge_sum("tocsin_intake_rejects_total");
    rehearsal.stop().await?;

    compared.window_errors.sort_unstable();
    let mut figures = compared.figures();
    figures.extend([
        ("events_read", json!(recorded.len())),
        ("events_accepted", json!(accepted as u64)),
        ("events_rejected", json!(rejected as u64)),
        ("contents", json!(truth.contents())),
        ("alerts", json!(ids.len())),
        (
            "alert_ids_digest",
            json!(hex::encode(Sha256::digest(ids.join("\n").as_bytes()))),
        ),
        ("partitions", json!(arguments.partitions)),
        ("batch", json!(arguments.batch)),
        ("commit_interval_ms", json!(config.detector.commit_interval_ms)),
        ("hot_limit", json!(arguments.hot_limit)),
    ]);
    if arguments.log == LogKind::Embedded && !arguments.without_scopes {
        let tail = &recorded[recorded.len().saturating_sub(SCOPE_EVENTS_MAX)..];
        figures.insert("scope_leaks", json!(scope_leaks(arguments, &config, tail).await?));
    }
    // How many contents there are, both say.
    let judged = real::recorded_posts(&recorded, &arguments.input, &arguments.judging)?;
    figures.extend(judged.figures);
    if let Some(directory) = &arguments.judging.report {
        let page = page::of(&figures, &compared, judged.bars, judged.sections);
        output::page(directory, page, &figures)?;
    }
    Ok(figures)
}

fn evaluation_config(arguments: &ElectionsArguments, mut config: Config, directory: &std::path::Path) -> Config {
    config.log.kind = arguments.log;
    config.log.data_dir = directory.join("data");
    config.store.url = String::new();
    // The same ids in every run, so that their digest can be compared between runs.
    config.keys.deployment_key = "7".repeat(64);
    config.topics.sightings_partitions = Some(arguments.partitions);
    config.query.alerts_per_scope_max = ALERTS_MAX;
    config.detector.hot_limit = arguments.hot_limit;
    config.detector.promote_at = 1;
    config.detector.checkpoint_interval_s = 1;
    config.detector.state_interval_ms = 100;
    config
}

impl Compared {
    /// Waits until everything published is counted, and asks all the while.
    async fn ask_until_settled(&mut self, rehearsal: &Rehearsal, truth: &Truth, segment: &[Recorded]) -> Result<()> {
        let end_ms = segment.last().map_or(0, |last| last.received_at.0);
        let mut settled = pin!(rehearsal.settle());
        for recorded in segment.iter().step_by(ASKED_EVERY).cycle() {
            let hash = &recorded.event.content[0];
            tokio::select! {
                biased;
                result = &mut settled => return result,
                answer = ask(rehearsal, Reader::Observer, hash) => {
                    // Detectors restore beside the readers' work: a partition may have told no time yet.
                    let (status, answer) = answer?;
                    if status != 503 {
                        let content = truth.of(hash).context("it was published")?;
                        self.add_running(&answered(status, answer)?, content, end_ms)?;
                    }
                }
            }
        }
        settled.await
    }

    /// What an answer states at its `as_of` holds every event of before, and none of after. (An event counts as received when it happened.)
    fn add_running(&mut self, answer: &Value, truth: &ContentTruth, end_ms: i64) -> Result<()> {
        // Nothing is known yet, or up to no time that has begun.
        if answer["state"] == UNSEEN || answer["as_of"].is_null() {
            return Ok(());
        }
        let as_of_ms = instant(&answer["as_of"])?;
        if as_of_ms >= end_ms {
            return Ok(());
        }
        self.answers_while_running += 1;
        let mut holds = true;
        for window in answer["windows"].as_array().context("windows is a list")? {
            let (from_ms, to_ms) = (instant(&window["from"])?, instant(&window["to"])?);
            // Of the events of that very millisecond some may be counted and others not.
            let certain = truth.count(from_ms, to_ms.min(as_of_ms));
            let possible = truth.count(from_ms, to_ms.min(as_of_ms + 1));
            holds &= number(&window["spread"]["low"])? <= possible && certain <= number(&window["spread"]["high"])?;
        }
        if !holds {
            tracing::warn!(%answer, "an interval does not hold the truth of its time");
        }
        self.running_mismatches += u64::from(!holds);
        Ok(())
    }

    async fn add_all(&mut self, rehearsal: &Rehearsal, truth: &Truth, now_ms: i64) -> Result<()> {
        let answers: Vec<(Value, Option<Value>, &ContentTruth)> = stream::iter(truth.active_since(now_ms - DAY_MS))
            .map(|(hash, truth)| async move {
                let answer = look_up(rehearsal, Reader::Observer, hash).await?;
                // Accounts are told in full to the party alone whose platforms they are of.
                let own = match answer["state"] == "hot" {
                    true => Some(look_up(rehearsal, Reader::Publisher, hash).await?),
                    false => None,
                };
                Ok::<_, anyhow::Error>((answer, own, truth))
            })
            .buffer_unordered(QUESTIONS_AT_ONCE)
            .try_collect()
            .await?;
        for (answer, own, truth) in answers {
            self.add(&answer, truth, now_ms)?;
            if let Some(own) = own {
                self.compare_reach(&own, truth)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, answer: &Value, truth: &ContentTruth, now_ms: i64) -> Result<()> {
        self.answers += 1;
        if answer["state"] == UNSEEN {
            self.unseen += 1;
            if !holds(answer, truth, now_ms)? {
                tracing::warn!(?truth, now_ms, "a content of the last day is answered as unseen");
                self.query_mismatches += 1;
            }
            return Ok(());
        }
        let hot = answer["state"] == "hot";
        self.hot_answers += u64::from(hot);
        let mut holds = true;
        for window in answer["windows"].as_array().context("windows is a list")? {
            let (from_ms, to_ms) = (instant(&window["from"])?, instant(&window["to"])?);
            let expected = truth.count(from_ms, to_ms);
            let (low, high) = (number(&window["spread"]["low"])?, number(&window["spread"]["high"])?);
            self.windows += 1;
            self.window_undercounts += u64::from(high < expected);
            self.window_errors.push(high.saturating_sub(expected));
            self.window_widths.push(high.saturating_sub(low));
            holds &= low <= expected && expected <= high;
            if hot {
                self.platform_count_mismatches +=
                    u64::from(!platforms_match(window, truth, from_ms, to_ms, low == high)?);
            }
        }
        if !holds {
            tracing::warn!(%answer, "an interval does not hold the truth");
        }
        self.query_mismatches += u64::from(!holds);
        Ok(())
    }

    /// Reach is exact where it counts every event there was: that is, where nothing was before promotion. `answer` is its owner's.
    fn compare_reach(&mut self, answer: &Value, truth: &ContentTruth) -> Result<()> {
        if !truth.was_first_seen_at(instant(&answer["exact_since"])?) {
            return Ok(());
        }
        let mut reported = BTreeMap::new();
        for platform in answer["reach"]["platforms"].as_array().context("platforms is a list")? {
            let name = platform["platform"].as_str().context("a platform has a name")?;
            reported.insert(
                name,
                platform["accounts"]["estimate"]
                    .as_f64()
                    .context("an estimate is a number")?,
            );
        }
        for (platform, expected) in truth.accounts_by_platform() {
            if expected <= REACH_EXACT_MAX {
                self.reach_compared += 1;
                let exact = reported
                    .get(platform)
                    .is_some_and(|estimate| *estimate == expected as f64);
                self.reach_exact_mismatches += u64::from(!exact);
            }
        }
        Ok(())
    }

    /// Once the errors are in order.
    fn figures(&self) -> Figures {
        let rank = (self.window_errors.len() as f64 * 0.999) as usize;
        let p999 = self
            .window_errors
            .get(rank.min(self.window_errors.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0);
        Figures::from([
            ("answers", json!(self.answers)),
            ("answers_while_running", json!(self.answers_while_running)),
            ("running_mismatches", json!(self.running_mismatches)),
            ("answers_unseen", json!(self.unseen)),
            ("hot_answers", json!(self.hot_answers)),
            ("windows_compared", json!(self.windows)),
            ("window_undercounts", json!(self.window_undercounts)),
            ("window_error_p999", json!(p999)),
            ("platform_count_mismatches", json!(self.platform_count_mismatches)),
            ("reach_compared", json!(self.reach_compared)),
            ("reach_exact_mismatches_up_to_64", json!(self.reach_exact_mismatches)),
            ("query_mismatches", json!(self.query_mismatches)),
        ])
    }
}

/// Whether the counts by platform are the truth; where the window holds events from before promotion, whether they stay within it.
fn platforms_match(window: &Value, truth: &ContentTruth, from_ms: i64, to_ms: i64, is_exact: bool) -> Result<bool> {
    let mut reported = BTreeMap::new();
    for platform in window["platforms"].as_array().context("platforms is a list")? {
        reported.insert(
            platform["platform"].as_str().context("a platform has a name")?,
            number(&platform["spread"])?,
        );
    }
    reported.retain(|_, count| *count > 0);
    let expected = truth.by_platform(from_ms, to_ms);
    Ok(if is_exact {
        reported == expected
    } else {
        reported
            .iter()
            .all(|(platform, count)| expected.get(platform).is_some_and(|expected| count <= expected))
    })
}

/// How often a reader gets something else because of events it may not see: an alert, a hot figure, or an interval that does not hold the
/// truth of what it may see.
async fn scope_leaks(arguments: &ElectionsArguments, config: &Config, recorded: &[Recorded]) -> Result<u64> {
    let (last, others) = recorded.split_last().context("there are events")?;
    let mut shared: Vec<Recorded> = others.iter().map(|recorded| share(recorded, IsLast::No)).collect();
    shared.push(share(last, IsLast::Yes));
    let now_ms = shared.last().map_or(0, |last| last.received_at.0);
    let everything = observe(arguments, config, &shared, &shared, now_ms).await?;
    let mut leaks = 0;
    for reader in Reader::ALL {
        let visible: Vec<Recorded> = shared
            .iter()
            .filter(|recorded| sees(reader, recorded))
            .cloned()
            .collect();
        let alone = observe(arguments, config, &visible, &shared, now_ms).await?;
        if everything.alerts[&reader] != alone.alerts[&reader] {
            tracing::warn!(?reader, "a scope leaks: other alerts");
            leaks += 1;
        }
        let mut truth = Truth::default();
        truth.add(&visible);
        for (hash, content) in truth.active_since(now_ms - DAY_MS) {
            let key = (reader, hash.clone());
            let (with, without) = (&everything.answers[&key], &alone.answers[&key]);
            let told = hot_figures(with) != hot_figures(without);
            let wrong = !(holds(with, content, now_ms)? && holds(without, content, now_ms)?);
            if told || wrong {
                tracing::warn!(?reader, hash = hash.value_text(), told, wrong, %with, %without, "a scope leaks");
            }
            leaks += u64::from(told) + u64::from(wrong);
        }
    }
    Ok(leaks)
}

/// What every reader is told.
#[derive(Debug, Default)]
struct Observed {
    alerts: BTreeMap<Reader, Vec<String>>,
    answers: BTreeMap<(Reader, ContentHash), Value>,
}

async fn observe(
    arguments: &ElectionsArguments,
    config: &Config,
    published: &[Recorded],
    asked: &[Recorded],
    now_ms: i64,
) -> Result<Observed> {
    let directory = tempfile::tempdir().context("make a temporary directory")?;
    let mut config = evaluation_config(arguments, config.clone(), directory.path());
    // Few hot contents, so that hidden ones compete with visible ones for room wherever room is shared.
    config.detector.hot_limit = 1_024;
    config.detector.promote_at = 2;
    let mut rehearsal = Rehearsal::start(config, &ELECTION_PLATFORMS).await?;
    rehearsal.publish(published, arguments.batch).await?;
    rehearsal.settle().await?;
    let mut truth = Truth::default();
    truth.add(asked);
    let mut observed = Observed::default();
    for reader in Reader::ALL {
        observed.alerts.insert(reader, rehearsal.alert_ids(reader).await?);
        let rehearsal = &rehearsal;
        let answers: Vec<(ContentHash, Value)> =
            stream::iter(truth.active_since(now_ms - DAY_MS))
                .map(|(hash, _)| async move {
                    Ok::<_, anyhow::Error>((hash.clone(), look_up(rehearsal, reader, hash).await?))
                })
                .buffer_unordered(QUESTIONS_AT_ONCE)
                .try_collect()
                .await?;
        observed
            .answers
            .extend(answers.into_iter().map(|(hash, answer)| ((reader, hash), answer)));
    }
    rehearsal.stop().await?;
    Ok(observed)
}

/// Whether an event ends the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IsLast {
    Yes,
    No,
}

/// Three events in five are for all, one for coordinators, one for the party; the last is for all, so that time ends alike for everybody.
fn share(recorded: &Recorded, is_last: IsLast) -> Recorded {
    let mut recorded = recorded.clone();
    recorded.event.sharing = match recorded.event.event_id.0[0] % 5 {
        0 => Sharing::Party,
        1 => Sharing::Coordinators,
        _ => Sharing::All,
    };
    if is_last == IsLast::Yes {
        recorded.event.sharing = Sharing::All;
    }
    recorded
}

fn sees(reader: Reader, recorded: &Recorded) -> bool {
    match (reader, recorded.event.sharing) {
        (_, Sharing::All) | (Reader::Publisher, _) => true,
        (Reader::Coordinators, sharing) => sharing == Sharing::Coordinators,
        (Reader::Observer, _) => false,
    }
}

/// The part of a hot answer that depends on nothing outside the scope. Cold answers and the cold part of hot ones may be wider.
fn hot_figures(answer: &Value) -> Option<Value> {
    if answer["state"] != "hot" {
        return None;
    }
    let windows: Vec<Value> = answer["windows"]
        .as_array()?
        .iter()
        .map(|window| {
            json!([
                window["from"],
                window["to"],
                window["exact"],
                window["before_exact"],
                window["platforms"]
            ])
        })
        .collect();
    let fields = [
        "family",
        "members",
        "first_seen",
        "last_seen",
        "exact_since",
        "surfaces_24h",
        "reach",
    ];
    Some(json!([windows, fields.map(|field| answer[field].clone())]))
}

/// Whether every interval of an answer holds the truth. An answer that there is nothing to see says: nothing in the longest window.
fn holds(answer: &Value, truth: &ContentTruth, now_ms: i64) -> Result<bool> {
    let Some(windows) = answer["windows"].as_array() else {
        let day = window(WindowLength::Hours24, Timestamp(now_ms));
        return Ok(truth.count(day.from.0, day.to.0) == 0);
    };
    for window in windows {
        let expected = truth.count(instant(&window["from"])?, instant(&window["to"])?);
        if !(number(&window["spread"]["low"])?..=number(&window["spread"]["high"])?).contains(&expected) {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn look_up(rehearsal: &Rehearsal, reader: Reader, hash: &ContentHash) -> Result<Value> {
    let (status, answer) = ask(rehearsal, reader, hash).await?;
    answered(status, answer)
}

async fn ask(rehearsal: &Rehearsal, reader: Reader, hash: &ContentHash) -> Result<(u16, Value)> {
    let value = hash.value_text();
    let query = [("algorithm", hash.algorithm().name()), ("value", value.as_str())];
    rehearsal.get(reader, "/v1/lookup", &query).await
}

fn answered(status: u16, answer: Value) -> Result<Value> {
    match status {
        200 => Ok(answer),
        // The reader may see nothing of it: no windows, which holds no truth but zero events.
        404 => Ok(json!({ "state": UNSEEN })),
        _ => bail!("GET /v1/lookup answers {status}: {answer}"),
    }
}

fn instant(value: &Value) -> Result<i64> {
    let text = value.as_str().context("a time is text")?;
    let instant = OffsetDateTime::parse(text, &Rfc3339).with_context(|| format!("{text:?} is a time of RFC 3339"))?;
    Ok((instant.unix_timestamp_nanos() / 1_000_000) as i64)
}

fn number(value: &Value) -> Result<u64> {
    value.as_u64().context("a count is a whole number")
}
