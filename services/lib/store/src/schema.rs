//! Schemas of PostgreSQL as databases of their own: for drills.

use sqlx::{ConnectOptions as _, Connection as _};

use crate::StoreError;
use crate::database::{Database, postgres_options};

/// `duplicate_schema` of PostgreSQL.
const DUPLICATE_SCHEMA: &str = "42P06";

impl Database {
    /// The tables of one schema of PostgreSQL. Names that the schema does not have are unknown: no other schema is looked through.
    pub(crate) async fn open_schema(url: &str, schema: &str) -> Result<Database, StoreError> {
        let options = postgres_options(url)?.options([("search_path", schema)]);
        let failed = StoreError::database("ask for the current schema");
        // A pooler in between may drop the option. What follows would then be done to the tables of another schema.
        let mut connection = options.connect().await.map_err(StoreError::database("connect"))?;
        let current = sqlx::query_scalar::<_, Option<String>>("SELECT current_schema()::text");
        let current = current.fetch_one(&mut connection).await.map_err(&failed)?;
        connection.close().await.map_err(&failed)?;
        if current.as_deref() != Some(schema) {
            return Err(StoreError::SchemaUnreached {
                schema: schema.to_owned(),
            });
        }
        Database::open_postgres(options).await
    }

    /// Makes a schema; `false`: there is one of this name. `schema` is lower-case letters, digits and `_`.
    pub(crate) async fn make_schema(url: &str, schema: &str) -> Result<bool, StoreError> {
        let failed = StoreError::database("make a schema");
        let mut connection = postgres_options(url)?.connect().await.map_err(&failed)?;
        let made = sqlx::query(&format!("CREATE SCHEMA {schema}"))
            .execute(&mut connection)
            .await;
        let made = match made {
            Ok(_) => true,
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(DUPLICATE_SCHEMA) => false,
            Err(error) => return Err(failed(error)),
        };
        connection.close().await.map_err(&failed)?;
        Ok(made)
    }

    /// Removes a schema with all its tables, if its mark is that of `drill` or nothing is in it; `false`: it is another's. What is not there counts as removed.
    pub(crate) async fn remove_schema(url: &str, schema: &str, drill: &str) -> Result<bool, StoreError> {
        let failed = StoreError::database("remove a schema");
        let mut connection = postgres_options(url)?.connect().await.map_err(&failed)?;
        let stands = sqlx::query("SELECT 1 FROM pg_namespace WHERE nspname = $1").bind(schema);
        let stands = stands.fetch_optional(&mut connection).await.map_err(&failed)?.is_some();
        let mut is_own = true;
        if stands {
            let things =
                "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 LIMIT 1";
            let things = sqlx::query(things).bind(schema).fetch_optional(&mut connection).await;
            // Whoever made it came no further.
            let is_empty = things.map_err(&failed)?.is_none();
            if !is_empty {
                let mark = format!("SELECT 1 FROM {schema}.drill_mark WHERE drill_id = $1");
                let mark = sqlx::query(&mark).bind(drill).fetch_optional(&mut connection).await;
                is_own = mark.map_err(&failed)?.is_some();
            }
            if is_own {
                let remove = format!("DROP SCHEMA {schema} CASCADE");
                sqlx::query(&remove).execute(&mut connection).await.map_err(&failed)?;
            }
        }
        connection.close().await.map_err(&failed)?;
        Ok(is_own)
    }
}
