//! Packs as they go out: in the shapes of lists, each signed as a whole.

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::Serialize;
use tocsin_exchange::write::{TlpMark, bundle_begin, bundle_end, identity, indicator_in, local_file_line};
use tocsin_incident::{Incident, Pack, Tlp};
use tocsin_model::DrillId;
use tocsin_store::PackedHash;
use tocsin_wire::document::{HashText, instant};

/// In which shape a pack goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PackForm {
    /// What this is a pack of, and all its hashes with their families: JSON.
    Manifest,
    /// A bundle of STIX 2.1: an indicator for each hash.
    Stix,
    /// Lines of kind and hash, as a `local_file` exchange of the open matcher HMA reads.
    LocalFile,
}

/// A pack and what is needed to write it, inside the scope of a reader.
pub(crate) struct Packed<'a> {
    pub incident: &'a Incident,
    pub pack: &'a Pack,
    pub hashes: &'a [PackedHash],
    /// `all` or `coordinators`: whose hashes these are.
    pub scope: &'static str,
    /// The drill that the incident is of, if it is of one.
    pub drill: Option<DrillId>,
}

/// Bytes and who stands for them.
pub(crate) struct Signed {
    pub bytes: Vec<u8>,
    /// Ed25519 (RFC 8032) over all bytes.
    pub signature: [u8; 64],
    pub public_key: [u8; 32],
}

/// Signs packs.
pub(crate) struct Signer(Ed25519KeyPair);

/// The manifest of a pack. A change of its shape is another `format`.
#[derive(Serialize)]
struct Manifest<'a> {
    format: &'static str,
    incident: String,
    title: &'a str,
    /// The drill that the incident is of: none of these hashes is of anything real.
    #[serde(skip_serializing_if = "Option::is_none")]
    drill: Option<String>,
    tlp: String,
    group: Option<String>,
    pack: u32,
    supersedes: Option<u32>,
    scope: &'static str,
    made_at: Option<String>,
    /// The tombstone: since when none of these hashes is given out any more.
    withdrawn_at: Option<String>,
    hashes: Vec<ManifestHash>,
}

#[derive(Serialize)]
struct ManifestHash {
    #[serde(flatten)]
    hash: HashText,
    family: String,
}

impl PackForm {
    /// The form of this name.
    pub(crate) fn from_name(name: &str) -> Option<PackForm> {
        match name {
            "manifest" => Some(PackForm::Manifest),
            "stix" => Some(PackForm::Stix),
            "local_file" => Some(PackForm::LocalFile),
            _ => None,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            PackForm::Manifest => "application/json",
            PackForm::Stix => "application/stix+json;version=2.1",
            PackForm::LocalFile => "text/plain; charset=utf-8",
        }
    }
}

impl Packed<'_> {
    /// The pack in a shape; the same bytes whenever it is asked for. `None`: the shape cannot say what there is to say: that the pack was withdrawn, or that
    /// it is of a drill.
    pub(crate) fn write(&self, form: PackForm) -> Option<Vec<u8>> {
        match form {
            PackForm::Manifest => Some(self.manifest()),
            PackForm::Stix => Some(self.stix()),
            PackForm::LocalFile if self.pack.withdrawn_at.is_some() || self.drill.is_some() => None,
            PackForm::LocalFile => {
                let lines = self.hashes.iter().filter_map(|packed| local_file_line(&packed.hash));
                Some(
                    lines
                        .flat_map(|line| [line, "\n".to_owned()])
                        .collect::<String>()
                        .into_bytes(),
                )
            }
        }
    }

    fn manifest(&self) -> Vec<u8> {
        let hash = |packed: &PackedHash| ManifestHash {
            hash: HashText::from(&packed.hash),
            family: packed.family.to_string(),
        };
        let manifest = Manifest {
            format: "tocsin-hash-pack/1",
            incident: self.incident.id.to_string(),
            title: &self.incident.title,
            drill: self.drill.map(|drill| drill.to_string()),
            tlp: format!("TLP:{}", self.incident.marking.tlp.label()),
            group: self.incident.marking.group.as_ref().map(ToString::to_string),
            pack: self.pack.number,
            supersedes: self.pack.number.checked_sub(1).filter(|number| *number > 0),
            scope: self.scope,
            made_at: instant(self.pack.made_at),
            withdrawn_at: self.pack.withdrawn_at.and_then(instant),
            hashes: self.hashes.iter().map(hash).collect(),
        };
        serde_json::to_vec(&manifest).expect("text, numbers and lists are always JSON")
    }

    /// An indicator of a pack that was withdrawn is revoked (section 3.2), which is the tombstone of STIX. Each pack has indicators of its own, so that what a
    /// later one goes on giving out is not revoked with them.
    fn stix(&self) -> Vec<u8> {
        let tlp = match self.incident.marking.tlp {
            Tlp::Clear => TlpMark::White,
            Tlp::Green => TlpMark::Green,
            // STIX 2.1 names the colours of TLP 1.0, which has one amber.
            Tlp::Amber | Tlp::AmberStrict => TlpMark::Amber,
            Tlp::Red => TlpMark::Red,
        };
        let speaker = match self.drill {
            Some(drill) => identity(&format!("Tocsin, DRILL {drill}"), "system", self.pack.made_at),
            None => identity("Tocsin", "system", self.pack.made_at),
        };
        let by = speaker["id"].as_str().unwrap_or_default().to_owned();
        let mut objects = vec![speaker.to_string()];
        let list = format!("{} pack {}", self.incident.id, self.pack.number);
        for packed in self.hashes {
            let Some(mut object) = indicator_in(&list, &packed.hash, self.pack.made_at, (&by, tlp)) else {
                continue;
            };
            if let Some(drill) = self.drill {
                let name = object["name"].as_str().unwrap_or_default();
                object["name"] = format!("DRILL {drill}: {name}").into();
                object["labels"] = vec!["drill"].into();
            }
            if let Some(at) = self.pack.withdrawn_at.and_then(instant) {
                object["modified"] = at.into();
                object["revoked"] = true.into();
            }
            objects.push(object.to_string());
        }
        let name = format!("{list} {}", self.scope);
        format!("{}{}{}", bundle_begin(&name), objects.join(",\n"), bundle_end()).into_bytes()
    }
}

impl Signer {
    /// The signer of this seed. `None` never happens with 32 bytes.
    pub(crate) fn new(seed: &[u8; 32]) -> Option<Signer> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Signer)
    }

    pub(crate) fn sign(&self, bytes: Vec<u8>) -> Option<Signed> {
        let signature = self.0.sign(&bytes);
        Some(Signed {
            signature: signature.as_ref().try_into().ok()?,
            public_key: self.0.public_key().as_ref().try_into().ok()?,
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the same pack is always the same bytes, a signature is of exactly them, and a withdrawn pack says so in every shape or is not given out.
    #![allow(clippy::unwrap_used)]

    use ring::signature::{ED25519, UnparsedPublicKey};
    use serde_json::Value;
    use tocsin_casework::Team;
    use tocsin_incident::{By, Declaration, IncidentId, Marking, Origin, ProtocolVersion};
    use tocsin_model::{Algorithm, ContentHash, ContentId, FamilyId, KeyId, Timestamp};

    use super::*;

    fn incident() -> Incident {
        let by = By {
            who: KeyId(1),
            team: Team::Coordinators,
            groups: std::collections::BTreeSet::new(),
            version: None,
        };
        let declaration = Declaration {
            title: "An attack".to_owned(),
            origin: Origin::Hand,
            protocol: ProtocolVersion {
                name: "crisis".to_owned(),
                version: 1,
            },
            marking: Marking::of(Tlp::Amber),
        };
        let at = Timestamp(1_800_000_000_000);
        Incident::declare(IncidentId(1), &by, &declaration, at).unwrap().0
    }

    fn hashes() -> Vec<PackedHash> {
        let packed = |hash: ContentHash| PackedHash {
            hash,
            family: FamilyId(ContentId(5)),
            for_all: true,
        };
        let url = ContentHash::parse(Algorithm::Url, "https://example.org/a", None).unwrap();
        let sha = ContentHash::from_bytes(Algorithm::Sha256, vec![7; 32], None).unwrap();
        vec![packed(sha), packed(url)]
    }

    fn pack(withdrawn_at: Option<Timestamp>) -> Pack {
        Pack {
            number: 2,
            made_at: Timestamp(1_800_000_000_000),
            by: Some(KeyId(1)),
            hashes: 2,
            withdrawn_at,
        }
    }

    #[test]
    fn every_shape_holds_the_hashes_or_says_that_they_are_withdrawn() {
        let (incident, hashes) = (incident(), hashes());
        let written = |withdrawn_at: Option<Timestamp>, form| {
            let pack = pack(withdrawn_at);
            let packed = Packed {
                incident: &incident,
                pack: &pack,
                hashes: &hashes,
                scope: "all",
                drill: None,
            };
            assert_eq!(packed.write(form), packed.write(form));
            packed.write(form).map(|bytes| String::from_utf8(bytes).unwrap())
        };
        let withdrawn = Some(Timestamp(1_800_000_060_000));
        let manifest: Value = serde_json::from_str(&written(None, PackForm::Manifest).unwrap()).unwrap();
        assert_eq!(
            (&manifest["supersedes"], &manifest["tlp"]),
            (&1.into(), &"TLP:AMBER".into())
        );
        assert_eq!(manifest["hashes"][1]["value"], "https://example.org/a");
        assert!(manifest["withdrawn_at"].is_null());
        let tombstone: Value = serde_json::from_str(&written(withdrawn, PackForm::Manifest).unwrap()).unwrap();
        assert_eq!(tombstone["hashes"], manifest["hashes"]);
        assert!(tombstone["withdrawn_at"].is_string());

        let lines = written(None, PackForm::LocalFile).unwrap();
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert_eq!(written(withdrawn, PackForm::LocalFile), None);

        for (withdrawn_at, revoked) in [(None, Value::Null), (withdrawn, true.into())] {
            let bundle: Value = serde_json::from_str(&written(withdrawn_at, PackForm::Stix).unwrap()).unwrap();
            assert_eq!(bundle["objects"].as_array().unwrap().len(), 3);
            assert_eq!(bundle["objects"][1]["revoked"], revoked);
        }
    }

    #[test]
    fn withdrawing_a_pack_revokes_nothing_of_a_later_one() {
        let (incident, hashes) = (incident(), hashes());
        let ids = |number, withdrawn_at| -> Vec<(String, bool)> {
            let pack = Pack {
                number,
                ..pack(withdrawn_at)
            };
            let packed = Packed {
                incident: &incident,
                pack: &pack,
                hashes: &hashes,
                scope: "all",
                drill: None,
            };
            let bundle: Value = serde_json::from_slice(&packed.write(PackForm::Stix).unwrap()).unwrap();
            let objects = bundle["objects"].as_array().unwrap().iter();
            let indicators = objects.filter(|object| object["type"] == "indicator");
            indicators
                .map(|object| (object["id"].as_str().unwrap().to_owned(), object["revoked"] == true))
                .collect()
        };
        let before = ids(2, None);
        let withdrawn = ids(2, Some(Timestamp(1_800_000_060_000)));
        let names = |of: &[(String, bool)]| of.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        assert_eq!(
            names(&before),
            names(&withdrawn),
            "the tombstone names what was given out"
        );
        assert!(withdrawn.iter().all(|(_, revoked)| *revoked));
        let later = names(&ids(3, None));
        assert!(names(&withdrawn).iter().all(|id| !later.contains(id)));
    }

    #[test]
    fn a_signature_is_of_exactly_these_bytes() {
        // RFC 8032, section 7.1, test 1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let seed: [u8; 32] = hex::decode(seed).unwrap().try_into().unwrap();
        let signer = Signer::new(&seed).unwrap();
        let signed = signer.sign(Vec::new()).unwrap();
        assert_eq!(
            hex::encode(signed.public_key),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        assert!(
            hex::encode(signed.signature)
                .starts_with("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")
        );
        let signed = signer.sign(b"a pack".to_vec()).unwrap();
        let key = UnparsedPublicKey::new(&ED25519, signed.public_key);
        assert!(key.verify(b"a pack", &signed.signature).is_ok());
        assert!(key.verify(b"a pacK", &signed.signature).is_err());
    }

    #[test]
    fn a_pack_of_a_drill_says_so_in_each_hash_or_is_not_given_out() {
        let (incident, hashes, pack) = (incident(), hashes(), pack(None));
        let packed = Packed {
            incident: &incident,
            pack: &pack,
            hashes: &hashes,
            scope: "all",
            drill: Some(DrillId(0xab)),
        };
        let read = |form| serde_json::from_slice::<Value>(&packed.write(form).unwrap()).unwrap();
        assert_eq!(read(PackForm::Manifest)["drill"], "000000ab");
        let bundle = read(PackForm::Stix);
        let objects = bundle["objects"].as_array().unwrap();
        assert_eq!(objects[0]["name"], "Tocsin, DRILL 000000ab");
        for indicator in &objects[1..] {
            assert!(
                indicator["name"].as_str().unwrap().starts_with("DRILL 000000ab: "),
                "{indicator}"
            );
            assert_eq!(indicator["labels"], serde_json::json!(["drill"]));
        }
        assert_eq!(objects.len(), 3);
        assert_eq!(packed.write(PackForm::LocalFile), None);
    }
}
