//! Reads made slow: a control group lets a process read only so many bytes a second from the disk its store lies on.
//!
//! Linux limits them by cgroup v1 (`blkio.throttle.read_bps_device`) or v2 (`io.max`), both for root only. What the page
//! cache holds is read at once all the same, so a store's files have to leave it first: [`evict`].

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use platform::{Disk, OpenMode, OsDisk};

use crate::files;

/// Where version 1 of the control groups has its block devices.
const V1: &str = "/sys/fs/cgroup/blkio";
/// Where version 2 is.
const V2: &str = "/sys/fs/cgroup";

/// The limit of one process. Dropped, it is lifted.
pub(crate) struct SlowReads {
    pid: i32,
    group: PathBuf,
    parent: PathBuf,
}

impl SlowReads {
    /// Lets process `pid` read `bytes_per_second` at most from the disk under `store`.
    ///
    /// # Errors
    /// If this machine has no such limits, or we may not set them.
    pub(crate) fn impose(pid: i32, store: &Path, bytes_per_second: u64) -> Result<Self> {
        let device = disk_under(store)?;
        let (parent, limit, text) = if OsDisk.exists(&Path::new(V1).join("cgroup.procs")) {
            (PathBuf::from(V1), "blkio.throttle.read_bps_device", format!("{device} {bytes_per_second}"))
        } else if OsDisk.exists(&Path::new(V2).join("cgroup.controllers")) {
            files::write(&Path::new(V2).join("cgroup.subtree_control"), "+io").context("cgroup v2, io")?;
            (PathBuf::from(V2), "io.max", format!("{device} rbps={bytes_per_second}"))
        } else {
            bail!("neither {V1} nor {V2}/cgroup.controllers is there");
        };
        let group = parent.join(format!("trireme-slow-{pid}"));
        OsDisk.create_dir_all(&group).with_context(|| format!("control group {}", group.display()))?;
        let slow = Self { pid, group, parent };
        let limit = slow.group.join(limit);
        files::write(&limit, &text).with_context(|| format!("{text} to {}", limit.display()))?;
        slow.join(&slow.group).context("moving the process into its control group")?;
        Ok(slow)
    }

    fn join(&self, group: &Path) -> std::io::Result<()> {
        files::write(&group.join("cgroup.procs"), &self.pid.to_string())
    }
}

impl Drop for SlowReads {
    fn drop(&mut self) {
        let _ = self.join(&self.parent); // it may be gone, and then its group is empty
        let _ = rustix::fs::rmdir(&self.group); // a process just killed may linger; an empty group harms nobody
    }
}

/// `major:minor` of the whole disk that `dir` lies on: limits are not for partitions.
fn disk_under(dir: &Path) -> Result<String> {
    let status = rustix::fs::stat(dir).with_context(|| format!("{}", dir.display()))?;
    let device = format!("{}:{}", rustix::fs::major(status.st_dev), rustix::fs::minor(status.st_dev));
    let block = PathBuf::from(format!("/sys/dev/block/{device}"));
    if !OsDisk.exists(&block) {
        bail!("{} does not lie on a block device (its device is {device})", dir.display());
    }
    if OsDisk.exists(&block.join("partition")) {
        return Ok(files::read(&block.join("../dev"))?.trim().to_owned());
    }
    Ok(device)
}

/// Takes the files under `dir` out of the page cache, as far as no running process has them mapped.
///
/// # Errors
/// If one cannot be read.
pub(crate) fn evict(dir: &Path) -> Result<()> {
    for path in OsDisk.list(dir)? {
        if rustix::fs::stat(&path).is_ok_and(|status| {
            rustix::fs::FileType::from_raw_mode(status.st_mode) == rustix::fs::FileType::Directory
        }) {
            evict(&path)?;
            continue;
        }
        let file = OsDisk.open(&path, OpenMode::Read).with_context(|| format!("{}", path.display()))?;
        if let Some(fd) = file.as_file() {
            rustix::fs::fsync(fd)?; // what is dirty stays
        }
        file.drop_cache(0, file.len()?);
    }
    Ok(())
}
