//! How much one key may ask: so many hashes looked up in a minute, and so many other requests, with what is left told in headers.
//!
//! The headers are those of `draft-ietf-httpapi-ratelimit-headers-10`: `RateLimit-Policy` names the quota, what it is and for how many seconds,
//! `RateLimit` what is left of it and until when. The three of version 06, which more clients know, stand beside: `RateLimit-Limit`,
//! `RateLimit-Remaining` and `RateLimit-Reset` (seconds). A refusal has `Retry-After` too (RFC 9110, section 10.2.3).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, Request};
use axum::http::HeaderValue;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use tocsin_model::KeyId;
use tocsin_runtime::Problem;

use super::RATE_LIMITED;
use super::reader::Reader;
use crate::metrics::LookUp;
use crate::state::QueryState;

/// How long a quota holds before there is a new one.
const MINUTE: Duration = Duration::from_secs(60);
/// With so many keys remembered, those whose minute is over are forgotten. Keys are what an operator issues.
const KEYS_KEPT: usize = 4_096;

/// What is counted of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metered {
    /// Hashes that are looked up.
    LookUps,
    /// All other requests.
    Reads,
}

/// What every key has asked in its minute.
#[derive(Debug)]
pub struct Meter {
    of: Metered,
    per_minute: u32,
    minutes: Mutex<HashMap<KeyId, Minute>>,
}

#[derive(Clone, Copy, Debug)]
struct Minute {
    began_at: Instant,
    used: u32,
}

/// What a key may ask still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    of: Metered,
    limit: u32,
    remaining: u32,
    reset_s: u32,
}

impl Meter {
    /// A meter that lets each key ask so much in a minute.
    pub fn new(of: Metered, per_minute: u32) -> Self {
        Meter {
            of,
            per_minute,
            minutes: Mutex::default(),
        }
    }

    /// Takes `count` of a key's minute, which begins with the first of them; none when there are not so many left.
    ///
    /// # Errors
    /// Not so many are left.
    fn take(&self, key: KeyId, count: u32, now: Instant) -> Result<Quota, Quota> {
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |minute: &Minute| now.saturating_duration_since(minute.began_at) >= MINUTE;
        if minutes.len() >= KEYS_KEPT && !minutes.contains_key(&key) {
            minutes.retain(|_, minute| !is_over(minute));
        }
        let began = Minute { began_at: now, used: 0 };
        let minute = minutes.entry(key).or_insert(began);
        if is_over(minute) {
            *minute = began;
        }
        let left = self.per_minute.saturating_sub(minute.used);
        let is_enough = count <= left;
        if is_enough {
            minute.used += count;
        }
        let passed = now.saturating_duration_since(minute.began_at);
        let quota = Quota {
            of: self.of,
            limit: self.per_minute,
            remaining: self.per_minute.saturating_sub(minute.used),
            reset_s: MINUTE.saturating_sub(passed).as_millis().div_ceil(1_000) as u32,
        };
        if is_enough { Ok(quota) } else { Err(quota) }
    }
}

impl Metered {
    /// The name of the quota.
    fn name(self) -> &'static str {
        match self {
            Metered::LookUps => "look-ups",
            Metered::Reads => "reads",
        }
    }
}

/// A reader whose look-ups are counted: one with each request, and further ones as it asks about more.
pub(crate) struct MeteredReader {
    pub(crate) reader: Reader,
    told: Option<Told>,
}

/// Where a request's quota is put for the headers of its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(Arc<Mutex<Option<Quota>>>);

impl FromRequestParts<QueryState> for MeteredReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &QueryState) -> Result<MeteredReader, Problem> {
        let reader = Reader::unmetered(parts, state).await?;
        let told = parts.extensions.get::<Told>().cloned();
        let metered = MeteredReader { reader, told };
        metered.charge(state, 1)?;
        Ok(metered)
    }
}

impl MeteredReader {
    /// Takes further look-ups.
    ///
    /// # Errors
    /// The key has not so many left.
    pub(crate) fn charge(&self, state: &QueryState, count: u32) -> Result<(), Problem> {
        let charged = charge(state.look_ups(), self.reader.key_id, count, self.told.as_ref());
        if charged.is_err() {
            state.metrics().look_up(LookUp::RateLimited);
        }
        charged
    }
}

/// Takes one read of a key.
///
/// # Errors
/// The key has none left.
pub(super) fn charge_read(state: &QueryState, key: KeyId, parts: &Parts) -> Result<(), Problem> {
    let charged = charge(state.reads(), key, 1, parts.extensions.get::<Told>());
    if charged.is_err() {
        state.metrics().reads_limited.inc();
    }
    charged
}

fn charge(meter: &Meter, key: KeyId, count: u32, told: Option<&Told>) -> Result<(), Problem> {
    let taken = meter.take(key, count, Instant::now());
    let (Ok(quota) | Err(quota)) = taken;
    if let Some(Told(told)) = told {
        *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(quota);
    }
    match taken {
        Ok(_) => Ok(()),
        Err(_) => Err(Problem::new(RATE_LIMITED)
            .with_detail(format!("{}: {} a minute", quota.of.name(), quota.limit))
            .with_retry_after_s(quota.reset_s)),
    }
}

/// Adds the headers of the quota to the answers.
pub(super) async fn tell_quota(mut request: Request, next: Next) -> Response {
    let told = Told::default();
    request.extensions_mut().insert(told.clone());
    let mut response = next.run(request).await;
    let quota = *told.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(quota) = quota {
        let headers = response.headers_mut();
        let (name, limit) = (quota.of.name(), quota.limit);
        let text = |text: String| HeaderValue::from_str(&text).expect("names and numbers are visible ASCII");
        let seconds = MINUTE.as_secs();
        headers.insert("ratelimit-policy", text(format!("\"{name}\";q={limit};w={seconds}")));
        let (remaining, reset) = (quota.remaining, quota.reset_s);
        headers.insert("ratelimit", text(format!("\"{name}\";r={remaining};t={reset}")));
        headers.insert("ratelimit-limit", HeaderValue::from(quota.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(quota.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(quota.reset_s));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_quota_each_minute_and_takes_nothing_from_another() {
        let meter = Meter::new(Metered::LookUps, 3);
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let quota = |remaining, reset_s| Quota {
            of: Metered::LookUps,
            limit: 3,
            remaining,
            reset_s,
        };
        assert_eq!(meter.take(KeyId(1), 1, after(0)), Ok(quota(2, 60)));
        assert_eq!(
            meter.take(KeyId(1), 3, after(10)),
            Err(quota(2, 50)),
            "nothing is taken in part"
        );
        assert_eq!(meter.take(KeyId(1), 2, after(10)), Ok(quota(0, 50)));
        assert_eq!(meter.take(KeyId(1), 1, after(59)), Err(quota(0, 1)));
        assert_eq!(meter.take(KeyId(2), 3, after(59)), Ok(quota(0, 60)));
        assert_eq!(meter.take(KeyId(1), 1, after(60)), Ok(quota(2, 60)));
        assert_eq!(meter.take(KeyId(2), 1, after(60)), Err(quota(0, 59)));
    }

    #[test]
    fn keys_whose_minute_is_over_are_forgotten() {
        let meter = Meter::new(Metered::Reads, 3);
        let began = Instant::now();
        for key in 0..KEYS_KEPT as u128 {
            assert!(meter.take(KeyId(key), 1, began).is_ok());
        }
        assert!(meter.take(KeyId(1 << 100), 1, began + MINUTE).is_ok());
        assert_eq!(meter.minutes.lock().map(|minutes| minutes.len()).ok(), Some(1));
    }
}
