use std::f64::consts::TAU;

use tocsin_model::Kind;

use super::occurrence::{Account, Family};
use super::plan::SpreadPlan;
use super::society::{self, Deed, REPORTED_AFTER_MS, Society};
use crate::scenario::draw::Draw;

/// The kernel: constant up to here, then falling by this power beyond the first.
const CONSTANT_MS: f64 = 300_000.0;
const POWER: f64 = 0.242;
/// Families in haste do everything in this part of the time: ten copies in a minute or two.
const HASTE: f64 = 0.02;
/// A copy brings no more after this.
const HORIZON_MS: f64 = 24.0 * 3_600_000.0;
/// Deviation of the logarithm of what an audience brings; its mean is 1.
const AUDIENCE: f64 = 1.5;
/// Copies of a copy, of families that fade: uniform.
const FADING_COPIES: (f64, f64) = (0.2, 0.7);
/// Copies of the root, of families that grow: this power of their size, times a uniform factor. One in ten of a thousand copies.
const GROWING_ROOT_POWER: f64 = 0.4;
const GROWING_ROOT: (f64, f64) = (0.7, 1.5);
/// Copies of a copy while nobody has seen it, of families that grow: the median and the deviation of the logarithm.
const GROWING_COPIES: (f64, f64) = (2.6, 0.3);
/// After how long a content is a third as catching: the median, and the deviation of the logarithm.
const FADES_AFTER_MS: (f64, f64) = (8.0 * 3_600_000.0, 0.8);
/// Of the copies of a family on several platforms, these are on its main one; the others fall by size.
const MAIN_SHARE: f64 = 0.6;
/// The part of a family's copies that are uploads of their own and not passed on: the smallest of so many uniform draws, so a quarter in the
/// mean, and nine in ten of one family in a thousand. Assumed.
const UPLOADED_SMALLEST_OF: u32 = 3;
/// The part of copies that a platform blocks for reasons of its own.
const BLOCKED_SHARE: f64 = 0.005;
/// The smallest audience of a copy.
const AUDIENCE_MIN: u32 = 5;

/// Families that spread by self-excitation, all that are alive. See [`SpreadPlan`] for the laws.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spreads {
    alive: Vec<Spread>,
    free: Vec<u32>,
}

/// One family.
#[derive(Clone, Debug)]
struct Spread {
    draw: Draw,
    family: Family,
    main_platform: u8,
    on_several: bool,
    /// 0: anybody's.
    few_accounts: u8,
    labelled_share: f64,
    reported_share: f64,
    uploaded_share: f64,
    /// Copies of a copy, at the beginning.
    catching: f64,
    fades_after_ms: f64,
    /// How slow the kernel runs: 1, or [`HASTE`].
    pace: f64,
    born_ms: f64,
    /// How many it could interest.
    susceptible: f64,
    copies: f64,
    /// Copies that will bring further ones.
    broods: u32,
}

/// What one copy will still bring: the next at a time that the queue knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brood {
    slot: u32,
    parent_ms: f64,
    expected: f64,
    mass: f64,
}

/// What a moment in a family's life leads to: a copy, its report if there is one, and up to two broods with the times of their next copies.
pub(crate) struct Copied {
    pub(crate) deed: Deed,
    pub(crate) report: Option<(i64, Deed)>,
    pub(crate) broods: [Option<(i64, Brood)>; 2],
}

impl Spreads {
    /// A family begins: its original is uploaded.
    pub(crate) fn begin(
        &mut self,
        plan: &SpreadPlan,
        family: Family,
        mut draw: Draw,
        at_ms: i64,
        society: &Society,
    ) -> Copied {
        let size = truncated_pareto(plan, &mut draw);
        let (root, catching, susceptible) = if draw.happens(plan.growing_share) {
            let root = libm::pow(size, GROWING_ROOT_POWER) * uniform(GROWING_ROOT, &mut draw);
            (root, log_normal(GROWING_COPIES, &mut draw), size)
        } else {
            let catching = uniform(FADING_COPIES, &mut draw);
            (size * (1.0 - catching), catching, f64::INFINITY)
        };
        let few = draw.happens(plan.few_accounts_share);
        let spread = Spread {
            family,
            main_platform: society.platform(draw.next()),
            on_several: draw.happens(plan.several_platforms_share),
            few_accounts: if few { 1 + draw.below(5) as u8 } else { 0 },
            labelled_share: plan.labelled_share,
            reported_share: plan.reported_share,
            uploaded_share: (0..UPLOADED_SMALLEST_OF).map(|_| draw.unit()).fold(1.0, f64::min),
            catching,
            fades_after_ms: log_normal(FADES_AFTER_MS, &mut draw),
            pace: if draw.happens(plan.hasty_share) { HASTE } else { 1.0 },
            born_ms: at_ms as f64,
            susceptible,
            copies: 0.0,
            broods: 0,
            draw,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.alive[slot as usize] = spread;
                slot
            }
            None => {
                self.alive.push(spread);
                (self.alive.len() - 1) as u32
            }
        };
        let spread = &mut self.alive[slot as usize];
        let mut deed = spread.deed(society);
        deed.kind = Kind::Upload;
        let first = Brood {
            slot,
            parent_ms: at_ms as f64,
            expected: root,
            mass: 0.0,
        };
        let first = spread.advance(first);
        let report = spread.report(at_ms, deed, society);
        self.bury(slot);
        Copied {
            deed,
            report,
            broods: [first, None],
        }
    }

    /// The next copy of a brood.
    pub(crate) fn copy(&mut self, at_ms: i64, brood: Brood, society: &Society) -> Copied {
        let spread = &mut self.alive[brood.slot as usize];
        spread.broods -= 1;
        spread.copies += 1.0;
        let deed = spread.deed(society);
        let next = spread.advance(brood);
        let unseen = (1.0 - spread.copies / spread.susceptible).max(0.0);
        let age_ms = at_ms as f64 - spread.born_ms;
        let audience = log_normal((libm::exp(-AUDIENCE * AUDIENCE / 2.0), AUDIENCE), &mut spread.draw);
        let own = Brood {
            slot: brood.slot,
            parent_ms: at_ms as f64,
            expected: spread.catching * audience * unseen * libm::exp(-age_ms / spread.fades_after_ms),
            mass: 0.0,
        };
        let own = spread.advance(own);
        let report = spread.report(at_ms, deed, society);
        self.bury(brood.slot);
        Copied {
            deed,
            report,
            broods: [next, own],
        }
    }

    /// Gives the place of a family free that brings nothing any more.
    fn bury(&mut self, slot: u32) {
        if self.alive[slot as usize].broods == 0 {
            self.free.push(slot);
        }
    }
}

impl Spread {
    /// The next copy of a brood: the parts of the kernel's mass between copies are exponential.
    fn advance(&mut self, mut brood: Brood) -> Option<(i64, Brood)> {
        brood.mass += self.draw.exponential();
        if brood.mass >= brood.expected {
            return None;
        }
        let delay_ms = delay_ms(brood.mass / brood.expected) * self.pace;
        if delay_ms > HORIZON_MS {
            return None;
        }
        self.broods += 1;
        Some(((brood.parent_ms + delay_ms) as i64, brood))
    }

    /// The report of a copy. Where nobody reports nothing is drawn, so that such a day stays what it was.
    fn report(&mut self, at_ms: i64, copy: Deed, society: &Society) -> Option<(i64, Deed)> {
        let is_visible = copy.kind != Kind::BlockedUpload;
        if self.reported_share == 0.0 || !is_visible || !self.draw.happens(self.reported_share) {
            return None;
        }
        let later_ms = at_ms + 1 + (self.draw.exponential() * REPORTED_AFTER_MS) as i64;
        let report = Deed {
            kind: Kind::Report,
            account: society.account(copy.platform, &mut self.draw),
            audience: 0,
            tvec_confidence: None,
            way: self.draw.next(),
            ..copy
        };
        Some((later_ms, report))
    }

    fn deed(&mut self, society: &Society) -> Deed {
        let draw = &mut self.draw;
        let bits = draw.next();
        let platform = if self.on_several && !draw.happens(MAIN_SHARE) {
            society.platform(bits)
        } else {
            self.main_platform
        };
        let account = match self.few_accounts {
            0 => society.account(platform, draw),
            few => Account::of(
                platform,
                (self.family.0.wrapping_mul(31) + draw.below(u64::from(few))) & 0xff_ffff,
            ),
        };
        let kind = match (bits >> 20 & 1_023) as f64 / 1_024.0 {
            ..BLOCKED_SHARE => Kind::BlockedUpload,
            place if place < BLOCKED_SHARE + self.uploaded_share => Kind::Upload,
            _ => Kind::Share,
        };
        let audience = if kind == Kind::BlockedUpload {
            0
        } else {
            society::audience(AUDIENCE_MIN, draw)
        };
        Deed {
            family: self.family,
            variant: 0,
            platform,
            kind,
            surface: society::surface(bits >> 30),
            account,
            audience,
            tvec_confidence: society::label(self.labelled_share, draw),
            way: draw.next(),
        }
    }
}

/// The delay before which this part of the kernel's mass lies.
fn delay_ms(mass: f64) -> f64 {
    let constant = POWER / (1.0 + POWER);
    if mass < constant {
        CONSTANT_MS * mass / constant
    } else {
        CONSTANT_MS * libm::pow((1.0 - mass) * (1.0 + POWER), -1.0 / POWER)
    }
}

fn truncated_pareto(plan: &SpreadPlan, draw: &mut Draw) -> f64 {
    // Of the largest sizes the law would bring, what is beyond the largest is spread over the law again.
    let beyond = libm::pow(plan.size_max / plan.size_min, -plan.index);
    plan.size_min * libm::pow(1.0 - draw.unit() * (1.0 - beyond), -1.0 / plan.index)
}

fn uniform((from, to): (f64, f64), draw: &mut Draw) -> f64 {
    from + (to - from) * draw.unit()
}

/// By the median, and the deviation of the logarithm.
pub(crate) fn log_normal((median, deviation): (f64, f64), draw: &mut Draw) -> f64 {
    let normal = libm::sqrt(2.0 * draw.exponential()) * libm::cos(TAU * draw.unit());
    median * libm::exp(deviation * normal)
}
