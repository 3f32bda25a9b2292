//! Counting queue offsets from a checkpoint to the end of the log.
//!
//! Over a hole nobody can count: the next queue offset of each queue is not known before what is missing there was fetched
//! from another node. A log with a hole follows a leader, whose entries are numbered, and numbers none itself.

use super::layout::{ENTRY_HEAD_BYTES, EntryError, EntryKind};
use super::seal::Sealer;
use super::{CommitLog, LogReader, OpenError};
use crate::checkpoint::{Checkpoint, SealState};

/// Entries are read in pieces of this size.
const OBSERVE_BYTES: u64 = 4 << 20;

/// From where there is to be counted.
pub(super) struct Recount {
    base: SealState,
    /// Index of the first entry that counts.
    from: u64,
}

/// Why there is no count.
#[derive(Debug)]
pub(super) enum Uncounted {
    /// This entry is damaged.
    Damaged {
        log_index: u64,
        source: EntryError,
    },
    Open(OpenError),
}

impl Recount {
    /// Behind a checkpoint, or from the beginning of the log.
    pub(super) fn behind(reader: &LogReader, base: Option<&Checkpoint>) -> Self {
        let first = reader.first_index().unwrap_or(0);
        Self {
            base: base.map_or_else(SealState::default, |base| base.seal.clone()),
            from: base.map_or(first, |base| base.last.log_index + 1),
        }
    }

    /// The count; if it is held up by a hole that other nodes can fill, what to count again.
    pub(super) fn count_or_wait(
        self,
        reader: &LogReader,
        has_peers: bool,
    ) -> Result<(Sealer, Option<Self>), OpenError> {
        match self.count(reader) {
            Ok(sealer) => Ok((sealer, None)),
            Err(Uncounted::Damaged { log_index, source }) if has_peers => {
                tracing::warn!(log_index, %source, "queue offsets are counted once this entry is mended");
                Ok((Sealer::new(&self.base), Some(self)))
            }
            Err(Uncounted::Damaged { log_index, source }) => Err(OpenError::Entry { log_index, source }),
            Err(Uncounted::Open(error)) => Err(error),
        }
    }

    fn count(&self, reader: &LogReader) -> Result<Sealer, Uncounted> {
        let mut sealer = Sealer::new(&self.base);
        let (Some(first), Some(last)) = (reader.first_index(), reader.last()) else { return Ok(sealer) };
        let mut next = self.from.max(first);
        while next <= last.log_index {
            let entries = match reader.entries(next..last.log_index + 1, OBSERVE_BYTES) {
                Ok(entries) => entries,
                // The damage may lie behind intact entries, which are read with it.
                Err(error) if error.is_damage() => {
                    let log_index = reader.first_damaged(next).unwrap_or(next);
                    tracing::debug!(log_index, %error, "queue offsets are not counted");
                    let source = EntryError::Magic { found: 0 };
                    return Err(Uncounted::Damaged { log_index, source });
                }
                Err(error) => return Err(Uncounted::Open(error.into())),
            };
            for entry in &entries {
                let log_index = entry.head.log_index;
                let damage = entry.verify().err();
                if let Some(source) = &damage {
                    reader.note_damage(entry.head.offset, &source.to_string());
                    if !reader.is_lost(log_index) {
                        return Err(Uncounted::Damaged { log_index, source: source.clone() });
                    }
                }
                if entry.head.kind == EntryKind::Units {
                    let at = entry.head.offset.0 + ENTRY_HEAD_BYTES as u64;
                    let units = entry.units();
                    let units = units.map_err(|source| Uncounted::Damaged { log_index, source })?;
                    let counted = sealer.observe(log_index, &units, at, entry.head.unit_count);
                    match (counted, damage) {
                        (Ok(()), None) => {}
                        // No node has it intact, but where its messages belong is clear.
                        (Ok(()), Some(_)) => {
                            tracing::warn!(log_index, "counted, though damaged on every node");
                        }
                        (Err(_), Some(source)) => return Err(Uncounted::Damaged { log_index, source }),
                        (Err(source), None) => {
                            return Err(Uncounted::Open(OpenError::Units { log_index, source }));
                        }
                    }
                }
            }
            assert!(!entries.is_empty(), "entry {next} is in the index and cannot be read");
            next += entries.len() as u64;
        }
        if let Some(committed) = reader.committed() {
            sealer.settle(committed.log_index);
        }
        Ok(sealer)
    }
}

impl CommitLog {
    /// Counts what could not be counted when the log was opened.
    ///
    /// # Errors
    /// The first entry that is damaged still.
    pub(super) fn recount(&mut self) -> Result<(), u64> {
        let Some(recount) = self.recount.take() else { return Ok(()) };
        match recount.count(&self.make_reader()) {
            Ok(sealer) => {
                self.sealer = sealer;
                Ok(())
            }
            Err(error) => {
                let log_index = match error {
                    Uncounted::Damaged { log_index, .. }
                    | Uncounted::Open(
                        OpenError::Entry { log_index, .. } | OpenError::Units { log_index, .. },
                    ) => log_index,
                    Uncounted::Open(_) => recount.from,
                };
                self.recount = Some(recount);
                Err(log_index)
            }
        }
    }
}
