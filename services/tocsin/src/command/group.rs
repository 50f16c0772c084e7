use anyhow::Result;
use clap::Subcommand;
use tocsin_casework::Team;
use tocsin_model::Name;

use super::person::TeamArguments;
use crate::config::Config;
use crate::serve::open_store;

/// Sharing groups: teams that share incidents and notes with each other.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Add a group, without members.
    Add {
        /// Its name: 1 to 48 of a-z, 0-9, '-' and '_'. Never given to another.
        name: Name,
    },
    /// Take a team in.
    Join {
        /// The group.
        name: Name,
        #[command(flatten)]
        team: TeamArguments,
    },
    /// Take a team out. What was shared with the group is not shared with it any more.
    Leave {
        /// The group.
        name: Name,
        #[command(flatten)]
        team: TeamArguments,
    },
    /// List the groups and who is in them.
    List,
}

impl GroupCommand {
    /// Carries it out.
    ///
    /// # Errors
    /// The store refuses it or does not answer.
    pub async fn run(&self, config: &Config) -> Result<()> {
        let store = open_store(config).await?;
        match self {
            GroupCommand::Add { name } => {
                store.add_sharing_group(name).await?;
                println!("The sharing group {name} is added.");
            }
            GroupCommand::Join { name, team } => {
                store
                    .set_sharing_group_member(name, team.team(&store).await?, true)
                    .await?;
                println!("It is in the sharing group {name}.");
            }
            GroupCommand::Leave { name, team } => {
                store
                    .set_sharing_group_member(name, team.team(&store).await?, false)
                    .await?;
                println!("It is not in the sharing group {name}.");
            }
            GroupCommand::List => {
                let parties = store.list_parties().await?;
                for group in store.sharing_groups().await? {
                    let member = |team: &Team| match team {
                        Team::Coordinators => "coordinators".to_owned(),
                        Team::Party(id) => {
                            let party = parties.iter().find(|party| party.id == *id);
                            party.map_or_else(|| format!("party-{}", id.0), |party| party.name.to_string())
                        }
                    };
                    let members: Vec<String> = group.members.iter().map(member).collect();
                    println!("{}  {}", group.name, members.join(" "));
                }
            }
        }
        store.close().await;
        Ok(())
    }
}
