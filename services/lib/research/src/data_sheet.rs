//! The data sheet of the daily aggregates, in the sections of T. Gebru et al., "Datasheets for Datasets", Communications of the ACM 64 (2021), 12.

use serde::Serialize;
use tocsin_suppression::SMALL;

use crate::VERSION;
use crate::counted::Counted;
use crate::table::{Dimension, TABLES, Table};

/// What only those who run the deployment can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment<'a> {
    /// Whom to ask; empty: nobody was named.
    pub contact: &'a str,
    /// When published days go, in words.
    pub retention: &'a str,
    /// So many hours after its end a day is published.
    pub published_after_hours: u32,
}

/// What the aggregates are, how they came about, and what they must not be taken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataSheet {
    /// What it describes.
    pub title: &'static str,
    /// The version of the tables that it describes. A day of another version says so.
    pub version: u32,
    /// The questions of the data sheet, answered.
    pub sections: Vec<DataSheetSection>,
    /// The tables of a day.
    pub tables: Vec<DataSheetTable>,
    /// What tells cells apart.
    pub dimensions: Vec<DataSheetDimension>,
    /// The columns of the CSV; the same names stand in the JSON.
    pub columns: Vec<DataSheetColumn>,
    /// A number below this one is told by its bounds alone.
    pub suppressed_below: u64,
    /// How long published days are kept.
    pub retention: String,
    /// Under which terms they may be used.
    pub licence: &'static str,
    /// Whom to ask.
    pub contact: String,
}

/// A section of the data sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataSheetSection {
    /// Its name in "Datasheets for Datasets".
    pub name: &'static str,
    /// What there is to say.
    pub answers: Vec<String>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataSheetTable {
    /// Its name.
    pub name: &'static str,
    /// What it counts.
    pub counts: &'static str,
    /// In what.
    pub unit: &'static str,
    /// What its times run from and to.
    pub times: Option<&'static str>,
    /// What tells its cells apart.
    pub dimensions: Vec<&'static str>,
    /// Its cells: the values of its dimensions.
    pub cells: Vec<DataSheetCell>,
}

/// A cell: the values of its table's dimensions, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataSheetCell(pub Vec<&'static str>);

/// A dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataSheetDimension {
    /// Its name.
    pub name: &'static str,
    /// What its values mean.
    pub meaning: &'static str,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataSheetColumn {
    /// Its name.
    pub name: &'static str,
    /// In what.
    pub unit: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

const LICENCE: &str = "For research on the spread of terrorist and violent extremist content and on what is done about it, by those to whom access was given. \
    Not to be used to find out who a person, an account or a single content is, nor to be put together with other data for that. Results may be published \
    with the days, the version and the data sheet; whoever wants to pass the data on asks the contact first.";

/// The data sheet of a deployment.
pub fn data_sheet(of: Deployment<'_>) -> DataSheet {
    DataSheet {
        title: "Tocsin: daily aggregates of families of violent and terrorist content, by party",
        version: VERSION,
        sections: sections(&of),
        tables: TABLES.map(described).into(),
        dimensions: Dimension::ALL
            .map(|dimension| DataSheetDimension {
                name: dimension.name(),
                meaning: dimension.meaning(),
            })
            .into(),
        columns: columns(),
        suppressed_below: SMALL,
        retention: of.retention.to_owned(),
        licence: LICENCE,
        contact: match of.contact {
            "" => "whoever runs this deployment and gave you the key".to_owned(),
            contact => contact.to_owned(),
        },
    }
}

fn described(table: Table) -> DataSheetTable {
    DataSheetTable {
        name: table.name(),
        counts: table.counts(),
        unit: "families",
        times: table.times(),
        dimensions: table.dimensions().iter().map(|dimension| dimension.name()).collect(),
        cells: Counted::all(table)
            .into_iter()
            .map(|cell| DataSheetCell(cell.values()))
            .collect(),
    }
}

fn sections(of: &Deployment<'_>) -> Vec<DataSheetSection> {
    let section = |name, answers: &[String]| DataSheetSection {
        name,
        answers: answers.to_vec(),
    };
    let say = |text: &str| text.to_owned();
    vec![
        section(
            "motivation",
            &[
                say(
                    "So that people who study how violent content spreads, and how fast and how rightly it is found, decided about and removed, need neither the contents nor the events of single cases.",
                ),
                say(
                    "Made by Tocsin from the casework of the parties that agreed, in each deployment by whoever runs it.",
                ),
            ],
        ),
        section(
            "composition",
            &[
                say(
                    "An instance is a number of families of contents (a content with its variants) of one party on one day, UTC, in one cell of one table. Every cell is always there, whether anything is in it or not.",
                ),
                say(
                    "A party is in it by name if it had agreed before the day began and still did when the day was published. Nothing of others' casework counts. The parties are no sample of all platforms.",
                ),
                say(
                    "There is no content, hash, id, account, person, free text, single family or hour in it. Nothing in it is offensive.",
                ),
                say(
                    "A family counts at most once in a table on a day, and in each table by something else that happened to it; a family that two parties have counts with each.",
                ),
            ],
        ),
        section(
            "collection",
            &[
                say(
                    "Alerts follow from events that platforms publish; decisions, notices and appeals are what the party's people did; removals are what its platforms' events confirm. The times are those of the store and, of what was first seen, of the platforms.",
                ),
                format!(
                    "A day is counted once, {} hours after its end, as the store knows it then, and stands for ever: what is told later of the day changes nothing.",
                    of.published_after_hours
                ),
            ],
        ),
        section(
            "preprocessing",
            &[
                format!(
                    "A number under {SMALL} is told as \"<{SMALL}\" (0 to {}), zero too. From {SMALL} on the nearest multiple of 5 is told, from 100 on two significant digits; low and high are the ends of what is rounded alike, so the true number is always between them.",
                    SMALL - 1
                ),
                say(
                    "A total is the sum of what is told of the cells, so where one of them is suppressed it has bounds alone. Complementary cells need no suppression of their own: each thing counts in one cell of one table, no two tables count the same, parties and days have nothing in common, and no total is made of true numbers, so no difference of published numbers is a suppressed one.",
                ),
                say("No noise is added. The raw counts are not kept."),
            ],
        ),
        section(
            "uses",
            &[
                say(
                    "For courses over weeks, comparisons of classes within a party, and shares where the bounds allow it. Carry low and high through every sum.",
                ),
                say(
                    "Not for comparing parties without care: how much a party publishes, whom it lists and how it decides differ. Not for saying how much violent content there is: what nobody published and nothing rang for is not counted. Verdicts are those of the party's people and may be wrong; `appealed` tells what was overturned.",
                ),
            ],
        ),
        section(
            "limits",
            &[
                say(
                    "Copies, accounts, views, refused uploads, surfaces, regions and languages are not in it: the casework store does not have them by day.",
                ),
                say(
                    "A cell of ten families may come from fewer than ten accounts: accounts are not known here, and nothing of them is told.",
                ),
                say(
                    "What another party shared with everybody may be why a family rang for this one. What others kept to themselves changes nothing here.",
                ),
                say(
                    "A family that was merged into another one before the day was published counts with that one; in noticed, where notices stay with the family that they were filed about, it may count beside it. One that is merged later may count again on the day of the other.",
                ),
                say("Of a decision that was changed only the first counts."),
                say(
                    "Whoever knows part of a number already, as the party itself, can narrow the rest to what it does not know.",
                ),
            ],
        ),
        section(
            "distribution",
            &[say(
                "Over the API, to keys with the role `researcher`, as JSON and as CSV. Every request is recorded in the audit chain. Nothing is made or given out in drills.",
            )],
        ),
        section(
            "maintenance",
            &[
                say(
                    "A published day is never changed; its digest (SHA-256 of the JSON) stands in the list of days. Other tables, cells or meanings get another version, and days keep theirs.",
                ),
                say(
                    "A party that no longer takes part is in no day that is published from then on; published days stay.",
                ),
            ],
        ),
    ]
}

fn columns() -> Vec<DataSheetColumn> {
    let column = |name, unit, meaning| DataSheetColumn { name, unit, meaning };
    let mut columns = vec![
        column(
            "version",
            "number",
            "the version of the tables when the day was published",
        ),
        column("day", "day, UTC", "YYYY-MM-DD"),
        column("party", "name", "whose families they are"),
        column("table", "name", "what is counted"),
        column(
            "row",
            "name",
            "cell, or total for the sum of what is told of the cells of the table",
        ),
    ];
    columns.extend(Dimension::ALL.map(|dimension| column(dimension.name(), "class", dimension.meaning())));
    columns.extend([
        column(
            "estimate",
            "families",
            "the rounded number; empty where only the bounds are told",
        ),
        column("low", "families", "at least so many"),
        column("high", "families", "at most so many"),
        column(
            "disclosure",
            "name",
            "rounded, or suppressed where the number or a part of it is under 10",
        ),
    ]);
    columns
}

#[cfg(test)]
mod tests {
    //! Goal: the data sheet describes what is published, all of it.
    #![allow(clippy::unwrap_used)]

    use tocsin_model::Timestamp;
    use tocsin_report::Day;

    use super::*;
    use crate::{Counts, Publication, csv};

    fn sheet(contact: &str) -> DataSheet {
        data_sheet(Deployment {
            contact,
            retention: "never",
            published_after_hours: 24,
        })
    }

    #[test]
    fn every_table_cell_and_column_is_described() {
        let party = ("alpha".parse().unwrap(), Vec::new(), Counts::default());
        let published = Publication::of(Day::of(Timestamp(0)), [party]);
        let sheet = sheet("");
        let tables = &published.populations[0].tables;
        assert_eq!(tables.len(), sheet.tables.len());
        for (table, described) in tables.iter().zip(&sheet.tables) {
            assert_eq!(table.table, described.name);
            let cells = table.cells.iter().map(|cell| {
                let values = cell.by.iter().zip(&described.dimensions);
                values
                    .map(|(by, dimension)| {
                        assert_eq!(by.name, *dimension);
                        by.is.as_str()
                    })
                    .collect::<Vec<_>>()
            });
            let described: Vec<Vec<&str>> = described.cells.iter().map(|cell| cell.0.clone()).collect();
            assert_eq!(cells.collect::<Vec<_>>(), described);
        }
        let text = csv(&published);
        let names: Vec<&str> = sheet.columns.iter().map(|column| column.name).collect();
        assert_eq!(text.lines().next().unwrap(), names.join(","));
        let widths = text.lines().map(|line| line.split(',').count());
        assert!(widths.into_iter().all(|width| width == names.len()), "{text}");
    }

    #[test]
    fn whom_to_ask_is_told_if_somebody_was_named() {
        assert_eq!(sheet("data@example.org").contact, "data@example.org");
        assert!(sheet("").contact.contains("runs this deployment"));
    }
}
