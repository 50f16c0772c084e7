use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use tocsin_model::{Class, ContentId, Estimate, FamilyId, Verdict};
use tocsin_sketch::Reach;
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use crate::deadline::decode_class;
use crate::episode::Episode;
use crate::record::HotRecord;

/// Which content belongs to which family, and what the home of a family knows of it. Every scope has its own families: a link that one
/// party alone may see joins contents for that party alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Families {
    /// Links of contents of this group, by the own class of the scope they hold in; a link of class `all` holds in every scope.
    links: BTreeMap<ContentId, BTreeMap<Class, FamilyId>>,
    /// The same, by family: linked contents of this group. Derived from `links`.
    linked: BTreeMap<(FamilyId, Class), BTreeSet<ContentId>>,
    states: BTreeMap<(FamilyId, Class), FamilyState>,
    /// The highest episode number of a state that was dropped: later episodes go on from there, so that no alert id comes twice.
    episode_floor: u32,
}

/// What the home of a family keeps for one scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FamilyState {
    pub(crate) episode: Episode,
    pub(crate) verdict: Option<Verdict>,
    /// Figures of members that live in other groups: number of the latest delta, and its records.
    pub(crate) remote: BTreeMap<ContentId, (u64, Vec<HotRecord>)>,
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linked {
    /// It holds; the content belonged to this family before.
    Joined {
        /// The family before.
        from: FamilyId,
    },
    /// It says nothing new, or the content belongs to a family of lower id already.
    Unchanged,
    /// The limit of links is reached.
    Refused,
}

/// Accounts of several records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Accounts {
    /// Distinct accounts, summed over platforms.
    pub(crate) estimate: Estimate,
    /// Spread events that named no account.
    pub(crate) without_account: u64,
}

impl Families {
    /// The family of a content for readers of the scope whose own class is `class`.
    pub(crate) fn of(&self, content: ContentId, class: Class) -> FamilyId {
        let links = self.links.get(&content);
        links
            .and_then(|links| links.get(&class).or_else(|| links.get(&Class::All)))
            .copied()
            .unwrap_or(FamilyId(content))
    }

    /// Whether anything beyond the content itself is known of this family in this scope: linked members, or a state.
    pub(crate) fn is_plain(&self, family: FamilyId, class: Class) -> bool {
        self.linked.is_empty()
            || !(self.has_linked(family, class) || self.has_linked(family, Class::All))
                && self
                    .states
                    .get(&(family, class))
                    .is_none_or(|state| state.remote.is_empty())
    }

    pub(crate) fn has_link(&self, content: ContentId, class: Class) -> bool {
        self.links.get(&content).is_some_and(|links| links.contains_key(&class))
    }

    pub(crate) fn is_linked(&self, content: ContentId) -> bool {
        self.links.contains_key(&content)
    }

    /// Every linked content of this group with the class of its link, ascending.
    pub(crate) fn linked_members(&self) -> Vec<(ContentId, Class)> {
        let links = self.links.iter();
        links
            .flat_map(|(content, links)| links.keys().map(|class| (*content, *class)))
            .collect()
    }

    /// Joins a content to a family in one class. Of two families the one with the lower id wins, so that links converge in any order.
    pub(crate) fn link(&mut self, content: ContentId, class: Class, family: FamilyId, links_max: usize) -> Linked {
        let from = self.of(content, class);
        if family >= from {
            return Linked::Unchanged;
        }
        if !self.links.contains_key(&content) && self.links.len() >= links_max {
            return Linked::Refused;
        }
        if let Some(old) = self.links.entry(content).or_default().insert(class, family) {
            self.unlist(content, class, old);
        }
        self.linked.entry((family, class)).or_default().insert(content);
        Linked::Joined { from }
    }

    /// The members of a family in a scope whose records live in this group, ascending.
    pub(crate) fn local_members(&self, family: FamilyId, class: Class) -> Vec<ContentId> {
        let mut members: BTreeSet<ContentId> = BTreeSet::from([family.0]);
        for own in [class, Class::All] {
            members.extend(self.linked.get(&(family, own)).into_iter().flatten());
        }
        members
            .into_iter()
            .filter(|member| self.of(*member, class) == family)
            .collect()
    }

    pub(crate) fn state(&self, family: FamilyId, class: Class) -> Option<&FamilyState> {
        self.states.get(&(family, class))
    }

    /// The own classes of the scopes beyond `all` in which this family has a state, ascending.
    pub(crate) fn scopes_with_state(&self, family: FamilyId) -> impl Iterator<Item = Class> + '_ {
        // `all` is the least of the classes.
        let beyond = (Bound::Excluded((family, Class::All)), Bound::Unbounded);
        self.states
            .range(beyond)
            .map(|(key, _)| *key)
            .take_while(move |(of, _)| *of == family)
            .map(|(_, class)| class)
    }

    /// The state of a family in a scope, made when absent. A new one may push out one that has nothing open.
    pub(crate) fn state_mut(&mut self, family: FamilyId, class: Class, states_max: usize) -> &mut FamilyState {
        if !self.states.contains_key(&(family, class)) && self.states.len() >= states_max {
            let idle = self
                .states
                .iter()
                .find(|(_, state)| state.is_idle())
                .map(|(key, _)| *key);
            if let Some(state) = idle.and_then(|key| self.states.remove(&key)) {
                self.episode_floor = self.episode_floor.max(state.episode.number);
            }
        }
        let floor = self.episode_floor;
        self.states.entry((family, class)).or_insert_with(|| FamilyState {
            episode: Episode::after(floor),
            ..FamilyState::default()
        })
    }

    pub(crate) fn open_episodes(&self) -> usize {
        self.states.values().filter(|state| state.episode.open).count()
    }

    fn has_linked(&self, family: FamilyId, class: Class) -> bool {
        self.linked.contains_key(&(family, class))
    }

    fn unlist(&mut self, content: ContentId, class: Class, family: FamilyId) {
        if let Some(members) = self.linked.get_mut(&(family, class)) {
            members.remove(&content);
            if members.is_empty() {
                self.linked.remove(&(family, class));
            }
        }
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.number(u64::from(self.episode_floor));
        out.number(self.links.values().map(BTreeMap::len).sum::<usize>() as u64);
        for (content, links) in &self.links {
            for (class, family) in links {
                out.fixed128(content.0);
                out.number(u64::from(class.number()));
                out.fixed128(family.0.0);
            }
        }
        out.number(self.states.len() as u64);
        for ((family, class), state) in &self.states {
            out.fixed128(family.0.0);
            out.number(u64::from(class.number()));
            state.encode(out);
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut families = Families {
            episode_floor: input.narrow("number of an episode")?,
            ..Families::default()
        };
        for _ in 0..input.length(33)? {
            let content = ContentId(input.fixed128()?);
            let class = decode_class(input)?;
            let family = FamilyId(ContentId(input.fixed128()?));
            families.links.entry(content).or_default().insert(class, family);
            families.linked.entry((family, class)).or_default().insert(content);
        }
        for _ in 0..input.length(20)? {
            let family = FamilyId(ContentId(input.fixed128()?));
            let class = decode_class(input)?;
            families.states.insert((family, class), FamilyState::decode(input)?);
        }
        Ok(families)
    }
}

impl FamilyState {
    /// The records of all members that live in other groups.
    pub(crate) fn remote_records(&self) -> impl Iterator<Item = &HotRecord> {
        self.remote.values().flat_map(|(_, records)| records)
    }

    fn is_idle(&self) -> bool {
        !self.episode.open && self.verdict.is_none() && self.remote.is_empty()
    }

    fn encode(&self, out: &mut Encoder) {
        self.episode.encode(out);
        out.byte(self.verdict.map_or(0, |verdict| verdict as u8));
        out.number(self.remote.len() as u64);
        for (member, (number, records)) in &self.remote {
            out.fixed128(member.0);
            out.number(*number);
            encode_records(records.iter(), out);
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let episode = Episode::decode(input)?;
        let verdict = match input.byte()? {
            0 => None,
            number => Some(Verdict::from_number(number).ok_or(DecodeError::Invalid("verdict"))?),
        };
        let mut state = FamilyState {
            episode,
            verdict,
            remote: BTreeMap::new(),
        };
        for _ in 0..input.length(18)? {
            let member = ContentId(input.fixed128()?);
            let number = input.number()?;
            state.remote.insert(member, (number, decode_records(input)?));
        }
        Ok(state)
    }
}

/// The accounts of several records: a union per platform, summed over platforms.
pub(crate) fn accounts(records: &[&HotRecord]) -> Accounts {
    let mut merged: BTreeMap<_, Reach> = BTreeMap::new();
    for entry in records.iter().flat_map(|record| record.reach()) {
        merged
            .entry(entry.platform)
            .and_modify(|reach| reach.merge(&entry.accounts))
            .or_insert_with(|| entry.accounts.clone());
    }
    let mut sum = Estimate {
        estimate: 0.0,
        low: 0.0,
        high: 0.0,
    };
    for estimate in merged.values().map(Reach::estimate) {
        sum.estimate += estimate.estimate;
        sum.low += estimate.low;
        sum.high += estimate.high;
    }
    let without_account = records.iter().map(|record| record.signals.without_account).sum();
    Accounts {
        estimate: sum,
        without_account,
    }
}

/// The records of a delta.
pub(crate) fn encode_records<'a>(records: impl ExactSizeIterator<Item = &'a HotRecord>, out: &mut Encoder) {
    out.number(records.len() as u64);
    for record in records {
        record.encode(out);
    }
}

/// The inverse of [`encode_records`].
pub(crate) fn decode_records(input: &mut Decoder<'_>) -> Result<Vec<HotRecord>, DecodeError> {
    (0..input.length(40)?).map(|_| HotRecord::decode(input)).collect()
}
