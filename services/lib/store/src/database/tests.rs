//! Goal: a transaction that reads sees one moment on both databases, and none stays open that nobody waits for.
#![allow(clippy::unwrap_used)]

use super::*;

async fn sees_one_moment(database: &Database) {
    let count = "SELECT COUNT(*) AS parties FROM parties";
    let mut reading = database.begin_reading().await.unwrap();
    let before = reading.fetch(count, &[]).await.unwrap()[0].integer("parties").unwrap();
    let mut writing = database.begin().await.unwrap();
    let insert = "INSERT INTO parties (party_id, name, added_at, version) VALUES (9, 'nine', 1, 1)";
    writing.execute(insert, &[]).await.unwrap();
    writing.commit().await.unwrap();
    let after = reading.fetch(count, &[]).await.unwrap()[0].integer("parties").unwrap();
    assert_eq!(after, before);
    reading.rollback().await.unwrap();
    let rows = database.fetch(count, &[]).await.unwrap();
    assert_eq!(rows[0].integer("parties").unwrap(), before + 1);
}

/// Whoever asks for a transaction goes away at any step of the way to it. Asked is another connection, since the next transaction on the same would end it.
async fn none_stays_open(database: &Database, (admin, name): (&PgPool, &str)) {
    let yields = async |steps: u32| {
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
    };
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND state LIKE 'idle in transaction%'";
    for steps in (0..400).map(|time| 16 * time) {
        tokio::select! {
            biased;
            _ = database.begin() => {}
            () = yields(steps) => {}
        }
        let began = std::time::Instant::now();
        while sqlx::query_scalar::<_, i64>(open)
            .bind(name)
            .fetch_one(admin)
            .await
            .unwrap()
            > 0
        {
            assert!(began.elapsed() < Duration::from_secs(10), "a transaction stays open");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_one_moment_and_ends() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("store").display());
    sees_one_moment(&Database::open(&url).await.unwrap()).await;

    let Ok(server) = std::env::var("TOCSIN_TEST_POSTGRES") else {
        eprintln!("skipped on PostgreSQL: TOCSIN_TEST_POSTGRES is not set");
        return;
    };
    let admin = PgPool::connect(&server).await.unwrap();
    let name = format!("tocsin_test_{:032x}", rand::random::<u128>());
    let create = format!("CREATE DATABASE {name}");
    sqlx::query(&create).execute(&admin).await.unwrap();
    let (base, query) = server.split_once('?').unwrap_or((&server, ""));
    let (host, _) = base.rsplit_once('/').unwrap();
    let database = Database::open(&format!("{host}/{name}?{query}")).await.unwrap();
    sees_one_moment(&database).await;
    none_stays_open(&database, (&admin, &name)).await;
    database.close().await;
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    sqlx::query(&drop).execute(&admin).await.unwrap();
}
