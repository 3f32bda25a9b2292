//! Stops the broker's runtime of a node while its other threads, Raft's among them, go on: what a lock that is never
//! released or a write that never returns would do.

use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::unistd::Pid;
use platform::{Disk, OpenMode, OsDisk};

/// The name that tokio gives the threads of the runtime; the kernel keeps 15 bytes of it.
const RUNTIME_THREADS: &str = "tokio-rt-worker";
/// Longer than any thread's name.
const NAME_BYTES_MAX: usize = 16;

/// Threads that stand still. Dropped, they go on.
pub(crate) struct Hang {
    /// Its end ends the thread that holds them, and with it the hold.
    _let_go: mpsc::Sender<()>,
}

impl Hang {
    /// Stops the runtime's threads of the process `pid`, which must be a child of this one.
    ///
    /// # Errors
    /// If there are none, or the system does not let them be traced.
    pub(crate) fn start(pid: i32) -> Result<Self> {
        let threads = runtime_threads(pid)?;
        ensure!(!threads.is_empty(), "process {pid} has no thread named {RUNTIME_THREADS}");
        let (let_go, held) = mpsc::channel::<()>();
        let (done, outcome) = mpsc::channel();
        // One thread traces and lets go: the kernel gives a traced thread to its tracer alone.
        thread::Builder::new().name("hang".into()).spawn(move || {
            let stopped = threads.iter().try_for_each(|id| {
                let stop = ptrace::seize(*id, ptrace::Options::empty()).and_then(|()| ptrace::interrupt(*id));
                // One that had nothing to do may have ended since it was listed.
                stop.or_else(|error| if error == Errno::ESRCH { Ok(()) } else { Err(error) })
            });
            if done.send(stopped).is_ok() {
                // Until the other end is dropped.
                let _ = held.recv();
            }
        })?;
        outcome
            .recv()
            .context("the tracing thread ended")?
            .with_context(|| format!("trace process {pid}"))?;
        Ok(Self { _let_go: let_go })
    }
}

fn runtime_threads(pid: i32) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for task in OsDisk.list(format!("/proc/{pid}/task").as_ref())? {
        // It may have ended since it was listed.
        let Ok(file) = OsDisk.open(&task.join("comm"), OpenMode::Read) else { continue };
        let mut name = [0; NAME_BYTES_MAX];
        // A file of this kind has no length: what is read ends with a line break.
        let is_one = file.as_file().is_some_and(|mut file| {
            std::io::Read::read(&mut file, &mut name)
                .is_ok_and(|len| name[..len].trim_ascii_end() == RUNTIME_THREADS.as_bytes())
        });
        let id = task.file_name().and_then(|id| id.to_str()).and_then(|id| id.parse().ok());
        found.extend(id.filter(|id| is_one && *id != pid).map(Pid::from_raw));
    }
    Ok(found)
}
