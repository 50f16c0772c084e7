//! Floods: one account, or a few, that repeat themselves thousands of times. A flood is no spread: it rings nothing, and in quarantine it is
//! counted in the cold counts alone, so that it takes the place of nothing that spreads. It ends with the first few accounts that are not
//! the flood's, or when nothing came for an hour; then the content becomes hot like any other.

use tocsin_model::{Class, ContentId, FamilyId, Kind, Milliseconds, Sighting, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use crate::group::Group;
use crate::input::HotKey;
use crate::live::is_running;
use crate::record::HotRecord;

/// What a quarantined record still says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood {
    /// Since when it is in quarantine.
    pub since: Timestamp,
    /// How many accounts it came from then. An event without an account counts as one of its own.
    pub accounts: u64,
    /// How many uploads, blocked uploads and shares were counted exactly until then.
    pub copies: u64,
}

/// Whether a content stays in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quarantine {
    /// It goes on as it did.
    Stays,
    /// It is no flood any more.
    Ends,
}

/// So many copies
const FLOOD_COPIES: u64 = 1_000;
/// by no more accounts than this are a flood. One more and they could be a spread.
const FLOOD_ACCOUNTS_MAX: u64 = 5;
/// So many further accounts end it.
const FURTHER_ACCOUNTS: u64 = 3;
/// It ends when nothing came for so long.
const SILENCE: Milliseconds = Milliseconds::from_hours(1);

impl Group {
    /// Puts a content that the rule was asked about into quarantine, if it is a flood. Only what is a family of its own and rings nowhere in
    /// the scope can be one.
    pub(crate) fn quarantine_flood(&mut self, family: FamilyId, class: Class) -> bool {
        let key = HotKey {
            content: family.0,
            class,
        };
        let is_flood = self.families.is_plain(family, class)
            && self.hot(key).is_some_and(|record| flood(record, self.now).is_some());
        if !is_flood {
            return false;
        }
        let (now, limit) = (self.now, self.config.hot_max);
        let Some(counts) = self.classes.get_mut(class) else {
            return false;
        };
        let left_out = counts.quarantine(family.0, limit, |record| {
            if let Some(flood) = flood(record, now) {
                record.begin_quarantine(Flood { since: now, ..flood });
            }
        });
        self.counters.quarantined += 1;
        self.changed.insert(key);
        self.changed.extend(left_out.map(|content| HotKey { content, class }));
        true
    }

    /// The record of a content in a class, hot or in quarantine: all that the state topic says of it.
    pub fn kept(&self, key: HotKey) -> Option<&HotRecord> {
        let counts = self.classes.get(key.class)?;
        counts.hot(key.content).or_else(|| counts.quarantined(key.content))
    }

    /// The places of all records, hot or in quarantine, ascending.
    pub fn kept_keys(&self) -> Vec<HotKey> {
        let in_quarantine = self.classes.iter().flat_map(|(class, counts)| {
            let contents = counts.quarantined_contents();
            contents.map(move |content| HotKey { content, class })
        });
        let mut keys: Vec<HotKey> = self.hot_keys().into_iter().chain(in_quarantine).collect();
        keys.sort_unstable();
        keys
    }
}

/// What a hot record is as a flood; `None` when it is none.
fn flood(record: &HotRecord, now: Timestamp) -> Option<Flood> {
    let spread = record.cells().iter().filter(|cell| cell.kind.is_spread());
    let copies = spread.map(|cell| cell.voice.events).sum();
    // Beyond exact sets there are too many accounts for a flood, and to estimate them costs more than to ask this.
    if copies < FLOOD_COPIES
        || is_running(&[record], now)
        || !record.reach().iter().all(|entry| entry.accounts.is_exact())
    {
        return None;
    }
    let accounts = spreaders(record);
    (accounts <= FLOOD_ACCOUNTS_MAX).then_some(Flood {
        since: Timestamp::MIN,
        accounts,
        copies,
    })
}

/// As many accounts as a record may have come from. Exact while they are few.
pub(crate) fn spreaders(record: &HotRecord) -> u64 {
    let accounts = record.reach().iter().map(|entry| entry.estimate().estimate as u64);
    accounts.sum::<u64>().saturating_add(record.signals.without_account)
}

impl Flood {
    /// Whether it goes on, with the accounts that are known now.
    pub(crate) fn goes_on(&self, accounts: u64) -> Quarantine {
        if accounts >= self.accounts + FURTHER_ACCOUNTS {
            Quarantine::Ends
        } else {
            Quarantine::Stays
        }
    }

    /// Whether it was over before an event at `now`, the one before having come at `last`.
    pub(crate) fn lapsed(last: Timestamp, now: Timestamp) -> bool {
        now - last > SILENCE
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.signed(self.since.0);
        out.number(self.accounts);
        out.number(self.copies);
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Flood {
            since: Timestamp(input.signed()?),
            accounts: input.number()?,
            copies: input.number()?,
        })
    }
}

impl HotRecord {
    /// Takes a sighting of a content in quarantine. Its account is all that is kept of it.
    pub(crate) fn count_in_quarantine(&mut self, sighting: &Sighting<'_>, at: Timestamp, now: Timestamp) -> Quarantine {
        let Some(flood) = self.flood().copied() else {
            return Quarantine::Ends;
        };
        // What is live is counted exactly: a flood must not hide it.
        if matches!(sighting.kind, Kind::LiveStart | Kind::LiveHeartbeat) {
            return Quarantine::Ends;
        }
        if Flood::lapsed(self.last_seen(), now) {
            return Quarantine::Ends;
        }
        self.see_in_quarantine(sighting, at);
        flood.goes_on(spreaders(self))
    }
}

/// The content of the record in quarantine that was seen longest ago.
pub(crate) fn longest_silent<'a>(records: impl Iterator<Item = &'a HotRecord>) -> Option<ContentId> {
    records
        .min_by_key(|record| (record.last_seen(), record.content()))
        .map(HotRecord::content)
}
