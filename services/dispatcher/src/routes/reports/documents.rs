use serde::Serialize;
use tocsin_model::DrillId;
use tocsin_report::{Amount, Definition, Figure, Report, Section};
use utoipa::ToSchema;

/// A report. The same days, while nothing is told afterwards about them, give the same bytes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportDocument {
    /// The drill that it is of; absent: it is of what is real.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<String>,
    /// `transparency` or `terrorist_content`.
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
    /// How it was made, and what bounds all of it.
    pub how: Vec<&'static str>,
    /// Its parts.
    pub sections: Vec<ReportSectionDocument>,
}

/// A part of a report.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportSectionDocument {
    /// Its name.
    pub name: &'static str,
    /// The same for readers.
    pub title: &'static str,
    /// What its figures mean.
    pub definitions: Vec<ReportDefinitionDocument>,
    /// The figures.
    pub figures: Vec<ReportFigureDocument>,
}

/// What the figures of one name mean.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportDefinitionDocument {
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
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportFigureDocument {
    /// Its name: that of a definition.
    pub name: &'static str,
    /// What it is about, where there are several of its name.
    pub by: Vec<ReportByDocument>,
    /// `exact`, `between` or `unknown`.
    pub is: &'static str,
    /// At least so much; equal to `high` if it is exact. Null: it is not known.
    pub low: Option<u64>,
    /// At most so much.
    pub high: Option<u64>,
    /// Why it is not known.
    pub why: Option<&'static str>,
}

/// What a figure is about.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportByDocument {
    /// What figures are told apart by, as `platform`.
    pub name: &'static str,
    /// Which.
    pub is: String,
}

impl ReportDocument {
    pub(super) fn of(report: Report, drill: Option<DrillId>) -> ReportDocument {
        ReportDocument {
            drill: drill.map(|drill| drill.to_string()),
            report: report.report,
            version: report.version,
            team: report.team,
            from: report.from,
            to: report.to,
            is_over: report.is_over,
            how: report.how,
            sections: report.sections.into_iter().map(ReportSectionDocument::of).collect(),
        }
    }
}

impl ReportSectionDocument {
    fn of(section: Section) -> ReportSectionDocument {
        let definition = |of: Definition| ReportDefinitionDocument {
            name: of.name,
            counts: of.counts,
            from: of.from,
            bound: of.bound,
            unit: of.unit,
        };
        ReportSectionDocument {
            name: section.name,
            title: section.title,
            definitions: section.definitions.into_iter().map(definition).collect(),
            figures: section.figures.into_iter().map(ReportFigureDocument::of).collect(),
        }
    }
}

impl ReportFigureDocument {
    fn of(figure: Figure) -> ReportFigureDocument {
        let (is, low, high, why) = match figure.amount {
            Amount::Exact { amount } => ("exact", Some(amount), Some(amount), None),
            Amount::Between { low, high } => ("between", Some(low), Some(high), None),
            Amount::Unknown { why } => ("unknown", None, None, Some(why)),
        };
        let by = figure.by.into_iter().map(|by| ReportByDocument {
            name: by.name,
            is: by.is,
        });
        ReportFigureDocument {
            name: figure.name,
            by: by.collect(),
            is,
            low,
            high,
            why,
        }
    }
}
