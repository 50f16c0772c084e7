//! What was listed before there were banks, and banks to which anything happens in any order.

use rand::{Rng as _, SeedableRng as _};

use super::*;

fn kind(url: &str) -> &'static str {
    if url.starts_with("sqlite") {
        "sqlite"
    } else {
        "postgres"
    }
}

/// Makes the tables of the version before a migration, and puts rows into them.
async fn at_earlier(url: &str, before: &str, rows: &str) {
    let migrations = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(kind(url));
    let earlier = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(&migrations).unwrap().map(|file| file.unwrap()) {
        if file.file_name().to_str().unwrap() < before {
            std::fs::copy(file.path(), earlier.path().join(file.file_name())).unwrap();
        }
    }
    let migrator = sqlx::migrate::Migrator::new(earlier.path()).await.unwrap();
    if kind(url) == "sqlite" {
        let pool = sqlx::SqlitePool::connect(&format!("{url}?mode=rwc")).await.unwrap();
        migrator.run(&pool).await.unwrap();
        sqlx::raw_sql(rows).execute(&pool).await.unwrap();
        pool.close().await;
    } else {
        let pool = sqlx::PgPool::connect(url).await.unwrap();
        migrator.run(&pool).await.unwrap();
        sqlx::raw_sql(rows).execute(&pool).await.unwrap();
        pool.close().await;
    }
}

/// Banks that are named as live incidents are called otherwise, whatever the other is called; a source's own bank is still its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_is_named_as_an_incident_gets_another_name() {
    fixture::on_empty(async |url| {
        let long = format!("INCIDENT_{}", "X".repeat(55));
        let names = [
            "INCIDENT_A",
            "INCIDENT_NORTH",
            "INCIDENT_B",
            "_INCIDENT_B",
            "INCIDENTS",
            &long,
        ];
        let banks = (1..).zip(names).map(|(number, name)| {
            format!(
                "INSERT INTO watch_banks (bank, name, source, severity, enabled, sampled_ppm, list, changed_at) \
                 VALUES ({number}, '{name}', 'incident-north', 2, 1, 1000000, {number}, 5); \
                 INSERT INTO watch_lists (list, bank, state, entries, touched_at) VALUES ({number}, {number}, 1, 0, 5);"
            )
        });
        let followed = [
            "INCIDENT_A",
            "INCIDENT_B",
            "_INCIDENT_B",
            &long,
            "INCIDENT_GONE",
            "_INCIDENT_A",
        ];
        let follows = followed.map(|name| {
            format!("INSERT INTO watch_follows (name, checkpoint, attempted_at) VALUES ('{name}', 'of {name}', 5);")
        });
        let rows = banks.collect::<String>() + &follows.concat() + "UPDATE watch_list SET number = 9;";
        at_earlier(&url, "0730", &rows).await;
        let store = Store::open(&url).await.unwrap();
        let banks = store.banks().await.unwrap();
        let mut names: Vec<&str> = banks.iter().map(|bank| bank.name.as_str()).collect();
        names.sort_unstable();
        let cut = format!("_INCIDENT_{}__6", "X".repeat(32));
        let mut expected = [
            "_INCIDENT_A",
            "_INCIDENT_NORTH",
            "_INCIDENT_B__3",
            "_INCIDENT_B",
            "INCIDENTS",
            &cut,
        ];
        expected.sort_unstable();
        assert_eq!(names, expected);
        let states = store.follow_states().await.unwrap();
        let mut told: Vec<_> = states
            .iter()
            .map(|state| (state.name.as_str(), state.checkpoint.as_deref().unwrap()))
            .collect();
        told.sort_unstable();
        let long = format!("of {long}");
        let mut expected = [
            ("_INCIDENT_A", "of INCIDENT_A"),
            ("_INCIDENT_B__3", "of INCIDENT_B"),
            ("_INCIDENT_B", "of _INCIDENT_B"),
            (&cut, &long),
        ];
        expected.sort_unstable();
        assert_eq!(told, expected, "each goes on where its bank was followed to");
        assert!(store.watch(&md5(1), &n("incident-north"), grave(2)).await.unwrap());
        let (listings, _) = store.listings_of(&md5(1)).await.unwrap();
        assert_eq!(listings[0].bank.as_str(), "_INCIDENT_NORTH");
        store.close().await;
    })
    .await;
}

/// What an earlier version listed for sources stands in banks of their names, and what it had not published is still to come.
#[tokio::test(flavor = "multi_thread")]
async fn sources_of_an_earlier_version_become_banks() {
    fixture::on_empty(async |url| {
        let kind = kind(&url);
        let value = md5(1).value_text();
        let bytes = if kind == "sqlite" { format!("x'{value}'") } else { format!("'\\x{value}'::bytea") };
        let rows = format!(
            "INSERT INTO watch_sources VALUES (2, {bytes}, 'far-north', 3, 50); INSERT INTO watch_sources VALUES (2, {bytes}, 'far_north', 2, 40); \
             INSERT INTO watch_sources VALUES (2, {bytes}, 'south', 1, 60); INSERT INTO watch_changes VALUES (2, {bytes}, 9, 'south', 0); \
             UPDATE watch_list SET number = 9;"
        );
        at_earlier(&url, "0004", &rows).await;
        let store = Store::open(&url).await.unwrap();
        let banks = store.banks().await.unwrap();
        let figures: Vec<_> = banks.iter().map(|bank| (bank.name.as_str(), bank.entries)).collect();
        assert_eq!(figures, [("FAR_NORTH", 1), ("SOUTH", 1)]);
        let (listings, _) = store.listings_of(&md5(1)).await.unwrap();
        assert_eq!((listings[0].severity, listings[0].listed_at), (grave(3), Timestamp(40)));
        let batch = store.watch_batch(10).await.unwrap().unwrap();
        assert_eq!((batch.changes[0].number, batch.changes[0].listed), (9, Some(grave(3))));
        assert!(store.unwatch(&md5(1), &n("far-north")).await.unwrap());
        assert_eq!(store.watch_batch(10).await.unwrap().unwrap().changes[0].listed, Some(grave(1)));
        store.close().await;
    })
    .await;
}

/// A list, whatever was published in between and however short the batches are, ends up at the groups as it stands in the store.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_banks_the_groups_end_with_what_is_listed() {
    for seed in 0..12_u64 {
        on_both_once(seed, async |f| {
            eprintln!("seed {seed}");
            let mut random = rand::rngs::SmallRng::seed_from_u64(seed);
            let (store, mut told) = (&f.store, Told::default());
            let names = ["A", "B", "SOUTH"].map(bank);
            for name in &names {
                store.set_bank(name, &settings(2)).await.unwrap();
            }
            for _ in 0..25 {
                let name = &names[random.random_range(0..3)];
                let number = random.random_range(0..24);
                match random.random_range(0..7) {
                    0 => import(store, name, &entries((0..24).filter(|_| random.random_bool(0.4)))).await,
                    1 => drop(
                        store
                            .watch(&md5(number), &n("south"), grave(random.random_range(1..=4)))
                            .await
                            .unwrap(),
                    ),
                    2 => drop(store.unwatch(&md5(number), &n("south")).await.unwrap()),
                    3 => drop(
                        store
                            .hold_opinion(
                                &md5(number),
                                &n(["east", "south"][random.random_range(0..2)]),
                                Opinion::from_number(random.random_range(0..4)),
                            )
                            .await
                            .unwrap(),
                    ),
                    4 => {
                        let other = BankSettings {
                            enabled: random.random_bool(0.7),
                            sampled: Sampled::from_fraction(random.random_range(0.3..=1.0)).unwrap(),
                            ..settings(random.random_range(1..=4))
                        };
                        store.set_bank(name, &other).await.unwrap();
                    }
                    5 => drop(
                        store
                            .update_list(name, &[ListUpdate::Withdrawn(md5(number))], None)
                            .await
                            .unwrap(),
                    ),
                    _ => {
                        // A batch is published, and perhaps told twice.
                        if let Some(batch) = store.watch_batch(random.random_range(1..6)).await.unwrap() {
                            for change in &batch.changes {
                                let known = told.known.entry(change.hash.clone()).or_insert((0, None));
                                if change.number > known.0 {
                                    *known = (change.number, change.listed);
                                }
                            }
                            if random.random_bool(0.7) {
                                store.watch_published(&batch).await.unwrap();
                            }
                        }
                        store.forget_lists(4, HOUR).await.unwrap();
                    }
                }
            }
            told.publish(store, random.random_range(1..6)).await;
            let mut expected = Vec::new();
            for number in 0..24 {
                let (listings, aggregate) = store.listings_of(&md5(number)).await.unwrap();
                let gravest = listings.iter().map(|listing| listing.severity).max();
                if let Some(severity) = gravest.and_then(|gravest| aggregate?.severity(gravest)) {
                    expected.push((md5(number), severity.get()));
                }
            }
            assert_eq!(told.listed(), expected, "seed {seed}");
        })
        .await;
    }
}

/// PostgreSQL in one of four rounds: a database is made for each.
async fn on_both_once(seed: u64, test: impl AsyncFn(&Fixture)) {
    match seed % 4 {
        0 => on_both(test).await,
        _ => fixture::on_sqlite(test).await,
    }
}
