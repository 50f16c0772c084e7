use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use time::{Date, Month, PrimitiveDateTime, Time};

/// A series and where its anomalies are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// Below the directory of the data.
    pub(super) file: PathBuf,
    /// As they stand in the file, in its order.
    pub(super) timestamps: Vec<String>,
    pub(super) values: Vec<f64>,
    /// The rows of each window, in order.
    pub(super) windows: Vec<RangeInclusive<usize>>,
    /// Whether the labels name the series at all: one that they do not has no window.
    pub(super) is_labelled: bool,
}

/// Why input is refused: a code, where, and what is wrong.
#[derive(Debug)]
struct Refused {
    code: &'static str,
    place: String,
    reason: String,
}

/// One line of a series.
#[derive(Deserialize)]
struct Line {
    timestamp: String,
    value: String,
}

/// The windows of each file: their first and last time.
type Labels = BTreeMap<String, Vec<[String; 2]>>;

/// The longest series, in rows, and the most files.
const ROWS_MAX: usize = 10_000_000;
const FILES_MAX: usize = 100_000;
/// How deep directories may lie in each other.
const DEPTH_MAX: usize = 8;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.code, self.place, self.reason)
    }
}

impl std::error::Error for Refused {}

fn refused<T>(code: &'static str, place: impl fmt::Display, reason: impl fmt::Display) -> Result<T> {
    Err(Refused {
        code,
        place: place.to_string(),
        reason: reason.to_string(),
    }
    .into())
}

/// Every series below `directory`, by name, with its windows.
pub(super) fn all(directory: &Path, labels: Option<&Path>) -> Result<Vec<Series>> {
    let data = directory.join("data");
    let data = if data.is_dir() { data } else { directory.to_owned() };
    let mut files = Vec::new();
    find(&data, Path::new(""), 0, &mut files)?;
    files.sort();
    if files.is_empty() {
        return refused("no_series", data.display(), "no .csv file is below this directory");
    }
    let labels_file = labels.map_or_else(|| directory.join("labels/combined_windows.json"), Path::to_owned);
    let mut labels = read_labels(&labels_file)?;
    let mut all = Vec::with_capacity(files.len());
    for file in files {
        let key = file.components().map(|part| part.as_os_str().to_string_lossy());
        let windows = labels.remove(&key.collect::<Vec<_>>().join("/"));
        all.push(read(&data, file, windows)?);
    }
    match labels.into_keys().next() {
        Some(key) => refused(
            "unknown_series",
            labels_file.display(),
            format!("there is no series {key:?}"),
        ),
        None => Ok(all),
    }
}

/// Symbolic links are not followed: they could lead round in circles.
fn find(root: &Path, below: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let directory = root.join(below);
    let context = || format!("unreadable: list {}", directory.display());
    for entry in std::fs::read_dir(&directory).with_context(context)? {
        let entry = entry.with_context(context)?;
        let file = below.join(entry.file_name());
        let kind = entry.file_type().with_context(context)?;
        if kind.is_dir() && depth < DEPTH_MAX {
            find(root, &file, depth + 1, files)?;
        } else if kind.is_file() && file.extension().is_some_and(|extension| extension == "csv") {
            if files.len() == FILES_MAX {
                return refused(
                    "too_many_series",
                    root.display(),
                    format!("{FILES_MAX} at most are read"),
                );
            }
            files.push(file);
        }
    }
    Ok(())
}

fn read_labels(file: &Path) -> Result<Labels> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            return refused(
                "no_labels",
                file.display(),
                format!("{error}; name the file by --labels"),
            );
        }
    };
    match serde_json::from_str(&text) {
        Ok(labels) => Ok(labels),
        Err(error) => refused("bad_labels", file.display(), error),
    }
}

fn read(data: &Path, file: PathBuf, labels: Option<Vec<[String; 2]>>) -> Result<Series> {
    let path = data.join(&file);
    let mut reader = match csv::Reader::from_path(&path) {
        Ok(reader) => reader,
        Err(error) => return refused("unreadable", path.display(), error),
    };
    let header = reader.headers().cloned().unwrap_or_default();
    if !["timestamp", "value"]
        .iter()
        .all(|column| header.iter().any(|name| name == *column))
    {
        return refused(
            "bad_header",
            path.display(),
            "the columns timestamp and value are wanted",
        );
    }
    let (mut timestamps, mut times, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (row, line) in reader.deserialize::<Line>().enumerate() {
        let place = || format!("{}, row {}", path.display(), row + 1);
        if row == ROWS_MAX {
            return refused("too_long", path.display(), format!("{ROWS_MAX} rows at most are read"));
        }
        let line = match line {
            Ok(line) => line,
            Err(error) => return refused("bad_row", place(), error),
        };
        let Some(time) = instant(&line.timestamp) else {
            return refused(
                "bad_timestamp",
                place(),
                format!("{:?} is not YYYY-MM-DD HH:MM:SS", line.timestamp),
            );
        };
        match line.value.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => values.push(value),
            _ => return refused("bad_value", place(), format!("{:?} is not a finite number", line.value)),
        }
        timestamps.push(line.timestamp);
        times.push(time);
    }
    if values.is_empty() {
        return refused("empty_series", path.display(), "there is no row");
    }
    let is_labelled = labels.is_some();
    let windows = windows(&file, labels.unwrap_or_default(), &times)?;
    Ok(Series {
        file,
        timestamps,
        values,
        windows,
        is_labelled,
    })
}

/// The rows of each window.
fn windows(file: &Path, labels: Vec<[String; 2]>, times: &[PrimitiveDateTime]) -> Result<Vec<RangeInclusive<usize>>> {
    let mut windows: Vec<RangeInclusive<usize>> = Vec::with_capacity(labels.len());
    for [from, to] in labels {
        let place = format!("{}, window from {from:?} to {to:?}", file.display());
        let (Some(from), Some(to)) = (instant(&from), instant(&to)) else {
            return refused("bad_window", place, "a time is not YYYY-MM-DD HH:MM:SS");
        };
        let is_inside = |time: &PrimitiveDateTime| (from..=to).contains(time);
        let (first, last) = (times.iter().position(is_inside), times.iter().rposition(is_inside));
        let (Some(first), Some(last)) = (first, last) else {
            return refused("empty_window", place, "no row of the series is in it");
        };
        windows.push(first..=last);
    }
    windows.sort_by_key(|window| *window.start());
    match windows.windows(2).find(|pair| pair[0].end() >= pair[1].start()) {
        Some(pair) => refused(
            "overlapping_windows",
            file.display(),
            format!("rows {:?} and {:?}", pair[0], pair[1]),
        ),
        None => Ok(windows),
    }
}

/// `YYYY-MM-DD HH:MM:SS`, with a fraction of a second or without, with a `T` instead of the space, with a `Z` at its end: all of one zone.
fn instant(text: &str) -> Option<PrimitiveDateTime> {
    let text = text.trim().trim_end_matches('Z');
    let (date, clock) = text.split_once([' ', 'T'])?;
    let mut date = date.splitn(3, '-');
    let year = date.next()?.parse().ok()?;
    let month = Month::try_from(date.next()?.parse::<u8>().ok()?).ok()?;
    let date = Date::from_calendar_date(year, month, date.next()?.parse().ok()?).ok()?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.splitn(3, ':');
    let mut next = || clock.next()?.parse::<u8>().ok();
    let (hour, minute, second) = (next()?, next()?, next()?);
    let is_number = !fraction.is_empty() && fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let nanoseconds = is_number.then(|| format!("{fraction:0<9}").parse().ok())??;
    Some(PrimitiveDateTime::new(
        date,
        Time::from_hms_nano(hour, minute, second, nanoseconds).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::instant;

    #[test]
    fn a_time_is_read_in_every_usual_form_and_nothing_else_is_one() {
        let plain = instant("2014-02-14 14:30:00");
        assert!(plain.is_some());
        for same in [
            "2014-02-14 14:30:00.000000",
            "2014-02-14T14:30:00Z",
            " 2014-02-14 14:30:00 ",
        ] {
            assert_eq!(instant(same), plain, "{same}");
        }
        assert!(instant("2014-02-14 14:30:00.25") > plain);
        for refused in [
            "",
            "2014-02-14",
            "2014-13-14 14:30:00",
            "2014-02-30 14:30:00",
            "2014-02-14 24:30:00",
            "2014-02-14 14:30",
            "2014-02-14 14:30:00.",
            "2014-02-14 14:30:00.1x",
            "soon",
        ] {
            assert_eq!(instant(refused), None, "{refused}");
        }
    }
}
