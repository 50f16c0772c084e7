use anyhow::{Result, ensure};
use clap::Subcommand;
use tocsin_casework::{OnReupload, ToolAddress};
use tocsin_model::Name;
use tocsin_store::{InReports, InResearch, KeySubject, PartyKind};

use super::key::{RoleArgument, show_new_key};
use crate::config::Config;
use crate::serve::open_store;

/// The parties that publish.
#[derive(Debug, Subcommand)]
pub enum PartyCommand {
    /// Add a party with its platforms, or one that does research, and show an API key for it, once.
    Add {
        /// Its name: 1 to 48 of a-z, 0-9, '-' and '_'. Part of its ingest topic, and never given to another.
        name: Name,
        /// platforms: it publishes what happens on them. research: it has none, reads the daily aggregates, and is told of nothing else.
        #[arg(long, value_enum, default_value_t = KindArgument::Platforms)]
        kind: KindArgument,
        /// A platform of the party. Repeat for more than one.
        #[arg(
            long = "platform",
            required_unless_present = "kind",
            required_if_eq("kind", "platforms")
        )]
        platforms: Vec<Name>,
        /// What the key may do. Repeat for more than one; publisher, reader and moderator by default, of research researcher.
        #[arg(long = "role")]
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
    /// Choose what follows when copies come after their removal was confirmed, whether the party is named in reports, and whether it takes part in the daily
    /// aggregates for researchers; without a choice, show what was chosen.
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
        /// named: days that begin from now on tell researchers how many families rang, were decided, removed and so on on the party's platforms, rounded, under
        /// 10 as "<10", by the party's name. absent: they tell nothing of it.
        #[arg(long)]
        in_research: Option<InResearchArgument>,
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

/// What a party is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum KindArgument {
    /// It has platforms.
    Platforms,
    /// It does research.
    Research,
}

/// Whether a party takes part in the daily aggregates for researchers.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum InResearchArgument {
    /// It does, by name, with all days that begin from now on.
    Named,
    /// Nothing is told of it.
    Absent,
}

impl InResearchArgument {
    fn setting(self) -> InResearch {
        match self {
            InResearchArgument::Named => InResearch::Named,
            InResearchArgument::Absent => InResearch::Absent,
        }
    }
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
            PartyCommand::Add {
                name,
                kind,
                platforms,
                roles,
            } => {
                let usual = match kind {
                    KindArgument::Platforms => {
                        &[RoleArgument::Publisher, RoleArgument::Reader, RoleArgument::Moderator][..]
                    }
                    KindArgument::Research => &[RoleArgument::Researcher],
                };
                let roles = RoleArgument::set(if roles.is_empty() { usual } else { roles });
                let party = match kind {
                    KindArgument::Platforms => store.add_party(name, platforms).await?,
                    KindArgument::Research => {
                        ensure!(platforms.is_empty(), "a party that does research has no platforms");
                        ensure!(
                            roles.are_within(RoleArgument::set(&[RoleArgument::Researcher, RoleArgument::Auditor])),
                            "keys of a party that does research have the roles researcher and auditor alone"
                        );
                        store.add_research_party(name).await?
                    }
                };
                eprintln!("Party {name} is added.");
                show_new_key(&store, KeySubject::Party(party.id), roles).await?;
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
                    let has = match party.kind {
                        PartyKind::Platforms => platforms.join(" "),
                        PartyKind::Research => "(research)".to_owned(),
                    };
                    println!("{}  {}  {state}  {has}", party.id.0, party.name);
                }
            }
            PartyCommand::Set {
                name,
                on_reupload,
                in_reports,
                in_research,
            } => {
                let party = store.party_named(name).await?;
                if let Some(setting) = on_reupload {
                    store.set_on_reupload(party.id, setting.setting()).await?;
                }
                if let Some(setting) = in_reports {
                    store.set_in_reports(party.id, setting.setting()).await?;
                }
                if let Some(setting) = in_research {
                    store.set_in_research(party.id, setting.setting()).await?;
                }
                let setting = store.on_reupload(party.id).await?;
                println!("On a re-upload after a confirmed removal, {name}: {}.", setting.name());
                let setting = store.in_reports(party.id).await?;
                println!(
                    "In the coordinators' reports (its part in incidents, and how fast its platforms were), {name}: {}.",
                    setting.name()
                );
                let setting = store.in_research(party.id).await?;
                println!("In the daily aggregates for researchers, {name}: {}.", setting.name());
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

#[cfg(test)]
mod tests {
    //! Goal: a party has platforms unless it does research.

    use clap::Parser as _;

    use crate::command::Arguments;

    #[test]
    fn a_party_has_platforms_unless_it_does_research() {
        for (words, is_read) in [
            (&["add", "north", "--platform", "north-video"][..], true),
            (&["add", "north"], false),
            (&["add", "north", "--kind", "platforms"], false),
            (&["add", "institute", "--kind", "research"], true),
            (
                &["add", "institute", "--kind", "research", "--role", "researcher"],
                true,
            ),
            (&["add", "institute", "--kind", "press"], false),
            (&["set", "north", "--in-research", "named"], true),
            (&["set", "north", "--in-research", "pooled"], false),
        ] {
            let read = Arguments::try_parse_from(["tocsin", "party"].iter().chain(words));
            assert_eq!(read.is_ok(), is_read, "{words:?}");
        }
    }
}
