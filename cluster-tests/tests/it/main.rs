//! Stories over real processes: arrange, fault, wait, assert. Each begins a group of its own, and ends by
//! counting every acknowledged message at every node.
//!
//! One story at a time: three nodes and their load are enough for a small machine. Nothing here depends on
//! how fast anything is; waits have deadlines far above what a healthy group needs.

#![expect(clippy::unwrap_used, reason = "tests may panic, their helpers too")]

mod damage;
mod delay;
mod election;
mod hang;
mod kill;
mod mixed;
mod namesrv;
mod offsets;
mod partition;
mod pause;
mod purge;
mod restart;
mod story;
mod transfer;
mod wipe;
