use std::collections::BTreeMap;

use tocsin_log::{Append, TopicPartition};

use super::{Broker, ProcessId};

/// The place of a transaction in [`Broker::ended`]'s source.
pub type TransactionId = usize;

/// One transaction.
#[derive(Debug)]
pub struct Transaction {
    instance: String,
    epoch: u32,
    process: ProcessId,
    opened_at_ms: u64,
    state: State,
    /// The first record in each partition.
    pub(super) first: BTreeMap<TopicPartition, u64>,
    positions: Vec<(TopicPartition, u64)>,
    /// Of each partition of the group in it: the epoch in which the process got it, and the one that stood when the positions were taken.
    owned: BTreeMap<TopicPartition, (Option<u64>, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Committed,
    Aborted,
}

/// A transaction that was committed.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Which.
    pub transaction: TransactionId,
    /// Whose.
    pub process: ProcessId,
    /// The epochs of its partitions: held, and newest when the positions were taken.
    pub owned: BTreeMap<TopicPartition, (Option<u64>, u64)>,
}

/// Why a step of a transaction is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A newer producer of the instance, or the transaction's time was up.
    Fenced,
    /// Another generation.
    Generation,
}

/// How long a transaction may be open: longer than a session, so that a partition may change hands meanwhile.
pub const TRANSACTION_MS: u64 = 2 * super::SESSION_MS;

impl Transaction {
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) fn is_committed(&self) -> bool {
        self.state == State::Committed
    }
}

impl Broker {
    /// A producer of this instance: what an older one left open is aborted. Tells its epoch.
    pub fn take_over(&mut self, instance: &str, now_ms: i64) -> u32 {
        let epoch = self.epochs.entry(instance.to_owned()).or_insert(0);
        *epoch += 1;
        let epoch = *epoch;
        let of_instance = |transaction: &Transaction| transaction.instance == instance && transaction.is_open();
        let open: Vec<TransactionId> = self.find(of_instance);
        for id in open {
            self.end_with(id, State::Aborted, now_ms);
        }
        epoch
    }

    fn find(&self, wanted: impl Fn(&Transaction) -> bool) -> Vec<TransactionId> {
        let all = self.transactions.iter().enumerate();
        all.filter(|(_, transaction)| wanted(transaction))
            .map(|(id, _)| id)
            .collect()
    }

    /// Aborts what was open for too long. Tells how many.
    pub fn sweep(&mut self, now_ms: u64) -> usize {
        let old =
            |transaction: &Transaction| transaction.is_open() && transaction.opened_at_ms + TRANSACTION_MS < now_ms;
        let old = self.find(old);
        for id in &old {
            self.end_with(*id, State::Aborted, now_ms as i64);
        }
        old.len()
    }

    /// Whether any transaction is open.
    pub fn has_open(&self) -> bool {
        self.transactions.iter().any(Transaction::is_open)
    }

    /// Opens a transaction.
    ///
    /// # Errors
    /// [`Refusal::Fenced`].
    pub fn open(
        &mut self,
        process: ProcessId,
        (instance, epoch): (&str, u32),
        now_ms: u64,
    ) -> Result<TransactionId, Refusal> {
        if self.epochs.get(instance) != Some(&epoch) {
            return Err(Refusal::Fenced);
        }
        self.transactions.push(Transaction {
            instance: instance.to_owned(),
            epoch,
            process,
            opened_at_ms: now_ms,
            state: State::Open,
            first: BTreeMap::new(),
            positions: Vec::new(),
            owned: BTreeMap::new(),
        });
        Ok(self.transactions.len() - 1)
    }

    fn check(&self, id: TransactionId) -> Result<&Transaction, Refusal> {
        let transaction = &self.transactions[id];
        let is_newest = self.epochs.get(&transaction.instance) == Some(&transaction.epoch);
        if is_newest && transaction.is_open() {
            Ok(transaction)
        } else {
            Err(Refusal::Fenced)
        }
    }

    /// Adds a record to an open transaction.
    ///
    /// # Errors
    /// [`Refusal::Fenced`].
    pub fn produce(&mut self, id: TransactionId, append: &Append, now_ms: i64) -> Result<(), Refusal> {
        self.check(id)?;
        let offset = self.append(append, Some(id), now_ms);
        self.transactions[id].first.entry(append.to.clone()).or_insert(offset);
        Ok(())
    }

    /// Gives positions to the coordinator: this is where a member's generation is looked at.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn add_positions(
        &mut self,
        id: TransactionId,
        positions: &[(TopicPartition, u64)],
        generation: u64,
    ) -> Result<(), Refusal> {
        let process = self.check(id)?.process;
        if !self.group.accepts(process, generation) {
            return Err(Refusal::Generation);
        }
        self.transactions[id].positions = positions.to_vec();
        Ok(())
    }

    /// Notes whose the partitions are for which the transaction writes state: of what stands under these names in the group.
    pub fn note_owners(&mut self, id: TransactionId, places: impl Iterator<Item = TopicPartition>) {
        let process = self.transactions[id].process;
        let owned = places.map(|place| {
            let epochs = (self.group.epoch_held(process, &place), self.group.epoch(&place));
            (place, epochs)
        });
        self.transactions[id].owned = owned.collect();
    }

    /// Commits.
    ///
    /// # Errors
    /// [`Refusal::Fenced`]: it was aborted before.
    pub fn commit(&mut self, id: TransactionId, now_ms: i64) -> Result<(), Refusal> {
        self.check(id)?;
        self.positions
            .extend(std::mem::take(&mut self.transactions[id].positions));
        self.end_with(id, State::Committed, now_ms);
        Ok(())
    }

    /// Aborts, if it is open.
    pub fn abort(&mut self, id: TransactionId, now_ms: i64) {
        if self.transactions[id].is_open() {
            self.end_with(id, State::Aborted, now_ms);
        }
    }

    fn end_with(&mut self, id: TransactionId, state: State, now_ms: i64) {
        self.transactions[id].state = state;
        let places: Vec<TopicPartition> = self.transactions[id].first.keys().cloned().collect();
        for to in places {
            let marker = Append {
                to,
                key: None,
                value: None,
                headers: Vec::new(),
            };
            self.push(&marker, Some(id), true, now_ms);
        }
        if state == State::Committed {
            self.ended.push(Ended {
                transaction: id,
                process: self.transactions[id].process,
                owned: self.transactions[id].owned.clone(),
            });
        }
    }
}
