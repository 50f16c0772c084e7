use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use tocsin_model::{Algorithm, ContentHash, Name, Severity};

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
    /// Take a source's listing back. The content is watched as long as another source lists it.
    Remove {
        #[command(flatten)]
        listing: Listing,
    },
    /// Show what is watched.
    List {
        /// Only what this source lists.
        #[arg(long)]
        source: Option<Name>,
    },
}

/// Who lists what.
#[derive(Debug, Args)]
pub struct Listing {
    /// What kind of hash: sha256, md5, pdq, vpdq or url.
    algorithm: String,
    /// The hash in hexadecimal, or the URL.
    value: String,
    /// Who lists it: 1 to 48 of a-z, 0-9, '-' and '_'.
    #[arg(long)]
    source: Name,
}

impl Listing {
    fn hash(&self) -> Result<ContentHash> {
        let algorithm = Algorithm::from_name(&self.algorithm)
            .with_context(|| format!("there is no algorithm {}: sha256, md5, pdq, vpdq, url", self.algorithm))?;
        Ok(ContentHash::parse(algorithm, &self.value, None)?)
    }
}

impl WatchCommand {
    pub async fn run(&self, config: &Config) -> Result<()> {
        let store = open_store(config).await?;
        match self {
            WatchCommand::Add { listing, severity } => {
                let severity = Severity::new(*severity).context("a severity is 1 to 4")?;
                let is_new = store.watch(&listing.hash()?, &listing.source, severity).await?;
                println!(
                    "{}",
                    if is_new {
                        "It is watched."
                    } else {
                        "It was watched already."
                    }
                );
            }
            WatchCommand::Remove { listing } => {
                let was_listed = store.unwatch(&listing.hash()?, &listing.source).await?;
                let (taken, absent) = ("The listing is taken back.", "That source does not list it.");
                println!("{}", if was_listed { taken } else { absent });
            }
            WatchCommand::List { source } => {
                for listing in store.watch_listings().await? {
                    if source.as_ref().is_none_or(|source| *source == listing.source) {
                        let (hash, severity) = (&listing.hash, listing.severity.get());
                        let algorithm = hash.algorithm().name();
                        println!("{algorithm}  {}  {}  {severity}", hash.value_text(), listing.source);
                    }
                }
            }
        }
        store.close().await;
        Ok(())
    }
}
