//! What an account repeats.

use tocsin_model::{AccountToken, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use crate::bins::{Bin, Place, Resolution, Series};

/// Copies by accounts of which one counted within the hour before. They are counted like any other; for the trigger one account is one
/// spreader an hour, however often it repeats itself.
///
/// The latest [`Repeats::ACCOUNTS_MAX`] accounts are remembered, by half of their token. So what more accounts than that repeat in turn is not told
/// from a spread, and is one: so many accounts within an hour are. A content that is counted in another group than its family's home tells the home
/// no repeats; there the accounts since promotion are the only gate.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Repeats {
    accounts: Option<Box<Accounts>>,
    series: Option<Box<Series>>,
}

/// Accounts in the order in which they came, round and round.
#[derive(Clone, Debug, PartialEq)]
struct Accounts {
    /// Who; those from `len` on are nobody.
    who: [u32; Repeats::ACCOUNTS_MAX],
    /// The minute of the latest copy of each that counted.
    minutes: [i64; Repeats::ACCOUNTS_MAX],
    len: usize,
    /// Who is forgotten next, once the list is full.
    next: usize,
}

impl Default for Accounts {
    fn default() -> Self {
        Accounts {
            who: [0; Repeats::ACCOUNTS_MAX],
            minutes: [0; Repeats::ACCOUNTS_MAX],
            len: 0,
            next: 0,
        }
    }
}

impl Accounts {
    /// Where an account stands. All are looked at, so that the compiler can do so at once; mostly it is none of them.
    #[inline]
    fn find(&self, account: u32) -> Option<usize> {
        if !self.who.iter().fold(false, |any, who| any | (*who == account)) {
            return None;
        }
        self.who[..self.len].iter().position(|who| *who == account)
    }

    fn push(&mut self, account: u32, minute: i64) {
        let place = if self.len < Repeats::ACCOUNTS_MAX {
            self.len += 1;
            self.len - 1
        } else {
            let place = self.next;
            self.next = (place + 1) % Repeats::ACCOUNTS_MAX;
            place
        };
        (self.who[place], self.minutes[place]) = (account, minute);
    }
}

/// An account is new again after so many minutes: the longest window that is looked at.
const FORGOTTEN_AFTER_MINUTES: i64 = 60;

impl Repeats {
    /// The most accounts that are remembered.
    pub(crate) const ACCOUNTS_MAX: usize = 64;

    /// Takes the account of a copy.
    #[inline]
    pub(crate) fn note(&mut self, account: AccountToken, at: Timestamp, place: &Place) {
        let account = account.0 as u32;
        let minute = Resolution::Minute1.bin_of(at);
        let accounts = self.accounts.get_or_insert_default();
        match accounts.find(account) {
            None => accounts.push(account, minute),
            // What comes late is of no later hour than what came before it.
            Some(known) if minute < accounts.minutes[known].saturating_add(FORGOTTEN_AFTER_MINUTES) => {
                self.series.get_or_insert_default().add(place);
            }
            Some(known) => accounts.minutes[known] = minute,
        }
    }

    /// Whether no account repeated anything.
    pub(crate) fn is_none(&self) -> bool {
        self.series.is_none()
    }

    /// Without the repeats: what is left of these bins, which come latest first.
    pub(crate) fn taken_from(&self, bins: impl Iterator<Item = Bin>, now: Timestamp) -> impl Iterator<Item = Bin> {
        let repeats = self.series.iter().flat_map(move |series| series.latest_first(now));
        let mut repeats = repeats.peekable();
        bins.filter_map(move |bin| {
            while repeats.next_if(|repeat| repeat.start > bin.start).is_some() {}
            let repeated = repeats.next_if(|repeat| repeat.start == bin.start);
            let count = bin.count.saturating_sub(repeated.map_or(0, |repeat| repeat.count));
            (count > 0).then_some(Bin { count, ..bin })
        })
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        let (len, next) = self
            .accounts
            .as_ref()
            .map_or((0, 0), |accounts| (accounts.len, accounts.next));
        out.number(len as u64);
        if let Some(accounts) = &self.accounts {
            for (account, minute) in accounts.who.iter().zip(&accounts.minutes).take(len) {
                out.number(u64::from(*account));
                out.signed(*minute);
            }
        }
        out.number(next as u64);
        out.byte(u8::from(self.series.is_some()));
        if let Some(series) = &self.series {
            series.encode(out);
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut repeats = Repeats::default();
        let len = input.length(2)?;
        if len > Repeats::ACCOUNTS_MAX {
            return Err(DecodeError::Invalid("list of accounts"));
        }
        for _ in 0..len {
            let (account, minute) = (input.narrow("account")?, input.signed()?);
            repeats.accounts.get_or_insert_default().push(account, minute);
        }
        let next: usize = input.narrow("place of an account")?;
        if next >= Repeats::ACCOUNTS_MAX || (next > 0 && len < Repeats::ACCOUNTS_MAX) {
            return Err(DecodeError::Invalid("list of accounts"));
        }
        if let Some(accounts) = &mut repeats.accounts {
            accounts.next = next;
        }
        if input.byte()? != 0 {
            repeats.series = Some(Box::new(Series::decode(input)?));
        }
        Ok(repeats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tocsin_model::Milliseconds;

    const BEGIN: Timestamp = Timestamp(1_773_576_000_000);

    /// Copies by these accounts, one every so many seconds: how many count at the end.
    fn counted(accounts: impl IntoIterator<Item = u64>, every_s: i64) -> u64 {
        let (mut all, mut repeats) = (Series::default(), Repeats::default());
        let mut now = BEGIN;
        for account in accounts {
            now = now + Milliseconds::from_seconds(every_s);
            let place = Place::of(now, now);
            all.add(&place);
            repeats.note(AccountToken(account), now, &place);
        }
        let bytes = {
            let mut out = Encoder::new();
            repeats.encode(&mut out);
            out.finish()
        };
        let mut input = Decoder::new(&bytes);
        assert_eq!(Repeats::decode(&mut input), Ok(repeats.clone()));
        assert_eq!(input.finish(), Ok(()));
        repeats
            .taken_from(all.latest_first(now), now)
            .map(|bin| bin.count)
            .sum()
    }

    #[test]
    fn of_what_an_account_repeats_within_the_hour_one_counts() {
        assert_eq!(counted(1..=100, 1), 100);
        assert_eq!(counted([7; 100], 1), 1);
        assert_eq!(counted((0..100).map(|number| number % 5), 10), 5);
        assert_eq!(
            counted([1, 2, 1, 3, 2], 1_200),
            4,
            "2 comes again after an hour, 1 before it is over"
        );
        assert_eq!(counted([1; 7], 3_000), 4, "every fifty minutes: every second one");
        assert_eq!(counted([1, 2, 1, 2, 1], 1_800), 5, "an hour later it is new again");
        // One that repeats itself among many new ones is forgotten each time that 64 others came.
        let among = (0..1_000).map(|number| if number % 10 == 0 { 0 } else { number });
        assert_eq!(counted(among, 1), 900 + 13);
    }

    #[test]
    fn a_list_that_is_none_is_refused() {
        let mut out = Encoder::new();
        out.number(0);
        out.number(Repeats::ACCOUNTS_MAX as u64);
        out.byte(0);
        let bytes = out.finish();
        assert!(Repeats::decode(&mut Decoder::new(&bytes)).is_err());
    }
}
