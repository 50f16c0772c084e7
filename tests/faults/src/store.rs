//! The casework store's server, on which every round has a database of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::process::Command;

/// A PostgreSQL server. It is stopped when it is dropped.
#[derive(Debug)]
pub struct Server {
    root: PathBuf,
    data: PathBuf,
    url: String,
}

impl Server {
    /// Starts one with its data in `data`.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(root: &Path, data: &Path) -> Result<Server> {
        let mut command = Command::new(root.join("tests/tools/postgres"));
        command
            .arg("start")
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let status = command.status().await.context("run tests/tools/postgres")?;
        ensure!(status.success(), "PostgreSQL does not start");
        let url = std::fs::read_to_string(data.join("url")).context("read its URL")?;
        Ok(Server {
            root: root.to_owned(),
            data: data.to_owned(),
            url: url.trim().to_owned(),
        })
    }

    /// The URL of a new database.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn database(&self) -> Result<String> {
        let name = format!("tocsin_faults_{:032x}", rand::random::<u128>());
        let mut connection = PgConnection::connect(&self.url).await.context("reach PostgreSQL")?;
        let make = format!("CREATE DATABASE {name}");
        connection.execute(make.as_str()).await.context("make a database")?;
        let (authority, _) = self.url.rsplit_once('/').context("a URL ends in a database")?;
        Ok(format!("{authority}/{name}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut command = std::process::Command::new(self.root.join("tests/tools/postgres"));
        let stopped = command.arg("stop").arg(&self.data).status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("the PostgreSQL of {} was not stopped", self.data.display());
        }
    }
}
