use std::ops::RangeInclusive;

use crate::PlatformId;

/// The null of a platform: what is expected of contents that merely live there. The trigger holds what it sees against this.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlatformNull {
    /// The platform.
    pub platform: PlatformId,
    /// How busy each hour of the day (UTC) is, from midnight on: only the ratios of these count.
    pub hours: [f64; 24],
    /// Of ordinary contents, the law of the part of copies that are uploaded anew.
    pub reuploads: BetaLaw,
    /// Of ordinary contents, the law of the copies an hour.
    pub base_rate: GammaLaw,
}

/// A beta law: as if so many copies had been seen of either way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BetaLaw {
    /// Uploaded anew.
    pub uploads: f64,
    /// Passed on.
    pub shares: f64,
}

/// A gamma law of a rate: as if so many copies had been seen in so many hours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GammaLaw {
    /// The copies.
    pub copies: f64,
    /// The hours.
    pub hours: f64,
}

impl PlatformNull {
    /// An hour's rate in units of an ordinary one. Whoever floods a platform can make no hour busier or quieter than this.
    pub const HOUR_RATES: RangeInclusive<f64> = 0.1..=5.0;

    /// Whether all figures lie within their limits.
    pub fn is_usable(&self) -> bool {
        self.hours.iter().all(|rate| PlatformNull::HOUR_RATES.contains(rate))
            && self.reuploads.is_usable()
            && self.base_rate.is_usable()
    }
}

impl BetaLaw {
    /// The part that is uploaded anew.
    pub const MEANS: RangeInclusive<f64> = 0.02..=0.98;
    /// How alike contents are: so many copies a law may be worth.
    pub const STRENGTHS: RangeInclusive<f64> = 2.0..=20.0;

    /// The law with this mean that is worth so many copies.
    pub fn with(mean: f64, strength: f64) -> Self {
        BetaLaw {
            uploads: mean * strength,
            shares: (1.0 - mean) * strength,
        }
    }

    /// The part that is uploaded anew, in the mean.
    pub fn mean(&self) -> f64 {
        self.uploads / self.strength()
    }

    /// How many copies it is worth.
    pub fn strength(&self) -> f64 {
        self.uploads + self.shares
    }

    fn is_usable(&self) -> bool {
        holds(&BetaLaw::MEANS, self.mean()) && holds(&BetaLaw::STRENGTHS, self.strength())
    }
}

impl GammaLaw {
    /// The copies it is worth.
    pub const COPIES: RangeInclusive<f64> = 0.02..=1.0;
    /// The hours it is worth.
    pub const HOURS: RangeInclusive<f64> = 0.5..=12.0;

    fn is_usable(&self) -> bool {
        GammaLaw::COPIES.contains(&self.copies) && GammaLaw::HOURS.contains(&self.hours)
    }
}

/// Whether a derived figure lies within its limits, up to what rounding makes of one that lies on them.
fn holds(limits: &RangeInclusive<f64>, figure: f64) -> bool {
    const ROUNDING: f64 = 1e-9;
    (limits.start() - ROUNDING..=limits.end() + ROUNDING).contains(&figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USABLE: PlatformNull = PlatformNull {
        platform: PlatformId(1),
        hours: [1.0; 24],
        reuploads: BetaLaw {
            uploads: 1.0,
            shares: 3.0,
        },
        base_rate: GammaLaw {
            copies: 0.1,
            hours: 6.0,
        },
    };

    #[test]
    fn what_lies_beyond_a_limit_or_is_no_number_cannot_be_used() {
        assert!(USABLE.is_usable());
        type Change = fn(&mut PlatformNull);
        let cases: [(&str, Change); 10] = [
            ("an hour of nothing", |null| null.hours[3] = 0.0),
            ("an hour of everything", |null| null.hours[23] = 5.1),
            ("an hour that is no number", |null| null.hours[0] = f64::NAN),
            ("only uploads", |null| null.reuploads.shares = 0.0),
            ("only shares", |null| null.reuploads.uploads = 0.0),
            ("too sure", |null| null.reuploads = BetaLaw::with(0.5, 20.1)),
            ("less than nothing", |null| {
                null.reuploads = BetaLaw {
                    uploads: -1.0,
                    shares: 5.0,
                }
            }),
            ("no number", |null| null.reuploads.uploads = f64::INFINITY),
            ("too many copies", |null| null.base_rate.copies = 1.1),
            ("no time", |null| null.base_rate.hours = 0.0),
        ];
        for (case, change) in cases {
            let mut null = USABLE;
            change(&mut null);
            assert!(!null.is_usable(), "{case}");
        }
    }

    #[test]
    fn a_law_on_its_limits_can_be_used() {
        for mean in [*BetaLaw::MEANS.start(), *BetaLaw::MEANS.end()] {
            for strength in [*BetaLaw::STRENGTHS.start(), *BetaLaw::STRENGTHS.end()] {
                let null = PlatformNull {
                    reuploads: BetaLaw::with(mean, strength),
                    ..USABLE
                };
                assert!(null.is_usable(), "{mean} {strength}");
            }
        }
    }
}
