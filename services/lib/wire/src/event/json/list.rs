//! Lists of small objects that end at their limit.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use tocsin_model::{Algorithm, ContentHash, Frame, Label};

use super::value::{Scalar, Text, invalid, say, set, shortened};
use crate::EventError;
use crate::event::check;

/// A list that ends with an error at the first item beyond its limit.
pub(super) struct List<'e, I> {
    field: &'static str,
    error: &'e mut Option<EventError>,
    item: PhantomData<I>,
}

impl<'e, I: Item> List<'e, I> {
    pub(super) fn new(field: &'static str, error: &'e mut Option<EventError>) -> Self {
        List {
            field,
            error,
            item: PhantomData,
        }
    }
}

/// One item, and the value of another type that stands in its place or in the list's.
struct One<'e, I>(List<'e, I>);

macro_rules! refuse_scalars {
    ($value:ty, $slot:expr) => {
        fn visit_unit<E: Error>(self) -> Result<$value, E> {
            Err($slot(self))
        }
        fn visit_bool<E: Error>(self, _: bool) -> Result<$value, E> {
            Err($slot(self))
        }
        fn visit_i64<E: Error>(self, _: i64) -> Result<$value, E> {
            Err($slot(self))
        }
        fn visit_u64<E: Error>(self, _: u64) -> Result<$value, E> {
            Err($slot(self))
        }
        fn visit_f64<E: Error>(self, _: f64) -> Result<$value, E> {
            Err($slot(self))
        }
        fn visit_str<E: Error>(self, _: &str) -> Result<$value, E> {
            Err($slot(self))
        }
    };
}

fn refuse<I, E: Error>(list: List<'_, I>) -> E {
    say(list.error, invalid(list.field, "a list of objects"))
}

impl<'de, I: Item> DeserializeSeed<'de> for List<'_, I> {
    type Value = Vec<I::Value>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, I: Item> Visitor<'de> for List<'_, I> {
    type Value = Vec<I::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(One(List::<I>::new(self.field, &mut *self.error)))? {
            list.push(item);
            I::check_length(self.field, list.len()).map_err(|error| say::<A::Error>(self.error, error))?;
        }
        Ok(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(refuse(self))
    }

    refuse_scalars!(Self::Value, refuse);
}

impl<'de, I: Item> DeserializeSeed<'de> for One<'_, I> {
    type Value = I::Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, I: Item> Visitor<'de> for One<'_, I> {
    type Value = I::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let slot = self.0.error;
        let mut item = I::default();
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            let value = map.next_value::<Scalar<'de>>()?;
            item.set(&name, &value).map_err(|error| say::<A::Error>(slot, error))?;
        }
        item.finish().map_err(|error| say(slot, error))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(refuse(self.0))
    }

    refuse_scalars!(Self::Value, |one: Self| refuse(one.0));
}

/// An item of a list: an object of scalars.
pub(super) trait Item: Default {
    type Value;

    fn check_length(field: &'static str, length: usize) -> Result<(), EventError> {
        check::list_length(field, length)
    }

    fn set(&mut self, name: &str, value: &Scalar<'_>) -> Result<(), EventError>;
    fn finish(self) -> Result<Self::Value, EventError>;
}

#[derive(Default)]
pub(super) struct HashItem {
    algorithm: Option<Algorithm>,
    value: Option<String>,
    quality: Option<Option<u8>>,
}

impl Item for HashItem {
    type Value = ContentHash;

    fn set(&mut self, name: &str, value: &Scalar<'_>) -> Result<(), EventError> {
        match name {
            "algorithm" => {
                let algorithm = Algorithm::from_name(value.text("algorithm")?).ok_or(EventError::AlgorithmUnknown)?;
                set(&mut self.algorithm, "algorithm", algorithm)
            }
            "value" => set(&mut self.value, "value", value.text("value")?.to_owned()),
            "quality" => {
                let quality = match value {
                    Scalar::Null => None,
                    _ => Some(u8::try_from(value.integer("quality")?).map_err(|_| EventError::QualityOutOfRange)?),
                };
                set(&mut self.quality, "quality", quality)
            }
            _ => Err(EventError::UnknownField { field: shortened(name) }),
        }
    }

    fn finish(self) -> Result<ContentHash, EventError> {
        let algorithm = self.algorithm.ok_or(EventError::MissingField { field: "algorithm" })?;
        let value = self.value.ok_or(EventError::MissingField { field: "value" })?;
        ContentHash::parse(algorithm, &value, self.quality.flatten()).map_err(check::hash_error)
    }
}

#[derive(Default)]
pub(super) struct LabelItem {
    name: Option<String>,
    confidence: Option<f32>,
}

impl Item for LabelItem {
    type Value = Label;

    fn set(&mut self, name: &str, value: &Scalar<'_>) -> Result<(), EventError> {
        match name {
            "name" => set(&mut self.name, "name", value.text("name")?.to_owned()),
            "confidence" => {
                let confidence = match value {
                    Scalar::Integer(value) => *value as f32,
                    Scalar::Float(value) => *value as f32,
                    _ => return Err(invalid("confidence", "a number")),
                };
                set(&mut self.confidence, "confidence", confidence)
            }
            _ => Err(EventError::UnknownField { field: shortened(name) }),
        }
    }

    fn finish(self) -> Result<Label, EventError> {
        Ok(Label {
            name: self.name.ok_or(EventError::MissingField { field: "name" })?,
            confidence: self
                .confidence
                .ok_or(EventError::MissingField { field: "confidence" })?,
        })
    }
}

#[derive(Default)]
pub(super) struct FrameItem {
    pdq: Option<[u8; 32]>,
    quality: Option<u8>,
}

impl Item for FrameItem {
    type Value = Frame;

    fn check_length(_: &'static str, length: usize) -> Result<(), EventError> {
        check::frames_length(length)
    }

    fn set(&mut self, name: &str, value: &Scalar<'_>) -> Result<(), EventError> {
        match name {
            "pdq" => {
                let mut pdq = [0; 32];
                let malformed = |_| EventError::HashMalformed { algorithm: "pdq" };
                hex::decode_to_slice(value.text("pdq")?, &mut pdq).map_err(malformed)?;
                set(&mut self.pdq, "pdq", pdq)
            }
            "quality" => {
                let quality = check::frame_quality(value.integer("quality")?)?;
                set(&mut self.quality, "quality", quality)
            }
            _ => Err(EventError::UnknownField { field: shortened(name) }),
        }
    }

    fn finish(self) -> Result<Frame, EventError> {
        Ok(Frame {
            pdq: self.pdq.ok_or(EventError::MissingField { field: "pdq" })?,
            quality: self.quality.ok_or(EventError::MissingField { field: "quality" })?,
        })
    }
}
