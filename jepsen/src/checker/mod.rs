//! The judges: one file a property, each a pure function from a [`History`] to a [`Verdict`].
//!
//! No checker reads a clock, a file or another checker's mind, so the same ones judge a run over real
//! processes, a simulation and a file. An anomaly belongs to the checker whose name it bears: places
//! that disagree are C3's, not C4's, and so on; each file says where its border lies.

pub mod crash;
pub mod delay;
pub mod duplicate;
pub mod holes;
pub mod inconsistent_offset;
pub mod leader_read;
pub mod lost;
pub mod offset_bounds;
pub mod one_leader;
pub mod order;
pub mod phantom;
pub mod poll;
pub mod register;
pub mod stale_ack;
pub mod stale_read;
mod verdict;

use crate::history::History;

pub use verdict::{Validity, Verdict, WITNESSES_MAX, Witness};

/// All checkers over one history, C3 first, as the others lean on agreeing offsets.
pub fn check_all(history: &History) -> Vec<Verdict> {
    let offsets = inconsistent_offset::check(history);
    let mut order = order::check(history);
    if offsets.validity == Validity::Invalid {
        order.notes.push("offsets disagree (C3): order was judged by the places read first".to_owned());
    }
    vec![
        lost::check(history),
        phantom::check(history),
        offsets,
        duplicate::check(history),
        holes::check(history),
        order,
        poll::check(history),
        stale_read::check(history),
        register::check(history),
        offset_bounds::check(history),
        delay::check(history),
        one_leader::check(history),
        leader_read::check(history),
        stale_ack::check(history),
        crash::check(history),
    ]
}

/// A run is invalid if one property is, else unknown if one is, else valid.
pub fn overall<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Validity {
    verdicts.into_iter().map(|verdict| verdict.validity).max().unwrap_or(Validity::Unknown)
}

#[cfg(test)]
mod mutation;
#[cfg(test)]
pub(crate) mod script;
