//! What a hash of a list must be, and the names that others have for its kind.

use tocsin_model::{Algorithm, BankEntry, ContentHash, Name, Opinion, Severity};

use crate::RejectCode;

/// A type of signal, as HMA and the `threatexchange` library name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalType {
    name: &'static str,
    algorithm: Algorithm,
}

impl SignalType {
    /// All that are known, and there is no other list of them. `pdq`, `video_md5`, `video_sha256` and `url` are the library's own
    /// (`threatexchange` 1.2.17, `_DEFAULT_SIGNAL_TYPES` of `cli/main.py`), `vpdq` is that of its extension. `sha256`, `photo_md5` and `md5` are none of
    /// theirs, but what such hashes are called in lists. A `vpdq` signal is a list of frames ([`crate::vpdq_frames`]), which lists do not bring to those
    /// who find links.
    pub const ALL: [SignalType; 8] = [
        SignalType::new("pdq", Algorithm::Pdq),
        SignalType::new("sha256", Algorithm::Sha256),
        SignalType::new("video_md5", Algorithm::Md5),
        SignalType::new("video_sha256", Algorithm::Sha256),
        SignalType::new("vpdq", Algorithm::Vpdq),
        SignalType::new("photo_md5", Algorithm::Md5),
        SignalType::new("md5", Algorithm::Md5),
        SignalType::new("url", Algorithm::Url),
    ];

    const fn new(name: &'static str, algorithm: Algorithm) -> Self {
        SignalType { name, algorithm }
    }

    /// The type of this name.
    pub fn from_name(name: &str) -> Option<SignalType> {
        SignalType::ALL.into_iter().find(|known| known.name == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// What its signals are.
    pub fn algorithm(self) -> Algorithm {
        self.algorithm
    }
}

/// What ThreatExchange, Tech Against Terrorism and StopNCII call kinds of hashes, beside the names of [`SignalType`].
const OTHER_NAMES: [(&str, Algorithm); 12] = [
    ("HASH_PDQ", Algorithm::Pdq),
    ("HASH_VIDEO_MD5", Algorithm::Md5),
    ("HASH_MD5", Algorithm::Md5),
    ("HASH_VIDEO_SHA256", Algorithm::Sha256),
    ("HASH_SHA256", Algorithm::Sha256),
    ("URI", Algorithm::Url),
    ("RAW_URI", Algorithm::Url),
    ("PDQ", Algorithm::Pdq),
    ("MD5", Algorithm::Md5),
    ("ImagePDQ", Algorithm::Pdq),
    ("VideoMD5", Algorithm::Md5),
    ("URL", Algorithm::Url),
];

/// The name of a kind of hash in the `threatexchange` library and HMA, which have types for a video's MD5 and SHA-256 alone: by equality they match any
/// file's. `None`: they have none for it.
pub fn local_file_type(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::Pdq => Some("pdq"),
        Algorithm::Md5 => Some("video_md5"),
        Algorithm::Url => Some("url"),
        Algorithm::Sha256 => Some("video_sha256"),
        Algorithm::Vpdq => None,
    }
}

/// A hash from the name of its kind and its text.
///
/// # Errors
/// Its kind is none that is matched here, or it is no usable hash of it.
pub(crate) fn hash(kind: &str, text: &str, quality: Option<u8>) -> Result<ContentHash, RejectCode> {
    let other = || OTHER_NAMES.iter().find(|(name, _)| *name == kind).map(|(_, of)| *of);
    let known = SignalType::from_name(kind).map(SignalType::algorithm);
    let algorithm = known.or_else(other).filter(|algorithm| *algorithm != Algorithm::Vpdq);
    let algorithm = algorithm.ok_or(RejectCode::AlgorithmUnsupported)?;
    let parsed = ContentHash::parse(algorithm, text.trim(), None).map_err(|_| RejectCode::HashMalformed)?;
    if algorithm == Algorithm::Pdq {
        let value = parsed.value();
        if value.iter().all(|byte| *byte == 0) || value.iter().all(|byte| *byte == 0xff) {
            return Err(RejectCode::HashConstant);
        }
        if quality.is_some_and(|quality| quality < Algorithm::PDQ_QUALITY_MIN) {
            return Err(RejectCode::QualityLow);
        }
    }
    Ok(parsed)
}

/// The severity that a tag of media priority stands for: `media_priority_s0` is the gravest, `media_priority_crisis` as grave.
pub(crate) fn severity_of(tags: &[String]) -> Option<Severity> {
    let number = |tag: &String| match tag.as_str() {
        "media_priority_crisis" | "media_priority_s0" => Some(4),
        "media_priority_s1" => Some(3),
        "media_priority_s2" => Some(2),
        "media_priority_s3" => Some(1),
        _ => None,
    };
    tags.iter().filter_map(number).max().and_then(Severity::new)
}

/// A party's name made of whatever a list calls it: letters in lower case, anything that a [`Name`] does not hold as '-'.
pub(crate) fn party(text: &str) -> Option<Name> {
    let fitting = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' => c,
        _ => '-',
    };
    let name: String = text.trim().chars().map(fitting).take(Name::LENGTH_MAX).collect();
    name.trim_start_matches(['-', '_']).parse().ok()
}

/// A tag as it is kept: without spaces, which separate tags.
pub(crate) fn tag(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join("_")
}

/// The entry with no more text than an entry has: what is beyond it is cut off, the hash is not lost for it.
pub(crate) fn bounded(mut entry: BankEntry) -> BankEntry {
    let mut length = 0;
    entry.tags.retain(|tag| {
        length += tag.len() + 1;
        !tag.is_empty() && length <= BankEntry::TAGS_LENGTH_MAX
    });
    if let Some(id) = &mut entry.source_id {
        let end = (0..=BankEntry::SOURCE_ID_LENGTH_MAX)
            .rev()
            .find(|end| id.is_char_boundary(*end));
        if id.len() > BankEntry::SOURCE_ID_LENGTH_MAX {
            id.truncate(end.unwrap_or(0));
        }
        // PostgreSQL keeps no text with this character.
        id.retain(|c| c != '\0');
    }
    entry.tags.iter_mut().for_each(|tag| tag.retain(|c| c != '\0'));
    entry.opinions.truncate(BankEntry::OPINIONS_MAX);
    entry
}

/// Puts an opinion in the place of the party's own; a weaker claim gives way to a stronger one.
pub(crate) fn hold(opinions: &mut Vec<(Name, Opinion)>, party: Name, opinion: Opinion) {
    match opinions.iter_mut().find(|(name, _)| *name == party) {
        Some((_, held)) => *held = opinion,
        None => opinions.push((party, opinion)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_taken_or_refused_with_a_code() {
        let pdq = "a".repeat(64);
        let (zeros, ones, md5) = ("0".repeat(64), "F".repeat(64), "b".repeat(32));
        let upper = pdq.to_uppercase();
        let url = "https://example.org/a";
        let long = "u".repeat(2_049);
        type Case<'a> = (&'a str, &'a str, Option<u8>, Result<(), RejectCode>);
        let cases: [Case<'_>; 21] = [
            ("pdq", &pdq, None, Ok(())),
            ("HASH_PDQ", &upper, Some(50), Ok(())),
            ("ImagePDQ", &pdq, Some(49), Err(RejectCode::QualityLow)),
            ("PDQ", &zeros, None, Err(RejectCode::HashConstant)),
            ("pdq", &ones, Some(100), Err(RejectCode::HashConstant)),
            ("pdq", &md5, None, Err(RejectCode::HashMalformed)),
            ("pdq", "", None, Err(RejectCode::HashMalformed)),
            ("pdq", "zz", None, Err(RejectCode::HashMalformed)),
            ("video_md5", &md5, None, Ok(())),
            ("MD5", &md5, Some(3), Ok(())),
            ("HASH_MD5", &pdq, None, Err(RejectCode::HashMalformed)),
            ("video_sha256", &pdq, None, Ok(())),
            ("sha256", &pdq, None, Ok(())),
            ("HASH_VIDEO_SHA256", &pdq, None, Ok(())),
            ("RAW_URI", url, None, Ok(())),
            ("URI", url, None, Ok(())),
            ("URL", &long, None, Err(RejectCode::HashMalformed)),
            (
                "url",
                "https://example.org/\u{7}a",
                None,
                Err(RejectCode::HashMalformed),
            ),
            ("HASH_TEXT_TLSH", "T1", None, Err(RejectCode::AlgorithmUnsupported)),
            ("VideoTMK", &md5, None, Err(RejectCode::AlgorithmUnsupported)),
            ("vpdq", &pdq, None, Err(RejectCode::AlgorithmUnsupported)),
        ];
        for (kind, text, quality, expected) in cases {
            assert_eq!(hash(kind, text, quality).map(drop), expected, "{kind} {text}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same_hash() {
        for algorithm in [Algorithm::Pdq, Algorithm::Md5, Algorithm::Sha256, Algorithm::Url] {
            let name = local_file_type(algorithm).unwrap();
            assert_eq!(
                SignalType::from_name(name).map(SignalType::algorithm),
                Some(algorithm),
                "{name}"
            );
        }
        assert_eq!(local_file_type(Algorithm::Sha256), Some("video_sha256"));
        assert_eq!(local_file_type(Algorithm::Vpdq), None);
    }

    #[test]
    fn a_party_gets_a_name_whatever_a_list_calls_it() {
        let name = |text| party(text).map(|name| name.to_string());
        assert_eq!(name(" Example Corp. "), Some("example-corp-".to_owned()));
        assert_eq!(name("616912251743987"), Some("616912251743987".to_owned()));
        assert_eq!(name("-_x"), Some("x".to_owned()));
        assert_eq!(name("   "), None);
        assert_eq!(name(&"n".repeat(99)).map(|name| name.len()), Some(Name::LENGTH_MAX));
    }

    #[test]
    fn too_much_text_is_cut_and_the_hash_kept() {
        let entry = BankEntry {
            tags: (0..500).map(|number| format!("tag{number:03}")).collect(),
            source_id: Some("ä".repeat(100)),
            ..BankEntry::new(hash("md5", &"b".repeat(32), None).unwrap())
        };
        let entry = bounded(entry);
        assert!(entry.tags.join(" ").len() <= BankEntry::TAGS_LENGTH_MAX && entry.tags.len() > 100);
        assert_eq!(entry.source_id, Some("ä".repeat(64)));
    }
}
