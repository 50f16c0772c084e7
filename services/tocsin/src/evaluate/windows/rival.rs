//! What others would count with, on the same events: a count-min sketch of `probabilistic-collections`, and an exact table.

use std::collections::HashMap;

use probabilistic_collections::SipHasherBuilder;
use probabilistic_collections::count_min_sketch::{CountMinSketch, CountMinStrategy};
use serde_json::json;
use tocsin_model::{ContentId, Sharing, Timestamp};

use crate::rehearsal::Figures;

/// One window of the whole day without any notion of time: four rows, in the bytes for each content that are the goal here.
pub(super) struct CountMin {
    sketch: CountMinSketch<CountMinStrategy, u128>,
    bytes: usize,
}

const ROWS: usize = 4;
const BYTES_PER_CONTENT: usize = 8;
/// A cell of that crate.
const CELL_BYTES: usize = size_of::<i64>();

impl CountMin {
    /// For so many contents. The seeds are fixed, so that a run can be repeated.
    pub(super) fn new(contents: u64) -> Self {
        let width = (contents as usize * BYTES_PER_CONTENT / (ROWS * CELL_BYTES)).max(1);
        let hashers = [SipHasherBuilder::from_seed(1, 1), SipHasherBuilder::from_seed(1, 2)];
        CountMin {
            sketch: CountMinSketch::with_hashers(ROWS, width, hashers),
            bytes: width * ROWS * CELL_BYTES,
        }
    }

    pub(super) fn record(&mut self, content: ContentId) {
        self.sketch.insert(&content.0, 1);
    }

    /// Its errors about the day of the contents that are counted exactly, each with how often it came.
    pub(super) fn figures(&self, exact: impl Iterator<Item = (ContentId, u64)>, live: f64) -> Figures {
        let mut undercounts = 0;
        let mut errors: Vec<u64> = exact
            .map(|(content, exact)| {
                let counted = u64::try_from(self.sketch.count(&content.0)).unwrap_or(0);
                undercounts += u64::from(counted < exact);
                counted.saturating_sub(exact)
            })
            .collect();
        errors.sort_unstable();
        let mean = errors.iter().sum::<u64>() as f64 / errors.len().max(1) as f64;
        Figures::from([
            ("count_min_undercounts", json!(undercounts)),
            ("count_min_day_error_mean", json!(mean)),
            ("count_min_day_error_p999", json!(quantile(&errors, 0.999))),
            ("count_min_bytes_per_content", json!(self.bytes as f64 / live)),
        ])
    }
}

/// The value below which such a share of them lies.
pub(super) fn quantile(ascending: &[u64], share: f64) -> u64 {
    let place = (ascending.len() as f64 * share) as usize;
    ascending.get(place).copied().unwrap_or(0)
}

/// Bytes for each content of an exact table of these events, without what an allocator adds: it is built, and the room that it and its lists have is
/// added up.
pub(super) fn exact_table_bytes(exact: &HashMap<u64, Vec<(Timestamp, Sharing)>>) -> f64 {
    let mut table: HashMap<ContentId, Vec<Timestamp>> = HashMap::new();
    for (number, events) in exact {
        let times = table.entry(ContentId(u128::from(*number))).or_default();
        // One after the other, as they come: a list has the room that it grew to.
        events.iter().for_each(|(at, _)| times.push(*at));
    }
    let lists: usize = table
        .values()
        .map(|times| times.capacity() * size_of::<Timestamp>())
        .sum();
    // The standard library's table: a power of two of places, seven in eight of them in use at most, and a byte of control for each.
    let places = (table.capacity() * 8 / 7).next_power_of_two();
    let places = places * (size_of::<(ContentId, Vec<Timestamp>)>() + 1);
    (lists + places) as f64 / table.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sketch_with_room_counts_exactly_and_one_without_too_many() {
        let exact = |content: u64| 1 + content % 7;
        let counted = |contents: u64| {
            let mut sketch = CountMin::new(contents);
            for content in 0..1_000u64 {
                (0..exact(content)).for_each(|_| sketch.record(ContentId(u128::from(content))));
            }
            let truth = (0..1_000).map(|content| (ContentId(u128::from(content)), exact(content)));
            sketch.figures(truth, contents as f64)
        };
        let (wide, narrow) = (counted(1_000_000), counted(400));
        for figures in [&wide, &narrow] {
            assert_eq!(figures["count_min_undercounts"], 0);
            assert_eq!(figures["count_min_bytes_per_content"], 8.0);
        }
        assert_eq!(wide["count_min_day_error_p999"], 0);
        assert!(narrow["count_min_day_error_mean"].as_f64() > Some(1.0), "{narrow:?}");
    }

    #[test]
    fn an_exact_table_holds_at_least_its_times() {
        let events = |count: usize| vec![(Timestamp(0), Sharing::All); count];
        let of = |count: usize| exact_table_bytes(&(0..1_000).map(|number| (number, events(count))).collect());
        assert!(of(1) >= 16.0 + 24.0 + 8.0 && of(1) < 200.0, "{}", of(1));
        assert!(of(100) >= of(1) + 99.0 * 8.0, "{}", of(100));
    }
}
