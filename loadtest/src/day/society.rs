use tocsin_model::{Kind, Surface};

use super::occurrence::{Account, Family};
use super::plan::DayPlan;
use crate::scenario::draw::Draw;

/// Who can do something, and where.
#[derive(Clone, Debug)]
pub(crate) struct Society {
    /// A platform for each of 1,024 equal chances.
    by_size: Vec<u8>,
    /// The party of each platform.
    parties: Vec<u8>,
    /// How many accounts each platform has.
    accounts: Vec<u64>,
}

/// What is done: a record without its number and its times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed {
    pub(crate) family: Family,
    pub(crate) variant: u16,
    pub(crate) platform: u8,
    pub(crate) kind: Kind,
    pub(crate) surface: Surface,
    pub(crate) account: Account,
    pub(crate) audience: u32,
    pub(crate) tvec_confidence: Option<u8>,
    /// Random bits that decide how it travels. They come from whoever does it, so that no source disturbs another's events.
    pub(crate) way: u64,
}

/// The mean delay from a visible copy to its report.
pub(crate) const REPORTED_AFTER_MS: f64 = 10.0 * 60_000.0;

impl Society {
    pub(crate) fn new(plan: &DayPlan) -> Self {
        let total: f64 = plan.platforms.iter().map(|platform| platform.size).sum();
        let mut by_size = Vec::with_capacity(1_024);
        let mut cumulated = 0.0;
        for (place, platform) in (0_u8..).zip(&plan.platforms) {
            cumulated += platform.size;
            by_size.resize((cumulated / total * 1_024.0).round() as usize, place);
        }
        let accounts = plan.ordinary.accounts as f64;
        Society {
            by_size,
            parties: plan.platforms.iter().map(|platform| platform.party).collect(),
            accounts: plan
                .platforms
                .iter()
                .map(|platform| ((accounts * platform.size / total) as u64).max(1))
                .collect(),
        }
    }

    pub(crate) fn party(&self, platform: u8) -> u8 {
        self.parties[usize::from(platform)]
    }

    /// A platform by size, from ten random bits.
    pub(crate) fn platform(&self, bits: u64) -> u8 {
        self.by_size[(bits & 1_023) as usize]
    }

    /// An account of a platform, the n-th most active in proportion to 1 / sqrt(n).
    pub(crate) fn account(&self, platform: u8, draw: &mut Draw) -> Account {
        let unit = draw.unit();
        let accounts = self.accounts[usize::from(platform)];
        Account::of(platform, (unit * unit * accounts as f64) as u64)
    }
}

/// An audience: Pareto of index 1 from `least`, at most ten million.
pub(crate) fn audience(least: u32, draw: &mut Draw) -> u32 {
    let drawn = (u64::from(least) << 32) / ((draw.next() >> 32) + 1);
    drawn.min(10_000_000) as u32
}

/// A surface of ordinary use, from five random bits.
pub(crate) fn surface(bits: u64) -> Surface {
    match bits & 31 {
        0..14 => Surface::Feed,
        14..22 => Surface::Recommendation,
        22..25 => Surface::Search,
        25..28 => Surface::Direct,
        _ => Surface::Message,
    }
}

/// The confidence of a label where there is one: 60 to 99 per cent.
pub(crate) fn label(share: f64, draw: &mut Draw) -> Option<u8> {
    (share > 0.0 && draw.happens(share)).then(|| 60 + draw.below(40) as u8)
}
