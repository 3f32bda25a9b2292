//! Files: positional reads and writes, explicit syncs of files and of directories, and nothing buffered.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags, FlockOperation};
use rustix::io::{Errno, ReadWriteFlags};

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// It must exist; for reading only.
    Read,
    /// It must exist; for reading and writing.
    ReadWrite,
    /// It is made if it does not exist; for reading and writing. What it holds stays.
    Create,
    /// It must not exist yet; for reading and writing.
    CreateNew,
}

/// Room on the file system that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What an ordinary user can have of the file system in bytes: in use, plus what may still be written. Less
    /// than its size where some of it is kept back, as RocketMQ and `df` count.
    pub total_bytes: u64,
    /// What an ordinary user may still write, in bytes.
    pub available_bytes: u64,
}

/// Keeps a lock file locked until dropped.
pub trait DiskLock: Send + Sync {}

/// One open file. All methods may be called from several threads.
pub trait DiskFile: Send + Sync {
    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `parts`, one after the other, from `offset` on. In memory on return, not on disk.
    ///
    /// # Errors
    /// A full disk, a bad sector. An unknown part of the range may have been written then.
    fn write_all_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Data and length are on disk on return.
    ///
    /// # Errors
    /// Final: the pages that failed may have been dropped, so a second call proves nothing.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes the file at least `bytes` long with blocks of its own, so that a write below never lacks room.
    ///
    /// # Errors
    /// A full disk, with the file as long as it was.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Cuts or extends the file to `bytes`.
    ///
    /// # Errors
    /// As the system says.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// As the system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes at all.
    ///
    /// # Errors
    /// As the system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Starts writing the range back to the disk, without waiting. A hint about page cache, not durability.
    fn start_write_back(&self, offset: u64, bytes: u64);

    /// Lets the system forget clean cached pages of the range. A hint.
    fn drop_cache(&self, offset: u64, bytes: u64);

    /// The system's file, for mapping it read-only; `None` where there is none (a simulated disk).
    fn as_file(&self) -> Option<&File>;
}

/// What tells a file from its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileBirth {
    /// Its number on the file system.
    pub inode: u64,
    /// When it was made, nanoseconds since 1970; no copy takes this along.
    pub made_ns: u128,
}

/// Where files live.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file.
    ///
    /// # Errors
    /// As the system says, or as `mode` demands.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes a directory and those above it. On disk after `sync_dir` of its parent.
    ///
    /// # Errors
    /// As the system says.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The paths directly in a directory, sorted by name.
    ///
    /// # Errors
    /// `NotFound` and others.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// Whether something exists at `path`.
    fn exists(&self, path: &Path) -> bool;

    /// Renames a file over another. On disk after `sync_dir`.
    ///
    /// # Errors
    /// As the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Maps and open handles of it live on.
    ///
    /// # Errors
    /// As the system says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all in it.
    ///
    /// # Errors
    /// As the system says.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory are on disk on return.
    ///
    /// # Errors
    /// Final, as for a file.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Room on the file system of `path`, which must exist.
    ///
    /// # Errors
    /// As the system says.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Locks `path` (made if missing) against other processes; `None` if another holds it.
    ///
    /// # Errors
    /// As the system says.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>>;

    /// Which file this is: changes when it is copied or put back from a backup, and stays when it is written or
    /// renamed. `None` where the system cannot tell.
    fn birth(&self, path: &Path) -> Option<FileBirth> {
        let _ = path;
        None
    }

    /// When the file was last written, in milliseconds of the machine's wall clock. `None` where the system cannot tell.
    fn modified_ms(&self, path: &Path) -> Option<u64> {
        let _ = path;
        None
    }

    /// Changes at every boot of the machine: what the page cache held may be gone when it differs.
    fn boot_id(&self) -> String;
}

/// The operating system's files.
pub struct OsDisk;

struct OsFile(File);

struct OsLock {
    _file: File,
}

impl DiskLock for OsLock {}

#[expect(clippy::disallowed_methods, reason = "this is the seam")]
impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::ReadWrite => options.write(true),
            OpenMode::Create => options.write(true).create(true).truncate(false),
            OpenMode::CreateNew => options.write(true).create_new(true),
        };
        Ok(Arc::new(OsFile(options.open(path)?)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(Space {
            total_bytes: (stat.f_blocks.saturating_sub(stat.f_bfree) + stat.f_bavail) * stat.f_frsize,
            available_bytes: stat.f_bavail * stat.f_frsize,
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(OsLock { _file: file }))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn birth(&self, path: &Path) -> Option<FileBirth> {
        let metadata = fs::metadata(path).ok()?;
        let made = metadata.created().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(FileBirth { inode: metadata.ino(), made_ns: made.as_nanos() })
    }

    fn modified_ms(&self, path: &Path) -> Option<u64> {
        let modified = fs::metadata(path).ok()?.modified().ok()?;
        let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(since.as_millis() as u64)
    }

    fn boot_id(&self) -> String {
        fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_or_else(|_| String::new(), |id| id.trim().into())
    }
}

impl DiskFile for OsFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, parts: &[IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        /// `IOV_MAX` of Linux: more slices in one call are refused.
        const SLICES_MAX: usize = 1024;
        let mut at = 0; // the first slice not wholly written
        let mut skip = 0; // its bytes that are
        while at < parts.len() {
            if skip == 0 {
                let until = parts.len().min(at + SLICES_MAX);
                let mut wrote = retry(|| {
                    rustix::io::pwritev2(&self.0, &parts[at..until], offset, ReadWriteFlags::empty())
                })?;
                if wrote == 0 && parts[at..until].iter().any(|part| !part.is_empty()) {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                offset += wrote as u64;
                while at < until && wrote >= parts[at].len() {
                    wrote -= parts[at].len();
                    at += 1;
                }
                skip = wrote;
            } else {
                self.0.write_all_at(&parts[at][skip..], offset)?;
                offset += (parts[at].len() - skip) as u64;
                at += 1;
                skip = 0;
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match retry(|| rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, bytes)) {
            // Some file systems have no fallocate; a sparse file is what is left then.
            Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => {
                self.0.set_len(bytes)
            }
            other => other,
        }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn start_write_back(&self, offset: u64, bytes: u64) {
        // Only a hint, so an error changes nothing; the flusher will meet and report it. WILLNEED-style
        // advice has no "write back", and rustix has no sync_file_range: DONTNEED starts it for dirty pages.
        let _ =
            rustix::fs::fadvise(self.0.as_fd(), offset, std::num::NonZeroU64::new(bytes), Advice::DontNeed);
    }

    fn drop_cache(&self, offset: u64, bytes: u64) {
        let _ =
            rustix::fs::fadvise(self.0.as_fd(), offset, std::num::NonZeroU64::new(bytes), Advice::DontNeed);
    }

    fn as_file(&self) -> Option<&File> {
        Some(&self.0)
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectored_writes_land_one_after_the_other_however_many_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let file = OsDisk.open(&dir.path().join("f"), OpenMode::CreateNew).unwrap();
        let bytes: Vec<[u8; 3]> = (0..3_000_u16).map(|n| [n as u8, (n >> 8) as u8, 7]).collect();
        let parts: Vec<_> = bytes.iter().map(|part| IoSlice::new(part)).collect();
        file.write_all_at(&parts, 5).unwrap();
        let mut read = vec![0; 9_000];
        file.read_exact_at(&mut read, 5).unwrap();
        assert_eq!(read, bytes.concat());
    }

    #[test]
    fn a_copy_has_another_birth_and_a_write_or_a_new_name_has_not() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved, copy) = (dir.path().join("f"), dir.path().join("g"), dir.path().join("h"));
        let file = OsDisk.open(&path, OpenMode::CreateNew).unwrap();
        let Some(birth) = OsDisk.birth(&path) else { return }; // a file system that cannot tell
        file.write_all_at(&[IoSlice::new(b"written")], 0).unwrap();
        OsDisk.rename(&path, &moved).unwrap();
        assert_eq!(OsDisk.birth(&moved), Some(birth));
        OsDisk.open(&copy, OpenMode::CreateNew).unwrap();
        OsDisk.rename(&copy, &moved).unwrap();
        assert_ne!(OsDisk.birth(&moved), Some(birth));
    }

    #[test]
    fn a_lock_keeps_others_off_until_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = OsDisk.lock(&path).unwrap();
        assert!(held.is_some());
        assert!(OsDisk.lock(&path).unwrap().is_none());
        drop(held);
        assert!(OsDisk.lock(&path).unwrap().is_some());
    }
}
