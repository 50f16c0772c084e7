//! Goal: a client certificate speaks as the key it is bound to, until one of the two ends, on both databases.
#![allow(clippy::unwrap_used, dead_code)]

mod fixture;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fixture::{n, on_both};
use tocsin_audit::Action;
use tocsin_model::{KeyId, PublicKeyDigest, Timestamp};
use tocsin_store::{
    BoundCertificate, CERTIFICATES_PER_KEY_MAX, CertificateRefusal, KEY_CACHE_AGE_MAX, KeySubject, PageOf, Role, Roles,
    Store, StoreError, Subject,
};

fn certificate(number: u8) -> BoundCertificate {
    BoundCertificate {
        public_key: PublicKeyDigest([number; 32]),
        subject: format!("CN=machine {number}"),
        not_after: Timestamp(1_900_000_000_000),
    }
}

async fn machine(store: &Store, subject: KeySubject) -> KeyId {
    store.issue_key(subject, Roles::of(&[Role::Reader])).await.unwrap().0
}

/// As whom a process takes whoever proves a certificate to it.
async fn whose(store: &Store, number: u8) -> Option<KeyId> {
    let public_key = certificate(number).public_key;
    let key = store.authenticate_certificate(public_key).await.unwrap()?.key_id;
    let token = store.certificate_token(&public_key, key);
    let principal = store.authenticate(token.expose()).await.unwrap();
    assert_eq!(principal.map(|principal| principal.key_id), Some(key));
    Some(key)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>, with: CertificateRefusal) {
    assert!(
        matches!(result, Err(StoreError::CertificateRefused(refusal)) if refusal == with),
        "{with:?}, not {result:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_speaks_as_its_key_until_it_is_taken_away() {
    on_both(async |f| {
        let store = &f.store;
        let (party, key, _) = f.party("alpha").await;
        assert_eq!(whose(store, 1).await, None);
        store.bind_certificate(key, &certificate(1)).await.unwrap();
        store.bind_certificate(key, &certificate(2)).await.unwrap();
        for number in [1, 2] {
            let token = store.certificate_token(&certificate(number).public_key, key);
            let principal = store.authenticate(token.expose()).await.unwrap().unwrap();
            assert_eq!(principal.key_id, key);
            assert_eq!(principal.subject, Subject::Party(party.id, n("alpha")));
            assert_eq!(
                store.authenticate_unasked(token.expose()).await.unwrap(),
                Some(principal)
            );
            // It is no session, and signing out ends nothing.
            assert_eq!(store.signed_in(key, token.expose()).await.unwrap().session, None);
            assert!(!store.end_session(token.expose()).await.unwrap());
        }
        // Another process takes no token of this one, and knows the certificate all the same.
        let other = f.another().await;
        let token = store.certificate_token(&certificate(1).public_key, key);
        assert_eq!(other.authenticate(token.expose()).await.unwrap(), None);
        assert_eq!(whose(&other, 1).await, Some(key));

        assert!(store.unbind_certificate(key, &certificate(1).public_key).await.unwrap());
        assert!(!store.unbind_certificate(key, &certificate(1).public_key).await.unwrap());
        assert_eq!(whose(store, 1).await, None);
        assert_eq!(whose(store, 2).await, Some(key));
        // What goes on by a certificate does not go on as another key that it is bound to later.
        let (_, others, _) = f.party("omega").await;
        store.bind_certificate(others, &certificate(1)).await.unwrap();
        assert_eq!(store.authenticate(token.expose()).await.unwrap(), None);
        assert_eq!(whose(store, 1).await, Some(others));
        assert!(
            store
                .unbind_certificate(others, &certificate(1).public_key)
                .await
                .unwrap()
        );
        ends_elsewhere(&other, 1).await;
        other.close().await;
    })
    .await;
}

/// What was ended by one process is seen by another as soon as a revoked key is.
async fn ends_elsewhere(other: &Store, number: u8) {
    const { assert!(KEY_CACHE_AGE_MAX.as_millis() < 1_000) }
    let since = Instant::now();
    while whose(other, number).await.is_some() {
        assert!(since.elapsed() < Duration::from_secs(1), "still good after a second");
        tokio::time::sleep(Duration::from_millis(5)).await; // poll: until it is refused
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_ends_with_its_key_and_with_its_party() {
    on_both(async |f| {
        let store = &f.store;
        let (party, of_party, _) = f.party("alpha").await;
        let coordinators = machine(store, KeySubject::Coordinators).await;
        store.bind_certificate(of_party, &certificate(1)).await.unwrap();
        store.bind_certificate(coordinators, &certificate(2)).await.unwrap();
        let other = f.another().await;
        assert_eq!(whose(&other, 2).await, Some(coordinators));

        // What is remembered of them ends with them.
        assert_eq!(whose(store, 1).await, Some(of_party));
        store.revoke_key(coordinators).await.unwrap();
        store.revoke_party(party.id).await.unwrap();
        assert_eq!(whose(store, 1).await, None);
        assert_eq!(whose(&f.another().await, 1).await, None);
        assert_eq!(whose(store, 2).await, None);
        ends_elsewhere(&other, 2).await;
        for key in [of_party, coordinators, KeyId(7)] {
            let refused = store.bind_certificate(key, &certificate(3)).await;
            assert!(matches!(refused, Err(StoreError::NoSuchKey { .. })), "{refused:?}");
            let refused = store.list_certificates(key).await;
            assert!(matches!(refused, Err(StoreError::NoSuchKey { .. })), "{refused:?}");
        }
        // What was theirs may be bound to somebody else then.
        let next = machine(store, KeySubject::Coordinators).await;
        for number in [1, 2] {
            store.bind_certificate(next, &certificate(number)).await.unwrap();
            assert_eq!(whose(store, number).await, Some(next));
        }
        // The audit chain says of each that it is not the former key's any more: of a revoked key when that was revoked, of a revoked party's now.
        let whole = PageOf {
            team: None,
            after: BTreeMap::new(),
            limit: 500,
        };
        let page = store.audit_page(&whole).await.unwrap();
        let told = page.records.iter().filter(|one| {
            one.record.action == Action::CertificateUnbound
                && one.record.detail == certificate(1).public_key.to_string()
        });
        let told: Vec<_> = told.map(|one| one.record.object.as_str()).collect();
        assert_eq!(told, [format!("party {}", party.id.0)]);
        other.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_bound_changes_nothing() {
    on_both(async |f| {
        let store = &f.store;
        let key = machine(store, KeySubject::Coordinators).await;
        let other = machine(store, KeySubject::Coordinators).await;
        let reader = Roles::of(&[Role::Reader]);
        let ada = store.issue_key_to(KeySubject::Coordinators, reader, &n("ada")).await;
        let ada = ada.unwrap().0;
        refused(
            store.bind_certificate(ada, &certificate(1)).await,
            CertificateRefusal::OfPerson,
        );
        store.bind_certificate(key, &certificate(1)).await.unwrap();
        refused(
            store.bind_certificate(other, &certificate(1)).await,
            CertificateRefusal::Taken,
        );
        assert!(
            !store
                .unbind_certificate(other, &certificate(1).public_key)
                .await
                .unwrap()
        );
        assert_eq!(whose(store, 1).await, Some(key));

        // A renewed certificate over the same public key is the same one, with what it now says of itself.
        let renewed = BoundCertificate {
            subject: "x".repeat(10_000),
            not_after: Timestamp(1_950_000_000_000),
            ..certificate(1)
        };
        store.bind_certificate(key, &renewed).await.unwrap();
        let listed = store.list_certificates(key).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].certificate.not_after, renewed.not_after);
        assert_eq!(listed[0].certificate.subject.len(), 256);

        for number in 2..=CERTIFICATES_PER_KEY_MAX as u8 {
            store.bind_certificate(key, &certificate(number)).await.unwrap();
        }
        refused(
            store.bind_certificate(key, &certificate(99)).await,
            CertificateRefusal::Count,
        );
        assert_eq!(
            store.list_certificates(key).await.unwrap().len(),
            CERTIFICATES_PER_KEY_MAX
        );
        assert_eq!(store.list_certificates(other).await.unwrap(), []);

        store.unbind_certificate(key, &certificate(1).public_key).await.unwrap();
        let whole = PageOf {
            team: None,
            after: BTreeMap::new(),
            limit: 500,
        };
        let page = store.audit_page(&whole).await.unwrap();
        let (first, last) = (certificate(1).public_key.to_string(), page.records.last().unwrap());
        assert_eq!(last.record.action, Action::CertificateUnbound);
        assert_eq!(
            (last.record.object.as_str(), &last.record.detail),
            ("coordinators", &first)
        );
        let bound = |one: &&tocsin_store::AuditRecord| one.record.action == Action::CertificateBound;
        assert_eq!(page.records.iter().filter(bound).count(), CERTIFICATES_PER_KEY_MAX + 1);
        assert!(store.verify_audit(&[]).await.unwrap().holds());
    })
    .await;
}
