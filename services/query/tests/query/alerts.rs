//! Goal: alerts are held per scope, and a cursor goes on where it stood, on every replica.

use crate::world::*;
use proptest::prelude::*;
use tocsin_model::{PartyId, Scope};
use tocsin_query::cursor::Cursor;
use tocsin_query::replica::{AlertLimits, ReplicaLimits};

const PARTY_1: Scope = Scope::Party(PartyId(1));
const PARTY_2: Scope = Scope::Party(PartyId(2));

#[test]
fn a_page_of_alerts_goes_on_where_the_last_ended() {
    let mut fed = Fed::default();
    for number in 1..=9u128 {
        let scope = [Scope::All, Scope::Coordinators, PARTY_1][number as usize % 3];
        fed.feed_all(&[alert_record((number % 2) as u32, &alert(number, scope))]);
        // The same alert again, elsewhere: harmless.
        fed.feed_all(&[alert_record(3, &alert(number, scope))]);
    }
    let ids = |scope, cursor: &Cursor, max| -> (Vec<u128>, bool) {
        let page = fed.replica.alerts.after(scope, cursor, max);
        assert!(!page.gap);
        (page.alerts.iter().map(|held| held.alert.id.0).collect(), page.more)
    };
    let mut cursor = Cursor::default();
    assert_eq!(ids(Scope::Coordinators, &cursor, 4), (vec![1, 3, 4, 6], true));
    for held in fed.replica.alerts.after(Scope::Coordinators, &cursor, 4).alerts {
        cursor.pass(held.partition, held.offset);
    }
    assert_eq!(ids(Scope::Coordinators, &cursor, 4), (vec![7, 9], false));
    assert_eq!(ids(PARTY_2, &Cursor::default(), 9), (vec![3, 6, 9], false));
    let end = fed.replica.alerts.end(PARTY_1);
    assert_eq!(ids(PARTY_1, &end, 9), (vec![], false));
    let (_, newest) = fed.replica.alerts.newest(PARTY_1, 2);
    assert_eq!(
        newest.alerts.iter().map(|held| held.alert.id.0).collect::<Vec<_>>(),
        [8, 9]
    );
    assert!(fed.replica.alerts.get(PARTY_2, alert(2, PARTY_1).id).is_none());
    assert!(fed.replica.alerts.get(PARTY_1, alert(2, PARTY_1).id).is_some());
}

#[test]
fn a_full_ring_drops_its_oldest_alone_and_says_so() {
    let mut fed = Fed::with_limits(ReplicaLimits {
        alerts: AlertLimits {
            count_max: 3,
            age_ms_max: 1_000_000,
        },
        ..limits()
    });
    fed.feed_all(&[alert_record(0, &alert(100, Scope::Coordinators))]);
    let begin = fed.replica.alerts.newest(Scope::Coordinators, 1).0;
    for number in 1..=5 {
        fed.feed_all(&[alert_record(0, &alert(number, PARTY_1))]);
    }
    let page = fed.replica.alerts.after(PARTY_1, &begin, 10);
    assert_eq!((page.alerts.len(), page.gap), (3, true));
    let page = fed.replica.alerts.after(Scope::Coordinators, &begin, 10);
    assert_eq!(
        (page.alerts.len(), page.gap),
        (1, false),
        "what one scope receives pushes out nothing of another"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_cursor_of_one_replica_goes_on_at_another(
        partitions in proptest::collection::vec(0u32..4, 1..60), rotation in 0usize..4, page in 1usize..7, cut in 0usize..60,
    ) {
        let records: Vec<Made> = partitions
            .iter()
            .enumerate()
            .map(|(number, partition)| alert_record(*partition, &alert(number as u128, [Scope::All, PARTY_1, PARTY_2][number % 3])))
            .collect();
        let wanted: Vec<u128> = (0..records.len() as u128).filter(|number| number % 3 < 2).collect();
        let mut first = Fed::default();
        first.feed_all(&records);
        // The other replica reads partition after partition.
        let mut second = Fed::default();
        for partition in 0..4 {
            let partition = (partition + rotation as u32) % 4;
            let of_partition: Vec<Made> = records.iter().filter(|made| made.partition == partition).cloned().collect();
            second.feed_all(&of_partition);
        }
        let mut cursor = Cursor::default();
        let mut got = Vec::new();
        loop {
            let replica = if got.len() <= cut { &first } else { &second };
            let text = cursor.seal(&key(), PARTY_1, 4);
            cursor = Cursor::open(&key(), PARTY_1, &text).unwrap();
            let alerts = replica.replica.alerts.after(PARTY_1, &cursor, page).alerts;
            if alerts.is_empty() {
                break;
            }
            for held in alerts {
                cursor.pass(held.partition, held.offset);
                got.push(held.alert.id.0);
            }
        }
        got.sort_unstable();
        prop_assert_eq!(got, wanted);
    }
}
