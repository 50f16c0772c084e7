//! Who runs when: every process is a thread, and one of them has the turn. At each call of the log and at each fail-point the turn may go
//! to another, the process may be stopped for a while or end at once, and the broker may do what brokers do in between. One seed decides all
//! of it, so a seed is one history.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tocsin_failpoint::FailPoint;
use tocsin_wire::topics;

use crate::broker::{Broker, ProcessId};
use crate::check::Answers;
use crate::director::{Director, Role, Start};
use crate::history::Setting;
use crate::log::LateCommits;

/// How likely each fault is, at each step.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// The process ends at once.
    pub crash: f64,
    /// The process is stopped for up to two sessions.
    pub stop: f64,
    /// The partitions are dealt out anew.
    pub rebalance: f64,
    /// A partition of a compacted topic is compacted.
    pub compact: f64,
    /// A commit does not go as it should (see [`crate::log`]).
    pub commit: f64,
    /// An append is refused.
    pub append: f64,
}

impl Faults {
    /// None.
    pub const NONE: Faults = Faults {
        crash: 0.0,
        stop: 0.0,
        rebalance: 0.0,
        compact: 0.0,
        commit: 0.0,
        append: 0.0,
    };

    /// Some of each, in a mixture of its own for each seed.
    pub fn drawn(random: &mut SmallRng) -> Faults {
        let mut draw = |most: f64| {
            if random.random_bool(0.3) {
                0.0
            } else {
                random.random_range(0.0..most)
            }
        };
        Faults {
            crash: draw(0.03),
            stop: draw(0.02),
            rebalance: draw(0.03),
            compact: draw(0.05),
            commit: draw(0.5),
            append: draw(0.02),
        }
    }
}

/// How much likelier a crash is at a fail-point than at a call of the log.
const CRASH_WEIGHT: f64 = 4.0;

/// How much likelier a process is stopped inside a transaction than elsewhere.
const STOP_WEIGHT: f64 = 5.0;

/// What unwinds a process that ended at once.
pub struct Crashed;

/// A step that gives the turn away.
#[derive(Clone, Copy, Debug)]
pub enum Site {
    /// A call of the log.
    Call(&'static str),
    /// A fail-point of the code.
    Point(FailPoint),
}

/// The most steps of a history: beyond, something does not come to its end.
pub const STEPS_MAX: u64 = 60_000;

/// Everything but the threads.
pub struct State {
    /// The seed's numbers.
    pub random: SmallRng,
    /// Milliseconds since the beginning of the history.
    pub now_ms: u64,
    /// The broker.
    pub broker: Broker,
    /// The faults in force.
    pub faults: Faults,
    /// What is to run, and what came of it.
    pub director: Director,
    /// How often each fail-point was reached.
    pub crossed: BTreeMap<FailPoint, u64>,
    /// How often a process ended right at each fail-point.
    pub crashed_at: BTreeMap<FailPoint, u64>,
    /// What is wrong.
    pub violations: Vec<String>,
    /// Ends of transactions that arrive late.
    pub late_commits: LateCommits,
    /// How far each source stands by what intakes stored.
    pub taken_in: BTreeMap<usize, usize>,
    /// How far each source was acknowledged.
    pub acknowledged: BTreeMap<usize, usize>,
    /// What the replica held in the end.
    pub answers: Option<Answers>,
    /// Steps so far.
    pub steps: u64,
    trace: Option<String>,
    processes: BTreeMap<ProcessId, Process>,
    running: Option<ProcessId>,
    threads: Vec<JoinHandle<()>>,
}

/// One life of a role.
struct Process {
    name: String,
    role: Role,
    turn: Arc<Condvar>,
    stopped_until_ms: u64,
    is_crashed: bool,
}

/// The world. Cheap to share.
pub struct World {
    setting: Arc<Setting>,
    state: Mutex<State>,
    over: Condvar,
    epoch: Instant,
}

impl World {
    /// A world in which nothing runs yet.
    pub fn new(
        seed: u64,
        faults: Faults,
        setting: Arc<Setting>,
        broker: Broker,
        director: Director,
        is_traced: bool,
    ) -> Arc<World> {
        Arc::new(World {
            setting,
            state: Mutex::new(State {
                random: SmallRng::seed_from_u64(seed),
                now_ms: 0,
                broker,
                faults,
                director,
                crossed: BTreeMap::new(),
                crashed_at: BTreeMap::new(),
                violations: Vec::new(),
                late_commits: Vec::new(),
                taken_in: BTreeMap::new(),
                acknowledged: BTreeMap::new(),
                answers: None,
                steps: 0,
                trace: is_traced.then(String::new),
                processes: BTreeMap::new(),
                running: None,
                threads: Vec::new(),
            }),
            over: Condvar::new(),
            epoch: Instant::now(),
        })
    }

    /// How the history was set up.
    pub fn setting(&self) -> Arc<Setting> {
        self.setting.clone()
    }

    /// The state; only whoever has the turn asks.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// The time of the history, as the detector's clock.
    pub fn instant(&self) -> Instant {
        self.epoch + Duration::from_millis(self.state().now_ms)
    }

    /// Runs the history to its end, and tells what is left of the state.
    pub fn play(self: &Arc<World>) -> MutexGuard<'_, State> {
        let mut state = self.state();
        self.pass_on(&mut state);
        let mut state = self
            .over
            .wait_while(state, |state| state.running.is_some())
            .expect("no holder of this lock panics");
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        for thread in threads {
            thread.join().expect("a process's thread catches what unwinds it");
        }
        self.state()
    }

    /// A process comes to `site`. Returns when it has the turn again; unwinds with [`Crashed`] where it ends.
    pub fn step(self: &Arc<World>, process: ProcessId, site: Site) {
        let mut state = self.state();
        if state.processes.get(&process).is_none_or(|process| process.is_crashed) {
            // What a crashed process drops while it unwinds reaches nobody.
            return;
        }
        state.steps += 1;
        state.now_ms += state.random.random_range(1..20);
        state.say(process, site);
        if let Site::Point(point) = site {
            *state.crossed.entry(point).or_insert(0) += 1;
        }
        let faults = state.faults;
        let weight = match site {
            // Between a unit and what it sends on a crash is rare and tells most.
            Site::Point(FailPoint::UnitCommitted) | Site::Call("append") => 2.0 * CRASH_WEIGHT,
            // These are seldom reached.
            Site::Point(FailPoint::OnwardSent | FailPoint::LastUnitCommitted) => 8.0 * CRASH_WEIGHT,
            Site::Point(_) => CRASH_WEIGHT,
            Site::Call(_) => 1.0,
        };
        if state.chance(faults.crash * weight) {
            self.crash(state, process, site);
        }
        state.heartbeats(process);
        state.happen();
        let weight = match site {
            // Who is stopped between two steps of a transaction may find its partitions gone.
            Site::Point(FailPoint::TransactionBegun | FailPoint::RecordsDelivered | FailPoint::PositionsAdded) => {
                STOP_WEIGHT
            }
            Site::Point(_) | Site::Call(_) => 1.0,
        };
        if state.chance(faults.stop * weight) {
            let until = state.now_ms + state.random.random_range(10..2 * crate::broker::SESSION_MS);
            state.entry(process).stopped_until_ms = until;
            state.note(process, || format!("stopped until {until}"));
        }
        self.pass_on(&mut state);
        let turn = state.entry(process).turn.clone();
        while state.running != Some(process) {
            state = turn.wait(state).expect("no holder of this lock panics");
        }
        if state.steps > STEPS_MAX {
            self.crash(state, process, site);
        }
    }

    fn crash(&self, mut state: MutexGuard<'_, State>, process: ProcessId, site: Site) -> ! {
        state.entry(process).is_crashed = true;
        if let Site::Point(point) = site {
            *state.crashed_at.entry(point).or_insert(0) += 1;
        }
        state.note(process, || "ends at once".to_owned());
        drop(state);
        // The turn stays here until the thread is through: its drops must not run beside another process.
        std::panic::resume_unwind(Box::new(Crashed))
    }

    /// Gives the turn to one of those who can run; starts what is due.
    fn pass_on(self: &Arc<World>, state: &mut MutexGuard<'_, State>) {
        loop {
            if state.steps <= STEPS_MAX {
                for start in state.director_starts() {
                    self.start(state, start);
                }
            }
            let now_ms = state.now_ms;
            let ready: Vec<ProcessId> = state
                .processes
                .iter()
                .filter(|(_, process)| process.stopped_until_ms <= now_ms)
                .map(|(id, _)| *id)
                .collect();
            if !ready.is_empty() {
                let next = ready[state.random.random_range(0..ready.len())];
                state.running = Some(next);
                state.entry(next).turn.notify_one();
                return;
            }
            let wakes = state.processes.values().map(|process| process.stopped_until_ms).min();
            match (wakes, state.director.next_start_ms()) {
                (None, None) => break,
                (wakes, starts) => {
                    let at = wakes.into_iter().chain(starts).min().unwrap_or(now_ms);
                    if state.steps > STEPS_MAX && wakes.is_none() {
                        break;
                    }
                    state.now_ms = at.max(now_ms);
                }
            }
        }
        state.running = None;
        self.over.notify_all();
    }

    fn start(self: &Arc<World>, state: &mut MutexGuard<'_, State>, start: Start) {
        let process = start.process;
        state.processes.insert(
            process,
            Process {
                name: start.name.clone(),
                role: start.role,
                turn: Arc::new(Condvar::new()),
                stopped_until_ms: 0,
                is_crashed: false,
            },
        );
        state.note(process, || "starts".to_owned());
        let (world, thread) = (self.clone(), std::thread::Builder::new().name(start.name.clone()));
        let life = move || {
            world.wait_for_turn(process);
            let outcome = crate::process::live(&world, &start);
            let mut state = world.state();
            state.note(process, || format!("ended: {outcome:?}"));
            state.processes.remove(&process);
            let now_ms = state.now_ms;
            let pause = state.random.random_range(10..400);
            if let Some(wrong) = state.director.ended(&start, outcome, now_ms + pause) {
                state.violations.push(wrong);
            }
            world.pass_on(&mut state);
        };
        state
            .threads
            .push(thread.spawn(life).expect("the system gives threads"));
    }

    fn wait_for_turn(&self, process: ProcessId) {
        let mut state = self.state();
        let turn = state.entry(process).turn.clone();
        while state.running != Some(process) {
            state = turn.wait(state).expect("no holder of this lock panics");
        }
    }
}

impl State {
    fn entry(&mut self, process: ProcessId) -> &mut Process {
        self.processes.get_mut(&process).expect("who runs is known")
    }

    /// Whether a process ended at once: what it still does reaches nobody.
    pub fn is_crashed(&self, process: ProcessId) -> bool {
        self.processes.get(&process).is_none_or(|process| process.is_crashed)
    }

    /// Whether a process is a detector.
    pub fn is_detector(&self, process: ProcessId) -> bool {
        let process = self.processes.get(&process);
        process.is_some_and(|process| matches!(process.role, Role::Detector(_)))
    }

    /// Draws.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.random.random_bool(probability)
    }

    /// The members whose processes are not stopped tell the group that they live. `running` is one of them: it runs.
    fn heartbeats(&mut self, running: ProcessId) {
        let now_ms = self.now_ms;
        self.broker.group.heard(running, now_ms);
        let alive = self
            .processes
            .iter()
            .filter(|(_, process)| !process.is_crashed && process.stopped_until_ms <= now_ms);
        for (process, _) in alive {
            self.broker.group.heard(*process, now_ms);
        }
    }

    /// What brokers do in between.
    fn happen(&mut self) {
        let now_ms = self.now_ms;
        for process in self.broker.group.expire(now_ms) {
            self.note(process, || "put out of the group".to_owned());
        }
        let swept = self.broker.sweep(now_ms);
        if swept > 0 {
            self.note(0, || format!("{swept} transactions timed out"));
        }
        let faults = self.faults;
        if self.chance(faults.rebalance) {
            self.broker.group.disturb();
        }
        if self.broker.group.rebalance(now_ms, &mut self.random) {
            self.note(0, || "rebalance".to_owned());
        }
        if self.chance(faults.compact) {
            let topic = [topics::STATE, topics::FAMILIES][usize::from(self.random.random_bool(0.2))];
            let places = self.broker.places(topic);
            let place = &places[self.random.random_range(0..places.len())];
            self.broker.compact(place, &mut self.random);
            self.note(0, || format!("compacted {place:?}"));
        }
        crate::log::settle_late_commits(self);
    }

    fn director_starts(&mut self) -> Vec<Start> {
        let now_ms = self.now_ms;
        let mut director = std::mem::take(&mut self.director);
        let starts = director.direct(self, now_ms);
        self.director = director;
        starts
    }

    /// Adds a line to the trace.
    pub fn note(&mut self, process: ProcessId, what: impl FnOnce() -> String) {
        let now_ms = self.now_ms;
        let name = self
            .processes
            .get(&process)
            .map_or("broker", |process| process.name.as_str());
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{now_ms:>7} {name:<12} {}", what());
        }
    }

    fn say(&mut self, process: ProcessId, site: Site) {
        self.note(process, || match site {
            Site::Call(call) => call.to_owned(),
            Site::Point(point) => format!("at {}", point.name()),
        });
    }

    /// The trace.
    pub fn take_trace(&mut self) -> String {
        self.trace.take().unwrap_or_default()
    }
}
