use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header as KafkaHeader, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::native::Topics;
use super::{Shared, client, failed, named_record, number};
use crate::{Append, Appender, AppenderOptions, Completion, LogError};

/// An idempotent producer. A thread of its own serves the delivery reports.
pub(super) struct Producing {
    shared: Arc<Shared>,
    producer: Arc<BaseProducer<Reports>>,
    /// Of a gapless appender: whether a record failed.
    stopped: Option<Arc<AtomicBool>>,
    stop: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

/// How long the reports are waited for at a time, and the longest a drop waits for what is under way.
const SERVE_TIME: Duration = Duration::from_millis(100);
const DROP_TIME_MAX: Duration = Duration::from_secs(10);

impl Producing {
    pub(super) fn new(shared: Arc<Shared>, options: &AppenderOptions) -> Result<Self, LogError> {
        let made = shared.options.producer(options.gapless).create_with_context(Reports);
        let producer: Arc<BaseProducer<Reports>> = Arc::new(made.map_err(failed("make a producer"))?);
        let stop = Arc::new(AtomicBool::new(false));
        let (served, stopped) = (producer.clone(), stop.clone());
        let serve = move || {
            while !stopped.load(Ordering::Acquire) {
                served.poll(SERVE_TIME);
            }
        };
        let thread = std::thread::Builder::new().name(format!("append-{}", options.name));
        let server = thread.spawn(serve).map_err(|_| LogError::Closed)?;
        Ok(Producing {
            shared,
            producer,
            stopped: options.gapless.then(Arc::default),
            stop,
            server: Some(server),
        })
    }

    /// Queues one record; waits while the client's buffer is full.
    fn send(&self, topics: &mut Topics<'_, Reports>, append: &Append, slot: Slot) {
        if self
            .stopped
            .as_ref()
            .is_some_and(|stopped| stopped.load(Ordering::Acquire))
        {
            return slot.fill(Err(LogError::Stopped));
        }
        if let Err(refused) = self.shared.check(append) {
            return slot.fill(Err(refused));
        }
        let mut queued = topics.send(append, Box::new(slot));
        while let Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), slot)) = queued {
            // Reports free the buffer; whoever serves them, they are served.
            self.producer.poll(Duration::from_millis(1));
            queued = topics.send(append, slot);
        }
        if let Err((error, slot)) = queued {
            slot.fill(Err(named_record(error, "append", append)));
        }
    }
}

impl Appender for Producing {
    fn append(&self, records: Vec<Append>) -> Completion {
        let (done, completion) = Completion::channel();
        let call = Arc::new(Call(Mutex::new(Gathering {
            offsets: vec![0; records.len()],
            left: records.len(),
            error: None,
            done: Some(done),
        })));
        call.finish_if_complete();
        let mut topics = Topics::of(&self.producer);
        for (index, append) in records.iter().enumerate() {
            let (call, stopped) = (call.clone(), self.stopped.clone());
            self.send(&mut topics, append, Slot { call, index, stopped });
        }
        completion
    }
}

impl Drop for Producing {
    fn drop(&mut self) {
        let deadline = Instant::now() + DROP_TIME_MAX;
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            // A flush says only whether all is done: what failed was reported.
            let _ = self.producer.flush(SERVE_TIME);
        }
        self.stop.store(true, Ordering::Release);
        if let Some(server) = self.server.take()
            && server.join().is_err()
        {
            tracing::error!("the thread of an appender had panicked");
        }
    }
}

/// A record for librdkafka, with what its report is to reach.
pub(super) fn record<Report: rdkafka::util::IntoOpaque>(
    append: &Append,
    report: Report,
) -> BaseRecord<'_, [u8], [u8], Report> {
    let mut record = BaseRecord::with_opaque_to(&append.to.topic, report).partition(number(&append.to));
    record.key = append.key.as_deref();
    record.payload = append.value.as_deref();
    if !append.headers.is_empty() {
        let mut headers = OwnedHeaders::new_with_capacity(append.headers.len());
        for header in &append.headers {
            headers = headers.insert(KafkaHeader {
                key: &header.name,
                value: Some(header.value.as_ref()),
            });
        }
        record.headers = Some(headers);
    }
    record
}

/// One call of [`Appender::append`]: complete when each record's report came.
struct Call(Mutex<Gathering>);

struct Gathering {
    offsets: Vec<u64>,
    left: usize,
    error: Option<LogError>,
    done: Option<tokio::sync::oneshot::Sender<Result<Vec<u64>, LogError>>>,
}

impl Call {
    fn finish_if_complete(&self) {
        let mut gathering = self.0.lock().expect("no holder of this lock panics");
        if gathering.left > 0 {
            return;
        }
        let result = match gathering.error.take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut gathering.offsets)),
        };
        if let Some(done) = gathering.done.take() {
            // Whoever does not wait any more does not hear it.
            let _ = done.send(result);
        }
    }
}

struct Slot {
    call: Arc<Call>,
    index: usize,
    stopped: Option<Arc<AtomicBool>>,
}

impl Slot {
    fn fill(&self, result: Result<u64, LogError>) {
        if let (Some(stopped), Err(_)) = (&self.stopped, &result) {
            stopped.store(true, Ordering::Release);
        }
        let mut gathering = self.call.0.lock().expect("no holder of this lock panics");
        gathering.left -= 1;
        match result {
            Ok(offset) => gathering.offsets[self.index] = offset,
            Err(error) => drop(gathering.error.get_or_insert(error)),
        }
        drop(gathering);
        self.call.finish_if_complete();
    }
}

struct Reports;

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        client::heard(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Slot>;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: Box<Slot>) {
        slot.fill(match result {
            // A retry that the broker had taken already comes back without an offset: it is appended, once, and nobody says where.
            Ok(message) => Ok(u64::try_from(message.offset()).unwrap_or(u64::MAX)),
            Err((error, message)) => {
                let append = Append {
                    to: crate::TopicPartition::new(message.topic(), message.partition().max(0).cast_unsigned()),
                    key: message.key().map(bytes::Bytes::copy_from_slice),
                    value: message.payload().map(bytes::Bytes::copy_from_slice),
                    headers: Vec::new(),
                };
                Err(named_record(error.clone(), "append", &append))
            }
        });
    }
}
