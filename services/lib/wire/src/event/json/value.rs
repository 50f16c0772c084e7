//! JSON scalars and the way a broken rule leaves a reader of serde.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::EventError;

/// What `say` returns ends the reading; the reason stands in the slot.
pub(super) fn say<E: serde::de::Error>(slot: &mut Option<EventError>, error: EventError) -> E {
    let text = E::custom(error.code());
    slot.get_or_insert(error);
    text
}

/// A JSON text, borrowed when it holds no escapes.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A scalar in whichever JSON form it has; lists and objects are skipped without being built.
pub(super) enum Scalar<'a> {
    Null,
    Integer(i128),
    Float(f64),
    Text(Cow<'a, str>),
    Other,
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Null)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Other)
            }
            fn visit_i64<E>(self, value: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Integer(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Integer(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Float(value))
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar<'de>, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar<'de>, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl Scalar<'_> {
    pub(super) fn text(&self, field: &'static str) -> Result<&str, EventError> {
        match self {
            Scalar::Text(text) => Ok(text),
            _ => Err(invalid(field, "text")),
        }
    }

    /// A whole number; a float counts when it is one.
    pub(super) fn integer(&self, field: &'static str) -> Result<i128, EventError> {
        match self {
            Scalar::Integer(value) => Ok(*value),
            Scalar::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => Ok(*value as i128),
            _ => Err(invalid(field, "a whole number")),
        }
    }
}

pub(super) fn invalid(field: &'static str, expected: &'static str) -> EventError {
    EventError::InvalidField { field, expected }
}

/// A field name of the input in an error: enough to find it.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(48).collect()
}

pub(super) fn set<T>(slot: &mut Option<T>, field: &'static str, value: T) -> Result<(), EventError> {
    if slot.replace(value).is_some() {
        return Err(EventError::DuplicateField { field });
    }
    Ok(())
}
