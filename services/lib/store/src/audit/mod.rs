//! The audit chain in the database: appended to inside the transaction of what it tells of, or in batches by [`Store::record`].

mod reading;
mod recorder;
mod verifying;

use std::borrow::Cow;

use tocsin_audit::{Action, Digest, Entry, Field, Head, Personal, Sealed};
use tocsin_model::{KeyId, Name, Timestamp};

use crate::database::{Locked, Row, Transaction, Value};
use crate::{KeySubject, Principal, Store, StoreError};

pub use reading::{AUDIT_PAGE_MAX, AuditPage, AuditPersonal, AuditRecord, PageOf};
pub(crate) use recorder::Recorder;
pub use recorder::{AUDIT_TIME_MAX, RECORDS_WAITING_MAX};
pub use verifying::{AuditReport, ChainFault, ChainReport};

/// What was changed from the command line, where nobody shows a key.
pub(crate) fn changed(action: Action, object: &str, detail: &str) -> Entry {
    Entry {
        action,
        team: None,
        object: object.to_owned(),
        detail: detail.to_owned(),
        personal: Vec::new(),
    }
}

/// What the audit chain says of a change of a key.
pub(crate) fn about_key(action: Action, subject: KeySubject, key: KeyId, person: Option<&str>) -> Entry {
    let person = person.map(|person| Personal::new(Field::Person, person));
    Entry {
        action,
        team: None,
        object: match subject {
            KeySubject::Operator => "operator".to_owned(),
            KeySubject::Coordinators => "coordinators".to_owned(),
            KeySubject::Party(party) => format!("party {}", party.0),
        },
        detail: String::new(),
        personal: std::iter::once(Personal::new(Field::Key, key.to_string()))
            .chain(person)
            .collect(),
    }
}

impl Principal {
    /// What the audit chain says of a request: the route in the clear, as `GET /v1/families/{id}`; what it is asked about as a personal field, since
    /// ids tell what exists, and hashes and addresses may lead to people.
    pub fn audited(&self, action: Action, route: String, about: Option<String>) -> Entry {
        let key = Personal::new(Field::Key, self.key_id.to_string());
        let about = about.map(|about| Personal::new(Field::About, about));
        Entry {
            action,
            team: Some(self.scope()),
            object: route,
            detail: String::new(),
            personal: std::iter::once(key).chain(about).collect(),
        }
    }
}

impl Store {
    /// Appends entries to the chain of this process. The end of the chain stays locked until the end of the transaction: nothing is locked
    /// after it.
    pub(crate) async fn append_audit(
        &self,
        transaction: &mut Transaction,
        now: Timestamp,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("append to the audit chain");
        let node = &self.inner.node;
        let mut head = lock_head(transaction, node).await?;
        let sealed: Vec<Sealed> = entries
            .iter()
            .map(|entry| head.append(node, now, &without_zeros(entry), rand::random))
            .collect();
        let (records, personal) = values(node, &sealed);
        let end: [Value; 3] = [
            node.as_str().into(),
            (head.records as i64).into(),
            head.hash.to_vec().into(),
        ];
        transaction
            .write_all(
                &[
                    (INTO_RECORDS, 5, records.as_slice()),
                    (INTO_PERSONAL, 5, personal.as_slice()),
                ],
                (NEW_END, &end),
            )
            .await
            .map_err(&failed)
    }

    /// Erases the clear text of every record that a key made or that is about it. The chain still holds: it has digests alone, and without their
    /// salts nobody finds out of what. How many fields were erased; that they were is a record.
    ///
    /// # Errors
    /// The database failed.
    pub async fn erase_audited(&self, key: KeyId) -> Result<u64, StoreError> {
        let failed = StoreError::database("erase clear text beside the audit chain");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let erased = transaction
            .execute(
                "DELETE FROM audit_personal WHERE (node, sequence) IN \
                 (SELECT node, sequence FROM audit_personal WHERE clear = $1 AND field = 1)",
                &[key.to_string().into()],
            )
            .await
            .map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let entry = changed(Action::Erased, "the records of a key", &format!("{erased} fields"));
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(erased)
    }
}

const INTO_RECORDS: &str = "audit_records (node, sequence, team, body, hash)";
const INTO_PERSONAL: &str = "audit_personal (node, sequence, field, salt, clear)";
const NEW_END: &str = "UPDATE audit_chains SET records = $2, hash = $3 WHERE node = $1";

/// PostgreSQL has no zeros in its text; what is digested is what is kept.
fn without_zeros(entry: &Entry) -> Cow<'_, Entry> {
    if !entry.personal.iter().any(|personal| personal.clear.contains('\0')) {
        return Cow::Borrowed(entry);
    }
    let mut entry = entry.clone();
    for personal in &mut entry.personal {
        personal.clear = personal.clear.replace('\0', "\u{fffd}");
    }
    Cow::Owned(entry)
}

async fn lock_head(transaction: &mut Transaction, node: &Name) -> Result<Head, StoreError> {
    let failed = StoreError::database("lock the end of the audit chain");
    let sql = format!(
        "SELECT h.records, h.hash FROM audit_chains h WHERE h.node = $1{}",
        transaction.for_update(Locked::ChainHead)
    );
    let values = [node.as_str().into()];
    if let Some(row) = transaction.fetch(&sql, &values).await.map_err(&failed)?.first() {
        return head(row);
    }
    // Of two that begin a chain at once one waits here for the other.
    transaction
        .execute(
            "INSERT INTO audit_chains (node, records, hash) VALUES ($1, 0, $2) ON CONFLICT (node) DO NOTHING",
            &[node.as_str().into(), Head::EMPTY.hash.to_vec().into()],
        )
        .await
        .map_err(&failed)?;
    let rows = transaction.fetch(&sql, &values).await.map_err(&failed)?;
    head(rows.first().ok_or(StoreError::Malformed { field: "node" })?)
}

/// The parameters of the records, and of what lies beside them.
fn values(node: &Name, sealed: &[Sealed]) -> (Vec<Value>, Vec<Value>) {
    let (mut records, mut personal) = (Vec::new(), Vec::new());
    for sealed in sealed {
        let place = || [Value::from(node.as_str()), Value::from(sealed.record.sequence as i64)];
        records.extend(place());
        records.push(sealed.record.team.map(team_number).into());
        records.push(sealed.bytes.clone().into());
        records.push(sealed.hash.to_vec().into());
        for kept in &sealed.kept {
            personal.extend(place());
            personal.push((kept.field as i64).into());
            personal.push(kept.salt.to_vec().into());
            personal.push(kept.clear.as_str().into());
        }
    }
    (records, personal)
}

/// 0 operator, 1 coordinators, 2 + party number, as in the body of a record.
fn team_number(scope: tocsin_model::Scope) -> i64 {
    i64::from(scope.own_class().number())
}

fn head(row: &Row) -> Result<Head, StoreError> {
    let failed = StoreError::database("read the end of an audit chain");
    Ok(Head {
        records: row.integer("records").map_err(&failed)? as u64,
        hash: digest(row)?,
    })
}

fn digest(row: &Row) -> Result<Digest, StoreError> {
    let hash = row
        .bytes("hash")
        .map_err(StoreError::database("read the audit chain"))?;
    hash.try_into().map_err(|_| StoreError::Malformed { field: "hash" })
}
