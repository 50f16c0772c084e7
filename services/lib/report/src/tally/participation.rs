use std::collections::BTreeMap;

use tocsin_model::PartyId;

use crate::day::Period;
use crate::quantities::Quantities;
use crate::row::ParticipationRow;

/// Who took part in incidents that were declared in the days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Participation {
    pub of: BTreeMap<PartyId, OfParty>,
}

/// One party's part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OfParty {
    /// Between how many.
    pub invited: (u64, u64),
    pub acknowledged: u64,
    /// From the invitation to the acknowledgement, in milliseconds.
    pub to_acknowledge: Quantities,
    /// Parts in tasks: done in time, done late, due and not done, not due yet.
    pub parts: BTreeMap<PartState, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PartState {
    DoneInTime,
    DoneLate,
    NotDone,
    NotDue,
}

impl Participation {
    pub(crate) fn take(&mut self, party: PartyId, row: &ParticipationRow, period: &Period) {
        if !period.holds(row.declared_at) {
            return;
        }
        let of = self.of.entry(party).or_default();
        // Of whoever was invited again the first time is not kept; whoever said that it takes part had been invited.
        let is_invited = row.invited_at < period.ends() || period.known(row.acknowledged_at).is_some();
        of.invited.0 += u64::from(is_invited);
        of.invited.1 += 1;
        if let Some(at) = period.known(row.acknowledged_at) {
            of.acknowledged += 1;
            let took = u64::try_from(at.0.saturating_sub(row.invited_at.0)).unwrap_or(0);
            of.to_acknowledge.add(took);
        }
        for part in row.parts.iter().filter(|part| part.since < period.ends()) {
            let state = match period.known(part.done_at) {
                Some(at) if at <= part.due => PartState::DoneInTime,
                Some(_) => PartState::DoneLate,
                None if part.due < period.ends() => PartState::NotDone,
                None => PartState::NotDue,
            };
            *of.parts.entry(state).or_default() += 1;
        }
    }
}

impl PartState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            PartState::DoneInTime => "done_in_time",
            PartState::DoneLate => "done_late",
            PartState::NotDone => "not_done",
            PartState::NotDue => "not_due",
        }
    }
}
