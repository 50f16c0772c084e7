//! Goal: whatever table the store has, it is stated how long it is kept.

use std::collections::BTreeSet;

use sqlx::{Connection as _, Row as _, SqliteConnection};
use tocsin_wire::retention::{of_table, stated};

use crate::bench::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn of_every_table_it_is_stated_how_long_it_is_kept() {
    let bench = Bench::new().await;
    let url = format!("sqlite:{}", bench.directory.path().join("store.sqlite").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> '_sqlx_migrations'";
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    let tables: BTreeSet<String> = rows.iter().map(|row| row.get("name")).collect();
    let unstated: Vec<&String> = tables.iter().filter(|table| of_table(table).is_none()).collect();
    assert_eq!(
        unstated,
        Vec::<&String>::new(),
        "schemas/retention.toml does not say how long these are kept"
    );
    let gone: Vec<&String> = stated()
        .iter()
        .flat_map(|kind| &kind.tables)
        .filter(|table| !tables.contains(*table))
        .collect();
    assert_eq!(
        gone,
        Vec::<&String>::new(),
        "schemas/retention.toml names what is no table"
    );
}
