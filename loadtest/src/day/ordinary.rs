use tocsin_model::Kind;

use super::alias::Alias;
use super::occurrence::{Family, FamilyKind};
use super::plan::{DayPlan, OrdinaryPlan};
use super::rhythm::Arrivals;
use super::society::{self, Deed, Society};
use crate::scenario::draw::Draw;

/// Marks the families of popular contents among the ordinary ones.
const POPULAR: u64 = 1 << 55;
/// The smallest audience of an ordinary copy.
const AUDIENCE_MIN: u32 = 5;
/// One in five events of a popular content is away from its home platform.
const AWAY_OF_1024: u64 = 205;

/// Contents seen once, and popular ones: by far the most events, so the only source with a place of its own beside the queue.
#[derive(Clone, Debug)]
pub(crate) struct Ordinary {
    draw: Draw,
    echoes: Draw,
    plan: OrdinaryPlan,
    arrivals: Arrivals,
    next_at_ms: Option<i64>,
    once_share: f64,
    popular: Alias,
    once: u64,
    home: u64,
}

/// The echo that an event has, with its time.
pub(crate) type ComingEcho = Option<(i64, Echo)>;

/// An event that follows another of the same popular content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Echo {
    family: Family,
    platform: u8,
}

impl Ordinary {
    pub(crate) fn new(plan: &DayPlan, seed: u64) -> Self {
        let ordinary = plan.ordinary;
        let popular_per_day = ordinary.popular_events_per_day * (1.0 - ordinary.echo_share);
        let per_day = ordinary.once_per_day + popular_per_day;
        let mut draw = Draw::of(seed, "ordinary", 0);
        let mut arrivals = Arrivals::new(plan, per_day);
        Ordinary {
            next_at_ms: arrivals.next(&mut draw),
            echoes: Draw::of(seed, "echoes", 0),
            plan: ordinary,
            arrivals,
            once_share: ordinary.once_per_day / per_day,
            popular: Alias::zipf(ordinary.popular, ordinary.exponent),
            once: 0,
            home: draw.next(),
            draw,
        }
    }

    pub(crate) fn next_at_ms(&self) -> Option<i64> {
        self.next_at_ms
    }

    /// What happens at [`Ordinary::next_at_ms`], and the echo it has, with its time.
    pub(crate) fn next(&mut self, society: &Society) -> Option<(i64, Deed, ComingEcho)> {
        let at_ms = self.next_at_ms?;
        let draw = &mut self.draw;
        let bits = draw.next();
        let once = draw.happens(self.once_share);
        let (family, platform) = if once {
            self.once += 1;
            (Family::of(FamilyKind::Ordinary, self.once), society.platform(bits))
        } else {
            let rank = self.popular.draw(draw) as u64;
            let at_home = (bits >> 10 & 1_023) >= AWAY_OF_1024;
            // The home of a content: any mixing of its rank will do.
            let home = (rank ^ self.home).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
            let platform = society.platform(if at_home { home } else { bits });
            (Family::of(FamilyKind::Ordinary, POPULAR | rank), platform)
        };
        let deed = deed(family, platform, once, self.plan.labelled_share, bits, society, draw);
        self.next_at_ms = self.arrivals.next(draw);
        let echo = if once {
            None
        } else {
            self.echo_of(at_ms, Echo { family, platform })
        };
        Some((at_ms, deed, echo))
    }

    /// What an echo is, and the echo it has in turn.
    pub(crate) fn echo(&mut self, at_ms: i64, echo: Echo, society: &Society) -> (Deed, ComingEcho) {
        let draw = &mut self.echoes;
        let bits = draw.next();
        let deed = deed(
            echo.family,
            echo.platform,
            false,
            self.plan.labelled_share,
            bits,
            society,
            draw,
        );
        (deed, self.echo_of(at_ms, echo))
    }

    fn echo_of(&mut self, at_ms: i64, echo: Echo) -> ComingEcho {
        self.echoes.happens(self.plan.echo_share).then(|| {
            let delay = self.echoes.exponential() * self.plan.echo_after.0 as f64;
            (at_ms + delay as i64, echo)
        })
    }
}

/// An ordinary event. Of what is popular, most is passed on; what is seen once is new.
fn deed(
    family: Family,
    platform: u8,
    once: bool,
    labelled_share: f64,
    bits: u64,
    society: &Society,
    draw: &mut Draw,
) -> Deed {
    let kind = match bits >> 20 & 1_023 {
        0..5 => Kind::Report,
        5..10 => Kind::BlockedUpload,
        10..30 => Kind::ViewSample,
        _ if once => Kind::Upload,
        30..200 => Kind::Upload,
        _ => Kind::Share,
    };
    let account = society.account(platform, draw);
    let audience = if kind == Kind::BlockedUpload {
        0
    } else {
        society::audience(AUDIENCE_MIN, draw)
    };
    Deed {
        family,
        variant: 0,
        platform,
        kind,
        surface: society::surface(bits >> 30),
        account,
        audience,
        tvec_confidence: society::label(labelled_share, draw),
        way: draw.next(),
    }
}
