//! The figures of all rounds, flat, in one file. A round that stands there is not played again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};

/// From so many samples on, the 99th percentile is told beside the maximum.
const SAMPLES_FOR_PERCENTILE: usize = 100;

/// One round of a fault.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    /// The fault's name.
    pub fault: &'a str,
    /// Which round of it, from 1.
    pub number: u32,
    /// What decides it.
    pub seed: u64,
}

/// The file.
#[derive(Clone, Debug)]
pub struct Figures {
    path: PathBuf,
    /// Every round's own figures, by `round_<fault>_<number>_<figure>`. What is told of a fault follows from them.
    rounds: BTreeMap<String, f64>,
    seeds: BTreeMap<String, String>,
}

impl Figures {
    /// What the file holds, or nothing.
    ///
    /// # Errors
    /// It holds something else.
    pub fn open(path: &Path) -> Result<Figures> {
        let mut figures = Figures {
            path: path.to_owned(),
            rounds: BTreeMap::new(),
            seeds: BTreeMap::new(),
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(figures),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let held: Map<String, Value> = serde_json::from_str(&text).context("the figures are one flat object")?;
        for (key, value) in held.into_iter().filter(|(key, _)| key.starts_with("round_")) {
            match value {
                Value::String(seed) => drop(figures.seeds.insert(key, seed)),
                value => {
                    let number = value.as_f64().with_context(|| format!("{key} is a number"))?;
                    figures.rounds.insert(key, number);
                }
            }
        }
        Ok(figures)
    }

    /// Whether a round stands there.
    ///
    /// # Errors
    /// It does, and was decided by another seed.
    pub fn has(&self, round: Round<'_>) -> Result<bool> {
        match self.seeds.get(&round.key("seed")) {
            None => Ok(false),
            Some(seed) if *seed == round.seed.to_string() => Ok(true),
            Some(seed) => bail!(
                "{} holds round {} of {} by seed {seed}: another --seed needs another file",
                self.path.display(),
                round.number,
                round.fault
            ),
        }
    }

    /// Adds a round and writes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&mut self, round: Round<'_>, figures: &BTreeMap<&'static str, f64>) -> Result<()> {
        self.seeds.insert(round.key("seed"), round.seed.to_string());
        for (figure, value) in figures {
            self.rounds.insert(round.key(figure), *value);
        }
        let text = serde_json::to_string_pretty(&self.told()).context("figures are JSON")?;
        // Whole or not at all: a run may be ended at any time.
        let beside = self.path.with_extension("new");
        std::fs::write(&beside, text + "\n").context("write the figures")?;
        std::fs::rename(&beside, &self.path).context("put the figures in place")
    }

    /// Everything that the file holds.
    pub fn told(&self) -> Map<String, Value> {
        let mut told = Map::new();
        let mut samples: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
        for (key, value) in &self.rounds {
            told.insert(key.clone(), Value::from(*value));
            if let Some((fault, figure)) = parts(key) {
                samples
                    .entry((fault.to_owned(), figure.to_owned()))
                    .or_default()
                    .push(*value);
            }
        }
        for (key, seed) in &self.seeds {
            told.insert(key.clone(), Value::from(seed.clone()));
        }
        for total in ["violations", "zombie_writes_accepted", "rejects", "bad_records_sent"] {
            let of_total = samples.iter().filter(|((_, figure), _)| figure == total);
            let sum = of_total
                .flat_map(|(_, values)| values)
                .fold(0.0, |sum, value| sum + value);
            told.insert(total.to_owned(), Value::from(sum));
        }
        for ((fault, figure), mut values) in samples {
            values.sort_by(f64::total_cmp);
            let count = values.len();
            let name = |suffix: &str| format!("fault_{fault}_{figure}{suffix}");
            if is_count(&figure) {
                told.insert(name(""), Value::from(values.iter().sum::<f64>()));
            } else {
                told.insert(name("_max"), Value::from(values[count - 1]));
                told.insert(name("_p50"), Value::from(values[(count - 1) / 2]));
                if count >= SAMPLES_FOR_PERCENTILE {
                    let rank = (count as f64 * 0.99).ceil() as usize - 1;
                    told.insert(name("_p99"), Value::from(values[rank]));
                }
            }
            if figure == "violations" {
                told.insert(format!("fault_{fault}_rounds"), Value::from(count));
            }
        }
        told
    }
}

impl Round<'_> {
    fn key(self, figure: &str) -> String {
        format!("round_{}_{}_{figure}", self.fault, self.number)
    }
}

/// Whether the rounds' figures are added up; of others the largest is told.
fn is_count(figure: &str) -> bool {
    !(figure.ends_with("_seconds")
        || figure.ends_with("_bytes")
        || figure.ends_with("_per_minute")
        || figure.ends_with("_level"))
}

/// The fault and the figure in a round's key: the number stands between them.
fn parts(key: &str) -> Option<(&str, &str)> {
    let rest = key.strip_prefix("round_")?;
    let words: Vec<&str> = rest.split('_').collect();
    let number = words.iter().position(|word| word.parse::<u32>().is_ok())?;
    let fault = words[..number]
        .iter()
        .map(|word| word.len() + 1)
        .sum::<usize>()
        .checked_sub(1)?;
    let figure = fault + words[number].len() + 2;
    Some((&rest[..fault], rest.get(figure..)?))
}

#[cfg(test)]
mod tests {
    //! Goal: what is told of a fault follows from its rounds, and a file is gone on with only by its own seed.
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn round(number: u32, seed: u64) -> Round<'static> {
        Round {
            fault: "kill_at_random",
            number,
            seed,
        }
    }

    #[test]
    fn rounds_add_up_and_survive_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("figures.json");
        let mut figures = Figures::open(&path).unwrap();
        assert!(!figures.has(round(1, 7)).unwrap());
        for (number, violations, seconds) in [(1, 0.0, 2.5), (2, 3.0, 1.0)] {
            let of_round = BTreeMap::from([("violations", violations), ("recovery_seconds", seconds)]);
            figures.put(round(number, 6 + u64::from(number)), &of_round).unwrap();
        }
        let figures = Figures::open(&path).unwrap();
        assert!(figures.has(round(1, 7)).unwrap() && figures.has(round(2, 8)).unwrap());
        assert!(!figures.has(round(3, 9)).unwrap());
        assert!(figures.has(round(1, 8)).is_err(), "another seed");
        let told = figures.told();
        for (key, value) in [
            ("violations", 3.0),
            ("fault_kill_at_random_violations", 3.0),
            ("fault_kill_at_random_recovery_seconds_max", 2.5),
            ("fault_kill_at_random_recovery_seconds_p50", 1.0),
        ] {
            assert_eq!(told[key].as_f64(), Some(value), "{key}");
        }
        assert_eq!(told["fault_kill_at_random_rounds"], 2);
        assert!(!told.contains_key("fault_kill_at_random_recovery_seconds_p99"));
    }

    #[test]
    fn a_hundred_samples_have_a_percentile() {
        let mut figures = Figures::open(Path::new("/nonexistent/figures")).unwrap();
        for number in 1..=100 {
            let key = round(number, 0).key("recovery_seconds");
            figures.rounds.insert(key, f64::from(number));
        }
        let told = figures.told();
        assert_eq!(told["fault_kill_at_random_recovery_seconds_p99"].as_f64(), Some(99.0));
    }
}
