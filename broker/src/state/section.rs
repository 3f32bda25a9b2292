//! What every replicated table has in common.

use std::io;

use store::SectionWriter;
use store::codec::Record;

/// What takes sections: the file of a checkpoint, or a fingerprint.
pub trait Sink {
    /// Takes one table.
    ///
    /// # Errors
    /// If it cannot.
    fn put<R: Record>(&mut self, table: &R) -> io::Result<()>;
}

impl Sink for SectionWriter {
    fn put<R: Record>(&mut self, table: &R) -> io::Result<()> {
        Self::put(self, table)
    }
}

/// One replicated table, a section of every checkpoint.
pub(super) trait Section: Record + Clone + Default {
    /// About how many bytes it takes.
    fn bytes(&self) -> u64;

    /// Forgets what it has of a topic that is deleted.
    fn drop_topic(&mut self, _topic: &str) {}
}

/// The most that a table may take in a checkpoint; see [`super::BYTES_MAX`] for what it may really have.
pub(super) const SECTION_BYTES_MAX: usize = 1 << 30;

/// What a map's entry takes beside its parts.
pub(super) const ENTRY: u64 = 16;
/// Of a topic, a group and a lock, what is neither a name nor a text.
pub(super) const FIXED: u64 = 64;

/// About how many bytes a text takes.
pub(super) fn text(text: &str) -> u64 {
    ENTRY + text.len() as u64
}

/// About how many bytes pairs of texts take.
pub(super) fn texts<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> u64 {
    pairs.into_iter().map(|(name, value)| text(name) + text(value)).sum()
}
