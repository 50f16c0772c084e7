use tocsin_model::Class;

/// A map by visibility class, ascending. Nearly every event is for all, and class `all` is the lowest: to find it costs one comparison,
/// whatever other classes there are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ByClass<T>(Vec<(Class, T)>);

impl<T> Default for ByClass<T> {
    fn default() -> Self {
        ByClass(Vec::new())
    }
}

impl<T> ByClass<T> {
    #[inline]
    pub(crate) fn get(&self, class: Class) -> Option<&T> {
        self.place(class).ok().map(|place| &self.0[place].1)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, class: Class) -> Option<&mut T> {
        self.place(class).ok().map(|place| &mut self.0[place].1)
    }

    #[inline]
    pub(crate) fn get_or_insert_with(&mut self, class: Class, make: impl FnOnce() -> T) -> &mut T {
        let place = match self.place(class) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, (class, make()));
                place
            }
        };
        &mut self.0[place].1
    }

    /// Puts in a value, in place of the one there was.
    pub(crate) fn insert(&mut self, class: Class, value: T) {
        match self.place(class) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (class, value)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The highest class.
    #[inline]
    pub(crate) fn last(&self) -> Option<Class> {
        self.0.last().map(|(class, _)| *class)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Class, &T)> + Clone {
        self.0.iter().map(|(class, value)| (*class, value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Class, &mut T)> {
        self.0.iter_mut().map(|(class, value)| (*class, value))
    }

    /// Where a class stands, or would.
    #[inline]
    fn place(&self, class: Class) -> Result<usize, usize> {
        match self.0.first() {
            Some((first, _)) if *first == class => Ok(0),
            _ => self.0.binary_search_by_key(&class, |(class, _)| *class),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: it is a map.

    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use tocsin_model::PartyId;

    use super::*;

    fn class(number: u16) -> Class {
        match number {
            0 => Class::All,
            1 => Class::Coordinators,
            party => Class::Party(PartyId(party)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0u16..6, 0u8..3), 0..30)) {
            let (mut own, mut map) = (ByClass::default(), BTreeMap::new());
            for (step, (number, kind)) in steps.into_iter().enumerate() {
                let class = class(number);
                match kind {
                    0 => {
                        own.insert(class, step);
                        map.insert(class, step);
                    }
                    1 => prop_assert_eq!(
                        own.get_or_insert_with(class, || step),
                        map.entry(class).or_insert(step)
                    ),
                    _ => prop_assert_eq!(own.get_mut(class), map.get_mut(&class)),
                }
                prop_assert_eq!(own.get(class), map.get(&class));
                prop_assert_eq!((own.len(), own.last()), (map.len(), map.keys().next_back().copied()));
                prop_assert!(own.iter().eq(map.iter().map(|(class, value)| (*class, value))));
                prop_assert!(own.iter_mut().eq(map.iter_mut().map(|(class, value)| (*class, value))));
            }
        }
    }
}
