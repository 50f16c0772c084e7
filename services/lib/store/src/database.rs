//! The two databases behind one small face: text of a statement with `$1`-style parameters, which both understand, and a closed list of
//! column types. sqlx's own `Any` driver was passed over: it hides `BEGIN IMMEDIATE`, which SQLite needs so that a transaction that reads
//! before it writes waits for its turn instead of failing.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection as _, Postgres, Row as _, Sqlite};
use tocsin_model::Timestamp;

use crate::{StoreError, migrations};

/// Connections kept to PostgreSQL, or readers of an SQLite file.
const CONNECTIONS_MAX: u32 = 8;
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// So long after it was used a connection to PostgreSQL is taken to stand.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How long SQLite waits for another process (the command line beside a running service).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A database.
pub(crate) enum Database {
    /// SQLite allows one writer: writers of this process queue for one connection, readers have their own.
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    /// PostgreSQL.
    Postgres(PgPool),
}

/// A transaction that will write.
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// A parameter of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Integer(Option<i64>),
    Real(f64),
    Text(Option<String>),
    Bytes(Vec<u8>),
}

/// Which rows a `SELECT` locks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Locked {
    /// Cases (`cases c`), waiting for another transaction that holds them.
    Cases,
    /// Cases (`cases c`), passing over those another transaction holds.
    CasesNobodyHolds,
    /// Cases (`cases c`), waiting for another transaction that holds them: others may keep them too, as whoever writes a step of their history does, and
    /// nobody holds them.
    CasesKept,
    /// The same, passing over those another transaction holds.
    CasesKeptNobodyHolds,
    /// Rows of the outbox (`decision_outbox o`), passing over those another transaction holds.
    OutboxRowsNobodyHolds,
    /// A key (`api_keys k`): others may look at it, and nobody changes it.
    KeyShared,
    /// A key (`api_keys k`), waiting for all who look at it; nobody else does meanwhile.
    Key,
    /// Deliveries (`deliveries d`), passing over those another transaction holds.
    DeliveriesNobodyHolds,
    /// The end of a chain (`audit_chains h`), waiting for another transaction that holds it. The last thing a transaction locks.
    ChainHead,
    /// Incidents (`incidents i`), waiting for another transaction that holds them.
    Incidents,
    /// Appeals or reviews (`appeals a`, `reviews a`), waiting for another transaction that holds them. After their case.
    Appeals,
    /// Appeals or reviews (`appeals a`, `reviews a`), passing over those another transaction holds.
    AppealsNobodyHolds,
    /// Preservations (`preservations p`), waiting for another transaction that holds them. After their case.
    Preservations,
    /// Preservations (`preservations p`), passing over those another transaction holds.
    PreservationsNobodyHolds,
}

/// A row of a result.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! bound {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query($sql);
        for value in $values {
            query = match value {
                Value::Integer(value) => query.bind(*value),
                Value::Real(value) => query.bind(*value),
                Value::Text(value) => query.bind(value.clone()),
                Value::Bytes(value) => query.bind(value.clone()),
            };
        }
        query
    }};
}

impl Database {
    pub(crate) async fn open(url: &str) -> Result<Database, StoreError> {
        let connect = StoreError::database("connect");
        if is_postgres(url) {
            return Database::open_postgres(postgres_options(url)?).await;
        }
        if !url.starts_with("sqlite:") {
            return Err(StoreError::UnknownUrl);
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(&connect)?
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A decision that was acknowledged survives a power failure.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .connect_with(options.clone())
        };
        let writer = pool(1).await.map_err(&connect)?;
        let migrations = migrations::sqlite().await.map_err(StoreError::Migrate)?;
        migrations.run(&writer).await.map_err(StoreError::Migrate)?;
        let readers = pool(CONNECTIONS_MAX).await.map_err(&connect)?;
        Ok(Database::Sqlite { writer, readers })
    }

    pub(crate) async fn open_postgres(options: PgConnectOptions) -> Result<Database, StoreError> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A connection is looked at when it goes back to the pool; one that was used a moment ago is not looked at again, for that is a round trip more for each
            // transaction and each statement outside one. What breaks in that moment is an error of whoever comes next, as it is of whoever was under way.
            .test_before_acquire(false)
            .before_acquire(|connection, of| {
                Box::pin(async move {
                    if of.idle_for >= TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options)
            .await
            .map_err(StoreError::database("connect"))?;
        let migrations = migrations::postgres().await.map_err(StoreError::Migrate)?;
        migrations.run(&pool).await.map_err(StoreError::Migrate)?;
        Ok(Database::Postgres(pool))
    }

    pub(crate) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        match self {
            Database::Sqlite { writer, .. } => writer.begin_with("BEGIN IMMEDIATE").await.map(Transaction::Sqlite),
            Database::Postgres(pool) => begin_whole(pool, "BEGIN").await,
        }
    }

    /// Whether writers wait for each other anyway.
    pub(crate) fn has_one_writer(&self) -> bool {
        matches!(self, Database::Sqlite { .. })
    }

    /// A transaction that only reads: it sees one state, and on SQLite waits for no writer and holds none up.
    pub(crate) async fn begin_reading(&self) -> Result<Transaction, sqlx::Error> {
        match self {
            Database::Sqlite { readers, .. } => readers.begin().await.map(Transaction::Sqlite),
            Database::Postgres(pool) => begin_whole(pool, POSTGRES_READ).await,
        }
    }

    /// Rows outside any transaction.
    pub(crate) async fn fetch(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            Database::Sqlite { readers, .. } => {
                let rows = bound!(sql, values).fetch_all(readers).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Database::Postgres(pool) => {
                let rows = bound!(sql, values).fetch_all(pool).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The database's clock.
    pub(crate) async fn now(&self) -> Result<Timestamp, sqlx::Error> {
        let rows = match self {
            Database::Sqlite { .. } => self.fetch(SQLITE_NOW, &[]).await?,
            Database::Postgres(_) => self.fetch(POSTGRES_NOW, &[]).await?,
        };
        rows.first()
            .ok_or(sqlx::Error::RowNotFound)?
            .integer("now_ms")
            .map(Timestamp)
    }

    pub(crate) async fn close(&self) {
        match self {
            Database::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Database::Postgres(pool) => pool.close().await,
        }
    }
}

/// Begins a transaction also when whoever asked has gone away meanwhile, and rolls it back then. sqlx counts a transaction only when the server has answered, so one
/// that is given up between would stay open on a connection that goes back to the pool: what follows there fails, whoever asks.
async fn begin_whole(pool: &PgPool, statement: &'static str) -> Result<Transaction, sqlx::Error> {
    // Whoever goes away while it waits for a connection waits no longer.
    let connection = pool.acquire().await?;
    let begun = tokio::spawn(sqlx::Transaction::begin(connection, Some(statement.into())));
    begun
        .await
        .map_err(|_| sqlx::Error::WorkerCrashed)?
        .map(Transaction::Postgres)
}

/// Whether a URL is one of PostgreSQL.
pub(crate) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

pub(crate) fn postgres_options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(StoreError::database("connect"))?;
    Ok(options.application_name("tocsin"))
}

// Without it each statement sees what was committed before the statement.
const POSTGRES_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

const SQLITE_NOW: &str = "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now_ms";
// Not now(): that is the time the transaction began, before any wait for a lock.
const POSTGRES_NOW: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now_ms";

impl Transaction {
    /// Runs a statement; how many rows it changed.
    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, sqlx::Error> {
        match self {
            Transaction::Sqlite(transaction) => {
                let result = bound!(sql, values).execute(&mut **transaction).await?;
                Ok(result.rows_affected())
            }
            Transaction::Postgres(transaction) => {
                let result = bound!(sql, values).execute(&mut **transaction).await?;
                Ok(result.rows_affected())
            }
        }
    }

    /// Waits until no other transaction of PostgreSQL that named this lock goes on; SQLite has one writer anyway. Whatever is read afterwards is what they left.
    pub(crate) async fn one_at_a_time(&mut self, lock: i64) -> Result<(), sqlx::Error> {
        match self {
            Transaction::Sqlite(_) => Ok(()),
            Transaction::Postgres(_) => self
                .fetch("SELECT CAST(pg_advisory_xact_lock($1) AS TEXT)", &[lock.into()])
                .await
                .map(drop),
        }
    }

    /// The rows of a statement.
    pub(crate) async fn fetch(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            Transaction::Sqlite(transaction) => {
                let rows = bound!(sql, values).fetch_all(&mut **transaction).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Transaction::Postgres(transaction) => {
                let rows = bound!(sql, values).fetch_all(&mut **transaction).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// What a `SELECT` ends in so that its rows that [`Locked`] names stay as they are until the end of the transaction. An SQLite transaction has
    /// the whole file to itself.
    pub(crate) fn for_update(&self, locked: Locked) -> &'static str {
        match (self, locked) {
            (Transaction::Sqlite(_), _) => "",
            (Transaction::Postgres(_), Locked::Cases) => " FOR UPDATE OF c",
            (Transaction::Postgres(_), Locked::CasesNobodyHolds) => " FOR UPDATE OF c SKIP LOCKED",
            (Transaction::Postgres(_), Locked::CasesKept) => " FOR KEY SHARE OF c",
            (Transaction::Postgres(_), Locked::CasesKeptNobodyHolds) => " FOR KEY SHARE OF c SKIP LOCKED",
            (Transaction::Postgres(_), Locked::OutboxRowsNobodyHolds) => " FOR UPDATE OF o SKIP LOCKED",
            (Transaction::Postgres(_), Locked::KeyShared) => " FOR SHARE OF k",
            (Transaction::Postgres(_), Locked::Key) => " FOR UPDATE OF k",
            (Transaction::Postgres(_), Locked::DeliveriesNobodyHolds) => " FOR UPDATE OF d SKIP LOCKED",
            (Transaction::Postgres(_), Locked::ChainHead) => " FOR UPDATE OF h",
            (Transaction::Postgres(_), Locked::Incidents) => " FOR UPDATE OF i",
            (Transaction::Postgres(_), Locked::Appeals) => " FOR UPDATE OF a",
            (Transaction::Postgres(_), Locked::AppealsNobodyHolds) => " FOR UPDATE OF a SKIP LOCKED",
            (Transaction::Postgres(_), Locked::Preservations) => " FOR UPDATE OF p",
            (Transaction::Postgres(_), Locked::PreservationsNobodyHolds) => " FOR UPDATE OF p SKIP LOCKED",
        }
    }

    /// Inserts rows into tables (each as `table (column, ...)`, with how many columns it has; of none of which there is no row) and runs a statement that changes others, which
    /// has the parameters from `$1` on. PostgreSQL does all of it as one statement: there each is a round trip, and whoever waits for what is locked waits for it.
    pub(crate) async fn write_all(
        &mut self,
        inserts: &[(&str, usize, &[Value])],
        (update, values): (&str, &[Value]),
    ) -> Result<(), sqlx::Error> {
        let inserts = inserts.iter().filter(|(_, _, values)| !values.is_empty());
        if matches!(self, Transaction::Sqlite(_)) {
            for (into, columns, values) in inserts {
                let rows = self.rows_from(1, values.len() / columns, *columns);
                self.execute(&format!("INSERT INTO {into} VALUES {rows}"), values)
                    .await?;
            }
            return self.execute(update, values).await.map(drop);
        }
        let mut all = values.to_vec();
        let mut parts = Vec::new();
        for (number, (into, columns, values)) in inserts.enumerate() {
            let rows = self.rows_from(all.len() + 1, values.len() / columns, *columns);
            parts.push(format!("w{number} AS (INSERT INTO {into} VALUES {rows})"));
            all.extend_from_slice(values);
        }
        let with = if parts.is_empty() { "" } else { "WITH " };
        let sql = format!("{with}{} {update}", parts.join(", "));
        self.execute(&sql, &all).await.map(drop)
    }

    /// The parameters of so many rows of a statement that has no others: `($1, $2), ($3, $4)` for two rows of two columns. SQLite looks the
    /// name of each parameter up among all of them, which takes most of the time of a long statement, so there they have none.
    pub(crate) fn rows(&self, rows: usize, columns: usize) -> String {
        self.rows_from(1, rows, columns)
    }

    fn rows_from(&self, first: usize, rows: usize, columns: usize) -> String {
        let row = |row: usize| {
            let name = |column: usize| match self {
                Transaction::Sqlite(_) => "?".to_owned(),
                Transaction::Postgres(_) => format!("${}", first + row * columns + column),
            };
            format!("({})", (0..columns).map(name).collect::<Vec<_>>().join(", "))
        };
        (0..rows).map(row).collect::<Vec<_>>().join(", ")
    }

    pub(crate) async fn now(&mut self) -> Result<Timestamp, sqlx::Error> {
        let sql = match self {
            Transaction::Sqlite(_) => SQLITE_NOW,
            Transaction::Postgres(_) => POSTGRES_NOW,
        };
        let rows = self.fetch(sql, &[]).await?;
        rows.first()
            .ok_or(sqlx::Error::RowNotFound)?
            .integer("now_ms")
            .map(Timestamp)
    }

    /// Ends the transaction without effect, and its locks with it. (A transaction that is only dropped is rolled back a little later, and
    /// until then other claimers pass over its rows.)
    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Transaction::Sqlite(transaction) => transaction.rollback().await,
            Transaction::Postgres(transaction) => transaction.rollback().await,
        }
    }

    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Transaction::Sqlite(transaction) => transaction.commit().await,
            Transaction::Postgres(transaction) => transaction.commit().await,
        }
    }
}

macro_rules! column {
    ($row:expr, $name:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($name),
            Row::Postgres(row) => row.try_get($name),
        }
    };
}

impl Row {
    pub(crate) fn integer(&self, name: &str) -> Result<i64, sqlx::Error> {
        column!(self, name)
    }

    pub(crate) fn integer_if_any(&self, name: &str) -> Result<Option<i64>, sqlx::Error> {
        column!(self, name)
    }

    pub(crate) fn real(&self, name: &str) -> Result<f64, sqlx::Error> {
        column!(self, name)
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, sqlx::Error> {
        column!(self, name)
    }

    pub(crate) fn text_if_any(&self, name: &str) -> Result<Option<String>, sqlx::Error> {
        column!(self, name)
    }

    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>, sqlx::Error> {
        column!(self, name)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Integer(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Value {
        Value::Integer(value)
    }
}

impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Value {
        Value::Integer(Some(value.0))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Real(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(Some(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(Some(value.to_owned()))
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Value {
        Value::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Value {
        Value::Bytes(value)
    }
}

/// `$3, $4, $5` for three values from the third on.
pub(crate) fn values_from(first: usize, count: usize) -> String {
    let names: Vec<String> = (first..first + count).map(|number| format!("${number}")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
