//! What each party holds of hashes, one by one.

use std::collections::BTreeMap;

use tocsin_model::{ContentHash, Name, Opinion, Timestamp};

use super::entries::opinion;
use super::{VALUES_PER_STATEMENT, hash_at, place, place_of};
use crate::database::{Value, values_from};
use crate::{Store, StoreError};

/// What a party holds of a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldOpinion {
    /// Of which hash.
    pub hash: ContentHash,
    /// Which party.
    pub party: Name,
    /// What.
    pub opinion: Opinion,
    /// Since when, by the store's clock, the first where it says so in several lists; `None` of one that a list brought, or a version before.
    pub held_at: Option<Timestamp>,
}

impl Store {
    /// What parties hold of these hashes in the banks that are in use, by hash, then by party, at most `limit`. What a party says in several lists is told once. A `reader` who
    /// is a party is told what it holds itself, and what lists brought of those who are no parties here; `None`: all.
    ///
    /// # Errors
    /// The database failed.
    pub async fn held_opinions(
        &self,
        hashes: &[ContentHash],
        reader: Option<&Name>,
        limit: u32,
    ) -> Result<Vec<HeldOpinion>, StoreError> {
        let failed = StoreError::database("read what parties hold of hashes");
        let mut by_algorithm: BTreeMap<i64, Vec<Vec<u8>>> = BTreeMap::new();
        for (algorithm, value) in hashes.iter().map(place) {
            by_algorithm.entry(algorithm).or_default().push(value);
        }
        let mut held = Vec::new();
        for (algorithm, values) in &by_algorithm {
            for chunk in values.chunks(VALUES_PER_STATEMENT) {
                let mut named: Vec<Value> = vec![(*algorithm).into(), i64::from(limit).into()];
                let told = match reader {
                    Some(reader) => {
                        named.push(reader.as_str().into());
                        " AND (o.party = $3 OR o.party NOT IN (SELECT a.name FROM parties a))"
                    }
                    None => "",
                };
                let first = named.len() + 1;
                named.extend(chunk.iter().map(|value| Value::from(value.clone())));
                let sql = format!(
                    "SELECT o.algorithm, o.value, o.party, o.opinion, min(o.held_at) AS held_at FROM watch_banks b \
                     JOIN watch_opinions o ON o.list = b.list WHERE b.enabled = 1 AND o.algorithm = $1 AND o.value IN ({}){told} \
                     GROUP BY o.algorithm, o.value, o.party, o.opinion ORDER BY o.value, o.party, o.opinion LIMIT $2",
                    values_from(first, chunk.len())
                );
                for row in &self.database().fetch(&sql, &named).await.map_err(&failed)? {
                    let (party, opinion) = opinion(row)?;
                    held.push(HeldOpinion {
                        hash: hash_at(place_of(row)?)?,
                        party,
                        opinion,
                        held_at: row.integer_if_any("held_at").map_err(&failed)?.map(Timestamp),
                    });
                }
            }
        }
        held.truncate(limit as usize);
        Ok(held)
    }
}
