use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};

use crate::archive::{BLOCK_BYTES, END_BYTES, padding, read_header};
use crate::signing::read_signature_line;
use crate::{
    Act, CustodyEntry, CustodyFault, Export, FileEntry, Manifest, PublicKey, SIGNATURE_LINE_BYTES, custody_of, digest,
};

/// Why an archive is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveFault {
    /// A block is no header of a file as it is spelled here.
    #[error("the block at byte {0} is no header of this archive")]
    Header(u64),
    /// Another file was to come.
    #[error("{found} stands where {wanted} was to come")]
    Order {
        /// What was to come.
        wanted: String,
        /// What came.
        found: String,
    },
    /// A file is longer or shorter than it may be.
    #[error("{0} has another length than it was to have")]
    Length(String),
    /// What fills blocks, or the end, is not zero.
    #[error("what fills the block at byte {0} is not empty")]
    Padding(u64),
    /// It ends before it is whole.
    #[error("the archive ends before it is whole")]
    CutOff,
    /// Something comes after its end.
    #[error("something comes after the end of the archive")]
    Behind,
    /// A signature does not hold.
    #[error("the signature in {0} does not hold")]
    Signature(&'static str),
    /// A file is not what it says it is.
    #[error("{0} is not as it is written")]
    Form(&'static str),
    /// A file is not the one that the manifest names.
    #[error("{0} is not the file that the manifest names")]
    File(String),
    /// The chain of custody does not hold.
    #[error(transparent)]
    Custody(#[from] CustodyFault),
    /// It does not go on from an archive that was given earlier.
    #[error("the archive does not go on from the earlier one: {0}")]
    Earlier(&'static str),
    /// The parts are of different exports or copies.
    #[error("the parts of the archive do not belong together: {0}")]
    Parts(&'static str),
}

/// What an archive that is believed holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What the sealed copy consists of.
    pub manifest: Manifest,
    /// What was done with it, up to this export.
    pub custody: Vec<CustodyEntry>,
    /// What the archive says of itself.
    pub export: Export,
}

impl Verified {
    /// Whether this archive goes on from one that was given earlier: of the same copy, with all of its custody and more behind it. A chain of custody alone does not say
    /// that its end was not taken away before something was added.
    ///
    /// # Errors
    /// [`ArchiveFault::Earlier`].
    pub fn goes_on_from(&self, earlier: &Verified) -> Result<(), ArchiveFault> {
        if self.manifest != earlier.manifest {
            return Err(ArchiveFault::Earlier("it is of another copy"));
        }
        if !self.custody.starts_with(&earlier.custody) {
            return Err(ArchiveFault::Earlier(
                "entries of its custody were taken away or are others",
            ));
        }
        Ok(())
    }
}

/// Checks an archive, piece by piece: it holds no more than a manifest, a chain of custody and a block at a time.
///
/// Everything in an archive is bound: `export.sig` signs `export.json`, which names the digests of `manifest.json` and `custody.jsonl`; the manifest names those
/// of all other files; headers, padding and end have one spelling.
#[derive(Debug)]
pub struct Verifier {
    key: PublicKey,
    /// What is to come.
    wanted: VecDeque<Wanted>,
    at: u64,
    state: State,
    manifest: Option<(Manifest, Vec<u8>)>,
    custody: Vec<u8>,
    export: Vec<u8>,
    fault: Option<ArchiveFault>,
}

#[derive(Clone, Debug)]
enum Wanted {
    Manifest,
    ManifestSignature,
    File(FileEntry),
    Custody,
    Export,
    ExportSignature,
}

#[derive(Debug)]
enum State {
    Header(Vec<u8>),
    /// A file that is kept until it is whole.
    Kept(Wanted, Vec<u8>, u64),
    Hashed(FileEntry, Box<Sha256>, u64),
    Padding(usize),
    End(usize),
}

impl Wanted {
    fn name(&self) -> &str {
        match self {
            Wanted::Manifest => Manifest::FILE,
            Wanted::ManifestSignature => Manifest::SIGNATURE_FILE,
            Wanted::File(file) => &file.name,
            Wanted::Custody => Export::CUSTODY_FILE,
            Wanted::Export => Export::FILE,
            Wanted::ExportSignature => Export::SIGNATURE_FILE,
        }
    }

    fn may_be_long(&self, bytes: u64) -> bool {
        match self {
            Wanted::Manifest => bytes <= Manifest::BYTES_MAX,
            Wanted::File(file) => bytes == file.bytes,
            Wanted::Custody => bytes <= Export::CUSTODY_BYTES_MAX,
            Wanted::Export => bytes <= Export::BYTES_MAX,
            Wanted::ManifestSignature | Wanted::ExportSignature => bytes == SIGNATURE_LINE_BYTES as u64,
        }
    }
}

impl Verifier {
    /// Believes the holder of this key.
    pub fn new(key: PublicKey) -> Verifier {
        Verifier {
            key,
            wanted: VecDeque::from([Wanted::Manifest, Wanted::ManifestSignature]),
            at: 0,
            state: State::Header(Vec::new()),
            manifest: None,
            custody: Vec::new(),
            export: Vec::new(),
            fault: None,
        }
    }

    /// Takes the next piece of the archive, of any length.
    ///
    /// # Errors
    /// [`ArchiveFault`]: what was found first; whatever comes later changes nothing of it.
    pub fn take(&mut self, mut piece: &[u8]) -> Result<(), ArchiveFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        while !piece.is_empty() {
            match self.step(piece) {
                Ok(taken) => {
                    piece = &piece[taken..];
                    self.at += taken as u64;
                }
                Err(fault) => {
                    self.fault = Some(fault.clone());
                    return Err(fault);
                }
            }
        }
        Ok(())
    }

    /// What the archive holds, once all of it was taken.
    ///
    /// # Errors
    /// [`ArchiveFault`].
    pub fn finish(self) -> Result<Verified, ArchiveFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if !matches!(self.state, State::End(END_BYTES)) {
            return Err(ArchiveFault::CutOff);
        }
        let (manifest, spelled) = self.manifest.ok_or(ArchiveFault::CutOff)?;
        let export = Export::from_bytes(&self.export).ok_or(ArchiveFault::Form(Export::FILE))?;
        if (export.preservation, &export.party) != (manifest.preservation, &manifest.party) {
            return Err(ArchiveFault::Parts("the copy is another preservation's"));
        }
        if export.manifest_sha256 != digest(&spelled) {
            return Err(ArchiveFault::Parts("the manifest is another one"));
        }
        if export.custody_sha256 != digest(&self.custody) {
            return Err(ArchiveFault::Parts("the chain of custody is another one"));
        }
        let custody = custody_of(export.preservation, &self.custody, &self.key)?;
        if custody.len() as u64 != export.custody_entries {
            return Err(ArchiveFault::Parts("the chain of custody was cut"));
        }
        let is_last = custody
            .last()
            .is_some_and(|last| (last.act, last.at_ms, &last.by) == (Act::Exported, export.exported_at_ms, &export.by));
        if !is_last {
            return Err(ArchiveFault::Parts("the chain of custody does not end in this export"));
        }
        let named = hex::encode(export.manifest_sha256);
        let sealed = custody.iter().filter(|entry| entry.act == Act::Sealed);
        if !sealed
            .map(|entry| entry.detail.get("manifest_sha256"))
            .eq([Some(&named)])
        {
            return Err(ArchiveFault::Parts("the chain of custody is about another copy"));
        }
        Ok(Verified {
            manifest,
            custody,
            export,
        })
    }

    /// How many bytes of the piece were taken: one at least.
    fn step(&mut self, piece: &[u8]) -> Result<usize, ArchiveFault> {
        match &mut self.state {
            State::Header(block) => {
                let taken = piece.len().min(BLOCK_BYTES - block.len());
                block.extend(&piece[..taken]);
                if block.len() == BLOCK_BYTES {
                    let begins = self.at + taken as u64 - BLOCK_BYTES as u64;
                    let block = std::mem::take(block);
                    self.header(&block, begins)?;
                }
                Ok(taken)
            }
            State::Kept(_, kept, left) => {
                let taken = piece.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                kept.extend(&piece[..taken]);
                *left -= taken as u64;
                self.end_of_file()?;
                Ok(taken)
            }
            State::Hashed(_, hash, left) => {
                let taken = piece.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                hash.update(&piece[..taken]);
                *left -= taken as u64;
                self.end_of_file()?;
                Ok(taken)
            }
            State::Padding(left) => {
                let taken = piece.len().min(*left);
                if piece[..taken].iter().any(|byte| *byte != 0) {
                    return Err(ArchiveFault::Padding(self.at));
                }
                *left -= taken;
                if *left == 0 {
                    self.state = State::Header(Vec::new());
                }
                Ok(taken)
            }
            State::End(seen) => {
                let taken = piece.len().min(END_BYTES - *seen);
                if taken == 0 {
                    return Err(ArchiveFault::Behind);
                }
                if piece[..taken].iter().any(|byte| *byte != 0) {
                    return Err(ArchiveFault::Padding(self.at));
                }
                *seen += taken;
                Ok(taken)
            }
        }
    }

    fn header(&mut self, block: &[u8], begins: u64) -> Result<(), ArchiveFault> {
        let Some(wanted) = self.wanted.pop_front() else {
            // All is there: the end begins.
            return match block.iter().all(|byte| *byte == 0) {
                true => {
                    self.state = State::End(BLOCK_BYTES);
                    Ok(())
                }
                false => Err(ArchiveFault::Behind),
            };
        };
        let read = block.try_into().ok().and_then(read_header);
        let (name, bytes) = read.ok_or(ArchiveFault::Header(begins))?;
        if name != wanted.name() {
            return Err(ArchiveFault::Order {
                wanted: wanted.name().to_owned(),
                found: name,
            });
        }
        if !wanted.may_be_long(bytes) {
            return Err(ArchiveFault::Length(name));
        }
        self.state = match wanted {
            Wanted::File(file) => State::Hashed(file, Box::default(), bytes),
            wanted => State::Kept(wanted, Vec::new(), bytes),
        };
        // An empty file is over.
        self.end_of_file()
    }

    /// Checks the file under way, once it is whole.
    fn end_of_file(&mut self) -> Result<(), ArchiveFault> {
        let (State::Kept(.., left) | State::Hashed(.., left)) = &self.state else {
            return Ok(());
        };
        if *left > 0 {
            return Ok(());
        }
        let bytes = match std::mem::replace(&mut self.state, State::Header(Vec::new())) {
            State::Hashed(file, hash, _) => {
                if <[u8; 32]>::from(hash.finalize()) != file.sha256 {
                    return Err(ArchiveFault::File(file.name));
                }
                file.bytes
            }
            State::Kept(wanted, kept, _) => {
                let bytes = kept.len() as u64;
                self.kept(&wanted, kept)?;
                bytes
            }
            State::Header(_) | State::Padding(_) | State::End(_) => return Ok(()),
        };
        if padding(bytes) > 0 {
            self.state = State::Padding(padding(bytes));
        }
        Ok(())
    }

    fn kept(&mut self, wanted: &Wanted, kept: Vec<u8>) -> Result<(), ArchiveFault> {
        match wanted {
            Wanted::Manifest => {
                let manifest = Manifest::from_bytes(&kept).ok_or(ArchiveFault::Form(Manifest::FILE))?;
                self.manifest = Some((manifest, kept));
            }
            Wanted::ManifestSignature => {
                let (manifest, spelled) = self.manifest.as_ref().ok_or(ArchiveFault::Form(Manifest::FILE))?;
                self.check_signature(spelled, &kept, Manifest::SIGNATURE_FILE)?;
                let files = manifest.files.iter().cloned().map(Wanted::File);
                self.wanted = files
                    .chain([Wanted::Custody, Wanted::Export, Wanted::ExportSignature])
                    .collect();
            }
            Wanted::Custody => self.custody = kept,
            Wanted::Export => self.export = kept,
            Wanted::ExportSignature => {
                self.check_signature(&self.export, &kept, Export::SIGNATURE_FILE)?;
            }
            Wanted::File(_) => {}
        }
        Ok(())
    }

    fn check_signature(&self, signed: &[u8], line: &[u8], file: &'static str) -> Result<(), ArchiveFault> {
        let signature = read_signature_line(line).ok_or(ArchiveFault::Form(file))?;
        match self.key.is_signed(signed, &signature) {
            true => Ok(()),
            false => Err(ArchiveFault::Signature(file)),
        }
    }
}
