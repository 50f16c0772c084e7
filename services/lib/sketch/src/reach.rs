//! Distinct accounts.

use tocsin_model::{AccountToken, Estimate};

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::hyperloglog::HyperLogLog;

/// A set of accounts that can be counted and united: exact to 64 accounts, then a dense HyperLogLog sketch.
///
/// It depends on the set of tokens alone and not on the order or the way they came, so merging is commutative, associative and idempotent.
/// The registers are as sensitive as raw data: estimates leave the system, this does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    precision: u8,
    accounts: Accounts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Accounts {
    /// The first ones, ascending: most sets have no more, and need no memory of their own for them. What lies beyond `len` is 0.
    Few {
        len: u8,
        tokens: [u64; FEW],
    },
    /// More than [`FEW`], ascending.
    Exact(Vec<u64>),
    Dense(Box<HyperLogLog>),
}

/// So many accounts stand in the set itself.
const FEW: usize = 7;

impl Reach {
    /// The most accounts counted exactly.
    pub const EXACT_MAX: usize = 64;
    /// The lowest precision.
    pub const PRECISION_MIN: u8 = 8;
    /// The highest precision.
    pub const PRECISION_MAX: u8 = 18;

    /// No accounts. Beyond [`Reach::EXACT_MAX`] the relative standard error is at most 1.04 / sqrt(2^`precision`), and memory 2^`precision`
    /// bytes. A precision outside 8 to 18 is taken for the nearest one inside.
    pub fn new(precision: u8) -> Self {
        Reach {
            precision: precision.clamp(Self::PRECISION_MIN, Self::PRECISION_MAX),
            accounts: Accounts::Few {
                len: 0,
                tokens: [0; FEW],
            },
        }
    }

    /// Adds an account. Tokens are uniform 64-bit numbers, as a keyed hash gives them.
    #[inline]
    pub fn insert(&mut self, token: AccountToken) {
        match &mut self.accounts {
            Accounts::Dense(sketch) => sketch.insert(token.0),
            Accounts::Few { len, tokens } => {
                let used = usize::from(*len);
                let place = tokens[..used].iter().take_while(|other| **other < token.0).count();
                if place < used && tokens[place] == token.0 {
                    return;
                }
                if used < FEW {
                    tokens.copy_within(place..used, place + 1);
                    tokens[place] = token.0;
                    *len += 1;
                    return;
                }
                let mut exact = Vec::with_capacity(Self::EXACT_MAX);
                exact.extend_from_slice(tokens);
                exact.insert(place, token.0);
                self.accounts = Accounts::Exact(exact);
            }
            Accounts::Exact(tokens) => {
                if let Err(place) = tokens.binary_search(&token.0) {
                    if tokens.len() < Self::EXACT_MAX {
                        tokens.insert(place, token.0);
                    } else {
                        let mut sketch = densified(self.precision, tokens);
                        sketch.insert(token.0);
                        self.accounts = Accounts::Dense(Box::new(sketch));
                    }
                }
            }
        }
    }

    /// Reads where an account would be, and gives some of it so that nobody leaves that out: it is near then when the account is added.
    #[inline]
    pub fn touch(&self, token: AccountToken) -> u8 {
        match &self.accounts {
            Accounts::Dense(sketch) => sketch.touch(token.0),
            Accounts::Exact(tokens) => tokens.get(tokens.len() / 2).map_or(0, |middle| *middle as u8),
            Accounts::Few { len, .. } => *len,
        }
    }

    /// The union of both sets. Of two precisions the lower remains.
    pub fn merge(&mut self, other: &Reach) {
        if other.precision < self.precision {
            self.precision = other.precision;
            if let Accounts::Dense(sketch) = &mut self.accounts {
                **sketch = sketch.reduced(other.precision);
            }
        }
        let tokens = match (&mut self.accounts, &other.accounts) {
            (Accounts::Dense(sketch), Accounts::Dense(others)) => return sketch.merge(others),
            (_, Accounts::Dense(others)) => {
                let mut sketch = densified(self.precision, self.exact().unwrap_or_default());
                sketch.merge(others);
                self.accounts = Accounts::Dense(Box::new(sketch));
                return;
            }
            _ => other.exact().unwrap_or_default(),
        };
        for token in tokens {
            self.insert(AccountToken(*token));
        }
    }

    /// The accounts themselves, ascending, while they are counted exactly.
    fn exact(&self) -> Option<&[u64]> {
        match &self.accounts {
            Accounts::Few { len, tokens } => Some(&tokens[..usize::from(*len)]),
            Accounts::Exact(tokens) => Some(tokens),
            Accounts::Dense(_) => None,
        }
    }

    /// How many accounts, with a 95 % interval; up to [`Reach::EXACT_MAX`] exactly.
    ///
    /// Costs some 60 steps, whatever the number of accounts and registers.
    pub fn estimate(&self) -> Estimate {
        let exactly = |count: usize| Estimate {
            estimate: count as f64,
            low: count as f64,
            high: count as f64,
        };
        match &self.accounts {
            Accounts::Few { len, .. } => exactly(usize::from(*len)),
            Accounts::Exact(tokens) => exactly(tokens.len()),
            Accounts::Dense(sketch) => {
                // A dense sketch has seen more accounts than the exact set holds, and as many as it has registers in use.
                let certain = (Self::EXACT_MAX + 1).max(sketch.registers_used()) as f64;
                let estimate = sketch.estimate();
                let deviation = 1.96 * relative_error(self.precision, estimate);
                Estimate {
                    estimate: estimate.max(certain),
                    low: (estimate / (1.0 + deviation)).max(certain),
                    high: (estimate / (1.0 - deviation)).max(certain),
                }
            }
        }
    }

    /// Whether the estimate is a count.
    pub fn is_exact(&self) -> bool {
        self.exact().is_some()
    }

    /// Whether no account was added.
    pub fn is_empty(&self) -> bool {
        self.exact().is_some_and(<[u64]>::is_empty)
    }

    /// The precision of the sketch beyond the exact set.
    pub fn precision(&self) -> u8 {
        self.precision
    }

    /// Bytes on the heap and of this value.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.accounts {
                Accounts::Few { .. } => 0,
                Accounts::Exact(tokens) => tokens.capacity() * size_of::<u64>(),
                Accounts::Dense(sketch) => size_of::<HyperLogLog>() + sketch.memory_bytes(),
            }
    }

    /// Writes the set: precision, then 1 + the number of tokens and the distances between them, or 0 and the registers.
    pub fn encode(&self, out: &mut Encoder) {
        out.byte(self.precision);
        match (&self.accounts, self.exact().unwrap_or_default()) {
            (Accounts::Few { .. } | Accounts::Exact(_), tokens) => {
                out.byte(tokens.len() as u8 + 1);
                let mut before = 0;
                for (index, token) in tokens.iter().enumerate() {
                    // The distance to the next possible token, so that there is one encoding and no token twice.
                    out.number(if index == 0 { *token } else { token - before - 1 });
                    before = *token;
                }
            }
            (Accounts::Dense(sketch), _) => {
                out.byte(0);
                sketch.encode(out);
            }
        }
    }

    /// Reads what [`Reach::encode`] wrote.
    ///
    /// # Errors
    /// The bytes are not such a set.
    pub fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let precision = input.byte()?;
        if !(Self::PRECISION_MIN..=Self::PRECISION_MAX).contains(&precision) {
            return Err(DecodeError::Invalid("precision"));
        }
        let mut reach = Reach::new(precision);
        match usize::from(input.byte()?) {
            0 => reach.accounts = Accounts::Dense(Box::new(HyperLogLog::decode(precision, input)?)),
            count if count <= Self::EXACT_MAX + 1 => {
                let mut last: Option<u64> = None;
                for _ in 1..count {
                    let distance = input.number()?;
                    let token = match last {
                        None => Some(distance),
                        Some(before) => before.checked_add(1).and_then(|next| next.checked_add(distance)),
                    };
                    let token = token.ok_or(DecodeError::Invalid("token"))?;
                    reach.insert(AccountToken(token));
                    last = Some(token);
                }
            }
            _ => return Err(DecodeError::Invalid("number of accounts")),
        }
        Ok(reach)
    }
}

fn densified(precision: u8, tokens: &[u64]) -> HyperLogLog {
    let mut sketch = HyperLogLog::new(precision);
    debug_assert_eq!(sketch.precision(), precision);
    for token in tokens {
        sketch.insert(*token);
    }
    sketch
}

/// The relative standard error of the estimator at an estimate.
///
/// With few tokens per register it counts free registers and errs by sqrt(1 / 2m), with many by 1.04 / sqrt(m). Between the two the factor
/// was simulated (3,000 to 8,000 runs at each point, p = 10 and 12, which agree).
fn relative_error(precision: u8, estimate: f64) -> f64 {
    /// Tokens per register, standard error times the square root of the number of registers.
    const FACTORS: [(f64, f64); 12] = [
        (0.0, 0.707),
        (0.5, 0.757),
        (1.0, 0.792),
        (2.0, 0.838),
        (3.0, 0.886),
        (4.0, 0.920),
        (5.0, 0.950),
        (6.5, 0.967),
        (8.0, 0.982),
        (12.0, 1.004),
        (24.0, 1.016),
        (96.0, 1.039),
    ];
    let registers = (1u64 << precision) as f64;
    let load = estimate / registers;
    let above = FACTORS.partition_point(|(at, _)| *at <= load).max(1);
    let factor = match (FACTORS[above - 1], FACTORS.get(above)) {
        ((_, last), None) => last,
        ((from, low), Some((to, high))) => low + (high - low) * (load - from) / (to - from),
    };
    factor / libm::sqrt(registers)
}
