//! What platforms confirm of decisions: heard here, by the rules of `tocsin_casework`; who waits for what stands in `awaiting`.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::{
    Acknowledgement, Awaits, Case, ClockKind, Heard, OnReupload, PlatformClocks, RECOMMEND_AGAIN_AFTER, Tally, Team,
};
use tocsin_model::{ContentHash, ContentId, DecisionId, PlatformId, Timestamp};

use super::acknowledgement_rows::{
    AcknowledgementCounts, COLUMNS, ON_PLATFORMS, OnPlatform, member, on_platforms, on_platforms_in, sum, write,
};
use super::awaiting::{self, Waiting};
use super::clocks::note_clock;
use super::fan_out::standing;
use super::history::{Step, write_step};
use super::locked;
use super::row::{case, update};
use super::streams::streams_told;
use crate::database::{Locked, Transaction, Value, values_from};
use crate::delivery::{MEMBERS_PER_EVENT_MAX, ToldMembers};
use crate::readers::Readers;
use crate::{Store, StoreError};

/// Of at most so many members and platforms it is kept what they confirm of one decision.
pub const ACKNOWLEDGEMENTS_MAX: usize = 4_096;
/// How many one transaction hears of.
pub const HEARD_MAX: usize = 256;

/// What was heard of a member on a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberTally {
    /// The member.
    pub content: ContentId,
    /// The strongest hash that is known of it.
    pub hash: ContentHash,
    /// The platform.
    pub platform: PlatformId,
    /// Whether what was decided about its family holds for it without a person's look: [`tocsin_casework::came_closely`].
    pub came_closely: bool,
    /// What was heard.
    pub tally: Tally,
}

/// What one platform confirms of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAcknowledgement {
    /// The member.
    pub content: ContentId,
    /// The strongest hash that is known of it.
    pub hash: ContentHash,
    /// The platform.
    pub platform: PlatformId,
    /// How it stands.
    pub acknowledgement: Acknowledgement,
    /// When it was recommended again without a person.
    pub recommended_at: Option<Timestamp>,
}

/// What became of what was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acknowledged {
    /// So many members and platforms are confirmed now that were not.
    pub confirmed: usize,
    /// Of so many members and platforms copies came after their removal was confirmed.
    pub returned: usize,
    /// To so many of those the same recommendation went out again.
    pub recommended: usize,
    /// The case, if it came back.
    pub reopened: Option<Case>,
    /// So many found no room.
    pub left_out: usize,
}

impl Store {
    /// Hears what platforms did about a decision: the [`HEARD_MAX`] first of these. What they confirm is kept, with the clocks of the case; if copies came after their
    /// removal was confirmed, the case comes back or, where its party chose so and the member came closely, the same recommendation goes out
    /// again. Saying the same again changes nothing. `None`: the decision does not stand, is not out, or waits for nothing. With it the store's time.
    ///
    /// # Errors
    /// The database failed; it may be said again.
    pub async fn acknowledge(
        &self,
        decision: DecisionId,
        heard: &[MemberTally],
    ) -> Result<Option<(Acknowledged, Timestamp)>, StoreError> {
        let failed = StoreError::database("hear what platforms confirm");
        let mut transaction = self.database().begin().await.map_err(&failed)?;
        let known = awaiting::case_of(&mut transaction, decision).await?;
        let Some(id) = known else {
            transaction.rollback().await.map_err(&failed)?;
            return Ok(None);
        };
        let rows = locked(&mut transaction, "WHERE c.case_id = $1", &[id.into()], Locked::Cases).await;
        let rows = rows.map_err(&failed)?;
        let found = rows.first().map(case).transpose()?;
        let now = self.inner.clock.now(&mut transaction).await.map_err(&failed)?;
        let waiting = match found {
            Some(case) => Waiting::read(&mut transaction, case, decision, now).await?,
            None => None,
        };
        let Some(waiting) = waiting else {
            transaction.rollback().await.map_err(&failed)?;
            return Ok(None);
        };
        let acknowledged = Hearing { waiting, now }.hear(&mut transaction, heard).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(Some((acknowledged, now)))
    }

    /// What is known of the acknowledgements of a decision, those that are not confirmed first, at most `limit`; and how many there are of both.
    ///
    /// # Errors
    /// The database failed.
    pub async fn acknowledgements(
        &self,
        decision: DecisionId,
        limit: u32,
    ) -> Result<(Vec<MemberAcknowledgement>, AcknowledgementCounts), StoreError> {
        let failed = StoreError::database("read what platforms confirm");
        let id = format!("{:032x}", decision.0);
        let rows = self.database().fetch(ON_PLATFORMS, &[id.as_str().into()]).await;
        let counts = sum(&on_platforms(&rows.map_err(&failed)?)?);
        if limit == 0 {
            return Ok((Vec::new(), counts));
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM acknowledgements WHERE decision_id = $1 \
             ORDER BY CASE WHEN confirmed_at IS NULL THEN 0 ELSE 1 END, content, platform_id LIMIT $2"
        );
        let rows = self.database().fetch(&sql, &[id.into(), i64::from(limit).into()]).await;
        let rows = rows.map_err(&failed)?;
        Ok((rows.iter().map(member).collect::<Result<_, _>>()?, counts))
    }
}

/// Nobody observes a case that is decided: what a tally says of its clocks is told with what is confirmed.
fn note_clocks(clocks: &mut PlatformClocks, told: &MemberTally) {
    let firsts = [
        (ClockKind::FirstSeen, told.tally.copies.first_at),
        (ClockKind::Removed, told.tally.removals.first_at),
    ];
    for (kind, at) in firsts {
        if let Some(at) = at {
            clocks.note(told.platform, kind, at);
        }
    }
}

/// Waits no more for what the platforms of a team do about a content, since an appeal took it out of what was decided.
pub(crate) async fn wait_no_more(
    transaction: &mut Transaction,
    team: Team,
    content: ContentId,
) -> Result<(), StoreError> {
    transaction
        .execute(
            "DELETE FROM acknowledgements WHERE content = $2 AND EXISTS (SELECT 1 FROM awaited_decisions w \
             JOIN cases c ON c.case_id = w.case_id WHERE w.decision_id = acknowledgements.decision_id AND c.team = $1)",
            &[team.to_number().into(), content.to_string().into()],
        )
        .await
        .map(drop)
        .map_err(StoreError::database("wait no more for what platforms do"))
}

/// A transaction that holds the case.
struct Hearing {
    waiting: Waiting,
    now: Timestamp,
}

type Key = (ContentId, PlatformId);

impl Hearing {
    async fn hear(mut self, transaction: &mut Transaction, heard: &[MemberTally]) -> Result<Acknowledged, StoreError> {
        let heard = self.waited_for(transaction, heard).await?;
        let mut known = self.known(transaction, &heard).await?;
        let before = on_platforms_in(transaction, &self.id()).await?;
        let (mut acknowledged, mut returned) = (Acknowledged::default(), Vec::new());
        let mut room = (ACKNOWLEDGEMENTS_MAX as u64).saturating_sub(sum(&before).all);
        let (mut is_new, mut clocks) = (false, PlatformClocks::default());
        for told in heard {
            let awaits = self.waiting.awaiting.awaits;
            let mut of = match known.remove(&(told.content, told.platform)) {
                Some(of) => of,
                None => match Acknowledgement::begin(awaits, &told.tally) {
                    None => continue,
                    Some(_) if room == 0 => {
                        acknowledged.left_out += 1;
                        continue;
                    }
                    Some(acknowledgement) => {
                        room -= 1;
                        MemberAcknowledgement {
                            content: told.content,
                            hash: told.hash.clone(),
                            platform: told.platform,
                            acknowledgement,
                            recommended_at: None,
                        }
                    }
                },
            };
            match of.acknowledgement.hear(awaits, &told.tally) {
                Heard::Nothing => continue,
                Heard::Counted => {}
                Heard::Confirmed => acknowledged.confirmed += 1,
                Heard::Returned { copies } => {
                    returned.push((told, copies));
                }
            }
            is_new = true;
            note_clocks(&mut clocks, told);
            write(transaction, &self.id(), &of).await?;
        }
        self.keep_clocks(transaction, &clocks).await?;
        let after = match is_new {
            true => on_platforms_in(transaction, &self.id()).await?,
            false => before.clone(),
        };
        let (former, counts) = (self.waiting.awaiting, sum(&after));
        if counts.all > 0 {
            self.waiting.awaiting.heard(counts.unconfirmed, self.now);
        }
        if self.waiting.awaiting != former {
            self.waiting.write(transaction).await?;
        }
        for (platform, on) in after {
            let was_confirmed = before.get(&platform).is_some_and(|on| on.counts.unconfirmed == 0);
            if on.counts.unconfirmed == 0 && !was_confirmed {
                self.confirm_platform(transaction, platform, on).await?;
            }
        }
        if self.waiting.awaiting.awaits == Awaits::Removal && !returned.is_empty() {
            self.answer_returned(transaction, &returned, &mut acknowledged).await?;
        }
        Ok(acknowledged)
    }

    /// Those of which something is waited for: not of members that an appeal took out of what was decided.
    async fn waited_for<'a>(
        &self,
        transaction: &mut Transaction,
        heard: &'a [MemberTally],
    ) -> Result<Vec<&'a MemberTally>, StoreError> {
        let heard = heard.iter().take(HEARD_MAX);
        let Some(decision) = self.waiting.case.decision_out(self.now) else {
            return Ok(heard.collect());
        };
        let contents: Vec<ContentId> = heard.clone().map(|told| told.content).collect();
        let decided = (self.waiting.case.team, decision.decided_at);
        let excepted = crate::appeals::excepted(transaction, decided, &contents).await?;
        Ok(heard.filter(|told| !excepted.contains(&told.content)).collect())
    }

    /// When a copy was there first on a platform, and when one was removed.
    async fn keep_clocks(&self, transaction: &mut Transaction, clocks: &PlatformClocks) -> Result<(), StoreError> {
        for clock in clocks.iter() {
            let noted = note_clock(transaction, self.waiting.case.id, clock).await;
            noted.map_err(StoreError::database("keep when a copy was there and removed"))?;
        }
        Ok(())
    }

    /// Copies came after their removal was confirmed.
    async fn answer_returned(
        &mut self,
        transaction: &mut Transaction,
        returned: &[(&MemberTally, u64)],
        acknowledged: &mut Acknowledged,
    ) -> Result<(), StoreError> {
        acknowledged.returned = returned.len();
        let setting = match self.waiting.case.team {
            Team::Party(party) => crate::party_setting::on_reupload(transaction, party).await?,
            Team::Coordinators => OnReupload::Reopen,
        };
        let is_automatic = |told: &MemberTally| setting == OnReupload::Recommend && told.came_closely;
        let (close, others): (Vec<&MemberTally>, Vec<&MemberTally>) = returned
            .iter()
            .map(|(told, _)| *told)
            .partition(|told| is_automatic(told));
        acknowledged.recommended = self.recommend_again(transaction, &close).await?;
        let is_back = !others.is_empty() && self.waiting.case.ask_again(self.now);
        if is_back {
            let written = update(transaction, &self.waiting.case, self.now).await;
            written.map_err(StoreError::database("bring a case back"))?;
            acknowledged.reopened = Some(self.waiting.case.clone());
        }
        let copies: u64 = returned.iter().map(|(_, copies)| *copies).sum();
        let about = match (is_back, acknowledged.recommended) {
            (true, _) => "reopened",
            (false, 0) => "counted",
            (false, _) => "recommended_again",
        };
        let note = format!("{copies} copies of {} members", returned.len());
        self.step(transaction, ("reuploaded", about, &note)).await
    }

    /// Sends the recommendation again for members that it was not sent again for just before; to how many members and platforms.
    async fn recommend_again(
        &self,
        transaction: &mut Transaction,
        close: &[&MemberTally],
    ) -> Result<usize, StoreError> {
        let failed = StoreError::database("recommend again");
        let mut members: BTreeMap<ContentId, ContentHash> = BTreeMap::new();
        let mut recommended = 0;
        for told in close {
            let values = [
                self.id().into(),
                told.content.to_string().into(),
                i64::from(told.platform.0).into(),
                self.now.into(),
                (self.now - RECOMMEND_AGAIN_AFTER).into(),
            ];
            let sql = "UPDATE acknowledgements SET recommended_at = $4 WHERE decision_id = $1 AND content = $2 AND platform_id = $3 \
                       AND (recommended_at IS NULL OR recommended_at <= $5)";
            if transaction.execute(sql, &values).await.map_err(&failed)? > 0 {
                members.insert(told.content, told.hash.clone());
                recommended += 1;
            }
        }
        let Some(told) = standing(&self.waiting.case, self.now).filter(|_| !members.is_empty()) else {
            return Ok(recommended);
        };
        let members: Vec<(ContentId, ContentHash)> = members.into_iter().collect();
        let streams = streams_told(transaction, self.waiting.case.id, &told).await?;
        let readers = Readers::find(transaction).await?;
        for members in members.chunks(MEMBERS_PER_EVENT_MAX) {
            let event = ToldMembers {
                id: rand::random(),
                told: told.clone(),
                members: members.to_vec(),
                automated: true,
                streams: streams.clone(),
            };
            readers.tell_members(transaction, &event, self.now).await?;
        }
        Ok(recommended)
    }

    /// Keeps when all that is known on a platform was confirmed.
    async fn confirm_platform(
        &self,
        transaction: &mut Transaction,
        platform: PlatformId,
        on: OnPlatform,
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("confirm a platform");
        let is_removal = self.waiting.awaiting.awaits == Awaits::Removal;
        if let Some(at) = on.confirmed_at.filter(|_| is_removal) {
            let clock = (platform, ClockKind::Confirmed, at);
            let noted = note_clock(transaction, self.waiting.case.id, clock).await;
            noted.map_err(&failed)?;
        }
        let kind = if is_removal {
            "removal_confirmed"
        } else {
            "restore_confirmed"
        };
        let name = transaction
            .fetch(
                "SELECT name FROM platforms WHERE platform_id = $1",
                &[i64::from(platform.0).into()],
            )
            .await
            .map_err(&failed)?;
        let name = name.first().map(|row| row.text("name")).transpose().map_err(&failed)?;
        let answers = match self.waiting.awaiting.awaits {
            Awaits::Removal => "removals",
            Awaits::Restore => "restored",
        };
        let note = format!("{} {answers}", on.counts.answered);
        self.step(transaction, (kind, &name.unwrap_or_default(), &note)).await
    }

    async fn step(
        &self,
        transaction: &mut Transaction,
        (kind, about, note): (&'static str, &str, &str),
    ) -> Result<(), StoreError> {
        let step = Step {
            case: self.waiting.case.id,
            who: None,
            kind,
            about,
            note,
        };
        write_step(transaction, &step, self.now).await
    }

    fn id(&self) -> String {
        self.waiting.id()
    }

    /// What is known of these members.
    async fn known(
        &self,
        transaction: &mut Transaction,
        heard: &[&MemberTally],
    ) -> Result<BTreeMap<Key, MemberAcknowledgement>, StoreError> {
        let contents: BTreeSet<ContentId> = heard.iter().map(|told| told.content).collect();
        let mut known = BTreeMap::new();
        if contents.is_empty() {
            return Ok(known);
        }
        let mut values: Vec<Value> = vec![self.id().into()];
        values.extend(contents.iter().map(|content| Value::from(content.to_string())));
        let sql = format!(
            "SELECT {COLUMNS} FROM acknowledgements WHERE decision_id = $1 AND content IN ({})",
            values_from(2, contents.len())
        );
        let rows = transaction.fetch(&sql, &values).await;
        for row in &rows.map_err(StoreError::database("read what platforms confirmed"))? {
            let of = member(row)?;
            known.insert((of.content, of.platform), of);
        }
        Ok(known)
    }
}
