//! One party's word, or the frames that it alone tells of, does not make one family of two that other parties' events tell of, and not of a few
//! copies: a second party has to say so too.
//!
//! A content's group knows what is told of the content's own family, and not of the other one. So a link that has to wait is asked about at the
//! home of the other family, which lets it pass where nobody but that party tells of its own; and one such link alone, since what it lets in is told of
//! by others, which it hears only when that one's figures have come. Who said what, and that one was let in, is remembered as events' tokens are, for
//! as long, so that a word that nobody takes up is forgotten.

use tocsin_model::{Class, ContentId, Evidence, FamilyId, Link, PartyId};
use tocsin_sketch::Inserted;

use crate::bins::{DAY_BINS, Resolution};
use crate::group::Group;
use crate::input::{HotKey, Output};
use crate::membership::Tidings;

/// So many copies of a day by events of other parties make a family one that they tell of: what is 20 in an hour is near a spike. What a few tell of
/// has little to lose, and the variants of a crisis are linked before they are many.
const TOLD_OF_BY: u64 = 20;

/// What one party says of two families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) party: PartyId,
    /// So many of a hundred frames are the same, by those that it tells of; `None`: it says that they are one.
    pub(crate) share: Option<u16>,
}

impl Word {
    /// What a link rests on, where that is one party's word.
    fn of(link: &Link) -> Option<Word> {
        let share = match link.evidence {
            Evidence::PartyLink => None,
            Evidence::FrameShare(share) => Some(share),
            _ => return None,
        };
        let party = link.party?;
        Some(Word { party, share })
    }

    fn evidence(self) -> Evidence {
        self.share.map_or(Evidence::PartyLink, Evidence::FrameShare)
    }
}

impl Group {
    /// Whether a link rests on one party's word, and waits for another's since a third one's events tell of the content's family. The home of the
    /// other family is asked once.
    pub(crate) fn waits_for_another(&mut self, link: &Link, out: &mut Vec<Output>) -> bool {
        let Some(word) = Word::of(link) else {
            return false;
        };
        let party = word.party;
        if !self.is_told_of_by_others(link.content, link.class, party) {
            return false;
        }
        // The first one first: it is forgotten no later than the party's own, which would else be taken for a second party's.
        let said = self.remember(link, None);
        let by_party = self.remember(link, Some(party));
        match (said, by_party) {
            (Inserted::Known, Inserted::New) => return false,
            // Out of a family that it is in nobody takes it alone, whatever is told of the other one.
            (Inserted::New, _) if self.families.of(link.content, link.class) == FamilyId(link.content) => {
                let question = Tidings::Asked(word);
                self.say_once((link.family, link.class), link.content, Some(&question), out);
            }
            _ => {}
        }
        self.counters.links_uncorroborated += 1;
        true
    }

    /// Remembers that somebody, or this party, said what a link says.
    fn remember(&mut self, link: &Link, party: Option<PartyId>) -> Inserted {
        let (content, family) = (link.content.0.to_be_bytes(), link.family.0.0.to_be_bytes());
        let class = link.class.number().to_be_bytes();
        let party = party.map(|party| party.0.to_be_bytes());
        let party = party.as_ref().map_or(&[][..], |party| party);
        let token = self.config.key.digest("word", &[&content, &family, &class, party]) as u64;
        self.retries.insert(token, self.now)
    }

    /// What is remembered of a family that one was let into.
    fn let_in(&self, family: FamilyId, class: Class) -> u64 {
        let (family, class) = (family.0.0.to_be_bytes(), class.number().to_be_bytes());
        self.config.key.digest("let in", &[&family, &class]) as u64
    }

    /// A party said that a family of another group is this one: unless others tell of this one too, or of one that was let in, nothing speaks
    /// against it.
    pub(crate) fn asked(
        &mut self,
        (family, class): (FamilyId, Class),
        founder: ContentId,
        word: Word,
        out: &mut Vec<Output>,
    ) {
        if !self.is_told_of_by_others(family.0, class, word.party) {
            let token = self.let_in(family, class);
            self.retries.insert(token, self.now);
            let answer = Tidings::Granted(word);
            self.say_once((FamilyId(founder), class), family.0, Some(&answer), out);
        }
    }

    /// The home of the other family lets a party's word pass.
    pub(crate) fn granted(
        &mut self,
        (content, class): (ContentId, Class),
        family: FamilyId,
        word: Word,
        out: &mut Vec<Output>,
    ) {
        // What joined another family meanwhile was asked about for itself alone.
        if self.families.of(content, class) != FamilyId(content) {
            return;
        }
        let keys = [class, Class::All].map(|class| HotKey { content, class });
        let Some(hash) = keys
            .into_iter()
            .find_map(|key| self.hot(key))
            .map(|record| record.hash().clone())
        else {
            return;
        };
        let link = Link {
            content,
            hash,
            family,
            evidence: word.evidence(),
            party: Some(word.party),
            class,
            at: self.now,
        };
        self.take_link(&link, out);
    }

    /// Whether events of other parties tell of a day's copies of a family, as far as the scope sees them, or will as soon as the figures of one
    /// that was let in have come; of a content that is in another one's family, of that content.
    fn is_told_of_by_others(&mut self, content: ContentId, class: Class, party: PartyId) -> bool {
        let family = FamilyId(content);
        let is_founder = self.families.of(content, class) == family;
        self.retries.advance(self.now);
        let mut let_in = [class, Class::All].map(|class| self.let_in(family, class)).into_iter();
        if is_founder && let_in.any(|token| self.retries.holds(token)) {
            return true;
        }
        let records = match is_founder {
            true => self.records(family, class),
            false => self.own_records(content, class),
        };
        let cells = records.iter().flat_map(|record| record.cells());
        let by_others = cells.filter(|cell| cell.party != party && cell.kind.is_spread());
        let copies = by_others.map(|cell| cell.series.recent(Resolution::Minutes15, DAY_BINS, self.now));
        copies.sum::<u64>() >= TOLD_OF_BY
    }
}
