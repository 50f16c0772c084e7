use std::collections::{HashMap, VecDeque};

use tocsin_model::{Class, ContentId, Evidence, FamilyId, Link, Milliseconds, PartyId, Timestamp};

/// The links found lately. The same link follows from every copy that goes by; it is said again only after a while, since the group it
/// is for may have had to let go of it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// By whom counts where one party's word may have to wait for another's.
    at: HashMap<Said, Timestamp>,
    by_age: VecDeque<(Timestamp, Said)>,
}

type Said = (ContentId, FamilyId, Class, Option<PartyId>);

/// How long a link is not said again.
const AGAIN_AFTER: Milliseconds = Milliseconds::from_minutes(10);

impl Told {
    /// Whether the link was not said lately; it is from now on.
    pub(crate) fn is_new(&mut self, link: &Link, said_max: usize) -> bool {
        while let Some((at, said)) = self.by_age.front().copied() {
            if self.by_age.len() < said_max && link.at - at < AGAIN_AFTER {
                break;
            }
            self.by_age.pop_front();
            self.at.remove(&said);
        }
        let may_wait = matches!(link.evidence, Evidence::PartyLink | Evidence::FrameShare(_));
        let by = link.party.filter(|_| may_wait);
        let said = (link.content, link.family, link.class, by);
        if self.at.contains_key(&said) {
            return false;
        }
        self.at.insert(said, link.at);
        self.by_age.push_back((link.at, said));
        true
    }
}
