//! How long each kind of record is kept, as `schemas/retention.toml` states it: the one place that says so.

use std::sync::LazyLock;

use serde::Deserialize;

/// A kind of record.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordKind {
    /// Its name.
    pub name: String,
    /// What is in it, and what of it is about people.
    pub holds: String,
    /// Topics of the log, as they are declared.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Tables of the casework store.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Files, by the setting that names their place.
    #[serde(default)]
    pub files: Vec<String>,
    /// For how long.
    pub kept: Kept,
    /// Of [`Kept::Hours`]: how many.
    pub hours: Option<u64>,
    /// When it goes, in words.
    pub ends: String,
    /// What deletes it.
    pub enforced_by: String,
}

/// For how long a kind of record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// So many hours.
    Hours,
    /// The latest of each key.
    Latest,
    /// Until what it is for is done.
    Needed,
    /// While the deployment is.
    Always,
}

impl Kept {
    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Kept::Hours => "hours",
            Kept::Latest => "latest",
            Kept::Needed => "needed",
            Kept::Always => "always",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kind: Vec<RecordKind>,
}

static STATED: LazyLock<Vec<RecordKind>> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("../../../../schemas/retention.toml"))
        .expect("the statement is parsed in every test run");
    file.kind
});

/// Every kind, in the order of the file.
pub fn stated() -> &'static [RecordKind] {
    &STATED
}

/// The kind that a table of the store is of.
pub fn of_table(table: &str) -> Option<&'static RecordKind> {
    stated().iter().find(|kind| kind.tables.iter().any(|of| of == table))
}

/// The kind that a topic is of, by the name of its declaration.
pub fn of_topic(topic: &str) -> Option<&'static RecordKind> {
    stated().iter().find(|kind| kind.topics.iter().any(|of| of == topic))
}

#[cfg(test)]
mod tests {
    //! Goal: what is stated of topics is what they are declared with, each topic and table once, and every statement is whole.
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;
    use crate::topics::{TopicCleanup, declared};

    #[test]
    fn topics_are_kept_as_is_stated_and_nothing_is_stated_twice() {
        let stated_topics: Vec<&String> = stated().iter().flat_map(|kind| &kind.topics).collect();
        let declared_topics: BTreeSet<&String> = declared().iter().map(|topic| &topic.name).collect();
        assert_eq!(stated_topics.iter().copied().collect::<BTreeSet<_>>(), declared_topics);
        assert_eq!(stated_topics.len(), declared_topics.len(), "a topic stands twice");
        let tables: Vec<&String> = stated().iter().flat_map(|kind| &kind.tables).collect();
        assert_eq!(
            tables.iter().collect::<BTreeSet<_>>().len(),
            tables.len(),
            "a table stands twice"
        );
        for topic in declared() {
            let kind = of_topic(&topic.name).unwrap();
            match topic.cleanup {
                TopicCleanup::Delete => assert_eq!((kind.kept, kind.hours), (Kept::Hours, topic.retention_hours)),
                // The registry of parties is compacted, and no party is ever taken out of it.
                TopicCleanup::Compact => assert!([Kept::Latest, Kept::Always].contains(&kind.kept), "{}", topic.name),
            }
        }
    }

    #[test]
    fn the_guide_says_the_same() {
        let guide = include_str!("../../../../deploy/guides/operators.md");
        for kind in stated() {
            let row = format!(
                "| {} | {} | {} | {} |",
                kind.name, kind.holds, kind.ends, kind.enforced_by
            );
            assert!(guide.contains(&row), "the operators' guide has no row\n{row}");
        }
    }

    #[test]
    fn every_statement_is_whole() {
        for kind in stated() {
            assert_eq!(kind.hours.is_some(), kind.kept == Kept::Hours, "{}", kind.name);
            assert!(
                !(kind.topics.is_empty() && kind.tables.is_empty() && kind.files.is_empty()),
                "{}",
                kind.name
            );
            for text in [&kind.name, &kind.holds, &kind.ends, &kind.enforced_by] {
                assert!(!text.is_empty(), "{}", kind.name);
            }
        }
        let names: BTreeSet<&String> = stated().iter().map(|kind| &kind.name).collect();
        assert_eq!(names.len(), stated().len());
    }
}
