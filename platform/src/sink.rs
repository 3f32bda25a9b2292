//! Standard output and standard error for processes that outlive their readers.
//!
//! A pipe that nobody reads is full after 64 KiB, and the next write into it waits forever; one whose reader is gone
//! fails. A server must neither wait nor die for that. So lines are handed to a thread that alone may wait, through a
//! queue with a bound; what does not fit is dropped and counted, and the count is written as soon as somebody reads
//! again.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// What may wait to be written, in bytes.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// Takes lines and never waits. Clones write to the same place.
#[derive(Clone)]
pub struct Sink {
    shared: Arc<Shared>,
}

struct Shared {
    /// What it is called in its own line about lost ones.
    name: &'static str,
    state: Mutex<State>,
    /// Told when there is something to write.
    filled: Condvar,
    /// Told when everything is written.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
    is_writing: bool,
    /// All lines that were dropped, since the start.
    lost: u64,
    /// Those of them that nobody was told of yet.
    untold: u64,
}

impl Sink {
    /// The process' standard error.
    pub fn stderr() -> &'static Self {
        static STDERR: OnceLock<Sink> = OnceLock::new();
        STDERR.get_or_init(|| Self::new("standard error", Box::new(io::stderr())))
    }

    /// The process' standard output.
    pub fn stdout() -> &'static Self {
        static STDOUT: OnceLock<Sink> = OnceLock::new();
        STDOUT.get_or_init(|| Self::new("standard output", Box::new(io::stdout())))
    }

    /// Writes to `out`, on a thread of its own that lives as long as the process.
    pub fn new(name: &'static str, out: Box<dyn Write + Send>) -> Self {
        let shared = Arc::new(Shared {
            name,
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        // Without a thread everything is lost and counted; there is no better place to say so.
        let _ = std::thread::Builder::new().name("log".into()).spawn(move || writer.write_all(out));
        Self { shared }
    }

    /// Queues `text`, whole lines with their line breaks, or drops and counts it. Never waits for the reader.
    pub fn push(&self, text: &[u8]) {
        let mut state = self.shared.lock();
        if state.waiting_bytes + text.len() > WAITING_BYTES_MAX {
            state.lose();
            return;
        }
        state.waiting_bytes += text.len();
        state.lines.push_back(text.to_vec());
        self.shared.filled.notify_one();
    }

    /// Queues `line` with a line break.
    pub fn line(&self, line: &str) {
        self.push(format!("{line}\n").as_bytes());
    }

    /// How many lines were dropped so far.
    pub fn lost(&self) -> u64 {
        self.shared.lock().lost
    }

    /// Waits until everything is written, or for `within`; for the end of a process.
    pub fn flush(&self, within: Duration) {
        let state = self.shared.lock();
        let is_busy = |state: &mut State| state.is_writing || !state.lines.is_empty();
        // It is over either way.
        let _ = self.shared.emptied.wait_timeout_while(state, within, is_busy);
    }
}

impl Write for &Sink {
    /// Takes `text` as one piece: what formats a line writes it at once.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.push(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    fn lose(&mut self) {
        self.lost += 1;
        self.untold += 1;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut out: Box<dyn Write + Send>) {
        loop {
            let (line, untold) = self.next();
            let told = match untold {
                0 => Ok(()),
                lost => writeln!(out, "{lost} lines lost: nobody read the {}", self.name),
            };
            let written = told.and_then(|()| out.write_all(&line)).and_then(|()| out.flush());
            let mut state = self.lock();
            state.is_writing = false;
            if written.is_err() {
                state.untold += untold;
                state.lose();
            }
            if state.lines.is_empty() {
                self.emptied.notify_all();
            }
        }
    }

    /// Waits for the next line; with how many were lost before it.
    fn next(&self) -> (Vec<u8>, u64) {
        let mut state = self.lock();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.waiting_bytes -= line.len();
                state.is_writing = true;
                return (line, std::mem::take(&mut state.untold));
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(30);

    /// Writes only what it is let through, and tells what.
    struct Gate {
        pass: mpsc::Receiver<io::Result<()>>,
        wrote: mpsc::Sender<String>,
    }

    impl Write for Gate {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.pass.recv().unwrap_or(Ok(()))?;
            let _ = self.wrote.send(String::from_utf8_lossy(text).into_owned());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Sink, mpsc::Sender<io::Result<()>>, mpsc::Receiver<String>) {
        let (let_pass, pass) = mpsc::channel();
        let (wrote, written) = mpsc::channel();
        (Sink::new("test", Box::new(Gate { pass, wrote })), let_pass, written)
    }

    /// S23: a log that nobody reads held the whole broker up.
    #[test]
    fn a_reader_that_stands_still_costs_lines_and_no_time() {
        let (sink, let_pass, written) = gated();
        let line = vec![b'x'; 1 << 10];
        for _ in 0..3_000 {
            sink.push(&line); // returns, although nothing is written
        }
        let lost = sink.lost();
        assert!((1_900..2_000).contains(&lost), "{lost} of 3000 lines of 1 KiB lost");
        sink.flush(Duration::from_millis(1)); // gives up in time
        drop(let_pass);
        sink.flush(LONG);
        sink.line("after");
        sink.flush(LONG);
        let text: String = written.try_iter().collect();
        assert!(text.contains(&format!("{lost} lines lost: nobody read the test\n")), "the loss is told");
        assert!(text.ends_with("after\n"));
    }

    /// S23: a closed standard error ended the process.
    #[test]
    fn a_reader_that_is_gone_costs_lines_only() {
        let (sink, let_pass, written) = gated();
        let_pass.send(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        sink.line("into nothing");
        sink.flush(LONG);
        assert_eq!(sink.lost(), 1);
        drop(let_pass);
        sink.line("heard");
        sink.flush(LONG);
        let text: String = written.try_iter().collect();
        assert!(text.starts_with("1 lines lost"), "{text}");
        assert!(text.ends_with("heard\n"), "{text}");
    }
}
