use std::collections::BTreeMap;

use tocsin_casework::NoticeKind;
use tocsin_model::{Milliseconds, Timestamp, Verdict};
use tocsin_report::ContentKind;

use crate::table::Table;

/// What happened to a family: the cell in which it counts. Each names what tells its table's cells apart, in the order of the table's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counted {
    /// It first rang.
    Rang(Content, Took),
    /// People first decided about it.
    Decided(Outcome),
    /// All known copies of it were first confirmed removed.
    Removed(Took, Copies),
    /// A copy of it was posted after the party had first told others of it.
    Leaked(Took),
    /// A first notice about it was received.
    Noticed(FirstNotice),
    /// Appeals about it were answered.
    Appealed(Appealed),
}

/// What a family's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// Its strongest hash is of a picture.
    Picture,
    /// Its strongest hash is of frames.
    Video,
    /// A member is a live stream.
    LiveStream,
    /// An address, or a file of which only the hash of its bytes is known.
    Other,
}

/// How long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Took {
    /// Up to five minutes.
    FiveMinutes,
    /// Up to the golden hour.
    Hour,
    /// Up to a day.
    Day,
    /// Longer.
    Longer,
    /// From when is not known.
    Unknown,
}

/// What people first decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It violates the rules; so long after it was first seen.
    Violating(Took),
    /// It rang, and is harmless.
    FalseAlarm,
    /// It had not rung, and is harmless.
    Benign,
    /// It is news.
    Newsworthy,
    /// Parties disagree.
    Disputed,
    /// An expert must look.
    NeedsExpert,
}

/// How many copies of a family had been posted when their removal was confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Copies {
    /// Up to 9.
    UnderTen,
    /// 10 to 99.
    Tens,
    /// 100 and more.
    Hundreds,
    /// Not known.
    Unknown,
}

/// Who wrote first, and what was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FirstNotice {
    /// An authority ordered the removal.
    RemovalOrder,
    /// A trusted flagger wrote.
    TrustedFlagger,
    /// A state asked to look.
    Referral,
}

/// What came of the appeals about a family that were answered on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Appealed {
    /// All decisions and refusals stood.
    Upheld,
    /// One at least was overturned.
    Overturned,
}

/// How many families are in which cell. Nothing is known of a family that is in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Counted, u64>);

impl Counts {
    /// One more family.
    pub fn add(&mut self, counted: Counted) {
        self.add_many(counted, 1);
    }

    /// So many more.
    pub fn add_many(&mut self, counted: Counted, families: u64) {
        let count = self.0.entry(counted).or_default();
        *count = count.saturating_add(families);
    }

    /// How many.
    pub fn of(&self, counted: Counted) -> u64 {
        self.0.get(&counted).copied().unwrap_or(0)
    }
}

impl Content {
    const ALL: [Content; 4] = [Content::Picture, Content::Video, Content::LiveStream, Content::Other];

    /// Of a family with this content.
    pub fn of(kind: ContentKind) -> Content {
        match kind {
            ContentKind::Picture => Content::Picture,
            ContentKind::Video => Content::Video,
            ContentKind::LiveStream => Content::LiveStream,
            ContentKind::Address | ContentKind::File => Content::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Content::Picture => "picture",
            Content::Video => "video",
            Content::LiveStream => "live_stream",
            Content::Other => "other",
        }
    }
}

impl Took {
    const ALL: [Took; 5] = [Took::FiveMinutes, Took::Hour, Took::Day, Took::Longer, Took::Unknown];

    /// From the one time to the other. Clocks of sources and of the store may disagree: what would have taken less than nothing took nothing.
    pub fn between(from: Option<Timestamp>, to: Timestamp) -> Took {
        let Some(from) = from else {
            return Took::Unknown;
        };
        let took = Milliseconds(to.0.saturating_sub(from.0));
        if took <= Milliseconds::from_minutes(5) {
            Took::FiveMinutes
        } else if took <= Milliseconds::from_hours(1) {
            Took::Hour
        } else if took <= Milliseconds::from_hours(24) {
            Took::Day
        } else {
            Took::Longer
        }
    }

    fn name(self) -> &'static str {
        match self {
            Took::FiveMinutes => "up_to_5_min",
            Took::Hour => "up_to_1_h",
            Took::Day => "up_to_24_h",
            Took::Longer => "longer",
            Took::Unknown => "unknown",
        }
    }
}

impl Outcome {
    /// Of a first verdict that was given at `at`, about a family that was first seen and first rang then.
    pub fn of(verdict: Verdict, at: Timestamp, seen: Option<Timestamp>, rang: Option<Timestamp>) -> Outcome {
        match verdict {
            Verdict::Violating => Outcome::Violating(Took::between(seen, at)),
            Verdict::Benign if rang.is_some_and(|rang| rang <= at) => Outcome::FalseAlarm,
            Verdict::Benign => Outcome::Benign,
            Verdict::Newsworthy => Outcome::Newsworthy,
            Verdict::Disputed => Outcome::Disputed,
            Verdict::NeedsExpert => Outcome::NeedsExpert,
        }
    }

    fn all() -> impl Iterator<Item = Outcome> {
        let others = [
            Outcome::FalseAlarm,
            Outcome::Benign,
            Outcome::Newsworthy,
            Outcome::Disputed,
            Outcome::NeedsExpert,
        ];
        Took::ALL.into_iter().map(Outcome::Violating).chain(others)
    }

    fn name(self) -> &'static str {
        match self {
            Outcome::Violating(_) => "violating",
            Outcome::FalseAlarm => "false_alarm",
            Outcome::Benign => "benign",
            Outcome::Newsworthy => "newsworthy",
            Outcome::Disputed => "disputed",
            Outcome::NeedsExpert => "needs_expert",
        }
    }
}

impl Copies {
    const ALL: [Copies; 4] = [Copies::UnderTen, Copies::Tens, Copies::Hundreds, Copies::Unknown];

    /// Of so many; `None` if it is not known.
    pub fn of(copies: Option<u64>) -> Copies {
        match copies {
            None => Copies::Unknown,
            Some(0..10) => Copies::UnderTen,
            Some(10..100) => Copies::Tens,
            Some(100..) => Copies::Hundreds,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Copies::UnderTen => "0_to_9",
            Copies::Tens => "10_to_99",
            Copies::Hundreds => "100_and_more",
            Copies::Unknown => "unknown",
        }
    }
}

impl FirstNotice {
    const ALL: [FirstNotice; 3] = [
        FirstNotice::RemovalOrder,
        FirstNotice::TrustedFlagger,
        FirstNotice::Referral,
    ];

    /// Of this kind; `None`: it was not received, the team wrote it itself.
    pub fn of(kind: NoticeKind) -> Option<FirstNotice> {
        match kind {
            NoticeKind::RemovalOrder => Some(FirstNotice::RemovalOrder),
            NoticeKind::TrustedFlagger => Some(FirstNotice::TrustedFlagger),
            NoticeKind::Referral => Some(FirstNotice::Referral),
            NoticeKind::ThreatToLife => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            FirstNotice::RemovalOrder => "removal_order",
            FirstNotice::TrustedFlagger => "trusted_flagger",
            FirstNotice::Referral => "referral",
        }
    }
}

impl Appealed {
    const ALL: [Appealed; 2] = [Appealed::Upheld, Appealed::Overturned];

    fn name(self) -> &'static str {
        match self {
            Appealed::Upheld => "upheld",
            Appealed::Overturned => "overturned",
        }
    }
}

impl Counted {
    /// All cells of a table, in their order.
    pub fn all(table: Table) -> Vec<Counted> {
        match table {
            Table::Rang => crossed(Content::ALL, Took::ALL, Counted::Rang),
            Table::Decided => Outcome::all().map(Counted::Decided).collect(),
            Table::Removed => crossed(Took::ALL, Copies::ALL, Counted::Removed),
            Table::Leaked => Took::ALL.map(Counted::Leaked).into(),
            Table::Noticed => FirstNotice::ALL.map(Counted::Noticed).into(),
            Table::Appealed => Appealed::ALL.map(Counted::Appealed).into(),
        }
    }

    /// The table in which it counts.
    pub fn table(self) -> Table {
        match self {
            Counted::Rang(..) => Table::Rang,
            Counted::Decided(_) => Table::Decided,
            Counted::Removed(..) => Table::Removed,
            Counted::Leaked(_) => Table::Leaked,
            Counted::Noticed(_) => Table::Noticed,
            Counted::Appealed(_) => Table::Appealed,
        }
    }

    /// What tells it from the other cells of its table, in the order of the table's dimensions; without those that are not asked of it.
    pub fn values(self) -> Vec<&'static str> {
        match self {
            Counted::Rang(content, took) => vec![content.name(), took.name()],
            Counted::Decided(outcome) => match outcome {
                Outcome::Violating(took) => vec![outcome.name(), took.name()],
                _ => vec![outcome.name()],
            },
            Counted::Removed(took, copies) => vec![took.name(), copies.name()],
            Counted::Leaked(took) => vec![took.name()],
            Counted::Noticed(kind) => vec![kind.name()],
            Counted::Appealed(outcome) => vec![outcome.name()],
        }
    }
}

fn crossed<A: Copy, B: Copy>(
    first: impl IntoIterator<Item = A>,
    second: impl IntoIterator<Item = B> + Clone,
    of: impl Fn(A, B) -> Counted,
) -> Vec<Counted> {
    let mut all = Vec::new();
    for a in first {
        all.extend(second.clone().into_iter().map(|b| of(a, b)));
    }
    all
}

#[cfg(test)]
mod tests {
    //! Goal: where a class ends, and that what is harmless is a false alarm only if it had rung.

    use super::*;

    #[test]
    fn a_class_ends_where_its_name_says() {
        let minutes = |count: i64| Milliseconds::from_minutes(count).0;
        for (took_ms, class) in [
            (-1, Took::FiveMinutes),
            (0, Took::FiveMinutes),
            (minutes(5), Took::FiveMinutes),
            (minutes(5) + 1, Took::Hour),
            (minutes(60), Took::Hour),
            (minutes(60) + 1, Took::Day),
            (minutes(24 * 60), Took::Day),
            (minutes(24 * 60) + 1, Took::Longer),
            (i64::MAX, Took::Longer),
        ] {
            assert_eq!(
                Took::between(Some(Timestamp(0)), Timestamp(took_ms)),
                class,
                "{took_ms}"
            );
        }
        assert_eq!(Took::between(None, Timestamp(0)), Took::Unknown);
        for (copies, class) in [
            (Some(0), Copies::UnderTen),
            (Some(9), Copies::UnderTen),
            (Some(10), Copies::Tens),
            (Some(99), Copies::Tens),
            (Some(100), Copies::Hundreds),
            (Some(u64::MAX), Copies::Hundreds),
            (None, Copies::Unknown),
        ] {
            assert_eq!(Copies::of(copies), class, "{copies:?}");
        }
    }

    #[test]
    fn what_is_harmless_is_a_false_alarm_if_it_had_rung() {
        let at = Timestamp(100);
        for (rang, outcome) in [
            (Some(Timestamp(100)), Outcome::FalseAlarm),
            (Some(Timestamp(101)), Outcome::Benign),
            (None, Outcome::Benign),
        ] {
            assert_eq!(Outcome::of(Verdict::Benign, at, None, rang), outcome);
        }
        let violating = Outcome::of(Verdict::Violating, at, Some(Timestamp(0)), None);
        assert_eq!(violating, Outcome::Violating(Took::FiveMinutes));
    }
}
