//! The audit chains: verified, signed, erased beside.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;
use tocsin_audit::{Checkpoint, PublicKey, SigningKey};
use tocsin_model::KeyId;
use tocsin_store::{AuditReport, ChainReport};
use tocsin_wire::document::CheckpointDocument;

use crate::config::Config;
use crate::serve::{deployment_key, open_store};

/// What to hold the chains to.
#[derive(Debug, Args)]
pub struct AuditVerify {
    /// A checkpoint that was kept. Repeat for more than one; without any, what whoever can write to the database changed is not found where they
    /// computed all hashes again.
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// The key that checkpoints are signed with, 64 hexadecimal digits; by default that of this deployment.
    #[arg(long, value_name = "DIGITS", value_parser = public_key)]
    public_key: Option<PublicKey>,
    /// Print the whole result as JSON.
    #[arg(long)]
    json: bool,
}

impl AuditVerify {
    /// Verifies and says what was found.
    pub async fn run(&self, config: &Config) -> Result<ExitCode> {
        let key = match self.public_key {
            Some(key) => key,
            None => signing_key(config)?.public(),
        };
        let checkpoints = self.checkpoints.iter().map(|path| read_checkpoint(path, &key));
        let checkpoints = checkpoints.collect::<Result<Vec<Checkpoint>>>()?;
        let store = open_store(config).await?;
        let report = store.verify_audit(&checkpoints).await;
        store.close().await;
        let report = report?;
        match self.json {
            true => println!("{:#}", document(&report)),
            false => print(&report, checkpoints.len()),
        }
        Ok(match report.holds() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

/// Prints a signed checkpoint.
pub async fn checkpoint(config: &Config) -> Result<ExitCode> {
    let key = signing_key(config)?;
    let store = open_store(config).await?;
    let checkpoint = store.audit_checkpoint().await;
    store.close().await;
    let document = CheckpointDocument::from(&key.sign(checkpoint?));
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(ExitCode::SUCCESS)
}

/// Erases what a key left in the clear.
pub async fn erase(config: &Config, key: KeyId) -> Result<ExitCode> {
    let store = open_store(config).await?;
    let erased = store.erase_audited(key).await;
    store.close().await;
    println!("{} fields of records of the key {key} are erased.", erased?);
    Ok(ExitCode::SUCCESS)
}

fn signing_key(config: &Config) -> Result<SigningKey> {
    let (key, _) = deployment_key(config)?;
    Ok(SigningKey::from_seed(&key.checkpoint_seed()))
}

fn read_checkpoint(path: &Path, key: &PublicKey) -> Result<Checkpoint> {
    let read = || {
        let text = std::fs::read_to_string(path)?;
        let document: CheckpointDocument = serde_json::from_str(&text)?;
        let signed = document.read()?;
        signed.verify(key)?;
        anyhow::Ok(signed.checkpoint)
    };
    read().with_context(|| format!("believe the checkpoint {}", path.display()))
}

fn public_key(text: &str) -> Result<PublicKey> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).context("a public key has 64 hexadecimal digits")?;
    Ok(PublicKey(key))
}

fn print(report: &AuditReport, checkpoints: usize) {
    for ChainReport {
        node,
        holds_to,
        erased,
        fault,
    } in &report.chains
    {
        let (records, hash) = (holds_to.records, hex::encode(holds_to.hash));
        println!("Chain {node}: {records} records hold, to {hash}; {erased} personal fields are erased.");
        if let Some(fault) = fault {
            println!("  Wrong: {fault}.");
        }
    }
    println!(
        "{}",
        match (report.holds(), checkpoints) {
            (true, 0) =>
                "The chains hold together. Nothing says that they are the ones that were written: no checkpoint was given.",
            (true, _) => "The chains are those of the checkpoints.",
            (false, _) => "The chains are not as they were written.",
        }
    );
}

fn document(report: &AuditReport) -> serde_json::Value {
    let chains = report.chains.iter().map(|chain| {
        json!({
            "node": chain.node.to_string(),
            "records": chain.holds_to.records,
            "hash": hex::encode(chain.holds_to.hash),
            "erased": chain.erased,
            "fault": chain.fault.map(|fault| fault.to_string()),
        })
    });
    json!({ "holds": report.holds(), "chains": chains.collect::<Vec<_>>() })
}
