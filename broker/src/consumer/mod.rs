//! How far consumer groups are: their offsets, locks on queues, lag, and who consumes which queue.

#![expect(clippy::needless_pass_by_value, reason = "requests have one signature, `route::Function`")]

pub mod assignment;
pub mod lock;
pub mod offset;
pub mod offset_buffer;
pub mod progress;
