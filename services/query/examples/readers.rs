//! Measures many readers of what moves beside mixed questions: `loadtest/run readers`.
//!
//! One process serves: a query role with a store of its own, in which twenty families of each of eight scopes move every second. The other one opens the
//! readers and asks. Both share the machine, so the figures are of both.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

#[path = "../tests/query/api/mod.rs"]
mod api;
#[path = "../tests/query/crowd/mod.rs"]
mod crowd;
#[path = "../tests/query/world/mod.rs"]
mod world;

use std::io::{BufRead as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crowd::*;
use serde_json::{Value, json};
use tocsin_model::Scope;
use tocsin_runtime::{Shutdown, http};
use tocsin_store::{KeySubject, Role, Roles};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use world::*;

const USAGE: &str = "readers --out FILE [--readers N] [--seconds N] [--queries N]";
/// As many streams as a key may have open unless an operator says otherwise.
const READERS_OF_A_KEY: usize = 16;
/// So many connections are opened at a time.
const OPENING_AT_ONCE: usize = 64;
/// What was made last has come within this time, or counts as missed.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let value = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1).cloned()
    };
    let number = |name: &str, default: usize| value(name).map_or(default, |text| text.parse().expect(USAGE));
    if arguments.first().is_some_and(|first| first == "serve") {
        return runtime.block_on(serve(number("--readers", 10_000)));
    }
    let out = value("--out").expect(USAGE);
    let (readers, seconds, queries) = (
        number("--readers", 10_000),
        number("--seconds", 60),
        number("--queries", 200),
    );
    let figures = runtime.block_on(measure(readers, seconds as u64, queries));
    let text = serde_json::to_string_pretty(&figures).unwrap();
    std::fs::write(out, text.clone() + "\n").unwrap();
    println!("{text}");
}

/// Serves until its parent closes its input. At a line of it nothing moves any more, and the numbers of the newest frames are told.
async fn serve(readers: usize) {
    let mut crowd = Crowd::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let families: Vec<String> = (0..SCOPES)
        .map(|scope| id(Crowd::content(scope, 0)).to_string())
        .collect();
    let reader_keys = reader_keys(&crowd, readers).await;
    println!(
        "{}",
        json!({"address": address, "keys": crowd.keys, "reader_keys": reader_keys, "families": families})
    );
    std::io::stdout().flush().unwrap();
    let shutdown = Shutdown::new();
    let (ended, still) = (shutdown.clone(), Arc::new(AtomicBool::new(false)));
    let stands = Arc::clone(&still);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let _ = input.read_line(&mut String::new());
        stands.store(true, Ordering::Release);
        let _ = input.read_line(&mut String::new());
        ended.request();
    });
    let mut told = false;
    let server = tokio::spawn(http::serve(listener, crowd.router(), shutdown.clone()));
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    while !shutdown.is_requested() {
        every_second.tick().await;
        if still.load(Ordering::Acquire) {
            if !told {
                println!("{}", json!(crowd.newest_frames()));
                std::io::stdout().flush().unwrap();
            }
            told = true;
            continue;
        }
        crowd = tokio::task::spawn_blocking(move || {
            crowd.tell();
            crowd
        })
        .await
        .unwrap();
    }
    server.abort();
}

#[derive(Default)]
struct Counts {
    frames: AtomicU64,
    coalesced: AtomicU64,
    ended: AtomicU64,
}

/// What one reader got since it was open.
struct Received {
    scope: usize,
    /// The frame that it began behind.
    first: u64,
    /// For how many frames those that it got stand.
    frames: AtomicU64,
}

impl Received {
    /// How many of the frames that were made it did not get.
    fn missed(&self, newest: &[u64]) -> u64 {
        let made = newest[self.scope].saturating_sub(self.first);
        made.saturating_sub(self.frames.load(Ordering::Relaxed))
    }
}

async fn measure(readers: usize, seconds: u64, queries: usize) -> Value {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["serve", "--readers", &readers.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    let texts = |name: &str| -> Vec<String> {
        let all = told[name].as_array().unwrap().iter();
        all.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let reader_keys: Vec<Vec<String>> = serde_json::from_value(told["reader_keys"].clone()).unwrap();
    let (address, keys, families) = (
        told["address"].as_str().unwrap().to_owned(),
        texts("keys"),
        texts("families"),
    );
    let process = child.id();
    // A first few, so that what is made once is there before.
    for scope in 0..keys.len() {
        for path in paths(&families[scope]) {
            ask(&address, &keys[scope], &path).await.unwrap();
        }
    }
    let memory_before = resident_kib(process);
    let counts = Arc::new(Counts::default());
    let opening = Arc::new(Semaphore::new(OPENING_AT_ONCE));
    let opened_at = Instant::now();
    let mut opened = Vec::new();
    for reader in 0..readers {
        let (scope, place) = (reader % keys.len(), reader / keys.len());
        let (address, key) = (address.clone(), reader_keys[scope][place / READERS_OF_A_KEY].clone());
        let (opening, counts) = (Arc::clone(&opening), Arc::clone(&counts));
        opened.push(tokio::spawn(async move {
            let turn = opening.acquire().await.unwrap();
            let mut socket = Socket::open(&address, &key).await.ok()?;
            let first = socket.frame().await?;
            drop(turn);
            let received = Arc::new(Received {
                scope,
                first: first.number,
                frames: AtomicU64::new(0),
            });
            let of_reader = Arc::clone(&received);
            let reading = tokio::spawn(async move {
                while let Some(frame) = socket.frame().await {
                    counts.frames.fetch_add(1, Ordering::Relaxed);
                    counts
                        .coalesced
                        .fetch_add(frame.frames.saturating_sub(1), Ordering::Relaxed);
                    of_reader.frames.fetch_add(frame.frames, Ordering::Relaxed);
                }
                counts.ended.fetch_add(1, Ordering::Relaxed);
            });
            Some((reading, received))
        }));
    }
    let (mut open, mut refused) = (Vec::new(), 0_u64);
    for one in opened {
        match one.await.unwrap() {
            Some(reader) => open.push(reader),
            None => refused += 1,
        }
    }
    let opening_seconds = opened_at.elapsed().as_secs_f64();
    let memory_after = resident_kib(process);
    let before = [&counts.frames, &counts.coalesced].map(|count| count.load(Ordering::Relaxed));
    let (cpu_before, own_before) = (cpu_seconds(process), cpu_seconds(std::process::id()));
    let began_at = Instant::now();
    let mut asked = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_secs_f64(1.0 / queries as f64));
    for question in 0..queries * seconds as usize {
        // An open load: each question is due at its time, whatever became of those before.
        let due_at = pace.tick().await;
        let scope = question % keys.len();
        let all = paths(&families[scope]);
        let path = all[(question / keys.len()) % all.len()].clone();
        let (address, key) = (address.clone(), keys[scope].clone());
        asked.push(tokio::spawn(async move {
            let status = ask(&address, &key, &path).await;
            (due_at.elapsed().as_secs_f64() * 1_000.0, status)
        }));
    }
    let (mut milliseconds, mut failed) = (Vec::new(), 0_u64);
    for one in asked {
        let (took, status) = one.await.unwrap();
        match status {
            Ok(200) => milliseconds.push(took),
            _ => failed += 1,
        }
    }
    let lasted = began_at.elapsed().as_secs_f64();
    let [frames, coalesced] = [(&counts.frames, before[0]), (&counts.coalesced, before[1])]
        .map(|(count, before)| count.load(Ordering::Relaxed) - before);
    let ended = counts.ended.load(Ordering::Relaxed);
    let (cpu, own) = (
        cpu_seconds(process) - cpu_before,
        cpu_seconds(std::process::id()) - own_before,
    );
    let memory_loaded = resident_kib(process);
    let mut input = child.stdin.take().unwrap();
    writeln!(input).unwrap();
    line.clear();
    output.read_line(&mut line).unwrap();
    let newest: Vec<u64> = serde_json::from_str(&line).unwrap();
    let missed = || -> u64 { open.iter().map(|(_, received)| received.missed(&newest)).sum() };
    let until = Instant::now() + SETTLED_WITHIN;
    while missed() > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await; // poll: what was under way has come
    }
    let missed = missed();
    open.iter().for_each(|(reading, _)| reading.abort());
    drop(input);
    child.wait().unwrap();
    milliseconds.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let place = ((milliseconds.len() as f64 * part).ceil() as usize).max(1) - 1;
        milliseconds.get(place).copied()
    };
    let per_reader = |memory: u64| memory.saturating_sub(memory_before) as f64 / open.len().max(1) as f64;
    json!({
        "readers": open.len(),
        "readers_refused": refused,
        "readers_ended": ended,
        "scopes": SCOPES,
        "families_moving_in_each": FAMILIES,
        "opening_seconds": opening_seconds,
        "seconds": lasted,
        "frames_received": frames,
        "frames_coalesced": coalesced,
        "frames_missed": missed,
        "queries": milliseconds.len(),
        "queries_failed": failed,
        "read_ms_p50": at(0.5),
        "read_ms_p99": at(0.99),
        "read_ms_max": milliseconds.last(),
        "reader_memory_kib_open": per_reader(memory_after),
        "reader_memory_kib_loaded": per_reader(memory_loaded),
        "server_cpu_share": cpu / lasted,
        "client_cpu_share": own / lasted,
        "optimised": !cfg!(debug_assertions),
    })
}

/// The mix of questions about one scope.
/// For each scope further keys, so many that `readers` of all scopes share one by sixteen.
async fn reader_keys(crowd: &Crowd, readers: usize) -> Vec<Vec<String>> {
    let count = readers.div_ceil(usize::from(SCOPES)).div_ceil(READERS_OF_A_KEY);
    let mut keys = Vec::new();
    for scope in 0..SCOPES {
        let subject = match Crowd::scope(scope) {
            Scope::Party(party) => KeySubject::Party(party),
            _ => KeySubject::Coordinators,
        };
        let mut of_scope = Vec::new();
        for _ in 0..count {
            let roles = Roles::of(&[Role::Reader]);
            let (_, key) = crowd.bare.store.issue_key(subject, roles).await.unwrap();
            of_scope.push(key.expose().to_owned());
        }
        keys.push(of_scope);
    }
    keys
}

fn paths(family: &str) -> Vec<String> {
    [
        "/v1/trending?window=5m".to_owned(),
        format!("/v1/families/{family}"),
        format!("/v1/families/{family}/series"),
        format!("/v1/families/{family}/members"),
        format!("/v1/families/{family}/breakdown"),
        format!("/v1/compare?family={family}&align=first_seen"),
        "/v1/alerts".to_owned(),
        "/v1/trending?window=1h&format=csv".to_owned(),
    ]
    .to_vec()
}

/// The status of an answer that was read to its end.
async fn ask(address: &str, key: &str, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: query\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    Ok(status.and_then(|digits| digits.parse().ok()).unwrap_or(0))
}

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Processor time of a process, from `/proc` (proc_pid_stat(5)), in ticks of a hundredth of a second.
fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = [11, 12]
        .iter()
        .map(|place| fields[*place].parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}
