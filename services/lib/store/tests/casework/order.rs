//! Goal: what happens at the same time comes out in one order: the decisions of a case one after the other, no lease for whoever is revoked, one
//! key for a name; and what was decided before cases knew of it is known.
use std::borrow::Cow;
use std::path::Path;

use crate::fixture::{COORDINATORS, Commands as _, LEASE, alert, n, on_both, on_empty};
use crate::{ANNA, BEN};
use sqlx::migrate::Migrator;
use tocsin_casework::{By, Command, Refusal};
use tocsin_model::{AlertLevel, Milliseconds, Scope, Verdict};
use tocsin_store::{KeySubject, Role, Roles, Store, StoreError};

const TAKEN: Milliseconds = Milliseconds::from_seconds(10);

#[tokio::test(flavor = "multi_thread")]
async fn the_decisions_of_a_case_go_out_one_after_the_other() {
    on_both(async |f| {
        f.coordinators_cases(2).await;
        let (case, _) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
        let (other, _) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
        let decide = async |id, holder, verdict| f.store.decide(COORDINATORS, id, holder, (verdict, "")).await.unwrap();
        let verdicts = async || -> Vec<(i64, Verdict)> {
            let taken = f.store.outbox_take(10, TAKEN).await.unwrap();
            taken
                .iter()
                .map(|entry| (entry.sequence, entry.told.decision.verdict))
                .collect()
        };
        decide(case.id, (ANNA, 1), Verdict::Violating).await;
        let first = verdicts().await;
        assert_eq!(first.len(), 1);
        f.store.claim(COORDINATORS, case.id, BEN, LEASE).await.unwrap();
        decide(case.id, (BEN, 2), Verdict::Benign).await;
        assert_eq!(verdicts().await, [], "the one before may not be on the log yet");
        assert_eq!(f.store.outbox_due_in().await.unwrap(), Some(TAKEN));
        decide(other.id, (ANNA, 1), Verdict::Newsworthy).await;
        let of_other = verdicts().await;
        assert_eq!(of_other[0].1, Verdict::Newsworthy, "it does not wait for another case");
        f.clock.advance(TAKEN);
        let again = verdicts().await;
        assert_eq!(again, [first[0], of_other[0]]);
        f.store.outbox_acknowledge(&[first[0].0]).await.unwrap();
        assert_eq!(
            verdicts().await.iter().map(|taken| taken.1).collect::<Vec<_>>(),
            [Verdict::Benign]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_being_revoked_is_handed_nothing() {
    on_both(async |f| {
        if !f.url.starts_with("postgres") {
            return; // Writers of SQLite wait for each other.
        }
        f.coordinators_cases(1).await;
        let (case, _) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
        let moderators = Roles::of(&[Role::Moderator]);
        let (cleo, _) = f.store.issue_key(KeySubject::Coordinators, moderators).await.unwrap();
        let pool = sqlx::PgPool::connect(&f.url).await.unwrap();
        let mut revoking = pool.begin().await.unwrap();
        sqlx::query("UPDATE api_keys SET revoked_at = 1 WHERE key_id = $1")
            .bind(cleo.to_string())
            .execute(&mut *revoking)
            .await
            .unwrap();
        let (store, id) = (f.store.clone(), case.id);
        let handing = tokio::spawn(async move {
            let by = By {
                who: ANNA,
                fencing: 1,
                version: None,
            };
            let hand_over = Command::HandOver {
                to: cleo,
                length: LEASE,
                note: "my shift ends".to_owned(),
            };
            store.command(COORDINATORS, id, by, &hand_over).await
        });
        until_waits_or_done(&pool, &handing).await;
        revoking.commit().await.unwrap();
        let refused = handing.await.unwrap();
        assert!(
            matches!(refused, Err(StoreError::Refused(Refusal::NoSuchModerator))),
            "{refused:?}"
        );
        pool.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rings_for_one_team_waits_for_no_other_teams_case() {
    on_both(async |f| {
        if !f.url.starts_with("postgres") {
            return; // Writers of SQLite wait for each other.
        }
        f.coordinators_cases(1).await;
        let (beta, ..) = f.party("beta").await;
        let pool = sqlx::PgPool::connect(&f.url).await.unwrap();
        let mut holding = pool.begin().await.unwrap();
        sqlx::query("SELECT case_id FROM cases FOR UPDATE")
            .fetch_one(&mut *holding)
            .await
            .unwrap();
        let ring = |scope| {
            let (store, rung) = (f.store.clone(), alert(1, scope, AlertLevel::Raised, 2));
            tokio::spawn(async move { store.apply_alert(&rung).await })
        };
        let own = ring(Scope::Party(beta.id));
        until_waits_or_done(&pool, &own).await;
        assert!(own.is_finished(), "it waits for the coordinators' case");
        own.await.unwrap().unwrap();
        let theirs = ring(Scope::Coordinators);
        until_waits_or_done(&pool, &theirs).await;
        assert!(!theirs.is_finished(), "nobody holds the case");
        holding.commit().await.unwrap();
        theirs.await.unwrap().unwrap();
        pool.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_being_taken_is_taken() {
    on_both(async |f| {
        if !f.url.starts_with("postgres") {
            return; // Writers of SQLite wait for each other.
        }
        let pool = sqlx::PgPool::connect(&f.url).await.unwrap();
        let mut issuing = pool.begin().await.unwrap();
        sqlx::query(ISSUE)
            .bind([7_u8; 32])
            .execute(&mut *issuing)
            .await
            .unwrap();
        let store = f.store.clone();
        let moderators = Roles::of(&[Role::Moderator]);
        let again = tokio::spawn(async move {
            store
                .issue_key_to(KeySubject::Coordinators, moderators, &n("anna"))
                .await
        });
        until_waits_or_done(&pool, &again).await;
        issuing.commit().await.unwrap();
        let again = again.await.unwrap();
        assert!(matches!(again, Err(StoreError::NameTaken { .. })), "{again:?}");
        pool.close().await;
    })
    .await;
}

const ISSUE: &str = "INSERT INTO api_keys (key_id, secret_sha256, subject, roles, issued_at, person) \
     VALUES ('01', $1, 1, 'moderator', 1, 'anna')";
const WAITERS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Until a task waits for a lock of the database, or is done.
async fn until_waits_or_done<T>(pool: &sqlx::PgPool, task: &tokio::task::JoinHandle<T>) {
    while !task.is_finished() {
        let waiters: i64 = sqlx::query_scalar(WAITERS).fetch_one(pool).await.unwrap();
        if waiters > 0 {
            break;
        }
    }
}

/// The migrations of a database up to the one before people worked on cases.
async fn before_casework(database: &str) -> Migrator {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
    let mut migrator = Migrator::new(directory).await.unwrap();
    let before = migrator.migrations.iter().filter(|migration| migration.version < 200);
    migrator.migrations = Cow::Owned(before.cloned().collect());
    migrator
}

const DECIDED_BEFORE: &str = "INSERT INTO cases VALUES ('01', 1, '02', 10, 20, 90, 1, 1, 1, 0, 5, '03', '{}', 2, 2, NULL, NULL, '05'), \
     ('06', 1, '07', 10, 20, 90, 1, 1, 0, 0, 5, '03', '{}', 1, 0, NULL, NULL, NULL); \
     INSERT INTO decisions VALUES ('04', '01', 1, '', '0a', 50, 1), ('05', '01', 2, '', '0a', 70, 2)";
const SELECT_TIMES: &str = "SELECT first_decided_at, own_told_at, all_told_at FROM cases ORDER BY case_id";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_before_an_upgrade_is_known_after_it() {
    on_empty(async |url| {
        let expected = [(Some(50), 20, 90), (None, 20, 90)];
        let times: Vec<(Option<i64>, i64, i64)> = if url.starts_with("postgres") {
            let pool = sqlx::PgPool::connect(&url).await.unwrap();
            before_casework("postgres").await.run(&pool).await.unwrap();
            sqlx::raw_sql(DECIDED_BEFORE).execute(&pool).await.unwrap();
            Store::open(&url).await.unwrap().close().await;
            sqlx::query_as(SELECT_TIMES).fetch_all(&pool).await.unwrap()
        } else {
            let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
            let pool = sqlx::SqlitePool::connect_with(options.create_if_missing(true))
                .await
                .unwrap();
            before_casework("sqlite").await.run(&pool).await.unwrap();
            sqlx::raw_sql(DECIDED_BEFORE).execute(&pool).await.unwrap();
            Store::open(&url).await.unwrap().close().await;
            sqlx::query_as(SELECT_TIMES).fetch_all(&pool).await.unwrap()
        };
        assert_eq!(times, expected);
    })
    .await;
}
