//! The test vectors of identifiers hold for this code, and the Python of `schemas/README.md` verifies the account pseudonyms.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tocsin_model::*;

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../schemas")
}

/// HMAC (RFC 2104) with SHA-256, truncated: what a platform does, not something Tocsin ever does. `deploy/producers` has the same in the
/// languages of platforms, each held to the same vectors.
fn pseudonym(key: &[u8], account_id: &str) -> [u8; 16] {
    let mut block = [0u8; 64];
    if key.len() <= block.len() {
        block[..key.len()].copy_from_slice(key);
    } else {
        block[..32].copy_from_slice(&Sha256::digest(key));
    }
    let inner = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x36))
        .chain_update(account_id);
    let outer = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x5c))
        .chain_update(inner.finalize());
    outer.finalize()[..16].try_into().unwrap()
}

fn made() -> Value {
    let key_bytes: [u8; 32] = std::array::from_fn(|index| index as u8);
    let key = DeploymentKey::from_bytes(key_bytes);
    let hashes = [
        (
            Algorithm::Sha256,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (Algorithm::Md5, "d41d8cd98f00b204e9800998ecf8427e"),
        (
            Algorithm::Pdq,
            "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22",
        ),
        (
            Algorithm::Vpdq,
            "0000000000000000000000000000000000000000000000000000000000000001",
        ),
        (Algorithm::Url, "https://example.org/watch?v=1"),
    ];
    let contents: Vec<Value> = hashes
        .iter()
        .map(|(algorithm, text)| {
            let id = key.content_id(&ContentHash::parse(*algorithm, text, None).unwrap());
            json!({"algorithm": algorithm.name(), "value": text, "content_id": id.to_string(), "group": id.group().0})
        })
        .collect();
    let whole_block: [u8; 64] = std::array::from_fn(|index| index as u8);
    let longer = [0xaa; 65];
    let pseudonyms: Vec<Value> = [
        (b"key of epoch 1, 32 bytes long..".as_slice(), "user:1"),
        (b"another epoch", "käthe@example"),
        // Two texts that look the same: an account id is bytes, and nothing is made uniform.
        (b"another epoch", "ka\u{308}the@example"),
        (&key_bytes, "0042"),
        (&key_bytes, "🔔 with \"quotes\", a \\ and a \ttab"),
        (&whole_block, "user:1"),
        (&longer, "user:1"),
    ]
    .iter()
    .map(|(key, account)| {
        let made = pseudonym(key, account);
        json!({"epoch_key": hex::encode(key), "account_id": account, "pseudonym": hex::encode(made)})
    })
    .collect();
    let mut tokens = Vec::new();
    for (epoch, platform) in [(0, 1), (0, 2), (7, 1)] {
        let account = pseudonym(b"key of epoch 1, 32 bytes long..", "user:1");
        let token = key
            .epoch_key(KeyEpoch(epoch))
            .account_token(PlatformId(platform), AccountPseudonym(account));
        tokens.push(json!({
            "epoch": epoch, "platform": platform, "account": hex::encode(account), "token": format!("{:016x}", token.0),
        }));
    }
    json!({
        "deployment_key": hex::encode(key_bytes),
        "contents": contents,
        "account_tokens": tokens,
        "account_pseudonyms": pseudonyms,
    })
}

#[test]
fn vectors_hold() {
    let path = schemas().join("vectors/identifiers.json");
    if std::env::var_os("TOCSIN_REGENERATE").is_some() && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, serde_json::to_string_pretty(&made()).unwrap() + "\n").unwrap();
    }
    let stored: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(stored, made());
}

#[test]
fn hmac_is_that_of_rfc_4231() {
    // Test case 2 of RFC 4231, section 4.3.
    let made = pseudonym(b"Jefe", "what do ya want for nothing?");
    assert_eq!(hex::encode(made), "5bdcc146bf60754e6a042426089575c7");
    // Test case 6, section 4.7: a key longer than the block of SHA-256.
    let made = pseudonym(&[0xaa; 131], "Test Using Larger Than Block-Size Key - Hash Key First");
    assert_eq!(hex::encode(made), "60e431591ee0b67f0d8a26aacbf5b77f");
}

#[test]
fn the_python_of_the_readme_verifies_the_pseudonyms() {
    let readme = std::fs::read_to_string(schemas().join("README.md")).unwrap();
    let program = readme.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let ran = Command::new("python3")
        .args(["-c", program])
        .arg(schemas().join("vectors/identifiers.json"))
        .output();
    let Ok(output) = ran else {
        eprintln!("skipped: no python3");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "7 account pseudonyms verified\n"
    );
}
