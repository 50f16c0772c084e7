//! Goal: what a party's platforms do about its decision is kept member by member and confirms it once; what is not confirmed is reminded of and escalated
//! once at its time, by one of several dispatchers; a copy that comes again brings the case back, or is recommended again where the party chose so.

use std::collections::BTreeMap;

use tocsin_casework::{
    By, CaseId, CaseState, ClockKind, Command, ESCALATE_AFTER, Occurrences, OnReupload, RECOMMEND_AGAIN_AFTER,
    REMIND_AFTER, Reminder, Ruling, Span, Tally, Team,
};
use tocsin_model::{
    AlertLevel, Algorithm, ContentHash, ContentId, DecisionId, FamilyId, Grounds, KeyId, Milliseconds, PlatformId,
    RecommendedAction, Verdict,
};
use tocsin_store::{
    Acknowledged, DeliveryEvent, EndpointKind, MemberTally, NewEndpoint, Store, ToldMembers, Unconfirmed,
};

use crate::fixture::{Commands as _, Fixture, LEASE, START, alert, n, on_both};
use crate::queue;

pub(super) const UNDO: Milliseconds = Milliseconds::from_seconds(5);

/// A party's case, its moderator, and its platform.
pub(super) struct Desk {
    pub(super) team: Team,
    pub(super) who: KeyId,
    pub(super) platform: PlatformId,
    pub(super) case: CaseId,
}

pub(super) async fn desk(f: &Fixture) -> Desk {
    let (party, who, _) = f.party("alpha").await;
    let team = Team::Party(party.id);
    let endpoint = NewEndpoint {
        name: n("desk"),
        team,
        kind: EndpointKind::Webhook,
        target: "https://desk.example/".to_owned(),
        settings: BTreeMap::new(),
        secret: "whsec_x".to_owned(),
    };
    f.store.add_endpoint(&endpoint).await.unwrap();
    f.store
        .apply_alert(&alert(1, team.scope(), AlertLevel::Raised, 1))
        .await
        .unwrap();
    Desk {
        team,
        who,
        platform: party.platforms[0].0,
        case: queue(&f.store, team, CaseState::Open).await[0].id,
    }
}

impl Desk {
    /// Decides, and lets the decision go out unless it is to be taken back.
    pub(super) async fn decide(
        &self,
        f: &Fixture,
        (verdict, action): (Verdict, Option<RecommendedAction>),
    ) -> DecisionId {
        let (held, _) = f.store.claim(self.team, self.case, self.who, LEASE).await.unwrap();
        let id = DecisionId(rand::random());
        let ruling = Ruling {
            grounds: Grounds {
                action,
                exceptions: vec![ContentId(77)],
                ..Grounds::default()
            },
            ..Ruling::of(verdict, "why")
        };
        let command = Command::Decide {
            id,
            ruling,
            undo_for: UNDO,
        };
        let by = By {
            who: self.who,
            fencing: held.fencing,
            version: None,
        };
        f.store.command(self.team, self.case, by, &command).await.unwrap();
        id
    }

    pub(super) async fn remove(&self, f: &Fixture) -> DecisionId {
        let decision = self
            .decide(f, (Verdict::Violating, Some(RecommendedAction::Remove)))
            .await;
        f.clock.advance(UNDO);
        decision
    }

    pub(super) fn told(&self, content: u128, tally: Tally, came_closely: bool) -> MemberTally {
        MemberTally {
            content: ContentId(content),
            hash: ContentHash::from_bytes(Algorithm::Sha256, vec![content as u8; 32], None).unwrap(),
            platform: self.platform,
            came_closely,
            tally,
        }
    }
}

/// Events at these seconds.
fn at(seconds: &[i64]) -> Occurrences {
    let time = |second: &i64| START + Milliseconds::from_seconds(*second);
    let bin = |second: &i64| Span {
        from: time(second),
        to: time(second) + Milliseconds::from_seconds(5),
    };
    Occurrences {
        events: seconds.len() as u64,
        first_at: seconds.first().map(time),
        latest: seconds.last().map(bin),
    }
}

pub(super) fn tally(copies: &[i64], removals: &[i64]) -> Tally {
    Tally {
        copies: at(copies),
        removals: at(removals),
        uncounted: 2,
        as_of: tocsin_model::Timestamp((copies.len() + removals.len()) as i64),
        ..Tally::default()
    }
}

pub(super) async fn hear(store: &Store, decision: DecisionId, heard: &[MemberTally]) -> Acknowledged {
    store.acknowledge(decision, heard).await.unwrap().unwrap().0
}

async fn events(store: &Store) -> Vec<DeliveryEvent> {
    let taken = store
        .take_deliveries(&n("desk"), 50, Milliseconds::from_hours(2))
        .await
        .unwrap();
    let events = taken.into_iter().map(|delivery| delivery.event);
    let is_meant = |event: &DeliveryEvent| matches!(event, DeliveryEvent::Unconfirmed(_) | DeliveryEvent::Members(_));
    events.filter(is_meant).collect()
}

async fn history(f: &Fixture, desk: &Desk) -> Vec<(String, String, String)> {
    let history = f.store.case_history(desk.team, desk.case).await.unwrap();
    let of = |kind: &str| kind.contains("confirmed") || kind == "reuploaded";
    let mut steps: Vec<_> = history
        .into_iter()
        .filter(|step| of(&step.kind))
        .map(|step| (step.kind, step.about, step.note))
        .collect();
    steps.reverse();
    steps
}

fn step(kind: &str, about: &str, note: &str) -> (String, String, String) {
    (kind.to_owned(), about.to_owned(), note.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_confirm_a_decision_once_and_set_the_clocks() {
    on_both(async |f| {
        let desk = desk(f).await;
        let decision = desk
            .decide(f, (Verdict::Violating, Some(RecommendedAction::Remove)))
            .await;
        let posted = [
            desk.told(1, tally(&[0, 10], &[]), true),
            desk.told(2, tally(&[20], &[5]), true),
        ];
        assert_eq!(
            f.store.acknowledge(decision, &posted).await.unwrap(),
            None,
            "it can still be taken back"
        );
        assert_eq!(f.store.followed_decisions().await.unwrap(), (Vec::new(), 0));
        f.clock.advance(UNDO);
        let (followed, left_out) = f.store.followed_decisions().await.unwrap();
        assert_eq!((followed.len(), left_out), (1, 0));
        assert_eq!(
            (followed[0].decision, followed[0].team, followed[0].family),
            (decision, desk.team, FamilyId(ContentId(1)))
        );
        assert_eq!(
            (
                followed[0].platforms.contains(&desk.platform),
                followed[0].exceptions.contains(&ContentId(77))
            ),
            (true, true)
        );

        let other = f.another().await;
        for store in [&f.store, &other] {
            assert_eq!(hear(store, decision, &posted).await, Acknowledged::default());
        }
        let (told, counts) = f.store.acknowledgements(decision, 10).await.unwrap();
        assert_eq!((told.len(), counts.all, counts.unconfirmed), (2, 2, 2));

        // The second is removed: one of two.
        let removed = desk.told(2, tally(&[20], &[5, 30]), true);
        let (mut confirmed, version) = (0, f.store.case(desk.team, desk.case).await.unwrap().0.version);
        for store in [&f.store, &other] {
            confirmed += hear(store, decision, std::slice::from_ref(&removed)).await.confirmed;
        }
        assert_eq!(confirmed, 1, "once");
        let (told, counts) = f.store.acknowledgements(decision, 10).await.unwrap();
        assert_eq!((counts.unconfirmed, counts.answered), (1, 2));
        assert_eq!(
            told.iter().map(|of| of.content.0).collect::<Vec<_>>(),
            [1, 2],
            "what is not confirmed first"
        );
        assert_eq!(history(f, &desk).await, [], "not all of the platform");

        let last = desk.told(1, tally(&[0, 10], &[40]), true);
        assert_eq!(hear(&f.store, decision, &[last]).await.confirmed, 1);
        let time = |second: i64| START + Milliseconds::from_seconds(second);
        let (case, clocks, _) = f.store.case_clocks(desk.team, desk.case).await.unwrap();
        assert_eq!(
            (
                clocks.at(desk.platform, ClockKind::Removed),
                clocks.at(desk.platform, ClockKind::Confirmed)
            ),
            (Some(time(5)), Some(time(40)))
        );
        assert_eq!(case.version, version, "it is no change of what people decide on");
        assert_eq!(
            history(f, &desk).await,
            [step("removal_confirmed", "alpha-app", "3 removals")]
        );
        let awaiting = f.store.awaiting(decision).await.unwrap().unwrap();
        assert_eq!((awaiting.since, awaiting.due_at()), (None, None));
        f.clock.advance(ESCALATE_AFTER);
        assert_eq!(f.store.remind_unconfirmed().await.unwrap(), []);
        assert_eq!(events(&f.store).await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_confirmed_is_reminded_of_and_escalated_once() {
    on_both(async |f| {
        let desk = desk(f).await;
        let decision = desk.remove(f).await;
        let heard = [
            desk.told(1, tally(&[0, 10], &[20]), true),
            desk.told(2, tally(&[20], &[]), true),
        ];
        hear(&f.store, decision, &heard).await;
        let other = f.another().await;
        assert_eq!(f.store.remind_unconfirmed().await.unwrap(), []);
        let mut told = Vec::new();
        for wait in [
            REMIND_AFTER[0],
            Milliseconds(REMIND_AFTER[1].0 - REMIND_AFTER[0].0),
            Milliseconds(ESCALATE_AFTER.0 - REMIND_AFTER[1].0),
            Milliseconds::from_hours(5),
        ] {
            f.clock.advance(wait);
            for store in [&f.store, &other] {
                told.extend(
                    store
                        .remind_unconfirmed()
                        .await
                        .unwrap()
                        .into_iter()
                        .map(|told| told.reminder),
                );
            }
        }
        assert_eq!(
            told,
            [Reminder::Reminded(1), Reminder::Reminded(2), Reminder::Escalated],
            "each once"
        );
        let events = events(&f.store).await;
        let unconfirmed: Vec<&Unconfirmed> = events
            .iter()
            .map(|event| match event {
                DeliveryEvent::Unconfirmed(event) => &**event,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            unconfirmed.iter().map(|event| event.reminder).collect::<Vec<_>>(),
            [Some(1), Some(2), None]
        );
        let last = unconfirmed[2];
        assert_eq!((last.case, last.unconfirmed, last.of), (desk.case, 1, 2));
        assert_eq!(
            (last.told.decision.id, last.members[0].content, last.members[0].asked),
            (decision, ContentId(2), 1)
        );
        let awaiting = f.store.awaiting(decision).await.unwrap().unwrap();
        assert!(awaiting.is_escalated() && awaiting.due_at().is_none());
        assert_eq!(f.store.count_unconfirmed().await.unwrap(), 1);
        assert_eq!(
            history(f, &desk).await.last(),
            Some(&step(
                "unconfirmed_escalated",
                "removal",
                "1 of 2 members and platforms"
            ))
        );
        // Confirmed late, it is waited for no more.
        let removed = desk.told(2, tally(&[20], &[400]), true);
        assert_eq!(hear(&f.store, decision, &[removed]).await.confirmed, 1);
        assert!(!f.store.awaiting(decision).await.unwrap().unwrap().is_escalated());
        assert_eq!(f.store.count_unconfirmed().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_comes_again_brings_the_case_back() {
    on_both(async |f| {
        let desk = desk(f).await;
        let decision = desk.remove(f).await;
        hear(&f.store, decision, &[desk.told(1, tally(&[0], &[20]), true)]).await;
        let again = desk.told(1, tally(&[0, 60, 61], &[20]), true);
        let mut reopened = 0;
        let other = f.another().await;
        for store in [&f.store, &other] {
            let heard = hear(store, decision, std::slice::from_ref(&again)).await;
            reopened += usize::from(heard.reopened.is_some());
        }
        assert_eq!(reopened, 1, "once");
        let (case, now) = f.store.case(desk.team, desk.case).await.unwrap();
        assert_eq!((case.state(now), case.waiting_since), (CaseState::Open, now));
        assert_eq!(case.decision.as_ref().map(|made| made.id), Some(decision));
        assert_eq!(
            history(f, &desk).await.last(),
            Some(&step("reuploaded", "reopened", "2 copies of 1 members"))
        );
        // While a person is asked nobody is reminded.
        f.clock.advance(ESCALATE_AFTER);
        assert_eq!(f.store.remind_unconfirmed().await.unwrap(), []);
        let (told, _) = f.store.acknowledgements(decision, 10).await.unwrap();
        assert_eq!(
            (told[0].acknowledgement.returned, told[0].acknowledgement.confirmed_at),
            (2, None)
        );
        // A later decision is waited for on its own, and the one before is no more.
        let second = desk.remove(f).await;
        assert_eq!(
            f.store
                .acknowledge(decision, std::slice::from_ref(&again))
                .await
                .unwrap(),
            None
        );
        assert_eq!(hear(&f.store, second, &[again]).await, Acknowledged::default());
        assert_eq!(f.store.acknowledgements(second, 1).await.unwrap().1.unconfirmed, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_may_have_close_members_recommended_again_and_a_person_is_asked_of_others() {
    // On the heap: it holds many cases.
    on_both(async |f| {
        Box::pin(a_party_may_have_close_members_recommended_again_and_a_person_is_asked_of_others_of(f)).await
    })
    .await;
}

async fn a_party_may_have_close_members_recommended_again_and_a_person_is_asked_of_others_of(f: &Fixture) {
    let desk = desk(f).await;
    let Team::Party(party) = desk.team else {
        panic!("a party's");
    };
    assert_eq!(f.store.on_reupload(party).await.unwrap(), OnReupload::Reopen);
    f.store.set_on_reupload(party, OnReupload::Recommend).await.unwrap();
    assert_eq!(f.store.on_reupload(party).await.unwrap(), OnReupload::Recommend);
    let decision = desk.remove(f).await;
    let removed = [(1, true), (2, false)].map(|(member, close)| desk.told(member, tally(&[0], &[20]), close));
    assert_eq!(hear(&f.store, decision, &removed).await.confirmed, 2);

    let again = |second: i64| desk.told(1, tally(&[0, second], &[20]), true);
    let heard = hear(&f.store, decision, &[again(60)]).await;
    assert_eq!((heard.returned, heard.recommended, heard.reopened), (1, 1, None));
    let members = |events: Vec<DeliveryEvent>| -> Vec<ToldMembers> {
        let members = events.into_iter().filter_map(|event| match event {
            DeliveryEvent::Members(members) => Some(members),
            _ => None,
        });
        members.collect()
    };
    let told = members(events(&f.store).await);
    assert_eq!(
        (told.len(), told[0].automated, told[0].told.decision.id),
        (1, true, decision)
    );
    assert_eq!(
        told[0].members.iter().map(|(content, _)| content.0).collect::<Vec<_>>(),
        [1]
    );
    assert_eq!(
        history(f, &desk).await.last(),
        Some(&step("reuploaded", "recommended_again", "1 copies of 1 members"))
    );

    // Removed, and there again soon after: what was said just before is not said again, and it is reminded of.
    let heard = hear(&f.store, decision, &[desk.told(1, tally(&[0, 60], &[20, 90]), true)]).await;
    assert_eq!(heard.confirmed, 1);
    f.clock.advance(Milliseconds(RECOMMEND_AGAIN_AFTER.0 - 1));
    let heard = hear(
        &f.store,
        decision,
        &[desk.told(1, tally(&[0, 60, 120], &[20, 90]), true)],
    )
    .await;
    assert_eq!((heard.returned, heard.recommended, heard.reopened), (1, 0, None));
    f.clock.advance(REMIND_AFTER[0]);
    assert_eq!(f.store.remind_unconfirmed().await.unwrap().len(), 1);

    // A member that came by other evidence asks a person.
    let heard = hear(&f.store, decision, &[desk.told(2, tally(&[0, 700], &[20]), false)]).await;
    assert_eq!((heard.returned, heard.recommended), (1, 0));
    assert_eq!(heard.reopened.map(|case| case.id), Some(desk.case));
    assert_eq!(members(events(&f.store).await), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_is_overturned_is_confirmed_by_what_is_restored() {
    on_both(async |f| {
        let desk = desk(f).await;
        let removal = desk.remove(f).await;
        let restored = |restores: &[i64]| {
            let tally = Tally {
                restores: at(restores),
                as_of: tocsin_model::Timestamp(2 + restores.len() as i64),
                ..tally(&[0], &[20])
            };
            [desk.told(1, tally, true), desk.told(2, self::tally(&[0], &[]), true)]
        };
        hear(&f.store, removal, &restored(&[])).await;
        let keep = desk.decide(f, (Verdict::Benign, Some(RecommendedAction::Keep))).await;
        // Taken back, the one before is waited for as before.
        let withdraw = Command::Withdraw {
            decision: keep,
            length: LEASE,
        };
        let by = By {
            who: desk.who,
            fencing: 0,
            version: None,
        };
        let withdrawn = f.store.command(desk.team, desk.case, by, &withdraw).await.unwrap();
        assert_eq!(f.store.awaiting(keep).await.unwrap(), None);
        assert_eq!(f.store.followed_decisions().await.unwrap().0[0].decision, removal);
        let release = Command::Release { note: String::new() };
        let by = By {
            fencing: withdrawn.case.fencing,
            ..by
        };
        f.store.command(desk.team, desk.case, by, &release).await.unwrap();

        let keep = desk.decide(f, (Verdict::Benign, Some(RecommendedAction::Keep))).await;
        f.clock.advance(UNDO);
        assert_eq!(f.store.acknowledge(removal, &restored(&[])).await.unwrap(), None);
        assert_eq!(hear(&f.store, keep, &restored(&[])).await, Acknowledged::default());
        let (told, counts) = f.store.acknowledgements(keep, 10).await.unwrap();
        assert_eq!(
            (told.len(), told[0].content, counts.unconfirmed),
            (1, ContentId(1), 1),
            "nothing of the second was removed"
        );
        assert_eq!(hear(&f.store, keep, &restored(&[100])).await.confirmed, 1);
        assert_eq!(
            history(f, &desk).await.last(),
            Some(&step("restore_confirmed", "alpha-app", "1 restored"))
        );
        let (_, clocks, _) = f.store.case_clocks(desk.team, desk.case).await.unwrap();
        assert_eq!(clocks.at(desk.platform, ClockKind::Confirmed), None);
    })
    .await;
}
