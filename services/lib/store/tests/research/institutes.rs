//! Goal: a party that does research has keys that read aggregates and its own audit chain alone, and is told of nothing else.

use std::collections::BTreeMap;

use tocsin_casework::Team;
use tocsin_store::{EndpointKind, InResearch, KeySubject, NewEndpoint, PartyKind, Role, Roles, StoreError};

use crate::desk::Desk;
use crate::fixture::{n, on_both};

#[tokio::test(flavor = "multi_thread")]
async fn a_party_that_does_research_is_told_of_aggregates_alone() {
    on_both(async |f| {
        let store = &f.store;
        let alpha = Desk::new(f, "alpha").await;
        let version = store.registry_version().await.unwrap();
        let institute = store.add_research_party(&n("institute")).await.unwrap();
        assert_eq!((institute.kind, institute.platforms.len()), (PartyKind::Research, 0));
        assert_eq!(store.party_named(&n("institute")).await.unwrap(), institute);
        assert_eq!(store.party_of(institute.id).await.unwrap(), institute);
        let listed = store.list_parties().await.unwrap();
        assert_eq!(listed, [alpha.party.clone(), institute.clone()]);
        assert_eq!(
            store.party_changes_since(version).await.unwrap(),
            [],
            "who reads events is not told of it"
        );

        let subject = KeySubject::Party(institute.id);
        for role in Role::ALL {
            let issued = store.issue_key(subject, Roles::of(&[role])).await;
            let is_issued = matches!(role, Role::Researcher | Role::Auditor);
            assert_eq!(issued.is_ok(), is_issued, "{role:?}");
            let with_researcher = store
                .issue_key_to(subject, Roles::of(&[Role::Researcher, role]), &n(role.name()))
                .await;
            match with_researcher {
                Ok(_) => assert!(is_issued, "{role:?}"),
                Err(error) => assert!(
                    !is_issued && matches!(error, StoreError::ResearchParty { .. }),
                    "{error:?}"
                ),
            }
        }
        let endpoint = NewEndpoint {
            name: n("hook"),
            team: Team::Party(institute.id),
            kind: EndpointKind::Webhook,
            target: "https://example.org/".to_owned(),
            settings: BTreeMap::new(),
            secret: "whsec_x".to_owned(),
        };
        let refused = store.add_endpoint(&endpoint).await;
        assert!(matches!(refused, Err(StoreError::ResearchParty { .. })), "{refused:?}");
        let refused = store.set_in_research(institute.id, InResearch::Named).await;
        assert!(matches!(refused, Err(StoreError::ResearchParty { .. })), "{refused:?}");
        let taken = store.add_research_party(&n("alpha")).await;
        assert!(matches!(taken, Err(StoreError::NameTaken { .. })));

        // A key that reads aggregates may also be a platform's own.
        let of_alpha = KeySubject::Party(alpha.party.id);
        let (_, key) = store.issue_key(of_alpha, Roles::of(&[Role::Researcher])).await.unwrap();
        let known = store.authenticate(key.expose()).await.unwrap().unwrap();
        assert!(known.has(Role::Researcher) && !known.has(Role::Reader));
        let (_, key) = store.issue_key(subject, Roles::of(&[Role::Researcher])).await.unwrap();
        assert!(store.authenticate(key.expose()).await.unwrap().is_some());
        store.revoke_party(institute.id).await.unwrap();
        assert!(store.authenticate(key.expose()).await.unwrap().is_none());
    })
    .await;
}
