//! A simulated machine but for its disk: workers, network and clock whose every step follows from a seed.
//!
//! All of it runs on one single-threaded tokio runtime with paused time, so that time passes only when nothing else can
//! happen. Nothing here reads a clock, a thread id or the order of a hash map.

mod clock;
mod net;
mod tasks;
mod trace;

pub use clock::SimClock;
pub use net::{SimHost, SimNet};
pub use tasks::{SimJobs, SimTasks, SimWorker};
pub use trace::Trace;
