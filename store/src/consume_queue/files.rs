//! A few files kept open for all queues together, the longest unused ones closed first.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use platform::{Disk, DiskFile, OpenMode};

use crate::sync;

/// Opens files, and keeps up to so many open.
pub(super) struct OpenFiles {
    disk: Arc<dyn Disk>,
    limit: usize,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    /// With the time of last use.
    files: HashMap<PathBuf, (Arc<dyn DiskFile>, u64)>,
    uses: u64,
    /// Counts removals: a file that was being opened meanwhile may be the one that was removed.
    removals: u64,
}

impl OpenFiles {
    pub(super) fn new(disk: Arc<dyn Disk>, limit: usize) -> Self {
        Self { disk, limit: limit.max(1), cache: Mutex::default() }
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(super) fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let removals = {
            let mut cache = sync::lock(&self.cache);
            if let Some(file) = cache.known(path) {
                return Ok(file);
            }
            cache.removals
        };
        // Readers get a file that can be written to as well: they and the writer share it. A disk that hangs holds up who
        // opens this file, and nobody who has another.
        let mode = if mode == OpenMode::Read { OpenMode::ReadWrite } else { mode };
        let file = self.disk.open(path, mode)?;
        let mut cache = sync::lock(&self.cache);
        if cache.removals != removals {
            return Ok(file); // kept, it would hide a new file of this name
        }
        cache.uses += 1;
        let now = cache.uses;
        if cache.files.len() >= self.limit && !cache.files.contains_key(path) {
            let oldest = cache.files.iter().min_by_key(|(_, (_, used))| *used).map(|(path, _)| path.clone());
            oldest.map(|path| cache.files.remove(&path));
        }
        cache.files.insert(path.to_path_buf(), (Arc::clone(&file), now));
        Ok(file)
    }

    /// Removes a file; who has it open keeps it.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.disk.remove_file(path);
        // Afterwards, for somebody may just have opened it again.
        let mut cache = sync::lock(&self.cache);
        cache.removals += 1;
        cache.files.remove(path);
        removed
    }

    /// Closes all; to be called once files were removed by other means.
    pub(super) fn clear(&self) {
        let mut cache = sync::lock(&self.cache);
        cache.removals += 1;
        cache.files.clear();
    }
}

impl Cache {
    fn known(&mut self, path: &Path) -> Option<Arc<dyn DiskFile>> {
        self.uses += 1;
        let (file, used) = self.files.get_mut(path)?;
        *used = self.uses;
        Some(Arc::clone(file))
    }
}
