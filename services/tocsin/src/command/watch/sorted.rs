//! A list of any length in the order of its hashes, in bounded memory: sorted in runs that are put aside in temporary files, which are then
//! merged. Of two updates of one hash the later one counts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek as _, SeekFrom, Write as _};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tocsin_model::{Algorithm, BankEntry, ContentHash, ListUpdate, Name, Opinion, Severity, Timestamp};

/// How much is sorted at once, in bytes: about 1.5 million hashes of which nothing else is known.
pub const RUN_BYTES: usize = 64 * 1024 * 1024;
/// How much of each run is read ahead.
const READ_AHEAD: usize = 256 * 1024;

/// Takes updates in any order.
pub struct Sorter {
    run_bytes: usize,
    /// The run that is being filled: updates one behind the other, and where each lies.
    bytes: Vec<u8>,
    places: Vec<Place>,
    runs: Vec<File>,
}

#[derive(Clone, Copy)]
struct Place {
    from: u32,
    key: u32,
    end: u32,
}

/// What is known of an entry beside its hash.
#[derive(Serialize, Deserialize)]
struct About {
    severity: Option<u8>,
    source_id: Option<String>,
    tags: Vec<String>,
    opinions: Vec<(String, u8)>,
    listed_at: Option<i64>,
    updated_at: Option<i64>,
}

impl Sorter {
    pub fn new(run_bytes: usize) -> Sorter {
        Sorter {
            run_bytes,
            bytes: Vec::new(),
            places: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Takes an update.
    ///
    /// # Errors
    /// A temporary file cannot be written.
    pub fn push(&mut self, update: &ListUpdate) -> Result<()> {
        let from = self.bytes.len();
        let hash = update.hash();
        self.bytes.push(hash.algorithm() as u8);
        self.bytes.extend_from_slice(hash.value());
        let key = self.bytes.len();
        match update {
            ListUpdate::Withdrawn(_) => self.bytes.push(WITHDRAWN),
            ListUpdate::Listed(entry) => {
                self.bytes.push(LISTED);
                if let Some(about) = about(entry) {
                    serde_json::to_writer(&mut self.bytes, &about)?;
                }
            }
        }
        let place = |at: usize| u32::try_from(at).context("a run is shorter than 4 GiB");
        let end = self.bytes.len();
        self.places.push(Place {
            from: place(from)?,
            key: place(key)?,
            end: place(end)?,
        });
        if end + self.places.len() * size_of::<Place>() >= self.run_bytes {
            self.put_aside()?;
        }
        Ok(())
    }

    /// Everything that was taken, ascending by algorithm and value, each hash once.
    ///
    /// # Errors
    /// A temporary file cannot be written or read.
    pub fn finish(mut self) -> Result<Merged> {
        self.put_aside()?;
        let mut runs = Vec::new();
        for mut file in self.runs {
            file.seek(SeekFrom::Start(0))?;
            runs.push(BufReader::with_capacity(READ_AHEAD, file));
        }
        let mut merged = Merged {
            next: BinaryHeap::with_capacity(runs.len()),
            runs,
            doubles: 0,
        };
        for run in 0..merged.runs.len() {
            merged.advance(run)?;
        }
        Ok(merged)
    }

    fn put_aside(&mut self) -> Result<()> {
        if self.places.is_empty() {
            return Ok(());
        }
        let bytes = &self.bytes;
        let key = |place: &Place| &bytes[place.from as usize..place.key as usize];
        // Stable: of one hash the later update lies behind the earlier.
        self.places.sort_by(|one, other| key(one).cmp(key(other)));
        let mut file = BufWriter::new(tempfile::tempfile().context("make a temporary file")?);
        for place in &self.places {
            file.write_all(&(place.key - place.from).to_le_bytes())?;
            file.write_all(&(place.end - place.key).to_le_bytes())?;
            file.write_all(&bytes[place.from as usize..place.end as usize])?;
        }
        let file = file.into_inner().map_err(|error| error.into_error());
        self.runs.push(file.context("write a temporary file")?);
        self.bytes.clear();
        self.places.clear();
        Ok(())
    }
}

const LISTED: u8 = 0;
const WITHDRAWN: u8 = 1;

/// The next update of a run: its key, its run, and what it says.
type Next = (Vec<u8>, usize, Vec<u8>);

/// The updates in order.
pub struct Merged {
    runs: Vec<BufReader<File>>,
    next: BinaryHeap<Reverse<Next>>,
    doubles: u64,
}

impl Merged {
    /// How many updates gave way to later ones of their hash so far.
    pub fn doubles(&self) -> u64 {
        self.doubles
    }

    fn advance(&mut self, run: usize) -> Result<()> {
        let file = &mut self.runs[run];
        let mut lengths = [0; 8];
        match file.read_exact(&mut lengths) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let [a, b, c, d, e, f, g, h] = lengths;
        let mut part = |length: [u8; 4]| {
            let mut part = vec![0; u32::from_le_bytes(length) as usize];
            file.read_exact(&mut part).map(|()| part)
        };
        let (key, says) = (part([a, b, c, d])?, part([e, f, g, h])?);
        self.next.push(Reverse((key, run, says)));
        Ok(())
    }

    fn pop(&mut self) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Some(Reverse((key, run, says))) = self.next.pop() else {
            return Ok(None);
        };
        self.advance(run)?;
        Ok(Some((key, says)))
    }

    /// The next update.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn next(&mut self) -> Result<Option<ListUpdate>> {
        let Some((key, mut says)) = self.pop()? else {
            return Ok(None);
        };
        while self.next.peek().is_some_and(|Reverse((next, _, _))| *next == key) {
            if let Some((_, later)) = self.pop()? {
                says = later;
                self.doubles += 1;
            }
        }
        let algorithm = key.first().copied().and_then(Algorithm::from_number);
        let algorithm = algorithm.context("a temporary file names an algorithm")?;
        let hash = ContentHash::from_bytes(algorithm, key[1..].to_vec(), None)?;
        ensure!(!says.is_empty(), "a temporary file says something of each hash");
        Ok(Some(match (says[0], &says[1..]) {
            (WITHDRAWN, _) => ListUpdate::Withdrawn(hash),
            (_, []) => ListUpdate::Listed(BankEntry::new(hash)),
            (_, about) => ListUpdate::Listed(entry(hash, serde_json::from_slice(about)?)),
        }))
    }
}

/// `None`: nothing is known but the hash.
fn about(entry: &BankEntry) -> Option<About> {
    if *entry == BankEntry::new(entry.hash.clone()) {
        return None;
    }
    let opinion = |(party, opinion): &(Name, Opinion)| (party.to_string(), *opinion as u8);
    Some(About {
        severity: entry.severity.map(Severity::get),
        source_id: entry.source_id.clone(),
        tags: entry.tags.clone(),
        opinions: entry.opinions.iter().map(opinion).collect(),
        listed_at: entry.listed_at.map(|at| at.0),
        updated_at: entry.updated_at.map(|at| at.0),
    })
}

fn entry(hash: ContentHash, about: About) -> BankEntry {
    let opinion = |(party, opinion): (String, u8)| Some((party.parse().ok()?, Opinion::from_number(opinion)?));
    BankEntry {
        hash,
        severity: about.severity.and_then(Severity::new),
        source_id: about.source_id,
        tags: about.tags,
        opinions: about.opinions.into_iter().filter_map(opinion).collect(),
        listed_at: about.listed_at.map(Timestamp),
        updated_at: about.updated_at.map(Timestamp),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    #[test]
    fn a_list_comes_out_in_order_with_the_latest_of_each_hash() {
        let mut random = rand::rngs::SmallRng::seed_from_u64(7);
        for run_bytes in [1, 200, 5_000, 1 << 20] {
            let mut sorter = Sorter::new(run_bytes);
            let mut expected: BTreeMap<(u8, Vec<u8>), ListUpdate> = BTreeMap::new();
            for number in 0..500_u32 {
                let (algorithm, length) = [(Algorithm::Md5, 16), (Algorithm::Pdq, 32)][random.random_range(0..2)];
                let hash = ContentHash::from_bytes(algorithm, vec![random.random_range(0..120); length], None).unwrap();
                let update = match random.random_range(0..3) {
                    0 => ListUpdate::Withdrawn(hash),
                    1 => ListUpdate::Listed(BankEntry::new(hash)),
                    _ => ListUpdate::Listed(BankEntry {
                        severity: Severity::new(2),
                        source_id: Some(number.to_string()),
                        tags: vec!["a".to_owned(), "ü".to_owned()],
                        opinions: vec![("x".parse().unwrap(), Opinion::Negative)],
                        listed_at: Some(Timestamp(5)),
                        updated_at: None,
                        ..BankEntry::new(hash)
                    }),
                };
                sorter.push(&update).unwrap();
                let key = (algorithm as u8, update.hash().value().to_vec());
                expected.insert(key, update);
            }
            let mut merged = sorter.finish().unwrap();
            let mut read = Vec::new();
            while let Some(update) = merged.next().unwrap() {
                read.push(update);
            }
            assert_eq!(merged.doubles(), 500 - read.len() as u64);
            assert_eq!(
                read,
                expected.into_values().collect::<Vec<_>>(),
                "runs of {run_bytes} bytes"
            );
        }
    }
}
