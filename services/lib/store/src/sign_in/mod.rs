//! How people come in without showing their key: sessions, accounts of OpenID providers that are bound to them, and links that are good once.
//!
//! A session speaks as the key of its person: same roles, same team, same leases; and it ends with that key. Of tokens and links only SHA-256 digests
//! are stored.

mod account;
mod link;
mod session;

use tocsin_audit::{Action, Entry, Field, Personal};
use tocsin_model::{KeyId, Milliseconds, Name, Timestamp};

use crate::database::{Locked, Transaction};
use crate::key::{KeyRecord, record};
use crate::party::is_revoked;
use crate::{KeySubject, Store, StoreError};

pub use account::{ACCOUNTS_PER_PERSON_MAX, Account, AccountSignIn};
pub use link::{INVITATION_LIFETIME, LINK_LIFETIME, LinkOf, LinkPurpose, OneTimeLink};
pub(crate) use session::{Asked, parse};
pub use session::{SESSIONS_PER_PERSON_MAX, SessionRecord, SessionTerms, SessionToken, SignedIn};

/// Why somebody is not signed in, or an account not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInRefusal {
    /// The link was used, is too old, or was never given.
    #[error("the link was used, is too old, or was never given")]
    LinkInvalid,
    /// The sign-in came to its end before.
    #[error("this sign-in came to its end before")]
    StateUsed,
    /// The account is bound to nobody who may come in.
    #[error("the account of the provider is bound to nobody here")]
    AccountUnknown,
    /// The account is bound to another person.
    #[error("the account of the provider is bound to another person")]
    AccountTaken,
    /// As many accounts are bound to the person as may be.
    #[error("a person has at most {ACCOUNTS_PER_PERSON_MAX} accounts of providers")]
    AccountCount,
    /// Issuer or subject is empty, too long or malformed.
    #[error("an issuer has 1 to 512 bytes, a subject 1 to 255 bytes of ASCII, both without control characters")]
    AccountMalformed,
}

impl SignInRefusal {
    /// All of them.
    pub const ALL: [SignInRefusal; 6] = [
        SignInRefusal::LinkInvalid,
        SignInRefusal::StateUsed,
        SignInRefusal::AccountUnknown,
        SignInRefusal::AccountTaken,
        SignInRefusal::AccountCount,
        SignInRefusal::AccountMalformed,
    ];

    /// Its stable name.
    pub fn code(self) -> &'static str {
        match self {
            SignInRefusal::LinkInvalid => "link_invalid",
            SignInRefusal::StateUsed => "sign_in_state_invalid",
            SignInRefusal::AccountUnknown => "account_unknown",
            SignInRefusal::AccountTaken => "account_taken",
            SignInRefusal::AccountCount => "account_count",
            SignInRefusal::AccountMalformed => "account_malformed",
        }
    }
}

/// A session that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Its token; the only copy.
    pub token: SessionToken,
    /// As whose key it speaks.
    pub key: KeyId,
    /// The person, by name in their team.
    pub person: Option<Name>,
    /// How long it lasts at most.
    pub length: Milliseconds,
}

impl Store {
    /// Forgets sessions, links and states whose time is over. How many rows that were.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_sign_ins(&self) -> Result<u64, StoreError> {
        let failed = StoreError::database("forget sign-ins");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let mut forgotten = 0;
        for sql in [
            "DELETE FROM sessions WHERE expires_at <= $1 OR seen_at + idle_ms <= $1",
            "DELETE FROM sign_in_links WHERE expires_at <= $1",
            "DELETE FROM sign_in_states WHERE expires_at <= $1",
        ] {
            forgotten += transaction.execute(sql, &[now.into()]).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(forgotten)
    }
}

/// A person's key that is good, and stays so until the end of the transaction; `None` where it, or its party, was revoked.
///
/// Every transaction locks the key before it touches what is its person's (sessions, links, accounts): what it read of those before, it reads again. But
/// for the hourly sweep of what is over, which takes what it finds: of two that meet over it PostgreSQL may end one.
async fn good_key(transaction: &mut Transaction, key: KeyId) -> Result<Option<KeyRecord>, StoreError> {
    locked_key(transaction, key, Locked::KeyShared).await
}

/// As [`good_key`], under a lock of either kind.
async fn locked_key(
    transaction: &mut Transaction,
    key: KeyId,
    locked: Locked,
) -> Result<Option<KeyRecord>, StoreError> {
    let failed = StoreError::database("find whose session it is");
    let sql = format!(
        "SELECT k.key_id, k.subject, k.roles, k.issued_at, k.revoked_at, k.person FROM api_keys k WHERE k.key_id = $1{}",
        transaction.for_update(locked)
    );
    let rows = transaction
        .fetch(&sql, &[key.to_string().into()])
        .await
        .map_err(&failed)?;
    let Some(found) = rows.first().map(record).transpose()? else {
        return Ok(None);
    };
    if found.revoked_at.is_some() || found.person.is_none() {
        return Ok(None);
    }
    if let KeySubject::Party(party) = found.subject
        && is_revoked(transaction, party, &failed).await?
    {
        return Ok(None);
    }
    Ok(Some(found))
}

/// What the audit chain says of a change of how a person comes in. `team`: for whom they speak, where it was they who did it.
fn about_person(action: Action, of: &KeyRecord, detail: &str, about: Option<String>) -> Entry {
    let key = Personal::new(Field::Key, of.id.to_string());
    let person = of
        .person
        .as_ref()
        .map(|person| Personal::new(Field::Person, person.as_str()));
    let about = about.map(|about| Personal::new(Field::About, about));
    Entry {
        action,
        team: Some(of.subject.scope()),
        object: "a person's sign-in".to_owned(),
        detail: detail.to_owned(),
        personal: std::iter::once(key).chain(person).chain(about).collect(),
    }
}

fn at(now: Timestamp, later: Milliseconds) -> Timestamp {
    Timestamp(now.0.saturating_add(later.0))
}
