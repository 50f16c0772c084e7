//! Numbers of accounts as a reader is told them: those of its own platforms as they are known, those of others rounded and suppressed.

use std::collections::BTreeMap;

use serde::Serialize;
use tocsin_model::{FamilyId, NextHour, PlatformId, Scope, Timestamp};
use tocsin_suppression::{Shown, Told, expected, total};
use tocsin_velocity::figures::ReachFigures;
use tocsin_wire::document::{AccountsRange, ForecastAnswer, instant};
use utoipa::ToSchema;

use crate::replica::{OthersAccounts, ReplicaState};

/// Distinct accounts. An account is a platform's pseudonym: the same person on two platforms is two accounts.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ReachAnswer {
    /// The sum over platforms, and of the ends of their intervals: of what is told of them, so it has no estimate where one of them has none.
    pub sum_over_platforms: AccountsRange,
    /// Whether the sum is an upper bound: that of a platform is.
    pub upper_bound: bool,
    /// Each platform.
    pub platforms: Vec<PlatformReachAnswer>,
}

/// Distinct accounts of one platform.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PlatformReachAnswer {
    /// The platform.
    pub platform: String,
    /// Accounts since promotion.
    pub accounts: AccountsRange,
    /// Whether this is an upper bound: the platform's pseudonym key changed meanwhile.
    pub upper_bound: bool,
}

/// What is known of a family's accounts.
pub(super) struct KnownAccounts<'a> {
    pub(super) family: FamilyId,
    pub(super) reach: &'a BTreeMap<PlatformId, ReachFigures>,
    pub(super) forecast: NextHour,
    pub(super) as_of: Timestamp,
}

/// What is told of them.
pub(super) struct AccountsAnswer {
    pub(super) reach: ReachAnswer,
    pub(super) reach_as_of: Option<String>,
    pub(super) forecast: ForecastAnswer,
}

pub(super) fn accounts_answer(
    replica: &ReplicaState,
    scope: Scope,
    known: KnownAccounts<'_>,
    now_ms: i64,
) -> AccountsAnswer {
    let (own, others): (Vec<_>, Vec<_>) = known
        .reach
        .iter()
        .partition(|(platform, _)| replica.names.is_own(scope, **platform));
    let mut platforms: BTreeMap<PlatformId, (Shown, bool)> = own
        .into_iter()
        .map(|(platform, reach)| (*platform, (Shown::full(reach.accounts), reach.epochs_mixed)))
        .collect();
    let told = match others.is_empty() {
        true => Told {
            figures: OthersAccounts::new(),
            as_of: known.as_of,
        },
        false => {
            let as_of = known.as_of;
            let figures = others_accounts(&others, Shown::to_others);
            let told = replica
                .disclosed
                .tell(scope, known.family, now_ms, Told { figures, as_of });
            told.unwrap_or_else(|| Told {
                figures: others_accounts(&others, Shown::coarsest),
                as_of,
            })
        }
    };
    for (platform, shown, upper_bound) in told.figures {
        // What was told before it was known to be the reader's own does not stand before what is known.
        platforms.entry(platform).or_insert((shown, upper_bound));
    }
    let sum = total(platforms.values().map(|(shown, _)| *shown));
    AccountsAnswer {
        reach: ReachAnswer {
            sum_over_platforms: sum.into(),
            upper_bound: platforms.values().any(|(_, upper_bound)| *upper_bound),
            platforms: platforms
                .into_iter()
                .map(|(platform, (shown, upper_bound))| PlatformReachAnswer {
                    platform: replica.names.platform(platform),
                    accounts: shown.into(),
                    upper_bound,
                })
                .collect(),
        },
        reach_as_of: instant(told.as_of),
        forecast: ForecastAnswer::new(known.forecast, expected(sum, &known.forecast)),
    }
}

/// The accounts on platforms of others.
fn others_accounts(
    others: &[(&PlatformId, &ReachFigures)],
    shown: impl Fn(tocsin_model::Estimate) -> Shown,
) -> OthersAccounts {
    let others = others.iter();
    others
        .map(|(platform, reach)| (**platform, shown(reach.accounts), reach.epochs_mixed))
        .collect()
}
