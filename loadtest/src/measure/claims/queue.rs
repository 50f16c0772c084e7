//! The queue that is claimed from: open cases of coordinators, on eight platforms of which most have many and one has few.

use std::collections::HashMap;

use anyhow::{Context as _, ensure};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tocsin_casework::{Team, UNREVIEWED_BELOW};
use tocsin_model::{Algorithm, ContentHash, ContentId, Estimate, FamilyId, Name, PlatformFigures, PlatformId};
use tocsin_store::{KeySubject, Store};

use super::Flow;
use super::order::Known;
use crate::measure::casework::moderators_key;
use crate::measure::casework::seed::{LOT, alert};
use crate::measure::pipeline::now;

/// Of each case there is one platform.
const PLATFORMS: usize = 8;
/// The last one has one case in so many, and about so many at the least: who asks for it is not to find all of them held.
const RARE: usize = 500;
const RARE_MIN: usize = 20;
/// So many people claim, one after the other.
const MODERATORS: usize = 200;
/// How long a case is held at most: longer than its holder keeps it.
const LEASE_S: u32 = 600;
/// A claim in two asks for one platform, and one of so many of those for the rare one.
const ASKS_FOR_RARE: usize = 20;

/// What was opened.
pub(super) struct Queue {
    keys: Vec<String>,
    platforms: Vec<Name>,
    cases: Vec<Known>,
    places: HashMap<String, usize>,
    moving_case: String,
}

impl Queue {
    /// Opens the cases in an empty store: those of the families whose figures move, by these priorities, and others. A half as many of those as move are
    /// worth as much as one that moves, all the others less than most.
    pub(super) async fn open(
        url: &str,
        flow: Flow,
        moving: &[(ContentId, ContentHash)],
        live: &[f64],
    ) -> anyhow::Result<Queue> {
        let store = Store::open(url).await?;
        ensure!(
            store.queue_counts().await?.is_empty(),
            "the store holds cases: a load test needs one of its own"
        );
        let mut keys = Vec::new();
        for _ in 0..MODERATORS {
            keys.push(moderators_key(&store, KeySubject::Coordinators).await?);
        }
        let name = |number: usize| format!("platform-{number}").parse::<Name>();
        let platforms: Vec<Name> = (0..PLATFORMS).map(name).collect::<Result<_, _>>()?;
        let party = store.add_party(&"everyone".parse()?, &platforms).await?;
        let ids: Vec<PlatformId> = party.platforms.iter().map(|(id, _)| *id).collect();

        let mut random = SmallRng::seed_from_u64(flow.seed);
        let mut ordered = live.to_vec();
        ordered.sort_by(f64::total_cmp);
        let low = ordered[ordered.len() / 4];
        let (mut cases, mut places) = (Vec::new(), HashMap::new());
        let mut opened = 0;
        let is_rare = (1.0 / RARE as f64).max(RARE_MIN as f64 / flow.cases as f64).min(1.0);
        // Families that move stand anywhere among the others in the order of time.
        let step = flow.cases / moving.len();
        for lot in 0..flow.cases.div_ceil(LOT as usize) {
            let (at, mut alerts) = (now(), Vec::new());
            let first = lot * LOT as usize;
            for place in first..(first + LOT as usize).min(flow.cases) {
                let moves = (place % step == 0)
                    .then_some(place / step)
                    .filter(|place| *place < moving.len());
                let (about, priority) = match moves {
                    Some(moves) => (moving[moves].clone(), live[moves]),
                    None => (
                        still(place)?,
                        still_priority(&mut random, (flow, moving.len()), &ordered, low),
                    ),
                };
                let platform = match random.random_bool(is_rare) {
                    true => PLATFORMS - 1,
                    false => random.random_range(0..PLATFORMS - 1),
                };
                let mut alert = alert(about, priority, at);
                alert.platforms = vec![PlatformFigures {
                    platform: ids[platform],
                    spread_1h: 40,
                    spread_24h: 40,
                    reach: Estimate {
                        estimate: 30.0,
                        low: 30.0,
                        high: 30.0,
                    },
                }];
                places.insert(alert.family.to_string(), place);
                cases.push(Known {
                    priority,
                    moving: moves,
                    platform,
                    lot,
                });
                alerts.push(alert);
            }
            opened += store.apply_alerts(&alerts, UNREVIEWED_BELOW).await?.opened;
        }
        ensure!(
            opened == flow.cases as u64,
            "{opened} of {} cases were opened",
            flow.cases
        );
        let moves = FamilyId(moving.first().context("some move")?.0);
        let found = store.case_of_family(Team::Coordinators, moves).await?;
        store.close().await;
        Ok(Queue {
            keys,
            platforms,
            cases,
            places,
            moving_case: found.context("what moves has a case")?.id.to_string(),
        })
    }

    /// In the order in which they were opened.
    pub(super) fn cases(&self) -> &[Known] {
        &self.cases
    }

    /// The place of the case about a family.
    pub(super) fn place(&self, family: &str) -> Option<usize> {
        self.places.get(family).copied()
    }

    /// The id of a case whose figures move.
    pub(super) fn moving_case(&self) -> &str {
        &self.moving_case
    }

    /// The key of who makes the claim of this number.
    pub(super) fn key(&self, number: usize) -> &str {
        &self.keys[number % self.keys.len()]
    }

    /// What a claimer asks for: the place of the platform, and the request.
    pub(super) fn wanted(&self, random: &mut SmallRng) -> (Option<usize>, Value) {
        let of_one = random
            .random_bool(0.5)
            .then(|| match random.random_range(0..ASKS_FOR_RARE) {
                0 => PLATFORMS - 1,
                _ => random.random_range(0..PLATFORMS - 1),
            });
        let name = of_one.map(|platform| self.platforms[platform].as_str());
        let lane = random.random_bool(0.25).then_some("general");
        (of_one, json!({ "lease_s": LEASE_S, "platform": name, "lane": lane }))
    }
}

/// A content that nothing is published of.
fn still(place: usize) -> anyhow::Result<(ContentId, ContentHash)> {
    let number = place as u128 + (1 << 64);
    let hash = ContentHash::from_bytes(Algorithm::Md5, number.to_be_bytes().to_vec(), None);
    Ok((ContentId(number), hash.context("an MD5 has 16 bytes")?))
}

fn still_priority(random: &mut SmallRng, (flow, moving): (Flow, usize), ordered: &[f64], low: f64) -> f64 {
    let is_among_the_best = random.random_range(0..2 * flow.cases) < moving;
    match is_among_the_best {
        true => ordered[random.random_range(0..ordered.len())] * random.random_range(0.9..1.1),
        false => low * random.random_range(0.0..1.0),
    }
}
