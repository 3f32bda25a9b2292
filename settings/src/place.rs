//! Where a property was set, for people to find it again.

use std::fmt;
use std::sync::Arc;

/// Where a property was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a file.
    Line {
        /// The file, as the user named it.
        file: Arc<str>,
        /// Counted from 1; the first line where continuation lines follow.
        line: usize,
    },
    /// An option of the command line.
    CommandLine,
    /// An environment variable, by name.
    Environment(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{file} line {line}"),
            Self::CommandLine => write!(f, "command line"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
        }
    }
}
