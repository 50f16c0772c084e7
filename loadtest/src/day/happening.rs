use tocsin_model::{Kind, Milliseconds, Timestamp};

use super::course::{Arriving, Course};
use super::crisis::Crisis;
use super::occurrence::{Account, Family, FamilyKind, Occurrence};
use super::ordinary::{ComingEcho, Echo, Ordinary};
use super::plan::{Attacked, DayPlan, NewsPlan, SpreadPlan};
use super::queue::Queue;
use super::rhythm::Arrivals;
use super::society::{self, Deed, Society};
use super::spread::{Brood, Copied, Spreads};
use crate::scenario::draw::Draw;

/// Everything that happens on a day, in order: ordinary events beside a queue of all else.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    seed: u64,
    stream_begins_at: Timestamp,
    ends_ms: i64,
    society: Society,
    ordinary: Ordinary,
    coming: Queue<Coming>,
    spreads: Spreads,
    burst_arrivals: Arrivals,
    burst_draw: Draw,
    laws: Laws,
    /// Families begun so far, of each law.
    begun: [u64; 3],
    crises: Vec<Crisis>,
    processes: Vec<Process>,
    happened: u64,
}

/// The laws by which families spread.
#[derive(Clone, Debug)]
struct Laws {
    bursts: SpreadPlan,
    cascades: SpreadPlan,
    news: Vec<NewsPlan>,
}

/// What comes next of something.
#[derive(Clone, Copy, Debug)]
enum Coming {
    Echo(Echo),
    Burst,
    Cascade,
    News(u16),
    Brood(Brood),
    Reupload(u16),
    Process(u16),
    Later(Deed),
}

/// One family, or one attack, at a stated rate.
#[derive(Clone, Debug)]
struct Process {
    draw: Draw,
    arriving: Arriving,
    begins_ms: i64,
    ends_ms: i64,
    family: Family,
    of: Of,
    copies: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Launch,
    Petition,
    Attack { platform: u8, attacked: Attacked },
}

/// A record that is not yet on its way: its times but the first are not known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happened {
    pub(crate) occurrence: Occurrence,
    pub(crate) at_ms: i64,
    pub(crate) way: u64,
}

impl Happening {
    pub(crate) fn new(plan: &DayPlan) -> Self {
        let seed = Draw::of(plan.seed, "day", u64::from(plan.number)).next();
        let mut happening = Happening {
            seed,
            stream_begins_at: plan.stream_begins_at(),
            ends_ms: (plan.warm_up + plan.lasts).0,
            society: Society::new(plan),
            ordinary: Ordinary::new(plan, seed),
            coming: Queue::new(),
            spreads: Spreads::default(),
            burst_arrivals: Arrivals::new(plan, plan.bursts.per_day),
            burst_draw: Draw::of(seed, "bursts", 0),
            laws: Laws {
                bursts: plan.bursts,
                cascades: plan.cascades,
                news: plan.news.clone(),
            },
            begun: [0; 3],
            crises: Vec::new(),
            processes: Vec::new(),
            happened: 0,
        };
        happening.plan_bursts();
        happening.plan_families(plan);
        happening.plan_processes(plan);
        happening.plan_crises(plan);
        happening
    }

    /// The next burst, where there is one.
    fn plan_bursts(&mut self) {
        if let Some(at_ms) = self.burst_arrivals.next(&mut self.burst_draw) {
            self.push(at_ms, Coming::Burst);
        }
    }

    /// Cascades by the clock, exactly as many as planned, and excerpts in the news.
    fn plan_families(&mut self, plan: &DayPlan) {
        let days = plan.lasts.0 as f64 / 86_400_000.0;
        let cascades = plan.cascades.per_day * days;
        let mut draw = Draw::of(self.seed, "cascades", 0);
        // One more, as often as the remainder says.
        let count = cascades as u64 + u64::from(draw.happens(cascades - libm::floor(cascades)));
        for _ in 0..count {
            let after_ms = plan.rhythm.draw(plan.begins_at, plan.lasts, &mut draw);
            self.push(plan.warm_up.0 + after_ms.0, Coming::Cascade);
        }
        for (place, news) in (0_u16..).zip(&plan.news) {
            let mut draw = Draw::of(self.seed, "news", u64::from(place));
            for _ in 0..news.families {
                let after_ms = draw.below(news.within.0.max(1) as u64) as i64;
                self.push(plan.warm_up.0 + news.from.0 + after_ms, Coming::News(place));
            }
        }
    }

    fn plan_processes(&mut self, plan: &DayPlan) {
        let seconds = |length: Milliseconds| length.0 as f64 / 1_000.0;
        let mut processes = Vec::new();
        for launch in &plan.launches {
            let course = Course::Decaying {
                total: launch.copies,
                mean_age_s: seconds(launch.mean_age),
            };
            processes.push((launch.at, plan.lasts, course, FamilyKind::Launch, Of::Launch));
        }
        for petition in &plan.petitions {
            let course = Course::Rising {
                per_s: petition.per_hour / 3_600.0,
                known_after_s: seconds(petition.known_after),
            };
            processes.push((petition.at, plan.lasts, course, FamilyKind::Petition, Of::Petition));
        }
        for attack in &plan.attacks {
            let of = Of::Attack {
                platform: attack.platform,
                attacked: attack.attacked,
            };
            let course = Course::Constant(attack.per_second);
            processes.push((attack.at, attack.at + attack.lasts, course, FamilyKind::Attack, of));
        }
        for (place, (at, ends, course, kind, of)) in (0_u16..).zip(processes) {
            let begins_ms = plan.warm_up.0 + at.0;
            // Hashes of a flood count on from the family's number.
            let family = Family::of(kind, u64::from(place) << 40);
            self.processes.push(Process {
                draw: Draw::of(self.seed, "process", u64::from(place)),
                arriving: Arriving::new(course),
                begins_ms,
                ends_ms: plan.warm_up.0 + ends.0,
                family,
                of,
                copies: 0,
            });
            self.push(begins_ms, Coming::Process(place));
        }
    }

    fn plan_crises(&mut self, plan: &DayPlan) {
        for (place, crisis) in (0_u16..).zip(&plan.crises) {
            let mut crisis = Crisis::new(crisis, self.seed, u64::from(place), plan.warm_up.0);
            for (at_ms, deed) in crisis.source(&self.society) {
                self.push(at_ms, Coming::Later(deed));
            }
            self.push(crisis.first_copy_ms(), Coming::Reupload(place));
            self.crises.push(crisis);
        }
    }

    /// When the next thing happens, in milliseconds from the beginning of the stream.
    pub(crate) fn next_at_ms(&self) -> Option<i64> {
        match (self.ordinary.next_at_ms(), self.coming.first_at_ms()) {
            (Some(ordinary), Some(coming)) => Some(ordinary.min(coming)),
            (ordinary, coming) => ordinary.or(coming),
        }
    }

    /// The next thing that happens; `None` where it was the end of something.
    pub(crate) fn next(&mut self) -> Option<Happened> {
        let ordinary_ms = self.ordinary.next_at_ms();
        let coming_ms = self.coming.first_at_ms();
        if ordinary_ms.is_some_and(|ordinary| coming_ms.is_none_or(|coming| ordinary < coming)) {
            let (at_ms, deed, echo) = self.ordinary.next(&self.society)?;
            self.push_echo(echo);
            return Some(self.happen(at_ms, deed));
        }
        let (at_ms, coming) = self.coming.pop()?;
        let deed = self.come(at_ms, coming)?;
        Some(self.happen(at_ms, deed))
    }

    fn come(&mut self, at_ms: i64, coming: Coming) -> Option<Deed> {
        match coming {
            Coming::Echo(echo) => {
                let (deed, echo) = self.ordinary.echo(at_ms, echo, &self.society);
                self.push_echo(echo);
                Some(deed)
            }
            Coming::Burst => {
                self.plan_bursts();
                Some(self.begin(at_ms, self.laws.bursts, FamilyKind::Burst, 0))
            }
            Coming::Cascade => Some(self.begin(at_ms, self.laws.cascades, FamilyKind::Cascade, 1)),
            Coming::News(place) => {
                let spread = self.laws.news[usize::from(place)].spread;
                Some(self.begin(at_ms, spread, FamilyKind::News, 2))
            }
            Coming::Brood(brood) => {
                let copied = self.spreads.copy(at_ms, brood, &self.society);
                Some(self.copied(copied))
            }
            Coming::Reupload(place) => {
                let reuploaded = self.crises[usize::from(place)].reupload(at_ms, &self.society)?;
                for (later_ms, deed) in reuploaded.later.into_iter().flatten() {
                    self.push(later_ms, Coming::Later(deed));
                }
                if let Some(next_ms) = reuploaded.next_ms {
                    self.push(next_ms, Coming::Reupload(place));
                }
                Some(reuploaded.deed)
            }
            Coming::Process(place) => {
                let process = &mut self.processes[usize::from(place)];
                let (deed, next_ms) = process.next(&self.society);
                if let Some(next_ms) = next_ms {
                    self.push(next_ms, Coming::Process(place));
                }
                Some(deed)
            }
            Coming::Later(deed) => Some(deed),
        }
    }

    /// A family of a law begins.
    fn begin(&mut self, at_ms: i64, plan: SpreadPlan, kind: FamilyKind, law: usize) -> Deed {
        let number = self.begun[law];
        self.begun[law] += 1;
        let draw = Draw::of(self.seed, kind.name(), number);
        let family = Family::of(kind, number);
        let copied = self.spreads.begin(&plan, family, draw, at_ms, &self.society);
        self.copied(copied)
    }

    fn copied(&mut self, copied: Copied) -> Deed {
        if let Some((at_ms, report)) = copied.report {
            self.push(at_ms, Coming::Later(report));
        }
        for (at_ms, brood) in copied.broods.into_iter().flatten() {
            self.push(at_ms, Coming::Brood(brood));
        }
        copied.deed
    }

    fn push_echo(&mut self, echo: ComingEcho) {
        if let Some((at_ms, echo)) = echo {
            self.push(at_ms, Coming::Echo(echo));
        }
    }

    /// What would come after the end of the day does not come.
    fn push(&mut self, at_ms: i64, coming: Coming) {
        if at_ms < self.ends_ms {
            self.coming.push(at_ms, coming);
        }
    }

    fn happen(&mut self, at_ms: i64, deed: Deed) -> Happened {
        self.happened += 1;
        let happened_at = self.stream_begins_at + Milliseconds(at_ms);
        Happened {
            occurrence: Occurrence {
                number: self.happened,
                happened_at,
                occurred_at: happened_at,
                received_at: happened_at,
                family: deed.family,
                account: deed.account,
                audience: deed.audience,
                variant: deed.variant,
                platform: deed.platform,
                party: self.society.party(deed.platform),
                kind: deed.kind,
                surface: deed.surface,
                tvec_confidence: deed.tvec_confidence,
            },
            at_ms,
            way: deed.way,
        }
    }
}

impl Process {
    /// The copy that is due, and when the next one is.
    fn next(&mut self, society: &Society) -> (Deed, Option<i64>) {
        let draw = &mut self.draw;
        let bits = draw.next();
        let platform = match self.of {
            Of::Launch | Of::Petition => society.platform(bits),
            Of::Attack { platform, .. } => platform,
        };
        let attacked = match self.of {
            Of::Attack { attacked, .. } => Some(attacked),
            Of::Launch | Of::Petition => None,
        };
        let (family, account) = match attacked {
            Some(Attacked::Sketches) => (Family(self.family.0 + self.copies), society.account(platform, draw)),
            Some(Attacked::Reach) => (self.family, Account::crafted(platform, self.copies)),
            Some(Attacked::Priority) => (self.family, Account::of(platform, 1 << 54 | self.copies)),
            None => (self.family, society.account(platform, draw)),
        };
        let original = self.copies == 0 || attacked == Some(Attacked::Sketches);
        let deed = Deed {
            family,
            variant: 0,
            platform,
            kind: if original || bits >> 63 == 1 {
                Kind::Upload
            } else {
                Kind::Share
            },
            surface: society::surface(bits >> 30),
            account,
            audience: society::audience(5, draw),
            tvec_confidence: (attacked == Some(Attacked::Priority)).then_some(99),
            way: draw.next(),
        };
        self.copies += 1;
        let next_s = self.arriving.next(draw);
        let next_ms = next_s.map(|next_s| self.begins_ms + (next_s * 1_000.0) as i64);
        (deed, next_ms.filter(|next_ms| *next_ms < self.ends_ms))
    }
}
