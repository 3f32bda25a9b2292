//! Takes down what happens, in one order for all tasks, in memory and in `history.jsonl`.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::files::Appender;
use platform::{Clock, OsClock};

use crate::history::{Event, Facts, Function, Kind, Process, to_jsonl};

/// Lines are written in batches of this many events, and at the end.
const EVENTS_A_WRITE: usize = 500;

/// The one place where events get their number and their time. Cloning gives another handle.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
}

struct Inner {
    clock: OsClock,
    log: Mutex<Log>,
}

struct Log {
    events: Vec<Event>,
    written: usize,
    next_process: u64,
    file: Appender,
    failure: Option<io::Error>,
}

impl Recorder {
    /// Starts `path` from nothing; time begins now.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = Appender::create(path)?;
        let log = Log { events: Vec::new(), written: 0, next_process: 0, file, failure: None };
        Ok(Self { inner: Arc::new(Inner { clock: OsClock::new(), log: Mutex::new(log) }) })
    }

    /// Takes one event down, and gives back its time.
    ///
    /// # Panics
    /// Never by itself: only if another thread panicked while it recorded.
    pub fn record(&self, process: Process, kind: Kind, function: Function, facts: Facts) -> Duration {
        let mut log = self.inner.log.lock().expect("nothing panics while recording");
        // Under the lock, so that the order of times is the order of numbers.
        let at = self.inner.clock.monotonic();
        let index = log.events.len() as u64;
        log.events.push(Event { index, time_ns: at.as_nanos() as u64, process, kind, function, facts });
        if log.events.len() - log.written >= EVENTS_A_WRITE {
            log.write();
        }
        at
    }

    /// A fresh number for a client process.
    ///
    /// # Panics
    /// As [`Recorder::record`].
    pub fn new_process(&self) -> u64 {
        let mut log = self.inner.log.lock().expect("nothing panics while recording");
        log.next_process += 1;
        log.next_process - 1
    }

    /// Time since the beginning.
    pub fn now(&self) -> Duration {
        self.inner.clock.monotonic()
    }

    /// Everything so far, all of it written to the file.
    ///
    /// # Errors
    /// If a write failed, now or earlier.
    ///
    /// # Panics
    /// As [`Recorder::record`].
    pub fn finish(&self) -> io::Result<Vec<Event>> {
        let mut log = self.inner.log.lock().expect("nothing panics while recording");
        log.write();
        match log.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(log.events.clone()),
        }
    }
}

impl Log {
    fn write(&mut self) {
        let text = to_jsonl(&self.events[self.written..]).map_err(io::Error::other);
        let written = text.and_then(|text| self.file.append(&text));
        self.written = self.events.len();
        if let Err(failure) = written {
            self.failure.get_or_insert(failure);
        }
    }
}
