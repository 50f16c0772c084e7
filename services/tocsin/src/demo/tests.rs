//! Goal: the demo, played faster than it is written, rings for its crisis and says so; and stops when it is asked to.
#![allow(clippy::unwrap_used)]

use super::*;

const FAST: DemoOptions = DemoOptions {
    display: Display::Lines,
    lasts: Some(Duration::from_secs(12)),
    seed: SEED,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_crisis_rings_and_is_decided_at_the_head_of_the_queue() {
    let ending = Box::pin(run(FAST, Shutdown::new())).await.unwrap();
    assert!(
        matches!(ending, Ending::Played(Verdict::TheCrisisRang { .. })),
        "{ending:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_that_is_asked_to_stop_ends_in_order() {
    let shutdown = Shutdown::new();
    let asking = shutdown.clone();
    let demo = tokio::spawn(async move { Box::pin(run(FAST, shutdown)).await });
    asking.request();
    let ending = tokio::time::timeout(Duration::from_secs(60), demo)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ending.unwrap(), Ending::Interrupted);
}
