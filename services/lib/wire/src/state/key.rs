use tocsin_model::{Class, ContentId, GroupId, KEY_GROUPS};

/// What a state record is about. The bytes compare as the keys do:
///
/// | key | bytes, all numbers big-endian |
/// | --- | --- |
/// | `Header` | 00, partition (4) |
/// | `Hot` | 01, group (2), content (16), class number (4) |
/// | `Cold` | 02, group (2), class number (4), chunk (4) |
/// | `Core` | 03, group (2), chunk (4) |
/// | `Onward` | 04, partition (4), chunk (4) |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKey {
    /// The partition's header; its body is a [`StateHeader`](super::StateHeader).
    Header {
        /// The partition.
        partition: u32,
    },
    /// One hot record.
    Hot {
        /// The group.
        group: GroupId,
        /// The content.
        content: ContentId,
        /// The class it is counted under.
        class: Class,
    },
    /// The filter and the panes of a group and class, as of a checkpoint.
    Cold {
        /// The group.
        group: GroupId,
        /// The class.
        class: Class,
        /// Which chunk, from 0.
        chunk: u32,
    },
    /// Everything else of a group.
    Core {
        /// The group.
        group: GroupId,
        /// Which chunk, from 0.
        chunk: u32,
    },
    /// What the partition's newest unit has to say to groups of other partitions and cannot say anew: until it is known to have arrived.
    Onward {
        /// The partition.
        partition: u32,
        /// Which chunk, from 0.
        chunk: u32,
    },
}

impl StateKey {
    /// The key's bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(23);
        self.put(&mut out);
        out
    }

    /// Appends the key's bytes.
    pub fn put(self, out: &mut Vec<u8>) {
        match self {
            StateKey::Header { partition } => {
                out.push(0);
                out.extend_from_slice(&partition.to_be_bytes());
            }
            StateKey::Hot { group, content, class } => {
                out.push(1);
                out.extend_from_slice(&group.0.to_be_bytes());
                out.extend_from_slice(&content.0.to_be_bytes());
                out.extend_from_slice(&class.number().to_be_bytes());
            }
            StateKey::Cold { group, class, chunk } => {
                out.push(2);
                out.extend_from_slice(&group.0.to_be_bytes());
                out.extend_from_slice(&class.number().to_be_bytes());
                out.extend_from_slice(&chunk.to_be_bytes());
            }
            StateKey::Core { group, chunk } => {
                out.push(3);
                out.extend_from_slice(&group.0.to_be_bytes());
                out.extend_from_slice(&chunk.to_be_bytes());
            }
            StateKey::Onward { partition, chunk } => {
                out.push(4);
                out.extend_from_slice(&partition.to_be_bytes());
                out.extend_from_slice(&chunk.to_be_bytes());
            }
        }
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<StateKey> {
        let (&tag, rest) = bytes.split_first()?;
        match tag {
            0 => Some(StateKey::Header {
                partition: u32::from_be_bytes(rest.try_into().ok()?),
            }),
            1 => {
                let (group, rest) = split_group(rest)?;
                let (content, rest) = rest.split_first_chunk::<16>()?;
                Some(StateKey::Hot {
                    group,
                    content: ContentId(u128::from_be_bytes(*content)),
                    class: class(rest)?,
                })
            }
            2 => {
                let (group, rest) = split_group(rest)?;
                let (number, chunk) = rest.split_first_chunk::<4>()?;
                Some(StateKey::Cold {
                    group,
                    class: class(number)?,
                    chunk: u32::from_be_bytes(chunk.try_into().ok()?),
                })
            }
            3 => {
                let (group, chunk) = split_group(rest)?;
                Some(StateKey::Core {
                    group,
                    chunk: u32::from_be_bytes(chunk.try_into().ok()?),
                })
            }
            4 => {
                let (partition, chunk) = rest.split_first_chunk::<4>()?;
                Some(StateKey::Onward {
                    partition: u32::from_be_bytes(*partition),
                    chunk: u32::from_be_bytes(chunk.try_into().ok()?),
                })
            }
            _ => None,
        }
    }
}

fn split_group(bytes: &[u8]) -> Option<(GroupId, &[u8])> {
    let (group, rest) = bytes.split_first_chunk::<2>()?;
    let group = u16::from_be_bytes(*group);
    (group < KEY_GROUPS).then_some((GroupId(group), rest))
}

fn class(bytes: &[u8]) -> Option<Class> {
    Class::from_number(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    //! Keys come back from their bytes, and bytes are ordered as keys are.
    use super::*;
    use proptest::prelude::*;
    use tocsin_model::PartyId;

    fn any_class() -> impl Strategy<Value = Class> {
        prop_oneof![
            Just(Class::All),
            Just(Class::Coordinators),
            any::<u16>().prop_map(|id| Class::Party(PartyId(id))),
        ]
    }

    fn any_key() -> impl Strategy<Value = StateKey> {
        let group = || (0..KEY_GROUPS).prop_map(GroupId);
        prop_oneof![
            any::<u32>().prop_map(|partition| StateKey::Header { partition }),
            (group(), any::<u128>(), any_class()).prop_map(|(group, content, class)| StateKey::Hot {
                group,
                content: ContentId(content),
                class
            }),
            (group(), any_class(), any::<u32>()).prop_map(|(group, class, chunk)| StateKey::Cold {
                group,
                class,
                chunk
            }),
            (group(), any::<u32>()).prop_map(|(group, chunk)| StateKey::Core { group, chunk }),
            any::<(u32, u32)>().prop_map(|(partition, chunk)| StateKey::Onward { partition, chunk }),
        ]
    }

    proptest! {
        #[test]
        fn keys_round_trip_in_order(a in any_key(), b in any_key()) {
            prop_assert_eq!(StateKey::from_bytes(&a.to_bytes()), Some(a));
            prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        }

        #[test]
        fn other_bytes_are_no_key_or_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            if let Some(key) = StateKey::from_bytes(&bytes) {
                prop_assert_eq!(key.to_bytes(), bytes);
            }
        }
    }
}
