//! What all connections of a process may take together: a number of sockets, and memory for requests.
//!
//! A bound for each connection alone is not a bound: a thousand of them may each have a large frame half sent. So a frame that
//! does not fit the usual buffer takes its whole length from here before more of it is read, and waits where there is
//! not so much left; a request keeps its bytes until it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Part of the process' open files that clients may have; the rest is for segments, queues, peers and HTTP.
const FILES_FOR_CLIENTS: (u64, u64) = (1, 2);
/// Part of the machine's memory that requests may take, and its bounds in bytes.
const MEMORY_PART: u64 = 8;
const BYTES: std::ops::RangeInclusive<u64> = (64 << 20)..=(512 << 20);

/// Taken from by all servers whose configuration has it.
#[derive(Debug)]
pub struct Shared {
    sockets: Arc<Semaphore>,
    bytes: AtomicUsize,
    bytes_max: usize,
    /// What frames on their way in may take: less, so that they never keep out what is small.
    large_bytes_max: usize,
    /// Told when bytes came back that somebody may wait for.
    freed: Notify,
}

impl Shared {
    /// Room for this many connections, and this many bytes of requests.
    ///
    /// # Panics
    /// If there is room for nothing.
    pub fn new(connections_max: usize, bytes_max: usize) -> Self {
        assert!(
            connections_max > 0 && bytes_max > 0,
            "room for {connections_max} connections, {bytes_max} bytes"
        );
        Self {
            sockets: Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS))),
            bytes: AtomicUsize::new(0),
            bytes_max,
            large_bytes_max: bytes_max - bytes_max / 4,
            freed: Notify::new(),
        }
    }

    /// As much as this machine and this process' limit of open files suggest.
    pub fn of_this_process() -> Self {
        let (part, of) = FILES_FOR_CLIENTS;
        let connections = platform::open_files_max() / of * part;
        let bytes = (platform::memory_bytes() / MEMORY_PART).clamp(*BYTES.start(), *BYTES.end());
        Self::new(connections.max(1) as usize, bytes as usize)
    }

    /// A place for one more connection, if there is one.
    pub(crate) fn socket(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.sockets).try_acquire_owned().ok()
    }

    /// Whether requests take all there is.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.bytes_max
    }

    /// Takes `bytes`, whether they are there or not.
    pub(crate) fn take(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes `bytes` for a frame on its way in, if they are there; one that is larger than all there is goes alone.
    pub(crate) fn try_take(&self, bytes: usize) -> bool {
        let fits =
            |taken: usize| (taken == 0 || taken + bytes <= self.large_bytes_max).then_some(taken + bytes);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        assert!(before >= bytes, "{bytes} bytes given back of {before}");
        // Whoever waits needs more than what was left, and that is at most a frame.
        if before + protocol::frame::FRAME_BYTES_MAX >= self.bytes_max {
            self.freed.notify_waiters();
        }
    }

    /// Resolves when bytes came back after it was first polled or enabled.
    pub(crate) fn freed(&self) -> tokio::sync::futures::Notified<'_> {
        self.freed.notified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_bounded_and_comes_back() {
        let shared = Shared::new(1, 100);
        assert!(shared.try_take(60) && !shared.try_take(16) && shared.try_take(15) && !shared.is_full());
        shared.take(25);
        assert!(shared.is_full());
        shared.give_back(100);
        assert!(shared.try_take(1_000), "a frame larger than all there is goes alone");
        assert!(!shared.try_take(1));
        let place = shared.socket();
        assert!(place.is_some() && shared.socket().is_none());
        drop(place);
        assert!(shared.socket().is_some());
    }
}
