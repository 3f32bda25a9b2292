//! One file of the key index: entries sorted by hash, with every 256th hash in memory.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use platform::{Disk, OpenMode};
use serde::{Deserialize, Serialize};

use crate::CommitlogOffset;
use crate::codec::{self, Record};

const HASH_AT: usize = 0; // of topic and key, as RocketMQ computes it
const OFFSET_AT: usize = HASH_AT + size_of::<u32>(); // commitlog offset of the message unit
const TIME_AT: usize = OFFSET_AT + size_of::<u64>(); // its store timestamp, ms
pub(super) const ENTRY_BYTES: usize = TIME_AT + size_of::<u64>();
const _: () = assert!(ENTRY_BYTES == 20);

/// Room for the head in front of the entries.
const HEAD_BYTES: usize = 80;
/// Extension of a file with the begin of a run.
pub(super) const PART: &str = "part";
/// One hash in memory stands for so many entries.
const SPARSE: usize = 256;

/// One key of one message. Ordered by hash, then by place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) hash: u32,
    pub(super) offset: CommitlogOffset,
    pub(super) store_timestamp_ms: u64,
}

impl Entry {
    fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[HASH_AT..OFFSET_AT].copy_from_slice(&self.hash.to_be_bytes());
        bytes[OFFSET_AT..TIME_AT].copy_from_slice(&self.offset.0.to_be_bytes());
        bytes[TIME_AT..].copy_from_slice(&self.store_timestamp_ms.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let u64_at = |at: usize| u64::from_be_bytes(*bytes[at..].first_chunk().expect("8 bytes are there"));
        Self {
            hash: u32::from_be_bytes(*bytes[HASH_AT..].first_chunk().expect("4 bytes are there")),
            offset: CommitlogOffset(u64_at(OFFSET_AT)),
            store_timestamp_ms: u64_at(TIME_AT),
        }
    }
}

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) entries: u32,
    pub(super) first_offset: CommitlogOffset,
    pub(super) last_offset: CommitlogOffset,
    pub(super) first_ms: u64,
    pub(super) last_ms: u64,
    /// The last message of the run before, 0 for the first: a run that is missing in between is noticed.
    pub(super) after: CommitlogOffset,
    /// All keys of entries below it are in this run and those before.
    pub(super) covered: CommitlogOffset,
    /// Of all entries.
    crc32c: u32,
}

impl Record for Head {
    const KIND: u16 = 0x0108;
    const NAME: &'static str = "key-index";
    const BYTES_MAX: usize = HEAD_BYTES;
}

/// One file of the key index, which never changes but by being replaced whole.
pub(super) struct Run {
    pub(super) head: Head,
    path: PathBuf,
    /// The hash of every `SPARSE`th entry.
    hashes: Vec<u32>,
}

impl Run {
    /// Writes entries, sorted here, to the file of their first message. `after` is the last message of the run before them,
    /// and all keys below `covered` are in them and those before. In the page cache on return. A part of
    /// a run has a name of its own, so that it outlives a full run that is not on disk yet.
    ///
    /// # Panics
    /// If there are none.
    pub(super) fn write(
        disk: &dyn Disk,
        dir: &Path,
        entries: &[Entry],
        after: CommitlogOffset,
        covered: CommitlogOffset,
        is_full: bool,
    ) -> io::Result<Self> {
        let mut entries = entries.to_vec();
        let by_place = |entry: &&Entry| (entry.offset, entry.store_timestamp_ms);
        let first = *entries.iter().min_by_key(by_place).expect("a run has entries");
        let last = *entries.iter().max_by_key(by_place).expect("a run has entries");
        entries.sort_unstable();
        let body: Vec<u8> = entries.iter().flat_map(|entry| entry.to_bytes()).collect();
        let head = Head {
            entries: entries.len() as u32,
            first_offset: first.offset,
            last_offset: last.offset,
            first_ms: first.store_timestamp_ms,
            last_ms: last.store_timestamp_ms,
            after,
            covered,
            crc32c: crc32c::crc32c(&body),
        };
        let mut bytes = codec::encode(&head)?;
        bytes.resize(HEAD_BYTES, 0);
        let name = format!("{:020}", first.offset.0);
        let path = dir.join(if is_full { name } else { format!("{name}.{PART}") });
        let temporary = path.with_extension("writing");
        let file = disk.open(&temporary, OpenMode::Create)?;
        file.set_len((HEAD_BYTES + body.len()) as u64)?;
        file.write_all_at(&[IoSlice::new(&bytes), IoSlice::new(&body)], 0)?;
        if !is_full {
            file.sync_data()?; // it replaces one that may be on disk already
        }
        disk.rename(&temporary, &path)?;
        Ok(Self { head, path, hashes: entries.iter().step_by(SPARSE).map(|entry| entry.hash).collect() })
    }

    /// Opens a file; `None` if it is damaged.
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        let file = disk.open(path, OpenMode::Read)?;
        let bytes_there = file.len()?;
        let mut bytes = vec![0; bytes_there as usize];
        file.read_exact_at(&mut bytes, 0)?;
        let Some((mut head, body)) = bytes.split_at_checked(HEAD_BYTES) else { return Ok(None) };
        // It is shorter than its room.
        let Ok(head) = codec::decode_first::<Head>(&mut head) else { return Ok(None) };
        if body.len() != head.entries as usize * ENTRY_BYTES || crc32c::crc32c(body) != head.crc32c {
            return Ok(None);
        }
        let hashes =
            body.as_chunks().0.iter().step_by(SPARSE).map(|entry| Entry::from_bytes(entry).hash).collect();
        Ok(Some(Self { head, path: path.to_path_buf(), hashes }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// On disk on return, its name once the directory is synced.
    pub(super) fn sync(&self, disk: &dyn Disk) -> io::Result<()> {
        disk.open(&self.path, OpenMode::ReadWrite)?.sync_data()
    }

    /// All entries, sorted.
    pub(super) fn entries(&self, disk: &dyn Disk) -> io::Result<Vec<Entry>> {
        self.read(disk, 0, self.head.entries as usize)
    }

    /// The entries with this hash, oldest first.
    pub(super) fn find(&self, disk: &dyn Disk, hash: u32) -> io::Result<Vec<Entry>> {
        // The first one may lie before the first sparse hash that is equal.
        let from = self.hashes.partition_point(|sparse| *sparse < hash).saturating_sub(1) * SPARSE;
        let upto = self.hashes.partition_point(|sparse| *sparse <= hash) * SPARSE;
        let upto = upto.min(self.head.entries as usize);
        if from >= upto {
            return Ok(Vec::new());
        }
        let mut entries = self.read(disk, from, upto)?;
        entries.retain(|entry| entry.hash == hash);
        Ok(entries)
    }

    fn read(&self, disk: &dyn Disk, from: usize, upto: usize) -> io::Result<Vec<Entry>> {
        let mut bytes = vec![0; (upto - from) * ENTRY_BYTES];
        let file = disk.open(&self.path, OpenMode::Read)?;
        file.read_exact_at(&mut bytes, (HEAD_BYTES + from * ENTRY_BYTES) as u64)?;
        Ok(bytes.as_chunks().0.iter().map(Entry::from_bytes).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden;

    #[test]
    fn the_bytes_of_a_head_stay_what_they_are() {
        let head = Head {
            entries: 65_536,
            first_offset: CommitlogOffset(1),
            last_offset: CommitlogOffset(2),
            first_ms: 3,
            last_ms: 4,
            after: CommitlogOffset(5),
            covered: CommitlogOffset(6),
            crc32c: 7,
        };
        golden(&[head], &[]);
    }
}
