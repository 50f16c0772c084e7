use super::moderator::Moderator;
use super::scene::Scene;

/// Whether the right alarm rang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The labelled crisis rang and stood at the head of the queue, where it was decided.
    TheCrisisRang {
        /// How many other contents rang too, and stood below it.
        others: usize,
    },
    /// It did not ring.
    Silence,
    /// It rang, and something else stood above it, or nobody could decide it.
    NotFirst,
}

impl Verdict {
    pub(super) fn of(scene: &Scene, moderator: &Moderator) -> Verdict {
        if scene.alarm.is_none() {
            return Verdict::Silence;
        }
        let is_crisis = |case: &super::answers::Case| scene.player.is_crisis(&case.hash);
        let first = scene.cases.first().is_some_and(is_crisis);
        match first && moderator.decided_the_crisis() {
            true => Verdict::TheCrisisRang {
                others: scene.cases.iter().filter(|case| !is_crisis(case)).count(),
            },
            false => Verdict::NotFirst,
        }
    }

    /// Whether the demo showed what it is to show.
    pub fn is_right(self) -> bool {
        matches!(self, Verdict::TheCrisisRang { .. })
    }
}
