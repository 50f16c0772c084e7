use crate::fixture::on_both;
use crate::{command, coordinator, declared, family, invite, party, refusal, why};
use tocsin_incident::{Command, Refusal};
use tocsin_model::{Algorithm, ContentHash};
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
