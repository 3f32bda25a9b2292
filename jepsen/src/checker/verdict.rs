//! What a checker finds: a verdict, with witnesses for what is wrong.

use std::fmt;

use serde::Serialize;

use crate::history::{Moment, Read, Send};

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

/// This many anomalies are shown; the others are counted.
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

/// The events of an operation, for a witness.
pub(super) fn events(invoked: Moment, completed: Option<Moment>) -> impl Iterator<Item = u64> {
    std::iter::once(invoked.event).chain(completed.map(|moment| moment.event))
}

pub(super) fn events_of_send(send: &Send) -> impl Iterator<Item = u64> {
    events(send.invoked, send.completed)
}

pub(super) fn events_of_read(read: &Read) -> impl Iterator<Item = u64> {
    events(read.invoked, read.completed)
}

/// How a node is called in a witness.
pub(super) fn at_node(read: &Read) -> &str {
    read.node.as_deref().unwrap_or("a node")
}
