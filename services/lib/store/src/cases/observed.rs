use tocsin_casework::{Case, ClockKind, Code, Seen, Team};
use tocsin_model::{FamilyId, LiveFigures, PlatformId, Timestamp};

use super::clocks::note_clock;
use super::locked;
use super::row::{SELECT_CASES, case, update};
use super::streams::{LiveMember, note_streams};
use crate::database::Locked;
use crate::{Store, StoreError};

/// What the state tells of a family, as far as a team may see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Where it was seen, how grave it is and its streams, as of a time. `None`: nothing is said of that, and what is known stays.
    pub seen: Option<Seen>,
    /// When what first happened on which platform.
    pub clocks: Vec<(PlatformId, ClockKind, Timestamp)>,
    /// Its live streams, ascending. What was told before stays known.
    pub streams: Vec<LiveMember>,
    /// The regions in which it spread within the last day, ascending.
    pub regions: Vec<Code>,
    /// The languages in which it did, ascending.
    pub languages: Vec<Code>,
}

impl Observed {
    /// The family's live streams; `None` where none is known.
    pub fn live(&self) -> Option<LiveFigures> {
        self.seen.as_ref().and_then(|seen| seen.live)
    }

    /// Puts what stands in place of what was before into a case; whether anything changed. What differs by its time alone is told for the sake of streams: whether
    /// they run is a question of time.
    fn put_into(&self, case: &mut Case) -> bool {
        let is_same = match (&case.seen, &self.seen) {
            (Some(known), Some(seen)) => {
                known.live.is_none()
                    && *known
                        == Seen {
                            at: known.at,
                            ..seen.clone()
                        }
            }
            // Of a case of which nothing was ever told, that there is nothing is no news: when a dispatcher comes to say so depends on what others' events do.
            (None, Some(seen)) => seen.is_nothing(),
            _ => false,
        };
        let seen = self.seen.clone().filter(|_| !is_same);
        let seen_changed = seen.is_some_and(|seen| case.take_seen(seen));
        let places_changed = case.regions != self.regions || case.languages != self.languages;
        case.regions.clone_from(&self.regions);
        case.languages.clone_from(&self.languages);
        seen_changed || places_changed
    }
}

impl Store {
    /// Keeps what was observed of a family with the team's case of it, if there is one. Of clocks the earliest that is told counts, of streams, platforms and
    /// severity what was told of the latest time; regions and languages stand in place of those before. Filters look at them. It is no change of what people
    /// decide on: the version stays.
    ///
    /// # Errors
    /// The database failed; it may be told again.
    pub async fn observe(&self, team: Team, family: FamilyId, observed: &Observed) -> Result<(), StoreError> {
        let failed = StoreError::database("keep what was observed of a case");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let values = [family.to_string().into(), team.to_number().into()];
        let of_family = "WHERE c.family = $1 AND c.team = $2";
        let known = format!("{SELECT_CASES} {of_family}");
        let rows = transaction.fetch(&known, &values).await.map_err(&failed)?;
        let Some(mut known) = rows.first().map(case).transpose()? else {
            return transaction.rollback().await.map_err(&failed);
        };
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        // Mostly nothing is new: then nobody has to wait for the case.
        if observed.put_into(&mut known) {
            let rows = locked(&mut transaction, of_family, &values, Locked::Cases).await;
            let rows = rows.map_err(&failed)?;
            let Some(mut held) = rows.first().map(case).transpose()? else {
                return transaction.rollback().await.map_err(&failed);
            };
            if observed.put_into(&mut held) {
                update(&mut transaction, &held, now).await.map_err(&failed)?;
            }
        }
        note_streams(&mut transaction, known.id, &observed.streams, now).await?;
        for clock in &observed.clocks {
            note_clock(&mut transaction, known.id, *clock).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }
}
