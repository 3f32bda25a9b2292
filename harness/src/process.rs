//! One child process: started with its output in a file, signalled by its own recorded pid, never by name.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result};
use platform::{Disk, OpenMode, OsDisk};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};

/// The environment variable by which the program learns whose child it is; it then ends with its parent.
const PARENT: &str = "TRIREME_PARENT";

/// A running child. Dropping it kills it; should we die without dropping, it ends by itself.
pub struct Process {
    child: Child,
    pid: Pid,
    /// Held open, never written to: its end tells the child that we are gone.
    _tie: Option<ChildStdin>,
    /// Whoever reads what it logs, if that is somebody else than a file.
    reader: Option<Reader>,
}

/// A process that copies a log from a pipe to its file.
struct Reader {
    child: Child,
    pid: Pid,
    pipe: std::io::PipeWriter,
}

/// What a process gets besides its arguments.
#[derive(Default)]
pub struct Surroundings {
    /// Added to its environment.
    pub env: Vec<(&'static str, PathBuf)>,
    /// Whether another process reads what it logs, which can be held.
    pub log_is_read: bool,
}

impl Process {
    /// Starts `binary` with `args`; what it prints goes to the new file `log`.
    ///
    /// The child lives no longer than the thread that calls this: call it from a test's own thread or from
    /// a runtime's worker.
    ///
    /// # Errors
    /// If the file cannot be made or the program not started.
    pub fn spawn(binary: &Path, args: &[OsString], log: &Path, surroundings: Surroundings) -> Result<Self> {
        let file = OsDisk.open(log, OpenMode::CreateNew).with_context(|| format!("log {}", log.display()))?;
        let file = file.as_file().expect("the system's own disk has files");
        let reader = if surroundings.log_is_read { Some(Reader::start(file.try_clone()?)?) } else { None };
        let output = || -> io::Result<Stdio> {
            Ok(match &reader {
                Some(reader) => Stdio::from(reader.pipe.try_clone()?),
                None => Stdio::from(file.try_clone()?),
            })
        };
        let mut child = Command::new(binary)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(output()?)
            .stderr(output()?)
            .env("RUST_BACKTRACE", "1")
            .env(PARENT, std::process::id().to_string())
            .envs(surroundings.env)
            // Ctrl-C on the terminal is for us; we end our children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let tie = child.stdin.take();
        Ok(Self { child, pid: pid.context("the child has no pid")?, _tie: tie, reader })
    }

    /// Its process id. Ours until [`Process::wait`] or [`Process::exited`] has seen the end.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If it has ended and was waited for.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // An un-reaped child keeps its pid, so this cannot hit anybody else.
        anyhow::ensure!(self.child.id().is_some(), "process {} has ended", self.pid());
        kill_process(self.pid, signal).with_context(|| format!("{signal:?} to process {}", self.pid()))
    }

    /// Stops whoever reads its log, and fills the pipe between them.
    ///
    /// # Errors
    /// If nobody but a file reads it.
    pub fn hold_log(&self) -> Result<()> {
        let reader = self.reader.as_ref().context("its log goes straight to a file")?;
        kill_process(reader.pid, Signal::STOP)?;
        let pipe = reader.pipe.try_clone()?;
        // It ends when the reader goes on, or is gone.
        tokio::task::spawn_blocking(move || crate::rig::stuff(pipe));
        Ok(())
    }

    /// Lets the reader of its log go on.
    ///
    /// # Errors
    /// As [`Process::hold_log`].
    pub fn release_log(&self) -> Result<()> {
        let reader = self.reader.as_ref().context("its log goes straight to a file")?;
        kill_process(reader.pid, Signal::CONT).context("wake the log's reader")
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// As the system says.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Reader {
    fn start(log: std::fs::File) -> Result<Self> {
        let (from, pipe) = io::pipe()?;
        let mut cat = Command::new("cat");
        cat.stdin(from).stdout(log).kill_on_drop(true);
        let child = cat.spawn().context("start `cat` to read a log")?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).context("`cat` has no pid")?;
        Ok(Self { child, pid, pipe })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // A held one would stay forever; killed, it ends held or not. It may have ended already.
        let _ = self.child.start_kill();
    }
}
