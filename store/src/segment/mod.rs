//! One file of the log: a fixed stretch of commitlog offsets, written at its tail, read through a map.
//!
//! A segment knows bytes and places; entries are the commitlog's business.

mod map;

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use platform::{Disk, DiskFile, OpenMode};

use map::Map;

/// Page-cache advice is given in stretches of this size.
pub(crate) const REGION_BYTES: u64 = 8 << 20;

/// Room behind the last byte of the log in each file, for what this node alone has to say.
pub(crate) const TRAILER_BYTES: u64 = 4096;

/// One file of the log.
pub(crate) struct Segment {
    path: PathBuf,
    /// Commitlog offset of the first byte; a multiple of the size.
    base: u64,
    bytes: u64,
    /// Segments of an older build end without one.
    has_trailer: bool,
    file: Arc<dyn DiskFile>,
    /// `None` on a disk without system files: reads copy there.
    map: Option<Map>,
    /// For each region, where the log ended when it was last read, so that it is not dropped under a reader.
    read_when: Box<[AtomicU64]>,
}

impl Segment {
    /// The file for offsets from `base` on.
    pub(crate) fn path_in(dir: &Path, base: u64) -> PathBuf {
        dir.join(format!("{base:020}"))
    }

    /// Makes a segment of zeros with blocks of its own. It and its name are on disk on return.
    ///
    /// # Errors
    /// A full disk, with nothing left behind.
    pub(crate) fn create(disk: &dyn Disk, dir: &Path, base: u64, bytes: u64) -> io::Result<Self> {
        let path = Self::path_in(dir, base);
        if disk.exists(&path) {
            disk.remove_file(&path)?; // left by a crash while it was made, or by one after a truncation
        }
        let file = disk.open(&path, OpenMode::CreateNew)?;
        let made = file
            .allocate(bytes + TRAILER_BYTES)
            .and_then(|()| file.sync_data())
            .and_then(|()| disk.sync_dir(dir));
        if let Err(error) = made {
            drop(file);
            drop(disk.remove_file(&path)); // the first error is the one to report
            return Err(error);
        }
        Self::over(path, file, base, bytes)
    }

    /// Opens a segment that exists, and is at least `bytes` long.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, base: u64, bytes: u64) -> io::Result<Self> {
        let path = Self::path_in(dir, base);
        let file = disk.open(&path, OpenMode::ReadWrite)?;
        Self::over(path, file, base, bytes)
    }

    fn over(path: PathBuf, file: Arc<dyn DiskFile>, base: u64, bytes: u64) -> io::Result<Self> {
        assert!(base.is_multiple_of(bytes), "segment of {bytes} bytes cannot begin at {base}");
        let found = file.len()?;
        if found < bytes {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("segment has {found} bytes and should have {bytes}"),
            ));
        }
        let map = file.as_file().map(|file| Map::new(file, bytes as usize)).transpose()?;
        let read_when = (0..bytes.div_ceil(REGION_BYTES)).map(|_| AtomicU64::new(0)).collect();
        let has_trailer = found >= bytes + TRAILER_BYTES;
        Ok(Self { path, base, bytes, has_trailer, file, map, read_when })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Commitlog offset behind the last byte.
    pub(crate) fn limit(&self) -> u64 {
        self.base + self.bytes
    }

    /// Fills `buf` from commitlog offset `offset` on. Not through the map: what cannot be read is an error.
    pub(crate) fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let at = self.at(offset, buf.len() as u64);
        self.file.read_exact_at(buf, at)
    }

    /// The bytes from commitlog offset `offset` on: a view of the map that keeps it alive, or a copy.
    ///
    /// Touching a mapped page that the disk cannot give is a signal that ends the process, so the pages are brought in
    /// by a call that says so instead, and then read once more, for the system's own words. Pages that go again before
    /// they are touched, and cannot be read a second time, are left to chance.
    pub(crate) fn slice(self: &Arc<Self>, offset: u64, bytes: usize) -> io::Result<Bytes> {
        let at = self.at(offset, bytes as u64) as usize;
        if let Some(map) = &self.map
            && map.bring_in(at, bytes)
        {
            return Ok(Bytes::from_owner(View { segment: Arc::clone(self), at, bytes }));
        }
        let mut buf = vec![0; bytes];
        self.file.read_exact_at(&mut buf, at as u64)?;
        Ok(buf.into())
    }

    /// Writes `parts` one after the other from commitlog offset `offset` on.
    pub(crate) fn write(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        self.file.write_all_at(parts, self.at(offset, bytes))
    }

    /// Writes to the trailer, from `at` on within it; nothing if there is none.
    pub(crate) fn write_trailer(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.has_trailer {
            return Ok(());
        }
        self.file.write_all_at(&[IoSlice::new(bytes)], self.bytes + at)
    }

    /// Reads from the trailer; `false` if there is none.
    pub(crate) fn read_trailer(&self, at: u64, buf: &mut [u8]) -> io::Result<bool> {
        if self.has_trailer {
            self.file.read_exact_at(buf, self.bytes + at)?;
        }
        Ok(self.has_trailer)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Notes that a reader is at `offset` while the log ends at `log_end`.
    pub(crate) fn note_read(&self, offset: u64, log_end: u64) {
        let region = (offset - self.base) / REGION_BYTES;
        self.read_when[region as usize].store(log_end, Ordering::Relaxed);
    }

    /// Where the log ended when the region with `offset` was last read; 0 if it never was.
    pub(crate) fn read_when(&self, offset: u64) -> u64 {
        self.read_when[((offset - self.base) / REGION_BYTES) as usize].load(Ordering::Relaxed)
    }

    /// Starts writing a range back to the disk.
    pub(crate) fn start_write_back(&self, offset: u64, bytes: u64) {
        self.file.start_write_back(self.at(offset, bytes), bytes);
    }

    /// Lets the system drop a range from its cache.
    pub(crate) fn drop_cache(&self, offset: u64, bytes: u64) {
        let at = self.at(offset, bytes);
        if let Some(map) = &self.map {
            map.let_go(at as usize, bytes as usize); // mapped pages are not dropped
        }
        self.file.drop_cache(at, bytes);
    }

    fn at(&self, offset: u64, bytes: u64) -> u64 {
        assert!(
            self.base <= offset && offset + bytes <= self.limit(),
            "{bytes} bytes at {offset} are not in the segment {}..{}",
            self.base,
            self.limit()
        );
        offset - self.base
    }
}

/// Keeps a segment mapped for as long as somebody reads this part of it.
struct View {
    segment: Arc<Segment>,
    at: usize,
    bytes: usize,
}

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        let map = self.segment.map.as_ref().expect("a view is made of a mapped segment only");
        &map.bytes()[self.at..self.at + self.bytes]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::OsDisk;

    #[test]
    fn a_slice_outlives_the_removed_file() {
        let dir = tempfile::tempdir().unwrap();
        let segment = Arc::new(Segment::create(&OsDisk, dir.path(), 8192, 4096).unwrap());
        segment.write(8200, &[IoSlice::new(b"oars"), IoSlice::new(b" and sails")]).unwrap();
        let slice = segment.slice(8200, 14).unwrap();
        OsDisk.remove_file(segment.path()).unwrap();
        drop(segment);
        assert_eq!(&slice[..], b"oars and sails");
    }

    /// S22: a bad sector gives the same signal as a file that was cut.
    #[test]
    fn a_page_that_cannot_be_read_is_an_error_and_no_signal() {
        let dir = tempfile::tempdir().unwrap();
        let segment = Arc::new(Segment::create(&OsDisk, dir.path(), 0, 1 << 20).unwrap());
        segment.write(0, &[IoSlice::new(b"oars")]).unwrap();
        OsDisk.open(segment.path(), OpenMode::ReadWrite).unwrap().set_len(4096).unwrap();
        assert_eq!(&segment.slice(0, 4096).unwrap()[..4], b"oars");
        for (at, bytes) in [(4096, 100), (0, 8192), (500_000, 300_000)] {
            segment.slice(at, bytes).unwrap_err();
        }
        segment.read(8192, &mut [0; 48]).unwrap_err();
    }
}
