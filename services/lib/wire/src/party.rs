//! The registry of parties as it stands in `tocsin.parties`, compacted by [`PartyRecord::key`].

use tocsin_model::{Name, PartyId, PlatformId};

use crate::avro::{ArrayWalk, Cursor, put_array, put_bytes, put_long};
use crate::record::{invalid, narrow};
use crate::{RecordError, SchemaName, framing};

/// A party and its platforms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyRecord {
    /// Its number.
    pub id: PartyId,
    /// Its name.
    pub name: Name,
    /// Its platforms.
    pub platforms: Vec<PlatformRecord>,
    /// Whether its events are refused.
    pub revoked: bool,
}

/// A platform of a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformRecord {
    /// Its number.
    pub id: PlatformId,
    /// Its name.
    pub name: Name,
}

impl PartyRecord {
    /// The key under which the record is compacted: the party's number, big-endian.
    pub fn key(&self) -> Vec<u8> {
        self.id.0.to_be_bytes().to_vec()
    }

    /// The record value.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        framing::begin(SchemaName::Party, &mut out);
        put_long(&mut out, i64::from(self.id.0));
        put_bytes(&mut out, self.name.as_str().as_bytes());
        put_array(&mut out, self.platforms.iter(), |out, platform| {
            put_long(out, i64::from(platform.id.0));
            put_bytes(out, platform.name.as_str().as_bytes());
        });
        out.push(u8::from(self.revoked));
        out
    }

    /// The party in a record value of any version.
    ///
    /// # Errors
    /// The bytes are not a party.
    pub fn decode(bytes: &[u8]) -> Result<PartyRecord, RecordError> {
        let datum = framing::open(SchemaName::Party, bytes)?;
        let cursor = &mut Cursor::new(&datum);
        let id = PartyId(narrow(cursor, "id")?);
        let name = cursor.string()?.parse().map_err(|_| invalid("name"))?;
        let mut platforms = Vec::new();
        let mut walk = ArrayWalk::default();
        while walk.step(cursor)? {
            platforms.push(PlatformRecord {
                id: PlatformId(narrow(cursor, "platforms.id")?),
                name: cursor.string()?.parse().map_err(|_| invalid("platforms.name"))?,
            });
        }
        let revoked = cursor.boolean()?;
        cursor.finish()?;
        Ok(PartyRecord {
            id,
            name,
            platforms,
            revoked,
        })
    }
}
