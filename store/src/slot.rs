//! A small value on disk that is replaced as a whole: the vote, the committed index, the purge point.
//!
//! Two slots of 4 KiB are written in turn, each with a sequence number and a checksum. A value that fits
//! [`ATOMIC_BYTES_MAX`] lies in one sector, which a disk writes whole or not at all, and in one page, which a kill
//! does not divide: whatever happens, each slot holds one of the values that were written to it.
//!
//! So a slot that is damaged was not torn, it has rotted, and what it held may have been the last value, reported as
//! durable. The other slot is a value that was once true; nobody can tell whether it still is. [`SlotFile::open`] gives
//! it, and says so by [`SlotFile::has_lost_a_slot`]: who opens must take the value for one of the past (a node
//! raises its fence) and make that durable *before* the next write, which heals the file. Damaged is a slot that
//! fails its checksum or lies in the other's place, and one that is blank although it must have been written: slot 1
//! is blank only while slot 0 holds number 0. A longer value can be torn, and is then told as damaged too: to wait
//! behind a fence for nothing is better than to go back without a word.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use platform::{Disk, DiskFile, OpenMode};

const MAGIC_AT: usize = 0;
const CRC_AT: usize = MAGIC_AT + size_of::<u32>(); // crc32c of all bytes behind it, value included
const SEQUENCE_AT: usize = CRC_AT + size_of::<u32>();
const VALUE_BYTES_AT: usize = SEQUENCE_AT + size_of::<u64>();
const VALUE_AT: usize = VALUE_BYTES_AT + size_of::<u32>();
const _: () = assert!(VALUE_AT == 20);

/// `TRIs`.
const MAGIC: u32 = 0x5452_4973;
const SLOT_BYTES: usize = 4096;
/// Longest value.
pub const VALUE_BYTES_MAX: usize = SLOT_BYTES - VALUE_AT;
/// Longest value whose slot is never torn.
pub const ATOMIC_BYTES_MAX: usize = 512 - VALUE_AT;

/// Why a slot file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Neither slot is intact: no write of ours leaves that behind.
    #[error("{}: both slots are damaged. In a group, empty this node's directory: the others fill it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// A value on disk in two alternating slots.
pub struct SlotFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    /// Of the newest slot; it lies in slot `sequence % 2`.
    sequence: u64,
    value: Vec<u8>,
    has_lost_a_slot: bool,
}

/// What lies in one slot.
enum Found<'a> {
    Intact { sequence: u64, value: &'a [u8] },
    Blank,
    Damaged,
}

impl SlotFile {
    /// Opens `path`. A file that does not exist is made, with an empty value. What is read is on disk on return.
    ///
    /// # Errors
    /// If the disk fails, or both slots are damaged.
    pub fn open(disk: &dyn Disk, path: impl Into<PathBuf>) -> Result<Self, SlotError> {
        let path = path.into();
        let io_error = |source| SlotError::Io { path: path.clone(), source };
        if !disk.exists(&path) {
            create(disk, &path).map_err(io_error)?;
        }
        let file = disk.open(&path, OpenMode::ReadWrite).map_err(io_error)?;
        let mut bytes = vec![0; 2 * SLOT_BYTES];
        match file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(SlotError::Damaged { path });
            }
            read => read.map_err(io_error)?,
        }
        let (first, second) = bytes.split_at(SLOT_BYTES);
        let slots = [look_at(first, 0), look_at(second, 1)];
        let intact = slots.iter().filter_map(|slot| match slot {
            Found::Intact { sequence, value } => Some((*sequence, *value)),
            Found::Blank | Found::Damaged => None,
        });
        let Some((sequence, value)) = intact.max_by_key(|(sequence, _)| *sequence) else {
            return Err(SlotError::Damaged { path });
        };
        let value = value.to_vec();
        let has_lost_a_slot = slots.iter().any(|slot| match slot {
            Found::Intact { .. } => false,
            Found::Blank => sequence > 0,
            Found::Damaged => true,
        });
        if has_lost_a_slot {
            tracing::error!(path = %path.display(), sequence, "a slot is damaged: what is left may be older than what was last written");
        }
        // A process that was killed before its sync, or whose sync failed, may have left this in the page cache only,
        // in the second case as if it had been written. Whoever reads it acts on it, so it must not be gone after a
        // loss of power: it is written once more.
        let parent = path.parent().unwrap_or(Path::new("."));
        let slot = slot_bytes(sequence, &value);
        file.write_all_at(&[IoSlice::new(&slot)], sequence % 2 * SLOT_BYTES as u64).map_err(io_error)?;
        file.sync_data().and_then(|()| disk.sync_dir(parent)).map_err(io_error)?;
        Ok(Self { path, file, sequence, value, has_lost_a_slot })
    }

    /// The value last written; empty if none ever was.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// A slot was damaged when the file was opened, so that the value may be older than the one last written.
    pub fn has_lost_a_slot(&self) -> bool {
        self.has_lost_a_slot
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For syncing what was written without one, from another thread.
    pub fn file(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file)
    }

    /// Replaces the value; with `sync` it is on disk on return, and all earlier ones are.
    ///
    /// # Errors
    /// If the disk fails: the value on disk is then either of the two.
    ///
    /// # Panics
    /// If the value is longer than [`VALUE_BYTES_MAX`].
    pub fn write(&mut self, value: &[u8], sync: bool) -> io::Result<()> {
        assert!(value.len() <= VALUE_BYTES_MAX, "a slot holds {VALUE_BYTES_MAX} bytes, not {}", value.len());
        let sequence = self.sequence + 1;
        let slot = slot_bytes(sequence, value);
        self.file.write_all_at(&[IoSlice::new(&slot)], sequence % 2 * SLOT_BYTES as u64)?;
        if sync {
            self.file.sync_data()?;
        }
        self.sequence = sequence;
        self.value = value.to_vec();
        Ok(())
    }
}

/// Makes the file under another name first, so that a file under this name always has an intact slot.
fn create(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let file = disk.open(&temporary, OpenMode::Create)?;
    file.set_len(2 * SLOT_BYTES as u64)?;
    file.write_all_at(&[IoSlice::new(&slot_bytes(0, &[]))], 0)?;
    file.sync_data()?;
    disk.rename(&temporary, path)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

fn slot_bytes(sequence: u64, value: &[u8]) -> Vec<u8> {
    let mut slot = vec![0; VALUE_AT];
    slot[MAGIC_AT..CRC_AT].copy_from_slice(&MAGIC.to_be_bytes());
    slot[SEQUENCE_AT..VALUE_BYTES_AT].copy_from_slice(&sequence.to_be_bytes());
    slot[VALUE_BYTES_AT..VALUE_AT].copy_from_slice(&(value.len() as u32).to_be_bytes());
    slot.extend_from_slice(value);
    let crc = crc32c::crc32c(&slot[SEQUENCE_AT..]);
    slot[CRC_AT..SEQUENCE_AT].copy_from_slice(&crc.to_be_bytes());
    slot
}

fn look_at(slot: &[u8], place: u64) -> Found<'_> {
    match parse_slot(slot) {
        Some((sequence, value)) if sequence % 2 == place => Found::Intact { sequence, value },
        None if slot.iter().all(|byte| *byte == 0) => Found::Blank,
        Some(_) | None => Found::Damaged,
    }
}

fn parse_slot(slot: &[u8]) -> Option<(u64, &[u8])> {
    let u32_at = |at: usize| slot[at..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    let value_bytes = u32_at(VALUE_BYTES_AT)? as usize;
    if u32_at(MAGIC_AT)? != MAGIC || value_bytes > VALUE_BYTES_MAX {
        return None;
    }
    let end = VALUE_AT + value_bytes;
    if u32_at(CRC_AT)? != crc32c::crc32c(&slot[SEQUENCE_AT..end]) {
        return None;
    }
    let sequence = u64::from_be_bytes(*slot[SEQUENCE_AT..].first_chunk()?);
    Some((sequence, &slot[VALUE_AT..end]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::OsDisk;

    /// S18: the one before is given, but not without a word.
    #[test]
    fn the_last_value_is_read_back_and_a_damaged_slot_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vote");
        let open = || SlotFile::open(&OsDisk, &path).unwrap();
        let mut slots = open();
        assert_eq!((slots.value(), slots.has_lost_a_slot()), (&b""[..], false));
        for n in 0..5_u8 {
            slots.write(&[n; 40], n % 2 == 0).unwrap();
            let read = open();
            assert_eq!((read.value(), read.has_lost_a_slot()), (&[n; 40][..], false));
        }
        let newest = slots.sequence % 2 * SLOT_BYTES as u64;
        for (at, mended) in [(3, MAGIC.to_be_bytes()[3]), (9, 0), (19, 40), (30, 4)] {
            slots.file.write_all_at(&[IoSlice::new(&[mended ^ 1])], newest + at).unwrap();
            let read = open();
            assert_eq!((read.value(), read.has_lost_a_slot()), (&[3; 40][..], true), "a bit of byte {at}");
            slots.file.write_all_at(&[IoSlice::new(&[mended])], newest + at).unwrap();
            assert!(!open().has_lost_a_slot(), "byte {at} mended");
        }
        slots.file.write_all_at(&[IoSlice::new(&[0; SLOT_BYTES])], newest).unwrap();
        assert!(open().has_lost_a_slot(), "it was written, and is blank");
        let other = (slots.sequence + 1) % 2 * SLOT_BYTES as u64;
        slots.file.write_all_at(&[IoSlice::new(b"x")], other + 30).unwrap();
        assert!(matches!(SlotFile::open(&OsDisk, &path), Err(SlotError::Damaged { .. })));
    }

    #[test]
    fn the_next_write_heals_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vote");
        let mut slots = SlotFile::open(&OsDisk, &path).unwrap();
        slots.write(b"one", true).unwrap();
        slots.write(b"two", true).unwrap();
        slots.file.write_all_at(&[IoSlice::new(b"x")], 21).unwrap();
        let mut slots = SlotFile::open(&OsDisk, &path).unwrap();
        assert_eq!((slots.value(), slots.has_lost_a_slot()), (&b"one"[..], true));
        slots.write(b"three", true).unwrap();
        let slots = SlotFile::open(&OsDisk, &path).unwrap();
        assert_eq!((slots.value(), slots.has_lost_a_slot()), (&b"three"[..], false));
    }
}
