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
        let deleted = self.deleted(id);
        // Several processes may be at it: each only takes away, and the sign stays whoever made it. A copy is renamed onto an empty sign.
        let had_sign = emptied(&deleted)?;
        gone(fs::rename(self.of(id), &deleted))?;
        if !emptied(&deleted)? && !had_sign {
            return Ok(Removed::Nothing);
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

/// Removes the files of a directory. Whether it is there.
fn emptied(directory: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    for entry in entries {
        gone(fs::remove_file(entry?.path()))?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
