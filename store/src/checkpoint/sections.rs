//! What a checkpoint's file holds: sections, one a table, each written and read piece by piece, so that neither a
//! table nor all of them need be in memory as bytes.
//!
//! ```text
//! record `checkpoint` | for each section: record `section`, pieces, a piece of no bytes | record `checkpoint-end`
//! piece: bytes: u32 | crc32c of these 4 bytes and of the rest: u32 | at most 1 MiB of the section
//! ```

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use platform::DiskFile;
use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError, RECORD_HEAD_BYTES, Record};
use crate::{CommitlogOffset, LogPoint};

/// Bytes of a piece.
const PIECE_BYTES: usize = 1 << 20;
const PIECE_HEAD_BYTES: usize = size_of::<u32>() + size_of::<u32>();

/// Begins the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The last entry whose effect is in it.
    pub(super) last: LogPoint,
    /// Where that entry ends, or where the next one begins.
    pub(super) next_offset: CommitlogOffset,
}

impl Record for Place {
    const KIND: u16 = 0x0105;
    const NAME: &'static str = "checkpoint";
    const BYTES_MAX: usize = 512;
}

/// Begins a section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SectionHead {
    kind: u16,
    version: u16,
    /// What its kind is called, for a build that does not know it.
    name: String,
}

impl Record for SectionHead {
    const KIND: u16 = 0x0109;
    const NAME: &'static str = "section";
    const BYTES_MAX: usize = 512;
}

/// Ends the file: without it, it was not written to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    sections: u32,
    /// Of all that stands before it.
    bytes: u64,
}

impl Record for End {
    const KIND: u16 = 0x010a;
    const NAME: &'static str = "checkpoint-end";
    const BYTES_MAX: usize = 512;
}

/// Where a section lies in its file.
#[derive(Debug)]
struct Section {
    head: SectionHead,
    /// Of its first piece.
    at: u64,
    /// Without the heads of its pieces.
    bytes: u64,
    /// Somebody knew what it is.
    is_read: AtomicBool,
}

/// Writes the file of a checkpoint, section by section.
pub struct SectionWriter {
    file: Arc<dyn DiskFile>,
    at: u64,
    sections: u32,
}

impl SectionWriter {
    pub(super) fn new(file: Arc<dyn DiskFile>, place: &Place) -> io::Result<Self> {
        let mut writer = Self { file, at: 0, sections: 0 };
        writer.record(place)?;
        Ok(writer)
    }

    /// Writes one table.
    ///
    /// # Errors
    /// If the disk fails, or the table cannot be written.
    pub fn put<R: Record>(&mut self, table: &R) -> io::Result<()> {
        self.record(&SectionHead { kind: R::KIND, version: R::VERSION, name: R::NAME.to_owned() })?;
        let mut pieces = PieceWriter { to: self, piece: Vec::with_capacity(PIECE_BYTES) };
        codec::write_body(table, &mut pieces)?;
        pieces.flush()?;
        let end = piece_head(&[]);
        self.append(&[IoSlice::new(&end)])?;
        self.sections += 1;
        Ok(())
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        self.record(&End { sections: self.sections, bytes: self.at })?;
        self.file.set_len(self.at)?;
        self.file.sync_data()
    }

    fn record<R: Record>(&mut self, record: &R) -> io::Result<()> {
        let bytes = codec::encode(record)?;
        self.append(&[IoSlice::new(&bytes)])
    }

    fn append(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.iter().map(|part| part.len() as u64).sum::<u64>();
        Ok(())
    }
}

/// Gathers a section into pieces.
struct PieceWriter<'w> {
    to: &'w mut SectionWriter,
    piece: Vec<u8>,
}

impl Write for PieceWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.piece.is_empty() {
            let head = piece_head(&self.piece);
            self.to.append(&[IoSlice::new(&head), IoSlice::new(&self.piece)])?;
            self.piece.clear();
        }
        Ok(())
    }
}

fn piece_head(piece: &[u8]) -> [u8; PIECE_HEAD_BYTES] {
    let bytes = (piece.len() as u32).to_be_bytes();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), piece).to_be_bytes();
    let mut head = [0; PIECE_HEAD_BYTES];
    head[..bytes.len()].copy_from_slice(&bytes);
    head[bytes.len()..].copy_from_slice(&crc);
    head
}

/// The piece at `at` in `piece`, verified. Returns where the next one begins.
fn read_piece(file: &dyn DiskFile, at: u64, end: u64, piece: &mut Vec<u8>) -> io::Result<u64> {
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{what} at byte {at}"));
    let body_at = at + PIECE_HEAD_BYTES as u64;
    if body_at > end {
        return Err(damaged("a piece is cut short"));
    }
    let mut head = [0; PIECE_HEAD_BYTES];
    file.read_exact_at(&mut head, at)?;
    let [n0, n1, n2, n3, ..] = head;
    let bytes = u32::from_be_bytes([n0, n1, n2, n3]) as usize;
    if bytes > PIECE_BYTES || body_at + bytes as u64 > end {
        return Err(damaged("a piece is too long"));
    }
    piece.resize(bytes, 0);
    file.read_exact_at(piece, body_at)?;
    if piece_head(piece) != head {
        return Err(damaged("a piece is damaged"));
    }
    Ok(body_at + bytes as u64)
}

/// The sections of a file that was read through once and found whole. Its handle outlives the file's name.
#[derive(Clone, Default)]
pub struct Sections(Option<Arc<Inner>>);

struct Inner {
    file: Arc<dyn DiskFile>,
    bytes: u64,
    sections: Vec<Section>,
}

impl std::fmt::Debug for Sections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.sections()).finish()
    }
}

impl PartialEq for Sections {
    /// The same kinds, versions and lengths.
    fn eq(&self, other: &Self) -> bool {
        let shape = |of: &Self| -> Vec<_> {
            of.sections().iter().map(|section| (section.head.clone(), section.bytes)).collect()
        };
        shape(self) == shape(other)
    }
}

impl Sections {
    /// Reads a file through and verifies all of it; nothing but one piece is in memory.
    pub(super) fn open(file: Arc<dyn DiskFile>) -> io::Result<(Place, Self)> {
        let bytes = file.len()?;
        let mut at = 0;
        let place = read_record::<Place>(&*file, &mut at, bytes)?;
        let mut sections = Vec::new();
        let mut piece = Vec::new();
        loop {
            let begin = at;
            if is_kind::<End>(&*file, at, bytes)? {
                let end = read_record::<End>(&*file, &mut at, bytes)?;
                if end.bytes != begin || end.sections as usize != sections.len() || at != bytes {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "the file has another end"));
                }
                return Ok((place, Self(Some(Arc::new(Inner { file, bytes, sections })))));
            }
            let head = read_record::<SectionHead>(&*file, &mut at, bytes)?;
            let mut section = Section { head, at, bytes: 0, is_read: AtomicBool::new(false) };
            loop {
                at = read_piece(&*file, at, bytes, &mut piece)?;
                if piece.is_empty() {
                    break;
                }
                section.bytes += piece.len() as u64;
            }
            sections.push(section);
        }
    }

    fn sections(&self) -> &[Section] {
        self.0.as_ref().map_or(&[], |inner| &inner.sections)
    }

    /// Reads one table; `None` if the checkpoint has none of its kind.
    ///
    /// # Errors
    /// If the disk fails, or it has a version that this build does not read.
    pub fn read<R: Record>(&self) -> io::Result<Option<R>> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let Some(section) = inner.sections.iter().find(|section| section.head.kind == R::KIND) else {
            return Ok(None);
        };
        section.is_read.store(true, Ordering::Relaxed);
        let (found, name) = (section.head.version, R::NAME);
        let mut reader = PieceReader {
            file: &*inner.file,
            at: section.at,
            end: inner.bytes,
            piece: Vec::new(),
            taken: 0,
            is_over: false,
        };
        if found == R::VERSION {
            let table = codec::read_body(&mut reader, section.bytes)?;
            let mut rest = [0];
            return match reader.read(&mut rest)? {
                0 => Ok(Some(table)),
                _ => Err(CodecError::content::<R>(&"something is left over").into()),
            };
        }
        if (R::OLDEST..R::VERSION).contains(&found) {
            let mut body = Vec::new();
            reader.read_to_end(&mut body)?;
            return Ok(Some(R::decode_old(found, &body)?));
        }
        let (oldest, newest) = (R::OLDEST, R::VERSION);
        Err(CodecError::Version { name, kind: R::KIND, found, oldest, newest }.into())
    }

    /// The names and kinds of the sections that nobody has read: this build does not know what they are.
    pub fn unread(&self) -> Vec<(String, u16)> {
        let unread = self.sections().iter().filter(|section| !section.is_read.load(Ordering::Relaxed));
        unread.map(|section| (section.head.name.clone(), section.head.kind)).collect()
    }

    /// Bytes of the whole file.
    pub fn file_bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.bytes)
    }

    /// A part of the file as it is, for another node.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn read_file(&self, at: u64, bytes_max: usize) -> io::Result<Vec<u8>> {
        let Some(inner) = &self.0 else { return Ok(Vec::new()) };
        let bytes = inner.bytes.saturating_sub(at).min(bytes_max as u64);
        let mut part = vec![0; bytes as usize];
        inner.file.read_exact_at(&mut part, at)?;
        Ok(part)
    }
}

/// The bytes of a section, piece by piece.
struct PieceReader<'f> {
    file: &'f dyn DiskFile,
    at: u64,
    end: u64,
    piece: Vec<u8>,
    taken: usize,
    is_over: bool,
}

impl Read for PieceReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.piece.len() && !self.is_over {
            self.at = read_piece(self.file, self.at, self.end, &mut self.piece)?;
            self.taken = 0;
            self.is_over = self.piece.is_empty();
        }
        let bytes = into.len().min(self.piece.len() - self.taken);
        into[..bytes].copy_from_slice(&self.piece[self.taken..self.taken + bytes]);
        self.taken += bytes;
        Ok(bytes)
    }
}

fn is_kind<R: Record>(file: &dyn DiskFile, at: u64, end: u64) -> io::Result<bool> {
    let mut kind = [0; size_of::<u16>()];
    if at + kind.len() as u64 > end {
        return Ok(false);
    }
    file.read_exact_at(&mut kind, at)?;
    Ok(u16::from_be_bytes(kind) == R::KIND)
}

/// The small record at `at`, which is moved behind it.
fn read_record<R: Record>(file: &dyn DiskFile, at: &mut u64, end: u64) -> io::Result<R> {
    let bytes = end.saturating_sub(*at).min(R::BYTES_MAX.max(RECORD_HEAD_BYTES) as u64) as usize;
    let mut buf = vec![0; bytes];
    file.read_exact_at(&mut buf, *at)?;
    let mut rest = buf.as_slice();
    let record = codec::decode_first(&mut rest)?;
    *at += (bytes - rest.len()) as u64;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use platform::Disk;

    use super::*;
    use crate::sim::SimDisk;
    use crate::testing::{Blob, golden};
    use crate::{Checkpoints, SealState};

    #[test]
    fn the_bytes_around_sections_stay_what_they_are() {
        let last = LogPoint { term: 3, log_index: 700 };
        golden(&[Place { last, next_offset: CommitlogOffset(4096) }], &[]);
        golden(&[SectionHead { kind: 0x0301, version: 2, name: "topics".into() }], &[]);
        golden(&[End { sections: 3, bytes: 4096 }], &[]);
    }

    /// S16: a table far above one piece is written and read piece by piece, and whatever is wrong with it is found.
    #[test]
    fn a_table_of_many_pieces_comes_back_and_a_damaged_or_unknown_one_is_told() {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        let checkpoints = Checkpoints::open(Arc::clone(&disk), "/c").unwrap();
        let (last, next_offset) = (LogPoint { term: 1, log_index: 5 }, CommitlogOffset(4096));
        let table: Vec<u8> = (0..3 << 20).map(|at: u32| (at % 251) as u8).collect();
        let written = checkpoints.dir().write(last, next_offset, &SealState::default(), |sections| {
            sections.put(&Blob(table.clone()))?;
            sections.put(&SectionHead { kind: 1, version: 1, name: "any".into() })
        });
        let sections = written.unwrap().checkpoint.sections;
        assert_eq!(sections.read::<Blob>().unwrap(), Some(Blob(table)));
        let unread = sections.unread();
        assert_eq!(
            unread,
            [("seal-state".into(), 0x010b), ("section".into(), 0x0109)],
            "nobody asked for them"
        );
        let whole = sections.read_file(0, usize::MAX).unwrap();
        let receive = |bytes: &[u8]| {
            let mut receiving = checkpoints.dir().receive().unwrap();
            for piece in bytes.chunks(1 << 20) {
                receiving.append(piece).unwrap();
            }
            receiving.finish().map(|unnamed| unnamed.checkpoint.last)
        };
        assert_eq!(receive(&whole).unwrap(), last);
        for at in (0..whole.len()).step_by(100_003).chain([whole.len() - 1]) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            receive(&damaged).expect_err("a damaged byte");
            receive(&whole[..at]).expect_err("a file cut short");
        }
        receive(&[&whole[..], b"x"].concat()).expect_err("something behind its end");
        assert!(disk.list(Path::new("/c")).unwrap().is_empty(), "what has no name does not stay");
    }
}
