use serde_json::{Value, json};

use crate::threat_exchange::DESCRIPTOR_TAG;

/// How somebody who used an entry of ThreatExchange fared with it (developers.facebook.com/docs/threat-exchange/reference/apis/reaction-type).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reaction {
    /// What it finds came up here.
    SawThisToo,
    /// People decided that it violates.
    Helpful,
    /// People decided that it is harmless.
    NotHelpful,
}

impl Reaction {
    /// Its name there.
    pub fn name(self) -> &'static str {
        match self {
            Reaction::SawThisToo => "SAW_THIS_TOO",
            Reaction::Helpful => "HELPFUL",
            Reaction::NotHelpful => "NOT_HELPFUL",
        }
    }
}

/// The requests that say so, as `{"id": ..., "reactions": ...}`: each is the form of a `POST` to `/<id>`, the descriptor that the entry names
/// in its tags, or else the entry itself. Empty: the entry has no id there.
pub fn reactions(source_id: Option<&str>, tags: &[String], reactions: &[Reaction]) -> Vec<Value> {
    let descriptor = tags.iter().find_map(|tag| tag.strip_prefix(DESCRIPTOR_TAG));
    let Some(id) = descriptor.or(source_id) else {
        return Vec::new();
    };
    let request = |reaction: &Reaction| json!({"id": id, "reactions": reaction.name()});
    reactions.iter().map(request).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_one_to_the_descriptor_where_it_is_known() {
        let tags = ["group:x".to_owned(), "descriptor:12".to_owned()];
        let both = [Reaction::SawThisToo, Reaction::Helpful];
        let expected = [
            json!({"id": "12", "reactions": "SAW_THIS_TOO"}),
            json!({"id": "12", "reactions": "HELPFUL"}),
        ];
        assert_eq!(reactions(Some("7"), &tags, &both), expected);
        let harmless = [json!({"id": "7", "reactions": "NOT_HELPFUL"})];
        assert_eq!(reactions(Some("7"), &tags[..1], &[Reaction::NotHelpful]), harmless);
        assert!(reactions(None, &[], &both).is_empty());
    }
}
