//! Requests of our own that wait for a response, by the number we gave them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use protocol::Command;
use tokio::sync::oneshot;

/// Why the wait for a response ended without one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The connection closed, and the request had not been taken up for writing.
    BeforeWriting,
    /// The connection closed afterwards.
    AfterWriting,
}

type Waiter = oneshot::Sender<Result<Command, Lost>>;

/// `None` once closed: nobody may wait any more.
pub(crate) struct Pending {
    waiters: Mutex<Option<HashMap<i32, Waiter>>>,
}

impl Pending {
    pub fn new() -> Self {
        Self { waiters: Mutex::new(Some(HashMap::new())) }
    }

    /// Waits for the response `opaque` from now on; `None` if closed. Forgotten when the receiver's owner
    /// calls [`forget`](Self::forget).
    pub fn register(&self, opaque: i32) -> Option<oneshot::Receiver<Result<Command, Lost>>> {
        let (tx, rx) = oneshot::channel();
        let before = self.lock().as_mut()?.insert(opaque, tx);
        assert!(before.is_none(), "request number {opaque} is in use: more than 2^32 calls wait");
        Some(rx)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().as_ref().map_or(0, HashMap::len)
    }

    pub fn forget(&self, opaque: i32) {
        if let Some(waiters) = self.lock().as_mut() {
            waiters.remove(&opaque);
        }
    }

    /// Hands a response to whoever waits for it; gives it back if nobody does (any more).
    pub fn complete(&self, response: Command) -> Option<Command> {
        let waiter = self.lock().as_mut().and_then(|waiters| waiters.remove(&response.opaque));
        match waiter {
            Some(waiter) => waiter.send(Ok(response)).err().map(|back| back.expect("it was sent as Ok")),
            None => Some(response),
        }
    }

    /// Fails all waits at once: those in `unwritten` as never written, the others as written.
    pub fn close(&self, unwritten: &[i32]) {
        let Some(mut waiters) = self.lock().take() else { return };
        for opaque in unwritten {
            if let Some(waiter) = waiters.remove(opaque) {
                let _ = waiter.send(Err(Lost::BeforeWriting)); // its caller may have gone
            }
        }
        for (_, waiter) in waiters {
            let _ = waiter.send(Err(Lost::AfterWriting));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<i32, Waiter>>> {
        self.waiters.lock().expect("nothing panics under this lock but our own assertion")
    }
}
