//! How one connection comes to its end, and how its two tasks are woken on the way there.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// Requests are read and answered.
const OPEN: u8 = 0;
/// No further request is read; it closes when those in flight are answered.
const FINISHING: u8 = 1;
/// Final.
const CLOSED: u8 = 2;

/// The phase of one connection: open, finishing, closed, and never back.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    phase: AtomicU8,
    /// The read task looks at its surroundings again when told so.
    reader_wake: Notify,
    /// The write task looks at its queue and at the phase again when told so.
    writer_wake: Notify,
    /// Told once, when closed: the write task may be stuck in a write.
    writer_stop: Notify,
}

impl Lifecycle {
    pub fn new() -> Self {
        Self {
            phase: AtomicU8::new(OPEN),
            reader_wake: Notify::new(),
            writer_wake: Notify::new(),
            writer_stop: Notify::new(),
        }
    }

    pub fn is_open(&self) -> bool {
        self.phase.load(Ordering::Acquire) == OPEN
    }

    pub fn is_finishing(&self) -> bool {
        self.phase.load(Ordering::Acquire) == FINISHING
    }

    pub fn is_closed(&self) -> bool {
        self.phase.load(Ordering::Acquire) == CLOSED
    }

    /// From open to finishing; nothing in any other phase.
    pub fn finish(&self) {
        let was = self.phase.compare_exchange(OPEN, FINISHING, Ordering::AcqRel, Ordering::Acquire);
        if was.is_ok() {
            self.wake_reader();
            self.wake_writer();
        }
    }

    /// From any phase to closed. Whether it was not closed before; [`stop_tasks`](Self::stop_tasks) is the caller's
    /// then.
    pub fn close(&self) -> bool {
        self.phase.swap(CLOSED, Ordering::AcqRel) != CLOSED
    }

    /// Has both tasks see that the connection is closed, wherever they wait.
    pub fn stop_tasks(&self) {
        self.wake_reader();
        self.wake_writer();
        self.writer_stop.notify_one();
    }

    pub fn wake_reader(&self) {
        self.reader_wake.notify_one();
    }

    pub fn wake_writer(&self) {
        self.writer_wake.notify_one();
    }

    /// Resolves when the read task was woken, be it before the call.
    pub async fn reader_woken(&self) {
        self.reader_wake.notified().await;
    }

    /// Resolves when the write task was woken, be it before the call.
    pub async fn writer_woken(&self) {
        self.writer_wake.notified().await;
    }

    /// Resolves when closed, for one who waits.
    pub async fn writer_stopped(&self) {
        self.writer_stop.notified().await;
    }
}
