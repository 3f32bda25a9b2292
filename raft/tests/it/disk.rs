//! The operating system's disk, on a machine that was booted again, or that fails to sync when told to.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use platform::{Disk, DiskFile, DiskLock, OpenMode, OsDisk, Space};

/// Clones are the same disk.
#[derive(Clone)]
pub struct TestDisk {
    boot_id: String,
    fails: Arc<AtomicBool>,
    refuses_checkpoints: Arc<AtomicBool>,
}

impl TestDisk {
    /// A machine booted for the `count`th time.
    pub fn booted(count: u32) -> Self {
        Self { boot_id: format!("boot {count}"), fails: Arc::default(), refuses_checkpoints: Arc::default() }
    }

    /// Whether there is no room for checkpoints from now on.
    pub fn refuse_checkpoints(&self, refuse: bool) {
        self.refuses_checkpoints.store(refuse, Ordering::Relaxed);
    }

    /// No sync succeeds any more.
    pub fn fail(&self) {
        self.fails.store(true, Ordering::Relaxed);
    }
}

struct TestFile {
    file: Arc<dyn DiskFile>,
    fails: Arc<AtomicBool>,
    /// For a checkpoint.
    refuses: Option<Arc<AtomicBool>>,
}

impl Disk for TestDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let is_checkpoint = path.parent().is_some_and(|dir| dir.ends_with("checkpoints"));
        let refuses = is_checkpoint.then(|| Arc::clone(&self.refuses_checkpoints));
        Ok(Arc::new(TestFile { file: OsDisk.open(path, mode)?, fails: Arc::clone(&self.fails), refuses }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        OsDisk.list(dir)
    }

    fn exists(&self, path: &Path) -> bool {
        OsDisk.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        OsDisk.sync_dir(dir)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        OsDisk.space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        OsDisk.lock(path)
    }

    fn boot_id(&self) -> String {
        self.boot_id.clone()
    }
}

impl DiskFile for TestFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        if self.refuses.as_ref().is_some_and(|refuses| refuses.load(Ordering::Relaxed)) {
            // Half of it is there all the same.
            let half: Vec<IoSlice<'_>> =
                parts.iter().map(|part| IoSlice::new(&part[..part.len() / 2])).collect();
            self.file.write_all_at(&half, offset)?;
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.file.write_all_at(parts, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("the disk is broken"));
        }
        self.file.sync_data()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.file.allocate(bytes)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn start_write_back(&self, offset: u64, bytes: u64) {
        self.file.start_write_back(offset, bytes);
    }

    fn drop_cache(&self, offset: u64, bytes: u64) {
        self.file.drop_cache(offset, bytes);
    }

    fn as_file(&self) -> Option<&File> {
        self.file.as_file()
    }
}
