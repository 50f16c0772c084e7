//! A process that serves: log and store, the roles it runs, and the one HTTP port they share.

mod certificates;
mod drilled;
mod open;
mod start;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::routing::get;
use axum::{Json, Router};
use clap::ValueEnum;
use prometheus::Registry;
use tocsin_log::SharedLog;
use tocsin_model::DeploymentKey;
use tocsin_runtime::tls::Tls;
use tocsin_runtime::{ConfigError, MemoryPressure, Readiness, Roles, Shutdown, http, telemetry};
use tocsin_store::Store;
use utoipa::openapi::OpenApi;

use crate::config::Config;
use crate::topics::{refuse_on_the_way, specs};

pub(crate) use drilled::DRILL_HEADER;
pub use open::{FirstStart, deployment_key, open_log, open_store};
pub(crate) use open::{make_private, prepared_store_url};
pub use start::detector_setup;

/// How long roles may take to drain and commit after they were asked to stop.
pub const DRAIN_MAX: Duration = Duration::from_secs(45);

/// Where the description of the API is served.
pub const OPENAPI_PATH: &str = "/v1/openapi.json";

/// A part of Tocsin that can be a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Events over HTTP.
    Gateway,
    /// From ingest topics to sightings.
    Intake,
    /// From sightings to state and alerts.
    Detector,
    /// From alerts to cases, and decisions back.
    Dispatcher,
    /// Figures for readers.
    Query,
}

/// A process in the making, and then at work.
pub struct Process {
    /// The configuration it was started with.
    pub config: Config,
    /// The log.
    pub log: SharedLog,
    /// The casework store, if a role of this process needs it.
    pub store: Option<Store>,
    /// The secret that ids derive from.
    pub deployment_key: DeploymentKey,
    /// Where all roles count.
    pub registry: Registry,
    /// What all roles must have reached.
    pub readiness: Readiness,
    /// Whether the process is short of memory.
    pub memory: MemoryPressure,
    /// The tasks and threads.
    pub roles: Roles,
    router: Router,
}

impl Role {
    /// All roles, in the order in which they start: those that are read from before those that read.
    pub const ALL: [Role; 5] = [
        Role::Dispatcher,
        Role::Query,
        Role::Detector,
        Role::Intake,
        Role::Gateway,
    ];

    /// Whether it uses the casework store: parties, keys, cases.
    pub fn needs_store(self) -> bool {
        matches!(self, Role::Gateway | Role::Dispatcher | Role::Query)
    }
}

impl Process {
    /// Opens what the roles stand on, and starts them. No port is bound yet.
    ///
    /// # Errors
    /// Log or store cannot be opened, or a role cannot start.
    pub async fn start(
        config: Config,
        deployment_key: DeploymentKey,
        roles: &[Role],
        shutdown: Shutdown,
    ) -> anyhow::Result<Process> {
        if let Some(refusal) = config.memory_refusal(roles) {
            return Err(ConfigError::Refused(vec![refusal]).into());
        }
        let log = open_log(&config).context("open the log")?;
        refuse_on_the_way(log.as_ref())?;
        // A process that is the whole deployment makes its topics; roles by themselves find them made by `tocsin topics apply`.
        if Role::ALL.iter().all(|role| roles.contains(role)) {
            log.ensure_topics(&specs(config.sightings_partitions()))
                .context("make the topics")?;
        }
        let store = match roles.iter().any(|role| role.needs_store()) {
            true => Some(
                open::open_serving_store(&config, roles)
                    .await
                    .context("open the store")?,
            ),
            false => None,
        };
        let (registry, mut threads) = (telemetry::registry(), Roles::new(shutdown));
        let memory = config
            .memory
            .watch(&registry, &mut threads)
            .context("watch the memory")?;
        let mut process = Process {
            config,
            log,
            store,
            deployment_key,
            registry,
            readiness: Readiness::new(),
            memory,
            roles: threads,
            router: Router::new(),
        };
        for role in Role::ALL.into_iter().filter(|role| roles.contains(role)) {
            start::start(&mut process, role)
                .await
                .with_context(|| format!("start the {role:?} role"))?;
        }
        Ok(process)
    }

    /// Binds the port and serves, over TLS where that is configured. Returns the address, which matters when the port asked for was 0.
    ///
    /// # Errors
    /// The port cannot be bound, or the certificates cannot be used.
    pub async fn listen(&mut self) -> anyhow::Result<SocketAddr> {
        let listen = self.config.http.listen.clone();
        let tls = self.tls()?;
        let listener = tokio::net::TcpListener::bind(&listen)
            .await
            .with_context(|| format!("listen on {listen}"))?;
        let address = listener.local_addr().context("ask for the port")?;
        let description = description();
        let router = self
            .routes()?
            .route(OPENAPI_PATH, get(async move || Json(description)))
            .merge(http::operations(self.registry.clone(), self.readiness.clone()));
        let router = match self.config.drill {
            Some(drill) => drilled::marked(http::whole(router), drill),
            None => http::whole(router),
        };
        let shutdown = self.roles.shutdown().clone();
        match tls {
            None => self.roles.spawn_task("http", async move {
                http::serve_whole(listener, router, shutdown).await;
                Ok(())
            }),
            Some(tls) => self.roles.spawn_task("http", async move {
                http::serve_tls(listener, tls, router, shutdown).await;
                Ok(())
            }),
        }
        tracing::info!(tls = self.config.http.tls.is_on(), %address, "listening");
        Ok(address)
    }

    fn tls(&self) -> anyhow::Result<Option<Tls>> {
        let config = &self.config.http.tls;
        if !config.is_on() {
            return Ok(None);
        }
        let tls = Tls::open(config, &self.registry).context("read the certificates of http.tls")?;
        Ok(Some(tls))
    }

    /// The routes of the roles. Where client certificates are asked for, one that was shown speaks as its key to all of them.
    fn routes(&mut self) -> anyhow::Result<Router> {
        let router = std::mem::take(&mut self.router);
        let store = self
            .store
            .clone()
            .filter(|_| self.config.http.tls.asks_for_certificates());
        let Some(store) = store else { return Ok(router) };
        let certificates = certificates::Certificates::new(store, &self.registry)?;
        let accept = axum::middleware::from_fn_with_state(certificates, certificates::accept_certificate);
        Ok(router.layer(accept))
    }

    /// Waits until the process is asked to stop or a role fails, lets all roles drain, and closes log and store.
    ///
    /// # Errors
    /// A role failed, or did not stop in time.
    pub async fn join(self) -> anyhow::Result<()> {
        let joined = self.roles.join(DRAIN_MAX).await;
        if let Some(store) = self.store {
            store.close().await;
        }
        drop(self.log);
        Ok(joined?)
    }

    /// Adds routes to the port of this process.
    fn add_routes(&mut self, router: Router) {
        self.router = std::mem::take(&mut self.router).merge(router);
    }
}

/// The description of the API of all roles, as `schemas/openapi.json` holds it. Every process serves the whole, whatever roles it runs.
pub fn description() -> OpenApi {
    let mut description = base_description();
    for part in start::descriptions() {
        description.merge(part);
    }
    describe_sessions(&mut description);
    describe_certificates(&mut description);
    description
}

/// Says of every route that takes a key that it takes a session as well, and of every command that one with a cookie is taken from pages of this origin.
fn describe_sessions(description: &mut OpenApi) {
    use utoipa::openapi::path::Operation;
    use utoipa::openapi::security::SecurityRequirement;
    use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};
    let by_key = SecurityRequirement::new("api_key", [""; 0]);
    let by_session = SecurityRequirement::new("session", [""; 0]);
    let tell = |operation: &mut Operation, is_command: bool| {
        let Some(security) = operation.security.as_mut().filter(|all| all.contains(&by_key)) else {
            return;
        };
        if !security.contains(&by_session) {
            security.push(by_session.clone());
        }
        if !is_command {
            return;
        }
        let refused = operation.responses.responses.entry("403".to_owned());
        let refused = refused.or_insert_with(|| {
            let problem = Content::new(Some(Ref::from_schema_name("Problem")));
            let response = ResponseBuilder::new().content("application/problem+json", problem);
            RefOr::T(response.build())
        });
        if let RefOr::T(response) = refused
            && !response.description.contains("this origin")
        {
            let before = match response.description.as_str() {
                "" => String::new(),
                before => format!("{before}; "),
            };
            response.description =
                format!("{before}with a cookie also `cross_site`: no page of this origin asks for it");
        }
    };
    for (path, item) in &mut description.paths.paths {
        // The gateway takes no cookie.
        if path == "/v1/events" {
            continue;
        }
        for operation in [&mut item.get, &mut item.head].into_iter().flatten() {
            tell(operation, false);
        }
        for operation in [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete]
            .into_iter()
            .flatten()
        {
            tell(operation, true);
        }
    }
}

/// Says of every route that takes a key that it takes a client certificate as well.
fn describe_certificates(description: &mut OpenApi) {
    use utoipa::openapi::path::Operation;
    use utoipa::openapi::security::SecurityRequirement;
    let by_key = SecurityRequirement::new("api_key", [""; 0]);
    for item in description.paths.paths.values_mut() {
        let operations: [&mut Option<Operation>; 6] = [
            &mut item.get,
            &mut item.head,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            let security = operation.security.as_mut().filter(|all| all.contains(&by_key));
            if let Some(security) = security {
                security.push(SecurityRequirement::new("client_certificate", [""; 0]));
            }
        }
    }
}

fn base_description() -> OpenApi {
    use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
    use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApiBuilder, PathsBuilder};
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An API key, as `tocsin party add` shows it once; or the token of a person's session.",
        ))
        .build();
    let session = ApiKeyValue::with_description(
        tocsin_runtime::session_cookie::SESSION_COOKIE,
        "The session of a person who signed in. It is taken wherever a key is, but for `POST /v1/events`; with commands for pages of this origin alone.",
    );
    let certificate = SecurityScheme::MutualTls {
        description: Some(
            "A client certificate that `tocsin key certificate add` bound to a machine's key, where the process ends TLS itself and asks for one. With a key beside it, \
             both are of the same. `401` then also is `certificate_unbound`: it is bound to no valid key; and `certificate_mismatch`: it is bound to another key."
                .to_owned(),
        ),
        extensions: None,
    };
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Tocsin")
                .version("1")
                .description(Some(
                    "An alarm bell for content that begins to spread. Errors are problem documents (RFC 9457) with a stable `code`.",
                ))
                .build(),
        )
        .paths(PathsBuilder::new().build())
        .components(Some(
            ComponentsBuilder::new()
                .security_scheme("api_key", SecurityScheme::Http(bearer))
                .security_scheme("client_certificate", certificate)
                .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)))
                .build(),
        ))
        .build()
}

#[cfg(test)]
mod tests;
