//! One simulated file: what is on the platter, and what is on its way there.

use std::fs::File;
use std::io::{self, IoSlice};

use platform::DiskFile;
use rand::Rng;
use rand::rngs::StdRng;

use super::{SECTOR_BYTES, SimDisk, State, power_is_off};

/// A file's bytes.
#[derive(Clone, Default)]
pub(super) struct Inode {
    /// As readers see them.
    now: Vec<u8>,
    /// As they were at the last sync.
    synced: Vec<u8>,
    /// Changes since, oldest first.
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                if image.len() < at + bytes.len() {
                    image.resize(at + bytes.len(), 0);
                }
                image[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Self::Length(bytes) => image.resize(*bytes, 0),
        }
    }

    /// What of this change reaches the platter when the power goes off.
    fn torn(&self, rng: &mut StdRng) -> Vec<Self> {
        match self {
            Self::Length(_) => {
                if rng.random() {
                    vec![self.clone()]
                } else {
                    Vec::new()
                }
            }
            Self::Write { at, bytes } => {
                let whole: bool = rng.random();
                let mut kept = Vec::new();
                let mut from = 0;
                while from < bytes.len() {
                    // Up to the end of the sector that the byte lies in.
                    let to = bytes.len().min(from + SECTOR_BYTES - (at + from) % SECTOR_BYTES);
                    if whole || rng.random() {
                        kept.push(Self::Write { at: at + from, bytes: bytes[from..to].to_vec() });
                    }
                    from = to;
                }
                kept
            }
        }
    }
}

impl Inode {
    pub(super) fn len(&self) -> usize {
        self.now.len()
    }

    pub(super) fn rot(&mut self, at: usize) {
        self.now[at] ^= 0x40;
        if at < self.synced.len() {
            self.synced[at] ^= 0x40;
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.synced);
        }
    }

    /// Pages that could not be written are dropped, and the file looks as if all were well.
    fn lose_pending(&mut self) {
        self.pending.clear();
    }

    /// The last change was being made when the process was killed: some prefix of it was. The system looks for a
    /// kill between pages only; here it comes between sectors.
    pub(super) fn cut_last(&mut self, rng: &mut StdRng) {
        let Some(Change::Write { at, bytes }) = self.pending.last_mut() else { return };
        let kept = rng.random_range(0..=bytes.len());
        if kept < bytes.len() {
            bytes.truncate(((*at + kept) / SECTOR_BYTES * SECTOR_BYTES).saturating_sub(*at));
        }
        self.now.clone_from(&self.synced);
        for change in &self.pending {
            change.apply(&mut self.now);
        }
    }

    pub(super) fn after_crash(&self, rng: &mut StdRng) -> Self {
        let mut image = self.synced.clone();
        let all: bool = rng.random_range(0..4) == 0;
        for change in &self.pending {
            if all || rng.random() {
                change.torn(rng).iter().for_each(|part| part.apply(&mut image));
            }
        }
        Self { now: image.clone(), synced: image, pending: Vec::new() }
    }
}

/// An open simulated file.
pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) inode: u64,
}

impl SimFile {
    fn with<T>(&self, act: impl FnOnce(&mut State, u64) -> io::Result<T>) -> io::Result<T> {
        act(&mut self.disk.lock_state(), self.inode)
    }

    fn grow(&self, bytes: usize, make: impl FnOnce() -> Option<Change>) -> io::Result<()> {
        self.with(|state, id| {
            let cut = state.step()?;
            let more = bytes.saturating_sub(state.inodes[&id].now.len()) as u64;
            if state.capacity_bytes.is_some_and(|capacity| state.used_bytes() + more > capacity) {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "the simulated disk is full"));
            }
            if let Some(change) = make() {
                state.inodes.get_mut(&id).expect("an open file has an inode").change(change);
                state.in_flight = cut.then_some(id);
            }
            if cut { Err(power_is_off()) } else { Ok(()) }
        })
    }
}

impl DiskFile for SimFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(|state, id| {
            let bytes = &state.inodes[&id].now;
            let at = offset as usize;
            let found = bytes.get(at..at + buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            buf.copy_from_slice(found);
            Ok(())
        })
    }

    fn write_all_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let at = offset as usize;
        self.grow(at + bytes.len(), || Some(Change::Write { at, bytes }))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state, id| {
            let cut = state.step()?;
            let fails = state.syncs_until_error == Some(0);
            state.syncs_until_error = state.syncs_until_error.and_then(|left| left.checked_sub(1));
            let lies = state.lies_about(id);
            let inode = state.inodes.get_mut(&id).expect("an open file has an inode");
            if cut {
                return Err(power_is_off());
            }
            if fails {
                inode.lose_pending();
                return Err(io::Error::other("simulated failure of a sync"));
            }
            if !lies {
                inode.sync();
            }
            Ok(())
        })
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let is_longer = self.len()? >= bytes;
        self.grow(bytes as usize, || (!is_longer).then_some(Change::Length(bytes as usize)))
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.grow(bytes as usize, || Some(Change::Length(bytes as usize)))
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|state, id| Ok(state.inodes[&id].now.len() as u64))
    }

    fn start_write_back(&self, _offset: u64, _bytes: u64) {}

    fn drop_cache(&self, _offset: u64, _bytes: u64) {}

    fn as_file(&self) -> Option<&File> {
        None
    }
}
