//! Goal: how far an Ozone was read never goes back, and an event counts once.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod fixture;

use std::collections::BTreeSet;

use fixture::{n, on_both};
use tocsin_casework::Team;
use tocsin_model::{KeyId, Milliseconds, Timestamp};
use tocsin_store::{KeySubject, Role, Roles};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_is_known_until_it_is_not_read_again() {
    on_both(async |f| {
        let (store, ozone, other) = (&f.store, n("ozone"), n("other"));
        let since = Timestamp(7);
        assert_eq!(store.ozone_position(&ozone, since).await.unwrap(), since);
        for (told, stands) in [(100, 100), (90, 100), (120, 120)] {
            store.note_ozone_position(&ozone, Timestamp(told)).await.unwrap();
            assert_eq!(store.ozone_position(&ozone, since).await.unwrap(), Timestamp(stands));
        }
        assert_eq!(store.ozone_position(&other, since).await.unwrap(), since);

        for outcome in ["decided", "refused"] {
            store
                .note_ozone_event(&ozone, (5, Some(Timestamp(110))), outcome)
                .await
                .unwrap();
        }
        let known = |endpoint, events: &'static [i64]| store.ozone_events_known(endpoint, events);
        assert_eq!(known(&ozone, &[4, 5, 6]).await.unwrap(), BTreeSet::from([5]));
        assert_eq!(known(&other, &[5]).await.unwrap(), BTreeSet::new());
        assert_eq!(known(&ozone, &[]).await.unwrap(), BTreeSet::new());
        store
            .note_ozone_event(&ozone, (6, Some(Timestamp(120))), "stands")
            .await
            .unwrap();
        store.note_ozone_event(&ozone, (7, None), "malformed").await.unwrap();
        // Of an Ozone in which nothing happens the last events are read again for as long as that lasts.
        let overlap = Milliseconds(10);
        f.clock.advance(Milliseconds::from_hours(31 * 24 + 1));
        assert_eq!(store.forget_ozone_events(overlap).await.unwrap(), 0);
        assert_eq!(known(&ozone, &[5, 6, 7]).await.unwrap(), BTreeSet::from([5, 6, 7]));
        store.note_ozone_position(&ozone, Timestamp(121)).await.unwrap();
        store
            .note_ozone_event(&other, (5, Some(Timestamp(0))), "decided")
            .await
            .unwrap();
        assert_eq!(store.forget_ozone_events(overlap).await.unwrap(), 1);
        assert_eq!(known(&ozone, &[5, 6, 7]).await.unwrap(), BTreeSet::from([6, 7]));
        assert_eq!(
            known(&other, &[5]).await.unwrap(),
            BTreeSet::from([5]),
            "it was not read yet"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_moderator_of_the_team_may_decide_for_it() {
    on_both(async |f| {
        let (alpha, all, _) = f.party("alpha").await;
        let (beta, ..) = f.party("beta").await;
        let reads = Roles::of(&[Role::Reader]);
        let (reader, _) = f.store.issue_key(KeySubject::Party(alpha.id), reads).await.unwrap();
        let may = |key, party| f.store.is_moderator(key, Team::Party(party));
        assert!(may(all, alpha.id).await.unwrap());
        assert!(!may(all, beta.id).await.unwrap());
        assert!(!may(reader, alpha.id).await.unwrap());
        assert!(!may(KeyId(1), alpha.id).await.unwrap());
        f.store.revoke_key(all).await.unwrap();
        assert!(!may(all, alpha.id).await.unwrap());
    })
    .await;
}
