use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::Origin;

/// What stands for a secret.
const MASK: &str = "***";

/// Words in a key that make its value a secret.
const SECRET_WORDS: [&str; 6] = ["password", "secret", "token", "pem", "jaas", "deployment_key"];

/// The values as TOML, one line each with its origin, secrets masked.
pub fn print(merged: &Value, origins: &BTreeMap<Vec<String>, Origin>) -> String {
    let mut text = String::new();
    let sections = merged.as_object().into_iter().flatten();
    for (name, section) in sections {
        let _ = writeln!(text, "[{name}]");
        print_table(&mut text, std::slice::from_ref(name), section, origins);
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn print_table(text: &mut String, path: &[String], value: &Value, origins: &BTreeMap<Vec<String>, Origin>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path: Vec<String> = path.iter().cloned().chain([key.clone()]).collect();
        if value.is_object() {
            print_table(text, &path, value, origins);
            continue;
        }
        let origin = origins.get(&path).unwrap_or(&Origin::Default);
        let key = path[1..]
            .iter()
            .map(|part| quoted_key(part))
            .collect::<Vec<_>>()
            .join(".");
        let _ = match shown(&path, value, origin) {
            Value::Null => writeln!(text, "# {key} is not set"),
            value => writeln!(text, "{key} = {}  # {origin}", inline(&value)),
        };
    }
}

fn shown(path: &[String], value: &Value, origin: &Origin) -> Value {
    let key = path.last().map(String::as_str).unwrap_or_default();
    let is_secret = matches!(origin, Origin::SecretFile(_))
        || (SECRET_WORDS.iter().any(|word| key.contains(word)) && !key.ends_with(".location"));
    match value {
        Value::String(text) if is_secret && !text.is_empty() => Value::String(MASK.to_owned()),
        Value::String(text) => Value::String(without_password(text)),
        Value::Array(values) => Value::Array(values.iter().map(|value| shown(path, value, origin)).collect()),
        Value::Object(table) => {
            let inner = |(key, value): (&String, &Value)| {
                let path: Vec<String> = path.iter().cloned().chain([key.clone()]).collect();
                (key.clone(), shown(&path, value, origin))
            };
            Value::Object(table.iter().map(inner).collect())
        }
        value => value.clone(),
    }
}

/// A value as TOML in one line; what is not set within a table is left out.
fn inline(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(inline).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(table) => {
            let entries = table.iter().filter(|(_, value)| !value.is_null());
            let entry = |(key, value): (&String, &Value)| format!("{} = {}", quoted_key(key), inline(value));
            format!("{{ {} }}", entries.map(entry).collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

/// A URL without the password in it.
fn without_password(text: &str) -> String {
    let masked = |(scheme, rest): (&str, &str)| {
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (user_info, _) = rest[..authority_end].rsplit_once('@')?;
        let (user, _) = user_info.split_once(':')?;
        Some(format!("{scheme}://{user}:{MASK}{}", &rest[user_info.len()..]))
    };
    let text = text
        .split_once("://")
        .and_then(masked)
        .unwrap_or_else(|| text.to_owned());
    match text.split_once("password=") {
        Some((before, after)) => {
            let rest = after.find('&').map_or("", |end| &after[end..]);
            format!("{before}password={MASK}{rest}")
        }
        None => text,
    }
}

fn quoted_key(key: &str) -> String {
    let is_bare = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare { key.to_owned() } else { format!("{key:?}") }
}
