//! Goal: parties get numbers and names once, and a key speaks for its party until it is revoked.
#![allow(clippy::unwrap_used, dead_code)]

mod fixture;

use std::time::{Duration, Instant};

use fixture::{n, on_both};
use tocsin_model::{KeyId, PartyId, PlatformId, Scope};
use tocsin_store::{KEY_CACHE_AGE_MAX, KeySubject, Role, Roles, Store, StoreError, Subject};

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_names_are_given_once() {
    on_both(async |f| {
        let store = &f.store;
        let alpha = store
            .add_party(&n("alpha"), &[n("alpha-video"), n("alpha-photo")])
            .await
            .unwrap();
        let beta = store.add_party(&n("beta"), &[n("beta")]).await.unwrap();
        assert_eq!((alpha.id, beta.id), (PartyId(1), PartyId(2)));
        assert_eq!(
            alpha.platforms,
            [(PlatformId(1), n("alpha-video")), (PlatformId(2), n("alpha-photo"))]
        );
        assert_eq!(beta.platforms, [(PlatformId(3), n("beta"))]);

        for (party, platform) in [("alpha", "new"), ("gamma", "alpha-photo")] {
            let refused = store.add_party(&n(party), &[n(platform)]).await;
            assert!(matches!(refused, Err(StoreError::NameTaken { .. })), "{refused:?}");
        }
        let none = store.add_party(&n("gamma"), &[]).await;
        assert!(matches!(none, Err(StoreError::PlatformCount { count: 0 })));
        let twice = store.add_party(&n("gamma"), &[n("g"), n("g")]).await;
        assert!(matches!(twice, Err(StoreError::NameTaken { .. })));

        store.revoke_party(beta.id).await.unwrap();
        let refused = store.add_party(&n("beta"), &[n("other")]).await;
        assert!(
            matches!(refused, Err(StoreError::NameTaken { .. })),
            "a revoked name stays taken"
        );
        let gamma = store.add_party(&n("gamma"), &[n("gamma")]).await.unwrap();
        assert_eq!((gamma.id, gamma.platforms[0].0), (PartyId(3), PlatformId(4)));
        let names: Vec<_> = store
            .list_parties()
            .await
            .unwrap()
            .into_iter()
            .map(|p| p.name)
            .collect();
        assert_eq!(names, [n("alpha"), n("beta"), n("gamma")]);
        assert_eq!(store.party_named(&n("gamma")).await.unwrap(), gamma);
        assert!(matches!(
            store.party_named(&n("delta")).await,
            Err(StoreError::NoSuchParty { .. })
        ));
        assert!(matches!(
            store.revoke_party(PartyId(9)).await,
            Err(StoreError::NoSuchParty { .. })
        ));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poller_sees_every_change_once() {
    on_both(async |f| {
        let store = &f.store;
        assert_eq!(store.registry_version().await.unwrap(), 0);
        let alpha = f.party("alpha").await.0;
        let seen = store.registry_version().await.unwrap();
        assert_eq!(store.party_changes_since(seen).await.unwrap(), []);
        let beta = f.party("beta").await.0;
        assert_eq!(store.party_changes_since(seen).await.unwrap(), [beta]);
        let seen = store.registry_version().await.unwrap();
        store.revoke_party(alpha.id).await.unwrap();
        let changes = store.party_changes_since(seen).await.unwrap();
        assert_eq!((changes.len(), changes[0].id), (1, alpha.id));
        assert_eq!(changes[0].revoked_at, Some(fixture::START));
        let seen = store.registry_version().await.unwrap();
        store.revoke_party(alpha.id).await.unwrap();
        assert_eq!(
            store.registry_version().await.unwrap(),
            seen,
            "revoking again changes nothing"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parties_added_at_once_get_different_numbers() {
    on_both(async |f| {
        let other = f.another().await;
        let added = (0..12).map(|i| {
            let store = if i % 2 == 0 { f.store.clone() } else { other.clone() };
            tokio::spawn(async move {
                store
                    .add_party(&n(&format!("p{i}")), &[n(&format!("a{i}")), n(&format!("b{i}"))])
                    .await
            })
        });
        let mut parties = Vec::new();
        for task in added.collect::<Vec<_>>() {
            parties.push(task.await.unwrap().unwrap());
        }
        let mut ids: Vec<u16> = parties.iter().map(|p| p.id.0).collect();
        let mut platforms: Vec<u16> = parties.iter().flat_map(|p| &p.platforms).map(|(id, _)| id.0).collect();
        ids.sort_unstable();
        platforms.sort_unstable();
        assert_eq!(ids, (1..=12).collect::<Vec<_>>());
        assert_eq!(platforms, (1..=24).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_says_who_speaks() {
    on_both(async |f| {
        let store = &f.store;
        let (party, id, key) = f.party("alpha").await;
        let principal = store.authenticate(key.expose()).await.unwrap().unwrap();
        assert_eq!(principal.key_id, id);
        assert_eq!(principal.subject, Subject::Party(party.id, n("alpha")));
        assert_eq!(principal.scope(), Scope::Party(party.id));
        assert!(principal.has(Role::Publisher) && principal.has(Role::Moderator) && principal.has(Role::Reader));

        let (_, reader) = store
            .issue_key(KeySubject::Coordinators, Roles::of(&[Role::Reader]))
            .await
            .unwrap();
        let principal = store.authenticate(reader.expose()).await.unwrap().unwrap();
        assert_eq!(
            (principal.scope(), principal.has(Role::Moderator)),
            (Scope::Coordinators, false)
        );
        let (_, operator) = store
            .issue_key(KeySubject::Operator, Roles::of(&[Role::Reader]))
            .await
            .unwrap();
        let principal = store.authenticate(operator.expose()).await.unwrap().unwrap();
        assert_eq!(
            (principal.subject.clone(), principal.scope()),
            (Subject::Operator, Scope::All)
        );

        let text = key.expose();
        let end = text.len() - 1;
        let wrong_digit = if text.ends_with('0') { '1' } else { '0' };
        let wrong_secret = format!("{}{wrong_digit}", &text[..end]);
        let wrong_id = format!("tocsin_{:032x}{}", id.0 ^ 1, &text["tocsin_".len() + 32..]);
        for bad in [
            "",
            "tocsin_",
            &text[..end],
            &wrong_secret,
            &wrong_id,
            &"x".repeat(100_000),
        ] {
            assert_eq!(store.authenticate(bad).await.unwrap(), None, "{:.60}", bad);
        }
        assert!(matches!(
            store.issue_key(KeySubject::Coordinators, Roles::default()).await,
            Err(StoreError::NoRoles)
        ));
        let nobody = store.issue_key(KeySubject::Party(PartyId(99)), Roles::all()).await;
        assert!(matches!(nobody, Err(StoreError::NoSuchParty { .. })));
        let listed = store.list_keys(KeySubject::Party(party.id)).await.unwrap();
        assert_eq!((listed.len(), listed[0].id, listed[0].roles), (1, id, Roles::all()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_at_once_here_and_within_a_second_elsewhere() {
    on_both(async |f| {
        let other = f.another().await;
        let (party, id, key) = f.party("alpha").await;
        for store in [&f.store, &other] {
            assert!(store.authenticate(key.expose()).await.unwrap().is_some());
        }
        f.store.revoke_key(id).await.unwrap();
        assert_eq!(f.store.authenticate(key.expose()).await.unwrap(), None);
        refused_within_a_second(&other, key.expose()).await;
        assert!(matches!(
            f.store.revoke_key(KeyId(1)).await,
            Err(StoreError::NoSuchKey { .. })
        ));

        let (_, second) = f
            .store
            .issue_key(KeySubject::Party(party.id), Roles::all())
            .await
            .unwrap();
        assert!(other.authenticate(second.expose()).await.unwrap().is_some());
        f.store.revoke_party(party.id).await.unwrap();
        assert_eq!(f.store.authenticate(second.expose()).await.unwrap(), None);
        refused_within_a_second(&other, second.expose()).await;
        let refused = f.store.issue_key(KeySubject::Party(party.id), Roles::all()).await;
        assert!(matches!(refused, Err(StoreError::PartyRevoked { .. })));
    })
    .await;
}

async fn refused_within_a_second(store: &Store, key: &str) {
    const { assert!(KEY_CACHE_AGE_MAX.as_millis() < 1_000) }
    let revoked_at = Instant::now();
    while store.authenticate(key).await.unwrap().is_some() {
        assert!(
            revoked_at.elapsed() < Duration::from_secs(1),
            "still good after a second"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_opens_again_and_refuses_what_is_no_store() {
    on_both(async |f| {
        let (_, _, key) = f.party("alpha").await;
        assert!(f.another().await.authenticate(key.expose()).await.unwrap().is_some());
        f.store.ping().await.unwrap();
    })
    .await;
    let unknown = Store::open("mysql://localhost/x").await;
    assert!(matches!(unknown, Err(StoreError::UnknownUrl)));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("not-a-store.db");
    std::fs::write(
        &path,
        "this is not a database, and it is long enough to be read as one: ".repeat(20),
    )
    .unwrap();
    let refused = Store::open(&format!("sqlite:{}", path.display())).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn tables_of_a_newer_version_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("store.db").display());
    Store::open(&url).await.unwrap().close().await;
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET version = version + 1000")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    assert!(matches!(Store::open(&url).await, Err(StoreError::Migrate(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_asked_about_once_in_a_while() {
    on_both(async |f| {
        let (_, id, key) = f.party("alpha").await;
        let unknown = |id: u128, secret: &str| format!("tocsin_{id:032x}{}", secret.repeat(64));
        assert_eq!(f.store.authenticate(&unknown(7, "a")).await.unwrap(), None);
        f.store.revoke_key(id).await.unwrap();
        assert_eq!(f.store.authenticate(key.expose()).await.unwrap(), None);
        // Whatever needs no database is answered without one.
        f.store.close().await;
        assert_eq!(f.store.authenticate(&unknown(7, "b")).await.unwrap(), None);
        assert_eq!(f.store.authenticate(key.expose()).await.unwrap(), None);
        let asked = f.store.authenticate(&unknown(8, "a")).await;
        assert!(matches!(asked, Err(StoreError::Database { .. })), "{asked:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_one_key_in_a_team_and_a_new_one_after_it_is_revoked() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        let moderators = Roles::of(&[Role::Moderator]);
        let issue = async |subject| f.store.issue_key_to(subject, moderators, &n("anna")).await;
        let (first, _) = issue(KeySubject::Coordinators).await.unwrap();
        issue(KeySubject::Party(alpha.id)).await.unwrap();
        let again = issue(KeySubject::Coordinators).await;
        assert!(matches!(again, Err(StoreError::NameTaken { .. })), "{again:?}");
        f.store.revoke_key(first).await.unwrap();
        let (second, key) = issue(KeySubject::Coordinators).await.unwrap();
        assert_eq!(
            f.store.authenticate(key.expose()).await.unwrap().unwrap().key_id,
            second
        );
        let keys = f.store.list_keys(KeySubject::Coordinators).await.unwrap();
        let people: Vec<_> = keys
            .iter()
            .map(|key| (key.person.clone(), key.revoked_at.is_some()))
            .collect();
        assert_eq!(people.len(), 2);
        assert!(people.contains(&(Some(n("anna")), true)) && people.contains(&(Some(n("anna")), false)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_of_a_platform_is_a_change_of_the_registry() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        f.party("beta").await;
        let seen = f.store.registry_version().await.unwrap();
        let address = "https://review.example/{hash}".parse().unwrap();
        f.store.set_tool(&n("alpha-app"), Some(&address)).await.unwrap();
        let changes = f.store.party_changes_since(seen).await.unwrap();
        assert_eq!(changes.iter().map(|party| party.id).collect::<Vec<_>>(), [alpha.id]);
        let tools = f.store.tools().await.unwrap();
        assert_eq!(tools, [(PlatformId(1), (alpha.id, address))].into());
        f.store.set_tool(&n("alpha-app"), None).await.unwrap();
        assert_eq!(f.store.tools().await.unwrap(), [].into());
        let nowhere = f.store.set_tool(&n("gamma-app"), None).await;
        assert!(matches!(nowhere, Err(StoreError::NoSuchPlatform { .. })), "{nowhere:?}");
    })
    .await;
}
