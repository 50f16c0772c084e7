use anyhow::{Context as _, Result};
use tocsin_runtime::{Shutdown, telemetry};

use crate::config::Config;
use crate::serve::{FirstStart, Process, Role, deployment_key};

/// Runs all roles in one process, until it is asked to stop.
pub async fn run(config: Config) -> Result<()> {
    telemetry::start_logging(&config.telemetry);
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("listen for signals")?;
    let (key, first_start) = deployment_key(&config)?;
    let data_dir = config.log.data_dir.display().to_string();
    let scheme = config.http.scheme();
    let mut process = Process::start(config, key, &Role::ALL, shutdown).await?;
    let address = process.listen().await?;

    println!("Tocsin is up on {scheme}://{address}, its data in {data_dir}.");
    if first_start == FirstStart::Yes {
        println!(
            "This is its first start. The deployment key in {data_dir}/deployment.key is permanent: keep a copy of it in a safe place.\n\
             Next, add a party and keep the key it is shown:\n\
             \n    tocsin --data-dir {data_dir} party add example --platform example-video\n\
             \nand publish an event with it:\n\
             \n    curl -H \"Authorization: Bearer $KEY\" -H 'Content-Type: application/json' {scheme}://{address}/v1/events -d \\\n\
             '{{\"event_id\":\"01920000-0000-7000-8000-000000000001\",\"platform\":\"example-video\",\"kind\":\"upload\",\
             \"occurred_at\":\"2026-03-15T13:40:00Z\",\"content\":[{{\"algorithm\":\"url\",\"value\":\"https://example.org/v/1\"}}]}}'\n\
             \nThe API is described at {scheme}://{address}/v1/openapi.json."
        );
    }
    process.join().await
}
