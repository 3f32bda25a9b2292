//! The seams to the machine: [`Disk`], [`Clock`], [`Net`], [`RngSource`] and [`Tasks`].
//!
//! No other crate touches files, clocks, sockets or randomness directly (`clippy.toml` forbids it), so
//! that the real code can run over simulated ones. This crate knows nothing of messages, logs or nodes.

mod clock;
mod disk;
mod histogram;
mod net;
mod ports;
mod rng;
#[cfg(feature = "sim")]
pub mod sim;
mod sink;
mod task_group;
mod tasks;
mod work;

use std::sync::Arc;

pub use clock::{Clock, ManualClock, OsClock};
pub use disk::{Disk, DiskFile, DiskLock, FileBirth, OpenMode, OsDisk, Space};
pub use histogram::{Counts, Histogram};
pub use net::{Connection, Listener, Net, TokioNet};
pub use ports::{BLOCK_PORTS, PortBlock};
pub use rng::{OsRng, RngSource, SeededRng};
pub use sink::Sink;
pub use task_group::{Spawner, TaskGroup, draw_seed, of_group, spawn};
pub use tasks::{Jobs, Tasks, Worker};
pub use work::Work;

/// Bytes of main memory of this machine.
pub fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram * u64::from(info.mem_unit)
}

/// How many files and sockets this process may have open.
pub fn open_files_max() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// All five seams, handed to whatever runs on a machine. Cloning is cheap.
#[derive(Clone)]
pub struct Platform {
    /// Files and directories.
    pub disk: Arc<dyn Disk>,
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Listening and connecting.
    pub net: Arc<dyn Net>,
    /// Random number generators, one a purpose.
    pub rng: Arc<dyn RngSource>,
    /// Work beside the caller.
    pub tasks: Tasks,
}

impl Platform {
    /// The operating system's own.
    pub fn os() -> Self {
        Self {
            disk: Arc::new(OsDisk),
            clock: Arc::new(OsClock::new()),
            net: Arc::new(TokioNet),
            rng: Arc::new(OsRng),
            tasks: Tasks::Threads,
        }
    }
}
