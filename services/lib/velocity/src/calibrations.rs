use tocsin_model::{BetaLaw, Calibration, GammaLaw, PlatformId, PlatformNull, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

/// The most calibrations a group keeps: the one in force, and those to come. Beyond, the latest to come gives way to a later one.
const KEPT_MAX: usize = 16;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is kept.
    New,
    /// It says nothing new.
    Known,
    /// Its figures cannot be used.
    Refused,
}

/// The calibrations a group goes by. Which one is in force follows from the time alone, so a further tick changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Calibrations {
    /// Ascending by number and by the time from which they hold; at most the first of them is in force already.
    kept: Vec<Calibration>,
}

impl Calibrations {
    /// Takes a record. One whose number is not above every known one says nothing new.
    pub(crate) fn take(&mut self, calibration: &Calibration, now: Timestamp) -> Taken {
        if !calibration.is_usable() {
            return Taken::Refused;
        }
        let newest = self.kept.last().map_or(0, |kept| kept.number);
        if calibration.number <= newest {
            return Taken::Known;
        }
        // What would begin later than a newer one never counts.
        self.kept
            .retain(|kept| kept.effective_from < calibration.effective_from);
        self.forget_past(now);
        if self.kept.len() == KEPT_MAX {
            self.kept.pop();
        }
        self.kept.push(calibration.clone());
        Taken::New
    }

    /// The one in force at `now`; `None` before the first.
    pub(crate) fn in_force(&self, now: Timestamp) -> Option<&Calibration> {
        self.kept.iter().rev().find(|kept| kept.effective_from <= now)
    }

    fn forget_past(&mut self, now: Timestamp) {
        let begun = self.kept.iter().filter(|kept| kept.effective_from <= now).count();
        self.kept.drain(..begun.saturating_sub(1));
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.number(self.kept.len() as u64);
        for kept in &self.kept {
            out.number(kept.number);
            out.signed(kept.effective_from.0);
            out.float(kept.page_threshold);
            out.float(kept.pages_per_day);
            out.number(u64::from(kept.episodes));
            out.signed(kept.at.0);
            out.number(kept.platforms.len() as u64);
            kept.platforms.iter().for_each(|null| encode_null(null, out));
        }
    }

    /// The inverse of [`Calibrations::encode`]; before version 5 there were no nulls of platforms.
    pub(crate) fn decode(has_nulls: bool, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut calibrations = Calibrations::default();
        for _ in 0..input.length(20)? {
            let kept = Calibration {
                number: input.number()?,
                effective_from: Timestamp(input.signed()?),
                page_threshold: input.float()?,
                pages_per_day: input.float()?,
                episodes: input.narrow("count of episodes")?,
                at: Timestamp(input.signed()?),
                platforms: match has_nulls {
                    false => Vec::new(),
                    true => decode_nulls(input)?,
                },
            };
            if !kept.is_usable() {
                return Err(DecodeError::Invalid("calibration"));
            }
            calibrations.kept.push(kept);
        }
        Ok(calibrations)
    }
}

fn encode_null(null: &PlatformNull, out: &mut Encoder) {
    out.number(u64::from(null.platform.0));
    let PlatformNull {
        reuploads, base_rate, ..
    } = null;
    let laws = [reuploads.uploads, reuploads.shares, base_rate.copies, base_rate.hours];
    null.hours.into_iter().chain(laws).for_each(|figure| out.float(figure));
}

fn decode_nulls(input: &mut Decoder<'_>) -> Result<Vec<PlatformNull>, DecodeError> {
    let mut nulls = Vec::new();
    for _ in 0..input.length(225)? {
        let platform = PlatformId(input.narrow("platform")?);
        let mut hours = [0.0; 24];
        for hour in &mut hours {
            *hour = input.float()?;
        }
        nulls.push(PlatformNull {
            platform,
            hours,
            reuploads: BetaLaw {
                uploads: input.float()?,
                shares: input.float()?,
            },
            base_rate: GammaLaw {
                copies: input.float()?,
                hours: input.float()?,
            },
        });
    }
    Ok(nulls)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn null(platform: u16) -> PlatformNull {
        PlatformNull {
            platform: PlatformId(platform),
            hours: std::array::from_fn(|hour| 0.5 + hour as f64 / 10.0),
            reuploads: BetaLaw::with(0.4, 7.0),
            base_rate: GammaLaw {
                copies: 0.25,
                hours: 3.5,
            },
        }
    }

    fn calibration(number: u64, from: i64) -> Calibration {
        Calibration {
            number,
            effective_from: Timestamp(from),
            page_threshold: number as f64,
            pages_per_day: 15.0,
            episodes: 3,
            at: Timestamp(from - 60),
            platforms: vec![null(1), null(7)],
        }
    }

    fn number_at(calibrations: &Calibrations, now: i64) -> u64 {
        calibrations.in_force(Timestamp(now)).map_or(0, |kept| kept.number)
    }

    #[test]
    fn each_holds_from_its_own_time_whenever_it_came() {
        // However late the group is told the time, the same one is in force at the same time.
        for told_at in [0, 150, 250] {
            let mut calibrations = Calibrations::default();
            assert_eq!(calibrations.take(&calibration(1, 100), Timestamp(0)), Taken::New);
            assert_eq!(calibrations.take(&calibration(2, 200), Timestamp(50)), Taken::New);
            assert_eq!(calibrations.take(&calibration(3, 300), Timestamp(told_at)), Taken::New);
            if told_at < 100 {
                assert_eq!([number_at(&calibrations, 99), number_at(&calibrations, 100)], [0, 1]);
            }
            assert_eq!([number_at(&calibrations, 250), number_at(&calibrations, 300)], [2, 3]);
        }
    }

    #[test]
    fn an_older_or_equal_number_says_nothing() {
        let mut calibrations = Calibrations::default();
        assert_eq!(calibrations.take(&calibration(5, 100), Timestamp(0)), Taken::New);
        let before = calibrations.clone();
        for number in [1, 4, 5] {
            assert_eq!(calibrations.take(&calibration(number, 50), Timestamp(0)), Taken::Known);
        }
        let unusable = Calibration {
            page_threshold: f64::NAN,
            ..calibration(9, 50)
        };
        let twice = Calibration {
            platforms: vec![null(1), null(1)],
            ..calibration(9, 50)
        };
        let mut lying = calibration(9, 50);
        lying.platforms[1].hours[4] = 50.0;
        for refused in [unusable, twice, lying] {
            assert_eq!(calibrations.take(&refused, Timestamp(0)), Taken::Refused);
        }
        assert_eq!(calibrations, before);
    }

    #[test]
    fn a_newer_one_that_begins_earlier_takes_the_place_of_those_after_it() {
        let mut calibrations = Calibrations::default();
        for (number, from) in [(1, 100), (2, 300), (3, 200)] {
            assert_eq!(calibrations.take(&calibration(number, from), Timestamp(0)), Taken::New);
        }
        assert_eq!([number_at(&calibrations, 150), number_at(&calibrations, 400)], [1, 3]);
    }

    #[test]
    fn it_stays_bounded_and_comes_back_from_its_bytes() {
        let mut calibrations = Calibrations::default();
        for number in 1..100 {
            assert_eq!(
                calibrations.take(&calibration(number, 1_000 + number as i64), Timestamp(0)),
                Taken::New
            );
        }
        assert_eq!(calibrations.kept.len(), KEPT_MAX);
        assert_eq!(number_at(&calibrations, 5_000), 99);
        let mut out = Encoder::new();
        calibrations.encode(&mut out);
        let bytes = out.finish();
        let mut input = Decoder::new(&bytes);
        assert_eq!(Calibrations::decode(true, &mut input).unwrap(), calibrations);
        input.finish().unwrap();
    }
}
