//! Pulling: what lies in a queue, handed out now or when it comes.

pub mod held;
pub mod long_poll;
pub mod look;
pub mod requests;
pub mod wake;
