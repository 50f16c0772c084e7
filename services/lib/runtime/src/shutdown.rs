use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

/// The one request to stop, shared by every task and thread of a process.
///
/// Tasks await [`Shutdown::requested`]; plain threads look at [`Shutdown::is_requested`], one relaxed load, as often as they like.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    requested: Arc<AtomicBool>,
    token: CancellationToken,
}

impl Shutdown {
    /// A request that nobody made yet.
    pub fn new() -> Self {
        Shutdown::default()
    }

    /// Asks everybody to stop. Asking again does nothing.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
        self.token.cancel();
    }

    /// Whether it was asked.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    /// Waits until it is asked.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// Asks to stop on the first SIGTERM or SIGINT. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                () = shutdown.requested() => return,
            };
            tracing::info!(signal = name, "asked to stop");
            shutdown.request();
        });
        Ok(())
    }
}
