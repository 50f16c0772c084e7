//! Signals to processes, always by their id.

use anyhow::{Context as _, Result, ensure};

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It gets to do nothing more.
    Kill,
    /// It is asked to end in order.
    Terminate,
    /// It stands still, wherever it is.
    Stop,
    /// It goes on from there.
    Continue,
}

/// Sends a signal to one process.
///
/// # Errors
/// There is none of this id.
pub fn send(id: u32, signal: Signal) -> Result<()> {
    let name = match signal {
        Signal::Kill => "-KILL",
        Signal::Terminate => "-TERM",
        Signal::Stop => "-STOP",
        Signal::Continue => "-CONT",
    };
    let mut command = std::process::Command::new("kill");
    let output = command.args([name, &id.to_string()]).output().context("run kill")?;
    ensure!(output.status.success(), "process {id} cannot be sent {name}");
    Ok(())
}

/// Whether a process has ended: it is gone, or nobody has asked for its end yet.
pub fn has_ended(id: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else {
        return true;
    };
    // The state follows the name, which stands in parentheses and may hold anything.
    stat.rsplit_once(") ")
        .is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}
