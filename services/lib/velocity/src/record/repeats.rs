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
    /// Who, in the order in which they came, round and round.
    accounts: Vec<u32>,
    /// The minute of the latest copy of each that counted.
    minutes: Vec<i64>,
    /// Who is forgotten next, once the list is full.
    next: usize,
    series: Option<Box<Series>>,
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
        if let Some(known) = self.accounts.iter().position(|known| *known == account) {
            // What comes late is of no later hour than what came before it.
            if minute < self.minutes[known].saturating_add(FORGOTTEN_AFTER_MINUTES) {
                self.series.get_or_insert_default().add(place);
            } else {
                self.minutes[known] = minute;
            }
        } else if self.accounts.len() < Repeats::ACCOUNTS_MAX {
            self.accounts.push(account);
            self.minutes.push(minute);
        } else {
            self.accounts[self.next] = account;
            self.minutes[self.next] = minute;
            self.next = (self.next + 1) % Repeats::ACCOUNTS_MAX;
        }
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
        out.number(self.accounts.len() as u64);
        for (account, minute) in self.accounts.iter().zip(&self.minutes) {
            out.number(u64::from(*account));
            out.signed(*minute);
        }
        out.number(self.next as u64);
        out.byte(u8::from(self.series.is_some()));
        if let Some(series) = &self.series {
            series.encode(out);
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut repeats = Repeats::default();
        for _ in 0..input.length(2)? {
            repeats.accounts.push(input.narrow("account")?);
            repeats.minutes.push(input.signed()?);
        }
        repeats.next = input.narrow("place of an account")?;
        if repeats.accounts.len() > Repeats::ACCOUNTS_MAX || repeats.next >= Repeats::ACCOUNTS_MAX {
            return Err(DecodeError::Invalid("list of accounts"));
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
