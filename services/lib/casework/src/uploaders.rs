use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use tocsin_model::{AccountPseudonym, ContentId, Kind, PlatformId, Timestamp};

/// How many members are named with an account.
pub const MEMBERS_OF_UPLOADER_MAX: usize = 16;

/// An event that says that a member of a family was uploaded, as its platform told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberUpload {
    /// Where.
    pub platform: PlatformId,
    /// Who, and the epoch of the key of that pseudonym; `None` where the platform does not say.
    pub account: Option<(u32, AccountPseudonym)>,
    /// What.
    pub content: ContentId,
    /// How.
    pub kind: UploadKind,
    /// When, by the platform's clock.
    pub at: Timestamp,
    /// Of two that have the same one the second is the first sent again.
    pub token: u64,
}

/// The kinds of events that bring a member to a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UploadKind {
    /// It was uploaded.
    Upload,
    /// The platform refused it.
    BlockedUpload,
    /// A live stream of it began.
    LiveStart,
}

/// How often what was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UploadCounts {
    /// Uploads.
    pub uploads: u64,
    /// Uploads that the platform refused.
    pub blocked_uploads: u64,
    /// Live streams that began.
    pub live_starts: u64,
}

/// An account that uploaded members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploader {
    /// On which platform.
    pub platform: PlatformId,
    /// The epoch of the platform's key.
    pub epoch: u32,
    /// The platform's pseudonym of it.
    pub pseudonym: AccountPseudonym,
    /// How often.
    pub counts: UploadCounts,
    /// The first time, by the platform's clock.
    pub first_at: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
    /// Which members, at most [`MEMBERS_OF_UPLOADER_MAX`]: those that were read first.
    pub members: BTreeSet<ContentId>,
    /// Whether there are more.
    pub has_more_members: bool,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UploaderOrder {
    /// Whoever uploaded first.
    #[default]
    First,
    /// Whoever tried most often.
    Count,
}

/// What became of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TookUpload {
    /// It counts.
    Counted,
    /// It was counted before, and sent again.
    Again,
    /// There is no room for it: it does not count.
    Full,
}

/// The accounts that uploaded members of a family, gathered from the events of one party. Bounded: what finds no room is told, and counted by
/// nobody, so that whoever reads on from there counts it.
///
/// Memory: some 700 bytes for each account, and some 20 for each upload.
#[derive(Debug)]
pub struct Uploaders {
    accounts_max: usize,
    uploads_max: usize,
    accounts: BTreeMap<(PlatformId, u32, AccountPseudonym), Uploader>,
    without_account: BTreeMap<PlatformId, UploadCounts>,
    seen: BTreeSet<u64>,
}

impl UploadKind {
    /// What a kind of event is of these; `None` of any other: a share brings nothing new, and a report no copy.
    pub fn of(kind: Kind) -> Option<UploadKind> {
        match kind {
            Kind::Upload => Some(UploadKind::Upload),
            Kind::BlockedUpload => Some(UploadKind::BlockedUpload),
            Kind::LiveStart => Some(UploadKind::LiveStart),
            _ => None,
        }
    }
}

impl UploadCounts {
    /// One more.
    pub fn count(&mut self, kind: UploadKind) {
        match kind {
            UploadKind::Upload => self.uploads += 1,
            UploadKind::BlockedUpload => self.blocked_uploads += 1,
            UploadKind::LiveStart => self.live_starts += 1,
        }
    }

    /// All together.
    pub fn all(&self) -> u64 {
        self.uploads + self.blocked_uploads + self.live_starts
    }
}

impl UploaderOrder {
    /// Both.
    pub const ALL: [UploaderOrder; 2] = [UploaderOrder::First, UploaderOrder::Count];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            UploaderOrder::First => "first",
            UploaderOrder::Count => "count",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<UploaderOrder> {
        UploaderOrder::ALL.into_iter().find(|order| order.name() == name)
    }
}

impl Uploaders {
    /// Nobody yet, and never more than so many accounts and uploads.
    pub fn new(accounts_max: usize, uploads_max: usize) -> Uploaders {
        Uploaders {
            accounts_max,
            uploads_max,
            accounts: BTreeMap::new(),
            without_account: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Takes note of an upload.
    pub fn take(&mut self, upload: &MemberUpload) -> TookUpload {
        if self.seen.contains(&upload.token) {
            return TookUpload::Again;
        }
        if self.seen.len() >= self.uploads_max {
            return TookUpload::Full;
        }
        match upload.account {
            Some(account) => {
                let is_full = self.accounts.len() >= self.accounts_max;
                match self.accounts.entry((upload.platform, account.0, account.1)) {
                    Entry::Occupied(known) => known.into_mut().take(upload),
                    Entry::Vacant(_) if is_full => return TookUpload::Full,
                    Entry::Vacant(new) => new.insert(Uploader::new(account, upload)).take(upload),
                }
            }
            None => self
                .without_account
                .entry(upload.platform)
                .or_default()
                .count(upload.kind),
        }
        self.seen.insert(upload.token);
        TookUpload::Counted
    }

    /// All accounts in this order, and what no account is told of, by platform.
    pub fn into_parts(self, order: UploaderOrder) -> (Vec<Uploader>, BTreeMap<PlatformId, UploadCounts>) {
        let mut accounts: Vec<Uploader> = self.accounts.into_values().collect();
        // Stable: accounts that are equal in it stay in the order of platform, epoch and pseudonym.
        match order {
            UploaderOrder::First => accounts.sort_by_key(|account| account.first_at),
            UploaderOrder::Count => {
                accounts.sort_by_key(|account| (std::cmp::Reverse(account.counts.all()), account.first_at));
            }
        }
        (accounts, self.without_account)
    }
}

impl Uploader {
    fn new((epoch, pseudonym): (u32, AccountPseudonym), upload: &MemberUpload) -> Uploader {
        Uploader {
            platform: upload.platform,
            epoch,
            pseudonym,
            counts: UploadCounts::default(),
            first_at: upload.at,
            last_at: upload.at,
            members: BTreeSet::new(),
            has_more_members: false,
        }
    }

    fn take(&mut self, upload: &MemberUpload) {
        self.counts.count(upload.kind);
        self.first_at = self.first_at.min(upload.at);
        self.last_at = self.last_at.max(upload.at);
        if self.members.len() < MEMBERS_OF_UPLOADER_MAX {
            self.members.insert(upload.content);
        } else {
            self.has_more_members |= !self.members.contains(&upload.content);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: every upload of a member is counted once, to the account that its platform names, and nothing beyond the limits.

    use proptest::prelude::*;

    use super::*;

    fn upload(account: Option<u8>, content: u128, at: i64, token: u64) -> MemberUpload {
        MemberUpload {
            platform: PlatformId(1),
            account: account.map(|byte| (1, AccountPseudonym([byte; 16]))),
            content: ContentId(content),
            kind: UploadKind::Upload,
            at: Timestamp(at),
            token,
        }
    }

    fn told(uploaders: Uploaders, order: UploaderOrder) -> Vec<(u8, u64, i64, i64)> {
        let (accounts, _) = uploaders.into_parts(order);
        let told = accounts.iter().map(|of| {
            let (first, last) = (of.first_at.0, of.last_at.0);
            (of.pseudonym.0[0], of.counts.all(), first, last)
        });
        told.collect()
    }

    fn gathered(uploads: &[MemberUpload]) -> Uploaders {
        let mut uploaders = Uploaders::new(100, 1_000);
        for upload in uploads {
            uploaders.take(upload);
        }
        uploaders
    }

    #[test]
    fn accounts_stand_in_the_order_that_is_asked_for() {
        let uploads = [
            upload(Some(7), 1, 30, 1),
            upload(Some(5), 1, 20, 2),
            upload(Some(7), 2, 10, 3),
            upload(Some(9), 1, 5, 4),
            upload(None, 1, 1, 5),
            upload(Some(7), 2, 10, 3),
        ];
        let first = [(9, 1, 5, 5), (7, 2, 10, 30), (5, 1, 20, 20)];
        assert_eq!(told(gathered(&uploads), UploaderOrder::First), first);
        let count = [(7, 2, 10, 30), (9, 1, 5, 5), (5, 1, 20, 20)];
        assert_eq!(told(gathered(&uploads), UploaderOrder::Count), count);
        let (_, without) = gathered(&uploads).into_parts(UploaderOrder::First);
        assert_eq!(without[&PlatformId(1)].uploads, 1);
    }

    #[test]
    fn one_pseudonym_of_two_epochs_or_platforms_is_two_accounts() {
        let one = upload(Some(7), 1, 1, 1);
        let other_epoch = MemberUpload {
            account: Some((2, AccountPseudonym([7; 16]))),
            token: 2,
            ..one
        };
        let other_platform = MemberUpload {
            platform: PlatformId(2),
            token: 3,
            ..one
        };
        let (accounts, _) = gathered(&[one, other_epoch, other_platform]).into_parts(UploaderOrder::First);
        assert_eq!(accounts.len(), 3);
    }

    #[test]
    fn what_finds_no_room_is_told_and_what_is_known_still_counts() {
        let mut uploaders = Uploaders::new(1, 3);
        assert_eq!(uploaders.take(&upload(Some(1), 1, 1, 1)), TookUpload::Counted);
        assert_eq!(uploaders.take(&upload(Some(2), 1, 1, 2)), TookUpload::Full);
        assert_eq!(uploaders.take(&upload(Some(1), 1, 2, 3)), TookUpload::Counted);
        assert_eq!(uploaders.take(&upload(Some(1), 1, 2, 3)), TookUpload::Again);
        assert_eq!(uploaders.take(&upload(None, 1, 2, 4)), TookUpload::Counted);
        assert_eq!(uploaders.take(&upload(Some(1), 1, 3, 5)), TookUpload::Full);
        assert_eq!(told(uploaders, UploaderOrder::First), [(1, 2, 1, 2)]);
    }

    #[test]
    fn a_bounded_number_of_members_is_named() {
        let many: Vec<MemberUpload> = (0..20).map(|n| upload(Some(1), n, 1, n as u64)).collect();
        for (uploads, named, has_more) in [(&many[..16], 16, false), (&many[..], 16, true), (&many[..3], 3, false)] {
            let (accounts, _) = gathered(uploads).into_parts(UploaderOrder::First);
            assert_eq!(
                (accounts[0].members.len(), accounts[0].has_more_members),
                (named, has_more)
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// Whatever the limits, pages that begin where the one before was full count what one page without limits does.
        #[test]
        fn pages_lose_and_double_nothing(
            uploads in proptest::collection::vec((proptest::option::of(0_u8..6), 0_u128..3, 0_i64..50), 0..60),
            accounts_max in 1_usize..4,
            uploads_max in 1_usize..9,
        ) {
            let uploads: Vec<MemberUpload> = uploads
                .iter()
                .enumerate()
                .map(|(token, (account, content, at))| upload(*account, *content, *at, token as u64))
                .collect();
            let (mut summed, mut without, mut next) = (BTreeMap::new(), 0, 0);
            while next < uploads.len() {
                let mut page = Uploaders::new(accounts_max, uploads_max);
                let begun = next;
                while next < uploads.len() && page.take(&uploads[next]) == TookUpload::Counted {
                    next += 1;
                }
                prop_assert!(next > begun, "each page comes further");
                let (accounts, of_nobody) = page.into_parts(UploaderOrder::First);
                prop_assert!(accounts.len() <= accounts_max);
                for account in accounts {
                    *summed.entry(account.pseudonym).or_insert(0) += account.counts.all();
                }
                without += of_nobody.values().map(UploadCounts::all).sum::<u64>();
            }
            let (whole, of_nobody) = gathered(&uploads).into_parts(UploaderOrder::First);
            let whole: BTreeMap<_, _> = whole.iter().map(|of| (of.pseudonym, of.counts.all())).collect();
            prop_assert_eq!(summed, whole);
            prop_assert_eq!(without, of_nobody.values().map(UploadCounts::all).sum::<u64>());
        }
    }
}
