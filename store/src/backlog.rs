//! What is built in memory and waits for a file.

/// What waits for a file, in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many bytes.
    pub bytes: u64,
    /// Why the last attempt to write failed, if it did.
    pub error: Option<String>,
}
