//! One broker node in this process, and clients that talk to it over real sockets.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on fails")]

mod admin;
mod clients;
mod cold;
mod delay;
mod events;
mod follower;
mod malformed;
mod metrics;
mod offsets;
mod pull;
mod recording;
mod replay;
mod replay_clients;
mod send;
mod shown;
mod support;
