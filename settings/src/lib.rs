//! Java property files: read with line numbers, overridden from the command line, and taken apart by a typed
//! [`Reader`] that gathers *every* error and warning, so that an operator mends a file in one go.
//!
//! Four steps: [`Properties::parse`] one file, [`Properties::set`] what the command line says, ask a [`Reader`]
//! for each known name, and [`Reader::finish`]. The names asked for *are* the table of known names: there is no
//! second list that could differ. This crate knows no property by name, and touches no file but those that hold a
//! secret.

mod nearest;
mod notice;
mod place;
mod properties;
mod reader;
mod secret;
mod syntax;

pub use notice::{Notice, Refusal, Refusals};
pub use place::Place;
pub use properties::{Entry, NotAPair, Properties};
pub use reader::{InForce, Reader, Values, Vocabulary};
pub use syntax::SyntaxError;
