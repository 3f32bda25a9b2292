//! The client against brokers and name servers of one process, which do what the test tells them.

#![expect(clippy::unwrap_used, reason = "a test says by its panic where it failed")]

mod fake;
mod flow;
mod producer;
mod push;
