//! Any bytes under the magic and a right checksum: what is taken for a block gives as many sightings as it says, and packs again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin_wire::block::{BlockReader, BlockWriter, SightingNames};

fuzz_target!(|bytes: &[u8]| {
    let mut scratch = Vec::new();
    let _ = BlockReader::new(bytes, &mut scratch);
    let Some((body, _)) = bytes.split_last_chunk::<8>() else {
        return;
    };
    let mut sealed = body.to_vec();
    sealed.extend_from_slice(&tocsin_wire::block::checksum(body).to_le_bytes());
    let Ok(block) = BlockReader::new(&sealed, &mut scratch) else {
        return;
    };
    let sightings: Vec<_> = block.sightings().collect();
    assert_eq!(sightings.len(), block.len());
    let names = block.names();
    let mut writer = BlockWriter::new(block.key_epoch());
    let other = "unnamed".parse().expect("a name");
    for sighting in &sightings {
        let party = names.parties.get(&sighting.party).unwrap_or(&other);
        let platform = names.platforms.get(&sighting.platform).unwrap_or(&other);
        if writer.push(sighting, SightingNames { party, platform }).is_err() {
            return;
        }
    }
    let mut again = Vec::new();
    writer.finish(&mut again);
    let mut scratch = Vec::new();
    let again = BlockReader::new(&again, &mut scratch).expect("what was packed is a block");
    assert!(again.sightings().eq(sightings));
});
