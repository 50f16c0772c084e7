use std::ffi::c_void;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::bindings as native;

/// Rung by librdkafka's threads when a queue that was empty gets a message; stays rung until it is cleared.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.rings.notify_one();
    }

    pub(super) fn clear(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Returns when it is rung, or was before.
    pub(super) fn wait(&self, time_max: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.rings.wait_timeout_while(rung, time_max, |rung| !*rung));
    }
}

/// librdkafka calls it under the lock of the queue, so it does no more than this.
pub(super) unsafe extern "C" fn ring(_: *mut native::rd_kafka_t, bell: *mut c_void) {
    // SAFETY: the bell outlives the queues that ring it; see `Batches`.
    unsafe { (*bell.cast_const().cast::<Bell>()).ring() }
}
