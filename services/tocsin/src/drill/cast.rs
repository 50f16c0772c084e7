//! Who takes part in a drill: teams that registered for drills, copied into its store with keys of their own, and parts of the scenario.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tocsin_casework::Team;
use tocsin_loadtest::scenario::ScenarioConfig;
use tocsin_model::{DrillId, Milliseconds, Name, PartyId};
use tocsin_store::{Endpoint, KeySubject, NewEndpoint, PartyRecord, Role, Roles, Store};
use tocsin_wire::topics;

/// How long a secret that is being replaced signs beside the next one in a drill: longer than one lasts.
const FORMER_SECRET_SIGNS: Milliseconds = Milliseconds::from_hours(24);

/// The teams of the deployment that take part, as they are read from its store.
pub(super) struct Invited {
    /// Parties with an endpoint that is registered for drills, by name.
    parties: Vec<PartyRecord>,
    endpoints: Vec<Endpoint>,
    /// People with a valid key, by team; the coordinators' always.
    people: BTreeMap<Team, Vec<(Name, Roles)>>,
}

/// Who plays and who takes part, in the store of the drill.
pub struct Cast {
    /// Who publishes which part of the scenario.
    pub(super) publishers: Vec<Publisher>,
    members: Vec<Member>,
}

/// A key to publish a part of the scenario with.
pub(super) struct Publisher {
    /// The party of the scenario.
    pub plays: Name,
    pub key: String,
}

struct Member {
    /// `None`: the coordinators.
    party: Option<Name>,
    /// The platforms that it has in the drill.
    platforms: Vec<Name>,
    key: String,
    people: Vec<(Name, String)>,
}

/// The keys that are good in a drill alone.
#[derive(Clone, Debug, Serialize)]
pub struct Keys {
    /// Which drill.
    pub drill: String,
    /// Where they are good.
    pub url: String,
    /// Of the coordinators.
    pub coordinators: TeamKeys,
    /// Of each party that takes part.
    pub party: BTreeMap<String, TeamKeys>,
}

/// The keys of one team.
#[derive(Clone, Debug, Serialize)]
pub struct TeamKeys {
    /// The platforms that are the team's in the drill.
    pub platforms: Vec<String>,
    /// The team's own key.
    pub key: String,
    /// One for each of its people, by name.
    pub people: BTreeMap<String, String>,
}

/// Reads who registered. Nothing is written.
pub(super) async fn invited(store: &Store) -> Result<Invited> {
    let endpoints = store.endpoints_for_drills().await?;
    let mut parties = store.list_parties().await?;
    parties.retain(|party| {
        let takes_part = endpoints.iter().any(|endpoint| endpoint.team == Team::Party(party.id));
        takes_part && party.revoked_at.is_none()
    });
    parties.sort_by(|a, b| a.name.cmp(&b.name));
    let mut people = BTreeMap::new();
    people.insert(Team::Coordinators, people_of(store, KeySubject::Coordinators).await?);
    for party in &parties {
        people.insert(
            Team::Party(party.id),
            people_of(store, KeySubject::Party(party.id)).await?,
        );
    }
    Ok(Invited {
        parties,
        endpoints,
        people,
    })
}

async fn people_of(store: &Store, subject: KeySubject) -> Result<Vec<(Name, Roles)>> {
    let keys = store.list_keys(subject).await?;
    let valid = keys.into_iter().filter(|key| key.revoked_at.is_none());
    Ok(valid.filter_map(|key| Some((key.person?, key.roles))).collect())
}

/// Copies those who take part into the drill's store, and gives out the parts of the scenario: a party that is called as one of the scenario's plays that
/// one, the others play what is left, by name; what nobody plays is a party of the drill's own.
pub(super) async fn copy(store: &Store, invited: &Invited, scenario: &ScenarioConfig) -> Result<Cast> {
    let mut parts = BTreeMap::new();
    let names: Vec<&Name> = invited.parties.iter().map(|party| &party.name).collect();
    let of_scenario: Vec<&Name> = scenario.parties.iter().map(|party| &party.name).collect();
    for (part, player) in parts_of(&of_scenario, &names) {
        parts.insert(player.clone(), part.clone());
    }
    let mut publishers = Vec::new();
    let mut members = vec![
        member(
            store,
            (None, KeySubject::Coordinators),
            Vec::new(),
            invited,
            Team::Coordinators,
        )
        .await?,
    ];
    let mut ids: BTreeMap<PartyId, PartyId> = BTreeMap::new();
    for plan in &scenario.parties {
        let platforms: Vec<Name> = plan.platforms.iter().map(|platform| platform.name.clone()).collect();
        let player = parts
            .iter()
            .find(|(_, part)| **part == plan.name)
            .map(|(player, _)| player.clone());
        let added = store
            .add_party(player.as_ref().unwrap_or(&plan.name), &platforms)
            .await?;
        let (_, key) = store
            .issue_key(KeySubject::Party(added.id), Roles::of(&[Role::Publisher]))
            .await?;
        publishers.push(Publisher {
            plays: plan.name.clone(),
            key: key.expose().to_owned(),
        });
        if let Some(party) = invited
            .parties
            .iter()
            .find(|party| Some(&party.name) == player.as_ref())
        {
            ids.insert(party.id, added.id);
            let whose = (Some(party.name.clone()), KeySubject::Party(added.id));
            members.push(member(store, whose, platforms, invited, Team::Party(party.id)).await?);
        }
    }
    let without_part = invited.parties.iter().filter(|party| !parts.contains_key(&party.name));
    for (number, party) in without_part.enumerate() {
        // It watches, and publishes nothing; a party has a platform.
        let platforms = vec![format!("drill-platform-{}", number + 1).parse::<Name>()?];
        let added = store.add_party(&party.name, &platforms).await?;
        ids.insert(party.id, added.id);
        let whose = (Some(party.name.clone()), KeySubject::Party(added.id));
        members.push(member(store, whose, platforms, invited, Team::Party(party.id)).await?);
    }
    for endpoint in &invited.endpoints {
        let team = match endpoint.team {
            Team::Coordinators => Team::Coordinators,
            Team::Party(id) => Team::Party(*ids.get(&id).context("an endpoint's party takes part")?),
        };
        // While a secret is being replaced both sign, in a drill too: the receiver may know one of them alone.
        let (secret, next) = match endpoint.secrets.as_slice() {
            [current, former, ..] => (former.clone(), Some(current)),
            [current] => (current.clone(), None),
            [] => (String::new(), None),
        };
        let copied = NewEndpoint {
            name: endpoint.name.clone(),
            team,
            kind: endpoint.kind,
            target: endpoint.target.clone(),
            settings: endpoint.settings.clone(),
            secret,
        };
        store.add_endpoint_for_drills(&copied).await?;
        if let Some(next) = next {
            store
                .rotate_endpoint_secret(&copied.name, next, FORMER_SECRET_SIGNS)
                .await?;
        }
    }
    Ok(Cast { publishers, members })
}

/// Which part of the scenario is played by whom.
fn parts_of<'a>(parts: &[&'a Name], players: &[&'a Name]) -> Vec<(&'a Name, &'a Name)> {
    let named: Vec<&Name> = players
        .iter()
        .copied()
        .filter(|player| parts.contains(player))
        .collect();
    let left = parts.iter().copied().filter(|part| !named.contains(part));
    let others = players.iter().copied().filter(|player| !named.contains(player));
    let same = named.iter().map(|name| (*name, *name));
    same.chain(left.zip(others)).collect()
}

async fn member(
    store: &Store,
    (party, subject): (Option<Name>, KeySubject),
    platforms: Vec<Name>,
    invited: &Invited,
    was: Team,
) -> Result<Member> {
    let working = match party {
        Some(_) => Roles::of(&[Role::Publisher, Role::Moderator, Role::Reader]),
        None => Roles::of(&[Role::Moderator, Role::Reader]),
    };
    let (_, key) = store.issue_key(subject, working).await?;
    let mut people = Vec::new();
    for (name, roles) in invited.people.get(&was).into_iter().flatten() {
        let (_, key) = store.issue_key_to(subject, *roles, name).await?;
        people.push((name.clone(), key.expose().to_owned()));
    }
    Ok(Member {
        party,
        platforms,
        key: key.expose().to_owned(),
        people,
    })
}

impl Cast {
    pub(super) fn keys(&self, drill: DrillId, url: &str) -> Keys {
        let of = |member: &Member| TeamKeys {
            platforms: member.platforms.iter().map(Name::to_string).collect(),
            key: member.key.clone(),
            people: member
                .people
                .iter()
                .map(|(name, key)| (name.to_string(), key.clone()))
                .collect(),
        };
        let named = self
            .members
            .iter()
            .filter_map(|member| Some((member.party.as_ref()?.to_string(), of(member))));
        let coordinators = self.members.iter().find(|member| member.party.is_none());
        Keys {
            drill: drill.to_string(),
            url: url.to_owned(),
            coordinators: coordinators.map(of).expect("the coordinators always take part"),
            party: named.collect(),
        }
    }

    /// `coordinators`, and the parties' names.
    pub(super) fn teams(&self) -> Vec<String> {
        let name = |member: &Member| {
            member
                .party
                .as_ref()
                .map_or_else(|| COORDINATORS.to_owned(), Name::to_string)
        };
        self.members.iter().map(name).collect()
    }
}

/// How the coordinators are called in records and scorecards.
pub(super) const COORDINATORS: &str = "coordinators";

impl Keys {
    pub(super) fn to_toml(&self) -> Result<String> {
        let keys = toml::to_string_pretty(self).context("write the keys as TOML")?;
        Ok(format!(
            "# The keys of drill {}: good in it alone, and as long as it goes on.\n{keys}",
            self.drill
        ))
    }
}

/// The topic that deliveries of a party go to in a drill, by its name outside of it.
pub(super) fn deliveries_topic(drill: DrillId, party: &str) -> Option<String> {
    let party: Name = party.parse().ok()?;
    Some(format!("{}{}", drill.namespace(), topics::deliveries_name(&party)))
}

#[cfg(test)]
mod tests {
    //! Goal: every part has at most one player, those of the same name first.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn who_is_called_as_a_part_plays_it_and_the_others_what_is_left() {
        let check = |parts: &[&str], players: &[&str], expected: &[(&str, &str)]| {
            let names = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Name>>();
            let (parts, players) = (names(parts), names(players));
            let given = parts_of(&parts.iter().collect::<Vec<_>>(), &players.iter().collect::<Vec<_>>());
            let given: Vec<(&str, &str)> = given
                .iter()
                .map(|(part, player)| (part.as_str(), player.as_str()))
                .collect();
            assert_eq!(given, expected);
        };
        check(&["video", "social"], &[], &[]);
        check(&["video", "social"], &["north"], &[("video", "north")]);
        check(
            &["video", "social"],
            &["north", "video"],
            &[("video", "video"), ("social", "north")],
        );
        check(
            &["video", "social"],
            &["east", "north", "west"],
            &[("video", "east"), ("social", "north")],
        );
    }
}
