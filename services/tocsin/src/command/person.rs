use anyhow::Result;
use clap::{Args, Subcommand};
use tocsin_casework::Team;
use tocsin_model::{KeyId, Name};
use tocsin_store::{KeySubject, Role, Store};

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
    /// Revoke the key of a person: what they hold goes back to the queue at once.
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

async fn key_of(store: &Store, subject: KeySubject, name: &Name) -> Result<KeyId> {
    let keys = store.list_keys(subject).await?;
    let valid = keys.into_iter().filter(|key| key.revoked_at.is_none());
    let key = valid.into_iter().find(|key| key.person.as_ref() == Some(name));
    key.map(|key| key.id)
        .ok_or_else(|| anyhow::anyhow!("{name} has no valid key in this team"))
}
