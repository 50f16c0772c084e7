//! The sealed store: a directory in which each preservation has one of its own. A copy is there whole or not at all.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tocsin_evidence::{
    Digest, FileEntry, Manifest, PreservationId, PublicKey, SIGNATURE_LINE_BYTES, Signer, digest, read_signature_line,
    signature_line,
};

/// What the name of a directory begins with that says that a copy was deleted.
const DELETED: &str = ".deleted-";
/// How much is read at a time.
const PIECE_BYTES: usize = 64 << 10;

/// The directory.
#[derive(Clone, Debug)]
pub(crate) struct SealedStore {
    directory: PathBuf,
}

/// A copy that is being made: nobody takes it for one before it is sealed.
pub(crate) struct Draft {
    directory: PathBuf,
    sealed: PathBuf,
}

/// A file of a draft.
pub(crate) struct DraftFile {
    name: &'static str,
    out: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    records: u64,
}

/// A sealed copy whose manifest is the one that was signed.
#[derive(Debug)]
pub(crate) struct Copy {
    directory: PathBuf,
    pub manifest: Manifest,
    /// The manifest as it is spelled.
    pub spelled: Vec<u8>,
    pub signature: Vec<u8>,
}

/// What was found where a copy was to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// The copy, or what says that it was deleted before.
    Copy,
    /// Nothing.
    Nothing,
}

/// Why a copy is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damage {
    /// It cannot be read.
    #[error("a sealed copy cannot be read")]
    Unreadable(#[from] io::Error),
    /// A file is not as it was sealed.
    #[error("{0} is not as it was sealed")]
    Changed(String),
}

impl SealedStore {
    /// The directory, made where it is not there: of its owner alone.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn open(directory: &Path) -> io::Result<SealedStore> {
        private().recursive(true).create(directory)?;
        Ok(SealedStore {
            directory: directory.to_owned(),
        })
    }

    fn of(&self, id: PreservationId) -> PathBuf {
        self.directory.join(id.to_string())
    }

    /// Begins a copy; what earlier tries left is removed.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn begin(&self, id: PreservationId, attempt: u64) -> io::Result<Draft> {
        self.remove_drafts(id)?;
        let directory = self.directory.join(format!(".draft-{id}-{attempt}"));
        private().create(&directory)?;
        Ok(Draft {
            directory,
            sealed: self.of(id),
        })
    }

    /// Of which preservations there is a copy, or what says that one was deleted.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn ids(&self) -> io::Result<Vec<PreservationId>> {
        let mut ids = BTreeSet::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            let name = name.strip_prefix(DELETED).unwrap_or(&name);
            ids.extend(name.parse::<PreservationId>());
        }
        Ok(ids.into_iter().collect())
    }

    /// Away first, and deleted then: whoever still writes there seals nothing of which a part is gone.
    fn remove_drafts(&self, id: PreservationId) -> io::Result<()> {
        let (left, going) = (format!(".draft-{id}-"), format!(".going-{id}-"));
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if let Some(attempt) = name.strip_prefix(&left) {
                let going = self.directory.join(format!("{going}{attempt}"));
                gone(fs::remove_dir_all(&going))?;
                gone(fs::rename(entry.path(), &going))?;
                gone(fs::remove_dir_all(&going))?;
            } else if name.starts_with(&going) {
                gone(fs::remove_dir_all(entry.path()))?;
            }
        }
        Ok(())
    }

    /// Puts the copy where nobody takes it for one, in place of one that was put there before. It goes when the preservation ends.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn set_aside(&self, id: PreservationId) -> io::Result<()> {
        let aside = self.aside(id);
        gone(fs::remove_dir_all(&aside))?;
        gone(fs::rename(self.of(id), &aside))?;
        sync(&self.directory)
    }

    fn aside(&self, id: PreservationId) -> PathBuf {
        self.directory.join(format!(".damaged-{id}"))
    }

    fn deleted(&self, id: PreservationId) -> PathBuf {
        self.directory.join(format!("{DELETED}{id}"))
    }

    /// The sealed copy, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or its manifest is not the one that the holder of the key signed.
    pub(crate) fn copy(&self, id: PreservationId, key: &PublicKey) -> Result<Option<Copy>, Damage> {
        let directory = self.of(id);
        if !fs::exists(&directory)? {
            return Ok(None);
        }
        let spelled = read(&directory.join(Manifest::FILE), Manifest::BYTES_MAX)?;
        let signature = read(&directory.join(Manifest::SIGNATURE_FILE), SIGNATURE_LINE_BYTES as u64)?;
        let is_signed = read_signature_line(&signature).is_some_and(|signature| key.is_signed(&spelled, &signature));
        let manifest = Manifest::from_bytes(&spelled).filter(|manifest| is_signed && manifest.preservation == id);
        let manifest = manifest.ok_or_else(|| Damage::Changed(Manifest::FILE.to_owned()))?;
        Ok(Some(Copy {
            directory,
            manifest,
            spelled,
            signature,
        }))
    }

    /// Deletes the copy and what tries left of it. From the first moment on nobody finds it; told again it goes on. That it was deleted is known here until
    /// [`SealedStore::forget`]: an empty directory says so.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn remove(&self, id: PreservationId) -> io::Result<Removed> {
        self.remove_drafts(id)?;
        gone(fs::remove_dir_all(self.aside(id)))?;
        let (sealed, deleted) = (self.of(id), self.deleted(id));
        let was_begun = fs::exists(&deleted)?;
        if fs::exists(&sealed)? {
            gone(fs::remove_dir_all(&deleted))?;
            fs::rename(&sealed, &deleted)?;
        } else if !was_begun {
            return Ok(Removed::Nothing);
        }
        for entry in fs::read_dir(&deleted)? {
            gone(fs::remove_file(entry?.path()))?;
        }
        sync(&self.directory)?;
        Ok(Removed::Copy)
    }

    /// Nothing says any more that the copy was deleted: it is noted elsewhere.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn forget(&self, id: PreservationId) -> io::Result<()> {
        gone(fs::remove_dir(self.deleted(id)))?;
        sync(&self.directory)
    }
}

impl Draft {
    /// A file of the copy.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn file(&self, name: &'static str) -> io::Result<DraftFile> {
        Ok(DraftFile {
            name,
            out: BufWriter::with_capacity(PIECE_BYTES, new_file(&self.directory.join(name))?),
            hash: Sha256::new(),
            bytes: 0,
            records: 0,
        })
    }

    /// Seals the copy: from here on it is there, and is not written again. `None`: another try was sealed before, or was begun, and has put this one away.
    ///
    /// # Errors
    /// It cannot be written; then there is none.
    pub(crate) fn seal(self, manifest: &Manifest, signer: &Signer) -> io::Result<Option<Digest>> {
        let spelled = manifest.to_bytes();
        for (name, bytes) in [
            (Manifest::FILE, &spelled),
            (Manifest::SIGNATURE_FILE, &signature_line(&signer.sign(&spelled))),
        ] {
            let mut file = new_file(&self.directory.join(name))?;
            file.write_all(bytes)?;
            file.sync_all()?;
        }
        sync(&self.directory)?;
        match fs::rename(&self.directory, &self.sealed) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                fs::remove_dir_all(&self.directory)?;
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        if let Some(parent) = self.sealed.parent() {
            sync(parent)?;
        }
        Ok(Some(digest(&spelled)))
    }
}

impl DraftFile {
    /// Adds a record, with the end of its line.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        for part in [text.as_bytes(), b"\n"] {
            self.out.write_all(part)?;
            self.hash.update(part);
            self.bytes += part.len() as u64;
        }
        self.records += 1;
        Ok(())
    }

    /// How many bytes it has.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many records it has.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// What the manifest says of it, once it is on the disk.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn finish(self) -> io::Result<FileEntry> {
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(FileEntry {
            name: self.name.to_owned(),
            bytes: self.bytes,
            records: self.records,
            sha256: self.hash.finalize().into(),
        })
    }
}

impl Copy {
    /// Whether all of it is as it was sealed.
    ///
    /// # Errors
    /// It is not, or cannot be read.
    pub(crate) fn check(&self) -> Result<(), Damage> {
        let mut files = self.manifest.files.iter();
        files.try_for_each(|file| self.read(file, &mut |_| Ok(())))
    }

    /// A file of it, as it was sealed: hands its bytes over in pieces.
    ///
    /// # Errors
    /// It cannot be read, is not as it was sealed, or `take` failed. What was handed over before is not to be believed then.
    pub(crate) fn read(&self, file: &FileEntry, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Damage> {
        let mut from = File::open(self.directory.join(&file.name))?;
        let (mut hash, mut bytes) = (Sha256::new(), 0_u64);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = from.read(&mut piece)?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
            if bytes > file.bytes {
                break;
            }
            hash.update(&piece[..read]);
            take(&piece[..read])?;
        }
        match bytes == file.bytes && Digest::from(hash.finalize()) == file.sha256 {
            true => Ok(()),
            false => Err(Damage::Changed(file.name.clone())),
        }
    }
}

/// Of its owner alone.
fn private() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Names that were made or removed are on the disk.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// What is not there is gone.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
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
}
