//! The migrations of both databases, as `build.rs` compiled them in.

use std::borrow::Cow;
use std::future::ready;
use std::pin::Pin;

use sqlx::error::BoxDynError;
use sqlx::migrate::{MigrateError, Migration, MigrationSource, MigrationType, Migrator};

/// One of them.
#[derive(Debug)]
struct Embedded {
    version: i64,
    description: &'static str,
    text: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// Those of one database, in order.
#[derive(Clone, Copy, Debug)]
struct All(&'static [Embedded]);

impl MigrationSource<'static> for All {
    fn resolve(self) -> Pin<Box<dyn Future<Output = Result<Vec<Migration>, BoxDynError>> + Send + 'static>> {
        let migration = |embedded: &'static Embedded| {
            let (description, text) = (Cow::Borrowed(embedded.description), Cow::Borrowed(embedded.text));
            Migration::new(embedded.version, description, MigrationType::Simple, text, false)
        };
        Box::pin(ready(Ok(self.0.iter().map(migration).collect())))
    }
}

/// Those of SQLite.
///
/// # Errors
/// None that can be met: they are compiled in.
pub(crate) async fn sqlite() -> Result<Migrator, MigrateError> {
    Migrator::new(All(SQLITE_MIGRATIONS)).await
}

/// Those of PostgreSQL.
///
/// # Errors
/// None that can be met: they are compiled in.
pub(crate) async fn postgres() -> Result<Migrator, MigrateError> {
    Migrator::new(All(POSTGRES_MIGRATIONS)).await
}
