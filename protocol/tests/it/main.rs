//! What this crate does with recorded bytes, with random values, and with broken input.

#![expect(clippy::unwrap_used, reason = "all of this crate is test code")]

mod bodies;
mod codes;
mod frames;
mod fuzz;
mod message_text;
mod names;
mod random;
mod seed;
mod send_and_pull;
mod units;
mod vectors;
