//! What key groups have seen of ordinary contents, as it stands in `tocsin.populations`, compacted by key group.

use tocsin_model::{GroupId, KEY_GROUPS, PlatformId, Population, Populations, Timestamp};

use crate::avro::{ArrayWalk, Cursor, put_array, put_long};
use crate::record::{invalid, narrow, put_count, read_hours};
use crate::{RecordError, SchemaName, framing};

/// The key of a group's record.
pub fn key(group: GroupId) -> Vec<u8> {
    group.0.to_be_bytes().to_vec()
}

/// Populations in Avro single-object encoding.
pub fn encode(populations: &Populations) -> Vec<u8> {
    let mut out = Vec::with_capacity(24 + populations.platforms.len() * 256);
    framing::begin(SchemaName::Population, &mut out);
    put_long(&mut out, i64::from(populations.group.0));
    put_long(&mut out, populations.at.0);
    put_array(&mut out, populations.platforms.iter(), |out, population| {
        put_long(out, i64::from(population.platform.0));
        put_array(out, population.spread.into_iter(), put_count);
        put_array(out, population.watched.into_iter(), put_count);
        population
            .numbers()
            .into_iter()
            .for_each(|number| put_count(out, number));
    });
    out
}

/// The populations in single-object bytes of any version.
///
/// # Errors
/// The bytes are not populations of a group that there is, each platform once.
pub fn decode(bytes: &[u8]) -> Result<Populations, RecordError> {
    let datum = framing::open(SchemaName::Population, bytes)?;
    let cursor = &mut Cursor::new(&datum);
    let group = GroupId(narrow(cursor, "group")?);
    if group.0 >= KEY_GROUPS {
        return Err(invalid("group"));
    }
    let populations = Populations {
        group,
        at: Timestamp(cursor.long()?),
        platforms: read_platforms(cursor)?,
    };
    cursor.finish()?;
    let ascend = populations
        .platforms
        .is_sorted_by(|one, next| one.platform < next.platform);
    if !ascend || populations.platforms.len() > Populations::PLATFORMS_MAX {
        return Err(invalid("platforms"));
    }
    Ok(populations)
}

fn read_platforms(cursor: &mut Cursor<'_>) -> Result<Vec<Population>, RecordError> {
    let mut platforms = Vec::new();
    let mut walk = ArrayWalk::default();
    while walk.step(cursor)? {
        let mut population = Population::new(PlatformId(narrow(cursor, "platform")?));
        population.spread = read_hours(cursor, |cursor| narrow(cursor, "count of an hour"))?;
        population.watched = read_hours(cursor, |cursor| narrow(cursor, "count of an hour"))?;
        for number in population.numbers_mut() {
            *number = narrow(cursor, "sum")?;
        }
        platforms.push(population);
    }
    Ok(platforms)
}
