//! A disk that can lose power, fill up and fail, for tests.
//!
//! Every file has the bytes that are on the platter and the writes that are still on their way. A crash keeps
//! some of the latter, chosen by a seed, each torn at sector boundaries; names that were not synced with their
//! directory are kept up to some point in their order. Directories themselves are kept at once.

mod file;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use platform::{Disk, DiskFile, DiskLock, OpenMode, Space};

use file::{Inode, SimFile};

/// Writes are torn at multiples of this.
pub const SECTOR_BYTES: usize = 512;

/// A simulated disk. Clones share it.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    names: BTreeMap<PathBuf, u64>,
    /// What a crash would leave of the names, were none of `name_changes` kept.
    synced_names: BTreeMap<PathBuf, u64>,
    name_changes: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    locks: HashSet<PathBuf>,
    capacity_bytes: Option<u64>,
    /// Writes and syncs so far.
    steps: u64,
    /// The power goes off at this step.
    cut_at: Option<u64>,
    /// This many further syncs succeed, then one fails.
    syncs_until_error: Option<u64>,
    boots: u64,
    /// Syncs of files in here say that all is well, and do nothing.
    lies_in: Option<PathBuf>,
    /// The file that was being written when the power went off.
    in_flight: Option<u64>,
}

/// A change of one directory that is not on disk yet: `path` now names `inode`, or nothing.
#[derive(Clone)]
struct NameChange {
    path: PathBuf,
    inode: Option<u64>,
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty disk without limits.
    pub fn new() -> Self {
        Self { state: Arc::default() }
    }

    /// Files together may not become longer than this.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock_state().capacity_bytes = bytes;
    }

    /// After `more` steps (a step is one write, sync, allocation or change of a name) everything fails, as if the
    /// power had gone off in the middle of the last one.
    pub fn cut_after(&self, more: u64) {
        let mut state = self.lock_state();
        state.cut_at = Some(state.steps + more);
    }

    /// Whether the power has gone off.
    pub fn is_cut(&self) -> bool {
        let state = self.lock_state();
        state.cut_at.is_some_and(|at| state.steps >= at)
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.lock_state().steps
    }

    /// Lets `more` syncs of files succeed, and the one behind them fail: its pages are dropped then.
    pub fn fail_sync_after(&self, more: u64) {
        self.lock_state().syncs_until_error = Some(more);
    }

    /// Makes it a disk that says its syncs of files in `dir` are done, and does none of them: what such a disk costs must
    /// be found.
    pub fn lie_about_syncs_in(&self, dir: &Path) {
        self.lock_state().lies_in = Some(dir.to_path_buf());
    }

    /// Bytes of all files together.
    pub fn used_bytes(&self) -> u64 {
        self.lock_state().used_bytes()
    }

    /// The disk after the power came back: a new one, this one is of no further use. What was synced is there;
    /// of the rest, `seed` decides.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        use rand::{Rng, SeedableRng};
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        let old = self.lock_state();
        let mut names = old.synced_names.clone();
        let kept = rng.random_range(0..=old.name_changes.len());
        for change in &old.name_changes[..kept] {
            change.apply(&mut names);
        }
        let used: BTreeSet<u64> = names.values().copied().collect();
        let inodes = old
            .inodes
            .iter()
            .filter(|(id, _)| used.contains(id))
            .map(|(id, inode)| (*id, inode.after_crash(&mut rng)))
            .collect();
        Self::revived(&old, names, inodes)
    }

    /// The disk after the process was killed and the machine went on: nothing is lost, but of the last write, if
    /// that was where [`SimDisk::cut_after`] struck, only a prefix may be there.
    ///
    /// # Panics
    /// Never: an open file has bytes.
    #[must_use]
    pub fn kill(&self, seed: u64) -> Self {
        use rand::SeedableRng;
        let mut old = self.lock_state();
        if let Some(id) = old.in_flight.take() {
            let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
            old.inodes.get_mut(&id).expect("an open file has an inode").cut_last(&mut rng);
        }
        let revived = Self::revived(&old, old.names.clone(), old.inodes.clone());
        let mut state = revived.lock_state();
        state.boots = old.boots;
        state.synced_names.clone_from(&old.synced_names);
        state.name_changes.clone_from(&old.name_changes);
        drop(state);
        revived
    }

    /// Changes a byte on the platter, as decay would.
    ///
    /// # Panics
    /// If there is no such file or byte.
    pub fn rot(&self, path: &Path, at: usize) {
        let mut state = self.lock_state();
        let id = state.names[path];
        state.inodes.get_mut(&id).expect("a name has an inode").rot(at);
    }

    fn revived(old: &State, names: BTreeMap<PathBuf, u64>, inodes: BTreeMap<u64, Inode>) -> Self {
        let state = State {
            synced_names: names.clone(),
            names,
            dirs: old.dirs.clone(),
            inodes,
            next_inode: old.next_inode,
            capacity_bytes: old.capacity_bytes,
            lies_in: old.lies_in.clone(),
            boots: old.boots + 1,
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self.inode {
            Some(inode) => names.insert(self.path.clone(), inode),
            None => names.remove(&self.path),
        };
    }
}

impl State {
    /// Counts a step.
    ///
    /// # Errors
    /// If the power is off. At the very step where it goes off, `Ok(true)`: the step begins, and does not end.
    fn step(&mut self) -> io::Result<bool> {
        match self.cut_at {
            Some(at) if self.steps >= at => Err(power_is_off()),
            _ => {
                self.steps += 1;
                Ok(self.cut_at == Some(self.steps))
            }
        }
    }

    fn change_name(&mut self, path: &Path, inode: Option<u64>) {
        let change = NameChange { path: path.to_path_buf(), inode };
        change.apply(&mut self.names);
        self.name_changes.push(change);
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|id| self.inodes[id].len() as u64).sum()
    }

    fn lies_about(&self, inode: u64) -> bool {
        let Some(dir) = &self.lies_in else { return false };
        self.names.iter().any(|(path, id)| *id == inode && path.parent() == Some(dir))
    }

    fn inode_of(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", path.display()))
        })
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.lock_state().locks.remove(&self.path);
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock_state();
        let found = state.names.get(path).copied();
        let inode = match (found, mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => inode,
            (None, OpenMode::Read | OpenMode::ReadWrite) => state.inode_of(path)?,
            (None, OpenMode::Create | OpenMode::CreateNew) => {
                let cut = state.step()?;
                let inode = state.next_inode;
                state.next_inode += 1;
                state.inodes.insert(inode, Inode::default());
                state.change_name(path, Some(inode));
                if cut {
                    return Err(power_is_off());
                }
                inode
            }
        };
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        for dir in path.ancestors() {
            state.dirs.insert(dir.to_path_buf());
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.lock_state();
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = |path: &&PathBuf| path.parent() == Some(dir);
        let all: BTreeSet<_> =
            state.names.keys().filter(inside).chain(state.dirs.iter().filter(inside)).collect();
        Ok(all.into_iter().cloned().collect())
    }

    fn exists(&self, path: &Path) -> bool {
        let state = self.lock_state();
        state.names.contains_key(path) || state.dirs.contains(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        let inode = state.inode_of(from)?;
        let cut = state.step()?;
        // One step of a journal: both or none. The new name comes first, so that no cut loses the file.
        state.change_name(to, Some(inode));
        state.change_name(from, None);
        if cut { Err(power_is_off()) } else { Ok(()) }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        state.inode_of(path)?;
        let cut = state.step()?;
        state.change_name(path, None);
        if cut { Err(power_is_off()) } else { Ok(()) }
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        let cut = state.step()?;
        let inside: Vec<_> = state.names.keys().filter(|name| name.starts_with(path)).cloned().collect();
        for name in inside {
            state.change_name(&name, None);
        }
        state.dirs.retain(|dir| !dir.starts_with(path));
        if cut { Err(power_is_off()) } else { Ok(()) }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        if state.step()? {
            return Err(power_is_off());
        }
        let changes = std::mem::take(&mut state.name_changes);
        for change in changes {
            if change.path.parent() == Some(dir) {
                change.apply(&mut state.synced_names);
            } else {
                state.name_changes.push(change);
            }
        }
        Ok(())
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let state = self.lock_state();
        let total_bytes = state.capacity_bytes.unwrap_or(u64::MAX / 2);
        Ok(Space { total_bytes, available_bytes: total_bytes.saturating_sub(state.used_bytes()) })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let mut state = self.lock_state();
        if !state.locks.insert(path.to_path_buf()) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock { disk: self.clone(), path: path.to_path_buf() })))
    }

    fn boot_id(&self) -> String {
        format!("boot-{}", self.lock_state().boots)
    }
}
