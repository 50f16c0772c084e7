use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tocsin_model::{
    AccountPseudonym, ContentHash, Event, EventId, Frame, Kind, Label, Name, Sharing, Surface, Timestamp,
};

use super::list::{FrameItem, HashItem, LabelItem, List};
use super::value::{Scalar, Text, invalid, say, set, shortened};
use crate::EventError;
use crate::event::check;

/// Reads one event. A broken rule is left in `error`, because the errors of serde are text only.
pub(super) struct EventSeed<'e> {
    pub error: &'e mut Option<EventError>,
}

#[derive(Default)]
struct Fields {
    event_id: Option<EventId>,
    platform: Option<Name>,
    kind: Option<Kind>,
    occurred_at: Option<Timestamp>,
    content: Option<Vec<ContentHash>>,
    same_as: Option<Vec<ContentHash>>,
    frames: Option<Vec<Frame>>,
    account: Option<Option<AccountPseudonym>>,
    account_epoch: Option<u32>,
    region: Option<Option<[u8; 2]>>,
    language: Option<Option<[u8; 2]>>,
    audience: Option<Option<u32>>,
    surface: Option<Surface>,
    labels: Option<Vec<Label>>,
    sharing: Option<Sharing>,
}

impl Fields {
    fn set_scalar(&mut self, name: &str, value: &Scalar<'_>) -> Result<(), EventError> {
        match name {
            "event_id" => {
                let id = uuid::Uuid::try_parse(value.text("event_id")?)
                    .map_err(|_| invalid("event_id", "a UUID in text form"))?;
                set(&mut self.event_id, "event_id", EventId(id.into_bytes()))
            }
            "platform" => {
                let name = value.text("platform")?;
                check::platform(name)?;
                let name = name.parse().map_err(|_| EventError::PlatformMalformed)?;
                set(&mut self.platform, "platform", name)
            }
            "kind" => set(&mut self.kind, "kind", Kind::from_name(value.text("kind")?)),
            "occurred_at" => set(&mut self.occurred_at, "occurred_at", timestamp(value)?),
            "account" => set(&mut self.account, "account", account(value)?),
            "account_epoch" => {
                let epoch =
                    u32::try_from(value.integer("account_epoch")?).map_err(|_| EventError::AccountEpochOutOfRange)?;
                set(&mut self.account_epoch, "account_epoch", epoch)
            }
            "region" => {
                let region = match value {
                    Scalar::Null => None,
                    _ => Some(check::region(value.text("region")?.as_bytes())?),
                };
                set(&mut self.region, "region", region)
            }
            "language" => {
                let language = match value {
                    Scalar::Null => None,
                    _ => Some(check::language(value.text("language")?.as_bytes())?),
                };
                set(&mut self.language, "language", language)
            }
            "audience" => {
                let audience = match value {
                    Scalar::Null => None,
                    _ => Some(u32::try_from(value.integer("audience")?).map_err(|_| EventError::AudienceOutOfRange)?),
                };
                set(&mut self.audience, "audience", audience)
            }
            "surface" => set(&mut self.surface, "surface", Surface::from_name(value.text("surface")?)),
            "sharing" => {
                let sharing = Sharing::from_name(value.text("sharing")?)
                    .ok_or_else(|| invalid("sharing", "party, coordinators or all"))?;
                set(&mut self.sharing, "sharing", sharing)
            }
            _ => Err(EventError::UnknownField { field: shortened(name) }),
        }
    }

    fn finish(self) -> Result<Event, EventError> {
        let missing = |field| EventError::MissingField { field };
        Ok(Event {
            event_id: self.event_id.ok_or(missing("event_id"))?,
            platform: self.platform.ok_or(missing("platform"))?,
            kind: self.kind.ok_or(missing("kind"))?,
            occurred_at: self.occurred_at.ok_or(missing("occurred_at"))?,
            content: self.content.ok_or(missing("content"))?,
            same_as: self.same_as.unwrap_or_default(),
            frames: self.frames.unwrap_or_default(),
            account: self.account.flatten(),
            account_epoch: self.account_epoch.unwrap_or(0),
            region: self.region.flatten(),
            language: self.language.flatten(),
            audience: self.audience.flatten(),
            surface: self.surface.unwrap_or(Surface::Unknown),
            labels: self.labels.unwrap_or_default(),
            sharing: self.sharing.unwrap_or(Sharing::Party),
        })
    }
}

fn timestamp(value: &Scalar<'_>) -> Result<Timestamp, EventError> {
    let out_of_range = |_| EventError::TimestampOutOfRange;
    match value {
        Scalar::Text(text) => {
            let at = OffsetDateTime::parse(text, &Rfc3339)
                .map_err(|_| invalid("occurred_at", "RFC 3339 text or milliseconds since 1970"))?;
            let at = at.unix_timestamp_nanos().div_euclid(1_000_000);
            Ok(Timestamp(i64::try_from(at).map_err(out_of_range)?))
        }
        Scalar::Integer(at) => Ok(Timestamp(i64::try_from(*at).map_err(out_of_range)?)),
        _ => Err(invalid("occurred_at", "RFC 3339 text or milliseconds since 1970")),
    }
}

fn account(value: &Scalar<'_>) -> Result<Option<AccountPseudonym>, EventError> {
    if let Scalar::Null = value {
        return Ok(None);
    }
    let mut bytes = [0; 16];
    hex::decode_to_slice(value.text("account")?, &mut bytes)
        .map_err(|_| invalid("account", "32 hexadecimal digits or null"))?;
    Ok(Some(AccountPseudonym(bytes)))
}

impl<'de> DeserializeSeed<'de> for EventSeed<'_> {
    type Value = Event;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Event, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EventSeed<'_> {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        let slot = self.error;
        let mut fields = Fields::default();
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            let stored = match &*name {
                "content" => {
                    let hashes = map.next_value_seed(List::<HashItem>::new("content", slot))?;
                    set(&mut fields.content, "content", hashes)
                }
                "same_as" => {
                    let hashes = map.next_value_seed(List::<HashItem>::new("same_as", slot))?;
                    set(&mut fields.same_as, "same_as", hashes)
                }
                "frames" => {
                    let frames = map.next_value_seed(List::<FrameItem>::new("frames", slot))?;
                    set(&mut fields.frames, "frames", frames)
                }
                "labels" => {
                    let labels = map.next_value_seed(List::<LabelItem>::new("labels", slot))?;
                    set(&mut fields.labels, "labels", labels)
                }
                name => {
                    let value = map.next_value::<Scalar<'de>>()?;
                    fields.set_scalar(name, &value)
                }
            };
            stored.map_err(|error| say::<A::Error>(slot, error))?;
        }
        fields.finish().map_err(|error| say(slot, error))
    }
}
