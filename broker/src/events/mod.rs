//! What happened to this node: its last 1,000 events in memory and in `events.jsonl`, for whoever asks afterwards.
//!
//! A log line tells the same at the time; an event is kept, also over restarts, and is asked for at `GET /events`. A thread
//! of its own writes the file, so that a disk that hangs holds up nobody; the file is a help and no promise, and is never
//! synced.

pub(crate) mod failover;
pub(crate) mod follow;
pub(crate) mod peers;
pub(crate) mod split;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use platform::{Clock, Disk, DiskFile, OpenMode};
use serde_json::{Map, Value, json};
use tracing::warn;

pub(crate) use peers::PeerTroubles;

/// Events that are kept.
const KEPT: usize = 1_000;
/// A file that is larger makes room for a new one; with the one before it, there are at most twice as many bytes.
const FILE_BYTES_MAX: u64 = 512 << 10;
/// What may wait for the thread that writes.
const WAITING_MAX: usize = 256;
const FILE: &str = "events.jsonl";
const FILE_BEFORE: &str = "events.1.jsonl";
/// The kind of a start, and of an end in order.
const BOOT: &str = "boot";
const EXIT: &str = "exit";

/// The events of one node.
pub struct Events {
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
    /// To the thread that writes.
    lines: mpsc::SyncSender<String>,
    /// Which peers do not answer, and why.
    pub(crate) peers: PeerTroubles,
    /// How the last change of leader went, if this node took over.
    pub(crate) last_failover: Mutex<Option<split::Split>>,
}

#[derive(Default)]
struct Kept {
    events: VecDeque<Value>,
    /// The number of the next one; goes on over restarts as far as the file tells.
    next: u64,
}

impl Events {
    /// Those that `dir` still has, and from now on new ones. A directory that cannot be read or written costs the events
    /// before and after this start, and nothing else.
    pub fn open(disk: &Arc<dyn Disk>, clock: Arc<dyn Clock>, dir: &Path) -> Self {
        let mut kept = Kept::default();
        for name in [FILE_BEFORE, FILE] {
            for event in read(&**disk, &dir.join(name)).unwrap_or_default() {
                kept.next = kept.next.max(event["n"].as_u64().map_or(0, |n| n + 1));
                kept.push(event);
            }
        }
        let (lines, waiting) = mpsc::sync_channel(WAITING_MAX);
        let writer = Writer { disk: Arc::clone(disk), dir: dir.to_owned(), file: None };
        let started = std::thread::Builder::new().name("events".into()).spawn(move || writer.run(&waiting));
        if let Err(error) = started {
            warn!(%error, "events are kept in memory only");
        }
        Self {
            clock,
            kept: Mutex::new(kept),
            lines,
            peers: PeerTroubles::default(),
            last_failover: Mutex::default(),
        }
    }

    /// Takes note of something. `facts` is an object, whose members stand beside time, kind and text.
    pub fn note(&self, kind: &'static str, text: impl Into<String>, facts: Value) {
        let at_ms = self.clock.wall_ms();
        let mut kept = self.lock();
        let mut event = Map::new();
        event.insert("n".into(), json!(kept.next));
        event.insert("atMs".into(), json!(at_ms));
        event.insert("at".into(), json!(crate::local_time::written(at_ms)));
        event.insert("kind".into(), json!(kind));
        event.insert("text".into(), json!(text.into()));
        if let Value::Object(facts) = facts {
            event.extend(facts);
        }
        let event = Value::Object(event);
        let line = format!("{event}\n");
        kept.next += 1;
        kept.push(event);
        drop(kept);
        // A writer that is behind by hundreds of events waits for a disk that hangs.
        let _ = self.lines.try_send(line);
    }

    /// Takes note of the start, and of how the run before it ended.
    pub fn booted(&self) {
        let last = self.lock().events.back().cloned();
        let before = match &last {
            None => "the first start in this directory".to_owned(),
            Some(last) if last["kind"] == EXIT => {
                format!("the run before ended: {}", last["text"].as_str().unwrap_or("?"))
            }
            Some(last) => format!(
                "the run before ended without a word (killed, or the machine went down); last event: {} at {}",
                last["text"].as_str().unwrap_or("?"),
                last["at"].as_str().unwrap_or("?")
            ),
        };
        let version = env!("CARGO_PKG_VERSION");
        self.note(BOOT, format!("started, version {version}; {before}"), json!({"pid": std::process::id()}));
    }

    /// Takes note of the end.
    pub fn ended(&self, why: &str) {
        self.note(EXIT, why, Value::Null);
    }

    /// The events from number `from` on, oldest first, the newest `limit` of them.
    pub fn since(&self, from: u64, limit: usize) -> Vec<Value> {
        let kept = self.lock();
        let events = kept.events.iter().filter(|event| event["n"].as_u64().is_some_and(|n| n >= from));
        let events: Vec<_> = events.collect();
        events[events.len().saturating_sub(limit)..].iter().map(|event| (*event).clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, event: Value) {
        if self.events.len() >= KEPT {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

/// Whole lines only: the last one may have been cut short.
fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<Value>> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut text = vec![0; file.len()?.min(2 * FILE_BYTES_MAX) as usize];
    file.read_exact_at(&mut text, 0)?;
    let lines = text.split(|byte| *byte == b'\n');
    Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).filter(Value::is_object).collect())
}

struct Writer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// With its length.
    file: Option<(Arc<dyn DiskFile>, u64)>,
}

impl Writer {
    fn run(mut self, waiting: &mpsc::Receiver<String>) {
        let mut was_written = true;
        while let Ok(line) = waiting.recv() {
            let written = self.write(&line);
            if let Err(error) = &written {
                self.file = None;
                if was_written {
                    warn!(dir = %self.dir.display(), %error, "events are not written; they stay in memory");
                }
            }
            was_written = written.is_ok();
        }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let (file, bytes) = match self.file.take() {
            Some((file, bytes)) if bytes + line.len() as u64 <= FILE_BYTES_MAX => (file, bytes),
            Some(_) => {
                self.disk.rename(&self.dir.join(FILE), &self.dir.join(FILE_BEFORE))?;
                self.open()?
            }
            None => self.open()?,
        };
        file.write_all_at(&[IoSlice::new(line.as_bytes())], bytes)?;
        self.file = Some((file, bytes + line.len() as u64));
        Ok(())
    }

    /// At its end, behind a line break if the last run was cut off within a line.
    fn open(&self) -> io::Result<(Arc<dyn DiskFile>, u64)> {
        let file = self.disk.open(&self.dir.join(FILE), OpenMode::Create)?;
        let bytes = file.len()?;
        let mut last = [b'\n'];
        if bytes > 0 {
            file.read_exact_at(&mut last, bytes - 1)?;
        }
        if last == [b'\n'] {
            return Ok((file, bytes));
        }
        file.write_all_at(&[IoSlice::new(b"\n")], bytes)?;
        Ok((file, bytes + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::{OsClock, OsDisk};

    fn open(dir: &Path) -> Events {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        Events::open(&disk, Arc::new(OsClock::new()), dir)
    }

    fn written(dir: &Path, events: usize) {
        let lines = || read(&OsDisk, &dir.join(FILE)).map_or(0, |lines| lines.len());
        for _ in 0..3_000 {
            if lines() >= events {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        panic!("{} of {events} events are in the file", lines());
    }

    /// S25: nothing told afterwards what had happened.
    #[test]
    fn events_outlive_the_process_and_tell_how_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        let events = open(dir.path());
        events.booted();
        events.note("term", "term 7", json!({"term": 7}));
        written(dir.path(), 2);
        drop(events);
        let events = open(dir.path());
        events.booted();
        events.ended("SIGTERM");
        let all = events.since(0, 10);
        let numbers: Vec<_> = all.iter().map(|event| event["n"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
        assert_eq!((&all[1]["term"], &all[1]["kind"]), (&json!(7), &json!("term")));
        assert!(all[0]["text"].as_str().unwrap().contains("the first start"), "{}", all[0]);
        assert!(all[2]["text"].as_str().unwrap().contains("without a word"), "{}", all[2]);
        written(dir.path(), 4);
        let events = open(dir.path());
        events.booted();
        assert!(events.since(4, 1)[0]["text"].as_str().unwrap().contains("the run before ended: SIGTERM"));
    }

    #[test]
    fn memory_and_files_have_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let mut writer = Writer { disk: Arc::clone(&disk), dir: dir.path().to_owned(), file: None };
        let line = format!("{{\"n\":1,\"text\":\"{}\"}}\n", "x".repeat(400));
        (0..4_000).for_each(|_| writer.write(&line).unwrap());
        let bytes = |name: &str| disk.open(&dir.path().join(name), OpenMode::Read).unwrap().len().unwrap();
        assert!(bytes(FILE) <= FILE_BYTES_MAX && bytes(FILE_BEFORE) <= FILE_BYTES_MAX);
        assert_eq!(open(dir.path()).since(0, usize::MAX).len(), KEPT);
    }
}
