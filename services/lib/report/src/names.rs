//! Counts under names that people made up, of which there may be any number.

use std::collections::BTreeMap;

/// So many names of a kind are told one by one: the first by their bytes. What is under others is told together.
pub const NAMES_MAX: usize = 200;

/// Counts under names. Which names are kept does not depend on the order in which they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names<K> {
    kept: BTreeMap<String, BTreeMap<K, u64>>,
    others: BTreeMap<K, u64>,
    is_full: bool,
}

impl<K: Ord + Copy> Names<K> {
    pub(crate) fn new() -> Names<K> {
        Names {
            kept: BTreeMap::new(),
            others: BTreeMap::new(),
            is_full: false,
        }
    }

    /// One more under this name.
    pub(crate) fn add(&mut self, name: &str, key: K) {
        let is_past = || self.kept.last_key_value().is_none_or(|(last, _)| name > last.as_str());
        if self.is_full && is_past() {
            *self.others.entry(key).or_default() += 1;
            return;
        }
        let counts = self.kept.entry(name.to_owned()).or_default();
        *counts.entry(key).or_default() += 1;
        while self.kept.len() > NAMES_MAX {
            self.is_full = true;
            if let Some((_, counts)) = self.kept.pop_last() {
                for (key, count) in counts {
                    *self.others.entry(key).or_default() += count;
                }
            }
        }
    }

    /// All counts: the names ascending, then `None` for what is under other names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<&str>, K, u64)> + '_ {
        let kept = self.kept.iter().flat_map(|(name, counts)| {
            counts
                .iter()
                .map(move |(key, count)| (Some(name.as_str()), *key, *count))
        });
        kept.chain(self.others.iter().map(|(key, count)| (None, *key, *count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_names_are_kept_does_not_depend_on_their_order() {
        let names: Vec<String> = (0..NAMES_MAX * 3)
            .map(|number| format!("{:05}", number * 7_919 % 10_007))
            .collect();
        let tally = |order: &mut dyn Iterator<Item = &String>| {
            let mut counted = Names::new();
            for name in order {
                counted.add(name, ());
            }
            counted
        };
        let twice = || names.iter().chain(&names);
        let forwards = tally(&mut twice());
        let mut backwards: Vec<&String> = twice().collect();
        backwards.reverse();
        assert_eq!(forwards, tally(&mut backwards.into_iter()));
        let mut sorted = names.clone();
        sorted.sort();
        let kept: Vec<_> = forwards
            .iter()
            .filter_map(|(name, (), count)| Some((name?, count)))
            .collect();
        let first: Vec<_> = sorted.iter().take(NAMES_MAX).map(|name| (name.as_str(), 2)).collect();
        assert_eq!(kept, first);
        let others: u64 = forwards
            .iter()
            .filter(|(name, ..)| name.is_none())
            .map(|(.., count)| count)
            .sum();
        assert_eq!(others as usize, 2 * (names.len() - NAMES_MAX));
    }
}
