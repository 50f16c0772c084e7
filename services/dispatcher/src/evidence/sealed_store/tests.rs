//! Goal: a copy is there whole or not at all, is sealed once, is not believed once it is changed, and goes without a trace.
#![allow(clippy::unwrap_used)]

use tocsin_evidence::{Basis, BasisKind};

use super::*;

const ID: PreservationId = PreservationId(7);

fn signer() -> Signer {
    Signer::from_seed(&[3; 32])
}

fn manifest(files: Vec<FileEntry>) -> Manifest {
    Manifest {
        format: Manifest::FORMAT.to_owned(),
        preservation: ID,
        party: "alpha".to_owned(),
        case: "1".to_owned(),
        family: "2".to_owned(),
        basis: Basis {
            kind: BasisKind::Review,
            text: "t".to_owned(),
            reference: "r".to_owned(),
        },
        began_at_ms: 1,
        sealed_at_ms: 2,
        events_from_ms: None,
        events_deleted: false,
        events_unread: 0,
        cut: Vec::new(),
        files,
    }
}

fn draft(store: &SealedStore, attempt: u64, lines: usize) -> (Draft, Manifest) {
    let draft = store.begin(ID, attempt).unwrap();
    let mut file = draft.file("events.jsonl").unwrap();
    for number in 0..lines {
        file.line(&format!("{{\"number\":{number}}}")).unwrap();
    }
    assert_eq!(file.records(), lines as u64);
    let manifest = manifest(vec![file.finish().unwrap()]);
    (draft, manifest)
}

fn copy(store: &SealedStore) -> Result<Option<Copy>, Damage> {
    store.copy(ID, &signer().public())
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_copy_is_there_once_it_is_sealed_and_what_tries_left_goes() {
    let directory = tempfile::tempdir().unwrap();
    let store = SealedStore::open(&directory.path().join("sealed")).unwrap();
    // A process ends here.
    drop(draft(&store, 1, 3));
    assert!(copy(&store).unwrap().is_none());
    let (second, manifest) = draft(&store, 2, 20_000);
    assert_eq!(names(&directory.path().join("sealed")), [format!(".draft-{ID}-2")]);
    let sealed = second.seal(&manifest, &signer()).unwrap().unwrap();
    let found = copy(&store).unwrap().unwrap();
    assert_eq!((digest(&found.spelled), &found.manifest), (sealed, &manifest));
    let mut read: Vec<u8> = Vec::new();
    let mut take = |piece: &[u8]| {
        read.extend(piece);
        Ok(())
    };
    found.read(&manifest.files[0], &mut take).unwrap();
    assert_eq!(read.len() as u64, manifest.files[0].bytes);
    // Another was late.
    let (third, other) = draft(&store, 3, 4);
    assert_eq!(third.seal(&other, &signer()).unwrap(), None);
    assert_eq!(copy(&store).unwrap().unwrap().manifest, manifest);
    assert_eq!(names(&directory.path().join("sealed")), [ID.to_string()]);
    assert_eq!(store.ids().unwrap(), [ID]);
    // Until it is noted that it is deleted it is known here that it was.
    for _ in 0..2 {
        assert_eq!(store.remove(ID).unwrap(), Removed::Copy);
        assert_eq!(names(&directory.path().join("sealed")), [format!(".deleted-{ID}")]);
        assert!(copy(&store).unwrap().is_none());
        assert_eq!(store.ids().unwrap(), [ID]);
    }
    for _ in 0..2 {
        store.forget(ID).unwrap();
        assert_eq!(
            store.remove(ID).unwrap(),
            Removed::Nothing,
            "it lies elsewhere, perhaps"
        );
        assert!(names(&directory.path().join("sealed")).is_empty());
    }
}

/// Of several dispatchers on one store each deletes it, and none takes away the sign that another left.
#[test]
fn several_that_delete_a_copy_at_once_all_find_that_it_was() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let store = SealedStore::open(directory.path()).unwrap();
        let (draft, manifest) = draft(&store, 1, 50);
        draft.seal(&manifest, &signer()).unwrap().unwrap();
        let at_once = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    at_once.wait();
                    assert_eq!(store.remove(ID).unwrap(), Removed::Copy);
                });
            }
        });
        assert_eq!(names(directory.path()), [format!(".deleted-{ID}")]);
        assert!(names(&store.deleted(ID)).is_empty());
    }
}

/// A try that is late when the next begins: what it wrote goes, and it seals nothing.
#[test]
fn a_try_that_is_late_seals_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = SealedStore::open(directory.path()).unwrap();
    let (late, manifest) = draft(&store, 1, 3);
    let (next, other) = draft(&store, 2, 4);
    assert_eq!(names(directory.path()), [format!(".draft-{ID}-2")]);
    assert!(late.file("keys.json").is_err());
    assert!(!matches!(late.seal(&manifest, &signer()), Ok(Some(_))));
    assert!(copy(&store).unwrap().is_none());
    next.seal(&other, &signer()).unwrap().unwrap();
    copy(&store).unwrap().unwrap().check().unwrap();
}

#[test]
fn a_damaged_copy_makes_room_and_goes_in_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = SealedStore::open(directory.path()).unwrap();
    for attempt in [1, 2] {
        let (draft, manifest) = draft(&store, attempt, 3);
        draft.seal(&manifest, &signer()).unwrap().unwrap();
        let own = directory.path().join(ID.to_string());
        fs::remove_file(own.join("events.jsonl")).unwrap();
        assert!(copy(&store).unwrap().unwrap().check().is_err());
        store.set_aside(ID).unwrap();
        assert!(copy(&store).unwrap().is_none());
        assert_eq!(names(directory.path()), [format!(".damaged-{ID}")]);
    }
    assert_eq!(store.remove(ID).unwrap(), Removed::Nothing);
    assert!(names(directory.path()).is_empty());
}

#[test]
fn what_was_changed_is_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let store = SealedStore::open(directory.path()).unwrap();
    let (first, manifest) = draft(&store, 1, 3);
    first.seal(&manifest, &signer()).unwrap();
    let own = directory.path().join(ID.to_string());
    let read = || {
        let found = copy(&store)?.unwrap();
        found.read(&found.manifest.files[0], &mut |_| Ok(()))
    };
    assert!(read().is_ok());
    let events = fs::read(own.join("events.jsonl")).unwrap();
    for changed in [&events[1..], &[&events[..], b"\n"].concat(), b""] {
        fs::write(own.join("events.jsonl"), changed).unwrap();
        assert!(matches!(read(), Err(Damage::Changed(name)) if name == "events.jsonl"));
    }
    fs::remove_file(own.join("events.jsonl")).unwrap();
    assert!(matches!(read(), Err(Damage::Unreadable(_))));
    fs::write(own.join("events.jsonl"), &events).unwrap();
    let other = Manifest {
        sealed_at_ms: 3,
        ..manifest
    };
    fs::write(own.join(Manifest::FILE), other.to_bytes()).unwrap();
    assert!(matches!(read(), Err(Damage::Changed(name)) if name == Manifest::FILE));
}
