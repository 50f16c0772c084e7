use std::collections::VecDeque;

use tocsin_log::{Completion, LogError};

/// Batches of appends on their way at most; more are waited for.
const BATCHES_MAX: usize = 32;
/// Bytes of appends on their way at most; more are waited for. A batch that is larger by itself is let through.
const BYTES_MAX: usize = 32 << 20;

/// The batches handed to the appender and not yet in the log, in order.
#[derive(Default)]
pub(crate) struct OnTheirWay {
    batches: VecDeque<(Completion, usize)>,
    bytes: usize,
}

impl OnTheirWay {
    pub(crate) fn push(&mut self, batch: Completion, bytes: usize) {
        self.batches.push_back((batch, bytes));
        self.bytes += bytes;
    }

    /// Lets go of what is in the log, and waits for the first while too much is not.
    pub(crate) fn settle(&mut self) -> Result<(), LogError> {
        while let Some((first, _)) = self.batches.front_mut() {
            match first.poll_now() {
                Some(result) => {
                    self.pop();
                    result?;
                }
                None if self.is_too_much() => self.wait_for_first()?,
                None => break,
            }
        }
        Ok(())
    }

    /// Waits until everything is in the log.
    pub(crate) fn wait_for_all(&mut self) -> Result<(), LogError> {
        while !self.batches.is_empty() {
            self.wait_for_first()?;
        }
        Ok(())
    }

    fn wait_for_first(&mut self) -> Result<(), LogError> {
        match self.pop() {
            Some(first) => first.wait().map(drop),
            None => Ok(()),
        }
    }

    fn pop(&mut self) -> Option<Completion> {
        let (first, bytes) = self.batches.pop_front()?;
        self.bytes -= bytes;
        Some(first)
    }

    fn is_too_much(&self) -> bool {
        self.batches.len() > BATCHES_MAX || self.bytes > BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is on its way has a limit in batches and in bytes, and what went wrong is not passed over.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn too_much_is_many_batches_or_many_bytes() {
        for (batches, bytes, too_much) in [
            (BATCHES_MAX, 1, false),
            (BATCHES_MAX + 1, 1, true),
            (2, BYTES_MAX / 2, false),
            (2, BYTES_MAX / 2 + 1, true),
        ] {
            let mut on_their_way = OnTheirWay::default();
            let mut senders = Vec::new();
            for _ in 0..batches {
                let (sender, batch) = Completion::channel();
                senders.push(sender);
                on_their_way.push(batch, bytes);
            }
            assert_eq!(on_their_way.is_too_much(), too_much, "{batches} of {bytes}");
            for sender in senders {
                sender.send(Ok(Vec::new())).unwrap();
            }
            on_their_way.settle().unwrap();
            assert!(!on_their_way.is_too_much() && on_their_way.batches.is_empty());
        }
    }

    #[test]
    fn a_batch_that_failed_is_told() {
        let mut on_their_way = OnTheirWay::default();
        let (sender, batch) = Completion::channel();
        on_their_way.push(batch, 1);
        on_their_way.settle().unwrap();
        sender.send(Err(LogError::Stopped)).unwrap();
        assert!(matches!(on_their_way.settle(), Err(LogError::Stopped)));
    }
}
