//! Which banks a look-up answers from, and what stands in which: the one place that knows how watch lists are named there.
//!
//! A bank is what the open matcher HMA calls a set of listed contents. There is one of all families that are hot, and one for each source of
//! the watch list: what it lists is announced to everybody, so every reader sees these banks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tocsin_model::Name;
use tocsin_store::{Store, StoreError, WatchListing};

/// The bank of contents that are counted exactly because they spread.
pub const HOT_FAMILIES: &str = "HOT_FAMILIES";
/// The most banks beside it.
pub const BANKS_MAX: u32 = 1_024;
/// The most sources that are told of one content.
pub const LISTINGS_MAX: u32 = 64;

/// The bank of what a source lists: its name in capitals, `-` as `_`. Sources that differ in nothing else share one.
pub fn bank_of(source: &Name) -> String {
    source.as_str().to_ascii_uppercase().replace('-', "_")
}

/// The banks in which a content stands, ascending, each once.
pub fn banks_of(is_hot: bool, listings: &[WatchListing]) -> Vec<String> {
    let hot = is_hot.then(|| HOT_FAMILIES.to_owned());
    let listed = listings.iter().map(|listing| bank_of(&listing.source));
    let mut banks: Vec<String> = hot.into_iter().chain(listed).collect();
    banks.sort_unstable();
    banks.dedup();
    banks
}

/// The banks there are, asked of the store now and then.
#[derive(Debug, Default)]
pub(crate) struct Banks {
    known: Mutex<Option<(Instant, Arc<Vec<String>>)>>,
}

/// How old the list of banks may be when it is used again.
const AGE_MAX: Duration = Duration::from_secs(10);

impl Banks {
    /// All banks, ascending.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn all(&self, store: &Store) -> Result<Arc<Vec<String>>, StoreError> {
        if let Some((_, banks)) = self.lock().as_ref().filter(|(at, _)| at.elapsed() < AGE_MAX) {
            return Ok(Arc::clone(banks));
        }
        let banks = Arc::new(ask(store).await?);
        *self.lock() = Some((Instant::now(), Arc::clone(&banks)));
        Ok(banks)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Arc<Vec<String>>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(store: &Store) -> Result<Vec<String>, StoreError> {
    let sources = store.watch_list_sources(BANKS_MAX).await?;
    let mut banks: Vec<String> = sources.iter().map(bank_of).collect();
    banks.push(HOT_FAMILIES.to_owned());
    banks.sort_unstable();
    banks.dedup();
    Ok(banks)
}

#[cfg(test)]
mod tests {
    //! Goal: a content stands once in each bank, and every bank has a name that HMA's clients take.
    #![allow(clippy::unwrap_used)]

    use tocsin_model::{Algorithm, ContentHash, Severity, Timestamp};

    use super::*;

    fn listing(source: &str) -> WatchListing {
        WatchListing {
            hash: ContentHash::from_bytes(Algorithm::Md5, vec![1; 16], None).unwrap(),
            source: source.parse().unwrap(),
            severity: Severity::MIN,
            listed_at: Timestamp(0),
        }
    }

    #[test]
    fn a_content_stands_once_in_each_of_its_banks() {
        let listings = ["tat-list", "tat_list", "9-lives", "hot-families"].map(listing);
        assert_eq!(banks_of(true, &listings), ["9_LIVES", "HOT_FAMILIES", "TAT_LIST"]);
        assert_eq!(banks_of(false, &listings[..1]), ["TAT_LIST"]);
        assert_eq!(banks_of(true, &[]), ["HOT_FAMILIES"]);
        assert!(banks_of(false, &[]).is_empty());
        for bank in banks_of(true, &listings) {
            let is_taken = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(bank.bytes().all(is_taken), "{bank}");
        }
    }
}
