use tocsin_model::{Milliseconds, Timestamp};

use crate::day::{Family, FamilyKind};

/// What an alarm was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// There is a spike.
    Right,
    /// There is much, but no spike.
    Near,
    /// There is neither.
    False,
    /// A second raise within a day: false.
    Repeat,
}

/// One alarm, in `alarms.csv`. No field needs quotes; an absent figure is an empty field; times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmRow {
    /// Which day.
    pub day: u32,
    /// Whose alarm.
    pub detector: String,
    /// About which family.
    pub family: Family,
    /// What that is.
    pub kind: FamilyKind,
    /// When.
    pub at: Timestamp,
    /// Re-uploads by then.
    pub reuploads: u64,
    /// Accounts by then.
    pub accounts: u64,
    /// What it was.
    pub verdict: Verdict,
    /// How long after the onset; negative before it, absent where there was none.
    pub delay: Option<Milliseconds>,
    /// The detector's score.
    pub score: f64,
    /// The threshold it reached.
    pub threshold: f64,
}

impl Verdict {
    /// The word for it in rows.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Right => "right",
            Verdict::Near => "near",
            Verdict::False => "false",
            Verdict::Repeat => "repeat",
        }
    }

    /// Whether it counts as a false alarm.
    pub fn is_false(self) -> bool {
        matches!(self, Verdict::False | Verdict::Repeat)
    }
}

impl AlarmRow {
    /// The first line of the file.
    pub const HEADER: &str = "day,detector,family,kind,at_ms,reuploads,accounts,verdict,delay_ms,score,threshold";

    /// The line of this row, without its end.
    pub fn to_csv(&self) -> String {
        format!(
            "{},{},{},{},{},{},{},{},{},{},{}",
            self.day,
            self.detector,
            self.family.0,
            self.kind.name(),
            self.at.0,
            self.reuploads,
            self.accounts,
            self.verdict.name(),
            self.delay.map(|delay| delay.0.to_string()).unwrap_or_default(),
            self.score,
            self.threshold,
        )
    }
}
