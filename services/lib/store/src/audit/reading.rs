use std::collections::BTreeMap;

use tocsin_audit::{ChainHead, Checkpoint, Digest, Field, Kept, Record};
use tocsin_model::{Name, Scope};

use super::{head, team_number};
use crate::database::{Row, Transaction};
use crate::party::name;
use crate::{Store, StoreError};

/// The most records of a page.
pub const AUDIT_PAGE_MAX: u32 = 500;

/// Which page of the audit chains.
#[derive(Clone, Debug)]
pub struct PageOf {
    /// Of records of this team alone; `None`: of all.
    pub team: Option<Scope>,
    /// How many records of each chain are passed over. A chain that is not named is read from its first record on.
    pub after: BTreeMap<Name, u64>,
    /// How many records, 1 to [`AUDIT_PAGE_MAX`].
    pub limit: u32,
}

/// A page of the audit chains: one chain after the other, by name, each in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// The records.
    pub records: Vec<AuditRecord>,
    /// How many records of each chain are behind this page.
    pub next: BTreeMap<Name, u64>,
    /// Whether more stand there now.
    pub more: bool,
}

/// A record as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// The record.
    pub record: Record,
    /// Where the chain ended with it.
    pub hash: Digest,
    /// Its personal fields, ascending.
    pub personal: Vec<AuditPersonal>,
}

/// A personal field: its digest, and the clear text until it is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPersonal {
    /// What it is.
    pub field: Field,
    /// What stands in the record.
    pub digest: Digest,
    /// The text; `None`: erased.
    pub clear: Option<String>,
}

/// A row of a chain as it stands there, believed in nothing.
pub(super) struct ChainRow {
    pub sequence: u64,
    pub team: Option<i64>,
    pub body: Vec<u8>,
    pub hash: Vec<u8>,
}

impl Store {
    /// A page of the audit chains.
    ///
    /// # Errors
    /// The database failed, or a row is none that was written: [`Store::verify_audit`] says more.
    pub async fn audit_page(&self, of: &PageOf) -> Result<AuditPage, StoreError> {
        let failed = StoreError::database("read the audit chains");
        let limit = of.limit.clamp(1, AUDIT_PAGE_MAX) as usize;
        let mut reading = self.database().begin_reading().await.map_err(&failed)?;
        let mut page = AuditPage {
            records: Vec::new(),
            next: of.after.clone(),
            more: false,
        };
        for chain in heads(&mut reading).await? {
            let after = of.after.get(&chain.node).copied().unwrap_or(0);
            let wanted = limit - page.records.len();
            // One more than is told, so that it is known whether there are more.
            let rows = chain_rows(&mut reading, &chain.node, after, (of.team, wanted as u32 + 1)).await?;
            let (told, is_cut) = (&rows[..rows.len().min(wanted)], rows.len() > wanted);
            page.records
                .extend(records(&mut reading, &chain.node, told, of.team).await?);
            page.more |= is_cut;
            let next = match (is_cut, told.last()) {
                (true, Some(last)) => last.sequence + 1,
                (true, None) => after,
                (false, _) => chain.head.records.max(after),
            };
            page.next.insert(chain.node, next);
        }
        reading.rollback().await.map_err(&failed)?;
        Ok(page)
    }

    /// Where all chains end at one moment: what is signed and given away.
    ///
    /// # Errors
    /// The database failed.
    pub async fn audit_checkpoint(&self) -> Result<Checkpoint, StoreError> {
        let failed = StoreError::database("read the ends of the audit chains");
        let at = self.now().await.map_err(&failed)?;
        let mut reading = self.database().begin_reading().await.map_err(&failed)?;
        let chains = heads(&mut reading).await?;
        reading.rollback().await.map_err(&failed)?;
        Ok(Checkpoint { at, chains })
    }
}

/// The chains, ascending by node.
pub(super) async fn heads(reading: &mut Transaction) -> Result<Vec<ChainHead>, StoreError> {
    let rows = reading
        .fetch("SELECT node, records, hash FROM audit_chains", &[])
        .await
        .map_err(StoreError::database("read the ends of the audit chains"))?;
    let chains = rows.iter().map(|row| {
        Ok(ChainHead {
            node: name(row, "node")?,
            head: head(row)?,
        })
    });
    let mut chains = chains.collect::<Result<Vec<_>, StoreError>>()?;
    // Not by the database, whose order of letters may be another.
    chains.sort_by(|one, other| one.node.cmp(&other.node));
    Ok(chains)
}

/// Rows of a chain from a place on, of one team or of all.
pub(super) async fn chain_rows(
    reading: &mut Transaction,
    node: &Name,
    from: u64,
    (team, limit): (Option<Scope>, u32),
) -> Result<Vec<ChainRow>, StoreError> {
    let failed = StoreError::database("read an audit chain");
    let of_team = if team.is_some() { " AND team = $4" } else { "" };
    let sql = format!(
        "SELECT sequence, team, body, hash FROM audit_records WHERE node = $1 AND sequence >= $2{of_team} ORDER BY sequence LIMIT $3"
    );
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    let mut values = vec![node.as_str().into(), from.into(), i64::from(limit).into()];
    values.extend(team.map(|team| team_number(team).into()));
    let rows = reading.fetch(&sql, &values).await.map_err(&failed)?;
    let row = |row: &Row| {
        Ok(ChainRow {
            sequence: row.integer("sequence").map_err(&failed)? as u64,
            team: row.integer_if_any("team").map_err(&failed)?,
            body: row.bytes("body").map_err(&failed)?,
            hash: row.bytes("hash").map_err(&failed)?,
        })
    };
    rows.iter().map(row).collect()
}

/// What lies beside the records of a chain from one place to another, both included, by place; of one team's records or of all.
pub(super) async fn kept(
    reading: &mut Transaction,
    node: &Name,
    (from, to): (u64, u64),
    team: Option<Scope>,
) -> Result<BTreeMap<u64, Vec<Kept>>, StoreError> {
    let failed = StoreError::database("read what lies beside the audit chain");
    // A team's records may lie far apart: what lies between them is not read.
    let of_team = match team {
        Some(_) => {
            " AND sequence IN (SELECT sequence FROM audit_records WHERE node = $1 AND sequence BETWEEN $2 AND $3 AND team = $4)"
        }
        None => "",
    };
    let sql = format!(
        "SELECT sequence, field, salt, clear FROM audit_personal WHERE node = $1 AND sequence BETWEEN $2 AND $3{of_team} ORDER BY sequence, field"
    );
    let mut values = vec![node.as_str().into(), (from as i64).into(), (to as i64).into()];
    values.extend(team.map(|team| team_number(team).into()));
    let rows = reading.fetch(&sql, &values).await.map_err(&failed)?;
    let mut kept: BTreeMap<u64, Vec<Kept>> = BTreeMap::new();
    for row in &rows {
        let field = u8::try_from(row.integer("field").map_err(&failed)?).ok();
        let salt = row.bytes("salt").map_err(&failed)?.try_into();
        let one = Kept {
            field: field
                .and_then(Field::from_number)
                .ok_or(StoreError::Malformed { field: "field" })?,
            salt: salt.map_err(|_| StoreError::Malformed { field: "salt" })?,
            clear: row.text("clear").map_err(&failed)?,
        };
        kept.entry(row.integer("sequence").map_err(&failed)? as u64)
            .or_default()
            .push(one);
    }
    Ok(kept)
}

async fn records(
    reading: &mut Transaction,
    node: &Name,
    rows: &[ChainRow],
    team: Option<Scope>,
) -> Result<Vec<AuditRecord>, StoreError> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(Vec::new());
    };
    let mut kept = kept(reading, node, (first.sequence, last.sequence), team).await?;
    let records = rows.iter().map(|row| {
        let record = Record::from_bytes(&row.body).map_err(|_| StoreError::Malformed { field: "body" })?;
        let kept = kept.remove(&row.sequence).unwrap_or_default();
        let personal = record.personal.iter().map(|(field, digest)| AuditPersonal {
            field: *field,
            digest: *digest,
            clear: kept
                .iter()
                .find(|kept| kept.field == *field)
                .map(|kept| kept.clear.clone()),
        });
        Ok(AuditRecord {
            personal: personal.collect(),
            hash: row
                .hash
                .as_slice()
                .try_into()
                .map_err(|_| StoreError::Malformed { field: "hash" })?,
            record,
        })
    });
    records.collect()
}
