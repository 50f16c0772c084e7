use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use tocsin_protocol::{Answers, Assessor, Protocol, SHIPPED};

use super::api::{Api, print};
use crate::config::Config;
use crate::protocol::{Standing, ask, assessment_json, assessment_text, file_text, list_json, shown, text_of};
use crate::serve::open_store;

/// What to do with protocols.
#[derive(Debug, Subcommand)]
pub enum ProtocolCommand {
    /// Say which protocols come with Tocsin.
    List {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say whether a file is a protocol, and what is wrong where.
    Check {
        /// The file (TOML).
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Put a protocol into words: its levels, steps, criteria and sources.
    Show {
        /// A protocol that is shipped, or a file.
        #[arg(value_name = "NAME")]
        name: String,
        /// Print the file itself, to start a protocol of one's own from.
        #[arg(long)]
        toml: bool,
    },
    /// Add a protocol of one's own, so that incidents can be declared under it. Once added, this version never changes.
    Add {
        /// The file (TOML).
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say where a family stands by a protocol now, criterion by criterion, with the evidence.
    Assess(AssessCommand),
}

/// Which family, by which protocol, and what people answered.
#[derive(Debug, Args)]
pub struct AssessCommand {
    /// A protocol that is shipped, or a file.
    #[arg(value_name = "NAME")]
    name: String,
    /// The family, or a content of it: 32 hexadecimal digits.
    #[arg(long, value_name = "ID", value_parser = family_id)]
    family: String,
    /// What a person answered to a question of the protocol. What is not answered is unknown.
    #[arg(long = "answer", value_name = "QUESTION=yes|no", value_parser = answer)]
    answers: Vec<(String, bool)>,
    /// Look on for so many minutes before saying where it stands: what must hold for a time is known only then.
    #[arg(long, value_name = "MINUTES", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1_440))]
    observe_minutes: u64,
    #[command(flatten)]
    api: Api,
}

/// Time between two looks: well within what a stretch without a look may last.
const LOOK_EVERY: Duration = Duration::from_secs(15);

fn family_id(text: &str) -> Result<String, String> {
    match text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("a family is named by its 32 hexadecimal digits".to_owned()),
    }
}

fn answer(text: &str) -> Result<(String, bool), String> {
    match text.split_once('=') {
        Some((name, "yes")) => Ok((name.to_owned(), true)),
        Some((name, "no")) => Ok((name.to_owned(), false)),
        _ => Err("an answer is QUESTION=yes or QUESTION=no".to_owned()),
    }
}

impl ProtocolCommand {
    /// Carries it out. Of a file that is no protocol the exit code says so. `config` is asked for only where the store is.
    pub async fn run(&self, config: impl FnOnce() -> Result<Config>) -> Result<ExitCode> {
        match self {
            ProtocolCommand::Add { file } => return add(file, &config()?).await,
            ProtocolCommand::List { json } => print(&list(*json)?)?,
            ProtocolCommand::Check { file } => return check(file),
            ProtocolCommand::Show { name, toml: true } => print(&text_of(name)?)?,
            ProtocolCommand::Show { name, toml: false } => print(&shown(&read(name)?))?,
            ProtocolCommand::Assess(command) => command.run().await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(json: bool) -> Result<String> {
    let protocols = SHIPPED.iter().map(|(name, _)| read(name)).collect::<Result<Vec<_>>>()?;
    if json {
        return Ok(format!("{:#}\n", list_json(&protocols)));
    }
    let line = |protocol: &Protocol| {
        let levels: Vec<&str> = protocol.levels.iter().map(|level| level.name.as_str()).collect();
        format!(
            "{} version {}: {}\n  {}\n",
            protocol.name,
            protocol.version,
            protocol.title,
            levels.join(", ")
        )
    };
    Ok(protocols.iter().map(line).collect())
}

fn check(file: &Path) -> Result<ExitCode> {
    let name = file.display().to_string();
    match Protocol::parse(&file_text(file)?) {
        Ok(protocol) => {
            let (levels, criteria) = (protocol.levels.len(), protocol.criteria.len());
            print(&format!(
                "{name} is protocol {}, version {}: levels {levels}, criteria {criteria}, questions {}\n",
                protocol.name,
                protocol.version,
                protocol.questions.len()
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(refused) => {
            let line =
                |fault: &tocsin_protocol::Fault| format!("{name}:{}:{}: {}\n", fault.line, fault.column, fault.problem);
            print(&refused.faults.iter().map(line).collect::<String>())?;
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn add(file: &Path, config: &Config) -> Result<ExitCode> {
    // What is wrong with it is said as `check` says it.
    let checked = check(file)?;
    if checked == ExitCode::SUCCESS {
        let store = open_store(config).await?;
        store.add_protocol(&file_text(file)?).await?;
        store.close().await;
    }
    Ok(checked)
}

fn read(name: &str) -> Result<Protocol> {
    Protocol::parse(&text_of(name)?).with_context(|| format!("{name} is no protocol"))
}

impl AssessCommand {
    async fn run(&self) -> Result<()> {
        let protocol = read(&self.name)?;
        let answers = self.answers(&protocol)?;
        let source = self.api.source()?;
        let mut assessor = Assessor::new(&protocol);
        let mut family = ask(&source, &self.family).await?;
        let mut assessment = assessor.observe(family.as_of, &family.figures, &answers)?;
        let looks = self.observe_minutes * 60 / LOOK_EVERY.as_secs();
        for _ in 0..looks {
            tokio::time::sleep(LOOK_EVERY).await;
            // One look that fails is no reason to lose what was seen; a longer gap interrupts what must hold for a time.
            let next = match ask(&source, &self.family).await {
                Ok(next) => next,
                Err(error) => {
                    eprintln!("a look failed: {error:#}");
                    continue;
                }
            };
            // Another node may answer that is further behind: what it says is known already.
            if let Ok(newer) = assessor.observe(next.as_of, &next.figures, &answers) {
                (family, assessment) = (next, newer);
            }
        }
        let standing = Standing {
            protocol: &protocol,
            family: &family,
            answers: &answers,
            assessment: &assessment,
        };
        match self.api.json {
            true => print(&format!("{:#}\n", assessment_json(&standing))),
            false => print(&assessment_text(&standing)),
        }
    }

    fn answers(&self, protocol: &Protocol) -> Result<Answers> {
        let mut answers = Answers::new();
        for (name, yes) in &self.answers {
            if !protocol.questions.iter().any(|question| question.name == *name) {
                let known: Vec<&str> = protocol
                    .questions
                    .iter()
                    .map(|question| question.name.as_str())
                    .collect();
                bail!(
                    "{} asks no question {name}; it asks {}",
                    protocol.name,
                    known.join(", ")
                );
            }
            if answers.insert(name.clone(), *yes).is_some_and(|before| before != *yes) {
                bail!("{name} is answered with yes and with no");
            }
        }
        Ok(answers)
    }
}
