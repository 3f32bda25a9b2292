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

use std::fmt;

use serde::Serialize;

use crate::history::{History, Moment, Read, Send};

/// How a property came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validity {
    /// Nothing speaks against it, and enough was seen to say so.
    Valid,
    /// Nothing speaks against it, but too little was seen.
    Unknown,
    /// It does not hold; there is a witness.
    Invalid,
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
            Self::Invalid => "INVALID",
        })
    }
}

/// The fewest events that show one anomaly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Witness {
    /// What is wrong, in a sentence.
    pub what: String,
    /// Indexes of the events that show it.
    pub events: Vec<u64>,
}

/// What one checker found.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Its number, such as `C1`.
    pub id: &'static str,
    /// Its name, such as `lost`.
    pub name: &'static str,
    /// How the property came out.
    pub validity: Validity,
    /// How many anomalies there are.
    pub anomalies: u64,
    /// The first of them, at most [`WITNESSES_MAX`].
    pub witnesses: Vec<Witness>,
    /// Why it is unknown, or what else the reader must know.
    pub notes: Vec<String>,
}

/// So many anomalies are shown; the others are counted.
pub const WITNESSES_MAX: usize = 8;

impl Verdict {
    /// A property that nothing speaks against so far.
    pub fn new(id: &'static str, name: &'static str) -> Self {
        Self { id, name, validity: Validity::Valid, anomalies: 0, witnesses: Vec::new(), notes: Vec::new() }
    }

    /// Adds an anomaly.
    pub fn reject(&mut self, what: String, events: impl IntoIterator<Item = u64>) {
        self.validity = Validity::Invalid;
        self.anomalies += 1;
        if self.witnesses.len() < WITNESSES_MAX {
            self.witnesses.push(Witness { what, events: events.into_iter().collect() });
        }
    }

    /// Says that too little was seen. An anomaly found weighs more.
    pub fn doubt(&mut self, why: String) {
        self.validity = self.validity.max(Validity::Unknown);
        self.notes.push(why);
    }
}

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

/// The events of an operation, for a witness.
fn events(invoked: Moment, completed: Option<Moment>) -> impl Iterator<Item = u64> {
    std::iter::once(invoked.event).chain(completed.map(|moment| moment.event))
}

fn events_of_send(send: &Send) -> impl Iterator<Item = u64> {
    events(send.invoked, send.completed)
}

fn events_of_read(read: &Read) -> impl Iterator<Item = u64> {
    events(read.invoked, read.completed)
}

/// How a node is called in a witness.
fn at_node(read: &Read) -> &str {
    read.node.as_deref().unwrap_or("a node")
}

#[cfg(test)]
mod mutation;
#[cfg(test)]
pub(crate) mod script;
