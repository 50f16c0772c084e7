//! Compiles the migrations in: of each database a list of versions, descriptions and texts, in order. `sqlx::migrate!` would do so too, and for it the
//! libraries of both databases would be built once more, for the compiler.

use std::fmt::Write as _;
use std::io::{Error, Result};
use std::path::Path;

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=migrations");
    let mut lists = String::new();
    for database in ["sqlite", "postgres"] {
        let mut files = Path::new("migrations")
            .join(database)
            .read_dir()?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<String>>>()?;
        files.sort();
        let name = database.to_uppercase();
        lists += &format!("static {name}_MIGRATIONS: &[Embedded] = &[\n");
        for file in files {
            let text = std::fs::read_to_string(Path::new("migrations").join(database).join(&file))?;
            if text.starts_with("-- no-transaction") || file.ends_with(".up.sql") || file.ends_with(".down.sql") {
                return Err(Error::other(format!(
                    "{file}: migrations go forward, each in one transaction"
                )));
            }
            let (version, description) = file
                .strip_suffix(".sql")
                .and_then(|stem| stem.split_once('_'))
                .and_then(|(version, rest)| Some((version.parse::<i64>().ok()?, rest.replace('_', " "))))
                .ok_or_else(|| Error::other(format!("{file} is not called <version>_<description>.sql")))?;
            writeln!(
                lists,
                "    Embedded {{ version: {version}, description: {description:?}, text: include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/migrations/{database}/{file}\")) }},"
            )
            .map_err(Error::other)?;
        }
        lists += "];\n";
    }
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| Error::other("cargo names a directory"))?;
    std::fs::write(Path::new(&out).join("migrations.rs"), lists)
}
