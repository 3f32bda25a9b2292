//! What ends a group: Ctrl-C, SIGTERM, and a terminal that goes away.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// `SIGHUP`, the same number on every Unix.
const HANGUP: u32 = 1;

/// The signals that stop a group.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where whoever started us chose to ignore it, as `nohup` does.
    hangup: Option<Signal>,
}

impl Stop {
    /// Listens from now on.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if is_ignored(&status(), HANGUP) { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Waits for the next of them.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = Self::hung_up(&mut self.hangup) => {}
        }
    }

    async fn hung_up(hangup: &mut Option<Signal>) {
        match hangup {
            Some(hangup) => {
                hangup.recv().await;
            }
            None => std::future::pending().await,
        }
    }
}

/// What Linux says of this process; empty elsewhere, and then nothing counts as ignored.
fn status() -> String {
    std::fs::read_to_string("/proc/self/status").unwrap_or_default()
}

/// Whether the process was started with `signal` ignored: bit `signal - 1` of the mask `SigIgn`.
fn is_ignored(status: &str, signal: u32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_respected() {
        assert!(is_ignored("Name:\ttrireme\nSigIgn:\t0000000000000001\n", HANGUP));
        assert!(!is_ignored("SigIgn:\t0000000000001002\n", HANGUP));
        assert!(!is_ignored("", HANGUP));
    }
}
