use anyhow::Result;
use clap::Subcommand;
use tocsin_casework::{OnReupload, ToolAddress};
use tocsin_model::Name;
use tocsin_store::{InReports, KeySubject};

use super::key::{RoleArgument, show_new_key};
use crate::config::Config;
use crate::serve::open_store;

/// The parties that publish.
#[derive(Debug, Subcommand)]
pub enum PartyCommand {
    /// Add a party with its platforms, and show an API key for it, once.
    Add {
        /// Its name: 1 to 48 of a-z, 0-9, '-' and '_'. Part of its ingest topic, and never given to another.
        name: Name,
        /// A platform of the party. Repeat for more than one.
        #[arg(long = "platform", required = true)]
        platforms: Vec<Name>,
        /// What the key may do. Repeat for more than one.
        #[arg(long = "role", default_values = ["publisher", "reader", "moderator"])]
        roles: Vec<RoleArgument>,
    },
    /// Say where a platform's people look at contents in the platform's own tool: cases of its party link to it.
    Tool {
        /// The platform.
        platform: Name,
        /// The address, with {hash}, {algorithm}, {family} or {case} where they belong; links to no tool any more if it is left out.
        address: Option<ToolAddress>,
    },
    /// List the parties.
    List,
    /// Choose what follows when copies come after their removal was confirmed, and whether the party is named in reports; without a choice, show what
    /// was chosen.
    Set {
        /// Its name.
        name: Name,
        /// reopen: the case comes back, and a person decides. recommend: the same recommendation goes out again, marked automated, for members that
        /// are the same by a hash or by a picture of at most 31 bits' distance; of others a person is asked.
        #[arg(long)]
        on_reupload: Option<OnReuploadArgument>,
        /// named: the coordinators' reports tell of its part in incidents, and how fast its platforms were. unnamed: they tell nothing of it.
        #[arg(long)]
        in_reports: Option<InReportsArgument>,
    },
    /// Revoke a party: its keys stop working.
    Revoke {
        /// Its name.
        name: Name,
    },
}

/// What follows when copies come again.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum OnReuploadArgument {
    /// The case comes back, and a person decides.
    Reopen,
    /// The same recommendation goes out again where members came closely.
    Recommend,
}

/// Whether a party is named in reports.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum InReportsArgument {
    /// It is named among those who took part in incidents, and its platforms by how fast they were.
    Named,
    /// Nothing is told of it.
    Unnamed,
}

impl InReportsArgument {
    fn setting(self) -> InReports {
        match self {
            InReportsArgument::Named => InReports::Named,
            InReportsArgument::Unnamed => InReports::Unnamed,
        }
    }
}

impl OnReuploadArgument {
    fn setting(self) -> OnReupload {
        match self {
            OnReuploadArgument::Reopen => OnReupload::Reopen,
            OnReuploadArgument::Recommend => OnReupload::Recommend,
        }
    }
}

impl PartyCommand {
    pub async fn run(&self, config: &Config) -> Result<()> {
        let store = open_store(config).await?;
        match self {
            PartyCommand::Add { name, platforms, roles } => {
                let party = store.add_party(name, platforms).await?;
                eprintln!("Party {name} is added.");
                show_new_key(&store, KeySubject::Party(party.id), RoleArgument::set(roles)).await?;
            }
            PartyCommand::Tool { platform, address } => {
                store.set_tool(platform, address.as_ref()).await?;
                match address {
                    Some(address) => println!("Cases link {platform} to {address}"),
                    None => println!("Cases link {platform} to no tool."),
                }
            }
            PartyCommand::List => {
                for party in store.list_parties().await? {
                    let platforms: Vec<&str> = party.platforms.iter().map(|(_, name)| name.as_str()).collect();
                    let state = if party.revoked_at.is_some() {
                        "revoked"
                    } else {
                        "active"
                    };
                    println!("{}  {}  {state}  {}", party.id.0, party.name, platforms.join(" "));
                }
            }
            PartyCommand::Set {
                name,
                on_reupload,
                in_reports,
            } => {
                let party = store.party_named(name).await?;
                if let Some(setting) = on_reupload {
                    store.set_on_reupload(party.id, setting.setting()).await?;
                }
                if let Some(setting) = in_reports {
                    store.set_in_reports(party.id, setting.setting()).await?;
                }
                let setting = store.on_reupload(party.id).await?;
                println!("On a re-upload after a confirmed removal, {name}: {}.", setting.name());
                let setting = store.in_reports(party.id).await?;
                println!(
                    "In the coordinators' reports (its part in incidents, and how fast its platforms were), {name}: {}.",
                    setting.name()
                );
            }
            PartyCommand::Revoke { name } => {
                let party = store.party_named(name).await?;
                store.revoke_party(party.id).await?;
                println!("Party {name} is revoked.");
            }
        }
        store.close().await;
        Ok(())
    }
}
