use tocsin_model::{KeyId, PlatformId, Timestamp};

use crate::case::{Case, CaseId, Resting};
use crate::command_rules::NOTE_BYTES_MAX;
use crate::notice::{
    AHEAD_MAX, AUTHORITY_BYTES_MAX, Filing, Notice, NoticeAnswer, NoticeCommand, NoticeEvent, NoticeId, NoticeKind,
    NoticeLoad, NoticeOutcome, NoticeRefusal, ORDER_DUE_IN, Suspension, SuspensionGround, URL_BYTES_MAX, URLS_MAX,
};

impl Case {
    /// What happened to one of its notices; `load` is what all of them come to now.
    ///
    /// One that waits for an answer calls people: it ends the time for which the case was put aside and opens a closed or decided case. So does a
    /// deadline that passed.
    pub fn take_notice(&mut self, notice: &Notice, event: NoticeEvent, load: NoticeLoad, now: Timestamp) {
        self.notices = load;
        if let Some(platform) = notice.filing.platform {
            self.note_platform(platform);
        }
        let calls = match event {
            NoticeEvent::Filed => notice.is_open(),
            NoticeEvent::Overdue => true,
            NoticeEvent::Suspended | NoticeEvent::Resumed | NoticeEvent::Answered | NoticeEvent::SaidBefore => false,
        };
        if calls {
            self.held_until = None;
            if self.resting != Resting::Open {
                self.resting = Resting::Open;
                self.waiting_since = now;
            }
        }
        self.version += u64::from(event != NoticeEvent::SaidBefore);
    }

    /// A notice names this platform.
    pub(crate) fn note_platform(&mut self, platform: PlatformId) {
        if let Err(place) = self.noticed_platforms.binary_search(&platform) {
            self.noticed_platforms.insert(place, platform);
        }
    }
}

impl Filing {
    /// The notice that is filed so.
    ///
    /// # Errors
    /// [`NoticeRefusal::Malformed`] or [`NoticeRefusal::Times`].
    pub fn file(&self, id: NoticeId, case: CaseId, by: KeyId, now: Timestamp) -> Result<Notice, NoticeRefusal> {
        let named = |text: &str| !text.trim().is_empty() && text.len() <= AUTHORITY_BYTES_MAX;
        let urls = self.urls.len() <= URLS_MAX && self.urls.iter().all(|url| url.len() <= URL_BYTES_MAX);
        let said = self.statement.len() <= NOTE_BYTES_MAX;
        let texts = [&self.authority, &self.reference, &self.statement];
        let whole = !texts.into_iter().chain(&self.urls).any(|text| text.contains('\0'));
        if !(named(&self.authority) && named(&self.reference) && urls && said && whole) {
            return Err(NoticeRefusal::Malformed);
        }
        if self.kind == NoticeKind::ThreatToLife && self.statement.trim().is_empty() {
            return Err(NoticeRefusal::Malformed);
        }
        let before_receipt = self.due_at.is_some_and(|due| due < self.received_at);
        if self.received_at > now + AHEAD_MAX || self.received_at < Timestamp(0) || before_receipt {
            return Err(NoticeRefusal::Times);
        }
        let received_at = self.received_at.min(now);
        Ok(Notice {
            id,
            case,
            filing: Filing {
                received_at,
                ..self.clone()
            },
            filed_by: by,
            filed_at: now,
            due_at: match self.kind {
                NoticeKind::RemovalOrder => Some(received_at + ORDER_DUE_IN),
                NoticeKind::TrustedFlagger | NoticeKind::Referral => self.due_at,
                NoticeKind::ThreatToLife => None,
            },
            suspension: None,
            answer: None,
            overdue_at: None,
        })
    }

    /// Whether this says the same as a notice that was filed before: it names the same content, whatever family that is in by now, or the same case.
    /// When it was received may be told anew after a lost answer.
    pub fn says(&self, case: Option<CaseId>, before: &Notice) -> bool {
        let filed = &before.filing;
        let is_about = match (&self.content, &filed.content) {
            (Some(content), Some(filed)) => content == filed,
            (None, None) => case == Some(before.case),
            _ => false,
        };
        let said = (
            filed.kind,
            filed.authority.as_str(),
            filed.reference.as_str(),
            filed.part,
        );
        is_about && said == (self.kind, self.authority.as_str(), self.reference.as_str(), self.part)
    }
}

impl Notice {
    /// What a person's command does to it. A refused one changes nothing.
    ///
    /// A suspended time runs anew from its resumption, in full: Art. 3(7) and (8). What passes then is escalated anew.
    ///
    /// # Errors
    /// See [`NoticeRefusal`].
    pub fn apply(&mut self, by: KeyId, command: &NoticeCommand, now: Timestamp) -> Result<NoticeEvent, NoticeRefusal> {
        match command {
            NoticeCommand::Suspend { ground, note } => self.suspend(by, (*ground, note), now),
            NoticeCommand::Resume { note } => self.resume(note, now),
            NoticeCommand::Answer { outcome, note } => self.settle(by, (*outcome, note), now),
        }
    }

    fn suspend(
        &mut self,
        by: KeyId,
        (ground, note): (SuspensionGround, &str),
        now: Timestamp,
    ) -> Result<NoticeEvent, NoticeRefusal> {
        needed(note)?;
        if self.filing.kind != NoticeKind::RemovalOrder {
            return Err(NoticeRefusal::NotSuspendable);
        }
        if self.answer.is_some() {
            return Err(NoticeRefusal::Answered);
        }
        if let Some(before) = &self.suspension {
            return match (before.ground, before.note.as_str(), before.by) == (ground, note, by) {
                true => Ok(NoticeEvent::SaidBefore),
                false => Err(NoticeRefusal::Suspended),
            };
        }
        self.suspension = Some(Suspension {
            ground,
            note: note.to_owned(),
            at: now,
            by,
        });
        Ok(NoticeEvent::Suspended)
    }

    fn resume(&mut self, note: &str, now: Timestamp) -> Result<NoticeEvent, NoticeRefusal> {
        check_note(note)?;
        if self.answer.is_some() {
            return Err(NoticeRefusal::Answered);
        }
        if self.suspension.take().is_none() {
            return Err(NoticeRefusal::Running);
        }
        self.due_at = Some(now + ORDER_DUE_IN);
        self.overdue_at = None;
        Ok(NoticeEvent::Resumed)
    }

    fn settle(
        &mut self,
        by: KeyId,
        (outcome, note): (NoticeOutcome, &str),
        now: Timestamp,
    ) -> Result<NoticeEvent, NoticeRefusal> {
        let is_threat = self.filing.kind == NoticeKind::ThreatToLife;
        match is_threat {
            true => needed(note)?,
            false => check_note(note)?,
        }
        if (outcome == NoticeOutcome::Replied) != is_threat {
            return Err(NoticeRefusal::Outcome);
        }
        if let Some(before) = &self.answer {
            return match (before.outcome, before.note.as_str(), before.by) == (outcome, note, by) {
                true => Ok(NoticeEvent::SaidBefore),
                false => Err(NoticeRefusal::Answered),
            };
        }
        self.answer = Some(NoticeAnswer {
            outcome,
            note: note.to_owned(),
            at: now,
            by,
        });
        Ok(NoticeEvent::Answered)
    }

    /// When it is due, if it waits for an answer and its time runs.
    pub fn runs_until(&self) -> Option<Timestamp> {
        self.due_at
            .filter(|_| self.answer.is_none() && self.suspension.is_none())
    }

    /// Whether it is to be escalated now: its time is over, and nobody was told.
    pub fn is_missed(&self, now: Timestamp) -> bool {
        self.overdue_at.is_none() && self.runs_until().is_some_and(|due| due <= now)
    }

    /// Notes that its time is over, once for each deadline; whether that is new.
    pub fn escalate(&mut self, now: Timestamp) -> bool {
        let missed = self.is_missed(now);
        if missed {
            self.overdue_at = Some(now);
        }
        missed
    }

    /// Whether the team owes an answer.
    pub fn is_open(&self) -> bool {
        self.answer.is_none() && self.filing.kind != NoticeKind::ThreatToLife
    }
}

impl NoticeLoad {
    /// Of these notices of one case.
    pub fn of<'a>(notices: impl IntoIterator<Item = &'a Notice>) -> NoticeLoad {
        notices
            .into_iter()
            .fold(NoticeLoad::default(), |load, notice| NoticeLoad {
                open: load.open + u32::from(notice.is_open()),
                due_at: [load.due_at, notice.runs_until()].into_iter().flatten().min(),
            })
    }
}

fn check_note(note: &str) -> Result<(), NoticeRefusal> {
    match note.len() > NOTE_BYTES_MAX || note.contains('\0') {
        true => Err(NoticeRefusal::Note),
        false => Ok(()),
    }
}

fn needed(note: &str) -> Result<(), NoticeRefusal> {
    match note.trim().is_empty() {
        true => Err(NoticeRefusal::Note),
        false => check_note(note),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the hour of an order runs from its receipt, stops only on the grounds of the law, and is escalated once when it is over.
    #![allow(clippy::unwrap_used)]
    use tocsin_model::{ContentId, FamilyId, Milliseconds};

    use super::*;
    use crate::alert_rules::tests::{alert, open};
    use crate::{AlertEffect, Team, UNREVIEWED_BELOW};

    const ANNA: KeyId = KeyId(1);
    const BEN: KeyId = KeyId(2);
    const NOON: Timestamp = Timestamp(1_700_000_000_000);
    const MINUTE: Milliseconds = Milliseconds::from_minutes(1);

    fn filing(kind: NoticeKind) -> Filing {
        Filing {
            kind,
            authority: "Bundeskriminalamt".to_owned(),
            reference: "TCO-2026-11".to_owned(),
            part: 0,
            content: None,
            platform: None,
            received_at: NOON,
            due_at: None,
            urls: vec!["https://example.org/v/1".to_owned()],
            statement: "incites to an attack".to_owned(),
        }
    }

    fn filed(kind: NoticeKind) -> Notice {
        filing(kind).file(NoticeId(1), CaseId(1), ANNA, NOON).unwrap()
    }

    fn answer(outcome: NoticeOutcome) -> NoticeCommand {
        NoticeCommand::Answer {
            outcome,
            note: "done".to_owned(),
        }
    }

    fn suspend(ground: SuspensionGround) -> NoticeCommand {
        NoticeCommand::Suspend {
            ground,
            note: "the address is cut off".to_owned(),
        }
    }

    fn resume() -> NoticeCommand {
        NoticeCommand::Resume { note: String::new() }
    }

    #[test]
    fn an_order_is_due_an_hour_after_its_receipt_and_is_escalated_once() {
        let late = Filing {
            received_at: NOON - Milliseconds::from_minutes(50),
            due_at: Some(NOON + Milliseconds::from_hours(9)),
            ..filing(NoticeKind::RemovalOrder)
        };
        let mut order = late.file(NoticeId(1), CaseId(1), ANNA, NOON).unwrap();
        let due = NOON + Milliseconds::from_minutes(10);
        assert_eq!(order.runs_until(), Some(due), "whatever else was said");
        let before = due - Milliseconds(1);
        assert_eq!((order.escalate(before), order.overdue_at), (false, None));
        assert_eq!((order.escalate(due), order.overdue_at), (true, Some(due)));
        assert!(!order.escalate(due + MINUTE), "once");
        assert_eq!(order.runs_until(), Some(due), "it waits for its answer all the same");
    }

    #[test]
    fn a_suspended_hour_runs_anew_in_full_and_is_escalated_anew() {
        let mut order = filed(NoticeKind::RemovalOrder);
        let missed = NOON + ORDER_DUE_IN;
        assert!(order.escalate(missed));
        for ground in SuspensionGround::ALL {
            assert_eq!(order.apply(ANNA, &suspend(*ground), missed), Ok(NoticeEvent::Suspended));
            assert_eq!(
                order.apply(ANNA, &suspend(*ground), missed),
                Ok(NoticeEvent::SaidBefore)
            );
            assert_eq!(
                order.apply(BEN, &suspend(*ground), missed),
                Err(NoticeRefusal::Suspended)
            );
            assert_eq!(
                (order.runs_until(), order.escalate(missed + ORDER_DUE_IN)),
                (None, false)
            );
            let later = missed + Milliseconds::from_hours(5);
            assert_eq!(order.apply(BEN, &resume(), later), Ok(NoticeEvent::Resumed));
            assert_eq!(order.apply(BEN, &resume(), later), Err(NoticeRefusal::Running));
            assert_eq!(order.runs_until(), Some(later + ORDER_DUE_IN));
            assert!(order.escalate(later + ORDER_DUE_IN));
        }
        for kind in [
            NoticeKind::TrustedFlagger,
            NoticeKind::Referral,
            NoticeKind::ThreatToLife,
        ] {
            let refused = filed(kind).apply(ANNA, &suspend(SuspensionGround::Impossible), NOON);
            assert_eq!(refused, Err(NoticeRefusal::NotSuspendable));
        }
    }

    #[test]
    fn an_answer_ends_it_and_is_given_once() {
        use NoticeOutcome::*;
        let mut order = filed(NoticeKind::RemovalOrder);
        assert_eq!(order.apply(ANNA, &answer(Replied), NOON), Err(NoticeRefusal::Outcome));
        assert_eq!(
            order.apply(ANNA, &answer(Removed), NOON + MINUTE),
            Ok(NoticeEvent::Answered)
        );
        assert_eq!(
            order.apply(ANNA, &answer(Removed), NOON + MINUTE),
            Ok(NoticeEvent::SaidBefore)
        );
        for (by, outcome) in [(BEN, Removed), (ANNA, Kept)] {
            assert_eq!(order.apply(by, &answer(outcome), NOON), Err(NoticeRefusal::Answered));
        }
        assert_eq!(order.apply(ANNA, &resume(), NOON), Err(NoticeRefusal::Answered));
        assert_eq!((order.is_open(), order.runs_until()), (false, None));
        assert!(!order.escalate(NOON + ORDER_DUE_IN), "what is answered is not late");

        let mut threat = filed(NoticeKind::ThreatToLife);
        assert_eq!((threat.is_open(), threat.runs_until()), (false, None));
        assert_eq!(threat.apply(ANNA, &answer(Removed), NOON), Err(NoticeRefusal::Outcome));
        let silent = NoticeCommand::Answer {
            outcome: Replied,
            note: " ".to_owned(),
        };
        assert_eq!(threat.apply(ANNA, &silent, NOON), Err(NoticeRefusal::Note));
        assert_eq!(threat.apply(ANNA, &answer(Replied), NOON), Ok(NoticeEvent::Answered));
    }

    #[test]
    fn the_same_notice_is_known_by_its_name_and_what_it_is_about() {
        let hash = |byte| {
            let hash = tocsin_model::ContentHash::from_bytes(tocsin_model::Algorithm::Sha256, vec![byte; 32], None);
            Some(hash.unwrap())
        };
        let about = |content| Filing {
            content,
            ..filing(NoticeKind::RemovalOrder)
        };
        let of_content = about(hash(1)).file(NoticeId(1), CaseId(1), ANNA, NOON).unwrap();
        let of_case = about(None).file(NoticeId(2), CaseId(1), ANNA, NOON).unwrap();
        assert!(
            about(hash(1)).says(None, &of_content),
            "whatever family it is in by now"
        );
        assert!(!about(hash(2)).says(None, &of_content));
        assert!(!about(None).says(Some(CaseId(1)), &of_content));
        assert!(about(None).says(Some(CaseId(1)), &of_case));
        assert!(!about(None).says(Some(CaseId(2)), &of_case));
        let other_part = Filing {
            part: 1,
            ..about(hash(1))
        };
        assert!(!other_part.says(None, &of_content));
    }

    #[test]
    fn what_is_malformed_is_not_filed() {
        let file = |change: fn(&mut Filing)| {
            let mut filing = filing(NoticeKind::Referral);
            change(&mut filing);
            filing
                .file(NoticeId(1), CaseId(1), ANNA, NOON)
                .map(|notice| notice.filing.received_at)
        };
        let malformed: [fn(&mut Filing); 7] = [
            |filing| filing.authority = " ".to_owned(),
            |filing| filing.authority = "a".repeat(AUTHORITY_BYTES_MAX + 1),
            |filing| filing.reference = "a\0".to_owned(),
            |filing| filing.urls = vec![String::new(); URLS_MAX + 1],
            |filing| filing.urls = vec!["a".repeat(URL_BYTES_MAX + 1)],
            |filing| filing.statement = "a".repeat(NOTE_BYTES_MAX + 1),
            |filing| (filing.kind, filing.statement) = (NoticeKind::ThreatToLife, String::new()),
        ];
        for change in malformed {
            assert_eq!(file(change), Err(NoticeRefusal::Malformed));
        }
        let times: [fn(&mut Filing); 3] = [
            |filing| filing.received_at = NOON + AHEAD_MAX + Milliseconds(1),
            |filing| filing.received_at = Timestamp(-1),
            |filing| filing.due_at = Some(NOON - Milliseconds(1)),
        ];
        for change in times {
            assert_eq!(file(change), Err(NoticeRefusal::Times));
        }
        assert_eq!(
            file(|filing| filing.received_at = NOON + AHEAD_MAX),
            Ok(NOON),
            "a clock ahead gives no more time"
        );
    }

    #[test]
    fn a_notice_opens_joins_and_brings_back_and_an_alert_joins_it() {
        let content = (
            FamilyId(ContentId(5)),
            &alert(tocsin_model::Scope::All, tocsin_model::AlertLevel::Raised, 1, 10).hash,
        );
        let mut case = Case::open_silent(CaseId(1), Team::Coordinators, content, NOON);
        let order = filed(NoticeKind::RemovalOrder);
        let load = NoticeLoad::of([&order]);
        assert_eq!((load.open, load.due_at), (1, order.due_at));
        case.take_notice(&order, NoticeEvent::Filed, load, NOON);
        assert_eq!(
            (case.resting, case.version, case.standing().due_at),
            (Resting::Open, 2, order.due_at)
        );

        let raised = alert(tocsin_model::Scope::All, tocsin_model::AlertLevel::Raised, 1, 10);
        assert_eq!(case.apply_alert(&raised, UNREVIEWED_BELOW, NOON), AlertEffect::Updated);
        assert_eq!((case.alert.as_ref(), case.priority), (Some(&raised), raised.priority));
        let over = alert(tocsin_model::Scope::All, tocsin_model::AlertLevel::Subsided, 1, 11);
        assert_eq!(
            case.apply_alert(&over, UNREVIEWED_BELOW, NOON),
            AlertEffect::Updated,
            "somebody waits for an answer"
        );

        for resting in [Resting::Open, Resting::Decided, Resting::Closed] {
            let mut case = Case {
                resting,
                held_until: Some(NOON + MINUTE),
                ..open()
            };
            case.take_notice(
                &filed(NoticeKind::ThreatToLife),
                NoticeEvent::Filed,
                NoticeLoad::default(),
                NOON,
            );
            assert_eq!(
                (case.resting, case.held_until.is_some()),
                (resting, true),
                "the team told of it itself"
            );
            case.take_notice(&order, NoticeEvent::Filed, load, NOON);
            assert_eq!((case.resting, case.held_until), (Resting::Open, None));
        }
    }
}
