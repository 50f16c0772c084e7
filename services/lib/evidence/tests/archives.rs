//! Goal: whatever is changed in an archive is found: each byte, each cut, each block and file that is taken away, added or moved, and parts of another export.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tocsin_evidence::archive::{BLOCK_BYTES, END_BYTES, header, padding};
use tocsin_evidence::{
    Act, ArchiveFault, Basis, BasisKind, Chain, Export, FileEntry, Manifest, PreservationId, Signer, Verified,
    Verifier, digest, signature_line,
};
use tocsin_model::Timestamp;

/// The files of an archive, in order.
type Files = Vec<(String, Vec<u8>)>;

fn signer() -> Signer {
    Signer::from_seed(&[9; 32])
}

fn basis(text: &str) -> Basis {
    Basis {
        kind: BasisKind::Investigation,
        text: text.to_owned(),
        reference: "AZ 12".to_owned(),
    }
}

fn named(name: &str, text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), text.to_owned())])
}

/// What is exported of preservation `number` for the time `exports`.
fn files(number: u128, exports: i64) -> Files {
    let (preservation, signer) = (PreservationId(number), signer());
    let events = format!("{{\"event\":{number}}}\n").repeat(40).into_bytes();
    let kept = [
        ("case.json", b"{}".to_vec()),
        ("events.jsonl", events),
        ("records.jsonl", Vec::new()),
    ];
    let entry = |(name, bytes): &(&str, Vec<u8>)| FileEntry {
        name: (*name).to_owned(),
        bytes: bytes.len() as u64,
        records: 1,
        sha256: digest(bytes),
    };
    let manifest = Manifest {
        format: Manifest::FORMAT.to_owned(),
        preservation,
        party: "alpha".to_owned(),
        case: format!("{number:032x}"),
        family: format!("{number:032x}"),
        basis: basis("an order"),
        began_at_ms: 1,
        sealed_at_ms: 2,
        events_from_ms: None,
        events_deleted: false,
        events_unread: 0,
        cut: Vec::new(),
        files: kept.iter().map(entry).collect(),
    };
    let manifest = manifest.to_bytes();
    let mut chain = Chain::of(preservation);
    let mut custody = String::new();
    let mut add = |at: i64, act: Act, detail: BTreeMap<String, String>| {
        let signed = chain.append(&signer, (Timestamp(at), "key"), (act, detail));
        custody.push_str(&signed.to_line());
    };
    add(1, Act::Placed, BTreeMap::new());
    add(
        2,
        Act::Sealed,
        named("manifest_sha256", &hex::encode(digest(&manifest))),
    );
    for number in 0..exports {
        add(10 + number, Act::Exported, named("reference", "AZ 12"));
    }
    let export = Export {
        format: Export::FORMAT.to_owned(),
        preservation,
        party: "alpha".to_owned(),
        exported_at_ms: 9 + exports,
        by: "key".to_owned(),
        basis: basis("an investigation"),
        manifest_sha256: digest(&manifest),
        custody_entries: 2 + exports as u64,
        custody_sha256: digest(custody.as_bytes()),
    };
    let export = export.to_bytes();
    let signed = |bytes: &[u8]| signature_line(&signer.sign(bytes));
    let mut files = vec![(Manifest::FILE.to_owned(), manifest.clone())];
    files.push((Manifest::SIGNATURE_FILE.to_owned(), signed(&manifest)));
    files.extend(kept.map(|(name, bytes)| (name.to_owned(), bytes)));
    files.push((Export::CUSTODY_FILE.to_owned(), custody.into_bytes()));
    files.push((Export::FILE.to_owned(), export.clone()));
    files.push((Export::SIGNATURE_FILE.to_owned(), signed(&export)));
    files
}

fn packed(files: &Files) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, bytes) in files {
        archive.extend(header(name, bytes.len() as u64).unwrap());
        archive.extend(bytes);
        archive.extend(vec![0; padding(bytes.len() as u64)]);
    }
    archive.extend([0; END_BYTES]);
    archive
}

fn verified(archive: &[u8], piece: usize) -> Result<Verified, ArchiveFault> {
    let mut verifier = Verifier::new(signer().public());
    for piece in archive.chunks(piece) {
        verifier.take(piece)?;
    }
    verifier.finish()
}

#[test]
fn an_archive_goes_on_from_an_earlier_one_whose_custody_is_the_beginning_of_its_own() {
    let of = |number, exports| verified(&packed(&files(number, exports)), 512).unwrap();
    let earlier = of(1, 2);
    for exports in [2, 3, 9] {
        assert_eq!(of(1, exports).goes_on_from(&earlier), Ok(()), "{exports}");
    }
    let faults = [
        // Its end was taken away; and another entry stands there.
        of(1, 1).goes_on_from(&earlier),
        of(2, 2).goes_on_from(&earlier),
        {
            let mut cut = of(1, 3);
            cut.custody[3].detail = named("reference", "AZ 13");
            cut.goes_on_from(&of(1, 2)).and(cut.goes_on_from(&of(1, 3)))
        },
    ];
    for fault in faults {
        assert!(matches!(fault, Err(ArchiveFault::Earlier(_))), "{fault:?}");
    }
}

#[test]
fn what_was_exported_is_believed_in_pieces_of_any_length() {
    let archive = packed(&files(7, 2));
    for piece in [1, 3, 511, 512, 513, archive.len()] {
        let verified = verified(&archive, piece).unwrap();
        assert_eq!((verified.manifest.files.len(), verified.custody.len()), (3, 4));
        assert_eq!(verified.export.preservation, PreservationId(7));
    }
}

#[test]
fn an_archive_is_a_tar_as_others_read_it() {
    let files = files(7, 1);
    let archive = packed(&files);
    let mut at = 0;
    for (name, bytes) in &files {
        let block = &archive[at..at + BLOCK_BYTES];
        // As POSIX.1-1988 lays a header out.
        assert_eq!(&block[..name.len()], name.as_bytes());
        let size = std::str::from_utf8(&block[124..135]).unwrap();
        assert_eq!(u64::from_str_radix(size, 8).unwrap(), bytes.len() as u64);
        let told = std::str::from_utf8(&block[148..154]).unwrap();
        let sum = block.iter().enumerate();
        let sum = sum.map(|(place, byte)| {
            if (148..156).contains(&place) {
                32
            } else {
                u32::from(*byte)
            }
        });
        assert_eq!(u32::from_str_radix(told, 8).unwrap(), sum.sum::<u32>());
        at += BLOCK_BYTES + bytes.len() + padding(bytes.len() as u64);
    }
    assert_eq!(at + END_BYTES, archive.len());
    for (name, bytes) in [("a/b", 1), ("", 1), ("a", 1 << 33)] {
        assert_eq!(header(name, bytes), None, "{name:?} of {bytes}");
    }
}

#[test]
fn every_changed_byte_is_found() {
    let archive = packed(&files(7, 1));
    let mut undetected = Vec::new();
    for at in 0..archive.len() {
        // Bit 5 is that of upper and lower case.
        let mut changed = archive.clone();
        changed[at] ^= if at % 2 == 0 { 1 << 5 } else { 1 << (at / 2 % 8) };
        if verified(&changed, changed.len()).is_ok() {
            undetected.push(at);
        }
    }
    assert_eq!(undetected, Vec::<usize>::new(), "of {} bytes", archive.len());
}

#[test]
fn every_cut_and_every_block_taken_away_or_doubled_is_found() {
    let archive = packed(&files(7, 1));
    let lengths = (0..archive.len()).filter(|length| length % 37 == 0 || (length + 1) % BLOCK_BYTES < 3);
    for length in lengths {
        assert!(verified(&archive[..length], BLOCK_BYTES).is_err(), "cut at {length}");
    }
    let mut longer = archive.clone();
    longer.push(0);
    assert_eq!(verified(&longer, longer.len()), Err(ArchiveFault::Behind));
    let blocks: Vec<&[u8]> = archive.chunks(BLOCK_BYTES).collect();
    for number in 0..blocks.len() {
        let mut without = blocks.clone();
        without.remove(number);
        assert!(
            verified(&without.concat(), BLOCK_BYTES).is_err(),
            "without block {number}"
        );
        let mut doubled = blocks.clone();
        doubled.insert(number, blocks[number]);
        assert!(
            verified(&doubled.concat(), BLOCK_BYTES).is_err(),
            "twice block {number}"
        );
    }
}

#[test]
fn files_that_are_taken_away_added_swapped_or_of_another_export_are_found() {
    let (own, other, later) = (files(7, 1), files(8, 1), files(7, 2));
    for number in 0..own.len() {
        let mut without = own.clone();
        without.remove(number);
        assert!(
            verified(&packed(&without), BLOCK_BYTES).is_err(),
            "without {}",
            own[number].0
        );
        let mut added = own.clone();
        added.insert(number, ("note.txt".to_owned(), b"added".to_vec()));
        assert!(verified(&packed(&added), BLOCK_BYTES).is_err(), "added before {number}");
        for with in number + 1..own.len() {
            let mut moved = own.clone();
            moved.swap(number, with);
            assert!(
                verified(&packed(&moved), BLOCK_BYTES).is_err(),
                "{number} and {with} moved"
            );
            // Each under the other's name.
            let mut swapped = own.clone();
            (swapped[number].1, swapped[with].1) = (own[with].1.clone(), own[number].1.clone());
            assert!(
                verified(&packed(&swapped), BLOCK_BYTES).is_err(),
                "{number} and {with} swapped"
            );
        }
        for foreign in [&other, &later] {
            let mut mixed = own.clone();
            mixed[number] = foreign[number].clone();
            let is_same = mixed[number] == own[number];
            assert_eq!(
                verified(&packed(&mixed), BLOCK_BYTES).is_ok(),
                is_same,
                "{}",
                own[number].0
            );
        }
    }
    let last = ("note.txt".to_owned(), b"added".to_vec());
    let added: Files = own.iter().cloned().chain([last]).collect();
    assert!(verified(&packed(&added), BLOCK_BYTES).is_err());
}

#[test]
fn a_chain_of_custody_that_was_cut_or_is_signed_by_another_is_found() {
    let own = files(7, 2);
    let place = own.iter().position(|(name, _)| name == Export::CUSTODY_FILE).unwrap();
    let lines: Vec<&[u8]> = own[place].1.split_inclusive(|byte| *byte == b'\n').collect();
    for number in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(number);
        let mut changed = own.clone();
        changed[place].1 = without.concat();
        assert!(
            verified(&packed(&changed), BLOCK_BYTES).is_err(),
            "without entry {number}"
        );
    }
    // Whoever signs the export anew with the same key still cannot leave an entry out.
    let mut changed = own.clone();
    changed[place].1 = lines[..lines.len() - 1].concat();
    let mut export = Export::from_bytes(&own[place + 1].1).unwrap();
    export.custody_sha256 = digest(&changed[place].1);
    changed[place + 1].1 = export.to_bytes();
    changed[place + 2].1 = signature_line(&signer().sign(&export.to_bytes()));
    let refused = ArchiveFault::Parts("the chain of custody was cut");
    assert_eq!(verified(&packed(&changed), BLOCK_BYTES), Err(refused));
    let mut verifier = Verifier::new(Signer::from_seed(&[1; 32]).public());
    let refused = verifier.take(&packed(&own));
    assert_eq!(refused, Err(ArchiveFault::Signature(Manifest::SIGNATURE_FILE)));
    assert!(
        verifier.take(&[]).is_err() && verifier.finish().is_err(),
        "it stays refused"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever bytes come, they are refused without a panic.
    #[test]
    fn other_bytes_are_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..3_000),
        at in 0_usize..4_000,
        piece in 1_usize..700,
    ) {
        prop_assert!(verified(&bytes, piece).is_err());
        let mut archive = packed(&files(7, 1));
        let at = at.min(archive.len());
        let end = (at + bytes.len()).min(archive.len());
        if archive[at..end] != bytes[..end - at] {
            archive[at..end].copy_from_slice(&bytes[..end - at]);
            prop_assert!(verified(&archive, piece).is_err());
        }
    }
}
