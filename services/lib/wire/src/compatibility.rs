use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use serde_json::Value;

use crate::SchemaError;

/// Whether a reader with schema `reader` understands everything that `writer` writes (Avro specification, "Schema resolution").
///
/// This is `apache-avro`'s check with one rule added that the specification has and the crate's check (0.21) has not: a symbol that the
/// reader's enum lacks is read as that enum's default.
///
/// # Errors
/// One is no schema, or they do not fit: [`SchemaError::Incompatible`] with `name`.
pub(crate) fn can_read(name: &'static str, writer: &str, reader: &str) -> Result<(), SchemaError> {
    let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| SchemaError::Parse(error.into()));
    let mut writer = parse(writer)?;
    let mut symbols = HashMap::new();
    collect_defaulted(&parse(reader)?, &mut symbols);
    replace_symbols(&mut writer, &symbols);
    let schema = |value: &Value| Schema::parse(value).map_err(|error| SchemaError::Parse(error.into()));
    SchemaCompatibility::can_read(&schema(&writer)?, &schema(&parse(reader)?)?).map_err(|error| {
        SchemaError::Incompatible {
            name,
            source: error.into(),
        }
    })
}

/// The symbols of every enum with a default, by the enum's name.
fn collect_defaulted(schema: &Value, symbols: &mut HashMap<String, Value>) {
    for_each_child(schema, &mut |child| collect_defaulted(child, symbols));
    if schema["type"] == "enum"
        && schema["default"].is_string()
        && let Some(name) = schema["name"].as_str()
    {
        symbols.insert(name.to_owned(), schema["symbols"].clone());
    }
}

fn replace_symbols(schema: &mut Value, symbols: &HashMap<String, Value>) {
    if schema["type"] == "enum"
        && let Some(known) = schema["name"].as_str().and_then(|name| symbols.get(name))
    {
        schema["symbols"] = known.clone();
        if let Some(fields) = schema.as_object_mut() {
            fields.remove("default");
        }
    }
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|child| replace_symbols(child, symbols)),
        Value::Object(fields) => fields.values_mut().for_each(|child| replace_symbols(child, symbols)),
        _ => {}
    }
}

fn for_each_child(value: &Value, visit: &mut dyn FnMut(&Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(visit),
        Value::Object(fields) => fields.values().for_each(visit),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    //! Every version of every schema reads every other (FULL_TRANSITIVE), and the check finds a bad change.
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::SchemaName;

    /// The first pair of versions that do not understand each other.
    fn full_transitive(name: &'static str, versions: &[String]) -> Result<(), SchemaError> {
        for writer in versions {
            for reader in versions {
                can_read(name, writer, reader)?;
            }
        }
        Ok(())
    }

    fn with_a_next_version(change: impl Fn(&mut Value)) -> Result<(), SchemaError> {
        let first = SchemaName::Event.versions()[0];
        let mut next: Value = serde_json::from_str(first).unwrap();
        change(&mut next);
        full_transitive("event", &[first.to_owned(), next.to_string()])
    }

    fn field<'s>(schema: &'s mut Value, name: &str) -> &'s mut Value {
        let fields = schema["fields"].as_array_mut().unwrap();
        fields.iter_mut().find(|field| field["name"] == name).unwrap()
    }

    #[test]
    fn every_pair_of_versions_fits() {
        for name in SchemaName::ALL {
            let versions: Vec<String> = name.versions().iter().map(|text| (*text).to_owned()).collect();
            full_transitive(name.name(), &versions).unwrap();
        }
    }

    #[test]
    fn good_changes_pass() {
        with_a_next_version(|schema| {
            let fields = schema["fields"].as_array_mut().unwrap();
            fields.push(serde_json::json!({"name": "mood", "type": "string", "default": ""}));
        })
        .unwrap();
        with_a_next_version(|schema| {
            let symbols = field(schema, "kind")["type"]["symbols"].as_array_mut().unwrap();
            symbols.push("telepathy".into());
        })
        .unwrap();
        with_a_next_version(|schema| {
            let fields = schema["fields"].as_array_mut().unwrap();
            fields.retain(|field| field["name"] != "audience");
        })
        .unwrap();
    }

    #[test]
    fn bad_changes_are_found() {
        type Change = (&'static str, fn(&mut Value));
        let changes: [Change; 6] = [
            ("a new field without a default", |schema| {
                let fields = schema["fields"].as_array_mut().unwrap();
                fields.push(serde_json::json!({"name": "mood", "type": "string"}));
            }),
            ("a field without a default removed", |schema| {
                let fields = schema["fields"].as_array_mut().unwrap();
                fields.retain(|field| field["name"] != "platform");
            }),
            ("another type", |schema| {
                field(schema, "platform")["type"] = "long".into()
            }),
            ("another size", |schema| {
                field(schema, "event_id")["type"]["size"] = 8.into()
            }),
            ("a widened number", |schema| {
                field(schema, "account_epoch")["type"] = "double".into()
            }),
            ("a new symbol without a default to fall to", |schema| {
                let kind = &mut field(schema, "kind")["type"];
                kind["symbols"].as_array_mut().unwrap().remove(3);
                kind.as_object_mut().unwrap().remove("default");
            }),
        ];
        for (what, change) in changes {
            let found = with_a_next_version(change);
            assert!(
                matches!(found, Err(SchemaError::Incompatible { .. })),
                "{what}: {found:?}"
            );
        }
    }
}
