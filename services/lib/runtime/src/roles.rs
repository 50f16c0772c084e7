//! Named tasks and threads that are started together, watched, and joined.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::Shutdown;

/// The tasks and threads of a process.
///
/// Each runs until [`Shutdown`] is requested. One that ends earlier, fails or panics stops the others and makes the process fail.
pub struct Roles {
    shutdown: Shutdown,
    running: BTreeMap<u32, String>,
    next: u32,
    ended: mpsc::UnboundedReceiver<End>,
    end: mpsc::UnboundedSender<End>,
}

/// Why a process must end with a failure.
#[derive(Debug, thiserror::Error)]
pub enum RolesError {
    /// A role returned an error.
    #[error("{name} failed")]
    Failed {
        /// The role.
        name: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A role panicked.
    #[error("{name} panicked")]
    Panicked {
        /// The role.
        name: String,
    },
    /// A role returned although nobody asked it to.
    #[error("{name} ended before it was asked to")]
    EndedEarly {
        /// The role.
        name: String,
    },
    /// Roles did not end within the time they were given.
    #[error("did not stop in time: {}", names.join(", "))]
    Stuck {
        /// Their names.
        names: Vec<String>,
    },
    /// A thread could not be started.
    #[error("the thread of {name} could not be started")]
    Start {
        /// The role.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// How one of them ended; a guard that is dropped without a result was unwound by a panic.
struct End {
    id: u32,
    result: Option<anyhow::Result<()>>,
}

struct EndGuard {
    id: u32,
    result: Option<anyhow::Result<()>>,
    end: mpsc::UnboundedSender<End>,
}

impl Roles {
    /// No roles yet. Bounded by what the program starts; nothing outside can add one.
    pub fn new(shutdown: Shutdown) -> Self {
        let (end, ended) = mpsc::unbounded_channel();
        Roles {
            shutdown,
            running: BTreeMap::new(),
            next: 0,
            ended,
            end,
        }
    }

    /// The request that stops these roles.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Starts a task on the current tokio runtime.
    pub fn spawn_task(&mut self, name: &str, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let guard = self.enter(name);
        tokio::spawn(async move { guard.finish(task.await) });
    }

    /// Starts an OS thread of this name (the first 15 bytes of it show in `top`).
    ///
    /// # Errors
    /// The system refuses another thread.
    pub fn spawn_thread(
        &mut self,
        name: &str,
        run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> Result<(), RolesError> {
        let guard = self.enter(name);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || guard.finish(run()))
            .map(drop)
            .map_err(|source| RolesError::Start {
                name: name.to_owned(),
                source,
            })
    }

    /// Waits until stopping is requested or a role ends, asks all to stop, and joins them within `drain_max`.
    ///
    /// # Errors
    /// The first failure; or the names of the roles that did not stop in time.
    pub async fn join(mut self, drain_max: Duration) -> Result<(), RolesError> {
        let shutdown = self.shutdown.clone();
        let mut first_failure = tokio::select! {
            () = shutdown.requested() => None,
            ended = self.ended.recv() => ended.and_then(|end| self.leave(end)),
        };
        shutdown.request();
        let watchdog = tokio::time::sleep(drain_max);
        tokio::pin!(watchdog);
        while !self.running.is_empty() {
            tokio::select! {
                Some(end) = self.ended.recv() => {
                    let failure = self.leave(end);
                    first_failure = first_failure.or(failure);
                }
                () = &mut watchdog => {
                    let names = self.running.into_values().collect();
                    return Err(first_failure.unwrap_or(RolesError::Stuck { names }));
                }
            }
        }
        first_failure.map_or(Ok(()), Err)
    }

    fn enter(&mut self, name: &str) -> EndGuard {
        let id = self.next;
        self.next += 1;
        self.running.insert(id, name.to_owned());
        EndGuard {
            id,
            result: None,
            end: self.end.clone(),
        }
    }

    fn leave(&mut self, end: End) -> Option<RolesError> {
        let name = self.running.remove(&end.id)?;
        let failure = match end.result {
            Some(Ok(())) if self.shutdown.is_requested() => None,
            Some(Ok(())) => Some(RolesError::EndedEarly { name: name.clone() }),
            Some(Err(error)) => Some(RolesError::Failed {
                name: name.clone(),
                source: error.into(),
            }),
            None => Some(RolesError::Panicked { name: name.clone() }),
        };
        match &failure {
            None => tracing::info!(role = name, "stopped"),
            Some(failure) => tracing::error!(role = name, error = chain(failure), "stopped with a failure"),
        }
        failure
    }
}

impl EndGuard {
    fn finish(mut self, result: anyhow::Result<()>) {
        self.result = Some(result);
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        let end = End {
            id: self.id,
            result: self.result.take(),
        };
        // Nobody listens any more when the process gave up waiting.
        let _ = self.end.send(end);
    }
}

/// An error and all its sources in one line, for a log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    //! Goal: whatever way a role ends, the others are stopped and the process learns of it.
    #![allow(clippy::unwrap_used)]

    use super::*;

    const DRAIN: Duration = Duration::from_secs(60);

    fn waiting(roles: &mut Roles) {
        let shutdown = roles.shutdown().clone();
        roles.spawn_task("waits", async move {
            shutdown.requested().await;
            Ok(())
        });
    }

    #[tokio::test]
    async fn all_stop_when_asked() {
        let mut roles = Roles::new(Shutdown::new());
        waiting(&mut roles);
        let shutdown = roles.shutdown().clone();
        let view = shutdown.clone();
        roles
            .spawn_thread("spins", move || {
                while !view.is_requested() {
                    std::thread::yield_now();
                }
                Ok(())
            })
            .unwrap();
        shutdown.request();
        roles.join(DRAIN).await.unwrap();
    }

    #[tokio::test]
    async fn a_failure_stops_the_others_and_is_told() {
        let mut roles = Roles::new(Shutdown::new());
        waiting(&mut roles);
        roles.spawn_thread("breaks", || anyhow::bail!("no disk")).unwrap();
        let error = roles.join(DRAIN).await.unwrap_err();
        assert_eq!(chain(&error), "breaks failed: no disk");
    }

    #[tokio::test]
    async fn a_panic_and_an_early_end_are_failures() {
        let mut roles = Roles::new(Shutdown::new());
        roles.spawn_task("panics", async { panic!("on purpose") });
        let error = roles.join(DRAIN).await.unwrap_err();
        assert!(matches!(error, RolesError::Panicked { name } if name == "panics"));

        let mut roles = Roles::new(Shutdown::new());
        roles.spawn_task("ends", async { Ok(()) });
        let error = roles.join(DRAIN).await.unwrap_err();
        assert!(matches!(error, RolesError::EndedEarly { name } if name == "ends"));
    }

    #[tokio::test]
    async fn a_role_that_does_not_stop_is_named() {
        let mut roles = Roles::new(Shutdown::new());
        roles.spawn_task("hangs", std::future::pending());
        roles.shutdown().request();
        let error = roles.join(Duration::from_millis(1)).await.unwrap_err();
        assert_eq!(error.to_string(), "did not stop in time: hangs");
    }
}
