//! Processes and the processor time they used.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::time::{ClockId, clock_gettime};

/// Linux counts processor time of processes in hundredths of a second on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time of the calling thread, to the nanosecond (`clock_gettime`; what `/proc` says of a thread that runs is as old as its last tick).
pub(super) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Processor time of this process, to the nanosecond.
pub(super) fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Resident memory and open files of a process now.
pub(super) fn resources(process: u32) -> anyhow::Result<Resources> {
    let path = format!("/proc/{process}");
    let status = std::fs::read_to_string(format!("{path}/status")).with_context(|| format!("read {path}/status"))?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = kibibytes.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    let descriptors = std::fs::read_dir(format!("{path}/fd")).with_context(|| format!("read {path}/fd"))?;
    Ok(Resources {
        resident_bytes: 1_024 * kibibytes.context("a process that runs has resident memory")?,
        descriptors: descriptors.count() as u64,
    })
}

/// A process of the pipeline: this program in a role. Stopped at the latest when this is dropped.
pub(super) struct Played {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    name: String,
}

/// What a process said at its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// Events, or records of a consumer that does nothing.
    pub(super) counted: u64,
    /// Allocations from its first event to its last.
    pub(super) allocated: u64,
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resources {
    pub(super) resident_bytes: u64,
    pub(super) descriptors: u64,
}

impl Played {
    pub(super) fn start(role: &str, arguments: &[String]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["role", role])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {role}"))?;
        let stdout = child.stdout.take().context("its standard output is piped")?;
        Ok(Played {
            stdin: child.stdin.take(),
            child,
            lines: BufReader::new(stdout).lines(),
            name: role.to_owned(),
        })
    }

    /// Waits for a line that begins with this word and gives the rest.
    pub(super) fn wait_for(&mut self, word: &str) -> anyhow::Result<String> {
        for line in self.lines.by_ref() {
            let line = line?;
            if let Some(rest) = line.strip_prefix(word) {
                return Ok(rest.trim().to_owned());
            }
        }
        bail!("{} ended before it said {word:?}", self.name)
    }

    /// User and system time of all its threads so far, to a hundredth of a second.
    pub(super) fn processor_time(&self) -> anyhow::Result<Duration> {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        // proc(5): the name in parentheses may hold anything; utime and stime are fields 14 and 15.
        let (_, fields) = text.rsplit_once(')').context("a process has a name")?;
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>())
            .sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
    }

    /// The most memory it held at a time.
    pub(super) fn memory_bytes_max(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        Ok(kilobytes.context("a process has a peak of memory")? * 1_024)
    }

    /// Whether it still runs.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended early: {status}", self.name),
            None => Ok(()),
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, and waits for nothing.
    pub(super) fn ask_to_stop(&mut self) {
        drop(self.stdin.take());
    }

    /// Asks it to stop, and gives what it said at its end.
    pub(super) fn stop(mut self) -> anyhow::Result<Ended> {
        self.ask_to_stop();
        let ended = Ended {
            allocated: self.wait_for("allocated")?.parse()?,
            counted: self.wait_for("counted")?.parse()?,
        };
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(ended)
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        // Of a process that ended already there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
