//! What became of the forecasts that alerts made: the quantiles follow it, in every scope for itself.

use std::collections::BTreeMap;

use tocsin_model::{Class, FamilyId, Milliseconds, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use crate::deadline::decode_class;
use crate::forecast::{Calibration, Course, Model};

/// How far a forecast looks, and so how long it takes until it can be compared with what came.
pub(crate) const FORECAST_AHEAD: Milliseconds = Milliseconds::from_hours(1);

/// The most forecasts of a scope that wait for their outcome. What comes beyond is not learned from: others tell as much.
const PENDING_MAX: usize = 256;

/// How the forecasts of a key group turn out. Nothing is shared between classes: what one scope learns must not move another's figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcomes {
    classes: BTreeMap<Class, ClassOutcomes>,
}

/// Of the scope whose own class this is.
#[derive(Clone, Debug, PartialEq)]
struct ClassOutcomes {
    calibration: Calibration,
    /// What was known when a forecast was made, by the time at which its hour ends.
    pending: BTreeMap<(Timestamp, FamilyId), Course>,
}

impl Outcomes {
    /// How forecasts turned out in a scope. One that has not seen any takes what the events for all taught, which each of its readers sees.
    pub(crate) fn calibration(&self, class: Class) -> Calibration {
        let of = |class| self.classes.get(&class).map(|own| own.calibration);
        of(class)
            .or_else(|| of(Class::All))
            .unwrap_or_else(|| Calibration::new(&Model::SHIPPED))
    }

    /// A forecast was made at `due` less an hour. Whether its outcome will be asked for.
    pub(crate) fn expect(&mut self, family: FamilyId, class: Class, due: Timestamp, course: Course) -> bool {
        let calibration = self.calibration(class);
        let own = self.classes.entry(class).or_insert_with(|| ClassOutcomes {
            calibration,
            pending: BTreeMap::new(),
        });
        let is_kept = own.pending.len() < PENDING_MAX;
        if is_kept {
            own.pending.insert((due, family), course);
        }
        is_kept
    }

    /// The hour of a forecast is over: so much came, where that is known.
    pub(crate) fn learn(&mut self, family: FamilyId, class: Class, due: Timestamp, spread: Option<u64>) {
        let Some(own) = self.classes.get_mut(&class) else {
            return;
        };
        if let (Some(course), Some(spread)) = (own.pending.remove(&(due, family)), spread) {
            own.calibration.learn(&Model::SHIPPED, &course, spread);
        }
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.number(self.classes.len() as u64);
        for (class, own) in &self.classes {
            out.number(u64::from(class.number()));
            own.calibration.encode(out);
            out.number(own.pending.len() as u64);
            for ((due, family), course) in &own.pending {
                out.signed(due.0);
                out.fixed128(family.0.0);
                out.signed(course.age.0);
                for count in [course.last_5m, course.last_30m, course.last_3h] {
                    out.number(count);
                }
            }
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut outcomes = Outcomes::default();
        for _ in 0..input.length(26)? {
            let class = decode_class(input)?;
            let calibration = Calibration::decode(input)?;
            let mut pending = BTreeMap::new();
            for _ in 0..input.length(21)? {
                let due = Timestamp(input.signed()?);
                let family = FamilyId(tocsin_model::ContentId(input.fixed128()?));
                let course = Course {
                    age: Milliseconds(input.signed()?),
                    last_5m: input.number()?,
                    last_30m: input.number()?,
                    last_3h: input.number()?,
                };
                pending.insert((due, family), course);
            }
            outcomes.classes.insert(class, ClassOutcomes { calibration, pending });
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tocsin_model::ContentId;

    const COURSE: Course = Course {
        age: Milliseconds::from_minutes(30),
        last_5m: 20,
        last_30m: 100,
        last_3h: 100,
    };

    fn median(outcomes: &Outcomes, class: Class) -> f64 {
        outcomes.calibration(class).forecast(&Model::SHIPPED, &COURSE).median
    }

    #[test]
    fn what_came_moves_the_quantiles_of_its_own_scope_alone() {
        let mut outcomes = Outcomes::default();
        let (own, other) = (Class::Coordinators, Class::Party(tocsin_model::PartyId(1)));
        let before = median(&outcomes, own);
        for hour in 0..300 {
            let (family, due) = (FamilyId(ContentId(7)), Timestamp(hour));
            assert!(outcomes.expect(family, own, due, COURSE));
            outcomes.learn(family, own, due, Some(10_000));
        }
        assert!(median(&outcomes, own) > 2.0 * before);
        assert_eq!(median(&outcomes, Class::All), before);
        assert_eq!(median(&outcomes, other), before);
    }

    #[test]
    fn so_many_wait_and_no_more_and_the_bytes_hold_them() {
        let mut outcomes = Outcomes::default();
        let expected: Vec<bool> = (0..300u128)
            .map(|family| outcomes.expect(FamilyId(ContentId(family)), Class::All, Timestamp(5), COURSE))
            .collect();
        assert_eq!(expected.iter().filter(|kept| **kept).count(), PENDING_MAX);
        outcomes.learn(FamilyId(ContentId(3)), Class::All, Timestamp(5), None);
        assert!(outcomes.expect(FamilyId(ContentId(299)), Class::All, Timestamp(6), COURSE));
        let mut out = Encoder::new();
        outcomes.encode(&mut out);
        let bytes = out.finish();
        assert_eq!(Outcomes::decode(&mut Decoder::new(&bytes)).unwrap(), outcomes);
        assert!(Outcomes::decode(&mut Decoder::new(&bytes[..bytes.len() - 1])).is_err());
    }
}
