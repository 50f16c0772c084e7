//! The table of who may do what, and the routes there are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::matrix::{Subject, Whose};

const TABLE: &str = include_str!("access.toml");
const DESCRIPTION: &str = include_str!("../../../schemas/openapi.json");

/// What the table says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    sees: BTreeMap<String, BTreeMap<Whose, String>>,
    #[serde(rename = "route")]
    pub routes: Vec<Row>,
}

/// Who may use a route.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub route: String,
    #[serde(default)]
    pub query: String,
    roles: String,
    who: String,
    pub object: String,
    pub body: Option<String>,
}

impl Table {
    /// The table that stands beside.
    ///
    /// # Panics
    /// It is malformed.
    pub fn read() -> Table {
        toml::from_str(TABLE).expect("access.toml is a table of routes")
    }

    /// Whether somebody may see a thing of a kind.
    ///
    /// # Panics
    /// The table does not say it.
    pub fn sees(&self, subject: Subject, kind: &str, whose: Whose) -> bool {
        let who = self.sees.get(kind).and_then(|of_kind| of_kind.get(&whose));
        let who = who.unwrap_or_else(|| panic!("sees.{kind} says nothing of {whose:?}"));
        who.split(' ').any(|name| name == subject.name())
    }
}

impl Row {
    /// Whether nobody need be known: the route tells nothing of anybody's.
    pub fn is_public(&self) -> bool {
        self.who == "anyone"
    }

    /// Whether a key that speaks for somebody, in a role, may use the route at all.
    pub fn lets(&self, subject: Subject, role: &str) -> bool {
        self.roles.split(' ').any(|name| name == role) && self.who.split(' ').any(|name| name == subject.name())
    }
}

/// The routes of the description: method and path.
///
/// # Panics
/// It is no OpenAPI document.
pub fn described() -> BTreeSet<String> {
    let description: Value = serde_json::from_str(DESCRIPTION).expect("the description is JSON");
    let paths = description["paths"].as_object().expect("it has paths").iter();
    let routes = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("a path has methods").keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    routes.collect()
}
