mod bank;
mod export;
mod import;
mod leak_through;
mod push;
mod sightings;
mod sorted;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tocsin_model::{Algorithm, BankName, ContentHash, Name, Opinion, Severity};
use tocsin_store::Store;

use crate::config::Config;
use crate::serve::open_store;

/// Contents that ring at their first sighting.
#[derive(Debug, Subcommand)]
pub enum WatchCommand {
    /// Watch a content. Listing it again changes nothing.
    Add {
        #[command(flatten)]
        listing: Listing,
        /// How grave it is, 1 to 4: multiplies its priority.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
        severity: u8,
    },
    /// Take a source's listing back. The content is watched as long as another bank lists it.
    Remove {
        #[command(flatten)]
        listing: Listing,
    },
    /// Note what a party holds of a content: positive, investigation_seed, negative; or none, to take it back. A content that is disputed, or
    /// only a seed, rings with severity 1; one that all who said anything call negative is not watched.
    Opinion {
        #[command(flatten)]
        hash: HashArgument,
        /// Who holds it.
        #[arg(long)]
        party: Name,
        /// What.
        #[arg(long)]
        opinion: String,
    },
    /// Show what is watched.
    List {
        /// Only what this source lists.
        #[arg(long)]
        source: Option<Name>,
        /// Only what stands in this bank.
        #[arg(long)]
        bank: Option<BankName>,
    },
    /// Show the banks.
    Banks,
    /// Make a bank, or change its settings.
    Bank(bank::BankCommand),
    /// Show how far lists elsewhere were followed, and what was wrong with them at the last attempt.
    Follows {
        /// Forget how far the list of this bank was followed: it is read from its beginning.
        #[arg(long)]
        forget: Option<BankName>,
    },
    /// Put a list in the place of a bank's: all of it, or nothing.
    Import(import::ImportCommand),
    /// Write a bank, or how its entries fared, for others.
    Export(export::ExportCommand),
    /// Show how listed contents fared, by bank and platform.
    LeakThrough(leak_through::LeakThroughCommand),
    /// Push a bank into a bank of the open matcher HMA.
    Push(push::PushCommand),
}

/// Who lists what.
#[derive(Debug, Args)]
pub struct Listing {
    #[command(flatten)]
    hash: HashArgument,
    /// Who lists it: 1 to 48 of a-z, 0-9, '-' and '_'.
    #[arg(long)]
    source: Name,
}

/// A hash.
#[derive(Debug, Args)]
pub struct HashArgument {
    /// What kind of hash: sha256, md5, pdq, vpdq or url.
    algorithm: String,
    /// The hash in hexadecimal, or the URL.
    value: String,
}

/// How many entries are read at once.
const PAGE: u32 = 4_096;

impl HashArgument {
    fn hash(&self) -> Result<ContentHash> {
        let algorithm = Algorithm::from_name(&self.algorithm)
            .with_context(|| format!("there is no algorithm {}: sha256, md5, pdq, vpdq, url", self.algorithm))?;
        Ok(ContentHash::parse(algorithm, &self.value, None)?)
    }
}

impl WatchCommand {
    pub async fn run(&self, config: &Config) -> Result<()> {
        if let WatchCommand::LeakThrough(command) = self {
            return command.run().await;
        }
        let store = open_store(config).await?;
        match self {
            // It asked the API, and no store.
            WatchCommand::LeakThrough(_) => {}
            WatchCommand::Add { listing, severity } => {
                let severity = Severity::new(*severity).context("a severity is 1 to 4")?;
                let is_new = store.watch(&listing.hash.hash()?, &listing.source, severity).await?;
                let (new, known) = ("It is watched.", "It was watched already.");
                println!("{}", if is_new { new } else { known });
            }
            WatchCommand::Remove { listing } => {
                let was_listed = store.unwatch(&listing.hash.hash()?, &listing.source).await?;
                let (taken, absent) = ("The listing is taken back.", "That source does not list it.");
                println!("{}", if was_listed { taken } else { absent });
            }
            WatchCommand::Opinion { hash, party, opinion } => {
                let opinion = match opinion.as_str() {
                    "none" => None,
                    name => Some(Opinion::from_name(name).context("positive, investigation_seed, negative or none")?),
                };
                let is_new = store.hold_opinion(&hash.hash()?, party, opinion).await?;
                let (new, known) = ("The opinion is noted.", "It was so already.");
                println!("{}", if is_new { new } else { known });
            }
            WatchCommand::List { source, bank } => list(&store, source.as_ref(), bank.as_ref()).await?,
            WatchCommand::Banks => bank::list(&store).await?,
            WatchCommand::Bank(command) => command.run(&store).await?,
            WatchCommand::Follows { forget } => follows(&store, forget.as_ref()).await?,
            WatchCommand::Import(command) => command.run(&store).await?,
            WatchCommand::Export(command) => command.run(&store).await?,
            WatchCommand::Push(command) => command.run(&store).await?,
        }
        store.close().await;
        Ok(())
    }
}

async fn follows(store: &Store, forget: Option<&BankName>) -> Result<()> {
    if let Some(bank) = forget {
        let was_known = store.forget_follow(bank.as_str()).await?;
        let (known, unknown) = ("It is read from its beginning.", "Nothing was followed into that bank.");
        println!("{}", if was_known { known } else { unknown });
        return Ok(());
    }
    for state in store.follow_states().await? {
        let advanced = state.advanced_at.map_or("never".to_owned(), |at| utc(at.0));
        let (asked, problem) = (utc(state.attempted_at.0), state.problem.as_deref().unwrap_or("well"));
        println!("{}  asked {asked}  told something {advanced}  {problem}", state.name);
    }
    Ok(())
}

/// Milliseconds since 1970 as RFC 3339.
fn utc(at_ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1_000)).ok();
    at.and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| at_ms.to_string())
}

async fn list(store: &Store, source: Option<&Name>, bank: Option<&BankName>) -> Result<()> {
    let mut after = None;
    loop {
        let (listings, next) = store.watch_listings(bank, after.as_ref(), PAGE).await?;
        for listing in listings {
            if source.is_none_or(|source| *source == listing.source) {
                let (hash, severity) = (&listing.hash, listing.severity.get());
                let (algorithm, bank) = (hash.algorithm().name(), &listing.bank);
                println!(
                    "{algorithm}  {}  {}  {severity}  {bank}",
                    hash.value_text(),
                    listing.source
                );
            }
        }
        let Some(next) = next else { return Ok(()) };
        after = Some(next);
    }
}
