use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tocsin_audit::Action;
use tocsin_casework::Team;
use tocsin_model::{KeyId, Name, PartyId, Scope, Timestamp};

use crate::audit::about_key;
use crate::database::{Locked, Row, Transaction};
use crate::key_cache::Remembered;
use crate::party::{is_revoked, name, refuse_research};
use crate::sign_in::{self, Asked};
use crate::{Role, Roles, Store, StoreError};

/// A whole API key, `tocsin_` + 32 hexadecimal digits of its id + 64 of its secret. Shown once, when it is issued.
pub struct ApiKey(String);

/// To whom a key is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeySubject {
    /// Those who run the deployment.
    Operator,
    /// The coordinators of a crisis.
    Coordinators,
    /// A party.
    Party(PartyId),
}

/// Who speaks, once a key was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The key that was shown.
    pub key_id: KeyId,
    /// For whom it speaks.
    pub subject: Subject,
    /// What it may do.
    pub roles: Roles,
}

/// For whom a principal speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Those who run the deployment.
    Operator,
    /// The coordinators of a crisis.
    Coordinators,
    /// A party, by number and name.
    Party(PartyId, Name),
}

/// A key as it is listed: without its secret, which nobody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its id.
    pub id: KeyId,
    /// To whom it was issued.
    pub subject: KeySubject,
    /// What it may be used for.
    pub roles: Roles,
    /// Whose it is, if it is a person's.
    pub person: Option<Name>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Since when it is refused.
    pub revoked_at: Option<Timestamp>,
}

impl Principal {
    /// What this principal may see. Operators run the machinery; of the figures they see what every reader sees.
    pub fn scope(&self) -> Scope {
        match self.subject {
            Subject::Operator => Scope::All,
            Subject::Coordinators => Scope::Coordinators,
            Subject::Party(party, _) => Scope::Party(party),
        }
    }

    /// Whether it has this role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(role)
    }
}

impl KeySubject {
    /// What those to whom it is issued may see: see [`Principal::scope`].
    pub(crate) fn scope(self) -> Scope {
        match self {
            KeySubject::Operator => Scope::All,
            KeySubject::Coordinators => Scope::Coordinators,
            KeySubject::Party(party) => Scope::Party(party),
        }
    }

    /// 0 operator, 1 coordinators, 2 + party number.
    fn to_number(self) -> i64 {
        match self {
            KeySubject::Operator => 0,
            KeySubject::Coordinators => 1,
            KeySubject::Party(party) => 2 + i64::from(party.0),
        }
    }

    fn from_number(number: i64) -> Option<KeySubject> {
        match number {
            0 => Some(KeySubject::Operator),
            1 => Some(KeySubject::Coordinators),
            _ => u16::try_from(number - 2)
                .ok()
                .map(|party| KeySubject::Party(PartyId(party))),
        }
    }
}

const PREFIX: &str = "tocsin_";
const ID_DIGITS: usize = 32;
pub(crate) const SECRET_BYTES: usize = 32;

impl ApiKey {
    fn new(id: KeyId, secret: [u8; SECRET_BYTES]) -> ApiKey {
        ApiKey(format!("{PREFIX}{id}{}", hex::encode(secret)))
    }

    /// The text, to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Shows no digit of the secret.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(secret)")
    }
}

/// A key someone showed: its id and the SHA-256 of its secret. `None` when the text has not the form of a key.
pub(crate) fn parse(text: &str) -> Option<(KeyId, [u8; 32])> {
    parse_after(PREFIX, text)
}

/// The same behind another prefix.
pub(crate) fn parse_after(prefix: &str, text: &str) -> Option<(KeyId, [u8; 32])> {
    let digits = text.strip_prefix(prefix)?;
    if digits.len() != ID_DIGITS + 2 * SECRET_BYTES || !digits.is_ascii() {
        return None;
    }
    let (id, secret) = digits.split_at(ID_DIGITS);
    let secret = hex::decode(secret).ok()?;
    Some((id.parse().ok()?, Sha256::digest(secret).into()))
}

impl Store {
    /// Issues a key. The returned [`ApiKey`] is the only copy of its secret.
    ///
    /// # Errors
    /// No role, no such party or a revoked one, a role that a party which does research may not have, or the database failed.
    pub async fn issue_key(&self, subject: KeySubject, roles: Roles) -> Result<(KeyId, ApiKey), StoreError> {
        self.issue(subject, roles, None).await
    }

    /// Issues a key to a person: it alone, and who they are is told to their team.
    ///
    /// # Errors
    /// As [`Store::issue_key`]; or [`StoreError::NameTaken`]: somebody of this name has a key of this subject that is not revoked.
    pub async fn issue_key_to(
        &self,
        subject: KeySubject,
        roles: Roles,
        person: &Name,
    ) -> Result<(KeyId, ApiKey), StoreError> {
        self.issue(subject, roles, Some(person)).await
    }

    async fn issue(
        &self,
        subject: KeySubject,
        roles: Roles,
        person: Option<&Name>,
    ) -> Result<(KeyId, ApiKey), StoreError> {
        if roles.is_empty() {
            return Err(StoreError::NoRoles);
        }
        let failed = StoreError::database("issue a key");
        let id = KeyId(rand::random());
        let secret: [u8; SECRET_BYTES] = rand::random();
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        if let KeySubject::Party(party) = subject
            && is_revoked(&mut transaction, party, &failed).await?
        {
            return Err(StoreError::PartyRevoked { party });
        }
        // Who does research is told of aggregates, and of what they themselves asked.
        if let KeySubject::Party(party) = subject
            && !roles.are_within(Roles::of(&[Role::Researcher, Role::Auditor]))
        {
            refuse_research(&mut transaction, party).await?;
        }
        if let Some(person) = person {
            let taken = "SELECT 1 FROM api_keys WHERE subject = $1 AND person = $2 AND revoked_at IS NULL";
            let values = [subject.to_number().into(), person.as_str().into()];
            if !transaction.fetch(taken, &values).await.map_err(&failed)?.is_empty() {
                return Err(StoreError::NameTaken { name: person.clone() });
            }
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        transaction
            .execute(
                "INSERT INTO api_keys (key_id, secret_sha256, subject, roles, issued_at, person) VALUES ($1, $2, $3, $4, $5, $6)",
                &[
                    id.to_string().into(),
                    Sha256::digest(secret).to_vec().into(),
                    subject.to_number().into(),
                    roles.text().into(),
                    now.into(),
                    person.map(ToString::to_string).into(),
                ],
            )
            .await
            // Somebody issued one of this name meanwhile.
            .map_err(|error| match person.filter(|_| StoreError::is_unique_violation(&error)) {
                Some(person) => StoreError::NameTaken { name: person.clone() },
                None => failed(error),
            })?;
        let mut entry = about_key(Action::KeyIssued, subject, id, person.map(Name::as_str));
        entry.detail = roles.text();
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok((id, ApiKey::new(id, secret)))
    }

    /// Revokes a key. Other processes on the same store refuse it within [`crate::KEY_CACHE_AGE_MAX`]. Revoking again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NoSuchKey`], or the database failed.
    pub async fn revoke_key(&self, key: KeyId) -> Result<(), StoreError> {
        let failed = StoreError::database("revoke a key");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let revoked = transaction
            .fetch(
                "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE key_id = $1 RETURNING subject, person",
                &[key.to_string().into(), now.into()],
            )
            .await
            .map_err(&failed)?;
        let revoked = revoked.first().ok_or(StoreError::NoSuchKey { key })?;
        let subject = KeySubject::from_number(revoked.integer("subject").map_err(&failed)?)
            .ok_or(StoreError::Malformed { field: "subject" })?;
        let person = revoked.text_if_any("person").map_err(&failed)?;
        // What it held goes back to the queue at once, with its drafts.
        transaction
            .execute(
                "UPDATE cases SET lease_holder = NULL, lease_expires_at = NULL, version = version + 1, touched_at = $2 WHERE lease_holder = $1",
                &[key.to_string().into(), now.into()],
            )
            .await
            .map_err(&failed)?;
        // In their order, as whoever answers many with one locks them.
        let held = format!(
            "SELECT a.appeal_id FROM appeals a WHERE a.lease_holder = $1 ORDER BY a.sequence{}",
            transaction.for_update(Locked::Appeals)
        );
        transaction
            .fetch(&held, &[key.to_string().into()])
            .await
            .map_err(&failed)?;
        for table in ["appeals", "reviews"] {
            let sql =
                format!("UPDATE {table} SET lease_holder = NULL, lease_expires_at = NULL WHERE lease_holder = $1");
            transaction
                .execute(&sql, &[key.to_string().into()])
                .await
                .map_err(&failed)?;
        }
        for table in ["sessions", "sign_in_links", "sign_in_accounts", "key_certificates"] {
            let sql = format!("DELETE FROM {table} WHERE key_id = $1");
            transaction
                .execute(&sql, &[key.to_string().into()])
                .await
                .map_err(&failed)?;
        }
        let entry = about_key(Action::KeyRevoked, subject, key, person.as_deref());
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)?;
        self.inner.keys.clear();
        self.inner.sessions.clear();
        self.inner.certificates.clear();
        Ok(())
    }

    /// The keys of a subject, also the revoked ones, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list_keys(&self, subject: KeySubject) -> Result<Vec<KeyRecord>, StoreError> {
        let rows = self
            .database()
            .fetch(
                "SELECT key_id, subject, roles, issued_at, revoked_at, person FROM api_keys WHERE subject = $1 ORDER BY issued_at, key_id",
                &[subject.to_number().into()],
            )
            .await
            .map_err(StoreError::database("list keys"))?;
        rows.iter().map(record).collect()
    }

    /// Who shows this key, or the token of a session, which speaks as its person's key, or of a client certificate ([`Store::certificate_token`]), which
    /// speaks as the key it is bound to; `None` for a text that is none of them, an unknown key, a wrong secret, a revoked key, a key of a revoked party.
    ///
    /// Whoever tries keys costs little: an id is asked about once in a while, whatever secrets are shown with it, and keys that were never
    /// good here share a few places.
    ///
    /// # Errors
    /// The database failed, or too many unknown keys are tried, and the answer is not known.
    pub async fn authenticate(&self, text: &str) -> Result<Option<Principal>, StoreError> {
        if let Some((session, digest)) = sign_in::parse(text) {
            return self.authenticate_session(session, digest, Asked::BySomebody).await;
        }
        if let Some((public_key, key)) = self.inner.certificate_tokens.parse(text) {
            let principal = self.authenticate_certificate(public_key).await?;
            return Ok(principal.filter(|principal| principal.key_id == key));
        }
        let Some((id, digest)) = parse(text) else {
            return Ok(None);
        };
        let failed = StoreError::database("check a key");
        let _place = match self.inner.keys.get(id, &digest) {
            Remembered::Good(principal) => return Ok(Some(principal)),
            Remembered::Bad => return Ok(None),
            Remembered::GoodOnce => None,
            Remembered::Nothing => {
                let place = self.inner.look_ups.enter().await;
                Some(place.ok_or_else(|| failed(sqlx::Error::PoolTimedOut))?)
            }
        };
        // The age of the answer counts from before the question, so that a slow database lengthens nothing.
        let asked_at = std::time::Instant::now();
        let generation = self.inner.keys.generation();
        let rows = self
            .database()
            .fetch(SELECT_PRINCIPAL, &[id.to_string().into()])
            .await
            .map_err(&failed)?;
        let Some(row) = rows.first() else {
            self.inner.keys.put_absent(id, asked_at);
            return Ok(None);
        };
        let stored = row.bytes("secret_sha256").map_err(&failed)?;
        let stored: [u8; 32] = stored
            .try_into()
            .map_err(|_| StoreError::Malformed { field: "secret_sha256" })?;
        let Some(principal) = principal(row)? else {
            self.inner.keys.forget(id);
            self.inner.keys.put_absent(id, asked_at);
            return Ok(None);
        };
        // What is remembered is the right secret, so a wrong one is told without another question.
        let keys = &self.inner.keys;
        keys.put(id, stored, principal.clone(), asked_at, generation);
        Ok(bool::from(stored.ct_eq(&digest)).then_some(principal))
    }
}

/// Refuses a key that was revoked meanwhile: the answer to [`Store::authenticate`] may be a little old. The key stays as it is until the end of
/// the transaction.
///
/// # Errors
/// [`StoreError::KeyRevoked`], or the database failed.
pub(crate) async fn check_not_revoked(transaction: &mut Transaction, key: KeyId) -> Result<(), StoreError> {
    let failed = StoreError::database("check a key");
    let sql = format!(
        "SELECT k.revoked_at FROM api_keys k WHERE k.key_id = $1{}",
        transaction.for_update(Locked::KeyShared)
    );
    let rows = transaction
        .fetch(&sql, &[key.to_string().into()])
        .await
        .map_err(&failed)?;
    let revoked_at = rows.first().map(|row| row.integer_if_any("revoked_at")).transpose();
    match revoked_at.map_err(&failed)?.flatten() {
        None => Ok(()),
        Some(_) => Err(StoreError::KeyRevoked),
    }
}

/// Whether a key is a moderator's of this team, and not revoked. The key stays as it is until the end of the transaction.
pub(crate) async fn check_moderator(transaction: &mut Transaction, key: KeyId, team: Team) -> Result<bool, StoreError> {
    let failed = StoreError::database("find a moderator");
    let sql = format!(
        "SELECT k.roles FROM api_keys k WHERE k.key_id = $1 AND k.subject = $2 AND k.revoked_at IS NULL{}",
        transaction.for_update(Locked::KeyShared)
    );
    let rows = transaction
        .fetch(&sql, &[key.to_string().into(), team.to_number().into()])
        .await
        .map_err(&failed)?;
    let Some(row) = rows.first() else {
        return Ok(false);
    };
    let roles = Roles::from_text(&row.text("roles").map_err(&failed)?);
    Ok(roles
        .ok_or(StoreError::Malformed { field: "roles" })?
        .contains(Role::Moderator))
}

const SELECT_PRINCIPAL: &str = "SELECT k.key_id, k.secret_sha256, k.subject, k.roles, k.issued_at, k.revoked_at, k.person, \
     a.name AS party_name, a.revoked_at AS party_revoked_at \
     FROM api_keys k LEFT JOIN parties a ON k.subject = a.party_id + 2 WHERE k.key_id = $1";

/// Who speaks by the key of this row, which has the name of its party and when that was revoked; `None` if it is good no more.
pub(crate) fn principal(row: &Row) -> Result<Option<Principal>, StoreError> {
    let record = record(row)?;
    let party_revoked_at = row.integer_if_any("party_revoked_at");
    let party_revoked_at = party_revoked_at.map_err(StoreError::database("read a key"))?;
    if record.revoked_at.is_some() || party_revoked_at.is_some() {
        return Ok(None);
    }
    let subject = match record.subject {
        KeySubject::Party(party) => Subject::Party(party, name(row, "party_name")?),
        KeySubject::Coordinators => Subject::Coordinators,
        KeySubject::Operator => Subject::Operator,
    };
    Ok(Some(Principal {
        key_id: record.id,
        subject,
        roles: record.roles,
    }))
}

pub(crate) fn record(row: &Row) -> Result<KeyRecord, StoreError> {
    let failed = StoreError::database("read a key");
    let malformed = |field| StoreError::Malformed { field };
    Ok(KeyRecord {
        id: row
            .text("key_id")
            .map_err(&failed)?
            .parse()
            .map_err(|_| malformed("key_id"))?,
        subject: KeySubject::from_number(row.integer("subject").map_err(&failed)?).ok_or(malformed("subject"))?,
        roles: Roles::from_text(&row.text("roles").map_err(&failed)?).ok_or(malformed("roles"))?,
        person: row
            .text_if_any("person")
            .map_err(&failed)?
            .map(|name| name.parse().map_err(|_| malformed("person")))
            .transpose()?,
        issued_at: Timestamp(row.integer("issued_at").map_err(&failed)?),
        revoked_at: row.integer_if_any("revoked_at").map_err(&failed)?.map(Timestamp),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_reads_back_and_anything_else_is_none() {
        let key = ApiKey::new(KeyId(7), [9; 32]);
        let (id, digest) = parse(key.expose()).unwrap();
        assert_eq!(id, KeyId(7));
        assert_eq!(digest, <[u8; 32]>::from(Sha256::digest([9; 32])));
        let text = key.expose();
        for bad in [
            "",
            "tocsin_",
            &text[1..],
            &text[..text.len() - 1],
            &text.replace('9', "z"),
            &"é".repeat(48),
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert!(parse(&format!("tocsin_{}", "é".repeat(48))).is_none());
        assert_eq!(format!("{key:?}"), "ApiKey(secret)");
    }

    #[test]
    fn roles_and_subjects_read_back() {
        for roles in [
            Roles::all(),
            Roles::of(&[Role::Reader]),
            Roles::of(&[Role::Publisher, Role::Moderator]),
        ] {
            assert_eq!(Roles::from_text(&roles.text()), Some(roles));
        }
        assert_eq!(Roles::from_text("reader owner"), None);
        for subject in [
            KeySubject::Operator,
            KeySubject::Coordinators,
            KeySubject::Party(PartyId(65_535)),
        ] {
            assert_eq!(KeySubject::from_number(subject.to_number()), Some(subject));
        }
        assert_eq!(KeySubject::from_number(-1), None);
    }
}
