//! Events to test with.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tocsin_model::{AccountPseudonym, Algorithm, ContentHash, Event, EventId, Kind, Name, Sharing, Surface, Timestamp};

use crate::records::Received;
use crate::site::ALPHA_PLATFORMS;

/// When recorded traffic begins: 2026-03-15T12:00:00Z.
pub const BEGINS_AT: Timestamp = Timestamp(1_773_576_000_000);
/// How long it lasts.
const LASTS_MS: i64 = 3 * 3_600_000;
/// How many contents it has.
const CONTENTS: usize = 24;
/// How long the silence lasts before the event that ends a recording.
const SILENCE_MS: i64 = 60_000;

/// The URL of a content.
pub fn url(number: usize) -> String {
    format!("https://tests.invalid/content/{number}")
}

/// All URLs that recorded traffic speaks of.
pub fn urls() -> Vec<String> {
    (0..CONTENTS).map(url).collect()
}

/// A content by its URL.
///
/// # Panics
/// It is no URL.
pub fn content(url: &str) -> ContentHash {
    ContentHash::parse(Algorithm::Url, url, None).expect("the tests' URLs are right")
}

/// A share for all to see; the rest is the test's to change.
///
/// # Panics
/// `platform` is no name.
pub fn share(id: u128, platform: &str, url: &str, occurred_at: Timestamp) -> Event {
    Event {
        event_id: EventId(id.to_be_bytes()),
        platform: platform.parse::<Name>().expect("the tests' platforms have names"),
        kind: Kind::Share,
        occurred_at,
        content: vec![content(url)],
        same_as: Vec::new(),
        frames: Vec::new(),
        account: Some(AccountPseudonym(id.to_be_bytes())),
        account_epoch: 0,
        region: None,
        language: None,
        audience: None,
        surface: Surface::Feed,
        labels: Vec::new(),
        sharing: Sharing::All,
    }
}

/// Recorded traffic of [`ALPHA_PLATFORMS`]: ordinary sharing, bursts, late events, events sent twice, and all three sharings.
pub fn recorded(seed: u64, count: usize) -> Vec<Received> {
    println!("recorded traffic: seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let mut times: Vec<i64> = (0..count).map(|_| random.random_range(0..LASTS_MS)).collect();
    times.sort_unstable();
    let mut traffic: Vec<Received> = Vec::with_capacity(count);
    for (number, at) in times.into_iter().enumerate() {
        let at = Timestamp(BEGINS_AT.0 + at);
        if number > 0 && random.random_bool(0.05) {
            // A retry of something recent.
            let again = random.random_range(number.saturating_sub(200)..number);
            traffic.push(Received {
                at,
                event: traffic[again].event.clone(),
            });
            continue;
        }
        // Each half hour one content takes half of everything.
        let busy = ((at.0 - BEGINS_AT.0) / 1_800_000) as usize;
        let content = if random.random_bool(0.5) {
            busy
        } else {
            random.random_range(0..CONTENTS)
        };
        let delay_ms = match random.random_range(0..20) {
            0 => random.random_range(0..10_800_000),
            1 => -random.random_range(0..600_000),
            _ => random.random_range(0..3_000),
        };
        let mut event = share(
            number as u128 + 1,
            "alpha-video",
            &url(content),
            Timestamp(at.0 - delay_ms),
        );
        event.platform = ALPHA_PLATFORMS[random.random_range(0..2)]
            .parse()
            .expect("a platform has a name");
        event.account = Some(AccountPseudonym(u128::to_be_bytes(random.random_range(1..300))));
        event.kind = [Kind::Upload, Kind::BlockedUpload, Kind::Share, Kind::Report][random.random_range(0..4)];
        event.sharing = [Sharing::All, Sharing::All, Sharing::Coordinators, Sharing::Party][random.random_range(0..4)];
        traffic.push(Received { at, event });
    }
    traffic
}

/// The event that ends a recording. The tick before it reaches every partition after everything else; its time is what answers then state.
pub fn end() -> (Received, &'static str) {
    let at = Timestamp(BEGINS_AT.0 + LASTS_MS + SILENCE_MS);
    let event = share(u128::MAX, "alpha-video", "https://tests.invalid/end", at);
    (Received { at, event }, "2026-03-15T15:01:00.000Z")
}
