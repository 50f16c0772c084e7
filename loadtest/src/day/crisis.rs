use tocsin_model::{Kind, Surface};

use super::alias::Alias;
use super::course::{Arriving, Course};
use super::occurrence::{Account, Family, FamilyKind};
use super::plan::{CrisisPlan, SourcePlan};
use super::society::{self, Deed, REPORTED_AFTER_MS, Society};
use crate::scenario::draw::Draw;

/// `copies` of a plan are what is expected in this time after T.
const COPIES_WITHIN_S: f64 = 86_400.0;
/// What makes an onset: re-uploads by so many accounts.
const ONSET_ACCOUNTS: usize = 10;
/// Accounts from which one that posts again is taken: those of the last so many re-uploads.
const RECENT_ACCOUNTS: usize = 64;
/// Samples of the views of a source while it is up.
const VIEW_SAMPLES: i64 = 10;
/// The re-upload that is seen most.
const MOST_SEEN: u64 = 50;
/// The mean delay from a visible copy to its removal.
const REMOVED_AFTER_MS: f64 = 45.0 * 60_000.0;

/// One crisis. Times are in milliseconds from the beginning of the stream.
#[derive(Clone, Debug)]
pub(crate) struct Crisis {
    draw: Draw,
    plan: CrisisPlan,
    family: Family,
    source_ms: i64,
    first_copy_ms: i64,
    ends_ms: i64,
    arriving: Arriving,
    variants: Alias,
    platforms: Alias,
    platform_shares: Vec<f64>,
    copies: u64,
    recent: [Account; RECENT_ACCOUNTS],
    /// The first accounts, until there are enough for an onset.
    first_accounts: Vec<Account>,
}

/// A re-upload, and what follows from it in its time.
pub(crate) struct Reuploaded {
    pub(crate) deed: Deed,
    pub(crate) later: [Option<(i64, Deed)>; 2],
    /// When the next re-upload comes.
    pub(crate) next_ms: Option<i64>,
}

impl Crisis {
    /// The number of the crisis is its place in the plan; `begins_ms` is where times of the plan begin.
    pub(crate) fn new(plan: &CrisisPlan, seed: u64, number: u64, begins_ms: i64) -> Self {
        let total: f64 = plan.platforms.iter().sum();
        let source_ms = begins_ms + plan.at.0;
        let first_s = plan.first_copy_after.0 as f64 / 1_000.0;
        let course = Course::crisis(
            plan.first_per_minute / 60.0,
            plan.doubling.0 as f64 / 1_000.0,
            plan.peak_per_second,
            plan.copies,
            COPIES_WITHIN_S - first_s,
        );
        Crisis {
            draw: Draw::of(seed, "crisis", number),
            family: Family::of(FamilyKind::Crisis, number),
            source_ms,
            first_copy_ms: source_ms + plan.first_copy_after.0,
            ends_ms: source_ms + plan.ends_after.0,
            arriving: Arriving::new(course),
            variants: Alias::zipf(u32::from(plan.variants), plan.variant_exponent),
            platforms: Alias::new(&plan.platforms),
            platform_shares: plan.platforms.iter().map(|share| share / total).collect(),
            plan: plan.clone(),
            copies: 0,
            recent: [Account(0); RECENT_ACCOUNTS],
            first_accounts: Vec::with_capacity(ONSET_ACCOUNTS),
        }
    }

    /// When the first re-upload comes.
    pub(crate) fn first_copy_ms(&self) -> i64 {
        self.first_copy_ms
    }

    /// Everything about the source, and the first report.
    pub(crate) fn source(&mut self, society: &Society) -> Vec<(i64, Deed)> {
        let SourcePlan {
            platform,
            live,
            viewers,
            views,
            removed_after,
        } = self.plan.source;
        let uploader = society.account(platform, &mut self.draw);
        let surface = if live.is_some() { Surface::Live } else { Surface::Feed };
        let mut deeds = Vec::new();
        let mut push = |crisis: &mut Self, after_ms: i64, kind, audience| {
            let deed = crisis.about_source(kind, surface, uploader, audience);
            deeds.push((crisis.source_ms + after_ms, deed));
        };
        match live {
            None => push(self, 0, Kind::Upload, viewers),
            Some(live) => {
                push(self, 0, Kind::LiveStart, 0);
                for minute in 1..live.0 / 60_000 {
                    // Viewers come in the first third.
                    let present = f64::from(viewers) * (minute as f64 * 180_000.0 / live.0 as f64).min(1.0);
                    push(self, minute * 60_000, Kind::LiveHeartbeat, present as u32);
                }
                push(self, live.0, Kind::LiveEnd, viewers);
            }
        }
        for sample in 1..=VIEW_SAMPLES {
            let after_ms = removed_after.0 * sample / (VIEW_SAMPLES + 1);
            push(self, after_ms, Kind::ViewSample, views / VIEW_SAMPLES as u32);
        }
        push(self, removed_after.0, Kind::Removal, 0);
        let reporter = society.account(platform, &mut self.draw);
        let report = self.about_source(Kind::Report, surface, reporter, 0);
        deeds.push((self.source_ms + self.plan.first_report_after.0, report));
        deeds
    }

    fn about_source(&mut self, kind: Kind, surface: Surface, account: Account, audience: u32) -> Deed {
        Deed {
            family: self.family,
            variant: 0,
            platform: self.plan.source.platform,
            kind,
            surface,
            account,
            audience,
            tvec_confidence: None,
            way: self.draw.next(),
        }
    }

    /// The re-upload at this time. `None` when there is none any more.
    pub(crate) fn reupload(&mut self, at_ms: i64, society: &Society) -> Option<Reuploaded> {
        if at_ms >= self.ends_ms {
            return None;
        }
        self.copies += 1;
        let most_seen = self.copies == MOST_SEEN;
        let account = self.account(at_ms, society);
        let draw = &mut self.draw;
        let kind = if most_seen {
            Kind::Upload
        } else if at_ms - self.source_ms >= self.plan.hash_shared_after.0 && draw.happens(self.plan.blocked_share) {
            Kind::BlockedUpload
        } else if draw.happens(self.plan.link_share) {
            Kind::Share
        } else {
            Kind::Upload
        };
        let visible = kind != Kind::BlockedUpload;
        let drawn = society::audience(self.plan.audience_min, draw).min(self.plan.audience_max);
        let deed = Deed {
            family: self.family,
            variant: self.variants.draw(draw) as u16,
            platform: platform_of(account),
            kind,
            surface: society::surface(draw.next()),
            account,
            audience: match (visible, most_seen) {
                (false, _) => 0,
                (true, true) => self.plan.audience_max,
                (true, false) => drawn,
            },
            tvec_confidence: society::label(self.plan.labelled_share, draw),
            way: draw.next(),
        };
        let later = if visible {
            self.later(at_ms, deed, society)
        } else {
            [None; 2]
        };
        self.notice_onset(at_ms, account);
        let next_s = self.arriving.next(&mut self.draw);
        let next_ms = next_s.map(|next_s| self.first_copy_ms + (next_s * 1_000.0) as i64);
        Some(Reuploaded {
            deed,
            later,
            next_ms: next_ms.filter(|next_ms| *next_ms < self.ends_ms),
        })
    }

    fn account(&mut self, at_ms: i64, society: &Society) -> Account {
        let before = self.copies - 1;
        let again = before > 0 && self.draw.happens(self.plan.repeated_account_share);
        let account = if again {
            self.recent[self.draw.below(before.min(RECENT_ACCOUNTS as u64)) as usize]
        } else {
            let platform = self.platform(at_ms);
            society.account(platform, &mut self.draw)
        };
        self.recent[(before % RECENT_ACCOUNTS as u64) as usize] = account;
        account
    }

    /// A platform by its share; what a capped one does not take goes to the others.
    fn platform(&mut self, at_ms: i64) -> u8 {
        let platform = self.platforms.draw(&mut self.draw) as u8;
        let Some(capped) = self.plan.capped.filter(|capped| capped.platform == platform) else {
            return platform;
        };
        let rate = self.arriving.rate((at_ms - self.first_copy_ms) as f64 / 1_000.0);
        let wanted = rate * self.platform_shares[usize::from(platform)];
        if wanted <= capped.per_second || self.draw.happens(capped.per_second / wanted) {
            return platform;
        }
        loop {
            let other = self.platforms.draw(&mut self.draw) as u8;
            if other != platform {
                return other;
            }
        }
    }

    /// The report and the removal of a visible copy.
    fn later(&mut self, at_ms: i64, deed: Deed, society: &Society) -> [Option<(i64, Deed)>; 2] {
        let earliest_ms = self.source_ms + self.plan.first_report_after.0;
        let mut after = |kind, share: f64, mean_ms: f64| {
            if !self.draw.happens(share) {
                return None;
            }
            let later_ms = at_ms.max(earliest_ms) + 1 + (self.draw.exponential() * mean_ms) as i64;
            let account = if kind == Kind::Report {
                society.account(deed.platform, &mut self.draw)
            } else {
                deed.account
            };
            let deed = Deed {
                kind,
                account,
                audience: 0,
                tvec_confidence: None,
                way: self.draw.next(),
                ..deed
            };
            Some((later_ms, deed))
        };
        [
            after(Kind::Report, self.plan.reported_share, REPORTED_AFTER_MS),
            after(Kind::Removal, self.plan.removed_share, REMOVED_AFTER_MS),
        ]
    }

    /// Ends the crisis some time after its onset, if it is to be cut.
    fn notice_onset(&mut self, at_ms: i64, account: Account) {
        if self.first_accounts.len() < ONSET_ACCOUNTS && !self.first_accounts.contains(&account) {
            self.first_accounts.push(account);
            if let (ONSET_ACCOUNTS, Some(cut)) = (self.first_accounts.len(), self.plan.cut_after_onset) {
                self.ends_ms = self.ends_ms.min(at_ms + cut.0);
            }
        }
    }
}

fn platform_of(account: Account) -> u8 {
    (account.0 >> 56) as u8
}
