//! How ids, teams and times are written in the stored form of events: as text that reads back alike, times in milliseconds since 1970.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tocsin_casework::{CaseId, Team};
use tocsin_model::{
    AlertId, AlertReason, ContentId, FamilyId, KeyId, Name, PartyId, PlatformId, Timestamp, parse_hex_id,
};

use crate::incident::IncidentId;

/// A value that is written as text.
pub(crate) trait Form: Sized {
    fn write(&self) -> String;
    /// `None` for text that is no such value.
    fn read(text: &str) -> Option<Self>;
}

macro_rules! hex_ids {
    ($($id:ident),*) => {$(
        impl Form for $id {
            fn write(&self) -> String {
                format!("{:032x}", self.0)
            }
            fn read(text: &str) -> Option<Self> {
                parse_hex_id(text).ok().map($id)
            }
        }
    )*};
}

hex_ids!(IncidentId, KeyId, AlertId, CaseId);

impl Form for FamilyId {
    fn write(&self) -> String {
        self.0.to_string()
    }
    fn read(text: &str) -> Option<Self> {
        ContentId::parse(text).map(FamilyId)
    }
}

impl Form for Name {
    fn write(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Form for Team {
    fn write(&self) -> String {
        match self {
            Team::Coordinators => "coordinators".to_owned(),
            Team::Party(party) => format!("party {}", party.0),
        }
    }
    fn read(text: &str) -> Option<Self> {
        match text.strip_prefix("party ") {
            Some(number) => number.parse().ok().map(|number| Team::Party(PartyId(number))),
            None => (text == "coordinators").then_some(Team::Coordinators),
        }
    }
}

impl Form for PlatformId {
    fn write(&self) -> String {
        self.0.to_string()
    }
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(PlatformId)
    }
}

impl Form for AlertReason {
    fn write(&self) -> String {
        self.name().to_owned()
    }
    fn read(text: &str) -> Option<Self> {
        (0..=u8::MAX)
            .filter_map(AlertReason::from_number)
            .find(|reason| reason.name() == text)
    }
}

fn parse<'de, T: Form, D: Deserializer<'de>>(text: &str) -> Result<T, D::Error> {
    T::read(text).ok_or_else(|| D::Error::custom("a text of another form"))
}

/// One value.
pub(crate) mod text {
    use super::*;

    pub(crate) fn serialize<T: Form, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.write())
    }

    pub(crate) fn deserialize<'de, T: Form, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        parse::<T, D>(&String::deserialize(deserializer)?)
    }
}

/// One value, or none.
pub(crate) mod option {
    use super::*;

    pub(crate) fn serialize<T: Form, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Form::write).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Form, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| parse::<T, D>(&text)).transpose()
    }
}

/// A list or set of values.
pub(crate) mod list {
    use super::*;

    pub(crate) fn serialize<'a, T: Form + 'a, C, S: Serializer>(values: &'a C, serializer: S) -> Result<S::Ok, S::Error>
    where
        &'a C: IntoIterator<Item = &'a T>,
    {
        serializer.collect_seq(values.into_iter().map(Form::write))
    }

    pub(crate) fn deserialize<'de, T: Form, C: FromIterator<T>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<C, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| parse::<T, D>(text)).collect()
    }
}

/// A time.
pub(crate) mod time {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(value.0)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp)
    }
}

/// A time, or none.
pub(crate) mod time_option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(|time| time.0).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(Timestamp))
    }
}
