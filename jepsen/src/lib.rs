//! Breaks a group of nodes on purpose, takes down everything that clients, nodes and nemesis did, and
//! judges from that alone whether the group kept its promises. The `jepsen` of Trireme.
//!
//! The way of a run: a [`scenario`] says what happens when; [`runner`] starts the processes and drives the
//! [`workload`] and the [`nemesis`] through its phases; all of them write one [`history`]; the
//! [`checker`]s read it, and [`report`] tells the result. The checkers depend on nothing but the history.
//!
//! This crate knows the wire and HTTP, and nothing of how the nodes are made.

pub mod checker;
mod cli;
pub mod history;
pub mod nemesis;
pub mod recorder;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod watch;
pub mod workload;

pub use cli::run;
