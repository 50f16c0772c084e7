//! Goal: casework keeps what the state machine decides, whichever dispatcher is asked and whatever happens at the same time.
#![allow(clippy::unwrap_used, dead_code)]

mod acknowledgement_bounds;
mod acknowledgements;
mod alerts;
mod appeal_families;
mod appeal_filings;
mod appeals;
mod care;
mod contents;
mod fan_out;
#[path = "../fixture/mod.rs"]
mod fixture;
mod glances;
mod leases;
mod merges;
mod notice_edges;
mod notices;
mod observed;
mod order;
mod overturns;
mod reviews;
mod shared;
mod standings;
mod steps;
mod views;
mod weighings;

use tocsin_casework::{Case, CaseState, Filter, Refusal, Team};
use tocsin_model::{KeyId, Milliseconds};
use tocsin_store::{QueueQuery, Store, StoreError};

const ANNA: KeyId = KeyId(0xa);
const BEN: KeyId = KeyId(0xb);

async fn queue(store: &Store, team: Team, state: CaseState) -> Vec<Case> {
    let query = QueueQuery {
        team,
        state,
        filter: Filter::default(),
        urgent_within: Milliseconds(0),
        limit: QueueQuery::LIMIT_MAX,
        after: None,
    };
    store.queue(&query).await.unwrap().cases
}

fn refusal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Refusal {
    match result {
        Err(StoreError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}
