//! How much one connection may hold in memory at a time for the requests its peer sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::lifecycle::Lifecycle;
use crate::shared::Shared;

/// What the unanswered requests of a connection, and the replies not yet written, add up to.
///
/// The bound is soft by one frame: a request is admitted while there is any room, whatever its size, so a
/// frame larger than the whole bound still gets through, alone.
pub(crate) struct Budget {
    bytes: AtomicUsize,
    requests: AtomicUsize,
    bytes_max: usize,
    requests_max: usize,
    /// What all connections take together.
    shared: Arc<Shared>,
    /// Whose reader waits for room, and whose writer, when finishing, for the last request.
    lifecycle: Arc<Lifecycle>,
}

impl Budget {
    pub fn new(
        bytes_max: usize,
        requests_max: usize,
        shared: Arc<Shared>,
        lifecycle: Arc<Lifecycle>,
    ) -> Self {
        assert!(bytes_max > 0 && requests_max > 0, "a connection without room for one request");
        let (bytes, requests) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { bytes, requests, bytes_max, requests_max, shared, lifecycle }
    }

    pub fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Acquire) >= self.bytes_max
            || self.requests.load(Ordering::Acquire) >= self.requests_max
    }

    /// Whether no request is open.
    pub fn is_idle(&self) -> bool {
        self.requests() == 0
    }

    /// Requests that are unanswered, or whose replies are unwritten.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }
}

/// The share of one request, from its reading until its reply is written or given up.
pub(crate) struct Permit {
    budget: Arc<Budget>,
    bytes: usize,
    /// Those of the request, which count against all connections too.
    request_bytes: usize,
}

impl Permit {
    pub fn take(budget: &Arc<Budget>, bytes: usize) -> Self {
        budget.requests.fetch_add(1, Ordering::AcqRel);
        budget.bytes.fetch_add(bytes, Ordering::AcqRel);
        budget.shared.take(bytes);
        Self { budget: budget.clone(), bytes, request_bytes: bytes }
    }

    /// Adds the reply's bytes to those of the request.
    pub fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.budget.bytes.fetch_add(bytes, Ordering::AcqRel);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let budget = &*self.budget;
        budget.shared.give_back(self.request_bytes);
        let bytes = budget.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        let requests = budget.requests.fetch_sub(1, Ordering::AcqRel);
        assert!(bytes >= self.bytes && requests >= 1, "a permit was given back twice");
        if bytes >= budget.bytes_max || requests >= budget.requests_max {
            budget.lifecycle.wake_reader();
        }
        if requests == 1 && budget.lifecycle.is_finishing() {
            budget.lifecycle.wake_writer();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_takes_its_share_and_gives_it_back_with_its_reply() {
        let shared = Arc::new(Shared::new(1, 100));
        let budget = Arc::new(Budget::new(50, 2, shared.clone(), Arc::new(Lifecycle::new())));
        let mut first = Permit::take(&budget, 20);
        assert!(!budget.is_full() && !budget.is_idle());
        first.grow(30);
        assert!(budget.is_full(), "a reply counts as well");
        assert!(shared.try_take(55) && !shared.try_take(1), "the reply does not count against the others");
        shared.give_back(55);
        drop(first);
        assert!(!budget.is_full() && budget.is_idle());
        let both = [Permit::take(&budget, 1), Permit::take(&budget, 1)];
        assert!(budget.is_full(), "two requests are all that may be open");
        drop(both);
        assert!(budget.is_idle());
    }
}
