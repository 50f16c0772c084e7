//! Goal: the later layer wins, every key that is not known is refused by its path, and no secret is printed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Example {
    http: Http,
    log: Log,
}

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Http {
    listen: String,
    body_bytes_max: u64,
    partitions: Option<u16>,
    networks: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Log {
    kind: Kind,
    url: String,
    properties: BTreeMap<String, String>,
    copies: Vec<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Embedded,
    Kafka,
}

impl Default for Http {
    fn default() -> Self {
        Http {
            listen: "127.0.0.1:8340".into(),
            body_bytes_max: 1_048_576,
            partitions: None,
            networks: Vec::new(),
        }
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
}

fn read(toml: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded<Example>, ConfigError> {
    let file = file(toml);
    let sources = Sources {
        file: Some(file.path().to_owned()),
        environment: pairs(environment),
        flags: pairs(flags),
    };
    load(&sources, |config: &Example| {
        Refusal::outside("http.body_bytes_max", config.http.body_bytes_max, 1_024..=16_777_216)
            .into_iter()
            .collect()
    })
}

fn refused(toml: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    read(toml, environment, flags).unwrap_err().to_string()
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(read("", &[], &[]).unwrap().config, Example::default());
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let toml = "[http]\nlisten = 'file:1'\nbody_bytes_max = 2000\n";
    let listen = |environment: &[_], flags: &[_]| read(toml, environment, flags).unwrap().config.http.listen;
    assert_eq!(listen(&[], &[]), "file:1");
    assert_eq!(listen(&[("TOCSIN_HTTP__LISTEN", "env:2")], &[]), "env:2");
    assert_eq!(
        listen(&[("TOCSIN_HTTP__LISTEN", "env:2")], &[("http.listen", "flag:3")]),
        "flag:3"
    );
    let http = read(toml, &[], &[]).unwrap().config.http;
    assert_eq!(http.body_bytes_max, 2000);
}

#[test]
fn text_of_the_environment_takes_the_type_of_its_key() {
    let environment = [
        ("TOCSIN_HTTP__BODY_BYTES_MAX", "4096"),
        ("TOCSIN_HTTP__PARTITIONS", "16"),
        ("TOCSIN_HTTP__NETWORKS", "10.0.0.0/8, ::1"),
        ("TOCSIN_LOG__KIND", "kafka"),
        ("TOCSIN_LOG__PROPERTIES__SECURITY_PROTOCOL", "ssl"),
    ];
    let config = read("", &environment, &[]).unwrap().config;
    assert_eq!(config.http.body_bytes_max, 4096);
    assert_eq!(config.http.partitions, Some(16));
    assert_eq!(config.http.networks, ["10.0.0.0/8", "::1"]);
    assert_eq!(config.log.kind, Kind::Kafka);
    assert_eq!(config.log.properties["security.protocol"], "ssl");
}

#[test]
fn unknown_keys_are_refused_with_their_path_from_every_layer() {
    assert!(refused("[http]\nlisen = 'x'\n", &[], &[]).contains("http.lisen (file): unknown key; known here are"));
    assert!(refused("[htp]\nlisten = 'x'\n", &[], &[]).contains("htp.listen (file): unknown key"));
    let from_environment = refused("", &[("TOCSIN_HTTP__LISEN", "x")], &[]);
    assert!(from_environment.contains("http.lisen (environment TOCSIN_HTTP__LISEN): unknown key"));
    assert!(refused("", &[], &[("http.lisen", "x")]).contains("http.lisen (flag): unknown key"));
    assert!(refused("http = 3\n", &[], &[]).contains("http (file): unknown key"));
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let told = refused("[http]\na = 1\nb = 2\n", &[("TOCSIN_C__D", "x")], &[]);
    assert_eq!(told.lines().count(), 4, "{told}");
}

#[test]
fn variables_that_kubernetes_injects_are_no_keys() {
    let environment = [
        ("TOCSIN_GATEWAY_PORT", "tcp://10.0.0.1:80"),
        ("TOCSIN_CONFIG", "x"),
        ("PATH", "/bin"),
    ];
    assert!(read("", &environment, &[]).is_ok());
}

#[test]
fn wrong_types_and_values_name_the_key_and_its_origin() {
    assert!(
        refused("[http]\nbody_bytes_max = 'many'\n", &[], &[]).contains("http.body_bytes_max (file): invalid type")
    );
    assert!(refused("[log]\nkind = 'pulsar'\n", &[], &[]).contains("log.kind (file): unknown variant `pulsar`"));
    let out_of_range = refused("", &[("TOCSIN_HTTP__BODY_BYTES_MAX", "7")], &[]);
    assert!(
        out_of_range.contains("7 is not within 1024 to 16777216"),
        "{out_of_range}"
    );
    let not_a_number = refused("", &[("TOCSIN_HTTP__BODY_BYTES_MAX", "x")], &[]);
    assert!(not_a_number.contains("a number is wanted"), "{not_a_number}");
}

#[test]
fn a_file_that_is_absent_or_broken_is_an_error() {
    let sources = Sources {
        file: Some("/nonexistent/tocsin.toml".into()),
        ..Sources::default()
    };
    let absent = load::<Example>(&sources, |_| Vec::new());
    assert!(matches!(absent, Err(ConfigError::ReadFile { .. })));
    assert!(matches!(read("[http\n", &[], &[]), Err(ConfigError::ParseFile { .. })));
}

#[test]
fn secrets_come_from_files_and_are_never_printed() {
    let secret = file("hunter2\n");
    let path = secret.path().to_str().unwrap();
    let toml = format!("[log]\nurl_file = '{path}'\n[log.properties]\n\"sasl.username\" = 'tocsin'\n");
    let environment = [("TOCSIN_LOG__PROPERTIES__SASL_PASSWORD_FILE", path)];
    let loaded = read(&toml, &environment, &[]).unwrap();
    assert_eq!(loaded.config.log.url, "hunter2");
    assert_eq!(loaded.config.log.properties["sasl.password"], "hunter2");
    let printed = loaded.print();
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(
        printed.contains("properties.\"sasl.username\" = \"tocsin\"  # file"),
        "{printed}"
    );

    let absent = refused("[log]\nurl_file = '/nonexistent/secret'\n", &[], &[]);
    assert!(
        absent.contains("log.url_file (file): /nonexistent/secret cannot be read"),
        "{absent}"
    );
}

#[test]
fn passwords_in_urls_and_properties_are_masked_and_the_print_is_toml() {
    let environment = [("TOCSIN_LOG__PROPERTIES__SASL_PASSWORD", "hunter2")];
    let toml = "[log]\nurl = 'postgres://tocsin:hunter2@db/tocsin?x=1'\n";
    let printed = read(toml, &environment, &[]).unwrap().print();
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("postgres://tocsin:***@db/tocsin?x=1"), "{printed}");
    let again: toml::Table = toml::from_str(&printed).unwrap();
    assert_eq!(again["http"]["listen"].as_str(), Some("127.0.0.1:8340"));
}

#[test]
fn an_array_of_tables_is_read_and_printed_as_toml_with_its_secrets_masked() {
    let toml = "[log]\nurl = 'a'\n[[log.copies]]\nurl = 'https://tocsin:hunter2@a.example'\ntoken = 'hunter2'\n[[log.copies]]\n'x.y' = 'z'\n";
    let loaded = read(toml, &[], &[]).unwrap();
    assert_eq!(loaded.config.log.copies[1]["x.y"], "z");
    let printed = loaded.print();
    assert!(!printed.contains("hunter2"), "{printed}");
    let again: toml::Table = toml::from_str(&printed).unwrap();
    let copies = again["log"]["copies"].as_array().unwrap();
    assert_eq!(copies[0]["url"].as_str(), Some("https://tocsin:***@a.example"));
    assert_eq!(copies[1]["x.y"].as_str(), Some("z"));
}
