//! Whether the audience of a stream grows as if those who watch pass it on.
//!
//! How many watch says little: some hundred viewers are ordinary, and two hundred watched Christchurch. What tells is how the audience
//! comes. Whoever follows an account comes within its first minutes, and the rest at a rate that does not rise: such an audience grows
//! linearly at most. An audience that is passed on grows by the same factor again and again. So the rule compares two successive growths
//! of one stream, at three lengths at once, and takes the smaller: a jump (a link from a larger channel) is one growth and no second.
//!
//! There is no public set of live audiences to fit this on. The constants follow from that argument; the tests hold them against streams
//! that are made: ordinary ones of any size, with jumps and noise, of which 2 in 1,000 ring, and those that double every few minutes.

use tocsin_model::Timestamp;

use super::stream::{Stream, minute};

/// The score from which the rule rings, in nats of its own: it is not the score of spread.
pub(crate) const LIVE_THRESHOLD: f64 = 4.2;

/// The log-odds before anything is known: one stream in four hundred.
const PRIOR: f64 = -6.0;
/// What each e-fold of the smaller growth adds. It takes 0.44 to ring, doubling in each 4.7 minutes at the least length. Linear growth from nothing
/// shows ln(4/3) = 0.29 at most, for the first window begins a window after the stream; doubling in every window shows 0.69.
const PER_GROWTH: f64 = 23.0;
/// What is sure is not surer than this.
const SURE: f64 = 16.0;
/// The lengths of the windows compared, in minutes: three of one length end now. As long before them the audience gathers, and says nothing.
const WINDOWS: [i64; 3] = [3, 6, 12];
/// Fewer viewers than this are no spike.
const VIEWERS_MIN: u32 = 20;
/// So many more on both sides of a growth: it takes more than a few viewers to show one.
const VIEWERS_PRIOR: f64 = 5.0;

/// The highest score of some streams that run; the prior where there is none.
pub(crate) fn score_of<'a>(streams: impl Iterator<Item = &'a Stream>, now: Timestamp) -> f64 {
    streams.map(|stream| score(stream, now)).fold(PRIOR, f64::max)
}

/// The log-odds that the audience is passed on by those who watch, in nats.
fn score(stream: &Stream, now: Timestamp) -> f64 {
    let growth = WINDOWS.into_iter().filter_map(|length| growth(stream, length, now));
    (PRIOR + PER_GROWTH * growth.fold(0.0, f64::max)).min(SURE)
}

/// The smaller of the two growths between three windows of this length, in e-folds.
fn growth(stream: &Stream, length: i64, now: Timestamp) -> Option<f64> {
    let end = minute(now).saturating_add(1);
    if minute(stream.began_at()) > end.saturating_sub(4 * length) {
        return None;
    }
    let most = |back: i64| stream.most_viewers(end - (back + 1) * length, end - back * length);
    let [latest, middle, first] = [most(0)?, most(1)?, most(2)?];
    if latest < VIEWERS_MIN {
        return None;
    }
    let growth = |from: u32, to: u32| libm::log((f64::from(to) + VIEWERS_PRIOR) / (f64::from(from) + VIEWERS_PRIOR));
    Some(growth(middle, latest).min(growth(first, middle)))
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    use tocsin_model::{Kind, PartyId, PlatformId, Sighting};

    use super::*;
    use crate::tests::harness::{START, id, seen, sighting};

    /// The first minute at which a stream rings whose viewers after so many minutes are these, told every half minute.
    fn rings_at(minutes: usize, viewers: impl Fn(f64) -> f64) -> Option<f64> {
        let mut stream = Stream::new(PlatformId(1), PartyId(1));
        (0..=2 * minutes).find_map(|half| {
            let at = Timestamp(START + half as i64 * 30_000);
            let kind = if half == 0 {
                Kind::LiveStart
            } else {
                Kind::LiveHeartbeat
            };
            let event = Sighting {
                kind,
                audience: viewers(half as f64 / 2.0) as u32,
                ..sighting(id(1), &[1; 32], seen(1, 1, 0), half as u64)
            };
            stream.hear(&event, at, at);
            (score(&stream, at) >= LIVE_THRESHOLD).then_some(half as f64 / 2.0)
        })
    }

    #[test]
    fn an_audience_that_doubles_again_and_again_rings_while_the_stream_runs() {
        // Christchurch: fewer than 200 viewers at its end, after 17 minutes.
        for (doubling, minutes, by) in [
            (2.0, 17, 13.0),
            (3.0, 17, 12.0),
            (4.0, 17, 12.0),
            (5.0, 30, 24.0),
            (9.0, 60, 48.0),
        ] {
            let viewers = |minute: f64| 190.0 * libm::exp2((minute - f64::from(minutes)) / doubling);
            let at = rings_at(minutes as usize, viewers);
            assert!(at.is_some_and(|at| at <= by), "doubling every {doubling} min: {at:?}");
        }
        // Halle: five viewers tell nothing, whatever they do. Such a stream rings by its match or by its copies.
        assert_eq!(rings_at(35, |minute| (minute / 7.0).min(5.0)), None);
    }

    #[test]
    fn an_audience_that_gathers_jumps_or_merely_is_large_rings_nothing() {
        let gathers = |size: f64, minutes: f64| move |minute: f64| size * (1.0 - libm::exp(-minute / minutes));
        for size in [30.0, 200.0, 5_000.0, 1e6] {
            for minutes in [1.0, 4.0, 15.0, 60.0] {
                assert_eq!(rings_at(180, gathers(size, minutes)), None, "{size} in {minutes} min");
            }
            assert_eq!(rings_at(180, |minute| size * minute / 180.0), None, "linear to {size}");
            let jumps = |minute: f64| if minute < 40.0 { size / 100.0 } else { size };
            assert_eq!(rings_at(90, jumps), None, "a jump to {size}");
        }
        assert_eq!(rings_at(60, |_| 4e9), None, "more than any counter holds");
    }

    #[test]
    fn of_ordinary_noisy_streams_few_ring() {
        let (mut rang, streams) = (0, 1_000);
        for seed in 0..streams {
            let mut random = SmallRng::seed_from_u64(seed);
            let size = libm::exp(random.random_range(2.0..9.0));
            let gathering = random.random_range(1.0..30.0);
            // What viewers do by themselves: a walk of 5 % a step, and a jump by a factor of up to ten in one stream of five.
            let mut walk = 0.0;
            let noise: Vec<f64> = (0..241)
                .map(|_| {
                    walk += random.random_range(-0.05..0.05);
                    walk
                })
                .collect();
            let jump = random
                .random_bool(0.2)
                .then(|| (random.random_range(10.0..110.0), random.random_range(0.5..2.3)));
            let viewers = |minute: f64| {
                let jumped = jump.map_or(0.0, |(at, by)| if minute >= at { by } else { 0.0 });
                size * (1.0 - libm::exp(-minute / gathering)) * libm::exp(noise[(2.0 * minute) as usize] + jumped)
            };
            rang += u32::from(rings_at(120, viewers).is_some());
        }
        assert!(rang <= 5, "{rang} of {streams} ordinary streams ring");
    }
}
