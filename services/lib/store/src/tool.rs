use std::collections::BTreeMap;

use tocsin_casework::ToolAddress;
use tocsin_model::{Name, PartyId, PlatformId};

use crate::database::Value;
use crate::party::{number, raise_version};
use crate::{Store, StoreError};

impl Store {
    /// Says where a platform's people look at contents, or that it is said no more. A change of the registry.
    ///
    /// # Errors
    /// [`StoreError::NoSuchPlatform`], or the database failed.
    pub async fn set_tool(&self, platform: &Name, address: Option<&ToolAddress>) -> Result<(), StoreError> {
        let failed = StoreError::database("set the tool of a platform");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let version = raise_version(&mut transaction).await.map_err(&failed)?;
        let address = address.map(|address| address.as_str().to_owned());
        let rows = transaction
            .fetch(
                "UPDATE platforms SET tool = $2 WHERE name = $1 RETURNING party_id",
                &[platform.as_str().into(), address.into()],
            )
            .await
            .map_err(&failed)?;
        let party = rows.first().ok_or_else(|| StoreError::NoSuchPlatform {
            platform: platform.clone(),
        })?;
        let party = number(party, "party_id")?;
        transaction
            .execute(
                "UPDATE parties SET version = $2 WHERE party_id = $1",
                &[i64::from(party).into(), version.into()],
            )
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// The tools of all platforms that have one, and whose the platforms are. What does not read as an address, as nothing that [`Store::set_tool`] wrote, is left out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tools(&self) -> Result<BTreeMap<PlatformId, (PartyId, ToolAddress)>, StoreError> {
        let failed = StoreError::database("read the tools of platforms");
        let rows = self
            .database()
            .fetch(
                "SELECT platform_id, party_id, tool FROM platforms WHERE tool IS NOT NULL",
                &[] as &[Value],
            )
            .await
            .map_err(&failed)?;
        let mut tools = BTreeMap::new();
        for row in &rows {
            let platform = PlatformId(number(row, "platform_id")?);
            if let Ok(address) = row.text("tool").map_err(&failed)?.parse() {
                tools.insert(platform, (PartyId(number(row, "party_id")?), address));
            }
        }
        Ok(tools)
    }
}
