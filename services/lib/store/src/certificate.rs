//! How machines come in without showing their key: by client certificates that are bound to it, each by its public key.
//!
//! A certificate speaks as the key it is bound to: same roles, same team; and it ends with that key. That somebody holds it is proved in a TLS handshake
//! and nowhere else, so what stands for it behind that is a token which this process alone can make and read.

use std::fmt;
use std::time::Instant;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tocsin_audit::{Action, Entry};
use tocsin_model::{KeyId, PublicKeyDigest, Timestamp};

use crate::audit::about_key;
use crate::database::{Locked, Row, Transaction};
use crate::key::{KeyRecord, Principal, principal, record};
use crate::key_cache::Remembered;
use crate::party::is_revoked;
use crate::{KeySubject, Store, StoreError};

/// How many certificates a key has at most: one that is about to end, the one after it, and some copies of a machine.
pub const CERTIFICATES_PER_KEY_MAX: usize = 16;
/// The longest subject that is kept, in characters. A longer one is cut.
const SUBJECT_CHARACTERS_MAX: usize = 256;

/// A client certificate as it is bound to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundCertificate {
    /// What it is known by.
    pub public_key: PublicKeyDigest,
    /// Whom it names, as RFC 4514 writes it. For people to read; it decides nothing.
    pub subject: String,
    /// Until when it is valid. For people to read: whether a certificate is valid is seen when it is shown.
    pub not_after: Timestamp,
}

/// A certificate as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRecord {
    /// What was bound.
    pub certificate: BoundCertificate,
    /// When it was bound last.
    pub bound_at: Timestamp,
}

/// Why a certificate is not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRefusal {
    /// It is bound to another key.
    #[error("the public key of the certificate is bound to another key")]
    Taken,
    /// As many are bound to the key as may be.
    #[error("a key has at most {CERTIFICATES_PER_KEY_MAX} certificates")]
    Count,
    /// The key is a person's.
    #[error("certificates are for machines: people sign in")]
    OfPerson,
}

/// What stands for a certificate that was proved on a connection of this process. It goes nowhere else.
pub struct CertificateToken(String);

/// Makes and reads the tokens of certificates, under a secret that this process drew and nobody is told.
pub(crate) struct CertificateTokens {
    secret: [u8; 32],
}

const PREFIX: &str = "tocsin_certificate_";
const DIGEST_DIGITS: usize = 64;
const KEY_DIGITS: usize = 32;

impl CertificateRefusal {
    /// Its stable name.
    pub fn code(self) -> &'static str {
        match self {
            CertificateRefusal::Taken => "certificate_taken",
            CertificateRefusal::Count => "certificate_count",
            CertificateRefusal::OfPerson => "certificate_of_person",
        }
    }
}

impl CertificateToken {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Shows no digit of it.
impl fmt::Debug for CertificateToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateToken(secret)")
    }
}

impl CertificateTokens {
    pub(crate) fn new() -> Self {
        CertificateTokens { secret: rand::random() }
    }

    fn mac(&self, public_key: &PublicKeyDigest, key: KeyId) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        mac.update(&public_key.0);
        mac.update(&key.0.to_be_bytes());
        mac
    }

    fn make(&self, public_key: &PublicKeyDigest, key: KeyId) -> CertificateToken {
        let code = self.mac(public_key, key).finalize().into_bytes();
        CertificateToken(format!("{PREFIX}{public_key}{key}{}", hex::encode(code)))
    }

    /// The public key of a token that this process made, and whose it was then; `None` for any other text.
    pub(crate) fn parse(&self, text: &str) -> Option<(PublicKeyDigest, KeyId)> {
        let (digest, rest) = text.strip_prefix(PREFIX)?.split_at_checked(DIGEST_DIGITS)?;
        let (key, code) = rest.split_at_checked(KEY_DIGITS)?;
        let public_key: PublicKeyDigest = digest.parse().ok()?;
        let key: KeyId = key.parse().ok()?;
        let code = hex::decode(code).ok()?;
        self.mac(&public_key, key).verify_slice(&code).ok()?;
        Some((public_key, key))
    }
}

impl Store {
    /// Binds a certificate to a key of a machine: whoever holds it speaks as that key. Binding one over the same public key again keeps what the new one says
    /// of itself.
    ///
    /// # Errors
    /// A [`CertificateRefusal`]; [`StoreError::NoSuchKey`]: there is none, or it or its party was revoked; or the database failed.
    pub async fn bind_certificate(&self, key: KeyId, certificate: &BoundCertificate) -> Result<(), StoreError> {
        let failed = StoreError::database("bind a certificate");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let of = good_key(&mut transaction, key).await?;
        let of = of.ok_or(StoreError::NoSuchKey { key })?;
        if of.person.is_some() {
            return Err(CertificateRefusal::OfPerson.into());
        }
        let digest = certificate.public_key.0.to_vec();
        let sql = "SELECT key_id FROM key_certificates WHERE public_key_sha256 = $1";
        let rows = transaction
            .fetch(sql, &[digest.clone().into()])
            .await
            .map_err(&failed)?;
        let mut entries = Vec::new();
        if let Some(row) = rows.first() {
            let bound_to = key_id(row)?;
            // What is bound to a key of a revoked party is bound to nobody.
            if bound_to != key {
                let locked = transaction.for_update(Locked::Key);
                let former = find_key(&mut transaction, bound_to, locked).await?;
                if let Some(former) = &former
                    && is_good(&mut transaction, former).await?
                {
                    return Err(CertificateRefusal::Taken.into());
                }
                let entry = |of| about_certificate(Action::CertificateUnbound, of, &certificate.public_key);
                entries.extend(former.as_ref().map(entry));
            }
            let sql = "DELETE FROM key_certificates WHERE public_key_sha256 = $1 AND key_id = $2";
            let values = [digest.clone().into(), bound_to.to_string().into()];
            transaction.execute(sql, &values).await.map_err(&failed)?;
        }
        let sql = "SELECT count(*) AS certificates FROM key_certificates WHERE key_id = $1";
        let rows = transaction.fetch(sql, &[key.to_string().into()]).await;
        let rows = rows.map_err(&failed)?;
        let count = rows.first().map_or(Ok(0), |row| row.integer("certificates"));
        if count.map_err(&failed)? >= CERTIFICATES_PER_KEY_MAX as i64 {
            return Err(CertificateRefusal::Count.into());
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let subject: String = certificate.subject.chars().take(SUBJECT_CHARACTERS_MAX).collect();
        let sql = "INSERT INTO key_certificates (public_key_sha256, key_id, subject, not_after, bound_at) VALUES ($1, $2, $3, $4, $5)";
        let values = [
            digest.into(),
            key.to_string().into(),
            subject.into(),
            certificate.not_after.into(),
            now.into(),
        ];
        transaction.execute(sql, &values).await.map_err(|error| {
            // Somebody bound it to another key meanwhile.
            match StoreError::is_unique_violation(&error) {
                true => CertificateRefusal::Taken.into(),
                false => failed(error),
            }
        })?;
        entries.push(about_certificate(
            Action::CertificateBound,
            &of,
            &certificate.public_key,
        ));
        self.append_audit(&mut transaction, now, &entries).await?;
        transaction.commit().await.map_err(&failed)?;
        self.inner.certificates.clear();
        Ok(())
    }

    /// Takes a certificate from a key: other processes on the same store refuse it within [`crate::KEY_CACHE_AGE_MAX`]. Whether it was bound to it.
    ///
    /// # Errors
    /// [`StoreError::NoSuchKey`]: there is none, or it or its party was revoked; or the database failed.
    pub async fn unbind_certificate(&self, key: KeyId, public_key: &PublicKeyDigest) -> Result<bool, StoreError> {
        let failed = StoreError::database("unbind a certificate");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let of = good_key(&mut transaction, key).await?;
        let of = of.ok_or(StoreError::NoSuchKey { key })?;
        let sql = "DELETE FROM key_certificates WHERE public_key_sha256 = $1 AND key_id = $2";
        let values = [public_key.0.to_vec().into(), key.to_string().into()];
        if transaction.execute(sql, &values).await.map_err(&failed)? == 0 {
            return Ok(false);
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let entry = about_certificate(Action::CertificateUnbound, &of, public_key);
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)?;
        self.inner.certificates.clear();
        Ok(true)
    }

    /// The certificates that are bound to a key, the oldest binding first.
    ///
    /// # Errors
    /// [`StoreError::NoSuchKey`]: there is none, or it or its party was revoked; or the database failed.
    pub async fn list_certificates(&self, key: KeyId) -> Result<Vec<CertificateRecord>, StoreError> {
        let failed = StoreError::database("list certificates");
        let mut transaction = self.database().begin_reading().await.map_err(&failed)?;
        let found = find_key(&mut transaction, key, "").await?;
        let found = found.ok_or(StoreError::NoSuchKey { key })?;
        if !is_good(&mut transaction, &found).await? {
            return Err(StoreError::NoSuchKey { key });
        }
        let sql = "SELECT public_key_sha256, subject, not_after, bound_at FROM key_certificates WHERE key_id = $1 ORDER BY bound_at, public_key_sha256";
        let rows = transaction.fetch(sql, &[key.to_string().into()]).await;
        let rows = rows.map_err(&failed)?;
        let read = |row: &Row| {
            Ok(CertificateRecord {
                certificate: BoundCertificate {
                    public_key: public_key(row)?,
                    subject: row.text("subject").map_err(&failed)?,
                    not_after: Timestamp(row.integer("not_after").map_err(&failed)?),
                },
                bound_at: Timestamp(row.integer("bound_at").map_err(&failed)?),
            })
        };
        rows.iter().map(read).collect()
    }

    /// What [`Store::authenticate`] takes for a certificate that was proved on a connection of this process, as it takes a key that somebody shows. It is
    /// good in this process alone, and as long as the certificate is of that key: what goes on by it does not change hands.
    pub fn certificate_token(&self, public_key: &PublicKeyDigest, key: KeyId) -> CertificateToken {
        self.inner.certificate_tokens.make(public_key, key)
    }

    /// As [`Store::authenticate`], of a certificate that was proved.
    pub async fn authenticate_certificate(&self, public_key: PublicKeyDigest) -> Result<Option<Principal>, StoreError> {
        let failed = StoreError::database("check a certificate");
        let certificates = &self.inner.certificates;
        // The place it has among those that are remembered; the whole digest is compared there.
        let [high, ..] = public_key.0.as_chunks::<16>().0 else {
            return Ok(None);
        };
        let place = KeyId(u128::from_be_bytes(*high));
        let _turn = match certificates.get(place, &public_key.0) {
            Remembered::Good(principal) => return Ok(Some(principal)),
            Remembered::Bad => return Ok(None),
            Remembered::GoodOnce => None,
            Remembered::Nothing => {
                let turn = self.inner.look_ups.enter().await;
                Some(turn.ok_or_else(|| failed(sqlx::Error::PoolTimedOut))?)
            }
        };
        let asked_at = Instant::now();
        let generation = certificates.generation();
        let values = [public_key.0.to_vec().into()];
        let rows = self.database().fetch(SELECT_BOUND, &values).await.map_err(&failed)?;
        let found = rows.first().map(principal).transpose()?.flatten();
        match &found {
            Some(principal) => certificates.put(place, public_key.0, principal.clone(), asked_at, generation),
            // Not remembered as nobody's: only who has a certificate of the deployment's authority comes so far, and theirs may be bound any moment.
            None => certificates.forget(place),
        }
        Ok(found)
    }
}

const SELECT_BOUND: &str = "SELECT k.key_id, k.subject, k.roles, k.issued_at, k.revoked_at, k.person, \
     a.name AS party_name, a.revoked_at AS party_revoked_at \
     FROM key_certificates c JOIN api_keys k ON k.key_id = c.key_id LEFT JOIN parties a ON k.subject = a.party_id + 2 WHERE c.public_key_sha256 = $1";

/// A key that is good; `None` where it, or its party, was revoked, or there is none. Nobody else looks at it until the end of the transaction.
async fn good_key(transaction: &mut Transaction, key: KeyId) -> Result<Option<KeyRecord>, StoreError> {
    let locked = transaction.for_update(Locked::Key);
    let Some(found) = find_key(transaction, key, locked).await? else {
        return Ok(None);
    };
    Ok(is_good(transaction, &found).await?.then_some(found))
}

/// A key, revoked or not; `locked` is what the statement ends in.
async fn find_key(transaction: &mut Transaction, key: KeyId, locked: &str) -> Result<Option<KeyRecord>, StoreError> {
    let failed = StoreError::database("find a key");
    let sql = format!(
        "SELECT k.key_id, k.subject, k.roles, k.issued_at, k.revoked_at, k.person FROM api_keys k WHERE k.key_id = $1{locked}"
    );
    let rows = transaction.fetch(&sql, &[key.to_string().into()]).await;
    let rows = rows.map_err(&failed)?;
    rows.first().map(record).transpose()
}

/// Whether neither the key nor its party was revoked.
async fn is_good(transaction: &mut Transaction, key: &KeyRecord) -> Result<bool, StoreError> {
    if key.revoked_at.is_some() {
        return Ok(false);
    }
    match key.subject {
        KeySubject::Party(party) => {
            let failed = StoreError::database("find the party of a key");
            Ok(!is_revoked(transaction, party, &failed).await?)
        }
        _ => Ok(true),
    }
}

fn about_certificate(action: Action, of: &KeyRecord, public_key: &PublicKeyDigest) -> Entry {
    let mut entry = about_key(action, of.subject, of.id, None);
    entry.detail = public_key.to_string();
    entry
}

fn key_id(row: &Row) -> Result<KeyId, StoreError> {
    let text = row.text("key_id").map_err(StoreError::database("read a certificate"))?;
    text.parse().map_err(|_| StoreError::Malformed { field: "key_id" })
}

fn public_key(row: &Row) -> Result<PublicKeyDigest, StoreError> {
    let field = "public_key_sha256";
    let bytes = row.bytes(field).map_err(StoreError::database("read a certificate"))?;
    let digest = bytes.try_into().map_err(|_| StoreError::Malformed { field })?;
    Ok(PublicKeyDigest(digest))
}

#[cfg(test)]
mod tests {
    //! Goal: a token of a certificate is read by the process that made it, and by nobody else.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_the_process_that_made_a_token_takes_it() {
        let tokens = CertificateTokens::new();
        let public_key = PublicKeyDigest([7; 32]);
        let key = KeyId(3);
        let token = tokens.make(&public_key, key);
        assert_eq!(tokens.parse(token.expose()), Some((public_key, key)));
        assert_eq!(CertificateTokens::new().parse(token.expose()), None);
        assert!(crate::key::parse(token.expose()).is_none());
        assert!(crate::sign_in::parse(token.expose()).is_none());
        assert!(!format!("{token:?}").contains(&public_key.to_string()));
        let text = token.expose();
        let other = text.replacen(&public_key.to_string(), &PublicKeyDigest([8; 32]).to_string(), 1);
        assert_ne!(other, text);
        let others_key = text.replacen(&key.to_string(), &KeyId(4).to_string(), 1);
        assert_ne!(others_key, text);
        for bad in [
            "",
            PREFIX,
            &text[..text.len() - 1],
            &format!("{text}0"),
            &text[..PREFIX.len() + DIGEST_DIGITS],
            &other,
            &others_key,
            &format!("{PREFIX}{}", "\u{e9}".repeat(64)),
        ] {
            assert_eq!(tokens.parse(bad), None, "{bad}");
        }
    }
}
