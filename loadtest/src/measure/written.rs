//! A generated day, written down: to a file for whoever replays it elsewhere, or into the ingest topics of its parties.

use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use tocsin_intake::RECEIVED_AT_HEADER;
use tocsin_loadtest::day::{Day, DayPlan, Grouping, Identity, Occurrence};
use tocsin_log::{Append, Completion, Header, Log, TopicPartition, TopicSpec};
use tocsin_wire::{event, topics};

use super::pipeline::{options, spec};
use super::role::connect;

/// Records handed to the log at a time, and how many such lots are on their way at most: what is held of a day.
const LOT_RECORDS: usize = 2_000;
const LOTS_ON_THEIR_WAY_MAX: usize = 8;

/// Where a day goes.
#[derive(Clone, Debug)]
pub struct Destination<'a> {
    /// A file, one record a line.
    pub file: Option<&'a Path>,
    /// Bootstrap servers of Kafka.
    pub bootstrap: Option<&'a str>,
    /// No more records than this.
    pub records_max: u64,
}

/// Writes the records of a day in the order of their receipt. How many those were.
///
/// # Errors
/// The file cannot be written, or the log does not take a record.
pub fn write_day(plan: &DayPlan, to: &Destination<'_>) -> anyhow::Result<u64> {
    let mut file = match to.file {
        Some(path) => {
            let file = std::fs::File::create(path).with_context(|| format!("write {}", path.display()))?;
            Some(std::io::BufWriter::new(file))
        }
        None => None,
    };
    let log = to.bootstrap.map(connect).transpose()?;
    let mut topics = match &log {
        Some(log) => Some(Ingest::new(log.as_ref(), plan)?),
        None => None,
    };
    let identity = Identity::new(plan, Grouping::Asserted);
    let mut written = 0;
    for record in Day::new(plan).take(usize::try_from(to.records_max).unwrap_or(usize::MAX)) {
        if let Some(file) = &mut file {
            writeln!(file, "{}", line(&identity, &record))?;
        }
        if let Some(topics) = &mut topics {
            topics.send(&identity, &record)?;
        }
        written += 1;
    }
    if let Some(mut file) = file {
        file.flush()?;
    }
    if let Some(topics) = topics {
        topics.finish()?;
    }
    Ok(written)
}

/// A record as a line: when it is received, by whom it is published, what the platform says, and what is true of it, which no detector may look at.
fn line(identity: &Identity, record: &Occurrence) -> String {
    let truth = json!({
        "family": record.family.0,
        "of": record.family.kind().name(),
        "variant": record.variant,
        "happened_at_ms": record.happened_at.0,
    });
    format!(
        r#"{{"received_at_ms":{},"party":{},"event":{},"truth":{truth}}}"#,
        record.received_at.0,
        json!(identity.party(record).as_str()),
        event::to_json(&identity.event(record)),
    )
}

/// The ingest topics of a day's parties. Each record says when it is received, for an intake that takes that from it.
struct Ingest {
    appender: Box<dyn tocsin_log::Appender>,
    topics: Vec<TopicSpec>,
    lot: Vec<Append>,
    on_their_way: VecDeque<Completion>,
    sent: u64,
}

impl Ingest {
    fn new(log: &dyn Log, plan: &DayPlan) -> anyhow::Result<Self> {
        let topics: Vec<TopicSpec> = plan.parties.iter().map(|party| spec(&topics::ingest(party))).collect();
        log.ensure_topics(&topics)?;
        Ok(Ingest {
            appender: log.appender(options())?,
            topics,
            lot: Vec::new(),
            on_their_way: VecDeque::new(),
            sent: 0,
        })
    }

    fn send(&mut self, identity: &Identity, record: &Occurrence) -> anyhow::Result<()> {
        let topic = &self.topics[usize::from(record.party)];
        let partition = (self.sent % u64::from(topic.partitions)) as u32;
        self.lot.push(Append {
            to: TopicPartition::new(topic.name.as_str(), partition),
            key: None,
            value: Some(event::encode_single_object(&identity.event(record)).into()),
            headers: vec![Header {
                name: RECEIVED_AT_HEADER.to_owned(),
                value: record.received_at.0.to_string().into(),
            }],
        });
        self.sent += 1;
        if self.lot.len() >= LOT_RECORDS {
            self.hand_over();
        }
        if self.on_their_way.len() > LOTS_ON_THEIR_WAY_MAX
            && let Some(first) = self.on_their_way.pop_front()
        {
            first.wait()?;
        }
        Ok(())
    }

    fn hand_over(&mut self) {
        let lot = std::mem::take(&mut self.lot);
        self.on_their_way.push_back(self.appender.append(lot));
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.hand_over();
        for completion in self.on_their_way {
            completion.wait()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::time::Duration;

    use tocsin_loadtest::day::{FamilyKind, Scale, Scenario};
    use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};

    use super::*;

    fn plan() -> DayPlan {
        DayPlan::new(Scenario::Halle, Scale(1e-5), 7)
    }

    #[test]
    fn a_file_says_what_happened_and_what_is_true() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("day.ndjson");
        let to = Destination {
            file: Some(&path),
            bootstrap: None,
            records_max: u64::MAX,
        };
        let plan = plan();
        let written = write_day(&plan, &to).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count() as u64, written);
        let identity = Identity::new(&plan, Grouping::Asserted);
        let mut crises = 0;
        for (line, record) in text.lines().zip(Day::new(&plan)) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let event = event::from_json(line["event"].to_string().as_bytes()).unwrap();
            let expected = identity.event(&record);
            assert_eq!(
                (&event.event_id, event.occurred_at, event.kind),
                (&expected.event_id, expected.occurred_at, expected.kind)
            );
            assert_eq!(event.content, expected.content);
            assert_eq!(line["received_at_ms"], record.received_at.0);
            assert_eq!(line["party"], identity.party(&record).as_str());
            assert_eq!(line["truth"]["of"], record.family.kind().name());
            crises += u64::from(record.family.kind() == FamilyKind::Crisis);
        }
        assert!(crises > 0 && written > 10_000, "{crises} of {written}");
    }

    #[test]
    fn topics_hold_each_partys_records() {
        let directory = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap();
        let plan = plan();
        let identity = Identity::new(&plan, Grouping::Asserted);
        let mut topics = Ingest::new(&log, &plan).unwrap();
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for record in Day::new(&plan).take(5_000) {
            topics.send(&identity, &record).unwrap();
            *expected
                .entry(topics::ingest_name(identity.party(&record)))
                .or_default() += 1;
        }
        let declared = topics.topics.clone();
        topics.finish().unwrap();
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for topic in &declared {
            for partition in 0..topic.partitions {
                let place = TopicPartition::new(topic.name.as_str(), partition);
                let (begin, end) = log.bounds(&place).unwrap();
                let mut reader = log.tail_reader(&[(place, begin)]).unwrap();
                let mut read = 0;
                while read < end - begin {
                    reader
                        .poll(Duration::from_millis(20), 1_000, &mut |record| {
                            assert!(record.headers.get(RECEIVED_AT_HEADER).is_some());
                            read += 1;
                        })
                        .unwrap();
                }
                *found.entry(topic.name.clone()).or_default() += read;
            }
        }
        found.retain(|_, count| *count > 0);
        assert_eq!(found, expected);
        assert!(found.len() > 1, "{found:?}");
    }
}
