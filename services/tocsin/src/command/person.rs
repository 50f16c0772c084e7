use std::net::SocketAddr;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use tocsin_casework::Team;
use tocsin_model::{KeyId, Name};
use tocsin_store::{Account, KeySubject, LinkPurpose, Role, Store};

use super::key::{RoleArgument, tell_new_key};
use crate::config::Config;
use crate::serve::open_store;

/// The people of a team, each with a key of their own.
#[derive(Debug, Subcommand)]
pub enum PersonCommand {
    /// Issue a key to a person. It is shown once; only its hash is kept.
    Add {
        /// Their name in the team: 1 to 48 of a-z, 0-9, '-', '_', a letter or digit first.
        name: Name,
        #[command(flatten)]
        team: TeamArguments,
        /// What they may do. Repeat for more than one; a moderator by default.
        #[arg(long = "role", default_value = "moderator")]
        roles: Vec<RoleArgument>,
    },
    /// List the people of a team.
    List {
        #[command(flatten)]
        team: TeamArguments,
    },
    /// Print a link that signs a person in, in a browser: good once and for ten minutes. An earlier one is good no more.
    Link {
        /// Their name in the team.
        name: Name,
        #[command(flatten)]
        team: TeamArguments,
    },
    /// Print an invitation: whoever signs in at the OpenID provider with it is this person from then on. Good once and for a day.
    Invite {
        /// Their name in the team.
        name: Name,
        #[command(flatten)]
        team: TeamArguments,
    },
    /// Bind an account of the OpenID provider to a person: whoever signs in with it is them.
    Bind {
        /// Their name in the team.
        name: Name,
        #[command(flatten)]
        team: TeamArguments,
        /// What the provider calls them for ever, the `sub` of its ID tokens. Never an address of e-mail.
        #[arg(long)]
        subject: String,
        /// The provider; the configured one by default.
        #[arg(long)]
        issuer: Option<String>,
    },
    /// Take all accounts of providers from a person, and end their sessions and links.
    Unbind {
        /// Their name in the team.
        name: Name,
        #[command(flatten)]
        team: TeamArguments,
    },
    /// Revoke the key of a person: what they hold goes back to the queue at once, and their sessions end.
    Revoke {
        /// Their name in the team.
        name: Name,
        #[command(flatten)]
        team: TeamArguments,
    },
}

/// Whose queue they work on.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct TeamArguments {
    /// A party's.
    #[arg(long)]
    party: Option<Name>,
    /// The coordinators'.
    #[arg(long)]
    coordinators: bool,
}

impl TeamArguments {
    /// The team.
    ///
    /// # Errors
    /// There is no such party, or the store does not answer.
    pub(super) async fn team(&self, store: &Store) -> Result<Team> {
        Ok(match &self.party {
            Some(name) => Team::Party(store.party_named(name).await?.id),
            None => Team::Coordinators,
        })
    }

    async fn resolve(&self, store: &Store) -> Result<KeySubject> {
        Ok(match &self.party {
            Some(name) => KeySubject::Party(store.party_named(name).await?.id),
            None => KeySubject::Coordinators,
        })
    }
}

impl PersonCommand {
    pub async fn run(&self, config: &Config) -> Result<()> {
        let store = open_store(config).await?;
        match self {
            PersonCommand::Add { name, team, roles } => {
                let (subject, roles) = (team.resolve(&store).await?, RoleArgument::set(roles));
                let issued = store.issue_key_to(subject, roles, name).await?;
                tell_new_key(&issued, roles);
            }
            PersonCommand::List { team } => {
                for key in store.list_keys(team.resolve(&store).await?).await? {
                    let Some(person) = key.person else { continue };
                    let roles: Vec<&str> = key.roles.iter().map(Role::name).collect();
                    let state = if key.revoked_at.is_some() { "revoked" } else { "valid" };
                    println!(
                        "{}  {state:<7}  {:<20}  {}",
                        key.id,
                        person.to_string(),
                        roles.join(" ")
                    );
                }
            }
            PersonCommand::Link { name, team } => {
                let here = base(config)?;
                let key = key_of(&store, team.resolve(&store).await?, name).await?;
                let link = store.issue_link(key, LinkPurpose::SignIn).await?;
                eprintln!("Good once and for ten minutes, for {name}:");
                println!("{here}/v1/sign-in/link?link={}", link.expose());
            }
            PersonCommand::Invite { name, team } => {
                if config.dispatcher.sign_in.issuer.is_empty() {
                    bail!("dispatcher.sign_in.issuer names no OpenID provider: `tocsin person link` needs none");
                }
                let here = base(config)?;
                let key = key_of(&store, team.resolve(&store).await?, name).await?;
                let link = store.issue_link(key, LinkPurpose::Invitation).await?;
                eprintln!(
                    "Good once and for a day, for {name} alone: whoever signs in with it is {name} from then on:"
                );
                println!("{here}/v1/sign-in?invitation={}", link.expose());
            }
            PersonCommand::Bind {
                name,
                team,
                subject,
                issuer,
            } => {
                let key = key_of(&store, team.resolve(&store).await?, name).await?;
                let issuer = issuer.as_ref().unwrap_or(&config.dispatcher.sign_in.issuer);
                let account = Account::new(issuer, subject)?;
                store.bind_account(key, &account).await?;
                println!("Whoever signs in as {subject} at {issuer} is {name}.");
            }
            PersonCommand::Unbind { name, team } => {
                let key = key_of(&store, team.resolve(&store).await?, name).await?;
                let unbound = store.unbind_accounts(key).await?;
                println!("{unbound} accounts are taken from {name}, and their sessions are over.");
            }
            PersonCommand::Revoke { name, team } => {
                let id = key_of(&store, team.resolve(&store).await?, name).await?;
                store.revoke_key(id).await?;
                println!("The key {id} of {name} is revoked.");
            }
        }
        store.close().await;
        Ok(())
    }
}

/// Where browsers reach this deployment and keep its cookies, which they do over TLS and on this machine alone.
fn base(config: &Config) -> Result<String> {
    let sign_in = &config.dispatcher.sign_in;
    if !sign_in.public_url.is_empty() {
        return Ok(sign_in.public(""));
    }
    let listen: SocketAddr = config.http.listen.parse()?;
    if !listen.ip().is_loopback() || listen.port() == 0 {
        bail!("dispatcher.sign_in.public_url does not say where browsers reach this deployment, over TLS");
    }
    Ok(format!("{}://{listen}", config.http.scheme()))
}

async fn key_of(store: &Store, subject: KeySubject, name: &Name) -> Result<KeyId> {
    let keys = store.list_keys(subject).await?;
    let valid = keys.into_iter().filter(|key| key.revoked_at.is_none());
    let key = valid.into_iter().find(|key| key.person.as_ref() == Some(name));
    key.map(|key| key.id)
        .ok_or_else(|| anyhow::anyhow!("{name} has no valid key in this team"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_is_printed_that_cannot_work() {
        let mut config = Config::default();
        for (listen, public_url, wanted) in [
            ("127.0.0.1:8340", "", Some("http://127.0.0.1:8340")),
            ("[::1]:8340", "", Some("http://[::1]:8340")),
            ("0.0.0.0:8340", "", None),
            ("10.0.0.1:8340", "", None),
            ("127.0.0.1:0", "", None),
            ("0.0.0.0:8340", "https://bell.example/", Some("https://bell.example")),
        ] {
            config.http.listen = listen.to_owned();
            config.dispatcher.sign_in.public_url = public_url.to_owned();
            assert_eq!(base(&config).ok().as_deref(), wanted, "{listen}");
        }
        (config.http.listen, config.dispatcher.sign_in.public_url) = ("127.0.0.1:8340".to_owned(), String::new());
        config.http.tls.certificate = "server.pem".into();
        assert_eq!(base(&config).unwrap(), "https://127.0.0.1:8340");
    }
}
