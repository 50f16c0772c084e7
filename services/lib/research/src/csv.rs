use std::fmt::Write as _;

use crate::publication::{By, Publication, Told};
use crate::table::Dimension;

/// A published day as CSV (RFC 4180): one line for each cell and one for the total of each table, in the order of the publication, under a line with the
/// columns' names. Nothing in it needs quotes: names of parties and platforms have none of a comma, a quote or the end of a line.
pub fn csv(publication: &Publication) -> String {
    let mut out = String::from("version,day,party,table,row");
    for dimension in Dimension::ALL {
        let _ = write!(out, ",{}", dimension.name());
    }
    out.push_str(",estimate,low,high,disclosure\r\n");
    for population in &publication.populations {
        for table in &population.tables {
            let about = format!(
                "{},{},{},{}",
                publication.version, publication.day, population.party, table.table
            );
            for cell in &table.cells {
                line(&mut out, &about, ("cell", &cell.by), &cell.families);
            }
            line(&mut out, &about, ("total", &[]), &table.total);
        }
    }
    out
}

fn line(out: &mut String, about: &str, (row, by): (&str, &[By]), told: &Told) {
    let _ = write!(out, "{about},{row}");
    for dimension in Dimension::ALL {
        let value = by.iter().find(|by| by.name == dimension.name());
        let _ = write!(out, ",{}", value.map_or("", |by| by.is.as_str()));
    }
    let estimate = told.estimate.map(|estimate| estimate.to_string()).unwrap_or_default();
    let _ = write!(out, ",{estimate},{},{},{}\r\n", told.low, told.high, told.disclosure);
}
