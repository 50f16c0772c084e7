//! Goal: copies are made by one at a time and sealed once, live as long as their preservations, and pages of them go on where they ended.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_made_by_one_at_a_time_in_turn_of_parties_and_sealed_once() {
    on_both(async |f| {
        f.store.keep_custody(signer());
        let (alpha, beta) = (Own::of(f, "alpha", 1).await, Own::of(f, "beta", 2).await);
        let first = alpha.preserve(&f.store, BasisKind::Review).await.unwrap();
        let second = alpha.preserve(&f.store, BasisKind::Review).await.unwrap();
        let other = beta.preserve(&f.store, BasisKind::Review).await.unwrap();
        let claim = async |after: Option<PartyId>| f.store.claim_unsealed(after, LEASE).await.unwrap();
        let one = claim(None).await.unwrap();
        assert_eq!((one.preservation.id, one.attempt), (first.id, 1));
        let two = claim(Some(alpha.party)).await.unwrap();
        assert_eq!(two.preservation.id, other.id, "the next party comes first");
        assert_eq!(claim(Some(beta.party)).await.unwrap().preservation.id, second.id);
        assert!(claim(None).await.is_none(), "somebody is at each");
        // Whoever began is late: another begins anew, and the first is told so.
        f.clock.advance(LEASE);
        let again = claim(None).await.unwrap();
        assert_eq!((again.preservation.id, again.attempt), (first.id, 2));
        assert!(!f.store.renew_seal((first.id, 1), LEASE).await.unwrap());
        assert!(f.store.renew_seal((first.id, 2), LEASE).await.unwrap());
        assert!(!f.store.sealed((first.id, 1), copy(1)).await.unwrap(), "it is late");
        assert!(f.store.sealed((first.id, 2), copy(1)).await.unwrap());
        assert!(
            f.store.sealed((first.id, 2), copy(1)).await.unwrap(),
            "said twice is once"
        );
        assert!(
            !f.store.sealed((first.id, 2), copy(2)).await.unwrap(),
            "another copy is none"
        );
        assert!(!f.store.renew_seal((first.id, 2), LEASE).await.unwrap());
        // What was released meanwhile is not sealed.
        let by = (beta.party, beta.key);
        Box::pin(f.store.command_preservation(by, other.id, &release()))
            .await
            .unwrap();
        assert!(!f.store.sealed((other.id, 1), copy(3)).await.unwrap());
        assert_eq!(alpha.acts(&f.store, first.id).await, [Act::Placed, Act::Sealed]);
        let counts = PreservationCounts {
            waiting: 1,
            sealed: 1,
            ended: 1,
        };
        assert_eq!(f.store.count_preservations().await.unwrap(), counts);
        let sealed = f.store.preservation(alpha.party, first.id).await.unwrap().preservation;
        assert_eq!(
            (sealed.copy, sealed.state()),
            (Some(copy(1)), PreservationState::Sealed)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preservation_lives_as_long_as_it_holds_and_its_end_is_told() {
    on_both(async |f| {
        f.store.keep_custody(signer());
        let own = Own::of(f, "alpha", 1).await;
        let by = (own.party, own.key);
        let placed = own.preserve(&f.store, BasisKind::Investigation).await.unwrap();
        let right = basis(BasisKind::Investigation, "AZ 2");
        let early = Box::pin(f.store.export_preservation(by, placed.id, &right)).await;
        assert_eq!(refused(early), PreservationRefusal::NotSealed);
        f.store.sealed((placed.id, 0), copy(1)).await.unwrap();
        let exported = Box::pin(f.store.export_preservation(by, placed.id, &right))
            .await
            .unwrap();
        let last = &exported.custody.last().unwrap().entry;
        let own_key = own.key.to_string();
        assert_eq!(
            (last.act, &last.by, last.detail["reference"].as_str()),
            (Act::Exported, &own_key, "AZ 2")
        );
        let extend = PreservationCommand::Extend {
            until: None,
            reason: "it goes on".to_owned(),
        };
        let (extended, _) = Box::pin(f.store.command_preservation(by, placed.id, &extend))
            .await
            .unwrap();
        assert_eq!(extended.until, months_after(START, 12));
        f.clock.advance(Milliseconds(placed.until.0 - START.0));
        assert_eq!(f.store.expire_preservations().await.unwrap(), 0, "it was extended");
        f.clock.advance(Milliseconds(extended.until.0 - placed.until.0));
        let late = Box::pin(f.store.command_preservation(by, placed.id, &extend)).await;
        assert_eq!(refused(late), PreservationRefusal::Ended);
        assert_eq!(f.store.expire_preservations().await.unwrap(), 1);
        assert_eq!(f.store.expire_preservations().await.unwrap(), 0);
        let [ended] = &f.store.ended_preservations(0).await.unwrap()[..] else {
            panic!("one ended")
        };
        assert_eq!((ended.id, ended.was_sealed), (placed.id, true));
        assert_eq!(f.store.ended_preservations(ended.place).await.unwrap(), []);
        assert!(f.store.deleted_copy(placed.id).await.unwrap());
        assert!(!f.store.deleted_copy(placed.id).await.unwrap());
        let missing = PreservationId(1);
        assert_eq!(f.store.deleted_among(&[missing, placed.id]).await.unwrap(), [placed.id]);
        assert_eq!(f.store.ended_preservations(0).await.unwrap(), []);
        let acts = [
            Act::Placed,
            Act::Sealed,
            Act::Exported,
            Act::Extended,
            Act::Expired,
            Act::Deleted,
        ];
        assert_eq!(own.acts(&f.store, placed.id).await, acts);
        let page = PageOf {
            team: None,
            after: BTreeMap::new(),
            limit: 500,
        };
        let page = f.store.audit_page(&page).await.unwrap();
        let told: Vec<(&str, &str)> = page
            .records
            .iter()
            .filter(|of| of.record.object == "a preservation")
            .map(|of| (of.record.action.name(), of.record.detail.as_str()))
            .collect();
        // The audit chain, of which others hold checkpoints, names every entry of the custody.
        let custody = f.store.preservation(own.party, placed.id).await.unwrap().custody;
        let wanted: Vec<(&str, String)> = custody
            .iter()
            .zip(["placed", "sealed", "investigation", "extended", "expired", "deleted"])
            .map(|(signed, did)| {
                let action = if did == "investigation" {
                    "exported"
                } else {
                    "preserved"
                };
                let (sequence, hash) = (signed.entry.sequence, hex::encode(signed.entry.hash()));
                (action, format!("{did}; custody {sequence} {hash}"))
            })
            .collect();
        let wanted: Vec<(&str, &str)> = wanted
            .iter()
            .map(|(action, detail)| (*action, detail.as_str()))
            .collect();
        assert_eq!(told, wanted);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_where_they_ended() {
    on_both(async |f| {
        f.store.keep_custody(signer());
        let own = Own::of(f, "alpha", 1).await;
        let mut placed = Vec::new();
        for _ in 0..5 {
            placed.push(own.preserve(&f.store, BasisKind::Review).await.unwrap().id);
        }
        placed.reverse();
        let (mut after, mut read) = (None, Vec::new());
        loop {
            let query = PreservationQuery {
                party: own.party,
                state: Some(PreservationState::Waiting),
                case: None,
                limit: 2,
                after,
            };
            let page = f.store.preservations(&query).await.unwrap();
            read.extend(page.preservations.iter().map(|one| one.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(read, placed);
    })
    .await;
}

/// Times out of the range of a calendar are no panic.
#[test]
fn a_time_of_the_far_future_has_an_end() {
    let far = Timestamp(253_402_300_799_000);
    assert!(months_after(far, 24) > far);
}
