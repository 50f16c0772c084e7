//! Whether a flood fits on the disk of the brokers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// What a run may take of the brokers' disk.
#[derive(Clone, Debug)]
pub struct Room {
    /// Where brokers on this machine keep their data; `None`: they are elsewhere, and how much they hold is not known here.
    pub disk: Option<PathBuf>,
    /// Where a flood does not fit, the largest is played that does.
    pub fit: bool,
}

/// The brokers' disk, and what an event takes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    /// In the ingest topic, and in all topics that follow from it: measured.
    pub(super) bytes_per_event: f64,
    /// For anybody but root.
    pub(super) free_bytes: u64,
}

/// Of what is free so much is left alone: others write too, and what an event takes was measured on fewer.
const LEFT_ALONE: f64 = 0.2;

/// Bytes of all log segments below `directory`.
pub(super) fn log_bytes(directory: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = std::fs::read_dir(&directory).with_context(|| format!("list {}", directory.display()))?;
        for entry in entries {
            let entry = entry.context("list a directory of the brokers")?;
            // A segment may go while it is looked at.
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                open.push(entry.path());
            } else if entry.path().extension().is_some_and(|extension| extension == "log") {
                sum += found.len();
            }
        }
    }
    Ok(sum)
}

/// What is free, and what each of `events` took since there were `before` bytes; `None` where the disk is not known.
pub(super) fn look(room: &Room, before: u64, events: u64) -> anyhow::Result<Option<Space>> {
    let Some(disk) = &room.disk else { return Ok(None) };
    let found = rustix::fs::statvfs(disk).with_context(|| format!("look at the disk of {}", disk.display()))?;
    Ok(Some(Space {
        bytes_per_event: log_bytes(disk)?.saturating_sub(before) as f64 / events.max(1) as f64,
        free_bytes: found.f_bavail * found.f_frsize,
    }))
}

/// How many events of a flood are played, and says so. `lasts`: how long the others send.
///
/// # Errors
/// `disk_too_small`: they do not fit, and only what was asked for is wanted.
pub(super) fn allowed(wanted: u64, lasts: Duration, space: Option<Space>, fit: bool) -> anyhow::Result<u64> {
    let Some(space) = space else {
        println!("a flood of {wanted} events; whether it fits on the brokers' disks is not known here (--disk)");
        return Ok(wanted);
    };
    let gibibytes = |bytes: f64| bytes / f64::from(1 << 30);
    let (needed, usable) = (
        wanted as f64 * space.bytes_per_event,
        space.free_bytes as f64 * (1.0 - LEFT_ALONE),
    );
    let told = format!(
        "a flood of {wanted} events takes {:.1} GiB of the brokers' disk with all that follows from it; {:.1} of {:.1} GiB that are free may be used",
        gibibytes(needed),
        gibibytes(usable),
        gibibytes(space.free_bytes as f64)
    );
    if needed <= usable {
        println!("{told}");
        return Ok(wanted);
    }
    let share = usable / needed;
    if !fit {
        bail!(
            "disk_too_small: {told}. Nothing was begun: make room, let it last {} s at most (--seconds), or play the largest that fits (--fit)",
            (lasts.as_secs_f64() * share) as u64
        );
    }
    let events = (wanted as f64 * share) as u64;
    println!("{told}: {events} events are played, {:.2} of what was wanted", share);
    Ok(events)
}

#[cfg(test)]
mod tests {
    //! Goal: what does not fit is not begun, and never made smaller without being asked for.
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LASTS: Duration = Duration::from_secs(600);

    fn space(free_bytes: u64) -> Option<Space> {
        let bytes_per_event = 200.0;
        Some(Space {
            bytes_per_event,
            free_bytes,
        })
    }

    #[test]
    fn what_fits_is_played_as_it_was_wanted() {
        for (free, fit) in [(250_000, false), (250_000, true), (u64::MAX, false)] {
            assert_eq!(allowed(1_000, LASTS, space(free), fit).unwrap(), 1_000, "{free}");
        }
        assert_eq!(
            allowed(u64::MAX, LASTS, None, false).unwrap(),
            u64::MAX,
            "nobody can tell"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_with_a_code_or_cut_where_that_was_asked_for() {
        let refused = allowed(1_000, LASTS, space(125_000), false).unwrap_err().to_string();
        assert!(refused.starts_with("disk_too_small: "), "{refused}");
        assert!(refused.contains("let it last 300 s at most"), "{refused}");
        assert_eq!(allowed(1_000, LASTS, space(125_000), true).unwrap(), 500);
        assert_eq!(allowed(1_000, LASTS, space(0), true).unwrap(), 0);
    }

    #[test]
    fn segments_are_added_up_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("broker-1/data/topic-0");
        std::fs::create_dir_all(&below).unwrap();
        for (name, bytes) in [("00000.log", 1_000), ("00001.log", 24), ("00000.index", 10_000)] {
            std::fs::write(below.join(name), vec![0; bytes]).unwrap();
        }
        assert_eq!(log_bytes(directory.path()).unwrap(), 1_024);
        let room = Room {
            disk: Some(directory.path().to_owned()),
            fit: false,
        };
        let found = look(&room, 24, 10).unwrap().unwrap();
        assert!(found.free_bytes > 0);
        assert_eq!(found.bytes_per_event, 100.0);
    }
}
