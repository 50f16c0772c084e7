use serde::{Deserialize, Serialize};
use tocsin_incident::{Command, IncidentId, Pack, Refusal};
use tocsin_model::{Algorithm, ContentHash, ContentId, FamilyId};

use super::{Asking, FORMAT, IncidentChanged, IncidentTold};
use crate::database::{Database, Transaction};
use crate::{Store, StoreError};

/// A hash that is given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedHash {
    /// The strongest hash of a content.
    pub hash: ContentHash,
    /// Of a content of this family.
    pub family: FamilyId,
    /// Whether every reader may see that content: otherwise it is the coordinators' alone.
    pub for_all: bool,
}

/// A pack of an incident.
#[derive(Clone, Debug)]
pub struct IncidentPack {
    /// The incident, as it is read.
    pub told: IncidentTold,
    /// The pack.
    pub pack: Pack,
    /// Its hashes.
    pub hashes: Vec<PackedHash>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    algorithm: String,
    value: String,
    quality: Option<u8>,
    family: String,
    for_all: bool,
}

impl Store {
    /// Makes a pack of these hashes, and keeps them with it.
    ///
    /// # Errors
    /// As [`Store::command_incident`].
    pub async fn make_pack(
        &self,
        asking: Asking,
        about: (IncidentId, Option<u64>),
        hashes: &[PackedHash],
    ) -> Result<IncidentChanged, StoreError> {
        let count = u32::try_from(hashes.len()).unwrap_or(u32::MAX);
        let command = Command::MakePack { hashes: count };
        self.change_incident(asking, about, (&command, hashes)).await
    }

    /// A pack of an incident, also one that was withdrawn.
    ///
    /// # Errors
    /// [`Refusal::NoSuchPack`], or as [`Store::incident`].
    pub async fn pack(&self, asking: Asking, id: IncidentId, number: u32) -> Result<IncidentPack, StoreError> {
        let told = self.incident(asking, id).await?;
        let pack = told.incident.packs.iter().find(|pack| pack.number == number);
        let pack = pack.cloned().ok_or(Refusal::NoSuchPack)?;
        let hashes = hashes(self.database(), id, number).await?;
        let hashes = hashes.ok_or(StoreError::Malformed { field: "pack" })?;
        Ok(IncidentPack { told, pack, hashes })
    }

    /// The secret seed of the Ed25519 key (RFC 8032) that packs are signed with: made when it is first asked for, and the same ever after.
    ///
    /// # Errors
    /// The database failed.
    pub async fn pack_signing_seed(&self) -> Result<[u8; 32], StoreError> {
        let failed = StoreError::database("read the key of packs");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let seed: [u8; 32] = rand::random();
        transaction
            .execute(
                "INSERT INTO signing_keys (purpose, seed, made_at) VALUES ('packs', $1, $2) ON CONFLICT (purpose) DO NOTHING",
                &[seed.to_vec().into(), now.into()],
            )
            .await
            .map_err(&failed)?;
        let rows = transaction
            .fetch("SELECT seed FROM signing_keys WHERE purpose = 'packs'", &[])
            .await;
        let rows = rows.map_err(&failed)?;
        let row = rows.first().ok_or(StoreError::Malformed { field: "seed" })?;
        let kept = row.bytes("seed").map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        kept.try_into().map_err(|_| StoreError::Malformed { field: "seed" })
    }
}

/// The hashes of a pack, whoever asks. `None`: there is none.
pub(super) async fn hashes(
    database: &Database,
    id: IncidentId,
    number: u32,
) -> Result<Option<Vec<PackedHash>>, StoreError> {
    let sql = "SELECT format, document FROM incident_packs WHERE incident_id = $1 AND number = $2";
    let values = [id.to_string().into(), i64::from(number).into()];
    let rows = database.fetch(sql, &values).await;
    let rows = rows.map_err(StoreError::database("read a pack"))?;
    let Some(row) = rows.first() else { return Ok(None) };
    let stored: Vec<Stored> = super::document(row, "pack")?;
    stored.into_iter().map(Stored::read).collect::<Result<_, _>>().map(Some)
}

pub(super) async fn keep(
    transaction: &mut Transaction,
    (incident, number): (IncidentId, u32),
    hashes: &[PackedHash],
) -> Result<(), StoreError> {
    let stored: Vec<Stored> = hashes.iter().map(Stored::of).collect();
    let document = serde_json::to_string(&stored).expect("numbers, text and lists are always JSON");
    transaction
        .execute(
            "INSERT INTO incident_packs (incident_id, number, format, document) VALUES ($1, $2, $3, $4)",
            &[
                incident.to_string().into(),
                i64::from(number).into(),
                FORMAT.into(),
                document.into(),
            ],
        )
        .await
        .map(drop)
        .map_err(StoreError::database("keep a pack"))
}

impl Stored {
    fn of(packed: &PackedHash) -> Stored {
        Stored {
            algorithm: packed.hash.algorithm().name().to_owned(),
            value: packed.hash.value_text(),
            quality: packed.hash.quality(),
            family: packed.family.to_string(),
            for_all: packed.for_all,
        }
    }

    fn read(self) -> Result<PackedHash, StoreError> {
        let malformed = || StoreError::Malformed { field: "pack" };
        let algorithm = Algorithm::from_name(&self.algorithm).ok_or_else(malformed)?;
        Ok(PackedHash {
            hash: ContentHash::parse(algorithm, &self.value, self.quality).map_err(|_| malformed())?,
            family: FamilyId(ContentId::parse(&self.family).ok_or_else(malformed)?),
            for_all: self.for_all,
        })
    }
}
