//! One process a directory, and the mark by which a node knows how its last run ended.

use std::io;
use std::path::{Path, PathBuf};

use platform::{Disk, DiskLock};

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process, or another part of this one, has it.
    #[error("{} is in use by another process", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The system refused.
    #[error("cannot lock {}: {source}", dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Keeps a directory ours until dropped.
pub struct DirLock {
    _lock: Box<dyn DiskLock>,
}

impl DirLock {
    /// Makes `dir` if missing, and locks it.
    ///
    /// # Errors
    /// If somebody else has it, or the disk fails.
    pub fn take(disk: &dyn Disk, dir: &Path) -> Result<Self, LockError> {
        let io_error = |source| LockError::Io { dir: dir.to_path_buf(), source };
        disk.create_dir_all(dir).map_err(io_error)?;
        match disk.lock(&dir.join("lock")).map_err(io_error)? {
            Some(lock) => Ok(Self { _lock: lock }),
            None => Err(LockError::InUse { dir: dir.to_path_buf() }),
        }
    }
}
