//! Goal: of a day researchers are told what truly happened to the families of those who take part, rounded, once, in the same bytes for ever and on both
//! databases; and nothing of others, of days that are not over, or of small numbers.
#![allow(clippy::unwrap_used, dead_code)]

mod counted;
mod desk;
#[path = "../fixture/mod.rs"]
mod fixture;
mod institutes;
mod published;

use tocsin_model::{Milliseconds, Timestamp};
use tocsin_report::Day;
use tocsin_research::{Publication, Told};
use tocsin_store::RESEARCH_AFTER;

use fixture::{Fixture, START};

/// So many days after that on which the clock begins, at 8 o'clock.
fn day(number: i64) -> Day {
    Day::of(Timestamp(START.0 + Milliseconds::from_hours(24 * number).0))
}

/// Lets the clock stand this long after the day began.
async fn go_to(f: &Fixture, day: Day, after: Milliseconds) {
    let now = f.store.time().await.unwrap();
    let until = day.begins() + after;
    assert!(until >= now, "time goes on");
    f.clock.advance(Milliseconds(until.0 - now.0));
}

/// Lets the clock stand where a day is due.
async fn go_to_publication(f: &Fixture, day: Day) {
    go_to(f, day.next(), RESEARCH_AFTER).await;
}

async fn publication(f: &Fixture, day: Day) -> Publication {
    let published = f.store.research_day(day).await.unwrap().unwrap();
    serde_json::from_str(&published.document).unwrap()
}

/// What is told of the cell with these values in a party's table; `total` is its sum.
fn told(publication: &Publication, party: &str, table: &str, cell: &str) -> Told {
    let population = publication.populations.iter().find(|of| of.party == party).unwrap();
    let table = population.tables.iter().find(|of| of.table == table).unwrap();
    if cell == "total" {
        return table.total.clone();
    }
    let found = table.cells.iter().find(|of| {
        let values: Vec<&str> = of.by.iter().map(|by| by.is.as_str()).collect();
        values.join(" ") == cell
    });
    found.unwrap_or_else(|| panic!("no cell {cell}")).families.clone()
}

fn shown(publication: &Publication, party: &str, table: &str, cell: &str) -> String {
    told(publication, party, table, cell).shown
}
