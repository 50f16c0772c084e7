use tocsin_audit::Action;
use tocsin_model::{KeyId, Milliseconds};

use super::{Opened, SessionTerms, SignInRefusal, about_person, at, good_key, locked_key};
use crate::database::{Locked, Transaction};
use crate::key::KeyRecord;
use crate::{Store, StoreError};

/// How many accounts of providers are bound to a person at most.
pub const ACCOUNTS_PER_PERSON_MAX: usize = 8;
/// The longest issuer, in bytes.
const ISSUER_BYTES_MAX: usize = 512;
/// The longest subject, in bytes (OpenID Connect Core 1.0, section 2).
const SUBJECT_BYTES_MAX: usize = 255;

/// An account of an OpenID provider: what a provider calls somebody for ever. Never an address of e-mail, which providers give to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    issuer: String,
    subject: String,
}

/// Somebody whom a provider signed in.
#[derive(Clone, Copy, Debug)]
pub struct AccountSignIn<'a> {
    /// With which account.
    pub account: &'a Account,
    /// The SHA-256 of the sign-in's state, which comes to its end once.
    pub state: [u8; 32],
    /// How long the state would be taken.
    pub state_lifetime: Milliseconds,
    /// The invitation with which they came.
    pub invitation: Option<&'a str>,
    /// How long their session lasts.
    pub terms: SessionTerms,
}

impl Account {
    /// An account.
    ///
    /// # Errors
    /// [`SignInRefusal::AccountMalformed`].
    pub fn new(issuer: &str, subject: &str) -> Result<Account, SignInRefusal> {
        let is_text = |text: &str, bytes_max| {
            (1..=bytes_max).contains(&text.len())
                && text.is_ascii()
                && !text.contains(|one: char| one.is_ascii_control())
        };
        if !is_text(issuer, ISSUER_BYTES_MAX) || !is_text(subject, SUBJECT_BYTES_MAX) {
            return Err(SignInRefusal::AccountMalformed);
        }
        Ok(Account {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        })
    }

    fn about(&self) -> String {
        format!("{} at {}", self.subject, self.issuer)
    }
}

impl Store {
    /// Binds an account of a provider to a person: whoever signs in with it is them. Binding it to them again changes nothing.
    ///
    /// # Errors
    /// [`SignInRefusal::AccountTaken`], [`SignInRefusal::AccountCount`]; [`StoreError::NoSuchKey`]: the key is no person's, or it or its party was
    /// revoked; or the database failed.
    pub async fn bind_account(&self, key: KeyId, account: &Account) -> Result<(), StoreError> {
        let failed = StoreError::database("bind an account");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let of = good_key(&mut transaction, key).await?;
        let of = of.ok_or(StoreError::NoSuchKey { key })?;
        if self.bind(&mut transaction, &of, account).await? {
            let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
            let mut entry = about_person(Action::AccountBound, &of, "", Some(account.about()));
            // From the command line.
            entry.team = None;
            self.append_audit(&mut transaction, now, &[entry]).await?;
        }
        transaction.commit().await.map_err(&failed)
    }

    /// Takes all accounts from a person, and ends all their sessions and links. How many accounts that were.
    ///
    /// # Errors
    /// [`StoreError::NoSuchKey`]: the key is no person's, or it or its party was revoked; or the database failed.
    pub async fn unbind_accounts(&self, key: KeyId) -> Result<u64, StoreError> {
        let failed = StoreError::database("unbind accounts");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        // Whoever signs in as them meanwhile is done before or begins behind this: no session stays that it did not see.
        let of = locked_key(&mut transaction, key, Locked::Key).await?;
        let of = of.ok_or(StoreError::NoSuchKey { key })?;
        let mut unbound = 0;
        for table in ["sessions", "sign_in_links", "sign_in_accounts"] {
            let sql = format!("DELETE FROM {table} WHERE key_id = $1");
            unbound = transaction
                .execute(&sql, &[key.to_string().into()])
                .await
                .map_err(&failed)?;
        }
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let mut entry = about_person(Action::AccountUnbound, &of, &format!("{unbound} accounts"), None);
        entry.team = None;
        self.append_audit(&mut transaction, now, &[entry]).await?;
        transaction.commit().await.map_err(&failed)?;
        self.inner.sessions.clear();
        Ok(unbound)
    }

    /// Opens a session of the person to whom the account is bound, or by whose invitation it is bound now. The state comes to its end with it, and what
    /// is refused changes nothing.
    ///
    /// # Errors
    /// A [`SignInRefusal`], or the database failed.
    pub async fn sign_in_by_account(&self, sign_in: AccountSignIn<'_>) -> Result<Opened, StoreError> {
        let failed = StoreError::database("sign in by an account");
        let account = sign_in.account;
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let sql = "INSERT INTO sign_in_states (state_sha256, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let until = at(now, sign_in.state_lifetime);
        let values = [sign_in.state.to_vec().into(), until.into()];
        if transaction.execute(sql, &values).await.map_err(&failed)? == 0 {
            return Err(SignInRefusal::StateUsed.into());
        }
        let (of, bound) = match sign_in.invitation {
            Some(invitation) => {
                let of = self.use_invitation(&mut transaction, invitation).await?;
                let is_new = self.bind(&mut transaction, &of, account).await?;
                let about = Some(account.about());
                let bound = is_new.then(|| about_person(Action::AccountBound, &of, "by an invitation", about));
                (of, bound)
            }
            None => {
                let Some(Bound::To(of)) = bound_to(&mut transaction, account).await? else {
                    return Err(SignInRefusal::AccountUnknown.into());
                };
                (of, None)
            }
        };
        let how = (bound, "by a provider");
        let opened = self.open_session(&mut transaction, &of, sign_in.terms, how).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(opened)
    }

    /// Whether the account was not bound to them yet.
    async fn bind(&self, transaction: &mut Transaction, of: &KeyRecord, account: &Account) -> Result<bool, StoreError> {
        let failed = StoreError::database("bind an account");
        let dead = match bound_to(transaction, account).await? {
            Some(Bound::To(bound)) if bound.id == of.id => return Ok(false),
            Some(Bound::To(_)) => return Err(SignInRefusal::AccountTaken.into()),
            Some(Bound::ToDead(key)) => Some(key),
            None => None,
        };
        let count = "SELECT count(*) AS accounts FROM sign_in_accounts WHERE key_id = $1";
        let count = transaction
            .fetch(count, &[of.id.to_string().into()])
            .await
            .map_err(&failed)?;
        let count = count
            .first()
            .map_or(Ok(0), |row| row.integer("accounts"))
            .map_err(&failed)?;
        if count >= ACCOUNTS_PER_PERSON_MAX as i64 {
            return Err(SignInRefusal::AccountCount.into());
        }
        let now = self.inner.clock.now(transaction).await.map_err(&failed)?;
        // What was bound to a key that is good no more, and nothing that somebody bound meanwhile.
        if let Some(dead) = dead {
            let sql = "DELETE FROM sign_in_accounts WHERE issuer = $1 AND subject = $2 AND key_id = $3";
            let values = [
                account.issuer.as_str().into(),
                account.subject.as_str().into(),
                dead.to_string().into(),
            ];
            transaction.execute(sql, &values).await.map_err(&failed)?;
        }
        let sql = "INSERT INTO sign_in_accounts (issuer, subject, key_id, bound_at) VALUES ($1, $2, $3, $4)";
        let values = [
            account.issuer.as_str().into(),
            account.subject.as_str().into(),
            of.id.to_string().into(),
            now.into(),
        ];
        match transaction.execute(sql, &values).await {
            Ok(_) => Ok(true),
            // Somebody bound it meanwhile.
            Err(error) if StoreError::is_unique_violation(&error) => Err(SignInRefusal::AccountTaken.into()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// To whom an account is bound.
enum Bound {
    /// A person who may come in.
    To(KeyRecord),
    /// A key that is good no more.
    ToDead(KeyId),
}

/// To whom an account is bound; it stays so until the end of the transaction if it is a person who may come in.
async fn bound_to(transaction: &mut Transaction, account: &Account) -> Result<Option<Bound>, StoreError> {
    let Some(key) = key_bound_to(transaction, account).await? else {
        return Ok(None);
    };
    let Some(of) = good_key(transaction, key).await? else {
        return Ok(Some(Bound::ToDead(key)));
    };
    // Taken from them while this waited for the key.
    let is_still = key_bound_to(transaction, account).await? == Some(key);
    Ok(is_still.then_some(Bound::To(of)))
}

async fn key_bound_to(transaction: &mut Transaction, account: &Account) -> Result<Option<KeyId>, StoreError> {
    let failed = StoreError::database("find whose account it is");
    let sql = "SELECT key_id FROM sign_in_accounts WHERE issuer = $1 AND subject = $2";
    let values = [account.issuer.as_str().into(), account.subject.as_str().into()];
    let rows = transaction.fetch(sql, &values).await.map_err(&failed)?;
    let Some(row) = rows.first() else { return Ok(None) };
    let key = row.text("key_id").map_err(&failed)?;
    let key = key.parse().map_err(|_| StoreError::Malformed { field: "key_id" })?;
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    //! Goal: what no provider calls anybody is no account.
    use super::*;

    #[test]
    fn issuers_and_subjects_are_bounded_text() {
        let long = "s".repeat(SUBJECT_BYTES_MAX + 1);
        assert!(Account::new("https://id.example", &long[1..]).is_ok());
        for (issuer, subject) in [
            ("", "s"),
            ("https://id.example", ""),
            ("https://id.example", &long),
            ("https://id.example", "é"),
            ("https://id.example", "a\0b"),
            (&"i".repeat(ISSUER_BYTES_MAX + 1), "s"),
        ] {
            assert_eq!(Account::new(issuer, subject), Err(SignInRefusal::AccountMalformed));
        }
    }
}
