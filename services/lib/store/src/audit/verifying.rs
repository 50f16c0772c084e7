use std::collections::{BTreeMap, BTreeSet};

use tocsin_audit::{ChainHead, Checkpoint, Expected, Fault, Field, Head, Kept, Record, Verifier};
use tocsin_model::Name;

use super::reading::{ChainRow, chain_rows, heads, kept};
use super::team_number;
use crate::database::Transaction;
use crate::{Store, StoreError};

/// So many rows are read at a time.
const ROWS_AT_ONCE: u32 = 1_000;

/// What was found of all chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// Each chain that stands in the store or in a checkpoint, ascending by node.
    pub chains: Vec<ChainReport>,
}

/// What was found of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainReport {
    /// The chain.
    pub node: Name,
    /// Where what holds ends.
    pub holds_to: Head,
    /// How many personal fields of it are erased.
    pub erased: u64,
    /// The first thing that is wrong.
    pub fault: Option<ChainFault>,
}

/// What is wrong with a chain in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// The chain itself.
    #[error(transparent)]
    Chain(#[from] Fault),
    /// A clear text that is not the one its record was made with, or of a field that the record does not have.
    #[error("the field {} beside record {sequence} was altered", field.name())]
    Personal {
        /// The place of the record.
        sequence: u64,
        /// The field.
        field: Field,
    },
    /// The row says another team than the record: it would be found with other people's.
    #[error("record {sequence} is filed under another team")]
    Team {
        /// The place of the record.
        sequence: u64,
    },
}

impl AuditReport {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.chains.iter().all(|chain| chain.fault.is_none())
    }
}

impl Store {
    /// Reads every chain from its first record on and holds it to the checkpoints, and what lies beside it to the digests. All at one moment.
    ///
    /// # Errors
    /// The database failed. What is wrong with the chains is in the report.
    pub async fn verify_audit(&self, checkpoints: &[Checkpoint]) -> Result<AuditReport, StoreError> {
        let failed = StoreError::database("verify the audit chains");
        let mut reading = self.database().begin_reading().await.map_err(&failed)?;
        let ends: BTreeMap<Name, Head> = heads(&mut reading)
            .await?
            .into_iter()
            .map(|ChainHead { node, head }| (node, head))
            .collect();
        let promised = checkpoints.iter().flat_map(|checkpoint| &checkpoint.chains);
        let nodes: BTreeSet<&Name> = ends.keys().chain(promised.map(|chain| &chain.node)).collect();
        let mut chains = Vec::new();
        for node in nodes {
            let mut expected = Expected::default();
            for checkpoint in checkpoints {
                expected.add(checkpoint, node);
            }
            let end = ends.get(node).copied().unwrap_or(Head::EMPTY);
            expected.add_head(end);
            let mut chain = verify_chain(&mut reading, node, expected).await?;
            // Records behind the end were put there by nobody who appends.
            if chain.fault.is_none() && chain.holds_to.records > end.records {
                let records = end.records;
                chain.fault = Some(Fault::Rewritten { records }.into());
            }
            chains.push(chain);
        }
        reading.rollback().await.map_err(&failed)?;
        Ok(AuditReport { chains })
    }
}

async fn verify_chain(reading: &mut Transaction, node: &Name, expected: Expected) -> Result<ChainReport, StoreError> {
    let mut report = ChainReport {
        node: node.clone(),
        holds_to: Head::EMPTY,
        erased: 0,
        fault: None,
    };
    let mut verifier = Verifier::new(node.clone(), expected);
    let mut from = 0;
    loop {
        let rows = chain_rows(reading, node, from, (None, ROWS_AT_ONCE)).await?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            break;
        };
        let mut beside = kept(reading, node, (first.sequence, last.sequence), None).await?;
        for row in &rows {
            let kept = beside.remove(&row.sequence).unwrap_or_default();
            match verify_row(&mut verifier, row, &kept) {
                Ok(erased) => report.erased += erased,
                Err(fault) => {
                    report.fault = Some(fault);
                    return Ok(report);
                }
            }
            report.holds_to = verifier.head();
        }
        from = last.sequence + 1;
    }
    report.fault = verifier.finish().err().map(ChainFault::Chain);
    Ok(report)
}

/// Reads a row and what lies beside it; how many of its fields are erased.
fn verify_row(verifier: &mut Verifier, row: &ChainRow, kept: &[Kept]) -> Result<u64, ChainFault> {
    let sequence = row.sequence;
    let record: Record = verifier.read(sequence, &row.body, &row.hash)?;
    if record.team.map(team_number) != row.team {
        return Err(ChainFault::Team { sequence });
    }
    match kept
        .iter()
        .find(|kept| !record.is_of(kept.field, &kept.salt, &kept.clear))
    {
        Some(kept) => Err(ChainFault::Personal {
            sequence,
            field: kept.field,
        }),
        None => Ok(record.personal.len().saturating_sub(kept.len()) as u64),
    }
}
