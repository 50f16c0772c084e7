//! Evidence in a terminal: preservations of a party's data over HTTP, as any other client, and archives of them, which are checked without asking anybody.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tocsin_evidence::{Act, ArchiveFault, PublicKey, Verified, Verifier};
use tocsin_model::Timestamp;
use tocsin_wire::document::instant;

use super::api::{Api, print};
use super::casework::post;
use super::casework_text::text;
use crate::client::{Sent, Source};

/// How often it is asked whether a copy is sealed, and how often at most.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
const LOOKS_MAX: u32 = 1_200;
/// How much of a file is read at a time.
const PIECE_BYTES: usize = 64 << 10;

/// What is preserved of your party's data about a case, and archives of it for an investigation.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Preserve what is known of a case: for six months, and longer if it is extended.
    Preserve {
        #[command(flatten)]
        api: Api,
        /// The case.
        case: String,
        #[command(flatten)]
        right: Right,
    },
    /// List what is preserved, the latest first.
    List {
        #[command(flatten)]
        api: Api,
        /// waiting (for its copy), sealed, ended (the copy is still to be deleted) or deleted.
        #[arg(long)]
        state: Option<String>,
        /// Only of this case.
        #[arg(long)]
        case: Option<String>,
        /// How many at most: 1 to 200.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show a preservation with its chain of custody, and the key that archives are checked with.
    Show {
        #[command(flatten)]
        api: Api,
        /// The preservation.
        id: String,
    },
    /// Let it hold longer.
    Extend {
        #[command(flatten)]
        api: Api,
        /// The preservation.
        id: String,
        /// Until when, as in RFC 3339: at most 24 months from now. By default six months longer.
        #[arg(long)]
        until: Option<String>,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// End it now: its copy is deleted. Not before six months where the law asks for them.
    Release {
        #[command(flatten)]
        api: Api,
        /// The preservation.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Write an archive of what is preserved of a case: of the latest preservation that runs, or of one that is placed for it.
    Export {
        #[command(flatten)]
        api: Api,
        /// The case.
        case: String,
        #[command(flatten)]
        right: Right,
        /// Another preservation of the case.
        #[arg(long, value_name = "ID")]
        preservation: Option<String>,
        /// The file. It is as it was until the whole archive is there and holds.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Check an archive, without asking anybody: every byte of it.
    Verify {
        /// The archive.
        file: PathBuf,
        /// The key that it is signed with, 64 hexadecimal digits: as `show` told it, or whoever gave you the archive, on a way that you trust.
        #[arg(long, value_name = "DIGITS", value_parser = public_key)]
        public_key: PublicKey,
        /// An archive of the same preservation that you were given earlier: its chain of custody must be the beginning of this one's. It finds a chain whose end was
        /// taken away before something was added.
        #[arg(long, value_name = "FILE")]
        earlier: Option<PathBuf>,
        /// Print what it holds as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// By what right.
#[derive(Debug, Args)]
pub struct Right {
    /// removal_order, complaint, review (administrative or judicial), investigation (of terrorist offences) or other_law.
    #[arg(long)]
    basis: String,
    /// The number of the order, the request or the file.
    #[arg(long)]
    reference: String,
    /// In words: what is asked for, by whom, under which law.
    #[arg(long)]
    text: String,
}

impl Right {
    fn body(&self) -> Value {
        json!({ "basis": self.basis, "reference": self.reference, "text": self.text })
    }
}

impl EvidenceCommand {
    /// Carries it out.
    pub async fn run(&self) -> Result<ExitCode> {
        match self {
            EvidenceCommand::Preserve { api, case, right } => {
                let path = format!("/v1/cases/{case}/preservations");
                api.show(&post(&api.source()?, &path, right.body()).await?, line)?;
            }
            EvidenceCommand::List {
                api,
                state,
                case,
                limit,
            } => {
                let mut parameters = vec![("limit", limit.to_string())];
                parameters.extend(state.clone().map(|state| ("state", state)));
                parameters.extend(case.clone().map(|case| ("case", case)));
                let sent = Sent::Parameters(parameters);
                let answer = api.source()?.ask(Method::GET, "/v1/preservations", sent).await?;
                api.show(&answer.document()?, list_text)?;
            }
            EvidenceCommand::Show { api, id } => {
                let answer: Value = api.source()?.get(&path_of(id)).await?.document()?;
                api.show(&answer, whole_text)?;
            }
            EvidenceCommand::Extend { api, id, until, reason } => {
                let body = json!({ "until": until, "reason": reason });
                api.show(
                    &post(&api.source()?, &format!("{}/extend", path_of(id)), body).await?,
                    line,
                )?;
            }
            EvidenceCommand::Release { api, id, reason } => {
                let body = json!({ "reason": reason });
                api.show(
                    &post(&api.source()?, &format!("{}/release", path_of(id)), body).await?,
                    line,
                )?;
            }
            EvidenceCommand::Export {
                api,
                case,
                right,
                preservation,
                out,
            } => {
                let source = api.source()?;
                let id = match preservation {
                    Some(id) => id.clone(),
                    None => running(&source, case, right).await?,
                };
                let verified = export(&source, (&id, case), right, out).await?;
                let told = verified_document(&verified);
                api.show(&told, |_| verified_text(&verified))?;
            }
            EvidenceCommand::Verify {
                file,
                public_key,
                earlier,
                json,
            } => return verify((file, earlier.as_deref()), *public_key, *json),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn path_of(id: &str) -> String {
    format!("/v1/preservations/{id}")
}

/// The latest preservation of a case that runs; where there is none, one is placed.
async fn running(source: &Source, case: &str, right: &Right) -> Result<String> {
    let sent = Sent::Parameters(vec![("case", case.to_owned()), ("limit", "200".to_owned())]);
    let page: Value = source.ask(Method::GET, "/v1/preservations", sent).await?.document()?;
    let all = page["preservations"].as_array().map_or(&[][..], Vec::as_slice);
    let runs = |of: &&Value| of["state"] == "waiting" || of["state"] == "sealed";
    let found = match all.iter().find(runs) {
        Some(found) => found.clone(),
        None => post(source, &format!("/v1/cases/{case}/preservations"), right.body()).await?,
    };
    Ok(text(&found["id"]))
}

/// Writes the archive, once its copy is sealed. What does not hold is not kept.
async fn export(source: &Source, (id, case): (&str, &str), right: &Right, out: &Path) -> Result<Verified> {
    let key = sealed(source, (id, case)).await?;
    let directory = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let beside = NamedTempFile::new_in(directory.unwrap_or(Path::new(".")));
    let mut beside = beside.with_context(|| format!("write {}", out.display()))?;
    let mut given = source
        .download(&format!("{}/export", path_of(id)), right.body())
        .await?;
    let mut verifier = Verifier::new(key);
    while let Some(piece) = given.chunk().await.context("read the archive")? {
        verifier.take(&piece).context("check the archive")?;
        beside
            .write_all(&piece)
            .with_context(|| format!("write {}", out.display()))?;
    }
    let verified = verifier.finish().context("check the archive")?;
    beside.as_file().sync_all()?;
    beside
        .persist(out)
        .with_context(|| format!("write {}", out.display()))?;
    Ok(verified)
}

/// Waits until the copy is sealed; the key that the deployment says it signs with.
async fn sealed(source: &Source, (id, case): (&str, &str)) -> Result<PublicKey> {
    for _ in 0..LOOKS_MAX {
        let told: Value = source.get(&path_of(id)).await?.document()?;
        ensure!(told["case"] == case, "the preservation {id} is of another case");
        match told["state"].as_str() {
            Some("sealed") => return public_key(&text(&told["public_key"])),
            Some("waiting") => tokio::time::sleep(LOOK_INTERVAL).await,
            _ => bail!("the preservation {id} has ended"),
        }
    }
    bail!("the copy of {id} is still being made: ask again later")
}

fn verify((file, earlier): (&Path, Option<&Path>), key: PublicKey, as_json: bool) -> Result<ExitCode> {
    let (mut of, mut checked) = (file, read(file, key)?);
    if let (Ok(verified), Some(earlier)) = (&checked, earlier) {
        match read(earlier, key)? {
            Ok(before) => {
                let goes_on = verified.goes_on_from(&before);
                checked = checked.and_then(|verified| goes_on.map(|()| verified));
            }
            Err(fault) => (of, checked) = (earlier, Err(fault)),
        }
    }
    match checked {
        Ok(verified) => {
            match as_json {
                true => print(&format!("{:#}\n", verified_document(&verified)))?,
                false => print(&verified_text(&verified))?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(fault) => {
            match as_json {
                true => print(&format!(
                    "{:#}\n",
                    json!({ "holds": false, "fault": fault.to_string() })
                ))?,
                false => print(&format!("{} does not hold: {fault}.\n", of.display()))?,
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What a file holds, if it is an archive that holds.
fn read(file: &Path, key: PublicKey) -> Result<Result<Verified, ArchiveFault>> {
    let mut from = std::fs::File::open(file).with_context(|| format!("open {}", file.display()))?;
    let mut verifier = Verifier::new(key);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = from
            .read(&mut piece)
            .with_context(|| format!("read {}", file.display()))?;
        if read == 0 {
            return Ok(verifier.finish());
        }
        if let Err(fault) = verifier.take(&piece[..read]) {
            return Ok(Err(fault));
        }
    }
}

fn verified_document(verified: &Verified) -> Value {
    json!({
        "holds": true,
        "export": verified.export,
        "manifest": verified.manifest,
        "custody": verified.custody,
        "custody_head": verified.custody.last().map(|last| hex::encode(last.hash())),
    })
}

fn at(ms: i64) -> String {
    instant(Timestamp(ms)).unwrap_or_else(|| ms.to_string())
}

fn verified_text(verified: &Verified) -> String {
    let Verified {
        manifest,
        custody,
        export,
    } = verified;
    let mut out = format!(
        "The archive holds: preservation {} of {}, case {}, sealed {}, exported {} under {} {}.\n",
        export.preservation,
        export.party,
        manifest.case,
        at(manifest.sealed_at_ms),
        at(export.exported_at_ms),
        export.basis.kind.name(),
        export.basis.reference
    );
    for file in &manifest.files {
        let _ = writeln!(
            out,
            "  {:<16} {:>10} bytes {:>8} records",
            file.name, file.bytes, file.records
        );
    }
    for cut in &manifest.cut {
        let _ = writeln!(out, "  It ends at a limit: {cut:?}.");
    }
    if manifest.events_deleted {
        out.push_str("  Events of before may have been deleted already when it was copied.\n");
    }
    for entry in custody {
        let act = serde_json::to_value(entry.act).unwrap_or_default();
        let _ = writeln!(
            out,
            "  {:>4} {} {} by {}",
            entry.sequence,
            at(entry.at_ms),
            text(&act),
            entry.by
        );
        if entry.act == Act::Exported {
            let words = ["basis", "reference", "text"].map(|name| entry.detail.get(name).map_or("", String::as_str));
            let _ = writeln!(out, "       {}", words.join(", "));
        }
    }
    if let Some(last) = custody.last() {
        let (sequence, hash) = (last.sequence, hex::encode(last.hash()));
        let _ = writeln!(out, "In the audit chain its end is: custody {sequence} {hash}");
    }
    out
}

/// One preservation in a line.
fn line(of: &Value) -> String {
    let events = of["copy"]["events"].as_u64();
    let copied = events.map_or_else(String::new, |events| format!(", {events} events"));
    let cut = if of["copy"]["cut"] == true {
        ", cut at a limit"
    } else {
        ""
    };
    format!(
        "{} {} of case {}, until {}, {} {}{copied}{cut}\n",
        text(&of["id"]),
        text(&of["state"]),
        text(&of["case"]),
        text(&of["until"]),
        text(&of["basis"]),
        text(&of["reference"])
    )
}

fn list_text(page: &Value) -> String {
    let all = page["preservations"].as_array().map_or(&[][..], Vec::as_slice);
    match all {
        [] => "Nothing is preserved.\n".to_owned(),
        all => all.iter().map(line).collect(),
    }
}

fn whole_text(of: &Value) -> String {
    let mut out = line(of);
    for entry in of["custody"].as_array().into_iter().flatten() {
        let detail: Vec<String> = entry["detail"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{name} {}", text(value)))
            .collect();
        let _ = writeln!(
            out,
            "  {:>4} {} {} by {}: {}",
            entry["sequence"],
            text(&entry["at"]),
            text(&entry["act"]),
            text(&entry["by"]),
            detail.join(", ")
        );
    }
    let _ = writeln!(out, "Archives are checked with the key {}.", text(&of["public_key"]));
    out
}

fn public_key(digits: &str) -> Result<PublicKey> {
    let mut key = [0; 32];
    hex::decode_to_slice(digits, &mut key).context("a public key has 64 hexadecimal digits")?;
    Ok(PublicKey(key))
}

#[cfg(test)]
mod tests {
    //! Goal: commands are read as they are written, and a file that is no archive does not hold.
    #![allow(clippy::unwrap_used)]

    use clap::Parser as _;

    use super::*;
    use crate::command::{Arguments, Command};

    fn parsed(words: &[&str]) -> Option<EvidenceCommand> {
        let read = Arguments::try_parse_from(["tocsin", "evidence"].iter().chain(words)).ok()?;
        match read.command {
            Command::Evidence(command) => Some(command),
            other => panic!("{other:?} is no evidence"),
        }
    }

    #[test]
    fn a_right_is_said_where_something_is_preserved_or_handed_out() {
        let right = ["--basis", "investigation", "--reference", "AZ 1", "--text", "an attack"];
        for words in [
            &["preserve", "--key-file", "k", "1"][..],
            &["export", "--key-file", "k", "1", "--out", "o"],
        ] {
            assert!(parsed(words).is_none(), "{words:?}");
            let with: Vec<&str> = words.iter().chain(&right).copied().collect();
            assert!(parsed(&with).is_some(), "{with:?}");
        }
        assert!(parsed(&["verify", "f"]).is_none() && parsed(&["verify", "f", "--public-key", "12"]).is_none());
        assert!(parsed(&["verify", "f", "--public-key", &"ab".repeat(32)]).is_some());
    }

    #[tokio::test]
    async fn what_is_no_archive_does_not_hold() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        for bytes in [&b""[..], b"no archive", &[0; 1_024]] {
            std::fs::write(&file, bytes).unwrap();
            let command = parsed(&["verify", file.to_str().unwrap(), "--public-key", &"ab".repeat(32)]).unwrap();
            assert_eq!(command.run().await.unwrap(), ExitCode::FAILURE);
        }
    }
}
