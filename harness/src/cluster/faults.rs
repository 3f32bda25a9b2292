//! What is done to a node's disk, clock and log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;

use anyhow::{Context, Result};

use super::Cluster;
use crate::hang::Hang;
use crate::rig;
use crate::slow::{self, SlowReads};
use crate::view::node_name;

impl Cluster {
    /// Deletes everything that a node which is down has stored.
    ///
    /// # Errors
    /// If it cannot be deleted.
    pub async fn wipe(&self, id: usize) -> Result<()> {
        rig::empty_dir(&self.store_dir(id)).await
    }

    /// Copies what a node which is down has stored, and says where to.
    ///
    /// # Errors
    /// If there is no room.
    pub async fn copy_store(&self, id: usize) -> Result<PathBuf> {
        let copy = self.dir.join(format!("copy-{}", node_name(id)));
        rig::empty_dir(&copy).await.ok(); // there may be none yet
        rig::copy_dir(&self.store_dir(id), &copy).await?;
        Ok(copy)
    }

    /// Puts a copy in the place of what a node which is down has stored since.
    ///
    /// # Errors
    /// If it cannot be put there.
    pub async fn put_back(&self, id: usize, copy: &Path) -> Result<()> {
        self.wipe(id).await?;
        rig::copy_dir(copy, &self.store_dir(id)).await
    }

    /// Changes one bit in the log of a node which is down, and says which.
    ///
    /// # Errors
    /// If it has no log.
    pub fn flip_bit(&self, id: usize, choice: u64) -> Result<String> {
        rig::flip_bit(&self.store_dir(id), choice)
    }

    /// Changes a bit of the `number`th entry of a node's first segment, `at` bytes from the entry's beginning, and says which
    /// log index it has. The node may run.
    ///
    /// # Errors
    /// If it has no such entry.
    pub fn damage_entry(&self, id: usize, number: usize, at: u64) -> Result<u64> {
        rig::damage_entry(&self.store_dir(id), number, at)
    }

    /// How many entries a node's first segment has.
    ///
    /// # Errors
    /// If it has no log.
    pub fn count_entries(&self, id: usize) -> Result<usize> {
        Ok(rig::entries(&self.store_dir(id))?.1.len())
    }

    /// Lets every sync of a node's files fail, or succeed again. Only in a group that was started with clocks that can be
    /// set: the same shim does it.
    ///
    /// # Errors
    /// If there is no shim, with the reason.
    pub fn fail_syncs(&self, id: usize, fails: bool) -> Result<()> {
        self.rig.fail_syncs(id, fails)
    }

    /// Sets a node's wall clock wrong by `ms`; 0 sets it right.
    ///
    /// # Errors
    /// If its clock cannot be set.
    pub fn shift_clock(&self, id: usize, ms: i64) -> Result<()> {
        self.rig.shift_clock(id, ms)
    }

    /// Takes all room on a node's disk.
    ///
    /// # Errors
    /// If it has no disk of its own.
    pub fn fill_disk(&self, id: usize) -> Result<()> {
        self.rig.fill(&self.store_dir(id))
    }

    /// Gives it back.
    ///
    /// # Errors
    /// If it was not taken.
    pub fn unfill_disk(&self, id: usize) -> Result<()> {
        self.rig.unfill(&self.store_dir(id))
    }

    /// Cuts the power of some nodes: what they had not synced is gone, and they are down.
    ///
    /// # Errors
    /// If one of them has no disk that can lose its power, or does not run.
    pub async fn cut_power(&self, ids: &[usize]) -> Result<()> {
        // The disks before the kill, which would leave the page cache to the system. But nobody may see them fail:
        // a node that does would end by itself, as it should.
        for id in ids {
            self.pause(*id).await?;
        }
        for id in ids {
            self.rig.shut_down_disk(&self.store_dir(*id)).await?;
        }
        self.kill_together(ids).await?;
        for id in ids {
            self.rig.revive_disk(&self.store_dir(*id)).await?;
        }
        Ok(())
    }

    /// Stops whoever reads what a node logs, once no more fits between them.
    ///
    /// # Errors
    /// If the group was started without readers, or the node does not run.
    pub async fn hold_log(&self, id: usize) -> Result<()> {
        let process = self.nodes[id].process.lock().await;
        process.as_ref().with_context(|| format!("{} does not run", node_name(id)))?.hold_log()
    }

    /// Lets the reader go on.
    ///
    /// # Errors
    /// As [`Cluster::hold_log`].
    pub async fn release_log(&self, id: usize) -> Result<()> {
        let process = self.nodes[id].process.lock().await;
        process.as_ref().with_context(|| format!("{} does not run", node_name(id)))?.release_log()
    }

    /// Takes the store of a node which is down out of the page cache.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn evict_store(&self, id: usize) -> Result<()> {
        slow::evict(&self.store_dir(id))
    }

    /// Lets a running node read `bytes_per_second` at most from its disk, until [`Cluster::end_slow_reads`].
    ///
    /// # Errors
    /// If it does not run, or this machine has no such limits.
    pub fn slow_reads(&self, id: usize, bytes_per_second: u64) -> Result<()> {
        let pid = self.pid(id).with_context(|| format!("{} does not run", node_name(id)))?;
        let limit = SlowReads::impose(pid, &self.store_dir(id), bytes_per_second)?;
        self.slow().insert(id, limit);
        Ok(())
    }

    /// Lifts that limit, if there is one.
    pub fn end_slow_reads(&self, id: usize) {
        self.slow().remove(&id);
    }

    /// Stops the broker's runtime of a running node, and nothing else of it, until [`Cluster::end_hang`].
    ///
    /// # Errors
    /// If it does not run, or this machine lets nobody trace it.
    pub fn hang_broker(&self, id: usize) -> Result<()> {
        let pid = self.pid(id).with_context(|| format!("{} does not run", node_name(id)))?;
        let hang = Hang::start(pid)?;
        self.hangs().insert(id, hang);
        Ok(())
    }

    /// Lets it go on, if it was stopped.
    pub fn end_hang(&self, id: usize) {
        self.hangs().remove(&id);
    }

    fn hangs(&self) -> MutexGuard<'_, BTreeMap<usize, Hang>> {
        self.hangs.lock().expect("nothing panics under this lock")
    }

    fn slow(&self) -> MutexGuard<'_, BTreeMap<usize, SlowReads>> {
        self.slow.lock().expect("nothing panics under this lock")
    }
}
