//! Goal: whatever two processes on one store do at once about one person, link or account, what was ended stays ended, nothing is used or moved twice, and
//! none of them waits for the other for ever.
#![allow(clippy::unwrap_used, dead_code)]

mod fixture;

use std::time::{Duration, Instant};

use fixture::{Fixture, n, on_both};
use sqlx::PgPool;
use tocsin_model::{KeyId, Milliseconds};
use tocsin_store::{
    Account, AccountSignIn, KeySubject, LinkPurpose, Opened, Role, Roles, SessionTerms, SignInRefusal, Store,
    StoreError,
};

const ROUNDS: usize = 12;
const TERMS: SessionTerms = SessionTerms {
    idle: Milliseconds::from_minutes(30),
    length: Milliseconds::from_hours(12),
};

async fn person(store: &Store, name: &str) -> KeyId {
    let roles = Roles::of(&[Role::Moderator]);
    let issued = store.issue_key_to(KeySubject::Coordinators, roles, &n(name)).await;
    issued.unwrap().0
}

fn account(subject: &str) -> Account {
    Account::new("https://id.example", subject).unwrap()
}

async fn by_account(store: &Store, account: &Account, state: [u8; 32]) -> Result<Opened, StoreError> {
    let sign_in = AccountSignIn {
        account,
        state,
        state_lifetime: Milliseconds::from_minutes(10),
        invitation: None,
        terms: TERMS,
    };
    store.sign_in_by_account(sign_in).await
}

/// Whether a process that remembers nothing takes the token.
async fn is_good(f: &Fixture, token: &str) -> bool {
    let store = f.another().await;
    let principal = store.authenticate(token).await.unwrap();
    store.close().await;
    principal.is_some()
}

/// What came of a sign-in that may have come too late; everything else is wrong.
fn opened(result: Result<Opened, StoreError>, too_late: SignInRefusal) -> Option<Opened> {
    match result {
        Ok(opened) => Some(opened),
        Err(StoreError::SignInRefused(refusal)) if refusal == too_late => None,
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_outlives_an_unbinding_that_it_met() {
    on_both(async |f| {
        let other = f.another().await;
        let ada = person(&f.store, "ada").await;
        for round in 0..ROUNDS {
            f.store.bind_account(ada, &account("a")).await.unwrap();
            let link = f.store.issue_link(ada, LinkPurpose::SignIn).await.unwrap();
            let a = account("a");
            let (by_account, by_link, unbound) = tokio::join!(
                by_account(&f.store, &a, [round as u8; 32]),
                f.store.sign_in_by_link(link.expose(), TERMS),
                other.unbind_accounts(ada),
            );
            assert_eq!(unbound.unwrap(), 1);
            let sessions = [
                opened(by_account, SignInRefusal::AccountUnknown),
                opened(by_link, SignInRefusal::LinkInvalid),
            ];
            for session in sessions.iter().flatten() {
                assert!(!is_good(f, session.token.expose()).await, "round {round}");
            }
        }
        other.close().await;
    })
    .await;
}

/// The same, in the one order that matters: the session is written, but not committed, when the unbinding begins.
#[tokio::test(flavor = "multi_thread")]
async fn an_unbinding_waits_for_a_sign_in_that_is_under_way() {
    on_both(async |f| {
        if !f.url.starts_with("postgres") {
            return;
        }
        let (store, other) = (f.store.clone(), f.another().await);
        let ada = person(&store, "ada").await;
        store.bind_account(ada, &account("a")).await.unwrap();
        // Both end with the chain of audit records, which somebody holds.
        let pool = PgPool::connect(&f.url).await.unwrap();
        let mut held = pool.begin().await.unwrap();
        let hold = sqlx::query("LOCK TABLE audit_chains IN EXCLUSIVE MODE");
        hold.execute(&mut *held).await.unwrap();
        let signing_in = tokio::spawn(async move { by_account(&store, &account("a"), [1; 32]).await });
        until_wait(&pool, 1, || signing_in.is_finished()).await;
        let unbinding = {
            let other = other.clone();
            tokio::spawn(async move { other.unbind_accounts(ada).await })
        };
        until_wait(&pool, 2, || unbinding.is_finished()).await;
        held.rollback().await.unwrap();
        let session = signing_in.await.unwrap().unwrap();
        assert_eq!(unbinding.await.unwrap().unwrap(), 1);
        assert!(!is_good(f, session.token.expose()).await);
        pool.close().await;
        other.close().await;
    })
    .await;
}

const WAITERS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Until so many wait for a lock of the database, or one that should wait is done; for a minute at most.
async fn until_wait(pool: &PgPool, wanted: i64, is_done: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_done() {
        assert!(began.elapsed() < Duration::from_secs(60), "nobody waits");
        let waiters: i64 = sqlx::query_scalar(WAITERS).fetch_one(pool).await.unwrap();
        if waiters >= wanted {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_and_whoever_comes_or_goes_do_not_wait_for_each_other_for_ever() {
    on_both(async |f| {
        let other = f.another().await;
        for round in 0..ROUNDS {
            let ada = person(&f.store, &format!("ada-{round}")).await;
            let link = f.store.issue_link(ada, LinkPurpose::SignIn).await.unwrap();
            let session = f.store.sign_in_by_link(link.expose(), TERMS).await.unwrap();
            let link = f.store.issue_link(ada, LinkPurpose::SignIn).await.unwrap();
            let (came, went, revoked) = tokio::join!(
                f.store.sign_in_by_link(link.expose(), TERMS),
                f.store.end_session(session.token.expose()),
                other.revoke_key(ada),
            );
            revoked.unwrap();
            went.unwrap();
            let came = opened(came, SignInRefusal::LinkInvalid);
            for session in std::iter::once(&session).chain(&came) {
                assert!(!is_good(f, session.token.expose()).await, "round {round}");
            }
        }
        other.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_sign_in_with_one_state_one_comes_in() {
    on_both(async |f| {
        let other = f.another().await;
        let ada = person(&f.store, "ada").await;
        let a = account("a");
        f.store.bind_account(ada, &a).await.unwrap();
        for round in 0..ROUNDS {
            let state = [round as u8; 32];
            let (one, two) = tokio::join!(by_account(&f.store, &a, state), by_account(&other, &a, state));
            let came = [one, two].map(|came| opened(came, SignInRefusal::StateUsed));
            assert_eq!(came.iter().flatten().count(), 1, "round {round}");
        }
        other.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_to_whom_an_account_is_bound_at_once_one_has_it() {
    on_both(async |f| {
        let other = f.another().await;
        let (ada, eve) = (person(&f.store, "ada").await, person(&f.store, "eve").await);
        for round in 0..8_u8 {
            // Bound to nobody, or to somebody whose party is no more.
            let a = account(&format!("a-{round}"));
            if round % 2 == 0 {
                let party = f.party(&format!("party-{round}")).await.0;
                let roles = Roles::of(&[Role::Moderator]);
                let gone = f
                    .store
                    .issue_key_to(KeySubject::Party(party.id), roles, &n("kim"))
                    .await;
                f.store.bind_account(gone.unwrap().0, &a).await.unwrap();
                f.store.revoke_party(party.id).await.unwrap();
            }
            let (to_ada, to_eve) = tokio::join!(f.store.bind_account(ada, &a), other.bind_account(eve, &a));
            let who = match (to_ada, to_eve) {
                (Ok(()), Err(StoreError::SignInRefused(SignInRefusal::AccountTaken))) => ada,
                (Err(StoreError::SignInRefused(SignInRefusal::AccountTaken)), Ok(())) => eve,
                both => panic!("round {round}: {both:?}"),
            };
            let state = [round; 32];
            assert_eq!(by_account(&f.store, &a, state).await.unwrap().key, who);
            f.store.unbind_accounts(who).await.unwrap();
        }
        other.close().await;
    })
    .await;
}
