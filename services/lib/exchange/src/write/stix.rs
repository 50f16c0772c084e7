//! STIX 2.1 (OASIS standard, 10 June 2021): an indicator for a hash, and a sighting of it with when it was seen first and last and how often.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
use tocsin_model::{Algorithm, ContentHash, Timestamp};
use uuid::Uuid;

/// Who may be told: the marks of section 7.2.1.4, whose ids are fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlpMark {
    /// Nobody but those it is given to.
    Red,
    /// Those it is given to and whom they need.
    Amber,
    /// The community.
    Green,
    /// Everybody.
    White,
}

/// What was seen of one hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighted<'a> {
    /// Which.
    pub hash: &'a ContentHash,
    /// First.
    pub first_seen: Timestamp,
    /// Last.
    pub last_seen: Timestamp,
    /// How often; at most [`COUNT_MAX`] is said.
    pub count: u64,
    /// How that is to be understood.
    pub about_count: &'a str,
    /// The ids of the identities at which it was seen; at least one.
    pub seen_at: &'a [String],
}

/// The largest count of a sighting (section 5.2).
const COUNT_MAX: u64 = 999_999_999;

impl TlpMark {
    /// The mark of this name.
    pub fn from_name(name: &str) -> Option<TlpMark> {
        match name {
            "red" => Some(TlpMark::Red),
            "amber" => Some(TlpMark::Amber),
            "green" => Some(TlpMark::Green),
            "white" | "clear" => Some(TlpMark::White),
            _ => None,
        }
    }

    fn id(self) -> &'static str {
        match self {
            TlpMark::Red => "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
            TlpMark::Amber => "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
            TlpMark::Green => "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
            TlpMark::White => "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
        }
    }
}

/// The beginning of a bundle; objects follow, with commas in between, and [`bundle_end`]. So a bundle of any length is written in little memory.
pub fn bundle_begin(of: &str) -> String {
    format!(
        "{{\"type\": \"bundle\", \"id\": \"{}\", \"objects\": [\n",
        id("bundle", &[of])
    )
}

/// The end of a bundle.
pub fn bundle_end() -> &'static str {
    "\n]}\n"
}

/// Who says something, or where something was seen. The same name always has the same id.
pub fn identity(name: &str, class: &str, created: Timestamp) -> Value {
    json!({
        "type": "identity",
        "spec_version": "2.1",
        "id": id("identity", &[class, name]),
        "created": utc(created),
        "modified": utc(created),
        "name": name,
        "identity_class": class,
    })
}

/// As [`indicator`], with an id that it has in `list` alone: revoking it there revokes what no other list says of the hash. An object that was revoked
/// once gets no further version (section 3.2).
pub fn indicator_in(
    list: &str,
    hash: &ContentHash,
    listed_at: Timestamp,
    by_and_tlp: (&str, TlpMark),
) -> Option<Value> {
    let mut object = indicator(hash, listed_at, by_and_tlp)?;
    object["id"] = id("indicator", &[list, hash.algorithm().name(), &hash.value_text()]).into();
    Some(object)
}

/// What is looked for: a hash, as a pattern. `None`: there is no pattern for its kind.
pub fn indicator(hash: &ContentHash, listed_at: Timestamp, (by, tlp): (&str, TlpMark)) -> Option<Value> {
    Some(json!({
        "type": "indicator",
        "spec_version": "2.1",
        "id": indicator_id(hash),
        "created_by_ref": by,
        "created": utc(listed_at),
        "modified": utc(listed_at),
        "name": format!("{} {}", hash.algorithm().name(), hash.value_text()),
        "indicator_types": ["malicious-activity"],
        "pattern": pattern(hash)?,
        "pattern_type": "stix",
        "valid_from": utc(listed_at),
        "object_marking_refs": [tlp.id()],
    }))
}

/// That it was seen. The same hash has the same id in every bundle of one speaker, so a later sighting is a newer version of it.
pub fn sighting(seen: &Sighted<'_>, (by, tlp): (&str, TlpMark)) -> Value {
    // A source's clock may have run ahead.
    let last_seen = seen.last_seen.max(seen.first_seen);
    json!({
        "type": "sighting",
        "spec_version": "2.1",
        "id": id("sighting", &[by, &indicator_id(seen.hash)]),
        "created_by_ref": by,
        "created": utc(seen.first_seen),
        "modified": utc(last_seen),
        "description": seen.about_count,
        "first_seen": utc(seen.first_seen),
        "last_seen": utc(last_seen),
        "count": seen.count.min(COUNT_MAX),
        "sighting_of_ref": indicator_id(seen.hash),
        "where_sighted_refs": seen.seen_at,
        "summary": true,
        "object_marking_refs": [tlp.id()],
    })
}

/// Section 9 (STIX patterning). PDQ stands in no vocabulary of hashes; the vocabulary is open.
fn pattern(hash: &ContentHash) -> Option<String> {
    let text = hash.value_text();
    match hash.algorithm() {
        Algorithm::Sha256 => Some(format!("[file:hashes.'SHA-256' = '{text}']")),
        Algorithm::Md5 => Some(format!("[file:hashes.MD5 = '{text}']")),
        Algorithm::Pdq => Some(format!("[file:hashes.PDQ = '{text}']")),
        Algorithm::Url => {
            let text = text.replace('\\', "\\\\").replace('\'', "\\'");
            Some(format!("[url:value = '{text}']"))
        }
        Algorithm::Vpdq => None,
    }
}

fn indicator_id(hash: &ContentHash) -> String {
    id("indicator", &[hash.algorithm().name(), &hash.value_text()])
}

/// An id that follows from what it names: a UUID of version 8 (RFC 9562) made of SHA-256.
fn id(kind: &str, of: &[&str]) -> String {
    let mut digest = Sha256::new_with_prefix(kind);
    for part in of {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    let id = uuid::Builder::from_custom_bytes(bytes).into_uuid();
    format!("{kind}--{}", Uuid::hyphenated(id))
}

/// RFC 3339 with three digits of the second, as section 3.2 has it.
fn utc(at: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let nanoseconds = i128::from(at.0) * 1_000_000;
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // Times of before 1970 or behind the year 9999 come from nobody.
    at.format(&format)
        .unwrap_or_else(|_| "1970-01-01T00:00:00.000Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_patterns_escaped() {
        let hash = |algorithm, text: &str| ContentHash::parse(algorithm, text, None).unwrap();
        let url = hash(Algorithm::Url, "https://example.org/it's\\x");
        assert_eq!(
            pattern(&url).unwrap(),
            "[url:value = 'https://example.org/it\\'s\\\\x']"
        );
        let md5 = hash(Algorithm::Md5, &"ab".repeat(16));
        let speaker = identity("north", "organization", Timestamp(0));
        let by = (speaker["id"].as_str().unwrap(), TlpMark::Amber);
        let [one, two] = [1, 2].map(|at| indicator(&md5, Timestamp(at), by).unwrap());
        assert_eq!(
            (&one["id"], &one["valid_from"]),
            (&two["id"], &"1970-01-01T00:00:00.001Z".into())
        );
        let seen_at = [by.0.to_owned()];
        let seen = Sighted {
            hash: &md5,
            first_seen: Timestamp(1_767_225_600_500),
            last_seen: Timestamp(1_767_225_600_000),
            count: u64::MAX,
            about_count: "at least",
            seen_at: &seen_at,
        };
        let seen = sighting(&seen, by);
        assert_eq!(seen["sighting_of_ref"], one["id"]);
        assert_eq!(
            (&seen["count"], &seen["last_seen"]),
            (&COUNT_MAX.into(), &"2026-01-01T00:00:00.500Z".into())
        );
        assert_ne!(indicator_id(&url), indicator_id(&md5));
        assert_eq!(pattern(&hash(Algorithm::Vpdq, &"ab".repeat(32))), None);
    }
}
