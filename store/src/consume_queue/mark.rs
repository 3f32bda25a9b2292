//! What is known of the files after a crash: how far they were on disk, and whether the machine lost power since.
//!
//! Units are written without a sync, so after a loss of power any page of the newest files may be missing. The
//! mark says up to where everything was synced; the boot id says whether the mark is needed.

use std::io::{self, IoSlice};
use std::path::Path;

use platform::{Disk, OpenMode};
use serde::{Deserialize, Serialize};

use crate::CommitlogOffset;
use crate::checkpoint::SealState;
use crate::codec::{self, Record};

/// No topic's directory has a name with a dot.
const MARK: &str = "flushed.mark";
const BOOT: &str = "boot.mark";

/// Everything up to here was on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// All units of entries below it.
    pub(super) covered: CommitlogOffset,
    /// How long each queue was.
    pub(super) seal: SealState,
}

impl Record for Mark {
    const KIND: u16 = 0x0106;
    const NAME: &'static str = "queues-flushed";
    const BYTES_MAX: usize = 1 << 30;
}

/// The boot of the machine in which the files were last written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Boot {
    id: String,
}

impl Record for Boot {
    const KIND: u16 = 0x0107;
    const NAME: &'static str = "queues-boot";
    const BYTES_MAX: usize = 4096;
}

/// On disk on return.
pub(super) fn write(disk: &dyn Disk, dir: &Path, mark: &Mark) -> io::Result<()> {
    replace(disk, dir, MARK, &codec::encode(mark)?)
}

/// `None` if there is none, or a damaged one.
pub(super) fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Option<Mark>> {
    let Some(bytes) = read_file(disk, &dir.join(MARK))? else { return Ok(None) };
    Ok(codec::decode(&bytes).ok())
}

/// The machine has not lost power since [`note_boot`].
pub(super) fn is_same_boot(disk: &dyn Disk, dir: &Path) -> io::Result<bool> {
    let found = read_file(disk, &dir.join(BOOT))?;
    Ok(found
        .and_then(|bytes| codec::decode::<Boot>(&bytes).ok())
        .is_some_and(|boot| boot.id == disk.boot_id()))
}

/// From now on, until the machine loses power, files hold what was written to them.
pub(super) fn note_boot(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    replace(disk, dir, BOOT, &codec::encode(&Boot { id: disk.boot_id() })?)
}

/// Nothing of what is there is to be trusted: on disk on return, so that whatever follows may be cut short.
pub(super) fn forget(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    for mark in [BOOT, MARK].map(|name| dir.join(name)) {
        if disk.exists(&mark) {
            disk.remove_file(&mark)?;
        }
    }
    disk.sync_dir(dir)
}

fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    if !disk.exists(path) {
        return Ok(None);
    }
    let file = disk.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; file.len()? as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Some(bytes))
}

fn replace(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join("writing.mark");
    let file = disk.open(&temporary, OpenMode::Create)?;
    file.set_len(bytes.len() as u64)?;
    file.write_all_at(&[IoSlice::new(bytes)], 0)?;
    file.sync_data()?;
    disk.rename(&temporary, &dir.join(name))?;
    disk.sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, seal_sample};

    #[test]
    fn their_bytes_stay_what_they_are() {
        golden(&[Mark { covered: CommitlogOffset(4096), seal: seal_sample() }], &[]);
        golden(&[Boot { id: "a boot".into() }], &[]);
    }
}
