//! One child process: started, watched, stopped, and started again with growing pauses if it keeps dying.

use std::fs::OpenOptions;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{ChildStdin, Command};

use super::plan::Process;
use crate::tied;

/// A child that lived this long did not die of its own start.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
/// Before a node is started again the others elect, and whoever killed it sees who leads instead.
const NODE_PAUSE: Duration = Duration::from_secs(3);
/// The pause before the second quick restart in a row; it doubles from there to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A child that runs.
#[derive(Debug)]
struct Running {
    pid: u32,
    since: Duration,
    /// The child ends when this does; see `tied`.
    _tie: ChildStdin,
}

/// One child, alive or not.
#[derive(Debug)]
pub(crate) struct Child {
    process: Process,
    /// At least this long it stays dead.
    pause_min: Duration,
    running: Option<Running>,
    /// Deaths in a row, each soon after its start.
    quick_deaths: u32,
    /// When it is to be started again; monotonic.
    pub restart_at: Option<Duration>,
}

/// How a child ended.
#[derive(Debug)]
pub(crate) struct Death {
    /// How long it had lived.
    pub lived: Duration,
    /// When it should be started again; monotonic.
    pub restart_at: Duration,
    /// It died soon after its start, and not for the first time.
    pub is_repeated: bool,
}

impl Child {
    /// A name server comes back at once: nobody takes over from it.
    pub(crate) fn namesrv(process: Process) -> Self {
        Self::new(process, Duration::ZERO)
    }

    /// A node comes back after a few seconds.
    pub(crate) fn node(process: Process) -> Self {
        Self::new(process, NODE_PAUSE)
    }

    fn new(process: Process, pause_min: Duration) -> Self {
        Self { process, pause_min, running: None, quick_deaths: 0, restart_at: None }
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.pid)
    }

    /// Starts it, its output appended to its log. The future waits for its end.
    ///
    /// It is in a process group of its own, so that Ctrl-C on the terminal reaches the parent only, which then
    /// stops its children in order.
    ///
    /// # Errors
    /// As the system says, about the log or the program.
    pub(crate) fn start(
        &mut self,
        now: Duration,
    ) -> io::Result<impl Future<Output = io::Result<ExitStatus>> + Send + 'static> {
        assert!(self.running.is_none(), "{} runs already", self.process.name);
        // The child writes there, not we, and it must append; so this file is not one of the disk's.
        let log = OpenOptions::new().create(true).append(true).open(&self.process.log)?;
        let mut child = Command::new(&self.process.command[0])
            .args(&self.process.command[1..])
            .env(tied::PARENT, std::process::id().to_string())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().expect("a child that was not waited for has an id");
        let tie = child.stdin.take().expect("its standard input is a pipe");
        self.running = Some(Running { pid, since: now, _tie: tie });
        self.restart_at = None;
        Ok(async move { child.wait().await })
    }

    /// Takes note that it ended.
    pub(crate) fn died(&mut self, now: Duration) -> Death {
        let running = self.running.take().expect("only a running child dies");
        let lived = now.saturating_sub(running.since);
        self.quick_deaths = if lived < SETTLED_AFTER { self.quick_deaths + 1 } else { 0 };
        Death {
            lived,
            restart_at: now + self.pause_min.max(pause(self.quick_deaths)),
            is_repeated: self.quick_deaths > 1,
        }
    }

    /// Asks it to stop; also one that is paused.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(|pid| Pid::from_raw(pid as i32)) {
            // It may just have ended by itself, which is as good.
            let _ = kill_process(pid, signal);
        }
    }
}

/// The first quick death costs nothing, those that follow more and more.
fn pause(quick_deaths: u32) -> Duration {
    match quick_deaths {
        0 | 1 => Duration::ZERO,
        more => PAUSE_MAX.min(PAUSE_MIN.saturating_mul(1 << (more - 2).min(16))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_and_pauses_grow_to_a_bound() {
        let pauses: Vec<_> = [0, 1, 2, 3, 4, 7, 8, 100].map(|deaths| pause(deaths).as_millis()).to_vec();
        assert_eq!(pauses, [0, 0, 250, 500, 1_000, 8_000, 10_000, 10_000]);
    }

    #[tokio::test]
    async fn a_child_writes_its_log_and_is_stopped_even_when_paused() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let script = "echo tied to ${TRIREME_PARENT:?}; exec cat";
        let process = Process {
            name: "n0".to_owned(),
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            conf: "none".into(),
            conf_text: String::new(),
            log: log.clone(),
            listens: vec![],
        };
        let mut child = Child::node(process);
        let ended = child.start(Duration::ZERO).unwrap();
        assert!(child.pid().is_some());
        child.signal(Signal::STOP);
        child.terminate();
        let status = ended.await.unwrap();
        assert!(!status.success());
        let death = child.died(Duration::from_secs(9));
        // S30: not at once, or the same node would mostly lead again.
        assert_eq!((death.lived, death.restart_at), (Duration::from_secs(9), Duration::from_secs(12)));
        assert_eq!(child.pid(), None);

        let ended = child.start(Duration::from_secs(10)).unwrap();
        drop(child); // and with it the pipe, which `cat` reads to its end
        assert!(ended.await.unwrap().success());
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(text.ends_with(&format!("tied to {}\n", std::process::id())), "{text}");
    }
}
