//! Preservations: placing and ending them here, reading them in `list`, those of orders from before in `earlier`, making their copies in `sealing`, their columns in `row`. Whatever changes one holds its
//! row, so entries of its custody come one after another; they are written with what they tell of.

mod case_rows;
mod earlier;
mod list;
mod row;
mod sealing;

use std::collections::BTreeMap;

use tocsin_audit::{Action, Entry, Field, Personal};
use tocsin_casework::{Case, CaseId, Refusal, Team};
use tocsin_evidence::{
    Act, Basis, Chain, Digest, Origin, Preservation, PreservationCommand, PreservationEvent, PreservationId,
    PreservationRefusal, RUNNING_PER_CASE_MAX, RUNNING_PER_TEAM_MAX, SignedEntry, Signer,
};
use tocsin_model::{KeyId, PartyId, Timestamp};

pub use case_rows::{CASE_ROWS_PAGE, CaseRows, CaseRowsRead};
pub use earlier::{EARLIER_MAX, EarlierOrders};
pub use list::{PreservationCounts, PreservationPage, PreservationQuery};
pub use sealing::{EXPIRED_MAX, EndedCopy, SealClaim};

use crate::database::{Locked, Transaction, Value};
use crate::{Store, StoreError};
use row::{SELECT_PRESERVATIONS, preservation};

/// Who stands in the custody for what nobody asked for.
const NOBODY: &str = "tocsin";

/// A preservation with its custody, as it is handed out.
#[derive(Clone, Debug)]
pub struct Preserved {
    /// The preservation.
    pub preservation: Preservation,
    /// What was done with it, from the first entry on.
    pub custody: Vec<SignedEntry>,
    /// The store's time.
    pub now: Timestamp,
}

impl Store {
    /// From now on entries of custody are signed with this key, and removal orders and appeals that are filed place preservations. Said once, before anything
    /// else: what is said later changes nothing.
    pub fn keep_custody(&self, signer: Signer) {
        let _ = self.inner.custody.set(signer);
    }

    /// Places a preservation of a party's own case.
    ///
    /// # Errors
    /// [`PreservationRefusal`]; [`Refusal::NoSuchCase`], also for another team's; [`StoreError::KeyRevoked`]; [`StoreError::NoCustodyKey`]; or the database failed.
    pub async fn preserve(
        &self,
        (party, by): (PartyId, KeyId),
        case: CaseId,
        basis: &Basis,
    ) -> Result<(Preservation, Timestamp), StoreError> {
        let failed = StoreError::database("place a preservation");
        let signer = self.signer()?;
        basis.check()?;
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, by).await?;
        let team = Team::Party(party);
        let found = locked_case(&mut transaction, case).await?;
        if found.is_none_or(|found| found.team != team) {
            return give_up(transaction, Refusal::NoSuchCase).await;
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let of_case = running_of_case(&mut transaction, case, now).await?.len();
        let of_team = count_running(&mut transaction, team, now).await?;
        if of_case >= RUNNING_PER_CASE_MAX || of_team >= RUNNING_PER_TEAM_MAX {
            return give_up(transaction, PreservationRefusal::TooMany).await;
        }
        let what = (basis.clone(), Origin::Person(by));
        let placed = Preservation::place(PreservationId(rand::random()), (party, case), what, now)?;
        let noted = write_placed(&mut transaction, signer, (&placed, &by.to_string()), now).await?;
        let entry = audited((Action::Preserved, "placed", noted), &placed, Some((by, &basis.text)));
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok((placed, now))
    }

    /// Places what an order that is filed or carried out, or an appeal, asks for, in the transaction that does it. One that runs stands for it, for six months more,
    /// where its copy holds what this one's would: that of another part of the same order, and of an order that `is_answered`, and of another appeal, as long as its copy
    /// is still to be made; and the latest of a case that has as many as may run. Nothing where no key signs custody, or the team is no party. Two appeals at once that hold no case may both place one.
    pub(crate) async fn preserve_for(
        &self,
        transaction: &mut Transaction,
        (team, case): (Team, CaseId),
        (basis, origin, is_answered): (Basis, Origin, bool),
        (by, now): (Option<KeyId>, Timestamp),
    ) -> Result<(), StoreError> {
        let name = by.map_or_else(|| NOBODY.to_owned(), |by| by.to_string());
        let said = by.map(|by| (by, basis.text.as_str()));
        let (Some(signer), Team::Party(party)) = (self.inner.custody.get(), team) else {
            return Ok(());
        };
        let running = running_of_case(transaction, case, now).await?;
        let is_same = |other: &&Preservation| match (other.origin, origin) {
            (Origin::Notice(_), Origin::Notice(_)) => other.basis == basis && !(is_answered && other.copy.is_some()),
            // The copy that is still to be made holds all appeals.
            (Origin::Appeal(_), Origin::Appeal(_)) => other.copy.is_none(),
            _ => false,
        };
        let is_full = running.len() >= RUNNING_PER_CASE_MAX;
        let stands = running.iter().find(is_same);
        let stands = stands.or_else(|| running.last().filter(|_| is_full));
        if let Some(stands) = stands {
            let mut stands = locked(transaction, stands.id).await?;
            // It may have been released meanwhile.
            if stands.is_running(now) {
                if stands.stand_for_another(now) {
                    let detail = [
                        ("origin", origin.name().to_owned()),
                        ("origin_id", origin.id()),
                        ("reference", basis.reference.clone()),
                        ("until_ms", stands.until.0.to_string()),
                    ];
                    let act = (Act::StoodFor, detail_of(detail));
                    let noted = write(transaction, signer, (&stands, &name), act, now).await?;
                    let entry = audited((Action::Preserved, "stood_for", noted), &stands, said);
                    self.append_audit(transaction, now, &[entry]).await?;
                }
                return Ok(());
            }
        }
        let id = PreservationId(rand::random());
        let placed = Preservation::place(id, (party, case), (basis.clone(), origin), now)?;
        let noted = write_placed(transaction, signer, (&placed, &name), now).await?;
        let entry = audited((Action::Preserved, "placed", noted), &placed, said);
        self.append_audit(transaction, now, &[entry]).await
    }

    /// Carries out what a person does with a preservation of their party.
    ///
    /// # Errors
    /// As [`Preservation::apply`]; [`PreservationRefusal::NoSuchPreservation`], also for another party's; [`StoreError::KeyRevoked`]; [`StoreError::NoCustodyKey`];
    /// or the database failed.
    pub async fn command_preservation(
        &self,
        (party, by): (PartyId, KeyId),
        id: PreservationId,
        command: &PreservationCommand,
    ) -> Result<(Preservation, Timestamp), StoreError> {
        let failed = StoreError::database("change a preservation");
        let signer = self.signer()?;
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, by).await?;
        let mut changed = match own(&mut transaction, party, id).await {
            Ok(changed) => changed,
            Err(error) => return give_up(transaction, error).await,
        };
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let event = match changed.apply(by, command, now) {
            Ok(event) => event,
            Err(refusal) => return give_up(transaction, refusal).await,
        };
        let (PreservationCommand::Extend { reason, .. } | PreservationCommand::Release { reason }) = command;
        let reason_said = ("reason", reason.clone());
        let (name, act) = match event {
            PreservationEvent::Extended => {
                let until = ("until_ms", changed.until.0.to_string());
                ("extended", (Act::Extended, detail_of([reason_said, until])))
            }
            PreservationEvent::Released => ("released", (Act::Released, detail_of([reason_said]))),
        };
        let noted = write(&mut transaction, signer, (&changed, &by.to_string()), act, now).await?;
        let entry = audited((Action::Preserved, name, noted), &changed, Some((by, reason)));
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok((changed, now))
    }

    /// Notes that a person of the party is handed the copy, by a right of its own: before it is.
    ///
    /// # Errors
    /// As [`Preservation::export`]; [`PreservationRefusal::NoSuchPreservation`], also for another party's; [`StoreError::KeyRevoked`];
    /// [`StoreError::NoCustodyKey`]; or the database failed.
    pub async fn export_preservation(
        &self,
        (party, by): (PartyId, KeyId),
        id: PreservationId,
        basis: &Basis,
    ) -> Result<Preserved, StoreError> {
        let failed = StoreError::database("export a preservation");
        let signer = self.signer()?;
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        crate::key::check_not_revoked(&mut transaction, by).await?;
        let mut exported = match own(&mut transaction, party, id).await {
            Ok(exported) => exported,
            Err(error) => return give_up(transaction, error).await,
        };
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        if let Err(refusal) = exported.export(basis, now) {
            return give_up(transaction, refusal).await;
        }
        let detail = detail_of([
            ("basis", basis.kind.name().to_owned()),
            ("text", basis.text.clone()),
            ("reference", basis.reference.clone()),
        ]);
        let act = (Act::Exported, detail);
        let noted = write(&mut transaction, signer, (&exported, &by.to_string()), act, now).await?;
        let about = format!("{}: {}", basis.reference, basis.text);
        let did = (Action::Exported, basis.kind.name(), noted);
        let entry = audited(did, &exported, Some((by, &about)));
        self.append_audit(&mut transaction, now, &[entry]).await?;
        let custody = list::custody(&mut transaction, id).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(Preserved {
            preservation: exported,
            custody,
            now,
        })
    }

    fn signer(&self) -> Result<&Signer, StoreError> {
        self.inner.custody.get().ok_or(StoreError::NoCustodyKey)
    }
}

/// An entry that was appended to a chain of custody.
#[derive(Clone, Copy, Debug)]
struct Noted {
    sequence: u64,
    hash: Digest,
}

async fn write_placed(
    transaction: &mut Transaction,
    signer: &Signer,
    (placed, by): (&Preservation, &str),
    now: Timestamp,
) -> Result<Noted, StoreError> {
    let failed = StoreError::database("place a preservation");
    row::insert(transaction, placed).await.map_err(&failed)?;
    let detail = detail_of([
        ("case", placed.case.to_string()),
        ("basis", placed.basis.kind.name().to_owned()),
        ("text", placed.basis.text.clone()),
        ("reference", placed.basis.reference.clone()),
        ("origin", placed.origin.name().to_owned()),
        ("origin_id", placed.origin.id()),
        ("until_ms", placed.until.0.to_string()),
    ]);
    append(transaction, signer, (placed.id, by), (Act::Placed, detail), now).await
}

/// Writes a preservation that this transaction holds locked, and what was done with it.
async fn write(
    transaction: &mut Transaction,
    signer: &Signer,
    (changed, by): (&Preservation, &str),
    act: (Act, BTreeMap<String, String>),
    now: Timestamp,
) -> Result<Noted, StoreError> {
    let updated = row::update(transaction, changed).await;
    updated.map_err(StoreError::database("write a preservation"))?;
    append(transaction, signer, (changed.id, by), act, now).await
}

/// Appends to the custody of a preservation whose row this transaction holds locked, or has made.
async fn append(
    transaction: &mut Transaction,
    signer: &Signer,
    (id, by): (PreservationId, &str),
    act: (Act, BTreeMap<String, String>),
    now: Timestamp,
) -> Result<Noted, StoreError> {
    let failed = StoreError::database("append to a chain of custody");
    let sql = "SELECT entry FROM custody WHERE preservation_id = $1 ORDER BY sequence DESC LIMIT 1";
    let rows = transaction
        .fetch(sql, &[id.to_string().into()])
        .await
        .map_err(&failed)?;
    let mut chain = Chain::of(id);
    if let Some(row) = rows.first() {
        let last = list::entry(row)?;
        (chain.entries, chain.head) = (last.entry.sequence + 1, last.entry.hash());
    }
    let entry = chain.append(signer, (now, by), act);
    let values = [
        id.to_string().into(),
        (entry.entry.sequence as i64).into(),
        entry.to_line().trim_end().into(),
    ];
    let sql = "INSERT INTO custody (preservation_id, sequence, entry) VALUES ($1, $2, $3)";
    transaction.execute(sql, &values).await.map_err(&failed)?;
    Ok(Noted {
        sequence: entry.entry.sequence,
        hash: chain.head,
    })
}

fn detail_of<const COUNT: usize>(detail: [(&str, String); COUNT]) -> BTreeMap<String, String> {
    detail.map(|(name, text)| (name.to_owned(), text)).into()
}

/// What the audit chain says of it: what was done, and which entry of the custody that is, so that whoever holds a checkpoint of the audit chain finds a custody
/// that was cut at its end. Which preservation, and of which case, is for its party alone.
fn audited((action, did, noted): (Action, &str, Noted), of: &Preservation, by: Option<(KeyId, &str)>) -> Entry {
    let Noted { sequence, hash } = noted;
    let about = Personal::new(Field::About, format!("{} of case {}", of.id, of.case));
    let said = by.map(|(key, words)| {
        [
            Personal::new(Field::Key, key.to_string()),
            Personal::new(Field::Rationale, words),
        ]
    });
    Entry {
        action,
        team: Some(Team::Party(of.party).scope()),
        object: "a preservation".to_owned(),
        detail: format!("{did}; custody {sequence} {}", hex::encode(hash)),
        personal: std::iter::once(about).chain(said.into_iter().flatten()).collect(),
    }
}

async fn locked_case(transaction: &mut Transaction, id: CaseId) -> Result<Option<Case>, StoreError> {
    let values = [id.to_string().into()];
    let rows = crate::cases::locked(transaction, "WHERE c.case_id = $1", &values, Locked::Cases).await;
    let rows = rows.map_err(StoreError::database("lock the case of a preservation"))?;
    rows.first().map(crate::cases::case).transpose()
}

/// A preservation, locked.
async fn locked(transaction: &mut Transaction, id: PreservationId) -> Result<Preservation, StoreError> {
    let condition = format!(
        "WHERE p.preservation_id = $1{}",
        transaction.for_update(Locked::Preservations)
    );
    let found = fetch(transaction, &condition, &[id.to_string().into()]).await?;
    Ok(found
        .into_iter()
        .next()
        .ok_or(PreservationRefusal::NoSuchPreservation)?)
}

/// A preservation of a party, locked.
async fn own(transaction: &mut Transaction, party: PartyId, id: PreservationId) -> Result<Preservation, StoreError> {
    let found = locked(transaction, id).await?;
    match found.party == party {
        true => Ok(found),
        false => Err(PreservationRefusal::NoSuchPreservation.into()),
    }
}

/// The preservations of a case that run, the latest last.
async fn running_of_case(
    transaction: &mut Transaction,
    case: CaseId,
    now: Timestamp,
) -> Result<Vec<Preservation>, StoreError> {
    let condition = "WHERE p.case_id = $1 AND p.ended_at IS NULL AND p.until_at > $2 ORDER BY p.sequence";
    fetch(transaction, condition, &[case.to_string().into(), now.into()]).await
}

async fn count_running(transaction: &mut Transaction, team: Team, now: Timestamp) -> Result<usize, StoreError> {
    let failed = StoreError::database("count preservations");
    let sql = "SELECT count(*) AS running FROM preservations WHERE team = $1 AND ended_at IS NULL AND until_at > $2 AND origin = 1";
    let values = [team.to_number().into(), now.into()];
    let rows = transaction.fetch(sql, &values).await.map_err(&failed)?;
    let row = rows.first().ok_or(StoreError::Malformed { field: "running" })?;
    Ok(row.integer("running").map_err(&failed)? as usize)
}

async fn fetch(
    transaction: &mut Transaction,
    condition: &str,
    values: &[Value],
) -> Result<Vec<Preservation>, StoreError> {
    let sql = format!("{SELECT_PRESERVATIONS} {condition}");
    let rows = transaction.fetch(&sql, values).await;
    let rows = rows.map_err(StoreError::database("read preservations"))?;
    rows.iter().map(preservation).collect()
}

/// Ends the transaction at once.
async fn give_up<T>(transaction: Transaction, error: impl Into<StoreError>) -> Result<T, StoreError> {
    let ended = transaction.rollback().await;
    ended.map_err(StoreError::database("give up a preservation"))?;
    Err(error.into())
}
