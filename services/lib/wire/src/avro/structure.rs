use apache_avro::Schema;
use apache_avro::schema::{Name, ResolvedSchema};
use std::collections::HashMap;

use super::{ArrayWalk, Cursor, Malformed};

const DEPTH_MAX: u8 = 32;
/// A foreign schema may have items of no bytes: records without fields, nulls, and such within such. A datum has so many values, the ones that hold
/// others counted too: so many for nothing, and so many for each byte. `apache-avro` makes an object of each, and an ordinary datum has at most two or three a byte.
const VALUES_FREE: usize = 1_024;
const VALUES_PER_BYTE: usize = 4;

/// Whether `bytes` are one whole datum of `schema`, and nothing after it.
///
/// `apache-avro` reserves memory for as many items as an array claims to have, and takes an end of input inside a string or a union for a
/// null; bytes that passed here do neither.
pub(crate) fn check_structure(schema: &Schema, bytes: &[u8]) -> Result<(), Malformed> {
    let resolved = ResolvedSchema::try_from(schema).map_err(|_| Malformed::Unresolvable)?;
    let mut cursor = Cursor::new(bytes);
    let mut names = Names {
        resolved: resolved.get_names(),
        values_left: VALUES_FREE + VALUES_PER_BYTE * bytes.len(),
    };
    skip(schema, &mut names, &mut cursor, 0)?;
    cursor.finish()
}

/// What the types of a schema are called, and how many values its datum may have yet.
struct Names<'s> {
    resolved: &'s HashMap<Name, &'s Schema>,
    values_left: usize,
}

fn skip(schema: &Schema, names: &mut Names<'_>, cursor: &mut Cursor<'_>, depth: u8) -> Result<(), Malformed> {
    if depth > DEPTH_MAX {
        return Err(Malformed::TooDeep);
    }
    names.values_left = names.values_left.checked_sub(1).ok_or(Malformed::TooManyItems)?;
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
            let named = *names.resolved.get(name).ok_or(Malformed::Unresolvable)?;
            skip(named, names, cursor, depth + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: whatever a foreign schema nests, and however often, its data are read within a stated depth and a stated number of steps, or refused.
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn check(schema: &Value, bytes: &[u8]) -> Result<(), Malformed> {
        check_structure(&Schema::parse(schema).unwrap(), bytes)
    }

    fn nested(depth: usize, innermost: Value, around: impl Fn(usize, Value) -> Value) -> Value {
        (0..depth).fold(innermost, |inner, level| around(level, inner))
    }

    #[test]
    fn unions_within_records_within_unions_are_read_to_the_depth_and_no_further() {
        let record = |level: usize, inner: Value| {
            let field = json!({"name": "inner", "type": ["null", inner]});
            json!({"type": "record", "name": format!("Level{level}"), "fields": [field]})
        };
        // Each level is a record and a union.
        for (levels, expected) in [
            (1, Ok(())),
            (16, Ok(())),
            (17, Err(Malformed::TooDeep)),
            (30, Err(Malformed::TooDeep)),
        ] {
            let bytes: Vec<u8> = std::iter::repeat_n(2, levels).chain([14]).collect();
            assert_eq!(
                check(&nested(levels, json!("int"), record), &bytes),
                expected,
                "{levels} levels"
            );
            // What says that nothing follows is not too deep, whatever might have followed.
            assert_eq!(
                check(&nested(levels, json!("int"), record), &[0]),
                Ok(()),
                "{levels} levels"
            );
        }
    }

    #[test]
    fn a_schema_that_names_itself_ends_at_the_depth() {
        let node = json!({"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]});
        let levels = |count: usize| -> Vec<u8> { std::iter::repeat_n(2, count).chain([0]).collect() };
        // A reference, a record and a union each.
        for (count, expected) in [
            (0, Ok(())),
            (10, Ok(())),
            (11, Err(Malformed::TooDeep)),
            (1 << 20, Err(Malformed::TooDeep)),
        ] {
            assert_eq!(check(&node, &levels(count)), expected, "{count} levels");
        }
        let tree = json!({"type": "record", "name": "Tree", "fields": [
            {"name": "left", "type": ["null", "Tree"]}, {"name": "children", "type": {"type": "array", "items": "Tree"}},
            {"name": "named", "type": {"type": "map", "values": "Tree"}}]});
        assert_eq!(check(&tree, &[0, 2, 0, 0, 0, 0, 2, 2, b'a', 0, 0, 0, 0]), Ok(()));
        for byte in 1..=4 {
            assert!(check(&tree, &[byte; 1 << 16]).is_err(), "{byte}");
        }
    }

    #[test]
    fn arrays_maps_and_wide_unions_are_bounded_alike() {
        let array = |_: usize, inner: Value| json!({"type": "array", "items": inner});
        let map = |_: usize, inner: Value| json!({"type": "map", "values": inner});
        assert_eq!(
            check(&nested(33, json!("null"), array), &[2; 200]),
            Err(Malformed::TooDeep)
        );
        assert_eq!(
            check(&nested(100, json!("int"), array), &[2; 200]),
            Err(Malformed::TooDeep)
        );
        let keys: Vec<u8> = [2, 0].repeat(100);
        assert_eq!(check(&nested(100, json!("int"), map), &keys), Err(Malformed::TooDeep));
        let branches: Vec<Value> = (0..5_000)
            .map(|number| json!({"type": "fixed", "name": format!("F{number}"), "size": 1}))
            .collect();
        let union = json!({"type": "record", "name": "R", "fields": [{"name": "f", "type": branches}]});
        let mut last = Vec::new();
        crate::avro::put_long(&mut last, 4_999);
        assert_eq!(check(&union, &[&last[..], &[9]].concat()), Ok(()));
        let mut none = Vec::new();
        crate::avro::put_long(&mut none, 5_000);
        assert_eq!(check(&union, &[&none[..], &[9]].concat()), Err(Malformed::NoSuchBranch));
    }

    #[test]
    fn values_of_no_bytes_are_counted() {
        // Of each record two of the one before: 2^24 of them in a datum of no bytes at all.
        let twice = |level: usize, inner: Value| {
            let name = format!("Level{level}");
            let again = inner["name"].clone();
            json!({"type": "record", "name": name, "fields": [{"name": "one", "type": inner}, {"name": "two", "type": again}]})
        };
        let empty = json!({"type": "record", "name": "Empty", "fields": []});
        assert_eq!(check(&nested(4, empty.clone(), twice), &[]), Ok(()));
        assert_eq!(check(&nested(24, empty, twice), &[]), Err(Malformed::TooManyItems));
        // An array may claim as many nulls as bytes are left, again and again.
        let nulls = json!({"type": "array", "items": "null"});
        assert_eq!(
            check(&nulls, &[6, 8, 0, 0, 0]),
            Err(Malformed::TooManyItems),
            "there are no four bytes left"
        );
        assert_eq!(check(&nulls, &[4, 2, 0]), Ok(()));
        let mut claims = Vec::new();
        for _ in 0..1_000 {
            crate::avro::put_long(&mut claims, 1_000);
        }
        claims.extend_from_slice(&[0; 1_000]);
        assert_eq!(check(&nulls, &claims), Err(Malformed::TooManyItems));
    }
}
