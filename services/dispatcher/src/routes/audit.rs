//! The audit chains, for those who audit.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tocsin_audit::SigningKey;
use tocsin_model::{Name, Scope};
use tocsin_runtime::{Problem, http, problem};
use tocsin_store::{AUDIT_PAGE_MAX, AuditRecord, PageOf, Principal, Role, Subject};
use tocsin_wire::Names;
use tocsin_wire::document::{CheckpointDocument, instant};
use utoipa::{IntoParams, ToSchema};

use super::answered;
use super::refused::{NotAudited, Refused};
use crate::{Dispatcher, problems};

const LIMIT_DEFAULT: u32 = 100;
/// The most chains that a cursor names: there is one for each kind of node.
const CURSOR_CHAINS_MAX: usize = 64;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditParameters {
    /// `next` of the page before; from the first records on when absent.
    pub after: Option<String>,
    /// How many records at most: 1 to 500, by default 100.
    pub limit: Option<u32>,
}

/// A page of the audit chains: one chain after the other, each in order.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditDocument {
    /// The records.
    pub records: Vec<AuditRecordDocument>,
    /// Pass it as `after` to read on, now or when there is more.
    pub next: String,
    /// Whether more stand there now.
    pub more: bool,
}

/// Something that somebody did.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditRecordDocument {
    /// The chain: the kind of node that wrote it.
    pub node: String,
    /// Its place in the chain, from 0.
    pub sequence: u64,
    /// When, by the store's clock, RFC 3339.
    pub at: Option<String>,
    /// `read`, `stream_went_on`, `commanded`, `decided`, `withdrawn`, `key_issued`, `key_revoked`, `party_added`, `party_revoked`,
    /// `party_changed`, `endpoint_added`, `endpoint_changed`, `erased`, `group_changed`, `answered` (an appeal), `preserved`, `exported`, `signed_in`, `signed_out`, `account_bound`,
    /// `account_unbound`, `link_issued`, `certificate_bound` or `certificate_unbound`.
    pub action: &'static str,
    /// For whom the key speaks with which it was done: `operator`, `coordinators` or a party's name; null where it was done by a command on the store
    /// itself.
    pub team: Option<String>,
    /// What it was done to: a route, a name.
    pub object: String,
    /// What else is known of it.
    pub detail: String,
    /// What names or may name a person, and what it was about where only the team that did it may know.
    pub personal: Vec<AuditPersonalDocument>,
    /// Where the chain ended with it: SHA-256, 64 hexadecimal digits.
    pub hash: String,
}

/// A field that is in the chain as a digest alone.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPersonalDocument {
    /// `key`, `person`, `about` or `rationale`.
    pub field: &'static str,
    /// What stands in the chain: a salted SHA-256, 64 hexadecimal digits.
    pub digest: String,
    /// The text, for those whose team did it; null where it is another's, or was erased.
    pub clear: Option<String>,
}

/// The audit chains. An operator's auditor sees all records, those of a party or of the coordinators what was done with their own keys; clear text
/// is for the team that did it alone.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "audit",
    operation_id = "read_audit",
    params(AuditParameters),
    responses(
        (status = 200, description = "A page", body = AuditDocument),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotAudited
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_audit(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    parameters: Result<Query<AuditParameters>, QueryRejection>,
) -> Response {
    let read = async {
        let auditor = dispatcher.auditor(&headers).await?;
        let invalid = |detail: &str| Problem::new(problem::INVALID_PARAMETER).with_detail(detail);
        let Query(parameters) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        let limit = parameters.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=AUDIT_PAGE_MAX).contains(&limit) {
            return Err(invalid("limit: 1 to 500"));
        }
        let after = read_cursor(parameters.after.as_deref().unwrap_or_default());
        let of = PageOf {
            team: match auditor.subject {
                Subject::Operator => None,
                Subject::Coordinators | Subject::Party(..) => Some(auditor.scope()),
            },
            after: after.ok_or_else(|| invalid("after: not the `next` of a page"))?,
            limit,
        };
        let page = dispatcher.store.audit_page(&of).await;
        let page = page.map_err(|error| problems::of_store(&error))?;
        let names = dispatcher.names();
        Ok(AuditDocument {
            records: page
                .records
                .into_iter()
                .map(|one| document(one, &auditor, &names))
                .collect(),
            next: cursor(&page.next),
            more: page.more,
        })
    };
    answered(&dispatcher, "read_audit", read.await)
}

/// A signed checkpoint of all audit chains as they stand now. Keep it: `tocsin audit verify` finds by it what is changed later.
#[utoipa::path(
    get,
    path = "/v1/audit/checkpoint",
    tag = "audit",
    operation_id = "read_audit_checkpoint",
    responses(
        (status = 200, description = "The checkpoint", body = CheckpointDocument),
        Refused,
        NotAudited
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_checkpoint(State(dispatcher): State<Arc<Dispatcher>>, headers: HeaderMap) -> Response {
    let read = async {
        dispatcher.auditor(&headers).await?;
        let checkpoint = dispatcher.store.audit_checkpoint().await;
        let checkpoint = checkpoint.map_err(|error| problems::of_store(&error))?;
        let key = SigningKey::from_seed(&dispatcher.links.key.checkpoint_seed());
        Ok(CheckpointDocument::from(&key.sign(checkpoint)))
    };
    answered(&dispatcher, "read_audit_checkpoint", read.await)
}

impl Dispatcher {
    async fn auditor(&self, headers: &HeaderMap) -> Result<Principal, Problem> {
        let key = http::bearer_token(headers).ok_or(problem::UNAUTHENTICATED)?;
        let principal = self.store.authenticate(key).await;
        let principal = principal.map_err(|error| problems::of_store(&error))?;
        let principal = principal.ok_or(problem::UNAUTHENTICATED)?;
        match principal.has(Role::Auditor) {
            true => Ok(principal),
            false => Err(problem::FORBIDDEN.into()),
        }
    }
}

fn document(one: AuditRecord, auditor: &Principal, names: &Names) -> AuditRecordDocument {
    let record = one.record;
    // Commands on the store itself are the operators'.
    let is_own = record.team.unwrap_or(Scope::All) == auditor.scope();
    let personal = one.personal.into_iter().map(|personal| AuditPersonalDocument {
        field: personal.field.name(),
        digest: hex::encode(personal.digest),
        clear: personal.clear.filter(|_| is_own),
    });
    AuditRecordDocument {
        node: record.node.to_string(),
        sequence: record.sequence,
        at: instant(record.at),
        action: record.action.name(),
        team: record.team.map(|team| match team {
            Scope::All => "operator".to_owned(),
            Scope::Coordinators => "coordinators".to_owned(),
            Scope::Party(party) => {
                let name = names.parties.get(&party);
                name.map_or_else(|| format!("party-{}", party.0), ToString::to_string)
            }
        }),
        object: record.object,
        detail: record.detail,
        personal: personal.collect(),
        hash: hex::encode(one.hash),
    }
}

/// `node:records`, separated by commas.
fn cursor(next: &BTreeMap<Name, u64>) -> String {
    let parts: Vec<String> = next.iter().map(|(node, records)| format!("{node}:{records}")).collect();
    parts.join(",")
}

/// What [`cursor`] wrote; `None` for any other text.
fn read_cursor(text: &str) -> Option<BTreeMap<Name, u64>> {
    if text.is_empty() {
        return Some(BTreeMap::new());
    }
    let mut after = BTreeMap::new();
    for part in text.split(',') {
        let (node, records) = part.split_once(':')?;
        if after.len() == CURSOR_CHAINS_MAX || after.insert(node.parse().ok()?, records.parse().ok()?).is_some() {
            return None;
        }
    }
    Some(after)
}

#[cfg(test)]
mod tests {
    //! Goal: a cursor reads back, and no other text is one.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_cursor_reads_back_and_no_other_text_is_one() {
        let next: BTreeMap<Name, u64> = [("command", 3), ("query", u64::MAX)]
            .map(|(node, records)| (node.parse().unwrap(), records))
            .into();
        assert_eq!(read_cursor(&cursor(&next)), Some(next));
        assert_eq!(read_cursor(""), Some(BTreeMap::new()));
        let many = (0..=CURSOR_CHAINS_MAX)
            .map(|node| format!("n{node}:1"))
            .collect::<Vec<_>>()
            .join(",");
        for wrong in [
            "x",
            "query:-1",
            "query:1,",
            "query:1,query:1",
            "Query:1",
            ":1",
            "query:18446744073709551616",
            &many,
        ] {
            assert_eq!(read_cursor(wrong), None, "{wrong}");
        }
    }
}
