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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deadlines {
    due: BTreeSet<(Timestamp, Duty)>,
}

impl Deadlines {
    pub(crate) fn add(&mut self, at: Timestamp, duty: Duty) {
        self.due.insert((at, duty));
    }

    /// Takes the earliest duty that is due at or before `now`.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, Duty)> {
        if self.due.first()?.0 > now {
            return None;
        }
        self.due.pop_first()
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
            deadlines.due.insert((at, duty));
        }
        Ok(deadlines)
    }
}

/// A class as [`Class::number`] wrote it.
pub(crate) fn decode_class(input: &mut Decoder<'_>) -> Result<Class, DecodeError> {
    Class::from_number(input.narrow("class")?).ok_or(DecodeError::Invalid("class"))
}
