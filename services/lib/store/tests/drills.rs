//! Goal: the store of a drill and one of real things are never taken for each other, and an endpoint is told of what it is registered for alone.
#![allow(clippy::unwrap_used, dead_code)]

use std::collections::BTreeMap;

use tocsin_casework::{Team, UNREVIEWED_BELOW};
use tocsin_model::{AlertLevel, DrillId, Milliseconds, Scope};
use tocsin_store::{DeliveryOutcome, EndpointKind, KeySubject, NewEndpoint, Roles, Store, StoreError};

mod fixture;

use fixture::{alert, n, on_empty};

fn endpoint(name: &str, kind: EndpointKind) -> NewEndpoint {
    NewEndpoint {
        name: n(name),
        team: Team::Coordinators,
        kind,
        target: "https://hooks.example/".to_owned(),
        settings: BTreeMap::new(),
        secret: "whsec_secret".to_owned(),
    }
}

/// The URL of a drill's store: the same database, or another file.
fn beside(url: &str) -> String {
    match url.starts_with("sqlite:") {
        true => format!("{url}-drill"),
        false => url.to_owned(),
    }
}

/// The endpoints that would be told of an alert that is applied now, by name.
async fn told_of_an_alert(store: &Store) -> Vec<String> {
    let raised = alert(1, Scope::Coordinators, AlertLevel::Raised, 1);
    store.apply_alerts(&[raised], UNREVIEWED_BELOW).await.unwrap();
    let due = store.endpoints_due().await.unwrap();
    due.iter().map(|endpoint| endpoint.name.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_lies_beside_what_is_real() {
    on_empty(async |url| {
        let real = Store::open(&url).await.unwrap();
        real.add_party(&n("north"), &[n("north-app")]).await.unwrap();
        let (_, key) = real.issue_key(KeySubject::Coordinators, Roles::all()).await.unwrap();
        real.add_endpoint(&endpoint("hook", EndpointKind::Webhook))
            .await
            .unwrap();
        real.add_endpoint_for_drills(&endpoint("drill-hook", EndpointKind::Webhook))
            .await
            .unwrap();

        let (id, place) = (DrillId(0xd1), beside(&url));
        let drill = Store::make_drill(&place, id, "demo").await.unwrap();
        assert_eq!((real.drill(), drill.drill()), (None, Some(id)));
        // Nothing real is in it, and numbers begin anew.
        assert!(drill.list_parties().await.unwrap().is_empty());
        assert!(drill.authenticate(key.expose()).await.unwrap().is_none());
        let party = drill.add_party(&n("north"), &[n("north-app")]).await.unwrap();
        let (_, drill_key) = drill
            .issue_key(KeySubject::Party(party.id), Roles::all())
            .await
            .unwrap();
        assert!(drill.authenticate(drill_key.expose()).await.unwrap().is_some());
        assert!(real.authenticate(drill_key.expose()).await.unwrap().is_none());

        // Each endpoint is told of what it is for. In the drill's store one that is not registered for drills gets nothing either.
        drill
            .add_endpoint(&endpoint("hook", EndpointKind::Webhook))
            .await
            .unwrap();
        drill
            .add_endpoint_for_drills(&endpoint("drill-hook", EndpointKind::Webhook))
            .await
            .unwrap();
        assert_eq!(told_of_an_alert(&drill).await, ["drill-hook"]);
        assert!(real.endpoints_due().await.unwrap().is_empty());
        assert_eq!(told_of_an_alert(&real).await, ["hook"]);

        // What people did is told of a drill, and of nothing real.
        let taken = drill
            .take_deliveries(&n("drill-hook"), 9, Milliseconds::from_minutes(1))
            .await
            .unwrap();
        let settled: Vec<_> = taken
            .iter()
            .map(|delivery| (delivery, DeliveryOutcome::Delivered))
            .collect();
        drill.settle_deliveries(&settled).await.unwrap();
        let reactions = drill.reactions().await.unwrap();
        assert_eq!((reactions.cases.len(), reactions.told.len()), (1, 1));
        assert_eq!(reactions.told[0].family, reactions.cases[0].case.family);
        assert!(real.reactions().await.unwrap().cases.is_empty());

        // A second one at the same place is refused, as is one where something real stands.
        drill.close().await;
        let again = Store::make_drill(&place, id, "demo").await.err().unwrap();
        assert!(matches!(again, StoreError::DrillTaken { .. }), "{again:?}");
        let node = n("up");
        let opened = Store::open_drill(&place, id, node.clone()).await.unwrap();
        assert_eq!(opened.list_parties().await.unwrap().len(), 1);
        opened.close().await;
        let other = Store::open_drill(&place, DrillId(0xd2), node.clone())
            .await
            .err()
            .unwrap();
        match url.starts_with("sqlite:") {
            true => assert!(matches!(other, StoreError::NotOfDrill { .. }), "{other:?}"),
            // There is no such schema.
            false => assert!(matches!(other, StoreError::SchemaUnreached { .. }), "{other:?}"),
        }
        if url.starts_with("sqlite:") {
            let taken = Store::make_drill(&url, id, "demo").await.err().unwrap();
            assert!(matches!(taken, StoreError::DrillTaken { .. }), "{taken:?}");
            let real_as_drill = Store::open_drill(&url, id, node.clone()).await.err().unwrap();
            assert!(
                matches!(real_as_drill, StoreError::NotOfDrill { .. }),
                "{real_as_drill:?}"
            );
            let drill_as_real = Store::open(&place).await.err().unwrap();
            assert!(matches!(drill_as_real, StoreError::OfDrill { .. }), "{drill_as_real:?}");
        } else {
            // Even where the URL itself names the schema.
            let into = format!(
                "{url}{}options[search_path]=drill_{id}",
                if url.contains('?') { "&" } else { "?" }
            );
            let drill_as_real = Store::open(&into).await.err().unwrap();
            assert!(matches!(drill_as_real, StoreError::OfDrill { .. }), "{drill_as_real:?}");
        }

        // What is removed is the drill's alone; once more removes nothing.
        Store::remove_drill(&place, id).await.unwrap();
        Store::remove_drill(&place, id).await.unwrap();
        assert_eq!(real.list_parties().await.unwrap().len(), 1);
        assert_eq!(real.endpoints().await.unwrap().len(), 2);
        if !url.starts_with("sqlite:") {
            let again = Store::make_drill(&place, id, "demo").await.unwrap();
            assert!(again.list_parties().await.unwrap().is_empty());
            again.close().await;
        }
        real.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_that_review_are_not_registered_for_drills() {
    on_empty(async |url| {
        let store = Store::open(&url).await.unwrap();
        for kind in EndpointKind::ALL {
            let added = store.add_endpoint_for_drills(&endpoint(kind.name(), kind)).await;
            match kind {
                EndpointKind::Webhook | EndpointKind::Kafka => assert!(added.is_ok(), "{kind:?}"),
                _ => assert!(matches!(added, Err(StoreError::KindNotForDrills { .. })), "{kind:?}"),
            }
        }
        let listed = store.endpoints().await.unwrap();
        assert!(listed.iter().all(|endpoint| endpoint.is_for_drills));
        assert_eq!(store.endpoints_for_drills().await.unwrap().len(), 2);
        store.close().await;
    })
    .await;
}
