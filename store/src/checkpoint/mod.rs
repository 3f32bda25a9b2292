//! Checkpoints: the application's state after one entry, and what the log needs to go on behind that entry.

mod sections;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use platform::{Disk, DiskFile, OpenMode};
use serde::{Deserialize, Serialize};

use crate::codec::{CodecError, Record};
use crate::sync;
use crate::{CommitlogOffset, LogPoint};
use sections::Place;
pub use sections::{SectionWriter, Sections};

/// What sealing needs to know of all earlier entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealState {
    /// Topic, queue id and next queue offset, sorted; a queue that is not listed begins at 0.
    pub queue_ends: Vec<(String, u32, u64)>,
    /// Store timestamps never fall below it.
    pub last_store_timestamp_ms: u64,
}

impl Record for SealState {
    const KIND: u16 = 0x010b;
    const NAME: &'static str = "seal-state";
    const BYTES_MAX: usize = 1 << 30;
}

/// State exactly after the entry `last`, in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The last entry whose effect is in it.
    pub last: LogPoint,
    /// Where that entry ends, or where the next one begins.
    pub next_offset: CommitlogOffset,
    /// For sealing the next entry.
    pub seal: SealState,
    /// The state of the layers above, which this crate never looks into.
    pub sections: Sections,
}

/// Why a checkpoint is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// To restart from; the newest two of all are kept.
    Newest,
    /// Because it stands between two segments; kept until a later boundary is purged.
    Boundary,
    /// Received from a leader. May be ahead of the log: opening the log makes it follow.
    Installed,
}

/// What is known of a checkpoint without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointInfo {
    /// The last entry whose effect is in it.
    pub last: LogPoint,
    /// Where that entry ends, or where the next one begins.
    pub next_offset: CommitlogOffset,
    /// Why it is kept.
    pub keep: Keep,
}

/// Why checkpoints could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is whole, and that this build cannot read.
    #[error("checkpoint after {last}: {source}")]
    Foreign {
        /// The last entry whose effect is in it.
        last: LogPoint,
        /// What is not known.
        source: CodecError,
    },
}

/// How many of the newest are kept whatever they are for.
const NEWEST_KEPT: usize = 2;

/// Where checkpoints are written and received before they have a name. Clones are of the same directory.
#[derive(Clone)]
pub struct CheckpointDir {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    written: Arc<AtomicU64>,
}

/// A whole checkpoint on disk that has no name yet. Dropped without one it is gone.
pub struct Unnamed {
    /// What it is.
    pub checkpoint: Checkpoint,
    file: Temporary,
}

/// A checkpoint that is being received from another node. Dropped before its end it is gone.
pub struct Receiving {
    file: Temporary,
    bytes: u64,
}

/// A file that goes with its owner.
struct Temporary {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    is_named: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_named
            && let Err(error) = self.disk.remove_file(&self.path)
        {
            // The next start removes it.
            tracing::warn!(path = %self.path.display(), %error, "a half-written checkpoint is left");
        }
    }
}

/// The file of one of the directory's checkpoints.
pub struct CheckpointFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    last: LogPoint,
}

impl CheckpointDir {
    /// Writes a checkpoint: the seal state, and what `write` puts. On disk on return. Takes as long as the disk does,
    /// and holds nothing that others wait for.
    ///
    /// # Errors
    /// If the disk fails, or `write` does; then nothing is left of it.
    pub fn write(
        &self,
        last: LogPoint,
        next_offset: CommitlogOffset,
        seal: &SealState,
        write: impl FnOnce(&mut SectionWriter) -> io::Result<()>,
    ) -> Result<Unnamed, CheckpointError> {
        let file = self.create()?;
        let place = Place { last, next_offset };
        let written = SectionWriter::new(Arc::clone(&file.file), &place).and_then(|mut writer| {
            writer.put(seal)?;
            write(&mut writer)?;
            writer.end()
        });
        // What was written is held against what is read before anything relies on it.
        let read = written.and_then(|()| Sections::open(Arc::clone(&file.file)));
        let (_, sections) = read.map_err(io_at(&file.path))?;
        Ok(Unnamed { checkpoint: Checkpoint { last, next_offset, seal: seal.clone(), sections }, file })
    }

    /// Begins to receive a checkpoint from another node.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn receive(&self) -> Result<Receiving, CheckpointError> {
        Ok(Receiving { file: self.create()?, bytes: 0 })
    }

    fn create(&self) -> Result<Temporary, CheckpointError> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{number}.writing"));
        let file = self.disk.open(&path, OpenMode::Create).map_err(io_at(&path))?;
        let temporary = Temporary { disk: Arc::clone(&self.disk), path, file, is_named: false };
        temporary.file.set_len(0).map_err(io_at(&temporary.path))?;
        Ok(temporary)
    }
}

impl Receiving {
    /// Takes in the bytes behind those that are there.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        let Temporary { path, file, .. } = &self.file;
        file.write_all_at(&[io::IoSlice::new(bytes)], self.bytes).map_err(io_at(path))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Bytes taken in so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All of it is there: verifies it. On disk on return.
    ///
    /// # Errors
    /// If the disk fails, or it is damaged, or this build cannot read it; then nothing is left of it.
    pub fn finish(self) -> Result<Unnamed, CheckpointError> {
        let Temporary { path, file, .. } = &self.file;
        let synced = file.set_len(self.bytes).and_then(|()| file.sync_data());
        let checkpoint = synced.and_then(|()| read(Arc::clone(file))).map_err(io_at(path))?;
        Ok(Unnamed { checkpoint, file: self.file })
    }
}

fn read(file: Arc<dyn DiskFile>) -> io::Result<Checkpoint> {
    let (Place { last, next_offset }, sections) = Sections::open(file)?;
    let seal = sections.read::<SealState>()?;
    let seal = seal.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "there is no seal state"))?;
    Ok(Checkpoint { last, next_offset, seal, sections })
}

/// The directory of checkpoints. Who asks what there is waits for no disk.
pub struct Checkpoints {
    at: CheckpointDir,
    /// Oldest first.
    known: Mutex<Vec<CheckpointInfo>>,
    /// Held while files come and go, and taken before `known`.
    work: Mutex<()>,
}

impl Checkpoints {
    /// Opens `dir`, which is made if missing, and drops what was half written.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn open(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Result<Self, CheckpointError> {
        let dir = dir.into();
        disk.create_dir_all(&dir).map_err(io_at(&dir))?;
        if let Some(parent) = dir.parent().filter(|parent| disk.exists(parent)) {
            disk.sync_dir(parent).map_err(io_at(parent))?;
        }
        let mut known = Vec::new();
        for path in disk.list(&dir).map_err(io_at(&dir))? {
            match info_of(&path) {
                Some(info) => known.push(info),
                None => disk.remove_file(&path).map_err(io_at(&path))?,
            }
        }
        known.sort_by_key(|info| info.last.log_index);
        disk.sync_dir(&dir).map_err(io_at(&dir))?; // of a process killed before it could
        let at = CheckpointDir { disk, dir, written: Arc::default() };
        Ok(Self { at, known: Mutex::new(known), work: Mutex::default() })
    }

    /// For writing and receiving them without holding on to all of this.
    pub fn dir(&self) -> CheckpointDir {
        self.at.clone()
    }

    /// All of them, oldest first.
    pub fn list(&self) -> Vec<CheckpointInfo> {
        self.known().clone()
    }

    /// Reads the checkpoint after `last` through; `None` if there is none or it is damaged.
    ///
    /// # Errors
    /// If the disk fails, or another build wrote it.
    pub fn load(&self, last: LogPoint) -> Result<Option<Checkpoint>, CheckpointError> {
        self.find(last).map_or(Ok(None), CheckpointFile::load)
    }

    /// The file of the checkpoint after `last`, to be read without holding on to all of this.
    pub fn find(&self, last: LogPoint) -> Option<CheckpointFile> {
        let info = self.known().iter().find(|info| info.last == last).copied()?;
        Some(CheckpointFile { disk: Arc::clone(&self.at.disk), path: self.path_of(&info), last })
    }

    fn known(&self) -> MutexGuard<'_, Vec<CheckpointInfo>> {
        sync::lock(&self.known)
    }

    /// Gives one its name; on disk on return. The log must be on disk through its last entry before, unless it was
    /// received. One of the same entry is replaced, and stays a boundary if either is.
    ///
    /// # Errors
    /// If the disk fails; what was there before still is.
    pub fn name(&self, unnamed: Unnamed, keep: Keep) -> Result<Checkpoint, CheckpointError> {
        let Unnamed { checkpoint, mut file } = unnamed;
        let Checkpoint { last, next_offset, .. } = checkpoint;
        let _work = sync::lock(&self.work);
        let before = self.known().iter().find(|info| info.last == last).copied();
        let keep = match before {
            Some(before) if keep == Keep::Newest => before.keep,
            _ => keep,
        };
        let info = CheckpointInfo { last, next_offset, keep };
        let path = self.path_of(&info);
        self.at.disk.rename(&file.path, &path).map_err(io_at(&path))?;
        file.is_named = true;
        self.at.disk.sync_dir(&self.at.dir).map_err(io_at(&self.at.dir))?;
        if let Some(before) = before {
            let old = self.path_of(&before);
            if old != path {
                self.at.disk.remove_file(&old).map_err(io_at(&old))?;
            }
        }
        let mut known = self.known();
        known.retain(|info| info.last != last);
        known.push(info);
        known.sort_by_key(|info| info.last.log_index);
        Ok(checkpoint)
    }

    /// Removes the checkpoint after `last`, if there is one.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn remove(&self, last: LogPoint) -> Result<(), CheckpointError> {
        let _work = sync::lock(&self.work);
        self.remove_all(|info| info.last == last)
    }

    /// Drops what is no longer needed once the log is purged up to `purged`, for good: all but the newest two, the
    /// boundaries above it, and the one it stands at.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn prune(&self, purged: Option<LogPoint>) -> Result<(), CheckpointError> {
        let _work = sync::lock(&self.work);
        let newest: Vec<_> = self.known().iter().rev().take(NEWEST_KEPT).map(|info| info.last).collect();
        let needed = |info: &CheckpointInfo| match (purged, info.keep) {
            (Some(purged), _) if info.last == purged => true,
            (Some(purged), Keep::Boundary) => info.last.log_index > purged.log_index,
            (None, Keep::Boundary) => true,
            (_, Keep::Newest | Keep::Installed) => false,
        };
        self.remove_all(|info| !newest.contains(&info.last) && !needed(info))
    }

    /// Nobody finds them from here on; a file that cannot be removed is removed at the next try.
    fn remove_all(&self, is_garbage: impl Fn(&CheckpointInfo) -> bool) -> Result<(), CheckpointError> {
        let garbage: Vec<_> = self.known().extract_if(.., |info| is_garbage(info)).collect();
        for (at, info) in garbage.iter().enumerate() {
            let path = self.path_of(info);
            if let Err(error) = self.at.disk.remove_file(&path) {
                let mut known = self.known();
                known.extend_from_slice(&garbage[at..]);
                known.sort_by_key(|info| info.last.log_index);
                return Err(io_at(&path)(error));
            }
        }
        if garbage.is_empty() {
            return Ok(());
        }
        self.at.disk.sync_dir(&self.at.dir).map_err(io_at(&self.at.dir))
    }

    /// The index, the term and the offset in the name, so that a directory tells what is there.
    fn path_of(&self, info: &CheckpointInfo) -> PathBuf {
        let CheckpointInfo { last, next_offset, keep } = info;
        let keep = match keep {
            Keep::Newest => "newest",
            Keep::Boundary => "boundary",
            Keep::Installed => "installed",
        };
        self.at.dir.join(format!("{:020}-{}-{}.{keep}", last.log_index, last.term, next_offset))
    }
}

impl CheckpointFile {
    /// Reads it through; `None` if it is damaged.
    ///
    /// # Errors
    /// If the disk fails, or another build wrote it.
    pub fn load(self) -> Result<Option<Checkpoint>, CheckpointError> {
        let Self { disk, path, last } = self;
        let damaged = |what: &dyn std::fmt::Display| {
            tracing::warn!(path = %path.display(), %what, "damaged checkpoint, passed over");
            Ok(None)
        };
        match disk.open(&path, OpenMode::Read).and_then(read) {
            Ok(checkpoint) if checkpoint.last == last => Ok(Some(checkpoint)),
            Ok(other) => damaged(&format_args!("it is after {}", other.last)),
            Err(error) => match foreign(&error) {
                Some(source) => Err(CheckpointError::Foreign { last, source }),
                None if is_damage(&error) => damaged(&error),
                None => Err(io_at(&path)(error)),
            },
        }
    }
}

fn info_of(path: &Path) -> Option<CheckpointInfo> {
    let name = path.file_name()?.to_str()?;
    let (numbers, keep) = name.split_once('.')?;
    let keep = match keep {
        "newest" => Keep::Newest,
        "boundary" => Keep::Boundary,
        "installed" => Keep::Installed,
        _ => return None,
    };
    let mut numbers = numbers.split('-').map(str::parse);
    let mut next = || numbers.next()?.ok();
    let (log_index, term, next_offset) = (next()?, next()?, CommitlogOffset(next()?));
    Some(CheckpointInfo { last: LogPoint { term, log_index }, next_offset, keep })
}

/// What this build cannot read, if that is what is wrong.
fn foreign(error: &io::Error) -> Option<CodecError> {
    let error = error.get_ref()?.downcast_ref::<CodecError>()?;
    error.is_foreign().then(|| error.clone())
}

/// Whether the bytes are wrong, rather than the disk refusing them.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> CheckpointError {
    let path = path.to_path_buf();
    move |source| CheckpointError::Io { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use crate::testing::{golden, seal_sample};

    #[test]
    fn the_bytes_of_a_seal_state_stay_what_they_are() {
        golden(&[seal_sample()], &[]);
    }
}
