//! The one node that decides: who that is now, and how another one gets it to.

pub mod confirm;
pub mod forward;
pub mod peer_call;
pub mod submit;
pub mod who_answers;
