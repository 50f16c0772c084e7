//! Who plays a random history through the store, and keeps the model of it.

use rand::Rng as _;
use rand::rngs::SmallRng;
use tocsin_casework::{
    AppealOutcome, By, CaseId, CaseState, ClockKind, Command, Filing, Filter, NoticeCommand, NoticeEvent, NoticeKind,
    NoticeOutcome, Occurrences, Ruling, Span, SuspensionGround, Tally, Team, UNREVIEWED_BELOW,
};
use tocsin_model::{
    Alert, AlertLevel, Algorithm, ContentHash, ContentId, DecisionId, FamilyId, Grounds, KeyId, Milliseconds,
    PlatformId, RecommendedAction, Scope, Timestamp, Verdict,
};
use tocsin_store::{About, Clock, FOLLOWED_FOR, KeySubject, MemberTally, Observed, QueueQuery, Roles, Store};

use crate::fixture::{START, alert, filings, n};
use crate::model::{Decided, Filed, Model, Noted, Removed, is_labelled};

const UNDO: Milliseconds = Milliseconds::from_seconds(5);
const FAMILIES: u128 = 7;

/// Whoever plays.
pub struct Player {
    pub store: Store,
    clock: Clock,
    pub team: Team,
    pub platform: PlatformId,
    people: [KeyId; 2],
    pub model: Model,
    episodes: Vec<u32>,
}

/// The kind of a family's content follows from its number.
fn hash(family: u128) -> ContentHash {
    let (algorithm, quality) = match family % 3 {
        0 => (Algorithm::Pdq, Some(80)),
        1 => (Algorithm::Vpdq, None),
        _ => (Algorithm::Sha256, None),
    };
    let mut value = vec![9; 32];
    value[..16].copy_from_slice(&family.to_be_bytes());
    ContentHash::from_bytes(algorithm, value, quality).unwrap()
}

pub fn kind(family: u128) -> &'static str {
    ["picture", "video", "file"][family as usize % 3]
}

fn family_of(number: u128) -> FamilyId {
    FamilyId(ContentId(number))
}

impl Player {
    pub async fn new(url: &str) -> Player {
        let clock = Clock::standing_at(START);
        let store = Store::open_with_clock(url, clock.clone()).await.unwrap();
        let party = store.add_party(&n("alpha"), &[n("alpha-app")]).await.unwrap();
        store.add_party(&n("beta"), &[n("beta-app")]).await.unwrap();
        let mut people = Vec::new();
        for _ in 0..2 {
            let issued = store.issue_key(KeySubject::Party(party.id), Roles::all()).await;
            people.push(issued.unwrap().0);
        }
        Player {
            store,
            clock,
            team: Team::Party(party.id),
            platform: party.platforms[0].0,
            people: [people[0], people[1]],
            model: Model::default(),
            episodes: vec![0; FAMILIES as usize],
        }
    }

    async fn now(&self) -> Timestamp {
        self.store.time().await.unwrap()
    }

    async fn case(&self, family: u128) -> Option<CaseId> {
        let known = self.model.cases.get(&family).map(|noted| noted.id);
        if known.is_some() {
            return known;
        }
        let query = QueueQuery {
            team: self.team,
            state: CaseState::Open,
            filter: Filter::default(),
            urgent_within: Milliseconds(0),
            limit: QueueQuery::LIMIT_MAX,
            after: None,
        };
        let cases = self.store.queue(&query).await.unwrap().cases;
        cases
            .iter()
            .find(|case| case.family == family_of(family))
            .map(|case| case.id)
    }

    /// Rings, or subsides; of no interest is closed then.
    async fn ring(&mut self, family: u128, level: AlertLevel) {
        let now = self.now().await;
        let episode = &mut self.episodes[family as usize];
        if level == AlertLevel::Raised {
            *episode += 1;
        }
        if *episode == 0 {
            return;
        }
        let raised = Alert {
            at: now,
            first_seen: now - Milliseconds::from_seconds(family as i64 * 40),
            hash: hash(family),
            priority: UNREVIEWED_BELOW / 2.0,
            ..alert(family, Scope::All, level, *episode)
        };
        self.store.apply_alerts(&[raised], UNREVIEWED_BELOW).await.unwrap();
        if let Some(id) = self.case(family).await {
            let noted = self
                .model
                .cases
                .entry(family)
                .or_insert_with(|| Noted::new(id, kind(family)));
            noted.rang_at.get_or_insert(now);
        }
    }

    async fn follow_states(&mut self) {
        let now = self.now().await;
        for noted in self.model.cases.values_mut() {
            let (case, now_there) = self.store.case(self.team, noted.id).await.unwrap();
            assert_eq!(now, now_there);
            let is_closed = case.state(now) == CaseState::Closed;
            if noted.closed.last().is_some_and(|(_, was)| *was) != is_closed {
                noted.closed.push((now, is_closed));
            }
        }
    }

    async fn decide(&mut self, family: u128, ruling: Ruling, take_back: bool) {
        let Some(case) = self.case(family).await else {
            return;
        };
        let who = self.people[0];
        let by = |fencing| By {
            who,
            fencing,
            version: None,
        };
        let length = Milliseconds::from_minutes(5);
        let claimed = self
            .store
            .command(self.team, case, by(0), &Command::Claim { length })
            .await;
        let Ok(claimed) = claimed else {
            return;
        };
        let now = self.now().await;
        let noted = self.model.cases.get_mut(&family).unwrap();
        noted.claimed_at.get_or_insert(now);
        self.clock.advance(Milliseconds::from_seconds(30));
        let id = DecisionId(rand::random());
        let decide = Command::Decide {
            id,
            ruling: ruling.clone(),
            undo_for: UNDO,
        };
        let fencing = claimed.case.fencing;
        if self.store.command(self.team, case, by(fencing), &decide).await.is_err() {
            return;
        }
        let at = self.now().await;
        if take_back {
            self.clock.advance(Milliseconds::from_seconds(1));
            let withdraw = Command::Withdraw { decision: id, length };
            self.store
                .command(self.team, case, by(fencing), &withdraw)
                .await
                .unwrap();
            return;
        }
        self.clock.advance(UNDO);
        self.model.decisions.push(Decided {
            id,
            family,
            at,
            out_at: at + UNDO,
            verdict: ruling.verdict,
            action: ruling.grounds.action,
            policy: ruling.grounds.policy.clone(),
            kind: kind(family),
        });
    }

    /// The platform tells of a member of a family: so many copies more, and that they were removed, or not.
    async fn tell(&mut self, family: u128, copies: u64, is_removed: bool, views: (u64, u64)) {
        let now = self.now().await;
        let Some(decided) = self
            .model
            .decisions
            .iter()
            .rev()
            .find(|decided| decided.family == family)
        else {
            return;
        };
        if decided.action != Some(RecommendedAction::Remove) {
            return;
        }
        let (decision, out_at) = (decided.id, decided.out_at);
        if out_at + FOLLOWED_FOR <= now {
            // It is followed no more.
            return;
        }
        // Tallies are of all times: a later decision hears of what came before it.
        let of_family = self.model.removed.values().filter(|removed| removed.family == family);
        let former = of_family.max_by_key(|removed| removed.out_at);
        let begun = former.map_or_else(|| Removed::new(family, out_at), |former| former.heard_again(out_at));
        let removed = self.model.removed.get(&decision.0).unwrap_or(&begun).clone();
        let was_gone = removed.last_removal > removed.last_copy;
        if !removed.is_told
            && !is_removed
            && removed.removals > 0
            && removed.removals >= removed.copies + copies
            && !(was_gone && copies == 0)
        {
            // As many removals as copies would be taken for a confirmation.
            return;
        }
        let (mut after, was_confirmed) = (removed.clone(), removed.is_confirmed);
        after.copies += copies;
        after.removals += if is_removed { copies.max(1) } else { 0 };
        after.views.sample(views, now);
        let bin = |at: Timestamp| Span {
            from: at,
            to: at + Milliseconds::from_seconds(5),
        };
        let copied = now - Milliseconds::from_seconds(60);
        if copies > 0 {
            after.last_copy = Some(copied);
        }
        if is_removed {
            after.last_removal = Some(now);
        }
        let occurred = |events: u64, latest: Option<Timestamp>| Occurrences {
            events,
            first_at: (events > 0).then_some(START),
            latest: latest.map(bin),
        };
        let told = MemberTally {
            content: ContentId(family),
            hash: hash(family),
            platform: self.platform,
            came_closely: false,
            tally: Tally {
                copies: occurred(after.copies, after.last_copy),
                removals: occurred(after.removals, after.last_removal),
                is_labelled: is_labelled(family, after.copies),
                viewed: after.views.viewed(),
                uncounted: 0,
                as_of: now,
                ..Tally::default()
            },
        };
        let heard = self.store.acknowledge(decision, &[told]).await.unwrap();
        if heard.is_none() || after.copies == 0 {
            return;
        }
        if !after.is_told && !is_removed && copies == 0 && was_gone {
            (after.is_confirmed, after.was_removed_before) = (true, true);
        }
        after.is_told = true;
        if is_removed {
            after.is_confirmed = true;
            if copies > 0 || !was_confirmed {
                after.views.confirm();
                after
                    .confirmations
                    .push((now.max(out_at), after.copies, after.removals));
            }
        } else if copies > 0 {
            after.is_confirmed = false;
        }
        if !after.is_confirmed {
            after.views.hear();
        }
        if was_confirmed {
            after.returned += copies;
        }
        self.model.removed.insert(decision.0, after);
    }

    async fn notice(&mut self, family: u128, kind: NoticeKind, authority: usize) {
        let now = self.now().await;
        let number = self.model.notices.len();
        let filing = Filing {
            authority: ["Bundeskriminalamt", "Coimisiún na Meán", "Punto de contacto"][authority].to_owned(),
            content: Some(hash(family)),
            ..filings::notice(kind, &format!("N-{number}"), now)
        };
        let about = About::Family(family_of(family), hash(family));
        let by = (self.team, self.people[0]);
        let filed = Box::pin(self.store.file_notice(by, &about, &filing)).await.unwrap();
        let noted = self.model.cases.entry(family);
        let noted = noted.or_insert_with(|| Noted::new(filed.case.id, crate::player::kind(family)));
        noted.noticed_at.get_or_insert(now);
        self.model.notices.push(Filed {
            id: filed.notice.id,
            family,
            kind,
            authority: filing.authority,
            at: now,
            answered: None,
            times: vec![(now, None, filed.notice.due_at)],
        });
    }

    async fn handle_notice(&mut self, index: usize, command: NoticeCommand) {
        let Some(filed) = self.model.notices.get(index) else {
            return;
        };
        let by = (self.team, self.people[0]);
        let done = Box::pin(self.store.command_notice(by, filed.id, &command)).await;
        let (Ok(done), now) = (done, self.now().await) else {
            return;
        };
        if done.event == NoticeEvent::SaidBefore {
            return;
        }
        let filed = &mut self.model.notices[index];
        let due = done.notice.due_at;
        match command {
            NoticeCommand::Suspend { ground, .. } => filed.times.push((now, Some(ground), due)),
            NoticeCommand::Answer { outcome, .. } => filed.answered = Some((outcome, now)),
            NoticeCommand::Resume { .. } => filed.times.push((now, None, due)),
        }
    }

    async fn appeal(&mut self, family: u128, answer: Option<AppealOutcome>) {
        let reference = format!("A-{}", self.model.appeals.len());
        let filing = filings::appeal(&reference, self.platform, hash(family));
        let content = (ContentId(family), family_of(family));
        let filed = Box::pin(self.store.file_appeal((self.team, self.people[0]), content, &filing)).await;
        let filed = filed.unwrap();
        let at = self.now().await;
        let mut answered = None;
        if let Some(outcome) = answer {
            self.clock.advance(Milliseconds::from_minutes(family as i64 * 90));
            let by = (self.team, self.people[1]);
            filings::answer(&self.store, by, filed.appeal.id, filings::of_upload(outcome)).await;
            answered = Some((outcome, self.now().await));
        }
        self.model.appeals.push((at, answered));
    }

    async fn observe(&mut self, family: u128, clock: ClockKind, before: i64) {
        let at = self.now().await - Milliseconds::from_minutes(before);
        // Another party's platform, of which the report says nothing.
        let elsewhere = PlatformId(self.platform.0 + 1);
        let observed = Observed {
            clocks: vec![(self.platform, clock, at), (elsewhere, clock, at - Milliseconds(1))],
            ..Observed::default()
        };
        self.store
            .observe(self.team, family_of(family), &observed)
            .await
            .unwrap();
    }

    pub async fn step(&mut self, seed: &mut SmallRng) {
        let family = seed.random_range(0..FAMILIES);
        match seed.random_range(0..12) {
            0 | 1 => self.ring(family, AlertLevel::Raised).await,
            2 => self.ring(family, AlertLevel::Subsided).await,
            3 | 4 => {
                let verdict = Verdict::ALL[seed.random_range(0..Verdict::ALL.len())];
                let verdict = if seed.random_bool(0.5) {
                    Verdict::Violating
                } else {
                    verdict
                };
                let action = [
                    None,
                    Some(RecommendedAction::Remove),
                    Some(RecommendedAction::Remove),
                    Some(RecommendedAction::Label),
                ];
                let policy = ["", "terrorism 1.2", "glorification"][seed.random_range(0..3)];
                let ruling = Ruling {
                    grounds: Grounds {
                        action: action[seed.random_range(0..4)],
                        policy: policy.to_owned(),
                        ..Grounds::default()
                    },
                    ..Ruling::of(verdict, "by what is shown")
                };
                let take_back = seed.random_bool(0.2);
                self.decide(family, ruling, take_back).await;
            }
            5 | 6 => {
                let copies = [0, 1, 3, 20, 400, 2_500][seed.random_range(0..6)];
                let is_removed = seed.random_bool(0.7);
                let before = [0, 0, 3, 70, 800, 9_000, 2_000_000][seed.random_range(0..7)];
                let after = [0, 0, 5, 600][seed.random_range(0..4)];
                self.tell(family, copies, is_removed, (before, after)).await;
            }
            7 => {
                let kinds = [
                    NoticeKind::RemovalOrder,
                    NoticeKind::RemovalOrder,
                    NoticeKind::TrustedFlagger,
                    NoticeKind::Referral,
                ];
                let (kind, authority) = (kinds[seed.random_range(0..4)], seed.random_range(0..3));
                self.notice(family, kind, authority).await;
            }
            8 => {
                let index = seed.random_range(0..8);
                let note = "done".to_owned();
                let command = match seed.random_range(0..5) {
                    0 => NoticeCommand::Suspend {
                        ground: SuspensionGround::ALL[seed.random_range(0..3)],
                        note,
                    },
                    1 => NoticeCommand::Resume { note },
                    other => NoticeCommand::Answer {
                        outcome: [NoticeOutcome::Removed, NoticeOutcome::Kept, NoticeOutcome::Withdrawn][other - 2],
                        note,
                    },
                };
                self.handle_notice(index, command).await;
            }
            9 => {
                let answers = [None, Some(AppealOutcome::Upheld), Some(AppealOutcome::Overturned)];
                self.appeal(family, answers[seed.random_range(0..3)]).await;
            }
            _ => {
                let clock = ClockKind::ALL[seed.random_range(0..ClockKind::ALL.len())];
                let before = seed.random_range(0..300);
                self.observe(family, clock, before).await;
            }
        }
        self.clock
            .advance(Milliseconds::from_minutes(seed.random_range(1..400)));
        self.follow_states().await;
    }
}
