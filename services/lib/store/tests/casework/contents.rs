//! Goal: a case knows the contents of all that went into it, and where each was said last to belong.

use std::collections::BTreeSet;

use tocsin_casework::{CaseId, ClockKind, FamilyMember, Refusal, Team};
use tocsin_model::{ContentId, FamilyId, Milliseconds, PartyId, PlatformId, Timestamp, Verdict};
use tocsin_store::{Belonging, FannedOut, Observed};

use crate::fixture::{COORDINATORS, START, on_both};
use crate::merges::{carry, cases, decided};
use crate::refusal;

#[tokio::test(flavor = "multi_thread")]
async fn a_case_knows_the_contents_of_all_that_went_into_it_and_of_nothing_else() {
    on_both(async |f| {
        let ids = cases(f, 3).await;
        let of = async |id: CaseId| f.store.case_contents(COORDINATORS, id, 100).await.unwrap();
        let families = |numbers: &[u128]| -> BTreeSet<FamilyId> {
            numbers.iter().map(|number| FamilyId(ContentId(*number))).collect()
        };
        let alone = of(ids[0]).await;
        assert_eq!(
            (alone.case, alone.family, &alone.families),
            (ids[0], FamilyId(ContentId(1)), &families(&[1]))
        );
        // A member that was told of the decision is known when nobody announces it any more.
        decided(f, ids[1], Verdict::Violating).await;
        let member = FamilyMember {
            content: ContentId(77),
            hash: f.store.case(COORDINATORS, ids[1]).await.unwrap().0.hash,
            said_at: Timestamp(START.0),
            is_for_all: true,
        };
        let told = f.store.fan_out((COORDINATORS, FamilyId(ContentId(2))), &[member]).await;
        assert_eq!(told.unwrap(), FannedOut::Told(1));
        let two = Some(FamilyId(ContentId(2)));
        assert_eq!(of(ids[1]).await.told, [(ContentId(77), two)].into());
        for (limit, count, has_more) in [(0, 0, true), (1, 1, false)] {
            let known = f.store.case_contents(COORDINATORS, ids[1], limit).await.unwrap();
            assert_eq!((known.told.len(), known.has_more), (count, has_more));
        }

        // By whichever id it is asked for.
        carry(&f.store, (2, 1, 5)).await;
        for id in [ids[0], ids[1]] {
            let whole = of(id).await;
            assert_eq!(
                (whole.case, whole.family, whole.families, whole.told),
                (
                    ids[0],
                    FamilyId(ContentId(1)),
                    families(&[1, 2]),
                    [(ContentId(77), two)].into()
                )
            );
        }
        assert_eq!(
            (of(ids[2]).await.families, of(ids[2]).await.told),
            (families(&[3]), [].into())
        );
        // Where it was said last to belong is kept with it.
        let belonging = Belonging {
            team: COORDINATORS,
            content: ContentId(77),
            belongs_to: Some(FamilyId(ContentId(77))),
            said_at: START + Milliseconds::from_minutes(5),
        };
        f.store.note_belongings(&[belonging]).await.unwrap();
        // Whoever reads what was said from the beginning says again what was said before.
        let before = Belonging {
            belongs_to: Some(FamilyId(ContentId(1))),
            said_at: belonging.said_at - Milliseconds(1),
            ..belonging
        };
        f.store.note_belongings(&[before]).await.unwrap();
        let noted = f.store.belongings(&[ContentId(77), ContentId(78)]).await.unwrap();
        assert_eq!(noted, [belonging]);
        assert_eq!(of(ids[0]).await.told, [(ContentId(77), belonging.belongs_to)].into());
        let (case, now) = f.store.case(COORDINATORS, ids[0]).await.unwrap();
        let since = of(ids[0]).await.since;
        assert_eq!(
            (since, since.is_some_and(|since| since <= now)),
            (case.first_seen.map(|seen| seen.min(case.opened_at)), true)
        );
        let earlier = since.unwrap() - Milliseconds(1_000);
        let seen = vec![(PlatformId(1), ClockKind::FirstSeen, earlier)];
        let observed = Observed {
            clocks: seen,
            ..Observed::default()
        };
        f.store
            .observe(COORDINATORS, FamilyId(ContentId(2)), &observed)
            .await
            .unwrap();
        assert_eq!(
            of(ids[0]).await.since,
            Some(earlier),
            "what was seen of a family that joined counts"
        );

        let alpha = Team::Party(PartyId(1));
        for (team, id) in [(alpha, ids[0]), (COORDINATORS, CaseId(0xdead))] {
            let refused = f.store.case_contents(team, id, 100).await;
            assert_eq!(refusal(refused), Refusal::NoSuchCase);
        }
    })
    .await;
}
