//! House rules as tests: what a reviewer would otherwise have to see each time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Beyond this many lines a file holds a second idea.
const LINES_MAX: usize = 500;

/// What a decision record has.
const DECISION_SECTIONS: [&str; 4] = ["Context", "Decision", "Consequences", "Date"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is in the repository")
        .to_owned()
}

/// Every file that is or could be committed, as its path from the root.
fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8(listed.stdout)
        .expect("paths are text")
        .split_terminator('\0')
        .filter(|path| root().join(path).is_file())
        .map(str::to_owned)
        .collect()
}

/// The text of a file; `None` when it is binary.
fn text(path: &str) -> Option<String> {
    String::from_utf8(fs::read(root().join(path)).expect("a listed file is there")).ok()
}

/// The lines of all text files that `is_wrong` finds wrong.
fn wrong_lines(of: impl Fn(&str) -> bool, is_wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for path in files().into_iter().filter(|path| of(path)) {
        for (index, line) in text(&path).unwrap_or_default().lines().enumerate() {
            if is_wrong(line) {
                found.push(format!("{path}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    found
}

fn check(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// Files whose purpose is to name what is forbidden elsewhere.
fn names_the_rule(path: &str) -> bool {
    path == "tests/tests/hygiene.rs"
}

#[test]
fn the_map_mentions_every_crate() {
    let map = text("services/ARCHITECTURE.md").expect("the map is text");
    let missing = files()
        .into_iter()
        .filter_map(|path| path.strip_suffix("/Cargo.toml").map(str::to_owned))
        .filter(|room| !map.contains(&format!("`{room}`")))
        .collect();
    check(missing, "services/ARCHITECTURE.md does not mention these crates");
}

#[test]
fn the_map_names_files_that_exist() {
    let map = text("services/ARCHITECTURE.md").expect("the map is text");
    let known: BTreeSet<String> = files().into_iter().collect();
    let missing = map
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|quoted| quoted.contains('/') && (quoted.ends_with(".rs") || quoted.ends_with(".toml")))
        .filter(|quoted| !known.contains(*quoted))
        .map(str::to_owned)
        .collect();
    check(missing, "services/ARCHITECTURE.md names files that do not exist");
}

#[test]
fn no_path_of_one_machine_is_committed() {
    let places = ["/home/", "/root/", "/work/", "/Users/", "C:\\Users"];
    let found = wrong_lines(
        |path| !names_the_rule(path),
        |line| places.iter().any(|place| starts_a_path(line, place)),
    );
    check(found, "paths of one machine");
}

/// Whether `place` begins a path in `line`, rather than standing inside a longer one (`$root/work/`) or an address.
fn starts_a_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "_-.}*]/\\>)".contains(c))
    })
}

#[test]
fn no_registry_host_is_committed() {
    let hosts = [
        "crates.io",
        "pypi.org",
        "pythonhosted.org",
        "registry.npmjs.org",
        "proxy.golang.org",
        "repo.maven.apache.org",
        "repo1.maven.org",
        "deb.debian.org",
        "docker.io",
        "ghcr.io",
        "gcr.io",
        "quay.io",
    ];
    // Cargo itself writes the name of its registry into every lock file.
    let found = wrong_lines(
        |path| !names_the_rule(path) && !path.ends_with("Cargo.lock"),
        |line| hosts.iter().any(|host| line.contains(host)),
    );
    check(
        found,
        "hosts of package registries: name a package, and let the client know where it comes from",
    );
}

#[test]
fn every_decision_record_is_whole() {
    let mut found = Vec::new();
    let mut records = 0;
    for path in files() {
        if !path.starts_with("services/decisions/") || !path.ends_with(".md") {
            continue;
        }
        records += 1;
        let record = text(&path).expect("a record is text");
        for section in DECISION_SECTIONS {
            let heading = record
                .lines()
                .any(|line| line.trim_start_matches(['#', '*', ' ']).starts_with(section));
            if !heading {
                found.push(format!("{path}: no {section}"));
            }
        }
    }
    check(found, "decision records lack sections");
    assert!(records > 0, "there are no decision records");
}

#[test]
fn no_file_holds_two_ideas() {
    let mut found = Vec::new();
    for path in files().into_iter().filter(|path| path.ends_with(".rs")) {
        let lines = text(&path).expect("Rust is text").lines().count();
        if lines > LINES_MAX {
            found.push(format!("{path}: {lines} lines"));
        }
    }
    check(found, "files over 500 lines");
}

#[test]
fn no_test_sleeps() {
    let sleeps = ["thread::sleep(", "time::sleep(", "sleep_ms("];
    let mut found = Vec::new();
    for path in files() {
        if !path.ends_with(".rs") || names_the_rule(&path) {
            continue;
        }
        let source = text(&path).expect("Rust is text");
        let is_test_file = path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs");
        let first_test_line = match source.lines().position(|line| line.trim() == "#[cfg(test)]") {
            _ if is_test_file => 0,
            Some(line) => line,
            None => continue,
        };
        for (index, line) in source.lines().enumerate().skip(first_test_line) {
            // A pause between two looks at a condition is what waiting is made of; its line says which condition.
            if sleeps.iter().any(|sleep| line.contains(sleep)) && !line.contains("// poll:") {
                found.push(format!("{path}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    check(
        found,
        "tests wait for a condition with a timeout, never for a while (a pause of a polling loop says `// poll: what`)",
    );
}

#[test]
fn no_plan_is_left_in_the_code() {
    let marks = ["TODO", "FIXME", "XXX", "HACK"];
    let found = wrong_lines(
        |path| (path.ends_with(".rs") || path.ends_with(".md") || path.ends_with(".toml")) && !names_the_rule(path),
        |line| {
            line.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| marks.contains(&word))
        },
    );
    check(found, "plans belong to issues");
}

#[test]
fn every_crate_takes_lints_and_versions_from_the_workspace() {
    let mut found = Vec::new();
    for path in files() {
        if !path.ends_with("/Cargo.toml") || path.starts_with("tests/fuzz/") {
            continue;
        }
        let manifest = text(&path).expect("a manifest is text");
        if !manifest.contains("[lints]\nworkspace = true") {
            found.push(format!("{path}: lints are not the workspace's"));
        }
        let mut in_dependencies = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            } else if in_dependencies && line.contains('=') && !line.contains("workspace = true") {
                found.push(format!("{path}: {line}: versions stand in the workspace's table"));
            }
        }
    }
    check(found, "manifests");
}

#[test]
fn services_do_not_know_each_other() {
    let services = ["gateway", "intake", "detector", "dispatcher", "query"];
    let mut found = Vec::new();
    for service in services {
        let manifest = text(&format!("services/{service}/Cargo.toml")).expect("a manifest is text");
        let production = manifest
            .split("[dev-dependencies]")
            .next()
            .expect("a split has a first part");
        for other in services.iter().filter(|other| **other != service) {
            if production.contains(&format!("tocsin-{other}")) {
                found.push(format!("services/{service} depends on {other}"));
            }
        }
    }
    check(found, "services meet in schemas/, not in each other");
}

#[test]
fn no_example_stands_in_a_comment() {
    let found = wrong_lines(
        |path| path.ends_with(".rs") && !names_the_rule(path),
        |line| {
            let comment = line.trim_start();
            ["///", "//!"]
                .iter()
                .filter_map(|mark| comment.strip_prefix(mark))
                .any(|text| text.trim_start().starts_with("```"))
        },
    );
    check(
        found,
        "examples are tests: tests/stages/unit runs none that stands in a comment",
    );
}

#[test]
fn each_role_uses_the_topics_that_it_is_declared_for() {
    use tocsin_wire::topics;
    let names = [
        ("topics::SIGHTINGS", topics::SIGHTINGS),
        ("topics::STATE", topics::STATE),
        ("topics::CHECKPOINTS", topics::CHECKPOINTS),
        ("topics::ALERTS", topics::ALERTS),
        ("topics::REJECTS", topics::REJECTS),
        ("topics::DECISIONS", topics::DECISIONS),
        ("topics::FAMILIES", topics::FAMILIES),
        ("topics::PARTIES", topics::PARTIES),
        ("topics::POPULATIONS", topics::POPULATIONS),
        ("topics::INTAKE", topics::INTAKE),
        // The dispatcher makes the ingest topics, by `topics::ingest`; it neither reads nor writes them.
        ("topics::INGEST_PREFIX", "tocsin.ingest.<party>"),
        ("topics::ingest_name", "tocsin.ingest.<party>"),
        ("topics::deliveries", "tocsin.deliveries.<party>"),
    ];
    let mut found = Vec::new();
    for role in ["gateway", "intake", "detector", "dispatcher", "query"] {
        let declared: BTreeSet<&str> = topics::declared()
            .iter()
            .filter(|topic| topic.writers.iter().chain(&topic.readers).any(|who| who == role))
            .map(|topic| topic.name.as_str())
            .collect();
        let room = format!("services/{role}/src/");
        let mut used = BTreeSet::new();
        for path in files() {
            if !path.starts_with(&room) || path.contains("/tests/") || path.ends_with("/tests.rs") {
                continue;
            }
            let source = text(&path).expect("Rust is text");
            let production = source.split("#[cfg(test)]").next().unwrap_or_default();
            used.extend(
                names
                    .iter()
                    .filter(|(name, _)| production.contains(name))
                    .map(|(_, topic)| *topic),
            );
        }
        if used != declared {
            found.push(format!("{role}: uses {used:?}, is declared for {declared:?}"));
        }
    }
    check(found, "writers and readers in schemas/topics.toml");
}

#[test]
fn scripts_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let found = files()
        .into_iter()
        .filter(|path| text(path).is_some_and(|content| content.starts_with("#!/")))
        .filter(|path| {
            let mode = fs::metadata(root().join(path))
                .expect("a listed file is there")
                .permissions()
                .mode();
            mode & 0o111 == 0
        })
        .collect();
    check(found, "these begin with #! and cannot be executed");
}
