//! Jepsen: workloads, faults, histories and the checkers that judge them.

pub mod checker;
pub mod history;
pub mod scenario;
