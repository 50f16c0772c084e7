//! Goal: a whole process over its one port, from an empty data directory to a second start; and the description of its API.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn config(directory: &std::path::Path) -> Config {
    let mut config = Config::default();
    config.log.data_dir = directory.join("data");
    config.http.listen = "127.0.0.1:0".to_owned();
    config
}

async fn start(config: Config) -> anyhow::Result<Process> {
    let (key, _) = deployment_key(&config)?;
    Process::start(config, key, &Role::ALL, Shutdown::new()).await
}

#[test]
fn the_key_is_made_once_and_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let (first, first_start) = deployment_key(&config).unwrap();
    assert_eq!(first_start, FirstStart::Yes);
    let (second, second_start) = deployment_key(&config).unwrap();
    assert_eq!(second_start, FirstStart::No);
    assert_eq!(first.digest("test", &[]), second.digest("test", &[]));
    let path = config.log.data_dir.join("deployment.key");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&config.log.data_dir), 0o700);

    std::fs::write(&path, "not a key").unwrap();
    assert!(
        deployment_key(&config)
            .unwrap_err()
            .to_string()
            .contains("holds no key")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_roles_share_one_port_and_stop_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = start(config(directory.path())).await.unwrap();
    let address = process.listen().await.unwrap();
    let text = async |path: &str| {
        let response = reqwest::get(format!("http://{address}{path}")).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(text("/healthz").await.0, 200);
    assert!(text("/metrics").await.1.contains("process_resident_memory_bytes"));
    let (_, served) = text(OPENAPI_PATH).await;
    assert!(served.contains("\"/v1/events\""));
    assert_eq!(text("/v1/unknown").await.0, 404);

    // The log of a running process is refused to a second one.
    let second = start(config(directory.path())).await;
    assert!(format!("{:#}", second.err().unwrap()).contains("in use by another process"));

    process.roles.shutdown().request();
    process.join().await.unwrap();
    start(config(directory.path())).await.unwrap();
}

#[test]
fn the_description_in_the_repository_is_the_one_of_the_code() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi.json");
    let current = description().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("TOCSIN_REGENERATE").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == current,
        "schemas/openapi.json is out of date: run TOCSIN_REGENERATE=1 cargo test -p tocsin"
    );
}
