//! Goal: what the state tells of a family stands with the case: the earliest time of each clock, and the regions and languages that filters look at.
use crate::fixture::{COORDINATORS, Commands as _, LEASE, START, alert, on_both};
use crate::{ANNA, queue, refusal};
use tocsin_casework::{Case, CaseId, CaseState, ClockKind, Filter, Lane, PlatformClocks, Refusal, Seen, Team};
use tocsin_model::{
    Alert, AlertLevel, ContentId, FamilyId, KeyId, LiveFigures, Milliseconds, PartyId, PlatformId, Scope, Timestamp,
};
use tocsin_store::{Choice, Followed, LiveMember, Observed, QueueQuery, STREAMS_MAX, Watched};

const VIDEO: PlatformId = PlatformId(3);
const CHAT: PlatformId = PlatformId(4);
const TEAM: (Team, KeyId) = (COORDINATORS, ANNA);

fn at(seconds: i64) -> Timestamp {
    START + Milliseconds::from_seconds(seconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_no_figure_is_known_nothing_is_written() {
    on_both(async |f| {
        f.coordinators_cases(1).await;
        let began = f.store.standing_cases(COORDINATORS, 1).await.unwrap().1;
        let (glances, _) = f.store.watch_cases(&mut Watched::from(began)).await.unwrap();
        f.clock.advance(Milliseconds::from_seconds(10));
        let family = FamilyId(ContentId(1));
        let counted = Observed {
            seen: Some(Seen::nothing(at(5))),
            ..Observed::default()
        };
        // When a dispatcher comes to say that nothing is counted depends on what others' events do.
        for nothing in [Observed::default(), counted] {
            f.store.observe(COORDINATORS, family, &nothing).await.unwrap();
        }
        let (again, _) = f.store.watch_cases(&mut Watched::from(began)).await.unwrap();
        assert_eq!(
            (again.len(), again),
            (1, glances),
            "whoever watches is told by when it was written"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_clocks_the_earliest_counts_whoever_tells_it_and_whenever() {
    on_both(async |f| {
        f.coordinators_cases(2).await;
        let family = FamilyId(ContentId(1));
        let seen = |clocks: &[(PlatformId, ClockKind, Timestamp)]| Observed {
            clocks: clocks.to_vec(),
            ..Observed::default()
        };
        let other = f.another().await;
        let streams: Vec<LiveMember> = (0..=STREAMS_MAX as u128)
            .map(|number| (ContentId(number), VIDEO))
            .collect();
        let told = seen(&[
            (VIDEO, ClockKind::FirstSeen, at(5)),
            (CHAT, ClockKind::FirstReport, at(9)),
        ]);
        for store in [&f.store, &other, &f.store] {
            store.observe(COORDINATORS, family, &told).await.unwrap();
        }
        other
            .observe(COORDINATORS, family, &seen(&[(VIDEO, ClockKind::FirstSeen, at(3))]))
            .await
            .unwrap();
        f.store
            .observe(COORDINATORS, family, &seen(&[(VIDEO, ClockKind::FirstSeen, at(4))]))
            .await
            .unwrap();
        // Streams that were told stay known, the first of them.
        for part in [&streams[..9], &streams[5..], &streams[..2]] {
            let live = Observed {
                streams: part.to_vec(),
                ..Observed::default()
            };
            f.store.observe(COORDINATORS, family, &live).await.unwrap();
        }
        // Of nothing that the team has, nothing is kept.
        f.store.observe(Team::Party(PartyId(9)), family, &told).await.unwrap();
        let case = queue(&f.store, COORDINATORS, CaseState::Open).await.pop().unwrap();
        assert_eq!(
            (case.family, case.version),
            (family, 1),
            "it is no change of what people decide on"
        );
        assert_eq!(f.store.case_streams(case.id).await.unwrap(), streams[..STREAMS_MAX]);

        let removed = (VIDEO, ClockKind::Removed, at(60));
        let (_, clocks, _) = f.store.tell_clock(TEAM, case.id, removed).await.unwrap();
        let mut expected = PlatformClocks::default();
        for (platform, kind, time) in [
            (VIDEO, ClockKind::FirstSeen, at(3)),
            (CHAT, ClockKind::FirstReport, at(9)),
            removed,
        ] {
            expected.note(platform, kind, time);
        }
        assert_eq!(clocks, expected);
        other
            .tell_clock(TEAM, case.id, (VIDEO, ClockKind::Removed, at(61)))
            .await
            .unwrap();
        let history = f.store.case_history(COORDINATORS, case.id).await.unwrap();
        let steps: Vec<(&str, &str)> = history
            .iter()
            .map(|step| (step.kind.as_str(), step.about.as_str()))
            .collect();
        assert_eq!(steps, [("clock_told", "removed")], "what is later is no news");

        let (all, _) = f.store.clocks(COORDINATORS, Milliseconds::from_hours(1)).await.unwrap();
        let known: Vec<PlatformClocks> = all.into_iter().map(|(_, clocks)| clocks).collect();
        assert_eq!(known.len(), 2);
        assert!(known.contains(&expected) && known.contains(&PlatformClocks::default()));
        let foreign = (Team::Party(PartyId(9)), ANNA);
        for id in [case.id, CaseId(0)] {
            assert_eq!(
                refusal(f.store.tell_clock(foreign, id, removed).await),
                Refusal::NoSuchCase
            );
            assert_eq!(refusal(f.store.case_clocks(foreign.0, id).await), Refusal::NoSuchCase);
        }
        other.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_claims_and_ranks_filter_by_region_and_language_alike() {
    on_both(async |f| {
        f.coordinators_cases(4).await;
        let mut followed = Followed::default();
        while !f.store.follow_standings(&mut followed).await.unwrap().0.is_empty() {}
        let observe = async |family: u128, regions: &[[u8; 2]], languages: &[[u8; 2]]| {
            let observed = Observed {
                clocks: Vec::new(),
                regions: regions.to_vec(),
                languages: languages.to_vec(),
                ..Observed::default()
            };
            f.store
                .observe(COORDINATORS, FamilyId(ContentId(family)), &observed)
                .await
                .unwrap();
        };
        observe(1, &[*b"DE", *b"NZ"], &[*b"en"]).await;
        observe(2, &[*b"NZ"], &[*b"de", *b"en"]).await;
        observe(3, &[*b"AT"], &[*b"de"]).await;
        // Where it spread has changed.
        observe(3, &[*b"DE"], &[*b"de"]).await;
        let mut ranks = tocsin_casework::Ranks::new(10);
        let (standings, now) = f.store.follow_standings(&mut followed).await.unwrap();
        for standing in &standings {
            ranks.put(standing).unwrap();
        }
        let family = |id: &CaseId| standings.iter().find(|standing| standing.id == *id).unwrap().family.0.0;
        for (region, language, expected) in [
            (None, None, vec![4, 3, 2, 1]),
            (Some(*b"DE"), None, vec![3, 1]),
            (Some(*b"AT"), None, vec![]),
            (None, Some(*b"en"), vec![2, 1]),
            (Some(*b"NZ"), Some(*b"de"), vec![2]),
        ] {
            let filter = Filter {
                region,
                language,
                ..Filter::default()
            };
            let query = QueueQuery {
                team: COORDINATORS,
                state: CaseState::Open,
                filter: filter.clone(),
                urgent_within: Milliseconds(0),
                limit: 10,
                after: None,
            };
            let page = f.store.queue(&query).await.unwrap().cases;
            let pages: Vec<u128> = page.iter().map(|case| case.family.0.0).collect();
            assert_eq!(pages, expected, "{filter:?}");
            let best = ranks.best(COORDINATORS, &filter, 10, (now, now));
            let ranked: Vec<u128> = best
                .iter()
                .map(family)
                .filter(|family| pages.contains(family))
                .collect();
            assert_eq!(ranked, expected, "{filter:?}");
            assert_eq!(best.len(), expected.len());
            let choice = Choice {
                filter,
                ..Choice::default()
            };
            let claimed = f.store.claim_best(COORDINATORS, (ANNA, LEASE), &choice).await.unwrap();
            assert_eq!(
                claimed.as_ref().map(|done| done.case.family.0.0),
                expected.first().copied()
            );
            if let Some(done) = claimed {
                assert!(
                    page.iter()
                        .any(|case| case.standing().traits == done.case.standing().traits)
                );
                f.store
                    .release(COORDINATORS, done.case.id, (ANNA, done.case.fencing))
                    .await
                    .unwrap();
            }
        }
    })
    .await;
}

fn stream(running: u32, viewers: u64) -> Option<LiveFigures> {
    Some(LiveFigures {
        streams: 1,
        running,
        started_at: START,
        ended_at: (running == 0).then_some(START),
        viewers,
        peak_viewers: 150,
        viewer_minutes: 10,
        score: 0.5,
        threshold: 4.2,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_platforms_and_severity_follow_the_state_between_alerts() {
    on_both(async |f| {
        let rang = Alert {
            live: stream(1, 90),
            ..alert(1, Scope::Coordinators, AlertLevel::Raised, 1)
        };
        f.store.apply_alert(&rang).await.unwrap();
        let family = FamilyId(ContentId(1));
        let page = async |filter: Filter| -> Option<Case> {
            let query = QueueQuery {
                team: COORDINATORS,
                state: CaseState::Open,
                filter,
                urgent_within: Milliseconds(0),
                limit: 10,
                after: None,
            };
            f.store.queue(&query).await.unwrap().cases.pop()
        };
        let lane = |lane| Filter {
            lane: Some(lane),
            ..Filter::default()
        };
        let on = |platform| Filter {
            platform: Some(platform),
            ..Filter::default()
        };
        let grave = Filter {
            severity_min: Some(1.9),
            ..Filter::default()
        };
        assert!(page(lane(Lane::Live)).await.is_some());
        assert!(page(on(VIDEO)).await.is_none() && page(grave.clone()).await.is_none());

        // Fewer watch; then it ends. No alert says so.
        let told = |seconds: i64, live| Observed {
            seen: Some(Seen {
                at: rang.at + Milliseconds::from_seconds(seconds),
                platforms: vec![VIDEO, CHAT],
                severity: 1.95,
                live,
            }),
            ..Observed::default()
        };
        let other = f.another().await;
        f.store
            .observe(COORDINATORS, family, &told(15, stream(1, 40)))
            .await
            .unwrap();
        let watched = page(lane(Lane::Live)).await.unwrap();
        assert_eq!(watched.live(), stream(1, 40));
        assert!(page(on(VIDEO)).await.is_some() && page(grave.clone()).await.is_some());
        assert!(
            page(on(rang.platforms[0].platform)).await.is_some(),
            "as the alert said"
        );
        other
            .observe(COORDINATORS, family, &told(30, stream(0, 0)))
            .await
            .unwrap();
        // Who is behind says nothing new.
        f.store
            .observe(COORDINATORS, family, &told(20, stream(1, 41)))
            .await
            .unwrap();
        assert!(page(lane(Lane::Live)).await.is_none());
        let ended = page(lane(Lane::General)).await.unwrap();
        assert_eq!((ended.live(), ended.version), (stream(0, 0), watched.version));
        let filter = lane(Lane::Live);
        let choice = Choice {
            filter,
            ..Choice::default()
        };
        let claimed = f.store.claim_best(COORDINATORS, (ANNA, LEASE), &choice).await.unwrap();
        assert!(claimed.is_none(), "nobody who asks for what is live is handed it");

        // A later alert says more, until the state does again.
        let again = Alert {
            level: AlertLevel::Sustained,
            at: rang.at + Milliseconds::from_seconds(60),
            id: tocsin_model::AlertId(77),
            live: stream(1, 5),
            ..rang.clone()
        };
        f.store.apply_alert(&again).await.unwrap();
        assert_eq!(page(lane(Lane::Live)).await.unwrap().live(), stream(1, 5));
        f.store
            .observe(COORDINATORS, family, &told(61, stream(0, 0)))
            .await
            .unwrap();
        assert!(page(lane(Lane::Live)).await.is_none());
        // Nothing of it is counted any more: what the alert says is left. Whoever says so of an earlier time, or of none, says nothing new.
        let nothing = |seconds: i64| Observed {
            seen: Some(Seen::nothing(rang.at + Milliseconds::from_seconds(seconds))),
            ..Observed::default()
        };
        for earlier in [nothing(60), Observed::default()] {
            other.observe(COORDINATORS, family, &earlier).await.unwrap();
            assert!(page(lane(Lane::Live)).await.is_none());
        }
        f.store.observe(COORDINATORS, family, &nothing(62)).await.unwrap();
        let left = page(lane(Lane::Live)).await.unwrap();
        assert_eq!(left.live(), stream(1, 5));
        assert!(page(on(VIDEO)).await.is_none() && page(grave).await.is_none());
        other.close().await;
    })
    .await;
}
