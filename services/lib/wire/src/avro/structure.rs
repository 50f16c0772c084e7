use apache_avro::Schema;
use apache_avro::schema::{Name, ResolvedSchema};
use std::collections::HashMap;

use super::{ArrayWalk, Cursor, Malformed};

const DEPTH_MAX: u8 = 32;

/// Whether `bytes` are one whole datum of `schema`, and nothing after it.
///
/// `apache-avro` reserves memory for as many items as an array claims to have, and takes an end of input inside a string or a union for a
/// null; bytes that passed here do neither.
pub(crate) fn check_structure(schema: &Schema, bytes: &[u8]) -> Result<(), Malformed> {
    let resolved = ResolvedSchema::try_from(schema).map_err(|_| Malformed::Unresolvable)?;
    let mut cursor = Cursor::new(bytes);
    skip(schema, resolved.get_names(), &mut cursor, 0)?;
    cursor.finish()
}

fn skip(schema: &Schema, names: &HashMap<Name, &Schema>, cursor: &mut Cursor<'_>, depth: u8) -> Result<(), Malformed> {
    if depth > DEPTH_MAX {
        return Err(Malformed::TooDeep);
    }
    match schema {
        Schema::Null => Ok(()),
        Schema::Boolean => cursor.boolean().map(drop),
        Schema::Int | Schema::Date | Schema::TimeMillis => cursor.int().map(drop),
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => cursor.long().map(drop),
        Schema::Float => cursor.float().map(drop),
        Schema::Double => cursor.double().map(drop),
        Schema::Bytes | Schema::BigDecimal | Schema::Uuid => cursor.bytes().map(drop),
        Schema::String => cursor.string().map(drop),
        Schema::Duration => cursor.take(12).map(drop),
        Schema::Fixed(fixed) => cursor.take(fixed.size).map(drop),
        Schema::Decimal(decimal) => skip(&decimal.inner, names, cursor, depth + 1),
        Schema::Enum(symbols) => {
            let index = usize::try_from(cursor.int()?).map_err(|_| Malformed::NoSuchBranch)?;
            symbols.symbols.get(index).ok_or(Malformed::NoSuchBranch).map(drop)
        }
        Schema::Union(union) => {
            let index = usize::try_from(cursor.int()?).map_err(|_| Malformed::NoSuchBranch)?;
            let variant = union.variants().get(index).ok_or(Malformed::NoSuchBranch)?;
            skip(variant, names, cursor, depth + 1)
        }
        Schema::Array(array) => {
            let mut walk = ArrayWalk::default();
            while walk.step(cursor)? {
                skip(&array.items, names, cursor, depth + 1)?;
            }
            Ok(())
        }
        Schema::Map(map) => {
            let mut walk = ArrayWalk::default();
            while walk.step(cursor)? {
                cursor.string()?;
                skip(&map.types, names, cursor, depth + 1)?;
            }
            Ok(())
        }
        Schema::Record(record) => record
            .fields
            .iter()
            .try_for_each(|field| skip(&field.schema, names, cursor, depth + 1)),
        Schema::Ref { name } => {
            let named = names.get(name).ok_or(Malformed::Unresolvable)?;
            skip(named, names, cursor, depth + 1)
        }
    }
}
