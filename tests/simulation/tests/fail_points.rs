//! Goal: every fail-point of the list stands at one place of the code, and the code has none beside the list.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tocsin_failpoint::FailPoint;

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("the folder is there") {
        let path = entry.expect("an entry can be read").path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn the_list_and_the_code_are_the_same() {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
    let mut paths = Vec::new();
    sources(&services, &mut paths);
    let mut reached: BTreeMap<String, usize> = BTreeMap::new();
    for path in paths
        .iter()
        .filter(|path| !path.components().any(|part| part.as_os_str() == "failpoint"))
    {
        let source = std::fs::read_to_string(path).expect("a source is text");
        for call in source.split("reach(FailPoint::").skip(1) {
            let name: String = call.chars().take_while(char::is_ascii_alphanumeric).collect();
            *reached.entry(name).or_default() += 1;
        }
    }
    let listed: BTreeMap<String, usize> = FailPoint::ALL.iter().map(|point| (format!("{point:?}"), 1)).collect();
    assert_eq!(reached, listed, "how often each fail-point stands in services/");
}

#[test]
fn the_environment_ends_a_process_at_the_point_it_names() {
    use std::os::unix::process::ExitStatusExt as _;
    let play = |point: Option<&str>| {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_tocsin-simulation"));
        program.args(["--seeds", "1"]);
        program.envs(point.map(|point| (tocsin_failpoint::VARIABLE, point)));
        program.output().expect("the program starts")
    };
    assert!(play(None).status.success());
    const SIGABRT: i32 = 6;
    let ended = play(Some("unit_committed:3"));
    assert_eq!(ended.status.signal(), Some(SIGABRT), "{ended:?}");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("the process ends at unit_committed"), "{said}");
}

#[test]
fn the_program_itself_is_unarmed() {
    let features = |package: &str| {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.args([
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "normal,features",
            "--package",
            package,
        ]);
        cargo
            .args(["--invert", "tocsin-failpoint"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        let told = cargo.output().expect("cargo starts");
        assert!(told.status.success(), "{told:?}");
        String::from_utf8(told.stdout).expect("a tree is text")
    };
    assert!(
        !features("tocsin").contains("armed"),
        "production builds have empty fail-points"
    );
    assert!(
        features("tocsin-simulation").contains("armed"),
        "the look at it finds what it is for"
    );
}
