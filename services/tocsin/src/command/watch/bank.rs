use anyhow::{Context as _, Result};
use clap::Args;
use tocsin_model::{BankName, Name, Sampled, Severity};
use tocsin_store::{BankSettings, Store};

/// What an operator says of a bank. What is not said stays as it is.
#[derive(Debug, Args)]
pub struct BankCommand {
    /// Its name: 1 to 64 of A-Z, 0-9 and '_'; neither HOT_FAMILIES nor with INCIDENT_ at its beginning.
    name: BankName,
    /// Whose it is. Needed for a new bank.
    #[arg(long)]
    source: Option<Name>,
    /// How grave its entries are that say nothing else, 1 to 4. Default: 1.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4))]
    severity: Option<u8>,
    /// Whether it is in use. Default: true.
    #[arg(long)]
    enabled: Option<bool>,
    /// Which part of it is listed, 0 to 1: always the same hashes. Default: 1.
    #[arg(long)]
    sampled: Option<f64>,
}

impl BankCommand {
    pub async fn run(&self, store: &Store) -> Result<()> {
        let banks = store.banks().await?;
        let known = banks.into_iter().find(|bank| bank.name == self.name);
        let known = known.map(|bank| bank.settings);
        let severity = match self.severity {
            Some(severity) => Severity::new(severity).context("a severity is 1 to 4")?,
            None => known.as_ref().map_or(Severity::MIN, |known| known.severity),
        };
        let sampled = match self.sampled {
            Some(part) => Sampled::from_fraction(part).context("a part is 0 to 1")?,
            None => known.as_ref().map_or(Sampled::ALL, |known| known.sampled),
        };
        let source = self.source.clone();
        let settings = BankSettings {
            source: source
                .or_else(|| known.as_ref().map(|known| known.source.clone()))
                .context("a new bank needs a --source: whose it is")?,
            severity,
            enabled: self.enabled.unwrap_or_else(|| known.is_none_or(|known| known.enabled)),
            sampled,
        };
        let is_new = store.set_bank(&self.name, &settings).await?;
        println!(
            "{}",
            if is_new {
                "The bank is set."
            } else {
                "It was so already."
            }
        );
        Ok(())
    }
}

/// A line for each bank: its name, whose it is, how grave, whether in use, which part, how many entries.
pub async fn list(store: &Store) -> Result<()> {
    for bank in store.banks().await? {
        let BankSettings {
            source,
            severity,
            enabled,
            sampled,
        } = &bank.settings;
        let state = if *enabled { "enabled" } else { "disabled" };
        let (severity, part) = (severity.get(), sampled.fraction());
        println!(
            "{}  {source}  {severity}  {state}  {part}  {} entries",
            bank.name, bank.entries
        );
    }
    Ok(())
}
