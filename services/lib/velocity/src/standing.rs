//! The queue as it stands: what is open in a group, what each is worth at this time, and how far one party could move it.

use std::collections::BTreeSet;

use tocsin_model::{Class, ContentId, FamilyId, PartyId};

use crate::evidence::{PartyEvidence, evidence};
use crate::figures::{FamilyFigures, family_figures};
use crate::forecast::Calibration;
use crate::group::Group;
use crate::priority::{Setting, influence_cap, priority};
use crate::record::HotRecord;
use crate::watching::watched;

/// An open episode at the group's time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Whose.
    pub family: FamilyId,
    /// Its priority by what is counted now: what an alert made at this time would say.
    pub priority: f64,
}

impl Group {
    /// The open episodes of the scope whose own class this is, ascending by family. Costs a look at every record of each: meant for questions,
    /// not for every event.
    pub fn standings(&self, class: Class) -> Vec<Standing> {
        let open = self.families.open(class);
        open.filter_map(|family| {
            Some(Standing {
                family,
                priority: self.priority_of(family, class)?,
            })
        })
        .collect()
    }

    /// The members of a family whose figures its home knows in a scope, ascending: those that are hot here, and those of other groups, which may have
    /// made room there since.
    pub fn members(&self, family: FamilyId, class: Class) -> BTreeSet<ContentId> {
        let records = self.records(family, class);
        records.iter().map(|record| record.content()).collect()
    }

    /// What is known of a family at its home and at the group's time, members in other groups included: what its alerts are made of. `None` when it
    /// has no hot record in this scope.
    pub fn figures(&self, family: FamilyId, class: Class) -> Option<FamilyFigures> {
        family_figures(&self.records(family, class), self.now)
    }

    /// What it is worth to act on a family at the group's time, whether it rings or not. `None` when it has no hot record in this scope.
    pub fn priority_of(&self, family: FamilyId, class: Class) -> Option<f64> {
        let gathered = self.gathered(family, class);
        let records = gathered.as_slice();
        (!records.is_empty()).then(|| self.priority_by(family, class, records))
    }

    /// The most that `party` adds to the priority of a family, whatever it says, by what the others say at the group's time.
    pub fn influence_cap_of(&self, family: FamilyId, class: Class, party: PartyId) -> f64 {
        let records = self.records(family, class);
        let calibration = self.outcomes.calibration(class);
        let setting = self.setting(family, class, &records, &calibration);
        let mut others: Vec<PartyEvidence> = evidence(&records, &setting.weights, self.now);
        others.retain(|said| said.party != party);
        influence_cap(&others, setting)
    }

    /// The priority of a family by these records of it.
    pub(crate) fn priority_by(&self, family: FamilyId, class: Class, records: &[&HotRecord]) -> f64 {
        let calibration = self.outcomes.calibration(class);
        let setting = self.setting(family, class, records, &calibration);
        priority(&evidence(records, &setting.weights, self.now), setting).priority
    }

    fn setting<'a>(
        &self,
        family: FamilyId,
        class: Class,
        records: &[&HotRecord],
        calibration: &'a Calibration,
    ) -> Setting<'a> {
        Setting {
            verdict: self.families.state(family, class).and_then(|state| state.verdict),
            watched: watched(records),
            weights: self.weighings.weights(class, self.now),
            calibration,
            now: self.now,
        }
    }
}
