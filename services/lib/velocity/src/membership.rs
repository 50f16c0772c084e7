//! Families over several groups: links, figures of members that live elsewhere, decisions.

use std::collections::BTreeMap;

use tocsin_model::{
    Class, ContentHash, ContentId, Decision, Delta, Evidence, FamilyAnnouncement, FamilyId, Link, Milliseconds,
    PartyId, Timestamp, Verdict,
};
use tocsin_sketch::Inserted;
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use crate::corroboration::Word;
use crate::deadline::Duty;
use crate::episode::{Episode, REVIEW_EVERY, Rings};
use crate::family::{Linked, RemoteLimits, decode_records, encode_records};
use crate::group::{Group, Promotion};
use crate::input::{HotKey, Output};
use crate::record::{HotRecord, Resolution};
use crate::trigger::total;

fn is_harmless(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Benign | Verdict::Newsworthy)
}

/// What the home of a family is told of a member, or of another family, beside figures. Stands behind an empty list of records: a program that
/// does not know it refuses the delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tidings {
    /// The family that the member founded brings its episode along.
    Episode(Episode),
    /// The member is gone, and those that came by it are to follow it.
    Parted,
    /// A party says that the member's family is this one, and others tell of the member: whether they do of this family too.
    Asked(Word),
    /// Of the home of the other family: nobody else does.
    Granted(Word),
}

impl Tidings {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Tidings::Episode(episode) => {
                out.byte(1);
                episode.encode(out);
            }
            Tidings::Parted => out.byte(2),
            Tidings::Asked(word) => Tidings::encode_word(*word, 3, out),
            Tidings::Granted(word) => Tidings::encode_word(*word, 4, out),
        }
    }

    /// Of frames the number is two more, and their share follows.
    fn encode_word(word: Word, number: u8, out: &mut Encoder) {
        out.byte(number + if word.share.is_some() { 2 } else { 0 });
        out.number(u64::from(word.party.0));
        if let Some(share) = word.share {
            out.number(u64::from(share));
        }
    }

    fn decode_word(is_of_frames: bool, input: &mut Decoder<'_>) -> Result<Word, DecodeError> {
        let party = PartyId(input.narrow("party")?);
        let share = is_of_frames.then(|| input.narrow("share of frames")).transpose()?;
        Ok(Word { party, share })
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.byte()? {
            1 => Episode::decode(true, input).map(Tidings::Episode),
            2 => Ok(Tidings::Parted),
            3 => Tidings::decode_word(false, input).map(Tidings::Asked),
            4 => Tidings::decode_word(false, input).map(Tidings::Granted),
            5 => Tidings::decode_word(true, input).map(Tidings::Asked),
            6 => Tidings::decode_word(true, input).map(Tidings::Granted),
            _ => Err(DecodeError::Invalid("tidings of a member")),
        }
    }
}

/// The most members of one family that live in other groups.
pub(crate) const REMOTE_MEMBERS_MAX: usize = 4_096;
/// At that limit a member gives way that no window can hold any more.
const REMOTE_MEMBER_KEPT: Milliseconds = Milliseconds::from_hours(25);

impl Group {
    pub(crate) fn link(&mut self, link: &Link, out: &mut Vec<Output>) {
        if link.content.group() != self.id {
            self.counters.links_refused += 1;
            return;
        }
        self.pass(link.at, out);
        // What holds in a scope because it holds for everyone is parted for everyone.
        let goes_back = link.evidence == Evidence::FamilyParted && link.family.0 != link.content;
        if goes_back && !self.families.has_link(link.content, link.class) {
            return;
        }
        if self.families.is_news(link) && self.waits_for_another(link, out) {
            return;
        }
        self.take_link(link, out);
        // What a person says for everyone goes before what was found in one scope.
        let is_by_person = matches!(link.evidence, Evidence::Moderator | Evidence::FamilyParted);
        if is_by_person && !goes_back && link.class == Class::All {
            for class in self.families.classes_beyond_all_with_link(link.content) {
                self.take_link(&Link { class, ..link.clone() }, out);
            }
        }
    }

    pub(crate) fn take_link(&mut self, link: &Link, out: &mut Vec<Output>) {
        // Most links say what is known: nothing is gathered for them.
        if !self.families.is_news(link) {
            return;
        }
        let hot = self.classes.get(link.class);
        let is_hot = |content| hot.is_some_and(|counts| counts.hot(content).is_some());
        let links_max = self.config.links_max();
        let before = self.families_of(link.content);
        match self.families.link(link, self.now, links_max, is_hot) {
            Linked::Joined { from } => {
                self.joined(link, from, out);
                self.leave(link, &before, out);
            }
            Linked::Unchanged => {}
            Linked::Refused => self.counters.links_refused += 1,
        }
    }

    fn joined(&mut self, link: &Link, from: FamilyId, out: &mut Vec<Output>) {
        let (content, class) = (link.content, link.class);
        self.end_quiet(content, Class::All);
        self.end_quiet(link.family.0, Class::All);
        if let Some(record) = self.hot(HotKey { content, class }) {
            out.push(Output::Announcement(FamilyAnnouncement {
                content,
                hash: record.hash().clone(),
                family: self.families.of(content, class),
                class,
                at: self.now,
            }));
        } else {
            self.promote(content, class, || link.hash.clone(), Promotion::ByLink, out);
        }
        for (own, counts) in self.classes.iter_mut() {
            let (family, joined) = (self.families.of(content, own), self.families.joined(content, own));
            if counts.set_family(content, family, joined) {
                self.changed.insert(HotKey { content, class: own });
            }
        }
        if from == FamilyId(content) {
            self.close_joined(content, class, out);
            if class == Class::All {
                let narrower: Vec<Class> = self.families.scopes_with_state(from).collect();
                narrower
                    .into_iter()
                    .for_each(|own| self.close_joined(content, own, out));
            }
            self.relink_members(from, class, out);
        }
        self.touched(content, class, out);
    }

    /// The family of a content in each scope that counts or links it.
    fn families_of(&self, content: ContentId) -> BTreeMap<Class, FamilyId> {
        let counted = self.scopes_beyond_all(content).into_iter();
        let classes = counted.chain([Class::All]).chain(self.families.classes());
        classes.map(|class| (class, self.families.of(content, class))).collect()
    }

    /// The homes of families that a content belonged to hear that it is gone: what it said of its figures there would stand until no window
    /// holds it. A founder's home needs no telling, nor does one whose founder was linked itself: it sent this link.
    fn leave(&mut self, link: &Link, before: &BTreeMap<Class, FamilyId>, out: &mut Vec<Output>) {
        if link.evidence == Evidence::FounderLinked {
            return;
        }
        let is_parted = link.evidence == Evidence::FamilyParted && link.family.0 == link.content;
        for (class, family) in before {
            let stays = self.families.of(link.content, *class) == *family;
            if stays || *family == FamilyId(link.content) {
                continue;
            }
            match (is_parted, family.home() == self.id) {
                (true, true) => self.part(*family, *class, link.content, out),
                (false, true) => {}
                (true, false) => self.say_once((*family, *class), link.content, Some(&Tidings::Parted), out),
                (false, false) => self.say_once((*family, *class), link.content, None, out),
            }
        }
    }

    /// Says of a content of this group what has no figures: that it is gone, or what else the home of a family must know.
    pub(crate) fn say_once(
        &mut self,
        (family, class): (FamilyId, Class),
        member: ContentId,
        tidings: Option<&Tidings>,
        out: &mut Vec<Output>,
    ) {
        let mut records = Encoder::new();
        encode_records([].into_iter(), &mut records);
        if let Some(tidings) = tidings {
            tidings.encode(&mut records);
        }
        self.delta_number += 1;
        out.push(Output::Delta(Delta {
            family,
            member,
            class,
            number: self.delta_number,
            records: records.finish(),
        }));
    }

    /// A founder is parted from this family: those that came by it are told to go back. Who did is known to each of them alone.
    fn part(&self, family: FamilyId, class: Class, founder: ContentId, out: &mut Vec<Output>) {
        let members = self.known_members(family, class).into_iter();
        let others = members.filter(|(member, _)| *member != founder);
        out.extend(others.map(|(content, hash)| {
            Output::Link(Link {
                content,
                hash,
                family: FamilyId(founder),
                evidence: Evidence::FamilyParted,
                party: None,
                class,
                at: self.now,
            })
        }));
    }

    /// The members of a family by links of this very class, founder aside, of which hot records are known: here and in other groups.
    fn known_members(&self, family: FamilyId, class: Class) -> Vec<(ContentId, ContentHash)> {
        let hash = |content: ContentId| {
            let keys = [class, Class::All].map(|class| HotKey { content, class });
            let record = keys.into_iter().find_map(|key| self.hot(key));
            record.map(|record| (content, record.hash().clone()))
        };
        let state = self.families.state(family, class);
        let remote = state.into_iter().flat_map(|state| &state.remote);
        let remote = remote.filter_map(|(member, (_, records))| Some((*member, records.first()?.hash().clone())));
        self.families
            .linked_to(family, class)
            .filter_map(hash)
            .chain(remote)
            .collect()
    }

    /// A family that joined another rings no more on its own: its episode ends here and goes on in the family it joins.
    fn close_joined(&mut self, founder: ContentId, class: Class, out: &mut Vec<Output>) {
        let (family, now) = (FamilyId(founder), self.now);
        if self.families.state(family, class).is_none() || self.families.of(founder, class) == family {
            return;
        }
        let Some(state) = self.families.state_mut(family, class, now, self.config.links_max()) else {
            return;
        };
        let is_harmless = state.verdict.is_some_and(is_harmless);
        let episode = state.episode.brought_by(family);
        if let Some(level) = state.episode.closed(now) {
            // The family has no member left here, so the alert is composed from what was its founder.
            let records = self.own_records(founder, class);
            let alert = self.compose_alert(family, class, level, &records);
            out.extend(alert.map(|alert| Output::Alert(Box::new(alert))));
        }
        // What people found harmless rings nobody in another family either.
        if episode.is_known(now) && !is_harmless {
            self.hand_over(founder, class, &episode, out);
        }
    }

    /// Tells the home of the family that a founder joined which episode comes along, behind the founder's figures: what rings is rung for once.
    fn hand_over(&mut self, founder: ContentId, class: Class, episode: &Episode, out: &mut Vec<Output>) {
        self.send_delta(founder, class, out);
        let family = self.families.of(founder, class);
        self.say_once((family, class), founder, Some(&Tidings::Episode(episode.clone())), out);
    }

    /// A family that joined this one brings its episode along.
    fn take_over(&mut self, (family, class): (FamilyId, Class), joined: &Episode, out: &mut Vec<Output>) {
        let now = self.now;
        let Some(state) = self.families.state_mut(family, class, now, self.config.links_max()) else {
            self.counters.states_refused += 1;
            return;
        };
        if let Some(level) = state.episode.taken_over(joined, now) {
            self.deadlines.add(now + REVIEW_EVERY, Duty::Review(family, class));
            self.end_quiet(family.0, Class::All);
            self.alert(family, class, level, out);
        }
    }

    /// The founder of this family joined another: its members are told to follow, those that links of one class alone made members too.
    fn relink_members(&mut self, joined: FamilyId, class: Class, out: &mut Vec<Output>) {
        let classes: Vec<Class> = self.families.classes().collect();
        for own in classes {
            let family = self.families.of(joined.0, own);
            if (own != class && class != Class::All) || family == joined {
                continue;
            }
            for (member, hash) in self.known_members(joined, own) {
                out.push(self.follow(member, hash, own, family));
            }
            self.families.take_remote(joined, own);
        }
    }

    fn follow(&self, member: ContentId, hash: ContentHash, class: Class, family: FamilyId) -> Output {
        Output::Link(Link {
            content: member,
            hash,
            family,
            evidence: Evidence::FounderLinked,
            party: None,
            class,
            at: self.now,
        })
    }

    pub(crate) fn send_delta(&mut self, member: ContentId, class: Class, out: &mut Vec<Output>) {
        if let Some(delta) = self.compose_delta(member, class, self.delta_number + 1) {
            self.delta_number += 1;
            out.push(Output::Delta(delta));
        }
    }

    pub(crate) fn compose_delta(&self, member: ContentId, class: Class, number: u64) -> Option<Delta> {
        let family = self.families.of(member, class);
        let records = self.own_records(member, class);
        if family.home() == self.id || records.is_empty() {
            return None;
        }
        let mut bytes = Encoder::new();
        encode_records(records.into_iter(), &mut bytes);
        Some(Delta {
            family,
            member,
            class,
            number,
            records: bytes.finish(),
        })
    }

    /// The records of one content of this group in one scope.
    pub(crate) fn own_records(&self, content: ContentId, class: Class) -> Vec<&HotRecord> {
        let classes = [Some(Class::All), (class != Class::All).then_some(class)];
        let keys = classes.into_iter().flatten().map(|class| HotKey { content, class });
        keys.filter_map(|key| self.hot(key)).collect()
    }

    pub(crate) fn delta(&mut self, delta: &Delta, out: &mut Vec<Output>) {
        let mut input = Decoder::new(&delta.records);
        let Ok(records) = decode_records(&mut input) else {
            self.counters.deltas_refused += 1;
            return;
        };
        let has_tidings = records.is_empty() && input.remaining() > 0;
        let tidings = has_tidings.then(|| Tidings::decode(&mut input)).transpose();
        let (Ok(tidings), true, Ok(())) = (tidings, delta.family.home() == self.id, input.finish()) else {
            self.counters.deltas_refused += 1;
            return;
        };
        if let Some(Tidings::Granted(word)) = tidings {
            return self.granted((delta.family.0, delta.class), FamilyId(delta.member), word, out);
        }
        let joined = self.families.of(delta.family.0, delta.class);
        if tidings.is_some() && joined != delta.family {
            // What joined another one meanwhile passes them on.
            out.push(Output::Delta(Delta {
                family: joined,
                ..delta.clone()
            }));
            return;
        }
        match tidings {
            Some(Tidings::Episode(episode)) => return self.take_over((joined, delta.class), &episode, out),
            Some(Tidings::Asked(word)) => return self.asked((joined, delta.class), delta.member, word, out),
            Some(Tidings::Granted(_)) => return,
            Some(Tidings::Parted) => self.part(joined, delta.class, delta.member, out),
            None => {}
        }
        if joined != delta.family {
            let hash = records.first().map(|record| record.hash().clone());
            out.extend(hash.map(|hash| self.follow(delta.member, hash, delta.class, joined)));
            return;
        }
        if !self.keep_figures(delta, records) {
            self.counters.deltas_refused += 1;
            return;
        }
        self.end_quiet(delta.family.0, Class::All);
        let at = self.next_settling();
        self.deadlines.add(at, Duty::Judge(delta.family, delta.class));
        if delta.class == Class::All {
            for own in self.families.scopes_with_state(delta.family) {
                self.deadlines.add(at, Duty::Judge(delta.family, own));
            }
        }
    }

    /// Keeps the figures of a member in another group, unless newer ones are there. Whether there was room.
    fn keep_figures(&mut self, delta: &Delta, records: Vec<HotRecord>) -> bool {
        let (now, states_max) = (self.now, self.config.links_max());
        if self
            .families
            .state_mut(delta.family, delta.class, now, states_max)
            .is_none()
        {
            return false;
        }
        let limits = RemoteLimits {
            per_family: REMOTE_MEMBERS_MAX,
            per_class: self.config.remote_members_max(),
            oldest: now - REMOTE_MEMBER_KEPT,
        };
        let family = (delta.family, delta.class);
        self.families
            .keep_remote(family, delta.member, (delta.number, records), limits)
    }

    pub(crate) fn decision(&mut self, decision: &Decision, out: &mut Vec<Output>) {
        if self.retries.insert(decision.id.0 as u64, self.now) == Inserted::Known {
            return;
        }
        let class = decision.scope.own_class();
        let family = self.families.of(decision.family.0, class);
        if family.home() != self.id {
            out.push(Output::Decision(Decision {
                family,
                ..decision.clone()
            }));
            return;
        }
        let now = self.now;
        let open_for_all = self
            .families
            .state(family, Class::All)
            .is_some_and(|state| state.episode.open);
        let hour = total(&self.records(family, class), Resolution::Minute1, 60, now);
        let Some(state) = self.families.state_mut(family, class, now, self.config.links_max()) else {
            self.counters.states_refused += 1;
            return;
        };
        state.verdict = Some(decision.verdict);
        let is_harmless = is_harmless(decision.verdict);
        let level = match state.episode.reasserted(now) {
            // Readers of this scope have seen scope `all`'s alert so far. From now on the scope has an episode of its own.
            None if open_for_all && class != Class::All => state.episode.judged(Rings::Yes, hour, now),
            level => level,
        };
        if let Some(level) = level {
            self.alert(family, class, level, out);
        }
        if is_harmless {
            self.set_live_told(family, class, Timestamp::MIN);
        }
    }
}
