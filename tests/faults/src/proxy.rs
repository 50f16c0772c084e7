//! A proxy before the broker that knows where a request of Kafka begins and whose it is.
//!
//! Requests are frames: a length of four bytes, then the number of the call, its version, a correlation id and the client's name, which is
//! that of the process (<https://kafka.apache.org/protocol#protocol_messages>). An answer begins with the correlation id. So calls of one
//! process can be delayed, sent twice, or kept until its connection is gone, and the network of one process can be cut or slowed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::brokers::Fronted;
use crate::wait::pass;

/// Calls by their numbers.
pub mod call {
    /// Records.
    pub const PRODUCE: i16 = 0;
    /// A member is alive.
    pub const HEARTBEAT: i16 = 12;
    /// Partitions enter a transaction.
    pub const ADD_PARTITIONS: i16 = 24;
    /// A group's positions enter a transaction.
    pub const ADD_OFFSETS: i16 = 25;
    /// A transaction ends.
    pub const END_TRANSACTION: i16 = 26;
    /// The positions themselves.
    pub const COMMIT_OFFSETS: i16 = 28;
}

/// Larger frames are none.
const FRAME_BYTES_MAX: usize = 128 << 20;
/// Frames under way in one direction of one connection.
const UNDER_WAY_MAX: usize = 1_024;
/// How often one looks whether a cut has been mended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It arrives so much later, and what the connection carries behind it.
    Delay(Duration),
    /// It arrives twice; the second answer is dropped.
    Twice,
    /// Its connection breaks, and it arrives so much later all the same.
    Orphan(Duration),
    /// It arrives once the rule is gone.
    Hold,
}

/// What happens to some calls of a process.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Whose.
    pub client: String,
    /// Which.
    pub calls: Vec<i16>,
    /// What.
    pub act: Act,
    /// To every one, every second, ...
    pub every: u64,
}

/// Where the network of a process does not carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// What it sends does not arrive.
    Requests,
    /// What it is sent does not arrive.
    Answers,
    /// Nothing arrives.
    Both,
}

/// The network of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network {
    /// Where it does not carry; connections stay open all the while.
    pub cut: Option<Cut>,
    /// How long each frame takes.
    pub latency: Duration,
    /// How much longer at most; the frames of a connection keep their order.
    pub jitter: Duration,
    /// How much each direction of a connection carries; 0: as much as comes.
    pub bytes_per_second: u32,
}

#[derive(Debug, Default)]
struct Plan {
    rules: Vec<Rule>,
    networks: BTreeMap<String, Network>,
    /// Calls that a rule had something done to.
    touched: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Requests,
    Answers,
}

/// The proxy. It ends, and its connections with it, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    plan: Arc<Mutex<Plan>>,
    /// Connections that began before a higher number was sent are broken.
    breaks: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

fn lock(plan: &Mutex<Plan>) -> std::sync::MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Listens where the broker told clients to come.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(fronted: Fronted) -> Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", fronted.front))
            .await
            .context("listen before the broker")?;
        let plan = Arc::new(Mutex::new(Plan::default()));
        let (breaks, broken) = watch::channel(0);
        let held = plan.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, fronted.behind, held.clone(), broken.clone()));
            }
        });
        Ok(Proxy {
            plan,
            breaks,
            accepting,
        })
    }

    /// From now on these rules hold, and no others.
    pub fn rule(&self, rules: Vec<Rule>) {
        lock(&self.plan).rules = rules;
    }

    /// From now on the network of this process is so.
    pub fn network(&self, client: &str, network: Network) {
        lock(&self.plan).networks.insert(client.to_owned(), network);
    }

    /// All networks are well, and no rule holds.
    pub fn mend(&self) {
        let mut plan = lock(&self.plan);
        plan.rules.clear();
        plan.networks.clear();
    }

    /// Breaks all connections.
    pub fn break_all(&self) {
        self.breaks.send_modify(|number| *number += 1);
    }

    /// To how many calls a rule has had something done.
    pub fn touched(&self) -> u64 {
        lock(&self.plan).touched
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.break_all();
    }
}

/// A frame under way.
struct Frame {
    bytes: Vec<u8>,
    due_at: Instant,
    /// Of a request that is held as long as a rule says so.
    held_as: Option<(String, i16)>,
}

/// What the two directions of a connection know of each other.
#[derive(Default)]
struct Between {
    client: Mutex<String>,
    /// By correlation id: how many answers have come to a call that was sent twice.
    twice: Mutex<HashMap<i32, u32>>,
}

async fn carry(client: TcpStream, behind: u16, plan: Arc<Mutex<Plan>>, mut broken: watch::Receiver<u64>) {
    let Ok(broker) = TcpStream::connect(("127.0.0.1", behind)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), broker.set_nodelay(true));
    broken.mark_unchanged();
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let between = Between::default();
    let (request, requests) = channel(UNDER_WAY_MAX);
    let (answer, answers) = channel(UNDER_WAY_MAX);
    // Whichever ends first ends the connection.
    tokio::select! {
        () = take_requests(from_client, behind, &plan, &between, request) => {}
        () = deliver(to_broker, &plan, &between, Way::Requests, requests) => {}
        () = take_answers(from_broker, &plan, &between, answer) => {}
        () = deliver(to_client, &plan, &between, Way::Answers, answers) => {}
        _ = broken.changed() => {}
    }
}

/// `None`: the connection has ended.
async fn read_frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await.ok()?;
    let bytes = u32::from_be_bytes(length) as usize;
    if bytes > FRAME_BYTES_MAX {
        return None;
    }
    let mut frame = vec![0; 4 + bytes];
    frame[..4].copy_from_slice(&length);
    from.read_exact(&mut frame[4..]).await.ok()?;
    Some(frame)
}

/// The call, the correlation id and the client of a request.
fn header(frame: &[u8]) -> Option<(i16, i32, String)> {
    let call = i16::from_be_bytes(frame.get(4..6)?.try_into().ok()?);
    let correlation = i32::from_be_bytes(frame.get(8..12)?.try_into().ok()?);
    let length = i16::from_be_bytes(frame.get(12..14)?.try_into().ok()?);
    let client = frame.get(14..14 + usize::try_from(length).ok()?)?;
    Some((call, correlation, String::from_utf8_lossy(client).into_owned()))
}

async fn take_requests(mut from: OwnedReadHalf, behind: u16, plan: &Mutex<Plan>, between: &Between, to: Sender<Frame>) {
    let mut order = Instant::now();
    while let Some(bytes) = read_frame(&mut from).await {
        let Some((call, correlation, client)) = header(&bytes) else {
            return;
        };
        let act = {
            let mut plan = lock(plan);
            let rule = plan
                .rules
                .iter()
                .find(|rule| rule.client == client && rule.calls.contains(&call))
                .cloned();
            plan.touched += u64::from(rule.is_some());
            let touched = plan.touched;
            rule.filter(|rule| touched.is_multiple_of(rule.every))
                .map(|rule| rule.act)
        };
        let network = lock(plan).networks.get(&client).copied().unwrap_or_default();
        let held_as = (act == Some(Act::Hold)).then(|| (client.clone(), call));
        *between.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        let mut due_at = due_at(network, correlation);
        let mut again = None;
        match act {
            Some(Act::Delay(time)) => due_at += time,
            Some(Act::Twice) => {
                between
                    .twice
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(correlation, 0);
                again = Some(bytes.clone());
            }
            Some(Act::Orphan(time)) => {
                tokio::spawn(deliver_alone(bytes, behind, time));
                return;
            }
            Some(Act::Hold) | None => {}
        }
        order = order.max(due_at);
        for bytes in std::iter::once(bytes).chain(again) {
            let held_as = held_as.clone();
            let due_at = order;
            if to.send(Frame { bytes, due_at, held_as }).await.is_err() {
                return;
            }
        }
    }
}

async fn take_answers(mut from: OwnedReadHalf, plan: &Mutex<Plan>, between: &Between, to: Sender<Frame>) {
    let mut order = Instant::now();
    while let Some(bytes) = read_frame(&mut from).await {
        let correlation = bytes
            .get(4..8)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, i32::from_be_bytes);
        {
            let mut twice = between.twice.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = twice.get_mut(&correlation) {
                *count += 1;
                if *count == 2 {
                    twice.remove(&correlation);
                    continue;
                }
            }
        }
        let client = between.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let network = lock(plan).networks.get(&client).copied().unwrap_or_default();
        order = order.max(due_at(network, correlation));
        let held_as = None;
        let due_at = order;
        if to.send(Frame { bytes, due_at, held_as }).await.is_err() {
            return;
        }
    }
}

fn due_at(network: Network, correlation: i32) -> Instant {
    // The same frame of the same connection is as late each time it is played.
    let share = f64::from(correlation.cast_unsigned().wrapping_mul(2_654_435_761)) / f64::from(u32::MAX);
    Instant::now() + network.latency + network.jitter.mul_f64(share)
}

async fn deliver(mut to: OwnedWriteHalf, plan: &Mutex<Plan>, between: &Between, way: Way, mut frames: Receiver<Frame>) {
    while let Some(frame) = frames.recv().await {
        tokio::time::sleep_until(frame.due_at).await;
        let client = between.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        while is_held(&lock(plan), &client, way, &frame) {
            pass(LOOK_EVERY).await;
        }
        let rate = lock(plan)
            .networks
            .get(&client)
            .map_or(0, |network| network.bytes_per_second);
        if rate > 0 {
            pass(Duration::from_secs_f64(frame.bytes.len() as f64 / f64::from(rate))).await;
        }
        if to.write_all(&frame.bytes).await.is_err() {
            return;
        }
    }
}

fn is_held(plan: &Plan, client: &str, way: Way, frame: &Frame) -> bool {
    let held = frame.held_as.as_ref().is_some_and(|(client, call)| {
        let mut rules = plan.rules.iter();
        rules.any(|rule| rule.act == Act::Hold && rule.client == *client && rule.calls.contains(call))
    });
    let cut = plan.networks.get(client).and_then(|network| network.cut);
    let is_cut = match cut {
        None => false,
        Some(Cut::Both) => true,
        Some(Cut::Requests) => way == Way::Requests,
        Some(Cut::Answers) => way == Way::Answers,
    };
    held || is_cut
}

/// A call whose connection is gone; nobody hears the answer.
async fn deliver_alone(bytes: Vec<u8>, behind: u16, after: Duration) {
    pass(after).await;
    let Ok(mut broker) = TcpStream::connect(("127.0.0.1", behind)).await else {
        return;
    };
    if broker.write_all(&bytes).await.is_ok() {
        let mut answer = [0; 4];
        let _ = tokio::time::timeout(Duration::from_secs(10), broker.read_exact(&mut answer)).await;
    }
}

/// A port of loopback that is free now.
///
/// # Errors
/// There is none.
pub fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    Ok(listener.local_addr().context("ask for the port")?.port())
}

#[cfg(test)]
mod tests {
    //! Goal: a request says which call it is and whose; what is none is told apart.

    use super::*;

    #[test]
    fn a_request_names_its_call_and_its_client() {
        let frame = [
            0, 0, 0, 18, 0, 26, 0, 3, 0, 0, 0, 7, 0, 4, b'd', b'e', b't', b'1', 9, 9, 9, 9,
        ];
        assert_eq!(header(&frame), Some((call::END_TRANSACTION, 7, "det1".to_owned())));
        assert_eq!(header(&frame[..15]), None);
        let nameless = [0, 0, 0, 10, 0, 0, 0, 3, 0, 0, 0, 7, 0xff, 0xff];
        assert_eq!(header(&nameless), None);
    }
}
