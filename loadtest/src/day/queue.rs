use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What is to come, first things first; at one time, first what was put in first.
///
/// The heap holds 12-byte keys and the items lie still beside it: moving a key is what a heap does most.
#[derive(Clone, Debug)]
pub(crate) struct Queue<T> {
    keys: BinaryHeap<Reverse<(u64, u32)>>,
    items: Vec<T>,
    free: Vec<u32>,
    put_in: u32,
}

impl<T: Copy> Queue<T> {
    pub(crate) fn new() -> Self {
        Queue {
            keys: BinaryHeap::new(),
            items: Vec::new(),
            free: Vec::new(),
            put_in: 0,
        }
    }

    /// Puts an item in, for a time in milliseconds from the beginning of the stream: 0 to 49 days.
    pub(crate) fn push(&mut self, at_ms: i64, item: T) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.items[slot as usize] = item;
                slot
            }
            None => {
                self.items.push(item);
                (self.items.len() - 1) as u32
            }
        };
        self.put_in = self.put_in.wrapping_add(1);
        self.keys
            .push(Reverse(((at_ms as u64) << 32 | u64::from(self.put_in), slot)));
    }

    /// The time of the first.
    pub(crate) fn first_at_ms(&self) -> Option<i64> {
        self.keys.peek().map(|Reverse((key, _))| (key >> 32) as i64)
    }

    /// Takes the first out, with its time.
    pub(crate) fn pop(&mut self) -> Option<(i64, T)> {
        let Reverse((key, slot)) = self.keys.pop()?;
        self.free.push(slot);
        Some(((key >> 32) as i64, self.items[slot as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_things_come_first_and_places_are_used_again() {
        let mut queue = Queue::new();
        for (at_ms, item) in [(30, 'c'), (10, 'a'), (30, 'd'), (20, 'b')] {
            queue.push(at_ms, item);
        }
        assert_eq!(queue.first_at_ms(), Some(10));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(10, 'a'), (20, 'b'), (30, 'c'), (30, 'd')]);
        queue.push(5, 'e');
        assert_eq!(queue.items.len(), 4);
        assert_eq!(queue.pop(), Some((5, 'e')));
        assert_eq!(queue.pop(), None);
    }
}
