//! Goal: that a team told others of a family, and which copies came to its platforms in spite of it, stands in that team's case alone, whenever the case was opened and wherever it went.

use std::collections::BTreeSet;

use tocsin_casework::{CaseId, CaseState, ClockKind, FamilyMember, PlatformClocks, Team};
use tocsin_model::{
    AlertLevel, Algorithm, BankEntry, BankName, ContentHash, ContentId, FamilyId, ListUpdate, Milliseconds, Opinion,
    PlatformId, Scope, Timestamp, Verdict,
};
use tocsin_store::{Carried, FamilySaid, FannedOut, HeldOpinion, Observed, SHARED_FOR};

use crate::fixture::{Commands as _, Fixture, LEASE, START, alert, n, on_both};
use crate::{ANNA, queue};

const ONE: FamilyId = FamilyId(ContentId(1));

fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Sha256, vec![byte; 32], None).unwrap()
}

fn member(number: u8, is_for_all: bool) -> FamilyMember {
    FamilyMember {
        content: ContentId(u128::from(number)),
        hash: hash(number),
        said_at: Timestamp(5),
        is_for_all,
    }
}

/// Platforms saw it first so many seconds after the start.
async fn seen(f: &Fixture, team: Team, family: FamilyId, platforms: &[(PlatformId, i64)]) {
    let first = |(platform, seconds): &(PlatformId, i64)| {
        let at = START + Milliseconds::from_seconds(*seconds);
        (*platform, ClockKind::FirstSeen, at)
    };
    let observed = Observed {
        clocks: platforms.iter().map(first).collect(),
        ..Observed::default()
    };
    f.store.observe(team, family, &observed).await.unwrap();
}

async fn clocks(f: &Fixture, team: Team, case: CaseId) -> PlatformClocks {
    f.store.case_clocks(team, case).await.unwrap().1
}

async fn case_of(f: &Fixture, team: Team, family: u128, scope: Scope) -> CaseId {
    let rang = alert(family, scope, AlertLevel::Raised, 1);
    f.store.apply_alert(&rang).await.unwrap();
    let open = queue(&f.store, team, CaseState::Open).await;
    open.iter().find(|case| case.family.0.0 == family).unwrap().id
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opinion_in_a_bank_sets_the_clocks_of_the_team_that_holds_it() {
    on_both(async |f| {
        let (north, ..) = f.party("north").await;
        let (south, ..) = f.party("south").await;
        let (own, other) = (north.platforms[0].0, south.platforms[0].0);
        let team = Team::Party(north.id);
        let case = case_of(f, team, 1, team.scope()).await;
        let of_south = case_of(f, Team::Party(south.id), 1, Scope::Party(south.id)).await;
        seen(f, team, ONE, &[(own, 1), (other, 2)]).await;
        seen(f, Team::Party(south.id), ONE, &[(other, 2)]).await;
        let (held, _) = f.store.claim(team, case, ANNA, LEASE).await.unwrap();
        f.store
            .decide(team, case, (ANNA, held.fencing), (Verdict::Violating, "why"))
            .await
            .unwrap();

        // Of what only the party sees nobody is told.
        let fanned = f.store.fan_out((team, ONE), &[member(2, false)]).await.unwrap();
        assert_eq!(fanned, FannedOut::Told(1));
        assert!(f.store.shared_families().await.unwrap().is_empty());
        f.clock.advance(Milliseconds::from_seconds(60));
        let shared_at = START + Milliseconds::from_seconds(60);
        f.store.fan_out((team, ONE), &[member(3, true)]).await.unwrap();
        f.clock.advance(Milliseconds::from_seconds(60));
        f.store.fan_out((team, ONE), &[member(5, true)]).await.unwrap();
        let shared = f.store.shared_families().await.unwrap();
        assert_eq!(
            shared
                .iter()
                .map(|shared| (shared.team, shared.case, shared.family, shared.at))
                .collect::<Vec<_>>(),
            [(team, case, ONE, shared_at)],
            "the first time counts"
        );
        assert_eq!(shared[0].platforms, Some(BTreeSet::from([own])));

        assert_eq!(f.store.set_shared_clocks().await.unwrap(), 1);
        assert_eq!(f.store.set_shared_clocks().await.unwrap(), 0);
        let known = clocks(f, team, case).await;
        assert_eq!(known.at(own, ClockKind::Shared), Some(shared_at));
        assert_eq!(known.at(other, ClockKind::Shared), None, "it is another's platform");
        let leak = shared_at + Milliseconds::from_seconds(5);
        for (at, told) in [(leak, leak), (leak + Milliseconds(-4_000), leak)] {
            f.store.note_leaks(case, &[(own, at)]).await.unwrap();
            let known = clocks(f, team, case).await;
            assert_eq!(
                known.at(own, ClockKind::Leaked),
                Some(told),
                "a coarser time is no earlier leak"
            );
        }
        let of_south = clocks(f, Team::Party(south.id), of_south).await;
        assert!(
            of_south.iter().all(|(_, kind, _)| kind == ClockKind::FirstSeen),
            "{of_south:?}"
        );
        let (all, _) = f.store.clocks(team, Milliseconds::from_hours(1)).await.unwrap();
        assert_eq!(all[0].1.at(own, ClockKind::Leaked), Some(leak));

        // A platform of the team that saw it later is set too; after a week nobody asks any more.
        f.clock.advance(SHARED_FOR);
        assert!(f.store.shared_families().await.unwrap().is_empty());
        assert_eq!(f.store.set_shared_clocks().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shared_goes_along_where_its_case_goes() {
    on_both(async |f| {
        let (north, ..) = f.party("north").await;
        let (own, team) = (north.platforms[0].0, Team::Party(north.id));
        let case = case_of(f, team, 2, team.scope()).await;
        let into = case_of(f, team, 1, team.scope()).await;
        let two = FamilyId(ContentId(2));
        seen(f, team, two, &[(own, 1)]).await;
        let (held, _) = f.store.claim(team, case, ANNA, LEASE).await.unwrap();
        f.store
            .decide(team, case, (ANNA, held.fencing), (Verdict::NeedsExpert, "why"))
            .await
            .unwrap();
        f.store.fan_out((team, two), &[member(2, true)]).await.unwrap();
        let said = FamilySaid {
            team,
            family: two,
            joined: ONE,
            at: START,
        };
        let carried = f.store.carry(&said).await.unwrap().0;
        assert!(matches!(carried, Carried::Merged { .. }), "{carried:?}");
        let shared = f.store.shared_families().await.unwrap();
        assert_eq!((shared[0].case, shared[0].family), (into, ONE));
        assert_eq!(f.store.set_shared_clocks().await.unwrap(), 1);
        let known = clocks(f, team, into).await;
        assert_eq!(known.at(own, ClockKind::Shared), Some(START));

        // What the bank calls harmless is looked for no more, under whichever name it was shared.
        for (verdict, is_shared) in [
            (Verdict::Violating, true),
            (Verdict::Benign, false),
            (Verdict::Violating, true),
            (Verdict::Newsworthy, false),
        ] {
            let (held, _) = f.store.claim(team, into, ANNA, LEASE).await.unwrap();
            let decided = (verdict, "why");
            f.store.decide(team, into, (ANNA, held.fencing), decided).await.unwrap();
            f.store.fan_out((team, two), &[member(2, true)]).await.unwrap();
            let shared = f.store.shared_families().await.unwrap();
            assert_eq!(!shared.is_empty(), is_shared, "{verdict:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_something_is_harmless_shares_nothing() {
    on_both(async |f| {
        let (north, ..) = f.party("north").await;
        let team = Team::Party(north.id);
        let case = case_of(f, team, 1, team.scope()).await;
        for verdict in [Verdict::Benign, Verdict::Newsworthy] {
            let (held, _) = f.store.claim(team, case, ANNA, LEASE).await.unwrap();
            f.store
                .decide(team, case, (ANNA, held.fencing), (verdict, "why"))
                .await
                .unwrap();
            f.store.fan_out((team, ONE), &[member(3, true)]).await.unwrap();
            assert!(f.store.shared_families().await.unwrap().is_empty(), "{verdict:?}");
        }
        assert_eq!(
            f.store.held_opinions(&[hash(3)], None, 9).await.unwrap(),
            [],
            "news is no opinion"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opinions_are_told_one_by_one_since_when_they_are_held() {
    on_both(async |f| {
        let (north, south) = (n("north"), n("south"));
        let hold = async |byte, party, opinion| f.store.hold_opinion(&hash(byte), party, opinion).await.unwrap();
        hold(1, &north, Some(Opinion::Positive)).await;
        f.clock.advance(Milliseconds::from_seconds(1));
        hold(1, &south, Some(Opinion::Negative)).await;
        f.clock.advance(Milliseconds::from_seconds(1));
        hold(1, &north, Some(Opinion::Positive)).await;
        hold(2, &north, Some(Opinion::InvestigationSeed)).await;
        hold(3, &north, Some(Opinion::Positive)).await;
        let at = |seconds| Some(START + Milliseconds::from_seconds(seconds));
        let held = |byte, party: &tocsin_model::Name, opinion, held_at| HeldOpinion {
            hash: hash(byte),
            party: party.clone(),
            opinion,
            held_at,
        };
        let of = async |limit| {
            f.store
                .held_opinions(&[hash(2), hash(1), hash(9)], None, limit)
                .await
                .unwrap()
        };
        let first = held(1, &north, Opinion::Positive, at(0));
        let second = held(1, &south, Opinion::Negative, at(1));
        let third = held(2, &north, Opinion::InvestigationSeed, at(2));
        assert_eq!(of(9).await, [first.clone(), second.clone(), third.clone()]);
        assert_eq!(of(2).await, [first, second.clone()]);
        // Changed, and taken back.
        f.clock.advance(Milliseconds::from_seconds(1));
        hold(1, &north, Some(Opinion::Negative)).await;
        hold(2, &north, None).await;
        let changed = held(1, &north, Opinion::Negative, at(3));
        assert_eq!(of(9).await, [changed.clone(), second.clone()]);
        // To a party is told what it holds, and what lists say of those who are no parties here.
        f.party("north").await;
        for (reader, told) in [(&north, vec![changed, second.clone()]), (&n("east"), vec![second])] {
            let of_reader = f.store.held_opinions(&[hash(1)], Some(reader), 9).await.unwrap();
            assert_eq!(of_reader, told);
        }
        assert_eq!(f.store.held_opinions(&[], None, 9).await.unwrap(), []);
        // When a followed list was read says nothing of since when a party holds it.
        let mut listed = BankEntry::new(hash(4));
        listed.opinions = vec![(south.clone(), Opinion::Positive)];
        let of_south = BankName::of_source(&south);
        let updates = [ListUpdate::Listed(listed)];
        f.store.update_list(&of_south, &updates, None).await.unwrap();
        let brought = f.store.held_opinions(&[hash(4)], None, 9).await.unwrap();
        assert_eq!(brought, [held(4, &south, Opinion::Positive, None)]);
    })
    .await;
}
