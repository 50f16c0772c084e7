use std::collections::BTreeSet;

use tocsin_model::{Class, ContentId, FamilyId, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

/// What becomes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Duty {
    /// Send a member's figures to the home of its family in another group: (member, own class of the scope).
    SendDelta(ContentId, Class),
    /// Judge a family of several records anew: (family, own class of the scope).
    Judge(FamilyId, Class),
    /// Look whether an open episode goes on: (family, own class of the scope).
    Review(FamilyId, Class),
    /// Look what came in the hour after an alert's forecast: (family, own class of the scope).
    Learn(FamilyId, Class),
}

/// Duties by the time they become due. Each stands at most once per time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    due: BTreeSet<(Timestamp, Duty)>,
    /// The time of the first, which every event asks for; the end of time if there is none.
    first_at: Timestamp,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines {
            due: BTreeSet::new(),
            first_at: Timestamp(i64::MAX),
        }
    }
}

impl Deadlines {
    pub(crate) fn add(&mut self, at: Timestamp, duty: Duty) {
        self.due.insert((at, duty));
        self.first_at = self.first_at.min(at);
    }

    /// Takes the earliest duty that is due at or before `now`.
    #[inline]
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, Duty)> {
        if self.first_at > now {
            return None;
        }
        let taken = self.due.pop_first();
        self.first_at = self.due.first().map_or(Timestamp(i64::MAX), |(at, _)| *at);
        taken
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.number(self.due.len() as u64);
        for (at, duty) in &self.due {
            let (tag, id, class) = match duty {
                Duty::SendDelta(member, class) => (0, member.0, class),
                Duty::Judge(family, class) => (1, family.0.0, class),
                Duty::Review(family, class) => (2, family.0.0, class),
                Duty::Learn(family, class) => (3, family.0.0, class),
            };
            out.signed(at.0);
            out.byte(tag);
            out.fixed128(id);
            out.number(u64::from(class.number()));
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut deadlines = Deadlines::default();
        for _ in 0..input.length(19)? {
            let at = Timestamp(input.signed()?);
            let tag = input.byte()?;
            let id = ContentId(input.fixed128()?);
            let class = decode_class(input)?;
            let duty = match tag {
                0 => Duty::SendDelta(id, class),
                1 => Duty::Judge(FamilyId(id), class),
                2 => Duty::Review(FamilyId(id), class),
                3 => Duty::Learn(FamilyId(id), class),
                _ => return Err(DecodeError::Invalid("duty")),
            };
            deadlines.add(at, duty);
        }
        Ok(deadlines)
    }
}

/// A class as [`Class::number`] wrote it.
pub(crate) fn decode_class(input: &mut Decoder<'_>) -> Result<Class, DecodeError> {
    Class::from_number(input.narrow("class")?).ok_or(DecodeError::Invalid("class"))
}
