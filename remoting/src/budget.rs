//! How much one connection may hold in memory at a time for the requests its peer sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::connection::Connection;

/// What the unanswered requests of a connection, and the replies not yet written, add up to.
///
/// The bound is soft by one frame: a request is admitted while there is any room, whatever its size, so a
/// frame larger than the whole bound still gets through, alone.
pub(crate) struct Budget {
    bytes: AtomicUsize,
    requests: AtomicUsize,
    bytes_max: usize,
    requests_max: usize,
}

impl Budget {
    pub fn new(bytes_max: usize, requests_max: usize) -> Self {
        assert!(bytes_max > 0 && requests_max > 0, "a connection without room for one request");
        Self { bytes: AtomicUsize::new(0), requests: AtomicUsize::new(0), bytes_max, requests_max }
    }

    pub fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Acquire) >= self.bytes_max
            || self.requests.load(Ordering::Acquire) >= self.requests_max
    }

    /// Whether no request is open.
    pub fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Acquire) == 0
    }
}

/// The share of one request, from its reading until its reply is written or given up.
pub(crate) struct Permit {
    connection: Arc<Connection>,
    bytes: usize,
    /// Those of the request, which count against all connections too.
    request_bytes: usize,
}

impl Permit {
    pub fn take(connection: &Arc<Connection>, bytes: usize) -> Self {
        connection.budget.requests.fetch_add(1, Ordering::AcqRel);
        connection.budget.bytes.fetch_add(bytes, Ordering::AcqRel);
        connection.limits.shared.take(bytes);
        Self { connection: connection.clone(), bytes, request_bytes: bytes }
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Adds the reply's bytes to those of the request.
    pub fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.connection.budget.bytes.fetch_add(bytes, Ordering::AcqRel);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.connection.limits.shared.give_back(self.request_bytes);
        let budget = &self.connection.budget;
        let bytes = budget.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        let requests = budget.requests.fetch_sub(1, Ordering::AcqRel);
        assert!(bytes >= self.bytes && requests >= 1, "a permit was given back twice");
        if bytes >= budget.bytes_max || requests >= budget.requests_max {
            self.connection.wake_reader();
        }
        if requests == 1 {
            self.connection.request_ended();
        }
    }
}
