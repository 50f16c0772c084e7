//! Waiting for a condition, with a limit.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The longest anything may take on a loaded machine.
pub const LIMIT: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(20);

/// Waits until `look` finds something.
///
/// # Errors
/// It finds nothing in [`LIMIT`], or fails itself.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if began.elapsed() > LIMIT {
            bail!("gave up waiting until {what}");
        }
        tokio::time::sleep(STEP).await; // poll: until the condition holds or its time is up
    }
}
