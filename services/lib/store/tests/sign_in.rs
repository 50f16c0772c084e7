//! Goal: whoever signs in is exactly the person whose key they would show, for as long as they may be, on both databases.
#![allow(clippy::unwrap_used, dead_code)]

mod fixture;

use std::collections::BTreeMap;

use fixture::{Fixture, n, on_both, on_sqlite};
use tocsin_audit::Action;
use tocsin_model::{KeyId, Milliseconds};
use tocsin_store::{
    ACCOUNTS_PER_PERSON_MAX, Account, AccountSignIn, INVITATION_LIFETIME, KeySubject, LINK_LIFETIME, LinkPurpose,
    Opened, PageOf, Role, Roles, SESSIONS_PER_PERSON_MAX, SessionTerms, SignInRefusal, Store, StoreError, Subject,
};

const ISSUER: &str = "https://id.example";
const TERMS: SessionTerms = SessionTerms {
    idle: Milliseconds::from_minutes(30),
    length: Milliseconds::from_hours(12),
};

async fn person(store: &Store, subject: KeySubject, name: &str) -> KeyId {
    let roles = Roles::of(&[Role::Moderator]);
    store.issue_key_to(subject, roles, &n(name)).await.unwrap().0
}

async fn by_link(store: &Store, key: KeyId) -> Opened {
    let link = store.issue_link(key, LinkPurpose::SignIn).await.unwrap();
    store.sign_in_by_link(link.expose(), TERMS).await.unwrap()
}

fn account(subject: &str) -> Account {
    Account::new(ISSUER, subject).unwrap()
}

async fn by_account(
    store: &Store,
    account: &Account,
    state: u8,
    invitation: Option<&str>,
) -> Result<Opened, StoreError> {
    let sign_in = AccountSignIn {
        account,
        state: [state; 32],
        state_lifetime: Milliseconds::from_minutes(10),
        invitation,
        terms: TERMS,
    };
    store.sign_in_by_account(sign_in).await
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>, with: SignInRefusal) {
    assert!(
        matches!(result, Err(StoreError::SignInRefused(refusal)) if refusal == with),
        "{with:?}, not {result:?}"
    );
}

/// Who a process that remembers nothing takes somebody for.
async fn whose(f: &Fixture, token: &str) -> Option<KeyId> {
    let store = f.another().await;
    let principal = store.authenticate(token).await.unwrap();
    store.close().await;
    principal.map(|principal| principal.key_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_speaks_as_its_persons_key_until_it_ends() {
    on_both(async |f| {
        let store = &f.store;
        let party = f.party("alpha").await.0;
        let ada = person(store, KeySubject::Party(party.id), "ada").await;
        let opened = by_link(store, ada).await;
        assert_eq!((opened.key, &opened.person), (ada, &Some(n("ada"))));
        let token = opened.token.expose();
        let principal = store.authenticate(token).await.unwrap().unwrap();
        assert_eq!(principal.key_id, ada);
        assert_eq!(principal.subject, Subject::Party(party.id, n("alpha")));
        assert!(principal.has(Role::Moderator) && !principal.has(Role::Reader));
        let told = store.signed_in(ada, token).await.unwrap();
        assert_eq!(told.person, Some(n("ada")));
        let session = told.session.unwrap();
        assert_eq!(session.idle_at.0 - session.opened_at.0, TERMS.idle.0);
        assert_eq!(session.expires_at.0 - session.opened_at.0, TERMS.length.0);

        // Another secret under the same id, and whatever else is no token of ours.
        let mut forged = token.to_owned();
        let last = if forged.pop() == Some('0') { '1' } else { '0' };
        forged.push(last);
        for text in [
            forged.as_str(),
            &token[..token.len() - 1],
            "tocsin_session_",
            &format!("{token}0"),
        ] {
            assert_eq!(store.authenticate(text).await.unwrap(), None);
            assert_eq!(whose(f, text).await, None);
            assert!(!store.end_session(text).await.unwrap());
        }
        assert_eq!(whose(f, token).await, Some(ada));

        assert!(store.end_session(token).await.unwrap());
        assert_eq!(store.authenticate(token).await.unwrap(), None);
        assert_eq!(whose(f, token).await, None);
        assert!(!store.end_session(token).await.unwrap());

        // The sessions of a revoked person, and of a revoked party.
        let eve = person(store, KeySubject::Coordinators, "eve").await;
        let (of_ada, of_eve) = (by_link(store, ada).await, by_link(store, eve).await);
        store.revoke_key(eve).await.unwrap();
        store.revoke_party(party.id).await.unwrap();
        for opened in [of_ada, of_eve] {
            assert_eq!(store.authenticate(opened.token.expose()).await.unwrap(), None);
            assert_eq!(whose(f, opened.token.expose()).await, None);
        }
        for key in [ada, eve] {
            let refused = store.issue_link(key, LinkPurpose::SignIn).await;
            assert!(matches!(refused, Err(StoreError::NoSuchKey { .. })), "{refused:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_it_is_idle_or_old() {
    on_both(async |f| {
        let ada = person(&f.store, KeySubject::Coordinators, "ada").await;
        let opened = by_link(&f.store, ada).await;
        let token = opened.token.expose();
        // Used every 29 minutes, it lasts its twelve hours and no longer.
        for _ in 0..24 {
            assert_eq!(whose(f, token).await, Some(ada));
            f.clock.advance(Milliseconds::from_minutes(29));
        }
        assert_eq!(whose(f, token).await, Some(ada));
        f.clock.advance(Milliseconds::from_minutes(24));
        assert_eq!(whose(f, token).await, None, "after twelve hours");

        let opened = by_link(&f.store, ada).await;
        let token = opened.token.expose();
        // Whoever lacks the secret keeps nothing alive.
        f.clock.advance(Milliseconds::from_minutes(29));
        let forged = format!("{}{}", &token[..token.len() - 64], "0".repeat(64));
        assert_eq!(whose(f, &forged).await, None);
        f.clock.advance(Milliseconds::from_minutes(1));
        assert_eq!(whose(f, token).await, None, "idle");
        assert_eq!(f.store.forget_sign_ins().await.unwrap(), 2);
        assert_eq!(f.store.forget_sign_ins().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_asked_for_keeps_no_session_alive() {
    on_both(async |f| {
        let ada = person(&f.store, KeySubject::Coordinators, "ada").await;
        let opened = by_link(&f.store, ada).await;
        let token = opened.token.expose();
        for _ in 0..2 {
            let store = f.another().await;
            let principal = store.authenticate_unasked(token).await.unwrap();
            assert_eq!(principal.map(|principal| principal.key_id), Some(ada));
            f.clock.advance(Milliseconds::from_minutes(14));
            store.close().await;
        }
        // It was opened 28 minutes ago, and nobody asked for anything since.
        // In one process: whoever asks behind such a look does keep it alive.
        let store = f.another().await;
        store.authenticate_unasked(token).await.unwrap().unwrap();
        store.authenticate(token).await.unwrap().unwrap();
        f.clock.advance(Milliseconds::from_minutes(29));
        assert_eq!(whose(f, token).await, Some(ada), "kept alive by the one who asked");
        f.clock.advance(Milliseconds::from_minutes(30));
        assert_eq!(f.another().await.authenticate_unasked(token).await.unwrap(), None);
        store.close().await;
        let looked_at = by_link(&f.store, ada).await;
        for _ in 0..2 {
            f.clock.advance(Milliseconds::from_minutes(14));
            let looked = f.another().await;
            assert!(
                looked
                    .authenticate_unasked(looked_at.token.expose())
                    .await
                    .unwrap()
                    .is_some()
            );
            looked.close().await;
        }
        f.clock.advance(Milliseconds::from_minutes(2));
        assert_eq!(
            whose(f, looked_at.token.expose()).await,
            None,
            "half an hour idle, however often it was looked at"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_link_may_look_whose_it_is() {
    on_both(async |f| {
        let store = &f.store;
        let party = f.party("alpha").await.0;
        let ada = person(store, KeySubject::Party(party.id), "ada").await;
        for (purpose, other, lifetime) in [
            (LinkPurpose::SignIn, LinkPurpose::Invitation, LINK_LIFETIME),
            (LinkPurpose::Invitation, LinkPurpose::SignIn, INVITATION_LIFETIME),
        ] {
            let link = store.issue_link(ada, purpose).await.unwrap();
            for _ in 0..2 {
                let of = store.look_at_link(link.expose(), purpose).await.unwrap();
                assert_eq!(
                    (of.person, of.subject),
                    (n("ada"), Subject::Party(party.id, n("alpha")))
                );
            }
            refused(
                store.look_at_link(link.expose(), other).await,
                SignInRefusal::LinkInvalid,
            );
            refused(store.look_at_link("none", purpose).await, SignInRefusal::LinkInvalid);
            f.clock.advance(lifetime);
            refused(
                store.look_at_link(link.expose(), purpose).await,
                SignInRefusal::LinkInvalid,
            );
        }
        let link = store.issue_link(ada, LinkPurpose::SignIn).await.unwrap();
        store.revoke_party(party.id).await.unwrap();
        let looked = store.look_at_link(link.expose(), LinkPurpose::SignIn).await;
        refused(looked, SignInRefusal::LinkInvalid);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_so_many_sessions_and_a_further_one_ends_the_oldest() {
    on_both(async |f| {
        let ada = person(&f.store, KeySubject::Coordinators, "ada").await;
        let eve = person(&f.store, KeySubject::Coordinators, "eve").await;
        let of_eve = by_link(&f.store, eve).await;
        let mut opened = Vec::new();
        for _ in 0..=SESSIONS_PER_PERSON_MAX {
            opened.push(by_link(&f.store, ada).await);
            f.clock.advance(Milliseconds(1));
        }
        assert_eq!(whose(f, opened[0].token.expose()).await, None);
        for one in &opened[1..] {
            assert_eq!(whose(f, one.token.expose()).await, Some(ada));
        }
        assert_eq!(whose(f, of_eve.token.expose()).await, Some(eve));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_good_once_and_for_ten_minutes() {
    on_both(async |f| {
        let store = &f.store;
        let ada = person(store, KeySubject::Coordinators, "ada").await;
        let link = store.issue_link(ada, LinkPurpose::SignIn).await.unwrap();
        // Of many who open it at once, one comes in.
        let other = f.another().await;
        let tries = (0..8).map(|number| {
            let store = if number % 2 == 0 { store.clone() } else { other.clone() };
            let link = link.expose().to_owned();
            tokio::spawn(async move { store.sign_in_by_link(&link, TERMS).await })
        });
        let mut came_in = 0;
        for tried in tries.collect::<Vec<_>>() {
            match tried.await.unwrap() {
                Ok(_) => came_in += 1,
                Err(StoreError::SignInRefused(SignInRefusal::LinkInvalid)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(came_in, 1);
        refused(
            store.sign_in_by_link(link.expose(), TERMS).await,
            SignInRefusal::LinkInvalid,
        );

        let earlier = store.issue_link(ada, LinkPurpose::SignIn).await.unwrap();
        let later = store.issue_link(ada, LinkPurpose::SignIn).await.unwrap();
        let refusal = store.sign_in_by_link(earlier.expose(), TERMS).await;
        refused(refusal, SignInRefusal::LinkInvalid);
        f.clock.advance(LINK_LIFETIME);
        refused(
            store.sign_in_by_link(later.expose(), TERMS).await,
            SignInRefusal::LinkInvalid,
        );

        // An invitation signs nobody in by itself, a link binds nothing, and neither outlives its person.
        let invitation = store.issue_link(ada, LinkPurpose::Invitation).await.unwrap();
        let refusal = store.sign_in_by_link(invitation.expose(), TERMS).await;
        refused(refusal, SignInRefusal::LinkInvalid);
        let link = store.issue_link(ada, LinkPurpose::SignIn).await.unwrap();
        let refusal = by_account(store, &account("a"), 1, Some(link.expose())).await;
        refused(refusal, SignInRefusal::LinkInvalid);
        store.revoke_key(ada).await.unwrap();
        refused(
            store.sign_in_by_link(link.expose(), TERMS).await,
            SignInRefusal::LinkInvalid,
        );
        let refusal = by_account(store, &account("a"), 1, Some(invitation.expose())).await;
        refused(refusal, SignInRefusal::LinkInvalid);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_whom_it_was_bound_to_and_nobody_else() {
    on_both(async |f| {
        let store = &f.store;
        let ada = person(store, KeySubject::Coordinators, "ada").await;
        let eve = person(store, KeySubject::Coordinators, "eve").await;
        refused(
            by_account(store, &account("a"), 1, None).await,
            SignInRefusal::AccountUnknown,
        );
        store.bind_account(ada, &account("a")).await.unwrap();
        store.bind_account(ada, &account("a")).await.unwrap();
        refused(
            store.bind_account(eve, &account("a")).await,
            SignInRefusal::AccountTaken,
        );
        // What was refused came to no end.
        assert_eq!(by_account(store, &account("a"), 1, None).await.unwrap().key, ada);
        refused(
            by_account(store, &account("a"), 1, None).await,
            SignInRefusal::StateUsed,
        );
        // The same subject at another provider is another account.
        let elsewhere = Account::new("https://id.example/", "a").unwrap();
        refused(
            by_account(store, &elsewhere, 2, None).await,
            SignInRefusal::AccountUnknown,
        );

        for number in 1..ACCOUNTS_PER_PERSON_MAX {
            store.bind_account(ada, &account(&number.to_string())).await.unwrap();
        }
        let refusal = store.bind_account(ada, &account("one more")).await;
        refused(refusal, SignInRefusal::AccountCount);

        let opened = by_account(store, &account("1"), 3, None).await.unwrap();
        assert_eq!(
            store.unbind_accounts(ada).await.unwrap(),
            ACCOUNTS_PER_PERSON_MAX as u64
        );
        assert_eq!(store.authenticate(opened.token.expose()).await.unwrap(), None);
        refused(
            by_account(store, &account("1"), 4, None).await,
            SignInRefusal::AccountUnknown,
        );

        // A revoked person's account is nobody's, until somebody else is bound to it.
        store.bind_account(eve, &account("e")).await.unwrap();
        store.revoke_key(eve).await.unwrap();
        refused(
            by_account(store, &account("e"), 5, None).await,
            SignInRefusal::AccountUnknown,
        );
        store.bind_account(ada, &account("e")).await.unwrap();
        assert_eq!(by_account(store, &account("e"), 6, None).await.unwrap().key, ada);
        // A key of no person gets neither account nor link.
        let roles = Roles::of(&[Role::Reader]);
        let (machine, _) = store.issue_key(KeySubject::Coordinators, roles).await.unwrap();
        let refusal = store.bind_account(machine, &account("m")).await;
        assert!(matches!(refusal, Err(StoreError::NoSuchKey { .. })), "{refusal:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_binds_once_and_what_is_refused_uses_none_up() {
    on_both(async |f| {
        let store = &f.store;
        let ada = person(store, KeySubject::Coordinators, "ada").await;
        let eve = person(store, KeySubject::Coordinators, "eve").await;
        store.bind_account(eve, &account("e")).await.unwrap();
        by_account(store, &account("e"), 1, None).await.unwrap();
        let invitation = store.issue_link(ada, LinkPurpose::Invitation).await.unwrap();
        let invitation = Some(invitation.expose());
        refused(
            by_account(store, &account("e"), 2, invitation).await,
            SignInRefusal::AccountTaken,
        );
        refused(
            by_account(store, &account("a"), 1, invitation).await,
            SignInRefusal::StateUsed,
        );
        assert_eq!(by_account(store, &account("a"), 2, invitation).await.unwrap().key, ada);
        refused(
            by_account(store, &account("b"), 3, invitation).await,
            SignInRefusal::LinkInvalid,
        );
        assert_eq!(by_account(store, &account("a"), 4, None).await.unwrap().key, ada);
        // Bound already: nobody's access changes by the invitation, and none is recorded to.
        let again = store.issue_link(ada, LinkPurpose::Invitation).await.unwrap();
        by_account(store, &account("a"), 6, Some(again.expose())).await.unwrap();

        let late = store.issue_link(ada, LinkPurpose::Invitation).await.unwrap();
        f.clock.advance(INVITATION_LIFETIME);
        let refusal = by_account(store, &account("c"), 5, Some(late.expose())).await;
        refused(refusal, SignInRefusal::LinkInvalid);

        // Every change of access is in the chain, with nothing secret in it.
        let whole = PageOf {
            team: None,
            after: BTreeMap::new(),
            limit: 500,
        };
        let page = store.audit_page(&whole).await.unwrap();
        let told: Vec<(Action, &str)> = page
            .records
            .iter()
            .filter(|one| one.record.object == "a person's sign-in")
            .map(|one| (one.record.action, one.record.detail.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (Action::AccountBound, ""),
                (Action::SignedIn, "by a provider"),
                (Action::LinkIssued, "an invitation"),
                (Action::AccountBound, "by an invitation"),
                (Action::SignedIn, "by a provider"),
                (Action::SignedIn, "by a provider"),
                (Action::LinkIssued, "an invitation"),
                (Action::SignedIn, "by a provider"),
                (Action::LinkIssued, "an invitation"),
            ]
        );
        let clear: Vec<&str> = page
            .records
            .iter()
            .flat_map(|one| &one.personal)
            .filter_map(|personal| personal.clear.as_deref())
            .collect();
        assert!(clear.contains(&"a at https://id.example"));
        assert!(!clear.iter().any(|text| text.contains("tocsin_")));
        assert!(store.verify_audit(&[]).await.unwrap().holds());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_is_not_refused_because_a_use_cannot_be_written() {
    on_sqlite(async |f| {
        let ada = person(&f.store, KeySubject::Coordinators, "ada").await;
        let opened = by_link(&f.store, ada).await;
        f.clock.advance(Milliseconds::from_minutes(2));
        let pool = sqlx::SqlitePool::connect(&f.url).await.unwrap();
        let full = "CREATE TRIGGER full BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'full'); END";
        sqlx::query(full).execute(&pool).await.unwrap();
        assert_eq!(whose(f, opened.token.expose()).await, Some(ada));
        // What could not be written keeps nothing alive.
        f.clock.advance(Milliseconds::from_minutes(28));
        assert_eq!(whose(f, opened.token.expose()).await, None);
        pool.close().await;
    })
    .await;
}
