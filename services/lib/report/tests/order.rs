//! Goal: the order of rows changes no figure of either report; rows of other days, of platforms and parties that are not told of, count nowhere.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tocsin_casework::{
    AppealOutcome, Awaits, ClockKind, Concerns, NoticeKind, NoticeOutcome, PlatformClocks, SuspensionGround, Team,
};
use tocsin_model::{PartyId, PlatformId, RecommendedAction, Timestamp, Verdict};
use tocsin_report::{
    AppealRow, CaseRow, ContentKind, DecisionRow, NoticeRow, Ordered, Owner, PartRow, ParticipationRow, Period,
    RemovalRow, Tally, terrorist_content, transparency,
};

const DAY: i64 = 86_400_000;
const FIRST: i64 = 20_000 * DAY;

/// A row of any kind.
#[derive(Clone, Debug)]
enum Row {
    Case(CaseRow),
    Decision(DecisionRow),
    Removal(RemovalRow),
    Notice(NoticeRow),
    Appeal(AppealRow),
    Participation(ParticipationRow),
}

fn tally(rows: &[Row]) -> Tally {
    let owner = Owner {
        team: Team::Party(PartyId(1)),
        name: "alpha".to_owned(),
        platforms: BTreeMap::from([(PlatformId(1), "alpha-app".parse().unwrap())]),
        named: BTreeSet::from([PlatformId(1)]),
        parties: BTreeMap::from([(PartyId(1), "alpha".parse().unwrap())]),
    };
    let period = Period::new("2024-10-04".parse().unwrap(), "2024-10-06".parse().unwrap()).unwrap();
    assert_eq!(period.begins(), Timestamp(FIRST));
    let mut tally = Tally::new(owner, period, Timestamp(FIRST + 100 * DAY));
    for row in rows {
        match row {
            Row::Case(row) => tally.case(row),
            Row::Decision(row) => tally.decision(row),
            Row::Removal(row) => tally.removal(row),
            Row::Notice(row) => tally.notice(row),
            Row::Appeal(row) => tally.appeal(row),
            Row::Participation(row) => tally.participation(row),
        }
    }
    tally
}

fn text(rows: &[Row]) -> String {
    let tally = tally(rows);
    format!("{:?}{:?}", transparency(&tally), terrorist_content(&tally))
}

/// Within the days, before or after them.
fn time() -> impl Strategy<Value = Timestamp> {
    (FIRST - 2 * DAY..FIRST + 5 * DAY).prop_map(Timestamp)
}

fn maybe() -> impl Strategy<Value = Option<Timestamp>> {
    prop::option::of(time())
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop::sample::select(Verdict::ALL.to_vec())
}

fn any_row() -> impl Strategy<Value = Row> {
    let kind = || prop::sample::select(ContentKind::ALL.to_vec());
    let clocks = prop::collection::vec((1..3_u16, prop::sample::select(ClockKind::ALL.to_vec()), time()), 0..6);
    let clocks = clocks.prop_map(|all| {
        let mut clocks = PlatformClocks::default();
        for (platform, kind, at) in all {
            clocks.note(PlatformId(platform), kind, at);
        }
        clocks
    });
    let times = (
        time(),
        maybe(),
        maybe(),
        maybe(),
        maybe(),
        maybe(),
        maybe(),
        time(),
        maybe(),
    );
    let case = (kind(), times, prop::option::of(verdict()), clocks).prop_map(|(kind, times, verdict, clocks)| {
        let (opened_at, first_seen, alert_at, claimed_at, decided_at, noticed_at, merged_at, waiting_since, closed_by) =
            times;
        Row::Case(CaseRow {
            kind,
            opened_at,
            first_seen,
            alert_at,
            claimed_at,
            decided_at,
            verdict,
            noticed_at,
            merged_at,
            waiting_since,
            closed_by,
            is_decided: waiting_since.0 % 2 == 0,
            clocks,
        })
    });
    let action = prop::option::of(prop::sample::select(RecommendedAction::ALL.to_vec()));
    let decision =
        (kind(), time(), verdict(), action, "[a-e]{1,2}").prop_map(|(kind, decided_at, verdict, action, policy)| {
            Row::Decision(DecisionRow {
                kind,
                decided_at,
                verdict,
                action,
                policy,
            })
        });
    let settled = prop::option::of((0..5_000_u64, 0..5_000_u64));
    let views =
        prop::option::of((0..3_000_000_u64, 0..90_u64)).prop_map(|views| views.map(|(low, more)| (low, low + more)));
    let removal = (
        1..3_u16,
        any::<[bool; 4]>(),
        verdict(),
        time(),
        maybe(),
        (settled, views),
        0..9_u64,
        maybe(),
    );
    let removal = removal.prop_map(
        |(
            platform,
            [restores, is_ordered, is_counted, is_decided_again],
            verdict,
            out_at,
            confirmed_at,
            (settled, views),
            returned,
            recommended_at,
        )| {
            Row::Removal(RemovalRow {
                platform: PlatformId(platform),
                kind: ContentKind::ALL[usize::from(platform)],
                awaits: if restores { Awaits::Restore } else { Awaits::Removal },
                verdict,
                out_at,
                ordered: if is_ordered { Ordered::Yes } else { Ordered::No },
                is_counted,
                is_decided_again,
                confirmed_at,
                settled,
                labelled: [None, Some(false), Some(true)][returned as usize % 3],
                views,
                returned,
                recommended_at,
            })
        },
    );
    let suspended = prop::option::of((prop::sample::select(SuspensionGround::ALL.to_vec()), time()));
    let answered = prop::option::of((prop::sample::select(NoticeOutcome::ALL.to_vec()), time()));
    let kinds = prop::sample::select(NoticeKind::ALL.to_vec());
    let notice = (kinds, "[a-c]", time(), maybe(), suspended, answered);
    let notice = notice.prop_map(|(kind, authority, received_at, due_at, suspended, answered)| {
        Row::Notice(NoticeRow {
            kind,
            authority,
            received_at,
            ran_anew_at: due_at.map(|due| Timestamp(due.0 - 3_600_000)),
            due_at,
            suspended,
            answered,
        })
    });
    let appeal = (any::<bool>(), time(), any::<[bool; 2]>(), maybe()).prop_map(
        |(against_decision, filed_at, [upheld, upload], at)| {
            let outcome = if upheld {
                AppealOutcome::Upheld
            } else {
                AppealOutcome::Overturned
            };
            let concerns = if upload { Concerns::Upload } else { Concerns::Family };
            Row::Appeal(AppealRow {
                against_decision,
                filed_at,
                answered: at.map(|at| (outcome, concerns, None, at)),
            })
        },
    );
    let parts = prop::collection::vec((time(), time(), maybe()), 0..3);
    let participation = (1..3_u16, time(), time(), maybe(), parts);
    let participation = participation.prop_map(|(party, declared_at, invited_at, acknowledged_at, parts)| {
        let part = |(since, due, done_at)| PartRow { since, due, done_at };
        Row::Participation(ParticipationRow {
            team: Team::Party(PartyId(party)),
            declared_at,
            invited_at,
            acknowledged_at,
            parts: parts.into_iter().map(part).collect(),
        })
    });
    prop_oneof![case, decision, removal, notice, appeal, participation]
}

/// Whether nothing of it may show.
fn is_of_others(row: &Row) -> bool {
    let ends = Timestamp(FIRST + 3 * DAY);
    match row {
        Row::Case(row) => row.opened_at >= ends || row.opened_at < Timestamp(FIRST),
        Row::Decision(row) => row.decided_at >= ends || row.decided_at < Timestamp(FIRST),
        Row::Removal(row) => row.platform != PlatformId(1) || row.out_at >= ends,
        Row::Notice(row) => row.received_at >= ends || row.received_at < Timestamp(FIRST),
        Row::Appeal(row) => row.filed_at >= ends,
        Row::Participation(row) => row.team != Team::Party(PartyId(1)) || row.declared_at >= ends,
    }
}

proptest! {
    #[test]
    fn neither_order_nor_others_change_a_byte(rows in prop::collection::vec(any_row(), 0..60), turn in 0..60_usize) {
        let told = text(&rows);
        let mut turned = rows.clone();
        turned.reverse();
        turned.rotate_left(turn.min(rows.len()));
        prop_assert_eq!(&text(&turned), &told);
        let own: Vec<Row> = rows.iter().filter(|row| !is_of_others(row)).cloned().collect();
        prop_assert_eq!(&text(&own), &told);
    }
}

#[test]
fn nothing_is_a_report_of_zeros_and_of_what_is_not_known() {
    let told = text(&[]);
    assert!(told.contains("Unknown") && told.contains("amount: 0"));
    assert!(!told.contains("amount: 1"), "{told}");
}
