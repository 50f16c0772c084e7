//! One frame a second for each scope in which somebody follows what moves: made once, and sent to all its readers.
//!
//! Frames are kept for a minute. A reader who is not ready for each gets those that it missed as one, with the newest figures of each family; one
//! who is further behind than that is sent away. Readers take turns within the second: ten thousand that all wrote at once would keep everybody else waiting.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tocsin_model::{FamilyId, Scope, Timestamp};
use tocsin_wire::document::instant;
use tokio::sync::watch;

use crate::answer::{FrameAnswer, GoneFamily, Moved, MovedFamily, Told, moved};
use crate::replica::ReplicaState;

/// So many frames are kept for readers who are not ready for each.
pub(crate) const FRAMES_KEPT: usize = 64;
/// Of so many families in each scope it is remembered what was told last; beyond it the memory begins anew.
const TOLD_MAX: usize = 16_384;
/// So many families in each scope wait for a frame that has room for them; of those beyond it is told when they move again.
const WAITING_MAX: usize = 16_384;

/// What a stream begins with serves all that are opened for so long ...
const FIRST_AGE_MAX: Duration = Duration::from_secs(1);
/// ... unless more frames than this were made since it was begun: half of those that are kept, so that its readers have the other half of their time.
const FIRST_BEHIND_MAX: u64 = FRAMES_KEPT as u64 / 2;

/// Readers are divided into so many turns of a second ...
const TURNS: usize = 32;
/// ... which follow each other at this distance.
const TURN: Duration = Duration::from_millis(25);

/// The frames of every scope that has readers.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    boards: Mutex<HashMap<Scope, Board>>,
    /// How many readers there ever were.
    readers: AtomicUsize,
}

/// The frames of one scope.
#[derive(Debug)]
struct Board {
    readers: usize,
    kept: VecDeque<Arc<Frame>>,
    newest: watch::Sender<u64>,
    /// What was told last: what is still so is not told again.
    told: Told,
    first: Option<First>,
}

/// What streams begin with.
#[derive(Debug)]
struct First {
    /// The frame after which it was begun: what moved since is in those behind it.
    passed: u64,
    made_at: Instant,
    text: Arc<str>,
}

/// What moved in one second.
#[derive(Debug)]
struct Frame {
    number: u64,
    as_of: Option<Timestamp>,
    families: Vec<(FamilyId, MovedFamily)>,
    gone: Vec<(FamilyId, GoneFamily)>,
    left_out: u64,
    /// As it is sent to a reader who is ready for it.
    text: Arc<str>,
}

/// A reader of the frames of a scope. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct FrameReader {
    frames: Arc<Frames>,
    scope: Scope,
    newest: watch::Receiver<u64>,
    passed: u64,
    /// How long after a frame was made it is this reader's turn.
    turn: Duration,
}

/// What waits for a reader.
#[derive(Debug, PartialEq)]
pub(crate) enum Waiting {
    Nothing,
    /// The frames since the last time, as one.
    Frame(Arc<str>),
    /// Frames that waited are no longer kept.
    TooLate,
}

impl Frames {
    /// Makes the frames of what moved since the last call.
    pub(crate) fn make(&self, replica: &ReplicaState, now_ms: i64) {
        let marked = replica.hot.moves().take();
        let scopes: Vec<Scope> = self.lock().keys().copied().collect();
        for scope in scopes {
            // The figures are made without the lock, so that readers go on: nobody else changes what was told.
            let taken = self
                .lock()
                .get_mut(&scope)
                .and_then(|board| board.told_before(marked.is_empty()));
            let Some(mut told) = taken else {
                continue;
            };
            let mut moved = moved(replica, scope, &marked, &told, now_ms);
            if told.figures.len() > TOLD_MAX {
                told.figures.clear();
            }
            for (family, figures) in &moved.families {
                told.figures.insert(*family, figures.clone());
            }
            for (family, _) in &moved.gone {
                told.figures.remove(family);
            }
            told.looked_at = moved.looked_at;
            told.waiting = std::mem::take(&mut moved.waiting);
            while told.waiting.len() > WAITING_MAX {
                told.waiting.pop_last();
            }
            if let Some(board) = self.lock().get_mut(&scope) {
                board.told = told;
                board.keep(moved);
            }
        }
    }

    /// A reader of what moves in a scope from now on.
    pub(crate) fn follow(self: &Arc<Self>, replica: &ReplicaState, scope: Scope) -> FrameReader {
        let mut boards = self.lock();
        replica.hot.moves().set_followed(true);
        let board = boards.entry(scope).or_insert_with(Board::new);
        board.readers += 1;
        let newest = board.newest.subscribe();
        let passed = *newest.borrow();
        let turn = self.readers.fetch_add(1, Ordering::Relaxed) % TURNS;
        FrameReader {
            turn: TURN * turn as u32,
            frames: Arc::clone(self),
            scope,
            newest,
            passed,
        }
    }

    /// The number of the newest frame of a scope; `None` where nobody follows it.
    pub(crate) fn newest(&self, scope: Scope) -> Option<u64> {
        self.lock().get(&scope).map(|board| *board.newest.borrow())
    }

    /// Keeps no more frames of scopes that nobody follows, and no more marks where nobody follows at all.
    pub(crate) fn rest(&self, replica: &ReplicaState) {
        let mut boards = self.lock();
        boards.retain(|_, board| board.readers > 0);
        if boards.is_empty() {
            replica.hot.moves().set_followed(false);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Board>> {
        self.boards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn new() -> Board {
        Board {
            readers: 0,
            kept: VecDeque::new(),
            newest: watch::Sender::new(0),
            told: Told::default(),
            first: None,
        }
    }

    /// Takes out what was told, unless there is nothing to tell.
    fn told_before(&mut self, is_quiet: bool) -> Option<Told> {
        if is_quiet && self.told.waiting.is_empty() {
            return None;
        }
        Some(std::mem::take(&mut self.told))
    }

    fn keep(&mut self, moved: Moved) {
        if moved.families.is_empty() && moved.gone.is_empty() {
            return;
        }
        let number = *self.newest.borrow() + 1;
        let families = moved.families.iter().map(|(_, figures)| figures.clone()).collect();
        let text = written(&FrameAnswer {
            frame: number,
            frames: 1,
            as_of: moved.as_of.and_then(instant),
            families,
            families_gone: moved.gone.iter().map(|(_, gone)| gone.clone()).collect(),
            families_left_out: moved.left_out,
        });
        if self.kept.len() >= FRAMES_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Arc::new(Frame {
            number,
            as_of: moved.as_of,
            families: moved.families,
            gone: moved.gone,
            left_out: moved.left_out,
            text,
        }));
        self.newest.send_replace(number);
    }
}

impl FrameReader {
    /// What another stream of the scope began with a moment ago. What moved since waits for this reader.
    pub(crate) fn begin_as_others(&mut self, now: Instant) -> Option<Arc<str>> {
        let boards = self.frames.lock();
        let (newest, first) = (*self.newest.borrow(), boards.get(&self.scope)?.first.as_ref()?);
        let is_young = now.saturating_duration_since(first.made_at) < FIRST_AGE_MAX;
        if !is_young || newest - first.passed > FIRST_BEHIND_MAX {
            return None;
        }
        self.passed = first.passed;
        Some(Arc::clone(&first.text))
    }

    /// Of which scope.
    pub(crate) fn scope(&self) -> Scope {
        self.scope
    }

    /// Begins anew: what moves from now on waits for this reader, what moved before is to be in the frame with the number that is returned.
    pub(crate) fn begin(&mut self) -> u64 {
        self.passed = *self.newest.borrow();
        self.passed
    }

    /// Keeps what this reader begins with for others.
    pub(crate) fn keep_first(&self, text: Arc<str>, now: Instant) {
        if let Some(board) = self.frames.lock().get_mut(&self.scope) {
            board.first = Some(First {
                passed: self.passed,
                made_at: now,
                text,
            });
        }
    }

    /// Waits until there is a frame that was not taken, and it is this reader's turn.
    pub(crate) async fn changed(&mut self) {
        let passed = self.passed;
        // The board stays as long as it has readers.
        let _ = self.newest.wait_for(|newest| *newest > passed).await;
        tokio::time::sleep(self.turn).await;
    }

    /// Whether there is a frame that was not taken.
    pub(crate) fn is_behind(&self) -> bool {
        *self.newest.borrow() > self.passed
    }

    /// What waits; it counts as taken.
    pub(crate) fn take(&mut self) -> Waiting {
        let waiting: Vec<Arc<Frame>> = match self.frames.lock().get(&self.scope) {
            Some(board) => {
                let mut newer: Vec<Arc<Frame>> = board
                    .kept
                    .iter()
                    .rev()
                    .take_while(|frame| frame.number > self.passed)
                    .cloned()
                    .collect();
                newer.reverse();
                newer
            }
            None => Vec::new(),
        };
        let (Some(first), Some(last)) = (waiting.first(), waiting.last()) else {
            return Waiting::Nothing;
        };
        if first.number > self.passed + 1 {
            return Waiting::TooLate;
        }
        self.passed = last.number;
        match waiting.as_slice() {
            [only] => Waiting::Frame(Arc::clone(&only.text)),
            several => Waiting::Frame(as_one(several)),
        }
    }
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        let mut boards = self.frames.lock();
        if let Some(board) = boards.get_mut(&self.scope) {
            // Without readers it stays until the next frames, for who connects again at once.
            board.readers -= 1;
        }
    }
}

/// Several frames as one: of each family the newest figures, in the order of the newest frame that has it.
fn as_one(frames: &[Arc<Frame>]) -> Arc<str> {
    let mut told: BTreeSet<FamilyId> = BTreeSet::new();
    let (mut families, mut families_gone) = (Vec::new(), Vec::new());
    for frame in frames.iter().rev() {
        let moved = frame.families.iter().filter(|(family, _)| told.insert(*family));
        families.extend(moved.map(|(_, figures)| figures.clone()));
        let gone = frame.gone.iter().filter(|(family, _)| told.insert(*family));
        families_gone.extend(gone.map(|(_, gone)| gone.clone()));
    }
    written(&FrameAnswer {
        frame: frames.last().map_or(0, |frame| frame.number),
        frames: frames.len() as u64,
        as_of: frames.iter().filter_map(|frame| frame.as_of).min().and_then(instant),
        families,
        families_gone,
        // Those that wait come in later frames, of which the newest knows.
        families_left_out: frames.last().map_or(0, |frame| frame.left_out),
    })
}

/// A frame as it is sent.
pub(crate) fn written(frame: &FrameAnswer) -> Arc<str> {
    serde_json::to_string(frame).expect("a frame is plain data").into()
}

#[cfg(test)]
mod tests {
    //! Goal: streams of a scope that begin together begin with the same, and with what is new enough for the frames that are kept.
    #![allow(clippy::unwrap_used)]

    use tocsin_model::{Milliseconds, PartitionCount};
    use tocsin_sketch::ColdConfig;

    use super::*;
    use crate::replica::{AlertLimits, ReplicaLimits};

    #[test]
    fn what_a_stream_begins_with_serves_others_for_a_second() {
        let cold = ColdConfig {
            width: 64,
            seed: 1,
            lateness: Milliseconds::from_hours(2),
        };
        let limits = ReplicaLimits {
            hot_records_max: 1,
            announced_hashes_max: 1,
            alerts: AlertLimits {
                count_max: 1,
                age_ms_max: 1,
            },
        };
        let replica = ReplicaState::new(PartitionCount::new(1).unwrap(), cold, limits);
        let frames = Arc::new(Frames::default());
        let now = Instant::now();
        let mut one = frames.follow(&replica, Scope::All);
        assert_eq!(one.begin_as_others(now), None);
        assert_eq!(one.begin(), 0);
        one.keep_first("first".into(), now);
        let tell = || {
            let gone = GoneFamily {
                family: String::new(),
                merged_into: None,
            };
            let moved = Moved {
                gone: vec![(FamilyId(tocsin_model::ContentId(1)), gone)],
                ..Moved::default()
            };
            frames.lock().get_mut(&Scope::All).unwrap().keep(moved);
        };
        tell();
        let mut two = frames.follow(&replica, Scope::All);
        assert_eq!(two.begin_as_others(now).as_deref(), Some("first"));
        assert!(two.is_behind(), "what moved since waits");
        assert_eq!(two.begin_as_others(now + FIRST_AGE_MAX), None);
        let mut other = frames.follow(&replica, Scope::Coordinators);
        assert_eq!(other.begin_as_others(now), None);
        // Who connects again at once begins with it; who comes when nobody followed for a while does not.
        drop((one, two));
        let mut again = frames.follow(&replica, Scope::All);
        assert!(again.begin_as_others(now).is_some());
        (1..FIRST_BEHIND_MAX).for_each(|_| tell());
        assert!(again.begin_as_others(now).is_some(), "its frames are still kept");
        let Waiting::Frame(text) = again.take() else {
            panic!("they wait");
        };
        let frames_in_it = format!(r#""frames":{FIRST_BEHIND_MAX},"#);
        assert!(text.contains(&frames_in_it), "and none is missing: {text}");
        tell();
        assert_eq!(again.begin_as_others(now), None, "too many frames lie in between");
        again.begin();
        again.keep_first("second".into(), now);
        drop(again);
        frames.rest(&replica);
        assert_eq!(frames.follow(&replica, Scope::All).begin_as_others(now), None);
    }
}
