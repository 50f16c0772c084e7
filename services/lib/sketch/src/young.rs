//! A small open-addressing map from keys to non-zero bytes: where new keys wait until they are packed.

/// Keys and their values. A value of 0 means that a slot is free, so no value may be 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Young {
    keys: Vec<u32>,
    values: Vec<u8>,
    len: usize,
}

/// A dozen keys, after which a small map is packed.
const CAPACITY_MIN: usize = 16;
/// So many slots stay when all keys are forgotten.
const ROOM_KEPT_MAX: usize = 32;

impl Young {
    pub fn len(&self) -> usize {
        self.len
    }

    /// The value of `key`.
    #[inline]
    pub fn get_mut(&mut self, key: u32) -> Option<&mut u8> {
        if self.len == 0 {
            return None;
        }
        let slot = self.slot_of(key);
        let value = &mut self.values[slot];
        (*value != 0).then_some(value)
    }

    /// The value of `key`.
    #[inline]
    pub fn get(&self, key: u32) -> Option<u8> {
        if self.len == 0 {
            return None;
        }
        let value = self.values[self.slot_of(key)];
        (value != 0).then_some(value)
    }

    /// Adds a key that is not there yet.
    pub fn insert_new(&mut self, key: u32, value: u8) {
        debug_assert!(value != 0, "a value of 0 marks a free slot");
        if (self.len + 1) * 4 > self.keys.len() * 3 {
            self.grow();
        }
        let slot = self.slot_of(key);
        self.keys[slot] = key;
        self.values[slot] = value;
        self.len += 1;
    }

    /// Forgets all keys. Little room stays for those that follow: a small map is packed every dozen keys.
    pub fn clear(&mut self) {
        if self.keys.len() > ROOM_KEPT_MAX {
            *self = Young::default();
        }
        self.values.fill(0);
        self.len = 0;
    }

    /// All keys and values, in the order of the slots.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u8)> {
        self.keys
            .iter()
            .zip(&self.values)
            .filter(|(_, value)| **value != 0)
            .map(|(key, value)| (*key, *value))
    }

    pub fn memory_bytes(&self) -> usize {
        self.keys.capacity() * size_of::<u32>() + self.values.capacity()
    }

    /// The slot that holds `key`, or the free one where it belongs. At least one slot in four is free, so the search ends.
    #[inline]
    fn slot_of(&self, key: u32) -> usize {
        let mask = self.keys.len() - 1;
        // The keys are bits of a keyed hash already; the multiplication only spreads those that share their high or low bits.
        let mut slot = ((u64::from(key.wrapping_mul(0x9e37_79b1)) * self.keys.len() as u64) >> 32) as usize;
        while self.values[slot] != 0 && self.keys[slot] != key {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let capacity = (self.keys.len() * 2).max(CAPACITY_MIN);
        let old = std::mem::replace(
            self,
            Young {
                keys: vec![0; capacity],
                values: vec![0; capacity],
                len: 0,
            },
        );
        for (key, value) in old.iter() {
            let slot = self.slot_of(key);
            self.keys[slot] = key;
            self.values[slot] = value;
        }
        self.len = old.len;
    }
}
