//! The one place with `unsafe`: a segment's file as read-only memory.
//!
//! What makes it sound are our own facts. The directory lock keeps other processes off the file. It is as long
//! as the map when mapped, its blocks are allocated, and we never cut it afterwards: it is removed as a whole,
//! and the map keeps its bytes alive. What a disk cannot give is asked for first, and is an error then. Bytes below the committed end never change; above it only the log's owner
//! writes, and who reads there takes bytes for what they are and tests their checksum.
#![expect(unsafe_code, reason = "mapping a file cannot be done without; see above")]

use std::fs::File;
use std::io;

use memmap2::{Advice, Mmap, MmapOptions, UncheckedAdvice};

/// A file mapped for reading.
pub(crate) struct Map {
    mmap: Mmap,
}

impl Map {
    /// Maps the first `bytes` bytes of `file`, which must be at least as long.
    pub(crate) fn new(file: &File, bytes: usize) -> io::Result<Self> {
        // SAFETY: the file is a segment's, locked against other processes, at least `bytes` long (the caller has
        // asked the system), and never cut while this map lives.
        let mmap = unsafe { MmapOptions::new().len(bytes).map(file)? };
        // Entries are read in order, but by many readers at many places: the kernel's own read-ahead is right.
        mmap.advise(Advice::Normal)?;
        Ok(Self { mmap })
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.mmap
    }

    /// Brings the pages of a range in, so that they can be touched. `false` if one cannot be read (touching it would
    /// end the process), or the system cannot be asked: before Linux 5.14.
    pub(crate) fn bring_in(&self, offset: usize, bytes: usize) -> bool {
        self.mmap.advise_range(Advice::PopulateRead, offset, bytes).is_ok()
    }

    /// Takes a range out of this process's page table, so that the system may drop it from its cache.
    pub(crate) fn let_go(&self, offset: usize, bytes: usize) {
        // SAFETY: the map is shared and backed by the file, so the pages come back with the same bytes when they
        // are touched again; nothing that only memory knows is lost.
        let let_go = unsafe { self.mmap.unchecked_advise_range(UncheckedAdvice::DontNeed, offset, bytes) };
        drop(let_go); // a hint: pages that stay only cost memory
    }
}
