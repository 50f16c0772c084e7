use tocsin_model::{Kind, Surface, Timestamp};

/// One record of a day: an event, as compact as it can be. Copied freely; a day has millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The event. A duplicate repeats it; nothing else does.
    pub number: u64,
    /// When it truly happened. No detector may look at it.
    pub happened_at: Timestamp,
    /// When it happened by the platform's clock.
    pub occurred_at: Timestamp,
    /// When it is received: never before it happened.
    pub received_at: Timestamp,
    /// The family of variants it belongs to.
    pub family: Family,
    /// Who did it.
    pub account: Account,
    /// Followers, views or viewers, by kind; 0 for a blocked upload, which nobody saw.
    pub audience: u32,
    /// Which variant of the family: 0 is the first. A content is a family and a variant.
    pub variant: u16,
    /// Which platform, by its place in [`super::DayPlan::platforms`].
    pub platform: u8,
    /// Which party, by its place in [`super::DayPlan::parties`].
    pub party: u8,
    /// What happened.
    pub kind: Kind,
    /// Where on the platform.
    pub surface: Surface,
    /// The confidence of the platform's own label `tvec`, in per cent, where it has put one.
    pub tvec_confidence: Option<u8>,
}

/// A family of variants: what spreads. Its number says of which [`FamilyKind`] it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Family(pub u64);

/// An account: of one platform, so accounts of different platforms are different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account(pub u64);

/// What a family is. Known to the generator and to the score; no detector may look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FamilyKind {
    /// Seen once, or popular day after day.
    Ordinary = 0,
    /// Benign, self-exciting, of any size from a few copies.
    Burst = 1,
    /// Benign, self-exciting and large.
    Cascade = 2,
    /// An excerpt in the news, shortly after a crisis.
    News = 3,
    /// A product launch: everybody at one minute.
    Launch = 4,
    /// A petition: for hours, never fast.
    Petition = 5,
    /// Made by an attacker of the alarm.
    Attack = 6,
    /// What the alarm is for.
    Crisis = 7,
}

impl FamilyKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [FamilyKind; 8] = [
        FamilyKind::Ordinary,
        FamilyKind::Burst,
        FamilyKind::Cascade,
        FamilyKind::News,
        FamilyKind::Launch,
        FamilyKind::Petition,
        FamilyKind::Attack,
        FamilyKind::Crisis,
    ];

    /// The word for it in rows.
    pub fn name(self) -> &'static str {
        match self {
            FamilyKind::Ordinary => "ordinary",
            FamilyKind::Burst => "burst",
            FamilyKind::Cascade => "cascade",
            FamilyKind::News => "news",
            FamilyKind::Launch => "launch",
            FamilyKind::Petition => "petition",
            FamilyKind::Attack => "attack",
            FamilyKind::Crisis => "crisis",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        FamilyKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Family {
    /// The number of a family: its kind in the highest byte.
    pub const fn of(kind: FamilyKind, index: u64) -> Self {
        Family((kind as u64) << 56 | index)
    }

    /// What it is.
    pub fn kind(self) -> FamilyKind {
        FamilyKind::ALL[(self.0 >> 56) as usize & 7]
    }
}

impl Account {
    /// Marks an account that was crafted, see [`Account::is_crafted`].
    const CRAFTED: u64 = 1 << 55;

    /// The number of an account: its platform in the highest byte.
    pub(crate) const fn of(platform: u8, index: u64) -> Self {
        Account((platform as u64) << 56 | index)
    }

    /// An account crafted by an attacker.
    pub(crate) const fn crafted(platform: u8, index: u64) -> Self {
        Account::of(platform, Self::CRAFTED | index)
    }

    /// Whether an attacker has chosen its pseudonym, so that a HyperLogLog that takes it for a hash counts millions.
    pub fn is_crafted(self) -> bool {
        self.0 & Self::CRAFTED != 0
    }

    /// The number without its platform and mark.
    pub(crate) fn index(self) -> u64 {
        self.0 & (Self::CRAFTED - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_say_what_they_are() {
        for kind in FamilyKind::ALL {
            assert_eq!(Family::of(kind, 123).kind(), kind);
            assert_eq!(FamilyKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(FamilyKind::from_name("else"), None);
        assert!(Account::crafted(3, 9).is_crafted() && !Account::of(3, 9).is_crafted());
        assert_eq!(Account::crafted(3, 9).index(), 9);
    }

    #[test]
    fn a_record_is_compact() {
        assert!(size_of::<Occurrence>() <= 80, "{}", size_of::<Occurrence>());
    }
}
