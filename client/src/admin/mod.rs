//! Calls for operators.

/// Asks and sets what operators want to know and set.
pub struct Admin {}
