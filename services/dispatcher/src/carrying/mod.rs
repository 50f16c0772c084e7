//! Carries cases along with their families, and decisions to their members: what `tocsin.families` says of who joined whom and who left, held against
//! the store's cases.
//!
//! Nothing of it is kept: the topic is read from its beginning whenever the process starts, and the store knows how far each case was carried. So
//! what a process missed comes right by itself, and several dispatchers may do the same.

mod belonging;
mod fan_out;
mod reader;
mod telemetry;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tocsin_casework::{Memberships, Team};
use tocsin_failpoint::{FailPoint, reach};
use tocsin_model::{ContentHash, ContentId, FamilyId, Timestamp};
use tocsin_runtime::Shutdown;
use tocsin_store::{Carried, FAMILIES_MAX, FamilyCase, FamilySaid, StoreError};

use crate::telemetry::StoreFailed;
use crate::{Dispatcher, pause};

pub(crate) use reader::MembershipReader;
pub(crate) use telemetry::CarryingMetrics;

/// How often to look.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What groups said of families.
#[derive(Debug)]
pub(crate) struct Carrying {
    memberships: Mutex<Memberships>,
    is_read: AtomicBool,
    /// Wakes whoever tells members after a decision went out.
    decided: tokio::sync::Notify,
}

impl Carrying {
    /// Of at most so many contents.
    pub(crate) fn new(contents_max: usize) -> Carrying {
        Carrying {
            memberships: Mutex::new(Memberships::new(contents_max)),
            is_read: AtomicBool::new(false),
            decided: tokio::sync::Notify::new(),
        }
    }

    /// A case of the family is new, or changed.
    pub(crate) fn case_changed(&self, family: FamilyId) {
        self.lock().case_changed(family);
    }

    /// The family that a content belongs to for a team, as it was announced.
    pub(crate) fn family_of(&self, team: Team, content: ContentId) -> Option<FamilyId> {
        self.family_since(team, content).map(|(family, _)| family)
    }

    /// The same with when that was said.
    pub(crate) fn family_since(&self, team: Team, content: ContentId) -> Option<(FamilyId, Timestamp)> {
        self.lock().said_of(team, FamilyId(content))
    }

    /// The announced members of a family as a team sees it, at most so many.
    pub(crate) fn members_of(&self, team: Team, family: FamilyId, most: usize) -> Vec<ContentId> {
        self.lock().contents_of(team, family, most)
    }

    /// The strongest hashes of the members of a family inside a team's scope that are announced, at most so many.
    pub(crate) fn hashes_of(&self, team: Team, family: FamilyId, most: usize) -> Vec<ContentHash> {
        let memberships = self.lock();
        let contents = memberships.contents_of(team, family, most).into_iter();
        let members = contents.filter_map(|content| memberships.member((team, family), content));
        members.map(|member| member.hash).collect()
    }

    /// The family that a content belongs to for everybody, likewise.
    pub(crate) fn family_for_all(&self, content: ContentId) -> Option<FamilyId> {
        self.lock().family_for_all(content)
    }

    #[cfg(test)]
    pub(crate) fn announced(&self, announcement: tocsin_model::FamilyAnnouncement) {
        self.lock().announced(announcement);
    }

    /// Whether what groups say of families was read through since the process started.
    pub(crate) fn is_read(&self) -> bool {
        self.is_read.load(Ordering::Acquire)
    }

    fn set_read(&self) {
        self.is_read.store(true, Ordering::Release);
    }

    /// Decisions went out: their members are to be told.
    pub(crate) fn decided(&self) {
        self.decided.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Memberships> {
        self.memberships.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries and tells what is due, until the process ends.
pub(crate) async fn run(
    dispatcher: Arc<Dispatcher>,
    metrics: CarryingMetrics,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    while !shutdown.is_requested() {
        let due = dispatcher.carrying.lock().take_due(FAMILIES_MAX);
        let is_full = due.len() == FAMILIES_MAX;
        let left = match look(&dispatcher, &due, &metrics).await {
            Ok(left) => left,
            Err(error) => {
                StoreFailed { error: &error }.emit(&dispatcher.metrics);
                due
            }
        };
        let goes_on = is_full && left.len() < FAMILIES_MAX;
        {
            let mut memberships = dispatcher.carrying.lock();
            left.into_iter().for_each(|family| memberships.again(family));
            metrics.tell(&mut memberships);
        }
        if !goes_on {
            tokio::select! {
                () = dispatcher.carrying.decided.notified() => {}
                () = pause(LOOK_INTERVAL, &shutdown) => {}
            }
        }
    }
    Ok(())
}

/// Those of which something is left to do a little later.
async fn look(
    dispatcher: &Dispatcher,
    due: &[FamilyId],
    metrics: &CarryingMetrics,
) -> Result<Vec<FamilyId>, StoreError> {
    let mut left = carry(dispatcher, due, metrics).await?;
    left.extend(fan_out::tell_news(dispatcher, due, metrics).await?);
    belonging::note(dispatcher, due).await?;
    fan_out::tell_decisions(dispatcher, metrics).await?;
    let mut memberships = dispatcher.carrying.lock();
    for family in due.iter().filter(|family| !left.contains(family)) {
        memberships.settled(*family);
    }
    Ok(left)
}

/// Those that could not be carried just now.
async fn carry(
    dispatcher: &Dispatcher,
    due: &[FamilyId],
    metrics: &CarryingMetrics,
) -> Result<Vec<FamilyId>, StoreError> {
    let mut left = Vec::new();
    for case in dispatcher.store.cases_of_families(due).await? {
        let Some(said) = dispatcher.carrying.said_of(&case) else {
            continue;
        };
        let (carried, now) = dispatcher.store.carry(&said).await?;
        match &carried {
            Carried::Merged { cases, effects } => {
                reach(FailPoint::CaseCarried);
                metrics.merged(effects);
                for case in cases.iter() {
                    dispatcher.ranking.changed(case, now);
                }
                dispatcher.decided.notify_one();
                dispatcher.told.notify_one();
            }
            Carried::Split(case) => {
                metrics.split();
                dispatcher.ranking.changed(case, now);
            }
            Carried::Moved | Carried::Unchanged => {}
            Carried::Alone => dispatcher.carrying.lock().is_alone(said.family, said.joined),
            Carried::Later => left.push(said.family),
        }
    }
    Ok(left)
}

impl Carrying {
    /// What is to be done with a case, if anything: most are where they belong, and cost no transaction.
    fn said_of(&self, case: &FamilyCase) -> Option<FamilySaid> {
        let FamilyCase { team, family, .. } = *case;
        let (joined, at) = self.lock().said_of(team, family)?;
        let joins = joined != family;
        let is_known = case
            .said_at
            .is_some_and(|known| if joins { known >= at } else { known > at });
        let is_where_it_belongs = !joins && !case.is_merged;
        (!is_known && !is_where_it_belongs).then_some(FamilySaid {
            team,
            family,
            joined,
            at,
        })
    }
}
