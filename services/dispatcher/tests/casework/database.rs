//! An empty database of each kind.

use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Executor as _};

/// Runs a test with the URL of an empty database: of SQLite, then of PostgreSQL if there is one.
pub async fn on_empty(test: impl AsyncFn(String)) {
    let directory = tempfile::tempdir().unwrap();
    test(format!("sqlite:{}", directory.path().join("store.db").display())).await;

    let Ok(server) = std::env::var("TOCSIN_TEST_POSTGRES") else {
        eprintln!("skipped on PostgreSQL: TOCSIN_TEST_POSTGRES is not set");
        return;
    };
    let options = PgConnectOptions::from_str(&server).unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let database = format!("tocsin_test_{:032x}", rand::random::<u128>());
    connection
        .execute(format!("CREATE DATABASE {database}").as_str())
        .await
        .unwrap();
    test(url_of(&server, &database)).await;
    connection
        .execute(format!("DROP DATABASE {database} WITH (FORCE)").as_str())
        .await
        .unwrap();
}

/// The server's URL with another database's name.
fn url_of(server: &str, database: &str) -> String {
    let (address, parameters) = server.split_once('?').map_or((server, None), |(a, p)| (a, Some(p)));
    let (scheme, rest) = address.split_once("://").unwrap();
    let authority = rest.split('/').next().unwrap();
    let parameters = parameters
        .map(|parameters| format!("?{parameters}"))
        .unwrap_or_default();
    format!("{scheme}://{authority}/{database}{parameters}")
}
