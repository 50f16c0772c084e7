use crate::fixture::{COORDINATORS, START, alert, on_both};
use crate::{command, coordinator, declared, family, invite, new, party, refusal, why};
use tocsin_casework::UNREVIEWED_BELOW;
use tocsin_incident::{Command, IncidentId, Origin, Refusal, RingRule, Tlp};
use tocsin_model::{Alert, AlertLevel, AlertReason, Algorithm, ContentHash, Milliseconds, Scope, Timestamp};
use tocsin_store::PackedHash;

#[tokio::test]
async fn a_pack_is_kept_as_it_was_made_and_read_by_those_who_read_the_incident() {
    on_both(async |f| {
        let anna = coordinator(f).await;
        let (north, south) = (party(f, "north").await, party(f, "south").await);
        let id = declared(f, anna).await.id;
        invite(f, anna, id, north).await;
        let hash =
            |algorithm, byte, bytes, quality| ContentHash::from_bytes(algorithm, vec![byte; bytes], quality).unwrap();
        let hashes = [
            PackedHash {
                hash: hash(Algorithm::Sha256, 7, 32, None),
                family: family(1),
                for_all: true,
            },
            PackedHash {
                hash: hash(Algorithm::Pdq, 9, 32, Some(80)),
                family: family(1),
                for_all: false,
            },
        ];
        assert_eq!(
            refusal(f.store.make_pack(anna, (id, None), &[]).await),
            Refusal::PackEmpty
        );
        let theirs = f.store.make_pack(north, (id, None), &hashes).await;
        assert_eq!(refusal(theirs), Refusal::CoordinatorsOnly);
        f.store.make_pack(anna, (id, None), &hashes).await.unwrap();
        f.store.make_pack(anna, (id, None), &hashes[..1]).await.unwrap();
        let withdraw = Command::WithdrawPack {
            number: 1,
            reason: why(),
        };
        command(&f.store, anna, id, withdraw).await.unwrap();
        let other = f.another().await;
        let read = other.pack(north, id, 1).await.unwrap();
        assert_eq!(
            (read.hashes.as_slice(), read.pack.withdrawn_at.is_some()),
            (&hashes[..], true)
        );
        assert_eq!(other.pack(north, id, 2).await.unwrap().hashes, hashes[..1]);
        assert_eq!(refusal(other.pack(north, id, 3).await), Refusal::NoSuchPack);
        assert_eq!(refusal(other.pack(south, id, 1).await), Refusal::NoSuchIncident);
        let seed = f.store.pack_signing_seed().await.unwrap();
        assert_eq!(other.pack_signing_seed().await.unwrap(), seed);
        assert_ne!(seed, [0; 32]);
    })
    .await;
}

#[tokio::test]
async fn who_may_read_an_incident_is_told_of_its_families() {
    on_both(async |f| {
        let anna = coordinator(f).await;
        let rings = |number| alert(number, Scope::Coordinators, AlertLevel::Raised, 1);
        f.store
            .apply_alerts(&[1, 2, 3, 4].map(rings), UNREVIEWED_BELOW)
            .await
            .unwrap();
        let told = async || -> Vec<(u128, Timestamp)> {
            let shared = f.store.shared_families().await.unwrap();
            assert!(
                shared
                    .iter()
                    .all(|shared| shared.team == COORDINATORS && shared.platforms.is_none())
            );
            shared.iter().map(|shared| (shared.family.0.0, shared.at)).collect()
        };
        let second = async || f.clock.advance(Milliseconds::from_seconds(1));
        let at = |seconds| START + Milliseconds::from_seconds(seconds);
        // Nobody but coordinators reads it.
        let north = party(f, "north").await;
        let id = declared(f, anna).await.id;
        let hash = |byte| ContentHash::from_bytes(Algorithm::Sha256, vec![byte; 32], None).unwrap();
        let packed = |byte, number, for_all| PackedHash {
            hash: hash(byte),
            family: family(number),
            for_all,
        };
        f.store
            .make_pack(anna, (id, None), &[packed(1, 1, true)])
            .await
            .unwrap();
        assert_eq!(told().await, []);
        second().await;
        invite(f, anna, id, north).await;
        assert_eq!(told().await, [(1, at(1))], "what it has already");
        second().await;
        command(&f.store, anna, id, Command::Attach { family: family(2) })
            .await
            .unwrap();
        second().await;
        let hashes = [packed(1, 1, true), packed(3, 3, true), packed(4, 4, false)];
        f.store.make_pack(anna, (id, None), &hashes).await.unwrap();
        assert_eq!(
            told().await,
            [(1, at(1)), (2, at(2)), (3, at(3))],
            "the first time, and not what is not for all"
        );

        // What rings and is attached by a rule; a case of it is opened by the same alert.
        let rule = RingRule {
            reasons: vec![AlertReason::LiveMatch],
            platform: None,
            priority_min: 0,
        };
        command(&f.store, anna, id, Command::AddRule(rule)).await.unwrap();
        second().await;
        let live = Alert {
            reason: AlertReason::LiveMatch,
            ..rings(9)
        };
        f.store.apply_alert(&live).await.unwrap();
        assert_eq!(told().await.last(), Some(&(9, at(4))));
        // Everybody reads what is clear.
        let open = f
            .store
            .declare_incident(
                anna,
                IncidentId(77),
                &new(Origin::Alert { alert: rings(4).id }, Tlp::Clear),
            )
            .await;
        open.unwrap();
        assert!(told().await.contains(&(4, at(4))));
    })
    .await;
}
