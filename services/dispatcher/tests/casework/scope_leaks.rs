//! Goal: whatever one party does that it did not share, another sees the same: one history, drawn from a seed, is acted out twice, with and without what others do
//! for themselves, and everything that a reader sees is compared, byte by byte.
//!
//! Ids of cases, leases' holders, decisions, notices, appeals, reviews and deliveries are drawn at random, so they say nothing of how many others there are; they
//! are numbered in the order in which the reader sees them. The store's clock is set, so all times are compared. The machine's clock shows in one place alone, the
//! time of a try of a delivery and the signature over it. Offsets of the deliveries' topics are the reader's own topic's.
//! The records of the audit (`/v1/audit`) have their numbers in a chain that is the deployment's: whoever verifies it needs them, and they say how much was
//! recorded, not by whom nor of what. No key but an auditor's reads them, and they are not compared.

mod acts;
mod history;
mod replay;
mod stream;
mod view;

use std::collections::BTreeSet;
use std::sync::Mutex;

use tocsin_model::Scope;

use self::history::{Side, Step, history};
use self::replay::Replay;
use self::view::{Area, Seen, View, leaks, readers, told_of_ids};
use crate::acknowledgements::{ALPHA, BETA};
use crate::database::on_empty;

const SEEDS: [u64; 3] = [1, 2, 3];
/// What others do, each of which must have been done in some history.
const DONE: [&str; 16] = [
    "abandon",
    "answer",
    "appeals",
    "claim",
    "clocks",
    "decision",
    "draft",
    "escalate",
    "hand-over",
    "hold",
    "incidents",
    "merge",
    "notices",
    "ring",
    "skip",
    "spread",
];

/// One run: what the reader saw, and whoever did what is hidden; to whom the ids of others told something; what was done.
struct Run {
    of_beta: Seen,
    of_alpha: Seen,
    told_to_beta: Seen,
    told_to_alpha: Seen,
    done: BTreeSet<String>,
}

async fn run(steps: &[Step], url: &str, is_hidden_there: bool) -> Run {
    let mut replay = Replay::begin(url, is_hidden_there).await;
    replay.act(steps, is_hidden_there).await;
    let mut of_beta = std::mem::take(&mut replay.answers);
    let alpha_began = replay.alpha_began.clone();
    let [beta, alpha] = [Side::Beta, Side::Alpha].map(|side| replay.keys[&side].moderators[0].clone());
    for reader in readers(&replay) {
        of_beta.of_key(&replay, reader).await;
    }
    of_beta.of_live(&replay);
    let (cases, began) = (replay.stream.cases(), replay.stream.began.clone());
    of_beta.of_stream(&replay, (&beta, &began), cases).await;
    of_beta.of_deliveries(&replay, &replay.receivers[0], "tocsin.deliveries.beta");
    let mut of_alpha = View::default();
    of_alpha.of_key(&replay, ("alpha", &alpha)).await;
    of_alpha.of_stream(&replay, (&alpha, &alpha_began), 1).await;
    of_alpha.of_deliveries(&replay, &replay.receivers[1], "tocsin.deliveries.alpha");

    let (mut told_to_beta, mut told_to_alpha) = (Seen::new(), Seen::new());
    for reader in readers(&replay) {
        told_of_ids(&replay, reader, &mut told_to_beta).await;
    }
    told_of_ids(&replay, ("alpha", &alpha), &mut told_to_alpha).await;
    let run = Run {
        of_beta: of_beta.numbered(),
        of_alpha: of_alpha.numbered(),
        told_to_beta,
        told_to_alpha,
        done: std::mem::take(&mut replay.done),
    };
    replay.running.stop().await;
    run
}

/// On each store that there is.
async fn runs(steps: &[Step], is_hidden_there: bool) -> Vec<Run> {
    let runs = Mutex::new(Vec::new());
    on_empty(async |url| {
        let run = run(steps, &url, is_hidden_there).await;
        runs.lock().unwrap().push(run);
    })
    .await;
    runs.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_a_difference_by_what_others_keep_to_themselves() {
    let (mut scope_leaks, mut control, mut done) = (0, 0, BTreeSet::new());
    let pairs = SEEDS.map(async |seed| {
        let steps = history(seed, (Scope::Party(ALPHA.0), Scope::Party(BETA.0)));
        let (with, without) = tokio::join!(runs(&steps, true), runs(&steps, false));
        (seed, with, without)
    });
    for (seed, with, without) in futures::future::join_all(pairs).await {
        for (with, without) in with.into_iter().zip(without) {
            let mut to_beta = leaks(&with.of_beta, &without.of_beta);
            to_beta.extend(with.told_to_beta);
            for ((area, label), text) in &to_beta {
                println!("seed {seed}: {area:?} leaks in {label}:\n    {text}");
            }
            scope_leaks += to_beta.len();
            // The comparison finds what there is: whoever did it sees it, in everything that is compared.
            let mut to_alpha = leaks(&with.of_alpha, &without.of_alpha);
            to_alpha.extend(with.told_to_alpha);
            for area in Area::ALL {
                let in_area = to_alpha.keys().filter(|(of, _)| *of == area).count();
                assert!(in_area > 0, "seed {seed}: {area:?} finds nothing");
            }
            control += to_alpha.len();
            done.extend(with.done);
        }
    }
    println!("scope_leaks {scope_leaks}; to whom nothing is hidden {control}");
    if let Ok(directory) = std::env::var("TOCSIN_FIGURES") {
        let figures = serde_json::json!({"scope_leaks": scope_leaks, "scope_leaks_control": control});
        let file = std::path::Path::new(&directory).join("scope_leaks.json");
        std::fs::write(file, figures.to_string()).unwrap();
    }
    let missing: Vec<_> = DONE.iter().filter(|act| !done.contains(**act)).collect();
    assert!(missing.is_empty(), "nobody did {missing:?}: {done:?}");
    assert_eq!(scope_leaks, 0);
}
