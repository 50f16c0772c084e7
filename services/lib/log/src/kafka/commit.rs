use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use tocsin_failpoint::{FailPoint, reach};

use super::native::Topics;
use super::positions::{NotAdded, Positions};
use super::{Shared, client, failed, list, named_record};
use crate::{Append, CommitError, Committer, LogError, Membership, Unit};

/// A transactional producer on a thread of its own. The thread is there for its watchdog: the caller waits [`COMMIT_TIME_MAX`] and no longer,
/// whatever librdkafka does.
pub(super) struct Transactions {
    instance: String,
    work: SyncSender<Work>,
    /// Why no further commit is tried: the outcome of one is not known, or another instance took over.
    over: Option<Over>,
}

struct Work {
    unit: Unit,
    group: Option<Arc<ConsumerGroupMetadata>>,
    done: SyncSender<Result<(), CommitError>>,
}

#[derive(Clone, Copy)]
enum Over {
    Fenced,
    Unknown,
}

/// The longest a commit may take before its outcome counts as unknown. Above the transaction's own time-out of 6 s.
const COMMIT_TIME_MAX: Duration = Duration::from_secs(20);
/// The longest the records of a unit may take to arrive: beyond the time-outs of records and transaction, 6 s each, they do not any more.
const RECORDS_TIME_MAX: Duration = Duration::from_secs(7);
/// The longest one call to the transaction coordinator may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(10);
/// The longest taking over from an older producer may take; it waits for that one's open transaction to be aborted.
const TAKE_OVER_TIME_MAX: Duration = Duration::from_secs(30);
/// The longest records under way are waited for before an abort.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(2);
/// How long delivery reports are let come between two looks for them: a commit waits some milliseconds for them.
const SETTLE_PAUSE: Duration = Duration::from_micros(200);
/// How often a unit is done again after [echoes](is_echo) of the one before.
const ECHOES_MAX: u32 = 3;
/// Delivery reports are served every so many sends: serving one costs a call, and not serving them lets the queue grow.
const SENDS_PER_SERVE: usize = 16;

impl Transactions {
    pub(super) fn new(shared: Arc<Shared>, instance: &str) -> Result<Self, LogError> {
        let producer = take_over(&shared, instance)?;
        // One unit at a time: the committer waits for each.
        let (work, taken) = sync_channel(1);
        let thread = std::thread::Builder::new().name(format!("commit-{instance}"));
        let hook = tocsin_failpoint::inherited();
        let serve = move || {
            let _adopted = tocsin_failpoint::adopt(hook);
            serve(&shared, producer, &taken);
        };
        thread.spawn(serve).map_err(|_| LogError::Closed)?;
        Ok(Transactions {
            instance: instance.to_owned(),
            work,
            over: None,
        })
    }

    fn end(&self, over: Over) -> CommitError {
        let taken_over = LogError::TakenOver {
            instance: self.instance.clone(),
        };
        match over {
            Over::Fenced => CommitError::Fenced(taken_over),
            Over::Unknown => CommitError::Unknown(LogError::Closed),
        }
    }
}

impl Committer for Transactions {
    fn commit(&mut self, membership: &Membership, unit: Unit) -> Result<(), CommitError> {
        if let Some(over) = self.over {
            return Err(self.end(over));
        }
        let group = match membership {
            Membership::Kafka(metadata) => Some(metadata.clone()),
            Membership::Embedded(_) | Membership::Absent(_) => None,
        };
        if group.is_none() && !unit.positions.is_empty() {
            let group = match membership {
                Membership::Embedded(group) | Membership::Absent(group) => group.clone(),
                Membership::Kafka(_) => String::new(),
            };
            return Err(CommitError::Fenced(LogError::NotAMember { group }));
        }
        if unit.appends.is_empty() && unit.positions.is_empty() {
            return Ok(());
        }
        let (done, answer) = sync_channel(1);
        if self.work.send(Work { unit, group, done }).is_err() {
            self.over = Some(Over::Unknown);
            return Err(self.end(Over::Unknown));
        }
        let result = match answer.recv_timeout(COMMIT_TIME_MAX) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                tracing::warn!(instance = self.instance, "a commit did not return in time");
                Err(CommitError::Unknown(LogError::Closed))
            }
        };
        match &result {
            Err(CommitError::Fenced(LogError::TakenOver { .. })) => self.over = Some(Over::Fenced),
            Err(CommitError::Unknown(_)) => self.over = Some(Over::Unknown),
            // Losing partitions fences the unit, not the producer.
            Ok(()) | Err(CommitError::Fenced(_) | CommitError::NotApplied(_)) => {}
        }
        result
    }
}

/// A producer that has the transactions of this name to itself: what another, or the same before, had left open is aborted.
fn take_over(shared: &Shared, instance: &str) -> Result<Arc<BaseProducer<Reports>>, LogError> {
    let made = shared.options.committer(instance).create_with_context(Reports {
        instance: instance.to_owned(),
        first: Mutex::new(None),
    });
    let producer: BaseProducer<Reports> = made.map_err(failed("make a transactional producer"))?;
    let deadline = Instant::now() + TAKE_OVER_TIME_MAX;
    while let Err(error) = producer.init_transactions(deadline.saturating_duration_since(Instant::now())) {
        let again = matches!(&error, KafkaError::Transaction(cause) if cause.is_retriable());
        if !again || Instant::now() >= deadline {
            return Err(failed("take over the transactions")(error));
        }
    }
    Ok(Arc::new(producer))
}

/// A unit that was not committed.
struct Failed {
    /// What is known of it.
    known: CommitError,
    /// Whether its producer can do nothing more, and another of the same name is to abort what it left open.
    producer_is_lost: bool,
}

impl From<CommitError> for Box<Failed> {
    fn from(known: CommitError) -> Box<Failed> {
        Box::new(Failed {
            known,
            producer_is_lost: false,
        })
    }
}

fn serve(shared: &Shared, mut producer: Arc<BaseProducer<Reports>>, work: &Receiver<Work>) {
    let mut positions = Positions::new();
    loop {
        match work.recv_timeout(Duration::from_secs(1)) {
            Ok(Work { unit, group, done }) => {
                let mut result = commit(shared, &producer, &mut positions, &unit, group.as_ref());
                for _ in 0..ECHOES_MAX {
                    let known = result.as_ref().map_err(|failed| &failed.known);
                    if !matches!(known, Err(CommitError::NotApplied(error)) if is_echo(error)) {
                        break;
                    }
                    result = commit(shared, &producer, &mut positions, &unit, group.as_ref());
                }
                let result = result.map_err(|failed| {
                    if !failed.producer_is_lost {
                        return failed.known;
                    }
                    let instance = producer.context().instance.clone();
                    match take_over(shared, &instance) {
                        Ok(another) => {
                            producer = another;
                            failed.known
                        }
                        Err(error) => CommitError::Unknown(error),
                    }
                });
                // A caller that gave up counts the outcome as unknown.
                let _ = done.send(result);
            }
            // Between commits the client's events are served too.
            Err(RecvTimeoutError::Timeout) => producer.poll(Duration::ZERO),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// One transaction. Whatever fails before the end of the transaction is asked for is not applied; from then on, only an abort that the
/// coordinator confirmed says so.
fn commit(
    shared: &Shared,
    producer: &Arc<BaseProducer<Reports>>,
    positions: &mut Positions,
    unit: &Unit,
    group: Option<&Arc<ConsumerGroupMetadata>>,
) -> Result<(), Box<Failed>> {
    for append in &unit.appends {
        shared.check(append).map_err(CommitError::NotApplied)?;
    }
    let transactional = |error| sort(producer, failed("begin a transaction")(error), Stage::Idle);
    producer.begin_transaction().map_err(transactional)?;
    reach(FailPoint::TransactionBegun);
    producer.context().take_error();
    let deadline = Instant::now() + RECORDS_TIME_MAX;
    // The client's own commit would wait in steps of 100 ms: with nothing left under way it does not wait at all.
    let delivered = send_all(producer, unit, deadline).and_then(|()| drain(producer, unit, deadline));
    delivered.map_err(|error| undelivered(producer, error))?;
    reach(FailPoint::RecordsDelivered);
    if let Some(group) = group.filter(|_| !unit.positions.is_empty()) {
        let list = list(
            unit.positions
                .iter()
                .map(|(partition, offset)| (partition, Some(*offset))),
        );
        // The coordinator checks the member's generation here and not again. So every record stands by now: a restore of the partition by its
        // next owner waits for this transaction, and sees what becomes of it.
        let added = positions.add(producer, list, Arc::clone(group));
        added.map_err(|error| not_added(producer, error))?;
    }
    reach(FailPoint::PositionsAdded);
    let ended = retried(Instant::now() + CALL_TIME_MAX, |timeout| {
        producer.commit_transaction(timeout)
    });
    ended.map_err(|error| sort(producer, failed("commit a transaction")(error), Stage::Ending))?;
    reach(FailPoint::TransactionEnded);
    Ok(())
}

fn send_all(producer: &BaseProducer<Reports>, unit: &Unit, deadline: Instant) -> Result<(), LogError> {
    let mut topics = Topics::of(producer);
    for (index, append) in unit.appends.iter().enumerate() {
        let mut queued = topics.send(append, index);
        while let Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), index)) = queued {
            if Instant::now() > deadline {
                let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                return Err(named_record(full, "append in a transaction", append));
            }
            producer.poll(Duration::from_millis(1));
            queued = topics.send(append, index);
        }
        queued.map_err(|(error, _)| named_record(error, "append in a transaction", append))?;
        if index % SENDS_PER_SERVE == SENDS_PER_SERVE - 1 {
            producer.poll(Duration::ZERO);
        }
    }
    Ok(())
}

/// Waits until every record arrived, and tells of the first that did not.
fn drain(producer: &BaseProducer<Reports>, unit: &Unit, deadline: Instant) -> Result<(), LogError> {
    settle(producer, deadline.saturating_duration_since(Instant::now()));
    if let Some((index, error)) = producer.context().take_error() {
        return Err(match culprit(unit, index, &error) {
            Some(append) => named_record(error, "append in a transaction", append),
            None => failed("append in a transaction")(error),
        });
    }
    if producer.in_flight_count() > 0 {
        return Err(failed("append in a transaction")(KafkaError::Flush(
            RDKafkaErrorCode::OperationTimedOut,
        )));
    }
    Ok(())
}

/// The append that an error speaks of. The broker refuses a batch for one bad record in it, and the report of any of them may come first.
fn culprit<'a>(unit: &'a Unit, index: usize, error: &KafkaError) -> Option<&'a Append> {
    let reported = unit.appends.get(index)?;
    let keyless = |append: &&Append| append.to == reported.to && append.key.is_none();
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::InvalidRecord) => unit.appends.iter().find(keyless).or(Some(reported)),
        _ => Some(reported),
    }
}

/// Repeats a call while librdkafka calls its failure retriable and time is left.
pub(super) fn retried(deadline: Instant, call: impl Fn(Duration) -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match call(left.max(Duration::from_millis(1))) {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {}
            result => return result,
        }
    }
}

/// Where a transaction stood when it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    Open,
    Ending,
}

/// What is known after a failure, once the transaction is aborted where it can be.
fn sort(producer: &BaseProducer<Reports>, error: LogError, stage: Stage) -> CommitError {
    let fatal = producer.client().fatal_error().map(|(code, _)| code);
    let code = match &error {
        LogError::Kafka { source, .. } => source.rdkafka_error_code(),
        _ => None,
    };
    if [fatal, code].into_iter().flatten().any(is_take_over) {
        return CommitError::Fenced(LogError::TakenOver {
            instance: producer.context().instance.clone(),
        });
    }
    if fatal.is_some() {
        return CommitError::Unknown(error);
    }
    let abortable = match &error {
        LogError::Kafka {
            source: KafkaError::Transaction(cause),
            ..
        } => cause.txn_requires_abort(),
        _ => true,
    };
    match stage {
        Stage::Idle => return CommitError::Unknown(error),
        // The coordinator may have the end already: a time-out here tells nothing.
        Stage::Ending if !abortable => return CommitError::Unknown(error),
        Stage::Open | Stage::Ending => {}
    }
    if let Err(cause) = abort(producer) {
        tracing::warn!(
            error = &cause as &dyn std::error::Error,
            "a transaction could not be aborted"
        );
        return CommitError::Unknown(error);
    }
    if is_out_of_group(&error) {
        CommitError::Fenced(error)
    } else {
        CommitError::NotApplied(error)
    }
}

/// The records did not all arrive. Where time ran out, an abort would wait for them once more: when a broker dies, librdkafka 2.12 may keep records
/// of the partitions that it led for ever (tests/faults, one_broker). Another producer aborts what is open within a second, and the unit is known
/// not to be applied, for its end was never asked for.
fn undelivered(producer: &BaseProducer<Reports>, error: LogError) -> Box<Failed> {
    let is_late = match &error {
        LogError::Kafka { source, .. } => matches!(
            source.rdkafka_error_code(),
            Some(RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::MessageTimedOut)
        ),
        _ => false,
    };
    if is_late && producer.client().fatal_error().is_none() {
        return Box::new(Failed {
            known: CommitError::NotApplied(error),
            producer_is_lost: true,
        });
    }
    sort(producer, error, Stage::Open).into()
}

/// The positions are not part of the transaction. Where that is since nobody answered, another producer aborts what is open, as for records that
/// [did not arrive](undelivered): the end of the transaction was not asked for and will not be, and a call that hangs is fenced with its producer.
fn not_added(producer: &BaseProducer<Reports>, error: NotAdded) -> Box<Failed> {
    let failed = failed("add the positions to a transaction");
    let late = KafkaError::Global(RDKafkaErrorCode::OperationTimedOut);
    match error {
        NotAdded::Refused(error) => refused(producer, failed(error)),
        NotAdded::TooManyHang => CommitError::Unknown(failed(late)).into(),
        NotAdded::Unanswered => {
            let instance = &producer.context().instance;
            tracing::warn!(instance, "the positions of a transaction were not taken in time");
            Box::new(Failed {
                known: CommitError::NotApplied(failed(late)),
                producer_is_lost: true,
            })
        }
    }
}

/// The positions were refused. A member that merely lost its partitions is to go on, yet librdkafka 2.12 cannot end what it began: its abort
/// fails as fenced on Kafka 4.3, after some ten seconds, and the producer with it. So another producer aborts what is open. It may: the
/// coordinator had just taken the group into the transaction, so no other process has this name. The unit is known not to be applied.
fn refused(producer: &BaseProducer<Reports>, error: LogError) -> Box<Failed> {
    if !is_out_of_group(&error) {
        return sort(producer, error, Stage::Open).into();
    }
    let known = match &error {
        LogError::Kafka { source, .. } if source.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownMemberId) => {
            LogError::Expelled
        }
        _ => error,
    };
    Box::new(Failed {
        known: CommitError::Fenced(known),
        producer_is_lost: true,
    })
}

/// Whether the group has gone on without this member.
fn is_out_of_group(error: &LogError) -> bool {
    let LogError::Kafka { source, .. } = error else {
        return false;
    };
    matches!(
        source.rdkafka_error_code(),
        // The last: the member has joined anew under its name, and this proof is of before.
        Some(
            RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::FencedInstanceId
        )
    )
}

/// After an abort the producer takes a new epoch, and librdkafka may call the next transaction off for the failure of the one before. Such a
/// transaction is aborted too, so nothing of it was applied and it is simply done again.
fn is_echo(error: &LogError) -> bool {
    let LogError::Kafka { source, .. } = error else {
        return false;
    };
    matches!(
        source.rdkafka_error_code(),
        Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight | RDKafkaErrorCode::State)
    )
}

fn is_take_over(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch
    )
}

/// An abort does not serve delivery reports, so they are served first. What is under way is let arrive: a transaction the coordinator has not
/// heard of cannot be aborted, and a record dropped on its way leaves a gap in the producer's sequence.
fn abort(producer: &BaseProducer<Reports>) -> Result<(), KafkaError> {
    settle(producer, SETTLE_TIME_MAX);
    producer.purge(rdkafka::producer::PurgeConfig::default().queue());
    settle(producer, CALL_TIME_MAX);
    producer.context().take_error();
    retried(Instant::now() + CALL_TIME_MAX, |timeout| {
        producer.abort_transaction(timeout)
    })
}

/// Serves delivery reports until none is outstanding, or the time is over.
fn settle(producer: &BaseProducer<Reports>, time_max: Duration) {
    let deadline = Instant::now() + time_max;
    while producer.in_flight_count() > 0 && Instant::now() < deadline {
        // rdkafka's own poll and flush spin through the last millisecond of their time-out, here the whole of it: this was a fifth of what a
        // busy detector used. A look serves one batch of reports.
        let before = producer.in_flight_count();
        producer.poll(Duration::ZERO);
        if producer.in_flight_count() == before {
            std::thread::sleep(SETTLE_PAUSE);
        }
    }
}

/// Keeps the first delivery that failed in the open transaction.
struct Reports {
    instance: String,
    first: Mutex<Option<(usize, KafkaError)>>,
}

impl Reports {
    fn take_error(&self) -> Option<(usize, KafkaError)> {
        self.first.lock().expect("no holder of this lock panics").take()
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        client::heard(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        if let Err((error, _)) = result {
            let mut first = self.first.lock().expect("no holder of this lock panics");
            first.get_or_insert((index, error.clone()));
        }
    }
}
