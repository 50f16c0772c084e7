//! One frame a second for each scope in which somebody follows what moves: made once, and sent to all its readers.
//!
//! Frames are kept for a minute. A reader who is not ready for each gets those that it missed as one, with the newest figures of each family; one
//! who is further behind than that is sent away. Readers take turns within the second: ten thousand that all wrote at once would keep everybody else waiting.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tocsin_model::{FamilyId, Scope, Timestamp};
use tocsin_wire::document::instant;
use tokio::sync::watch;

use crate::answer::{FrameAnswer, Moved, MovedFamily, moved};
use crate::replica::ReplicaState;

/// So many frames are kept for readers who are not ready for each.
pub(crate) const FRAMES_KEPT: usize = 64;
/// Of so many families in each scope it is remembered what was told last; beyond it the memory begins anew.
const TOLD_MAX: usize = 16_384;

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
    /// What was told last of a family: what is still so is not told again.
    told: HashMap<FamilyId, MovedFamily>,
}

/// What moved in one second.
#[derive(Debug)]
struct Frame {
    number: u64,
    as_of: Option<Timestamp>,
    families: Vec<(FamilyId, MovedFamily)>,
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
        if marked.is_empty() {
            return;
        }
        for scope in scopes {
            // The figures are made without the lock, so that readers go on: nobody else changes what was told.
            let Some(mut told) = self.lock().get_mut(&scope).map(|board| std::mem::take(&mut board.told)) else {
                continue;
            };
            if told.len() > TOLD_MAX {
                told.clear();
            }
            let is_news = |family, figures: &MovedFamily| match told.get(&family) == Some(figures) {
                true => false,
                false => told.insert(family, figures.clone()).as_ref() != Some(figures),
            };
            let moved = moved(replica, scope, &marked, is_news, now_ms);
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

    /// Keeps no more marks where nobody follows.
    pub(crate) fn rest(&self, replica: &ReplicaState) {
        let boards = self.lock();
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
            told: HashMap::new(),
        }
    }

    fn keep(&mut self, moved: Moved) {
        if moved.families.is_empty() {
            return;
        }
        let number = *self.newest.borrow() + 1;
        let families = moved.families.iter().map(|(_, figures)| figures.clone()).collect();
        let text = written(&FrameAnswer {
            frame: number,
            frames: 1,
            as_of: moved.as_of.and_then(instant),
            families,
            families_left_out: moved.left_out,
        });
        if self.kept.len() >= FRAMES_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Arc::new(Frame {
            number,
            as_of: moved.as_of,
            families: moved.families,
            left_out: moved.left_out,
            text,
        }));
        self.newest.send_replace(number);
    }
}

impl FrameReader {
    /// The frame before which nothing is told: where a stream begins.
    pub(crate) fn passed(&self) -> u64 {
        self.passed
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
            board.readers -= 1;
            if board.readers == 0 {
                boards.remove(&self.scope);
            }
        }
    }
}

/// Several frames as one: of each family the newest figures, in the order of the newest frame that has it.
fn as_one(frames: &[Arc<Frame>]) -> Arc<str> {
    let mut newest: BTreeMap<FamilyId, &MovedFamily> = BTreeMap::new();
    let mut families = Vec::new();
    for (family, figures) in frames.iter().rev().flat_map(|frame| &frame.families) {
        if newest.insert(*family, figures).is_none() {
            families.push(figures.clone());
        }
    }
    written(&FrameAnswer {
        frame: frames.last().map_or(0, |frame| frame.number),
        frames: frames.len() as u64,
        as_of: frames.iter().filter_map(|frame| frame.as_of).min().and_then(instant),
        families,
        families_left_out: frames.iter().map(|frame| frame.left_out).sum(),
    })
}

fn written(frame: &FrameAnswer) -> Arc<str> {
    serde_json::to_string(frame).expect("a frame is plain data").into()
}
