//! What evidence is worth to a team of which people found that it had caught what is no violation.

use tocsin_model::{Class, Evidence, EvidenceCount, EvidenceKind, Joined, Timestamp, Weighing};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use crate::by_class::ByClass;
use crate::calibrations::Taken;
use crate::deadline::decode_class;

/// No evidence is worth less than this part of what it is worth by itself, however often it was wrong: what it speaks of sinks and is never hidden.
pub const WEIGHT_MIN: f64 = 0.5;
/// A weight is the part that stood, as if so many families had stood beside those that were counted: one that is overturned among few says little.
pub const STOOD_BEFORE: f64 = 10.0;

/// What evidence is worth of which so many families stood, and so many were overturned: from [`WEIGHT_MIN`] to 1.
pub fn weight(stood: u32, overturned: u32) -> f64 {
    let stood = f64::from(stood) + STOOD_BEFORE;
    (stood / (stood + f64::from(overturned))).max(WEIGHT_MIN)
}

/// What each kind of evidence is worth to a team, of what it is worth by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights([f64; EvidenceKind::ALL.len()]);

impl Weights {
    /// Of a team that overturned nothing.
    pub const FULL: Weights = Weights([1.0; EvidenceKind::ALL.len()]);

    /// By what a team's latest record says, at this time.
    pub fn of(weighing: Option<&Weighing>, now: Timestamp) -> Weights {
        let mut weights = Weights::FULL;
        let counts = weighing.filter(|weighing| weighing.holds(now));
        for count in counts.iter().flat_map(|weighing| &weighing.counts) {
            weights.0[place(count.kind)] = weight(count.stood, count.overturned);
        }
        weights
    }

    /// That of one kind.
    pub fn get(&self, kind: EvidenceKind) -> f64 {
        self.0[place(kind)]
    }

    /// Of the copies of a content that came into its family like this: 1 of the family's founder, and of whatever came along with another family.
    pub(crate) fn of_joined(&self, joined: Option<&Joined>) -> f64 {
        let kind = match joined.map(|joined| joined.evidence) {
            None | Some(Evidence::FounderLinked | Evidence::FamilyParted) => return 1.0,
            Some(Evidence::EqualHash) => EvidenceKind::EqualHash,
            Some(Evidence::PdqDistance(_)) => EvidenceKind::NearPicture,
            Some(Evidence::FrameShare(_)) => EvidenceKind::Frames,
            Some(Evidence::PartyLink | Evidence::Moderator) => EvidenceKind::SaidSo,
        };
        self.get(kind)
    }
}

fn place(kind: EvidenceKind) -> usize {
    kind as usize - EvidenceKind::EqualHash as usize
}

/// The latest record of each team. As many as there are parties at most, and one of the coordinators.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Weighings(ByClass<Weighing>);

impl Weighings {
    /// Takes a record. One whose number is not above the team's latest says nothing new.
    pub(crate) fn take(&mut self, weighing: &Weighing) -> Taken {
        if !weighing.is_usable() {
            return Taken::Refused;
        }
        let class = weighing.scope.own_class();
        if self.0.get(class).is_some_and(|known| weighing.number <= known.number) {
            return Taken::Known;
        }
        self.0.insert(class, weighing.clone());
        Taken::New
    }

    /// What evidence is worth in the scope whose own class this is. Readers of scope `all` are no team: there it is worth what it is by itself.
    pub(crate) fn weights(&self, class: Class, now: Timestamp) -> Weights {
        Weights::of(self.0.get(class), now)
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.number(self.0.len() as u64);
        for (class, weighing) in self.0.iter() {
            out.number(u64::from(class.number()));
            out.number(weighing.number);
            out.signed(weighing.at.0);
            out.number(weighing.counts.len() as u64);
            for count in &weighing.counts {
                out.byte(count.kind as u8);
                out.number(u64::from(count.stood));
                out.number(u64::from(count.overturned));
            }
        }
    }

    /// The inverse of [`Weighings::encode`].
    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut weighings = Weighings::default();
        for _ in 0..input.length(4)? {
            let class = decode_class(input)?;
            let mut weighing = Weighing {
                number: input.number()?,
                scope: class.scope(),
                at: Timestamp(input.signed()?),
                counts: Vec::new(),
            };
            for _ in 0..input.length(3)? {
                let kind = EvidenceKind::from_number(input.byte()?);
                weighing.counts.push(EvidenceCount {
                    kind: kind.ok_or(DecodeError::Invalid("kind of evidence"))?,
                    stood: input.narrow("count of what stood")?,
                    overturned: input.narrow("count of what was overturned")?,
                });
            }
            if weighings.take(&weighing) != Taken::New {
                return Err(DecodeError::Invalid("weighing"));
            }
        }
        Ok(weighings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tocsin_model::{PartyId, Scope};

    fn any_weighing() -> impl Strategy<Value = Weighing> {
        let counts = prop::collection::btree_map(0..6_usize, (any::<u32>(), 1..=u32::MAX), 0..6);
        (1..30_u64, 0..4_u16, 0..1_000_i64, counts).prop_map(|(number, team, at, counts)| Weighing {
            number,
            scope: match team {
                0 => Scope::Coordinators,
                party => Scope::Party(PartyId(party)),
            },
            at: Timestamp(at),
            counts: counts
                .into_iter()
                .map(|(kind, (stood, overturned))| EvidenceCount {
                    kind: EvidenceKind::ALL[kind],
                    stood,
                    overturned,
                })
                .collect(),
        })
    }

    #[test]
    fn a_copy_counts_by_the_evidence_that_brought_it_and_by_no_other() {
        let brought = [
            (Evidence::EqualHash, Some(EvidenceKind::EqualHash)),
            (Evidence::PdqDistance(9), Some(EvidenceKind::NearPicture)),
            (Evidence::FrameShare(80), Some(EvidenceKind::Frames)),
            (Evidence::PartyLink, Some(EvidenceKind::SaidSo)),
            (Evidence::Moderator, Some(EvidenceKind::SaidSo)),
            (Evidence::FounderLinked, None),
            (Evidence::FamilyParted, None),
        ];
        for lowered in EvidenceKind::ALL {
            let mut weights = Weights::FULL;
            weights.0[place(lowered)] = 0.5;
            assert_eq!(weights.of_joined(None), 1.0);
            for (evidence, kind) in brought {
                let (party, at) = (None, Timestamp(0));
                let joined = Joined { evidence, party, at };
                let is = if kind == Some(lowered) { 0.5 } else { 1.0 };
                assert_eq!(
                    weights.of_joined(Some(&joined)),
                    is,
                    "{evidence:?} when {lowered:?} is lowered"
                );
            }
        }
    }

    #[test]
    fn one_that_was_overturned_says_little_and_many_no_more_than_the_bound() {
        assert_eq!([weight(0, 0), weight(1_000_000, 0)], [1.0; 2]);
        assert_eq!([weight(0, 1), weight(90, 100), weight(0, 30)], [10.0 / 11.0, 0.5, 0.5]);
    }

    proptest! {
        #[test]
        fn a_weight_is_bounded_falls_with_what_was_overturned_and_rises_with_what_stood(
            stood in any::<u32>(), overturned in any::<u32>(), more in any::<u32>(),
        ) {
            let here = weight(stood, overturned);
            prop_assert!((WEIGHT_MIN..=1.0).contains(&here));
            prop_assert!(weight(stood, overturned.saturating_add(more)) <= here);
            prop_assert!(weight(stood.saturating_add(more), overturned) >= here);
        }

        /// Of records of one number the first counts, as it is the same one that comes twice.
        #[test]
        fn the_highest_number_of_each_team_counts_in_whatever_order_they_come(
            mut records in prop::collection::vec(any_weighing(), 0..20), turn in 0..20_usize, again in 0..20_usize,
        ) {
            let mut numbers = std::collections::BTreeSet::new();
            records.retain(|record| numbers.insert(record.number));
            let mut in_order = Weighings::default();
            records.iter().for_each(|record| _ = in_order.take(record));
            let mut otherwise = Weighings::default();
            let turn = turn.min(records.len());
            records.rotate_left(turn);
            records.iter().for_each(|record| _ = otherwise.take(record));
            prop_assert_eq!(&otherwise, &in_order);
            for record in records.iter().skip(again) {
                prop_assert_eq!(otherwise.take(record), Taken::Known);
            }
            prop_assert_eq!(&otherwise, &in_order);
            // One of another team moves no weight of this one.
            let foreign = Weighing {
                number: 99,
                scope: Scope::Party(PartyId(9)),
                at: Timestamp(0),
                counts: vec![EvidenceCount { kind: EvidenceKind::Label, stood: 0, overturned: 50 }],
            };
            prop_assert_eq!(otherwise.take(&foreign), Taken::New);
            for class in (0..6).filter_map(Class::from_number) {
                let now = Timestamp(500);
                prop_assert_eq!(otherwise.weights(class, now), in_order.weights(class, now));
            }
            prop_assert_eq!(otherwise.weights(Class::All, Timestamp(500)), Weights::FULL);

            let mut out = Encoder::new();
            otherwise.encode(&mut out);
            let bytes = out.finish();
            let mut input = Decoder::new(&bytes);
            prop_assert_eq!(Weighings::decode(&mut input).unwrap(), otherwise);
            input.finish().unwrap();
        }
    }

    #[test]
    fn a_record_counts_for_ninety_days_and_what_is_nobodys_or_twice_is_refused() {
        let label = EvidenceCount {
            kind: EvidenceKind::Label,
            stood: 10,
            overturned: 5,
        };
        let good = Weighing {
            number: 1,
            scope: Scope::Coordinators,
            at: Timestamp(1_000),
            counts: vec![label],
        };
        let end = good.at + Weighing::HOLDS_FOR;
        let at = |now: i64| Weights::of(Some(&good), Timestamp(now)).get(EvidenceKind::Label);
        assert_eq!([at(0), at(end.0 - 1), at(end.0)], [0.8, 0.8, 1.0]);
        assert_eq!(Weights::of(Some(&good), good.at).get(EvidenceKind::Listing), 1.0);
        for (number, scope, counts) in [
            (0, Scope::Coordinators, vec![label]),
            (2, Scope::All, vec![label]),
            (2, Scope::Coordinators, vec![label, label]),
            (2, Scope::Coordinators, vec![EvidenceCount { overturned: 0, ..label }]),
        ] {
            let lie = Weighing {
                number,
                scope,
                counts,
                ..good.clone()
            };
            assert_eq!(Weighings::default().take(&lie), Taken::Refused, "{lie:?}");
        }
    }
}
