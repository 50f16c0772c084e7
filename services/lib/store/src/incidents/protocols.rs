use tocsin_incident::{ProtocolVersion, Refusal};
use tocsin_protocol::{Protocol, SHIPPED};

use crate::database::Transaction;
use crate::{Store, StoreError};

/// A protocol and its file.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredProtocol {
    /// The protocol.
    pub protocol: Protocol,
    /// The file it was read from.
    pub text: String,
}

impl StoredProtocol {
    /// Reads a protocol from its file.
    ///
    /// # Errors
    /// [`StoreError::ProtocolRefused`].
    pub fn parse(text: &str) -> Result<StoredProtocol, StoreError> {
        let protocol = Protocol::parse(text).map_err(StoreError::ProtocolRefused)?;
        Ok(StoredProtocol {
            protocol,
            text: text.to_owned(),
        })
    }
}

impl Store {
    /// Adds a protocol beside those that are shipped, so that incidents can be declared under it.
    ///
    /// # Errors
    /// [`StoreError::ProtocolRefused`]; [`StoreError::ProtocolTaken`], also by a shipped one; or the database failed.
    pub async fn add_protocol(&self, text: &str) -> Result<ProtocolVersion, StoreError> {
        let added = StoredProtocol::parse(text)?;
        let failed = StoreError::database("add a protocol");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let version = ProtocolVersion {
            name: added.protocol.name.clone(),
            version: added.protocol.version,
        };
        if let Some(known) = find(&mut transaction, &version).await?
            && known.text != added.text
        {
            let ProtocolVersion { name, version } = version;
            return Err(StoreError::ProtocolTaken { name, version });
        }
        keep(&mut transaction, &added, now).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(version)
    }

    /// The protocols that incidents can be declared under: those added, those kept by incidents, and those shipped; by name and version.
    ///
    /// # Errors
    /// The database failed.
    pub async fn protocols(&self) -> Result<Vec<StoredProtocol>, StoreError> {
        let failed = StoreError::database("read the protocols");
        let rows = self
            .database()
            .fetch("SELECT text FROM protocols", &[])
            .await
            .map_err(&failed)?;
        let mut protocols = Vec::new();
        for row in &rows {
            protocols.push(StoredProtocol::parse(&row.text("text").map_err(&failed)?)?);
        }
        for (_, text) in SHIPPED {
            protocols.push(StoredProtocol::parse(text)?);
        }
        let key = |stored: &StoredProtocol| (stored.protocol.name.clone(), stored.protocol.version);
        // Stable: what is stored stands before what is shipped under the same name and version.
        protocols.sort_by_key(key);
        protocols.dedup_by_key(|stored| key(stored));
        Ok(protocols)
    }

    /// A protocol, in one version.
    ///
    /// # Errors
    /// [`Refusal::NoSuchProtocol`], or the database failed.
    pub async fn protocol(&self, version: &ProtocolVersion) -> Result<StoredProtocol, StoreError> {
        let begun = self.database().begin_reading().await;
        let mut transaction = begun.map_err(StoreError::database("read a protocol"))?;
        let found = find(&mut transaction, version).await?;
        found.ok_or_else(|| Refusal::NoSuchProtocol.into())
    }
}

/// What is stored goes before what is shipped: an incident keeps what it was declared under.
pub(super) async fn find(
    transaction: &mut Transaction,
    version: &ProtocolVersion,
) -> Result<Option<StoredProtocol>, StoreError> {
    let failed = StoreError::database("read a protocol");
    let sql = "SELECT text FROM protocols WHERE name = $1 AND version = $2";
    let values = [version.name.as_str().into(), i64::from(version.version).into()];
    let rows = transaction.fetch(sql, &values).await.map_err(&failed)?;
    if let Some(row) = rows.first() {
        return StoredProtocol::parse(&row.text("text").map_err(&failed)?).map(Some);
    }
    let shipped = SHIPPED.iter().find(|(name, _)| *name == version.name);
    let shipped = shipped.map(|(_, text)| StoredProtocol::parse(text)).transpose()?;
    Ok(shipped.filter(|shipped| shipped.protocol.version == version.version))
}

/// Keeps a protocol for ever.
pub(super) async fn keep(
    transaction: &mut Transaction,
    stored: &StoredProtocol,
    now: tocsin_model::Timestamp,
) -> Result<(), StoreError> {
    transaction
        .execute(
            "INSERT INTO protocols (name, version, text, added_at) VALUES ($1, $2, $3, $4) ON CONFLICT (name, version) DO NOTHING",
            &[
                stored.protocol.name.as_str().into(),
                i64::from(stored.protocol.version).into(),
                stored.text.as_str().into(),
                now.into(),
            ],
        )
        .await
        .map(drop)
        .map_err(StoreError::database("keep a protocol"))
}
