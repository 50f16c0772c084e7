use crate::language::{Finding, Known, Logic};
use crate::truth::Truth;

/// A table of outcomes over two axes of bands, as consequence and virality.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Its name.
    pub name: String,
    /// What may come out, from the least to the gravest.
    pub outcomes: Vec<String>,
    /// The axis that the rows stand for.
    pub rows: Axis,
    /// The axis that the columns stand for.
    pub columns: Axis,
    /// The number of an outcome for each band of the rows and of the columns.
    pub cells: Vec<Vec<usize>>,
}

/// What one side of a matrix measures.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// From the least to the gravest; never empty.
    pub bands: Vec<Band>,
}

/// A stretch of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// Its name.
    pub name: String,
    /// When it holds, in the language of criteria. The first band, which has none, holds where no other does.
    pub when: Option<String>,
    pub(crate) logic: Option<Logic>,
}

/// Which bands of an axis are possible, and why.
pub(crate) struct Placed {
    /// The numbers of the bands, ascending; never empty.
    pub(crate) possible: Vec<usize>,
    pub(crate) findings: Vec<Finding>,
}

impl Axis {
    /// What holds is the highest band that is met: every band that may be met, down to the highest that surely is.
    pub(crate) fn place(&self, known: &Known<'_>) -> Placed {
        let mut findings = Vec::new();
        let results: Vec<Truth> = self
            .bands
            .iter()
            .map(|band| {
                band.logic
                    .as_ref()
                    .map_or(Truth::Met, |when| when.evaluate(known, &mut findings))
            })
            .collect();
        let surely = results.iter().rposition(|truth| *truth == Truth::Met).unwrap_or(0);
        let possible = (surely..results.len())
            .filter(|band| results[*band] != Truth::NotMet)
            .collect();
        Placed { possible, findings }
    }
}

impl Matrix {
    /// The lowest and the highest outcome that possible bands leave.
    pub(crate) fn outcome(&self, rows: &[usize], columns: &[usize]) -> (usize, usize) {
        let cell = |row: &usize, column: &usize| self.cells.get(*row).and_then(|cells| cells.get(*column)).copied();
        let outcomes = rows
            .iter()
            .flat_map(|row| columns.iter().filter_map(move |column| cell(row, column)));
        outcomes.fold((usize::MAX, 0), |(low, high), outcome| {
            (low.min(outcome), high.max(outcome))
        })
    }
}
