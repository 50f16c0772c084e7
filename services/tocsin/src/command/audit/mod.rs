mod chain;

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tocsin_detector::audit::{Audit, Span, Verdict, audit};
use tocsin_model::{KeyId, Timestamp};

use crate::config::Config;
use crate::serve::{deployment_key, detector_setup, open_log};

/// Proof that what was said follows from the log, and that the audit chains are as they were written.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Derive the alerts and counts of a span of time from the log again, and compare them bit by bit. Fails when one differs.
    Replay(AuditReplay),
    /// Read the audit chains from their first record on and hold them to checkpoints. Fails when a record was changed, removed, put in or put
    /// elsewhere.
    Verify(chain::AuditVerify),
    /// Print a signed checkpoint of the audit chains: give it to parties to keep.
    Checkpoint,
    /// Erase the clear text of all records that a key made or that are about it. The chains still hold.
    Erase {
        /// The 32 digits that `key list` shows.
        key: KeyId,
    },
}

/// The span to audit.
#[derive(Debug, Args)]
pub struct AuditReplay {
    /// Its beginning, as in 2026-03-15T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Timestamp,
    /// Its end, itself not part of it.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Timestamp,
    /// Print the whole result as JSON.
    #[arg(long)]
    json: bool,
}

/// So many alerts that are not equal are printed; the JSON holds all.
const PRINTED_MAX: usize = 20;

impl AuditCommand {
    /// Audits and says what was found.
    pub async fn run(&self, config: &Config) -> Result<ExitCode> {
        match self {
            AuditCommand::Replay(replay) => replay.run(config),
            AuditCommand::Verify(verify) => verify.run(config).await,
            AuditCommand::Checkpoint => chain::checkpoint(config).await,
            AuditCommand::Erase { key } => chain::erase(config, *key).await,
        }
    }
}

impl AuditReplay {
    fn run(&self, config: &Config) -> Result<ExitCode> {
        let replay = self;
        ensure!(replay.from < replay.to, "--from must be before --to");
        let span = Span {
            from: replay.from,
            to: replay.to,
        };
        let (key, _) = deployment_key(config)?;
        let setup = detector_setup(config, &key);
        let log = open_log(config).context("open the log")?;
        let group_config = setup.group_config(&config.detector);
        let found = audit(log.as_ref(), setup.partitions, &group_config, span, &|| false).context("audit the span")?;
        if replay.json {
            println!("{:#}", document(&found));
        } else {
            print(&found);
        }
        Ok(match found.holds() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

fn instant(text: &str) -> Result<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).context("a time is written as in 2026-03-15T12:00:00Z")?;
    Ok(Timestamp((at.unix_timestamp_nanos() / 1_000_000) as i64))
}

fn told(at: Timestamp) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000).ok();
    at.and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| "never".to_owned())
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Equal => "equal",
        Verdict::Different => "different",
        Verdict::Unfounded => "unfounded",
        Verdict::Missing => "missing",
        Verdict::OtherRule => "of another rule",
    }
}

const VERDICTS: [Verdict; 5] = [
    Verdict::Equal,
    Verdict::Different,
    Verdict::Unfounded,
    Verdict::Missing,
    Verdict::OtherRule,
];

fn print(found: &Audit) {
    for partition in &found.partitions {
        println!(
            "Partition {}: {} records from offset {} on, to {}; {} later copies of key groups compared, {} differ.",
            partition.partition,
            partition.records,
            partition.began_at,
            told(partition.reached),
            partition.copies,
            partition.differing.len()
        );
        for (group, offset) in &partition.differing {
            println!("  Key group {} is not what was written at offset {offset}.", group.0);
        }
    }
    let counts = VERDICTS.map(|verdict| format!("{} {}", found.count(verdict), word(verdict)));
    println!("Alerts of the span: {}.", counts.join(", "));
    let others = found.alerts.iter().filter(|(_, alert)| alert.verdict != Verdict::Equal);
    for (id, alert) in others.take(PRINTED_MAX) {
        println!("  {:032x} of {}: {}.", id.0, told(alert.at), word(alert.verdict));
    }
    if found.repeated > 0 {
        println!("{} of them stand on the log once more, the same.", found.repeated);
    }
    if found.unreadable > 0 {
        println!("{} records of the alerts topic cannot be read.", found.unreadable);
    }
    println!(
        "{}",
        match found.holds() {
            true => "Everything that was said in the span follows from the log.",
            false => "Not everything that was said in the span follows from the log.",
        }
    );
}

fn document(found: &Audit) -> serde_json::Value {
    let partitions = found.partitions.iter().map(|partition| {
        let differing = partition.differing.iter();
        json!({
            "partition": partition.partition,
            "began_at_offset": partition.began_at,
            "records": partition.records,
            "reached": told(partition.reached),
            "copies_compared": partition.copies,
            "copies_differing": differing.map(|(group, offset)| json!({ "key_group": group.0, "offset": offset })).collect::<Vec<_>>(),
        })
    });
    let alerts = found.alerts.iter().map(
        |(id, alert)| json!({ "id": format!("{:032x}", id.0), "at": told(alert.at), "verdict": word(alert.verdict) }),
    );
    json!({
        "holds": found.holds(),
        "partitions": partitions.collect::<Vec<_>>(),
        "alerts": alerts.collect::<Vec<_>>(),
        "repeated": found.repeated,
        "unreadable": found.unreadable,
    })
}
