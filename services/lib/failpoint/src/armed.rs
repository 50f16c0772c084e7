use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use crate::FailPoint;

/// Names the point at which the process ends, as by `kill -9`: `unit_committed`, or `unit_committed:3` for the third time it is reached.
/// What names no point ends the process at the first point it reaches, so that a misspelled test does not pass.
pub const VARIABLE: &str = "TOCSIN_FAIL_POINT";

/// What a thread asks at each point. It may unwind.
pub type Hook = Option<Arc<dyn Fn(FailPoint) + Send + Sync>>;

thread_local! {
    static HOOK: RefCell<Hook> = const { RefCell::new(None) };
}

/// The hook of this thread, for a thread that it starts.
pub fn inherited() -> Hook {
    HOOK.with(|hook| hook.borrow().clone())
}

/// Gives this thread a hook until the result is dropped.
pub fn adopt(hook: Hook) -> Adopted {
    Adopted(HOOK.with(|held| held.replace(hook)))
}

/// A thread's hook stands while this lives; the one before comes back after it.
#[must_use = "the hook goes when this is dropped"]
pub struct Adopted(Hook);

impl Drop for Adopted {
    fn drop(&mut self) {
        let before = self.0.take();
        HOOK.with(|held| held.replace(before));
    }
}

pub(crate) fn reach(point: FailPoint) {
    if let Some(end) = End::of_process() {
        end.reach(point);
    }
    // Outside the borrow: the hook may unwind.
    if let Some(hook) = inherited() {
        hook(point);
    }
}

/// Where the environment says that the process ends.
struct End {
    /// `None`: anywhere, for the variable names no point.
    at: Option<FailPoint>,
    times_left: AtomicU32,
}

impl End {
    fn of_process() -> Option<&'static End> {
        static END: OnceLock<Option<End>> = OnceLock::new();
        let parse = || std::env::var(VARIABLE).ok().map(|text| End::parse(&text));
        END.get_or_init(parse).as_ref()
    }

    fn parse(text: &str) -> End {
        let (name, times) = text.split_once(':').unwrap_or((text, "1"));
        let times: Option<u32> = times.parse().ok().filter(|times| *times > 0);
        End {
            at: FailPoint::from_name(name).filter(|_| times.is_some()),
            times_left: AtomicU32::new(times.unwrap_or(1)),
        }
    }

    /// Whether the process ends here.
    fn is_at(&self, point: FailPoint) -> bool {
        self.at.is_none_or(|at| at == point) && self.times_left.fetch_sub(1, Ordering::Relaxed) == 1
    }

    fn reach(&self, point: FailPoint) {
        if self.is_at(point) {
            eprintln!("{VARIABLE}: the process ends at {}", point.name());
            // No destructor runs and nothing is flushed.
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the environment names one point and one time, and a hook is its thread's alone.

    use super::*;

    #[test]
    fn a_process_ends_at_the_time_named() {
        let end = End::parse("unit_committed:2");
        let reached = [
            FailPoint::UnitComposed,
            FailPoint::UnitCommitted,
            FailPoint::UnitCommitted,
        ];
        assert_eq!(reached.map(|point| end.is_at(point)), [false, false, true]);
        assert!(End::parse("batch_shown").is_at(FailPoint::BatchShown));
        for misspelled in ["unit_gone", "unit_committed:0", "unit_committed:x", ""] {
            assert!(End::parse(misspelled).is_at(FailPoint::GroupCut), "{misspelled}");
        }
    }

    #[test]
    fn every_name_leads_to_its_point() {
        for point in FailPoint::ALL {
            assert_eq!(FailPoint::from_name(point.name()), Some(point));
        }
    }

    #[test]
    fn a_hook_is_inherited_where_it_is_handed_over() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        let adopted = adopt(Some(Arc::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        })));
        reach(FailPoint::UnitComposed);
        let hook = inherited();
        let other = std::thread::spawn(move || {
            reach(FailPoint::UnitComposed);
            let _adopted = adopt(hook);
            reach(FailPoint::UnitComposed);
        });
        other.join().expect("the thread ends");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        drop(adopted);
        reach(FailPoint::UnitComposed);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
