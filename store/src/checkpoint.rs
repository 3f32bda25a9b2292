//! Checkpoints: the application's state after one entry, and what the log needs to go on behind that entry.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use platform::{Disk, OpenMode};
use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError, Record};
use crate::{CommitlogOffset, LogPoint};

/// What sealing needs to know of all earlier entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealState {
    /// Topic, queue id and next queue offset, sorted; a queue that is not listed begins at 0.
    pub queue_ends: Vec<(String, u32, u64)>,
    /// Store timestamps never fall below it.
    pub last_store_timestamp_ms: u64,
}

/// State exactly after the entry `last`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The last entry whose effect is in it.
    pub last: LogPoint,
    /// Where that entry ends, or where the next one begins.
    pub next_offset: CommitlogOffset,
    /// For sealing the next entry.
    pub seal: SealState,
    /// The state of the layers above, which this crate never looks into.
    pub app: Vec<u8>,
}

impl Record for Checkpoint {
    const KIND: u16 = 0x0105;
    const NAME: &'static str = "checkpoint";
    const BYTES_MAX: usize = 1 << 30;
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
        source: std::io::Error,
    },
    /// A state that no file of ours holds, or a file that this build cannot read.
    #[error("checkpoint after {last}: {source}")]
    Form {
        /// The last entry whose effect is in it.
        last: LogPoint,
        /// What is wrong with it.
        source: CodecError,
    },
}

/// How many of the newest are kept whatever they are for.
const NEWEST_KEPT: usize = 2;

/// The directory of checkpoints.
pub struct Checkpoints {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Oldest first.
    known: Vec<CheckpointInfo>,
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
        Ok(Self { disk, dir, known })
    }

    /// All of them, oldest first.
    pub fn list(&self) -> Vec<CheckpointInfo> {
        self.known.clone()
    }

    /// The newest whose bytes are intact and that `log_last` reaches.
    ///
    /// # Errors
    /// If the disk fails. A damaged checkpoint is passed over with a warning.
    pub fn newest_valid(&self, log_last: Option<LogPoint>) -> Result<Option<Checkpoint>, CheckpointError> {
        let Some(log_last) = log_last else { return Ok(None) };
        for info in self.known.iter().rev().filter(|info| info.last.log_index <= log_last.log_index) {
            if let Some(checkpoint) = self.load(info.last)? {
                return Ok(Some(checkpoint));
            }
        }
        Ok(None)
    }

    /// Reads the checkpoint after `last`; `None` if there is none or it is damaged.
    ///
    /// # Errors
    /// If the disk fails, or another build wrote it.
    pub fn load(&self, last: LogPoint) -> Result<Option<Checkpoint>, CheckpointError> {
        let Some(info) = self.known.iter().find(|info| info.last == last) else { return Ok(None) };
        let path = self.path_of(info);
        let file = self.disk.open(&path, OpenMode::Read).map_err(io_at(&path))?;
        let mut bytes = vec![0; file.len().map_err(io_at(&path))? as usize];
        file.read_exact_at(&mut bytes, 0).map_err(io_at(&path))?;
        match codec::decode::<Checkpoint>(&bytes) {
            Ok(checkpoint) if checkpoint.last == last => Ok(Some(checkpoint)),
            Err(source) if source.is_foreign() => Err(CheckpointError::Form { last, source }),
            damaged => {
                let error = damaged.err();
                tracing::warn!(path = %path.display(), ?error, "damaged checkpoint, passed over");
                Ok(None)
            }
        }
    }

    /// Writes one; on disk on return. The log must be on disk through `checkpoint.last` before. One of the same
    /// entry is replaced, and stays a boundary if either is.
    ///
    /// # Errors
    /// If the disk fails; what was there before still is.
    pub fn save(&mut self, checkpoint: &Checkpoint, keep: Keep) -> Result<(), CheckpointError> {
        let before = self.known.iter().find(|info| info.last == checkpoint.last).copied();
        let keep = match before {
            Some(before) if keep == Keep::Newest => before.keep,
            _ => keep,
        };
        let info = CheckpointInfo { last: checkpoint.last, next_offset: checkpoint.next_offset, keep };
        let path = self.path_of(&info);
        let encoded = codec::encode(checkpoint);
        let bytes = encoded.map_err(|source| CheckpointError::Form { last: checkpoint.last, source })?;
        self.replace(&path, &bytes).map_err(io_at(&path))?;
        if let Some(before) = before {
            let old = self.path_of(&before);
            if old != path {
                self.disk.remove_file(&old).map_err(io_at(&old))?;
            }
            self.known.retain(|info| info.last != checkpoint.last);
        }
        self.known.push(info);
        self.known.sort_by_key(|info| info.last.log_index);
        Ok(())
    }

    /// Writes one received from a leader, before the log follows it with `CommitLog::reset_to`.
    ///
    /// # Errors
    /// As for [`Checkpoints::save`].
    pub fn install(&mut self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        self.save(checkpoint, Keep::Installed)
    }

    /// Removes the checkpoint after `last`, if there is one.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn remove(&mut self, last: LogPoint) -> Result<(), CheckpointError> {
        let Some(at) = self.known.iter().position(|info| info.last == last) else { return Ok(()) };
        let path = self.path_of(&self.known[at]);
        self.disk.remove_file(&path).map_err(io_at(&path))?;
        self.disk.sync_dir(&self.dir).map_err(io_at(&self.dir))?;
        self.known.remove(at);
        Ok(())
    }

    /// Drops what is no longer needed once the log is purged up to `purged`: all but the newest two, the
    /// boundaries above it, and the one it stands at.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn prune(&mut self, purged: Option<LogPoint>) -> Result<(), CheckpointError> {
        let newest = self.known.len().saturating_sub(NEWEST_KEPT);
        let needed = |info: &CheckpointInfo| match (purged, info.keep) {
            (Some(purged), _) if info.last == purged => true,
            (Some(purged), Keep::Boundary) => info.last.log_index > purged.log_index,
            (None, Keep::Boundary) => true,
            (_, Keep::Newest | Keep::Installed) => false,
        };
        let dropped: Vec<_> =
            self.known[..newest].iter().filter(|info| !needed(info)).map(|info| info.last).collect();
        for last in dropped {
            self.remove(last)?;
        }
        Ok(())
    }

    /// The index, the term and the offset in the name, so that a directory tells what is there.
    fn path_of(&self, info: &CheckpointInfo) -> PathBuf {
        let CheckpointInfo { last, next_offset, keep } = info;
        let keep = match keep {
            Keep::Newest => "newest",
            Keep::Boundary => "boundary",
            Keep::Installed => "installed",
        };
        self.dir.join(format!("{:020}-{}-{}.{keep}", last.log_index, last.term, next_offset))
    }

    /// All of `bytes` is on disk under `path` on return, or what was there before is.
    fn replace(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let temporary = self.dir.join("checkpoint.writing");
        let file = self.disk.open(&temporary, OpenMode::Create)?;
        file.set_len(bytes.len() as u64)?;
        file.write_all_at(&[std::io::IoSlice::new(bytes)], 0)?;
        file.sync_data()?;
        self.disk.rename(&temporary, path)?;
        self.disk.sync_dir(&self.dir)
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

fn io_at(path: &Path) -> impl Fn(std::io::Error) -> CheckpointError {
    let path = path.to_path_buf();
    move |source| CheckpointError::Io { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, seal_sample};

    #[test]
    fn the_bytes_of_a_checkpoint_stay_what_they_are() {
        let last = LogPoint { term: 3, log_index: 700 };
        golden(
            &[Checkpoint {
                last,
                next_offset: CommitlogOffset(4096),
                seal: seal_sample(),
                app: vec![1, 2, 3],
            }],
            &[],
        );
    }
}
