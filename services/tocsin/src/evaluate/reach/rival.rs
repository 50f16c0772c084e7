//! What other estimators say of the same accounts: `hyperloglogplus` and `datasketches`, at the same precision and on the same keyed tokens.

use std::hash::{BuildHasher, Hasher};

use datasketches::hll::{HllSketch, HllType};
use hyperloglogplus::{HyperLogLog, HyperLogLogPlus};
use serde_json::json;
use tocsin_model::AccountToken;

use super::{Estimated, Series};
use crate::rehearsal::Figures;

/// Their estimates of one set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Others {
    hyperloglogplus: f64,
    datasketches: f64,
}

/// Tokens are keyed hashes already.
#[derive(Clone, Debug, Default)]
struct Unchanged(u64);

impl Hasher for Unchanged {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

impl BuildHasher for Unchanged {
    type Hasher = Unchanged;
    fn build_hasher(&self) -> Unchanged {
        Unchanged(0)
    }
}

impl Others {
    pub(super) fn of(precision: u8, tokens: impl Iterator<Item = AccountToken>) -> Self {
        let mut plus: HyperLogLogPlus<u64, Unchanged> =
            HyperLogLogPlus::new(precision, Unchanged(0)).expect("the precision is one that it takes");
        let mut apache = HllSketch::new(precision, HllType::Hll8);
        for token in tokens {
            plus.insert(&token.0);
            apache.update(token.0);
        }
        Others {
            hyperloglogplus: plus.count(),
            datasketches: apache.estimate(),
        }
    }
}

/// Root mean square error and bias of each, as ours have them.
pub(super) fn figures(measured: &[(Series, Vec<Estimated>)]) -> Figures {
    let sets = || {
        let all = measured.iter().flat_map(|(_, sets)| sets);
        all.filter_map(|set| Some((set.accounts as f64, set.others?)))
    };
    let count = sets().count().max(1) as f64;
    let errors = |of: fn(&Others) -> f64| -> (f64, f64) {
        let error = |(accounts, others): (f64, Others)| of(&others) / accounts - 1.0;
        let squares = sets().map(error).map(|error| error * error).sum::<f64>();
        ((squares / count).sqrt(), sets().map(error).sum::<f64>() / count)
    };
    let plus = errors(|others| others.hyperloglogplus);
    let apache = errors(|others| others.datasketches);
    Figures::from([
        ("hyperloglogplus_rmse_p12", json!(plus.0)),
        ("hyperloglogplus_bias_p12", json!(plus.1)),
        ("datasketches_rmse_p12", json!(apache.0)),
        ("datasketches_bias_p12", json!(apache.1)),
    ])
}
