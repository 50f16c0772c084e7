//! Handing a sealed copy out: as an archive that anybody can check who knows the public key.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use tocsin_evidence::archive::{END_BYTES, header, padding};
use tocsin_evidence::{Basis, Export, Manifest, PreservationId, SignedEntry, digest, signature_line};
use tocsin_model::{KeyId, PartyId};
use tocsin_store::{Preserved, StoreError};

use super::sealed_store::{Copy, Damage};
use super::telemetry::CopyDamaged;
use crate::Dispatcher;

/// How many exports a process gives at a time, of different parties.
const EXPORTS_AT_ONCE_MAX: usize = 2;
/// How long one archive is given: whoever takes it slower holds a place that others want.
const EXPORT_TIME_MAX: Duration = Duration::from_secs(3_600);
/// How many pieces wait for whoever takes them.
const PIECES_AHEAD: usize = 4;

/// Who is given something just now.
#[derive(Debug, Default)]
pub(crate) struct Exporting(Arc<Mutex<BTreeSet<PartyId>>>);

/// Whoever exports has one until the archive was given.
#[derive(Debug)]
pub(crate) struct Turn {
    of: Arc<Mutex<BTreeSet<PartyId>>>,
    party: PartyId,
}

/// Why nothing was handed out.
#[derive(Debug)]
pub(crate) enum NotExported {
    /// An export of this party is under way, or as many as there may be.
    Busy,
    /// No copies are sealed here.
    NotKept,
    /// The copy is not as it was sealed; it was told where that was found.
    Damaged,
    /// The store refused it, or failed.
    Store(StoreError),
}

/// An archive on its way.
pub(crate) struct Given {
    /// How many bytes it has.
    pub bytes: u64,
    pub body: Body,
}

impl Exporting {
    fn turn(&self, party: PartyId) -> Option<Turn> {
        let mut exporting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if exporting.len() >= EXPORTS_AT_ONCE_MAX || !exporting.insert(party) {
            return None;
        }
        Some(Turn {
            of: Arc::clone(&self.0),
            party,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut exporting = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        exporting.remove(&self.party);
    }
}

impl Dispatcher {
    /// A turn, before anything is read for it: one for a party at a time.
    pub(crate) fn export_turn(&self, party: PartyId) -> Result<Turn, NotExported> {
        self.evidence.exporting.turn(party).ok_or_else(|| {
            self.evidence.metrics.busy();
            NotExported::Busy
        })
    }

    /// The copy of a party's preservation as an archive. It is read through before anything is noted or given: what is damaged is not handed out. That it is
    /// handed out is in its custody before the first byte.
    pub(crate) async fn export(
        self: &Arc<Self>,
        turn: Turn,
        (party, party_name, by): (PartyId, &str, KeyId),
        (id, basis): (PreservationId, &Basis),
    ) -> Result<Given, NotExported> {
        let Some(store) = self.evidence.store.clone() else {
            return Err(NotExported::NotKept);
        };
        let known = self.store.preservation(party, id).await.map_err(NotExported::Store)?;
        // Refused here where nothing has to be read for it, and where it is noted again.
        let mut tried = known.preservation.clone();
        let sealed = tried.export(basis, known.now);
        let sealed = sealed.map_err(|refusal| NotExported::Store(refusal.into()))?;
        let key = self.evidence.signer.public();
        let checked = tokio::task::spawn_blocking(move || {
            let copy = store.copy(id, &key)?.ok_or(Damage::Changed("the copy".to_owned()))?;
            if digest(&copy.spelled) != sealed.manifest {
                return Err(Damage::Changed(Manifest::FILE.to_owned()));
            }
            copy.check()?;
            Ok(copy)
        });
        let copy = match checked.await {
            Ok(Ok(copy)) => copy,
            Ok(Err(error)) => {
                // It may have ended, and been deleted, since it was looked up.
                let known = self.store.preservation(party, id).await.map_err(NotExported::Store)?;
                let mut tried = known.preservation;
                if let Err(refusal) = tried.export(basis, known.now) {
                    return Err(NotExported::Store(refusal.into()));
                }
                CopyDamaged { id, error: &error }.emit(&self.evidence.metrics);
                return Err(NotExported::Damaged);
            }
            Err(error) => {
                CopyDamaged { id, error: &error }.emit(&self.evidence.metrics);
                return Err(NotExported::Damaged);
            }
        };
        let noted = self.store.export_preservation((party, by), id, basis).await;
        let noted = noted.map_err(NotExported::Store)?;
        let tail = self.tail(party_name, (&copy, basis), &noted);
        Ok(self.give(turn, copy, tail))
    }

    /// The files behind the copy: its custody, and what the archive says of itself.
    fn tail(&self, party: &str, (copy, basis): (&Copy, &Basis), noted: &Preserved) -> Vec<(&'static str, Vec<u8>)> {
        let custody: String = noted.custody.iter().map(SignedEntry::to_line).collect();
        let last = noted.custody.last().map(|last| &last.entry);
        let export = Export {
            format: Export::FORMAT.to_owned(),
            preservation: noted.preservation.id,
            party: party.to_owned(),
            exported_at_ms: last.map_or(noted.now.0, |last| last.at_ms),
            by: last.map(|last| last.by.clone()).unwrap_or_default(),
            basis: basis.clone(),
            manifest_sha256: digest(&copy.spelled),
            custody_entries: noted.custody.len() as u64,
            custody_sha256: digest(custody.as_bytes()),
        };
        let export = export.to_bytes();
        let signature = signature_line(&self.evidence.signer.sign(&export));
        vec![
            (Export::CUSTODY_FILE, custody.into_bytes()),
            (Export::FILE, export),
            (Export::SIGNATURE_FILE, signature),
        ]
    }

    /// Reads the copy on a thread of its own while it is taken, a few pieces ahead.
    fn give(self: &Arc<Self>, turn: Turn, copy: Copy, tail: Vec<(&'static str, Vec<u8>)>) -> Given {
        let head = [
            (Manifest::FILE, copy.spelled.clone()),
            (Manifest::SIGNATURE_FILE, copy.signature.clone()),
        ];
        let blocks = |bytes: u64| 512 + bytes + padding(bytes) as u64;
        let small = head.iter().chain(&tail).map(|(_, bytes)| blocks(bytes.len() as u64));
        let large = copy.manifest.files.iter().map(|file| blocks(file.bytes));
        let bytes = small.chain(large).sum::<u64>() + END_BYTES as u64;
        let (pieces, taken) = tokio::sync::mpsc::channel::<io::Result<Bytes>>(PIECES_AHEAD);
        let dispatcher = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let ends_at = Instant::now() + EXPORT_TIME_MAX;
            let mut out = |bytes: &[u8]| {
                in_time(ends_at)?;
                let piece = Bytes::copy_from_slice(bytes);
                pieces
                    .blocking_send(Ok(piece))
                    .map_err(|_| io::ErrorKind::BrokenPipe.into())
            };
            match write(&copy, (&head, &tail), &mut out) {
                Ok(()) => dispatcher.evidence.metrics.exported(),
                Err(Damage::Unreadable(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                    dispatcher.evidence.metrics.broken_off();
                }
                Err(Damage::Unreadable(error)) if error.kind() == io::ErrorKind::TimedOut => {
                    dispatcher.evidence.metrics.broken_off();
                    let _ = pieces.blocking_send(Err(error));
                }
                Err(error) => {
                    let id = copy.manifest.preservation;
                    CopyDamaged { id, error: &error }.emit(&dispatcher.evidence.metrics);
                    // Whoever takes it learns that it is not whole.
                    let _ = pieces.blocking_send(Err(io::ErrorKind::InvalidData.into()));
                }
            }
        });
        let stream = futures::stream::unfold(taken, |mut taken| async move {
            let piece = taken.recv().await?;
            Some((piece, taken))
        });
        Given {
            bytes,
            body: Body::from_stream(stream),
        }
    }
}

/// Whether there is time left to hand something over.
fn in_time(ends_at: Instant) -> io::Result<()> {
    match Instant::now() < ends_at {
        true => Ok(()),
        false => Err(io::ErrorKind::TimedOut.into()),
    }
}

type Small<'a> = &'a [(&'static str, Vec<u8>)];

fn write(
    copy: &Copy,
    (head, tail): (Small<'_>, Small<'_>),
    out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), Damage> {
    let begin = |name: &str, bytes: u64| header(name, bytes).ok_or_else(|| Damage::Changed(name.to_owned()));
    let small = |files: Small<'_>, out: &mut dyn FnMut(&[u8]) -> io::Result<()>| {
        for (name, bytes) in files {
            out(&begin(name, bytes.len() as u64)?)?;
            out(bytes)?;
            out(&vec![0; padding(bytes.len() as u64)])?;
        }
        Ok::<(), Damage>(())
    };
    small(head, out)?;
    for file in &copy.manifest.files {
        out(&begin(&file.name, file.bytes)?)?;
        copy.read(file, out)?;
        out(&vec![0; padding(file.bytes)])?;
    }
    small(tail, out)?;
    Ok(out(&[0; END_BYTES])?)
}

#[cfg(test)]
mod tests {
    //! Goal: a party is given one archive at a time and a process gives two, and what was given makes room.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_archive_that_is_taken_too_slowly_breaks_off() {
        let now = Instant::now();
        assert!(in_time(now + EXPORT_TIME_MAX).is_ok());
        assert_eq!(in_time(now).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn exports_take_turns() {
        let exporting = Exporting::default();
        let [one, two, three] = [1, 2, 3].map(PartyId);
        let first = exporting.turn(one).unwrap();
        assert!(exporting.turn(one).is_none());
        let second = exporting.turn(two).unwrap();
        assert!(exporting.turn(three).is_none());
        drop(first);
        assert!(exporting.turn(two).is_none());
        assert!(exporting.turn(three).is_some());
        drop(second);
    }
}
