//! A local copy of what a restore collects of the state topic, so that the next one reads only what follows. It is never more than a cache: what
//! does not fit is thrown away, and the topic says everything again.
//!
//! A file: the fields below in the state's codec, then the SHA-256 of all before it. It is written beside its place and moved there once it is on
//! disk. What a unit has to say to others is in no file: while something stands, none is written. Of what is, no key is ever removed from the topic,
//! so a copy cannot hold what the topic no longer does.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tocsin_log::{Log, ReadThrough, TopicPartition};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};
use tocsin_wire::topics;

use crate::collected::Collected;
use crate::error::DetectorError;
use crate::partition::TopicIds;

const FORMAT: u64 = 1;
const DIGEST_BYTES: usize = 32;
/// How long a process that ends may take for its copies.
const REFRESH_TIME_MAX: Duration = Duration::from_secs(10);

/// Where the copies of a process are, and whose they are.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    pub(crate) directory: PathBuf,
    /// Of the deployment.
    pub(crate) identity: u128,
}

/// What became of a copy when it was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It holds the topic up to where it says.
    Used,
    /// There is none.
    Absent,
    /// It cannot be read, or is not what was written.
    Torn,
    /// It is of another deployment, topic, partition or layout.
    Foreign,
    /// It goes further than the topic.
    Newer,
    /// The topic begins behind it.
    Older,
}

impl Found {
    /// The name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Found::Used => "used",
            Found::Absent => "absent",
            Found::Torn => "torn",
            Found::Foreign => "foreign",
            Found::Newer => "newer",
            Found::Older => "older",
        }
    }
}

impl Cache {
    /// What was collected of a partition, and up to which offset of the state topic, of which `topic` is the id; nothing and 0 unless it can be
    /// used.
    ///
    /// # Errors
    /// The log cannot be asked.
    pub(crate) fn load(
        &self,
        log: &dyn Log,
        topic: u64,
        number: u32,
    ) -> Result<(Found, u64, Collected), DetectorError> {
        let bounds = log.bounds(&TopicPartition::new(topics::STATE, number))?;
        let read = match std::fs::read(self.path(number)) {
            Ok(bytes) => self.decode(&bytes, (topic, number), bounds),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Found::Absent),
            Err(_) => Err(Found::Torn),
        };
        Ok(match read {
            Ok((through, collected)) => (Found::Used, through, collected),
            Err(found) => (found, 0, Collected::default()),
        })
    }

    /// Keeps what was collected up to an offset of the topic with this id, if all of it can be kept. That a file cannot be written is told in the
    /// log and no error.
    pub(crate) fn store(&self, topic: u64, number: u32, through: u64, collected: &Collected) {
        let Some(records) = collected.kept(number) else {
            return;
        };
        let bytes = self.encode((topic, number), through, &records);
        if let Err(error) = self.write(number, &bytes) {
            tracing::warn!(partition = number, error = %error, "the local copy of a partition's state was not written");
        }
    }

    /// Brings the copies of these partitions level with the topic, so that the next start has little to read.
    pub(crate) fn refresh_all(&self, log: &dyn Log, numbers: impl IntoIterator<Item = u32>) {
        let until = Instant::now() + REFRESH_TIME_MAX;
        for number in numbers {
            if let Err(error) = self.refresh(log, number, &|| Instant::now() >= until) {
                let error = tocsin_runtime::roles::chain(&error);
                tracing::warn!(
                    partition = number,
                    error,
                    "the local copy of a partition's state stays as it was"
                );
            }
        }
    }

    fn refresh(&self, log: &dyn Log, number: u32, is_called_off: &dyn Fn() -> bool) -> Result<(), DetectorError> {
        // Asked before anything is read of it, so that a copy never names a topic that was made since.
        let topic = TopicIds::of(log)?.state;
        let (_, through, mut collected) = self.load(log, topic, number)?;
        let mut reading = ReadThrough::new(log, &TopicPartition::new(topics::STATE, number), through..)?;
        while reading.goes_on(is_called_off)? {
            reading.poll(&mut |record| collected.take(number, record.key, record.value))?;
        }
        self.store(topic, number, reading.end(), &collected);
        Ok(())
    }

    fn path(&self, number: u32) -> PathBuf {
        self.directory.join(format!("state-{number}.cache"))
    }

    fn write(&self, number: u32, bytes: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        let beside = self.directory.join(format!("state-{number}.new"));
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, self.path(number))?;
        File::open(&self.directory)?.sync_all()
    }

    fn encode(&self, (topic, number): (u64, u32), through: u64, records: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut out = Encoder::new();
        out.number(FORMAT);
        out.fixed128(self.identity);
        out.number(topic);
        out.number(u64::from(number));
        out.number(through);
        out.number(records.len() as u64);
        for (key, value) in records {
            out.bytes(key);
            out.bytes(value);
        }
        let mut bytes = out.finish();
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        bytes
    }

    pub(crate) fn decode(
        &self,
        bytes: &[u8],
        (topic, number): (u64, u32),
        (first_held, end): (u64, u64),
    ) -> Result<(u64, Collected), Found> {
        let torn = |_: DecodeError| Found::Torn;
        let length = bytes.len().checked_sub(DIGEST_BYTES).ok_or(Found::Torn)?;
        let (body, digest) = bytes.split_at(length);
        if Sha256::digest(body)[..] != *digest {
            return Err(Found::Torn);
        }
        let mut input = Decoder::new(body);
        if input.number().map_err(torn)? != FORMAT
            || input.fixed128().map_err(torn)? != self.identity
            || input.number().map_err(torn)? != topic
            || input.number().map_err(torn)? != u64::from(number)
        {
            return Err(Found::Foreign);
        }
        let through = input.number().map_err(torn)?;
        if through > end {
            return Err(Found::Newer);
        }
        if through < first_held {
            return Err(Found::Older);
        }
        let mut collected = Collected::default();
        for _ in 0..input.length(2).map_err(torn)? {
            let (key, value) = (input.bytes().map_err(torn)?, input.bytes().map_err(torn)?);
            collected.take(number, Some(key), Some(value));
        }
        input.finish().map_err(torn)?;
        Ok((through, collected))
    }
}
