//! What the reader has to say: notices that let the process start, and refusals that do not.

use std::fmt;

use crate::Place;

/// Something the operator should know; the process starts all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// No known name: the property does nothing.
    Unknown {
        /// As written.
        key: String,
        /// Where.
        place: Place,
        /// The known name most like it, if one is.
        nearest: Option<String>,
    },
    /// Another spelling of a known name, taken for it.
    Alias {
        /// As written.
        key: String,
        /// The name it stands for.
        name: String,
        /// Where.
        place: Place,
    },
    /// A name of RocketMQ's that changes nothing here.
    WithoutEffect {
        /// As written.
        key: String,
        /// Where.
        place: Place,
    },
    /// Set more than once in one file.
    Repeated {
        /// The name.
        key: String,
        /// Where the value stands that is not in force.
        earlier: Place,
        /// Where the one stands that is.
        place: Place,
    },
    /// Neither `true` nor `false`, and so false, as in Java.
    OddBoolean {
        /// The name.
        key: String,
        /// As written.
        value: String,
        /// Where.
        place: Place,
    },
    /// What else is worth a warning.
    Warning(String),
}

impl Notice {
    /// Whether it deserves a warning; the others only inform.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Self::Alias { .. } | Self::WithoutEffect { .. })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { key, place, nearest: Some(nearest) } => {
                write!(f, "{place}: {key} is no known property and does nothing; did you mean {nearest}?")
            }
            Self::Unknown { key, place, nearest: None } => {
                write!(f, "{place}: {key} is no known property and does nothing")
            }
            Self::Alias { key, name, place } => write!(f, "{place}: {key} is taken for {name}"),
            Self::WithoutEffect { key, place } => {
                write!(f, "{place}: {key} is accepted and has no effect here")
            }
            Self::Repeated { key, earlier, place } => {
                write!(f, "{place}: {key} is set again; the value of {earlier} does not count")
            }
            Self::OddBoolean { key, value, place } => {
                write!(f, "{place}: {key} = {value:?} counts as false, as in RocketMQ; write true or false")
            }
            Self::Warning(text) => f.write_str(text),
        }
    }
}

/// Why the process must not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A known name with a value it cannot have.
    #[error("{place}: {key} = {value:?} is refused; allowed is {allowed}")]
    Value {
        /// The name.
        key: String,
        /// As written.
        value: String,
        /// Where.
        place: Place,
        /// What it may be, for people.
        allowed: String,
    },
    /// Values that are each allowed, but not together.
    #[error("{}{why}", quoted(.set))]
    Together {
        /// Those of the names that were set, with their values and places.
        set: Vec<(String, String, Place)>,
        /// Why not, and what to do.
        why: String,
    },
}

fn quoted(set: &[(String, String, Place)]) -> String {
    let parts: Vec<_> = set.iter().map(|(key, value, place)| format!("{place}: {key} = {value:?}")).collect();
    if parts.is_empty() { String::new() } else { format!("{}: ", parts.join(" with ")) }
}

/// Every reason why the process must not start, one a line. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// In the order they were met.
    pub refusals: Vec<Refusal>,
    /// What would have been said besides.
    pub notices: Vec<Notice>,
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, refusal) in self.refusals.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{refusal}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusals {}
