//! Waiting: for a condition with a limit, and for as long as a fault lasts.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The longest that anything which heals by itself may take.
pub const LONG: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(50);

/// Waits until `look` finds something.
///
/// # Errors
/// It finds nothing within `limit`, or fails itself.
pub async fn until_within<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if began.elapsed() > limit {
            bail!("gave up waiting until {what}, after {} s", limit.as_secs());
        }
        pass(STEP).await;
    }
}

/// Lets time go by: how long a fault lasts is part of the fault.
pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await; // poll: a fault lasts for a stated time
}
