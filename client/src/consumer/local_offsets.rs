//! Offsets of a broadcasting consumer, in a file of its own.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use platform::{Disk, DiskLock, OpenMode};

use crate::error::ClientError;
use crate::queue::MessageQueue;

/// Every consumer of a broadcasting group reads all queues, so its offsets are its own business: a small JSON
/// file, written to a temporary one and renamed. Two consumers with one file would take each other's messages for
/// consumed, so it is locked.
pub(crate) struct LocalOffsets {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Gone once released. Also held while the file is read and written anew.
    lock: Mutex<Option<Box<dyn DiskLock>>>,
}

impl LocalOffsets {
    /// The file of `group` under `dir`.
    ///
    /// # Errors
    /// If another consumer has it, or it cannot be made.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, group: &str) -> Result<Self, ClientError> {
        let dir = dir.join(group.replace(['/', '\\'], "_"));
        let path = dir.join("offsets.json");
        let lock = disk.create_dir_all(&dir).and_then(|()| disk.lock(&dir.join("lock")));
        match lock {
            Ok(Some(lock)) => Ok(Self { disk, path, lock: Mutex::new(Some(lock)) }),
            Ok(None) => Err(ClientError::OffsetFileInUse { path }),
            Err(source) => Err(ClientError::OffsetFile { path, source }),
        }
    }

    /// Another consumer may have the file now; nothing is stored any more.
    pub(crate) fn release(&self) {
        self.lock.lock().expect("no panic while it is held").take();
    }

    /// What was stored; nothing if there is no file yet.
    pub(crate) fn load(&self) -> Result<BTreeMap<MessageQueue, i64>, ClientError> {
        if !self.disk.exists(&self.path) {
            return Ok(BTreeMap::new());
        }
        self.read().map_err(|source| ClientError::OffsetFile { path: self.path.clone(), source })
    }

    /// Stores `offsets`; those of other queues stay. Writes only if anything is new.
    pub(crate) fn store(
        &self,
        offsets: impl IntoIterator<Item = (MessageQueue, i64)>,
    ) -> Result<(), ClientError> {
        let lock = self.lock.lock().expect("no panic while it is held");
        if lock.is_none() {
            return Err(ClientError::Stopped);
        }
        let before = self.load()?;
        let mut table = before.clone();
        table.extend(offsets);
        if table == before {
            return Ok(());
        }
        self.write(&table).map_err(|source| ClientError::OffsetFile { path: self.path.clone(), source })
    }

    fn read(&self) -> io::Result<BTreeMap<MessageQueue, i64>> {
        let file = self.disk.open(&self.path, OpenMode::Read)?;
        let mut bytes = vec![0; file.len()? as usize];
        file.read_exact_at(&mut bytes, 0)?;
        let entries: Vec<(MessageQueue, i64)> = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
        Ok(entries.into_iter().collect())
    }

    fn write(&self, offsets: &BTreeMap<MessageQueue, i64>) -> io::Result<()> {
        let dir = self.path.parent().expect("the path was made by joining");
        self.disk.create_dir_all(dir)?;
        let temporary = self.path.with_extension("json.tmp");
        let entries: Vec<(&MessageQueue, &i64)> = offsets.iter().collect();
        let bytes = serde_json::to_vec_pretty(&entries).map_err(io::Error::other)?;
        let file = self.disk.open(&temporary, OpenMode::Create)?;
        file.set_len(0)?;
        file.write_all_at(&[IoSlice::new(&bytes)], 0)?;
        file.sync_data()?;
        self.disk.rename(&temporary, &self.path)?;
        self.disk.sync_dir(dir)
    }
}

#[cfg(test)]
mod tests {
    use platform::OsDisk;

    use super::*;

    #[test]
    fn what_was_stored_is_there_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let offsets = LocalOffsets::open(Arc::new(OsDisk), dir.path(), "group").unwrap();
        assert!(offsets.load().unwrap().is_empty());
        let mut table =
            BTreeMap::from([(MessageQueue::new("T", "b", 0), 100_000), (MessageQueue::new("T", "b", 1), 7)]);
        offsets.store(table.clone()).unwrap();
        assert_eq!(offsets.load().unwrap(), table);
        offsets.store([(MessageQueue::new("T", "b", 1), 8)]).unwrap();
        table.insert(MessageQueue::new("T", "b", 1), 8);
        assert_eq!(offsets.load().unwrap(), table);
    }

    #[test]
    fn one_file_has_one_consumer() {
        let dir = tempfile::tempdir().unwrap();
        let open = || LocalOffsets::open(Arc::new(OsDisk), dir.path(), "group");
        let first = open().unwrap();
        assert!(matches!(open(), Err(ClientError::OffsetFileInUse { .. })));
        first.release();
        assert!(open().is_ok());
        assert!(matches!(first.store([]), Err(ClientError::Stopped)));
    }

    #[test]
    fn a_broken_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let offsets = LocalOffsets::open(Arc::new(OsDisk), dir.path(), "group").unwrap();
        offsets.store([(MessageQueue::new("T", "b", 0), 1)]).unwrap();
        let file = OsDisk.open(&offsets.path, OpenMode::ReadWrite).unwrap();
        file.write_all_at(&[IoSlice::new(b"{")], 0).unwrap();
        let error = offsets.load().unwrap_err().to_string();
        assert!(error.contains("offsets.json"), "{error}");
    }
}
