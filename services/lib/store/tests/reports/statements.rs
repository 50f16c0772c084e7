//! Goal: what platforms confirmed within the days is handed over once, page after page, with what a statement of reasons needs; nothing that is not confirmed, of other days
//! or of another party.

use tocsin_casework::{By, CaseState, Command, Filter, NoticeKind, Occurrences, Ruling, Span, Tally, Team};
use tocsin_model::{
    AlertLevel, Algorithm, ContentHash, ContentId, DecisionId, FamilyId, Grounds, KeyId, Milliseconds, PlatformId,
    RecommendedAction, Scope, Timestamp, Verdict,
};
use tocsin_report::statement::RestrictionRow;
use tocsin_report::{ContentKind, Period};
use tocsin_store::{About, MemberTally, Observed, QueueQuery, RestrictionCursor};

use crate::fixture::{Commands as _, Fixture, LEASE, START, alert, filings, on_both};
use crate::{amount, days, exact};

const MEMBERS: u128 = 7;

struct Removing {
    team: Team,
    who: KeyId,
    platform: PlatformId,
    decision: DecisionId,
}

async fn removing(f: &Fixture) -> Removing {
    let (party, who, _) = f.party("alpha").await;
    let team = Team::Party(party.id);
    let raised = alert(1, Scope::Party(party.id), AlertLevel::Raised, 1);
    f.store.apply_alert(&raised).await.unwrap();
    let query = QueueQuery {
        team,
        state: CaseState::Open,
        filter: Filter::default(),
        urgent_within: Milliseconds(0),
        limit: 1,
        after: None,
    };
    let case = f.store.queue(&query).await.unwrap().cases[0].id;
    let platform = party.platforms[0].0;
    let seen = Observed {
        clocks: vec![(
            platform,
            tocsin_casework::ClockKind::FirstSeen,
            START - Milliseconds::from_hours(30),
        )],
        ..Observed::default()
    };
    f.store.observe(team, FamilyId(ContentId(1)), &seen).await.unwrap();
    let filing = filings::notice(NoticeKind::TrustedFlagger, "1", START);
    Box::pin(f.store.file_notice((team, who), &About::Case(case), &filing))
        .await
        .unwrap();
    // An alert has the time of its group, a little later than its first sighting.
    f.clock.advance(Milliseconds::from_minutes(1));
    let (held, _) = f.store.claim(team, case, who, LEASE).await.unwrap();
    let decision = DecisionId(rand::random());
    let grounds = Grounds {
        action: Some(RecommendedAction::Remove),
        policy: "terrorism 1.2".to_owned(),
        ..Grounds::default()
    };
    let decide = Command::Decide {
        id: decision,
        ruling: Ruling {
            grounds,
            ..Ruling::of(Verdict::Violating, "Jane Doe (jane@example.org) posted it")
        },
        undo_for: Milliseconds(0),
    };
    let by = By {
        who,
        fencing: held.fencing,
        version: None,
    };
    f.store.command(team, case, by, &decide).await.unwrap();
    Removing {
        team,
        who,
        platform,
        decision,
    }
}

fn told(platform: PlatformId, content: u128, (copied, removed): (i64, Option<i64>)) -> MemberTally {
    let time = |minutes: i64| START + Milliseconds::from_minutes(minutes);
    let once = |minutes: i64| Occurrences {
        events: 3,
        first_at: Some(time(minutes)),
        latest: Some(Span {
            from: time(minutes),
            to: time(minutes) + Milliseconds::from_seconds(5),
        }),
    };
    MemberTally {
        content: ContentId(content),
        hash: ContentHash::from_bytes(Algorithm::Vpdq, vec![content as u8; 32], None).unwrap(),
        platform,
        came_closely: true,
        tally: Tally {
            copies: once(copied),
            removals: removed.map(once).unwrap_or_default(),
            as_of: time(100_000),
            ..Tally::default()
        },
    }
}

async fn pages(f: &Fixture, team: Team, period: Period, limit: u32) -> Vec<RestrictionRow> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = f.store.restrictions(team, period, (after, limit)).await.unwrap();
        assert!(page.rows.len() <= limit as usize);
        rows.extend(page.rows);
        let Some(next) = page.next else {
            return rows;
        };
        let told: RestrictionCursor = next.to_string().parse().unwrap();
        assert_eq!(told, next);
        after = Some(next);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_confirmed_comes_once_whatever_the_page() {
    on_both(async |f| {
        let removing = removing(f).await;
        let day = 24 * 60;
        let members = (1..=MEMBERS).map(|content| match content {
            // The last two: not removed, and removed two days later.
            MEMBERS => told(removing.platform, content, (1, None)),
            6 => told(removing.platform, content, (1, Some(2 * day))),
            _ => told(removing.platform, content, (1, Some(10 + content as i64))),
        });
        let members: Vec<MemberTally> = members.collect();
        f.store.acknowledge(removing.decision, &members).await.unwrap().unwrap();

        let first = days(0, 1);
        let all = pages(f, removing.team, first, 100).await;
        let contents: Vec<u128> = all.iter().map(|row| row.content.0).collect();
        assert_eq!(contents, [1, 2, 3, 4, 5]);
        for limit in [1, 2, 5] {
            assert_eq!(pages(f, removing.team, first, limit).await, all, "{limit} at a time");
        }
        let founder = &all[0];
        assert_eq!(
            (founder.kind, founder.platform, founder.verdict, founder.policy.as_str()),
            (
                ContentKind::Video,
                removing.platform,
                Verdict::Violating,
                "terrorism 1.2"
            )
        );
        assert_eq!(
            (founder.is_founder, all[1].is_founder, founder.removals),
            (true, false, 3)
        );
        assert_eq!(founder.posted_at, Some(START - Milliseconds::from_hours(30)));
        assert_eq!(founder.removed_at, Timestamp(START.0 + 11 * 60_000));
        assert!(founder.rang && founder.noticed.trusted_flagger && !founder.noticed.order);
        let later = pages(f, removing.team, days(1, 5), 100).await;
        assert_eq!(later.iter().map(|row| row.content.0).collect::<Vec<_>>(), [6]);

        let (beta, ..) = f.party("beta").await;
        assert!(pages(f, Team::Party(beta.id), days(0, 9), 100).await.is_empty());
    })
    .await;
}

#[test]
fn what_is_no_place_is_refused() {
    for bad in ["", "-", "1-2-3-4", &"0".repeat(200), "00000000000000zz-0-0-0000", "é"] {
        assert!(bad.parse::<RestrictionCursor>().is_err(), "{bad}");
    }
}

async fn decide_again(f: &Fixture, removing: &Removing) -> DecisionId {
    let decided = f
        .store
        .case_of_family(removing.team, FamilyId(ContentId(1)))
        .await
        .unwrap()
        .unwrap();
    let decision = DecisionId(rand::random());
    let (held, _) = f
        .store
        .claim(removing.team, decided.id, removing.who, LEASE)
        .await
        .unwrap();
    let by = By {
        who: removing.who,
        fencing: held.fencing,
        version: None,
    };
    let grounds = Grounds {
        action: Some(RecommendedAction::Remove),
        policy: "terrorism 1.2".to_owned(),
        ..Grounds::default()
    };
    let decide = Command::Decide {
        id: decision,
        ruling: Ruling {
            grounds,
            ..Ruling::of(Verdict::Violating, "again")
        },
        undo_for: Milliseconds(0),
    };
    f.store.command(removing.team, decided.id, by, &decide).await.unwrap();
    decision
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_decided_twice_counts_what_was_removed_once() {
    on_both(async |f| {
        let removing = removing(f).await;
        let members = [
            told(removing.platform, 1, (1, Some(10))),
            told(removing.platform, 2, (1, Some(10))),
        ];
        f.clock.advance(Milliseconds::from_minutes(20));
        f.store.acknowledge(removing.decision, &members).await.unwrap().unwrap();
        let report = async || {
            let tally = f.store.tally(removing.team, days(0, 1)).await.unwrap();
            tocsin_report::transparency(&tally)
        };
        let before = report().await;
        assert_eq!(amount(&before, "members_removed[platform=alpha-app]"), exact(2));
        let drafts = pages(f, removing.team, days(0, 1), 100).await;
        let again = decide_again(f, &removing).await;
        // What is counted is counted over all time: the later decision hears at once what the earlier one had removed.
        let heard = f.store.acknowledge(again, &members).await.unwrap().unwrap();
        assert_eq!(heard.0.confirmed, 2);
        let after = report().await;
        for name in ["members_removed[platform=alpha-app]", "removals[platform=alpha-app]"] {
            assert_eq!(amount(&after, name), amount(&before, name), "{name}");
        }
        assert_eq!(
            pages(f, removing.team, days(0, 1), 100).await,
            drafts,
            "one draft of each"
        );
        // A copy of the first comes after all and stays up: of what the later decision asks for it is unconfirmed again.
        let mut copied = told(removing.platform, 1, (25, Some(10)));
        copied.tally.copies.events += 1;
        f.store.acknowledge(again, &[copied]).await.unwrap().unwrap();
        let never = amount(&report().await, "never_confirmed[platform=alpha-app]");
        assert_ne!(never, exact(0));
    })
    .await;
}
