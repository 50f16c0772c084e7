use std::collections::{BTreeMap, BTreeSet};

use tocsin_model::{Class, ContentId, FamilyId, Joined, Link, Timestamp, Verdict};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use crate::by_class::ByClass;
use crate::deadline::decode_class;
use crate::edge::{Edge, decode_joined, decode_via, encode_joined, encode_via, is_wanted};
use crate::episode::Episode;
use crate::record::HotRecord;

/// Which content belongs to which family, and what the home of a family knows of it. Every scope has its own families: a link that one
/// party alone may see joins contents for that party alone. Nothing is shared between classes, limits included: what one party fills up
/// must not move another's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Families {
    classes: ByClass<ClassFamilies>,
}

/// The families of the scope whose own class this is.
#[derive(Clone, Debug, Default, PartialEq)]
struct ClassFamilies {
    /// Links of contents of this group. A link of class `all` holds in every scope.
    links: BTreeMap<ContentId, Edge>,
    /// The same by age. Derived from `links`.
    by_age: BTreeSet<(Timestamp, ContentId)>,
    /// The same by family. Derived from `links`.
    linked: BTreeMap<FamilyId, BTreeSet<ContentId>>,
    states: BTreeMap<FamilyId, FamilyState>,
    /// Members in other groups, of all states. Derived from `states`.
    remote_members: usize,
    /// The highest episode number of a state that was dropped: later episodes go on from there, so that no alert id comes twice.
    episode_floor: u32,
}

/// What the home of a family keeps for one scope.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FamilyState {
    pub(crate) episode: Episode,
    pub(crate) verdict: Option<Verdict>,
    /// Figures of members that live in other groups: number of the latest delta, and its records.
    pub(crate) remote: BTreeMap<ContentId, (u64, Vec<HotRecord>)>,
    /// When this was last needed.
    touched_at: Timestamp,
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

/// How many members in other groups are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RemoteLimits {
    /// Of one family in one scope.
    pub(crate) per_family: usize,
    /// Of all families of one scope.
    pub(crate) per_class: usize,
    /// At a limit, those whose latest event lies before this give way.
    pub(crate) oldest: Timestamp,
}

impl Families {
    /// The family of a content for readers of the scope whose own class is `class`.
    pub(crate) fn of(&self, content: ContentId, class: Class) -> FamilyId {
        self.edge(content, class).map_or(FamilyId(content), |edge| edge.family)
    }

    /// How a content came into that family; `None` of its founder, and where it was not kept.
    pub(crate) fn joined(&self, content: ContentId, class: Class) -> Option<Joined> {
        self.edge(content, class)?.joined
    }

    /// Whether a link says something that is to hold.
    pub(crate) fn is_news(&self, link: &Link) -> bool {
        is_wanted(link, self.edge(link.content, link.class))
    }

    fn edge(&self, content: ContentId, class: Class) -> Option<&Edge> {
        let linked = |class| self.class(class).and_then(|own| own.links.get(&content));
        let for_all = || if class == Class::All { None } else { linked(Class::All) };
        linked(class).or_else(for_all)
    }

    /// Whether nothing beyond the founder itself is known of this family in this scope.
    pub(crate) fn is_plain(&self, family: FamilyId, class: Class) -> bool {
        let own = self.class(class);
        let has_linked = |own: Option<&ClassFamilies>| own.is_some_and(|own| own.linked.contains_key(&family));
        let has_remote = |own: &ClassFamilies| own.states.get(&family).is_some_and(|state| !state.remote.is_empty());
        !has_linked(own) && !own.is_some_and(has_remote) && (class == Class::All || !has_linked(self.class(Class::All)))
    }

    /// Whether a content is a family of its own in scope `all`, and nothing else belongs to it.
    pub(crate) fn is_alone(&self, content: ContentId) -> bool {
        let family = FamilyId(content);
        self.class(Class::All).is_none_or(|own| {
            !own.links.contains_key(&content)
                && !own.linked.contains_key(&family)
                && own.states.get(&family).is_none_or(|state| state.remote.is_empty())
        })
    }

    /// Whether the content has a link of this very class.
    pub(crate) fn has_link(&self, content: ContentId, class: Class) -> bool {
        self.class(class).is_some_and(|own| own.links.contains_key(&content))
    }

    /// The own classes of the scopes beyond `all` in which the content has a link of its own.
    pub(crate) fn classes_beyond_all_with_link(&self, content: ContentId) -> Vec<Class> {
        let classes = self.classes().filter(|class| *class != Class::All);
        classes.filter(|class| self.has_link(content, *class)).collect()
    }

    /// Every linked content of this group with the class of its link, ascending.
    pub(crate) fn linked_members(&self) -> Vec<(ContentId, Class)> {
        let classes = self.classes.iter();
        let mut members: Vec<_> = classes
            .flat_map(|(class, own)| own.links.keys().map(move |content| (*content, class)))
            .collect();
        members.sort_unstable();
        members
    }

    /// Joins a content to a family in one class. Of two families the one with the lower id wins, so that links converge in any order. At the
    /// limit the oldest link of a content that is not hot gives way.
    pub(crate) fn link(
        &mut self,
        link: &Link,
        now: Timestamp,
        links_max: usize,
        is_hot: impl Fn(ContentId) -> bool,
    ) -> Linked {
        let (content, class, family) = (link.content, link.class, link.family);
        if !self.is_news(link) {
            return Linked::Unchanged;
        }
        let before = self.edge(content, class);
        let from = before.map_or(FamilyId(content), |edge| edge.family);
        let edge = Edge::new(link, before, now);
        let own = self.classes.get_or_insert_with(class, ClassFamilies::default);
        if !own.links.contains_key(&content) && own.links.len() >= links_max {
            let oldest = own.by_age.iter().filter(|(_, content)| !is_hot(*content));
            // What people said goes last.
            let Some((_, oldest)) = oldest
                .min_by_key(|place| (own.links[&place.1].is_by_person(), **place))
                .copied()
            else {
                return Linked::Refused;
            };
            own.unlink(oldest);
        }
        own.unlink(content);
        own.insert_link(content, edge);
        match from == family {
            true => Linked::Unchanged,
            false => Linked::Joined { from },
        }
    }

    /// The members of a family in a scope whose records live in this group, ascending.
    pub(crate) fn local_members(&self, family: FamilyId, class: Class) -> Vec<ContentId> {
        let mut members: BTreeSet<ContentId> = BTreeSet::from([family.0]);
        for own in [class, Class::All] {
            members.extend(self.linked_to(family, own));
        }
        members
            .into_iter()
            .filter(|member| self.of(*member, class) == family)
            .collect()
    }

    /// The contents of this group with a link of this very class to the family, ascending.
    pub(crate) fn linked_to(&self, family: FamilyId, class: Class) -> impl Iterator<Item = ContentId> + '_ {
        let linked = self.class(class).and_then(|own| own.linked.get(&family));
        linked.into_iter().flatten().copied()
    }

    pub(crate) fn state(&self, family: FamilyId, class: Class) -> Option<&FamilyState> {
        self.class(class)?.states.get(&family)
    }

    /// The own classes of the scopes beyond `all` in which this family has a state, ascending.
    pub(crate) fn scopes_with_state(&self, family: FamilyId) -> impl Iterator<Item = Class> + '_ {
        let beyond = self.classes.iter().filter(|(class, _)| *class != Class::All);
        beyond
            .filter(move |(_, own)| own.states.contains_key(&family))
            .map(|(class, _)| class)
    }

    /// The state of a family in a scope, made when absent. A new one may push out one with nothing open; `None` where everything is.
    pub(crate) fn state_mut(
        &mut self,
        family: FamilyId,
        class: Class,
        now: Timestamp,
        states_max: usize,
    ) -> Option<&mut FamilyState> {
        let own = self.classes.get_or_insert_with(class, ClassFamilies::default);
        if !own.states.contains_key(&family) && own.states.len() >= states_max {
            let dispensable = own.states.iter().filter(|(_, state)| !state.episode.open);
            // What people decided goes last.
            let first = dispensable.min_by_key(|(_, state)| (state.verdict.is_some(), state.touched_at));
            let first = *first?.0;
            if let Some(state) = own.states.remove(&first) {
                own.remote_members -= state.remote.len();
                own.episode_floor = own.episode_floor.max(state.episode.number);
            }
        }
        let floor = own.episode_floor;
        let state = own
            .states
            .entry(family)
            .or_insert_with(|| FamilyState::new(Episode::after(floor)));
        state.touched_at = state.touched_at.max(now);
        Some(state)
    }

    /// Takes note of what became of an episode's alert.
    pub(crate) fn set_paged(&mut self, family: FamilyId, class: Class, paged: bool) {
        let state = self.classes.get_mut(class).and_then(|own| own.states.get_mut(&family));
        if let Some(state) = state {
            state.episode.paged = paged;
        }
    }

    /// An alert told of the live streams that began up to this time.
    pub(crate) fn told_live(&mut self, family: FamilyId, class: Class, began_at: Timestamp) {
        let state = self.classes.get_mut(class).and_then(|own| own.states.get_mut(&family));
        if let Some(state) = state {
            state.episode.told_live(began_at);
        }
    }

    /// Takes the members in other groups out of a state.
    pub(crate) fn take_remote(&mut self, family: FamilyId, class: Class) -> BTreeMap<ContentId, (u64, Vec<HotRecord>)> {
        let Some(own) = self.classes.get_mut(class) else {
            return BTreeMap::new();
        };
        let state = own.states.get_mut(&family);
        let taken = state.map(|state| std::mem::take(&mut state.remote)).unwrap_or_default();
        own.remote_members -= taken.len();
        taken
    }

    /// Keeps the figures of a member in another group, unless newer ones are there. Whether there was room: at the limits of its family
    /// and of its class, members give way that no window can hold any more. The state is there.
    pub(crate) fn keep_remote(
        &mut self,
        (family, class): (FamilyId, Class),
        member: ContentId,
        (number, records): (u64, Vec<HotRecord>),
        limits: RemoteLimits,
    ) -> bool {
        let Some(own) = self.classes.get_mut(class) else {
            return false;
        };
        let Some(state) = own.states.get_mut(&family) else {
            return false;
        };
        if let Some(kept) = state.remote.get_mut(&member) {
            if kept.0 < number {
                *kept = (number, records);
            }
            return true;
        }
        let is_full = |own: &ClassFamilies| {
            let of_family = own.states.get(&family).map_or(0, |state| state.remote.len());
            of_family >= limits.per_family || own.remote_members >= limits.per_class
        };
        if is_full(own) {
            own.drop_remote(limits.oldest);
        }
        if is_full(own) {
            return false;
        }
        if let Some(state) = own.states.get_mut(&family) {
            state.remote.insert(member, (number, records));
            own.remote_members += 1;
        }
        true
    }

    /// Members in other groups whose figures are kept in this class.
    #[cfg(test)]
    pub(crate) fn remote_members(&self, class: Class) -> usize {
        self.class(class).map_or(0, |own| own.remote_members)
    }

    pub(crate) fn open_episodes(&self) -> usize {
        let states = self.classes.iter().flat_map(|(_, own)| own.states.values());
        states.filter(|state| state.episode.open).count()
    }

    /// The families with an open episode in the scope whose own class this is, ascending.
    pub(crate) fn open(&self, class: Class) -> impl Iterator<Item = FamilyId> + '_ {
        let states = self.class(class).into_iter().flat_map(|own| &own.states);
        states
            .filter(|(_, state)| state.episode.open)
            .map(|(family, _)| *family)
    }

    /// The classes in which anything is known, ascending.
    pub(crate) fn classes(&self) -> impl Iterator<Item = Class> + '_ {
        self.classes.iter().map(|(class, _)| class)
    }

    /// The highest of them.
    pub(crate) fn last_class(&self) -> Option<Class> {
        self.classes.last()
    }

    fn class(&self, class: Class) -> Option<&ClassFamilies> {
        self.classes.get(class)
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.number(self.classes.len() as u64);
        for (class, own) in self.classes.iter() {
            out.number(u64::from(class.number()));
            own.encode(out);
        }
    }

    /// The inverse of [`Families::encode`]; before version 6 nobody kept how a content joined, and before 7 neither by which families it came nor
    /// in which one an episode was raised.
    pub(crate) fn decode(version: u16, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut families = Families::default();
        for _ in 0..input.length(4)? {
            let class = decode_class(input)?;
            families.classes.insert(class, ClassFamilies::decode(version, input)?);
        }
        Ok(families)
    }
}

impl ClassFamilies {
    fn insert_link(&mut self, content: ContentId, edge: Edge) {
        self.by_age.insert((edge.since, content));
        self.linked.entry(edge.family).or_default().insert(content);
        self.links.insert(content, edge);
    }

    fn unlink(&mut self, content: ContentId) {
        let Some(Edge { family, since, .. }) = self.links.remove(&content) else {
            return;
        };
        self.by_age.remove(&(since, content));
        if let Some(members) = self.linked.get_mut(&family) {
            members.remove(&content);
            if members.is_empty() {
                self.linked.remove(&family);
            }
        }
    }

    /// Drops the members in other groups whose latest event lies before `oldest`.
    fn drop_remote(&mut self, oldest: Timestamp) {
        let lives = |records: &[HotRecord]| records.iter().any(|record| record.last_seen() >= oldest);
        for state in self.states.values_mut() {
            state.remote.retain(|_, (_, records)| lives(records));
        }
        self.remote_members = self.states.values().map(|state| state.remote.len()).sum();
    }

    fn encode(&self, out: &mut Encoder) {
        out.number(u64::from(self.episode_floor));
        out.number(self.links.len() as u64);
        for (content, edge) in &self.links {
            out.fixed128(content.0);
            out.fixed128(edge.family.0.0);
            out.signed(edge.since.0);
            encode_joined(edge.joined.as_ref(), out);
            encode_via(&edge.via, out);
        }
        out.number(self.states.len() as u64);
        for (family, state) in &self.states {
            out.fixed128(family.0.0);
            state.encode(out);
        }
    }

    fn decode(version: u16, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let (has_joined, has_via) = (version >= 6, version >= 7);
        let mut own = ClassFamilies {
            episode_floor: input.narrow("number of an episode")?,
            ..ClassFamilies::default()
        };
        for _ in 0..input.length(33)? {
            let content = ContentId(input.fixed128()?);
            let family = FamilyId(ContentId(input.fixed128()?));
            own.unlink(content);
            let edge = Edge {
                family,
                since: Timestamp(input.signed()?),
                joined: if has_joined { decode_joined(input)? } else { None },
                via: if has_via { decode_via(input)? } else { Vec::new() },
            };
            own.insert_link(content, edge);
        }
        for _ in 0..input.length(20)? {
            let family = FamilyId(ContentId(input.fixed128()?));
            let state = FamilyState::decode(version, input)?;
            own.remote_members += state.remote.len();
            if let Some(twice) = own.states.insert(family, state) {
                own.remote_members -= twice.remote.len();
            }
        }
        Ok(own)
    }
}

impl FamilyState {
    fn new(episode: Episode) -> Self {
        FamilyState {
            episode,
            verdict: None,
            remote: BTreeMap::new(),
            touched_at: Timestamp::MIN,
        }
    }

    /// The records of all members that live in other groups.
    pub(crate) fn remote_records(&self) -> impl Iterator<Item = &HotRecord> {
        self.remote.values().flat_map(|(_, records)| records)
    }

    fn encode(&self, out: &mut Encoder) {
        self.episode.encode(out);
        out.byte(self.verdict.map_or(0, |verdict| verdict as u8));
        out.signed(self.touched_at.0);
        out.number(self.remote.len() as u64);
        for (member, (number, records)) in &self.remote {
            out.fixed128(member.0);
            out.number(*number);
            encode_records(records.iter(), out);
        }
    }

    fn decode(version: u16, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut state = FamilyState::new(Episode::decode(version >= 7, input)?);
        state.verdict = match input.byte()? {
            0 => None,
            number => Some(Verdict::from_number(number).ok_or(DecodeError::Invalid("verdict"))?),
        };
        state.touched_at = Timestamp(input.signed()?);
        for _ in 0..input.length(18)? {
            let member = ContentId(input.fixed128()?);
            let number = input.number()?;
            state.remote.insert(member, (number, decode_records(input)?));
        }
        Ok(state)
    }
}

/// The records of a delta. What came of their contents since they were listed is of no use elsewhere and left out.
pub(crate) fn encode_records<'a>(records: impl ExactSizeIterator<Item = &'a HotRecord>, out: &mut Encoder) {
    out.number(records.len() as u64);
    for record in records {
        record.encode_member(out);
    }
}

/// The inverse of [`encode_records`].
pub(crate) fn decode_records(input: &mut Decoder<'_>) -> Result<Vec<HotRecord>, DecodeError> {
    (0..input.length(40)?).map(|_| HotRecord::decode(input)).collect()
}
