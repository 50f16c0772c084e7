//! Goal: what is withdrawn or forgotten leaves nothing behind, and takes nothing of others with it.

use super::*;
use tocsin_model::Algorithm;

fn name(id: u128) -> Name {
    let value = id.to_be_bytes().repeat(2);
    let hash = ContentHash::from_bytes(Algorithm::Sha256, value, None).expect("32 bytes are a SHA-256");
    Name::new(ContentId(id), hash)
}

fn put(index: &mut Index, content: u128, hashes: &[u128], names_max: usize) {
    let known = Announced {
        content: ContentId(content),
        hash: name(content).hash,
        family: FamilyId(ContentId(content)),
    };
    let mut names = Names::default();
    let hashes: Vec<Name> = hashes.iter().copied().map(name).collect();
    names.add(&hashes);
    index.put(Class::All, known, &names, names_max);
}

fn under(index: &Index, hash: u128) -> Vec<u128> {
    let found = index.with_hash(ContentId(hash));
    found.map(|(_, known)| known.content.0).collect()
}

#[test]
fn the_oldest_goes_at_the_limit_and_an_announcement_said_again_is_young() {
    let mut index = Index::default();
    put(&mut index, 1, &[1, 11], 4);
    put(&mut index, 2, &[2], 4);
    put(&mut index, 1, &[1, 11], 4);
    assert_eq!(index.forgotten_early(), 0);
    put(&mut index, 3, &[3, 13], 4);
    assert_eq!((under(&index, 2), index.forgotten_early()), (vec![], 1));
    assert_eq!((under(&index, 11), under(&index, 13)), (vec![1], vec![3]));
    assert_eq!(index.by_hash.len(), 4);
}

#[test]
fn a_withdrawal_leaves_a_shared_hash_to_who_has_it() {
    let mut index = Index::default();
    put(&mut index, 1, &[1, 9], 100);
    put(&mut index, 2, &[2, 9], 100);
    index.withdraw(ContentId(1), Class::All);
    assert_eq!((under(&index, 1), under(&index, 9)), (vec![], vec![2]));
    index.withdraw(ContentId(2), Class::Coordinators);
    assert_eq!(under(&index, 2), [2], "another class");
    index.withdraw(ContentId(2), Class::All);
    let left = (
        index.by_hash.len(),
        index.announcements.len(),
        index.by_age.len(),
        index.names,
        index.centres.len(),
    );
    assert_eq!(left, (0, 0, 0, 0, 0));
}

#[test]
fn names_that_stand_before_their_announcement_are_kept_until_the_log_was_read() {
    let mut index = Index::default();
    index.add(ContentId(1), Class::All, [&name(11)], 100);
    index.add(ContentId(2), Class::All, [&name(12)], 100);
    index.add(ContentId(3), Class::All, [&name(13)], 100);
    index.withdraw(ContentId(3), Class::All);
    let names = index.names(ContentId(1), Class::All);
    let known: Vec<u128> = names.iter().map(|name| name.id.0).collect();
    assert_eq!(known, [11]);
    put(&mut index, 1, &[1, 11], 100);
    assert_eq!(index.caught_up(), [(ContentId(2), Class::All, ContentId(12))]);
    index.add(ContentId(2), Class::All, [&name(12)], 100);
    assert_eq!((under(&index, 11), under(&index, 12)), (vec![1], vec![]));
    assert_eq!(index.caught_up(), []);
}

#[test]
fn what_took_the_place_gives_it_back() {
    let hash = |number: u8| ContentHash::from_bytes(Algorithm::Md5, vec![number; 16], None).expect("it has 16 bytes");
    let shared = ContentId(500);
    let mut index = Index::default();
    let announce = |index: &mut Index, number: u8, class| {
        let content = ContentId(u128::from(number));
        let known = Announced {
            content,
            hash: hash(number),
            family: FamilyId(content),
        };
        let mut names = Names::default();
        names.add([&Name::new(content, hash(number)), &Name::new(shared, hash(200))]);
        index.put(class, known, &names, 1_000);
    };
    let found = |index: &Index| -> Vec<(Class, u128)> {
        let found = index.with_hash(shared);
        found.map(|(class, known)| (class, known.content.0)).collect()
    };
    for number in 1..=12 {
        announce(&mut index, number, Class::All);
    }
    announce(&mut index, 20, Class::Coordinators);
    announce(&mut index, 7, Class::All);
    assert_eq!(found(&index), [(Class::All, 7), (Class::Coordinators, 20)]);
    // Those told last go first; those beyond the eight are found no more.
    for next in [12, 11, 10, 9, 8, 6, 5] {
        let last = found(&index)[0].1;
        index.withdraw(ContentId(last), Class::All);
        assert_eq!(found(&index)[0], (Class::All, next));
    }
    index.withdraw(ContentId(5), Class::All);
    assert_eq!(found(&index), [(Class::Coordinators, 20)]);
    index.withdraw(ContentId(20), Class::Coordinators);
    assert!(index.by_hash.keys().all(|id| *id != shared));
}
