//! How often copies were seen, for the model: what samples told, and which of it was before the removal.

use tocsin_casework::{Span, Viewed};
use tocsin_model::{Milliseconds, Timestamp};

use crate::model::{Truth, Truths};

#[derive(Clone, Default)]
pub struct Views {
    told: u64,
    /// Of these, those of before a removal of now.
    before: u64,
    /// Those that the store heard of while the removal was not confirmed.
    heard: u64,
    last: Option<Timestamp>,
    /// Those of before the removal that was confirmed last, and how many more or fewer the store may take for it. `None`: no sample told of any.
    removed: Option<(u64, u64)>,
}

impl Views {
    /// Samples tell of so many views, half a minute before now and two seconds after it.
    pub fn sample(&mut self, (before, after): (u64, u64), now: Timestamp) {
        self.before = self.told + before;
        self.told = self.before + after;
        if before > 0 {
            self.last = Some(now - Milliseconds::from_seconds(30));
        }
        if after > 0 {
            self.last = Some(now + Milliseconds::from_seconds(2));
        }
    }

    pub fn viewed(&self) -> Option<Viewed> {
        let latest = self.last.map(|at| Span {
            from: at,
            to: at + Milliseconds::from_seconds(5),
        });
        (self.told > 0).then_some(Viewed {
            views: self.told,
            latest,
        })
    }

    /// The store heard of all of it, and the removal is not confirmed.
    pub fn hear(&mut self) {
        self.heard = self.told;
    }

    /// The removal of now is confirmed.
    pub fn confirm(&mut self) {
        let is_certain = self.told == self.before;
        let doubt = if is_certain { 0 } else { self.told - self.heard };
        self.removed = (self.told > 0).then_some((self.before, doubt));
        // While it is confirmed nothing is heard.
        self.heard = 0;
    }

    /// As a later decision begins to hear of it.
    pub fn heard_again(&self) -> Views {
        Views {
            heard: 0,
            removed: None,
            ..self.clone()
        }
    }

    /// Of a content that was removed.
    pub fn count(&self, truths: &mut Truths, on: &str) {
        let unknown = format!("views_before_removal[{on}]");
        let in_all = format!("views_before_removal_in_all[{on}]");
        let Some((views, doubt)) = self.removed else {
            truths.count(format!("views_not_told[{on}]"));
            if !truths.0.contains_key(&in_all) {
                truths.0.insert(unknown, Truth::Unknown);
            }
            return;
        };
        truths.0.remove(&unknown);
        let sizes: [(u64, &str); 7] = [
            (1_000_000, "1000000 and more"),
            (100_000, "100000 to 999999"),
            (10_000, "10000 to 99999"),
            (1_000, "1000 to 9999"),
            (100, "100 to 999"),
            (10, "10 to 99"),
            (0, "0 to 9"),
        ];
        let place = |views: u64| sizes.iter().position(|(from, _)| views >= *from).unwrap_or(0);
        // The greatest come first. Where all that the store may take for it is of one class, there is no doubt of the class.
        let (most, least) = (place(views.saturating_add(doubt)), place(views.saturating_sub(doubt)));
        for (at, (_, size)) in sizes.iter().enumerate() {
            let name = format!("views_before_removal[{on},views={size}]");
            truths.within(name.clone(), u64::from(at == place(views)));
            if most < least && (most..=least).contains(&at) {
                truths.widen(&name, 1);
            }
        }
        truths.within(in_all.clone(), views);
        truths.widen(&in_all, doubt);
    }
}
