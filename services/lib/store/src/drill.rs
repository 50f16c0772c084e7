//! Stores of drills: a schema of its own in PostgreSQL, or a file of its own, with a mark in it that says which drill it is of. A store of real things
//! has no such mark, and neither is ever opened as the other.

use tocsin_model::{DrillId, Name};

use crate::database::{Database, Row, is_postgres};
use crate::endpoint::{ToldOf, read_endpoints};
use crate::{Endpoint, EndpointKind, NewEndpoint, Store, StoreError};

/// The schema of a drill's tables in PostgreSQL.
fn schema(drill: DrillId) -> String {
    format!("drill_{drill}")
}

impl EndpointKind {
    /// Whether an endpoint of this kind may be registered for drills: what it gets says in itself that it is of one. The tools that review have no place for
    /// that, and their people would take it for real.
    pub fn takes_drills(self) -> bool {
        matches!(self, EndpointKind::Webhook | EndpointKind::Kafka)
    }
}

impl Store {
    /// Makes the store of a drill: in the PostgreSQL database of `url` a schema of its own, in SQLite the file of `url`, which must be no other store's.
    /// Nothing outside the schema can be named through it.
    ///
    /// # Errors
    /// The database cannot be reached, or something stands there already: [`StoreError::DrillTaken`].
    pub async fn make_drill(url: &str, drill: DrillId, scenario: &str) -> Result<Store, StoreError> {
        if is_postgres(url) {
            let name = schema(drill);
            if !Database::make_schema(url, &name).await? {
                return Err(StoreError::DrillTaken { drill });
            }
        }
        let node = crate::COMMAND_NODE.parse().expect("it is a name");
        let store = Store::assemble(
            open_database(url, drill).await?,
            crate::Clock::Database,
            node,
            Some(drill),
        );
        let failed = StoreError::database("mark the store of a drill");
        let mut transaction = store.database().begin().await.map_err(&failed)?;
        let held = "SELECT (SELECT count(*) FROM drill_mark) + (SELECT count(*) FROM parties) + (SELECT count(*) FROM api_keys) AS held";
        let rows = transaction.fetch(held, &[]).await.map_err(&failed)?;
        let held = rows
            .first()
            .map(|row| row.integer("held"))
            .transpose()
            .map_err(&failed)?;
        if held != Some(0) {
            transaction.rollback().await.map_err(&failed)?;
            store.close().await;
            return Err(StoreError::DrillTaken { drill });
        }
        let now = store.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let values = [drill.to_string().into(), scenario.into(), now.into()];
        let mark = "INSERT INTO drill_mark (drill_id, scenario, made_at) VALUES ($1, $2, $3)";
        transaction.execute(mark, &values).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(store)
    }

    /// Opens the store that [`Store::make_drill`] made, for a process that writes the audit chain of `node`.
    ///
    /// # Errors
    /// As [`Store::open`]; or it is not this drill's: [`StoreError::NotOfDrill`].
    pub async fn open_drill(url: &str, drill: DrillId, node: Name) -> Result<Store, StoreError> {
        let database = open_database(url, drill).await?;
        if marked(&database).await? != Some(drill) {
            database.close().await;
            return Err(StoreError::NotOfDrill { drill });
        }
        Ok(Store::assemble(database, crate::Clock::Database, node, Some(drill)))
    }

    /// Removes the schema of a drill with everything in it; of a store in SQLite there is nothing to remove but its file. What is not there is removed
    /// already.
    ///
    /// # Errors
    /// The database failed, or the schema has not this drill's mark: [`StoreError::NotOfDrill`].
    pub async fn remove_drill(url: &str, drill: DrillId) -> Result<(), StoreError> {
        match is_postgres(url) {
            true => match Database::remove_schema(url, &schema(drill), &drill.to_string()).await? {
                true => Ok(()),
                false => Err(StoreError::NotOfDrill { drill }),
            },
            false => Ok(()),
        }
    }

    /// The drill that this store is of; `None`: its things are real.
    pub fn drill(&self) -> Option<DrillId> {
        self.inner.drill
    }

    /// Adds an endpoint that is told of what happens in drills, and never of anything real.
    ///
    /// # Errors
    /// As [`Store::add_endpoint`]; or [`StoreError::KindNotForDrills`].
    pub async fn add_endpoint_for_drills(&self, endpoint: &NewEndpoint) -> Result<(), StoreError> {
        match endpoint.kind.takes_drills() {
            true => self.add(endpoint, ToldOf::Drills).await,
            false => Err(StoreError::KindNotForDrills { kind: endpoint.kind }),
        }
    }

    /// The endpoints that are registered for drills and not disabled, of the coordinators and of parties that are not revoked, by name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn endpoints_for_drills(&self) -> Result<Vec<Endpoint>, StoreError> {
        let now = self.now().await.map_err(StoreError::database("ask the clock"))?;
        let rest = "WHERE e.drill = 1 AND e.disabled_at IS NULL AND (e.team = 1 OR EXISTS (SELECT 1 FROM parties p \
             WHERE p.party_id = e.team - 2 AND p.revoked_at IS NULL)) ORDER BY e.endpoint";
        read_endpoints(self.database(), (rest, &[]), now).await
    }
}

/// The database of a drill, with nothing else in reach.
async fn open_database(url: &str, drill: DrillId) -> Result<Database, StoreError> {
    match is_postgres(url) {
        true => Database::open_schema(url, &schema(drill)).await,
        false => Database::open(url).await,
    }
}

/// The drill whose mark a database has.
pub(crate) async fn marked(database: &Database) -> Result<Option<DrillId>, StoreError> {
    let failed = StoreError::database("look for the mark of a drill");
    let rows = database
        .fetch("SELECT drill_id FROM drill_mark", &[])
        .await
        .map_err(&failed)?;
    let id = |row: &Row| {
        let text = row.text("drill_id").map_err(&failed)?;
        text.parse().map_err(|_| StoreError::Malformed { field: "drill_id" })
    };
    rows.first().map(id).transpose()
}
