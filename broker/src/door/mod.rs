//! Where requests come in: each door translates, has a slice do what is asked, and translates what came of it.

pub mod exchange;
pub mod http;
pub mod peer;
pub mod remoting;
