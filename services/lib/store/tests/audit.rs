//! Goal: what changes access and what is decided is in the audit chain or is not done; the chain is one, whatever writes it, and whoever changes a row
//! of it is found, on both databases.
#![allow(clippy::unwrap_used, dead_code)]

mod fixture;

use std::collections::BTreeMap;

use fixture::{COORDINATORS, Commands as _, Fixture, LEASE, alert, n, on_both};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use tocsin_audit::{Action, Entry, Field, Personal};
use tocsin_casework::{By, Command, Team, UNREVIEWED_BELOW};
use tocsin_model::{AlertLevel, DecisionId, KeyId, Milliseconds, PartyId, Scope, Verdict};
use tocsin_store::{AuditRecord, EndpointKind, KeySubject, NewEndpoint, PageOf, QueueQuery, Role, Roles, Store};

/// Runs a statement on the database behind the store's back.
async fn tamper(f: &Fixture, sql: &str) {
    let changed = match f.url.strip_prefix("sqlite:") {
        Some(_) => {
            let mut connection = SqliteConnection::connect(&f.url).await.unwrap();
            connection.execute(sql).await.unwrap().rows_affected()
        }
        None => {
            let mut connection = PgConnection::connect(&f.url).await.unwrap();
            connection.execute(sql).await.unwrap().rows_affected()
        }
    };
    assert_ne!(changed, 0, "{sql}");
}

fn read(path: &str, team: Scope, key: KeyId) -> Entry {
    Entry {
        action: Action::Read,
        team: Some(team),
        object: path.to_owned(),
        detail: String::new(),
        personal: vec![Personal::new(Field::Key, key.to_string())],
    }
}

async fn all(store: &Store) -> Vec<AuditRecord> {
    let whole = PageOf {
        team: None,
        after: BTreeMap::new(),
        limit: 500,
    };
    let page = store.audit_page(&whole).await.unwrap();
    assert!(!page.more);
    page.records
}

async fn actions(store: &Store) -> Vec<(Action, String, String)> {
    let told = all(store).await.into_iter();
    told.map(|one| (one.record.action, one.record.object, one.record.detail))
        .collect()
}

async fn holds(store: &Store) -> bool {
    store.verify_audit(&[]).await.unwrap().holds()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_access_is_a_record_and_a_refused_one_is_none() {
    on_both(async |f| {
        let store = &f.store;
        let (party, key, _) = f.party("alpha").await;
        let (person, _) = store
            .issue_key_to(KeySubject::Coordinators, Roles::of(&[Role::Moderator]), &n("ada"))
            .await
            .unwrap();
        let endpoint = NewEndpoint {
            name: n("hook"),
            team: Team::Party(party.id),
            kind: EndpointKind::Webhook,
            target: "https://example.org".to_owned(),
            settings: BTreeMap::new(),
            secret: "whsec".to_owned(),
        };
        store.add_endpoint(&endpoint).await.unwrap();
        store
            .rotate_endpoint_secret(&n("hook"), "other", Milliseconds(0))
            .await
            .unwrap();
        store.disable_endpoint(&n("hook"), "moved").await.unwrap();
        store.enable_endpoint(&n("hook")).await.unwrap();
        store.revoke_key(person).await.unwrap();
        store.revoke_party(party.id).await.unwrap();
        // Refused: nothing is changed, and nothing is told.
        assert!(store.add_endpoint(&endpoint).await.is_err());
        assert!(store.add_party(&n("alpha"), &[n("other")]).await.is_err());
        assert!(store.revoke_key(KeyId(7)).await.is_err());
        assert!(store.revoke_party(PartyId(99)).await.is_err());
        assert!(store.disable_endpoint(&n("none"), "x").await.is_err());
        assert!(
            store
                .issue_key(KeySubject::Party(party.id), Roles::all())
                .await
                .is_err()
        );
        // Again: it changes nothing.
        store.revoke_party(party.id).await.unwrap();
        let told = actions(store).await;
        let told: Vec<(Action, &str, &str)> = told.iter().map(|(a, b, c)| (*a, b.as_str(), c.as_str())).collect();
        let roles: Vec<&str> = Role::ALL.into_iter().map(Role::name).collect();
        assert_eq!(
            told,
            [
                (Action::PartyAdded, "alpha", ""),
                (Action::KeyIssued, "party 1", roles.join(" ").as_str()),
                (Action::KeyIssued, "coordinators", "moderator"),
                (Action::EndpointAdded, "hook", "webhook"),
                (Action::EndpointChanged, "hook", "another secret"),
                (Action::EndpointChanged, "hook", "disabled"),
                (Action::EndpointChanged, "hook", "enabled"),
                (Action::KeyRevoked, "coordinators", ""),
                (Action::PartyRevoked, "alpha", ""),
            ]
        );
        let clear = |record: &AuditRecord| -> Vec<(Field, String)> {
            let fields = record.personal.iter();
            fields.map(|one| (one.field, one.clear.clone().unwrap())).collect()
        };
        let records = all(store).await;
        assert_eq!(clear(&records[1]), [(Field::Key, key.to_string())]);
        let ada = [(Field::Key, person.to_string()), (Field::Person, "ada".to_owned())];
        assert_eq!((clear(&records[2]), clear(&records[7])), (ada.to_vec(), ada.to_vec()));
        assert!(records.iter().all(|one| one.record.node == n("command")));
        assert!(holds(store).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_and_its_withdrawal_are_records_and_the_same_decision_again_is_none() {
    on_both(async |f| {
        let store = &f.store;
        let (moderator, _) = store.issue_key(KeySubject::Coordinators, Roles::all()).await.unwrap();
        let raised = alert(1, Scope::Coordinators, AlertLevel::Raised, 1);
        store.apply_alerts(&[raised], UNREVIEWED_BELOW).await.unwrap();
        let (case, _) = store.best(COORDINATORS, moderator, LEASE).await.unwrap().unwrap();
        let holder = By {
            who: moderator,
            fencing: case.fencing,
            version: None,
        };
        let decide = Command::Decide {
            id: DecisionId(5),
            ruling: tocsin_casework::Ruling::of(Verdict::Violating, "a manifesto"),
            undo_for: Milliseconds::from_minutes(1),
        };
        store.command(COORDINATORS, case.id, holder, &decide).await.unwrap();
        // Sent again under the same lease: answered alike, and told once.
        store.command(COORDINATORS, case.id, holder, &decide).await.unwrap();
        let withdraw = Command::Withdraw {
            decision: DecisionId(5),
            length: LEASE,
        };
        store.command(COORDINATORS, case.id, holder, &withdraw).await.unwrap();
        assert!(store.command(COORDINATORS, case.id, holder, &withdraw).await.is_err());
        let records: Vec<AuditRecord> = all(store).await.split_off(1);
        let told: Vec<(Action, Option<Scope>)> =
            records.iter().map(|one| (one.record.action, one.record.team)).collect();
        let team = Some(Scope::Coordinators);
        assert_eq!(told, [(Action::Decided, team), (Action::Withdrawn, team)]);
        assert_eq!(
            (&*records[0].record.object, &*records[0].record.detail),
            ("a case", "violating")
        );
        let about = format!("case {}, decision {:032x} of family {}", case.id, 5, case.family);
        for one in &records {
            let told = one.personal.iter().find(|one| one.field == Field::About).unwrap();
            assert_eq!(told.clear.as_ref(), Some(&about));
        }
        let rationale = records[0]
            .personal
            .iter()
            .find(|one| one.field == Field::Rationale)
            .unwrap();
        assert_eq!(rationale.clear.as_deref(), Some("a manifesto"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_chain_nothing_is_decided_and_nobody_gets_access() {
    on_both(async |f| {
        let store = &f.store;
        let (moderator, _) = store.issue_key(KeySubject::Coordinators, Roles::all()).await.unwrap();
        f.coordinators_cases(1).await;
        let (case, _) = store.best(COORDINATORS, moderator, LEASE).await.unwrap().unwrap();
        tamper(
            f,
            "ALTER TABLE audit_records RENAME TO elsewhere; UPDATE audit_chains SET node = node",
        )
        .await;
        let verdict = (Verdict::Benign, "");
        assert!(
            store
                .decide(COORDINATORS, case.id, (moderator, case.fencing), verdict)
                .await
                .is_err()
        );
        assert!(store.issue_key(KeySubject::Coordinators, Roles::all()).await.is_err());
        assert!(store.revoke_key(moderator).await.is_err());
        assert!(store.add_party(&n("beta"), &[n("beta")]).await.is_err());
        assert_eq!(
            store
                .record(read("/v1/alerts", Scope::All, moderator))
                .await
                .unwrap_err()
                .code(),
            "audit_unavailable"
        );
        tamper(
            f,
            "ALTER TABLE elsewhere RENAME TO audit_records; UPDATE audit_chains SET node = node",
        )
        .await;
        let keys = store.list_keys(KeySubject::Coordinators).await.unwrap();
        assert_eq!((keys.len(), keys[0].revoked_at), (1, None));
        assert!(store.list_parties().await.unwrap().is_empty());
        let decided = QueueQuery {
            team: COORDINATORS,
            state: tocsin_casework::CaseState::Decided,
            filter: tocsin_casework::Filter::default(),
            limit: 10,
            after: None,
            urgent_within: tocsin_model::Milliseconds(0),
        };
        assert!(store.queue(&decided).await.unwrap().cases.is_empty());
        // The same works again once the chain is there.
        store
            .decide(COORDINATORS, case.id, (moderator, case.fencing), verdict)
            .await
            .unwrap();
        assert!(holds(store).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_make_one_chain() {
    on_both(async |f| {
        // Two processes of one kind, and one of another.
        let other = Store::open_as(&f.url, n("query")).await.unwrap();
        let stores = [f.store.clone(), f.another().await, other];
        let writers = stores.iter().enumerate().map(|(store_number, store)| {
            let writes = (0..300).map(move |number| {
                let path = format!("/v1/families/{store_number}-{number}");
                store.record(read(&path, Scope::All, KeyId(number)))
            });
            futures_of(writes.collect())
        });
        for results in futures_of(writers.collect()).await {
            assert!(results.iter().all(Result::is_ok));
        }
        let report = f.store.verify_audit(&[]).await.unwrap();
        assert!(report.holds(), "{report:?}");
        let lengths: Vec<(String, u64)> = report
            .chains
            .iter()
            .map(|one| (one.node.to_string(), one.holds_to.records))
            .collect();
        assert_eq!(lengths, [("command".to_owned(), 600), ("query".to_owned(), 300)]);
        assert_eq!(report.chains[0].erased, 0);
        for store in &stores[1..] {
            store.close().await;
        }
    })
    .await;
}

/// All of them at once.
async fn futures_of<F: std::future::Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in futures.iter_mut().filter(|(_, output)| output.is_none()) {
            if let std::task::Poll::Ready(ready) = future.as_mut().poll(context) {
                *output = Some(ready);
            }
        }
        match futures.iter().all(|(_, output)| output.is_some()) {
            true => std::task::Poll::Ready(futures.iter_mut().filter_map(|(_, output)| output.take()).collect()),
            false => std::task::Poll::Pending,
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_changes_a_row_is_found() {
    let changes = [
        // In the record, in the hash beside it, in its place, at the end, and in what is filed or lies beside it.
        (
            "UPDATE audit_records SET body = (SELECT body FROM audit_records WHERE sequence = 4) WHERE sequence = 5",
            Some("record 5 was altered"),
        ),
        (
            "UPDATE audit_records SET hash = (SELECT hash FROM audit_records WHERE sequence = 4) WHERE sequence = 5",
            Some("record 5 was altered"),
        ),
        (
            "DELETE FROM audit_records WHERE sequence = 3",
            Some("record 3 is missing: 4 stands in its place"),
        ),
        (
            "DELETE FROM audit_records WHERE sequence >= 8",
            Some("10 records are promised by a checkpoint, and there are 8"),
        ),
        (
            "UPDATE audit_records SET sequence = 99 WHERE sequence = 0",
            Some("record 0 is missing: 1 stands in its place"),
        ),
        (
            "UPDATE audit_records SET team = 7 WHERE sequence = 2",
            Some("record 2 is filed under another team"),
        ),
        (
            "UPDATE audit_personal SET clear = 'somebody else' WHERE sequence = 6",
            Some("the field key beside record 6 was altered"),
        ),
        (
            "UPDATE audit_personal SET field = 3 WHERE sequence = 6",
            Some("the field about beside record 6 was altered"),
        ),
        (
            "UPDATE audit_chains SET records = 9, hash = (SELECT hash FROM audit_records WHERE sequence = 8)",
            Some("the first 9 records are others than a checkpoint says"),
        ),
        // What is erased is no fault.
        ("DELETE FROM audit_personal WHERE sequence = 6", None),
    ];
    for (sql, fault) in changes {
        on_both(async |f| {
            for number in 0..10 {
                f.store
                    .record(read("/v1/alerts", Scope::All, KeyId(number)))
                    .await
                    .unwrap();
            }
            let checkpoint = f.store.audit_checkpoint().await.unwrap();
            assert!(
                f.store
                    .verify_audit(std::slice::from_ref(&checkpoint))
                    .await
                    .unwrap()
                    .holds()
            );
            tamper(f, sql).await;
            let report = f.store.verify_audit(&[]).await.unwrap();
            let found = report.chains[0].fault.map(|fault| fault.to_string());
            assert_eq!(found.as_deref(), fault, "{sql}");
            // Also the end itself, and the whole chain, against what a party holds.
            tamper(f, "DELETE FROM audit_records").await;
            tamper(f, "DELETE FROM audit_chains").await;
            assert!(
                f.store.verify_audit(&[]).await.unwrap().holds(),
                "nothing is left to hold it to"
            );
            let report = f.store.verify_audit(&[checkpoint]).await.unwrap();
            let found = report.chains[0].fault.map(|fault| fault.to_string());
            assert_eq!(
                found.as_deref(),
                Some("10 records are promised by a checkpoint, and there are 0")
            );
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_is_gone_and_the_chain_holds() {
    on_both(async |f| {
        let with_zero = Entry {
            personal: vec![
                Personal::new(Field::Key, KeyId(1).to_string()),
                Personal::new(Field::About, "value=\0secret"),
            ],
            ..read("/v1/lookup", Scope::All, KeyId(1))
        };
        f.store.record(with_zero).await.unwrap();
        f.store.record(read("/v1/alerts", Scope::All, KeyId(2))).await.unwrap();
        let before = f.store.audit_checkpoint().await.unwrap();
        assert_eq!(
            all(&f.store).await[0].personal[1].clear.as_deref(),
            Some("value=\u{fffd}secret")
        );
        assert_eq!(f.store.erase_audited(KeyId(1)).await.unwrap(), 2);
        assert_eq!(f.store.erase_audited(KeyId(1)).await.unwrap(), 0);
        let records = all(&f.store).await;
        assert!(records[0].personal.iter().all(|one| one.clear.is_none()));
        assert!(records[1].personal[0].clear.is_some(), "another's stays");
        assert_eq!(
            (records[2].record.action, &*records[2].record.detail),
            (Action::Erased, "2 fields")
        );
        let report = f.store.verify_audit(&[before]).await.unwrap();
        assert!(report.holds(), "{report:?}");
        assert_eq!(report.chains[0].erased, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_one_team_miss_and_double_nothing_while_more_is_written() {
    on_both(async |f| {
        let other = Store::open_as(&f.url, n("query")).await.unwrap();
        let party = Scope::Party(PartyId(1));
        let write = async |store: &Store, number: u128| {
            let team = if number.is_multiple_of(3) { party } else { Scope::All };
            store
                .record(read(&format!("{number}"), team, KeyId(number)))
                .await
                .unwrap();
        };
        for number in 0..20_u128 {
            write(if number.is_multiple_of(2) { &other } else { &f.store }, number).await;
        }
        let mut of = PageOf {
            team: Some(party),
            after: BTreeMap::new(),
            limit: 3,
        };
        let mut told = Vec::new();
        for round in 0.. {
            let page = f.store.audit_page(&of).await.unwrap();
            assert!(page.records.len() <= 3);
            told.extend(
                page.records
                    .into_iter()
                    .map(|one| one.record.object.parse::<u128>().unwrap()),
            );
            of.after = page.next;
            match round {
                1 => {
                    for number in 20..40_u128 {
                        write(if number.is_multiple_of(2) { &other } else { &f.store }, number).await;
                    }
                }
                _ if !page.more => break,
                _ => {}
            }
        }
        told.sort_unstable();
        assert_eq!(
            told,
            (0..40_u128)
                .filter(|number| number.is_multiple_of(3))
                .collect::<Vec<u128>>()
        );
        other.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shares_with_whom_is_in_the_chain() {
    on_both(async |f| {
        let (north, ..) = f.party("north").await;
        let group = n("inner");
        let before = all(&f.store).await.len();
        f.store.add_sharing_group(&group).await.unwrap();
        for is_in in [true, true, false, false] {
            let member = Team::Party(north.id);
            f.store.set_sharing_group_member(&group, member, is_in).await.unwrap();
        }
        let records = all(&f.store).await;
        let told: Vec<_> = records[before..]
            .iter()
            .map(|one| (one.record.detail.as_str(), one.personal[0].clear.as_deref().unwrap()))
            .collect();
        let expected = [
            ("added", "inner"),
            ("member added", "inner: party 1"),
            ("member taken out", "inner: party 1"),
        ];
        assert_eq!(told, expected, "each change once");
        assert!(
            records[before..]
                .iter()
                .all(|one| one.record.action == Action::GroupChanged)
        );
        assert!(f.store.verify_audit(&[]).await.unwrap().holds());
    })
    .await;
}
