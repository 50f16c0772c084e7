//! Goal: a report of days that are over is the same bytes whatever is told afterwards of what is not of these days: more removals of what was removed, more views and labels of it,
//! that a member is a live stream. Copies that come back make an interval of what was exact, which holds it.

use tocsin_casework::{By, Command, Occurrences, Ruling, Span, Tally, Team, Viewed};
use tocsin_model::{
    AlertLevel, Algorithm, ContentHash, ContentId, DecisionId, FamilyId, Grounds, Milliseconds, PlatformId,
    RecommendedAction, Scope, Timestamp, Verdict,
};
use tocsin_report::{Amount, Report};
use tocsin_store::{MemberTally, Observed, Store};

use crate::edges::waiting;
use crate::fixture::{Commands as _, Fixture, LEASE, alert, on_both};
use crate::{amount, days, exact, figures};

const ON: &str = "platform=alpha-app";

/// What a platform tells of the content that founded a family.
#[derive(Clone, Copy)]
struct Told {
    copies: u64,
    removals: u64,
    views: u64,
    is_labelled: bool,
}

struct Place {
    team: Team,
    platform: PlatformId,
    decision: DecisionId,
}

/// Decides that a family is to be removed.
async fn decided(f: &Fixture) -> Place {
    let (alpha, who, _) = f.party("alpha").await;
    let team = Team::Party(alpha.id);
    let raised = alert(1, Scope::Party(alpha.id), AlertLevel::Raised, 1);
    f.store.apply_alert(&raised).await.unwrap();
    let case = waiting(&f.store, team).await;
    let (held, _) = f.store.claim(team, case, who, LEASE).await.unwrap();
    let by = By {
        who,
        fencing: held.fencing,
        version: None,
    };
    let decision = DecisionId(5);
    let decide = Command::Decide {
        id: decision,
        ruling: Ruling {
            grounds: Grounds {
                action: Some(RecommendedAction::Remove),
                policy: "terrorism 1.2".to_owned(),
                ..Grounds::default()
            },
            ..Ruling::of(Verdict::Violating, "why")
        },
        undo_for: Milliseconds(0),
    };
    f.store.command(team, case, by, &decide).await.unwrap();
    Place {
        team,
        platform: alpha.platforms[0].0,
        decision,
    }
}

/// A minute later the platform tells: copies of half a minute ago, removals of now.
async fn tell(f: &Fixture, place: &Place, told: Told) {
    f.clock.advance(Milliseconds::from_minutes(1));
    let now = f.store.time().await.unwrap();
    let bin = |at: Timestamp| Span {
        from: at,
        to: at + Milliseconds::from_seconds(5),
    };
    let occurred = |events: u64, at: Timestamp| Occurrences {
        events,
        first_at: (events > 0).then_some(at),
        latest: (events > 0).then_some(bin(at)),
    };
    let copied = now - Milliseconds::from_seconds(30);
    let heard = MemberTally {
        content: ContentId(1),
        hash: ContentHash::from_bytes(Algorithm::Pdq, vec![9; 32], Some(80)).unwrap(),
        platform: place.platform,
        came_closely: false,
        tally: Tally {
            copies: occurred(told.copies, copied),
            removals: occurred(told.removals, now),
            is_labelled: told.is_labelled,
            viewed: Some(Viewed {
                views: told.views,
                latest: Some(bin(copied)),
            }),
            as_of: now,
            ..Tally::default()
        },
    };
    f.store.acknowledge(place.decision, &[heard]).await.unwrap().unwrap();
}

async fn report(store: &Store, team: Team) -> Report {
    let tally = store.tally(team, days(0, 1)).await.unwrap();
    tocsin_report::transparency(&tally)
}

/// All that is told of the first day.
async fn bytes(store: &Store, team: Team) -> String {
    let tally = store.tally(team, days(0, 1)).await.unwrap();
    let drafts = store.restrictions(team, days(0, 1), (None, 10)).await.unwrap();
    let reports = [
        tocsin_report::transparency(&tally),
        tocsin_report::terrorist_content(&tally),
    ];
    format!("{reports:?}\n{drafts:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_later_of_other_days_changes_no_byte() {
    on_both(async |f| {
        let place = decided(f).await;
        let confirmed = Told {
            copies: 4,
            removals: 4,
            views: 700,
            is_labelled: false,
        };
        tell(
            f,
            &place,
            Told {
                removals: 0,
                ..confirmed
            },
        )
        .await;
        tell(f, &place, confirmed).await;
        let at_once = report(&f.store, place.team).await;
        assert!(!at_once.is_over);
        let labels = format!("platform_labels[{ON},content=picture,labels=none]");
        let in_all = format!("views_before_removal_in_all[{ON}]");
        for (name, count) in [
            (format!("members_removed[{ON}]"), 1),
            (format!("removals[{ON}]"), 4),
            (format!("copies_before_removal[{ON},copies=2 to 9]"), 1),
            (labels, 1),
            (in_all, 700),
            (format!("returned[{ON}]"), 0),
        ] {
            assert_eq!(amount(&at_once, &name), exact(count), "{name}");
        }

        // The day is over: nothing but that is said anew.
        f.clock.advance(Milliseconds::from_hours(26));
        let over = report(&f.store, place.team).await;
        assert!(over.is_over);
        assert_eq!(figures(&over), figures(&at_once));
        let before = bytes(&f.store, place.team).await;
        // More removals of the same copies, views and labels of them, and that one of them was broadcast.
        for more in 1..3 {
            let later = Told {
                removals: 4 + more,
                views: 700 + 90 * more,
                is_labelled: true,
                ..confirmed
            };
            tell(f, &place, later).await;
        }
        let observed = Observed {
            streams: vec![(ContentId(1), place.platform)],
            ..Observed::default()
        };
        f.store
            .observe(place.team, FamilyId(ContentId(1)), &observed)
            .await
            .unwrap();
        assert_eq!(bytes(&f.store, place.team).await, before);
        let tally = f.store.tally(place.team, days(0, 2)).await.unwrap();
        let both = tocsin_report::transparency(&tally);
        assert_eq!(
            amount(&both, "opened[content=live_stream]"),
            exact(1),
            "of both days it is known"
        );

        // Copies come back: that it was confirmed before is not kept, so what was exact is an interval that holds it.
        tell(
            f,
            &place,
            Told {
                copies: 6,
                removals: 6,
                ..confirmed
            },
        )
        .await;
        tell(
            f,
            &place,
            Told {
                copies: 9,
                removals: 6,
                ..confirmed
            },
        )
        .await;
        let again = report(&f.store, place.team).await;
        let members = amount(&again, &format!("members_removed[{ON}]"));
        assert_eq!(members, Some(Amount::Between { low: 0, high: 1 }));
    })
    .await;
}
