use std::collections::BTreeMap;
use std::fmt;

/// Why an entry of a list is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectCode {
    /// It is not a record of the format: a field is missing, or of another type.
    RecordMalformed,
    /// The kind of hash is none that is matched here, such as TLSH, TMK or text.
    AlgorithmUnsupported,
    /// The hash is not in hexadecimal, has another length than its kind, or is no URL.
    HashMalformed,
    /// A PDQ hash of a quality under 50 says nothing.
    QualityLow,
    /// A PDQ hash of zeros alone or ones alone stands for every empty picture.
    HashConstant,
}

impl RejectCode {
    /// All of them.
    pub const ALL: [RejectCode; 5] = [
        RejectCode::RecordMalformed,
        RejectCode::AlgorithmUnsupported,
        RejectCode::HashMalformed,
        RejectCode::QualityLow,
        RejectCode::HashConstant,
    ];

    /// A stable name for metrics and reports.
    pub fn code(self) -> &'static str {
        match self {
            RejectCode::RecordMalformed => "record_malformed",
            RejectCode::AlgorithmUnsupported => "algorithm_unsupported",
            RejectCode::HashMalformed => "hash_malformed",
            RejectCode::QualityLow => "quality_low",
            RejectCode::HashConstant => "hash_constant",
        }
    }
}

/// How many entries were refused, by code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejects(BTreeMap<RejectCode, u64>);

impl Rejects {
    /// Counts one.
    pub fn count(&mut self, code: RejectCode) {
        *self.0.entry(code).or_default() += 1;
    }

    /// Those that were refused, by code.
    pub fn by_code(&self) -> impl Iterator<Item = (RejectCode, u64)> {
        self.0.iter().map(|(code, count)| (*code, *count))
    }

    /// All that were refused.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for Rejects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .by_code()
            .map(|(code, count)| format!("{} {count}", code.code()))
            .collect();
        f.write_str(&parts.join(", "))
    }
}
