use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The raw bytes of a hash: in place but for addresses and what else is long, so that a hash is copied without a heap.
#[derive(Clone)]
pub(super) enum Value {
    Short { bytes: [u8; SHORT], length: u8 },
    Long(Box<[u8]>),
}

/// Digests have no more.
const SHORT: usize = 32;

impl Value {
    #[inline]
    pub(super) fn of(value: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..value.len()) {
            Some(place) => {
                place.copy_from_slice(value);
                let length = value.len() as u8;
                Value::Short { bytes, length }
            }
            None => Value::Long(value.into()),
        }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Value::Short { bytes, length } => &bytes[..usize::from(*length)],
            Value::Long(bytes) => bytes,
        }
    }
}

/// Wherever they stand, the bytes alone count.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a value is its bytes, of any length.

    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use super::*;

    #[test]
    fn values_compare_and_hash_as_their_bytes() {
        let hashed = BuildHasherDefault::<DefaultHasher>::default();
        let all: Vec<Vec<u8>> = (0..80)
            .flat_map(|length| [vec![7; length], (0..length as u8).rev().collect()])
            .collect();
        for one in &all {
            let value = Value::of(one);
            assert_eq!(value.bytes(), &**one);
            assert_eq!(hashed.hash_one(&value), hashed.hash_one(one), "{one:?}");
            assert_eq!(format!("{value:?}"), format!("{one:?}"));
            for other in &all {
                assert_eq!(value.cmp(&Value::of(other)), one.cmp(other), "{one:?} {other:?}");
                assert_eq!(value == Value::of(other), one == other, "{one:?} {other:?}");
            }
        }
    }
}
