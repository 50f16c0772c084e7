//! Where cases lead to: the tools of the team's own platforms.

use serde::Serialize;
use tocsin_casework::{Case, Team, Traits};
use utoipa::ToSchema;

use super::documents::platform_name;
use crate::Dispatcher;

/// Where a platform's people look at a content: Tocsin stores, fetches and shows no media.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToolDocument {
    /// The platform, by its name.
    pub platform: String,
    /// The address in its own tool, for this case.
    pub url: String,
}

impl Dispatcher {
    /// The tools of the team's own platforms that saw the family.
    pub(super) fn tool_documents(&self, case: &Case, traits: &Traits, team: Team) -> Vec<ToolDocument> {
        let Team::Party(party) = team else {
            return Vec::new();
        };
        let (tools, names) = (self.tools(), self.names());
        let seen = traits.platforms.iter();
        let known = seen.filter_map(|platform| tools.get(platform).map(|tool| (platform, tool)));
        let own = known.filter(|(_, (owner, _))| *owner == party);
        own.map(|(platform, (_, address))| ToolDocument {
            platform: platform_name(&names, *platform),
            url: address.of(&case.hash, case.family, case.id),
        })
        .collect()
    }
}
