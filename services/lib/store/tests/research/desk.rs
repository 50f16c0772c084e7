//! What a party's people and platforms do, about many families at a time.

use tocsin_casework::{
    AppealOutcome, By, CaseId, CaseState, ClockKind, Command, Filing, Filter, NoticeCommand, NoticeId, NoticeKind,
    NoticeOutcome, Occurrences, Ruling, Span, Tally, Team, UNREVIEWED_BELOW,
};
use tocsin_model::{
    Alert, AlertLevel, Algorithm, ContentHash, ContentId, DecisionId, FamilyId, Grounds, KeyId, Milliseconds,
    PlatformId, RecommendedAction, Verdict,
};
use tocsin_store::{
    About, Carried, FamilySaid, InResearch, KeySubject, MemberTally, Observed, PartyRecord, QueueQuery, Roles,
};

use crate::fixture::{Commands as _, Fixture, LEASE, alert, filings, n};

pub struct Desk<'a> {
    pub f: &'a Fixture,
    pub party: PartyRecord,
    pub team: Team,
    people: [KeyId; 2],
    /// The party's platform.
    pub platform: PlatformId,
}

fn family_of(number: u128) -> FamilyId {
    FamilyId(ContentId(number))
}

fn hash(number: u128) -> ContentHash {
    let mut value = vec![9; 32];
    value[..16].copy_from_slice(&number.to_be_bytes());
    ContentHash::from_bytes(Algorithm::Pdq, value, Some(80)).unwrap()
}

fn by(who: KeyId, fencing: u64) -> By {
    By {
        who,
        fencing,
        version: None,
    }
}

impl<'a> Desk<'a> {
    /// A party that does not take part.
    pub async fn new(f: &'a Fixture, name: &str) -> Desk<'a> {
        let platform = format!("{name}-app");
        let party = f.store.add_party(&n(name), &[n(&platform)]).await.unwrap();
        let mut people = Vec::new();
        for _ in 0..2 {
            let issued = f.store.issue_key(KeySubject::Party(party.id), Roles::all()).await;
            people.push(issued.unwrap().0);
        }
        Desk {
            f,
            team: Team::Party(party.id),
            people: [people[0], people[1]],
            platform: party.platforms[0].0,
            party,
        }
    }

    pub async fn take_part(&self, setting: InResearch) {
        self.f.store.set_in_research(self.party.id, setting).await.unwrap();
    }

    /// Each rings now, alone in the party's scope.
    pub async fn ring(&self, families: impl IntoIterator<Item = u128>) {
        let now = self.f.store.time().await.unwrap();
        let raised = families.into_iter().map(|family| Alert {
            at: now,
            first_seen: now,
            hash: hash(family),
            ..alert(family, self.team.scope(), AlertLevel::Raised, 1)
        });
        let raised: Vec<Alert> = raised.collect();
        self.f.store.apply_alerts(&raised, UNREVIEWED_BELOW).await.unwrap();
    }

    /// A clock of a family on a platform says that it was so long ago.
    pub async fn observe(&self, family: u128, clock: (PlatformId, ClockKind), ago: Milliseconds) {
        let at = self.f.store.time().await.unwrap() - ago;
        let observed = Observed {
            clocks: vec![(clock.0, clock.1, at)],
            ..Observed::default()
        };
        self.f
            .store
            .observe(self.team, family_of(family), &observed)
            .await
            .unwrap();
    }

    async fn case(&self, family: u128) -> CaseId {
        let query = QueueQuery {
            team: self.team,
            state: CaseState::Open,
            filter: Filter::default(),
            urgent_within: Milliseconds(0),
            limit: QueueQuery::LIMIT_MAX,
            after: None,
        };
        let cases = self.f.store.queue(&query).await.unwrap().cases;
        let found = cases.iter().find(|case| case.family == family_of(family));
        found.unwrap_or_else(|| panic!("no open case of {family}")).id
    }

    pub async fn decide(&self, family: u128, verdict: Verdict) -> DecisionId {
        let (case, who) = (self.case(family).await, self.people[0]);
        let (held, _) = self.f.store.claim(self.team, case, who, LEASE).await.unwrap();
        let id = DecisionId(rand::random());
        let action = (verdict == Verdict::Violating).then_some(RecommendedAction::Remove);
        let ruling = Ruling {
            grounds: Grounds {
                action,
                ..Grounds::default()
            },
            ..Ruling::of(verdict, "why")
        };
        let decide = Command::Decide {
            id,
            ruling,
            undo_for: Milliseconds(0),
        };
        let by = by(who, held.fencing);
        self.f.store.command(self.team, case, by, &decide).await.unwrap();
        id
    }

    /// Decides, and takes it back.
    pub async fn decide_and_withdraw(&self, family: u128) {
        let (case, who) = (self.case(family).await, self.people[0]);
        let (held, _) = self.f.store.claim(self.team, case, who, LEASE).await.unwrap();
        let id = DecisionId(rand::random());
        let by = || by(who, held.fencing);
        let decide = Command::Decide {
            id,
            ruling: Ruling::of(Verdict::Benign, "why"),
            undo_for: Milliseconds::from_seconds(5),
        };
        self.f.store.command(self.team, case, by(), &decide).await.unwrap();
        let withdraw = Command::Withdraw {
            decision: id,
            length: LEASE,
        };
        self.f.store.command(self.team, case, by(), &withdraw).await.unwrap();
    }

    /// The platform tells that so many copies of a member had been posted, and that all of them are removed by now.
    pub async fn remove(&self, decision: DecisionId, content: u128, copies: u64) {
        let now = self.f.store.time().await.unwrap();
        let occurred = |at| Occurrences {
            events: copies,
            first_at: Some(at),
            latest: Some(Span {
                from: at,
                to: at + Milliseconds::from_seconds(5),
            }),
        };
        let told = MemberTally {
            content: ContentId(content),
            hash: hash(content),
            platform: self.platform,
            came_closely: false,
            tally: Tally {
                copies: occurred(now - Milliseconds::from_minutes(1)),
                removals: occurred(now),
                uncounted: 0,
                as_of: now,
                ..Tally::default()
            },
        };
        self.f.store.acknowledge(decision, &[told]).await.unwrap().unwrap();
    }

    /// The one family joins the other.
    pub async fn merge(&self, family: u128, joined: u128) {
        let said = FamilySaid {
            team: self.team,
            family: family_of(family),
            joined: family_of(joined),
            at: self.f.store.time().await.unwrap(),
        };
        let carried = self.f.store.carry(&said).await.unwrap().0;
        assert!(matches!(carried, Carried::Merged { .. }), "{carried:?}");
    }

    /// Files a notice, which is answered with that all is kept.
    pub async fn notice_answered(&self, family: u128, kind: NoticeKind) {
        let id = self.notice(family, kind).await;
        let answer = NoticeCommand::Answer {
            outcome: NoticeOutcome::Kept,
            note: "it is a report".to_owned(),
        };
        Box::pin(self.f.store.command_notice((self.team, self.people[0]), id, &answer))
            .await
            .unwrap();
    }

    pub async fn notice(&self, family: u128, kind: NoticeKind) -> NoticeId {
        let now = self.f.store.time().await.unwrap();
        let filing = Filing {
            content: Some(hash(family)),
            ..filings::notice(kind, &format!("{family}-{kind:?}"), now)
        };
        let about = About::Family(family_of(family), hash(family));
        let by = (self.team, self.people[0]);
        let filed = Box::pin(self.f.store.file_notice(by, &about, &filing)).await;
        filed.unwrap().notice.id
    }

    /// Files an appeal against a refused upload, and somebody else answers it.
    pub async fn appeal(&self, family: u128, reference: &str, outcome: AppealOutcome) {
        let filing = filings::appeal(reference, self.platform, hash(family));
        let content = (ContentId(family), family_of(family));
        let filed = Box::pin(self.f.store.file_appeal((self.team, self.people[0]), content, &filing)).await;
        let (by, id) = ((self.team, self.people[1]), filed.unwrap().appeal.id);
        filings::answer(&self.f.store, by, id, filings::of_upload(outcome)).await;
    }
}
