mod certificate;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use tocsin_model::{KeyId, Name};
use tocsin_store::{ApiKey, KeySubject, Role, Roles, Store};

use crate::config::Config;
use crate::serve::open_store;

/// API keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Issue a key. It is shown once; only its hash is kept.
    Add {
        #[command(flatten)]
        subject: SubjectArguments,
        /// What the key may do. Repeat for more than one.
        #[arg(long = "role", required = true)]
        roles: Vec<RoleArgument>,
    },
    /// List keys, without their secrets.
    List {
        #[command(flatten)]
        subject: SubjectArguments,
    },
    /// Revoke a key by its id.
    Revoke {
        /// The 32 digits that `key list` shows.
        id: KeyId,
    },
    /// Client certificates that speak as a machine's key.
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
}

/// Whose key.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct SubjectArguments {
    /// A party.
    #[arg(long)]
    party: Option<Name>,
    /// The coordinators of a crisis.
    #[arg(long)]
    coordinators: bool,
    /// Those who run the deployment.
    #[arg(long)]
    operator: bool,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleArgument {
    /// Publish events.
    Publisher,
    /// Claim and decide cases.
    Moderator,
    /// Read figures, alerts and the queue.
    Reader,
    /// Read the audit chains: of a party or the coordinators their own, of an operator all.
    Auditor,
    /// Read the daily aggregates for researchers, and nothing else.
    Researcher,
}

impl RoleArgument {
    /// The set of these roles.
    pub fn set(roles: &[RoleArgument]) -> Roles {
        let roles: Vec<Role> = roles
            .iter()
            .map(|role| match role {
                RoleArgument::Publisher => Role::Publisher,
                RoleArgument::Moderator => Role::Moderator,
                RoleArgument::Reader => Role::Reader,
                RoleArgument::Auditor => Role::Auditor,
                RoleArgument::Researcher => Role::Researcher,
            })
            .collect();
        Roles::of(&roles)
    }
}

impl SubjectArguments {
    async fn resolve(&self, store: &Store) -> Result<KeySubject> {
        Ok(match &self.party {
            Some(name) => KeySubject::Party(store.party_named(name).await?.id),
            None if self.coordinators => KeySubject::Coordinators,
            None => KeySubject::Operator,
        })
    }
}

impl KeyCommand {
    pub async fn run(&self, config: &Config) -> Result<()> {
        let store = open_store(config).await?;
        match self {
            KeyCommand::Add { subject, roles } => {
                let subject = subject.resolve(&store).await?;
                show_new_key(&store, subject, RoleArgument::set(roles)).await?;
            }
            KeyCommand::List { subject } => {
                for key in store.list_keys(subject.resolve(&store).await?).await? {
                    let roles: Vec<&str> = key.roles.iter().map(Role::name).collect();
                    let state = if key.revoked_at.is_some() { "revoked" } else { "valid" };
                    println!("{}  {state:<7}  {}", key.id, roles.join(" "));
                }
            }
            KeyCommand::Revoke { id } => {
                store.revoke_key(*id).await?;
                println!("The key {id} is revoked.");
            }
            KeyCommand::Certificate(command) => command.run(&store).await?,
        }
        store.close().await;
        Ok(())
    }
}

/// Issues a key and shows it: the key itself on the standard output, alone, and what to know about it beside it.
pub async fn show_new_key(store: &Store, subject: KeySubject, roles: Roles) -> Result<()> {
    tell_new_key(&store.issue_key(subject, roles).await?, roles);
    Ok(())
}

/// Shows a key that was issued.
pub fn tell_new_key((id, key): &(KeyId, ApiKey), roles: Roles) {
    let names: Vec<&str> = roles.iter().map(Role::name).collect();
    eprintln!(
        "Key {id} ({}). It is shown this once; only its hash is kept:",
        names.join(", ")
    );
    println!("{}", key.expose());
}
