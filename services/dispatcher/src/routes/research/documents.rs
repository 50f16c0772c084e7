use serde::{Deserialize, Serialize};
use tocsin_research::{DataSheet, DataSheetColumn, DataSheetSection, DataSheetTable};
use tocsin_store::ResearchDay;
use tocsin_wire::document::instant;
use utoipa::ToSchema;

/// A page of the days that are published.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResearchDaysDocument {
    /// The days, ascending.
    pub days: Vec<ListedResearchDayDocument>,
    /// Pass it as `after` to read on; null where there are no more now.
    pub next: Option<String>,
}

/// A published day.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedResearchDayDocument {
    /// The day, UTC: `YYYY-MM-DD`.
    pub day: String,
    /// The version of its tables.
    pub version: u32,
    /// When it was published, RFC 3339.
    pub published_at: Option<String>,
    /// How many parties took part.
    pub populations: u64,
    /// SHA-256 of its JSON, 64 hexadecimal digits: it never changes.
    pub digest: String,
}

/// What was published of a day. It is kept as it was written; this describes its form.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResearchDayDocument {
    /// The version of its tables and of what they mean.
    pub version: u32,
    /// The day, UTC: `YYYY-MM-DD`.
    pub day: String,
    /// The parties that took part for the whole of the day, by name.
    pub populations: Vec<ResearchPopulationDocument>,
}

/// What happened to the families of one party on its platforms.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResearchPopulationDocument {
    /// The party.
    pub party: String,
    /// Its platforms.
    pub platforms: Vec<String>,
    /// All tables, always.
    pub tables: Vec<ResearchTableDocument>,
}

/// A table.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResearchTableDocument {
    /// Its name: what it counts stands in the data sheet.
    pub table: String,
    /// The sum of what is told of its cells.
    pub total: ResearchNumberDocument,
    /// All of its cells, always.
    pub cells: Vec<ResearchCellDocument>,
}

/// A cell.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResearchCellDocument {
    /// What tells it from the others.
    pub by: Vec<ResearchByDocument>,
    /// How many families are in it.
    pub families: ResearchNumberDocument,
}

/// A value of a dimension.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResearchByDocument {
    /// The dimension, as `content`.
    pub name: String,
    /// Its value.
    pub is: String,
}

/// A number of families as it is told.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResearchNumberDocument {
    /// The rounded number; null where only the bounds are told.
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

/// The data sheet of the daily aggregates.
#[derive(Debug, Serialize, ToSchema)]
pub struct DataSheetDocument {
    /// What it describes.
    pub title: &'static str,
    /// The version of the tables that it describes.
    pub version: u32,
    /// The questions of "Datasheets for Datasets", answered.
    pub sections: Vec<DataSheetSectionDocument>,
    /// The tables of a day.
    pub tables: Vec<DataSheetTableDocument>,
    /// What tells cells apart.
    pub dimensions: Vec<DataSheetDimensionDocument>,
    /// The columns of the CSV; the same names stand in the JSON.
    pub columns: Vec<DataSheetColumnDocument>,
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
#[derive(Debug, Serialize, ToSchema)]
pub struct DataSheetSectionDocument {
    /// Its name.
    pub name: &'static str,
    /// What there is to say.
    pub answers: Vec<String>,
}

/// A table of a day, described.
#[derive(Debug, Serialize, ToSchema)]
pub struct DataSheetTableDocument {
    /// Its name.
    pub name: &'static str,
    /// What it counts.
    pub counts: &'static str,
    /// In what.
    pub unit: &'static str,
    /// What its times run from and to; null where it has none.
    pub times: Option<&'static str>,
    /// What tells its cells apart.
    pub dimensions: Vec<&'static str>,
    /// Its cells: of each the values of the dimensions, in their order.
    pub cells: Vec<Vec<&'static str>>,
}

/// What tells cells apart.
#[derive(Debug, Serialize, ToSchema)]
pub struct DataSheetDimensionDocument {
    /// Its name.
    pub name: &'static str,
    /// What its values mean.
    pub meaning: &'static str,
}

/// A column of the CSV.
#[derive(Debug, Serialize, ToSchema)]
pub struct DataSheetColumnDocument {
    /// Its name.
    pub name: &'static str,
    /// In what.
    pub unit: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

impl ResearchDaysDocument {
    pub(super) fn of(days: &[ResearchDay], is_more: bool) -> ResearchDaysDocument {
        let listed = days.iter().map(|day| ListedResearchDayDocument {
            day: day.day.to_string(),
            version: day.version,
            published_at: instant(day.published_at),
            populations: day.populations,
            digest: day.digest.clone(),
        });
        ResearchDaysDocument {
            days: listed.collect(),
            next: days.last().filter(|_| is_more).map(|day| day.day.to_string()),
        }
    }
}

impl DataSheetDocument {
    pub(super) fn of(sheet: DataSheet) -> DataSheetDocument {
        let section = |of: DataSheetSection| DataSheetSectionDocument {
            name: of.name,
            answers: of.answers,
        };
        let table = |of: DataSheetTable| DataSheetTableDocument {
            name: of.name,
            counts: of.counts,
            unit: of.unit,
            times: of.times,
            dimensions: of.dimensions,
            cells: of.cells.into_iter().map(|cell| cell.0).collect(),
        };
        let column = |of: DataSheetColumn| DataSheetColumnDocument {
            name: of.name,
            unit: of.unit,
            meaning: of.meaning,
        };
        let dimensions = sheet.dimensions.into_iter().map(|of| DataSheetDimensionDocument {
            name: of.name,
            meaning: of.meaning,
        });
        DataSheetDocument {
            title: sheet.title,
            version: sheet.version,
            sections: sheet.sections.into_iter().map(section).collect(),
            tables: sheet.tables.into_iter().map(table).collect(),
            dimensions: dimensions.collect(),
            columns: sheet.columns.into_iter().map(column).collect(),
            suppressed_below: sheet.suppressed_below,
            retention: sheet.retention,
            licence: sheet.licence,
            contact: sheet.contact,
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a published day is of the form that is described.
    #![allow(clippy::unwrap_used)]

    use tocsin_model::Timestamp;
    use tocsin_report::Day;
    use tocsin_research::{Counts, Publication};

    use super::*;

    #[test]
    fn a_published_day_is_of_the_form_that_is_described() {
        let party = (
            "alpha".parse().unwrap(),
            vec!["app".parse().unwrap()],
            Counts::default(),
        );
        let published = serde_json::to_string(&Publication::of(Day::of(Timestamp(0)), [party])).unwrap();
        let described: ResearchDayDocument = serde_json::from_str(&published).unwrap();
        assert_eq!(serde_json::to_string(&described).unwrap(), published);
    }
}
