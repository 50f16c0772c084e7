use crate::fixture::{n, on_both};
use crate::{asking, command, coordinator, declared, family, invite, new, party, why};
use tocsin_casework::Team;
use tocsin_incident::{Command, IncidentId, Marking, Origin, Tlp};
use tocsin_model::{Algorithm, ContentHash, KeyId};
use tocsin_store::{Asking, KeySubject, PackedHash, Roles, Store};

fn activate() -> Command {
    Command::Activate {
        level: "awareness".to_owned(),
        reason: why(),
        shown: None,
    }
}

async fn live(store: &Store) -> Vec<IncidentId> {
    let live = store.live_incidents().await.unwrap();
    live.incidents.iter().map(|incident| incident.id).collect()
}

#[tokio::test]
async fn an_incident_is_live_from_its_activation_to_its_conclusion() {
    on_both(async |f| {
        let anna = coordinator(f).await;
        let (one, two) = (declared(f, anna).await.id, declared(f, anna).await.id);
        assert_eq!(live(&f.store).await, []);
        for id in [two, one] {
            command(&f.store, anna, id, activate()).await.unwrap();
        }
        let other = f.another().await;
        assert_eq!(live(&other).await.len(), 2);
        let conclude = Command::Conclude {
            reason: why(),
            shown: None,
        };
        command(&f.store, anna, one, conclude).await.unwrap();
        assert_eq!(live(&other).await, [two]);
        command(&f.store, anna, one, Command::Reopen { reason: why() })
            .await
            .unwrap();
        assert_eq!(live(&other).await.len(), 2);
    })
    .await;
}

/// Whoever is told of an incident by [`tocsin_store::LiveIncidents`] reads it by [`Store::incident`], and nobody else.
#[tokio::test]
async fn who_holds_live_incidents_tells_those_who_may_read_them() {
    on_both(async |f| {
        let anna = coordinator(f).await;
        let (north, south) = (party(f, "north").await, party(f, "south").await);
        let operator = f.store.issue_key(KeySubject::Operator, Roles::all()).await.unwrap().0;
        let group = n("inner");
        f.store.add_sharing_group(&group).await.unwrap();
        for who in [anna, south] {
            f.store
                .set_sharing_group_member(&group, who.team.unwrap(), true)
                .await
                .unwrap();
        }
        let readers = [
            anna,
            coordinator(f).await,
            north,
            asking(KeyId(north.key.0 ^ 1), north.team.unwrap()),
            south,
            asking(KeyId(5), Team::Coordinators),
            Asking {
                key: operator,
                team: None,
            },
        ];
        let of_group = Marking {
            group: Some(group.clone()),
            ..Marking::of(Tlp::AmberStrict)
        };
        let markings = [Tlp::Clear, Tlp::Green, Tlp::Amber].map(Marking::of);
        let mut read = Vec::new();
        for marking in markings.into_iter().chain([of_group]) {
            let id = IncidentId(rand::random());
            let mut declared = new(Origin::Hand, Tlp::Green);
            declared.declaration.marking = marking.clone();
            f.store.declare_incident(anna, id, &declared).await.unwrap();
            if marking.tlp == Tlp::Amber {
                invite(f, anna, id, north).await;
            }
            command(&f.store, anna, id, activate()).await.unwrap();
            read.push(id);
        }
        for is_in in [true, false] {
            f.store
                .set_sharing_group_member(&group, south.team.unwrap(), is_in)
                .await
                .unwrap();
            let live = f.store.live_incidents().await.unwrap();
            assert_eq!(live.incidents.len(), read.len());
            let mut told = 0;
            for incident in &live.incidents {
                for who in readers {
                    let is_told = live.is_read_by(incident, who);
                    assert_eq!(
                        is_told,
                        f.store.incident(who, incident.id).await.is_ok(),
                        "{incident:?} {who:?}"
                    );
                    told += usize::from(is_told);
                }
            }
            assert_eq!(told, if is_in { 7 + 6 + 5 + 4 } else { 7 + 6 + 5 + 3 });
        }
    })
    .await;
}

#[tokio::test]
async fn the_hashes_of_a_pack_are_had_whoever_asks() {
    on_both(async |f| {
        let anna = coordinator(f).await;
        let id = declared(f, anna).await.id;
        let packed = |byte, for_all| PackedHash {
            hash: ContentHash::from_bytes(Algorithm::Sha256, vec![byte; 32], None).unwrap(),
            family: family(1),
            for_all,
        };
        let hashes = [packed(7, true), packed(8, false)];
        f.store.make_pack(anna, (id, None), &hashes).await.unwrap();
        let other = f.another().await;
        assert_eq!(other.packed_hashes(id, 1).await.unwrap().as_deref(), Some(&hashes[..]));
        assert_eq!(other.packed_hashes(id, 2).await.unwrap(), None);
        assert_eq!(other.packed_hashes(IncidentId(5), 1).await.unwrap(), None);
    })
    .await;
}
