//! Goal: a random history of what people, platforms and authorities do, played through the store on each database, gives a report whose figures are that of
//! the model beside it or an interval that holds it; and the same bytes on every store.

use std::sync::Mutex;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use crate::fixture::on_empty;
use crate::player::Player;
use crate::{days, figures};

const SEEDS: u64 = 6;
const STEPS: usize = 90;

/// Plays a seed on a store, and holds the reports of some days to the model. The text of them all.
async fn play(url: &str, number: u64) -> (String, usize, usize) {
    let mut seed = SmallRng::seed_from_u64(number);
    let mut player = Player::new(url).await;
    for _ in 0..STEPS {
        player.step(&mut seed).await;
    }
    for noted in player.model.cases.values_mut() {
        let (case, clocks, _) = player.store.case_clocks(player.team, noted.id).await.unwrap();
        noted.opened_at = case.opened_at;
        noted.first_seen = case.first_seen;
        noted.clocks = clocks;
    }
    let (mut told, mut compared, mut mismatches) = (String::new(), 0, 0);
    for (first, count) in [(0, 30), (2, 3), (5, 1), (6, 4), (9, 2), (11, 6), (40, 5)] {
        let period = days(first, count);
        let tally = player.store.tally(player.team, period).await.unwrap();
        let report = tocsin_report::transparency(&tally);
        let terrorist = tocsin_report::terrorist_content(&tally);
        told.push_str(&format!("{report:?}\n{terrorist:?}\n"));
        let both: Vec<_> = [figures(&report), figures(&terrorist)].concat();
        let (of, wrong) = player.model.compare(&both, &period, player.platform);
        for wrong in &wrong {
            eprintln!("seed {number}, {first} + {count} days: {wrong}");
        }
        compared += of;
        mismatches += wrong.len();
    }
    player.store.close().await;
    (told, compared, mismatches)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_is_the_models_and_two_stores_tell_the_same_bytes() {
    let (mut compared, mut mismatches) = (0, 0);
    for seed in 0..SEEDS {
        let played: Mutex<Vec<(String, usize, usize)>> = Mutex::default();
        for _ in 0..2 {
            on_empty(async |url| {
                let of_store = Box::pin(play(&url, seed)).await;
                played.lock().unwrap().push(of_store);
            })
            .await;
        }
        let played = played.into_inner().unwrap();
        for (told, of, wrong) in &played {
            assert_eq!(*told, played[0].0, "seed {seed}: two stores tell different bytes");
            compared += of;
            mismatches += wrong;
        }
    }
    eprintln!("{compared} figures compared, history_model_mismatches = {mismatches}");
    assert!(compared > 3_000, "{compared} figures are no test");
    assert_eq!(mismatches, 0);
}
