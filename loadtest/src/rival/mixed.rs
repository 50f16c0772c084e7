use std::hash::{BuildHasherDefault, Hasher};

/// Hashes of numbers, for maps that nobody outside fills: one multiplication, where the standard hasher guards against chosen keys.
pub(super) type MixedState = BuildHasherDefault<Mixed>;

/// See [`MixedState`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The high half of the product depends on all bits of the number; the map looks at low ones too.
        let product = u128::from(self.0 ^ number ^ 0x9e37_79b9_7f4a_7c15) * 0xf39c_c060_5ced_c835_u128;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}
