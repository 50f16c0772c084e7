//! Goal: a copy has its limits and says so, outlives the log, and is whole or made anew, whatever a crash leaves.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_ends_at_its_limits_and_says_so_and_a_damaged_one_is_not_handed_out() {
    let bench = Bench::new().await;
    let small = DispatcherConfig {
        sealed_events_max: 2,
        ..config(&bench)
    };
    let running = bench.start_with(small).await;
    let case = family(&bench, &running).await;
    let path = preserve(&running, &case, &bench.alpha).await;
    let told = until_state(&running, (&path, &bench.alpha), "sealed").await;
    assert_eq!(
        (told["copy"]["events"].as_u64(), told["copy"]["cut"].as_bool()),
        (Some(2), Some(true))
    );
    let archive = export(&running, &path, &bench.alpha).await;
    assert_eq!(archive.verified.manifest.cut, [Cut::Events]);
    let file = sealed(&bench)
        .join(path.rsplit('/').next().unwrap())
        .join("events.jsonl");
    let mut events = std::fs::read(&file).unwrap();
    events[10] ^= 1;
    std::fs::write(&file, events).unwrap();
    let damaged = (500, "sealed_copy_damaged");
    let export = format!("{path}/export");
    running
        .refused(Method::POST, &export, &bench.alpha, Some(basis("review")), damaged)
        .await;
    running
        .metric(
            "tocsin_dispatcher_evidence_exports_total{outcome=\"damaged\"}",
            |count| count == 1.0,
        )
        .await;
    let told = running.get(&path, &bench.alpha).await;
    assert_eq!(told["exports"], 1, "what was not handed out is not said to be");
    running.stop().await;
}

/// As after seven days: a log that holds none of it any more, beside the same store.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_outlives_what_the_log_kept() {
    let bench = Bench::new().await;
    let settings = config(&bench);
    let running = bench.start_with(settings.clone()).await;
    let case = family(&bench, &running).await;
    let path = preserve(&running, &case, &bench.alpha).await;
    until_state(&running, (&path, &bench.alpha), "sealed").await;
    running.stop().await;
    let later = bench.beside();
    let running = later.start_with(settings).await;
    let archive = export(&running, &path, &bench.alpha).await;
    assert_eq!(archive.lines("events.jsonl").len(), 3);
    // What is preserved only now finds nothing there.
    let path = preserve(&running, &case, &bench.alpha).await;
    let told = until_state(&running, (&path, &bench.alpha), "sealed").await;
    assert_eq!(told["copy"]["events"], 0);
    running.stop().await;
}

/// What a process that ended at the wrong moment leaves: a copy that nobody knows of, a draft, and one that is known to be deleted.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_is_taken_and_what_should_be_gone_goes() {
    let bench = Bench::new().await;
    let running = bench.start_with(config(&bench)).await;
    let case = family(&bench, &running).await;
    let path = preserve(&running, &case, &bench.alpha).await;
    let first = until_state(&running, (&path, &bench.alpha), "sealed").await;
    running.stop().await;
    let id = path.rsplit('/').next().unwrap();
    let draft = sealed(&bench).join(format!(".draft-{id}-1"));
    std::fs::create_dir(&draft).unwrap();
    std::fs::write(draft.join("case.json"), "half of it").unwrap();
    let url = format!("sqlite:{}", bench.directory.path().join("store.sqlite").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for sql in [
        "UPDATE preservations SET sealed_at = NULL, manifest = NULL, events = NULL, bytes = NULL, is_cut = NULL, seal_claimed_until = 0",
        "DELETE FROM custody WHERE sequence = 1",
    ] {
        assert_eq!(
            sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected(),
            1,
            "{sql}"
        );
    }
    let running = bench.start_with(config(&bench)).await;
    let second = until_state(&running, (&path, &bench.alpha), "sealed").await;
    assert_eq!(second["copy"], first["copy"], "it is the same copy");
    assert_eq!(export(&running, &path, &bench.alpha).await.verified.custody.len(), 3);
    // Put back from a backup after it was deleted.
    let (own, kept) = (sealed(&bench).join(id), bench.directory.path().join("kept"));
    std::fs::create_dir(&kept).unwrap();
    for entry in std::fs::read_dir(&own).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), kept.join(entry.file_name())).unwrap();
    }
    running
        .post(
            &format!("{path}/release"),
            &bench.alpha,
            json!({ "reason": "it is over" }),
        )
        .await;
    until_state(&running, (&path, &bench.alpha), "deleted").await;
    assert!(!own.exists() && !draft.exists());
    running.stop().await;
    std::fs::rename(&kept, &own).unwrap();
    let running = bench.start_with(config(&bench)).await;
    crate::bench::until("it is gone again", || !own.exists()).await;
    running.stop().await;
}

/// A copy that nobody noted, and of which a file is missing, is made anew; one that lies elsewhere is not said to be deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_not_whole_is_made_anew_and_one_that_is_not_there_is_not_deleted() {
    let bench = Bench::new().await;
    let running = bench.start_with(config(&bench)).await;
    let case = family(&bench, &running).await;
    let path = preserve(&running, &case, &bench.alpha).await;
    until_state(&running, (&path, &bench.alpha), "sealed").await;
    running.stop().await;
    let own = sealed(&bench).join(path.rsplit('/').next().unwrap());
    std::fs::remove_file(own.join("events.jsonl")).unwrap();
    let url = format!("sqlite:{}", bench.directory.path().join("store.sqlite").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for sql in [
        "UPDATE preservations SET sealed_at = NULL, manifest = NULL, events = NULL, bytes = NULL, is_cut = NULL, seal_claimed_until = 0",
        "DELETE FROM custody WHERE sequence = 1",
    ] {
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }
    let running = bench.start_with(config(&bench)).await;
    until_state(&running, (&path, &bench.alpha), "sealed").await;
    assert_eq!(
        export(&running, &path, &bench.alpha).await.lines("events.jsonl").len(),
        3
    );
    let elsewhere = bench.directory.path().join("elsewhere");
    std::fs::rename(&own, &elsewhere).unwrap();
    // Beside one that ends as it should, behind it.
    let second = preserve(&running, &case, &bench.alpha).await;
    until_state(&running, (&second, &bench.alpha), "sealed").await;
    for path in [&path, &second] {
        running
            .post(&format!("{path}/release"), &bench.alpha, json!({ "reason": "over" }))
            .await;
    }
    until_state(&running, (&second, &bench.alpha), "deleted").await;
    running
        .metric(
            "tocsin_dispatcher_sealed_copies_total{outcome=\"undeleted\"}",
            |count| count >= 1.0,
        )
        .await;
    assert_eq!(running.get(&path, &bench.alpha).await["state"], "ended");
    running.stop().await;
    std::fs::rename(&elsewhere, &own).unwrap();
    let running = bench.start_with(config(&bench)).await;
    until_state(&running, (&path, &bench.alpha), "deleted").await;
    assert!(std::fs::read_dir(sealed(&bench)).unwrap().next().is_none());
    running.stop().await;
}
