//! What a report is made of. All reports have this one form, so that whoever shows them needs to know no figure by its name.

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which: `transparency` or `terrorist_content`.
    pub report: &'static str,
    /// The version of its figures and of what they mean.
    pub version: u32,
    /// Whose: the name of the party, or `coordinators`.
    pub team: String,
    /// The first day, UTC.
    pub from: String,
    /// The last day, which is in it.
    pub to: String,
    /// Whether that day was over.
    pub is_over: bool,
    /// How it was made, and what bounds all of it, in words.
    pub how: Vec<&'static str>,
    /// Its parts.
    pub sections: Vec<Section>,
}

/// A part of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// The same for readers.
    pub title: &'static str,
    /// What its figures mean.
    pub definitions: Vec<Definition>,
    /// The figures, in the order of the definitions, then of what they are told apart by.
    pub figures: Vec<Figure>,
}

/// What the figures of one name mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The name.
    pub name: &'static str,
    /// What is counted or measured.
    pub counts: &'static str,
    /// From what.
    pub from: &'static str,
    /// What bounds it.
    pub bound: &'static str,
    /// In what.
    pub unit: &'static str,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Its name: that of a definition.
    pub name: &'static str,
    /// What it is about, where there are several of its name.
    pub by: Vec<By>,
    /// How much.
    pub amount: Amount,
}

/// What a figure is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct By {
    /// What figures are told apart by, as `platform`.
    pub name: &'static str,
    /// Which.
    pub is: String,
}

/// How much it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So much.
    Exact {
        /// How much.
        amount: u64,
    },
    /// Between these, both possible.
    Between {
        /// At least.
        low: u64,
        /// At most.
        high: u64,
    },
    /// Nobody here knows.
    Unknown {
        /// Why.
        why: &'static str,
    },
}

impl Amount {
    /// Between these, or exact where they are one.
    pub(crate) fn of((low, high): (u64, u64)) -> Amount {
        match low == high {
            true => Amount::Exact { amount: low },
            false => Amount::Between { low, high },
        }
    }
}

impl Figure {
    pub(crate) fn new(name: &'static str, by: &[(&'static str, &str)], amount: Amount) -> Figure {
        let by = by.iter().map(|(name, is)| By {
            name,
            is: (*is).to_owned(),
        });
        Figure {
            name,
            by: by.collect(),
            amount,
        }
    }

    pub(crate) fn count(name: &'static str, by: &[(&'static str, &str)], amount: u64) -> Figure {
        Figure::new(name, by, Amount::Exact { amount })
    }
}

impl Section {
    /// Of these figures, in their order of the report.
    pub(crate) fn new(
        (name, title): (&'static str, &'static str),
        definitions: Vec<Definition>,
        mut figures: Vec<Figure>,
    ) -> Section {
        let place = |figure: &Figure| definitions.iter().position(|of| of.name == figure.name);
        // Stable: what is told apart by order, as the steps of a case, comes so.
        figures.sort_by_key(place);
        Section {
            name,
            title,
            definitions,
            figures,
        }
    }
}
