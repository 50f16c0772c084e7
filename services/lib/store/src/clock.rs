use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tocsin_model::{Milliseconds, Timestamp};

use crate::database::Transaction;

/// Where the store takes the time from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The database's clock: what every dispatcher on it agrees on.
    Database,
    /// A clock that stands still until it is advanced.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at` until [`Clock::advance`] moves it.
    pub fn standing_at(at: Timestamp) -> Clock {
        Clock::Set(Arc::new(AtomicI64::new(at.0)))
    }

    /// Moves a set clock on. The database's clock moves by itself.
    pub fn advance(&self, by: Milliseconds) {
        if let Clock::Set(now) = self {
            now.fetch_add(by.0, Ordering::SeqCst);
        }
    }

    /// The time now: read after any lock that the transaction waited for, so that a wait does not make a lease look alive.
    pub(crate) async fn now(&self, transaction: &mut Transaction) -> Result<Timestamp, sqlx::Error> {
        match self {
            Clock::Database => transaction.now().await,
            Clock::Set(now) => Ok(Timestamp(now.load(Ordering::SeqCst))),
        }
    }
}
