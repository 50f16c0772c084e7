//! Tokens of events seen lately, for dropping producers' retries.

use std::collections::VecDeque;

use tocsin_model::{Milliseconds, Timestamp};

use crate::codec::{DecodeError, Decoder, Encoder};

/// Tokens seen within a horizon. A token stays for at least the horizon and up to a thirteenth more, unless the limit is reached: then the
/// oldest slice of time goes first and is counted.
///
/// Two events are taken for one only where their 64-bit tokens are equal.
#[derive(Clone, Debug)]
pub struct RecentTokens {
    horizon: Milliseconds,
    limit: usize,
    /// A token and the number of its slice in every used slot; slice 0 marks a free one.
    tokens: Vec<u64>,
    slots: Vec<u8>,
    len: usize,
    /// Oldest first.
    slices: VecDeque<Slice>,
    forgotten_early: u64,
}

/// What [`RecentTokens::insert`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The token was not there.
    New,
    /// The token is known: the event is a retry.
    Known,
}

/// Tokens that came between two times and are forgotten together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slice {
    number: u8,
    from: Timestamp,
    /// The time of its last token.
    last: Timestamp,
    len: usize,
}

/// Slices of a horizon; also the most a single slice takes of the limit.
const SLICES: usize = 13;
const CAPACITY_MIN: usize = 16;
const LIMIT_MAX: usize = 1 << 30;
/// No state has more: 13 that are full, 14 that time ended, and the open one.
const SLICES_DECODED_MAX: usize = 2 * SLICES + 2;

impl RecentTokens {
    /// No token yet. `horizon` is at least 1 ms, `limit` is 13 to 2^30 tokens; other values are taken for the nearest of these. A token takes
    /// 9 bytes in a table that is 7/16 to 7/8 full.
    pub fn new(horizon: Milliseconds, limit: usize) -> Self {
        RecentTokens {
            horizon: Milliseconds(horizon.0.clamp(1, 1 << 60)),
            limit: limit.clamp(SLICES, LIMIT_MAX),
            tokens: Vec::new(),
            slots: Vec::new(),
            len: 0,
            slices: VecDeque::new(),
            forgotten_early: 0,
        }
    }

    /// Remembers a token at the group's time `now`, which is at least every `now` before. A known token keeps its first time.
    #[inline]
    pub fn insert(&mut self, token: u64, now: Timestamp) -> Inserted {
        self.advance(now);
        if self.len > 0 && self.slots[self.slot_of(token)] != 0 {
            return Inserted::Known;
        }
        if self.len == self.limit {
            self.forgotten_early += self.slices[0].len as u64;
            self.forget(1);
        }
        if (self.len + 1) * 8 > self.slots.len() * 7 {
            self.rebuild((self.slots.len() * 2).max(CAPACITY_MIN), |_| true);
        }
        let number = self.open_slice(now);
        let slot = self.slot_of(token);
        self.tokens[slot] = token;
        self.slots[slot] = number;
        self.len += 1;
        Inserted::New
    }

    /// Forgets what left the horizon. Costs nothing until a slice leaves it, then a pass over the table.
    #[inline]
    pub fn advance(&mut self, now: Timestamp) {
        let expired = self
            .slices
            .iter()
            .take_while(|slice| now - slice.last > self.horizon)
            .count();
        if expired > 0 {
            self.forget(expired);
        }
    }

    /// Tokens forgotten before the horizon because the limit was reached: a retry of theirs counts again.
    pub fn forgotten_early(&self) -> u64 {
        self.forgotten_early
    }

    /// Tokens remembered.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token is remembered.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes on the heap and of this value.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.tokens.capacity() * size_of::<u64>()
            + self.slots.capacity()
            + self.slices.capacity() * size_of::<Slice>()
    }

    /// Writes the state without horizon and limit: slices, oldest first, each with its tokens ascending.
    pub fn encode(&self, out: &mut Encoder) {
        out.number(self.forgotten_early);
        out.number(self.slices.len() as u64);
        let mut tokens: Vec<Vec<u64>> = vec![Vec::new(); self.slices.len()];
        let place = |number: u8| self.slices.iter().position(|slice| slice.number == number);
        for (token, number) in self.entries() {
            if let Some(place) = place(number) {
                tokens[place].push(token);
            }
        }
        for (slice, tokens) in self.slices.iter().zip(&mut tokens) {
            tokens.sort_unstable();
            out.signed(slice.from.0);
            out.signed(slice.last.0);
            out.number(tokens.len() as u64);
            let mut before = 0;
            for (index, token) in tokens.iter().enumerate() {
                out.number(if index == 0 { *token } else { token - before - 1 });
                before = *token;
            }
        }
    }

    /// Reads what [`RecentTokens::encode`] wrote under the same horizon and limit.
    ///
    /// # Errors
    /// The bytes are not such a state.
    pub fn decode(horizon: Milliseconds, limit: usize, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut recent = RecentTokens::new(horizon, limit);
        recent.forgotten_early = input.number()?;
        let slices = input.length(4)?;
        if slices > SLICES_DECODED_MAX {
            return Err(DecodeError::Invalid("number of slices"));
        }
        for number in 1..=slices {
            let from = Timestamp(input.signed()?);
            let last = Timestamp(input.signed()?);
            let after = recent.slices.back().map_or(Timestamp::MIN, |slice| slice.last);
            if last < from || from < after {
                return Err(DecodeError::Invalid("slice time"));
            }
            let len = input.length(1)?;
            if len == 0 || len > recent.limit - recent.len {
                return Err(DecodeError::Invalid("number of tokens"));
            }
            let number = number as u8;
            recent.slices.push_back(Slice {
                number,
                from,
                last,
                len,
            });
            let mut next = Some(0u64);
            for _ in 0..len {
                let distance = input.number()?;
                let token = next
                    .and_then(|next| next.checked_add(distance))
                    .ok_or(DecodeError::Invalid("token"))?;
                next = token.checked_add(1);
                if (recent.len + 1) * 8 > recent.slots.len() * 7 {
                    recent.rebuild((recent.slots.len() * 2).max(CAPACITY_MIN), |_| true);
                }
                let slot = recent.slot_of(token);
                if recent.slots[slot] != 0 {
                    return Err(DecodeError::Invalid("token"));
                }
                recent.tokens[slot] = token;
                recent.slots[slot] = number;
                recent.len += 1;
            }
        }
        Ok(recent)
    }

    /// The number of the slice that takes a token now.
    fn open_slice(&mut self, now: Timestamp) -> u8 {
        let length = self.horizon.0 / SLICES as i64 + 1;
        let len_max = self.limit / SLICES;
        if let Some(slice) = self.slices.back_mut()
            && (now - slice.from).0 < length
            && slice.len < len_max
        {
            slice.last = slice.last.max(now);
            slice.len += 1;
            return slice.number;
        }
        // At most 13 full slices, 13 ended by time and some that straddle are alive, so a number is free when it comes round.
        let number = self.slices.back().map_or(1, |slice| slice.number % u8::MAX + 1);
        let from = self.slices.back().map_or(now, |slice| slice.last.max(now));
        self.slices.push_back(Slice {
            number,
            from,
            last: from,
            len: 1,
        });
        number
    }

    /// Forgets the oldest slices.
    fn forget(&mut self, count: usize) {
        let gone: Vec<u8> = self.slices.drain(..count).map(|slice| slice.number).collect();
        let left: usize = self.slices.iter().map(|slice| slice.len).sum();
        let capacity = (left * 8 / 7 + 1).next_power_of_two().max(CAPACITY_MIN);
        self.rebuild(capacity, |number| !gone.contains(&number));
    }

    fn rebuild(&mut self, capacity: usize, keep: impl Fn(u8) -> bool) {
        let tokens = std::mem::replace(&mut self.tokens, vec![0; capacity]);
        let slots = std::mem::replace(&mut self.slots, vec![0; capacity]);
        self.len = 0;
        for (token, number) in tokens.into_iter().zip(slots) {
            if number != 0 && keep(number) {
                let slot = self.slot_of(token);
                self.tokens[slot] = token;
                self.slots[slot] = number;
                self.len += 1;
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = (u64, u8)> {
        self.tokens
            .iter()
            .copied()
            .zip(self.slots.iter().copied())
            .filter(|(_, number)| *number != 0)
    }

    /// The slot that holds the token, or the free one where it belongs.
    #[inline]
    fn slot_of(&self, token: u64) -> usize {
        let mask = self.slots.len() - 1;
        // Tokens are keyed hashes; the high bits of a product do for a table of any size.
        let spread = u128::from(token.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut slot = ((spread * self.slots.len() as u128) >> 64) as usize;
        while self.slots[slot] != 0 && self.tokens[slot] != token {
            slot = (slot + 1) & mask;
        }
        slot
    }
}
