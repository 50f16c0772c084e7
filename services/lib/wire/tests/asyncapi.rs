//! The AsyncAPI document in the repository is the one that the declaration makes. Regenerate it with `TOCSIN_REGENERATE=1`.

use std::path::Path;

#[test]
fn the_document_is_up_to_date() -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../schemas/asyncapi.json");
    let made = serde_json::to_string_pretty(&tocsin_wire::topics::asyncapi())? + "\n";
    if std::env::var_os("TOCSIN_REGENERATE").is_some() {
        std::fs::write(&path, &made)?;
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == made,
        "schemas/asyncapi.json is out of date: run TOCSIN_REGENERATE=1 cargo test -p tocsin-wire --test asyncapi"
    );
    Ok(())
}
