//! Sending: from a request to a committed message, and messages that consumers give back.

pub mod back;
pub mod check;
pub mod requests;
