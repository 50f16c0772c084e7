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
    lines: Box<[Line]>,
    len: usize,
    /// Oldest first.
    slices: VecDeque<Slice>,
    /// The number of the latest slice there was.
    newest: u8,
    /// Slices that ended since the table was last made anew.
    ended: usize,
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

/// Seven tokens, each with the number of its slice; a place is free if that is 0 or a slice that is over. What does not fit into a line
/// stands in the next: to look for a token mostly costs one line of memory.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Line {
    tokens: [u64; PLACES],
    slices: [u8; PLACES],
    /// Something that belongs here stood in the next line once.
    continues: bool,
}

const PLACES: usize = 7;

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
/// Tokens in use per line of seven, at most, before there are twice as many lines.
const FILL: usize = 6;
/// Half a kilobyte.
const LINES_AT_FIRST: usize = 8;
const LIMIT_MAX: usize = 1 << 30;
/// No state has more: 13 that are full, 14 that time ended, and the open one.
const SLICES_DECODED_MAX: usize = 2 * SLICES + 2;

/// The most lines of a table of so many tokens.
fn lines_max(limit: usize) -> usize {
    (limit / FILL + 1).next_power_of_two()
}

impl Line {
    /// The first place that was never used: the lowest byte that is 0, of all of them in one number.
    #[inline]
    fn unused(&self) -> Option<usize> {
        let [a, b, c, d, e, f, g] = self.slices;
        let slices = u64::from_le_bytes([a, b, c, d, e, f, g, u8::MAX]);
        let zeros = slices.wrapping_sub(0x0101_0101_0101_0101) & !slices & 0x8080_8080_8080_8080;
        (zeros != 0).then(|| zeros.trailing_zeros() as usize / 8)
    }
}

impl RecentTokens {
    /// No token yet. `horizon` is at least 1 ms, `limit` is 13 to 2^30 tokens; other values are taken for the nearest of these. A token takes
    /// 9 bytes in a table that is 3/7 to 6/7 full.
    pub fn new(horizon: Milliseconds, limit: usize) -> Self {
        RecentTokens {
            horizon: Milliseconds(horizon.0.clamp(1, 1 << 60)),
            limit: limit.clamp(SLICES, LIMIT_MAX),
            lines: Box::default(),
            len: 0,
            slices: VecDeque::new(),
            newest: 0,
            ended: 0,
            forgotten_early: 0,
        }
    }

    /// The most bytes that so many tokens take.
    pub fn memory_bytes_max(limit: usize) -> usize {
        size_of::<Self>()
            + lines_max(limit.clamp(SLICES, LIMIT_MAX)) * size_of::<Line>()
            + 2 * SLICES_DECODED_MAX * size_of::<Slice>()
    }

    /// Remembers a token at the group's time `now`, which is at least every `now` before. A known token keeps its first time.
    #[inline]
    pub fn insert(&mut self, token: u64, now: Timestamp) -> Inserted {
        self.advance(now);
        if self.holds(token) {
            return Inserted::Known;
        }
        if self.len == self.limit {
            self.forgotten_early += self.slices[0].len as u64;
            self.forget(1);
        }
        if self.len >= self.lines.len() * FILL {
            self.grow();
        }
        let number = self.open_slice(now);
        self.put(token, number);
        Inserted::New
    }

    /// Reads the line a token would be in, so that it is near when the token is inserted.
    #[inline]
    pub fn touch(&self, token: u64) -> u8 {
        let line = self.lines.get(self.home(token));
        line.map_or(0, |line| line.slices[0])
    }

    /// Forgets what left the horizon. Costs nothing until a slice leaves it, and a pass over the table once for thirteen of them.
    #[inline]
    pub fn advance(&mut self, now: Timestamp) {
        let is_over = |slice: &&Slice| now - slice.last > self.horizon;
        if self.slices.front().as_ref().is_some_and(is_over) {
            self.forget(self.slices.iter().take_while(is_over).count());
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
        size_of::<Self>() + size_of_val(&*self.lines) + self.slices.capacity() * size_of::<Slice>()
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
            recent.newest = number;
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
                if recent.len >= recent.lines.len() * FILL {
                    recent.grow();
                }
                if recent.holds(token) {
                    return Err(DecodeError::Invalid("token"));
                }
                recent.put(token, number);
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
        // At most 13 full slices, 13 ended by time, some that straddle and 13 whose tokens are still in the table have a number, so one is
        // free when it comes round. It goes on where no slice is left, for tokens of the latest may be.
        self.newest = self.newest % u8::MAX + 1;
        let number = self.newest;
        let from = self.slices.back().map_or(now, |slice| slice.last.max(now));
        self.slices.push_back(Slice {
            number,
            from,
            last: from,
            len: 1,
        });
        number
    }

    /// Forgets the oldest slices. Their places are free from then on.
    fn forget(&mut self, count: usize) {
        self.len -= self.slices.drain(..count).map(|slice| slice.len).sum::<usize>();
        self.ended += count;
        // Before the numbers of slices come round, and before too many lines continue in the next.
        if self.ended >= SLICES {
            self.rebuild((self.len / FILL + 1).next_power_of_two());
        }
    }

    fn grow(&mut self) {
        let first = LINES_AT_FIRST.min(lines_max(self.limit));
        self.rebuild((self.lines.len() * 2).max(first));
    }

    fn rebuild(&mut self, lines: usize) {
        let alive = self.alive();
        let old = std::mem::replace(&mut self.lines, vec![Line::default(); lines].into_boxed_slice());
        (self.len, self.ended) = (0, 0);
        for line in old {
            for (token, number) in line.tokens.into_iter().zip(line.slices) {
                if alive(number) {
                    self.put(token, number);
                }
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = (u64, u8)> {
        let alive = self.alive();
        self.lines
            .iter()
            .flat_map(|line| line.tokens.into_iter().zip(line.slices))
            .filter(move |(_, number)| alive(*number))
    }

    /// Whether a slice of this number is remembered. The numbers 1 to 255 go round, and those remembered follow each other.
    #[inline]
    fn alive(&self) -> impl Fn(u8) -> bool + use<> {
        let first = i32::from(self.slices.front().map_or(0, |slice| slice.number));
        let count = self.slices.len() as i32;
        move |number| {
            let after = i32::from(number) - first;
            let after = if after < 0 { after + i32::from(u8::MAX) } else { after };
            number != 0 && after < count
        }
    }

    /// Puts in a token that is not there. At least one place in seven is free.
    fn put(&mut self, token: u64, number: u8) {
        let mut home = self.home(token);
        loop {
            let line = &self.lines[home];
            // What was never used is found at once; only then places are looked for whose slice is over.
            let place = line.unused().or_else(|| {
                let alive = self.alive();
                line.slices.iter().position(|slice| !alive(*slice))
            });
            let line = &mut self.lines[home];
            if let Some(place) = place {
                line.tokens[place] = token;
                line.slices[place] = number;
                self.len += 1;
                return;
            }
            line.continues = true;
            home = (home + 1) & (self.lines.len() - 1);
        }
    }

    /// Whether a token is remembered, as of the latest [`RecentTokens::advance`] or insertion.
    #[inline]
    pub fn holds(&self, token: u64) -> bool {
        let alive = self.alive();
        let mut home = self.home(token);
        for _ in 0..self.lines.len() {
            let line = &self.lines[home];
            // All places at once: a search that stops early is slower. Whether what is equal is still alive is seldom asked.
            let places = line.tokens.iter().enumerate();
            let equal = places.fold(0u8, |equal, (place, other)| equal | u8::from(*other == token) << place);
            let found = equal != 0
                && (line.slices.iter().enumerate()).any(|(place, slice)| equal >> place & 1 == 1 && alive(*slice));
            if found || !line.continues {
                return found;
            }
            home = (home + 1) & (self.lines.len() - 1);
        }
        false
    }

    /// The line where the search for a token begins.
    #[inline]
    fn home(&self, token: u64) -> usize {
        // Tokens are keyed hashes; the high bits of a product do for a table of any size.
        let spread = u128::from(token.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        ((spread * self.lines.len() as u128) >> 64) as usize
    }
}
