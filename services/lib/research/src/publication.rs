use serde::{Deserialize, Serialize};
use tocsin_model::{Estimate, Name};
use tocsin_report::Day;
use tocsin_suppression::{Shown, total};

use crate::VERSION;
use crate::counted::{Counted, Counts};
use crate::table::{TABLES, Table};

/// What is told of a day. Its bytes follow from what is told of each number, and from nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    /// The version of its tables and of what they mean: [`VERSION`] when it was made.
    pub version: u32,
    /// The day, UTC: `YYYY-MM-DD`.
    pub day: String,
    /// The parties that took part for the whole of the day, by name.
    pub populations: Vec<Population>,
}

/// What happened to the families of one party on its platforms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// The party.
    pub party: String,
    /// Its platforms.
    pub platforms: Vec<String>,
    /// All tables, always.
    pub tables: Vec<TableOfDay>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableOfDay {
    /// Its name: see [`Table`].
    pub table: String,
    /// The sum of what is told of its cells.
    pub total: Told,
    /// All of its cells, always.
    pub cells: Vec<Cell>,
}

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// What tells it from the others, in the order of the table's dimensions.
    pub by: Vec<By>,
    /// How many families are in it.
    pub families: Told,
}

/// A value of a dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct By {
    /// The dimension.
    pub name: String,
    /// Its value.
    pub is: String,
}

/// A number of families as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The rounded number; `None` where only the bounds are told.
    pub estimate: Option<u64>,
    /// At least so many.
    pub low: u64,
    /// At most so many.
    pub high: u64,
    /// `rounded` or `suppressed`.
    pub disclosure: String,
    /// For people: `15`, `<10`, `10 to 112`.
    pub shown: String,
}

impl Publication {
    /// What is told of a day to whoever is not the owner of the numbers: of parties in any order, each once.
    pub fn of(day: Day, parties: impl IntoIterator<Item = (Name, Vec<Name>, Counts)>) -> Publication {
        let mut populations: Vec<Population> = parties
            .into_iter()
            .map(|(party, platforms, counts)| Population::of(&party, &platforms, &counts))
            .collect();
        populations.sort_by(|a, b| a.party.cmp(&b.party));
        Publication {
            version: VERSION,
            day: day.to_string(),
            populations,
        }
    }
}

impl Population {
    fn of(party: &Name, platforms: &[Name], counts: &Counts) -> Population {
        let mut platforms: Vec<String> = platforms.iter().map(Name::to_string).collect();
        platforms.sort();
        Population {
            party: party.to_string(),
            platforms,
            tables: TABLES.map(|table| TableOfDay::of(table, counts)).into(),
        }
    }
}

impl TableOfDay {
    fn of(table: Table, counts: &Counts) -> TableOfDay {
        let told = Counted::all(table).into_iter().map(|counted| {
            let count = counts.of(counted) as f64;
            let exact = Estimate {
                estimate: count,
                low: count,
                high: count,
            };
            (counted, Shown::to_others(exact))
        });
        let told: Vec<(Counted, Shown)> = told.collect();
        let cells = told.iter().map(|(counted, shown)| Cell {
            by: by(*counted),
            families: Told::of(*shown),
        });
        TableOfDay {
            table: table.name().to_owned(),
            total: Told::of(total(told.iter().map(|(_, shown)| *shown))),
            cells: cells.collect(),
        }
    }
}

/// What tells a cell from the others of its table.
pub(crate) fn by(counted: Counted) -> Vec<By> {
    let dimensions = counted.table().dimensions().iter().zip(counted.values());
    let by = dimensions.map(|(dimension, value)| By {
        name: dimension.name().to_owned(),
        is: value.to_owned(),
    });
    by.collect()
}

impl Told {
    fn of(shown: Shown) -> Told {
        Told {
            estimate: shown.estimate.map(|estimate| estimate as u64),
            low: shown.low as u64,
            high: shown.high as u64,
            disclosure: shown.disclosure.name().to_owned(),
            shown: shown.to_string(),
        }
    }
}
