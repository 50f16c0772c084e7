/// A table of a day: things of one kind, each in one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Families that first rang.
    Rang,
    /// Families about which people first decided.
    Decided,
    /// Families of which all known copies were first confirmed removed.
    Removed,
    /// Families of which a copy was posted after the party had first told others of them.
    Leaked,
    /// Families about which a first notice was received.
    Noticed,
    /// Families about which appeals were answered.
    Appealed,
}

/// What tells the cells of a table apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// What the family's content is.
    Content,
    /// What was first decided.
    Outcome,
    /// How long it took.
    Took,
    /// How many copies had been posted.
    Copies,
    /// What was wanted.
    Notice,
    /// What came of it.
    Answer,
}

/// All tables, in the order in which they are published.
pub const TABLES: [Table; 6] = [
    Table::Rang,
    Table::Decided,
    Table::Removed,
    Table::Leaked,
    Table::Noticed,
    Table::Appealed,
];

impl Table {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Table::Rang => "rang",
            Table::Decided => "decided",
            Table::Removed => "removed",
            Table::Leaked => "leaked",
            Table::Noticed => "noticed",
            Table::Appealed => "appealed",
        }
    }

    /// What tells its cells apart.
    pub fn dimensions(self) -> &'static [Dimension] {
        match self {
            Table::Rang => &[Dimension::Content, Dimension::Took],
            Table::Decided => &[Dimension::Outcome, Dimension::Took],
            Table::Removed => &[Dimension::Took, Dimension::Copies],
            Table::Leaked => &[Dimension::Took],
            Table::Noticed => &[Dimension::Notice],
            Table::Appealed => &[Dimension::Answer],
        }
    }

    /// What it counts, in words.
    pub fn counts(self) -> &'static str {
        match self {
            Table::Rang => {
                "families of contents that first rang for the party on the day: their spread stopped being ordinary, or they are on a watch list and were seen"
            }
            Table::Decided => {
                "families about which the party's people first decided on the day, without decisions that were taken back before they went out"
            }
            Table::Removed => {
                "families of which the party's own platforms first confirmed on the day, by their events, that all known copies were removed"
            }
            Table::Leaked => {
                "families of which a copy was first posted on the party's platforms on the day, after the party had first told others of them"
            }
            Table::Noticed => {
                "families about which the party received its first notice on the day; what the party itself told authorities is none"
            }
            Table::Appealed => "families about which the party answered one or more appeals on the day",
        }
    }

    /// What its times run from and to, if it has any.
    pub fn times(self) -> Option<&'static str> {
        match self {
            Table::Rang => Some("from the first event of the family on the party's own platforms to its first alert"),
            Table::Decided => Some(
                "from the first event of the family on the party's own platforms to the first decision; of families found violating alone",
            ),
            Table::Removed => {
                Some("from the first event of the family on the party's own platforms to the confirmation")
            }
            Table::Leaked => Some("from when the party first told others to the first copy after it"),
            Table::Noticed | Table::Appealed => None,
        }
    }
}

impl Dimension {
    /// All of them, in the order of the columns.
    pub const ALL: [Dimension; 6] = [
        Dimension::Content,
        Dimension::Outcome,
        Dimension::Took,
        Dimension::Copies,
        Dimension::Notice,
        Dimension::Answer,
    ];

    /// Its name: that of a column.
    pub fn name(self) -> &'static str {
        match self {
            Dimension::Content => "content",
            Dimension::Outcome => "outcome",
            Dimension::Took => "took",
            Dimension::Copies => "copies",
            Dimension::Notice => "notice",
            Dimension::Answer => "answer",
        }
    }

    /// What its values mean, in words.
    pub fn meaning(self) -> &'static str {
        match self {
            Dimension::Content => {
                "what the content is by its strongest hash: a picture (PDQ), a video (frames), a live_stream if a member is one, other for addresses and for files of which only the hash of their bytes is known"
            }
            Dimension::Outcome => {
                "the first verdict of people: violating, benign (false_alarm if the family had rung before), newsworthy, disputed, needs_expert"
            }
            Dimension::Took => {
                "a class of elapsed time: up to 5 minutes, 1 hour, 24 hours (each with its end and without the class before), longer; unknown where the beginning is not known, as of a family that was never seen on the party's own platforms"
            }
            Dimension::Copies => {
                "copies of the family that had been posted on the party's platforms when their removal was confirmed; unknown where no decision of the party was followed"
            }
            Dimension::Notice => {
                "removal_order: Regulation (EU) 2021/784, Art. 3; trusted_flagger: Regulation (EU) 2022/2065, Art. 22; referral: a state asked to look at it by the platform's own rules"
            }
            Dimension::Answer => "overturned if one of the answers at least was for whoever appealed, otherwise upheld",
        }
    }
}
