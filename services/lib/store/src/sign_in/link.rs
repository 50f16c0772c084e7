use std::fmt;

use sha2::{Digest, Sha256};
use tocsin_audit::Action;
use tocsin_model::{KeyId, Milliseconds, Name};

use super::{Opened, SessionTerms, SignInRefusal, about_person, at, good_key};
use crate::database::Transaction;
use crate::key::{KeyRecord, principal, record};
use crate::{Store, StoreError, Subject};

/// How long a link that signs in is good.
pub const LINK_LIFETIME: Milliseconds = Milliseconds::from_minutes(10);
/// How long an invitation is good.
pub const INVITATION_LIFETIME: Milliseconds = Milliseconds::from_hours(24);

const PREFIX: &str = "tocsin_link_";
const SECRET_BYTES: usize = 32;

/// What a link is good for, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPurpose {
    /// It signs its person in.
    SignIn,
    /// It binds the account of a provider with which somebody signs in to its person.
    Invitation,
}

/// Whose a link is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkOf {
    /// The person, by name in their team.
    pub person: Name,
    /// The team.
    pub subject: Subject,
}

/// The text of a link, `tocsin_link_` + 64 hexadecimal digits. Shown once.
pub struct OneTimeLink(String);

impl LinkPurpose {
    fn number(self) -> i64 {
        match self {
            LinkPurpose::SignIn => 1,
            LinkPurpose::Invitation => 2,
        }
    }

    fn lifetime(self) -> Milliseconds {
        match self {
            LinkPurpose::SignIn => LINK_LIFETIME,
            LinkPurpose::Invitation => INVITATION_LIFETIME,
        }
    }

    fn name(self) -> &'static str {
        match self {
            LinkPurpose::SignIn => "a link that signs in once",
            LinkPurpose::Invitation => "an invitation",
        }
    }
}

impl OneTimeLink {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Shows no digit of the secret.
impl fmt::Debug for OneTimeLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeLink(secret)")
    }
}

/// The SHA-256 of the secret of a link's text; `None` when it has not the form of one.
fn parse(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix(PREFIX)?;
    let secret: [u8; SECRET_BYTES] = hex::decode(digits).ok()?.try_into().ok()?;
    Some(Sha256::digest(secret).into())
}

impl Store {
    /// Makes a link of a person that is good once and for a while: [`LINK_LIFETIME`] or [`INVITATION_LIFETIME`]. An earlier one of the same purpose is
    /// good no more.
    ///
    /// # Errors
    /// [`StoreError::NoSuchKey`]: the key is no person's, or it or its party was revoked; or the database failed.
    pub async fn issue_link(&self, key: KeyId, purpose: LinkPurpose) -> Result<OneTimeLink, StoreError> {
        let failed = StoreError::database("make a link");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let of = good_key(&mut transaction, key).await?;
        let of = of.ok_or(StoreError::NoSuchKey { key })?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let secret: [u8; SECRET_BYTES] = rand::random();
        let sql = "INSERT INTO sign_in_links (secret_sha256, key_id, purpose, expires_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (key_id, purpose) DO UPDATE SET secret_sha256 = excluded.secret_sha256, expires_at = excluded.expires_at";
        let values = [
            Sha256::digest(secret).to_vec().into(),
            key.to_string().into(),
            purpose.number().into(),
            at(now, purpose.lifetime()).into(),
        ];
        transaction.execute(sql, &values).await.map_err(&failed)?;
        let mut entry = about_person(Action::LinkIssued, &of, purpose.name(), None);
        // From the command line.
        entry.team = None;
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(OneTimeLink(format!("{PREFIX}{}", hex::encode(secret))))
    }

    /// Whose link this is, if it is good. It stays so: whoever has it may look before they use it.
    ///
    /// # Errors
    /// [`SignInRefusal::LinkInvalid`], or the database failed.
    pub async fn look_at_link(&self, link: &str, purpose: LinkPurpose) -> Result<LinkOf, StoreError> {
        let failed = StoreError::database("look at a link");
        let digest = parse(link).ok_or(SignInRefusal::LinkInvalid)?;
        let place = self.inner.look_ups.enter().await;
        let _place = place.ok_or_else(|| failed(sqlx::Error::PoolTimedOut))?;
        let now = self.now().await.map_err(&failed)?;
        let values = [digest.to_vec().into(), purpose.number().into(), now.into()];
        let rows = self.database().fetch(SELECT_LINK, &values).await.map_err(&failed)?;
        let row = rows.first().ok_or(SignInRefusal::LinkInvalid)?;
        let of = principal(row)?.ok_or(SignInRefusal::LinkInvalid)?;
        let person = record(row)?.person.ok_or(SignInRefusal::LinkInvalid)?;
        Ok(LinkOf {
            person,
            subject: of.subject,
        })
    }

    /// Opens a session of the person whose link this is. The link is good no more.
    ///
    /// # Errors
    /// [`SignInRefusal::LinkInvalid`], or the database failed.
    pub async fn sign_in_by_link(&self, link: &str, terms: SessionTerms) -> Result<Opened, StoreError> {
        let failed = StoreError::database("sign in by a link");
        let digest = parse(link).ok_or(SignInRefusal::LinkInvalid)?;
        // Whoever tries links costs a read among few, and never holds up those who write.
        let place = self.inner.look_ups.enter().await;
        let place = place.ok_or_else(|| failed(sqlx::Error::PoolTimedOut))?;
        let sql = "SELECT 1 FROM sign_in_links WHERE secret_sha256 = $1";
        let known = self.database().fetch(sql, &[digest.to_vec().into()]).await;
        drop(place);
        if known.map_err(&failed)?.is_empty() {
            return Err(SignInRefusal::LinkInvalid.into());
        }
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let of = self.use_link(&mut transaction, digest, LinkPurpose::SignIn).await?;
        let how = (None, "by a link");
        let opened = self.open_session(&mut transaction, &of, terms, how).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(opened)
    }

    /// Whose invitation this is. It is good no more, if the transaction is committed.
    pub(super) async fn use_invitation(
        &self,
        transaction: &mut Transaction,
        invitation: &str,
    ) -> Result<KeyRecord, StoreError> {
        let digest = parse(invitation).ok_or(SignInRefusal::LinkInvalid)?;
        self.use_link(transaction, digest, LinkPurpose::Invitation).await
    }

    async fn use_link(
        &self,
        transaction: &mut Transaction,
        digest: [u8; 32],
        purpose: LinkPurpose,
    ) -> Result<KeyRecord, StoreError> {
        let failed = StoreError::database("use a link");
        let now = self.inner.clock.now(transaction).await.map_err(&failed)?;
        // The key first, as whoever revokes it does; whether the link is still there is seen behind that.
        let sql = "SELECT key_id FROM sign_in_links WHERE secret_sha256 = $1 AND purpose = $2";
        let values = [digest.to_vec().into(), purpose.number().into()];
        let found = transaction.fetch(sql, &values).await.map_err(&failed)?;
        let row = found.first().ok_or(SignInRefusal::LinkInvalid)?;
        let key = row.text("key_id").map_err(&failed)?;
        let key: KeyId = key.parse().map_err(|_| StoreError::Malformed { field: "key_id" })?;
        let of = good_key(transaction, key).await?;
        let of = of.ok_or(SignInRefusal::LinkInvalid)?;
        let sql =
            "DELETE FROM sign_in_links WHERE secret_sha256 = $1 AND purpose = $2 AND key_id = $3 AND expires_at > $4";
        let values = [
            digest.to_vec().into(),
            purpose.number().into(),
            key.to_string().into(),
            now.into(),
        ];
        match transaction.execute(sql, &values).await.map_err(&failed)? {
            0 => Err(SignInRefusal::LinkInvalid.into()),
            _ => Ok(of),
        }
    }
}

const SELECT_LINK: &str = "SELECT k.key_id, k.subject, k.roles, k.issued_at, k.revoked_at, k.person, a.name AS party_name, \
     a.revoked_at AS party_revoked_at FROM sign_in_links l JOIN api_keys k ON k.key_id = l.key_id \
     LEFT JOIN parties a ON k.subject = a.party_id + 2 WHERE l.secret_sha256 = $1 AND l.purpose = $2 AND l.expires_at > $3";

#[cfg(test)]
mod tests {
    //! Goal: only the text of a link is one.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_link_reads_back_and_nothing_else_does() {
        let text = format!("{PREFIX}{}", hex::encode([9; 32]));
        assert_eq!(parse(&text).unwrap(), <[u8; 32]>::from(Sha256::digest([9; 32])));
        for bad in [
            "",
            PREFIX,
            &text[1..],
            &text[..text.len() - 2],
            &format!("{text}00"),
            "tocsin_link_zz",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
