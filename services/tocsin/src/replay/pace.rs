use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{BATCH_EVENTS_MAX, Destination, Replayed};
use crate::recorded::Recorded;

/// How fast recorded time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many recorded seconds a second.
    Factor(f64),
    /// As fast as the destination takes events.
    Max,
}

/// When each event of a recording is due.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How fast.
    pub speed: Speed,
}

/// Events that are due within this time of each other go together.
const TOGETHER: Duration = Duration::from_millis(50);

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        match text.parse::<f64>() {
            Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(Speed::Factor(factor)),
            _ => Err("a factor above 0, or max, is wanted".to_owned()),
        }
    }
}

impl Pace {
    /// Plays all events, which stand in the order of their receipt.
    pub(super) async fn play(self, recorded: &[Recorded], to: &mut impl Destination) -> Result<Replayed> {
        let began = Instant::now();
        let mut replayed = Replayed::default();
        let mut rest = recorded;
        while let Some(first) = rest.first() {
            let due = self.due(recorded, first);
            if let Some(wait) = due.checked_sub(began.elapsed()).filter(|wait| !wait.is_zero()) {
                tokio::time::sleep(wait).await;
            }
            let until = began.elapsed().max(due) + TOGETHER;
            let ready = rest.iter().take(BATCH_EVENTS_MAX);
            let ready = ready.take_while(|next| self.due(recorded, next) < until).count().max(1);
            let (batch, later) = rest.split_at(ready);
            to.send(batch, &mut replayed).await?;
            rest = later;
        }
        replayed.took = began.elapsed();
        Ok(replayed)
    }

    /// How long after the beginning an event is due.
    fn due(self, recorded: &[Recorded], event: &Recorded) -> Duration {
        let Speed::Factor(factor) = self.speed else {
            return Duration::ZERO;
        };
        let first = recorded.first().map_or(event.received_at, |first| first.received_at);
        let recorded_s = (event.received_at - first).0 as f64 / 1_000.0;
        // A recording slowed down to centuries is due after the longest time there is.
        Duration::try_from_secs_f64(recorded_s.max(0.0) / factor).unwrap_or(Duration::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: events go in their order, never early, and together where they are due together.
    #![allow(clippy::unwrap_used)]

    use tocsin_model::Timestamp;

    use super::*;
    use crate::recorded::tests::share;

    #[derive(Default)]
    struct Batches(Vec<(usize, Duration)>, Option<Instant>);

    impl Destination for Batches {
        async fn send(&mut self, batch: &[Recorded], replayed: &mut Replayed) -> Result<()> {
            let began = *self.1.get_or_insert_with(Instant::now);
            self.0.push((batch.len(), began.elapsed()));
            replayed.taken += batch.len() as u64;
            Ok(())
        }
    }

    async fn play(speed: Speed, seconds: &[i64]) -> Vec<(usize, Duration)> {
        let recorded: Vec<Recorded> = (0..)
            .zip(seconds)
            .map(|(id, s)| share(id, Timestamp(s * 1_000)))
            .collect();
        let mut batches = Batches::default();
        let replayed = Pace { speed }.play(&recorded, &mut batches).await.unwrap();
        assert_eq!(replayed.taken, seconds.len() as u64);
        batches.0
    }

    #[tokio::test]
    async fn a_factor_keeps_the_distances_and_max_keeps_none() {
        // A thousand recorded seconds a second: 200 ms between the batches.
        let batches = play(Speed::Factor(1_000.0), &[0, 1, 1, 200]).await;
        assert_eq!(batches.iter().map(|batch| batch.0).collect::<Vec<_>>(), [3, 1]);
        assert!(batches[1].1 >= Duration::from_millis(190), "{batches:?}");
        assert_eq!(play(Speed::Max, &[0, 1, 1_000_000_000]).await.len(), 1);
        assert_eq!(play(Speed::Max, &vec![0; BATCH_EVENTS_MAX + 1]).await.len(), 2);
        assert_eq!(play(Speed::Max, &[]).await.len(), 0);
    }

    #[test]
    fn a_speed_is_a_factor_or_max() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("0.5".parse(), Ok(Speed::Factor(0.5)));
        for refused in ["", "0", "-1", "inf", "nan", "fast"] {
            assert!(refused.parse::<Speed>().is_err(), "{refused}");
        }
    }
}
