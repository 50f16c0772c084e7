mod value;

use std::fmt;

use self::value::Value;
use crate::{HashRef, normal_url};

/// How many key groups a deployment has. Fixed when a deployment is created; part of the routing, so it never changes.
pub const KEY_GROUPS: u16 = 256;

/// What kind of hash names a content. The numbers are part of content ids and wire formats and never change; a smaller number is
/// stronger, and a content is routed by its strongest hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Algorithm {
    /// SHA-256 of the file: 32 bytes.
    Sha256 = 1,
    /// MD5 of the file: 16 bytes.
    Md5 = 2,
    /// PDQ perceptual hash of an image: 32 bytes, with a quality of 0 to 100.
    Pdq = 3,
    /// A digest of a video's PDQ frames: 32 bytes.
    Vpdq = 4,
    /// A URL: 1 to 2,048 bytes of text, as it was reported. See [`ContentHash::normal`].
    Url = 5,
}

/// One hash of a content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash {
    algorithm: Algorithm,
    value: Value,
    quality: Option<u8>,
}

/// The text or bytes are not a hash of the algorithm named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentHashError {
    /// The algorithm is not known.
    #[error("unknown hash algorithm; known are sha256, md5, pdq, vpdq, url")]
    UnknownAlgorithm,
    /// The value has the wrong form.
    #[error("a {} value has {} in lower-case hexadecimal", algorithm.name(), expected)]
    MalformedValue {
        /// The algorithm named.
        algorithm: Algorithm,
        /// What it should be.
        expected: &'static str,
    },
    /// The quality is above 100.
    #[error("a quality is 0 to 100")]
    QualityOutOfRange,
}

/// A content: the keyed 128-bit hash of its strongest content hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(pub u128);

/// A family of variants: the content that founded it. A content alone is its own family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FamilyId(pub ContentId);

/// One of the [`KEY_GROUPS`] state machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u16);

/// The number of partitions of the sightings and state topics: 1 to [`KEY_GROUPS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionCount(u16);

impl Algorithm {
    /// All algorithms, strongest first.
    pub const ALL: [Algorithm; 5] = [
        Algorithm::Sha256,
        Algorithm::Md5,
        Algorithm::Pdq,
        Algorithm::Vpdq,
        Algorithm::Url,
    ];

    /// A PDQ hash below this quality says nothing and does not route.
    pub const PDQ_QUALITY_MIN: u8 = 50;

    /// The name in the schema and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Md5 => "md5",
            Algorithm::Pdq => "pdq",
            Algorithm::Vpdq => "vpdq",
            Algorithm::Url => "url",
        }
    }

    /// The algorithm with this name of the schema.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The algorithm with this number.
    pub fn from_number(number: u8) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| *algorithm as u8 == number)
    }

    fn value_length(self) -> Option<usize> {
        match self {
            Algorithm::Sha256 | Algorithm::Pdq | Algorithm::Vpdq => Some(32),
            Algorithm::Md5 => Some(16),
            Algorithm::Url => None,
        }
    }

    fn malformed(self) -> ContentHashError {
        let expected = match self {
            Algorithm::Sha256 | Algorithm::Pdq | Algorithm::Vpdq => "64 digits",
            Algorithm::Md5 => "32 digits",
            Algorithm::Url => "1 to 2048 bytes of text, not",
        };
        ContentHashError::MalformedValue {
            algorithm: self,
            expected,
        }
    }
}

impl ContentHash {
    /// The longest URL, in bytes.
    pub const URL_LENGTH_MAX: usize = 2_048;

    /// A hash from its raw bytes (a URL: its UTF-8 text).
    ///
    /// # Errors
    /// The length does not fit the algorithm, a URL holds control characters or is not UTF-8, or the quality is above 100.
    pub fn from_bytes(algorithm: Algorithm, value: Vec<u8>, quality: Option<u8>) -> Result<Self, ContentHashError> {
        Self::from_slice(algorithm, &value, quality)
    }

    /// The same from borrowed bytes, which are copied; digests not to the heap.
    ///
    /// # Errors
    /// As [`ContentHash::from_bytes`].
    pub fn from_slice(algorithm: Algorithm, value: &[u8], quality: Option<u8>) -> Result<Self, ContentHashError> {
        Self::check(algorithm, value, quality)?;
        Ok(ContentHash {
            algorithm,
            value: Value::of(value),
            quality,
        })
    }

    /// Whether [`ContentHash::from_bytes`] would take these, without taking them.
    ///
    /// # Errors
    /// As [`ContentHash::from_bytes`].
    pub fn check(algorithm: Algorithm, value: &[u8], quality: Option<u8>) -> Result<(), ContentHashError> {
        if quality.is_some_and(|q| q > 100) {
            return Err(ContentHashError::QualityOutOfRange);
        }
        let fits = match algorithm.value_length() {
            Some(length) => value.len() == length,
            None => {
                (1..=Self::URL_LENGTH_MAX).contains(&value.len())
                    && std::str::from_utf8(value).is_ok_and(|text| !text.chars().any(char::is_control))
            }
        };
        if fits { Ok(()) } else { Err(algorithm.malformed()) }
    }

    /// A hash from the text of the schema: hexadecimal in either case, or a URL.
    ///
    /// # Errors
    /// As [`ContentHash::from_bytes`], or the text is not hexadecimal.
    pub fn parse(algorithm: Algorithm, text: &str, quality: Option<u8>) -> Result<Self, ContentHashError> {
        let value = match algorithm {
            Algorithm::Url => text.as_bytes().to_vec(),
            _ => decode_hex(text).ok_or_else(|| algorithm.malformed())?,
        };
        Self::from_bytes(algorithm, value, quality)
    }

    /// The hash, borrowed.
    pub fn view(&self) -> HashRef<'_> {
        HashRef {
            algorithm: self.algorithm,
            value: self.value(),
        }
    }

    /// What kind of hash this is.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw bytes; of a URL its UTF-8 text.
    pub fn value(&self) -> &[u8] {
        self.value.bytes()
    }

    /// The quality of a perceptual hash, 0 to 100.
    pub fn quality(&self) -> Option<u8> {
        self.quality
    }

    /// The value as the schema and the API write it: lower-case hexadecimal, or the URL.
    pub fn value_text(&self) -> String {
        match self.algorithm {
            Algorithm::Url => String::from_utf8_lossy(self.value()).into_owned(),
            _ => encode_hex(self.value()),
        }
    }

    /// Of a URL its normal form ([`normal_url`]), where it has one that differs: a further hash of the same content. The content keeps its own id, since
    /// routing never changes.
    pub fn normal(&self) -> Option<ContentHash> {
        if self.algorithm != Algorithm::Url {
            return None;
        }
        let text = std::str::from_utf8(self.value()).ok()?;
        let normal = normal_url(text).filter(|normal| normal != text)?;
        ContentHash::from_bytes(Algorithm::Url, normal.into_bytes(), None).ok()
    }

    /// Whether this hash may route a content: every hash but a PDQ of low (or no stated) quality below 50.
    pub fn routes(&self) -> bool {
        self.algorithm != Algorithm::Pdq || self.quality.is_none_or(|quality| quality >= Algorithm::PDQ_QUALITY_MIN)
    }

    /// The hash that routes a content: of those that [`ContentHash::routes`], the strongest algorithm's smallest value.
    pub fn strongest(hashes: &[ContentHash]) -> Option<&ContentHash> {
        hashes
            .iter()
            .filter(|hash| hash.routes())
            .min_by(|a, b| (a.algorithm, &a.value).cmp(&(b.algorithm, &b.value)))
    }
}

impl ContentId {
    /// The key group this content belongs to, for ever.
    pub fn group(self) -> GroupId {
        GroupId((self.0 >> 120) as u16 % KEY_GROUPS)
    }

    /// The id from 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<ContentId> {
        let bytes: [u8; 16] = decode_hex(text)?.try_into().ok()?;
        Some(ContentId(u128::from_be_bytes(bytes)))
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FamilyId {
    /// The key group that is the family's home.
    pub fn home(self) -> GroupId {
        self.0.group()
    }
}

impl fmt::Display for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartitionCount {
    /// A number of partitions; `None` for 0 or more than there are key groups.
    pub fn new(count: u16) -> Option<Self> {
        (1..=KEY_GROUPS).contains(&count).then_some(PartitionCount(count))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }

    /// The partition that owns `group`: groups are dealt out in turn.
    pub fn partition_of(self, group: GroupId) -> u32 {
        u32::from(group.0 % self.0)
    }

    /// The groups that `partition` owns, ascending.
    pub fn groups_of(self, partition: u32) -> impl Iterator<Item = GroupId> {
        (0..KEY_GROUPS)
            .filter(move |group| u32::from(group % self.0) == partition)
            .map(GroupId)
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|value| value as u8);
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    bytes
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
