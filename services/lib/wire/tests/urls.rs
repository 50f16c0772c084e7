//! The test vectors of normal URLs hold for this code.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::Value;
use tocsin_model::{Algorithm, ContentHash, normal_url};

#[test]
fn the_vectors_of_urls_hold() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../schemas/vectors/urls.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let urls = vectors["urls"].as_array().unwrap();
    assert!(urls.len() > 30);
    for vector in urls {
        let (given, normal) = (vector["given"].as_str().unwrap(), vector["normal"].as_str());
        assert_eq!(normal_url(given).as_deref(), normal, "{given}");
        let Ok(hash) = ContentHash::parse(Algorithm::Url, given, None) else {
            continue;
        };
        let other = normal.filter(|normal| *normal != given);
        assert_eq!(hash.normal().map(|hash| hash.value_text()).as_deref(), other, "{given}");
    }
    let longest = format!("https://example.com?{}", "a".repeat(ContentHash::URL_LENGTH_MAX - 20));
    let hash = ContentHash::parse(Algorithm::Url, &longest, None).unwrap();
    assert_eq!(hash.normal(), None, "its normal form is one byte too long");
}
