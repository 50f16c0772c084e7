//! Which banks a look-up answers from, and what stands in which.
//!
//! A bank is what the open matcher HMA calls a set of listed contents. There is one of all families that are hot, and those of the watch list:
//! what they list is announced to everybody, so every reader sees these banks. Live incidents are banks of those who may read them
//! ([`crate::incidents`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tocsin_model::BankName;
use tocsin_store::{Store, StoreError, WatchListing};

use crate::incidents::{InIncident, bank_of};

/// The bank of contents that are counted exactly because they spread. No bank of the watch list has this name.
pub const HOT_FAMILIES: &str = BankName::RESERVED;

/// The banks in which a content stands, ascending, each once.
pub fn banks_of(is_hot: bool, listings: &[WatchListing], incidents: &[InIncident]) -> Vec<String> {
    let hot = is_hot.then(|| HOT_FAMILIES.to_owned());
    let listed = listings.iter().map(|listing| listing.bank.to_string());
    let incidents = incidents.iter().map(|standing| bank_of(standing.incident));
    let mut banks: Vec<String> = hot.into_iter().chain(listed).chain(incidents).collect();
    banks.sort_unstable();
    banks.dedup();
    banks
}

/// Banks by name, and which part of look-ups each answers: that of its hashes which are listed, 0 where it is not in use.
pub(crate) type BankRatios = BTreeMap<String, f64>;

/// The banks there are, asked of the store now and then.
#[derive(Debug, Default)]
pub(crate) struct Banks {
    known: Mutex<Option<(Instant, Arc<BankRatios>)>>,
}

/// How old the list of banks may be when it is used again.
const AGE_MAX: Duration = Duration::from_secs(10);

impl Banks {
    /// All banks.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn all(&self, store: &Store) -> Result<Arc<BankRatios>, StoreError> {
        if let Some((_, banks)) = self.lock().as_ref().filter(|(at, _)| at.elapsed() < AGE_MAX) {
            return Ok(Arc::clone(banks));
        }
        let banks = Arc::new(ask(store).await?);
        *self.lock() = Some((Instant::now(), Arc::clone(&banks)));
        Ok(banks)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Arc<BankRatios>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(store: &Store) -> Result<BankRatios, StoreError> {
    let banks = store.banks().await?;
    let mut ratios: BankRatios = banks
        .into_iter()
        .map(|bank| {
            let part = bank.settings.sampled.fraction();
            (bank.name.to_string(), if bank.settings.enabled { part } else { 0.0 })
        })
        .collect();
    ratios.insert(HOT_FAMILIES.to_owned(), 1.0);
    Ok(ratios)
}

#[cfg(test)]
mod tests {
    //! Goal: a content stands once in each bank.
    #![allow(clippy::unwrap_used)]

    use tocsin_incident::IncidentId;
    use tocsin_model::{Algorithm, ContentHash, Severity, Timestamp};

    use super::*;

    fn listing(bank: &str) -> WatchListing {
        WatchListing {
            hash: ContentHash::from_bytes(Algorithm::Md5, vec![1; 16], None).unwrap(),
            bank: bank.parse().unwrap(),
            source: "north".parse().unwrap(),
            severity: Severity::MIN,
            source_id: None,
            tags: Vec::new(),
            listed_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    #[test]
    fn a_content_stands_once_in_each_of_its_banks() {
        let listings = ["TAT_LIST", "9_LIVES", "TAT_LIST"].map(listing);
        let incident = InIncident {
            incident: IncidentId(0xab),
            by_family: true,
            by_pack: true,
        };
        let of_incident = format!("INCIDENT_{}AB", "0".repeat(30));
        assert_eq!(
            banks_of(true, &listings, &[incident]),
            ["9_LIVES", "HOT_FAMILIES", &of_incident, "TAT_LIST"]
        );
        assert_eq!(banks_of(false, &listings[..1], &[]), ["TAT_LIST"]);
        assert_eq!(banks_of(true, &[], &[]), ["HOT_FAMILIES"]);
        assert!(banks_of(false, &[], &[]).is_empty());
    }
}
