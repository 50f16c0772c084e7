//! Live streams: what their heartbeats say of a content that is being broadcast.
//!
//! A live event is no spread. It is in no window and no reach, and a heartbeat is no copy: copies of a stream are other events, of the same
//! content or linked to it, and count in its family as all copies do.

mod growth;
mod reporting;
mod stream;

use std::collections::BTreeMap;

use tocsin_model::{ContentId, LiveFigures, PartyId, PlatformId, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

pub(crate) use self::growth::LIVE_THRESHOLD;
pub(crate) use self::reporting::latest_began_at;
pub(crate) use self::stream::Stream;
use crate::record::HotRecord;

/// The streams of one content, one for each platform, ascending by platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    streams: Vec<Stream>,
    /// When an alert of the scope whose own class this is last told that it runs; [`Timestamp::MIN`] before. It goes with the record to the
    /// home of whatever family the content joins, where nothing is known of the family that it was.
    pub(crate) told_at: Timestamp,
}

/// The most platforms on which one content is live. What comes beyond is counted as events of its kind alone.
pub(crate) const PLATFORMS_MAX: usize = 8;

impl Default for Live {
    fn default() -> Self {
        Live {
            streams: Vec::new(),
            told_at: Timestamp::MIN,
        }
    }
}

impl Live {
    /// The stream of a platform, made when absent; `None` beyond [`PLATFORMS_MAX`].
    pub(crate) fn stream(&mut self, platform: PlatformId, party: PartyId) -> Option<&mut Stream> {
        let place = match self.streams.binary_search_by_key(&platform, Stream::platform) {
            Ok(place) => place,
            Err(_) if self.streams.len() >= PLATFORMS_MAX => return None,
            Err(place) => {
                self.streams.insert(place, Stream::new(platform, party));
                place
            }
        };
        Some(&mut self.streams[place])
    }

    /// Concurrent viewers of the streams that run.
    pub(crate) fn viewers(&self, now: Timestamp) -> u64 {
        self.streams.iter().map(|stream| stream.viewers(now)).sum()
    }

    pub(crate) fn is_running(&self, now: Timestamp) -> bool {
        self.streams.iter().any(|stream| stream.is_running(now))
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.signed(self.told_at.0);
        out.number(self.streams.len() as u64);
        self.streams.iter().for_each(|stream| stream.encode(out));
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut live = Live {
            told_at: Timestamp(input.signed()?),
            ..Live::default()
        };
        let length = input.length(12)?;
        if length > PLATFORMS_MAX {
            return Err(DecodeError::Invalid("number of streams"));
        }
        for _ in 0..length {
            let stream = Stream::decode(input)?;
            if live
                .streams
                .last()
                .is_some_and(|last| last.platform() >= stream.platform())
            {
                return Err(DecodeError::Invalid("order of streams"));
            }
            live.streams.push(stream);
        }
        Ok(live)
    }
}

/// The streams of some records. One content may be known in two classes: its events of both are one stream.
pub(crate) fn streams(records: &[&HotRecord]) -> Vec<Stream> {
    if !has_live(records) {
        return Vec::new();
    }
    let mut merged: BTreeMap<(ContentId, PlatformId), Stream> = BTreeMap::new();
    for record in records {
        for stream in record.live().iter().flat_map(|live| &live.streams) {
            merged
                .entry((record.content(), stream.platform()))
                .and_modify(|known| known.merge(stream))
                .or_insert_with(|| stream.clone());
        }
    }
    merged.into_values().collect()
}

/// What is known of the streams of some records at `now`, the groups' time; `None` where there are none.
pub fn live_figures(records: &[&HotRecord], now: Timestamp) -> Option<LiveFigures> {
    let streams = streams(records);
    let running: Vec<&Stream> = streams.iter().filter(|stream| stream.is_running(now)).collect();
    let began = |streams: &mut dyn Iterator<Item = &Stream>| streams.map(Stream::began_at).min();
    let score = growth::score_of(running.iter().copied(), now);
    Some(LiveFigures {
        streams: streams.len() as u32,
        running: running.len() as u32,
        started_at: began(&mut running.iter().copied()).or_else(|| began(&mut streams.iter()))?,
        ended_at: match running.is_empty() {
            true => streams.iter().map(Stream::last_at).max(),
            false => None,
        },
        viewers: running.iter().map(|stream| stream.viewers(now)).sum(),
        peak_viewers: streams.iter().map(|stream| u64::from(stream.peak())).sum(),
        viewer_minutes: streams
            .iter()
            .fold(0, |sum, stream| stream.viewer_minutes(now).saturating_add(sum)),
        score,
        threshold: LIVE_THRESHOLD,
    })
}

/// Whether any of these records has a live part. Few have, and this is asked wherever the rule is.
#[inline]
pub(crate) fn has_live(records: &[&HotRecord]) -> bool {
    records.iter().any(|record| record.live().is_some())
}

/// Whether a stream of these records runs.
pub(crate) fn is_running(records: &[&HotRecord], now: Timestamp) -> bool {
    let mut live = records.iter().filter_map(|record| record.live());
    live.any(|live| live.is_running(now))
}
