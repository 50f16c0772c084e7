use std::fmt;
use std::time::Instant;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tocsin_audit::{Action, Entry};
use tocsin_model::{KeyId, Milliseconds, Name, Timestamp};

use super::{Opened, about_person, at, good_key};
use crate::database::Transaction;
use crate::key::{KeyRecord, Principal, principal};
use crate::key_cache::Remembered;
use crate::{Store, StoreError};

/// How many sessions a person has at once at most: a further one ends the oldest.
pub const SESSIONS_PER_PERSON_MAX: usize = 16;
/// How exactly it is kept when a session was last used.
const SEEN_TO: Milliseconds = Milliseconds::from_minutes(1);

const PREFIX: &str = "tocsin_session_";

/// A whole session token, `tocsin_session_` + 32 hexadecimal digits of its id + 64 of its secret.
pub struct SessionToken(String);

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTerms {
    /// A session that is not used for so long is over, to the minute.
    pub idle: Milliseconds,
    /// And each after so long.
    pub length: Milliseconds,
}

/// A session as its person is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it is over unless it is used meanwhile.
    pub idle_at: Timestamp,
    /// When it is over in any case.
    pub expires_at: Timestamp,
}

/// Who speaks, beside what a [`Principal`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The person's name in their team; `None`: the key is no person's.
    pub person: Option<Name>,
    /// The session; `None`: the key itself was shown.
    pub session: Option<SessionRecord>,
}

/// Whether somebody asks for something with a session, or we look by ourselves whether it is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    BySomebody,
    ByNobody,
}

impl SessionToken {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Shows no digit of the secret.
impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(secret)")
    }
}

/// A token someone showed: the session's id and the SHA-256 of its secret. `None` when the text has not the form of one.
pub(crate) fn parse(text: &str) -> Option<(KeyId, [u8; 32])> {
    crate::key::parse_after(PREFIX, text)
}

impl SessionTerms {
    /// When a session is over that was opened and last seen at these times.
    fn is_over(idle: i64, seen_at: i64, expires_at: i64, now: Timestamp) -> bool {
        now.0 >= expires_at || now.0 >= seen_at.saturating_add(idle)
    }
}

impl Store {
    /// As [`Store::authenticate`], for a look of our own that nobody asked for, as a stream does that goes on: it keeps no session alive.
    ///
    /// # Errors
    /// As [`Store::authenticate`].
    pub async fn authenticate_unasked(&self, text: &str) -> Result<Option<Principal>, StoreError> {
        match parse(text) {
            Some((id, digest)) => self.authenticate_session(id, digest, Asked::ByNobody).await,
            None => self.authenticate(text).await,
        }
    }

    /// As [`Store::authenticate`], of a session's token: whoever shows it speaks as the key of the session's person.
    pub(crate) async fn authenticate_session(
        &self,
        id: KeyId,
        digest: [u8; 32],
        asked: Asked,
    ) -> Result<Option<Principal>, StoreError> {
        let failed = StoreError::database("check a session");
        let sessions = &self.inner.sessions;
        let place = match sessions.get(id, &digest) {
            Remembered::Good(principal) => return Ok(Some(principal)),
            Remembered::Bad => return Ok(None),
            Remembered::GoodOnce => None,
            Remembered::Nothing => {
                let place = self.inner.look_ups.enter().await;
                Some(place.ok_or_else(|| failed(sqlx::Error::PoolTimedOut))?)
            }
        };
        let asked_at = Instant::now();
        let generation = sessions.generation();
        let rows = self
            .database()
            .fetch(SELECT_SESSION, &[id.to_string().into()])
            .await
            .map_err(&failed)?;
        let Some(row) = rows.first() else {
            sessions.forget(id);
            sessions.put_absent(id, asked_at);
            return Ok(None);
        };
        let now = self.now().await.map_err(&failed)?;
        let integer = |name| row.integer(name).map_err(&failed);
        let (seen_at, idle, expires_at) = (integer("seen_at")?, integer("idle_ms")?, integer("expires_at")?);
        let stored: [u8; 32] = row
            .bytes("session_sha256")
            .map_err(&failed)?
            .try_into()
            .map_err(|_| StoreError::Malformed { field: "secret_sha256" })?;
        let Some(principal) = principal(row)?.filter(|_| !SessionTerms::is_over(idle, seen_at, expires_at, now)) else {
            sessions.forget(id);
            sessions.put_absent(id, asked_at);
            return Ok(None);
        };
        let is_good = bool::from(stored.ct_eq(&digest));
        drop(place);
        // Only whoever has the secret keeps a session alive, and only by asking for something.
        let is_due = is_good && now.0.saturating_sub(seen_at) >= SEEN_TO.0;
        // A database that takes no writes just now refuses nobody who may read.
        let is_noted = is_due && asked == Asked::BySomebody && self.touch(id, now).await.is_ok();
        if is_due && !is_noted {
            // Not remembered, so that whoever asks next does keep it alive.
            return Ok(Some(principal));
        }
        sessions.put(id, stored, principal.clone(), asked_at, generation);
        Ok(is_good.then_some(principal))
    }

    async fn touch(&self, id: KeyId, now: Timestamp) -> Result<(), StoreError> {
        let failed = StoreError::database("keep a session alive");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let sql = "UPDATE sessions SET seen_at = $2 WHERE session_id = $1 AND seen_at <= $3";
        let before = Timestamp(now.0.saturating_sub(SEEN_TO.0));
        let values = [id.to_string().into(), now.into(), before.into()];
        transaction.execute(sql, &values).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// What is known of a key that was checked, and of the session in whose name it spoke: `token` is what was shown.
    ///
    /// # Errors
    /// The database failed.
    pub async fn signed_in(&self, key: KeyId, token: &str) -> Result<SignedIn, StoreError> {
        let failed = StoreError::database("read a session");
        let sql = "SELECT person FROM api_keys WHERE key_id = $1";
        let rows = self.database().fetch(sql, &[key.to_string().into()]).await;
        let rows = rows.map_err(&failed)?;
        let person = rows.first().map(|row| row.text_if_any("person")).transpose();
        let person = person.map_err(&failed)?.flatten();
        let person = person
            .map(|name| name.parse().map_err(|_| StoreError::Malformed { field: "person" }))
            .transpose()?;
        let Some((id, _)) = parse(token) else {
            return Ok(SignedIn { person, session: None });
        };
        let sql = "SELECT opened_at, seen_at, idle_ms, expires_at FROM sessions WHERE session_id = $1";
        let rows = self.database().fetch(sql, &[id.to_string().into()]).await;
        let rows = rows.map_err(&failed)?;
        let session = rows.first().map(|row| {
            let expires_at = row.integer("expires_at")?;
            let idle_at = row.integer("seen_at")?.saturating_add(row.integer("idle_ms")?);
            Ok(SessionRecord {
                opened_at: Timestamp(row.integer("opened_at")?),
                idle_at: Timestamp(idle_at.min(expires_at)),
                expires_at: Timestamp(expires_at),
            })
        });
        let session = session.transpose().map_err(&failed)?;
        Ok(SignedIn { person, session })
    }

    /// Ends the session whose token this is, for whoever was signed in. Whether there was one: an API key is none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_session(&self, token: &str) -> Result<bool, StoreError> {
        let failed = StoreError::database("end a session");
        let Some((id, digest)) = parse(token) else {
            return Ok(false);
        };
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let values = [id.to_string().into(), digest.to_vec().into()];
        // The key first, as whoever revokes it does; whether the session is still there is seen behind that.
        let sql = "SELECT key_id FROM sessions WHERE session_id = $1 AND secret_sha256 = $2";
        let found = transaction.fetch(sql, &values).await.map_err(&failed)?;
        let Some(row) = found.first() else {
            return Ok(false);
        };
        let key = row.text("key_id").map_err(&failed)?;
        let of = key.parse().map_err(|_| StoreError::Malformed { field: "key_id" })?;
        let of = good_key(&mut transaction, of).await?;
        let sql = "DELETE FROM sessions WHERE session_id = $1 AND secret_sha256 = $2";
        if transaction.execute(sql, &values).await.map_err(&failed)? == 0 {
            return Ok(false);
        }
        if let Some(of) = of {
            let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
            let entry = about_person(Action::SignedOut, &of, "", None);
            self.append_audit(&mut transaction, now, &[entry]).await?;
        }
        transaction.commit().await.map_err(&failed)?;
        self.inner.sessions.end(id);
        Ok(true)
    }

    /// Opens a session, and says in the audit chain what came `before` and that it was opened: the last thing a transaction does.
    pub(super) async fn open_session(
        &self,
        transaction: &mut Transaction,
        of: &KeyRecord,
        terms: SessionTerms,
        (before, how): (Option<Entry>, &str),
    ) -> Result<Opened, StoreError> {
        let failed = StoreError::database("open a session");
        let now = self.inner.clock.now(transaction).await.map_err(&failed)?;
        let key = of.id.to_string();
        let oldest = "DELETE FROM sessions WHERE session_id IN \
             (SELECT session_id FROM sessions WHERE key_id = $1 ORDER BY opened_at DESC, session_id LIMIT 1000 OFFSET $2)";
        let kept = SESSIONS_PER_PERSON_MAX as i64 - 1;
        let values = [key.as_str().into(), kept.into()];
        transaction.execute(oldest, &values).await.map_err(&failed)?;
        let id = KeyId(rand::random());
        let secret: [u8; crate::key::SECRET_BYTES] = rand::random();
        let sql = "INSERT INTO sessions (session_id, secret_sha256, key_id, opened_at, seen_at, idle_ms, expires_at) \
             VALUES ($1, $2, $3, $4, $4, $5, $6)";
        let values = [
            id.to_string().into(),
            Sha256::digest(secret).to_vec().into(),
            key.into(),
            now.into(),
            terms.idle.0.into(),
            at(now, terms.length).into(),
        ];
        transaction.execute(sql, &values).await.map_err(&failed)?;
        let opened = about_person(Action::SignedIn, of, how, None);
        let entries: Vec<Entry> = before.into_iter().chain([opened]).collect();
        self.append_audit(transaction, now, &entries).await?;
        Ok(Opened {
            token: SessionToken(format!("{PREFIX}{id}{}", hex::encode(secret))),
            key: of.id,
            person: of.person.clone(),
            length: terms.length,
        })
    }
}

const SELECT_SESSION: &str = "SELECT s.secret_sha256 AS session_sha256, s.seen_at, s.idle_ms, s.expires_at, \
     k.key_id, k.subject, k.roles, k.issued_at, k.revoked_at, k.person, a.name AS party_name, a.revoked_at AS party_revoked_at \
     FROM sessions s JOIN api_keys k ON k.key_id = s.key_id LEFT JOIN parties a ON k.subject = a.party_id + 2 WHERE s.session_id = $1";

#[cfg(test)]
mod tests {
    //! Goal: a session's token is never taken for a key, nor a key for a session.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_token_reads_back_and_nothing_else_does() {
        let digits = format!("{}{}", KeyId(7), hex::encode([9; 32]));
        let (id, digest) = parse(&format!("{PREFIX}{digits}")).unwrap();
        assert_eq!((id, digest), (KeyId(7), Sha256::digest([9; 32]).into()));
        assert!(crate::key::parse(&format!("{PREFIX}{digits}")).is_none());
        for bad in [
            String::new(),
            PREFIX.to_owned(),
            digits.clone(),
            format!("tocsin_{digits}"),
            format!("{PREFIX}{digits}0"),
            format!("{PREFIX}{}", "é".repeat(48)),
        ] {
            assert!(parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_session_is_over_when_idle_or_old() {
        for (now, is_over) in [(0, false), (99, false), (100, true), (500, true)] {
            assert_eq!(SessionTerms::is_over(100, 0, 1_000, Timestamp(now)), is_over, "{now}");
        }
        assert!(SessionTerms::is_over(100, 999, 1_000, Timestamp(1_000)));
        assert!(!SessionTerms::is_over(i64::MAX, 5, 1_000, Timestamp(999)));
    }
}
