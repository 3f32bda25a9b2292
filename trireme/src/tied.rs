//! A child of `trireme up` ends with its parent, however that ends.
//!
//! Two ties, because each has a gap. The kernel kills the child when its parent dies, which also reaches a child
//! that is stopped; but only on Linux, and not if the parent died before the child asked for it. The child's
//! standard input is a pipe that the parent holds open and never writes to; its end is the parent's end.

use std::io::Read;
use std::time::Duration;

use platform::Platform;
use tokio::sync::watch;

use crate::log;

/// Set by the parent to its own process id. A node started by hand is tied to nobody.
pub(crate) const PARENT: &str = "TRIREME_PARENT";

/// How long an orphan may take to stop by itself.
const ORPHAN_STOPS_WITHIN: Duration = Duration::from_secs(5);

/// Ties this process to the parent that the environment names, if it names one. `stop` is set when that parent is
/// gone, and the process ends soon after in any case.
pub(crate) fn tie(platform: &Platform, stop: &watch::Sender<bool>) {
    let Ok(parent) = std::env::var(PARENT) else { return };
    // Best effort: where the kernel refuses, the pipe below still holds.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let is_here = rustix::process::getppid().is_some_and(|pid| pid.as_raw_nonzero().to_string() == parent);
    if !is_here {
        tracing::warn!(parent, "the process that started this one is gone");
        log::last_words();
        std::process::exit(1);
    }
    let (stop, clock) = (stop.clone(), platform.clock.clone());
    std::thread::spawn(move || {
        let mut byte = [0];
        // Nothing is ever written, but a stray byte is not a reason to stop.
        while matches!(std::io::stdin().read(&mut byte), Ok(1..)) {}
        tracing::warn!(parent, "the process that started this one is gone: stopping");
        stop.send_replace(true);
        let deadline = clock.monotonic() + ORPHAN_STOPS_WITHIN;
        while let Some(left) = deadline.checked_sub(clock.monotonic()).filter(|left| !left.is_zero()) {
            std::thread::park_timeout(left);
        }
        log::last_words();
        std::process::exit(1);
    });
}
