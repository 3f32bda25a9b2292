//! What a run comes to: figures, gates, a verdict on the terminal and in `results.json`.

mod gates;
mod stats;
mod text;

use serde::Serialize;

pub use gates::{coverage, limits};
pub use stats::{FaultStats, Quantiles, Stats, Window, stats};
pub use text::render;

use crate::checker::{Validity, Verdict};

/// Everything about a run, as `results.json` has it.
#[derive(Debug, Serialize)]
pub struct Results {
    /// The scenario's name.
    pub scenario: String,
    /// The seed that its random choices followed.
    pub seed: u64,
    /// How the run came out.
    pub validity: Validity,
    /// Why it could not be finished, if it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub harness_failure: Option<String>,
    /// What each checker and gate found.
    pub verdicts: Vec<Verdict>,
    /// The figures.
    pub stats: Stats,
}
